/* body_ops.c: one encode and one parse for the body of each control message.
 *
 * The map keys are the numbers written here; they follow the order in which the protocol names the
 * fields and never change their meaning. What may be absent is asked for by key and left at zero;
 * what must be there makes the document bad by being read. Unknown keys are never looked at.
 * Numbers that name indices, epochs or versions are not judged here: only their owner in node/ or
 * controller/ knows which ones exist. Limits that keep a message within BODY_MAX are held in both
 * directions, so that what this file writes it also reads.
 */
#include "proto/body_parts.h"

#define CONNECT_SHARE_OBSERVED 1u

static void field_bin(struct writer *w, unsigned key, const void *bytes, size_t n, size_t max)
{
	if (!n || n > max)
		w->bad = true;
	pack_uint(w, key);
	pack_bin(w, bytes, n);
}

static uint32_t read_u32(struct document *d, unsigned key)
{
	return (uint32_t)read_uint(d, key, UINT32_MAX);
}

static uint16_t read_u16(struct document *d, unsigned key)
{
	return (uint16_t)read_uint(d, key, UINT16_MAX);
}

static uint64_t read_nwid(struct document *d, unsigned key)
{
	return document_nwid(d, document_field(d, key));
}

static const uint8_t *read_bin(struct document *d, unsigned key, size_t max, size_t *ret_len)
{
	return document_bin(d, document_field(d, key), max, ret_len);
}

/* Of a TLS stream nothing is said: its far end is no place of its owner's UDP. */
static unsigned said(const struct endpoint *e)
{
	return e->family && !(e->family & ENDPOINT_STREAM);
}

/* "None" is written by leaving it out. */
static void field_observed(struct writer *w, unsigned key, const struct endpoint *e)
{
	if (!said(e))
		return;
	pack_uint(w, key);
	pack_endpoint(w, e);
}

static void read_observed(struct document *d, unsigned key, struct endpoint *ret)
{
	const struct value *v = document_field(d, key);
	if (v)
		document_endpoint(d, v, ret);
}

static void field_identity(struct writer *w, unsigned key, const struct identity *id)
{
	pack_uint(w, key);
	pack_identity(w, id);
}

static void read_identity(struct document *d, unsigned key, struct identity *ret)
{
	document_identity(d, document_field(d, key), ret);
}

size_t body_net_open_encode(const struct body_net_open *b, uint8_t *out, size_t room)
{
	struct writer w = body_writer(out, room);
	pack_map(&w, b->head ? 4 : 3);
	field_nwid(&w, 0, b->nwid);
	field_bin(&w, 1, b->cred, b->cred_len, CRED_ENVELOPE_MAX);
	if (b->head)
		field_bin(&w, 2, b->head, b->head_len, HEAD_ENVELOPE_MAX);
	field_uint(&w, 3, b->chan);
	return pack_end(&w);
}

bool body_net_open_parse(const uint8_t *bytes, size_t len, struct body_net_open *ret)
{
	struct document d;
	struct body_net_open b = {0};
	if (!body_open(&d, bytes, len))
		return false;
	b.nwid = read_nwid(&d, 0);
	b.cred = read_bin(&d, 1, CRED_ENVELOPE_MAX, &b.cred_len);
	if (document_field(&d, 2))
		b.head = read_bin(&d, 2, HEAD_ENVELOPE_MAX, &b.head_len);
	b.chan = read_u16(&d, 3);
	return body_close(&d, ret, &b, sizeof b);
}

size_t body_net_close_encode(const struct body_net_close *b, uint8_t *out, size_t room)
{
	struct writer w = body_writer(out, room);
	pack_map(&w, 2);
	field_nwid(&w, 0, b->nwid);
	field_uint(&w, 1, b->chan);
	return pack_end(&w);
}

bool body_net_close_parse(const uint8_t *bytes, size_t len, struct body_net_close *ret)
{
	struct document d;
	struct body_net_close b = {0};
	if (!body_open(&d, bytes, len))
		return false;
	b.nwid = read_nwid(&d, 0);
	b.chan = read_u16(&d, 1);
	return body_close(&d, ret, &b, sizeof b);
}

size_t body_head_encode(const struct body_head *b, uint8_t *out, size_t room)
{
	struct writer w = body_writer(out, room);
	pack_map(&w, 2);
	field_nwid(&w, 0, b->nwid);
	field_bin(&w, 1, b->head, b->head_len, HEAD_ENVELOPE_MAX);
	return pack_end(&w);
}

bool body_head_parse(const uint8_t *bytes, size_t len, struct body_head *ret)
{
	struct document d;
	struct body_head b = {0};
	if (!body_open(&d, bytes, len))
		return false;
	b.nwid = read_nwid(&d, 0);
	b.head = read_bin(&d, 1, HEAD_ENVELOPE_MAX, &b.head_len);
	return body_close(&d, ret, &b, sizeof b);
}

size_t body_get_blob_encode(const struct body_get_blob *b, uint8_t *out, size_t room)
{
	struct writer w = body_writer(out, room);
	pack_map(&w, 3);
	field_nwid(&w, 0, b->nwid);
	field_bin(&w, 1, b->hash, sizeof b->hash, sizeof b->hash);
	field_uint(&w, 2, b->off);
	return pack_end(&w);
}

bool body_get_blob_parse(const uint8_t *bytes, size_t len, struct body_get_blob *ret)
{
	struct document d;
	struct body_get_blob b = {0};
	if (!body_open(&d, bytes, len))
		return false;
	b.nwid = read_nwid(&d, 0);
	document_copy(&d, document_field(&d, 1), b.hash, sizeof b.hash);
	b.off = read_u32(&d, 2);
	return body_close(&d, ret, &b, sizeof b);
}

/* The piece lies within the blob, and no blob is larger than a section: receivers size their buffer
 * by total. */
static bool blob_fits(const struct body_blob *b)
{
	return b->total <= SECTION_MAX && b->off < b->total && b->piece_len <= b->total - b->off;
}

size_t body_blob_encode(const struct body_blob *b, uint8_t *out, size_t room)
{
	struct writer w = body_writer(out, room);
	if (!blob_fits(b))
		return 0;
	pack_map(&w, 4);
	field_bin(&w, 0, b->hash, sizeof b->hash, sizeof b->hash);
	field_uint(&w, 1, b->off);
	field_uint(&w, 2, b->total);
	field_bin(&w, 3, b->piece, b->piece_len, BLOB_PIECE_MAX);
	return pack_end(&w);
}

bool body_blob_parse(const uint8_t *bytes, size_t len, struct body_blob *ret)
{
	struct document d;
	struct body_blob b = {0};
	if (!body_open(&d, bytes, len))
		return false;
	document_copy(&d, document_field(&d, 0), b.hash, sizeof b.hash);
	b.off = read_u32(&d, 1);
	b.total = read_u32(&d, 2);
	b.piece = read_bin(&d, 3, BLOB_PIECE_MAX, &b.piece_len);
	if (!blob_fits(&b))
		d.bad = true;
	return body_close(&d, ret, &b, sizeof b);
}

size_t body_cred_encode(const struct body_cred *b, uint8_t *out, size_t room)
{
	struct writer w = body_writer(out, room);
	pack_map(&w, 2);
	field_nwid(&w, 0, b->nwid);
	field_bin(&w, 1, b->cred, b->cred_len, CRED_ENVELOPE_MAX);
	return pack_end(&w);
}

bool body_cred_parse(const uint8_t *bytes, size_t len, struct body_cred *ret)
{
	struct document d;
	struct body_cred b = {0};
	if (!body_open(&d, bytes, len))
		return false;
	b.nwid = read_nwid(&d, 0);
	b.cred = read_bin(&d, 1, CRED_ENVELOPE_MAX, &b.cred_len);
	return body_close(&d, ret, &b, sizeof b);
}

size_t body_whois_encode(const struct body_whois *b, uint8_t *out, size_t room)
{
	struct writer w = body_writer(out, room);
	pack_map(&w, 1);
	pack_uint(&w, 0);
	pack_address(&w, b->address);
	return pack_end(&w);
}

bool body_whois_parse(const uint8_t *bytes, size_t len, struct body_whois *ret)
{
	struct document d;
	struct body_whois b = {0};
	if (!body_open(&d, bytes, len))
		return false;
	b.address = document_address(&d, document_field(&d, 0));
	return body_close(&d, ret, &b, sizeof b);
}

size_t body_identity_encode(const struct body_identity *b, uint8_t *out, size_t room)
{
	struct writer w = body_writer(out, room);
	pack_map(&w, 1);
	field_identity(&w, 0, &b->identity);
	return pack_end(&w);
}

bool body_identity_parse(const uint8_t *bytes, size_t len, struct body_identity *ret)
{
	struct document d;
	struct body_identity b = {0};
	if (!body_open(&d, bytes, len))
		return false;
	read_identity(&d, 0, &b.identity);
	return body_close(&d, ret, &b, sizeof b);
}

size_t body_connect_encode(const struct body_connect *b, uint8_t *out, size_t room)
{
	struct writer w = body_writer(out, room);
	pack_map(&w, b->key_hash_set ? 5 : 4);
	pack_uint(&w, 0);
	pack_address(&w, b->address);
	if (b->key_hash_set)
		field_bin(&w, 1, b->key_hash, KEY_HASH_BYTES, KEY_HASH_BYTES);
	field_uint(&w, 2, b->rx_idx);
	field_bin(&w, 3, b->first, b->first_len, INIT_SEND_MAX);
	field_uint(&w, 4, b->share_observed ? CONNECT_SHARE_OBSERVED : 0);
	return pack_end(&w);
}

bool body_connect_parse(const uint8_t *bytes, size_t len, struct body_connect *ret)
{
	struct document d;
	struct body_connect b = {0};
	if (!body_open(&d, bytes, len))
		return false;
	b.address = document_address(&d, document_field(&d, 0));
	b.key_hash_set = document_field(&d, 1) != NULL;
	if (b.key_hash_set)
		document_copy(&d, document_field(&d, 1), b.key_hash, KEY_HASH_BYTES);
	b.rx_idx = read_u32(&d, 2);
	b.first = read_bin(&d, 3, INIT_SEND_MAX, &b.first_len);
	b.share_observed = read_u32(&d, 4) & CONNECT_SHARE_OBSERVED;
	return body_close(&d, ret, &b, sizeof b);
}

size_t body_idx_encode(const struct body_idx *b, uint8_t *out, size_t room)
{
	struct writer w = body_writer(out, room);
	pack_map(&w, 1);
	field_uint(&w, 0, b->idx);
	return pack_end(&w);
}

bool body_idx_parse(const uint8_t *bytes, size_t len, struct body_idx *ret)
{
	struct document d;
	struct body_idx b = {0};
	if (!body_open(&d, bytes, len))
		return false;
	b.idx = read_u32(&d, 0);
	return body_close(&d, ret, &b, sizeof b);
}

size_t body_incoming_encode(const struct body_incoming *b, uint8_t *out, size_t room)
{
	struct writer w = body_writer(out, room);
	pack_map(&w, 3 + said(&b->observed));
	field_identity(&w, 0, &b->source);
	field_uint(&w, 1, b->idx);
	field_observed(&w, 2, &b->observed);
	field_bin(&w, 3, b->first, b->first_len, INIT_SEND_MAX);
	return pack_end(&w);
}

bool body_incoming_parse(const uint8_t *bytes, size_t len, struct body_incoming *ret)
{
	struct document d;
	struct body_incoming b = {0};
	if (!body_open(&d, bytes, len))
		return false;
	read_identity(&d, 0, &b.source);
	b.idx = read_u32(&d, 1);
	read_observed(&d, 2, &b.observed);
	b.first = read_bin(&d, 3, INIT_SEND_MAX, &b.first_len);
	return body_close(&d, ret, &b, sizeof b);
}

size_t body_accept_encode(const struct body_accept *b, uint8_t *out, size_t room)
{
	struct writer w = body_writer(out, room);
	pack_map(&w, 3);
	field_uint(&w, 0, b->idx);
	field_uint(&w, 1, b->rx_idx);
	field_bin(&w, 2, b->first, b->first_len, INIT_SEND_MAX);
	return pack_end(&w);
}

bool body_accept_parse(const uint8_t *bytes, size_t len, struct body_accept *ret)
{
	struct document d;
	struct body_accept b = {0};
	if (!body_open(&d, bytes, len))
		return false;
	b.idx = read_u32(&d, 0);
	b.rx_idx = read_u32(&d, 1);
	b.first = read_bin(&d, 2, INIT_SEND_MAX, &b.first_len);
	return body_close(&d, ret, &b, sizeof b);
}

size_t body_unreach_encode(const struct body_unreach *b, uint8_t *out, size_t room)
{
	struct writer w = body_writer(out, room);
	pack_map(&w, b->relay_idx ? 2 : 1);
	field_uint(&w, 0, b->idx);
	if (b->relay_idx)
		field_uint(&w, 1, b->relay_idx);
	return pack_end(&w);
}

bool body_unreach_parse(const uint8_t *bytes, size_t len, struct body_unreach *ret)
{
	struct document d;
	struct body_unreach b = {0};
	if (!body_open(&d, bytes, len))
		return false;
	b.idx = read_u32(&d, 0);
	if (document_field(&d, 1))
		b.relay_idx = read_u32(&d, 1);
	return body_close(&d, ret, &b, sizeof b);
}

size_t body_register_encode(const struct body_register *b, uint8_t *out, size_t room)
{
	struct writer w = body_writer(out, room);
	pack_map(&w, 2u + (b->instance ? 1u : 0u) + (b->contact ? 1u : 0u));
	field_uint(&w, 0, b->epoch);
	field_uint(&w, 1, b->flags);
	if (b->instance)
		field_uint(&w, 2, b->instance);
	if (b->contact)
		field_bin(&w, 3, b->contact, b->contact_len, CONTACT_ENVELOPE_MAX);
	return pack_end(&w);
}

bool body_register_parse(const uint8_t *bytes, size_t len, struct body_register *ret)
{
	struct document d;
	struct body_register b = {0};
	if (!body_open(&d, bytes, len))
		return false;
	b.epoch = read_u32(&d, 0);
	b.flags = read_u16(&d, 1);
	if (document_field(&d, 2))
		b.instance = read_uint(&d, 2, UINT64_MAX);
	if (document_field(&d, 3))
		b.contact = read_bin(&d, 3, CONTACT_ENVELOPE_MAX, &b.contact_len);
	return body_close(&d, ret, &b, sizeof b);
}

size_t body_observed_encode(const struct body_observed *b, uint8_t *out, size_t room)
{
	struct writer w = body_writer(out, room);
	pack_map(&w, said(&b->observed) + said(&b->clone) + (b->alt_port ? 1u : 0u));
	field_observed(&w, 0, &b->observed);
	field_observed(&w, 1, &b->clone);
	if (b->alt_port)
		field_uint(&w, 2, b->alt_port);
	return pack_end(&w);
}

bool body_observed_parse(const uint8_t *bytes, size_t len, struct body_observed *ret)
{
	struct document d;
	struct body_observed b = {0};
	if (!body_open(&d, bytes, len))
		return false;
	read_observed(&d, 0, &b.observed);
	read_observed(&d, 1, &b.clone);
	if (document_field(&d, 2))
		b.alt_port = read_u16(&d, 2);
	return body_close(&d, ret, &b, sizeof b);
}

size_t body_peer_restart_encode(const struct body_peer_restart *b, uint8_t *out, size_t room)
{
	struct writer w = body_writer(out, room);
	pack_map(&w, 1);
	field_bin(&w, 0, b->key_hash, KEY_HASH_BYTES, KEY_HASH_BYTES);
	return pack_end(&w);
}

bool body_peer_restart_parse(const uint8_t *bytes, size_t len, struct body_peer_restart *ret)
{
	struct document d;
	struct body_peer_restart b = {0};
	if (!body_open(&d, bytes, len))
		return false;
	document_copy(&d, document_field(&d, 0), b.key_hash, KEY_HASH_BYTES);
	return body_close(&d, ret, &b, sizeof b);
}
