/* hmac.c: HMAC-SHA256 by libsodium. Our own protocols use BLAKE2b; this is what a receiver of a webhook has in its standard library. */
#include "proto/hmac.h"

#include <sodium.h>

_Static_assert(HMAC_BYTES == crypto_auth_hmacsha256_BYTES, "one hash");

void hmac_sha256(uint8_t ret[HMAC_BYTES], const void *key, size_t key_len, const void *x, size_t n, const void *y, size_t m)
{
	crypto_auth_hmacsha256_state state;
	crypto_auth_hmacsha256_init(&state, key, key_len);
	crypto_auth_hmacsha256_update(&state, x, n);
	crypto_auth_hmacsha256_update(&state, y, m);
	crypto_auth_hmacsha256_final(&state, ret);
	sodium_memzero(&state, sizeof(state));
}
