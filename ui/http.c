/* http.c: one libmicrohttpd daemon for each listening socket, without a thread of its own.
 *
 * MHD keeps its sockets in an epoll set; that set's descriptor is itself pollable, so one uv_poll per daemon tells when
 * MHD_run() has work, and one uv_timer stands for MHD_get_timeout(). MHD_run() is called from those two callbacks only.
 *
 * MHD's own connection timeout counts idle time and so lets a client live for ever that sends one byte in a while. Here each
 * connection has one deadline: a whole request must have come HTTP_DEADLINE_MS after the connection opened or after
 * the last reply left, and a reply must have been read HTTP_DEADLINE_MS after it was queued. A sweep once a second shuts
 * sockets that are late; MHD then sees the end of the stream and cleans up, so ownership never leaves it. Header bytes are
 * bounded by MHD's memory limit per connection, bodies by REQUEST_BODY_MAX.
 *
 * A handler that has nothing to say yet leaves its connection suspended: MHD forgets it until http_wake() or the sweep resumes it,
 * and then asks again as if the request had just come. Who hung up meanwhile is noticed then, HTTP_WAIT_MS later at most.
 */
#include "ui/http.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proto/base/log.h"
#include "ui/http_parts.h"

#define SWEEP_MS    1000
#define UPLOADS_MAX 2  /* at once */
#define ROUNDS_MAX  16 /* of MHD in a turn */

/* ---- connections and their deadlines ---- */

uint64_t deadline_after(const struct http *http)
{
	return uv_now(http->loop) + (http->config.deadline_ms ? http->config.deadline_ms : HTTP_DEADLINE_MS);
}

struct client *client_of(struct MHD_Connection *connection)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	return info ? info->socket_context : NULL;
}

static void timer_fired(uv_timer_t *timer);

/* MHD serves it in its next turn, which nothing but us would cause. */
static void exchange_resume(struct exchange *exchange)
{
	struct http *http = exchange->http;
	for (unsigned i = 0; i < http->n_listeners; i++)
		uv_timer_start(&http->listener[i].timer, timer_fired, 0, 0);
	*exchange->link = exchange->next;
	if (exchange->next)
		exchange->next->link = exchange->link;
	exchange->link = NULL;
	http->n_waiting -= exchange->waits;
	exchange->waits = false;
	MHD_resume_connection(exchange->connection);
}

void exchange_suspend(struct exchange *exchange, uint64_t until)
{
	struct http *http = exchange->http;
	struct client *client = client_of(exchange->connection);
	exchange->until = until;
	if (client) /* the sweep resumes it long before */
		client->deadline = until > UINT64_MAX - HTTP_DEADLINE_MS ? UINT64_MAX : until + HTTP_DEADLINE_MS;
	exchange->link = &http->waiting;
	exchange->next = http->waiting;
	if (exchange->next)
		exchange->next->link = &exchange->next;
	http->waiting = exchange;
	MHD_suspend_connection(exchange->connection);
}

static void work_ended(void *self)
{
	struct exchange *exchange = self;
	if (exchange->link)
		exchange_resume(exchange);
}

static void wake(struct http *http, bool all)
{
	for (struct exchange *exchange = http->waiting, *next; exchange; exchange = next) {
		next = exchange->next;
		if (all || !work_running(&exchange->work))
			exchange_resume(exchange);
	}
}

void http_wake(struct http *http)
{
	if (http)
		wake(http, false);
}

static void sweep_fired(uv_timer_t *timer)
{
	struct http *http = timer->data;
	uint64_t now = uv_now(http->loop);
	if (!http->clients)
		uv_timer_stop(timer);
	for (struct exchange *exchange = http->waiting, *next; exchange; exchange = next) {
		next = exchange->next;
		if (now >= exchange->until)
			exchange_resume(exchange);
	}
	for (const struct client *client = http->clients; client; client = client->next)
		if (now >= client->deadline)
			shutdown(client->fd, SHUT_RDWR);
}

/* Who is at the other end, for the audit and for what one of them may cost. */
static void peer_name(struct client *client)
{
	struct sockaddr_storage at = {0};
	socklen_t len = sizeof(at);
	struct ucred who;
	client->uid = UINT_MAX;
	if (getpeername(client->fd, (struct sockaddr *)&at, &len) < 0)
		return;
	if (at.ss_family == AF_INET) {
		inet_ntop(AF_INET, &((struct sockaddr_in *)&at)->sin_addr, client->peer, sizeof(client->peer));
	} else if (at.ss_family == AF_INET6) {
		inet_ntop(AF_INET6, &((struct sockaddr_in6 *)&at)->sin6_addr, client->peer, sizeof(client->peer));
	} else {
		len = sizeof(who);
		if (getsockopt(client->fd, SOL_SOCKET, SO_PEERCRED, &who, &len) < 0)
			return;
		client->uid = who.uid;
		snprintf(client->peer, sizeof(client->peer), "uid %u", who.uid);
	}
}

void connection_notify(void *self, struct MHD_Connection *connection, void **context, enum MHD_ConnectionNotificationCode code)
{
	struct listener *listener = self;
	struct http *http = listener->http;
	struct client *client = *context;

	if (code == MHD_CONNECTION_NOTIFY_CLOSED && client) {
		*client->link = client->next;
		if (client->next)
			client->next->link = client->link;
		free(client);
		*context = NULL;
	}
	if (code != MHD_CONNECTION_NOTIFY_STARTED)
		return;
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
	client = calloc(1, sizeof(*client));
	if (!client || !info) { /* it could not be watched, so it must not stay */
		if (info)
			shutdown(info->connect_fd, SHUT_RDWR);
		free(client);
		return;
	}
	*client = (struct client){
	    .next = http->clients, .link = &http->clients, .http = http, .fd = info->connect_fd, .deadline = deadline_after(http)};
	peer_name(client);
	if (client->next)
		client->next->link = &client->next;
	else
		uv_timer_start(&http->sweep, sweep_fired, SWEEP_MS, SWEEP_MS);
	http->clients = client;
	*context = client;
}

/* ---- one exchange ---- */

static enum method method_of(const char *name)
{
	static const struct {
		const char *name;
		enum method method;
	} methods[] = {
	    {"GET", METHOD_GET},     {"HEAD", METHOD_GET},      {"POST", METHOD_POST},
	    {"PATCH", METHOD_PATCH}, {"DELETE", METHOD_DELETE}, {"PUT", METHOD_PUT},
	};
	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++)
		if (strcmp(name, methods[i].name) == 0)
			return methods[i].method;
	return METHOD_NONE;
}

static enum MHD_Result refuse(struct MHD_Connection *connection, struct http *http, unsigned status, const char *title, const char *detail)
{
	struct reply reply = {0};
	struct problem problem;
	problem_set(&problem, status, title, "%s", detail);
	reply_problem(&reply, &problem);
	return reply_send(connection, http, NULL, &reply);
}

static enum MHD_Result length_count(void *self, enum MHD_ValueKind kind, const char *name, const char *value)
{
	unsigned *lengths = self;
	(void)kind;
	(void)value;
	*lengths += !strcasecmp(name, "Content-Length") || !strcasecmp(name, "Transfer-Encoding");
	return MHD_YES;
}

/* A body of two lengths ends at one for us and at the other for a proxy before us, and what is between is a request that nobody
 * looked at (RFC 9112, 6.3 and 11.2). */
static bool length_doubtful(struct MHD_Connection *connection)
{
	unsigned lengths = 0;
	MHD_get_connection_values(connection, MHD_HEADER_KIND, length_count, &lengths);
	return lengths > 1;
}

static bool file_open(struct exchange *exchange, const char *folder)
{
	char name[1200];
	exchange->fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (exchange->fd < 0) { /* not on every file system */
		snprintf(name, sizeof(name), "%s/upload.XXXXXX", folder);
		exchange->fd = mkostemp(name, O_CLOEXEC);
		if (exchange->fd >= 0)
			unlink(name);
	}
	if (exchange->fd > 0)
		return true;
	exchange->fd = 0;
	return false;
}

/* The first call, with the headers: is there a body, and is it small enough to be worth reading? One that is meant for a file is
 * asked for before it is read: a stranger's would fill the disk. */
static enum MHD_Result exchange_begin(struct http *http, struct MHD_Connection *connection, struct request *request, void **context)
{
	const char *length = head_line(connection, "Content-Length");
	bool chunked = head_line(connection, "Transfer-Encoding");
	unsigned long long room = chunked ? REQUEST_BODY_MAX : length ? strtoull(length, NULL, 10) : 0;
	struct reply reply = {0};
	uint64_t spill = 0;

	if (length_doubtful(connection))
		return refuse(connection, http, 400, "two lengths", "a request has one Content-Length or Transfer-Encoding");
	if (room && http->config.upload) {
		request_fill(request, connection);
		if (request->n_query > QUERY_ARGUMENTS_MAX)
			request->n_query = 0; /* refused later */
		spill = http->config.upload(http->config.self, request, &reply);
		if (reply.status)
			return reply_send(connection, http, NULL, &reply);
	}
	if (!spill && room > REQUEST_BODY_MAX)
		return refuse(connection, http, 413, "body too large", "a request body may have 65536 bytes");
	if (spill && room > spill)
		return refuse(connection, http, 413, "file too large", "this is more than the controller takes");
	if (spill && http->n_uploads == UPLOADS_MAX)
		return refuse(connection, http, 503, "busy", "two files are coming in already");
	struct exchange *exchange = calloc(1, sizeof(*exchange) + (spill ? 0 : (size_t)room) + 1);
	if (!exchange)
		return MHD_NO;
	exchange->http = http;
	exchange->room = spill ? 0 : (size_t)room;
	exchange->work = (struct work_slot){.works = &http->works, .wake = work_ended, .self = exchange};
	if (spill && !file_open(exchange, http->config.upload_folder)) {
		free(exchange);
		return refuse(connection, http, 503, "no file", "the controller cannot make a file in its folder; see its disk");
	}
	exchange->spill = spill;
	http->n_uploads += spill > 0;
	*context = exchange;
	return MHD_YES;
}

/* MHD_NO: in the middle of a body nothing can be answered, and the connection closes. */
static enum MHD_Result exchange_take(struct exchange *exchange, struct MHD_Connection *connection, const char *bytes, size_t len)
{
	struct client *client = client_of(connection);
	if (!exchange->spill) {
		if (len > exchange->room - exchange->len)
			return MHD_NO;
		memcpy(exchange->body + exchange->len, bytes, len);
	} else {
		if (len > exchange->spill - exchange->len || write(exchange->fd, bytes, len) != (ssize_t)len)
			return MHD_NO;
		if (client) /* a file takes its time, each piece of it does not */
			client->deadline = deadline_after(exchange->http);
	}
	exchange->len += len;
	return MHD_YES;
}

static enum MHD_Result exchange_serve(struct exchange *exchange, struct MHD_Connection *connection, struct request *request)
{
	struct http *http = exchange->http;
	struct reply reply = {0};
	request_fill(request, connection);
	request->body = exchange->body;
	request->body_len = exchange->len;
	request->body_fd = exchange->fd;
	request->late = exchange->until && uv_now(http->loop) >= exchange->until;
	request->again = exchange->until;
	request->work = &exchange->work;
	if (request->n_query > QUERY_ARGUMENTS_MAX)
		return refuse(connection, http, 400, "too many arguments", "a query may have 16 arguments");
	http->config.serve(http->config.self, request, &reply);
	exchange->connection = connection;
	if (work_running(&exchange->work) && !reply.status) {
		exchange_suspend(exchange, UINT64_MAX);
		return MHD_YES;
	}
	if (!reply.wait || reply.status || request->method != METHOD_GET || request->late)
		return reply_send(connection, http, exchange, &reply);
	if (http->n_waiting >= HTTP_WAITING_MAX)
		return refuse(connection, http, 503, "too many wait", "too many clients wait for answers already");
	exchange->waits = true;
	http->n_waiting++;
	uint64_t until = uv_now(http->loop) + (http->config.wait_ms ? http->config.wait_ms : HTTP_WAIT_MS);
	exchange_suspend(exchange, exchange->until ? exchange->until : until);
	return MHD_YES;
}

/* An escaped NUL would end a path or a value before its end: what the rights were asked for and what the sender wrote were two things.
 * Unescaping loses it, so the line is looked at as it came; MHD hands what is returned here to access_handle as the context. */
static char nul_escaped;

void *line_look(void *self, const char *line, struct MHD_Connection *connection)
{
	(void)self;
	(void)connection;
	return strstr(line, "%00") ? &nul_escaped : NULL;
}

enum MHD_Result access_handle(void *self, struct MHD_Connection *connection, const char *url, const char *method, const char *version,
                              const char *upload, size_t *upload_len, void **context)
{
	const struct listener *listener = self;
	struct exchange *exchange = *context;
	struct request request = {
	    .method = method_of(method), .local = listener->local, .tls = listener->tls, .path = url, .body = "", .uid = UINT_MAX};
	(void)version;

	if (*context == &nul_escaped) {
		*context = NULL;
		return refuse(connection, listener->http, 400, "a zero byte", "a path or a query has no zero byte, escaped or not");
	}
	if (!exchange)
		return exchange_begin(listener->http, connection, &request, context);
	if (!*upload_len)
		return exchange_serve(exchange, connection, &request);
	enum MHD_Result taken = exchange_take(exchange, connection, upload, *upload_len);
	*upload_len = 0;
	return taken;
}

void exchange_end(void *self, struct MHD_Connection *connection, void **context, enum MHD_RequestTerminationCode why)
{
	struct client *client = client_of(connection);
	struct exchange *exchange = *context == &nul_escaped ? NULL : *context; /* it may end before it is served */
	(void)self;
	(void)why;
	*context = NULL;
	if (client)
		client->deadline = deadline_after(client->http);
	if (!exchange)
		return;
	assert(!exchange->link);
	work_drop(&exchange->work);
	exchange->http->n_uploads -= exchange->spill > 0;
	if (exchange->fd)
		close(exchange->fd);
	explicit_bzero(exchange->body, exchange->room); /* passwords, too */
	free(exchange);
}

/* ---- turning ---- */

static void listener_turn(struct listener *listener);

static void timer_fired(uv_timer_t *timer)
{
	listener_turn(timer->data);
}

static void poll_fired(uv_poll_t *poll, int status, int events)
{
	(void)status;
	(void)events;
	listener_turn(poll->data);
}

static unsigned connections(const struct listener *listener)
{
	const union MHD_DaemonInfo *info = MHD_get_daemon_info(listener->daemon, MHD_DAEMON_INFO_CURRENT_CONNECTIONS);
	return info ? info->num_connections : 0;
}

static void listener_turn(struct listener *listener)
{
	MHD_UNSIGNED_LONG_LONG wait;
	unsigned before = connections(listener);
	MHD_run(listener->daemon);
	/* At its limit MHD takes the listening socket out of its set and puts it back only when it is run the next time, which
	 * nothing would cause if the last connections just ended: those who wait in the backlog would wait for ever. */
	if (connections(listener) < before)
		MHD_run(listener->daemon);
	/* A long reply is ready again as soon as a piece has left: a few of them in a turn, since a turn costs more than a piece. */
	for (unsigned i = 0; i < ROUNDS_MAX && MHD_get_timeout(listener->daemon, &wait) == MHD_YES && !wait; i++)
		MHD_run(listener->daemon);
	if (MHD_get_timeout(listener->daemon, &wait) == MHD_YES)
		uv_timer_start(&listener->timer, timer_fired, wait, 0);
	else
		uv_timer_stop(&listener->timer);
}

/* ---- listening ---- */

/* Takes fd. */
static int listener_start(struct http *http, int fd, bool local, bool tls)
{
	struct listener *listener = &http->listener[http->n_listeners];
	const union MHD_DaemonInfo *info;

	*listener = (struct listener){.http = http, .local = local, .tls = tls};
	listener->daemon = daemon_start(listener, fd);
	if (!listener->daemon)
		return tls ? -EPROTO : -ENOMEM;
	info = MHD_get_daemon_info(listener->daemon, MHD_DAEMON_INFO_EPOLL_FD);
	assert(info && info->epoll_fd >= 0);
	listener->poll.data = listener->timer.data = listener;
	uv_timer_init(http->loop, &listener->timer);
	int error = uv_poll_init(http->loop, &listener->poll, info->epoll_fd);
	assert(error == 0);
	uv_poll_start(&listener->poll, UV_READABLE, poll_fired);
	http->handles += 2;
	http->n_listeners++;
	return 0;
}

/* The memory goes with the last handle and the last job. */
static void let_go(struct http *http)
{
	if (!http->handles && !http->works.running)
		free(http);
}

static void job_ended(void *self)
{
	let_go(self);
}

static int listeners_start(struct http *http, const char **why)
{
	const struct http_config *config = &http->config;
	int fd, error = 0;
	if (config->unix_fd >= 0)
		error = listener_start(http, config->unix_fd, true, false);
	if (!error && config->tcp) {
		fd = tcp_listen(config->tcp, &http->tcp, config->option ? config->option : "http", why);
		error = fd < 0 ? fd : listener_start(http, fd, false, false);
	}
	if (!error && config->tcp && config->tcp_also) {
		struct endpoint also = *config->tcp_also;
		also.port = also.port ? also.port : http->tcp.port;
		fd = tcp_listen(&also, &http->tcp_also, config->option ? config->option : "http", why);
		bool none = fd == -EAFNOSUPPORT || fd == -EADDRNOTAVAIL;
		error = none ? 0 : fd < 0 ? fd : listener_start(http, fd, false, false);
	}
	if (!error && config->tls) {
		fd = tcp_listen(config->tls, &http->tls, "https", why);
		error = fd < 0 ? fd : listener_start(http, fd, false, true);
		if (error == -EPROTO)
			*why = "TLS does not start with this certificate and key";
	}
	return error;
}

int http_new(struct http **ret, struct uv_loop_s *loop, const struct http_config *config, const char **ret_why)
{
	struct http *http = calloc(1, sizeof(*http));

	*ret_why = "out of memory";
	if (!http) {
		if (config->unix_fd >= 0)
			close(config->unix_fd);
		return -ENOMEM;
	}
	http->config = *config;
	http->loop = loop;
	http->works = (struct works){.loop = loop, .ended = job_ended, .self = http};
	uv_timer_init(loop, &http->sweep);
	http->sweep.data = http;
	http->handles = 1;
	int error = listeners_start(http, ret_why);
	if (error)
		http_free(http);
	else
		*ret = http;
	return error;
}

static void handle_closed(uv_handle_t *handle)
{
	struct http *http = handle->data;
	http->handles--;
	let_go(http);
}

void http_free(struct http *http)
{
	if (!http)
		return;
	wake(http, true); /* MHD does not end while a connection is suspended */
	for (unsigned i = 0; i < http->n_listeners; i++) {
		struct listener *listener = &http->listener[i];
		uv_poll_stop(&listener->poll); /* before MHD closes the descriptor it watches */
		listener->poll.data = listener->timer.data = http;
		uv_close((uv_handle_t *)&listener->poll, handle_closed);
		uv_close((uv_handle_t *)&listener->timer, handle_closed);
		MHD_stop_daemon(listener->daemon);
	}
	uv_close((uv_handle_t *)&http->sweep, handle_closed);
}

struct endpoint http_tcp(const struct http *http)
{
	return http->tcp;
}

struct endpoint http_tcp_also(const struct http *http)
{
	return http->tcp_also;
}

struct endpoint http_tls(const struct http *http)
{
	return http->tls;
}

uint64_t http_answers(const struct http *http, unsigned status)
{
	return status < HTTP_STATUS_END ? http->answers[status] : 0;
}
