/* status.c: what the API asks of a node: networks, peers, roots, drops, copied out of the control half's structs.
 */
#include "node/control.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static void net_fill(const struct net *net, struct net_view *v)
{
	*v = (struct net_view){.nwid = net->nwid, .state = net->state, .mtu = net->head_ok ? net->base.mtu : 0, .members = net->n_members};
	snprintf(v->name, sizeof v->name, "%s", net->head_ok ? net->base.name : "");
	snprintf(v->reason, sizeof v->reason, "%s", net->reason);
	snprintf(v->dev, sizeof v->dev, "%s", net->dev);
	memcpy(v->mac, net->port->mac, 6);
	if (net->head_ok)
		v->dns = net->dns;
	v->blocked = net->loop.blocked;
	loopguard_text(net, v->loop);
	v->head_version = net->head_ok ? net->head.version : 0;
	local_view(net, &v->local);
	if (net->pinned)
		memcpy(v->controller_key_hash, net->controller.key_hash, KEY_HASH_BYTES);
	v->rights = net->cred_ok ? net->cred.flags : 0;
	v->flags = net->head_ok ? net->base.flags : 0;
	if (net->device_up) {
		memcpy(v->routes, net->route_set, net->n_routes_set * sizeof *v->routes);
		v->n_routes = net->n_routes_set;
		memcpy(v->addresses, net->address, net->n_addresses * sizeof *v->addresses);
		v->n_addresses = net->n_addresses;
		if (net->ula_set) {
			struct prefix *ula = &v->addresses[v->n_addresses++];
			ula->family = 6;
			ula->bits = 64;
			ula_derive(net->nwid, net->node->config.self.self.address, ula->ip);
		}
	}
	for (unsigned i = 0; i < net->n_members; i++)
		v->peers_up += peer_up(net->member[i]->peer, CLASS_DATA) && net->member[i]->peer->best >= 0;
	v->carried = port_carried(net->port);
	port_drops(net->port, v->drop);
}

bool node_network(struct node *node, uint64_t nwid, struct net_view *ret)
{
	const struct net *net = net_find(node, nwid);
	if (net)
		net_fill(net, ret);
	return net != NULL;
}

void node_networks(struct node *node, void (*each)(void *, const struct net_view *), void *self)
{
	for (unsigned i = 0; i < NETWORKS_MAX; i++) {
		struct net_view v;
		if (!node->net[i])
			continue;
		net_fill(node->net[i], &v);
		each(self, &v);
	}
}

struct peers_walk {
	void (*each)(void *, const struct peer_view *);
	void *self;
};

/* What keeps frames from the direct way, as far as this side can tell. */
static const char *why_relayed(struct peer *peer)
{
	const struct path *best = &peer->path[peer->best];
	struct netcheck_view check;
	unsigned asked = 0, silent = 0;
	if (!best->circuit || peer->is_root)
		return path_tls(best) ? "UDP to it is blocked" : "";
	node_netcheck(peer->node, &check);
	if (check.tls && !check.family[0].reached && !check.family[1].reached)
		return "UDP is blocked here";
	for (int i = 0; i < PATHS_MAX; i++) {
		asked += peer->path[i].state == PATH_PROBING && !peer->path[i].circuit;
		silent += peer->path[i].state == PATH_STALE && !peer->path[i].circuit;
	}
	bool other = check.family[0].mapping == NAT_DIFFERENT;
	if (other && peer->nat == NAT_DIFFERENT)
		return "their NAT and ours give each destination another port";
	if (asked)
		return "no answer to direct probes yet";
	if (silent)
		return "the direct path went silent";
	if (!peer->cands_received_ms)
		return "it has not told its addresses yet";
	if (other || peer->nat == NAT_DIFFERENT)
		return other ? "our NAT gives each destination another port" : "their NAT gives each destination another port";
	return "none of its addresses answers";
}

static void path_fill(struct peer *peer, struct peer_view *v)
{
	const struct path *p = &peer->path[peer->best];
	v->direct = !p->circuit;
	v->tls = path_tls(p);
	v->rtt_us = p->srtt_us;
	v->loss = p->srtt_us ? p->loss_permille : LOSS_UNKNOWN;
	v->datagram = p->datagram;
	v->endpoint = p->to;
	v->why = why_relayed(peer);
	if (!p->relay)
		return;
	v->relay_address = p->relay->identity.address;
	v->relay_root = p->relay->is_root;
	if (p->relay->best >= 0)
		v->endpoint = p->relay->path[p->relay->best].to;
}

static void carried_fill(const struct peer *peer, struct peer_view *v)
{
	const struct node *node = peer->node;
	for (unsigned i = 0; i < NETWORKS_MAX; i++) {
		const struct member *m = atomic_load(&peer->remote->member[i]);
		if (!m || !node->net[i])
			continue;
		const struct net_member *nm = roster_address(node->net[i], m->address);
		if (nm && nm->cred_ok && !*v->name)
			snprintf(v->name, sizeof v->name, "%s", nm->cred.name);
		struct carried c = traffic_sum(atomic_load(&m->traffic), node->config.workers + 1);
		v->in[v->networks++] = (struct peer_network){node->net[i]->nwid, c};
		v->carried.rx_frames += c.rx_frames;
		v->carried.rx_bytes += c.rx_bytes;
		v->carried.tx_frames += c.tx_frames;
		v->carried.tx_bytes += c.tx_bytes;
	}
}

static void peer_fill(struct peer *peer, void *arg)
{
	struct peers_walk *walk = arg;
	struct session *s = peer_any_session(peer);
	struct peer_view v = {.identity = peer->identity,
	                      .role_root = peer->is_root,
	                      .role_controller = peer->is_controller,
	                      .loss = LOSS_UNKNOWN,
	                      .why = ""};
	if (!s && !peer->is_root && !peer->is_controller)
		return;
	uint64_t now = peer->node->now;
	v.up = s && peer->best >= 0;
	if (peer->best >= 0)
		path_fill(peer, &v);
	carried_fill(peer, &v);
	for (int c = 0; c < CLASS_COUNT; c++) {
		struct session *of[] = {peer->current[c], peer->previous[c]};
		for (int k = 0; k < 2; k++)
			for (unsigned i = 0; of[k] && i <= of[k]->workers; i++) {
				v.rx_bytes += atomic_load(&of[k]->foot[i].rx_bytes);
				v.tx_bytes += atomic_load(&of[k]->foot[i].tx_bytes);
			}
	}
	v.rx_bytes += peer->past_rx;
	v.tx_bytes += peer->past_tx;
	if (s) {
		v.suite = s->suite;
		uint64_t heard = session_last_rx(s);
		v.last_heard_ms = heard && heard < now ? now - heard : 0;
	}
	walk->each(walk->self, &v);
}

void node_peers(struct node *node, uint64_t now, void (*each)(void *, const struct peer_view *), void *self)
{
	struct peers_walk walk = {.each = each, .self = self};
	node->now = now;
	peers_each(node, peer_fill, &walk);
}

void node_roots(struct node *node, void (*each)(void *, const struct root_view *), void *self)
{
	for (unsigned i = 0; i < node->n_roots; i++) {
		struct peer *root = node->root[i];
		struct root_view v = {.identity = root->identity, .observed = root->sight.seen[!root->sight.seen[0].family]};
		v.online = peer_up(root, CLASS_CTRL) && root->best >= 0;
		if (v.online) {
			v.endpoint = root->path[root->best].to;
			v.rtt_us = root->path[root->best].srtt_us;
			v.tls = path_tls(&root->path[root->best]);
			v.datagram = root->path[root->best].datagram;
		} else {
			struct endpoint known[ROOT_KNOWN_MAX];
			if (resolve_endpoints(root, known))
				v.endpoint = known[0];
			if (root->root_idle)
				snprintf(v.reason, sizeof v.reason, "in reserve: others of its set answer faster");
			else
				resolve_reason(root, v.reason);
		}
		each(self, &v);
	}
}

static void registered(struct peer *peer, void *n)
{
	*(unsigned *)n += peer->registered;
}

unsigned node_registered(struct node *node)
{
	unsigned n = 0;
	if (node->config.root)
		peers_each(node, registered, &n);
	return n;
}

int node_fdb(struct node *node, uint64_t nwid, uint64_t now, void (*each)(void *, const struct fdb_entry *), void *self)
{
	const struct net *net = net_find(node, nwid);
	if (!net)
		return -ENOENT;
	fdb_each(net->port->fdb, now, each, self);
	return 0;
}

void node_drops(struct node *node, uint64_t ret[DROP_COUNT])
{
	for (unsigned d = 0; d < DROP_COUNT; d++) {
		ret[d] = node->drop[d];
		for (unsigned i = 0; i < node->config.workers; i++)
			ret[d] += worker_drop(node->worker[i], (enum drop)d);
	}
	if (node->port.stream_dropped)
		ret[DROP_STREAM] += node->port.stream_dropped(node->port.self);
}
