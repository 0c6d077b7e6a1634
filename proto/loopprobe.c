/* loopprobe.c: nonce and SipHash-2-4-128 of nonce and key_hash, under a key that only members of the network have.
 *
 * A network's gate is known to all its members, so the sum proves no more than that some member (or an echo of one) is on this LAN: whoever
 * is on the LAN could do worse than to shut a port.
 */
#include "proto/loopprobe.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

static_assert(crypto_shorthash_siphashx24_BYTES == LOOPPROBE_BYTES - LOOPPROBE_NONCE, "the sum fills the probe");
static_assert(crypto_shorthash_siphashx24_KEYBYTES == LOOPPROBE_KEY, "the key is SipHash's");

void loopprobe_key(const uint8_t gate[32], uint8_t ret[LOOPPROBE_KEY])
{
	uint8_t h[32];
	hash256(h, "fln1 loop", gate, 32);
	memcpy(ret, h, LOOPPROBE_KEY);
	sodium_memzero(h, sizeof h);
}

static void sum(const uint8_t key[LOOPPROBE_KEY], const uint8_t nonce[LOOPPROBE_NONCE], const uint8_t key_hash[KEY_HASH_BYTES],
                uint8_t ret[LOOPPROBE_BYTES - LOOPPROBE_NONCE])
{
	uint8_t in[LOOPPROBE_NONCE + KEY_HASH_BYTES];
	memcpy(in, nonce, LOOPPROBE_NONCE);
	memcpy(in + LOOPPROBE_NONCE, key_hash, KEY_HASH_BYTES);
	crypto_shorthash_siphashx24(ret, in, sizeof in, key);
}

void loopprobe_make(const uint8_t key[LOOPPROBE_KEY], const uint8_t nonce[LOOPPROBE_NONCE], const uint8_t key_hash[KEY_HASH_BYTES],
                    uint8_t ret[LOOPPROBE_BYTES])
{
	memcpy(ret, nonce, LOOPPROBE_NONCE);
	sum(key, nonce, key_hash, ret + LOOPPROBE_NONCE);
}

bool loopprobe_by(const uint8_t key[LOOPPROBE_KEY], const uint8_t probe[LOOPPROBE_BYTES], const uint8_t key_hash[KEY_HASH_BYTES])
{
	uint8_t want[LOOPPROBE_BYTES - LOOPPROBE_NONCE];
	sum(key, probe, key_hash, want);
	return !memcmp(want, probe + LOOPPROBE_NONCE, sizeof want);
}
