/* seal_proof_test.c: what seal_proved must see through. A faulty backend is libsodium with one thing wrong: at one length, in one of the
 * ways a text may go, or about tags. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "proto/seal.h"
#include "proto/seal_backend.h"

static const struct aead *book;
static struct {
	size_t len;      /* the last byte of such texts comes out wrong */
	unsigned piece;  /* of a run: the tag of this one is wrong, */
	bool in_run;     /* if so */
	bool any_tag;    /* all are good */
	bool half_tag;   /* the second half is not looked at */
	bool no_tag;     /* none is good */
	bool not_opened; /* good, and still ciphertext */
	bool run_any;    /* a run's are all good */
	bool next_good;  /* the verdict is that of the one before */
	bool key_words, nonce_words, aad_words;
} fault;

static void swap_words(uint8_t *at, size_t words)
{
	for (size_t i = 0; i + 1 < words; i += 2) {
		uint32_t x = le32_at(at + 4 * i);
		le32_to(at + 4 * i, le32_at(at + 4 * i + 4));
		le32_to(at + 4 * i + 4, x);
	}
}

static void expand(uint8_t *schedule, const uint8_t key[SEAL_KEY])
{
	uint8_t own[SEAL_KEY];
	memcpy(own, key, SEAL_KEY);
	if (fault.key_words)
		swap_words(own, 8);
	book->expand(schedule, own);
}

/* As the fault has them. */
static void take(uint8_t nonce[SEAL_NONCE], uint8_t aad[DATA_HEADER], const uint8_t *from_nonce, const uint8_t *from_aad)
{
	memcpy(nonce, from_nonce, SEAL_NONCE);
	memcpy(aad, from_aad, DATA_HEADER);
	if (fault.nonce_words)
		swap_words(nonce, 3);
	if (fault.aad_words)
		swap_words(aad, 3);
}

static void encrypt(const uint8_t *schedule, const uint8_t nonce[SEAL_NONCE], const uint8_t *aad, size_t aad_len, uint8_t *text, size_t len,
                    uint8_t tag[DATA_TAG])
{
	uint8_t n[SEAL_NONCE], a[DATA_HEADER];
	assert_int_equal(aad_len, sizeof(a));
	take(n, a, nonce, aad);
	book->encrypt(schedule, n, a, aad_len, text, len, tag);
	if (len && len == fault.len)
		text[len - 1] ^= 1;
}

static bool decrypt(const uint8_t *schedule, const uint8_t nonce[SEAL_NONCE], const uint8_t *aad, size_t aad_len, uint8_t *text, size_t len,
                    const uint8_t tag[DATA_TAG])
{
	uint8_t n[SEAL_NONCE], a[DATA_HEADER], sealed[8192], again[8192], own[DATA_TAG];
	assert_true(len <= sizeof(sealed));
	take(n, a, nonce, aad);
	memcpy(sealed, text, len);
	/* Both are stream ciphers: sealing the ciphertext opens it, and sealing that again gives the tag. */
	book->encrypt(schedule, n, a, aad_len, text, len, own);
	memcpy(again, text, len);
	book->encrypt(schedule, n, a, aad_len, again, len, own);
	bool good = memcmp(own, tag, fault.half_tag ? DATA_TAG / 2 : DATA_TAG) == 0;
	if (fault.not_opened)
		memcpy(text, sealed, len);
	return fault.any_tag || (good && !fault.no_tag);
}

static void encrypt_run(const uint8_t *schedule, struct piece *p, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		encrypt(schedule, p[i].nonce, p[i].aad, p[i].aad_len, p[i].text, p[i].len, p[i].tag);
		if (fault.in_run && i == fault.piece)
			p[i].tag[15] ^= 0x80;
	}
}

static void decrypt_run(const uint8_t *schedule, struct piece *p, unsigned n)
{
	bool before = true;
	for (unsigned i = 0; i < n; i++) {
		bool good = decrypt(schedule, p[i].nonce, p[i].aad, p[i].aad_len, p[i].text, p[i].len, p[i].tag) || fault.run_any;
		p[i].good = fault.next_good ? before : good;
		before = good;
	}
}

static const struct aead single = {"single", expand, encrypt, decrypt, NULL, NULL};
static const struct aead runs = {"runs", expand, encrypt, decrypt, encrypt_run, decrypt_run};
static uint8_t suite = SUITE_CHACHA20_POLY1305;

static void declined_by_both(void)
{
	assert_false(seal_proved(&single, suite));
	assert_false(seal_proved(&runs, suite));
	memset(&fault, 0, sizeof(fault));
	assert_true(seal_proved(&single, suite));
	assert_true(seal_proved(&runs, suite));
}

/* Among them those of 97 and 193 blocks with what GCM adds, where the powers of seal_vaes.c run out. */
static void lengths(void **state)
{
	(void)state;
	static const size_t lens[] = {1, 16, 192, 193, 448, 961, 1400, 1488, 1489, 1503, 1504, 1505, 3025, 3040};
	for (unsigned i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
		fault.len = lens[i];
		declined_by_both();
	}
}

static void tags(void **state)
{
	(void)state;
	fault.any_tag = true;
	declined_by_both();
	fault.half_tag = true;
	declined_by_both();
	fault.no_tag = true;
	declined_by_both();
	fault.not_opened = true;
	declined_by_both();
}

static void words(void **state)
{
	(void)state;
	fault.key_words = true;
	declined_by_both();
	fault.nonce_words = true;
	declined_by_both();
	fault.aad_words = true;
	declined_by_both();
}

/* What is wrong in runs only. */
static void in_runs(void **state)
{
	(void)state;
	for (fault.piece = 0; fault.piece < 30; fault.piece++) {
		fault.in_run = true;
		assert_false(seal_proved(&runs, suite));
		assert_true(seal_proved(&single, suite));
	}
	memset(&fault, 0, sizeof(fault));
	fault.run_any = true;
	assert_false(seal_proved(&runs, suite));
	memset(&fault, 0, sizeof(fault));
	fault.next_good = true;
	assert_false(seal_proved(&runs, suite));
	memset(&fault, 0, sizeof(fault));
	assert_true(seal_proved(&runs, suite));
}

static int setup(void **state)
{
	(void)state;
	if (seal_setup() < 0)
		return -1;
	book = seal_sodium(suite);
	return book ? 0 : -1;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(lengths),
	    cmocka_unit_test(tags),
	    cmocka_unit_test(words),
	    cmocka_unit_test(in_runs),
	};
	int failed = cmocka_run_group_tests_name("ChaCha20-Poly1305", tests, setup, NULL);
	suite = SUITE_AES256_GCM;
	if (seal_sodium(suite))
		failed += cmocka_run_group_tests_name("AES-256-GCM", tests, setup, NULL);
	return failed;
}
