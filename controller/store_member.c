/* Theory of operation: rows of members and of the addresses they hold. A member row is read and written whole, but for what it
 * says of itself; its addresses are leases, read with it in one join and written by store_lease_*. A lease outlives its member: freed, it keeps the address from being
 * handed out again until it expires. */
#include "controller/store.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "controller/query.h"
#include "controller/tag.h"

/* Version 3. Who was there before has asked just now, as far as anybody knows. */
const char store_schema_members[] =
    "ALTER TABLE network ADD COLUMN description TEXT NOT NULL DEFAULT '';"
    "ALTER TABLE network ADD COLUMN routes BLOB;" /* as section 3 has them; NULL = none */
    "ALTER TABLE network ADD COLUMN dns BLOB;"    /* as section 4 */
    "ALTER TABLE member ADD COLUMN description TEXT NOT NULL DEFAULT '';"
    "ALTER TABLE member ADD COLUMN reason TEXT NOT NULL DEFAULT '';"
    "ALTER TABLE member ADD COLUMN tags TEXT NOT NULL DEFAULT '';" /* ascending, blank between */
    "ALTER TABLE member ADD COLUMN expires INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE member ADD COLUMN ephemeral INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE member ADD COLUMN invite INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE member ADD COLUMN seen INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE member ADD COLUMN asked INTEGER NOT NULL DEFAULT 0;"
    "UPDATE member SET seen = (SELECT ceiling FROM meta);"
    "CREATE INDEX member_expires ON member (expires) WHERE state = 1 AND expires > 0;"
    "CREATE INDEX member_seen ON member (seen) WHERE state = 0;"
    "CREATE TABLE ban (key_hash BLOB PRIMARY KEY CHECK (length(key_hash) = 32), address INTEGER NOT NULL, reason TEXT NOT NULL, "
    "revision INTEGER NOT NULL) STRICT, WITHOUT ROWID;"
    "CREATE TABLE departed (id INTEGER PRIMARY KEY AUTOINCREMENT, nwid INTEGER NOT NULL REFERENCES network (nwid) ON DELETE CASCADE, "
    "key_hash BLOB NOT NULL CHECK (length(key_hash) = 32), asked INTEGER NOT NULL, at INTEGER NOT NULL, "
    "revision INTEGER NOT NULL, UNIQUE (nwid, key_hash)) STRICT;"
    "CREATE TABLE preapproval (nwid INTEGER NOT NULL REFERENCES network (nwid) ON DELETE CASCADE, address INTEGER NOT NULL, "
    "given INTEGER NOT NULL, name TEXT NOT NULL, description TEXT NOT NULL, tags TEXT NOT NULL, ips BLOB, flags_on INTEGER NOT NULL, "
    "flags_off INTEGER NOT NULL, expires INTEGER NOT NULL, ephemeral INTEGER NOT NULL, created_wall INTEGER NOT NULL, "
    "revision INTEGER NOT NULL, PRIMARY KEY (nwid, address)) STRICT, WITHOUT ROWID;";

#define MEMBER_COLUMNS                                                                                                                     \
	"m.id, m.nwid, m.keys, m.key_hash, m.address, m.state, m.name, m.hostname, m.os, m.version, m.flags_on, m.flags_off, m.serial, "   \
	"m.first_seen_wall, m.last_seen_wall, m.revision, m.description, m.reason, m.tags, m.expires, m.ephemeral, m.invite, m.seen, "     \
	"m.asked, m.auto_ip, m.authorized_wall, m.deauthorized_wall, l.ip, l.bits"
#define MEMBER_ROWS  "SELECT " MEMBER_COLUMNS " FROM member m LEFT JOIN lease l ON l.member = m.id "
#define LEASE_COLUMN 27 /* l.ip */

static void member_read(struct query *q, struct member_record *m)
{
	uint8_t keys[IDENTITY_BYTES];
	char tags[TAGS_TEXT];
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
	column_text(q, 16, m->description, sizeof(m->description));
	column_text(q, 17, m->reason, sizeof(m->reason));
	column_text(q, 18, tags, sizeof(tags));
	tags_read(tags, &m->tags);
	m->expires = column_u64(q, 19);
	m->ephemeral = (uint32_t)column_u64(q, 20);
	m->invite = column_u64(q, 21);
	m->seen = column_u64(q, 22);
	m->asked = column_u64(q, 23);
	m->auto_ip = column_u64(q, 24);
	m->authorized_wall_s = column_u64(q, 25);
	m->deauthorized_wall_s = column_u64(q, 26);
}

/* Ascending; the join gives them in whatever order. */
static void member_ip(struct query *q, struct member_record *m)
{
	struct prefix p = {.family = 4};
	if (column_null(q, LEASE_COLUMN) || m->n_ips == CRED_IPS_MAX)
		return;
	column_blob(q, LEASE_COLUMN, p.ip, 4);
	p.bits = (uint8_t)column_u64(q, LEASE_COLUMN + 1);
	unsigned at = m->n_ips++;
	for (; at && memcmp(m->ips[at - 1].ip, p.ip, 4) > 0; at--)
		m->ips[at] = m->ips[at - 1];
	m->ips[at] = p;
}

/* A member is as many rows as it has addresses, one behind the other. */
static int members_walk(struct query *q, bool (*each)(void *, const struct member_record *), void *self)
{
	struct member_record m = {0};
	bool on = true;
	while (on && query_row(q)) {
		if (m.id != column_u64(q, 0)) {
			on = !m.id || each(self, &m);
			member_read(q, &m);
		}
		member_ip(q, &m);
	}
	int r = query_end(q);
	if (!r && on && m.id)
		each(self, &m);
	return r;
}

struct all {
	void (*each)(void *, const struct member_record *);
	void *self;
};

static bool all_take(void *self, const struct member_record *m)
{
	struct all *all = self;
	all->each(all->self, m);
	return true;
}

static int members_each(struct query *q, void (*each)(void *, const struct member_record *), void *self)
{
	struct all all = {.each = each, .self = self};
	return members_walk(q, all_take, &all);
}

/* tags: room for them as text until the query ends. */
static void member_bind(struct query *q, const struct member_record *m, uint64_t revision, char tags[TAGS_TEXT])
{
	tags_text(&m->tags, tags);
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
	query_text(q, 12, m->description);
	query_text(q, 13, m->reason);
	query_text(q, 14, tags);
	query_u64(q, 15, m->expires);
	query_u64(q, 16, m->ephemeral);
	query_u64(q, 17, m->invite);
	query_u64(q, 18, m->seen);
	query_u64(q, 19, m->asked);
	query_u64(q, 20, m->auto_ip);
	query_u64(q, 21, m->authorized_wall_s);
	query_u64(q, 22, m->deauthorized_wall_s);
}

int store_member_insert(struct store *s, struct member_record *m)
{
	uint8_t keys[IDENTITY_BYTES];
	char tags[TAGS_TEXT];
	memcpy(keys, m->identity.x, 32);
	memcpy(keys + 32, m->identity.ed, 32);
	uint64_t revision = store_revision_next(s);
	struct query *q = query_write(s, "INSERT INTO member (state, name, hostname, os, version, flags_on, flags_off, serial, "
	                                 "last_seen_wall, revision, description, reason, tags, expires, ephemeral, invite, seen, asked, "
	                                 "auto_ip, authorized_wall, deauthorized_wall, nwid, key_hash, keys, address, first_seen_wall) "
	                                 "VALUES (?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, "
	                                 "?21, ?22, ?23, ?24, ?25, ?26, ?27) RETURNING id");
	member_bind(q, m, revision, tags);
	query_null(q, 1);
	query_u64(q, 23, m->nwid);
	query_blob(q, 24, m->identity.key_hash, KEY_HASH_BYTES);
	query_blob(q, 25, keys, sizeof(keys));
	query_u64(q, 26, m->address);
	query_u64(q, 27, m->first_seen_wall_s);
	uint64_t id = query_row(q) ? column_u64(q, 0) : 0;
	int r = id ? query_run(q) : query_end(q);
	if (!r)
		m->id = id;
	return r;
}

int store_member_update(struct store *s, const struct member_record *m)
{
	char tags[TAGS_TEXT];
	uint64_t revision = store_revision_next(s);
	struct query *q = query_write(s, "UPDATE member SET state = ?2, name = ?3, hostname = ?4, os = ?5, version = ?6, flags_on = ?7, "
	                                 "flags_off = ?8, serial = ?9, last_seen_wall = ?10, revision = ?11, description = ?12, "
	                                 "reason = ?13, tags = ?14, expires = ?15, ephemeral = ?16, invite = ?17, seen = ?18, asked = ?19, "
	                                 "auto_ip = ?20, authorized_wall = ?21, deauthorized_wall = ?22 "
	                                 "WHERE id = ?1");
	member_bind(q, m, revision, tags);
	return query_run(q);
}

int store_member_said(struct store *s, const struct member_record *m)
{
	if (!store_revision_next(s))
		return store_failure(s);
	struct query *q =
	    query_write(s, "UPDATE member SET hostname = ?2, os = ?3, version = ?4, last_seen_wall = ?5, seen = ?6, asked = ?7 "
	                   "WHERE id = ?1");
	query_u64(q, 1, m->id);
	query_text(q, 2, m->hostname);
	query_text(q, 3, m->os);
	query_text(q, 4, m->version);
	query_u64(q, 5, m->last_seen_wall_s);
	query_u64(q, 6, m->seen);
	query_u64(q, 7, m->asked);
	return query_run(q);
}

int store_member_seen(struct store *s, uint64_t id, uint64_t wall_s)
{
	if (!store_revision_next(s))
		return store_failure(s);
	struct query *q = query_write(s, "UPDATE member SET last_seen_wall = ?2 WHERE id = ?1");
	query_u64(q, 1, id);
	query_u64(q, 2, wall_s);
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

struct first {
	struct member_record *ret;
	unsigned n;
};

static void first_take(void *self, const struct member_record *m)
{
	struct first *f = self;
	if (!f->n++)
		*f->ret = *m;
}

static int member_one(struct query *q, struct member_record *ret, unsigned *ret_n)
{
	struct member_record m = {0};
	struct first first = {.ret = &m};
	int r = members_each(q, first_take, &first);
	if (!r && !first.n)
		r = -ENOENT;
	if (!r) {
		*ret = m;
		*ret_n = first.n;
	}
	return r;
}

int store_member_get(struct store *s, uint64_t nwid, const uint8_t key_hash[KEY_HASH_BYTES], struct member_record *ret)
{
	unsigned n;
	struct query *q = query_read(s, MEMBER_ROWS "WHERE m.nwid = ?1 AND m.key_hash = ?2");
	query_u64(q, 1, nwid);
	query_blob(q, 2, key_hash, KEY_HASH_BYTES);
	return member_one(q, ret, &n);
}

int store_member_address(struct store *s, uint64_t nwid, uint64_t address, struct member_record *ret, unsigned *ret_n)
{
	struct query *q = query_read(s, MEMBER_ROWS "WHERE m.nwid = ?1 AND m.address = ?2 ORDER BY m.id LIMIT 64");
	query_u64(q, 1, nwid);
	query_u64(q, 2, address);
	return member_one(q, ret, ret_n);
}

int store_member_id(struct store *s, uint64_t id, struct member_record *ret)
{
	unsigned n;
	struct query *q = query_read(s, MEMBER_ROWS "WHERE m.id = ?1");
	query_u64(q, 1, id);
	return member_one(q, ret, &n);
}

int store_member_each(struct store *s, uint64_t nwid, void (*each)(void *, const struct member_record *), void *self)
{
	struct query *q = query_read(s, MEMBER_ROWS "WHERE m.nwid = ?1 ORDER BY m.address, m.id");
	query_u64(q, 1, nwid);
	return members_each(q, each, self);
}

int store_member_walk(struct store *s, uint64_t nwid, uint64_t from, bool (*each)(void *, const struct member_record *), void *self)
{
	struct query *q = query_read(s, MEMBER_ROWS "WHERE m.nwid = ?1 AND m.address >= ?2 ORDER BY m.address, m.id");
	query_u64(q, 1, nwid);
	query_u64(q, 2, from);
	return members_walk(q, each, self);
}

/* The condition "state = ..." is that of the partial index, by which both are found. */
int store_member_ends(struct store *s, uint64_t pending_for, uint64_t *ret_next)
{
	uint64_t expires = 0, seen = 0;
	struct query *q = query_read(s, "SELECT min(expires) FROM member WHERE state = 1 AND expires > 0");
	if (query_row(q))
		expires = column_u64(q, 0);
	int r = query_end(q);
	if (r)
		return r;
	q = query_read(s, "SELECT min(seen) FROM member WHERE state = 0");
	if (query_row(q) && !column_null(q, 0))
		seen = column_u64(q, 0) + pending_for;
	r = query_end(q);
	if (!r)
		*ret_next = !expires || (seen && seen < expires) ? seen : expires;
	return r;
}

int store_member_ended(struct store *s, uint64_t now, uint64_t pending_for, uint64_t *ret_ids, unsigned max, unsigned *ret_n)
{
	unsigned n = 0;
	struct query *q =
	    query_read(s, "SELECT id FROM member WHERE state = 1 AND expires > 0 AND expires <= ?1 ORDER BY expires LIMIT ?2");
	query_u64(q, 1, now);
	query_u64(q, 2, max);
	while (n < max && query_row(q))
		ret_ids[n++] = column_u64(q, 0);
	int r = query_end(q);
	if (!r && now >= pending_for) {
		q = query_read(s, "SELECT id FROM member WHERE state = 0 AND seen <= ?1 ORDER BY seen LIMIT ?2");
		query_u64(q, 1, now - pending_for);
		query_u64(q, 2, max);
		while (n < max && query_row(q))
			ret_ids[n++] = column_u64(q, 0);
		r = query_end(q);
	}
	if (!r)
		*ret_n = n;
	return r;
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

int store_member_evict(struct store *s, uint64_t nwid, uint64_t now, uint64_t *ret_address)
{
	uint64_t id = 0, address = 0;
	struct query *q = query_read(s, "SELECT id, address FROM member WHERE nwid = ?1 AND state = ?2 ORDER BY seen, id LIMIT 1");
	query_u64(q, 1, nwid);
	query_u64(q, 2, MEMBER_PENDING);
	if (query_row(q)) {
		id = column_u64(q, 0);
		address = column_u64(q, 1);
	}
	int r = query_end(q);
	if (!r && id)
		r = store_lease_free(s, id, now); /* who was unbanned has its own still */
	if (!r && id)
		r = store_member_delete(s, id);
	if (!r)
		*ret_address = address;
	return r;
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

int store_lease_count(struct store *s, uint64_t nwid, uint32_t *ret)
{
	struct query *q = query_read(s, "SELECT count(*) FROM lease WHERE nwid = ?1 AND member IS NOT NULL");
	query_u64(q, 1, nwid);
	if (query_row(q))
		*ret = (uint32_t)column_u64(q, 0);
	return query_end(q);
}

int store_lease_expire(struct store *s, uint64_t nwid, uint64_t before, unsigned *ret_n)
{
	return query_purge(s, "SELECT count(*) FROM lease WHERE nwid = ?1 AND member IS NULL AND freed < ?2",
	                   "DELETE FROM lease WHERE nwid = ?1 AND member IS NULL AND freed < ?2", nwid, before, ret_n);
}

static void query_ip(struct query *q, int at, uint32_t ip, uint8_t room[4])
{
	for (unsigned i = 0; i < 4; i++)
		room[i] = (uint8_t)(ip >> (24 - 8 * i));
	query_blob(q, at, room, 4);
}

static uint32_t column_ip(struct query *q, int at)
{
	uint8_t ip[4];
	column_blob(q, at, ip, 4);
	return (uint32_t)ip[0] << 24 | (uint32_t)ip[1] << 16 | (uint32_t)ip[2] << 8 | ip[3];
}

int store_lease_gap(struct store *s, uint64_t nwid, uint32_t from, uint32_t to, uint32_t *ret)
{
	uint8_t low[4], high[4];
	uint64_t next = from;
	struct query *q = query_read(s, "SELECT ip FROM lease WHERE nwid = ?1 AND ip BETWEEN ?2 AND ?3 ORDER BY ip");
	query_u64(q, 1, nwid);
	query_ip(q, 2, from, low);
	query_ip(q, 3, to, high);
	while (next <= to && query_row(q) && column_ip(q, 0) == next)
		next++;
	int r = query_end(q);
	if (!r)
		*ret = next <= to ? (uint32_t)next : 0;
	return r;
}

int store_lease_count_in(struct store *s, uint64_t nwid, uint32_t from, uint32_t to, uint32_t *ret)
{
	uint8_t low[4], high[4];
	struct query *q = query_read(s, "SELECT count(*) FROM lease WHERE nwid = ?1 AND ip BETWEEN ?2 AND ?3 AND member IS NOT NULL");
	query_u64(q, 1, nwid);
	query_ip(q, 2, from, low);
	query_ip(q, 3, to, high);
	uint32_t n = query_row(q) ? (uint32_t)column_u64(q, 0) : 0;
	int r = query_end(q);
	if (!r)
		*ret = n;
	return r;
}

int store_lease_oldest(struct store *s, uint64_t nwid, uint32_t from, uint32_t to, uint32_t *ret, uint64_t *ret_freed)
{
	uint8_t low[4], high[4];
	struct query *q = query_read(s, "SELECT ip, freed FROM lease WHERE nwid = ?1 AND member IS NULL AND ip BETWEEN ?2 AND ?3 "
	                                "ORDER BY freed, ip LIMIT 1");
	query_u64(q, 1, nwid);
	query_ip(q, 2, from, low);
	query_ip(q, 3, to, high);
	uint32_t found = query_row(q) ? column_ip(q, 0) : 0;
	uint64_t freed = found ? column_u64(q, 1) : 0;
	int r = query_end(q);
	if (!r) {
		*ret = found;
		*ret_freed = freed;
	}
	return r;
}

int store_lease_get(struct store *s, uint64_t nwid, const uint8_t ip[4], struct lease *ret)
{
	struct lease l = {0};
	struct query *q = query_read(s, "SELECT ip, bits, member, freed FROM lease WHERE nwid = ?1 AND ip = ?2");
	query_u64(q, 1, nwid);
	query_blob(q, 2, ip, 4);
	bool found = query_row(q);
	if (found) {
		l = (struct lease){.bits = (uint8_t)column_u64(q, 1), .member = column_u64(q, 2), .freed = column_u64(q, 3)};
		column_blob(q, 0, l.ip, 4);
	}
	int r = query_end(q);
	if (!r && found)
		*ret = l;
	return r ? r : found ? 0 : -ENOENT;
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
