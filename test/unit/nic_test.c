/* Interfaces as ports, on real veth pairs in a network namespace of this program's own: na0 is the port, nb0 the wire's other end, where a
 * packet socket of the test sends and hears. Without root every test is skipped.
 *
 *	test - na0 ====== nb0 - packet socket            the frames of one port
 *	[pa 10.44.0.1] === na0 - test - nb0 === [pb 10.44.0.2]     a conversation of two stacks through two ports,
 *	[pa 10.44.0.1] === na0 - test - nc0 === nd0 - test - nb0 === [pb 10.44.0.2]     or through two more, with a VLAN tag between these
 */
#include "tap/nic.h"
#include "tap_bed.h"
#include "tap_frames.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>

static const uint8_t near_mac[6] = {2, 0, 0, 0, 0, 0xa}, far_mac[6] = {2, 0, 0, 0, 0, 0xb}, else_mac[6] = {2, 0, 0, 0, 0, 0xc};

/* The kernel takes frames a while after "up" only, when it has looked at the carrier. */
static void carrier_wait(const char *dev)
{
	struct ifreq r;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), tries = 0;
	do {
		memset(&r, 0, sizeof(r));
		snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", dev);
		assert_int_equal(ioctl(fd, SIOCGIFFLAGS, &r), 0);
		usleep(5000);
	} while (!(r.ifr_flags & IFF_RUNNING) && ++tries < 1000);
	assert_true(r.ifr_flags & IFF_RUNNING);
	usleep(5000);
	close(fd);
}

static void pair_up(void)
{
	shell("ip link add na0 address 02:00:00:00:00:0a type veth peer name nb0 address 02:00:00:00:00:0b");
	shell("sysctl -qw net.ipv6.conf.na0.disable_ipv6=1 net.ipv6.conf.nb0.disable_ipv6=1");
	shell("ip link set na0 up && ip link set nb0 up");
	carrier_wait("na0");
	carrier_wait("nb0");
}

static void pair_down(void)
{
	shell("ip link del na0");
}

static struct tap *attach(const char *iface, unsigned queues, const char *filter)
{
	struct tap *t = NULL;
	const char *why = NULL;
	if (tap_attach(&t, iface, queues, TAP_ALL, filter, &why))
		fail_msg("tap_attach: %s", why);
	return t;
}

static int far_socket(const char *dev)
{
	const struct sockaddr_ll at = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL), .sll_ifindex = (int)if_nametoindex(dev)};
	const int one = 1;
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_true(fd >= 0);
	assert_int_equal(setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof(one)), 0);
	assert_int_equal(setsockopt(fd, SOL_PACKET, PACKET_AUXDATA, &one, sizeof(one)), 0);
	assert_int_equal(bind(fd, (const struct sockaddr *)&at, sizeof(at)), 0);
	return fd;
}

static uint32_t frame_make(uint8_t *f, const uint8_t to[6], const char *types_hex, uint32_t len)
{
	uint32_t at = 12;
	memset(f, 0, len);
	memcpy(f, to, 6);
	memcpy(f + 6, else_mac, 6);
	f[11] = 9;
	for (unsigned byte; sscanf(types_hex, "%2x", &byte) == 1; types_hex += 2)
		f[at++] = (uint8_t)byte;
	for (; at < len; at++)
		f[at] = (uint8_t)(at * 3 + len);
	return len;
}

#define COMES 3000 /* ms, on a machine with other work */
#define NOT   60

/* Frames that come within that time, from all queues; stops early at n. */
static unsigned frames_in(struct tap *t, unsigned queues, struct slab *slab, struct packet *ret, unsigned n, int wait_ms)
{
	unsigned got = 0;
	for (int tries = 0; tries < wait_ms && got < n; tries++) {
		for (unsigned q = 0; q < queues && got < n; q++) {
			int r = tap_read(t, q, slab, ret + got, n - got);
			assert_true(r >= 0);
			got += (unsigned)r;
		}
		if (got < n)
			usleep(1000);
	}
	return got;
}

/* The length of the next frame there, -1 for none. */
static ssize_t far_next(int fd, int wait_ms)
{
	uint8_t frame[2000];
	struct pollfd ready = {.fd = fd, .events = POLLIN};
	return poll(&ready, 1, wait_ms) == 1 ? recv(fd, frame, sizeof(frame), 0) : -1;
}

static void far_send(int fd, const uint8_t *f, uint32_t len)
{
	assert_int_equal(send(fd, f, len, 0), len);
}

static void test_reads_frames_as_they_were_sent(void **state)
{
	(void)state;
	need_private_net();
	/* EtherType II, raw 802.3, tagged, priority tagged, double tagged, of 0x9100, an inner tag that must stay; broadcast at the end */
	static const char *const types[] = {
	    "88b5", "0040ffff", "8100200588b5", "8100e00088b5", "88a800078100000988b5", "9100000788b5", "81000001810000028100000388b5",
	    "8137"};
	uint8_t frame[300];
	struct packet p;
	pair_up();
	struct tap *t = attach("na0", 1, "");
	int far = far_socket("nb0");
	assert_int_equal(tap_ifindex(t), if_nametoindex("na0"));
	assert_true(tap_fd(t, 0) >= 0);
	assert_int_equal(tap_fd(t, 1), -1);
	for (unsigned i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		static const uint8_t all[6] = {255, 255, 255, 255, 255, 255};
		uint32_t len = frame_make(frame, i == 7 ? all : else_mac, types[i], 60 + 30 * i);
		struct slab slab = slab_new(TAP_SLAB_MIN);
		far_send(far, frame, len);
		assert_int_equal(frames_in(t, 1, &slab, &p, 1, COMES), 1);
		assert_int_equal(p.verdict, DROP_NONE);
		assert_int_equal(p.len, len);
		assert_int_equal(p.room, len);
		assert_memory_equal(p.data, frame, len);
		assert_false(p.offload.csum || p.offload.gso);
		assert_true(p.data + p.len == slab.at);
	}
	close(far);
	tap_close(t);
	pair_down();
}

static void test_leaves_the_host_its_own(void **state)
{
	(void)state;
	need_private_net();
	uint8_t frame[100];
	struct packet p[8];
	pair_up();
	for (unsigned queues = 1; queues <= 2; queues++) {
		struct tap *t = attach("na0", queues, "");
		int far = far_socket("nb0"), host = far_socket("na0");
		struct slab slab = slab_new(2 * TAP_SLAB_MIN);
		/* To the interface's own MAC: for the host. */
		far_send(far, frame, frame_make(frame, near_mac, "88b5", 80));
		/* What the host itself sends there, and what we write. */
		far_send(host, frame, frame_make(frame, else_mac, "88b5", 81));
		struct packet out = {.data = frame, .len = frame_make(frame, far_mac, "8100000588b5", 82)};
		for (unsigned q = 0; q < 3; q++) { /* any queue may be written to, also by more workers than there are queues */
			tap_write(t, q, &out, 1);
			assert_int_equal(out.verdict, DROP_NONE);
		}
		assert_int_equal(frames_in(t, queues, &slab, p, 8, NOT), 0);
		/* Both came out at the far end. */
		assert_int_equal(far_next(far, COMES), 81);
		for (unsigned q = 0; q < 3; q++)
			assert_int_equal(far_next(far, COMES), 82 - 4); /* the tag beside it */
		assert_int_equal(far_next(far, NOT), -1);
		close(far);
		close(host);
		tap_close(t);
	}
	pair_down();
}

static void test_each_frame_comes_to_one_queue(void **state)
{
	(void)state;
	need_private_net();
	uint8_t frame[80];
	struct packet p[64];
	bool seen[40] = {false};
	unsigned of[3] = {0};
	pair_up();
	struct tap *t = attach("na0", 3, "ip");
	int far = far_socket("nb0");
	struct slab slab = slab_new(4 * TAP_SLAB_MIN);
	for (unsigned i = 0; i < 40; i++) {
		frame_make(frame, else_mac, "0800", 80);
		static const uint8_t ip[20] = {0x45, 0, 0, 66, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2};
		memcpy(frame + 14, ip, sizeof(ip));
		put16(frame + 34, 5000 + i);
		put16(frame + 36, 7);
		put16(frame + 38, 46);
		far_send(far, frame, 80);
	}
	for (int tries = 0; tries < COMES && of[0] + of[1] + of[2] < 40; tries++) {
		for (unsigned q = 0; q < 3; q++) {
			int n = tap_read(t, q, &slab, p, 64);
			assert_true(n >= 0);
			of[q] += (unsigned)n;
			for (int k = 0; k < n; k++) {
				unsigned i = get16(p[k].data + 34) - 5000;
				assert_true(i < 40 && !seen[i]);
				seen[i] = true;
			}
		}
		usleep(1000);
	}
	assert_int_equal(of[0] + of[1] + of[2], 40);
	assert_true(of[0] < 40 && of[1] < 40 && of[2] < 40);
	close(far);
	tap_close(t);
	pair_down();
}

static void test_filter(void **state)
{
	(void)state;
	need_private_net();
	uint8_t frame[100];
	struct packet p[4];
	const char *why = NULL;
	struct tap *t = NULL;
	pair_up();
	int far = far_socket("nb0");
	/* Nine of ten frames are refused; tags are seen although the kernel has taken them off. */
	static const struct {
		const char *filter, *types;
		bool passes;
	} cases[] = {
	    {"ether proto 0x88b5", "88b5", true},
	    {"ether proto 0x88b5", "88b6", false},
	    {"not ether proto 0x88b5", "88b5", false},
	    {"vlan 5", "8100000588b5", true},
	    {"vlan 5", "8100000688b5", false},
	    {"vlan 5", "88b5", false},
	    {"not vlan", "8100000588b5", false},
	    {"not vlan", "88b5", true},
	    {"vlan 7 and vlan 9", "88a800078100000988b5", true},
	    {"ether src 02:00:00:00:00:09", "88b5", true},
	    {"ether src 02:00:00:00:00:08", "88b5", false},
	};
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		t = attach("na0", 1 + i % 2, cases[i].filter);
		struct slab slab = slab_new(TAP_SLAB_MIN);
		far_send(far, frame, frame_make(frame, else_mac, cases[i].types, 90));
		unsigned got = frames_in(t, 1 + i % 2, &slab, p, 1, cases[i].passes ? COMES : NOT);
		if (got != cases[i].passes)
			fail_msg("\"%s\" on %s: %u frames", cases[i].filter, cases[i].types, got);
		if (got)
			assert_memory_equal(p[0].data, frame, 90);
		tap_close(t);
	}
	t = NULL;
	assert_int_equal(tap_attach(&t, "na0", 1, TAP_ALL, "port nowhere at all", &why), -EINVAL);
	assert_non_null(strstr(why, "filter: "));
	assert_null(t);
	assert_int_equal(nic_filter_check("na0", "not port 9999", &why), 0);
	assert_int_equal(nic_filter_check("absent0", "not port 9999", &why), 0);
	assert_int_equal(nic_filter_check("absent0", "", &why), 0);
	assert_int_equal(nic_filter_check("absent0", "not (port", &why), -EINVAL);
	assert_non_null(strstr(why, "syntax error"));
	close(far);
	pair_down();
}

/* A name server that never answers; the caller must not wait for it. */
static void test_filter_of_slow_names(void **state)
{
	(void)state;
	need_private_net();
	const char *why = NULL;
	struct timespec began, now;
	pair_up();
	shell("ip addr add 10.99.0.2/24 dev na0; ip neigh add 10.99.0.1 lladdr 02:00:00:00:00:0b dev na0 nud permanent");
	shell("echo nameserver 10.99.0.1 > /tmp/nic_test.resolv && mount --bind /tmp/nic_test.resolv /etc/resolv.conf && rm "
	      "/tmp/nic_test.resolv");
	clock_gettime(CLOCK_MONOTONIC, &began);
	assert_int_equal(nic_filter_check("na0", "host slow.example", &why), -EINVAL);
	clock_gettime(CLOCK_MONOTONIC, &now);
	assert_string_equal(why, "filter: looking up its names takes too long; write addresses and numbers");
	assert_true(now.tv_sec * 1000 + now.tv_nsec / 1000000 <
	            began.tv_sec * 1000 + began.tv_nsec / 1000000 + 8000);   /* the resolver alone would wait for ten */
	assert_int_equal(nic_filter_check("na0", "host 10.1.2.3", &why), 0); /* while the other one still waits */
	pair_down();
}

static void test_attach_refuses(void **state)
{
	(void)state;
	need_private_net();
	struct tap *t = NULL;
	const char *why = NULL;
	assert_int_equal(tap_attach(&t, "absent0", 1, TAP_ALL, "", &why), -ENODEV);
	assert_string_equal(why, "there is no interface absent0");
	assert_int_equal(tap_attach(&t, "lo", 1, TAP_ALL, "", &why), -EINVAL);
	assert_string_equal(why, "lo does not carry Ethernet frames");
	assert_int_equal(tap_attach(&t, "sixteen-letters-", 1, TAP_ALL, "", &why), -EINVAL);
	assert_null(t);
}

static void test_goes_and_comes(void **state)
{
	(void)state;
	need_private_net();
	uint8_t frame[80];
	struct packet p;
	uint64_t lost;
	pair_up();
	struct tap *t = attach("na0", 2, "");
	int far = far_socket("nb0");
	assert_int_equal(tap_attached(t, &lost), 0);
	shell("ip link set na0 down");
	assert_int_equal(tap_attached(t, &lost), -ENETDOWN);
	struct slab slab = slab_new(TAP_SLAB_MIN);
	assert_int_equal(frames_in(t, 2, &slab, &p, 1, NOT), 0);
	struct packet out = {.data = frame, .len = frame_make(frame, far_mac, "88b5", 80)};
	tap_write(t, 0, &out, 1);
	assert_int_equal(out.verdict, DROP_TAP_WRITE);
	shell("ip link set na0 up");
	carrier_wait("na0");
	carrier_wait("nb0");
	assert_int_equal(tap_attached(t, &lost), 0);
	far_send(far, frame, 80);
	assert_int_equal(frames_in(t, 2, &slab, &p, 1, COMES), 1);
	close(far);
	/* Deleted it is as silent as down; one of the same name is another one. */
	pair_down();
	slab = slab_new(TAP_SLAB_MIN);
	for (unsigned q = 0; q < 2; q++)
		for (unsigned i = 0; i < 2; i++)
			assert_int_equal(tap_read(t, q, &slab, &p, 1), 0);
	struct pollfd ready = {.fd = tap_fd(t, 0), .events = POLLIN};
	assert_int_equal(poll(&ready, 1, 0), 0);
	assert_int_equal(tap_attached(t, &lost), -ENODEV);
	pair_up();
	assert_int_equal(tap_attached(t, &lost), -ENODEV);
	tap_close(t);
	pair_down();
}

static void test_what_is_lost_is_told(void **state)
{
	(void)state;
	need_private_net();
	static uint8_t frame[1500];
	uint64_t lost;
	pair_up();
	struct tap *t = attach("na0", 1, "");
	int far = far_socket("nb0");
	frame_make(frame, else_mac, "88b5", sizeof(frame));
	for (unsigned i = 0; i < 6000; i++)
		while (send(far, frame, sizeof(frame), 0) < 0)
			usleep(100);
	assert_int_equal(tap_attached(t, &lost), 0);
	assert_true(lost > 0 && lost < 6000);
	uint64_t again;
	assert_int_equal(tap_attached(t, &again), 0);
	assert_int_equal(again, 0);
	close(far);
	tap_close(t);
	pair_down();
}

static void test_too_long_for_the_interface(void **state)
{
	(void)state;
	need_private_net();
	static uint8_t frame[2000];
	static struct made m;
	uint64_t lost;
	pair_up();
	struct tap *t = attach("na0", 1, "");
	static const struct {
		uint32_t len;
		const char *types;
		enum drop verdict;
	} cases[] = {
	    {1514, "88b5", DROP_NONE}, {1515, "88b5", DROP_FRAME_LONG}, {1518, "8100000588b5", DROP_NONE}, {13, "88b5", DROP_TAP_WRITE}};
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct packet out = {.data = frame, .len = frame_make(frame, far_mac, cases[i].types, cases[i].len)};
		tap_write(t, 0, &out, 1);
		assert_int_equal(out.verdict, cases[i].verdict);
	}
	for (unsigned tags = 0; tags < 3; tags++) {
		/* 1500 with 20 of IP and 32 of TCP; a byte more in each segment is one too many */
		for (uint16_t size = 1448; size <= 1449; size++) {
			frame_build(&m, (struct kind){.tags = tags}, false, 20000, size);
			struct packet out = {.data = m.bytes, .len = m.len, .offload = m.offload};
			tap_write(t, 0, &out, 1);
			assert_int_equal(out.verdict, size == 1448 ? DROP_NONE : DROP_FRAME_LONG);
		}
	}
	/* The interface's MTU is asked for again. */
	shell("ip link set na0 mtu 1600");
	assert_int_equal(tap_attached(t, &lost), 0);
	frame_build(&m, (struct kind){0}, false, 20000, 1449);
	struct packet out = {.data = m.bytes, .len = m.len, .offload = m.offload};
	tap_write(t, 0, &out, 1);
	assert_int_equal(out.verdict, DROP_NONE);
	tap_close(t);
	pair_down();
}

/* From one port over the cable into another: what the kernel is told of a superframe is what it tells. */
static void test_superframes_cross_as_they_are(void **state)
{
	(void)state;
	need_private_net();
	static struct made m;
	pair_up();
	/* What our own device was granted, an interface can do. */
	struct tap *own = opened("ta0", 1, 1500, TAP_ALL), *a = NULL, *b = attach("nb0", 1, "");
	const char *why;
	assert_int_equal(tap_attach(&a, "na0", 1, tap_offloads(own), "", &why), 0);
	assert_int_equal(tap_offloads(a), tap_offloads(own));
	for (unsigned i = 0; i < 8; i++) {
		struct kind k = {.v6 = i & 1, .udp = i >> 1 & 1, .tags = i >> 2};
		struct slab slab = slab_new(TAP_SLAB_MIN);
		struct packet p;
		frame_build(&m, k, false, 30000, 1200);
		struct packet out = {.data = m.bytes, .len = m.len, .offload = m.offload};
		tap_write(a, 0, &out, 1);
		if (k.udp && !(tap_offloads(a) & TAP_USO)) {
			assert_int_equal(out.verdict, DROP_TAP_WRITE);
			continue;
		}
		assert_int_equal(out.verdict, DROP_NONE);
		assert_int_equal(frames_in(b, 1, &slab, &p, 1, COMES), 1);
		assert_int_equal(p.verdict, DROP_NONE);
		assert_int_equal(p.len, m.len);
		assert_memory_equal(p.data, m.bytes, m.len);
		assert_int_equal(p.offload.gso, m.offload.gso);
		assert_int_equal(p.offload.size, 1200);
		assert_true(p.offload.csum);
		assert_int_equal(p.offload.csum_start, m.l4);
		assert_int_equal(p.offload.csum_offset, m.offload.csum_offset);
	}
	tap_close(own);
	tap_close(a);
	tap_close(b);
	pair_down();
}

/* ---- two stacks ------------------------------------------------------------------------------------------------- */

#define STREAM_BYTES (6 << 20)

static uint8_t stream_byte(size_t i)
{
	return (uint8_t)(i * 31 + (i >> 9));
}

/* In the child's namespace: listens and reads the stream, or connects and writes it. Ends the child. */
static void child_stream(bool listens)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(7000), .sin_addr.s_addr = inet_addr("10.44.0.2")};
	static uint8_t block[65536];
	int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;
	size_t done = 0;
	alarm(60);
	if (listens) {
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
		if (bind(fd, (struct sockaddr *)&at, sizeof(at)) || listen(fd, 1))
			_exit(10);
		fd = accept(fd, NULL, NULL);
		for (ssize_t n; done < STREAM_BYTES && (n = read(fd, block, sizeof(block))) > 0; done += (size_t)n)
			for (ssize_t i = 0; i < n; i++)
				if (block[i] != stream_byte(done + (size_t)i))
					_exit(11);
		_exit(done == STREAM_BYTES && write(fd, "!", 1) == 1 ? 0 : 12);
	}
	for (int tries = 0; connect(fd, (struct sockaddr *)&at, sizeof(at)); tries++) {
		if (tries == 100)
			_exit(13);
		usleep(50000);
		close(fd);
		fd = socket(AF_INET, SOCK_STREAM, 0);
	}
	while (done < STREAM_BYTES) {
		for (size_t i = 0; i < sizeof(block); i++)
			block[i] = stream_byte(done + i);
		size_t part = 0;
		for (ssize_t n; part < sizeof(block) && (n = write(fd, block + part, sizeof(block) - part)) > 0;)
			part += (size_t)n;
		if (part < sizeof(block))
			_exit(14);
		done += part;
	}
	_exit(read(fd, block, 1) == 1 ? 0 : 15);
}

/* A process in a namespace of its own, to which dev is moved as e0. */
static pid_t stack_new(const char *dev, unsigned number)
{
	char command[256], byte;
	int ready[2], go[2];
	assert_true(pipe(ready) == 0 && pipe(go) == 0);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		if (unshare(CLONE_NEWNET) || write(ready[1], "r", 1) != 1 || read(go[0], &byte, 1) != 1)
			_exit(20);
		snprintf(command, sizeof(command), "ip link set %s name e0 && ip link set e0 up && ip addr add 10.44.0.%u/24 dev e0", dev,
		         number);
		if (system(command))
			_exit(21);
		child_stream(number == 2);
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	snprintf(command, sizeof(command), "ip link set %s netns %d", dev, (int)pid);
	shell(command);
	assert_int_equal(write(go[1], "g", 1), 1);
	close(ready[0]), close(ready[1]), close(go[0]), close(go[1]);
	return pid;
}

/* VLAN 5, in front of the frame or taken from there. */
static void tag_turn(struct packet *p, bool on)
{
	static const uint8_t tag[4] = {0x81, 0, 0, 5};
	if (on) {
		memmove(p->data - 4, p->data, 12);
		memcpy(p->data + 8, tag, 4);
		p->data -= 4;
		p->len += 4;
		p->offload.csum_start = (uint16_t)(p->offload.csum_start + (p->offload.csum ? 4 : 0));
	} else {
		assert_memory_equal(p->data + 12, tag, 4);
		memmove(p->data + 4, p->data, 12);
		p->data += 4;
		p->len -= 4;
		p->offload.csum_start = (uint16_t)(p->offload.csum_start - (p->offload.csum ? 4 : 0));
	}
}

enum turn { AS_IT_IS, TAG, UNTAG };

/* Hands frames from one port to the other; counts superframes. */
static unsigned carry(struct tap *from, struct tap *to, unsigned queues, enum turn turn)
{
	static uint8_t bytes[8 * TAP_SLAB_MIN];
	struct packet p[4];
	unsigned super = 0;
	for (unsigned q = 0; q < queues; q++)
		for (int n = 1; n;) {
			struct slab slab = {.at = bytes + 64, .room = sizeof(bytes) - 64};
			/* One by one: a tag needs the four bytes before the frame. */
			n = tap_read(from, q, &slab, p, 1);
			assert_true(n >= 0);
			if (n && p->verdict == DROP_NONE && turn)
				tag_turn(p, turn == TAG);
			super += n && p->verdict == DROP_NONE && p->offload.gso;
			tap_write(to, q, p, (unsigned)n);
			if (n && p->verdict != DROP_NONE)
				print_message("lost: %s, %u bytes\n", drop_name(p->verdict), p->len);
		}
	return super;
}

static void conversation(unsigned queues, bool tagged)
{
	shell(
	    "ip link add na0 type veth peer name pa && ip link add nb0 type veth peer name pb && ip link add nc0 type veth peer name nd0");
	shell("for d in na0 nb0 nc0 nd0; do sysctl -qw net.ipv6.conf.$d.disable_ipv6=1; ip link set $d up; done");
	struct tap *a = attach("na0", queues, ""), *b = attach("nb0", queues, ""), *c = attach("nc0", queues, ""),
		   *d = attach("nd0", queues, "");
	pid_t pid[2] = {stack_new("pa", 1), stack_new("pb", 2)};
	unsigned super = 0, alive = 2;
	struct timespec began, now;
	clock_gettime(CLOCK_MONOTONIC, &began);
	do {
		if (tagged) {
			super += carry(a, c, queues, TAG) + carry(b, d, queues, TAG);
			carry(c, a, queues, UNTAG), carry(d, b, queues, UNTAG);
		} else {
			super += carry(a, b, queues, AS_IT_IS) + carry(b, a, queues, AS_IT_IS);
		}
		usleep(20);
		for (int i = 0, status; i < 2; i++)
			if (pid[i] && waitpid(pid[i], &status, WNOHANG) == pid[i]) {
				assert_true(WIFEXITED(status));
				assert_int_equal(WEXITSTATUS(status), 0);
				pid[i] = 0;
				alive--;
			}
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while (alive && now.tv_sec - began.tv_sec < 25);
	double s = (double)(now.tv_sec - began.tv_sec) + (double)(now.tv_nsec - began.tv_nsec) / 1e9;
	print_message("%u queues%s: %u superframes, %.2f s\n", queues, tagged ? ", tagged" : "", super, s);
	assert_int_equal(alive, 0);
	/* 6 MiB would be 4 345 plain frames. */
	assert_true(super > 20 && super < 3000);
	tap_close(a), tap_close(b), tap_close(c), tap_close(d);
	shell("for d in nc0 na0 nb0; do ip link del $d 2>/dev/null; done; true");
}

static void test_superframes_pass(void **state)
{
	(void)state;
	need_private_net();
	conversation(1, false);
	conversation(1, true);
	conversation(2, false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_reads_frames_as_they_were_sent),
	    cmocka_unit_test(test_leaves_the_host_its_own),
	    cmocka_unit_test(test_each_frame_comes_to_one_queue),
	    cmocka_unit_test(test_filter),
	    cmocka_unit_test(test_filter_of_slow_names),
	    cmocka_unit_test(test_attach_refuses),
	    cmocka_unit_test(test_goes_and_comes),
	    cmocka_unit_test(test_what_is_lost_is_told),
	    cmocka_unit_test(test_too_long_for_the_interface),
	    cmocka_unit_test(test_superframes_cross_as_they_are),
	    cmocka_unit_test(test_superframes_pass),
	};
	return cmocka_run_group_tests(tests, private_net, NULL);
}
