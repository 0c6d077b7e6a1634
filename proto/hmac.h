/* hmac.h: HMAC-SHA256 (RFC 2104, FIPS 180-4), for what other people's programs verify: signatures of webhooks.
 *
 * Pure, any thread.
 */
#ifndef FARLAN_PROTO_HMAC_H
#define FARLAN_PROTO_HMAC_H

#include <stddef.h>
#include <stdint.h>

#define HMAC_BYTES 32

/* Of x followed by y, which may be empty; a key of any length. */
void hmac_sha256(uint8_t ret[HMAC_BYTES], const void *key, size_t key_len, const void *x, size_t n, const void *y, size_t m);

#endif
