/* query.h: prepared statements of the store, so that store.c alone sees SQLite.
 *
 * Only store*.c include this. query_start() finds or prepares the statement of that literal (the pointer is the key) and
 * binds nothing; a writing statement opens the turn's transaction by itself. After the first failure inside a
 * transaction every further write is refused until store_rollback(): a turn is whole or it is not.
 */
#ifndef FARLAN_CONTROLLER_QUERY_H
#define FARLAN_CONTROLLER_QUERY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "controller/store.h"

#define QUERIES_MAX 256 /* literals in store*.c */

struct query;

/* Steps of the schema: the first, and 3 to 7, each with the file that knows its tables. */
extern const char store_schema_first[], store_schema_members[], store_schema_invites[], store_schema_audits[], store_schema_accounts[],
    store_schema_tally[], store_schema_extras[], store_schema_traffic[], store_schema_hooks[], store_schema_factors[];

/* NULL: the transaction is broken already, or preparing failed (which breaks it). All below accept NULL. */
struct query *query_read(struct store *, const char *sql);
struct query *query_write(struct store *, const char *sql);
void query_u64(struct query *, int at, uint64_t);
void query_null(struct query *, int at);
void query_text(struct query *, int at, const char *);         /* borrowed until query_end */
void query_blob(struct query *, int at, const void *, size_t); /* borrowed until query_end */
bool query_row(struct query *);                                /* the next row; false at the end or on failure */
uint64_t column_u64(struct query *, int at);
bool column_null(struct query *, int at);
void column_text(struct query *, int at, char *ret, size_t room);       /* cut at room - 1, terminated */
void column_blob(struct query *, int at, uint8_t *ret, size_t want);    /* zeros unless exactly want bytes */
size_t column_bytes(struct query *, int at, uint8_t *ret, size_t room); /* how many; 0 also for those that do not fit */
int query_end(struct query *);                                          /* 0 or -errno; NULL gives the store's failure */
int query_run(struct query *);                                          /* row by row to the end, then query_end */
/* Deletes what stands before a time in a network; both statements take nwid and that time. Asks first: what finds nothing must not
 * cost a transaction. *ret_n = rows deleted. */
int query_purge(struct store *, const char *count, const char *delete, uint64_t nwid, uint64_t before, unsigned *ret_n);
int store_failure(const struct store *);
uint64_t store_changes(const struct store *); /* rows the last write touched */
uint64_t store_revision_next(struct store *); /* 0 = failed */

/* For who has a connection of its own: an SQLite code as -errno; and whose database is it? Reads only. *ret_version: 0 = nothing
 * there yet. *ret_what as in store_open(), without the file's name. */
struct sqlite3;
int store_errno(int code);
int store_judge(struct sqlite3 *, const char **ret_what, int64_t *ret_version);

#endif
