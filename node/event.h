/* event.h: what happened of late, for `farlan events`: a ring of the last EVENTS_MAX changes, each with its number.
 *
 * Control thread only. Who knows that something changed says so in one line; nobody here asks why. Reading never removes: a reader
 * keeps the number of the last event it saw and learns from the numbers what it missed. Times are the node's own milliseconds; whoever shows
 * them to people adds the wall clock.
 */
#ifndef FARLAN_NODE_EVENT_H
#define FARLAN_NODE_EVENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/batch.h"

#define EVENTS_MAX 256
#define EVENT_TEXT 96
#define PATH_TEXT  72

struct node;
struct peer;
struct path;
struct net;

#define EVENT_KINDS(X)                                                                                                                     \
	X(PEER_UP, "peer.up")                 /* a session and a path that answers; to: the path */                                        \
	X(PEER_DOWN, "peer.down")             /* none of them any more; from: the last path */                                             \
	X(PEER_PATH, "peer.path")             /* another path carries the frames */                                                        \
	X(ROOT_UP, "root.up")                 /* as peer.up, of a root of ours */                                                          \
	X(ROOT_DOWN, "root.down")             /* as peer.down */                                                                           \
	X(NETWORK_STATE, "network.state")     /* from, to: states */                                                                       \
	X(NETWORK_LOOP, "network.loop")       /* to: another bridge on our LAN, or that it is gone */                                      \
	X(MAPPING_CHANGED, "mapping.changed") /* to: what routers map to us now */                                                         \
	X(ADDRESS_CHANGED, "address.changed") /* of this host, or as a root sees us */                                                     \
	X(IDENTITY_CLONE, "identity.clone")   /* to: where the other machine with our identity is */                                       \
	X(STREAM_UP, "stream.up")             /* TLS; to: its far end */                                                                   \
	X(STREAM_DOWN, "stream.down")

enum event_kind {
#define X(kind, name) EVENT_##kind,
	EVENT_KINDS(X)
#undef X
	    EVENT_KIND_COUNT
};

struct event {
	uint64_t seq; /* 1.. */
	uint64_t ms;  /* node time */
	enum event_kind kind;
	uint64_t address;                      /* whom it is about; 0 = nobody */
	uint64_t nwid;                         /* which network; 0 = none */
	char from[EVENT_TEXT], to[EVENT_TEXT]; /* "" = nothing to say */
};

struct events {
	struct event ring[EVENTS_MAX]; /* by seq % EVENTS_MAX */
	uint64_t last;                 /* newest seq; 0 = none yet */
};

const char *event_kind_name(enum event_kind);

/* ---- the control half tells ------------------------------------------------------------------------------------- */

void event_add(struct node *, enum event_kind, const struct peer *, const char *detail); /* peer may be NULL; detail becomes to */
void event_change(struct node *, enum event_kind, const struct peer *, const char *from, const char *to);
/* A session or the best path of the peer may have changed: tells what is different from the last time (up, down, path). */
void event_peer(struct peer *);
void event_network(const struct net *, const char *from); /* its state changed */
void event_loop(const struct net *, uint64_t address, const char *text);
/* A root says where it sees us; takes the news into *mine. */
void event_observed(const struct peer *root, struct endpoint *mine, const struct endpoint *news);
void event_mapped(struct node *);                        /* routers map other endpoints to us */
void event_host(struct node *, const struct endpoint *); /* a new address of this host */

/* "198.51.100.4:9993", "tls:203.0.113.9:443", "root relay 3a0b77de12", "relay 1b22d9a077", " by TLS" behind it where the relay is
 * reached by a stream; path NULL: "none". */
void path_text(const struct path *, char buf[PATH_TEXT]);
bool path_tls(const struct path *); /* some stream of ours carries it */

/* ---- the API asks ----------------------------------------------------------------------------------------------- */

/* Calls each for those after since, the oldest that is left first. Returns the newest number there is. */
uint64_t node_events(const struct node *, uint64_t since, void (*each)(void *, const struct event *), void *);

#endif
