/* outbound.c: from the TAP queue to the wire, steps in file order.
 *
 * 1 tap_read   up to 64 frames of each port
 * 2 route      source MAC, then who gets it: the derived MAC of a member, a learned MAC behind a bridge, or many. A member that
 *              cannot be sent to now is left to control by a letter, one per frame.
 * 3 encap      each (frame, member) becomes 1..16 plaintexts in slots of the output slab
 * 4 flush      when the slab is full or all frames are routed: packets of one session are brought together, take their numbers
 *              at once, are sealed in place, get a leg header where the way is a circuit, and leave in one udp_send
 *
 * A broadcast to a thousand members is just more slices of 64; nothing is kept for later and nothing is allocated. Order within
 * one session is the order of the frames.
 */
#include <assert.h>
#include <string.h>

#include "node/encap.h"
#include "node/fdb.h"
#include "node/udp.h"
#include "node/worker_parts.h"
#include "proto/leg.h"
#include "tap/tap.h"

#define UNKNOWN_STEP_MS  20 /* 50 per second */
#define UNKNOWN_BURST_MS 1000

/* One frame on its way, and those it could not be sent to. */
struct errand {
	struct port *port;
	const struct roster *roster;
	const uint8_t *frame;
	size_t len;
	bool missing;
	uint8_t slots[sizeof(((struct letter *)0)->slots)];
};

/* ---- 4 flush ---------------------------------------------------------------------------------------------------- */

/* Told each 65 536 numbers, not once: a letter may find the ring full. */
static void rekey_check(struct worker *w, const struct session *s, uint64_t first, unsigned k)
{
	uint64_t after = first + k;
	if (after < LANE_REKEY || first >> 16 == after >> 16)
		return;
	struct letter *l = worker_letter(w, LETTER_REKEY);
	if (!l)
		return;
	l->idx = s->named.idx;
	worker_post(w, l);
}

static void leg_front(struct worker *w, struct packet *p)
{
	struct circuit *c = p->circuit;
	if (!c)
		return;
	p->data -= LEG_HEADER;
	p->room += LEG_HEADER;
	leg_seal(&c->tx, atomic_load(&c->tx_idx), atomic_fetch_add_explicit(&c->tx_seq, 1, memory_order_relaxed), p->data, p->len);
	p->len += LEG_HEADER;
	relaxed_stamp(&c->used_ms, w->now_ms);
}

static void seal_run_of(struct worker *w, struct packet *run, unsigned n)
{
	struct session *s = run->session;
	unsigned lane = session_lane_of(s, (int)w->number);
	uint64_t first, bytes = 0;
	if (!session_take(s, lane, n, &first)) {
		for (unsigned i = 0; i < n; i++)
			run[i].verdict = DROP_LANE_FULL;
		return;
	}
	seal_batch(&s->tx, s->peer_idx | lane, first, run, n);
	for (unsigned i = 0; i < n; i++) {
		bytes += run[i].len;
		leg_front(w, &run[i]);
	}
	struct footprint *foot = &s->foot[w->number];
	relaxed_add(&foot->tx_bytes, bytes);
	relaxed_stamp(&foot->tx_ms, w->now_ms);
	rekey_check(w, s, first, n);
}

/* Moves the packets of out[]'s sessions together, order within each kept. */
static void gather(struct packet *to, struct packet *from, unsigned n)
{
	unsigned done = 0;
	for (unsigned i = 0; i < n; i++) {
		void *session = from[i].session;
		for (unsigned j = i; session && j < n; j++)
			if (from[j].session == session) {
				to[done++] = from[j];
				from[j].session = NULL;
			}
	}
	assert(done == n);
}

static void flush(struct worker *w)
{
	unsigned n = w->n_out;
	gather(w->side, w->out, n);
	for (unsigned i = 0, j; i < n; i = j) {
		for (j = i + 1; j < n && w->side[j].session == w->side[i].session; j++)
			;
		seal_run_of(w, &w->side[i], j - i);
	}
	if (n)
		udp_send(w->udp, w->number, w->side, n);
	worker_count_batch(w, w->side, n);
	w->n_out = 0;
}

/* ---- 3 encap ---------------------------------------------------------------------------------------------------- */

/* Where UDP goes on this way: the peer, or the relay, which must be reached straight. NULL = nowhere. */
static const struct way *first_hop(const struct way *way)
{
	if (!way->circuit)
		return way;
	const struct way *hop = way->circuit->far ? atomic_load(&way->circuit->far->way) : NULL;
	return hop && !hop->circuit ? hop : NULL;
}

static void put_piece(struct worker *w, const struct encap *e, const struct errand *job, unsigned i, unsigned n, struct session *s,
                      const struct way *way, const struct way *hop)
{
	uint8_t *slot = w->out_slab + (size_t)w->n_out * OUT_SLOT;
	struct packet *p = &w->out[w->n_out++];
	*p = (struct packet){.data = slot + LEG_HEADER,
	                     .room = OUT_SLOT - LEG_HEADER,
	                     .verdict = DROP_NONE,
	                     .session = s,
	                     .port = job->port,
	                     .circuit = way->circuit,
	                     .from = hop->to,
	                     .socket = hop->socket};
	p->len = (uint32_t)(DATA_HEADER + encap_piece(e, job->frame, job->len, i, n, p->data + DATA_HEADER));
}

/* false: this member has no session to send on yet. Packets that die here are counted. */
static bool send_to(struct worker *w, const struct errand *job, const struct member *m)
{
	struct session *s = atomic_load(&m->remote->session);
	const struct way *way = atomic_load(&m->remote->way);
	struct encap e = {.chan = atomic_load(&m->tx_chan)};
	if (!s || !way || !e.chan || w->now_ms >= s->reject_ms)
		return false;
	const struct way *hop = first_hop(way);
	if (!hop) {
		worker_count(w, DROP_NO_PATH, 1);
		return true;
	}
	memcpy(e.own_mac, job->port->mac, 6);
	memcpy(e.peer_mac, m->mac, 6);
	e.datagram = way->datagram < DATAGRAM_MAX ? way->datagram : DATAGRAM_MAX;
	unsigned n = encap_pieces(&e, job->frame, job->len);
	if (n == 0) {
		worker_count(w, DROP_FRAME_LONG, 1);
		return true;
	}
	/* Several workers may send on one lane: the worker's number keeps their frames apart (control has 15). */
	if (n > 1)
		e.frag_id = session_lane_of(s, (int)w->number) << 28 | (w->number & 15) << 24 | (w->frag_count++ & 0xffffff);
	if (w->n_out + n > BATCH_MAX)
		flush(w);
	for (unsigned i = 0; i < n; i++)
		put_piece(w, &e, job, i, n, s, way, hop);
	return true;
}

/* ---- 2 route ---------------------------------------------------------------------------------------------------- */

static struct letter *letter_of(struct worker *w, const struct errand *job, enum letter_kind kind)
{
	struct letter *l = worker_letter(w, kind);
	if (!l)
		return NULL;
	l->chan = (uint16_t)job->port->chan;
	l->len = (uint32_t)job->len;
	memcpy(l->data, job->frame, job->len);
	return l;
}

static enum drop to_one(struct worker *w, struct errand *job, struct member *m)
{
	if (send_to(w, job, m))
		return DROP_NONE;
	struct letter *l = letter_of(w, job, LETTER_FRAME_OUT);
	if (!l)
		return DROP_MAIL_FULL;
	l->address = m->address;
	worker_post(w, l);
	return DROP_NONE;
}

/* Everybody, or the bridges only. DROP_NO_MEMBER: there was nobody. */
static enum drop to_many(struct worker *w, struct errand *job, bool bridges)
{
	unsigned n = 0;
	memset(job->slots, 0, sizeof(job->slots));
	for (uint32_t i = 0; i < job->roster->n; i++) {
		struct member *m = job->roster->member[i];
		if (m->address == job->port->address || (bridges && !(atomic_load(&m->flags) & MEMBER_BRIDGE)))
			continue;
		n++;
		if (send_to(w, job, m) || i >= sizeof(job->slots) * 8)
			continue;
		job->missing = true;
		job->slots[i / 8] |= (uint8_t)(1u << i % 8);
	}
	if (!job->missing)
		return n || !bridges ? DROP_NONE : DROP_NO_MEMBER;
	struct letter *l = letter_of(w, job, LETTER_FLOOD_OUT);
	if (!l)
		return DROP_MAIL_FULL;
	l->generation = job->roster->generation;
	memcpy(l->slots, job->slots, sizeof(l->slots));
	worker_post(w, l);
	return DROP_NONE;
}

/* One bucket for all workers: the time of the next turn moves on by a step each, and may lag by the burst. */
static bool unknown_allowed(struct port *port, uint64_t now)
{
	uint64_t next = atomic_load(&port->unknown_ms), after;
	do {
		if (next > now + UNKNOWN_BURST_MS - UNKNOWN_STEP_MS)
			return false;
		after = (next > now ? next : now) + UNKNOWN_STEP_MS;
	} while (!atomic_compare_exchange_weak(&port->unknown_ms, &next, after));
	return true;
}

/* mac_derive without its hash: own MAC and own address give the network's mask. */
static bool derived_address(const struct port *port, const uint8_t mac[6], uint64_t *ret)
{
	if (mac[0] != port->mac[0])
		return false;
	uint64_t address = 0;
	for (unsigned i = 1; i < 6; i++)
		address = address << 8 | (uint64_t)(mac[i] ^ port->mac[i]);
	*ret = address ^ port->address;
	return true;
}

static struct member *member_of(struct worker *w, const struct errand *job)
{
	uint64_t address;
	struct member *m = NULL;
	if (derived_address(job->port, job->frame, &address))
		m = roster_find(job->roster, address);
	if (!m && fdb_lookup(job->port->fdb, frame_vlan(job->frame, job->len), job->frame, w->now_ms, false, &address))
		m = roster_find(job->roster, address);
	return m;
}

static enum drop route(struct worker *w, struct port *port, const struct packet *p)
{
	struct errand job = {.port = port, .roster = atomic_load(&port->roster), .frame = p->data, .len = p->len};
	bool bridge = atomic_load(&port->own_flags) & MEMBER_BRIDGE;
	if (!atomic_load(&port->open))
		return DROP_CHAN;
	if (job.len < 14)
		return DROP_FRAME_SHORT;
	if (job.len > FRAG_FRAME_MAX)
		return DROP_FRAME_LONG;
	if (job.frame[6] & 1 || (!bridge && memcmp(job.frame + 6, port->mac, 6)))
		return DROP_SOURCE_MAC;
	bool link_local = frame_link_local(job.frame);
	if (link_local && !bridge)
		return DROP_LINK_LOCAL;
	if (!job.roster)
		return DROP_NO_MEMBER;
	if (job.frame[0] & 1)
		return to_many(w, &job, link_local);
	struct member *m = member_of(w, &job);
	if (m)
		return m->address == port->address ? DROP_NO_MEMBER : to_one(w, &job, m);
	if (!unknown_allowed(port, w->now_ms))
		return DROP_UNKNOWN_RATE;
	return to_many(w, &job, true);
}

/* ---- 1 tap_read ------------------------------------------------------------------------------------------------- */

static unsigned port_turn(struct worker *w, struct port *port)
{
	for (unsigned i = 0; i < BATCH_MAX; i++)
		w->frame[i] = (struct packet){.data = w->frame_slab + (size_t)i * FRAME_SLOT, .room = FRAME_SLOT};
	struct tap *tap = atomic_load(&port->tap);
	if (!tap) /* taken away within this turn */
		return 0;
	int n = tap_read(tap, w->number, w->frame, BATCH_MAX);
	if (n < 0) { /* left alone until control shows other devices */
		w->gone |= 1ull << (port->chan - 1);
		w->poll_stale = true;
		return 0;
	}
	uint64_t frames = 0, bytes = 0;
	for (int i = 0; i < n; i++) {
		struct packet *p = &w->frame[i];
		if (p->verdict == DROP_NONE)
			p->verdict = route(w, port, p);
		if (p->verdict == DROP_NONE) {
			frames++;
			bytes += p->len;
		}
	}
	flush(w);
	worker_count_batch(w, w->frame, (unsigned)n);
	relaxed_add(&port->count[w->number].tx_frames, frames);
	relaxed_add(&port->count[w->number].tx_bytes, bytes);
	return (unsigned)n;
}

unsigned outbound_turn(struct worker *w)
{
	unsigned moved = 0;
	for (unsigned i = 0; i < NETWORKS_MAX; i++)
		if (w->view->ports[i] && !(w->gone >> i & 1))
			moved += port_turn(w, w->view->ports[i]);
	return moved;
}
