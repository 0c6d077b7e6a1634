/* api.h: one request, one reply, and the table that joins them. No sockets, no libmicrohttpd: tests and fuzzers call it too.
 *
 * Control thread only. A handler is called once with the whole request, answers at once and never blocks. Everything a
 * request points to is borrowed for that call. A reply starts zeroed; what stays zero is left out of the answer.
 */
#ifndef FARLAN_UI_API_H
#define FARLAN_UI_API_H

#include <stdbool.h>
#include <stddef.h>

#define API_ARGS_MAX     4
#define API_PATH_MAX     256 /* longer ones are not found */
#define REQUEST_BODY_MAX (64 * 1024)

enum method { METHOD_NONE = 0, METHOD_GET = 1, METHOD_POST = 2, METHOD_PATCH = 4, METHOD_DELETE = 8 };

struct request {
	enum method method;
	bool local;       /* by the unix socket: the file's mode has let the caller in */
	const char *path; /* unescaped, without the query */
	const char *body; /* not terminated; len 0 = none */
	size_t body_len;
	/* Headers a handler may look at; NULL = absent. */
	const char *since; /* the query's "since", unescaped; NULL = absent */
	bool late;         /* it waited as long as it may (see reply.wait): answer now */
	const char *host, *origin, *fetch_site, *cookie, *accept_encoding, *content_type, *if_none_match;
	const char *arg[API_ARGS_MAX]; /* what the pattern's stars matched */
};

struct reply {
	unsigned status;      /* HTTP status; 0 = nobody answered, which is a 500 */
	const char *type;     /* content type, static */
	const char *encoding; /* content encoding, static */
	void *body;           /* from malloc if owned, else static */
	size_t body_len;
	bool owned;
	bool wait;        /* nothing to say yet: the same request is asked again after http_wake(), at last with late set. GET only */
	bool cacheable;   /* may be kept and revalidated by etag; else no-store */
	const char *etag; /* static, quoted */
	char cookie[192]; /* Set-Cookie */
	char allow[40];
};

struct api_route {
	enum method method;
	const char *pattern; /* '*' stands for one segment */
	void (*handle)(void *self, const struct request *, struct reply *);
};

/* Calls the handler whose method and pattern fit, or answers 404 or 405 itself. */
void api_dispatch(const struct api_route *, size_t n, void *self, const struct request *, struct reply *);
void reply_fini(struct reply *); /* frees an owned body */

/* The answer to what failed: RFC 9457, with the CLI's exit code and the mend. Strings are copied into the reply. */
struct problem {
	unsigned status; /* HTTP; the exit code follows from it unless code is set */
	int code;
	const char *title;
	char detail[320];
	char hint[256];
	char command[192]; /* what mends it, as typed in a shell */
};
__attribute__((format(printf, 4, 5))) void problem_set(struct problem *, unsigned status, const char *title, const char *detail, ...);
void reply_problem(struct reply *, const struct problem *);

#endif
