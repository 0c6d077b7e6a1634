/* The UDP seam over real sockets on the loopback, in a network namespace of its own where that can
 * be made. */
#include "node/udp.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "proto/endpoint.h"

static const struct endpoint loopback4 = {.family = 4, .ip = {127, 0, 0, 1}}, loopback6 = {.family = 6, .ip = {[15] = 1}};

static uint8_t sent_bytes[BATCH_MAX][2048], got_bytes[BATCH_MAX][2048];

static int private_net(void **state)
{
	(void)state;
	/* Without root the host's own loopback does as well. */
	if (unshare(CLONE_NEWNET) == 0) {
		struct ifreq r = {.ifr_name = "lo", .ifr_flags = IFF_UP};
		int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
		int err = ioctl(fd, SIOCSIFFLAGS, &r);
		close(fd);
		return err;
	}
	return 0;
}

/* Both loopbacks, or one if the host has no IPv6; the sockets' addresses in ret_bound. */
static struct udp *opened(unsigned workers, struct endpoint ret_bound[2])
{
	const struct endpoint listen[2] = {loopback4, loopback6};
	struct udp *u = NULL;
	memset(ret_bound, 0, 2 * sizeof(*ret_bound));
	assert_int_equal(udp_open(&u, listen, 2, workers, ret_bound), 0);
	assert_int_equal(udp_sockets(u), 2);
	return u;
}

/* Nothing of this may be left where a datagram came. */
static void spoil(struct packet *p, unsigned n)
{
	memset(p, 0xee, n * sizeof(*p));
	for (unsigned i = 0; i < n; i++)
		p[i].verdict = DROP_SEND;
}

/* n packets of different lengths and contents to one destination. */
static void fill(struct packet *p, unsigned n, const struct endpoint *to)
{
	memset(p, 0, n * sizeof(*p));
	for (unsigned i = 0; i < n; i++) {
		p[i].data = sent_bytes[i];
		p[i].len = 1 + i * 19;
		p[i].from = *to;
		for (unsigned k = 0; k < p[i].len; k++)
			sent_bytes[i][k] = (uint8_t)(i * 31 + k);
	}
}

/* As udp_recv, but waits up to a second until n have come, and the bytes are copies that last. */
static unsigned recv_all(struct udp *u, unsigned worker, struct packet *p, unsigned n)
{
	unsigned got = 0;
	for (int tries = 0; tries < 1000 && got < n; tries++) {
		unsigned more = udp_recv(u, worker, &(uint32_t){UDP_LOOK_ALL}, p + got, n - got);
		for (; more; more--, got++) {
			assert_int_equal(p[got].room, p[got].len);
			assert_in_range(p[got].len, 0, sizeof(got_bytes[0]));
			p[got].data = memcpy(got_bytes[got], p[got].data, p[got].len);
		}
		if (got < n)
			usleep(1000);
	}
	return got;
}

static void test_round_trip(void **state)
{
	(void)state;
	struct endpoint a[2], b[2];
	struct udp *from = opened(1, a), *to = opened(1, b);
	struct packet out[BATCH_MAX], in[BATCH_MAX];
	assert_int_equal(a[0].port, a[1].port);
	assert_int_not_equal(a[0].port, 0);
	assert_int_equal(a[0].family, 4);
	assert_int_equal(a[1].family, 6);
	for (unsigned s = 0; s < 2; s++) {
		fill(out, BATCH_MAX, &b[s]); /* socket 0 for all: of the wrong family for IPv6,
						which must be mended */
		udp_send(from, 0, out, BATCH_MAX);
		spoil(in, BATCH_MAX);
		assert_int_equal(recv_all(to, 0, in, BATCH_MAX), BATCH_MAX);
		for (unsigned i = 0; i < BATCH_MAX; i++) {
			assert_int_equal(out[i].verdict, DROP_NONE);
			assert_int_equal(in[i].verdict, DROP_NONE);
			assert_int_equal(in[i].len, out[i].len);
			assert_memory_equal(in[i].data, out[i].data, out[i].len);
			assert_int_equal(in[i].socket, s);
			assert_memory_equal(&in[i].from, &a[s], sizeof(a[s]));
		}
		/* Back by what came in: from and socket are all it takes. */
		udp_send(to, 0, in, BATCH_MAX);
		spoil(out, BATCH_MAX);
		assert_int_equal(recv_all(from, 0, out, BATCH_MAX), BATCH_MAX);
		assert_memory_equal(&out[5].from, &b[s], sizeof(b[s]));
	}
	spoil(in, 1);
	assert_int_equal(udp_recv(to, 0, &(uint32_t){UDP_LOOK_ALL}, in, 1), 0);
	udp_close(from);
	udp_close(to);
	udp_close(NULL);
}

static void test_port_is_ours_alone(void **state)
{
	(void)state;
	struct udp *u, *second;
	for (unsigned workers = 1; workers <= 4; workers += 3) {
		struct endpoint bound[2], want;
		u = opened(workers, bound);
		for (unsigned s = 0; s < 2; s++)
			for (unsigned others = 1; others <= 4; others += 3) {
				struct endpoint kept = {.port = 77};
				second = (struct udp *)state;
				want = bound[s];
				assert_int_equal(udp_open(&second, &want, 1, others, &kept), -EADDRINUSE);
				assert_ptr_equal(second, state);
				assert_int_equal(kept.port, 77);
				/* Another address of the same host that covers it. */
				memset(want.ip, 0, sizeof(want.ip));
				assert_int_equal(udp_open(&second, &want, 1, others, NULL), -EADDRINUSE);
			}
		/* The second address taken: nothing of the first may stay bound. */
		struct endpoint two[2] = {loopback4, bound[1]}, one = loopback4;
		two[0].port = one.port = (uint16_t)(bound[0].port == 40001 ? 40002 : 40001);
		assert_int_equal(udp_open(&second, two, 2, 2, NULL), -EADDRINUSE);
		assert_int_equal(udp_open(&second, &one, 1, 1, NULL), 0);
		udp_close(second);
		udp_close(u);
		assert_int_equal(udp_open(&second, bound, 2, 2, NULL), 0);
		udp_close(second);
	}
}

static void test_bad_arguments(void **state)
{
	(void)state;
	struct udp *u = NULL;
	struct endpoint e[5] = {loopback4, loopback4, loopback4, loopback4, loopback4}, odd = {.family = 5};
	assert_int_equal(udp_open(&u, e, 0, 1, NULL), -EINVAL);
	assert_int_equal(udp_open(&u, e, 5, 1, NULL), -EINVAL);
	assert_int_equal(udp_open(&u, e, 1, 0, NULL), -EINVAL);
	assert_int_equal(udp_open(&u, e, 1, UDP_WORKERS_MAX + 1, NULL), -EINVAL);
	assert_int_equal(udp_open(&u, &odd, 1, 1, NULL), -EAFNOSUPPORT);
	e[0].ip[0] = 192; /* 192.0.0.1: not ours */
	e[0].ip[3] = 1;
	assert_int_equal(udp_open(&u, e, 1, 1, NULL), -EADDRNOTAVAIL);
	assert_null(u);
	assert_int_equal(udp_open(&u, &loopback4, 1, 2, e), 0);
	assert_int_equal(udp_fd(u, 1, 0), -1);
	assert_int_equal(udp_fd(u, 0, 2), -1);
	assert_true(udp_fd(u, 0, 1) >= 0 && udp_fd(u, 0, 0) != udp_fd(u, 0, 1));
	assert_true(fcntl(udp_fd(u, 0, 1), F_GETFL) & O_NONBLOCK);
	assert_true(fcntl(udp_fd(u, 0, 1), F_GETFD) & FD_CLOEXEC);
	udp_close(u);
}

static void test_lanes_steer(void **state)
{
	(void)state;
	enum { WORKERS = 3 };
	struct endpoint to[2], a[2];
	struct udp *u = opened(WORKERS, to), *from = opened(1, a);
	struct packet out[BATCH_MAX], in[BATCH_MAX];
	for (unsigned s = 0; s < 2; s++) {
		fill(out, BATCH_MAX, &to[s]);
		for (unsigned i = 0; i < BATCH_MAX; i++) {
			out[i].len = 40;
			sent_bytes[i][0] = (uint8_t)(i << 4 | i % 16); /* lane in the low bits, something else above */
			sent_bytes[i][1] = (uint8_t)i;
		}
		udp_send(from, 0, out, BATCH_MAX);
		for (unsigned w = 0; w < WORKERS; w++) {
			unsigned mine = 0;
			for (unsigned i = 0; i < BATCH_MAX; i++)
				mine += i % 16 % WORKERS == w;
			spoil(in, BATCH_MAX);
			assert_int_equal(recv_all(u, w, in, mine), mine);
			for (unsigned i = 0; i < mine; i++)
				assert_int_equal((in[i].data[0] & 15) % WORKERS, w);
			assert_int_equal(udp_recv(u, w, &(uint32_t){UDP_LOOK_ALL}, in, 1), 0);
		}
	}
	udp_close(u);
	udp_close(from);
}

static void test_refused_packets_stand_alone(void **state)
{
	(void)state;
	static uint8_t huge[65507];
	struct endpoint b[2], bound;
	struct udp *u = NULL, *to = opened(1, b);
	struct packet p[6], in[6];
	assert_int_equal(udp_open(&u, &loopback4, 1, 1, &bound), 0);
	fill(p, 6, &b[0]);
	p[1].data = huge;
	p[1].len = 65508; /* one more than IPv4 can hold: never read */
	p[2].from = b[1]; /* no IPv6 socket here */
	p[3].verdict = DROP_AEAD;
	p[4].from.family = 0;
	udp_send(u, 0, p, 6);
	assert_int_equal(p[0].verdict, DROP_NONE);
	assert_int_equal(p[1].verdict, DROP_SEND);
	assert_int_equal(p[2].verdict, DROP_SEND);
	assert_int_equal(p[3].verdict, DROP_AEAD);
	assert_int_equal(p[4].verdict, DROP_SEND);
	assert_int_equal(p[5].verdict, DROP_NONE);
	spoil(in, 6);
	assert_int_equal(recv_all(to, 0, in, 2), 2);
	assert_memory_equal(in[0].data, sent_bytes[0], p[0].len);
	assert_int_equal(in[1].len, p[5].len);
	assert_memory_equal(in[1].data, sent_bytes[5], p[5].len);
	assert_int_equal(udp_recv(to, 0, &(uint32_t){UDP_LOOK_ALL}, in, 6), 0);
	udp_send(u, 0, p, 0);
	udp_close(u);
	udp_close(to);
}

/* A socket that is never empty must not keep the other from being read. */
static void test_sockets_take_turns(void **state)
{
	(void)state;
	struct endpoint a[2], b[2];
	struct udp *from = opened(1, a), *to = opened(1, b);
	struct packet out[8], in[8];
	bool both[2] = {false, false};
	for (unsigned s = 0; s < 4; s++) {
		fill(out, 8, &b[s / 2]);
		udp_send(from, 0, out, 8);
	}
	for (unsigned s = 0; s < 2; s++) {
		struct pollfd p = {.fd = udp_fd(to, s, 0), .events = POLLIN};
		assert_int_equal(poll(&p, 1, 5000), 1);
	}
	/* Each has two turns' worth; two turns see both. */
	for (unsigned turn = 0; turn < 4; turn++) {
		spoil(in, 8);
		assert_int_equal(recv_all(to, 0, in, 8), 8);
		both[in[0].socket] = true;
		assert_true(turn == 0 || (both[0] && both[1]));
	}
	udp_close(from);
	udp_close(to);
}

struct sender {
	struct udp *u;
	struct endpoint to;
	uint8_t mark;
	unsigned refused;
};

static void *sender_run(void *self)
{
	struct sender *s = self;
	uint8_t bytes[8][64];
	struct packet p[8];
	for (unsigned round = 0; round < 50; round++) {
		memset(p, 0, sizeof(p));
		for (unsigned i = 0; i < 8; i++) {
			memset(bytes[i], s->mark, sizeof(bytes[i]));
			p[i] = (struct packet){.data = bytes[i], .len = sizeof(bytes[i]), .from = s->to};
		}
		udp_send(s->u, 0, p, 8);
		for (unsigned i = 0; i < 8; i++)
			s->refused += p[i].verdict != DROP_NONE;
	}
	return NULL;
}

/* Control sends by worker 0's sockets while worker 0 does. */
static void test_two_threads_send(void **state)
{
	(void)state;
	struct endpoint a[2], b[2];
	struct udp *from = opened(2, a), *to = opened(1, b);
	struct sender s[2] = {{from, b[0], 0x11, 0}, {from, b[1], 0x22, 0}};
	pthread_t thread[2];
	struct packet in[BATCH_MAX];
	unsigned count[2] = {0, 0};
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, sender_run, &s[i]), 0);
	for (unsigned i = 0; i < 2; i++)
		pthread_join(thread[i], NULL);
	for (;;) {
		spoil(in, BATCH_MAX);
		unsigned n = udp_recv(to, 0, &(uint32_t){UDP_LOOK_ALL}, in, BATCH_MAX);
		if (!n)
			break;
		for (unsigned i = 0; i < n; i++) {
			assert_int_equal(in[i].len, 64);
			for (unsigned k = 1; k < 64; k++)
				assert_int_equal(in[i].data[k], in[i].data[0]);
			assert_true(in[i].data[0] == 0x11 || in[i].data[0] == 0x22);
			count[in[i].data[0] == 0x22]++;
		}
	}
	assert_int_equal(s[0].refused + s[1].refused, 0);
	assert_int_equal(count[0], 400);
	assert_int_equal(count[1], 400);
	udp_close(from);
	udp_close(to);
}

/* What stands at the streams' end of the pair: who it is for, or from, and the datagram. */
struct streamed {
	struct endpoint who;
	uint8_t bytes[2048];
};

static void test_streams(void **state)
{
	const struct endpoint far = {.family = 6 | ENDPOINT_STREAM, .port = 443, .ip = {0x20, 1, [15] = 9}};
	struct endpoint bound[2];
	struct packet p[BATCH_MAX];
	struct streamed m;
	struct udp *u = opened(2, bound);
	int pair[2];
	(void)state;

	/* Without a pair there is no way for them; the others go. */
	fill(p, 3, &far);
	p[1].from = bound[0];
	udp_send(u, 0, p, 3);
	assert_int_equal(p[0].verdict, DROP_SEND);
	assert_int_equal(p[1].verdict, DROP_NONE);
	assert_int_equal(p[2].verdict, DROP_SEND);
	assert_int_equal(recv_all(u, sent_bytes[1][0] % 16 % 2, p, 1), 1);

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
	udp_attach(u, pair[0]);
	assert_int_equal(udp_sockets(u), 3);
	assert_int_equal(udp_fd(u, 2, 0), pair[0]);
	assert_int_equal(udp_fd(u, 2, 1), -1);
	/* Down: any worker and control send there, each datagram a message of its own. */
	for (unsigned worker = 0; worker < 2; worker++) {
		fill(p, BATCH_MAX, &far);
		p[3].verdict = DROP_AEAD;
		udp_send(u, worker, p, BATCH_MAX);
		for (unsigned i = 0; i < BATCH_MAX; i++) {
			assert_int_equal(p[i].verdict, i == 3 ? DROP_AEAD : DROP_NONE);
			if (i == 3)
				continue;
			assert_int_equal(recv(pair[1], &m, sizeof(m), 0), sizeof(far) + p[i].len);
			assert_memory_equal(&m.who, &far, sizeof(far));
			assert_memory_equal(m.bytes, sent_bytes[i], p[i].len);
		}
		assert_int_equal(recv(pair[1], &m, sizeof(m), 0), -1);
	}
	/* Up: to worker 0 alone, among what its sockets bring, aligned as the decryption wants it. */
	for (unsigned i = 0; i < 100; i++) {
		m.who = far;
		m.who.port = (uint16_t)(1000 + i);
		memset(m.bytes, (int)i, sizeof(m.bytes));
		assert_int_equal(send(pair[1], &m, sizeof(far) + 100 + i, 0), sizeof(far) + 100 + i);
	}
	assert_int_equal(udp_recv(u, 1, &(uint32_t){UDP_LOOK_ALL}, p, BATCH_MAX), 0);
	for (unsigned i = 0, n; i < 100; i += n) {
		spoil(p, BATCH_MAX);
		n = udp_recv(u, 0, &(uint32_t){UDP_LOOK_ALL}, p, BATCH_MAX);
		assert_in_range(n, 1, BATCH_MAX);
		for (unsigned k = 0; k < n; k++) {
			assert_int_equal(p[k].from.family, far.family);
			assert_int_equal(p[k].from.port, 1000 + i + k);
			assert_int_equal(p[k].len, 100 + i + k);
			assert_int_equal(p[k].room, p[k].len);
			assert_int_equal(p[k].verdict, DROP_NONE);
			assert_int_equal(p[k].socket, 2);
			assert_int_equal((uintptr_t)p[k].data % 16, 0);
			assert_int_equal(p[k].data[0], i + k);
			assert_int_equal(p[k].data[p[k].len - 1], i + k);
		}
	}
	/* Nobody reads: what does not fit is refused, and nothing waits. */
	unsigned refused = 0;
	for (unsigned i = 0; i < 200 && !refused; i++) {
		fill(p, BATCH_MAX, &far);
		udp_send(u, 0, p, BATCH_MAX);
		for (unsigned k = 0; k < BATCH_MAX; k++)
			refused += p[k].verdict == DROP_SEND;
	}
	assert_in_range(refused, 1, BATCH_MAX);
	/* The other end closes: neither data nor a crash. */
	close(pair[1]);
	assert_int_equal(udp_recv(u, 0, &(uint32_t){UDP_LOOK_ALL}, p, BATCH_MAX), 0);
	fill(p, 2, &far);
	udp_send(u, 0, p, 2);
	assert_int_equal(p[0].verdict, DROP_SEND);
	udp_close(u);
}

/* ---- spray ------------------------------------------------------------------------------------------------------ */

#define EXPECTED 0x11223344u

struct spray_bed {
	struct udp *u, *far;
	struct endpoint at, far_at;
	unsigned asked;
};

static bool expected(const void *self, uint32_t first, size_t len, const struct endpoint *from)
{
	struct spray_bed *b = (struct spray_bed *)self;
	b->asked++;
	return first == EXPECTED && len == 96 && endpoint_equal(from, &b->far_at);
}

static struct spray_bed spray_bed(unsigned workers)
{
	struct spray_bed b = {.u = NULL};
	assert_int_equal(udp_open(&b.u, &loopback4, 1, workers, &b.at), 0);
	assert_int_equal(udp_open(&b.far, &loopback4, 1, 1, &b.far_at), 0);
	return b;
}

static void spray_bed_close(struct spray_bed *b)
{
	udp_close(b->u);
	udp_close(b->far);
}

/* Where a sprayed socket is, as the far end sees it. */
static struct endpoint seen_at(struct spray_bed *b, unsigned i)
{
	const uint8_t word[5] = {(uint8_t)i, 's', 'e', 'e', 'n'};
	struct packet in[1];
	assert_true(udp_spray_send(b->u, i, &b->far_at, word, sizeof(word)));
	assert_int_equal(recv_all(b->far, 0, in, 1), 1);
	assert_int_equal(in[0].len, sizeof(word));
	assert_memory_equal(in[0].data, word, sizeof(word));
	return in[0].from;
}

static void knock(struct udp *from, const struct endpoint *to, uint32_t first, unsigned len)
{
	struct packet p = {.data = sent_bytes[0], .len = len, .from = *to};
	memset(sent_bytes[0], 0x5a, len);
	memcpy(sent_bytes[0], &first, sizeof(first) < len ? sizeof(first) : len);
	udp_send(from, 0, &p, 1);
	assert_int_equal(p.verdict, DROP_NONE);
}

/* Until something expected is there, a second at most. */
static int adopted(struct spray_bed *b, uint32_t in_use, int *ret_old)
{
	int socket = -EAGAIN;
	for (unsigned i = 0; i < 100 && socket == -EAGAIN; i++) {
		socket = udp_spray_adopt(b->u, expected, b, in_use, ret_old);
		if (socket == -EAGAIN)
			usleep(10000);
	}
	return socket;
}

static void test_spray(void **state)
{
	struct spray_bed b = spray_bed(2);
	struct packet p[BATCH_MAX], in[BATCH_MAX];
	int old = 77;
	(void)state;
	assert_int_equal(udp_spray_adopt(b.u, expected, &b, 0, &old), -EAGAIN);
	assert_int_equal(udp_spray_open(b.u, 20), 20);
	assert_int_equal(udp_spray_open(b.u, 20), -EBUSY);
	/* Each has a port of its own; workers see none of them. */
	struct endpoint at[20];
	for (unsigned i = 0; i < 20; i++) {
		at[i] = seen_at(&b, i);
		assert_int_not_equal(at[i].port, b.at.port);
		for (unsigned k = 0; k < i; k++)
			assert_int_not_equal(at[i].port, at[k].port);
	}
	assert_int_equal(udp_sockets(b.u), 1);
	/* Junk wins nothing: another first word, another length, none at all, another sender. It is thrown away, and never comes to a worker. */
	struct udp *third;
	assert_int_equal(udp_open(&third, &loopback4, 1, 1, NULL), 0);
	knock(b.far, &at[3], EXPECTED + 1, 96);
	knock(b.far, &at[3], EXPECTED, 95);
	knock(b.far, &at[3], EXPECTED, 3);
	knock(b.far, &at[3], EXPECTED, 0);
	knock(third, &at[3], EXPECTED, 96);
	assert_int_equal(adopted(&b, 0, &old), -EAGAIN);
	assert_int_equal(b.asked, 3); /* those too short for a first word are not shown */
	assert_int_equal(udp_extras(b.u), 0);
	/* Behind more junk in the same socket the real one is found; it is left to the worker, byte for byte. */
	knock(b.far, &at[7], 1, 96);
	knock(b.far, &at[7], EXPECTED, 96);
	assert_int_equal(adopted(&b, 0, &old), UDP_EXTRA_FIRST);
	assert_int_equal(old, -1);
	assert_int_equal(udp_sockets(b.u), UDP_EXTRA_FIRST + 1);
	assert_true(udp_fd(b.u, UDP_EXTRA_FIRST, 0) >= 0);
	assert_int_equal(udp_fd(b.u, UDP_EXTRA_FIRST, 1), -1);
	assert_int_equal(udp_fd(b.u, UDP_EXTRA_FIRST + 1, 0), -1);
	for (unsigned s = 1; s < UDP_EXTRA_FIRST; s++)
		assert_int_equal(udp_fd(b.u, s, 0), -1);
	assert_int_equal(udp_recv(b.u, 1, &(uint32_t){UDP_LOOK_ALL}, in, BATCH_MAX), 0);
	assert_int_equal(recv_all(b.u, 0, in, 1), 1);
	assert_int_equal(in[0].socket, UDP_EXTRA_FIRST);
	assert_int_equal(in[0].len, 96);
	assert_memory_equal(in[0].data, sent_bytes[0], 96);
	assert_true(endpoint_equal(&in[0].from, &b.far_at));
	/* The others end; the adopted one stays, and is nobody's to spray by any more. */
	assert_false(udp_spray_send(b.u, 7, &b.far_at, sent_bytes[0], 5));
	udp_spray_close(b.u);
	udp_spray_close(b.u);
	/* All workers send by it, and by their own in the same batch. */
	for (unsigned worker = 0; worker < 2; worker++) {
		fill(p, BATCH_MAX, &b.far_at);
		for (unsigned i = 0; i < BATCH_MAX; i++)
			p[i].socket = i % 2 ? UDP_EXTRA_FIRST : 0;
		udp_send(b.u, worker, p, BATCH_MAX);
		assert_int_equal(recv_all(b.far, 0, in, BATCH_MAX), BATCH_MAX);
		for (unsigned i = 0; i < BATCH_MAX; i++) {
			bool extra = (in[i].len - 1) / 19 % 2;
			assert_int_equal(in[i].from.port, extra ? at[7].port : b.at.port);
		}
	}
	/* A place that there is none of: by the plain one. */
	fill(p, 1, &b.far_at);
	p[0].socket = UDP_EXTRA_FIRST + 1;
	udp_send(b.u, 0, p, 1);
	assert_int_equal(recv_all(b.far, 0, in, 1), 1);
	assert_int_equal(in[0].from.port, b.at.port);
	udp_close(third);
	spray_bed_close(&b);
}

static void test_spray_places(void **state)
{
	struct spray_bed b = spray_bed(1);
	struct packet in[BATCH_MAX];
	int old = 77;
	(void)state;
	assert_int_equal(udp_spray_open(b.u, UDP_EXTRA_MAX + 3), UDP_EXTRA_MAX + 3);
	for (unsigned i = 0; i < UDP_EXTRA_MAX; i++) {
		struct endpoint at = seen_at(&b, i);
		knock(b.far, &at, EXPECTED, 96);
		assert_int_equal(adopted(&b, (1u << i) - 1, &old), UDP_EXTRA_FIRST + i);
		assert_int_equal(old, -1);
		assert_int_equal(recv_all(b.u, 0, in, 1), 1);
		assert_int_equal(in[0].socket, UDP_EXTRA_FIRST + i);
	}
	/* All in use: nothing is looked at. Then the place of one that is not, whose descriptor comes back. */
	struct endpoint at = seen_at(&b, UDP_EXTRA_MAX);
	int before = udp_fd(b.u, UDP_EXTRA_FIRST + 5, 0);
	knock(b.far, &at, EXPECTED, 96);
	assert_int_equal(udp_spray_adopt(b.u, expected, &b, (1u << UDP_EXTRA_MAX) - 1, &old), -ENOSPC);
	assert_int_equal(adopted(&b, ((1u << UDP_EXTRA_MAX) - 1) & ~(1u << 5), &old), UDP_EXTRA_FIRST + 5);
	assert_int_equal(old, before);
	assert_int_not_equal(udp_fd(b.u, UDP_EXTRA_FIRST + 5, 0), before);
	close(old);
	assert_int_equal(udp_extras(b.u), UDP_EXTRA_MAX);
	assert_int_equal(recv_all(b.u, 0, in, 1), 1);
	assert_int_equal(in[0].socket, UDP_EXTRA_FIRST + 5);
	spray_bed_close(&b);
	/* No IPv4, no spray. */
	struct udp *six;
	if (udp_open(&six, &loopback6, 1, 1, NULL) == 0) {
		assert_int_equal(udp_spray_open(six, 1), -EAFNOSUPPORT);
		udp_close(six);
	}
}

/* Fewer descriptors than wanted: some are made, some are left for others. */
static void test_spray_limit(void **state)
{
	struct spray_bed b = spray_bed(1);
	struct rlimit limit, low;
	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	int next = dup(0);
	close(next);
	low = limit;
	low.rlim_cur = (rlim_t)next + 101; /* the epoll, and a hundred */
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
	assert_in_range(udp_spray_open(b.u, UDP_SPRAY_MAX), 1, 100 - 32); /* fewer where others lie above the first that is free */
	udp_spray_close(b.u);
	low.rlim_cur = (rlim_t)next + 11;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
	assert_int_equal(udp_spray_open(b.u, UDP_SPRAY_MAX), -EMFILE);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	assert_int_equal(udp_spray_open(b.u, 1), 1);
	spray_bed_close(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_round_trip),
	    cmocka_unit_test(test_port_is_ours_alone),
	    cmocka_unit_test(test_bad_arguments),
	    cmocka_unit_test(test_lanes_steer),
	    cmocka_unit_test(test_refused_packets_stand_alone),
	    cmocka_unit_test(test_sockets_take_turns),
	    cmocka_unit_test(test_two_threads_send),
	    cmocka_unit_test(test_streams),
	    cmocka_unit_test(test_spray),
	    cmocka_unit_test(test_spray_places),
	    cmocka_unit_test(test_spray_limit),
	};
	alarm(60);
	return cmocka_run_group_tests_name("udp", tests, private_net, NULL);
}
