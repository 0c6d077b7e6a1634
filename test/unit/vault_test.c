/* The vault: what was sealed opens, and nothing else does: cut, swapped, doubled, changed at any bit, another passphrase, and costs
 * no file of ours asks for, which must be refused before anything is allocated for them. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include <cmocka.h>
#include <sodium.h>

#include "proto/vault.h"

#define PASS   "correct horse"
#define CHUNKS 4

static uint8_t plain[(CHUNKS - 1) * VAULT_CHUNK + 100], header[VAULT_HEADER], sealed[CHUNKS][VAULT_SEALED_MAX];
static size_t len[CHUNKS];

static int setup(void **state)
{
	struct vault v;
	(void)state;
	randombytes_buf(plain, sizeof(plain));
	if (vault_lock(&v, PASS, strlen(PASS), header))
		return -1;
	for (unsigned i = 0; i < CHUNKS; i++)
		len[i] = vault_seal(&v, plain + (size_t)i * VAULT_CHUNK, i < CHUNKS - 1 ? VAULT_CHUNK : 100, i == CHUNKS - 1, sealed[i]);
	vault_fini(&v);
	return 0;
}

/* How many chunks in that order open; *ret_last: the stream ended properly. */
static unsigned opened(const unsigned *order, unsigned n, bool *ret_last)
{
	static uint8_t out[VAULT_CHUNK];
	struct vault v;
	size_t got;
	unsigned i = 0;
	*ret_last = false;
	assert_int_equal(vault_unlock(&v, header, PASS, strlen(PASS)), 0);
	for (; i < n; i++) {
		if (vault_open(&v, sealed[order[i]], len[order[i]], out, &got, ret_last))
			break;
		assert_int_equal(got, order[i] == CHUNKS - 1 ? 100 : VAULT_CHUNK);
		assert_memory_equal(out, plain + (size_t)order[i] * VAULT_CHUNK, got);
	}
	vault_fini(&v);
	return i;
}

static void test_order(void **state)
{
	bool last;
	(void)state;
	assert_int_equal(len[0], VAULT_SEALED_MAX);
	assert_int_equal(len[3], 100 + VAULT_OVERHEAD);
	assert_int_equal(opened((const unsigned[]){0, 1, 2, 3}, 4, &last), 4);
	assert_true(last);
	assert_int_equal(opened((const unsigned[]){0, 1, 2}, 3, &last), 3); /* cut: it does not say it has ended */
	assert_false(last);
	assert_int_equal(opened((const unsigned[]){0, 2, 1, 3}, 4, &last), 1);
	assert_int_equal(opened((const unsigned[]){1, 0, 2, 3}, 4, &last), 0);
	assert_int_equal(opened((const unsigned[]){0, 0, 1, 2}, 4, &last), 1);
	assert_int_equal(opened((const unsigned[]){0, 3}, 2, &last), 1);
	assert_int_equal(opened((const unsigned[]){3}, 1, &last), 0);
	assert_int_equal(opened((const unsigned[]){0, 1, 2, 3, 3}, 5, &last), 4); /* nothing comes behind the last */
}

static void test_damage(void **state)
{
	static uint8_t bad[VAULT_SEALED_MAX + 1], out[VAULT_SEALED_MAX + 1];
	struct vault v;
	size_t got = 7;
	bool last;
	(void)state;
	static const size_t at[] = {0, 1, 17, 40000, VAULT_SEALED_MAX - 1};
	for (unsigned i = 0; i < sizeof(at) / sizeof(*at); i++) {
		memcpy(bad, sealed[0], VAULT_SEALED_MAX);
		bad[at[i]] ^= 1;
		assert_int_equal(vault_unlock(&v, header, PASS, strlen(PASS)), 0);
		assert_int_equal(vault_open(&v, bad, VAULT_SEALED_MAX, out, &got, &last), -EBADMSG);
		assert_int_equal(got, 7);
		vault_fini(&v);
	}
	assert_int_equal(vault_unlock(&v, header, PASS, strlen(PASS)), 0);
	assert_int_equal(vault_open(&v, sealed[0], VAULT_SEALED_MAX - 1, out, &got, &last), -EBADMSG);
	assert_int_equal(vault_open(&v, sealed[0], VAULT_SEALED_MAX + 1, out, &got, &last), -EBADMSG);
	assert_int_equal(vault_open(&v, sealed[0], VAULT_OVERHEAD - 1, out, &got, &last), -EBADMSG);
	assert_int_equal(vault_open(&v, sealed[0], 0, out, &got, &last), -EBADMSG);
	vault_fini(&v);
	assert_int_equal(vault_unlock(&v, header, "correct hors!", 13), 0);
	assert_int_equal(vault_open(&v, sealed[0], VAULT_SEALED_MAX, out, &got, &last), -EBADMSG);
	vault_fini(&v);
	/* each byte of the header counts, and none of them is believed */
	for (unsigned i = 0; i < VAULT_HEADER; i += i < 14 ? 5 : i == 18 || i == 19 || (i > 20 && i < 60) ? 7 : 1) {
		uint8_t h[VAULT_HEADER];
		memcpy(h, header, sizeof(h));
		h[i] ^= i == 20 ? 0x10 : 1;
		int r = vault_unlock(&v, h, PASS, strlen(PASS));
		if (!r)
			r = vault_open(&v, sealed[0], VAULT_SEALED_MAX, out, &got, &last);
		assert_true(r == -EBADMSG || r == -EPROTO || r == -E2BIG);
	}
}

/* Costs come from whoever made the file: what is above ours is refused, and the peak of our memory says that nobody tried. */
static void test_costs(void **state)
{
	struct vault v;
	uint8_t h[VAULT_HEADER];
	(void)state;
	static const struct {
		uint8_t passes[4], memory[4];
		int want;
	} asks[] = {
	    {{3, 0, 0, 0}, {0, 0, 0, 0x10}, -E2BIG},          {{3, 0, 0, 0}, {1, 0, 4, 0}, -E2BIG}, /* one KiB above */
	    {{3, 0, 0, 0}, {0xff, 0xff, 0xff, 0xff}, -E2BIG}, {{13, 0, 0, 0}, {0, 0, 1, 0}, -E2BIG},
	    {{0xff, 0xff, 0xff, 0xff}, {0, 0, 1, 0}, -E2BIG}, {{0, 0, 0, 0}, {0, 0, 1, 0}, -EBADMSG},
	    {{3, 0, 0, 0}, {0, 0, 0, 0}, -EBADMSG},
	};
	for (unsigned i = 0; i < sizeof(asks) / sizeof(*asks); i++) {
		memcpy(h, header, sizeof(h));
		memcpy(h + 16, asks[i].passes, 4);
		memcpy(h + 20, asks[i].memory, 4);
		assert_int_equal(vault_unlock(&v, h, PASS, strlen(PASS)), asks[i].want);
	}
	struct rusage use;
	getrusage(RUSAGE_SELF, &use);
	assert_true(use.ru_maxrss < 256 * 1024 || getenv("ASAN_OPTIONS")); /* KiB; what was asked for at most is 4 TiB */
	memcpy(h, header, sizeof(h));
	h[14] = 2;
	assert_int_equal(vault_unlock(&v, h, PASS, strlen(PASS)), -EPROTO);
	h[0] = 'F';
	assert_int_equal(vault_unlock(&v, h, PASS, strlen(PASS)), -EBADMSG);
	assert_int_equal(vault_unlock(&v, header, "short", 5), -EINVAL);
	assert_int_equal(vault_lock(&v, "short", 5, h), -EINVAL);
	static char endless[VAULT_PASS_MAX + 1] = "x";
	assert_int_equal(vault_lock(&v, endless, sizeof(endless), h), -EINVAL);
}

static void test_two(void **state)
{
	struct vault a, b;
	uint8_t ha[VAULT_HEADER], hb[VAULT_HEADER], ca[64], cb[64], out[64];
	size_t got;
	bool last;
	(void)state;
	assert_int_equal(vault_lock(&a, PASS, strlen(PASS), ha), 0);
	assert_int_equal(vault_lock(&b, PASS, strlen(PASS), hb), 0);
	assert_int_equal(vault_seal(&a, plain, 20, true, ca), 37);
	assert_int_equal(vault_seal(&b, plain, 0, true, cb), 17); /* an empty one */
	assert_memory_not_equal(ha + 24, hb + 24, 16);
	vault_fini(&a);
	vault_fini(&b);
	assert_int_equal(vault_unlock(&a, ha, PASS, strlen(PASS)), 0);
	assert_int_equal(vault_open(&a, cb, 17, out, &got, &last), -EBADMSG); /* not of this vault */
	assert_int_equal(vault_open(&a, ca, 37, out, &got, &last), 0);
	assert_true(last && got == 20);
	vault_fini(&a);
	assert_int_equal(vault_unlock(&b, hb, PASS, strlen(PASS)), 0);
	assert_int_equal(vault_open(&b, cb, 17, out, &got, &last), 0);
	assert_true(last && got == 0);
	vault_fini(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_order), cmocka_unit_test(test_damage), cmocka_unit_test(test_costs),
	                                   cmocka_unit_test(test_two)};
	return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, setup, NULL);
}
