/* policy_decide() and its sisters by tables: every row of facts, the answer it must get. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "controller/policy.h"

#define NOW 1000000

static void test_decide(void **state)
{
	(void)state;
	const uint64_t spent = NOW + JOIN_BURST * JOIN_INTERVAL_MS;
	static const struct policy_request honest = {.honest = true}, liar = {.honest = false};
	const struct {
		const char *what;
		struct policy_rows rows;
		const struct policy_request *request;
		enum join_status answer;
		enum policy_action action;
	} table[] = {
	    {"stranger asks", {.trusted = true, .network = true}, &honest, JOIN_PENDING, POLICY_PEND},
	    {"pending asks again",
	     {.trusted = true, .network = true, .member = true, .state = MEMBER_PENDING},
	     &honest,
	     JOIN_PENDING,
	     POLICY_NOTHING},
	    {"pending is not limited",
	     {.trusted = true, .network = true, .member = true, .state = MEMBER_PENDING, .allowance = spent},
	     &honest,
	     JOIN_PENDING,
	     POLICY_NOTHING},
	    {"approved renews",
	     {.trusted = true, .network = true, .member = true, .state = MEMBER_APPROVED},
	     &honest,
	     JOIN_OK,
	     POLICY_NOTHING},
	    {"approved renews however often",
	     {.trusted = true, .network = true, .member = true, .state = MEMBER_APPROVED, .allowance = spent},
	     &honest,
	     JOIN_OK,
	     POLICY_NOTHING},
	    {"denied", {.trusted = true, .network = true, .member = true, .state = MEMBER_DENIED}, &honest, JOIN_DENIED, POLICY_NOTHING},
	    {"revoked", {.trusted = true, .network = true, .member = true, .state = MEMBER_REVOKED}, &honest, JOIN_DENIED, POLICY_NOTHING},
	    {"unknown network", {.trusted = true}, &honest, JOIN_DENIED, POLICY_NOTHING},
	    {"denied, limited",
	     {.trusted = true, .network = true, .member = true, .state = MEMBER_DENIED, .allowance = spent},
	     &honest,
	     JOIN_TRY_LATER,
	     POLICY_NOTHING},
	    {"revoked, limited",
	     {.trusted = true, .network = true, .member = true, .state = MEMBER_REVOKED, .allowance = spent},
	     &honest,
	     JOIN_TRY_LATER,
	     POLICY_NOTHING},
	    {"unknown network, limited", {.trusted = true, .allowance = spent}, &honest, JOIN_TRY_LATER, POLICY_NOTHING},
	    {"stranger, limited", {.trusted = true, .network = true, .allowance = spent}, &honest, JOIN_TRY_LATER, POLICY_NOTHING},
	    {"somebody else's identity", {.trusted = true, .network = true}, &liar, JOIN_DENIED, POLICY_NOTHING},
	    {"approved with a false identity",
	     {.trusted = true, .network = true, .member = true, .state = MEMBER_APPROVED},
	     &liar,
	     JOIN_DENIED,
	     POLICY_NOTHING},
	    {"address of another", {.trusted = true, .network = true, .collision = true}, &honest, JOIN_COLLISION, POLICY_NOTHING},
	    {"collision in an unknown network", {.trusted = true, .collision = true}, &honest, JOIN_DENIED, POLICY_NOTHING},
	    {"collision in a public network",
	     {.trusted = true, .network = true, .network_flags = NETWORK_PUBLIC, .collision = true},
	     &honest,
	     JOIN_COLLISION,
	     POLICY_NOTHING},
	    {"public: stranger", {.trusted = true, .network = true, .network_flags = NETWORK_PUBLIC}, &honest, JOIN_OK, POLICY_ADMIT},
	    {"public: pending from before",
	     {.trusted = true, .network = true, .network_flags = NETWORK_PUBLIC, .member = true, .state = MEMBER_PENDING},
	     &honest,
	     JOIN_OK,
	     POLICY_ADMIT},
	    {"public: revoked stays out",
	     {.trusted = true, .network = true, .network_flags = NETWORK_PUBLIC, .member = true, .state = MEMBER_REVOKED},
	     &honest,
	     JOIN_DENIED,
	     POLICY_NOTHING},
	    {"public but full",
	     {.trusted = true, .network = true, .network_flags = NETWORK_PUBLIC, .approved = MEMBERS_MAX},
	     &honest,
	     JOIN_PENDING,
	     POLICY_PEND},
	    {"queue full", {.trusted = true, .network = true, .pending = PENDING_MAX}, &honest, JOIN_PENDING, POLICY_EVICT_PEND},
	    {"queue full, but in it",
	     {.trusted = true, .network = true, .pending = PENDING_MAX, .member = true, .state = MEMBER_PENDING},
	     &honest,
	     JOIN_PENDING,
	     POLICY_NOTHING},
	    {"untrusted: stranger", {.network = true}, &honest, JOIN_TRY_LATER, POLICY_NOTHING},
	    {"untrusted: approved", {.network = true, .member = true, .state = MEMBER_APPROVED}, &honest, JOIN_TRY_LATER, POLICY_NOTHING},
	    {"untrusted: revoked", {.network = true, .member = true, .state = MEMBER_REVOKED}, &honest, JOIN_DENIED, POLICY_NOTHING},
	    {"untrusted: public", {.network = true, .network_flags = NETWORK_PUBLIC}, &honest, JOIN_TRY_LATER, POLICY_NOTHING},
	};
	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		struct policy_decision d = policy_decide(&table[i].rows, table[i].request, NOW);
		if (d.answer != table[i].answer || d.action != table[i].action)
			fail_msg("%s: answer %d, action %d", table[i].what, (int)d.answer, (int)d.action);
	}
}

static void test_allowance(void **state)
{
	(void)state;
	const struct policy_request honest = {.honest = true};
	struct policy_rows rows = {.trusted = true};
	unsigned denied = 0;
	/* an hour of one request per second: the burst and then one per interval */
	for (uint64_t t = 0; t < 3600; t++) {
		struct policy_decision d = policy_decide(&rows, &honest, NOW + t * 1000);
		rows.allowance = d.allowance;
		denied += d.answer == JOIN_DENIED;
		if (t < JOIN_BURST)
			assert_int_equal(d.answer, JOIN_DENIED);
	}
	assert_in_range(denied, 360, 360 + JOIN_BURST);
	/* a pending member's questions cost nothing of it */
	rows = (struct policy_rows){.trusted = true, .network = true, .member = true, .state = MEMBER_PENDING, .allowance = 5};
	assert_int_equal(policy_decide(&rows, &honest, NOW).allowance, 5);
}

static void test_full(void **state)
{
	(void)state;
	assert_null(policy_full(0, MEMBERS_MAX - 1, 0));
	assert_non_null(policy_full(0, MEMBERS_MAX, 0));
	assert_null(policy_full(0, 10, REVOCATIONS_MAX - 11));
	assert_non_null(policy_full(0, 10, REVOCATIONS_MAX - 10));
}

static void test_flags(void **state)
{
	(void)state;
	const struct {
		uint32_t on, off, effective;
	} table[] = {
	    {0, 0, 0},
	    {MEMBER_RELAY, 0, MEMBER_RELAY},
	    {MEMBER_BRIDGE, 0, MEMBER_BRIDGE | MEMBER_DHCP_SERVER | MEMBER_ROUTER},
	    {MEMBER_BRIDGE, MEMBER_ROUTER, MEMBER_BRIDGE | MEMBER_DHCP_SERVER},
	    {MEMBER_BRIDGE, MEMBER_ROUTER | MEMBER_DHCP_SERVER, MEMBER_BRIDGE},
	    {MEMBER_ROUTER, MEMBER_BRIDGE, MEMBER_ROUTER},
	    {0, MEMBER_DHCP_SERVER, 0},
	};
	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++)
		assert_int_equal(policy_flags(table[i].on, table[i].off), table[i].effective);
	uint32_t on = 0, off = 0;
	policy_flags_set(&on, &off, 0, MEMBER_DHCP_SERVER); /* set off before bridge comes: stays off */
	policy_flags_set(&on, &off, MEMBER_BRIDGE, 0);
	assert_int_equal(policy_flags(on, off), MEMBER_BRIDGE | MEMBER_ROUTER);
	policy_flags_set(&on, &off, MEMBER_DHCP_SERVER, MEMBER_BRIDGE);
	assert_int_equal(policy_flags(on, off), MEMBER_DHCP_SERVER);
	policy_flags_set(&on, &off, MEMBER_BRIDGE, 0);
	assert_int_equal(policy_flags(on, off), MEMBER_BRIDGE | MEMBER_DHCP_SERVER | MEMBER_ROUTER);
}

static void test_takes(void **state)
{
	(void)state;
	const struct prefix a = {.family = 4, .bits = 24, .ip = {10, 0, 0, 1}}, b = {.family = 4, .bits = 24, .ip = {10, 0, 0, 2}},
			    wide = {.family = 4, .bits = 16, .ip = {10, 0, 0, 1}};
	const struct prefix both[] = {a, b};
	assert_false(policy_takes(NULL, 0, 0, &a, 1, 0));
	assert_false(policy_takes(&a, 1, 8, &a, 1, 8));
	assert_false(policy_takes(&a, 1, 8, both, 2, 9));
	assert_true(policy_takes(both, 2, 0, &a, 1, 0));
	assert_true(policy_takes(&a, 1, 0, &b, 1, 0));
	assert_true(policy_takes(&a, 1, 0, &wide, 1, 0));
	assert_true(policy_takes(&a, 1, 9, &a, 1, 8));
	assert_true(policy_takes(&a, 1, 0, NULL, 0, 0));
}

static void test_pool_check(void **state)
{
	(void)state;
	const struct {
		struct prefix pool;
		bool good;
	} table[] = {
	    {{4, 24, {10, 20, 0, 0}}, true},    {{4, 8, {10, 0, 0, 0}}, true},    {{4, 30, {192, 168, 1, 4}}, true},
	    {{4, 31, {192, 168, 1, 4}}, false}, {{4, 0, {0, 0, 0, 0}}, false},    {{4, 7, {10, 0, 0, 0}}, false},
	    {{4, 24, {10, 20, 0, 1}}, false},   {{4, 33, {10, 20, 0, 0}}, false}, {{6, 64, {0xfd}}, false},
	    {{4, 24, {127, 0, 0, 0}}, false},   {{4, 24, {224, 0, 0, 0}}, false}, {{4, 24, {0, 1, 0, 0}}, false},
	    {{4, 16, {100, 64, 0, 0}}, true},   {{4, 255, {10, 0, 0, 0}}, false}, {{4, 24, {255, 255, 255, 0}}, false},
	};
	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++)
		if ((policy_pool_check(&table[i].pool) == NULL) != table[i].good)
			fail_msg("pool %zu", i);
}

static void test_pool_host(void **state)
{
	(void)state;
	const struct prefix pool = {4, 29, {10, 0, 0, 8}};
	unsigned hosts = 0;
	for (unsigned i = 0; i < 256; i++)
		hosts += policy_pool_host(&pool, (uint8_t[]){10, 0, 0, (uint8_t)i});
	assert_int_equal(hosts, 6);
	assert_false(policy_pool_host(&pool, (uint8_t[]){10, 0, 0, 8}));
	assert_true(policy_pool_host(&pool, (uint8_t[]){10, 0, 0, 9}));
	assert_true(policy_pool_host(&pool, (uint8_t[]){10, 0, 0, 14}));
	assert_false(policy_pool_host(&pool, (uint8_t[]){10, 0, 0, 15}));
	assert_false(policy_pool_host(&pool, (uint8_t[]){10, 0, 1, 9}));
}

static int addresses(const struct prefix *pool, const struct lease *leases, size_t n, uint64_t now, uint8_t (*ret)[4], size_t want)
{
	struct stretch s[RANGES_MAX];
	return policy_addresses(s, policy_stretches(pool, NULL, 0, s), leases, n, now, ret, want);
}

static bool one_address(const struct prefix *pool, const struct lease *leases, size_t n, uint64_t now, uint8_t ret[4])
{
	uint8_t ip[1][4];
	memcpy(ip[0], ret, 4);
	int r = addresses(pool, leases, n, now, ip, 1);
	memcpy(ret, ip[0], 4);
	assert_true(!r || r == -EADDRNOTAVAIL);
	return !r;
}

/* Many at once are those that would come one after the other. */
static void test_addresses(void **state)
{
	(void)state;
	const struct prefix pool = {4, 28, {10, 0, 0, 16}};
	const uint64_t day = ADDRESS_REST_S, now = 10 * day;
	const struct lease l[] = {{.ip = {10, 0, 0, 3}, .member = 7},       {.ip = {10, 0, 0, 18}, .member = 1},
	                          {.ip = {10, 0, 0, 19}, .freed = now - 5}, {.ip = {10, 0, 0, 20}, .freed = now - day},
	                          {.ip = {10, 0, 0, 25}, .freed = now - 9}, {.ip = {10, 0, 0, 30}, .member = 2},
	                          {.ip = {10, 0, 0, 40}, .freed = now - 20}};
	const uint8_t expected[] = {17, 20, 21, 22, 23, 24, 26, 27, 28, 29, 25, 19};
	uint8_t ip[13][4];
	assert_int_equal(addresses(&pool, l, 7, now, ip, 0), 0);
	for (size_t want = 1; want <= 12; want++) {
		assert_int_equal(addresses(&pool, l, 7, now, ip, want), 0);
		for (size_t i = 0; i < want; i++)
			assert_int_equal(ip[i][3], expected[i]);
	}
	assert_int_equal(addresses(&pool, l, 7, now, ip, 13), -EADDRNOTAVAIL);
}

static void test_address(void **state)
{
	(void)state;
	const struct prefix pool = {4, 29, {10, 0, 0, 8}}, none = {0};
	const uint64_t day = ADDRESS_REST_S, now = 10 * day;
	uint8_t ip[4] = {0};
	struct lease l[6];
	assert_false(one_address(&none, NULL, 0, now, ip));
	for (unsigned i = 0; i < 6; i++) { /* fills upwards */
		assert_true(one_address(&pool, l, i, now, ip));
		assert_int_equal(ip[3], 9 + i);
		l[i] = (struct lease){.bits = 29, .member = i + 1};
		memcpy(l[i].ip, ip, 4);
	}
	assert_false(one_address(&pool, l, 6, now, ip));
	assert_int_equal(ip[3], 14); /* untouched on failure */

	l[1].member = 0; /* freed just now: rests while there is another */
	l[1].freed = now - 10;
	assert_true(one_address(&pool, l, 5, now, ip));
	assert_int_equal(ip[3], 14);
	assert_true(one_address(&pool, l, 6, now, ip)); /* none other left */
	assert_int_equal(ip[3], 10);
	l[4].member = 0; /* of two resting ones the one freed longest ago */
	l[4].freed = now - 20;
	assert_true(one_address(&pool, l, 6, now, ip));
	assert_int_equal(ip[3], 13);
	l[1].freed = now - 30;
	assert_true(one_address(&pool, l, 6, now, ip));
	assert_int_equal(ip[3], 10);
	l[1].freed = now - day; /* rested: the lowest again */
	assert_true(one_address(&pool, l, 5, now, ip));
	assert_int_equal(ip[3], 10);
	l[1].freed = now - day + 1;
	assert_true(one_address(&pool, l, 5, now, ip));
	assert_int_equal(ip[3], 14);
	/* leases of an earlier pool are in nobody's way */
	struct lease outside[] = {
	    {.ip = {10, 0, 0, 2}, .member = 1}, {.ip = {10, 0, 0, 9}, .member = 2}, {.ip = {10, 9, 0, 0}, .member = 3}};
	assert_true(one_address(&pool, outside, 3, now, ip));
	assert_int_equal(ip[3], 10);
	/* the last address there is: no arithmetic beyond it */
	const struct prefix top = {4, 30, {223, 255, 255, 252}};
	struct lease high[] = {{.ip = {223, 255, 255, 253}, .member = 1}, {.ip = {223, 255, 255, 254}, .member = 2}};
	assert_true(one_address(&top, high, 1, now, ip));
	assert_int_equal(ip[3], 254);
	assert_false(one_address(&top, high, 2, now, ip));
}

static void test_name(void **state)
{
	(void)state;
	char longest[NAME_MAX_BYTES + 2];
	memset(longest, 'a', sizeof(longest));
	longest[NAME_MAX_BYTES + 1] = 0;
	assert_false(policy_name(longest));
	longest[NAME_MAX_BYTES] = 0;
	assert_true(policy_name(longest));
	assert_true(policy_name("B\xc3\xbcro"));
	assert_false(policy_name(""));
	assert_false(policy_name("a\nb"));
	assert_false(policy_name("a\x1b[31m"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_decide),    cmocka_unit_test(test_allowance), cmocka_unit_test(test_full),
	    cmocka_unit_test(test_flags),     cmocka_unit_test(test_takes),     cmocka_unit_test(test_pool_check),
	    cmocka_unit_test(test_pool_host), cmocka_unit_test(test_address),   cmocka_unit_test(test_addresses),
	    cmocka_unit_test(test_name),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
