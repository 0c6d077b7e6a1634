/* heap.c: a binary min-heap of pointers, each timer knowing its own place.
 *
 * Children of i are 2i + 1 and 2i + 2. A timer's slot is its position + 1, so that a timer of zeros
 * is "in no heap"; thanks to it a move or a removal needs no search. Equal deadlines fire in no
 * promised order.
 */
#include "proto/base/heap.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#define HEAP_FIRST_ROOM 64

static void place(struct heap *h, size_t i, struct timer *t)
{
	h->at[i] = t;
	t->slot = i + 1;
}

static void sift_up(struct heap *h, size_t i, struct timer *t)
{
	while (i > 0) {
		size_t parent = (i - 1) / 2;
		if (h->at[parent]->at <= t->at)
			break;
		place(h, i, h->at[parent]);
		i = parent;
	}
	place(h, i, t);
}

static void sift_down(struct heap *h, size_t i, struct timer *t)
{
	for (size_t child; (child = 2 * i + 1) < h->n; i = child) {
		if (child + 1 < h->n && h->at[child + 1]->at < h->at[child]->at)
			child++;
		if (t->at <= h->at[child]->at)
			break;
		place(h, i, h->at[child]);
	}
	place(h, i, t);
}

/* Where the hole at i goes when t shall fill it: one of the two directions does nothing. */
static void settle(struct heap *h, size_t i, struct timer *t)
{
	if (i > 0 && t->at < h->at[(i - 1) / 2]->at)
		sift_up(h, i, t);
	else
		sift_down(h, i, t);
}

static int grow(struct heap *h)
{
	size_t room = h->room ? 2 * h->room : HEAP_FIRST_ROOM;
	struct timer **at = reallocarray(h->at, room, sizeof(*at));
	if (!at)
		return -ENOMEM;
	h->at = at;
	h->room = room;
	return 0;
}

void heap_init(struct heap *h)
{
	*h = (struct heap){0};
}

void heap_fini(struct heap *h)
{
	for (size_t i = 0; i < h->n; i++) {
		h->at[i]->slot = 0;
		h->at[i]->at = NEVER;
	}
	free(h->at);
	*h = (struct heap){0};
}

int heap_set(struct heap *h, struct timer *t, uint64_t at)
{
	if (at == NEVER) {
		heap_cancel(h, t);
		return 0;
	}
	if (t->slot) {
		assert(t->slot <= h->n && h->at[t->slot - 1] == t);
		t->at = at;
		settle(h, t->slot - 1, t);
		return 0;
	}
	if (h->n == h->room) {
		int rc = grow(h);
		if (rc)
			return rc;
	}
	t->at = at;
	sift_up(h, h->n++, t);
	return 0;
}

void heap_cancel(struct heap *h, struct timer *t)
{
	if (!t->slot)
		return;
	size_t i = t->slot - 1;
	assert(i < h->n && h->at[i] == t);
	struct timer *last = h->at[--h->n];
	if (last != t)
		settle(h, i, last);
	t->slot = 0;
	t->at = NEVER;
}

uint64_t heap_next(const struct heap *h)
{
	return h->n ? h->at[0]->at : NEVER;
}

/* Only below a due timer can there be due ones: the walk costs the due ones, not the heap. Depth
 * log2(n). */
static size_t count_due(const struct heap *h, size_t i, uint64_t now)
{
	if (i >= h->n || h->at[i]->at > now)
		return 0;
	return 1 + count_due(h, 2 * i + 1, now) + count_due(h, 2 * i + 2, now);
}

/* The bound keeps a timer that arms itself for "now" from holding the turn for ever. */
unsigned heap_fire(struct heap *h, uint64_t now)
{
	size_t due = count_due(h, 0, now);
	unsigned fired = 0;
	while (fired < due && h->n && h->at[0]->at <= now) {
		struct timer *t = h->at[0];
		heap_cancel(h, t);
		fired++;
		t->fire(t, now);
	}
	return fired;
}
