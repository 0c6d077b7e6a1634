/* Real TAP devices and rtnetlink in a network namespace of this program's own; without root every
 * test is skipped. What was set is read back by other means than those that set it: ioctls,
 * getifaddrs, /proc/net, packet sockets. */
#include "tap/netlink.h"
#include "tap/tap.h"
#include "tap_bed.h"

#include <errno.h>
#include <ifaddrs.h>
#include <net/if_arp.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static struct ifreq device_get(const char *name, unsigned long op)
{
	struct ifreq r;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	memset(&r, 0, sizeof(r));
	snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", name);
	assert_true(fd >= 0);
	assert_int_equal(ioctl(fd, op, &r), 0);
	close(fd);
	return r;
}

/* A packet socket on the device that hears broadcast 0x88b5 of others. */
static int listener(const char *name)
{
	struct sockaddr_ll at = {.sll_family = AF_PACKET, .sll_protocol = htons(0x88b5), .sll_ifindex = (int)if_nametoindex(name)};
	const struct timeval patience = {.tv_sec = 1};
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0 && bind(fd, (struct sockaddr *)&at, sizeof(at)) == 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)), 0);
	return fd;
}

static uint32_t frame_make(uint8_t *f, uint8_t mark, uint32_t len)
{
	memset(f, 0xff, 6);
	memcpy(f + 6, (const uint8_t[]){2, 0, 0, 0, 0, 9, 0x88, 0xb5}, 8);
	for (uint32_t i = 14; i < len; i++)
		f[i] = (uint8_t)(mark + i);
	return len;
}

/* Reads from all queues until n frames of 0x88b5 came (the kernel's own neighbour chatter is
 * skipped) or a second went. */
static unsigned frames_read(struct tap *t, unsigned queues, struct slab *slab, struct packet *ret, unsigned n)
{
	unsigned got = 0;
	for (int tries = 0; tries < 1000 && got < n; tries++) {
		for (unsigned q = 0; q < queues && got < n; q++) {
			struct slab before = *slab;
			int r = tap_read(t, q, slab, ret + got, 1);
			assert_true(r >= 0);
			if (r == 1 && ret[got].data[12] == 0x88 && ret[got].data[13] == 0xb5)
				got++;
			else
				*slab = before;
		}
		if (got < n)
			usleep(1000);
	}
	return got;
}

static void test_open_sets_what_was_asked(void **state)
{
	(void)state;
	need_private_net();
	struct tap *t = opened("ta0", 2, 2800, TAP_ALL);
	assert_int_equal(tap_ifindex(t), if_nametoindex("ta0"));
	struct ifreq r = device_get("ta0", SIOCGIFHWADDR);
	assert_int_equal(r.ifr_hwaddr.sa_family, ARPHRD_ETHER);
	assert_memory_equal(r.ifr_hwaddr.sa_data, own_mac, 6);
	assert_int_equal(device_get("ta0", SIOCGIFMTU).ifr_mtu, 2800);
	assert_false(device_get("ta0", SIOCGIFFLAGS).ifr_flags & IFF_UP);
	assert_int_equal(tap_up(t, true), 0);
	assert_true(device_get("ta0", SIOCGIFFLAGS).ifr_flags & IFF_UP);
	assert_int_equal(tap_up(t, true), 0);
	assert_int_equal(tap_set_mtu(t, 1500), 0);
	assert_int_equal(device_get("ta0", SIOCGIFMTU).ifr_mtu, 1500);
	assert_true(tap_fd(t, 0) >= 0 && tap_fd(t, 1) >= 0 && tap_fd(t, 0) != tap_fd(t, 1));
	assert_int_equal(tap_fd(t, 2), -1);
	assert_int_equal(tap_up(t, false), 0);
	assert_false(device_get("ta0", SIOCGIFFLAGS).ifr_flags & IFF_UP);
	/* The administrator may rename it; we follow. */
	shell("ip link set ta0 name tb0");
	assert_int_equal(tap_set_mtu(t, 1400), 0);
	assert_int_equal(device_get("tb0", SIOCGIFMTU).ifr_mtu, 1400);
	tap_close(t);
	assert_int_equal(if_nametoindex("tb0"), 0);
}

static void test_open_refuses(void **state)
{
	(void)state;
	need_private_net();
	struct tap *t = opened("ta0", 1, 1500, TAP_ALL), *other = NULL;
	char name[TAP_NAME_MAX] = "kept";
	assert_int_equal(tap_open(&other, "ta0", 1, own_mac, 1500, TAP_ALL, name), -EBUSY);
	assert_non_null(strstr(tap_why(-EBUSY), "name"));
	assert_int_equal(tap_open(&other, "sixteen-letters-", 1, own_mac, 1500, TAP_ALL, name), -ENAMETOOLONG);
	assert_int_equal(tap_open(&other, "a/b", 1, own_mac, 1500, TAP_ALL, name), -EINVAL);
	assert_int_equal(tap_open(&other, "tc0", 0, own_mac, 1500, TAP_ALL, name), -E2BIG);
	assert_int_equal(tap_open(&other, "tc0", TAP_QUEUES_MAX + 1, own_mac, 1500, TAP_ALL, name), -E2BIG);
	const uint8_t group[6] = {0x03, 0, 0, 0, 0, 1};
	assert_int_equal(tap_open(&other, "tc0", 1, group, 1500, TAP_ALL, name), -EADDRNOTAVAIL);
	assert_int_equal(tap_open(&other, "tc0", 1, own_mac, 10, TAP_ALL, name), -EINVAL);
	assert_int_equal(if_nametoindex("tc0"), 0);
	assert_null(other);
	assert_string_equal(name, "kept");
	assert_int_equal(tap_open(&other, "", TAP_QUEUES_MAX, own_mac, 1500, TAP_ALL, name), 0);
	assert_string_not_equal(name, "");
	assert_int_equal(tap_ifindex(other), if_nametoindex(name));
	tap_close(other);
	tap_close(t);
	tap_close(NULL);
}

static void test_open_says_why_not(void **state)
{
	(void)state;
	need_private_net();
	struct tap *t = NULL;
	char name[TAP_NAME_MAX];
	/* No /dev/net/tun: an empty file system over it, seen by us alone. */
	assert_int_equal(mount("none", "/dev/net", "tmpfs", 0, NULL), 0);
	int err = tap_open(&t, "td0", 1, own_mac, 1500, TAP_ALL, name);
	assert_int_equal(umount("/dev/net"), 0);
	assert_int_equal(err, -ENOENT);
	assert_non_null(strstr(tap_why(err), "modprobe tun"));
	/* No capability. */
	pid_t child = fork();
	if (child == 0) {
		if (setgid(65534) < 0 || setuid(65534) < 0)
			_exit(100);
		err = tap_open(&t, "td0", 1, own_mac, 1500, TAP_ALL, name);
		_exit(err == -EPERM && strstr(tap_why(err), "CAP_NET_ADMIN")   ? 0
		      : err == -EACCES && strstr(tap_why(err), "/dev/net/tun") ? 0
		                                                               : 1);
	}
	int status = -1;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	for (int e = 1; e < 140; e++)
		assert_true(strlen(tap_why(-e)) > 3);
	assert_non_null(tap_why(-9999));
}

static void test_frames_out(void **state)
{
	(void)state;
	need_private_net();
	enum { QUEUES = 2, FRAMES = 40 };
	static uint8_t sent[1600];
	struct packet p[FRAMES] = {0};
	struct slab slab = slab_new(8 * TAP_SLAB_MIN);
	struct tap *t = opened("te0", QUEUES, 1500, TAP_ALL);
	assert_int_equal(tap_read(t, QUEUES, &slab, p, 1), -EINVAL);
	assert_int_equal(tap_up(t, true), 0);
	int ps = listener("te0");
	for (unsigned i = 0; i < FRAMES; i++) {
		uint32_t len = frame_make(sent, (uint8_t)i, 14 + i * 38);
		assert_int_equal(send(ps, sent, len, 0), len);
		p[i] = (struct packet){.verdict = DROP_SEND, .tails = 3, .offload = {.csum = true}};
	}
	/* One flow keeps its order and its queue; the length is the sender's. */
	assert_int_equal(frames_read(t, QUEUES, &slab, p, FRAMES), FRAMES);
	for (unsigned i = 0; i < FRAMES; i++) {
		uint32_t len = frame_make(sent, (uint8_t)i, 14 + i * 38);
		assert_int_equal(p[i].len, len);
		assert_int_equal(p[i].room, len);
		assert_int_equal(p[i].verdict, DROP_NONE);
		assert_int_equal(p[i].tails, 0);
		assert_false(p[i].offload.csum || p[i].offload.gso);
		assert_int_equal((uintptr_t)p[i].data % 16, 0);
		assert_memory_equal(p[i].data, sent, len);
	}
	assert_ptr_equal(slab.at, p[FRAMES - 1].data + p[FRAMES - 1].len);
	/* A slab without room for whatever may come brings nothing; the frame waits. */
	frame_make(sent, 1, 200);
	assert_int_equal(send(ps, sent, 200, 0), 200);
	slab = slab_new(TAP_SLAB_MIN - 1);
	assert_int_equal(frames_read(t, QUEUES, &slab, p, 1), 0);
	assert_int_equal(slab.room, TAP_SLAB_MIN - 1);
	slab = slab_new(TAP_SLAB_MIN);
	assert_int_equal(frames_read(t, QUEUES, &slab, p, 1), 1);
	assert_int_equal(p[0].len, 200);
	assert_memory_equal(p[0].data, sent, 200);
	assert_true(slab.room < TAP_SLAB_MIN - 200);
	/* Above the MTU it is the sender who hears of it. */
	errno = 0;
	assert_int_equal(send(ps, sent, 1515, 0), -1);
	assert_int_equal(errno, EMSGSIZE);
	close(ps);
	tap_close(t);
}

static void test_frames_in(void **state)
{
	(void)state;
	need_private_net();
	static uint8_t frames[4][1600], got[1600];
	struct packet p[4];
	struct tap *t = opened("tf0", 2, 1500, TAP_ALL);
	for (unsigned i = 0; i < 4; i++)
		p[i] = (struct packet){.data = frames[i], .len = frame_make(frames[i], (uint8_t)(7 * i), 60 + 400 * i), .room = 1600};
	tap_write(t, 0, p, 1);
	assert_int_equal(p[0].verdict, DROP_TAP_WRITE); /* down */
	assert_int_equal(tap_up(t, true), 0);
	int ps = listener("tf0");
	p[0].verdict = DROP_NONE;
	p[1].verdict = DROP_AEAD;
	p[2].len = 13;
	tap_write(t, 1, p, 4);
	assert_int_equal(p[0].verdict, DROP_NONE);
	assert_int_equal(p[1].verdict, DROP_AEAD);
	assert_int_equal(p[2].verdict, DROP_TAP_WRITE);
	assert_int_equal(p[3].verdict, DROP_NONE);
	assert_int_equal(recv(ps, got, sizeof(got), 0), p[0].len);
	assert_memory_equal(got, frames[0], p[0].len);
	assert_int_equal(recv(ps, got, sizeof(got), 0), p[3].len);
	assert_memory_equal(got, frames[3], p[3].len);
	assert_int_equal(recv(ps, got, sizeof(got), MSG_DONTWAIT), -1);
	close(ps);
	tap_close(t);
}

static void test_device_gone(void **state)
{
	(void)state;
	need_private_net();
	uint8_t buffer[2000];
	struct packet p = {.data = buffer, .room = sizeof(buffer), .len = frame_make(buffer, 0, 60)};
	struct slab slab = slab_new(TAP_SLAB_MIN);
	struct tap *t = opened("tg0", 1, 1500, TAP_ALL);
	shell("ip link del tg0");
	int r = tap_read(t, 0, &slab, &p, 1);
	assert_int_equal(r, -EBADFD);
	assert_non_null(strstr(tap_why(r), "deleted"));
	tap_write(t, 0, &p, 1);
	assert_int_equal(p.verdict, DROP_TAP_WRITE);
	assert_true(tap_up(t, true) < 0);
	tap_close(t);
}

/* ---- netlink ---- */

/* How often the interface has the address, with this prefix; IPv4 also with that broadcast address
 * (NULL = none). */
static unsigned addresses_seen(const char *name, int family, const void *ip, unsigned bits, const void *broadcast)
{
	struct ifaddrs *all, *a;
	unsigned seen = 0;
	assert_int_equal(getifaddrs(&all), 0);
	for (a = all; a; a = a->ifa_next) {
		if (strcmp(a->ifa_name, name) || !a->ifa_addr || a->ifa_addr->sa_family != family)
			continue;
		size_t at = family == AF_INET ? offsetof(struct sockaddr_in, sin_addr) : offsetof(struct sockaddr_in6, sin6_addr);
		size_t bytes = family == AF_INET ? 4 : 16;
		const uint8_t *mask = (const uint8_t *)a->ifa_netmask + at;
		unsigned set = 0;
		for (size_t i = 0; i < bytes; i++)
			set += (unsigned)__builtin_popcount(mask[i]);
		if (memcmp((const uint8_t *)a->ifa_addr + at, ip, bytes) || set != bits)
			continue;
		if (broadcast && memcmp((const uint8_t *)a->ifa_broadaddr + at, broadcast, 4))
			continue;
		seen++;
	}
	freeifaddrs(all);
	return seen;
}

static void test_addresses(void **state)
{
	(void)state;
	need_private_net();
	static const uint8_t v4[4] = {10, 77, 3, 9}, broadcast[4] = {10, 77, 7, 255}, v6[16] = {0xfd, 1, 2, 3, [15] = 9};
	struct netlink *n;
	struct tap *t = opened("na0", 1, 1500, TAP_ALL);
	unsigned at = tap_ifindex(t);
	assert_int_equal(netlink_open(&n), 0);
	assert_int_equal(tap_up(t, true), 0);
	for (int twice = 0; twice < 2; twice++) {
		assert_int_equal(netlink_address(n, true, at, 4, v4, 21), 0);
		assert_int_equal(netlink_address(n, true, at, 6, v6, 64), 0);
		assert_int_equal(addresses_seen("na0", AF_INET, v4, 21, broadcast), 1);
		assert_int_equal(addresses_seen("na0", AF_INET6, v6, 64, NULL), 1);
	}
	/* No duplicate address detection: it can be bound at once. */
	struct sockaddr_in6 bound = {.sin6_family = AF_INET6};
	memcpy(&bound.sin6_addr, v6, 16);
	int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&bound, sizeof(bound)), 0);
	close(fd);
	assert_int_equal(netlink_address(n, true, at, 6, v6, 48), -EEXIST);
	assert_int_equal(netlink_address(n, true, at, 4, v4, 33), -EINVAL);
	assert_int_equal(netlink_address(n, true, at, 6, v6, 129), -EINVAL);
	assert_int_equal(netlink_address(n, true, at, 5, v6, 8), -EINVAL);
	assert_int_equal(netlink_address(n, true, 99999, 4, v4, 21), -ENODEV);
	for (int twice = 0; twice < 2; twice++) {
		assert_int_equal(netlink_address(n, false, at, 4, v4, 21), 0);
		assert_int_equal(netlink_address(n, false, at, 6, v6, 64), 0);
		assert_int_equal(addresses_seen("na0", AF_INET, v4, 21, NULL), 0);
		assert_int_equal(addresses_seen("na0", AF_INET6, v6, 64, NULL), 0);
	}
	tap_close(t);
	assert_int_equal(netlink_address(n, false, at, 4, v4, 21), 0);
	netlink_close(n);
	netlink_close(NULL);
}

/* Lines of the file that hold every one of the words. */
static unsigned lines_with(const char *path, const char *a, const char *b, const char *c)
{
	char line[512];
	unsigned n = 0;
	FILE *f = fopen(path, "r");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f))
		n += strstr(line, a) && strstr(line, b) && strstr(line, c);
	fclose(f);
	return n;
}

static void test_routes(void **state)
{
	(void)state;
	need_private_net();
	static const uint8_t v4[4] = {10, 78, 0, 1}, net4[4] = {192, 0, 2, 0}, via4[4] = {10, 78, 0, 2}, via4b[4] = {10, 78, 0, 3};
	static const uint8_t v6[16] = {0xfd, 7, [15] = 1}, net6[16] = {0xfd, 9}, via6[16] = {0xfd, 7, [15] = 2}, zero[16] = {0};
	struct netlink *n;
	struct tap *t = opened("nr0", 1, 1500, TAP_ALL), *foreign = opened("nr1", 1, 1500, TAP_ALL);
	unsigned at = tap_ifindex(t), away = tap_ifindex(foreign);
	assert_int_equal(netlink_open(&n), 0);
	assert_int_equal(tap_up(t, true), 0);
	assert_int_equal(tap_up(foreign, true), 0);
	assert_int_equal(netlink_address(n, true, at, 4, v4, 24), 0);
	assert_int_equal(netlink_address(n, true, at, 6, v6, 64), 0);
	for (int twice = 0; twice < 2; twice++) {
		assert_int_equal(netlink_route(n, true, at, 4, net4, 24, via4, 50), 0);
		assert_int_equal(netlink_route(n, true, at, 6, net6, 32, via6, 50), 0);
		assert_int_equal(netlink_route(n, true, at, 6, net6, 40, NULL, 0), 0);
		assert_int_equal(netlink_route(n, true, at, 4, zero, 0, via4, 70), 0);
	}
	assert_int_equal(lines_with("/proc/self/net/route", "nr0\t000200C0\t02004E0A", "\t50\t", "00FFFFFF"), 1);
	assert_int_equal(lines_with("/proc/self/net/route", "nr0\t00000000\t02004E0A", "\t70\t", "00000000"), 1);
	assert_int_equal(lines_with("/proc/self/net/ipv6_route", "fd090000000000000000000000000000 20 ",
	                            "fd070000000000000000000000000002 00000032", "nr0"),
	                 1);
	/* The same target and metric another way is somebody else's. */
	assert_int_equal(netlink_route(n, true, at, 4, net4, 24, via4b, 50), -EEXIST);
	assert_int_equal(netlink_route(n, true, away, 4, net4, 24, NULL, 50), -EEXIST);
	assert_int_equal(netlink_route(n, true, away, 6, net6, 32, NULL, 50), -EEXIST);
	/* Ours of another metric does not make a foreign one ours. */
	shell("ip route add 192.0.2.0/24 dev nr1 metric 51");
	assert_int_equal(netlink_route(n, true, at, 4, net4, 24, via4, 51), -EEXIST);
	assert_int_equal(netlink_route(n, true, at, 4, via4, 24, NULL, 0), -EINVAL);
	assert_int_equal(netlink_route(n, true, at, 6, via6, 64, NULL, 0), -EINVAL);
	assert_int_equal(netlink_route(n, true, at, 4, net4, 25, (const uint8_t[]){203, 0, 113, 1}, 0), -ENETUNREACH);
	for (int twice = 0; twice < 2; twice++) {
		assert_int_equal(netlink_route(n, false, at, 4, net4, 24, via4, 50), 0);
		assert_int_equal(netlink_route(n, false, at, 6, net6, 32, via6, 50), 0);
		assert_int_equal(netlink_route(n, false, at, 6, net6, 40, NULL, 0), 0);
		assert_int_equal(netlink_route(n, false, at, 4, zero, 0, via4, 70), 0);
	}
	assert_int_equal(lines_with("/proc/self/net/route", "02004E0A", "", ""), 0);
	assert_int_equal(lines_with("/proc/self/net/ipv6_route", "fd0900", "nr0", ""), 0);
	netlink_close(n);
	tap_close(t);
	tap_close(foreign);
}

static void test_link(void **state)
{
	(void)state;
	need_private_net();
	static const uint8_t mac[6] = {0x02, 9, 8, 7, 6, 5};
	struct netlink *n;
	struct tap *t = opened("nl0", 1, 1500, TAP_ALL);
	unsigned at = tap_ifindex(t);
	assert_int_equal(netlink_open(&n), 0);
	assert_int_equal(netlink_link_mac(n, at, mac), 0);
	assert_memory_equal(device_get("nl0", SIOCGIFHWADDR).ifr_hwaddr.sa_data, mac, 6);
	assert_int_equal(netlink_link_mtu(n, at, 1280), 0);
	assert_int_equal(device_get("nl0", SIOCGIFMTU).ifr_mtu, 1280);
	assert_int_equal(netlink_link_up(n, at, true), 0);
	assert_true(device_get("nl0", SIOCGIFFLAGS).ifr_flags & IFF_UP);
	assert_int_equal(netlink_link_up(n, at, false), 0);
	assert_false(device_get("nl0", SIOCGIFFLAGS).ifr_flags & IFF_UP);
	assert_int_equal(netlink_link_mtu(n, at, 10), -EINVAL);
	assert_int_equal(netlink_link_up(n, 99999, true), -ENODEV);
	netlink_close(n);
	tap_close(t);
}

static void test_hosts(void **state)
{
	(void)state;
	need_private_net();
	struct netlink *n;
	struct endpoint e[16];
	uint16_t mtu[16];
	struct tap *t = opened("nh0", 1, 1500, TAP_ALL);
	assert_int_equal(tap_up(t, true), 0);
	assert_int_equal(netlink_open(&n), 0);
	shell("ip link set lo up && ip link add ha type veth peer name hb && ip link set ha mtu "
	      "1400 && ip link set ha up && ip link set hb up");
	shell("ip addr add 10.5.0.1/24 dev ha && ip addr add 169.254.3.3/16 dev ha && ip -6 addr "
	      "add 2001:db8::5/64 dev ha nodad");
	shell("ip -6 addr add 2001:db8::6/64 dev ha nodad preferred_lft 0");
	shell("ip addr add 10.6.0.1/24 dev hb && ip addr add 10.9.0.1/24 dev nh0 && ip -6 addr add "
	      "fd99::1/64 dev nh0 nodad");
	shell("ip -6 addr add 2001:db8::7/64 dev hb"); /* tentative for about a second */
	int count = netlink_hosts(n, NULL, 0, e, mtu, 16);
	assert_int_equal(count, 3);
	for (int i = 0; i < count; i++) {
		bool five = e[i].family == 4 && !memcmp(e[i].ip, (const uint8_t[16]){10, 5, 0, 1}, 16);
		bool six = e[i].family == 4 && !memcmp(e[i].ip, (const uint8_t[16]){10, 6, 0, 1}, 16);
		bool v6 = e[i].family == 6 && !memcmp(e[i].ip, (const uint8_t[16]){0x20, 1, 0x0d, 0xb8, [15] = 5}, 16);
		assert_int_equal(five + six + v6, 1);
		assert_int_equal(e[i].port, 0);
		assert_int_equal(mtu[i], six ? 1500 : 1400);
	}
	const unsigned skip[] = {if_nametoindex("ha"), 12345};
	assert_int_equal(netlink_hosts(n, skip, 2, e, NULL, 16), 1);
	assert_int_equal(e[0].ip[1], 6);
	assert_int_equal(netlink_hosts(n, NULL, 0, e, mtu, 2), 2);
	assert_int_equal(netlink_hosts(n, NULL, 0, e, mtu, 0), 0);
	shell("ip link set hb down"); /* its peer loses carrier with it */
	assert_int_equal(netlink_hosts(n, NULL, 0, e, mtu, 16), 0);
	shell("ip link del ha");
	netlink_close(n);
	tap_close(t);
}

static void test_monitor(void **state)
{
	(void)state;
	need_private_net();
	static const uint8_t v4[4] = {10, 79, 0, 1};
	struct netlink *n;
	assert_int_equal(netlink_open(&n), 0);
	struct tap *t = opened("nm0", 1, 1500, TAP_ALL);
	struct pollfd p = {.fd = netlink_monitor_fd(n), .events = POLLIN};
	assert_int_equal(poll(&p, 1, 5000), 1);
	assert_true(netlink_changed(n));
	assert_false(netlink_changed(n));
	assert_int_equal(poll(&p, 1, 0), 0);
	assert_int_equal(netlink_address(n, true, tap_ifindex(t), 4, v4, 24), 0);
	assert_int_equal(poll(&p, 1, 5000), 1);
	assert_true(netlink_changed(n));
	assert_false(netlink_changed(n));
	tap_close(t);
	assert_true(netlink_changed(n));
	netlink_close(n);
}

/* More than the socket holds: everything changed, and what comes later is told again. */
static void test_monitor_overrun(void **state)
{
	(void)state;
	need_private_net();
	struct netlink *n;
	struct tap *t = opened("nm2", 1, 1500, TAP_ALL);
	assert_int_equal(netlink_open(&n), 0);
	struct pollfd p = {.fd = netlink_monitor_fd(n), .events = POLLIN};
	for (unsigned i = 0; i < 4000 && !(p.revents & POLLERR); i++) {
		const uint8_t ip[4] = {10, 81, (uint8_t)(i >> 7), (uint8_t)(i << 1)};
		assert_int_equal(netlink_address(n, true, tap_ifindex(t), 4, ip, 32), 0);
		assert_int_equal(netlink_address(n, false, tap_ifindex(t), 4, ip, 32), 0);
		assert_int_equal(poll(&p, 1, 0), 1);
	}
	assert_true(p.revents & POLLERR);
	unsigned changed = 0, more;
	while ((more = netlink_changed(n)))
		changed |= more;
	assert_int_equal(changed, NETLINK_HOSTS | NETLINK_ROUTES | NETLINK_GROUPS);
	assert_int_equal(poll(&p, 1, 0), 0);
	static const uint8_t v4[4] = {10, 82, 0, 1};
	assert_int_equal(netlink_address(n, true, tap_ifindex(t), 4, v4, 32), 0);
	assert_int_equal(poll(&p, 1, 5000), 1);
	assert_true(netlink_changed(n) & NETLINK_HOSTS);
	tap_close(t);
	netlink_close(n);
}

/* An IP group joined or left is told as such and alone, where the kernel tells it at all. */
static void test_monitor_groups(void **state)
{
	(void)state;
	need_private_net();
	struct utsname kernel;
	unsigned major = 0, minor = 0;
	struct netlink *n;
	struct tap *t = opened("nm1", 1, 1500, TAP_ALL);
	static const uint8_t v4[4] = {10, 80, 0, 1};
	assert_int_equal(uname(&kernel), 0);
	assert_int_equal(sscanf(kernel.release, "%u.%u", &major, &minor), 2);
	assert_int_equal(netlink_open(&n), 0);
	assert_int_equal(netlink_address(n, true, tap_ifindex(t), 4, v4, 24), 0);
	assert_int_equal(tap_up(t, true), 0);
	usleep(100 * 1000); /* what the device says of itself when it comes up */
	netlink_changed(n);
	unsigned want = major > 6 || (major == 6 && minor >= 14) ? NETLINK_GROUPS : 0;
	int four = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), six = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ip_mreqn m4 = {.imr_ifindex = (int)tap_ifindex(t), .imr_multiaddr.s_addr = htonl(0xefff0101)};
	struct ipv6_mreq m6 = {.ipv6mr_interface = tap_ifindex(t), .ipv6mr_multiaddr.s6_addr = {0xff, 0x15, [15] = 9}};
	assert_int_equal(setsockopt(four, IPPROTO_IP, IP_ADD_MEMBERSHIP, &m4, sizeof(m4)), 0);
	assert_int_equal(netlink_changed(n), want);
	assert_int_equal(setsockopt(six, IPPROTO_IPV6, IPV6_ADD_MEMBERSHIP, &m6, sizeof(m6)), 0);
	assert_int_equal(netlink_changed(n), want);
	close(four);
	assert_int_equal(netlink_changed(n), want);
	close(six);
	assert_int_equal(netlink_changed(n), want);
	assert_int_equal(netlink_changed(n), 0);
	tap_close(t);
	netlink_close(n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_open_sets_what_was_asked),
	    cmocka_unit_test(test_open_refuses),
	    cmocka_unit_test(test_open_says_why_not),
	    cmocka_unit_test(test_frames_out),
	    cmocka_unit_test(test_frames_in),
	    cmocka_unit_test(test_device_gone),
	    cmocka_unit_test(test_addresses),
	    cmocka_unit_test(test_routes),
	    cmocka_unit_test(test_link),
	    cmocka_unit_test(test_hosts),
	    cmocka_unit_test(test_monitor),
	    cmocka_unit_test(test_monitor_groups),
	    cmocka_unit_test(test_monitor_overrun),
	};
	alarm(60);
	return cmocka_run_group_tests_name("tap", tests, private_net, NULL);
}
