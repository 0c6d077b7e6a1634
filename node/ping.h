/* ping.h: one question to a peer, end to end inside the session, and by which path the answer came.
 *
 * Control thread only. A ping brings a session up when there is none and waits for it; then it sends one PROBE by the path in use. It is a slot
 * with a number: whoever asked looks at it until it is decided. node_changed() tells when it is.
 */
#ifndef FARLAN_NODE_PING_H
#define FARLAN_NODE_PING_H

#include "node/event.h"
#include "proto/base/batch.h"
#include "proto/base/heap.h"
#include "proto/ident.h"

#define PINGS_MAX    32
#define TRYING_MAX   8
#define PING_LOST_MS 2000 /* for the answer */

enum ping_state {
	PING_CONNECTING, /* no session or no path yet */
	PING_SENT,       /* the probe is on its way */
	PING_ANSWERED,
	PING_LOST,
};

struct ping {
	uint32_t id; /* 0 = never used */
	enum ping_state state;
	uint8_t key_hash[KEY_HASH_BYTES];
	uint64_t begun_ms, sent_ms, done_ms;
	uint32_t wait_ms;
	int path; /* asked by */
	char via[PATH_TEXT];
	bool direct, tls;
	uint64_t relay; /* address of who relays; 0 = nobody */
	uint32_t rtt_us;
};

struct pings {
	struct ping ping[PINGS_MAX];
	uint32_t last_id;
	struct timer timer; /* while one is undecided */
};

struct ping_view {
	uint32_t id;
	enum ping_state state;
	uint64_t address;
	char via[PATH_TEXT]; /* "" until it was sent */
	bool direct, tls;
	uint64_t relay;
	uint32_t rtt_us; /* answered: not 0 */
	char trying[TRYING_MAX][PATH_TEXT];
	unsigned n_trying;
};

/* The peer meant by an address, an overlay IP, or a MAC: among our networks' members, our roots and controllers. 0, -ENOENT, or -EEXIST
 * when several are meant. */
int node_find(struct node *, const char *who, uint8_t ret_key_hash[KEY_HASH_BYTES]);
/* wait_ms: for a session and a path. 0 with its number; -ENOENT (nobody of that key), -EBUSY (all slots undecided). */
int node_ping(struct node *, const uint8_t key_hash[KEY_HASH_BYTES], uint32_t wait_ms, uint64_t now, uint32_t *ret_id);
bool node_pinged(struct node *, uint32_t id, struct ping_view *ret); /* false: no such number (any more) */

/* path.c: a probe by this path was answered. */
void ping_answered(struct peer *, int path, uint32_t rtt_us);

#endif
