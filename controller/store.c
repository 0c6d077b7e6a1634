/* Theory of operation: the database file, its statements and its one transaction per turn. What stands in the tables is the
 * business of store_network.c and store_member.c, which reach SQLite only through query.h.
 *
 * Opening is a gate: the file must be a healthy database (quick_check) that says it is ours (application_id), of a version
 * we know (user_version), and of this controller (meta.owner). Anything else is refused with a sentence and left as it is.
 * WAL with synchronous=FULL: a commit that returned is on disk; readers never wait. A write opens the transaction, and the
 * first failed write breaks it, since SQLite may have rolled back by itself (a full disk): what follows in the same turn
 * must not land in a transaction of its own.
 */
#include "controller/store.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "controller/query.h"

const char store_schema_first[] =
#include "schema.inc"
    ;
/* Limits of a network; the defaults are those of cred.h, which are what older members hold to. */
static const char schema_2[] = "ALTER TABLE network ADD COLUMN storm INTEGER NOT NULL DEFAULT 1000;"
			       "ALTER TABLE network ADD COLUMN mcast_kbit INTEGER NOT NULL DEFAULT 50000;"
			       "ALTER TABLE network ADD COLUMN mcast_limit INTEGER NOT NULL DEFAULT 32;";
/* [n] leads from version n to n + 1. */
static const char *const migrations[STORE_VERSION] = {
    store_schema_first,    schema_2,           store_schema_members, store_schema_invites, store_schema_audits,
    store_schema_accounts, store_schema_tally, store_schema_extras,  store_schema_traffic, store_schema_hooks,
    store_schema_factors};

struct query {
	struct store *store;
	const char *sql;
	sqlite3_stmt *statement;
	int code; /* of the last step */
	bool writes;
};

struct store {
	sqlite3 *db;
	bool open;   /* a transaction */
	int failure; /* -errno that broke it */
	unsigned n_queries;
	struct query queries[QUERIES_MAX];
};

int store_errno(int code)
{
	switch (code & 0xff) {
	case SQLITE_OK:
	case SQLITE_ROW:
	case SQLITE_DONE: return 0;
	case SQLITE_FULL: return -ENOSPC;
	case SQLITE_READONLY:
	case SQLITE_PERM:
	case SQLITE_CANTOPEN: return -EROFS;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB: return -EBADMSG;
	case SQLITE_BUSY:
	case SQLITE_LOCKED: return -EBUSY;
	case SQLITE_NOMEM: return -ENOMEM;
	case SQLITE_CONSTRAINT: return -EEXIST;
	default: return -EIO;
	}
}

/* Of a step or an exec that just returned. A disk that became read-only fails each write with EROFS, which SQLite calls an error of the
 * disk like any other (and does not keep for sqlite3_system_errno() when it is COMMIT that fails): errno still has it. */
static int error_of(int code)
{
	int system = (code & 0xff) == SQLITE_IOERR ? errno : 0;
	return system == EROFS || system == ENOSPC ? -system : store_errno(code);
}

/* ---- statements --------------------------------------------------------------------- */

static struct query *query_find(struct store *s, const char *sql)
{
	for (unsigned i = 0; i < s->n_queries; i++)
		if (s->queries[i].sql == sql)
			return &s->queries[i];
	assert(s->n_queries < QUERIES_MAX);
	struct query *q = &s->queries[s->n_queries];
	*q = (struct query){.store = s, .sql = sql};
	int code = sqlite3_prepare_v3(s->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &q->statement, NULL);
	if (code != SQLITE_OK) {
		s->failure = s->open ? store_errno(code) : 0;
		return NULL;
	}
	s->n_queries++;
	return q;
}

struct query *query_read(struct store *s, const char *sql)
{
	struct query *q = query_find(s, sql);
	if (q)
		q->writes = false;
	return q;
}

struct query *query_write(struct store *s, const char *sql)
{
	if (s->failure)
		return NULL;
	if (!s->open) {
		int code = sqlite3_exec(s->db, "BEGIN IMMEDIATE", NULL, NULL, NULL);
		s->open = true; /* even a failed one: the turn is broken until it is rolled back */
		s->failure = error_of(code);
		if (s->failure)
			return NULL;
	}
	struct query *q = query_find(s, sql);
	if (q)
		q->writes = true;
	return q;
}

void query_u64(struct query *q, int at, uint64_t v)
{
	if (q)
		sqlite3_bind_int64(q->statement, at, (sqlite3_int64)v);
}

void query_null(struct query *q, int at)
{
	if (q)
		sqlite3_bind_null(q->statement, at);
}

void query_text(struct query *q, int at, const char *text)
{
	if (q)
		sqlite3_bind_text(q->statement, at, text, -1, SQLITE_STATIC);
}

void query_blob(struct query *q, int at, const void *bytes, size_t n)
{
	if (q)
		sqlite3_bind_blob(q->statement, at, bytes, (int)n, SQLITE_STATIC);
}

bool query_row(struct query *q)
{
	if (!q)
		return false;
	q->code = sqlite3_step(q->statement);
	return q->code == SQLITE_ROW;
}

uint64_t column_u64(struct query *q, int at)
{
	return (uint64_t)sqlite3_column_int64(q->statement, at);
}
bool column_null(struct query *q, int at)
{
	return sqlite3_column_type(q->statement, at) == SQLITE_NULL;
}

void column_text(struct query *q, int at, char *ret, size_t room)
{
	const unsigned char *text = sqlite3_column_text(q->statement, at);
	snprintf(ret, room, "%s", text ? (const char *)text : "");
}

void column_blob(struct query *q, int at, uint8_t *ret, size_t want)
{
	const void *bytes = sqlite3_column_blob(q->statement, at);
	memset(ret, 0, want);
	if (bytes && (size_t)sqlite3_column_bytes(q->statement, at) == want)
		memcpy(ret, bytes, want);
}

size_t column_bytes(struct query *q, int at, uint8_t *ret, size_t room)
{
	const void *bytes = sqlite3_column_blob(q->statement, at);
	size_t n = (size_t)sqlite3_column_bytes(q->statement, at);
	if (!bytes || n > room)
		return 0;
	memcpy(ret, bytes, n);
	return n;
}

int query_end(struct query *q)
{
	if (!q)
		return -EIO;
	int r = error_of(q->code);
	sqlite3_reset(q->statement);
	sqlite3_clear_bindings(q->statement);
	if (r && q->writes)
		q->store->failure = r;
	return r;
}

int query_run(struct query *q)
{
	while (query_row(q))
		;
	return query_end(q);
}

int query_purge(struct store *s, const char *count, const char *delete, uint64_t nwid, uint64_t before, unsigned *ret_n)
{
	struct query *q = query_read(s, count);
	query_u64(q, 1, nwid);
	query_u64(q, 2, before);
	unsigned n = query_row(q) ? (unsigned)column_u64(q, 0) : 0;
	int r = query_end(q);
	if (!r && n) {
		q = query_write(s, delete);
		query_u64(q, 1, nwid);
		query_u64(q, 2, before);
		r = query_run(q);
	}
	if (!r)
		*ret_n = n;
	return r;
}

int store_failure(const struct store *s)
{
	return s->failure;
}
uint64_t store_changes(const struct store *s)
{
	return (uint64_t)sqlite3_changes64(s->db);
}

uint64_t store_revision_next(struct store *s)
{
	struct query *q = query_write(s, "UPDATE meta SET revision = revision + 1 WHERE id = 1 RETURNING revision");
	uint64_t revision = query_row(q) ? column_u64(q, 0) : 0;
	if (q && revision)
		while (query_row(q))
			;
	return query_end(q) ? 0 : revision;
}

/* ---- the transaction ---------------------------------------------------------------- */

bool store_changed(const struct store *s)
{
	return s->open;
}

void store_rollback(struct store *s)
{
	if (s->open && !sqlite3_get_autocommit(s->db)) /* a full disk may have rolled back already */
		sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
	s->open = false;
	s->failure = 0;
}

int store_commit(struct store *s)
{
	if (!s->open)
		return 0;
	int r = s->failure;
	if (!r)
		r = error_of(sqlite3_exec(s->db, "COMMIT", NULL, NULL, NULL));
	store_rollback(s);
	return r;
}

int store_ceiling(struct store *s, uint64_t *ret_ceiling, uint64_t *ret_revision)
{
	struct query *q = query_read(s, "SELECT ceiling, revision FROM meta WHERE id = 1");
	bool found = query_row(q);
	if (found) {
		*ret_ceiling = column_u64(q, 0);
		*ret_revision = column_u64(q, 1);
	}
	int r = query_end(q);
	return r ? r : found ? 0 : -ENOENT;
}

int store_ceiling_set(struct store *s, uint64_t ceiling)
{
	struct query *q = query_write(s, "UPDATE meta SET ceiling = max(ceiling, ?1), revision = revision + 1 WHERE id = 1");
	query_u64(q, 1, ceiling);
	return query_run(q);
}

/* ---- opening ------------------------------------------------------------------------ */

static int number(sqlite3 *db, const char *sql, sqlite3_int64 *ret)
{
	sqlite3_stmt *st = NULL;
	int code = sqlite3_prepare_v2(db, sql, -1, &st, NULL);
	if (code == SQLITE_OK)
		code = sqlite3_step(st);
	if (code == SQLITE_ROW)
		*ret = sqlite3_column_int64(st, 0);
	sqlite3_finalize(st);
	return code == SQLITE_ROW ? 0 : code == SQLITE_DONE ? -ENOENT : store_errno(code);
}

static int healthy(sqlite3 *db)
{
	sqlite3_stmt *st = NULL;
	int code = sqlite3_prepare_v2(db, "PRAGMA quick_check(1)", -1, &st, NULL);
	if (code == SQLITE_OK)
		code = sqlite3_step(st);
	const unsigned char *said = code == SQLITE_ROW ? sqlite3_column_text(st, 0) : NULL;
	int r = said && !strcmp((const char *)said, "ok") ? 0 : code == SQLITE_ROW ? -EBADMSG : store_errno(code);
	sqlite3_finalize(st);
	return r;
}

static int migrate(sqlite3 *db, sqlite3_int64 from, const uint8_t owner[KEY_HASH_BYTES])
{
	char sql[128];
	int code = sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL);
	for (sqlite3_int64 v = from; v < STORE_VERSION && code == SQLITE_OK; v++)
		code = sqlite3_exec(db, migrations[v], NULL, NULL, NULL);
	if (code == SQLITE_OK && from == 0) {
		sqlite3_stmt *st = NULL;
		code = sqlite3_prepare_v2(db, "INSERT INTO meta VALUES (1, ?1, 1, 1)", -1, &st, NULL);
		if (code == SQLITE_OK) {
			sqlite3_bind_blob(st, 1, owner, KEY_HASH_BYTES, SQLITE_STATIC);
			code = sqlite3_step(st) == SQLITE_DONE ? SQLITE_OK : sqlite3_errcode(db);
		}
		sqlite3_finalize(st);
	}
	snprintf(sql, sizeof(sql), "PRAGMA application_id = %d; PRAGMA user_version = %d; COMMIT", STORE_APPLICATION_ID, STORE_VERSION);
	if (code == SQLITE_OK)
		code = sqlite3_exec(db, sql, NULL, NULL, NULL);
	if (code != SQLITE_OK)
		sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
	return store_errno(code);
}

/* The gates of networks stand in it, so nobody else reads it; SQLite gives its log the rights of the file. */
static int file_make(const char *path)
{
	if (!strcmp(path, ":memory:"))
		return 0;
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	close(fd);
	return 0;
}

int store_judge(sqlite3 *db, const char **ret_what, int64_t *ret_version)
{
	sqlite3_int64 app = 0, version = 0, tables = 0;
	int r = number(db, "PRAGMA application_id", &app);
	if (!r)
		r = number(db, "PRAGMA user_version", &version);
	if (!r)
		r = number(db, "SELECT count(*) FROM sqlite_master", &tables);
	if (!r)
		r = healthy(db);
	if (r) {
		*ret_what = r == -EBADMSG ? "is damaged; stop here, keep a copy, and put the last backup in its place"
		                          : "cannot be read; check its permissions and the disk";
		return r;
	}
	if (app != STORE_APPLICATION_ID && (app || version || tables)) {
		*ret_what = "belongs to another program; move it away or choose another --home";
		return -EPROTOTYPE;
	}
	if (version > STORE_VERSION) {
		*ret_what = "was written by a newer farlan-controller; install that version again, this one cannot read it";
		return -EPROTO;
	}
	if (app == STORE_APPLICATION_ID && (version < 1 || !tables)) {
		*ret_what = "is damaged (no tables); put the last backup in its place";
		return -EBADMSG;
	}
	*ret_version = version;
	return 0;
}

static int owned(struct store *s, const uint8_t owner[KEY_HASH_BYTES], const char **ret_what)
{
	uint8_t stands[KEY_HASH_BYTES];
	struct query *q = query_read(s, "SELECT owner FROM meta WHERE id = 1");
	bool found = query_row(q);
	if (found)
		column_blob(q, 0, stands, sizeof(stands));
	int r = query_end(q);
	*ret_what = "is damaged (no owner); put the last backup in its place";
	if (r || !found)
		return r ? r : -EBADMSG;
	*ret_what = "belongs to another controller identity; put identity.secret of that controller back beside it";
	return memcmp(stands, owner, KEY_HASH_BYTES) ? -EPERM : 0;
}

int store_open(struct store **ret, const char *path, const uint8_t owner[KEY_HASH_BYTES], const char **ret_why)
{
	static char why[512]; /* one control thread; lives until the next call */
	const char *what = "cannot be opened; check its permissions and the disk";
	int64_t from = 0;
	struct store *s = calloc(1, sizeof(*s));
	int r = s ? 0 : -ENOMEM;
	if (r)
		goto out;
	r = file_make(path);
	if (r)
		goto out;
	r = store_errno(sqlite3_open_v2(path, &s->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL));
	if (!r)
		r = store_judge(s->db, &what, &from);
	if (r)
		goto out;
	what = "cannot be written; check its permissions and the space on its disk";
	r = store_errno(sqlite3_exec(s->db,
	                             "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;"
	                             "PRAGMA trusted_schema = OFF; PRAGMA journal_size_limit = 4194304",
	                             NULL, NULL, NULL));
	if (!r && from < STORE_VERSION)
		r = migrate(s->db, from, owner);
	if (!r)
		r = owned(s, owner, &what);
out:
	if (r) {
		snprintf(why, sizeof(why), "the database %s %s", path, what);
		if (ret_why)
			*ret_why = why;
		store_close(s);
		return r;
	}
	*ret = s;
	return 0;
}

void store_close(struct store *s)
{
	if (!s)
		return;
	store_rollback(s);
	for (unsigned i = 0; i < s->n_queries; i++)
		sqlite3_finalize(s->queries[i].statement);
	sqlite3_close(s->db);
	free(s);
}
