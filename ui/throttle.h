/* throttle.h: how often somebody may try a password or a code: after a few failures the next try has to wait, longer each time.
 *
 * Control thread only; of fixed size; time is monotonic ms, given by the caller. A try is charged when it begins, so that many
 * at once gain nothing, and taken back when it was right. Names that do not exist are counted like those that do.
 */
#ifndef FARLAN_UI_THROTTLE_H
#define FARLAN_UI_THROTTLE_H

#include <stdbool.h>
#include <stdint.h>

#define THROTTLE_FREE         4     /* tries before any wait */
#define THROTTLE_WAIT_MS      1000  /* the first, then twice as long each time */
#define THROTTLE_MOST_MS      30000 /* never longer: who knows the password comes in */
#define THROTTLE_FORGET_MS    (15 * 60000)
#define THROTTLE_SETS         2048 /* of sources, */
#define THROTTLE_WAYS         16   /* so many each */
#define THROTTLE_USERS        1024
#define THROTTLE_FRIENDS      800   /* as many users as there may be, */
#define THROTTLE_FRIENDS_EACH 8     /* so many sources of each */
#define THROTTLE_EARLY        8     /* how often one may ask before it is time, and */
#define THROTTLE_CALM_MS      60000 /* how long it must be quiet after more than that */
#define THROTTLE_PATIENT      10    /* more failures than that are no patience either */
#define CODE_FREE             4     /* wrong codes, then one in */
#define CODE_EVERY_MS         (2 * 3600000ull)

struct throttle_gate {
	uint64_t last, until;
	unsigned tries;
};

struct throttle {
	struct throttle_source {
		uint8_t key[16]; /* zeros = free */
		uint64_t asked;  /* ms */
		unsigned early;
		struct throttle_gate gate;
	} sources[THROTTLE_SETS][THROTTLE_WAYS];
	struct throttle_user { /* without keys */
		struct throttle_gate patient, rest;
		uint64_t codes; /* ms until all wrong ones are forgotten, at that time: */
		uint64_t codes_at;
	} users[THROTTLE_USERS];
	struct throttle_friend {           /* user and source that fitted each other before */
		uint8_t key[16], user[16]; /* zeros = free */
		uint64_t since, codes, codes_at;
	} friends[THROTTLE_FRIENDS];
	uint64_t seed; /* where they all stand; 0 = not drawn yet */
};

enum throttle_class { THROTTLE_REST, THROTTLE_WAITS, THROTTLE_FRIEND };
/* Who asks: a source from which the user came in before; one that keeps to the times it is told; any other. */
enum throttle_class throttle_class(struct throttle *, uint64_t now, const char *user, const char *from);

/* May this source try this user's password now? 0 = yes, and it is charged; else ms to wait. A friend is judged by his own
 * failures alone: others' guesses do not hold him up. Who keeps to the times he is told waits for his like only, not for those who
 * hammer: 30 s at most, however many they are. */
uint64_t throttle_try(struct throttle *, uint64_t now, const char *user, const char *from);
/* The last try was right; tries: how many of this user and source it took (two, when the code was asked for in between). in: with
 * all that is asked for he came in, so that this source is a friend from now on; else a password alone was right, which must not
 * buy tries of codes. */
void throttle_good(struct throttle *, uint64_t now, const char *user, const char *from, unsigned tries, bool in);

/* Codes of six digits: who tries them knows the password, and one in 300 000 is right. So few of a user may be wrong in a day,
 * from wherever they come, that the chance of a guess stays below 1 : 10 000 a day; only sources he came in from before have a
 * count of their own. 0, or ms to wait. */
uint64_t throttle_code(struct throttle *, uint64_t now, const char *user, const char *from);
void throttle_code_wrong(struct throttle *, uint64_t now, const char *user, const char *from);

#endif
