/* Membership reports as this host's kernel says them, and as RFCs write them; what is near them and none. */
#include "node/snoop.h"
#include "tap_bed.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

struct made {
	uint8_t bytes[128];
	size_t len;
};

static void add(struct made *m, const void *bytes, size_t n)
{
	assert_true(m->len + n <= sizeof(m->bytes));
	memcpy(m->bytes + m->len, bytes, n);
	m->len += n;
}

static void add_tags(struct made *m, unsigned tags)
{
	for (unsigned i = 0; i < tags; i++)
		add(m, i + 1 < tags ? "\x88\xa8\x00\x07" : "\x81\x00\x00\x09", 4);
}

static struct made igmp_made(uint8_t type, unsigned tags, unsigned options)
{
	struct made m = {.len = 0};
	uint8_t ip[20] = {(uint8_t)(0x45 + options), 0xc0, 0, 32, 0, 0, 0x40, 0, 1, 2, 0, 0, 10, 9, 0, 1, 224, 0, 0, 22},
		option[4] = {0x94, 4};
	add(&m, "\x01\x00\x5e\x00\x00\x16\x02\x11\x22\x33\x44\x55", 12);
	add_tags(&m, tags);
	add(&m, "\x08\x00", 2);
	add(&m, ip, sizeof(ip));
	for (unsigned i = 0; i < options; i++)
		add(&m, option, 4);
	add(&m, (const uint8_t[8]){type, 0, 0, 0, 239, 1, 1, 1}, 8);
	return m;
}

static struct made mld_made(uint8_t type, unsigned tags, unsigned extensions)
{
	struct made m = {.len = 0};
	uint8_t ip[40] = {0x60, [5] = 32, [6] = extensions ? 0 : 58, [7] = 1, [8] = 0xfe, 0x80, [24] = 0xff, 2, [39] = 0x16};
	add(&m, "\x33\x33\x00\x00\x00\x16\x02\x11\x22\x33\x44\x55", 12);
	add_tags(&m, tags);
	add(&m, "\x86\xdd", 2);
	add(&m, ip, sizeof(ip));
	for (unsigned i = 0; i < extensions; i++)
		add(&m, (const uint8_t[8]){i + 1 < extensions ? 60 : 58, 0, 5, 2, 0, 0, 1, 0}, 8);
	add(&m, (const uint8_t[8]){type, 0, 0, 0, 0, 0, 0, 1}, 8);
	return m;
}

/* In memory that ends where the frame does, so that a sanitizer sees one byte too many. */
static bool said(const struct made *m, size_t len)
{
	uint8_t *exact = malloc(len ? len : 1);
	assert_non_null(exact);
	memcpy(exact, m->bytes, len);
	bool r = snoop_membership(exact, len);
	free(exact);
	return r;
}

static void test_types(void **state)
{
	(void)state;
	for (unsigned type = 0; type < 256; type++)
		for (unsigned tags = 0; tags < 4; tags++)
			for (unsigned more = 0; more < 3; more++) {
				struct made four = igmp_made((uint8_t)type, tags, more), six = mld_made((uint8_t)type, tags, more);
				bool report = type == 0x12 || type == 0x16 || type == 0x17 || type == 0x22;
				assert_int_equal(said(&four, four.len), report && tags <= 2);
				report = type == 131 || type == 132 || type == 143;
				assert_int_equal(said(&six, six.len), report && tags <= 2);
			}
}

/* Nothing beyond the end is read, and nothing is said before the type is there. */
static void test_cut_short(void **state)
{
	(void)state;
	for (unsigned tags = 0; tags < 3; tags++) {
		struct made four = igmp_made(0x22, tags, 1), six = mld_made(143, tags, 2);
		for (size_t len = 0; len <= four.len; len++)
			assert_int_equal(said(&four, len), len > 14 + 4 * tags + 24);
		for (size_t len = 0; len <= six.len; len++)
			assert_int_equal(said(&six, len), len > 14 + 4 * tags + 56);
	}
	for (unsigned at = 0; at < 8; at++) { /* an extension longer than all */
		struct made six = mld_made(143, 0, 1);
		six.bytes[14 + 40 + 1] = (uint8_t)(1u << at);
		assert_false(said(&six, six.len));
	}
	struct made many = mld_made(143, 0, 3);
	assert_true(said(&many, many.len));
}

static void test_others(void **state)
{
	(void)state;
	struct made m = igmp_made(0x22, 0, 1);
	m.bytes[0] = 0x03; /* no IP group */
	assert_false(said(&m, m.len));
	m = igmp_made(0x22, 0, 1);
	m.bytes[14 + 9] = 17;
	assert_false(said(&m, m.len));
	m = igmp_made(0x22, 0, 1);
	m.bytes[14 + 7] = 1; /* a later piece: no header of its own */
	assert_false(said(&m, m.len));
	m = igmp_made(0x22, 0, 1);
	m.bytes[14] = 0x44; /* a header too short to be one */
	assert_false(said(&m, m.len));
	m = igmp_made(0x22, 0, 1);
	m.bytes[14] = 0x66;
	assert_false(said(&m, m.len));
	m = mld_made(143, 0, 1);
	m.bytes[14] = 0x40;
	assert_false(said(&m, m.len));
	m = mld_made(143, 0, 1);
	m.bytes[14 + 40] = 44; /* a fragment */
	assert_false(said(&m, m.len));
	m = mld_made(143, 0, 1);
	m.bytes[0] = 0x01, m.bytes[1] = 0x00, m.bytes[2] = 0x5e; /* IPv6 to a group of IPv4 */
	assert_false(said(&m, m.len));
	m = igmp_made(0x22, 0, 1);
	m.bytes[0] = m.bytes[1] = 0x33;
	assert_false(said(&m, m.len));
}

/* Reads what the device sends until a report names that group, for so long: earlier ones are repeated at times of the kernel's choice. */
static bool heard(struct tap *t, int ms, const void *group, size_t bytes)
{
	for (int i = 0; i < ms; i++) {
		struct packet p[16];
		struct slab slab = slab_new(4 * TAP_SLAB_MIN);
		int n = tap_read(t, 0, &slab, p, 16);
		assert_true(n >= 0);
		for (int k = 0; k < n; k++)
			if (snoop_membership(p[k].data, p[k].len) && memmem(p[k].data + 14, p[k].len - 14, group, bytes))
				return true;
		usleep(1000);
	}
	return false;
}

/* The kernel's own word for joining and leaving, of each version, comes well within a tenth of a second. */
static void test_kernel(void **state)
{
	(void)state;
	need_private_net();
	static const char *const force[][2] = {{"igmp", "1"}, {"igmp", "2"}, {"igmp", "3"}, {"mld", "1"}, {"mld", "2"}};
	struct tap *t = opened("sn0", 1, 1500, 0);
	shell("ip address add 10.9.0.1/24 dev sn0 && ip address add fd09::1/64 dev sn0 nodad");
	assert_int_equal(tap_up(t, true), 0);
	for (unsigned i = 0; i < sizeof(force) / sizeof(force[0]); i++) {
		char command[160];
		bool four = force[i][0][0] == 'i';
		snprintf(command, sizeof(command), "echo %s > /proc/sys/net/ipv%c/conf/sn0/force_%s_version", force[i][1], four ? '4' : '6',
		         force[i][0]);
		shell(command);
		int fd = socket(four ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
		struct ip_mreqn m4 = {.imr_ifindex = (int)tap_ifindex(t), .imr_multiaddr.s_addr = htonl(0xef010100 + i)};
		struct ipv6_mreq m6 = {.ipv6mr_interface = tap_ifindex(t), .ipv6mr_multiaddr.s6_addr = {0xff, 0x15, [15] = (uint8_t)i}};
		assert_int_equal(four ? setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &m4, sizeof(m4))
		                      : setsockopt(fd, IPPROTO_IPV6, IPV6_ADD_MEMBERSHIP, &m6, sizeof(m6)),
		                 0);
		if (!(four ? heard(t, 90, &m4.imr_multiaddr, 4) : heard(t, 90, &m6.ipv6mr_multiaddr, 16)))
			fail_msg("%s version %s says nothing of a group joined", force[i][0], force[i][1]);
		close(fd);
	}
	tap_close(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_types),
	    cmocka_unit_test(test_cut_short),
	    cmocka_unit_test(test_others),
	    cmocka_unit_test(test_kernel),
	};
	alarm(60);
	return cmocka_run_group_tests_name("snoop", tests, private_net, NULL);
}
