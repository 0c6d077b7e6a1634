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

#include "ui/json.h"

#define SEGMENTS_MAX 12

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
		size_t len = strcspn(pattern, "/");
		if (len == 1 && *pattern == '*') {
			if (args == API_ARGS_MAX || !*segment[i])
				return false;
			arg[args++] = segment[i];
		} else if (strlen(segment[i]) != len || memcmp(segment[i], pattern, len) != 0) {
			return false;
		}
		pattern += len;
	}
	return !*pattern;
}

static void allow_add(struct reply *reply, enum method method)
{
	const char *name = method == METHOD_GET ? "GET" : method == METHOD_POST ? "POST" : method == METHOD_PATCH ? "PATCH" : "DELETE";
	size_t len = strlen(reply->allow);
	snprintf(reply->allow + len, sizeof(reply->allow) - len, "%s%s", len ? ", " : "", name);
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
		routes[i].handle(self, &request, reply);
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
	reply->body = NULL;
	reply->owned = false;
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
	case 409: return 8;
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
	reply_json(reply, problem->status, o);
	reply->type = "application/problem+json";
}
