/* beacon_io_test.c: the beacons' sockets on real links, in a network namespace of our own: where they call from, whom they hear. */
#include "node/beacon_io.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define LEN 57

static bool apart; /* in a namespace of our own */

/* An overlay, of whomever: t lives as long as this process. */
static bool tap_open(void)
{
	struct ifreq r = {.ifr_name = "t", .ifr_flags = IFF_TAP | IFF_NO_PI};
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	return fd >= 0 && ioctl(fd, TUNSETIFF, &r) == 0;
}

static int setup(void **state)
{
	(void)state;
	apart = unshare(CLONE_NEWNET) == 0 && tap_open() &&
	        system("ip link set dev lo up && ip link add u type veth peer name v && ip link set dev u up && ip link set dev v up && "
	               "ip addr add 198.18.5.1/24 dev u && ip addr add 2001:db8:5::1/64 dev u nodad && "
	               "ip link add w type veth peer name x && ip link set dev w up && ip link set dev x up && "
	               "ip addr add 198.18.6.1/24 dev w && ip link set dev t up && ip addr add 198.18.7.1/24 dev t") == 0;
	return 0;
}

/* The links that belong to a group, as the kernel says. */
static bool joined(const char *dev)
{
	char line[256], now[32] = "";
	bool found = false;
	FILE *f = fopen("/proc/thread-self/net/igmp", "r");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		if (line[0] != '\t')
			sscanf(line, "%*d %31s", now);
		else if (strstr(line, "5F63FFEF") && !strcmp(now, dev))
			found = true;
	}
	fclose(f);
	return found;
}

static bool waiting(const struct beacon_io *io)
{
	struct pollfd p = {.fd = beacon_io_fd(io), .events = POLLIN};
	return poll(&p, 1, 5000) == 1;
}

/* Everything that is there: how many good ones of each family, and of the others. */
static void drain(struct beacon_io *io, unsigned good[2], unsigned *bad, struct endpoint *ret_last)
{
	uint8_t buf[LEN + 1];
	struct endpoint from;
	good[0] = good[1] = *bad = 0;
	for (unsigned i = 0; i < 100; i++) {
		long n = beacon_io_recv(io, &from, buf, sizeof(buf));
		if (n == -EAGAIN)
			return;
		*bad += n == 0;
		if (n <= 0)
			continue;
		assert_int_equal(n, LEN);
		good[from.family == 6]++;
		*ret_last = from;
	}
	fail_msg("it never ends");
}

static void calls(void **state)
{
	(void)state;
	struct beacon_io *io;
	struct endpoint last = {0};
	uint8_t bytes[LEN] = {7};
	unsigned good[2], bad, left = 0;
	if (!apart)
		skip();
	assert_int_equal(beacon_io_open(&io), 0);
	assert_false(joined("u"));
	beacon_io_send(io, bytes, sizeof(bytes), NULL, 0, 1000);
	assert_true(joined("u") && joined("w"));
	assert_false(joined("t") || joined("lo")); /* a tunnel of whomever; nobody's neighbour */
	assert_true(waiting(io));
	drain(io, good, &bad, &last); /* our own, looped back: from 198.18.5.1, from 198.18.6.1, and by IPv6 */
	assert_int_equal(good[0], 2);
	assert_int_equal(good[1], 1);
	assert_int_equal(bad, 0);
	assert_int_equal(last.family, 6);
	assert_int_equal(last.ip[5], 5);
	assert_int_equal(last.port, 0);

	/* A link that becomes an overlay of ours is left. Links are looked at twice a second at most. */
	left = if_nametoindex("w");
	beacon_io_send(io, bytes, sizeof(bytes), &left, 1, 1100);
	assert_true(joined("w"));
	drain(io, good, &bad, &last);
	beacon_io_send(io, bytes, sizeof(bytes), &left, 1, 2000);
	assert_false(joined("w"));
	assert_true(joined("u"));
	drain(io, good, &bad, &last);
	assert_int_equal(good[0], 1);
	assert_int_equal(last.ip[5], 5);

	/* A new address is called from, an old one is not. */
	assert_int_equal(system("ip addr del 198.18.5.1/24 dev u && ip addr add 198.18.5.9/24 dev u"), 0);
	beacon_io_send(io, bytes, sizeof(bytes), &left, 1, 3000);
	uint8_t buf[LEN + 1];
	assert_int_equal(beacon_io_recv(io, &last, buf, sizeof(buf)), LEN);
	assert_int_equal(last.ip[3], 9);
	assert_memory_equal(buf, bytes, LEN);
	beacon_io_close(io);
	assert_false(joined("u"));
	assert_int_equal(system("ip addr del 198.18.5.9/24 dev u && ip addr add 198.18.5.1/24 dev u"), 0);
}

static void shout(int ttl, const char *source, const char *to, size_t len)
{
	struct sockaddr_in from = {.sin_family = AF_INET}, group = {.sin_family = AF_INET, .sin_port = htons(BEACON_PORT)};
	struct ip_mreqn by = {.imr_ifindex = (int)if_nametoindex("u")};
	uint8_t bytes[200] = {1};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	inet_pton(AF_INET, source, &from.sin_addr);
	inet_pton(AF_INET, to, &group.sin_addr);
	assert_int_equal(bind(fd, (struct sockaddr *)&from, sizeof(from)), 0);
	assert_int_equal(setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &by, sizeof(by)), 0);
	assert_int_equal(setsockopt(fd, IPPROTO_IP, IP_MULTICAST_TTL, &ttl, sizeof(ttl)), 0);
	assert_int_equal(sendto(fd, bytes, len, 0, (struct sockaddr *)&group, sizeof(group)), len);
	close(fd);
}

static void neighbours_only(void **state)
{
	(void)state;
	struct beacon_io *io;
	struct endpoint last = {0};
	uint8_t bytes[LEN] = {7};
	unsigned good[2], bad, left = 0;
	if (!apart)
		skip();
	left = if_nametoindex("w"); /* its address is ours, but its net is none that calls are taken from */
	assert_int_equal(beacon_io_open(&io), 0);
	beacon_io_send(io, bytes, sizeof(bytes), &left, 1, 1000);
	drain(io, good, &bad, &last);
	static const struct {
		int ttl;
		const char *source, *to;
		size_t len;
		unsigned good, bad;
	} cases[] = {
	    {255, "198.18.5.1", "239.255.99.95", LEN, 1, 0}, {254, "198.18.5.1", "239.255.99.95", LEN, 0, 1},
	    {1, "198.18.5.1", "239.255.99.95", LEN, 0, 1},   {255, "198.18.6.1", "239.255.99.95", LEN, 0, 1},
	    {255, "198.18.5.1", "239.255.99.95", 200, 0, 1}, /* cut */
	    {255, "198.18.5.1", "198.18.5.1", LEN, 0, 0},    {255, "198.18.5.1", "239.255.99.96", LEN, 0, 0},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		shout(cases[i].ttl, cases[i].source, cases[i].to, cases[i].len);
		drain(io, good, &bad, &last);
		if (good[0] != cases[i].good || bad != cases[i].bad || good[1])
			fail_msg("case %zu: %u good, %u bad", i, good[0], bad);
	}
	beacon_io_close(io);
}

/* Two daemons of one host hear each other. */
static void side_by_side(void **state)
{
	(void)state;
	struct beacon_io *a, *b;
	struct endpoint last = {0};
	uint8_t bytes[LEN] = {7};
	unsigned good[2], bad;
	if (!apart)
		skip();
	assert_int_equal(beacon_io_open(&a), 0);
	assert_int_equal(beacon_io_open(&b), 0);
	beacon_io_send(b, bytes, sizeof(bytes), NULL, 0, 1000);
	drain(b, good, &bad, &last);
	beacon_io_send(a, bytes, sizeof(bytes), NULL, 0, 1000);
	assert_true(waiting(b));
	drain(b, good, &bad, &last);
	assert_int_equal(good[0], 2);
	assert_int_equal(good[1], 1);
	beacon_io_close(a);
	beacon_io_close(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(calls),
	    cmocka_unit_test(neighbours_only),
	    cmocka_unit_test(side_by_side),
	};
	return cmocka_run_group_tests_name("beacon_io", tests, setup, NULL);
}
