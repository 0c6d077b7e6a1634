/* Theory of operation: webhooks and their outbox. A delivery is a row from the act it tells of until a week after it is over; what
 * waits is found by an index of its own, in the order it came. Patterns of events and networks stand as words in a text: nobody asks
 * the database for them, the few hooks there are stand in memory. The secret is kept as it is, since it signs.
 *
 * Deliveries have no revision, and a hook gets a new one for its settings alone: what a receiver answers must not make the database
 * newer than its backup. */
#include "controller/store_hook.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controller/query.h"

/* clang-format off */
const char store_schema_hooks[] =
    "CREATE TABLE webhook ("
    "	id INTEGER PRIMARY KEY,"
    "	name TEXT NOT NULL UNIQUE,"
    "	url TEXT NOT NULL,"
    "	secret TEXT NOT NULL,"
    "	events TEXT NOT NULL,"
    "	networks TEXT NOT NULL,"            /* '' = all */
    "	enabled INTEGER NOT NULL,"
    "	private INTEGER NOT NULL,"
    "	suspended INTEGER NOT NULL,"
    "	failing INTEGER NOT NULL,"          /* network time; 0 = it does not */
    "	failing_wall INTEGER NOT NULL,"
    "	dropped INTEGER NOT NULL,"
    "	lost INTEGER NOT NULL,"             /* of dropped: not told yet */
    "	last_wall INTEGER NOT NULL,"
    "	last_status INTEGER NOT NULL,"
    "	last_error TEXT NOT NULL,"
    "	creator TEXT NOT NULL,"
    "	created_wall INTEGER NOT NULL,"
    "	revision INTEGER NOT NULL"
    ") STRICT;"
    "CREATE TABLE delivery ("
    "	seq INTEGER PRIMARY KEY AUTOINCREMENT," /* the order of a network: never given twice */
    "	hook INTEGER NOT NULL REFERENCES webhook (id) ON DELETE CASCADE,"
    "	id INTEGER NOT NULL,"
    "	event TEXT NOT NULL,"
    "	nwid INTEGER NOT NULL,"             /* 0 = none */
    "	state INTEGER NOT NULL,"            /* 0 = waiting */
    "	attempts INTEGER NOT NULL,"
    "	due INTEGER NOT NULL,"
    "	ended INTEGER NOT NULL,"
    "	status INTEGER NOT NULL,"
    "	error TEXT NOT NULL,"
    "	ms INTEGER NOT NULL,"
    "	created_wall INTEGER NOT NULL,"
    "	body TEXT NOT NULL,"
    "	UNIQUE (hook, id)"
    ") STRICT;"
    "CREATE INDEX delivery_waiting ON delivery (seq) WHERE state = 0;"
    "CREATE INDEX delivery_log ON delivery (hook, seq) WHERE state <> 0;"
    "CREATE INDEX delivery_ended ON delivery (ended) WHERE state <> 0;"
    "CREATE INDEX delivery_hook ON delivery (hook, seq);";
/* clang-format on */

#define EVENTS_TEXT   (HOOK_EVENTS_MAX * AUDIT_ACTION_MAX)
#define NETWORKS_TEXT (HOOK_NETWORKS_MAX * 17 + 1)

/* ---- hooks -------------------------------------------------------------------------- */

static void words_write(const struct hook_settings *s, char events[EVENTS_TEXT], char networks[NETWORKS_TEXT])
{
	size_t at = 0;
	*events = *networks = '\0';
	for (unsigned i = 0; i < s->n_events && at < EVENTS_TEXT; i++)
		at += (size_t)snprintf(events + at, EVENTS_TEXT - at, "%s%s", i ? " " : "", s->events[i]);
	at = 0;
	for (unsigned i = 0; i < s->n_networks && at < NETWORKS_TEXT; i++)
		at += (size_t)snprintf(networks + at, NETWORKS_TEXT - at, "%s%016" PRIx64, i ? " " : "", s->networks[i]);
}

static void words_read(const char *events, const char *networks, struct hook_settings *s)
{
	for (const char *at = events; *at && s->n_events < HOOK_EVENTS_MAX; at += strspn(at, " ")) {
		size_t n = strcspn(at, " ");
		snprintf(s->events[s->n_events++], AUDIT_ACTION_MAX, "%.*s", (int)n, at);
		at += n;
	}
	for (const char *at = networks; *at && s->n_networks < HOOK_NETWORKS_MAX; at += strspn(at, " ")) {
		char *end;
		s->networks[s->n_networks++] = strtoull(at, &end, 16);
		at = end;
	}
}

int store_hook_put(struct store *s, struct hook_record *h, bool settings)
{
	const struct hook_settings *will = &h->row.settings;
	char events[EVENTS_TEXT], networks[NETWORKS_TEXT];
	if (settings && !(h->row.revision = store_revision_next(s)))
		return store_failure(s);
	words_write(will, events, networks);
	/* not INSERT OR REPLACE, which would delete the row first, and its deliveries with it */
	struct query *q =
	    query_write(s, "INSERT INTO webhook VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, "
	                   "?17, ?18, ?19) ON CONFLICT (id) DO UPDATE SET name = ?2, url = ?3, secret = ?4, events = ?5, networks = ?6, "
	                   "enabled = ?7, private = ?8, suspended = ?9, failing = ?10, failing_wall = ?11, dropped = ?12, lost = ?13, "
	                   "last_wall = ?14, last_status = ?15, last_error = ?16, revision = ?19");
	query_u64(q, 1, h->row.id);
	query_text(q, 2, will->name);
	query_text(q, 3, will->url);
	query_text(q, 4, will->secret);
	query_text(q, 5, events);
	query_text(q, 6, networks);
	query_u64(q, 7, will->enabled);
	query_u64(q, 8, will->allow_private);
	query_u64(q, 9, h->suspended);
	query_u64(q, 10, h->failing);
	query_u64(q, 11, h->row.failing_wall_s);
	query_u64(q, 12, h->row.dropped);
	query_u64(q, 13, h->lost);
	query_u64(q, 14, h->row.last_wall_s);
	query_u64(q, 15, h->row.last_status);
	query_text(q, 16, h->row.last_error);
	query_text(q, 17, h->row.creator);
	query_u64(q, 18, h->row.created_wall_s);
	query_u64(q, 19, h->row.revision);
	return query_run(q);
}

int store_hook_delete(struct store *s, uint64_t id)
{
	if (!store_revision_next(s)) /* a deletion is a change too */
		return store_failure(s);
	struct query *q = query_write(s, "DELETE FROM webhook WHERE id = ?1");
	query_u64(q, 1, id);
	return query_run(q);
}

int store_hook_each(struct store *s, void (*each)(void *, const struct hook_record *), void *self)
{
	struct query *q =
	    query_read(s, "SELECT id, name, url, secret, events, networks, enabled, private, suspended, failing, failing_wall, "
	                  "dropped, lost, last_wall, last_status, last_error, creator, created_wall, revision FROM webhook "
	                  "ORDER BY name");
	while (query_row(q)) {
		char events[EVENTS_TEXT], networks[NETWORKS_TEXT];
		struct hook_record h = {.row = {.id = column_u64(q, 0),
		                                .failing_wall_s = column_u64(q, 10),
		                                .dropped = column_u64(q, 11),
		                                .last_wall_s = column_u64(q, 13),
		                                .last_status = (unsigned)column_u64(q, 14),
		                                .created_wall_s = column_u64(q, 17),
		                                .revision = column_u64(q, 18)},
		                        .suspended = column_u64(q, 8) != 0,
		                        .failing = column_u64(q, 9),
		                        .lost = column_u64(q, 12)};
		struct hook_settings *will = &h.row.settings;
		column_text(q, 1, will->name, sizeof(will->name));
		column_text(q, 2, will->url, sizeof(will->url));
		column_text(q, 3, will->secret, sizeof(will->secret));
		column_text(q, 4, events, sizeof(events));
		column_text(q, 5, networks, sizeof(networks));
		words_read(events, networks, will);
		will->enabled = column_u64(q, 6) != 0;
		will->allow_private = column_u64(q, 7) != 0;
		column_text(q, 15, h.row.last_error, sizeof(h.row.last_error));
		column_text(q, 16, h.row.creator, sizeof(h.row.creator));
		each(self, &h);
		explicit_bzero(will->secret, sizeof(will->secret));
	}
	return query_end(q);
}

/* ---- deliveries --------------------------------------------------------------------- */

int store_delivery_insert(struct store *s, struct delivery_record *d)
{
	struct query *q = query_write(s, "INSERT INTO delivery (hook, id, event, nwid, state, attempts, due, ended, status, error, ms, "
	                                 "created_wall, body) VALUES (?1, ?2, ?3, ?4, 0, 0, ?5, 0, 0, '', 0, ?6, ?7) RETURNING seq");
	query_u64(q, 1, d->row.hook);
	query_u64(q, 2, d->row.id);
	query_text(q, 3, d->row.event);
	query_u64(q, 4, d->row.nwid);
	query_u64(q, 5, d->due);
	query_u64(q, 6, d->row.created_wall_s);
	query_text(q, 7, d->row.body);
	if (query_row(q))
		d->row.seq = column_u64(q, 0);
	return q ? query_run(q) : query_end(q);
}

int store_delivery_update(struct store *s, const struct delivery_record *d)
{
	struct query *q = query_write(
	    s, "UPDATE delivery SET state = ?2, attempts = ?3, due = ?4, ended = ?5, status = ?6, error = ?7, ms = ?8 WHERE seq = ?1");
	query_u64(q, 1, d->row.seq);
	query_u64(q, 2, d->row.state);
	query_u64(q, 3, d->row.attempts);
	query_u64(q, 4, d->due);
	query_u64(q, 5, d->ended);
	query_u64(q, 6, d->row.status);
	query_text(q, 7, d->row.error);
	query_u64(q, 8, d->row.ms);
	return query_run(q);
}

int store_delivery_hurry(struct store *s, uint64_t hook, uint64_t due)
{
	struct query *q = query_write(s, "UPDATE delivery SET due = ?2 WHERE hook = ?1 AND state = 0");
	query_u64(q, 1, hook);
	query_u64(q, 2, due);
	return query_run(q);
}

#define DELIVERY_COLUMNS "seq, hook, id, event, nwid, state, attempts, due, ended, status, error, ms, created_wall"

static void delivery_read(struct query *q, struct delivery_record *d)
{
	uint64_t state = column_u64(q, 5);
	*d = (struct delivery_record){.row = {.seq = column_u64(q, 0),
	                                      .hook = column_u64(q, 1),
	                                      .id = column_u64(q, 2),
	                                      .nwid = column_u64(q, 4),
	                                      .state = state < DELIVERY_STATES ? (enum delivery_state)state : DELIVERY_FAILED,
	                                      .attempts = (uint32_t)column_u64(q, 6),
	                                      .status = (unsigned)column_u64(q, 9),
	                                      .ms = (uint32_t)column_u64(q, 11),
	                                      .created_wall_s = column_u64(q, 12)},
	                              .due = column_u64(q, 7),
	                              .ended = column_u64(q, 8)};
	column_text(q, 3, d->row.event, sizeof(d->row.event));
	column_text(q, 10, d->row.error, sizeof(d->row.error));
}

/* Rows of DELIVERY_COLUMNS with the body behind them. */
static int bodies(struct query *q, void (*each)(void *, const struct delivery_record *), void *self, bool *ret_any)
{
	char body[HOOK_BODY_MAX + 1];
	struct delivery_record d;
	while (query_row(q)) {
		delivery_read(q, &d);
		column_text(q, 13, body, sizeof(body));
		d.row.body = body;
		each(self, &d);
		*ret_any = true;
	}
	return query_end(q);
}

int store_delivery_get(struct store *s, uint64_t hook, uint64_t id, void (*each)(void *, const struct delivery_record *), void *self)
{
	bool any = false;
	struct query *q = query_read(s, "SELECT " DELIVERY_COLUMNS ", body FROM delivery WHERE hook = ?1 AND id = ?2");
	query_u64(q, 1, hook);
	query_u64(q, 2, id);
	int r = bodies(q, each, self, &any);
	return r ? r : any ? 0 : -ENOENT;
}

int store_delivery_seq(struct store *s, uint64_t seq, void (*each)(void *, const struct delivery_record *), void *self)
{
	bool any = false;
	struct query *q = query_read(s, "SELECT " DELIVERY_COLUMNS ", body FROM delivery WHERE seq = ?1");
	query_u64(q, 1, seq);
	int r = bodies(q, each, self, &any);
	return r ? r : any ? 0 : -ENOENT;
}

int store_delivery_each(struct store *s, uint64_t hook, unsigned states, uint64_t before, uint32_t limit,
                        void (*each)(void *, const struct delivery_record *), void *self)
{
	bool any;
	struct query *q = query_read(s, "SELECT " DELIVERY_COLUMNS ", body FROM delivery WHERE hook = ?1 AND (?2 = 0 OR (1 << state) & ?2) "
	                                "AND (?3 = 0 OR seq < ?3) ORDER BY seq DESC LIMIT ?4");
	query_u64(q, 1, hook);
	query_u64(q, 2, states);
	query_u64(q, 3, before);
	query_u64(q, 4, limit);
	return bodies(q, each, self, &any);
}

int store_delivery_count(struct store *s, uint64_t hook, unsigned states, uint64_t *ret)
{
	struct query *q = query_read(s, "SELECT count(*) FROM delivery WHERE hook = ?1 AND (?2 = 0 OR (1 << state) & ?2)");
	query_u64(q, 1, hook);
	query_u64(q, 2, states);
	uint64_t n = query_row(q) ? column_u64(q, 0) : 0;
	int r = query_end(q);
	if (!r)
		*ret = n;
	return r;
}

int store_delivery_waiting(struct store *s, void (*each)(void *, const struct delivery_record *), void *self)
{
	struct delivery_record d;
	struct query *q = query_read(s, "SELECT " DELIVERY_COLUMNS " FROM delivery WHERE state = 0 ORDER BY seq");
	while (query_row(q)) {
		delivery_read(q, &d);
		each(self, &d);
	}
	return query_end(q);
}

int store_delivery_forget(struct store *s, uint64_t hook, uint32_t keep)
{
	/* the newest of those that are one too many, and all before it */
	struct query *q = query_write(s, "DELETE FROM delivery WHERE hook = ?1 AND state <> 0 AND seq <= (SELECT seq FROM delivery "
	                                 "WHERE hook = ?1 AND state <> 0 ORDER BY seq DESC LIMIT 1 OFFSET ?2)");
	query_u64(q, 1, hook);
	query_u64(q, 2, keep);
	return query_run(q);
}

int store_delivery_purge(struct store *s, uint64_t before)
{
	unsigned n;
	return query_purge(s, "SELECT count(*) FROM delivery WHERE state <> 0 AND ended < ?2 AND ?1 = 0",
	                   "DELETE FROM delivery WHERE state <> 0 AND ended < ?2 AND ?1 = 0", 0, before, &n);
}

int store_pools(struct store *s, bool (*each)(void *, const struct prefix *), void *self)
{
	bool done = false;
	struct query *q = query_read(s, "SELECT pool, pool_bits FROM network WHERE pool IS NOT NULL");
	while (!done && query_row(q)) {
		struct prefix pool = {.family = 4, .bits = (uint8_t)column_u64(q, 1)};
		column_blob(q, 0, pool.ip, 4);
		done = each(self, &pool);
	}
	return query_end(q);
}
