/* http_long_test.c: what takes its time over real sockets: replies in pieces, streams that rest, work off the thread, uploads, and
 * all of it by TLS.
 */
#include <dirent.h>
#include <gnutls/gnutls.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "test/unit/http_bed.h"
#include "ui/certificate.h"
#include "ui/work.h"

#define LONG       (3 * 1000 * 1000)
#define HUGE_LEN   (100 * 1000 * 1000) /* no kernel keeps that for one socket */
#define BEAT_MS    400u
#define UPLOAD_MAX (1024 * 1024)
#define SECRET     "let me in"
#define WORK_MS    400

static struct {
	_Atomic unsigned asked, ended; /* of streams */
	_Atomic unsigned jobs, freed;  /* of work */
	_Atomic unsigned news;         /* what the event stream tells */
	_Atomic bool tls, again;
	_Atomic size_t upload;
	char folder[64];
	struct certificate certificate;
} seen;

struct pour {
	size_t at, len;
	unsigned told;
	bool events;
};

/* Digits in a row, so that a piece that is lost or comes twice shows. */
static ssize_t pour_more(void *self, char *buf, size_t room)
{
	struct pour *pour = self;
	assert_true(room >= 1024);
	seen.asked++;
	if (pour->events) {
		if (pour->told == seen.news)
			return 0;
		pour->told++;
		return snprintf(buf, room, "news %u\n", pour->told);
	}
	if (pour->at == pour->len)
		return -1;
	size_t n = 0;
	for (; n < room && pour->at < pour->len; n++, pour->at++)
		buf[n] = (char)('0' + pour->at % 10);
	return (ssize_t)n;
}

static void pour_end(void *self)
{
	seen.ended++;
	free(self);
}

static void pour_start(struct reply *reply, bool events, size_t len)
{
	struct pour *pour = calloc(1, sizeof(*pour));
	pour->events = events;
	pour->len = len;
	reply->status = 200;
	reply->type = "text/plain";
	reply->more = pour_more;
	reply->end = pour_end;
	reply->stream = pour;
	reply->stream_beat_ms = events ? BEAT_MS : 0;
}

static void job_run(void *job)
{
	struct timespec while_ = {.tv_nsec = WORK_MS * 1000000l};
	nanosleep(&while_, NULL);
	*(int *)job += 1;
}

static void job_free(void *job)
{
	seen.freed++;
	free(job);
}

static void work_serve(const struct request *request, struct reply *reply)
{
	int *job = work_done(request);
	if (!job) {
		assert_false(request->again);
		job = malloc(sizeof(*job));
		*job = 41;
		seen.jobs++;
		work_start(request, reply, job, job_run, job_free);
		return;
	}
	seen.again = request->again;
	reply->status = 200;
	reply->body = malloc(16);
	reply->body_len = (size_t)snprintf(reply->body, 16, "%d %.5s", *job, request->body);
	reply->owned = true;
}

static void serve(void *self, const struct request *request, struct reply *reply)
{
	(void)self;
	t.served++;
	seen.tls = request->tls;
	if (!strcmp(request->path, "/long")) {
		pour_start(reply, false, LONG);
	} else if (!strcmp(request->path, "/huge")) {
		pour_start(reply, false, HUGE_LEN);
	} else if (!strcmp(request->path, "/events")) {
		pour_start(reply, true, 0);
	} else if (!strcmp(request->path, "/work")) {
		work_serve(request, reply);
	} else if (!strcmp(request->path, "/file")) {
		char first[8] = "";
		assert_int_equal(pread(request->body_fd, first, 7, 0), 7);
		assert_string_equal(first, "abcdefg");
		seen.upload = request->body_len;
		reply->status = 200;
		reply->body = "kept";
		reply->body_len = 4;
	} else {
		reply->status = 200;
		reply->type = "text/plain";
		reply->body = "hello";
		reply->body_len = 5;
	}
}

static uint64_t upload_asked(void *self, const struct request *request, struct reply *reply)
{
	struct problem problem;
	(void)self;
	if (strcmp(request->path, "/file"))
		return 0;
	if (request->passphrase && !strcmp(request->passphrase, SECRET))
		return UPLOAD_MAX;
	problem_set(&problem, 401, "not signed in", "no");
	reply_problem(reply, &problem);
	return 0;
}

static int setup(void **state)
{
	struct endpoint at = {.family = 4, .ip = {127, 0, 0, 1}};
	char why[CERTIFICATE_WHY];
	(void)state;
	memset(&seen, 0, sizeof(seen));
	strcpy(seen.folder, "/tmp/farlan-http-XXXXXX");
	assert_non_null(mkdtemp(seen.folder));
	assert_int_equal(certificate_open(&seen.certificate, seen.folder, NULL, NULL, why), 0);
	struct http_config config = {.tls = &at,
	                             .tls_chain = seen.certificate.chain,
	                             .tls_key = seen.certificate.key,
	                             .upload = upload_asked,
	                             .upload_folder = seen.folder};
	return bed_open(&config);
}

static int teardown(void **state)
{
	char path[sizeof(seen.folder) + 16];
	unsigned files = 0;
	(void)state;
	bed_close();
	certificate_fini(&seen.certificate);
	DIR *dir = opendir(seen.folder);
	for (struct dirent *entry; (entry = readdir(dir));)
		files += entry->d_name[0] != '.';
	closedir(dir);
	assert_int_equal(files, 2); /* certificate and key: no upload stays */
	snprintf(path, sizeof(path), "%s/tls.crt", seen.folder);
	unlink(path);
	snprintf(path, sizeof(path), "%s/tls.key", seen.folder);
	unlink(path);
	assert_int_equal(seen.freed, seen.jobs);
	return rmdir(seen.folder);
}

/* Takes the chunks out of the body that begins in buf; returns its length. */
static size_t unchunk(char *buf)
{
	char *at = strstr(buf, "\r\n\r\n"), *out = buf;
	assert_non_null(at);
	for (at += 4;;) {
		char *end;
		unsigned long n = strtoul(at, &end, 16);
		assert_int_equal(strncmp(end, "\r\n", 2), 0);
		if (!n)
			break;
		memmove(out, end + 2, n);
		out += n;
		at = end + 2 + n + 2;
	}
	return (size_t)(out - buf);
}

/* Reads on until the text has come. */
static bool hears(int fd, char *buf, size_t room, const char *what)
{
	bool closed = false;
	size_t len = 0;
	for (uint64_t begin = clock_ms(); clock_ms() - begin < PATIENCE_MS && !closed && !(len && strstr(buf, what));)
		len += hear(fd, buf + len, room - len, 20, &closed);
	return len && strstr(buf, what);
}

/* ---- tests ---- */

static void a_long_reply_comes_whole(void **state)
{
	char *buf = malloc(2 * LONG);
	bool closed;
	(void)state;
	int fd = tcp_open();
	say(fd, "GET /long HTTP/1.1\r\nHost: x\r\n\r\n");
	assert_true(wait_for(&seen.asked, 2));
	size_t len = answer(fd, buf, 2 * LONG, 800, &closed);
	assert_false(closed);
	assert_true(len > LONG);
	assert_int_equal(unchunk(buf), LONG);
	for (size_t i = 0; i < LONG; i++)
		if (buf[i] != (char)('0' + i % 10))
			fail_msg("byte %zu", i);
	assert_int_equal(seen.ended, 1);
	assert_true(seen.asked > 100); /* in pieces indeed */
	say(fd, "HEAD /long HTTP/1.1\r\nHost: x\r\n\r\nGET /hello HTTP/1.1\r\nHost: x\r\n\r\n");
	assert_true(hears(fd, buf, 2 * LONG, "\r\n\r\nhello"));
	assert_int_equal(seen.ended, 2);
	int second = tcp_open();
	say(second, "GET /long HTTP/1.0\r\nHost: x\r\n\r\n"); /* knows no chunks: the end of the connection is the end */
	len = hear(second, buf, 2 * LONG, PATIENCE_MS, &closed);
	assert_true(closed && len > LONG && buf[len - 1] == '9');
	close(fd);
	close(second);
	free(buf);
}

static void who_does_not_read_is_cut(void **state)
{
	char buf[4096];
	bool closed;
	(void)state;
	int fd = tcp_open();
	say(fd, "GET /huge HTTP/1.1\r\nHost: x\r\n\r\n");
	assert_true(wait_for(&seen.asked, 2));
	int second = tcp_open(); /* another is served all the same, and before the end */
	say(second, "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n");
	assert_true(hears(second, buf, sizeof(buf), "\r\n\r\nhello"));
	assert_int_equal(seen.ended, 0);
	close(second);
	assert_true(wait_for(&seen.ended, 1));
	unsigned asked = seen.asked;
	assert_in_range(hear(fd, buf, sizeof(buf), 1000, &closed), 1, HUGE_LEN - 1); /* what lay in the kernel's buffers */
	assert_true(closed);
	assert_int_equal(seen.asked, asked);
	close(fd);
}

static void a_stream_rests(void **state)
{
	struct timespec while_ = {.tv_sec = 1};
	char buf[4096];
	(void)state;
	int fd = tcp_open();
	say(fd, "GET /events HTTP/1.1\r\nHost: x\r\n\r\n");
	assert_true(hears(fd, buf, sizeof(buf), "HTTP/1.1 200"));
	uint64_t begin = clock_ms();
	nanosleep(&while_, NULL);
	assert_in_range(seen.asked, 1, 3 + (clock_ms() - begin) / 1000); /* by the beat (a sweep a second sees to it), not in a loop */
	seen.news = 2;
	uv_async_send(&t.wake);
	assert_true(hears(fd, buf, sizeof(buf), "news 2\n"));
	assert_non_null(strstr(buf, "news 1\n"));
	for (unsigned i = 0; i < 5; i++) { /* lives on far beyond the deadline of a request */
		nanosleep(&while_, NULL);
		seen.news++;
		uv_async_send(&t.wake);
		assert_true(hears(fd, buf, sizeof(buf), "news"));
	}
	assert_int_equal(seen.ended, 0);
	close(fd); /* who hangs up is noticed when there is something to tell */
	for (unsigned i = 0; i < PATIENCE_MS / 50 && !seen.ended; i++) {
		struct timespec little = {.tv_nsec = 50000000};
		seen.news++;
		uv_async_send(&t.wake);
		nanosleep(&little, NULL);
	}
	assert_int_equal(seen.ended, 1);
	t.held = tcp_open(); /* and one that rests at the end does not hold it up */
	say(t.held, "GET /events HTTP/1.1\r\nHost: x\r\n\r\n");
	assert_true(wait_for(&t.served, 2));
}

static void work_leaves_the_thread_free(void **state)
{
	char buf[4096];
	(void)state;
	int fd = tcp_open(), other = tcp_open(), gone = tcp_open();
	say(fd, "POST /work HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody");
	say(gone, "POST /work HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody");
	assert_true(wait_for(&seen.jobs, 2));
	close(gone); /* its job ends all the same */
	uint64_t begin = clock_ms();
	uv_async_send(&t.wake); /* what wakes others does not ask it again */
	say(other, "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n");
	assert_true(hears(other, buf, sizeof(buf), "hello"));
	assert_true(seen.freed == 0 || clock_ms() - begin >= WORK_MS);
	assert_true(hears(fd, buf, sizeof(buf), "\r\n\r\n42 body"));
	assert_true(seen.again);
	assert_true(wait_for(&seen.freed, 2));
	assert_int_equal(seen.jobs, 2);
	close(fd);
	close(other);
}

static void little_work_at_once(void **state)
{
	int fd[WORKS_MAX + 2];
	char buf[4096];
	bool closed;
	unsigned busy = 0;
	(void)state;
	for (size_t i = 0; i < WORKS_MAX + 2; i++) {
		fd[i] = unix_open();
		say(fd[i], "POST /work HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody");
	}
	for (size_t i = 0; i < WORKS_MAX + 2; i++) {
		answer(fd[i], buf, sizeof(buf), 300, &closed);
		if (!strncmp(buf, "HTTP/1.1 503", 12) && strstr(buf, "Retry-After: 2\r\n"))
			busy++;
		else
			assert_non_null(strstr(buf, "\r\n\r\n42 body"));
		close(fd[i]);
	}
	assert_int_equal(busy, 2);
	int last = unix_open(); /* still at work when the server ends */
	say(last, "POST /work HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody");
	assert_true(wait_for(&seen.jobs, WORKS_MAX + 3));
	t.held = last;
}

static void upload(int fd, const char *secret, size_t len, size_t send_len)
{
	char head[256], *body = malloc(send_len + 1);
	snprintf(head, sizeof(head), "POST /file HTTP/1.1\r\nHost: x\r\nFarlan-Passphrase: %s\r\nContent-Length: %zu\r\n\r\n", secret, len);
	for (size_t i = 0; i < send_len; i++)
		body[i] = (char)('a' + i % 26);
	body[send_len] = '\0';
	say(fd, head);
	say(fd, body);
	free(body);
}

static void files_come_in(void **state)
{
	char buf[4096];
	bool closed;
	(void)state;
	int fd = tcp_open();
	upload(fd, SECRET, UPLOAD_MAX, UPLOAD_MAX);
	answer(fd, buf, sizeof(buf), 300, &closed);
	assert_non_null(strstr(buf, "\r\n\r\nkept"));
	assert_int_equal(seen.upload, UPLOAD_MAX);
	upload(fd, SECRET, 7, 7); /* small ones go the same way */
	answer(fd, buf, sizeof(buf), 300, &closed);
	assert_int_equal(seen.upload, 7);
	close(fd);
	fd = tcp_open(); /* a stranger's is not read at all */
	upload(fd, "guess", 100000, 10);
	answer(fd, buf, sizeof(buf), 300, &closed);
	assert_int_equal(strncmp(buf, "HTTP/1.1 401", 12), 0);
	close(fd);
	fd = tcp_open();
	upload(fd, SECRET, UPLOAD_MAX + 1, 10);
	answer(fd, buf, sizeof(buf), 300, &closed);
	assert_int_equal(strncmp(buf, "HTTP/1.1 413", 12), 0);
	close(fd);
	int two[2] = {tcp_open(), tcp_open()};
	upload(two[0], SECRET, 1000, 10);
	upload(two[1], SECRET, 1000, 10);
	hear(two[1], buf, sizeof(buf), 200, &closed);
	fd = tcp_open();
	upload(fd, SECRET, 1000, 10);
	answer(fd, buf, sizeof(buf), 300, &closed);
	assert_int_equal(strncmp(buf, "HTTP/1.1 503", 12), 0);
	assert_int_equal(t.served, 2);
	close(two[0]);
	close(two[1]);
	close(fd);
}

/* "" = no handshake. */
static void by_tls(const char *priorities, const char *ask, char *buf, size_t room)
{
	gnutls_session_t session;
	gnutls_certificate_credentials_t credentials;
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(t.tls.port)};
	size_t len = 0;
	memcpy(&at.sin_addr, t.tls.ip, 4);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(gnutls_certificate_allocate_credentials(&credentials), 0);
	assert_int_equal(gnutls_init(&session, GNUTLS_CLIENT), 0);
	assert_int_equal(gnutls_priority_set_direct(session, priorities, NULL), 0);
	gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, credentials);
	gnutls_transport_set_int(session, fd);
	gnutls_handshake_set_timeout(session, 5000);
	int shaken = gnutls_handshake(session);
	if (shaken == 0) {
		assert_true(gnutls_record_send(session, ask, strlen(ask)) > 0);
		for (ssize_t n; len < room - 1 && (n = gnutls_record_recv(session, buf + len, room - 1 - len)) > 0;)
			len += (size_t)n;
	}
	buf[len] = '\0';
	gnutls_deinit(session);
	gnutls_certificate_free_credentials(credentials);
	close(fd);
}

static void tls_is_of_today(void **state)
{
	static const char ask[] = "GET /hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
	char *buf = malloc(2 * LONG);
	bool closed;
	(void)state;
	by_tls("NORMAL:-VERS-ALL:+VERS-TLS1.3", ask, buf, 1024);
	assert_non_null(strstr(buf, "\r\n\r\nhello"));
	assert_true(seen.tls);
	by_tls("NORMAL:-VERS-ALL:+VERS-TLS1.2", ask, buf, 1024);
	assert_non_null(strstr(buf, "\r\n\r\nhello"));
	by_tls("NORMAL:-VERS-ALL:+VERS-TLS1.1:%COMPAT", ask, buf, 1024);
	assert_string_equal(buf, "");
	by_tls("NORMAL", "GET /long HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", buf, 2 * LONG);
	assert_int_equal(unchunk(buf), LONG);
	uint16_t plain = t.tcp.port;
	t.tcp.port = t.tls.port; /* who speaks without TLS there is not understood */
	int fd = tcp_open();
	t.tcp.port = plain;
	say(fd, ask);
	answer(fd, buf, 1024, 1000, &closed);
	assert_true(closed && !strstr(buf, "hello"));
	close(fd);
	fd = tcp_open();
	say(fd, ask);
	answer(fd, buf, 1024, 300, &closed);
	assert_false(seen.tls);
	close(fd);
	free(buf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(a_long_reply_comes_whole, setup, teardown),
	    cmocka_unit_test_setup_teardown(who_does_not_read_is_cut, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_stream_rests, setup, teardown),
	    cmocka_unit_test_setup_teardown(work_leaves_the_thread_free, setup, teardown),
	    cmocka_unit_test_setup_teardown(little_work_at_once, setup, teardown),
	    cmocka_unit_test_setup_teardown(files_come_in, setup, teardown),
	    cmocka_unit_test_setup_teardown(tls_is_of_today, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
