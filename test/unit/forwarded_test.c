/* forwarded_test.c: whom a reverse proxy's word makes the source, and whom nobody's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/endpoint.h"
#include "ui/forwarded.h"
#include "ui/value.h"

static struct prefix prefixes[3];
static const struct trusted proxies = {prefixes, 3};

static int setup(void **state)
{
	(void)state;
	return value_prefix("127.0.0.1", &prefixes[0]) && value_prefix("10.8.0.0/16", &prefixes[1]) &&
	               value_prefix("2001:db8:9::/48", &prefixes[2])
	           ? 0
	           : -1;
}

static const char *source(const char *peer, const char *lines)
{
	static struct request request;
	static char copy[20000];
	request = (struct request){.path = "/"};
	snprintf(request.peer, sizeof(request.peer), "%s", peer);
	snprintf(copy, sizeof(copy), "%s", lines);
	for (char *at = strtok(copy, "\n"); at && request.n_forwarded_for < FORWARDED_MAX; at = strtok(NULL, "\n"))
		request.forwarded_for[request.n_forwarded_for++] = at;
	forwarded_apply(&proxies, &request);
	return request.peer;
}

static void chains(void **state)
{
	static const char *const cases[][3] = {
	    {"203.0.113.5", "192.0.2.1", "203.0.113.5"}, /* nobody's word */
	    {"127.0.0.1", "192.0.2.1", "192.0.2.1"},
	    {"127.0.0.1", "", "127.0.0.1"},
	    {"127.0.0.1", "198.51.100.1, 192.0.2.1", "192.0.2.1"}, /* what he wrote himself stands left */
	    {"127.0.0.1", "10.8.3.4, 192.0.2.1", "192.0.2.1"},     /* also when it is a proxy's name */
	    {"127.0.0.1", "192.0.2.1, 10.8.3.4", "192.0.2.1"},
	    {"127.0.0.1", "198.51.100.9,192.0.2.1,\t10.8.3.4 , 10.8.0.1", "192.0.2.1"},
	    {"127.0.0.1", "10.8.3.4, 127.0.0.1", "10.8.3.4"}, /* all of them ours: the furthest */
	    {"127.0.0.1", "192.0.2.1:4711", "192.0.2.1"},
	    {"127.0.0.1", "2001:db8::7", "2001:db8::7"},
	    {"127.0.0.1", "[2001:db8::7]:443", "2001:db8::7"},
	    {"127.0.0.1", "[2001:db8::7]", "2001:db8::7"},
	    {"127.0.0.1", "2001:DB8:0:0::7", "2001:db8::7"},
	    {"127.0.0.1", "::ffff:192.0.2.1", "192.0.2.1"},
	    {"127.0.0.1", "192.0.2.1, ::ffff:10.8.0.1", "192.0.2.1"},
	    {"127.0.0.1", "192.0.2.1, 2001:db8:9::1", "192.0.2.1"},
	    {"2001:db8:9::1", "192.0.2.1", "192.0.2.1"},
	    {"2001:db8:a::1", "192.0.2.1", "2001:db8:a::1"},
	    {"127.0.0.1", "192.0.2.1\n10.8.0.1", "192.0.2.1"}, /* two lines are one list */
	    {"127.0.0.1", "192.0.2.1\n198.51.100.2", "198.51.100.2"},
	    {"127.0.0.1", "192.0.2.1\n10.8.0.1\n10.8.0.2, 10.8.0.3\n127.0.0.1", "192.0.2.1"},
	    {"uid 0", "192.0.2.1", "uid 0"},
	    {"", "192.0.2.1", ""},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_string_equal(source(cases[i][0], cases[i][1]), cases[i][2]);
}

/* What is no address ends at the proxy that wrote it. */
static void garbage(void **state)
{
	static const char *const bad[] = {"unknown",
	                                  "_hidden",
	                                  "192.0.2",
	                                  "192.0.2.1.5",
	                                  "010.0.2.1",
	                                  "192.0.2.1:",
	                                  "192.0.2.1:x",
	                                  "192.0.2.1:123456",
	                                  "[2001:db8::7",
	                                  "[192.0.2.1]",
	                                  "[2001:db8::7]x",
	                                  "2001:db8::7]:1",
	                                  "192.0.2.1 x",
	                                  "\"192.0.2.1\"",
	                                  "fe80::1%eth0",
	                                  "192.0.2.1, ",
	                                  ",",
	                                  "%31",
	                                  "192.0.2.1;x=1",
	                                  "for=192.0.2.1",
	                                  "[]:80",
	                                  ":80",
	                                  "192.0.2.1,,"};
	char commas[8193], text[128];
	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_string_equal(source("127.0.0.1", bad[i]), "127.0.0.1");
		snprintf(text, sizeof(text), "%s, 10.8.0.1", bad[i]);
		assert_string_equal(source("127.0.0.1", text), "10.8.0.1");
	}
	memset(commas, ',', sizeof(commas) - 1);
	commas[sizeof(commas) - 1] = '\0';
	assert_string_equal(source("127.0.0.1", commas), "127.0.0.1");
	memset(commas, '9', sizeof(commas) - 1);
	assert_string_equal(source("127.0.0.1", commas), "127.0.0.1");
	for (size_t i = 0; i + 5 < sizeof(commas); i += 4)
		memcpy(commas + i, "::1,", 4);
	commas[sizeof(commas) - 1] = '\0';
	assert_string_equal(source("127.0.0.1", commas), "127.0.0.1"); /* cut in an element */
	strcpy(commas, "192.0.2.1");
	for (unsigned i = 0; i < 40; i++)
		strcat(commas, ",10.8.0.1"); /* more hops than anybody has: it ends at a proxy */
	assert_string_equal(source("127.0.0.1", commas), "10.8.0.1");
}

static void random_bytes_are_nobody(void **state)
{
	static const char letters[] = "0123456789abcdef:.,[] \t%xZ";
	char text[200];
	(void)state;
	srand(7);
	for (unsigned round = 0; round < 20000; round++) {
		size_t n = (size_t)rand() % (sizeof(text) - 1);
		for (size_t i = 0; i < n; i++)
			text[i] = letters[(size_t)rand() % (sizeof(letters) - 1)];
		text[n] = '\0';
		struct endpoint e;
		char shown[80];
		const char *peer = source("127.0.0.1", text);
		snprintf(shown, sizeof(shown), strchr(peer, ':') ? "[%s]:1" : "%s:1", peer);
		assert_true(endpoint_parse(shown, &e)); /* always a whole address */
	}
}

static bool https(const char *peer, const char *proto)
{
	struct request request = {.path = "/", .forwarded_proto = proto};
	snprintf(request.peer, sizeof(request.peer), "%s", peer);
	request.secure = true; /* whatever stood there */
	forwarded_apply(&proxies, &request);
	return request.secure;
}

static void the_browsers_side(void **state)
{
	(void)state;
	assert_true(https("127.0.0.1", "https"));
	assert_true(https("127.0.0.1", "HTTPS "));
	assert_true(https("127.0.0.1", "http, https"));
	assert_false(https("127.0.0.1", "https, http"));
	assert_false(https("127.0.0.1", "http"));
	assert_false(https("127.0.0.1", "xhttps"));
	assert_false(https("127.0.0.1", "https,"));
	assert_false(https("127.0.0.1", ""));
	assert_false(https("127.0.0.1", NULL));
	assert_false(https("203.0.113.5", "https"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(chains), cmocka_unit_test(garbage), cmocka_unit_test(random_bytes_are_nobody),
	                                   cmocka_unit_test(the_browsers_side)};
	return cmocka_run_group_tests(tests, setup, NULL);
}
