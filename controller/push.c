/* Theory of operation: a decision the admin makes is told to its member at once, without being asked. The letter itself is
 * carried like any request, repeated for some seconds; but its session may have ended on one side only, its queue may be full,
 * or it may meet an older answer on its way. So each decision stays here until the member is heard of it: an ACK that says it
 * holds what the row grants (or nothing, if the row grants nothing), or a JOIN_REQ, whose answer is the decision. Whoever goes
 * offline asks when it is back. Told again are the rows as they are then, so an older decision is never repeated after a newer. */
#include <stdlib.h>
#include <string.h>

#include "controller/state.h"

static struct push *push_find(struct controller *c, const uint8_t key_hash[KEY_HASH_BYTES], uint64_t nwid)
{
	for (unsigned i = 0; i < c->n_pushes; i++)
		if (c->pushes[i].nwid == nwid && !memcmp(c->pushes[i].key_hash, key_hash, KEY_HASH_BYTES))
			return &c->pushes[i];
	return NULL;
}

static void push_end(struct controller *c, struct push *p)
{
	*p = c->pushes[--c->n_pushes];
}

/* NULL = no room: that one is told once, and its next JOIN_REQ does the rest. */
static struct push *push_add(struct controller *c)
{
	if (c->n_pushes >= PUSHES_MAX)
		return NULL;
	if (c->n_pushes == c->pushes_room) {
		unsigned room = c->pushes_room ? c->pushes_room * 2 : 16;
		struct push *more = realloc(c->pushes, room * sizeof(*more));
		if (!more)
			return NULL;
		c->pushes = more;
		c->pushes_room = room;
	}
	return &c->pushes[c->n_pushes++];
}

void push_decision(struct controller *c, const uint8_t key_hash[KEY_HASH_BYTES], uint64_t nwid, enum join_status answer)
{
	const struct presence *who = presence_find(c, key_hash);
	struct push *p = push_find(c, key_hash, nwid);
	if (!who || !who->online)
		return;
	letter_join(c, key_hash, 0, nwid, answer, false);
	if (!p && !(p = push_add(c)))
		return;
	*p = (struct push){.nwid = nwid, .answer = (uint8_t)answer, .next = c->now_ms + PUSH_AGAIN_MS, .since = c->now_ms};
	memcpy(p->key_hash, key_hash, KEY_HASH_BYTES);
}

void push_asked(struct controller *c, const uint8_t key_hash[KEY_HASH_BYTES], uint64_t nwid)
{
	struct push *p = push_find(c, key_hash, nwid);
	if (p)
		push_end(c, p);
}

void push_acknowledged(struct controller *c, const uint8_t key_hash[KEY_HASH_BYTES], const struct body_ack *ack)
{
	struct push *p = push_find(c, key_hash, ack->nwid);
	struct member_record m;
	if (!p)
		return;
	bool granted = p->answer == JOIN_OK;
	/* An ACK of HEAD alone proves nothing: HEAD has its own push. */
	if (granted ? !store_member_get(c->store, ack->nwid, key_hash, &m) && ack->serial >= m.serial && ack->serial : !ack->serial) {
		push_measured(c, c->now_ms - p->since);
		push_end(c, p);
	}
}

void pushes_forget(struct controller *c, const uint8_t key_hash[KEY_HASH_BYTES])
{
	for (unsigned i = c->n_pushes; i-- > 0;)
		if (!memcmp(c->pushes[i].key_hash, key_hash, KEY_HASH_BYTES))
			push_end(c, &c->pushes[i]);
}

void pushes_repeat(struct controller *c)
{
	for (unsigned i = c->n_pushes; i-- > 0;) {
		struct push *p = &c->pushes[i];
		if (c->now_ms < p->next)
			continue;
		letter_join(c, p->key_hash, 0, p->nwid, (enum join_status)p->answer, false);
		p->next = c->now_ms + ((uint64_t)PUSH_AGAIN_MS << ++p->repeated);
		if (p->repeated >= PUSH_REPEATS_MAX)
			push_end(c, p);
	}
}

uint64_t pushes_next(const struct controller *c)
{
	uint64_t next = NEVER;
	for (unsigned i = 0; i < c->n_pushes; i++)
		if (c->pushes[i].next < next)
			next = c->pushes[i].next;
	return next;
}
