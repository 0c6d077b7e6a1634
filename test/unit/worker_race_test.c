/* worker_race_test.c: workers as threads: one delivery per packet (T38), and a life between sleep, wire, device and view. */
#include "worker_bed.h"

static int setup(void **state)
{
	(void)state;
	bed_make(false);
	return 0;
}

static int setup_polled(void **state)
{
	(void)state;
	bed_make(true);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	bed_free();
	return 0;
}

static uint8_t frame[2048];

static void *one_turn(void *arg)
{
	worker_turn(arg, bed.now_us);
	return NULL;
}

/* T38: the same packets handed to four workers at once reach the devices once in all. */
static void race(void **state)
{
	(void)state;
	struct host *b = &bed.host[1];
	unsigned delivered = 0, sent = 0;
	for (unsigned round = 0; round < 150; round++) {
		pthread_t t[BED_WORKERS];
		for (unsigned i = 0; i < 8; i++, sent++) {
			frame_make(frame, 0, 1, 200);
			tap_give(0, frame, 200);
		}
		turn(0);
		for (unsigned i = 0; i < 8; i++)
			for (unsigned k = 1; k < BED_WORKERS; k++)
				queue_put(&b->udp.in[k], b->udp.in[0].item[i].bytes, b->udp.in[0].item[i].len, &b->udp.in[0].item[i].from);
		for (unsigned k = 0; k < BED_WORKERS; k++)
			pthread_create(&t[k], NULL, one_turn, b->worker[k]);
		for (unsigned k = 0; k < BED_WORKERS; k++)
			pthread_join(t[k], NULL);
		for (unsigned k = 0; k < BED_WORKERS; k++) {
			delivered += b->tap.out[k].n;
			b->tap.out[k].n = 0;
		}
		assert_int_equal(delivered, sent);
	}
	uint64_t replays = 0;
	for (unsigned k = 0; k < BED_WORKERS; k++)
		replays += worker_drop(b->worker[k], DROP_REPLAY);
	assert_int_equal(replays, 3 * sent);
	assert_int_equal(drops(1), 3 * sent);
}

static void *run(void *arg)
{
	worker_run(arg, true);
	return NULL;
}

static void portless(void)
{
	struct host *a = &bed.host[0];
	struct view *v = calloc(1, sizeof(*v));
	v->index = a->index;
	v->ports_generation = 2;
	guestbook_publish(&a->book, v);
	worker_wake(a->worker[0]);
	worker_wake(a->worker[1]);
}

/* Asleep until something comes, by wire or device; awake for a new view; ends when told. Two workers send on one pair of hosts. */
static void running(void **state)
{
	(void)state;
	struct host *a = &bed.host[0], *b = &bed.host[1];
	pthread_t t[4];
	a->session[1]->reject_ms = b->session[0]->reject_ms = UINT64_MAX; /* these live by the real clock */
	portless();
	pthread_create(&t[0], NULL, run, a->worker[0]);
	pthread_create(&t[1], NULL, run, a->worker[1]);
	pthread_create(&t[2], NULL, run, b->worker[0]);
	pthread_create(&t[3], NULL, run, b->worker[1]);
	frame_make(frame, 0, 1, 300);
	for (unsigned i = 0; i < 200; i++) {
		if (i % 100 == 0) { /* the network comes; goes and comes back */
			usleep(5000);
			portless();
			usleep(5000);
			view_show(0, NULL, 0);
			worker_wake(a->worker[0]);
			worker_wake(a->worker[1]);
			usleep(5000);
		}
		queue_put(&a->tap.in[i % 2], frame, 300, NULL);
		if (i % 50 == 49)
			usleep(3000);
	}
	unsigned got = 0;
	for (unsigned wait = 0; wait < 2000 && got < 200; wait++) {
		usleep(1000);
		pthread_mutex_lock(&b->tap.out[0].lock);
		got = b->tap.out[0].n;
		pthread_mutex_unlock(&b->tap.out[0].lock);
	}
	assert_int_equal(got, 200);
	for (unsigned i = 0; i < 2; i++) {
		worker_stop(a->worker[i]);
		worker_stop(b->worker[i]);
	}
	for (unsigned i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	assert_int_equal(drops(0) + drops(1), 0);
	guestbook_reap(&a->book);
	assert_null(a->book.first); /* nobody is in any more */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(race, setup, teardown),
	    cmocka_unit_test_setup_teardown(running, setup_polled, teardown),
	};
	assert_int_equal(seal_setup(), 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
