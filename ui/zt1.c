/* zt1.c: listening, the token and the table of routes.
 *
 * The programs that come here run on this machine, or in containers beside it, and know one secret: a word in a file, which they send in a
 * header, a query or as a bearer. Most of them read that file without trimming it, so it ends without a newline. Node.js tries ::1 first
 * when told "localhost", so 127.0.0.1 is never listened on alone. They ask in bursts, one request for each member at once: all of them
 * come from one address, which therefore may have all connections, and who has the token is limited far above what such a burst is.
 * Who does not have it is counted like any stranger, and learns nothing but that.
 */
#include "ui/zt1.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "proto/base/log.h"
#include "proto/random.h"
#include "ui/file.h"

#define CONNECTIONS_MAX 384 /* per listening socket */
#define SEGMENTS_MAX    8
#define TOKEN_MADE      32 /* characters of ours: 36 letters and digits, 165 bits */

static const struct limit_rate stranger_rate = {.per_s = 100, .burst = 600}, token_rate = {.per_s = 2000, .burst = 20000};

/* ---- the token ---- */

static void token_make(char ret[ZT1_TOKEN_MAX + 1])
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789";
	for (unsigned i = 0; i < TOKEN_MADE; i++)
		ret[i] = letters[random_below(sizeof(letters) - 1)];
	ret[TOKEN_MADE] = '\0';
}

/* A word that stands in a header and in a query without escapes. */
static bool token_good(const char *text)
{
	size_t len = strlen(text);
	return len >= ZT1_TOKEN_MIN && len <= ZT1_TOKEN_MAX &&
	       strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._~-") == len;
}

int zt1_token_load(const char *dir, char ret_path[HOME_PATH_MAX + sizeof(ZT1_TOKEN_FILE)], char ret[ZT1_TOKEN_MAX + 1], char why[ZT1_WHY])
{
	char path[HOME_PATH_MAX + sizeof(ZT1_TOKEN_FILE)], text[ZT1_TOKEN_MAX + 8] = "", token[ZT1_TOKEN_MAX + 1];
	snprintf(path, sizeof(path), "%s/%s", dir, ZT1_TOKEN_FILE);
	long len = file_read(path, text, sizeof(text) - 1, NULL);
	if (len == -ENOENT) {
		token_make(token);
		len = file_write(path, token, strlen(token), 0640);
	} else if (len >= 0 || len == -EFBIG) {
		text[len < 0 ? 0 : len] = '\0';
		size_t word = strcspn(text, "\r\n"), line = text[word] == '\r' ? 2 : text[word] == '\n';
		bool alone = len >= 0 && (size_t)len == word + line && (line < 2 || text[word + 1] == '\n');
		if (line)
			log_warning("%s ends with a newline, which many programs would send along; take it away: truncate -s -1", path);
		text[word] = '\0';
		if (!alone || !token_good(text)) {
			snprintf(why, ZT1_WHY, "%s holds no token: one word of 16 to 127 letters and digits; delete it for a new one",
			         path);
			explicit_bzero(text, sizeof(text));
			return -EINVAL;
		}
		memcpy(token, text, word + 1);
		len = 0;
	}
	explicit_bzero(text, sizeof(text));
	if (len < 0) {
		snprintf(why, ZT1_WHY, "cannot read or write %s: %s", path, strerror((int)-len));
		return (int)len;
	}
	memcpy(ret_path, path, sizeof(path));
	memcpy(ret, token, strlen(token) + 1);
	explicit_bzero(token, sizeof(token));
	return 0;
}

/* Constant in time for all but the length. */
static bool token_is(const struct zt1 *zt1, const char *text)
{
	char said[ZT1_TOKEN_MAX + 1] = "";
	size_t len = text ? strlen(text) : 0;
	if (!len || len > ZT1_TOKEN_MAX)
		return false;
	memcpy(said, text, len);
	return bytes_equal(said, zt1->token, sizeof(said));
}

static const char *bearer(const char *text)
{
	if (!text || strncasecmp(text, "bearer ", 7) != 0)
		return NULL;
	return text + 7 + strspn(text + 7, " ");
}

/* ---- the way in ---- */

static bool peer_endpoint(const char *text, struct endpoint *ret)
{
	*ret = (struct endpoint){.family = strchr(text, ':') ? 6 : 4};
	return inet_pton(ret->family == 6 ? AF_INET6 : AF_INET, text, ret->ip) == 1;
}

static bool loopback(const struct endpoint *at)
{
	static const uint8_t one[16] = {[15] = 1};
	return at->family == 4 ? at->ip[0] == 127 : !memcmp(at->ip, one, sizeof(one));
}

static bool peer_allowed(const struct zt1 *zt1, const char *peer)
{
	struct endpoint at;
	if (!peer_endpoint(peer, &at))
		return false;
	bool good = loopback(&at);
	for (unsigned i = 0; i < zt1->n_allow; i++)
		good = good || prefix_holds(&zt1->allow[i], &at);
	return good;
}

bool zt1_admit(struct zt1 *zt1, struct request *request, struct reply *reply)
{
	char source[LIMIT_SOURCE];
	request->scopes = 0;
	if (!peer_allowed(zt1, request->peer)) {
		zt1_refuse(reply, 403, "%s may not come here; the config's zt1-allow names who may", request->peer);
		return false;
	}
	bool good = token_is(zt1, request->zt1_auth) || token_is(zt1, request_query(request, "auth")) ||
	            token_is(zt1, bearer(request->authorization));
	limit_source(request->peer, source);
	uint64_t wait =
	    request->again ? 0 : limit_take(&zt1->limits, good ? "token" : source, good ? token_rate : stranger_rate, zt1->now());
	if (wait) {
		zt1_refuse(reply, 429, "%s asks more often than is answered here", request->peer);
		reply->retry_after = (unsigned)((wait + 999) / 1000);
		return false;
	}
	request->scopes = good ? SCOPE_SELF | SCOPE_ADMIN : 0;
	return true;
}

static void served(void *self, const struct request *asked, struct reply *reply)
{
	struct zt1 *zt1 = self;
	struct request request = *asked;
	if (zt1_admit(zt1, &request, reply))
		zt1->serve(zt1->self, &request, reply);
}

/* ---- listening ---- */

static int refuse_config(char why[ZT1_WHY], const struct endpoint *at)
{
	char text[64];
	endpoint_format(at, text, sizeof(text));
	snprintf(
	    why, ZT1_WHY,
	    "zt1 = %s is reached from other machines, where its token would travel in the clear: use 127.0.0.1:%u, or say with zt1-allow = "
	    "PREFIX who may come (containers on this machine: 172.16.0.0/12)",
	    text, at->port);
	return -EINVAL;
}

int zt1_open(struct zt1 *zt1, struct uv_loop_s *loop, const struct home *home, const struct config *config, uint64_t (*now)(void),
             void (*serve)(void *self, const struct request *, struct reply *), void *self, char why[ZT1_WHY])
{
	const struct endpoint six = {.family = 6, .ip = {[15] = 1}, .port = config->zt1.port};
	const char *reason = "";
	memset(zt1, 0, sizeof(*zt1));
	if (!config->zt1.family)
		return 0;
	if (!loopback(&config->zt1) && !config->n_zt1_allow)
		return refuse_config(why, &config->zt1);
	int error = zt1_token_load(home->dir, zt1->token_file, zt1->token, why);
	if (error)
		return error;
	zt1->n_allow = config->n_zt1_allow;
	memcpy(zt1->allow, config->zt1_allow, sizeof(zt1->allow));
	zt1->now = now;
	zt1->serve = serve;
	zt1->self = self;
	struct http_config http = {.unix_fd = -1,
	                           .tcp = &config->zt1,
	                           .tcp_also = config->zt1.family == 4 ? &six : NULL,
	                           .connections = CONNECTIONS_MAX,
	                           .one_peer = true,
	                           .option = "zt1",
	                           .serve = served,
	                           .self = zt1};
	error = http_new(&zt1->http, loop, &http, &reason);
	if (error) {
		zt1->http = NULL;
		snprintf(why, ZT1_WHY, "zt1: %s (%s)", reason, strerror(-error));
		return error;
	}
	zt1->at = http_tcp(zt1->http);
	zt1->at_v6 = http_tcp_also(zt1->http);
	char text[64];
	endpoint_format(&zt1->at, text, sizeof(text));
	log_notice("zt1 %s%s, token in %s; ZeroTier nodes cannot join", text, zt1->at_v6.family ? " and [::1]" : "", zt1->token_file);
	return 0;
}

void zt1_close(struct zt1 *zt1)
{
	http_free(zt1->http);
	zt1->http = NULL;
	explicit_bzero(zt1->token, sizeof(zt1->token));
}

json_t *zt1_listen_json(const struct zt1 *zt1)
{
	char text[64];
	if (!zt1 || !zt1->http)
		return json_null();
	json_t *o = json_object(), *list = json_array();
	for (unsigned i = 0; i < 2; i++) {
		const struct endpoint *at = i ? &zt1->at_v6 : &zt1->at;
		if (!at->family)
			continue;
		endpoint_format(at, text, sizeof(text));
		json_array_append_new(list, json_string(text));
	}
	json_object_set_new(o, "listen", list);
	json_object_set_new(o, "token_file", json_text(zt1->token_file));
	return o;
}

/* ---- routes ---- */

/* Cuts in place; -1: too many. Slashes in a row are one. */
static int path_cut(char *path, char *segment[SEGMENTS_MAX])
{
	int n = 0;
	for (char *at = path + strspn(path, "/"); *at; at += strspn(at, "/")) {
		if (n == SEGMENTS_MAX)
			return -1;
		segment[n++] = at;
		at += strcspn(at, "/");
		if (*at)
			*at++ = '\0';
	}
	return n;
}

static bool pattern_fits(const char *pattern, char *const *segment, int n, const char *arg[API_ARGS_MAX])
{
	unsigned args = 0;
	int i = 0;
	for (; *pattern == '/' && i < n; i++) {
		size_t len = strcspn(++pattern, "/");
		if (len == 1 && *pattern == '*' && args < API_ARGS_MAX)
			arg[args++] = segment[i];
		else if (strlen(segment[i]) != len || memcmp(segment[i], pattern, len) != 0)
			return false;
		pattern += len;
	}
	return !*pattern && i == n;
}

void zt1_dispatch(const struct zt1_route *routes, size_t n, void *self, const struct request *in, struct reply *reply)
{
	char path[API_PATH_MAX];
	char *segment[SEGMENTS_MAX];
	struct request request = *in;
	bool other = false;
	int segments = -1;
	if (strlen(in->path) < sizeof(path)) {
		strcpy(path, in->path);
		segments = path_cut(path, segment);
	}
	for (size_t i = 0; segments >= 0 && i < n; i++) {
		memset(request.arg, 0, sizeof(request.arg));
		if (!pattern_fits(routes[i].pattern, segment, segments, request.arg))
			continue;
		other = true;
		if (!(routes[i].methods & request.method))
			continue;
		if (routes[i].open || request.scopes & SCOPE_ADMIN)
			routes[i].handle(self, &request, reply);
		else
			zt1_empty(reply, 401);
		return;
	}
	if (!(request.scopes & SCOPE_ADMIN))
		zt1_empty(reply, 401);
	else if (other)
		zt1_refuse(reply, 405, "this path knows no such method");
	else
		zt1_refuse(reply, 404, "nothing is served at %.200s", in->path);
}

/* ---- answers ---- */

void zt1_refuse(struct reply *reply, unsigned status, const char *format, ...)
{
	char text[512];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	json_t *o = json_object();
	json_object_set_new(o, "message", json_text(text));
	reply_json(reply, status, o);
}

void zt1_empty(struct reply *reply, unsigned status)
{
	reply_json(reply, status, json_object());
}
