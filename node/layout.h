/* layout.h: where the headers of a TCP or UDP frame are, and its checksums (RFC 791, 8200, 9293, 768, 1071).
 *
 * Pure; reads frames of any origin and trusts nothing in them. Ethernet with up to two VLAN tags, IPv4 with options, IPv6
 * with hop-by-hop and destination options. Whatever else there is has no layout: fragments, other protocols, lengths that do
 * not fit.
 */
#ifndef FARLAN_NODE_LAYOUT_H
#define FARLAN_NODE_LAYOUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/batch.h"

#define IP_TCP 6
#define IP_UDP 17

/* Offset in the TCP header and bits of its flags. */
#define TCP_FLAGS 13
#define TCP_FIN   0x01
#define TCP_SYN   0x02
#define TCP_RST   0x04
#define TCP_PSH   0x08
#define TCP_URG   0x20
#define TCP_CWR   0x80

struct layout {
	uint16_t l3, l4, payload; /* offsets in the frame */
	uint32_t end;             /* where the IP packet ends: <= len, more only by Ethernet padding */
	uint8_t version;          /* 4, 6 */
	uint8_t protocol;         /* IP_TCP, IP_UDP */
};

/* false: no layout. The UDP length must be that of the IP payload. */
bool layout_of(const uint8_t *frame, size_t len, struct layout *ret);
/* Offset of the checksum in the L4 header: 16 TCP, 6 UDP. */
uint16_t layout_csum_offset(const struct layout *);

/* A number for the conversation a frame belongs to, the same in both directions: the two IP addresses and, where every frame of the
 * conversation has them, the two ports; else the two MACs. Any frame of at least 14 bytes; cheap, and no secret. */
uint32_t flow_of_frame(const uint8_t *frame, size_t len);

/* One's complement sum of len bytes, folded to 16 bits in the order of the bytes in memory, not inverted. */
uint16_t sum16(const uint8_t *at, size_t len, uint16_t more);
/* Pseudo-header sum for l4_len bytes of L4 header and payload: what the checksum field of a partial checksum holds. In memory order. */
uint16_t layout_pseudo(const uint8_t *frame, const struct layout *, uint32_t l4_len);
/* Is the complete L4 checksum right? A UDP checksum of 0 (IPv4: none) is not. */
bool layout_csum_good(const uint8_t *frame, const struct layout *);
/* Makes the checksum complete: of a frame (no superframe) whose offload says csum. */
void layout_complete(uint8_t *frame, const struct layout *);
bool layout_ip_csum_good(const uint8_t *frame, const struct layout *); /* IPv4 header; true for IPv6 */
void layout_ip_csum(uint8_t *frame, const struct layout *);            /* IPv4 header; nothing for IPv6 */

/* Makes a partial checksum of whatever protocol complete, where csum_start and csum_offset say; 0 becomes 0xffff, which is the same
 * sum and, unlike 0, means "summed" to UDP. No superframes. */
void offload_complete(uint8_t *frame, size_t len, struct offload *);

/* The door for what a peer says of a frame (CSUM): csum_start and csum_offset must be where our parser finds them and the field
 * must hold the pseudo-header sum. gso must be NONE. true: the kernel may be told the same. */
bool layout_offload_true(const uint8_t *frame, size_t len, const struct offload *);

/* The sum as it goes on. */
static inline uint16_t fold16(uint32_t sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)((sum & 0xffff) + (sum >> 16));
}
/* A 16-bit word as it stands in memory, which is how sums are counted and stored. */
static inline uint16_t word_at(const uint8_t *at)
{
	uint16_t v;
	__builtin_memcpy(&v, at, 2);
	return v;
}
static inline void word_to(uint8_t *at, uint16_t v)
{
	__builtin_memcpy(at, &v, 2);
}
static inline uint16_t be16_at(const uint8_t *at)
{
	return (uint16_t)(at[0] << 8 | at[1]);
}
static inline void be16_to(uint8_t *at, uint32_t v)
{
	at[0] = (uint8_t)(v >> 8);
	at[1] = (uint8_t)v;
}
static inline uint32_t be32_at(const uint8_t *at)
{
	return (uint32_t)be16_at(at) << 16 | be16_at(at + 2);
}
static inline void be32_to(uint8_t *at, uint32_t v)
{
	be16_to(at, v >> 16);
	be16_to(at + 2, v);
}

#endif
