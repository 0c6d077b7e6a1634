/* network_api.c: networks, from a route to one call of the controller, and from its rows to JSON. */
#include <stdio.h>
#include <string.h>

#include "ui/controller_routes.h"

json_t *network_json(const struct network_row *row)
{
	char id[NWID_TEXT], pool[PREFIX_TEXT];
	json_t *o = json_object();
	nwid_format(row->nwid, id);
	json_object_set_new(o, "id", json_string(id));
	json_object_set_new(o, "name", json_text(row->name));
	json_object_set_new(o, "mtu", json_integer(row->mtu));
	if (row->pool.family)
		prefix_format(&row->pool, pool, sizeof(pool));
	json_object_set_new(o, "ipv4", row->pool.family ? json_string(pool) : json_null());
	json_object_set_new(o, SETTING_STORM, json_integer(row->limits.storm_frames));
	json_object_set_new(o, SETTING_MCAST_RATE, json_integer(row->limits.mcast_kbit));
	json_object_set_new(o, SETTING_MCAST_LIMIT, json_integer(row->limits.mcast_limit));
	flags_json(o, network_flag_names, row->flags);
	json_object_set_new(o, "version", json_count(row->version));
	json_object_set_new(o, "revision", json_count(row->revision));
	json_object_set_new(o, "members", json_integer(row->members));
	json_object_set_new(o, "pending", json_integer(row->pending));
	json_object_set_new(o, "online", json_integer(row->online));
	json_object_set_new(o, "created", json_count_or_null(row->created_wall_s));
	return o;
}

void network_append(void *array, const struct network_row *row)
{
	json_array_append_new(array, network_json(row));
}
void networks_get(void *self, const struct request *request, struct reply *reply)
{
	struct controller_api *api = self;
	struct admin_error error = {0};
	json_t *networks = json_array(), *o = json_schema("farlan.controller.networks/1");
	(void)request;
	enum admin_status status = controller_network_each(api->controller, network_append, networks, &error);
	json_object_set_new(o, "networks", networks);
	if (status == ADMIN_OK) {
		reply_json(reply, 200, o);
		return;
	}
	json_decref(o);
	admin_problem(reply, status, &error);
}

static void network_answer(struct controller_api *api, unsigned http, uint64_t nwid, struct reply *reply)
{
	struct admin_error error = {0};
	struct network_row row;
	enum admin_status status = controller_network_get(api->controller, nwid, &row, &error);
	if (status == ADMIN_OK)
		reply_row(reply, http, "farlan.controller.network/1", network_json(&row));
	else
		admin_problem(reply, status, &error);
}

void networks_post(void *self, const struct request *request, struct reply *reply)
{
	struct controller_api *api = self;
	struct network_settings settings;
	struct problem problem;
	struct admin_error error = {0};
	uint64_t nwid = 0;

	if (!settings_network(request->body, request->body_len, true, &settings, &problem)) {
		reply_problem(reply, &problem);
		return;
	}
	enum admin_status status = controller_network_create(api->controller, &settings, &nwid, &error);
	if (status == ADMIN_OK)
		network_answer(api, 201, nwid, reply);
	else
		admin_problem(reply, status, &error);
}

void network_get(void *self, const struct request *request, struct reply *reply)
{
	uint64_t nwid;
	if (network_of(request, reply, &nwid))
		network_answer(self, 200, nwid, reply);
}

void network_patch(void *self, const struct request *request, struct reply *reply)
{
	struct controller_api *api = self;
	struct network_settings settings;
	struct problem problem;
	struct admin_error error = {0};
	uint64_t nwid;

	if (!network_of(request, reply, &nwid))
		return;
	if (!settings_network(request->body, request->body_len, false, &settings, &problem)) {
		reply_problem(reply, &problem);
		return;
	}
	enum admin_status status = controller_network_set(api->controller, nwid, &settings, &error);
	if (status == ADMIN_OK)
		network_answer(api, 200, nwid, reply);
	else
		admin_problem(reply, status, &error);
}

void network_delete(void *self, const struct request *request, struct reply *reply)
{
	struct controller_api *api = self;
	struct admin_error error = {0};
	struct network_row row;
	uint64_t nwid;

	if (!network_of(request, reply, &nwid) || !body_none(request, reply))
		return;
	enum admin_status status = controller_network_get(api->controller, nwid, &row, &error);
	if (status == ADMIN_OK)
		status = controller_network_delete(api->controller, nwid, &error);
	if (status == ADMIN_OK)
		reply_row(reply, 200, "farlan.controller.network/1", network_json(&row)); /* as it was */
	else
		admin_problem(reply, status, &error);
}
