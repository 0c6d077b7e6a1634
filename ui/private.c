/* private.c: one table of prefixes for each family. What carries an IPv4 address leads there by a gateway that may stand in our own
 * network, so it is judged by what it carries; Teredo carries it disguised, and nobody has needed it for years: all of it is refused. */
#include "ui/private.h"

#include <ifaddrs.h>
#include <netinet/in.h>
#include <string.h>

#include "proto/prefix.h"

/* RFC 6890 and its registries; documentation prefixes lead nowhere and are left out. */
static const struct prefix v4[] = {
    {4, 8, {0}},            /* this network */
    {4, 8, {10}},           /* private */
    {4, 10, {100, 64}},     /* carriers' NAT */
    {4, 8, {127}},          /* loopback */
    {4, 16, {169, 254}},    /* link-local, and what clouds tell their machines */
    {4, 12, {172, 16}},     /* private */
    {4, 24, {192, 0, 0}},   /* IETF protocols */
    {4, 24, {192, 88, 99}}, /* 6to4 relays */
    {4, 16, {192, 168}},    /* private */
    {4, 15, {198, 18}},     /* benchmarks */
    {4, 4, {224}},          /* multicast */
    {4, 4, {240}},          /* reserved, broadcast */
};

static const struct prefix v6[] = {
    {6, 96, {0}},                         /* unspecified, loopback */
    {6, 48, {0, 0x64, 0xff, 0x9b, 0, 1}}, /* NAT64 of somebody's own */
    {6, 64, {1}},                         /* discard */
    {6, 32, {0x20, 1}},                   /* Teredo */
    {6, 7, {0xfc}},                       /* unique local */
    {6, 10, {0xfe, 0x80}},                /* link-local */
    {6, 10, {0xfe, 0xc0}},                /* site-local */
    {6, 8, {0xff}},                       /* multicast */
};

/* Prefixes behind which an IPv4 address stands, and where. */
static const struct {
	struct prefix prefix;
	uint8_t at;
} carriers[] = {
    {{6, 96, {[10] = 0xff, [11] = 0xff}}, 12}, /* mapped */
    {{6, 96, {[8] = 0xff, [9] = 0xff}}, 12},   /* translated, RFC 2765 */
    {{6, 96, {0, 0x64, 0xff, 0x9b}}, 12},      /* NAT64 */
    {{6, 16, {0x20, 0x02}}, 2},                /* 6to4 */
};

struct endpoint address_plain(const struct endpoint *e)
{
	for (size_t i = 0; e->family == 6 && i < sizeof(carriers) / sizeof(carriers[0]); i++)
		if (prefix_holds(&carriers[i].prefix, e)) {
			struct endpoint plain = {.family = 4, .port = e->port};
			memcpy(plain.ip, e->ip + carriers[i].at, 4);
			return plain;
		}
	return *e;
}

bool address_private(const struct endpoint *e)
{
	struct endpoint plain = address_plain(e);
	const struct prefix *list = plain.family == 4 ? v4 : v6;
	size_t n = plain.family == 4 ? sizeof(v4) / sizeof(v4[0]) : plain.family == 6 ? sizeof(v6) / sizeof(v6[0]) : 0;
	for (size_t i = 0; i < n; i++)
		if (prefix_holds(&list[i], &plain))
			return true;
	return !n;
}

static bool interface_has(const struct ifaddrs *a, const struct endpoint *plain)
{
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
	if (a->ifa_addr && a->ifa_addr->sa_family == AF_INET && plain->family == 4) {
		memcpy(&in, a->ifa_addr, sizeof(in));
		return !memcmp(&in.sin_addr, plain->ip, 4);
	}
	if (a->ifa_addr && a->ifa_addr->sa_family == AF_INET6 && plain->family == 6) {
		memcpy(&in6, a->ifa_addr, sizeof(in6));
		return !memcmp(&in6.sin6_addr, plain->ip, 16);
	}
	return false;
}

bool address_own(const struct endpoint *e)
{
	struct endpoint plain = address_plain(e);
	struct ifaddrs *all;
	bool own = false;
	if (getifaddrs(&all))
		return true; /* nobody can say */
	for (const struct ifaddrs *a = all; a && !own; a = a->ifa_next)
		own = interface_has(a, &plain);
	freeifaddrs(all);
	return own;
}
