/* seal_backend.h: what seal.c asks of a cipher library. For proto/seal*.c and the tests of the bare AEADs alone.
 *
 * A backend fills a table per suite at setup and never changes it again; seal.c picks one per suite, and every struct seal keeps its
 * pick. All functions work in place, hold no state between calls and may run in any number of threads at once.
 */
#ifndef FARLAN_PROTO_SEAL_BACKEND_H
#define FARLAN_PROTO_SEAL_BACKEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/wire.h"

#define SEAL_KEY      32
#define SEAL_NONCE    12
#define SEAL_MASK_KEY 16
#define SEAL_SCHEDULE 3456 /* ours for AES-GCM needs 3344, libsodium's AES-GCM needs 512 bytes, libipsec-mb's 1008 */
#define SEAL_ALIGN    64   /* libipsec-mb's */

/* One text of a run. */
struct piece {
	uint8_t nonce[SEAL_NONCE];
	const uint8_t *aad;
	size_t aad_len;
	uint8_t *text;
	size_t len;
	uint8_t *tag; /* written when sealing, read when opening */
	bool good;    /* written when opening */
};

struct aead {
	const char *backend;
	/* schedule: SEAL_SCHEDULE bytes at SEAL_ALIGN, holding the key's secrets from now on. */
	void (*expand)(uint8_t *schedule, const uint8_t key[SEAL_KEY]);
	void (*encrypt)(const uint8_t *schedule, const uint8_t nonce[SEAL_NONCE], const uint8_t *aad, size_t aad_len, uint8_t *text,
	                size_t len, uint8_t tag[DATA_TAG]);
	/* false: the tag is wrong, and text may hold anything, even what the sender never wrote: the caller wipes it. */
	bool (*decrypt)(const uint8_t *schedule, const uint8_t nonce[SEAL_NONCE], const uint8_t *aad, size_t aad_len, uint8_t *text,
	                size_t len, const uint8_t tag[DATA_TAG]);
	/* The same for many, which do not overlap; NULL where that is no faster than one by one. */
	void (*encrypt_run)(const uint8_t *schedule, struct piece *, unsigned n);
	void (*decrypt_run)(const uint8_t *schedule, struct piece *, unsigned n);
};

/* Once, from one thread. false: the library does not start, or this machine is not for it. */
bool seal_sodium_setup(void);
bool seal_ipsecmb_setup(void);
bool seal_vaes_setup(void);
bool seal_avx2_setup(void);
/* After libsodium's setup: whether these are the bytes that it makes, and whether a wrong tag is refused. */
bool seal_proved(const struct aead *, uint8_t suite);
/* NULL: the backend has not been set up, or has no such suite on this machine. */
const struct aead *seal_sodium(uint8_t suite);
const struct aead *seal_ipsecmb(uint8_t suite);
const struct aead *seal_vaes(uint8_t suite); /* AES-256-GCM alone */
const struct aead *seal_avx2(uint8_t suite); /* ChaCha20-Poly1305 alone */

/* Once, after libsodium's setup: whether tags are hashed side by side here. */
bool seal_mask_setup(void);
/* The masks of n tags (PROTOCOL.md, DATA packet), as 64-bit words. */
void seal_masks(const uint8_t key[SEAL_MASK_KEY], const uint8_t **tags, uint64_t *ret_masks, unsigned n);

/* n < 8 bytes, zeros above them. Words as they were written: a header of 12 bytes comes out of the store buffer as 8 and 4. */
static inline __attribute__((always_inline)) uint64_t word_at(const uint8_t *p, size_t n)
{
	uint64_t x = 0;
	if (n & 1)
		x = p[n - 1];
	if (n & 2)
		x = x << 16 | le16_at(p + (n & 4));
	if (n & 4)
		x = x << 32 | le32_at(p);
	return x;
}

#endif
