/* watch_api.c: who asks to see frames names a socket of his own; frames never pass through HTTP.
 */
#include "ui/watch_api.h"

#include <errno.h>
#include <stdio.h>

#include "tap/mirror.h"
#include "ui/json.h"
#include "ui/settings.h"

static bool name_read(const struct request *request, char name[MIRROR_NAME_MAX + 1], struct problem *problem)
{
	static const char *const names[] = {"socket", NULL};
	bool set = false, good = false;
	json_t *o = json_body(request->body, request->body_len, names, problem);
	if (!o)
		return false;
	good = json_take_text(o, "socket", 1, name, MIRROR_NAME_MAX + 1, &set, problem);
	if (good && !set) {
		problem_set(problem, 400, "no socket", "socket is missing: the name of an abstract datagram socket, %s...", MIRROR_NAME);
		good = false;
	}
	json_decref(o);
	return good;
}

void watch_post(void *self, const struct request *request, struct reply *reply)
{
	struct node_api *api = self;
	struct problem problem = {0};
	char name[MIRROR_NAME_MAX + 1], dev[16];
	uint64_t nwid;
	uint8_t pin[17];
	bool pinned;
	if (!settings_join(request->arg[0], NULL, 0, &nwid, dev, &pinned, pin, &problem) || !name_read(request, name, &problem)) {
		reply_problem(reply, &problem);
		return;
	}
	switch (node_watch(api->node, nwid, name)) {
	case 0: reply_json(reply, 200, json_schema("farlan.watch/1")); return;
	case -ENOENT:
		problem_set(&problem, 404, "not joined", "this node is not in network %.44s", request->arg[0]);
		snprintf(problem.command, sizeof(problem.command), "farlan networks");
		break;
	case -EINVAL: problem_set(&problem, 400, "no such name", "socket must begin with %s", MIRROR_NAME); break;
	case -ENOSPC:
		problem_set(&problem, 409, "too many watch", "%d captures of this network are running; end one of them first", MIRRORS_MAX);
		break;
	case -ECONNREFUSED:
		problem_set(&problem, 409, "nobody listens",
		            "nobody listens at that socket as this daemon sees it; run the capture in the daemon's network namespace");
		break;
	default: problem_set(&problem, 500, "no capture", "the socket could not be reached"); break;
	}
	reply_problem(reply, &problem);
}
