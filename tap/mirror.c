/* mirror.c: watchers with a count of the sets that name them, so that a socket closes with the last set.
 *
 * Sets are made and freed by control alone, in any order; workers only send. A watcher that is gone is told by the kernel (ECONNREFUSED), which marks
 * it; the set without it is made when control looks. MSG_DONTWAIT and a full queue: the copy is lost, and the next that arrives says how many.
 */
#include "tap/mirror.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

struct watcher {
	int fd;
	unsigned sets; /* control only */
	_Atomic uint32_t lost;
	_Atomic bool gone;
};

struct mirrors {
	unsigned n;
	struct watcher *watcher[MIRRORS_MAX];
};

static int watcher_open(const char *name, struct watcher **ret)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	size_t n = strlen(name);
	if (strncmp(name, MIRROR_NAME, sizeof(MIRROR_NAME) - 1) != 0 || n > MIRROR_NAME_MAX)
		return -EINVAL;
	memcpy(to.sun_path + 1, name, n);
	struct watcher *w = calloc(1, sizeof(*w));
	if (!w)
		return -ENOMEM;
	w->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (w->fd < 0 || connect(w->fd, (struct sockaddr *)&to, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + n)) < 0) {
		int error = -errno;
		if (w->fd >= 0)
			close(w->fd);
		free(w);
		return error;
	}
	*ret = w;
	return 0;
}

int mirrors_next(const struct mirrors *old, const char *name, struct mirrors **ret)
{
	struct mirrors *m = calloc(1, sizeof(*m));
	struct watcher *more = NULL;
	if (!m)
		return -ENOMEM;
	for (unsigned i = 0; old && i < old->n; i++)
		if (!atomic_load(&old->watcher[i]->gone))
			m->watcher[m->n++] = old->watcher[i];
	int error = !name ? 0 : m->n == MIRRORS_MAX ? -ENOSPC : watcher_open(name, &more);
	if (error) {
		free(m);
		return error;
	}
	if (more)
		m->watcher[m->n++] = more;
	for (unsigned i = 0; i < m->n; i++)
		m->watcher[i]->sets++;
	if (!m->n) {
		free(m);
		m = NULL;
	}
	*ret = m;
	return 0;
}

bool mirrors_stale(const struct mirrors *m)
{
	for (unsigned i = 0; m && i < m->n; i++)
		if (atomic_load(&m->watcher[i]->gone))
			return true;
	return false;
}

unsigned mirrors_count(const struct mirrors *m)
{
	return m ? m->n : 0;
}

void mirrors_free(void *mirrors)
{
	struct mirrors *m = mirrors;
	for (unsigned i = 0; m && i < m->n; i++) {
		struct watcher *w = m->watcher[i];
		if (--w->sets)
			continue;
		close(w->fd);
		free(w);
	}
	free(m);
}

void mirrors_copy(struct mirrors *m, enum mirror_way way, enum drop verdict, const uint8_t *frame, size_t len)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	struct mirror_head head = {.time_us = (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000,
	                           .wire_len = (uint32_t)len,
	                           .way = (uint8_t)way,
	                           .verdict = (uint8_t)verdict};
	struct iovec part[] = {{&head, sizeof(head)}, {(void *)(uintptr_t)frame, len < MIRROR_BYTES_MAX ? len : MIRROR_BYTES_MAX}};
	struct msghdr message = {.msg_iov = part, .msg_iovlen = 2};
	for (unsigned i = 0; i < m->n; i++) {
		struct watcher *w = m->watcher[i];
		if (atomic_load_explicit(&w->gone, memory_order_relaxed))
			continue;
		head.lost = atomic_load_explicit(&w->lost, memory_order_relaxed);
		if (sendmsg(w->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
			continue;
		if (errno == EAGAIN || errno == ENOBUFS || errno == EINTR)
			atomic_fetch_add_explicit(&w->lost, 1, memory_order_relaxed);
		else
			atomic_store(&w->gone, true);
	}
}
