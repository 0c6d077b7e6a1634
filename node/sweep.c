/* sweep.c: letting go of peers nobody needs any more, so that no directory, caller or crowd of strangers fills the memory.
 *
 * Each second housekeeping looks at a part of the table. What is held for a reason stays; what is only remembered (who had which
 * address, where it was last) stays for a day, less when there are many. A root forgets no owner of an address until its table is
 * nearly full; then those go that were never looked up, called or calling, the older ones first (T76). A peer is freed here and where
 * a network's directory drops it, never while a message of its own is being handled: those have a session, and that holds it.
 */
#include "node/control.h"

#define BUCKETS_LEAST    1024
#define BUCKETS_MOST     16384 /* about 2 ms of a turn */
#define FREED_MOST       1024
#define GRACE_MS         5000 /* between being named and being used */
#define FEW_PEERS        4096 /* as many as the disk remembers */
#define REMEMBER_MS      (24u * 3600 * 1000)
#define REMEMBER_MANY_MS (10u * 60 * 1000)
#define LEG_USED_MS      120000

static bool shakes_hands(const struct peer *peer)
{
	/* Whose keys nobody can tell any more, no network naming it, is called in vain. */
	for (int c = 0; c < CLASS_COUNT; c++)
		if (peer->current[c] || peer->previous[c] || peer->next[c][0] || peer->next[c][1] ||
		    (peer->keys && peer->init_ms[c] != NEVER))
			return true;
	for (unsigned i = 0; i < PENDING_MAX; i++)
		if (peer->pending[i])
			return true;
	return false;
}

static bool has_leg(const struct peer *peer, uint64_t now)
{
	for (int i = 0; i < PATHS_MAX; i++) {
		const struct circuit *c = peer->path[i].state != PATH_FREE ? peer->path[i].circuit : NULL;
		if (c && (atomic_load(&c->used_ms) + LEG_USED_MS > now || c->made_ms + LEG_USED_MS > now))
			return true;
	}
	return false;
}

/* Must stay. Who keeps a pointer to a peer (all else keeps key hashes): node.root[], root_line's owner, set_root.peer, node_set.from and .newer (roots); path.relay and circuit.far at a
 * node (legs); net.controller_peer (is_controller); net_member.peer and member.remote (remote->member[]); session.remote, pending.peer (shakes_hands); circuit.far
 * at a relay, pair.caller and pair.called (calls, called); the peer's own timer, requests, paths and waiting
 * frames, which end with it. Add to this list what you add to the code. */
static bool held(const struct peer *peer, uint64_t now)
{
	if (peer->is_root || peer->is_controller || peer->root_line || (peer->keys && peer->wait_first) || shakes_hands(peer) ||
	    !LIST_EMPTY(&peer->calls) || !LIST_EMPTY(&peer->called) || peer->legs || has_leg(peer, now))
		return true;
	for (unsigned i = 0; i < REQUESTS_MAX; i++)
		if (peer->request[i])
			return true;
	for (unsigned i = 0; i < NETWORKS_MAX; i++)
		if (atomic_load(&peer->remote->member[i]))
			return true;
	return false;
}

static bool nearly_full(const struct node *node)
{
	return node->peers.n > peers_room(node) - peers_room(node) / 8;
}

static bool remembered(const struct peer *peer, uint64_t now)
{
	const struct node *node = peer->node;
	if (!peer->keys || !(peer->work || peer->n_cached || peer->ts_known))
		return false;
	if (node->config.root && peer->work)
		return !nearly_full(node) || peer->useful || peer->order + peers_room(node) / 8 > node->peers.orders;
	uint64_t seen = peer->used_ms > peer->made_ms ? peer->used_ms : peer->made_ms;
	if (nearly_full(node))
		return false;
	return seen + (node->peers.n <= FEW_PEERS ? REMEMBER_MS : REMEMBER_MANY_MS) > now;
}

bool peer_forget(struct peer *peer)
{
	uint64_t now = peer->node->now;
	if (held(peer, now) || remembered(peer, now))
		return false;
	peer->served = false; /* the end of its session was told when it ended */
	peer_free(peer);
	return true;
}

void peers_sweep(struct node *node, uint64_t now)
{
	struct peers *p = &node->peers;
	size_t n = p->buckets / 4, freed = 0;
	n = n < BUCKETS_LEAST ? BUCKETS_LEAST : n > BUCKETS_MOST ? BUCKETS_MOST : n;
	n = n < p->buckets ? n : p->buckets;
	for (size_t i = 0; i < n && freed < FREED_MOST; i++, p->sweep_at++)
		for (struct peer *at = p->by_key[p->sweep_at & (p->buckets - 1)], *next; at; at = next) {
			next = at->hash_next;
			if (at->made_ms + GRACE_MS <= now)
				freed += peer_forget(at);
		}
}
