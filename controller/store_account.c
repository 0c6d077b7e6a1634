/* Theory of operation: users, tokens and what signs them in. A session's row is no edit: it has no revision, since somebody who
 * looks at a page must not make the database newer than its backup. A token's networks hang on the networks: with the last one
 * it is good for nothing, but its row stays to be seen. */
#include "controller/store_account.h"

#include <errno.h>
#include <string.h>

#include "controller/query.h"

const char store_schema_accounts[] = "CREATE TABLE account ("
				     "	name TEXT PRIMARY KEY,"
				     "	password TEXT NOT NULL," /* argon2id */
				     "	created_wall INTEGER NOT NULL,"
				     "	seen_wall INTEGER NOT NULL," /* signed in; 0 = never */
				     "	revision INTEGER NOT NULL"
				     ") STRICT, WITHOUT ROWID;"
				     "CREATE TABLE session ("
				     "	hash BLOB PRIMARY KEY CHECK (length(hash) = 32),"
				     "	account TEXT REFERENCES account (name) ON DELETE CASCADE," /* NULL = by a one-time link */
				     "	created INTEGER NOT NULL,"
				     "	used INTEGER NOT NULL"
				     ") STRICT, WITHOUT ROWID;"
				     "CREATE INDEX session_account ON session (account);"
				     "CREATE TABLE token ("
				     "	id INTEGER PRIMARY KEY,"
				     "	hash BLOB NOT NULL CHECK (length(hash) = 32),"
				     "	name TEXT NOT NULL UNIQUE,"
				     "	creator TEXT NOT NULL,"
				     "	rights INTEGER NOT NULL,"
				     "	until INTEGER," /* NULL = for ever */
				     "	created_wall INTEGER NOT NULL,"
				     "	used_wall INTEGER NOT NULL,"
				     "	revision INTEGER NOT NULL"
				     ") STRICT;"
				     "CREATE TABLE token_network ("
				     "	token INTEGER NOT NULL REFERENCES token (id) ON DELETE CASCADE,"
				     "	nwid INTEGER NOT NULL REFERENCES network (nwid) ON DELETE CASCADE,"
				     "	PRIMARY KEY (token, nwid)"
				     ") STRICT, WITHOUT ROWID;"
				     "CREATE INDEX token_network_nwid ON token_network (nwid);";
/* Roles and second factors: who was there before may do all, as he could. */
const char store_schema_factors[] = "ALTER TABLE account ADD COLUMN role INTEGER NOT NULL DEFAULT 3;"
				    "CREATE TABLE factor ("
				    "	account TEXT PRIMARY KEY REFERENCES account (name) ON DELETE CASCADE,"
				    "	salt BLOB NOT NULL CHECK (length(salt) = 16),"
				    "	secret BLOB NOT NULL CHECK (length(secret) = 20)," /* masked, see factor.c */
				    "	step INTEGER NOT NULL"                             /* of the last code that was used */
				    ") STRICT, WITHOUT ROWID;"
				    "CREATE TABLE recovery ("
				    "	account TEXT NOT NULL REFERENCES factor (account) ON DELETE CASCADE,"
				    "	hash BLOB NOT NULL CHECK (length(hash) = 32),"
				    "	PRIMARY KEY (account, hash)"
				    ") STRICT, WITHOUT ROWID;";

static int one(struct query *q, bool found)
{
	int r = query_end(q);
	return r ? r : found ? 0 : -ENOENT;
}

static int count(struct query *q, unsigned *ret)
{
	unsigned n = query_row(q) ? (unsigned)column_u64(q, 0) : 0;
	int r = query_end(q);
	if (!r)
		*ret = n;
	return r;
}

/* ---- users -------------------------------------------------------------------------- */

int store_user_insert(struct store *s, const char *name, const char *kept, enum role role, uint64_t wall_s)
{
	uint64_t revision = store_revision_next(s);
	struct query *q =
	    query_write(s, "INSERT INTO account (name, password, created_wall, seen_wall, revision, role) VALUES (?1, ?2, ?3, 0, ?4, ?5)");
	query_text(q, 1, name);
	query_text(q, 2, kept);
	query_u64(q, 3, wall_s);
	query_u64(q, 4, revision);
	query_u64(q, 5, role);
	return query_run(q);
}

int store_user_role(struct store *s, const char *name, enum role role)
{
	uint64_t revision = store_revision_next(s);
	struct query *q = query_write(s, "UPDATE account SET role = ?2, revision = ?3 WHERE name = ?1");
	query_text(q, 1, name);
	query_u64(q, 2, role);
	query_u64(q, 3, revision);
	return query_run(q);
}

int store_user_password(struct store *s, const char *name, const char *kept)
{
	uint64_t revision = store_revision_next(s);
	struct query *q = query_write(s, "UPDATE account SET password = ?2, revision = ?3 WHERE name = ?1");
	query_text(q, 1, name);
	query_text(q, 2, kept);
	query_u64(q, 3, revision);
	return query_run(q);
}

int store_user_seen(struct store *s, const char *name, uint64_t wall_s)
{
	struct query *q = query_write(s, "UPDATE account SET seen_wall = ?2 WHERE name = ?1");
	query_text(q, 1, name);
	query_u64(q, 2, wall_s);
	return query_run(q);
}

int store_user_delete(struct store *s, const char *name)
{
	if (!store_revision_next(s)) /* a deletion is a change too */
		return store_failure(s);
	struct query *q = query_write(s, "DELETE FROM account WHERE name = ?1");
	query_text(q, 1, name);
	return query_run(q);
}

#define USER_COLUMNS                                                                                                                       \
	"name, created_wall, seen_wall, revision, role, (SELECT count(*) FROM factor WHERE account = name), "                              \
	"(SELECT count(*) FROM recovery WHERE account = name)"

static void user_read(struct query *q, struct user_row *ret)
{
	uint64_t role = column_u64(q, 4);
	*ret = (struct user_row){.created_wall_s = column_u64(q, 1),
	                         .seen_wall_s = column_u64(q, 2),
	                         .revision = column_u64(q, 3),
	                         .role = role >= ROLE_READ && role <= ROLE_ADMIN ? (enum role)role : ROLE_READ,
	                         .factor = column_u64(q, 5) > 0,
	                         .recovery_left = (unsigned)column_u64(q, 6)};
	column_text(q, 0, ret->name, sizeof(ret->name));
}

int store_user_get(struct store *s, const char *name, struct user_row *ret, char ret_kept[KEPT_MAX])
{
	struct query *q = query_read(s, "SELECT " USER_COLUMNS ", password FROM account WHERE name = ?1");
	query_text(q, 1, name);
	bool found = query_row(q);
	if (found)
		user_read(q, ret);
	if (found && ret_kept)
		column_text(q, 7, ret_kept, KEPT_MAX);
	return one(q, found);
}

int store_user_each(struct store *s, void (*each)(void *, const struct user_row *), void *self)
{
	struct user_row row;
	struct query *q = query_read(s, "SELECT " USER_COLUMNS " FROM account ORDER BY name");
	while (query_row(q)) {
		user_read(q, &row);
		each(self, &row);
	}
	return query_end(q);
}

int store_user_count(struct store *s, unsigned *ret)
{
	return count(query_read(s, "SELECT count(*) FROM account"), ret);
}

int store_admin_count(struct store *s, unsigned *ret)
{
	return count(query_read(s, "SELECT count(*) FROM account WHERE role = 3"), ret);
}

/* ---- second factors ----------------------------------------------------------------- */

int store_factor_get(struct store *s, const char *name, struct factor_record *ret)
{
	struct query *q = query_read(s, "SELECT salt, secret, step FROM factor WHERE account = ?1");
	query_text(q, 1, name);
	bool found = query_row(q);
	if (found) {
		column_blob(q, 0, ret->salt, sizeof(ret->salt));
		column_blob(q, 1, ret->masked, sizeof(ret->masked));
		ret->step = column_u64(q, 2);
	}
	return one(q, found);
}

/* The account's revision rises with it: what is shown of the account has changed. */
static int account_changed(struct store *s, const char *name)
{
	uint64_t revision = store_revision_next(s);
	struct query *q = query_write(s, "UPDATE account SET revision = ?2 WHERE name = ?1");
	query_text(q, 1, name);
	query_u64(q, 2, revision);
	return query_run(q);
}

int store_factor_put(struct store *s, const char *name, const struct factor_record *row)
{
	int r = account_changed(s, name);
	struct query *q = r ? NULL : query_write(s, "INSERT INTO factor (account, salt, secret, step) VALUES (?1, ?2, ?3, ?4)");
	query_text(q, 1, name);
	query_blob(q, 2, row->salt, sizeof(row->salt));
	query_blob(q, 3, row->masked, sizeof(row->masked));
	query_u64(q, 4, row->step);
	return r ? r : query_run(q);
}

/* No revision: a login is no edit. */
int store_factor_step(struct store *s, const char *name, uint64_t step)
{
	struct query *q = query_write(s, "UPDATE factor SET step = ?2 WHERE account = ?1 AND step < ?2");
	query_text(q, 1, name);
	query_u64(q, 2, step);
	return query_run(q);
}

int store_factor_delete(struct store *s, const char *name)
{
	int r = account_changed(s, name);
	struct query *q = r ? NULL : query_write(s, "DELETE FROM factor WHERE account = ?1");
	query_text(q, 1, name);
	return r ? r : query_run(q);
}

int store_recovery_put(struct store *s, const char *name, uint8_t (*hash)[32], unsigned n)
{
	int r = account_changed(s, name);
	struct query *q = r ? NULL : query_write(s, "DELETE FROM recovery WHERE account = ?1");
	query_text(q, 1, name);
	r = r ? r : query_run(q);
	for (unsigned i = 0; !r && i < n; i++) {
		q = query_write(s, "INSERT INTO recovery (account, hash) VALUES (?1, ?2)");
		query_text(q, 1, name);
		query_blob(q, 2, hash[i], 32);
		r = query_run(q);
	}
	return r;
}

/* 0: it was there, and is gone with the turn. -ENOENT: it was not. */
int store_recovery_spend(struct store *s, const char *name, const uint8_t hash[32])
{
	struct query *q = query_read(s, "SELECT 1 FROM recovery WHERE account = ?1 AND hash = ?2");
	query_text(q, 1, name);
	query_blob(q, 2, hash, 32);
	int r = one(q, query_row(q));
	r = r ? r : account_changed(s, name);
	if (r)
		return r;
	q = query_write(s, "DELETE FROM recovery WHERE account = ?1 AND hash = ?2");
	query_text(q, 1, name);
	query_blob(q, 2, hash, 32);
	return query_run(q);
}

/* ---- sessions ----------------------------------------------------------------------- */

int store_session_put(struct store *s, const struct session_row *row)
{
	struct query *q = query_write(s, "INSERT INTO session VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO UPDATE SET used = excluded.used");
	query_blob(q, 1, row->hash, sizeof(row->hash));
	if (*row->user)
		query_text(q, 2, row->user);
	else
		query_null(q, 2);
	query_u64(q, 3, row->created);
	query_u64(q, 4, row->used);
	return query_run(q);
}

int store_session_delete(struct store *s, const uint8_t hash[32])
{
	struct query *q = query_write(s, "DELETE FROM session WHERE hash = ?1");
	query_blob(q, 1, hash, 32);
	return query_run(q);
}

int store_session_purge(struct store *s, uint64_t used, uint64_t created)
{
	struct query *q = query_write(s, "DELETE FROM session WHERE used < ?1 OR created < ?2");
	query_u64(q, 1, used);
	query_u64(q, 2, created);
	return query_run(q);
}

int store_session_each(struct store *s, void (*each)(void *, const struct session_row *), void *self)
{
	struct session_row row;
	struct query *q = query_read(s, "SELECT hash, account, created, used FROM session ORDER BY used DESC");
	while (query_row(q)) {
		row = (struct session_row){.created = column_u64(q, 2), .used = column_u64(q, 3)};
		column_blob(q, 0, row.hash, sizeof(row.hash));
		column_text(q, 1, row.user, sizeof(row.user));
		each(self, &row);
	}
	return query_end(q);
}

/* ---- tokens ------------------------------------------------------------------------- */

int store_token_insert(struct store *s, const struct token_record *t)
{
	uint64_t revision = store_revision_next(s);
	struct query *q = query_write(s, "INSERT INTO token VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 0, ?8)");
	query_u64(q, 1, t->row.id);
	query_blob(q, 2, t->hash, sizeof(t->hash));
	query_text(q, 3, t->row.name);
	query_text(q, 4, t->row.creator);
	query_u64(q, 5, t->row.rights);
	if (t->row.expires)
		query_u64(q, 6, t->until);
	else
		query_null(q, 6);
	query_u64(q, 7, t->row.created_wall_s);
	query_u64(q, 8, revision);
	int r = query_run(q);
	for (unsigned i = 0; !r && i < t->row.n_networks; i++) {
		q = query_write(s, "INSERT INTO token_network VALUES (?1, ?2) ON CONFLICT DO NOTHING");
		query_u64(q, 1, t->row.id);
		query_u64(q, 2, t->row.networks[i]);
		r = query_run(q);
	}
	return r;
}

int store_token_used(struct store *s, uint64_t id, uint64_t wall_s)
{
	struct query *q = query_write(s, "UPDATE token SET used_wall = ?2 WHERE id = ?1");
	query_u64(q, 1, id);
	query_u64(q, 2, wall_s);
	return query_run(q);
}

int store_token_delete(struct store *s, uint64_t id)
{
	if (!store_revision_next(s))
		return store_failure(s);
	struct query *q = query_write(s, "DELETE FROM token WHERE id = ?1");
	query_u64(q, 1, id);
	return query_run(q);
}

#define TOKEN_COLUMNS "id, hash, name, creator, rights, until, created_wall, used_wall, revision"

static void token_read(struct query *q, struct token_record *t)
{
	*t = (struct token_record){.row = {.id = column_u64(q, 0),
	                                   .rights = (unsigned)column_u64(q, 4),
	                                   .expires = !column_null(q, 5),
	                                   .created_wall_s = column_u64(q, 6),
	                                   .used_wall_s = column_u64(q, 7),
	                                   .revision = column_u64(q, 8)},
	                           .until = column_u64(q, 5)};
	column_blob(q, 1, t->hash, sizeof(t->hash));
	column_text(q, 2, t->row.name, sizeof(t->row.name));
	column_text(q, 3, t->row.creator, sizeof(t->row.creator));
}

static int token_networks(struct store *s, struct token_row *t)
{
	struct query *q = query_read(s, "SELECT nwid FROM token_network WHERE token = ?1 ORDER BY nwid");
	query_u64(q, 1, t->id);
	while (t->n_networks < TOKEN_NETWORKS_MAX && query_row(q))
		t->networks[t->n_networks++] = column_u64(q, 0);
	return query_end(q);
}

int store_token_get(struct store *s, uint64_t id, struct token_record *ret)
{
	struct token_record t;
	struct query *q = query_read(s, "SELECT " TOKEN_COLUMNS " FROM token WHERE id = ?1");
	query_u64(q, 1, id);
	bool found = query_row(q);
	if (found)
		token_read(q, &t);
	int r = one(q, found);
	if (!r)
		r = token_networks(s, &t.row);
	if (!r)
		*ret = t;
	return r;
}

int store_token_named(struct store *s, const char *name, uint64_t *ret_id)
{
	struct query *q = query_read(s, "SELECT id FROM token WHERE name = ?1");
	query_text(q, 1, name);
	bool found = query_row(q);
	if (found)
		*ret_id = column_u64(q, 0);
	return one(q, found);
}

int store_token_each(struct store *s, void (*each)(void *, const struct token_record *), void *self)
{
	struct token_record t;
	int r = 0;
	struct query *q = query_read(s, "SELECT " TOKEN_COLUMNS " FROM token ORDER BY name");
	while (!r && query_row(q)) {
		token_read(q, &t);
		r = token_networks(s, &t.row); /* a statement of its own: this one goes on */
		if (!r)
			each(self, &t);
	}
	int ended = query_end(q);
	return r ? r : ended;
}

int store_token_count(struct store *s, unsigned *ret)
{
	return count(query_read(s, "SELECT count(*) FROM token"), ret);
}
