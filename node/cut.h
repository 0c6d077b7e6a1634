/* cut.h: a superframe, or a TCP frame too long for the way, into frames that fit (PROTOCOL.md, Superframes).
 *
 * Pure. Each segment is a complete frame: headers copied, then sequence number, lengths, IP id (+ i), FIN and PSH only on the
 * last, CWR only on the first, the urgent pointer counted from the segment's own sequence number. TCP may be cut finer than
 * its sender wanted, never coarser: beyond may be a LAN of 1500. UDP is cut at its size only, since the cuts are what its receiver reads.
 * Mirror of join.h.
 */
#ifndef FARLAN_NODE_CUT_H
#define FARLAN_NODE_CUT_H

#include "node/layout.h"

struct cut {
	const uint8_t *frame; /* borrowed */
	struct layout layout;
	uint32_t payload; /* bytes of L4 payload in all */
	uint32_t size;    /* of a segment */
	uint32_t n;       /* segments, >= 1 */
	bool partial;     /* segments carry partial checksums */
	uint16_t pseudo;  /* sum of the pseudo-header without its length */
	uint16_t ip_sum;  /* sum of the IPv4 header without length, id and checksum */
};

/* Prepares. most: bytes of the longest frame wanted, Ethernet header included. partial: leave the segments' L4 checksums partial.
 * false: this is nothing that can be cut: no layout, a complete TCP checksum that is wrong (it stays the sender's to find), no
 * payload, or most leaves no room for payload. A UDP superframe's segments may be longer than most: cut_length() tells. */
bool cut_begin(struct cut *, const uint8_t *frame, size_t len, const struct offload *, size_t most, bool partial);
size_t cut_length(const struct cut *, uint32_t i); /* bytes of segment i < n */
/* Writes segment i to out (room cut_length), and what it lacks (csum only, or nothing) to ret. */
void cut_segment(const struct cut *, uint32_t i, uint8_t *out, struct offload *ret);

/* Those between the first and the last one are alike: all flags and lengths are the same, and so is what they lack. May they be made
 * of each other? No: where each checksum is complete, or each urgent pointer another. */
bool cut_alike(const struct cut *);
/* Segment i (0 < i, i + 1 < n) to out, where the headers of another such one stand. */
void cut_again(const struct cut *, uint32_t i, uint8_t *out);

#endif
