/* Superframes and partial checksums through real TAP devices, in both directions. Outwards a packet socket with
 * PACKET_VNET_HDR gives the device what a TCP of this host would, or a UDP socket sends with UDP_SEGMENT. Inwards such a
 * packet socket tells what the kernel made of the frame, and a UDP socket takes the datagrams. What complete frames must be
 * is computed here. */
#include "tap/tap.h"
#include "tap_bed.h"
#include "tap_frames.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <linux/udp.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>

#ifndef VIRTIO_NET_HDR_GSO_UDP_L4
#define VIRTIO_NET_HDR_GSO_UDP_L4 5
#endif

/* ---- the kernel's side ------------------------------------------------------------------------------------------ */

static int packets(const char *name)
{
	struct sockaddr_ll at = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL), .sll_ifindex = (int)if_nametoindex(name)};
	const struct timeval patience = {.tv_sec = 1};
	int on = 1, room = 4 << 20, fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	assert_int_equal(setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof(on)), 0);
	assert_int_equal(setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &on, sizeof(on)), 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room)), 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof(room)), 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)), 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	return fd;
}

/* The header as the kernel's own stack means it, made apart from the code under test. */
static struct virtio_net_hdr header_of(const struct made *m)
{
	static const uint8_t types[] = {VIRTIO_NET_HDR_GSO_NONE, VIRTIO_NET_HDR_GSO_TCPV4, VIRTIO_NET_HDR_GSO_TCPV6,
	                                VIRTIO_NET_HDR_GSO_UDP_L4};
	const struct offload *o = &m->offload;
	struct virtio_net_hdr h = {.flags = o->csum ? VIRTIO_NET_HDR_F_NEEDS_CSUM : 0,
	                           .gso_type = types[o->gso],
	                           .hdr_len = (uint16_t)m->payload_at,
	                           .gso_size = o->gso ? o->size : 0,
	                           .csum_start = o->csum ? o->csum_start : 0,
	                           .csum_offset = o->csum ? o->csum_offset : 0};
	if (o->ecn)
		h.gso_type |= VIRTIO_NET_HDR_GSO_ECN;
	return h;
}

static void inject(int ps, const struct made *m)
{
	struct virtio_net_hdr h = header_of(m);
	const struct iovec parts[2] = {{&h, sizeof(h)}, {(void *)(uintptr_t)m->bytes, m->len}};
	ssize_t n = writev(ps, parts, 2);
	if (n != (ssize_t)(sizeof(h) + m->len))
		fail_msg("send of %u bytes: %s", m->len, strerror(errno));
}

/* The next n frames that our tests made (ports 7001 and 7002 behind some IP header); the kernel's chatter is skipped. */
static unsigned frames_read(struct tap *t, struct slab *slab, struct packet *ret, unsigned n)
{
	unsigned got = 0;
	for (int tries = 0; tries < 300 && got < n; tries++) {
		struct slab before = *slab;
		int r = tap_read(t, 0, slab, ret + got, 1);
		assert_true(r >= 0);
		if (r == 0)
			usleep(1000);
		else if (!memmem(ret[got].data, ret[got].len < 80 ? ret[got].len : 80, (const uint8_t[]){0x1b, 0x59, 0x1b, 0x5a}, 4))
			*slab = before;
		else
			got++;
	}
	return got;
}

static void offload_equal(const struct offload *got, const struct offload *wanted)
{
	assert_int_equal(got->gso, wanted->gso);
	assert_int_equal(got->csum, wanted->csum);
	assert_int_equal(got->ecn, wanted->ecn);
	assert_int_equal(got->size, wanted->gso ? wanted->size : 0);
	assert_int_equal(got->csum_start, wanted->csum_start);
	assert_int_equal(got->csum_offset, wanted->csum_offset);
}

static struct tap *device(const char *name, unsigned may)
{
	struct tap *t = opened(name, 1, 1500, may);
	assert_int_equal(tap_up(t, true), 0);
	return t;
}

/* The peer on the device's other side, with both IP versions. */
static void addresses(const char *name)
{
	char line[400];
	snprintf(
	    line, sizeof(line),
	    "ip addr add 10.44.0.1/24 dev %s && ip -6 addr add fd00::1/64 dev %s nodad && "
	    "ip neigh replace 10.44.0.2 lladdr 02:00:00:00:00:09 dev %s && ip -6 neigh replace fd00::2 lladdr 02:00:00:00:00:09 dev %s",
	    name, name, name, name);
	shell(line);
}

/* What the kernel grants by itself, asked without our code. */
static bool kernel_grants(unsigned flags)
{
	struct ifreq r = {.ifr_name = "probe0", .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0 && ioctl(fd, TUNSETIFF, &r) == 0);
	bool yes = ioctl(fd, TUNSETOFFLOAD, (unsigned long)flags) == 0;
	close(fd);
	return yes;
}

static const struct kind kinds[] = {
    {false, false, 0}, {true, false, 0}, {false, true, 0}, {true, true, 0},
    {false, false, 1}, {true, false, 1}, {false, true, 1}, {true, true, 1},
};
#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

/* ---- tests ------------------------------------------------------------------------------------------------------ */

static void test_grants(void **state)
{
	(void)state;
	need_private_net();
	bool csum = kernel_grants(1), tso = kernel_grants(0xf), uso = kernel_grants(0x6f);
	for (unsigned may = 0; may < 16; may++) {
		struct tap *t = opened("og0", 3, 1500, may);
		unsigned wanted =
		    may & TAP_CSUM && csum ? TAP_CSUM | (may & TAP_TSO && tso ? TAP_TSO : 0) | (may & TAP_USO && uso ? TAP_USO : 0) : 0;
		assert_int_equal(tap_offloads(t), wanted);
		tap_close(t);
	}
}

static void superframes_out(unsigned may, const struct kind *k, uint32_t payload, uint16_t size)
{
	static struct made m;
	struct packet p;
	struct slab slab = slab_new(2 * TAP_SLAB_MIN);
	struct tap *t = device("oo0", may);
	int ps = packets("oo0");
	frame_build(&m, *k, false, payload, size);
	inject(ps, &m);
	assert_int_equal(frames_read(t, &slab, &p, 1), 1);
	assert_int_equal(p.verdict, DROP_NONE);
	assert_int_equal(p.len, m.len);
	assert_int_equal((uintptr_t)p.data % 16, 0);
	offload_equal(&p.offload, &m.offload);
	assert_memory_equal(p.data, m.bytes, m.len);
	assert_ptr_equal(slab.at, p.data + p.len);
	assert_int_equal(slab.at[0], 0xee);
	close(ps);
	tap_close(t);
}

static void test_superframes_out(void **state)
{
	(void)state;
	need_private_net();
	bool uso = kernel_grants(0x61);
	for (unsigned i = 0; i < KINDS; i++) {
		if (kinds[i].udp && !uso)
			continue;
		superframes_out(TAP_ALL, &kinds[i], 3500, 1000);
		superframes_out(TAP_ALL, &kinds[i], 65535 - 14 - 4 * kinds[i].tags - (kinds[i].v6 ? 40 : 20) - (kinds[i].udp ? 8 : 32),
		                1300);
	}
}

static void test_ecn(void **state)
{
	(void)state;
	need_private_net();
	static struct made m;
	static uint8_t got[70000];
	struct packet p;
	struct slab slab = slab_new(TAP_SLAB_MIN * 2);
	struct tap *t = device("oe0", TAP_ALL);
	int ps = packets("oe0");
	frame_build(&m, kinds[0], false, 5000, 1000);
	m.bytes[m.l4 + 13] |= 0x80; /* CWR */
	m.offload.ecn = true;
	inject(ps, &m);
	assert_int_equal(frames_read(t, &slab, &p, 1), 1);
	offload_equal(&p.offload, &m.offload);
	tap_write(t, 0, &p, 1);
	assert_int_equal(p.verdict, DROP_NONE);
	const struct virtio_net_hdr *h = (const void *)got;
	do
		assert_true(recv(ps, got, sizeof(got), 0) > 0);
	while (memcmp(got + sizeof(*h), m.bytes, 14) != 0);
	assert_int_equal(h->gso_type, VIRTIO_NET_HDR_GSO_TCPV4 | VIRTIO_NET_HDR_GSO_ECN);
	close(ps);
	tap_close(t);
}

/* The same traffic with less granted comes complete: as many frames as segments, with all sums right, and no byte lost. */
static void complete_out(unsigned may, struct kind k, uint32_t payload, uint16_t size)
{
	enum { FRAMES = 60 };
	static struct made m;
	struct packet p[FRAMES];
	struct slab slab = slab_new(4 * TAP_SLAB_MIN);
	struct tap *t = device("oc0", may);
	int ps = packets("oc0");
	frame_build(&m, k, false, payload, size);
	inject(ps, &m);
	unsigned n = (payload + size - 1) / size;
	assert_true(n < FRAMES);
	assert_int_equal(frames_read(t, &slab, p, n), n);
	uint32_t at = 0;
	for (unsigned i = 0; i < n; i++) {
		const uint8_t *data;
		uint32_t len = frame_complete(&p[i], k, 14 + 4 * k.tags, &data);
		assert_int_equal(len, i + 1 < n ? size : payload - at);
		assert_memory_equal(data, m.bytes + m.payload_at + at, len);
		at += len;
	}
	assert_int_equal(at, payload);
	close(ps);
	tap_close(t);
}

static void test_complete_out(void **state)
{
	(void)state;
	need_private_net();
	for (unsigned i = 0; i < KINDS; i++) {
		complete_out(0, kinds[i], 3500, 1000);
		complete_out(0, kinds[i], 50000, 1400);
	}
	complete_out(TAP_TSO | TAP_USO, kinds[0], 3500, 1000); /* nothing without TAP_CSUM */
}

static void test_partial_out(void **state)
{
	(void)state;
	need_private_net();
	static struct made m;
	for (unsigned i = 0; i < 12; i++) {
		struct kind k = {i & 1, i & 2, i / 4};
		struct packet p;
		const uint8_t *data;
		for (unsigned may = 0; may <= TAP_CSUM; may++) {
			struct slab slab = slab_new(2 * TAP_SLAB_MIN);
			struct tap *t = device("op0", may);
			int ps = packets("op0");
			frame_build(&m, k, false, 333, 0);
			m.offload.gso = GSO_NONE;
			inject(ps, &m);
			assert_int_equal(frames_read(t, &slab, &p, 1), 1);
			assert_int_equal(p.len, m.len);
			if (may) {
				offload_equal(&p.offload, &m.offload);
				assert_memory_equal(p.data, m.bytes, m.len);
			} else {
				assert_int_equal(frame_complete(&p, k, 14 + 4 * k.tags, &data), 333);
			}
			close(ps);
			tap_close(t);
		}
	}
}

/* A UDP socket's own superframe, and the same datagrams one by one from a device that may have none. */
static void udp_segment(unsigned may)
{
	enum { SIZE = 1100, ALL = 10 * SIZE - 300 };
	static uint8_t data[ALL];
	const struct sockaddr_in from = {.sin_family = AF_INET, .sin_port = htons(7001), .sin_addr.s_addr = htonl(0x0a2c0001)};
	const struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(7002), .sin_addr.s_addr = htonl(0x0a2c0002)};
	struct packet p[10];
	struct slab slab = slab_new(4 * TAP_SLAB_MIN);
	struct tap *t = device("ou0", may);
	int size = SIZE, fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	addresses("ou0");
	for (unsigned i = 0; i < ALL; i++)
		data[i] = (uint8_t)(i * 3 + i / 256);
	assert_int_equal(bind(fd, (const struct sockaddr *)&from, sizeof(from)), 0);
	assert_int_equal(setsockopt(fd, IPPROTO_UDP, UDP_SEGMENT, &size, sizeof(size)), 0);
	assert_int_equal(sendto(fd, data, ALL, 0, (const struct sockaddr *)&to, sizeof(to)), ALL);
	if (may & TAP_USO) {
		const struct offload wanted = {.gso = GSO_UDP, .csum = true, .size = SIZE, .csum_start = 34, .csum_offset = 6};
		assert_int_equal(frames_read(t, &slab, p, 1), 1);
		assert_int_equal(p[0].len, 42 + ALL);
		offload_equal(&p[0].offload, &wanted);
		assert_int_equal(get16(p[0].data + 16), 28 + ALL); /* lengths of the whole */
		assert_int_equal(get16(p[0].data + 38), 8 + ALL);
		assert_memory_equal(p[0].data + 42, data, ALL);
	} else {
		assert_int_equal(frames_read(t, &slab, p, 10), 10);
		for (unsigned i = 0; i < 10; i++) {
			const uint8_t *part;
			assert_int_equal(frame_complete(&p[i], kinds[2], 14, &part), i < 9 ? SIZE : SIZE - 300);
			assert_memory_equal(part, data + (size_t)i * SIZE, i < 9 ? SIZE : SIZE - 300);
		}
	}
	close(fd);
	tap_close(t);
}

static void test_udp_segment(void **state)
{
	(void)state;
	need_private_net();
	udp_segment(0);
	if (kernel_grants(0x61))
		udp_segment(TAP_ALL);
}

/* The frame in pieces: one packet with the headers and tails, apart in memory (gap 16) or one behind the other (gap 0). */
static unsigned pieces(const struct made *m, uint32_t head, uint32_t each, uint32_t gap, struct packet *ret)
{
	static uint8_t room[SUPERFRAME_MAX + 200 * 16];
	uint32_t at = 0, done = 0;
	unsigned n = 0;
	while (done < m->len) {
		uint32_t len = n ? each : head;
		len = len < m->len - done ? len : m->len - done;
		memcpy(room + at, m->bytes + done, len);
		/* What a tail's verdict says is for others. */
		ret[n++] = (struct packet){.data = room + at, .len = len, .room = len, .verdict = done ? DROP_AEAD : DROP_NONE};
		at += len + gap;
		done += len;
	}
	ret[0].offload = m->offload;
	ret[0].tails = (uint8_t)(n - 1);
	return n;
}

/* Written frame m reaches a packet socket as it was, the outer tag told beside. */
static void heard(int ps, const struct made *m)
{
	static uint8_t got[SUPERFRAME_MAX + 100];
	const uint32_t cut = m->bytes[12] == 0x81 ? 4 : 0;
	struct virtio_net_hdr h, wanted = header_of(m);
	ssize_t n;
	do {
		n = recv(ps, got, sizeof(got), 0);
		if (n < 0)
			fail_msg("nothing heard of %u bytes: %s", m->len, strerror(errno));
	} while (memcmp(got + sizeof(h), m->bytes, 12) != 0);
	memcpy(&h, got, sizeof(h));
	assert_int_equal(n, sizeof(h) + m->len - cut);
	assert_memory_equal(got + sizeof(h) + 12, m->bytes + 12 + cut, m->len - 12 - cut);
	assert_int_equal(h.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM, wanted.flags);
	assert_int_equal(h.gso_type, wanted.gso_type);
	assert_int_equal(h.gso_size, wanted.gso_size);
	if (m->offload.csum) {
		assert_int_equal(h.csum_start, wanted.csum_start - cut);
		assert_int_equal(h.csum_offset, wanted.csum_offset);
	}
}

static void test_superframes_in(void **state)
{
	(void)state;
	need_private_net();
	static const struct {
		uint32_t head, each, gap;
	} shape[] = {{70000, 1, 0}, {200, 1300, 0}, {200, 1300, 16}, {1000, 517, 16}};
	static struct made m;
	struct packet p[TAP_TAILS_MAX + 1];
	struct tap *t = device("oi0", TAP_ALL);
	int ps = packets("oi0");
	for (unsigned i = 0; i < KINDS; i++) {
		if (kinds[i].udp && !(tap_offloads(t) & TAP_USO))
			continue;
		for (unsigned big = 0; big < 2; big++) {
			uint32_t most = 65535u - (kinds[i].v6 ? 40 : 20) - (kinds[i].udp ? 8 : 32);
			frame_build(&m, kinds[i], true, big ? most : 3500, big ? 1300 : 1000);
			for (unsigned s = 0; s < sizeof(shape) / sizeof(shape[0]); s++) {
				unsigned n = pieces(&m, shape[s].head, shape[s].each, shape[s].gap, p);
				tap_write(t, 0, p, n);
				assert_int_equal(p[0].verdict, DROP_NONE);
				for (unsigned k = 1; k < n; k++)
					assert_int_equal(p[k].verdict, DROP_AEAD);
				heard(ps, &m);
			}
		}
	}
	close(ps);
	tap_close(t);
}

/* Complete and partial frames with tails, on a device with the header and on one without; the most tails there may be. */
static void test_tails_of_other_frames(void **state)
{
	(void)state;
	need_private_net();
	static struct made m;
	struct packet p[TAP_TAILS_MAX + 1];
	for (unsigned may = 0; may <= TAP_CSUM; may++) {
		struct tap *t = device("ot0", may);
		int ps = packets("ot0");
		for (unsigned partial = 0; partial <= may; partial++) {
			frame_build(&m, kinds[4 * partial], true, 1300, 0);
			m.offload = partial ? m.offload : (struct offload){0};
			m.offload.gso = GSO_NONE;
			unsigned n = pieces(&m, 100, 10, 3, p);
			assert_int_equal(n, 1 + (m.len - 100 + 9) / 10);
			assert_true(n > TAP_TAILS_MAX - 5 && n <= TAP_TAILS_MAX + 1);
			tap_write(t, 0, p, n);
			assert_int_equal(p[0].verdict, DROP_NONE);
			heard(ps, &m);
		}
		close(ps);
		tap_close(t);
	}
}

/* The kernel cuts or sums what we wrote before a program sees it: that is the proof that the header was right. */
static void delivered(struct tap *t, int fd, const struct made *m, uint32_t size, bool wanted)
{
	static uint8_t got[70000];
	struct packet p[TAP_TAILS_MAX + 1];
	unsigned n = pieces(m, 300, 1000, 16, p);
	tap_write(t, 0, p, n);
	assert_int_equal(p[0].verdict, DROP_NONE);
	for (uint32_t at = m->payload_at; wanted && at < m->len; at += size) {
		uint32_t len = m->len - at < size ? m->len - at : size;
		assert_int_equal(recv(fd, got, sizeof(got), 0), len);
		assert_memory_equal(got, m->bytes + at, len);
	}
	assert_int_equal(recv(fd, got, sizeof(got), MSG_DONTWAIT), -1);
}

static void test_delivery(void **state)
{
	(void)state;
	need_private_net();
	static struct made m;
	const struct timeval patience = {.tv_sec = 1};
	const struct sockaddr_in6 at = {.sin6_family = AF_INET6, .sin6_port = htons(7002)};
	int room = 1 << 20, fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct tap *t = device("od0", TAP_ALL);
	addresses("od0");
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)), 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room)), 0);
	assert_int_equal(bind(fd, (const struct sockaddr *)&at, sizeof(at)), 0);
	for (unsigned i = 2; i < 4; i++) {
		if (tap_offloads(t) & TAP_USO) {
			frame_build(&m, kinds[i], true, 20500, 1000);
			delivered(t, fd, &m, 1000, true);
		}
		frame_build(&m, kinds[i], true, 700, 0);
		m.offload.gso = GSO_NONE;
		delivered(t, fd, &m, 700, true);
		/* The same without a word of the missing sum is a frame with a wrong one. */
		m.offload = (struct offload){0};
		delivered(t, fd, &m, 700, false);
		put16(m.bytes + m.l4 + 6, ~sum_of(m.bytes + m.l4, m.len - m.l4, 0));
		delivered(t, fd, &m, 700, true);
	}
	close(fd);
	tap_close(t);
}

/* A refused frame takes its tails with it, and those before and behind it go on. */
static void refused(struct tap *t, int ps, const struct made *bad)
{
	static struct made good;
	static uint8_t plain[2][60];
	struct packet p[2 + TAP_TAILS_MAX + 1] = {0};
	unsigned n = pieces(bad, bad->payload_at, 1000, 16, p + 1);
	frame_build(&good, kinds[2], true, 18, 0);
	good.offload = (struct offload){0};
	for (unsigned i = 0; i < 2; i++)
		memcpy(plain[i], good.bytes, 60);
	p[0] = (struct packet){.data = plain[0], .len = 60};
	p[n + 1] = (struct packet){.data = plain[1], .len = 60};
	tap_write(t, 0, p, n + 2);
	assert_int_equal(p[0].verdict, DROP_NONE);
	for (unsigned i = 1; i <= n; i++)
		assert_int_equal(p[i].verdict, DROP_TAP_WRITE);
	assert_int_equal(p[n + 1].verdict, DROP_NONE);
	heard(ps, &good);
	heard(ps, &good);
}

static void test_refused(void **state)
{
	(void)state;
	need_private_net();
	static struct made m, bad;
	struct packet p[TAP_TAILS_MAX + 1];
	struct tap *t = device("or0", TAP_CSUM);
	int ps = packets("or0");
	frame_build(&m, kinds[0], true, 3500, 1000);
	refused(t, ps, &m); /* superframes were not asked for */
	bad = m;
	bad.offload = (struct offload){.csum = true, .csum_start = (uint16_t)(m.len - 1), .csum_offset = 0};
	refused(t, ps, &bad); /* our own check; the kernel's would say EINVAL */
	/* The kernel's: a device that is down. */
	m.offload.gso = GSO_NONE;
	unsigned n = pieces(&m, m.payload_at, 1000, 16, p);
	p[1].verdict = DROP_NONE;
	assert_int_equal(tap_up(t, false), 0);
	tap_write(t, 0, p, n);
	for (unsigned i = 0; i < n; i++)
		assert_int_equal(p[i].verdict, DROP_TAP_WRITE);
	/* A dead head's tails are no frames of their own. */
	assert_int_equal(tap_up(t, true), 0);
	close(ps); /* it would tell first that the network was down */
	ps = packets("or0");
	frame_build(&m, kinds[2], true, 900, 0);
	m.offload = (struct offload){0};
	n = pieces(&m, 100, 300, 16, p);
	for (unsigned i = 0; i < n; i++)
		p[i].verdict = DROP_NONE;
	p[0].verdict = DROP_AEAD;
	tap_write(t, 0, p, n);
	assert_int_equal(p[0].verdict, DROP_AEAD);
	p[0].verdict = DROP_NONE;
	tap_write(t, 0, p, n);
	heard(ps, &m);
	close(ps);
	tap_close(t);
	t = device("or0", 0);
	ps = packets("or0");
	m.offload = (struct offload){.csum = true, .csum_start = 34, .csum_offset = 6};
	refused(t, ps, &m); /* no header to say it in */
	close(ps);
	tap_close(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_grants),         cmocka_unit_test(test_superframes_out),       cmocka_unit_test(test_ecn),
	    cmocka_unit_test(test_complete_out),   cmocka_unit_test(test_partial_out),           cmocka_unit_test(test_udp_segment),
	    cmocka_unit_test(test_superframes_in), cmocka_unit_test(test_tails_of_other_frames), cmocka_unit_test(test_delivery),
	    cmocka_unit_test(test_refused),
	};
	alarm(60);
	return cmocka_run_group_tests_name("tap_offload", tests, private_net, NULL);
}
