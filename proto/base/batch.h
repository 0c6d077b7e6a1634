/* batch.h: the one currency of the data path, up to 64 packets that are handled together.
 *
 * A batch is owned by one worker (or by the control thread); nothing in it is shared. data borrows from its owner's
 * slab. A step skips packets whose verdict is not DROP_NONE and sets the verdict of those it refuses.
 */
#ifndef FARLAN_PROTO_BASE_BATCH_H
#define FARLAN_PROTO_BASE_BATCH_H

#include <stdint.h>

#include "proto/base/drop.h"

#define BATCH_MAX 64

/* A UDP address, 20 bytes, also the "observed address" on the wire (port in host order here). An IPv4 address stands
 * in the first four bytes of ip, the rest zero; v4-mapped IPv6 never occurs. family 0 = none. */
struct endpoint {
	uint8_t family; /* 4, 6, or 0 */
	uint8_t reserved;
	uint16_t port;
	uint8_t ip[16];
};

struct packet {
	uint8_t *data; /* first byte of what the next step reads */
	uint32_t len;  /* bytes at data */
	uint32_t room; /* bytes usable at data, >= len */
	enum drop verdict;
	uint32_t idx;         /* receiver index in clear with its lane, host order (DATA) */
	uint64_t pn;          /* sequence number in its lane (DATA) */
	void *session;        /* borrowed from the view for this turn; NULL = none */
	void *port;           /* borrowed network port, or NULL */
	void *circuit;        /* borrowed circuit the packet came through, or NULL */
	struct endpoint from; /* in: source. out: destination */
	uint8_t socket;       /* which local socket it came by or leaves by */
};

struct batch {
	uint32_t n; /* <= BATCH_MAX */
	struct packet p[BATCH_MAX];
};

#endif
