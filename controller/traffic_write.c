/* Theory of operation: what waits in memory goes into the cells, all members of ten seconds in one transaction that has nothing else in
 * it: it is open only here, after the turn of the admin and the members is committed and answered. If it fails (a full disk) it is rolled
 * back alone, waits a minute, and what waited goes on waiting; neither the controller's health nor anybody's join hears of it.
 * Members are many, so at most some of them are written at once.
 *
 * A cell of a ring has one time and no other: what stands there of another one is replaced, whether that is older or, since the
 * clock was set back, newer. So nothing a clock does makes the tables grow. */
#include "controller/traffic_parts.h"

#include <errno.h>
#include <string.h>

#include "proto/base/log.h"

#define WRITE_MAX      500 /* members at once */
#define WRITE_NEXT_MS  1000
#define WRITE_AGAIN_MS 60000
#define SWEEP_MAX      16
#define HELD_MAX       (INT64_MAX / (TRAFFIC_SLOTS_MAX + 1))
#define TELL_EVERY_MS  9500 /* less than the time between two writes */

struct handful {
	unsigned n;
	struct batched {
		struct traffic *traffic;
		struct carried *carried;
	} at[WRITE_MAX];
	bool more; /* there was no room for all */
};

static void tallies_add(struct tallies *to, const struct tallies *more)
{
	for (unsigned i = 0; i < TALLIES; i++)
		to->of[i] += more->of[i] < INT64_MAX - to->of[i] ? more->of[i] : 0;
}

/* What a cell counts for in its ring's sum. A month of cells stays below what an INTEGER holds, whatever liars tell, or nothing of anybody could
 * be written any more; no port carries as much in two hours. */
static int64_t held_by(const struct traffic_cell *cell)
{
	uint64_t bytes = cell->count.rx_bytes + cell->count.tx_bytes;
	return bytes < HELD_MAX ? (int64_t)bytes : HELD_MAX;
}

static int cell_add(struct store *s, uint64_t subject, const struct traffic_ring *ring, const struct traffic_cell *more, int64_t *held)
{
	struct traffic_cell cell;
	unsigned at = ring->first + (unsigned)(more->slot % ring->slots);
	int r = store_traffic_cell(s, at, subject, &cell);
	if (r && r != -ENOENT)
		return r;
	if (!r)
		*held -= held_by(&cell);
	if (!r && cell.slot == more->slot) {
		count_add(&cell.count, &more->count);
		tallies_add(&cell.rtt, &more->rtt);
		tallies_add(&cell.drops, &more->drops);
	} else {
		cell = *more;
	}
	*held += held_by(&cell);
	return store_traffic_cell_put(s, at, subject, &cell);
}

/* What of it belongs into one slot. */
static struct traffic_cell piece_of(const struct carried *e, uint64_t slot, uint32_t step)
{
	struct traffic_cell p = {.slot = slot};
	uint64_t a = slot * step, b = a + step;
	p.count.rx_bytes = spread_piece(e->more.rx_bytes, e->from_s, e->at_s, a, b);
	p.count.rx_frames = spread_piece(e->more.rx_frames, e->from_s, e->at_s, a, b);
	p.count.tx_bytes = spread_piece(e->more.tx_bytes, e->from_s, e->at_s, a, b);
	p.count.tx_frames = spread_piece(e->more.tx_frames, e->from_s, e->at_s, a, b);
	for (unsigned i = 0; i < e->n_drops; i++)
		p.drops.of[e->drop[i].reason] = spread_piece(e->drop[i].more, e->from_s, e->at_s, a, b);
	if (e->rtt_us)
		p.rtt.of[rtt_bucket(e->rtt_us)] = 1;
	return p;
}

static int rings_add(struct store *s, const struct carried *e, uint64_t member, uint64_t network, int64_t held[2][TRAFFIC_RANGES])
{
	int r = 0;
	uint64_t end = e->at_s > e->from_s ? e->at_s - 1 : e->at_s;
	for (unsigned i = 0; i < TRAFFIC_RANGES; i++) {
		const struct traffic_ring *ring = &traffic_rings[i];
		for (uint64_t slot = e->from_s / ring->step; !r && slot <= end / ring->step; slot++) { /* an hour's at most */
			struct traffic_cell piece = piece_of(e, slot, ring->step);
			r = cell_add(s, member, ring, &piece, &held[0][i]);
			if (!r)
				r = cell_add(s, network, ring, &piece, &held[1][i]);
		}
	}
	return r;
}

static int subject_of(struct store *s, uint64_t nwid, const uint8_t *key_hash, struct traffic_subject *ret)
{
	uint64_t member;
	*ret = (struct traffic_subject){0};
	int r = store_traffic_subject(s, nwid, key_hash, ret, &member);
	if (r != -ENOENT || (key_hash && !member)) /* -ENOENT: no member any more */
		return r;
	r = store_traffic_subject_new(s, nwid, member, &ret->id);
	ret->member = member;
	return r;
}

static int member_put(struct store *s, uint64_t nwid, const struct carried *e, struct traffic_subject *network,
                      int64_t held[TRAFFIC_RANGES])
{
	struct traffic_subject subject;
	int64_t both[2][TRAFFIC_RANGES] = {0};
	int r = subject_of(s, nwid, e->key_hash, &subject);
	if (r)
		return r == -ENOENT ? 0 : r;
	r = rings_add(s, e, subject.id, network->id, both);
	if (r)
		return r;
	for (unsigned i = 0; i < TRAFFIC_RANGES; i++)
		held[i] += both[1][i];
	count_add(&network->last, &e->more);
	for (unsigned i = 0; i < e->n_drops; i++)
		network->drops.of[e->drop[i].reason] += e->drop[i].more;
	subject.epoch = e->epoch;
	subject.at_s = e->at_s;
	subject.last = e->last;
	subject.drops = (struct tallies){0};
	for (unsigned i = 0; i < e->n_drops; i++)
		subject.drops.of[e->drop[i].reason] = e->drop[i].last;
	return store_traffic_subject_save(s, nwid, &subject, both[0]);
}

static int network_put(struct controller *c, struct publication *p, struct handful *b)
{
	struct traffic *t = p->traffic;
	struct traffic_subject network = {0};
	int64_t held[TRAFFIC_RANGES] = {0};
	int r = 0;
	for (unsigned i = 0; !r && i < t->n; i++) {
		if (!t->list[i]->dirty)
			continue;
		if (b->n == WRITE_MAX) {
			b->more = true;
			break;
		}
		if (!network.id)
			r = subject_of(c->store, p->nwid, NULL, &network);
		if (!r)
			r = member_put(c->store, p->nwid, t->list[i], &network, held);
		b->at[b->n++] = (struct batched){t, t->list[i]};
	}
	for (unsigned i = t->n_saved; !r && i < t->n_reasons; i++)
		r = store_traffic_reason_put(c->store, p->nwid, i, t->reason[i]);
	if (r || !network.id)
		return r;
	network.at_s = c->wall_s;
	t->writing = network.last;
	t->drops_writing = 0;
	for (unsigned i = 0; i < TALLIES; i++)
		t->drops_writing += network.drops.of[i];
	return store_traffic_subject_save(c->store, p->nwid, &network, held);
}

static void written(struct controller *c, const struct handful *b)
{
	for (unsigned i = 0; i < b->n; i++) {
		struct carried *e = b->at[i].carried;
		e->dirty = false;
		e->more = (struct traffic_count){0};
		for (unsigned k = 0; k < e->n_drops; k++)
			e->drop[k].more = 0;
		b->at[i].traffic->total = b->at[i].traffic->writing;
		b->at[i].traffic->drops = b->at[i].traffic->drops_writing;
		b->at[i].traffic->any = b->at[i].traffic->fresh = true;
		b->at[i].traffic->n_saved = b->at[i].traffic->n_reasons;
	}
	for (unsigned i = 0; i < c->n_publications; i++) {
		struct traffic *t = c->publications[i]->traffic;
		if (!t || !t->fresh || (t->told_ms && c->now_ms - t->told_ms < TELL_EVERY_MS))
			continue;
		t->fresh = false;
		t->told_ms = c->now_ms;
		change_note(c, CHANGE_TRAFFIC, c->publications[i]->nwid, 0, false);
	}
}

/* 0 or -errno; then nothing of it is written. */
static int batch_write(struct controller *c, struct handful *b)
{
	unsigned swept = 0;
	int r = 0;
	for (unsigned i = 0; !r && i < c->n_publications; i++)
		if (c->publications[i]->traffic)
			r = network_put(c, c->publications[i], b);
	if (!r)
		r = store_traffic_sweep(c->store, SWEEP_MAX, &swept);
	b->more = b->more || swept == SWEEP_MAX;
	bool writes = store_changed(c->store);
	if (!r)
		r = store_commit(c->store);
	if (r)
		store_rollback(c->store);
	c->traffic_figures.written += !r && writes;
	return r;
}

void traffic_settle(struct controller *c)
{
	struct handful b = {0};
	if (!c->trusted || c->now_ms < c->traffic_due)
		return;
	if (store_changed(c->store) || c->retry_at) { /* the turn comes first */
		c->traffic_due = c->now_ms + WRITE_NEXT_MS;
		return;
	}
	int r = batch_write(c, &b);
	if (r) {
		if (!c->traffic_failing)
			log_warning("controller: what members carried is not written down for now: %s", strerror(-r));
		c->traffic_failing = true;
		c->traffic_figures.failed++;
		c->traffic_due = c->now_ms + WRITE_AGAIN_MS;
		return;
	}
	c->traffic_failing = false;
	written(c, &b);
	c->traffic_due = b.more ? c->now_ms + WRITE_NEXT_MS : NEVER;
}

void traffic_close(struct controller *c)
{
	unsigned most = PRESENCES_MAX / WRITE_MAX + 1;
	do {
		if (c->traffic_due == NEVER)
			return;
		c->traffic_due = 0;
		traffic_settle(c);
	} while (!c->traffic_failing && !c->retry_at && --most);
}
