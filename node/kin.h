/* kin.h: frames that must be decided alike, because all that is decided by is alike.
 *
 * Pure, no heap. Two FRAMEs of one session and one network are kin if their plaintexts are equally long and their headers, compared byte for byte,
 * differ only in what no check reads and join.c looks at for each frame: the IPv4 id and header sum, TCP's sequence number, FIN and PSH, and a
 * complete checksum. What was decided for the one holds for the other then, for as long as what it was decided by stays.
 */
#ifndef FARLAN_NODE_KIN_H
#define FARLAN_NODE_KIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/batch.h"

#define KIN_BYTES                                                                                                                          \
	80 /* of a frame from its EtherType on: a tag, IPv6, and TCP with 14 bytes of options; a multiple of what a processor compares at once */

struct kin {
	const void *session;        /* that brought the first of them; NULL: there is none */
	uint32_t len;               /* of the plaintext, or of the record in a bundle with its own header */
	uint32_t type;              /* where in it the EtherType is */
	uint64_t front, front_mask; /* inner or record header and CSUM field as they lie in memory */
	uint16_t chan;
	bool hinted; /* a SEG field stands before the EtherType */
	uint8_t macs[12];
	struct packet like; /* what the first became, number and all */
	_Alignas(16) uint8_t head[KIN_BYTES];
	_Alignas(16) uint8_t mask[KIN_BYTES];
	/* For whoever decides when to begin: */
	uint32_t last_len; /* of the last that was looked at in full */
	bool useful;       /* one was taken */
	uint8_t rest;      /* beginnings forgone */
};

/* The first of its kin: what a FRAME became when it had passed every check; chan, len: of its plaintext, or of its record, header included. number, 1 to
 * 255, tells it from earlier ones: up->kin, and theirs. false: it can have none (no layout, too short, headers too long), and nothing has changed. */
bool kin_begin(struct kin *, const void *session, uint16_t chan, bool record, uint32_t len, uint8_t number, struct packet *up);
/* Is that plaintext or record (of that channel: the caller's to see) kin? Then *ret is the frame at out, where it may lie already. false: nothing was
 * written. */
bool kin_take(const struct kin *, const void *session, const uint8_t *plain, uint32_t len, uint8_t *out, struct packet *ret);
/* Where the frame begins if its EtherType stays where it is. */
static inline uint8_t *kin_place(const struct kin *k, uint8_t *plain)
{
	return plain + k->type - 12;
}

#endif
