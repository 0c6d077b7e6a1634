/* http_parts.h: what the files of http share; nobody outside includes it. */
#ifndef FARLAN_UI_HTTP_PARTS_H
#define FARLAN_UI_HTTP_PARTS_H

#include <microhttpd.h>
#include <uv.h>

#include "ui/http.h"
#include "ui/work.h"

#define LISTENERS_MAX 4 /* unix, TCP twice, TLS */

/* What surrounds one listening socket. Handles point back through data. */
struct listener {
	struct http *http;
	struct MHD_Daemon *daemon;
	bool local, tls;
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
	struct endpoint tcp, tcp_also, tls;
	uv_loop_t *loop;
	struct listener listener[LISTENERS_MAX];
	unsigned n_listeners, handles; /* handles not closed yet */
	struct client *clients;
	struct exchange *waiting; /* all that are suspended */
	unsigned n_waiting;       /* of them: answers that wait for something to happen */
	unsigned n_uploads;
	struct works works;
	uv_timer_t sweep;
	uint64_t answers[HTTP_STATUS_END];
};

struct exchange {         /* one request while its body comes, or while its answer waits */
	size_t len, room; /* of body; room follows from the headers */
	struct http *http;
	struct MHD_Connection *connection; /* suspended: link is set */
	struct exchange *next, **link;     /* http.waiting */
	uint64_t until;                    /* when to answer at last; 0 = has not waited yet */
	bool waits;                        /* counted in n_waiting */
	bool sent;                         /* its reply is queued: what waits is a stream */
	struct work_slot work;
	int fd;         /* an upload's file; 0 = none */
	uint64_t spill; /* that it may still have */
	char body[];
};

/* http.c */
struct client *client_of(struct MHD_Connection *);
uint64_t deadline_after(const struct http *);
void exchange_suspend(struct exchange *, uint64_t until);

/* http_head.c */
const char *head_line(struct MHD_Connection *, const char *name); /* NULL = absent */
void request_fill(struct request *, struct MHD_Connection *);     /* all but its body */

/* http_reply.c */
/* Takes what the reply owns. exchange: NULL = its body was not read. */
enum MHD_Result reply_send(struct MHD_Connection *, struct http *, struct exchange *, struct reply *);

/* http_listen.c: each takes the descriptor it is given; -errno with *why. */
int tcp_listen(const struct endpoint *at, struct endpoint *ret_at, const char *option, const char **why);
struct MHD_Daemon *daemon_start(struct listener *, int fd);

/* http.c, called by libmicrohttpd */
void *line_look(void *self, const char *line, struct MHD_Connection *);
enum MHD_Result access_handle(void *self, struct MHD_Connection *, const char *url, const char *method, const char *version,
                              const char *upload, size_t *upload_len, void **context);
void connection_notify(void *self, struct MHD_Connection *, void **context, enum MHD_ConnectionNotificationCode);
void exchange_end(void *self, struct MHD_Connection *, void **context, enum MHD_RequestTerminationCode);

#endif
