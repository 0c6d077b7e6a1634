/* topology_api.c: the picture of a network: its approved members, the controller and the controller's roots, and who of them reaches
 * whom in which way. Members' links are as they tell them, a minute old at most (controller/topology.c); a member without any is
 * drawn alone. Roots stand there for the way the controller itself goes out; by which of them a member is relayed nobody tells. */
#include "ui/controller_routes.h"

static json_t *node_json(uint64_t address, const char *name, bool online, const char *role)
{
	char text[ADDRESS_TEXT];
	json_t *o = json_object();
	address_format(address, text);
	json_object_set_new(o, "address", json_string(text));
	json_object_set_new(o, "name", json_text(name));
	json_object_set_new(o, "online", json_boolean(online));
	json_object_set_new(o, "role", json_string(role));
	return o;
}

static json_t *link_json(const struct topology_link *l)
{
	char text[ADDRESS_TEXT];
	json_t *o = json_object();
	address_format(l->a, text);
	json_object_set_new(o, "a", json_string(text));
	address_format(l->b, text);
	json_object_set_new(o, "b", json_string(text));
	json_object_set_new(o, "link", json_string(l->kind == LINK_DIRECT ? "direct" : "relay"));
	json_object_set_new(o, "rtt_ms", l->rtt_us ? json_real((double)l->rtt_us / 1000) : json_null());
	json_object_set_new(o, "age_s", json_count(l->age_s));
	return o;
}

struct drawing {
	json_t *nodes, *links;
	uint64_t controller;
	bool drawn; /* the controller: it is a member too */
};

static void member_draw(void *self, const struct member_row *row)
{
	struct drawing *d = self;
	if (row->state != MEMBER_APPROVED)
		return;
	bool controller = row->address == d->controller;
	d->drawn = d->drawn || controller;
	json_array_append_new(d->nodes, node_json(row->address, *row->name ? row->name : row->hostname, row->online || controller,
	                                          controller ? "controller" : "member"));
}

static void link_draw(void *self, const struct topology_link *l)
{
	struct drawing *d = self;
	json_array_append_new(d->links, link_json(l));
}

/* As the status has them: by TLS or UDP, a root is reached without a relay or not at all. */
static void roots_draw(const struct controller_api *api, struct drawing *d)
{
	json_t *status = json_object(), *root;
	size_t i;
	api->status_roots(api->status_self, status);
	json_array_foreach(json_object_get(status, "roots"), i, root)
	{
		uint64_t address;
		const char *text = json_string_value(json_object_get(root, "address"));
		bool online = json_is_true(json_object_get(root, "online"));
		if (!text || !address_parse(text, &address))
			continue;
		struct topology_link l = {.a = d->controller,
		                          .b = address,
		                          .kind = LINK_DIRECT,
		                          .rtt_us = (uint32_t)json_integer_value(json_object_get(root, "rtt_us"))};
		json_array_append_new(d->nodes, node_json(address, "", online, "root"));
		if (online)
			json_array_append_new(d->links, link_json(&l));
	}
	json_decref(status);
}

void topology_get(void *self, const struct request *request, struct reply *reply)
{
	struct controller_api *api = self;
	struct drawing d = {.controller = api->self->address};
	struct admin_error error = {0};
	uint64_t nwid;
	bool cut = false;

	if (!network_of(request, reply, &nwid))
		return;
	json_t *o = json_schema("farlan.topology/1");
	json_object_set_new(o, "nodes", d.nodes = json_array());
	json_object_set_new(o, "links", d.links = json_array());
	enum admin_status status = controller_topology(api->controller, nwid, link_draw, &d, &cut, &error);
	if (status == ADMIN_OK)
		status = controller_member_each(api->controller, nwid, member_draw, &d, &error);
	if (status != ADMIN_OK) {
		json_decref(o);
		admin_problem(reply, status, &error);
		return;
	}
	if (!d.drawn)
		json_array_append_new(d.nodes, node_json(d.controller, "", true, "controller"));
	if (api->status_roots)
		roots_draw(api, &d);
	json_object_set_new(o, "cut", json_boolean(cut));
	reply_json(reply, 200, o);
}
