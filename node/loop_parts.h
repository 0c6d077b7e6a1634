/* loop_parts.h: the inside of struct loop, for loop.c (turns, files, life) and loop_ports.c (what stands beside the node) only.
 */
#ifndef FARLAN_NODE_LOOP_PARTS_H
#define FARLAN_NODE_LOOP_PARTS_H

#include <pthread.h>
#include <uv.h>

#include "node/lookup.h"
#include "node/loop.h"
#include "proto/root_line.h"

#define RESOLVING_MAX 2

struct loop {
	uv_loop_t *uv;
	uv_prepare_t prepare;
	uv_timer_t timer;
	uv_async_t work_done, mapping_moved;
	uv_poll_t wake, monitor, beacons, names;
	unsigned handles; /* initialized and not closed yet */
	uv_work_t job;    /* writes saves */
	bool writing;     /* job is under way */
	struct resolving {
		struct lookup *lookup; /* NULL: free */
		char host[ROOT_HOST_MAX + 1];
	} resolving[RESOLVING_MAX];
	int names_fd; /* look-ups are done; -1: nothing is looked up */

	struct files *files;
	struct work *work;
	struct mapping *mapping; /* NULL: routers are not asked */
	struct streams *streams; /* NULL: neither opened nor accepted */
	struct udp *udp;
	struct beacon_io *beacon; /* NULL: no calls on the LAN */
	struct netlink *netlink;  /* NULL: the node reads its addresses at intervals only */
	struct node *node;        /* NULL while it is made or freed: then nobody is told anything */
	int wake_fd;
	pthread_t thread[WORKERS_MAX];
	struct worker *worker[WORKERS_MAX];
	unsigned n_workers; /* whose threads run */

	bool kicked;
	uint64_t hosts_ms; /* when to tell the node of changed addresses; NEVER = none changed */
	bool rerouted;     /* ... and of default routes */
	uint64_t (*settle)(void *self, uint64_t now);
	void (*changed)(void *self);
	void *self;
	struct message_port port; /* the owner's */
};

/* loop.c: after uv_X_init of a handle that is part of struct loop; a descriptor polled for reading; results are waiting (any thread). */
void loop_handle_made(struct loop *, void *handle);
int loop_poll_make(struct loop *, uv_poll_t *, int fd, uv_poll_cb);
void loop_notify(void *loop);

/* loop_ports.c. Each is a help only: where it cannot be had, the node is without (logged). The ports go into *port. */
void loop_beacons_start(struct loop *, bool wanted, struct node_port *port);
void loop_streams_start(struct loop *, const struct loop_config *, struct node_port *port);
void loop_mapping_start(struct loop *, const struct endpoint *bound, unsigned n_bound);
void loop_streams_ended(struct loop *);
void loop_names_start(struct loop *, struct node_port *port);
void loop_names_end(struct loop *); /* its handle is closed */

#endif
