/* encap.h: an Ethernet frame as it travels to one member, and back: FRAME, EFRAME, FRAG (PROTOCOL.md, Frames).
 *
 * Pure, no heap; used by workers (outbound.c, inbound.c) and by control for frames that waited for a session.
 */
#ifndef FARLAN_NODE_ENCAP_H
#define FARLAN_NODE_ENCAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/drop.h"
#include "proto/wire.h"

/* Bytes in front of the frame's own bytes that encap_frame may need: inner header 4; EFRAME carries all of the frame, FRAME 12 less. */
struct encap {
	uint8_t own_mac[6], peer_mac[6];
	uint16_t chan;     /* the receiver's handle */
	uint16_t datagram; /* largest datagram of the way */
	uint32_t frag_id;  /* lane << 28 | counter, taken by the caller once per frame */
};

/* Datagrams (1, or 2..16 for FRAG) this frame of len bytes needs; 0 = cannot be sent (longer than 16 pieces carry). */
unsigned encap_pieces(const struct encap *, const uint8_t *frame, size_t len);
/* Writes the plaintext (inner header and body) of piece i of n to out (room >= encap->datagram); returns its length. */
size_t encap_piece(const struct encap *, const uint8_t *frame, size_t len, unsigned i, unsigned n, uint8_t *out);

/* Inner header and body of a FRAME or EFRAME -> Ethernet frame at out (room FRAG_FRAME_MAX). Returns DROP_NONE, DROP_MALFORMED, or
 * DROP_TYPE; *ret_len set. src_mac/own_mac: MACs implied by a FRAME. out may be in front of plain in the same buffer (it moves at most
 * 10 bytes backwards). */
enum drop decap_frame(const uint8_t *plain, size_t len, const uint8_t src_mac[6], const uint8_t own_mac[6], uint8_t *out, size_t *ret_len);

/* Hard checks of a received frame (PROTOCOL.md, Layer 2 safety): length, source MAC, own MAC, link-local groups. mtu of the network. */
struct member;
struct port;
enum drop admit_frame(const struct port *, const struct member *from, const uint8_t *frame, size_t len);

/* VLAN id of the outer 802.1Q or 802.1ad tag, 0 = none. Is the destination 01:80:c2:00:00:0x? (frame of at least 14 bytes) */
uint16_t frame_vlan(const uint8_t *frame, size_t len);
bool frame_link_local(const uint8_t *frame);

#endif
