/* throttle_test.c: how long who guesses has to wait, and that nobody makes others wait for longer than that. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "ui/limit.h"
#include "ui/throttle.h"

static struct throttle t;

static void begin(void)
{
	memset(&t, 0, sizeof(t));
	t.seed = 1; /* where users stand is chance else, and two may stand together */
}

static void waits_grow_to_a_bound(void **state)
{
	static const uint64_t waits[] = {1000, 2000, 4000, 8000, 16000, 30000, 30000, 30000};
	uint64_t now = 5000;
	(void)state;
	begin();
	for (unsigned i = 0; i < THROTTLE_FREE; i++)
		assert_true(throttle_try(&t, now, "anna", "192.0.2.1") == 0);
	for (unsigned i = 0; i < sizeof(waits) / sizeof(waits[0]); i++) {
		assert_true(throttle_try(&t, now, "anna", "192.0.2.1") == waits[i]);
		assert_true(throttle_try(&t, now + waits[i] - 1, "anna", "192.0.2.1") == 1); /* asking costs nothing more */
		now += waits[i];
		assert_true(throttle_try(&t, now, "anna", "192.0.2.1") == 0);
	}
	now += THROTTLE_FORGET_MS;
	for (unsigned i = 0; i < THROTTLE_FREE; i++)
		assert_true(throttle_try(&t, now, "anna", "192.0.2.1") == 0); /* forgotten */
}

/* A source gains nothing by signing in as somebody else between its guesses. */
static void logins_buy_no_guesses(void **state)
{
	uint64_t now = 5000;
	unsigned guesses = 0;
	(void)state;
	begin();
	for (unsigned i = 0; i < 100; i++) {
		if (throttle_try(&t, now, "anna", "192.0.2.1") == 0)
			guesses++;
		if (throttle_try(&t, now, "mallory", "192.0.2.1") == 0)
			throttle_good(&t, now, "mallory", "192.0.2.1");
	}
	assert_int_equal(guesses, THROTTLE_FREE);
}

/* Who has addresses without end fills the table, but not past the user's own slot. */
static void many_sources(void **state)
{
	uint64_t now = 5000;
	unsigned guesses = 0;
	char from[64];
	(void)state;
	begin();
	assert_true(throttle_try(&t, now, "anna", "192.0.2.1") == 0);
	throttle_good(&t, now, "anna", "192.0.2.1");
	for (unsigned i = 0; i < 60 * 60 * 10; i++, now += 100) { /* an hour, ten a second */
		snprintf(from, sizeof(from), "2001:db8:%x:%x::1", i >> 16, i & 0xffff);
		guesses += throttle_try(&t, now, "anna", from) == 0;
		if (i % 6000 == 0) { /* meanwhile she comes in from home */
			assert_true(throttle_try(&t, now, "anna", "192.0.2.1") == 0);
			throttle_good(&t, now, "anna", "192.0.2.1");
		}
	}
	assert_true(guesses >= 100 && guesses <= 3600 / 30 + 10 + 2 * 6);
	snprintf(from, sizeof(from), "203.0.113.9");
	uint64_t wait = throttle_try(&t, now, "anna", from);
	assert_true(wait <= THROTTLE_MOST_MS); /* and from anywhere else after half a minute at most */
	assert_true(throttle_try(&t, now + wait, "anna", from) == 0);
}

/* Guessing names that nobody has, from addresses without end, between the guesses at one that somebody has: no table forgets it. */
static void other_names_wash_nothing_away(void **state)
{
	uint64_t now = 5000;
	unsigned guesses = 0, source = 0;
	char from[64], user[32];
	(void)state;
	begin();
	for (unsigned round = 0; round < 20; round++, now += 1000) {
		for (unsigned i = 0; i < 20; i++, source++) {
			snprintf(from, sizeof(from), "2001:db8:%x:%x::1", source >> 16, source & 0xffff);
			guesses += throttle_try(&t, now, "anna", from) == 0;
		}
		for (unsigned i = 0; i < THROTTLE_SLOTS; i++, source++) {
			snprintf(from, sizeof(from), "2001:db8:%x:%x::1", source >> 16, source & 0xffff);
			snprintf(user, sizeof(user), "x%u", source);
			throttle_try(&t, now, user, from);
		}
	}
	assert_true(guesses >= THROTTLE_FREE && guesses <= THROTTLE_FREE + 5); /* in twenty seconds: after 1, 2, 4, 8 of waiting */
}

/* All of a /64 is one, however short its addresses are written. */
static void sources(void **state)
{
	static const char *const same[][2] = {{"2001:db8::aaaa:1:2:3", "2001:db8::bbbb:1:2:3"},
	                                      {"2001:db8::1", "2001:db8::ffff:0:0:9"},
	                                      {"2001:db8:1:2:3:4:5:6", "2001:db8:1:2::7"}};
	static const char *const others[][2] = {
	    {"2001:db8:0:1::1", "2001:db8::1"}, {"192.0.2.1", "192.0.2.2"}, {"::1", "127.0.0.1"}, {"uid 0", "uid 1000"}};
	char a[LIMIT_SOURCE], b[LIMIT_SOURCE];
	(void)state;
	for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++) {
		limit_source(same[i][0], a);
		limit_source(same[i][1], b);
		assert_string_equal(a, b);
	}
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		limit_source(others[i][0], a);
		limit_source(others[i][1], b);
		assert_string_not_equal(a, b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(waits_grow_to_a_bound),
	    cmocka_unit_test(logins_buy_no_guesses),
	    cmocka_unit_test(many_sources),
	    cmocka_unit_test(other_names_wash_nothing_away),
	    cmocka_unit_test(sources),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
