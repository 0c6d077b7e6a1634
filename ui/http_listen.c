/* http_listen.c: sockets that listen, and libmicrohttpd on them with every bound it knows.
 *
 * TLS is what MHD makes of GnuTLS: 1.2 and 1.3 only, a certificate from memory. Handshakes run on the control thread like the rest; one
 * costs about half a millisecond with the curve our own certificates have, and the connections of one address are few.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proto/base/log.h"
#include "ui/http_parts.h"

#define HEADER_BYTES_MAX (16 * 1024) /* MHD's memory of one connection: request line, headers, write buffer */
#define TLS_PRIORITIES   "SECURE128:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"

int tcp_listen(const struct endpoint *at, struct endpoint *ret_at, const char *option, const char **why)
{
	static char text[160];
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
		snprintf(text, sizeof(text), "%s; choose another with --%s IP:PORT",
		         error == -EADDRINUSE ? "another program listens on that address" : "that address cannot be listened on", option);
		*why = text;
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

struct MHD_Daemon *daemon_start(struct listener *listener, int fd)
{
	const struct http_config *config = &listener->http->config;
	unsigned flags = MHD_USE_EPOLL | MHD_USE_ERROR_LOG | MHD_ALLOW_SUSPEND_RESUME | (listener->tls ? MHD_USE_TLS : 0);
	unsigned connections = config->connections ? config->connections : HTTP_CONNECTIONS_MAX;
	const struct MHD_OptionItem tls[] = {
	    {MHD_OPTION_HTTPS_MEM_CERT, 0, (void *)(uintptr_t)config->tls_chain},
	    {MHD_OPTION_HTTPS_MEM_KEY, 0, (void *)(uintptr_t)config->tls_key},
	    {MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)(uintptr_t)TLS_PRIORITIES},
	    {MHD_OPTION_END, 0, NULL},
	};
	struct MHD_Daemon *daemon = MHD_start_daemon(
	    flags, 0, NULL, NULL, access_handle, listener, MHD_OPTION_EXTERNAL_LOGGER, mhd_log, NULL, MHD_OPTION_LISTEN_SOCKET, fd,
	    MHD_OPTION_CONNECTION_LIMIT, connections, MHD_OPTION_PER_IP_CONNECTION_LIMIT,
	    listener->local || config->one_peer ? 0u : connections / 2, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)HEADER_BYTES_MAX,
	    MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)(HTTP_DEADLINE_MS / 1000), MHD_OPTION_STRICT_FOR_CLIENT, 1,
	    MHD_OPTION_NOTIFY_CONNECTION, connection_notify, listener, MHD_OPTION_NOTIFY_COMPLETED, exchange_end, NULL,
	    MHD_OPTION_URI_LOG_CALLBACK, line_look, NULL, MHD_OPTION_ARRAY, listener->tls ? tls : tls + 3, MHD_OPTION_END);
	if (!daemon)
		close(fd);
	return daemon;
}
