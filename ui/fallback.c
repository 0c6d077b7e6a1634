/* fallback.c: libmicrohttpd with TLS and upgrades, turned by a thread of its own.
 *
 * The thread polls MHD's epoll set as http.c does, with two differences: handshakes are work, so they are not the control thread's, and
 * connections may be handed over. What is handed over is one end of a pair of sockets; MHD goes on to encrypt between the other end and TCP,
 * here. A visitor has one deadline from its first byte to the upgrade, since MHD's own counts idle time only and would let one live for ever who
 * sends a byte now and then; who got a page is let go at once. The streams' thread gives connections back by a list, for MHD is asked on
 * this thread alone.
 */
#include "ui/fallback.h"

#include <errno.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "node/stream_upgrade.h"
#include "node/thread.h"
#include "proto/base/log.h"
#include "proto/gate.h"
#include "proto/wire.h"

#define PRIORITIES       "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"
#define MEMORY_BYTES     (32 * 1024) /* MHD's of one connection: header, then what it carries after the upgrade */
#define DESCRIPTORS_EACH 3           /* TCP and the pair */
#define DESCRIPTORS_KEPT 512         /* for everything else */
#define BACKLOG          256
#define PIPE_BYTES       (32 * 1024) /* our end of the pair: as TCP_NOTSENT_LOWAT, what waits unsent */
#define LOWAT_BYTES      (32 * 1024)
#define USER_TIMEOUT_MS  10000

struct visitor { /* one connection */
	struct visitor *next, **link;
	struct visitor *back; /* of those to be closed */
	struct fallback_server *server;
	int fd;
	uint64_t deadline; /* UINT64_MAX once upgraded */
	struct endpoint from;
	struct MHD_UpgradeResponseHandle *upgraded;
	size_t init_len;
	uint8_t *init; /* between request and upgrade */
};

struct fallback_server {
	struct MHD_Daemon *daemon;
	struct MHD_Response *nothing; /* the 404 page */
	struct gate gate;
	uint16_t port;
	uint32_t deadline_ms;
	pthread_t thread;
	bool runs;
	int wake;
	atomic_bool stopped;
	struct visitor *visitors; /* the thread's */
	pthread_mutex_t lock;     /* of the next two */
	struct streams *streams;  /* NULL: closed */
	struct visitor *backs;
};

static uint64_t clock_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void wake(const struct fallback_server *s)
{
	uint64_t one = 1;
	(void)!write(s->wake, &one, sizeof(one)); /* a full counter wakes as well */
}

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

static void visitor_gone(struct visitor *v)
{
	*v->link = v->next;
	if (v->next)
		v->next->link = v->link;
	free(v->init);
	free(v);
}

static void connection_notify(void *self, struct MHD_Connection *connection, void **context, enum MHD_ConnectionNotificationCode code)
{
	struct fallback_server *s = self;
	if (code == MHD_CONNECTION_NOTIFY_CLOSED && *context) {
		visitor_gone(*context);
		*context = NULL;
	}
	if (code != MHD_CONNECTION_NOTIFY_STARTED)
		return;
	const union MHD_ConnectionInfo *fd = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
	int connected = fd ? fd->connect_fd : -1;
	const union MHD_ConnectionInfo *from = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	struct visitor *v = calloc(1, sizeof(*v));
	if (!v || connected < 0 || !from) { /* it could not be watched, so it must not stay */
		if (connected >= 0)
			shutdown(connected, SHUT_RDWR);
		free(v);
		return;
	}
	*v = (struct visitor){
	    .next = s->visitors, .link = &s->visitors, .server = s, .fd = connected, .deadline = clock_ms() + s->deadline_ms};
	endpoint_of(from->client_addr, &v->from);
	if (v->next)
		v->next->link = &v->next;
	s->visitors = v;
	*context = v;
}

/* Shuts those that are late; MHD sees the end of the stream and cleans up. Returns the next deadline. */
static uint64_t sweep(const struct fallback_server *s, uint64_t now)
{
	uint64_t at = UINT64_MAX;
	for (struct visitor *v = s->visitors; v; v = v->next) {
		if (now >= v->deadline) {
			shutdown(v->fd, SHUT_RDWR);
			v->deadline = UINT64_MAX;
		}
		if (v->deadline < at)
			at = v->deadline;
	}
	return at;
}

/* ---- the way back from the streams' thread ----------------------------------------------------------------------- */

static void stream_done(void *self)
{
	struct visitor *v = self;
	struct fallback_server *s = v->server;
	pthread_mutex_lock(&s->lock);
	v->back = s->backs;
	s->backs = v;
	pthread_mutex_unlock(&s->lock);
	wake(s);
}

static void backs_close(struct fallback_server *s)
{
	pthread_mutex_lock(&s->lock);
	struct visitor *v = s->backs;
	s->backs = NULL;
	pthread_mutex_unlock(&s->lock);
	for (struct visitor *next; v; v = next) {
		next = v->back;
		MHD_upgrade_action(v->upgraded, MHD_UPGRADE_ACTION_CLOSE);
	}
}

/* ---- requests ---------------------------------------------------------------------------------------------------- */

static void option(int fd, int level, int name, int value)
{
	(void)setsockopt(fd, level, name, &value, sizeof(value));
}

static void upgraded(void *self, struct MHD_Connection *connection, void *context, const char *extra, size_t extra_len, MHD_socket sock,
                     struct MHD_UpgradeResponseHandle *handle)
{
	struct visitor *v = self;
	struct fallback_server *s = v->server;
	(void)connection;
	(void)context;
	v->upgraded = handle;
	v->deadline = UINT64_MAX;
	option(v->fd, IPPROTO_TCP, TCP_NODELAY, 1);
	option(v->fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, LOWAT_BYTES);
	option(v->fd, IPPROTO_TCP, TCP_USER_TIMEOUT, USER_TIMEOUT_MS);
	option(sock, SOL_SOCKET, SO_SNDBUF, PIPE_BYTES);
	const struct stream_accepted stream = {
	    .from = v->from,
	    .fd = sock,
	    .done = stream_done,
	    .done_self = v,
	    .init = v->init,
	    .init_len = v->init_len,
	    .early = (const uint8_t *)extra,
	    .early_len = extra_len,
	};
	pthread_mutex_lock(&s->lock);
	bool taken = s->streams && streams_accept(s->streams, &stream);
	pthread_mutex_unlock(&s->lock);
	free(v->init);
	v->init = NULL;
	if (!taken)
		stream_done(v);
}

static const char *header(struct MHD_Connection *connection, const char *name)
{
	const char *value = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, name);
	return value ? value : "";
}

/* The answer to a node's knock, or NULL. */
static struct MHD_Response *upgrade_of(struct visitor *v, struct MHD_Connection *connection, const char *url, const char *method)
{
	char accept[UPGRADE_ACCEPT];
	uint8_t init[INIT_MAX];
	size_t len = upgrade_path(url, init, sizeof(init));
	if (!len || !gate_check(&v->server->gate, init, len) || strcmp(method, "GET") != 0 || v->init)
		return NULL;
	if (strcasecmp(header(connection, "Upgrade"), "websocket") != 0 || !strcasestr(header(connection, "Connection"), "upgrade") ||
	    strcmp(header(connection, "Sec-WebSocket-Version"), "13") != 0 ||
	    !upgrade_accept(header(connection, "Sec-WebSocket-Key"), accept))
		return NULL;
	struct MHD_Response *response = MHD_create_response_for_upgrade(upgraded, v);
	uint8_t *kept = response ? malloc(len) : NULL;
	if (!kept || MHD_add_response_header(response, "Upgrade", "websocket") != MHD_YES ||
	    MHD_add_response_header(response, "Sec-WebSocket-Accept", accept) != MHD_YES) {
		free(kept);
		if (response)
			MHD_destroy_response(response);
		return NULL;
	}
	memcpy(kept, init, len);
	v->init = kept;
	v->init_len = len;
	return response;
}

static enum MHD_Result access_handle(void *self, struct MHD_Connection *connection, const char *url, const char *method,
                                     const char *version, const char *upload, size_t *upload_len, void **context)
{
	static char seen; /* its address marks a request whose header was seen */
	struct fallback_server *s = self;
	(void)version;
	(void)upload;
	if (!*context) {
		*context = &seen;
		return MHD_YES;
	}
	if (*upload_len) { /* a body is of no interest, but who sends one gets his page */
		*upload_len = 0;
		return MHD_YES;
	}
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	struct visitor *v = info ? info->socket_context : NULL;
	struct MHD_Response *upgrade = v ? upgrade_of(v, connection, url, method) : NULL;
	if (!upgrade)
		return MHD_queue_response(connection, MHD_HTTP_NOT_FOUND, s->nothing);
	enum MHD_Result result = MHD_queue_response(connection, MHD_HTTP_SWITCHING_PROTOCOLS, upgrade);
	MHD_destroy_response(upgrade);
	return result;
}

/* ---- the thread -------------------------------------------------------------------------------------------------- */

static unsigned connections(const struct fallback_server *s)
{
	const union MHD_DaemonInfo *info = MHD_get_daemon_info(s->daemon, MHD_DAEMON_INFO_CURRENT_CONNECTIONS);
	return info ? info->num_connections : 0;
}

static void turn(struct fallback_server *s)
{
	unsigned before = connections(s);
	MHD_run(s->daemon);
	/* At its limit MHD stops listening and begins again only when it is run once more (http.c). */
	if (connections(s) < before)
		MHD_run(s->daemon);
}

static int wait_ms(const struct fallback_server *s, uint64_t deadline)
{
	MHD_UNSIGNED_LONG_LONG mhd;
	uint64_t now = clock_ms(), ms = deadline == UINT64_MAX ? UINT64_MAX : deadline > now ? deadline - now : 0;
	if (MHD_get_timeout(s->daemon, &mhd) == MHD_YES && mhd < ms)
		ms = mhd;
	return ms == UINT64_MAX ? -1 : ms > 60000 ? 60000 : (int)ms;
}

static void *server_run(void *self)
{
	struct fallback_server *s = self;
	const union MHD_DaemonInfo *info = MHD_get_daemon_info(s->daemon, MHD_DAEMON_INFO_EPOLL_FD);
	struct pollfd fds[2] = {{.fd = info->epoll_fd, .events = POLLIN}, {.fd = s->wake, .events = POLLIN}};
	uint64_t deadline = UINT64_MAX, count;
	while (!atomic_load(&s->stopped)) {
		(void)poll(fds, 2, wait_ms(s, deadline));
		if (read(s->wake, &count, sizeof(count)) > 0)
			backs_close(s);
		turn(s);
		deadline = sweep(s, clock_ms());
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

static void mhd_log(void *self, const char *format, va_list args)
{
	char line[256], safe[320];
	(void)self;
	vsnprintf(line, sizeof(line), format, args);
	line[strcspn(line, "\n")] = '\0';
	log_debug("tls: %s", log_text(safe, sizeof(safe), line, strlen(line)));
}

/* As many as there are descriptors for: an accept that fails for the want of one would be tried again without end. */
static unsigned connections_most(void)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur <= DESCRIPTORS_KEPT + DESCRIPTORS_EACH)
		return 64;
	rlim_t most = (limit.rlim_cur - DESCRIPTORS_KEPT) / DESCRIPTORS_EACH;
	return most < STREAMS_ACCEPTED_MAX ? (unsigned)most : STREAMS_ACCEPTED_MAX;
}

static struct MHD_Response *page_make(void)
{
	static const char page[] = "<html>\r\n<head><title>404 Not Found</title></head>\r\n<body>\r\n<center><h1>404 Not "
				   "Found</h1></center>\r\n</body>\r\n</html>\r\n";
	struct MHD_Response *r = MHD_create_response_from_buffer(sizeof(page) - 1, (void *)(uintptr_t)page, MHD_RESPMEM_PERSISTENT);
	if (r && (MHD_add_response_header(r, "Content-Type", "text/html") != MHD_YES ||
	          MHD_add_response_header(r, "Connection", "close") != MHD_YES)) {
		MHD_destroy_response(r);
		return NULL;
	}
	return r;
}

int fallback_open(struct fallback_server **ret, const struct fallback_config *config, char why[FALLBACK_WHY])
{
	struct fallback_server *s = calloc(1, sizeof(*s));
	int fd, error = -ENOMEM;
	snprintf(why, FALLBACK_WHY, "no memory for the TLS port");
	if (!s)
		return error;
	s->wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	s->streams = config->streams;
	s->deadline_ms = config->deadline_ms ? config->deadline_ms : FALLBACK_DEADLINE_MS;
	pthread_mutex_init(&s->lock, NULL);
	gate_derive(&s->gate, config->key_hash, config->gate_secret);
	s->nothing = page_make();
	if (s->wake < 0 || !s->nothing)
		goto bad;
	error = fd = listen_on(&config->at, &s->port, why);
	if (fd < 0)
		goto bad;
	s->daemon = MHD_start_daemon(
	    MHD_USE_EPOLL | MHD_USE_TLS | MHD_ALLOW_UPGRADE | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG, 0, NULL, NULL, access_handle, s,
	    MHD_OPTION_EXTERNAL_LOGGER, mhd_log, NULL, MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_HTTPS_MEM_KEY, config->certificate->key,
	    MHD_OPTION_HTTPS_MEM_CERT, config->certificate->chain, MHD_OPTION_HTTPS_PRIORITIES, PRIORITIES, MHD_OPTION_CONNECTION_LIMIT,
	    connections_most(), MHD_OPTION_PER_IP_CONNECTION_LIMIT, (unsigned)FALLBACK_PER_ADDRESS, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
	    (size_t)MEMORY_BYTES, MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_NOTIFY_CONNECTION, connection_notify, s, MHD_OPTION_END);
	if (!s->daemon) {
		close(fd);
		error = -EINVAL;
		snprintf(why, FALLBACK_WHY, "the TLS port cannot be served with this certificate; look at tls-cert and tls-key");
		goto bad;
	}
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

void fallback_close(struct fallback_server *s)
{
	if (!s)
		return;
	pthread_mutex_lock(&s->lock);
	s->streams = NULL;
	pthread_mutex_unlock(&s->lock);
}

void fallback_free(struct fallback_server *s)
{
	if (!s)
		return;
	if (s->runs) {
		atomic_store(&s->stopped, true);
		wake(s);
		pthread_join(s->thread, NULL);
	}
	backs_close(s); /* all of them: the streams have ended */
	if (s->daemon) {
		turn(s);
		MHD_stop_daemon(s->daemon);
	}
	if (s->nothing)
		MHD_destroy_response(s->nothing);
	if (s->wake >= 0)
		close(s->wake);
	gate_fini(&s->gate);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

uint16_t fallback_port(const struct fallback_server *s)
{
	return s->port;
}
