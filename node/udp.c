/* UDP sockets of the workers.
 *
 * Binding: the first socket of an address binds without SO_REUSEPORT, so the kernel refuses it when
 * anybody at all has the port, another daemon of this user included. Only then the option is set on
 * it, and the sockets of the further workers join (test/assume/reuseport_bind.c proves both
 * halves). The order of joining is the index the steering program answers with. The option must
 * stay set: the kernel's lookup asks for it.
 *
 * Behind the listen addresses there may be one socket more, worker 0's: an AF_UNIX pair whose far
 * end turns datagrams into TCP (stream.h), and adopted ones (udp_spray.c).
 */
#include "node/udp_parts.h"

#include <errno.h>
#include <linux/filter.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define SOCKET_BUFFER     (4 << 20) /* bytes: 0.3 s at 100 Mbit/s while a worker is kept from its core */
#define RANDOM_PORT_TRIES 16

static int set(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof(value)) < 0 ? -errno : 0;
}

int udp_socket(uint8_t family, int *ret)
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
	/* A kernel without it hands out one datagram per message. */
	set(fd, SOL_UDP, UDP_GRO, 1);
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
		err = udp_socket(want->family, &fd[made]);
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

static bool inlets_map(struct udp *u)
{
	for (unsigned w = 0; w < u->workers; w++) {
		void *at = mmap(NULL, sizeof(struct inlet), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		if (at == MAP_FAILED)
			return false;
		u->inlet[w] = at;
	}
	return true;
}

static void udp_free(struct udp *u)
{
	for (unsigned w = 0; w < u->workers; w++)
		if (u->inlet[w])
			munmap(u->inlet[w], sizeof(struct inlet));
	free(u);
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
		if (want.family == 4 && !u->local4.family) {
			u->local4 = bound[i];
			u->local4.port = 0;
		}
	}
	return u->sockets ? 0 : err;
}

int udp_open(struct udp **ret, const struct endpoint *listen, unsigned n, unsigned workers, struct endpoint *ret_bound)
{
	struct endpoint bound[UDP_SOCKETS_MAX];

	if (n < 1 || n > UDP_SOCKETS_MAX || workers < 1 || workers > UDP_WORKERS_MAX)
		return -EINVAL;
	for (unsigned i = 0; i < n; i++)
		if (listen[i].family != 4 && listen[i].family != 6)
			return -EAFNOSUPPORT;
	struct udp *u = calloc(1, sizeof(*u));
	if (!u)
		return -ENOMEM;
	u->workers = workers;
	u->streams = u->spray_poll = -1;
	int err = inlets_map(u) ? -EAGAIN : -ENOMEM;
	for (unsigned try = 0; try < RANDOM_PORT_TRIES && err == -EAGAIN; try++)
		err = groups_bind(u, listen, n, bound);
	if (err) {
		udp_free(u);
		return err == -EAGAIN ? -EADDRINUSE : err;
	}
	/* A kernel that does not know the option ignores the control message too and sends one huge datagram. */
	u->segment = set(u->fd[0][0], SOL_UDP, UDP_SEGMENT, 0) == 0;
	if (ret_bound)
		memcpy(ret_bound, bound, n * sizeof(bound[0]));
	*ret = u;
	return 0;
}

void udp_close(struct udp *u)
{
	if (!u)
		return;
	udp_spray_close(u);
	for (unsigned i = 0; i < udp_extras(u); i++)
		close(atomic_load(&u->extra_fd[i]));
	groups_close(u);
	if (u->streams >= 0)
		close(u->streams);
	udp_free(u);
}

void udp_attach(struct udp *u, int fd)
{
	assert(u->streams < 0);
	u->streams = fd;
}

unsigned udp_sockets(const struct udp *u)
{
	unsigned extras = udp_extras(u);
	return extras ? UDP_EXTRA_FIRST + extras : u->sockets + (u->streams >= 0);
}

int udp_fd(const struct udp *u, unsigned socket, unsigned worker)
{
	if (socket >= UDP_EXTRA_FIRST && socket - UDP_EXTRA_FIRST < udp_extras(u) && worker == 0)
		return atomic_load(&u->extra_fd[socket - UDP_EXTRA_FIRST]);
	if (socket == u->sockets && worker == 0)
		return u->streams;
	return socket < u->sockets && worker < u->workers ? u->fd[socket][worker] : -1;
}

void udp_without(struct udp *u, bool segment, bool gro)
{
	u->no_gro = gro;
	u->segment = !segment && set(u->fd[0][0], SOL_UDP, UDP_SEGMENT, 0) == 0;
	for (unsigned s = 0; s < u->sockets; s++)
		for (unsigned w = 0; w < u->workers; w++)
			set(u->fd[s][w], SOL_UDP, UDP_GRO, !gro);
}
