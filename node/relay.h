/* relay.h: the inside of a relay, for relay.c (circuits), register.c (a root's other services) and relay_view.c (what it tells) only.
 *
 * Made with the node of a root, and of a member when the first of its peers asks it to relay. Control thread only.
 */
#ifndef FARLAN_NODE_RELAY_H
#define FARLAN_NODE_RELAY_H

#include "node/control.h"

#define PAIRS_MAX        65536
#define PAIRS_PER_NODE   1024
#define CALLS_MAX        1024
#define INCOMING_BUCKETS 8192
#define NODE_BUCKETS     4096

struct pair {
	TAILQ_ENTRY(pair) list; /* asked or talking */
	LIST_ENTRY(pair) by_caller, by_called;
	struct circuit *a, *b;        /* legs to the caller and the called; b NULL = the called one is not here */
	struct peer *caller, *called; /* called NULL as b */
	bool accepted;
	uint64_t made_ms;
};
TAILQ_HEAD(pairs, pair);

struct bucket { /* one per node, in a small hash; a collision only shares the rate */
	uint64_t connect_ms, whois_ms;
};

/* Who called whom of late: told when the called one registers from a new start (PROTOCOL.md, Restart recovery). */
struct call {
	uint8_t caller[KEY_HASH_BYTES], called[KEY_HASH_BYTES];
	uint64_t at_ms; /* 0 = free */
};

struct relay_service {
	struct relay_meter meter;
	struct pairs asked;   /* not accepted yet, the oldest first */
	struct pairs talking; /* accepted; the one to be looked at next first */
	unsigned n;
	uint64_t refused;
	uint64_t incoming_key; /* random: nobody can choose whom he shares a bucket with */
	uint64_t incoming_ms[INCOMING_BUCKETS];
	struct call call[CALLS_MAX];
	unsigned call_at;
	struct bucket bucket[NODE_BUCKETS];
};

/* A token bucket kept as the time at which it would be empty. */
bool relay_bucket(uint64_t *at, uint64_t now, uint64_t cost, unsigned burst);
struct bucket *relay_bucket_of(struct peer *);
/* register.c: remembers who called whom. */
void relay_call_note(struct node *, const struct peer *caller, const uint8_t called[KEY_HASH_BYTES]);

#endif
