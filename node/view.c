/* view.c: the index table, the roster, and the guest book that says when borrowed pointers end.
 *
 * The guest book is quiescent-state reclamation. A worker writes the epoch it saw into its own line before it reads anything
 * through the view; control first takes a thing out of sight, then raises the epoch and keeps the new value with the thing.
 * A worker whose line holds that value or more began its turn after the thing was out of sight; a line of 0 is a worker
 * that holds nothing and whose next reads will come after. Once all lines say so, nobody can hold the thing.
 * All of it is sequentially consistent: the worker's store of its line must not pass its later load of the view, and the
 * sanitizer has to be able to follow. Cost: two locked operations per turn of up to 64 packets.
 */
#include "node/view.h"

#include <assert.h>
#include <stdlib.h>

/* ---- index ------------------------------------------------------------------------------------------------------ */

/* Stands where something was taken away, so that probing goes on behind it. */
static struct named tombstone;

struct index *index_new(uint32_t slots)
{
	assert(slots >= 2 && !(slots & (slots - 1)));
	struct index *x = calloc(1, sizeof(*x) + (size_t)slots * sizeof(x->slot[0]));
	if (x)
		x->mask = slots - 1;
	return x;
}

/* Indices are random above the lane bits and drawn by us alone: no hash is needed and none can be provoked. */
static uint32_t index_start(const struct index *x, uint32_t idx)
{
	return idx >> 4 & x->mask;
}

struct named *index_find(const struct index *x, uint32_t idx)
{
	idx &= IDX_MASK;
	uint32_t at = index_start(x, idx);
	for (uint32_t i = 0; i <= x->mask; i++, at = (at + 1) & x->mask) {
		struct named *here = atomic_load(&x->slot[at]);
		if (!here)
			return NULL;
		if (here != &tombstone && here->idx == idx)
			return here;
	}
	return NULL;
}

bool index_put(struct index *x, struct named *n)
{
	assert(n->idx && !(n->idx & LANE_MASK) && n->kind != INDEX_NONE);
	uint32_t at = index_start(x, n->idx);
	for (uint32_t i = 0; i <= x->mask; i++, at = (at + 1) & x->mask) {
		struct named *here = atomic_load(&x->slot[at]);
		if (here == &tombstone) {
			atomic_store(&x->slot[at], n);
			return true;
		}
		if (!here) {
			if (x->used >= (x->mask + 1) / 2)
				return false;
			x->used++;
			atomic_store(&x->slot[at], n);
			return true;
		}
		assert(here->idx != n->idx);
	}
	return false;
}

void index_take(struct index *x, const struct named *n)
{
	uint32_t at = index_start(x, n->idx);
	for (uint32_t i = 0; i <= x->mask; i++, at = (at + 1) & x->mask) {
		struct named *here = atomic_load(&x->slot[at]);
		if (!here)
			return;
		if (here == n) {
			atomic_store(&x->slot[at], &tombstone);
			return;
		}
	}
}

/* Tombstones fill a table as well; where most of it is them, a clean one of the same size does, or every handshake ever made would leave its
 * slot behind. */
struct index *index_larger(const struct index *x)
{
	assert(x->mask < UINT32_MAX / 2);
	uint32_t live = 0;
	for (uint32_t i = 0; i <= x->mask; i++) {
		struct named *here = atomic_load(&x->slot[i]);
		live += here && here != &tombstone;
	}
	struct index *y = index_new(live > (x->mask + 1) / 4 ? (x->mask + 1) * 2 : x->mask + 1);
	if (!y)
		return NULL;
	for (uint32_t i = 0; i <= x->mask; i++) {
		struct named *here = atomic_load(&x->slot[i]);
		if (here && here != &tombstone) {
			bool room = index_put(y, here);
			assert(room); /* what fitted half a table fits its double */
			(void)room;
		}
	}
	return y;
}

/* ---- roster ----------------------------------------------------------------------------------------------------- */

uint32_t roster_place(const struct roster *r, uint64_t address)
{
	uint32_t from = 0, to = r->n;
	while (from < to) {
		uint32_t middle = from + (to - from) / 2;
		if (r->member[middle]->address < address)
			from = middle + 1;
		else
			to = middle;
	}
	return from < r->n && r->member[from]->address == address ? from : r->n;
}

struct member *roster_find(const struct roster *r, uint64_t address)
{
	uint32_t at = roster_place(r, address);
	return at < r->n ? r->member[at] : NULL;
}

bool port_address(const struct port *port, const uint8_t mac[6], uint64_t *ret_address)
{
	if (mac[0] != port->mac[0])
		return false;
	uint64_t address = 0;
	for (unsigned i = 1; i < 6; i++)
		address = address << 8 | (uint64_t)(mac[i] ^ port->mac[i]);
	*ret_address = address ^ port->address;
	return true;
}

/* ---- guest book ------------------------------------------------------------------------------------------------- */

struct retired {
	struct retired *next;
	uint64_t epoch; /* free once every guest is asleep or here */
	void *p;
	void (*free_it)(void *);
};

/* Gates hold secrets of private roots and networks. */
static void view_free(void *p)
{
	struct view *v = p;
	for (unsigned i = 0; i < v->n_gates; i++)
		gate_fini(&v->gates[i].gate);
	free(v);
}

void guestbook_init(struct guestbook *b, unsigned workers)
{
	assert(workers <= WORKERS_MAX);
	atomic_init(&b->view, NULL);
	atomic_init(&b->epoch, 1);
	for (unsigned i = 0; i < WORKERS_MAX; i++)
		atomic_init(&b->guest[i].at, 0);
	b->n = workers;
	b->first = NULL;
	b->last = &b->first;
}

static void retired_free(struct guestbook *b, uint64_t passed)
{
	while (b->first && b->first->epoch <= passed) {
		struct retired *r = b->first;
		b->first = r->next;
		if (!b->first)
			b->last = &b->first;
		r->free_it(r->p);
		free(r);
	}
}

void guestbook_fini(struct guestbook *b)
{
	guestbook_publish(b, NULL);
	retired_free(b, UINT64_MAX);
}

const struct view *guestbook_enter(struct guestbook *b, unsigned worker)
{
	assert(worker < b->n);
	/* The store, then the load: see above. An epoch that is old by the time it is stored only delays a free. */
	atomic_store(&b->guest[worker].at, atomic_load(&b->epoch));
	return atomic_load(&b->view);
}

void guestbook_leave(struct guestbook *b, unsigned worker)
{
	atomic_store(&b->guest[worker].at, 0);
}

void guestbook_publish(struct guestbook *b, const struct view *v)
{
	const struct view *old = atomic_exchange(&b->view, v);
	if (old)
		guestbook_retire(b, (void *)(uintptr_t)old, view_free);
}

void guestbook_retire(struct guestbook *b, void *p, void (*free_it)(void *))
{
	struct retired *r = malloc(sizeof(*r));
	/* Without a note of it nobody knows when it may go: losing it is the one safe answer to no memory. */
	if (!r)
		return;
	*r = (struct retired){.epoch = atomic_fetch_add(&b->epoch, 1) + 1, .p = p, .free_it = free_it};
	*b->last = r;
	b->last = &r->next;
}

void guestbook_reap(struct guestbook *b)
{
	if (!b->first)
		return;
	uint64_t passed = UINT64_MAX;
	for (unsigned i = 0; i < b->n; i++) {
		uint64_t at = atomic_load(&b->guest[i].at);
		if (at && at < passed)
			passed = at;
	}
	retired_free(b, passed);
}
