/* http.h: HTTP/1.1 for both daemons: libmicrohttpd turned by libuv, on a unix socket and perhaps a TCP address.
 *
 * Control thread only; never blocks, makes no thread. It bounds what a client can cost: connections, header and body bytes,
 * and the time for one whole request and for reading one whole reply. serve() is called once for each complete request
 * and fills the reply at once.
 */
#ifndef FARLAN_UI_HTTP_H
#define FARLAN_UI_HTTP_H

#include "proto/base/batch.h"
#include "ui/api.h"

#define HTTP_CONNECTIONS_MAX        64                         /* per listening socket, unless the config says otherwise */
#define HTTP_CONNECTIONS_PER_IP_MAX (HTTP_CONNECTIONS_MAX / 2) /* TCP: one neighbour must not take all */
#define HTTP_DEADLINE_MS            30000 /* for a whole request, and again for its whole reply, or each piece of one that comes so */
#define HTTP_WAIT_MS                20000 /* an answer that waits for something to happen */
#define HTTP_WAITING_MAX            32    /* of them: who only wants to ask must find room */
#define HTTP_STATUS_END             600

struct uv_loop_s;
struct http;

struct http_config {
	int unix_fd;                /* a listening unix socket (home_listen), taken even on failure; -1 = none */
	const struct endpoint *tcp; /* NULL = none */
	/* The same on a second address, port 0 = that of tcp; where the machine has no such family it is left out. NULL = none */
	const struct endpoint *tcp_also;
	const struct endpoint *tls;      /* HTTPS; NULL = none */
	const char *tls_chain, *tls_key; /* PEM, borrowed for ever */
	unsigned connections;            /* per listening socket, half of them for one address; 0 = HTTP_CONNECTIONS_MAX */
	bool one_peer;                   /* everybody comes from one address, which may have all of them */
	const char *option;              /* where tcp is set, for messages; NULL = "http" */
	uint32_t deadline_ms;            /* 0 = HTTP_DEADLINE_MS; tests take less */
	uint32_t wait_ms;                /* 0 = HTTP_WAIT_MS; tests take less */
	void (*serve)(void *self, const struct request *, struct reply *);
	/* A request announces a body: how many bytes of it may go to a file (request.body_fd); 0 = it is read into memory. The request
	 * has no body yet. A reply with a status refuses it unread. May be NULL. */
	uint64_t (*upload)(void *self, const struct request *, struct reply *);
	const char *upload_folder; /* for those files, which have no name there; borrowed for ever */
	void *self;
};

/* 0 or -errno with *ret_why, a sentence with the mend. */
int http_new(struct http **ret, struct uv_loop_s *, const struct http_config *, const char **ret_why);
/* Closes listeners and connections. The memory goes when the loop has run its close callbacks once. */
void http_free(struct http *);
/* What answers wait for may have happened: those requests are served again, not from within this call. http NULL: nobody waits. */
void http_wake(struct http *);
/* Where TCP listens in truth (port 0 asked for any); family 0 = nowhere. */
struct endpoint http_tcp(const struct http *);
struct endpoint http_tls(const struct http *);
struct endpoint http_tcp_also(const struct http *);
uint64_t http_answers(const struct http *, unsigned status); /* how many replies had that status */

#endif
