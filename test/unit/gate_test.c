/* gate_test: the four keys of a gate, the hint, and what gate_check lets through. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "proto/gate.h"
#include "proto/ident.h"
#include "proto/wire.h"

static void assert_hex(const uint8_t *got, size_t n, const char *hex)
{
	uint8_t want[64];
	size_t len = 0;
	assert_int_equal(sodium_hex2bin(want, sizeof want, hex, strlen(hex), NULL, &len, NULL), 0);
	assert_int_equal(len, n);
	assert_memory_equal(got, want, n);
}

static struct gate zero_gate(void)
{
	uint8_t key_hash[32];
	struct gate gate;
	sodium_hex2bin(key_hash, 32, "f497c59001a420db367cbce5ef08318fe81b922e8c262cb13092344ef5eda78a", 64, NULL, NULL, NULL);
	gate_derive(&gate, key_hash, gate_zero);
	return gate;
}

static void test_derive(void **state)
{
	(void)state;
	struct gate gate = zero_gate();
	uint8_t hint[8], salt[12] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};
	assert_hex(gate.mac1, 32, "3e861e5a380f7107309ccd0ef7deb8464617c08ae7078a7c1718ba300683b6f0");
	assert_hex(gate.mask, 32, "167cb4d97eb52f8f185ef31c574d35bff803f16af70a0af0ef914a058b1de129");
	assert_hex(gate.cookie, 32, "c8d05a3c255cad0f3359a6aa110657fa32180498e8cba14fba7617f39d9e8727");
	assert_hex(gate.hint, 16, "18847df28a909a109ebd4509fd86a3b4");
	crypto_shorthash(hint, salt, 12, gate.hint);
	assert_hex(hint, 4, "c5096202");
	assert_true(sodium_is_zero(gate.secret, 32));
	gate_fini(&gate);
	assert_true(sodium_is_zero((const uint8_t *)&gate, sizeof gate));
}

/* Both sides of a pair come to the same gate, a third does not, and a low-order key gives none. */
static void test_pair(void **state)
{
	(void)state;
	struct secret a = {0}, b = {0};
	uint8_t of_a[32], of_b[32], of_other[32], low[32] = {1};
	for (uint8_t i = 0; i < 32; i++)
		a.x[i] = (uint8_t)(0x20 + i);
	sodium_hex2bin(b.x, 32, "b9dab2f91e55257b1dcb073c53afbac11e8704987dd2431f818c866fc395fe91", 64, NULL, NULL, NULL);
	crypto_scalarmult_base(a.self.x, a.x);
	crypto_scalarmult_base(b.self.x, b.x);
	assert_true(gate_pair_secret(&a, b.self.x, of_a));
	assert_true(gate_pair_secret(&b, a.self.x, of_b));
	assert_memory_equal(of_a, of_b, 32);
	assert_hex(of_a, 32, "532dca70145293612178f127f48898aeac0cf984532a17485c0b9818da48cc70");
	assert_true(gate_pair_secret(&a, a.self.x, of_other));
	assert_memory_not_equal(of_a, of_other, 32);
	assert_false(gate_pair_secret(&a, low, of_other));
}

/* Every label and both inputs matter. */
static void test_distinct(void **state)
{
	(void)state;
	uint8_t a[32] = {1}, b[32] = {2};
	struct gate x, y, z;
	gate_derive(&x, a, gate_zero);
	gate_derive(&y, b, gate_zero);
	gate_derive(&z, a, b);
	assert_memory_not_equal(x.mac1, y.mac1, 32);
	assert_memory_not_equal(x.mac1, z.mac1, 32);
	assert_memory_not_equal(x.hint, z.hint, 16);
	assert_memory_not_equal(x.mac1, x.mask, 32);
	assert_memory_not_equal(x.mac1, x.cookie, 32);
	assert_memory_not_equal(x.mask, x.cookie, 32);
	gate_derive(&z, z.secret, z.secret); /* inputs inside the output */
	gate_derive(&y, b, b);
	assert_memory_equal(&y, &z, sizeof y);
}

static void stamp(const struct gate *gate, uint8_t *datagram, size_t n)
{
	uint8_t hint[8];
	randombytes_buf(datagram, n);
	crypto_shorthash(hint, datagram, 12, gate->hint);
	memcpy(datagram + 12, hint, 4);
	crypto_generichash_blake2b(datagram + n - 32, 16, datagram, n - 32, gate->mac1, 32);
}

static void test_lengths(void **state)
{
	(void)state;
	struct gate gate = zero_gate();
	uint8_t d[INIT_MAX + 1];
	static const struct {
		size_t n;
		bool pass;
	} cases[] = {{INIT_MIN - 1, false}, {INIT_MIN, true}, {INIT_MAX, true}, {INIT_MAX + 1, false}};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		stamp(&gate, d, cases[i].n);
		assert_int_equal(gate_check(&gate, d, cases[i].n), cases[i].pass);
	}
	assert_false(gate_check(&gate, d, 0));
}

static void test_flips(void **state)
{
	(void)state;
	struct gate gate = zero_gate(), other;
	uint8_t d[INIT_MIN + 20], key_hash[32] = {9}, secret[32] = {7};
	stamp(&gate, d, sizeof d);
	assert_true(gate_check(&gate, d, sizeof d));
	for (size_t bit = 0; bit < (sizeof d - 16) * 8; bit++) {
		d[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_false(gate_check(&gate, d, sizeof d));
		d[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	for (size_t bit = (sizeof d - 16) * 8; bit < sizeof d * 8; bit++) { /* mac2 is not the gate's business */
		d[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_true(gate_check(&gate, d, sizeof d));
	}
	for (size_t n = INIT_MIN; n < sizeof d; n++)
		assert_false(gate_check(&gate, d, n));
	d[12] ^= 1; /* a wrong hint under a good mac1 */
	crypto_generichash_blake2b(d + sizeof d - 32, 16, d, sizeof d - 32, gate.mac1, 32);
	assert_false(gate_check(&gate, d, sizeof d));
	stamp(&gate, d, sizeof d);
	gate_derive(&other, key_hash, gate_zero);
	assert_false(gate_check(&other, d, sizeof d));
	gate_derive(&other, key_hash, secret);
	assert_false(gate_check(&other, d, sizeof d));
}

int main(void)
{
	if (sodium_init() < 0)
		return 1;
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_derive),  cmocka_unit_test(test_pair),  cmocka_unit_test(test_distinct),
	    cmocka_unit_test(test_lengths), cmocka_unit_test(test_flips),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
