/* seal_test.c: DATA packets of both suites against PROTOCOL.md's vectors, against an independent one-shot construction, and with every
 * bit of a packet flipped, once for each backend; then the backends opening each other's packets, and the choice among them. The bare
 * AEADs are aead_test.c's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "proto/seal.h"
#include "proto/seal_backend.h"
#include "test/unit/hex.h"

static const uint8_t suites[] = {SUITE_AES256_GCM, SUITE_CHACHA20_POLY1305};
static const char *backend; /* the one that is forced */
#define IDX 0x11223342u     /* 0x11223340, lane 2 */

static void split_key(uint8_t key[32])
{
	for (unsigned i = 0; i < 32; i++)
		key[i] = (uint8_t)i;
}

/* A machine without AES in hardware has one suite; the other must then be refused. */
static bool ready(struct seal *s, uint8_t suite)
{
	uint8_t key[32];
	split_key(key);
	if (suite == SUITE_AES256_GCM && !seal_has_aes()) {
		assert_false(seal_init(s, suite, key));
		return false;
	}
	assert_true(seal_init(s, suite, key));
	return true;
}

static int force(void **state)
{
	(void)state;
	return seal_force_backend(backend) ? 0 : -1;
}

static int unforce(void **state)
{
	(void)state;
	return seal_force_backend("auto") ? 0 : -1;
}

static void vectors(void **state)
{
	(void)state;
	static const char *const packets[] = {
	    "4233221144f766453fdef2b2a6b1b4c0ffa017150909734f72badcb013b9b6914d011692fa724f0d82e4",
	    "42332211a5ed2be786d9c2743e0a1b6b684aa2ab0f013b7026b66fdf03fd4defe4126581eeec36778ed3",
	};
	for (unsigned i = 0; i < 2; i++) {
		struct seal s;
		uint8_t data[64] = {0};
		if (!ready(&s, suites[i]))
			continue;
		assert_hex(s.hp, "bf68b3515b6c5bbe0cd0968f5df6fe36");
		assert_hex(s.iv, "781bc211fa2141a3ca918164");
		if (suites[i] == SUITE_CHACHA20_POLY1305)
			assert_hex(s.schedule, "56ad55ef461b43fcd230e3c4102281e255540095a7a44aa1e9a17000d4c9902e");
		unhex(data + 12, 52, "01000700080045000015deadbeef");
		struct packet p = {.data = data, .len = 26, .room = 42};
		seal_batch(&s, IDX, 5, &p, 1);
		assert_int_equal(p.len, 42);
		assert_ptr_equal(p.data, data);
		assert_hex(data, packets[i]);
		assert_int_equal(data[42], 0);

		p.idx = IDX;
		p.pn = seal_unmask(&s, data, 42);
		assert_true(p.pn == 5);
		open_batch(&s, &p, 1);
		assert_int_equal(p.verdict, DROP_NONE);
		assert_ptr_equal(p.data, data + 12);
		assert_int_equal(p.len, 14);
		assert_int_equal(p.room, 30);
		assert_hex(p.data, "01000700080045000015deadbeef");
	}
}

/* avx2 has none of its own. */
static const char *backend_of_aes(void)
{
	const struct aead *ipsecmb = seal_ipsecmb(SUITE_AES256_GCM);
	return strcmp(backend, "avx2") != 0 ? backend : ipsecmb ? "ipsec-mb" : "libsodium";
}

static void suites_known(void **state)
{
	(void)state;
	uint8_t key[32];
	struct seal s;
	split_key(key);
	for (unsigned suite = 0; suite < 256; suite++) {
		memset(&s, 0x5a, sizeof(s));
		bool want = suite == SUITE_CHACHA20_POLY1305 || (suite == SUITE_AES256_GCM && seal_has_aes());
		assert_int_equal(seal_init(&s, (uint8_t)suite, key), want);
		if (suite == SUITE_AES256_GCM)
			assert_string_equal(seal_backend(SUITE_AES256_GCM), want ? backend_of_aes() : "none");
		else if (!want)
			assert_string_equal(seal_backend((uint8_t)suite), "none");
		if (!want)
			assert_int_equal(s.suite, 0x5a);
	}
	seal_fini(&s);
	assert_true(sodium_is_zero((const uint8_t *)&s, sizeof(s)));
}

/* The packet as the text of PROTOCOL.md says it, byte by byte, with the one-shot calls. */
static size_t by_the_book(uint8_t suite, uint32_t idx, uint64_t pn, const uint8_t *text, size_t len, uint8_t *out)
{
	uint8_t key[32], aead[32], iv[16], hp[16], nonce[12], mask[8];
	split_key(key);
	crypto_kdf_derive_from_key(aead, 32, 1, "fln1data", key);
	crypto_kdf_derive_from_key(iv, 16, 2, "fln1data", key);
	crypto_kdf_derive_from_key(hp, 16, 3, "fln1data", key);
	for (unsigned i = 0; i < 12; i++) {
		uint64_t word = i < 4 ? (idx & 15) : pn;
		unsigned shift = i < 4 ? 8 * (3 - i) : 8 * (11 - i);
		nonce[i] = iv[i] ^ (uint8_t)(word >> shift);
	}
	for (unsigned i = 0; i < 12; i++)
		out[i] = (uint8_t)(i < 4 ? idx >> (8 * i) : (uint32_t)(pn >> (8 * (i - 4))));
	unsigned long long n = 0;
	if (suite == SUITE_AES256_GCM)
		crypto_aead_aes256gcm_encrypt(out + 12, &n, text, len, out, 12, NULL, nonce, aead);
	else
		crypto_aead_chacha20poly1305_ietf_encrypt(out + 12, &n, text, len, out, 12, NULL, nonce, aead);
	crypto_shorthash(mask, out + 12 + n - 16, 16, hp);
	for (unsigned i = 0; i < 8; i++)
		out[4 + i] ^= mask[i];
	return 12 + (size_t)n;
}

static uint8_t slab[BATCH_MAX][9216];

/* Full batches in place, sizes from the smallest to the largest, odd alignments, counters around
 * 2^32. */
static void batches(void **state)
{
	(void)state;
	static const uint32_t lens[] = {4, 5, 15, 16, 17, 60, 63, 64, 65, 127, 128, 129, 1000, 1204, 1438, 8970};
	static uint8_t book[9216], text[9216];
	static struct batch b;
	for (unsigned i = 0; i < 2; i++) {
		struct seal s;
		if (!ready(&s, suites[i]))
			continue;
		for (unsigned round = 0; round < 4; round++) {
			uint32_t idx = 0xfedcba90u | (round * 5);
			uint64_t pn = round ? (UINT64_C(1) << 32) - 1 - 16 * (uint64_t)round : 0;
			b.n = BATCH_MAX;
			for (unsigned k = 0; k < BATCH_MAX; k++) {
				uint32_t len = lens[(k + round) % 16];
				uint8_t *at = slab[k] + (k + round) % 16;
				b.p[k] = (struct packet){.data = at, .len = 12 + len, .room = 12 + len + 16};
				memset(at + 12, (int)(k + 1), len);
				at[12 + len + 16] = 0x77; /* sentinel */
			}
			seal_batch(&s, idx, pn, b.p, b.n);
			for (unsigned k = 0; k < BATCH_MAX; k++) {
				struct packet *p = &b.p[k];
				uint32_t len = lens[(k + round) % 16];
				memset(text, (int)(k + 1), len);
				assert_int_equal(p->len, by_the_book(suites[i], idx, pn + k, text, len, book));
				assert_memory_equal(p->data, book, p->len);
				assert_int_equal(p->data[p->len], 0x77);
				assert_true(seal_unmask(&s, p->data, p->len) == pn + k);
				p->idx = idx;
			}
			seal_unmask_batch(&s, b.p, b.n);
			for (unsigned k = 0; k < BATCH_MAX; k++)
				assert_true(b.p[k].pn == pn + k);
			/* One is dead already and one is spoiled: neither touches its neighbours.
			 */
			b.p[20].verdict = DROP_REPLAY;
			b.p[41].data[14] ^= 0x10;
			uint8_t dead = b.p[20].data[13];
			open_batch(&s, b.p, b.n);
			for (unsigned k = 0; k < BATCH_MAX; k++) {
				struct packet *p = &b.p[k];
				uint32_t len = lens[(k + round) % 16];
				if (k == 20) {
					assert_int_equal(p->verdict, DROP_REPLAY);
					assert_int_equal(p->data[13], dead);
				} else if (k == 41) {
					assert_int_equal(p->verdict, DROP_AEAD);
				} else {
					memset(text, (int)(k + 1), len);
					assert_int_equal(p->verdict, DROP_NONE);
					assert_int_equal(p->len, len);
					assert_memory_equal(p->data, text, len);
				}
			}
		}
	}
}

/* Opens a copy of the packet as the receiver does and tells the verdict; after a refusal no text
 * may be left. */
static enum drop opened(const struct seal *s, const uint8_t *datagram, uint32_t len, uint32_t idx)
{
	uint8_t copy[256];
	memcpy(copy, datagram, len);
	struct packet p = {.data = copy, .len = len, .room = len, .idx = idx};
	p.pn = seal_unmask(s, copy, len);
	open_batch(s, &p, 1);
	if (p.verdict == DROP_AEAD) {
		assert_ptr_equal(p.data, copy);
		assert_int_equal(p.len, len);
		assert_true(sodium_is_zero(copy + 12, len - 12));
	}
	return p.verdict;
}

static void every_bit(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct seal s, other;
		uint8_t data[128], key[32];
		if (!ready(&s, suites[i]))
			continue;
		memset(data, 0x61, sizeof(data));
		struct packet p = {.data = data, .len = 100, .room = 116};
		seal_batch(&s, IDX, 0x123456789, &p, 1);
		assert_int_equal(opened(&s, data, 116, IDX), DROP_NONE);
		for (unsigned bit = 0; bit < 116 * 8; bit++) {
			data[bit / 8] ^= (uint8_t)(1 << bit % 8);
			assert_int_equal(opened(&s, data, 116, le32_at(data)), DROP_AEAD);
			data[bit / 8] ^= (uint8_t)(1 << bit % 8);
		}
		for (uint32_t len = 32; len < 116; len++)
			assert_int_equal(opened(&s, data, len, IDX), DROP_AEAD);
		for (uint32_t lane = 0; lane < 16; lane++)
			assert_int_equal(opened(&s, data, 116, (IDX & IDX_MASK) | lane), lane == 2 ? DROP_NONE : DROP_AEAD);
		/* The other direction's key, and the other suite under the same key. */
		split_key(key);
		key[31] ^= 0x80;
		assert_true(seal_init(&other, suites[i], key));
		assert_int_equal(opened(&other, data, 116, IDX), DROP_AEAD);
		if (ready(&other, suites[1 - i]))
			assert_int_equal(opened(&other, data, 116, IDX), DROP_AEAD);
	}
}

static void too_short(void **state)
{
	(void)state;
	struct seal s;
	assert_true(ready(&s, SUITE_CHACHA20_POLY1305));
	uint8_t *data = malloc(31); /* exact, for AddressSanitizer */
	assert_non_null(data);
	memset(data, 0, 31);
	for (uint32_t len = 0; len < 32; len++) {
		struct packet p = {.data = data, .len = len, .room = 31};
		open_batch(&s, &p, 1);
		assert_int_equal(p.verdict, DROP_SHORT);
	}
	free(data);
}

static const uint32_t edges[] = {512, 1000, 1023, 1024, 1025, 1408, 1436, 1440, 4080, 4095, 4096, 4097, 4112, 8191, 8192, 8193, 8972, 9000};

/* len: plaintext bytes from 4 on. The one seals, the other opens, and would have sealed to the same bytes. */
static void crossed(const struct seal *from, const struct seal *to, uint32_t len)
{
	static uint8_t data[9216], own[9216];
	for (uint32_t i = 0; i < len; i++)
		data[12 + i] = own[12 + i] = (uint8_t)(i * 7 + len);
	struct packet p = {.data = data, .len = 12 + len, .room = 12 + len + 16}, q = p;
	q.data = own;
	seal_batch(from, IDX, len, &p, 1);
	seal_batch(to, IDX, len, &q, 1);
	assert_int_equal(p.len, q.len);
	assert_memory_equal(data, own, p.len);
	p.pn = seal_unmask(to, data, p.len);
	assert_true(p.pn == len);
	p.idx = IDX;
	open_batch(to, &p, 1);
	assert_int_equal(p.verdict, DROP_NONE);
	assert_int_equal(p.len, len);
	for (uint32_t i = 0; i < len; i++)
		assert_int_equal(p.data[i], (uint8_t)(i * 7 + len));
}

static const char *const fast[] = {"ipsec-mb", "avx2", "vaes"};
#define FAST (sizeof(fast) / sizeof(fast[0]))

static void backends_agree(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 2 * FAST; i++) {
		struct seal sodium, other;
		assert_true(seal_force_backend("libsodium"));
		if (!ready(&sodium, suites[i / FAST]) || !seal_force_backend(fast[i % FAST]) || !ready(&other, suites[i / FAST]))
			continue;
		for (uint32_t len = 4; len <= 600; len++) {
			crossed(&sodium, &other, len);
			crossed(&other, &sodium, len);
		}
		for (unsigned k = 0; k < sizeof(edges) / sizeof(edges[0]); k++) {
			crossed(&sodium, &other, edges[k]);
			crossed(&other, &sodium, edges[k]);
		}
	}
}

static void choice(void **state)
{
	(void)state;
	static const char *const unknown[] = {"", "sodium", "Libsodium", "ipsec-mb ", "vae", "avx", "AVX2", "aes", "none"};
	assert_true(seal_force_backend("libsodium"));
	assert_string_equal(seal_backend(SUITE_CHACHA20_POLY1305), "libsodium");
	for (unsigned i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++)
		assert_false(seal_force_backend(unknown[i]));
	assert_int_equal(seal_setup(), 0); /* again: as it was */
	assert_string_equal(seal_backend(SUITE_CHACHA20_POLY1305), "libsodium");
	/* A packet may be opened after the choice has changed: what seal_init took stays. */
	struct seal s;
	assert_true(ready(&s, SUITE_CHACHA20_POLY1305));
	bool have = seal_force_backend("ipsec-mb");
#ifndef WITH_IPSECMB
	assert_false(have);
#endif
	assert_string_equal(seal_backend(SUITE_AES256_GCM), have ? "ipsec-mb" : seal_has_aes() ? "libsodium" : "none");
	crossed(&s, &s, 100);
	/* avx2 and vaes have one suite each; for the other it is the next. */
	const char *next = have ? "ipsec-mb" : "libsodium", *chacha = seal_backend(SUITE_CHACHA20_POLY1305);
	bool avx2 = seal_force_backend("avx2");
	assert_int_equal(avx2, seal_avx2(SUITE_CHACHA20_POLY1305) != NULL);
	assert_string_equal(seal_backend(SUITE_AES256_GCM), seal_has_aes() ? next : "none");
	chacha = avx2 ? "avx2" : chacha;
	assert_string_equal(seal_backend(SUITE_CHACHA20_POLY1305), chacha);
	bool vaes = seal_force_backend("vaes");
	assert_string_equal(seal_backend(SUITE_AES256_GCM), vaes ? "vaes" : seal_has_aes() ? next : "none");
	assert_string_equal(seal_backend(SUITE_CHACHA20_POLY1305), chacha);
	assert_true(seal_force_backend("libsodium"));
	assert_true(seal_force_backend("auto"));
	assert_string_equal(seal_backend(SUITE_AES256_GCM), vaes ? "vaes" : seal_has_aes() ? next : "none");
	assert_string_equal(seal_backend(SUITE_CHACHA20_POLY1305), chacha);
}

int main(void)
{
	const struct CMUnitTest each[] = {
	    cmocka_unit_test(vectors),   cmocka_unit_test(suites_known), cmocka_unit_test(batches),
	    cmocka_unit_test(every_bit), cmocka_unit_test(too_short),
	};
	const struct CMUnitTest together[] = {cmocka_unit_test(backends_agree), cmocka_unit_test(choice)};
	if (seal_setup() < 0)
		return 1;
	backend = "libsodium";
	int failed = cmocka_run_group_tests_name("libsodium", each, force, unforce);
	for (unsigned i = 0; i < FAST; i++) {
		backend = fast[i];
		if (seal_force_backend(backend))
			failed += cmocka_run_group_tests_name(backend, each, force, unforce);
	}
	return failed + cmocka_run_group_tests_name("together", together, NULL, unforce);
}
