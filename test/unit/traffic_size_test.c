/* What a month of traffic weighs: every cell of forty members is filled, then all of it again, and the database is what it was. The bench
 * (test/bench/traffic.c) does it with a thousand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "test/bench/traffic_bed.h"

#define PEOPLE    40
#define PER_MONTH (UINT64_C(200000000) / 1000) /* bytes a member may take */

static void full(struct month *m)
{
	uint64_t us;
	for (unsigned i = 0; i < TRAFFIC_RANGES; i++) {
		assert_in_range(month_told(m, PEOPLE, (enum traffic_range)i, &us), traffic_rings[i].slots - 1, traffic_rings[i].slots);
		assert_in_range(month_told(m, 0, (enum traffic_range)i, &us), traffic_rings[i].slots - 1, traffic_rings[i].slots);
	}
}

static void a_month_and_another(void **state)
{
	struct month m;
	uint64_t ns, last_ns;
	(void)state;
	srand(1);
	assert_true(month_open(&m, PEOPLE));
	assert_true(month_people(&m));
	month_pass(&m, &ns, &last_ns);
	full(&m);
	uint64_t bytes = month_bytes(&m);
	assert_in_range(bytes, PEOPLE * TRAFFIC_CELLS * 20, PEOPLE * PER_MONTH);
	month_pass(&m, &ns, &last_ns);
	full(&m);
	assert_in_range(month_bytes(&m), bytes / 2, bytes + bytes / 20);
	assert_int_equal(m.bad, 0);
	month_close(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(a_month_and_another)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
