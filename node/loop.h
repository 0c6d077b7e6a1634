/* loop.h: the only libuv of node/: runs one node's core on the calling thread and its workers on theirs.
 *
 * loop_new makes threads for the workers, the proof-of-work thread and the file writer, sets the loop's prepare handle (which
 * settles each turn: before_settle first, then node_turn) and its one timer. Everything here is control thread.
 */
#ifndef FARLAN_NODE_LOOP_H
#define FARLAN_NODE_LOOP_H

#include "node/node.h"

struct uv_loop_s;
struct loop;

struct loop_config {
	const char *home;              /* state folder, exists */
	const struct endpoint *listen; /* where to bind; n = 0: port 9993 of any v4 and v6, else a random kept port */
	unsigned n_listen;
	bool mapping;            /* ask routers to map the ports of listen (mapping.h) */
	bool default_port;       /* try 9993 first (nodes); a controller takes a random kept one */
	bool no_lan;             /* neither call out on the LAN nor listen there */
	const char *proxy;       /* HTTP proxy for TLS streams, "host:port"; NULL = none */
	struct node_config node; /* epoch is filled here, persisted before it is used */
	/* Called at the end of each turn before the node's own settling, with the time of the turn; returns its own next deadline
	 * (NEVER = none). The controller's settle. May be NULL. */
	uint64_t (*settle)(void *self, uint64_t now);
	void (*changed)(void *self); /* a network's or the node's state changed; may be NULL */
	void *self;
};

int loop_new(struct loop **ret, struct uv_loop_s *, const struct loop_config *, const char **ret_why);
void loop_free(struct loop *); /* joins the threads, flushes the files, closes devices */
struct node *loop_node(struct loop *);
struct streams *loop_streams(struct loop *); /* for a root that takes them; NULL = none. They end with the loop */
uint64_t loop_now(void);                     /* monotonic ms */
/* What routers map for us; all zero (not on) when they are not asked. */
struct mapping_view;
void loop_mapping(struct loop *, struct mapping_view *ret);
void loop_kick(struct loop *); /* settle soon: something was changed from a callback */

#endif
