/* zt1_node.h: what a node tells programs that know ZeroTier One's API: the networks it is in, its peers, itself.
 *
 * Control thread only. The door is zt1.h's; self of zt1_node_serve() is a struct zt1_node.
 */
#ifndef FARLAN_UI_ZT1_NODE_H
#define FARLAN_UI_ZT1_NODE_H

#include "node/node.h"
#include "ui/zt1.h"

struct zt1_node {
	struct zt1 door;
	struct node *node;
	uint64_t now; /* ms of this turn, set by the caller before each request */
};

void zt1_node_serve(struct zt1_node *, const struct request *, struct reply *);

#endif
