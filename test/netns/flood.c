/* flood: datagrams of a stranger at a daemon's door, and what comes back.
 *
 *     flood IP PORT COUNT RATE SEED mutate|tail|same SAMPLES    SAMPLES: one real datagram per line in hex
 *
 * mutate: a third of them random bytes of any length; the rest are samples that had bits flipped, were cut, lengthened or
 * spliced with another. The last 16 bytes of a sample are never the only ones that change: an INIT has its mac2 there, which
 * counts under load only, so that such a datagram is still the sample's. tail: exactly those bytes change. same: nothing
 * does, which is replay from a strange address. RATE is per second: beyond what the receiver's socket holds a flood only
 * tests the kernel. Answers are awaited for a second after the last datagram. Prints one JSON object.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BATCH       32
#define DATAGRAM    1472
#define SAMPLES_MAX 4096
#define MAC2        16

enum mode { MUTATE, TAIL, SAME };

static struct sample {
	uint8_t bytes[DATAGRAM];
	size_t len;
} samples[SAMPLES_MAX];
static unsigned n_samples;
static uint64_t seed;

/* splitmix64: the seed is printed by the caller, so that a run can be had again. */
static uint64_t next(void)
{
	uint64_t z = seed += 0x9e3779b97f4a7c15u;
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

static size_t below(size_t n)
{
	return (size_t)(next() % n);
}

static uint64_t now_us(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static bool samples_read(const char *name)
{
	char line[2 * DATAGRAM + 16];
	FILE *in = fopen(name, "r");
	if (!in)
		return false;
	while (n_samples < SAMPLES_MAX && fgets(line, sizeof(line), in)) {
		struct sample *s = &samples[n_samples];
		size_t digits = strspn(line, "0123456789abcdef");
		if (digits < 4 * MAC2 || digits % 2)
			continue;
		for (s->len = 0; s->len < digits / 2; s->len++) {
			unsigned byte;
			if (sscanf(line + 2 * s->len, "%2x", &byte) != 1)
				break;
			s->bytes[s->len] = (uint8_t)byte;
		}
		n_samples++;
	}
	fclose(in);
	return n_samples > 0;
}

static size_t random_fill(uint8_t *out, size_t len)
{
	for (size_t i = 0; i < len; i++)
		out[i] = (uint8_t)next();
	return len;
}

/* At least one byte before the last 16 differs, or the length does. */
static size_t mutate(uint8_t *out)
{
	const struct sample *s = &samples[below(n_samples)], *other = &samples[below(n_samples)];
	size_t len = s->len, at;
	memcpy(out, s->bytes, len);
	switch (below(8)) {
	case 0:
	case 1:
	case 2: return random_fill(out, below(DATAGRAM + 1));
	case 3: /* cut */ return below(len);
	case 4: /* longer */ return len + (len < DATAGRAM ? random_fill(out + len, 1 + below(DATAGRAM - len)) : 0) - (len == DATAGRAM);
	case 5: /* spliced */
		at = 1 + below((len < other->len ? len : other->len) - MAC2 - 1);
		memcpy(out + at, other->bytes + at, other->len - at);
		len = other->len;
		out[below(len - MAC2)] ^= 1; /* two samples may share their first bytes */
		return len;
	default:
		at = 1 + below(8);
		for (size_t i = 0, first = below(len - MAC2); i < at; i++)
			out[i ? below(len) : first] ^= (uint8_t)(i ? next() : 1 + below(255));
		/* flips may have met on one byte: the first bit of another makes sure */
		if (!memcmp(out, s->bytes, len - MAC2))
			out[0] ^= 1;
		return len;
	}
}

static size_t make(uint8_t *out, enum mode mode)
{
	const struct sample *s = &samples[below(n_samples)];
	if (mode == MUTATE)
		return mutate(out);
	memcpy(out, s->bytes, s->len);
	if (mode == TAIL)
		random_fill(out + s->len - MAC2, MAC2);
	return s->len;
}

static void answers_take(int fd, unsigned long *answers, size_t *longest)
{
	uint8_t bytes[65536];
	for (;;) {
		ssize_t n = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT);
		if (n < 0 && errno != ECONNREFUSED) /* ICMP errors are asked for by connect(), and are no answer */
			return;
		if (n >= 0) {
			++*answers;
			*longest = (size_t)n > *longest ? (size_t)n : *longest;
		}
	}
}

static unsigned long batch_send(int fd, enum mode mode, unsigned long left)
{
	static uint8_t bytes[BATCH][DATAGRAM];
	struct mmsghdr m[BATCH] = {0};
	struct iovec part[BATCH];
	unsigned n = left < BATCH ? (unsigned)left : BATCH, sent = 0;
	for (unsigned i = 0; i < n; i++) {
		part[i] = (struct iovec){bytes[i], make(bytes[i], mode)};
		m[i].msg_hdr.msg_iov = &part[i];
		m[i].msg_hdr.msg_iovlen = 1;
	}
	while (sent < n) {
		int rc = sendmmsg(fd, m + sent, n - sent, 0);
		if (rc > 0)
			sent += (unsigned)rc;
		else if (errno != EAGAIN && errno != EINTR && errno != ECONNREFUSED && errno != ENOBUFS)
			return 0;
	}
	return n;
}

int main(int argc, char **argv)
{
	struct sockaddr_in to = {.sin_family = AF_INET};
	if (argc != 8 || inet_pton(AF_INET, argv[1], &to.sin_addr) != 1 || !samples_read(argv[7])) {
		fprintf(stderr, "usage: flood IP PORT COUNT RATE SEED mutate|tail|same SAMPLES\n");
		return 2;
	}
	to.sin_port = htons((uint16_t)strtoul(argv[2], NULL, 10));
	unsigned long count = strtoul(argv[3], NULL, 10), rate = strtoul(argv[4], NULL, 10), sent = 0, answers = 0;
	seed = strtoull(argv[5], NULL, 10);
	enum mode mode = !strcmp(argv[6], "mutate") ? MUTATE : !strcmp(argv[6], "tail") ? TAIL : SAME;
	size_t longest = 0;
	int buffer = 8 << 20, fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || !rate || connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0) {
		perror("flood");
		return 1;
	}
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &buffer, sizeof(buffer)); /* more is better, less is no failure */
	uint64_t begun = now_us();
	while (sent < count) {
		unsigned long n = batch_send(fd, mode, count - sent);
		if (!n) {
			perror("flood: sendmmsg");
			return 1;
		}
		sent += n;
		answers_take(fd, &answers, &longest);
		uint64_t due = begun + sent * 1000000 / rate, now = now_us();
		if (due > now)
			usleep((useconds_t)(due - now));
	}
	uint64_t took = now_us() - begun;
	for (uint64_t end = now_us() + 1000000; now_us() < end; usleep(10000))
		answers_take(fd, &answers, &longest);
	printf("{\"sent\": %lu, \"answers\": %lu, \"longest\": %zu, \"ms\": %llu}\n", sent, answers, longest,
	       (unsigned long long)took / 1000);
	close(fd);
	return 0;
}
