/* password_test.c: what is kept of a password opens for it alone, and a stranger's name costs what a wrong password costs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>
#include <time.h>

#include "proto/password.h"
#include "proto/seal.h"

static double seconds(void)
{
	struct timespec at;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &at);
	return (double)at.tv_sec + (double)at.tv_nsec / 1e9;
}

static void fits_itself_only(void **state)
{
	char one[PASSWORD_ROOM] = "", two[PASSWORD_ROOM] = "";
	(void)state;
	assert_int_equal(password_hash("correct horse", 13, one), 0);
	assert_int_equal(password_hash("correct horse", 13, two), 0);
	assert_string_not_equal(one, two); /* salted */
	assert_int_equal(strncmp(one, "$argon2id$v=19$m=65536,t=3,p=1$", 31), 0);
	assert_null(strstr(one, "correct"));
	assert_true(password_verify(one, "correct horse", 13));
	assert_true(password_verify(two, "correct horse", 13));
	assert_false(password_verify(one, "correct horsf", 13));
	assert_false(password_verify(one, "correct hors", 12));
	assert_false(password_verify(one, "", 0));
	assert_false(password_old(one));
	assert_true(password_old("$argon2id$v=19$m=8192,t=1,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"));
}

static void bounds(void **state)
{
	static char much[PASSWORD_MAX + 2];
	char kept[PASSWORD_ROOM] = "untouched";
	(void)state;
	memset(much, 'a', sizeof(much) - 1);
	assert_int_equal(password_hash("1234567", 7, kept), -EINVAL);
	assert_int_equal(password_hash(much, PASSWORD_MAX + 1, kept), -EINVAL);
	assert_string_equal(kept, "untouched");
	assert_int_equal(password_hash(much, PASSWORD_MAX, kept), 0);
	assert_true(password_verify(kept, much, PASSWORD_MAX));
	assert_false(password_verify(kept, much, PASSWORD_MAX - 1));
	assert_false(password_verify(kept, much, PASSWORD_MAX + 1));
}

/* A database is a file: what stands in it must not make us spend gigabytes or hours. */
static void damaged_strings(void **state)
{
	static const char *const bad[] = {
	    NULL,
	    "",
	    "$",
	    "plain text",
	    "$argon2id$v=19$m=4194304,t=1,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
	    "$argon2id$v=19$m=65536,t=4000000,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
	    "$argon2id$v=19$m=65536",
	    "$argon2id$v=19$m=65536,t=3,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
	};
	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		double from = seconds();
		assert_false(password_verify(bad[i], "correct horse", 13));
		assert_true(seconds() - from < 5);
	}
}

static void unknown_costs_as_much(void **state)
{
	char kept[PASSWORD_ROOM];
	double known = 1e9, unknown = 1e9, from;
	(void)state;
	assert_int_equal(password_hash("correct horse", 13, kept), 0);
	for (int i = 0; i < 3; i++) { /* the least of three: the machine is shared */
		from = seconds();
		password_verify(kept, "wrong password", 14);
		known = seconds() - from < known ? seconds() - from : known;
		from = seconds();
		password_verify(NULL, "wrong password", 14);
		unknown = seconds() - from < unknown ? seconds() - from : unknown;
	}
	print_message("wrong password %.0f ms, unknown user %.0f ms\n", known * 1e3, unknown * 1e3);
	assert_true(unknown > known / 2 && unknown < known * 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(fits_itself_only),
	    cmocka_unit_test(bounds),
	    cmocka_unit_test(damaged_strings),
	    cmocka_unit_test(unknown_costs_as_much),
	};
	if (seal_setup() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
