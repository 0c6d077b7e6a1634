/* fallback.c: visitors of the TLS port, until they are streams or have their page.
 *
 * A thread of its own, because handshakes are work that neither control nor those who are streams already should wait for. libmicrohttpd could do
 * TLS and the upgrade, but what it upgrades it forwards itself, in Debian 12 (0.9.75) four bytes at a time, for its writer keeps
 * the whole memory pool of the connection; so the few lines of HTTP are read here (stream_upgrade.c) and the connection itself is handed over.
 *
 * A visitor goes SHAKE, ASK, then ANSWER with a page or a welcome, and is a stream or at the DOOR, where what it still has to say is read and
 * forgotten, so that TCP does not take the page away from it. All of that has one deadline: a byte now and then keeps nobody here.
 */
#include "ui/fallback.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "node/stream_tls.h"
#include "node/stream_upgrade.h"
#include "node/thread.h"
#include "proto/base/clock.h"
#include "proto/gate.h"
#include "proto/wire.h"

#define BACKLOG          256
#define EVENTS_MAX       64
#define ACCEPTS_PER_TURN 32
#define DOOR_MS          2000
#define PAUSE_MS         1000 /* when there is no descriptor left */
#define DOOR_READS       8

enum visit { VISIT_SHAKE, VISIT_ASK, VISIT_ANSWER, VISIT_DOOR };

struct visitor {
	struct visitor *next, *before; /* the newest first */
	enum visit state;
	int fd;
	uint32_t events;
	struct tls *tls;
	uint64_t deadline;
	struct endpoint from;
	bool welcome;                   /* the answer makes it a stream */
	struct upgrade_asked asked;     /* then */
	size_t len;                     /* of text */
	size_t at;                      /* of text: end of the request, then what left of the answer */
	char text[UPGRADE_REQUEST_MAX]; /* what it asks */
	char answer[512];
	size_t answer_len;
};

struct fallback_server {
	struct tls_trust *trust;
	struct gate gate;
	struct streams *streams;
	uint16_t port;
	uint32_t deadline_ms;
	pthread_t thread;
	bool runs, paused;
	int epoll, wake, listener;
	atomic_bool stopped;
	uint64_t now, resume_ms;
	struct visitor *newest, *oldest;
	unsigned n;
	struct visitor *gone; /* freed at the end of the turn: an event of it may still name them */
};

/* ---- visitors ---------------------------------------------------------------------------------------------------- */

static void endpoint_of(const struct sockaddr *a, struct endpoint *ret)
{
	*ret = (struct endpoint){.family = 4 | ENDPOINT_STREAM};
	if (a->sa_family == AF_INET) {
		const struct sockaddr_in *v4 = (const void *)a;
		memcpy(ret->ip, &v4->sin_addr, 4);
		ret->port = ntohs(v4->sin_port);
		return;
	}
	const struct sockaddr_in6 *v6 = (const void *)a;
	ret->port = ntohs(v6->sin6_port);
	if (IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr)) {
		memcpy(ret->ip, v6->sin6_addr.s6_addr + 12, 4);
		return;
	}
	ret->family = 6 | ENDPOINT_STREAM;
	memcpy(ret->ip, &v6->sin6_addr, 16);
}

static unsigned neighbours(const struct fallback_server *s, const struct endpoint *e)
{
	unsigned n = 0;
	for (const struct visitor *v = s->newest; v; v = v->next)
		n += v->from.family == e->family && memcmp(v->from.ip, e->ip, e->family == (4 | ENDPOINT_STREAM) ? 4 : 8) == 0;
	return n;
}

/* It is nobody's any more; its descriptor and TLS are closed, or a stream's. */
static void visitor_leave(struct fallback_server *s, struct visitor *v)
{
	*(v->before ? &v->before->next : &s->newest) = v->next;
	*(v->next ? &v->next->before : &s->oldest) = v->before;
	s->n--;
	if (v->fd >= 0) {
		tls_free(v->tls);
		close(v->fd);
	}
	v->fd = -1;
	v->next = s->gone;
	s->gone = v;
}

static void bury(struct fallback_server *s)
{
	while (s->gone) {
		struct visitor *v = s->gone;
		s->gone = v->next;
		free(v);
	}
}

static void visitor_events(struct fallback_server *s, struct visitor *v, uint32_t events)
{
	struct epoll_event e = {.events = events, .data.ptr = v};
	if (v->events == events)
		return;
	int op = v->events ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
	v->events = events;
	if (epoll_ctl(s->epoll, op, v->fd, &e) < 0)
		visitor_leave(s, v);
}

static void visitor_new(struct fallback_server *s, int fd, const struct endpoint *from)
{
	struct visitor *v = neighbours(s, from) < FALLBACK_PER_ADDRESS ? calloc(1, sizeof(*v)) : NULL;
	int on = 1;
	if (!v || tls_accept(&v->tls, s->trust, fd)) {
		free(v);
		close(fd);
		return;
	}
	if (s->n == FALLBACK_VISITORS)
		visitor_leave(s, s->oldest);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	v->fd = fd;
	v->from = *from;
	v->deadline = s->now + s->deadline_ms;
	v->next = s->newest;
	*(s->newest ? &s->newest->before : &s->oldest) = v;
	s->newest = v;
	s->n++;
	visitor_events(s, v, EPOLLIN);
}

/* ---- what it asks, what it gets ---------------------------------------------------------------------------------- */

/* What any web server says to what it does not have, or does not understand. */
static void page(struct visitor *v, const char *status)
{
	static const char body[] =
	    "<html>\r\n<head><title>%s</title></head>\r\n<body>\r\n<center><h1>%s</h1></center>\r\n</body>\r\n</html>\r\n";
	char date[40];
	struct tm tm;
	time_t now = time(NULL);
	strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&now, &tm));
	int len = snprintf(NULL, 0, body, status, status);
	int n = snprintf(v->answer, sizeof(v->answer),
	                 "HTTP/1.1 %s\r\nDate: %s\r\nContent-Type: text/html\r\nContent-Length: %d\r\nConnection: close\r\n\r\n", status,
	                 date, len);
	if (!v->asked.head)
		n += snprintf(v->answer + n, sizeof(v->answer) - (size_t)n, body, status, status);
	v->answer_len = (size_t)n;
}

static void answer_make(const struct fallback_server *s, struct visitor *v, long header)
{
	if (header < 0) {
		page(v, "400 Bad Request");
	} else if (v->asked.init_len && gate_check(&s->gate, v->asked.init, v->asked.init_len)) {
		v->welcome = true;
		v->answer_len = upgrade_welcome(v->asked.accept, v->answer, sizeof(v->answer));
	} else {
		page(v, "404 Not Found");
	}
	v->state = VISIT_ANSWER;
}

/* true: go on at once. */
static bool shake(struct fallback_server *s, struct visitor *v)
{
	const char *why;
	int error = tls_shake(v->tls, &why);
	if (error == -EAGAIN)
		visitor_events(s, v, tls_wants_write(v->tls) ? EPOLLOUT : EPOLLIN);
	else if (error)
		visitor_leave(s, v);
	else
		v->state = VISIT_ASK;
	return !error;
}

static bool ask(struct fallback_server *s, struct visitor *v)
{
	for (;;) {
		ssize_t n = tls_read(v->tls, v->text + v->len, sizeof(v->text) - v->len);
		if (n == -EAGAIN) {
			visitor_events(s, v, EPOLLIN);
			return false;
		}
		if (n <= 0) {
			visitor_leave(s, v);
			return false;
		}
		v->len += (size_t)n;
		long header = upgrade_read(v->text, v->len, &v->asked);
		if (header) {
			v->at = header > 0 ? (size_t)header : v->len;
			answer_make(s, v, header);
			return true;
		}
	}
}

static void become_stream(struct fallback_server *s, struct visitor *v)
{
	const struct stream_accepted stream = {
	    .from = v->from,
	    .fd = v->fd,
	    .tls = v->tls,
	    .init = v->asked.init,
	    .init_len = v->asked.init_len,
	    .early = (const uint8_t *)v->text + v->at,
	    .early_len = v->len - v->at,
	};
	epoll_ctl(s->epoll, EPOLL_CTL_DEL, v->fd, NULL);
	if (streams_accept(s->streams, &stream))
		v->fd = -1; /* its new owner's, and TLS with it */
	visitor_leave(s, v);
}

static bool answer(struct fallback_server *s, struct visitor *v)
{
	size_t sent = 0;
	while (sent < v->answer_len) {
		ssize_t n = tls_write(v->tls, v->answer + sent, v->answer_len - sent);
		if (n == -EAGAIN) {
			memmove(v->answer, v->answer + sent, v->answer_len -= sent);
			visitor_events(s, v, EPOLLOUT);
			return false;
		}
		if (n < 0) {
			visitor_leave(s, v);
			return false;
		}
		sent += (size_t)n;
	}
	if (v->welcome) {
		become_stream(s, v);
		return false;
	}
	tls_bye(v->tls);
	shutdown(v->fd, SHUT_WR);
	v->state = VISIT_DOOR;
	if (v->deadline > s->now + DOOR_MS)
		v->deadline = s->now + DOOR_MS;
	visitor_events(s, v, EPOLLIN);
	return v->fd >= 0;
}

static void door(struct fallback_server *s, struct visitor *v)
{
	ssize_t n = 1;
	for (unsigned i = 0; i < DOOR_READS && n > 0; i++)
		n = recv(v->fd, v->text, sizeof(v->text), MSG_DONTWAIT);
	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
		visitor_leave(s, v);
}

static void visit(struct fallback_server *s, struct visitor *v)
{
	bool more = v->fd >= 0; /* else it left in this turn */
	while (more) {
		switch (v->state) {
		case VISIT_SHAKE: more = shake(s, v); break;
		case VISIT_ASK: more = ask(s, v); break;
		case VISIT_ANSWER: more = answer(s, v); break;
		case VISIT_DOOR: door(s, v); return;
		}
	}
}

/* ---- the thread -------------------------------------------------------------------------------------------------- */

static void listener_watch(struct fallback_server *s, bool on)
{
	struct epoll_event e = {.events = on ? EPOLLIN : 0u, .data.ptr = &s->listener};
	epoll_ctl(s->epoll, EPOLL_CTL_MOD, s->listener, &e);
	s->paused = !on;
	s->resume_ms = s->now + PAUSE_MS;
}

static void visitors_come(struct fallback_server *s)
{
	struct sockaddr_storage address;
	struct endpoint from;
	for (unsigned i = 0; i < ACCEPTS_PER_TURN; i++) {
		socklen_t len = sizeof(address);
		int fd = accept4(s->listener, (struct sockaddr *)&address, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd < 0) {
			/* It would be told of again and again. Who has been here longest makes room. */
			if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
				if (s->oldest)
					visitor_leave(s, s->oldest);
				listener_watch(s, false);
			}
			return;
		}
		endpoint_of((struct sockaddr *)&address, &from);
		visitor_new(s, fd, &from);
	}
}

/* Ends who is late; the next deadline. Nobody's is later than that of who came after, but for those at the door. */
static uint64_t sweep(struct fallback_server *s)
{
	uint64_t at = s->paused ? s->resume_ms : UINT64_MAX;
	if (s->paused && s->now >= s->resume_ms) {
		listener_watch(s, true);
		at = UINT64_MAX;
	}
	for (struct visitor *v = s->newest, *next; v; v = next) {
		next = v->next;
		if (s->now >= v->deadline)
			visitor_leave(s, v);
		else if (v->deadline < at)
			at = v->deadline;
	}
	return at;
}

static void *server_run(void *self)
{
	struct fallback_server *s = self;
	struct epoll_event event[EVENTS_MAX];
	uint64_t deadline = UINT64_MAX;
	while (!atomic_load(&s->stopped)) {
		uint64_t now = clock_ms();
		int wait = deadline == UINT64_MAX ? -1 : deadline > now ? (int)(deadline - now) : 0;
		int n = epoll_wait(s->epoll, event, EVENTS_MAX, wait);
		s->now = clock_ms();
		for (int i = 0; i < n; i++) {
			if (event[i].data.ptr == &s->listener)
				visitors_come(s);
			else if (event[i].data.ptr != &s->wake)
				visit(s, event[i].data.ptr);
		}
		deadline = sweep(s);
		bury(s);
	}
	return NULL;
}

/* ---- life --------------------------------------------------------------------------------------------------------- */

static int listen_on(const struct endpoint *at, uint16_t *ret_port, char why[FALLBACK_WHY])
{
	struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(at->port)};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(at->port)};
	memcpy(&v4.sin_addr, at->ip, 4);
	memcpy(&v6.sin6_addr, at->ip, 16);
	bool six = at->family != 4;
	int fd = socket(six ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 && errno == EAFNOSUPPORT && !at->family) {
		six = false;
		fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	}
	struct sockaddr *address = six ? (struct sockaddr *)&v6 : (struct sockaddr *)&v4;
	socklen_t len = six ? sizeof(v6) : sizeof(v4);
	int on = 1, only = at->family == 6;
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
	    (six && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only, sizeof(only)) < 0) || bind(fd, address, len) < 0 ||
	    listen(fd, BACKLOG) < 0 || getsockname(fd, address, &len) < 0) {
		int error = errno;
		const char *mend = error == EACCES       ? "give the service CAP_NET_BIND_SERVICE"
		                   : error == EADDRINUSE ? "another program has it; set tls = PORT, or tls = none"
		                                         : "set tls = ADDRESS:PORT, or tls = none";
		snprintf(why, FALLBACK_WHY, "port %u cannot be taken for TLS (%s), so nodes without UDP do not reach this root; %s",
		         at->port, strerror(error), mend);
		if (fd >= 0)
			close(fd);
		return -error;
	}
	*ret_port = ntohs(six ? v6.sin6_port : v4.sin_port);
	return fd;
}

static int watch(struct fallback_server *s, int *fd)
{
	struct epoll_event e = {.events = EPOLLIN, .data.ptr = fd};
	return epoll_ctl(s->epoll, EPOLL_CTL_ADD, *fd, &e) < 0 ? -errno : 0;
}

int fallback_open(struct fallback_server **ret, const struct fallback_config *config, char why[FALLBACK_WHY])
{
	struct fallback_server *s = calloc(1, sizeof(*s));
	int error = -ENOMEM;
	snprintf(why, FALLBACK_WHY, "no memory or descriptors for the TLS port");
	if (!s)
		return error;
	s->streams = config->streams;
	s->deadline_ms = config->deadline_ms ? config->deadline_ms : FALLBACK_DEADLINE_MS;
	gate_derive(&s->gate, config->key_hash, config->gate_secret);
	s->listener = -1;
	s->wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	s->epoll = epoll_create1(EPOLL_CLOEXEC);
	error = s->wake < 0 || s->epoll < 0 ? -EMFILE : tls_trust_new(&s->trust);
	if (error)
		goto bad;
	error = tls_trust_serve(s->trust, config->certificate->chain, config->certificate->key);
	if (error) {
		snprintf(why, FALLBACK_WHY, "the TLS port cannot be served with this certificate; look at tls-cert and tls-key");
		goto bad;
	}
	error = s->listener = listen_on(&config->at, &s->port, why);
	if (error < 0)
		goto bad;
	error = watch(s, &s->listener);
	if (!error)
		error = watch(s, &s->wake);
	if (!error)
		error = thread_start(&s->thread, "tls-port", server_run, s);
	if (error)
		goto bad;
	s->runs = true;
	*ret = s;
	return 0;
bad:
	fallback_free(s);
	return error;
}

void fallback_free(struct fallback_server *s)
{
	uint64_t one = 1;
	if (!s)
		return;
	if (s->runs) {
		atomic_store(&s->stopped, true);
		(void)!write(s->wake, &one, sizeof(one));
		pthread_join(s->thread, NULL);
	}
	while (s->newest)
		visitor_leave(s, s->newest);
	bury(s);
	tls_trust_free(s->trust);
	if (s->listener >= 0)
		close(s->listener);
	if (s->wake >= 0)
		close(s->wake);
	if (s->epoll >= 0)
		close(s->epoll);
	gate_fini(&s->gate);
	free(s);
}

uint16_t fallback_port(const struct fallback_server *s)
{
	return s->port;
}
