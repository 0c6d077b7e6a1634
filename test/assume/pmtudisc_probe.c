/* Belief: on a UDP socket with IP_PMTUDISC_PROBE (IPv6 likewise) a datagram that fits the link's
 * MTU goes out whole with DF set, one byte more is EMSGSIZE, and a forged or true ICMP
 * "fragmentation needed" changes neither; while a socket with the default (WANT) does shrink after
 * it, which shows that the ICMP was believed by somebody. */
#include "test/assume/assume.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#define MTU        1500
#define FORGED_MTU 1280

static uint32_t sum_add(uint32_t sum, const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		sum += i % 2 ? p[i] : (uint32_t)p[i] << 8;
	return sum;
}

static void sum_put(uint8_t *at, uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	at[0] = (uint8_t)(~sum >> 8);
	at[1] = (uint8_t)~sum;
}

static int udp_socket(int family, int mode, const char *peer)
{
	int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in to4 = {.sin_family = AF_INET, .sin_port = htons(7)};
	struct sockaddr_in6 to6 = {.sin6_family = AF_INET6, .sin6_port = htons(7)};
	believe(fd >= 0, "socket");
	if (family == AF_INET) {
		inet_pton(AF_INET, peer, &to4.sin_addr);
		believe(setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &mode, sizeof(mode)) == 0, "IP_MTU_DISCOVER");
		believe(connect(fd, (struct sockaddr *)&to4, sizeof(to4)) == 0, "connect");
	} else {
		inet_pton(AF_INET6, peer, &to6.sin6_addr);
		believe(setsockopt(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, &mode, sizeof(mode)) == 0, "IPV6_MTU_DISCOVER");
		believe(connect(fd, (struct sockaddr *)&to6, sizeof(to6)) == 0, "connect");
	}
	return fd;
}

/* The next UDP (or fragment of UDP) of the TAP. */
static ssize_t udp_frame(int tap, int family, uint8_t *f, size_t room)
{
	for (int i = 0; i < 64; i++) {
		ssize_t n = tap_frame(tap, family == AF_INET ? 0x0800 : 0x86dd, f, room);
		if (n < 0)
			return -1;
		if (f[family == AF_INET ? 23 : 20] == 17)
			return n;
	}
	return -1;
}

static void limits(int tap, int family, const char *peer, const char *when)
{
	static uint8_t payload[2000], f[4000];
	size_t most = MTU - (family == AF_INET ? 28 : 48);
	int fd = udp_socket(family, family == AF_INET ? IP_PMTUDISC_PROBE : IPV6_PMTUDISC_PROBE, peer);
	errno = 0;
	believe(send(fd, payload, most + 1, 0) < 0 && errno == EMSGSIZE, "%s: %zu bytes are no EMSGSIZE", when, most + 1);
	believe(send(fd, payload, most, 0) == (ssize_t)most, "%s: %zu bytes", when, most);
	ssize_t n = udp_frame(tap, family, f, sizeof(f));
	believe(n == MTU + 14, "%s: a frame of %zd bytes", when, n);
	believe(family != AF_INET || (f[20] & 0x60) == 0x40, "%s: DF is not set: %02x", when, f[20]);
	close(fd);
}

/* Says "fragmentation needed" to the sender of the IPv4 packet in frame f (n bytes). */
static void icmp_needed(int tap, const uint8_t *f)
{
	uint8_t m[14 + 20 + 8 + 28] = {0};
	memcpy(m, f + 6, 6);
	memcpy(m + 6, f, 6);
	m[12] = 8;
	uint8_t *ip = m + 14, *icmp = ip + 20;
	ip[0] = 0x45;
	ip[3] = 20 + 8 + 28;
	ip[8] = 64;
	ip[9] = 1;
	memcpy(ip + 12, f + 14 + 16, 4); /* from whom it went to */
	memcpy(ip + 16, f + 14 + 12, 4);
	sum_put(ip + 10, sum_add(0, ip, 20));
	icmp[0] = 3;
	icmp[1] = 4;
	icmp[6] = FORGED_MTU >> 8;
	icmp[7] = FORGED_MTU & 0xff;
	memcpy(icmp + 8, f + 14, 28);
	sum_put(icmp + 2, sum_add(0, icmp, 8 + 28));
	believe(write(tap, m, sizeof(m)) == sizeof(m), "writing the ICMP message");
}

static int path_mtu(int fd)
{
	int mtu = 0;
	socklen_t len = sizeof(mtu);
	believe(getsockopt(fd, IPPROTO_IP, IP_MTU, &mtu, &len) == 0, "IP_MTU");
	return mtu;
}

int main(void)
{
	private_net();
	static uint8_t payload[2000], f[4000];
	int tap = tap_queue("pm0", IFF_TUN_EXCL);
	if (tap == -ENOENT || tap == -ENODEV)
		cannot_try("no TAP driver");
	believe(tap >= 0, "TAP: %d", tap);
	device_up("pm0", MTU);
	if (system("ip addr add 10.9.9.1/24 dev pm0 && ip neigh add 10.9.9.2 lladdr "
	           "02:00:00:00:00:02 dev pm0") != 0)
		cannot_try("ip(8) failed");
	limits(tap, AF_INET, "10.9.9.2", "IPv4");

	int want = udp_socket(AF_INET, IP_PMTUDISC_WANT, "10.9.9.2");
	believe(path_mtu(want) == MTU, "path MTU %d before the ICMP", path_mtu(want));
	believe(send(want, payload, 1400, 0) == 1400 && udp_frame(tap, AF_INET, f, sizeof(f)) == 1442, "a datagram of WANT");
	icmp_needed(tap, f);
	for (int i = 0; i < 100 && path_mtu(want) == MTU; i++)
		usleep(10000);
	believe(path_mtu(want) == FORGED_MTU, "the kernel did not take the ICMP: path MTU %d", path_mtu(want));
	limits(tap, AF_INET, "10.9.9.2", "IPv4 after the ICMP");
	close(want);

	if (system("ip -6 addr add fd09::1/64 dev pm0 nodad && ip -6 neigh add fd09::2 lladdr "
	           "02:00:00:00:00:02 dev pm0") != 0)
		printf("pmtudisc_probe: no IPv6 here, left out\n");
	else
		limits(tap, AF_INET6, "fd09::2", "IPv6");
	close(tap);
	return 0;
}
