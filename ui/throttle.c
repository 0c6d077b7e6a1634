/* throttle.c: a table of who failed lately, by user and by source.
 *
 * Keys are hashes, so that a name or an address of any length is one slot. A full table of sources loses who failed longest
 * ago: who has addresses without end needs no old one. Users therefore have a table of their own that loses nobody: a name's place
 * follows from a seed drawn at start, and two names may share one, which makes the other wait, but no name is ever free again
 * because others were tried. Sources are those of limit.h.
 */
#include "ui/throttle.h"

#include <stdio.h>
#include <string.h>

#include "proto/ident.h"
#include "proto/random.h"
#include "ui/limit.h"

static void key_make(uint8_t ret[16], const char *label, const char *a, const char *b)
{
	uint8_t hash[32];
	hash256_parts(hash, label, a, strlen(a) + 1, b, strlen(b));
	memcpy(ret, hash, 16);
}

static struct throttle_slot *slot_of(struct throttle *t, uint64_t now, const uint8_t key[16])
{
	struct throttle_slot *oldest = &t->slots[0];
	for (unsigned i = 0; i < THROTTLE_SLOTS; i++) {
		struct throttle_slot *slot = &t->slots[i];
		if (!memcmp(slot->key, key, 16)) {
			if (now - slot->last >= THROTTLE_FORGET_MS)
				slot->tries = 0;
			return slot;
		}
		if (slot->last < oldest->last)
			oldest = slot;
	}
	*oldest = (struct throttle_slot){0};
	memcpy(oldest->key, key, 16);
	return oldest;
}

static struct throttle_slot *user_slot_of(struct throttle *t, uint64_t now, const char *user)
{
	uint8_t key[16];
	char seed[17];
	uint64_t at;
	while (!t->seed)
		random_bytes(&t->seed, sizeof(t->seed));
	snprintf(seed, sizeof(seed), "%016llx", (unsigned long long)t->seed);
	key_make(key, "farlan login user", seed, user);
	memcpy(&at, key, sizeof(at));
	struct throttle_slot *slot = &t->users[at % THROTTLE_USERS];
	if (now - slot->last >= THROTTLE_FORGET_MS)
		slot->tries = 0;
	return slot;
}

static void charge(struct throttle_slot *slot, uint64_t now)
{
	slot->last = now;
	if (++slot->tries < THROTTLE_FREE)
		return;
	unsigned doubled = slot->tries - THROTTLE_FREE;
	uint64_t wait = doubled < 5 ? (uint64_t)THROTTLE_WAIT_MS << doubled : THROTTLE_MOST_MS;
	slot->until = now + (wait < THROTTLE_MOST_MS ? wait : THROTTLE_MOST_MS);
}

static bool friends(const struct throttle *t, const uint8_t key[16])
{
	for (unsigned i = 0; i < t->n_friends && i < THROTTLE_FRIENDS; i++)
		if (!memcmp(t->friends[i], key, 16))
			return true;
	return false;
}

uint64_t throttle_try(struct throttle *t, uint64_t now, const char *user, const char *from)
{
	uint8_t source_key[16], both[16];
	char source[64];
	limit_source(from, source);
	key_make(source_key, "farlan login source", source, "");
	key_make(both, "farlan login pair", user, source);
	bool known = friends(t, both);
	/* A friend has a slot of his own: other failures of a shared address do not hold him up either. */
	struct throttle_slot *source_slot = slot_of(t, now, known ? both : source_key);
	if (source_slot->until > now)
		return source_slot->until - now;
	if (!known) {
		struct throttle_slot *user_slot = user_slot_of(t, now, user);
		if (user_slot->until > now)
			return user_slot->until - now;
		charge(user_slot, now);
	}
	charge(source_slot, now);
	return 0;
}

/* One try back: the source's other failures stand, else it would buy guesses with logins of its own. */
static void forgive(struct throttle_slot *slot, bool all)
{
	slot->tries = all || !slot->tries ? 0 : slot->tries - 1;
	if (slot->tries < THROTTLE_FREE)
		slot->until = 0;
}

static void forgive_key(struct throttle *t, const uint8_t key[16], bool all)
{
	for (unsigned i = 0; i < THROTTLE_SLOTS; i++)
		if (!memcmp(t->slots[i].key, key, 16))
			forgive(&t->slots[i], all);
}

void throttle_good(struct throttle *t, uint64_t now, const char *user, const char *from)
{
	uint8_t key[16];
	char source[64];
	limit_source(from, source);
	key_make(key, "farlan login source", source, "");
	forgive_key(t, key, false);
	forgive(user_slot_of(t, now, user), false);
	key_make(key, "farlan login pair", user, source);
	forgive_key(t, key, true);
	if (!friends(t, key))
		memcpy(t->friends[t->n_friends++ % THROTTLE_FRIENDS], key, 16);
}
