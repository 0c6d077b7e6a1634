/* clock.h: the one clock of everything that waits: monotonic, standing while the machine sleeps, the same in all threads of a process.
 *
 * For loops, threads and the command line, which make "now"; proto and the core of the node get it as an argument and never ask. (Mapping lives by the time routers count, which goes on
 * in a sleep: it has a clock of its own.)
 */
#ifndef FARLAN_PROTO_BASE_CLOCK_H
#define FARLAN_PROTO_BASE_CLOCK_H

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
