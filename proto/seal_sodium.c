/* seal_sodium.c: both suites by libsodium, the backend that is always there.
 *
 * AES-256-GCM exists in it only where the CPU has AES-NI and PCLMUL (libsodium carries no AES in software, whose tables would leak the
 * key by the cache); ChaCha20-Poly1305 everywhere. It checks the tag before it decrypts.
 */
#include <sodium.h>
#include <string.h>

#include "proto/seal_backend.h"

_Static_assert(sizeof(crypto_aead_aes256gcm_state) <= SEAL_SCHEDULE, "room for the key schedule");
_Static_assert(_Alignof(crypto_aead_aes256gcm_state) <= SEAL_ALIGN, "and its alignment");
_Static_assert(crypto_aead_aes256gcm_ABYTES == DATA_TAG && crypto_aead_chacha20poly1305_ietf_ABYTES == DATA_TAG, "one tag length");
_Static_assert(crypto_aead_aes256gcm_KEYBYTES == SEAL_KEY && crypto_aead_chacha20poly1305_ietf_KEYBYTES == SEAL_KEY, "one key length");

static bool up;

static const crypto_aead_aes256gcm_state *gcm_of(const uint8_t *schedule)
{
	return (const crypto_aead_aes256gcm_state *)(const void *)schedule;
}

static void gcm_expand(uint8_t *schedule, const uint8_t key[SEAL_KEY])
{
	crypto_aead_aes256gcm_beforenm((crypto_aead_aes256gcm_state *)(void *)schedule, key);
}

static void gcm_encrypt(const uint8_t *schedule, const uint8_t nonce[SEAL_NONCE], const uint8_t *aad, size_t aad_len, uint8_t *text,
                        size_t len, uint8_t tag[DATA_TAG])
{
	crypto_aead_aes256gcm_encrypt_detached_afternm(text, tag, NULL, text, len, aad, aad_len, NULL, nonce, gcm_of(schedule));
}

static bool gcm_decrypt(const uint8_t *schedule, const uint8_t nonce[SEAL_NONCE], const uint8_t *aad, size_t aad_len, uint8_t *text,
                        size_t len, const uint8_t tag[DATA_TAG])
{
	return !crypto_aead_aes256gcm_decrypt_detached_afternm(text, NULL, text, len, tag, aad, aad_len, nonce, gcm_of(schedule));
}

static void chacha_expand(uint8_t *schedule, const uint8_t key[SEAL_KEY])
{
	memcpy(schedule, key, SEAL_KEY);
}

static void chacha_encrypt(const uint8_t *schedule, const uint8_t nonce[SEAL_NONCE], const uint8_t *aad, size_t aad_len, uint8_t *text,
                           size_t len, uint8_t tag[DATA_TAG])
{
	crypto_aead_chacha20poly1305_ietf_encrypt_detached(text, tag, NULL, text, len, aad, aad_len, NULL, nonce, schedule);
}

static bool chacha_decrypt(const uint8_t *schedule, const uint8_t nonce[SEAL_NONCE], const uint8_t *aad, size_t aad_len, uint8_t *text,
                           size_t len, const uint8_t tag[DATA_TAG])
{
	return !crypto_aead_chacha20poly1305_ietf_decrypt_detached(text, NULL, text, len, tag, aad, aad_len, nonce, schedule);
}

static const struct aead gcm = {"libsodium", gcm_expand, gcm_encrypt, gcm_decrypt, NULL, NULL};
static const struct aead chacha = {"libsodium", chacha_expand, chacha_encrypt, chacha_decrypt, NULL, NULL};

bool seal_sodium_setup(void)
{
	up = sodium_init() >= 0;
	return up;
}

const struct aead *seal_sodium(uint8_t suite)
{
	if (up && suite == SUITE_AES256_GCM && crypto_aead_aes256gcm_is_available())
		return &gcm;
	return up && suite == SUITE_CHACHA20_POLY1305 ? &chacha : NULL;
}
