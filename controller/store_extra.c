/* Theory of operation: what networks and members have beyond the first design. Most of it is columns, which store_network.c,
 * store_member.c and store_door.c read and write with the rest of their rows; this file has the step that adds them, how the lists among
 * them stand in a blob, and one text per network in a table of its own: what another program keeps here about a network is read when
 * that program asks, and not with every join. */
#include "controller/store_extra.h"

#include <errno.h>
#include <string.h>

/* clang-format off */
const char store_schema_extras[] =
    "ALTER TABLE network ADD COLUMN ranges BLOB;"                             /* first and last, 8 bytes each; NULL = the whole pool */
    "ALTER TABLE network ADD COLUMN auto_assign INTEGER NOT NULL DEFAULT 1;"
    "ALTER TABLE network ADD COLUMN ethertypes BLOB;"                         /* 2 bytes each; NULL = all */
    "ALTER TABLE member ADD COLUMN auto_ip INTEGER NOT NULL DEFAULT 1;"
    "ALTER TABLE member ADD COLUMN authorized_wall INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE member ADD COLUMN deauthorized_wall INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE preapproval ADD COLUMN auto_ip INTEGER NOT NULL DEFAULT 1;"
    "ALTER TABLE preapproval ADD COLUMN reserve INTEGER NOT NULL DEFAULT 0;"  /* 1 = somebody still has to approve */
    "CREATE INDEX preapproval_ips ON preapproval (nwid, ips) WHERE length(ips) > 0;"
    "CREATE TABLE network_extra ("
    "	nwid INTEGER PRIMARY KEY REFERENCES network (nwid) ON DELETE CASCADE,"
    "	text TEXT NOT NULL,"
    "	revision INTEGER NOT NULL"
    ") STRICT;";
/* clang-format on */

/* ---- lists -------------------------------------------------------------------------- */

void ranges_read(struct query *q, int at, struct network_record *n)
{
	uint8_t bytes[RANGES_BYTES];
	n->n_ranges = (unsigned)(column_bytes(q, at, bytes, sizeof(bytes)) / 8);
	for (unsigned i = 0; i < n->n_ranges; i++) {
		memcpy(n->ranges[i].first, bytes + (size_t)8 * i, 4);
		memcpy(n->ranges[i].last, bytes + (size_t)8 * i + 4, 4);
	}
}

void ranges_bind(struct query *q, int at, const struct network_record *n, uint8_t bytes[RANGES_BYTES])
{
	for (unsigned i = 0; i < n->n_ranges; i++) {
		memcpy(bytes + (size_t)8 * i, n->ranges[i].first, 4);
		memcpy(bytes + (size_t)8 * i + 4, n->ranges[i].last, 4);
	}
	if (n->n_ranges)
		query_blob(q, at, bytes, (size_t)8 * n->n_ranges);
	else
		query_null(q, at);
}

void ethertypes_read(struct query *q, int at, struct network_record *n)
{
	uint8_t bytes[ETHERTYPES_BYTES];
	n->ethertypes.n = (uint8_t)(column_bytes(q, at, bytes, sizeof(bytes)) / 2);
	for (unsigned i = 0; i < n->ethertypes.n; i++)
		n->ethertypes.type[i] = (uint16_t)(bytes[2 * i] << 8 | bytes[2 * i + 1]);
}

void ethertypes_bind(struct query *q, int at, const struct network_record *n, uint8_t bytes[ETHERTYPES_BYTES])
{
	for (unsigned i = 0; i < n->ethertypes.n; i++) {
		bytes[2 * i] = (uint8_t)(n->ethertypes.type[i] >> 8);
		bytes[2 * i + 1] = (uint8_t)n->ethertypes.type[i];
	}
	if (n->ethertypes.n)
		query_blob(q, at, bytes, (size_t)2 * n->ethertypes.n);
	else
		query_null(q, at);
}

/* ---- a text of other programs ------------------------------------------------------- */

int store_extra_set(struct store *s, uint64_t nwid, const char *text)
{
	uint64_t revision = store_revision_next(s);
	struct query *q = *text ? query_write(s, "INSERT OR REPLACE INTO network_extra VALUES (?1, ?2, ?3)")
	                        : query_write(s, "DELETE FROM network_extra WHERE nwid = ?1");
	query_u64(q, 1, nwid);
	if (*text) {
		query_text(q, 2, text);
		query_u64(q, 3, revision);
	}
	return query_run(q);
}

int store_extra_get(struct store *s, uint64_t nwid, char *ret, size_t room)
{
	struct query *q = query_read(s, "SELECT text FROM network_extra WHERE nwid = ?1");
	query_u64(q, 1, nwid);
	bool found = query_row(q);
	if (found)
		column_text(q, 0, ret, room);
	int r = query_end(q);
	return r ? r : found ? 0 : -ENOENT;
}
