/* seal.h: AEAD of DATA packets over a batch, counter masking included (PROTOCOL.md, DATA packet).
 *
 * One struct seal is one direction of one session; it is written once by seal_init and then only read, so any number
 * of threads may use it at once. Keys are wiped by seal_fini. The backend is chosen inside; the bytes are the same.
 * Keep it where its alignment is kept: malloc does not.
 */
#ifndef FARLAN_PROTO_SEAL_H
#define FARLAN_PROTO_SEAL_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/base/batch.h"
#include "proto/wire.h"

struct aead;

struct seal {
	_Alignas(64) const struct aead *aead;
	uint8_t iv[12];
	uint8_t hp[16];
	uint8_t suite;
	_Alignas(64) uint8_t schedule[3456]; /* the backend's expanded key (AES-GCM) or the 32-byte key */
};

/* Must run before anything of proto/, from one thread (sodium_init); more often does no harm. 0 or -1. */
int seal_setup(void);
/* Which backend later seal_init take: "auto" = the fastest of each suite, "libsodium", "ipsec-mb", "avx2", "vaes" = it for every suite it has, and
 * for the others the fastest of those that "auto" would try after it.
 * After seal_setup, before the first thread and seal_init. false, and nothing changes, if it is unknown, not built in or not for this
 * CPU. */
bool seal_force_backend(const char *name);
bool seal_has_aes(void);                 /* AES-256-GCM in hardware in a backend */
const char *seal_backend(uint8_t suite); /* "vaes", "avx2", "ipsec-mb", "libsodium" or "none" */

/* key = 32 bytes of Noise Split for this direction; suite SUITE_*. false if the suite is unknown or has no backend. */
bool seal_init(struct seal *, uint8_t suite, const uint8_t key[32]);
void seal_fini(struct seal *);

/* Seals run packets of one session and lane with consecutive numbers from pn. Each: data = start of the datagram,
 * bytes 12 .. len-1 plaintext (inner header and body), room >= len + 16. idx = receiver's index | lane. After it len
 * includes the tag. Cannot fail. */
void seal_batch(const struct seal *, uint32_t idx, uint64_t pn, struct packet *run, unsigned n);

/* Unmasks pn of one packet (data = datagram, len >= DATA_OVERHEAD). */
uint64_t seal_unmask(const struct seal *, const uint8_t *datagram, uint32_t len);
/* ... and sets pn of a run of one session's, at a fifth of the price for each. n <= BATCH_MAX; all of len >= DATA_OVERHEAD. */
void seal_unmask_batch(const struct seal *, struct packet *run, unsigned n);

/* Opens in place run packets of one session whose idx and pn are set (seal_unmask); lane = idx & 15 of each packet.
 * Good: data += 12, len = plaintext bytes (>= 4). Bad: verdict DROP_AEAD and the ciphertext wiped. Packets whose verdict is
 * set already are skipped. */
void open_batch(const struct seal *, struct packet *run, unsigned n);

#endif
