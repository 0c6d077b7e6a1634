/* limit.h: how many requests somebody may make: a bucket of tokens for each who asks, by whatever name the caller knows him.
 *
 * Control thread only; of fixed size; time is monotonic ms, given by the caller. Who was not heard of for longest gives way, so a
 * crowd of new names forgets old debts rather than growing the table.
 */
#ifndef FARLAN_UI_LIMIT_H
#define FARLAN_UI_LIMIT_H

#include <stdint.h>

#define LIMIT_WAYS 4
#define LIMIT_SETS 256

struct limits {
	struct limit {
		uint64_t key;    /* 0 = free */
		uint64_t filled; /* ms: when tokens was right */
		uint32_t tokens; /* thousandths */
	} bucket[LIMIT_SETS][LIMIT_WAYS];
	uint64_t seed; /* 0 = not drawn yet */
};

struct limit_rate {
	uint32_t per_s, burst; /* burst at most 1000000 */
};

/* Takes one token of that name's. 0 = it was there; else the ms until there is one. */
uint64_t limit_take(struct limits *, const char *name, struct limit_rate, uint64_t now);

#define LIMIT_SOURCE 64
/* Who an address is, for all that counts by it: an IPv6 address is its /64, since every household has that many; else as it is. */
void limit_source(const char *peer, char ret[LIMIT_SOURCE]);

#endif
