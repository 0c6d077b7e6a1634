/* RETRY, the only answer before an identity is proven: 68 bytes, less than any INIT.
 *
 *	0 initiator idx 4 | 4 nonce 24 | 28 XChaCha20-Poly1305(gate.cookie, nonce, AD = mac1 of the INIT,
 *	                                    kind 1 | reserved 7 | value 16) 40
 *
 * mac1 as AD ties it to one INIT: who did not see that INIT cannot make one, and an old one fits no new INIT. Reading
 * changes no state; the caller takes at most one RETRY of a pending handshake. The two values are keyed hashes under a
 * secret of the responder that lives two minutes, so it keeps nothing per asker. */
#include <assert.h>
#include <string.h>

#include <sodium.h>

#include "proto/handshake.h"

struct retry {
	uint8_t idx[4], nonce[24];
	uint8_t sealed[24 + 16];
};
_Static_assert(sizeof(struct retry) == RETRY_BYTES, "RETRY");

struct retry_plain {
	uint8_t kind, reserved[7], value[16];
};
_Static_assert(sizeof(struct retry_plain) == 24, "RETRY, decrypted");

size_t retry_create(const struct gate *gate, uint32_t initiator_idx, const uint8_t init_mac1[16], enum retry_kind kind,
                    const uint8_t value[16], uint8_t out[RETRY_BYTES], const struct handshake_draw *draw)
{
	struct retry *msg = (struct retry *)out;
	struct retry_plain plain = {.kind = (uint8_t)kind};

	memcpy(plain.value, value, sizeof plain.value);
	le32_to(msg->idx, initiator_idx);
	if (draw)
		memcpy(msg->nonce, draw->nonce, sizeof msg->nonce);
	else
		randombytes_buf(msg->nonce, sizeof msg->nonce);
	crypto_aead_xchacha20poly1305_ietf_encrypt(msg->sealed, NULL, (const uint8_t *)&plain, sizeof plain, init_mac1, 16, NULL,
	                                           msg->nonce, gate->cookie);
	return RETRY_BYTES;
}

enum drop retry_consume(const struct handshake *hs, const struct gate *gate, const uint8_t *datagram, size_t len, enum retry_kind *ret_kind,
                        uint8_t ret_value[16])
{
	const struct retry *msg = (const struct retry *)datagram;
	struct retry_plain plain;

	assert(hs->initiator);
	if (len != RETRY_BYTES || le32_at(msg->idx) != hs->idx)
		return DROP_RETRY_CRYPTO;
	if (crypto_aead_xchacha20poly1305_ietf_decrypt((uint8_t *)&plain, NULL, NULL, msg->sealed, sizeof msg->sealed, hs->mac1, 16,
	                                               msg->nonce, gate->cookie) != 0)
		return DROP_RETRY_CRYPTO;
	if (plain.kind != RETRY_COOKIE && plain.kind != RETRY_FRESH)
		return DROP_RETRY_CRYPTO;
	*ret_kind = (enum retry_kind)plain.kind;
	memcpy(ret_value, plain.value, 16);
	return DROP_NONE;
}

/* u8 family, 16 bytes address (IPv4 left-aligned, rest 0), port big-endian. */
void cookie_value(const uint8_t secret[32], const struct endpoint *from, uint8_t ret[16])
{
	uint8_t input[1 + 16 + 2] = {from->family};
	memcpy(input + 1, from->ip, from->family == 4 ? 4 : 16);
	input[17] = (uint8_t)(from->port >> 8);
	input[18] = (uint8_t)from->port;
	crypto_generichash_blake2b(ret, 16, input, sizeof input, secret, 32);
}

/* Bound to the stored timestamp: accepting the value replaces that, so it works once and needs no counter. */
void fresh_value(const uint8_t secret[32], const uint8_t initiator_key_hash[32], const uint8_t stored_ts[12], uint8_t ret[16])
{
	uint8_t input[11 + 32 + 12] = "\x0a"
				      "fln1 fresh";
	memcpy(input + 11, initiator_key_hash, 32);
	memcpy(input + 43, stored_ts, 12);
	crypto_generichash_blake2b(ret, 16, input, sizeof input, secret, 32);
}
