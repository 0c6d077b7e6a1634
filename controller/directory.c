/* Theory of operation: an array by row id, which grows at its end, since ids do, and beside it the keys in their order, for who asks
 * whether somebody is in it: each piece of a blob that a member fetches does. A row that was touched is read from the database
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

static unsigned key_position(const struct directory *d, unsigned n, const uint8_t key_hash[KEY_HASH_BYTES])
{
	unsigned low = 0, high = n;
	while (low < high) {
		unsigned mid = (low + high) / 2;
		if (memcmp(d->keys[mid], key_hash, KEY_HASH_BYTES) < 0)
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
	const uint8_t *key = d->list[i].entry.key_hash;
	unsigned k = key_position(d, d->n, key);
	soil(d, key);
	d->n--;
	memmove(&d->keys[k], &d->keys[k + 1], (d->n - k) * sizeof(*d->keys));
	memmove(&d->list[i], &d->list[i + 1], (d->n - i) * sizeof(*d->list));
}

static bool room_make(struct directory *d)
{
	unsigned room = d->room ? d->room * 2 : 16;
	if (d->n < d->room)
		return true;
	struct enrolled *list = realloc(d->list, room * sizeof(*list));
	if (list)
		d->list = list;
	uint8_t(*keys)[KEY_HASH_BYTES] = list ? realloc(d->keys, room * sizeof(*keys)) : NULL;
	if (!keys)
		return false;
	d->keys = keys;
	d->room = room;
	return true;
}

static struct directory_entry entry_of(const struct member_record *m)
{
	struct directory_entry e = {.address = m->address, .n_ips = m->n_ips, .flags = policy_flags(m->flags_on, m->flags_off)};
	memcpy(e.key_hash, m->identity.key_hash, KEY_HASH_BYTES);
	memcpy(e.ips, m->ips, sizeof(e.ips));
	return e;
}

static int enrolled_put(struct directory *d, unsigned i, const struct member_record *m)
{
	bool known = i < d->n && d->list[i].id == m->id;
	struct directory_entry e = entry_of(m);
	if (!known) {
		if (d->n == MEMBERS_MAX)
			return -ENOSPC; /* policy_full() let nobody in */
		if (!room_make(d))
			return -ENOMEM;
		unsigned k = key_position(d, d->n, e.key_hash);
		memmove(&d->keys[k + 1], &d->keys[k], (d->n - k) * sizeof(*d->keys));
		memmove(&d->list[i + 1], &d->list[i], (d->n - i) * sizeof(*d->list));
		memcpy(d->keys[k], e.key_hash, KEY_HASH_BYTES);
		d->n++;
	}
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

/* At the end: the order is made when all are there. */
static void load(void *self, const struct member_record *m)
{
	struct loading *l = self;
	struct directory *d = l->d;
	if (m->state != MEMBER_APPROVED || l->failed)
		return;
	if (d->n == MEMBERS_MAX || !room_make(d)) {
		l->failed = d->n == MEMBERS_MAX ? -ENOSPC : -ENOMEM;
		return;
	}
	d->list[d->n] = (struct enrolled){.id = m->id, .entry = entry_of(m)};
	memcpy(d->keys[d->n++], m->identity.key_hash, KEY_HASH_BYTES);
}

static int id_order(const void *a, const void *b)
{
	const struct enrolled *x = a, *y = b;
	return x->id < y->id ? -1 : x->id > y->id;
}

static int key_order(const void *a, const void *b)
{
	return memcmp(a, b, KEY_HASH_BYTES);
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
		if (d->n)
			qsort(d->list, d->n, sizeof(*d->list), id_order);
		if (d->n)
			qsort(d->keys, d->n, sizeof(*d->keys), key_order);
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

int directory_has(const struct directory *d, const uint8_t key_hash[KEY_HASH_BYTES])
{
	if (!d->loaded || d->n_touched)
		return -1;
	unsigned k = key_position(d, d->n, key_hash);
	return k < d->n && !memcmp(d->keys[k], key_hash, KEY_HASH_BYTES);
}

void directory_fini(struct directory *d)
{
	free(d->list);
	free(d->keys);
	free(d->touched);
	*d = (struct directory){0};
}
