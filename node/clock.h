/* clock.h: the one clock of everything that waits: monotonic, standing while the machine sleeps, the same in all threads of a process.
 *
 * For whoever makes "now"; the core below it gets it as an argument and never asks. (Mapping lives by the time routers count, which goes on
 * in a sleep: it has a clock of its own.)
 */
#ifndef FARLAN_NODE_CLOCK_H
#define FARLAN_NODE_CLOCK_H

#include <stdint.h>
#include <time.h>

static inline uint64_t clock_us(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static inline uint64_t clock_ms(void)
{
	return clock_us() / 1000;
}

#endif
