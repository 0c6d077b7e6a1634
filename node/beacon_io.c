/* beacon_io.c: multicast on all links at once (beacon_io.h).
 *
 * A list of links (up, multicast, no loopback, no tun or TAP device, none of ours) is read with getifaddrs(), at most twice a second; groups are
 * joined on what is new in it. Each beacon leaves once per address, with that address as its source, for the hearer takes the source as the place
 * where the sender is. Link-local IPv6 addresses are no such places (an endpoint has no scope). What is received must have TTL 255 and a source
 * inside a prefix that is configured on the link it came by. Both sockets hang on one epoll descriptor, which the loop watches.
 */
#include "node/beacon_io.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proto/cred.h"

#define GROUP4     "239.255.99.95"
#define GROUP6     "ff12::e0f1:9995"
#define TTL        255
#define LINKS_MAX  32
#define PLACES_MAX 64
#define PER_LINK   2 /* addresses of one family that a link is called from */
#define LOOK_MS    500

struct place { /* one address of ours */
	unsigned link;
	struct prefix at;
};

struct beacon_io {
	int fd4, fd6, poll;
	struct sockaddr_in group4;
	struct sockaddr_in6 group6;
	unsigned link[LINKS_MAX]; /* where the groups are joined */
	unsigned n_links;
	struct place place[PLACES_MAX];
	unsigned n_places;
	uint64_t looked_ms;
};

/* ---- links ------------------------------------------------------------------------------------------------------ */

static bool in(unsigned index, const unsigned *list, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (list[i] == index)
			return true;
	return false;
}

/* A tunnel of whomever: what is found through it would be a tunnel in a tunnel. */
static bool tunnel(const struct beacon_io *io, const char *name)
{
	struct ethtool_drvinfo info = {.cmd = ETHTOOL_GDRVINFO};
	struct ifreq r = {.ifr_data = (void *)&info};
	strncpy(r.ifr_name, name, sizeof(r.ifr_name) - 1);
	return ioctl(io->fd4 >= 0 ? io->fd4 : io->fd6, SIOCETHTOOL, &r) == 0 && !strcmp(info.driver, "tun");
}

static uint8_t mask_bits(const uint8_t *mask, unsigned bytes)
{
	unsigned bits = 0;
	while (bits < bytes * 8 && mask[bits / 8] & 0x80 >> bits % 8)
		bits++;
	return (uint8_t)bits;
}

static bool place_read(const struct ifaddrs *a, struct prefix *ret)
{
	*ret = (struct prefix){0};
	if (!a->ifa_addr || !a->ifa_netmask)
		return false;
	if (a->ifa_addr->sa_family == AF_INET) {
		const struct sockaddr_in *at = (const void *)a->ifa_addr, *mask = (const void *)a->ifa_netmask;
		ret->family = 4;
		memcpy(ret->ip, &at->sin_addr, 4);
		ret->bits = mask_bits((const uint8_t *)&mask->sin_addr, 4);
		return true;
	}
	if (a->ifa_addr->sa_family != AF_INET6)
		return false;
	const struct sockaddr_in6 *at = (const void *)a->ifa_addr, *mask = (const void *)a->ifa_netmask;
	ret->family = 6;
	memcpy(ret->ip, &at->sin6_addr, 16);
	ret->bits = mask_bits((const uint8_t *)&mask->sin6_addr, 16);
	return !IN6_IS_ADDR_LINKLOCAL(&at->sin6_addr);
}

static void group(const struct beacon_io *io, bool join, unsigned link)
{
	struct ip_mreqn m4 = {.imr_multiaddr = io->group4.sin_addr, .imr_ifindex = (int)link};
	struct ipv6_mreq m6 = {.ipv6mr_multiaddr = io->group6.sin6_addr, .ipv6mr_interface = link};
	/* A family this link does not have is refused, and a link that is gone has left by itself. */
	if (io->fd4 >= 0)
		(void)setsockopt(io->fd4, IPPROTO_IP, join ? IP_ADD_MEMBERSHIP : IP_DROP_MEMBERSHIP, &m4, sizeof(m4));
	if (io->fd6 >= 0)
		(void)setsockopt(io->fd6, IPPROTO_IPV6, join ? IPV6_JOIN_GROUP : IPV6_LEAVE_GROUP, &m6, sizeof(m6));
}

static void links_read(struct beacon_io *io, const unsigned *skip, unsigned n_skip, unsigned now[LINKS_MAX], unsigned *ret_n)
{
	struct ifaddrs *all = NULL;
	unsigned n = 0;
	io->n_places = 0;
	*ret_n = 0;
	if (getifaddrs(&all))
		return;
	for (const struct ifaddrs *a = all; a; a = a->ifa_next) {
		struct prefix at;
		unsigned link = if_nametoindex(a->ifa_name), wanted = IFF_UP | IFF_RUNNING | IFF_MULTICAST;
		if ((a->ifa_flags & wanted) != wanted || a->ifa_flags & (IFF_LOOPBACK | IFF_POINTOPOINT) || !link ||
		    in(link, skip, n_skip) || !place_read(a, &at) || tunnel(io, a->ifa_name))
			continue;
		if (!in(link, now, n)) {
			if (n == LINKS_MAX)
				continue;
			now[n++] = link;
		}
		if (io->n_places < PLACES_MAX)
			io->place[io->n_places++] = (struct place){link, at};
	}
	freeifaddrs(all);
	*ret_n = n;
}

static void look(struct beacon_io *io, const unsigned *skip, unsigned n_skip, uint64_t now_ms)
{
	unsigned now[LINKS_MAX], n;
	if (io->looked_ms && now_ms - io->looked_ms < LOOK_MS)
		return;
	io->looked_ms = now_ms;
	links_read(io, skip, n_skip, now, &n);
	for (unsigned i = 0; i < io->n_links; i++)
		if (!in(io->link[i], now, n))
			group(io, false, io->link[i]);
	/* Anew on all: one that was joined is refused, but a link may have got its IPv6 since. */
	for (unsigned i = 0; i < n; i++)
		group(io, true, now[i]);
	memcpy(io->link, now, n * sizeof(*now));
	io->n_links = n;
}

/* ---- sockets ---------------------------------------------------------------------------------------------------- */

static bool option(int fd, int level, int name, int value)
{
	return setsockopt(fd, level, name, &value, sizeof(value)) == 0;
}

/* Others on this host may listen too: each of its daemons hears all. */
static int open4(const struct sockaddr_in *group)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	bool good = fd >= 0 && option(fd, SOL_SOCKET, SO_REUSEADDR, 1) && option(fd, IPPROTO_IP, IP_MULTICAST_TTL, TTL) &&
	            option(fd, IPPROTO_IP, IP_RECVTTL, 1) && option(fd, IPPROTO_IP, IP_PKTINFO, 1) &&
	            option(fd, IPPROTO_IP, IP_MULTICAST_ALL, 0) && bind(fd, (const struct sockaddr *)group, sizeof(*group)) == 0;
	if (fd >= 0 && !good) {
		close(fd);
		fd = -1;
	}
	return fd;
}

static int open6(const struct sockaddr_in6 *group)
{
	struct sockaddr_in6 any = {.sin6_family = AF_INET6,
	                           .sin6_port = group->sin6_port}; /* a group of the link cannot be bound without one */
	int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	bool good = fd >= 0 && option(fd, SOL_SOCKET, SO_REUSEADDR, 1) && option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1) &&
	            option(fd, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, TTL) && option(fd, IPPROTO_IPV6, IPV6_RECVHOPLIMIT, 1) &&
	            option(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1) && bind(fd, (const struct sockaddr *)&any, sizeof(any)) == 0;
	if (fd >= 0 && !good) {
		close(fd);
		fd = -1;
	}
	return fd;
}

int beacon_io_open(struct beacon_io **ret)
{
	struct beacon_io *io = calloc(1, sizeof(*io));
	if (!io)
		return -ENOMEM;
	io->group4 = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(BEACON_PORT)};
	io->group6 = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = htons(BEACON_PORT)};
	inet_pton(AF_INET, GROUP4, &io->group4.sin_addr);
	inet_pton(AF_INET6, GROUP6, &io->group6.sin6_addr);
	io->fd4 = open4(&io->group4);
	int error = errno;
	io->fd6 = open6(&io->group6);
	io->poll = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event e = {.events = EPOLLIN};
	bool watched = io->poll >= 0 && (io->fd4 >= 0 || io->fd6 >= 0) &&
	               (io->fd4 < 0 || epoll_ctl(io->poll, EPOLL_CTL_ADD, io->fd4, &e) == 0) &&
	               (io->fd6 < 0 || epoll_ctl(io->poll, EPOLL_CTL_ADD, io->fd6, &e) == 0);
	if (!watched) {
		beacon_io_close(io);
		return error ? -error : -EIO;
	}
	*ret = io;
	return 0;
}

void beacon_io_close(struct beacon_io *io)
{
	if (!io)
		return;
	const int fds[] = {io->poll, io->fd4, io->fd6};
	for (unsigned i = 0; i < 3; i++)
		if (fds[i] >= 0)
			close(fds[i]);
	free(io);
}

int beacon_io_fd(const struct beacon_io *io)
{
	return io->poll;
}

/* ---- datagrams -------------------------------------------------------------------------------------------------- */

/* With the packet info that says which link and which source address. A link that refuses is left to its own devices: the next call comes. */
static void send_from(int fd, struct iovec *iov, void *to, socklen_t to_len, int level, int type, const void *info, size_t info_len)
{
	union {
		char room[CMSG_SPACE(sizeof(struct in6_pktinfo))]; /* the larger one */
		struct cmsghdr align;
	} control = {0};
	struct msghdr m = {.msg_name = to,
	                   .msg_namelen = to_len,
	                   .msg_iov = iov,
	                   .msg_iovlen = 1,
	                   .msg_control = control.room,
	                   .msg_controllen = CMSG_SPACE(info_len)};
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);
	c->cmsg_level = level;
	c->cmsg_type = type;
	c->cmsg_len = CMSG_LEN(info_len);
	memcpy(CMSG_DATA(c), info, info_len);
	(void)sendmsg(fd, &m, 0);
}

static void send4(const struct beacon_io *io, const struct place *p, const uint8_t *bytes, size_t len)
{
	struct iovec iov = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = len};
	struct sockaddr_in to = io->group4;
	struct in_pktinfo info = {.ipi_ifindex = (int)p->link};
	memcpy(&info.ipi_spec_dst, p->at.ip, 4);
	send_from(io->fd4, &iov, &to, sizeof(to), IPPROTO_IP, IP_PKTINFO, &info, sizeof(info));
}

static void send6(const struct beacon_io *io, const struct place *p, const uint8_t *bytes, size_t len)
{
	struct iovec iov = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = len};
	struct sockaddr_in6 to = io->group6;
	struct in6_pktinfo info = {.ipi6_ifindex = p->link};
	to.sin6_scope_id = p->link;
	memcpy(&info.ipi6_addr, p->at.ip, 16);
	send_from(io->fd6, &iov, &to, sizeof(to), IPPROTO_IPV6, IPV6_PKTINFO, &info, sizeof(info));
}

void beacon_io_send(struct beacon_io *io, const uint8_t *bytes, size_t len, const unsigned *skip, unsigned n_skip, uint64_t now)
{
	look(io, skip, n_skip, now);
	for (unsigned i = 0; i < io->n_places; i++) {
		const struct place *p = &io->place[i];
		unsigned before = 0;
		for (unsigned k = 0; k < i; k++)
			before += io->place[k].link == p->link && io->place[k].at.family == p->at.family;
		if (before >= PER_LINK)
			continue;
		if (p->at.family == 4 && io->fd4 >= 0)
			send4(io, p, bytes, len);
		else if (p->at.family == 6 && io->fd6 >= 0)
			send6(io, p, bytes, len);
	}
}

static bool on_link(const struct beacon_io *io, unsigned link, const struct endpoint *from)
{
	for (unsigned i = 0; i < io->n_places; i++) {
		const struct prefix *at = &io->place[i].at;
		unsigned full = at->bits / 8, rest = at->bits % 8;
		if (io->place[i].link == link && at->family == from->family && !memcmp(at->ip, from->ip, full) &&
		    (!rest || (at->ip[full] ^ from->ip[full]) >> (8 - rest) == 0))
			return true;
	}
	return false;
}

/* What the kernel says of a datagram: the link it came by, its TTL, and the group it was sent to. */
static bool from_neighbour(const struct beacon_io *io, struct msghdr *m, const struct endpoint *from)
{
	unsigned link = 0;
	int ttl = -1;
	bool to_group = false;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		struct in_pktinfo info4;
		struct in6_pktinfo info6;
		if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
			memcpy(&info4, CMSG_DATA(c), sizeof(info4));
			link = (unsigned)info4.ipi_ifindex;
			to_group = info4.ipi_addr.s_addr == io->group4.sin_addr.s_addr;
		} else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
			memcpy(&info6, CMSG_DATA(c), sizeof(info6));
			link = info6.ipi6_ifindex;
			to_group = !memcmp(&info6.ipi6_addr, &io->group6.sin6_addr, 16);
		} else if ((c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_TTL) ||
		           (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_HOPLIMIT)) {
			memcpy(&ttl, CMSG_DATA(c), sizeof(ttl));
		}
	}
	return ttl == TTL && to_group && on_link(io, link, from);
}

static long recv_one(const struct beacon_io *io, int fd, struct endpoint *ret_from, uint8_t *buf, size_t room)
{
	union {
		char room[256];
		struct cmsghdr align;
	} control;
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	} from = {.v6 = {0}};
	struct iovec iov = {.iov_base = buf, .iov_len = room};
	struct msghdr m = {.msg_name = &from,
	                   .msg_namelen = sizeof(from),
	                   .msg_iov = &iov,
	                   .msg_iovlen = 1,
	                   .msg_control = control.room,
	                   .msg_controllen = sizeof(control.room)};
	ssize_t n = recvmsg(fd, &m, 0);
	if (n < 0)
		return errno == EAGAIN || errno == EWOULDBLOCK ? -EAGAIN : 0;
	struct endpoint e = {0};
	if (from.any.sa_family == AF_INET) {
		e.family = 4;
		memcpy(e.ip, &from.v4.sin_addr, 4);
	} else if (from.any.sa_family == AF_INET6) {
		e.family = 6;
		memcpy(e.ip, &from.v6.sin6_addr, 16);
	}
	if (m.msg_flags & (MSG_TRUNC | MSG_CTRUNC) || !from_neighbour(io, &m, &e))
		return 0;
	*ret_from = e;
	return n;
}

long beacon_io_recv(struct beacon_io *io, struct endpoint *ret_from, uint8_t *buf, size_t room)
{
	long n = io->fd4 >= 0 ? recv_one(io, io->fd4, ret_from, buf, room) : -EAGAIN;
	if (n == -EAGAIN && io->fd6 >= 0)
		n = recv_one(io, io->fd6, ret_from, buf, room);
	return n;
}
