/* batch.h: the one currency of the data path, up to 64 packets that are handled together.
 *
 * A batch is owned by one worker (or by the control thread); nothing in it is shared. data borrows from its owner's
 * slab. A step skips packets whose verdict is not DROP_NONE and sets the verdict of those it refuses.
 */
#ifndef FARLAN_PROTO_BASE_BATCH_H
#define FARLAN_PROTO_BASE_BATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/base/drop.h"

#define BATCH_MAX 64

/* A UDP address, 20 bytes, also the "observed address" on the wire (port in host order here). An IPv4 address stands
 * in the first four bytes of ip, the rest zero; v4-mapped IPv6 never occurs. family 0 = none. With ENDPOINT_STREAM: not UDP but a TLS stream
 * whose far end is that TCP address; such a one names the stream inside this process and never goes onto the wire or to disk. */
#define ENDPOINT_STREAM 0x10
struct endpoint {
	uint8_t family; /* 4, 6, or 0 */
	uint8_t reserved;
	uint16_t port;
	uint8_t ip[16];
};

/* Memory that is filled from its beginning: what is read into it lies back to back, and all of it is given back at once. */
struct slab {
	uint8_t *at;   /* first free byte */
	uint32_t room; /* bytes free from there */
};

/* What an Ethernet frame still lacks, in the terms of a network card (and of virtio_net_hdr). All zero: a complete frame.
 * csum: the L4 checksum field holds the sum of the pseudo-header only, and the rest is to be summed from csum_start on.
 * gso: a superframe, one set of headers for many segments of size bytes of L4 payload each (the last may be shorter); always
 * with csum. The IP and UDP lengths are those of the whole. */
enum gso { GSO_NONE, GSO_TCP4, GSO_TCP6, GSO_UDP };
struct offload {
	uint8_t gso;
	bool csum;
	bool ecn;             /* TCP superframe whose first segment carries CWR */
	uint16_t size;        /* gso */
	uint16_t csum_start;  /* csum: offset of the L4 header in the frame */
	uint16_t csum_offset; /* csum: of the checksum in the L4 header, 16 TCP, 6 UDP */
};
#define SUPERFRAME_MAX (65535 + 14 + 8) /* IP packet, Ethernet header, two VLAN tags */

/* A frame's place in the superframe it was cut from, as its sender says: a hint, never relied upon. n = 0: none. */
struct segment {
	uint16_t id;
	uint8_t i, n;
};

struct packet {
	uint8_t *data; /* first byte of what the next step reads */
	uint32_t len;  /* bytes at data */
	uint32_t room; /* bytes usable at data, >= len */
	enum drop verdict;
	uint32_t idx;         /* receiver index in clear with its lane, host order (DATA) */
	uint64_t pn;          /* sequence number in its lane (DATA) */
	void *session;        /* borrowed from the view for this turn; NULL = none. Frames for a device: the member they came by */
	void *port;           /* borrowed network port, or NULL */
	void *circuit;        /* borrowed circuit the packet came through, or NULL */
	struct endpoint from; /* in: source. out: destination */
	uint8_t socket;       /* which local socket it came by or leaves by */
	uint8_t tails;        /* frames: so many of the packets behind this one are bytes that follow its own */
	struct segment segment;
	struct offload offload;
	uint8_t kin; /* frames for a device: those with the same number have the same headers as far as kin.h says; 0 = not known */
};

struct batch {
	uint32_t n; /* <= BATCH_MAX */
	struct packet p[BATCH_MAX];
};

#endif
