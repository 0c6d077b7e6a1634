/* affinity_test.c: a busy thread keeps to a core, an idle one does not, and what others set is theirs. Real masks and real processor
 * time; only the clock is the test's, so that a slow machine changes nothing.
 */
#include "node/affinity.h"

#include <inttypes.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/mount.h>
#include <time.h>
#include <unistd.h>

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

/* One core, or cores of two kinds. */
static void alone_skips(void)
{
	struct affinity a;
	affinity_begin(&a, 0, now_us);
	affinity_end(&a);
	if (CPU_COUNT(&all) < 2 || a.look_us == UINT64_MAX)
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
		affinity_end(&a);
	}
}

static void test_idle(void **state)
{
	(void)state;
	struct affinity a;
	affinity_begin(&a, 0, now_us);
	for (int i = 0; i < 20; i++) {
		pass(&a, LOOK_US * 20, LOOK_US / 10); /* what the host steals may count as run */
		assert_true(anywhere() && !a.kept);
	}
	affinity_end(&a);
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
	assert_int_equal(sched_setaffinity(0, sizeof(all), &all), 0); /* while it is busy: that is seen, too, and it begins anew */
	pass(&a, KEPT_US, KEPT_US / 2);
	assert_false(a.kept);
	assert_true(anywhere());
	pass(&a, LOOK_US, LOOK_US);
	assert_true(kept_to(nth(0)));
	pass(&a, KEPT_US, 0);
	assert_true(anywhere());
	affinity_end(&a);
}

/* ---- crowded ----------------------------------------------------------------------------------------------------- */

static _Atomic bool enough;

static void *hog(void *core)
{
	only(*(const unsigned *)core);
	while (!enough)
		;
	return NULL;
}

static uint64_t told(const char *path, unsigned skip_numbers)
{
	uint64_t n = 0;
	FILE *f = fopen(path, "r");
	assert_non_null(f);
	for (unsigned i = 0; i <= skip_numbers; i++)
		assert_int_equal(fscanf(f, "%" SCNu64, &n), 1);
	fclose(f);
	return n;
}

/* By core. */
static void idle_ms(uint64_t ret[CPU_SETSIZE])
{
	char line[1024];
	FILE *f = fopen("/proc/stat", "r");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		unsigned core;
		uint64_t idle, waits;
		if (sscanf(line, "cpu%u %*u %*u %*u %" SCNu64 " %" SCNu64, &core, &idle, &waits) == 3 && core < CPU_SETSIZE)
			ret[core] = (idle + waits) * 1000 / (uint64_t)sysconf(_SC_CLK_TCK);
	}
	fclose(f);
}

/* Until it has waited for its core for 0.3 s, while another one had 0.6 s to spare. */
static bool crowded(unsigned core)
{
	static uint64_t before[CPU_SETSIZE], now[CPU_SETSIZE];
	uint64_t waited = told("/proc/thread-self/schedstat", 1);
	idle_ms(before);
	for (int i = 0; i < 1500; i++) {
		burn(20000);
		idle_ms(now);
		if (told("/proc/thread-self/schedstat", 1) - waited < 300000000)
			continue;
		for (unsigned k = 0; k < CPU_SETSIZE; k++)
			if (k != core && CPU_ISSET(k, &all) && now[k] - before[k] >= 600)
				return true;
	}
	return false;
}

/* Somebody who cannot go elsewhere runs on its core. */
static void test_crowded(void **state)
{
	(void)state;
	alone_skips();
	if (access("/proc/thread-self/schedstat", R_OK))
		skip();
	for (unsigned coin = 0; coin < 2; coin++) {
		struct affinity a;
		pthread_t thread;
		unsigned core = nth(0);
		affinity_begin(&a, 0, now_us);
		pass(&a, LOOK_US, LOOK_US);
		assert_true(kept_to(core));
		enough = false;
		assert_int_equal(pthread_create(&thread, NULL, hog, &core), 0);
		bool spare = crowded(core);
		now_us = (now_us & ~1ull) | coin;
		affinity_turn(&a, now_us += KEPT_US);
		enough = true;
		pthread_join(thread, NULL);
		affinity_end(&a);
		bool stayed = kept_to(core);
		assert_int_equal(sched_setaffinity(0, sizeof(all), &all), 0);
		if (!spare) {
			print_message("no core had anything to spare for a minute\n");
			skip();
		}
		assert_true(a.kept);
		assert_int_equal(stayed, !coin);
		assert_int_equal(CPU_COUNT(&a.set), 1);
	}
}

/* Of cores that are not alike none is kept to. */
static void test_unlike(void **state)
{
	(void)state;
	alone_skips();
	char path[64];
	snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%u/cpu_capacity", nth(1));
	if (access(path, F_OK) || unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("tmpfs", "/mnt", "tmpfs", 0, NULL))
		skip();
	FILE *f = fopen("/mnt/capacity", "w");
	assert_non_null(f);
	fputs("400\n", f);
	fclose(f);
	assert_int_equal(mount("/mnt/capacity", path, NULL, MS_BIND, NULL), 0);
	struct affinity a;
	affinity_begin(&a, 0, now_us);
	assert_true(a.look_us == UINT64_MAX);
	pass(&a, LOOK_US, LOOK_US);
	assert_true(anywhere() && !a.kept);
	affinity_end(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_busy, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_idle, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_others, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_crowded, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_unlike, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
