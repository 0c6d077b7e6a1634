/* body_report.c: body of the message by which a member tells its controller how it reaches the others: REPORT.
 *
 * The links travel as one bin of 12 bytes each, ascending by address and each once: 64 of them fit one message with room for what later
 * keys add. What does not fit its field is told as the largest number that does. Which links somebody may speak of is judged by
 * controller/report.c; kinds of links that this file does not know are left to it too.
 */
#include <string.h>

#include "proto/body.h"
#include "proto/document.h"

#define LINK_BYTES 12 /* address be40, kind u8, round trip be32, age be16 */

static bool ascending(const struct body_report *b)
{
	for (unsigned i = 0; i < b->n; i++)
		if (!b->link[i].address || b->link[i].address > ADDRESS_MAX || (i && b->link[i - 1].address >= b->link[i].address))
			return false;
	return true;
}

static void link_put(struct writer *w, const struct report_link *l)
{
	put_be(w, l->address, 5);
	put_u8(w, l->kind);
	put_be32(w, l->rtt_us);
	put_be16(w, (uint16_t)(l->age_s < UINT16_MAX ? l->age_s : UINT16_MAX));
}

static struct report_link link_get(struct reader *r)
{
	struct report_link l = {.address = get_be(r, 5)};
	l.kind = get_u8(r);
	l.rtt_us = get_be32(r);
	l.age_s = get_be16(r);
	return l;
}

size_t body_report_encode(const struct body_report *b, uint8_t *out, size_t room)
{
	struct writer w = writer_over(out, room < BODY_MAX ? room : BODY_MAX);
	uint8_t bytes[REPORT_LINKS_MAX * LINK_BYTES];
	struct writer links = writer_over(bytes, sizeof(bytes));
	if (b->n > REPORT_LINKS_MAX || !ascending(b))
		return 0;
	pack_map(&w, b->n ? 3 : 2);
	pack_uint(&w, 0);
	pack_nwid(&w, b->nwid);
	pack_uint(&w, 1);
	pack_uint(&w, b->seq);
	for (unsigned i = 0; i < b->n; i++)
		link_put(&links, &b->link[i]);
	if (b->n) {
		pack_uint(&w, 2);
		pack_bin(&w, bytes, b->n * LINK_BYTES);
	}
	return pack_end(&w);
}

bool body_report_parse(const uint8_t *bytes, size_t len, struct body_report *ret)
{
	struct document d;
	struct body_report b = {0};
	size_t n = 0;
	if (len > BODY_MAX || !document_open(&d, bytes, len, BODY_ELEMENTS_MAX))
		return false;
	b.nwid = document_nwid(&d, document_field(&d, 0));
	b.seq = document_uint(&d, document_field(&d, 1), UINT64_MAX);
	const struct value *list = document_field(&d, 2);
	const uint8_t *links = list ? document_bin(&d, list, REPORT_LINKS_MAX * LINK_BYTES, &n) : NULL;
	struct reader r = reader_over(links, links ? n : 0);
	for (; reader_left(&r) >= LINK_BYTES; b.n++)
		b.link[b.n] = link_get(&r);
	bool good = n % LINK_BYTES == 0 && ascending(&b);
	if (!document_close(&d) || !good)
		return false;
	*ret = b;
	return true;
}
