/* Options that may stand anywhere, and what is answered to those that are wrong. */
#include "ui/options.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static const struct option table[] = {
    {"home", 0, "DIR", ""}, {"listen", 0, "IP:PORT", ""}, {"output", 'o', "FORMAT", ""},
    {"root", 0, NULL, ""},  {"help", 'h', NULL, ""},      {0},
};
static char why[OPTIONS_WHY];

#define PARSE(ret, ...)                                                                                                                    \
	options_parse(ret, table, (int)(sizeof((char *[]){"p", __VA_ARGS__}) / sizeof(char *)), (char *[]){"p", __VA_ARGS__}, why)

static void test_anywhere(void **state)
{
	(void)state;
	struct options o;
	assert_true(PARSE(&o, "join", "--home", "h", "id", "-ojson", "--root", "--listen=1", "--listen", "2", "-", "--", "--help"));
	assert_int_equal(o.n_words, 4);
	assert_string_equal(o.words[0], "join");
	assert_string_equal(o.words[1], "id");
	assert_string_equal(o.words[2], "-"); /* standard output or input, a word */
	assert_string_equal(o.words[3], "--help");
	assert_string_equal(options_value(&o, "home"), "h");
	assert_string_equal(options_value(&o, "output"), "json");
	assert_string_equal(options_value(&o, "listen"), "2");
	assert_true(options_has(&o, "root"));
	assert_false(options_has(&o, "help"));
	assert_null(options_value(&o, "help"));
	assert_int_equal(o.n_given, 5);
	assert_true(PARSE(&o, "--home", "--root")); /* a value is the next word, whatever it looks like */
	assert_string_equal(options_value(&o, "home"), "--root");
	assert_true(PARSE(&o, "--home="));
	assert_string_equal(options_value(&o, "home"), "");
}

static void refused(bool ok, const char *holds)
{
	assert_false(ok);
	if (!strstr(why, holds))
		fail_msg("\"%s\" lacks \"%s\"", why, holds);
}

static void test_refusals(void **state)
{
	(void)state;
	struct options o = {.n_words = 7};
	refused(PARSE(&o, "--hom", "x"), "did you mean --home?");
	refused(PARSE(&o, "--lisetn=1"), "did you mean --listen?");
	refused(PARSE(&o, "--zzzzzzzzzz"), "unknown option --zzzzzzzzzz; --help");
	refused(PARSE(&o, "-x"), "unknown option -x");
	refused(PARSE(&o, "--\x1b[31m"), "\\x1b");
	refused(PARSE(&o, "--home"), "needs a value: --home DIR");
	refused(PARSE(&o, "-o"), "needs a value");
	refused(PARSE(&o, "--root=yes"), "takes no value");
	assert_int_equal(o.n_words, 7); /* untouched */
}

static void test_limits(void **state)
{
	(void)state;
	static char *argv[1 + 2 * OPTIONS_WORDS_MAX];
	struct options o;
	argv[0] = "p";
	for (int i = 1; i <= OPTIONS_WORDS_MAX + 1; i++)
		argv[i] = "w";
	assert_true(options_parse(&o, table, 1 + OPTIONS_WORDS_MAX, argv, why));
	assert_int_equal(o.n_words, OPTIONS_WORDS_MAX);
	assert_false(options_parse(&o, table, 2 + OPTIONS_WORDS_MAX, argv, why));
	for (int i = 1; i <= OPTIONS_GIVEN_MAX + 1; i++)
		argv[i] = "--root";
	assert_true(options_parse(&o, table, 1 + OPTIONS_GIVEN_MAX, argv, why));
	assert_false(options_parse(&o, table, 2 + OPTIONS_GIVEN_MAX, argv, why));
}

static void test_near(void **state)
{
	(void)state;
	static const char *const names[] = {"status", "join", "peers", NULL};
	static const char *const one[] = {"id", NULL};
	assert_string_equal(options_near("jion", names), "join"); /* neighbours swapped: one step */
	assert_string_equal(options_near("statsu", names), "status");
	assert_string_equal(options_near("peer", names), "peers");
	assert_null(options_near("quit", names));
	assert_null(options_near("x", one));
	assert_null(options_near("", one));
	char longer[200];
	memset(longer, 'a', sizeof(longer));
	longer[199] = 0;
	assert_null(options_near(longer, names));
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_anywhere), cmocka_unit_test(test_refusals), cmocka_unit_test(test_limits),
	                                   cmocka_unit_test(test_near)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
