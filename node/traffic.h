/* traffic.h: frames and bytes that a port, or one member's link, carried (PROTOCOL.md, REPORT), and the frames a port's network lost.
 *
 * A slot has one writer, a worker or control, and lines of its own: to count is an addition to a line that is in reach, without a lock. Any
 * thread may read; sums of several slots are of no one moment. traffic_new and member_free: control.
 */
#ifndef FARLAN_NODE_TRAFFIC_H
#define FARLAN_NODE_TRAFFIC_H

#include <stdatomic.h>
#include <stdint.h>

#include "proto/base/drop.h"

struct traffic {
	_Atomic uint64_t rx_frames, rx_bytes, tx_frames, tx_bytes;
	uint64_t apart[4];
};
struct carried { /* a sum */
	uint64_t rx_frames, rx_bytes, tx_frames, tx_bytes;
};
/* Of a port: what is written for every batch first, and then so much that no two of these share a line. */
struct port_count {
	struct traffic carried;
	_Atomic uint64_t drop[DROP_COUNT]; /* frames of this network, before they are sealed */
};
struct port;
struct member;

/* By the only writer of that word. */
static inline void own_add(_Atomic uint64_t *at, uint64_t n)
{
	atomic_store_explicit(at, atomic_load_explicit(at, memory_order_relaxed) + n, memory_order_relaxed);
}

static inline void traffic_in(struct traffic *t, uint64_t frames, uint64_t bytes)
{
	own_add(&t->rx_frames, frames);
	own_add(&t->rx_bytes, bytes);
}

static inline void traffic_out(struct traffic *t, uint64_t frames, uint64_t bytes)
{
	own_add(&t->tx_frames, frames);
	own_add(&t->tx_bytes, bytes);
}

struct traffic *traffic_new(unsigned slots); /* all 0; free() */
void member_free(void *member);              /* the form guestbook_retire wants */

struct carried traffic_sum(const struct traffic *, unsigned slots); /* NULL: nothing */
struct carried port_carried(const struct port *);
void port_drops(const struct port *, uint64_t ret[DROP_COUNT]);

#endif
