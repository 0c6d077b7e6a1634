/* rtnetlink by libmnl: one socket for requests, one subscribed to changes.
 *
 * The kernel puts its answer into the socket's buffer before sendto returns, so request() never
 * waits in practice; the receive timeout is there so that a surprise costs a second, not the
 * control thread. Dumps ask for strict checking, so that the kernel filters by interface instead of
 * walking a full Internet table to us; where it does not, the callbacks compare anyway. What exists
 * already is told apart from what is in the way by reading it back.
 */
#include "tap/netlink.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>

#define BUFFER_BYTES        32768 /* what the kernel fills at most per part of a dump */
#define LINKS_MAX           1024
#define DUMP_PARTS_MAX      4096
#define DUMP_TRIES          3 /* a dump that tables changed under is asked again */
#define CHANGES_PER_CALL    64
#define IPV6_DEFAULT_METRIC 1024

/* libmnl's own loops convert long to int unseen. */
#define attributes_each(a, h, header)                                                                                                      \
	for ((a) = mnl_nlmsg_get_payload_offset((h), (header));                                                                            \
	     mnl_attr_ok((a), (int)((const char *)mnl_nlmsg_get_payload_tail(h) - (const char *)(a))); (a) = mnl_attr_next(a))
#define nested_each(a, nest)                                                                                                               \
	for ((a) = mnl_attr_get_payload(nest);                                                                                             \
	     mnl_attr_ok((a), (int)((const char *)mnl_attr_get_payload(nest) + mnl_attr_get_payload_len(nest) - (const char *)(a)));       \
	     (a) = mnl_attr_next(a))

struct netlink {
	struct mnl_socket *ask, *monitor;
	uint32_t sequence;
	_Alignas(struct nlmsghdr) uint8_t buffer[BUFFER_BYTES];
};

static int family_of(uint8_t family)
{
	return family == 4 ? AF_INET : AF_INET6;
}
static size_t ip_bytes(uint8_t family)
{
	return family == 4 ? 4 : 16;
}

static bool prefix_ok(uint8_t family, uint8_t bits)
{
	return (family == 4 && bits <= 32) || (family == 6 && bits <= 128);
}

int netlink_open(struct netlink **ret)
{
	struct netlink *n = calloc(1, sizeof(*n));
	const struct timeval patience = {.tv_sec = 1};
	int on = 1, err = 0;

	if (!n)
		return -ENOMEM;
	n->ask = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	if (!n->ask || mnl_socket_bind(n->ask, 0, MNL_SOCKET_AUTOPID) < 0)
		goto failed;
	if (setsockopt(mnl_socket_get_fd(n->ask), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) < 0)
		goto failed;
	mnl_socket_setsockopt(n->ask, NETLINK_GET_STRICT_CHK, &on, sizeof(on)); /* a help, see above */
	n->monitor = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (!n->monitor || mnl_socket_bind(n->monitor, RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR, MNL_SOCKET_AUTOPID) < 0)
		goto failed;
	n->sequence = (uint32_t)time(NULL);
	*ret = n;
	return 0;
failed:
	err = errno ? -errno : -EIO;
	netlink_close(n);
	return err;
}

void netlink_close(struct netlink *n)
{
	if (!n)
		return;
	if (n->ask)
		mnl_socket_close(n->ask);
	if (n->monitor)
		mnl_socket_close(n->monitor);
	free(n);
}

/* Starts a request in the buffer; the caller adds header and attributes, then calls request(). */
static struct nlmsghdr *request_start(struct netlink *n, uint16_t type, uint16_t flags)
{
	struct nlmsghdr *h = mnl_nlmsg_put_header(n->buffer);
	h->nlmsg_type = type;
	h->nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags);
	h->nlmsg_seq = ++n->sequence;
	return h;
}

/* Sends and takes the whole answer; each may be NULL. 0 or -errno. The request is gone from the
 * buffer afterwards. */
static int request(struct netlink *n, const struct nlmsghdr *h, mnl_cb_t each, void *self)
{
	unsigned sequence = h->nlmsg_seq, port = mnl_socket_get_portid(n->ask);
	if (mnl_socket_sendto(n->ask, h, h->nlmsg_len) < 0)
		return -errno;
	for (unsigned part = 0; part < DUMP_PARTS_MAX; part++) {
		ssize_t len = mnl_socket_recvfrom(n->ask, n->buffer, sizeof(n->buffer));
		if (len < 0 && errno == EINTR)
			continue;
		if (len < 0)
			return errno == EAGAIN ? -ETIMEDOUT : -errno;
		int r = mnl_cb_run(n->buffer, (size_t)len, sequence, port, each, self);
		/* EPROTO: the late answer of a request that timed out. */
		if (r < 0 && errno == EPROTO)
			continue;
		if (r <= 0)
			return r < 0 ? -errno : 0;
	}
	return -EOVERFLOW;
}

/* Reads away what is left of a dump that ended early (-EINTR: its tables changed meanwhile), before
 * it is asked again. */
static void drain(struct netlink *n)
{
	for (unsigned part = 0; part < DUMP_PARTS_MAX; part++)
		if (recv(mnl_socket_get_fd(n->ask), n->buffer, sizeof(n->buffer), MSG_DONTWAIT) < 0 && errno != EINTR)
			return;
}

/* ---- addresses ---- */

struct address_search {
	unsigned ifindex;
	uint8_t family, bits;
	const uint8_t *ip;
	bool found;
};

static int address_compare(const struct nlmsghdr *h, void *self)
{
	struct address_search *s = self;
	const struct ifaddrmsg *m = mnl_nlmsg_get_payload(h);
	const struct nlattr *a;
	if (m->ifa_index != s->ifindex || m->ifa_family != family_of(s->family) || m->ifa_prefixlen != s->bits)
		return MNL_CB_OK;
	attributes_each(a, h, sizeof(*m))
	{
		if (mnl_attr_get_type(a) == IFA_ADDRESS && mnl_attr_get_payload_len(a) == ip_bytes(s->family) &&
		    !memcmp(mnl_attr_get_payload(a), s->ip, ip_bytes(s->family)))
			s->found = true;
	}
	return MNL_CB_OK;
}

/* 0 if the interface has exactly this address and prefix, else -EEXIST: IPv6 knows an address once
 * per interface. */
static int address_same(struct netlink *n, struct address_search *s)
{
	int err = -EINTR;
	for (unsigned try = 0; try < DUMP_TRIES && err == -EINTR; try++) {
		struct nlmsghdr *h = request_start(n, RTM_GETADDR, NLM_F_DUMP);
		struct ifaddrmsg *m = mnl_nlmsg_put_extra_header(h, sizeof(*m));
		m->ifa_family = (uint8_t)family_of(s->family);
		m->ifa_index = s->ifindex;
		s->found = false;
		err = request(n, h, address_compare, s);
		if (err == -EINTR)
			drain(n);
	}
	return err ? err : s->found ? 0 : -EEXIST;
}

int netlink_address(struct netlink *n, bool add, unsigned ifindex, uint8_t family, const uint8_t *ip, uint8_t bits)
{
	if (!prefix_ok(family, bits))
		return -EINVAL;
	struct nlmsghdr *h =
	    request_start(n, add ? RTM_NEWADDR : RTM_DELADDR, (uint16_t)(NLM_F_ACK | (add ? NLM_F_CREATE | NLM_F_EXCL : 0)));
	struct ifaddrmsg *m = mnl_nlmsg_put_extra_header(h, sizeof(*m));
	m->ifa_family = (uint8_t)family_of(family);
	m->ifa_prefixlen = bits;
	m->ifa_index = ifindex;
	m->ifa_scope = RT_SCOPE_UNIVERSE;
	/* The controller gave the address to us alone; waiting a second for nobody's answer would
	 * delay the first ping. */
	if (family == 6 && add)
		m->ifa_flags = IFA_F_NODAD;
	mnl_attr_put(h, IFA_LOCAL, ip_bytes(family), ip);
	mnl_attr_put(h, IFA_ADDRESS, ip_bytes(family), ip);
	if (family == 4 && add && bits < 31) {
		/* Programs that announce themselves on a LAN read it from here. */
		uint8_t broadcast[4];
		for (unsigned i = 0; i < 4; i++) {
			unsigned kept = bits >= 8 * (i + 1) ? 8 : bits > 8 * i ? bits - 8 * i : 0;
			broadcast[i] = (uint8_t)(ip[i] | 0xff >> kept);
		}
		mnl_attr_put(h, IFA_BROADCAST, 4, broadcast);
	}
	int err = request(n, h, NULL, NULL);
	if (add && err == -EEXIST) {
		struct address_search s = {.ifindex = ifindex, .family = family, .bits = bits, .ip = ip};
		return address_same(n, &s);
	}
	return !add && (err == -EADDRNOTAVAIL || err == -ENODEV) ? 0 : err;
}

/* ---- routes ---- */

struct route_search {
	unsigned ifindex;
	uint32_t metric;
	uint8_t family, bits;
	const uint8_t *target, *via; /* via NULL = on link */
	bool found;
};

static int route_compare(const struct nlmsghdr *h, void *self)
{
	struct route_search *s = self;
	const struct rtmsg *m = mnl_nlmsg_get_payload(h);
	const uint8_t zero[16] = {0}, *target = zero, *via = NULL;
	size_t bytes = ip_bytes(s->family);
	uint32_t out = 0, metric = 0, table = m->rtm_table;
	const struct nlattr *a;

	if (m->rtm_family != family_of(s->family) || m->rtm_dst_len != s->bits || m->rtm_type != RTN_UNICAST)
		return MNL_CB_OK;
	attributes_each(a, h, sizeof(*m))
	{
		size_t len = mnl_attr_get_payload_len(a);
		switch (mnl_attr_get_type(a)) {
		case RTA_DST: target = len == bytes ? mnl_attr_get_payload(a) : zero; break;
		case RTA_GATEWAY: via = len == bytes ? mnl_attr_get_payload(a) : NULL; break;
		case RTA_OIF: out = len == 4 ? mnl_attr_get_u32(a) : 0; break;
		case RTA_PRIORITY: metric = len == 4 ? mnl_attr_get_u32(a) : 0; break;
		case RTA_TABLE: table = len == 4 ? mnl_attr_get_u32(a) : 0; break;
		}
	}
	if (table == RT_TABLE_MAIN && out == s->ifindex && metric == s->metric && !memcmp(target, s->target, bytes) && !via == !s->via &&
	    (!via || !memcmp(via, s->via, bytes)))
		s->found = true;
	return MNL_CB_OK;
}

/* 0 if this very route stands, else -EEXIST. */
static int route_same(struct netlink *n, struct route_search *s)
{
	int err = -EINTR;
	for (unsigned try = 0; try < DUMP_TRIES && err == -EINTR; try++) {
		struct nlmsghdr *h = request_start(n, RTM_GETROUTE, NLM_F_DUMP);
		struct rtmsg *m = mnl_nlmsg_put_extra_header(h, sizeof(*m));
		m->rtm_family = (uint8_t)family_of(s->family);
		m->rtm_table = RT_TABLE_MAIN;
		mnl_attr_put_u32(h, RTA_OIF, s->ifindex);
		s->found = false;
		err = request(n, h, route_compare, s);
		if (err == -EINTR)
			drain(n);
	}
	return err ? err : s->found ? 0 : -EEXIST;
}

int netlink_route(struct netlink *n, bool add, unsigned ifindex, uint8_t family, const uint8_t *target, uint8_t bits, const uint8_t *via,
                  uint32_t metric)
{
	if (!prefix_ok(family, bits))
		return -EINVAL;
	/* IPv6 would cut host bits off without a word and IPv4 refuses them: one answer for both.
	 */
	for (unsigned i = bits; i < 8 * ip_bytes(family); i++)
		if (target[i / 8] & 0x80 >> i % 8)
			return -EINVAL;
	if (family == 6 && metric == 0)
		metric = IPV6_DEFAULT_METRIC;
	struct nlmsghdr *h =
	    request_start(n, add ? RTM_NEWROUTE : RTM_DELROUTE, (uint16_t)(NLM_F_ACK | (add ? NLM_F_CREATE | NLM_F_EXCL : 0)));
	struct rtmsg *m = mnl_nlmsg_put_extra_header(h, sizeof(*m));
	m->rtm_family = (uint8_t)family_of(family);
	m->rtm_dst_len = bits;
	m->rtm_table = RT_TABLE_MAIN;
	m->rtm_protocol = RTPROT_STATIC;
	m->rtm_scope = !add ? RT_SCOPE_NOWHERE : via ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK;
	m->rtm_type = RTN_UNICAST;
	if (bits)
		mnl_attr_put(h, RTA_DST, ip_bytes(family), target);
	if (via)
		mnl_attr_put(h, RTA_GATEWAY, ip_bytes(family), via);
	mnl_attr_put_u32(h, RTA_OIF, ifindex);
	if (metric)
		mnl_attr_put_u32(h, RTA_PRIORITY, metric);
	int err = request(n, h, NULL, NULL);
	if (add && err == -EEXIST) {
		struct route_search s = {
		    .ifindex = ifindex, .metric = metric, .family = family, .bits = bits, .target = target, .via = via};
		return route_same(n, &s);
	}
	return !add && (err == -ESRCH || err == -ENODEV) ? 0 : err;
}

/* ---- links ---- */

static struct nlmsghdr *link_start(struct netlink *n, unsigned ifindex, unsigned flags, unsigned change)
{
	struct nlmsghdr *h = request_start(n, RTM_NEWLINK, NLM_F_ACK);
	struct ifinfomsg *m = mnl_nlmsg_put_extra_header(h, sizeof(*m));
	m->ifi_family = AF_UNSPEC;
	m->ifi_index = (int)ifindex;
	m->ifi_flags = flags;
	m->ifi_change = change;
	return h;
}

int netlink_link_mac(struct netlink *n, unsigned ifindex, const uint8_t mac[6])
{
	struct nlmsghdr *h = link_start(n, ifindex, 0, 0);
	mnl_attr_put(h, IFLA_ADDRESS, 6, mac);
	return request(n, h, NULL, NULL);
}

int netlink_link_mtu(struct netlink *n, unsigned ifindex, uint16_t mtu)
{
	struct nlmsghdr *h = link_start(n, ifindex, 0, 0);
	mnl_attr_put_u32(h, IFLA_MTU, mtu);
	return request(n, h, NULL, NULL);
}

int netlink_link_gso(struct netlink *n, unsigned ifindex, uint32_t bytes)
{
	struct nlmsghdr *h = link_start(n, ifindex, 0, 0);
	mnl_attr_put_u32(h, IFLA_GSO_MAX_SIZE, bytes);
	return request(n, h, NULL, NULL);
}

int netlink_link_up(struct netlink *n, unsigned ifindex, bool up)
{
	return request(n, link_start(n, ifindex, up ? IFF_UP : 0, IFF_UP), NULL, NULL);
}

/* ---- host candidates ---- */

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

static int host_collect(const struct nlmsghdr *h, void *self)
{
	struct host_search *s = self;
	const struct ifaddrmsg *m = mnl_nlmsg_get_payload(h);
	uint8_t family = m->ifa_family == AF_INET ? 4 : m->ifa_family == AF_INET6 ? 6 : 0;
	uint32_t flags = m->ifa_flags;
	const uint8_t *local = NULL, *address = NULL;
	const struct nlattr *a;
	unsigned at = 0;

	while (at < s->n_links && s->links[at].ifindex != m->ifa_index)
		at++;
	if (!family || at == s->n_links || s->n == s->room || m->ifa_scope >= RT_SCOPE_LINK)
		return MNL_CB_OK;
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
		return MNL_CB_OK;
	struct endpoint e = {.family = family};
	memcpy(e.ip, ip, ip_bytes(family));
	if (s->mtus)
		s->mtus[s->n] = s->links[at].mtu;
	s->hosts[s->n++] = e;
	return MNL_CB_OK;
}

int netlink_hosts(struct netlink *n, const unsigned *skip, unsigned n_skip, struct endpoint *ret, uint16_t *ret_link_mtu, unsigned room)
{
	struct host_search s = {.skip = skip, .n_skip = n_skip, .room = room, .hosts = ret, .mtus = ret_link_mtu};
	int err = -EINTR;
	for (unsigned try = 0; try < DUMP_TRIES && err == -EINTR; try++) {
		s.n = s.n_links = 0;
		struct nlmsghdr *h = request_start(n, RTM_GETLINK, NLM_F_DUMP);
		mnl_nlmsg_put_extra_header(h, sizeof(struct ifinfomsg));
		mnl_attr_put_u32(h, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
		err = request(n, h, link_collect, &s);
		if (!err) {
			h = request_start(n, RTM_GETADDR, NLM_F_DUMP);
			mnl_nlmsg_put_extra_header(h, sizeof(struct ifaddrmsg));
			err = request(n, h, host_collect, &s);
		}
		if (err == -EINTR)
			drain(n);
	}
	return err ? err : (int)s.n;
}

/* ---- changes ---- */

int netlink_monitor_fd(const struct netlink *n)
{
	return mnl_socket_get_fd(n->monitor);
}

bool netlink_changed(struct netlink *n)
{
	bool changed = false;
	/* Bounded: under a storm the descriptor stays readable and we are called again. */
	for (unsigned i = 0; i < CHANGES_PER_CALL; i++) {
		ssize_t len = recv(mnl_socket_get_fd(n->monitor), n->buffer, sizeof(n->buffer), MSG_DONTWAIT);
		/* ENOBUFS: more changed than the kernel could tell. */
		if (len > 0 || (len < 0 && errno == ENOBUFS))
			changed = true;
		else if (len == 0 || errno != EINTR)
			break;
	}
	return changed;
}
