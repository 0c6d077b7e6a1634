/* throttle.c: a table of who failed lately, by user and by source.
 *
 * Keys are hashes, so that a name or an address of any length is one slot and nobody chooses where it stands. A full table
 * loses who failed longest ago: who fills it with addresses of his own pays a try for each, and the user's slot, which is
 * charged with all of them, stays young. IPv6 sources count by /64, since every host has that many addresses.
 */
#include "ui/throttle.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "proto/ident.h"

static void key_make(uint8_t ret[16], const char *label, const char *a, const char *b)
{
	uint8_t hash[32];
	hash256_parts(hash, label, a, strlen(a) + 1, b, strlen(b));
	memcpy(ret, hash, 16);
}

/* "2001:db8::7" counts as its /64; anything else as it is. */
static void source_of(const char *from, char ret[64])
{
	uint8_t ip[16];
	snprintf(ret, 64, "%s", from);
	if (inet_pton(AF_INET6, from, ip) != 1)
		return;
	memset(ip + 8, 0, 8);
	inet_ntop(AF_INET6, ip, ret, 64);
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
	uint8_t user_key[16], source_key[16], both[16];
	char source[64];
	source_of(from, source);
	key_make(user_key, "farlan login user", user, "");
	key_make(source_key, "farlan login source", source, "");
	key_make(both, "farlan login pair", user, source);
	bool known = friends(t, both);
	/* A friend has a slot of his own: other failures of a shared address do not hold him up either. */
	struct throttle_slot *source_slot = slot_of(t, now, known ? both : source_key);
	if (source_slot->until > now)
		return source_slot->until - now;
	if (!known) {
		source_slot->last = now; /* so that the next search does not take it away */
		struct throttle_slot *user_slot = slot_of(t, now, user_key);
		if (user_slot->until > now)
			return user_slot->until - now;
		charge(user_slot, now);
	}
	charge(source_slot, now);
	return 0;
}

/* One try back: the source's other failures stand, else it would buy guesses with logins of its own. */
static void forgive(struct throttle *t, const uint8_t key[16], bool all)
{
	for (unsigned i = 0; i < THROTTLE_SLOTS; i++) {
		struct throttle_slot *slot = &t->slots[i];
		if (memcmp(slot->key, key, 16) != 0)
			continue;
		slot->tries = all || !slot->tries ? 0 : slot->tries - 1;
		if (slot->tries < THROTTLE_FREE)
			slot->until = 0;
	}
}

void throttle_good(struct throttle *t, const char *user, const char *from)
{
	uint8_t key[16];
	char source[64];
	source_of(from, source);
	key_make(key, "farlan login source", source, "");
	forgive(t, key, false);
	key_make(key, "farlan login user", user, "");
	forgive(t, key, false);
	key_make(key, "farlan login pair", user, source);
	forgive(t, key, true);
	if (!friends(t, key))
		memcpy(t->friends[t->n_friends++ % THROTTLE_FRIENDS], key, 16);
}
