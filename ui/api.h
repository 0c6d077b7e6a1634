/* api.h: one request, one reply, and the table that joins them. No sockets, no libmicrohttpd: tests and fuzzers call it too.
 *
 * Control thread only. A handler is called once with the whole request, answers at once and never blocks. Everything a
 * request points to is borrowed for that call. A reply starts zeroed; what stays zero is left out of the answer.
 */
#ifndef FARLAN_UI_API_H
#define FARLAN_UI_API_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define API_ARGS_MAX       4
#define API_PATH_MAX       256 /* longer ones are not found */
#define API_LINK_MAX       640
#define REQUEST_BODY_MAX   (64 * 1024)
#define PROBLEM_ERRORS_MAX 8

enum method { METHOD_NONE = 0, METHOD_GET = 1, METHOD_POST = 2, METHOD_PATCH = 4, METHOD_DELETE = 8, METHOD_PUT = 16 };

/* What a route asks of its caller, one of them, and what a caller has, several. */
enum scope {
	SCOPE_UNSET = 0,   /* a route that says nothing is for the unix socket alone */
	SCOPE_OPEN = 1,    /* route: whoever comes */
	SCOPE_SELF = 2,    /* whoever is signed in, by session or token */
	SCOPE_READ = 4,    /* sees everything that is no secret; a network's writer sees that network */
	SCOPE_APPROVE = 8, /* approves and denies who asks, in every network */
	SCOPE_WRITE = 16,  /* changes a network and its members: those of request.networks only */
	SCOPE_ADMIN = 32,  /* all of it: networks, accounts, settings */
	SCOPE_LOCAL = 64,  /* route: the unix socket alone */
};
#define SCOPE_NETWORKS_MAX 16

#define FORWARDED_MAX       4
#define QUERY_ARGUMENTS_MAX 16 /* more are refused */
struct query_argument {
	const char *name, *value; /* value "" for a bare name */
};

struct work_slot;

struct request {
	enum method method;
	unsigned scopes;          /* enum scope; 0 = a stranger. The unix socket may do all and needs none */
	const uint64_t *networks; /* where SCOPE_WRITE counts */
	unsigned n_networks;
	bool local;       /* by the unix socket: the file's mode has let the caller in */
	const char *path; /* unescaped, without the query */
	const char *body; /* terminated by a NUL that len does not count; len 0 = none */
	size_t body_len;
	int body_fd;   /* 0, or what an upload came into: a nameless file of body_len bytes, read from its begin; body is "" then */
	bool late;     /* it waited as long as it may (see reply.wait): answer now */
	bool again;    /* asked before: it waited, or its work is done */
	bool tls;      /* by the HTTPS listener */
	bool secure;   /* by a trusted proxy that speaks it with the browser (ui/forwarded.h) */
	char peer[64]; /* "192.0.2.7", or "uid 1000" behind the unix socket; "" = unknown */
	unsigned uid;  /* of the unix socket's other side, by its credentials; UINT_MAX = unknown */
	struct query_argument query[QUERY_ARGUMENTS_MAX]; /* unescaped, in their order; see request_query() */
	unsigned n_query;
	struct work_slot *work; /* where work off the thread hangs (ui/work.h); NULL: there is none to be had */
	/* Headers a handler may look at; NULL = absent. */
	const char *host, *origin, *fetch_site, *cookie, *accept, *accept_encoding, *content_type, *if_match, *if_none_match;
	const char *authorization, *last_event_id, *passphrase; /* passphrase: Farlan-Passphrase */
	const char *zt1_auth;                                   /* X-ZT1-Auth */
	const char *forwarded_proto;                            /* X-Forwarded-Proto, its last line; for forwarded.c alone */
	const char *forwarded_for[FORWARDED_MAX];               /* X-Forwarded-For, its last lines, the nearest last */
	unsigned n_forwarded_for;
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
	char etag[40];    /* quoted; see reply_etag() */
	char cookie[192]; /* Set-Cookie */
	char allow[40];
	char link[API_LINK_MAX]; /* the Link header: where a list goes on; see reply_link() */
	char disposition[96];    /* Content-Disposition */
	unsigned retry_after;    /* seconds; 0 = not said */
	/* Instead of a body: bytes as they come. more() fills buf (room is 1 KiB at least) and returns how many; 0 = none yet, asked
	 * again after http_wake() or in stream_beat_ms; -1 = that was all; -2 = broken off. end(self) is called once, also when the
	 * reply is dropped unsent. */
	ssize_t (*more)(void *self, char *buf, size_t room);
	void (*end)(void *self);
	void *stream;
	unsigned stream_beat_ms; /* 0: only http_wake() */
};

struct api_route {
	enum method method;
	/* '*' stands for one segment; the one behind /v1/networks/ is a network's id. "?since&limit" at the end are the names the query
	 * may have: others are refused. */
	const char *pattern;
	void (*handle)(void *self, const struct request *, struct reply *);
	enum scope scope;
};

/* May this caller do what needs that scope? network: the text of a network's id, NULL = it is about none. For handlers that
 * need more than their route says, for some of their bodies. */
bool request_may(const struct request *, enum scope, const char *network);
/* The answer to who may not: 401 for strangers who could sign in, else 403. */
void reply_denied(const struct request *, enum scope, struct reply *);
/* Calls the handler whose method and pattern fit, if the caller has the scope of the route; answers 404, 405, 401 or 403 itself. */
void api_dispatch(const struct api_route *, size_t n, void *self, const struct request *, struct reply *);
/* The route of that method and path, arguments not looked at; NULL = none. */
const struct api_route *api_find(const struct api_route *, size_t n, enum method, const char *path);
void reply_fini(struct reply *); /* frees an owned body, ends a stream */

/* The first argument of that name, or NULL. */
const char *request_query(const struct request *, const char *name);
/* The state a single object is in, for ETag; api_dispatch() makes the answer a 304 when the caller has just that. */
void reply_etag(struct reply *, uint64_t revision);
/* Is the object still as the caller saw it? True too when he does not say (no If-Match). false: answered, 412. */
bool request_matches(const struct request *, struct reply *, uint64_t revision);
/* A list's next part: the same query with another cursor. */
void reply_link(const struct request *, struct reply *, const char *cursor);

/* The answer to what failed: RFC 9457, with the CLI's exit code and the mend. Strings are copied into the reply. */
struct problem {
	unsigned status; /* HTTP; the exit code follows from it unless code is set */
	int code;
	const char *title;
	char detail[320];
	char hint[256];
	char command[192];  /* what mends it, as typed in a shell */
	const char *reason; /* for programs, where the status says too little; NULL = left out */
	struct problem_error {
		char pointer[72]; /* "/name": a JSON pointer into the body; "?name": an argument of the query */
		char message[120];
	} errors[PROBLEM_ERRORS_MAX];
	unsigned n_errors;
};
/* One more thing that is wrong; those beyond the room are left out. */
__attribute__((format(printf, 4, 5))) void problem_error(struct problem *, char place, const char *name, const char *message, ...);
__attribute__((format(printf, 4, 5))) void problem_set(struct problem *, unsigned status, const char *title, const char *detail, ...);
void reply_problem(struct reply *, const struct problem *);

#endif
