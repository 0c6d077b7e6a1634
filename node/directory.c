/* directory.c: what an edition says in more than one section: its members and its revocations (PROTOCOL.md, Blobs).
 *
 * A small network has all members in section 5 and all revocations in REVLIST. A large one has them in 64 shards each, by the first six bits of
 * key_hash, so that a change costs each member one shard and not the whole list. What counts is the union of all of them; an entry in a shard
 * that is not its own makes the edition invalid, since a change might then be sought elsewhere. Sections have passed their hash before.
 */
#include "node/control.h"

#include <stdlib.h>
#include <string.h>

struct reading {
	struct directory_entry *entry;
	struct revocation *revocation;
	size_t n, room;
	int shard; /* entries belong to that one; -1 = any */
	bool bad;
};

static void entry_see(void *self, const struct directory_entry *e)
{
	struct reading *r = self;
	if (r->shard >= 0 && shard_of(e->key_hash) != (unsigned)r->shard)
		r->bad = true;
	if (r->n < r->room)
		r->entry[r->n] = *e;
	r->n++;
}

static bool members_each(const struct manifest *m, const struct blob *sections, struct reading *r)
{
	for (unsigned i = 0; i < m->n && !r->bad; i++) {
		unsigned id = m->section[i].id, shard = id - SECTION_MEMBERS_SHARD;
		if (id != SECTION_MEMBERS && shard >= SHARDS)
			continue;
		r->shard = id == SECTION_MEMBERS ? -1 : (int)shard;
		if (!section_members_walk(sections[i].bytes, sections[i].len, entry_see, r))
			return false;
	}
	return !r->bad && r->n <= MEMBERS_MAX;
}

static int entry_order(const void *a, const void *b)
{
	const struct directory_entry *x = a, *y = b;
	return x->address < y->address ? -1 : x->address > y->address;
}

struct directory_entry *directory_read(const struct manifest *m, const struct blob *sections, size_t *ret_n)
{
	struct reading r = {.n = 0};
	for (unsigned i = 0; i < m->n; i++) {
		long n = m->section[i].id == SECTION_MEMBERS || m->section[i].id - (unsigned)SECTION_MEMBERS_SHARD < SHARDS
		             ? section_members_count(sections[i].bytes, sections[i].len)
		             : 0;
		if (n < 0)
			return NULL;
		r.room += (size_t)n;
	}
	r.entry = r.room <= MEMBERS_MAX ? calloc(r.room + 1, sizeof *r.entry) : NULL;
	if (!r.entry || !members_each(m, sections, &r)) {
		free(r.entry);
		return NULL;
	}
	qsort(r.entry, r.n, sizeof *r.entry, entry_order);
	*ret_n = r.n;
	return r.entry;
}

/* An address in two sections has two owners: which one counts would be another at each member. */
bool directory_valid(const struct manifest *m, const struct blob *sections)
{
	size_t n = 0;
	struct directory_entry *all = directory_read(m, sections, &n);
	bool good = all;
	for (size_t i = 1; i < n && good; i++)
		good = all[i - 1].address != all[i].address;
	free(all);
	return good;
}

/* ---- revocations ---------------------------------------------------------------------------------------------------------- */

static void revocation_see(void *self, const struct revocation *v)
{
	struct reading *r = self;
	if (r->shard >= 0 && shard_of(v->key_hash) != (unsigned)r->shard)
		r->bad = true;
	if (r->n < r->room)
		r->revocation[r->n] = *v;
	r->n++;
}

static int revocation_order(const void *a, const void *b)
{
	const struct revocation *x = a, *y = b;
	return memcmp(x->key_hash, y->key_hash, KEY_HASH_BYTES);
}

/* Whom two name the larger serial counts. */
static size_t merge(struct revocation *list, size_t n)
{
	size_t kept = 0;
	qsort(list, n, sizeof *list, revocation_order);
	for (size_t i = 0; i < n; i++) {
		struct revocation *last = kept ? &list[kept - 1] : NULL;
		if (!last || revocation_order(last, &list[i]))
			list[kept++] = list[i];
		else if (last->min_serial < list[i].min_serial)
			last->min_serial = list[i].min_serial;
	}
	return kept;
}

struct revocation *revocations_read(const struct blob *revlist, const struct manifest *m, const struct blob *sections, size_t *ret_n)
{
	struct reading r = {.shard = -1};
	long n = revlist_count(revlist->bytes, revlist->len);
	for (unsigned i = 0; i < m->n && n >= 0; i++) {
		r.room += (size_t)n;
		n = m->section[i].id - (unsigned)SECTION_REVOKED_SHARD < SHARDS ? revlist_count(sections[i].bytes, sections[i].len) : 0;
	}
	r.room += n > 0 ? (size_t)n : 0;
	r.revocation = n >= 0 && r.room <= REVLIST_MAX ? calloc(r.room + 1, sizeof *r.revocation) : NULL;
	if (!r.revocation)
		return NULL;
	bool good = revlist_walk(revlist->bytes, revlist->len, revocation_see, &r);
	for (unsigned i = 0; i < m->n && good; i++) {
		r.shard = (int)m->section[i].id - SECTION_REVOKED_SHARD;
		if (r.shard >= 0 && r.shard < SHARDS) /* what is above is of later versions */
			good = revlist_walk(sections[i].bytes, sections[i].len, revocation_see, &r);
	}
	if (!good || r.bad) {
		free(r.revocation);
		return NULL;
	}
	*ret_n = merge(r.revocation, r.n);
	return r.revocation;
}
