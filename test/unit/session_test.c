/* session_test.c: numbers of a lane, lanes of a sender, footprints, keys that fit each other. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <assert.h>
#include <cmocka.h>
#include <pthread.h>

#include "node/session.h"

static struct session *make(enum session_class class, uint8_t rx_lanes, uint8_t tx_lanes, bool swap)
{
	struct session_keys k = {0};
	memset(swap ? k.receive : k.send, 1, 32);
	memset(swap ? k.send : k.receive, 2, 32);
	memset(k.exporter, 3, 32);
	return session_new(class, !swap, SUITE_CHACHA20_POLY1305, &k, 0x1230, 0x4560, rx_lanes, tx_lanes, NULL, 4, 1000);
}

static void fields(void **state)
{
	(void)state;
	struct session *s = make(CLASS_DATA, 3, 2, false), *c = make(CLASS_CTRL, 1, 1, true);
	assert_int_equal(s->named.kind, INDEX_SESSION);
	assert_int_equal(s->named.idx, 0x1230);
	assert_int_equal(s->peer_idx, 0x4560);
	assert_int_equal(s->reject_ms, 181000);
	assert_int_equal(c->reject_ms, 3961000);
	assert_true(atomic_load(&s->confirmed));
	assert_false(atomic_load(&c->confirmed));
	assert_int_equal(s->lane[2].window->bits, WINDOW_BITS_DATA);
	assert_null(s->lane[3].window);
	assert_int_equal(c->lane[0].window->bits, WINDOW_BITS_CTRL);
	assert_int_equal((uintptr_t)&s->foot[0] % 64, 0);
	assert_int_equal((uintptr_t)&s->foot[1] - (uintptr_t)&s->foot[0], 64);
	session_free(s);
	session_free(c);
	struct session_keys k = {0};
	assert_null(session_new(CLASS_DATA, true, 77, &k, 16, 32, 1, 1, NULL, 1, 0));
	session_free(NULL);
	circuit_free(NULL);
}

static void keys_mirror(void **state)
{
	(void)state;
	struct session *a = make(CLASS_DATA, 1, 1, false), *b = make(CLASS_DATA, 1, 1, true);
	uint8_t buf[64] = "............\x10\0\0\0hello";
	struct packet p = {.data = buf, .len = 21, .room = sizeof(buf)};
	seal_batch(&a->tx, a->peer_idx, 0, &p, 1);
	p.idx = a->peer_idx;
	p.pn = seal_unmask(&b->rx, p.data, p.len);
	assert_int_equal(p.pn, 0);
	open_batch(&b->rx, &p, 1);
	assert_int_equal(p.verdict, DROP_NONE);
	assert_memory_equal(p.data + 4, "hello", 5);
	session_free(a);
	session_free(b);
}

static void lanes(void **state)
{
	(void)state;
	struct session *s = make(CLASS_DATA, 1, 4, false), *one = make(CLASS_DATA, 1, 1, false);
	for (unsigned i = 0; i < 9; i++) {
		assert_int_equal(session_lane_of(s, i), 1 + i % 3);
		assert_int_equal(session_lane_of(one, i), 0);
	}
	session_free(s);
	session_free(one);
}

static void stop(void **state)
{
	(void)state;
	struct session *s = make(CLASS_DATA, 1, 2, false);
	uint64_t first = 99;
	assert_true(session_take(s, 1, 7, &first));
	assert_int_equal(first, 0);
	assert_true(session_take(s, 1, 1, &first));
	assert_int_equal(first, 7);
	assert_true(session_take(s, 0, 1, &first));
	assert_int_equal(first, 0);
	atomic_store(&s->next[1], LANE_STOP - 3);
	assert_false(session_take(s, 1, 4, &first));
	assert_true(session_take(s, 1, 3, &first));
	assert_int_equal(first, LANE_STOP - 3);
	for (int i = 0; i < 100; i++)
		assert_false(session_take(s, 1, 64, &first));
	assert_int_equal(atomic_load(&s->next[1]), LANE_STOP);
	session_free(s);
}

#define TAKES 20000
static struct session *shared;
static uint8_t taken[4 * TAKES * 3];

static void *taker(void *arg)
{
	for (unsigned i = 0; i < TAKES; i++) {
		uint64_t first;
		if (session_take(shared, 0, 1 + i % 3, &first))
			for (unsigned k = 0; k < 1 + i % 3; k++)
				taken[first + k]++; /* a number given twice is a lost count here, and a race for TSan */
	}
	return arg;
}

static void take_threads(void **state)
{
	(void)state;
	pthread_t t[4];
	shared = make(CLASS_DATA, 1, 1, false);
	for (unsigned i = 0; i < 4; i++)
		pthread_create(&t[i], NULL, taker, NULL);
	for (unsigned i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	uint64_t n = atomic_load(&shared->next[0]);
	assert_true(n > TAKES * 4 && n <= sizeof(taken));
	for (uint64_t i = 0; i < n; i++)
		assert_int_equal(taken[i], 1);
	session_free(shared);
}

static void footprints(void **state)
{
	(void)state;
	struct session *s = make(CLASS_DATA, 1, 1, false);
	assert_int_equal(session_last_rx(s), 0);
	atomic_store(&s->foot[1].rx_ms, 50);
	atomic_store(&s->foot[4].rx_ms, 70);
	atomic_store(&s->foot[2].tx_ms, 60);
	assert_int_equal(session_last_rx(s), 70);
	assert_int_equal(session_last_tx(s), 60);
	assert_int_equal(session_last_chosen(s), 0);
	atomic_store(&s->foot[3].chosen_ms, 40);
	assert_int_equal(session_last_chosen(s), 40);
	session_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(fields), cmocka_unit_test(keys_mirror),  cmocka_unit_test(lanes),
	    cmocka_unit_test(stop),   cmocka_unit_test(take_threads), cmocka_unit_test(footprints),
	};
	assert(seal_setup() == 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
