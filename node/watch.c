/* watch.c: who watches a network's frames (tap/mirror.h). Control.
 *
 * Workers find the set through the port. Someone who went is taken out when the next one comes, or at the network's next tick.
 */
#include "node/control.h"

#include <errno.h>

#include "tap/mirror.h"

static void watch_show(struct net *net, struct mirrors *next)
{
	struct mirrors *old = atomic_exchange(&net->port->mirrors, next);
	if (old)
		guestbook_retire(&net->node->book, old, mirrors_free);
}

int node_watch(struct node *node, uint64_t nwid, const char *name)
{
	struct net *net = net_find(node, nwid);
	struct mirrors *next;
	if (!net)
		return -ENOENT;
	int error = mirrors_next(atomic_load(&net->port->mirrors), name, &next);
	if (!error)
		watch_show(net, next);
	return error;
}

void watch_tick(struct net *net)
{
	struct mirrors *next;
	if (mirrors_stale(atomic_load(&net->port->mirrors)) && !mirrors_next(atomic_load(&net->port->mirrors), NULL, &next))
		watch_show(net, next);
}

void watch_free(struct net *net)
{
	watch_show(net, NULL);
}
