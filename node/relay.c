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

#define PAIRS_MAX 65536
#define PAIRS_PER_NODE 1024
#define ACCEPT_WAIT_MS 3000
#define IDLE_MS 120000
#define CALLS_MAX 1024
#define CALL_LIFE_MS 120000
#define CONNECT_MS 50 /* 20/s */
#define CONNECT_BURST 50
#define WHOIS_MS 100 /* 10/s */
#define WHOIS_BURST 50

struct pair {
	struct pair *next;
	uint32_t a, b; /* our indices of the legs to the caller and the called; b 0 = the called one is not here */
	uint8_t caller[KEY_HASH_BYTES], called[KEY_HASH_BYTES];
	bool accepted;
	uint64_t made_ms;
};

struct bucket { /* one per node, in a small hash; a collision only shares the rate */
	uint64_t connect_ms, whois_ms;
};

/* Who called whom of late: told when the called one registers from a new start (PROTOCOL.md, Restart recovery). */
struct call {
	uint8_t caller[KEY_HASH_BYTES], called[KEY_HASH_BYTES];
	uint64_t at_ms; /* 0 = free */
};

struct relay_service {
	struct pair *first;
	unsigned n;
	struct call call[CALLS_MAX];
	unsigned call_at;
	struct bucket bucket[4096];
};

int relay_new(struct node *node)
{
	node->relay = calloc(1, sizeof *node->relay);
	return node->relay ? 0 : -ENOMEM;
}

static void pair_end(struct node *node, struct pair **at, bool tell_caller, bool tell_called);

void relay_free(struct node *node)
{
	if (!node->relay)
		return;
	while (node->relay->first)
		pair_end(node, &node->relay->first, false, false);
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
		if (!memcmp(r->call[i].caller, caller->identity.key_hash, KEY_HASH_BYTES) && !memcmp(r->call[i].called, called, KEY_HASH_BYTES))
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

static void unreach_tell(struct node *node, const struct circuit *leg)
{
	struct peer *peer = peer_find(node, leg->far->key_hash);
	struct body_unreach b = {.idx = leg->tx_idx};
	uint8_t body[32];
	size_t n = body_unreach_encode(&b, body, sizeof body);
	if (peer && leg->tx_idx && peer_up(peer, CLASS_CTRL))
		request_send(peer, CLASS_CTRL, OP_UNREACH, body, n, NULL, 0, NULL);
}

static void pair_end(struct node *node, struct pair **at, bool tell_caller, bool tell_called)
{
	struct pair *p = *at;
	struct circuit *a = node_circuit(node, p->a), *b = node_circuit(node, p->b);
	*at = p->next;
	node->relay->n--;
	if (a && tell_caller)
		unreach_tell(node, a);
	if (b && tell_called)
		unreach_tell(node, b);
	/* Neither leg may be found before the other lets go of it. */
	if (a)
		atomic_store(&a->twin, NULL);
	if (b)
		atomic_store(&b->twin, NULL);
	if (a)
		circuit_drop(node, a);
	if (b)
		circuit_drop(node, b);
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

static struct pair *pair_of_caller(struct node *node, const struct peer *caller, uint32_t rx_idx)
{
	for (struct pair *p = node->relay->first; p; p = p->next) {
		const struct circuit *a = node_circuit(node, p->a);
		if (a && a->far == caller->remote && a->tx_idx == rx_idx)
			return p;
	}
	return NULL;
}

static unsigned pairs_of(const struct node *node, const struct peer *caller)
{
	unsigned n = 0;
	for (const struct pair *p = node->relay->first; p; p = p->next)
		n += !memcmp(p->caller, caller->identity.key_hash, KEY_HASH_BYTES);
	return n;
}

static struct pair *pair_make(struct peer *caller, struct session *s, struct peer *called, const struct body_connect *b)
{
	struct node *node = caller->node;
	if (node->relay->n >= PAIRS_MAX || pairs_of(node, caller) >= PAIRS_PER_NODE)
		return NULL;
	struct pair *p = calloc(1, sizeof *p);
	struct circuit *a = p ? leg_make(node, caller, b->rx_idx & IDX_MASK, s->exporter) : NULL;
	if (!a) {
		free(p);
		return NULL;
	}
	struct circuit *leg = called ? leg_make(node, called, 0, NULL) : NULL;
	p->a = a->named.idx;
	p->b = leg ? leg->named.idx : 0;
	p->made_ms = node->now;
	memcpy(p->caller, caller->identity.key_hash, KEY_HASH_BYTES);
	if (called)
		memcpy(p->called, called->identity.key_hash, KEY_HASH_BYTES);
	p->next = node->relay->first;
	node->relay->first = p;
	node->relay->n++;
	return p;
}

static void incoming_tell(struct peer *caller, struct session *s, struct peer *called, const struct pair *p, const struct body_connect *b)
{
	struct node *node = caller->node;
	struct body_incoming in = {.source = caller->identity, .idx = p->b, .first = b->first, .first_len = b->first_len};
	const struct way *way = atomic_load(&s->remote->way);
	uint8_t body[BODY_MAX];
	if (b->share_observed && way && !way->circuit)
		in.observed = way->to;
	size_t n = body_incoming_encode(&in, body, sizeof body);
	if (n)
		request_send(called, CLASS_CTRL, OP_INCOMING, body, n, NULL, 0, NULL);
	(void)node;
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
	struct pair *p = pair_of_caller(node, peer, b.rx_idx & IDX_MASK);
	if (!p)
		p = pair_make(peer, s, called, &b);
	if (!p) {
		request_reply(peer, s->class, req, OP_CONNECT, STATUS_TRY_LATER, NULL, 0);
		return;
	}
	struct body_idx idx = {.idx = p->a};
	uint8_t out[32];
	size_t n = body_idx_encode(&idx, out, sizeof out);
	request_reply(peer, s->class, req, OP_CONNECT, STATUS_OK, out, n);
	if (called && p->b)
		incoming_tell(peer, s, called, p, &b);
}

void relay_accept(struct peer *peer, struct session *s, uint32_t req, const uint8_t *body, size_t len)
{
	struct node *node = peer->node;
	struct body_accept b;
	struct pair *p = NULL;
	if (body_accept_parse(body, len, &b))
		for (p = node->relay->first; p && p->b != (b.idx & IDX_MASK);)
			p = p->next;
	struct circuit *leg = p ? node_circuit(node, p->b) : NULL, *other = p ? node_circuit(node, p->a) : NULL;
	if (!leg || !other || leg->far != peer->remote || !(b.rx_idx & IDX_MASK)) {
		request_reply(peer, s->class, req, OP_ACCEPT, STATUS_NOT_FOUND, NULL, 0);
		return;
	}
	request_reply(peer, s->class, req, OP_ACCEPT, STATUS_OK, NULL, 0);
	if (!p->accepted) {
		circuit_keys(leg, b.rx_idx & IDX_MASK, s->exporter);
		/* Keys before twins: a worker that finds the twin may use it. */
		atomic_store(&leg->twin, other);
		atomic_store(&other->twin, leg);
		p->accepted = true;
		atomic_store(&leg->used_ms, node->now);
	}
	if (b.first_len)
		node_datagram_leg(node, other, b.first, b.first_len);
}

void relay_peer_gone(struct peer *peer)
{
	struct node *node = peer->node;
	for (struct pair **at = &node->relay->first; *at;) {
		bool caller = !memcmp((*at)->caller, peer->identity.key_hash, KEY_HASH_BYTES);
		bool called = !memcmp((*at)->called, peer->identity.key_hash, KEY_HASH_BYTES);
		if (caller || called)
			pair_end(node, at, called, caller);
		else
			at = &(*at)->next;
	}
}

void relay_tick(struct node *node, uint64_t now)
{
	for (struct pair **at = &node->relay->first; *at;) {
		const struct circuit *a = node_circuit(node, (*at)->a), *b = node_circuit(node, (*at)->b);
		uint64_t used = a ? atomic_load(&a->used_ms) : 0, used_b = b ? atomic_load(&b->used_ms) : 0;
		used = used_b > used ? used_b : used;
		used = (*at)->made_ms > used ? (*at)->made_ms : used;
		if (!(*at)->accepted && now - (*at)->made_ms >= ACCEPT_WAIT_MS)
			pair_end(node, at, true, false);
		else if (used + IDLE_MS <= now) /* a worker's stamp may be ahead of this turn's time */
			pair_end(node, at, true, true);
		else
			at = &(*at)->next;
	}
}
