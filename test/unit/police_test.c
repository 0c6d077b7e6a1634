/* police_test.c: storm buckets by a clock of our own, the switches, which end allows how much, and who gets the blame.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "node/guard.h"
#include "node/police.h"
#include "node/view.h"

#define LEN 60

static struct port *port;
static struct member *member, *other;
static uint8_t to_all[2000], to_group[9100], to_one[2000], bpdu[LEN];
static uint64_t now_us;

static int setup(void **state)
{
	static const uint8_t group[6] = {0x01, 0, 0x5e, 1, 2, 3}, one[6] = {2, 0, 0, 0, 0, 9}, tree[6] = {0x01, 0x80, 0xc2};
	(void)state;
	memset(to_all, 0xff, 6);
	memcpy(to_group, group, 6);
	memcpy(to_one, one, 6);
	memcpy(bpdu, tree, 6);
	port = calloc(1, sizeof *port);
	member = calloc(1, sizeof *member);
	other = calloc(1, sizeof *other);
	if (!port || !member || !other)
		return -1;
	port->storm_frames = 1000;
	port->mcast_kbit = 8000; /* a megabyte a second */
	now_us = 5000000;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	free(port);
	free(member);
	free(other);
	return 0;
}

enum end { OUT, IN };

static enum drop ask(enum end end, const uint8_t *frame, size_t len, bool unknown)
{
	return end == OUT ? police_out(port, frame, len, unknown, now_us) : police_in(port, member, frame, len, unknown, now_us);
}

/* As route.c and deliver.c ask, with a bucket that is full again. */
static enum drop typed(enum end end, const uint8_t *frame)
{
	now_us += 1000000;
	return end == OUT ? police_type(port, frame) : police_in(port, member, frame, LEN, false, now_us);
}

/* How many of n frames pass within a second of them at even distances; the rest must have died of why. */
static unsigned second(enum end end, const uint8_t *frame, size_t len, bool unknown, unsigned n, enum drop why)
{
	uint64_t begin = now_us;
	unsigned passed = 0;
	for (unsigned i = 0; i < n; i++) {
		now_us = begin + i * 1000000ull / n;
		enum drop d = ask(end, frame, len, unknown);
		assert_true(d == DROP_NONE || d == why);
		passed += d == DROP_NONE;
	}
	now_us = begin + 1000000;
	return passed;
}

static unsigned burst(enum end end, const uint8_t *frame, size_t len, bool unknown)
{
	unsigned n = 0;
	while (n < 1000000 && ask(end, frame, len, unknown) == DROP_NONE)
		n++;
	return n;
}

static void floods(void **state)
{
	(void)state;
	for (enum end end = OUT; end <= IN; end++)
		for (int unknown = 0; unknown < 2; unknown++) {
			const uint8_t *frame = unknown ? to_one : to_all;
			unsigned rate = end == OUT ? 1000 : 2000;
			now_us += 10000000;
			assert_int_equal(burst(end, frame, LEN, unknown), 2 * rate);
			now_us += 1000000;
			assert_in_range(burst(end, frame, LEN, unknown), rate, rate + 1);
			for (int i = 0; i < 3; i++)
				assert_in_range(second(end, frame, LEN, unknown, 20000, DROP_STORM), rate - 1, rate + 1);
			now_us += 10000000;
			for (int i = 0; i < 5; i++) /* what keeps to the rate loses nothing */
				assert_int_equal(second(end, frame, LEN, unknown, rate, DROP_STORM), rate);
		}
}

static void floods_together(void **state)
{
	(void)state;
	assert_int_equal(burst(OUT, to_all, LEN, false), 2000);
	assert_int_equal(ask(OUT, to_one, LEN, true), DROP_STORM); /* one bucket for what is flooded */
	assert_int_equal(ask(OUT, to_group, LEN, false), DROP_NONE);
	assert_int_equal(ask(OUT, to_one, LEN, false), DROP_NONE);
	assert_int_equal(ask(IN, to_all, LEN, false), DROP_NONE); /* ours and the members' have nothing to do with each other */
	assert_int_equal(burst(IN, to_all, LEN, false), 3999);
	assert_int_equal(police_in(port, other, to_all, LEN, false, now_us), DROP_NONE);
}

static void multicast(void **state)
{
	(void)state;
	for (enum end end = OUT; end <= IN; end++) {
		unsigned rate = end == OUT ? 1000 : 2000;
		now_us += 10000000;
		assert_int_equal(burst(end, to_group, 1000, false), rate / 4);
		for (int i = 0; i < 3; i++) /* a thousand bytes: a thousand of them a second */
			assert_in_range(second(end, to_group, 1000, false, 20000, DROP_STORM_MULTICAST), rate - 2, rate + 2);
		for (int i = 0; i < 3; i++) /* small ones count as STORM_FRAME_LEAST */
			assert_in_range(second(end, to_group, 60, false, 20000, DROP_STORM_MULTICAST), rate * 1000 / 256 - 2,
			                rate * 1000 / 256 + 5);
		assert_int_equal(ask(end, to_all, LEN, false), DROP_NONE);
	}
	assert_int_equal(ask(OUT, to_one, LEN, false), DROP_NONE);
}

static void slowest_and_fastest(void **state)
{
	(void)state;
	port->mcast_kbit = 1; /* still one of the largest */
	assert_int_equal(burst(OUT, to_group, 9018, false), 1);
	now_us += 1000000;
	assert_int_equal(ask(OUT, to_group, 9018, false), DROP_STORM_MULTICAST);
	now_us += 80000000;
	assert_int_equal(ask(OUT, to_group, 9018, false), DROP_NONE);
	port->storm_frames = 1;
	assert_int_equal(burst(OUT, to_all, LEN, false), 2);
	port->storm_frames = port->mcast_kbit = UINT32_MAX; /* twice of it must not come round to nothing */
	now_us += 80000000;
	assert_true(burst(IN, to_all, LEN, false) > 100000);
	assert_true(burst(IN, to_group, 1000, false) > 100000);
	port->storm_frames = port->mcast_kbit = 0; /* no limit */
	for (unsigned i = 0; i < 100000; i++) {
		assert_int_equal(ask(OUT, to_all, LEN, false), DROP_NONE);
		assert_int_equal(ask(IN, to_group, LEN, false), DROP_NONE);
	}
}

static void switches(void **state)
{
	(void)state;
	for (enum end end = OUT; end <= IN; end++) {
		port->network_flags = NETWORK_NO_BROADCAST;
		assert_int_equal(ask(end, to_all, LEN, false), DROP_OFF);
		assert_int_equal(ask(end, to_group, LEN, false), DROP_NONE);
		assert_int_equal(ask(end, to_one, LEN, false), DROP_NONE);
		assert_int_equal(ask(end, to_one, LEN, true), DROP_NONE);
		port->network_flags = NETWORK_NO_MULTICAST;
		assert_int_equal(ask(end, to_all, LEN, false), DROP_NONE);
		assert_int_equal(ask(end, to_group, LEN, false), DROP_OFF);
		assert_int_equal(ask(end, bpdu, LEN, false), DROP_NONE);
		assert_int_equal(ask(end, to_one, LEN, true), DROP_NONE);
		port->network_flags = 0;
		assert_int_equal(ask(end, to_all, LEN, false), DROP_NONE);
		assert_int_equal(ask(end, to_group, LEN, false), DROP_NONE);
	}
}

/* Each end's guard goes by the flags and the addresses of the one who sends. */
static void guards_of_both_ends(void **state)
{
	(void)state;
	struct cred ours = {.n_ips = 1, .ips = {{.family = 4, .bits = 24, .ip = {10, 0, 0, 1}}}};
	struct cred theirs = {.n_ips = 1, .ips = {{.family = 4, .bits = 24, .ip = {10, 0, 0, 2}}}};
	struct owned *own = owned_new(1, 2, &ours), *their = owned_new(1, 3, &theirs);
	uint8_t tcp[54] = {2, 0, 0, 0, 0, 9, 2, 0, 0, 0, 0, 8, 8, 0, 0x45, 0, 0, 40};
	uint8_t advertisement[14 + 40 + 16] = {2, 0, 0, 0, 0, 9, 2, 0, 0, 0, 0, 8, 0x86, 0xdd, 0x60, 0, 0, 0, 0, 16, 58, 255};
	tcp[23] = 6;
	advertisement[54] = 134;
	port->network_flags = NETWORK_IP_GUARD;
	atomic_store(&port->owned, own);
	atomic_store(&member->owned, their);
	memcpy(tcp + 26, ours.ips[0].ip, 4);
	assert_int_equal(ask(OUT, tcp, sizeof tcp, false), DROP_NONE);
	assert_int_equal(ask(IN, tcp, sizeof tcp, false), DROP_IP_GUARD);
	memcpy(tcp + 26, theirs.ips[0].ip, 4);
	assert_int_equal(ask(OUT, tcp, sizeof tcp, false), DROP_IP_GUARD);
	assert_int_equal(ask(IN, tcp, sizeof tcp, false), DROP_NONE);
	port->network_flags = 0;
	assert_int_equal(ask(OUT, advertisement, sizeof advertisement, false), DROP_RA_GUARD);
	assert_int_equal(ask(IN, advertisement, sizeof advertisement, false), DROP_RA_GUARD);
	port->own_flags = MEMBER_ROUTER;
	assert_int_equal(ask(OUT, advertisement, sizeof advertisement, false), DROP_NONE);
	assert_int_equal(ask(IN, advertisement, sizeof advertisement, false), DROP_RA_GUARD);
	member->flags = MEMBER_ROUTER;
	assert_int_equal(ask(IN, advertisement, sizeof advertisement, false), DROP_NONE);
	free(own);
	free(their);
}

/* What is not listed dies at either end, whoever it is for and before it counts against a limit. */
static void types(void **state)
{
	static struct ethertypes list = {.n = 2, .type = {0x0800, 0x8100}};
	static const struct {
		uint16_t type;
		bool passes;
	} cases[] = {{0x0800, true},  {0x0806, false}, {0x86dd, false}, {0x8137, false}, {0x8100, true},
	             {0x88a8, false}, {0x0600, false}, {0x05dc, false}, {38, false},     {0xffff, false}};
	uint8_t *frames[] = {to_all, to_group, to_one};
	(void)state;
	port->network_flags = NETWORK_NO_RA_GUARD | NETWORK_NO_DHCP_GUARD; /* there is nothing in these frames */
	for (enum end end = OUT; end <= IN; end++)
		for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
			for (unsigned k = 0; k < 3; k++) {
				frames[k][12] = (uint8_t)(cases[i].type >> 8);
				frames[k][13] = (uint8_t)cases[i].type;
				atomic_store(&port->ethertypes, NULL);
				assert_int_equal(typed(end, frames[k]), DROP_NONE);
				atomic_store(&port->ethertypes, &list);
				assert_int_equal(typed(end, frames[k]), cases[i].passes ? DROP_NONE : DROP_ETHERTYPE);
			}
	for (enum end end = OUT; end <= IN; end++) {
		memcpy(bpdu + 12, (uint8_t[]){0, 38}, 2); /* spanning tree stays */
		assert_int_equal(typed(end, bpdu), DROP_NONE);
		memcpy(bpdu + 12, (uint8_t[]){0x88, 0xcc}, 2); /* LLDP has a type of its own */
		assert_int_equal(typed(end, bpdu), DROP_ETHERTYPE);
	}
	to_all[12] = 0x81, to_all[13] = 0x37;
	for (unsigned i = 0; i < 10000; i++)
		assert_int_equal(ask(IN, to_all, LEN, false), DROP_ETHERTYPE);
	to_all[12] = 0x08, to_all[13] = 0;
	assert_int_equal(burst(IN, to_all, LEN, false), 4000);
	list = (struct ethertypes){.n = 1, .type = {ETHERTYPE_LLC}};
	memcpy(to_one + 12, (uint8_t[]){0x05, 0xdc}, 2);
	assert_int_equal(ask(IN, to_one, LEN, false), DROP_NONE);
	assert_int_equal(ask(IN, to_all, LEN, false), DROP_ETHERTYPE);
	atomic_store(&port->ethertypes, NULL);
	memset(to_all + 12, 0xff, 2);
	memset(to_group + 12, 0, 2);
	memset(to_one + 12, 0, 2);
	memset(bpdu + 12, 0, 2);
}

static void blame(void **state)
{
	(void)state;
	for (unsigned i = 0; i < DROP_COUNT; i++)
		for (unsigned k = 0; k < i; k++)
			police_blame(member, (enum drop)i);
	static const enum drop of[BLAME_COUNT] = {
#define X(name) DROP_##name,
	    BLAME_LIST(X)
#undef X
	};
	for (unsigned i = 0; i < BLAME_COUNT; i++) {
		assert_int_equal(member->blame[i], of[i]);
		assert_int_equal(other->blame[i], 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(floods, setup, teardown),
	    cmocka_unit_test_setup_teardown(floods_together, setup, teardown),
	    cmocka_unit_test_setup_teardown(multicast, setup, teardown),
	    cmocka_unit_test_setup_teardown(slowest_and_fastest, setup, teardown),
	    cmocka_unit_test_setup_teardown(switches, setup, teardown),
	    cmocka_unit_test_setup_teardown(guards_of_both_ends, setup, teardown),
	    cmocka_unit_test_setup_teardown(types, setup, teardown),
	    cmocka_unit_test_setup_teardown(blame, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
