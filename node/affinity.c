/* affinity.c: where a worker's thread runs.
 *
 * A worker with little to do goes where the scheduler puts it: then nothing counts but how soon it is awake. One that works
 * through a load keeps to a core of its own, number modulo cores: its slabs lie in that core's cache, and a scheduler
 * that wakes it wherever the last frame came from has been seen to put sender, daemon and reader on one core while another slept
 * (select_idle_sibling looks at no other core once the machine is busy, and balancing leaves alone what ran half a millisecond
 * ago). Other programs on that core can still go elsewhere, and the balancer sends them: threads that may not move are no reason
 * for it to leave those that may.
 * A mask that somebody else has set meanwhile (taskset) is the new frame for all this, and is never widened.
 */
#include "node/affinity.h"

#include <time.h>

#define FREE_US 20000 /* looks while free: a load is known after a fiftieth of a second; its end after a second, not in each pause */
#define BUSY    4     /* it keeps to a core from a fourth of the core's time on, */
#define QUIET   16    /* until a sixteenth */

static uint64_t ran_ns(void)
{
	struct timespec t;
	return clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t) ? 0 : (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

void affinity_begin(struct affinity *a, unsigned number, uint64_t now_us)
{
	*a = (struct affinity){.number = number, .look_us = now_us + FREE_US, .since_us = now_us, .ran_ns = ran_ns()};
	/* More cores than a cpu_set_t has: none is kept to. */
	if (sched_getaffinity(0, sizeof(a->may), &a->may))
		a->look_us = UINT64_MAX;
}

/* The worker's core of those that it may use. */
static unsigned home(const struct affinity *a)
{
	unsigned left = a->number % (unsigned)CPU_COUNT(&a->may), core = 0;
	while (!CPU_ISSET(core, &a->may) || left--)
		core++;
	return core;
}

static bool set(struct affinity *a, const cpu_set_t *cores)
{
	if (sched_setaffinity(0, sizeof(*cores), cores))
		return false;
	a->set = *cores;
	return true;
}

static bool keep(struct affinity *a)
{
	cpu_set_t one;
	if (sched_getaffinity(0, sizeof(a->may), &a->may) || CPU_COUNT(&a->may) < 2)
		return false;
	CPU_ZERO(&one);
	CPU_SET(home(a), &one);
	return set(a, &one);
}

static void leave(struct affinity *a)
{
	cpu_set_t now;
	if (!sched_getaffinity(0, sizeof(now), &now) && CPU_EQUAL(&now, &a->set))
		set(a, &a->may);
}

void affinity_look(struct affinity *a, uint64_t now_us)
{
	uint64_t ran = ran_ns(), span = (now_us - a->since_us) * 1000, used = ran - a->ran_ns;
	if (!a->kept && used >= span / BUSY) {
		a->kept = keep(a);
	} else if (a->kept && used < span / QUIET) {
		leave(a);
		a->kept = false;
	}
	a->since_us = now_us;
	a->ran_ns = ran;
	a->look_us = now_us + (a->kept ? AFFINITY_KEPT_US : FREE_US);
}
