/* noise.h: Noise_IKpsk2_25519_ChaChaPoly_BLAKE2b, the symmetric and handshake state (Noise rev. 34).
 *
 * Only this pattern. Bytes in, bytes out; a low-order public key makes the step fail. Wiped by noise_fini.
 */
#ifndef FARLAN_PROTO_NOISE_H
#define FARLAN_PROTO_NOISE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct noise {
	uint8_t ck[64], h[64];
	uint8_t k[32];
	uint64_t n;
	uint8_t e[32], e_public[32]; /* own ephemeral */
	uint8_t re[32];              /* other's ephemeral */
	uint8_t rs[32];              /* other's static */
	uint8_t ck1[64];             /* ck after message 1, for RESP masking */
	uint8_t psk[32];
};

/* Prologue is mixed here; responder_s is the responder's X25519 public key (pre-message). psk NULL = zeros. */
void noise_begin(struct noise *, const void *prologue, size_t len, const uint8_t responder_s[32], const uint8_t psk[32]);

/* Message 1: e, es, s, ss. out = e 32, enc(s) 48, enc(payload) len+16. s = own static pair. e_secret fixed by the caller. */
bool noise_write_1(struct noise *, const uint8_t s_secret[32], const uint8_t s_public[32], const uint8_t responder_s[32],
                   const uint8_t e_secret[32], const uint8_t *payload, size_t len, uint8_t *out);
/* in = message of n bytes (>= 96); payload of n-96 bytes to out (may alias in + 80). ss: a lookup/store hook for the
 * cached static-static result, or NULL. On failure the state is unusable. */
typedef bool noise_ss(void *self, const uint8_t s_secret[32], const uint8_t rs[32], uint8_t ret_ss[32]);
bool noise_read_1(struct noise *, const uint8_t s_secret[32], const uint8_t s_public[32], const uint8_t *in, size_t n, uint8_t *out,
                  noise_ss *ss, void *ss_self);

/* Message 2: e, ee, se, psk. out = e 32, enc(payload) len+16. */
bool noise_write_2(struct noise *, const uint8_t e_secret[32], const uint8_t *payload, size_t len, uint8_t *out);
bool noise_read_2(struct noise *, const uint8_t s_secret[32], const uint8_t *in, size_t n, uint8_t *out);

/* After message 2: first 32 bytes of the two Split keys (1 = initiator to responder) and the exporter. */
void noise_split(const struct noise *, uint8_t ret_k1[32], uint8_t ret_k2[32], uint8_t ret_exporter[32]);
void noise_fini(struct noise *);

#endif
