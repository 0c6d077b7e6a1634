/* throttle.c: a table of who failed lately, by source and by user, and who is let in before whom.
 *
 * Keys are hashes with a seed drawn at start, so that a name or an address of any length is one slot and nobody chooses whose
 * place to share. Sources are those of limit.h. Their table loses who was heard of longest ago; users have a table of their own
 * that loses nobody: two names may share a place, which makes the other wait, but no name is free again because others were tried.
 *
 * A user's password is tried a few times at most in half a minute, from wherever. If that were one gate for all, ten thousand
 * who hammer at it would leave no opening to its owner. There are three: friends (a source the user came in from before) have none
 * but their own failures; who keeps to the times he is told has one; the rest have another. Who asks too early more than a few
 * times is of the rest until he has been quiet for a minute, and so is who failed often; for IPv6 that is judged by the /48, since
 * /64s are to be had without end. What stays is that many sources which all keep to their times share that gate: they cannot
 * be told from the owner, and neither his browser at home nor a link made on the machine asks at it.
 */
#include "ui/throttle.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "proto/ident.h"
#include "proto/random.h"
#include "ui/limit.h"

static void key_make(struct throttle *t, uint8_t ret[16], const char *label, const char *a, const char *b)
{
	uint8_t hash[32];
	char text[2 * LIMIT_SOURCE + 16];
	while (!t->seed)
		random_bytes(&t->seed, sizeof(t->seed));
	int n = snprintf(text, sizeof(text), "%s %s", a, b);
	hash256_parts(hash, label, &t->seed, sizeof(t->seed), text, (size_t)n);
	memcpy(ret, hash, 16);
	ret[0] |= 1; /* never all zeros */
}

static struct throttle_source *source_find(struct throttle *t, uint64_t now, const uint8_t key[16])
{
	uint32_t at;
	memcpy(&at, key + 12, sizeof(at));
	struct throttle_source *set = t->sources[at % THROTTLE_SETS], *oldest = set;
	for (unsigned i = 0; i < THROTTLE_WAYS; i++) {
		if (!memcmp(set[i].key, key, 16)) {
			if (now - set[i].gate.last >= THROTTLE_FORGET_MS)
				set[i].gate.tries = 0;
			return &set[i];
		}
		if (set[i].asked < oldest->asked)
			oldest = &set[i];
	}
	*oldest = (struct throttle_source){.asked = now};
	memcpy(oldest->key, key, 16);
	return oldest;
}

static struct throttle_user *user_find(struct throttle *t, uint64_t now, const char *user)
{
	uint8_t key[16];
	uint32_t at;
	key_make(t, key, "farlan login user", user, "");
	memcpy(&at, key + 12, sizeof(at));
	struct throttle_user *u = &t->users[at % THROTTLE_USERS];
	if (now - u->patient.last >= THROTTLE_FORGET_MS)
		u->patient.tries = 0;
	if (now - u->rest.last >= THROTTLE_FORGET_MS)
		u->rest.tries = 0;
	return u;
}

/* Who a source is to those who judge patience: an IPv6 address is its /48. */
static void wide(const char *source, char ret[LIMIT_SOURCE])
{
	uint8_t ip[16];
	snprintf(ret, LIMIT_SOURCE, "%s", source);
	if (inet_pton(AF_INET6, source, ip) != 1)
		return;
	memset(ip + 6, 0, 10);
	inet_ntop(AF_INET6, ip, ret, LIMIT_SOURCE - 4);
	strcat(ret, "/48");
}

struct asker {
	struct throttle_friend *friend; /* NULL: none */
	struct throttle_source *source; /* a friend's own */
	struct throttle_source *wide;   /* of others; may be the same */
};

static struct throttle_friend *friend_find(struct throttle *t, const uint8_t pair[16])
{
	for (unsigned i = 0; i < THROTTLE_FRIENDS; i++)
		if (!memcmp(t->friends[i].key, pair, 16))
			return &t->friends[i];
	return NULL;
}

static struct asker asker_of(struct throttle *t, uint64_t now, const char *user, const char *from)
{
	struct asker a = {0};
	uint8_t key[16];
	char source[LIMIT_SOURCE], around[LIMIT_SOURCE];
	limit_source(from, source);
	key_make(t, key, "farlan login pair", user, source);
	a.friend = friend_find(t, key);
	if (!a.friend) { /* a friend has a slot of his own: other failures of a shared address do not hold him up either */
		wide(source, around);
		key_make(t, key, "farlan login source", around, "");
		a.wide = source_find(t, now, key);
		key_make(t, key, "farlan login source", source, "");
	}
	a.source = source_find(t, now, key);
	return a;
}

static bool patient(const struct asker *a)
{
	return a->wide->early <= THROTTLE_EARLY && a->wide->gate.tries <= THROTTLE_PATIENT;
}

enum throttle_class throttle_class(struct throttle *t, uint64_t now, const char *user, const char *from)
{
	struct asker a = asker_of(t, now, user, from);
	return a.friend ? THROTTLE_FRIEND : patient(&a) ? THROTTLE_WAITS : THROTTLE_REST;
}

static void charge(struct throttle_gate *gate, uint64_t now)
{
	gate->last = now;
	if (++gate->tries < THROTTLE_FREE)
		return;
	unsigned doubled = gate->tries - THROTTLE_FREE;
	uint64_t wait = doubled < 5 ? (uint64_t)THROTTLE_WAIT_MS << doubled : THROTTLE_MOST_MS;
	gate->until = now + (wait < THROTTLE_MOST_MS ? wait : THROTTLE_MOST_MS);
}

static void early_note(struct throttle_source *s, uint64_t now, bool early)
{
	if (now - s->asked >= THROTTLE_CALM_MS)
		s->early = 0;
	s->asked = now;
	s->early += early && s->early <= THROTTLE_EARLY;
}

uint64_t throttle_try(struct throttle *t, uint64_t now, const char *user, const char *from)
{
	struct asker a = asker_of(t, now, user, from);
	struct throttle_gate *own = &a.source->gate;
	struct throttle_user *u = a.friend ? NULL : user_find(t, now, user);
	struct throttle_gate *gate = !u ? NULL : patient(&a) ? &u->patient : &u->rest;
	uint64_t until = gate && gate->until > own->until ? gate->until : own->until;
	/* The gate's time is told to him as his own, so that it is known when he comes before it. */
	bool early = now < own->until;
	early_note(a.source, now, early);
	if (a.wide && a.wide != a.source)
		early_note(a.wide, now, early);
	if (until > now) {
		if (until > own->until)
			own->until = until;
		return until - now;
	}
	charge(own, now);
	if (a.wide && a.wide != a.source) {
		a.wide->gate.tries++;
		a.wide->gate.last = now;
	}
	if (gate)
		charge(gate, now);
	return 0;
}

/* Tries back: the source's other failures stand, else it would buy guesses with logins of its own. */
static void forgive(struct throttle_gate *gate, unsigned tries)
{
	gate->tries = gate->tries > tries ? gate->tries - tries : 0;
	if (gate->tries < THROTTLE_FREE)
		gate->until = 0;
}

/* A place for one more friend of that user: his oldest when he has his share, so that nobody drives out others' friends. */
static struct throttle_friend *friend_place(struct throttle *t, const uint8_t user[16])
{
	struct throttle_friend *oldest = &t->friends[0], *own = NULL;
	unsigned n = 0;
	for (unsigned i = 0; i < THROTTLE_FRIENDS; i++) {
		struct throttle_friend *f = &t->friends[i];
		if (f->since < oldest->since)
			oldest = f;
		if (memcmp(f->user, user, 16) != 0)
			continue;
		n++;
		if (!own || f->since < own->since)
			own = f;
	}
	return n >= THROTTLE_FRIENDS_EACH ? own : oldest;
}

void throttle_good(struct throttle *t, uint64_t now, const char *user, const char *from, unsigned tries, bool in)
{
	struct asker a = asker_of(t, now, user, from);
	struct throttle_user *u = user_find(t, now, user);
	uint8_t pair[16], name[16];
	char source[LIMIT_SOURCE];
	if (a.friend) {
		forgive(&a.source->gate, a.source->gate.tries);
		a.friend->codes = in ? 0 : a.friend->codes;
		a.friend->since = in ? now : a.friend->since;
		return;
	}
	forgive(&a.source->gate, tries);
	if (a.wide != a.source)
		forgive(&a.wide->gate, tries);
	forgive(patient(&a) ? &u->patient : &u->rest, tries);
	if (!in)
		return;
	limit_source(from, source);
	key_make(t, pair, "farlan login pair", user, source);
	key_make(t, name, "farlan login user", user, "");
	struct throttle_friend *place = friend_place(t, name);
	*place = (struct throttle_friend){.since = now};
	memcpy(place->key, pair, 16);
	memcpy(place->user, name, 16);
}

/* ---- codes ---- */

static uint64_t left(uint64_t codes, uint64_t at, uint64_t now)
{
	return codes > now - at ? codes - (now - at) : 0;
}

uint64_t throttle_code(struct throttle *t, uint64_t now, const char *user, const char *from)
{
	struct asker a = asker_of(t, now, user, from);
	const struct throttle_user *u = user_find(t, now, user);
	uint64_t codes = a.friend ? left(a.friend->codes, a.friend->codes_at, now) : left(u->codes, u->codes_at, now);
	uint64_t most = (CODE_FREE - 1) * CODE_EVERY_MS;
	return codes > most ? codes - most : 0;
}

void throttle_code_wrong(struct throttle *t, uint64_t now, const char *user, const char *from)
{
	struct asker a = asker_of(t, now, user, from);
	struct throttle_user *u = user_find(t, now, user);
	uint64_t *codes = a.friend ? &a.friend->codes : &u->codes, *at = a.friend ? &a.friend->codes_at : &u->codes_at;
	*codes = left(*codes, *at, now) + CODE_EVERY_MS;
	*at = now;
}
