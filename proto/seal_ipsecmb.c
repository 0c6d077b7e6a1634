/* seal_ipsecmb.c: both suites by libipsec-mb, where it was found when building and the CPU fits; else none.
 *
 * Only the direct functions are used, those that finish one text per call. The library hands them out through a manager; here one is
 * made at setup, asked for its functions and freed. So no manager exists that two threads could meet in: what the functions know is
 * what they are called with, a schedule nobody writes and a context on the caller's stack. One thing is left, the library's own
 * imb_errno, which every call sets to 0; nobody reads it, and two threads at it cost nothing that could be measured.
 *
 * The library decrypts while it computes the tag and leaves the comparison to us: a refused text has been written by then. It reads and
 * writes no byte outside of text, AAD, nonce and tag (the unit test puts each between two pages that do not exist).
 */
#include "proto/seal_backend.h"

#ifndef WITH_IPSECMB

bool seal_ipsecmb_setup(void)
{
	return false;
}

const struct aead *seal_ipsecmb(uint8_t suite)
{
	(void)suite;
	return NULL;
}

#else

#include <intel-ipsec-mb.h>
#include <sodium.h>
#include <string.h>

_Static_assert(sizeof(struct gcm_key_data) <= SEAL_SCHEDULE, "room for the key schedule");

static struct {
	aes_gcm_pre_t gcm_expand;
	aes_gcm_enc_dec_t gcm_encrypt, gcm_decrypt;
	chacha_poly_init_t chacha_init;
	chacha_poly_enc_dec_update_t chacha_encrypt, chacha_decrypt;
	chacha_poly_finalize_t chacha_tag;
	bool gcm, chacha;
} lib; /* written by seal_ipsecmb_setup, once */

static const struct gcm_key_data *gcm_of(const uint8_t *schedule)
{
	return (const struct gcm_key_data *)(const void *)schedule;
}

static void gcm_expand(uint8_t *schedule, const uint8_t key[SEAL_KEY])
{
	lib.gcm_expand(key, (struct gcm_key_data *)(void *)schedule);
}

static void gcm_encrypt(const uint8_t *schedule, const uint8_t nonce[SEAL_NONCE], const uint8_t *aad, size_t aad_len, uint8_t *text,
                        size_t len, uint8_t tag[DATA_TAG])
{
	struct gcm_context_data context;
	lib.gcm_encrypt(gcm_of(schedule), &context, text, text, len, nonce, aad, aad_len, tag, DATA_TAG);
}

static bool gcm_decrypt(const uint8_t *schedule, const uint8_t nonce[SEAL_NONCE], const uint8_t *aad, size_t aad_len, uint8_t *text,
                        size_t len, const uint8_t tag[DATA_TAG])
{
	struct gcm_context_data context;
	uint8_t want[DATA_TAG];
	lib.gcm_decrypt(gcm_of(schedule), &context, text, text, len, nonce, aad, aad_len, want, DATA_TAG);
	return crypto_verify_16(want, tag) == 0;
}

static void chacha_expand(uint8_t *schedule, const uint8_t key[SEAL_KEY])
{
	memcpy(schedule, key, SEAL_KEY);
}

static void chacha_encrypt(const uint8_t *schedule, const uint8_t nonce[SEAL_NONCE], const uint8_t *aad, size_t aad_len, uint8_t *text,
                           size_t len, uint8_t tag[DATA_TAG])
{
	struct chacha20_poly1305_context_data context;
	lib.chacha_init(schedule, &context, nonce, aad, aad_len);
	lib.chacha_encrypt(schedule, &context, text, text, len);
	lib.chacha_tag(&context, tag, DATA_TAG);
}

static bool chacha_decrypt(const uint8_t *schedule, const uint8_t nonce[SEAL_NONCE], const uint8_t *aad, size_t aad_len, uint8_t *text,
                           size_t len, const uint8_t tag[DATA_TAG])
{
	struct chacha20_poly1305_context_data context;
	uint8_t want[DATA_TAG];
	lib.chacha_init(schedule, &context, nonce, aad, aad_len);
	lib.chacha_decrypt(schedule, &context, text, text, len);
	lib.chacha_tag(&context, want, DATA_TAG);
	return crypto_verify_16(want, tag) == 0;
}

static const struct aead gcm = {"ipsec-mb", gcm_expand, gcm_encrypt, gcm_decrypt, NULL, NULL};
static const struct aead chacha = {"ipsec-mb", chacha_expand, chacha_encrypt, chacha_decrypt, NULL, NULL};

/* AES in hardware or not at all: the library's emulation is for its own tests. ChaCha20-Poly1305 from AVX2 on; below it libsodium is as
 * fast at full packets. */
bool seal_ipsecmb_setup(void)
{
	const uint64_t aes = IMB_FEATURE_AESNI | IMB_FEATURE_PCLMULQDQ, tested = IMB_FEATURE_SELF_TEST | IMB_FEATURE_SELF_TEST_PASS;
	IMB_ARCH arch = IMB_ARCH_NONE;
	IMB_MGR *m = alloc_mb_mgr(0);
	if (!m)
		return false;
	init_mb_mgr_auto(m, &arch);
	if (imb_get_errno(m) == 0 && (m->features & tested) == tested && !(m->features & IMB_FEATURE_AESNI_EMU)) {
		lib.gcm_expand = m->gcm256_pre;
		lib.gcm_encrypt = m->gcm256_enc;
		lib.gcm_decrypt = m->gcm256_dec;
		lib.chacha_init = m->chacha20_poly1305_init;
		lib.chacha_encrypt = m->chacha20_poly1305_enc_update;
		lib.chacha_decrypt = m->chacha20_poly1305_dec_update;
		lib.chacha_tag = m->chacha20_poly1305_finalize;
		lib.gcm = (m->features & aes) == aes;
		lib.chacha = arch == IMB_ARCH_AVX2 || arch == IMB_ARCH_AVX512;
	}
	free_mb_mgr(m);
	return lib.gcm || lib.chacha;
}

const struct aead *seal_ipsecmb(uint8_t suite)
{
	if (suite == SUITE_AES256_GCM && lib.gcm)
		return &gcm;
	return suite == SUITE_CHACHA20_POLY1305 && lib.chacha ? &chacha : NULL;
}

#endif
