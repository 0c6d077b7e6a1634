/* http_test.c: HTTP over real sockets: what a client may cost, and what it gets. */
#include <limits.h>
#include <stdlib.h>

#include "test/unit/http_bed.h"

#define BIG      (8 * 1024 * 1024)
#define SWEEP_MS 1000

static struct {
	_Atomic unsigned last_local, last_body;
	_Atomic bool happened; /* what /wait waits for */
} seen;

static void serve(void *self, const struct request *request, struct reply *reply)
{
	static char big[BIG];
	(void)self;
	t.served++;
	seen.last_local = request->local;
	seen.last_body = (unsigned)request->body_len;
	reply->status = 200;
	reply->type = "text/plain";
	if (strcmp(request->path, "/big") == 0) {
		reply->body = big;
		reply->body_len = sizeof(big);
	} else if (strcmp(request->path, "/echo") == 0) {
		reply->body = malloc(request->body_len + 1);
		memcpy(reply->body, request->body, request->body_len);
		reply->body_len = request->body_len;
		reply->owned = true;
	} else if (strcmp(request->path, "/silent") == 0) {
		reply->status = 0;
	} else if (strcmp(request->path, "/wait") == 0) {
		reply->status = seen.happened || request->late ? 200 : 0;
		reply->wait = !reply->status;
		reply->body = request->late                                                                        ? "late"
		              : request_query(request, "since") && !strcmp(request_query(request, "since"), "7 8") ? "seven"
		                                                                                                   : "happened";
		reply->body_len = strlen(reply->body);
	} else {
		struct problem problem;
		problem_set(&problem, 404, "no such path", "%s", request->path);
		reply_problem(reply, &problem);
	}
}

static int setup(void **state)
{
	(void)state;
	memset(&seen, 0, sizeof(seen));
	return bed_open(NULL);
}

static int teardown(void **state)
{
	(void)state;
	return bed_close();
}

/* ---- tests ---- */

static void both_sockets_answer(void **state)
{
	char buf[4096];
	bool closed;
	(void)state;
	for (int local = 0; local < 2; local++) {
		int fd = local ? unix_open() : tcp_open();
		say(fd, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello");
		answer(fd, buf, sizeof(buf), 300, &closed);
		assert_int_equal(strncmp(buf, "HTTP/1.1 200", 12), 0);
		assert_non_null(strstr(buf, "\r\n\r\nhello"));
		assert_non_null(strstr(buf, "Content-Security-Policy: default-src 'none'; script-src 'self';"));
		assert_non_null(strstr(buf, "X-Content-Type-Options: nosniff"));
		assert_non_null(strstr(buf, "Cache-Control: no-store"));
		assert_int_equal(seen.last_local, local);
		assert_false(closed); /* kept for the next request */
		say(fd, "GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n");
		answer(fd, buf, sizeof(buf), 300, &closed);
		assert_int_equal(strncmp(buf, "HTTP/1.1 404", 12), 0);
		assert_non_null(strstr(buf, "application/problem+json"));
		close(fd);
	}
	int fd = tcp_open();
	say(fd, "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n");
	answer(fd, buf, sizeof(buf), 300, &closed);
	assert_non_null(strstr(buf, "\r\n\r\nabcde"));
	say(fd, "GET /silent HTTP/1.1\r\nHost: x\r\n\r\n");
	answer(fd, buf, sizeof(buf), 300, &closed);
	assert_int_equal(strncmp(buf, "HTTP/1.1 500", 12), 0);
	close(fd);
}

static void what_is_too_large_is_refused(void **state)
{
	static char text[200 * 1024];
	char buf[4096];
	bool closed;
	(void)state;
	int fd = tcp_open();
	snprintf(text, sizeof(text), "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", REQUEST_BODY_MAX + 1);
	say(fd, text);
	answer(fd, buf, sizeof(buf), 500, &closed);
	assert_int_equal(strncmp(buf, "HTTP/1.1 413", 12), 0);
	close(fd);

	fd = tcp_open(); /* no length told: chunks beyond the limit */
	say(fd, "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n18000\r\n");
	memset(text, 'a', 0x18000);
	text[0x18000] = '\0';
	say(fd, text);
	say(fd, "\r\n0\r\n\r\n");
	answer(fd, buf, sizeof(buf), 500, &closed);
	assert_true(closed);
	close(fd);

	fd = tcp_open(); /* headers without end */
	memset(text, 'h', 100 * 1024);
	text[100 * 1024] = '\0';
	say(fd, "GET / HTTP/1.1\r\nHost: x\r\nX-Long: ");
	say(fd, text);
	say(fd, "\r\n\r\n");
	answer(fd, buf, sizeof(buf), 500, &closed);
	assert_true(closed);
	assert_int_equal(strncmp(buf, "HTTP/1.1 200", 12) == 0 || strncmp(buf, "HTTP/1.1 404", 12) == 0, 0);
	close(fd);
	assert_int_equal(t.served, 0); /* none of them reached a handler */

	fd = tcp_open(); /* the largest that is allowed */
	snprintf(text, sizeof(text), "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", REQUEST_BODY_MAX);
	say(fd, text);
	memset(text, 'b', REQUEST_BODY_MAX);
	text[REQUEST_BODY_MAX] = '\0';
	say(fd, text);
	assert_true(answer(fd, buf, sizeof(buf), 500, &closed) > REQUEST_BODY_MAX);
	assert_int_equal(seen.last_body, REQUEST_BODY_MAX);
	close(fd);
}

/* A byte now and then keeps an idle timeout from firing; the deadline is for the whole request. */
static void a_slow_writer_is_cut(void **state)
{
	char buf[256];
	bool closed = false;
	(void)state;
	for (int body = 0; body < 2; body++) {
		bool in_time = false;
		for (int tries = 0; tries < 4 && !in_time; tries++) { /* late on a busy machine, but not each time */
			int fd = tcp_open();
			uint64_t begin = clock_ms();
			say(fd, body ? "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 60000\r\n\r\n"
			             : "GET /echo HTTP/1.1\r\nHost: x\r\nX: ");
			for (int i = 0; i < 200 && !closed; i++) {
				say(fd, "a");
				hear(fd, buf, sizeof(buf), 100, &closed);
			}
			assert_true(closed);
			uint64_t took = clock_ms() - begin;
			assert_true(took >= DEADLINE_MS - 100);
			in_time = took <= DEADLINE_MS + SWEEP_MS + 700;
			close(fd);
			closed = false;
		}
		assert_true(in_time);
	}
	assert_int_equal(t.served, 0);
}

static void a_slow_reader_is_cut(void **state)
{
	struct timespec while_ = {.tv_sec = 3, .tv_nsec = 500000000}; /* beyond deadline and sweep */
	char buf[256];
	bool closed = false;
	size_t len = 0;
	(void)state;
	for (int tries = 0; tries < 3 && !closed; tries++, while_.tv_sec *= 2) { /* a busy machine may sweep later */
		int slow = tcp_open();
		say(slow, "GET /big HTTP/1.1\r\nHost: x\r\n\r\n");
		nanosleep(&while_, NULL);
		len = answer(slow, buf, sizeof(buf), 500, &closed);
		close(slow);
	}
	assert_true(closed);
	assert_in_range(len, 1, BIG - 1); /* what lay in the kernel's buffers, not the whole */
	int fd = tcp_open();
	say(fd, "GET /big HTTP/1.1\r\nHost: x\r\n\r\n");
	assert_true(answer(fd, buf, sizeof(buf), 300, &closed) > BIG); /* a brisk one gets it all */
	close(fd);
}

/* All connections taken by silence: others wait, and are served when the deadline has cleared the room. */
static void silence_does_not_lock_the_door(void **state)
{
	int fd[HTTP_CONNECTIONS_MAX + 4];
	char buf[512];
	bool closed;
	(void)state;
	for (size_t i = 0; i < sizeof(fd) / sizeof(fd[0]); i++)
		fd[i] = unix_open();
	int late = unix_open();
	say(late, "GET /echo HTTP/1.1\r\nHost: x\r\n\r\n");
	answer(late, buf, sizeof(buf), (int)DEADLINE_MS * 2 + 2 * SWEEP_MS, &closed);
	assert_int_equal(strncmp(buf, "HTTP/1.1 200", 12), 0);
	close(late);
	for (size_t i = 0; i < sizeof(fd) / sizeof(fd[0]); i++)
		close(fd[i]);
}

static void one_address_cannot_take_all(void **state)
{
	int fd[HTTP_CONNECTIONS_PER_IP_MAX + 1];
	char buf[512];
	bool closed = false, in_time = false;
	(void)state;
	for (int tries = 0; tries < 8 && !in_time; tries++) { /* before the first one is idle for too long, which makes room */
		uint64_t begin = clock_ms();
		for (size_t i = 0; i < sizeof(fd) / sizeof(fd[0]); i++) {
			fd[i] = tcp_open();
			say(fd[i], "GET /echo HTTP/1.1\r\nHost: x\r\n\r\n");
		}
		answer(fd[HTTP_CONNECTIONS_PER_IP_MAX], buf, sizeof(buf), 0, &closed);
		in_time = clock_ms() - begin < DEADLINE_MS;
		if (in_time) {
			assert_true(closed);
			assert_string_equal(buf, "");
		}
		for (size_t i = 0; i < sizeof(fd) / sizeof(fd[0]); i++) {
			if (in_time && i < HTTP_CONNECTIONS_PER_IP_MAX) {
				answer(fd[i], buf, sizeof(buf), 0, &closed);
				assert_int_equal(strncmp(buf, "HTTP/1.1 200", 12), 0);
			}
			close(fd[i]);
		}
		if (!in_time)
			usleep(500000); /* that it has seen them go */
	}
	assert_true(in_time);
}

static void broken_requests(void **state)
{
	static const char *const lines[] = {"\x16\x03\x01\x02\x00\x01",
	                                    "GET\r\n\r\n",
	                                    "GET / HTTP/9.9\r\nHost: x\r\n\r\n",
	                                    "GET / HTTP/1.1\r\n\r\n",
	                                    "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
	                                    "\r\n\r\n\r\n"};
	char buf[512];
	bool closed;
	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		int fd = tcp_open();
		say(fd, lines[i]);
		shutdown(fd, SHUT_WR);
		answer(fd, buf, sizeof(buf), (int)DEADLINE_MS + 2 * SWEEP_MS, &closed);
		assert_true(closed);
		assert_int_not_equal(strncmp(buf, "HTTP/1.1 200", 12), 0);
		close(fd);
	}
	assert_int_equal(t.served, 0);
}

/* Where a body ends must not be a matter of opinion: what one takes for its rest is the next request of another. */
static void two_lengths(void **state)
{
	static const char *const heads[] = {"Content-Length: 5\r\nContent-Length: 50", "Content-Length: 5\r\nTransfer-Encoding: chunked",
	                                    "Transfer-Encoding: chunked\r\nContent-Length: 5", "Content-Length: 5\r\ncontent-length: 5"};
	char text[256], buf[4096];
	bool closed;
	(void)state;
	for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
		int fd = tcp_open();
		snprintf(text, sizeof(text), "POST /echo HTTP/1.1\r\nHost: x\r\n%s\r\n\r\n0\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n",
		         heads[i]);
		say(fd, text);
		answer(fd, buf, sizeof(buf), 500, &closed);
		assert_int_equal(strncmp(buf, "HTTP/1.1 400", 12), 0);
		assert_true(closed);
		close(fd);
	}
	assert_int_equal(t.served, 0);
}

/* What comes after an escaped NUL must not be lost without a word; a plain escape next to it is none. */
static void an_escaped_nul(void **state)
{
	static const char *const targets[] = {"/echo%00",      "/echo%00x",   "/%00",          "/echo%%00", "/echo?a=%00",
	                                      "/echo?a=b%00c", "/echo?%00=1", "/echo?a=1&%00", "/echo?%00"};
	static const char *const fine[] = {"/echo?a=%2500", "/echo?a=%010", "/echo?a=%0", "/echo?a=00%"};
	char text[256], buf[4096];
	bool closed;
	(void)state;
	for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++)
		for (int post = 0; post < 2; post++) {
			int fd = i % 2 ? tcp_open() : unix_open();
			snprintf(text, sizeof(text), "%s %s HTTP/1.1\r\nHost: x\r\n%s\r\n", post ? "POST" : "GET", targets[i],
			         post ? "Content-Length: 2\r\n" : "");
			say(fd, text);
			say(fd, post ? "{}" : "");
			answer(fd, buf, sizeof(buf), 200, &closed);
			assert_int_equal(strncmp(buf, "HTTP/1.1 400", 12), 0);
			assert_non_null(strstr(buf, "a zero byte"));
			close(fd);
		}
	assert_int_equal(t.served, 0);
	int fd = tcp_open(); /* one that ends before its headers do */
	say(fd, "GET /echo%00 HTTP/1.1\r\nHost: x\r\n");
	shutdown(fd, SHUT_WR);
	answer(fd, buf, sizeof(buf), (int)DEADLINE_MS + 2 * SWEEP_MS, &closed);
	assert_true(closed);
	close(fd);
	for (size_t i = 0; i < sizeof(fine) / sizeof(fine[0]); i++) {
		fd = tcp_open();
		snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", fine[i]);
		say(fd, text);
		answer(fd, buf, sizeof(buf), 200, &closed);
		assert_int_equal(strncmp(buf, "HTTP/1.1 200", 12), 0);
		close(fd);
	}
}

/* An answer that waits: not asked again before something happened, asked at each waking, and at last told that it is late. */
static void an_answer_may_wait(void **state)
{
	char buf[1024];
	bool closed;
	(void)state;
	int fd[3] = {tcp_open(), unix_open(), unix_open()};
	say(fd[0], "GET /wait?since=7%208 HTTP/1.1\r\nHost: x\r\n\r\n");
	say(fd[1], "GET /wait HTTP/1.1\r\nHost: x\r\n\r\n");
	say(fd[2], "POST /wait HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
	assert_int_equal(hear(fd[0], buf, sizeof(buf), 200, &closed), 0);
	assert_false(closed);
	answer(fd[2], buf, sizeof(buf), 200, &closed); /* only what is read may be asked twice */
	assert_int_equal(strncmp(buf, "HTTP/1.1 500", 12), 0);
	assert_true(wait_for(&t.served, 3));
	assert_int_equal(t.served, 3);
	uv_async_send(&t.wake);
	assert_true(wait_for(&t.served, 5));
	assert_int_equal(hear(fd[1], buf, sizeof(buf), 200, &closed), 0);
	assert_int_equal(t.served, 5);
	seen.happened = true;
	uv_async_send(&t.wake);
	answer(fd[0], buf, sizeof(buf), 200, &closed);
	assert_non_null(strstr(buf, "\r\n\r\nseven"));
	answer(fd[1], buf, sizeof(buf), 200, &closed);
	assert_non_null(strstr(buf, "\r\n\r\nhappened"));
	assert_int_equal(t.served, 7);
	seen.happened = false;
	uint64_t begin = clock_ms();
	say(fd[1], "GET /wait HTTP/1.1\r\nHost: x\r\n\r\n");
	answer(fd[1], buf, sizeof(buf), (int)WAIT_MS + 2 * SWEEP_MS, &closed);
	assert_non_null(strstr(buf, "\r\n\r\nlate"));
	assert_true(clock_ms() - begin >= WAIT_MS);
	close(fd[0]);
	close(fd[1]);
	fd[0] = tcp_open();
	fd[1] = unix_open();
	/* Who hangs up while he waits is let go, and one who still waits at the end does not hold it up. */
	say(fd[0], "GET /wait HTTP/1.1\r\nHost: x\r\n\r\n");
	hear(fd[0], buf, sizeof(buf), 100, &closed);
	close(fd[0]);
	uv_async_send(&t.wake);
	say(fd[1], "GET /wait HTTP/1.1\r\nHost: x\r\n\r\n");
	hear(fd[1], buf, sizeof(buf), 100, &closed);
	close(fd[2]);
	t.held = fd[1];
}

static void few_may_wait(void **state)
{
	int fd[HTTP_WAITING_MAX];
	char buf[1024];
	bool closed;
	(void)state;
	for (size_t i = 0; i < HTTP_WAITING_MAX; i++) {
		fd[i] = unix_open();
		say(fd[i], "GET /wait HTTP/1.1\r\nHost: x\r\n\r\n");
	}
	assert_true(wait_for(&t.served, HTTP_WAITING_MAX));
	assert_int_equal(hear(fd[HTTP_WAITING_MAX - 1], buf, sizeof(buf), 200, &closed), 0);
	int more = unix_open();
	say(more, "GET /wait HTTP/1.1\r\nHost: x\r\n\r\n");
	answer(more, buf, sizeof(buf), 200, &closed);
	assert_int_equal(strncmp(buf, "HTTP/1.1 503", 12), 0);
	seen.happened = true;
	uv_async_send(&t.wake);
	answer(fd[0], buf, sizeof(buf), 200, &closed);
	assert_non_null(strstr(buf, "\r\n\r\nhappened"));
	say(more, "GET /wait HTTP/1.1\r\nHost: x\r\n\r\n"); /* there is room again */
	answer(more, buf, sizeof(buf), 200, &closed);
	assert_int_equal(strncmp(buf, "HTTP/1.1 200", 12), 0);
	for (size_t i = 0; i < HTTP_WAITING_MAX; i++)
		close(fd[i]);
	close(more);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(both_sockets_answer, setup, teardown),
	    cmocka_unit_test_setup_teardown(what_is_too_large_is_refused, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_slow_writer_is_cut, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_slow_reader_is_cut, setup, teardown),
	    cmocka_unit_test_setup_teardown(silence_does_not_lock_the_door, setup, teardown),
	    cmocka_unit_test_setup_teardown(one_address_cannot_take_all, setup, teardown),
	    cmocka_unit_test_setup_teardown(broken_requests, setup, teardown),
	    cmocka_unit_test_setup_teardown(two_lengths, setup, teardown),
	    cmocka_unit_test_setup_teardown(an_escaped_nul, setup, teardown),
	    cmocka_unit_test_setup_teardown(an_answer_may_wait, setup, teardown),
	    cmocka_unit_test_setup_teardown(few_may_wait, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
