/* inbound.c: from the wire to the TAP queue, steps in file order.
 *
 * 1 udp_recv  up to 64 datagrams
 * 2 sort      what each one is follows from what its first word names; a leg is checked and taken off (at a relay: turned round and
 *             sent on), an INIT has to pass a gate, everything for control becomes a letter
 * 3 open      per run of one session: the numbers unmasked, AEAD in place, then the replay window under the lane's lock, one lock per run. The commit
 *             decides, so of several workers that open the same packet one goes on.
 * 4 deliver   by inner type: letters for control, frames for the devices (deliver.c)
 *
 * A packet that has been dealt with has session NULL and verdict NONE; one that died has its verdict. Nothing is counted before the
 * end. Frames of up[] have verdicts of their own, since a bundle brings several.
 */
#include <string.h>

#include "node/meter.h"
#include "node/udp.h"
#include "node/worker_parts.h"
#include "proto/leg.h"
#include "proto/replay.h"

#define ROAM_EVERY_MS 100
#define ROAM_LEGS_MS  2000
/* Letters of one node, whatever its sessions: 400/s, 128 at once, half a ring. What its user traffic alone can make many of has the half of
 * that, so that frames for a channel that is not open yet leave room for the message that opens it. */
#define LETTER_US    2500
#define LETTER_BURST (128 * LETTER_US)
#define INIT_US      50000 /* INITs through one circuit: 20/s, 16 at once */
#define INIT_BURST   (16 * INIT_US)
/* What strangers may cost in all: a quarter of one core, spent by a model of the work instead of a clock so that it is the same
 * everywhere: base (receive, look up), per gate (hint), per match (mac1 and the letter). */
#define BUDGET_SHARE    4
#define BUDGET_BURST_NS 25000000u
#define STRANGER_NS     100u
#define GATE_NS         25u
#define MATCH_NS        2000u

/* ---- letters ---------------------------------------------------------------------------------------------------- */

/* One node must not fill the ring that all share, and control must not work for one alone: what is too much dies here, for the price of opening
 * it. Handshakes of ours that are answered, and strangers, have limits of their own. */
bool inbound_may_tell(struct worker *w, struct remote *remote, enum letter_kind kind)
{
	bool traffic = kind == LETTER_FRAME_IN || kind == LETTER_FLOOD_OUT || kind == LETTER_CONFIRM || kind == LETTER_ROAM;
	return !remote || meter_take(&remote->letters_us, w->now_us, LETTER_US, traffic ? LETTER_BURST / 2 : LETTER_BURST);
}

static enum drop post(struct worker *w, const struct packet *p, struct letter *l, uint32_t idx, const uint8_t *data, size_t len)
{
	if (!l)
		return DROP_MAIL_FULL;
	const struct circuit *c = p->circuit;
	l->idx = idx;
	l->socket = p->socket;
	l->from = p->from;
	l->circuit = c ? c->named.idx : 0;
	l->size = w->arrival[p - w->in].size;
	l->len = (uint32_t)len;
	if (len)
		memcpy(l->data, data, len);
	worker_post(w, l);
	return DROP_NONE;
}

/* The packet becomes the letter. */
static void mail(struct worker *w, struct packet *p, enum letter_kind kind, uint32_t idx, const uint8_t *data, size_t len)
{
	p->verdict = post(w, p, worker_letter(w, kind), idx, data, len);
	p->session = NULL;
}

/* ... of an authentic sender. */
static void mail_from(struct worker *w, struct packet *p, enum letter_kind kind, struct session *s, size_t skip)
{
	if (inbound_may_tell(w, s->remote, kind))
		mail(w, p, kind, s->named.idx, p->data + skip, p->len - skip);
	else
		p->verdict = DROP_MAIL_RATE;
}

/* ---- roaming ---------------------------------------------------------------------------------------------------- */

static bool same_endpoint(const struct endpoint *a, const struct endpoint *b)
{
	return a->family == b->family && a->port == b->port && !memcmp(a->ip, b->ip, sizeof(a->ip));
}

/* Did it come from elsewhere than we send to, and was control not told lately? One letter of all workers per 100 ms. */
static bool roam_due(struct worker *w, const struct packet *p, const struct remote *remote, _Atomic uint64_t *told_ms)
{
	const struct way *way = remote ? atomic_load(&remote->way) : NULL;
	if (way && way->circuit == p->circuit && (p->circuit || same_endpoint(&way->to, &p->from)))
		return false;
	/* Through another leg than ours either serves, unless ours is dead: control asks it now and then. */
	uint64_t told = atomic_load(told_ms), every = way && way->circuit && p->circuit ? ROAM_LEGS_MS : ROAM_EVERY_MS;
	return (!told || w->now_ms >= told + every) && atomic_compare_exchange_strong(told_ms, &told, w->now_ms);
}

/* Only authentic packets that are the newest of their lane speak of where a peer is. One that comes through a relay while we send
 * straight says that our packets may not arrive: its sender would use the same way if it could. */
static void roam_check(struct worker *w, const struct packet *p, struct session *s)
{
	const struct packet *before = w->roamed;
	if (!w->arrival[p - w->in].newest)
		return;
	/* Asked once, whatever came of it: what is told now is not told again in this turn. */
	if (before && w->roamed_session == s && before->circuit == p->circuit && same_endpoint(&before->from, &p->from))
		return;
	w->roamed = p;
	w->roamed_session = s;
	if (roam_due(w, p, s->remote, &s->roam_told_ms) && inbound_may_tell(w, s->remote, LETTER_ROAM))
		(void)post(w, p, worker_letter(w, LETTER_ROAM), s->named.idx, NULL, 0);
}

/* At the relay: the node behind this leg moved. No session is named, the leg is (idx 0, circuit). */
static void leg_roam_check(struct worker *w, struct packet *p, struct circuit *c)
{
	if (!roam_due(w, p, c->far, &c->roam_told_ms) || !inbound_may_tell(w, c->far, LETTER_ROAM))
		return;
	p->circuit = c;
	(void)post(w, p, worker_letter(w, LETTER_ROAM), 0, NULL, 0);
	p->circuit = NULL;
}

/* ---- 2 sort ----------------------------------------------------------------------------------------------------- */

static bool budget_take(struct worker *w, uint64_t ns)
{
	/* The workers' shares make up the whole. */
	uint64_t share = (uint64_t)BUDGET_SHARE * w->book->n, most = BUDGET_BURST_NS / w->book->n;
	uint64_t gone_us = w->now_us - w->budget_us;
	w->budget_us = w->now_us;
	w->budget_ns += (gone_us < 1000000 ? gone_us : 1000000) * 1000 / share;
	if (w->budget_ns > most)
		w->budget_ns = most;
	if (w->budget_ns < ns)
		return false;
	w->budget_ns -= ns;
	return true;
}

/* Cheap proof only: the rest is control's. Through a circuit a root answers for the rate. */
static void sort_stranger(struct worker *w, struct packet *p)
{
	const struct view *v = w->view;
	if (!p->circuit && !budget_take(w, STRANGER_NS)) {
		p->verdict = DROP_BUDGET;
		return;
	}
	for (unsigned i = 0; i < v->n_gates; i++) {
		const struct view_gate *g = &v->gates[i];
		if (!p->circuit && !g->direct)
			continue;
		if (!p->circuit && !budget_take(w, GATE_NS)) {
			p->verdict = DROP_BUDGET;
			return;
		}
		if (!gate_check(&g->gate, p->data, p->len))
			continue;
		if (!p->circuit) {
			(void)budget_take(w, w->budget_ns < MATCH_NS ? w->budget_ns : MATCH_NS);
		} else if (!meter_take(&((struct circuit *)p->circuit)->init_us, w->now_us, INIT_US, INIT_BURST)) {
			p->verdict = DROP_MAIL_RATE; /* the authenticated ring is not for whoever has a circuit to fill */
			return;
		}
		struct letter *l = p->circuit ? mail_begin_relayed_init(&w->mail) : worker_letter(w, LETTER_INIT);
		if (l) {
			l->time_us = w->now_us;
			memcpy(l->gate_secret, g->gate.secret, sizeof(l->gate_secret));
		}
		p->verdict = post(w, p, l, 0, p->data, p->len);
		return;
	}
	p->verdict = DROP_STRANGER;
}

static void sort_data(struct worker *w, struct packet *p, struct session *s)
{
	p->idx = le32_at(p->data);
	unsigned lane = p->idx & LANE_MASK;
	if (w->now_ms >= s->reject_ms) {
		p->verdict = DROP_EXPIRED;
		return;
	}
	if (lane >= s->rx_lanes) {
		p->verdict = DROP_LANE;
		return;
	}
	p->session = s;
}

/* At the relay: the same bytes under another header. What is inside stays unread, so legs in legs cannot be told here. */
static enum drop forward(struct worker *w, struct packet *p, struct circuit *c)
{
	struct circuit *twin = atomic_load(&c->twin);
	uint32_t tx_idx = twin ? atomic_load(&twin->tx_idx) : 0;
	if (!tx_idx || !twin->far)
		return DROP_LEG_DEAD;
	const struct way *way = atomic_load(&twin->far->way);
	if (!way || way->circuit)
		return DROP_NO_PATH;
	if (c->meter && !meter_relay(c->meter, &c->far->sender, w->now_us * 1000, p->len))
		return DROP_LEG_RATE;
	uint32_t seq = atomic_fetch_add_explicit(&twin->tx_seq, 1, memory_order_relaxed);
	leg_seal(&twin->tx, tx_idx, seq, p->data, p->len - LEG_HEADER);
	p->from = way->to;
	p->socket = way->socket;
	relaxed_stamp(&c->used_ms, w->now_ms);
	relaxed_stamp(&twin->used_ms, w->now_ms);
	w->arrival[p - w->in].forward = true;
	return DROP_NONE;
}

/* The called one's answer can be faster than control is with the relay's, and nobody sends it again for a second or more. Nothing of it is proven yet:
 * no more of them than of INITs, whose bucket it takes since none come by a leg without keys. */
static void leg_early(struct worker *w, struct packet *p, struct circuit *c)
{
	if (c->at_relay || p->len < LEG_HEADER + RETRY_BYTES || p->len > LEG_HEADER + INIT_MAX) {
		p->verdict = DROP_LEG_DEAD;
	} else if (!meter_take(&c->init_us, w->now_us, INIT_US, INIT_BURST)) {
		p->verdict = DROP_MAIL_RATE;
	} else {
		p->circuit = c;
		mail(w, p, LETTER_LEG, 0, p->data, p->len);
		p->circuit = NULL;
	}
}

/* true: taken off, what is inside is to be sorted. */
static bool sort_leg(struct worker *w, struct packet *p, struct circuit *c)
{
	uint32_t seq;
	if (p->circuit) {
		p->verdict = DROP_LEG_NEST;
		return false;
	}
	if (!atomic_load(&c->tx_idx)) { /* no keys before it: all zero would open to anybody */
		leg_early(w, p, c);
		return false;
	}
	if (!leg_open(&c->rx, p->data, p->len, &seq)) {
		p->verdict = DROP_LEG_TAG;
		return false;
	}
	pthread_mutex_lock(&c->lock);
	bool fresh = window_commit(c->window, seq), newest = fresh && window_top(c->window) == seq + 1ull;
	pthread_mutex_unlock(&c->lock);
	if (!fresh) {
		p->verdict = DROP_LEG_REPLAY;
		return false;
	}
	if (c->at_relay) {
		if (newest)
			leg_roam_check(w, p, c);
		p->verdict = forward(w, p, c);
		return false;
	}
	relaxed_stamp(&c->used_ms, w->now_ms);
	p->circuit = c;
	p->data += LEG_HEADER;
	p->len -= LEG_HEADER;
	p->room -= LEG_HEADER;
	w->arrival[p - w->in].size = p->len;
	return true;
}

/* One look; true = look again at what was inside. */
static bool sort_once(struct worker *w, struct packet *p)
{
	struct named *named = p->len >= DATA_OVERHEAD ? index_find(w->view->index, le32_at(p->data)) : NULL;
	switch (wire_classify(named ? named->kind : INDEX_NONE, p->len)) {
	case WIRE_DATA: sort_data(w, p, (struct session *)named); break;
	case WIRE_LEG: return sort_leg(w, p, (struct circuit *)named);
	case WIRE_RESP: mail(w, p, LETTER_RESP, named->idx, p->data, p->len); break;
	case WIRE_RETRY: mail(w, p, LETTER_RETRY, named->idx, p->data, p->len); break;
	case WIRE_INIT: sort_stranger(w, p); break;
	case WIRE_DROP_SHORT: p->verdict = DROP_SHORT; break;
	case WIRE_DROP_LENGTH: p->verdict = named->kind == INDEX_PENDING ? DROP_PENDING_LEN : DROP_SHORT; break;
	case WIRE_DROP_INDEX: p->verdict = DROP_INDEX; break;
	}
	return false;
}

static void sort(struct worker *w, unsigned n)
{
	struct session *last = NULL; /* whose datagram was sorted before: most often it is the next one's */
	uint32_t last_idx = 0;
	w->roamed = NULL;
	for (unsigned i = 0; i < n; i++) {
		struct packet *p = &w->in[i];
		p->session = p->port = p->circuit = NULL;
		w->arrival[i] = (struct arrival){.size = p->len};
		/* UDP may bring 64 KiB; letters have room for what may be sent and no more. */
		if (p->verdict == DROP_NONE && p->len > DATAGRAM_MAX + LEG_HEADER)
			p->verdict = DROP_MALFORMED;
		if (p->verdict != DROP_NONE)
			continue;
		if (last && p->len >= DATA_OVERHEAD && le32_at(p->data) == last_idx)
			sort_data(w, p, last);
		else if (sort_once(w, p))
			(void)sort_once(w, p); /* a leg inside is refused there: it ends here */
		if (p->session) {
			last = p->session;
			last_idx = p->idx;
		}
	}
}

/* Those that only pass through, in one batch; equal sizes stay equal. */
static void send_forwarded(struct worker *w, unsigned n)
{
	unsigned k = 0;
	for (unsigned i = 0; i < n; i++)
		if (w->arrival[i].forward)
			w->side[k++] = w->in[i];
	if (!k)
		return;
	udp_send(w->udp, w->number, w->side, k);
	k = 0;
	for (unsigned i = 0; i < n; i++)
		if (w->arrival[i].forward)
			w->in[i].verdict = w->side[k++].verdict;
}

/* ---- 3 open ----------------------------------------------------------------------------------------------------- */

static void commit(struct worker *w, struct session *s, struct packet *run, unsigned n)
{
	uint64_t bytes = 0, failed = 0;
	bool chosen = false;
	struct session_lane *held = NULL;
	for (unsigned i = 0; i < n; i++) {
		struct packet *p = &run[i];
		struct arrival *a = &w->arrival[p - w->in];
		if (p->verdict != DROP_NONE) {
			failed += p->verdict == DROP_AEAD; /* those of an old number were not opened */
			continue;
		}
		struct session_lane *lane = &s->lane[p->idx & LANE_MASK];
		if (lane != held) {
			if (held)
				pthread_mutex_unlock(&held->lock);
			pthread_mutex_lock(&lane->lock);
			held = lane;
		}
		if (!window_commit(lane->window, p->pn)) {
			p->verdict = DROP_REPLAY;
			continue;
		}
		a->newest = window_top(lane->window) == p->pn + 1;
		bytes += a->size;
		chosen = chosen || p->data[0] == INNER_PROBE || p->data[0] < INNER_CTRL;
	}
	if (held)
		pthread_mutex_unlock(&held->lock);
	if (failed)
		relaxed_add(&s->opens_failed, failed);
	if (bytes) {
		relaxed_add(&s->foot[w->number].rx_bytes, bytes);
		relaxed_stamp(&s->foot[w->number].rx_ms, w->now_ms);
	}
	if (chosen)
		relaxed_stamp(&s->foot[w->number].chosen_ms, w->now_ms);
}

/* The numbers of a run, side by side; an old one is not worth opening. */
static void unmask(const struct session *s, struct packet *run, unsigned n)
{
	seal_unmask_batch(&s->rx, run, n);
	for (unsigned i = 0; i < n; i++)
		if (!window_maybe(s->lane[run[i].idx & LANE_MASK].window, run[i].pn))
			run[i].verdict = DROP_REPLAY;
}

static void open_runs(struct worker *w, unsigned n)
{
	for (unsigned i = 0, j; i < n; i = j) {
		struct session *s = w->in[i].session;
		for (j = i + 1; j < n && w->in[j].session == s; j++)
			;
		if (!s)
			continue;
		unmask(s, &w->in[i], j - i);
		open_batch(&s->rx, &w->in[i], j - i);
		commit(w, s, &w->in[i], j - i);
	}
}

/* ---- 4 deliver -------------------------------------------------------------------------------------------------- */

/* Control learns from any authentic packet that the peer has the keys. */
static void confirm(struct worker *w, const struct packet *p, const struct session *s)
{
	if (!atomic_load(&s->confirmed) && inbound_may_tell(w, s->remote, LETTER_CONFIRM))
		(void)post(w, p, worker_letter(w, LETTER_CONFIRM), s->named.idx, NULL, 0);
}

static void deliver(struct worker *w, struct packet *p, struct session *s)
{
	static const struct {
		uint8_t type, kind;
	} mailed[] = {
	    {INNER_CTRL, LETTER_CTRL},
	    {INNER_PROBE, LETTER_PROBE},
	    {INNER_PROBE_ACK, LETTER_PROBE_ACK},
	    {INNER_CLOSE, LETTER_CLOSE},
	};
	uint8_t type = p->data[0];
	bool frames = type == INNER_FRAME || type == INNER_EFRAME || type == INNER_BUNDLE;
	p->session = NULL;
	if (atomic_load(&s->confirmed) && type != INNER_PROBE && type != INNER_PROBE_ACK) /* those tell their source themselves */
		roam_check(w, p, s);
	for (unsigned i = 0; i < sizeof(mailed) / sizeof(mailed[0]) && !frames; i++)
		if (type == mailed[i].type) {
			mail_from(w, p, mailed[i].kind, s, INNER_HEADER);
			return;
		}
	if ((frames || type == INNER_FRAG) && s->class != CLASS_DATA) {
		confirm(w, p, s);
		p->verdict = DROP_CLASS;
	} else if (frames) {
		if (!deliver_frames(w, p, s))
			mail_from(w, p, LETTER_FRAME_IN, s, 0);
	} else {
		confirm(w, p, s);
		if (type == INNER_FRAG) {
			if (!deliver_piece(w, p, s))
				mail_from(w, p, LETTER_FRAME_IN, s, 0);
		} else if (type != INNER_PAD) {
			p->verdict = DROP_TYPE;
		}
	}
}

static unsigned batch_turn(struct worker *w)
{
	unsigned n = udp_recv(w->udp, w->number, &w->look_udp, w->in, BATCH_MAX);
	if (!n)
		return 0;
	sort(w, n);
	send_forwarded(w, n);
	open_runs(w, n);
	for (unsigned i = 0; i < n; i++)
		if (w->in[i].session && w->in[i].verdict == DROP_NONE)
			deliver(w, &w->in[i], w->in[i].session);
	deliver_end(w);
	outbound_flush(w); /* copies for others */
	worker_count_batch(w, w->in, n);
	return n;
}

unsigned inbound_turn(struct worker *w)
{
	unsigned moved = 0, n = 1;
	for (unsigned i = 0; i < INBOUND_BATCHES && w->look_udp && n; i++) {
		n = batch_turn(w);
		moved += n;
	}
	return moved;
}
