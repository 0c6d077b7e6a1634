/* node_api.h: farland's routes: its networks, peers and drops.
 *
 * Control thread only. Knows no sockets: requests come by node_api_serve(), already admitted.
 */
#ifndef FARLAN_UI_NODE_API_H
#define FARLAN_UI_NODE_API_H

#include <jansson.h>

#include "node/node.h"
#include "ui/api.h"

struct mapping_view;

struct node_api {
	struct node *node;
	bool root;
	bool (*mapping)(void *self, struct mapping_view *ret); /* what routers map to us; NULL or false: nobody asks them */
	void *mapping_self;
	struct {
		uint64_t address;
		uint32_t id;
	} check[ROOTS_MAX]; /* pings of the last netcheck */
	unsigned n_checks;
	uint64_t now; /* ms of this turn, set by the caller before each request */
};

void node_api_serve(struct node_api *, const struct request *, struct reply *);
/* GET /v1/networks/NWID, also as the answer to what changed it. */
void node_api_network(void *self, const struct request *, struct reply *);
/* Adds "online", "roots" and "warnings" to a status; the controller's node is asked the same way. */
void node_api_roots(struct node *, json_t *status);

#endif
