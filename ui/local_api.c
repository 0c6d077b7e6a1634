/* local_api.c: the local settings of a network, from JSON bodies to the node, and from its view to JSON.
 *
 * Each answer is the whole network, as GET gives it. An interface that cannot be opened now is no failure: the node tries again until it can, and the
 * network says what is missing; only what can never work is refused.
 */
#include "ui/local_api.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "ui/json.h"

void local_json(json_t *o, const struct local_view *view)
{
	json_t *port = json_null();
	if (*view->iface) {
		port = json_object();
		json_object_set_new(port, "iface", json_text(view->iface));
		json_object_set_new(port, "filter", json_text(view->filter));
		json_object_set_new(port, "open", json_boolean(view->open));
		json_object_set_new(port, "reason", json_text(view->why));
	}
	json_object_set_new(o, "port", port);
	json_object_set_new(o, "game", json_boolean(view->game));
	json_object_set_new(o, "game_reason", json_text(view->game_why));
	json_object_set_new(o, "metric", view->metric_set ? json_integer(view->metric) : json_null());
}

static bool nwid_of(const struct request *request, struct reply *reply, uint64_t *ret)
{
	struct problem problem;
	bool pin;
	uint8_t bits[17];
	if (nwid_parse(request->arg[0], ret, &pin, bits))
		return true;
	problem_set(&problem, 400, "not a network id", "a network id is 16 hex digits");
	snprintf(problem.hint, sizeof(problem.hint), "farlan networks lists those of this machine");
	reply_problem(reply, &problem);
	return false;
}

/* The network as it is now, or that this node is not in it. */
static void answer(struct node_api *api, const struct request *request, struct reply *reply)
{
	struct request get = {.method = METHOD_GET, .local = request->local, .arg = {request->arg[0]}};
	node_api_network(api, &get, reply);
}

void local_patch(void *self, const struct request *request, struct reply *reply)
{
	static const char *const names[] = {"game", "metric", NULL};
	struct node_api *api = self;
	struct local_change change = {0};
	struct problem problem;
	uint64_t nwid, metric = 0;
	bool good = false;
	if (!nwid_of(request, reply, &nwid))
		return;
	json_t *object = json_body(request->body, request->body_len, names, &problem);
	if (!object)
		goto out;
	if (!json_take_bool(object, "game", &change.game, &change.game_given, &problem))
		goto out;
	if (json_is_null(json_object_get(object, "metric")))
		change.metric_given = true;
	else if (!json_take_count(object, "metric", 0, UINT32_MAX, &metric, &change.metric_given, &problem))
		goto out;
	else
		change.metric_set = change.metric_given;
	change.metric = (uint32_t)metric;
	good = true;
out:
	json_decref(object);
	if (!good) {
		reply_problem(reply, &problem);
		return;
	}
	node_local_set(api->node, nwid, &change, api->now);
	answer(api, request, reply);
}

static void add_failed(struct reply *reply, int error, const char *nwid, const char *why)
{
	struct problem problem;
	if (error == -EEXIST) {
		problem_set(&problem, 409, "there is a port", "%.44s has %s already, and a network has one", nwid, why);
		snprintf(problem.command, sizeof(problem.command), "farlan port remove %.44s %s", nwid, why);
	} else {
		problem_set(&problem, 400, "cannot be a port", "%s", why);
		if (!strncmp(why, "filter: ", 8))
			snprintf(problem.hint, sizeof(problem.hint), "the filter is that of pcap-filter(7)");
	}
	reply_problem(reply, &problem);
}

/* Names are shown on terminals and in the log. */
static bool iface_usable(const char *iface)
{
	for (; *iface; iface++)
		if ((unsigned char)*iface <= ' ' || (unsigned char)*iface >= 0x7f || *iface == '/')
			return false;
	return true;
}

void local_port_post(void *self, const struct request *request, struct reply *reply)
{
	static const char *const names[] = {"iface", "filter", NULL};
	struct node_api *api = self;
	struct problem problem;
	char iface[16] = "", filter[512] = "";
	const char *why = "";
	uint64_t nwid;
	bool is, good = false;
	if (!nwid_of(request, reply, &nwid))
		return;
	json_t *object = json_body(request->body, request->body_len, names, &problem);
	if (object && json_take_text(object, "iface", 1, iface, sizeof(iface), &is, &problem)) {
		if (!is || !iface_usable(iface))
			problem_set(&problem, 400, "no interface", "a port needs an \"iface\", the name of an interface of this machine");
		else
			good = json_take_text(object, "filter", 0, filter, sizeof(filter), &is, &problem);
	}
	json_decref(object);
	if (!good) {
		reply_problem(reply, &problem);
		return;
	}
	int error = node_port_add(api->node, nwid, iface, filter, api->now, &why);
	if (error && error != -ENOENT)
		add_failed(reply, error, request->arg[0], why);
	else
		answer(api, request, reply);
}

void local_port_delete(void *self, const struct request *request, struct reply *reply)
{
	struct node_api *api = self;
	struct problem problem;
	uint64_t nwid;
	if (!nwid_of(request, reply, &nwid))
		return;
	if (node_port_remove(api->node, nwid, request->arg[1], api->now) == -ENODEV) {
		problem_set(&problem, 404, "no such port", "%.32s is no port of %.44s", request->arg[1], request->arg[0]);
		snprintf(problem.command, sizeof(problem.command), "farlan port list");
		reply_problem(reply, &problem);
	} else {
		answer(api, request, reply);
	}
}
