/* root_line_test.c: a root's line, as it is copied, mistyped and cut. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "proto/root_line.h"

#define ID                                                                                                                                 \
	"fln1:c5057629d8:qIACh1qZ92Hd6FdaYtCQPLnykTja55RJdheTjgn-l012qNUXGvhIxGVOM3muAakxxssNGA-"                                          \
	"M6lQCQJ1ZAS58SQ"
#define KEY      "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"
#define ZERO_KEY "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
#define L63      "a23456789012345678901234567890123456789012345678901234567890abc"
#define NAME_253                                                                                                                           \
	L63 "." L63 "." L63 "."                                                                                                            \
	    "a234567890123456789012345678901234567890123456789012345678901"

static void accepted(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		unsigned endpoints, names;
		bool gate, pin;
		uint16_t tls;
	} good[] = {
	    {ID "@192.0.2.1:9993", 1, 0, false, false, 443},
	    {ID "@192.0.2.1:9993,[2001:db8::1]:9993#gate=" KEY, 2, 0, true, false, 443},
	    {ID "@192.0.2.1:1,192.0.2.2:2,192.0.2.3:3,[fd00:1111:2222:3333:4444:5555:6666:7777]:65535#gate=" KEY, 4, 0, true, false, 443},
	    {ID "@root.example.org:9993", 0, 1, false, false, 443},
	    {ID "@192.0.2.1:9993,root.example.org:9993,other:1", 1, 2, false, false, 443},
	    {ID "@4x4.r_1.xn--p1ai:9993#tls=none", 0, 1, false, false, 0},
	    {ID "@a.b:65535#gate=" KEY "&tls=8443&pin=" KEY, 0, 1, true, true, 8443},
	    {ID "@" NAME_253 ":65535,a:1,a:2,a:3#pin=" KEY, 0, 4, false, true, 443},
	};
	char buf[ROOT_LINE_MAX];
	const char *why;
	size_t at;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		struct root_line line;
		if (!root_line_parse(good[i].text, &line, &at, &why))
			fail_msg("%s: %s", good[i].text, why);
		assert_int_equal(line.identity.address, 0xc5057629d8);
		assert_int_equal(line.n_endpoints, good[i].endpoints);
		assert_int_equal(line.n_names, good[i].names);
		assert_int_equal(line.gate[31], good[i].gate ? 31 : 0);
		assert_int_equal(line.tls_port, good[i].tls);
		assert_int_equal(line.pin_set, good[i].pin);
		assert_int_equal(line.pin[31], good[i].pin ? 31 : 0);
		assert_int_equal(root_line_format(&line, buf, sizeof(buf)), strlen(good[i].text));
		assert_string_equal(buf, good[i].text);
		assert_int_equal(root_line_format(&line, buf, strlen(good[i].text) + 1), strlen(good[i].text));
		assert_int_equal(root_line_format(&line, buf, strlen(good[i].text)), 0);
	}
}

/* One spelling comes out: lower case, addresses first, keys in their order, defaults unsaid. */
static void one_spelling(void **state)
{
	(void)state;
	struct root_line line;
	char buf[ROOT_LINE_MAX];
	const char *why;
	size_t at;
	assert_true(root_line_parse(ID "@Root.Example.ORG:9993,192.0.2.1:7#pin=" KEY "&tls=443&gate=" KEY, &line, &at, &why));
	assert_string_equal(line.names[0].host, "root.example.org");
	assert_int_equal(line.names[0].port, 9993);
	assert_true(root_line_format(&line, buf, sizeof(buf)) > 0);
	assert_string_equal(buf, ID "@192.0.2.1:7,root.example.org:9993#gate=" KEY "&pin=" KEY);
}

static void refused(void **state)
{
	(void)state;
	const size_t id = sizeof(ID) - 1, hash = id + 15; /* of "@192.0.2.1:9993#" */
	const struct {
		const char *in;
		size_t at;
	} bad[] = {
	    {"", 0},
	    {ID, id},
	    {ID "@", id + 1},
	    {ID "@192.0.2.1", id + 1},
	    {ID "@192.0.2.1:9993,", id + 16},
	    {ID "@192.0.2.1:9993,,192.0.2.2:9993", id + 16},
	    {ID "@192.0.2.1:9993 ", id + 1},
	    {ID "@192.0.2.1:1,192.0.2.1:2,192.0.2.1:3,192.0.2.1:4,192.0.2.1:5", id + 1 + 4 * 12},
	    {ID "@192.0.2.1:1,a.bc:2,192.0.2.1:3,192.0.2.1:4,a.example:5", id + 1 + 3 * 12 + 7},
	    {ID "@192.0.2.1:9993#", hash + 1},
	    {ID "@192.0.2.1:9993#gat=" KEY, hash + 1},
	    {ID "@192.0.2.1:9993#gate", hash + 1},
	    {ID "@192.0.2.1:9993#gate=", hash + 6},
	    {ID "@192.0.2.1:9993#gate=" KEY "A", hash + 6},
	    {ID "@192.0.2.1:9993#gate=" ZERO_KEY, hash + 6},
	    {ID "@192.0.2.1:9993#tls=", hash + 5},
	    {ID "@192.0.2.1:9993#tls=0", hash + 5},
	    {ID "@192.0.2.1:9993#tls=0443", hash + 5},
	    {ID "@192.0.2.1:9993#tls=65536", hash + 5},
	    {ID "@192.0.2.1:9993#tls=nones", hash + 5},
	    {ID "@192.0.2.1:9993#pin=" ZERO_KEY, hash + 5},
	    {ID "@192.0.2.1:9993#pin=abc", hash + 5},
	    {ID "@192.0.2.1:9993#tls=1&", hash + 7},
	    {ID "@192.0.2.1:9993#tls=1&tls=2", hash + 7},
	    {ID "@192.0.2.1:9993#tls=1&&pin=" KEY, hash + 7},
	    {ID "@192.0.2.1:9993#tls=1#pin=" KEY, hash + 5},
	    {"fln1:c5057629d8:short@192.0.2.1:9993", 0},
	    {" " ID "@192.0.2.1:9993", 0},
	    /* names that are none */
	    {ID "@root.example.org", id + 1},
	    {ID "@root.example.org:", id + 1},
	    {ID "@root.example.org:0", id + 1},
	    {ID "@root.example.org:65536", id + 1},
	    {ID "@root.example.org:1:2", id + 1},
	    {ID "@root.example.org.:1", id + 1},
	    {ID "@.root:1", id + 1},
	    {ID "@a..b:1", id + 1},
	    {ID "@:1", id + 1},
	    {ID "@-a.b:1", id + 1},
	    {ID "@a-.b:1", id + 1},
	    {ID "@a b:1", id + 1},
	    {ID "@a/b:1", id + 1},
	    {ID "@\xc3\xa4.de:1", id + 1},
	    {ID "@" L63 "d:1", id + 1},
	    {ID "@" NAME_253 "2:1", id + 1},
	    /* numbers that a resolver would take for addresses */
	    {ID "@192.0.2:9993", id + 1},
	    {ID "@192.0.2.256:9993", id + 1},
	    {ID "@3221225985:9993", id + 1},
	    {ID "@0xc0000201:9993", id + 1},
	    {ID "@192.0x2:9993", id + 1},
	    {ID "@[::1:9993", id + 1},
	    {ID "@[a.example]:9993", id + 1},
	};
	struct root_line line, before;
	memset(&line, 0x5a, sizeof(line));
	memcpy(&before, &line, sizeof(line));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		size_t at = 9999;
		const char *why = NULL;
		if (root_line_parse(bad[i].in, &line, &at, &why))
			fail_msg("accepted '%s'", bad[i].in);
		if (at != bad[i].at)
			fail_msg("'%s': refused at %zu, not at %zu", bad[i].in, at, bad[i].at);
		assert_true(why && strlen(why) > 10);
	}
	char longer[ROOT_LINE_MAX + 100];
	const char *why;
	size_t at;
	memset(longer, 'a', sizeof(longer));
	longer[sizeof(longer) - 1] = 0;
	assert_false(root_line_parse(longer, &line, &at, &why));
	assert_int_equal(at, ROOT_LINE_MAX - 1);
	assert_memory_equal(&line, &before, sizeof(line));
}

/* The longest line there can be fits into ROOT_LINE_MAX. */
static void longest(void **state)
{
	(void)state;
	static const char text[] =
	    ID "@" NAME_253 ":65535," NAME_253 ":65534," NAME_253 ":65533," NAME_253 ":65532#gate=" KEY "&tls=65535&pin=" KEY;
	char buf[ROOT_LINE_MAX];
	struct root_line line;
	const char *why;
	size_t at;
	assert_int_equal(strlen(NAME_253), ROOT_HOST_MAX);
	assert_true(root_line_parse(text, &line, &at, &why));
	assert_int_equal(root_line_format(&line, buf, sizeof(buf)), sizeof(text) - 1);
	assert_string_equal(buf, text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(accepted),
	    cmocka_unit_test(one_spelling),
	    cmocka_unit_test(refused),
	    cmocka_unit_test(longest),
	};
	return cmocka_run_group_tests_name("root_line", tests, NULL, NULL);
}
