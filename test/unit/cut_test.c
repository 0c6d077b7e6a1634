/* cut_test.c: every segment of every kind of superframe is byte for byte the frame that its recipe gives from scratch. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "node/cut.h"
#include "superframe.h"

static uint8_t payload[65536];
static uint8_t whole[SUPERFRAME_MAX];

static int fill(void **state)
{
	(void)state;
	uint64_t seed = 7;
	for (size_t i = 0; i < sizeof(payload); i++)
		payload[i] = (uint8_t)dice(&seed);
	return 0;
}

static struct recipe plain(bool v6, bool udp)
{
	return (struct recipe){
	    .v6 = v6, .udp = udp, .ttl = 64, .flags = 0x10, .id = 0xfffe, .seq = 0xffffff00, .ack = 77, .payload = payload};
}

/* Segment i out of another one of the midst, which holds its headers: as the recipe has it. */
static void compare_again(const struct recipe *r, const struct cut *c, uint32_t size, uint32_t i, const uint8_t *expected)
{
	static uint8_t model[SUPERFRAME_MAX];
	assert_int_equal(cut_alike(c), !(r->flags & TCP_URG) || r->udp);
	if (!cut_alike(c) || i == 0 || i + 1 >= c->n)
		return;
	size_t len = cut_length(c, i), headers = recipe_headers(r);
	uint32_t others[] = {1, c->n - 2, i == 1 ? 1 : i - 1};
	for (unsigned k = 0; k < 3; k++) {
		struct recipe s = recipe_segment(r, size, others[k]);
		uint8_t *out = malloc(len);
		assert_non_null(out);
		assert_int_equal(recipe_frame(&s, true, model), len);
		memset(model + headers, 0x55, len - headers);
		memcpy(out, model, len);
		cut_again(c, i, out);
		assert_memory_equal(out, expected, len);
		free(out);
	}
}

/* Segment i against its recipe, in a room of exactly its length. */
static void compare(const struct recipe *r, const struct cut *c, uint32_t size, uint32_t i, bool partial)
{
	static uint8_t expected[SUPERFRAME_MAX];
	struct recipe s = recipe_segment(r, size, i);
	size_t len = recipe_frame(&s, partial, expected);
	assert_int_equal(cut_length(c, i), len);
	uint8_t *out = malloc(len);
	assert_non_null(out);
	struct offload lacks, told = {0};
	memset(&lacks, 0x55, sizeof(lacks));
	cut_segment(c, i, out, &lacks);
	assert_memory_equal(out, expected, len);
	if (partial)
		told = recipe_offload(r, 0);
	assert_int_equal(lacks.gso, GSO_NONE);
	assert_int_equal(lacks.csum, told.csum);
	assert_int_equal(lacks.ecn, false);
	assert_int_equal(lacks.size, 0);
	assert_int_equal(lacks.csum_start, told.csum_start);
	assert_int_equal(lacks.csum_offset, told.csum_offset);
	if (partial)
		assert_true(layout_offload_true(out, len, &lacks));
	free(out);
	if (partial)
		compare_again(r, c, size, i, expected);
	else
		assert_false(cut_alike(c));
}

/* gso: size of the superframe's segments, 0 for a single frame whose checksum is partial or complete. */
static void cuts_to(const struct recipe *r, uint32_t gso, bool given_partial, size_t most, bool partial)
{
	size_t len = recipe_frame(r, given_partial, whole), headers = recipe_headers(r);
	struct offload o = given_partial ? recipe_offload(r, gso) : (struct offload){0};
	uint32_t size = gso ? gso : r->bytes;
	if (!r->udp && headers + size > most)
		size = (uint32_t)(most - headers);
	uint32_t n = (r->bytes + size - 1) / size;
	struct cut c;
	assert_true(cut_begin(&c, whole, len, &o, most, partial));
	assert_int_equal(c.n, n);
	/* All of few; of many the ends and some between. */
	for (uint32_t i = 0; i < n; i += i < 3 || i + 4 > n || n < 80 ? 1 : 1 + (n - i - 3) / 7)
		compare(r, &c, size, i, partial);
}

static void kinds(void **state)
{
	(void)state;
	static const uint16_t mosts[] = {1232, 1400, 1514, 9014};
	static const uint16_t sizes[] = {536, 1208, 1460, 8960};
	static const uint32_t lengths[] = {1, 1300, 2920, 10001, 64000};
	for (unsigned kind = 0; kind < 4; kind++) {
		for (unsigned shape = 0; shape < 3 * 3 * 2; shape++) {
			struct recipe r = plain(kind & 1, kind & 2);
			r.vlans = (uint8_t)(shape % 3);
			r.ip_extra = (uint8_t)(shape / 3 % 3 * (r.v6 ? 8 : 20));
			r.tcp_extra = shape / 9 ? 40 : 0;
			r.flags = 0xd9; /* CWR ECE ACK PSH FIN */
			for (unsigned i = 0; i < 4 * 5; i++) {
				r.bytes = lengths[i / 4];
				r.df = i & 1;
				cuts_to(&r, sizes[i % 4], true, mosts[(i + shape) % 4], shape & 1);
				cuts_to(&r, sizes[i % 4], true, mosts[(i + shape + 1) % 4], !(shape & 1));
			}
		}
	}
}

/* Each combination of flags that can stand on several frames, first, middle and last. */
static void flags(void **state)
{
	(void)state;
	for (unsigned f = 0; f < 256; f++) {
		if (f & (TCP_SYN | TCP_RST))
			continue;
		for (unsigned v6 = 0; v6 < 2; v6++) {
			struct recipe r = plain(v6, false);
			r.flags = (uint8_t)f;
			r.urgent = 333;
			for (r.bytes = 100; r.bytes <= 1000; r.bytes += 50)
				cuts_to(&r, 100, true, 1514, r.bytes & 4);
		}
	}
}

static void urgent(void **state)
{
	(void)state;
	static const uint16_t pointers[] = {0, 1, 99, 100, 101, 250, 300, 301, 65535};
	for (unsigned i = 0; i < sizeof(pointers) / sizeof(pointers[0]); i++) {
		struct recipe r = plain(false, false);
		r.flags = 0x30;
		r.urgent = pointers[i];
		r.bytes = 320;
		cuts_to(&r, 100, true, 1514, true);
	}
}

static void all_lengths(void **state)
{
	(void)state;
	for (unsigned kind = 0; kind < 4; kind++) {
		struct recipe r = plain(kind & 1, kind & 2);
		size_t ip = recipe_headers(&r) - 14;
		for (r.bytes = 1; r.bytes < 700; r.bytes++)
			cuts_to(&r, 100, true, 1514, true);
		for (r.bytes = 701; r.bytes + ip <= 65535; r.bytes += 2003)
			cuts_to(&r, 1448, true, 1514, r.bytes & 1);
		r.bytes = (uint32_t)(65535 - ip);
		cuts_to(&r, 1448, true, 1514, false);
		cuts_to(&r, 1, true, 1514, true);
	}
}

/* A TCP frame too long for the way, with either checksum; one that fits comes back as it is. */
static void single(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 8; i++) {
		struct recipe r = plain(i & 1, false);
		bool given_partial = i & 2, partial = i & 4;
		r.flags = 0xf9;
		r.urgent = 2000;
		r.tcp_extra = 12;
		r.bytes = 8900;
		for (size_t most = recipe_headers(&r) + 100; most < 9100; most += 313)
			cuts_to(&r, 0, given_partial, most, partial);
		for (r.bytes = 1; r.bytes < 200; r.bytes += 40)
			cuts_to(&r, 0, given_partial, 1514, partial);
	}
}

static bool begins(const struct recipe *r, const struct offload *o, size_t most)
{
	struct cut c;
	memset(&c, 0x55, sizeof(c));
	const struct cut before = c;
	size_t len = recipe_headers(r) + r->bytes;
	bool ok = cut_begin(&c, whole, len, o, most, true);
	if (!ok)
		assert_memory_equal(&c, &before, sizeof(c));
	return ok;
}

static void refused(void **state)
{
	(void)state;
	const struct offload none = {0};
	struct recipe r = plain(false, false), udp = plain(false, true);
	r.bytes = udp.bytes = 3000;
	struct offload o = recipe_offload(&r, 1000);
	recipe_frame(&r, true, whole);
	assert_true(begins(&r, &o, 1514));
	assert_true(begins(&r, &o, recipe_headers(&r) + 1));
	assert_false(begins(&r, &o, recipe_headers(&r)));
	assert_false(begins(&r, &o, 0));
	/* The kind is another than the frame. */
	for (o.gso = GSO_NONE + 1; o.gso < 9; o.gso++)
		assert_int_equal(begins(&r, &o, 1514), o.gso == GSO_TCP4);
	o = recipe_offload(&r, 1000);
	o.size = 0;
	assert_false(begins(&r, &o, 1514));
	/* The partial checksum is another's. */
	o = recipe_offload(&r, 1000);
	o.csum_start++;
	assert_false(begins(&r, &o, 1514));
	o = recipe_offload(&r, 1000);
	o.csum_offset = 6;
	assert_false(begins(&r, &o, 1514));
	/* A superframe always lacks its sum. */
	o = recipe_offload(&r, 1000);
	o.csum = false;
	recipe_frame(&r, false, whole);
	assert_false(begins(&r, &o, 1514));
	/* A wrong checksum stays one frame's. */
	assert_true(begins(&r, &none, 1514));
	whole[1500] ^= 1;
	assert_false(begins(&r, &none, 1514));
	/* SYN and RST; no payload; no layout. */
	for (unsigned f = 0; f < 256; f++) {
		r.flags = (uint8_t)f;
		recipe_frame(&r, false, whole);
		assert_int_equal(begins(&r, &none, 1514), !(f & (TCP_SYN | TCP_RST)));
	}
	r.flags = 0x10;
	r.bytes = 0;
	recipe_frame(&r, false, whole);
	assert_false(begins(&r, &none, 1514));
	r.bytes = 100;
	recipe_frame(&r, false, whole);
	whole[20] |= 0x20;
	assert_false(begins(&r, &none, 1514));
	/* A single UDP datagram has no size to cut it at; a superframe's does not mind the way. */
	recipe_frame(&udp, false, whole);
	assert_false(begins(&udp, &none, 1514));
	recipe_frame(&udp, true, whole);
	o = recipe_offload(&udp, 0);
	assert_false(begins(&udp, &o, 1514));
	o = recipe_offload(&udp, 1400);
	assert_true(begins(&udp, &o, 100));
	struct cut c;
	assert_true(cut_begin(&c, whole, recipe_headers(&udp) + udp.bytes, &o, 100, true));
	assert_int_equal(c.n, 3);
	assert_int_equal(cut_length(&c, 0), recipe_headers(&udp) + 1400);
	assert_int_equal(cut_length(&c, 2), recipe_headers(&udp) + 200);
}

/* Ethernet padding is no payload. */
static void padding(void **state)
{
	(void)state;
	struct recipe r = plain(false, false);
	const struct offload none = {0};
	r.bytes = 3;
	size_t len = recipe_frame(&r, false, whole);
	memset(whole + len, 0, 60);
	struct cut c;
	assert_true(cut_begin(&c, whole, 60, &none, len - 1, false));
	assert_int_equal(c.n, 2);
	compare(&r, &c, 2, 0, false);
	compare(&r, &c, 2, 1, false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(kinds),  cmocka_unit_test(flags),   cmocka_unit_test(urgent),  cmocka_unit_test(all_lengths),
	    cmocka_unit_test(single), cmocka_unit_test(refused), cmocka_unit_test(padding),
	};
	return cmocka_run_group_tests(tests, fill, NULL);
}
