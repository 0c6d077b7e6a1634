/* drops_api.c: drop counters as JSON.
 *
 * By reason every counter is there, zero or not, so that a program may ask for one it knows. By member only what is not zero is, and only
 * reasons that are a member's own doing (blame.h): a full queue here is nobody's fault.
 */
#include "ui/drops_api.h"

#include <stdio.h>

#include "ui/json.h"
#include "ui/settings.h"
#include "ui/sight_api.h"

/* Members of a network, and what they caused together. */
struct look {
	struct node *node;
	json_t *members;
	char nwid[NWID_TEXT];
	uint64_t sum[DROP_COUNT];
};

json_t *drops_json(const uint64_t counts[DROP_COUNT])
{
	json_t *drops = json_object();
	for (int i = DROP_NONE + 1; i < DROP_COUNT; i++)
		if (counts[i])
			json_object_set_new(drops, drop_name((enum drop)i), json_count(counts[i]));
	return drops;
}

static void member_append(void *self, const struct blame_view *view)
{
	struct look *look = self;
	json_t *o = json_object();
	for (int i = DROP_NONE + 1; i < DROP_COUNT; i++)
		look->sum[i] += view->drop[i];
	json_object_set_new(o, "network", json_string(look->nwid));
	json_object_set_new(o, "address", sight_address(view->address));
	json_object_set_new(o, "name", json_text(view->name));
	json_object_set_new(o, "drops", drops_json(view->drop));
	json_array_append_new(look->members, o);
}

static void network_look(void *self, const struct net_view *view)
{
	struct look *look = self;
	nwid_format(view->nwid, look->nwid);
	(void)node_blames(look->node, view->nwid, member_append, look);
}

static void answer(struct reply *reply, json_t *o, const uint64_t counts[DROP_COUNT], json_t *members)
{
	json_t *drops = json_object(), *text = json_object();
	for (int i = DROP_NONE + 1; i < DROP_COUNT; i++) {
		json_object_set_new(drops, drop_name((enum drop)i), json_count(counts[i]));
		json_object_set_new(text, drop_name((enum drop)i), json_text(drop_text((enum drop)i)));
	}
	json_object_set_new(o, "drops", drops);
	json_object_set_new(o, "text", text);
	json_object_set_new(o, "members", members);
	reply_json(reply, 200, o);
}

void drops_get(void *self, const struct request *request, struct reply *reply)
{
	struct node_api *api = self;
	struct look look = {.node = api->node, .members = json_array()};
	uint64_t counts[DROP_COUNT];
	(void)request;
	node_drops(api->node, counts);
	node_networks(api->node, network_look, &look);
	answer(reply, json_schema("farlan.drops/1"), counts, look.members);
}

void drops_network_get(void *self, const struct request *request, struct reply *reply)
{
	struct node_api *api = self;
	struct look look = {.node = api->node};
	struct problem problem;
	uint64_t nwid;
	char dev[16];
	bool pinned;
	uint8_t pin[17];
	if (!settings_join(request->arg[0], NULL, 0, &nwid, dev, &pinned, pin, &problem)) {
		reply_problem(reply, &problem);
		return;
	}
	nwid_format(nwid, look.nwid);
	look.members = json_array();
	if (!node_blames(api->node, nwid, member_append, &look)) {
		json_decref(look.members);
		problem_set(&problem, 404, "not joined", "this node is not in network %.44s", request->arg[0]);
		snprintf(problem.command, sizeof(problem.command), "farlan networks");
		reply_problem(reply, &problem);
		return;
	}
	json_t *o = json_schema("farlan.network.drops/1");
	json_object_set_new(o, "network", json_string(look.nwid));
	answer(reply, o, look.sum, look.members);
}
