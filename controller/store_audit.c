/* Theory of operation: the rows of the audit. Each carries the hash of the one before it and of all its own fields, so that
 * none of them can be changed, taken out or put in between without every later hash being wrong; the first stands on the
 * key_hash of the controller, so that no chain of another can take its place. The tables refuse changes and deletions
 * themselves. What a chain cannot show is that its newest rows are missing: for that one keeps a head elsewhere and asks
 * whether it is still in the chain. Nothing is thrown away: 100 000 entries are some 30 MB.
 *
 * store_audit_verify() walks the whole chain, which takes seconds: it has a connection of its own and may run on any thread. */
#include "controller/store_audit.h"

#include <errno.h>
#include <sqlite3.h>
#include <string.h>

#include "controller/query.h"

/* clang-format off */
const char store_schema_audits[] =
    "CREATE TABLE audit ("
    "	seq INTEGER PRIMARY KEY,"       /* 1, 2, 3 ... without a gap */
    "	wall INTEGER NOT NULL,"
    "	time INTEGER NOT NULL,"
    "	actor TEXT NOT NULL,"
    "	source TEXT NOT NULL,"
    "	action TEXT NOT NULL,"
    "	nwid INTEGER NOT NULL,"         /* 0 = none, as of member */
    "	member INTEGER NOT NULL,"
    "	detail TEXT CHECK (detail <> ''),"
    "	hash BLOB NOT NULL CHECK (length(hash) = 32)"
    ") STRICT;"
    "CREATE INDEX audit_network ON audit (nwid, seq) WHERE nwid <> 0;"
    "CREATE INDEX audit_member ON audit (member, seq) WHERE member <> 0;"
    "CREATE INDEX audit_actor ON audit (actor, seq);"
    "CREATE INDEX audit_action ON audit (action, seq);"
    "CREATE INDEX audit_group ON audit (substr(action, 1, instr(action, '.') - 1), seq);"
    "CREATE TRIGGER audit_stays BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END;"
    "CREATE TRIGGER audit_is BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END;";
/* clang-format on */

/* ---- the hash ----------------------------------------------------------------------- */

static uint8_t *put_u64(uint8_t *at, uint64_t v)
{
	for (unsigned i = 0; i < 8; i++)
		*at++ = (uint8_t)(v >> (56 - 8 * i));
	return at;
}

static uint8_t *put_text(uint8_t *at, const char *text, size_t max)
{
	size_t len = strnlen(text, max);
	*at++ = (uint8_t)(len >> 8);
	*at++ = (uint8_t)len;
	memcpy(at, text, len);
	return at + len;
}

/* H256("fln1 audit", hash before ‖ seq, wall, time, nwid, member as u64 big-endian ‖ actor, source, action, detail, each
 * behind its length as u16 big-endian). */
static void chain(const uint8_t before[AUDIT_HASH_BYTES], const struct audit_entry *e, uint8_t ret[AUDIT_HASH_BYTES])
{
	uint8_t bytes[5 * 8 + 4 * 2 + sizeof(e->actor) + sizeof(e->action) + sizeof(e->detail)], *at = bytes;
	at = put_u64(at, e->seq);
	at = put_u64(at, e->wall_s);
	at = put_u64(at, e->time);
	at = put_u64(at, e->nwid);
	at = put_u64(at, e->member);
	at = put_text(at, e->actor.name, sizeof(e->actor.name) - 1);
	at = put_text(at, e->actor.from, sizeof(e->actor.from) - 1);
	at = put_text(at, e->action, sizeof(e->action) - 1);
	at = put_text(at, e->detail, sizeof(e->detail) - 1);
	hash256_parts(ret, "fln1 audit", before, AUDIT_HASH_BYTES, bytes, (size_t)(at - bytes));
}

/* ---- the turn's side ---------------------------------------------------------------- */

int store_audit_head(struct store *s, uint64_t *ret_seq, uint8_t ret_hash[AUDIT_HASH_BYTES])
{
	struct query *q = query_read(s, "SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1");
	bool found = query_row(q);
	*ret_seq = found ? column_u64(q, 0) : 0;
	if (found)
		column_blob(q, 1, ret_hash, AUDIT_HASH_BYTES);
	int r = query_end(q);
	if (r || found)
		return r;
	q = query_read(s, "SELECT owner FROM meta WHERE id = 1");
	found = query_row(q);
	if (found)
		column_blob(q, 0, ret_hash, KEY_HASH_BYTES);
	r = query_end(q);
	return r ? r : found ? 0 : -EBADMSG;
}

int store_audit_append(struct store *s, struct audit_entry *e)
{
	uint8_t before[AUDIT_HASH_BYTES];
	int r = store_audit_head(s, &e->seq, before);
	if (r)
		return r;
	e->seq++;
	chain(before, e, e->hash);
	/* a change of the database like any other: head.bak tells an older database by its revision */
	if (!store_revision_next(s))
		return store_failure(s);
	struct query *q = query_write(s, "INSERT INTO audit VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)");
	query_u64(q, 1, e->seq);
	query_u64(q, 2, e->wall_s);
	query_u64(q, 3, e->time);
	query_text(q, 4, e->actor.name);
	query_text(q, 5, e->actor.from);
	query_text(q, 6, e->action);
	query_u64(q, 7, e->nwid);
	query_u64(q, 8, e->member);
	if (e->detail[0])
		query_text(q, 9, e->detail);
	else
		query_null(q, 9);
	query_blob(q, 10, e->hash, AUDIT_HASH_BYTES);
	return query_run(q);
}

/* ---- reading ------------------------------------------------------------------------ */

#define AUDIT_COLUMNS "seq, wall, time, actor, source, action, nwid, member, detail, hash"
#define AUDIT_GROUP   "substr(action, 1, instr(action, '.') - 1)"
/* The rarest first has the index that is walked, so that no page costs more than what it passes over; all are asked. ?4 is an action
 * when it has a dot, else all of its group. */
#define AUDIT_ASKED                                                                                                                        \
	"(?1 = 0 OR nwid = ?1) AND (?2 = 0 OR member = ?2) AND (?3 = '' OR actor = ?3) AND (?4 = '' OR action = ?4 OR " AUDIT_GROUP " = "  \
	"?4)"
#define AUDIT_BY_MEMBER  "member = ?2 AND member <> 0 AND " AUDIT_ASKED
#define AUDIT_BY_NETWORK "nwid = ?1 AND nwid <> 0 AND " AUDIT_ASKED
#define AUDIT_BY_ACTOR   "actor = ?3 AND " AUDIT_ASKED
/* These two only where nothing else is asked, so that the index alone counts them. */
#define AUDIT_BY_ACTION   "action = ?4"
#define AUDIT_BY_GROUP    AUDIT_GROUP " = ?4"
#define AUDIT_PAGE(from)  "SELECT " AUDIT_COLUMNS " FROM audit WHERE " from " AND (?5 = 0 OR seq < ?5) ORDER BY seq DESC LIMIT ?6"
#define AUDIT_COUNT(from) "SELECT count(*) FROM audit WHERE " from

enum walk_by { BY_MEMBER, BY_NETWORK, BY_ACTOR, BY_ACTION, BY_GROUP, BY_NONE };

static enum walk_by walk_by(const struct audit_query *a)
{
	return a->member                ? BY_MEMBER
	       : a->nwid                ? BY_NETWORK
	       : a->actor[0]            ? BY_ACTOR
	       : !a->action[0]          ? BY_NONE
	       : strchr(a->action, '.') ? BY_ACTION
	                                : BY_GROUP;
}

static void filter_bind(struct query *q, const struct audit_query *a)
{
	query_u64(q, 1, a->nwid);
	query_u64(q, 2, a->member);
	query_text(q, 3, a->actor);
	query_text(q, 4, a->action);
}

int store_audit_count(struct store *s, const struct audit_query *a, uint64_t *ret)
{
	static const char *const counts[] = {
	    [BY_MEMBER] = AUDIT_COUNT(AUDIT_BY_MEMBER),
	    [BY_NETWORK] = AUDIT_COUNT(AUDIT_BY_NETWORK),
	    [BY_ACTOR] = AUDIT_COUNT(AUDIT_BY_ACTOR),
	    [BY_ACTION] = AUDIT_COUNT(AUDIT_BY_ACTION),
	    [BY_GROUP] = AUDIT_COUNT(AUDIT_BY_GROUP),
	    /* without a gap: the newest number is how many there are */
	    [BY_NONE] = "SELECT coalesce(max(seq), 0) FROM audit WHERE ?1 = 0 AND ?2 = 0 AND ?3 = '' AND ?4 = ''",
	};
	struct query *q = query_read(s, counts[walk_by(a)]);
	filter_bind(q, a);
	bool found = query_row(q);
	if (found)
		*ret = column_u64(q, 0);
	int r = query_end(q);
	return r ? r : found ? 0 : -EBADMSG;
}

int store_audit_each(struct store *s, const struct audit_query *a, void (*each)(void *, const struct audit_entry *), void *self)
{
	static const char *const pages[] = {
	    [BY_MEMBER] = AUDIT_PAGE(AUDIT_BY_MEMBER), [BY_NETWORK] = AUDIT_PAGE(AUDIT_BY_NETWORK), [BY_ACTOR] = AUDIT_PAGE(AUDIT_BY_ACTOR),
	    [BY_ACTION] = AUDIT_PAGE(AUDIT_BY_ACTION), [BY_GROUP] = AUDIT_PAGE(AUDIT_BY_GROUP),     [BY_NONE] = AUDIT_PAGE(AUDIT_ASKED),
	};
	struct audit_entry e;
	struct query *q = query_read(s, pages[walk_by(a)]);
	filter_bind(q, a);
	query_u64(q, 5, a->before);
	query_u64(q, 6, a->limit);
	while (query_row(q)) {
		e = (struct audit_entry){.seq = column_u64(q, 0),
		                         .wall_s = column_u64(q, 1),
		                         .time = column_u64(q, 2),
		                         .nwid = column_u64(q, 6),
		                         .member = column_u64(q, 7)};
		column_text(q, 3, e.actor.name, sizeof(e.actor.name));
		column_text(q, 4, e.actor.from, sizeof(e.actor.from));
		column_text(q, 5, e.action, sizeof(e.action));
		column_text(q, 8, e.detail, sizeof(e.detail));
		column_blob(q, 9, e.hash, AUDIT_HASH_BYTES);
		each(self, &e);
	}
	return query_end(q);
}

/* ---- verifying, on any thread ------------------------------------------------------- */

/* A text that does not fit its field was never written by us: false. */
static bool text_of(sqlite3_stmt *st, int at, char *ret, size_t room)
{
	const unsigned char *text = sqlite3_column_text(st, at);
	size_t len = (size_t)sqlite3_column_bytes(st, at);
	if (len >= room || (text && strlen((const char *)text) != len))
		return false;
	memcpy(ret, text ? (const char *)text : "", len);
	ret[len] = '\0';
	return true;
}

static bool entry_of(sqlite3_stmt *st, struct audit_entry *e)
{
	*e = (struct audit_entry){.seq = (uint64_t)sqlite3_column_int64(st, 0),
	                          .wall_s = (uint64_t)sqlite3_column_int64(st, 1),
	                          .time = (uint64_t)sqlite3_column_int64(st, 2),
	                          .nwid = (uint64_t)sqlite3_column_int64(st, 6),
	                          .member = (uint64_t)sqlite3_column_int64(st, 7)};
	const void *hash = sqlite3_column_blob(st, 9);
	if (!hash || sqlite3_column_bytes(st, 9) != AUDIT_HASH_BYTES)
		return false;
	memcpy(e->hash, hash, AUDIT_HASH_BYTES);
	return text_of(st, 3, e->actor.name, sizeof(e->actor.name)) && text_of(st, 4, e->actor.from, sizeof(e->actor.from)) &&
	       text_of(st, 5, e->action, sizeof(e->action)) && text_of(st, 8, e->detail, sizeof(e->detail));
}

/* From the owner to the head, or to the first row that does not follow from the one before. */
static int walk(sqlite3 *db, struct audit_verdict *v, const uint8_t *sought)
{
	sqlite3_stmt *st = NULL;
	struct audit_entry e;
	uint8_t want[AUDIT_HASH_BYTES];
	int code = sqlite3_prepare_v2(db, "SELECT owner FROM meta WHERE id = 1", -1, &st, NULL);
	if (code == SQLITE_OK && sqlite3_step(st) == SQLITE_ROW && sqlite3_column_bytes(st, 0) == KEY_HASH_BYTES)
		memcpy(v->head, sqlite3_column_blob(st, 0), KEY_HASH_BYTES);
	else
		code = SQLITE_CORRUPT;
	sqlite3_finalize(st);
	st = NULL;
	if (code == SQLITE_OK)
		code = sqlite3_prepare_v2(db, "SELECT " AUDIT_COLUMNS " FROM audit ORDER BY seq", -1, &st, NULL);
	if (code != SQLITE_OK) {
		sqlite3_finalize(st);
		return -EBADMSG;
	}
	while ((code = sqlite3_step(st)) == SQLITE_ROW) {
		bool whole = entry_of(st, &e);
		if (whole)
			chain(v->head, &e, want);
		if (!whole || e.seq != v->entries + 1 || memcmp(want, e.hash, AUDIT_HASH_BYTES)) {
			v->broken_at = v->entries + 1;
			break;
		}
		v->entries++;
		memcpy(v->head, e.hash, AUDIT_HASH_BYTES);
		if (sought && !memcmp(sought, e.hash, AUDIT_HASH_BYTES))
			v->found = true;
	}
	sqlite3_finalize(st);
	if (code != SQLITE_ROW && code != SQLITE_DONE) /* a page that cannot be read breaks the chain where it was to go on */
		v->broken_at = v->entries + 1;
	return 0;
}

int store_audit_verify(const char *path, const uint8_t *sought, struct audit_verdict *ret)
{
	struct audit_verdict v = {0};
	sqlite3 *db = NULL;
	int code = sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, NULL);
	int r = code == SQLITE_OK ? 0 : -EIO;
	if (!r)
		sqlite3_busy_timeout(db, 5000);
	if (!r)
		r = walk(db, &v, sought);
	sqlite3_close(db);
	if (!r)
		*ret = v;
	return r;
}
