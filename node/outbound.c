/* outbound.c: from the TAP queue to the wire.
 *
 * 1 tap_read   up to 64 frames of each port, superframes included
 * 2 route      who gets it, or why nobody does (route.c)
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
#include "node/udp.h"
#include "node/worker_parts.h"
#include "proto/leg.h"
#include "tap/mirror.h"
#include "tap/tap.h"

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

/* Moves the packets of each session and lane together, order within each kept. done: so many of the first ones are together. */
static void gather(struct packet *to, struct packet *from, unsigned n, unsigned done)
{
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

static void link_tally(const struct worker *w, const struct member *to, uint64_t frames, uint64_t bytes)
{
	struct traffic *t = atomic_load(&to->traffic);
	if (t)
		traffic_out(&t[w->number], frames, bytes);
}

/* Most often all frames of a batch go to one member: those are counted once, at its end. */
static void link_count(struct worker *w, const struct member *to, uint64_t frames, uint64_t bytes)
{
	if (!w->link.to)
		w->link.to = to;
	if (w->link.to == to) {
		w->link.frames += frames;
		w->link.bytes += bytes;
	} else {
		link_tally(w, to, frames, bytes);
	}
}

static void link_end(struct worker *w)
{
	if (!w->link.to)
		return;
	link_tally(w, w->link.to, w->link.frames, w->link.bytes);
	w->link.to = NULL;
	w->link.frames = w->link.bytes = 0;
}

void outbound_flush(struct worker *w)
{
	unsigned n = w->n_out, alone = 0;
	struct packet *p = w->out;
	while (alone < n && same_run(&p[alone], p)) /* most often all of them */
		alone++;
	if (alone < n) {
		p = w->side;
		gather(p, w->out, n, alone);
	}
	for (unsigned i = 0, j = alone; i < n; j++) {
		if (j < n && same_run(&p[j], &p[i]))
			continue;
		seal_run_of(w, &p[i], j - i);
		i = j;
	}
	if (n)
		udp_send(w->udp, w->number, p, n);
	worker_count_batch(w, p, n);
	link_end(w);
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
		outbound_flush(w);
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
	bool small = job->len <= BUNDLE_FRAME_MAX && t->session->peer_caps & CAP_BUNDLE && !job->note.flag;
	if (small && bundle(w, job, t, c))
		return;
	size_t plain_len = encap_length(c, job->len) + job->note.len,
	       most = t->encap.datagram < BUNDLE_ROOM ? t->encap.datagram : BUNDLE_ROOM;
	size_t bytes = DATA_HEADER + plain_len + DATA_TAG;
	struct packet *p = put(w, t, plain_len, small && most > bytes ? most - bytes : 0);
	uint8_t *plain = p->data + DATA_HEADER;
	memcpy(plain + encap_offset(c) + job->note.len, job->frame, job->len);
	encap_whole(&t->encap, c, &job->offload, NULL, plain, job->len);
	if (small)
		w->open[t->idx & LANE_MASK] = (struct open_bundle){.at = (uint8_t)(p - w->out), .frames = 1};
}

/* false: by no means. */
static bool load_pieces(struct worker *w, struct errand *job, struct target *t)
{
	offload_complete(job->frame, job->len, &job->offload);
	unsigned n = encap_pieces(&t->encap, job->frame, job->len);
	if (n == 0)
		return false;
	/* Several workers may send on one lane: the worker's number keeps their frames apart (control has 15). */
	t->encap.frag_id = (t->idx & LANE_MASK) << 28 | (w->number & 15) << 24 | (w->frag_count++ & 0xffffff);
	for (unsigned i = 0; i < n; i++) {
		struct packet *p = put(w, t, (size_t)t->encap.datagram - DATA_HEADER - DATA_TAG, 0);
		p->len = (uint32_t)(DATA_HEADER + encap_piece(&t->encap, job->frame, job->len, i, n, p->data + DATA_HEADER));
	}
	return true;
}

static uint32_t smaller(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

/* A superframe in work. */
struct slices {
	struct cut cut;
	struct carriage c;
	struct segment segment; /* of the next one */
};

/* Segment i by itself. */
static void load_segment(struct worker *w, const struct target *t, struct slices *s, uint32_t i)
{
	uint32_t left = s->cut.n - i;
	size_t len = cut_length(&s->cut, i);
	if (i % SEGMENTS_MAX == 0)
		s->segment = (struct segment){.id = w->segment_id++, .n = (uint8_t)(left < SEGMENTS_MAX ? left : SEGMENTS_MAX)};
	struct packet *p = put(w, t, encap_length(s->c, len), 0);
	uint8_t *plain = p->data + DATA_HEADER;
	struct offload offload;
	cut_segment(&s->cut, i, plain + encap_offset(s->c), &offload);
	encap_whole(&t->encap, s->c, &offload, &s->segment, plain, len);
	s->segment.i++;
}

/* Those from segment i on that are like the one before it, the last packet there is: as many as there is room for. Returns how many. */
static uint32_t load_alike(struct worker *w, struct slices *s, uint32_t i)
{
	struct packet model = w->out[w->n_out - 1];
	const uint8_t *plain = model.data + DATA_HEADER;
	int frame = encap_offset(s->c);
	size_t head = model.circuit ? LEG_HEADER : 0, number = encap_number(s->c), front = s->cut.layout.payload + (size_t)frame;
	uint32_t step = (uint32_t)head + model.room, k = s->cut.n - 1 - i;
	k = smaller(smaller(k, SEGMENTS_MAX - i % SEGMENTS_MAX), smaller(BATCH_MAX - w->n_out, (OUT_SLAB - w->out_used) / step));
	for (uint32_t end = i + k; i < end; i++) {
		model.data += step;
		uint8_t *to = model.data + DATA_HEADER;
		memcpy(to, plain, front);
		cut_again(&s->cut, i, to + frame);
		to[number] = s->segment.i++;
		w->out[w->n_out++] = model;
	}
	w->out_used += k * step;
	return k;
}

/* A superframe, or a TCP frame that the way does not carry. false: not to be sent so. */
static bool load_segments(struct worker *w, const struct errand *job, const struct target *t)
{
	bool partial = t->session->peer_caps & CAP_SEG;
	struct slices s = {.c = {.implied = encap_implied(&t->encap, job->frame), .flags = partial ? FRAME_FLAGS : 0}};
	size_t most = encap_most(&t->encap, s.c);
	if (!cut_begin(&s.cut, job->frame, job->len, &job->offload, most, partial) || cut_length(&s.cut, 0) > most)
		return false;
	/* In one flush where it fits: who receives it in one batch can join all of it. */
	if (w->n_out + s.cut.n > BATCH_MAX)
		outbound_flush(w);
	bool alike = cut_alike(&s.cut);
	for (uint32_t i = 0; i < s.cut.n;) {
		load_segment(w, t, &s, i++);
		if (alike && i > 1 && i + 1 < s.cut.n && i % SEGMENTS_MAX)
			i += load_alike(w, &s, i);
	}
	if (job->offload.gso) { /* counts as a port without offload would have it; else the device had one frame, however we send it */
		w->tx_frames += s.cut.n - 1;
		w->tx_bytes += (s.cut.n - 1) * s.cut.layout.payload;
	}
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

bool outbound_send(struct worker *w, struct errand *job, const struct member *m)
{
	struct target t = {.session = atomic_load(&m->remote->session),
	                   .way = atomic_load(&m->remote->way),
	                   .encap = {.chan = atomic_load(&m->tx_chan), .note = job->note}};
	if (!t.session || !t.way || !t.encap.chan || w->now_ms >= t.session->reject_ms)
		return false;
	t.hop = first_hop(t.way);
	if (!t.hop) {
		worker_count_port(w, job->port, DROP_NO_PATH, 1);
		return true;
	}
	memcpy(t.encap.own_mac, job->port->mac, 6);
	memcpy(t.encap.peer_mac, m->mac, 6);
	t.idx = t.session->peer_idx | session_lane_of(t.session, job->flow);
	t.encap.datagram = t.way->datagram < DATAGRAM_MAX ? t.way->datagram : DATAGRAM_MAX;
	if (job->offload.gso) {
		uint64_t frames = w->tx_frames, bytes = w->tx_bytes;
		if (!load_segments(w, job, &t))
			return false;
		link_count(w, m, 1 + w->tx_frames - frames, job->len + w->tx_bytes - bytes);
		return true;
	}
	if (job->note.flag && !(t.session->peer_caps & CAP_REPLICATE)) {
		worker_count_port(w, job->port, DROP_REPLICATE, 1);
		return true;
	}
	/* The kernel leaves checksums of any protocol to be made; a peer takes only those it can read itself. */
	if (job->offload.csum &&
	    (job->note.flag || !(t.session->peer_caps & CAP_SEG) || !layout_offload_true(job->frame, job->len, &job->offload)))
		offload_complete(job->frame, job->len, &job->offload);
	struct carriage bare = {.implied = encap_implied(&t.encap, job->frame)}, c = bare;
	c.flags = job->offload.csum ? FRAME_CSUM : 0;
	if (c.flags && job->len > encap_most(&t.encap, c) && job->len <= encap_most(&t.encap, bare)) { /* rather summed than in two */
		offload_complete(job->frame, job->len, &job->offload);
		c = bare;
	}
	bool loaded = true;
	if (job->len <= encap_most(&t.encap, c))
		load_whole(w, job, &t, c);
	else if (job->note.flag || !load_segments(w, job, &t))
		loaded = load_pieces(w, job, &t);
	if (loaded)
		link_count(w, m, 1, job->len);
	else
		worker_count_port(w, job->port, DROP_FRAME_LONG, 1);
	return true;
}

/* ---- 1 tap_read ------------------------------------------------------------------------------------------------- */

/* One device of a port. -1: it is gone. */
static int device_turn(struct worker *w, struct port *port, struct tap *tap, bool nic)
{
	struct slab slab = {w->frame_slab, FRAME_SLAB};
	int n = tap_read(tap, w->number, &slab, w->frame, BATCH_MAX);
	if (n <= 0)
		return n < 0 ? -1 : 0;
	w->tx_frames = w->tx_bytes = 0;
	for (int i = 0; i < n; i++)
		if (w->frame[i].verdict == DROP_NONE)
			route_packet(w, port, &w->frame[i], nic);
	struct mirrors *mirrors = atomic_load_explicit(&port->mirrors, memory_order_acquire);
	for (int i = 0; mirrors && i < n; i++)
		mirrors_copy(mirrors, MIRROR_OUT, w->frame[i].verdict, w->frame[i].data, w->frame[i].len);
	outbound_flush(w);
	worker_count_frames(w, port, w->frame, (unsigned)n);
	traffic_out(&port->count[w->number].carried, w->tx_frames, w->tx_bytes);
	return n;
}

static unsigned port_turn(struct worker *w, struct port *port)
{
	struct tap *device[2] = {atomic_load(&port->tap), atomic_load(&port->nic)}; /* NULL: none, or taken away within this turn */
	unsigned moved = 0;
	for (unsigned k = 0; k < 2; k++) {
		uint64_t bit = 1ull << (port->chan - 1);
		if (!device[k] || !(w->look_port[k] & ~w->gone[k] & bit))
			continue;
		int n = device_turn(w, port, device[k], k);
		if (n < 0) { /* left alone until control shows other devices */
			w->gone[k] |= bit;
			w->poll_stale = true;
		} else {
			moved += (unsigned)n;
		}
	}
	return moved;
}

unsigned outbound_turn(struct worker *w)
{
	unsigned moved = 0;
	for (uint64_t left = w->look_port[0] | w->look_port[1]; left; left &= left - 1) {
		struct port *port = w->view->ports[__builtin_ctzll(left)];
		if (port)
			moved += port_turn(w, port);
	}
	return moved;
}
