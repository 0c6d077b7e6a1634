/* UDP sockets, the sending half.
 *
 * Per socket one sendmmsg, whose messages are runs of packets of one size for the kernel to
 * segment. A train that is refused goes once more packet by packet, and if that works the socket
 * does without trains for a while (test/assume/udp_gso_gro.c: what the kernel does with trains).
 *
 * What goes by streams is gathered behind its struct endpoint, one message of the pair each.
 */
#include "node/udp_parts.h"

#include <errno.h>

#define REST_CALLS 1024 /* calls without trains before they are tried again: a route may have changed */

#define NO_SOCKET UINT8_MAX

/* The socket that reaches the packet's destination, or NO_SOCKET. */
static unsigned socket_for(const struct udp *u, const struct packet *p)
{
	if (p->socket >= UDP_EXTRA_FIRST && p->from.family == 4 && p->socket - UDP_EXTRA_FIRST < (int)udp_extras(u))
		return p->socket;
	if (p->socket < u->sockets && u->family[p->socket] == p->from.family)
		return p->socket;
	for (unsigned s = 0; s < u->sockets; s++)
		if (u->family[s] == p->from.family)
			return s;
	return NO_SOCKET;
}

/* One comparison instead of up to twenty; most are equal. */
static bool same_place(const struct endpoint *a, const struct endpoint *b)
{
	uint64_t x[2], y[2];
	uint32_t u, v;
	static_assert(sizeof(*a) == sizeof(x) + sizeof(u), "all of it");
	memcpy(x, a, sizeof(x));
	memcpy(y, b, sizeof(y));
	memcpy(&u, (const uint8_t *)a + sizeof(x), sizeof(u));
	memcpy(&v, (const uint8_t *)b + sizeof(y), sizeof(v));
	return !((x[0] ^ y[0]) | (x[1] ^ y[1]) | (u ^ v));
}

/* How many of n packets, the first included, can leave as one message. A train of several lanes would come to one worker over there. */
static unsigned run_of(struct packet **p, unsigned n)
{
	const struct packet *head = p[0];
	uint32_t size = head->len, room = size && size < UDP_TRAIN_MAX ? UDP_TRAIN_MAX - size : 0; /* a shorter one is the last */
	unsigned k = 1;

	for (; k < n && room; k++) {
		const struct packet *next = p[k];
		if (!next->len || next->len > size || next->len > room || ((next->data[0] ^ head->data[0]) & LANE_BITS) ||
		    !same_place(&next->from, &head->from))
			break;
		room = next->len == size ? room - size : 0;
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
	struct iovec *last = m.msg_iov;
	const uint8_t *end = p[0]->data;

	*last = (struct iovec){p[0]->data, 0};
	for (unsigned i = 0; i < run; i++) {
		if (p[i]->data != end)
			*++last = (struct iovec){p[i]->data, 0};
		last->iov_len += p[i]->len;
		end = p[i]->data + p[i]->len;
	}
	m.msg_iovlen = (size_t)(last - m.msg_iov) + 1;
	l->parts += (unsigned)m.msg_iovlen;
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

/* Those of n packets that leave by that socket; one call, but for trains that are refused. */
static void send_by(const struct udp *u, int fd, atomic_uint *rest, struct packet **of, unsigned k)
{
	struct parcel l; /* large, and what is not filled is not looked at */
	bool trains = k > 1 && u->segment && !resting(rest);
	l.fd = fd;
	l.n = l.parts = 0;
	for (unsigned i = 0, run; i < k; i += run) {
		run = trains ? run_of(of + i, k - i) : 1;
		parcel_add(&l, of + i, run);
	}
	if (parcel_send(&l, of))
		atomic_store_explicit(rest, REST_CALLS, memory_order_relaxed);
}

static unsigned gather(struct packet *p, unsigned n, const uint8_t *by, unsigned socket, struct packet **ret)
{
	unsigned k = 0;
	for (unsigned i = 0; i < n; i++)
		if (p[i].verdict == DROP_NONE && by[i] == socket)
			ret[k++] = &p[i];
	return k;
}

/* The socket that all of n packets leave by, or NO_SOCKET: not one. Most often it is one. */
static unsigned one_socket(const struct udp *u, struct packet *p, unsigned n, struct packet **ret)
{
	unsigned other = 0;
	for (unsigned i = 0; i < n; i++) {
		other |= (unsigned)p[i].verdict | (unsigned)(p[i].from.family ^ p[0].from.family) | (unsigned)(p[i].socket ^ p[0].socket);
		ret[i] = &p[i];
	}
	return !n || other || p[0].from.family & ENDPOINT_STREAM ? NO_SOCKET : socket_for(u, &p[0]);
}

static void send_socket(struct udp *u, unsigned worker, unsigned socket, struct packet **of, unsigned k)
{
	if (socket < UDP_SOCKETS_MAX)
		send_by(u, u->fd[socket][worker], &u->rest[socket][worker], of, k);
	else
		send_by(u, atomic_load(&u->extra_fd[socket - UDP_EXTRA_FIRST]), &u->extra_rest[socket - UDP_EXTRA_FIRST], of, k);
}

void udp_send(struct udp *u, unsigned worker, struct packet *p, unsigned n)
{
	bool streams = false, extra = false;
	struct packet *of[BATCH_MAX];
	uint8_t by[BATCH_MAX];

	assert(worker < u->workers && n <= BATCH_MAX);
	unsigned socket = one_socket(u, p, n, of);
	if (socket != NO_SOCKET) {
		send_socket(u, worker, socket, of, n);
		return;
	}
	for (unsigned i = 0; i < n; i++) {
		bool stream = p[i].from.family & ENDPOINT_STREAM;
		streams = streams || stream;
		by[i] = stream ? NO_SOCKET : (uint8_t)socket_for(u, &p[i]);
		extra = extra || (by[i] >= UDP_EXTRA_FIRST && by[i] != NO_SOCKET);
		if (by[i] == NO_SOCKET && !stream && p[i].verdict == DROP_NONE)
			p[i].verdict = DROP_SEND;
	}
	if (streams)
		send_streams(u, p, n);
	for (unsigned s = 0; s < u->sockets; s++) {
		unsigned k = gather(p, n, by, s, of);
		if (k)
			send_socket(u, worker, s, of, k);
	}
	for (unsigned s = 0; extra && s < UDP_EXTRA_MAX; s++) {
		unsigned k = gather(p, n, by, UDP_EXTRA_FIRST + s, of);
		if (k)
			send_socket(u, worker, UDP_EXTRA_FIRST + s, of, k);
	}
}
