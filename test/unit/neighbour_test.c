/* neighbour_test.c: who owns an address, and answers to ARP and neighbour solicitations, against frames made by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "hex.h"
#include "node/layout.h"
#include "node/neighbour.h"

static const uint8_t own[6] = {0x52, 1, 1, 1, 1, 1}, b_mac[6] = {0x52, 2, 2, 2, 2, 2}, c_mac[6] = {0x52, 3, 3, 3, 3, 3};

/* ---- owners ------------------------------------------------------------------------------------------------------- */

static struct claim claim4(uint8_t last, const uint8_t mac[6], uint64_t serial)
{
	struct claim c = {.ip = {.family = 4, .bits = 24, .ip = {10, 77, 0, last}}, .serial = serial};
	memcpy(c.mac, mac, 6);
	return c;
}

static struct claim claim6(uint8_t last, const uint8_t mac[6], bool router)
{
	struct claim c = {.ip = {.family = 6, .bits = 64, .ip = {0xfd, 0x77, [15] = last}}, .router = router};
	memcpy(c.mac, mac, 6);
	return c;
}

static bool owns4(const struct owners *o, uint8_t last, const uint8_t mac[6])
{
	struct owner who;
	uint8_t ip[4] = {10, 77, 0, last};
	return owners_find(o, 4, ip, &who) && !memcmp(who.mac, mac, 6);
}

static bool owned4(const struct owners *o, uint8_t last)
{
	struct owner who = {.mac = {9}};
	uint8_t ip[4] = {10, 77, 0, last};
	bool found = owners_find(o, 4, ip, &who);
	if (!found)
		assert_int_equal(who.mac[0], 9); /* untouched */
	return found;
}

static void owners(void **state)
{
	(void)state;
	struct claim c[] = {claim4(2, b_mac, 0), claim6(3, c_mac, true), claim4(3, c_mac, 0), claim6(2, b_mac, false)};
	struct owners *o = owners_new(c, 4);
	struct owner who;
	assert_int_equal(owners_count(o), 4);
	assert_false(owners_disputed(o));
	assert_true(owns4(o, 2, b_mac));
	assert_true(owns4(o, 3, c_mac));
	assert_false(owned4(o, 1));
	assert_true(owners_find(o, 6, c[1].ip.ip, &who));
	assert_memory_equal(who.mac, c_mac, 6);
	assert_true(who.router);
	assert_true(owners_find(o, 6, c[3].ip.ip, &who));
	assert_false(who.router);
	/* The same bytes as the other family are another address. */
	uint8_t mixed[16] = {10, 77, 0, 2};
	assert_false(owners_find(o, 6, mixed, &who));
	assert_false(owners_find(NULL, 4, mixed, &who));
	free(o);
	o = owners_new(NULL, 0);
	assert_int_equal(owners_count(o), 0);
	assert_false(owned4(o, 2));
	free(o);
}

static void nobodys(void **state)
{
	(void)state;
	struct claim c[] = {
	    {.ip = {.family = 4}}, {.ip = {.family = 4, .ip = {224, 0, 0, 1}}}, {.ip = {.family = 4, .ip = {255, 255, 255, 255}}},
	    {.ip = {.family = 6}}, {.ip = {.family = 6, .ip = {0xff, 2}}},      {.ip = {.family = 0, .ip = {1}}}};
	struct owners *o = owners_new(c, sizeof c / sizeof *c);
	assert_int_equal(owners_count(o), 0);
	free(o);
}

static void disputes(void **state)
{
	(void)state;
	static const struct {
		uint64_t b, c;
		const uint8_t *owner;
	} rule[] = {{0, 0, NULL}, {5, 0, NULL}, {0, 5, NULL}, {5, 5, NULL}, {6, 5, b_mac}, {5, 6, c_mac}};
	for (unsigned i = 0; i < sizeof rule / sizeof *rule; i++)
		for (int turned = 0; turned < 2; turned++) {
			struct claim both[2], more[4] = {claim4(8, b_mac, 0), {.serial = 0}, {.serial = 0}, claim4(9, c_mac, 0)};
			both[turned] = claim4(2, b_mac, rule[i].b);
			both[!turned] = claim4(2, c_mac, rule[i].c);
			memcpy(more + 1, both, sizeof both);
			struct owners *o = owners_new(more, 4);
			assert_true(owners_disputed(o));
			assert_int_equal(owned4(o, 2), rule[i].owner != NULL);
			assert_int_equal(owners_count(o), rule[i].owner ? 3 : 2);
			if (rule[i].owner)
				assert_true(owns4(o, 2, rule[i].owner));
			assert_true(owns4(o, 8, b_mac)); /* neighbours in the table are not touched */
			assert_true(owns4(o, 9, c_mac));
			free(o);
		}
	/* Twice by one member is no dispute; nor is a third with an older credential a reason to doubt the newest. */
	struct claim same[] = {claim4(2, b_mac, 7), claim4(2, c_mac, 3), claim4(2, b_mac, 7)};
	struct owners *o = owners_new(same, 3);
	assert_true(owns4(o, 2, b_mac));
	free(o);
	struct claim twice[] = {claim4(2, b_mac, 0), claim4(2, b_mac, 0)};
	o = owners_new(twice, 2);
	assert_true(owns4(o, 2, b_mac));
	assert_false(owners_disputed(o));
	free(o);
}

/* Ours is never answered for, whatever serial somebody else shows. */
static void ours(void **state)
{
	(void)state;
	struct claim c[] = {claim4(1, b_mac, 99), claim4(1, own, 0), claim4(4, own, 0)};
	c[1].ours = c[2].ours = true;
	struct owners *o = owners_new(c, 3);
	assert_false(owned4(o, 1));
	assert_false(owned4(o, 4));
	assert_int_equal(owners_count(o), 0);
	free(o);
}

static void same(void **state)
{
	(void)state;
	struct claim c[] = {claim4(2, b_mac, 5), claim4(3, c_mac, 6)}, turned[] = {c[1], c[0]}, newer[] = {claim4(2, b_mac, 7), c[1]};
	struct claim moved[] = {claim4(2, c_mac, 5), c[1]}, fewer[] = {c[0]};
	struct owners *a = owners_new(c, 2), *b = owners_new(turned, 2), *n = owners_new(newer, 2), *m = owners_new(moved, 2),
		      *f = owners_new(fewer, 1);
	assert_true(owners_same(a, b));
	assert_true(owners_same(a, n));
	assert_false(owners_same(a, m));
	assert_false(owners_same(a, f));
	assert_false(owners_same(a, NULL));
	struct claim router = c[0];
	router.router = true;
	struct owners *r = owners_new(&router, 1);
	assert_false(owners_same(f, r));
	free(a);
	free(b);
	free(n);
	free(m);
	free(f);
	free(r);
}

/* As many as a directory can name, each found, and none that is not there; against a plain search. */
static void many(void **state)
{
	(void)state;
	enum { N = 9000 };
	static struct claim c[N];
	for (uint32_t i = 0; i < N; i++) {
		uint32_t v = i * 2654435761u;
		c[i] = (struct claim){.ip = {.family = i & 1 ? 6 : 4}};
		c[i].ip.ip[0] = 10;
		be32_to(c[i].ip.ip + 1, v);
		if (i & 1)
			be16_to(c[i].ip.ip + 14, v);
		be32_to(c[i].mac + 2, i);
	}
	struct owners *o = owners_new(c, N);
	for (uint32_t i = 0; i < N; i++) {
		struct owner who;
		uint32_t at = N;
		for (uint32_t k = 0; i % 100 == 0 && at == N && k < N; k++)
			if (c[k].ip.family == c[i].ip.family && !memcmp(c[k].ip.ip, c[i].ip.ip, c[i].ip.family == 4 ? 4 : 16))
				at = k;
		if (at < i) /* the low byte of some IPv4 is cut off: two of one address */
			continue;
		if (owners_find(o, c[i].ip.family, c[i].ip.ip, &who))
			assert_int_equal(be32_at(who.mac + 2), i);
		else
			assert_int_equal(c[i].ip.family, 4);
	}
	assert_true(owners_count(o) > N - 100);
	free(o);
}

/* ---- ARP ---------------------------------------------------------------------------------------------------------- */

static struct owners *table(void)
{
	struct claim c[] = {claim4(2, b_mac, 0), claim4(3, c_mac, 0), claim6(2, b_mac, false), claim6(3, c_mac, true), claim4(1, own, 0)};
	return owners_new(c, sizeof c / sizeof *c); /* the last by mistake not marked as ours */
}

static uint8_t frame[256], out[NEIGHBOUR_MAX];

static size_t answer(const struct owners *o, size_t len)
{
	/* At the end of a page of its own for the sanitizer: one byte too far is seen. */
	uint8_t *copy = malloc(len ? len : 1);
	assert_non_null(copy);
	memcpy(copy, frame, len);
	memset(out, 0xee, sizeof out);
	size_t n = neighbour_answer(o, own, copy, len, out);
	for (size_t i = n; i < sizeof out; i++)
		assert_int_equal(out[i], 0xee);
	free(copy);
	return n;
}

#define WHO_HAS_2                                                                                                                          \
	"ffffffffffff52010101010108060001080006040001520101010101"                                                                         \
	"0a4d00010000000000000a4d0002"
#define ARP_LEN 42

static void arp(void **state)
{
	(void)state;
	struct owners *o = table();
	assert_int_equal(unhex(frame, sizeof frame, WHO_HAS_2), ARP_LEN);
	assert_int_equal(answer(o, ARP_LEN), ARP_LEN);
	assert_hex(out, "52010101010152020202020208060001080006040002520202020202"
	                "0a4d00025201010101010a4d0001");
	/* A host behind our bridge asks, its frame padded to the least of Ethernet: the answer goes to it. */
	memcpy(frame + 6, "\x02\xaa\xaa\xaa\xaa\xaa", 6);
	memcpy(frame + 22, frame + 6, 6);
	frame[41] = 3;
	assert_int_equal(answer(o, 60), ARP_LEN);
	assert_hex(out, "02aaaaaaaaaa52030303030308060001080006040002520303030303"
	                "0a4d000302aaaaaaaaaa0a4d0001");
	/* What stands in the target's MAC field of a question does not count. */
	memset(frame + 32, 0xff, 6);
	assert_int_equal(answer(o, ARP_LEN), ARP_LEN);
	for (size_t len = 0; len < ARP_LEN; len++)
		assert_int_equal(answer(o, len), 0);
	assert_int_equal(neighbour_answer(NULL, own, frame, ARP_LEN, out), 0);
	free(o);
}

static void arp_left_alone(void **state)
{
	(void)state;
	static const struct {
		const char *what;
		unsigned at;
		const char *bytes;
	} change[] = {
	    {"to one host", 0, "520202020202"},
	    {"from a group", 6, "530101010101"},
	    {"sender's MAC is not the frame's", 22, "520101010109"},
	    {"tagged", 12, "8100"},
	    {"hardware", 14, "0006"},
	    {"protocol", 16, "86dd"},
	    {"hardware length", 18, "08"},
	    {"protocol length", 19, "10"},
	    {"a reply", 20, "0002"},
	    {"operation 257", 20, "0101"},
	    {"reverse", 20, "0003"},
	    {"a probe", 28, "00000000"},
	    {"an announcement", 28, "0a4d0002"},
	    {"sender is a group", 28, "e0000001"},
	    {"sender is everybody", 28, "ffffffff"},
	    {"an address nobody owns", 38, "0a4d0009"},
	    {"the unspecified address", 38, "00000000"},
	    {"our own address", 38, "0a4d0001"},
	    {"the owner itself asks", 6, "520202020202"},
	};
	struct owners *o = table();
	for (unsigned i = 0; i < sizeof change / sizeof *change; i++) {
		unhex(frame, sizeof frame, WHO_HAS_2);
		frame[31] = 7; /* sender 10.77.0.7: no announcement when the target is 10.77.0.1 */
		unhex(frame + change[i].at, 8, change[i].bytes);
		if (change[i].at == 6 && frame[6] == 0x52)
			memcpy(frame + 22, frame + 6, 6);
		if (answer(o, ARP_LEN))
			fail_msg("answered: %s", change[i].what);
	}
	/* A gratuitous reply to everybody. */
	unhex(frame, sizeof frame,
	      "ffffffffffff52010101010108060001080006040002520101010101"
	      "0a4d0002ffffffffffff0a4d0002");
	assert_int_equal(answer(o, ARP_LEN), 0);
	free(o);
}

/* ---- neighbour discovery ---------------------------------------------------------------------------------------------- */

/* fd77::1 asks for fd77::2. The words of pseudo-header and message sum up to 4d554, d558 with its carries: checksum 2aa7. Those of the answer to 438cb,
 * 38cf: checksum c730. */
#define WHO_HAS_6                                                                                                                          \
	"3333ff00000252010101010186dd6000000000203aff"                                                                                     \
	"fd770000000000000000000000000001"                                                                                                 \
	"ff0200000000000000000001ff00000287002aa700000000"                                                                                 \
	"fd7700000000000000000000000000020101520101010101"
#define NS_LEN 86

/* A sum of its own, word by word as RFC 8200 8.1 has it. */
static unsigned slow_icmp6(const uint8_t *ip, size_t len)
{
	uint32_t sum = 58 + (uint32_t)len;
	for (unsigned i = 8; i < 40; i += 2)
		sum += ip[i] * 256u + ip[i + 1];
	for (size_t i = 0; i < len; i += 2)
		sum += ip[40 + i] * 256u + (i + 1 < len ? ip[40 + i + 1] : 0);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

static void sign(void)
{
	size_t len = be16_at(frame + 18);
	be16_to(frame + 56, 0);
	if (14 + 40 + len <= sizeof frame)
		be16_to(frame + 56, ~slow_icmp6(frame + 14, len) & 0xffff);
}

static void solicit(void)
{
	memset(frame, 0, sizeof frame);
	assert_int_equal(unhex(frame, sizeof frame, WHO_HAS_6), NS_LEN);
}

static void nd(void **state)
{
	(void)state;
	struct owners *o = table();
	solicit();
	assert_int_equal(answer(o, NS_LEN), NEIGHBOUR_MAX);
	assert_hex(out, "52010101010152020202020286dd6000000000203aff"
	                "fd770000000000000000000000000002"
	                "fd7700000000000000000000000000018800c730");
	assert_hex(out + 58, "60000000fd7700000000000000000000000000020201520202020202");
	assert_int_equal(slow_icmp6(out + 14, 32), 0xffff);
	assert_int_equal(answer(o, NS_LEN + 14), NEIGHBOUR_MAX); /* padding behind */
	for (size_t len = 0; len < NS_LEN; len++)
		assert_int_equal(answer(o, len), 0);
	/* A router says that it is one; from fe80 of a host behind our bridge, with an option before and one behind. */
	solicit();
	frame[5] = frame[53] = frame[77] = 3;
	memcpy(frame + 6, "\x02\xaa\xaa\xaa\xaa\xab", 6);
	frame[22] = 0xfe, frame[23] = 0x80;
	memset(frame + 78, 0, 40);
	frame[78] = 200, frame[79] = 2;
	frame[94] = 1, frame[95] = 1;
	memcpy(frame + 96, frame + 6, 6);
	frame[102] = 201, frame[103] = 1;
	be16_to(frame + 18, 24 + 32);
	sign();
	assert_int_equal(answer(o, 110), NEIGHBOUR_MAX);
	assert_hex(out, "02aaaaaaaaab520303030303");
	assert_hex(out + 38, "fe8000000000000000000000000000018800");
	assert_hex(out + 58, "e0000000fd7700000000000000000000000000030201520303030303");
	assert_int_equal(slow_icmp6(out + 14, 32), 0xffff);
	free(o);
}

static void nd_left_alone(void **state)
{
	(void)state;
	static const struct {
		const char *what;
		unsigned at;
		const char *bytes;
	} change[] = {
	    {"to one host", 0, "520202020202"},
	    {"another group's MAC", 0, "3333ff000003"},
	    {"from a group", 6, "530101010101"},
	    {"the link-layer address is another's", 80, "520101010109"},
	    {"tagged", 12, "8100"},
	    {"version", 14, "40"},
	    {"payload longer than the frame", 18, "0028"},
	    {"payload without a target", 18, "0010"},
	    {"an extension header", 20, "00"},
	    {"hop limit", 21, "fe"},
	    {"duplicate address detection", 22, "00000000000000000000000000000000"},
	    {"from a group address", 22, "ff02"},
	    {"who asks is who is asked for", 22, "fd770000000000000000000000000002"},
	    {"to one address", 38, "fd770000000000000000000000000002"},
	    {"to all nodes", 38, "ff020000000000000000000000000001"},
	    {"another group", 38, "ff0200000000000000000001ff000003"},
	    {"advertisement", 54, "88"},
	    {"code", 55, "01"},
	    {"target nobody owns", 62, "fd770000000000000000000000010002"},
	    {"target is a group", 62, "ff020000000000000000000000000002"},
	    {"no link-layer address", 78, "c8"},
	    {"option without length", 79, "00"},
	    {"option longer than the packet", 79, "02"},
	    {"nonce", 78, "0e"},
	    {"signature", 78, "0c"},
	};
	struct owners *o = table();
	for (unsigned i = 0; i < sizeof change / sizeof *change; i++) {
		solicit();
		unhex(frame + change[i].at, 16, change[i].bytes);
		sign();
		if (answer(o, NS_LEN))
			fail_msg("answered: %s", change[i].what);
	}
	for (unsigned bit = 0; bit < 16; bit++) { /* a wrong sum */
		solicit();
		frame[56 + bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_int_equal(answer(o, NS_LEN), 0);
	}
	solicit();
	memcpy(frame + 6, b_mac, 6); /* the owner itself asks */
	memcpy(frame + 80, b_mac, 6);
	sign();
	assert_int_equal(answer(o, NS_LEN), 0);
	/* Two link-layer addresses; and so many options that nobody can mean it. */
	solicit();
	memcpy(frame + NS_LEN, frame + 78, 8);
	be16_to(frame + 18, 24 + 16);
	sign();
	assert_int_equal(answer(o, NS_LEN + 8), 0);
	for (unsigned options = 15; options < 18; options++) {
		solicit();
		for (unsigned i = 1; i < options; i++)
			frame[78 + 8 * i] = 200, frame[79 + 8 * i] = 1;
		be16_to(frame + 18, 24 + 8 * options);
		sign();
		assert_int_equal(answer(o, 78 + 8 * options), options > 16 ? 0 : NEIGHBOUR_MAX);
	}
	free(o);
}

/* Each byte of a good question changed to each value: nothing is answered for an address or an asker the frame does not name. */
static void every_byte(void **state)
{
	(void)state;
	struct owners *o = table();
	unsigned answered = 0;
	for (int v6 = 0; v6 < 2; v6++)
		for (unsigned at = 0; at < (v6 ? NS_LEN : ARP_LEN); at++)
			for (unsigned v = 0; v < 256; v++) {
				if (v6)
					solicit();
				else
					unhex(frame, sizeof frame, WHO_HAS_2);
				frame[at] = (uint8_t)v;
				if (v6)
					sign();
				size_t n = answer(o, v6 ? NS_LEN : ARP_LEN);
				if (!n)
					continue;
				answered++;
				assert_memory_equal(out, frame + 6, 6);
				assert_memory_equal(out + 38, v6 ? frame + 22 : frame + 28, v6 ? 16 : 4);
				assert_memory_equal(v6 ? out + 22 : out + 28, v6 ? frame + 62 : frame + 38, v6 ? 16 : 4);
			}
	assert_true(answered > 1000);
	free(o);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(owners), cmocka_unit_test(nobodys),       cmocka_unit_test(disputes),   cmocka_unit_test(ours),
	    cmocka_unit_test(same),   cmocka_unit_test(many),          cmocka_unit_test(arp),        cmocka_unit_test(arp_left_alone),
	    cmocka_unit_test(nd),     cmocka_unit_test(nd_left_alone), cmocka_unit_test(every_byte),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
