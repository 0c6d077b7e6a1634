/* owners.c: the table of addresses and their owners.
 *
 * One sorted array of keys of 17 bytes, family and address, and binary search: at most fourteen steps for the most a directory can hold, whoever
 * chose the addresses. A hash would be a little faster and need a secret. Claims of one address stand side by side once sorted, the newest first,
 * so that a dispute is settled by looking at its neighbours.
 */
#include "node/owners.h"

#include <stdlib.h>
#include <string.h>

struct entry {
	uint8_t family, ip[16]; /* compared in this order, without a gap */
	bool nobody;            /* disputed, or ours */
	struct owner owner;
	uint64_t serial;
};
_Static_assert(offsetof(struct entry, ip) == 1, "family and ip are one key");

#define KEY_BYTES 17

struct owners {
	size_t n;
	bool disputed;
	struct entry at[];
};

/* Newest credential first among those of one address, so that the first is the owner if there is one. */
static int entry_order(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;
	int order = memcmp(x, y, KEY_BYTES);
	if (order || x->serial == y->serial)
		return order;
	return x->serial > y->serial ? -1 : 1;
}

static bool claimable(const struct prefix *p)
{
	static const uint8_t none[16];
	if (p->family == 4)
		return memcmp(p->ip, none, 4) && p->ip[0] < 224;
	return p->family == 6 && memcmp(p->ip, none, 16) && p->ip[0] != 0xff;
}

/* One entry for the n claims of one address. */
static struct entry settle(const struct entry *claim, size_t n, bool *disputed)
{
	struct entry e = claim[0];
	bool two = false, tie = false;
	for (size_t i = 0; i < n; i++) {
		bool other = memcmp(claim[i].owner.mac, e.owner.mac, 6) != 0; /* one member may name an address twice */
		e.nobody = e.nobody || claim[i].nobody;
		two = two || other;
		tie = tie || (other && claim[i].serial == e.serial);
	}
	*disputed = *disputed || two;
	if (tie || (two && !claim[n - 1].serial)) /* sorted: who has no serial stands last */
		e.nobody = true;
	return e;
}

struct owners *owners_new(const struct claim *claim, size_t n)
{
	struct owners *o = calloc(1, sizeof *o + n * sizeof *o->at);
	if (!o)
		return NULL;
	size_t all = 0, kept = 0;
	for (size_t i = 0; i < n; i++) {
		if (!claimable(&claim[i].ip))
			continue;
		struct entry *e = &o->at[all++];
		e->family = claim[i].ip.family;
		memcpy(e->ip, claim[i].ip.ip, e->family == 4 ? 4 : 16);
		memcpy(e->owner.mac, claim[i].mac, 6);
		e->owner.router = claim[i].router;
		e->nobody = claim[i].ours;
		e->serial = claim[i].serial;
	}
	qsort(o->at, all, sizeof *o->at, entry_order);
	for (size_t i = 0, j; i < all; i = j) {
		for (j = i + 1; j < all && !memcmp(&o->at[i], &o->at[j], KEY_BYTES); j++)
			;
		o->at[kept++] = settle(&o->at[i], j - i, &o->disputed); /* kept <= i: what it overwrites has been read */
	}
	o->n = kept;
	return o;
}

bool owners_find(const struct owners *o, uint8_t family, const uint8_t *ip, struct owner *ret)
{
	uint8_t key[KEY_BYTES] = {family};
	memcpy(key + 1, ip, family == 4 ? 4 : 16);
	size_t low = 0, high = o ? o->n : 0;
	while (low < high) {
		size_t mid = low + (high - low) / 2;
		int order = memcmp(key, &o->at[mid], KEY_BYTES);
		if (!order) {
			if (!o->at[mid].nobody)
				*ret = o->at[mid].owner;
			return !o->at[mid].nobody;
		}
		if (order > 0)
			low = mid + 1;
		else
			high = mid;
	}
	return false;
}

size_t owners_count(const struct owners *o)
{
	size_t n = 0;
	for (size_t i = 0; o && i < o->n; i++)
		n += !o->at[i].nobody;
	return n;
}

bool owners_same(const struct owners *a, const struct owners *b)
{
	if (!a || !b || a->n != b->n || a->disputed != b->disputed)
		return a == b;
	for (size_t i = 0; i < a->n; i++) {
		const struct entry *x = &a->at[i], *y = &b->at[i];
		if (memcmp(x, y, KEY_BYTES) || x->nobody != y->nobody || x->owner.router != y->owner.router ||
		    memcmp(x->owner.mac, y->owner.mac, 6))
			return false;
	}
	return true;
}

bool owners_disputed(const struct owners *o)
{
	return o && o->disputed;
}
