/* netlink_hosts.c: what this host has by rtnetlink: its usable addresses, and the routers by which it gets out.
 *
 * Each question is a few dumps: the links that are up and no tunnels, then the addresses on them, and for the routers the default
 * routes of the main table. A dump that tables changed under begins anew.
 */
#include "tap/netlink_parts.h"

#include <errno.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>

#define LINKS_MAX    1024
#define GATEWAYS_MAX 16 /* routes looked at */
#define SOURCES_MAX  64 /* addresses of ours looked at */

/* ---- addresses ---- */

struct usable_link {
	unsigned ifindex;
	uint16_t mtu;
};

struct host_search {
	const unsigned *skip;
	unsigned n_skip, n_links, n, room;
	struct usable_link links[LINKS_MAX];
	struct endpoint *hosts;
	uint16_t *mtus;
};

static bool kind_is_tun(const struct nlattr *linkinfo)
{
	const struct nlattr *a;
	nested_each(a, linkinfo)
	{
		if (mnl_attr_get_type(a) == IFLA_INFO_KIND && mnl_attr_validate(a, MNL_TYPE_NUL_STRING) >= 0)
			return !strcmp(mnl_attr_get_str(a), "tun"); /* the kernel's word for TUN and TAP alike */
	}
	return false;
}

static int link_collect(const struct nlmsghdr *h, void *self)
{
	struct host_search *s = self;
	const struct ifinfomsg *m = mnl_nlmsg_get_payload(h);
	const struct nlattr *a;
	uint32_t mtu = 0;

	if (!(m->ifi_flags & IFF_UP) || !(m->ifi_flags & IFF_RUNNING) || (m->ifi_flags & IFF_LOOPBACK))
		return MNL_CB_OK;
	for (unsigned i = 0; i < s->n_skip; i++)
		if (s->skip[i] == (unsigned)m->ifi_index)
			return MNL_CB_OK;
	attributes_each(a, h, sizeof(*m))
	{
		if (mnl_attr_get_type(a) == IFLA_LINKINFO && kind_is_tun(a))
			return MNL_CB_OK;
		if (mnl_attr_get_type(a) == IFLA_MTU && mnl_attr_get_payload_len(a) == 4)
			mtu = mnl_attr_get_u32(a);
	}
	if (s->n_links < LINKS_MAX)
		s->links[s->n_links++] = (struct usable_link){(unsigned)m->ifi_index, (uint16_t)(mtu > 0xffff ? 0xffff : mtu)};
	return MNL_CB_OK;
}

static bool reachable(uint8_t family, const uint8_t *ip)
{
	if (family == 4)
		return ip[0] != 0 && ip[0] != 127 && !(ip[0] == 169 && ip[1] == 254) && ip[0] < 224;
	/* ::/16 holds the unspecified, the loopback and the mapped addresses; ff00::/8 is
	 * multicast. */
	return (ip[0] | ip[1]) && !(ip[0] == 0xfe && (ip[1] & 0xc0) == 0x80) && ip[0] != 0xff;
}

/* The address a message tells of, with port 0, and which of the links it is on. false: none for talking to others. */
static bool usable_address(const struct host_search *s, const struct nlmsghdr *h, struct endpoint *ret, unsigned *ret_link)
{
	const struct ifaddrmsg *m = mnl_nlmsg_get_payload(h);
	uint8_t family = m->ifa_family == AF_INET ? 4 : m->ifa_family == AF_INET6 ? 6 : 0;
	uint32_t flags = m->ifa_flags;
	const uint8_t *local = NULL, *address = NULL;
	const struct nlattr *a;
	unsigned at = 0;

	while (at < s->n_links && s->links[at].ifindex != m->ifa_index)
		at++;
	if (!family || at == s->n_links || m->ifa_scope >= RT_SCOPE_LINK)
		return false;
	attributes_each(a, h, sizeof(*m))
	{
		size_t len = mnl_attr_get_payload_len(a);
		if (mnl_attr_get_type(a) == IFA_LOCAL && len == ip_bytes(family))
			local = mnl_attr_get_payload(a);
		else if (mnl_attr_get_type(a) == IFA_ADDRESS && len == ip_bytes(family))
			address = mnl_attr_get_payload(a);
		else if (mnl_attr_get_type(a) == IFA_FLAGS && len == 4)
			flags = mnl_attr_get_u32(a);
	}
	/* On a point-to-point link ADDRESS is the far end and LOCAL is ours. */
	const uint8_t *ip = local ? local : address;
	if (!ip || !reachable(family, ip) || (flags & (IFA_F_TENTATIVE | IFA_F_DADFAILED | IFA_F_DEPRECATED)))
		return false;
	*ret = (struct endpoint){.family = family};
	memcpy(ret->ip, ip, ip_bytes(family));
	*ret_link = at;
	return true;
}

static int host_collect(const struct nlmsghdr *h, void *self)
{
	struct host_search *s = self;
	struct endpoint e;
	unsigned link;
	if (s->n < s->room && usable_address(s, h, &e, &link)) {
		if (s->mtus)
			s->mtus[s->n] = s->links[link].mtu;
		s->hosts[s->n++] = e;
	}
	return MNL_CB_OK;
}

int netlink_hosts(struct netlink *n, const unsigned *skip, unsigned n_skip, struct endpoint *ret, uint16_t *ret_link_mtu, unsigned room)
{
	struct host_search s = {.skip = skip, .n_skip = n_skip, .room = room, .hosts = ret, .mtus = ret_link_mtu};
	int err = -EINTR;
	for (unsigned try = 0; try < DUMP_TRIES && err == -EINTR; try++) {
		s.n = s.n_links = 0;
		struct nlmsghdr *h = netlink_request_start(n, RTM_GETLINK, NLM_F_DUMP);
		mnl_nlmsg_put_extra_header(h, sizeof(struct ifinfomsg));
		mnl_attr_put_u32(h, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
		err = netlink_request(n, h, link_collect, &s);
		if (!err) {
			h = netlink_request_start(n, RTM_GETADDR, NLM_F_DUMP);
			mnl_nlmsg_put_extra_header(h, sizeof(struct ifaddrmsg));
			err = netlink_request(n, h, host_collect, &s);
		}
		if (err == -EINTR)
			netlink_drain(n);
	}
	return err ? err : (int)s.n;
}

/* ---- gateways ---- */

struct gateway_search {
	struct host_search hosts; /* its links */
	struct gateway route[GATEWAYS_MAX];
	unsigned n_routes, n_sources;
	struct source {
		unsigned ifindex;
		uint8_t family, bits, ip[16];
	} source[SOURCES_MAX];
};

static int gateway_collect(const struct nlmsghdr *h, void *self)
{
	struct gateway_search *s = self;
	const struct rtmsg *m = mnl_nlmsg_get_payload(h);
	uint8_t family = m->rtm_family == AF_INET ? 4 : m->rtm_family == AF_INET6 ? 6 : 0;
	struct gateway g = {.family = family};
	uint32_t table = m->rtm_table;
	const struct nlattr *a;
	unsigned at = 0;

	if (!family || m->rtm_dst_len || m->rtm_type != RTN_UNICAST || s->n_routes == GATEWAYS_MAX)
		return MNL_CB_OK;
	bool via = false;
	attributes_each(a, h, sizeof(*m))
	{
		size_t len = mnl_attr_get_payload_len(a);
		switch (mnl_attr_get_type(a)) {
		case RTA_GATEWAY:
			via = len == ip_bytes(family);
			memcpy(g.ip, mnl_attr_get_payload(a), via ? len : 0);
			break;
		case RTA_PREFSRC: memcpy(g.source, mnl_attr_get_payload(a), len == ip_bytes(family) ? len : 0); break;
		case RTA_OIF: g.ifindex = len == 4 ? mnl_attr_get_u32(a) : 0; break;
		case RTA_PRIORITY: g.metric = len == 4 ? mnl_attr_get_u32(a) : 0; break;
		case RTA_TABLE: table = len == 4 ? mnl_attr_get_u32(a) : 0; break;
		}
	}
	while (at < s->hosts.n_links && s->hosts.links[at].ifindex != g.ifindex)
		at++;
	if (via && table == RT_TABLE_MAIN && at < s->hosts.n_links)
		s->route[s->n_routes++] = g;
	return MNL_CB_OK;
}

static int source_collect(const struct nlmsghdr *h, void *self)
{
	struct gateway_search *s = self;
	const struct ifaddrmsg *m = mnl_nlmsg_get_payload(h);
	struct endpoint e;
	unsigned link;
	if (s->n_sources < SOURCES_MAX && usable_address(&s->hosts, h, &e, &link)) {
		struct source *found = &s->source[s->n_sources++];
		*found = (struct source){.ifindex = m->ifa_index, .family = e.family, .bits = m->ifa_prefixlen};
		memcpy(found->ip, e.ip, sizeof(e.ip));
	}
	return MNL_CB_OK;
}

static bool same_prefix(const uint8_t *a, const uint8_t *b, unsigned bits)
{
	unsigned full = bits / 8, rest = bits % 8;
	return !memcmp(a, b, full) && (!rest || (a[full] ^ b[full]) >> (8 - rest) == 0);
}

/* The rows of one route: the route's own source or the address beside the gateway; IPv6: each global address of that link. */
static unsigned gateway_rows(const struct gateway_search *s, const struct gateway *route, struct gateway *ret, unsigned room)
{
	static const uint8_t none[16];
	const struct source *best = NULL;
	unsigned n = 0;
	for (unsigned i = 0; i < s->n_sources && n < room; i++) {
		const struct source *c = &s->source[i];
		if (c->ifindex != route->ifindex || c->family != route->family)
			continue;
		if (c->family == 4 && (!best || (!same_prefix(best->ip, route->ip, best->bits) && same_prefix(c->ip, route->ip, c->bits))))
			best = c;
		if (c->family == 6 && (c->ip[0] & 0xe0) == 0x20) {
			ret[n] = *route;
			memcpy(ret[n++].source, c->ip, sizeof(c->ip));
		}
	}
	if (route->family == 4 && room && (best || memcmp(route->source, none, sizeof(none)) != 0)) {
		ret[n] = *route;
		if (!memcmp(route->source, none, sizeof(none)))
			memcpy(ret[n].source, best->ip, sizeof(best->ip));
		n++;
	}
	return n;
}

static int gateways_ask(struct netlink *n, struct gateway_search *s)
{
	s->hosts.n_links = s->n_routes = s->n_sources = 0;
	struct nlmsghdr *h = netlink_request_start(n, RTM_GETLINK, NLM_F_DUMP);
	mnl_nlmsg_put_extra_header(h, sizeof(struct ifinfomsg));
	mnl_attr_put_u32(h, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
	int err = netlink_request(n, h, link_collect, &s->hosts);
	if (err)
		return err;
	h = netlink_request_start(n, RTM_GETADDR, NLM_F_DUMP);
	mnl_nlmsg_put_extra_header(h, sizeof(struct ifaddrmsg));
	err = netlink_request(n, h, source_collect, s);
	for (uint8_t family = 4; family <= 6 && !err; family = (uint8_t)(family + 2)) {
		h = netlink_request_start(n, RTM_GETROUTE, NLM_F_DUMP);
		struct rtmsg *m = mnl_nlmsg_put_extra_header(h, sizeof(*m));
		m->rtm_family = (uint8_t)family_of(family);
		m->rtm_table = RT_TABLE_MAIN;
		err = netlink_request(n, h, gateway_collect, s);
	}
	return err;
}

int netlink_gateways(struct netlink *n, struct gateway *ret, unsigned room)
{
	struct gateway_search *s = calloc(1, sizeof(*s));
	unsigned found = 0;
	int err = -EINTR;
	if (!s)
		return -ENOMEM;
	for (unsigned try = 0; try < DUMP_TRIES && err == -EINTR; try++) {
		err = gateways_ask(n, s);
		if (err == -EINTR)
			netlink_drain(n);
	}
	/* Few, so the best of those left is looked for each time. */
	for (unsigned done = 0; !err && done < s->n_routes; done++) {
		struct gateway *best = &s->route[done];
		for (struct gateway *g = best + 1; g < s->route + s->n_routes; g++)
			if (g->metric < best->metric)
				best = g;
		struct gateway one = *best;
		*best = s->route[done];
		found += gateway_rows(s, &one, ret + found, room - found);
	}
	free(s);
	return err ? err : (int)found;
}
