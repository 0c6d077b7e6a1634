/* audience.c: the lists that audience.h describes: one block of memory, a table of groups by open addressing in it.
 *
 * Layout: the struct, then the slots (a power of two, at most half of them taken), then the members of all lists, back to back in the order in which the
 * lists were added. Nothing is ever taken out: what changes is built anew beside the old one. A group has 48 bits; its hash is one
 * multiplication, with the place of the block in memory as a secret: members who name groups that collide would make all others' frames slow.
 */
#include "node/audience.h"

#include <stdlib.h>
#include <string.h>

struct audience_slot {
	uint64_t group; /* as a number; 0 = free, as no group is 0 */
	_Atomic uint64_t used_ms;
	struct audience audience;
};

static uint64_t number_of(const uint8_t group[6])
{
	uint64_t n = 0;
	memcpy(&n, group, 6);
	return n;
}

static uint32_t place_of(const struct audiences *a, uint64_t group)
{
	return (uint32_t)((group ^ (uintptr_t)a) * UINT64_C(0x9e3779b97f4a7c15) >> 32) & a->mask;
}

/* Its slot, or the free one where it would stand. */
static struct audience_slot *slot_of(const struct audiences *a, uint64_t group)
{
	uint32_t i = place_of(a, group);
	while (a->slot[i].group && a->slot[i].group != group)
		i = (i + 1) & a->mask;
	return &a->slot[i];
}

const struct audience *audience_find(const struct audiences *a, const uint8_t group[6])
{
	static const struct audience nobody = {.complete = false};
	if (!a)
		return &nobody;
	const struct audience_slot *s = slot_of(a, number_of(group));
	return s->group ? &s->audience : &a->takers;
}

bool audience_own(const struct audiences *a, const uint8_t group[6])
{
	static const uint8_t everybody[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
	if (!a || a->own_all || !memcmp(group, everybody, 6))
		return true;
	uint32_t low = 0, high = a->n_own;
	while (low < high) {
		uint32_t mid = (low + high) / 2;
		int way = memcmp(a->own[mid], group, 6);
		if (!way)
			return true;
		if (way < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return false;
}

uint64_t audience_used_ms(const struct audiences *a, const uint8_t group[6])
{
	return a ? atomic_load(&slot_of(a, number_of(group))->used_ms) : 0;
}

/* ---- building --------------------------------------------------------------------------------------------------- */

struct block {
	struct audiences audiences;
	struct member **next, **end; /* of the members */
};

struct audiences *audiences_new(uint32_t groups, uint32_t members)
{
	uint32_t slots = 2;
	while (slots < 2 * (uint64_t)groups)
		slots *= 2;
	size_t head = sizeof(struct block) + (size_t)slots * sizeof(struct audience_slot);
	size_t lists = (size_t)members * sizeof(struct member *);
	struct block *b = calloc(1, head + lists);
	if (!b)
		return NULL;
	b->audiences.slot = (struct audience_slot *)(b + 1);
	b->audiences.mask = slots - 1;
	b->next = (struct member **)((char *)b + head);
	b->end = b->next + members;
	return &b->audiences;
}

static struct member **list_new(struct audiences *a, struct audience *ret, uint32_t n, bool complete)
{
	struct block *b = (struct block *)a; /* its first member */
	struct member **list = b->next;
	if (n > (size_t)(b->end - b->next))
		return NULL;
	b->next += n;
	ret->complete = complete;
	ret->n = n;
	ret->member = list;
	return list;
}

struct member **audiences_add(struct audiences *a, const uint8_t group[6], uint32_t n, bool complete, uint64_t used_ms)
{
	struct audience_slot *s = slot_of(a, number_of(group));
	if (s->group || a->n_groups > a->mask / 2)
		return NULL;
	struct member **list = list_new(a, &s->audience, n, complete);
	if (!list)
		return NULL;
	s->group = number_of(group);
	s->audience.used_ms = &s->used_ms;
	atomic_store(&s->used_ms, used_ms);
	a->n_groups++;
	return list;
}

struct member **audiences_takers(struct audiences *a, uint32_t n, bool complete)
{
	return list_new(a, &a->takers, n, complete);
}

struct member **audiences_unknown(struct audiences *a, uint32_t n)
{
	return list_new(a, &a->unknown, n, false);
}

/* ---- shares ----------------------------------------------------------------------------------------------------- */

/* The window is a run of the sorted list and the ranges are what lies between, cut where a listed address stands: so whoever looks at
 * other members than the sender does (a replicator may know some it does not) still finds every address in one part. */
void audience_split(const uint64_t *address, uint32_t n, uint32_t replicators, uint32_t limit, uint32_t turn, struct shares *ret)
{
	*ret = (struct shares){.direct = n};
	if (!n)
		return;
	uint32_t by = replicators < REPLICATORS_MAX ? replicators : REPLICATORS_MAX;
	if (by > limit)
		by = limit;
	bool split = by && n > limit;
	uint32_t direct = split ? limit - by : n;
	ret->direct = direct;
	ret->first = (uint32_t)((uint64_t)turn * (direct < n ? direct + 1 : 1) % n);
	if (!split)
		return;
	uint32_t rest = n - direct; /* more than `by`: every range has somebody */
	for (uint32_t i = 0; i < by; i++) {
		uint32_t at = direct + (uint32_t)((uint64_t)rest * i / by), end = direct + (uint32_t)((uint64_t)rest * (i + 1) / by);
		ret->share[i] = (struct share){
		    .replicator = (i + turn) % by, .from = address[(ret->first + at) % n], .to = address[(ret->first + end) % n]};
	}
	ret->n = by;
}
