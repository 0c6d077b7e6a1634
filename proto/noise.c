/* Noise_IKpsk2_25519_ChaChaPoly_BLAKE2b, revision 34 of the Noise specification, nothing else:
 *
 *	<- s
 *	...
 *	-> e, es, s, ss
 *	<- e, ee, se, psk
 *
 * A psk pattern, so every "e" is mixed into the key as well as into the hash. HASHLEN is 64; cipher keys are the first
 * 32 bytes of an HKDF output. libsodium has BLAKE2b but no HMAC or HKDF over it: both are written out here (RFC 2104,
 * block 128). Tokens run in the order of the pattern on one struct; a failing token leaves the struct half advanced,
 * so callers that must survive a forged message work on a copy. */
#include <assert.h>
#include <string.h>

#include <sodium.h>

#include "proto/noise.h"
#include "proto/wire.h"

#define HASH  64
#define BLOCK 128
#define TAG   16

static const char protocol_name[] = "Noise_IKpsk2_25519_ChaChaPoly_BLAKE2b";
_Static_assert(sizeof protocol_name - 1 <= HASH, "a longer name would have to be hashed");

/* HMAC-BLAKE2b over x || y. The key is never longer than a hash here, so it is never hashed down. */
static void hmac(uint8_t out[HASH], const uint8_t key[HASH], const void *x, size_t n, const void *y, size_t m)
{
	crypto_generichash_blake2b_state st;
	uint8_t pad[BLOCK], inner[HASH];

	memset(pad, 0x36, sizeof pad);
	for (size_t i = 0; i < HASH; i++)
		pad[i] ^= key[i];
	crypto_generichash_blake2b_init(&st, NULL, 0, HASH);
	crypto_generichash_blake2b_update(&st, pad, sizeof pad);
	crypto_generichash_blake2b_update(&st, x, n);
	if (m)
		crypto_generichash_blake2b_update(&st, y, m);
	crypto_generichash_blake2b_final(&st, inner, HASH);

	for (size_t i = 0; i < BLOCK; i++)
		pad[i] ^= 0x36 ^ 0x5c;
	crypto_generichash_blake2b_init(&st, NULL, 0, HASH);
	crypto_generichash_blake2b_update(&st, pad, sizeof pad);
	crypto_generichash_blake2b_update(&st, inner, sizeof inner);
	crypto_generichash_blake2b_final(&st, out, HASH);

	sodium_memzero(&st, sizeof st);
	sodium_memzero(pad, sizeof pad);
	sodium_memzero(inner, sizeof inner);
}

/* HKDF of the specification, section 4.3: n_out outputs of 64 bytes back to back (2 or 3). */
static void hkdf(const uint8_t ck[HASH], const void *input, size_t n, uint8_t *out, unsigned n_out)
{
	uint8_t temp[HASH];
	assert(n_out == 2 || n_out == 3);

	hmac(temp, ck, input, n, NULL, 0);
	for (uint8_t i = 1; i <= n_out; i++) {
		if (i == 1)
			hmac(out, temp, &i, 1, NULL, 0);
		else
			hmac(out + (size_t)(i - 1) * HASH, temp, out + (size_t)(i - 2) * HASH, HASH, &i, 1);
	}
	sodium_memzero(temp, sizeof temp);
}

static void mix_hash(uint8_t h[HASH], const void *data, size_t n)
{
	crypto_generichash_blake2b_state st;
	crypto_generichash_blake2b_init(&st, NULL, 0, HASH);
	crypto_generichash_blake2b_update(&st, h, HASH);
	crypto_generichash_blake2b_update(&st, data, n);
	crypto_generichash_blake2b_final(&st, h, HASH);
}

static void mix_key(struct noise *ns, const uint8_t input[32])
{
	uint8_t out[2 * HASH];
	hkdf(ns->ck, input, 32, out, 2);
	memcpy(ns->ck, out, HASH);
	memcpy(ns->k, out + HASH, 32);
	ns->n = 0;
	sodium_memzero(out, sizeof out);
}

static void mix_psk(struct noise *ns)
{
	uint8_t out[3 * HASH];
	hkdf(ns->ck, ns->psk, 32, out, 3);
	memcpy(ns->ck, out, HASH);
	mix_hash(ns->h, out + HASH, HASH);
	memcpy(ns->k, out + 2 * HASH, 32);
	ns->n = 0;
	sodium_memzero(out, sizeof out);
}

/* The "e" token for the public half, own or received. */
static void mix_e(struct noise *ns, const uint8_t e[32])
{
	mix_hash(ns->h, e, 32);
	mix_key(ns, e);
}

/* 255-bit little-endian below 2^255 - 19, top bit clear. Two encodings of one point would be two identities with one
 * secret, so the second is refused although X25519 itself would reduce it (T24). */
static bool canonical(const uint8_t point[32])
{
	if (point[31] & 0x80)
		return false;
	if (point[31] != 0x7f || point[0] < 0xed)
		return true;
	for (unsigned i = 1; i < 31; i++)
		if (point[i] != 0xff)
			return true;
	return false;
}

/* libsodium refuses points of low order and an all-zero result. */
static bool dh(uint8_t out[32], const uint8_t secret[32], const uint8_t public[32])
{
	return canonical(public) && crypto_scalarmult_curve25519(out, secret, public) == 0;
}

static bool mix_dh(struct noise *ns, const uint8_t secret[32], const uint8_t public[32])
{
	uint8_t shared[32];
	bool ok = dh(shared, secret, public);
	if (ok)
		mix_key(ns, shared);
	sodium_memzero(shared, sizeof shared);
	return ok;
}

static void nonce_of(const struct noise *ns, uint8_t nonce[12])
{
	memset(nonce, 0, 4);
	le64_to(nonce + 4, ns->n);
}

/* out gets n + 16 bytes; may be the plaintext's own place. */
static void encrypt_and_hash(struct noise *ns, const uint8_t *plain, size_t n, uint8_t *out)
{
	uint8_t nonce[12];
	nonce_of(ns, nonce);
	crypto_aead_chacha20poly1305_ietf_encrypt(out, NULL, plain, n, ns->h, HASH, NULL, nonce, ns->k);
	ns->n++;
	mix_hash(ns->h, out, n + TAG);
}

/* in = n bytes with the tag, n >= 16; out gets n - 16 and may alias in, hence the hash goes first. */
static bool decrypt_and_hash(struct noise *ns, const uint8_t *in, size_t n, uint8_t *out)
{
	uint8_t nonce[12], h[HASH];
	memcpy(h, ns->h, HASH);
	mix_hash(h, in, n);
	nonce_of(ns, nonce);
	if (crypto_aead_chacha20poly1305_ietf_decrypt(out, NULL, NULL, in, n, ns->h, HASH, nonce, ns->k) != 0)
		return false;
	ns->n++;
	memcpy(ns->h, h, HASH);
	return true;
}

void noise_begin(struct noise *ns, const void *prologue, size_t len, const uint8_t responder_s[32], const uint8_t psk[32])
{
	memset(ns, 0, sizeof *ns);
	memcpy(ns->h, protocol_name, sizeof protocol_name - 1);
	memcpy(ns->ck, ns->h, HASH);
	if (psk)
		memcpy(ns->psk, psk, 32);
	mix_hash(ns->h, prologue, len);
	mix_hash(ns->h, responder_s, 32);
}

/* Own ephemeral into the state and the message. */
static bool write_e(struct noise *ns, const uint8_t e_secret[32], uint8_t out[32])
{
	memcpy(ns->e, e_secret, 32);
	if (crypto_scalarmult_curve25519_base(ns->e_public, ns->e) != 0)
		return false;
	memcpy(out, ns->e_public, 32);
	mix_e(ns, ns->e_public);
	return true;
}

bool noise_write_1(struct noise *ns, const uint8_t s_secret[32], const uint8_t s_public[32], const uint8_t responder_s[32],
                   const uint8_t e_secret[32], const uint8_t *payload, size_t len, uint8_t *out)
{
	memcpy(ns->rs, responder_s, 32);
	if (!write_e(ns, e_secret, out))
		return false;
	if (!mix_dh(ns, ns->e, ns->rs)) /* es */
		return false;
	encrypt_and_hash(ns, s_public, 32, out + 32);
	if (!mix_dh(ns, s_secret, ns->rs)) /* ss */
		return false;
	encrypt_and_hash(ns, payload, len, out + 80);
	memcpy(ns->ck1, ns->ck, HASH);
	return true;
}

bool noise_read_1(struct noise *ns, const uint8_t s_secret[32], const uint8_t s_public[32], const uint8_t *in, size_t n, uint8_t *out,
                  noise_ss *ss, void *ss_self)
{
	uint8_t shared[32];
	(void)s_public; /* mixed as the pre-message already */

	if (n < 96)
		return false;
	memcpy(ns->re, in, 32);
	mix_e(ns, ns->re);
	if (!mix_dh(ns, s_secret, ns->re)) /* es */
		return false;
	if (!decrypt_and_hash(ns, in + 32, 48, ns->rs))
		return false;
	if (!canonical(ns->rs))
		return false;
	if (!(ss ? ss(ss_self, s_secret, ns->rs, shared) : dh(shared, s_secret, ns->rs)))
		return false;
	mix_key(ns, shared);
	sodium_memzero(shared, sizeof shared);
	if (!decrypt_and_hash(ns, in + 80, n - 80, out))
		return false;
	memcpy(ns->ck1, ns->ck, HASH);
	return true;
}

bool noise_write_2(struct noise *ns, const uint8_t e_secret[32], const uint8_t *payload, size_t len, uint8_t *out)
{
	if (!write_e(ns, e_secret, out))
		return false;
	if (!mix_dh(ns, ns->e, ns->re)) /* ee */
		return false;
	if (!mix_dh(ns, ns->e, ns->rs)) /* se */
		return false;
	mix_psk(ns);
	encrypt_and_hash(ns, payload, len, out + 32);
	return true;
}

bool noise_read_2(struct noise *ns, const uint8_t s_secret[32], const uint8_t *in, size_t n, uint8_t *out)
{
	if (n < 48)
		return false;
	memcpy(ns->re, in, 32);
	mix_e(ns, ns->re);
	if (!mix_dh(ns, ns->e, ns->re)) /* ee */
		return false;
	if (!mix_dh(ns, s_secret, ns->re)) /* se */
		return false;
	mix_psk(ns);
	return decrypt_and_hash(ns, in + 32, n - 32, out);
}

void noise_split(const struct noise *ns, uint8_t ret_k1[32], uint8_t ret_k2[32], uint8_t ret_exporter[32])
{
	static const uint8_t label[] = "\x0d"
				       "fln1 exporter";
	uint8_t out[2 * HASH], exporter[HASH];

	hkdf(ns->ck, NULL, 0, out, 2);
	memcpy(ret_k1, out, 32);
	memcpy(ret_k2, out + HASH, 32);
	hmac(exporter, ns->ck, label, sizeof label - 1, ns->h, HASH);
	memcpy(ret_exporter, exporter, 32);
	sodium_memzero(out, sizeof out);
	sodium_memzero(exporter, sizeof exporter);
}

void noise_fini(struct noise *ns)
{
	sodium_memzero(ns, sizeof *ns);
}
