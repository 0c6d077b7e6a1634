/* REPORT and the picture made of it: who may tell, of whom he is believed, what both ends' words become, what is forgotten when. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "controller/controller.h"
#include "controller/state.h"
#include "test/unit/controller_bed.h"

#define EPOCH(n)   ((uint64_t)(n) << 32)
#define CONTROLLER 0xfe00000001
#define WALL       1700000000
#define TTL_MS     180000

static struct controller *c;
static struct secret self;
static uint64_t nwid, now;
static int answered; /* status of the last answer; -1 = none */
static unsigned live;
static struct topology_link link[64];
static unsigned n_links;

static bool port_send(void *to, const uint8_t key_hash[KEY_HASH_BYTES], const struct message *m)
{
	(void)to, (void)key_hash;
	if (m->req == 77)
		answered = m->status;
	return true;
}

static void port_changed(void *to, const struct change *change)
{
	(void)to;
	live += change->kind == CHANGE_LIVE && change->nwid == nwid && change->address;
}

static void run(uint64_t ms)
{
	controller_settle(c, now += ms, WALL);
}

static int setup(void **state)
{
	struct controller_port port = {.send = port_send, .changed = port_changed};
	struct network_settings s = {.set = SET_NET_NAME, .name = "reports"};
	struct admin_error e;
	const char *why = "";
	(void)state;
	bed_secret(&self);
	now = 1000;
	if (controller_open(&c, ":memory:", &self, &port, now, WALL, &why) || controller_network_create(c, &s, &nwid, &e))
		return -1;
	run(300);
	live = 0;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	controller_close(c);
	return 0;
}

static int ask(const struct identity *who, uint8_t op, const uint8_t *body, size_t len)
{
	struct message m = {.req = 77, .op = op, .body = body, .len = len};
	answered = -1;
	controller_request(c, who, NULL, &m, now, WALL);
	run(0);
	return answered;
}

static void member_new(unsigned n)
{
	struct identity who = person(n);
	uint8_t body[BODY_MAX];
	struct admin_error e;
	struct body_join_req req = {.nwid = nwid, .identity = who, .hostname = "h", .os = "o", .version = "v"};
	assert_int_equal(ask(&who, OP_JOIN_REQ, body, body_join_req_encode(&req, body, sizeof(body))), STATUS_OK);
	assert_int_equal(controller_member_approve(c, nwid, who.address, NULL, &e), ADMIN_OK);
	run(300);
	live = 0;
}

/* One link told by n, or none with to 0. */
static int report_in(uint64_t network, unsigned n, uint64_t seq, unsigned to, uint8_t kind, uint32_t rtt_us, uint32_t age_s)
{
	struct identity who = person(n);
	uint8_t body[BODY_MAX];
	struct body_report b = {.nwid = network, .seq = seq, .n = to ? 1 : 0};
	b.link[0] = (struct report_link){.address = person(to).address, .kind = kind, .rtt_us = rtt_us, .age_s = age_s};
	size_t len = body_report_encode(&b, body, sizeof(body));
	assert_int_not_equal(len, 0);
	return ask(&who, OP_REPORT, body, len);
}

static int report(unsigned n, uint64_t seq, unsigned to, uint8_t kind, uint32_t rtt_us)
{
	return report_in(nwid, n, seq, to, kind, rtt_us, 0);
}

static void link_seen(void *to, const struct topology_link *l)
{
	(void)to;
	assert_true(n_links < 64);
	assert_true(l->a < l->b);
	link[n_links++] = *l;
}

static unsigned look(void)
{
	struct admin_error e;
	bool cut = true;
	n_links = 0;
	assert_int_equal(controller_topology(c, nwid, link_seen, NULL, &cut, &e), ADMIN_OK);
	assert_false(cut);
	return n_links;
}

static void is(unsigned i, unsigned a, unsigned b, enum report_kind kind, uint32_t rtt_us)
{
	assert_true(i < n_links);
	assert_int_equal(link[i].a, person(a).address);
	assert_int_equal(link[i].b, person(b).address);
	assert_int_equal(link[i].kind, kind);
	assert_int_equal(link[i].rtt_us, rtt_us);
}

static void test_both_ends(void **state)
{
	(void)state;
	for (unsigned n = 1; n <= 3; n++)
		member_new(n);
	assert_int_equal(look(), 0);
	assert_int_equal(report(1, EPOCH(1) + 1, 2, LINK_RELAY, 5000), STATUS_OK);
	assert_int_equal(look(), 1);
	is(0, 1, 2, LINK_RELAY, 5000);
	assert_int_equal(report(2, EPOCH(1) + 1, 1, LINK_DIRECT, 7000), STATUS_OK); /* one pair, told twice */
	assert_int_equal(report(3, EPOCH(1) + 1, 1, LINK_RELAY, 0), STATUS_OK);
	assert_int_equal(look(), 2);
	is(0, 1, 2, LINK_DIRECT, 5000);
	is(1, 1, 3, LINK_RELAY, 0);
	assert_int_equal(report(1, EPOCH(1) + 2, 3, LINK_RELAY, 900), STATUS_OK); /* the whole set anew; unknown is no round trip */
	assert_int_equal(look(), 2);
	is(0, 1, 2, LINK_DIRECT, 7000);
	is(1, 1, 3, LINK_RELAY, 900);
	assert_int_equal(report(2, EPOCH(1) + 2, 0, 0, 0), STATUS_OK);
	assert_int_equal(look(), 1);
}

/* What came late undoes nothing; a member that starts anew counts anew, and perhaps from less. */
static void test_order(void **state)
{
	(void)state;
	member_new(1), member_new(2);
	assert_int_equal(report(1, EPOCH(5) + 3, 2, LINK_DIRECT, 3000), STATUS_OK);
	assert_int_equal(report(1, EPOCH(5) + 2, 2, LINK_RELAY, 1), STATUS_OK);
	assert_int_equal(report(1, EPOCH(5) + 3, 2, LINK_RELAY, 1), STATUS_OK);
	look();
	is(0, 1, 2, LINK_DIRECT, 3000);
	assert_int_equal(report(1, EPOCH(2) + 1, 2, LINK_RELAY, 2000), STATUS_OK);
	look();
	is(0, 1, 2, LINK_RELAY, 2000);
}

static void test_strangers(void **state)
{
	struct admin_error e;
	(void)state;
	member_new(1), member_new(2), member_new(3);
	assert_int_equal(report(9, EPOCH(1) + 1, 1, LINK_DIRECT, 1), STATUS_DENIED);
	assert_int_equal(report_in(nwid ^ 1, 1, EPOCH(1) + 1, 2, LINK_DIRECT, 1, 0), STATUS_DENIED);
	struct identity who = person(1);
	assert_int_equal(ask(&who, OP_REPORT, (const uint8_t *)"\x81\x05\x05", 3), STATUS_MALFORMED);
	assert_int_equal(look(), 0);
	/* of who is not here, of itself, of a kind that nobody knows */
	assert_int_equal(report(1, EPOCH(1) + 1, 9, LINK_DIRECT, 1), STATUS_OK);
	assert_int_equal(report(2, EPOCH(1) + 1, 2, LINK_DIRECT, 1), STATUS_OK);
	assert_int_equal(report(3, EPOCH(1) + 1, 1, 9, 1), STATUS_OK);
	assert_int_equal(look(), 0);
	/* a link to one that is turned out goes with it, and so does what it said */
	assert_int_equal(report(1, EPOCH(1) + 2, 3, LINK_DIRECT, 1), STATUS_OK);
	assert_int_equal(report(3, EPOCH(1) + 2, 2, LINK_DIRECT, 1), STATUS_OK);
	assert_int_equal(look(), 2);
	assert_int_equal(controller_member_revoke(c, nwid, person(3).address, NULL, &e), ADMIN_OK);
	assert_int_equal(look(), 0);
	assert_int_equal(report(3, EPOCH(1) + 3, 2, LINK_DIRECT, 1), STATUS_DENIED);
}

static void test_age(void **state)
{
	(void)state;
	member_new(1), member_new(2);
	assert_int_equal(report_in(nwid, 1, EPOCH(1) + 1, 2, LINK_DIRECT, 1, 4), STATUS_OK);
	run(30000);
	look();
	assert_int_equal(link[0].age_s, 34);
	assert_int_equal(report_in(nwid, 2, EPOCH(1) + 1, 1, LINK_DIRECT, 1, 2), STATUS_OK);
	look();
	assert_int_equal(link[0].age_s, 2);
	run(TTL_MS - 30000);
	assert_int_equal(look(), 1);
	run(31000);
	assert_int_equal(look(), 0);
	/* what is stale is freed by whoever tells next */
	assert_int_not_equal(c->reports_bytes, 0);
	assert_int_equal(report(1, EPOCH(1) + 2, 0, 0, 0), STATUS_OK);
	assert_int_equal(publication_find(c, nwid)->reports != NULL, true);
	size_t one = c->reports_bytes;
	assert_int_equal(report(2, EPOCH(1) + 2, 0, 0, 0), STATUS_OK);
	assert_int_equal(c->reports_bytes, 2 * one);
}

/* Told to those who watch when a link came, turned or is another length, and not each minute. */
static void test_changes(void **state)
{
	(void)state;
	member_new(1), member_new(2);
	report(1, EPOCH(1) + 1, 2, LINK_DIRECT, 8000);
	assert_int_equal(live, 1);
	report(1, EPOCH(1) + 2, 2, LINK_DIRECT, 9000);
	assert_int_equal(live, 1);
	report(1, EPOCH(1) + 3, 2, LINK_DIRECT, 20000);
	assert_int_equal(live, 2);
	report(1, EPOCH(1) + 4, 2, LINK_RELAY, 20000);
	assert_int_equal(live, 3);
	report(1, EPOCH(1) + 5, 0, 0, 0);
	assert_int_equal(live, 4);
}

/* The controller's own sight of a member. */
static void test_own(void **state)
{
	struct identity who = person(1);
	(void)state;
	member_new(1);
	controller_path(c, who.key_hash, &(struct endpoint){.family = 4, .ip = {192, 0, 2, 7}, .port = 9993}, 1500, now, WALL);
	assert_int_equal(look(), 0); /* it is not online */
	controller_online(c, who.key_hash, true, now, WALL);
	run(0);
	live = 0;
	controller_path(c, who.key_hash, &(struct endpoint){0}, 30000, now, WALL);
	run(0);
	assert_int_equal(live, 1);
	controller_path(c, who.key_hash, &(struct endpoint){0}, 30100, now, WALL);
	run(0);
	assert_int_equal(live, 1);
	assert_int_equal(look(), 1);
	assert_int_equal(link[0].a, who.address);
	assert_int_equal(link[0].b, CONTROLLER);
	assert_int_equal(link[0].kind, LINK_RELAY);
	assert_int_equal(link[0].rtt_us, 30100);
	struct member_row row;
	struct admin_error error;
	/* where it is follows the way, not only its requests */
	controller_path(c, who.key_hash, &(struct endpoint){.family = 4, .ip = {192, 0, 2, 8}, .port = 9993}, 900, now, WALL);
	assert_int_equal(controller_member_get(c, nwid, who.address, &row, &error), ADMIN_OK);
	assert_int_equal(row.link, LINK_DIRECT);
	assert_int_equal(row.physical.ip[3], 8);
	controller_path(c, who.key_hash, &(struct endpoint){0}, 30100, now, WALL);
	assert_int_equal(controller_member_get(c, nwid, who.address, &row, &error), ADMIN_OK);
	assert_int_equal(row.physical.family, 0);
	controller_online(c, who.key_hash, false, now, WALL);
	assert_int_equal(look(), 0);
}

static void test_network_gone(void **state)
{
	struct admin_error e;
	(void)state;
	member_new(1), member_new(2);
	report(1, EPOCH(1) + 1, 2, LINK_DIRECT, 1);
	assert_int_not_equal(c->reports_bytes, 0);
	assert_int_equal(controller_network_delete(c, nwid, &e), ADMIN_OK);
	assert_int_equal(c->reports_bytes, 0);
}

/* A table that is full refuses and keeps what it has. */
static void test_full(void **state)
{
	(void)state;
	member_new(1), member_new(2);
	report(1, EPOCH(1) + 1, 2, LINK_DIRECT, 1);
	size_t mine = c->reports_bytes;
	c->reports_bytes = 16 * 1024 * 1024 - 8;
	assert_int_equal(report(2, EPOCH(1) + 1, 1, LINK_RELAY, 1), STATUS_TRY_LATER);
	c->reports_bytes = mine;
	assert_int_equal(look(), 1);
	is(0, 1, 2, LINK_DIRECT, 1);
}

/* ---- the body ----------------------------------------------------------------------- */

static void test_body(void **state)
{
	struct body_report in = {.nwid = 0xfe00000001000001, .seq = UINT64_MAX, .n = REPORT_LINKS_MAX}, out;
	uint8_t bytes[BODY_MAX];
	(void)state;
	for (unsigned i = 0; i < in.n; i++)
		in.link[i] = (struct report_link){
		    .address = 0xffffffffffull - REPORT_LINKS_MAX + i + 1, .kind = 2, .rtt_us = UINT32_MAX, .age_s = 70000};
	size_t len = body_report_encode(&in, bytes, sizeof(bytes));
	assert_in_range(len, 1, BODY_MAX - 300); /* room for what later keys add */
	assert_int_equal(body_report_encode(&in, bytes, len - 1), 0);
	len = body_report_encode(&in, bytes, sizeof(bytes));
	assert_true(body_report_parse(bytes, len, &out));
	assert_int_equal(out.n, in.n);
	assert_int_equal(out.seq, in.seq);
	assert_int_equal(out.link[63].address, 0xffffffffffull);
	assert_int_equal(out.link[63].age_s, 65535);
	assert_int_equal(out.link[0].rtt_us, UINT32_MAX);
	for (size_t cut = 0; cut < len; cut++)
		assert_false(body_report_parse(bytes, cut, &out));
	in.link[1].address = in.link[0].address;
	assert_int_equal(body_report_encode(&in, bytes, sizeof(bytes)), 0);
	in.link[0].address = 0;
	in.n = 1;
	assert_int_equal(body_report_encode(&in, bytes, sizeof(bytes)), 0);
	in.link[0].address = 5;
	len = body_report_encode(&in, bytes, sizeof(bytes));
	assert_true(body_report_parse(bytes, len, &out));
	bytes[len - 13] = 13; /* a link and a bit */
	bytes[len] = 0;
	assert_false(body_report_parse(bytes, len + 1, &out));
	in.n = 0;
	len = body_report_encode(&in, bytes, sizeof(bytes));
	assert_true(body_report_parse(bytes, len, &out));
	assert_int_equal(out.n, 0);
	/* a key of later */
	bytes[0] = 0x83;
	memcpy(bytes + len, "\x07\xc3", 2);
	assert_true(body_report_parse(bytes, len + 2, &out));
}

int main(void)
{
#define BED(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
	    BED(test_both_ends), BED(test_order),        BED(test_strangers),         BED(test_age), BED(test_changes), BED(test_own),
	    BED(test_full),      BED(test_network_gone), cmocka_unit_test(test_body),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
