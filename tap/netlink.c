/* rtnetlink by libmnl: one socket for requests, one subscribed to changes.
 *
 * The kernel puts its answer into the socket's buffer before sendto returns, so a request never
 * waits in practice; the receive timeout is there so that a surprise costs a second, not the
 * control thread. Dumps ask for strict checking, so that the kernel filters by interface instead of
 * walking a full Internet table to us; where it does not, the callbacks compare anyway. What exists
 * already is told apart from what is in the way by reading it back.
 */
#include "tap/netlink_parts.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/filter.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>

#define DUMP_PARTS_MAX      4096
#define CHANGES_PER_CALL    64
#define IPV6_DEFAULT_METRIC 1024

#ifndef RTM_NEWMULTICAST /* headers before Linux 6.14 */
#define RTM_NEWMULTICAST 56
#define RTM_DELMULTICAST 57
#endif
#define GROUP_IPV4_MCADDR 37 /* RTNLGRP_IPV4_MCADDR, RTNLGRP_IPV6_MCADDR */
#define GROUP_IPV6_MCADDR 38

static bool prefix_ok(uint8_t family, uint8_t bits)
{
	return (family == 4 && bits <= 32) || (family == 6 && bits <= 128);
}

/* Of changed routes only default ones: a router that learns routes from others would keep us awake. The filter reads big-endian, netlink is
 * in host order, hence the htons; it sees the first message of a buffer, and the kernel tells of one change per buffer. */
static int monitor_filter(int fd)
{
	struct sock_filter code[] = {
	    BPF_STMT(BPF_LD | BPF_H | BPF_ABS, offsetof(struct nlmsghdr, nlmsg_type)),
	    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htons(RTM_NEWROUTE), 1, 0),
	    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htons(RTM_DELROUTE), 0, 2),
	    BPF_STMT(BPF_LD | BPF_B | BPF_ABS, sizeof(struct nlmsghdr) + offsetof(struct rtmsg, rtm_dst_len)),
	    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 1),
	    BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
	    BPF_STMT(BPF_RET | BPF_K, 0),
	};
	const struct sock_fprog program = {.len = sizeof(code) / sizeof(code[0]), .filter = code};
	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program));
}

/* Joined and left IP groups, which kernels before 6.14 announce nowhere: a help, see groups.h for what is asked anyway. */
static void monitor_groups(struct mnl_socket *monitor)
{
	int four = GROUP_IPV4_MCADDR, six = GROUP_IPV6_MCADDR;
	mnl_socket_setsockopt(monitor, NETLINK_ADD_MEMBERSHIP, &four, sizeof(four));
	mnl_socket_setsockopt(monitor, NETLINK_ADD_MEMBERSHIP, &six, sizeof(six));
}

int netlink_open(struct netlink **ret)
{
	const unsigned groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR | RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE;
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
	if (!n->monitor || monitor_filter(mnl_socket_get_fd(n->monitor)) < 0 || mnl_socket_bind(n->monitor, groups, MNL_SOCKET_AUTOPID) < 0)
		goto failed;
	monitor_groups(n->monitor);
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

/* Starts a request in the buffer; the caller adds header and attributes, then calls netlink_request(). */
struct nlmsghdr *netlink_request_start(struct netlink *n, uint16_t type, uint16_t flags)
{
	struct nlmsghdr *h = mnl_nlmsg_put_header(n->buffer);
	h->nlmsg_type = type;
	h->nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags);
	h->nlmsg_seq = ++n->sequence;
	return h;
}

int netlink_request(struct netlink *n, const struct nlmsghdr *h, mnl_cb_t each, void *self)
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

void netlink_drain(struct netlink *n)
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
		struct nlmsghdr *h = netlink_request_start(n, RTM_GETADDR, NLM_F_DUMP);
		struct ifaddrmsg *m = mnl_nlmsg_put_extra_header(h, sizeof(*m));
		m->ifa_family = (uint8_t)family_of(s->family);
		m->ifa_index = s->ifindex;
		s->found = false;
		err = netlink_request(n, h, address_compare, s);
		if (err == -EINTR)
			netlink_drain(n);
	}
	return err ? err : s->found ? 0 : -EEXIST;
}

int netlink_address(struct netlink *n, bool add, unsigned ifindex, uint8_t family, const uint8_t *ip, uint8_t bits)
{
	if (!prefix_ok(family, bits))
		return -EINVAL;
	struct address_search s = {.ifindex = ifindex, .family = family, .bits = bits, .ip = ip};
	/* Asked for once more it is refused, and yet the kernel tells its groups anew: two frames to everybody that nobody needs. */
	if (family == 6 && add && !address_same(n, &s))
		return 0;
	struct nlmsghdr *h =
	    netlink_request_start(n, add ? RTM_NEWADDR : RTM_DELADDR, (uint16_t)(NLM_F_ACK | (add ? NLM_F_CREATE | NLM_F_EXCL : 0)));
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
	int err = netlink_request(n, h, NULL, NULL);
	if (add && err == -EEXIST)
		return address_same(n, &s);
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
		struct nlmsghdr *h = netlink_request_start(n, RTM_GETROUTE, NLM_F_DUMP);
		struct rtmsg *m = mnl_nlmsg_put_extra_header(h, sizeof(*m));
		m->rtm_family = (uint8_t)family_of(s->family);
		m->rtm_table = RT_TABLE_MAIN;
		mnl_attr_put_u32(h, RTA_OIF, s->ifindex);
		s->found = false;
		err = netlink_request(n, h, route_compare, s);
		if (err == -EINTR)
			netlink_drain(n);
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
	    netlink_request_start(n, add ? RTM_NEWROUTE : RTM_DELROUTE, (uint16_t)(NLM_F_ACK | (add ? NLM_F_CREATE | NLM_F_EXCL : 0)));
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
	int err = netlink_request(n, h, NULL, NULL);
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
	struct nlmsghdr *h = netlink_request_start(n, RTM_NEWLINK, NLM_F_ACK);
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
	return netlink_request(n, h, NULL, NULL);
}

int netlink_link_mtu(struct netlink *n, unsigned ifindex, uint16_t mtu)
{
	struct nlmsghdr *h = link_start(n, ifindex, 0, 0);
	mnl_attr_put_u32(h, IFLA_MTU, mtu);
	return netlink_request(n, h, NULL, NULL);
}

int netlink_link_gso(struct netlink *n, unsigned ifindex, uint32_t bytes)
{
	struct nlmsghdr *h = link_start(n, ifindex, 0, 0);
	mnl_attr_put_u32(h, IFLA_GSO_MAX_SIZE, bytes);
	return netlink_request(n, h, NULL, NULL);
}

int netlink_link_up(struct netlink *n, unsigned ifindex, bool up)
{
	return netlink_request(n, link_start(n, ifindex, up ? IFF_UP : 0, IFF_UP), NULL, NULL);
}

int netlink_link_flush(struct netlink *n, unsigned ifindex)
{
	struct nlmsghdr *h = link_start(n, ifindex, 0, 0);
	struct nlattr *info = mnl_attr_nest_start(h, IFLA_LINKINFO);
	mnl_attr_put_strz(h, IFLA_INFO_SLAVE_KIND, "bridge");
	struct nlattr *port = mnl_attr_nest_start(h, IFLA_INFO_SLAVE_DATA);
	mnl_attr_put(h, IFLA_BRPORT_FLUSH, 0, NULL);
	mnl_attr_nest_end(h, port);
	mnl_attr_nest_end(h, info);
	return netlink_request(n, h, NULL, NULL);
}

/* ---- changes ---- */

int netlink_monitor_fd(const struct netlink *n)
{
	return mnl_socket_get_fd(n->monitor);
}

/* What a datagram of the monitor is about; the groups it listens to have no mixed ones. */
static unsigned change_of(const void *message, ssize_t len)
{
	const struct nlmsghdr *h = message;
	if (len < (ssize_t)sizeof(*h))
		return NETLINK_HOSTS | NETLINK_ROUTES | NETLINK_GROUPS;
	switch (h->nlmsg_type) {
	case RTM_NEWROUTE:
	case RTM_DELROUTE: return NETLINK_ROUTES;
	case RTM_NEWMULTICAST:
	case RTM_DELMULTICAST: return NETLINK_GROUPS;
	default: return NETLINK_HOSTS;
	}
}

unsigned netlink_changed(struct netlink *n)
{
	unsigned changed = 0;
	/* Bounded: under a storm the descriptor stays readable and we are called again. */
	for (unsigned i = 0; i < CHANGES_PER_CALL; i++) {
		ssize_t len = recv(mnl_socket_get_fd(n->monitor), n->buffer, sizeof(n->buffer), MSG_DONTWAIT);
		/* ENOBUFS: more changed than the kernel could tell. */
		if (len > 0 || (len < 0 && errno == ENOBUFS))
			changed |= change_of(n->buffer, len);
		else if (len == 0 || errno != EINTR)
			break;
	}
	return changed;
}
