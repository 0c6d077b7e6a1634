/* encap.h: an Ethernet frame as it travels to one member, and back: FRAME, EFRAME, BUNDLE, FRAG (PROTOCOL.md, Frames).
 *
 * Pure, no heap; used by workers (outbound.c, inbound.c) and by control for frames that waited for a session.
 */
#ifndef FARLAN_NODE_ENCAP_H
#define FARLAN_NODE_ENCAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/batch.h"
#include "proto/wire.h"

/* To whom, and what the way carries. */
struct encap {
	uint8_t own_mac[6], peer_mac[6];
	uint16_t chan;     /* the receiver's handle */
	uint16_t datagram; /* largest datagram of the way */
	uint32_t frag_id;  /* lane << 28 | counter, taken by the caller once per frame in pieces */
	/* FRAME_REPLICATE or FRAME_REPLICATED: what stands in front of the body, whole or in pieces. Such a frame is complete (no CSUM, no SEG), is an
	 * EFRAME, and never in a bundle. All zero: an ordinary one. */
	struct note {
		uint8_t flag, len, bytes[FRAME_NOTE_MAX];
	} note;
};
struct note note_replicate(uint64_t from, uint64_t to);
struct note note_replicated(uint64_t origin);

/* ---- whole: one frame, one datagram ------------------------------------------------------------------------------- */

/* How a frame travels: with or without its MACs, with which flags. */
struct carriage {
	bool implied;  /* FRAME: MACs follow from the two addresses. Else EFRAME */
	uint8_t flags; /* FRAME_CSUM, FRAME_SEG */
};
bool encap_implied(const struct encap *, const uint8_t *frame);
/* Bytes of the longest frame, Ethernet header included, that travels whole. 0: none. */
size_t encap_most(const struct encap *, struct carriage);
/* Where in front of or behind the plaintext's first byte the frame's first byte goes: -8 .. 12. */
int encap_offset(struct carriage);
/* Where in the plaintext the number of a segment stands (with FRAME_SEG): of what is in front of the frames of one superframe it alone differs. */
static inline size_t encap_number(struct carriage c)
{
	return INNER_HEADER + (c.flags & FRAME_CSUM ? 4 : 0) + 2;
}
/* Bytes of plaintext that a frame of len makes. */
size_t encap_length(struct carriage, size_t len);
/* Once the frame stands there (its first 12 bytes are lost if implied), at offset + note.len if there is a note: writes what goes before it.
 * Returns the plaintext's length. */
size_t encap_whole(const struct encap *, struct carriage, const struct offload *, const struct segment *, uint8_t *plain, size_t len);

/* ---- pieces: one complete frame, 2..16 datagrams (FRAG) ------------------------------------------------------------ */

/* How many; 1 = travels whole without flags; 0 = cannot be sent (longer than 16 pieces carry). */
unsigned encap_pieces(const struct encap *, const uint8_t *frame, size_t len);
/* Writes the plaintext (inner header and body) of piece i of n >= 1 to out (room >= encap->datagram); returns its length. */
size_t encap_piece(const struct encap *, const uint8_t *frame, size_t len, unsigned i, unsigned n, uint8_t *out);

/* ---- bundle: small frames, one datagram ----------------------------------------------------------------------------- */

/* plain: a FRAME or EFRAME of len bytes -> a BUNDLE with it as its only record; returns the new length (4 more). */
size_t bundle_begin(uint8_t *plain, size_t len);
/* Bytes that a frame of len adds to a bundle. */
size_t bundle_record(struct carriage, size_t len);
/* Adds a frame behind a bundle of plain_len bytes; returns the new length. */
size_t bundle_add(uint8_t *plain, size_t plain_len, struct carriage, const struct offload *, const uint8_t *frame, size_t len);

/* ---- back ------------------------------------------------------------------------------------------------------------ */

/* A FRAME or EFRAME as it arrived: alone, put together from pieces, or as a record of a bundle. */
struct arrived {
	uint8_t type, flags;
	const uint8_t *body; /* the flags' fields first */
	size_t len;
};
/* Inner header and body: a FRAME, EFRAME or BUNDLE -> its frames, at most BUNDLE_MAX; *ret_n of them. A bundle is walked to its end
 * before anything of it is handed out. DROP_MALFORMED, DROP_TYPE (another type within). */
enum drop decap_split(const uint8_t *plain, size_t len, struct arrived ret[BUNDLE_MAX], unsigned *ret_n);
/* Takes the note off a frame that has one: what it says (0 where it says nothing), and an ordinary frame is left. DROP_MALFORMED. */
struct noted {
	bool replicate; /* REPLICATE: for those from `from` up to before `to`, a stretch of the ring of addresses (audience.h) */
	uint64_t from, to;
	uint64_t origin; /* REPLICATED */
};
enum drop decap_note(struct arrived *, struct noted *ret);
/* One frame -> Ethernet frame at out (room FRAG_FRAME_MAX; may be in front of the body in the same buffer), its data, len, offload
 * and segment into ret. src_mac, own_mac: the MACs that a FRAME leaves out. DROP_MALFORMED, or DROP_OFFLOAD: what the flags say does
 * not fit the frame. */
enum drop decap_frame(const struct arrived *, const uint8_t src_mac[6], const uint8_t own_mac[6], uint8_t *out, struct packet *ret);

/* Hard checks of a received frame (PROTOCOL.md, Layer 2 safety): length, source MAC, own MAC, link-local groups. mtu of the network. */
struct member;
struct port;
enum drop admit_frame(const struct port *, const struct member *from, const uint8_t *frame, size_t len);

/* VLAN id of the outer 802.1Q or 802.1ad tag, 0 = none. Is the destination 01:80:c2:00:00:0x? (frame of at least 14 bytes) */
uint16_t frame_vlan(const uint8_t *frame, size_t len);
bool frame_link_local(const uint8_t *frame);
bool frame_broadcast(const uint8_t *frame);

#endif
