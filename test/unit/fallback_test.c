/* fallback_test: a root's TLS port and a node's streams, over the loopback: datagrams both ways, and everybody who is no node. */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <netinet/in.h>
#include <gnutls/gnutls.h>

#include <cmocka.h>
#include <sodium.h>

#include "node/stream.h"
#include "node/stream_upgrade.h"
#include "proto/handshake.h"
#include "ui/fallback.h"

#define WAIT_MS 5000

static struct secret root, node;
static struct gate gate;
static char folder[] = "/tmp/fallback-test-XXXXXX";
static struct certificate certificate;

struct message {
	struct endpoint who;
	uint8_t bytes[4096];
	size_t len;
};

struct bed {
	struct streams *server, *client;
	struct fallback_server *port;
	int server_fd, client_fd; /* the workers' ends */
	struct endpoint at;
	atomic_int told;
};

static void make(struct secret *s)
{
	randombytes_buf(s->x, 32);
	crypto_scalarmult_curve25519_base(s->self.x, s->x);
	crypto_sign_keypair(s->self.ed, s->ed);
	identity_hash(&s->self);
}

static size_t init_of(const struct gate *g, uint8_t init[INIT_SEND_MAX])
{
	struct handshake hs;
	const struct init_payload payload = {.caps = CAP_CHACHA, .ts = {[11] = 1}};
	size_t len = init_create(&hs, &node, &root.self, g, NULL, 0x11223340, &payload, init, INIT_SEND_MAX, NULL);
	handshake_fini(&hs);
	assert_true(len >= INIT_MIN);
	return len;
}

static int setup(void **state)
{
	char why[CERTIFICATE_WHY];
	(void)state;
	if (sodium_init() < 0)
		return -1;
	make(&root);
	make(&node);
	gate_derive(&gate, root.self.key_hash, gate_zero);
	return mkdtemp(folder) ? certificate_open(&certificate, folder, NULL, NULL, why) : -1;
}

static int teardown(void **state)
{
	char path[64];
	(void)state;
	certificate_fini(&certificate);
	snprintf(path, sizeof(path), "%s/tls.crt", folder);
	unlink(path);
	snprintf(path, sizeof(path), "%s/tls.key", folder);
	unlink(path);
	return rmdir(folder);
}

static void told(void *self)
{
	struct bed *b = self;
	atomic_fetch_add(&b->told, 1);
}

/* proxy NULL: none. */
static void bed_make_by(struct bed *b, uint32_t deadline_ms, const char *proxy)
{
	char why[FALLBACK_WHY];
	*b = (struct bed){.at = {.family = 4, .ip = {127, 0, 0, 1}}};
	struct streams_config client = {.notify = told, .self = b}, server = {0};
	if (proxy)
		snprintf(client.proxy, sizeof(client.proxy), "%s", proxy);
	assert_int_equal(streams_new(&b->server, &server, &b->server_fd), 0);
	assert_int_equal(streams_new(&b->client, &client, &b->client_fd), 0);
	const struct fallback_config config = {.at = b->at,
	                                       .key_hash = root.self.key_hash,
	                                       .gate_secret = gate_zero,
	                                       .certificate = &certificate,
	                                       .streams = b->server,
	                                       .deadline_ms = deadline_ms};
	assert_int_equal(fallback_open(&b->port, &config, why), 0);
	b->at.port = fallback_port(b->port);
	b->at.family |= ENDPOINT_STREAM;
}

static void bed_make(struct bed *b, uint32_t deadline_ms)
{
	bed_make_by(b, deadline_ms, NULL);
}

static void bed_end(struct bed *b)
{
	fallback_free(b->port);
	streams_free(b->client);
	streams_free(b->server);
	close(b->client_fd);
	close(b->server_fd);
}

static bool got(int fd, struct message *m, int wait_ms)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	if (poll(&p, 1, wait_ms) != 1)
		return false;
	struct iovec part[2] = {{&m->who, sizeof(m->who)}, {m->bytes, sizeof(m->bytes)}};
	struct msghdr h = {.msg_iov = part, .msg_iovlen = 2};
	ssize_t n = recvmsg(fd, &h, 0);
	assert_true(n >= (ssize_t)sizeof(m->who));
	m->len = (size_t)n - sizeof(m->who);
	return true;
}

static void put(int fd, const struct endpoint *to, const uint8_t *bytes, size_t len)
{
	struct iovec part[2] = {{(void *)(uintptr_t)to, sizeof(*to)}, {(void *)(uintptr_t)bytes, len}};
	const struct msghdr h = {.msg_iov = part, .msg_iovlen = 2};
	assert_int_equal(sendmsg(fd, &h, 0), sizeof(*to) + len);
}

static void pause_ms(unsigned ms)
{
	usleep(ms * 1000);
}

static void until_count(const struct streams *s, unsigned n)
{
	for (unsigned i = 0; i < WAIT_MS / 10 && streams_count(s) != n; i++)
		pause_ms(10);
	assert_int_equal(streams_count(s), n);
}

static void until_told(struct bed *b, int n)
{
	for (unsigned i = 0; i < WAIT_MS / 10 && atomic_load(&b->told) < n; i++)
		pause_ms(10);
	assert_int_equal(atomic_load(&b->told), n);
}

/* The stream stands; who it is at the server. */
static struct endpoint up(struct bed *b, const uint8_t *pin)
{
	uint8_t init[INIT_SEND_MAX];
	struct message m;
	size_t len = init_of(&gate, init);
	assert_true(streams_open(b->client, &b->at, "", pin, init, len));
	assert_true(got(b->server_fd, &m, WAIT_MS));
	assert_int_equal(m.len, len);
	assert_memory_equal(m.bytes, init, len);
	assert_int_equal(m.who.family, 4 | ENDPOINT_STREAM);
	assert_memory_equal(m.who.ip, b->at.ip, 16);
	until_count(b->client, 1);
	return m.who;
}

static void test_both_ways(void **state)
{
	struct bed b;
	struct message m;
	uint8_t bytes[1500];
	(void)state;
	bed_make(&b, 0);
	struct endpoint far = up(&b, certificate.pin);
	for (unsigned i = 0; i < 500; i++) {
		size_t len = 1 + i * 7 % sizeof(bytes);
		memset(bytes, (int)i, sizeof(bytes));
		put(b.client_fd, &b.at, bytes, len);
		assert_true(got(b.server_fd, &m, WAIT_MS));
		assert_int_equal(m.len, len);
		assert_memory_equal(m.bytes, bytes, len);
		assert_memory_equal(&m.who, &far, sizeof(far));
		put(b.server_fd, &far, bytes, len);
		assert_true(got(b.client_fd, &m, WAIT_MS));
		assert_int_equal(m.len, len);
		assert_memory_equal(m.bytes, bytes, len);
		assert_memory_equal(&m.who, &b.at, sizeof(b.at));
	}
	/* In bunches, as workers send. */
	for (unsigned i = 0; i < 50; i++) {
		for (unsigned k = 0; k < 32; k++) {
			bytes[0] = (uint8_t)k;
			put(b.client_fd, &b.at, bytes, 1400);
		}
		for (unsigned k = 0; k < 32; k++) {
			assert_true(got(b.server_fd, &m, WAIT_MS));
			assert_int_equal(m.bytes[0], k);
		}
	}
	assert_int_equal(streams_dropped(b.client) + streams_dropped(b.server), 0);
	/* A second order for the same endpoint changes nothing; what goes nowhere is counted. */
	uint8_t init[INIT_SEND_MAX];
	assert_true(streams_open(b.client, &b.at, "", NULL, init, init_of(&gate, init)));
	far.port ^= 1;
	put(b.server_fd, &far, bytes, 100);
	assert_false(got(b.client_fd, &m, 200));
	assert_int_equal(streams_dropped(b.server), 1);
	assert_int_equal(streams_count(b.client), 1);
	assert_int_equal(atomic_load(&b.told), 0);
	/* Closed by the node: gone at both ends, and told. */
	struct endpoint ended;
	assert_true(streams_close(b.client, &b.at));
	until_count(b.client, 0);
	until_count(b.server, 0);
	until_told(&b, 1);
	assert_true(streams_ended(b.client, &ended));
	assert_memory_equal(&ended, &b.at, sizeof(ended));
	assert_false(streams_ended(b.client, &ended));
	/* And again: nothing of the first is in the way. */
	up(&b, NULL);
	bed_end(&b);
}

static void test_root_goes(void **state)
{
	struct bed b;
	struct endpoint ended;
	(void)state;
	bed_make(&b, 0);
	up(&b, NULL);
	fallback_free(b.port);
	streams_free(b.server);
	until_count(b.client, 0);
	until_told(&b, 1);
	assert_true(streams_ended(b.client, &ended));
	/* Nobody listens any more. */
	uint8_t init[INIT_SEND_MAX];
	assert_true(streams_open(b.client, &b.at, "", NULL, init, init_of(&gate, init)));
	until_told(&b, 2);
	assert_true(streams_ended(b.client, &ended));
	streams_free(b.client);
	close(b.client_fd);
	close(b.server_fd);
}

/* An INIT for another gate gets a web server's answer, and so no stream. */
static void test_wrong_gate(void **state)
{
	struct bed b;
	struct endpoint ended;
	struct message m;
	struct gate other;
	uint8_t secret[32] = {7}, init[INIT_SEND_MAX];
	(void)state;
	bed_make(&b, 0);
	gate_derive(&other, root.self.key_hash, secret);
	assert_true(streams_open(b.client, &b.at, "", certificate.pin, init, init_of(&other, init)));
	until_told(&b, 1);
	assert_true(streams_ended(b.client, &ended));
	assert_false(got(b.server_fd, &m, 100));
	assert_int_equal(streams_count(b.server), 0);
	bed_end(&b);
}

static int tcp_to(const struct bed *b)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(b->at.port)};
	memcpy(&a.sin_addr, b->at.ip, 4);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	const struct timeval wait = {.tv_sec = 5};
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	return fd;
}

/* Says something over TLS as a stranger; the answer up to its end. */
static void ask(const struct bed *b, const char *text, char *ret, size_t room)
{
	gnutls_session_t s;
	gnutls_certificate_credentials_t c;
	int fd = tcp_to(b);
	size_t len = 0;
	ssize_t n;
	assert_int_equal(gnutls_certificate_allocate_credentials(&c), 0);
	assert_int_equal(gnutls_init(&s, GNUTLS_CLIENT | GNUTLS_NO_SIGNAL), 0);
	gnutls_set_default_priority(s);
	gnutls_credentials_set(s, GNUTLS_CRD_CERTIFICATE, c);
	gnutls_transport_set_int(s, fd);
	assert_int_equal(gnutls_handshake(s), 0);
	assert_int_equal(gnutls_protocol_get_version(s), GNUTLS_TLS1_3);
	assert_int_equal(gnutls_record_send(s, text, strlen(text)), strlen(text));
	while (len + 1 < room && (n = gnutls_record_recv(s, ret + len, room - 1 - len)) > 0)
		len += (size_t)n;
	ret[len] = '\0';
	gnutls_deinit(s);
	gnutls_certificate_free_credentials(c);
	close(fd);
}

#define KNOCK                                                                                                                              \
	" HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"                               \
	"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"

static void test_strangers(void **state)
{
	static const char *const texts[] = {
	    "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
	    "GET /index.html HTTP/1.0\r\n\r\n",
	    "HEAD / HTTP/1.1\r\nHost: x\r\n\r\n",
	    "POST /login HTTP/1.1\r\nHost: x\r\nContent-Length: 7\r\n\r\na=b&c=d",
	    "GET /" KNOCK,
	    "GET /AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" KNOCK,
	};
	struct bed b;
	struct message m;
	char answer[4096], knock[8192], first[4096] = "", accept[UPGRADE_ACCEPT];
	uint8_t init[INIT_SEND_MAX];
	(void)state;
	bed_make(&b, 0);
	for (unsigned i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		ask(&b, texts[i], answer, sizeof(answer));
		assert_int_equal(strncmp(answer, "HTTP/1.", 7), 0);
		assert_int_equal(strncmp(answer + 9, "404 Not Found\r\n", 15), 0);
		assert_null(strcasestr(answer, "farlan"));
		assert_null(strcasestr(answer, "websocket"));
		assert_null(strcasestr(answer, "microhttpd"));
	}
	/* A good INIT, but no upgrade; a good upgrade, but a bit of the INIT is wrong: the same page. */
	size_t len = init_of(&gate, init);
	size_t n = upgrade_request("x", (const uint8_t *)"0123456789abcdef", init, len, accept, knock, sizeof(knock));
	assert_true(n > 0);
	memcpy(strstr(knock, "Upgrade: websocket"), "Upgrade: websockex", 18);
	ask(&b, knock, first, sizeof(first));
	assert_non_null(strstr(first, "404 Not Found"));
	init[len - 40] ^= 1;
	assert_true(upgrade_request("x", (const uint8_t *)"0123456789abcdef", init, len, accept, knock, sizeof(knock)) > 0);
	ask(&b, knock, answer, sizeof(answer));
	assert_non_null(strstr(answer, "404 Not Found"));
	assert_false(got(b.server_fd, &m, 100));
	assert_int_equal(streams_count(b.server), 0);
	up(&b, certificate.pin); /* and a node still gets in */
	bed_end(&b);
}

/* Who upgrades and then says nothing WebSocket, and who says nothing at all. */
static void test_after_upgrade(void **state)
{
	struct bed b;
	struct message m;
	char knock[8192], answer[4096], accept[UPGRADE_ACCEPT];
	uint8_t init[INIT_SEND_MAX];
	(void)state;
	bed_make(&b, 0);
	size_t len = init_of(&gate, init);
	assert_true(upgrade_request("x", (const uint8_t *)"0123456789abcdef", init, len, accept, knock, sizeof(knock)) > 0);
	strcat(knock, "garbage that is no frame: \xff\xff\xff\xff\xff\xff\xff");
	ask(&b, knock, answer, sizeof(answer));
	assert_int_equal(strncmp(answer, "HTTP/1.1 101 ", 13), 0);
	assert_true(upgrade_answer(answer, strlen(answer), 101, accept) > 0);
	assert_true(got(b.server_fd, &m, WAIT_MS)); /* the INIT, and nothing else */
	assert_int_equal(m.len, len);
	assert_false(got(b.server_fd, &m, 100));
	until_count(b.server, 0);
	bed_end(&b);
}

/* Connections that send nothing, or a byte now and then, end; nodes get in beside them. */
static void test_slow(void **state)
{
	struct bed b;
	int fd[40];
	char byte;
	(void)state;
	bed_make(&b, 1000);
	for (unsigned i = 0; i < 40; i++)
		fd[i] = tcp_to(&b);
	up(&b, certificate.pin);
	for (unsigned i = 0; i < 15; i++) {
		for (unsigned k = 0; k < 40; k += 2)
			(void)send(fd[k], "\x16", 1, MSG_NOSIGNAL | MSG_DONTWAIT);
		pause_ms(100);
	}
	for (unsigned i = 0; i < 40; i++) {
		ssize_t n;
		do
			n = recv(fd[i], &byte, 1, 0);
		while (n > 0); /* an alert, perhaps */
		assert_true(n == 0 || errno != EAGAIN);
		close(fd[i]);
	}
	assert_int_equal(streams_count(b.client), 1);
	bed_end(&b);
}

/* An HTTP proxy for one connection: reads a CONNECT, answers, and then carries bytes both ways. */
struct proxy_thread {
	int listener;
	uint16_t port, wanted; /* its own; where CONNECT has to lead */
	const char *answer;    /* NULL: connect */
	bool asked;            /* for what it had to be */
};

static void pump(int a, int b)
{
	struct pollfd fds[2] = {{.fd = a, .events = POLLIN}, {.fd = b, .events = POLLIN}};
	char bytes[4096];
	for (;;) {
		if (poll(fds, 2, WAIT_MS) <= 0)
			return;
		for (int i = 0; i < 2; i++) {
			if (!fds[i].revents)
				continue;
			ssize_t n = recv(fds[i].fd, bytes, sizeof(bytes), 0);
			if (n <= 0 || send(fds[!i].fd, bytes, (size_t)n, MSG_NOSIGNAL) != n)
				return;
		}
	}
}

static void *proxy_run(void *self)
{
	struct proxy_thread *t = self;
	char text[1024] = "", wanted[128];
	size_t len = 0;
	ssize_t n;
	int from = accept(t->listener, NULL, NULL), to = -1;
	while (!strstr(text, "\r\n\r\n") && len + 1 < sizeof(text) && (n = recv(from, text + len, 1, 0)) > 0)
		text[len += (size_t)n] = '\0';
	snprintf(wanted, sizeof(wanted), "CONNECT 127.0.0.1:%u HTTP/1.1\r\n", t->wanted);
	t->asked = !strncmp(text, wanted, strlen(wanted));
	const char *answer = t->answer ? t->answer : "HTTP/1.1 200 Connection established\r\nVia: x\r\n\r\n";
	for (const char *p = answer; *p; p++) /* byte by byte, as a bad network would */
		(void)send(from, p, 1, MSG_NOSIGNAL);
	if (!t->answer) {
		const struct bed b = {.at = {.port = t->wanted, .ip = {127, 0, 0, 1}}};
		to = tcp_to(&b);
		pump(from, to);
		close(to);
	}
	close(from);
	return NULL;
}

static void test_proxy(void **state)
{
	static const char *const answers[] = {NULL, "HTTP/1.0 407 Proxy Authentication Required\r\n\r\n", "garbage\r\n\r\n"};
	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		struct proxy_thread t = {.answer = answers[i], .listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
		struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
		socklen_t len = sizeof(a);
		char name[64];
		struct bed b;
		struct endpoint ended;
		uint8_t init[INIT_SEND_MAX];
		pthread_t thread;
		assert_int_equal(bind(t.listener, (struct sockaddr *)&a, len), 0);
		assert_int_equal(listen(t.listener, 1), 0);
		assert_int_equal(getsockname(t.listener, (struct sockaddr *)&a, &len), 0);
		/* A name is looked up on the way, an address is not. */
		snprintf(name, sizeof(name), "%s:%u", i ? "127.0.0.1" : "localhost", ntohs(a.sin_port));
		bed_make_by(&b, 0, name);
		t.wanted = b.at.port;
		assert_int_equal(pthread_create(&thread, NULL, proxy_run, &t), 0);
		if (!answers[i]) {
			up(&b, certificate.pin);
		} else {
			assert_true(streams_open(b.client, &b.at, "", NULL, init, init_of(&gate, init)));
			until_told(&b, 1);
			assert_true(streams_ended(b.client, &ended));
			up(&b, certificate.pin); /* the next one goes without the proxy that was of no use */
		}
		bed_end(&b);
		pthread_join(thread, NULL);
		assert_true(t.asked);
		close(t.listener);
	}
}

static void test_certificate(void **state)
{
	struct certificate again;
	char why[CERTIFICATE_WHY], chain[64], key[64], other[64];
	struct stat st;
	(void)state;
	snprintf(chain, sizeof(chain), "%s/tls.crt", folder);
	snprintf(key, sizeof(key), "%s/tls.key", folder);
	snprintf(other, sizeof(other), "%s/other", folder);
	/* Kept: the next start shows the same pin. */
	assert_int_equal(certificate_open(&again, folder, NULL, NULL, why), 0);
	assert_memory_equal(again.pin, certificate.pin, 32);
	assert_true(again.own);
	certificate_fini(&again);
	assert_int_equal(stat(key, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	/* By name it is somebody else's. */
	assert_int_equal(certificate_open(&again, folder, chain, key, why), 0);
	assert_false(again.own);
	certificate_fini(&again);
	assert_int_equal(certificate_open(&again, folder, chain, NULL, why), -EINVAL);
	assert_non_null(strstr(why, "tls-key"));
	assert_int_equal(certificate_open(&again, folder, "/nowhere/x", key, why), -ENOENT);
	assert_non_null(strstr(why, "/nowhere/x"));
	assert_int_equal(certificate_open(&again, folder, key, chain, why), -EINVAL);
	/* Another key is not taken. */
	assert_int_equal(mkdir(other, 0700), 0);
	assert_int_equal(certificate_open(&again, other, NULL, NULL, why), 0);
	assert_memory_not_equal(again.pin, certificate.pin, 32);
	certificate_fini(&again);
	char wrong[128];
	snprintf(wrong, sizeof(wrong), "%s/tls.key", other);
	assert_int_equal(certificate_open(&again, folder, chain, wrong, why), -EINVAL);
	unlink(wrong);
	snprintf(wrong, sizeof(wrong), "%s/tls.crt", other);
	unlink(wrong);
	rmdir(other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_certificate), cmocka_unit_test(test_both_ways), cmocka_unit_test(test_root_goes),
	    cmocka_unit_test(test_wrong_gate),  cmocka_unit_test(test_strangers), cmocka_unit_test(test_after_upgrade),
	    cmocka_unit_test(test_slow),        cmocka_unit_test(test_proxy),
	};
	alarm(120);
	return cmocka_run_group_tests_name("fallback", tests, setup, teardown);
}
