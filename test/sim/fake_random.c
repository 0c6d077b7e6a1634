/* fake_random.c: chance and the time of day, both in the hands of the scenario.
 *
 * Everything that asks libsodium or the kernel for random bytes draws from the running simulation's seed (outside of one, from a fixed
 * state: keys made there mean nothing). Whoever asks for the time of day is counted and gets what the scenario says, so that a node that
 * looks at the clock is found out.
 */
#include <assert.h>
#include <sodium.h>
#include <string.h>
#include <sys/random.h>
#include <sys/time.h>
#include <time.h>

#include "test/sim/sim.h"

uint64_t wall_reads;
int64_t wall_offset;

static struct sim *drawn_from;
static uint64_t outside = 1;

static uint64_t *state(void)
{
	return drawn_from ? &drawn_from->entropy : &outside;
}

static const char *name(void)
{
	return "simulated";
}

static uint32_t word(void)
{
	return (uint32_t)(mix64(state()) >> 32);
}

static void fill(void *const to, const size_t n)
{
	uint8_t *at = to;
	for (size_t i = 0; i < n; i += 8) {
		uint64_t v = mix64(state());
		memcpy(at + i, &v, n - i < 8 ? n - i : 8);
	}
}

static randombytes_implementation source = {.implementation_name = name, .random = word, .buf = fill};

void random_seed(struct sim *sim)
{
	static bool set;
	if (!set)
		assert(!randombytes_set_implementation(&source) && sodium_init() >= 0);
	set = true;
	drawn_from = sim;
}

ssize_t getrandom(void *to, size_t n, unsigned flags)
{
	(void)flags;
	fill(to, n);
	return (ssize_t)n;
}

time_t time(time_t *ret)
{
	wall_reads++;
	time_t now = (time_t)(1700000000 + wall_offset + (drawn_from ? (int64_t)(drawn_from->now / SECOND) : 0));
	if (ret)
		*ret = now;
	return now;
}

int gettimeofday(struct timeval *restrict ret, void *restrict zone)
{
	(void)zone;
	*ret = (struct timeval){.tv_sec = time(NULL)};
	return 0;
}
