/* circuit.c: our side of relaying: legs we ask a relay for (incoming.c: those that others open to us).
 *
 * CONNECT carries the INIT, the relay passes it on inside INCOMING, the first answer comes back inside ACCEPT and from then on both sides send leg
 * packets. A leg belongs to the path it became; one that others opened and that led to no session is dropped after a while. The relay can
 * drop and delay, nothing else: what it says is believed only as far as a path proves itself.
 *
 * Whom to ask: the roots, then members with the right to relay to whom our way is straight. A CONNECT is answered at once by a relay that lives, so
 * one that is silent for HEDGE_MS costs no more than that: the next one is asked as well, and whoever is silent is asked last from then on. A pair
 * that a root has carried for a while is moved to a member, if there is one that can.
 *
 * Both ends of a leg make its keys of one session's exporter, and neither guesses which one: a leg is tied to a session when it is made, its CONNECTs
 * (or its ACCEPT) travel on that session and on no other, and the relay takes the session they came by. When the session ends before that, so does
 * the leg.
 */
#include "node/control.h"

#include <stdlib.h>
#include <string.h>

#define LEG_FRESH_MS 5000
/* A leg that nobody was heard by is replaced after so long: the relay may have forgotten it and may not tell. */
#define LEG_DEAD_MS 7000
/* A leg's keys serve so long and for so many packets (PROTOCOL.md, Relaying). It is the caller's to replace it; the called one waits a little. */
#define LEG_OLD_MS        (30 * 60 * 1000)
#define LEG_OLD_CALLED_MS (31 * 60 * 1000)
#define LEG_OLD_SEQ       (1u << 31)
#define RENEW_MS          5000
#define HEDGE_MS          400
#define HEDGES_MAX        3     /* of one INIT; the next INIT comes soon */
#define MEMBER_RELAYS     4     /* considered for one peer, the fastest ones */
#define BY_ROOT_MS        5000  /* so long by a root: may a member carry it? */
#define MEMBER_AGAIN_MS   30000 /* after one that could not */
#define MEMBER_SOON_MS    2000  /* after we had to open a session with it first */
#define IN_USE_MS         60000

void circuit_drop(struct node *node, struct circuit *c)
{
	for (unsigned i = 0; i < INCOMING_MAX; i++)
		if (node->incoming[i] == c->named.idx)
			node->incoming[i] = 0;
	struct peer *relay = c->at_relay ? NULL : peer_find(node, c->far->key_hash);
	if (relay)
		relay->legs--;
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

static struct session *relay_session(struct peer *relay)
{
	return peer_session(relay, relay->is_root ? CLASS_CTRL : CLASS_DATA);
}

/* It did not answer a CONNECT and was not heard since. */
static bool silent(struct peer *relay)
{
	struct session *s = relay->quiet_ms ? relay_session(relay) : NULL;
	return s && session_last_rx(s) < relay->quiet_ms;
}

static bool root_ready(const struct peer *root, const struct peer *peer)
{
	return root != peer && peer_up(root, CLASS_CTRL) && root->best >= 0;
}

static bool may_relay(const struct net *net, const struct net_member *m)
{
	return atomic_load(&net->port->open) && (m->cred_ok ? m->cred.flags : m->entry.flags) & MEMBER_RELAY;
}

static bool member_ready(const struct net_member *m)
{
	const struct peer *relay = m->peer;
	return atomic_load(&m->member->tx_chan) && atomic_load(&m->member->rx_open) && peer_up(relay, CLASS_DATA) && relay->best >= 0 &&
	       !relay->path[relay->best].circuit;
}

/* By round-trip time, each once, though several networks may name it. */
static unsigned relay_insert(struct peer **list, unsigned n, unsigned most, struct peer *relay)
{
	unsigned at = n;
	for (unsigned i = 0; i < n; i++)
		if (list[i] == relay)
			return n;
	while (at && list[at - 1]->path[list[at - 1]->best].srtt_us > relay->path[relay->best].srtt_us)
		at--;
	if (at == most)
		return n;
	unsigned last = n < most ? n : most - 1;
	memmove(&list[at + 1], &list[at], (last - at) * sizeof *list);
	list[at] = relay;
	return n < most ? n + 1 : n;
}

/* The fastest members that may relay to this peer and can be asked, so many at most. called: those that only lack a session with us get one, and
 * are counted. */
static unsigned member_relays(struct peer *peer, struct peer **ret, unsigned most, unsigned *called)
{
	struct node *node = peer->node;
	unsigned n = 0;
	for (unsigned i = 0; i < NETWORKS_MAX; i++) {
		struct net *net = node->net[i];
		if (!net || !atomic_load(&peer->remote->member[i]))
			continue;
		for (unsigned k = 0; k < net->n_members; k++) {
			struct peer *relay = net->member[k]->peer;
			if (!may_relay(net, net->member[k]) || relay == peer || relay->is_root)
				continue;
			if (!member_ready(net->member[k])) {
				if (called && *called < MEMBER_RELAYS && ++*called)
					channel_open(net, net->member[k]);
				continue;
			}
			n = relay_insert(ret, n, most, relay);
		}
	}
	return n;
}

unsigned circuit_members(struct peer *peer, struct peer **ret, unsigned most)
{
	unsigned called = 0;
	return member_relays(peer, ret, most, &called);
}

bool circuit_possible(struct peer *peer)
{
	struct node *node = peer->node;
	struct peer *one[1];
	unsigned called = 0;
	for (unsigned i = 0; i < node->n_roots; i++)
		if (root_ready(node->root[i], peer))
			return true;
	return member_relays(peer, one, 1, &called) > 0;
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

static struct circuit *leg_new(struct peer *peer, struct peer *root, const struct session *s)
{
	struct node *node = peer->node;
	struct circuit *c = circuit_new(node_index_draw(node), root->remote, false);
	if (!c)
		return NULL;
	c->made_ms = node->now;
	c->accepted = c->ours = true;
	c->session = s->named.idx;
	memcpy(c->peer_key_hash, peer->identity.key_hash, KEY_HASH_BYTES);
	if (!node_index_put(node, &c->named, c->named.idx)) {
		circuit_free(c);
		return NULL;
	}
	root->legs++;
	int i = path_relayed(peer, c, root);
	if (i < 0) {
		circuit_drop(node, c);
		return NULL;
	}
	peer->path[i].heard_ms = node->now; /* youngest: not the next one to make room */
	return c;
}

static void connect_failed(struct peer *peer, struct peer *relay, struct circuit *c)
{
	if (relay->is_root)
		peer->relay_try++;
	path_forget_circuit(peer, c);
	if (peer->hedge_ms != NEVER) { /* the next one need not wait any longer */
		peer->hedge_ms = peer->node->now;
		peer_schedule(peer);
	}
}

/* What the called one answers first; all else would need a session that only this makes. The letter is changed. */
static void early_open(struct node *node, struct circuit *c, struct letter *l)
{
	uint32_t seq;
	if (!leg_open(&c->rx, l->data, l->len, &seq)) {
		node_drop(node, DROP_LEG_TAG);
		return;
	}
	pthread_mutex_lock(&c->lock);
	bool fresh = window_commit(c->window, seq);
	pthread_mutex_unlock(&c->lock);
	if (!fresh) {
		node_drop(node, DROP_LEG_REPLAY);
		return;
	}
	l->len -= LEG_HEADER;
	memmove(l->data, l->data + LEG_HEADER, l->len);
	const struct named *named = index_find(node->index, le32_at(l->data));
	l->idx = named ? named->idx : 0;
	switch (wire_classify(named ? named->kind : INDEX_NONE, l->len)) {
	case WIRE_RESP: initiator_resp(node, l); break;
	case WIRE_RETRY: initiator_retry(node, l); break;
	default: node_drop(node, DROP_LEG_DEAD);
	}
}

/* One is kept: there is one answer to one INIT, and whoever sends more than that is not the relay. */
void circuit_early(struct node *node, struct letter *l)
{
	struct circuit *c = node_circuit(node, l->circuit);
	if (!c || c->at_relay) {
		node_drop(node, DROP_LEG_DEAD);
		return;
	}
	if (c->tx_idx) { /* the answer was read meanwhile */
		early_open(node, c, l);
		return;
	}
	struct letter *kept = malloc(sizeof *l + l->len);
	if (!kept || c->early)
		node_drop(node, DROP_LEG_DEAD); /* this one, or the one that it replaces */
	if (!kept)
		return;
	memcpy(kept, l, sizeof *l);
	memcpy(kept->data, l->data, l->len);
	free(c->early);
	c->early = kept;
}

static void connect_done(struct peer *relay, const struct request *r, const struct message *reply)
{
	struct circuit *c = node_circuit(relay->node, (uint32_t)r->context);
	struct session *s = request_session(relay, r->pinned);
	struct peer *peer = peer_find(relay->node, r->context_hash);
	struct body_idx b;
	if (!c || !peer || c->at_relay || c->far != relay->remote)
		return;
	if (!reply || reply->status != STATUS_OK || !s || !body_idx_parse(reply->body, reply->len, &b)) {
		if (!c->tx_idx) /* else an earlier CONNECT was answered */
			connect_failed(peer, relay, c);
		return;
	}
	peer->hedge_ms = NEVER;
	if (c->tx_idx == (b.idx & IDX_MASK))
		return;
	if (c->tx_idx) {
		/* The relay forgot this leg and made another: its keys are in use and must not change, so ours goes too. */
		path_forget_circuit(peer, c);
		return;
	}
	circuit_keys(c, b.idx & IDX_MASK, s->exporter);
	struct letter *early = c->early;
	c->early = NULL;
	if (early)
		early_open(relay->node, c, early); /* may end this leg, too */
	free(early);
}

/* The peer was heard by this leg of late. */
static bool works(const struct peer *peer, int i)
{
	const struct path *p = &peer->path[i < 0 ? 0 : i];
	return i >= 0 && p->circuit->tx_idx && p->state == PATH_VALID && peer->node->now - p->heard_ms < LEG_FRESH_MS;
}

/* One CONNECT to this relay, or the INIT by a leg that works. fresh: a CONNECT by a leg of its own, whatever there is. */
static bool connect_by(struct peer *peer, struct peer *relay, const uint8_t *init, size_t len, bool fresh)
{
	struct node *node = peer->node;
	struct session *s = relay_session(relay);
	struct circuit *c = fresh ? NULL : leg_by(peer, relay);
	int i = c ? path_find_circuit(peer, c) : -1;
	if (works(peer, i)) {
		node_datagram_leg(node, c, init, len);
		return true;
	}
	uint64_t heard = i >= 0 ? peer->path[i].heard_ms : 0, since = c && heard > c->made_ms ? heard : c ? c->made_ms : 0;
	/* Tied to a session that is over, perhaps only at the relay's end; or nobody there. */
	bool over = c && (!request_session(relay, c->session) ||
	                  (!c->tx_idx && s && s->named.idx != c->session && node->now - c->asked_ms >= HEDGE_MS));
	if (c && (over || (i >= 0 && peer->path[i].state != PATH_VALID && node->now - since > LEG_DEAD_MS))) {
		path_forget_circuit(peer, c);
		c = NULL;
	}
	if (!s || (!c && !(c = leg_new(peer, relay, s))))
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
	c->asked_ms = node->now;
	return n && request_send_on(relay, request_session(relay, c->session), OP_CONNECT, body, n, connect_done, c->named.idx,
	                            peer->identity.key_hash);
}

/* Whose turn is it? One by whom the peer answers; else the one asked longest ago: so a round goes through all of them, roots first, and comes last
 * to those that are silent. *ret_others: how many more there are. */
static struct peer *relay_next(struct peer *peer, unsigned *ret_others)
{
	struct node *node = peer->node;
	struct peer *list[ROOTS_MAX + MEMBER_RELAYS], *best = NULL;
	unsigned n = 0, good = 0, called = 0;
	uint64_t least = UINT64_MAX;
	for (unsigned i = 0; i < node->n_roots; i++) {
		struct peer *root = node->root[(peer->relay_try + i) % node->n_roots];
		if (!root_ready(root, peer) || federation_pointless(peer, root))
			continue;
		list[n++] = root;
		good += !silent(root);
	}
	n += member_relays(peer, list + n, MEMBER_RELAYS, good ? NULL : &called);
	for (unsigned i = 0; i < n; i++) {
		struct circuit *c = leg_by(peer, list[i]);
		uint64_t asked = (c ? c->asked_ms : 0) + (silent(list[i]) ? node->now : 0);
		if (c && works(peer, path_find_circuit(peer, c)))
			asked = 0;
		if (asked < least || (c && !asked)) {
			least = asked;
			best = list[i];
		}
		if (c && !asked)
			break;
	}
	*ret_others = n ? n - 1 : 0;
	return best;
}

bool circuit_connect(struct peer *peer, enum session_class class, struct peer *relay, const uint8_t *init, size_t len)
{
	unsigned others = 0;
	if (!relay)
		federation_seek(peer);
	if (!relay && (relay = relay_next(peer, &others)) && others) {
		peer->hedges = 0;
		peer->hedge_class = class;
		peer->hedge_since_ms = peer->node->now;
		peer->hedge_ms = peer->node->now + HEDGE_MS;
		peer_schedule(peer);
	}
	return relay && peer->identity.address && connect_by(peer, relay, init, len, false);
}

/* Nobody has answered: who was asked is silent, the next one may know more. */
static void hedge(struct peer *peer, uint64_t now)
{
	if (peer->hedge_ms > now)
		return;
	peer->hedge_ms = NEVER;
	const struct session *s = peer->current[peer->hedge_class];
	for (int i = 0; i < PATHS_MAX; i++) {
		struct circuit *c = peer->path[i].state != PATH_FREE ? peer->path[i].circuit : NULL;
		if (!c || !c->asked_ms || c->tx_idx || now - c->asked_ms < HEDGE_MS)
			continue;
		struct session *by = relay_session(peer->path[i].relay);
		if (by && session_last_rx(by) < c->asked_ms)
			peer->path[i].relay->quiet_ms = now;
	}
	unsigned others;
	struct peer *relay = relay_next(peer, &others);
	if ((s && s->born_ms >= peer->hedge_since_ms) || !relay || peer->hedges >= HEDGES_MAX)
		return;
	/* Each has had its turn; but one that is left because who was asked is no way any more has not. */
	const struct circuit *leg = leg_by(peer, relay);
	if (peer->hedges >= others && leg && leg->asked_ms >= peer->hedge_since_ms)
		return;
	peer->hedges++;
	peer->hedge_ms = now + HEDGE_MS;
	initiator_by(peer, peer->hedge_class, relay);
}

/* An INIT through its relay makes the new one. The old one carries what is sent until the new one proved itself, and what comes until the other
 * side has changed too; then it is idle and ends. */
static void renew(struct peer *peer, uint64_t now)
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
	struct peer *relay = peer->path[peer->best].relay;
	bool stays = !relay->is_root || !relay->root_idle; /* its set still names it */
	initiator_by(peer, s->class, stays && relay_session(relay) && !silent(relay) ? relay : NULL);
}

/* A root carries for everybody, a member for its own: when there is one that can, it is asked as well; the path's rank does the rest. One of the
 * two sides begins. */
static void member_instead(struct peer *peer, uint64_t now)
{
	const struct path *p = peer->best >= 0 ? &peer->path[peer->best] : NULL;
	const struct session *s = peer_session(peer, CLASS_DATA);
	struct peer *list[MEMBER_RELAYS];
	unsigned called = 0;
	if (!p || !p->circuit || !p->relay->is_root) {
		peer->by_root_ms = 0;
		return;
	}
	if (!peer->by_root_ms)
		peer->by_root_ms = now;
	bool first = memcmp(peer->node->config.self.self.key_hash, peer->identity.key_hash, KEY_HASH_BYTES) < 0;
	if (!s || peer->by_ms > now || now - peer->by_root_ms < (first ? BY_ROOT_MS : 2 * BY_ROOT_MS) ||
	    session_last_frame(s) + IN_USE_MS < now)
		return;
	unsigned n = member_relays(peer, list, MEMBER_RELAYS, &called);
	peer->by_ms = now + (n || !called ? MEMBER_AGAIN_MS : MEMBER_SOON_MS);
	struct peer *relay = n ? list[peer->by_try++ % n] : NULL;
	struct circuit *c = relay ? leg_by(peer, relay) : NULL;
	if (relay && !(c && works(peer, path_find_circuit(peer, c))))
		initiator_by(peer, CLASS_DATA, relay);
}

bool circuit_call(struct peer *peer, enum session_class class, struct peer *root)
{
	uint8_t init[INIT_SEND_MAX];
	size_t len = peer->keys ? initiator_init(peer, class, init) : 0;
	return len && connect_by(peer, root, init, len, true);
}

void circuit_peer_tick(struct peer *peer, uint64_t now)
{
	hedge(peer, now);
	renew(peer, now);
	member_instead(peer, now);
	for (int i = 0; i < PATHS_MAX; i++) {
		const struct path *p = &peer->path[i];
		if (p->state == PATH_FREE || !p->circuit || !p->relay || p->relay->is_root)
			continue;
		/* Its session with us is used although we have nothing to say to it. */
		uint64_t used = atomic_load(&p->circuit->used_ms);
		if (used > p->relay->legs_used_ms)
			p->relay->legs_used_ms = used;
		if (used > p->relay->used_ms)
			p->relay->used_ms = used;
	}
}

uint64_t circuit_deadline(const struct peer *peer)
{
	return peer->hedge_ms;
}

bool circuit_unreach(struct peer *relay, const struct body_unreach *b)
{
	struct circuit *c = node_circuit(relay->node, b->idx);
	if (!c || c->at_relay || c->far != relay->remote)
		return false;
	uint32_t tx_idx = atomic_load(&c->tx_idx);
	if (b->relay_idx && tx_idx && (b->relay_idx & IDX_MASK) != tx_idx)
		return false; /* late: of an earlier leg with this index of ours */
	struct peer *peer = peer_find(relay->node, c->peer_key_hash);
	if (!peer) {
		circuit_drop(relay->node, c);
		return true;
	}
	if (relay->is_root)
		peer->relay_try++;
	path_forget_circuit(peer, c);
	peer_schedule(peer);
	return true;
}

static void leg_lost(struct peer *peer, void *self)
{
	const struct peer *relay = self;
	bool lost = false;
	for (int i = 0; i < PATHS_MAX; i++) {
		if (peer->path[i].state == PATH_FREE || peer->path[i].relay != relay)
			continue;
		lost = lost || i == peer->best;
		path_free(peer, i);
	}
	const struct session *s = peer_any_session(peer);
	if (lost && s && peer->best < 0)
		initiator_again(peer, s->class);
	if (lost)
		peer_schedule(peer);
}

/* The other end of a leg may have a new one already by which we hear it: silence would not tell that ours is gone. */
void circuit_relay_restarted(struct peer *relay)
{
	peers_each(relay->node, leg_lost, relay);
}
