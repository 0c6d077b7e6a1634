/* beacon.h: members of our networks on our own LAN, found without any root (PROTOCOL.md, Beacons).
 *
 * Control thread only. We call out where we are for each network joined, and hear others call. A beacon proves nothing, so it moves nothing:
 * it only names one more place where an INIT may find its peer.
 */
#ifndef FARLAN_NODE_BEACON_H
#define FARLAN_NODE_BEACON_H

#include "proto/base/batch.h"
#include "proto/base/heap.h"
#include "proto/beacon.h"

#define BEACON_SALTS 64

struct node;
struct peer;

struct beacons { /* in struct node */
	struct timer timer;
	uint32_t seq;
	unsigned burst;    /* the next of a burst's calls; BURST or more: between bursts */
	uint64_t burst_ms; /* when the last burst began */
	uint64_t called_ms;
	uint64_t interval_ms;  /* of the slow calls */
	uint64_t heard_tat_ms; /* bucket of what is read: when it would be empty */
	uint64_t hello_tat_ms; /* and of INITs to those with whom we have no business yet */
	uint8_t salt[BEACON_SALTS][BEACON_SALT];
	unsigned salt_at;
};

struct peer_beacon {       /* in struct peer: the newest it sent */
	uint64_t heard_ms; /* 0 = never */
	struct endpoint at;
	uint32_t epoch, seq;
	uint64_t tried_ms;    /* the last INIT there */
	uint64_t init_tat_ms; /* bucket of the INITs its beacons drew: 3 a minute */
	uint32_t hello_epoch; /* hello was said to this life of it */
};

void beacon_start(struct node *, uint64_t now); /* networks are loaded */
void beacon_joined(struct node *);              /* one more network */
void beacon_hosts_changed(struct node *);
void beacon_wanted(struct peer *); /* somebody waits for a session with it */
/* Where the peer last called from, for an INIT now: once a minute, while that is news; NULL = nowhere. */
const struct endpoint *beacon_endpoint(struct peer *);

#endif
