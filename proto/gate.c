/* Four keys hang on one gate of one responder, each BLAKE2b-256 over key_hash || secret under its own label:
 * mac1 proves the gate, mask hides the INIT, cookie seals a RETRY, hint picks the gate.
 *
 * A stranger's datagram meets the hint first: SipHash over 12 bytes, about 18 ns a gate, so that the MAC over the
 * whole message (up to 1.4 us) runs for one gate only and, for random bytes, once in 2^32 datagrams and gate. Both
 * compares take constant time. */
#include <string.h>

#include <sodium.h>

#include "proto/gate.h"
#include "proto/ident.h"
#include "proto/wire.h"

#define SALT_RANDOM 12
#define HINT        4
#define MAC         16

const uint8_t gate_zero[32];

void gate_derive(struct gate *ret, const uint8_t responder_key_hash[32], const uint8_t secret[32])
{
	uint8_t key_hash[32], hint[32], kept[32];
	memcpy(key_hash, responder_key_hash, 32); /* either may stand inside *ret */
	memcpy(kept, secret, 32);

	memcpy(ret->secret, kept, 32);
	hash256_parts(ret->mac1, "fln1 mac1", key_hash, 32, kept, 32);
	hash256_parts(ret->mask, "fln1 mask", key_hash, 32, kept, 32);
	hash256_parts(ret->cookie, "fln1 cookie", key_hash, 32, kept, 32);
	hash256_parts(hint, "fln1 hint", key_hash, 32, kept, 32);
	memcpy(ret->hint, hint, sizeof ret->hint);
	sodium_memzero(hint, sizeof hint);
	sodium_memzero(kept, sizeof kept);
}

bool gate_check(const struct gate *gate, const uint8_t *datagram, size_t len)
{
	uint8_t hint[8], mac1[MAC];

	if (len < INIT_MIN || len > INIT_MAX)
		return false;
	crypto_shorthash(hint, datagram, SALT_RANDOM, gate->hint);
	if (!bytes_equal(hint, datagram + SALT_RANDOM, HINT))
		return false;
	crypto_generichash_blake2b(mac1, sizeof mac1, datagram, len - 2 * MAC, gate->mac1, sizeof gate->mac1);
	return bytes_equal(mac1, datagram + len - 2 * MAC, MAC);
}

bool gate_pair_secret(const struct secret *self, const uint8_t other_x[32], uint8_t ret[32])
{
	uint8_t dh[32];
	if (crypto_scalarmult(dh, self->x, other_x) != 0)
		return false;
	hash256(ret, "fln1 pair gate", dh, sizeof dh);
	sodium_memzero(dh, sizeof dh);
	return true;
}

void gate_fini(struct gate *gate)
{
	sodium_memzero(gate, sizeof *gate);
}
