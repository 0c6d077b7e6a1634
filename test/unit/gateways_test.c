/* The ways out of a host, read back from a kernel whose routes are ours: in a network namespace of its own, else skipped. */
#include "tap/netlink.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

static bool alone; /* the namespace is ours */

static void shell(const char *command)
{
	if (system(command) != 0)
		fail_msg("%s failed", command);
}

static void fresh(void)
{
	if (!alone)
		skip();
	shell("ip link del up0 2>/dev/null; ip link del up1 2>/dev/null; ip link del tt0 2>/dev/null; ip route flush table main "
	      "2>/dev/null; true");
	shell("ip link add up0 type veth peer name far0 && ip link set far0 up && ip link set up0 up");
	shell("ip link add up1 type veth peer name far1 && ip link set far1 up && ip link set up1 up");
}

static unsigned ask(struct gateway *ret, unsigned room)
{
	struct netlink *n;
	assert_int_equal(netlink_open(&n), 0);
	int got = netlink_gateways(n, ret, room);
	netlink_close(n);
	assert_true(got >= 0);
	return (unsigned)got;
}

static void is(const struct gateway *g, const char *ip, const char *source, const char *dev)
{
	uint8_t want[16] = {0}, from[16] = {0};
	int family = strchr(ip, ':') ? AF_INET6 : AF_INET;
	assert_int_equal(inet_pton(family, ip, want), 1);
	assert_int_equal(inet_pton(family, source, from), 1);
	assert_int_equal(g->family, family == AF_INET ? 4 : 6);
	assert_memory_equal(g->ip, want, 16);
	assert_memory_equal(g->source, from, 16);
	assert_int_equal(g->ifindex, if_nametoindex(dev));
}

static void test_none(void **state)
{
	(void)state;
	struct gateway g[4];
	fresh();
	assert_int_equal(ask(g, 4), 0);
	shell("ip addr add 198.18.0.2/24 dev up0 && ip route add default dev up0"); /* on link: nobody to ask */
	assert_int_equal(ask(g, 4), 0);
	shell("ip route add 10.0.0.0/8 via 198.18.0.1"); /* not for everything */
	assert_int_equal(ask(g, 4), 0);
}

static void test_order_and_source(void **state)
{
	(void)state;
	struct gateway g[8];
	fresh();
	shell("ip addr add 198.18.0.9/32 dev up0 && ip addr add 198.18.1.2/24 dev up0 && ip addr add 198.18.2.2/24 dev up1");
	shell("ip route add default via 198.18.2.1 metric 200 && ip route add default via 198.18.1.1 metric 100");
	assert_int_equal(ask(g, 8), 2);
	is(&g[0], "198.18.1.1", "198.18.1.2", "up0"); /* the address beside the router, not the first */
	is(&g[1], "198.18.2.1", "198.18.2.2", "up1");
	assert_int_equal(ask(g, 1), 1);
	is(&g[0], "198.18.1.1", "198.18.1.2", "up0");
	shell("ip route change default via 198.18.1.1 metric 100 src 198.18.0.9");
	assert_int_equal(ask(g, 8), 2);
	is(&g[0], "198.18.1.1", "198.18.0.9", "up0");
	shell("ip link set up0 down");
	assert_int_equal(ask(g, 8), 1);
	is(&g[0], "198.18.2.1", "198.18.2.2", "up1");
}

static void test_six(void **state)
{
	(void)state;
	struct gateway g[8];
	fresh();
	shell(
	    "ip addr add fd00::2/64 dev up0 nodad && ip addr add 2001:db8::2/64 dev up0 nodad && ip addr add 2001:db8::3/64 dev up0 nodad");
	shell("ip -6 route add default via fe80::1 dev up0 metric 50");
	assert_int_equal(ask(g, 8), 2); /* not the local one, not the link's own */
	bool turned = g[0].source[15] == 3;
	is(&g[turned], "fe80::1", "2001:db8::2", "up0");
	is(&g[!turned], "fe80::1", "2001:db8::3", "up0");
}

static void test_no_tunnel(void **state)
{
	(void)state;
	struct gateway g[4];
	fresh();
	struct stat st;
	if (stat("/dev/net/tun", &st) != 0)
		skip();
	shell("ip tuntap add tt0 mode tap && ip link set tt0 up && ip addr add 10.77.0.2/24 dev tt0 && ip route add default via 10.77.0.1");
	assert_int_equal(ask(g, 4), 0);
}

/* A default route that comes or goes is told, another is not. */
static void test_told(void **state)
{
	(void)state;
	struct netlink *n;
	fresh();
	shell("ip addr add 198.18.1.2/24 dev up0");
	assert_int_equal(netlink_open(&n), 0);
	struct pollfd p = {.fd = netlink_monitor_fd(n), .events = POLLIN};
	shell("ip route add 10.0.0.0/8 via 198.18.1.1 && ip -6 route add 2001:db8:1::/48 dev up0");
	assert_int_equal(poll(&p, 1, 100), 0);
	assert_false(netlink_changed(n));
	shell("ip route add default via 198.18.1.1");
	assert_int_equal(poll(&p, 1, 5000), 1);
	assert_true(netlink_changed(n));
	shell("ip route del default");
	assert_int_equal(poll(&p, 1, 5000), 1);
	assert_true(netlink_changed(n));
	shell("ip -6 route add default via fe80::1 dev up0");
	assert_int_equal(poll(&p, 1, 5000), 1);
	assert_true(netlink_changed(n));
	netlink_close(n);
}

int main(void)
{
	alone = unshare(CLONE_NEWNET) == 0;
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_none), cmocka_unit_test(test_order_and_source),
	    cmocka_unit_test(test_six),  cmocka_unit_test(test_no_tunnel),
	    cmocka_unit_test(test_told),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
