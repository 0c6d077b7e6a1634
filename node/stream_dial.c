/* stream_dial.c: a stream of ours until it is open: TCP, perhaps a proxy's CONNECT, TLS, the upgrade.
 *
 * One state waits for one thing; dial_continue() goes through as many states as are ready. What is written fits into a fresh socket's buffer
 * nearly always, but may not (a proxy, a full link), so each text has its place of what left already; the answer is then read into the
 * same room. All of it has OPEN_MS (stream.c).
 */
#include "node/stream_parts.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "node/address.h"
#include "proto/random.h"

#define PORT_HTTPS 443

/* As in a URL; with_port: always, else only where it is not what https means. */
static void authority(const struct stream *s, bool with_port, char *out, size_t room)
{
	char ip[INET6_ADDRSTRLEN] = "";
	bool six = (s->at.family & ~ENDPOINT_STREAM) == 6;
	const char *name = s->opening->name;
	if (!*name)
		inet_ntop(six ? AF_INET6 : AF_INET, s->at.ip, ip, sizeof(ip));
	int n = snprintf(out, room, *name ? "%s" : six ? "[%s]" : "%s", *name ? name : ip);
	if (with_port || s->at.port != PORT_HTTPS)
		snprintf(out + n, room - (size_t)n, ":%u", s->at.port);
}

static void connect_to(struct stream *s, const struct endpoint *to)
{
	union address a;
	socklen_t len = address_of(to, &a);
	s->fd = socket(a.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (s->fd < 0 || (connect(s->fd, &a.any, len) < 0 && errno != EINPROGRESS)) {
		stream_end(s, strerror(errno));
		return;
	}
	s->state = STREAM_CONNECT;
	stream_events(s, EPOLLOUT);
}

void dial_start(struct stream *s)
{
	struct endpoint to = s->at;
	if (s->opening->proxied) {
		switch (proxy_ask(s->streams->proxy, &to)) {
		case PROXY_WAIT: s->state = STREAM_LOOKUP; return;
		case PROXY_NONE: stream_end(s, "the proxy's name has no address"); return;
		case PROXY_KNOWN: break;
		}
	}
	connect_to(s, &to);
}

/* Both of a TLS stream and of the plain one to a proxy. */
static ssize_t write_some(struct stream *s, const void *bytes, size_t len)
{
	if (s->tls)
		return tls_write(s->tls, bytes, len);
	ssize_t n = send(s->fd, bytes, len, MSG_NOSIGNAL | MSG_DONTWAIT);
	return n >= 0 ? n : -errno;
}

static ssize_t read_some(struct stream *s, void *bytes, size_t len)
{
	if (s->tls)
		return tls_read(s->tls, bytes, len);
	ssize_t n = recv(s->fd, bytes, len, MSG_DONTWAIT);
	return n >= 0 ? n : -errno;
}

/* What stands in the opening's text leaves; then it becomes room for the answer. true: all of it left. */
static bool request_written(struct stream *s)
{
	struct opening *o = s->opening;
	while (o->at < o->len) {
		ssize_t n = write_some(s, o->text + o->at, o->len - o->at);
		if (n == -EAGAIN) {
			stream_events(s, EPOLLOUT);
			return false;
		}
		if (n < 0) {
			stream_end(s, strerror((int)-n));
			return false;
		}
		o->at += (size_t)n;
	}
	o->at = UPGRADE_ANSWER_MAX; /* from now on: reading */
	o->len = 0;
	stream_events(s, EPOLLIN);
	return true;
}

/* Reads until the header is whole: its length then; 0 = later, or the stream has ended. */
static size_t answer_read(struct stream *s, unsigned status, const char *accept, const char *refused)
{
	struct opening *o = s->opening;
	for (;;) {
		/* To a proxy we speak first and TLS has not begun: nothing comes behind its header, so that byte by byte is not needed. */
		ssize_t n = o->len < sizeof(o->text) ? read_some(s, o->text + o->len, sizeof(o->text) - o->len) : -EMSGSIZE;
		if (n == -EAGAIN)
			return 0;
		if (n <= 0) {
			stream_end(s, n ? strerror((int)-n) : refused);
			return 0;
		}
		o->len += (size_t)n;
		long header = upgrade_answer(o->text, o->len, status, accept);
		if (header > 0)
			return (size_t)header;
		if (header < 0) {
			stream_end(s, header == -EACCES ? refused : "it does not speak HTTP");
			return 0;
		}
	}
}

static bool talk(struct stream *s)
{
	return s->opening->at == UPGRADE_ANSWER_MAX || request_written(s);
}

static void tls_start(struct stream *s)
{
	int error = tls_new(&s->tls, s->streams->trust, s->fd, s->opening->name);
	if (error)
		stream_end(s, strerror(-error));
	else
		s->state = STREAM_TLS;
}

static void connected(struct stream *s)
{
	int error = 0, on = 1;
	socklen_t len = sizeof(error);
	struct opening *o = s->opening;
	if (getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0 || error) {
		stream_end(s, strerror(error));
		return;
	}
	setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (!o->proxied) {
		tls_start(s);
		return;
	}
	char to[300];
	authority(s, true, to, sizeof(to));
	o->len = upgrade_connect(to, o->text, sizeof(o->text));
	s->state = STREAM_PROXY;
}

static void proxy_talk(struct stream *s)
{
	if (talk(s) && answer_read(s, 200, NULL, "the proxy refuses to connect"))
		tls_start(s);
}

static void shake(struct stream *s)
{
	struct opening *o = s->opening;
	const char *why = "";
	int error = tls_shake(s->tls, &why);
	if (error == -EAGAIN) {
		stream_events(s, tls_wants_write(s->tls) ? EPOLLOUT : EPOLLIN);
		return;
	}
	if (error) {
		stream_end(s, why);
		return;
	}
	why = tls_doubt(s->tls, o->pin_set ? o->pin : NULL);
	if (why)
		stream_doubt(s->streams, &s->at, why);
	char host[300];
	uint8_t nonce[UPGRADE_NONCE];
	random_bytes(nonce, sizeof(nonce));
	authority(s, false, host, sizeof(host));
	o->at = 0;
	o->len = upgrade_request(host, nonce, o->init, o->init_len, o->accept, o->text, sizeof(o->text));
	s->state = STREAM_UPGRADE;
	if (!o->len)
		stream_end(s, "no memory for the request");
}

static void upgrade_talk(struct stream *s)
{
	struct opening *o = s->opening;
	size_t header = talk(s) ? answer_read(s, 101, o->accept, "the answer is that of a web server that does not know us") : 0;
	if (!header)
		return;
	s->opening = NULL;
	stream_opened(s);
	if (s->state == STREAM_OPEN && o->len > header)
		(void)stream_in(s, (const uint8_t *)o->text + header, o->len - header);
	free(o);
}

void dial_continue(struct stream *s)
{
	enum stream_state before;
	do {
		before = s->state;
		switch (before) {
		case STREAM_LOOKUP: dial_start(s); return;
		case STREAM_CONNECT: connected(s); break;
		case STREAM_PROXY: proxy_talk(s); break;
		case STREAM_TLS: shake(s); break;
		case STREAM_UPGRADE: upgrade_talk(s); return;
		case STREAM_OPEN:
		case STREAM_ENDED: return;
		}
	} while (s->state != before);
}
