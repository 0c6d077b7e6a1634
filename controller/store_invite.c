/* Theory of operation: rows of invitations. A use is taken by one UPDATE that names every condition, and the number of rows it
 * touched is the answer: whoever looked first and wrote later could let two in by one use. Since when an
 * ephemeral member is away stands in a column of its own, written here alone. */
#include "controller/store_invite.h"

#include <errno.h>

#include "controller/query.h"
#include "controller/tag.h"

/* clang-format off */
const char store_schema_invites[] =
    "CREATE TABLE invite ("
    "	id INTEGER PRIMARY KEY,"         /* random */
    "	nwid INTEGER NOT NULL REFERENCES network (nwid) ON DELETE CASCADE,"
    "	public BLOB NOT NULL CHECK (length(public) = 32),"
    "	name TEXT NOT NULL,"
    "	uses INTEGER NOT NULL,"          /* 0 = no limit */
    "	uses_left INTEGER NOT NULL CHECK (uses_left >= 0),"
    "	expires INTEGER NOT NULL,"       /* network time, 0 = never */
    "	tags TEXT NOT NULL,"
    "	flags_on INTEGER NOT NULL,"
    "	flags_off INTEGER NOT NULL,"
    "	ephemeral INTEGER NOT NULL,"
    "	ended INTEGER NOT NULL,"         /* 0, or the state it ended in */
    "	created_wall INTEGER NOT NULL,"
    "	created_by TEXT NOT NULL,"
    "	revision INTEGER NOT NULL"
    ") STRICT;"
    "CREATE INDEX invite_network ON invite (nwid, created_wall);"
    "CREATE INDEX invite_expires ON invite (expires) WHERE ended = 0 AND expires <> 0;"
    "ALTER TABLE member ADD COLUMN away INTEGER NOT NULL DEFAULT 0;" /* network time, of ephemeral ones; 0 = online */
    "CREATE INDEX member_away ON member (away + ephemeral) WHERE ephemeral <> 0 AND away <> 0;";
/* clang-format on */

#define INVITE_COLUMNS                                                                                                                     \
	"id, nwid, name, uses, uses_left, expires, tags, flags_on, flags_off, ephemeral, ended, created_wall, created_by, revision, "      \
	"public"

static void invite_read(struct query *q, struct invite_row *i, uint8_t *ret_public)
{
	*i = (struct invite_row){.id = column_u64(q, 0), .nwid = column_u64(q, 1)};
	struct invite_terms *t = &i->terms;
	char tags[TAGS_TEXT];
	column_text(q, 2, t->name, sizeof(t->name));
	t->uses = (uint32_t)column_u64(q, 3);
	i->uses_left = (uint32_t)column_u64(q, 4);
	i->expires = column_u64(q, 5);
	column_text(q, 6, tags, sizeof(tags));
	tags_read(tags, &t->tags);
	t->flags_on = (uint32_t)column_u64(q, 7);
	t->flags_off = (uint32_t)column_u64(q, 8);
	t->ephemeral_s = (uint32_t)column_u64(q, 9);
	i->state = (enum invite_state)column_u64(q, 10);
	i->created_wall_s = column_u64(q, 11);
	column_text(q, 12, i->created_by, sizeof(i->created_by));
	i->revision = column_u64(q, 13);
	if (i->state == INVITE_OPEN && t->uses && !i->uses_left)
		i->state = INVITE_SPENT;
	if (ret_public)
		column_blob(q, 14, ret_public, 32);
}

int store_invite_insert(struct store *s, const struct invite_row *i, const uint8_t public[32])
{
	uint64_t revision = store_revision_next(s);
	char tags[TAGS_TEXT];
	struct query *q = query_write(
	    s, "INSERT INTO invite (id, nwid, public, name, uses, uses_left, expires, tags, flags_on, flags_off, ephemeral, "
	       "ended, created_wall, created_by, revision) VALUES (?1, ?2, ?3, ?4, ?5, ?5, ?6, ?7, ?8, ?9, ?10, 0, ?11, ?12, ?13)");
	query_u64(q, 1, i->id);
	query_u64(q, 2, i->nwid);
	query_blob(q, 3, public, 32);
	query_text(q, 4, i->terms.name);
	query_u64(q, 5, i->terms.uses);
	query_u64(q, 6, i->expires);
	tags_text(&i->terms.tags, tags);
	query_text(q, 7, tags);
	query_u64(q, 8, i->terms.flags_on);
	query_u64(q, 9, i->terms.flags_off);
	query_u64(q, 10, i->terms.ephemeral_s);
	query_u64(q, 11, i->created_wall_s);
	query_text(q, 12, i->created_by);
	query_u64(q, 13, revision);
	return query_run(q);
}

int store_invite_get(struct store *s, uint64_t nwid, uint64_t id, struct invite_row *ret, uint8_t *ret_public)
{
	struct query *q = query_read(s, "SELECT " INVITE_COLUMNS " FROM invite WHERE id = ?1 AND nwid = ?2");
	query_u64(q, 1, id);
	query_u64(q, 2, nwid);
	bool found = query_row(q);
	if (found)
		invite_read(q, ret, ret_public);
	int r = query_end(q);
	return r ? r : found ? 0 : -ENOENT;
}

int store_invite_each(struct store *s, uint64_t nwid, void (*each)(void *, const struct invite_row *), void *self)
{
	struct invite_row i;
	struct query *q = query_read(s, "SELECT " INVITE_COLUMNS " FROM invite WHERE nwid = ?1 ORDER BY created_wall DESC, id");
	query_u64(q, 1, nwid);
	while (query_row(q)) {
		invite_read(q, &i, NULL);
		each(self, &i);
	}
	return query_end(q);
}

int store_invite_count(struct store *s, uint64_t nwid, uint32_t *ret)
{
	struct query *q = query_read(s, "SELECT count(*) FROM invite WHERE nwid = ?1");
	query_u64(q, 1, nwid);
	uint64_t n = query_row(q) ? column_u64(q, 0) : 0;
	int r = query_end(q);
	if (!r)
		*ret = (uint32_t)n;
	return r;
}

int store_invite_end(struct store *s, uint64_t id, enum invite_state state)
{
	uint64_t revision = store_revision_next(s);
	struct query *q = query_write(s, "UPDATE invite SET ended = ?2, revision = ?3 WHERE id = ?1");
	query_u64(q, 1, id);
	query_u64(q, 2, (uint64_t)state);
	query_u64(q, 3, revision);
	return query_run(q);
}

int store_invite_evict(struct store *s, uint64_t nwid, bool *ret_gone)
{
	if (!store_revision_next(s))
		return store_failure(s);
	struct query *q = query_write(s, "DELETE FROM invite WHERE id = (SELECT id FROM invite WHERE nwid = ?1 AND "
	                                 "(ended <> 0 OR (uses <> 0 AND uses_left = 0)) ORDER BY revision LIMIT 1)");
	query_u64(q, 1, nwid);
	int r = query_run(q);
	if (!r)
		*ret_gone = store_changes(s) == 1;
	return r;
}

int store_invite_take(struct store *s, uint64_t nwid, uint64_t id, uint64_t now, bool *ret_taken)
{
	uint64_t revision = store_revision_next(s);
	struct query *q = query_write(s, "UPDATE invite SET uses_left = uses_left - (uses <> 0), revision = ?4 WHERE id = ?1 AND nwid = ?2 "
	                                 "AND ended = 0 AND (uses = 0 OR uses_left > 0) AND (expires = 0 OR expires > ?3)");
	query_u64(q, 1, id);
	query_u64(q, 2, nwid);
	query_u64(q, 3, now);
	query_u64(q, 4, revision);
	int r = query_run(q);
	if (!r)
		*ret_taken = store_changes(s) == 1;
	return r;
}

int store_invite_give(struct store *s, uint64_t id)
{
	struct query *q = query_write(s, "UPDATE invite SET uses_left = uses_left + 1 WHERE id = ?1 AND uses_left < uses");
	query_u64(q, 1, id);
	return query_run(q);
}

int store_invite_expired(struct store *s, uint64_t now, struct invite_due *ret, unsigned max, unsigned *ret_n, uint64_t *ret_next)
{
	unsigned n = 0;
	uint64_t next = UINT64_MAX;
	struct query *q = query_read(s, "SELECT id, nwid, expires FROM invite WHERE ended = 0 AND expires <> 0 ORDER BY expires LIMIT ?1");
	query_u64(q, 1, max + 1);
	while (next == UINT64_MAX && query_row(q)) {
		uint64_t expires = column_u64(q, 2);
		if (expires > now || n == max)
			next = expires;
		else
			ret[n++] = (struct invite_due){.id = column_u64(q, 0), .nwid = column_u64(q, 1)};
	}
	int r = query_end(q);
	if (!r) {
		*ret_n = n;
		*ret_next = next;
	}
	return r;
}

/* ---- members that came by one ------------------------------------------------------- */

int store_member_away(struct store *s, uint64_t member, uint64_t away)
{
	struct query *q = query_read(s, "SELECT 1 FROM member WHERE id = ?1 AND away <> ?2 AND (away = 0 OR ?2 = 0)");
	query_u64(q, 1, member);
	query_u64(q, 2, away);
	bool changes = query_row(q);
	int r = query_end(q);
	if (r || !changes)
		return r;
	q = query_write(s, "UPDATE member SET away = ?2 WHERE id = ?1");
	query_u64(q, 1, member);
	query_u64(q, 2, away);
	return query_run(q);
}

int store_members_away(struct store *s, uint64_t away)
{
	struct query *q = query_read(s, "SELECT 1 FROM member WHERE ephemeral <> 0 AND away = 0 LIMIT 1");
	bool any = query_row(q);
	int r = query_end(q);
	if (r || !any)
		return r;
	q = query_write(s, "UPDATE member SET away = ?1 WHERE ephemeral <> 0 AND away = 0");
	query_u64(q, 1, away);
	return query_run(q);
}

int store_members_here(struct store *s, uint64_t after, uint64_t *ret, unsigned max, unsigned *ret_n)
{
	unsigned n = 0;
	struct query *q = query_read(s, "SELECT id FROM member WHERE ephemeral <> 0 AND away = 0 AND id > ?1 ORDER BY id LIMIT ?2");
	query_u64(q, 1, after);
	query_u64(q, 2, max);
	while (n < max && query_row(q))
		ret[n++] = column_u64(q, 0);
	int r = query_end(q);
	if (!r)
		*ret_n = n;
	return r;
}

int store_members_gone(struct store *s, uint64_t now, uint64_t *ret, unsigned max, unsigned *ret_n, uint64_t *ret_next)
{
	unsigned n = 0;
	uint64_t next = UINT64_MAX;
	struct query *q = query_read(s, "SELECT id, away + ephemeral FROM member WHERE ephemeral <> 0 AND away <> 0 "
	                                "AND state = ?2 ORDER BY away + ephemeral LIMIT ?1");
	query_u64(q, 1, max + 1);
	query_u64(q, 2, MEMBER_APPROVED); /* who was put out stays, or a key would let it in again */
	while (next == UINT64_MAX && query_row(q)) {
		uint64_t at = column_u64(q, 1);
		if (at > now || n == max)
			next = at;
		else
			ret[n++] = column_u64(q, 0);
	}
	int r = query_end(q);
	if (!r) {
		*ret_n = n;
		*ret_next = next;
	}
	return r;
}
