/* UDP sockets of the workers.
 *
 * Binding: the first socket of an address binds without SO_REUSEPORT, so the kernel refuses it when
 * anybody at all has the port, another daemon of this user included. Only then the option is set on
 * it, and the sockets of the further workers join (test/assume/reuseport_bind.c proves both
 * halves). The order of joining is the index the steering program answers with. The option must
 * stay set: the kernel's lookup asks for it.
 *
 * Batches are gathered per socket into one recvmmsg or sendmmsg each; message headers live on the
 * stack.
 */
#include "node/udp.h"

#include <assert.h>
#include <errno.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define SOCKET_BUFFER     (4 << 20) /* bytes: 0.3 s at 100 Mbit/s while a worker is kept from its core */
#define RANDOM_PORT_TRIES 16
#define LANE_BITS         15u

struct udp {
	unsigned sockets, workers;
	uint8_t family[UDP_SOCKETS_MAX];
	int fd[UDP_SOCKETS_MAX][UDP_WORKERS_MAX];
	unsigned turn[UDP_WORKERS_MAX]; /* which socket this worker reads first; its own */
};

union address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

static socklen_t address_of(const struct endpoint *e, union address *ret)
{
	memset(ret, 0, sizeof(*ret));
	if (e->family == 4) {
		ret->v4.sin_family = AF_INET;
		ret->v4.sin_port = htons(e->port);
		memcpy(&ret->v4.sin_addr, e->ip, 4);
		return sizeof(ret->v4);
	}
	ret->v6.sin6_family = AF_INET6;
	ret->v6.sin6_port = htons(e->port);
	memcpy(&ret->v6.sin6_addr, e->ip, 16);
	return sizeof(ret->v6);
}

static void endpoint_of(const union address *a, struct endpoint *ret)
{
	memset(ret, 0, sizeof(*ret));
	if (a->any.sa_family == AF_INET) {
		ret->family = 4;
		ret->port = ntohs(a->v4.sin_port);
		memcpy(ret->ip, &a->v4.sin_addr, 4);
	} else if (a->any.sa_family == AF_INET6) {
		ret->family = 6;
		ret->port = ntohs(a->v6.sin6_port);
		memcpy(ret->ip, &a->v6.sin6_addr, 16);
	}
}

static int set(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof(value)) < 0 ? -errno : 0;
}

/* A socket with our options, unbound. */
static int socket_make(uint8_t family, int *ret)
{
	int fd = socket(family == 4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	int err = family == 4 ? set(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_PROBE)
	                      : set(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_PROBE);
	if (!err && family == 6)
		err = set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
	if (err) {
		close(fd);
		return err;
	}
	/* The plain options are cut to rmem_max and wmem_max; they never fail and less is still of
	 * use. */
	if (set(fd, SOL_SOCKET, SO_RCVBUFFORCE, SOCKET_BUFFER))
		set(fd, SOL_SOCKET, SO_RCVBUF, SOCKET_BUFFER);
	if (set(fd, SOL_SOCKET, SO_SNDBUFFORCE, SOCKET_BUFFER))
		set(fd, SOL_SOCKET, SO_SNDBUF, SOCKET_BUFFER);
	*ret = fd;
	return 0;
}

static int steer(int fd, unsigned workers)
{
	struct sock_filter code[] = {
	    BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 0), /* offset 0 is the UDP payload here */
	    BPF_STMT(BPF_ALU | BPF_AND | BPF_K, LANE_BITS),
	    BPF_STMT(BPF_ALU | BPF_MOD | BPF_K, workers),
	    BPF_STMT(BPF_RET | BPF_A, 0),
	};
	struct sock_fprog program = {.len = sizeof(code) / sizeof(code[0]), .filter = code};
	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &program, sizeof(program)) < 0 ? -errno : 0;
}

/* One address: its group of sockets into fd[], all or none. ret_bound has the real port. */
static int group_bind(const struct endpoint *want, unsigned workers, int *fd, struct endpoint *ret_bound)
{
	union address a;
	socklen_t len = address_of(want, &a);
	unsigned made = 0;
	int err = 0;

	for (; made < workers && !err; made++) {
		err = socket_make(want->family, &fd[made]);
		if (err)
			break;
		if (made > 0)
			err = set(fd[made], SOL_SOCKET, SO_REUSEPORT, 1);
		if (!err && bind(fd[made], &a.any, len) < 0)
			err = -errno;
		if (!err && made == 0) {
			if (getsockname(fd[0], &a.any, &len) < 0)
				err = -errno;
			else if (workers > 1)
				err = set(fd[0], SOL_SOCKET, SO_REUSEPORT, 1);
		}
	}
	if (!err && workers > 1)
		err = steer(fd[0], workers);
	if (err) {
		while (made-- > 0)
			close(fd[made]);
		return err;
	}
	endpoint_of(&a, ret_bound);
	return 0;
}

static void groups_close(struct udp *u)
{
	for (unsigned s = 0; s < u->sockets; s++)
		for (unsigned w = 0; w < u->workers; w++)
			close(u->fd[s][w]);
	u->sockets = 0;
}

/* All addresses once. -EAGAIN: the random port of the first was taken at a later address; another
 * may do. */
static int groups_bind(struct udp *u, const struct endpoint *listen, unsigned n, struct endpoint *bound)
{
	uint16_t port = 0;
	int err = 0;

	for (unsigned i = 0; i < n; i++) {
		struct endpoint want = listen[i];
		bool chosen = want.port == 0 && port != 0;
		if (chosen)
			want.port = port;
		bound[i] = (struct endpoint){.family = 0};
		err = group_bind(&want, u->workers, u->fd[u->sockets], &bound[i]);
		/* A kernel without IPv6 has no IPv6 sockets; the rest may serve. */
		if (err == -EAFNOSUPPORT && want.family == 6)
			continue;
		if (err) {
			groups_close(u);
			return err == -EADDRINUSE && chosen ? -EAGAIN : err;
		}
		if (listen[i].port == 0)
			port = bound[i].port;
		u->family[u->sockets++] = want.family;
	}
	return u->sockets ? 0 : err;
}

int udp_open(struct udp **ret, const struct endpoint *listen, unsigned n, unsigned workers, struct endpoint *ret_bound)
{
	struct endpoint bound[UDP_SOCKETS_MAX];
	int err = -EAGAIN;

	if (n < 1 || n > UDP_SOCKETS_MAX || workers < 1 || workers > UDP_WORKERS_MAX)
		return -EINVAL;
	for (unsigned i = 0; i < n; i++)
		if (listen[i].family != 4 && listen[i].family != 6)
			return -EAFNOSUPPORT;
	struct udp *u = calloc(1, sizeof(*u));
	if (!u)
		return -ENOMEM;
	u->workers = workers;
	for (unsigned try = 0; try < RANDOM_PORT_TRIES && err == -EAGAIN; try++)
		err = groups_bind(u, listen, n, bound);
	if (err) {
		free(u);
		return err == -EAGAIN ? -EADDRINUSE : err;
	}
	if (ret_bound)
		memcpy(ret_bound, bound, n * sizeof(bound[0]));
	*ret = u;
	return 0;
}

void udp_close(struct udp *u)
{
	if (!u)
		return;
	groups_close(u);
	free(u);
}

unsigned udp_sockets(const struct udp *u)
{
	return u->sockets;
}

int udp_fd(const struct udp *u, unsigned socket, unsigned worker)
{
	return socket < u->sockets && worker < u->workers ? u->fd[socket][worker] : -1;
}

/* One recvmmsg on one socket. */
static unsigned recv_some(int fd, unsigned socket, struct packet *p, unsigned n)
{
	struct mmsghdr messages[BATCH_MAX];
	struct iovec parts[BATCH_MAX];
	union address from[BATCH_MAX];
	int got;

	for (unsigned i = 0; i < n; i++) {
		parts[i] = (struct iovec){p[i].data, p[i].room};
		messages[i] = (struct mmsghdr){
		    .msg_hdr = {.msg_name = &from[i], .msg_namelen = sizeof(from[i]), .msg_iov = &parts[i], .msg_iovlen = 1}};
	}
	do
		got = recvmmsg(fd, messages, n, MSG_DONTWAIT, NULL);
	while (got < 0 && errno == EINTR);
	for (int i = 0; i < got; i++) {
		p[i].len = messages[i].msg_len;
		p[i].verdict = DROP_NONE;
		p[i].socket = (uint8_t)socket;
		endpoint_of(&from[i], &p[i].from);
	}
	return got > 0 ? (unsigned)got : 0;
}

unsigned udp_recv(struct udp *u, unsigned worker, struct packet *p, unsigned n)
{
	unsigned got = 0;
	assert(worker < u->workers && n <= BATCH_MAX);
	unsigned first = u->turn[worker]++;
	for (unsigned i = 0; i < u->sockets && got < n; i++) {
		unsigned s = (first + i) % u->sockets;
		got += recv_some(u->fd[s][worker], s, p + got, n - got);
	}
	return got;
}

/* The socket that reaches the packet's destination, or UDP_SOCKETS_MAX. */
static unsigned socket_for(const struct udp *u, const struct packet *p)
{
	if (p->socket < u->sockets && u->family[p->socket] == p->from.family)
		return p->socket;
	for (unsigned s = 0; s < u->sockets; s++)
		if (u->family[s] == p->from.family)
			return s;
	return UDP_SOCKETS_MAX;
}

/* Sends all messages; a refused one gets its verdict and the rest goes on. A full buffer ends it:
 * asking again for each of the rest would be up to 64 calls for nothing. */
static void send_all(int fd, struct mmsghdr *messages, struct packet **p, unsigned n)
{
	unsigned sent = 0;
	while (sent < n) {
		int r = sendmmsg(fd, messages + sent, n - sent, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (r > 0) {
			sent += (unsigned)r;
			continue;
		}
		int why = errno;
		if (why == EINTR)
			continue;
		p[sent++]->verdict = DROP_SEND;
		while ((why == EAGAIN || why == ENOBUFS) && sent < n)
			p[sent++]->verdict = DROP_SEND;
	}
}

void udp_send(struct udp *u, unsigned worker, struct packet *p, unsigned n)
{
	struct mmsghdr messages[BATCH_MAX];
	struct iovec parts[BATCH_MAX];
	union address to[BATCH_MAX];
	struct packet *of[BATCH_MAX];
	uint8_t by[BATCH_MAX];

	assert(worker < u->workers && n <= BATCH_MAX);
	for (unsigned i = 0; i < n; i++) {
		by[i] = (uint8_t)socket_for(u, &p[i]);
		if (by[i] == UDP_SOCKETS_MAX && p[i].verdict == DROP_NONE)
			p[i].verdict = DROP_SEND;
	}
	for (unsigned s = 0; s < u->sockets; s++) {
		unsigned k = 0;
		for (unsigned i = 0; i < n; i++) {
			if (p[i].verdict != DROP_NONE || by[i] != s)
				continue;
			of[k] = &p[i];
			parts[k] = (struct iovec){p[i].data, p[i].len};
			messages[k] = (struct mmsghdr){
			    .msg_hdr = {
				.msg_name = &to[k], .msg_namelen = address_of(&p[i].from, &to[k]), .msg_iov = &parts[k], .msg_iovlen = 1}};
			k++;
		}
		send_all(u->fd[s][worker], messages, of, k);
	}
}
