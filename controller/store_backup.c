/* Theory of operation: a snapshot is made by SQLite's own backup from a connection that holds one read transaction all the while: in
 * WAL mode that costs the writer nothing, and every page is of the same moment. The copy needs no journal and no fsync: who wants
 * it to last writes it elsewhere. */
#include "controller/store_backup.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "controller/query.h"

#define STEP_PAGES 256
#define BUSY_MS    5000

static int copy(sqlite3 *from, sqlite3 *to)
{
	sqlite3_backup *b = sqlite3_backup_init(to, "main", from, "main");
	if (!b)
		return store_errno(sqlite3_errcode(to));
	int code;
	do
		code = sqlite3_backup_step(b, STEP_PAGES);
	while (code == SQLITE_OK);
	int ended = sqlite3_backup_finish(b);
	return store_errno(code == SQLITE_DONE ? ended : code);
}

int store_snapshot(const char *path, const char *to_path)
{
	sqlite3 *from = NULL, *to = NULL;
	if (unlink(to_path) && errno != ENOENT)
		return -errno;
	int r = store_errno(sqlite3_open_v2(path, &from, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, NULL));
	if (!r)
		r = store_errno(sqlite3_open_v2(to_path, &to, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL));
	if (!r) {
		sqlite3_busy_timeout(from, BUSY_MS);
		/* the snapshot begins with the first read */
		r = store_errno(sqlite3_exec(from, "BEGIN; SELECT 1 FROM sqlite_master LIMIT 1", NULL, NULL, NULL));
	}
	if (!r)
		r = store_errno(sqlite3_exec(to, "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF", NULL, NULL, NULL));
	if (!r)
		r = copy(from, to);
	/* Who was signed in then need not be now: what was ended since must not begin again with what is restored. */
	if (!r)
		r = store_errno(sqlite3_exec(to, "PRAGMA secure_delete = ON; DELETE FROM session", NULL, NULL, NULL));
	sqlite3_close(from);
	int code = sqlite3_close(to);
	r = r ? r : store_errno(code);
	if (r)
		unlink(to_path);
	return r;
}

static int facts(sqlite3 *db, struct store_facts *ret)
{
	sqlite3_stmt *st = NULL;
	int code = sqlite3_prepare_v2(db,
	                              "SELECT owner, ceiling, revision, (SELECT count(*) FROM network), "
	                              "(SELECT count(*) FROM member WHERE state = ?1) FROM meta WHERE id = 1",
	                              -1, &st, NULL);
	if (code == SQLITE_OK) {
		sqlite3_bind_int(st, 1, MEMBER_APPROVED);
		code = sqlite3_step(st);
	}
	int r = code == SQLITE_DONE ? -EBADMSG : store_errno(code);
	if (!r && sqlite3_column_bytes(st, 0) != KEY_HASH_BYTES)
		r = -EBADMSG;
	if (!r) {
		memcpy(ret->owner, sqlite3_column_blob(st, 0), KEY_HASH_BYTES);
		ret->ceiling = (uint64_t)sqlite3_column_int64(st, 1);
		ret->revision = (uint64_t)sqlite3_column_int64(st, 2);
		ret->networks = (uint64_t)sqlite3_column_int64(st, 3);
		ret->members = (uint64_t)sqlite3_column_int64(st, 4);
	}
	sqlite3_finalize(st);
	return r;
}

/* A name as a URI: what means something in one is escaped. */
static bool uri_of(const char *path, bool alone, char *buf, size_t room)
{
	size_t n = (size_t)snprintf(buf, room, "file:");
	for (; *path; path++) {
		if (n + 40 > room)
			return false;
		bool plain = !strchr("?#%", *path);
		n += (size_t)snprintf(buf + n, room - n, plain ? "%c" : "%%%02x", plain ? *path : (unsigned char)*path);
	}
	snprintf(buf + n, room - n, "?mode=ro%s", alone ? "&immutable=1" : "");
	return true;
}

int store_look(const char *path, bool alone, struct store_facts *ret, const char **ret_what)
{
	struct store_facts f = {0};
	char uri[4096];
	sqlite3 *db = NULL;
	int64_t version;
	*ret_what = "cannot be opened; check its permissions and the disk";
	if (!uri_of(path, alone, uri, sizeof(uri)))
		return -ENAMETOOLONG;
	int r = store_errno(sqlite3_open_v2(uri, &db, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_URI, NULL));
	if (!r) {
		sqlite3_busy_timeout(db, BUSY_MS);
		r = store_judge(db, ret_what, &version);
	}
	if (!r && version < 1) {
		*ret_what = "is empty";
		r = -EBADMSG;
	}
	if (!r) {
		*ret_what = "is damaged";
		r = facts(db, &f);
	}
	sqlite3_close(db);
	if (!r)
		*ret = f;
	return r;
}

int store_member_reserial(struct store *s, uint64_t nwid, uint64_t base, uint64_t *ret_next)
{
	uint64_t next = base + 1;
	uint64_t revision = store_revision_next(s);
	/* row ids are ascending and unique, so they make unique serials */
	struct query *q = query_write(s, "UPDATE member SET serial = ?2 + id, revision = ?3 WHERE nwid = ?1 AND state = ?4");
	query_u64(q, 1, nwid);
	query_u64(q, 2, base);
	query_u64(q, 3, revision);
	query_u64(q, 4, MEMBER_APPROVED);
	int r = query_run(q);
	if (r)
		return r;
	q = query_read(s, "SELECT coalesce(max(serial), 0) + 1 FROM member WHERE nwid = ?1 AND serial > ?2");
	query_u64(q, 1, nwid);
	query_u64(q, 2, base);
	if (query_row(q) && column_u64(q, 0) > next)
		next = column_u64(q, 0);
	r = query_end(q);
	if (!r)
		*ret_next = next;
	return r;
}
