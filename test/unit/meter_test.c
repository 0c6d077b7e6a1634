/* meter_test.c: buckets in one word, and what a relay gives its nodes when there is not enough for all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>

#include "node/meter.h"

#define MS UINT64_C(1000000) /* in ns */

static void bucket(void **state)
{
	(void)state;
	_Atomic uint64_t b = 0;
	unsigned n = 0;
	while (meter_take(&b, 1000000, 10, 100))
		n++;
	assert_int_equal(n, 10);
	assert_false(meter_take(&b, 1000009, 10, 100));
	assert_true(meter_take(&b, 1000010, 10, 100));
	assert_false(meter_take(&b, 1000010, 10, 100));
	assert_false(meter_take(&b, 1000019, 10, 100)); /* a refusal costs nothing */
	assert_true(meter_take(&b, 1000020, 10, 100));
	assert_true(meter_take(&b, 9000000, 100, 100)); /* never more than the burst is saved */
	assert_false(meter_take(&b, 9000000, 1, 100));
	assert_false(meter_take(&b, 9999999999, 101, 100));
	meter_force(&b, 20000000, 50, 120);
	assert_int_equal(b, 20000050);
	meter_force(&b, 20000000, 100, 120); /* a debt ends somewhere */
	assert_int_equal(b, 20000120);
	assert_false(meter_take(&b, 20000030, 20, 100));
	assert_true(meter_take(&b, 20000040, 20, 100));
}

/* What passes of packets of 1000 bytes at these rates (bytes/s), sent in turn for so many milliseconds after a first second. */
static uint64_t clock_ns = 1000000 * MS;
static void offer(struct relay_meter *m, struct sender *s, const unsigned *rate, unsigned n, unsigned ms, uint64_t *ret)
{
	double due[8] = {0};
	for (unsigned i = 0; i < n; i++)
		ret[i] = 0;
	for (unsigned t = 0; t < 1000 + ms; t++, clock_ns += MS) {
		if (t % 1000 == 0)
			meter_round(m);
		for (unsigned i = 0; i < n; i++)
			for (due[i] += rate[i] / 1e6; due[i] >= 1; due[i] -= 1) {
				bool good = meter_relay(m, &s[i], clock_ns, 1000);
				if (t >= 1000 && good)
					ret[i] += 1000;
			}
	}
}

static void assert_near(uint64_t got, uint64_t want)
{
	if (got < want - want / 10 || got > want + want / 10)
		fail_msg("%llu instead of %llu", (unsigned long long)got, (unsigned long long)want);
}

static void per_node(void **state)
{
	(void)state;
	struct relay_meter m;
	struct sender s[3] = {0};
	uint64_t got[3];
	meter_init(&m, 1000000, 0);
	offer(&m, s, (const unsigned[]){500000, 1000000, 20000000}, 3, 4000, got);
	assert_near(got[0], 4 * 500000);
	assert_near(got[1], 4 * 1000000);
	assert_near(got[2], 4 * 1000000);
	assert_true(s[0].dropped == 0 && s[2].dropped > 70000);
	assert_int_equal(m.dropped, s[0].dropped + s[1].dropped + s[2].dropped);
	assert_int_equal(m.bytes, s[0].bytes + s[1].bytes + s[2].bytes);
	/* no limit at all */
	meter_init(&m, 0, 0);
	offer(&m, s, (const unsigned[]){90000000}, 1, 1000, got);
	assert_near(got[0], 90000000);
	assert_int_equal(m.dropped, 0);
}

/* A flood takes what is left, not what belongs to others; the sum keeps to the total. */
static void share(void **state)
{
	(void)state;
	struct relay_meter m;
	struct sender s[4] = {0};
	uint64_t got[4];
	meter_init(&m, 0, 4000000);
	offer(&m, s, (const unsigned[]){300000, 900000, 50000000, 50000000}, 4, 4000, got);
	assert_near(got[0], 4 * 300000);
	assert_near(got[1], 4 * 900000);
	assert_near(got[0] + got[1] + got[2] + got[3], 4 * 4000000);
	assert_true(got[2] >= 4 * 950000 && got[3] >= 4 * 950000);
	assert_int_equal(s[0].dropped, 0);
	/* alone it gets all of it, a round later */
	offer(&m, s + 2, (const unsigned[]){50000000}, 1, 4000, got);
	assert_near(got[0], 4 * 4000000);
	/* both limits */
	struct sender two[2] = {0};
	meter_init(&m, 1000000, 4000000);
	offer(&m, two, (const unsigned[]){50000000, 50000000}, 2, 4000, got);
	assert_near(got[0], 4 * 1000000);
	assert_near(got[1], 4 * 1000000);
	/* the slowest rate lets the longest datagram pass, sometimes */
	struct sender slow = {0};
	meter_init(&m, 8, 0);
	assert_true(meter_relay(&m, &slow, 5000 * MS, 9016));
	assert_false(meter_relay(&m, &slow, 5000 * MS, 1));
	assert_true(meter_relay(&m, &slow, 5000 * MS + 1127001 * MS, 9016));
}

#define TAKES 200000

static _Atomic uint64_t contended;
static _Atomic unsigned taken;

static void *take(void *self)
{
	(void)self;
	for (unsigned i = 0; i < TAKES; i++)
		if (meter_take(&contended, 1, 1, TAKES))
			atomic_fetch_add(&taken, 1);
	return NULL;
}

static void threads(void **state)
{
	pthread_t t[2];
	(void)state;
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&t[i], NULL, take, NULL), 0);
	for (int i = 0; i < 2; i++)
		pthread_join(t[i], NULL);
	assert_int_equal(taken, TAKES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(bucket),
	    cmocka_unit_test(per_node),
	    cmocka_unit_test(share),
	    cmocka_unit_test(threads),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
