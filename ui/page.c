/* page.c: the way in for browsers.
 *
 * Whoever may use the unix socket makes a link; its token travels in the URL's fragment, which no browser sends to any
 * server or puts into a Referer, and is traded once for a session cookie (HttpOnly, SameSite=Strict). Both are 32
 * random bytes of which only the hash is kept: reading the daemon's memory image later opens nothing.
 *
 * Against other sites in the same browser: the Host must be an address we listen on or localhost (a name that was
 * rebound to 127.0.0.1 is not), writes must come from our own origin (Sec-Fetch-Site, else Origin) and carry JSON, which
 * no plain form can send. Any port is fine in Host, since people forward ports by ssh.
 */
#include "ui/page.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>

#include "proto/ident.h"
#include "ui/json.h"

static const char LINK_LABEL[] = "farlan page link", SESSION_LABEL[] = "farlan page session";

void page_init(struct page *page, const struct endpoint *at, uint64_t address)
{
	char text[ADDRESS_TEXT];
	memset(page, 0, sizeof(*page));
	page->at = *at;
	address_format(address, text);
	snprintf(page->cookie, sizeof(page->cookie), "farlan-%s", text);
}

static bool unspecified(const struct endpoint *at)
{
	static const uint8_t zero[16];
	return memcmp(at->ip, zero, at->family == 6 ? 16 : 4) == 0;
}

void page_url(const struct page *page, char *buf, size_t room)
{
	struct endpoint at = page->at;
	char text[64];
	*buf = '\0';
	if (!at.family)
		return;
	if (unspecified(&at)) { /* every address; name the one that works here */
		if (at.family == 4)
			at.ip[0] = 127;
		at.ip[at.family == 4 ? 3 : 15] = 1;
	}
	endpoint_format(&at, text, sizeof(text));
	snprintf(buf, room, "http://%s/", text);
}

/* ---- tokens ---- */

static int token_add(struct page_token *tokens, size_t n, const char *label, uint64_t until, char ret[PAGE_TOKEN_TEXT])
{
	uint8_t random[32];
	struct page_token *slot = tokens;

	if (getrandom(random, sizeof(random), 0) != sizeof(random))
		return -EIO;
	for (size_t i = 1; i < n; i++) /* a free one has until 0, so it is the oldest too */
		if (tokens[i].until < slot->until)
			slot = &tokens[i];
	for (size_t i = 0; i < sizeof(random); i++)
		snprintf(ret + 2 * i, 3, "%02x", random[i]);
	hash256(slot->hash, label, ret, PAGE_TOKEN_TEXT - 1);
	slot->until = until;
	explicit_bzero(random, sizeof(random));
	return 0;
}

static struct page_token *token_find(struct page_token *tokens, size_t n, const char *label, const char *text, size_t len, uint64_t now)
{
	struct page_token *found = NULL;
	uint8_t hash[32];
	if (len != PAGE_TOKEN_TEXT - 1)
		return NULL;
	hash256(hash, label, text, len);
	for (size_t i = 0; i < n; i++)
		if (tokens[i].until > now && bytes_equal(tokens[i].hash, hash, sizeof(hash)))
			found = &tokens[i];
	return found;
}

int page_link(struct page *page, uint64_t now, char ret_token[PAGE_TOKEN_TEXT])
{
	return token_add(page->link, PAGE_LINKS_MAX, LINK_LABEL, now + PAGE_LINK_MS, ret_token);
}

static struct page_token *session_of(struct page *page, uint64_t now, const char *cookies)
{
	size_t name = strlen(page->cookie);
	for (const char *at = cookies; at && *at;) {
		at += strspn(at, " ;");
		size_t len = strcspn(at, ";");
		if (len > name && strncmp(at, page->cookie, name) == 0 && at[name] == '=') {
			struct page_token *found =
			    token_find(page->session, PAGE_SESSIONS_MAX, SESSION_LABEL, at + name + 1, len - name - 1, now);
			if (found)
				return found;
		}
		at += len;
	}
	return NULL;
}

/* ---- the checks ---- */

static bool host_ours(const struct page *page, const char *host)
{
	struct endpoint at = {0};
	char name[64];
	size_t len;

	if (!host)
		return false;
	bool bracket = *host == '[';
	len = bracket ? strcspn(++host, "]") : strcspn(host, ":");
	if (len >= sizeof(name))
		return false;
	memcpy(name, host, len);
	name[len] = '\0';
	const char *port = host + len + (bracket && host[len] ? 1 : 0);
	if (*port && (*port != ':' || strspn(port + 1, "0123456789") != strlen(port + 1)))
		return false;
	bool loopback = strcasecmp(name, "localhost") == 0;
	if (!loopback) {
		if (inet_pton(bracket ? AF_INET6 : AF_INET, name, at.ip) != 1)
			return false;
		at.family = bracket ? 6 : 4;
	}
	if (unspecified(&page->at)) /* any literal: only names can be rebound */
		return true;
	if (loopback)
		return page->at.family == 4 ? page->at.ip[0] == 127 : page->at.ip[15] == 1 && !memcmp(page->at.ip, (uint8_t[15]){0}, 15);
	return at.family == page->at.family && memcmp(at.ip, page->at.ip, sizeof(at.ip)) == 0;
}

static bool origin_ours(const struct request *request)
{
	size_t host = strlen(request->host);
	if (request->fetch_site && strcmp(request->fetch_site, "same-origin") != 0)
		return false;
	if (request->origin && (strncmp(request->origin, "http://", 7) != 0 || strlen(request->origin) != 7 + host ||
	                        strncasecmp(request->origin + 7, request->host, host) != 0))
		return false;
	return true;
}

static void refuse(struct reply *reply, unsigned status, const char *title, const char *detail, const char *hint)
{
	struct problem problem;
	problem_set(&problem, status, title, "%s", detail);
	snprintf(problem.hint, sizeof(problem.hint), "%s", hint);
	if (status == 401)
		snprintf(problem.command, sizeof(problem.command), "farlan page");
	reply_problem(reply, &problem);
}

static void session_open(struct page *page, uint64_t now, const struct request *request, struct reply *reply)
{
	static const char *const names[] = {"once", NULL};
	struct problem problem;
	char once[PAGE_TOKEN_TEXT], token[PAGE_TOKEN_TEXT];
	bool is = false;

	json_t *object = json_body(request->body, request->body_len, names, &problem);
	if (!object || !json_take_text(object, "once", 1, once, sizeof(once), &is, &problem)) {
		json_decref(object);
		reply_problem(reply, &problem);
		return;
	}
	json_decref(object);
	struct page_token *link = is ? token_find(page->link, PAGE_LINKS_MAX, LINK_LABEL, once, strlen(once), now) : NULL;
	if (!link) {
		refuse(reply, 401, "this link does not work any more", "a link works once and for 15 minutes",
		       "make a new one on the controller's machine");
		return;
	}
	memset(link, 0, sizeof(*link)); /* once, whatever follows */
	if (token_add(page->session, PAGE_SESSIONS_MAX, SESSION_LABEL, now + PAGE_SESSION_MS, token) < 0) {
		refuse(reply, 503, "no session", "the system gave no random bytes", "try again");
		return;
	}
	snprintf(reply->cookie, sizeof(reply->cookie), "%s=%s; Path=/; Max-Age=%llu; HttpOnly; SameSite=Strict", page->cookie, token,
	         PAGE_SESSION_MS / 1000);
	reply_json(reply, 200, json_pack("{s:s, s:I}", "schema", "farlan.session/1", "expires_s", (json_int_t)(PAGE_SESSION_MS / 1000)));
}

static void session_close(struct page *page, struct page_token *session, struct reply *reply)
{
	memset(session, 0, sizeof(*session));
	snprintf(reply->cookie, sizeof(reply->cookie), "%s=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict", page->cookie);
	reply_json(reply, 200, json_pack("{s:s, s:I}", "schema", "farlan.session/1", "expires_s", (json_int_t)0));
}

bool page_admit(struct page *page, uint64_t now, const struct request *request, struct reply *reply)
{
	bool write = request->method != METHOD_GET, api = strncmp(request->path, "/v1/", 4) == 0;
	bool session_path = strcmp(request->path, "/v1/session") == 0;
	size_t type = request->content_type ? strcspn(request->content_type, "; ") : 0;

	if (!host_ours(page, request->host)) {
		refuse(reply, 403, "unknown host name", "the page answers only under its address or localhost",
		       "open the address that the controller printed");
		return false;
	}
	if ((write || api) && !origin_ours(request)) {
		refuse(reply, 403, "another site asked", "requests must come from the page itself", "open the page in a tab of its own");
		return false;
	}
	if (write && (type != 16 || strncasecmp(request->content_type, "application/json", type) != 0)) {
		refuse(reply, 415, "not JSON", "writes must carry Content-Type: application/json", "");
		return false;
	}
	if (!api)
		return true;
	if (session_path && request->method == METHOD_POST) {
		session_open(page, now, request, reply);
		return false;
	}
	struct page_token *session = session_of(page, now, request->cookie);
	if (!session) {
		refuse(reply, 401, "not signed in", "this needs a session", "make a one-time link on the controller's machine");
		return false;
	}
	if (session_path && request->method == METHOD_DELETE) {
		session_close(page, session, reply);
		return false;
	}
	return true;
}
