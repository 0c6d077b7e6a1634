/* streams: TCP streams and UDP datagrams of known content, sent in awkward ways, compared byte by byte where they arrive.
 *
 *     streams serve PORT                                              TCP on IPv4 and IPv6, until SIGTERM
 *     streams tcp ADDRESS PORT SEED BYTES WRITE FLAGS MSS [SECONDS]   one connection, BYTES each way at the same time
 *     streams udp-recv PORT SEED COUNT                                until SIGTERM, and then COUNT or a second of silence
 *     streams udp-send ADDRESS PORT SEED ROUNDS GAP_US SPEC...        SPEC: SIZExCOUNT[+LAST] by UDP_SEGMENT, or SIZE*COUNT one by one
 *
 * A stream's bytes follow from its seed and their offset, so each end knows what must come and no length, order or boundary can
 * change unseen. WRITE is the size of each send() call, 0 = all from 1 byte to 64 KiB mixed. FLAGS: letters of n (TCP_NODELAY),
 * m (MSG_MORE on three of four), u (eight urgent bytes at known offsets, 50 ms apart, left in line), - for none. MSS 0: the kernel's.
 * The FIN of both ends follows their last byte. The server ends its stream with a report of what came to it; the client prints both
 * as one JSON object with a hash (FNV-1a) of each way and what TCP negotiated.
 * A datagram starts with its number and length; the receiver prints how many came and a hash over lengths and contents in order,
 * which equals the sender's when every boundary held, and how many had a number that was there before (twice).
 */
#include <arpa/inet.h>
#include <asm/sockios.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define WRITE_MAX  65536
#define URGENT     8
#define URGENT_MAX 16
#define SEGMENTS   64
#define DATAGRAM   65507
#define NUMBERS    65536 /* of datagrams in one run, at most */
#define HEAD       6     /* of a datagram: u32 number, u16 length */
#define NONE       UINT64_MAX
#define FNV        0xcbf29ce484222325u
#define MAGIC      0x6661726c616e3173u

enum { FLAG_NODELAY = 1, FLAG_MORE = 2, FLAG_URGENT = 4 };

struct order { /* what the client asks of both ends */
	uint64_t magic, seed, bytes;
	uint32_t write, flags, seconds, unused;
};

struct report {
	uint64_t received, bad, hash, n_urgent, urgent[URGENT_MAX]; /* bad: offset of the first wrong byte, NONE if there is none */
};

struct end {
	int fd;
	uint64_t seed, bytes;
	const struct order *order;
	struct report report;
	bool shut; /* FIN behind the last byte */
	int error;
};

static volatile sig_atomic_t ended;

static uint64_t mixed(uint64_t z)
{
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

/* The stream's bytes from an offset on. */
static void fill(uint8_t *out, size_t len, uint64_t seed, uint64_t offset)
{
	for (size_t i = 0; i < len; i++, offset++) {
		uint64_t word = mixed((seed << 40) + (offset / 8 + 1) * 0x9e3779b97f4a7c15u);
		if (offset % 8 || len - i < 8) {
			out[i] = (uint8_t)(word >> offset % 8 * 8);
			continue;
		}
		memcpy(out + i, &word, 8);
		i += 7;
		offset += 7;
	}
}

static uint64_t fnv(uint64_t hash, const void *bytes, size_t len)
{
	const uint8_t *b = bytes;
	for (size_t i = 0; i < len; i++)
		hash = (hash ^ b[i]) * 0x100000001b3u;
	return hash;
}

static uint64_t now_us(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static int complain(const char *what)
{
	fprintf(stderr, "streams: %s: %s\n", what, strerror(errno));
	return 1;
}

/* ---- TCP ---- */

static bool all_send(int fd, const void *bytes, size_t len, int flags)
{
	const char *at = bytes;
	while (len) {
		ssize_t n = send(fd, at, len, flags | MSG_NOSIGNAL);
		if (n < 0 && errno != EINTR)
			return false;
		at += n > 0 ? n : 0;
		len -= n > 0 ? (size_t)n : 0;
	}
	return true;
}

static bool all_recv(int fd, void *bytes, size_t len)
{
	char *at = bytes;
	while (len) {
		ssize_t n = recv(fd, at, len, 0);
		if (n == 0)
			errno = ECONNRESET;
		if (n == 0 || (n < 0 && errno != EINTR))
			return false;
		at += n > 0 ? n : 0;
		len -= n > 0 ? (size_t)n : 0;
	}
	return true;
}

static size_t write_size(const struct order *o, uint64_t n)
{
	uint64_t r = mixed(o->seed ^ n * 0x9e3779b97f4a7c15u);
	return o->write ? o->write : 1 + (size_t)((r >> 8) % (2u << r % 16));
}

/* The k-th urgent byte, or NONE. */
static uint64_t urgent_at(const struct order *o, unsigned k)
{
	return o->flags & FLAG_URGENT && k < URGENT ? o->bytes / (URGENT + 1) * (k + 1) : NONE;
}

/* Sends a whole stream; e->error on failure. */
static void *stream_send(void *self)
{
	static _Thread_local uint8_t bytes[WRITE_MAX];
	struct end *e = self;
	unsigned k = 0;
	uint64_t at = 0, urgent = urgent_at(e->order, 0);
	for (uint64_t n = 0; at < e->bytes; n++) {
		size_t len = write_size(e->order, n);
		int flags = e->order->flags & FLAG_MORE && n % 4 != 3 ? MSG_MORE : 0;
		if (len > e->bytes - at)
			len = (size_t)(e->bytes - at);
		if (urgent != NONE && at + len > urgent)
			len = at == urgent ? 1 : (size_t)(urgent - at);
		if (at == urgent)
			flags = MSG_OOB;
		fill(bytes, len, e->seed, at);
		if (!all_send(e->fd, bytes, len, flags)) {
			e->error = errno;
			return NULL;
		}
		if (at == urgent) {
			usleep(50000); /* a later one would take the pointer away before it was seen */
			urgent = urgent_at(e->order, ++k);
		}
		at += len;
	}
	if (e->shut)
		shutdown(e->fd, SHUT_WR);
	return NULL;
}

/* Takes e->bytes of a stream, or until its end. */
static void stream_recv(struct end *e)
{
	static _Thread_local uint8_t got[WRITE_MAX], want[WRITE_MAX];
	struct report *r = &e->report;
	*r = (struct report){.bad = NONE, .hash = FNV};
	while (r->received < e->bytes) {
		int mark = 0;
		size_t room = e->bytes - r->received < WRITE_MAX ? (size_t)(e->bytes - r->received) : WRITE_MAX;
		if (e->order->flags & FLAG_URGENT) {
			struct pollfd ready = {.fd = e->fd, .events = POLLIN};
			poll(&ready, 1, (int)e->order->seconds * 1000);
			if (ioctl(e->fd, SIOCATMARK, &mark) == 0 && mark && r->n_urgent < URGENT_MAX)
				r->urgent[r->n_urgent++] = r->received;
			room = mark ? 1 : room; /* or the mark would be seen twice */
		}
		ssize_t n = recv(e->fd, got, room, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			e->error = n < 0 ? errno : 0;
			return;
		}
		fill(want, (size_t)n, e->seed, r->received);
		if (r->bad == NONE && memcmp(got, want, (size_t)n) != 0) {
			size_t i = 0;
			while (got[i] == want[i])
				i++;
			r->bad = r->received + i;
		}
		r->hash = fnv(r->hash, got, (size_t)n);
		r->received += (uint64_t)n;
	}
}

static void socket_prepare(int fd, const struct order *o)
{
	int on = 1, off = 0;
	struct timeval limit = {.tv_sec = o->seconds};
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	setsockopt(fd, SOL_SOCKET, SO_OOBINLINE, &on, sizeof(on));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, o->flags & FLAG_NODELAY ? &on : &off, sizeof(on));
}

/* Both ways at once: seeds of the way up are even, of the way down odd. */
static void both_ways(struct end *out, struct end *in)
{
	pthread_t thread;
	if (pthread_create(&thread, NULL, stream_send, out))
		abort();
	stream_recv(in);
	pthread_join(thread, NULL);
}

/* Nothing but the end comes. */
static bool ends(int fd)
{
	char more;
	return recv(fd, &more, 1, 0) == 0;
}

static void serve_one(int fd)
{
	struct order o;
	struct timeval limit = {.tv_sec = 20};
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	if (!all_recv(fd, &o, sizeof(o)) || o.magic != MAGIC || o.write > WRITE_MAX)
		return;
	socket_prepare(fd, &o);
	struct end up = {.fd = fd, .seed = o.seed * 2, .bytes = o.bytes, .order = &o}, down = up;
	down.seed++;
	both_ways(&down, &up);
	if (!up.error && up.report.received == o.bytes && !ends(fd))
		up.report.bad = o.bytes; /* more than was sent */
	if (!down.error)
		all_send(fd, &up.report, sizeof(up.report), 0);
}

static void on_end(int signal)
{
	(void)signal;
	ended = 1;
}

static void end_by_signal(void)
{
	struct sigaction act = {.sa_handler = on_end}; /* no SA_RESTART: it must end accept() and recv() */
	sigaction(SIGTERM, &act, NULL);
}

static int bound(int type, const char *port)
{
	struct sockaddr_in6 at = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)strtoul(port, NULL, 10))};
	int on = 1, off = 0, buffer = 32 << 20, fd = socket(AF_INET6, type | SOCK_CLOEXEC, 0);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
	if (type == SOCK_DGRAM)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &buffer, sizeof(buffer));
	return bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0 ? -1 : fd;
}

static int serve_main(char **argv)
{
	int listener = bound(SOCK_STREAM, argv[0]);
	if (listener < 0 || listen(listener, 64) < 0)
		return complain("listen");
	end_by_signal();
	signal(SIGCHLD, SIG_IGN);
	printf("ready\n");
	fflush(stdout);
	while (!ended) {
		int fd = accept(listener, NULL, NULL);
		if (fd < 0)
			continue;
		if (fork() == 0) {
			signal(SIGTERM, SIG_DFL);
			serve_one(fd);
			_exit(0);
		}
		close(fd);
	}
	close(listener);
	return 0;
}

/* IPv4 in its mapped form, so that one kind of socket does. */
static bool address_read(const char *text, const char *port, struct sockaddr_in6 *ret)
{
	char mapped[64];
	snprintf(mapped, sizeof(mapped), "%s%s", strchr(text, ':') ? "" : "::ffff:", text);
	*ret = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)strtoul(port, NULL, 10))};
	return inet_pton(AF_INET6, mapped, &ret->sin6_addr) == 1;
}

static void report_print(const char *name, const struct report *r)
{
	printf("\"%s\": {\"received\": %llu, \"bad\": %lld, \"hash\": \"%016llx\", \"urgent\": [", name, (unsigned long long)r->received,
	       (long long)r->bad, (unsigned long long)r->hash);
	for (unsigned i = 0; i < r->n_urgent && i < URGENT_MAX; i++)
		printf("%s%llu", i ? ", " : "", (unsigned long long)r->urgent[i]);
	printf("]}, ");
}

static int tcp_main(int argc, char **argv)
{
	struct sockaddr_in6 to;
	struct order o = {.magic = MAGIC, .seed = strtoull(argv[2], NULL, 10), .bytes = strtoull(argv[3], NULL, 10)};
	struct report theirs;
	struct tcp_info info = {0};
	socklen_t len = sizeof(info);
	int mss = (int)strtol(argv[6], NULL, 10), fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	o.write = (uint32_t)strtoul(argv[4], NULL, 10);
	o.flags = (strchr(argv[5], 'n') ? FLAG_NODELAY : 0u) | (strchr(argv[5], 'm') ? FLAG_MORE : 0u) |
	          (strchr(argv[5], 'u') ? FLAG_URGENT : 0u);
	o.seconds = argc > 7 ? (uint32_t)strtoul(argv[7], NULL, 10) : 20;
	if (!address_read(argv[0], argv[1], &to) || o.write > WRITE_MAX || !o.seconds) {
		fprintf(stderr, "streams: bad address or numbers\n");
		return 2;
	}
	socket_prepare(fd, &o);
	if (mss && setsockopt(fd, IPPROTO_TCP, TCP_MAXSEG, &mss, sizeof(mss)) < 0)
		return complain("TCP_MAXSEG");
	uint64_t begun = now_us();
	if (connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0 || !all_send(fd, &o, sizeof(o), 0))
		return complain("connect");
	struct end up = {.fd = fd, .seed = o.seed * 2, .bytes = o.bytes, .order = &o, .shut = true}, down = up;
	down.seed++;
	both_ways(&up, &down);
	errno = up.error ? up.error : down.error;
	if (up.error || down.error)
		return complain(up.error ? "send" : "recv");
	if (!all_recv(fd, &theirs, sizeof(theirs)))
		return complain("the other side's report");
	if (!ends(fd))
		return complain("the other side's end");
	getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len);
	printf("{");
	report_print("up", &theirs);
	report_print("down", &down.report);
	printf("\"timestamps\": %s, \"sack\": %s, \"ecn\": %s, \"mss\": %u, \"retransmitted\": %u, \"ms\": %llu}\n",
	       info.tcpi_options & TCPI_OPT_TIMESTAMPS ? "true" : "false", info.tcpi_options & TCPI_OPT_SACK ? "true" : "false",
	       info.tcpi_options & TCPI_OPT_ECN ? "true" : "false", info.tcpi_snd_mss, info.tcpi_total_retrans,
	       (unsigned long long)(now_us() - begun) / 1000);
	close(fd);
	return 0;
}

/* ---- UDP ---- */

struct tally {
	uint64_t datagrams, bytes, bad, disordered, twice, hash;
	uint32_t expected;
};

static void datagram_fill(uint8_t *out, uint32_t number, size_t len, uint64_t seed)
{
	uint16_t told = (uint16_t)len;
	fill(out, len, seed ^ number * 0x9e37u, 0);
	memcpy(out, &number, 4);
	memcpy(out + 4, &told, 2);
}

static void datagram_count(struct tally *t, const uint8_t *bytes, size_t len)
{
	uint32_t told = (uint32_t)len;
	t->datagrams++;
	t->bytes += len;
	t->hash = fnv(fnv(t->hash, &told, sizeof(told)), bytes, len);
}

static void tally_print(const struct tally *t)
{
	printf("{\"datagrams\": %llu, \"bytes\": %llu, \"bad\": %llu, \"disordered\": %llu, \"twice\": %llu, \"hash\": \"%016llx\"}\n",
	       (unsigned long long)t->datagrams, (unsigned long long)t->bytes, (unsigned long long)t->bad,
	       (unsigned long long)t->disordered, (unsigned long long)t->twice, (unsigned long long)t->hash);
}

static int udp_recv_main(char **argv)
{
	static uint8_t got[DATAGRAM + 1], want[DATAGRAM + 1];
	static bool seen[NUMBERS];
	struct tally t = {.hash = FNV};
	uint64_t seed = strtoull(argv[1], NULL, 10), count = strtoull(argv[2], NULL, 10);
	unsigned silent = 0;
	int fd = bound(SOCK_DGRAM, argv[0]);
	struct timeval limit = {.tv_usec = 100000};
	if (fd < 0)
		return complain("bind");
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)); /* a signal may come just before recv() */
	end_by_signal();
	printf("ready\n");
	fflush(stdout);
	for (;;) {
		uint32_t number;
		ssize_t n = recv(fd, got, sizeof(got), ended && t.datagrams >= count ? MSG_DONTWAIT : 0);
		if (n < 0 && ended && (t.datagrams >= count || ++silent == 10))
			break;
		if (n < 0)
			continue;
		silent = 0;
		datagram_count(&t, got, (size_t)n);
		if (n < HEAD) {
			t.bad++;
			continue;
		}
		memcpy(&number, got, 4);
		datagram_fill(want, number, (size_t)n, seed);
		t.bad += memcmp(got, want, (size_t)n) != 0;
		t.disordered += number < t.expected;
		t.bad += number >= NUMBERS;
		t.twice += seen[number % NUMBERS];
		seen[number % NUMBERS] = true;
		t.expected = number + 1;
	}
	tally_print(&t);
	close(fd);
	return 0;
}

struct spec {
	unsigned size, count, last;
	bool segments;
};

static bool spec_parse(const char *text, struct spec *ret)
{
	char kind, plus = 0, rest;
	int n = sscanf(text, "%u%c%u%c%u%c", &ret->size, &kind, &ret->count, &plus, &ret->last, &rest);
	if (n < 5)
		ret->last = 0;
	ret->segments = n >= 2 && kind == 'x';
	return (n == 3 || (n == 5 && plus == '+' && kind == 'x' && ret->last >= HEAD && ret->last < ret->size)) &&
	       (kind == 'x' || kind == '*') && ret->size >= HEAD && ret->count && ret->count <= SEGMENTS &&
	       (size_t)ret->size * (ret->segments ? ret->count : 1) + ret->last <= DATAGRAM;
}

/* One spec: a super-datagram, or so many by themselves. A device that can't (EIO on kernels before 6.11) gets them one by one. */
static bool spec_send(int fd, const struct spec *s, struct tally *t, uint64_t seed, bool *fallback)
{
	static uint8_t bytes[DATAGRAM + 1];
	size_t total = (size_t)s->size * s->count + s->last, at = 0;
	union {
		struct cmsghdr align;
		uint8_t bytes[CMSG_SPACE(sizeof(uint16_t))];
	} control = {.bytes = {0}};
	struct iovec part = {bytes, total};
	struct msghdr m = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)};
	uint16_t size = (uint16_t)s->size;
	if (s->segments) {
		for (; at < total; at += s->size) {
			size_t len = total - at < s->size ? total - at : s->size;
			datagram_fill(bytes + at, t->expected++, len, seed);
			datagram_count(t, bytes + at, len);
		}
		control.align = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof(size)), .cmsg_level = SOL_UDP, .cmsg_type = UDP_SEGMENT};
		memcpy(CMSG_DATA(&control.align), &size, sizeof(size));
		if (!*fallback && sendmsg(fd, &m, 0) == (ssize_t)total)
			return true;
		if (!*fallback && errno != EIO && errno != EINVAL)
			return false;
		*fallback = true;
		for (at = 0; at < total; at += s->size)
			if (send(fd, bytes + at, total - at < s->size ? total - at : s->size, 0) < 0)
				return false;
		return true;
	}
	for (unsigned i = 0; i < s->count; i++) {
		datagram_fill(bytes, t->expected++, s->size, seed);
		datagram_count(t, bytes, s->size);
		if (send(fd, bytes, s->size, 0) < 0)
			return false;
	}
	return true;
}

static int udp_send_main(int argc, char **argv)
{
	struct sockaddr_in6 to;
	struct tally t = {.hash = FNV};
	uint64_t seed = strtoull(argv[2], NULL, 10), rounds = strtoull(argv[3], NULL, 10), gap_us = strtoull(argv[4], NULL, 10);
	int buffer = 8 << 20, fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool fallback = false;
	struct spec s;
	setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &buffer, sizeof(buffer));
	if (!address_read(argv[0], argv[1], &to) || connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0)
		return complain("connect");
	for (uint64_t r = 0; r < rounds; r++)
		for (int i = 5; i < argc; i++) {
			if (!spec_parse(argv[i], &s)) {
				fprintf(stderr, "streams: %s is no SIZExCOUNT[+LAST] and no SIZE*COUNT within bounds\n", argv[i]);
				return 2;
			}
			if (!spec_send(fd, &s, &t, seed, &fallback))
				return complain("send");
			usleep((useconds_t)gap_us);
		}
	if (fallback)
		fprintf(stderr, "streams: no UDP_SEGMENT here, sent one by one\n");
	tally_print(&t);
	close(fd);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], "serve"))
		return serve_main(argv + 2);
	if ((argc == 9 || argc == 10) && !strcmp(argv[1], "tcp"))
		return tcp_main(argc - 2, argv + 2);
	if (argc == 5 && !strcmp(argv[1], "udp-recv"))
		return udp_recv_main(argv + 2);
	if (argc >= 8 && !strcmp(argv[1], "udp-send"))
		return udp_send_main(argc - 2, argv + 2);
	fprintf(stderr, "usage: streams serve PORT\n"
	                "       streams tcp ADDRESS PORT SEED BYTES WRITE FLAGS MSS [SECONDS]\n"
	                "       streams udp-recv PORT SEED COUNT\n"
	                "       streams udp-send ADDRESS PORT SEED ROUNDS GAP_US SPEC...\n");
	return 2;
}
