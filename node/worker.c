/* worker.c: one worker's life: what it owns, its turn, its sleep.
 *
 * A turn reads a batch from each source and is done with it before it ends: inbound, then outbound, then the dead are counted
 * and control is woken at most once. The view is entered at each beginning and left at each end.
 * What a turn looks at is what a level-triggered epoll over sockets, queues and the worker's own eventfd says has something, and the
 * devices that inbound has just written to. To ask all of them instead was a third of a receiver's system calls, and of an idle
 * pair's round trip a tenth; with many networks it would be most of both. The same epoll is the sleep, so nothing can come
 * between the last look and the wait. When the set of devices changes the epoll set is built anew: descriptors of
 * closed devices leave a set by themselves and their numbers come back as other devices, so patching would be guessing.
 */
#include "node/worker.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "node/affinity.h"
#include "node/udp.h"
#include "node/worker_parts.h"
#include "proto/base/clock.h"
#include "tap/tap.h"

#define EVENTS_MAX 16

/* What a descriptor of the epoll set is; its number in the low half. */
enum source { SOURCE_WAKE, SOURCE_SOCKET, SOURCE_TAP, SOURCE_NIC };

struct worker *worker_new(unsigned number, struct guestbook *book, struct udp *udp, int control_wake_fd)
{
	struct worker *w = calloc(1, sizeof(*w));
	if (!w)
		return NULL;
	w->number = number;
	w->book = book;
	w->udp = udp;
	w->control_wake_fd = control_wake_fd;
	w->epoll = -1;
	w->poll_stale = true;
	w->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	w->frame_slab = aligned_alloc(64, (FRAME_SLAB + 63) & ~63u);
	w->out_slab = aligned_alloc(64, OUT_SLAB);
	w->up_slab = aligned_alloc(64, UP_SLAB);
	w->reassembly = reassembly_new();
	if (w->wake_fd < 0 || !w->frame_slab || !w->out_slab || !w->up_slab || !w->reassembly || mail_init(&w->mail)) {
		worker_free(w);
		return NULL;
	}
	return w;
}

void worker_free(struct worker *w)
{
	if (!w)
		return;
	mail_fini(&w->mail);
	reassembly_free(w->reassembly);
	free(w->up_slab);
	free(w->out_slab);
	free(w->frame_slab);
	if (w->epoll >= 0)
		close(w->epoll);
	if (w->wake_fd >= 0)
		close(w->wake_fd);
	free(w);
}

/* ---- what the parts share --------------------------------------------------------------------------------------- */

void worker_count(struct worker *w, enum drop why, unsigned n)
{
	if (n)
		relaxed_add(&w->drop[why], n);
}

void worker_count_batch(struct worker *w, const struct packet *p, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (p[i].verdict != DROP_NONE)
			worker_count(w, p[i].verdict, 1);
}

void worker_count_port(struct worker *w, struct port *port, enum drop why, unsigned n)
{
	worker_count(w, why, n);
	if (n)
		own_add(&port->count[w->number].drop[why], n);
}

void worker_count_frames(struct worker *w, struct port *port, const struct packet *p, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (p[i].verdict != DROP_NONE)
			worker_count_port(w, port, p[i].verdict, 1);
}

struct letter *worker_letter(struct worker *w, enum letter_kind kind)
{
	struct letter *l = mail_begin(&w->mail, kind);
	if (l)
		l->time_us = w->now_us;
	return l;
}

void worker_post(struct worker *w, struct letter *l)
{
	mail_post(&w->mail, l);
	w->mailed = true;
}

uint64_t worker_drop(const struct worker *w, enum drop why)
{
	return (unsigned)why < DROP_COUNT ? atomic_load_explicit(&w->drop[why], memory_order_relaxed) : 0;
}

struct mail *worker_mail(struct worker *w)
{
	return &w->mail;
}

/* ---- turn ------------------------------------------------------------------------------------------------------- */

/* An eventfd's counter cannot overflow in a life; a full one wakes as well. */
static void wake(int fd)
{
	uint64_t one = 1;
	if (fd >= 0 && write(fd, &one, sizeof(one)) < 0 && errno != EAGAIN)
		assert(errno == EINTR);
}

static unsigned turn(struct worker *w, uint64_t now_us)
{
	w->now_us = now_us;
	w->now_ms = now_us / 1000;
	w->view = guestbook_enter(w->book, w->number);
	unsigned moved = 0;
	if (w->view) {
		if (w->view->ports_generation != w->polled_generation) {
			w->polled_generation = w->view->ports_generation;
			w->gone[0] = w->gone[1] = 0;
			w->poll_stale = true;
		}
		moved += inbound_turn(w);
		moved += outbound_turn(w);
	}
	worker_count(w, DROP_FRAG_TIMEOUT, reassembly_expire(w->reassembly, w->now_ms));
	if (w->mailed)
		wake(w->control_wake_fd);
	w->mailed = false;
	w->view = NULL;
	guestbook_leave(w->book, w->number);
	return moved;
}

static void look_at_all(struct worker *w)
{
	w->look_udp = UDP_LOOK_ALL;
	w->look_port[0] = w->look_port[1] = UINT64_MAX;
}

unsigned worker_turn(struct worker *w, uint64_t now_us)
{
	look_at_all(w);
	return turn(w, now_us);
}

/* ---- thread ----------------------------------------------------------------------------------------------------- */

void worker_stop(struct worker *w)
{
	atomic_store(&w->stopped, true);
	worker_wake(w);
}

void worker_wake(struct worker *w)
{
	wake(w->wake_fd);
}

/* What cannot be added would never be looked at: then there is no set. */
static void poll_add(struct worker *w, int fd, enum source source, unsigned number)
{
	struct epoll_event e = {.events = EPOLLIN, .data.u64 = (uint64_t)source << 32 | number};
	if (fd < 0 || w->epoll < 0 || !epoll_ctl(w->epoll, EPOLL_CTL_ADD, fd, &e))
		return;
	close(w->epoll);
	w->epoll = -1;
}

/* Called while the guest book is entered, so the devices of the view are open. */
static void poll_build(struct worker *w, const struct view *view)
{
	if (w->epoll >= 0)
		close(w->epoll);
	w->epoll = epoll_create1(EPOLL_CLOEXEC);
	poll_add(w, w->wake_fd, SOURCE_WAKE, 0);
	for (unsigned i = 0; i < udp_sockets(w->udp); i++)
		poll_add(w, udp_fd(w->udp, i, w->number), SOURCE_SOCKET, i);
	for (unsigned i = 0; view && i < NETWORKS_MAX; i++) {
		if (!view->ports[i])
			continue;
		struct tap *device[2] = {atomic_load(&view->ports[i]->tap), atomic_load(&view->ports[i]->nic)};
		for (unsigned k = 0; k < 2; k++)
			if (device[k] && !(w->gone[k] >> i & 1))
				poll_add(w, tap_fd(device[k], w->number), k ? SOURCE_NIC : SOURCE_TAP, i);
	}
}

/* A device came, went, or failed. */
static void poll_sync(struct worker *w)
{
	if (!w->poll_stale)
		return;
	w->poll_stale = false;
	poll_build(w, guestbook_enter(w->book, w->number));
	guestbook_leave(w->book, w->number);
}

static void mark(struct worker *w, const struct epoll_event *e)
{
	uint32_t number = (uint32_t)e->data.u64;
	uint64_t ignored;
	switch ((enum source)(e->data.u64 >> 32)) {
	case SOURCE_SOCKET: w->look_udp |= 1u << number; break;
	case SOURCE_TAP: w->look_port[0] |= 1ull << number; break;
	case SOURCE_NIC: w->look_port[1] |= 1ull << number; break;
	case SOURCE_WAKE:
		if (read(w->wake_fd, &ignored, sizeof(ignored)) < 0)
			assert(errno == EAGAIN || errno == EINTR);
		break;
	}
}

/* Waits for what the next turn will look at, sleep_ms at most (-1: for ever). */
static void look(struct worker *w, int sleep_ms)
{
	struct epoll_event event[EVENTS_MAX];
	poll_sync(w);
	w->look_udp &= UDP_LOOK_LEFT;
	w->look_port[0] = w->look_port[1] = 0;
	/* No descriptors left, or no memory: a nap is better than a spin, and asking all than none. By the next look there may be some again. */
	if (w->epoll < 0) {
		w->poll_stale = true;
		usleep(10000);
		look_at_all(w);
		return;
	}
	int n = epoll_wait(w->epoll, event, EVENTS_MAX, w->look_udp ? 0 : sleep_ms);
	for (int i = 0; i < n; i++)
		mark(w, &event[i]);
}

void worker_run(struct worker *w, bool keep_core)
{
	struct affinity affinity = {.look_us = UINT64_MAX, .waits_fd = -1};
	if (keep_core)
		affinity_begin(&affinity, w->number, clock_us());
	while (!atomic_load(&w->stopped)) {
		look(w, affinity_sleep_ms(&affinity));
		uint64_t now_us = clock_us();
		turn(w, now_us);
		affinity_turn(&affinity, now_us); /* behind what somebody waits for */
	}
	affinity_end(&affinity);
}
