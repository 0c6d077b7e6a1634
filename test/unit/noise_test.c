/* noise_test: the pattern against the vector of another implementation, and the keys it must refuse.
 *
 * Only the hex of the IKpsk2 / 25519 / ChaChaPoly / BLAKE2b entry stands here. Messages 2 and 3 of a vector are
 * transport messages: they check the first 32 bytes of both Split outputs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "proto/noise.h"

struct vector {
	const char *name;
	const char *prologue, *psk;
	const char *init_static, *init_ephemeral, *resp_static, *resp_ephemeral;
	const char *payload[4], *message[4];
	const char *hash; /* what that file calls handshake_hash: h after the e of message 2 */
};

static const struct vector vectors[] = {
    {
	.name = "cacophony",
	.prologue = "4a6f686e2047616c74",
	.psk = "54686973206973206d7920417573747269616e20706572737065637469766521",
	.init_static = "e61ef9919cde45dd5f82166404bd08e38bceb5dfdfded0a34c8df7ed542214d1",
	.init_ephemeral = "893e28b9dc6ca8d611ab664754b8ceb7bac5117349a4439a6b0569da977c464a",
	.resp_static = "4a3acbfdb163dec651dfa3194dece676d437029c62a408b4c5ea9114246e4893",
	.resp_ephemeral = "bbdb4cdbd309f1a1f2e1456967fe288cadd6f712d65dc7b7793d5e63da6b375b",
	.payload = {"4c756477696720766f6e204d69736573", "4d757272617920526f746862617264", "462e20412e20486179656b",
                    "4361726c204d656e676572"},
	.message = {"ca35def5ae56cec33dc2036731ab14896bc4c75dbb07a61f879f8e3afa4c7944"
                    "b6fe0240b839afac809de1630eaf99d8f9b941394f0512c0554633bbb021d151"
                    "76135c0a20e7fdb9a9ed066f22f054b47625b1d5061cb27d6a17f053273db7c2"
                    "5216a5addc506ee321bc0618feb5849d",
                    "95ebc60d2b1fa672c1f46a8aa265ef51bfe38e7ccb39ec5be34069f144808843"
                    "8f627e69fc120006f746b9d420bf4056cf8481ab32d9e904ffaeeaa56a5290",
                    "07fc0034398a5f1010322be193d62f94bebf2948a20b3e15d681fe", "2ea5400f5b8a16971c8b67bde75aeb7987d454b1c0beeb2566932d"},
	.hash = "001fca5fbab9b6771675fbc2b3fb44e9d23d6551210cc7c1141b19cfea422f49"
		"230afc3747f542a11239da595029cfa64c23c2f28d5d10c4a67f6119f1d43c54",
    },
};

static size_t unhex(const char *hex, uint8_t *out, size_t room)
{
	size_t n = 0;
	assert_int_equal(sodium_hex2bin(out, room, hex, strlen(hex), NULL, &n, NULL), 0);
	assert_int_equal(strlen(hex), 2 * n);
	return n;
}

static void assert_hex(const uint8_t *got, size_t n, const char *hex)
{
	uint8_t want[512];
	assert_int_equal(unhex(hex, want, sizeof want), n);
	assert_memory_equal(got, want, n);
}

static void check_transport(const uint8_t key[32], const char *payload, const char *message)
{
	uint8_t plain[128], out[128 + 16], nonce[12] = {0};
	size_t n = unhex(payload, plain, sizeof plain);
	crypto_aead_chacha20poly1305_ietf_encrypt(out, NULL, plain, n, NULL, 0, NULL, nonce, key);
	assert_hex(out, n + 16, message);
}

static void check_vector(const struct vector *v)
{
	uint8_t prologue[64], psk[32], is[32], ie[32], rs[32], re[32], is_pub[32], rs_pub[32], payload[128], out[512], back[512];
	size_t n_prologue = unhex(v->prologue, prologue, sizeof prologue), n;
	struct noise i, r;

	assert_int_equal(unhex(v->psk, psk, 32), 32);
	unhex(v->init_static, is, 32);
	unhex(v->init_ephemeral, ie, 32);
	unhex(v->resp_static, rs, 32);
	unhex(v->resp_ephemeral, re, 32);
	crypto_scalarmult_curve25519_base(is_pub, is);
	crypto_scalarmult_curve25519_base(rs_pub, rs);
	noise_begin(&i, prologue, n_prologue, rs_pub, psk);
	noise_begin(&r, prologue, n_prologue, rs_pub, psk);

	n = unhex(v->payload[0], payload, sizeof payload);
	assert_true(noise_write_1(&i, is, is_pub, rs_pub, ie, payload, n, out));
	assert_hex(out, n + 96, v->message[0]);
	assert_true(noise_read_1(&r, rs, rs_pub, out, n + 96, back, NULL, NULL));
	assert_memory_equal(back, payload, n);
	assert_memory_equal(r.rs, is_pub, 32);
	assert_memory_equal(i.ck1, r.ck1, 64);
	assert_memory_equal(i.h, r.h, 64);
	uint8_t mixed[64 + 32], hash[64];
	memcpy(mixed, i.h, 64);
	crypto_scalarmult_curve25519_base(mixed + 64, re);
	crypto_generichash_blake2b(hash, 64, mixed, sizeof mixed, NULL, 0);
	assert_hex(hash, 64, v->hash);

	n = unhex(v->payload[1], payload, sizeof payload);
	assert_true(noise_write_2(&r, re, payload, n, out));
	assert_hex(out, n + 48, v->message[1]);
	assert_true(noise_read_2(&i, is, out, n + 48, back));
	assert_memory_equal(back, payload, n);
	assert_memory_equal(i.h, r.h, 64);

	uint8_t k1[32], k2[32], ex[32], k1r[32], k2r[32], exr[32];
	noise_split(&i, k1, k2, ex);
	noise_split(&r, k1r, k2r, exr);
	assert_memory_equal(k1, k1r, 32);
	assert_memory_equal(k2, k2r, 32);
	assert_memory_equal(ex, exr, 32);
	check_transport(k1, v->payload[2], v->message[2]);
	check_transport(k2, v->payload[3], v->message[3]);
	noise_fini(&i);
	assert_true(sodium_is_zero((const uint8_t *)&i, sizeof i));
}

static void test_vectors(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++)
		check_vector(&vectors[i]);
}

struct pair {
	uint8_t secret[32], public[32];
};

static struct pair new_pair(void)
{
	struct pair p;
	randombytes_buf(p.secret, 32);
	crypto_scalarmult_curve25519_base(p.public, p.secret);
	return p;
}

/* Encodings of points of small order, and p-1, p, p+1 with either top bit. */
static const char *const low_order[] = {
    "0000000000000000000000000000000000000000000000000000000000000000", "0100000000000000000000000000000000000000000000000000000000000000",
    "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800", "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", "0000000000000000000000000000000000000000000000000000000000000080",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
};

static void test_low_order_responder(void **state)
{
	(void)state;
	struct pair s = new_pair(), e = new_pair();
	for (size_t i = 0; i < sizeof low_order / sizeof low_order[0]; i++) {
		uint8_t bad[32], out[128];
		struct noise ns;
		unhex(low_order[i], bad, 32);
		noise_begin(&ns, "x", 1, bad, NULL);
		assert_false(noise_write_1(&ns, s.secret, s.public, bad, e.secret, NULL, 0, out));
	}
}

/* A second encoding of a point that is fine otherwise: X25519 would reduce it, so it would be a second identity. */
static void test_not_canonical(void **state)
{
	(void)state;
	struct pair s = new_pair(), e = new_pair(), r = new_pair();
	uint8_t bad[32], out[128];
	struct noise ns;

	memcpy(bad, r.public, 32);
	bad[31] |= 0x80;
	noise_begin(&ns, "x", 1, bad, NULL);
	assert_false(noise_write_1(&ns, s.secret, s.public, bad, e.secret, NULL, 0, out));
	unhex("efffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", bad, 32); /* p + 2 */
	noise_begin(&ns, "x", 1, bad, NULL);
	assert_false(noise_write_1(&ns, s.secret, s.public, bad, e.secret, NULL, 0, out));
	unhex("ebffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", bad, 32); /* p - 2 is one */
	noise_begin(&ns, "x", 1, bad, NULL);
	assert_true(noise_write_1(&ns, s.secret, s.public, bad, e.secret, NULL, 0, out));
}

/* A message 1 whose e is the bad point and whose s is encrypted with the key that follows: es of a low-order e is known
 * to be zero, so an attacker could build it; the responder must stop at the point itself. */
static void test_low_order_ephemeral(void **state)
{
	(void)state;
	struct pair r = new_pair();
	for (size_t i = 0; i < sizeof low_order / sizeof low_order[0]; i++) {
		uint8_t in[96] = {0}, out[16];
		struct noise ns;
		unhex(low_order[i], in, 32);
		noise_begin(&ns, "x", 1, r.public, NULL);
		assert_false(noise_read_1(&ns, r.secret, r.public, in, sizeof in, out, NULL, NULL));
	}
}

static bool zero_ss(void *self, const uint8_t s_secret[32], const uint8_t rs[32], uint8_t ret_ss[32])
{
	(void)s_secret;
	(void)rs;
	++*(int *)self;
	memset(ret_ss, 0, 32);
	return true;
}

/* The static inside message 1, correctly encrypted, is checked before any hook is asked. */
static void test_low_order_static(void **state)
{
	(void)state;
	struct pair r = new_pair(), e = new_pair();
	for (size_t i = 0; i < sizeof low_order / sizeof low_order[0]; i++) {
		uint8_t bad[32], out[128], back[16];
		struct noise w, rd;
		int asked = 0;
		unhex(low_order[i], bad, 32);
		noise_begin(&w, "x", 1, r.public, NULL);
		noise_begin(&rd, "x", 1, r.public, NULL);
		/* s_secret is any: enc(s) comes before ss. */
		assert_true(noise_write_1(&w, e.secret, bad, r.public, e.secret, NULL, 0, out));
		assert_false(noise_read_1(&rd, r.secret, r.public, out, 96, back, NULL, NULL));
		if (i >= 5) { /* not canonical: refused before the hook */
			noise_begin(&rd, "x", 1, r.public, NULL);
			assert_false(noise_read_1(&rd, r.secret, r.public, out, 96, back, zero_ss, &asked));
			assert_int_equal(asked, 0);
		}
	}
}

static void test_low_order_answer(void **state)
{
	(void)state;
	struct pair s = new_pair(), e = new_pair(), r = new_pair();
	for (size_t i = 0; i < sizeof low_order / sizeof low_order[0]; i++) {
		uint8_t out[128], in[48] = {0}, back[16];
		struct noise ns;
		noise_begin(&ns, "x", 1, r.public, NULL);
		assert_true(noise_write_1(&ns, s.secret, s.public, r.public, e.secret, NULL, 0, out));
		unhex(low_order[i], in, 32);
		assert_false(noise_read_2(&ns, s.secret, in, sizeof in, back));
	}
}

/* A different prologue, psk or static of the responder on one side breaks the run. */
static void test_mismatch(void **state)
{
	(void)state;
	struct pair s = new_pair(), e = new_pair(), r = new_pair(), e2 = new_pair();
	uint8_t out[128], out2[128], back[16], psk[32] = {1};
	struct noise i, p;

	noise_begin(&i, "prologue", 8, r.public, NULL);
	assert_true(noise_write_1(&i, s.secret, s.public, r.public, e.secret, (const uint8_t *)"hi", 2, out));

	noise_begin(&p, "prologuf", 8, r.public, NULL);
	assert_false(noise_read_1(&p, r.secret, r.public, out, 98, back, NULL, NULL));
	noise_begin(&p, "prologue", 8, s.public, NULL);
	assert_false(noise_read_1(&p, r.secret, r.public, out, 98, back, NULL, NULL));
	noise_begin(&p, "prologue", 8, r.public, NULL);
	assert_false(noise_read_1(&p, r.secret, r.public, out, 95, back, NULL, NULL));

	noise_begin(&p, "prologue", 8, r.public, psk);
	assert_true(noise_read_1(&p, r.secret, r.public, out, 98, back, NULL, NULL));
	assert_true(noise_write_2(&p, e2.secret, (const uint8_t *)"ho", 2, out2));
	assert_false(noise_read_2(&i, s.secret, out2, 50, back));
	assert_false(noise_read_2(&i, s.secret, out2, 47, back));
}

int main(void)
{
	if (sodium_init() < 0)
		return 1;
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_vectors),          cmocka_unit_test(test_low_order_responder),
	    cmocka_unit_test(test_not_canonical),    cmocka_unit_test(test_low_order_ephemeral),
	    cmocka_unit_test(test_low_order_static), cmocka_unit_test(test_low_order_answer),
	    cmocka_unit_test(test_mismatch),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
