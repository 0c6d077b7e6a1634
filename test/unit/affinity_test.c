/* affinity_test.c: a busy thread keeps to a core, an idle one does not, and what others set is theirs. Real masks and real processor
 * time; only the clock is the test's, so that a slow machine changes nothing.
 */
#include "node/affinity.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <time.h>

#include <cmocka.h>

#define LOOK_US 20000 /* while free */
#define KEPT_US AFFINITY_KEPT_US

static cpu_set_t all;
static uint64_t now_us = 1000000;

static bool anywhere(void)
{
	cpu_set_t now;
	assert_int_equal(sched_getaffinity(0, sizeof(now), &now), 0);
	return CPU_EQUAL(&now, &all);
}

static bool kept_to(unsigned core)
{
	cpu_set_t now;
	assert_int_equal(sched_getaffinity(0, sizeof(now), &now), 0);
	return CPU_COUNT(&now) == 1 && CPU_ISSET(core, &now);
}

/* The core that is n-th of those the test may use. */
static unsigned nth(unsigned n)
{
	unsigned core = 0;
	while (!CPU_ISSET(core, &all) || n--)
		core++;
	return core;
}

static void only(unsigned core)
{
	cpu_set_t one;
	CPU_ZERO(&one);
	CPU_SET(core, &one);
	assert_int_equal(sched_setaffinity(0, sizeof(one), &one), 0);
}

static void burn(unsigned us)
{
	struct timespec from, to;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &from);
	do
		clock_gettime(CLOCK_THREAD_CPUTIME_ID, &to);
	while ((to.tv_sec - from.tv_sec) * 1000000 + (to.tv_nsec - from.tv_nsec) / 1000 < us);
}

/* So long by the clock, of which so much was spent running (and a little more). */
static void pass(struct affinity *a, unsigned span_us, unsigned ran_us)
{
	burn(ran_us);
	affinity_turn(a, now_us += span_us);
}

static int set_up(void **state)
{
	(void)state;
	return sched_getaffinity(0, sizeof(all), &all);
}

static int tear_down(void **state)
{
	(void)state;
	return sched_setaffinity(0, sizeof(all), &all);
}

static void alone_skips(void)
{
	if (CPU_COUNT(&all) < 2)
		skip();
}

static void test_busy(void **state)
{
	(void)state;
	alone_skips();
	for (unsigned number = 0; number < 5; number++) {
		struct affinity a;
		affinity_begin(&a, number, now_us);
		pass(&a, LOOK_US - 1, LOOK_US);
		assert_true(anywhere() && !a.kept); /* too early to tell */
		pass(&a, 1, 0);
		unsigned core = nth(number % (unsigned)CPU_COUNT(&all));
		assert_true(kept_to(core));
		assert_int_equal(affinity_sleep_ms(&a), 1000); /* it will be awake to leave */
		/* A pause is no end, nor is half a load; a second of rest is. */
		pass(&a, KEPT_US / 2, 0);
		assert_true(kept_to(core));
		pass(&a, KEPT_US / 2, KEPT_US / 8);
		assert_true(kept_to(core));
		pass(&a, KEPT_US, 0);
		assert_true(anywhere());
		assert_int_equal(affinity_sleep_ms(&a), -1);
	}
}

static void test_idle(void **state)
{
	(void)state;
	struct affinity a;
	affinity_begin(&a, 0, now_us);
	for (int i = 0; i < 20; i++) {
		pass(&a, LOOK_US * 2, LOOK_US / 10);
		assert_true(anywhere() && !a.kept);
	}
}

/* Set by others before, while it is kept, and afterwards. */
static void test_others(void **state)
{
	(void)state;
	alone_skips();
	struct affinity a;
	affinity_begin(&a, 0, now_us);
	pass(&a, LOOK_US, LOOK_US);
	assert_true(a.kept);
	only(nth(1));
	pass(&a, KEPT_US, 0);
	assert_false(a.kept);
	assert_true(kept_to(nth(1)));
	pass(&a, LOOK_US, LOOK_US); /* one core to choose from: nothing is kept to, so nothing is widened either */
	assert_false(a.kept);
	assert_true(kept_to(nth(1)));
	assert_int_equal(sched_setaffinity(0, sizeof(all), &all), 0);
	pass(&a, LOOK_US, LOOK_US);
	assert_true(a.kept);
	pass(&a, KEPT_US, 0);
	assert_true(anywhere());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_busy, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_idle, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_others, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
