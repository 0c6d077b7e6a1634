/* body_paths.c: bodies of the messages by which two members find a straight way between them: CANDS, SPRAY.
 *
 * What they name are places where somebody says he is. Whether anything may be sent there is judged by node/candidate.c and
 * node/spray.c; this file only bounds how many there are.
 */
#include "proto/body_parts.h"

size_t body_cands_encode(const struct body_cands *b, uint8_t *out, size_t room)
{
	struct writer w = body_writer(out, room);
	if (b->n > CANDIDATES_MAX)
		return 0;
	pack_map(&w, b->nat ? 3 : 2);
	field_uint(&w, 0, b->gen);
	pack_uint(&w, 1);
	pack_array(&w, b->n);
	for (unsigned i = 0; i < b->n; i++)
		pack_endpoint(&w, &b->endpoints[i]);
	if (b->nat)
		field_uint(&w, 2, b->nat);
	return pack_end(&w);
}

bool body_cands_parse(const uint8_t *bytes, size_t len, struct body_cands *ret)
{
	struct document d;
	struct body_cands b = {0};
	if (!body_open(&d, bytes, len))
		return false;
	b.gen = (uint32_t)read_uint(&d, 0, UINT32_MAX);
	const struct value *list = document_field(&d, 1);
	b.n = document_count(&d, list, CANDIDATES_MAX);
	for (unsigned i = 0; i < b.n; i++)
		document_endpoint(&d, document_at(&d, list, i), &b.endpoints[i]);
	if (document_field(&d, 2))
		b.nat = (uint8_t)read_uint(&d, 2, UINT8_MAX);
	if (!document_close(&d))
		return false;
	*ret = b;
	return true;
}

size_t body_spray_encode(const struct body_spray *b, uint8_t *out, size_t room)
{
	struct writer w = body_writer(out, room);
	if (b->side > SPRAY_EASY)
		return 0;
	pack_map(&w, b->step ? 6 : 5);
	field_uint(&w, 0, b->side);
	field_uint(&w, 1, b->start);
	field_uint(&w, 2, b->count);
	field_uint(&w, 3, b->rate);
	pack_uint(&w, 4);
	pack_endpoint(&w, &b->endpoint);
	if (b->step)
		field_uint(&w, 5, b->step);
	return pack_end(&w);
}

bool body_spray_parse(const uint8_t *bytes, size_t len, struct body_spray *ret)
{
	struct document d;
	struct body_spray b = {0};
	if (!body_open(&d, bytes, len))
		return false;
	b.side = (uint8_t)read_uint(&d, 0, SPRAY_EASY);
	b.start = (uint32_t)read_uint(&d, 1, UINT32_MAX);
	b.count = (uint16_t)read_uint(&d, 2, UINT16_MAX);
	b.rate = (uint16_t)read_uint(&d, 3, UINT16_MAX);
	document_endpoint(&d, document_field(&d, 4), &b.endpoint);
	if (document_field(&d, 5))
		b.step = (uint16_t)read_uint(&d, 5, UINT16_MAX);
	if (!document_close(&d))
		return false;
	*ret = b;
	return true;
}
