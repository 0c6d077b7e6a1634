/* access.c: the way in.
 *
 * Whoever may use the unix socket makes a link; its secret travels in the URL's fragment, which no browser sends to any server
 * or puts into a Referer, and is traded once for a session cookie (HttpOnly, SameSite=Strict; over HTTPS with Secure and the
 * __Host- prefix, so that no sibling domain and no plain connection can plant one). Both are random bytes of which only the
 * hash is kept: reading the daemon's memory image later opens nothing.
 *
 * Against other sites in the same browser: the Host must be an address we listen on, localhost or a name from the config (a
 * name that was rebound to 127.0.0.1 is none), writes and API reads must come from our own origin (Sec-Fetch-Site, else Origin),
 * and writes must carry JSON, which no plain form can send. Any port is fine in Host, since people forward ports by ssh.
 *
 * A token is a different way in: it comes in a header no browser adds by itself, so none of that is asked of it, and it never
 * gets a cookie; a cookie beside it is not looked at.
 */
#include "ui/access.h"

#include <arpa/inet.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "proto/ident.h"
#include "proto/random.h"

static const char LINK_LABEL[] = "farlan page link";

void access_init(struct access *a, struct controller *controller, const struct endpoint *http, const struct endpoint *https,
                 uint64_t address)
{
	char text[ADDRESS_TEXT];
	memset(a, 0, sizeof(*a));
	a->controller = controller;
	if (http)
		a->http = *http;
	if (https)
		a->https = *https;
	address_format(address, text);
	snprintf(a->cookie, sizeof(a->cookie), "farlan-%s", text);
}

static bool unspecified(const struct endpoint *at)
{
	static const uint8_t zero[16];
	return memcmp(at->ip, zero, at->family == 6 ? 16 : 4) == 0;
}

void access_url(const struct access *a, char buf[ACCESS_URL_ROOM])
{
	struct endpoint at = a->https.family ? a->https : a->http;
	const char *scheme = a->https.family ? "https" : "http";
	char text[64];
	*buf = '\0';
	if (!at.family)
		return;
	if (a->names && a->names[0]) { /* certificates are made out to names */
		snprintf(buf, ACCESS_URL_ROOM, "%s://%s:%u/", scheme, a->names[0], at.port);
		return;
	}
	if (unspecified(&at)) { /* every address; name the one that works here */
		if (at.family == 4)
			at.ip[0] = 127;
		at.ip[at.family == 4 ? 3 : 15] = 1;
	}
	endpoint_format(&at, text, sizeof(text));
	snprintf(buf, ACCESS_URL_ROOM, "%s://%s/", scheme, text);
}

/* ---- links ---- */

void access_link(struct access *a, uint64_t now, char ret_text[LINK_TEXT])
{
	uint8_t random[32];
	unsigned slot = 0;
	for (unsigned i = 1; i < LINKS_MAX; i++) /* a free one has until 0, so it is the oldest too */
		if (a->links[i].until < a->links[slot].until)
			slot = i;
	random_bytes(random, sizeof(random));
	for (size_t i = 0; i < sizeof(random); i++)
		snprintf(ret_text + 2 * i, 3, "%02x", random[i]);
	wipe(random, sizeof(random));
	hash256(a->links[slot].hash, LINK_LABEL, ret_text, LINK_TEXT - 1);
	a->links[slot].until = now + LINK_MS;
}

bool access_link_spend(struct access *a, uint64_t now, const char *text)
{
	uint8_t hash[32];
	bool found = false;
	if (strlen(text) != LINK_TEXT - 1)
		return false;
	hash256(hash, LINK_LABEL, text, LINK_TEXT - 1);
	for (unsigned i = 0; i < LINKS_MAX; i++)
		if (a->links[i].until > now && bytes_equal(a->links[i].hash, hash, sizeof(hash))) {
			memset(&a->links[i], 0, sizeof(a->links[i])); /* once, whatever follows */
			found = true;
		}
	return found;
}

/* ---- other sites ---- */

/* Host without its port, in small letters, brackets gone. false: it is no host. */
static bool host_split(const char *host, char ret[PAGE_NAME_MAX], bool *ret_bracket)
{
	bool bracket = *host == '[';
	size_t len = bracket ? strcspn(++host, "]") : strcspn(host, ":");
	if (len >= PAGE_NAME_MAX)
		return false;
	memcpy(ret, host, len);
	ret[len] = '\0';
	*ret_bracket = bracket;
	const char *port = host + len + (bracket && host[len] ? 1 : 0);
	return !*port || (*port == ':' && strspn(port + 1, "0123456789") == strlen(port + 1));
}

static bool host_named(const struct access *a, const char *name)
{
	for (unsigned i = 0; a->names && a->names[i]; i++)
		if (strcasecmp(a->names[i], name) == 0)
			return true;
	return false;
}

static bool host_ours(const struct access *a, const struct endpoint *listen, const char *host)
{
	struct endpoint at = {0};
	char name[PAGE_NAME_MAX];
	bool bracket;

	if (!host || !host_split(host, name, &bracket))
		return false;
	bool loopback = strcasecmp(name, "localhost") == 0;
	if (!loopback) {
		if (!bracket && host_named(a, name))
			return true;
		if (inet_pton(bracket ? AF_INET6 : AF_INET, name, at.ip) != 1)
			return false;
		at.family = bracket ? 6 : 4;
	}
	if (unspecified(listen)) /* any literal: only names can be rebound */
		return true;
	if (loopback)
		return listen->family == 4 ? listen->ip[0] == 127 : listen->ip[15] == 1 && !memcmp(listen->ip, (uint8_t[15]){0}, 15);
	return at.family == listen->family && memcmp(at.ip, listen->ip, sizeof(at.ip)) == 0;
}

/* Does the browser speak TLS, to us or to a proxy that is trusted with saying so? */
static bool secure(const struct request *request)
{
	return request->tls || request->secure;
}

/* Behind a proxy that ends TLS the browser says https and we hear http; the other way round there is no honest reason. */
static bool origin_ours(const struct request *request)
{
	const char *origin = request->origin;
	if (request->fetch_site && strcmp(request->fetch_site, "same-origin") != 0)
		return false;
	if (!origin)
		return true;
	if (strncmp(origin, "https://", 8) == 0)
		return strcasecmp(origin + 8, request->host) == 0;
	return !secure(request) && strncmp(origin, "http://", 7) == 0 && strcasecmp(origin + 7, request->host) == 0;
}

static bool type_is(const struct request *request, const char *type)
{
	size_t len = request->content_type ? strcspn(request->content_type, "; ") : 0;
	return len == strlen(type) && strncasecmp(request->content_type, type, len) == 0;
}

static void refuse(struct reply *reply, unsigned status, const char *title, const char *detail, const char *hint)
{
	struct problem problem;
	problem_set(&problem, status, title, "%s", detail);
	snprintf(problem.hint, sizeof(problem.hint), "%s", hint);
	if (status == 401)
		snprintf(problem.command, sizeof(problem.command), "farlan token list"); /* only tokens are refused like this */
	reply_problem(reply, &problem);
}

static bool own_site(const struct access *a, const struct request *request, struct reply *reply)
{
	bool write = request->method != METHOD_GET, api = strncmp(request->path, "/v1/", 4) == 0;
	if (!host_ours(a, request->tls ? &a->https : &a->http, request->host)) {
		refuse(reply, 403, "unknown host name", "the page answers only under its address, localhost or a page-name of its config",
		       "open the address that the controller printed");
		return false;
	}
	if ((write || api) && !origin_ours(request)) {
		refuse(reply, 403, "another site asked", "requests must come from the page itself", "open the page in a tab of its own");
		return false;
	}
	/* A backup to be looked at comes as it is; no form can send that type either. */
	if (write && !type_is(request, "application/json") && !type_is(request, "application/octet-stream")) {
		refuse(reply, 415, "not JSON", "writes must carry Content-Type: application/json", "");
		return false;
	}
	return true;
}

/* ---- who it is ---- */

/* Who owns the unix socket's other side, as /etc/passwd has it: no directory on a network is asked, that could hang. */
static void local_name(unsigned uid, char *buf, size_t room)
{
	FILE *file = uid == UINT_MAX ? NULL : fopen("/etc/passwd", "re");
	snprintf(buf, room, uid == UINT_MAX ? "socket" : "socket:%u", uid);
	for (const struct passwd *who; file && (who = fgetpwent(file));) {
		if (who->pw_uid != uid)
			continue;
		snprintf(buf, room, "socket:%.50s", who->pw_name);
		break;
	}
	if (file)
		fclose(file);
}

static void cookie_name(const struct access *a, const struct request *request, char ret[40])
{
	snprintf(ret, 40, "%s%s", secure(request) ? "__Host-" : "", a->cookie);
}

static const struct session_row *session_of(const struct access *a, const struct request *request)
{
	char name[40];
	cookie_name(a, request, name);
	size_t n = strlen(name);
	for (const char *at = request->cookie; at && *at;) {
		at += strspn(at, " ;");
		size_t len = strcspn(at, ";");
		if (len > n && strncmp(at, name, n) == 0 && at[n] == '=') {
			const struct session_row *found = controller_session_find(a->controller, at + n + 1, len - n - 1);
			if (found)
				return found;
		}
		at += len;
	}
	return NULL;
}

static unsigned scopes_of(const struct token_row *t)
{
	unsigned scopes = SCOPE_SELF;
	scopes |= t->rights & RIGHT_READ ? SCOPE_READ : 0;
	scopes |= t->rights & RIGHT_APPROVE ? SCOPE_APPROVE : 0;
	scopes |= t->rights & RIGHT_ADMIN ? SCOPE_ADMIN : 0;
	scopes |= t->n_networks ? SCOPE_WRITE : 0;
	return scopes;
}

bool access_factor_missing(const struct access *a, const struct session_row *s)
{
	return a->factor_required && *s->user && !s->factor;
}

static unsigned role_scopes(const struct access *a, const struct session_row *s)
{
	static const unsigned scopes[] = {
	    [ROLE_READ] = SCOPE_READ, [ROLE_APPROVE] = SCOPE_READ | SCOPE_APPROVE, [ROLE_ADMIN] = SCOPE_ADMIN};
	return SCOPE_SELF | (access_factor_missing(a, s) ? 0 : scopes[s->role]);
}

/* The token of "Bearer farc_...". NULL: there is none; what other schemes say is meant for a proxy before us. */
static const char *bearer_of(const struct request *request)
{
	const char *text = request->authorization;
	if (!text || strncasecmp(text, "Bearer", 6) != 0 || (text[6] && text[6] != ' '))
		return NULL;
	return text + 6 + strspn(text + 6, " ");
}

static bool token_admit(struct access *a, struct request *request, const char *text, struct visitor *who, struct reply *reply)
{
	if (!controller_token_find(a->controller, text, strlen(text), &who->token)) {
		refuse(reply, 401, "the token is not good",
		       token_text_good(text, strlen(text))
		           ? "there is no such token, or it has expired"
		           : "that is no whole token: a token begins with farc_ and ends with a check of itself",
		       "farlan token list shows the tokens there are; farlan token create makes one");
		return false;
	}
	who->by = VISITOR_TOKEN;
	snprintf(who->actor.name, sizeof(who->actor.name), "token:%s", who->token.name);
	request->scopes = scopes_of(&who->token);
	request->networks = who->token.networks;
	request->n_networks = who->token.n_networks;
	return true;
}

bool access_admit(struct access *a, struct request *request, struct visitor *who, struct reply *reply)
{
	const struct session_row *session;
	*who = (struct visitor){.by = VISITOR_STRANGER, .actor.name = "stranger"};
	snprintf(who->actor.from, sizeof(who->actor.from), "%s", request->peer);
	request->scopes = 0;
	request->networks = NULL;
	request->n_networks = 0;
	if (request->local) {
		who->by = VISITOR_LOCAL;
		local_name(request->uid, who->actor.name, sizeof(who->actor.name));
		request->scopes = SCOPE_SELF | SCOPE_ADMIN;
		return true;
	}
	const char *bearer = bearer_of(request);
	if (bearer)
		return token_admit(a, request, bearer, who, reply);
	if (!own_site(a, request, reply))
		return false;
	session = session_of(a, request);
	if (!session)
		return true;
	who->by = VISITOR_SESSION;
	who->session = *session;
	snprintf(who->actor.name, sizeof(who->actor.name), "%s%s", *session->user ? "user:" : "link", session->user);
	request->scopes = role_scopes(a, session);
	return true;
}

void access_cookie(const struct access *a, const struct request *request, const char *text, struct reply *reply)
{
	char name[40];
	cookie_name(a, request, name);
	snprintf(reply->cookie, sizeof(reply->cookie), "%s=%s; Path=/; Max-Age=%llu; HttpOnly; SameSite=Strict%s", name, text,
	         *text ? SESSION_LIFE_S * 1ull : 0ull, secure(request) ? "; Secure" : "");
}
