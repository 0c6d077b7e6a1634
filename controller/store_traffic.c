/* Theory of operation: round-robin tables of what members carried. A subject (a member, or a network as a whole) has TRAFFIC_CELLS cells,
 * each of them one row that is overwritten when its turn comes round, so what can be stored ends with the number of subjects.
 * The key begins with the cell: what a minute writes for a thousand members lies side by side in some twenty pages and not in a
 * thousand. Numbers of which most are zero (reasons of drops, buckets of round trips) stand packed in a blob.
 *
 * A subject that lost its member or network is an orphan (nwid NULL, by trigger: that is all the admin's transaction has to bear), and
 * its cells are swept later. */
#include "controller/store_traffic.h"

#include <errno.h>
#include <string.h>

#include "controller/query.h"
#include "controller/traffic_parts.h"

/* clang-format off */
const char store_schema_traffic[] =
    "CREATE TABLE traffic_subject ("
    "	id INTEGER PRIMARY KEY AUTOINCREMENT,"
    "	nwid INTEGER,"                  /* NULL: gone */
    "	member INTEGER,"                /* 0 = the sum of the network */
    "	epoch INTEGER NOT NULL,"
    "	at_wall INTEGER NOT NULL,"
    "	rx_bytes INTEGER NOT NULL,"     /* as told last, and so the next three; of a network: all that there ever was */
    "	rx_frames INTEGER NOT NULL,"
    "	tx_bytes INTEGER NOT NULL,"
    "	tx_frames INTEGER NOT NULL,"
    "	drops BLOB,"
    "	held_0 INTEGER NOT NULL,"       /* bytes in all cells of the first ring, old ones too */
    "	held_1 INTEGER NOT NULL,"
    "	held_2 INTEGER NOT NULL,"
    "	UNIQUE (nwid, member)"
    ") STRICT;"
    "CREATE INDEX traffic_subject_gone ON traffic_subject (id) WHERE nwid IS NULL;"
    "CREATE TRIGGER traffic_member_gone AFTER DELETE ON member BEGIN"
    "	UPDATE traffic_subject SET nwid = NULL, member = NULL WHERE nwid = old.nwid AND member = old.id;"
    "END;"
    "CREATE TRIGGER traffic_network_gone AFTER DELETE ON network BEGIN"
    "	UPDATE traffic_subject SET nwid = NULL, member = NULL WHERE nwid = old.nwid;"
    "END;"
    "CREATE TABLE traffic ("
    "	cell INTEGER NOT NULL,"
    "	subject INTEGER NOT NULL,"
    "	slot INTEGER NOT NULL,"
    "	rx_bytes INTEGER NOT NULL,"
    "	rx_frames INTEGER NOT NULL,"
    "	tx_bytes INTEGER NOT NULL,"
    "	tx_frames INTEGER NOT NULL,"
    "	rtt BLOB,"
    "	drops BLOB,"
    "	PRIMARY KEY (cell, subject)"
    ") STRICT, WITHOUT ROWID;"
    "CREATE TABLE traffic_reason ("
    "	nwid INTEGER NOT NULL REFERENCES network (nwid) ON DELETE CASCADE,"
    "	id INTEGER NOT NULL,"
    "	name TEXT NOT NULL,"
    "	PRIMARY KEY (nwid, id)"
    ") STRICT, WITHOUT ROWID;";
/* clang-format on */

/* ---- numbers, packed ---------------------------------------------------------------- */

size_t tallies_pack(const struct tallies *t, uint8_t out[TALLIES_ROOM])
{
	size_t n = 0;
	for (unsigned i = 0; i < TALLIES; i++) {
		if (!t->of[i])
			continue;
		out[n++] = (uint8_t)i;
		uint64_t v = t->of[i];
		for (; v >= 0x80; v >>= 7)
			out[n++] = (uint8_t)(v | 0x80);
		out[n++] = (uint8_t)v;
	}
	return n;
}

void tallies_unpack(const uint8_t *bytes, size_t len, struct tallies *ret)
{
	*ret = (struct tallies){0};
	for (size_t at = 0; at < len;) {
		unsigned key = bytes[at++], shift = 0;
		uint64_t v = 0;
		while (at < len && shift < 64) {
			uint8_t byte = bytes[at++];
			v |= (uint64_t)(byte & 0x7f) << shift;
			shift += 7;
			if (!(byte & 0x80))
				break;
		}
		ret->of[key] = v;
	}
}

static void tallies_bind(struct query *q, int at, const struct tallies *t, uint8_t room[TALLIES_ROOM])
{
	size_t n = tallies_pack(t, room);
	if (n)
		query_blob(q, at, room, n);
	else
		query_null(q, at);
}

static void tallies_read(struct query *q, int at, struct tallies *ret)
{
	uint8_t bytes[TALLIES_ROOM];
	tallies_unpack(bytes, column_bytes(q, at, bytes, sizeof(bytes)), ret);
}

static void count_bind(struct query *q, int at, const struct traffic_count *count)
{
	query_u64(q, at, count->rx_bytes);
	query_u64(q, at + 1, count->rx_frames);
	query_u64(q, at + 2, count->tx_bytes);
	query_u64(q, at + 3, count->tx_frames);
}

static struct traffic_count count_read(struct query *q, int at)
{
	return (struct traffic_count){.rx_bytes = column_u64(q, at),
	                              .rx_frames = column_u64(q, at + 1),
	                              .tx_bytes = column_u64(q, at + 2),
	                              .tx_frames = column_u64(q, at + 3)};
}

/* ---- cells -------------------------------------------------------------------------- */

int store_traffic_cell(struct store *s, unsigned cell, uint64_t subject, struct traffic_cell *ret)
{
	struct query *q = query_read(s, "SELECT slot, rx_bytes, rx_frames, tx_bytes, tx_frames, rtt, drops FROM traffic "
	                                "WHERE cell = ?1 AND subject = ?2");
	query_u64(q, 1, cell);
	query_u64(q, 2, subject);
	bool found = query_row(q);
	if (found) {
		ret->slot = column_u64(q, 0);
		ret->count = count_read(q, 1);
		tallies_read(q, 5, &ret->rtt);
		tallies_read(q, 6, &ret->drops);
	}
	int r = query_end(q);
	return r ? r : found ? 0 : -ENOENT;
}

int store_traffic_cell_put(struct store *s, unsigned cell, uint64_t subject, const struct traffic_cell *c)
{
	uint8_t rtt[TALLIES_ROOM], drops[TALLIES_ROOM];
	struct query *q = query_write(s, "INSERT OR REPLACE INTO traffic VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)");
	query_u64(q, 1, cell);
	query_u64(q, 2, subject);
	query_u64(q, 3, c->slot);
	count_bind(q, 4, &c->count);
	tallies_bind(q, 8, &c->rtt, rtt);
	tallies_bind(q, 9, &c->drops, drops);
	return query_run(q);
}

int store_traffic_sum(struct store *s, uint64_t subject, unsigned first, unsigned end, uint64_t from, uint64_t to,
                      struct traffic_count *ret)
{
	struct query *q =
	    query_read(s, "SELECT sum(rx_bytes), sum(rx_frames), sum(tx_bytes), sum(tx_frames) FROM traffic WHERE subject = ?1 "
	                  "AND cell IN (WITH RECURSIVE n (i) AS (SELECT ?2 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < ?3) "
	                  "SELECT i FROM n) AND slot BETWEEN ?4 AND ?5");
	query_u64(q, 1, subject);
	query_u64(q, 2, first);
	query_u64(q, 3, end);
	query_u64(q, 4, from);
	query_u64(q, 5, to);
	struct traffic_count count = {0};
	if (query_row(q))
		count = count_read(q, 0);
	int r = query_end(q);
	if (!r)
		*ret = count;
	return r;
}

/* ---- subjects ----------------------------------------------------------------------- */

static int member_find(struct store *s, uint64_t nwid, const uint8_t *key_hash, uint64_t *ret)
{
	struct query *q = query_read(s, "SELECT id FROM member WHERE nwid = ?1 AND key_hash = ?2");
	query_u64(q, 1, nwid);
	query_blob(q, 2, key_hash, KEY_HASH_BYTES);
	bool found = query_row(q);
	if (found)
		*ret = column_u64(q, 0);
	int r = query_end(q);
	return r ? r : found ? 0 : -ENOENT;
}

int store_traffic_subject(struct store *s, uint64_t nwid, const uint8_t *key_hash, struct traffic_subject *ret, uint64_t *ret_member)
{
	*ret_member = 0;
	int r = key_hash ? member_find(s, nwid, key_hash, ret_member) : 0;
	if (r)
		return r;
	struct query *q = query_read(s, "SELECT id, epoch, at_wall, rx_bytes, rx_frames, tx_bytes, tx_frames, drops FROM traffic_subject "
	                                "WHERE nwid = ?1 AND member = ?2");
	query_u64(q, 1, nwid);
	query_u64(q, 2, *ret_member);
	bool found = query_row(q);
	if (found) {
		ret->id = column_u64(q, 0);
		ret->member = *ret_member;
		ret->epoch = column_u64(q, 1);
		ret->at_s = column_u64(q, 2);
		ret->last = count_read(q, 3);
		tallies_read(q, 7, &ret->drops);
	}
	r = query_end(q);
	return r ? r : found ? 0 : -ENOENT;
}

int store_traffic_subject_new(struct store *s, uint64_t nwid, uint64_t member, uint64_t *ret_id)
{
	struct query *q =
	    query_write(s, "INSERT INTO traffic_subject (nwid, member, epoch, at_wall, rx_bytes, rx_frames, tx_bytes, tx_frames, "
	                   "held_0, held_1, held_2) VALUES (?1, ?2, 0, 0, 0, 0, 0, 0, 0, 0, 0) RETURNING id");
	query_u64(q, 1, nwid);
	query_u64(q, 2, member);
	uint64_t id = query_row(q) ? column_u64(q, 0) : 0;
	int r = query_run(q);
	if (!r)
		*ret_id = id;
	return r;
}

int store_traffic_subject_save(struct store *s, uint64_t nwid, const struct traffic_subject *subject, const int64_t held[TRAFFIC_RANGES])
{
	uint8_t drops[TALLIES_ROOM];
	struct query *q =
	    query_write(s, "UPDATE traffic_subject SET epoch = ?3, at_wall = ?4, rx_bytes = ?5, rx_frames = ?6, tx_bytes = ?7, "
	                   "tx_frames = ?8, drops = ?9, held_0 = held_0 + ?10, held_1 = held_1 + ?11, held_2 = held_2 + ?12 "
	                   "WHERE id = ?1 AND nwid = ?2");
	query_u64(q, 1, subject->id);
	query_u64(q, 2, nwid);
	query_u64(q, 3, subject->epoch);
	query_u64(q, 4, subject->at_s);
	count_bind(q, 5, &subject->last);
	tallies_bind(q, 9, &subject->drops, drops);
	for (int i = 0; i < TRAFFIC_RANGES; i++)
		query_u64(q, 10 + i, (uint64_t)held[i]);
	int r = query_run(q);
	return r ? r : store_changes(s) ? 0 : -ENOENT;
}

#define HOLDERS_BY(column)                                                                                                                 \
	"SELECT s.id, m.address, CASE m.name WHEN '' THEN m.hostname ELSE m.name END, s." column " FROM traffic_subject s "                \
	"JOIN member m ON m.id = s.member WHERE s.nwid = ?1 AND s.member > 0 AND s.at_wall >= ?3 ORDER BY s." column                       \
	" DESC, s.id LIMIT ?2"

int store_traffic_holders(struct store *s, uint64_t nwid, enum traffic_range range, uint64_t since_s, struct traffic_holder *ret,
                          unsigned max, unsigned *ret_n)
{
	static const char *const sql[TRAFFIC_RANGES] = {HOLDERS_BY("held_0"), HOLDERS_BY("held_1"), HOLDERS_BY("held_2")};
	struct query *q = query_read(s, sql[range]);
	unsigned n = 0;
	query_u64(q, 1, nwid);
	query_u64(q, 2, max);
	query_u64(q, 3, since_s);
	for (; query_row(q) && n < max; n++) {
		ret[n].subject = column_u64(q, 0);
		ret[n].address = column_u64(q, 1);
		column_text(q, 2, ret[n].name, sizeof(ret[n].name));
		ret[n].held = column_u64(q, 3);
	}
	int r = query_end(q);
	if (!r)
		*ret_n = n;
	return r;
}

int store_traffic_reporting(struct store *s, uint64_t nwid, unsigned cell, uint64_t slot, unsigned *ret)
{
	struct query *q = query_read(s, "SELECT count(*) FROM traffic_subject s CROSS JOIN traffic t ON t.cell = ?2 AND t.subject = s.id "
	                                "WHERE s.nwid = ?1 AND s.member > 0 AND t.slot = ?3");
	query_u64(q, 1, nwid);
	query_u64(q, 2, cell);
	query_u64(q, 3, slot);
	unsigned n = query_row(q) ? (unsigned)column_u64(q, 0) : 0;
	int r = query_end(q);
	if (!r)
		*ret = n;
	return r;
}

/* ---- what is left behind ------------------------------------------------------------ */

static int cells_delete(struct store *s, uint64_t subject)
{
	struct query *q =
	    query_write(s, "DELETE FROM traffic WHERE subject = ?1 AND cell IN "
	                   "(WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < ?2) SELECT i FROM n)");
	query_u64(q, 1, subject);
	query_u64(q, 2, TRAFFIC_CELLS);
	int r = query_run(q);
	if (r)
		return r;
	q = query_write(s, "DELETE FROM traffic_subject WHERE id = ?1");
	query_u64(q, 1, subject);
	return query_run(q);
}

int store_traffic_sweep(struct store *s, unsigned max, unsigned *ret_n)
{
	uint64_t ids[32];
	unsigned n = 0, room = max < 32 ? max : 32;
	struct query *q = query_read(s, "SELECT id FROM traffic_subject WHERE nwid IS NULL ORDER BY id LIMIT ?1");
	query_u64(q, 1, room);
	while (query_row(q) && n < room)
		ids[n++] = column_u64(q, 0);
	int r = query_end(q);
	for (unsigned i = 0; i < n && !r; i++)
		r = cells_delete(s, ids[i]);
	if (!r)
		*ret_n = n;
	return r;
}

/* ---- reasons ------------------------------------------------------------------------ */

int store_traffic_reason_put(struct store *s, uint64_t nwid, unsigned id, const char *name)
{
	struct query *q = query_write(s, "INSERT OR REPLACE INTO traffic_reason VALUES (?1, ?2, ?3)");
	query_u64(q, 1, nwid);
	query_u64(q, 2, id);
	query_text(q, 3, name);
	return query_run(q);
}

int store_traffic_reasons(struct store *s, uint64_t nwid, void (*each)(void *, unsigned id, const char *name), void *self)
{
	char name[TRAFFIC_REASON_ROOM];
	struct query *q = query_read(s, "SELECT id, name FROM traffic_reason WHERE nwid = ?1 ORDER BY id");
	query_u64(q, 1, nwid);
	while (query_row(q)) {
		column_text(q, 1, name, sizeof(name));
		each(self, (unsigned)column_u64(q, 0), name);
	}
	return query_end(q);
}
