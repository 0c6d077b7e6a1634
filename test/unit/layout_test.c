/* layout_test.c: the parser against frames of known shape, cut off at every length and with every header byte changed; sums and
 * checksums against slow ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "node/layout.h"
#include "superframe.h"

static uint8_t bytes[70000];

static int fill(void **state)
{
	(void)state;
	uint64_t seed = 1;
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)dice(&seed);
	return 0;
}

static unsigned be(uint16_t in_memory)
{
	uint8_t at[2];
	memcpy(at, &in_memory, 2);
	return at[0] * 256u + at[1];
}

static void sums(void **state)
{
	(void)state;
	uint64_t seed = 2;
	for (unsigned len = 0; len < 300; len++)
		for (unsigned at = 0; at < 9; at++)
			assert_int_equal(be(sum16(bytes + at, len, 0)), slow_sum(bytes + at, len, 0));
	for (int i = 0; i < 2000; i++) {
		uint8_t more[2] = {(uint8_t)dice(&seed), (uint8_t)dice(&seed)};
		uint16_t word;
		memcpy(&word, more, 2);
		size_t at = dice(&seed) % 100, len = dice(&seed) % (i % 50 ? 2000 : 65536);
		assert_int_equal(be(sum16(bytes + at, len, word)), slow_sum(bytes + at, len, slow_sum(more, 2, 0)));
	}
	/* Nothing but ones: every addition carries. */
	static uint8_t ones[65536];
	memset(ones, 255, sizeof(ones));
	for (unsigned len = 2; len <= sizeof(ones); len += len < 200 ? 2 : 1226)
		assert_int_equal(sum16(ones, len, 0xffff), 0xffff);
	memset(ones, 0, 200);
	assert_int_equal(sum16(ones, 200, 0), 0);
}

/* All shapes there are, numbered. */
#define SHAPES (2 * 2 * 3 * 3 * 3)
static struct recipe shape(unsigned i)
{
	struct recipe r = {.v6 = i % 2, .udp = i / 2 % 2, .vlans = (uint8_t)(i / 4 % 3), .ttl = 64, .tos = 2, .df = true};
	r.ip_extra = (uint8_t)(i / 12 % 3 * (r.v6 ? 8 : 20));
	r.tcp_extra = (uint8_t)(i / 36 % 3 * 20);
	r.flags = 0x18;
	r.seq = 0xfffffff0;
	r.id = 0xfff0;
	r.payload = bytes;
	r.bytes = 61;
	r.flow = (uint16_t)i;
	return r;
}

static void shapes(void **state)
{
	(void)state;
	static uint8_t room[400];
	for (unsigned i = 0; i < SHAPES; i++) {
		struct recipe r = shape(i);
		size_t len = recipe_frame(&r, false, room);
		struct layout l;
		assert_true(layout_of(room, len, &l));
		assert_int_equal(l.l3, recipe_l3(&r));
		assert_int_equal(l.l4, recipe_l4(&r));
		assert_int_equal(l.payload, recipe_headers(&r));
		assert_int_equal(l.end, len);
		assert_int_equal(l.version, r.v6 ? 6 : 4);
		assert_int_equal(l.protocol, r.udp ? IP_UDP : IP_TCP);
		assert_int_equal(layout_csum_offset(&l), r.udp ? 6 : 16);
		/* Ethernet padding is behind the end; a byte too few is none at all. */
		assert_true(layout_of(room, len + 17, &l));
		assert_int_equal(l.end, len);
		for (size_t less = 0; less < len; less++) {
			uint8_t *exact = malloc(less ? less : 1); /* so that the sanitizer sees a look too far */
			assert_non_null(exact);
			memcpy(exact, room, less);
			assert_false(layout_of(exact, less, &l));
			free(exact);
		}
	}
}

/* Whatever the headers hold: no look outside, and a layout that lies inside. */
static void strange(void **state)
{
	(void)state;
	uint64_t seed = 3;
	unsigned found = 0;
	for (int round = 0; round < 200000; round++) {
		struct recipe r = shape(dice(&seed) % SHAPES);
		uint8_t room[300];
		size_t len = recipe_frame(&r, false, room), headers = recipe_headers(&r);
		for (unsigned k = 1 + dice(&seed) % 3; k; k--)
			room[12 + dice(&seed) % (headers - 12)] = (uint8_t)dice(&seed);
		uint8_t *exact = malloc(len);
		assert_non_null(exact);
		memcpy(exact, room, len);
		struct layout l;
		if (layout_of(exact, len, &l)) {
			found++;
			assert_true(l.l3 >= 14 && l.l3 + 20 <= l.l4 && l.l4 + 8 <= l.payload && l.payload <= l.end && l.end <= len);
			assert_true(l.protocol == IP_TCP ? l.l4 + 20 <= l.payload : l.protocol == IP_UDP);
			(void)layout_csum_good(exact, &l);
			(void)layout_ip_csum_good(exact, &l);
			layout_ip_csum(exact, &l);
			assert_true(layout_ip_csum_good(exact, &l));
		}
		free(exact);
	}
	assert_true(found > 10000);
}

static void refused_change(const struct recipe *r, size_t at, uint8_t with)
{
	uint8_t room[300];
	struct layout l;
	size_t len = recipe_frame(r, false, room);
	assert_true(layout_of(room, len, &l));
	assert_int_not_equal(room[at], with);
	room[at] = with;
	memset(&l, 0x55, sizeof(l));
	struct layout before = l;
	assert_false(layout_of(room, len, &l));
	assert_memory_equal(&l, &before, sizeof(l));
}

static void refused(void **state)
{
	(void)state;
	struct recipe tcp4 = {.ttl = 64, .flags = 0x10, .payload = bytes, .bytes = 100}, udp4 = tcp4, tcp6 = tcp4, ext6;
	udp4.udp = true;
	tcp6.v6 = true;
	ext6 = tcp6;
	ext6.ip_extra = 8;
	refused_change(&tcp4, 13, 0x06);         /* ARP */
	refused_change(&tcp4, 14, 0x65);         /* version */
	refused_change(&tcp4, 14, 0x44);         /* header of 16 bytes */
	refused_change(&tcp4, 17, 141);          /* total length beyond the frame */
	refused_change(&tcp4, 20, 0x20);         /* more fragments */
	refused_change(&tcp4, 20, 0x10);         /* fragment offset */
	refused_change(&tcp4, 21, 1);            /* the same, its last bit */
	refused_change(&tcp4, 23, 1);            /* ICMP */
	refused_change(&tcp4, 14 + 32, 0x40);    /* TCP header of 16 bytes */
	refused_change(&tcp6, 14, 0x45);         /* version */
	refused_change(&tcp6, 19, 121);          /* payload length beyond the frame */
	refused_change(&tcp6, 20, 44);           /* fragment header */
	refused_change(&tcp6, 20, 43);           /* routing header: the pseudo-header has another address */
	refused_change(&ext6, 14 + 40, 43);      /* the same behind another */
	refused_change(&ext6, 14 + 41, 200);     /* options longer than the packet */
	refused_change(&udp4, 14 + 20 + 5, 107); /* UDP length shorter */
	refused_change(&udp4, 14 + 20 + 5, 109); /* and longer than the IP payload */
	/* A third tag. */
	struct recipe tagged = tcp4;
	tagged.vlans = 2;
	uint8_t room[400], more[400];
	struct layout l;
	size_t len = recipe_frame(&tagged, false, room);
	memcpy(more, room, 12);
	memcpy(more + 12, "\x81\0\0\1", 4);
	memcpy(more + 16, room + 12, len - 12);
	assert_false(layout_of(more, len + 4, &l));
	/* Extension headers: eight are walked, nine are not. */
	for (unsigned n = 7; n <= 9; n++) {
		struct recipe many = {.v6 = true, .ttl = 64, .ip_extra = (uint8_t)(8 * n), .payload = bytes, .bytes = 10};
		len = recipe_frame(&many, false, room);
		assert_int_equal(layout_of(room, len, &l), n <= 8);
	}
}

static void checksums(void **state)
{
	(void)state;
	for (unsigned i = 0; i < SHAPES; i++) {
		struct recipe r = shape(i);
		uint8_t whole[400], partial[400];
		r.bytes -= i % 2; /* odd and even */
		size_t len = recipe_frame(&r, false, whole);
		recipe_frame(&r, true, partial);
		struct layout l;
		assert_true(layout_of(whole, len, &l));
		uint16_t pseudo = layout_pseudo(whole, &l, (uint32_t)(len - l.l4));
		assert_memory_equal(&pseudo, partial + l.l4 + layout_csum_offset(&l), 2);
		assert_true(layout_csum_good(whole, &l) && layout_ip_csum_good(whole, &l));
		assert_false(layout_csum_good(partial, &l));
		layout_complete(partial, &l);
		assert_memory_equal(partial, whole, len);
		for (size_t at = l.l4; at < len; at++) {
			whole[at] ^= 0x20;
			assert_false(layout_csum_good(whole, &l));
			whole[at] ^= 0x20;
		}
		whole[l.l3 + 8] ^= 1; /* TTL; the IPv6 source */
		assert_int_equal(layout_ip_csum_good(whole, &l), r.v6);
		layout_ip_csum(whole, &l);
		assert_true(layout_ip_csum_good(whole, &l));
		whole[l.l3 + 8] ^= 1;
		layout_ip_csum(whole, &l);
		assert_memory_equal(whole, partial, len);
	}
}

/* A UDP sum that comes out as 0 is written 0xffff; 0 says there is none, and that is not good. */
static void udp_zero(void **state)
{
	(void)state;
	struct recipe r = {.udp = true, .ttl = 64, .bytes = 2};
	uint8_t room[100], pad[2] = {0};
	struct layout l;
	r.payload = pad;
	size_t len = recipe_frame(&r, false, room);
	memcpy(pad, room + 14 + 20 + 6, 2); /* the sum of the rest becomes all ones */
	recipe_frame(&r, true, room);
	assert_true(layout_of(room, len, &l));
	layout_complete(room, &l);
	assert_memory_equal(room + l.l4 + 6, "\xff\xff", 2);
	assert_true(layout_csum_good(room, &l));
	memset(room + l.l4 + 6, 0, 2);
	assert_false(layout_csum_good(room, &l));
}

static void door(void **state)
{
	(void)state;
	for (unsigned i = 0; i < SHAPES; i++) {
		struct recipe r = shape(i);
		uint8_t room[400];
		size_t len = recipe_frame(&r, true, room);
		const struct offload right = recipe_offload(&r, 0);
		assert_true(layout_offload_true(room, len, &right));
		struct offload o = right;
		for (unsigned start = 0; start < 65536; start += start < 300 ? 1 : 4999) {
			o.csum_start = (uint16_t)start;
			assert_int_equal(layout_offload_true(room, len, &o), start == right.csum_start);
		}
		o = right;
		for (unsigned offset = 0; offset < 65536; offset += offset < 300 ? 1 : 4999) {
			o.csum_offset = (uint16_t)offset;
			assert_int_equal(layout_offload_true(room, len, &o), offset == right.csum_offset);
		}
		o = right;
		for (o.gso = GSO_TCP4; o.gso <= GSO_UDP; o.gso++)
			assert_false(layout_offload_true(room, len, &o));
		o = right;
		o.csum = false;
		assert_false(layout_offload_true(room, len, &o));
		for (unsigned bit = 0; bit < 16; bit++) {
			uint8_t *field = room + right.csum_start + right.csum_offset + bit / 8;
			*field ^= (uint8_t)(1 << bit % 8);
			assert_false(layout_offload_true(room, len, &right));
			*field ^= (uint8_t)(1 << bit % 8);
		}
		assert_false(layout_offload_true(room, len - 1, &right));
		recipe_frame(&r, false, room);
		assert_false(layout_offload_true(room, len, &right));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(sums),      cmocka_unit_test(shapes),   cmocka_unit_test(strange), cmocka_unit_test(refused),
	    cmocka_unit_test(checksums), cmocka_unit_test(udp_zero), cmocka_unit_test(door),
	};
	return cmocka_run_group_tests(tests, fill, NULL);
}
