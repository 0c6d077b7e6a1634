/* path.c: the ways to a peer: which there are, which answers, which is used.
 *
 * A path is a direct endpoint or one leg through a relay. Everything new is PROBING until something authentic proved it both ways; only a
 * VALID path carries traffic, a direct one before any relayed one. A path that stays silent while we send gets three probes 300 ms apart, then it
 * is STALE and the next best takes over; when none is left a new handshake looks for one. Workers see only the one way published.
 */
#include "node/control.h"

#include <stdlib.h>
#include <string.h>

#include "proto/random.h"

#define POLL_LEG_MS     5000
#define POLL_MS         1000 /* how often footprints are read */
#define POLL_BUSY_MS    250  /* while frames are on their way */
#define SILENCE_MS      1000
#define PROBE_AGAIN_MS  300
#define LOST_MAX        3
#define MOVED_MS        5000 /* how long a new place counts as a move */
#define LAST_ROUND_MS   3500 /* the slowest answer to the last probe of a new path */
#define RTT_HINT_MAX_MS 4000
#define KEEPALIVE_MS    25000
#define IN_USE_MS       (5 * 60 * 1000)
#define CIRCUIT_IDLE_MS 110000
#define PROBES_PER_10S  48
#define SIZING_ROUNDS   3
#define BETTER_US       2000
#define CANDS_AGAIN_MS  35000 /* while relayed: longer than a NAT keeps a bad mapping (30 s) */
#define CANDS_FIRST_MS  5000
#define UDP4_HEADERS    28
#define UDP6_HEADERS    48

static const uint16_t sizes[] = {1352, 1392, 1424, 1444, 1452, 1464, 1472, 4052, 8952, 8972};

/* ---- the table -------------------------------------------------------------------------------------------------- */

static void way_publish(struct peer *peer, const struct way *fresh)
{
	const struct way *old = atomic_load(&peer->remote->way);
	atomic_store(&peer->remote->way, fresh);
	if (old)
		guestbook_retire(&peer->node->book, (void *)old, free);
}

static void path_free(struct peer *peer, int i)
{
	struct circuit *circuit = peer->path[i].circuit;
	peer->path[i] = (struct path){0};
	for (unsigned k = 0; k < PROBES_MAX; k++)
		if (peer->probe[k].path == i)
			peer->probe[k].token = 0;
	if (peer->best == i) {
		peer->best = -1;
		path_choose(peer);
	}
	if (!circuit)
		return;
	/* Out of sight first, retired second: a worker that begins its turn in between must not find it by the way any more. */
	const struct way *way = atomic_load(&peer->remote->way);
	if (way && way->circuit == circuit)
		way_publish(peer, NULL);
	circuit_drop(peer->node, circuit);
}

static int path_slot(struct peer *peer)
{
	int worst = -1;
	for (int i = 0; i < PATHS_MAX; i++) {
		struct path *p = &peer->path[i];
		if (p->state == PATH_FREE)
			return i;
		if (p->state != PATH_VALID && i != peer->best && (worst < 0 || p->heard_ms < peer->path[worst].heard_ms))
			worst = i;
	}
	if (worst >= 0)
		path_free(peer, worst);
	return worst;
}

static int path_new(struct peer *peer)
{
	int i = path_slot(peer);
	if (i >= 0)
		peer->path[i] =
		    (struct path){.state = PATH_PROBING, .datagram = DATAGRAM_BASE, .next_probe_ms = NEVER, .next_size_ms = NEVER};
	return i;
}

int path_direct(struct peer *peer, const struct endpoint *to, uint8_t socket)
{
	for (int i = 0; i < PATHS_MAX; i++)
		if (peer->path[i].state != PATH_FREE && !peer->path[i].circuit && endpoint_equal(&peer->path[i].to, to))
			return i;
	int i = to->family ? path_new(peer) : -1;
	if (i >= 0) {
		peer->path[i].to = *to;
		peer->path[i].socket = socket;
	}
	return i;
}

int path_find_circuit(const struct peer *peer, const struct circuit *c)
{
	for (int i = 0; i < PATHS_MAX; i++)
		if (peer->path[i].state != PATH_FREE && peer->path[i].circuit == c)
			return i;
	return -1;
}

int path_relayed(struct peer *peer, struct circuit *c, struct peer *relay)
{
	int i = path_find_circuit(peer, c);
	if (i < 0 && (i = path_new(peer)) >= 0) {
		peer->path[i].circuit = c;
		peer->path[i].relay = relay;
	}
	return i;
}

int path_of_letter(struct peer *peer, const struct letter *l)
{
	if (!l->circuit)
		return path_direct(peer, &l->from, l->socket);
	struct circuit *c = node_circuit(peer->node, l->circuit);
	/* A circuit belongs to the pair it was made for; whatever else comes through it is no path of this peer. */
	if (!c || c->at_relay || !bytes_equal(c->peer_key_hash, peer->identity.key_hash, KEY_HASH_BYTES))
		return -1;
	struct peer *relay = peer_find(peer->node, c->far->key_hash);
	return relay ? path_relayed(peer, c, relay) : -1;
}

void path_forget_circuit(struct peer *peer, struct circuit *c)
{
	int i = path_find_circuit(peer, c);
	if (i >= 0)
		path_free(peer, i);
	else
		circuit_drop(peer->node, c);
}

void path_fini(struct peer *peer)
{
	way_publish(peer, NULL);
	peer->best = -1;
	for (int i = 0; i < PATHS_MAX; i++)
		if (peer->path[i].circuit) {
			circuit_drop(peer->node, peer->path[i].circuit);
			peer->path[i].circuit = NULL;
		}
}

/* ---- the choice ------------------------------------------------------------------------------------------------- */

/* Is a to be used rather than b? Direct before relayed; of two alike the faster one by a clear margin, so that they do not flap. */
static bool better(const struct path *a, const struct path *b)
{
	if (b->state != PATH_VALID || !a->circuit != !b->circuit)
		return b->state != PATH_VALID || !a->circuit;
	return a->srtt_us && b->srtt_us && a->srtt_us + BETTER_US < b->srtt_us && a->srtt_us + a->srtt_us / 10 < b->srtt_us;
}

void path_choose(struct peer *peer)
{
	int best = peer->best;
	if (best >= 0 && peer->path[best].state != PATH_VALID)
		best = -1;
	for (int i = 0; i < PATHS_MAX; i++)
		if (peer->path[i].state == PATH_VALID && (best < 0 || better(&peer->path[i], &peer->path[best])))
			best = i;
	const struct way *now = atomic_load(&peer->remote->way);
	const struct path *p = best >= 0 ? &peer->path[best] : NULL;
	bool same = now && p && now->circuit == p->circuit && endpoint_equal(&now->to, &p->to) && now->datagram == p->datagram &&
	            now->socket == p->socket;
	if (best != peer->best && best >= 0) {
		peer->path[best].sizing = SIZING_ROUNDS;
		peer->path[best].next_size_ms = peer->node->now;
	}
	peer->best = best;
	event_peer(peer);
	if (same || (!now && !p))
		return;
	struct way *fresh = p ? malloc(sizeof *fresh) : NULL;
	if (p && !fresh)
		return; /* the old way stays: it may still work */
	if (fresh)
		*fresh = (struct way){.to = p->to, .socket = p->socket, .circuit = p->circuit, .datagram = p->datagram};
	way_publish(peer, fresh);
	node_changed(peer->node);
}

/* Capped: a lost answer makes it long, and it decides how patient we are with a dead path. */
void path_rtt_hint(struct peer *peer, int i, uint64_t ms)
{
	struct path *p = &peer->path[i];
	if (p->srtt_us)
		return;
	p->srtt_us = (uint32_t)((ms < RTT_HINT_MAX_MS ? ms : RTT_HINT_MAX_MS) * 1000 + 1);
	p->guessed = true;
}

/* How long to wait for an answer: on a slow path the usual time would give up before any could come. */
static uint64_t patience(const struct path *p, uint64_t least)
{
	uint64_t ms = p->srtt_us / 800;
	return ms > least ? ms : least;
}

void path_valid(struct peer *peer, int i)
{
	struct path *p = &peer->path[i];
	p->heard_ms = peer->node->now;
	p->lost = 0;
	p->rounds = 0;
	p->next_probe_ms = NEVER;
	if (p->state != PATH_VALID) {
		p->state = PATH_VALID;
		if (!p->circuit && !peer->is_root)
			peer_remember_endpoint(peer, &p->to);
	}
	path_choose(peer);
}

/* ---- probes ----------------------------------------------------------------------------------------------------- */

static bool probe_allowed(struct peer *peer)
{
	uint64_t now = peer->node->now;
	if (now - peer->probes_since_ms >= 10000) {
		peer->probes_since_ms = now;
		peer->probes_10s = 0;
	}
	return peer->probes_10s < PROBES_PER_10S && ++peer->probes_10s;
}

void path_probe(struct peer *peer, struct session *s, int i, uint16_t size)
{
	struct node *node = peer->node;
	struct probe *probe = &peer->probe[peer->probe_at++ % PROBES_MAX];
	uint8_t plain[DATAGRAM_MAX] = {0};
	if (size < PROBE_DATAGRAM_MIN)
		size = PROBE_DATAGRAM_MIN;
	*probe = (struct probe){.sent_us = node->now_us, .path = (uint8_t)i, .size = size};
	random_bytes(&probe->token, sizeof probe->token);
	struct writer w = writer_over(plain, sizeof plain);
	put_u8(&w, INNER_PROBE);
	put_u8(&w, 0);
	put_le16(&w, 0);
	put_le64(&w, probe->token);
	put_le32(&w, (uint32_t)node->now_us);
	put_le16(&w, 0);
	put_le16(&w, (uint16_t)i);
	node_seal(node, s, &peer->path[i], plain, (size_t)size - DATA_HEADER - DATA_TAG);
}

static bool valid_relayed(const struct peer *peer)
{
	for (int i = 0; i < PATHS_MAX; i++)
		if (peer->path[i].state == PATH_VALID && peer->path[i].circuit)
			return true;
	return false;
}

static bool moved_from(const struct peer *peer, int from)
{
	for (int i = 0; i < PATHS_MAX; i++) {
		const struct path *p = &peer->path[i];
		if (i != from && p->state == PATH_VALID && !p->circuit && p->roamed_ms && peer->node->now - p->roamed_ms < MOVED_MS)
			return true;
	}
	return false;
}

/* One more probe on a path whose answer we wait for; after the last one it is given up or STALE. */
static void probe_again(struct peer *peer, int i)
{
	struct path *p = &peer->path[i];
	struct session *s = peer_any_session(peer);
	p->next_probe_ms = NEVER;
	if (!s)
		return;
	if (p->state == PATH_PROBING) {
		if (p->rounds >= 3) {
			path_free(peer, i);
			return;
		}
		p->next_probe_ms = peer->node->now + (p->rounds == 0 ? 250 : p->rounds == 1 ? 750 : LAST_ROUND_MS);
		p->rounds++;
		if (probe_allowed(peer))
			path_probe(peer, s, i, 0);
		return;
	}
	/* A peer that spoke from elsewhere and answers there has moved when the old place misses one question; otherwise three. */
	if (p->lost >= (i == peer->best && moved_from(peer, i) ? 1 : LOST_MAX)) {
		p->state = PATH_STALE;
		p->lost = 0;
		path_choose(peer);
		if (peer->best < 0)
			initiator_again(peer, s->class);
		return;
	}
	/* The second in a row: have a way through a root ready by the time this one is given up. */
	if (p->lost++ == 1 && i == peer->best && !p->circuit && !valid_relayed(peer))
		initiator_relayed(peer, s->class);
	p->next_probe_ms = peer->node->now + patience(p, PROBE_AGAIN_MS);
	path_probe(peer, s, i, 0);
}

static void probe_start(struct peer *peer, int i)
{
	struct path *p = &peer->path[i];
	if (p->next_probe_ms == NEVER)
		p->next_probe_ms = peer->node->now;
}

void path_probe_in(struct node *node, const struct letter *l)
{
	struct session *s = node_session(node, l->idx);
	struct peer *peer = s ? peer_find(node, s->remote->key_hash) : NULL;
	struct reader r = reader_over(l->data, l->len);
	uint64_t token = get_le64(&r);
	uint32_t t_us = get_le32(&r);
	if (!peer || r.bad || l->size < PROBE_DATAGRAM_MIN) {
		node_drop(node, DROP_MALFORMED);
		return;
	}
	int i = path_of_letter(peer, l);
	struct path back = {.to = l->from, .socket = l->socket, .circuit = node_circuit(node, l->circuit)};
	uint8_t plain[INNER_HEADER + PROBE_ACK_BODY] = {INNER_PROBE_ACK};
	struct writer w = writer_over(plain + INNER_HEADER, PROBE_ACK_BODY);
	put_le64(&w, token);
	put_le32(&w, t_us);
	put_le32(&w, 0);
	put_le16(&w, (uint16_t)(l->size > UINT16_MAX ? UINT16_MAX : l->size));
	put_le16(&w, 0);
	put_endpoint(&w, l->circuit ? &(struct endpoint){0} : &l->from);
	if (!l->circuit || back.circuit)
		node_seal(node, s, &back, plain, sizeof plain);
	if (i >= 0 && peer->path[i].state != PATH_VALID) {
		/* Someone authentic is there: ask back at once, he has opened his side. */
		peer->path[i].rounds = 0;
		peer->path[i].state = PATH_PROBING;
		peer->path[i].next_probe_ms = node->now;
		path_tick(peer, node->now);
	}
	peer_schedule(peer);
}

static bool came_by(const struct node *node, const struct path *p, const struct letter *l)
{
	if (p->circuit)
		return l->circuit && node_circuit((struct node *)node, l->circuit) == p->circuit;
	return !l->circuit && endpoint_equal(&p->to, &l->from);
}

void path_probe_ack(struct node *node, const struct letter *l)
{
	struct session *s = node_session(node, l->idx);
	struct peer *peer = s ? peer_find(node, s->remote->key_hash) : NULL;
	struct reader r = reader_over(l->data, l->len);
	uint64_t token = get_le64(&r);
	struct probe *probe = NULL;
	for (unsigned k = 0; peer && token && k < PROBES_MAX; k++)
		if (peer->probe[k].token == token)
			probe = &peer->probe[k];
	if (!probe || r.bad || !came_by(node, &peer->path[probe->path], l)) {
		node_drop(node, DROP_PROBE);
		return;
	}
	int i = probe->path;
	struct path *p = &peer->path[i];
	probe->token = 0;
	uint64_t now_us = l->time_us > probe->sent_us ? l->time_us : probe->sent_us + 1;
	uint32_t rtt = (uint32_t)(now_us - probe->sent_us);
	if (probe->size <= DATAGRAM_BASE) { /* padded ones measure the link's rate too */
		p->srtt_us = p->srtt_us && !p->guessed ? (p->srtt_us * 7 + rtt) / 8 : rtt;
		p->guessed = false;
	}
	if (probe->size > p->datagram)
		p->datagram = probe->size;
	path_valid(peer, i);
	ping_answered(peer, i, rtt);
	initiator_follow(peer, s->class); /* the first answer under a session says that it stands */
	peer_schedule(peer);
}

/* Whom a ROAM letter is about: a session's peer; at a relay, named by no session, the node behind a leg. */
static struct peer *roamer(struct node *node, const struct letter *l, int *ret_path)
{
	struct session *s = node_session(node, l->idx);
	struct circuit *c = node_circuit(node, l->circuit);
	if (s) {
		struct peer *peer = peer_find(node, s->remote->key_hash);
		*ret_path = peer ? path_of_letter(peer, l) : -1;
		return peer;
	}
	struct peer *peer = !l->idx && c && c->at_relay ? peer_find(node, c->far->key_hash) : NULL;
	*ret_path = peer ? path_direct(peer, &l->from, l->socket) : -1;
	return peer;
}

void path_roam(struct node *node, const struct letter *l)
{
	int i = -1;
	struct peer *peer = roamer(node, l, &i);
	if (!peer || i < 0)
		return;
	if (peer->path[i].state != PATH_VALID) {
		peer->path[i].state = PATH_PROBING;
		peer->path[i].roamed_ms = node->now;
		probe_start(peer, i);
	}
	/* The old one is asked too: it moves only if the new one answers and the old one does not (RFC 9000, 9.3 in spirit). */
	if (peer->best >= 0 && peer->best != i)
		probe_start(peer, peer->best);
	path_tick(peer, node->now);
	peer_schedule(peer);
}

/* ---- time ------------------------------------------------------------------------------------------------------- */

static void size_tick(struct peer *peer, uint64_t now)
{
	struct session *s = peer_any_session(peer);
	struct path *p = peer->best >= 0 ? &peer->path[peer->best] : NULL;
	if (!p || !s || !p->sizing || p->next_size_ms > now)
		return;
	p->sizing--;
	p->next_size_ms = p->sizing ? now + (p->sizing == SIZING_ROUNDS - 1 ? 250 : 1000) : NEVER;
	uint16_t link = 1500;
	for (unsigned i = 0; i < peer->node->n_hosts; i++)
		if (peer->node->host_mtu[i] > link)
			link = peer->node->host_mtu[i];
	unsigned headers = p->to.family == 6 ? UDP6_HEADERS : UDP4_HEADERS;
	unsigned most = link - headers - (p->circuit ? LEG_HEADER : 0);
	for (unsigned i = 0; i < sizeof sizes / sizeof *sizes && sizes[i] <= most; i++)
		if (sizes[i] > p->datagram)
			path_probe(peer, s, peer->best, sizes[i]);
}

/* Sent and heard nothing since: ask; still nothing and no path left: shake hands anew. */
static void silence_tick(struct peer *peer, uint64_t now)
{
	struct session *s = peer_any_session(peer);
	if (!s)
		return;
	uint64_t sent = session_last_tx(s), heard = session_last_rx(s);
	uint64_t base = heard > s->born_ms ? heard : s->born_ms;
	uint64_t silence = peer->best >= 0 ? patience(&peer->path[peer->best], SILENCE_MS) : SILENCE_MS;
	bool silent = sent > base && now - base >= silence;
	if (silent && peer->best >= 0)
		probe_start(peer, peer->best);
	if (peer->best < 0 && (silent || peer->want[s->class]) && (peer->is_root || peer->is_controller || now - sent < 10000))
		initiator_again(peer, s->class);
	bool relayed = peer->best >= 0 && peer->path[peer->best].circuit;
	if (!relayed)
		peer->relayed_ms = 0;
	else if (!peer->relayed_ms)
		peer->relayed_ms = now;
	uint64_t pause = now - peer->relayed_ms < CANDS_AGAIN_MS ? CANDS_FIRST_MS : CANDS_AGAIN_MS;
	if (relayed && sent + IN_USE_MS > now && now - peer->relayed_ms >= CANDS_FIRST_MS && now - peer->cands_ms >= pause)
		path_cands_send(peer);
	uint64_t used = peer->used_ms, frames = session_last_frame(s);
	used = frames > used ? frames : used;
	bool in_use = peer->is_root || peer->is_controller || now - used < IN_USE_MS;
	if (in_use && peer->best >= 0 && now - base >= KEEPALIVE_MS && now - peer->keepalive_ms >= KEEPALIVE_MS) {
		peer->keepalive_ms = now;
		probe_start(peer, peer->best);
	}
}

void path_tick(struct peer *peer, uint64_t now)
{
	silence_tick(peer, now);
	for (int i = 0; i < PATHS_MAX; i++) {
		struct path *p = &peer->path[i];
		if (p->state == PATH_FREE)
			continue;
		uint64_t used = p->circuit ? atomic_load(&p->circuit->used_ms) : 0;
		uint64_t since = p->circuit && p->circuit->made_ms > used ? p->circuit->made_ms : used;
		if (p->circuit && i != peer->best && since + CIRCUIT_IDLE_MS < now) /* a worker's stamp may be ahead */
			path_free(peer, i);
		else if (p->next_probe_ms <= now)
			probe_again(peer, i);
	}
	size_tick(peer, now);
}

/* When to look at footprints again. Frames leave without control's knowledge, so a session that carries them is looked at often. On a control
 * session nothing is sent but by us: when all of it was answered the next thing to do is the keepalive. A leg alone may only become idle. */
static uint64_t poll_pause(const struct peer *peer, bool legs)
{
	const struct session *data = peer->current[CLASS_DATA], *ctrl = peer->current[CLASS_CTRL];
	uint64_t now = peer->node->now, most = legs ? POLL_LEG_MS : KEEPALIVE_MS;
	if (data)
		return session_last_frame(data) + 5000 > now ? POLL_BUSY_MS : POLL_MS;
	if (!ctrl)
		return most;
	if (peer->best < 0 || session_last_tx(ctrl) > session_last_rx(ctrl))
		return POLL_MS;
	uint64_t idle = now - session_last_rx(ctrl), pause = idle + POLL_MS < KEEPALIVE_MS ? KEEPALIVE_MS - idle : POLL_MS;
	return pause < most ? pause : most;
}

uint64_t path_deadline(const struct peer *peer)
{
	uint64_t at = NEVER;
	bool any = false;
	for (int i = 0; i < PATHS_MAX; i++) {
		const struct path *p = &peer->path[i];
		if (p->state == PATH_FREE)
			continue;
		any = any || p->circuit;
		if (p->next_probe_ms < at)
			at = p->next_probe_ms;
	}
	bool up = peer_up(peer, CLASS_DATA) || peer_up(peer, CLASS_CTRL); /* else size_tick() does nothing and would be due for ever */
	if (up && peer->best >= 0 && peer->path[peer->best].sizing && peer->path[peer->best].next_size_ms < at)
		at = peer->path[peer->best].next_size_ms;
	if (any || peer->current[CLASS_DATA] || peer->current[CLASS_CTRL]) {
		/* A poll that is set already is not put off by what else happens. */
		uint64_t now = peer->node->now, poll = now + poll_pause(peer, any);
		if (peer->timer.slot && peer->timer.at > now && peer->timer.at < poll)
			poll = peer->timer.at;
		at = poll < at ? poll : at;
	}
	return at;
}
