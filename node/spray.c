/* spray.c: many ports at once, where one cannot be told.
 *
 * A hard NAT (RFC 4787, address- and port-dependent mapping) takes another port for each destination, so nobody can be told which; and a NAT
 * that filters by port lets in only what comes from where its host wrote to. Between the two plain probes meet never. So the hard side
 * opens 256 sockets and writes once from each to the one endpoint of the easy side: 256 ports of its NAT lead inwards for whoever comes
 * from there. The easy side writes to ports of that NAT by chance, after a few that might follow from those roots saw: after n of them
 * one has met with probability 1-(1-256/64512)^n, 63 % at 256 and 98 % at 1024 (the birthday paradox).
 *
 * What comes to a sprayed socket with the index of a session of ours is no stranger's, who could not know it; that it is authentic shows
 * when a worker opens it. Its socket is adopted (udp.h), and a path by it is asked like any new one.
 *
 * The easy side sends where the other one says. That must be an address it named among its candidates, and one that our root saw
 * it call from or an authentic packet came from: so nobody can turn us on a third. 1024 datagrams an hour for each peer.
 */
#include "node/control.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proto/endpoint.h"
#include "proto/random.h"
#include "proto/seal.h"

#define RELAYED_MS      8000
#define BUSY_MS         3000 /* the longest pause within */
#define BUSY_SECONDS    5
#define PAUSE_MS        (60 * 60 * 1000)
#define AFTER_MS        (60 * 1000) /* one that succeeded */
#define BUSY_AGAIN_MS   15000       /* the other side has another one under way */
#define SEEN_AGAIN_MS   2000        /* a root is to tell it where we are */
#define TRIES_MAX       8
#define ASKING_MS       15000
#define TICK_MS         40
#define OPENED_PER_TICK 16 /* 400/s: before the other side has done much */
#define KNOCKS_PER_TICK 4  /* 100/s */
#define KNOCKS_MAX      1024
#define KNOCKS_LEAST    256 /* fewer are not worth it */
#define KNOCK_AFTER_MS  300 /* the hard side opens first */
#define LISTEN_MS       (KNOCK_AFTER_MS + KNOCKS_MAX * TICK_MS / KNOCKS_PER_TICK + 2000)
#define GUESSES         16
#define STEP_MAX        32
#define ADOPTED_MAX     2 /* in one spray: junk of somebody on the way costs no more places */
#define AGREED_PER_HOUR 64
#define FIRST_PORT      1024

static bool public4(const struct node *node, const struct endpoint *e)
{
	return e->family == 4 && endpoint_global(e) && !path_barred(node, e);
}

void spray_cands(struct peer *peer, const struct body_cands *c)
{
	struct peer_spray *s = &peer->spray;
	s->n_addresses = 0;
	/* The last are those that roots see. */
	for (unsigned i = c->n; i-- > 0 && s->n_addresses < SPRAY_ADDRESSES;)
		if (public4(peer->node, &c->endpoints[i]))
			memcpy(s->address[s->n_addresses++], c->endpoints[i].ip, 4);
}

void spray_seen(struct peer *peer, const struct endpoint *seen)
{
	if (seen->family != 4)
		return;
	peer->spray.seen_set = true;
	memcpy(peer->spray.seen, seen->ip, 4);
}

static bool named(const struct peer *peer, const struct endpoint *e)
{
	for (unsigned i = 0; i < peer->spray.n_addresses; i++)
		if (!memcmp(peer->spray.address[i], e->ip, 4))
			return public4(peer->node, e) && e->port;
	return false;
}

/* Somebody else than the peer itself says that it is there: a root, or its own packets. */
static bool vouched(const struct peer *peer, const struct endpoint *e)
{
	if (peer->spray.seen_set && !memcmp(peer->spray.seen, e->ip, 4))
		return true;
	for (int i = 0; i < PATHS_MAX; i++) {
		const struct path *p = &peer->path[i];
		if ((p->state == PATH_VALID || p->state == PATH_STALE) && !p->circuit && p->to.family == 4 && !memcmp(p->to.ip, e->ip, 4))
			return true;
	}
	return false;
}

static bool direct(const struct peer *peer)
{
	return peer->best >= 0 && path_kind(&peer->path[peer->best]) == PATH_DIRECT;
}

/* Which root sees us, by UDP over IPv4 and at a public address; NULL = none. Its path's socket is the one that is seen. */
static struct peer *sight(const struct node *node, struct endpoint *ret_seen, uint8_t *ret_socket)
{
	for (unsigned i = 0; i < node->n_roots; i++) {
		struct peer *root = node->root[i];
		const struct path *p = root->best >= 0 ? &root->path[root->best] : NULL;
		if (!p || p->circuit || p->to.family != 4 || !peer_up(root, CLASS_CTRL) || !public4(node, &root->sight.seen[0]))
			continue;
		*ret_seen = root->sight.seen[0];
		*ret_socket = p->socket;
		return root;
	}
	return NULL;
}

static enum nat_mapping own_nat(struct node *node)
{
	struct netcheck_view check;
	node_netcheck(node, &check);
	return check.family[0].mapping;
}

/* ---- both sides ------------------------------------------------------------------------------------------------- */

static void tick(struct timer *, uint64_t now);

static void finish(struct node *node, struct peer *peer, uint64_t pause_ms)
{
	struct spray *s = &node->spray;
	if (s->state == SPRAY_OPENING || s->state == SPRAY_KNOCKING)
		log_info("peer %010llx: %u ports tried from %s, %s", peer ? (unsigned long long)peer->identity.address : 0, s->sent,
		         s->state == SPRAY_OPENING ? "here" : "there", peer && direct(peer) ? "direct now" : "none led through");
	if (s->state == SPRAY_OPENING)
		udp_spray_close(node->udp);
	s->state = SPRAY_IDLE;
	heap_cancel(&node->heap, &s->timer);
	if (peer)
		peer->spray.next_ms = node->now + pause_ms;
}

static void begin(struct peer *peer, enum spray_state state, uint64_t tick_ms, uint64_t end_ms)
{
	struct spray *s = &peer->node->spray;
	memcpy(s->key_hash, peer->identity.key_hash, KEY_HASH_BYTES);
	s->state = state;
	s->sent = s->adopted = 0;
	s->end_ms = end_ms;
	s->timer.fire = tick;
	if (!s->timer.slot)
		s->timer.at = NEVER;
	if (heap_set(&peer->node->heap, &s->timer, tick_ms))
		finish(peer->node, peer, PAUSE_MS);
}

static struct peer *other(struct node *node)
{
	return node->spray.state == SPRAY_IDLE ? NULL : peer_find(node, node->spray.key_hash);
}

/* ---- the hard side ---------------------------------------------------------------------------------------------- */

static void in_use_each(struct peer *peer, void *self)
{
	uint32_t *bits = self;
	for (int i = 0; i < PATHS_MAX; i++)
		if (peer->path[i].state != PATH_FREE && peer->path[i].socket >= UDP_EXTRA_FIRST)
			*bits |= 1u << (peer->path[i].socket - UDP_EXTRA_FIRST);
}

static bool expected(const void *self, uint32_t first, size_t len, const struct endpoint *from)
{
	const struct peer *peer = self;
	uint32_t idx = first & IDX_MASK;
	const size_t ack = DATA_OVERHEAD + PROBE_ACK_BODY;
	if ((len != PROBE_DATAGRAM_MIN && len != ack) || memcmp(from->ip, peer->node->spray.to.ip, 4) != 0)
		return false;
	for (int c = 0; c < CLASS_COUNT; c++)
		for (int k = 0; k < 4; k++) {
			const struct session *s = k < 2 ? peer->next[c][k] : k == 2 ? peer->current[c] : peer->previous[c];
			if (s && s->named.idx == idx)
				return true;
		}
	return false;
}

struct closing {
	int fd;
};

static void closing_free(void *p)
{
	struct closing *c = p;
	close(c->fd);
	free(c);
}

static void listen_some(struct node *node, struct peer *peer)
{
	struct spray *s = &node->spray;
	while (s->adopted < ADOPTED_MAX) {
		int old = -1, socket = udp_spray_adopt(node->udp, expected, peer, s->in_use, &old);
		if (socket < 0)
			return;
		struct closing *c = old >= 0 ? malloc(sizeof *c) : NULL;
		if (c) { /* else a descriptor is lost, and no worker reads another one's */
			c->fd = old;
			guestbook_retire(&node->book, c, closing_free);
		}
		s->adopted++;
		s->in_use |= 1u << (socket - UDP_EXTRA_FIRST);
		node->ports_generation++; /* workers poll other descriptors */
		node->ports_dirty = true;
		node_view_changed(node);
		int i = path_direct(peer, &s->to, (uint8_t)socket);
		struct session *session = peer_any_session(peer);
		if (i < 0 || !session)
			continue;
		path_ask_new(peer, i, 250);
		path_probe(peer, session, i, 0); /* at once, whatever others of this peer cost */
		peer_schedule(peer);
	}
}

/* A question that makes nothing of where it comes from: it is there to open our NAT. */
static void open_one(struct node *node, struct session *session, unsigned i)
{
	uint8_t bytes[PROBE_DATAGRAM_MIN] = {0};
	uint64_t pn;
	if (node->now >= session->reject_ms || !session_take(session, 0, 1, &pn))
		return;
	struct writer w = writer_over(bytes + DATA_HEADER, INNER_HEADER + PROBE_BODY);
	put_u8(&w, INNER_PROBE);
	put_u8(&w, 0);
	put_le16(&w, 0);
	put_le64(&w, (uint64_t)random_u32() << 32 | random_u32());
	put_le32(&w, (uint32_t)node->now_us);
	put_le16(&w, PROBE_STANDBY | PROBE_MEASURE);
	put_le16(&w, 0);
	struct packet p = {.data = bytes, .len = sizeof bytes - DATA_TAG, .room = sizeof bytes};
	seal_batch(&session->tx, session->peer_idx, pn, &p, 1);
	(void)udp_spray_send(node->udp, i, &node->spray.to, bytes, p.len);
}

static void open_some(struct node *node, struct peer *peer)
{
	struct spray *s = &node->spray;
	struct session *session = peer_any_session(peer);
	for (unsigned i = 0; i < OPENED_PER_TICK && s->sent < s->n && session; i++)
		open_one(node, session, s->sent++);
}

/* The other side agreed. */
static void open_all(struct peer *peer, const struct body_spray *b)
{
	struct node *node = peer->node;
	struct spray *s = &node->spray;
	int n = b->side == SPRAY_EASY && named(peer, &b->endpoint) ? udp_spray_open(node->udp, UDP_SPRAY_MAX) : -1;
	if (n < 1) {
		finish(node, peer, PAUSE_MS);
		return;
	}
	s->n = (unsigned)n;
	s->to = b->endpoint;
	begin(peer, SPRAY_OPENING, node->now, node->now + LISTEN_MS);
}

static void asked(struct peer *peer, const struct request *r, const struct message *reply)
{
	struct node *node = peer->node;
	struct spray *s = &node->spray;
	struct body_spray b;
	if (s->state != SPRAY_ASKING || r->context != s->start || !bytes_equal(s->key_hash, peer->identity.key_hash, KEY_HASH_BYTES))
		return;
	unsigned status = reply ? reply->status : STATUS_UNREACH;
	log_debug("peer %010llx answers a spray with %u", (unsigned long long)peer->identity.address, status);
	if (status == STATUS_OK && body_spray_parse(reply->body, reply->len, &b)) {
		peer->spray.tries = 0;
		open_all(peer, &b);
	} else if ((status == STATUS_TRY_LATER || status == STATUS_NOT_FOUND) && ++peer->spray.tries < TRIES_MAX) {
		finish(node, peer, status == STATUS_NOT_FOUND ? SEEN_AGAIN_MS : BUSY_AGAIN_MS);
		struct endpoint seen;
		uint8_t socket;
		struct peer *root = status == STATUS_NOT_FOUND ? sight(node, &seen, &socket) : NULL;
		if (root) /* a call by a root tells where it sees the caller */
			(void)circuit_call(peer, peer_up(peer, CLASS_DATA) ? CLASS_DATA : CLASS_CTRL, root);
	} else {
		peer->spray.tries = 0;
		finish(node, peer, PAUSE_MS);
	}
}

static void ask(struct peer *peer, const struct peer *root, const struct endpoint *seen)
{
	struct node *node = peer->node;
	struct spray *s = &node->spray;
	struct body_spray b = {
	    .side = SPRAY_HARD, .start = ++s->start, .count = UDP_SPRAY_MAX, .rate = OPENED_PER_TICK * 1000 / TICK_MS, .endpoint = *seen};
	const struct endpoint *later = &root->sight.alt[0];
	int step = (int)later->port - seen->port;
	if (later->family == 4 && !memcmp(later->ip, seen->ip, 4) && step && step >= -STEP_MAX && step <= STEP_MAX) {
		b.endpoint.port = later->port;
		b.step = (uint16_t)step;
	}
	uint8_t body[BODY_MAX];
	size_t len = body_spray_encode(&b, body, sizeof body);
	begin(peer, SPRAY_ASKING, node->now + ASKING_MS, node->now + ASKING_MS);
	if (!len || !request_send(peer, peer_up(peer, CLASS_DATA) ? CLASS_DATA : CLASS_CTRL, OP_SPRAY, body, len, asked, s->start, NULL))
		finish(node, peer, BUSY_AGAIN_MS);
}

/* Has the pair more to say to each other than what all of a network hear? */
static bool busy(struct peer_spray *s, uint64_t frames_ms, uint64_t now)
{
	if (frames_ms + BUSY_MS < now || frames_ms > s->busy_ms + BUSY_MS)
		s->busy = 0;
	if (frames_ms + BUSY_MS < now || frames_ms < s->busy_ms + 1000)
		return s->busy >= BUSY_SECONDS;
	s->busy_ms = frames_ms;
	if (s->busy < BUSY_SECONDS)
		s->busy++;
	return s->busy >= BUSY_SECONDS;
}

void spray_consider(struct peer *peer, uint64_t frames_ms)
{
	struct node *node = peer->node;
	struct spray *s = &node->spray;
	uint64_t now = node->now;
	struct endpoint seen;
	uint8_t socket;
	if (!peer->relayed_ms || !busy(&peer->spray, frames_ms, now) || now - peer->relayed_ms < RELAYED_MS || node->config.no_spray ||
	    s->state != SPRAY_IDLE || now < peer->spray.next_ms || peer->nat == NAT_DIFFERENT || !peer->spray.n_addresses)
		return;
	struct peer *root = own_nat(node) == NAT_DIFFERENT ? sight(node, &seen, &socket) : NULL;
	if (!root)
		return;
	s->in_use = 0;
	if (udp_extras(node->udp) == UDP_EXTRA_MAX)
		peers_each(node, in_use_each, &s->in_use);
	if (s->in_use == (1u << UDP_EXTRA_MAX) - 1)
		peer->spray.next_ms = now + PAUSE_MS;
	else
		ask(peer, root, &seen);
}

/* ---- the easy side ---------------------------------------------------------------------------------------------- */

static void knock_some(struct node *node, struct peer *peer)
{
	struct spray *s = &node->spray;
	struct session *session = peer_any_session(peer);
	struct path by = {.to = s->to, .socket = s->socket};
	for (unsigned i = 0; i < KNOCKS_PER_TICK && s->sent < s->n && session; i++) {
		uint16_t guess = (uint16_t)(s->to.port + s->step * (s->sent + 1));
		bool guessed = s->step && s->sent < GUESSES && guess >= FIRST_PORT;
		by.to.port = guessed ? guess : (uint16_t)(FIRST_PORT + random_u32() % (65536 - FIRST_PORT));
		probe_send(peer, session, &by, random_u32(), PROBE_STANDBY, PROBE_DATAGRAM_MIN);
		s->sent++;
		peer->spray.knocks++;
	}
}

/* How many may still be sent to it in this hour. */
static unsigned knocks_left(struct peer *peer)
{
	struct peer_spray *s = &peer->spray;
	if (!s->knocks_ms || peer->node->now - s->knocks_ms >= PAUSE_MS) {
		s->knocks_ms = peer->node->now;
		s->knocks = 0;
	}
	return s->knocks < KNOCKS_MAX ? KNOCKS_MAX - s->knocks : 0;
}

static bool may_agree(struct node *node)
{
	struct spray *s = &node->spray;
	if (!s->agreed_ms || node->now - s->agreed_ms >= PAUSE_MS) {
		s->agreed_ms = node->now;
		s->agreed = 0;
	}
	return s->agreed < AGREED_PER_HOUR;
}

static enum status judge(struct peer *peer, const struct body_spray *b, struct endpoint *ret_seen, uint8_t *ret_socket)
{
	struct node *node = peer->node;
	if (b->side != SPRAY_HARD)
		return STATUS_MALFORMED;
	enum nat_mapping nat = own_nat(node);
	if (node->config.no_spray || !sight(node, ret_seen, ret_socket) || nat == NAT_DIFFERENT || !named(peer, &b->endpoint) ||
	    knocks_left(peer) < KNOCKS_LEAST || !may_agree(node))
		return STATUS_DENIED;
	if (node->spray.state != SPRAY_IDLE || nat == NAT_UNKNOWN || direct(peer))
		return STATUS_TRY_LATER;
	return vouched(peer, &b->endpoint) ? STATUS_OK : STATUS_NOT_FOUND;
}

void spray_request(struct peer *peer, enum session_class class, const struct message *m)
{
	struct node *node = peer->node;
	struct spray *s = &node->spray;
	struct body_spray b, own = {.side = SPRAY_EASY, .rate = KNOCKS_PER_TICK * 1000 / TICK_MS};
	uint8_t socket, body[BODY_MAX];
	size_t len = 0;
	enum status status = STATUS_MALFORMED;
	if (body_spray_parse(m->body, m->len, &b))
		status = judge(peer, &b, &own.endpoint, &socket);
	if (status == STATUS_OK) {
		s->n = knocks_left(peer);
		s->to = b.endpoint;
		s->step = b.step;
		s->socket = socket;
		s->agreed++;
		own.start = b.start;
		own.count = (uint16_t)s->n;
		len = body_spray_encode(&own, body, sizeof body);
		uint64_t end = node->now + LISTEN_MS;
		begin(peer, SPRAY_KNOCKING, node->now + KNOCK_AFTER_MS, end);
	}
	log_debug("peer %010llx wants a spray: %u", (unsigned long long)peer->identity.address, (unsigned)status);
	request_reply(peer, class, m->req, m->op, (uint8_t)status, body, len);
}

/* ---- time ------------------------------------------------------------------------------------------------------- */

static void tick(struct timer *t, uint64_t now)
{
	struct node *node = (struct node *)((char *)t - offsetof(struct node, spray.timer));
	struct spray *s = &node->spray;
	struct peer *peer = other(node);
	if (!peer || direct(peer)) {
		finish(node, peer, AFTER_MS);
		return;
	}
	if (now >= s->end_ms) {
		finish(node, peer, PAUSE_MS);
		return;
	}
	if (s->state == SPRAY_OPENING) {
		open_some(node, peer);
		listen_some(node, peer);
	} else if (s->state == SPRAY_KNOCKING) {
		knock_some(node, peer);
	}
	if (heap_set(&node->heap, t, now + TICK_MS))
		finish(node, peer, PAUSE_MS);
}
