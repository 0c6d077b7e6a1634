/* rights.c: what workers hold members to: addresses out of credentials, limits and switches out of the configuration.
 *
 * Whoever takes a credential calls rights_member, whoever takes a directory rights_listed, whoever applies a configuration or our own credential
 * rights_publish. All may be called too often: what is the same stays where it is.
 */
#include "node/control.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/guard.h"

/* Zeroed when made, so that equal ones are equal byte by byte. */
static void owned_set(struct net *net, _Atomic(const struct owned *) *at, uint64_t address, const struct cred *cred)
{
	struct owned *fresh = owned_new(net->nwid, address, cred);
	const struct owned *old = atomic_load(at);
	if (!fresh)
		return;
	if (old && !memcmp(old, fresh, sizeof *old)) {
		free(fresh);
		return;
	}
	atomic_store(at, fresh);
	if (old)
		guestbook_retire(&net->node->book, (void *)old, free);
}

void rights_member(struct net *net, struct net_member *m)
{
	owned_set(net, &m->member->owned, m->member->address, &m->cred);
}

/* Frames of a member come without a session of its own, by a replicator: the directory is signed as well as its credential. */
void rights_listed(struct net *net, struct net_member *m)
{
	struct cred cred = {.n_ips = m->entry.n_ips};
	if (m->cred_ok)
		return;
	memcpy(cred.ips, m->entry.ips, sizeof cred.ips);
	owned_set(net, &m->member->owned, m->member->address, &cred);
}

void rights_retire(struct net *net, struct member *m)
{
	const struct owned *old = atomic_exchange(&m->owned, NULL);
	if (old)
		guestbook_retire(&net->node->book, (void *)old, free);
}

static void ethertypes_set(struct net *net)
{
	const struct ethertypes *now = &net->base.ethertypes, *old = atomic_load(&net->port->ethertypes);
	unsigned n = net->head_ok ? now->n : 0;
	struct ethertypes *fresh = NULL;
	if (old ? old->n == n && !memcmp(old->type, now->type, n * sizeof *now->type) : !n)
		return;
	if (n && !(fresh = malloc(sizeof *fresh)))
		return; /* the next configuration brings it again */
	if (fresh)
		*fresh = *now;
	atomic_store(&net->port->ethertypes, fresh);
	if (old)
		guestbook_retire(&net->node->book, (void *)old, free);
}

void rights_publish(struct net *net)
{
	struct port *port = net->port;
	ethertypes_set(net);
	owned_set(net, &port->owned, port->address, &net->cred);
	atomic_store(&port->network_flags, net->base.flags);
	atomic_store(&port->storm_frames, net->head_ok ? net->base.storm_frames : STORM_FRAMES_DEFAULT);
	atomic_store(&port->mcast_kbit, net->head_ok ? net->base.mcast_kbit : MCAST_KBIT_DEFAULT);
}

/* ---- whose doing ---------------------------------------------------------------------------------------------------------- */

static const enum drop reason[BLAME_COUNT] = {
#define X(name) DROP_##name,
    BLAME_LIST(X)
#undef X
};

bool node_blames(struct node *node, uint64_t nwid, void (*each)(void *, const struct blame_view *), void *self)
{
	const struct net *net = net_find(node, nwid);
	for (unsigned i = 0; net && i < net->n_members; i++) {
		const struct net_member *m = net->member[i];
		struct blame_view v = {.address = m->member->address};
		uint64_t any = 0;
		for (unsigned k = 0; k < BLAME_COUNT; k++)
			any |= v.drop[reason[k]] = atomic_load(&m->member->blame[k]);
		if (!any)
			continue;
		snprintf(v.name, sizeof v.name, "%s", m->cred_ok ? m->cred.name : "");
		each(self, &v);
	}
	return net != NULL;
}
