/* meter.h: token buckets in one word, for several threads at once, and what a relay lets each of its nodes send.
 *
 * A bucket is the time at which it would be full again: whoever takes, moves it ahead by what he took; it may be at most `burst` ahead of now.
 * Any unit of time, the same for all four. Zero is a full bucket. Any thread.
 */
#ifndef FARLAN_NODE_METER_H
#define FARLAN_NODE_METER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

bool meter_take(_Atomic uint64_t *bucket, uint64_t now, uint64_t cost, uint64_t burst);
/* Takes whatever is left, at most so far ahead: for what passes in any case but is not free. */
void meter_force(_Atomic uint64_t *bucket, uint64_t now, uint64_t cost, uint64_t most);

/* One node as a sender through our relay; part of its struct remote. All zero at first. */
struct sender {
	_Atomic uint64_t rate_ns, share_ns; /* buckets */
	_Atomic uint64_t round;             /* the last one it sent in */
	_Atomic uint64_t bytes, dropped;    /* forwarded bytes; packets above its rate */
};

/* What all of them share. Made and freed by control while no worker can see it; rates are fixed. */
struct relay_meter {
	uint64_t rate, total;   /* bytes/s of one node, of all together; 0 = unlimited */
	_Atomic uint64_t share; /* bytes/s that nobody takes from a node: total by the number of senders of the last round */
	_Atomic uint64_t total_ns;
	_Atomic uint64_t round, senders; /* rounds begin at 1; how many sent in this one */
	_Atomic uint64_t bytes, dropped;
};

void meter_init(struct relay_meter *, uint64_t rate, uint64_t total);
/* May this node send so many bytes now? Counts them. */
bool meter_relay(struct relay_meter *, struct sender *, uint64_t now_ns, uint32_t bytes);
/* Control, once a second: a new round. */
void meter_round(struct relay_meter *);

#endif
