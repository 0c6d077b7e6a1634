/* Values of options and lines: durations as people write and read them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ui/value.h"

static void test_duration(void **state)
{
	static const struct {
		const char *text;
		uint64_t seconds;
	} good[] = {{"1", 1},       {"90", 90},          {"90s", 90},        {"90m", 5400},
	            {"24h", 86400}, {"30d", 30 * 86400}, {"2w", 14 * 86400}, {"36500d", 3153600000}};
	static const char *const bad[] = {"",
	                                  "0",
	                                  "0d",
	                                  "d",
	                                  "-1d",
	                                  "+1d",
	                                  "1 d",
	                                  " 1d",
	                                  "1.5h",
	                                  "1dd",
	                                  "1d2h",
	                                  "1y",
	                                  "1D",
	                                  "36501d",
	                                  "3153600001",
	                                  "18446744073709551617",
	                                  "99999999999999999999w"};
	(void)state;
	for (unsigned i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		uint64_t n = 0;
		assert_true(value_duration(good[i].text, &n));
		assert_int_equal(n, good[i].seconds);
	}
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		uint64_t n = 77;
		assert_false(value_duration(bad[i], &n));
		assert_int_equal(n, 77);
	}
}

static void test_duration_format(void **state)
{
	static const struct {
		uint64_t seconds;
		const char *text;
	} all[] = {{0, "0s"},         {59, "59s"},     {90, "90s"},         {120, "2m"},           {3600, "60m"},
	           {7200, "2h"},      {7260, "2h 1m"}, {30 * 86400, "30d"}, {86400 + 3600, "25h"}, {2 * 86400 + 4 * 3600 + 59, "2d 4h"},
	           {UINT64_MAX, NULL}};
	char text[DURATION_TEXT];
	(void)state;
	for (unsigned i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		duration_format(all[i].seconds, text);
		if (all[i].text)
			assert_string_equal(text, all[i].text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_duration), cmocka_unit_test(test_duration_format)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
