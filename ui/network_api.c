/* network_api.c: networks, from a route to one call of the controller, and from its rows to JSON. */
#include <stdio.h>
#include <string.h>

#include "ui/controller_routes.h"

/* Without its length: a host. */
static json_t *route_json(const struct route *r)
{
	json_t *o = json_route(r);
	json_object_set_new(o, "metric", json_integer(r->metric));
	return o;
}

/* What is reached through it, and who answers for its names. */
static void ways_json(json_t *o, const struct network_row *row)
{
	json_t *routes = json_array(), *servers = json_array(), *dns = json_object(), *pool = json_object();
	for (unsigned i = 0; i < row->n_routes; i++)
		json_array_append_new(routes, route_json(&row->routes[i]));
	for (unsigned i = 0; i < row->dns.n_servers; i++)
		json_array_append_new(servers, json_host(&row->dns.servers[i]));
	json_object_set_new(dns, "domain", json_text(row->dns.domain));
	json_object_set_new(dns, "servers", servers);
	json_object_set_new(pool, "size", json_integer(row->pool_size));
	json_object_set_new(pool, "used", json_integer(row->pool_used));
	json_object_set_new(pool, "rest", json_integer(row->pool_size > row->pool_used ? row->pool_size - row->pool_used : 0));
	json_object_set_new(o, "routes", routes);
	json_object_set_new(o, "dns", dns);
	json_object_set_new(o, "pool", pool);
}

static json_t *address_json(const uint8_t ip[4])
{
	struct prefix p = {.family = 4, .bits = 32};
	memcpy(p.ip, ip, 4);
	return json_host(&p);
}

/* What is given by itself, and what may pass. */
static void given_json(json_t *o, const struct network_row *row)
{
	json_t *ranges = json_array(), *types = row->ethertypes.n ? json_array() : json_null();
	for (unsigned i = 0; i < row->n_ranges; i++)
		json_array_append_new(ranges, json_pack("{s:o, s:o}", "first", address_json(row->ranges[i].first), "last",
		                                        address_json(row->ranges[i].last)));
	for (unsigned i = 0; i < row->ethertypes.n; i++)
		json_array_append_new(types, json_integer(row->ethertypes.type[i]));
	json_object_set_new(o, "ranges", ranges);
	json_object_set_new(o, "auto_assign", json_boolean(row->auto_assign));
	json_object_set_new(o, "ethertypes", types);
	json_object_set_new(o, "ipv6_auto", json_boolean(!(row->flags & NETWORK_NO_ULA)));
}

static json_t *ula_json(uint64_t nwid)
{
	char text[PREFIX_TEXT];
	struct prefix p = {.family = 6, .bits = 64};
	ula_derive(nwid, 0, p.ip);
	memset(p.ip + 8, 0, 8);
	prefix_format(&p, text, sizeof(text));
	return json_string(text);
}

json_t *network_json(const struct network_row *row)
{
	char id[NWID_TEXT], pool[PREFIX_TEXT];
	json_t *o = json_object();
	nwid_format(row->nwid, id);
	json_object_set_new(o, "id", json_string(id));
	json_object_set_new(o, "name", json_text(row->name));
	json_object_set_new(o, "description", json_text(row->description));
	json_object_set_new(o, "mtu", json_integer(row->mtu));
	if (row->pool.family)
		prefix_format(&row->pool, pool, sizeof(pool));
	json_object_set_new(o, "ipv4", row->pool.family ? json_string(pool) : json_null());
	json_object_set_new(o, "ipv6", row->flags & NETWORK_NO_ULA ? json_null() : ula_json(row->nwid));
	ways_json(o, row);
	given_json(o, row);
	json_object_set_new(o, SETTING_STORM, json_integer(row->limits.storm_frames));
	json_object_set_new(o, SETTING_MCAST_RATE, json_integer(row->limits.mcast_kbit));
	json_object_set_new(o, SETTING_MCAST_LIMIT, json_integer(row->limits.mcast_limit));
	flags_json(o, network_flag_names, row->flags);
	json_object_set_new(o, "version", json_count(row->version));
	json_object_set_new(o, "revision", json_count(row->revision));
	json_object_set_new(o, "members", json_integer(row->members));
	json_object_set_new(o, "pending", json_integer(row->pending));
	json_object_set_new(o, "online", json_integer(row->online));
	json_object_set_new(o, "relayed", json_integer(row->relayed));
	json_object_set_new(o, "traffic", traffic_rate_json(row->carries, row->rx_bps, row->tx_bps));
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
	json_object_set_new(o, "total", json_integer((json_int_t)json_array_size(networks)));
	json_object_set_new(o, "next", json_null()); /* a list of one part */
	json_object_set_new(o, "networks", networks);
	if (status == ADMIN_OK) {
		reply_json(reply, 200, o);
		return;
	}
	json_decref(o);
	admin_problem(reply, status, &error);
}

static void warning_append(void *list, const char *text)
{
	json_array_append_new(list, json_text(text));
}

static void network_answer(struct controller_api *api, unsigned http, uint64_t nwid, struct reply *reply)
{
	struct admin_error error = {0};
	struct network_row row;
	enum admin_status status = controller_network_get(api->controller, nwid, &row, &error);
	if (status != ADMIN_OK) {
		admin_problem(reply, status, &error);
		return;
	}
	json_t *o = network_json(&row), *warnings = json_array();
	controller_network_warnings(api->controller, nwid, warning_append, warnings);
	json_object_set_new(o, "warnings", warnings);
	reply_etag(reply, row.revision);
	reply_row(reply, http, "farlan.controller.network/1", o);
}

/* As the caller saw it, if he says so? false: answered. */
static bool network_unchanged(struct controller_api *api, const struct request *request, struct reply *reply, uint64_t nwid)
{
	struct admin_error error;
	struct network_row row;
	return !request->if_match || controller_network_get(api->controller, nwid, &row, &error) != ADMIN_OK ||
	       request_matches(request, reply, row.revision);
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
	if (!network_unchanged(api, request, reply, nwid))
		return;
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
	if (status == ADMIN_OK && !request_matches(request, reply, row.revision))
		return;
	if (status == ADMIN_OK)
		status = controller_network_delete(api->controller, nwid, &error);
	if (status == ADMIN_OK)
		reply_row(reply, 200, "farlan.controller.network/1", network_json(&row)); /* as it was */
	else
		admin_problem(reply, status, &error);
}
