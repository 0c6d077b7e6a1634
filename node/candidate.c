/* candidate.c: where a peer may be reached, told to each other inside the session (PROTOCOL.md, Paths).
 *
 * Ours are the host's addresses with our ports, what routers map, what the config says of the outside, and what the roots see. What a peer names is only probed, never trusted: few ports of one address, few
 * probes in ten seconds, nothing that no peer can be at, so that nobody makes us scan others.
 */
#include "node/control.h"

#include <string.h>

#include "proto/endpoint.h"

#define PORTS_PER_IP 4
#define CANDS_MS     500 /* 2/s taken from one peer */

/* What the admin wants no packet to go by is nothing to be told; an address of ours inside a network of ours is none to be reached at. */
static void cands_add(const struct node *node, struct body_cands *c, const struct endpoint *e)
{
	if (path_barred(node, e))
		return;
	for (unsigned i = 0; i < c->n; i++)
		if (endpoint_equal(&c->endpoints[i], e))
			return;
	if (c->n < CANDIDATES_MAX && e->family && e->port)
		c->endpoints[c->n++] = *e;
}

static void cands_done(struct peer *peer, const struct request *r, const struct message *reply)
{
	(void)r;
	/* Without ours the other side may never find the direct way. */
	if (!reply && peer_any_session(peer))
		path_cands_send(peer);
	else if (reply && reply->status == STATUS_TRY_LATER)
		peer->cands_ms = 0; /* with its next candidates */
	peer_schedule(peer);
}

void path_cands_send(struct peer *peer)
{
	struct node *node = peer->node;
	struct netcheck_view check;
	uint8_t body[BODY_MAX];
	if (peer->is_root || peer->registered)
		return;
	node_netcheck(node, &check);
	struct body_cands c = {.gen = ++peer->cands_gen, .nat = (uint8_t)check.family[0].mapping};
	for (unsigned i = 0; i < node->n_hosts; i++)
		for (unsigned k = 0; k < node->config.n_bound; k++) {
			struct endpoint e = node->host[i];
			if (node->config.alt_port && node->config.bound[k].port == node->config.alt_port)
				continue;
			e.port = node->config.bound[k].port;
			if (e.family == node->config.bound[k].family)
				cands_add(node, &c, &e);
		}
	for (unsigned i = 0; i < node->n_mapped; i++)
		cands_add(node, &c, &node->mapped[i]);
	for (unsigned i = 0; i < node->config.n_external; i++)
		cands_add(node, &c, &node->config.external[i]);
	for (unsigned i = 0; i < node->n_roots; i++) {
		nat_measure(node->root[i]); /* what comes of it is told anew when it is news */
		for (unsigned f = 0; f < 2; f++)
			cands_add(node, &c, &node->root[i]->sight.seen[f]);
	}
	size_t len = body_cands_encode(&c, body, sizeof body);
	peer->cands_ms = node->now;
	if (len)
		request_send(peer, peer_up(peer, CLASS_DATA) ? CLASS_DATA : CLASS_CTRL, OP_CANDS, body, len, cands_done, 0, NULL);
}

bool path_in_overlay(const struct node *node, const struct endpoint *e)
{
	for (unsigned i = 0; i < NETWORKS_MAX; i++) {
		const struct net *net = node->net[i];
		for (unsigned k = 0; net && k < net->n_addresses; k++)
			if (prefix_holds(&net->address[k], e))
				return true;
		for (unsigned k = 0; net && k < net->n_routes_set; k++)
			if (net->route_set[k].target.bits && prefix_holds(&net->route_set[k].target, e))
				return true;
		if (net && e->family == 6) {
			uint8_t ula[16];
			ula_derive(net->nwid, 0, ula);
			if (!memcmp(ula, e->ip, 8))
				return true;
		}
	}
	return false;
}

bool path_avoided(const struct node *node, const struct endpoint *e)
{
	for (unsigned i = 0; i < node->config.n_avoid; i++)
		if (prefix_holds(&node->config.avoid[i], e))
			return true;
	return false;
}

bool path_barred(const struct node *node, const struct endpoint *e)
{
	return path_avoided(node, e) || path_in_overlay(node, e);
}

static bool forbidden(const struct node *node, const struct endpoint *e)
{
	return !e->port || !endpoint_usable(e) || path_barred(node, e);
}

bool path_cands(struct peer *peer, const struct body_cands *c)
{
	struct node *node = peer->node;
	if (c->gen <= peer->cands_seen)
		return true; /* old news, late */
	if (peer->cands_received_ms && node->now - peer->cands_received_ms < CANDS_MS)
		return false;
	peer->cands_seen = c->gen;
	peer->nat = c->nat;
	spray_cands(peer, c);
	peer->cands_received_ms = node->now;
	for (unsigned i = 0; i < c->n; i++) {
		unsigned same = 0;
		for (unsigned k = 0; k < i; k++)
			same += !memcmp(c->endpoints[k].ip, c->endpoints[i].ip, 16);
		if (same >= PORTS_PER_IP || forbidden(node, &c->endpoints[i]))
			continue;
		int p = path_direct(peer, &c->endpoints[i], 0);
		if (p >= 0)
			path_ask_new(peer, p, i * 5);
	}
	/* Simultaneous: the other side starts probing when it has ours. */
	if (node->now - peer->cands_ms > 2000)
		path_cands_send(peer);
	path_tick(peer, node->now);
	peer_schedule(peer);
	return true;
}

static void tell(struct peer *peer, void *self)
{
	struct session *s = peer_any_session(peer);
	(void)self;
	if (!s || (peer->best >= 0 && path_kind(&peer->path[peer->best]) == PATH_DIRECT))
		return;
	if (session_last_used(s) + PEER_IN_USE_MS < peer->node->now)
		return;
	path_cands_send(peer);
	peer_schedule(peer);
}

void path_candidates_changed(struct node *node)
{
	peers_each(node, tell, NULL);
}
