/* guard_test.c: each rule of guard.c both ways, and every way around it that RFC 7113 and CVE-2021-27853 ff. name; upper.c through it.
 *
 * Frames are laid down byte by byte by small builders; none of them shares code with the parser.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "node/guard.h"
#include "node/upper.h"

#define NWID    0xd1e2f30415000007u
#define ADDRESS 0x1234567890u

static const uint8_t mine[6] = {0x02, 0x11, 0x22, 0x33, 0x44, 0x55}, other_mac[6] = {0x02, 0x99, 0x22, 0x33, 0x44, 0x55};
static const uint8_t ip4[4] = {10, 7, 0, 5}, other4[4] = {10, 7, 0, 6}, none[16];
static const uint8_t ip6[16] = {0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5};
static const uint8_t other6[16] = {0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 6};
static const uint8_t link_local[16] = {0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0x00, 0x11, 0x22, 0xff, 0xfe, 0x33, 0x44, 0x55};
static const uint8_t link_other[16] = {0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0x00, 0x99, 0x22, 0xff, 0xfe, 0x33, 0x44, 0x55};

/* ---- builders --------------------------------------------------------------------------------------------------- */

static uint8_t frame[2048];
static size_t len;

static void add(const void *bytes, size_t n)
{
	memcpy(frame + len, bytes, n);
	len += n;
}

static void add8(unsigned v)
{
	frame[len++] = (uint8_t)v;
}

static void add16(unsigned v)
{
	add8(v >> 8);
	add8(v);
}

static void addz(size_t n)
{
	memset(frame + len, 0, n);
	len += n;
}

static void macs(void)
{
	len = 0;
	memset(frame, 0xff, 6);
	len = 6;
	add(mine, 6);
}

static void ether(unsigned type)
{
	macs();
	add16(type);
}

static size_t begin4(const uint8_t source[4], unsigned protocol, unsigned fragment)
{
	size_t at = len;
	add8(0x45);
	add8(0);
	add16(0);
	add16(77);
	add16(fragment);
	add8(64);
	add8(protocol);
	add16(0);
	add(source, 4);
	memset(frame + len, 0xff, 4);
	len += 4;
	return at;
}

static void end4(size_t at)
{
	frame[at + 2] = (uint8_t)((len - at) >> 8);
	frame[at + 3] = (uint8_t)(len - at);
}

static size_t begin6(const uint8_t source[16], unsigned next)
{
	size_t at = len;
	add8(0x60);
	addz(3);
	add16(0);
	add8(next);
	add8(255);
	add(source, 16);
	add8(0xff);
	add8(2);
	addz(13);
	add8(1);
	return at;
}

static void end6(size_t at)
{
	frame[at + 4] = (uint8_t)((len - at - 40) >> 8);
	frame[at + 5] = (uint8_t)(len - at - 40);
}

static void extension(unsigned next, unsigned units)
{
	add8(next);
	add8(units);
	addz(6 + units * 8u);
}

static void fragment6(unsigned next, unsigned place, bool more)
{
	add8(next);
	add8(0);
	add16(place << 3 | more);
	addz(4);
}

static void icmp6(unsigned type, size_t body)
{
	add8(type);
	addz(3 + body);
}

static void udp(unsigned from, unsigned to, size_t body)
{
	add16(from);
	add16(to);
	add16((unsigned)(8 + body));
	addz(2 + body);
}

static void dhcp4(const uint8_t source[4], unsigned from, unsigned to)
{
	ether(TYPE_IPV4);
	size_t at = begin4(source, 17, 0);
	udp(from, to, 240);
	end4(at);
}

static void dhcp6(unsigned from, unsigned to)
{
	ether(TYPE_IPV6);
	size_t at = begin6(link_local, 17);
	udp(from, to, 60);
	end6(at);
}

/* ICMPv6 without anything in between. */
static void plain6(const uint8_t source[16], unsigned type)
{
	ether(TYPE_IPV6);
	size_t at = begin6(source, 58);
	icmp6(type, 36);
	end6(at);
}

static void discovery(const uint8_t source[16], unsigned type, const uint8_t target[16], unsigned option, const uint8_t mac[6])
{
	ether(TYPE_IPV6);
	size_t at = begin6(source, 58);
	add8(type);
	addz(7);
	if (target)
		add(target, 16);
	if (option) {
		add8(option);
		add8(1);
		add(mac, 6);
	}
	end6(at);
}

static void arp(unsigned type, unsigned op, const uint8_t mac[6], const uint8_t sender[4], const uint8_t target[4])
{
	ether(type);
	add16(1);
	add16(0x0800);
	add8(6);
	add8(4);
	add16(op);
	add(mac, 6);
	add(sender, 4);
	addz(6);
	add(target, 4);
	addz(18);
}

/* ---- asking ----------------------------------------------------------------------------------------------------- */

static struct owned *owned;

static enum drop ask(uint32_t network, uint32_t member)
{
	/* At the end of memory of its own: a byte too far is the sanitizer's. */
	struct guard g = {network, member, owned};
	uint8_t *copy = malloc(len);
	assert_non_null(copy);
	memcpy(copy, frame, len);
	enum drop d = guard_frame(&g, copy, len);
	free(copy);
	return d;
}

#define refused(why, network, member) assert_int_equal(ask(network, member), DROP_##why)
#define passes(network, member)       assert_int_equal(ask(network, member), DROP_NONE)

static int setup(void **state)
{
	(void)state;
	struct cred cred = {.n_ips = 2, .ips = {{.family = 4, .bits = 24}, {.family = 6, .bits = 64}}};
	memcpy(cred.ips[0].ip, ip4, 4);
	memcpy(cred.ips[1].ip, ip6, 16);
	owned = owned_new(NWID, ADDRESS, &cred);
	return owned ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	free(owned);
	return 0;
}

/* ---- router announcements --------------------------------------------------------------------------------------- */

static void router_right(void **state)
{
	(void)state;
	static const unsigned types[] = {134, 137};
	for (int i = 0; i < 2; i++) {
		plain6(link_local, types[i]);
		refused(RA_GUARD, 0, 0);
		refused(RA_GUARD, 0, MEMBER_DHCP_SERVER | MEMBER_BRIDGE | MEMBER_ANCHOR | MEMBER_IP_GUARD_EXEMPT);
		passes(0, MEMBER_ROUTER);
		passes(0, MEMBER_ROUTER | MEMBER_BRIDGE);
		passes(NETWORK_NO_RA_GUARD, 0);
		refused(RA_GUARD, NETWORK_NO_DHCP_GUARD, 0);
	}
	static const unsigned others[] = {1, 128, 129, 130, 131, 132, 133, 135, 136, 138, 143};
	for (unsigned i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		plain6(link_local, others[i]);
		passes(0, 0);
	}
}

static void behind_extensions(void **state)
{
	(void)state;
	static const uint8_t kinds[] = {0, 43, 60, 51, 135, 139, 140};
	for (unsigned k = 0; k < sizeof(kinds); k++)
		for (unsigned type = 134; type <= 135; type++) {
			ether(TYPE_IPV6);
			size_t at = begin6(link_local, kinds[k]);
			/* 51 counts its length in four bytes, less two: 4 of them are 24 bytes, as 2 of the others are. */
			add8(58);
			add8(kinds[k] == 51 ? 4 : 2);
			addz(22);
			icmp6(type, 12);
			end6(at);
			if (type == 134)
				refused(RA_GUARD, 0, 0);
			else
				passes(0, 0);
			passes(0, MEMBER_ROUTER);
		}
}

static void many_extensions(void **state)
{
	(void)state;
	for (unsigned n = 0; n <= UPPER_HEADERS_MAX + 1; n++) {
		for (unsigned type = 128; type <= 134; type += 6) {
			ether(TYPE_IPV6);
			size_t at = begin6(link_local, n ? 60 : 58);
			for (unsigned i = 0; i < n; i++)
				extension(i + 1 < n ? 60 : 58, 0);
			icmp6(type, 12);
			end6(at);
			if (type == 134 || n > UPPER_HEADERS_MAX)
				refused(RA_GUARD, 0, 0);
			else
				passes(0, 0);
		}
	}
	refused(DHCP_GUARD, NETWORK_NO_RA_GUARD, 0); /* could be that as well */
	refused(IP_GUARD, NETWORK_NO_RA_GUARD | NETWORK_NO_DHCP_GUARD | NETWORK_IP_GUARD, 0);
	passes(0, MEMBER_ROUTER | MEMBER_DHCP_SERVER);
}

static void in_fragments(void **state)
{
	(void)state;
	ether(TYPE_IPV6); /* the first one, with the header in it */
	size_t at = begin6(link_local, 44);
	fragment6(58, 0, true);
	icmp6(134, 12);
	end6(at);
	refused(RA_GUARD, 0, 0);
	passes(0, MEMBER_ROUTER);
	ether(TYPE_IPV6); /* an atomic one */
	at = begin6(link_local, 44);
	fragment6(58, 0, false);
	icmp6(134, 12);
	end6(at);
	refused(RA_GUARD, 0, 0);
	ether(TYPE_IPV6); /* the first one ends within the chain: undeterminable */
	at = begin6(link_local, 44);
	fragment6(60, 0, true);
	extension(58, 0);
	end6(at);
	refused(RA_GUARD, 0, 0);
	passes(0, MEMBER_ROUTER | MEMBER_DHCP_SERVER);
	ether(TYPE_IPV6); /* within an extension header */
	at = begin6(link_local, 44);
	fragment6(60, 0, true);
	add8(58);
	add8(9);
	addz(6);
	end6(at);
	refused(RA_GUARD, 0, 0);
	ether(TYPE_IPV6); /* the same where what is missing seems to follow as padding of the frame, and looks harmless there */
	at = begin6(link_local, 44);
	fragment6(60, 0, true);
	end6(at);
	extension(6, 0);
	addz(20);
	refused(RA_GUARD, 0, 0);
	ether(TYPE_IPV6); /* a later one has no header to look at, and is worth nothing without the first */
	at = begin6(link_local, 44);
	fragment6(58, 3, false);
	icmp6(134, 12);
	end6(at);
	passes(0, 0);
	ether(TYPE_IPV6); /* an echo in fragments is none of this */
	at = begin6(link_local, 44);
	fragment6(58, 0, true);
	icmp6(128, 60);
	end6(at);
	passes(0, 0);
}

static void behind_tags(void **state)
{
	(void)state;
	static const uint8_t snap[6] = {0xaa, 0xaa, 3, 0, 0, 0}, snap8021h[6] = {0xaa, 0xaa, 3, 0, 0, 0xf8};
	for (unsigned tags = 0; tags <= UPPER_TAGS_MAX + 1; tags++)
		for (unsigned type = 134; type <= 135; type++) {
			macs();
			for (unsigned i = 0; i < tags; i++) {
				add16(i % 2 ? 0x8100 : 0x88a8);
				add16(i % 3 ? 0 : 7);
			}
			add16(TYPE_IPV6);
			size_t at = begin6(link_local, 58);
			icmp6(type, 12);
			end6(at);
			if (type == 134 || tags > UPPER_TAGS_MAX)
				refused(RA_GUARD, 0, 0);
			else
				passes(0, 0);
		}
	for (int i = 0; i < 2; i++) {
		macs();
		add16(8 + 40 + 16);
		add(i ? snap8021h : snap, 6);
		add16(TYPE_IPV6);
		size_t at = begin6(link_local, 58);
		icmp6(134, 12);
		end6(at);
		refused(RA_GUARD, 0, 0);
		passes(0, MEMBER_ROUTER);
		macs(); /* a tag, SNAP, a tag, SNAP */
		for (int k = 0; k < 2; k++) {
			add16(0x8100);
			add16(0);
			add16(0x5ff);
			add(snap, 6);
		}
		add16(TYPE_IPV6);
		at = begin6(link_local, 58);
		icmp6(134, 12);
		end6(at);
		refused(RA_GUARD, 0, 0);
	}
}

static void other_protocols(void **state)
{
	(void)state;
	static const unsigned types[] = {0x8137, 0x8892, 0x88a4, 0x0842, 0x88cc, 0x88b5, 0x0806, 100, 0x5dc};
	for (unsigned i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		ether(types[i]);
		addz(50);
		passes(0, 0);
	}
	ether(0x0040); /* raw 802.3 of IPX */
	memset(frame + len, 0xff, 40);
	len += 40;
	passes(0, 0);
	ether(0x0025); /* LLC of NetBIOS */
	add16(0xf0f0);
	addz(48);
	passes(0, 0);
	static const uint8_t next[] = {6, 17, 50, 59, 89, 132, 253};
	for (unsigned i = 0; i < sizeof(next); i++) {
		ether(TYPE_IPV6);
		size_t at = begin6(link_local, next[i]);
		addz(40);
		end6(at);
		passes(0, 0);
	}
}

/* ---- DHCP ------------------------------------------------------------------------------------------------------- */

static void dhcp_right(void **state)
{
	(void)state;
	dhcp4(ip4, 67, 68);
	refused(DHCP_GUARD, 0, 0);
	refused(DHCP_GUARD, 0, MEMBER_ROUTER | MEMBER_BRIDGE | MEMBER_IP_GUARD_EXEMPT);
	refused(DHCP_GUARD, NETWORK_NO_RA_GUARD, 0);
	passes(0, MEMBER_DHCP_SERVER);
	passes(0, MEMBER_DHCP_SERVER | MEMBER_BRIDGE);
	passes(NETWORK_NO_DHCP_GUARD, 0);
	dhcp4(ip4, 12345, 68); /* clients do not look where it came from */
	refused(DHCP_GUARD, 0, 0);
	dhcp4(none, 68, 67); /* a client's question */
	passes(0, 0);
	dhcp4(ip4, 67, 67); /* a relay agent and its server */
	passes(0, 0);
	dhcp6(547, 546);
	refused(DHCP_GUARD, 0, 0);
	refused(DHCP_GUARD, 0, MEMBER_ROUTER);
	passes(0, MEMBER_DHCP_SERVER);
	passes(NETWORK_NO_DHCP_GUARD, 0);
	dhcp6(546, 547);
	passes(0, 0);
	dhcp6(547, 547);
	passes(0, 0);
}

static void dhcp_hidden(void **state)
{
	(void)state;
	ether(TYPE_IPV4); /* options in front */
	size_t at = begin4(ip4, 17, 0);
	frame[at] = 0x4f;
	addz(40);
	udp(67, 68, 240);
	end4(at);
	refused(DHCP_GUARD, 0, 0);
	passes(0, MEMBER_DHCP_SERVER);
	ether(TYPE_IPV4); /* the first fragment */
	at = begin4(ip4, 17, 0x2000);
	udp(67, 68, 16);
	end4(at);
	refused(DHCP_GUARD, 0, 0);
	ether(TYPE_IPV4); /* too short to tell, with padding behind it that tells something else */
	at = begin4(ip4, 17, 0x2000);
	end4(at);
	udp(5000, 5001, 20);
	refused(DHCP_GUARD, 0, 0);
	ether(TYPE_IPV4); /* a later one */
	at = begin4(ip4, 17, 1);
	udp(67, 68, 16);
	end4(at);
	passes(0, 0);
	ether(TYPE_IPV4); /* TCP with such ports */
	at = begin4(ip4, 6, 0);
	udp(67, 68, 16);
	end4(at);
	passes(0, 0);
	ether(0x8100);
	add16(42);
	add16(TYPE_IPV4);
	at = begin4(ip4, 17, 0);
	udp(67, 68, 240);
	end4(at);
	refused(DHCP_GUARD, 0, 0);
	ether(TYPE_IPV6);
	at = begin6(link_local, 0);
	extension(60, 1);
	extension(17, 0);
	udp(547, 546, 60);
	end6(at);
	refused(DHCP_GUARD, 0, 0);
	passes(0, MEMBER_DHCP_SERVER);
}

/* ---- addresses -------------------------------------------------------------------------------------------------- */

#define STRICT NETWORK_IP_GUARD
#define own_only()                                                                                                                         \
	do {                                                                                                                               \
		refused(IP_GUARD, STRICT, 0);                                                                                              \
		refused(IP_GUARD, STRICT, MEMBER_ANCHOR | MEMBER_RELAY | MEMBER_DHCP_SERVER | MEMBER_REPLICATOR);                          \
		passes(0, 0);                                                                                                              \
		passes(STRICT, MEMBER_ROUTER);                                                                                             \
		passes(STRICT, MEMBER_BRIDGE);                                                                                             \
		passes(STRICT, MEMBER_IP_GUARD_EXEMPT);                                                                                    \
	} while (0)

static void data4(const uint8_t source[4])
{
	ether(TYPE_IPV4);
	size_t at = begin4(source, 6, 0);
	addz(40);
	end4(at);
}

static void sources4(void **state)
{
	(void)state;
	static const uint8_t group[4] = {224, 0, 0, 1}, neighbour[4] = {10, 7, 0, 255};
	data4(ip4);
	passes(STRICT, 0);
	data4(other4);
	own_only();
	data4(neighbour); /* in the subnet of its prefix, but not its address */
	own_only();
	data4(group);
	own_only();
	data4(none);
	own_only();
	ether(TYPE_IPV4); /* in every fragment */
	end4(begin4(other4, 17, 100));
	own_only();
	dhcp4(none, 68, 67);
	passes(STRICT, 0);
	dhcp4(none, 68, 69);
	own_only();
	ether(TYPE_IPV4); /* IGMP before there is an address */
	size_t at = begin4(none, 2, 0);
	addz(8);
	end4(at);
	passes(STRICT, 0);
	ether(TYPE_IPV4);
	addz(10);
	own_only();
}

static void sources_of_nobody(void **state)
{
	(void)state;
	struct owned *kept = owned;
	owned = NULL;
	data4(ip4);
	own_only();
	plain6(ip6, 128);
	own_only();
	plain6(link_local, 128);
	passes(STRICT, 0);
	owned = kept;
}

static void arps(void **state)
{
	(void)state;
	arp(TYPE_ARP, 1, mine, ip4, other4);
	passes(STRICT, 0);
	arp(TYPE_ARP, 2, mine, ip4, other4);
	passes(STRICT, 0);
	arp(TYPE_ARP, 1, mine, ip4, ip4); /* announcement */
	passes(STRICT, 0);
	arp(TYPE_ARP, 1, mine, none, ip4); /* probe */
	passes(STRICT, 0);
	arp(TYPE_ARP, 1, mine, none, other4);
	own_only();
	arp(TYPE_ARP, 2, mine, other4, ip4);
	own_only();
	arp(TYPE_ARP, 1, mine, other4, other4);
	own_only();
	arp(TYPE_ARP, 2, other_mac, ip4, other4);
	own_only();
	arp(TYPE_RARP, 3, mine, none, none);
	passes(STRICT, 0);
	arp(TYPE_RARP, 3, other_mac, none, none);
	own_only();
	arp(TYPE_RARP, 4, mine, other4, none);
	own_only();
	arp(TYPE_ARP, 1, mine, ip4, other4);
	len = 14 + 27;
	own_only();
	arp(TYPE_ARP, 1, mine, ip4, other4); /* of other hardware */
	frame[15] = 6;
	own_only();
	ether(0x8100); /* in a VLAN */
	add16(5);
	uint8_t body[128];
	size_t head = len;
	arp(TYPE_ARP, 2, mine, other4, ip4);
	size_t n = len - 12;
	memcpy(body, frame + 12, n);
	ether(0x8100);
	add16(5);
	assert_int_equal(len, head);
	add(body, n);
	own_only();
}

static void sources6(void **state)
{
	(void)state;
	uint8_t ula[16], other_ula[16];
	ula_derive(NWID, ADDRESS, ula);
	ula_derive(NWID, ADDRESS + 1, other_ula);
	const uint8_t *good[] = {ip6, ula, link_local}, *bad[] = {other6, other_ula, link_other, none};
	for (int i = 0; i < 3; i++) {
		plain6(good[i], 128);
		passes(STRICT, 0);
	}
	for (int i = 0; i < 4; i++) {
		plain6(bad[i], 128);
		own_only();
	}
	ether(TYPE_IPV6); /* a later fragment, and TCP */
	size_t at = begin6(other6, 44);
	fragment6(17, 8, false);
	addz(16);
	end6(at);
	own_only();
	ether(TYPE_IPV6);
	at = begin6(other6, 6);
	addz(20);
	end6(at);
	own_only();
	ether(TYPE_IPV6);
	at = begin6(ip6, 6);
	addz(20);
	end6(at);
	passes(STRICT, 0);
	static const unsigned reports[] = {131, 132, 143};
	for (int i = 0; i < 3; i++) {
		ether(TYPE_IPV6);
		at = begin6(none, 0);
		extension(58, 0);
		icmp6(reports[i], 20);
		end6(at);
		passes(STRICT, 0);
	}
}

static void discoveries(void **state)
{
	(void)state;
	discovery(link_local, 135, other6, 1, mine);
	passes(STRICT, 0);
	discovery(link_local, 135, other6, 1, other_mac);
	own_only();
	discovery(ip6, 135, other6, 0, NULL);
	passes(STRICT, 0);
	discovery(none, 135, ip6, 0, NULL); /* duplicate address detection */
	passes(STRICT, 0);
	discovery(none, 135, link_local, 14, mine); /* with its nonce */
	passes(STRICT, 0);
	discovery(none, 135, other6, 0, NULL);
	own_only();
	discovery(ip6, 136, ip6, 2, mine);
	passes(STRICT, 0);
	discovery(ip6, 136, link_local, 2, mine);
	passes(STRICT, 0);
	discovery(ip6, 136, ip6, 0, NULL);
	passes(STRICT, 0);
	discovery(ip6, 136, other6, 2, mine);
	own_only();
	discovery(ip6, 136, ip6, 2, other_mac);
	own_only();
	discovery(other6, 136, ip6, 2, mine);
	own_only();
	discovery(none, 133, NULL, 0, NULL);
	passes(STRICT, 0);
	discovery(link_local, 133, NULL, 1, mine);
	passes(STRICT, 0);
	discovery(link_local, 133, NULL, 1, other_mac);
	own_only();
	discovery(ip6, 136, ip6, 2, mine); /* an option of no length, one that is cut off */
	frame[len - 7] = 0;
	own_only();
	frame[len - 7] = 2;
	own_only();
	ether(TYPE_IPV6); /* in fragments, where options could come later (RFC 6980) */
	size_t at = begin6(ip6, 44);
	fragment6(58, 0, true);
	add8(136);
	addz(7);
	add(ip6, 16);
	end6(at);
	own_only();
	ether(TYPE_IPV6); /* its second option */
	at = begin6(ip6, 58);
	add8(136);
	addz(7);
	add(ip6, 16);
	add8(14);
	add8(1);
	addz(6);
	add8(2);
	add8(1);
	add(other_mac, 6);
	end6(at);
	own_only();
}

/* More options than are walked, the last one somebody else's. */
static void many_options(void **state)
{
	(void)state;
	for (unsigned n = 30; n <= 33; n++) {
		ether(TYPE_IPV6);
		size_t at = begin6(ip6, 58);
		add8(136);
		addz(7);
		add(ip6, 16);
		for (unsigned i = 0; i < n; i++) {
			add8(14);
			add8(1);
			addz(6);
		}
		end6(at);
		if (n <= 32)
			passes(STRICT, 0);
		else
			own_only();
	}
}

/* Headers whose own length is a lie: no host takes them, and no guard lets them by. */
static void false_lengths(void **state)
{
	(void)state;
	dhcp4(ip4, 5000, 5001);
	frame[14] = 0x44;
	refused(DHCP_GUARD, 0, 0);
	ether(TYPE_IPV4);
	size_t at = begin4(ip4, 17, 0);
	frame[at] = 0x4f;
	udp(5000, 5001, 8);
	end4(at);
	refused(DHCP_GUARD, 0, 0);
	passes(0, MEMBER_DHCP_SERVER);
}

/* ---- any bytes -------------------------------------------------------------------------------------------------- */

static void any_length(void **state)
{
	(void)state;
	for (unsigned kind = 0; kind < 4; kind++) {
		for (size_t cut = 14;; cut++) {
			switch (kind) {
			case 0: dhcp4(ip4, 67, 68); break;
			case 1: discovery(ip6, 136, ip6, 2, mine); break;
			case 2: arp(TYPE_ARP, 2, mine, ip4, other4); break;
			default:
				macs();
				for (int i = 0; i < 3; i++) {
					add16(0x8100);
					add16(0);
				}
				add16(TYPE_IPV6);
				size_t at = begin6(link_local, 60);
				extension(44, 1);
				fragment6(58, 0, true);
				icmp6(134, 12);
				end6(at);
			}
			if (cut > len)
				break;
			len = cut;
			/* Whatever it says: it reads no byte behind. */
			(void)ask(0, 0);
			(void)ask(STRICT, 0);
			(void)ask(STRICT | NETWORK_NO_RA_GUARD | NETWORK_NO_DHCP_GUARD, 0);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(router_right),  cmocka_unit_test(behind_extensions), cmocka_unit_test(many_extensions),
	    cmocka_unit_test(in_fragments),  cmocka_unit_test(behind_tags),       cmocka_unit_test(other_protocols),
	    cmocka_unit_test(dhcp_right),    cmocka_unit_test(dhcp_hidden),       cmocka_unit_test(sources4),
	    cmocka_unit_test(arps),          cmocka_unit_test(sources6),          cmocka_unit_test(sources_of_nobody),
	    cmocka_unit_test(discoveries),   cmocka_unit_test(any_length),        cmocka_unit_test(many_options),
	    cmocka_unit_test(false_lengths),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
