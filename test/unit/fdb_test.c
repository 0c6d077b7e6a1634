/* fdb_test.c: learning, moving, ageing and the limits, against an oracle; readers beside a writer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <pthread.h>
#include <sched.h>
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

static bool has(struct fdb *f, uint16_t vlan, uint32_t n, uint64_t now, uint64_t address)
{
	uint64_t at = 0;
	bool found = fdb_lookup(f, vlan, mac_of(n), now, &at);
	if (!found)
		assert_int_equal(at, 0);
	return found && at == address;
}

static void learn(void **state)
{
	(void)state;
	struct fdb *f = fdb_new();
	assert_false(has(f, 0, 1, 0, 100));
	assert_int_equal(fdb_see(f, 0, mac_of(1), 100, 0), FDB_LEARNED);
	assert_int_equal(fdb_see(f, 0, mac_of(1), 100, 0), FDB_KNOWN);
	assert_true(has(f, 0, 1, 0, 100));
	assert_false(has(f, 5, 1, 0, 100)); /* each VLAN for itself */
	assert_int_equal(fdb_see(f, 5, mac_of(1), 200, 0), FDB_LEARNED);
	assert_int_equal(fdb_see(f, 0, mac_of(1), 300, 10), FDB_MOVED); /* at once */
	assert_int_equal(fdb_count(f), 2);
	assert_true(has(f, 0, 1, 10, 300));
	assert_true(has(f, 5, 1, 10, 200));
	fdb_forget(f, 200);
	assert_int_equal(fdb_count(f), 1);
	assert_false(has(f, 5, 1, 10, 200));
	assert_true(has(f, 0, 1, 10, 300));
	fdb_clear(f);
	assert_int_equal(fdb_count(f), 0);
	assert_false(has(f, 0, 1, 10, 300));
	fdb_free(f);
}

static void age(void **state)
{
	(void)state;
	struct fdb *f = fdb_new();
	fdb_see(f, 0, mac_of(1), 100, 0);
	fdb_see(f, 0, mac_of(2), 100, 0);
	assert_int_equal(fdb_see(f, 0, mac_of(1), 100, 200000), FDB_KNOWN);
	assert_true(has(f, 0, 2, 200000, 100)); /* to be looked up is not to be seen */
	assert_true(has(f, 0, 2, FDB_AGE_MS, 100));
	assert_false(has(f, 0, 2, FDB_AGE_MS + 1, 100)); /* old before it is swept */
	fdb_age(f, FDB_AGE_MS + 1);
	assert_int_equal(fdb_count(f), 1);
	assert_true(has(f, 0, 1, 200000 + FDB_AGE_MS, 100));
	/* Old but not swept: it is learned anew, which is no move. */
	assert_int_equal(fdb_see(f, 0, mac_of(1), 300, 200001 + FDB_AGE_MS), FDB_LEARNED);
	fdb_age(f, 200001 + FDB_AGE_MS);
	assert_true(has(f, 0, 1, 200001 + FDB_AGE_MS, 300));
	fdb_age(f, 200002 + 2 * FDB_AGE_MS);
	assert_int_equal(fdb_count(f), 0);
	fdb_free(f);
}

/* Five moves in ten seconds are somebody's haste, the sixth is a loop. */
static void flap(void **state)
{
	(void)state;
	struct fdb *f = fdb_new();
	uint64_t now = 1ull << 32; /* the low half begins anew */
	fdb_see(f, 0, mac_of(1), 1, now);
	for (unsigned i = 0; i < FDB_MOVES; i++)
		assert_int_equal(fdb_see(f, 0, mac_of(1), 1 + (i + 1) % 2, now += 100), FDB_MOVED);
	assert_true(has(f, 0, 1, now, 2));
	uint64_t frozen = now += 100;
	assert_int_equal(fdb_see(f, 0, mac_of(1), 1, now), FDB_FROZEN);
	assert_int_equal(fdb_see(f, 0, mac_of(1), 3, now), FDB_FROZEN);
	assert_true(has(f, 0, 1, now, 2));
	assert_int_equal(fdb_see(f, 0, mac_of(1), 2, now + 1000), FDB_KNOWN); /* where it stays it is welcome */
	assert_int_equal(fdb_see(f, 0, mac_of(1), 1, frozen + FDB_FREEZE_MS - 1), FDB_FROZEN);
	assert_int_equal(fdb_see(f, 0, mac_of(1), 1, frozen + FDB_FREEZE_MS), FDB_MOVED);
	assert_true(has(f, 0, 1, frozen + FDB_FREEZE_MS, 1));
	/* One each two seconds and a bit: five in any ten seconds, for ever. */
	fdb_see(f, 0, mac_of(2), 1, now);
	for (unsigned i = 0; i < 50; i++)
		assert_int_equal(fdb_see(f, 0, mac_of(2), 1 + (i + 1) % 2, now += FDB_MOVES_MS / FDB_MOVES), FDB_MOVED);
	/* Forgotten is forgiven. */
	now = frozen + 3 * FDB_FREEZE_MS;
	fdb_see(f, 0, mac_of(3), 1, now);
	for (unsigned i = 0; i < FDB_MOVES; i++)
		fdb_see(f, 0, mac_of(3), 1 + (i + 1) % 2, now);
	assert_int_equal(fdb_see(f, 0, mac_of(3), 5, now), FDB_FROZEN);
	fdb_forget(f, 2);
	assert_int_equal(fdb_see(f, 0, mac_of(3), 5, now), FDB_LEARNED);
	assert_int_equal(fdb_see(f, 0, mac_of(3), 6, now), FDB_MOVED);
	fdb_free(f);
}

static void limits(void **state)
{
	(void)state;
	struct fdb *f = fdb_new();
	for (uint32_t i = 0; i < FDB_PER_BRIDGE; i++)
		assert_int_equal(fdb_see(f, 0, mac_of(i), 1, 0), FDB_LEARNED);
	assert_int_equal(fdb_see(f, 0, mac_of(FDB_PER_BRIDGE), 1, 0), FDB_FULL);
	assert_int_equal(fdb_see(f, 0, mac_of(5), 1, 9), FDB_KNOWN);
	for (uint32_t i = FDB_PER_BRIDGE; i < FDB_MAX; i++)
		assert_int_equal(fdb_see(f, 0, mac_of(i), 2 + i / FDB_PER_BRIDGE, 0), FDB_LEARNED);
	assert_int_equal(fdb_count(f), FDB_MAX);
	assert_int_equal(fdb_see(f, 0, mac_of(FDB_MAX), 99, 0), FDB_FULL);
	for (uint32_t i = 0; i < FDB_MAX; i++)
		assert_true(has(f, 0, i, 0, i < FDB_PER_BRIDGE ? 1 : 2 + i / FDB_PER_BRIDGE));
	assert_int_equal(fdb_see(f, 0, mac_of(7), 99, 10000), FDB_MOVED); /* a move frees a place of the old bridge */
	assert_int_equal(fdb_see(f, 0, mac_of(7), 1, 10000), FDB_MOVED);
	assert_int_equal(fdb_see(f, 0, mac_of(FDB_PER_BRIDGE), 1, 10000), FDB_FULL); /* nor may it take another's */
	fdb_forget(f, 1);
	assert_int_equal(fdb_count(f), FDB_MAX - FDB_PER_BRIDGE);
	for (uint32_t i = 0; i < FDB_PER_BRIDGE; i++) /* room again, and no refusal remembered */
		assert_int_equal(fdb_see(f, 7, mac_of(i), 1, 10000), FDB_LEARNED);
	assert_int_equal(fdb_count(f), FDB_MAX);
	fdb_free(f);
}

/* A bridge that invents MACs fills its own share; the next one's are learned as before. */
static void inventor(void **state)
{
	(void)state;
	struct fdb *f = fdb_new();
	unsigned full = 0;
	for (uint32_t i = 0; i < 100000; i++)
		full += fdb_see(f, 0, mac_of(i), 1, i / 100) == FDB_FULL;
	assert_int_equal(full, 100000 - FDB_PER_BRIDGE);
	assert_int_equal(fdb_count(f), FDB_PER_BRIDGE);
	for (uint32_t i = 0; i < 100; i++)
		assert_int_equal(fdb_see(f, 1, mac_of(i), 2, 1000), FDB_LEARNED);
	for (uint32_t i = 0; i < 100; i++) {
		assert_int_equal(fdb_see(f, 1, mac_of(i), 1, 1001), FDB_FULL); /* it cannot steal either */
		assert_true(has(f, 1, i, 1001, 2));
	}
	fdb_free(f);
}

/* Steady coming and going must not wear the table out. */
static void churn(void **state)
{
	(void)state;
	struct fdb *f = fdb_new();
	for (uint32_t i = 0; i < 200000; i++) {
		assert_int_equal(fdb_see(f, 0, mac_of(i), 1 + i % 8, i), FDB_LEARNED);
		assert_true(has(f, 0, i, i, 1 + i % 8));
		if (i % 10000 == 9999) {
			for (unsigned b = 1; b <= 8; b++)
				fdb_forget(f, b);
			assert_int_equal(fdb_count(f), 0);
		}
	}
	fdb_free(f);
}

static void each(void *self, const struct fdb_entry *e)
{
	uint32_t n = e->mac[1] | (uint32_t)e->mac[2] << 8;
	unsigned *seen = self;
	assert_int_equal(e->mac[0], 2);
	assert_true(n < 8);
	assert_int_equal(e->vlan, n == 3 ? 4095 : 0);
	assert_int_equal(e->address, 0xff12345678 + n);
	assert_int_equal(e->age_ms, 5000);
	assert_int_equal(e->frozen, n == 6);
	*seen |= 1u << n;
}

static void listing(void **state)
{
	(void)state;
	struct fdb *f = fdb_new();
	unsigned seen = 0;
	for (uint32_t i = 0; i < 8; i++)
		fdb_see(f, i == 3 ? 4095 : 0, mac_of(i), i == 6 ? 1 : 0xff12345678 + i, 1000);
	for (unsigned i = 0; i <= FDB_MOVES; i++)
		fdb_see(f, 0, mac_of(6), i & 1 ? 1 : 0xff12345678 + 6, 1000);
	fdb_each(f, 6000, each, &seen);
	assert_int_equal(seen, 0xff);
	seen = 0;
	fdb_each(f, 1001 + FDB_AGE_MS, each, &seen); /* they are gone */
	assert_int_equal(seen, 0);
	fdb_free(f);
}

static struct fdb *table;
static atomic_bool over;
static atomic_uint wrong, hits;

/* MAC n is only ever behind 1000 + n or 2000 + n. */
static void *reader(void *arg)
{
	while (!atomic_load(&over))
		for (uint32_t n = 0; n < 64; n++) {
			uint64_t at;
			if (!fdb_lookup(table, 0, mac_of(n), 5, &at))
				continue;
			atomic_fetch_add(&hits, 1);
			if (at != 1000 + n && at != 2000 + n)
				atomic_fetch_add(&wrong, 1);
		}
	return arg;
}

/* Several workers see the same MACs here and there, and some that flap. */
static void *writer(void *arg)
{
	unsigned self = (unsigned)(uintptr_t)arg;
	for (uint32_t i = 0; i < 20000; i++) {
		uint32_t n = (i * 7 + self) % 63;
		enum fdb_seen seen = fdb_see(table, 0, mac_of(n), ((i + self) & 1 ? 1000 : 2000) + n, i / 2);
		if (seen == FDB_FULL)
			atomic_fetch_add(&wrong, 1);
		if (fdb_see(table, 0, mac_of(63), 1063, i / 2) != FDB_KNOWN) /* one that stays */
			atomic_fetch_add(&wrong, 1);
	}
	return arg;
}

static void race(void **state)
{
	(void)state;
	pthread_t r[2], w[3];
	table = fdb_new();
	fdb_see(table, 0, mac_of(63), 1063, 0);
	for (unsigned i = 0; i < 2; i++)
		pthread_create(&r[i], NULL, reader, NULL);
	for (unsigned i = 0; i < 3; i++)
		pthread_create(&w[i], NULL, writer, (void *)(uintptr_t)i);
	for (unsigned i = 0; i < 500; i++)
		fdb_forget(table, 1000 + i % 63);
	for (unsigned i = 0; i < 3; i++)
		pthread_join(w[i], NULL);
	while (!atomic_load(&hits)) /* MAC 63 is there to be found */
		sched_yield();
	atomic_store(&over, true);
	for (unsigned i = 0; i < 2; i++)
		pthread_join(r[i], NULL);
	assert_int_equal(atomic_load(&wrong), 0);
	/* The books agree: what is left goes away to the last one. */
	assert_true(fdb_count(table) <= 64);
	for (uint32_t n = 0; n < 64; n++) {
		fdb_forget(table, 1000 + n);
		fdb_forget(table, 2000 + n);
	}
	assert_int_equal(fdb_count(table), 0);
	fdb_free(table);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(learn),    cmocka_unit_test(age),   cmocka_unit_test(flap),    cmocka_unit_test(limits),
	    cmocka_unit_test(inventor), cmocka_unit_test(churn), cmocka_unit_test(listing), cmocka_unit_test(race),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
