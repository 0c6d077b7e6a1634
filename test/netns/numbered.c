/* numbered: numbered frames from device to device, and what became of each of them.
 *
 *     numbered send DEV MAC FLOW RATE SECONDS [LENGTH]    RATE frames a second to MAC, until SECONDS are over or SIGTERM
 *     numbered recv DEV FLOW                              until SIGTERM; "ready" on standard error says that it listens
 *
 * Each frame is 88B5 ‖ u32 flow ‖ u32 number ‖ u64 time of sending (CLOCK_MONOTONIC, which all namespaces share), filled up to
 * LENGTH. The sender keeps to a timetable: one that was not scheduled in time catches up, so that the numbers stay a measure of
 * time. The receiver remembers every number: at its end it prints one JSON object with how many came, how many of them twice,
 * how many were overtaken, which numbers below the highest never came (with the times of sending of their neighbours, in
 * seconds), the pauses between arrivals of GAP_NS and more, and what its own socket dropped, which is no fault of the network's.
 */
#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
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

#define ETHERTYPE   0x88b5
#define FRAME_MAX   1514
#define LENGTH      100
#define NUMBERS     (1u << 21) /* of one flow: half an hour at 1000/s */
#define RANGES_MAX  256
#define GAPS_MAX    256
#define GAP_NS      50000000u
#define SECOND      1000000000u
#define RECV_BUFFER (16 << 20)
#define SEND_TRIES  100

struct frame {
	uint8_t to[ETH_ALEN], from[ETH_ALEN];
	uint16_t type;
	uint32_t flow, number;
	uint64_t sent_ns;
} __attribute__((packed));

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
	fprintf(stderr, "numbered: %s: %s\n", what, strerror(errno));
	return 1;
}

static int usage(void)
{
	fprintf(stderr, "usage: numbered send DEV MAC FLOW RATE SECONDS [LENGTH]\n       numbered recv DEV FLOW\n");
	return 2;
}

/* A number from 1 to max, or 0. */
static uint32_t number(const char *text, uint32_t max)
{
	char *rest;
	errno = 0;
	unsigned long n = strtoul(text, &rest, 10);
	return errno || rest == text || *rest || n > max ? 0 : (uint32_t)n;
}

static int packet_socket(const char *dev, uint16_t protocol)
{
	struct sockaddr_ll at = {.sll_family = AF_PACKET, .sll_protocol = htons(protocol), .sll_ifindex = (int)if_nametoindex(dev)};
	if (!at.sll_ifindex)
		return -1;
	/* Protocol 0 until bind: otherwise frames of every interface come in between. */
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	if (fd >= 0 && bind(fd, (struct sockaddr *)&at, sizeof at) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

/* ---- send ---- */

/* A full queue is waited for a little: a frame that never left is no frame the network lost. */
static bool frame_send(int fd, const uint8_t *bytes, size_t len)
{
	for (int try = 0; try < SEND_TRIES; try++) {
		if (send(fd, bytes, len, 0) == (ssize_t)len)
			return true;
		if (errno != ENOBUFS && errno != EAGAIN && errno != EINTR)
			return false;
		usleep(1000);
	}
	return false;
}

static int send_run(int fd, struct frame *f, size_t len, uint32_t flow, uint64_t gap_ns, uint32_t most)
{
	uint64_t first = now_ns(), worst = 0;
	uint32_t n = 0;
	for (; n < most && !ended; n++) {
		uint64_t due = first + n * gap_ns, now = now_ns();
		if (now < due) {
			struct timespec until = {.tv_sec = (time_t)(due / SECOND), .tv_nsec = (long)(due % SECOND)};
			if (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL))
				break;
			now = now_ns();
		}
		worst = now - due > worst ? now - due : worst;
		f->flow = htonl(flow);
		f->number = htonl(n);
		f->sent_ns = htobe64(now);
		if (!frame_send(fd, (uint8_t *)f, len))
			return fail("send");
	}
	printf("{\"sent\": %u, \"first\": %.6f, \"last\": %.6f, \"late\": %.6f}\n", n, (double)first / SECOND, (double)now_ns() / SECOND,
	       (double)worst / SECOND);
	return 0;
}

static int send_main(int argc, char **argv)
{
	union {
		struct frame head;
		uint8_t bytes[FRAME_MAX];
	} f = {0};
	unsigned mac[ETH_ALEN];
	struct ifreq own = {0};
	uint32_t flow = argc > 2 ? number(argv[2], UINT32_MAX) : 0, rate = argc > 3 ? number(argv[3], 100000) : 0;
	uint32_t seconds = argc > 4 ? number(argv[4], 3600) : 0, len = argc > 5 ? number(argv[5], FRAME_MAX) : LENGTH;
	if (argc < 5 || argc > 6 || !flow || !rate || !seconds || len < sizeof f.head || (uint64_t)rate * seconds > NUMBERS)
		return usage();
	if (sscanf(argv[1], "%x:%x:%x:%x:%x:%x", mac, mac + 1, mac + 2, mac + 3, mac + 4, mac + 5) != ETH_ALEN)
		return usage();
	int fd = packet_socket(argv[0], 0);
	strncpy(own.ifr_name, argv[0], IFNAMSIZ - 1);
	if (fd < 0 || ioctl(fd, SIOCGIFHWADDR, &own) < 0)
		return fail(argv[0]);
	for (int i = 0; i < ETH_ALEN; i++)
		f.head.to[i] = (uint8_t)mac[i];
	memcpy(f.head.from, own.ifr_hwaddr.sa_data, ETH_ALEN);
	f.head.type = htons(ETHERTYPE);
	int rc = send_run(fd, &f.head, len, flow, SECOND / rate, rate * seconds);
	close(fd);
	return rc;
}

/* ---- recv ---- */

static struct {
	uint64_t sent_ns[NUMBERS];                 /* 0: did not come */
	uint32_t received, twice, overtaken, next; /* next: behind the highest number */
	uint64_t last_ns;
	struct {
		uint64_t at_ns, ns;
		uint32_t number; /* that ended it */
	} gap[GAPS_MAX];
	unsigned n_gaps;
} seen;

static void frame_note(const struct frame *f, uint64_t now)
{
	uint32_t n = ntohl(f->number);
	if (n >= NUMBERS)
		return;
	if (seen.sent_ns[n]) {
		seen.twice++;
		return;
	}
	seen.sent_ns[n] = be64toh(f->sent_ns);
	seen.received++;
	if (n + 1 > seen.next)
		seen.next = n + 1;
	else
		seen.overtaken++;
	if (seen.last_ns && now - seen.last_ns >= GAP_NS && seen.n_gaps < GAPS_MAX) {
		seen.gap[seen.n_gaps].at_ns = seen.last_ns;
		seen.gap[seen.n_gaps].number = n;
		seen.gap[seen.n_gaps++].ns = now - seen.last_ns;
	}
	seen.last_ns = now;
}

static unsigned missing_print(void)
{
	unsigned lost = 0, ranges = 0;
	printf(", \"missing\": [");
	for (uint32_t n = 0, first; n < seen.next; n++) {
		if (seen.sent_ns[n])
			continue;
		for (first = n; !seen.sent_ns[n]; n++) /* the highest number came */
			lost++;
		if (ranges++ < RANGES_MAX)
			printf("%s[%u, %u, %.6f, %.6f]", ranges > 1 ? ", " : "", first, n - 1,
			       first ? (double)seen.sent_ns[first - 1] / SECOND : 0.0, (double)seen.sent_ns[n] / SECOND);
	}
	printf("], \"lost\": %u, \"ranges\": %u", lost, ranges);
	return lost;
}

static void recv_print(int fd)
{
	struct tpacket_stats stats = {0};
	socklen_t len = sizeof stats;
	getsockopt(fd, SOL_PACKET, PACKET_STATISTICS, &stats, &len);
	printf("{\"received\": %u, \"next\": %u, \"twice\": %u, \"overtaken\": %u, \"socket_drops\": %u", seen.received, seen.next,
	       seen.twice, seen.overtaken, stats.tp_drops);
	missing_print();
	printf(", \"gaps\": [");
	for (unsigned i = 0; i < seen.n_gaps; i++)
		printf("%s[%.6f, %.6f, %u]", i ? ", " : "", (double)seen.gap[i].at_ns / SECOND, (double)seen.gap[i].ns / SECOND,
		       seen.gap[i].number);
	printf("]}\n");
}

static int recv_main(int argc, char **argv)
{
	union {
		struct frame head;
		uint8_t bytes[FRAME_MAX];
	} f;
	int buffer = RECV_BUFFER;
	uint32_t flow = argc == 2 ? number(argv[1], UINT32_MAX) : 0;
	if (!flow)
		return usage();
	int fd = packet_socket(argv[0], ETHERTYPE);
	if (fd < 0)
		return fail(argv[0]);
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &buffer, sizeof buffer); /* more is better, less is counted */
	fprintf(stderr, "ready\n");
	while (!ended) {
		struct pollfd ready = {.fd = fd, .events = POLLIN};
		if (poll(&ready, 1, 1000) < 0 && errno != EINTR)
			return fail("poll");
		struct sockaddr_ll from;
		socklen_t from_len = sizeof from;
		ssize_t n;
		while ((n = recvfrom(fd, &f, sizeof f, MSG_DONTWAIT, (struct sockaddr *)&from, &from_len)) >= 0) {
			from_len = sizeof from;
			if (from.sll_pkttype != PACKET_OUTGOING && n >= (ssize_t)sizeof f.head && ntohl(f.head.flow) == flow)
				frame_note(&f.head, now_ns());
		}
		if (errno != EAGAIN && errno != EINTR)
			return fail(argv[0]);
	}
	recv_print(fd);
	close(fd);
	return 0;
}

int main(int argc, char **argv)
{
	/* Without SA_RESTART: the waits end with the signal. */
	struct sigaction on = {.sa_handler = end};
	sigaction(SIGTERM, &on, NULL);
	sigaction(SIGINT, &on, NULL);
	if (argc >= 2 && !strcmp(argv[1], "send"))
		return send_main(argc - 2, argv + 2);
	if (argc >= 2 && !strcmp(argv[1], "recv"))
		return recv_main(argc - 2, argv + 2);
	return usage();
}
