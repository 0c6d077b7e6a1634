/* Limits and switches of a network and rights of its members: what is taken, what is refused with which mend, and that what was
 * taken stands in the section and the credential that members get. */
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

static struct controller *c;
static struct secret self;
static uint64_t nwid, now;

static void settle(void)
{
	controller_settle(c, now += 300, 1700000000);
}

static int setup(void **state)
{
	struct controller_port port = {.send = bed_send};
	struct network_settings s = {.set = SET_NET_NAME, .name = "set"};
	struct admin_error e;
	const char *why = "";
	(void)state;
	bed_secret(&self);
	now = 1000;
	if (controller_open(&c, ":memory:", &self, &port, now, 1700000000, &why) || controller_network_create(c, &s, &nwid, &e))
		return -1;
	settle();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	controller_close(c);
	return 0;
}

static uint64_t member_new(unsigned n)
{
	struct identity who = {.address = 0x1000000000 + n};
	uint8_t body[BODY_MAX];
	memset(who.x, (int)n, 32);
	memset(who.ed, 0x55, 32);
	identity_hash(&who);
	struct body_join_req req = {.nwid = nwid, .identity = who, .hostname = "h", .os = "o", .version = "v"};
	struct message m = {.req = 1, .op = OP_JOIN_REQ, .body = body, .len = body_join_req_encode(&req, body, sizeof(body))};
	controller_request(c, &who, NULL, &m, now, 1700000000);
	settle();
	return who.address;
}

static struct section_base published(void)
{
	struct section_base base;
	settle();
	const struct blob *b = &publication_find(c, nwid)->now[BLOB_BASE];
	assert_true(section_base_parse(b->bytes, b->len, &base));
	return base;
}

static enum admin_status set(struct network_settings s, struct admin_error *e)
{
	return controller_network_set(c, nwid, &s, e);
}

static enum admin_status rights(uint64_t member, uint32_t on, uint32_t off, struct admin_error *e)
{
	struct member_settings s = {.set = SET_MEMBER_FLAGS, .flags_on = on, .flags_off = off};
	return controller_member_set(c, nwid, member, &s, e);
}

static uint32_t flags_of(uint64_t member)
{
	struct member_row row;
	struct admin_error e;
	assert_int_equal(controller_member_get(c, nwid, member, &row, &e), ADMIN_OK);
	return row.flags;
}

static void test_defaults(void **state)
{
	struct section_base b = published();
	(void)state;
	assert_int_equal(b.storm_frames, 1000);
	assert_int_equal(b.mcast_kbit, 50000);
	assert_int_equal(b.mcast_limit, 32);
	assert_int_equal(b.flags, 0);
}

static void test_limits(void **state)
{
	struct admin_error e;
	struct network_row row;
	(void)state;
	struct network_settings s = {.set = SET_NET_STORM | SET_NET_MCAST_LIMIT,
	                             .limits = {.storm_frames = 0, .mcast_kbit = 1, .mcast_limit = 7}};
	assert_int_equal(set(s, &e), ADMIN_OK);
	struct section_base b = published();
	assert_int_equal(b.storm_frames, 0);
	assert_int_equal(b.mcast_kbit, 50000); /* what is not set stays */
	assert_int_equal(b.mcast_limit, 7);
	static const struct {
		unsigned set;
		struct network_limits limits;
		bool good;
		const char *says;
	} cases[] = {
	    {SET_NET_STORM, {.storm_frames = STORM_FRAMES_MAX}, true, ""},
	    {SET_NET_STORM, {.storm_frames = STORM_FRAMES_MAX + 1}, false, "1000000"},
	    {SET_NET_MCAST_RATE, {.mcast_kbit = MCAST_KBIT_MAX}, true, ""},
	    {SET_NET_MCAST_RATE, {.mcast_kbit = MCAST_KBIT_MAX + 1}, false, "100000000"},
	    {SET_NET_MCAST_LIMIT, {.mcast_limit = MCAST_LIMIT_MAX}, true, ""},
	    {SET_NET_MCAST_LIMIT, {.mcast_limit = MCAST_LIMIT_MAX + 1}, false, "1000"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		s = (struct network_settings){.limits = cases[i].limits};
		s.set = cases[i].set;
		assert_int_equal(set(s, &e), cases[i].good ? ADMIN_OK : ADMIN_INVALID);
		if (!cases[i].good)
			assert_non_null(strstr(e.detail, cases[i].says));
	}
	assert_int_equal(controller_network_get(c, nwid, &row, &e), ADMIN_OK);
	assert_int_equal(row.limits.storm_frames, STORM_FRAMES_MAX);
	assert_int_equal(row.limits.mcast_kbit, MCAST_KBIT_MAX);
	assert_int_equal(row.limits.mcast_limit, MCAST_LIMIT_MAX);
}

static void test_switches(void **state)
{
	static const uint32_t all[] = {NETWORK_PUBLIC,       NETWORK_IP_GUARD,     NETWORK_NO_RA_GUARD, NETWORK_NO_DHCP_GUARD,
	                               NETWORK_NO_BROADCAST, NETWORK_NO_MULTICAST, NETWORK_NO_ULA};
	struct admin_error e;
	uint32_t wanted = 0;
	(void)state;
	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++) { /* each by itself, the others stay */
		assert_int_equal(set((struct network_settings){.set = SET_NET_FLAGS, .flags_on = all[i]}, &e), ADMIN_OK);
		assert_int_equal(published().flags, wanted |= all[i]);
	}
	assert_int_equal(wanted, NETWORK_FLAGS);
	assert_int_equal(set((struct network_settings){.set = SET_NET_FLAGS, .flags_off = NETWORK_NO_BROADCAST}, &e), ADMIN_OK);
	assert_int_equal(published().flags, NETWORK_FLAGS & ~NETWORK_NO_BROADCAST);
	assert_int_equal(set((struct network_settings){.set = SET_NET_FLAGS, .flags_on = NETWORK_FLAGS + 1}, &e), ADMIN_INVALID);
	assert_int_equal(set((struct network_settings){.set = SET_NET_FLAGS, .flags_on = 1, .flags_off = 1}, &e), ADMIN_INVALID);
	assert_int_equal(published().flags, NETWORK_FLAGS & ~NETWORK_NO_BROADCAST);
}

static void test_rights(void **state)
{
	struct admin_error e;
	uint64_t ann = member_new(1);
	(void)state;
	assert_int_equal(controller_member_approve(c, nwid, ann, NULL, &e), ADMIN_OK);
	for (uint32_t flag = MEMBER_ANCHOR; flag < MEMBER_FLAGS; flag <<= 1) {
		assert_int_equal(rights(ann, flag, 0, &e), ADMIN_OK);
		assert_int_equal(flags_of(ann), flag);
		assert_int_equal(rights(ann, 0, flag, &e), ADMIN_OK);
		assert_int_equal(flags_of(ann), 0);
	}
	assert_int_equal(rights(ann, MEMBER_FLAGS + 1, 0, &e), ADMIN_INVALID);
}

/* A LAN's hosts send 1500 bytes whatever the overlay would like. */
static void test_bridge_mtu(void **state)
{
	struct admin_error e;
	char command[96];
	uint64_t ann = member_new(1), bob = member_new(2), late = member_new(3);
	(void)state;
	assert_int_equal(controller_member_approve(c, nwid, ann, NULL, &e), ADMIN_OK);
	assert_int_equal(controller_member_approve(c, nwid, bob, NULL, &e), ADMIN_OK);
	snprintf(command, sizeof(command), "farlan network set %016llx --mtu 1500", (unsigned long long)nwid);
	assert_int_equal(rights(ann, MEMBER_BRIDGE, 0, &e), ADMIN_CONFLICT);
	assert_non_null(strstr(e.hint, command));
	assert_int_equal(flags_of(ann), 0);
	assert_int_equal(rights(late, MEMBER_BRIDGE, 0, &e), ADMIN_CONFLICT); /* nor before its approval */
	assert_int_equal(rights(ann, MEMBER_ANCHOR, 0, &e), ADMIN_OK);
	assert_int_equal(rights(ann, 0, MEMBER_BRIDGE, &e), ADMIN_OK);

	assert_int_equal(set((struct network_settings){.set = SET_NET_MTU, .mtu = 1500}, &e), ADMIN_OK);
	assert_int_equal(rights(ann, MEMBER_BRIDGE, 0, &e), ADMIN_OK);
	assert_int_equal(rights(late, MEMBER_BRIDGE, 0, &e), ADMIN_OK);
	assert_int_equal(set((struct network_settings){.set = SET_NET_MTU, .mtu = 1499}, &e), ADMIN_CONFLICT);
	snprintf(command, sizeof(command), "farlan member set %016llx %010llx --bridge off", (unsigned long long)nwid,
	         (unsigned long long)ann);
	assert_non_null(strstr(e.hint, command));
	assert_int_equal(published().mtu, 1500);
	assert_int_equal(set((struct network_settings){.set = SET_NET_MTU, .mtu = 1501}, &e), ADMIN_OK);
	assert_int_equal(rights(ann, 0, MEMBER_BRIDGE, &e), ADMIN_OK);
	assert_int_equal(set((struct network_settings){.set = SET_NET_MTU, .mtu = 1400}, &e), ADMIN_OK);
	assert_int_equal(controller_member_approve(c, nwid, late, NULL, &e), ADMIN_CONFLICT); /* it would bridge from now on */
	assert_int_equal(set((struct network_settings){.set = SET_NET_MTU, .mtu = 9000}, &e), ADMIN_OK);
	assert_int_equal(controller_member_approve(c, nwid, late, NULL, &e), ADMIN_OK);
	assert_true(flags_of(late) & MEMBER_BRIDGE);
}

/* Who bridges already, from before there was such a rule, goes on, and its other settings can be changed. */
static void test_bridge_before(void **state)
{
	struct admin_error e;
	uint64_t ann = member_new(1);
	struct member_settings s = {.set = SET_MEMBER_NAME, .name = "other"};
	(void)state;
	assert_int_equal(set((struct network_settings){.set = SET_NET_MTU, .mtu = 1500}, &e), ADMIN_OK);
	assert_int_equal(controller_member_approve(c, nwid, ann, NULL, &e), ADMIN_OK);
	assert_int_equal(rights(ann, MEMBER_BRIDGE, 0, &e), ADMIN_OK);
	struct network_record n;
	assert_int_equal(store_network_get(c->store, nwid, &n), 0);
	n.mtu = 1400;
	assert_int_equal(store_network_update(c->store, &n), 0);
	settle();
	assert_int_equal(controller_member_set(c, nwid, ann, &s, &e), ADMIN_OK);
	assert_int_equal(rights(ann, MEMBER_BRIDGE | MEMBER_RELAY, 0, &e), ADMIN_OK);
	assert_int_equal(set((struct network_settings){.set = SET_NET_MTU, .mtu = 1400}, &e), ADMIN_OK); /* no change, no complaint */
	assert_int_equal(set((struct network_settings){.set = SET_NET_MTU, .mtu = 1450}, &e), ADMIN_CONFLICT);
}

static struct route route(const char *target, const char *via)
{
	struct route r = {.via_set = via != NULL};
	struct prefix p;
	assert_true(prefix_parse(target, false, &r.target));
	if (via) {
		assert_true(prefix_parse(via, false, &p));
		memcpy(r.via, p.ip, sizeof(r.via));
	}
	return r;
}

static struct {
	unsigned n;
	char text[8][320];
} warnings;

static void warned(void *self_, const char *text)
{
	(void)self_;
	if (warnings.n < 8)
		snprintf(warnings.text[warnings.n], sizeof(warnings.text[0]), "%s", text);
	warnings.n++;
}

static unsigned warn(uint64_t network)
{
	memset(&warnings, 0, sizeof(warnings));
	controller_network_warnings(c, network, warned, NULL);
	return warnings.n;
}

static void test_routes(void **state)
{
	struct admin_error e;
	struct network_row row;
	struct route back[ROUTES_MAX];
	unsigned n = 0;
	(void)state;
	struct network_settings s = {.set = SET_NET_POOL | SET_NET_ROUTES | SET_NET_DESCRIPTION,
	                             .pool = {.family = 4, .bits = 16, .ip = {10, 20}},
	                             .description = "the office",
	                             .n_routes = 2,
	                             .routes = {route("192.168.7.0/24", "10.20.0.5"), route("192.168.8.0/24", NULL)}};
	assert_int_equal(set(s, &e), ADMIN_OK);
	settle();
	const struct blob *b = &publication_find(c, nwid)->now[BLOB_ROUTES];
	assert_true(section_routes_parse(b->bytes, b->len, back, &n));
	assert_int_equal(n, 3); /* the pool itself, which is on link */
	assert_true(!back[0].via_set && back[0].target.bits == 16 && back[1].via_set && back[1].via[3] == 5 && !back[2].via_set);
	assert_int_equal(controller_network_get(c, nwid, &row, &e), ADMIN_OK);
	assert_true(row.n_routes == 2 && !strcmp(row.description, "the office"));
	/* what cannot work is refused, and nothing of it is kept */
	static const char *const bad[][2] = {{"192.168.7.0/24", "10.21.0.5"}, {"192.168.7.1/24", "10.20.0.5"}, {"fd00:1::/64", "fd00::1"}};
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct network_settings t = {.set = SET_NET_ROUTES, .n_routes = 1, .routes = {route(bad[i][0], bad[i][1])}};
		assert_int_equal(set(t, &e), ADMIN_INVALID);
	}
	struct network_settings twice = {
	    .set = SET_NET_ROUTES, .n_routes = 2, .routes = {route("192.168.7.0/24", NULL), route("192.168.7.0/24", "10.20.0.5")}};
	assert_int_equal(set(twice, &e), ADMIN_INVALID);
	twice.routes[1].metric = 5;
	assert_int_equal(set(twice, &e), ADMIN_OK);
	/* without the pool the way through it is none */
	assert_int_equal(set((struct network_settings){.set = SET_NET_POOL}, &e), ADMIN_INVALID);
	assert_int_equal(set((struct network_settings){.set = SET_NET_POOL | SET_NET_ROUTES}, &e), ADMIN_OK);
	assert_int_equal(controller_network_get(c, nwid, &row, &e), ADMIN_OK);
	assert_true(!row.n_routes && !row.pool.family && !row.pool_size);
}

static void test_dns(void **state)
{
	struct admin_error e;
	struct section_dns back;
	(void)state;
	struct network_settings s = {.set = SET_NET_DNS, .dns = {.domain = "office.lan", .n_servers = 1}};
	settle();
	assert_null(publication_find(c, nwid)->now[BLOB_DNS].bytes);
	assert_true(prefix_parse("10.20.0.53/32", false, &s.dns.servers[0]));
	assert_int_equal(set(s, &e), ADMIN_OK);
	settle();
	const struct blob *b = &publication_find(c, nwid)->now[BLOB_DNS];
	assert_true(section_dns_parse(b->bytes, b->len, &back));
	assert_memory_equal(&back, &s.dns, sizeof(back));
	assert_int_equal(set((struct network_settings){.set = SET_NET_DNS}, &e), ADMIN_OK);
	settle();
	const struct publication *p = publication_find(c, nwid);
	struct manifest m;
	assert_true(manifest_parse(p->now[BLOB_MANIFEST].bytes, p->now[BLOB_MANIFEST].len, &m));
	for (unsigned i = 0; i < m.n; i++)
		assert_int_not_equal(m.section[i].id, SECTION_DNS);
}

static void test_warnings(void **state)
{
	struct admin_error e;
	uint64_t other, ann;
	(void)state;
	struct network_settings s = {.set = SET_NET_POOL, .pool = {.family = 4, .bits = 16, .ip = {10, 20}}};
	assert_int_equal(set(s, &e), ADMIN_OK);
	assert_int_equal(warn(nwid), 0);
	struct network_settings t = {
	    .set = SET_NET_NAME | SET_NET_POOL, .name = "second", .pool = {.family = 4, .bits = 24, .ip = {10, 20, 5, 0}}};
	assert_int_equal(controller_network_create(c, &t, &other, &e), ADMIN_OK); /* it may be meant */
	assert_int_equal(warn(other), 1);
	assert_non_null(strstr(warnings.text[0], "10.20.0.0/16"));
	assert_int_equal(warn(nwid), 1);
	assert_non_null(strstr(warnings.text[0], "second"));
	assert_int_equal(controller_network_delete(c, other, &e), ADMIN_OK);
	assert_int_equal(warn(nwid), 0);
	/* a way by way of nobody, until somebody has the address */
	struct network_settings r = {.set = SET_NET_ROUTES, .n_routes = 1, .routes = {route("192.168.7.0/24", "10.20.0.1")}};
	assert_int_equal(set(r, &e), ADMIN_OK);
	assert_int_equal(warn(nwid), 1);
	ann = member_new(1);
	assert_int_equal(warn(nwid), 1);
	assert_int_equal(controller_member_approve(c, nwid, ann, NULL, &e), ADMIN_OK);
	assert_int_equal(warn(nwid), 0);
	r.routes[0] = route("8.8.8.0/24", NULL);
	assert_int_equal(set(r, &e), ADMIN_OK);
	assert_int_equal(warn(nwid), 1);
	assert_non_null(strstr(warnings.text[0], "private"));
	r.routes[0] = route("10.0.0.0/8", "10.20.0.1");
	assert_int_equal(set(r, &e), ADMIN_OK);
	assert_int_equal(warn(nwid), 1);
	assert_non_null(strstr(warnings.text[0], "overlaps the pool"));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_defaults),      TEST(test_limits), TEST(test_switches), TEST(test_rights),   TEST(test_bridge_mtu),
	    TEST(test_bridge_before), TEST(test_routes), TEST(test_dns),      TEST(test_warnings),
	};
	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
