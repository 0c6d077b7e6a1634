/* affinity.h: the core that a busy worker keeps to.
 *
 * All of it is for the worker's own thread, between its turns.
 */
#ifndef FARLAN_NODE_AFFINITY_H
#define FARLAN_NODE_AFFINITY_H

#include <sched.h>
#include <stdbool.h>
#include <stdint.h>

#define AFFINITY_KEPT_US 1000000 /* a core is kept for so long at least */
#define AFFINITY_CORES   256     /* among the first so many a better one is looked for */

struct affinity {
	uint64_t look_us;  /* when to look again; UINT64_MAX: never */
	unsigned number;   /* of the worker */
	bool kept;         /* to one core; else it goes where the scheduler puts it */
	int waits_fd;      /* the thread's schedstat; -1: there is none */
	uint64_t since_us; /* the last look, and until then: */
	uint64_t ran_ns, waited_ns;
	uint64_t idle_ns[AFFINITY_CORES]; /* each core, while one is kept */
	cpu_set_t may, set;               /* where it may run; what was set here last */
};

void affinity_begin(struct affinity *, unsigned number, uint64_t now_us);
void affinity_end(struct affinity *);
void affinity_look(struct affinity *, uint64_t now_us); /* monotonic microseconds */

/* How long the thread may sleep at most, ms; -1: for ever. Who keeps a core and sleeps is woken once to give it up. */
static inline int affinity_sleep_ms(const struct affinity *a)
{
	return a->kept ? AFFINITY_KEPT_US / 1000 : -1;
}

static inline void affinity_turn(struct affinity *a, uint64_t now_us)
{
	if (now_us >= a->look_us)
		affinity_look(a, now_us);
}

#endif
