/* Port mapping against routers on loopback addresses that answer well, badly or not at all: the bytes of PCP, the life of one lease with a clock
 * of ours, and the thread that keeps several. UPnP and real routers are met in network namespaces. */
#include "node/mapping.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "node/mapping_parts.h"
#include "proto/base/heap.h"
#include "proto/endpoint.h"
#include "proto/seal.h"
#include "test/unit/gateway_fake.h"

#define PORT 9993

/* ---- PCP's bytes ---- */

static const struct pcp_map asked = {
    .nonce = "abcdefghijkl", .internal = {.family = 4, .port = 0x1234, .ip = {192, 0, 2, 7}}, .lifetime_s = 7200};

static void test_encode(void **state)
{
	(void)state;
	static const uint8_t want[60] = "\x02\x01\0\0\0\0\x1c\x20\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\0\x02\x07"
					"abcdefghijkl\x11\0\0\0\x12\x34\x56\x78\0\0\0\0\0\0\0\0\0\0\xff\xff\xcb\0\x71\x05";
	uint8_t got[60];
	struct pcp_map map = asked;
	map.wanted = (struct endpoint){.family = 4, .port = 0x5678, .ip = {203, 0, 113, 5}};
	pcp_map_encode(&map, got);
	assert_memory_equal(got, want, 60);
	map.lifetime_s = 0; /* a deletion names no address outside (RFC 6887, 15.1) */
	pcp_map_encode(&map, got);
	assert_memory_equal(got + 4, "\0\0\0\0", 4);
	assert_memory_equal(got + 24, want + 24, 18);
	assert_memory_equal(got + 42, "\0\0\0\0\0\0\0\0\0\0\0\0\xff\xff\0\0\0\0", 18);

	struct pcp_map six = {.internal = {.family = 6, .port = 1, .ip = {0x20, 1, 0xd, 0xb8, [15] = 9}}, .lifetime_s = 1};
	six.wanted = six.internal;
	pcp_map_encode(&six, got);
	assert_memory_equal(got + 8, six.internal.ip, 16);
	assert_memory_equal(got + 44, six.internal.ip, 16);
}

static void answer_to(uint8_t to[60])
{
	pcp_map_encode(&asked, to);
	to[1] |= 0x80;
	memset(to + 8, 0, 16);
	to[11] = 99;
	memcpy(to + 42, "\x43\x21\0\0\0\0\0\0\0\0\0\0\xff\xff\x08\x08\x04\x04", 18);
}

static void test_parse(void **state)
{
	(void)state;
	uint8_t good[60], bad[1104] = {0};
	struct pcp_answer a;
	answer_to(good);
	assert_int_equal(pcp_parse(good, 60, &asked, &a), PCP_MAPPED);
	assert_int_equal(a.lifetime_s, 7200);
	assert_int_equal(a.epoch_s, 99);
	assert_int_equal(a.external.family, 4);
	assert_int_equal(a.external.port, 0x4321);
	assert_memory_equal(a.external.ip, "\x08\x08\x04\x04\0\0\0\0\0\0\0\0\0\0\0\0", 16);
	for (size_t len = 0; len < 60; len++)
		assert_int_equal(pcp_parse(good, len, &asked, &a), PCP_NOTHING);
	memcpy(bad, good, 60);
	assert_int_equal(pcp_parse(bad, 64, &asked, &a), PCP_MAPPED); /* with an option */
	assert_int_equal(pcp_parse(bad, 62, &asked, &a), PCP_NOTHING);
	assert_int_equal(pcp_parse(bad, 1100, &asked, &a), PCP_MAPPED);
	assert_int_equal(pcp_parse(bad, 1104, &asked, &a), PCP_NOTHING);
	/* What an answer must repeat: version, opcode, nonce, protocol, port. */
	static const unsigned repeated[] = {0, 1, 24, 27, 35, 36, 40, 41};
	for (unsigned i = 0; i < sizeof(repeated) / sizeof(repeated[0]); i++) {
		memcpy(bad, good, 60);
		bad[repeated[i]] ^= 0x81;
		struct pcp_answer untouched = {.result = 77}, is = untouched;
		assert_int_equal(pcp_parse(bad, 60, &asked, &is), PCP_NOTHING);
		assert_memory_equal(&is, &untouched, sizeof(is));
	}
	for (unsigned result = 2; result < 256; result++) {
		memcpy(bad, good, 60);
		bad[3] = (uint8_t)result;
		assert_int_equal(pcp_parse(bad, 60, &asked, &a), PCP_REFUSED);
		assert_int_equal(a.result, result);
		assert_int_equal(a.lifetime_s, 1800); /* 7200 is too long for a refusal */
		assert_true(*pcp_result_text(a.result) != 0);
	}
	memcpy(bad, good, 60);
	bad[3] = 1;
	assert_int_equal(pcp_parse(bad, 60, &asked, &a), PCP_VERSION);
	assert_int_equal(pcp_parse((const uint8_t *)"\0\x81\0\1\0\0\0\5", 8, &asked, &a), PCP_VERSION);
	assert_int_equal(pcp_parse((const uint8_t *)"\0\x81\0\0\0\0\0\5", 8, &asked, &a), PCP_NOTHING);
	memcpy(bad, good, 60);
	memset(bad + 4, 0xff, 4);
	assert_int_equal(pcp_parse(bad, 60, &asked, &a), PCP_MAPPED);
	assert_int_equal(a.lifetime_s, 86400);
}

static void test_clock(void **state)
{
	(void)state;
	struct pcp_clock c = {.known = false};
	assert_true(pcp_clock_ok(&c, 500, 10000));
	assert_true(pcp_clock_ok(&c, 510, 20000));
	assert_true(pcp_clock_ok(&c, 509, 20000)); /* a second of jitter */
	assert_false(pcp_clock_ok(&c, 507, 20000));
	assert_true(pcp_clock_ok(&c, 507, 20000)); /* that was taken as the new one */
	assert_true(pcp_clock_ok(&c, 507 + 3600, 20000 + 3600000));
	assert_true(pcp_clock_ok(&c, 507 + 3600 + 3400, 20000 + 7200000)); /* it is a little slow */
	assert_false(pcp_clock_ok(&c, 507 + 7000 + 60, 20000 + 10800000)); /* it stood, or started anew and is where it was */
	assert_false(pcp_clock_ok(&c, 507 + 7060 + 7200, 20000 + 10801000));
	assert_true(pcp_clock_ok(&c, UINT32_MAX, 20000 + 10801000 + (uint64_t)(UINT32_MAX - 14767) * 1000));
	assert_false(pcp_clock_ok(&c, 0, 1));
}

static void test_announcement(void **state)
{
	(void)state;
	uint8_t pcp[24] = {2, 0x80}, old[12] = {0, 0x80};
	assert_true(pcp_announces(pcp, 24));
	assert_false(pcp_announces(pcp, 23));
	pcp[3] = 1;
	assert_false(pcp_announces(pcp, 24));
	memcpy(pcp, "\2\0\0\0", 4); /* a request */
	assert_false(pcp_announces(pcp, 24));
	memcpy(pcp, "\2\x81\0\0", 4);
	assert_false(pcp_announces(pcp, 24));
	assert_true(pcp_announces(old, 12));
	assert_false(pcp_announces(old, 11));
	assert_false(pcp_announces(old, 0));
	old[3] = 3;
	assert_false(pcp_announces(old, 12));
}

/* Whoever answers a search is sent to nothing but the gateway. */
static void test_upnp_host(void **state)
{
	(void)state;
	assert_true(upnp_at_host("http://192.0.2.1:5000/rootDesc.xml", "192.0.2.1"));
	assert_true(upnp_at_host("http://192.0.2.1/ctl", "192.0.2.1"));
	assert_false(upnp_at_host("http://192.0.2.11:5000/", "192.0.2.1"));
	assert_false(upnp_at_host("http://192.0.2.1", "192.0.2.1"));
	assert_false(upnp_at_host("http://192.0.2.1@198.51.100.1/", "192.0.2.1"));
	assert_false(upnp_at_host("http://192.0.2.1:80@198.51.100.1/", "192.0.2.1"));
	assert_false(upnp_at_host("http://192.0.2.1.example.net/", "192.0.2.1"));
	assert_false(upnp_at_host("https://192.0.2.1/", "192.0.2.1"));
	assert_false(upnp_at_host("http://198.51.100.1/192.0.2.1/", "192.0.2.1"));
	assert_false(upnp_at_host("", "192.0.2.1"));
	assert_false(upnp_at_host(NULL, "192.0.2.1"));
}

/* ---- one lease, with a clock of ours ---- */

static struct gateway way_to(const char *ip)
{
	struct gateway way = {.family = 4, .ifindex = 1, .source = {127, 0, 0, 1}};
	assert_int_equal(inet_pton(AF_INET, ip, way.ip), 1);
	return way;
}

static void lease_at(struct lease *l, const struct fake *f, int *wake_fd)
{
	struct gateway way = way_to(f->ip);
	*wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	assert_true(*wake_fd >= 0);
	lease_init(l, &way, PORT, *wake_fd);
}

/* Gives answers up to a second of real time to come while ours stands at now. */
static void lease_settle(struct lease *l, uint64_t now)
{
	for (unsigned i = 0; i < 100; i++) {
		struct pollfd fds[LEASE_DESCRIPTORS];
		unsigned n = lease_descriptors(l, fds);
		if (!n || poll(fds, n, 10) < 0)
			break;
		lease_run(l, now);
	}
}

static void test_renewal(void **state)
{
	(void)state;
	struct fake f;
	struct lease l;
	int wake_fd;
	uint64_t now = 1000000;
	fake_open(&f, 1, GOOD, SILENT);
	f.lifetime = 120; /* asked for 7200 */
	f.shift = 7;
	lease_at(&l, &f, &wake_fd);
	lease_ask(&l, now);
	lease_settle(&l, now);
	assert_true(l.held);
	assert_int_equal(l.by, MAPPING_PCP);
	assert_int_equal(l.external.port, PORT + 7);
	assert_int_equal(l.expires_ms, now + 120000);
	assert_int_equal(l.next_ms, now + 60000);
	assert_int_equal(lease_deadline(&l, now), now + 60000);
	assert_false(lease_busy(&l));

	/* Nothing is sent before; then the same nonce, and the same port is wanted. */
	uint8_t first[60];
	memcpy(first, f.last, 60);
	lease_run(&l, now + 59999);
	assert_false(lease_busy(&l));
	now += 60000;
	lease_run(&l, now);
	assert_true(lease_busy(&l));
	lease_settle(&l, now);
	assert_int_equal(f.maps, 2);
	assert_memory_equal(f.last + 24, first + 24, 12);
	assert_int_equal(f.last[42] << 8 | f.last[43], PORT + 7);
	assert_int_equal(l.next_ms, now + 60000);
	assert_int_equal(l.expires_ms, now + 120000);

	/* A renewal that nobody answers leaves what is held until it expires, and is tried again before. */
	f.pcp = SILENT;
	now += 60000;
	lease_run(&l, now);
	lease_run(&l, now + 6000);
	assert_true(l.held);
	lease_run(&l, now + 25000);
	assert_true(l.held);
	assert_false(lease_busy(&l));
	assert_int_equal(l.next_ms, now + 25000 + 60000);
	lease_run(&l, now + 59999);
	assert_true(l.held);
	assert_int_equal(lease_deadline(&l, now + 59999), now + 60000);
	lease_run(&l, now + 60000);
	assert_false(l.held);

	/* Back again. */
	f.pcp = GOOD;
	now += 85000;
	lease_run(&l, now);
	lease_settle(&l, now);
	assert_true(l.held);
	lease_fini(&l);
	close(wake_fd);
	fake_close(&f);
}

static void test_tiny_lifetime(void **state)
{
	(void)state;
	struct fake f;
	struct lease l;
	int wake_fd;
	fake_open(&f, 2, GOOD, SILENT);
	f.lifetime = 1;
	lease_at(&l, &f, &wake_fd);
	lease_ask(&l, 5000);
	lease_settle(&l, 5000);
	assert_true(l.held);
	assert_int_equal(l.next_ms, 5000 + 4000); /* never more often */
	f.lifetime = 0;
	lease_ask(&l, 6000);
	lease_settle(&l, 6000);
	assert_false(l.held && l.expires_ms > 6000);
	assert_int_equal(l.answer[MAPPING_PCP], MAPPING_NO);
	lease_fini(&l);
	close(wake_fd);
	fake_close(&f);
}

static void test_refused_and_alone(void **state)
{
	(void)state;
	struct fake f;
	struct lease l;
	int wake_fd;
	uint64_t now = 1000000;
	fake_open(&f, 3, NO_RESOURCES, NO_RESOURCES);
	lease_at(&l, &f, &wake_fd);
	lease_ask(&l, now);
	lease_settle(&l, now);
	assert_int_equal(l.answer[MAPPING_PCP], MAPPING_NO);
	assert_string_equal(l.error[MAPPING_PCP], "the gateway has no ports left");
	assert_int_equal(l.answer[MAPPING_NAT_PMP], MAPPING_NO);
	assert_int_equal(f.old_maps, 0);
	lease_run(&l, now + 25000);
	assert_false(lease_busy(&l));
	assert_int_equal(l.next_ms, now + 25000 + 60000); /* a refusal of 30 s holds for a minute */

	/* Where nobody answers the pauses grow up to four hours. */
	f.pcp = f.nat_pmp = SILENT;
	uint64_t pauses[6] = {1800000, 3600000, 7200000, 14400000, 14400000, 14400000};
	now = l.next_ms;
	for (unsigned i = 0; i < 6; i++) {
		lease_run(&l, now);
		assert_true(lease_busy(&l));
		lease_run(&l, now + 6000);
		assert_string_equal(l.error[MAPPING_PCP], "the gateway does not answer");
		assert_string_equal(l.error[MAPPING_NAT_PMP], "the gateway does not answer");
		lease_run(&l, now + 25000);
		assert_int_equal(l.next_ms, now + 25000 + pauses[i]);
		now = l.next_ms;
	}
	lease_fini(&l);
	close(wake_fd);
	fake_close(&f);
}

static void test_retransmission(void **state)
{
	(void)state;
	static const uint64_t at[] = {250, 750, 1750, 3750};
	struct fake f;
	struct lease l;
	int wake_fd;
	fake_open(&f, 4, SILENT, SILENT);
	lease_at(&l, &f, &wake_fd);
	lease_ask(&l, 1000);
	for (unsigned i = 0; i < 4; i++) {
		lease_run(&l, 1000 + at[i] - 1);
		assert_int_equal(l.pcp_sent, i + 1);
		assert_true(lease_deadline(&l, 1000 + at[i] - 1) <= 1000 + at[i]);
		lease_run(&l, 1000 + at[i]);
		assert_int_equal(l.pcp_sent, i + 2);
	}
	lease_run(&l, 1000 + 5999);
	assert_true(l.pcp_fd >= 0);
	lease_run(&l, 1000 + 6000);
	assert_int_equal(l.pcp_fd, -1);
	lease_fini(&l);
	close(wake_fd);
	fake_close(&f);
}

/* ---- the thread ---- */

struct bed {
	struct mapping *mapping;
	struct gateway way[8];
	atomic_uint n_ways, notified, read;
};

static int ways_of(void *self, struct gateway *ret, unsigned room)
{
	struct bed *b = self;
	unsigned n = b->n_ways;
	assert_true(n <= room);
	memcpy(ret, b->way, n * sizeof(ret[0]));
	atomic_fetch_add(&b->read, 1);
	return (int)n;
}

static void notified(void *self)
{
	struct bed *b = self;
	atomic_fetch_add(&b->notified, 1);
}

static void bed_open(struct bed *b, struct fake *fakes, unsigned n, const uint16_t *ports, unsigned n_ports)
{
	struct endpoint bound[4] = {{0}};
	memset(b, 0, sizeof(*b));
	for (unsigned i = 0; i < n; i++)
		b->way[i] = way_to(fakes[i].ip);
	b->n_ways = n;
	for (unsigned i = 0; i < n_ports; i++)
		bound[i] = (struct endpoint){.family = 4, .port = ports[i]};
	struct mapping_config config = {.bound = bound, .n_bound = n_ports, .gateways = ways_of, .notify = notified, .self = b};
	assert_int_equal(mapping_new(&b->mapping, &config), 0);
}

static uint64_t now_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static unsigned held(struct bed *b, struct endpoint ret[MAPPED_MAX])
{
	struct endpoint waste[MAPPED_MAX];
	return mapping_endpoints(b->mapping, ret ? ret : waste);
}

/* On a machine without other work; four times as long is waited. */
#define within(ms, condition)                                                                                                              \
	do {                                                                                                                               \
		uint64_t end_ = now_ms() + 4 * (ms);                                                                                       \
		while (!(condition) && now_ms() < end_)                                                                                    \
			usleep(5000);                                                                                                      \
		if (!(condition))                                                                                                          \
			fail_msg("not within %d ms: %s", 4 * (int)(ms), #condition);                                                       \
	} while (0)

static void bed_close(struct bed *b)
{
	uint64_t began = now_ms();
	mapping_free(b->mapping);
	assert_true(now_ms() - began < 1000);
}

static const uint16_t one_port[] = {PORT};

static void test_pcp(void **state)
{
	(void)state;
	struct fake f;
	struct bed b;
	struct endpoint e[MAPPED_MAX];
	struct mapping_view v;
	fake_open(&f, 10, GOOD, SILENT);
	f.shift = 100;
	bed_open(&b, &f, 1, one_port, 1);
	within(2000, held(&b, e) == 1);
	assert_int_equal(e[0].port, PORT + 100);
	assert_memory_equal(e[0].ip, "\x08\x08\x04\x04", 4);
	within(500, b.notified == 1);
	mapping_view(b.mapping, &v);
	assert_true(v.on && !v.asking && !v.no_gateway);
	assert_int_equal(v.protocol[MAPPING_PCP].answer, MAPPING_YES);
	assert_int_equal(v.protocol[MAPPING_UPNP].answer, MAPPING_UNKNOWN);
	assert_int_equal(v.n_held, 1);
	assert_int_equal(v.held[0].by, MAPPING_PCP);
	assert_true(v.held[0].global);
	assert_true(v.held[0].left_s > 7190 && v.held[0].left_s <= 7200);
	assert_memory_equal(v.held[0].gateway.ip, "\x7f\x09\0\x0a", 4);
	assert_memory_equal(v.held[0].internal.ip, "\x7f\0\0\1", 4);
	assert_int_equal(v.held[0].internal.port, PORT);
	assert_int_equal(f.asked_port, PORT);
	assert_int_equal(f.maps, 1);
	assert_int_equal(f.old_maps, 0); /* one mapping, not two */
	uint8_t nonce[12];
	memcpy(nonce, f.last + 24, 12);
	bed_close(&b);
	assert_int_equal(f.deletes, 1);
	assert_memory_equal(f.last + 24, nonce, 12);
	fake_close(&f);
}

static void test_old_gateway(void **state)
{
	(void)state;
	struct fake f;
	struct bed b;
	struct endpoint e[MAPPED_MAX];
	struct mapping_view v;
	fake_open(&f, 11, OLD, GOOD);
	f.shift = 3;
	bed_open(&b, &f, 1, one_port, 1);
	within(1000, held(&b, e) == 1);
	assert_int_equal(e[0].port, PORT + 3);
	assert_memory_equal(e[0].ip, "\x08\x08\x04\x04", 4);
	mapping_view(b.mapping, &v);
	assert_int_equal(v.protocol[MAPPING_PCP].answer, MAPPING_NO);
	assert_string_equal(v.protocol[MAPPING_PCP].error, "the gateway speaks another version");
	assert_int_equal(v.protocol[MAPPING_NAT_PMP].answer, MAPPING_YES);
	assert_int_equal(v.held[0].by, MAPPING_NAT_PMP);
	bed_close(&b);
	assert_int_equal(f.old_deletes, 1);
	assert_int_equal(f.old_maps, 1);
	fake_close(&f);
}

/* PCP that only stays silent is given a moment before NAT-PMP makes the mapping. */
static void test_silent_pcp(void **state)
{
	(void)state;
	struct fake f;
	struct bed b;
	fake_open(&f, 12, SILENT, GOOD);
	bed_open(&b, &f, 1, one_port, 1);
	within(1000, held(&b, NULL) == 1);
	assert_int_equal(f.old_maps, 1);
	bed_close(&b);
	fake_close(&f);
}

/* Six gateways at once, of which one tells the truth and one has a private address outside. */
static void test_liars(void **state)
{
	(void)state;
	static const enum manner manners[] = {WRONG_NONCE, WRONG_SOURCE, WRONG_PORT, TRUNCATED, NOWHERE, GOOD, GOOD};
	struct fake f[7];
	struct bed b;
	struct endpoint e[MAPPED_MAX];
	struct mapping_view v;
	for (unsigned i = 0; i < 7; i++)
		fake_open(&f[i], 20 + i, manners[i], SILENT);
	f[5].outside = inet_addr("100.64.3.2");
	bed_open(&b, f, 7, one_port, 1);
	within(2000, held(&b, e) == 2);
	for (unsigned i = 0; i < 5; i++)
		within(7000, f[i].maps >= (manners[i] == NOWHERE ? 1 : 4));
	assert_int_equal(held(&b, e), 2);
	assert_memory_equal(e[0].ip, "\x08\x08\x04\x04", 4); /* the global one first, whatever the order of gateways */
	assert_memory_equal(e[1].ip, "\x64\x40\3\2", 4);
	mapping_view(b.mapping, &v);
	assert_true(v.held[0].global);
	assert_false(v.held[1].global);
	bed_close(&b);
	for (unsigned i = 0; i < 7; i++) {
		assert_int_equal(f[i].deletes, i >= 5);
		fake_close(&f[i]);
	}
}

/* One mapping's renewal shows that the gateway forgot everything: the other is asked for again; so is one whose gateway says so to all. */
static void test_gateway_restart(void **state)
{
	(void)state;
	static const uint16_t ports[] = {PORT, PORT + 1};
	static const uint8_t announcement[24] = {2, 0x80};
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(PCP_ANNOUNCE_PORT), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct fake f[3];
	struct bed b;
	for (unsigned i = 0; i < 3; i++)
		fake_open(&f[i], 30 + i, GOOD, SILENT);
	f[0].lifetime_of_port = (unsigned)PORT << 16 | 8; /* asked again after 4 s */
	bed_open(&b, f, 3, ports, 2);
	within(2000, held(&b, NULL) == 6);
	f[0].epoch = 1;
	assert_int_equal(sendto(f[1].fd, announcement, 24, 0, (struct sockaddr *)&to, sizeof(to)), 24);
	assert_int_equal(sendto(f[2].stranger_fd, announcement, 24, 0, (struct sockaddr *)&to, sizeof(to)), 24);
	within(9000, f[0].maps >= 4 && f[1].maps == 4);
	assert_int_equal(f[2].maps, 2);
	assert_int_equal(held(&b, NULL), 6);
	bed_close(&b);
	for (unsigned i = 0; i < 3; i++)
		fake_close(&f[i]);
}

static void test_kick(void **state)
{
	(void)state;
	struct fake f[2];
	struct bed b;
	struct endpoint e[MAPPED_MAX];
	struct mapping_view v;
	fake_open(&f[0], 40, GOOD, SILENT);
	fake_open(&f[1], 41, GOOD, SILENT);
	f[1].outside = inet_addr("9.9.9.9");
	bed_open(&b, f, 1, one_port, 1);
	within(2000, held(&b, e) == 1);
	b.way[0] = way_to(f[1].ip); /* another network */
	mapping_kick(b.mapping);
	within(2000, held(&b, e) == 1 && e[0].ip[0] == 9);
	within(500, b.notified >= 2);
	assert_int_equal(f[0].deletes, 0); /* it is out of reach */
	b.n_ways = 0;
	mapping_kick(b.mapping);
	within(2000, held(&b, e) == 0);
	mapping_view(b.mapping, &v);
	assert_true(v.no_gateway);
	unsigned read = b.read;
	usleep(300000);
	assert_int_equal(b.read, read); /* it sleeps */
	bed_close(&b);
	fake_close(&f[0]);
	fake_close(&f[1]);
}

static void test_hanging_gateway(void **state)
{
	(void)state;
	struct fake f[2];
	struct bed b;
	fake_open(&f[0], 50, SILENT, SILENT);
	fake_open(&f[1], 51, GOOD, SILENT);
	bed_open(&b, f, 2, one_port, 1);
	within(2000, held(&b, NULL) == 1);
	usleep(1200000); /* UPnP has begun to look for the first one */
	f[1].pcp = SILENT;
	bed_close(&b); /* within a second */
	fake_close(&f[0]);
	fake_close(&f[1]);
}

/* A socket of one address only takes what comes to that one. */
static void test_bound_elsewhere(void **state)
{
	(void)state;
	struct fake f;
	struct bed b = {.n_ways = 1};
	const struct endpoint bound[2] = {{.family = 4, .port = PORT, .ip = {127, 0, 0, 2}}, {.family = 6, .port = PORT}};
	fake_open(&f, 60, GOOD, SILENT);
	b.way[0] = way_to(f.ip);
	struct mapping_config config = {.bound = bound, .n_bound = 2, .gateways = ways_of, .notify = notified, .self = &b};
	assert_int_equal(mapping_new(&b.mapping, &config), 0);
	within(2000, b.read == 1);
	usleep(200000);
	assert_int_equal(f.maps + f.addresses, 0);
	bed_close(&b);
	fake_close(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_encode),
	    cmocka_unit_test(test_parse),
	    cmocka_unit_test(test_clock),
	    cmocka_unit_test(test_announcement),
	    cmocka_unit_test(test_upnp_host),
	    cmocka_unit_test(test_renewal),
	    cmocka_unit_test(test_tiny_lifetime),
	    cmocka_unit_test(test_refused_and_alone),
	    cmocka_unit_test(test_retransmission),
	    cmocka_unit_test(test_pcp),
	    cmocka_unit_test(test_old_gateway),
	    cmocka_unit_test(test_silent_pcp),
	    cmocka_unit_test(test_liars),
	    cmocka_unit_test(test_gateway_restart),
	    cmocka_unit_test(test_kick),
	    cmocka_unit_test(test_hanging_gateway),
	    cmocka_unit_test(test_bound_elsewhere),
	};
	if (seal_setup() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
