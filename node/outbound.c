/* outbound.c: from the TAP queue to the wire, steps in file order.
 *
 * 1 tap_read   up to 64 frames of each port, superframes included
 * 2 route      source MAC, then who gets it: the derived MAC of a member, a learned MAC behind a bridge, or many. A member that
 *              cannot be sent to now is left to control by a letter, one per frame.
 * 3 load       each (frame, member) becomes plaintexts in the output slab, back to back: a superframe as many segments, a frame that the
 *              way does not carry in pieces, small ones of one session together in a bundle
 * 4 flush      when the slab is full or all frames are routed: packets of one session are brought together, take their numbers
 *              at once, are sealed in place, get a leg header where the way is a circuit, and leave in one udp_send
 *
 * A superframe is routed once. Only where it does not have one receiver who can take it (a group, no session yet, datagrams
 * of a UDP superframe too long for the way) it is cut into complete frames, and those go the way of all frames.
 * A broadcast to a thousand members is just more slices of 64; nothing is kept for later and nothing is allocated. Frames of one
 * conversation keep their order: they share a lane (flow_of_frame), and a lane keeps its.
 */
#include <assert.h>
#include <string.h>

#include "node/cut.h"
#include "node/encap.h"
#include "node/fdb.h"
#include "node/udp.h"
#include "node/worker_parts.h"
#include "proto/leg.h"
#include "tap/tap.h"

#define UNKNOWN_STEP_MS  20 /* 50 per second */
#define UNKNOWN_BURST_MS 1000

/* One frame on its way. */
struct errand {
	struct port *port;
	const struct roster *roster;
	uint8_t *frame;
	size_t len;
	struct offload offload;
	uint32_t flow;
};

/* Where it goes to now. */
struct target {
	struct encap encap;
	struct session *session;
	const struct way *way, *hop; /* hop: where UDP goes on this way */
	uint32_t idx;                /* the receiver's, with the lane */
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
	uint64_t first, bytes = 0;
	if (!session_take(s, run->idx & LANE_MASK, n, &first)) {
		for (unsigned i = 0; i < n; i++)
			run[i].verdict = DROP_LANE_FULL;
		return;
	}
	seal_batch(&s->tx, run->idx, first, run, n);
	bool big = false;
	for (unsigned i = 0; i < n; i++) {
		bytes += run[i].len;
		big = big || run[i].len > DATAGRAM_BASE;
		leg_front(w, &run[i]);
	}
	struct footprint *foot = &s->foot[w->number];
	if (big)
		relaxed_stamp(&foot->big_ms, w->now_ms);
	relaxed_add(&foot->tx_bytes, bytes);
	relaxed_stamp(&foot->tx_ms, w->now_ms);
	rekey_check(w, s, first, n);
}

static bool same_run(const struct packet *a, const struct packet *b)
{
	return a->session == b->session && a->idx == b->idx;
}

/* Moves the packets of each session and lane together, order within each kept. */
static void gather(struct packet *to, struct packet *from, unsigned n)
{
	unsigned done = 0;
	while (done < n && same_run(&from[done], from)) /* most often all of them */
		done++;
	memcpy(to, from, done * sizeof(*to));
	for (unsigned i = done; i < n; i++) {
		const struct packet first = from[i];
		for (unsigned j = i; first.session && j < n; j++)
			if (same_run(&from[j], &first)) {
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
		for (j = i + 1; j < n && same_run(&w->side[j], &w->side[i]); j++)
			;
		seal_run_of(w, &w->side[i], j - i);
	}
	if (n)
		udp_send(w->udp, w->number, w->side, n);
	worker_count_batch(w, w->side, n);
	w->n_out = 0;
	w->out_used = 0;
	memset(w->open, 0, sizeof(w->open));
}

/* ---- 3 load ----------------------------------------------------------------------------------------------------- */

/* A packet for plain bytes of plaintext at the end of the slab, with room for spare more. */
static struct packet *put(struct worker *w, const struct target *t, size_t plain, size_t spare)
{
	size_t head = t->way->circuit ? LEG_HEADER : 0, bytes = DATA_HEADER + plain + spare + DATA_TAG;
	if (w->n_out == BATCH_MAX || w->out_used + head + bytes > OUT_SLAB)
		flush(w);
	struct packet *p = &w->out[w->n_out++];
	/* Field by field: to clear the rest, which nobody reads, costs more than all of these. */
	p->data = w->out_slab + w->out_used + head;
	p->len = (uint32_t)(DATA_HEADER + plain);
	p->room = (uint32_t)bytes;
	p->verdict = DROP_NONE;
	p->session = t->session;
	p->idx = t->idx;
	p->circuit = t->way->circuit;
	p->from = t->hop->to;
	p->socket = t->hop->socket;
	w->out_used += (uint32_t)(head + bytes);
	w->open[t->idx & LANE_MASK].frames = 0; /* what comes later in this lane must not get in front of it */
	return p;
}

/* Into the last small packet of this lane, if that goes the same way and has room. */
static bool bundle(struct worker *w, const struct errand *job, const struct target *t, struct carriage c)
{
	struct open_bundle *open = &w->open[t->idx & LANE_MASK];
	if (!open->frames || open->frames == BUNDLE_MAX)
		return false;
	struct packet *p = &w->out[open->at];
	uint8_t *plain = p->data + DATA_HEADER;
	uint32_t more = (uint32_t)bundle_record(c, job->len) + (open->frames == 1 ? BUNDLE_RECORD : 0);
	if (p->session != t->session || p->circuit != t->way->circuit || memcmp(&p->from, &t->hop->to, sizeof(p->from)) ||
	    le16_at(plain + 2) != t->encap.chan || p->len + more + DATA_TAG > p->room)
		return false;
	size_t len = p->len - DATA_HEADER;
	if (open->frames == 1)
		len = bundle_begin(plain, len);
	p->len = DATA_HEADER + (uint32_t)bundle_add(plain, len, c, &job->offload, job->frame, job->len);
	open->frames++;
	return true;
}

static void load_whole(struct worker *w, const struct errand *job, const struct target *t, struct carriage c)
{
	bool small = job->len <= BUNDLE_FRAME_MAX && t->session->peer_caps & CAP_BUNDLE;
	if (small && bundle(w, job, t, c))
		return;
	size_t plain_len = encap_length(c, job->len), most = t->encap.datagram < BUNDLE_ROOM ? t->encap.datagram : BUNDLE_ROOM;
	size_t bytes = DATA_HEADER + plain_len + DATA_TAG;
	struct packet *p = put(w, t, plain_len, small && most > bytes ? most - bytes : 0);
	uint8_t *plain = p->data + DATA_HEADER;
	memcpy(plain + encap_offset(c), job->frame, job->len);
	encap_whole(&t->encap, c, &job->offload, NULL, plain, job->len);
	if (small)
		w->open[t->idx & LANE_MASK] = (struct open_bundle){.at = (uint8_t)(p - w->out), .frames = 1};
}

static void load_pieces(struct worker *w, struct errand *job, struct target *t)
{
	offload_complete(job->frame, job->len, &job->offload);
	unsigned n = encap_pieces(&t->encap, job->frame, job->len);
	if (n == 0) {
		worker_count(w, DROP_FRAME_LONG, 1);
		return;
	}
	/* Several workers may send on one lane: the worker's number keeps their frames apart (control has 15). */
	t->encap.frag_id = (t->idx & LANE_MASK) << 28 | (w->number & 15) << 24 | (w->frag_count++ & 0xffffff);
	for (unsigned i = 0; i < n; i++) {
		struct packet *p = put(w, t, (size_t)t->encap.datagram - DATA_HEADER - DATA_TAG, 0);
		p->len = (uint32_t)(DATA_HEADER + encap_piece(&t->encap, job->frame, job->len, i, n, p->data + DATA_HEADER));
	}
}

/* A superframe, or a TCP frame that the way does not carry. false: not to be sent so. */
static bool load_segments(struct worker *w, const struct errand *job, const struct target *t)
{
	bool partial = t->session->peer_caps & CAP_SEG;
	struct carriage c = {.implied = encap_implied(&t->encap, job->frame), .flags = partial ? FRAME_FLAGS : 0};
	struct cut cut;
	size_t most = encap_most(&t->encap, c);
	if (!cut_begin(&cut, job->frame, job->len, &job->offload, most, partial) || cut_length(&cut, 0) > most)
		return false;
	/* In one flush where it fits: who receives it in one batch can join all of it. */
	if (w->n_out + cut.n > BATCH_MAX)
		flush(w);
	struct segment segment = {0};
	for (uint32_t i = 0; i < cut.n; i++, segment.i++) {
		if (i % SEGMENTS_MAX == 0)
			segment =
			    (struct segment){.id = w->segment_id++, .n = (uint8_t)(cut.n - i < SEGMENTS_MAX ? cut.n - i : SEGMENTS_MAX)};
		size_t len = cut_length(&cut, i);
		struct packet *p = put(w, t, encap_length(c, len), 0);
		uint8_t *plain = p->data + DATA_HEADER;
		struct offload offload;
		cut_segment(&cut, i, plain + encap_offset(c), &offload);
		encap_whole(&t->encap, c, &offload, &segment, plain, len);
	}
	w->tx_frames += cut.n - 1;
	w->tx_bytes += (cut.n - 1) * cut.layout.payload;
	return true;
}

/* Where UDP goes on this way: the peer, or the relay, which must be reached straight. NULL = nowhere. */
static const struct way *first_hop(const struct way *way)
{
	if (!way->circuit)
		return way;
	const struct way *hop = way->circuit->far ? atomic_load(&way->circuit->far->way) : NULL;
	return hop && !hop->circuit ? hop : NULL;
}

/* false: this member cannot be sent this frame (yet). Packets that die here are counted. */
static bool send_to(struct worker *w, struct errand *job, const struct member *m)
{
	struct target t = {
	    .session = atomic_load(&m->remote->session), .way = atomic_load(&m->remote->way), .encap = {.chan = atomic_load(&m->tx_chan)}};
	if (!t.session || !t.way || !t.encap.chan || w->now_ms >= t.session->reject_ms)
		return false;
	t.hop = first_hop(t.way);
	if (!t.hop) {
		worker_count(w, DROP_NO_PATH, 1);
		return true;
	}
	memcpy(t.encap.own_mac, job->port->mac, 6);
	memcpy(t.encap.peer_mac, m->mac, 6);
	t.idx = t.session->peer_idx | session_lane_of(t.session, job->flow);
	t.encap.datagram = t.way->datagram < DATAGRAM_MAX ? t.way->datagram : DATAGRAM_MAX;
	if (job->offload.gso)
		return load_segments(w, job, &t);
	/* The kernel leaves checksums of any protocol to be made; a peer takes only those it can read itself. */
	if (job->offload.csum && (!(t.session->peer_caps & CAP_SEG) || !layout_offload_true(job->frame, job->len, &job->offload)))
		offload_complete(job->frame, job->len, &job->offload);
	struct carriage bare = {.implied = encap_implied(&t.encap, job->frame)}, c = bare;
	c.flags = job->offload.csum ? FRAME_CSUM : 0;
	if (c.flags && job->len > encap_most(&t.encap, c) && job->len <= encap_most(&t.encap, bare)) { /* rather summed than in two */
		offload_complete(job->frame, job->len, &job->offload);
		c = bare;
	}
	if (job->len <= encap_most(&t.encap, c))
		load_whole(w, job, &t, c);
	else if (!load_segments(w, job, &t))
		load_pieces(w, job, &t);
	return true;
}

/* ---- 2 route ---------------------------------------------------------------------------------------------------- */

static void route(struct worker *w, struct port *port, struct packet *p);

/* A superframe as complete frames, each routed anew. */
static enum drop route_segments(struct worker *w, const struct errand *job)
{
	struct cut cut;
	if (!cut_begin(&cut, job->frame, job->len, &job->offload, FRAG_FRAME_MAX, false) || cut_length(&cut, 0) > FRAG_FRAME_MAX)
		return DROP_OFFLOAD;
	w->tx_frames--; /* the whole is not one of them */
	w->tx_bytes -= job->len;
	for (uint32_t i = 0; i < cut.n; i++) {
		struct packet p = {.data = w->segment, .len = (uint32_t)cut_length(&cut, i)};
		cut_segment(&cut, i, p.data, &p.offload);
		route(w, job->port, &p);
		worker_count_batch(w, &p, 1);
	}
	return DROP_NONE;
}

static struct letter *letter_of(struct worker *w, struct errand *job, enum letter_kind kind)
{
	offload_complete(job->frame, job->len, &job->offload);
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
	if (job->offload.gso)
		return route_segments(w, job);
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
	uint8_t slots[sizeof(((struct letter *)0)->slots)] = {0}; /* whom it could not be sent to */
	bool missing = false;
	unsigned n = 0;
	if (job->offload.gso)
		return route_segments(w, job);
	for (uint32_t i = 0; i < job->roster->n; i++) {
		struct member *m = job->roster->member[i];
		if (m->address == job->port->address || (bridges && !(atomic_load(&m->flags) & MEMBER_BRIDGE)))
			continue;
		n++;
		if (send_to(w, job, m) || i >= sizeof(slots) * 8)
			continue;
		missing = true;
		slots[i / 8] |= (uint8_t)(1u << i % 8);
	}
	if (!missing)
		return n || !bridges ? DROP_NONE : DROP_NO_MEMBER;
	struct letter *l = letter_of(w, job, LETTER_FLOOD_OUT);
	if (!l)
		return DROP_MAIL_FULL;
	l->generation = job->roster->generation;
	memcpy(l->slots, slots, sizeof(l->slots));
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

/* A datagram of ours, led into the device by a bridge or a route: sent on, each would make the next, larger one. */
static bool nested(const struct view *v, const struct packet *p)
{
	unsigned udp = 0, ip = 0, type = (unsigned)p->data[12] << 8 | p->data[13];
	if (type == 0x0800 && p->len >= 42 && p->data[23] == 17) {
		udp = 14 + (p->data[14] & 15u) * 4;
		ip = 26;
	} else if (type == 0x86dd && p->len >= 62 && p->data[20] == 17) {
		udp = 54;
		ip = 22;
	}
	if (!udp || udp + 2 > p->len)
		return false;
	unsigned port = (unsigned)p->data[udp] << 8 | p->data[udp + 1];
	for (unsigned i = 0; i < v->n_own; i++)
		if (v->own[i].port == port && v->own[i].family == (ip == 26 ? 4 : 6) &&
		    !memcmp(v->own[i].ip, p->data + ip, ip == 26 ? 4 : 16))
			return true;
	return false;
}

static enum drop route_frame(struct worker *w, struct port *port, const struct packet *p)
{
	struct errand job = {.port = port, .roster = atomic_load(&port->roster), .frame = p->data, .len = p->len, .offload = p->offload};
	bool bridge = atomic_load(&port->own_flags) & MEMBER_BRIDGE;
	if (!atomic_load(&port->open))
		return DROP_CHAN;
	if (job.len < 14)
		return DROP_FRAME_SHORT;
	if (job.len > FRAG_FRAME_MAX && !job.offload.gso)
		return DROP_FRAME_LONG;
	if (job.frame[6] & 1 || (!bridge && memcmp(job.frame + 6, port->mac, 6)))
		return DROP_SOURCE_MAC;
	if (nested(w->view, p))
		return DROP_NESTED;
	bool link_local = frame_link_local(job.frame);
	if (link_local && !bridge)
		return DROP_LINK_LOCAL;
	if (!job.roster)
		return DROP_NO_MEMBER;
	/* A conversation keeps to one lane, thus to one worker, at both ends: the kernel gives the answer to a frame to the queue that
	 * frames of this flow were last written to. A lane by worker would make the two directions chase each other from worker to worker,
	 * with one wake-up more per frame and side. */
	job.flow = flow_of_frame(job.frame, job.len);
	if (job.frame[0] & 1)
		return to_many(w, &job, link_local);
	struct member *m = member_of(w, &job);
	if (m)
		return m->address == port->address ? DROP_NO_MEMBER : to_one(w, &job, m);
	if (!job.offload.gso && !unknown_allowed(port, w->now_ms)) /* a superframe's segments come by themselves */
		return DROP_UNKNOWN_RATE;
	return to_many(w, &job, true);
}

static void route(struct worker *w, struct port *port, struct packet *p)
{
	p->verdict = route_frame(w, port, p);
	if (p->verdict == DROP_NONE) {
		w->tx_frames++;
		w->tx_bytes += p->len;
	}
}

/* ---- 1 tap_read ------------------------------------------------------------------------------------------------- */

static unsigned port_turn(struct worker *w, struct port *port)
{
	struct slab slab = {w->frame_slab, FRAME_SLAB};
	struct tap *tap = atomic_load(&port->tap);
	if (!tap) /* taken away within this turn */
		return 0;
	int n = tap_read(tap, w->number, &slab, w->frame, BATCH_MAX);
	if (n < 0) { /* left alone until control shows other devices */
		w->gone |= 1ull << (port->chan - 1);
		w->poll_stale = true;
		return 0;
	}
	if (n == 0)
		return 0;
	w->tx_frames = w->tx_bytes = 0;
	for (int i = 0; i < n; i++)
		if (w->frame[i].verdict == DROP_NONE)
			route(w, port, &w->frame[i]);
	flush(w);
	worker_count_batch(w, w->frame, (unsigned)n);
	relaxed_add(&port->count[w->number].tx_frames, w->tx_frames);
	relaxed_add(&port->count[w->number].tx_bytes, w->tx_bytes);
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
