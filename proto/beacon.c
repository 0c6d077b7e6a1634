/* beacon.c: one sealed record of fixed size: salt 16, then XChaCha20-Poly1305 over 81 bytes.
 *
 * The nonce is the salt and eight zero bytes, random for each beacon: 2^128 values under one key of a network never meet twice, so
 * senders need no counter between them. Salt and ciphertext look alike; nothing in the datagram says that it is one of ours.
 */
#include "proto/beacon.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

#include "proto/base/cursor.h"
#include "proto/ident.h"
#include "proto/random.h"

#define PLAIN 81
#define TAG   16
#define NONCE 24

static_assert(BEACON_SALT + PLAIN + TAG == BEACON_BYTES, "size of a beacon");

static void key_derive(const uint8_t gate[32], uint8_t ret[32])
{
	hash256(ret, "fln1 lan", gate, 32);
}

void beacon_create(const uint8_t gate[32], const struct beacon *b, const uint8_t salt[BEACON_SALT], uint8_t ret[BEACON_BYTES])
{
	uint8_t key[32], nonce[NONCE] = {0}, plain[PLAIN];
	struct writer w = writer_over(plain, sizeof(plain));
	put_be(&w, b->address, 5);
	put_bytes(&w, b->x, 32);
	put_bytes(&w, b->ed, 32);
	put_le16(&w, b->port4);
	put_le16(&w, b->port6);
	put_be32(&w, b->epoch);
	put_be32(&w, b->seq);
	if (salt)
		memcpy(nonce, salt, BEACON_SALT);
	else
		random_bytes(nonce, BEACON_SALT);
	key_derive(gate, key);
	memcpy(ret, nonce, BEACON_SALT);
	crypto_aead_xchacha20poly1305_ietf_encrypt(ret + BEACON_SALT, NULL, plain, PLAIN, NULL, 0, NULL, nonce, key);
	sodium_memzero(key, sizeof(key));
}

bool beacon_parse(const uint8_t gate[32], const uint8_t *bytes, size_t len, struct beacon *ret)
{
	uint8_t key[32], nonce[NONCE] = {0}, plain[PLAIN];
	if (len != BEACON_BYTES)
		return false;
	memcpy(nonce, bytes, BEACON_SALT);
	key_derive(gate, key);
	int bad = crypto_aead_xchacha20poly1305_ietf_decrypt(plain, NULL, NULL, bytes + BEACON_SALT, PLAIN + TAG, NULL, 0, nonce, key);
	sodium_memzero(key, sizeof(key));
	if (bad)
		return false;
	struct reader r = reader_over(plain, sizeof(plain));
	ret->address = get_be(&r, 5);
	get_copy(&r, ret->x, 32);
	get_copy(&r, ret->ed, 32);
	ret->port4 = get_le16(&r);
	ret->port6 = get_le16(&r);
	ret->epoch = get_be32(&r);
	ret->seq = get_be32(&r);
	return true;
}
