/* Theory of operation: the cells of one subject's ring in their order, and what is worth to know of them all. A cell that has another time
 * than its place in the window is a day or a month old and does not count. Those who carried most are found without reading everybody's
 * cells: each subject knows how much its ring holds, old cells too, which is never less than what counts; so they are looked through in
 * that order until nobody further down can be more than the last of those found. Who told nothing since the window begins has nothing in it. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "controller/edit.h"
#include "controller/traffic_parts.h"

#define HOLDERS_MAX 200 /* looked through; who carried much before the window and little in it stands in the way of others */

/* The window: slots first .. first + n - 1, of which the last is now's. */
static uint64_t window_first(const struct controller *c, const struct traffic_ring *ring)
{
	uint64_t now = c->wall_s / ring->step;
	return now >= ring->slots - 1 ? now - (ring->slots - 1) : 0;
}

static int cell_read(struct controller *c, const struct traffic_ring *ring, uint64_t subject, uint64_t slot, struct traffic_cell *ret)
{
	int r = store_traffic_cell(c->store, ring->first + (unsigned)(slot % ring->slots), subject, ret);
	return r ? r : ret->slot == slot ? 0 : -ENOENT;
}

/* ---- drops by reason -------------------------------------------------------------------- */

struct shelf { /* all reasons in all slots: too much for a stack */
	uint64_t total[TALLIES], slot[TALLIES][TRAFFIC_SLOTS_MAX];
};

static unsigned largest(const struct shelf *s, const bool taken[TALLIES])
{
	unsigned best = TALLIES;
	for (unsigned i = 0; i < TALLIES; i++)
		if (s->total[i] && !taken[i] && i != REASON_OTHER && (best == TALLIES || s->total[i] > s->total[best]))
			best = i;
	return best;
}

static void reason_add(struct traffic_reason *to, const struct shelf *s, unsigned reason, unsigned slots)
{
	to->total += s->total[reason];
	for (unsigned i = 0; i < slots; i++)
		to->slot[i] += s->slot[reason][i];
}

static void reasons_view(const struct traffic *t, const struct shelf *s, unsigned slots, struct traffic_view *v)
{
	bool taken[TALLIES] = {false};
	struct traffic_reason rest = {.name = "other"};
	unsigned next;
	while (v->n_reasons < TRAFFIC_REASONS_MAX - 1 && (next = largest(s, taken)) < TALLIES) {
		struct traffic_reason *to = &v->reason[v->n_reasons++];
		taken[next] = true;
		if (next < t->n_reasons)
			memcpy(to->name, t->reason[next], sizeof(to->name));
		reason_add(to, s, next, slots);
	}
	for (unsigned i = 0; i < TALLIES; i++)
		if (s->total[i] && !taken[i])
			reason_add(&rest, s, i, slots);
	if (rest.total)
		v->reason[v->n_reasons++] = rest;
}

/* ---- the slots -------------------------------------------------------------------------- */

static void slot_take(struct traffic_view *v, struct shelf *s, unsigned at, const struct traffic_cell *cell)
{
	struct traffic_slot *slot = &v->slot[at];
	slot->told = true;
	slot->count = cell->count;
	slot->rtt_us = rtt_median(&cell->rtt);
	for (unsigned i = 0; i < TALLIES; i++) {
		slot->drops += cell->drops.of[i];
		s->total[i] += cell->drops.of[i];
		s->slot[i][at] = cell->drops.of[i];
	}
	count_add(&v->total, &cell->count);
	v->drops += slot->drops;
}

static int slots_view(struct controller *c, const struct traffic_ring *ring, uint64_t subject, struct shelf *s, struct traffic_view *v)
{
	struct traffic_cell cell;
	int r = 0;
	for (unsigned i = 0; i < ring->slots && (!r || r == -ENOENT); i++) {
		r = cell_read(c, ring, subject, v->start / ring->step + i, &cell);
		if (!r)
			slot_take(v, s, i, &cell);
	}
	return r == -ENOENT ? 0 : r;
}

/* ---- those who carried most ------------------------------------------------------------- */

static uint64_t bytes_of(const struct traffic_count *count)
{
	return count->rx_bytes + count->tx_bytes;
}

static void member_insert(struct traffic_view *v, const struct traffic_holder *h, const struct traffic_count *count)
{
	unsigned at = v->n_members;
	while (at && bytes_of(&v->member[at - 1].count) < bytes_of(count))
		at--;
	if (at == TRAFFIC_MEMBERS_MAX || !bytes_of(count))
		return;
	v->n_members += v->n_members < TRAFFIC_MEMBERS_MAX;
	memmove(&v->member[at + 1], &v->member[at], (v->n_members - 1 - at) * sizeof(v->member[0]));
	v->member[at] = (struct traffic_member){.address = h->address, .count = *count};
	memcpy(v->member[at].name, h->name, sizeof(h->name));
}

static int members_view(struct controller *c, uint64_t nwid, enum traffic_range range, struct traffic_view *v)
{
	const struct traffic_ring *ring = &traffic_rings[range];
	uint64_t first = v->start / ring->step;
	struct traffic_holder *list = malloc(HOLDERS_MAX * sizeof(*list));
	struct traffic_count count;
	unsigned n = 0;
	int r = list ? store_traffic_holders(c->store, nwid, range, v->start, list, HOLDERS_MAX, &n) : -ENOMEM;
	for (unsigned i = 0; i < n && !r; i++) {
		if (v->n_members == TRAFFIC_MEMBERS_MAX && bytes_of(&v->member[TRAFFIC_MEMBERS_MAX - 1].count) >= list[i].held)
			break;
		r = store_traffic_sum(c->store, list[i].subject, ring->first, ring->first + ring->slots, first, first + ring->slots - 1,
		                      &count);
		if (!r)
			member_insert(v, &list[i], &count);
	}
	free(list);
	return r;
}

/* ---- all of it -------------------------------------------------------------------------- */

static int view(struct controller *c, struct publication *p, const uint8_t *key_hash, enum traffic_range range, struct traffic_view *v)
{
	const struct traffic_ring *ring = &traffic_rings[range];
	const struct traffic *t = traffic_open(c, p);
	struct shelf *shelf = calloc(1, sizeof(*shelf));
	struct traffic_subject subject = {0};
	uint64_t member, before = c->wall_s / ring->step;
	before -= before > 0;
	int r = t && shelf ? store_traffic_subject(c->store, p->nwid, key_hash, &subject, &member) : -ENOMEM;
	*v = (struct traffic_view){.start = window_first(c, ring) * ring->step};
	if (r == -ENOENT) /* nothing was told: empty slots */
		r = 0;
	else if (!r)
		r = slots_view(c, ring, subject.id, shelf, v);
	if (!r)
		reasons_view(t, shelf, ring->slots, v);
	if (!r && !key_hash)
		r = members_view(c, p->nwid, range, v);
	if (!r && !key_hash)
		r = store_traffic_reporting(c->store, p->nwid, ring->first + (unsigned)(before % ring->slots), before, &v->reporting);
	free(shelf);
	return r;
}

enum admin_status controller_traffic(struct controller *c, uint64_t nwid, uint64_t member, enum traffic_range range,
                                     struct traffic_view *ret, struct admin_error *error)
{
	struct network_record n;
	struct publication *p = NULL;
	struct edit e;
	enum admin_status status = member ? edit_find(c, nwid, member, &e, error) : admin_network(c, nwid, &n, &p, error);
	if (status)
		return status;
	int r = view(c, member ? e.publication : p, member ? e.was.identity.key_hash : NULL, range, ret);
	return r ? admin_unavailable(c, error, r) : ADMIN_OK;
}

bool controller_traffic_total(struct controller *c, uint64_t nwid, struct traffic_count *ret, uint64_t *ret_drops)
{
	struct publication *p = publication_find(c, nwid);
	const struct traffic *t = p ? traffic_open(c, p) : NULL;
	if (!t || !t->any)
		return false;
	*ret = t->total;
	*ret_drops = t->drops;
	return true;
}
