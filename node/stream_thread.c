/* stream_thread.c: the streams' thread.
 *
 * It sleeps in one level-triggered epoll over the streams, the pair to the workers and an eventfd, and has one deadline: the sweep, due when
 * the earliest stream might be. Orders from other threads wait in a ring under a mutex; nobody ever waits for this thread. A turn: events of
 * streams, datagrams from the workers, orders, the sweep, then what ended is freed.
 */
#include "node/stream_parts.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "node/thread.h"
#include "proto/base/clock.h"
#include "proto/base/heap.h"

#define EVENTS_MAX 64
#define BATCHES    4 /* of datagrams from the workers, in a turn */
#define PAIR_BYTES (1 << 20)

void stream_told(struct streams *streams, const struct endpoint *at)
{
	pthread_mutex_lock(&streams->lock);
	if (streams->n_ended < STREAM_ENDED_MAX) /* else control finds out by its path's silence */
		streams->ended[(streams->ended_first + streams->n_ended++) % STREAM_ENDED_MAX] = *at;
	pthread_mutex_unlock(&streams->lock);
	if (streams->config.notify)
		streams->config.notify(streams->config.self);
}

static void bury(struct streams *streams)
{
	while (streams->dead) {
		struct stream *s = streams->dead;
		streams->dead = s->list_next;
		free(s);
	}
}

/* ---- down: from the workers ----------------------------------------------------------------------------------- */

static void dirty_write(struct streams *streams)
{
	for (unsigned i = 0; i < streams->n_dirty; i++) {
		streams->dirty[i]->dirty = false;
		if (streams->dirty[i]->state == STREAM_OPEN)
			stream_write(streams->dirty[i]);
	}
	streams->n_dirty = 0;
}

static void pair_read(struct streams *streams)
{
	struct mmsghdr message[STREAM_BATCH];
	struct iovec part[STREAM_BATCH][2];
	struct endpoint to[STREAM_BATCH];
	int got = STREAM_BATCH;
	for (unsigned turn = 0; turn < BATCHES && got == STREAM_BATCH; turn++) {
		for (unsigned i = 0; i < STREAM_BATCH; i++) {
			part[i][0] = (struct iovec){&to[i], sizeof(to[i])};
			part[i][1] = (struct iovec){streams->datagram[i], WEBSOCKET_MESSAGE};
			message[i] = (struct mmsghdr){.msg_hdr = {.msg_iov = part[i], .msg_iovlen = 2}};
		}
		got = recvmmsg(streams->pair, message, STREAM_BATCH, MSG_DONTWAIT, NULL);
		for (int i = 0; i < got; i++) {
			if (message[i].msg_len <= sizeof(to[i]) || message[i].msg_hdr.msg_flags & MSG_TRUNC)
				stream_dropped(streams, 1);
			else
				stream_down(streams, &to[i], streams->datagram[i], message[i].msg_len - sizeof(to[i]));
		}
		dirty_write(streams); /* at most STREAM_BATCH of them */
	}
}

/* ---- orders ----------------------------------------------------------------------------------------------------- */

static void open_now(struct streams *streams, struct order *o)
{
	struct stream *s = NULL;
	if (stream_find(streams, &o->at)) {
		free(o->opening);
		return;
	}
	if (streams->n_opened < STREAMS_OPENED_MAX)
		s = stream_new(streams, &o->at, true);
	if (!s) {
		free(o->opening);
		stream_told(streams, &o->at);
		return;
	}
	s->opening = o->opening;
	s->opening->proxied = streams->proxy && !streams->direct;
	dial_start(s);
}

static void accept_now(struct streams *streams, const struct order *o)
{
	struct stream *s = stream_find(streams, &o->at);
	if (s) /* the far end's port is used again, so the old one is gone */
		stream_end(s, NULL);
	bool room = streams->n_accepted < STREAMS_ACCEPTED_MAX && stream_neighbours(streams, &o->at) < STREAMS_ADDRESS_MAX;
	s = room ? stream_new(streams, &o->at, false) : NULL;
	if (!s) {
		tls_free(o->tls);
		close(o->fd);
		free(o->first);
		return;
	}
	s->fd = o->fd;
	s->tls = o->tls;
	stream_opened(s);
	if (s->state == STREAM_OPEN)
		stream_up(streams, &s->at, o->first->bytes, o->first->init_len);
	if (s->state == STREAM_OPEN && o->first->early_len)
		(void)stream_in(s, o->first->bytes + o->first->init_len, o->first->early_len);
	if (s->state == STREAM_OPEN && s->tls && tls_pending(s->tls))
		stream_read(s); /* of the same record as the request, which epoll does not tell of */
	free(o->first);
}

static bool order_take(struct streams *streams, struct order *ret)
{
	pthread_mutex_lock(&streams->lock);
	bool there = streams->orders > 0;
	if (there) {
		*ret = streams->order[streams->order_first];
		streams->order_first = (streams->order_first + 1) % STREAM_ORDERS;
		streams->orders--;
	}
	pthread_mutex_unlock(&streams->lock);
	return there;
}

static void orders_follow(struct streams *streams)
{
	struct order o;
	struct stream *s;
	while (order_take(streams, &o)) {
		switch (o.kind) {
		case ORDER_OPEN: open_now(streams, &o); break;
		case ORDER_ACCEPT: accept_now(streams, &o); break;
		case ORDER_CLOSE:
			s = stream_find(streams, &o.at);
			if (s)
				stream_end(s, NULL);
			break;
		}
	}
}

static void woken(struct streams *streams)
{
	uint64_t count;
	if (read(streams->wake, &count, sizeof(count)) < 0)
		assert(errno == EAGAIN || errno == EINTR);
	/* Perhaps the proxy's address. */
	for (struct stream *s = streams->all, *next; streams->proxy && s; s = next) {
		next = s->list_next;
		if (s->state == STREAM_LOOKUP)
			dial_continue(s);
	}
}

/* ---- time ------------------------------------------------------------------------------------------------------- */

/* Deadlines only move away while a stream is used, so the sweep may be early but never late. */
static void sweep(struct streams *streams)
{
	uint64_t at = NEVER;
	if (streams->now < streams->sweep_ms)
		return;
	for (struct stream *s = streams->all, *next; s; s = next) {
		next = s->list_next;
		uint64_t due = stream_due(s, streams->now);
		if (s->state != STREAM_ENDED && due < at)
			at = due;
	}
	streams->sweep_ms = at;
}

static int wait_ms(const struct streams *streams)
{
	if (streams->sweep_ms == NEVER)
		return -1;
	uint64_t now = clock_ms();
	return streams->sweep_ms > now ? (int)(streams->sweep_ms - now) : 0;
}

/* ---- the thread ------------------------------------------------------------------------------------------------- */

static void *streams_run(void *self)
{
	struct streams *streams = self;
	struct epoll_event event[EVENTS_MAX];
	while (!atomic_load(&streams->stopped)) {
		int n = epoll_wait(streams->epoll, event, EVENTS_MAX, wait_ms(streams));
		streams->now = clock_ms();
		for (int i = 0; i < n; i++) {
			if (event[i].data.ptr == &streams->pair)
				pair_read(streams);
			else if (event[i].data.ptr == &streams->wake)
				woken(streams);
			else
				stream_ready(event[i].data.ptr, event[i].events);
		}
		orders_follow(streams);
		sweep(streams);
		bury(streams);
	}
	return NULL;
}

static void wake(const struct streams *streams)
{
	uint64_t one = 1;
	if (write(streams->wake, &one, sizeof(one)) < 0)
		assert(errno == EAGAIN || errno == EINTR);
}

static int watch(struct streams *streams, int *fd)
{
	struct epoll_event e = {.events = EPOLLIN, .data.ptr = fd};
	return epoll_ctl(streams->epoll, EPOLL_CTL_ADD, *fd, &e) < 0 ? -errno : 0;
}

int streams_new(struct streams **ret, const struct streams_config *config, int *ret_fd)
{
	struct streams *streams = aligned_alloc(alignof(struct streams), sizeof(*streams));
	int pair[2] = {-1, -1}, error, bytes = PAIR_BYTES;
	if (!streams)
		return -ENOMEM;
	memset(streams, 0, sizeof(*streams));
	streams->config = *config;
	streams->sweep_ms = NEVER;
	streams->now = clock_ms();
	pthread_mutex_init(&streams->lock, NULL);
	streams->epoll = epoll_create1(EPOLL_CLOEXEC);
	streams->wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	error = socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) < 0 ? -errno : 0;
	streams->pair = pair[0];
	for (int i = 0; i < 2 && !error; i++)
		if (setsockopt(pair[i], SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof(bytes)) < 0)
			setsockopt(pair[i], SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
	if (!error && (streams->epoll < 0 || streams->wake < 0))
		error = -EMFILE;
	if (!error && *config->proxy) {
		streams->proxy = proxy_new(config->proxy, streams->wake);
		error = streams->proxy ? 0 : -ENOMEM;
	}
	if (!error)
		error = tls_trust_new(&streams->trust);
	if (!error)
		error = watch(streams, &streams->pair);
	if (!error)
		error = watch(streams, &streams->wake);
	if (!error)
		error = thread_start(&streams->thread, "streams", streams_run, streams);
	if (error) {
		if (pair[1] >= 0)
			close(pair[1]);
		streams_free(streams);
		return error;
	}
	streams->runs = true;
	*ret = streams;
	*ret_fd = pair[1];
	return 0;
}

void streams_free(struct streams *streams)
{
	struct order o;
	if (!streams)
		return;
	if (streams->runs) {
		atomic_store(&streams->stopped, true);
		wake(streams);
		pthread_join(streams->thread, NULL);
	}
	streams->config.notify = NULL;
	while (streams->all)
		stream_end(streams->all, NULL);
	bury(streams);
	while (order_take(streams, &o)) {
		free(o.opening);
		free(o.first);
		tls_free(o.tls);
		if (o.fd >= 0)
			close(o.fd);
	}
	proxy_free(streams->proxy);
	tls_trust_free(streams->trust);
	if (streams->pair >= 0)
		close(streams->pair);
	if (streams->wake >= 0)
		close(streams->wake);
	if (streams->epoll >= 0)
		close(streams->epoll);
	pthread_mutex_destroy(&streams->lock);
	free(streams);
}

/* ---- from other threads ----------------------------------------------------------------------------------------- */

static bool order_give(struct streams *streams, const struct order *o)
{
	pthread_mutex_lock(&streams->lock);
	bool room = streams->orders < STREAM_ORDERS && !atomic_load(&streams->stopped);
	if (room)
		streams->order[(streams->order_first + streams->orders++) % STREAM_ORDERS] = *o;
	pthread_mutex_unlock(&streams->lock);
	if (room)
		wake(streams);
	return room;
}

bool streams_open(struct streams *streams, const struct endpoint *to, const char *name, const uint8_t *pin, const uint8_t *init, size_t len)
{
	struct order o = {.kind = ORDER_OPEN, .at = *to, .opening = calloc(1, sizeof(*o.opening)), .fd = -1};
	if (!o.opening)
		return false;
	assert(len <= sizeof(o.opening->init) && to->family & ENDPOINT_STREAM);
	if (strlen(name) < sizeof(o.opening->name))
		strcpy(o.opening->name, name);
	o.opening->pin_set = pin != NULL;
	if (pin)
		memcpy(o.opening->pin, pin, sizeof(o.opening->pin));
	memcpy(o.opening->init, init, len);
	o.opening->init_len = len;
	bool given = order_give(streams, &o);
	if (!given)
		free(o.opening);
	return given;
}

bool streams_close(struct streams *streams, const struct endpoint *at)
{
	const struct order o = {.kind = ORDER_CLOSE, .at = *at, .fd = -1};
	return order_give(streams, &o);
}

bool streams_accept(struct streams *streams, const struct stream_accepted *a)
{
	struct order o = {.kind = ORDER_ACCEPT, .at = a->from, .fd = a->fd, .tls = a->tls};
	o.first = malloc(sizeof(*o.first) + a->init_len + a->early_len);
	if (!o.first)
		return false;
	o.first->init_len = a->init_len;
	o.first->early_len = a->early_len;
	memcpy(o.first->bytes, a->init, a->init_len);
	if (a->early_len)
		memcpy(o.first->bytes + a->init_len, a->early, a->early_len);
	bool given = order_give(streams, &o);
	if (!given)
		free(o.first);
	return given;
}

bool streams_ended(struct streams *streams, struct endpoint *ret)
{
	pthread_mutex_lock(&streams->lock);
	bool there = streams->n_ended > 0;
	if (there) {
		*ret = streams->ended[streams->ended_first];
		streams->ended_first = (streams->ended_first + 1) % STREAM_ENDED_MAX;
		streams->n_ended--;
	}
	pthread_mutex_unlock(&streams->lock);
	return there;
}

uint64_t streams_dropped(const struct streams *streams)
{
	return atomic_load_explicit(&streams->dropped, memory_order_relaxed);
}

unsigned streams_count(const struct streams *streams)
{
	return atomic_load(&streams->n_open);
}
