/* relay.c: circuits between two nodes, at a root and at a member with the right to relay.
 *
 * A circuit is a pair of legs; workers forward between them, control makes and ends them. At a root both are registered: CONNECT to a node
 * that is absent and to one that refuses look the same, an index at once, UNREACH after three seconds without ACCEPT. A member relays between
 * members of a network they all have in common, whose credential gives it that right; who is a member there is no secret among them, so it says at
 * once that it cannot help. Both ways are straight ones: nothing is relayed twice. A relay learns who calls whom and how much; network ids (at a
 * root), credentials and frames never reach it in clear.
 */
#include "node/relay.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "proto/random.h"

#define ACCEPT_WAIT_MS 3000
#define IDLE_MS        120000
#define CONNECT_MS     50 /* 20/s */
#define CONNECT_BURST  50
/* To one node, whoever calls: 50/s. One caller gets a tenth of that, so that a single one cannot use it up for the others. */
#define INCOMING_MS        20
#define INCOMING_BURST     50
#define INCOMING_ONE_MS    200
#define INCOMING_ONE_BURST 10
#define TICK_LEAST         64 /* pairs looked at per second; else a sixteenth of all */

int relay_new(struct node *node)
{
	node->relay = calloc(1, sizeof *node->relay);
	if (!node->relay)
		return -ENOMEM;
	TAILQ_INIT(&node->relay->asked);
	TAILQ_INIT(&node->relay->talking);
	meter_init(&node->relay->meter, node->config.relay_rate / 8, node->config.relay_total / 8);
	random_bytes(&node->relay->incoming_key, sizeof node->relay->incoming_key);
	return 0;
}

static void pair_end(struct node *node, struct pair *p, bool tell_caller, bool tell_called);

void relay_free(struct node *node)
{
	if (!node->relay)
		return;
	for (struct pair *p; (p = TAILQ_FIRST(&node->relay->asked)) || (p = TAILQ_FIRST(&node->relay->talking));)
		pair_end(node, p, false, false);
	free(node->relay);
	node->relay = NULL;
}

bool relay_bucket(uint64_t *at, uint64_t now, uint64_t cost, unsigned burst)
{
	if (*at + cost * burst < now)
		*at = now - cost * burst;
	if (*at + cost > now)
		return false;
	*at += cost;
	return true;
}

struct bucket *relay_bucket_of(struct peer *peer)
{
	return &peer->node->relay->bucket[le32_at(peer->identity.key_hash) % NODE_BUCKETS];
}

/* ---- for whom ----------------------------------------------------------------------------------------------------- */

static bool open_to(const struct net *net, const struct peer *peer)
{
	const struct member *m = atomic_load(&peer->remote->member[net->chan - 1]);
	return m && atomic_load(&m->rx_open) && atomic_load(&m->tx_chan);
}

static bool lets_us(const struct net *net)
{
	return net && net->state == NET_JOINED && net->cred_ok && net->cred.flags & MEMBER_RELAY && atomic_load(&net->port->open);
}

/* A network that lets us relay and has an open channel with both (other NULL: with the one). */
static bool common(const struct peer *peer, const struct peer *other)
{
	const struct node *node = peer->node;
	for (unsigned i = 0; i < NETWORKS_MAX && !node->config.no_relay; i++)
		if (lets_us(node->net[i]) && open_to(node->net[i], peer) && (!other || open_to(node->net[i], other)))
			return true;
	return false;
}

/* ... or that lists the other one, with whom we may not have spoken yet. */
static bool listed(const struct peer *peer, const struct peer *other)
{
	const struct node *node = peer->node;
	for (unsigned i = 0; i < NETWORKS_MAX; i++)
		if (lets_us(node->net[i]) && open_to(node->net[i], peer) && atomic_load(&other->remote->member[i]))
			return true;
	return false;
}

struct peer *relay_member(const struct peer *peer, uint64_t address)
{
	const struct node *node = peer->node;
	for (unsigned i = 0; i < NETWORKS_MAX; i++) {
		const struct net *net = node->net[i];
		for (unsigned k = 0; lets_us(net) && open_to(net, peer) && k < net->n_members; k++)
			if (net->member[k]->member->address == address && net->member[k]->peer->keys)
				return net->member[k]->peer;
	}
	return NULL;
}

bool relay_serves(struct peer *peer, const struct session *s, const struct letter *l)
{
	if (s->class != CLASS_DATA || l->circuit || !common(peer, NULL))
		return false;
	return peer->node->relay || !relay_new(peer->node);
}

static bool straight(const struct peer *peer)
{
	return peer->best >= 0 && !peer->path[peer->best].circuit;
}

/* What we say to an end of a circuit goes by this one. */
static enum session_class class_of(const struct peer *peer)
{
	return peer->node->config.root && peer->registered ? CLASS_CTRL : CLASS_DATA;
}

/* ---- circuits ----------------------------------------------------------------------------------------------------- */

static void unreach_tell(struct peer *peer, const struct circuit *leg)
{
	struct body_unreach b = {.idx = leg->tx_idx, .relay_idx = leg->named.idx};
	uint8_t body[32];
	size_t n = body_unreach_encode(&b, body, sizeof body);
	if (leg->tx_idx && peer_up(peer, class_of(peer)))
		request_send(peer, class_of(peer), OP_UNREACH, body, n, NULL, 0, NULL);
}

static void pair_end(struct node *node, struct pair *p, bool tell_caller, bool tell_called)
{
	TAILQ_REMOVE(p->accepted ? &node->relay->talking : &node->relay->asked, p, list);
	LIST_REMOVE(p, by_caller);
	p->caller->n_calls--;
	if (p->called)
		LIST_REMOVE(p, by_called);
	node->relay->n--;
	if (tell_caller)
		unreach_tell(p->caller, p->a);
	if (p->b && tell_called)
		unreach_tell(p->called, p->b);
	/* Neither leg may be found before the other lets go of it. */
	atomic_store(&p->a->twin, NULL);
	if (p->b)
		atomic_store(&p->b->twin, NULL);
	circuit_drop(node, p->a);
	if (p->b)
		circuit_drop(node, p->b);
	free(p);
}

static struct circuit *leg_make(struct node *node, struct peer *peer, uint32_t tx_idx, const uint8_t *exporter)
{
	struct circuit *c = circuit_new(node_index_draw(node), peer->remote, true);
	if (!c)
		return NULL;
	c->made_ms = node->now;
	c->meter = &node->relay->meter;
	memcpy(c->peer_key_hash, peer->identity.key_hash, KEY_HASH_BYTES);
	if (exporter)
		circuit_keys(c, tx_idx, exporter);
	if (!node_index_put(node, &c->named, c->named.idx)) {
		circuit_free(c);
		return NULL;
	}
	return c;
}

static struct pair *pair_of_caller(const struct peer *caller, uint32_t rx_idx)
{
	struct pair *p;
	LIST_FOREACH(p, &caller->calls, by_caller)
	if (p->a->tx_idx == rx_idx)
		return p;
	return NULL;
}

/* The called end, when there is one. */
static void pair_call(struct pair *p, struct peer *called)
{
	struct node *node = called->node;
	struct circuit *leg = leg_make(node, called, 0, NULL);
	if (!leg)
		return;
	leg->pair = p;
	p->b = leg;
	p->called = called;
	p->made_ms = node->now;
	LIST_INSERT_HEAD(&called->called, p, by_called);
	TAILQ_REMOVE(&node->relay->asked, p, list); /* the youngest again */
	TAILQ_INSERT_TAIL(&node->relay->asked, p, list);
}

static struct pair *pair_make(struct peer *caller, struct session *s, struct peer *called, const struct body_connect *b)
{
	struct node *node = caller->node;
	if (node->relay->n >= PAIRS_MAX || caller->n_calls >= PAIRS_PER_NODE)
		return NULL;
	struct pair *p = calloc(1, sizeof *p);
	struct circuit *a = p ? leg_make(node, caller, b->rx_idx & IDX_MASK, s->exporter) : NULL;
	if (!a) {
		free(p);
		return NULL;
	}
	*p = (struct pair){.a = a, .caller = caller, .made_ms = node->now};
	a->pair = p;
	LIST_INSERT_HEAD(&caller->calls, p, by_caller);
	caller->n_calls++;
	TAILQ_INSERT_TAIL(&node->relay->asked, p, list);
	node->relay->n++;
	if (called)
		pair_call(p, called);
	return p;
}

/* Over the limit the caller hears what it hears of one who is absent. */
static bool incoming_allowed(const struct peer *caller, struct peer *called)
{
	struct relay_service *r = caller->node->relay;
	uint64_t now = caller->node->now;
	uint64_t mix = (le64_at(caller->identity.key_hash) ^ r->incoming_key) * UINT64_C(0x9e3779b97f4a7c15);
	mix = (mix ^ mix >> 32 ^ le64_at(called->identity.key_hash)) * (r->incoming_key | 1);
	uint64_t *one = &r->incoming_ms[(mix >> 40) % INCOMING_BUCKETS];
	/* The caller's own share first: what it has not left takes nothing from the others. */
	return relay_bucket(one, now, INCOMING_ONE_MS, INCOMING_ONE_BURST) &&
	       relay_bucket(&called->incoming_bucket_ms, now, INCOMING_MS, INCOMING_BURST);
}

static void incoming_tell(struct peer *caller, struct session *s, struct peer *called, const struct pair *p, const struct body_connect *b)
{
	if (!incoming_allowed(caller, called)) {
		node_drop(caller->node, DROP_CTRL_RATE);
		return;
	}
	struct body_incoming in = {.source = caller->identity, .idx = p->b->named.idx, .first = b->first, .first_len = b->first_len};
	const struct way *way = atomic_load(&s->remote->way);
	uint8_t body[BODY_MAX];
	if (b->share_observed && way && !way->circuit)
		in.observed = way->to;
	size_t n = body_incoming_encode(&in, body, sizeof body);
	if (n)
		request_send(called, class_of(called), OP_INCOMING, body, n, NULL, 0, NULL);
}

/* The one that is called, or NULL with what the caller hears of it: at a root the same as of one that does not answer. */
static struct peer *called_by(struct peer *caller, const struct body_connect *b, enum status *ret)
{
	struct node *node = caller->node;
	struct peer *called = b->key_hash_set ? peer_find(node, b->key_hash) : peer_find_address(node, b->address);
	*ret = STATUS_OK;
	if (node->config.root) {
		if (called) {
			relay_call_note(node, caller, called->identity.key_hash);
			caller->useful = called->useful = true;
		}
		return called && called->registered && peer_up(called, CLASS_CTRL) && called != caller ? called : NULL;
	}
	if (!called || called == caller || !b->key_hash_set || !listed(caller, called)) {
		*ret = STATUS_NOT_FOUND;
		return NULL;
	}
	if (common(caller, called) && peer_up(called, CLASS_DATA) && straight(called))
		return called;
	initiator_want(called, CLASS_DATA); /* when asked again it may be there */
	*ret = STATUS_TRY_LATER;
	return NULL;
}

static void refuse(struct peer *peer, struct session *s, uint32_t req, enum status status)
{
	peer->refused++;
	peer->node->relay->refused++;
	request_reply(peer, s->class, req, OP_CONNECT, (uint8_t)status, NULL, 0);
}

void relay_connect(struct peer *peer, struct session *s, uint32_t req, const uint8_t *body, size_t len)
{
	struct node *node = peer->node;
	struct body_connect b;
	enum status status;
	/* The rate first: who is above it costs no parsing. */
	if (!relay_bucket(&relay_bucket_of(peer)->connect_ms, node->now, CONNECT_MS, CONNECT_BURST)) {
		node_drop(node, DROP_CTRL_RATE);
		refuse(peer, s, req, STATUS_TRY_LATER);
		return;
	}
	if (!body_connect_parse(body, len, &b) || (node->config.root && !peer->registered) || !(b.rx_idx & IDX_MASK) ||
	    b.first_len > INIT_SEND_MAX) {
		refuse(peer, s, req, STATUS_MALFORMED);
		return;
	}
	struct peer *called = called_by(peer, &b, &status);
	struct pair *p = status == STATUS_OK ? pair_of_caller(peer, b.rx_idx & IDX_MASK) : NULL;
	if (status == STATUS_OK && !p && !(p = pair_make(peer, s, called, &b)))
		status = STATUS_TRY_LATER;
	if (!p) {
		refuse(peer, s, req, status);
		return;
	}
	if (called && !p->called) /* it was not here when it was asked for first */
		pair_call(p, called);
	struct body_idx idx = {.idx = p->a->named.idx};
	uint8_t out[32];
	size_t n = body_idx_encode(&idx, out, sizeof out);
	request_reply(peer, s->class, req, OP_CONNECT, STATUS_OK, out, n);
	if (called && p->called == called)
		incoming_tell(peer, s, called, p, &b);
}

void relay_accept(struct peer *peer, struct session *s, uint32_t req, const uint8_t *body, size_t len)
{
	struct node *node = peer->node;
	struct body_accept b;
	struct circuit *leg = body_accept_parse(body, len, &b) ? node_circuit(node, b.idx & IDX_MASK) : NULL;
	struct pair *p = leg ? leg->pair : NULL;
	struct circuit *other = p && p->b == leg ? p->a : NULL;
	if (!other || leg->far != peer->remote || !(b.rx_idx & IDX_MASK)) {
		request_reply(peer, s->class, req, OP_ACCEPT, STATUS_NOT_FOUND, NULL, 0);
		return;
	}
	request_reply(peer, s->class, req, OP_ACCEPT, STATUS_OK, NULL, 0);
	if (!p->accepted) {
		/* The called one made its keys of the session that this came by, and sends it by no other. */
		circuit_keys(leg, b.rx_idx & IDX_MASK, s->exporter);
		/* Keys before twins: a worker that finds the twin may use it. */
		atomic_store(&leg->twin, other);
		atomic_store(&other->twin, leg);
		TAILQ_REMOVE(&node->relay->asked, p, list);
		TAILQ_INSERT_TAIL(&node->relay->talking, p, list);
		p->accepted = true;
		atomic_store(&leg->used_ms, node->now);
	}
	if (b.first_len)
		node_datagram_leg(node, other, b.first, b.first_len);
}

void relay_peer_gone(struct peer *peer)
{
	for (struct pair *p; (p = LIST_FIRST(&peer->calls));)
		pair_end(peer->node, p, false, true);
	for (struct pair *p; (p = LIST_FIRST(&peer->called));)
		pair_end(peer->node, p, true, false);
}

/* Idle, or between members of whom one lost its right to it, or we ours: true = ended. A session is kept for what still goes through. */
static bool pair_look(struct node *node, struct pair *p, uint64_t now)
{
	uint64_t used = atomic_load(&p->a->used_ms), used_b = atomic_load(&p->b->used_ms);
	used = used_b > used ? used_b : used;
	used = p->made_ms > used ? p->made_ms : used;
	if (used + IDLE_MS <= now ||
	    (!node->config.root && !common(p->caller, p->called))) { /* a worker's stamp may be ahead of this turn's time */
		pair_end(node, p, true, true);
		return true;
	}
	if (!node->config.root)
		for (int i = 0; i < 2; i++) {
			struct peer *end = i ? p->called : p->caller;
			end->legs_used_ms = used > end->legs_used_ms ? used : end->legs_used_ms;
			end->used_ms = used > end->used_ms ? used : end->used_ms;
		}
	return false;
}

void relay_tick(struct node *node, uint64_t now)
{
	struct relay_service *r = node->relay;
	meter_round(&r->meter);
	for (struct pair *p; (p = TAILQ_FIRST(&r->asked)) && now - p->made_ms >= ACCEPT_WAIT_MS;)
		pair_end(node, p, true, false);
	/* Idle ones are found within a few seconds: a part of them is looked at each time, the first going to the end. */
	unsigned left = r->n / 16 > TICK_LEAST ? r->n / 16 : TICK_LEAST;
	for (struct pair *p, *last = TAILQ_LAST(&r->talking, pairs); left && (p = TAILQ_FIRST(&r->talking)); left--) {
		bool end = p == last;
		if (!pair_look(node, p, now)) {
			TAILQ_REMOVE(&r->talking, p, list);
			TAILQ_INSERT_TAIL(&r->talking, p, list);
		}
		if (end)
			break;
	}
}
