/* The groups of real devices, joined in every way there is, in a network namespace of this program's own; without root only the reading of
 * the text is tested. */
#include "tap/groups.c"
#include "tap_bed.h"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>

#define ROOM 128

static const uint8_t all_systems[6] = {0x01, 0x00, 0x5e, 0, 0, 1}, decnet[6] = {0x09, 0x00, 0x2b, 0, 0, 1};

struct sight {
	int n;
	bool all;
	uint8_t group[ROOM][6];
};

static struct sight look(const char *dev)
{
	struct sight s = {.all = true};
	s.n = tap_groups(if_nametoindex(dev), dev, s.group, ROOM, &s.all);
	assert_true(s.n >= 0);
	for (int i = 1; i < s.n; i++)
		assert_true(memcmp(s.group[i - 1], s.group[i], 6) < 0);
	return s;
}

static bool has(const struct sight *s, const uint8_t group[6])
{
	for (int i = 0; i < s->n; i++)
		if (!memcmp(s->group[i], group, 6))
			return true;
	return false;
}

static bool takes(const char *dev, const uint8_t group[6])
{
	struct sight s = look(dev);
	return has(&s, group);
}

/* A packet socket with one membership. */
static int member(const char *dev, uint16_t type, const uint8_t group[6])
{
	struct packet_mreq m = {.mr_ifindex = (int)if_nametoindex(dev), .mr_type = type, .mr_alen = 6};
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	memcpy(m.mr_address, group, 6);
	assert_true(fd >= 0);
	assert_int_equal(setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &m, sizeof(m)), 0);
	return fd;
}

static void test_lines(void **state)
{
	(void)state;
	static const char list[] = "2    lo              1     0     01005e000001\n"
				   "31   fl0             1     0     333300000001\n"
				   "31   fl0             2     0     01005e000001\n"
				   "31   fl0             1     0     01005e0000fb\n"
				   "3    fl0 31          1     0     01005e000007\n"
				   "311  31              1     0     01005e000008\n"
				   "31   ib0             1     0     00ffffffff12401bffff0000000000000000ffff\n"
				   "31   fl0             1     0     02005e000001\n" /* no group */
				   "31   fl0             1     0     01005e00000g\n"
				   "31\n\n 31 \nx\n"
				   "31   fl0             1     0     01005e0000fb\n"
				   "31   fl0             1     0     01005e0000fc"; /* not whole */
	static const uint8_t want[3][6] = {{1, 0, 0x5e, 0, 0, 1}, {1, 0, 0x5e, 0, 0, 0xfb}, {0x33, 0x33, 0, 0, 0, 1}};
	for (size_t piece = 1; piece < sizeof(list); piece++) {
		uint8_t group[4][6];
		char text[sizeof(list) + 1];
		struct collection c = {.ifindex = 31, .group = group, .room = 4};
		size_t held = 0;
		for (size_t at = 0; at < sizeof(list) - 1; at += piece) {
			size_t n = sizeof(list) - 1 - at < piece ? sizeof(list) - 1 - at : piece;
			memcpy(text + held, list + at, n);
			held = lines_read(text, held + n, &c);
		}
		assert_int_equal(c.n, 3);
		assert_memory_equal(group, want, sizeof(want));
		assert_false(c.over);
		assert_int_equal(held, strlen(strrchr(list, '\n') + 1));
	}
}

static void test_joined_in_every_way(void **state)
{
	(void)state;
	need_private_net();
	static const uint8_t mdns[6] = {0x01, 0, 0x5e, 0, 0, 0xfb}, game[6] = {0x33, 0x33, 0, 0, 0x12, 0x34},
			     lldp[6] = {1, 0x80, 0xc2, 0, 0, 14};
	struct tap *t = opened("ga0", 1, 1500, 0), *other = opened("ga1", 1, 1500, 0);
	assert_int_equal(tap_up(t, true), 0);
	assert_int_equal(tap_up(other, true), 0);
	shell("ip address add 10.9.0.1/24 dev ga0");
	struct sight s = look("ga0");
	assert_true(has(&s, all_systems) && !has(&s, decnet) && !has(&s, mdns) && !has(&s, game));
	assert_false(s.all);
	/* The IP stack. */
	int four = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), six = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ip_mreqn m4 = {.imr_ifindex = (int)if_nametoindex("ga0")};
	struct ipv6_mreq m6 = {.ipv6mr_interface = if_nametoindex("ga0")};
	assert_int_equal(inet_pton(AF_INET, "224.0.0.251", &m4.imr_multiaddr), 1);
	assert_int_equal(inet_pton(AF_INET6, "ff15::1234", &m6.ipv6mr_multiaddr), 1);
	assert_int_equal(setsockopt(four, IPPROTO_IP, IP_ADD_MEMBERSHIP, &m4, sizeof(m4)), 0);
	assert_true(takes("ga0", mdns));
	assert_int_equal(setsockopt(six, IPPROTO_IPV6, IPV6_ADD_MEMBERSHIP, &m6, sizeof(m6)), 0);
	assert_true(takes("ga0", game));
	/* Packet sockets, of no IP group; one more of the same changes nothing. */
	int one = member("ga0", PACKET_MR_MULTICAST, decnet), two = member("ga0", PACKET_MR_MULTICAST, decnet);
	int three = member("ga0", PACKET_MR_MULTICAST, lldp);
	s = look("ga0");
	assert_true(has(&s, decnet) && has(&s, lldp) && has(&s, mdns) && has(&s, game));
	close(one);
	assert_true(takes("ga0", decnet));
	close(two);
	close(three);
	close(four);
	close(six);
	s = look("ga0");
	assert_false(has(&s, decnet) || has(&s, lldp) || has(&s, mdns) || has(&s, game));
	assert_true(has(&s, all_systems));
	/* What another device takes is its own. */
	one = member("ga1", PACKET_MR_MULTICAST, decnet);
	assert_false(takes("ga0", decnet));
	assert_true(takes("ga1", decnet));
	close(one);
	tap_close(t);
	tap_close(other);
}

static void test_takes_all(void **state)
{
	(void)state;
	need_private_net();
	struct tap *t = opened("gb0", 1, 1500, 0);
	assert_int_equal(tap_up(t, true), 0);
	assert_false(look("gb0").all);
	int fd = member("gb0", PACKET_MR_PROMISC, decnet);
	assert_true(look("gb0").all);
	close(fd);
	assert_false(look("gb0").all);
	fd = member("gb0", PACKET_MR_ALLMULTI, decnet);
	assert_true(look("gb0").all);
	close(fd);
	assert_false(look("gb0").all);
	shell("ip link set gb0 promisc on");
	assert_true(look("gb0").all);
	shell("ip link set gb0 promisc off && ip link set gb0 allmulticast on");
	assert_true(look("gb0").all);
	shell("ip link set gb0 allmulticast off && ip link add gbr type bridge && ip link set gb0 master gbr");
	assert_true(look("gb0").all);
	assert_false(look("gbr").all);
	shell("ip link set gb0 nomaster");
	assert_false(look("gb0").all);
	shell("ip link del gbr");
	tap_close(t);
}

static void test_more_than_room(void **state)
{
	(void)state;
	need_private_net();
	struct tap *t = opened("gc0", 1, 1500, 0);
	int fd[8];
	for (uint8_t i = 0; i < 8; i++)
		fd[i] = member("gc0", PACKET_MR_MULTICAST, (const uint8_t[6]){0x09, 0, 0x2b, 1, 1, i});
	uint8_t group[ROOM][6], guard[6];
	memset(group, 0xab, sizeof(group));
	memset(guard, 0xab, sizeof(guard));
	bool all = false;
	int n = look("gc0").n;
	assert_true(n >= 8);
	assert_int_equal(tap_groups(tap_ifindex(t), "gc0", group, (unsigned)n, &all), n);
	assert_false(all);
	memset(group, 0xab, sizeof(group));
	assert_int_equal(tap_groups(tap_ifindex(t), "gc0", group, (unsigned)n - 1, &all), n - 1);
	assert_true(all);
	assert_memory_equal(group[n - 1], guard, 6);
	assert_int_equal(tap_groups(tap_ifindex(t), "gc0", NULL, 0, &all), 0);
	assert_true(all);
	for (unsigned i = 0; i < 8; i++)
		close(fd[i]);
	tap_close(t);
}

/* Renamed it is the same device; gone it is none, and the caller's bytes stay. */
static void test_gone(void **state)
{
	(void)state;
	need_private_net();
	struct tap *t = opened("gd0", 1, 1500, 0);
	unsigned at = tap_ifindex(t);
	uint8_t group[ROOM][6];
	bool all = false;
	int fd = member("gd0", PACKET_MR_MULTICAST, decnet);
	shell("ip link set gd0 name gd9");
	assert_true(takes("gd9", decnet));
	assert_true(tap_groups(at, "gd0", group, ROOM, &all) >= 1);
	close(fd);
	tap_close(t);
	all = true;
	assert_int_equal(tap_groups(at, "gd0", group, ROOM, &all), -ENODEV);
	assert_true(all);
	/* No descriptor to spare is said, and none is lost. */
	struct rlimit before, none;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	none = before;
	none.rlim_cur = 3;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	assert_int_equal(tap_groups(1, "lo", group, ROOM, &all), -EMFILE);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
}

static unsigned long list_length(void)
{
	char text[4096];
	unsigned long total = 0;
	FILE *f = fopen(LIST, "r");
	assert_non_null(f);
	for (size_t n; (n = fread(text, 1, sizeof(text), f)) > 0;)
		total += n;
	fclose(f);
	return total;
}

/* 300 interfaces beside the two that are asked for, one made before them and one after: lists of several reads. */
static void test_many_interfaces(void **state)
{
	(void)state;
	need_private_net();
	enum { PAIRS = 150 };
	struct timespec from, to;
	struct tap *first = opened("ge0", 1, 1500, 0);
	FILE *batch = popen("ip -batch -", "w");
	assert_non_null(batch);
	for (int i = 0; i < PAIRS; i++)
		fprintf(batch, "link add vl%d type veth peer name vr%d\nlink set vl%d up\nlink set vr%d up\n", i, i, i, i);
	assert_int_equal(pclose(batch), 0);
	struct tap *last = opened("ge1", 1, 1500, 0);
	assert_true(list_length() > (unsigned long)CHUNK);
	int one = member("ge0", PACKET_MR_MULTICAST, decnet), two = member("ge1", PACKET_MR_MULTICAST, all_systems);
	for (int i = 0; i < PAIRS; i++) { /* somebody else's, before and after */
		char name[16];
		snprintf(name, sizeof(name), "vl%d", i);
		assert_false(takes(name, decnet));
	}
	struct sight a = look("ge0"), b = look("ge1");
	assert_true(has(&a, decnet) && !has(&a, all_systems));
	assert_true(has(&b, all_systems) && !has(&b, decnet));
	clock_gettime(CLOCK_MONOTONIC, &from);
	for (int i = 0; i < 10; i++)
		look("ge1");
	clock_gettime(CLOCK_MONOTONIC, &to);
	print_message("%lu bytes of list, %ld us a reading\n", list_length(),
	              ((to.tv_sec - from.tv_sec) * 1000000 + (to.tv_nsec - from.tv_nsec) / 1000) / 10);
	close(one);
	close(two);
	tap_close(first);
	tap_close(last);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_lines),     cmocka_unit_test(test_joined_in_every_way),
	    cmocka_unit_test(test_takes_all), cmocka_unit_test(test_more_than_room),
	    cmocka_unit_test(test_gone),      cmocka_unit_test(test_many_interfaces),
	};
	alarm(60);
	return cmocka_run_group_tests_name("groups", tests, private_net, NULL);
}
