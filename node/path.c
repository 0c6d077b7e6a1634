/* path.c: the ways to a peer: which there are, and which is used.
 *
 * A path is a direct endpoint or one leg through a relay. Everything new is PROBING until something authentic proved it both ways (probe.c); only a
 * VALID path carries traffic. A path that stays silent while we send is asked, given up and replaced (keepalive.c). Workers see only the one
 * way published.
 *
 * The choice is one number per path, microseconds: the round trip, and what its kind costs beside time. The differences between kinds are so
 * large that a direct path gives way to a relay only when it is some 50 ms slower; those among direct ones so small that they decide only between
 * paths that are alike. Another path of the same kind has to be better for a while, so that two do not take turns.
 */
#include "node/control.h"

#include <stdlib.h>
#include <string.h>

#include "proto/endpoint.h"

#define RTT_HINT_MAX_MS 4000
#define RTT_UNKNOWN_US  100000
#define BETTER_US       500
#define BETTER_SHIFT    3     /* and an eighth */
#define BETTER_MS       10000 /* for so long */
#define YOUNG_MS        5000  /* at once, while the pair is new and its paths come up one by one */

/* ---- the table -------------------------------------------------------------------------------------------------- */

static void way_publish(struct peer *peer, const struct way *fresh)
{
	const struct way *old = atomic_load(&peer->remote->way);
	atomic_store(&peer->remote->way, fresh);
	if (old)
		guestbook_retire(&peer->node->book, (void *)old, free);
}

void path_free(struct peer *peer, int i)
{
	struct circuit *circuit = peer->path[i].circuit;
	peer->path[i] = (struct path){0};
	for (unsigned k = 0; k < PROBES_MAX; k++)
		if (peer->probe[k].path == i)
			peer->probe[k].token = 0;
	if (peer->best == i) {
		peer->best = -1;
		path_choose(peer);
	}
	if (!circuit)
		return;
	/* Out of sight first, retired second: a worker that begins its turn in between must not find it by the way any more. */
	const struct way *way = atomic_load(&peer->remote->way);
	if (way && way->circuit == circuit)
		way_publish(peer, NULL);
	circuit_drop(peer->node, circuit);
}

static int path_slot(struct peer *peer)
{
	int worst = -1;
	for (int i = 0; i < PATHS_MAX; i++) {
		struct path *p = &peer->path[i];
		if (p->state == PATH_FREE)
			return i;
		if (p->state != PATH_VALID && i != peer->best && (worst < 0 || p->heard_ms < peer->path[worst].heard_ms))
			worst = i;
	}
	if (worst >= 0)
		path_free(peer, worst);
	return worst;
}

static int path_new(struct peer *peer)
{
	int i = peer_talk(peer) ? path_slot(peer) : -1;
	if (i >= 0)
		peer->path[i] =
		    (struct path){.state = PATH_PROBING, .datagram = DATAGRAM_BASE, .next_probe_ms = NEVER, .heard_ms = peer->node->now};
	return i;
}

int path_direct(struct peer *peer, const struct endpoint *to, uint8_t socket)
{
	for (int i = 0; i < PATHS_MAX; i++)
		if (peer->path[i].state != PATH_FREE && !peer->path[i].circuit && endpoint_equal(&peer->path[i].to, to) &&
		    (peer->path[i].socket == socket || (peer->path[i].socket < UDP_EXTRA_FIRST && socket < UDP_EXTRA_FIRST)))
			return i;
	/* Whatever the origin (a candidate, a packet that came through a network of ours): the tunnel is never carried by a tunnel. */
	int i = to->family && !path_barred(peer->node, to) ? path_new(peer) : -1;
	if (i >= 0) {
		peer->path[i].to = *to;
		peer->path[i].socket = socket;
		if (to->family & ENDPOINT_STREAM)
			peer->path[i].datagram = DATAGRAM_STREAM;
	}
	return i;
}

int path_find_circuit(const struct peer *peer, const struct circuit *c)
{
	for (int i = 0; i < PATHS_MAX; i++)
		if (peer->path[i].state != PATH_FREE && peer->path[i].circuit == c)
			return i;
	return -1;
}

int path_relayed(struct peer *peer, struct circuit *c, struct peer *relay)
{
	int i = path_find_circuit(peer, c);
	if (i < 0 && (i = path_new(peer)) >= 0) {
		peer->path[i].circuit = c;
		peer->path[i].relay = relay;
		peer->path[i].by_member = !relay->is_root;
	}
	return i;
}

int path_of_letter(struct peer *peer, const struct letter *l)
{
	if (!l->circuit)
		return path_direct(peer, &l->from, l->socket);
	struct circuit *c = node_circuit(peer->node, l->circuit);
	/* A circuit belongs to the pair it was made for; whatever else comes through it is no path of this peer. */
	if (!c || c->at_relay || !bytes_equal(c->peer_key_hash, peer->identity.key_hash, KEY_HASH_BYTES))
		return -1;
	struct peer *relay = peer_find(peer->node, c->far->key_hash);
	return relay ? path_relayed(peer, c, relay) : -1;
}

void path_forget_circuit(struct peer *peer, struct circuit *c)
{
	int i = path_find_circuit(peer, c);
	if (i >= 0)
		path_free(peer, i);
	else
		circuit_drop(peer->node, c);
}

void path_fini(struct peer *peer)
{
	way_publish(peer, NULL);
	peer->best = -1;
	for (int i = 0; i < PATHS_MAX; i++)
		if (peer->path[i].circuit) {
			circuit_drop(peer->node, peer->path[i].circuit);
			peer->path[i].circuit = NULL;
		}
}

/* ---- the choice ------------------------------------------------------------------------------------------------- */

enum path_kind path_kind(const struct path *p)
{
	if (path_tls(p))
		return PATH_BY_STREAM;
	return !p->circuit ? PATH_DIRECT : p->by_member ? PATH_BY_MEMBER : PATH_BY_ROOT;
}

static uint32_t score(const struct path *p)
{
	static const uint32_t cost_us[] = {[PATH_DIRECT] = 0, [PATH_BY_MEMBER] = 50000, [PATH_BY_ROOT] = 80000, [PATH_BY_STREAM] = 200000};
	uint32_t us = p->srtt_us ? p->srtt_us : RTT_UNKNOWN_US;
	us += cost_us[path_kind(p)];
	if (!p->circuit && !endpoint_private(&p->to)) /* same site before IPv6 before IPv4, whose way out has one translation more */
		us += p->to.family == 6 ? 1000 : 2000;
	return us;
}

/* Is path i to be used rather than the one that is? It is VALID. */
static bool better(struct peer *peer, int i)
{
	struct path *p = &peer->path[i], *best = &peer->path[peer->best];
	uint64_t now = peer->node->now;
	uint32_t a = score(p), b = score(best);
	enum path_kind kind = path_kind(p), best_kind = path_kind(best);
	if (b < BETTER_US || a + (b >> BETTER_SHIFT) + BETTER_US > b) {
		p->better_ms = 0;
		return false;
	}
	if (!p->better_ms)
		p->better_ms = now;
	return kind < best_kind || (kind == best_kind && now - peer->best_ms < YOUNG_MS) || now - p->better_ms >= BETTER_MS;
}

static int choose(struct peer *peer)
{
	int best = peer->best;
	if (best >= 0 && peer->path[best].state == PATH_VALID) {
		for (int i = 0; i < PATHS_MAX; i++)
			if (i != best && peer->path[i].state == PATH_VALID && better(peer, i))
				return i;
		return best;
	}
	best = -1;
	for (int i = 0; i < PATHS_MAX; i++)
		if (peer->path[i].state == PATH_VALID && (best < 0 || score(&peer->path[i]) < score(&peer->path[best])))
			best = i;
	return best;
}

void path_choose(struct peer *peer)
{
	int best = choose(peer);
	const struct way *now = atomic_load(&peer->remote->way);
	const struct path *p = best >= 0 ? &peer->path[best] : NULL;
	bool same = now && p && now->circuit == p->circuit && endpoint_equal(&now->to, &p->to) && now->datagram == p->datagram &&
	            now->socket == p->socket;
	if (best != peer->best && best >= 0) {
		if (peer->best < 0)
			peer->best_ms = peer->node->now;
		for (int i = 0; i < PATHS_MAX; i++)
			peer->path[i].better_ms = 0;
		pmtu_search(peer, best);
	}
	peer->best = best;
	event_peer(peer);
	if (same || (!now && !p))
		return;
	struct way *fresh = p ? malloc(sizeof *fresh) : NULL;
	if (p && !fresh)
		return; /* the old way stays: it may still work */
	if (fresh)
		*fresh = (struct way){.to = p->to, .socket = p->socket, .circuit = p->circuit, .datagram = p->datagram};
	way_publish(peer, fresh);
	node_changed(peer->node);
}

/* Capped: a lost answer makes it long, and it decides how patient we are with a dead path. */
void path_rtt_hint(struct peer *peer, int i, uint64_t ms)
{
	struct path *p = &peer->path[i];
	if (p->srtt_us)
		return;
	p->srtt_us = (uint32_t)((ms < RTT_HINT_MAX_MS ? ms : RTT_HINT_MAX_MS) * 1000 + 1);
	p->guessed = true;
}

void path_valid(struct peer *peer, int i)
{
	struct path *p = &peer->path[i];
	p->heard_ms = p->proved_ms = peer->node->now;
	p->lost = 0;
	p->rounds = 0;
	p->next_probe_ms = NEVER;
	if (p->state != PATH_VALID) {
		p->state = PATH_VALID;
		if (!p->circuit && !peer->is_root)
			peer_remember_endpoint(peer, &p->to);
	}
	path_choose(peer);
}

/* It does not answer. What was known of its size goes with it: after a change of route nothing of the old one holds. */
void path_stale(struct peer *peer, int i)
{
	struct path *p = &peer->path[i];
	p->state = PATH_STALE;
	p->lost = p->rounds = 0;
	if (!(p->to.family & ENDPOINT_STREAM))
		p->datagram = DATAGRAM_BASE;
	path_choose(peer);
}
