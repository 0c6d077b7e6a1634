/* api.c: from a method and a path to the handler, and from a failure to its answer.
 *
 * The path is cut at its slashes in a copy of bounded length and compared with each pattern, segment by segment; a star
 * takes any segment that is not empty. Tables have about a dozen rows, so a walk is all it needs. A path that fits a
 * pattern of another method is a 405 with the methods that would do, so that a typo in a script is told from a missing
 * object. Problems carry the exit code of the command line: the daemon knows what went wrong, the CLI only passes it on.
 */
#include "ui/api.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/ident.h"
#include "ui/json.h"

#define SEGMENTS_MAX 12
#define NETWORK_PATH "/v1/networks/*" /* patterns whose first argument is a network's id */

/* Cuts in place; returns the number of segments, or -1 when there are too many or one is empty. */
static int path_cut(char *path, char *segment[SEGMENTS_MAX])
{
	int n = 0;
	if (*path != '/')
		return -1;
	for (char *at = path; at && *at; n++) {
		*at++ = '\0';
		char *next = strchr(at, '/');
		if (n == SEGMENTS_MAX || at == next || (!*at && n))
			return -1;
		segment[n] = at;
		at = next;
	}
	return n;
}

static bool pattern_fits(const char *pattern, char *const *segment, int n, const char *arg[API_ARGS_MAX])
{
	unsigned args = 0;
	for (int i = 0; i < n; i++) {
		if (*pattern++ != '/')
			return false;
		size_t len = strcspn(pattern, "/?");
		if (len == 1 && *pattern == '*') {
			if (args == API_ARGS_MAX || !*segment[i])
				return false;
			arg[args++] = segment[i];
		} else if (strlen(segment[i]) != len || memcmp(segment[i], pattern, len) != 0) {
			return false;
		}
		pattern += len;
	}
	return !*pattern || *pattern == '?';
}

static void allow_add(struct reply *reply, enum method method)
{
	const char *name = method == METHOD_GET     ? "GET"
	                   : method == METHOD_POST  ? "POST"
	                   : method == METHOD_PATCH ? "PATCH"
	                   : method == METHOD_PUT   ? "PUT"
	                                            : "DELETE";
	size_t len = strlen(reply->allow);
	snprintf(reply->allow + len, sizeof(reply->allow) - len, "%s%s", len ? ", " : "", name);
}

bool request_may(const struct request *request, enum scope scope, const char *network)
{
	uint64_t nwid;
	uint8_t bits[17];
	bool pin;

	if (request->local || scope == SCOPE_OPEN)
		return true;
	if (scope == SCOPE_UNSET || scope == SCOPE_LOCAL || !(request->scopes & SCOPE_SELF))
		return false;
	if (scope == SCOPE_SELF || request->scopes & SCOPE_ADMIN)
		return true;
	if (scope != SCOPE_WRITE && request->scopes & (unsigned)scope)
		return true;
	if (scope == SCOPE_ADMIN || !(request->scopes & SCOPE_WRITE) || !network || !nwid_parse(network, &nwid, &pin, bits))
		return false;
	for (unsigned i = 0; i < request->n_networks; i++)
		if (request->networks[i] == nwid)
			return true;
	return false;
}

void reply_denied(const struct request *request, enum scope scope, struct reply *reply)
{
	struct problem problem;
	if (scope == SCOPE_UNSET || scope == SCOPE_LOCAL) {
		problem_set(&problem, 403, "not from here", "this is done on the daemon's machine only, by its unix socket");
	} else if (request->scopes & SCOPE_SELF) {
		problem_set(&problem, 403, "not allowed", "this needs rights that this session or token does not have");
		snprintf(problem.hint, sizeof(problem.hint), "an admin makes tokens with other scopes: farlan token create");
	} else {
		problem_set(&problem, 401, "not signed in", "this needs a session or a token");
		snprintf(problem.hint, sizeof(problem.hint), "sign in, or make a one-time link on the controller's machine");
		snprintf(problem.command, sizeof(problem.command), "farlan page");
	}
	reply_problem(reply, &problem);
}

/* ---- queries ---- */

/* list: "?since&limit". */
static bool name_listed(const char *list, const char *name)
{
	size_t len = strlen(name);
	for (const char *at = list; at && *at;) {
		size_t one = strcspn(++at, "&");
		if (one == len && memcmp(at, name, len) == 0)
			return true;
		at += one;
	}
	return false;
}

/* A misspelt filter that is ignored shows everything, and looks as if everything fitted. */
static bool query_known(const struct request *request, const char *list, struct reply *reply)
{
	struct problem problem = {0};
	for (unsigned i = 0; i < request->n_query; i++) {
		if (name_listed(list, request->query[i].name)) {
			if (request_query(request, request->query[i].name) == request->query[i].value)
				continue;
			problem_set(&problem, 400, "twice in the query", "of two \"%.100s\" only one would count", request->query[i].name);
			problem_error(&problem, '?', request->query[i].name, "stands there twice");
			break;
		}
		if (!problem.status)
			problem_set(&problem, 400, "unknown query", "there is no \"%.100s\" in this path's query", request->query[i].name);
		problem_error(&problem, '?', request->query[i].name, "not known here");
	}
	if (!problem.status)
		return true;
	snprintf(problem.hint, sizeof(problem.hint), list ? "known here: %.200s" : "this path takes no query", list ? list + 1 : "");
	reply_problem(reply, &problem);
	return false;
}

const char *request_query(const struct request *request, const char *name)
{
	for (unsigned i = 0; i < request->n_query; i++)
		if (strcmp(request->query[i].name, name) == 0)
			return request->query[i].value;
	return NULL;
}

/* What may stand in a query as it is (RFC 3986, 2.3). */
static size_t escape(const char *text, char *ret, size_t room)
{
	size_t len = 0;
	for (; *text && len + 4 <= room; text++) {
		unsigned char c = (unsigned char)*text;
		bool plain = (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z') || strchr("-._~", c);
		len += (size_t)snprintf(ret + len, room - len, plain ? "%c" : "%%%02X", c);
	}
	return *text ? room : len;
}

void reply_link(const struct request *request, struct reply *reply, const char *cursor)
{
	char link[API_LINK_MAX];
	size_t len = (size_t)snprintf(link, sizeof(link), "<%.*s?", API_PATH_MAX, request->path);
	for (unsigned i = 0; i < request->n_query && len < sizeof(link); i++) {
		if (strcmp(request->query[i].name, "cursor") == 0)
			continue;
		len += escape(request->query[i].name, link + len, sizeof(link) - len);
		if (len + 1 < sizeof(link))
			link[len++] = '=';
		if (len < sizeof(link))
			len += escape(request->query[i].value, link + len, sizeof(link) - len);
		if (len + 1 < sizeof(link))
			link[len++] = '&';
	}
	if (len < sizeof(link))
		len += (size_t)snprintf(link + len, sizeof(link) - len, "cursor=");
	if (len < sizeof(link))
		len += escape(cursor, link + len, sizeof(link) - len);
	if (len < sizeof(link))
		len += (size_t)snprintf(link + len, sizeof(link) - len, ">; rel=\"next\"");
	if (len < sizeof(link)) /* one that is too long is left out: the answer's "next" says the same */
		memcpy(reply->link, link, len + 1);
}

/* ---- what the caller has seen ---- */

void reply_etag(struct reply *reply, uint64_t revision)
{
	snprintf(reply->etag, sizeof(reply->etag), "\"%llu\"", (unsigned long long)revision);
}

/* Weak or strong, in a comma list, or "*" (RFC 9110, 13.1). */
static bool etag_listed(const char *list, const char *etag)
{
	size_t len = strlen(etag);
	for (const char *at = list; at && *at;) {
		at += strspn(at, " \t,");
		if (*at == '*')
			return true;
		if (strncmp(at, "W/", 2) == 0)
			at += 2;
		if (strncmp(at, etag, len) == 0 && (!at[len] || strchr(" \t,", at[len])))
			return true;
		at += strcspn(at, ",");
	}
	return false;
}

bool request_matches(const struct request *request, struct reply *reply, uint64_t revision)
{
	struct reply now = {0};
	struct problem problem;
	reply_etag(&now, revision);
	if (!request->if_match || etag_listed(request->if_match, now.etag))
		return true;
	problem_set(&problem, 412, "changed meanwhile", "somebody else changed this since you read it: it is at revision %llu now",
	            (unsigned long long)revision);
	snprintf(problem.hint, sizeof(problem.hint), "read it again, then change what still needs it");
	reply_problem(reply, &problem);
	strcpy(reply->etag, now.etag);
	return false;
}

static void revalidate(const struct request *request, struct reply *reply)
{
	if (request->method != METHOD_GET || reply->status != 200 || !reply->etag[0] || !etag_listed(request->if_none_match, reply->etag))
		return;
	reply_fini(reply);
	reply->status = 304;
	reply->type = NULL;
	reply->body_len = 0;
}

/* ---- dispatch ---- */

const struct api_route *api_find(const struct api_route *routes, size_t n, enum method method, const char *text)
{
	char path[API_PATH_MAX];
	char *segment[SEGMENTS_MAX];
	const char *arg[API_ARGS_MAX];
	if (strlen(text) >= sizeof(path))
		return NULL;
	strcpy(path, text);
	int segments = path_cut(path, segment);
	for (size_t i = 0; segments >= 0 && i < n; i++)
		if (routes[i].method == method && pattern_fits(routes[i].pattern, segment, segments, arg))
			return &routes[i];
	return NULL;
}

void api_dispatch(const struct api_route *routes, size_t n, void *self, const struct request *in, struct reply *reply)
{
	char path[API_PATH_MAX];
	char *segment[SEGMENTS_MAX];
	struct request request = *in;
	int segments = -1;

	if (strlen(in->path) < sizeof(path)) {
		strcpy(path, in->path);
		segments = path_cut(path, segment);
	}
	for (size_t i = 0; segments >= 0 && i < n; i++) {
		memset(request.arg, 0, sizeof(request.arg));
		if (!pattern_fits(routes[i].pattern, segment, segments, request.arg))
			continue;
		if (routes[i].method != in->method) {
			allow_add(reply, routes[i].method);
			continue;
		}
		reply->allow[0] = '\0';
		if (!request_may(&request, routes[i].scope,
		                 strncmp(routes[i].pattern, NETWORK_PATH, strlen(NETWORK_PATH)) ? NULL : request.arg[0])) {
			reply_denied(&request, routes[i].scope, reply);
		} else if (query_known(&request, strchr(routes[i].pattern, '?'), reply)) {
			routes[i].handle(self, &request, reply);
			revalidate(&request, reply);
		}
		return;
	}
	struct problem problem = {0};
	if (reply->allow[0])
		problem_set(&problem, 405, "method not allowed", "this path answers to %s", reply->allow);
	else
		problem_set(&problem, 404, "no such path", "nothing is served at %.200s", in->path);
	reply_problem(reply, &problem);
}

void reply_fini(struct reply *reply)
{
	if (reply->owned)
		free(reply->body);
	if (reply->end)
		reply->end(reply->stream);
	reply->body = reply->stream = NULL;
	reply->owned = false;
	reply->more = NULL;
	reply->end = NULL;
}

void problem_set(struct problem *problem, unsigned status, const char *title, const char *detail, ...)
{
	va_list args;
	memset(problem, 0, sizeof(*problem));
	problem->status = status;
	problem->title = title;
	va_start(args, detail);
	vsnprintf(problem->detail, sizeof(problem->detail), detail, args);
	va_end(args);
}

void problem_error(struct problem *problem, char place, const char *name, const char *message, ...)
{
	va_list args;
	if (problem->n_errors == PROBLEM_ERRORS_MAX)
		return;
	struct problem_error *error = &problem->errors[problem->n_errors++];
	snprintf(error->pointer, sizeof(error->pointer), "%c%s", place, name);
	va_start(args, message);
	vsnprintf(error->message, sizeof(error->message), message, args);
	va_end(args);
}

static int problem_code(const struct problem *problem)
{
	if (problem->code)
		return problem->code;
	switch (problem->status) {
	case 400:
	case 405:
	case 413:
	case 415: return 2;
	case 401:
	case 403: return 4;
	case 404: return 5;
	case 409:
	case 412: return 8;
	default: return 1;
	}
}

void reply_problem(struct reply *reply, const struct problem *problem)
{
	json_t *o = json_schema("farlan.problem/1");
	json_object_set_new(o, "type", json_string("about:blank"));
	json_object_set_new(o, "title", json_text(problem->title));
	json_object_set_new(o, "status", json_integer((json_int_t)problem->status));
	json_object_set_new(o, "detail", json_text(problem->detail));
	if (problem->hint[0])
		json_object_set_new(o, "hint", json_text(problem->hint));
	if (problem->command[0])
		json_object_set_new(o, "command", json_text(problem->command));
	json_object_set_new(o, "code", json_integer(problem_code(problem)));
	if (problem->reason)
		json_object_set_new(o, "reason", json_string(problem->reason));
	json_t *errors = problem->n_errors ? json_array() : NULL;
	for (unsigned i = 0; i < problem->n_errors; i++) {
		json_t *error = json_object();
		json_object_set_new(error, "pointer", json_text(problem->errors[i].pointer));
		json_object_set_new(error, "message", json_text(problem->errors[i].message));
		json_array_append_new(errors, error);
	}
	if (errors)
		json_object_set_new(o, "errors", errors);
	reply_json(reply, problem->status, o);
	reply->type = "application/problem+json";
}
