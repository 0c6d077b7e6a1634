/* report_test.c: which drops a report names when there are more reasons than places: the largest first, a name once told stays, the rest is one sum. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "node/report.c"

static struct port port;
static struct net net = {.port = &port};

static void lose(int reason, uint64_t n)
{
	own_add(&port.count[(unsigned)reason % (WORKERS_MAX + 1)].drop[reason], n);
}

static uint64_t of(const struct body_report *b, const char *name)
{
	for (unsigned i = 0; i < b->n_drops; i++)
		if (!strcmp(b->drop[i].name, name))
			return b->drop[i].count;
	return 0;
}

static uint64_t sum(const struct body_report *b)
{
	uint64_t n = 0;
	for (unsigned i = 0; i < b->n_drops; i++)
		n += b->drop[i].count;
	return n;
}

static struct body_report made(void)
{
	struct body_report b = {.nwid = 0xfe00000001000001, .seq = 1}, again;
	uint8_t body[BODY_MAX];
	collect_counters(&net, &b);
	size_t n = body_report_encode(&b, body, sizeof(body));
	assert_true(n && body_report_parse(body, n, &again));
	assert_memory_equal(again.drop, b.drop, sizeof(b.drop));
	return b;
}

static void drops(void **state)
{
	(void)state;
	struct body_report b = made();
	assert_true(b.counted && !b.n_drops && !b.count.rx_bytes);
	traffic_in(&port.count[0].carried, 2, 300);
	traffic_in(&port.count[3].carried, 1, 60);
	traffic_out(&port.count[WORKERS_MAX].carried, 5, 700);
	lose(DROP_LOOP, 3);
	lose(DROP_STORM, 10);
	b = made();
	assert_true(b.count.rx_frames == 3 && b.count.rx_bytes == 360 && b.count.tx_frames == 5 && b.count.tx_bytes == 700);
	assert_true(b.n_drops == 2 && !strcmp(b.drop[0].name, "storm") && b.drop[1].count == 3);
	/* all reasons there are, each more than those two */
	uint64_t all = 13;
	for (int d = DROP_NONE + 1; d < DROP_COUNT; d++) {
		lose(d, 100 + (uint64_t)d);
		all += 100 + (uint64_t)d;
	}
	b = made();
	assert_int_equal(b.n_drops, REPORT_DROPS_MAX);
	assert_true(sum(&b) == all && of(&b, "storm") && of(&b, "loop"));
	assert_string_equal(b.drop[REPORT_DROPS_MAX - 1].name, REPORT_DROPS_REST);
	for (unsigned i = 1; i < REPORT_DROPS_MAX - 1; i++)
		assert_true(b.drop[i - 1].count >= b.drop[i].count);
	assert_true(of(&b, drop_name(DROP_COUNT - 1)) && !of(&b, drop_name((enum drop)1)));
	/* what was summed up stays so, however much it becomes: no figure ever goes back */
	struct body_report before = b;
	lose(1, 100000);
	b = made();
	assert_false(of(&b, drop_name((enum drop)1)));
	for (unsigned i = 0; i < REPORT_DROPS_MAX; i++)
		assert_true(of(&b, before.drop[i].name) >= before.drop[i].count);
	assert_true(sum(&b) == all + 100000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(drops)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
