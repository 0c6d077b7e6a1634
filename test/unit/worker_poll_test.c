/* worker_poll_test.c: what a worker that looks only at what epoll names must not miss: more devices ready than one look tells, devices in another's
 * place, and a set of descriptors that could not be made.
 */
#include "worker_bed.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/resource.h>

#define NETWORKS 40 /* more than one look names (EVENTS_MAX of worker.c), twice over */
#define EACH     3  /* frames of one network */
#define WAIT_MS  3000

static struct tap taps[NETWORKS];
static struct port *ports[NETWORKS];
static uint8_t frame[300];

/* Of one network each, all with the members of the bed's own, so that what their devices bring comes to host 1. */
static void networks_make(void)
{
	const struct host *a = &bed.host[0];
	for (unsigned i = 0; i < NETWORKS; i++) {
		for (unsigned k = 0; k < BED_WORKERS; k++) {
			queue_init(&taps[i].in[k], true);
			queue_init(&taps[i].out[k], false);
		}
		ports[i] = malloc(sizeof(*ports[i]));
		assert_non_null(ports[i]);
		memcpy(ports[i], a->port, sizeof(*ports[i]));
		ports[i]->chan = i + 1;
		ports[i]->fdb = fdb_new();
		atomic_store(&ports[i]->tap, &taps[i]);
	}
}

static int setup(void **state)
{
	(void)state;
	bed_make(true);
	bed.host[0].session[1]->reject_ms = UINT64_MAX; /* the worker lives by the real clock */
	networks_make();
	frame_make(frame, 0, 1, sizeof(frame));
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	bed_free();
	for (unsigned i = 0; i < NETWORKS; i++) {
		for (unsigned k = 0; k < BED_WORKERS; k++) {
			queue_fini(&taps[i].in[k]);
			queue_fini(&taps[i].out[k]);
		}
		fdb_free(ports[i]->fdb);
		free(ports[i]);
	}
	return 0;
}

static void networks_show(unsigned n, uint32_t generation)
{
	struct host *a = &bed.host[0];
	struct view *v = calloc(1, sizeof(*v));
	assert_non_null(v);
	v->index = a->index;
	v->ports_generation = generation;
	memcpy(v->ports, ports, n * sizeof(ports[0]));
	guestbook_publish(&a->book, v);
	worker_wake(a->worker[0]);
}

static void *run(void *arg)
{
	worker_run(arg, true);
	return NULL;
}

static pthread_t begin(void)
{
	pthread_t t;
	assert_int_equal(pthread_create(&t, NULL, run, bed.host[0].worker[0]), 0);
	return t;
}

static void end(pthread_t t)
{
	worker_stop(bed.host[0].worker[0]);
	pthread_join(t, NULL);
	guestbook_reap(&bed.host[0].book);
	assert_null(bed.host[0].book.first);
}

/* Frames on the wire to host 1, where nobody takes them; several may share a datagram if their sessions knew bundles, which these do not. */
static void sent_expect(unsigned n)
{
	unsigned got = 0;
	for (unsigned wait = 0; wait < WAIT_MS && got < n; wait++) {
		usleep(1000);
		pthread_mutex_lock(&wire_to(1)->lock);
		got = wire_to(1)->n;
		pthread_mutex_unlock(&wire_to(1)->lock);
	}
	assert_int_equal(got, n);
}

static void all_and_one(void **state)
{
	(void)state;
	unsigned sent = 0;
	networks_show(NETWORKS, 2);
	for (unsigned i = 0; i < NETWORKS * EACH; i++, sent++)
		queue_put(&taps[i % NETWORKS].in[0], frame, sizeof(frame), NULL);
	pthread_t t = begin();
	sent_expect(sent);
	for (unsigned i = 0; i < NETWORKS; i++) { /* asleep each time, or nearly */
		queue_put(&taps[i].in[0], frame, sizeof(frame), NULL);
		sent_expect(++sent);
	}
	end(t);
	assert_int_equal(drops(0), 0);
}

/* A device fails in the midst of others, and another one stands in its place: under the same number, with things to say since before it was shown. */
static void another_in_its_place(void **state)
{
	(void)state;
	unsigned last = NETWORKS - 1, sent = 0;
	networks_show(last, 2);
	pthread_t t = begin();
	for (unsigned round = 0; round < 20; round++) {
		struct tap *now = &taps[round % 2 ? 0 : last];
		queue_put(&taps[1].in[0], frame, sizeof(frame), NULL);
		queue_put(&now->in[0], frame, sizeof(frame), NULL);
		atomic_store(&ports[0]->tap, now);
		networks_show(last, 3 + round);
		sent += 2;
		sent_expect(sent);
		if (round % 3 == 0) { /* gone: its descriptor stays readable, and nobody minds */
			atomic_store(&now->gone, true);
			queue_put(&now->in[0], frame, sizeof(frame), NULL);
			queue_put(&taps[2].in[0], frame, sizeof(frame), NULL);
			sent_expect(++sent);
			usleep(2000);
			atomic_store(&now->gone, false);
			networks_show(last, 100 + round);
			sent_expect(++sent); /* what waited there */
		}
	}
	end(t);
	assert_int_equal(drops(0), 0);
}

/* More devices than one look names that never run dry, and a wire that does not either. */
#define FLOODED 20

static _Atomic bool flooding;

static void keep_full(struct queue *q, const void *bytes, uint32_t len, const struct endpoint *from)
{
	pthread_mutex_lock(&q->lock);
	unsigned n = q->n;
	pthread_mutex_unlock(&q->lock);
	for (; n < BATCH_MAX; n++)
		queue_put(q, bytes, len, from);
}

static void *flood(void *arg)
{
	struct endpoint e = endpoint_of(1);
	(void)arg;
	while (atomic_load(&flooding)) {
		keep_full(wire_to(0), "short", 5, &e);
		for (unsigned i = 0; i < FLOODED; i++)
			keep_full(&taps[i].in[0], frame, sizeof(frame), NULL);
	}
	return NULL;
}

static bool told_by_all(void)
{
	for (unsigned i = 0; i < NETWORKS; i++)
		if (!port_carried(ports[i]).tx_frames)
			return false;
	return worker_drop(bed.host[0].worker[0], DROP_SHORT) > 0;
}

/* Nobody who floods keeps others from being heard, neither by the wire nor by a device. */
static void floods(void **state)
{
	(void)state;
	pthread_t feeder;
	bed.host[0].udp.refuse = true; /* what is sent is not looked at */
	networks_show(NETWORKS, 2);
	atomic_store(&flooding, true);
	assert_int_equal(pthread_create(&feeder, NULL, flood, NULL), 0);
	pthread_t t = begin();
	for (unsigned wait = 0; wait < WAIT_MS && port_carried(ports[0]).tx_frames < 100; wait++)
		usleep(1000);
	assert_true(port_carried(ports[0]).tx_frames >= 100);
	for (unsigned i = FLOODED; i < NETWORKS; i++)
		queue_put(&taps[i].in[0], frame, sizeof(frame), NULL);
	for (unsigned wait = 0; wait < WAIT_MS && !told_by_all(); wait++)
		usleep(1000);
	assert_true(told_by_all());
	atomic_store(&flooding, false);
	pthread_join(feeder, NULL);
	end(t);
}

static bool set_exists(void)
{
	bool found = false;
	char path[40], link[64];
	for (int fd = 0; fd < 1000 && !found; fd++) {
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		ssize_t n = readlink(path, link, sizeof(link) - 1);
		link[n > 0 ? n : 0] = 0;
		found = strstr(link, "eventpoll") != NULL;
	}
	return found;
}

/* Without descriptors it goes on as well as it can, and as soon as there are some again as ever. */
static void no_descriptors(void **state)
{
	(void)state;
	struct rlimit before, none;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	none = (struct rlimit){0, before.rlim_max};
	networks_show(NETWORKS, 2);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	pthread_t t = begin();
	queue_put(&taps[NETWORKS - 1].in[0], frame, sizeof(frame), NULL);
	sent_expect(1);
	assert_false(set_exists());
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	for (unsigned wait = 0; wait < WAIT_MS && !set_exists(); wait++)
		usleep(1000);
	assert_true(set_exists());
	queue_put(&taps[0].in[0], frame, sizeof(frame), NULL);
	sent_expect(2);
	end(t);
}

/* One that cannot be polled: the kernel has no room for it in the set, or, as here, it is a file. Its frames are not forgotten. */
static void not_to_be_polled(void **state)
{
	(void)state;
	int polled = taps[5].in[0].fd;
	taps[5].in[0].fd = memfd_create("device", MFD_CLOEXEC);
	assert_true(taps[5].in[0].fd >= 0);
	networks_show(NETWORKS, 2);
	pthread_t t = begin();
	usleep(5000);
	queue_put(&taps[5].in[0], frame, sizeof(frame), NULL);
	queue_put(&taps[6].in[0], frame, sizeof(frame), NULL);
	sent_expect(2);
	end(t);
	close(polled);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(all_and_one, setup, teardown),
	    cmocka_unit_test_setup_teardown(another_in_its_place, setup, teardown),
	    cmocka_unit_test_setup_teardown(floods, setup, teardown),
	    cmocka_unit_test_setup_teardown(no_descriptors, setup, teardown),
	    cmocka_unit_test_setup_teardown(not_to_be_polled, setup, teardown),
	};
	assert_int_equal(seal_setup(), 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
