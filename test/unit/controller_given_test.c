/* What members are given and may send: ranges of the pool, who is served and who is not, reservations, the list of EtherTypes in what is
 * signed, when somebody was let in and put out, and a text that is another program's. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "controller/audit.h"
#include "controller/state.h"
#include "test/unit/controller_bed.h"

#define WALL 1700000000

static struct controller *c;
static struct secret self;
static uint64_t nwid, now;
static struct admin_error e;

static void settle_after(uint64_t ms)
{
	now += ms;
	controller_settle(c, now, WALL + now / 1000);
}

static int setup(void **state)
{
	struct controller_port port = {.send = bed_send};
	struct network_settings s = {
	    .set = SET_NET_NAME | SET_NET_POOL, .name = "given", .pool = {.family = 4, .bits = 24, .ip = {10, 7, 7, 0}}};
	const char *why = "";
	(void)state;
	bed_secret(&self);
	now = 1000;
	if (controller_open(&c, ":memory:", &self, &port, now, WALL, &why) || controller_network_create(c, &s, &nwid, &e))
		return -1;
	settle_after(300);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	controller_close(c);
	return 0;
}

static void ask(unsigned n)
{
	static uint64_t typed = 1;
	uint8_t body[BODY_MAX];
	struct identity who = person(n);
	struct body_join_req req = {.nwid = nwid, .identity = who, .hostname = "h", .os = "o", .version = "v", .asked = typed++};
	struct message m = {.req = 1, .op = OP_JOIN_REQ, .body = body, .len = body_join_req_encode(&req, body, sizeof(body))};
	controller_request(c, &who, NULL, &m, now, WALL + now / 1000);
	settle_after(300);
}

static struct member_row row(unsigned n)
{
	struct member_row r;
	assert_int_equal(controller_member_get(c, nwid, person(n).address, &r, &e), ADMIN_OK);
	return r;
}

static struct network_row network(void)
{
	struct network_row r;
	assert_int_equal(controller_network_get(c, nwid, &r, &e), ADMIN_OK);
	return r;
}

/* The last byte of its one address; 0 = it has none. */
static unsigned ip_of(unsigned n)
{
	struct member_row r = row(n);
	assert_true(r.n_ips <= 1);
	return r.n_ips ? r.ips[0].ip[3] : 0;
}

static unsigned admitted(unsigned n)
{
	ask(n);
	assert_int_equal(controller_member_approve(c, nwid, person(n).address, NULL, &e), ADMIN_OK);
	return ip_of(n);
}

static enum admin_status set(struct network_settings s)
{
	enum admin_status status = controller_network_set(c, nwid, &s, &e);
	settle_after(300);
	return status;
}

static enum admin_status change(unsigned n, struct member_settings s)
{
	return controller_member_set(c, nwid, person(n).address, &s, &e);
}

static struct range range(unsigned third, unsigned first, unsigned last)
{
	return (struct range){{10, 7, (uint8_t)third, (uint8_t)first}, {10, 7, (uint8_t)third, (uint8_t)last}};
}

static char warnings[1024];
static void warning(void *self_, const char *text)
{
	(void)self_;
	strncat(warnings, text, sizeof(warnings) - strlen(warnings) - 1);
	strncat(warnings, ";", sizeof(warnings) - strlen(warnings) - 1);
}

static const char *warned(void)
{
	*warnings = '\0';
	controller_network_warnings(c, nwid, warning, NULL);
	return warnings;
}

/* ---- ranges --------------------------------------------------------------------------- */

static void test_stretches(void **state)
{
	const struct prefix pool = {4, 24, {10, 7, 7, 0}}, none = {0};
	struct stretch s[RANGES_MAX];
	(void)state;
	const uint32_t base = 10u << 24 | 7u << 16 | 7u << 8;
	assert_int_equal(policy_stretches(&none, NULL, 0, s), 0);
	assert_int_equal(policy_stretches(&pool, NULL, 0, s), 1);
	assert_true(s[0].first == base + 1 && s[0].last == base + 254);
	struct range r[] = {range(7, 200, 255), range(7, 0, 9), range(8, 1, 9), range(7, 5, 20), range(7, 200, 210), range(7, 22, 22)};
	assert_int_equal(policy_stretches(&pool, r, 6, s), 3);
	assert_true(s[0].first == base + 1 && s[0].last == base + 20); /* what overlaps counts once, network and broadcast never */
	assert_true(s[1].first == base + 22 && s[1].last == base + 22);
	assert_true(s[2].first == base + 200 && s[2].last == base + 254);
	assert_int_equal(policy_stretches(&pool, &r[2], 1, s), 0);
	const struct range all = {{0}, {255, 255, 255, 255}};
	assert_int_equal(policy_stretches(&pool, &all, 1, s), 1);
	assert_int_equal(s[0].last - s[0].first + 1, 254);
	assert_null(policy_range_check(&r[0]));
	assert_non_null(policy_range_check(&(struct range){{10, 0, 0, 2}, {10, 0, 0, 1}}));
	assert_non_null(policy_range_check(&(struct range){{10, 0, 0, 2}, {224, 0, 0, 1}}));
	assert_non_null(policy_range_check(&(struct range){{0, 0, 0, 2}, {10, 0, 0, 1}}));
}

static void test_ranges(void **state)
{
	struct network_settings s = {.set = SET_NET_RANGES, .ranges = {range(7, 50, 51), range(7, 10, 11), range(9, 1, 99)}, .n_ranges = 3};
	(void)state;
	assert_int_equal(admitted(1), 1); /* before: the lowest of the pool */
	assert_int_equal(set(s), ADMIN_OK);
	assert_non_null(strstr(warned(), "of the range 10.7.9.1 - 10.7.9.99 nothing is given: the pool is 10.7.7.0/24"));
	assert_null(strstr(warned(), "10.7.7.10"));
	struct network_row n = network();
	assert_true(n.pool_size == 4 && n.pool_used == 0 && n.n_ranges == 3); /* as they were given, in their order */
	assert_memory_equal(n.ranges, s.ranges, 3 * sizeof(s.ranges[0]));
	assert_int_equal(ip_of(1), 1); /* what somebody has it keeps */
	assert_int_equal(admitted(2), 10);
	assert_int_equal(admitted(3), 11);
	assert_int_equal(admitted(4), 50);
	/* who comes back before a day has its own rest; the lowest that rests is taken when nothing else is left */
	assert_int_equal(controller_member_delete(c, nwid, person(2).address, &e), ADMIN_OK);
	assert_int_equal(admitted(5), 51);
	assert_int_equal(network().pool_used, 3);
	assert_int_equal(admitted(6), 10);
	ask(7);
	assert_int_equal(controller_member_approve(c, nwid, person(7).address, NULL, &e), ADMIN_CONFLICT);
	assert_non_null(strstr(e.detail, "ranges"));
	assert_int_equal(row(7).state, MEMBER_PENDING);
	/* an address outside the ranges may be set, one outside the pool may not */
	struct member_settings own = {.set = SET_MEMBER_IP, .ip = {.family = 4, .bits = 24, .ip = {10, 7, 7, 200}}};
	assert_int_equal(controller_member_approve(c, nwid, person(7).address, &own, &e), ADMIN_OK);
	own.ip.ip[2] = 9;
	assert_int_equal(change(7, own), ADMIN_INVALID);
	assert_int_equal(network().pool_used, 4);
	/* more room, below what was given last */
	s = (struct network_settings){.set = SET_NET_RANGES, .ranges = {range(7, 2, 254)}, .n_ranges = 1};
	assert_int_equal(set(s), ADMIN_OK);
	assert_int_equal(admitted(8), 2);
	s.ranges[0] = range(7, 9, 8);
	assert_int_equal(set(s), ADMIN_INVALID);
	s.n_ranges = RANGES_MAX + 1;
	assert_int_equal(set(s), ADMIN_INVALID);
	s = (struct network_settings){.set = SET_NET_RANGES};
	assert_int_equal(set(s), ADMIN_OK);
	assert_true(network().n_ranges == 0 && network().pool_size == 254 && network().pool_used == 7);
}

/* Who sets pool and ranges sets them one after the other, in either order. */
static void test_order(void **state)
{
	struct network_settings ranges = {.set = SET_NET_RANGES, .ranges = {range(9, 5, 6)}, .n_ranges = 1},
				pool = {.set = SET_NET_POOL, .pool = {.family = 4, .bits = 24, .ip = {10, 7, 9, 0}}},
				none = {.set = SET_NET_POOL};
	(void)state;
	assert_int_equal(set(none), ADMIN_OK);
	assert_int_equal(set(ranges), ADMIN_OK);
	assert_non_null(strstr(warned(), "nothing is given: the pool is none"));
	assert_int_equal(admitted(1), 0);
	assert_int_equal(set(pool), ADMIN_OK);
	assert_string_equal(warned(), "");
	assert_int_equal(ip_of(1), 5); /* served as soon as something can be given */
	/* the other way round: for a while the ranges are another pool's, and those who lose theirs wait */
	pool.pool.ip[2] = 7;
	assert_int_equal(set(pool), ADMIN_OK);
	assert_int_equal(ip_of(1), 0);
	assert_int_equal(row(1).state, MEMBER_APPROVED);
	assert_int_equal(admitted(2), 0);
	ranges.ranges[0] = range(7, 70, 80);
	assert_int_equal(set(ranges), ADMIN_OK);
	assert_true(ip_of(1) == 70 && ip_of(2) == 71);
	/* less than there are members: said, and nothing changed */
	ranges.ranges[0] = range(9, 1, 1);
	struct network_settings both = ranges;
	both.set |= SET_NET_POOL;
	both.pool = (struct prefix){4, 24, {10, 7, 9, 0}};
	assert_int_equal(set(both), ADMIN_CONFLICT);
	assert_non_null(strstr(e.detail, "ranges"));
	assert_true(ip_of(1) == 70 && network().pool.ip[2] == 7 && network().ranges[0].first[3] == 70);
}

/* ---- by itself, or not ---------------------------------------------------------------- */

static void test_auto_assign(void **state)
{
	struct network_settings off = {.set = SET_NET_AUTO_ASSIGN}, on = {.set = SET_NET_AUTO_ASSIGN, .auto_assign = true};
	struct member_settings nothing = {.set = SET_MEMBER_AUTO_IP}, all = {.set = SET_MEMBER_AUTO_IP, .auto_ip = true},
			       drop = {.set = SET_MEMBER_IPS}, own = {.set = SET_MEMBER_IP, .ip = {.family = 4, .ip = {10, 7, 7, 77}}};
	(void)state;
	assert_true(network().auto_assign);
	assert_int_equal(admitted(1), 1);
	assert_int_equal(set(off), ADMIN_OK);
	assert_false(network().auto_assign);
	assert_int_equal(ip_of(1), 1); /* what somebody has it keeps */
	assert_int_equal(admitted(2), 0);
	assert_true(row(2).serial > 0 && row(2).state == MEMBER_APPROVED); /* a member as any other */
	assert_int_equal(change(2, own), ADMIN_OK);
	assert_int_equal(ip_of(2), 77);
	assert_int_equal(change(1, drop), ADMIN_OK); /* none is none now */
	assert_int_equal(ip_of(1), 0);
	assert_int_equal(set(on), ADMIN_OK);
	assert_true(ip_of(1) > 1 && ip_of(2) == 77); /* its old one rests */
	/* of one member */
	ask(3);
	assert_true(row(3).auto_ip);
	nothing.set |= SET_MEMBER_NAME;
	assert_int_equal(change(3, nothing), ADMIN_OK);
	assert_false(row(3).auto_ip);
	assert_int_equal(admitted(3), 0);
	assert_int_equal(change(3, all), ADMIN_OK);
	assert_int_equal(ip_of(3), 3);
}

static void reservation_see(void *ret, const struct preapproval_row *p)
{
	*(struct preapproval_row *)ret = *p;
}

static struct preapproval_row waiting(void)
{
	struct preapproval_row p = {0};
	assert_int_equal(controller_preapproval_each(c, nwid, reservation_see, &p, &e), ADMIN_OK);
	return p;
}

static void test_reservation(void **state)
{
	struct member_settings s = {.set = SET_MEMBER_NAME | SET_MEMBER_IPS | SET_MEMBER_FLAGS | SET_MEMBER_TAGS | SET_MEMBER_AUTO_IP,
	                            .name = "printer",
	                            .n_ips = 2,
	                            .ips = {{4, 24, {10, 7, 7, 50}}, {4, 24, {10, 7, 7, 60}}},
	                            .flags_on = MEMBER_RELAY};
	(void)state;
	tags_add(&s.tags, "floor1");
	assert_int_equal(controller_reserve(c, nwid, person(1).address, &s, &e), ADMIN_OK);
	struct preapproval_row p = waiting();
	assert_true(p.reserve && p.address == person(1).address && !p.settings.auto_ip);
	assert_int_equal(admitted(2), 1);
	assert_int_equal(change(2, (struct member_settings){.set = SET_MEMBER_IP, .ip = {4, 24, {10, 7, 7, 60}}}), ADMIN_OK);
	ask(1);
	struct member_row one = row(1);
	assert_true(one.state == MEMBER_PENDING && !one.serial && !strcmp(one.name, "printer") && tags_have(&one.tags, "floor1"));
	assert_true(one.n_ips == 1 && one.ips[0].ip[3] == 50); /* the other has an owner by now */
	assert_true(one.flags == MEMBER_RELAY && !one.auto_ip && !one.authorized_wall_s);
	assert_int_equal(waiting().address, 0);                                                 /* spent: the row has it */
	assert_int_equal(change(1, (struct member_settings){.set = SET_MEMBER_IPS}), ADMIN_OK); /* no more */
	assert_int_equal(row(1).n_ips, 0);
	assert_int_equal(change(1, (struct member_settings){.set = SET_MEMBER_IP, .ip = s.ips[0]}), ADMIN_OK);
	/* what is kept for it is nobody else's */
	assert_int_equal(change(2, (struct member_settings){.set = SET_MEMBER_IP, .ip = {4, 24, {10, 7, 7, 50}}}), ADMIN_CONFLICT);
	assert_int_equal(controller_member_approve(c, nwid, person(1).address, NULL, &e), ADMIN_OK);
	one = row(1);
	assert_true(one.state == MEMBER_APPROVED && one.serial && one.n_ips == 1 && one.ips[0].ip[3] == 50 && one.flags == MEMBER_RELAY);
	assert_string_equal(one.name, "printer");
	/* a second word replaces the first; both go by the same delete */
	assert_int_equal(controller_reserve(c, nwid, person(3).address, NULL, &e), ADMIN_OK);
	assert_int_equal(controller_preapprove(c, nwid, person(3).address, NULL, &e), ADMIN_OK);
	assert_false(waiting().reserve);
	assert_int_equal(controller_reserve(c, nwid, person(3).address, NULL, &e), ADMIN_OK);
	assert_true(waiting().reserve);
	assert_int_equal(controller_preapproval_delete(c, nwid, person(3).address, &e), ADMIN_OK);
	ask(3);
	assert_true(row(3).state == MEMBER_PENDING && row(3).auto_ip && !strcmp(row(3).name, "h"));
	/* who was deleted may ask again, and waits */
	assert_int_equal(controller_member_delete(c, nwid, person(1).address, &e), ADMIN_OK);
	assert_int_equal(controller_reserve(c, nwid, person(1).address, &s, &e), ADMIN_OK);
	ask(1);
	assert_int_equal(row(1).state, MEMBER_PENDING);
	s.set |= SET_MEMBER_EXPIRES;
	s.expires_s = 100;
	assert_int_equal(controller_reserve(c, nwid, person(4).address, &s, &e), ADMIN_INVALID);
}

/* What waits for somebody is not given to whoever comes first, and moves with the pool. */
static void test_reserved_kept(void **state)
{
	struct member_settings s = {
	    .set = SET_MEMBER_IPS, .n_ips = 3, .ips = {{4, 24, {10, 7, 7, 1}}, {4, 24, {10, 7, 7, 2}}, {4, 24, {10, 7, 7, 4}}}};
	struct member_settings again = {.set = SET_MEMBER_IPS, .n_ips = 1, .ips = {{4, 24, {10, 7, 7, 2}}}};
	(void)state;
	assert_int_equal(controller_reserve(c, nwid, person(1).address, &s, &e), ADMIN_OK);
	assert_int_equal(controller_preapprove(c, nwid, person(2).address, &again, &e), ADMIN_OK); /* twice: whoever comes first */
	assert_int_equal(admitted(3), 3);
	assert_int_equal(admitted(4), 5);
	/* more members than other addresses */
	assert_int_equal(set((struct network_settings){.set = SET_NET_RANGES, .n_ranges = 1, .ranges = {range(7, 1, 6)}}), ADMIN_OK);
	assert_int_equal(admitted(5), 6);
	ask(6);
	assert_int_equal(controller_member_approve(c, nwid, person(6).address, NULL, &e), ADMIN_CONFLICT);
	assert_int_equal(controller_preapproval_delete(c, nwid, person(2).address, &e), ADMIN_OK);
	assert_int_equal(controller_member_approve(c, nwid, person(6).address, NULL, &e), ADMIN_CONFLICT); /* 1 waits for it still */
	assert_int_equal(controller_reserve(c, nwid, person(1).address, &again, &e), ADMIN_OK);
	assert_int_equal(controller_member_approve(c, nwid, person(6).address, NULL, &e), ADMIN_OK);
	assert_int_equal(ip_of(6), 1);
	assert_int_equal(controller_member_delete(c, nwid, person(6).address, &e), ADMIN_OK);
	assert_int_equal(controller_reserve(c, nwid, person(1).address, &s, &e), ADMIN_OK);
	/* all are numbered anew, around it */
	assert_int_equal(set((struct network_settings){.set = SET_NET_RANGES}), ADMIN_OK);
	assert_int_equal(set((struct network_settings){.set = SET_NET_POOL, .pool = {4, 24, {10, 8, 8, 0}}}), ADMIN_OK);
	assert_int_equal(set((struct network_settings){.set = SET_NET_POOL, .pool = {4, 24, {10, 7, 7, 0}}}), ADMIN_OK);
	for (unsigned n = 3; n < 6; n++)
		assert_true(ip_of(n) == 3 || ip_of(n) > 4);
	/* the pool moves under it, and it can be edited still; a larger pool keeps what fits */
	assert_int_equal(set((struct network_settings){.set = SET_NET_POOL, .pool = {4, 24, {10, 9, 9, 0}}}), ADMIN_OK);
	s.set |= SET_MEMBER_NAME;
	strcpy(s.name, "printer");
	assert_int_equal(controller_reserve(c, nwid, person(1).address, &s, &e), ADMIN_OK);
	assert_int_equal(controller_reserve(c, nwid, person(7).address, &s, &e), ADMIN_INVALID);
	assert_int_equal(set((struct network_settings){.set = SET_NET_POOL, .pool = {4, 16, {10, 7, 0, 0}}}), ADMIN_OK);
	ask(1);
	struct member_row one = row(1);
	assert_true(one.n_ips == 3 && one.ips[0].bits == 16 && one.ips[2].ip[3] == 4 && !strcmp(one.name, "printer"));
}

static void address_see(void *ret, const struct member_record *m)
{
	*(unsigned *)ret += m->n_ips;
}

/* A row that waits for ever takes nothing with it. */
static void test_reserved_forgotten(void **state)
{
	struct member_settings s = {.set = SET_MEMBER_IP, .ip = {4, 24, {10, 7, 7, 50}}};
	struct lease lease;
	unsigned held = 0;
	(void)state;
	assert_int_equal(controller_reserve(c, nwid, person(1).address, &s, &e), ADMIN_OK);
	ask(1);
	assert_int_equal(store_lease_get(c->store, nwid, s.ip.ip, &lease), 0);
	assert_true(lease.member);
	for (uint64_t end = now + 8ull * 86400 * 1000; now < end;) { /* turn by turn, as a daemon lets it pass */
		uint64_t next = controller_settle(c, now, WALL + now / 1000);
		now = next > end ? end : next > now ? next : now + 1;
	}
	settle_after(0);
	assert_int_equal(controller_member_get(c, nwid, person(1).address, &(struct member_row){0}, &e), ADMIN_NOT_FOUND);
	assert_int_equal(store_member_each(c->store, nwid, address_see, &held), 0);
	assert_int_equal(held, 0);
	int r = store_lease_get(c->store, nwid, s.ip.ip, &lease);
	assert_true(r == -ENOENT || (!r && !lease.member));
}

/* ---- times ---------------------------------------------------------------------------- */

static void test_times(void **state)
{
	(void)state;
	assert_int_equal(admitted(1), 1);
	struct member_row was = row(1);
	assert_in_range(was.authorized_wall_s, WALL, WALL + now / 1000);
	assert_int_equal(was.deauthorized_wall_s, 0);
	settle_after(5000);
	assert_int_equal(change(1, (struct member_settings){.set = SET_MEMBER_NAME, .name = "x"}), ADMIN_OK);
	assert_int_equal(row(1).authorized_wall_s, was.authorized_wall_s); /* an edit is no approval */
	assert_int_equal(controller_member_revoke(c, nwid, person(1).address, NULL, &e), ADMIN_OK);
	assert_in_range(row(1).deauthorized_wall_s, was.authorized_wall_s + 5, WALL + now / 1000);
	settle_after(5000);
	struct member_settings brief = {.set = SET_MEMBER_EXPIRES, .expires_s = 10};
	assert_int_equal(controller_member_approve(c, nwid, person(1).address, &brief, &e), ADMIN_OK);
	assert_in_range(row(1).authorized_wall_s, was.authorized_wall_s + 10, WALL + now / 1000);
	uint64_t out = row(1).deauthorized_wall_s;
	for (unsigned i = 0; i < 40; i++)
		settle_after(1000);
	assert_true(row(1).state == MEMBER_REVOKED && row(1).deauthorized_wall_s >= out + 10);
	ask(2);
	assert_int_equal(controller_member_deny(c, nwid, person(2).address, NULL, &e), ADMIN_OK);
	assert_true(row(2).deauthorized_wall_s && !row(2).authorized_wall_s);
	ask(3);
	assert_int_equal(controller_member_ban(c, nwid, person(3).address, NULL, &e), ADMIN_OK);
	out = row(3).deauthorized_wall_s;
	assert_true(out);
	settle_after(5000);
	assert_int_equal(controller_member_unban(c, nwid, person(3).address, &e), ADMIN_OK);
	assert_int_equal(row(3).deauthorized_wall_s, out); /* it waits as before */
}

/* ---- what is signed ------------------------------------------------------------------- */

static struct section_base published(void)
{
	struct section_base base;
	settle_after(300);
	const struct blob *b = &publication_find(c, nwid)->now[BLOB_BASE];
	assert_true(section_base_parse(b->bytes, b->len, &base));
	return base;
}

static void entry(void *ret, const struct audit_entry *a)
{
	if (!*(char *)ret)
		strcpy(ret, a->detail);
}

static const char *audited(void)
{
	static char detail[AUDIT_DETAIL_MAX];
	uint64_t total;
	*detail = '\0';
	struct audit_query q = {.nwid = nwid, .limit = 1};
	assert_int_equal(controller_audit_each(c, &q, entry, detail, &total, &e), ADMIN_OK);
	return detail;
}

static void test_ethertypes(void **state)
{
	struct network_settings s = {.set = SET_NET_ETHERTYPES, .ethertypes = {4, {0x86dd, 0x0800, 0x0806, 0x0800}}};
	(void)state;
	assert_int_equal(published().ethertypes.n, 0);
	assert_int_equal(set(s), ADMIN_OK);
	assert_non_null(strstr(audited(), "0x0800 0x0806 0x86dd"));
	struct section_base b = published();
	assert_true(b.ethertypes.n == 3 && b.ethertypes.type[0] == 0x0800 && b.ethertypes.type[2] == 0x86dd);
	assert_int_equal(network().ethertypes.n, 3);
	s.ethertypes.type[1] = 0x05ff;
	assert_int_equal(set(s), ADMIN_INVALID);
	s.ethertypes.n = ETHERTYPES_MAX + 1;
	for (unsigned i = 0; i < ETHERTYPES_MAX; i++)
		s.ethertypes.type[i] = (uint16_t)(0x9000 + i);
	assert_int_equal(set(s), ADMIN_INVALID);
	s.ethertypes.n = ETHERTYPES_MAX;
	assert_int_equal(set(s), ADMIN_OK);
	assert_int_equal(published().ethertypes.n, ETHERTYPES_MAX);
	s.ethertypes.n = 0;
	assert_int_equal(set(s), ADMIN_OK);
	assert_int_equal(published().ethertypes.n, 0);
	/* the derived IPv6 is a switch as others are */
	ask(1);
	assert_true(row(1).ipv6);
	assert_int_equal(set((struct network_settings){.set = SET_NET_FLAGS, .flags_on = NETWORK_NO_ULA}), ADMIN_OK);
	assert_true(published().flags == NETWORK_NO_ULA && !row(1).ipv6);
	assert_int_equal(set((struct network_settings){.set = SET_NET_FLAGS, .flags_off = NETWORK_NO_ULA}), ADMIN_OK);
	assert_true(!published().flags && row(1).ipv6);
}

static void test_extra(void **state)
{
	static char text[NETWORK_EXTRA_MAX + 2], back[NETWORK_EXTRA_MAX + 1];
	uint64_t before = network().revision;
	(void)state;
	assert_int_equal(controller_network_extra_get(c, nwid, back, &e), ADMIN_OK);
	assert_string_equal(back, "");
	memset(text, 'x', NETWORK_EXTRA_MAX + 1);
	assert_int_equal(controller_network_extra_set(c, nwid, text, &e), ADMIN_INVALID);
	text[NETWORK_EXTRA_MAX] = '\0';
	assert_int_equal(controller_network_extra_set(c, nwid, text, &e), ADMIN_OK);
	assert_non_null(strstr(audited(), "65536"));
	assert_null(strstr(audited(), "xxx"));
	assert_int_equal(controller_network_extra_get(c, nwid, back, &e), ADMIN_OK);
	assert_string_equal(back, text);
	assert_int_equal(network().revision, before); /* it is not what the network is */
	assert_int_equal(controller_network_extra_set(c, nwid, "", &e), ADMIN_OK);
	assert_int_equal(controller_network_extra_get(c, nwid, back, &e), ADMIN_OK);
	assert_string_equal(back, "");
	assert_int_equal(controller_network_extra_set(c, nwid, "{}", &e), ADMIN_OK);
	assert_int_equal(controller_network_delete(c, nwid, &e), ADMIN_OK);
	assert_int_equal(controller_network_extra_get(c, nwid, back, &e), ADMIN_NOT_FOUND);
	assert_int_equal(controller_network_extra_set(c, nwid, "{}", &e), ADMIN_NOT_FOUND);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_stretches),
	    cmocka_unit_test_setup_teardown(test_ranges, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_order, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_auto_assign, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_reservation, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_reserved_kept, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_reserved_forgotten, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_times, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_ethertypes, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_extra, setup, teardown),
	};
	return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
