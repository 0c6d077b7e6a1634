/* federation.c: a node among several roots: where it says it can be called, and how it finds where others can.
 *
 * Each node of a set signs a record that names its home roots; it goes with REGISTER to the homes, which hand it on to all
 * roots of the set. Whoever wants a way to a peer through a root asks one root of each set (LOCATE), beside the attempt it
 * makes in any case: the two may have a home in common. The record leads to the peer's homes; sessions with them are made
 * for as long as they are used, and the CONNECT goes there. A root that lies about a record can only withhold it.
 */
#include <string.h>

#include "node/control.h"
#include "proto/random.h"

#define RECORD_MS       (3600 * 1000) /* half of its life */
#define LOCATED_MS      60000
#define LOCATE_AGAIN_MS 1000
#define VISIT_MS        60000

/* ---- our own record ------------------------------------------------------------------------------------------------------------------ */

static void record_make(struct node *node, struct node_set *set)
{
	struct federation *f = node->federation;
	const struct identity *self = &node->config.self.self;
	struct contact c = {
	    .address = self->address, .seq = (uint64_t)node->config.epoch << 32 | ++f->contact_count, .ttl_s = CONTACT_TTL_S};
	memcpy(c.key_hash, self->key_hash, KEY_HASH_BYTES);
	for (unsigned i = 0; i < HOMES; i++)
		if (set->home[i])
			c.home[c.n_homes++] = set->home[i]->peer->identity.address;
	set->contact_len = contact_sign(&c, node->config.self.ed, set->contact, sizeof set->contact);
	set->contact_ms = node->now;
}

void federation_homes_changed(struct node *node, struct node_set *set)
{
	record_make(node, set);
	for (unsigned i = 0; i < HOMES; i++)
		if (set->home[i] && federation_ready(set->home[i]->peer))
			circuit_root_up(set->home[i]->peer);
	node_changed(node);
}

void federation_record_tick(struct node *node, struct node_set *set, uint64_t now)
{
	if (!set->contact_len || set->contact_ms + RECORD_MS > now)
		return;
	federation_homes_changed(node, set);
	set->contact_ms = now - random_below(RECORD_MS / 5); /* nodes of one start do not stay in step */
}

/* No record before there are homes: whoever registers with us in the first round finds us at every root. */
void federation_introduce(const struct peer *root, struct body_register *b)
{
	const struct federation *f = root->node->federation;
	const struct set_root *r = f ? federation_set_root(root) : NULL;
	for (unsigned i = 0; r && i < f->n_sets; i++)
		if (r->sets & 1u << i && f->set[i].contact_len) {
			b->contact = f->set[i].contact;
			b->contact_len = f->set[i].contact_len;
			return;
		}
}

/* ---- the others' records --------------------------------------------------------------------------------------------------------------- */

static struct set_root *root_of(const struct federation *f, uint64_t address)
{
	for (unsigned i = 0; i < f->n_roots; i++)
		if (!f->root[i]->leave_ms && f->root[i]->peer->identity.address == address)
			return f->root[i];
	return NULL;
}

/* What waits for an INIT to be sent again need not wait any longer. */
static void again(struct peer *peer)
{
	for (int c = 0; c < CLASS_COUNT; c++)
		if (peer->init_ms[c] != NEVER)
			peer->init_ms[c] = peer->node->now;
	peer_schedule(peer);
}

/* True: we are at one already. Else it is tried again when we are registered there (initiator_root_up). */
static bool homes_visit(struct peer *peer)
{
	struct federation *f = peer->node->federation;
	bool there = false;
	for (unsigned i = 0; i < peer->n_located; i++) {
		struct set_root *r = root_of(f, peer->located[i]);
		if (!r)
			continue;
		there = there || federation_ready(r->peer);
		federation_visit(r, peer->node->now + VISIT_MS);
	}
	return there;
}

static void located_done(struct peer *root, const struct request *r, const struct message *reply)
{
	struct node *node = root->node;
	struct peer *peer = peer_find(node, r->context_hash);
	struct body_located b;
	struct contact c;
	bool changed = false;
	if (!peer || !reply || reply->status != STATUS_OK || !body_located_parse(reply->body, reply->len, &b) ||
	    !bytes_equal(b.identity.key_hash, peer->identity.key_hash, KEY_HASH_BYTES) ||
	    !contact_open(b.contact, b.contact_len, &b.identity, &c) || c.seq < peer->located_seq)
		return;
	peer_get(node, &b.identity); /* its keys, if we did not have them */
	changed = c.n_homes != peer->n_located || memcmp(c.home, peer->located, c.n_homes * sizeof c.home[0]) != 0;
	peer->located_seq = c.seq;
	peer->located_ms = node->now;
	peer->located_try = peer->relay_try;
	peer->n_located = c.n_homes;
	memcpy(peer->located, c.home, sizeof c.home);
	if (homes_visit(peer) && changed)
		again(peer);
}

static void locate(struct peer *peer)
{
	struct node *node = peer->node;
	struct federation *f = node->federation;
	struct body_locate b = {.address = peer->identity.address, .key_hash_set = true};
	uint8_t body[64];
	memcpy(b.key_hash, peer->identity.key_hash, KEY_HASH_BYTES);
	size_t n = body_locate_encode(&b, body, sizeof body);
	unsigned at = peer->locates++;
	for (unsigned i = 0; n && i < f->n_sets; i++)
		for (unsigned k = 0; k < f->n_roots; k++) {
			struct set_root *r = f->root[(at + k) % f->n_roots];
			if (!(r->sets & 1u << i) || r->peer == peer || !federation_ready(r->peer))
				continue;
			request_send(r->peer, CLASS_CTRL, OP_LOCATE, body, n, located_done, 0, peer->identity.key_hash);
			break;
		}
}

void federation_seek(struct peer *peer)
{
	struct node *node = peer->node;
	uint64_t now = node->now;
	if (!node->federation || !peer->identity.address || peer->is_root)
		return;
	bool fresh = peer->located_ms && now - peer->located_ms < LOCATED_MS && peer->located_try == peer->relay_try;
	if (!fresh && (!peer->locate_ms || now - peer->locate_ms >= LOCATE_AGAIN_MS)) {
		peer->locate_ms = now;
		locate(peer);
	}
	homes_visit(peer);
}

bool federation_pointless(const struct peer *peer, const struct peer *root)
{
	const struct federation *f = peer->node->federation;
	const struct set_root *r = f && peer->n_located ? federation_set_root(root) : NULL;
	bool other = false;
	if (!r || r->configured)
		return false;
	for (unsigned i = 0; i < peer->n_located; i++) {
		const struct set_root *home = root_of(f, peer->located[i]);
		if (home == r)
			return false;
		other = other || (home && federation_ready(home->peer));
	}
	return other;
}

bool federation_request(struct peer *peer, enum session_class class, const struct message *m)
{
	if (!peer->node->federation)
		return false;
	switch (m->op) {
	case OP_ROOTSET: federation_rootset(peer, class, m->req, m->body, m->len); return true;
	case OP_SYNC: contacts_sync(peer, class, m->req, m->body, m->len); return true;
	case OP_LOCATE:
		if (peer->node->config.root)
			contacts_locate(peer, class, m->req, m->body, m->len);
		return peer->node->config.root;
	default: return false;
	}
}
