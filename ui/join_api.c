/* join_api.c: a network joined by an invitation: the link is taken apart here, and named nowhere again. */
#include "ui/join_api.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "proto/invite.h"
#include "ui/json.h"
#include "ui/node_api.h"
#include "ui/settings.h"

static bool body_read(const struct request *request, struct invite_link *ret, char ret_dev[16], struct problem *problem)
{
	static const char *const names[] = {"link", "dev", NULL};
	char text[INVITE_LINK_MAX] = "", dev[16] = "";
	const char *why = "";
	size_t at = 0;
	bool is = false;
	json_t *object = json_body(request->body, request->body_len, names, problem);
	bool good = object && json_take_text(object, "link", 1, text, sizeof(text), &is, problem);
	if (good && (!is || !invite_link_parse(text, ret, &at, &why))) {
		problem_set(problem, 400, "not an invitation", "%s", is ? why : "\"link\" is missing");
		good = false;
	}
	if (good)
		good = json_take_text(object, "dev", 1, dev, sizeof(dev), &is, problem);
	if (good && is && !settings_dev(dev, problem))
		good = false;
	if (good)
		memcpy(ret_dev, dev, sizeof(dev));
	explicit_bzero(text, sizeof(text));
	json_decref(object);
	return good;
}

static void refused(struct reply *reply, int error)
{
	struct problem problem;
	if (error == -EPERM) {
		problem_set(&problem, 409, "another controller",
		            "this network is known here with another controller than the invitation names");
		snprintf(problem.hint, sizeof(problem.hint),
		         "leave the network first, if you trust who invites more than whom you joined then");
	} else if (error == -ENOSPC) {
		problem_set(&problem, 409, "too many networks", "this node is in %d networks, which is the most", NETWORKS_MAX);
		snprintf(problem.hint, sizeof(problem.hint), "leave one: farlan leave NWID");
	} else {
		problem_set(&problem, error == -EINVAL ? 400 : 503, "cannot join", "%s", strerror(-error));
	}
	reply_problem(reply, &problem);
}

void join_post(void *self, const struct request *request, struct reply *reply)
{
	struct node_api *api = self;
	struct problem problem;
	struct invite_link link;
	char dev[16], id[NWID_TEXT];
	if (!body_read(request, &link, dev, &problem)) {
		reply_problem(reply, &problem);
		return;
	}
	struct request shown = *request;
	nwid_format(link.nwid, id);
	shown.arg[0] = id;
	int error = node_join_link(api->node, &link, *dev ? dev : NULL, api->now);
	invite_link_fini(&link);
	if (error)
		refused(reply, error);
	else
		node_api_network(self, &shown, reply);
}
