/* initiator.c: asking for sessions: INIT out, RESP and RETRY in, confirmation, rekey.
 *
 * Every INIT is new (ephemeral, index, salt, timestamp). A first attempt goes straight to the endpoints we know and then, as an INIT of its own,
 * through a root: one of them may be answered over a way that leads one way only, so they must not share their fate. The straight one leaves
 * first, because the responder refuses timestamps that went back. The first RESP gives the session; a second one of the same attempt only
 * proves its path. A session is confirmed with a PROBE that is repeated until something arrives under the new keys.
 */
#include "node/control.h"

#include <stdlib.h>
#include <string.h>

#include "proto/random.h"

#define CONFIRM_MS       300
#define GIVE_UP_MS       60000
#define ROOT_RETRY_MS    30000
#define SPREAD_MS        8000 /* to three times that */
#define SPREAD_TRIES     3    /* a short hiccup is not worth a wait */
#define NEXT_SLOT_MS     10000
#define COOKIE_HELD_MS   120000
#define PENDING_LIFE_MS  10000
#define RETRIES_PER_STEP 4  /* of the straight INIT and of the one through a root */
#define WHOIS_MAX        16 /* under way per root: a directory of unknown keys must leave slots for CONNECT, ACCEPT and REGISTER */

static const uint32_t retransmit_ms[] = {500, 1000, 2000, 4000, 5000};

uint32_t node_caps(const struct node *node, enum session_class class)
{
	/* 1 .. workers for frames, 0 for control. */
	unsigned lanes = node->config.workers + 1 < LANES_MAX ? node->config.workers + 1 : LANES_MAX;
	uint32_t caps = CAP_CHACHA;
	if (class == CLASS_CTRL)
		return caps | CAP_CTRL_CLASS;
	if (node->config.suite != SUITE_CHACHA20_POLY1305 && seal_has_aes())
		caps |= CAP_GCM;
	return caps | CAP_SEG | CAP_BUNDLE | CAP_REPLICATE | (lanes - 1) << CAP_LANES_SHIFT;
}

void initiator_want(struct peer *peer, enum session_class class)
{
	peer->want[class] = true;
	if ((peer_up(peer, class) && peer->best >= 0) || peer->init_ms[class] != NEVER)
		return;
	peer->init_ms[class] = peer->init_since_ms[class] = peer->node->now;
	peer->init_tries[class] = 0;
	peer_schedule(peer);
}

static void pending_drop(struct peer *peer, struct pending **slot)
{
	struct pending *p = *slot;
	if (!p)
		return;
	*slot = NULL;
	node_index_take(peer->node, &p->named);
	handshake_fini(&p->handshake);
	gate_fini(&p->gate);
	guestbook_retire(&peer->node->book, p, free);
}

void initiator_drop_pending(struct peer *peer)
{
	for (unsigned i = 0; i < PENDING_MAX; i++)
		pending_drop(peer, &peer->pending[i]);
}

/* The gate the other side opens to us. */
static void gate_for(struct peer *peer, enum session_class class, uint8_t ret_secret[32])
{
	struct net *net = class == CLASS_DATA ? channel_shared(peer) : NULL;
	if (net && net->gate_set)
		memcpy(ret_secret, net->gate, 32);
	else if (peer->is_root && peer->root_line)
		memcpy(ret_secret, peer->root_line->gate, 32);
	else if (class == CLASS_CTRL && !peer->is_controller && peer_pair_gate(peer))
		memcpy(ret_secret, peer->pair_gate, 32); /* we are the root or the controller that calls */
	else
		memcpy(ret_secret, gate_zero, 32);
}

static void timestamp(struct node *node, uint8_t ret[12])
{
	uint64_t ns = node->now_us * 1000;
	if (ns <= node->ts_last_ns)
		ns = node->ts_last_ns + 1;
	node->ts_last_ns = ns;
	struct writer w = writer_over(ret, 12);
	put_be32(&w, node->config.epoch);
	put_be64(&w, ns);
}

/* One new INIT into out; 0 if none could be made. */
static size_t init_make(struct peer *peer, enum session_class class, uint8_t out[INIT_SEND_MAX])
{
	struct node *node = peer->node;
	struct pending **slot = &peer->pending[peer->pending_at++ % PENDING_MAX];
	pending_drop(peer, slot);
	struct pending *p = calloc(1, sizeof *p);
	uint8_t tlvs[INIT_SEND_MAX], secret[32];
	if (!p)
		return 0;
	p->named.kind = INDEX_PENDING;
	p->peer = peer;
	p->class = class;
	p->caps = node_caps(node, class);
	p->sent_ms = node->now;
	gate_for(peer, class, secret);
	gate_derive(&p->gate, peer->identity.key_hash, secret);
	struct init_payload payload = {.caps = p->caps, .tlvs = tlvs};
	timestamp(node, payload.ts);
	if (peer->fresh_set)
		memcpy(payload.fresh, peer->fresh, 16);
	if (class == CLASS_DATA)
		payload.tlvs_len = channel_greet(peer, tlvs, 720, true);
	const uint8_t *cookie = peer->cookie_until_ms > node->now ? peer->cookie : NULL;
	if (!node_index_put(node, &p->named, 0)) {
		free(p);
		return 0;
	}
	size_t len = init_create(&p->handshake, &node->config.self, &peer->identity, &p->gate, cookie, p->named.idx, &payload, out,
	                         INIT_SEND_MAX, NULL);
	*slot = p;
	if (!len)
		pending_drop(peer, slot);
	return len;
}

size_t initiator_init(struct peer *peer, enum session_class class, uint8_t out[INIT_SEND_MAX])
{
	return init_make(peer, class, out);
}

/* Straight to where the peer may be. Returns how many endpoints that were. */
static unsigned init_direct(struct peer *peer, enum session_class class)
{
	struct node *node = peer->node;
	struct endpoint to[ROOT_KNOWN_MAX + 2];
	unsigned n = resolve_endpoints(peer, to);
	const struct endpoint *lan = beacon_endpoint(peer);
	for (unsigned i = 0; lan && i < n; i++)
		if (endpoint_equal(&to[i], lan))
			lan = NULL;
	if (lan)
		to[n++] = *lan;
	if (fallback_endpoint(peer))
		to[n++] = *fallback_endpoint(peer);
	uint8_t init[INIT_SEND_MAX];
	size_t len = n ? init_make(peer, class, init) : 0;
	for (unsigned i = 0; len && i < n; i++)
		node_datagram(node, &to[i], 0, init, len);
	return len ? n : 0;
}

void initiator_at(struct peer *peer, enum session_class class, const struct endpoint *to)
{
	uint8_t init[INIT_SEND_MAX];
	size_t len = init_make(peer, class, init);
	if (len)
		node_datagram(peer->node, to, 0, init, len);
	peer_schedule(peer);
}

/* The keys behind a key_hash that a directory or credential vouches for: any root may tell them, none can forge them. */
static void whois_done(struct peer *root, const struct request *r, const struct message *reply)
{
	struct body_identity b;
	struct peer *peer = peer_find(root->node, r->context_hash);
	if (!peer || peer->keys || !reply || reply->status != STATUS_OK || !body_identity_parse(reply->body, reply->len, &b) ||
	    !bytes_equal(b.identity.key_hash, peer->identity.key_hash, KEY_HASH_BYTES))
		return;
	peer_get(root->node, &b.identity);
	for (int c = 0; c < CLASS_COUNT; c++)
		if (peer->init_ms[c] != NEVER)
			peer->init_ms[c] = root->node->now;
	peer_schedule(peer);
}

/* May this root be asked for the peer now? Else its INIT timer asks again. */
static bool whois_room(const struct peer *root, const struct peer *peer, uint64_t address)
{
	unsigned under_way = 0;
	for (unsigned i = 0; i < REQUESTS_MAX; i++) {
		const struct request *r = root->request[i];
		if (!r || r->op != OP_WHOIS)
			continue;
		if (r->done == whois_done && r->context == address && bytes_equal(r->context_hash, peer->identity.key_hash, KEY_HASH_BYTES))
			return false; /* repeats itself */
		under_way++;
	}
	return under_way < WHOIS_MAX;
}

static void whois_send(struct peer *peer)
{
	struct node *node = peer->node;
	struct body_whois b = {0};
	uint8_t body[32];
	/* The address that each network says: what another network's controller says of the same key_hash must not get in the way. */
	for (unsigned k = 0; k < NETWORKS_MAX; k++) {
		const struct member *m = atomic_load(&peer->remote->member[k]);
		if (!m || m->address == b.address)
			continue;
		b.address = m->address;
		size_t n = body_whois_encode(&b, body, sizeof body);
		for (unsigned i = 0; i < node->n_roots; i++)
			if (peer_up(node->root[i], CLASS_CTRL) && whois_room(node->root[i], peer, b.address))
				request_send(node->root[i], CLASS_CTRL, OP_WHOIS, body, n, whois_done, b.address, peer->identity.key_hash);
		struct peer *relay[2];
		unsigned relays = circuit_members(peer, relay, 2);
		for (unsigned i = 0; i < relays; i++)
			if (whois_room(relay[i], peer, b.address))
				request_send(relay[i], CLASS_DATA, OP_WHOIS, body, n, whois_done, b.address, peer->identity.key_hash);
	}
}

void initiator_by(struct peer *peer, enum session_class class, struct peer *relay)
{
	uint8_t init[INIT_SEND_MAX];
	if (!peer->keys || peer->is_root || !(relay || circuit_possible(peer)))
		return;
	size_t len = init_make(peer, class, init);
	if (len)
		circuit_connect(peer, class, relay, init, len);
}

void initiator_relayed(struct peer *peer, enum session_class class)
{
	initiator_by(peer, class, NULL);
}

static void init_send(struct peer *peer, enum session_class class)
{
	struct node *node = peer->node;
	uint8_t init[INIT_SEND_MAX];
	if (class == CLASS_DATA)
		beacon_wanted(peer);
	if (!peer->keys) {
		whois_send(peer);
		return;
	}
	bool rekey = peer_up(peer, class) && peer->best >= 0 && peer->path[peer->best].state == PATH_VALID;
	if (rekey && peer->init_tries[class] < 2) {
		size_t len = init_make(peer, class, init);
		if (len)
			node_datagram_path(node, &peer->path[peer->best], init, len);
		return;
	}
	init_direct(peer, class);
	initiator_relayed(peer, class);
}

void initiator_again(struct peer *peer, enum session_class class)
{
	if (peer->init_ms[class] != NEVER)
		return;
	peer->init_ms[class] = peer->init_since_ms[class] = peer->node->now;
	peer->init_tries[class] = 0;
	peer_schedule(peer);
}

static void hurry(struct peer *peer, void *self)
{
	const uint64_t *now = self;
	for (int c = 0; c < CLASS_COUNT; c++)
		if (!peer->is_root && peer->init_ms[c] != NEVER && peer->best < 0)
			peer->init_ms[c] = *now;
	peer_schedule(peer);
}

/* Whoever waits for an answer may have waited for the way through this root: not for its own timer any more. */
void initiator_root_up(struct node *node)
{
	peers_each(node, hurry, &node->now);
}

/* A root that died has lost thousands of nodes at one moment. Those that have another one are in no hurry, and must not come back in step. */
static bool unhurried(const struct peer *root, enum session_class class)
{
	const struct node *node = root->node;
	if (!root->is_root || class != CLASS_CTRL || root->init_tries[class] < SPREAD_TRIES)
		return false;
	for (unsigned i = 0; i < node->n_roots; i++)
		if (node->root[i] != root && peer_up(node->root[i], CLASS_CTRL) && node->root[i]->best >= 0)
			return true;
	return false;
}

static void init_tick(struct peer *peer, enum session_class class, uint64_t now)
{
	if (peer->init_ms[class] > now)
		return;
	/* A controller that is away for days is asked as a root is, not each 5 s by every member it has. */
	bool forever = ((peer->is_root && !peer->root_idle) || peer->is_controller) && class == CLASS_CTRL;
	if (now - peer->init_since_ms[class] >= GIVE_UP_MS && !forever) {
		peer->init_ms[class] = NEVER;
		peer->want[class] = false;
		if (class == CLASS_DATA)
			peer_drop_waiting(peer, DROP_NO_SESSION);
		return;
	}
	peer->retries[class] = 0;
	init_send(peer, class);
	unsigned i = peer->init_tries[class];
	unsigned last = sizeof retransmit_ms / sizeof *retransmit_ms - 1;
	uint64_t wait = now - peer->init_since_ms[class] >= GIVE_UP_MS ? ROOT_RETRY_MS : retransmit_ms[i < last ? i : last];
	peer->init_ms[class] = now + (unhurried(peer, class) ? SPREAD_MS + random_below(2 * SPREAD_MS) : random_about(wait));
	if (peer->init_tries[class] < 200)
		peer->init_tries[class]++;
}

static uint64_t rekey_at(const struct session *s)
{
	if (s->class == CLASS_CTRL)
		return s->born_ms + (s->initiator ? CTRL_REKEY_AFTER_MS : CTRL_REKEY_RESPONDER_MS);
	return s->born_ms + (s->initiator ? REKEY_AFTER_MS : REKEY_RESPONDER_MS);
}

static void session_tick(struct peer *peer, enum session_class class, uint64_t now)
{
	crossing_follow(peer, class);
	struct session *s = peer->current[class];
	/* Keys of a pair that only keeps its path warm are let go: a rekey would keep it warm for ever. */
	uint64_t used = !s ? 0 : class == CLASS_DATA ? session_last_frame(s) : session_last_tx(s);
	used = peer->legs_used_ms > used ? peer->legs_used_ms : used; /* what we relay for each other ends with its session */
	if (s && peer->init_ms[class] == NEVER && rekey_at(s) <= now && used + 60000 > now) {
		peer->init_ms[class] = peer->init_since_ms[class] = now;
		peer->init_tries[class] = 0;
	}
	if (s && (s->reject_ms <= now || atomic_load(&s->opens_failed) >= OPENS_FAILED_MAX)) {
		peer_retire_session(peer, &peer->current[class]);
		if (class == CLASS_DATA && peer->init_ms[class] == NEVER)
			peer->want[class] = false; /* the next frame wants one again */
		peer_session_down(peer, class);
	}
	if (peer->previous[class] && peer->previous[class]->reject_ms <= now)
		peer_retire_session(peer, &peer->previous[class]);
	for (int i = 0; i < 2; i++) {
		struct session *next = peer->next[class][i];
		if (next && next->born_ms + NEXT_SLOT_MS <= now)
			peer_retire_session(peer, &peer->next[class][i]);
	}
	if (peer->confirm_ms[class] > now)
		return;
	peer->confirm_ms[class] = NEVER;
	s = peer->current[class];
	if (s && peer->best >= 0 && !session_last_rx(s)) {
		path_probe(peer, s, peer->best, 0);
		peer->confirm_ms[class] = now + CONFIRM_MS;
	}
}

void initiator_tick(struct peer *peer, uint64_t now)
{
	for (int c = 0; c < CLASS_COUNT; c++) {
		session_tick(peer, (enum session_class)c, now);
		init_tick(peer, (enum session_class)c, now);
	}
	for (unsigned i = 0; i < PENDING_MAX; i++)
		if (peer->pending[i] && peer->pending[i]->sent_ms + PENDING_LIFE_MS <= now)
			pending_drop(peer, &peer->pending[i]);
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

uint64_t initiator_deadline(const struct peer *peer)
{
	uint64_t at = NEVER;
	for (int c = 0; c < CLASS_COUNT; c++) {
		const struct session *s = peer->current[c];
		at = earlier(at, earlier(peer->init_ms[c], peer->confirm_ms[c]));
		if (s) {
			/* Asked once when it is due; idle sessions are not rekeyed, so not asked again until they end. */
			if (rekey_at(s) > peer->node->now)
				at = earlier(at, rekey_at(s));
			at = earlier(at, s->reject_ms);
		}
		if (peer->previous[c])
			at = earlier(at, peer->previous[c]->reject_ms);
		for (int i = 0; i < 2; i++)
			if (peer->next[c][i])
				at = earlier(at, peer->next[c][i]->born_ms + NEXT_SLOT_MS);
	}
	for (unsigned i = 0; i < PENDING_MAX; i++)
		if (peer->pending[i])
			at = earlier(at, peer->pending[i]->sent_ms + PENDING_LIFE_MS);
	return at;
}

/* ---- answers ---------------------------------------------------------------------------------------------------- */

static struct pending *pending_of(struct node *node, uint32_t idx, struct pending ***ret_slot)
{
	struct named *named = idx ? index_find(node->index, idx) : NULL;
	if (!named || named->kind != INDEX_PENDING)
		return NULL;
	struct pending *p = (struct pending *)named;
	for (unsigned i = 0; i < PENDING_MAX; i++)
		if (p->peer->pending[i] == p)
			*ret_slot = &p->peer->pending[i];
	return p;
}

void initiator_resp(struct node *node, const struct letter *l)
{
	struct pending **slot = NULL, *p = pending_of(node, l->idx, &slot);
	struct resp_payload resp;
	struct session_keys keys;
	if (!p)
		return;
	struct peer *peer = p->peer;
	enum session_class class = p->class;
	uint8_t bytes[INIT_MAX];
	if (l->len > sizeof bytes) {
		node_drop(node, DROP_RESP_FORM);
		return;
	}
	memcpy(bytes, l->data, l->len);
	enum drop verdict = resp_consume(&p->handshake, &node->config.self, p->caps, bytes, l->len, &resp, &keys);
	if (verdict) {
		node_drop(node, verdict);
		return;
	}
	int path = path_of_letter(peer, l);
	uint64_t sent_ms = p->sent_ms;
	pending_drop(peer, slot);
	if (path >= 0)
		path_rtt_hint(peer, path, node->now - sent_ms);
	struct session *current = peer->current[class];
	if (current && current->initiator && current->born_ms >= sent_ms && current->peer_epoch == resp.epoch) {
		if (path >= 0) /* the attempt's second answer: its path is proven */
			path_valid(peer, path);
		/* Its keys are needed when those of the first may be gone: the responder keeps the newest two (PROTOCOL.md, Confirmation). */
		if (session_last_rx(current) || sent_ms <= current->asked_ms)
			return;
	}
	uint8_t rx_lanes = (uint8_t)((node_caps(node, class) >> CAP_LANES_SHIFT & 15) + 1);
	struct session *s = session_new(class, true, resp.suite, &keys, 0, resp.idx, rx_lanes, class == CLASS_CTRL ? 1 : resp.lanes,
	                                peer->remote, node->config.workers, node->now);
	wipe(&keys, sizeof keys);
	if (!s)
		return;
	s->named.kind = INDEX_SESSION;
	/* The responder sends to the index our INIT named. */
	if (!node_index_put(node, &s->named, l->idx & IDX_MASK)) {
		session_free(s);
		return;
	}
	s->peer_caps = resp.caps;
	s->peer_epoch = resp.epoch;
	s->asked_ms = sent_ms;
	atomic_store(&s->confirmed, true);
	peer->init_ms[class] = NEVER;
	peer->fresh_set = false;
	if (path >= 0)
		path_valid(peer, path);
	if (!l->circuit)
		nat_seen(peer, &l->from, &resp.observed);
	struct greeting greeting;
	bool greeted = class == CLASS_DATA && channel_greeted(node, &peer->identity, resp.tlvs, resp.tlvs_len, &greeting);
	peer_adopt(peer, s, path);
	if (greeted)
		channel_apply_greeting(peer, &greeting);
	if (peer->current[class] == s && path >= 0) {
		path_probe(peer, s, path, 0);
		peer->confirm_ms[class] = node->now + CONFIRM_MS;
	}
	if (class == CLASS_DATA)
		channel_session_up(peer);
	peer_schedule(peer);
}

void initiator_retry(struct node *node, const struct letter *l)
{
	struct pending **slot = NULL, *p = pending_of(node, l->idx, &slot);
	enum retry_kind kind;
	uint8_t value[16];
	if (!p)
		return;
	enum drop verdict = retry_consume(&p->handshake, &p->gate, l->data, l->len, &kind, value);
	if (verdict) {
		node_drop(node, verdict);
		return;
	}
	struct peer *peer = p->peer;
	enum session_class class = p->class;
	if (kind == RETRY_COOKIE) {
		memcpy(peer->cookie, value, 16);
		peer->cookie_until_ms = node->now + COOKIE_HELD_MS;
	} else if (kind == RETRY_FRESH) {
		memcpy(peer->fresh, value, 16);
		peer->fresh_set = true;
	} else {
		return;
	}
	/* One RETRY per INIT: its pending state ends with it, so a replayed RETRY finds nothing. A cookie and then a fresh value is all an honest
	 * responder may ask for in one step; more would be a game at the speed of the round trip. */
	pending_drop(peer, slot);
	if (peer->retries[class] >= RETRIES_PER_STEP)
		return;
	peer->retries[class]++;
	uint8_t init[INIT_SEND_MAX];
	size_t len = init_make(peer, class, init);
	if (!len)
		return;
	struct circuit *c = node_circuit(node, l->circuit);
	if (c)
		node_datagram_leg(node, c, init, len);
	else
		node_datagram(node, &l->from, l->socket, init, len);
	peer_schedule(peer);
}
