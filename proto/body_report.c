/* body_report.c: body of the message by which a member tells its controller how it reaches the others, and what its port carried: REPORT.
 *
 * The links travel as one bin of 12 bytes each, ascending by address and each once. The counters are behind them, and the links make room: which
 * member is heard matters less than a minute's traffic. What does not fit its field is told as the largest number that does. Which links somebody may
 * speak of is judged by controller/report.c; kinds of links that this file does not know are left to it too, as are drops for reasons
 * that only a newer member knows. Those go into tables and onto pages, so their names are held to the letters that ours use.
 */
#include <string.h>

#include "proto/body.h"
#include "proto/body_parts.h"

#define LINK_BYTES    12 /* address be40, kind u8, round trip be32, age be16 */
#define FRAME_BYTES   8  /* at most, of the message around this body */
#define COUNTERS_ROOM (40 + 4 + REPORT_DROPS_MAX * (REPORT_DROP_NAME + 9))

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

static bool name_good(const char *name)
{
	size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-");
	return n && n < REPORT_DROP_NAME && !name[n];
}

static bool drops_good(const struct body_report *b)
{
	if (b->n_drops > REPORT_DROPS_MAX || (b->n_drops && !b->counted))
		return false;
	for (unsigned i = 0; i < b->n_drops; i++) {
		if (!name_good(b->drop[i].name) || !b->drop[i].count)
			return false;
		for (unsigned k = 0; k < i; k++)
			if (!strcmp(b->drop[k].name, b->drop[i].name))
				return false;
	}
	return true;
}

static void counters_put(struct writer *w, const struct body_report *b)
{
	if (!b->counted)
		return;
	pack_uint(w, 3);
	pack_array(w, 4);
	pack_uint(w, b->count.rx_bytes);
	pack_uint(w, b->count.rx_frames);
	pack_uint(w, b->count.tx_bytes);
	pack_uint(w, b->count.tx_frames);
	if (!b->n_drops)
		return;
	pack_uint(w, 4);
	pack_array(w, (size_t)b->n_drops * 2);
	for (unsigned i = 0; i < b->n_drops; i++) {
		pack_text(w, b->drop[i].name);
		pack_uint(w, b->drop[i].count);
	}
}

/* Of the links as many as there is room for, those heard last; their order stays. */
static unsigned links_choose(const struct body_report *b, size_t room, struct report_link *to)
{
	unsigned n = b->n;
	memcpy(to, b->link, n * sizeof(*to));
	for (; n * LINK_BYTES > room; n--) {
		unsigned oldest = 0;
		for (unsigned i = 1; i < n; i++)
			if (to[i].age_s > to[oldest].age_s)
				oldest = i;
		memmove(&to[oldest], &to[oldest + 1], (n - 1 - oldest) * sizeof(*to));
	}
	return n;
}

size_t body_report_encode(const struct body_report *b, uint8_t *out, size_t room)
{
	struct writer w = body_writer(out, room);
	uint8_t counters[COUNTERS_ROOM], bytes[REPORT_LINKS_MAX * LINK_BYTES];
	struct writer behind = writer_over(counters, sizeof(counters)), links = writer_over(bytes, sizeof(bytes));
	struct report_link link[REPORT_LINKS_MAX];
	if (b->n > REPORT_LINKS_MAX || !ascending(b) || !drops_good(b))
		return 0;
	counters_put(&behind, b);
	size_t taken = FRAME_BYTES + 1 + 10 + 10 + 4 + writer_len(&behind);
	unsigned n = links_choose(b, taken < BODY_MAX ? BODY_MAX - taken : 0, link);
	pack_map(&w, 2u + (n > 0) + b->counted + (b->n_drops > 0));
	field_nwid(&w, 0, b->nwid);
	field_uint(&w, 1, b->seq);
	for (unsigned i = 0; i < n; i++)
		link_put(&links, &link[i]);
	if (n) {
		pack_uint(&w, 2);
		pack_bin(&w, bytes, n * LINK_BYTES);
	}
	put_bytes(&w, counters, writer_len(&behind));
	w.bad = w.bad || behind.bad;
	return pack_end(&w);
}

static void links_read(struct document *d, struct body_report *b)
{
	size_t n = 0;
	const struct value *list = document_field(d, 2);
	const uint8_t *links = list ? document_bin(d, list, REPORT_LINKS_MAX * LINK_BYTES, &n) : NULL;
	struct reader r = reader_over(links, links ? n : 0);
	for (; reader_left(&r) >= LINK_BYTES; b->n++)
		b->link[b->n] = link_get(&r);
	d->bad = d->bad || reader_left(&r);
}

static void counters_read(struct document *d, struct body_report *b)
{
	const struct value *count = document_field(d, 3), *drops = document_field(d, 4);
	uint64_t *const to[4] = {&b->count.rx_bytes, &b->count.rx_frames, &b->count.tx_bytes, &b->count.tx_frames};
	b->counted = count != NULL;
	for (unsigned i = 0; count && i < 4; i++)
		*to[i] = document_uint(d, document_at(d, count, i), UINT64_MAX);
	unsigned n = drops ? document_count(d, drops, (size_t)REPORT_DROPS_MAX * 2) : 0;
	b->n_drops = n / 2;
	for (unsigned i = 0; i < b->n_drops; i++) {
		document_text(d, document_at(d, drops, 2 * i), b->drop[i].name, sizeof(b->drop[i].name));
		b->drop[i].count = document_uint(d, document_at(d, drops, 2 * i + 1), UINT64_MAX);
	}
	d->bad = d->bad || n % 2 || (drops && !n) || (count && document_count(d, count, 4) != 4);
}

bool body_report_parse(const uint8_t *bytes, size_t len, struct body_report *ret)
{
	struct document d;
	struct body_report b = {0};
	if (!body_open(&d, bytes, len))
		return false;
	b.nwid = document_nwid(&d, document_field(&d, 0));
	b.seq = read_uint(&d, 1, UINT64_MAX);
	links_read(&d, &b);
	counters_read(&d, &b);
	d.bad = d.bad || !ascending(&b) || !drops_good(&b);
	return body_close(&d, ret, &b, sizeof(b));
}
