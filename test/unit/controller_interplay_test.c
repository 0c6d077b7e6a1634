/* What happens to members when two things meet: an unban and an expiry, a preapproval and an exhausted pool, a list and the clock, a rollback
 * and somebody who leaves. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <sodium.h>

#include "controller/audit.h"
#include "controller/state.h"
#include "controller/watermark.h"
#include "test/unit/controller_bed.h"

static struct controller *c;
static struct secret self;
static uint64_t nwid, now;
static unsigned answered, told[CHANGE_KINDS], told_all[CHANGE_KINDS];
static enum join_status answer;
static struct admin_error e;

static bool port_send(void *to, const uint8_t key_hash[KEY_HASH_BYTES], const struct message *m)
{
	struct body_join_res res;
	(void)to, (void)key_hash;
	if (m->op == (OP_JOIN_REQ | OP_REPLY) && m->req) {
		assert_true(body_join_res_parse(m->body, m->len, &res));
		answer = (enum join_status)res.status;
		answered++;
	}
	return true;
}

static void port_changed(void *to, const struct change *change)
{
	(void)to;
	told[change->kind]++;
	told_all[change->kind] += !change->nwid && !change->address;
}

static uint64_t wall(void)
{
	return 1700000000 + now / 1000;
}

static void settle(void)
{
	now += 300;
	controller_settle(c, now, wall());
}

/* Turn by turn, as a daemon lets it. A controller that cannot save has a turn each second: bounded. */
static void pass(uint64_t seconds)
{
	unsigned turns = 0;
	for (uint64_t end = now + seconds * 1000; now < end;) {
		uint64_t next = controller_settle(c, now, wall());
		now = next > end ? end : next > now ? next : now + 1;
		assert_true(turns++ < 200000);
	}
	controller_settle(c, now, wall());
}

static uint64_t network(const char *name, struct prefix pool, uint32_t flags)
{
	struct network_settings s = {.set = SET_NET_NAME | SET_NET_POOL | SET_NET_FLAGS, .pool = pool, .flags_on = flags};
	uint64_t ret = 0;
	snprintf(s.name, sizeof(s.name), "%s", name);
	assert_int_equal(controller_network_create(c, &s, &ret, &e), ADMIN_OK);
	settle();
	return ret;
}

static int setup(void **state)
{
	struct controller_port port = {.send = port_send, .changed = port_changed};
	const char *why = "";
	(void)state;
	bed_secret(&self);
	now = 1000;
	if (controller_open(&c, ":memory:", &self, &port, now, wall(), &why))
		return -1;
	nwid = network("one", (struct prefix){.family = 4, .bits = 24, .ip = {10, 7, 7, 0}}, 0);
	memset(told, 0, sizeof(told));
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	controller_close(c);
	return 0;
}

static void online(unsigned n, bool is)
{
	controller_online(c, person(n).key_hash, is, now, wall());
}

static void request(uint64_t network, unsigned n)
{
	struct identity who = person(n);
	uint8_t body[BODY_MAX];
	struct body_join_req req = {.nwid = network, .identity = who, .os = "o", .version = "v", .asked = 1};
	snprintf(req.hostname, sizeof(req.hostname), "host-%u", n);
	struct message m = {.req = 1, .op = OP_JOIN_REQ, .body = body, .len = body_join_req_encode(&req, body, sizeof(body))};
	online(n, true);
	controller_request(c, &who, NULL, &m, now, wall());
}

static enum join_status ask_in(uint64_t network, unsigned n)
{
	unsigned before = answered;
	request(network, n);
	settle();
	assert_true(answered > before);
	return answer;
}

static enum join_status ask(unsigned n)
{
	return ask_in(nwid, n);
}

static struct member_row row_in(uint64_t network, unsigned n)
{
	struct member_row row = {0};
	if (controller_member_get(c, network, person(n).address, &row, &e))
		row.address = 0;
	return row;
}

static struct member_row row(unsigned n)
{
	return row_in(nwid, n);
}

static void approve(unsigned n)
{
	ask(n);
	assert_int_equal(controller_member_approve(c, nwid, person(n).address, NULL, &e), ADMIN_OK);
}

static unsigned pool_used(void)
{
	struct network_row n;
	assert_int_equal(controller_network_get(c, nwid, &n, &e), ADMIN_OK);
	return n.pool_used;
}

/* ---- */

/* Who was approved, banned and unbanned waits with an address. Forgetting it must not break the turn, and with it all others. */
static void test_unbanned_ends(void **state)
{
	(void)state;
	approve(1);
	assert_int_equal(controller_member_ban(c, nwid, person(1).address, NULL, &e), ADMIN_OK);
	assert_int_equal(controller_member_unban(c, nwid, person(1).address, &e), ADMIN_OK);
	online(1, false);
	assert_true(row(1).state == MEMBER_PENDING && row(1).n_ips == 1);
	pass(PENDING_FOR_S + 100);
	assert_string_equal(controller_health(c), "ok");
	assert_int_equal(row(1).address, 0);
	assert_int_equal(pool_used(), 0);
	/* it rests, as any other that was in use */
	approve(2);
	assert_int_equal(row(2).ips[0].ip[3], 2);
}

static void test_unbanned_evicted(void **state)
{
	(void)state;
	approve(1);
	assert_int_equal(controller_member_ban(c, nwid, person(1).address, NULL, &e), ADMIN_OK);
	assert_int_equal(controller_member_unban(c, nwid, person(1).address, &e), ADMIN_OK);
	controller_limits_set(c, &(struct controller_limits){.pending = 1});
	settle();
	memset(told, 0, sizeof(told));
	assert_int_equal(ask(2), JOIN_PENDING);
	assert_true(!row(1).address && row(2).address);
	assert_int_equal(told[CHANGE_MEMBER], 2);
	assert_int_equal(pool_used(), 0);
}

/* Let in beforehand, but no address is left: it waits, and gets in when there is one again. */
static void test_preapproved_full(void **state)
{
	struct member_settings s = {.set = SET_MEMBER_NAME | SET_MEMBER_EXPIRES, .name = "named", .expires_s = 5000};
	(void)state;
	nwid = network("small", (struct prefix){.family = 4, .bits = 30, .ip = {10, 9, 9, 0}}, 0);
	approve(1), approve(2);
	assert_int_equal(controller_preapprove(c, nwid, person(3).address, &s, &e), ADMIN_OK);
	assert_int_equal(ask(3), JOIN_TRY_LATER);
	assert_int_equal(row(3).state, MEMBER_PENDING);
	assert_int_equal(ask(3), JOIN_TRY_LATER);
	assert_int_equal(controller_member_delete(c, nwid, person(1).address, &e), ADMIN_OK);
	assert_int_equal(ask(3), JOIN_OK);
	assert_true(row(3).state == MEMBER_APPROVED && row(3).expires_s > 4000 && !strcmp(row(3).name, "named"));
	assert_int_equal(controller_preapproval_delete(c, nwid, person(3).address, &e), ADMIN_NOT_FOUND); /* spent */
}

/* Unbanned by way of a network it has no row in: its rows elsewhere must not stay banned for a ban that is gone. */
static void test_unban_elsewhere(void **state)
{
	(void)state;
	uint64_t other = network("two", (struct prefix){0}, NETWORK_PUBLIC);
	approve(1);
	assert_int_equal(controller_member_ban(c, nwid, person(1).address, "no", &e), ADMIN_OK);
	assert_int_equal(ask_in(other, 1), JOIN_DENIED);
	assert_int_equal(row_in(other, 1).address, 0);
	assert_int_equal(controller_member_unban(c, other, person(1).address, &e), ADMIN_OK);
	assert_int_equal(row(1).state, MEMBER_PENDING);
	assert_int_equal(ask_in(other, 1), JOIN_OK);
}

struct told_rows {
	unsigned n;
	uint64_t address[16];
};

static void row_take(void *self_, const struct member_row *r)
{
	struct told_rows *t = self_;
	assert_true(t->n < 16);
	t->address[t->n++] = r->address;
}

/* Page by page by when they were seen, while time goes on: each once. */
static void test_last_seen_pages(void **state)
{
	struct member_query q = {.sort = SORT_LAST_SEEN, .limit = 2};
	struct member_page page;
	struct told_rows t = {0};
	(void)state;
	for (unsigned n = 1; n <= 6; n++)
		ask(n);
	online(6, false), online(5, false);
	settle();
	do {
		assert_int_equal(controller_member_query(c, nwid, &q, row_take, &t, &page, &e), ADMIN_OK);
		memcpy(q.after, page.next, sizeof(q.after));
		now += 2000;
		settle();
	} while (*page.next);
	assert_int_equal(t.n, 6);
	for (unsigned i = 0; i < 6; i++)
		for (unsigned k = 0; k < i; k++)
			assert_true(t.address[i] != t.address[k]);
	assert_true(t.address[4] >= person(5).address && t.address[5] >= person(5).address); /* who is there comes first */
}

/* One list in pages: whoever is renamed, comes or goes between two of them, the others are told once. */
static void test_order_kept(void **state)
{
	struct member_order order = {0};
	struct member_query q = {.sort = SORT_NAME, .limit = 2, .order = &order};
	struct member_page page;
	struct told_rows t = {0};
	struct member_settings s = {.set = SET_MEMBER_NAME, .name = "zz"};
	(void)state;
	for (unsigned n = 1; n <= 6; n++)
		ask(n);
	assert_int_equal(controller_member_query(c, nwid, &q, row_take, &t, &page, &e), ADMIN_OK);
	assert_int_equal(page.total, 6);
	assert_int_equal(controller_member_set(c, nwid, person(1).address, &s, &e), ADMIN_OK);
	assert_int_equal(controller_member_delete(c, nwid, person(3).address, &e), ADMIN_OK);
	ask(7);
	while (*page.next) {
		memcpy(q.after, page.next, sizeof(q.after));
		q.rest = true;
		assert_int_equal(controller_member_query(c, nwid, &q, row_take, &t, &page, &e), ADMIN_OK);
	}
	member_order_fini(&order);
	assert_int_equal(t.n, 5);
	for (unsigned i = 0; i < 5; i++)
		assert_int_equal(t.address[i], person(i < 2 ? i + 1 : i + 2).address);
}

/* More changes than a turn holds: whoever watches learns that all of it may be another, of each kind. */
static void test_changes_overflow(void **state)
{
	(void)state;
	settle();
	memset(told_all, 0, sizeof(told_all));
	for (unsigned i = 0; i < CHANGES_MAX - 3; i++)
		change_note(c, CHANGE_INVITE, nwid, i + 1, false);
	for (unsigned i = 0; i < 3 * CHANGES_MAX; i++)
		change_note(c, CHANGE_LIVE, nwid, i + 1, false);
	settle();
	for (unsigned k = 0; k < CHANGE_KINDS; k++)
		assert_int_equal(told_all[k], 1);
	memset(told, 0, sizeof(told));
	change_note(c, CHANGE_MEMBER, nwid, 5, false);
	settle();
	assert_true(told[CHANGE_MEMBER] == 1 && !told[CHANGE_INVITE]);
}

/* ---- who goes when it was away for long -------------------------------------------- */

static void ephemeral(unsigned n, uint32_t seconds)
{
	struct member_settings s = {.set = SET_MEMBER_EPHEMERAL, .ephemeral_s = seconds};
	assert_int_equal(controller_member_set(c, nwid, person(n).address, &s, &e), ADMIN_OK);
}

/* Said of somebody who is away already: from then on. */
static void test_ephemeral_set_away(void **state)
{
	(void)state;
	approve(1), approve(2), approve(3);
	online(1, false), online(2, false);
	settle();
	pass(5000);
	ephemeral(1, 600), ephemeral(2, 86400), ephemeral(3, 600);
	pass(500);
	assert_true(row(1).address && row(3).address);
	ephemeral(2, 300); /* sooner than the controller thought to look */
	pass(150);
	assert_int_equal(row(1).address, 0);
	pass(200);
	assert_int_equal(row(2).address, 0);
	assert_true(row(3).address); /* is there */
}

/* Put out, away for long, and let in again: it has its time from then on. */
static void test_ephemeral_again(void **state)
{
	(void)state;
	approve(1);
	ephemeral(1, 600);
	assert_int_equal(controller_member_revoke(c, nwid, person(1).address, NULL, &e), ADMIN_OK);
	online(1, false);
	pass(5000);
	assert_int_equal(controller_member_approve(c, nwid, person(1).address, NULL, &e), ADMIN_OK);
	pass(400);
	assert_int_equal(row(1).state, MEMBER_APPROVED);
	pass(300);
	assert_int_equal(row(1).address, 0);
}

/* It left in a turn that could not be saved. */
static void test_ephemeral_rollback(void **state)
{
	(void)state;
	approve(1), approve(2);
	ephemeral(1, 600), ephemeral(2, 600);
	settle();
	online(1, false);
	turn_abort(c, -ENOSPC);
	pass(500);
	assert_true(row(1).address);
	online(2, false);
	pass(150);
	assert_int_equal(row(1).address, 0);
	assert_true(row(2).address); /* was there when it happened: its time begins when it left */
	pass(500);
	assert_int_equal(row(2).address, 0);
}

/* It left while nothing could be written down, since the database was an older one. */
static void test_ephemeral_trust(void **state)
{
	(void)state;
	approve(1), approve(2);
	ephemeral(1, 600), ephemeral(2, 600);
	settle();
	c->trusted = false;
	settle();
	online(1, false);
	settle();
	assert_int_equal(controller_trust(c, &e), ADMIN_OK);
	pass(500);
	assert_true(row(1).address);
	pass(200);
	assert_true(!row(1).address && row(2).address);
}

/* ---- renumbering -------------------------------------------------------------------- */

static void test_renumber_many(void **state)
{
	struct timespec begun, ended;
	struct network_settings s = {.set = SET_NET_POOL, .pool = {.family = 4, .bits = 16, .ip = {10, 60, 0, 0}}};
	(void)state;
	nwid = network("large", (struct prefix){.family = 4, .bits = 16, .ip = {10, 50, 0, 0}}, NETWORK_PUBLIC);
	controller_limits_set(c, &(struct controller_limits){.members = MEMBERS_MAX});
	for (unsigned n = 1; n <= 5000; n++) {
		request(nwid, n);
		if (n % 100 == 0)
			settle();
	}
	assert_int_equal(pool_used(), 5000);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &begun);
	assert_int_equal(controller_network_set(c, nwid, &s, &e), ADMIN_OK);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ended);
	double took = (double)(ended.tv_sec - begun.tv_sec) + (double)(ended.tv_nsec - begun.tv_nsec) / 1e9;
	print_message("5000 renumbered in %.0f ms\n", took * 1000);
	assert_int_equal(pool_used(), 5000);
	for (unsigned n = 1; n <= 5000; n += 499) {
		struct member_row r = row(n);
		unsigned ip = (unsigned)r.ips[0].ip[2] << 8 | r.ips[0].ip[3];
		assert_true(r.n_ips == 1 && r.ips[0].ip[1] == 60 && ip >= 1 && ip <= 5000);
	}
	s.pool = (struct prefix){.family = 4, .bits = 24, .ip = {10, 60, 0, 0}}; /* 4746 have no place: nothing happens */
	assert_int_equal(controller_network_set(c, nwid, &s, &e), ADMIN_CONFLICT);
	assert_int_equal(pool_used(), 5000);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_unbanned_ends),   TEST(test_unbanned_evicted),   TEST(test_preapproved_full), TEST(test_unban_elsewhere),
	    TEST(test_last_seen_pages), TEST(test_order_kept),         TEST(test_changes_overflow), TEST(test_ephemeral_set_away),
	    TEST(test_ephemeral_again), TEST(test_ephemeral_rollback), TEST(test_ephemeral_trust),  TEST(test_renumber_many),
	};
	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
