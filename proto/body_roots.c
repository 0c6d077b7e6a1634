/* body_roots.c: bodies of the messages by which roots of one set serve as one: LOCATE, ROOTSET, SYNC.
 *
 * Nothing here says that a record or a document is good: signatures are its reader's business, this file only bounds what
 * is handed on. A SYNC carries either records, four of the longest in a message, or a digest of all a root holds: per
 * bucket of key hashes the XOR of a hash of each record, in which order does not matter and one changed record shows.
 */
#include "proto/body_parts.h"
#include "proto/rootset.h"

static void contact_put(struct writer *w, const uint8_t *contact, size_t len)
{
	if (!len || len > CONTACT_ENVELOPE_MAX)
		w->bad = true;
	else
		pack_bin(w, contact, len);
}

size_t body_locate_encode(const struct body_locate *b, uint8_t *out, size_t room)
{
	struct writer w = body_writer(out, room);
	pack_map(&w, b->key_hash_set ? 2 : 1);
	pack_uint(&w, 0);
	pack_address(&w, b->address);
	if (b->key_hash_set) {
		pack_uint(&w, 1);
		pack_bin(&w, b->key_hash, KEY_HASH_BYTES);
	}
	return pack_end(&w);
}

bool body_locate_parse(const uint8_t *bytes, size_t len, struct body_locate *ret)
{
	struct document d;
	struct body_locate b = {0};
	if (!body_open(&d, bytes, len))
		return false;
	b.address = document_address(&d, document_field(&d, 0));
	const struct value *hash = document_field(&d, 1);
	b.key_hash_set = hash != NULL;
	if (hash)
		document_copy(&d, hash, b.key_hash, KEY_HASH_BYTES);
	if (!document_close(&d))
		return false;
	*ret = b;
	return true;
}

/* As the fields of a result or of a record of a SYNC, four elements of a list. */
static void located_put(struct writer *w, const struct body_located *b)
{
	pack_array(w, 4);
	pack_identity(w, &b->identity);
	contact_put(w, b->contact, b->contact_len);
	pack_uint(w, b->age_s);
	pack_uint(w, b->left_s);
}

static void located_read(struct document *d, const struct value *v, struct body_located *b)
{
	if (document_count(d, v, 4) != 4) {
		d->bad = true;
		return;
	}
	document_identity(d, document_at(d, v, 0), &b->identity);
	b->contact = document_bin(d, document_at(d, v, 1), CONTACT_ENVELOPE_MAX, &b->contact_len);
	b->age_s = (uint32_t)document_uint(d, document_at(d, v, 2), UINT32_MAX);
	b->left_s = (uint32_t)document_uint(d, document_at(d, v, 3), UINT32_MAX);
}

size_t body_located_encode(const struct body_located *b, uint8_t *out, size_t room)
{
	struct writer w = body_writer(out, room);
	pack_map(&w, 1);
	pack_uint(&w, 0);
	located_put(&w, b);
	return pack_end(&w);
}

bool body_located_parse(const uint8_t *bytes, size_t len, struct body_located *ret)
{
	struct document d;
	struct body_located b = {0};
	if (!body_open(&d, bytes, len))
		return false;
	located_read(&d, document_field(&d, 0), &b);
	if (!document_close(&d))
		return false;
	*ret = b;
	return true;
}

size_t body_rootset_encode(const struct body_rootset *b, uint8_t *out, size_t room)
{
	struct writer w = body_writer(out, room);
	pack_map(&w, 3);
	pack_uint(&w, 0);
	pack_bin(&w, b->id, sizeof b->id);
	pack_uint(&w, 1);
	pack_uint(&w, b->have_seq);
	pack_uint(&w, 2);
	pack_uint(&w, b->off);
	return pack_end(&w);
}

bool body_rootset_parse(const uint8_t *bytes, size_t len, struct body_rootset *ret)
{
	struct document d;
	struct body_rootset b = {0};
	if (!body_open(&d, bytes, len))
		return false;
	document_copy(&d, document_field(&d, 0), b.id, sizeof b.id);
	b.have_seq = document_uint(&d, document_field(&d, 1), UINT64_MAX);
	b.off = (uint32_t)document_uint(&d, document_field(&d, 2), ROOTSET_BYTES_MAX);
	if (!document_close(&d))
		return false;
	*ret = b;
	return true;
}

/* Receivers size their buffer by ROOTSET_BYTES_MAX. */
static bool piece_fits(const struct body_rootset_piece *b)
{
	if (!b->total)
		return !b->piece_len && !b->off;
	return b->total <= ROOTSET_BYTES_MAX && b->off < b->total && b->piece_len && b->piece_len <= b->total - b->off &&
	       b->piece_len <= ROOTSET_PIECE_MAX;
}

size_t body_rootset_piece_encode(const struct body_rootset_piece *b, uint8_t *out, size_t room)
{
	struct writer w = body_writer(out, room);
	if (!piece_fits(b))
		return 0;
	pack_map(&w, b->total ? 4 : 3);
	pack_uint(&w, 0);
	pack_uint(&w, b->seq);
	pack_uint(&w, 1);
	pack_uint(&w, b->off);
	pack_uint(&w, 2);
	pack_uint(&w, b->total);
	if (b->total) {
		pack_uint(&w, 3);
		pack_bin(&w, b->piece, b->piece_len);
	}
	return pack_end(&w);
}

bool body_rootset_piece_parse(const uint8_t *bytes, size_t len, struct body_rootset_piece *ret)
{
	struct document d;
	struct body_rootset_piece b = {0};
	if (!body_open(&d, bytes, len))
		return false;
	b.seq = document_uint(&d, document_field(&d, 0), UINT64_MAX);
	b.off = (uint32_t)document_uint(&d, document_field(&d, 1), ROOTSET_BYTES_MAX);
	b.total = (uint32_t)document_uint(&d, document_field(&d, 2), ROOTSET_BYTES_MAX);
	if (b.total)
		b.piece = document_bin(&d, document_field(&d, 3), ROOTSET_PIECE_MAX, &b.piece_len);
	if (!document_close(&d) || !piece_fits(&b))
		return false;
	*ret = b;
	return true;
}

size_t body_sync_encode(const struct body_sync *b, uint8_t *out, size_t room)
{
	struct writer w = body_writer(out, room);
	uint8_t digest[8 * SYNC_BUCKETS];
	if (b->n > SYNC_RECORDS_MAX || (b->digest_set && b->n))
		return 0;
	pack_map(&w, 1);
	pack_uint(&w, b->digest_set ? 1 : 0);
	if (b->digest_set) {
		for (unsigned i = 0; i < SYNC_BUCKETS; i++)
			le64_to(digest + 8 * i, b->digest[i]);
		pack_bin(&w, digest, sizeof digest);
		return pack_end(&w);
	}
	pack_array(&w, b->n);
	for (unsigned i = 0; i < b->n; i++)
		located_put(&w, &b->record[i]);
	return pack_end(&w);
}

bool body_sync_parse(const uint8_t *bytes, size_t len, struct body_sync *ret)
{
	struct document d;
	struct body_sync b = {0};
	uint8_t digest[8 * SYNC_BUCKETS] = {0};
	if (!body_open(&d, bytes, len))
		return false;
	const struct value *list = document_field(&d, 0), *bin = document_field(&d, 1);
	b.digest_set = bin != NULL;
	if (list)
		b.n = document_count(&d, list, SYNC_RECORDS_MAX);
	for (unsigned i = 0; i < b.n; i++)
		located_read(&d, document_at(&d, list, i), &b.record[i]);
	if (bin)
		document_copy(&d, bin, digest, sizeof digest);
	for (unsigned i = 0; i < SYNC_BUCKETS; i++)
		b.digest[i] = le64_at(digest + 8 * i);
	if (!list == !bin)
		d.bad = true;
	if (!document_close(&d))
		return false;
	*ret = b;
	return true;
}

size_t body_sync_result_encode(const struct body_sync_result *b, uint8_t *out, size_t room)
{
	struct writer w = body_writer(out, room);
	pack_map(&w, 1);
	pack_uint(&w, 0);
	pack_bin(&w, b->differ, sizeof b->differ);
	return pack_end(&w);
}

bool body_sync_result_parse(const uint8_t *bytes, size_t len, struct body_sync_result *ret)
{
	struct document d;
	struct body_sync_result b = {0};
	if (!body_open(&d, bytes, len))
		return false;
	document_copy(&d, document_field(&d, 0), b.differ, sizeof b.differ);
	if (!document_close(&d))
		return false;
	*ret = b;
	return true;
}
