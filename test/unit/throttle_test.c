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
			throttle_good(&t, now, "mallory", "192.0.2.1", 1, true);
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
	throttle_good(&t, now, "anna", "192.0.2.1", 1, true);
	for (unsigned i = 0; i < 60 * 60 * 10; i++, now += 100) { /* an hour, ten a second */
		snprintf(from, sizeof(from), "2001:db8:%x:%x::1", i >> 16, i & 0xffff);
		guesses += throttle_try(&t, now, "anna", from) == 0;
		if (i % 6000 == 0) { /* meanwhile she comes in from home */
			assert_true(throttle_try(&t, now, "anna", "192.0.2.1") == 0);
			throttle_good(&t, now, "anna", "192.0.2.1", 1, true);
		}
	}
	assert_true(guesses >= 100 && guesses <= 3600 / 30 + 30); /* a little more before all of them are known to hammer */
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
		for (unsigned i = 0; i < 512; i++, source++) {
			snprintf(from, sizeof(from), "2001:db8:%x:%x::1", source >> 16, source & 0xffff);
			snprintf(user, sizeof(user), "x%u", source);
			throttle_try(&t, now, user, from);
		}
	}
	assert_true(guesses >= THROTTLE_FREE && guesses <= 2 * (THROTTLE_FREE + 5)); /* in twenty seconds, after 1, 2, 4, 8; twice */
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

#define HORDE 10000

/* Ten thousand addresses that each ask for one name every five seconds, whatever they are told. */
static unsigned horde_second(uint64_t now, const char *user)
{
	char from[64];
	unsigned guesses = 0;
	for (unsigned i = 0; i < HORDE / 5; i++) {
		unsigned at = (unsigned)(now / 1000 % 5) * (HORDE / 5) + i;
		snprintf(from, sizeof(from), "100.%u.%u.%u", 64 + (at >> 16), at >> 8 & 255, at & 255);
		guesses += throttle_try(&t, now + i / 2, user, from) == 0;
	}
	return guesses;
}

static void ten_thousand_keep_no_owner_out(void **state)
{
	uint64_t now = 1000000, due, since;
	unsigned guesses = 0, tries = 0, homes = 0;
	(void)state;
	begin();
	assert_true(throttle_try(&t, now, "anna", "192.0.2.1") == 0);
	throttle_good(&t, now, "anna", "192.0.2.1", 1, true);
	for (unsigned s = 0; s < 90; s++, now += 1000)
		guesses += horde_second(now, "anna");
	due = since = now;
	for (unsigned s = 0; s < 240; s++, now += 1000) {
		guesses += horde_second(now, "anna");
		if (now + 999 >= due && tries < THROTTLE_PATIENT) { /* from a new place, and wrong every time */
			uint64_t wait = throttle_try(&t, now + 999, "anna", "203.0.113.9");
			assert_true(wait <= THROTTLE_MOST_MS);
			if (!wait) {
				tries++;
				assert_true(now + 999 - since <= THROTTLE_MOST_MS + 1000);
				since = now + 999;
			}
			due = now + 999 + wait;
		}
		if (s % 60 == 0) { /* and from home there is nothing to wait for */
			assert_true(throttle_class(&t, now, "anna", "192.0.2.1") == THROTTLE_FRIEND);
			assert_true(throttle_try(&t, now, "anna", "192.0.2.1") == 0);
			throttle_good(&t, now, "anna", "192.0.2.1", 1, true);
			homes++;
		}
	}
	print_message("ten thousand sources, 330 s: %u guesses of theirs, %u tries of the owner from a new place\n", guesses, tries);
	assert_int_equal(homes, 4);
	assert_true(tries >= 8);
	assert_true(guesses >= 10 && guesses <= 2 * (330 / 30 + 10));
}

static void one_source_and_all_names(void **state)
{
	uint64_t now = 1000000;
	unsigned guesses = 0;
	char user[32];
	(void)state;
	begin();
	for (unsigned i = 0; i < 20000; i++, now += 50) {
		snprintf(user, sizeof(user), i % 10 ? "user%u" : "anna", i % 1000);
		guesses += throttle_try(&t, now, user, "198.51.100.66") == 0;
	}
	assert_true(guesses >= 30 && guesses <= 1000 / 30 + 10);
	assert_true(throttle_try(&t, now, "anna", "203.0.113.9") == 0);
	assert_true(throttle_try(&t, now, "user7", "203.0.113.10") == 0);
}

/* Nobody drives out others' friends by signing in as himself from many places. */
static void friends_are_ones_own(void **state)
{
	uint64_t now = 1000000;
	char from[64];
	(void)state;
	begin();
	throttle_try(&t, now, "anna", "192.0.2.1");
	throttle_good(&t, now, "anna", "192.0.2.1", 1, true);
	for (unsigned i = 0; i < 2 * THROTTLE_FRIENDS; i++) {
		snprintf(from, sizeof(from), "2001:db8:%x::1", i);
		assert_true(throttle_try(&t, ++now, "mallory", from) == 0);
		throttle_good(&t, now, "mallory", from, 1, true);
	}
	assert_true(throttle_class(&t, now, "anna", "192.0.2.1") == THROTTLE_FRIEND);
	assert_true(throttle_class(&t, now, "mallory", from) == THROTTLE_FRIEND);
	assert_true(throttle_class(&t, now, "mallory", "2001:db8:1::1") != THROTTLE_FRIEND);
}

/* Codes, by who knows the password: a guess is right by 3 in a million, one of three steps. */
static void codes_are_not_guessed(void **state)
{
	uint64_t now = 1000000, quarter = now;
	unsigned wrong = 0, day = 0, in_quarter = 0;
	char from[64];
	(void)state;
	begin();
	throttle_try(&t, now, "anna", "192.0.2.1");
	throttle_good(&t, now, "anna", "192.0.2.1", 1, true);
	for (unsigned s = 0; s < 3 * 86400; s++, now += 1000) {
		snprintf(from, sizeof(from), "100.64.%u.%u", s >> 8 & 255, s & 255);
		const char *who = s % 2 ? from : "192.0.2.1"; /* the attacker sits beside her, too */
		if (now - quarter >= THROTTLE_FORGET_MS) {
			quarter = now;
			in_quarter = 0;
		}
		if (throttle_code(&t, now, "anna", who) == 0) {
			throttle_code_wrong(&t, now, "anna", who);
			wrong++;
			in_quarter++;
		}
		assert_true(in_quarter <= 10); /* five of each kind */
		if (s == 86400)
			day = wrong;
	}
	print_message("codes that could be guessed: %u on the first day, %u in three: chance %.1e a day\n", day, wrong, day * 3e-6);
	assert_true(day >= 20 && day * 3e-6 < 1e-4);
	assert_true((wrong - day) / 2 * 3e-6 < 1e-4);
	for (unsigned i = 0; i < 100; i++) /* a password alone buys none, from wherever */
		throttle_good(&t, now, "anna", i % 2 ? "192.0.2.1" : "203.0.113.50", 1, false);
	assert_true(throttle_class(&t, now, "anna", "203.0.113.50") != THROTTLE_FRIEND);
	while (throttle_code(&t, now, "anna", "192.0.2.1") == 0)
		throttle_code_wrong(&t, now, "anna", "192.0.2.1");
	throttle_good(&t, now, "anna", "192.0.2.1", 1, false);
	assert_true(throttle_code(&t, now, "anna", "192.0.2.1") > 0);
	throttle_good(&t, now, "anna", "192.0.2.1", 2, true);
	assert_true(throttle_code(&t, now, "anna", "192.0.2.1") == 0);
	assert_true(throttle_code(&t, now, "bert", "203.0.113.9") == 0); /* nobody else waits for it */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(waits_grow_to_a_bound),
	    cmocka_unit_test(logins_buy_no_guesses),
	    cmocka_unit_test(many_sources),
	    cmocka_unit_test(other_names_wash_nothing_away),
	    cmocka_unit_test(sources),
	    cmocka_unit_test(ten_thousand_keep_no_owner_out),
	    cmocka_unit_test(one_source_and_all_names),
	    cmocka_unit_test(friends_are_ones_own),
	    cmocka_unit_test(codes_are_not_guessed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
