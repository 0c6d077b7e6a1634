/* Prefixes, and what kind of place an address is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "proto/endpoint.h"
#include "proto/prefix.h"

static struct endpoint at(const char *text)
{
	struct endpoint e;
	if (!endpoint_parse(text, &e))
		fail_msg("%s", text);
	return e;
}

static struct prefix prefix(const char *text)
{
	struct prefix p;
	if (!prefix_parse(text, true, &p))
		fail_msg("%s", text);
	return p;
}

static void test_kinds(void **state)
{
	enum { USABLE = 1, PRIVATE = 2, GLOBAL = 4 };
	static const struct {
		const char *text;
		unsigned kind;
	} rows[] = {
	    {"8.8.4.4:1", USABLE | GLOBAL},
	    {"10.1.2.3:1", USABLE | PRIVATE},
	    {"9.255.255.255:1", USABLE | GLOBAL},
	    {"11.0.0.0:1", USABLE | GLOBAL},
	    {"100.63.255.255:1", USABLE | GLOBAL},
	    {"100.64.0.1:1", USABLE},
	    {"100.127.255.255:1", USABLE},
	    {"100.128.0.0:1", USABLE | GLOBAL},
	    {"172.15.0.1:1", USABLE | GLOBAL},
	    {"172.16.0.1:1", USABLE | PRIVATE},
	    {"172.31.0.1:1", USABLE | PRIVATE},
	    {"172.32.0.1:1", USABLE | GLOBAL},
	    {"192.168.0.1:1", USABLE | PRIVATE},
	    {"192.169.0.1:1", USABLE | GLOBAL},
	    {"169.254.1.1:1", 0},
	    {"169.255.1.1:1", USABLE | GLOBAL},
	    {"223.255.255.1:1", USABLE | GLOBAL},
	    {"224.0.0.1:1", 0},
	    {"255.255.255.255:1", 0},
	    {"127.0.0.1:1", 0},
	    {"0.0.0.0:1", 0},
	    {"0.1.2.3:1", 0},
	    {"[2001:db8::1]:1", USABLE | GLOBAL},
	    {"[fd00::1]:1", USABLE | PRIVATE},
	    {"[fc00::1]:1", USABLE | PRIVATE},
	    {"[fe80::1]:1", 0},
	    {"[febf::1]:1", 0},
	    {"[ff02::1]:1", 0},
	    {"[::1]:1", 0},
	    {"[::]:1", 0},
	    {"[::2]:1", USABLE},
	    {"[3fff::1]:1", USABLE | GLOBAL},
	    {"[4000::1]:1", USABLE},
	};
	(void)state;
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		for (unsigned stream = 0; stream < 2; stream++) {
			struct endpoint e = at(rows[i].text);
			e.family |= stream ? ENDPOINT_STREAM : 0;
			unsigned kind = (endpoint_usable(&e) ? USABLE : 0u) | (endpoint_private(&e) ? PRIVATE : 0u) |
			                (endpoint_global(&e) ? GLOBAL : 0u);
			if (kind != rows[i].kind)
				fail_msg("%s is %u", rows[i].text, kind);
		}
	struct endpoint none = {0};
	assert_false(endpoint_usable(&none) || endpoint_private(&none) || endpoint_global(&none));
}

static void test_forms(void **state)
{
	static const struct {
		const char *text, *formatted;
	} good[] = {{"10.0.0.0/8", "10.0.0.0/8"},
	            {"10.1.2.3/24", "10.1.2.3/24"},
	            {"0.0.0.0/0", "0.0.0.0/0"},
	            {"192.0.2.1/32", "192.0.2.1/32"},
	            {"fd00::/8", "fd00::/8"},
	            {"2001:DB8:0:0::1/128", "2001:db8::1/128"},
	            {"::/0", "::/0"},
	            {"::ffff:1.2.3.4/96", "::ffff:1.2.3.4/96"}};
	static const char *const bad[] = {"",
	                                  "/",
	                                  "10.0.0.0/",
	                                  "10.0.0.0/33",
	                                  "10.0.0.0/08",
	                                  "10.0.0.0/-1",
	                                  "10.0.0.0/+1",
	                                  "10.0.0.0/ 8",
	                                  "10.0.0.0/8 ",
	                                  "10.0.0.0/256",
	                                  "10.0.0.0/8/8",
	                                  "10.0.0/8",
	                                  "010.0.0.0/8",
	                                  "fd00::/129",
	                                  "fd00::/1000",
	                                  "fe80::%1/64",
	                                  "[fd00::]/8",
	                                  "10.0.0.0",
	                                  "10.0.0.0/4294967304"};
	struct prefix p, before = {.family = 9};
	char text[PREFIX_TEXT];
	(void)state;
	for (unsigned i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		p = prefix(good[i].text);
		prefix_format(&p, text, sizeof(text));
		assert_string_equal(text, good[i].formatted);
	}
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		p = before;
		if (prefix_parse(bad[i], true, &p))
			fail_msg("\"%s\" was taken", bad[i]);
		assert_memory_equal(&p, &before, sizeof(p));
	}
	assert_true(prefix_parse("10.0.0.5", false, &p));
	assert_int_equal(p.bits, 0);
	p = (struct prefix){6, 128, {0}};
	memset(p.ip, 0xff, sizeof(p.ip));
	prefix_format(&p, text, sizeof(text));
	assert_string_equal(text, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128");
}

static void test_holds(void **state)
{
	static const struct {
		const char *prefix, *endpoint;
		bool holds;
	} rows[] = {
	    {"10.8.0.0/16", "10.8.255.1:1", true},
	    {"10.8.0.0/16", "10.9.0.1:1", false},
	    {"10.8.0.0/13", "10.15.0.1:1", true},
	    {"10.8.0.0/13", "10.16.0.1:1", false},
	    {"10.8.0.1/32", "10.8.0.1:1", true},
	    {"10.8.0.1/32", "10.8.0.2:1", false},
	    {"0.0.0.0/0", "255.1.1.1:1", true},
	    {"0.0.0.0/0", "[::1]:1", false},
	    {"10.8.7.7/16", "10.8.1.1:1", true},
	    {"2001:db8::/33", "[2001:db8:7fff::]:1", true},
	    {"2001:db8::/33", "[2001:db8:8000::]:1", false},
	    {"::/0", "10.0.0.1:1", false},
	};
	(void)state;
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct prefix p = prefix(rows[i].prefix);
		struct endpoint e = at(rows[i].endpoint);
		if (prefix_holds(&p, &e) != rows[i].holds)
			fail_msg("%s %s", rows[i].prefix, rows[i].endpoint);
		e.family |= ENDPOINT_STREAM;
		assert_int_equal(prefix_holds(&p, &e), rows[i].holds);
	}
}

static void test_within(void **state)
{
	struct prefix net = prefix("10.8.0.0/16"), same = prefix("10.8.9.9/16"), small = prefix("10.8.128.0/17"),
		      other = prefix("10.9.0.0/17"), six = prefix("a08::/17");
	(void)state;
	assert_true(prefix_within(&small, &net));
	assert_true(prefix_within(&same, &net));
	assert_true(prefix_within(&net, &same));
	assert_false(prefix_within(&net, &small));
	assert_false(prefix_within(&other, &net));
	assert_false(prefix_within(&six, &net));
	assert_true(prefix_is_net(&net));
	assert_true(prefix_is_net(&small));
	assert_false(prefix_is_net(&same));
	net = prefix("2001:db8::1/127");
	assert_false(prefix_is_net(&net));
	net = prefix("2001:db8::1/128");
	assert_true(prefix_is_net(&net));
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_kinds), cmocka_unit_test(test_forms), cmocka_unit_test(test_holds),
	                                   cmocka_unit_test(test_within)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
