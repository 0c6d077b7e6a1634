/* Theory of operation: rows of members and of the addresses they hold. A member row is read and written whole; its addresses
 * are leases, read with it and written by store_lease_*. A lease outlives its member: freed, it keeps the address from being
 * handed out again until it expires. */
#include "controller/store.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "controller/query.h"

const char store_schema_members[] = "";

#define MEMBER_COLUMNS                                                                                                                     \
	"id, nwid, keys, key_hash, address, state, name, hostname, os, version, flags_on, flags_off, serial, "                             \
	"first_seen_wall, last_seen_wall, revision"

static void member_read(struct query *q, struct member_record *m)
{
	uint8_t keys[IDENTITY_BYTES];
	*m = (struct member_record){.id = column_u64(q, 0), .nwid = column_u64(q, 1), .address = column_u64(q, 4)};
	column_blob(q, 2, keys, sizeof(keys));
	memcpy(m->identity.x, keys, 32);
	memcpy(m->identity.ed, keys + 32, 32);
	column_blob(q, 3, m->identity.key_hash, KEY_HASH_BYTES);
	m->identity.address = m->address;
	m->state = (enum member_state)column_u64(q, 5);
	column_text(q, 6, m->name, sizeof(m->name));
	column_text(q, 7, m->hostname, sizeof(m->hostname));
	column_text(q, 8, m->os, sizeof(m->os));
	column_text(q, 9, m->version, sizeof(m->version));
	m->flags_on = (uint32_t)column_u64(q, 10);
	m->flags_off = (uint32_t)column_u64(q, 11);
	m->serial = column_u64(q, 12);
	m->first_seen_wall_s = column_u64(q, 13);
	m->last_seen_wall_s = column_u64(q, 14);
	m->revision = column_u64(q, 15);
}

static int member_ips(struct store *s, struct member_record *m)
{
	struct query *q = query_read(s, "SELECT ip, bits FROM lease WHERE member = ?1 ORDER BY ip");
	query_u64(q, 1, m->id);
	while (m->n_ips < CRED_IPS_MAX && query_row(q)) {
		struct prefix *p = &m->ips[m->n_ips++];
		*p = (struct prefix){.family = 4, .bits = (uint8_t)column_u64(q, 1)};
		column_blob(q, 0, p->ip, 4);
	}
	return query_end(q);
}

static void member_bind(struct query *q, const struct member_record *m, uint64_t revision)
{
	query_u64(q, 1, m->id);
	query_u64(q, 2, (uint64_t)m->state);
	query_text(q, 3, m->name);
	query_text(q, 4, m->hostname);
	query_text(q, 5, m->os);
	query_text(q, 6, m->version);
	query_u64(q, 7, m->flags_on);
	query_u64(q, 8, m->flags_off);
	query_u64(q, 9, m->serial);
	query_u64(q, 10, m->last_seen_wall_s);
	query_u64(q, 11, revision);
}

int store_member_insert(struct store *s, struct member_record *m)
{
	uint8_t keys[IDENTITY_BYTES];
	memcpy(keys, m->identity.x, 32);
	memcpy(keys + 32, m->identity.ed, 32);
	uint64_t revision = store_revision_next(s);
	struct query *q = query_write(s, "INSERT INTO member (state, name, hostname, os, version, flags_on, flags_off, serial, "
	                                 "last_seen_wall, revision, nwid, key_hash, keys, address, first_seen_wall) VALUES "
	                                 "(?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16) RETURNING id");
	member_bind(q, m, revision);
	query_null(q, 1);
	query_u64(q, 12, m->nwid);
	query_blob(q, 13, m->identity.key_hash, KEY_HASH_BYTES);
	query_blob(q, 14, keys, sizeof(keys));
	query_u64(q, 15, m->address);
	query_u64(q, 16, m->first_seen_wall_s);
	uint64_t id = query_row(q) ? column_u64(q, 0) : 0;
	int r = id ? query_run(q) : query_end(q);
	if (!r)
		m->id = id;
	return r;
}

int store_member_update(struct store *s, const struct member_record *m)
{
	uint64_t revision = store_revision_next(s);
	struct query *q = query_write(s, "UPDATE member SET state = ?2, name = ?3, hostname = ?4, os = ?5, version = ?6, flags_on = ?7, "
	                                 "flags_off = ?8, serial = ?9, last_seen_wall = ?10, revision = ?11 WHERE id = ?1");
	member_bind(q, m, revision);
	return query_run(q);
}

int store_member_seen(struct store *s, uint64_t id, uint64_t wall_s)
{
	uint64_t revision = store_revision_next(s);
	struct query *q = query_write(s, "UPDATE member SET last_seen_wall = ?2, revision = ?3 WHERE id = ?1");
	query_u64(q, 1, id);
	query_u64(q, 2, wall_s);
	query_u64(q, 3, revision);
	return query_run(q);
}

int store_member_delete(struct store *s, uint64_t id)
{
	if (!store_revision_next(s))
		return store_failure(s);
	struct query *q = query_write(s, "DELETE FROM member WHERE id = ?1");
	query_u64(q, 1, id);
	return query_run(q);
}

static int member_one(struct store *s, struct query *q, struct member_record *ret, unsigned *ret_n)
{
	struct member_record m;
	unsigned n = 0;
	for (; query_row(q); n++)
		if (!n)
			member_read(q, &m);
	int r = query_end(q);
	if (!r)
		r = n ? member_ips(s, &m) : -ENOENT;
	if (!r) {
		*ret = m;
		*ret_n = n;
	}
	return r;
}

int store_member_get(struct store *s, uint64_t nwid, const uint8_t key_hash[KEY_HASH_BYTES], struct member_record *ret)
{
	unsigned n;
	struct query *q = query_read(s, "SELECT " MEMBER_COLUMNS " FROM member WHERE nwid = ?1 AND key_hash = ?2");
	query_u64(q, 1, nwid);
	query_blob(q, 2, key_hash, KEY_HASH_BYTES);
	return member_one(s, q, ret, &n);
}

int store_member_address(struct store *s, uint64_t nwid, uint64_t address, struct member_record *ret, unsigned *ret_n)
{
	struct query *q = query_read(s, "SELECT " MEMBER_COLUMNS " FROM member WHERE nwid = ?1 AND address = ?2 ORDER BY id LIMIT 8");
	query_u64(q, 1, nwid);
	query_u64(q, 2, address);
	return member_one(s, q, ret, ret_n);
}

int store_member_id(struct store *s, uint64_t id, struct member_record *ret)
{
	unsigned n;
	struct query *q = query_read(s, "SELECT " MEMBER_COLUMNS " FROM member WHERE id = ?1");
	query_u64(q, 1, id);
	return member_one(s, q, ret, &n);
}

int store_member_each(struct store *s, uint64_t nwid, void (*each)(void *, const struct member_record *), void *self)
{
	struct member_record m;
	int r = 0;
	struct query *q = query_read(s, "SELECT " MEMBER_COLUMNS " FROM member WHERE nwid = ?1 ORDER BY address, id");
	query_u64(q, 1, nwid);
	while (!r && query_row(q)) {
		member_read(q, &m);
		r = member_ips(s, &m);
		if (!r)
			each(self, &m);
	}
	int ended = query_end(q);
	return r ? r : ended;
}

int store_member_networks(struct store *s, const uint8_t key_hash[KEY_HASH_BYTES], uint64_t *ret, unsigned max, unsigned *ret_n)
{
	unsigned n = 0;
	struct query *q = query_read(s, "SELECT nwid FROM member WHERE key_hash = ?1 ORDER BY nwid");
	query_blob(q, 1, key_hash, KEY_HASH_BYTES);
	while (n < max && query_row(q))
		ret[n++] = column_u64(q, 0);
	int r = query_end(q);
	if (!r)
		*ret_n = n;
	return r;
}

int store_member_evict(struct store *s, uint64_t nwid)
{
	if (!store_revision_next(s))
		return store_failure(s);
	struct query *q = query_write(s, "DELETE FROM member WHERE id = (SELECT id FROM member WHERE nwid = ?1 AND state = ?2 "
	                                 "ORDER BY last_seen_wall, id LIMIT 1)");
	query_u64(q, 1, nwid);
	query_u64(q, 2, MEMBER_PENDING);
	return query_run(q);
}

/* ---- addresses ---------------------------------------------------------------------- */

int store_lease_put(struct store *s, uint64_t nwid, const struct lease *l)
{
	uint64_t revision = store_revision_next(s);
	struct query *q =
	    query_write(s, "INSERT INTO lease VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO UPDATE SET bits = excluded.bits, "
	                   "member = excluded.member, freed = excluded.freed, revision = excluded.revision");
	query_u64(q, 1, nwid);
	query_blob(q, 2, l->ip, 4);
	query_u64(q, 3, l->bits);
	if (l->member)
		query_u64(q, 4, l->member);
	else
		query_null(q, 4);
	query_u64(q, 5, l->freed);
	query_u64(q, 6, revision);
	return query_run(q);
}

int store_lease_free(struct store *s, uint64_t member, uint64_t now)
{
	uint64_t revision = store_revision_next(s);
	struct query *q = query_write(s, "UPDATE lease SET member = NULL, freed = ?2, revision = ?3 WHERE member = ?1");
	query_u64(q, 1, member);
	query_u64(q, 2, now);
	query_u64(q, 3, revision);
	return query_run(q);
}

int store_lease_expire(struct store *s, uint64_t nwid, uint64_t before)
{
	struct query *q = query_write(s, "DELETE FROM lease WHERE nwid = ?1 AND member IS NULL AND freed < ?2");
	query_u64(q, 1, nwid);
	query_u64(q, 2, before);
	return query_run(q);
}

int store_leases(struct store *s, uint64_t nwid, struct lease **ret, size_t *ret_n)
{
	struct lease *all = NULL;
	size_t n = 0, room = 0;
	int r = 0;
	struct query *q = query_read(s, "SELECT ip, bits, member, freed FROM lease WHERE nwid = ?1 ORDER BY ip");
	query_u64(q, 1, nwid);
	while (query_row(q)) {
		if (n == room) {
			room = room ? room * 2 : 64;
			struct lease *more = realloc(all, room * sizeof(*all));
			if (!more) {
				r = -ENOMEM;
				break;
			}
			all = more;
		}
		all[n] = (struct lease){.bits = (uint8_t)column_u64(q, 1), .member = column_u64(q, 2), .freed = column_u64(q, 3)};
		column_blob(q, 0, all[n++].ip, 4);
	}
	int ended = query_end(q);
	r = r ? r : ended;
	if (r) {
		free(all);
		return r;
	}
	*ret = all;
	*ret_n = n;
	return 0;
}
