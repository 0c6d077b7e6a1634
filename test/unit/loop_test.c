/* A real node on a real loop: its folder, its port, its threads, its turns; and the proof-of-work thread by itself. In a network
 * namespace of its own where that can be made, so that the well-known port is ours to take. */
#include "node/loop.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

#include <cmocka.h>

#include "node/work.h"
#include "proto/base/heap.h"
#include "proto/seal.h"
#include "test/unit/hex.h"

#define HOMES 2

static struct secret secret; /* the identity of PROTOCOL.md's vectors, for all */

struct place {
	char home[HOMES][64];
	uv_loop_t uv;
};

/* What the owner of a loop saw. */
struct owner {
	struct loop *loop;
	unsigned settled, kicks;
	uint64_t first, last, next; /* next: what settle answers; 0 = NEVER */
};

static uint64_t settle(void *self, uint64_t now)
{
	struct owner *o = self;
	if (!o->settled++)
		o->first = now;
	assert_true(now >= o->last);
	o->last = now;
	if (o->kicks) {
		o->kicks--;
		loop_kick(o->loop);
	}
	return o->next ? now + o->next : NEVER;
}

static int group_setup(void **state)
{
	(void)state;
	if (unshare(CLONE_NEWNET) == 0) {
		struct ifreq r = {.ifr_name = "lo", .ifr_flags = IFF_UP};
		int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
		if (ioctl(fd, SIOCSIFFLAGS, &r) < 0)
			return -1;
		close(fd);
	}
	uint8_t x[32], seed[32];
	unhex(x, sizeof(x), "b9dab2f91e55257b1dcb073c53afbac11e8704987dd2431f818c866fc395fe91");
	unhex(seed, sizeof(seed), "20666ef189d264b82d40ae213746371d0d3c0dd7f3cb11c195ceeffc0a4e945a");
	return seal_setup() == 0 && secret_derive(&secret, x, seed) ? 0 : -1;
}

static int setup(void **state)
{
	struct place *p = calloc(1, sizeof(*p));
	for (unsigned i = 0; i < HOMES; i++) {
		strcpy(p->home[i], "/tmp/loop-test-XXXXXX");
		if (!mkdtemp(p->home[i]))
			return -1;
	}
	*state = p;
	return uv_loop_init(&p->uv);
}

static int drop(const char *path, const struct stat *st, int flag, struct FTW *at)
{
	(void)st, (void)flag, (void)at;
	return remove(path);
}

static int teardown(void **state)
{
	struct place *p = *state;
	int left = uv_loop_close(&p->uv); /* UV_EBUSY: a handle was forgotten */
	for (unsigned i = 0; i < HOMES; i++)
		nftw(p->home[i], drop, 8, FTW_DEPTH | FTW_PHYS);
	free(p);
	return left;
}

static struct loop_config config_of(const struct place *p, unsigned home, struct owner *owner)
{
	return (struct loop_config){
	    .home = p->home[home], .node = {.self = secret, .workers = 2}, .settle = owner ? settle : NULL, .self = owner};
}

static int start(struct place *p, const struct loop_config *config, struct loop **ret)
{
	const char *why = "";
	*ret = NULL;
	int error = loop_new(ret, &p->uv, config, &why);
	if (error)
		assert_true(strlen(why) > 10);
	return error;
}

static void stop_due(uv_timer_t *timer)
{
	uv_stop(timer->loop);
}

static void run(struct place *p, uint64_t ms)
{
	uv_timer_t timer;
	uv_timer_init(&p->uv, &timer);
	uv_update_time(&p->uv);
	uv_timer_start(&timer, stop_due, ms, 0);
	uv_run(&p->uv, UV_RUN_DEFAULT);
	uv_close((uv_handle_t *)&timer, NULL);
	uv_run(&p->uv, UV_RUN_NOWAIT);
}

static void path_of(const struct place *p, unsigned home, const char *name, char *ret, size_t room)
{
	snprintf(ret, room, "%s/%s", p->home[home], name);
}

static bool file_read(const struct place *p, unsigned home, const char *name, unsigned long *ret)
{
	char path[256], text[32] = "";
	path_of(p, home, name, path, sizeof(path));
	int fd = open(path, O_RDONLY);
	if (fd < 0)
		return false;
	ssize_t n = read(fd, text, sizeof(text) - 1);
	close(fd);
	assert_true(n > 1 && text[n - 1] == '\n');
	*ret = strtoul(text, NULL, 10);
	return true;
}

static void file_write(const struct place *p, unsigned home, const char *name, const char *text)
{
	char path[256];
	path_of(p, home, name, path, sizeof(path));
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

/* Binds a plain socket to any address; -1 if the port has an owner. */
static int take(unsigned long port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0) {
		assert_int_equal(errno, EADDRINUSE);
		close(fd);
		return -1;
	}
	return fd;
}

static unsigned long epoch_of_start(struct place *p, unsigned home)
{
	struct loop_config config = config_of(p, home, NULL);
	struct loop *loop;
	unsigned long epoch = 0;
	assert_int_equal(start(p, &config, &loop), 0);
	assert_true(file_read(p, home, "epoch", &epoch));
	loop_free(loop);
	return epoch;
}

static void epoch_grows(void **state)
{
	struct place *p = *state;
	unsigned long wall = (unsigned long)time(NULL), first = epoch_of_start(p, 0);
	assert_in_range(first, wall, wall + 30);
	assert_int_equal(epoch_of_start(p, 0), first + 1);
	assert_int_equal(epoch_of_start(p, 0), first + 2);
	/* Torn, empty or impossible: from the clock again, never refused. */
	static const char *const torn[] = {"", "17", "\x01\x02", "99999999999\n", "4294967295\n"};
	for (size_t i = 0; i < sizeof(torn) / sizeof(torn[0]); i++) {
		file_write(p, 0, "epoch", torn[i]);
		assert_in_range(epoch_of_start(p, 0), wall, wall + 60);
	}
}

static void port_is_kept(void **state)
{
	struct place *p = *state;
	struct loop_config config = config_of(p, 0, NULL), other = config_of(p, 1, NULL);
	struct loop *loop, *second;
	unsigned long port, again, of_second;
	assert_int_equal(start(p, &config, &loop), 0);
	assert_true(file_read(p, 0, "port", &port));
	assert_in_range(port, 1, 65535);
	assert_int_equal(take(port), -1);
	/* Another instance that would keep the same port gets another one and keeps that. */
	char text[16];
	snprintf(text, sizeof(text), "%lu\n", port);
	file_write(p, 1, "port", text);
	assert_int_equal(start(p, &other, &second), 0);
	assert_true(file_read(p, 1, "port", &of_second));
	assert_int_not_equal(of_second, port);
	assert_int_equal(take(of_second), -1);
	loop_free(second);
	loop_free(loop);
	int fd = take(port); /* all sockets of all workers are closed */
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(start(p, &config, &loop), 0);
	assert_true(file_read(p, 0, "port", &again));
	assert_int_equal(again, port);
	assert_int_equal(take(port), -1);
	loop_free(loop);
}

static void well_known_port_first(void **state)
{
	struct place *p = *state;
	struct loop_config config = config_of(p, 0, NULL);
	struct loop *loop;
	unsigned long port;
	config.default_port = true;
	int fd = take(9993);
	if (fd < 0)
		skip(); /* no namespace of our own and somebody has it */
	close(fd);
	assert_int_equal(start(p, &config, &loop), 0);
	assert_false(file_read(p, 0, "port", &port));
	assert_int_equal(take(9993), -1);
	loop_free(loop);
	fd = take(9993);
	assert_true(fd >= 0);
	assert_int_equal(start(p, &config, &loop), 0);
	assert_true(file_read(p, 0, "port", &port));
	assert_int_not_equal(port, 9993);
	loop_free(loop);
	close(fd);
}

static void listen_as_given(void **state)
{
	struct place *p = *state;
	struct owner owner = {.next = 0};
	struct loop_config config = config_of(p, 0, &owner);
	struct endpoint listen[2] = {{.family = 4, .ip = {127, 0, 0, 1}, .port = 0}, {.family = 4, .ip = {192, 0, 2, 77}, .port = 4711}};
	struct loop *loop = NULL;
	const char *why = "";
	unsigned long port;
	config.listen = listen;
	config.n_listen = 1;
	assert_int_equal(start(p, &config, &loop), 0);
	assert_false(file_read(p, 0, "port", &port));
	loop_free(loop);
	loop = NULL;
	config.n_listen = 2;
	assert_int_equal(loop_new(&loop, &p->uv, &config, &why), -EADDRNOTAVAIL);
	assert_non_null(strstr(why, "192.0.2.77:4711"));
	assert_non_null(strstr(why, "no such address"));
	assert_null(loop);
	/* Taken by somebody: named, with the mend, and no other port is tried. */
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(a);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, len), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
	listen[0].port = ntohs(a.sin_port);
	config.n_listen = 1;
	assert_int_equal(loop_new(&loop, &p->uv, &config, &why), -EADDRINUSE);
	char text[32];
	snprintf(text, sizeof(text), "127.0.0.1:%u", ntohs(a.sin_port));
	assert_non_null(strstr(why, text));
	assert_non_null(strstr(why, "another program"));
	close(fd);
	assert_int_equal(owner.settled, 0);
	config.home = "/nowhere/at/all";
	assert_int_equal(loop_new(&loop, &p->uv, &config, &why), -ENOENT);
	assert_null(loop);
	config.home = p->home[0];
	config.node.workers = 0;
	assert_int_equal(loop_new(&loop, &p->uv, &config, &why), -EINVAL);
}

/* Turns come when something is due, and only then. */
static void turns(void **state)
{
	struct place *p = *state;
	struct owner owner = {.next = 20};
	struct loop_config config = config_of(p, 0, &owner);
	struct timespec cpu[2];
	assert_int_equal(start(p, &config, &owner.loop), 0);
	assert_non_null(loop_node(owner.loop));
	assert_int_equal(owner.settled, 0);
	unsigned times = 0;
	do /* a busy machine may need some more */
		run(p, 200);
	while (++times < 20 && owner.settled < 5);
	assert_in_range(owner.settled, 5, 40 * times); /* every 20 ms, and what else there was */
	assert_in_range(owner.last - owner.first, 80, 1000 * times);
	/* Nothing due: it sleeps. The node's own housekeeping is once a second. */
	owner.next = 0;
	run(p, 50);
	owner.settled = 0;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu[0]);
	run(p, 300);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu[1]);
	int64_t used_us = (cpu[1].tv_sec - cpu[0].tv_sec) * 1000000 + (cpu[1].tv_nsec - cpu[0].tv_nsec) / 1000;
	assert_in_range(owner.settled, 1, 15);
	assert_true(used_us < 150000);
	/* A kick inside a turn gives one more, not one for ever. */
	owner.settled = 0;
	owner.kicks = 50;
	run(p, 100);
	assert_int_equal(owner.kicks, 0);
	assert_in_range(owner.settled, 51, 70);
	loop_free(owner.loop);
}

static void kick_due(uv_timer_t *timer)
{
	struct owner *o = timer->data;
	o->settled = 0;
	loop_kick(o->loop);
}

static void kick_from_outside(void **state)
{
	struct place *p = *state;
	struct owner owner = {.next = 0};
	struct loop_config config = config_of(p, 0, &owner);
	uv_timer_t timer;
	assert_int_equal(start(p, &config, &owner.loop), 0);
	uv_timer_init(&p->uv, &timer);
	timer.data = &owner;
	uv_timer_start(&timer, kick_due, 30, 0);
	uint64_t before = loop_now();
	run(p, 120);
	assert_in_range(owner.settled, 1, 20);
	assert_true(owner.last >= before + 30);
	uv_close((uv_handle_t *)&timer, NULL);
	loop_free(owner.loop);
}

/* Datagrams of strangers wake the workers; the node lives on and stops when told, running or not. */
static void strangers(void **state)
{
	struct place *p = *state;
	struct owner owner = {.next = 0};
	struct loop_config config = config_of(p, 0, &owner);
	uint64_t drops[DROP_COUNT], sum = 0;
	unsigned long port;
	assert_int_equal(start(p, &config, &owner.loop), 0);
	assert_true(file_read(p, 0, "port", &port));
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	uint8_t junk[200];
	for (unsigned i = 0; i < 100; i++) {
		memset(junk, (int)i, sizeof(junk));
		assert_int_equal(sendto(fd, junk, sizeof(junk), 0, (struct sockaddr *)&to, sizeof(to)), sizeof(junk));
	}
	close(fd);
	run(p, 200);
	node_drops(loop_node(owner.loop), drops);
	for (unsigned i = 0; i < DROP_COUNT; i++)
		sum += drops[i];
	assert_int_equal(sum, 100);
	loop_free(owner.loop);
}

static bool network_there(const struct place *p, const char *nwid)
{
	char path[256], name[64];
	struct stat st;
	snprintf(name, sizeof(name), "networks/%s", nwid);
	path_of(p, 0, name, path, sizeof(path));
	return stat(path, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0;
}

/* Saves travel through the pool: a network is on disk soon, or at the end at the latest, and gone when left. */
static void saves_by_the_pool(void **state)
{
	struct place *p = *state;
	struct loop_config config = config_of(p, 0, NULL);
	struct loop *loop;
	struct net_view view;
	const uint64_t first = 0xc5057629d8000001, second = 0xc5057629d8000002;
	config.node.joins = true;
	assert_int_equal(start(p, &config, &loop), 0);
	assert_int_equal(node_join(loop_node(loop), first, NULL, "", loop_now()), 0);
	run(p, 300);
	assert_true(network_there(p, "c5057629d8000001"));
	assert_int_equal(node_join(loop_node(loop), second, NULL, "", loop_now()), 0);
	loop_free(loop); /* without another turn */
	assert_true(network_there(p, "c5057629d8000002"));
	assert_int_equal(start(p, &config, &loop), 0);
	assert_true(node_network(loop_node(loop), first, &view));
	assert_true(node_network(loop_node(loop), second, &view));
	assert_int_equal(node_leave(loop_node(loop), first, loop_now()), 0);
	run(p, 300);
	assert_false(network_there(p, "c5057629d8000001"));
	assert_int_equal(node_leave(loop_node(loop), second, loop_now()), 0);
	loop_free(loop);
	assert_false(network_there(p, "c5057629d8000002"));
}

/* ---- proof of work ---- */

static _Atomic unsigned notified;

static void notify(void *self)
{
	(void)self;
	atomic_fetch_add(&notified, 1);
}

static bool result(struct work *w, struct identity *ret, bool *ret_good)
{
	for (unsigned i = 0; i < 5000; i++) {
		if (work_result(w, ret, ret_good))
			return true;
		usleep(1000);
	}
	return false;
}

static void work_verdicts(void **state)
{
	(void)state;
	struct work *w = NULL;
	struct identity open = secret.self, right = secret.self, liar = secret.self, forged = secret.self, got;
	bool good;
	atomic_store(&notified, 0);
	assert_int_equal(work_new(&w, notify, NULL), 0);
	assert_false(work_result(w, &got, &good));
	open.address = 0;
	liar.address ^= 1;
	forged.ed[3] ^= 1; /* 1 in 256 changes would hold work too; the address would differ */
	assert_true(work_submit(w, &open) && work_submit(w, &right) && work_submit(w, &liar) && work_submit(w, &forged));
	assert_true(result(w, &got, &good));
	assert_true(good);
	assert_int_equal(got.address, secret.self.address);
	assert_true(result(w, &got, &good));
	assert_true(good);
	assert_int_equal(got.address, secret.self.address);
	assert_true(result(w, &got, &good));
	assert_false(good);
	assert_int_equal(got.address, liar.address);
	assert_true(result(w, &got, &good));
	assert_false(good);
	assert_memory_equal(got.ed, forged.ed, 32);
	assert_false(work_result(w, &got, &good));
	work_free(w);
	assert_int_equal(atomic_load(&notified), 4);
}

static void work_is_bounded(void **state)
{
	(void)state;
	struct work *w = NULL;
	struct identity got;
	bool good;
	unsigned n = 0;
	assert_int_equal(work_new(&w, notify, NULL), 0);
	while (n <= WORK_MAX && work_submit(w, &secret.self))
		n++;
	/* Results that nobody fetched count too, so the pace of the thread does not matter. */
	assert_int_equal(n, WORK_MAX);
	assert_true(result(w, &got, &good));
	assert_true(work_submit(w, &secret.self));
	assert_false(work_submit(w, &secret.self));
	work_free(w); /* does not wait for the other 255 */
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(work_verdicts),
	    cmocka_unit_test(work_is_bounded),
	    TEST(epoch_grows),
	    TEST(port_is_kept),
	    TEST(well_known_port_first),
	    TEST(listen_as_given),
	    TEST(turns),
	    TEST(kick_from_outside),
	    TEST(strangers),
	    TEST(saves_by_the_pool),
	};
	return cmocka_run_group_tests(tests, group_setup, NULL);
}
