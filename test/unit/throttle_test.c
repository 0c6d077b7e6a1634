/* throttle_test.c: how long who guesses has to wait, and that nobody makes others wait for longer than that. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "ui/throttle.h"

static struct throttle t;

static void waits_grow_to_a_bound(void **state)
{
	static const uint64_t waits[] = {1000, 2000, 4000, 8000, 16000, 30000, 30000, 30000};
	uint64_t now = 5000;
	(void)state;
	memset(&t, 0, sizeof(t));
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
	memset(&t, 0, sizeof(t));
	for (unsigned i = 0; i < 100; i++) {
		if (throttle_try(&t, now, "anna", "192.0.2.1") == 0)
			guesses++;
		if (throttle_try(&t, now, "mallory", "192.0.2.1") == 0)
			throttle_good(&t, "mallory", "192.0.2.1");
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
	memset(&t, 0, sizeof(t));
	assert_true(throttle_try(&t, now, "anna", "192.0.2.1") == 0);
	throttle_good(&t, "anna", "192.0.2.1");
	for (unsigned i = 0; i < 60 * 60 * 10; i++, now += 100) { /* an hour, ten a second */
		snprintf(from, sizeof(from), "2001:db8:%x:%x::1", i >> 16, i & 0xffff);
		guesses += throttle_try(&t, now, "anna", from) == 0;
		if (i % 6000 == 0) { /* meanwhile she comes in from home */
			assert_true(throttle_try(&t, now, "anna", "192.0.2.1") == 0);
			throttle_good(&t, "anna", "192.0.2.1");
		}
	}
	assert_true(guesses >= 100 && guesses <= 3600 / 30 + 10 + 2 * 6);
	snprintf(from, sizeof(from), "203.0.113.9");
	uint64_t wait = throttle_try(&t, now, "anna", from);
	assert_true(wait <= THROTTLE_MOST_MS); /* and from anywhere else after half a minute at most */
	assert_true(throttle_try(&t, now + wait, "anna", from) == 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(waits_grow_to_a_bound),
	    cmocka_unit_test(logins_buy_no_guesses),
	    cmocka_unit_test(many_sources),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
