/* UDP sockets, the receiving half.
 *
 * Each worker has an inlet, memory for 64 messages of the largest size; what is never touched of it
 * costs nothing. One recvmmsg fills it, the messages are cut into datagrams where they lie, and
 * only when all of them are handed out the kernel is asked again. Sockets of which the caller does
 * not say that they have something are not asked: each would cost a system call for nothing.
 *
 * Messages of the streams' pair are a struct endpoint and a datagram: they are scattered, so that
 * datagrams lie where all others do.
 */
#include "node/udp_parts.h"

#include <errno.h>

#define LONG_MESSAGE  8192 /* bytes; a mean above it says that trains are coming */
#define LONG_MESSAGES 4    /* of them are read at once: 256 KiB still lie in the cache when they are opened */

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
 * empty and loses its bit. */
static void refill(struct udp *u, unsigned worker, struct inlet *in, uint32_t *look, unsigned n)
{
	unsigned room = in->long_messages ? LONG_MESSAGES : BATCH_MAX, first = in->turn++, cut = 0;
	size_t bytes = 0;

	bool streams = worker == 0 && u->streams >= 0;
	unsigned own = u->sockets + streams, sockets = own + (worker == 0 ? udp_extras(u) : 0);
	in->n = in->next = in->cut = 0;
	for (unsigned i = 0; i < sockets && in->n < room && cut < n; i++) {
		unsigned s = (first + i) % sockets, before = in->n, most = room - in->n < n - cut ? room - in->n : n - cut;
		unsigned number = s < own ? s : UDP_EXTRA_FIRST + s - own;
		if (!(*look >> number & 1))
			continue;
		if (s < u->sockets)
			read_socket(in, u->fd[s][worker], number, most);
		else if (s >= own)
			read_socket(in, atomic_load(&u->extra_fd[s - own]), number, most);
		else
			read_streams(in, u->streams, number, most);
		if (in->n - before < most)
			*look &= ~(1u << number);
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

unsigned udp_recv(struct udp *u, unsigned worker, uint32_t *look, struct packet *p, unsigned n)
{
	unsigned got = 0;
	assert(worker < u->workers && n <= BATCH_MAX);
	struct inlet *in = u->inlet[worker];
	if (in->next == in->n)
		refill(u, worker, in, look, n);
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
	*look = in->next < in->n ? *look | UDP_LOOK_LEFT : *look & ~UDP_LOOK_LEFT;
	return got;
}
