/* UDP sockets for a while, and those of them that stay (spray.c says what for).
 *
 * Sprayed sockets are control's: an epoll of their own tells which have something, and that is looked at where it lies (MSG_PEEK). The one that
 * is hoped for stays in its socket: the socket is shown to the workers and worker 0 reads it from there, so nothing passes from
 * thread to thread but a descriptor.
 *
 * Places of adopted sockets are few and used again. The new descriptor takes the place of the old one in one atomic exchange; whoever
 * has read the old one may be using it until its turn ends, so closing it is the caller's, later.
 */
#include "node/udp_parts.h"

#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "proto/wire.h"

#define SPARED     32 /* descriptors given back when there are no more: others need some too */
#define LOOKS_MAX  64 /* datagrams looked at in one call */
#define EVENTS_MAX 16

static_assert(UDP_SOCKETS_MAX + 1 <= UDP_EXTRA_FIRST, "numbers of their own");

unsigned udp_extras(const struct udp *u)
{
	return atomic_load_explicit(&u->extras, memory_order_acquire);
}

static int spray_socket(struct udp *u, unsigned i)
{
	union address local;
	socklen_t len = address_of(&u->local4, &local);
	struct epoll_event event = {.events = EPOLLIN, .data.u32 = i};
	const int off = 0;
	int fd, err = udp_socket(4, &fd);
	if (err)
		return err;
	if (u->no_gro)
		(void)setsockopt(fd, SOL_UDP, UDP_GRO, &off, sizeof(off));
	if (bind(fd, &local.any, len) < 0 || epoll_ctl(u->spray_poll, EPOLL_CTL_ADD, fd, &event) < 0) {
		err = -errno;
		close(fd);
		return err;
	}
	u->spray_fd[i] = fd;
	return 0;
}

int udp_spray_open(struct udp *u, unsigned n)
{
	int err = 0;
	assert(n >= 1 && n <= UDP_SPRAY_MAX);
	if (u->spray_poll >= 0)
		return -EBUSY;
	if (!u->local4.family)
		return -EAFNOSUPPORT;
	u->spray_poll = epoll_create1(EPOLL_CLOEXEC);
	if (u->spray_poll < 0)
		return -errno;
	while (u->sprayed < n && !(err = spray_socket(u, u->sprayed)))
		u->sprayed++;
	for (unsigned i = 0; err && i < SPARED && u->sprayed; i++)
		close(u->spray_fd[--u->sprayed]);
	if (u->sprayed)
		return (int)u->sprayed;
	udp_spray_close(u);
	return err;
}

bool udp_spray_send(struct udp *u, unsigned i, const struct endpoint *to, const uint8_t *bytes, size_t len)
{
	union address a;
	socklen_t size = address_of(to, &a);
	assert(i < u->sprayed && to->family == 4);
	return u->spray_fd[i] >= 0 && sendto(u->spray_fd[i], bytes, len, MSG_DONTWAIT | MSG_NOSIGNAL, &a.any, size) == (ssize_t)len;
}

/* Which place socket i may have, or -1. */
static int place_for(const struct udp *u, uint32_t in_use)
{
	unsigned extras = udp_extras(u);
	if (extras < UDP_EXTRA_MAX)
		return (int)extras;
	for (int k = 0; k < UDP_EXTRA_MAX; k++)
		if (!(in_use >> k & 1))
			return k;
	return -1;
}

static int adopt(struct udp *u, unsigned i, unsigned place, int *ret_old)
{
	int fd = u->spray_fd[i];
	(void)epoll_ctl(u->spray_poll, EPOLL_CTL_DEL, fd, NULL);
	u->spray_fd[i] = -1;
	atomic_store(&u->extra_rest[place], 0);
	if (place < udp_extras(u)) {
		*ret_old = atomic_exchange(&u->extra_fd[place], fd);
	} else {
		*ret_old = -1;
		atomic_store(&u->extra_fd[place], fd);
		atomic_store_explicit(&u->extras, place + 1, memory_order_release);
	}
	return (int)(UDP_EXTRA_FIRST + place);
}

/* The first datagram in a socket, left there if it is expected; false: nothing of use. */
static bool look(int fd, udp_expected *expected, const void *self)
{
	uint8_t first[4];
	struct endpoint from;
	union address a = {0};
	socklen_t size = sizeof(a);
	ssize_t len = recvfrom(fd, first, sizeof(first), MSG_PEEK | MSG_TRUNC | MSG_DONTWAIT, &a.any, &size);
	if (len < 0)
		return false;
	endpoint_of(&a, &from);
	if (len >= (ssize_t)sizeof(first) && expected(self, le32_at(first), (size_t)len, &from))
		return true;
	(void)recv(fd, first, sizeof(first), MSG_DONTWAIT);
	return false;
}

int udp_spray_adopt(struct udp *u, udp_expected *expected, const void *self, uint32_t in_use, int *ret_old)
{
	struct epoll_event event[EVENTS_MAX];
	int place = place_for(u, in_use);
	if (u->spray_poll < 0)
		return -EAGAIN;
	if (place < 0)
		return -ENOSPC;
	for (unsigned looks = 0; looks < LOOKS_MAX;) {
		int n = epoll_wait(u->spray_poll, event, EVENTS_MAX, 0);
		if (n <= 0)
			break;
		for (int i = 0; i < n; i++, looks++)
			if (look(u->spray_fd[event[i].data.u32], expected, self))
				return adopt(u, event[i].data.u32, (unsigned)place, ret_old);
	}
	return -EAGAIN;
}

void udp_spray_close(struct udp *u)
{
	for (unsigned i = 0; i < u->sprayed; i++)
		if (u->spray_fd[i] >= 0)
			close(u->spray_fd[i]);
	u->sprayed = 0;
	if (u->spray_poll >= 0)
		close(u->spray_poll);
	u->spray_poll = -1;
}
