/* replay_test.c: the window against an oracle that remembers every number (T37), for each of the
 * three sizes. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proto/replay.h"

/* The model: accepted numbers in a growing bit set from `base`, and the one rule of width. */
#define SPAN (1u << 22)
struct oracle {
	uint64_t base, top, width;
	uint8_t *seen;
};

static bool oracle_commit(struct oracle *o, uint64_t seq)
{
	if (o->top > o->width && seq < o->top - o->width)
		return false;
	assert_true(seq - o->base < SPAN);
	if (o->seen[seq - o->base])
		return false;
	o->seen[seq - o->base] = 1;
	if (seq >= o->top)
		o->top = seq + 1;
	return true;
}

static uint64_t dice_state;
static uint64_t dice(uint64_t below)
{
	dice_state ^= dice_state >> 12;
	dice_state ^= dice_state << 25;
	dice_state ^= dice_state >> 27;
	return (dice_state * 0x2545f4914f6cdd1du >> 11) % below;
}

static struct window *fresh(uint32_t bits)
{
	struct window *w = malloc(window_bytes(bits));
	assert_non_null(w);
	memset(w, 0xff, window_bytes(bits)); /* init must not rely on calloc */
	window_init(w, bits);
	return w;
}

static const uint32_t sizes[] = {128, WINDOW_BITS_LEG, WINDOW_BITS_CTRL, WINDOW_BITS_DATA};
#define SIZES (sizeof(sizes) / sizeof(sizes[0]))

/* base > 0 makes the first number a far one. */
static void walk(uint32_t bits, uint64_t base, uint64_t seed)
{
	struct window *w = fresh(bits);
	struct oracle o = {.base = base, .width = bits - 64, .seen = calloc(1, SPAN)};
	assert_non_null(o.seen);
	dice_state = seed;
	uint64_t at = base, accepted = 0;
	for (int i = 0; i < 60000; i++) {
		switch (dice(16)) {
		case 0: at += dice(3 * (uint64_t)bits); break;
		case 1: at += bits; break;
		case 2: at += dice(64); break;
		default: at += dice(3); break;
		}
		uint64_t seq = at;
		if (dice(3)) {
			uint64_t back = dice(4) ? dice(32) : dice(2 * (uint64_t)bits);
			seq = seq - base > back ? seq - back : base;
		}
		if (at - base > SPAN - 4 * (uint64_t)bits)
			break;
		uint64_t top = window_top(w);
		bool maybe = window_maybe(w, seq), want = oracle_commit(&o, seq);
		assert_int_equal(maybe, !(top > o.width && seq < top - o.width));
		assert_int_equal(window_commit(w, seq), want);
		assert_true(window_top(w) == o.top);
		assert_false(window_commit(w, seq));
		accepted += want;
	}
	assert_true(accepted > 500);
	free(o.seen);
	free(w);
}

static void against_oracle(void **state)
{
	(void)state;
	for (size_t i = 0; i < SIZES; i++) {
		walk(sizes[i], 0, 0x1234567 + i);
		walk(sizes[i], 1, 0x89abcdef + i);
		walk(sizes[i], (UINT64_C(1) << 32) - 77, 0xfeedbeef + i);
	}
}

static void edges(void **state)
{
	(void)state;
	for (size_t i = 0; i < SIZES; i++) {
		uint64_t width = sizes[i] - 64;
		/* Jumps from a window whose every bit is set: what is still below the new top stays
		 * refused, all else is new. */
		const uint64_t jumps[] = {1,    2,       63, 64, 65, width - 1, width, width + 1, sizes[i] - 1, sizes[i], sizes[i] + 1,
		                          8192, 1u << 20};
		for (size_t j = 0; j < sizeof(jumps) / sizeof(jumps[0]); j++) {
			struct window *w = fresh(sizes[i]);
			uint64_t n = 3 * (uint64_t)sizes[i] + 17;
			for (uint64_t s = 0; s < n; s++)
				assert_true(window_commit(w, s));
			uint64_t far = n - 1 + jumps[j];
			assert_true(window_maybe(w, far));
			assert_true(window_commit(w, far));
			assert_true(window_top(w) == far + 1);
			/* s = top - W is the last usable one, s = top - W - 1 is behind. */
			uint64_t last = far + 1 - width;
			assert_true(window_maybe(w, last));
			assert_int_equal(window_commit(w, last), last >= n && last != far);
			assert_false(window_maybe(w, last - 1));
			assert_false(window_commit(w, last - 1));
			for (uint64_t s = last + 1; s < far; s++)
				assert_int_equal(window_commit(w, s), s >= n);
			assert_false(window_commit(w, far));
			free(w);
		}
	}
}

static void ends_of_the_numbers(void **state)
{
	(void)state;
	struct window *w = fresh(WINDOW_BITS_CTRL);
	assert_true(window_top(w) == 0);
	assert_true(window_commit(w, 0));
	assert_false(window_commit(w, 0));
	assert_true(window_top(w) == 1);
	assert_false(window_maybe(w, UINT64_MAX)); /* has no successor */
	assert_false(window_commit(w, UINT64_MAX));
	assert_true(window_commit(w, 1));
	assert_true(window_commit(w, UINT64_MAX - 1));
	assert_false(window_commit(w, UINT64_MAX - 1));
	assert_true(window_commit(w, UINT64_MAX - 1984));
	assert_false(window_commit(w, UINT64_MAX - 1985));
	free(w);

	/* The first number may be any, and those before it within the width are still good. */
	w = fresh(WINDOW_BITS_DATA);
	assert_true(window_commit(w, 8128));
	assert_false(window_commit(w, 0));
	for (uint64_t s = 1; s < 8128; s++)
		assert_true(window_commit(w, s));
	free(w);
	assert_int_equal(window_bytes(WINDOW_BITS_DATA) - offsetof(struct window, map), 1024);
}

/* T38: four threads hand in the same numbers, the hint without the lock, the commit under it: each
 * passes once. */
#define WORKERS 4
#define NUMBERS 40000
static struct window *shared;
static pthread_mutex_t lane = PTHREAD_MUTEX_INITIALIZER;
static unsigned passed[NUMBERS]; /* behind lane */

static void *hand_in(void *offset)
{
	const uint64_t shift = *(const uint64_t *)offset;
	for (uint64_t i = 0; i < NUMBERS; i++) {
		uint64_t seq = i ^ shift; /* the same numbers, differently reordered, within the width */
		if (!window_maybe(shared, seq))
			continue;
		pthread_mutex_lock(&lane);
		passed[seq] += window_commit(shared, seq);
		pthread_mutex_unlock(&lane);
	}
	return NULL;
}

static void four_workers(void **state)
{
	(void)state;
	static const uint64_t shifts[WORKERS] = {0, 1, 7, 63}; /* NUMBERS is a multiple of 64 */
	pthread_t threads[WORKERS];
	shared = fresh(WINDOW_BITS_DATA);
	for (int i = 0; i < WORKERS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, hand_in, (void *)(uintptr_t)&shifts[i]), 0);
	for (int i = 0; i < WORKERS; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	/* A worker that was asleep finds its numbers behind the window, but never one twice; the
	 * fastest lost none. */
	for (int i = 0; i < NUMBERS; i++)
		assert_int_equal(passed[i], 1);
	assert_true(window_top(shared) == NUMBERS);
	free(shared);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(against_oracle),
	    cmocka_unit_test(edges),
	    cmocka_unit_test(ends_of_the_numbers),
	    cmocka_unit_test(four_workers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
