/* relay.c: the root role: registration, WHOIS, circuits between two of its nodes.
 *
 * A circuit is a pair of legs; workers forward between them, control makes and ends them. CONNECT to a node that is absent and to one that refuses
 * look the same: an index at once, UNREACH after three seconds without ACCEPT. A root learns addresses, public IPs and who calls whom; network
 * ids, credentials and frames never reach it in clear.
 */
#include "node/control.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "proto/random.h"

#define PAIRS_MAX      65536
#define PAIRS_PER_NODE 1024
#define ACCEPT_WAIT_MS 3000
#define IDLE_MS        120000
#define CALLS_MAX      1024
#define CALL_LIFE_MS   120000
#define CONNECT_MS     50 /* 20/s */
#define CONNECT_BURST  50
#define WHOIS_MS       100 /* 10/s */
#define WHOIS_BURST    50
/* To one node, whoever calls: 50/s. One caller gets a tenth of that, so that a single one cannot use it up for the others. */
#define INCOMING_MS        20
#define INCOMING_BURST     50
#define INCOMING_ONE_MS    200
#define INCOMING_ONE_BURST 10
#define INCOMING_BUCKETS   8192
#define TICK_LEAST         64 /* pairs looked at per second; else a sixteenth of all */

struct pair {
	TAILQ_ENTRY(pair) list; /* asked or talking */
	LIST_ENTRY(pair) by_caller, by_called;
	struct circuit *a, *b;        /* legs to the caller and the called; b NULL = the called one is not here */
	struct peer *caller, *called; /* called NULL as b */
	bool accepted;
	uint64_t made_ms;
};
TAILQ_HEAD(pairs, pair);

struct bucket { /* one per node, in a small hash; a collision only shares the rate */
	uint64_t connect_ms, whois_ms;
};

/* Who called whom of late: told when the called one registers from a new start (PROTOCOL.md, Restart recovery). */
struct call {
	uint8_t caller[KEY_HASH_BYTES], called[KEY_HASH_BYTES];
	uint64_t at_ms; /* 0 = free */
};

struct relay_service {
	struct pairs asked;   /* not accepted yet, the oldest first */
	struct pairs talking; /* accepted; the one to be looked at next first */
	unsigned n;
	uint64_t incoming_key; /* random: nobody can choose whom he shares a bucket with */
	uint64_t incoming_ms[INCOMING_BUCKETS];
	struct call call[CALLS_MAX];
	unsigned call_at;
	struct bucket bucket[4096];
};

int relay_new(struct node *node)
{
	node->relay = calloc(1, sizeof *node->relay);
	if (!node->relay)
		return -ENOMEM;
	TAILQ_INIT(&node->relay->asked);
	TAILQ_INIT(&node->relay->talking);
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

static bool bucket_take(uint64_t *at, uint64_t now, uint64_t cost, unsigned burst)
{
	if (*at + cost * burst < now)
		*at = now - cost * burst;
	if (*at + cost > now)
		return false;
	*at += cost;
	return true;
}

static struct bucket *bucket_of(struct peer *peer)
{
	return &peer->node->relay->bucket[le32_at(peer->identity.key_hash) % 4096];
}

/* ---- who is told of a restart ---------------------------------------------------------------------------------------- */

static void call_note(struct node *node, const struct peer *caller, const uint8_t called[KEY_HASH_BYTES])
{
	struct relay_service *r = node->relay;
	struct call *slot = NULL;
	for (unsigned i = 0; i < CALLS_MAX && !slot; i++)
		if (!memcmp(r->call[i].caller, caller->identity.key_hash, KEY_HASH_BYTES) &&
		    !memcmp(r->call[i].called, called, KEY_HASH_BYTES))
			slot = &r->call[i];
	if (!slot)
		slot = &r->call[r->call_at++ % CALLS_MAX];
	slot->at_ms = node->now;
	memcpy(slot->caller, caller->identity.key_hash, KEY_HASH_BYTES);
	memcpy(slot->called, called, KEY_HASH_BYTES);
}

static void restart_tell(struct peer *peer)
{
	struct node *node = peer->node;
	struct body_peer_restart b;
	uint8_t body[64];
	memcpy(b.key_hash, peer->identity.key_hash, KEY_HASH_BYTES);
	size_t n = body_peer_restart_encode(&b, body, sizeof body);
	for (unsigned i = 0; i < CALLS_MAX; i++) {
		struct call *call = &node->relay->call[i];
		if (!call->at_ms || memcmp(call->called, b.key_hash, KEY_HASH_BYTES))
			continue;
		struct peer *caller = node->now - call->at_ms < CALL_LIFE_MS ? peer_find(node, call->caller) : NULL;
		call->at_ms = 0;
		if (caller && peer_up(caller, CLASS_CTRL))
			request_send(caller, CLASS_CTRL, OP_PEER_RESTART, body, n, NULL, 0, NULL);
	}
}

/* ---- registration and WHOIS --------------------------------------------------------------------------------------- */

void relay_register(struct peer *peer, struct session *s, uint32_t req, const uint8_t *body, size_t len, const struct letter *l)
{
	struct body_register b;
	uint8_t out[256];
	if (!body_register_parse(body, len, &b) || s->class != CLASS_CTRL || !peer->work) {
		request_reply(peer, s->class, req, OP_REGISTER, STATUS_MALFORMED, NULL, 0);
		return;
	}
	struct peer *holder = peer_find_address(peer->node, peer->identity.address);
	if (holder != peer) {
		struct body_identity other = {.identity = holder->identity};
		size_t n = body_identity_encode(&other, out, sizeof out);
		request_reply(peer, s->class, req, OP_REGISTER, STATUS_COLLISION, out, n);
		return;
	}
	peer->registered = true;
	if (peer->registered_epoch != b.epoch) {
		peer->registered_epoch = b.epoch;
		restart_tell(peer);
	}
	state_peers_changed(peer->node);
	struct body_observed seen = {.observed = l->from};
	size_t n = body_observed_encode(&seen, out, sizeof out);
	request_reply(peer, s->class, req, OP_REGISTER, STATUS_OK, out, n);
}

void relay_whois(struct peer *peer, uint32_t req, const uint8_t *body, size_t len)
{
	struct node *node = peer->node;
	struct body_whois b;
	if (!body_whois_parse(body, len, &b)) {
		request_reply(peer, CLASS_CTRL, req, OP_WHOIS, STATUS_MALFORMED, NULL, 0);
		return;
	}
	if (!bucket_take(&bucket_of(peer)->whois_ms, node->now, WHOIS_MS, WHOIS_BURST)) {
		node_drop(node, DROP_CTRL_RATE);
		request_reply(peer, CLASS_CTRL, req, OP_WHOIS, STATUS_TRY_LATER, NULL, 0);
		return;
	}
	struct peer *found = peer_find_address(node, b.address);
	struct body_identity who = {0};
	if (found) {
		found->useful = true;
		who.identity = found->identity;
	} else if (b.address == node->config.self.self.address)
		who.identity = node->config.self.self;
	uint8_t out[256];
	size_t n = who.identity.address ? body_identity_encode(&who, out, sizeof out) : 0;
	request_reply(peer, CLASS_CTRL, req, OP_WHOIS, n ? STATUS_OK : STATUS_NOT_FOUND, out, n);
}

/* ---- circuits ----------------------------------------------------------------------------------------------------- */

static void unreach_tell(struct peer *peer, const struct circuit *leg)
{
	struct body_unreach b = {.idx = leg->tx_idx};
	uint8_t body[32];
	size_t n = body_unreach_encode(&b, body, sizeof body);
	if (leg->tx_idx && peer_up(peer, CLASS_CTRL))
		request_send(peer, CLASS_CTRL, OP_UNREACH, body, n, NULL, 0, NULL);
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
	struct circuit *leg = called ? leg_make(node, called, 0, NULL) : NULL;
	*p = (struct pair){.a = a, .b = leg, .caller = caller, .called = leg ? called : NULL, .made_ms = node->now};
	a->pair = p;
	LIST_INSERT_HEAD(&caller->calls, p, by_caller);
	caller->n_calls++;
	if (leg) {
		leg->pair = p;
		LIST_INSERT_HEAD(&called->called, p, by_called);
	}
	TAILQ_INSERT_TAIL(&node->relay->asked, p, list);
	node->relay->n++;
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
	return bucket_take(one, now, INCOMING_ONE_MS, INCOMING_ONE_BURST) &&
	       bucket_take(&called->incoming_bucket_ms, now, INCOMING_MS, INCOMING_BURST);
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
		request_send(called, CLASS_CTRL, OP_INCOMING, body, n, NULL, 0, NULL);
}

void relay_connect(struct peer *peer, struct session *s, uint32_t req, const uint8_t *body, size_t len)
{
	struct node *node = peer->node;
	struct body_connect b;
	if (!body_connect_parse(body, len, &b) || !peer->registered || !(b.rx_idx & IDX_MASK) || b.first_len > INIT_SEND_MAX) {
		request_reply(peer, s->class, req, OP_CONNECT, STATUS_MALFORMED, NULL, 0);
		return;
	}
	if (!bucket_take(&bucket_of(peer)->connect_ms, node->now, CONNECT_MS, CONNECT_BURST)) {
		node_drop(node, DROP_CTRL_RATE);
		request_reply(peer, s->class, req, OP_CONNECT, STATUS_TRY_LATER, NULL, 0);
		return;
	}
	struct peer *called = b.key_hash_set ? peer_find(node, b.key_hash) : peer_find_address(node, b.address);
	if (called) {
		call_note(node, peer, called->identity.key_hash);
		peer->useful = called->useful = true;
	}
	if (called && (!called->registered || !peer_up(called, CLASS_CTRL) || called == peer))
		called = NULL;
	struct pair *p = pair_of_caller(peer, b.rx_idx & IDX_MASK);
	if (!p)
		p = pair_make(peer, s, called, &b);
	if (!p) {
		request_reply(peer, s->class, req, OP_CONNECT, STATUS_TRY_LATER, NULL, 0);
		return;
	}
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

void relay_tick(struct node *node, uint64_t now)
{
	struct relay_service *r = node->relay;
	for (struct pair *p; (p = TAILQ_FIRST(&r->asked)) && now - p->made_ms >= ACCEPT_WAIT_MS;)
		pair_end(node, p, true, false);
	/* Idle ones are found within a few seconds: a part of them is looked at each time, the first going to the end. */
	unsigned left = r->n / 16 > TICK_LEAST ? r->n / 16 : TICK_LEAST;
	for (struct pair *p, *last = TAILQ_LAST(&r->talking, pairs); left && (p = TAILQ_FIRST(&r->talking)); left--) {
		uint64_t used = atomic_load(&p->a->used_ms), used_b = atomic_load(&p->b->used_ms);
		bool end = p == last;
		used = used_b > used ? used_b : used;
		used = p->made_ms > used ? p->made_ms : used;
		if (used + IDLE_MS <= now) { /* a worker's stamp may be ahead of this turn's time */
			pair_end(node, p, true, true);
		} else {
			TAILQ_REMOVE(&r->talking, p, list);
			TAILQ_INSERT_TAIL(&r->talking, p, list);
		}
		if (end)
			break;
	}
}
