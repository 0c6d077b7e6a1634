/* transfer: one long TCP transfer of known content, and every pause in it.
 *
 *     transfer serve PORT                                    on IPv4 and IPv6, one connection after the other, until SIGTERM
 *     transfer send ADDRESS PORT SEED BYTES SECONDS [PACE]   gives up after SECONDS; PACE: bytes/s at most
 *
 * The bytes follow from the seed and their offset, so the receiver knows what must come; each end computes a checksum (FNV-1a over
 * words) of what it really sent or got. The sender prints a line {"sent": n} for each STEPS-th of the whole, so that a test can act
 * in the middle, and at last the receiver's report: how many bytes came, where the first wrong one was, how long it took, and each
 * pause of PAUSE_NS and more between two reads, with its time (CLOCK_MONOTONIC, which all namespaces share).
 */
#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CHUNK      (256u << 10)
#define STEPS      50
#define PAUSES_MAX 64
#define PAUSE_NS   100000000u
#define SECOND     1000000000u
#define MAGIC      0x6661726c616e7472u
#define NONE       UINT64_MAX
#define FNV        0xcbf29ce484222325u
#define FNV_PRIME  0x100000001b3u

struct order {
	uint64_t magic, seed, bytes, seconds;
};

struct report {
	uint64_t received, wrong, sum, took_ns; /* wrong: offset of the first wrong byte, NONE if there is none */
	uint64_t pauses;                        /* how many there were; the first PAUSES_MAX are told */
	struct {
		uint64_t at_ns, ns, offset;
	} pause[PAUSES_MAX];
};

static uint8_t content[CHUNK], arrived[CHUNK];
static volatile sig_atomic_t ended;

static void end(int signal)
{
	(void)signal;
	ended = 1;
}

static uint64_t now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * SECOND + (uint64_t)t.tv_nsec;
}

static int fail(const char *what)
{
	fprintf(stderr, "transfer: %s: %s\n", what, strerror(errno));
	return 1;
}

/* The chunk at this offset, a multiple of CHUNK; splitmix64 of the word's number. */
static void content_fill(uint64_t seed, uint64_t offset)
{
	for (size_t i = 0; i < CHUNK; i += 8) {
		uint64_t z = seed + (offset + i) * 0x9e3779b97f4a7c15u;
		z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
		z = (z ^ z >> 27) * 0x94d049bb133111ebu;
		z = htole64(z ^ z >> 31);
		memcpy(content + i, &z, 8);
	}
}

static uint64_t sum(uint64_t hash, const uint8_t *bytes, size_t len)
{
	uint64_t word;
	for (; len >= 8; bytes += 8, len -= 8) {
		memcpy(&word, bytes, 8);
		hash = (hash ^ word) * FNV_PRIME;
	}
	for (; len; bytes++, len--)
		hash = (hash ^ *bytes) * FNV_PRIME;
	return hash;
}

static bool all(int fd, void *bytes, size_t len, bool out)
{
	for (uint8_t *at = bytes; len;) {
		ssize_t n = out ? send(fd, at, len, MSG_NOSIGNAL) : recv(fd, at, len, 0);
		if (n <= 0) {
			if (n < 0 && errno == EINTR && !ended)
				continue;
			if (!n)
				errno = ECONNRESET;
			return false;
		}
		at += n;
		len -= (size_t)n;
	}
	return true;
}

/* No end waits for ever for the other. */
static void limit(int fd, uint64_t seconds)
{
	struct timeval t = {.tv_sec = (time_t)seconds};
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof t);
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &t, sizeof t);
}

/* ---- receiver ---- */

static void pause_note(struct report *r, uint64_t since, uint64_t now)
{
	if (now - since < PAUSE_NS)
		return;
	if (r->pauses < PAUSES_MAX) {
		r->pause[r->pauses].at_ns = since;
		r->pause[r->pauses].ns = now - since;
		r->pause[r->pauses].offset = r->received;
	}
	r->pauses++;
}

static bool chunk_take(int fd, size_t len, struct report *r, uint64_t *last)
{
	for (size_t have = 0; have < len;) {
		ssize_t n = recv(fd, arrived + have, len - have, 0);
		uint64_t now = now_ns();
		if (n < 0 && errno == EINTR && !ended)
			continue;
		if (n <= 0)
			return false;
		pause_note(r, *last, now);
		*last = now;
		have += (size_t)n;
		r->received += (uint64_t)n;
	}
	return true;
}

static void take(int fd)
{
	static struct report r;
	struct order o;
	r = (struct report){.wrong = NONE, .sum = FNV};
	limit(fd, 60);
	if (!all(fd, &o, sizeof o, false) || o.magic != MAGIC)
		return;
	limit(fd, o.seconds);
	uint64_t first = now_ns(), last = first;
	for (uint64_t at = 0; at < o.bytes; at += CHUNK) {
		size_t len = o.bytes - at < CHUNK ? (size_t)(o.bytes - at) : CHUNK;
		if (!chunk_take(fd, len, &r, &last))
			break;
		content_fill(o.seed, at);
		for (size_t i = 0; r.wrong == NONE && memcmp(content, arrived, len) && i < len; i++)
			if (content[i] != arrived[i])
				r.wrong = at + i;
		r.sum = sum(r.sum, arrived, len);
	}
	r.took_ns = now_ns() - first;
	all(fd, &r, sizeof r, true);
}

static int serve_main(const char *port)
{
	int on = 1, off = 0, fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in6 at = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)atoi(port))};
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0 ||
	    setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off) < 0 || bind(fd, (struct sockaddr *)&at, sizeof at) < 0 ||
	    listen(fd, 4) < 0)
		return fail(port);
	fprintf(stderr, "ready\n");
	while (!ended) {
		int one = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
		if (one < 0)
			continue;
		take(one);
		close(one);
	}
	close(fd);
	return 0;
}

/* ---- sender ---- */

static int dial(const char *address, uint16_t port, uint64_t seconds)
{
	struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(port)};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
	bool four = inet_pton(AF_INET, address, &v4.sin_addr) == 1;
	if (!four && inet_pton(AF_INET6, address, &v6.sin6_addr) != 1) {
		errno = EINVAL;
		return -1;
	}
	int fd = socket(four ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	limit(fd, seconds);
	if (connect(fd, four ? (struct sockaddr *)&v4 : (struct sockaddr *)&v6, four ? sizeof v4 : sizeof v6) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

static void report_print(const struct report *r, uint64_t sent)
{
	printf("{\"received\": %llu, \"wrong\": ", (unsigned long long)r->received);
	if (r->wrong == NONE)
		printf("null");
	else
		printf("%llu", (unsigned long long)r->wrong);
	printf(", \"sum_sent\": \"%016llx\", \"sum_received\": \"%016llx\", \"seconds\": %.3f, \"n_pauses\": %llu, \"pauses\": [",
	       (unsigned long long)sent, (unsigned long long)r->sum, (double)r->took_ns / SECOND, (unsigned long long)r->pauses);
	for (uint64_t i = 0; i < r->pauses && i < PAUSES_MAX; i++)
		printf("%s[%.3f, %.3f, %llu]", i ? ", " : "", (double)r->pause[i].at_ns / SECOND, (double)r->pause[i].ns / SECOND,
		       (unsigned long long)r->pause[i].offset);
	printf("]}\n");
	fflush(stdout);
}

static int send_main(int argc, char **argv)
{
	uint64_t pace = argc > 5 ? strtoull(argv[5], NULL, 10) : 0;
	struct order o = {.magic = MAGIC,
	                  .seed = strtoull(argv[2], NULL, 10),
	                  .bytes = strtoull(argv[3], NULL, 10),
	                  .seconds = strtoull(argv[4], NULL, 10)};
	static struct report r;
	if (!o.bytes || !o.seconds)
		return 2;
	alarm((unsigned)o.seconds); /* the default action ends us: a transfer that hangs has no report */
	int fd = dial(argv[0], (uint16_t)atoi(argv[1]), o.seconds);
	if (fd < 0)
		return fail(argv[0]);
	if (pace && setsockopt(fd, SOL_SOCKET, SO_MAX_PACING_RATE, &pace, sizeof pace))
		return fail("pace");
	uint64_t hash = FNV, step = o.bytes / STEPS, told = 0;
	if (!all(fd, &o, sizeof o, true))
		return fail("send");
	for (uint64_t at = 0; at < o.bytes; at += CHUNK) {
		size_t len = o.bytes - at < CHUNK ? (size_t)(o.bytes - at) : CHUNK;
		content_fill(o.seed, at);
		if (!all(fd, content, len, true))
			return fail("send");
		hash = sum(hash, content, len);
		if (at + len >= told + step) {
			told = at + len;
			printf("{\"sent\": %llu}\n", (unsigned long long)told);
			fflush(stdout);
		}
	}
	if (!all(fd, &r, sizeof r, false))
		return fail("report");
	report_print(&r, hash);
	close(fd);
	return 0;
}

int main(int argc, char **argv)
{
	/* Without SA_RESTART: accept() and recv() end with the signal. */
	struct sigaction on = {.sa_handler = end};
	sigaction(SIGTERM, &on, NULL);
	if (argc == 3 && !strcmp(argv[1], "serve"))
		return serve_main(argv[2]);
	if ((argc == 7 || argc == 8) && !strcmp(argv[1], "send"))
		return send_main(argc - 2, argv + 2);
	fprintf(stderr, "usage: transfer serve PORT\n       transfer send ADDRESS PORT SEED BYTES SECONDS [PACE]\n");
	return 2;
}
