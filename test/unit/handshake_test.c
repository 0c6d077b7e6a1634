/* handshake_test: INIT, RESP and RETRY between two made-up identities: what passes, and everything that must not.
 *
 * Forged messages are built from good ones by lifting the mask (whoever knows the gate can) and renewing mac1, so that a
 * refusal is the work of the layer under test and not of the MAC around it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "proto/handshake.h"

#define CAPS  (CAP_GCM | CAP_CHACHA | 3u << CAP_LANES_SHIFT)
#define IDX_A 0x11223340u
#define IDX_B 0x55667780u

struct side {
	struct secret secret;
	struct gate gate; /* gate_0 of this side as responder */
};

static struct side a, b, c;

static void make_side(struct side *s)
{
	randombytes_buf(s->secret.x, 32);
	crypto_scalarmult_curve25519_base(s->secret.self.x, s->secret.x);
	crypto_sign_keypair(s->secret.self.ed, s->secret.ed);
	identity_hash(&s->secret.self);
	gate_derive(&s->gate, s->secret.self.key_hash, gate_zero);
}

static int setup(void **state)
{
	(void)state;
	make_side(&a);
	make_side(&b);
	make_side(&c);
	return 0;
}

static const struct init_payload init_plain = {.caps = CAPS, .ts = {0, 0, 0, 7, 1, 2, 3, 4, 5, 6, 7, 8}, .fresh = {9}};
static const struct resp_payload resp_plain = {
    .idx = IDX_B,
    .suite = SUITE_CHACHA20_POLY1305,
    .lanes = 4,
    .max_datagram = 1472,
    .caps = CAPS,
    .observed = {.family = 4, .port = 51820, .ip = {192, 0, 2, 1}},
    .epoch = 77,
};

/* An INIT from a to b with a given padding. */
static size_t make_init(struct handshake *hs, const struct init_payload *p, unsigned pad_len, uint8_t out[INIT_SEND_MAX])
{
	struct handshake_draw draw;
	randombytes_buf(&draw, sizeof draw);
	draw.pad_len = pad_len;
	return init_create(hs, &a.secret, &b.secret.self, &b.gate, NULL, IDX_A, p, out, INIT_SEND_MAX, &draw);
}

/* Both sides after message 1; returns the length of the INIT. */
static size_t exchange_init(struct handshake *i, struct handshake *r)
{
	uint8_t d[INIT_SEND_MAX];
	struct init_payload got;
	size_t n = make_init(i, &init_plain, 20, d);
	assert_true(n > 0);
	assert_true(gate_check(&b.gate, d, n));
	assert_int_equal(init_consume(r, &b.secret, &b.gate, NULL, d, n, &got), DROP_NONE);
	return n;
}

static void lift_init(uint8_t *d, size_t n)
{
	uint8_t nonce[24] = {0};
	memcpy(nonce, d, 16);
	crypto_stream_xchacha20_xor(d + 16, d + 16, n - 48, nonce, b.gate.mask);
}

static void renew_mac1(uint8_t *d, size_t n)
{
	crypto_generichash_blake2b(d + n - 32, 16, d, n - 32, b.gate.mac1, 32);
}

static enum drop consume(const uint8_t *d, size_t n)
{
	uint8_t copy[INIT_MAX + 64];
	struct handshake hs, before;
	struct init_payload got;
	randombytes_buf(&hs, sizeof hs);
	before = hs;
	memcpy(copy, d, n);
	enum drop verdict = init_consume(&hs, &b.secret, &b.gate, NULL, copy, n, &got);
	if (verdict != DROP_NONE)
		assert_memory_equal(&hs, &before, sizeof hs); /* outputs untouched on failure */
	handshake_fini(&hs);
	return verdict;
}

static void test_round_trip(void **state)
{
	(void)state;
	uint8_t d[INIT_SEND_MAX], tlvs[64], answer[INIT_SEND_MAX];
	struct writer w = writer_over(tlvs, sizeof tlvs);
	struct handshake i, r;
	struct init_payload p = init_plain, got;
	struct resp_payload q = resp_plain, back;
	struct session_keys ki, kr;

	assert_true(tlv_put(&w, TLV_CHAN, "\xc5\x05\x76\x29\xd8\0\0\x01\x07\0", 10));
	assert_true(tlv_put(&w, TLV_CREDENTIAL, "cred", 4));
	p.tlvs = q.tlvs = tlvs;
	p.tlvs_len = q.tlvs_len = writer_len(&w);
	size_t n = init_create(&i, &a.secret, &b.secret.self, &b.gate, NULL, IDX_A, &p, d, sizeof d, NULL);
	assert_in_range(n, INIT_MIN + p.tlvs_len, INIT_MIN + p.tlvs_len + 63);
	assert_memory_equal(init_mac1(d, n), i.mac1, 16);

	assert_true(gate_check(&b.gate, d, n));
	assert_false(gate_check(&a.gate, d, n));
	assert_int_equal(init_consume(&r, &b.secret, &b.gate, NULL, d, n, &got), DROP_NONE);
	assert_int_equal(r.idx, IDX_A);
	assert_memory_equal(r.peer.key_hash, a.secret.self.key_hash, 32);
	assert_memory_equal(r.peer.x, a.secret.self.x, 32);
	assert_memory_equal(r.peer.ed, a.secret.self.ed, 32);
	assert_int_equal(r.peer.address, 0);
	assert_memory_equal(r.mac1, i.mac1, 16);
	assert_int_equal(got.caps, p.caps);
	assert_memory_equal(got.ts, p.ts, 12);
	assert_memory_equal(got.fresh, p.fresh, 16);
	assert_int_equal(got.tlvs_len, p.tlvs_len);
	assert_memory_equal(got.tlvs, tlvs, got.tlvs_len);

	size_t m = resp_create(&r, &b.secret, &q, n, answer, sizeof answer, &kr, NULL);
	assert_in_range(m, RESP_MIN + q.tlvs_len, n);
	assert_int_equal(resp_consume(&i, &a.secret, CAPS, answer, m, &back, &ki), DROP_NONE);
	assert_int_equal(back.idx, IDX_B);
	assert_int_equal(back.suite, q.suite);
	assert_int_equal(back.lanes, 4);
	assert_int_equal(back.max_datagram, 1472);
	assert_int_equal(back.caps, CAPS);
	assert_memory_equal(&back.observed, &q.observed, sizeof q.observed);
	assert_int_equal(back.epoch, 77);
	assert_int_equal(back.tlvs_len, q.tlvs_len);
	assert_memory_equal(back.tlvs, tlvs, back.tlvs_len);

	assert_memory_equal(ki.send, kr.receive, 32);
	assert_memory_equal(ki.receive, kr.send, 32);
	assert_memory_equal(ki.exporter, kr.exporter, 32);
	assert_memory_not_equal(ki.send, ki.receive, 32);
	assert_memory_not_equal(ki.send, ki.exporter, 32);
	handshake_fini(&i);
	assert_true(sodium_is_zero((const uint8_t *)&i, sizeof i));
}

static void test_init_truncated_and_flipped(void **state)
{
	(void)state;
	uint8_t d[INIT_SEND_MAX];
	struct handshake i;
	size_t n = make_init(&i, &init_plain, 0, d);
	assert_int_equal(n, INIT_MIN);
	for (size_t k = 0; k < n; k++) {
		assert_false(gate_check(&b.gate, d, k));
		assert_int_not_equal(consume(d, k), DROP_NONE);
	}
	/* Without the gate's MAC in front: every bit from the salt to the end of the ciphertext. */
	for (size_t bit = 0; bit < (n - 32) * 8; bit++) {
		d[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_false(gate_check(&b.gate, d, n));
		assert_int_not_equal(consume(d, n), DROP_NONE);
		d[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	assert_int_equal(consume(d, n), DROP_NONE);
	n = make_init(&i, &init_plain, 63, d); /* padding is mac1's */
	for (size_t bit = 0; bit < (n - 16) * 8; bit++) {
		d[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_false(gate_check(&b.gate, d, n));
		d[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	assert_int_equal(consume(d, n), DROP_NONE);
}

/* A good 216-byte INIT stretched with padding to n bytes: the mask and the MACs are the only things to renew. */
static void test_init_lengths(void **state)
{
	(void)state;
	uint8_t d[INIT_MAX + 1], longer[INIT_MAX + 1];
	struct handshake i;
	size_t n = make_init(&i, &init_plain, 0, d);
	static const struct {
		size_t n;
		bool pass;
	} cases[] = {{215, false}, {216, true}, {1232, true}, {1233, false}};

	lift_init(d, n);
	for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
		size_t m = cases[k].n;
		memset(longer, 0x5a, sizeof longer);
		memcpy(longer, d, m < n - 32 ? m : n - 32);
		lift_init(longer, m);
		renew_mac1(longer, m);
		assert_int_equal(gate_check(&b.gate, longer, m), cases[k].pass);
		assert_int_equal(consume(longer, m) == DROP_NONE, cases[k].pass);
	}
}

/* T23: whatever the TLVs, an INIT is at most 1024 bytes or not written. */
static void test_init_never_above_1024(void **state)
{
	(void)state;
	uint8_t d[1200], tlvs[1100] = {0};
	struct handshake i, before;
	memset(&i, 0x33, sizeof i);
	before = i;
	for (size_t len = 700; len <= 1100; len += len > 740 && len < 805 ? 1 : 23) {
		struct init_payload p = init_plain;
		p.tlvs = tlvs;
		p.tlvs_len = len;
		memset(d, 0xee, sizeof d);
		size_t n = init_create(&i, &a.secret, &b.secret.self, &b.gate, NULL, IDX_A, &p, d, sizeof d, NULL);
		if (INIT_MIN + len <= INIT_SEND_MAX) {
			assert_in_range(n, INIT_MIN + len, INIT_SEND_MAX);
			assert_int_equal(d[n], 0xee);
			i = before;
		} else {
			assert_int_equal(n, 0);
			assert_int_equal(d[0], 0xee);
			assert_memory_equal(&i, &before, sizeof i);
		}
	}
	assert_int_equal(init_create(&i, &a.secret, &b.secret.self, &b.gate, NULL, IDX_A, &init_plain, d, INIT_MIN - 1, NULL), 0);
	assert_int_equal(init_create(&i, &a.secret, &b.secret.self, &b.gate, NULL, IDX_A, &init_plain, d, INIT_MIN, NULL), INIT_MIN);
}

/* Header fields changed by someone who knows the gate: form before crypto, and what keeps its form breaks the prologue. */
static void test_init_header(void **state)
{
	(void)state;
	uint8_t d[INIT_SEND_MAX], forged[INIT_SEND_MAX];
	struct handshake i;
	size_t n = make_init(&i, &init_plain, 8, d);
	static const struct {
		size_t at;
		uint8_t value[4];
		size_t len;
		enum drop verdict;
	} cases[] = {
	    {16, {2}, 1, DROP_INIT_FORM},    /* version */
	    {17, {2}, 1, DROP_INIT_FORM},    /* kind */
	    {18, {0, 0}, 2, DROP_INIT_FORM}, /* len below the smallest */
	    {18, {183, 0}, 2, DROP_INIT_FORM},
	    {18, {185, 0}, 2, DROP_INIT_CRYPTO}, /* inside the padding */
	    {18, {193, 0}, 2, DROP_INIT_FORM},   /* into mac1 */
	    {18, {0xff, 0xff}, 2, DROP_INIT_FORM},
	    {20, {0, 0, 0, 0}, 4, DROP_INIT_FORM},    /* index zero */
	    {20, {0x41}, 1, DROP_INIT_FORM},          /* index with a lane */
	    {20, {0x50}, 1, DROP_INIT_CRYPTO},        /* another index */
	    {104, {0, 0, 0, 0}, 4, DROP_INIT_CRYPTO}, /* caps cleared */
	};
	assert_int_equal(consume(d, n), DROP_NONE);
	struct init_payload p = init_plain;
	p.caps = CAP_GCM; /* suite 2 is mandatory */
	assert_int_equal(consume(forged, make_init(&i, &p, 8, forged)), DROP_INIT_FORM);
	lift_init(d, n);
	for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
		memcpy(forged, d, n);
		memcpy(forged + cases[k].at, cases[k].value, cases[k].len);
		lift_init(forged, n);
		renew_mac1(forged, n);
		assert_true(gate_check(&b.gate, forged, n));
		assert_int_equal(consume(forged, n), cases[k].verdict);
	}
}

static void test_tlvs(void **state)
{
	(void)state;
	static const struct {
		const char *bytes;
		size_t n;
		bool good;
	} cases[] = {
	    {"", 0, true},
	    {"\x63\0\x02\0ab", 6, true},           /* unknown: skipped */
	    {"\x63\x01\x02\0ab", 6, false},        /* unknown and critical */
	    {"\x03\x01\x08\0abcdefgh", 12, false}, /* a later stage's, critical */
	    {"\x03\0\x08\0abcdefgh", 12, true},
	    {"\x04\x01\x0a\0abcdefghij", 14, true}, /* known and critical */
	    {"\x04\xfe\x0a\0abcdefghij", 14, true}, /* other flags mean nothing */
	    {"\x63\0\x03\0ab", 6, false},           /* overrun */
	    {"\x63\0\x02", 3, false},               /* half a header */
	    {"\x63\0\0\0\x63\x01\0\0", 8, false},   /* the second one */
	};
	uint8_t d[INIT_SEND_MAX], answer[INIT_SEND_MAX];
	struct handshake i, r;
	for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
		struct init_payload p = init_plain;
		p.tlvs = (const uint8_t *)cases[k].bytes;
		p.tlvs_len = cases[k].n;
		assert_int_equal(tlvs_check(p.tlvs, p.tlvs_len), cases[k].good);
		size_t n = make_init(&i, &p, 3, d);
		assert_int_equal(consume(d, n), cases[k].good ? DROP_NONE : DROP_INIT_FORM);
	}
	/* In a RESP; one with an overrun cannot be written, its TLVs are left out. */
	for (size_t k = 0; k < 7; k++) {
		struct resp_payload q = resp_plain, back;
		struct session_keys ki, kr;
		q.tlvs = (const uint8_t *)cases[k].bytes;
		q.tlvs_len = cases[k].n;
		size_t n = exchange_init(&i, &r), m = resp_create(&r, &b.secret, &q, n, answer, sizeof answer, &kr, NULL);
		assert_int_equal(resp_consume(&i, &a.secret, CAPS, answer, m, &back, &ki), cases[k].good ? DROP_NONE : DROP_RESP_FORM);
	}
	struct writer w = writer_over(d, 9);
	assert_true(tlv_put(&w, 9, "abcd", 4));
	assert_false(tlv_put(&w, 9, "", 0)); /* no room for its header */
	assert_int_equal(writer_len(&w), 8);
	struct reader rd = reader_over("\x07\x01\x01\0z\x63\0\x02\0a", 10);
	uint8_t type;
	const uint8_t *value;
	size_t len;
	assert_true(tlv_next(&rd, &type, &value, &len));
	assert_int_equal(type, 7);
	assert_int_equal(len, 1);
	assert_int_equal(*value, 'z');
	assert_false(tlv_next(&rd, &type, &value, &len));
	assert_true(rd.bad);
}

/* T24: a responder's key of low order writes nothing; a claimed static or Ed25519 key of low order is refused. */
static void test_low_order(void **state)
{
	(void)state;
	static const char *const ed_bad[] = {
	    "0000000000000000000000000000000000000000000000000000000000000000",
	    "0100000000000000000000000000000000000000000000000000000000000000",
	    "0100000000000000000000000000000000000000000000000000000000000080",
	    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
	    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
	    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
	    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
	};
	uint8_t d[INIT_SEND_MAX];
	struct handshake i, before;
	struct side bad = b;

	randombytes_buf(&i, sizeof i);
	before = i;
	memset(bad.secret.self.x, 0, 32);
	assert_int_equal(init_create(&i, &a.secret, &bad.secret.self, &b.gate, NULL, IDX_A, &init_plain, d, sizeof d, NULL), 0);
	assert_memory_equal(&i, &before, sizeof i);

	bad = a;
	memset(bad.secret.self.x, 0, 32);
	size_t n = init_create(&i, &bad.secret, &b.secret.self, &b.gate, NULL, IDX_A, &init_plain, d, sizeof d, NULL);
	struct ss_cache cache = {0};
	struct handshake r;
	struct init_payload got;
	assert_true(gate_check(&b.gate, d, n));
	assert_int_equal(init_consume(&r, &b.secret, &b.gate, &cache, d, n, &got), DROP_INIT_CRYPTO);
	assert_true(sodium_is_zero((const uint8_t *)&cache, sizeof cache));

	for (size_t k = 0; k < sizeof ed_bad / sizeof ed_bad[0]; k++) {
		bad = a;
		sodium_hex2bin(bad.secret.self.ed, 32, ed_bad[k], 64, NULL, NULL, NULL);
		assert_int_equal(crypto_core_ed25519_is_valid_point(bad.secret.self.ed), 0);
		n = init_create(&i, &bad.secret, &b.secret.self, &b.gate, NULL, IDX_A, &init_plain, d, sizeof d, NULL);
		assert_int_equal(consume(d, n), DROP_INIT_FORM);
	}
}

/* T24b: X of one and Ed of another is a third identity, as initiator and as responder. */
static void test_identity_mix(void **state)
{
	(void)state;
	uint8_t d[INIT_SEND_MAX];
	struct handshake i, r;
	struct init_payload got;
	struct side mixed = a;

	memcpy(mixed.secret.self.ed, c.secret.self.ed, 32);
	size_t n = init_create(&i, &mixed.secret, &b.secret.self, &b.gate, NULL, IDX_A, &init_plain, d, sizeof d, NULL);
	assert_int_equal(init_consume(&r, &b.secret, &b.gate, NULL, d, n, &got), DROP_NONE);
	assert_memory_not_equal(r.peer.key_hash, c.secret.self.key_hash, 32);
	assert_memory_not_equal(r.peer.key_hash, a.secret.self.key_hash, 32);

	mixed = b;
	memcpy(mixed.secret.self.ed, c.secret.self.ed, 32);
	identity_hash(&mixed.secret.self);
	n = init_create(&i, &a.secret, &mixed.secret.self, &b.gate, NULL, IDX_A, &init_plain, d, sizeof d, NULL);
	assert_true(gate_check(&b.gate, d, n)); /* even with the right gate the prologue differs */
	assert_int_equal(consume(d, n), DROP_INIT_CRYPTO);
}

static void test_ss_cache(void **state)
{
	(void)state;
	uint8_t d[INIT_SEND_MAX];
	struct handshake i, r;
	struct init_payload got;
	struct ss_cache cache = {0};

	size_t n = make_init(&i, &init_plain, 0, d);
	lift_init(d, n);
	d[150] ^= 1; /* the payload does not decrypt: nothing is remembered */
	lift_init(d, n);
	assert_int_equal(init_consume(&r, &b.secret, &b.gate, &cache, d, n, &got), DROP_INIT_CRYPTO);
	assert_true(sodium_is_zero((const uint8_t *)&cache, sizeof cache));

	unsigned slot = a.secret.self.x[0] % 64;
	for (int k = 0; k < 2; k++) {
		n = make_init(&i, &init_plain, 0, d);
		assert_int_equal(init_consume(&r, &b.secret, &b.gate, &cache, d, n, &got), DROP_NONE);
		assert_memory_equal(cache.slot[slot].x, a.secret.self.x, 32);
	}
	cache.slot[slot].ss[0] ^= 1; /* it is really used */
	n = make_init(&i, &init_plain, 0, d);
	assert_int_equal(init_consume(&r, &b.secret, &b.gate, &cache, d, n, &got), DROP_INIT_CRYPTO);
}

static void test_mac2(void **state)
{
	(void)state;
	uint8_t d[INIT_SEND_MAX], secret[32], cookie[16], other[16];
	struct endpoint from = {.family = 4, .port = 51820, .ip = {192, 0, 2, 1}}, port = from, ip = from, v6 = from;
	struct handshake i;
	randombytes_buf(secret, 32);
	cookie_value(secret, &from, cookie);
	size_t n = init_create(&i, &a.secret, &b.secret.self, &b.gate, cookie, IDX_A, &init_plain, d, sizeof d, NULL);
	assert_true(init_mac2_check(d, n, cookie));
	assert_int_equal(consume(d, n), DROP_NONE);
	port.port++;
	ip.ip[3]++;
	v6.family = 6;
	const struct endpoint *const others[] = {&port, &ip, &v6};
	for (int k = 0; k < 3; k++) {
		cookie_value(secret, others[k], other);
		assert_false(init_mac2_check(d, n, other));
	}
	from.ip[5] = 1; /* what stands behind an IPv4 address does not count */
	cookie_value(secret, &from, other);
	assert_memory_equal(cookie, other, 16);
	secret[0] ^= 1;
	cookie_value(secret, &from, other);
	assert_false(init_mac2_check(d, n, other));
	for (size_t bit = 0; bit < n * 8; bit++) {
		d[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_false(init_mac2_check(d, n, cookie));
		d[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	for (size_t k = 0; k < n; k++)
		assert_false(init_mac2_check(d, k, cookie));
	n = make_init(&i, &init_plain, 0, d); /* none held: random */
	assert_false(init_mac2_check(d, n, cookie));
}

int main(void)
{
	if (sodium_init() < 0)
		return 1;
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_round_trip),   cmocka_unit_test(test_init_truncated_and_flipped),
	    cmocka_unit_test(test_init_lengths), cmocka_unit_test(test_init_never_above_1024),
	    cmocka_unit_test(test_init_header),  cmocka_unit_test(test_tlvs),
	    cmocka_unit_test(test_low_order),    cmocka_unit_test(test_identity_mix),
	    cmocka_unit_test(test_ss_cache),     cmocka_unit_test(test_mac2),
	};
	return cmocka_run_group_tests(tests, setup, NULL);
}
