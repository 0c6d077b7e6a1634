/* incoming.c: legs that others open to us by a relay: INCOMING in, ACCEPT out, and what becomes of them.
 *
 * INCOMING brings an INIT, which is judged like any other that comes by a relay; the first answer to it leaves inside ACCEPT and tells the
 * relay our index. A leg belongs to the path it became; one that led to no session is dropped after a while. What a root says of where the
 * caller is seen is remembered for spray.c and makes no path.
 */
#include "node/control.h"

#include <stdlib.h>
#include <string.h>

#define INCOMING_LIFE_MS 15000

bool circuit_relays(const struct peer *peer, const struct session *s, const struct letter *l)
{
	if (s->class != CLASS_DATA || l->circuit)
		return false;
	for (unsigned i = 0; i < NETWORKS_MAX; i++) {
		const struct net *net = peer->node->net[i];
		const struct member *m = net ? atomic_load(&peer->remote->member[i]) : NULL;
		if (m && atomic_load(&net->port->open) && atomic_load(&m->rx_open) && atomic_load(&m->flags) & MEMBER_RELAY)
			return true;
	}
	return false;
}

static struct circuit *incoming_find(struct node *node, const struct peer *root, uint32_t tx_idx)
{
	for (unsigned i = 0; i < INCOMING_MAX; i++) {
		struct circuit *c = node_circuit(node, node->incoming[i]);
		if (c && c->far == root->remote && c->tx_idx == tx_idx)
			return c;
	}
	return NULL;
}

static struct circuit *incoming_leg(struct peer *root, struct session *s, const struct body_incoming *b)
{
	struct node *node = root->node;
	uint32_t tx_idx = b->idx & IDX_MASK;
	struct peer *caller = peer_find(node, b->source.key_hash);
	struct circuit *c = incoming_find(node, root, tx_idx);
	for (int i = 0; !c && caller && i < PATHS_MAX; i++) {
		struct circuit *held = caller->path[i].circuit;
		if (held && held->far == root->remote && held->tx_idx == tx_idx)
			c = held;
	}
	/* Tied to a session that is over before the relay was told: its ACCEPT cannot leave any more, and nobody has used its keys. */
	if (c && !c->accepted && !request_session(root, c->session)) {
		circuit_drop(node, c);
		c = NULL;
	}
	if (c || !tx_idx)
		return c;
	c = circuit_new(node_index_draw(node), root->remote, false);
	if (!c)
		return NULL;
	c->made_ms = node->now;
	memcpy(c->peer_key_hash, b->source.key_hash, KEY_HASH_BYTES);
	c->session = s->named.idx;
	circuit_keys(c, tx_idx, s->exporter);
	if (!node_index_put(node, &c->named, c->named.idx)) {
		circuit_free(c);
		return NULL;
	}
	root->legs++;
	unsigned slot = node->incoming_at++ % INCOMING_MAX;
	struct circuit *old = node_circuit(node, node->incoming[slot]);
	struct peer *owner = old ? peer_find(node, old->peer_key_hash) : NULL;
	if (old && (!owner || path_find_circuit(owner, old) < 0))
		circuit_drop(node, old);
	node->incoming[slot] = c->named.idx;
	return c;
}

static const struct view_gate *gate_of(struct node *node, const uint8_t *init, size_t len)
{
	const struct view *v = atomic_load(&node->book.view);
	for (unsigned i = 0; i < v->n_gates; i++)
		if (gate_check(&v->gates[i].gate, init, len))
			return &v->gates[i];
	return NULL;
}

void circuit_incoming(struct peer *root, struct session *s, uint32_t req, const uint8_t *body, size_t len)
{
	struct node *node = root->node;
	struct body_incoming b;
	if (!body_incoming_parse(body, len, &b) || b.first_len < INIT_MIN || b.first_len > INIT_MAX) {
		request_reply(root, s->class, req, OP_INCOMING, STATUS_MALFORMED, NULL, 0);
		return;
	}
	request_reply(root, s->class, req, OP_INCOMING, STATUS_OK, NULL, 0);
	const struct view_gate *gate = gate_of(node, b.first, b.first_len);
	struct circuit *c = gate ? incoming_leg(root, s, &b) : NULL;
	struct letter *l = c ? calloc(1, sizeof *l + b.first_len) : NULL;
	if (!l) {
		node_drop(node, DROP_STRANGER);
		return;
	}
	l->kind = LETTER_INIT;
	l->circuit = c->named.idx;
	l->len = (uint32_t)b.first_len;
	l->time_us = node->now_us;
	memcpy(l->gate_secret, gate->gate.secret, 32);
	memcpy(l->data, b.first, b.first_len);
	responder_init(node, l);
	free(l);
	struct peer *caller = root->is_root ? peer_find(node, b.source.key_hash) : NULL;
	if (caller)
		spray_seen(caller, &b.observed);
}

/* A relay that has not taken it knows no such circuit any more, or takes none by that session. */
static void accept_done(struct peer *relay, const struct request *r, const struct message *reply)
{
	struct circuit *c = node_circuit(relay->node, (uint32_t)r->context);
	if (!c || c->at_relay || c->far != relay->remote || (reply && reply->status == STATUS_OK))
		return;
	struct peer *peer = peer_find(relay->node, c->peer_key_hash);
	if (peer)
		path_forget_circuit(peer, c);
	else
		circuit_drop(relay->node, c);
}

void circuit_reply(struct node *node, struct circuit *c, const uint8_t *datagram, size_t len)
{
	if (c->accepted) {
		node_datagram_leg(node, c, datagram, len);
		return;
	}
	struct peer *relay = peer_find(node, c->far->key_hash);
	struct session *s = relay ? request_session(relay, c->session) : NULL;
	struct body_accept b = {.idx = c->tx_idx, .rx_idx = c->named.idx, .first = datagram, .first_len = len};
	uint8_t body[BODY_MAX];
	size_t n = body_accept_encode(&b, body, sizeof body);
	if (s && n && request_send_on(relay, s, OP_ACCEPT, body, n, accept_done, c->named.idx, NULL))
		c->accepted = true;
}

void circuit_tick(struct node *node)
{
	for (unsigned i = 0; i < INCOMING_MAX; i++) {
		struct circuit *c = node_circuit(node, node->incoming[i]);
		if (!c) {
			node->incoming[i] = 0;
			continue;
		}
		struct peer *owner = peer_find(node, c->peer_key_hash);
		if (owner && path_find_circuit(owner, c) >= 0)
			node->incoming[i] = 0;
		else if (node->now - c->made_ms > INCOMING_LIFE_MS)
			circuit_drop(node, c);
	}
}

void circuit_fini(struct node *node)
{
	for (unsigned i = 0; i < INCOMING_MAX; i++) {
		struct circuit *c = node_circuit(node, node->incoming[i]);
		if (c)
			circuit_drop(node, c);
	}
}
