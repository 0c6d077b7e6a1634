/* access.h: who comes in by TCP, and with what rights: one-time links, session cookies, tokens, and what keeps other sites out.
 *
 * Control thread only. Links live in memory; sessions and tokens are the controller's (controller/account.h). Time is
 * monotonic ms, given by the caller.
 */
#ifndef FARLAN_UI_ACCESS_H
#define FARLAN_UI_ACCESS_H

#include <stdint.h>

#include "controller/account.h"
#include "proto/base/batch.h"
#include "ui/api.h"
#include "ui/throttle.h"

#define LINK_MS         (15 * 60 * 1000ull)
#define LINKS_MAX       16 /* the oldest gives way */
#define LINK_TEXT       65 /* 64 hex and NUL */
#define PAGE_NAMES_MAX  8
#define PAGE_NAME_MAX   254
#define PASSWORDS_MAX   6 /* being hashed or waiting for it; two at once */
#define ACCESS_URL_ROOM 320

struct access {
	struct controller *controller;
	struct endpoint http, https; /* where TCP listens; family 0 = not so */
	char cookie[24];             /* the cookie's name: cookies know no ports, and several controllers may share a host */
	const char *const *names;    /* host names of the page; borrowed, ends with NULL; NULL = none */
	struct {
		uint8_t hash[32];
		uint64_t until; /* 0 = free */
	} links[LINKS_MAX];
	struct throttle throttle;
	unsigned passwords;   /* jobs */
	bool factor_required; /* who signs in by password may do nothing until he has a second factor */
};

/* Who asks; valid for one request. */
struct visitor {
	struct actor actor;
	enum { VISITOR_STRANGER, VISITOR_LOCAL, VISITOR_SESSION, VISITOR_TOKEN } by;
	struct session_row session;
	struct token_row token;
};

void access_init(struct access *, struct controller *, const struct endpoint *http, const struct endpoint *https, uint64_t address);
void access_url(const struct access *, char buf[ACCESS_URL_ROOM]); /* "https://...", else "http://127.0.0.1:8080/", or "" without a page */
void access_link(struct access *, uint64_t now, char ret_text[LINK_TEXT]); /* a new one-time link's secret */
bool access_link_spend(struct access *, uint64_t now, const char *text);   /* once, and in time */

/* The whole way in of a request, TCP or not: host, origin, form, then who it is. Fills *ret, and scopes and networks of the request,
 * which point into it. false: *reply is the refusal. A stranger passes too: what he may not, the route's scope says. */
bool access_admit(struct access *, struct request *, struct visitor *ret, struct reply *);

/* Has this session's user yet to enrol, and no right until then? */
bool access_factor_missing(const struct access *, const struct session_row *);
/* Set-Cookie of a session just opened, or of the end of one (text ""). */
void access_cookie(const struct access *, const struct request *, const char *text, struct reply *);

#endif
