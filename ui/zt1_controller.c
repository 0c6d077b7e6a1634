/* zt1_controller.c: the table of what a controller answers, and what its files share.
 *
 * GET /network and its like ask a node; the controller's joins nothing, and says where to ask instead.
 */
#include "ui/zt1_controller.h"

#include <string.h>

#include "ui/controller_routes.h"
#include "ui/health_api.h"

#define WRITE (METHOD_POST | METHOD_PUT)

void zt1_failed(struct reply *reply, enum admin_status status, const struct admin_error *error)
{
	static const unsigned http[] = {
	    [ADMIN_OK] = 500, [ADMIN_NOT_FOUND] = 404, [ADMIN_CONFLICT] = 409, [ADMIN_INVALID] = 400, [ADMIN_UNAVAILABLE] = 503,
	};
	zt1_refuse(reply, http[status], "%s: %s %s", error->title, error->detail, error->hint);
}

bool zt1_wrong(char why[ZT1_REASON], const char *name, const char *should)
{
	snprintf(why, ZT1_REASON, "\"%s\" %s", name, should);
	return false;
}

/* Lists of lists are looked into so deep and no deeper. */
static bool hollow(const json_t *value, unsigned depth)
{
	const json_t *inner;
	size_t i;
	if (json_is_array(value) && depth)
		json_array_foreach(value, i, inner) if (!hollow(inner, depth - 1)) return false;
	return !value || json_is_null(value) || json_is_false(value) || (json_is_array(value) && (depth || !json_array_size(value))) ||
	       (json_is_string(value) && !json_string_length(value)) || (json_is_object(value) && !json_object_size(value)) ||
	       (json_is_number(value) && json_number_value(value) == 0);
}

bool zt1_hollow(const json_t *value)
{
	return hollow(value, 4);
}

bool zt1_lacking(const json_t *body, const char *const *names, char why[ZT1_REASON])
{
	for (; *names; names++) {
		const json_t *value = json_object_get(body, *names);
		if (!zt1_hollow(value) && !(json_is_string(value) && !zt1_bool(value, true)))
			return zt1_wrong(why, *names, "cannot be enforced by this controller and must be empty; nothing was changed");
	}
	return true;
}

bool zt1_network_of(const struct request *request, struct reply *reply, uint64_t *ret)
{
	if (zt1_nwid(request->arg[0], ret))
		return true;
	zt1_refuse(reply, 404, "\"%.40s\" is no network: 16 hex digits", request->arg[0]);
	return false;
}

bool zt1_member_of(const struct request *request, struct reply *reply, uint64_t *ret_nwid, uint64_t *ret)
{
	if (!zt1_network_of(request, reply, ret_nwid))
		return false;
	if (zt1_address(request->arg[1], ret) && *ret)
		return true;
	zt1_refuse(reply, 404, "\"%.40s\" is no member: 10 hex digits", request->arg[1]);
	return false;
}

static void joined_get(void *self, const struct request *request, struct reply *reply)
{
	(void)self;
	(void)request;
	reply_json(reply, 200, json_array());
}

static void joined_none(void *self, const struct request *request, struct reply *reply)
{
	(void)self;
	zt1_refuse(reply, 404, "the controller is in no network, so not in %.40s", request->arg[0]);
}

static void joined_post(void *self, const struct request *request, struct reply *reply)
{
	(void)self;
	zt1_refuse(reply, 409,
	           "the controller joins nothing: run farlan join %.40s on the machine that is to join, or ask the zt1 port of its farland",
	           request->arg[0]);
}

static void metrics(void *self, const struct request *request, struct reply *reply)
{
	metrics_get(((struct zt1_api *)self)->api, request, reply);
}

static const struct zt1_route routes[] = {
    {METHOD_GET, "/status", zt1_status_get, false},
    {METHOD_GET, "/health", zt1_health_get, true},
    {METHOD_GET, "/metrics", metrics, false},
    {METHOD_GET, "/peer", zt1_peers_get, false},
    {METHOD_GET, "/peer/*", zt1_peer_get, false},
    {METHOD_GET, "/network", joined_get, false},
    {METHOD_GET | METHOD_DELETE, "/network/*", joined_none, false},
    {WRITE, "/network/*", joined_post, false},
    {METHOD_GET, "/controller", zt1_controller_get, false},
    {METHOD_GET, "/controller/network", zt1_networks_get, false},
    {WRITE, "/controller/network", zt1_network_create, false},
    {METHOD_GET, "/controller/network/*", zt1_network_get, false},
    {WRITE, "/controller/network/*", zt1_network_post, false},
    {METHOD_DELETE, "/controller/network/*", zt1_network_delete, false},
    {METHOD_GET, "/controller/network/*/member", zt1_members_get, false},
    {METHOD_GET, "/controller/network/*/member/*", zt1_member_get, false},
    {WRITE, "/controller/network/*/member/*", zt1_member_post, false},
    {METHOD_DELETE, "/controller/network/*/member/*", zt1_member_delete, false},
    {METHOD_GET, "/unstable/controller/network", zt1_networks_all, false},
    {METHOD_GET, "/unstable/controller/network/*/member", zt1_members_all, false},
};

void zt1_controller_serve(struct zt1_api *api, const struct request *request, struct reply *reply)
{
	zt1_dispatch(routes, sizeof(routes) / sizeof(routes[0]), api, request, reply);
}
