/* request.c: control messages that are answered: retransmission, the memory of answers, and who gets which op.
 *
 * A request is repeated after 300 ms, twice as long each time, five times, then given up. The receiver remembers its last 64 answers to a peer
 * and repeats them word for word; the memory belongs to the peer, not to the session, so a rekey in between changes nothing. Every op is
 * idempotent all the same, since the memory is bounded.
 */
#include "node/control.h"

#include <stdlib.h>
#include <string.h>

#define RETRANSMIT_MS   300
#define TRIES_MAX       5
#define WAIT_SESSION_MS 10000
#define RESTART_TOLD_MS 2000
#define CTRL_PER_SECOND 400
#define CTRL_BURST      800

static void ctrl_out(struct peer *peer, struct session *s, const uint8_t *bytes, size_t len)
{
	uint8_t plain[INNER_HEADER + BODY_MAX + 64] = {INNER_CTRL};
	if (len > sizeof plain - INNER_HEADER || peer->best < 0)
		return;
	memcpy(plain + INNER_HEADER, bytes, len);
	node_seal(peer->node, s, &peer->path[peer->best], plain, INNER_HEADER + len);
}

static struct session *session_for(struct peer *peer, enum session_class class)
{
	struct session *s = peer_session(peer, class);
	/* A controller or root that is also a member may be reached on the other class only; any authenticated session serves. */
	return s ? s : peer_any_session(peer);
}

struct session *request_session(struct peer *peer, uint32_t idx)
{
	struct session *s = node_session(peer->node, idx);
	return s && s->remote == peer->remote && peer->node->now < s->reject_ms ? s : NULL;
}

static struct session *session_of(struct peer *peer, const struct request *r)
{
	return r->pinned ? request_session(peer, r->pinned) : session_for(peer, r->class);
}

static void request_free(struct request **slot)
{
	free((*slot)->bytes);
	free(*slot);
	*slot = NULL;
}

static bool request_put(struct peer *peer, enum session_class class, uint32_t pinned, uint8_t op, const uint8_t *body, size_t len,
                        request_done *done, uint64_t context, const uint8_t context_hash[32])
{
	struct request **slot = NULL;
	for (unsigned i = 0; i < REQUESTS_MAX && !slot; i++)
		if (!peer->request[i])
			slot = &peer->request[i];
	struct request *r = slot ? calloc(1, sizeof *r) : NULL;
	uint8_t bytes[BODY_MAX];
	if (!r)
		return false;
	*r = (struct request){.op = op, .class = class, .pinned = pinned, .done = done, .context = context};
	if (context_hash)
		memcpy(r->context_hash, context_hash, 32);
	r->req = ++peer->next_req ? peer->next_req : ++peer->next_req;
	struct message m = {.req = r->req, .op = op, .body = body, .len = len};
	r->len = (uint32_t)message_encode(&m, bytes, sizeof bytes);
	r->bytes = r->len ? malloc(r->len) : NULL;
	if (!r->bytes) {
		free(r);
		return false;
	}
	memcpy(r->bytes, bytes, r->len);
	*slot = r;
	struct session *s = session_of(peer, r);
	if (s) {
		ctrl_out(peer, s, r->bytes, r->len);
		r->tries = 1;
		r->next_ms = peer->node->now + RETRANSMIT_MS;
	} else {
		r->next_ms = peer->node->now + WAIT_SESSION_MS;
		initiator_want(peer, class);
	}
	peer->used_ms = peer->node->now;
	peer_schedule(peer);
	return true;
}

bool request_send(struct peer *peer, enum session_class class, uint8_t op, const uint8_t *body, size_t len, request_done *done,
                  uint64_t context, const uint8_t context_hash[32])
{
	return request_put(peer, class, 0, op, body, len, done, context, context_hash);
}

bool request_send_on(struct peer *peer, struct session *s, uint8_t op, const uint8_t *body, size_t len, request_done *done,
                     uint64_t context, const uint8_t context_hash[32])
{
	return request_put(peer, s->class, s->named.idx, op, body, len, done, context, context_hash);
}

void request_resend(struct peer *peer, enum session_class class)
{
	struct session *s = peer_session(peer, class);
	for (unsigned i = 0; s && i < REQUESTS_MAX; i++) {
		struct request *r = peer->request[i];
		if (!r || r->tries)
			continue;
		ctrl_out(peer, s, r->bytes, r->len);
		r->tries = 1;
		r->next_ms = peer->node->now + RETRANSMIT_MS;
	}
}

void request_tick(struct peer *peer, uint64_t now)
{
	for (unsigned i = 0; i < REQUESTS_MAX; i++) {
		struct request *r = peer->request[i];
		if (!r || r->next_ms > now)
			continue;
		struct session *s = session_of(peer, r);
		/* One that belongs to a session ends with it: under another it would say something else. */
		if (r->tries == 0 || r->tries >= TRIES_MAX || (r->pinned && !s)) {
			struct request gone = *r;
			peer->request[i] = NULL;
			free(r);
			if (gone.done)
				gone.done(peer, &gone, NULL);
			free(gone.bytes);
			continue;
		}
		if (s)
			ctrl_out(peer, s, r->bytes, r->len);
		r->next_ms = now + ((uint64_t)RETRANSMIT_MS << r->tries);
		r->tries++;
	}
}

uint64_t request_deadline(const struct peer *peer)
{
	uint64_t at = NEVER;
	for (unsigned i = 0; i < REQUESTS_MAX; i++)
		if (peer->request[i] && peer->request[i]->next_ms < at)
			at = peer->request[i]->next_ms;
	return at;
}

void request_fini(struct peer *peer)
{
	for (unsigned i = 0; i < REQUESTS_MAX; i++)
		if (peer->request[i])
			request_free(&peer->request[i]);
	for (unsigned i = 0; i < ANSWERS_MAX; i++)
		free(peer->answer[i].bytes);
}

/* ---- answers ---------------------------------------------------------------------------------------------------- */

static struct answer *answer_find(struct peer *peer, uint32_t req)
{
	for (unsigned i = 0; i < ANSWERS_MAX; i++)
		if (peer->answer[i].set && peer->answer[i].req == req)
			return &peer->answer[i];
	return NULL;
}

static void answer_begin(struct peer *peer, uint32_t req, const struct session *s)
{
	if (!peer_talk(peer))
		return; /* asked again it does it again */
	struct answer *a = &peer->answer[peer->answer_at++ % ANSWERS_MAX];
	free(a->bytes);
	*a = (struct answer){.req = req, .set = true, .session = s->named.idx};
}

void request_reply(struct peer *peer, enum session_class class, uint32_t req, uint8_t op, uint8_t status, const uint8_t *body, size_t len)
{
	uint8_t bytes[BODY_MAX];
	struct message m = {.req = req, .op = op | OP_REPLY, .status = status, .body = body, .len = len};
	size_t n = message_encode(&m, bytes, sizeof bytes);
	if (!n)
		return;
	struct answer *a = answer_find(peer, req);
	if (a && !a->bytes && (a->bytes = malloc(n))) {
		memcpy(a->bytes, bytes, n);
		a->len = (uint32_t)n;
	}
	/* On the session that asked: the other side may not have our newest yet. */
	struct session *s = a ? request_session(peer, a->session) : NULL;
	if (!s)
		s = session_for(peer, class);
	if (s)
		ctrl_out(peer, s, bytes, n);
}

/* ---- dispatch --------------------------------------------------------------------------------------------------- */

static void reply_in(struct peer *peer, struct session *s, const struct message *m)
{
	for (unsigned i = 0; i < REQUESTS_MAX; i++) {
		struct request *r = peer->request[i];
		if (!r || r->req != m->req || (r->op | OP_REPLY) != m->op)
			continue;
		peer->request[i] = NULL;
		r->by = s;
		if (r->done)
			r->done(peer, r, m);
		free(r->bytes);
		free(r);
		peer_schedule(peer);
		return;
	}
	/* A late answer to something given up or answered: harmless. */
}

static void head_in(struct peer *peer, enum session_class class, const struct message *m)
{
	struct body_head b;
	if (!body_head_parse(m->body, m->len, &b)) {
		request_reply(peer, class, m->req, m->op, STATUS_MALFORMED, NULL, 0);
		return;
	}
	struct net *net = net_find(peer->node, b.nwid);
	bool taken = net && config_head(net, peer, b.head, b.head_len);
	request_reply(peer, class, m->req, m->op, taken ? STATUS_OK : STATUS_DENIED, NULL, 0);
}

static void cands_in(struct peer *peer, enum session_class class, const struct message *m)
{
	struct body_cands b;
	bool good = body_cands_parse(m->body, m->len, &b), taken = good && path_cands(peer, &b);
	request_reply(peer, class, m->req, m->op, taken ? STATUS_OK : good ? STATUS_TRY_LATER : STATUS_MALFORMED, NULL, 0);
}

static void join_res_in(struct peer *peer, enum session_class class, const struct message *m)
{
	struct body_join_res b;
	bool good = peer->is_controller && body_join_res_parse(m->body, m->len, &b);
	request_reply(peer, class, m->req, m->op, good ? STATUS_OK : STATUS_DENIED, NULL, 0);
	if (good)
		net_join_pushed(peer, &b);
}

static void unreach_in(struct peer *peer, enum session_class class, const struct message *m)
{
	struct body_unreach b;
	/* Whoever relays for us: of its own legs it may say that. */
	bool good = body_unreach_parse(m->body, m->len, &b) && circuit_unreach(peer, &b);
	request_reply(peer, class, m->req, m->op, good ? STATUS_OK : STATUS_DENIED, NULL, 0);
}

static void restart_in(struct peer *peer, enum session_class class, const struct message *m)
{
	struct body_peer_restart b;
	bool good = peer->is_root && body_peer_restart_parse(m->body, m->len, &b);
	request_reply(peer, class, m->req, m->op, good ? STATUS_OK : STATUS_DENIED, NULL, 0);
	struct peer *other = good ? peer_find(peer->node, b.key_hash) : NULL;
	/* A hint from a root, no order: one new INIT, at most each 2 s, so that a storm of hints costs nobody anything. A retransmission that
	 * waits is brought forward: the other side could not answer the earlier ones. */
	if (!other || (other->restart_told_ms && peer->node->now - other->restart_told_ms < RESTART_TOLD_MS))
		return;
	other->restart_told_ms = peer->node->now;
	for (int c = 0; c < CLASS_COUNT; c++) {
		bool waits = other->init_ms[c] != NEVER;
		if (!waits && !peer_up(other, (enum session_class)c))
			continue;
		if (waits)
			other->init_ms[c] = peer->node->now;
		else
			initiator_again(other, (enum session_class)c);
		peer_schedule(other);
	}
}

/* What a root answers, and of it what a member that relays answers too; false if this node is none or the op is not theirs. */
static bool relay_in(struct peer *peer, struct session *s, const struct message *m, const struct letter *l)
{
	bool root = peer->node->config.root, serves = root || relay_serves(peer, s, l);
	switch (serves ? m->op : 0) {
	case OP_REGISTER:
		if (root)
			relay_register(peer, s, m->req, m->body, m->len, l);
		return root;
	case OP_WHOIS: relay_whois(peer, s, m->req, m->body, m->len); return true;
	case OP_CONNECT: relay_connect(peer, s, m->req, m->body, m->len); return true;
	case OP_ACCEPT: relay_accept(peer, s, m->req, m->body, m->len); return true;
	default: return false;
	}
}

static bool network_in(struct peer *peer, enum session_class class, const struct message *m)
{
	switch (m->op) {
	case OP_NET_OPEN: channel_net_open(peer, m->req, m->body, m->len); return true;
	case OP_NET_CLOSE:
		request_reply(peer, class, m->req, m->op, STATUS_OK, NULL, 0);
		channel_net_close(peer, m->body, m->len);
		return true;
	case OP_CRED: channel_cred_in(peer, m->req, m->body, m->len); return true;
	case OP_HEAD: head_in(peer, class, m); return true;
	case OP_CANDS: cands_in(peer, class, m); return true;
	case OP_SPRAY: spray_request(peer, class, m); return true;
	case OP_GET_BLOB:
		if (peer->node->config.port.request && class == CLASS_CTRL)
			return false;
		config_get_blob(peer, class, m->req, m->body, m->len);
		return true;
	case OP_JOIN_REQ:
		if (peer->node->config.port.request)
			return false;
		join_res_in(peer, class, m);
		return true;
	case OP_SUB:
	case OP_GATHER:
		if (peer->node->config.port.request && class == CLASS_CTRL)
			return false;
		(m->op == OP_SUB ? group_sub : gather_request)(peer, class, m->req, m->body, m->len);
		return true;
	case OP_UNREACH: unreach_in(peer, class, m); return true;
	case OP_PEER_RESTART: restart_in(peer, class, m); return true;
	default: return false;
	}
}

static void request_in(struct peer *peer, struct session *s, struct message *m, const struct letter *l)
{
	struct node *node = peer->node;
	struct answer *a = answer_find(peer, m->req);
	if (a) {
		node_drop(node, DROP_CTRL_DUP);
		if (a->bytes)
			ctrl_out(peer, s, a->bytes, a->len);
		return;
	}
	answer_begin(peer, m->req, s);
	if (m->op == OP_INCOMING && (peer->is_root || circuit_relays(peer, s, l))) {
		circuit_incoming(peer, s, m->req, m->body, m->len);
		return;
	}
	if (federation_request(peer, s->class, m) || relay_in(peer, s, m, l) || network_in(peer, s->class, m))
		return;
	if (node->config.port.request && s->class == CLASS_CTRL) {
		peer->served = true;
		m->exporter = s->exporter;
		report_path(peer);
		/* What came through a relay says nothing of where its sender is. */
		const struct endpoint *physical = l->circuit ? &(struct endpoint){0} : &l->from;
		node->config.port.request(node->config.port.self, &peer->identity, physical, m, node->now);
		return;
	}
	request_reply(peer, s->class, m->req, m->op, STATUS_UNKNOWN_OP, NULL, 0);
}

/* A token bucket kept as the time at which it would be empty. */
static bool ctrl_bucket(struct peer *peer)
{
	uint64_t now = peer->node->now, cost = 1000 / CTRL_PER_SECOND + 1, burst = CTRL_BURST * cost;
	if (peer->ctrl_bucket_ms + burst < now)
		peer->ctrl_bucket_ms = now - burst;
	if (peer->ctrl_bucket_ms + cost > now)
		return false;
	peer->ctrl_bucket_ms += cost;
	return true;
}

void request_ctrl(struct node *node, const struct letter *l)
{
	struct session *s = node_session(node, l->idx);
	struct peer *peer = s ? peer_find(node, s->remote->key_hash) : NULL;
	struct message m;
	if (!peer)
		return;
	if (!message_parse(l->data, l->len, &m)) {
		node_drop(node, DROP_CTRL_FORM);
		return;
	}
	peer->used_ms = node->now;
	if (m.op & OP_REPLY) {
		reply_in(peer, s, &m);
		return;
	}
	if (!ctrl_bucket(peer)) {
		node_drop(node, DROP_CTRL_RATE);
		return;
	}
	request_in(peer, s, &m, l);
}
