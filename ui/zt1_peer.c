/* zt1_peer.c: the controller itself, and whom it reaches.
 *
 * Every member that is online has a session with the controller, directly or by a relay, and the controller's node measures it; so
 * peers are the members of all its networks that are online, each once, and the roots, which are what they call planets. A peer that is
 * not there is told by an empty object, which is how they know it is offline.
 */
#include "node/node.h"

#include <stdio.h>
#include <string.h>

#include "ui/zt1_controller.h"

#define SURFACE_MAX 8

/* ---- itself ---- */

struct sight {
	bool online, any;
	json_t *peers; /* address → object; NULL = not asked for */
	struct endpoint surface[SURFACE_MAX];
	unsigned n_surface;
};

static void root_look(void *self, const struct root_view *view)
{
	struct sight *sight = self;
	bool known = !view->observed.family;
	char address[ADDRESS_TEXT];
	sight->any = true;
	sight->online = sight->online || view->online;
	for (unsigned i = 0; i < sight->n_surface; i++)
		known = known || endpoint_equal(&sight->surface[i], &view->observed);
	if (!known && sight->n_surface < SURFACE_MAX)
		sight->surface[sight->n_surface++] = view->observed;
	if (!sight->peers)
		return;
	struct zt1_peer peer = {.address = view->identity.address,
	                        .rtt_us = view->rtt_us,
	                        .version = "",
	                        .root = true,
	                        .direct = view->online && !view->tls,
	                        .stream = view->online && view->tls,
	                        .path = view->endpoint,
	                        .seen_ms = view->online ? zt1_wall_ms() : 0};
	address_format(peer.address, address);
	json_object_set_new(sight->peers, address, zt1_peer_json(&peer));
}

/* Without a root to ask nobody can say that it is offline. */
static void look(struct zt1_api *api, struct sight *sight)
{
	if (api->node)
		node_roots(api->node, root_look, sight);
	sight->online = sight->online || !sight->any;
}

void zt1_status_get(void *self, const struct request *request, struct reply *reply)
{
	struct zt1_api *api = self;
	struct sight sight = {0};
	struct netcheck_view net = {0};
	(void)request;
	look(api, &sight);
	if (api->node)
		node_netcheck(api->node, &net);
	struct zt1_status status = {.self = api->api->self,
	                            .online = sight.online,
	                            .fallback = net.tls && !net.family[0].reached && !net.family[1].reached,
	                            .port = net.n_bound ? net.bound[0].port : 0,
	                            .surface = sight.surface,
	                            .n_surface = sight.n_surface};
	reply_json(reply, 200, zt1_status_json(api->door, &status));
}

void zt1_health_get(void *self, const struct request *request, struct reply *reply)
{
	struct sight sight = {0};
	(void)request;
	look(self, &sight);
	reply_json(reply, 200, zt1_health_json(sight.online));
}

void zt1_controller_get(void *self, const struct request *request, struct reply *reply)
{
	struct zt1_api *api = self;
	bool ready = !strcmp(controller_health(api->api->controller), "ok");
	json_t *o = json_object();
	(void)request;
	json_object_set_new(o, "controller", json_true());
	json_object_set_new(o, "apiVersion", json_integer(4));
	json_object_set_new(o, "clock", json_count(zt1_wall_ms()));
	json_object_set_new(o, "databaseReady", json_boolean(ready));
	reply_json(reply, ready ? 200 : 503, o);
}

/* ---- whom it reaches ---- */

/* Where a member is comes with its next request: one whose way became direct just now is told like a relayed one until then, since a direct
 * peer without a path is offline to some of them. */
static json_t *member_peer(const struct member_row *row)
{
	bool known = row->link == LINK_DIRECT && row->physical.family, stream = row->physical.family & ENDPOINT_STREAM;
	const struct zt1_peer peer = {.address = row->address,
	                              .rtt_us = row->rtt_us,
	                              .version = row->version,
	                              .direct = known && !stream,
	                              .stream = known && stream,
	                              .path = row->physical,
	                              .seen_ms = zt1_wall_ms()};
	return zt1_peer_json(&peer);
}

static void member_append(void *self, const struct member_row *row)
{
	char address[ADDRESS_TEXT];
	address_format(row->address, address);
	if (!json_object_get(self, address))
		json_object_set_new(self, address, member_peer(row));
}

struct members {
	struct controller *controller;
	json_t *peers;
};

static void network_look(void *self, const struct network_row *row)
{
	struct members *members = self;
	const struct member_query query = {.online = ONLINE_YES};
	struct member_page page;
	struct admin_error error;
	if (row->online || row->pending)
		controller_member_query(members->controller, row->nwid, &query, member_append, members->peers, &page, &error);
}

void zt1_peers_get(void *self, const struct request *request, struct reply *reply)
{
	struct zt1_api *api = self;
	struct admin_error error = {0};
	struct sight sight = {.peers = json_object()};
	struct members members = {api->api->controller, sight.peers};
	json_t *list = json_array(), *peer;
	const char *address;
	(void)request;
	look(api, &sight);
	enum admin_status status = controller_network_each(api->api->controller, network_look, &members, &error);
	json_object_foreach(sight.peers, address, peer)
	{
		json_array_append(list, peer);
	}
	json_decref(sight.peers);
	if (status == ADMIN_OK) {
		reply_json(reply, 200, list);
		return;
	}
	json_decref(list);
	zt1_failed(reply, status, &error);
}

struct one {
	struct controller *controller;
	uint64_t address;
	json_t *peer;
};

static void network_seek(void *self, const struct network_row *network)
{
	struct one *one = self;
	struct member_row row;
	struct admin_error error;
	if (!one->peer && controller_member_get(one->controller, network->nwid, one->address, &row, &error) == ADMIN_OK && row.online)
		one->peer = member_peer(&row);
}

void zt1_peer_get(void *self, const struct request *request, struct reply *reply)
{
	struct zt1_api *api = self;
	struct admin_error error = {0};
	struct sight sight = {.peers = json_object()};
	struct one one = {.controller = api->api->controller};
	enum admin_status status = ADMIN_OK;
	char address[ADDRESS_TEXT];
	if (zt1_address(request->arg[0], &one.address)) {
		address_format(one.address, address);
		look(api, &sight);
		one.peer = json_incref(json_object_get(sight.peers, address));
		if (!one.peer)
			status = controller_network_each(api->api->controller, network_seek, &one, &error);
	}
	json_decref(sight.peers);
	if (status == ADMIN_OK) {
		reply_json(reply, 200, one.peer ? one.peer : json_object());
		return;
	}
	json_decref(one.peer);
	zt1_failed(reply, status, &error);
}
