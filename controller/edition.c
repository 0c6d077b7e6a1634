/* Theory of operation: an edition is a manifest and what it names, each blob under the name of its slot. Members stand in one section
 * as long as they are few, else in 64 by the first bits of their key_hash, so that a change costs those who fetch it one of them; in
 * between it stays as it is, or a network at the edge would be fetched whole with every coming and going. Revocations go
 * the same way, and then REVLIST itself, which HEAD names, is an empty list. Only dirty shards are encoded; the revocations, which change
 * seldom, all, and those with the old hash are recognised when the edition is adopted. */
#include "controller/edition.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SHARDED_FROM  513 /* this many */
#define SHARDED_UNTIL 384 /* less than this many */

void edition_fini(struct edition *e)
{
	for (unsigned i = 0; i < BLOB_COUNT; i++)
		free(e->blobs[i].bytes);
	free(e->entries);
	free(e->room);
}

/* Takes the len bytes that stand in the edition's room. */
static int blob_keep(struct edition *e, unsigned name, size_t len)
{
	struct blob *b = &e->blobs[name];
	if (!len)
		return -EMSGSIZE;
	if (!(b->bytes = malloc(len)))
		return -ENOMEM;
	memcpy(b->bytes, e->room, len);
	b->len = len;
	blob_hash(b->bytes, len, b->hash);
	e->fresh_bytes += len;
	return 0;
}

static bool sharded(size_t n, bool before)
{
	return n >= (before ? SHARDED_UNTIL : SHARDED_FROM);
}

static int edition_settings(struct controller *c, const struct publication *p, struct edition *e)
{
	struct network_record n;
	struct route routes[ROUTES_MAX];
	unsigned n_routes = 0;
	int r = store_network_get(c->store, p->nwid, &n);
	if (r)
		return r;
	struct section_base base = {.mtu = n.mtu,
	                            .mcast_limit = n.limits.mcast_limit,
	                            .flags = n.flags,
	                            .storm_frames = n.limits.storm_frames,
	                            .mcast_kbit = n.limits.mcast_kbit,
	                            .ethertypes = n.ethertypes};
	memcpy(base.name, n.name, sizeof(base.name));
	if (n.pool.family) /* the pool itself is on link */
		routes[n_routes++] = (struct route){.target = n.pool};
	for (unsigned i = 0; i < n.n_routes && n_routes < ROUTES_MAX; i++)
		routes[n_routes++] = n.routes[i];
	r = blob_keep(e, BLOB_BASE, section_base_encode(&base, e->room, SECTION_MAX));
	if (!r)
		r = blob_keep(e, BLOB_ROUTES, section_routes_encode(routes, n_routes, e->room, SECTION_MAX));
	if (!r && n.dns.n_servers)
		r = blob_keep(e, BLOB_DNS, section_dns_encode(&n.dns, e->room, SECTION_MAX));
	return r;
}

/* ---- members -------------------------------------------------------------------------- */

static int edition_shard(const struct directory *d, struct edition *e, unsigned name, int shard)
{
	size_t n = directory_shard(d, shard, e->entries);
	if (shard >= 0 && !n)
		return 0; /* the manifest does not name it */
	return blob_keep(e, name, section_members_encode(e->entries, n, e->room, SECTION_MAX));
}

static int edition_members(struct controller *c, struct publication *p, struct edition *e)
{
	struct directory *d = &p->directory;
	int r = directory_refresh(d, c->store, p->nwid);
	if (r)
		return r;
	e->members_sharded = sharded(d->n, p->members_sharded);
	bool fresh = !p->head_len || e->members_sharded != p->members_sharded;
	if (!e->members_sharded) {
		e->kept[BLOB_MEMBERS] = !fresh && !d->dirty;
	} else {
		for (unsigned i = 0; i < SHARDS; i++)
			e->kept[BLOB_MEMBERS_SHARD + i] = !fresh && !(d->dirty >> i & 1);
	}
	if (!fresh && !d->dirty)
		return 0;
	if (!(e->entries = malloc((d->n + 1) * sizeof(*e->entries))))
		return -ENOMEM;
	if (!e->members_sharded)
		return edition_shard(d, e, BLOB_MEMBERS, -1);
	for (unsigned i = 0; i < SHARDS && !r; i++)
		if (!e->kept[BLOB_MEMBERS_SHARD + i])
			r = edition_shard(d, e, BLOB_MEMBERS_SHARD + i, (int)i);
	return r;
}

/* ---- revocations ---------------------------------------------------------------------- */

static int revoked_shards(struct edition *e, const struct revocation *list, size_t n)
{
	int r = 0;
	for (size_t i = 0, end; i < n && !r; i = end) { /* ascending key_hash: a shard is a stretch */
		unsigned shard = shard_of(list[i].key_hash);
		for (end = i + 1; end < n && shard_of(list[end].key_hash) == shard;)
			end++;
		r = blob_keep(e, BLOB_REVOKED_SHARD + shard, revlist_encode(list + i, end - i, e->room, SECTION_MAX));
	}
	return r;
}

static int edition_revocations(struct controller *c, const struct publication *p, struct edition *e)
{
	struct revocation *list = NULL;
	size_t n = 0;
	e->rev_epoch = p->rev_epoch;
	e->revoked_sharded = p->revoked_sharded;
	if (p->head_len && p->rev_built == p->rev_epoch) {
		e->kept[BLOB_REVLIST] = true;
		for (unsigned i = 0; i < SHARDS; i++)
			e->kept[BLOB_REVOKED_SHARD + i] = true;
		return 0;
	}
	int r = store_revocations(c->store, p->nwid, &list, &n);
	if (!r) {
		e->revoked_sharded = sharded(n, p->revoked_sharded);
		r = blob_keep(e, BLOB_REVLIST, revlist_encode(list, e->revoked_sharded ? 0 : n, e->room, SECTION_MAX));
	}
	if (!r && e->revoked_sharded)
		r = revoked_shards(e, list, n);
	free(list);
	return r;
}

/* ---- all of it ------------------------------------------------------------------------ */

static const struct blob *blob_of(const struct publication *p, const struct edition *e, unsigned name)
{
	return e->kept[name] ? &p->now[name] : &e->blobs[name];
}

static int edition_manifest(const struct publication *p, struct edition *e)
{
	static const struct {
		uint8_t id, name, n;
	} sections[] = {{SECTION_BASE, BLOB_BASE, 1},
	                {SECTION_ROUTES, BLOB_ROUTES, 1},
	                {SECTION_DNS, BLOB_DNS, 1},
	                {SECTION_MEMBERS, BLOB_MEMBERS, 1},
	                {SECTION_MEMBERS_SHARD, BLOB_MEMBERS_SHARD, SHARDS},
	                {SECTION_REVOKED_SHARD, BLOB_REVOKED_SHARD, SHARDS}};
	struct manifest m = {.n = 0};
	for (unsigned i = 0; i < sizeof(sections) / sizeof(*sections); i++)
		for (unsigned k = 0; k < sections[i].n; k++) {
			const struct blob *b = blob_of(p, e, sections[i].name + k);
			if (!b->bytes)
				continue;
			m.section[m.n].id = (uint8_t)(sections[i].id + k);
			m.section[m.n].len = (uint32_t)b->len;
			memcpy(m.section[m.n++].hash, b->hash, 32);
		}
	return blob_keep(e, BLOB_MANIFEST, manifest_encode(&m, e->room, SECTION_MAX));
}

int edition_build(struct controller *c, struct publication *p, struct edition *e)
{
	*e = (struct edition){.room = malloc(SECTION_MAX)};
	int r = e->room ? edition_settings(c, p, e) : -ENOMEM;
	if (!r)
		r = edition_members(c, p, e);
	if (!r)
		r = edition_revocations(c, p, e);
	if (!r)
		r = edition_manifest(p, e);
	if (r)
		return r;
	memcpy(e->cfg_root, e->blobs[BLOB_MANIFEST].hash, 32);
	memcpy(e->rev_hash, blob_of(p, e, BLOB_REVLIST)->hash, 32);
	return 0;
}

static void listed_take(struct publication *p)
{
	const struct directory *d = &p->directory;
	uint8_t(*listed)[KEY_HASH_BYTES] = calloc(d->n + 1, sizeof(*listed));
	if (!listed)
		return; /* the old list is pushed to; who is new gets HEAD in its MEMBERCONF */
	if (d->n)
		memcpy(listed, d->keys, d->n * sizeof(*listed));
	free(p->listed);
	p->listed = listed;
	p->n_listed = d->n;
}

void edition_adopt(struct publication *p, struct edition *e)
{
	for (unsigned i = 0; i < BLOB_COUNT; i++) {
		/* an unchanged blob keeps the one before it: what changes now and then is not pushed out by what changes often */
		if (e->kept[i] || (p->now[i].bytes && e->blobs[i].bytes && !memcmp(p->now[i].hash, e->blobs[i].hash, 32)))
			continue;
		if (p->now[i].bytes) {
			free(p->before[i].bytes);
			p->before[i] = p->now[i];
		}
		p->now[i] = e->blobs[i];
		e->blobs[i] = (struct blob){0};
	}
	if (p->directory.dirty)
		listed_take(p);
	p->directory.dirty = 0;
	p->members_sharded = e->members_sharded;
	p->revoked_sharded = e->revoked_sharded;
	p->rev_built = e->rev_epoch;
}
