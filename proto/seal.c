/* seal.c: DATA packets, sealed and opened by runs (PROTOCOL.md, DATA packet).
 *
 * One direction's 32-byte key gives three: AEAD key, IV and counter mask key. The nonce is the IV
 * xor (lane, number); the AAD is the clear header, index and number. Only after the tag is known
 * can the number be masked, with a SipHash of the tag, and the opener goes the other way round. The
 * choice of suite is made once per run, so the loops below contain no branch but the one on the
 * tag. Everything is in place; the AES key schedule is expanded once, at seal_init. Backend:
 * libsodium, the only includer of its AEADs.
 */
#include "proto/seal.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

_Static_assert(sizeof(crypto_aead_aes256gcm_state) <= sizeof(((struct seal *)0)->schedule), "room for the key schedule");
_Static_assert(crypto_aead_aes256gcm_ABYTES == DATA_TAG, "one tag length");
_Static_assert(crypto_aead_chacha20poly1305_ietf_ABYTES == DATA_TAG, "one tag length");

int seal_setup(void)
{
	return sodium_init() < 0 ? -1 : 0;
}

bool seal_has_aes(void)
{
	return crypto_aead_aes256gcm_is_available();
}

const char *seal_backend(uint8_t suite)
{
	switch (suite) {
	case SUITE_AES256_GCM: return seal_has_aes() ? "libsodium" : "none";
	case SUITE_CHACHA20_POLY1305: return "libsodium";
	default: return "none";
	}
}

static void kdf(uint8_t *out, size_t len, uint64_t id, const uint8_t key[32])
{
	crypto_kdf_blake2b_derive_from_key(out, len, id, "fln1data", key);
}

bool seal_init(struct seal *s, uint8_t suite, const uint8_t key[32])
{
	if (suite != SUITE_CHACHA20_POLY1305 && (suite != SUITE_AES256_GCM || !seal_has_aes()))
		return false;
	uint8_t aead[32], iv[16];
	kdf(aead, sizeof(aead), 1, key);
	kdf(iv, sizeof(iv), 2, key);
	kdf(s->hp, sizeof(s->hp), 3, key);
	memcpy(s->iv, iv, sizeof(s->iv));
	s->suite = suite;
	memset(s->schedule, 0, sizeof(s->schedule));
	if (suite == SUITE_AES256_GCM)
		crypto_aead_aes256gcm_beforenm((crypto_aead_aes256gcm_state *)(void *)s->schedule, aead);
	else
		memcpy(s->schedule, aead, sizeof(aead));
	sodium_memzero(aead, sizeof(aead));
	sodium_memzero(iv, sizeof(iv));
	return true;
}

void seal_fini(struct seal *s)
{
	sodium_memzero(s, sizeof(*s));
}

static inline const crypto_aead_aes256gcm_state *aes_of(const struct seal *s)
{
	return (const crypto_aead_aes256gcm_state *)(const void *)s->schedule;
}

static inline void nonce_of(const struct seal *s, uint32_t lane, uint64_t pn, uint8_t nonce[12])
{
	memcpy(nonce, s->iv, 12);
	uint64_t be = __builtin_bswap64(pn), low;
	memcpy(&low, nonce + 4, 8);
	low ^= be;
	memcpy(nonce + 4, &low, 8);
	nonce[3] ^= (uint8_t)lane; /* be32 of a number below 16 */
}
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "nonce_of swaps to big endian");

static inline uint64_t mask_of(const struct seal *s, const uint8_t tag[DATA_TAG])
{
	uint8_t mask[8];
	crypto_shorthash(mask, tag, DATA_TAG, s->hp);
	return le64_at(mask);
}

/* h = clear header = AAD, then text, then tag. aes is a constant in each of the two copies the
 * compiler makes. */
static inline __attribute__((always_inline)) void seal_run(const struct seal *s, bool aes, uint32_t idx, uint64_t pn, struct packet *run,
                                                           unsigned n)
{
	for (unsigned i = 0; i < n; i++, pn++) {
		struct packet *p = &run[i];
		assert(p->len >= DATA_HEADER + INNER_HEADER && p->room >= p->len && p->room - p->len >= DATA_TAG);
		uint8_t *h = p->data, *text = h + DATA_HEADER, nonce[12];
		size_t len = p->len - DATA_HEADER;
		uint8_t *tag = text + len;
		le32_to(h, idx);
		le64_to(h + 4, pn);
		nonce_of(s, idx & LANE_MASK, pn, nonce);
		if (aes)
			crypto_aead_aes256gcm_encrypt_detached_afternm(text, tag, NULL, text, len, h, DATA_HEADER, NULL, nonce, aes_of(s));
		else
			crypto_aead_chacha20poly1305_ietf_encrypt_detached(text, tag, NULL, text, len, h, DATA_HEADER, NULL, nonce,
			                                                   s->schedule);
		le64_to(h + 4, pn ^ mask_of(s, tag));
		p->len += DATA_TAG;
	}
}

void seal_batch(const struct seal *s, uint32_t idx, uint64_t pn, struct packet *run, unsigned n)
{
	assert(s->suite == SUITE_AES256_GCM || s->suite == SUITE_CHACHA20_POLY1305);
	if (s->suite == SUITE_AES256_GCM)
		seal_run(s, true, idx, pn, run, n);
	else
		seal_run(s, false, idx, pn, run, n);
}

uint64_t seal_unmask(const struct seal *s, const uint8_t *datagram, uint32_t len)
{
	return le64_at(datagram + 4) ^ mask_of(s, datagram + len - DATA_TAG);
}

/* What a backend may have written before it knew better must not be found in the slab later. */
static void refuse(struct packet *p)
{
	memset(p->data + DATA_HEADER, 0, p->len - DATA_HEADER);
	p->verdict = DROP_AEAD;
}

static inline __attribute__((always_inline)) void open_run(const struct seal *s, bool aes, struct packet *run, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		struct packet *p = &run[i];
		if (p->verdict != DROP_NONE)
			continue;
		if (p->len < DATA_OVERHEAD) {
			p->verdict = DROP_SHORT;
			continue;
		}
		uint8_t *text = p->data + DATA_HEADER, aad[DATA_HEADER], nonce[12];
		size_t len = p->len - DATA_HEADER - DATA_TAG;
		const uint8_t *tag = text + len;
		le32_to(aad, p->idx);
		le64_to(aad + 4, p->pn);
		nonce_of(s, p->idx & LANE_MASK, p->pn, nonce);
		int bad =
		    aes ? crypto_aead_aes256gcm_decrypt_detached_afternm(text, NULL, text, len, tag, aad, sizeof(aad), nonce, aes_of(s))
			: crypto_aead_chacha20poly1305_ietf_decrypt_detached(text, NULL, text, len, tag, aad, sizeof(aad), nonce,
		                                                             s->schedule);
		if (bad) {
			refuse(p);
			continue;
		}
		p->data = text;
		p->len = (uint32_t)len;
		p->room -= DATA_HEADER;
	}
}

void open_batch(const struct seal *s, struct packet *run, unsigned n)
{
	assert(s->suite == SUITE_AES256_GCM || s->suite == SUITE_CHACHA20_POLY1305);
	if (s->suite == SUITE_AES256_GCM)
		open_run(s, true, run, n);
	else
		open_run(s, false, run, n);
}
