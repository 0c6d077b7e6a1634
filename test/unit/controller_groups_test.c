/* The controller as the anchor of last resort: who may tell and ask, what is answered page by page, and what is forgotten when. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "controller/controller.h"
#include "controller/state.h"
#include "test/unit/controller_bed.h"

#define EPOCH(n) ((uint64_t)(n) << 32)

static const uint8_t mdns[6] = {1, 0, 0x5e, 0, 0, 0xfb}, ssdp[6] = {1, 0, 0x5e, 0x7f, 0xff, 0xfa};
static struct controller *c;
static struct secret self;
static uint64_t nwid, now;
static struct message answer; /* the last one */
static uint8_t answer_body[BODY_MAX];

static bool port_send(void *to, const uint8_t key_hash[KEY_HASH_BYTES], const struct message *m)
{
	(void)to, (void)key_hash;
	if (m->req != 77)
		return true;
	answer = *m;
	memcpy(answer_body, m->body ? m->body : (const uint8_t *)"", m->len);
	answer.body = answer_body;
	return true;
}

static void run(uint64_t ms)
{
	controller_settle(c, now += ms, 1700000000);
}

static int setup(void **state)
{
	struct controller_port port = {.send = port_send};
	struct network_settings s = {.set = SET_NET_NAME, .name = "groups"};
	struct admin_error e;
	const char *why = "";
	(void)state;
	bed_secret(&self);
	now = 1000;
	if (controller_open(&c, ":memory:", &self, &port, now, 1700000000, &why) || controller_network_create(c, &s, &nwid, &e))
		return -1;
	run(300);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	controller_close(c);
	return 0;
}

static enum status ask(const struct identity *who, uint8_t op, const uint8_t *body, size_t len)
{
	struct message m = {.req = 77, .op = op, .body = body, .len = len};
	assert_true(len > 0);
	answer = (struct message){0};
	controller_request(c, who, NULL, &m, now, 1700000000);
	run(0);
	assert_int_equal(answer.op, op | OP_REPLY);
	return (enum status)answer.status;
}

static enum status sub_in(uint64_t network, unsigned n, uint64_t seq, uint32_t flags, const uint8_t *group)
{
	struct identity who = person(n);
	uint8_t body[BODY_MAX];
	struct body_sub b = {.nwid = network, .seq = seq, .flags = flags, .n = group ? 1 : 0};
	if (group)
		memcpy(b.group[0], group, 6);
	return ask(&who, OP_SUB, body, body_sub_encode(&b, body, sizeof(body)));
}

static enum status sub(unsigned n, uint64_t seq, uint32_t flags, const uint8_t *group)
{
	return sub_in(nwid, n, seq, flags, group);
}

static enum status gather_in(uint64_t network, unsigned n, const uint8_t group[6], uint64_t after, struct body_gathered *ret)
{
	struct identity who = person(n);
	uint8_t body[BODY_MAX];
	struct body_gather b = {.nwid = network, .after = after};
	memcpy(b.group, group, 6);
	enum status status = ask(&who, OP_GATHER, body, body_gather_encode(&b, body, sizeof(body)));
	if (status == STATUS_OK)
		assert_true(body_gathered_parse(answer.body, answer.len, ret));
	else
		assert_int_equal(answer.len, 0);
	return status;
}

/* Are these, ascending, all whom n is told of? Ends with 0. */
static void told(unsigned n, const uint8_t group[6], const unsigned *wanted)
{
	struct body_gathered g;
	unsigned k = 0;
	assert_int_equal(gather_in(nwid, n, group, 0, &g), STATUS_OK);
	assert_false(g.more);
	for (; wanted[k]; k++) {
		assert_true(k < g.n);
		assert_int_equal(g.address[k], 0x1000000000 + wanted[k]);
	}
	assert_int_equal(g.n, k);
}
#define TOLD(n, group, ...) told(n, group, (const unsigned[]){__VA_ARGS__})

static void member_ask(unsigned n)
{
	struct identity who = person(n);
	uint8_t body[BODY_MAX];
	struct body_join_req req = {.nwid = nwid, .identity = who, .hostname = "h", .os = "o", .version = "v"};
	assert_int_equal(ask(&who, OP_JOIN_REQ, body, body_join_req_encode(&req, body, sizeof(body))), STATUS_OK);
}

static void member_new(unsigned n)
{
	struct admin_error e;
	member_ask(n);
	assert_int_equal(controller_member_approve(c, nwid, person(n).address, NULL, &e), ADMIN_OK);
}

static void test_told(void **state)
{
	(void)state;
	for (unsigned n = 1; n <= 4; n++)
		member_new(n);
	run(GROUPS_YOUNG_MS);
	TOLD(1, mdns, 0);
	assert_int_equal(sub(3, EPOCH(1) + 1, 0, mdns), STATUS_OK); /* told in any order, answered ascending */
	assert_int_equal(sub(2, EPOCH(1) + 1, SUB_ALL, NULL), STATUS_OK);
	assert_int_equal(sub(1, EPOCH(1) + 1, 0, mdns), STATUS_OK);
	assert_int_equal(sub(4, EPOCH(1) + 1, 0, ssdp), STATUS_OK);
	TOLD(4, mdns, 1, 2, 3, 0);
	TOLD(1, mdns, 2, 3, 0); /* never the one that asks */
	TOLD(1, ssdp, 2, 4, 0);
	assert_int_equal(sub(3, EPOCH(1) + 2, 0, ssdp), STATUS_OK); /* the whole set anew */
	TOLD(1, mdns, 2, 0);
	TOLD(1, ssdp, 2, 3, 4, 0);
	assert_int_equal(sub(3, EPOCH(1) + 3, 0, NULL), STATUS_OK);
	assert_int_equal(sub(2, EPOCH(1) + 3, 0, NULL), STATUS_OK);
	TOLD(1, ssdp, 4, 0);
}

/* What came late does not undo what came after it was sent; a member that started anew counts anew, and perhaps from less. */
static void test_order(void **state)
{
	(void)state;
	member_new(1);
	member_new(2);
	run(GROUPS_YOUNG_MS);
	assert_int_equal(sub(2, EPOCH(5) + 7, 0, mdns), STATUS_OK);
	assert_int_equal(sub(2, EPOCH(5) + 6, 0, ssdp), STATUS_OK);
	assert_int_equal(sub(2, EPOCH(5) + 7, 0, ssdp), STATUS_OK); /* nor the same number */
	TOLD(1, mdns, 2, 0);
	TOLD(1, ssdp, 0);
	assert_int_equal(sub(2, EPOCH(6) + 1, 0, ssdp), STATUS_OK);
	TOLD(1, ssdp, 2, 0);
	assert_int_equal(sub(2, EPOCH(1) + 1, 0, mdns), STATUS_OK);
	TOLD(1, mdns, 2, 0);
	TOLD(1, ssdp, 0);
}

static void test_forgotten(void **state)
{
	(void)state;
	for (unsigned n = 1; n <= 3; n++)
		member_new(n);
	assert_int_equal(sub(2, EPOCH(1) + 1, 0, mdns), STATUS_OK);
	assert_int_equal(sub(3, EPOCH(1) + 1, 0, mdns), STATUS_OK);
	run(GROUPS_TTL_MS / 2);
	assert_int_equal(sub(3, EPOCH(1) + 1, 0, mdns), STATUS_OK); /* told again, unchanged */
	TOLD(1, mdns, 2, 3, 0);
	run(GROUPS_TTL_MS / 2);
	TOLD(1, mdns, 2, 3, 0);
	run(1);
	TOLD(1, mdns, 3, 0);
	run(GROUPS_TTL_MS / 2);
	TOLD(1, mdns, 0);
	assert_int_equal(sub(2, EPOCH(1) + 1, 0, mdns), STATUS_OK); /* and it is heard again without a change */
	TOLD(1, mdns, 2, 0);
}

/* Who just started has not been told: "nobody" would be a lie. */
static void test_young(void **state)
{
	struct body_gathered g;
	(void)state;
	member_new(1);
	assert_int_equal(sub(1, EPOCH(1) + 1, 0, mdns), STATUS_OK);
	run(GROUPS_YOUNG_MS - 301);
	assert_int_equal(gather_in(nwid, 1, mdns, 0, &g), STATUS_TRY_LATER);
	run(1);
	assert_int_equal(gather_in(nwid, 1, mdns, 0, &g), STATUS_OK);
}

/* Who is no member tells nothing and learns nothing, not even whether there is the network. */
static void test_strangers(void **state)
{
	struct body_gathered g;
	struct admin_error e;
	(void)state;
	member_new(1);
	member_new(2);
	member_ask(3); /* pending */
	run(GROUPS_YOUNG_MS);
	static const unsigned strangers[] = {3, 9};
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(sub(strangers[i], EPOCH(1) + 1, SUB_ALL, NULL), STATUS_DENIED);
		assert_int_equal(gather_in(nwid, strangers[i], mdns, 0, &g), STATUS_DENIED);
		assert_int_equal(sub_in(nwid + 1, strangers[i], EPOCH(1) + 1, SUB_ALL, NULL), STATUS_DENIED);
		assert_int_equal(gather_in(nwid + 1, strangers[i], mdns, 0, &g), STATUS_DENIED);
	}
	TOLD(1, mdns, 0);
	assert_int_equal(sub(2, EPOCH(1) + 1, SUB_ALL, NULL), STATUS_OK);
	TOLD(1, mdns, 2, 0);
	assert_int_equal(controller_member_revoke(c, nwid, person(2).address, NULL, &e), ADMIN_OK);
	TOLD(1, mdns, 0);
	assert_int_equal(sub(2, EPOCH(1) + 2, SUB_ALL, NULL), STATUS_DENIED);
	TOLD(1, mdns, 0);
	assert_int_equal(controller_member_approve(c, nwid, person(2).address, NULL, &e), ADMIN_OK);
	TOLD(1, mdns, 0); /* let in again it has to say it again */
	assert_int_equal(sub(2, EPOCH(1) + 2, SUB_ALL, NULL), STATUS_OK);
	assert_int_equal(controller_member_delete(c, nwid, person(2).address, &e), ADMIN_OK);
	TOLD(1, mdns, 0);
	assert_int_equal(controller_network_delete(c, nwid, &e), ADMIN_OK);
	assert_int_equal(gather_in(nwid, 1, mdns, 0, &g), STATUS_DENIED);
}

static void test_malformed(void **state)
{
	struct identity who = person(1);
	(void)state;
	member_new(1);
	assert_int_equal(ask(&who, OP_SUB, (const uint8_t *)"\xc1", 1), STATUS_MALFORMED);
	assert_int_equal(ask(&who, OP_GATHER, (const uint8_t *)"\xc1", 1), STATUS_MALFORMED);
}

/* A full network that takes everything, page by page: each member once, and the list grows no further. */
static void test_thousand(void **state)
{
	struct body_gathered g;
	uint64_t after = 0;
	unsigned seen = 0, pages = 0;
	struct network_settings open = {.set = SET_NET_FLAGS, .flags_on = NETWORK_PUBLIC};
	struct admin_error e;
	(void)state;
	controller_limits_set(c, &(struct controller_limits){.members = MEMBERS_MAX});
	assert_int_equal(controller_network_set(c, nwid, &open, &e), ADMIN_OK);
	for (unsigned n = MEMBERS_MAX; n >= 1; n--) {
		member_ask(n);
		assert_int_equal(sub(n, EPOCH(1) + 1, n % 2 ? SUB_ALL : 0, n % 2 ? NULL : mdns), STATUS_OK);
	}
	assert_int_equal(sub(MEMBERS_MAX + 1, EPOCH(1) + 1, SUB_ALL, NULL), STATUS_DENIED);
	run(GROUPS_YOUNG_MS);
	do {
		assert_int_equal(gather_in(nwid, 500, mdns, after, &g), STATUS_OK);
		assert_true(g.n > 0 && g.n <= GATHERED_MAX);
		for (unsigned i = 0; i < g.n; i++) {
			seen++;
			assert_int_equal(g.address[i], 0x1000000000 + seen + (seen >= 500));
		}
		after = g.address[g.n - 1];
		pages++;
	} while (g.more);
	assert_int_equal(seen, MEMBERS_MAX - 1);
	assert_int_equal(pages, (MEMBERS_MAX - 2) / GATHERED_MAX + 1);
	assert_int_equal(gather_in(nwid, 500, mdns, UINT64_C(0xffffffffff), &g), STATUS_OK);
	assert_int_equal(g.n, 0);
	assert_false(g.more);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_told),      TEST(test_order),     TEST(test_forgotten), TEST(test_young),
	    TEST(test_strangers), TEST(test_malformed), TEST(test_thousand),
	};
	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
