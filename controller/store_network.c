/* Theory of operation: rows of networks, and the revocations that belong to them. Counters (version, rev_epoch, serials) only
 * rise: the statement takes the maximum, so no caller can lower them by a stale copy. */
#include "controller/store.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "controller/query.h"
#include "controller/store_extra.h"

/* How many members there are of each state and how many revocations: kept by the database itself, so that no way to write a row
 * can forget it. A count of ten thousand rows with each join would be most of the work. */
#define TALLY_REVOCATIONS "1000"
#define TALLY_ADD(what)   "INSERT INTO tally VALUES (new.nwid, " what ", 1) ON CONFLICT DO UPDATE SET n = n + 1;"
#define TALLY_TAKE(what)  "UPDATE tally SET n = n - 1 WHERE nwid = old.nwid AND what = " what ";"
const char store_schema_tally[] =
    "CREATE TABLE tally (nwid INTEGER NOT NULL, what INTEGER NOT NULL, n INTEGER NOT NULL, PRIMARY KEY (nwid, what)) STRICT, WITHOUT ROWID;"
    "INSERT INTO tally SELECT nwid, state, count(*) FROM member GROUP BY nwid, state;"
    "INSERT INTO tally SELECT nwid, " TALLY_REVOCATIONS ", count(*) FROM revocation GROUP BY nwid;"
    "CREATE TRIGGER tally_member_insert AFTER INSERT ON member BEGIN " TALLY_ADD(
	"new.state") " END;"
		     "CREATE TRIGGER tally_member_update AFTER UPDATE OF state ON member WHEN new.state <> old.state BEGIN " TALLY_TAKE(
			 "old.state")
			 TALLY_ADD("new.state") " END;"
						"CREATE TRIGGER tally_member_delete AFTER DELETE ON member BEGIN " TALLY_TAKE(
						    "old.state") " END;"
								 "CREATE TRIGGER tally_revocation_insert AFTER INSERT ON revocation "
								 "BEGIN " TALLY_ADD(
								     TALLY_REVOCATIONS) " END;"
											"CREATE TRIGGER tally_revocation_delete AFTER "
											"DELETE ON revocation BEGIN " TALLY_TAKE(
											    TALLY_REVOCATIONS) " END;"
													       "CREATE TRIGGER "
													       "tally_network_delete AFTER "
													       "DELETE ON network BEGIN "
													       "DELETE FROM tally WHERE "
													       "nwid = old.nwid; END;"
													       "CREATE INDEX lease_freed "
													       "ON lease (nwid, freed) "
													       "WHERE member IS NULL;";

#define ROUTES_BYTES (16 + ROUTES_MAX * 64) /* a route is 46 bytes at most */
#define DNS_BYTES    (16 + NAME_MAX_BYTES + DNS_SERVERS_MAX * 20)

#define NETWORK_COLUMNS                                                                                                                    \
	"nwid, name, mtu, pool, pool_bits, flags, gate, version, rev_epoch, serials, created_wall, revision, storm, mcast_kbit, "          \
	"mcast_limit, description, routes, dns, ranges, auto_assign, ethertypes"

/* Routes and DNS stand as their sections do; what does not parse was not written by us, and counts for nothing. */
static void sections_read(struct query *q, int at, struct network_record *n)
{
	uint8_t bytes[ROUTES_BYTES];
	struct route routes[ROUTES_MAX];
	unsigned n_routes = 0;
	size_t len = column_bytes(q, at, bytes, sizeof(bytes));
	if (len && section_routes_parse(bytes, len, routes, &n_routes) && n_routes <= MANAGED_MAX) {
		memcpy(n->routes, routes, n_routes * sizeof(*routes));
		n->n_routes = n_routes;
	}
	len = column_bytes(q, at + 1, bytes, sizeof(bytes));
	if (len)
		section_dns_parse(bytes, len, &n->dns);
}

struct sections {
	uint8_t routes[ROUTES_BYTES], dns[DNS_BYTES], ranges[RANGES_BYTES], ethertypes[ETHERTYPES_BYTES];
};

/* Their bytes are borrowed until the query ends. */
static void sections_bind(struct query *q, int at, const struct network_record *n, struct sections *bytes)
{
	size_t routes = section_routes_encode(n->routes, n->n_routes, bytes->routes, sizeof(bytes->routes));
	size_t dns = section_dns_encode(&n->dns, bytes->dns, sizeof(bytes->dns));
	assert(routes && dns); /* judged before */
	query_blob(q, at, bytes->routes, routes);
	query_blob(q, at + 1, bytes->dns, dns);
}

static void network_read(struct query *q, struct network_record *n)
{
	*n = (struct network_record){.nwid = column_u64(q, 0), .mtu = (uint16_t)column_u64(q, 2)};
	column_text(q, 1, n->name, sizeof(n->name));
	if (!column_null(q, 3)) {
		n->pool = (struct prefix){.family = 4, .bits = (uint8_t)column_u64(q, 4)};
		column_blob(q, 3, n->pool.ip, 4);
	}
	n->flags = (uint32_t)column_u64(q, 5);
	column_blob(q, 6, n->gate, sizeof(n->gate));
	n->version = column_u64(q, 7);
	n->rev_epoch = column_u64(q, 8);
	n->serials = column_u64(q, 9);
	n->created_wall_s = column_u64(q, 10);
	n->revision = column_u64(q, 11);
	n->limits.storm_frames = (uint32_t)column_u64(q, 12);
	n->limits.mcast_kbit = (uint32_t)column_u64(q, 13);
	n->limits.mcast_limit = (uint32_t)column_u64(q, 14);
	column_text(q, 15, n->description, sizeof(n->description));
	sections_read(q, 16, n);
	ranges_read(q, 18, n);
	n->auto_assign = column_u64(q, 19);
	ethertypes_read(q, 20, n);
}

static void network_bind(struct query *q, const struct network_record *n, uint64_t revision, struct sections *bytes)
{
	query_u64(q, 1, n->nwid);
	query_text(q, 2, n->name);
	query_u64(q, 3, n->mtu);
	if (n->pool.family == 4)
		query_blob(q, 4, n->pool.ip, 4);
	else
		query_null(q, 4);
	query_u64(q, 5, n->pool.family == 4 ? n->pool.bits : 0);
	query_u64(q, 6, n->flags);
	query_u64(q, 7, revision);
	query_u64(q, 8, n->limits.storm_frames);
	query_u64(q, 9, n->limits.mcast_kbit);
	query_u64(q, 10, n->limits.mcast_limit);
	query_text(q, 11, n->description);
	sections_bind(q, 12, n, bytes);
	ranges_bind(q, 14, n, bytes->ranges);
	query_u64(q, 15, n->auto_assign);
	ethertypes_bind(q, 16, n, bytes->ethertypes);
}

int store_network_insert(struct store *s, const struct network_record *n)
{
	struct sections bytes;
	uint64_t revision = store_revision_next(s);
	struct query *q =
	    query_write(s, "INSERT INTO network (nwid, name, mtu, pool, pool_bits, flags, revision, storm, mcast_kbit, "
	                   "mcast_limit, description, routes, dns, ranges, auto_assign, ethertypes, gate, version, rev_epoch, "
	                   "serials, created_wall) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, "
	                   "?16, ?17, ?18, ?19, ?20, ?21)");
	network_bind(q, n, revision, &bytes);
	query_blob(q, 17, n->gate, sizeof(n->gate));
	query_u64(q, 18, n->version);
	query_u64(q, 19, n->rev_epoch);
	query_u64(q, 20, n->serials);
	query_u64(q, 21, n->created_wall_s);
	return query_run(q);
}

int store_network_update(struct store *s, const struct network_record *n)
{
	struct sections bytes;
	uint64_t revision = store_revision_next(s);
	struct query *q = query_write(s, "UPDATE network SET name = ?2, mtu = ?3, pool = ?4, pool_bits = ?5, flags = ?6, revision = ?7, "
	                                 "storm = ?8, mcast_kbit = ?9, mcast_limit = ?10, description = ?11, routes = ?12, dns = ?13, "
	                                 "ranges = ?14, auto_assign = ?15, ethertypes = ?16 "
	                                 "WHERE nwid = ?1");
	network_bind(q, n, revision, &bytes);
	return query_run(q);
}

int store_network_counters(struct store *s, uint64_t nwid, uint64_t version, uint64_t rev_epoch, uint64_t serials)
{
	if (!store_revision_next(s)) /* of the database; the row's is of what the admin decided */
		return store_failure(s);
	struct query *q = query_write(s, "UPDATE network SET version = max(version, ?2), rev_epoch = max(rev_epoch, ?3), "
	                                 "serials = max(serials, ?4) WHERE nwid = ?1");
	query_u64(q, 1, nwid);
	query_u64(q, 2, version);
	query_u64(q, 3, rev_epoch);
	query_u64(q, 4, serials);
	return query_run(q);
}

int store_network_delete(struct store *s, uint64_t nwid)
{
	/* leases first: their reference to the member has no cascade, so that no member vanishes with an address in use */
	struct query *q = query_write(s, "DELETE FROM lease WHERE nwid = ?1");
	query_u64(q, 1, nwid);
	int r = query_run(q);
	if (r)
		return r;
	if (!store_revision_next(s)) /* a deletion is a change too: head.bak tells it from an older database by this */
		return store_failure(s);
	q = query_write(s, "DELETE FROM network WHERE nwid = ?1");
	query_u64(q, 1, nwid);
	return query_run(q);
}

int store_network_get(struct store *s, uint64_t nwid, struct network_record *ret)
{
	struct query *q = query_read(s, "SELECT " NETWORK_COLUMNS " FROM network WHERE nwid = ?1");
	query_u64(q, 1, nwid);
	bool found = query_row(q);
	if (found)
		network_read(q, ret);
	int r = query_end(q);
	return r ? r : found ? 0 : -ENOENT;
}

int store_network_named(struct store *s, const char *name, uint64_t *ret_nwid)
{
	struct query *q = query_read(s, "SELECT nwid FROM network WHERE name = ?1");
	query_text(q, 1, name);
	bool found = query_row(q);
	if (found)
		*ret_nwid = column_u64(q, 0);
	int r = query_end(q);
	return r ? r : found ? 0 : -ENOENT;
}

int store_network_each(struct store *s, void (*each)(void *, const struct network_record *), void *self)
{
	struct network_record n;
	struct query *q = query_read(s, "SELECT " NETWORK_COLUMNS " FROM network ORDER BY name");
	while (query_row(q)) {
		network_read(q, &n);
		each(self, &n);
	}
	return query_end(q);
}

int store_network_count(struct store *s, uint64_t nwid, enum member_state state, uint32_t *ret)
{
	struct query *q = query_read(s, "SELECT n FROM tally WHERE nwid = ?1 AND what = ?2");
	query_u64(q, 1, nwid);
	query_u64(q, 2, (uint64_t)state);
	uint32_t n = query_row(q) ? (uint32_t)column_u64(q, 0) : 0;
	int r = query_end(q);
	if (!r)
		*ret = n;
	return r;
}

/* ---- revocations -------------------------------------------------------------------- */

int store_revoke(struct store *s, uint64_t nwid, const uint8_t key_hash[KEY_HASH_BYTES], uint64_t min_serial, uint64_t drop_after)
{
	uint64_t revision = store_revision_next(s);
	struct query *q = query_write(s, "INSERT INTO revocation VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO UPDATE SET "
	                                 "min_serial = max(min_serial, excluded.min_serial), "
	                                 "drop_after = max(drop_after, excluded.drop_after), revision = excluded.revision");
	query_u64(q, 1, nwid);
	query_blob(q, 2, key_hash, KEY_HASH_BYTES);
	query_u64(q, 3, min_serial);
	query_u64(q, 4, drop_after);
	query_u64(q, 5, revision);
	return query_run(q);
}

int store_revocations_purge(struct store *s, uint64_t nwid, uint64_t now, unsigned *ret_dropped)
{
	return query_purge(s, "SELECT count(*) FROM revocation WHERE nwid = ?1 AND drop_after < ?2",
	                   "DELETE FROM revocation WHERE nwid = ?1 AND drop_after < ?2", nwid, now, ret_dropped);
}

int store_revocation_count(struct store *s, uint64_t nwid, uint32_t *ret)
{
	struct query *q = query_read(s, "SELECT n FROM tally WHERE nwid = ?1 AND what = " TALLY_REVOCATIONS);
	query_u64(q, 1, nwid);
	uint32_t n = query_row(q) ? (uint32_t)column_u64(q, 0) : 0;
	int r = query_end(q);
	if (!r)
		*ret = n;
	return r;
}

int store_revocations(struct store *s, uint64_t nwid, struct revocation **ret, size_t *ret_n)
{
	struct revocation *all = NULL;
	size_t n = 0, room = 0;
	int r = 0;
	struct query *q = query_read(s, "SELECT key_hash, min_serial FROM revocation WHERE nwid = ?1 ORDER BY key_hash");
	query_u64(q, 1, nwid);
	while (!r && query_row(q)) {
		if (n == room) {
			room = room ? room * 2 : 16;
			struct revocation *more = realloc(all, room * sizeof(*all));
			if (!more) {
				r = -ENOMEM;
				break;
			}
			all = more;
		}
		column_blob(q, 0, all[n].key_hash, KEY_HASH_BYTES);
		all[n++].min_serial = column_u64(q, 1);
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
