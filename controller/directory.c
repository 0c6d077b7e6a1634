/* Theory of operation: an array by row id, which grows at its end, since ids do. A row that was touched is read from the database
 * and put in, replaced or taken out; both its shards, the one it was in and the one it is in, are dirty then. When ids cannot be
 * kept (no memory, or too many) all is read anew. */
#include "controller/directory.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "controller/policy.h"

#define TOUCHED_MAX MEMBERS_MAX /* more at once: reading all is no more work */

struct enrolled {
	uint64_t id;
	struct directory_entry entry;
};

void directory_touch(struct directory *d, uint64_t id)
{
	if (!d->loaded || (d->n_touched && d->touched[d->n_touched - 1] == id))
		return;
	if (d->n_touched == d->touched_room) {
		unsigned room = d->touched_room ? d->touched_room * 2 : 64;
		uint64_t *more = room <= TOUCHED_MAX ? realloc(d->touched, room * sizeof(*more)) : NULL;
		if (!more) {
			d->loaded = false;
			return;
		}
		d->touched = more;
		d->touched_room = room;
	}
	d->touched[d->n_touched++] = id;
}

static unsigned position(const struct directory *d, uint64_t id)
{
	unsigned low = 0, high = d->n;
	while (low < high) {
		unsigned mid = (low + high) / 2;
		if (d->list[mid].id < id)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static void soil(struct directory *d, const uint8_t key_hash[KEY_HASH_BYTES])
{
	d->dirty |= UINT64_C(1) << shard_of(key_hash);
}

static void enrolled_remove(struct directory *d, unsigned i)
{
	soil(d, d->list[i].entry.key_hash);
	memmove(&d->list[i], &d->list[i + 1], (--d->n - i) * sizeof(*d->list));
}

static int enrolled_put(struct directory *d, unsigned i, const struct member_record *m)
{
	bool known = i < d->n && d->list[i].id == m->id;
	if (!known && d->n == MEMBERS_MAX)
		return -ENOSPC; /* policy_full() let nobody in */
	if (!known && d->n == d->room) {
		unsigned room = d->room ? d->room * 2 : 16;
		struct enrolled *more = realloc(d->list, room * sizeof(*more));
		if (!more)
			return -ENOMEM;
		d->list = more;
		d->room = room;
	}
	if (!known)
		memmove(&d->list[i + 1], &d->list[i], (d->n++ - i) * sizeof(*d->list));
	struct directory_entry e = {.address = m->address, .n_ips = m->n_ips, .flags = policy_flags(m->flags_on, m->flags_off)};
	memcpy(e.key_hash, m->identity.key_hash, KEY_HASH_BYTES);
	memcpy(e.ips, m->ips, sizeof(e.ips));
	d->list[i] = (struct enrolled){.id = m->id, .entry = e};
	soil(d, e.key_hash);
	return 0;
}

static int enrolled_read(struct directory *d, struct store *s, uint64_t id)
{
	struct member_record m;
	unsigned i = position(d, id);
	int r = store_member_id(s, id, &m);
	if (r && r != -ENOENT)
		return r;
	if (!r && m.state == MEMBER_APPROVED)
		return enrolled_put(d, i, &m);
	if (i < d->n && d->list[i].id == id)
		enrolled_remove(d, i);
	return 0;
}

struct loading {
	struct directory *d;
	int failed;
};

static void load(void *self, const struct member_record *m)
{
	struct loading *l = self;
	if (m->state == MEMBER_APPROVED && !l->failed)
		l->failed = enrolled_put(l->d, position(l->d, m->id), m);
}

int directory_refresh(struct directory *d, struct store *s, uint64_t nwid)
{
	int r = 0;
	if (!d->loaded) {
		struct loading l = {.d = d};
		d->n = d->n_touched = 0;
		d->dirty = UINT64_MAX;
		r = store_member_each(s, nwid, load, &l);
		r = r ? r : l.failed;
		d->loaded = !r;
		return r;
	}
	while (!r && d->n_touched) {
		r = enrolled_read(d, s, d->touched[d->n_touched - 1]);
		if (!r)
			d->n_touched--;
	}
	return r;
}

static int entry_order(const void *a, const void *b)
{
	const struct directory_entry *x = a, *y = b;
	return x->address < y->address ? -1 : x->address > y->address;
}

size_t directory_shard(const struct directory *d, int shard, struct directory_entry *ret)
{
	size_t n = 0;
	for (unsigned i = 0; i < d->n; i++)
		if (shard < 0 || shard_of(d->list[i].entry.key_hash) == (unsigned)shard)
			ret[n++] = d->list[i].entry;
	qsort(ret, n, sizeof(*ret), entry_order);
	return n;
}

void directory_key(const struct directory *d, unsigned i, uint8_t ret[KEY_HASH_BYTES])
{
	memcpy(ret, d->list[i].entry.key_hash, KEY_HASH_BYTES);
}

void directory_fini(struct directory *d)
{
	free(d->list);
	free(d->touched);
	*d = (struct directory){0};
}
