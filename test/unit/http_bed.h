/* http_bed.h: a server that turns on a thread of its own, and plain blocking clients that write bytes as a hostile client would.
 *
 * The test that includes this says how it serves: serve(), and may fill more of t.config before setup.
 */
#ifndef FARLAN_TEST_HTTP_BED_H
#define FARLAN_TEST_HTTP_BED_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

#include "ui/http.h"

#define DEADLINE_MS 1500u
#define PATIENCE_MS 20000 /* of what must come */
#define WAIT_MS     2500u /* longer than the deadline: who waits is not late */

static struct {
	uv_loop_t loop;
	uv_async_t stop, wake;
	struct http *http;
	pthread_t thread;
	struct endpoint tcp;
	char path[64];
	int held; /* a connection that is still open at the end; 0 = none */
	struct endpoint tls;
	_Atomic unsigned served;
} t;

static void serve(void *self, const struct request *, struct reply *);

static void stop_asked(uv_async_t *stop)
{
	http_free(t.http);
	uv_close((uv_handle_t *)stop, NULL);
	uv_close((uv_handle_t *)&t.wake, NULL);
}

static void wake_asked(uv_async_t *wake)
{
	(void)wake;
	http_wake(t.http);
}

static void *turn(void *self)
{
	(void)self;
	uv_run(&t.loop, UV_RUN_DEFAULT);
	return NULL;
}

/* extra: what the test wants beside the sockets; NULL = nothing. */
static int bed_open(const struct http_config *extra)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	struct endpoint tcp = {.family = 4, .ip = {127, 0, 0, 1}};
	const char *why = "";
	memset(&t, 0, sizeof(t));
	signal(SIGPIPE, SIG_IGN);
	snprintf(t.path, sizeof(t.path), "/tmp/farlan-http-%d.sock", (int)getpid());
	strcpy(at.sun_path, t.path);
	unlink(t.path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(listen(fd, 64), 0);
	uv_loop_init(&t.loop);
	uv_async_init(&t.loop, &t.stop, stop_asked);
	uv_async_init(&t.loop, &t.wake, wake_asked);
	struct http_config config = extra ? *extra : (struct http_config){0};
	config.unix_fd = fd;
	config.tcp = &tcp;
	config.deadline_ms = DEADLINE_MS;
	config.wait_ms = WAIT_MS;
	config.serve = serve;
	assert_int_equal(http_new(&t.http, &t.loop, &config, &why), 0);
	t.tcp = http_tcp(t.http);
	t.tls = http_tls(t.http);
	assert_true(t.tcp.port != 0);
	return pthread_create(&t.thread, NULL, turn, NULL);
}

static int bed_close(void)
{
	uv_async_send(&t.stop);
	pthread_join(t.thread, NULL);
	assert_int_equal(uv_loop_close(&t.loop), 0); /* nothing left open */
	if (t.held)
		close(t.held);
	unlink(t.path);
	return 0;
}

/* ---- a client ---- */

static int tcp_open(void)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(t.tcp.port)};
	memcpy(&at.sin_addr, t.tcp.ip, 4);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	return fd;
}

static int unix_open(void)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	strcpy(at.sun_path, t.path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	return fd;
}

static void say(int fd, const char *text)
{
	size_t len = strlen(text);
	while (len) {
		ssize_t n = send(fd, text, len, MSG_NOSIGNAL);
		if (n <= 0)
			return; /* closed on us: what came back tells */
		text += n;
		len -= (size_t)n;
	}
}

/* Reads until the far side closes, or nothing came for wait_ms. *ret_closed tells which. Returns bytes; room - 1 are kept. */
static size_t hear(int fd, char *buf, size_t room, int wait_ms, bool *ret_closed)
{
	char spill[65536];
	size_t len = 0;
	*ret_closed = false;
	for (;;) {
		struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
		if (poll(&poll_fd, 1, wait_ms) <= 0)
			break;
		bool keep = len < room - 1;
		ssize_t n = read(fd, keep ? buf + len : spill, keep ? room - 1 - len : sizeof(spill));
		if (n <= 0) {
			*ret_closed = true;
			break;
		}
		len += (size_t)n;
	}
	buf[len < room - 1 ? len : room - 1] = '\0';
	return len;
}

/* hear(), where something must come: a busy machine may take its time before the first byte. */
static size_t answer(int fd, char *buf, size_t room, int wait_ms, bool *ret_closed)
{
	struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
	poll(&poll_fd, 1, PATIENCE_MS);
	return hear(fd, buf, room, wait_ms, ret_closed);
}

static uint64_t clock_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static bool wait_for(const _Atomic unsigned *what, unsigned least)
{
	struct timespec while_ = {.tv_nsec = 5000000};
	for (uint64_t begin = clock_ms(); *what < least; nanosleep(&while_, NULL))
		if (clock_ms() - begin > PATIENCE_MS)
			return false;
	return true;
}

#endif
