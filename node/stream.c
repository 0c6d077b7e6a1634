/* stream.c: one stream: found by its endpoint, read, written, ended.
 *
 * A stream that does not drain costs nobody but itself: its queue is short and drops (stream_websocket.c), its socket's unsent bytes are bounded by
 * TCP_NOTSENT_LOWAT, and TCP_USER_TIMEOUT ends it when the far end is gone. What ended is unfindable at once and freed at the end of the
 * thread's turn, for an event of the same turn may still name it.
 */
#include "node/stream_parts.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proto/base/heap.h"
#include "proto/base/log.h"
#include "proto/endpoint.h"

#define READS_PER_EVENT 8
#define OPEN_MS         10000 /* from connect to the upgrade's answer */
#define SPEAK_MS        10000 /* an accepted stream must say something */
#define IDLE_MS         (5 * 60 * 1000)
#define PING_MS         25000 /* NATs and proxies forget TCP that is silent for a minute */
#define SILENCE_MS      60000 /* two pings and more without an answer */
#define USER_TIMEOUT_MS 10000
#define LOWAT_BYTES     (32 * 1024)
#define DOUBT_EVERY_MS  (24 * 3600 * 1000u)

/* Said once a day, for it changes nothing: what is inside does not rest on TLS. */
void stream_doubt(struct streams *streams, const struct endpoint *at, const char *why)
{
	char text[ENDPOINT_TEXT_MAX];
	if (streams->doubt_ms > streams->now)
		return;
	streams->doubt_ms = streams->now + DOUBT_EVERY_MS;
	endpoint_format(at, text, sizeof(text));
	log_notice("stream %s: %s; somebody may look at or stop the outer connection, what is inside has keys of its own", text, why);
}

void stream_dropped(struct streams *streams, unsigned n)
{
	if (n)
		atomic_fetch_add_explicit(&streams->dropped, n, memory_order_relaxed);
}

/* ---- the table -------------------------------------------------------------------------------------------------- */

/* So much of an address is one neighbourhood, whose streams share a bucket and are counted together. */
static unsigned address_bytes(const struct endpoint *e)
{
	return e->family == (4 | ENDPOINT_STREAM) ? 4 : 8;
}

static struct stream **bucket_of(struct streams *streams, const struct endpoint *e)
{
	uint64_t h = 0xcbf29ce484222325ull;
	for (unsigned i = 0; i < address_bytes(e); i++)
		h = (h ^ e->ip[i]) * 0x100000001b3ull;
	return &streams->bucket[(h >> 32) % STREAM_BUCKETS];
}

struct stream *stream_find(struct streams *streams, const struct endpoint *e)
{
	struct stream *s = *bucket_of(streams, e);
	while (s && !endpoint_equal(&s->at, e))
		s = s->next;
	return s;
}

unsigned stream_neighbours(struct streams *streams, const struct endpoint *e)
{
	unsigned n = 0;
	for (const struct stream *s = *bucket_of(streams, e); s; s = s->next)
		n += !s->client && s->at.family == e->family && memcmp(s->at.ip, e->ip, address_bytes(e)) == 0;
	return n;
}

struct stream *stream_new(struct streams *streams, const struct endpoint *at, bool client)
{
	struct stream *s = calloc(1, sizeof(*s)), **bucket = bucket_of(streams, at);
	if (!s)
		return NULL;
	*s = (struct stream){.streams = streams, .at = *at, .fd = -1, .client = client, .next = *bucket, .list_next = streams->all};
	s->born_ms = s->heard_ms = s->used_ms = s->ping_ms = streams->now;
	s->list_at = &streams->all;
	if (streams->all)
		streams->all->list_at = &s->list_next;
	*bucket = streams->all = s;
	*(client ? &streams->n_opened : &streams->n_accepted) += 1;
	if (streams->now + OPEN_MS < streams->sweep_ms)
		streams->sweep_ms = streams->now + OPEN_MS;
	return s;
}

static void unlink_stream(struct stream *s)
{
	struct stream **at = bucket_of(s->streams, &s->at);
	while (*at != s)
		at = &(*at)->next;
	*at = s->next;
	*s->list_at = s->list_next;
	if (s->list_next)
		s->list_next->list_at = s->list_at;
	s->list_next = s->streams->dead;
	s->streams->dead = s;
}

void stream_end(struct stream *s, const char *why)
{
	struct streams *streams = s->streams;
	char text[ENDPOINT_TEXT_MAX];
	if (s->state == STREAM_ENDED)
		return;
	endpoint_format(&s->at, text, sizeof(text));
	if (s->client && why)
		log_info("stream %s: %s", text, why);
	if (s->opening && s->opening->proxied) {
		proxy_failed(streams->proxy);
		streams->direct = true;
	} else if (s->opening) {
		streams->direct = false;
	}
	if (s->state == STREAM_OPEN)
		atomic_fetch_sub(&streams->n_open, 1);
	s->state = STREAM_ENDED;
	*(s->client ? &streams->n_opened : &streams->n_accepted) -= 1;
	unlink_stream(s);
	if (s->events)
		epoll_ctl(streams->epoll, EPOLL_CTL_DEL, s->fd, NULL);
	if (s->tls && s->websocket)
		tls_bye(s->tls);
	tls_free(s->tls);
	websocket_free(s->websocket);
	free(s->opening);
	s->tls = NULL;
	s->websocket = NULL;
	s->opening = NULL;
	if (s->fd >= 0)
		close(s->fd);
	if (s->client)
		stream_told(streams, &s->at);
}

void stream_events(struct stream *s, uint32_t events)
{
	struct epoll_event e = {.events = events, .data.ptr = s};
	if (s->events == events)
		return;
	int op = s->events ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
	s->events = events;
	if (epoll_ctl(s->streams->epoll, op, s->fd, &e) < 0) {
		if (op == EPOLL_CTL_ADD)
			s->events = 0;
		stream_end(s, strerror(errno));
	}
}

/* ---- up: from the far end to the workers ------------------------------------------------------------------------ */

void stream_up(struct streams *streams, const struct endpoint *from, uint8_t *bytes, size_t len)
{
	struct iovec part[2] = {{(void *)(uintptr_t)from, sizeof(*from)}, {bytes, len}};
	const struct msghdr m = {.msg_iov = part, .msg_iovlen = 2};
	/* The workers are late: what waits for them is dropped as their UDP sockets would. */
	if (sendmsg(streams->pair, &m, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		stream_dropped(streams, 1);
}

static void delivered(void *self, uint8_t *bytes, size_t len)
{
	struct stream *s = self;
	s->spoke = true;
	s->used_ms = s->streams->now;
	if (len)
		stream_up(s->streams, &s->at, bytes, len);
}

int stream_in(struct stream *s, const uint8_t *bytes, size_t len)
{
	s->heard_ms = s->streams->now;
	int error = websocket_in(s->websocket, bytes, len);
	if (error)
		stream_end(s, error == -ECONNRESET ? "closed by the other side" : strerror(-error));
	return error;
}

static ssize_t bytes_read(struct stream *s, uint8_t *buf, size_t room)
{
	if (s->tls)
		return tls_read(s->tls, buf, room);
	ssize_t n = recv(s->fd, buf, room, MSG_DONTWAIT);
	return n >= 0 ? n : -errno;
}

void stream_read(struct stream *s)
{
	struct streams *streams = s->streams;
	/* What TLS holds decrypted is not told of by epoll, so it must be taken now. */
	for (unsigned i = 0; i < READS_PER_EVENT || (s->tls && tls_pending(s->tls)); i++) {
		ssize_t n = bytes_read(s, streams->read, sizeof(streams->read));
		if (n == -EAGAIN || n == -EINTR)
			return;
		if (n <= 0) {
			stream_end(s, n ? strerror((int)-n) : "closed by the other side");
			return;
		}
		if (stream_in(s, streams->read, (size_t)n))
			return;
	}
}

/* ---- down: from the workers to the far end ---------------------------------------------------------------------- */

static ssize_t bytes_write(struct stream *s, const uint8_t *bytes, size_t len)
{
	if (s->tls)
		return tls_write(s->tls, bytes, len);
	ssize_t n = send(s->fd, bytes, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	return n >= 0 ? n : -errno;
}

void stream_write(struct stream *s)
{
	const uint8_t *bytes;
	unsigned dropped;
	size_t len;
	while ((len = websocket_out(s->websocket, s->streams->now, &bytes, &dropped)) > 0) {
		ssize_t n = bytes_write(s, bytes, len);
		stream_dropped(s->streams, dropped);
		if (n == -EAGAIN || n == -EINTR)
			break;
		if (n < 0) {
			stream_end(s, strerror((int)-n));
			return;
		}
		websocket_sent(s->websocket, (size_t)n);
	}
	stream_events(s, EPOLLIN | (websocket_waiting(s->websocket) ? EPOLLOUT : 0u));
}

void stream_opened(struct stream *s)
{
	/* Only bytes that TCP has not sent yet count as waiting: those behind them are dropped by our queue, not kept by the kernel's. */
	int lowat = LOWAT_BYTES, timeout = USER_TIMEOUT_MS;
	setsockopt(s->fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &lowat, sizeof(lowat));
	setsockopt(s->fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout, sizeof(timeout));
	s->websocket = websocket_new(s->client, delivered, s);
	if (!s->websocket) {
		stream_end(s, "no memory");
		return;
	}
	s->state = STREAM_OPEN;
	s->born_ms = s->heard_ms = s->used_ms = s->ping_ms = s->streams->now;
	atomic_fetch_add(&s->streams->n_open, 1);
	stream_events(s, EPOLLIN);
}

void stream_down(struct streams *streams, const struct endpoint *to, const uint8_t *bytes, size_t len)
{
	struct stream *s = stream_find(streams, to);
	if (!s || s->state != STREAM_OPEN) {
		stream_dropped(streams, 1);
		return;
	}
	stream_dropped(streams, websocket_queue(s->websocket, bytes, len, streams->now));
	s->used_ms = streams->now;
	if (!s->dirty) {
		s->dirty = true;
		streams->dirty[streams->n_dirty++] = s;
	}
}

/* ---- time ------------------------------------------------------------------------------------------------------- */

uint64_t stream_due(struct stream *s, uint64_t now)
{
	if (s->state != STREAM_OPEN) {
		if (now >= s->born_ms + OPEN_MS)
			stream_end(s, "no answer");
		return s->born_ms + OPEN_MS;
	}
	if (!s->client && !s->spoke) {
		if (now >= s->born_ms + SPEAK_MS)
			stream_end(s, NULL);
		return s->born_ms + SPEAK_MS;
	}
	if (now >= s->used_ms + IDLE_MS || (s->client && now >= s->heard_ms + SILENCE_MS)) {
		stream_end(s, "silent");
		return NEVER;
	}
	uint64_t at = s->used_ms + IDLE_MS;
	if (!s->client)
		return at;
	uint64_t last = s->ping_ms > s->heard_ms ? s->ping_ms : s->heard_ms;
	if (now >= last + PING_MS) {
		last = s->ping_ms = now;
		if (websocket_ping(s->websocket))
			stream_end(s, "no memory");
		else
			stream_write(s);
	}
	at = at < s->heard_ms + SILENCE_MS ? at : s->heard_ms + SILENCE_MS;
	return at < last + PING_MS ? at : last + PING_MS;
}

void stream_ready(struct stream *s, uint32_t events)
{
	if (s->state != STREAM_OPEN) {
		dial_continue(s); /* nothing of an ended one */
		return;
	}
	if (events & EPOLLOUT)
		stream_write(s);
	if (s->state == STREAM_OPEN && events & (EPOLLIN | EPOLLHUP | EPOLLERR))
		stream_read(s);
	/* Reading may have made us owe a pong. */
	if (s->state == STREAM_OPEN && websocket_waiting(s->websocket))
		stream_write(s);
}
