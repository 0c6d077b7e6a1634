/* storm.h: how much of what goes to many may pass: two token buckets, one for a sender's whole network, one for each member at the receiver.
 *
 * Any thread: a compare-and-swap for what passes, a load for what does not. All zero is full of tokens.
 */
#ifndef FARLAN_NODE_STORM_H
#define FARLAN_NODE_STORM_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/drop.h"

/* A multicast frame counts as that many bytes at least: ten thousand tiny ones cost everybody as much as ten thousand full ones. */
#define STORM_FRAME_LEAST 256

struct storm {
	_Atomic uint64_t flood_ns, multicast_ns, link_ns;
};

struct storm_limit {
	uint32_t frames;     /* 1/s of broadcast and unknown unicast, twice as many at once; 0 = unlimited */
	uint32_t mcast_kbit; /* kbit/s of multicast, a quarter of a second of it at once, or one frame; 0 = unlimited */
	uint32_t link;       /* 1/s of 01:80:c2:00:00:00..0f, twice as many at once; 0 = unlimited */
};

/* A frame to everybody, to a group, or (unknown) a unicast that is flooded because nobody knows where it belongs; other unicast is not limited.
 * DROP_STORM, DROP_STORM_MULTICAST, or DROP_NONE. */
enum drop storm_take(struct storm *, struct storm_limit, const uint8_t *frame, size_t len, bool unknown, uint64_t now_us);

#endif
