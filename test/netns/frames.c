/* frames: raw Ethernet frames in and out of a device, for tests between namespaces.
 *
 *     frames send DEV HEXFILE|- [count] [gap_us]                one frame per line of hex digits; blanks and # lines are skipped
 *     frames recv DEV SECONDS [ethertype-hex|all [plain]]      each frame received as one line of hex digits
 *
 * The kernel takes the outer VLAN tag out of a received frame and tells it beside (PACKET_AUXDATA); recv puts it back, so that lines
 * compare byte for byte with what was sent. Frames this host sends itself are left out. The filter compares the field behind the
 * addresses as it was on the wire (a tagged frame has 8100 or 88a8 there; an 802.3 frame its length). "ready" on standard error says
 * that frames are being listened for. recv makes the device promiscuous, which to a member of a network means: every group is wanted
 * here; plain leaves it as it is, and what comes to it by itself is what is seen.
 */
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define FRAME_MAX   65536
#define FRAMES_MAX  4096
#define RECV_BUFFER (16 << 20)

struct frame {
	uint8_t *data;
	size_t len;
};

static int usage(void)
{
	fprintf(stderr, "usage: frames send DEV HEXFILE|- [count] [gap_us]\n"
	                "       frames recv DEV SECONDS [ethertype-hex|all [plain]]\n");
	return 2;
}

static int fail(const char *what)
{
	fprintf(stderr, "frames: %s: %s\n", what, strerror(errno));
	return 1;
}

/* A number within bounds, or -1. */
static long number(const char *text, int base, long max)
{
	char *end;
	errno = 0;
	long n = strtol(text, &end, base);
	return errno || end == text || *end || n < 0 || n > max ? -1 : n;
}

static int packet_socket(const char *device, uint16_t protocol)
{
	struct sockaddr_ll at = {.sll_family = AF_PACKET, .sll_protocol = htons(protocol), .sll_ifindex = (int)if_nametoindex(device)};
	if (!at.sll_ifindex)
		return -1;
	/* Protocol 0 until bind: otherwise frames of every interface come in between. */
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	if (fd >= 0 && bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

/* ---- send ---- */

/* Hex digits, blanks between allowed. Returns the bytes, 0 for an empty line or a comment, -1 if it
 * is no hex. */
static long line_parse(const char *line, uint8_t *ret)
{
	size_t n = 0;
	int high = -1;
	for (; *line && *line != '#'; line++) {
		if (isspace((unsigned char)*line) || *line == ':')
			continue;
		if (!isxdigit((unsigned char)*line) || n == FRAME_MAX)
			return -1;
		int digit = isdigit((unsigned char)*line) ? *line - '0' : tolower((unsigned char)*line) - 'a' + 10;
		if (high < 0) {
			high = digit;
		} else {
			ret[n++] = (uint8_t)(high << 4 | digit);
			high = -1;
		}
	}
	return high < 0 ? (long)n : -1;
}

/* How many frames, or -1 with a message. */
static int frames_read(FILE *in, struct frame *ret)
{
	static uint8_t bytes[FRAME_MAX];
	char *line = NULL;
	size_t room = 0;
	int n = 0, at = 0;
	while (getline(&line, &room, in) >= 0) {
		at++;
		long len = line_parse(line, bytes);
		if (len == 0)
			continue;
		if (len < ETH_HLEN || n == FRAMES_MAX) {
			fprintf(stderr, "frames: line %d: %s\n", at,
			        n == FRAMES_MAX ? "too many frames" : "no frame of 14 bytes or more in hex");
			n = -1;
			break;
		}
		ret[n].data = malloc((size_t)len);
		if (!ret[n].data)
			abort();
		memcpy(ret[n].data, bytes, (size_t)len);
		ret[n++].len = (size_t)len;
	}
	free(line);
	return n;
}

/* On a full queue the kernel says ENOBUFS or EAGAIN at once: wait a little, at most a second in all
 * per frame. */
static int frame_send(int fd, const struct frame *f)
{
	for (int try = 0; try < 1000; try++) {
		if (send(fd, f->data, f->len, 0) == (ssize_t)f->len)
			return 0;
		if (errno != ENOBUFS && errno != EAGAIN && errno != EINTR)
			return -1;
		usleep(1000);
	}
	return -1;
}

static int send_main(int argc, char **argv)
{
	static struct frame list[FRAMES_MAX];
	long count = argc > 2 ? number(argv[2], 10, 100000000) : 1, gap_us = argc > 3 ? number(argv[3], 10, 10000000) : 0;
	int rc = 0;
	if (argc < 2 || argc > 4 || count < 1 || gap_us < 0)
		return usage();
	FILE *in = strcmp(argv[1], "-") ? fopen(argv[1], "r") : stdin;
	if (!in)
		return fail(argv[1]);
	int n = frames_read(in, list);
	if (in != stdin)
		fclose(in);
	int fd = n > 0 ? packet_socket(argv[0], 0) : -1;
	if (n > 0 && fd < 0)
		rc = fail(argv[0]);
	else if (n <= 0)
		rc = n < 0 ? 2 : 0;
	for (long c = 0; c < count && fd >= 0 && !rc; c++)
		for (int i = 0; i < n && !rc; i++) {
			if (frame_send(fd, &list[i]))
				rc = fail("send");
			if (gap_us)
				usleep((useconds_t)gap_us);
		}
	if (fd >= 0)
		close(fd);
	for (int i = 0; i < n; i++)
		free(list[i].data);
	return rc;
}

/* ---- recv ---- */

static int listen_open(const char *device, bool plain)
{
	int on = 1, buffer = RECV_BUFFER;
	int fd = packet_socket(device, ETH_P_ALL);
	if (fd < 0)
		return -1;
	struct packet_mreq all = {.mr_ifindex = (int)if_nametoindex(device), .mr_type = PACKET_MR_PROMISC};
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &buffer, sizeof(buffer)); /* more is better, less is no failure */
	if (setsockopt(fd, SOL_PACKET, PACKET_AUXDATA, &on, sizeof(on)) < 0 ||
	    (!plain && setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &all, sizeof(all)) < 0)) {
		close(fd);
		return -1;
	}
	return fd;
}

/* Puts the tag the kernel took out back behind the addresses. frame has 4 bytes of room beyond len.
 */
static size_t tag_restore(struct msghdr *m, uint8_t *frame, size_t len)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		struct tpacket_auxdata aux;
		if (c->cmsg_level != SOL_PACKET || c->cmsg_type != PACKET_AUXDATA)
			continue;
		memcpy(&aux, CMSG_DATA(c), sizeof(aux));
		if (!(aux.tp_status & TP_STATUS_VLAN_VALID) || len < 2 * ETH_ALEN)
			continue;
		unsigned tpid = aux.tp_status & TP_STATUS_VLAN_TPID_VALID ? aux.tp_vlan_tpid : ETH_P_8021Q;
		memmove(frame + 2 * ETH_ALEN + 4, frame + 2 * ETH_ALEN, len - 2 * ETH_ALEN);
		frame[12] = (uint8_t)(tpid >> 8);
		frame[13] = (uint8_t)tpid;
		frame[14] = (uint8_t)(aux.tp_vlan_tci >> 8);
		frame[15] = (uint8_t)aux.tp_vlan_tci;
		return len + 4;
	}
	return len;
}

static void frame_print(const uint8_t *frame, size_t len)
{
	static const char digits[] = "0123456789abcdef";
	static char line[2 * FRAME_MAX + 2];
	for (size_t i = 0; i < len; i++) {
		line[2 * i] = digits[frame[i] >> 4];
		line[2 * i + 1] = digits[frame[i] & 15];
	}
	line[2 * len] = '\n';
	fwrite(line, 1, 2 * len + 1, stdout);
	fflush(stdout);
}

/* Takes one frame; false when there was none after all or the device failed. */
static bool frame_take(int fd, long wanted)
{
	static uint8_t frame[FRAME_MAX];
	union {
		struct cmsghdr align;
		uint8_t bytes[CMSG_SPACE(sizeof(struct tpacket_auxdata))];
	} control;
	struct sockaddr_ll from;
	struct iovec part = {frame, FRAME_MAX - 4};
	struct msghdr m = {.msg_name = &from,
	                   .msg_namelen = sizeof(from),
	                   .msg_iov = &part,
	                   .msg_iovlen = 1,
	                   .msg_control = &control,
	                   .msg_controllen = sizeof(control)};
	ssize_t n = recvmsg(fd, &m, MSG_DONTWAIT);
	if (n < 0)
		return false;
	if (from.sll_pkttype == PACKET_OUTGOING)
		return true;
	size_t len = tag_restore(&m, frame, (size_t)n);
	if (wanted < 0 || (len >= ETH_HLEN && (frame[12] << 8 | frame[13]) == wanted))
		frame_print(frame, len);
	return true;
}

static int64_t now_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int recv_main(int argc, char **argv)
{
	bool plain = argc == 4 && !strcmp(argv[3], "plain");
	if (argc < 2 || argc > 4 || (argc == 4 && !plain))
		return usage();
	char *end;
	double seconds = strtod(argv[1], &end);
	long wanted = argc > 2 && strcmp(argv[2], "all") ? number(argv[2], 16, 0xffff) : -1;
	if (*end || !(seconds > 0 && seconds <= 3600) || (argc > 2 && strcmp(argv[2], "all") && wanted < 0))
		return usage();
	int fd = listen_open(argv[0], plain);
	if (fd < 0)
		return fail(argv[0]);
	int64_t until = now_ms() + (int64_t)(seconds * 1000), left;
	fprintf(stderr, "ready\n");
	while ((left = until - now_ms()) > 0) {
		struct pollfd ready = {.fd = fd, .events = POLLIN};
		if (poll(&ready, 1, (int)left) < 0 && errno != EINTR) {
			close(fd);
			return fail("poll");
		}
		while (now_ms() < until && frame_take(fd, wanted))
			;
		if (ready.revents & (POLLERR | POLLHUP)) {
			int err = 0;
			socklen_t len = sizeof(err);
			getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len);
			if (err && err != ENETDOWN) {
				close(fd);
				errno = err;
				return fail(argv[0]);
			}
		}
	}
	close(fd);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc >= 3 && !strcmp(argv[1], "send"))
		return send_main(argc - 2, argv + 2);
	if (argc >= 3 && !strcmp(argv[1], "recv"))
		return recv_main(argc - 2, argv + 2);
	return usage();
}
