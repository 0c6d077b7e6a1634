/* report.h: what a network's controller is told of how this member reaches the others, and of its traffic (PROTOCOL.md, REPORT). For people to look at:
 * nothing is decided by it.
 *
 * Control thread only.
 */
#ifndef FARLAN_NODE_REPORT_H
#define FARLAN_NODE_REPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/base/drop.h"

struct net;
struct node;
struct peer;

/* Part of struct net. All zero at first. */
struct report {
	uint64_t next_ms; /* 0 = no session with the controller yet */
	uint64_t told_ms;
	uint64_t told;          /* hash of which links were told, and of what kind */
	bool moved;             /* some peer's path did since */
	bool flying;            /* one is on its way */
	bool unwelcome;         /* a controller that does not know the message */
	bool named[DROP_COUNT]; /* reasons of drops that were told by name */
};

void report_second(struct node *, uint64_t now); /* once a second */
void report_controller_up(struct net *);
void report_last(struct net *);         /* it, or the node, goes */
void report_moved(const struct peer *); /* its path in use did, or it came or went */
void report_path(const struct peer *);  /* tells the message port, if the peer uses it */

#endif
