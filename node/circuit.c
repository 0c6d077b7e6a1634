/* circuit.c: our side of relaying: legs we ask a root for, legs others open to us, registration.
 *
 * CONNECT carries the INIT, the root passes it on inside INCOMING, the first answer comes back inside ACCEPT and from then on both sides send leg
 * packets. A leg belongs to the path it became; one that others opened and that led to no session is dropped after a while. The root can
 * drop and delay, nothing else: what it says is believed only as far as a path proves itself.
 */
#include "node/control.h"

#include <stdlib.h>
#include <string.h>

#define INCOMING_LIFE_MS 15000
#define LEG_FRESH_MS     5000
/* A leg whose two ends took their keys from different sessions (a new one came up while CONNECT or its answer was under way) carries nothing
 * for ever, and the relay answers another CONNECT for it with the same index. So silent for longer than a slow first answer takes, it is
 * replaced by a new one. */
#define LEG_DEAD_MS 7000
/* A leg's keys serve so long and for so many packets (PROTOCOL.md, Relaying). It is the caller's to replace it; the called one waits a little. */
#define LEG_OLD_MS        (30 * 60 * 1000)
#define LEG_OLD_CALLED_MS (31 * 60 * 1000)
#define LEG_OLD_SEQ       (1u << 31)
#define RENEW_MS          5000

void circuit_drop(struct node *node, struct circuit *c)
{
	for (unsigned i = 0; i < INCOMING_MAX; i++)
		if (node->incoming[i] == c->named.idx)
			node->incoming[i] = 0;
	node_index_take(node, &c->named);
	guestbook_retire(&node->book, c, circuit_free);
}

/* The index is stored last: workers take a leg that has one for keyed. */
void circuit_keys(struct circuit *c, uint32_t tx_idx, const uint8_t exporter[32])
{
	uint8_t out = c->at_relay ? LEG_FROM_RELAY : LEG_TO_RELAY, in = c->at_relay ? LEG_TO_RELAY : LEG_FROM_RELAY;
	leg_derive(&c->tx, exporter, tx_idx, c->named.idx, out);
	leg_derive(&c->rx, exporter, c->named.idx, tx_idx, in);
	atomic_store(&c->tx_idx, tx_idx);
}

/* ---- calling ---------------------------------------------------------------------------------------------------- */

static struct peer *root_up(struct peer *peer)
{
	struct node *node = peer->node;
	for (unsigned i = 0; i < node->n_roots; i++) {
		struct peer *root = node->root[(peer->relay_try + i) % node->n_roots];
		if (root != peer && peer_up(root, CLASS_CTRL) && root->best >= 0)
			return root;
	}
	return NULL;
}

static bool worn(const struct circuit *c, uint64_t now)
{
	return now - c->made_ms >= (c->ours ? LEG_OLD_MS : LEG_OLD_CALLED_MS) || atomic_load(&c->tx_seq) >= LEG_OLD_SEQ;
}

static struct circuit *leg_by(struct peer *peer, const struct peer *root)
{
	for (int i = 0; i < PATHS_MAX; i++)
		if (peer->path[i].state != PATH_FREE && peer->path[i].circuit && peer->path[i].relay == root &&
		    !worn(peer->path[i].circuit, peer->node->now))
			return peer->path[i].circuit;
	return NULL;
}

static struct circuit *leg_new(struct peer *peer, struct peer *root)
{
	struct node *node = peer->node;
	struct circuit *c = circuit_new(node_index_draw(node), root->remote, false);
	if (!c)
		return NULL;
	c->made_ms = node->now;
	c->accepted = c->ours = true;
	memcpy(c->peer_key_hash, peer->identity.key_hash, KEY_HASH_BYTES);
	if (!node_index_put(node, &c->named, c->named.idx)) {
		circuit_free(c);
		return NULL;
	}
	int i = path_relayed(peer, c, root);
	if (i < 0) {
		circuit_drop(node, c);
		return NULL;
	}
	peer->path[i].heard_ms = node->now; /* youngest: not the next one to make room */
	return c;
}

static void connect_done(struct peer *root, const struct request *r, const struct message *reply)
{
	struct circuit *c = node_circuit(root->node, (uint32_t)r->context);
	struct session *s = peer_session(root, CLASS_CTRL);
	struct peer *peer = peer_find(root->node, r->context_hash);
	struct body_idx b;
	if (!c || !peer)
		return;
	if (!reply || reply->status != STATUS_OK || !s || !body_idx_parse(reply->body, reply->len, &b)) {
		peer->relay_try++;
		path_forget_circuit(peer, c);
		return;
	}
	if (c->tx_idx == (b.idx & IDX_MASK))
		return;
	if (c->tx_idx) {
		/* The relay forgot this leg and made another: its keys are in use and must not change, so ours goes too. */
		path_forget_circuit(peer, c);
		return;
	}
	circuit_keys(c, b.idx & IDX_MASK, s->exporter);
}

bool circuit_connect(struct peer *peer, const uint8_t *init, size_t len)
{
	struct node *node = peer->node;
	struct peer *root = root_up(peer);
	if (!root || !peer->identity.address)
		return false;
	struct circuit *c = leg_by(peer, root);
	int i = c ? path_find_circuit(peer, c) : -1;
	if (i >= 0 && c->tx_idx && peer->path[i].state == PATH_VALID && node->now - peer->path[i].heard_ms < LEG_FRESH_MS) {
		node_datagram_leg(node, c, init, len);
		return true;
	}
	uint64_t heard = i >= 0 ? peer->path[i].heard_ms : 0;
	if (i >= 0 && peer->path[i].state != PATH_VALID && node->now - (heard > c->made_ms ? heard : c->made_ms) > LEG_DEAD_MS) {
		path_forget_circuit(peer, c);
		c = NULL;
	}
	if (!c && !(c = leg_new(peer, root)))
		return false;
	struct body_connect b = {.address = peer->identity.address,
	                         .key_hash_set = true,
	                         .rx_idx = c->named.idx,
	                         .first = init,
	                         .first_len = len,
	                         .share_observed = true};
	memcpy(b.key_hash, peer->identity.key_hash, KEY_HASH_BYTES);
	uint8_t body[BODY_MAX];
	size_t n = body_connect_encode(&b, body, sizeof body);
	return n && request_send(root, CLASS_CTRL, OP_CONNECT, body, n, connect_done, c->named.idx, peer->identity.key_hash);
}

/* An INIT through a root makes the new one. The old one carries what is sent until the new one proved itself, and what comes until the other
 * side has changed too; then it is idle and ends. */
void circuit_renew(struct peer *peer, uint64_t now)
{
	struct circuit *c = peer->best >= 0 ? peer->path[peer->best].circuit : NULL;
	struct session *s = peer_any_session(peer);
	if (!c || !s || !worn(c, now))
		return;
	for (int i = 0; i < PATHS_MAX; i++) {
		const struct path *p = &peer->path[i];
		if (p->state != PATH_VALID || !p->circuit || !p->circuit->tx_idx || worn(p->circuit, now))
			continue;
		peer->path[peer->best].state = PATH_STALE;
		path_choose(peer);
		return;
	}
	if (peer->renew_ms && now - peer->renew_ms < RENEW_MS)
		return;
	peer->renew_ms = now;
	initiator_relayed(peer, s->class);
}

void circuit_unreach(struct peer *root, const struct body_unreach *b)
{
	struct circuit *c = node_circuit(root->node, b->idx);
	if (!c || c->at_relay || c->far != root->remote)
		return;
	struct peer *peer = peer_find(root->node, c->peer_key_hash);
	if (!peer) {
		circuit_drop(root->node, c);
		return;
	}
	peer->relay_try++;
	path_forget_circuit(peer, c);
	peer_schedule(peer);
}

/* ---- being called ----------------------------------------------------------------------------------------------- */

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
	if (c || !tx_idx)
		return c;
	c = circuit_new(node_index_draw(node), root->remote, false);
	if (!c)
		return NULL;
	c->made_ms = node->now;
	memcpy(c->peer_key_hash, b->source.key_hash, KEY_HASH_BYTES);
	circuit_keys(c, tx_idx, s->exporter);
	if (!node_index_put(node, &c->named, c->named.idx)) {
		circuit_free(c);
		return NULL;
	}
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
}

void circuit_reply(struct node *node, struct circuit *c, const uint8_t *datagram, size_t len)
{
	if (c->accepted) {
		node_datagram_leg(node, c, datagram, len);
		return;
	}
	struct peer *root = peer_find(node, c->far->key_hash);
	struct body_accept b = {.idx = c->tx_idx, .rx_idx = c->named.idx, .first = datagram, .first_len = len};
	uint8_t body[BODY_MAX];
	size_t n = body_accept_encode(&b, body, sizeof body);
	if (root && n && request_send(root, CLASS_CTRL, OP_ACCEPT, body, n, NULL, 0, NULL))
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

void circuit_collision(struct node *node, const struct identity *other)
{
	char text[IDENTITY_TEXT_MAX];
	if (other->address != node->config.self.self.address || !bytes_equal(node->collision.key_hash, other->key_hash, KEY_HASH_BYTES))
		return;
	node->collision = (struct identity){0};
	identity_format(other, text);
	log_error("another identity has our address and was first at a root: %s; this node goes on with the paths it has, but strangers "
	          "will not find it there: give it a new identity",
	          text);
}

/* ---- registration ----------------------------------------------------------------------------------------------- */

static void register_done(struct peer *root, const struct request *r, const struct message *reply)
{
	struct node *node = root->node;
	struct body_observed b;
	struct body_identity other;
	(void)r;
	if (!reply) { /* a node that no root has registered cannot be called: asked for as long as the session stands */
		if (peer_up(root, CLASS_CTRL))
			circuit_root_up(root);
		return;
	}
	if (reply && reply->status == STATUS_COLLISION && body_identity_parse(reply->body, reply->len, &other)) {
		/* A root's word alone is nothing: the other identity must carry our address. */
		node->collision = other.identity;
		if (!node->port.work(node->port.self, &other.identity))
			log_warning("a root says that our address belongs to another identity; too busy to check it now");
		return;
	}
	if (reply->status != STATUS_OK || !body_observed_parse(reply->body, reply->len, &b))
		return;
	for (unsigned i = 0; i < node->n_roots; i++)
		if (node->root[i] == root)
			event_observed(root, &node->observed[i], &b.observed);
	net_root_up(node);
	initiator_root_up(node);
	node_changed(node);
}

void circuit_root_up(struct peer *root)
{
	struct body_register b = {.epoch = root->node->config.epoch};
	uint8_t body[64];
	size_t n = body_register_encode(&b, body, sizeof body);
	request_send(root, CLASS_CTRL, OP_REGISTER, body, n, register_done, 0, NULL);
}
