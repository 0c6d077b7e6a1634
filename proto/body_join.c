/* body_join.c: bodies of what passes between a member and its controller: asking, the answer, what is held, leaving.
 *
 * Fields that came later are left out where they say nothing, so that controllers and members of older versions, which look
 * at what they know, read the same bytes as before.
 */
#include "proto/body_parts.h"

static void field_text(struct writer *w, unsigned key, const char *text)
{
	pack_uint(w, key);
	pack_text(w, text);
}

#define INVITE_FIELD (8 + sizeof((struct body_join_req *)0)->proof)

static void field_invite(struct writer *w, const struct body_join_req *b)
{
	uint8_t both[INVITE_FIELD];
	struct writer field = writer_over(both, sizeof both);
	put_be(&field, b->invite, 8);
	put_bytes(&field, b->proof, sizeof b->proof);
	pack_uint(w, 7);
	pack_bin(w, both, sizeof both);
}

static void read_invite(struct document *d, struct body_join_req *b)
{
	uint8_t both[INVITE_FIELD] = {0};
	const struct value *field = document_field(d, 7);
	if (!field)
		return;
	document_copy(d, field, both, sizeof both);
	struct reader r = reader_over(both, sizeof both);
	b->invite = get_be(&r, 8);
	get_copy(&r, b->proof, sizeof b->proof);
}

size_t body_join_req_encode(const struct body_join_req *b, uint8_t *out, size_t room)
{
	struct writer w = body_writer(out, room);
	pack_map(&w, 6u + !!b->asked + !!b->invite);
	field_nwid(&w, 0, b->nwid);
	pack_uint(&w, 1);
	pack_identity(&w, &b->identity);
	field_text(&w, 2, b->hostname);
	field_text(&w, 3, b->os);
	field_text(&w, 4, b->version);
	field_uint(&w, 5, b->have_version);
	if (b->asked)
		field_uint(&w, 6, b->asked);
	if (b->invite)
		field_invite(&w, b);
	return pack_end(&w);
}

bool body_join_req_parse(const uint8_t *bytes, size_t len, struct body_join_req *ret)
{
	struct document d;
	struct body_join_req b = {0};
	if (!body_open(&d, bytes, len))
		return false;
	b.nwid = document_nwid(&d, document_field(&d, 0));
	document_identity(&d, document_field(&d, 1), &b.identity);
	document_text(&d, document_field(&d, 2), b.hostname, sizeof b.hostname);
	document_text(&d, document_field(&d, 3), b.os, sizeof b.os);
	document_text(&d, document_field(&d, 4), b.version, sizeof b.version);
	b.have_version = read_uint(&d, 5, UINT64_MAX);
	if (document_field(&d, 6))
		b.asked = read_uint(&d, 6, UINT64_MAX);
	read_invite(&d, &b);
	return body_close(&d, ret, &b, sizeof b);
}

static void field_conf(struct writer *w, const struct body_join_res *b)
{
	if (!b->memberconf_len || b->memberconf_len > BODY_MAX)
		w->bad = true;
	pack_uint(w, 2);
	pack_bin(w, b->memberconf, b->memberconf_len);
}

size_t body_join_res_encode(const struct body_join_res *b, uint8_t *out, size_t room)
{
	struct writer w = body_writer(out, room);
	pack_map(&w, 2u + !!b->memberconf + !!b->reason[0]);
	field_nwid(&w, 0, b->nwid);
	field_uint(&w, 1, b->status);
	if (b->memberconf)
		field_conf(&w, b);
	if (b->reason[0])
		field_text(&w, 3, b->reason);
	return pack_end(&w);
}

bool body_join_res_parse(const uint8_t *bytes, size_t len, struct body_join_res *ret)
{
	struct document d;
	struct body_join_res b = {0};
	if (!body_open(&d, bytes, len))
		return false;
	b.nwid = document_nwid(&d, document_field(&d, 0));
	b.status = (uint8_t)read_uint(&d, 1, UINT8_MAX);
	if (document_field(&d, 2))
		b.memberconf = document_bin(&d, document_field(&d, 2), BODY_MAX, &b.memberconf_len);
	if (document_field(&d, 3))
		document_text(&d, document_field(&d, 3), b.reason, sizeof b.reason);
	return body_close(&d, ret, &b, sizeof b);
}

size_t body_ack_encode(const struct body_ack *b, uint8_t *out, size_t room)
{
	struct writer w = body_writer(out, room);
	pack_map(&w, b->serial ? 3 : 2);
	field_nwid(&w, 0, b->nwid);
	field_uint(&w, 1, b->version);
	if (b->serial)
		field_uint(&w, 2, b->serial);
	return pack_end(&w);
}

bool body_ack_parse(const uint8_t *bytes, size_t len, struct body_ack *ret)
{
	struct document d;
	struct body_ack b = {0};
	if (!body_open(&d, bytes, len))
		return false;
	b.nwid = document_nwid(&d, document_field(&d, 0));
	b.version = read_uint(&d, 1, UINT64_MAX);
	if (document_field(&d, 2))
		b.serial = read_uint(&d, 2, UINT64_MAX);
	return body_close(&d, ret, &b, sizeof b);
}

size_t body_leave_encode(const struct body_leave *b, uint8_t *out, size_t room)
{
	struct writer w = body_writer(out, room);
	pack_map(&w, 1);
	field_nwid(&w, 0, b->nwid);
	return pack_end(&w);
}

bool body_leave_parse(const uint8_t *bytes, size_t len, struct body_leave *ret)
{
	struct document d;
	struct body_leave b = {0};
	if (!body_open(&d, bytes, len))
		return false;
	b.nwid = document_nwid(&d, document_field(&d, 0));
	return body_close(&d, ret, &b, sizeof b);
}
