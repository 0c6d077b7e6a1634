/* hosts.c: this machine's own addresses, and what follows when they change.
 *
 * Whoever talks to us sends to the address we had. It learns the new one from an authentic packet that comes from there, so a machine that only
 * answers would stay lost until its next keepalive (25 s), and so would whoever asks its root for it. Therefore a change makes us ask on every way
 * in use at once: the question carries the new address, and is repeated and given up like any other.
 */
#include "node/control.h"

#include <string.h>

static void announce(struct peer *peer, void *self)
{
	uint64_t now = peer->node->now;
	struct session *s = peer_any_session(peer);
	(void)self;
	if (!s || peer->best < 0)
		return;
	if (!peer->is_root && !peer->is_controller && session_last_used(s) + PEER_IN_USE_MS < now)
		return;
	if (peer->path[peer->best].next_probe_ms > now)
		peer->path[peer->best].next_probe_ms = now;
	path_cands_send(peer);
	path_tick(peer, now);
	peer_schedule(peer);
}

bool path_hosts_read(struct node *node)
{
	struct endpoint before[HOSTS_MAX];
	unsigned skip[NETWORKS_MAX], n = 0, n_before = node->n_hosts;
	node->hosts_ms = node->now;
	if (!node->netlink)
		return false;
	memcpy(before, node->host, sizeof before);
	for (unsigned i = 0; i < NETWORKS_MAX; i++) {
		struct tap *tap = node->net[i] ? atomic_load(&node->net[i]->port->tap) : NULL;
		if (tap)
			skip[n++] = tap_ifindex(tap);
	}
	int got = netlink_hosts(node->netlink, skip, n, node->host, node->host_mtu, HOSTS_MAX);
	if (got < 0)
		return false;
	node->n_hosts = (unsigned)got;
	if (node->n_hosts != n_before || memcmp(before, node->host, n_before * sizeof *before))
		node_view_changed(node); /* see outbound.c, nested() */
	for (unsigned i = 0; i < node->n_hosts; i++) {
		unsigned k = 0;
		while (k < n_before && !endpoint_equal(&before[k], &node->host[i]))
			k++;
		if (k == n_before) {
			event_host(node, &node->host[i]);
			return true;
		}
	}
	return false; /* one that went away is nothing to tell: what used it will notice */
}

/* rerouted: the way out may be another, so that what leaves has another source though no address is new. */
void node_hosts_changed(struct node *node, bool rerouted, uint64_t now)
{
	node->now = now;
	if (!path_hosts_read(node) && !rerouted)
		return;
	resolve_hosts_changed(node);
	beacon_hosts_changed(node);
	fallback_hosts_changed(node);
	peers_each(node, announce, NULL);
}
