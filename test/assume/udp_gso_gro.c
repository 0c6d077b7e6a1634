/* A train of datagrams that leaves by UDP_SEGMENT comes over the loopback as one message to a socket
 * that asked for UDP_GRO, with the size of its datagrams, and as single datagrams to one that did not.
 * A size that the route cannot carry is refused for the whole train, whether or not the singles would
 * be, and nothing of it is sent; so is a train longer than an IP packet. */
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdbool.h>

#include "test/assume/assume.h"

#define SEGMENT 1442
#define WHOLE   44
#define LAST    100

union address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

union control {
	struct cmsghdr first;
	uint8_t room[CMSG_SPACE(sizeof(int))];
};

static uint8_t sent[65536], got[65536];

static int socket_bound(int family, union address *ret_at, bool gro)
{
	int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), on = 1;
	socklen_t len = family == AF_INET ? sizeof(ret_at->v4) : sizeof(ret_at->v6);
	memset(ret_at, 0, sizeof(*ret_at));
	ret_at->any.sa_family = (sa_family_t)family;
	if (family == AF_INET)
		ret_at->v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	else
		ret_at->v6.sin6_addr = in6addr_loopback;
	believe(fd >= 0 && bind(fd, &ret_at->any, len) == 0 && getsockname(fd, &ret_at->any, &len) == 0, "a socket on the loopback");
	int probe = family == AF_INET ? IP_PMTUDISC_PROBE : IPV6_PMTUDISC_PROBE;
	believe(setsockopt(fd, family == AF_INET ? IPPROTO_IP : IPPROTO_IPV6, family == AF_INET ? IP_MTU_DISCOVER : IPV6_MTU_DISCOVER,
	                   &probe, sizeof(probe)) == 0,
	        "PROBE");
	believe(!gro || setsockopt(fd, SOL_UDP, UDP_GRO, &on, sizeof(on)) == 0, "UDP_GRO");
	return fd;
}

static ssize_t train(int fd, union address *to, uint16_t segment, size_t len)
{
	union control control = {.first = {.cmsg_len = CMSG_LEN(2), .cmsg_level = SOL_UDP, .cmsg_type = UDP_SEGMENT}};
	struct iovec part = {sent, len};
	struct msghdr m = {.msg_name = to,
	                   .msg_namelen = to->any.sa_family == AF_INET ? sizeof(to->v4) : sizeof(to->v6),
	                   .msg_iov = &part,
	                   .msg_iovlen = 1,
	                   .msg_control = &control,
	                   .msg_controllen = CMSG_SPACE(2)};
	memcpy(CMSG_DATA(&control.first), &segment, sizeof(segment));
	return sendmsg(fd, &m, 0);
}

/* The next message, and the size its control message tells; 0 = it has none. */
static ssize_t message(int fd, int *ret_segment)
{
	union control control;
	struct iovec part = {got, sizeof(got)};
	struct msghdr m = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)};
	ssize_t n = readable(fd) ? recvmsg(fd, &m, 0) : -1;
	const struct cmsghdr *c = CMSG_FIRSTHDR(&m);
	*ret_segment = 0;
	if (n >= 0 && c) {
		believe(c->cmsg_level == SOL_UDP && c->cmsg_type == UDP_GRO && c->cmsg_len == CMSG_LEN(sizeof(int)), "the control message");
		memcpy(ret_segment, CMSG_DATA(c), sizeof(int));
	}
	return n;
}

static void try_family(int family)
{
	const size_t len = SEGMENT * WHOLE + LAST;
	union address at, joined_at, apart_at;
	int fd = socket_bound(family, &at, false), segment;
	int joined = socket_bound(family, &joined_at, true), apart = socket_bound(family, &apart_at, false);

	believe(train(fd, &joined_at, SEGMENT, len) == (ssize_t)len, "a train");
	believe(message(joined, &segment) == (ssize_t)len && segment == SEGMENT, "one message of %zu, segment %d", len, segment);
	believe(memcmp(sent, got, len) == 0, "what it carries");
	believe(train(fd, &joined_at, SEGMENT, SEGMENT) == SEGMENT, "a train of one");
	believe(message(joined, &segment) == SEGMENT && segment == 0, "a single");

	believe(train(fd, &apart_at, SEGMENT, len) == (ssize_t)len, "a train");
	for (size_t i = 0; i <= WHOLE; i++) {
		ssize_t want = i < WHOLE ? SEGMENT : LAST;
		believe(message(apart, &segment) == want && segment == 0, "single %zu", i);
		believe(memcmp(sent + i * SEGMENT, got, (size_t)want) == 0, "what single %zu carries", i);
	}

	/* 1500 - IP - UDP is the most that passes. */
	uint16_t most = family == AF_INET ? 1472 : 1452;
	device_up("lo", 1500);
	believe(train(fd, &joined_at, most, 3u * most) == 3 * most, "the largest segment");
	believe(message(joined, &segment) == 3 * most && segment == most, "all of it");
	believe(train(fd, &joined_at, (uint16_t)(most + 1), 3u * (most + 1u)) == -1 && (errno == EINVAL || errno == EMSGSIZE),
	        "a segment too large");
	device_up("lo", 65536);
	believe(train(fd, &joined_at, 1400, 65536) == -1 && errno == EMSGSIZE, "more than IP can carry");
	believe(recv(joined, got, sizeof(got), 0) == -1 && errno == EAGAIN, "nothing of either");
	close(fd);
	close(joined);
	close(apart);
}

int main(void)
{
	private_net();
	device_up("lo", 65536);
	for (size_t i = 0; i < sizeof(sent); i++)
		sent[i] = (uint8_t)(i * 7 + i / 256);
	try_family(AF_INET);
	if (access("/proc/sys/net/ipv6", F_OK) == 0)
		try_family(AF_INET6);
	printf("trains leave as one and arrive as one, or as singles\n");
	return 0;
}
