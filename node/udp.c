/* UDP sockets of the workers.
 *
 * Binding: the first socket of an address binds without SO_REUSEPORT, so the kernel refuses it when
 * anybody at all has the port, another daemon of this user included. Only then the option is set on
 * it, and the sockets of the further workers join (test/assume/reuseport_bind.c proves both
 * halves). The order of joining is the index the steering program answers with. The option must
 * stay set: the kernel's lookup asks for it.
 *
 * Receiving: each worker has an inlet, memory for 64 messages of the largest size; what is never
 * touched of it costs nothing. One recvmmsg fills it, the messages are cut into datagrams where
 * they lie, and only when all of them are handed out the kernel is asked again.
 *
 * Sending: per socket one sendmmsg, whose messages are runs of packets of one size for the kernel
 * to segment. A train that is refused goes once more packet by packet, and if that works the socket
 * does without trains for a while (test/assume/udp_gso_gro.c: what the kernel does with trains).
 *
 * Behind the listen addresses there may be one socket more, worker 0's: an AF_UNIX pair whose far end turns datagrams into TCP (stream.h). Each
 * message on it is a struct endpoint and a datagram; they are gathered and scattered, so that datagrams lie where all others do.
 */
#include "node/udp.h"

#include <assert.h>
#include <errno.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define SOCKET_BUFFER     (4 << 20) /* bytes: 0.3 s at 100 Mbit/s while a worker is kept from its core */
#define RANDOM_PORT_TRIES 16
#define LANE_BITS         15u
#define MESSAGE_MAX       65536
#define SLOT              (MESSAGE_MAX + 1600) /* not a power of two: else all slots begin in the same few cache lines */
#define LONG_MESSAGE      8192                 /* bytes; a mean above it says that trains are coming */
#define LONG_MESSAGES     4                    /* of them are read at once: 256 KiB still lie in the cache when they are opened */
#define REST_CALLS        1024                 /* calls without trains before they are tried again: a route may have changed */

static_assert(BATCH_MAX <= 64, "the kernel cuts a message into no more");

struct message {
	uint32_t len, segment; /* segment: length of each datagram in it but the last; 0 when the message is empty */
	struct endpoint from;
	uint8_t socket;
};

/* What one worker has read; zero pages of its own. */
struct inlet {
	unsigned turn;      /* which socket is read first */
	unsigned n, next;   /* messages there; the first that is not handed out entirely */
	uint32_t cut;       /* bytes of that one that are */
	bool long_messages; /* as the last reading had it */
	struct message message[BATCH_MAX];
	alignas(64) uint8_t slot[BATCH_MAX][SLOT];
};

struct udp {
	unsigned sockets, workers;
	uint8_t family[UDP_SOCKETS_MAX];
	bool segment; /* the kernel knows UDP_SEGMENT */
	int fd[UDP_SOCKETS_MAX][UDP_WORKERS_MAX];
	atomic_uint rest[UDP_SOCKETS_MAX][UDP_WORKERS_MAX]; /* calls this socket still does without trains */
	int streams;                                        /* the pair's end; -1 = none */
	struct inlet *inlet[UDP_WORKERS_MAX];
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
	u->streams = -1;
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
	return u->sockets + (u->streams >= 0);
}

int udp_fd(const struct udp *u, unsigned socket, unsigned worker)
{
	if (socket == u->sockets && worker == 0)
		return u->streams;
	return socket < u->sockets && worker < u->workers ? u->fd[socket][worker] : -1;
}

void udp_without(struct udp *u, bool segment, bool gro)
{
	u->segment = !segment && set(u->fd[0][0], SOL_UDP, UDP_SEGMENT, 0) == 0;
	for (unsigned s = 0; s < u->sockets; s++)
		for (unsigned w = 0; w < u->workers; w++)
			set(u->fd[s][w], SOL_UDP, UDP_GRO, !gro);
}

/* ---- receive ---------------------------------------------------------------------------------------------------- */

/* Room for one control message, aligned as the kernel writes it. */
union control {
	struct cmsghdr first;
	uint8_t segment[CMSG_SPACE(sizeof(uint16_t))];
	uint8_t gro[CMSG_SPACE(sizeof(int))];
};

/* The size of the datagrams in a message: as the kernel says, else there is one. */
static uint32_t segment_of(struct msghdr *m, uint32_t len)
{
	int size = 0;
	const struct cmsghdr *c = CMSG_FIRSTHDR(m);
	if (c && c->cmsg_level == SOL_UDP && c->cmsg_type == UDP_GRO && c->cmsg_len >= CMSG_LEN(sizeof(size)))
		memcpy(&size, CMSG_DATA(c), sizeof(size));
	return size > 0 && (uint32_t)size < len ? (uint32_t)size : len;
}

/* One recvmmsg of up to n messages on one socket, behind those that are there. */
static void read_socket(struct inlet *in, int fd, unsigned socket, unsigned n)
{
	struct mmsghdr messages[BATCH_MAX];
	struct iovec parts[BATCH_MAX];
	union address from[BATCH_MAX];
	union control control[BATCH_MAX];
	int got;

	for (unsigned i = 0; i < n; i++) {
		parts[i] = (struct iovec){in->slot[in->n + i], MESSAGE_MAX};
		messages[i] = (struct mmsghdr){.msg_hdr = {.msg_name = &from[i],
		                                           .msg_namelen = sizeof(from[i]),
		                                           .msg_iov = &parts[i],
		                                           .msg_iovlen = 1,
		                                           .msg_control = &control[i],
		                                           .msg_controllen = sizeof(control[i])}};
	}
	do
		got = recvmmsg(fd, messages, n, MSG_DONTWAIT, NULL);
	while (got < 0 && errno == EINTR);
	for (int i = 0; i < got; i++) {
		struct message *m = &in->message[in->n++];
		m->len = messages[i].msg_len;
		m->segment = segment_of(&messages[i].msg_hdr, m->len);
		m->socket = (uint8_t)socket;
		endpoint_of(&from[i], &m->from);
	}
}

/* As read_socket, from the pair: who sent it stands in front of each datagram. */
static void read_streams(struct inlet *in, int fd, unsigned socket, unsigned n)
{
	struct mmsghdr messages[BATCH_MAX];
	struct iovec parts[BATCH_MAX][2];
	int got;

	for (unsigned i = 0; i < n; i++) {
		parts[i][0] = (struct iovec){&in->message[in->n + i].from, sizeof(struct endpoint)};
		parts[i][1] = (struct iovec){in->slot[in->n + i], MESSAGE_MAX};
		messages[i] = (struct mmsghdr){.msg_hdr = {.msg_iov = parts[i], .msg_iovlen = 2}};
	}
	do
		got = recvmmsg(fd, messages, n, MSG_DONTWAIT, NULL);
	while (got < 0 && errno == EINTR);
	for (int i = 0; i < got; i++) {
		struct message *m = &in->message[in->n];
		if (messages[i].msg_len < sizeof(m->from))
			return; /* the other end has closed: zeros for ever */
		m->len = m->segment = messages[i].msg_len - (uint32_t)sizeof(m->from);
		m->socket = (uint8_t)socket;
		in->n++;
	}
}

static unsigned datagrams(const struct message *m, uint32_t from)
{
	return m->len ? (m->len - from + m->segment - 1) / m->segment : 1;
}

/* Overwrites the slots. No more messages than n are asked for, as each is a datagram at least; a socket that gives fewer than that is
 * empty and not asked again. */
static void refill(struct udp *u, unsigned worker, struct inlet *in, unsigned n)
{
	unsigned room = in->long_messages ? LONG_MESSAGES : BATCH_MAX, first = in->turn++, cut = 0;
	size_t bytes = 0;

	unsigned sockets = u->sockets + (worker == 0 && u->streams >= 0);
	in->n = in->next = in->cut = 0;
	for (unsigned i = 0; i < sockets && in->n < room && cut < n; i++) {
		unsigned s = (first + i) % sockets, before = in->n, most = room - in->n < n - cut ? room - in->n : n - cut;
		if (s < u->sockets)
			read_socket(in, u->fd[s][worker], s, most);
		else
			read_streams(in, u->streams, s, most);
		for (unsigned k = before; k < in->n; k++) {
			cut += datagrams(&in->message[k], 0);
			bytes += in->message[k].len;
		}
	}
	if (in->n)
		in->long_messages = bytes / in->n > LONG_MESSAGE;
}

/* Cuts take datagrams from message i at in->cut. */
static void cut_message(struct inlet *in, unsigned i, struct packet *p, unsigned take)
{
	const struct message *m = &in->message[i];
	for (unsigned k = 0; k < take; k++) {
		uint32_t left = m->len - in->cut, len = m->segment < left ? m->segment : left;
		p[k].data = in->slot[i] + in->cut;
		p[k].len = p[k].room = len;
		p[k].verdict = DROP_NONE;
		p[k].from = m->from;
		p[k].socket = m->socket;
		in->cut += len;
	}
}

unsigned udp_recv(struct udp *u, unsigned worker, struct packet *p, unsigned n)
{
	unsigned got = 0;
	assert(worker < u->workers && n <= BATCH_MAX);
	struct inlet *in = u->inlet[worker];
	if (in->next == in->n)
		refill(u, worker, in, n);
	while (in->next < in->n && got < n) {
		unsigned k = datagrams(&in->message[in->next], in->cut);
		/* A train waits for a batch of its own, unless it is longer than any. */
		if (k > n - got && got > 0)
			break;
		unsigned take = k < n - got ? k : n - got;
		cut_message(in, in->next, p + got, take);
		got += take;
		if (take == k) {
			in->next++;
			in->cut = 0;
		}
	}
	return got;
}

/* ---- send ------------------------------------------------------------------------------------------------------- */

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

/* How many of n packets, the first included, can leave as one message. A train of several lanes would come to one worker over there. */
static unsigned run_of(struct packet **p, unsigned n)
{
	const struct packet *head = p[0];
	size_t bytes = head->len;
	unsigned k = 1;
	bool whole = head->len > 0;

	while (k < n && whole) {
		const struct packet *next = p[k];
		if (!next->len || next->len > head->len || bytes + next->len > UDP_TRAIN_MAX ||
		    ((next->data[0] ^ head->data[0]) & LANE_BITS) || memcmp(&next->from, &head->from, sizeof(head->from)) != 0)
			break;
		whole = next->len == head->len; /* a shorter one is the last */
		bytes += next->len;
		k++;
	}
	return k;
}

/* What leaves by one socket in one call. */
struct parcel {
	int fd;
	unsigned n, parts;
	unsigned run[BATCH_MAX]; /* packets of each message */
	struct mmsghdr message[BATCH_MAX];
	struct iovec part[BATCH_MAX];
	union address to[BATCH_MAX];
	union control control[BATCH_MAX];
};

static void parcel_add(struct parcel *l, struct packet **p, unsigned run)
{
	struct msghdr m = {.msg_name = &l->to[l->n], .msg_namelen = address_of(&p[0]->from, &l->to[l->n]), .msg_iov = &l->part[l->parts]};
	const uint8_t *end = NULL;

	for (unsigned i = 0; i < run; i++) {
		if (i > 0 && p[i]->data == end)
			l->part[l->parts - 1].iov_len += p[i]->len;
		else
			l->part[l->parts++] = (struct iovec){p[i]->data, p[i]->len};
		end = p[i]->data + p[i]->len;
	}
	m.msg_iovlen = (size_t)(&l->part[l->parts] - m.msg_iov);
	if (run > 1) {
		uint16_t size = (uint16_t)p[0]->len; /* two of them are within UDP_TRAIN_MAX */
		union control *c = &l->control[l->n];
		*c = (union control){.first = {.cmsg_len = CMSG_LEN(sizeof(size)), .cmsg_level = SOL_UDP, .cmsg_type = UDP_SEGMENT}};
		memcpy(CMSG_DATA(&c->first), &size, sizeof(size));
		m.msg_control = c;
		m.msg_controllen = sizeof(c->segment);
	}
	l->run[l->n] = run;
	l->message[l->n++] = (struct mmsghdr){.msg_hdr = m};
}

/* A full buffer: asking again for each of the rest would be up to 64 calls for nothing. */
static bool full(int why)
{
	return why == EAGAIN || why == ENOBUFS;
}

static void refuse(struct packet **p, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		p[i]->verdict = DROP_SEND;
}

/* The packets of a refused train. Returns 0 or -errno of a full buffer, which refuses the rest. */
static int send_singly(int fd, struct packet **p, unsigned n)
{
	for (unsigned i = 0; i < n;) {
		union address to;
		/* NOLINTNEXTLINE(clang-analyzer-core.CallAndMessage): it cannot see that the runs add up to the packets. */
		socklen_t len = address_of(&p[i]->from, &to);
		int why = sendto(fd, p[i]->data, p[i]->len, MSG_DONTWAIT | MSG_NOSIGNAL, &to.any, len) < 0 ? errno : 0;
		if (why == EINTR)
			continue;
		if (full(why)) {
			refuse(p + i, n - i);
			return -why;
		}
		if (why)
			refuse(p + i, 1);
		i++;
	}
	return 0;
}

/* Sends all messages; a refused one gets its verdict and the rest goes on, a full buffer ends it. Returns whether a train was refused
 * that could go as singles. Its first packet tells: the last may be short enough for a link that is too narrow for the others. */
static bool parcel_send(struct parcel *l, struct packet **p)
{
	bool needless = false;
	unsigned sent = 0, first = 0; /* message; its first packet */
	while (sent < l->n) {
		int r = sendmmsg(l->fd, l->message + sent, l->n - sent, MSG_DONTWAIT | MSG_NOSIGNAL);
		for (int i = 0; i < r; i++)
			first += l->run[sent++];
		if (r > 0 || errno == EINTR)
			continue;
		int why = errno;
		unsigned run = l->run[sent++];
		if (run == 1) {
			refuse(p + first, 1);
		} else if (!full(why)) {
			why = -send_singly(l->fd, p + first, run);
			needless = needless || p[first]->verdict == DROP_NONE;
		} else {
			refuse(p + first, run);
		}
		first += run;
		for (; full(why) && sent < l->n; sent++) {
			refuse(p + first, l->run[sent]);
			first += l->run[sent];
		}
	}
	return needless;
}

/* One call of those the socket does without trains. Of two threads that count at once one may not be counted. */
static bool resting(atomic_uint *rest)
{
	unsigned left = atomic_load_explicit(rest, memory_order_relaxed);
	if (!left)
		return false;
	atomic_compare_exchange_strong_explicit(rest, &left, left - 1, memory_order_relaxed, memory_order_relaxed);
	return true;
}

/* Those of n packets that go by streams; a full buffer refuses the rest, as it does on the other sockets. */
static void send_streams(const struct udp *u, struct packet *p, unsigned n)
{
	struct mmsghdr messages[BATCH_MAX];
	struct iovec parts[BATCH_MAX][2];
	struct packet *of[BATCH_MAX];
	unsigned k = 0, sent = 0;

	for (unsigned i = 0; i < n; i++) {
		if (p[i].verdict != DROP_NONE || !(p[i].from.family & ENDPOINT_STREAM))
			continue;
		parts[k][0] = (struct iovec){&p[i].from, sizeof(p[i].from)};
		parts[k][1] = (struct iovec){p[i].data, p[i].len};
		messages[k] = (struct mmsghdr){.msg_hdr = {.msg_iov = parts[k], .msg_iovlen = 2}};
		of[k++] = &p[i];
	}
	while (sent < k && u->streams >= 0) {
		int r = sendmmsg(u->streams, messages + sent, k - sent, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (r > 0)
			sent += (unsigned)r;
		else if (full(errno))
			break;
		else if (errno != EINTR)
			of[sent++]->verdict = DROP_SEND;
	}
	while (sent < k)
		of[sent++]->verdict = DROP_SEND;
}

void udp_send(struct udp *u, unsigned worker, struct packet *p, unsigned n)
{
	struct parcel l;
	bool streams = false;
	struct packet *of[BATCH_MAX];
	uint8_t by[BATCH_MAX];

	assert(worker < u->workers && n <= BATCH_MAX);
	for (unsigned i = 0; i < n; i++) {
		bool stream = p[i].from.family & ENDPOINT_STREAM;
		streams = streams || stream;
		by[i] = stream ? UDP_SOCKETS_MAX : (uint8_t)socket_for(u, &p[i]);
		if (by[i] == UDP_SOCKETS_MAX && !stream && p[i].verdict == DROP_NONE)
			p[i].verdict = DROP_SEND;
	}
	if (streams)
		send_streams(u, p, n);
	for (unsigned s = 0; s < u->sockets; s++) {
		unsigned k = 0;
		for (unsigned i = 0; i < n; i++)
			if (p[i].verdict == DROP_NONE && by[i] == s)
				of[k++] = &p[i];
		bool trains = k > 1 && u->segment && !resting(&u->rest[s][worker]);
		l.fd = u->fd[s][worker];
		l.n = l.parts = 0;
		for (unsigned i = 0, run; i < k; i += run) {
			run = trains ? run_of(of + i, k - i) : 1;
			parcel_add(&l, of + i, run);
		}
		if (parcel_send(&l, of))
			atomic_store_explicit(&u->rest[s][worker], REST_CALLS, memory_order_relaxed);
	}
}
