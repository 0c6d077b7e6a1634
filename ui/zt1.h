/* zt1.h: the door for programs that know the HTTP API of ZeroTier One: listening, the token, routes, and readers as tolerant as theirs.
 *
 * Control thread only. Both daemons open one, each with routes of its own; nothing here knows controller or node. It speaks to programs
 * that manage networks: no ZeroTier node can join by it.
 */
#ifndef FARLAN_UI_ZT1_H
#define FARLAN_UI_ZT1_H

#include "ui/config.h"
#include "ui/http.h"
#include "ui/json.h"
#include "ui/limit.h"

#define ZT1_TOKEN_FILE "zt1.token"
#define ZT1_TOKEN_MIN  16
#define ZT1_TOKEN_MAX  127
#define ZT1_WHY        (HOME_PATH_MAX + 256)

struct zt1 {
	struct http *http;         /* NULL = not served */
	struct endpoint at, at_v6; /* where it listens; at_v6: [::1] beside 127.0.0.1; family 0 = not there */
	char token[ZT1_TOKEN_MAX + 1];
	char token_file[HOME_PATH_MAX + sizeof(ZT1_TOKEN_FILE)];
	struct prefix allow[CONFIG_ALLOW_MAX]; /* who may come beside this machine */
	unsigned n_allow;
	struct limits limits;
	uint64_t (*now)(void); /* monotonic ms */
	void (*serve)(void *self, const struct request *, struct reply *);
	void *self;
};

/* Opens what the config's "zt1" says; nothing when it says nothing. serve() gets requests of whoever may come, with SCOPE_ADMIN in
 * their scopes if they bring the token, and hands them to zt1_dispatch(). Not called before this returns. 0 or -errno with why. */
int zt1_open(struct zt1 *, struct uv_loop_s *, const struct home *, const struct config *, uint64_t (*now)(void),
             void (*serve)(void *self, const struct request *, struct reply *), void *self, char why[ZT1_WHY]);
void zt1_close(struct zt1 *); /* before what serve() needs goes; the memory with the loop's next turn */
/* The token of that folder, made if there is none. 0 or -errno with why. */
int zt1_token_load(const char *dir, char ret_path[HOME_PATH_MAX + sizeof(ZT1_TOKEN_FILE)], char ret[ZT1_TOKEN_MAX + 1], char why[ZT1_WHY]);
/* May it come, how often, and does it bring the token? Fills request.scopes. false: answered. */
bool zt1_admit(struct zt1 *, struct request *, struct reply *);
json_t *zt1_listen_json(const struct zt1 *); /* {listen, token_file} for /v1/status, or null */

/* ---- routes. A slash more or less at the end does not matter, nor does the query */

struct zt1_route {
	unsigned methods;    /* enum method, some of them */
	const char *pattern; /* '*' = one segment: request.arg */
	void (*handle)(void *self, const struct request *, struct reply *);
	bool open; /* without the token */
};
void zt1_dispatch(const struct zt1_route *, size_t n, void *self, const struct request *, struct reply *);

/* ---- answers */

/* {"message": ...} */
__attribute__((format(printf, 3, 4))) void zt1_refuse(struct reply *, unsigned status, const char *format, ...);
void zt1_empty(struct reply *, unsigned status); /* {} */

/* ---- readers (zt1_read.c): strings stand for numbers and truths, what is not known is not looked at */

/* The body, whatever its type says; nothing reads as {}. NULL: answered with 400. The caller drops the reference. */
json_t *zt1_body(const struct request *, struct reply *);
bool zt1_bool(const json_t *, bool fallback);      /* "true", "T...", "1" and numbers above 0 are true; NULL, null and others: fallback */
int64_t zt1_int(const json_t *, int64_t fallback); /* "12" is 12; a number with a fraction loses it */
/* A string that fits; NULL otherwise. Strings with control characters are none. */
const char *zt1_text(const json_t *, size_t max);
bool zt1_address(const char *text, uint64_t *ret); /* 10 hex digits */
bool zt1_nwid(const char *text, uint64_t *ret);    /* 16 hex digits */

/* ---- objects that both daemons tell (zt1_object.c): every key is always there */

struct zt1_status {
	const struct identity *self;
	bool online, fallback; /* fallback: by TCP now */
	uint16_t port;         /* UDP; 0 = none */
	const struct endpoint *surface;
	unsigned n_surface;
};
json_t *zt1_status_json(const struct zt1 *, const struct zt1_status *);
json_t *zt1_health_json(bool online);

struct zt1_peer {
	uint64_t address;
	uint32_t rtt_us;           /* 0 = not known */
	const char *version;       /* "1.2.3"; "" = not known */
	bool root, direct, stream; /* stream: by TCP */
	struct endpoint path;      /* counts when direct or stream */
	uint64_t seen_ms;          /* wall clock; 0 = never */
};
json_t *zt1_peer_json(const struct zt1_peer *);

/* The numbers of "1.2.3", -1 each when there are none. */
void zt1_version(const char *text, int ret[3]);
uint64_t zt1_wall_ms(void);

#endif
