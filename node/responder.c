/* responder.c: answering INITs in the order of work that keeps each step cheaper than the next (PROTOCOL.md, Responder's order of work).
 *
 * The worker has checked length, hint and mac1. Here: memory of authentic mac1s, cookie under load, decryption, timestamp, authorisation,
 * identity bucket, answer. Nothing is charged to a source or an identity before it proved to be that; nothing an INIT says has any effect before
 * its session is confirmed by a DATA packet. An identity whose work must be computed first is parked with its INIT for the few milliseconds that takes.
 * Load is estimated from what was done this second, not measured, so that the same input gives the same answers in the simulator.
 */
#include "node/control.h"

#include <stdlib.h>
#include <string.h>

#include "proto/random.h"

#define SECRET_MS          120000
#define LOAD_US            250000 /* a quarter of a core */
#define COST_BAD_US        67
#define COST_FULL_US       220
#define IDENTITY_MS        500 /* 2/s */
#define IDENTITY_BURST     5
#define SOURCE_MS          50 /* 20/s */
#define SOURCE_BURST       5
#define WORK_PER_PREFIX    8
#define RELAYED_WORK_MS    50 /* 20/s for each root */
#define RELAYED_WORK_BURST 40

void responder_rotate(struct node *node)
{
	struct responder *r = &node->responder;
	if (node->now - r->secret_ms < SECRET_MS)
		return;
	memcpy(r->secret[1], r->secret[0], 32);
	random_bytes(r->secret[0], 32);
	r->secret_ms = node->now;
}

/* Two budgets, so that neither a flood over UDP nor one through a relay takes the other's (T17). */
static void load_add(struct node *node, const struct letter *l, unsigned us)
{
	struct responder *r = &node->responder;
	if (node->now - r->busy_since_ms >= 1000) {
		r->busy_since_ms = node->now;
		r->busy_us[0] = r->busy_us[1] = 0;
	}
	r->busy_us[l->circuit != 0] += us;
}

static bool loaded(struct node *node, const struct letter *l)
{
	load_add(node, l, 0);
	return node->responder.busy_us[l->circuit != 0] > LOAD_US;
}

static bool mac1_seen(const struct responder *r, const uint8_t mac1[16])
{
	for (unsigned i = 0; i < MAC1_MEMORY; i++)
		if (!memcmp(r->mac1[i], mac1, 16))
			return true;
	return false;
}

/* Whom a limit or a cookie is for: who comes by a TLS stream is the same as who comes from there by UDP. */
static struct endpoint source_of(const struct letter *l)
{
	struct endpoint e = l->from;
	e.family &= (uint8_t)~ENDPOINT_STREAM;
	return e;
}

static void cookie_of(const uint8_t secret[32], const struct letter *l, uint8_t ret[16])
{
	struct endpoint from = source_of(l);
	cookie_value(secret, &from, ret);
}

static bool cookie_good(struct node *node, const struct letter *l)
{
	for (int i = 0; i < 2; i++) {
		uint8_t value[16];
		cookie_of(node->responder.secret[i], l, value);
		if (init_mac2_check(l->data, l->len, value))
			return true;
	}
	return false;
}

static void reply_out(struct node *node, const struct letter *l, const uint8_t *bytes, size_t len)
{
	struct circuit *c = node_circuit(node, l->circuit);
	if (c)
		circuit_reply(node, c, bytes, len);
	else if (!l->circuit)
		node_datagram(node, &l->from, l->socket, bytes, len);
}

static void retry_out(struct node *node, const struct letter *l, const struct gate *gate, uint32_t idx, const uint8_t mac1[16],
                      enum retry_kind kind, const uint8_t value[16])
{
	uint8_t out[RETRY_BYTES];
	retry_create(gate, idx, mac1, kind, value, out, NULL);
	reply_out(node, l, out, sizeof out);
}

/* Source prefix: /32 of IPv4, /64 of IPv6. Charged only under load and after its cookie was good. */
static bool source_bucket(struct node *node, const struct letter *l)
{
	const struct endpoint from = source_of(l);
	struct endpoint net = {.family = from.family};
	memcpy(net.ip, from.ip, from.family == 4 ? 4 : 8);
	unsigned slot = (unsigned)((le64_at(net.ip) * 0x9e3779b97f4a7c15ull) >> 54) % SOURCES_MAX;
	uint64_t *tokens = &node->responder.source[slot].tokens_ms;
	if (!endpoint_equal(&node->responder.source[slot].net, &net)) {
		node->responder.source[slot].net = net;
		*tokens = 0;
	}
	if (*tokens + SOURCE_MS * SOURCE_BURST < node->now)
		*tokens = node->now - SOURCE_MS * SOURCE_BURST;
	if (*tokens + SOURCE_MS > node->now)
		return false;
	*tokens += SOURCE_MS;
	return true;
}

static bool identity_bucket(struct peer *peer)
{
	uint64_t now = peer->node->now;
	if (peer->init_bucket_ms + IDENTITY_MS * IDENTITY_BURST < now)
		peer->init_bucket_ms = now - IDENTITY_MS * IDENTITY_BURST;
	if (peer->init_bucket_ms + IDENTITY_MS > now)
		return false;
	peer->init_bucket_ms += IDENTITY_MS;
	return true;
}

/* ---- authorisation ---------------------------------------------------------------------------------------------- */

enum authority { AUTHORITY_NONE, AUTHORITY_GOOD, AUTHORITY_WORK };

static bool as_server(const struct node *node, const uint8_t gate_secret[32])
{
	bool own = node->config.root && bytes_equal(gate_secret, node->config.root_gate, 32);
	/* A private root asks for its access key whichever way the INIT came. */
	return own || (node->config.port.request && bytes_equal(gate_secret, gate_zero, 32));
}

static enum authority authorise(struct node *node, const struct letter *l, const struct identity *who, struct peer *peer,
                                const struct init_payload *payload, struct greeting *ret_greeting)
{
	if (!(payload->caps & CAP_CTRL_CLASS))
		return channel_greeted(node, who, payload->tlvs, payload->tlvs_len, ret_greeting) ? AUTHORITY_GOOD : AUTHORITY_NONE;
	if (peer && (peer->is_root || peer->is_controller))
		return AUTHORITY_GOOD;
	if (!as_server(node, l->gate_secret))
		return AUTHORITY_NONE;
	return peer && peer->work ? AUTHORITY_GOOD : AUTHORITY_WORK;
}

/* ---- waiting for the proof of work ------------------------------------------------------------------------------ */

static bool same_prefix(const struct letter *one, const struct letter *other)
{
	const struct endpoint a = source_of(one), b = source_of(other);
	return a.family == b.family && !memcmp(a.ip, b.ip, a.family == 4 ? 3 : 6);
}

/* Whoever has a circuit to us can send INITs of ever new identities through it, unseen by the relay's limits. */
static bool relayed_work(struct node *node)
{
	uint64_t *at = &node->responder.relayed_work_ms, cost = RELAYED_WORK_MS / (node->n_roots ? node->n_roots : 1);
	if (*at + cost * RELAYED_WORK_BURST < node->now)
		*at = node->now - cost * RELAYED_WORK_BURST;
	if (*at + cost > node->now)
		return false;
	*at += cost;
	return true;
}

static bool park(struct node *node, const struct letter *l, const struct identity *who)
{
	struct parked **free_slot = NULL;
	unsigned near = 0;
	for (unsigned i = 0; i < PARKED_MAX; i++) {
		struct parked **at = &node->responder.parked[i];
		if (!*at)
			free_slot = free_slot ? free_slot : at;
		else if (bytes_equal((*at)->identity.key_hash, who->key_hash, KEY_HASH_BYTES))
			return true; /* under way */
		else if (!l->circuit && !(*at)->letter->circuit && same_prefix((*at)->letter, l))
			near++;
	}
	bool room = free_slot && near < WORK_PER_PREFIX && (!l->circuit || relayed_work(node));
	struct parked *p = room ? calloc(1, sizeof *p) : NULL;
	if (!p)
		return false;
	p->identity = *who;
	p->letter = malloc(sizeof *l + l->len);
	if (!p->letter || !node->port.work(node->port.self, who)) {
		free(p->letter);
		free(p);
		return false;
	}
	memcpy(p->letter, l, sizeof *l);
	memcpy(p->letter->data, l->data, l->len);
	*free_slot = p;
	return true;
}

static enum drop init_answer(struct node *node, struct letter *l, bool was_parked);

void responder_work_done(struct node *node, const struct identity *who, bool good)
{
	for (unsigned i = 0; i < PARKED_MAX; i++) {
		struct parked *p = node->responder.parked[i];
		if (!p || !bytes_equal(p->identity.key_hash, who->key_hash, KEY_HASH_BYTES))
			continue;
		node->responder.parked[i] = NULL;
		struct peer *peer = good ? peer_get(node, who) : NULL;
		enum drop verdict = DROP_INIT_POW;
		if (peer) {
			peer_set_work(peer, who->address);
			verdict = init_answer(node, p->letter, true);
		}
		if (verdict)
			node_drop(node, verdict);
		free(p->letter);
		free(p);
	}
}

/* ---- the answer ------------------------------------------------------------------------------------------------- */

static uint8_t suite_choose(uint32_t ours, uint32_t theirs)
{
	if (ours & theirs & CAP_GCM)
		return SUITE_AES256_GCM;
	return ours & theirs & CAP_CHACHA ? SUITE_CHACHA20_POLY1305 : 0;
}

static struct session *next_session(struct node *node, struct peer *peer, const struct handshake *hs, const struct init_payload *payload,
                                    uint32_t idx, const struct session_keys *keys, uint8_t suite)
{
	enum session_class class = payload->caps & CAP_CTRL_CLASS ? CLASS_CTRL : CLASS_DATA;
	uint8_t rx = (uint8_t)((node_caps(node, class) >> CAP_LANES_SHIFT & 15) + 1);
	uint8_t tx = class == CLASS_CTRL ? 1 : (uint8_t)((payload->caps >> CAP_LANES_SHIFT & 15) + 1);
	struct session *s = session_new(class, false, suite, keys, idx, hs->idx, rx, tx, peer->remote, node->config.workers, node->now);
	if (!s)
		return NULL;
	s->named.kind = INDEX_SESSION;
	s->peer_caps = payload->caps;
	s->peer_epoch = (uint32_t)payload->ts[0] << 24 | (uint32_t)payload->ts[1] << 16 | (uint32_t)payload->ts[2] << 8 | payload->ts[3];
	if (!node_index_put(node, &s->named, idx)) {
		session_free(s);
		return NULL;
	}
	return s;
}

/* Step 9. The session is findable before its RESP leaves. */
static enum drop resp_out(struct node *node, const struct letter *l, struct peer *peer, struct handshake *hs,
                          const struct init_payload *payload, const struct greeting *greeting)
{
	enum session_class class = payload->caps & CAP_CTRL_CLASS ? CLASS_CTRL : CLASS_DATA;
	uint32_t caps = node_caps(node, class);
	uint8_t tlvs[INIT_MAX], out[INIT_MAX];
	struct session_keys keys;
	struct resp_payload resp = {
	    .idx = node_index_draw(node),
	    .suite = class == CLASS_CTRL ? SUITE_CHACHA20_POLY1305 : suite_choose(caps, payload->caps),
	    .lanes = (uint8_t)((caps >> CAP_LANES_SHIFT & 15) + 1),
	    .max_datagram = DATAGRAM_MAX,
	    .caps = caps,
	    .observed = l->circuit ? (struct endpoint){0} : l->from,
	    .epoch = node->config.epoch,
	    .tlvs = tlvs,
	};
	if (!resp.suite || !resp.idx)
		return DROP_INIT_FORM;
	if (class == CLASS_DATA)
		resp.tlvs_len = channel_greet(peer, tlvs, 720, true);
	size_t len = resp_create(hs, &node->config.self, &resp, l->len, out, sizeof out, &keys, NULL);
	if (!len)
		return DROP_INIT_CRYPTO;
	struct session *s = next_session(node, peer, hs, payload, resp.idx, &keys, resp.suite);
	wipe(&keys, sizeof keys);
	if (!s)
		return DROP_NO_SESSION;
	unsigned slot = peer->next_newest[class] ^= 1;
	peer_retire_session(peer, &peer->next[class][slot]);
	peer->next[class][slot] = s;
	free(peer->greeting[class][slot]);
	peer->greeting[class][slot] = NULL;
	if (class == CLASS_DATA && greeting->n && (peer->greeting[class][slot] = malloc(sizeof *greeting)))
		*peer->greeting[class][slot] = *greeting;
	reply_out(node, l, out, len);
	peer_schedule(peer);
	return DROP_NONE;
}

static bool newer(struct node *node, const struct peer *peer, const struct identity *who, const struct init_payload *payload)
{
	if (!peer || !peer->ts_known || memcmp(payload->ts, peer->last_ts, 12) > 0)
		return true;
	for (int i = 0; i < 2; i++) {
		uint8_t value[16];
		fresh_value(node->responder.secret[i], who->key_hash, peer->last_ts, value);
		if (bytes_equal(value, payload->fresh, 16))
			return true;
	}
	return false;
}

/* Steps 5 to 9, once it decrypted. */
static enum drop init_judge(struct node *node, struct letter *l, const struct gate *gate, struct handshake *hs, const uint8_t mac1[16],
                            const struct init_payload *payload, bool mac2_good)
{
	struct identity who = hs->peer;
	struct peer *peer = peer_find(node, who.key_hash);
	struct greeting greeting = {0};
	bool fresh = newer(node, peer, &who, payload), server = as_server(node, l->gate_secret);
	if (bytes_equal(who.key_hash, node->config.self.self.key_hash, KEY_HASH_BYTES))
		return DROP_INIT_DENIED;
	if (!fresh && !l->circuit && !server)
		return DROP_INIT_REPLAY;
	enum authority may = authorise(node, l, &who, peer, payload, &greeting);
	if (may == AUTHORITY_NONE)
		return DROP_INIT_DENIED;
	if (may == AUTHORITY_WORK) {
		if (!l->circuit && !mac2_good) {
			uint8_t value[16];
			cookie_of(node->responder.secret[0], l, value);
			retry_out(node, l, gate, hs->idx, mac1, RETRY_COOKIE, value);
			return DROP_INIT_COOKIE;
		}
		return park(node, l, &who) ? DROP_NONE : DROP_INIT_POW;
	}
	if (!fresh) {
		uint8_t value[16];
		fresh_value(node->responder.secret[0], who.key_hash, peer->last_ts, value);
		retry_out(node, l, gate, hs->idx, mac1, RETRY_FRESH, value);
		return DROP_INIT_REPLAY;
	}
	peer = peer_get(node, &who); /* also one whom a directory named: now its keys are known */
	if (!peer)
		return DROP_NO_SESSION;
	if (!identity_bucket(peer))
		return DROP_INIT_RATE;
	load_add(node, l, COST_FULL_US - COST_BAD_US);
	enum drop verdict = resp_out(node, l, peer, hs, payload, &greeting);
	if (!verdict) {
		memcpy(peer->last_ts, payload->ts, 12);
		peer->ts_known = true;
	}
	return verdict;
}

static enum drop init_answer(struct node *node, struct letter *l, bool was_parked)
{
	struct responder *r = &node->responder;
	uint8_t mac1[16], copy[INIT_MAX];
	if (l->len < INIT_MIN || l->len > INIT_MAX)
		return DROP_INIT_FORM;
	memcpy(mac1, init_mac1(l->data, l->len), 16);
	if (!was_parked && mac1_seen(r, mac1))
		return DROP_INIT_REPLAY;
	struct gate gate;
	gate_derive(&gate, node->config.self.self.key_hash, l->gate_secret);
	bool mac2_good = was_parked || (!l->circuit && cookie_good(node, l));
	if (!was_parked && loaded(node, l)) {
		if (l->circuit) {
			gate_fini(&gate);
			return DROP_BUDGET;
		}
		if (!mac2_good) {
			/* The index stands masked; it is read without any decryption of the payload. */
			struct handshake hs = {0};
			uint8_t value[16];
			cookie_of(r->secret[0], l, value);
			hs.idx = init_peek_idx(&gate, l->data, l->len);
			retry_out(node, l, &gate, hs.idx, mac1, RETRY_COOKIE, value);
			return DROP_INIT_COOKIE;
		}
		if (!source_bucket(node, l))
			return DROP_INIT_RATE;
	}
	load_add(node, l, COST_BAD_US);
	struct handshake hs;
	struct init_payload payload;
	memcpy(copy, l->data, l->len);
	enum drop verdict = init_consume(&hs, &node->config.self, &gate, &r->ss, copy, l->len, &payload);
	if (!verdict) {
		if (!was_parked)
			memcpy(r->mac1[r->mac1_at++ % MAC1_MEMORY], mac1, 16);
		verdict = init_judge(node, l, &gate, &hs, mac1, &payload, mac2_good);
		handshake_fini(&hs);
	}
	gate_fini(&gate);
	return verdict;
}

bool responder_init(struct node *node, struct letter *l)
{
	bool barred = !l->circuit && path_barred(node, &l->from); /* a session would have no way */
	enum drop verdict = barred ? DROP_BARRED : init_answer(node, l, false);
	if (verdict)
		node_drop(node, verdict);
	return !verdict;
}

/* ---- confirmation ----------------------------------------------------------------------------------------------- */

void responder_confirm(struct node *node, struct session *s, const struct letter *l)
{
	struct peer *peer = peer_find(node, s->remote->key_hash);
	if (!peer)
		return;
	for (int i = 0; i < 2; i++) {
		if (peer->next[s->class][i] != s)
			continue;
		peer->next[s->class][i] = NULL;
		struct greeting *greeting = peer->greeting[s->class][i];
		peer->greeting[s->class][i] = NULL;
		atomic_store(&s->confirmed, true);
		peer->init_ms[s->class] = NEVER;
		int path = path_of_letter(peer, l);
		if (path >= 0) {
			path_rtt_hint(peer, path, node->now - s->born_ms);
			path_valid(peer, path);
		}
		peer_adopt(peer, s, path);
		if (greeting)
			channel_apply_greeting(peer, greeting);
		free(greeting);
		if (s->class == CLASS_DATA)
			channel_session_up(peer);
		peer_schedule(peer);
		return;
	}
}
