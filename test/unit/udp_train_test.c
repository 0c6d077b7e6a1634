/* Trains of datagrams through the UDP seam: how packets are joined for the kernel to cut, what comes
 * back of a train, and what happens where the kernel will not. The system calls are the real ones,
 * counted on the way; only a full buffer is made up, as the loopback never has one. The datagrams of
 * one message lie back to back, those of two never do: so a test sees what travelled together. */
#include "node/udp.h"

#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#define SIZE 1442 /* as from a 1500-byte link */
#define REST 1024 /* calls without trains after one was refused */

static bool alone; /* in a network namespace of our own */

/* ---- the calls, counted ----------------------------------------------------------------------------------------- */

static struct {
	unsigned sends, messages, reads, asked;
	unsigned full_at; /* this message finds the buffer full; 0 = none does */
} calls;

int sendmmsg(int fd, struct mmsghdr *messages, unsigned n, int flags)
{
	calls.sends++;
	if (calls.full_at && calls.messages + n >= calls.full_at) {
		n = calls.full_at - 1 - calls.messages;
		if (!n) {
			errno = EAGAIN;
			return -1;
		}
	}
	int r = (int)syscall(SYS_sendmmsg, fd, messages, n, flags);
	calls.messages += r > 0 ? (unsigned)r : 0;
	return r;
}

int recvmmsg(int fd, struct mmsghdr *messages, unsigned n, int flags, struct timespec *timeout)
{
	calls.reads++;
	calls.asked = n;
	return (int)syscall(SYS_recvmmsg, fd, messages, n, flags, timeout);
}

/* ---- beds ------------------------------------------------------------------------------------------------------- */

static const struct endpoint loopback[2] = {{.family = 4, .ip = {127, 0, 0, 1}}, {.family = 6, .ip = {[15] = 1}}};

static int loopback_mtu(int mtu)
{
	struct ifreq r = {.ifr_name = "lo", .ifr_mtu = mtu};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), err = ioctl(fd, SIOCSIFMTU, &r);
	r.ifr_flags = IFF_UP;
	err = err ? err : ioctl(fd, SIOCSIFFLAGS, &r);
	close(fd);
	return err;
}

static int private_net(void **state)
{
	(void)state;
	alone = unshare(CLONE_NEWNET) == 0;
	return alone ? loopback_mtu(65536) : 0;
}

struct bed {
	struct udp *from, *to;
	struct endpoint at[2];
};

static void bed_make(struct bed *b)
{
	assert_int_equal(udp_open(&b->from, loopback, 2, 1, NULL), 0);
	assert_int_equal(udp_open(&b->to, loopback, 2, 1, b->at), 0);
	assert_int_equal(udp_sockets(b->to), 2);
	memset(&calls, 0, sizeof(calls));
}

static void bed_free(struct bed *b)
{
	udp_close(b->from);
	udp_close(b->to);
}

static uint8_t bytes[BATCH_MAX * 65536];

/* What byte k of a datagram numbered i is; the first is lane 0's. */
static uint8_t content(unsigned i, size_t k)
{
	return (uint8_t)(k ? i * 31 + k * 7 + k / 256 : i << 4);
}

/* n packets of these lengths, numbered from `number`, with so many bytes between each two. */
static void fill(struct packet *p, const uint32_t *len, unsigned n, unsigned number, const struct endpoint *to, unsigned gap)
{
	uint8_t *at = bytes;
	memset(p, 0, n * sizeof(*p));
	for (unsigned i = 0; i < n; i++) {
		p[i] = (struct packet){.data = at, .len = len[i], .room = len[i], .from = *to};
		for (size_t k = 0; k < len[i]; k++)
			at[k] = content(number + i, k);
		at += len[i] + gap;
	}
}

/* n packets: all of one length but the last. */
static void fill_train(struct packet *p, unsigned n, uint32_t len, uint32_t last, unsigned number, const struct endpoint *to)
{
	uint32_t lens[BATCH_MAX];
	for (unsigned i = 0; i < n; i++)
		lens[i] = i + 1 < n ? len : last;
	fill(p, lens, n, number, to, 0);
}

static void expect_sent(const struct packet *p, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		assert_int_equal(p[i].verdict, DROP_NONE);
}

static void expect_datagram(const struct packet *p, unsigned number, uint32_t len)
{
	assert_int_equal(p->verdict, DROP_NONE);
	assert_int_equal(p->len, len);
	assert_int_equal(p->room, len);
	for (size_t k = 0; k < len; k++)
		if (p->data[k] != content(number, k))
			fail_msg("byte %zu of datagram %u", k, number);
}

static unsigned recv_some(struct udp *u, struct packet *p, unsigned n)
{
	struct pollfd wait[2] = {{.fd = udp_fd(u, 0, 0), .events = POLLIN}, {.fd = udp_fd(u, 1, 0), .events = POLLIN}};
	memset(p, 0xee, n * sizeof(*p));
	unsigned got = udp_recv(u, 0, &(uint32_t){UDP_LOOK_ALL}, p, n);
	/* Handed out is asked first: what is left of a message makes no socket readable. */
	if (!got && poll(wait, 2, 1000) > 0)
		got = udp_recv(u, 0, &(uint32_t){UDP_LOOK_ALL}, p, n);
	return got;
}

static unsigned together(const struct packet *p, unsigned n)
{
	unsigned k = 1;
	while (k < n && p[k].data == p[k - 1].data + p[k - 1].len)
		k++;
	return k;
}

/* All n datagrams are there, as messages of so many each (0 ends). */
static void expect_runs(struct udp *u, const uint32_t *len, unsigned n, const unsigned *runs)
{
	struct packet in[BATCH_MAX];
	unsigned seen = 0, k = 0;
	while (seen < n) {
		unsigned got = recv_some(u, in, BATCH_MAX);
		assert_int_not_equal(got, 0);
		for (unsigned i = 0; i < got; i++)
			expect_datagram(&in[i], seen + i, len[seen + i]);
		for (unsigned i = 0; i < got; i += runs[k++])
			assert_int_equal(together(in + i, got - i), runs[k]);
		seen += got;
	}
	assert_int_equal(runs[k], 0);
	assert_int_equal(udp_recv(u, 0, &(uint32_t){UDP_LOOK_ALL}, in, BATCH_MAX), 0);
}

/* ---- tests ------------------------------------------------------------------------------------------------------ */

static void test_train(void **state)
{
	(void)state;
	struct bed b;
	struct packet out[45], in[BATCH_MAX];
	bed_make(&b);
	/* Both families, with and without either half. */
	for (unsigned i = 0; i < 8; i++) {
		bool segment = i & 1, gro = i & 2;
		unsigned s = i >> 2;
		udp_without(b.from, !segment, false);
		udp_without(b.to, false, !gro);
		fill_train(out, 45, SIZE, 100, i, &b.at[s]);
		memset(&calls, 0, sizeof(calls));
		udp_send(b.from, 0, out, 45);
		expect_sent(out, 45);
		assert_int_equal(calls.sends, 1);
		assert_int_equal(calls.messages, segment ? 1 : 45);
		for (unsigned seen = 0; seen < 45;) {
			unsigned got = recv_some(b.to, in, BATCH_MAX);
			assert_int_not_equal(got, 0);
			if (segment && gro)
				assert_int_equal(together(in, got), 45);
			else if (got > 1)
				assert_int_equal(together(in, got), 1);
			for (unsigned k = 0; k < got; k++, seen++) {
				expect_datagram(&in[k], i + seen, seen < 44 ? SIZE : 100);
				assert_int_equal(in[k].socket, s);
				assert_int_equal(in[k].from.family, s ? 6 : 4);
			}
		}
		assert_int_equal(udp_recv(b.to, 0, &(uint32_t){UDP_LOOK_ALL}, in, BATCH_MAX), 0);
	}
	bed_free(&b);
}

static void test_runs(void **state)
{
	(void)state;
	static const struct {
		unsigned n, gap;
		uint32_t len[BATCH_MAX];
		unsigned runs[BATCH_MAX + 1];
	} cases[] = {
	    {1, 0, {1}, {1}},
	    {2, 0, {1, 1}, {2}},
	    {5, 0, {100, 100, 50, 100, 100}, {3, 2}},        /* a shorter one ends a train */
	    {5, 0, {100, 50, 50, 40, 41}, {2, 2, 1}},        /* so that what follows begins the next */
	    {3, 0, {50, 100, 101}, {1, 1, 1}},               /* a longer one never joins */
	    {4, 7, {800, 800, 800, 3}, {4}},                 /* back to back or not */
	    {6, 0, {0, 100, 100, 0, 0, 9}, {1, 2, 1, 1, 1}}, /* empty ones are datagrams, but stay alone */
	    {3, 0, {40000, 40000, 25400}, {1, 2}},           /* as much as a device segments, whole on any */
	    {2, 0, {40000, 25401}, {1, 1}},
	    {2, 0, {65480, 65480}, {1, 1}},
	};
	struct bed b;
	struct packet out[BATCH_MAX];
	bed_make(&b);
	for (unsigned s = 0; s < 4; s++)
		for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
			memset(&calls, 0, sizeof(calls));
			fill(out, cases[i].len, cases[i].n, 0, &b.at[s % 2], cases[i].gap);
			/* Not all may go, or not by one socket: the same then. */
			out[cases[i].n] = (struct packet){.data = bytes, .len = 100, .verdict = DROP_AEAD, .from = b.at[0]};
			udp_send(b.from, 0, out, cases[i].n + s / 2);
			expect_sent(out, cases[i].n);
			assert_int_equal(calls.sends, 1);
			unsigned n = 0;
			while (cases[i].runs[n])
				n++;
			assert_int_equal(calls.messages, n);
			/* Empty datagrams lie nowhere. */
			if (cases[i].len[0])
				expect_runs(b.to, cases[i].len, cases[i].n, cases[i].runs);
			else
				for (unsigned k = 0; k < cases[i].n; k++) {
					assert_int_equal(recv_some(b.to, out, 1), 1);
					expect_datagram(out, k, cases[i].len[k]);
				}
		}
	bed_free(&b);
}

/* The kernel cuts into 64 at most, and so long is a batch; so many bytes at most are segmented by a device. */
static void test_long_runs(void **state)
{
	(void)state;
	struct bed b;
	struct packet out[BATCH_MAX];
	uint32_t len[65];
	bed_make(&b);
	for (unsigned i = 0; i < 65; i++)
		len[i] = 1000;
	fill(out, len, 64, 0, &b.at[0], 0);
	udp_send(b.from, 0, out, 64);
	assert_int_equal(calls.messages, 1);
	fill(out, len, 1, 64, &b.at[0], 0);
	udp_send(b.from, 0, out, 1);
	expect_runs(b.to, len, 65, (const unsigned[]){64, 1, 0});
	for (unsigned i = 0; i < 64; i++)
		len[i] = SIZE;
	fill(out, len, 64, 0, &b.at[1], 0);
	udp_send(b.from, 0, out, 64);
	expect_sent(out, 64);
	expect_runs(b.to, len, 64, (const unsigned[]){45, 19, 0});
	/* A train of one lane each. */
	fill(out, len, 6, 0, &b.at[1], 0);
	out[3].data[0] |= 1;
	memset(&calls, 0, sizeof(calls));
	udp_send(b.from, 0, out, 6);
	assert_int_equal(calls.messages, 3);
	bed_free(&b);
}

static void test_destinations_mix(void **state)
{
	(void)state;
	static const uint8_t to[] = {0, 1, 0, 0, 2, 1, 1, 2, 2, 2, 0};
	struct bed b, other;
	struct packet out[sizeof(to)], in[BATCH_MAX];
	bed_make(&b);
	bed_make(&other);
	const struct endpoint *at[3] = {&b.at[0], &other.at[0], &b.at[1]};
	fill_train(out, sizeof(to), 300, 300, 0, at[0]);
	for (unsigned i = 0; i < sizeof(to); i++)
		out[i].from = *at[to[i]];
	out[9].verdict = DROP_AEAD;
	udp_send(b.from, 0, out, sizeof(to));
	assert_int_equal(out[9].verdict, DROP_AEAD);
	assert_int_equal(calls.sends, 2);    /* a socket each */
	assert_int_equal(calls.messages, 6); /* 0 | 1 | 0 0 | 1 1 | 0, and 2 2 2 by the other socket */
	for (unsigned d = 0; d < 2; d++) {
		unsigned seen = 0, last[2] = {0, 0};
		assert_int_equal(recv_some(d ? other.to : b.to, in, BATCH_MAX), d ? 3 : 7);
		for (; seen < (d ? 3 : 7); seen++) {
			unsigned i = in[seen].data[0] >> 4, s = in[seen].socket;
			assert_in_range(i, 0, sizeof(to) - 1);
			assert_int_equal(to[i], s ? 2 : d);
			expect_datagram(&in[seen], i, 300);
			assert_true(i + 1 > last[s]); /* in order, each once */
			last[s] = i + 1;
		}
	}
	bed_free(&b);
	bed_free(&other);
}

static void test_train_longer_than_room(void **state)
{
	(void)state;
	struct bed b;
	struct packet out[45], in[BATCH_MAX];
	bed_make(&b);
	fill_train(out, 45, SIZE, 100, 0, &b.at[0]);
	udp_send(b.from, 0, out, 45);
	for (unsigned seen = 0; seen < 45; seen += 10) {
		unsigned want = seen < 40 ? 10 : 5;
		assert_int_equal(recv_some(b.to, in, 10), want);
		/* More comes meanwhile: it waits, and touches nothing. */
		fill_train(out, 2, 900, 900, 100 + seen, &b.at[0]);
		udp_send(b.from, 0, out, 2);
		for (unsigned i = 0; i < want; i++) {
			expect_datagram(&in[i], seen + i, seen + i < 44 ? SIZE : 100);
			memset(in[i].data, 0xdd, in[i].len); /* ours to change */
		}
	}
	assert_int_equal(calls.reads, 1);
	for (unsigned seen = 0; seen < 10;)
		for (unsigned i = 0, got = recv_some(b.to, in, 10); i < got; i++, seen++)
			expect_datagram(&in[i], 100 + seen / 2 * 10 + seen % 2, 900);

	/* Does not fit behind what came before it, so it comes whole in the next batch. */
	fill_train(out, 1, 77, 77, 0, &b.at[0]);
	udp_send(b.from, 0, out, 1);
	fill_train(out, 45, SIZE, SIZE - 1, 1, &b.at[0]);
	udp_send(b.from, 0, out, 45);
	assert_int_equal(recv_some(b.to, in, 45), 1);
	expect_datagram(&in[0], 0, 77);
	assert_int_equal(recv_some(b.to, in, 45), 45);
	assert_int_equal(together(in, 45), 45);
	expect_datagram(&in[44], 45, SIZE - 1);
	bed_free(&b);
}

/* While trains come, few messages are asked for; when they end, many again. */
static void test_asks_for_what_comes(void **state)
{
	(void)state;
	struct bed b;
	struct packet out[45], in[BATCH_MAX];
	bed_make(&b);
	for (unsigned i = 0; i < 6; i++) {
		fill_train(out, 45, SIZE, 100, i, &b.at[0]);
		udp_send(b.from, 0, out, 45);
	}
	for (unsigned i = 0; i < 6; i++) {
		assert_int_equal(recv_some(b.to, in, BATCH_MAX), 45);
		expect_datagram(&in[44], i + 44, 100);
	}
	assert_int_equal(udp_recv(b.to, 0, &(uint32_t){UDP_LOOK_ALL}, in, BATCH_MAX), 0);
	assert_int_equal(calls.asked, 4);
	fill_train(out, 2, 10, 10, 0, &b.at[0]);
	udp_send(b.from, 0, out, 2);
	assert_int_equal(recv_some(b.to, in, BATCH_MAX), 2);
	assert_int_equal(udp_recv(b.to, 0, &(uint32_t){UDP_LOOK_ALL}, in, BATCH_MAX), 0);
	assert_int_equal(calls.asked, BATCH_MAX);
	assert_int_equal(udp_recv(b.to, 0, &(uint32_t){UDP_LOOK_ALL}, in, 3), 0);
	assert_int_equal(calls.asked, 3);
	bed_free(&b);
}

/* Two packets that would be a train: messages it took. */
static unsigned pair(struct bed *b, unsigned s)
{
	struct packet p[2];
	fill_train(p, 2, 200, 200, 0, &b->at[s]);
	memset(&calls, 0, sizeof(calls));
	udp_send(b->from, 0, p, 2);
	expect_sent(p, 2);
	for (unsigned got = 0; got < 2; got += recv_some(b->to, p, 2))
		;
	return calls.messages;
}

/* A socket that makes no checksums cannot send trains: a kernel or a device that will not segment answers alike. */
static void test_kernel_will_not(void **state)
{
	(void)state;
	struct bed b;
	struct packet out[45], in[BATCH_MAX];
	int on = 1, off = 0;
	bed_make(&b);
	int fd = udp_fd(b.from, 0, 0);
	assert_int_equal(pair(&b, 0), 1);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_NO_CHECK, &on, sizeof(on)), 0);
	fill_train(out, 45, SIZE, 100, 0, &b.at[0]);
	udp_send(b.from, 0, out, 45);
	expect_sent(out, 45);
	for (unsigned seen = 0; seen < 45;)
		for (unsigned i = 0, got = recv_some(b.to, in, BATCH_MAX); i < got; i++, seen++)
			expect_datagram(&in[i], seen, seen < 44 ? SIZE : 100);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_NO_CHECK, &off, sizeof(off)), 0);
	for (unsigned i = 0; i < REST; i++)
		assert_int_equal(pair(&b, 0), 2);
	assert_int_equal(pair(&b, 0), 1);
	assert_int_equal(pair(&b, 1), 1); /* the other socket never rested */
	bed_free(&b);
}

static void test_too_large_for_the_link(void **state)
{
	(void)state;
	struct bed b;
	struct packet out[5], in[8];
	if (!alone)
		skip();
	bed_make(&b);
	for (unsigned s = 0; s < 2; s++) {
		assert_int_equal(loopback_mtu(1500), 0);
		fill_train(out, 5, 1490, 100, 0, &b.at[s]);
		udp_send(b.from, 0, out, 5);
		for (unsigned i = 0; i < 4; i++)
			assert_int_equal(out[i].verdict, DROP_SEND);
		expect_sent(out + 4, 1); /* it alone is short enough */
		assert_int_equal(recv_some(b.to, in, 8), 1);
		expect_datagram(in, 4, 100);
		assert_int_equal(pair(&b, s), 1); /* no reason to go without trains */
		assert_int_equal(loopback_mtu(65536), 0);
	}
	bed_free(&b);
}

static void test_full_buffer(void **state)
{
	(void)state;
	struct bed b;
	struct packet out[9], in[16];
	const uint32_t len[9] = {50, 50, 60, 60, 60, 70, 70, 80, 90};
	bed_make(&b);
	for (unsigned at = 1; at <= 3; at++) {
		fill(out, len, 9, 0, &b.at[0], 0);
		memset(&calls, 0, sizeof(calls));
		calls.full_at = at;
		udp_send(b.from, 0, out, 9);
		unsigned sent = at == 1 ? 0 : at == 2 ? 2 : 5;
		expect_sent(out, sent);
		for (unsigned i = sent; i < 9; i++)
			assert_int_equal(out[i].verdict, DROP_SEND);
		assert_true(calls.sends <= 2); /* none for the rest */
		calls.full_at = 0;
		if (sent)
			assert_int_equal(recv_some(b.to, in, 16), sent);
		assert_int_equal(pair(&b, 0), 1); /* nor does it count against trains */
	}
	bed_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_train),
	    cmocka_unit_test(test_runs),
	    cmocka_unit_test(test_long_runs),
	    cmocka_unit_test(test_destinations_mix),
	    cmocka_unit_test(test_train_longer_than_room),
	    cmocka_unit_test(test_asks_for_what_comes),
	    cmocka_unit_test(test_kernel_will_not),
	    cmocka_unit_test(test_too_large_for_the_link),
	    cmocka_unit_test(test_full_buffer),
	};
	alarm(60);
	return cmocka_run_group_tests_name("udp_train", tests, private_net, NULL);
}
