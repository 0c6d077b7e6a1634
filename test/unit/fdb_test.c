/* fdb_test.c: learning, moving, ageing and the limits, against an oracle; readers beside a writer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdatomic.h>

#include "node/fdb.h"

static const uint8_t *mac_of(uint32_t n)
{
	static _Thread_local uint8_t mac[6];
	mac[0] = 0x02;
	for (int i = 1; i < 6; i++, n >>= 8)
		mac[i] = (uint8_t)n;
	return mac;
}

static void learn(void **state)
{
	(void)state;
	struct fdb *f = fdb_new();
	uint64_t at = 77;
	assert_false(fdb_lookup(f, 0, mac_of(1), 0, false, &at));
	assert_int_equal(at, 77);
	assert_true(fdb_learn(f, 0, mac_of(1), 100, 0));
	assert_true(fdb_lookup(f, 0, mac_of(1), 0, false, &at));
	assert_int_equal(at, 100);
	assert_false(fdb_lookup(f, 5, mac_of(1), 0, false, &at)); /* each VLAN for itself */
	assert_true(fdb_learn(f, 5, mac_of(1), 200, 0));
	assert_true(fdb_learn(f, 0, mac_of(1), 300, 10)); /* moves at once */
	assert_int_equal(fdb_count(f), 2);
	fdb_lookup(f, 0, mac_of(1), 10, false, &at);
	assert_int_equal(at, 300);
	fdb_lookup(f, 5, mac_of(1), 10, false, &at);
	assert_int_equal(at, 200);
	fdb_forget(f, 200);
	assert_int_equal(fdb_count(f), 1);
	assert_false(fdb_lookup(f, 5, mac_of(1), 10, false, &at));
	fdb_free(f);
}

static void age(void **state)
{
	(void)state;
	struct fdb *f = fdb_new();
	uint64_t at;
	fdb_learn(f, 0, mac_of(1), 100, 0);
	fdb_learn(f, 0, mac_of(2), 100, 0);
	assert_true(fdb_lookup(f, 0, mac_of(1), 200000, true, &at));
	assert_true(fdb_lookup(f, 0, mac_of(2), 200000, false, &at));
	assert_true(fdb_lookup(f, 0, mac_of(2), FDB_AGE_MS, false, &at));
	assert_false(fdb_lookup(f, 0, mac_of(2), FDB_AGE_MS + 1, false, &at)); /* old before it is swept */
	fdb_age(f, FDB_AGE_MS + 1);
	assert_int_equal(fdb_count(f), 1);
	assert_true(fdb_lookup(f, 0, mac_of(1), 200000 + FDB_AGE_MS, false, &at));
	fdb_age(f, 200001 + FDB_AGE_MS);
	assert_int_equal(fdb_count(f), 0);
	fdb_free(f);
}

static void limits(void **state)
{
	(void)state;
	struct fdb *f = fdb_new();
	uint64_t at;
	for (uint32_t i = 0; i < FDB_PER_BRIDGE; i++)
		assert_true(fdb_learn(f, 0, mac_of(i), 1, 0));
	assert_false(fdb_learn(f, 0, mac_of(FDB_PER_BRIDGE), 1, 0));
	assert_true(fdb_learn(f, 0, mac_of(5), 1, 9)); /* known ones are refreshed */
	for (uint32_t i = FDB_PER_BRIDGE; i < FDB_MAX; i++)
		assert_true(fdb_learn(f, 0, mac_of(i), 2 + i / FDB_PER_BRIDGE, 0));
	assert_int_equal(fdb_count(f), FDB_MAX);
	assert_false(fdb_learn(f, 0, mac_of(FDB_MAX), 99, 0));
	for (uint32_t i = 0; i < FDB_MAX; i++) {
		assert_true(fdb_lookup(f, 0, mac_of(i), 0, false, &at));
		assert_int_equal(at, i < FDB_PER_BRIDGE ? 1 : 2 + i / FDB_PER_BRIDGE);
	}
	assert_true(fdb_learn(f, 0, mac_of(7), 99, 0)); /* a move frees a place of the old bridge */
	assert_true(fdb_learn(f, 0, mac_of(7), 1, 0));
	fdb_forget(f, 1);
	assert_int_equal(fdb_count(f), FDB_MAX - FDB_PER_BRIDGE);
	for (uint32_t i = 0; i < FDB_PER_BRIDGE; i++)
		assert_true(fdb_learn(f, 7, mac_of(i), 1, 0));
	assert_int_equal(fdb_count(f), FDB_MAX);
	fdb_free(f);
}

/* Steady coming and going must not wear the table out. */
static void churn(void **state)
{
	(void)state;
	struct fdb *f = fdb_new();
	uint64_t at;
	for (uint32_t i = 0; i < 200000; i++) {
		assert_true(fdb_learn(f, 0, mac_of(i), 1 + i % 8, i));
		assert_true(fdb_lookup(f, 0, mac_of(i), i, false, &at));
		assert_int_equal(at, 1 + i % 8);
		if (i % 10000 == 9999) {
			for (unsigned b = 1; b <= 8; b++)
				fdb_forget(f, b);
			assert_int_equal(fdb_count(f), 0);
		}
	}
	fdb_free(f);
}

static struct fdb *table;
static atomic_bool over;
static atomic_uint wrong, hits;

/* MAC n is only ever behind 1000 + n or 2000 + n. */
static void *reader(void *arg)
{
	unsigned found = 0;
	while (!atomic_load(&over))
		for (uint32_t n = 0; n < 64; n++) {
			uint64_t at;
			if (!fdb_lookup(table, 0, mac_of(n), 5, true, &at))
				continue;
			found++;
			if (at != 1000 + n && at != 2000 + n)
				atomic_fetch_add(&wrong, 1);
		}
	atomic_fetch_add(&hits, found);
	return arg;
}

static void readers(void **state)
{
	(void)state;
	pthread_t t[3];
	table = fdb_new();
	fdb_learn(table, 0, mac_of(63), 1063, 0); /* one that stays: there is always something to find */
	for (unsigned i = 0; i < 3; i++)
		pthread_create(&t[i], NULL, reader, NULL);
	for (uint32_t i = 0; i < 20000 || !atomic_load(&hits); i++) {
		uint32_t n = i * 7 % 63;
		fdb_learn(table, 0, mac_of(n), (i & 1 ? 1000 : 2000) + n, 0);
		if (i % 5 == 0)
			fdb_forget(table, 1000 + n);
		if (i == 19999)
			atomic_store(&over, true);
	}
	for (unsigned i = 0; i < 3; i++)
		pthread_join(t[i], NULL);
	assert_int_equal(atomic_load(&wrong), 0);
	assert_true(atomic_load(&hits) > 0);
	fdb_free(table);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(learn), cmocka_unit_test(age), cmocka_unit_test(limits), cmocka_unit_test(churn), cmocka_unit_test(readers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
