/* resp_test: RESP and RETRY between two made-up identities. The initiator's state must survive every message that is not
 * the one it waits for, so each refusal compares the state before and after and the good message is opened last. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "proto/handshake.h"

#define CAPS  (CAP_GCM | CAP_CHACHA)
#define IDX_A 0x11223340u
#define IDX_B 0x55667780u

struct side {
	struct secret secret;
	struct gate gate;
};

static struct side a, b;

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
	return 0;
}

static const struct resp_payload plain_resp = {
    .idx = IDX_B,
    .suite = SUITE_CHACHA20_POLY1305,
    .lanes = 1,
    .max_datagram = 1472,
    .caps = CAPS,
    .epoch = 77,
    .observed = {.family = 6, .port = 9993, .ip = {0x20, 1, 0xd, 0xb8}},
};

/* Both sides after message 1; returns the length of the INIT. */
static size_t exchange_init(uint32_t caps, struct handshake *i, struct handshake *r)
{
	uint8_t d[INIT_SEND_MAX];
	struct init_payload p = {.caps = caps, .ts = {1}}, got;
	size_t n = init_create(i, &a.secret, &b.secret.self, &b.gate, NULL, IDX_A, &p, d, sizeof d, NULL);
	assert_true(gate_check(&b.gate, d, n));
	assert_int_equal(init_consume(r, &b.secret, &b.gate, NULL, d, n, &got), DROP_NONE);
	return n;
}

static enum drop consume(struct handshake *hs, uint32_t offered, const uint8_t *d, size_t n)
{
	uint8_t copy[INIT_MAX + 16];
	struct handshake before = *hs;
	struct resp_payload got, got_before;
	struct session_keys keys, keys_before;
	memset(&got, 0x77, sizeof got);
	memset(&keys, 0x77, sizeof keys);
	got_before = got;
	keys_before = keys;
	memcpy(copy, d, n);
	enum drop verdict = resp_consume(hs, &a.secret, offered, copy, n, &got, &keys);
	if (verdict != DROP_NONE) {
		assert_memory_equal(hs, &before, sizeof before);
		assert_memory_equal(&got, &got_before, sizeof got);
		assert_memory_equal(&keys, &keys_before, sizeof keys);
	}
	return verdict;
}

static void test_truncated_and_flipped(void **state)
{
	(void)state;
	struct handshake i, r;
	struct session_keys kr;
	uint8_t d[INIT_MAX];
	size_t n = exchange_init(CAPS, &i, &r), m = resp_create(&r, &b.secret, &plain_resp, n, d, sizeof d, &kr, NULL);
	for (size_t k = 0; k < m; k++)
		assert_int_not_equal(consume(&i, CAPS, d, k), DROP_NONE);
	for (size_t bit = 0; bit < m * 8; bit++) {
		d[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_int_equal(consume(&i, CAPS, d, m), DROP_RESP_CRYPTO);
		d[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	assert_int_equal(consume(&i, CAPS, d, m), DROP_NONE);
	assert_int_equal(consume(&i, CAPS, d, m), DROP_RESP_CRYPTO); /* opened once, the same again means nothing */
}

/* T23: 119 is too short, 120 the smallest, and no RESP is longer than its INIT or the room. */
static void test_lengths(void **state)
{
	(void)state;
	uint8_t tlvs[300], d[INIT_MAX + 1];
	struct writer w = writer_over(tlvs, sizeof tlvs);
	while (tlv_put(&w, TLV_CHAN, "0123456789", 10))
		;
	struct handshake i, r, kept;
	exchange_init(CAPS, &i, &r);
	kept = r;
	for (size_t init_len = RESP_MIN - 1; init_len < 460; init_len++) {
		struct resp_payload q = plain_resp, got;
		struct session_keys ki, kr;
		struct handshake fresh = i;
		q.tlvs = tlvs;
		q.tlvs_len = writer_len(&w);
		r = kept;
		memset(d, 0xee, sizeof d);
		size_t n = resp_create(&r, &b.secret, &q, init_len, d, sizeof d, &kr, NULL);
		if (init_len < RESP_MIN) {
			assert_int_equal(n, 0);
			assert_int_equal(d[0], 0xee);
			assert_memory_equal(&r, &kept, sizeof r);
			continue;
		}
		assert_in_range(n, RESP_MIN, init_len);
		assert_int_equal(d[n], 0xee);
		assert_int_equal(resp_consume(&fresh, &a.secret, CAPS, d, n, &got, &ki), DROP_NONE);
		size_t fit = (init_len - RESP_MIN) / 14 * 14;
		assert_int_equal(got.tlvs_len, fit < q.tlvs_len ? fit : q.tlvs_len);
		assert_memory_equal(got.tlvs, tlvs, got.tlvs_len);
	}
	struct session_keys kr;
	r = kept;
	assert_int_equal(resp_create(&r, &b.secret, &plain_resp, 400, d, RESP_MIN - 1, &kr, NULL), 0);
	assert_int_equal(resp_create(&r, &b.secret, &plain_resp, 400, d, RESP_MIN, &kr, NULL), RESP_MIN);
	assert_int_equal(consume(&i, CAPS, d, RESP_MIN - 1), DROP_RESP_FORM);
	assert_int_equal(consume(&i, CAPS, d, INIT_MAX + 1), DROP_RESP_FORM);
	assert_int_equal(consume(&i, CAPS, d, RESP_MIN), DROP_NONE);
}

static void key_of(uint8_t key[32], const struct noise *ns, const char *label)
{
	crypto_generichash_blake2b(key, 32, (const uint8_t *)label, strlen(label), ns->ck1, 64);
}

/* A RESP with any header and payload, sealed as the true responder would. */
static size_t forge(const struct handshake *r, const uint8_t header[4], const uint8_t *plain, size_t n, uint8_t *d)
{
	struct noise ns = r->noise;
	uint8_t e[32], key[32];
	size_t end = 52 + n + 16;
	randombytes_buf(e, 32);
	le32_to(d, r->idx);
	randombytes_buf(d + 4, 12);
	memcpy(d + 16, header, 4);
	assert_true(noise_write_2(&ns, e, plain, n, d + 20));
	key_of(key, &ns,
	       "\x09"
	       "fln1 resp");
	crypto_stream_chacha20_ietf_xor(d + 16, d + 16, end - 16, d + 4, key);
	key_of(key, &ns,
	       "\x09"
	       "fln1 rmac");
	crypto_generichash_blake2b(d + end, 16, d, end, key, 32);
	return end + 16;
}

static void test_forms(void **state)
{
	(void)state;
	static const struct {
		size_t at;
		uint8_t value;
		enum drop verdict;
	} cases[] = {
	    {0, 0x80, DROP_NONE},                                                     /* as it is */
	    {0, 0x81, DROP_RESP_FORM},                                                /* index with a lane */
	    {4, 0, DROP_RESP_FORM},                                                   /* no suite */
	    {4, 3, DROP_RESP_FORM},                                                   /* a suite nobody offered */
	    {4, 1, DROP_NONE},                                                        /* GCM was offered */
	    {5, 0, DROP_RESP_FORM},                                                   /* lanes */
	    {5, 16, DROP_NONE},        {5, 17, DROP_RESP_FORM}, {8, 0xff, DROP_NONE}, /* caps nobody knows are ignored */
	    {9, 0x02, DROP_RESP_FORM},                                                /* CTRL_CLASS not asked for */
	    {12, 5, DROP_RESP_FORM},                                                  /* family of the observed address */
	    {12, 0, DROP_NONE},
	};
	struct handshake i, r;
	uint8_t plain[36], d[INIT_MAX], idx[4];
	exchange_init(CAPS, &i, &r);
	struct writer w = writer_over(plain, sizeof plain);
	put_le32(&w, IDX_B);
	put_bytes(&w, "\x02\x01", 2);
	put_le16(&w, 1472);
	put_le32(&w, CAPS);
	put_endpoint(&w, &plain_resp.observed);
	put_be32(&w, 77);
	assert_int_equal(writer_len(&w), 36);
	memcpy(idx, plain, 4);

	for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
		struct handshake fresh = i;
		uint8_t changed[36];
		memcpy(changed, plain, 36);
		changed[cases[k].at] = cases[k].value;
		size_t n = forge(&r, (const uint8_t *)"\x01\x02\x68\0", changed, 36, d);
		assert_int_equal(consume(&fresh, CAPS, d, n), cases[k].verdict);
	}
	struct handshake wrong = r; /* sealed well, for another index of ours */
	wrong.idx ^= 0x10;
	size_t n = forge(&wrong, (const uint8_t *)"\x01\x02\x68\0", plain, 36, d);
	assert_int_equal(consume(&i, CAPS, d, n), DROP_RESP_CRYPTO);
	memset(plain, 0, 4); /* index zero */
	n = forge(&r, (const uint8_t *)"\x01\x02\x68\0", plain, 36, d);
	assert_int_equal(consume(&i, CAPS, d, n), DROP_RESP_FORM);
	memcpy(plain, idx, 4);
	static const uint8_t headers[][4] = {{2, 2, 104, 0}, {1, 1, 104, 0}, {1, 2, 103, 0}, {1, 2, 105, 0}, {1, 2, 0, 0xff}};
	for (size_t k = 0; k < sizeof headers / sizeof headers[0]; k++) {
		n = forge(&r, headers[k], plain, 36, d);
		assert_int_equal(consume(&i, CAPS, d, n), DROP_RESP_FORM);
	}
}

static void test_suites(void **state)
{
	(void)state;
	static const struct {
		uint32_t offered, caps;
		uint8_t suite;
		enum drop verdict;
	} cases[] = {
	    {CAP_CHACHA, CAP_CHACHA | CAP_GCM, SUITE_AES256_GCM, DROP_RESP_FORM},
	    {CAP_CHACHA | CAP_GCM, CAP_CHACHA, SUITE_AES256_GCM, DROP_NONE},
	    {CAP_CHACHA, CAP_CHACHA, SUITE_CHACHA20_POLY1305, DROP_NONE},
	    {CAP_CHACHA | CAP_CTRL_CLASS, CAP_CHACHA, SUITE_CHACHA20_POLY1305, DROP_RESP_FORM},
	    {CAP_CHACHA | CAP_CTRL_CLASS, CAP_CHACHA | CAP_CTRL_CLASS, SUITE_CHACHA20_POLY1305, DROP_NONE},
	    {CAP_CHACHA, CAP_CHACHA | CAP_CTRL_CLASS, SUITE_CHACHA20_POLY1305, DROP_RESP_FORM},
	    {CAPS | CAP_CTRL_CLASS, CAPS | CAP_CTRL_CLASS, SUITE_AES256_GCM, DROP_RESP_FORM},
	};
	for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
		struct handshake i, r;
		struct session_keys kr;
		struct resp_payload q = plain_resp;
		uint8_t d[INIT_MAX];
		size_t n = exchange_init(cases[k].offered, &i, &r);
		q.caps = cases[k].caps;
		q.suite = cases[k].suite;
		n = resp_create(&r, &b.secret, &q, n, d, sizeof d, &kr, NULL);
		assert_int_equal(consume(&i, cases[k].offered, d, n), cases[k].verdict);
	}
}

/* Answers cross: a RESP to one INIT is nothing to another pending one, with or without its index. */
static void test_other_pending(void **state)
{
	(void)state;
	struct handshake i1, r1, i2, r2;
	struct session_keys kr;
	uint8_t d[INIT_MAX];
	size_t n = exchange_init(CAPS, &i1, &r1);
	exchange_init(CAPS, &i2, &r2);
	n = resp_create(&r1, &b.secret, &plain_resp, n, d, sizeof d, &kr, NULL);
	assert_int_equal(consume(&i2, CAPS, d, n), DROP_RESP_CRYPTO);
	le32_to(d, i2.idx ^ 0x10);
	assert_int_equal(consume(&i2, CAPS, d, n), DROP_RESP_CRYPTO);
	le32_to(d, i1.idx);
	assert_int_equal(consume(&i1, CAPS, d, n), DROP_NONE);
}

static enum drop retry_read(const struct handshake *hs, const struct gate *gate, const uint8_t *d, size_t n, enum retry_kind *kind,
                            uint8_t value[16])
{
	struct handshake before = *hs;
	uint8_t mine[16] = {0};
	enum retry_kind got = RETRY_VERSION;
	enum drop verdict = retry_consume(hs, gate, d, n, &got, mine);
	assert_memory_equal(hs, &before, sizeof before);
	if (verdict != DROP_NONE) {
		assert_int_equal(got, RETRY_VERSION);
		assert_true(sodium_is_zero(mine, 16));
	}
	if (kind)
		*kind = got;
	if (value)
		memcpy(value, mine, 16);
	return verdict;
}

static void test_retry(void **state)
{
	(void)state;
	struct handshake i, r, i2, r2;
	uint8_t d[RETRY_BYTES + 1] = {0}, value[16], got[16], secret[32] = {3};
	enum retry_kind kind;
	struct gate gate;
	exchange_init(CAPS, &i, &r);
	exchange_init(CAPS, &i2, &r2);
	randombytes_buf(value, 16);
	for (int k = RETRY_COOKIE; k <= RETRY_FRESH; k++) {
		assert_int_equal(retry_create(&b.gate, r.idx, r.mac1, (enum retry_kind)k, value, d, NULL), RETRY_BYTES);
		for (size_t n = 0; n <= RETRY_BYTES + 1; n++)
			if (n != RETRY_BYTES)
				assert_int_equal(retry_read(&i, &b.gate, d, n, NULL, NULL), DROP_RETRY_CRYPTO);
		for (size_t bit = 0; bit < RETRY_BYTES * 8; bit++) {
			d[bit / 8] ^= (uint8_t)(1u << bit % 8);
			assert_int_equal(retry_read(&i, &b.gate, d, RETRY_BYTES, NULL, NULL), DROP_RETRY_CRYPTO);
			d[bit / 8] ^= (uint8_t)(1u << bit % 8);
		}
		/* Of another gate, of another INIT (a replay: same index, other mac1), under another index. */
		gate_derive(&gate, b.secret.self.key_hash, secret);
		assert_int_equal(retry_read(&i, &gate, d, RETRY_BYTES, NULL, NULL), DROP_RETRY_CRYPTO);
		assert_int_equal(retry_read(&i2, &b.gate, d, RETRY_BYTES, NULL, NULL), DROP_RETRY_CRYPTO);
		retry_create(&b.gate, r.idx ^ 0x10, r.mac1, (enum retry_kind)k, value, d, NULL);
		assert_int_equal(retry_read(&i, &b.gate, d, RETRY_BYTES, NULL, NULL), DROP_RETRY_CRYPTO);
		retry_create(&b.gate, r.idx, r.mac1, (enum retry_kind)k, value, d, NULL);
		assert_int_equal(retry_read(&i, &b.gate, d, RETRY_BYTES, &kind, got), DROP_NONE);
		assert_int_equal(kind, k);
		assert_memory_equal(got, value, 16);
	}
	retry_create(&b.gate, r.idx, r.mac1, RETRY_VERSION, value, d, NULL);
	assert_int_equal(retry_read(&i, &b.gate, d, RETRY_BYTES, NULL, NULL), DROP_RETRY_CRYPTO);
	retry_create(&b.gate, r.idx, r.mac1, (enum retry_kind)0, value, d, NULL);
	assert_int_equal(retry_read(&i, &b.gate, d, RETRY_BYTES, NULL, NULL), DROP_RETRY_CRYPTO);
}

/* fresh depends on the secret, the asker and the timestamp it has to beat. */
static void test_fresh(void **state)
{
	(void)state;
	uint8_t secret[32] = {1}, ts[12] = {2}, x[16], y[16];
	fresh_value(secret, a.secret.self.key_hash, ts, x);
	fresh_value(secret, a.secret.self.key_hash, ts, y);
	assert_memory_equal(x, y, 16);
	fresh_value(secret, b.secret.self.key_hash, ts, y);
	assert_memory_not_equal(x, y, 16);
	ts[11] = 1;
	fresh_value(secret, a.secret.self.key_hash, ts, y);
	assert_memory_not_equal(x, y, 16);
	ts[11] = 0;
	secret[31] = 1;
	fresh_value(secret, a.secret.self.key_hash, ts, y);
	assert_memory_not_equal(x, y, 16);
}

int main(void)
{
	if (sodium_init() < 0)
		return 1;
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_truncated_and_flipped),
	    cmocka_unit_test(test_lengths),
	    cmocka_unit_test(test_forms),
	    cmocka_unit_test(test_suites),
	    cmocka_unit_test(test_other_pending),
	    cmocka_unit_test(test_retry),
	    cmocka_unit_test(test_fresh),
	};
	return cmocka_run_group_tests(tests, setup, NULL);
}
