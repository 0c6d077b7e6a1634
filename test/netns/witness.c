/* witness: looks at the frames of a device and judges them: lengths, IP header checksums, TCP and UDP checksums.
 *
 *     witness DEV MTU in|out
 *
 * in: frames the device receives; out: those the host sends by it. "ready" when it looks; on SIGTERM one JSON object: frames, those
 * longer than the MTU allows, the most segments one of them stands for, TCP segments (and those with FIN, PSH, URG, CWR), UDP
 * datagrams, wrong checksums of either layer, checksums the kernel says are still to be completed (so not judged), lengths that
 * contradict each other, what the kernel could not show us, and the head of the first wrong frame in hex. A superframe counts as long.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define FRAME_MAX   (1 << 18)
#define RECV_BUFFER (64 << 20)
#define TURN_MAX    256

static struct {
	unsigned long long frames, longer, longest, segments, tcp, udp, fin, psh, urg, cwr, bad_ip, bad_l4, partial, malformed, unseen;
} seen;
static size_t mtu;
static volatile sig_atomic_t ended;

static uint64_t sum(uint64_t s, const uint8_t *bytes, size_t len)
{
	for (size_t i = 0; i + 1 < len; i += 2)
		s += (uint64_t)bytes[i] << 8 | bytes[i + 1];
	return len % 2 ? s + ((uint64_t)bytes[len - 1] << 8) : s;
}

static uint16_t folded(uint64_t s)
{
	while (s >> 16)
		s = (s & 0xffff) + (s >> 16);
	return (uint16_t)s;
}

/* addresses: both, one after the other. */
static void l4_judge(const uint8_t *addresses, size_t addresses_len, uint8_t protocol, const uint8_t *l4, size_t len, bool partial)
{
	if (protocol != IPPROTO_TCP && protocol != IPPROTO_UDP)
		return;
	if (len < (protocol == IPPROTO_TCP ? 20 : 8) || (protocol == IPPROTO_UDP && ((size_t)l4[4] << 8 | l4[5]) != len)) {
		seen.malformed++;
		return;
	}
	seen.tcp += protocol == IPPROTO_TCP;
	seen.udp += protocol == IPPROTO_UDP;
	if (protocol == IPPROTO_TCP) {
		seen.fin += l4[13] & 1;
		seen.psh += l4[13] >> 3 & 1;
		seen.urg += l4[13] >> 5 & 1;
		seen.cwr += !(l4[13] & 2) && l4[13] & 0x80; /* in a SYN it only asks for ECN */
	}
	if (partial) {
		seen.partial++;
		return;
	}
	bool none = protocol == IPPROTO_UDP && addresses_len == 8 && !l4[6] && !l4[7]; /* RFC 768: no checksum */
	uint64_t s = sum(sum(len + protocol, addresses, addresses_len), l4, len);
	seen.bad_l4 += !none && folded(s) != 0xffff;
}

static void ipv4_judge(const uint8_t *ip, size_t len, bool partial)
{
	size_t head = len >= 20 ? (ip[0] & 15u) * 4u : 0, total = len >= 20 ? (size_t)ip[2] << 8 | ip[3] : 0;
	if (head < 20 || ip[0] >> 4 != 4 || total < head || total > len) {
		seen.malformed++;
		return;
	}
	seen.bad_ip += folded(sum(0, ip, head)) != 0xffff;
	if (ip[6] & 0x3f || ip[7]) /* a fragment */
		return;
	l4_judge(ip + 12, 8, ip[9], ip + head, total - head, partial);
}

static void ipv6_judge(const uint8_t *ip, size_t len, bool partial)
{
	size_t payload = len >= 40 ? (size_t)ip[4] << 8 | ip[5] : 0;
	if (len < 40 || ip[0] >> 4 != 6 || payload + 40 > len) {
		seen.malformed++;
		return;
	}
	l4_judge(ip + 8, 32, ip[6], ip + 40, payload, partial);
}

static char example[2 * 160 + 1]; /* the head of the first wrong frame, in hex */

static void example_keep(const uint8_t *frame, size_t len)
{
	for (size_t i = 0; i < len && 2 * i + 2 < sizeof(example); i++)
		snprintf(example + 2 * i, 3, "%02x", frame[i]);
}

static void frame_judge(const uint8_t *frame, size_t len, bool partial)
{
	unsigned long long wrong = seen.bad_ip + seen.bad_l4 + seen.malformed;
	seen.frames++;
	seen.longer += len > mtu + ETH_HLEN;
	seen.longest = len > seen.longest ? len : seen.longest;
	if (len < ETH_HLEN)
		seen.malformed++;
	else if (frame[12] == 0x08 && frame[13] == 0x00)
		ipv4_judge(frame + ETH_HLEN, len - ETH_HLEN, partial);
	else if (frame[12] == 0x86 && frame[13] == 0xdd)
		ipv6_judge(frame + ETH_HLEN, len - ETH_HLEN, partial);
	if (seen.bad_ip + seen.bad_l4 + seen.malformed != wrong && !*example)
		example_keep(frame, len);
}

/* Takes one frame; false when there is none. */
static bool frame_take(int fd, bool out)
{
	static uint8_t frame[FRAME_MAX];
	union {
		struct cmsghdr align;
		uint8_t bytes[CMSG_SPACE(sizeof(struct tpacket_auxdata))];
	} control;
	struct sockaddr_ll from;
	struct virtio_net_hdr head = {0};
	struct iovec part[2] = {{&head, sizeof(head)}, {frame, FRAME_MAX}};
	struct msghdr m = {.msg_name = &from,
	                   .msg_namelen = sizeof(from),
	                   .msg_iov = part,
	                   .msg_iovlen = 2,
	                   .msg_control = &control,
	                   .msg_controllen = sizeof(control)};
	ssize_t n = recvmsg(fd, &m, MSG_DONTWAIT);
	if (n < (ssize_t)sizeof(head))
		return n >= 0;
	if ((from.sll_pkttype == PACKET_OUTGOING) != out)
		return true;
	bool partial = false;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c)) {
		struct tpacket_auxdata aux;
		if (c->cmsg_level != SOL_PACKET || c->cmsg_type != PACKET_AUXDATA)
			continue;
		memcpy(&aux, CMSG_DATA(c), sizeof(aux));
		partial = aux.tp_status & TP_STATUS_CSUMNOTREADY;
	}
	size_t len = (size_t)n - sizeof(head);
	if (head.gso_type && head.gso_size && len > head.hdr_len && (len - head.hdr_len - 1) / head.gso_size + 1 > seen.segments)
		seen.segments = (len - head.hdr_len - 1) / head.gso_size + 1;
	frame_judge(frame, len, partial);
	return true;
}

static int listen_open(const char *device)
{
	int on = 1, buffer = RECV_BUFFER;
	struct sockaddr_ll at = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL), .sll_ifindex = (int)if_nametoindex(device)};
	struct packet_mreq all = {.mr_ifindex = at.sll_ifindex, .mr_type = PACKET_MR_PROMISC};
	int fd = at.sll_ifindex ? socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0) : -1;
	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &buffer, sizeof(buffer)); /* what did not fit is told as unseen */
	if (setsockopt(fd, SOL_PACKET, PACKET_AUXDATA, &on, sizeof(on)) < 0 ||
	    setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &on, sizeof(on)) < 0 ||
	    setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &all, sizeof(all)) < 0 || bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

static void seen_print(void)
{
	const struct {
		const char *name;
		unsigned long long n;
	} told[] = {
	    {"frames", seen.frames},   {"longer", seen.longer},
	    {"longest", seen.longest}, {"segments", seen.segments},
	    {"tcp", seen.tcp},         {"udp", seen.udp},
	    {"fin", seen.fin},         {"psh", seen.psh},
	    {"urg", seen.urg},         {"cwr", seen.cwr},
	    {"bad_ip", seen.bad_ip},   {"bad_l4", seen.bad_l4},
	    {"partial", seen.partial}, {"malformed", seen.malformed},
	    {"unseen", seen.unseen},
	};
	printf("{");
	for (size_t i = 0; i < sizeof(told) / sizeof(*told); i++)
		printf("\"%s\": %llu, ", told[i].name, told[i].n);
	printf("\"example\": \"%s\"}\n", example);
}

static void on_end(int signal)
{
	(void)signal;
	ended = 1;
}

int main(int argc, char **argv)
{
	struct sigaction act = {.sa_handler = on_end};
	struct tpacket_stats stats = {0};
	socklen_t len = sizeof(stats);
	sigset_t ends, none;
	if (argc != 4 || (strcmp(argv[3], "in") != 0 && strcmp(argv[3], "out") != 0) || !(mtu = strtoul(argv[2], NULL, 10))) {
		fprintf(stderr, "usage: witness DEV MTU in|out\n");
		return 2;
	}
	sigemptyset(&none);
	sigemptyset(&ends);
	sigaddset(&ends, SIGTERM);
	sigprocmask(SIG_BLOCK, &ends, NULL);
	sigaction(SIGTERM, &act, NULL);
	int fd = listen_open(argv[1]);
	if (fd < 0) {
		fprintf(stderr, "witness: %s: %s\n", argv[1], strerror(errno));
		return 1;
	}
	bool out = !strcmp(argv[3], "out");
	printf("ready\n");
	fflush(stdout);
	while (!ended) {
		struct pollfd ready = {.fd = fd, .events = POLLIN};
		ppoll(&ready, 1, NULL, &none);
		for (unsigned i = 0; i < TURN_MAX && frame_take(fd, out); i++)
			;
	}
	while (frame_take(fd, out)) /* what had come before the signal; the buffer bounds it */
		;
	getsockopt(fd, SOL_PACKET, PACKET_STATISTICS, &stats, &len);
	seen.unseen = stats.tp_drops;
	seen_print();
	close(fd);
	return 0;
}
