/* Theory of operation: who is let in or kept out before there is a row of it, or after: keys that are banned everywhere, keys
 * that were deleted and must not come back by themselves, and addresses the admin approved before they asked. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "controller/query.h"
#include "controller/tag.h"

/* ---- bans --------------------------------------------------------------------------- */

int store_ban_put(struct store *s, const struct ban *b)
{
	uint64_t revision = store_revision_next(s);
	struct query *q = query_write(s, "INSERT INTO ban VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO UPDATE SET reason = excluded.reason, "
	                                 "revision = excluded.revision");
	query_blob(q, 1, b->key_hash, KEY_HASH_BYTES);
	query_u64(q, 2, b->address);
	query_text(q, 3, b->reason);
	query_u64(q, 4, revision);
	return query_run(q);
}

int store_ban_delete(struct store *s, const uint8_t key_hash[KEY_HASH_BYTES])
{
	if (!store_revision_next(s))
		return store_failure(s);
	struct query *q = query_write(s, "DELETE FROM ban WHERE key_hash = ?1");
	query_blob(q, 1, key_hash, KEY_HASH_BYTES);
	return query_run(q);
}

static int ban_one(struct query *q, struct ban *ret)
{
	bool found = query_row(q);
	if (found) {
		column_blob(q, 0, ret->key_hash, KEY_HASH_BYTES);
		ret->address = column_u64(q, 1);
		column_text(q, 2, ret->reason, sizeof(ret->reason));
	}
	int r = query_end(q);
	return r ? r : found ? 0 : -ENOENT;
}

int store_ban_get(struct store *s, const uint8_t key_hash[KEY_HASH_BYTES], struct ban *ret)
{
	struct query *q = query_read(s, "SELECT key_hash, address, reason FROM ban WHERE key_hash = ?1");
	query_blob(q, 1, key_hash, KEY_HASH_BYTES);
	return ban_one(q, ret);
}

int store_ban_address(struct store *s, uint64_t address, struct ban *ret)
{
	struct query *q = query_read(s, "SELECT key_hash, address, reason FROM ban WHERE address = ?1 ORDER BY key_hash LIMIT 1");
	query_u64(q, 1, address);
	return ban_one(q, ret);
}

/* ---- the departed ------------------------------------------------------------------- */

int store_departed_put(struct store *s, uint64_t nwid, const uint8_t key_hash[KEY_HASH_BYTES], uint64_t asked, uint64_t at)
{
	uint64_t revision = store_revision_next(s);
	struct query *q =
	    query_write(s, "INSERT OR REPLACE INTO departed (nwid, key_hash, asked, at, revision) VALUES (?1, ?2, ?3, ?4, ?5)");
	query_u64(q, 1, nwid);
	query_blob(q, 2, key_hash, KEY_HASH_BYTES);
	query_u64(q, 3, asked);
	query_u64(q, 4, at);
	query_u64(q, 5, revision);
	int r = query_run(q);
	if (r)
		return r;
	/* ids only rise, so the one that is too many is found without counting the others */
	q = query_write(s, "DELETE FROM departed WHERE nwid = ?1 AND id <= (SELECT max(id) FROM departed) - ?2");
	query_u64(q, 1, nwid);
	query_u64(q, 2, DEPARTED_MAX);
	return query_run(q);
}

int store_departed_get(struct store *s, uint64_t nwid, const uint8_t key_hash[KEY_HASH_BYTES], uint64_t *ret_asked)
{
	struct query *q = query_read(s, "SELECT asked FROM departed WHERE nwid = ?1 AND key_hash = ?2");
	query_u64(q, 1, nwid);
	query_blob(q, 2, key_hash, KEY_HASH_BYTES);
	bool found = query_row(q);
	uint64_t asked = found ? column_u64(q, 0) : 0;
	int r = query_end(q);
	if (!r && found)
		*ret_asked = asked;
	return r ? r : found ? 0 : -ENOENT;
}

int store_departed_delete(struct store *s, uint64_t nwid, const uint8_t key_hash[KEY_HASH_BYTES])
{
	if (!store_revision_next(s))
		return store_failure(s);
	struct query *q = query_write(s, "DELETE FROM departed WHERE nwid = ?1 AND key_hash = ?2");
	query_u64(q, 1, nwid);
	query_blob(q, 2, key_hash, KEY_HASH_BYTES);
	return query_run(q);
}

/* ---- approved before they ask ------------------------------------------------------- */

#define PREAPPROVAL_COLUMNS                                                                                                                \
	"nwid, address, given, name, description, tags, ips, flags_on, flags_off, expires, ephemeral, created_wall, revision, auto_ip, "   \
	"reserve"

static void preapproval_read(struct query *q, struct preapproval_row *ret)
{
	char tags[TAGS_TEXT];
	uint8_t ips[CRED_IPS_MAX * 5];
	struct member_settings *m = &ret->settings;
	*ret = (struct preapproval_row){.nwid = column_u64(q, 0), .address = column_u64(q, 1)};
	m->set = (unsigned)column_u64(q, 2);
	column_text(q, 3, m->name, sizeof(m->name));
	column_text(q, 4, m->description, sizeof(m->description));
	column_text(q, 5, tags, sizeof(tags));
	tags_read(tags, &m->tags);
	m->n_ips = (unsigned)(column_bytes(q, 6, ips, sizeof(ips)) / 5);
	for (unsigned i = 0; i < m->n_ips; i++) {
		m->ips[i] = (struct prefix){.family = 4, .bits = ips[5 * i + 4]};
		memcpy(m->ips[i].ip, ips + 5 * i, 4);
	}
	m->flags_on = (uint32_t)column_u64(q, 7);
	m->flags_off = (uint32_t)column_u64(q, 8);
	m->expires_s = column_u64(q, 9);
	m->ephemeral_s = (uint32_t)column_u64(q, 10);
	ret->created_wall_s = column_u64(q, 11);
	ret->revision = column_u64(q, 12);
	m->auto_ip = column_u64(q, 13);
	ret->reserve = column_u64(q, 14);
}

int store_preapproval_put(struct store *s, const struct preapproval_row *p)
{
	char tags[TAGS_TEXT];
	uint8_t ips[CRED_IPS_MAX * 5];
	const struct member_settings *m = &p->settings;
	tags_text(&m->tags, tags);
	for (unsigned i = 0; i < m->n_ips; i++) {
		memcpy(ips + 5 * i, m->ips[i].ip, 4);
		ips[5 * i + 4] = m->ips[i].bits;
	}
	uint64_t revision = store_revision_next(s);
	struct query *q =
	    query_write(s, "INSERT OR REPLACE INTO preapproval (" PREAPPROVAL_COLUMNS ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, "
	                   "?9, ?10, ?11, ?12, ?13, ?14, ?15)");
	query_u64(q, 1, p->nwid);
	query_u64(q, 2, p->address);
	query_u64(q, 3, m->set);
	query_text(q, 4, m->name);
	query_text(q, 5, m->description);
	query_text(q, 6, tags);
	query_blob(q, 7, ips, 5 * (size_t)m->n_ips);
	query_u64(q, 8, m->flags_on);
	query_u64(q, 9, m->flags_off);
	query_u64(q, 10, m->expires_s);
	query_u64(q, 11, m->ephemeral_s);
	query_u64(q, 12, p->created_wall_s);
	query_u64(q, 13, revision);
	query_u64(q, 14, !(m->set & SET_MEMBER_AUTO_IP) || m->auto_ip);
	query_u64(q, 15, p->reserve);
	return query_run(q);
}

int store_preapproval_get(struct store *s, uint64_t nwid, uint64_t address, struct preapproval_row *ret)
{
	struct query *q = query_read(s, "SELECT " PREAPPROVAL_COLUMNS " FROM preapproval WHERE nwid = ?1 AND address = ?2");
	query_u64(q, 1, nwid);
	query_u64(q, 2, address);
	bool found = query_row(q);
	if (found)
		preapproval_read(q, ret);
	int r = query_end(q);
	return r ? r : found ? 0 : -ENOENT;
}

int store_preapproval_delete(struct store *s, uint64_t nwid, uint64_t address)
{
	if (!store_revision_next(s))
		return store_failure(s);
	struct query *q = query_write(s, "DELETE FROM preapproval WHERE nwid = ?1 AND address = ?2");
	query_u64(q, 1, nwid);
	query_u64(q, 2, address);
	return query_run(q);
}

int store_preapproval_count(struct store *s, uint64_t nwid, uint32_t *ret)
{
	struct query *q = query_read(s, "SELECT count(*) FROM preapproval WHERE nwid = ?1");
	query_u64(q, 1, nwid);
	if (query_row(q))
		*ret = (uint32_t)column_u64(q, 0);
	return query_end(q);
}

static int by_number(const void *a, const void *b)
{
	uint32_t one = *(const uint32_t *)a, two = *(const uint32_t *)b;
	return (one > two) - (one < two);
}

/* Of an index, so that rows without addresses, which may be ten thousand, are not walked. */
int store_preapproval_ips(struct store *s, uint64_t nwid, uint32_t **ret, size_t *ret_n)
{
	uint8_t ips[CRED_IPS_MAX * 5];
	uint32_t *at = NULL;
	size_t n = 0, room = 0;
	bool full = false;
	struct query *q = query_read(s, "SELECT ips FROM preapproval WHERE nwid = ?1 AND length(ips) > 0");
	query_u64(q, 1, nwid);
	while (!full && query_row(q)) {
		size_t more = column_bytes(q, 0, ips, sizeof(ips)) / 5;
		if (n + more > room) {
			uint32_t *grown = realloc(at, (room = 2 * room + CRED_IPS_MAX) * sizeof(*at));
			full = !grown;
			at = grown ? grown : at;
		}
		for (size_t i = 0; i < more && !full; i++)
			at[n++] =
			    (uint32_t)ips[5 * i] << 24 | (uint32_t)ips[5 * i + 1] << 16 | (uint32_t)ips[5 * i + 2] << 8 | ips[5 * i + 3];
	}
	int r = query_end(q);
	if (full || r) {
		free(at);
		return full ? -ENOMEM : r;
	}
	if (n)
		qsort(at, n, sizeof(*at), by_number);
	*ret = at;
	*ret_n = n;
	return 0;
}

int store_preapproval_each(struct store *s, uint64_t nwid, void (*each)(void *, const struct preapproval_row *), void *self)
{
	struct preapproval_row row;
	struct query *q = query_read(s, "SELECT " PREAPPROVAL_COLUMNS " FROM preapproval WHERE nwid = ?1 ORDER BY address");
	query_u64(q, 1, nwid);
	while (query_row(q)) {
		preapproval_read(q, &row);
		each(self, &row);
	}
	return query_end(q);
}
