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
#include <limits.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#include "proto/base/log.h"

#define HEADER_BYTES_MAX (16 * 1024) /* MHD's memory of one connection: request line, headers, write buffer */
#define SWEEP_MS         1000

/* What surrounds one listening socket. Handles point back through data. */
struct listener {
	struct http *http;
	struct MHD_Daemon *daemon;
	bool local;
	uv_poll_t poll;
	uv_timer_t timer;
};

struct client { /* one open connection */
	struct client *next, **link;
	struct http *http;
	int fd;
	uint64_t deadline;
	unsigned uid;
	char peer[64];
};

struct http {
	struct http_config config;
	struct endpoint tcp;
	uv_loop_t *loop;
	struct listener listener[2];
	unsigned n_listeners, handles; /* handles not closed yet */
	struct client *clients;
	struct exchange *waiting;
	unsigned n_waiting;
	uv_timer_t sweep;
};

struct exchange {                          /* one request while its body comes, or while its answer waits */
	size_t len, room;                  /* of body; room follows from the headers */
	struct MHD_Connection *connection; /* suspended: link is set */
	struct exchange *next, **link;     /* http.waiting */
	uint64_t until;                    /* when to answer at last; 0 = has not waited yet */
	char body[];
};

/* ---- connections and their deadlines ---- */

static uint64_t deadline_after(const struct http *http)
{
	return uv_now(http->loop) + (http->config.deadline_ms ? http->config.deadline_ms : HTTP_DEADLINE_MS);
}

static struct client *client_of(struct MHD_Connection *connection)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	return info ? info->socket_context : NULL;
}

static void timer_fired(uv_timer_t *timer);

/* MHD serves it in its next turn, which nothing but us would cause. */
static void exchange_resume(struct http *http, struct exchange *exchange)
{
	for (unsigned i = 0; i < http->n_listeners; i++)
		uv_timer_start(&http->listener[i].timer, timer_fired, 0, 0);
	*exchange->link = exchange->next;
	if (exchange->next)
		exchange->next->link = exchange->link;
	exchange->link = NULL;
	http->n_waiting--;
	MHD_resume_connection(exchange->connection);
}

static void exchange_suspend(struct http *http, struct exchange *exchange, struct MHD_Connection *connection)
{
	struct client *client = client_of(connection);
	if (!exchange->until)
		exchange->until = uv_now(http->loop) + (http->config.wait_ms ? http->config.wait_ms : HTTP_WAIT_MS);
	if (client) /* the sweep resumes it long before */
		client->deadline = exchange->until + HTTP_DEADLINE_MS;
	exchange->connection = connection;
	exchange->link = &http->waiting;
	exchange->next = http->waiting;
	if (exchange->next)
		exchange->next->link = &exchange->next;
	http->waiting = exchange;
	http->n_waiting++;
	MHD_suspend_connection(connection);
}

void http_wake(struct http *http)
{
	while (http && http->waiting)
		exchange_resume(http, http->waiting);
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
			exchange_resume(http, exchange);
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

static void connection_notify(void *self, struct MHD_Connection *connection, void **context, enum MHD_ConnectionNotificationCode code)
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
	    {"GET", METHOD_GET}, {"HEAD", METHOD_GET}, {"POST", METHOD_POST}, {"PATCH", METHOD_PATCH}, {"DELETE", METHOD_DELETE},
	};
	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++)
		if (strcmp(name, methods[i].name) == 0)
			return methods[i].method;
	return METHOD_NONE;
}

static void header_add(struct MHD_Response *response, const char *name, const char *value)
{
	if (MHD_add_response_header(response, name, value) != MHD_YES)
		log_warning("http: header %s was refused", name);
}

static enum MHD_Result reply_send(struct MHD_Connection *connection, struct reply *reply)
{
	struct MHD_Response *response;
	struct client *client = client_of(connection);
	if (!reply->status) {
		struct problem problem;
		problem_set(&problem, 500, "no answer", "this request was not answered; that is a bug");
		reply_problem(reply, &problem);
	}
	response =
	    MHD_create_response_from_buffer(reply->body_len, reply->body, reply->owned ? MHD_RESPMEM_MUST_FREE : MHD_RESPMEM_PERSISTENT);
	if (!response) {
		reply_fini(reply);
		return MHD_NO;
	}
	header_add(response, "Content-Security-Policy",
	           "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
	           "frame-ancestors 'none'; base-uri 'none'; form-action 'self'");
	header_add(response, "X-Content-Type-Options", "nosniff");
	header_add(response, "Referrer-Policy", "no-referrer");
	header_add(response, "Cross-Origin-Resource-Policy", "same-origin");
	header_add(response, "Cross-Origin-Opener-Policy", "same-origin");
	header_add(response, "Cache-Control", reply->cacheable ? "no-cache" : "no-store");
	if (reply->type)
		header_add(response, "Content-Type", reply->type);
	if (reply->encoding) {
		header_add(response, "Content-Encoding", reply->encoding);
		header_add(response, "Vary", "Accept-Encoding");
	}
	if (reply->etag[0])
		header_add(response, "ETag", reply->etag);
	if (reply->cookie[0])
		header_add(response, "Set-Cookie", reply->cookie);
	if (reply->allow[0])
		header_add(response, "Allow", reply->allow);
	if (reply->link[0])
		header_add(response, "Link", reply->link);
	if (reply->disposition[0])
		header_add(response, "Content-Disposition", reply->disposition);
	if (reply->retry_after) {
		char seconds[16];
		snprintf(seconds, sizeof(seconds), "%u", reply->retry_after);
		header_add(response, "Retry-After", seconds);
	}
	enum MHD_Result result = MHD_queue_response(connection, reply->status, response);
	MHD_destroy_response(response); /* the queue holds its own reference, and with it the owned body */
	if (client)
		client->deadline = deadline_after(client->http);
	return result;
}

static enum MHD_Result refuse(struct MHD_Connection *connection, unsigned status, const char *title, const char *detail)
{
	struct reply reply = {0};
	struct problem problem;
	problem_set(&problem, status, title, "%s", detail);
	reply_problem(&reply, &problem);
	return reply_send(connection, &reply);
}

static const char *header(struct MHD_Connection *connection, const char *name)
{
	return MHD_lookup_connection_value(connection, MHD_HEADER_KIND, name);
}

static enum MHD_Result argument_note(void *self, enum MHD_ValueKind kind, const char *name, const char *value)
{
	struct request *request = self;
	(void)kind;
	if (request->n_query < QUERY_ARGUMENTS_MAX)
		request->query[request->n_query] = (struct query_argument){.name = name, .value = value ? value : ""};
	request->n_query++; /* one too many is told by the number */
	return request->n_query > QUERY_ARGUMENTS_MAX ? MHD_NO : MHD_YES;
}

/* What the head says. */
static void request_fill(struct request *request, struct MHD_Connection *connection)
{
	const struct client *client = client_of(connection);
	request->host = header(connection, "Host");
	request->origin = header(connection, "Origin");
	request->fetch_site = header(connection, "Sec-Fetch-Site");
	request->cookie = header(connection, "Cookie");
	request->accept = header(connection, "Accept");
	request->accept_encoding = header(connection, "Accept-Encoding");
	request->content_type = header(connection, "Content-Type");
	request->if_match = header(connection, "If-Match");
	request->if_none_match = header(connection, "If-None-Match");
	request->authorization = header(connection, "Authorization");
	request->last_event_id = header(connection, "Last-Event-ID");
	request->passphrase = header(connection, "Farlan-Passphrase");
	request->uid = UINT_MAX;
	if (client) {
		memcpy(request->peer, client->peer, sizeof(request->peer));
		request->uid = client->uid;
	}
	MHD_get_connection_values(connection, MHD_GET_ARGUMENT_KIND, argument_note, request);
}

/* The first call, with the headers: is there a body, and is it small enough to be worth reading? */
static enum MHD_Result exchange_begin(struct MHD_Connection *connection, void **context)
{
	const char *length = header(connection, "Content-Length");
	bool chunked = header(connection, "Transfer-Encoding");
	unsigned long long room = chunked ? REQUEST_BODY_MAX : length ? strtoull(length, NULL, 10) : 0;
	if (room > REQUEST_BODY_MAX)
		return refuse(connection, 413, "body too large", "a request body may have 65536 bytes");
	struct exchange *exchange = calloc(1, sizeof(*exchange) + (size_t)room + 1);
	if (!exchange)
		return MHD_NO;
	exchange->room = (size_t)room;
	*context = exchange;
	return MHD_YES;
}

static enum MHD_Result access_handle(void *self, struct MHD_Connection *connection, const char *url, const char *method,
                                     const char *version, const char *upload, size_t *upload_len, void **context)
{
	const struct listener *listener = self;
	struct http *http = listener->http;
	struct exchange *exchange = *context;
	(void)version;

	if (!exchange)
		return exchange_begin(connection, context);
	if (*upload_len) {
		if (*upload_len > exchange->room - exchange->len)
			return MHD_NO; /* in the middle of a body nothing can be answered: closes */
		memcpy(exchange->body + exchange->len, upload, *upload_len);
		exchange->len += *upload_len;
		*upload_len = 0;
		return MHD_YES;
	}
	struct request request = {
	    .method = method_of(method),
	    .local = listener->local,
	    .path = url,
	    .body = exchange->body,
	    .body_len = exchange->len,
	    .late = exchange->until && uv_now(http->loop) >= exchange->until,
	    .again = exchange->until,
	};
	struct reply reply = {0};
	request_fill(&request, connection);
	if (request.n_query > QUERY_ARGUMENTS_MAX)
		return refuse(connection, 400, "too many arguments", "a query may have 16 arguments");
	http->config.serve(http->config.self, &request, &reply);
	if (reply.wait && !reply.status && request.method == METHOD_GET && !request.late) {
		if (http->n_waiting >= HTTP_WAITING_MAX)
			return refuse(connection, 503, "too many wait", "too many clients wait for answers already");
		exchange_suspend(http, exchange, connection);
		return MHD_YES;
	}
	return reply_send(connection, &reply);
}

static void exchange_end(void *self, struct MHD_Connection *connection, void **context, enum MHD_RequestTerminationCode why)
{
	struct client *client = client_of(connection);
	struct exchange *exchange = *context;
	(void)self;
	(void)why;
	assert(!exchange || !exchange->link);
	free(exchange);
	*context = NULL;
	if (client)
		client->deadline = deadline_after(client->http);
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
	if (MHD_get_timeout(listener->daemon, &wait) == MHD_YES)
		uv_timer_start(&listener->timer, timer_fired, wait, 0);
	else
		uv_timer_stop(&listener->timer);
}

/* ---- listening ---- */

static int tcp_listen(const struct endpoint *at, struct endpoint *ret_at, const char **why)
{
	struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(at->port)};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(at->port)};
	bool is6 = at->family == 6;
	struct sockaddr *address = is6 ? (struct sockaddr *)&v6 : (struct sockaddr *)&v4;
	socklen_t len = is6 ? sizeof(v6) : sizeof(v4);
	int on = 1, error, fd;

	memcpy(&v4.sin_addr, at->ip, 4);
	memcpy(&v6.sin6_addr, at->ip, 16);
	fd = socket(is6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
	    (is6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) < 0) || bind(fd, address, len) < 0 || listen(fd, 64) < 0 ||
	    getsockname(fd, address, &len) < 0) {
		error = -errno;
		*why = error == -EADDRINUSE ? "another program listens on the page's address; choose another with --http IP:PORT"
		                            : "the page's address cannot be listened on; choose another with --http IP:PORT";
		if (fd >= 0)
			close(fd);
		return error;
	}
	*ret_at = *at;
	ret_at->port = ntohs(is6 ? v6.sin6_port : v4.sin_port);
	return fd;
}

static void mhd_log(void *self, const char *format, va_list args)
{
	char line[256], safe[320];
	(void)self;
	vsnprintf(line, sizeof(line), format, args);
	line[strcspn(line, "\n")] = '\0';
	log_debug("http: %s", log_text(safe, sizeof(safe), line, strlen(line)));
}

/* Takes fd. */
static int listener_start(struct http *http, int fd, bool local)
{
	struct listener *listener = &http->listener[http->n_listeners];
	const union MHD_DaemonInfo *info;

	listener->http = http;
	listener->local = local;
	listener->daemon = MHD_start_daemon(MHD_USE_EPOLL | MHD_USE_ERROR_LOG | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL, access_handle,
	                                    listener, MHD_OPTION_EXTERNAL_LOGGER, mhd_log, NULL, MHD_OPTION_LISTEN_SOCKET, fd,
	                                    MHD_OPTION_CONNECTION_LIMIT, (unsigned)HTTP_CONNECTIONS_MAX, MHD_OPTION_PER_IP_CONNECTION_LIMIT,
	                                    local ? 0u : (unsigned)HTTP_CONNECTIONS_PER_IP_MAX, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
	                                    (size_t)HEADER_BYTES_MAX, MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)(HTTP_DEADLINE_MS / 1000),
	                                    MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_NOTIFY_CONNECTION, connection_notify, listener,
	                                    MHD_OPTION_NOTIFY_COMPLETED, exchange_end, NULL, MHD_OPTION_END);
	if (!listener->daemon) {
		close(fd);
		return -ENOMEM;
	}
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

int http_new(struct http **ret, struct uv_loop_s *loop, const struct http_config *config, const char **ret_why)
{
	struct http *http = calloc(1, sizeof(*http));
	int fd, error;

	*ret_why = "out of memory";
	if (!http) {
		if (config->unix_fd >= 0)
			close(config->unix_fd);
		return -ENOMEM;
	}
	http->config = *config;
	http->loop = loop;
	uv_timer_init(loop, &http->sweep);
	http->sweep.data = http;
	http->handles = 1;
	if (config->unix_fd >= 0) {
		error = listener_start(http, config->unix_fd, true);
		if (error)
			goto bad;
	}
	if (config->tcp) {
		error = fd = tcp_listen(config->tcp, &http->tcp, ret_why);
		if (fd < 0)
			goto bad;
		error = listener_start(http, fd, false);
		if (error)
			goto bad;
	}
	*ret = http;
	return 0;
bad:
	http_free(http);
	return error;
}

static void handle_closed(uv_handle_t *handle)
{
	struct http *http = handle->data;
	if (--http->handles)
		return;
	free(http);
}

void http_free(struct http *http)
{
	if (!http)
		return;
	http_wake(http); /* MHD does not end while a connection is suspended */
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
