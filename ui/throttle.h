/* throttle.h: how often somebody may try a password: after a few failures the next try has to wait, longer each time.
 *
 * Control thread only; of fixed size; time is monotonic ms, given by the caller. A try is charged when it begins, so that many
 * at once gain nothing, and taken back when it was right. Names that do not exist are counted like those that do.
 */
#ifndef FARLAN_UI_THROTTLE_H
#define FARLAN_UI_THROTTLE_H

#include <stdbool.h>
#include <stdint.h>

#define THROTTLE_FREE      4     /* tries before any wait */
#define THROTTLE_WAIT_MS   1000  /* the first, then twice as long each time */
#define THROTTLE_MOST_MS   30000 /* never longer: who knows the password comes in */
#define THROTTLE_FORGET_MS (15 * 60000)
#define THROTTLE_SLOTS     512 /* sources */
#define THROTTLE_USERS     1024
#define THROTTLE_FRIENDS   64

struct throttle {
	struct throttle_slot {
		uint8_t key[16]; /* zeros = free */
		uint64_t last, until;
		unsigned tries;
	} slots[THROTTLE_SLOTS], users[THROTTLE_USERS]; /* users: without keys */
	uint64_t seed;                                  /* where users stand; 0 = not drawn yet */
	uint8_t friends[THROTTLE_FRIENDS][16];          /* user and source that fit each other before */
	unsigned n_friends;                             /* ever; the oldest gives way */
};

/* May this source try this user's password now? 0 = yes, and it is charged; else ms to wait. A source from which the user came
 * in before is judged by its own failures alone: others' guesses do not hold him up. */
uint64_t throttle_try(struct throttle *, uint64_t now, const char *user, const char *from);
void throttle_good(struct throttle *, uint64_t now, const char *user, const char *from); /* the last try was right */

#endif
