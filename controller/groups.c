/* Theory of operation: the controller as the anchor of last resort. A network without anchors has its members tell the
 * controller which multicast groups they take (SUB), and ask it about members they have no session with (GATHER). All of it is
 * soft: kept in memory, forgotten after GROUPS_TTL_MS unless told again, and void after a restart, when for a while the honest
 * answer is "later": who asks then floods, which costs more and loses nothing. A set is whole and replaces the last one; within
 * one run of the member (the upper half of seq) only a newer one does. One entry for each approved member at most, ascending
 * by address, so that an answer goes on where the last page ended.
 */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "controller/state.h"

#define GROUP_BYTES sizeof(((struct body_sub *)0)->group[0])

struct taker {
	uint64_t address;
	uint8_t key_hash[KEY_HASH_BYTES];
	uint64_t seq, heard_ms;
	bool all;
	uint32_t n;
	uint8_t (*group)[GROUP_BYTES]; /* owned, ascending; NULL = none */
};

struct takers {
	unsigned n, room;
	struct taker list[];
};

static unsigned position(const struct takers *t, uint64_t address)
{
	unsigned low = 0, high = t ? t->n : 0;
	while (low < high) {
		unsigned mid = (low + high) / 2;
		if (t->list[mid].address < address)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static void taker_remove(struct takers *t, unsigned i)
{
	free(t->list[i].group);
	memmove(&t->list[i], &t->list[i + 1], (--t->n - i) * sizeof(t->list[0]));
}

static bool expired(const struct controller *c, const struct taker *t)
{
	return c->now_ms - t->heard_ms > GROUPS_TTL_MS;
}

static struct taker *taker_find(struct publication *p, uint64_t address)
{
	unsigned i = position(p->takers, address);
	return p->takers && i < p->takers->n && p->takers->list[i].address == address ? &p->takers->list[i] : NULL;
}

/* A place for that address, blank. NULL = no memory, or no room even without those who are silent. */
static struct taker *taker_add(struct controller *c, struct publication *p, uint64_t address)
{
	struct takers *t = p->takers;
	for (unsigned i = t && t->n >= MEMBERS_MAX ? t->n : 0; i-- > 0;)
		if (expired(c, &t->list[i]))
			taker_remove(t, i);
	if (t && t->n >= MEMBERS_MAX)
		return NULL;
	if (!t || t->n == t->room) {
		unsigned room = t ? t->room * 2 : 16;
		t = realloc(t, sizeof(*t) + room * sizeof(t->list[0]));
		if (!t)
			return NULL;
		if (!p->takers)
			t->n = 0;
		t->room = room;
		p->takers = t;
	}
	unsigned i = position(t, address);
	memmove(&t->list[i + 1], &t->list[i], (t->n++ - i) * sizeof(t->list[0]));
	t->list[i] = (struct taker){.address = address};
	return &t->list[i];
}

static enum status take(struct controller *c, struct publication *p, const struct identity *from, const struct body_sub *b)
{
	uint8_t(*group)[GROUP_BYTES] = b->n ? malloc(b->n * GROUP_BYTES) : NULL;
	struct taker *t = b->n && !group ? NULL : taker_find(p, from->address);
	if (!t && (group || !b->n))
		t = taker_add(c, p, from->address);
	if (!t) {
		free(group);
		return STATUS_TRY_LATER;
	}
	if (group)
		memcpy(group, b->group, b->n * GROUP_BYTES);
	free(t->group);
	t->seq = b->seq;
	t->heard_ms = c->now_ms;
	t->all = b->flags & SUB_ALL;
	t->n = b->n;
	t->group = group;
	memcpy(t->key_hash, from->key_hash, KEY_HASH_BYTES);
	return STATUS_OK;
}

enum status groups_sub(struct controller *c, const struct identity *from, const uint8_t *body, size_t len)
{
	struct body_sub b;
	if (!body_sub_parse(body, len, &b))
		return STATUS_MALFORMED;
	struct publication *p = publication_find(c, b.nwid);
	if (!p || !member_approved(c, b.nwid, from->key_hash))
		return STATUS_DENIED;
	struct taker *t = taker_find(p, from->address);
	bool known = t && !memcmp(t->key_hash, from->key_hash, KEY_HASH_BYTES);
	if (known && b.seq == t->seq)
		t->heard_ms = c->now_ms;
	/* An older one of the same run came late. Of two runs the later is the one that speaks now: the session of the other is gone. */
	if (known && b.seq >> 32 == t->seq >> 32 && b.seq <= t->seq)
		return STATUS_OK;
	return take(c, p, from, &b);
}

static int compare(const void *a, const void *b)
{
	return memcmp(a, b, GROUP_BYTES);
}

static bool takes(const struct controller *c, const struct taker *t, const uint8_t group[GROUP_BYTES])
{
	static const uint8_t broadcast[GROUP_BYTES] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff}; /* goes to whoever is there */
	return !expired(c, t) &&
	       (t->all || !memcmp(group, broadcast, GROUP_BYTES) || (t->n && bsearch(group, t->group, t->n, GROUP_BYTES, compare)));
}

enum status groups_gather(struct controller *c, const struct identity *from, const uint8_t *body, size_t len, uint8_t *out, size_t room,
                          size_t *ret_len)
{
	struct body_gather b;
	struct body_gathered found = {0};
	if (!body_gather_parse(body, len, &b))
		return STATUS_MALFORMED;
	const struct publication *p = publication_find(c, b.nwid);
	if (!p || !member_approved(c, b.nwid, from->key_hash))
		return STATUS_DENIED;
	if (c->now_ms - c->opened_ms < GROUPS_YOUNG_MS)
		return STATUS_TRY_LATER;
	const struct takers *t = p->takers;
	for (unsigned i = b.after == UINT64_MAX ? UINT_MAX : position(t, b.after + 1); t && i < t->n && !found.more; i++) {
		if (t->list[i].address == from->address || !takes(c, &t->list[i], b.group))
			continue;
		if (found.n == GATHERED_MAX)
			found.more = true;
		else
			found.address[found.n++] = t->list[i].address;
	}
	size_t n = body_gathered_encode(&found, out, room);
	if (!n)
		return STATUS_TRY_LATER;
	*ret_len = n;
	return STATUS_OK;
}

void groups_forget(struct publication *p, uint64_t address)
{
	unsigned i = position(p->takers, address);
	if (taker_find(p, address))
		taker_remove(p->takers, i);
}

void groups_free(struct publication *p)
{
	for (unsigned i = 0; p->takers && i < p->takers->n; i++)
		free(p->takers->list[i].group);
	free(p->takers);
	p->takers = NULL;
}
