/* page.h: who may come in by the web: one-time links, session cookies, and the checks that keep other sites out.
 *
 * Control thread only; tokens live in memory as hashes and die with the daemon. Time is monotonic ms, given by the caller.
 */
#ifndef FARLAN_UI_PAGE_H
#define FARLAN_UI_PAGE_H

#include <stdint.h>

#include "proto/base/batch.h"
#include "ui/api.h"

#define PAGE_LINK_MS      (15 * 60 * 1000ull)
#define PAGE_SESSION_MS   (12 * 3600 * 1000ull)
#define PAGE_LINKS_MAX    16 /* the oldest gives way */
#define PAGE_SESSIONS_MAX 64 /* the oldest gives way */
#define PAGE_TOKEN_TEXT   65 /* 64 hex and NUL */

struct page_token {
	uint8_t hash[32];
	uint64_t until; /* 0 = free slot */
};

struct page {
	struct endpoint at; /* where TCP listens; family 0 = no page */
	char cookie[24];    /* the cookie's name: cookies know no ports, and several controllers may share a host */
	struct page_token link[PAGE_LINKS_MAX], session[PAGE_SESSIONS_MAX];
};

void page_init(struct page *, const struct endpoint *at, uint64_t address);
void page_url(const struct page *, char *buf, size_t room); /* "http://127.0.0.1:8080/", or "" without a page */
/* A new link's token. 0 or -errno (no randomness: then no link). */
int page_link(struct page *, uint64_t now, char ret_token[PAGE_TOKEN_TEXT]);

/* The whole way in of a TCP request: host, origin, session. true: the request may be served. false: *reply is the answer
 * (a refusal, or the answer of POST and DELETE /v1/session themselves). Paths outside /v1 need no session. */
bool page_admit(struct page *, uint64_t now, const struct request *, struct reply *);

#endif
