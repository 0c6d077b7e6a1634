/* heap.h: deadlines in order. A binary min-heap of timers embedded in their owners; one thread.
 *
 * An owner keeps all its deadlines as plain fields and puts its earliest into its one timer. The heap borrows the
 * timers; it grows by doubling and reports -ENOMEM. Times are milliseconds of whatever clock the caller uses.
 */
#ifndef FARLAN_PROTO_BASE_HEAP_H
#define FARLAN_PROTO_BASE_HEAP_H

#include <stddef.h>
#include <stdint.h>

#define NEVER UINT64_MAX

struct timer {
	uint64_t at;                                /* ms; NEVER while not in a heap */
	size_t slot;                                /* position + 1; 0 = not in a heap */
	void (*fire)(struct timer *, uint64_t now); /* called with the timer already taken out */
};

struct heap {
	struct timer **at;
	size_t n, room;
};

void heap_init(struct heap *);
void heap_fini(struct heap *);                            /* frees the array, not the timers */
int heap_set(struct heap *, struct timer *, uint64_t at); /* insert or move; at == NEVER takes it out. 0 or -ENOMEM */
void heap_cancel(struct heap *, struct timer *);          /* no-op when not in the heap */
uint64_t heap_next(const struct heap *);                  /* earliest deadline or NEVER */
unsigned heap_fire(struct heap *, uint64_t now);          /* fire all due, at most as many as were due at entry; count */

#endif
