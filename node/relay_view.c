/* relay_view.c: what a relay tells of itself: how much it carries for whom, what it refused, whose identity runs twice.
 *
 * Asked by people, so a walk over all circuits is cheap enough; nothing is kept for it but counters.
 */
#include "node/relay.h"

#define CLONE_SHOWN_MS (2u * 3600 * 1000)

static bool clone_shown(uint64_t seen_ms, uint64_t now)
{
	return seen_ms && now - seen_ms < CLONE_SHOWN_MS;
}

static void top_add(struct relay_view *v, const struct peer *peer, uint64_t now)
{
	struct relay_node_view n = {.identity = peer->identity,
	                            .circuits = peer->n_calls,
	                            .bytes = atomic_load(&peer->remote->sender.bytes),
	                            .dropped = atomic_load(&peer->remote->sender.dropped),
	                            .refused = peer->refused,
	                            .clone_ms = NEVER};
	for (unsigned i = 0; i < v->n_top; i++)
		if (v->top[i].identity.address == peer->identity.address &&
		    bytes_equal(v->top[i].identity.key_hash, peer->identity.key_hash, KEY_HASH_BYTES))
			return;
	if (clone_shown(peer->clone_seen_ms, now)) {
		n.clone_ms = now - peer->clone_seen_ms;
		n.clone = peer->clone_at;
	}
	unsigned at = v->n_top;
	while (at && v->top[at - 1].bytes < n.bytes)
		at--;
	if (at == RELAY_TOP)
		return;
	unsigned last = v->n_top < RELAY_TOP ? v->n_top++ : RELAY_TOP - 1;
	for (unsigned i = last; i > at; i--)
		v->top[i] = v->top[i - 1];
	v->top[at] = n;
}

static void pairs_add(struct relay_view *v, const struct pairs *pairs, uint64_t now)
{
	for (const struct pair *p = TAILQ_FIRST(pairs); p; p = TAILQ_NEXT(p, list)) {
		top_add(v, p->caller, now);
		if (p->called)
			top_add(v, p->called, now);
	}
}

void node_relay(struct node *node, uint64_t now, struct relay_view *ret)
{
	const struct relay_service *r = node->relay;
	struct relay_view v = {
	    .root = node->config.root, .circuits_max = PAIRS_MAX, .rate = node->config.relay_rate, .total = node->config.relay_total};
	for (unsigned i = 0; i < NETWORKS_MAX; i++)
		v.member = v.member || (!node->config.no_relay && !node->config.root && node->net[i] && node->net[i]->cred_ok &&
		                        node->net[i]->cred.flags & MEMBER_RELAY);
	if (r) {
		v.circuits = r->n;
		v.bytes = atomic_load(&r->meter.bytes);
		v.dropped = atomic_load(&r->meter.dropped);
		v.refused = r->refused;
		pairs_add(&v, &r->talking, now);
		pairs_add(&v, &r->asked, now);
	}
	*ret = v;
}

bool node_clone(const struct node *node, uint64_t now, struct endpoint *ret, uint64_t *ret_ago_ms)
{
	if (!clone_shown(node->clone.ms, now))
		return false;
	*ret = node->clone.at;
	*ret_ago_ms = now - node->clone.ms;
	return true;
}

struct clones {
	void (*each)(void *, const struct identity *, const struct endpoint *other, uint64_t ago_ms);
	void *self;
	uint64_t now;
};

static void clone_each(struct peer *peer, void *self)
{
	const struct clones *c = self;
	if (peer->registered && clone_shown(peer->clone_seen_ms, c->now))
		c->each(c->self, &peer->identity, &peer->clone_at, c->now - peer->clone_seen_ms);
}

void node_clones(struct node *node, uint64_t now,
                 void (*each)(void *, const struct identity *, const struct endpoint *other, uint64_t ago_ms), void *self)
{
	struct clones c = {each, self, now};
	if (node->config.root)
		peers_each(node, clone_each, &c);
}
