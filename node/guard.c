/* guard.c: the three guards over one walk of the frame.
 *
 * RA guard (RFC 6105, 7113): router advertisements and redirects, from routers only. DHCP guard: what goes to a client's port, from DHCP servers only;
 * clients read raw sockets and look at the port it came to, so where it came from does not matter here either. Relay agents and servers talk
 * to each other on the servers' port, which nobody's configuration is taken from: that passes. IP guard (a switch of the network): IPv4 and IPv6
 * sources, ARP and neighbour discovery must name addresses that the sender's credential, its derived address or its MAC give it.
 * A packet whose upper header cannot be found, because it is hidden behind too much or left to a later fragment, is refused by whichever guard would
 * have to read it. A probe for duplicates (sender 0.0.0.0, ::) is a claim to the address it asks for.
 * Most frames leave after the EtherType and the protocol: TCP and plain UDP cost a few comparisons.
 */
#include "node/guard.h"

#include <stdlib.h>
#include <string.h>

#include "node/layout.h"
#include "node/upper.h"

#define ICMP6 58
#define IGMP  2

#define DHCP_SERVER  67
#define DHCP_CLIENT  68
#define DHCP6_CLIENT 546

enum { ROUTER_SOLICITATION = 133, ROUTER_ADVERTISEMENT = 134, SOLICITATION = 135, ADVERTISEMENT = 136, REDIRECT = 137 };

#define ND_OPTIONS_MAX 32
#define OPTION_SOURCE  1 /* link-layer addresses */
#define OPTION_TARGET  2

struct owned *owned_new(uint64_t nwid, uint64_t address, const struct cred *cred)
{
	struct owned *o = calloc(1, sizeof(*o));
	if (!o)
		return NULL;
	ula_derive(nwid, address, o->ula);
	o->n = cred->n_ips;
	memcpy(o->ip, cred->ips, cred->n_ips * sizeof(o->ip[0]));
	return o;
}

/* ---- whose address ---------------------------------------------------------------------------------------------- */

static bool owns(const struct owned *o, uint8_t family, const uint8_t *ip)
{
	for (unsigned i = 0; o && i < o->n; i++)
		if (o->ip[i].family == family && !memcmp(o->ip[i].ip, ip, family == 4 ? 4 : 16))
			return true;
	return false;
}

static bool owns4(const struct guard *g, const uint8_t ip[4])
{
	return owns(g->owned, 4, ip);
}

/* fe80::/64 with the MAC as RFC 4291 (appendix A) makes it: the sender's MAC is checked already, so this is as much its own. */
static bool link_local_of(const uint8_t mac[6], const uint8_t ip[16])
{
	static const uint8_t prefix[8] = {0xfe, 0x80};
	uint8_t id[8] = {(uint8_t)(mac[0] ^ 2), mac[1], mac[2], 0xff, 0xfe, mac[3], mac[4], mac[5]};
	return !memcmp(ip, prefix, 8) && !memcmp(ip + 8, id, 8);
}

static bool owns6(const struct guard *g, const uint8_t mac[6], const uint8_t ip[16])
{
	return (g->owned && !memcmp(ip, g->owned->ula, 16)) || owns(g->owned, 6, ip) || link_local_of(mac, ip);
}

static bool is_zero(const uint8_t *ip, size_t n)
{
	uint8_t sum = 0;
	while (n-- > 0)
		sum |= ip[n];
	return !sum;
}

/* ---- ARP and neighbour discovery -------------------------------------------------------------------------------- */

/* RFC 826; RARP looks the same, and is how a machine that moved tells its MAC: with no address at all. */
static bool arp_good(const struct guard *g, const uint8_t *frame, const uint8_t *arp, size_t len, bool reverse)
{
	static const uint8_t ethernet_ipv4[6] = {0, 1, 8, 0, 6, 4};
	if (len < 28 || memcmp(arp, ethernet_ipv4, 6) || memcmp(arp + 8, frame + 6, 6))
		return false;
	const uint8_t *sender = arp + 14, *target = arp + 24;
	return owns4(g, sender) || (is_zero(sender, 4) && (reverse ? is_zero(target, 4) : owns4(g, target)));
}

/* Each link-layer address an option names is the sender's. */
static bool options_good(const uint8_t mac[6], const uint8_t *at, size_t len)
{
	for (int i = 0; len && i < ND_OPTIONS_MAX; i++) {
		if (len < 8 || !at[1] || at[1] * 8u > len)
			return false;
		if ((at[0] == OPTION_SOURCE || at[0] == OPTION_TARGET) && memcmp(at + 2, mac, 6))
			return false;
		len -= at[1] * 8u;
		at += at[1] * 8u;
	}
	return !len;
}

/* RFC 4861; 6980: never in fragments. A redirect tells of others' addresses and is the RA guard's. */
static bool discovery_good(const struct guard *g, const uint8_t *mac, const uint8_t *source, const struct upper *u)
{
	uint8_t type = u->at[0];
	size_t fixed = type == ROUTER_SOLICITATION ? 8 : type == ROUTER_ADVERTISEMENT ? 16 : type == REDIRECT ? 40 : 24;
	if (u->fragment || u->len < fixed)
		return false;
	if ((type == ADVERTISEMENT || (type == SOLICITATION && is_zero(source, 16))) && !owns6(g, mac, u->at + 8))
		return false;
	return type == REDIRECT || options_good(mac, u->at + fixed, u->len - fixed);
}

/* ---- by protocol ------------------------------------------------------------------------------------------------ */

static bool is_discovery(const struct upper *u)
{
	return u->protocol == ICMP6 && u->len && u->at[0] >= ROUTER_SOLICITATION && u->at[0] <= REDIRECT;
}

static bool is_report(uint8_t type)
{
	return type == 131 || type == 132 || type == 143; /* MLD: hosts without an address send it from :: (RFC 3590) */
}

static bool to_client(const struct upper *u, uint16_t port)
{
	return u->protocol == IP_UDP && (u->len < 4 || be16_at(u->at + 2) == port);
}

static bool source4_good(const struct guard *g, const uint8_t *ip, enum upper_found found, const struct upper *u)
{
	if (owns4(g, ip + 12))
		return true;
	if (!is_zero(ip + 12, 4) || found != UPPER_HERE)
		return false;
	return u->protocol == IGMP || (u->protocol == IP_UDP && u->len >= 4 && be16_at(u->at + 2) == DHCP_SERVER);
}

static enum drop guard_ipv4(const struct guard *g, const uint8_t *ip, size_t len, bool dhcp, bool own)
{
	struct upper u = {0};
	if (len < 20) /* no host takes it */
		return own ? DROP_IP_GUARD : DROP_NONE;
	if (!own && ip[9] != IP_UDP)
		return DROP_NONE;
	enum upper_found found = ipv4_upper(ip, len, &u);
	if (dhcp && ip[9] == IP_UDP && (found == UPPER_LOST || (found == UPPER_HERE && to_client(&u, DHCP_CLIENT))))
		return DROP_DHCP_GUARD;
	return own && !source4_good(g, ip, found, &u) ? DROP_IP_GUARD : DROP_NONE;
}

static bool source6_good(const struct guard *g, const uint8_t *mac, const uint8_t *source, enum upper_found found, const struct upper *u)
{
	if (found == UPPER_LOST)
		return false;
	if (is_zero(source, 16)) {
		if (found != UPPER_HERE || u->protocol != ICMP6 || !u->len)
			return false;
		return u->at[0] == ROUTER_SOLICITATION || u->at[0] == SOLICITATION || is_report(u->at[0]);
	}
	return owns6(g, mac, source);
}

static enum drop guard_ipv6(const struct guard *g, const uint8_t *frame, const uint8_t *ip, size_t len, bool ra, bool dhcp, bool own)
{
	struct upper u = {0};
	if (!own && len > 6 && ip[6] == IP_TCP)
		return DROP_NONE;
	enum upper_found found = ipv6_upper(ip, len, &u);
	if (ra && (found == UPPER_LOST ||
	           (found == UPPER_HERE && u.protocol == ICMP6 && (!u.len || u.at[0] == ROUTER_ADVERTISEMENT || u.at[0] == REDIRECT))))
		return DROP_RA_GUARD;
	if (dhcp && (found == UPPER_LOST || (found == UPPER_HERE && to_client(&u, DHCP6_CLIENT))))
		return DROP_DHCP_GUARD;
	if (!own)
		return DROP_NONE;
	if (!source6_good(g, frame + 6, ip + 8, found, &u))
		return DROP_IP_GUARD;
	return found == UPPER_HERE && is_discovery(&u) && !discovery_good(g, frame + 6, ip + 8, &u) ? DROP_IP_GUARD : DROP_NONE;
}

enum drop guard_frame(const struct guard *g, const uint8_t *frame, size_t len)
{
	bool ra = !(g->network_flags & NETWORK_NO_RA_GUARD) && !(g->member_flags & MEMBER_ROUTER);
	bool dhcp = !(g->network_flags & NETWORK_NO_DHCP_GUARD) && !(g->member_flags & MEMBER_DHCP_SERVER);
	bool own = g->network_flags & NETWORK_IP_GUARD && !(g->member_flags & (MEMBER_ROUTER | MEMBER_BRIDGE | MEMBER_IP_GUARD_EXEMPT));
	uint16_t type;
	size_t at;
	if (!ra && !dhcp && !own)
		return DROP_NONE;
	if (!ether_upper(frame, len, &type, &at))
		return ra ? DROP_RA_GUARD : dhcp ? DROP_DHCP_GUARD : DROP_IP_GUARD;
	switch (type) {
	case TYPE_IPV4: return dhcp || own ? guard_ipv4(g, frame + at, len - at, dhcp, own) : DROP_NONE;
	case TYPE_IPV6: return guard_ipv6(g, frame, frame + at, len - at, ra, dhcp, own);
	case TYPE_ARP:
	case TYPE_RARP: return !own || arp_good(g, frame, frame + at, len - at, type == TYPE_RARP) ? DROP_NONE : DROP_IP_GUARD;
	default: return DROP_NONE;
	}
}
