/* zt1_node.c: joining, leaving and looking, by the API of ZeroTier One's own node.
 *
 * A joined network has what its controller says of it, within bounds that here nobody can move: addresses and routes are set where they are
 * private, never a default route, never this machine's DNS. That is what their four switches say unless somebody turns one, so a program
 * that sends them along as they are is served, and one that turns a switch is told that it cannot be turned rather than believed
 * to have done it. A peer that neither way reaches is no peer: they know no word for it but to leave it out.
 */
#include "ui/zt1_node.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "node/group.h"

static const struct {
	const char *name;
	bool is;
	const char *why;
} switches[] = {
    {"allowManaged", true, "the addresses and routes that a controller gives are always set"},
    {"allowGlobal", false, "addresses and routes outside of private ranges are never set"},
    {"allowDefault", false, "a default route is never set"},
    {"allowDNS", false, "the DNS of this machine is never changed; dns of this object says what the controller wants"},
};
#define SWITCHES (sizeof(switches) / sizeof(switches[0]))

static json_t *mac_json(const uint8_t mac[6])
{
	char text[18];
	snprintf(text, sizeof(text), "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]);
	return json_string(text);
}

static json_t *prefix_json(const struct prefix *p)
{
	char text[PREFIX_TEXT];
	prefix_format(p, text, sizeof(text));
	return json_string(text);
}

/* Who waits for approval is refused so far, which is how they tell it. */
static const char *status_word(const struct net_view *v)
{
	switch (v->state) {
	case NET_JOINED: return "OK";
	case NET_PENDING:
	case NET_DENIED: return "ACCESS_DENIED";
	case NET_ERROR: return "PORT_ERROR";
	case NET_ASKING: break;
	}
	return "REQUESTING_CONFIGURATION";
}

static json_t *route_json(const struct route *r)
{
	json_t *o = json_route(r);
	json_object_set_new(o, "flags", json_integer(0));
	json_object_set_new(o, "metric", json_integer(r->metric));
	return o;
}

/* The kernel's own route of an address is one of theirs, too: how they tell which network that is. */
static json_t *routes_json(const struct net_view *v)
{
	json_t *list = json_array();
	for (unsigned i = 0; i < v->n_addresses; i++) {
		struct prefix net = v->addresses[i];
		if (net.bits >= (net.family == 4 ? 32 : 128))
			continue;
		for (unsigned bit = net.bits; bit < (net.family == 4 ? 32u : 128u); bit++)
			net.ip[bit / 8] &= (uint8_t) ~(0x80u >> bit % 8);
		json_array_append_new(list, route_json(&(struct route){.target = net}));
	}
	for (unsigned i = 0; i < v->n_routes; i++)
		json_array_append_new(list, route_json(&v->routes[i]));
	return list;
}

static json_t *dns_json(const struct section_dns *dns)
{
	json_t *o = json_object(), *servers = json_array();
	for (unsigned i = 0; i < dns->n_servers; i++)
		json_array_append_new(servers, json_host(&dns->servers[i]));
	json_object_set_new(o, "domain", json_text(dns->domain));
	json_object_set_new(o, "servers", servers);
	return o;
}

static void group_append(void *list, const struct groups_view *view)
{
	for (uint32_t i = 0; view->own && i < view->n; i++) {
		json_t *o = json_object();
		json_object_set_new(o, "mac", mac_json(view->group[i]));
		json_object_set_new(o, "adi", json_integer(0));
		json_array_append_new(list, o);
	}
}

static json_t *network_json(struct node *node, const struct net_view *v)
{
	char id[NWID_TEXT];
	json_t *o = json_object(), *addresses = json_array(), *groups = json_array();
	nwid_format(v->nwid, id);
	for (unsigned i = 0; i < v->n_addresses; i++)
		json_array_append_new(addresses, prefix_json(&v->addresses[i]));
	node_groups(node, v->nwid, group_append, groups);
	json_object_set_new(o, "id", json_string(id));
	json_object_set_new(o, "nwid", json_string(id));
	json_object_set_new(o, "mac", mac_json(v->mac));
	json_object_set_new(o, "name", json_text(v->name));
	json_object_set_new(o, "status", json_string(status_word(v)));
	json_object_set_new(o, "type", json_string(v->flags & NETWORK_PUBLIC ? "PUBLIC" : "PRIVATE"));
	json_object_set_new(o, "mtu", json_integer(v->mtu));
	json_object_set_new(o, "dhcp", json_false());
	json_object_set_new(o, "bridge", json_boolean(v->rights & MEMBER_BRIDGE));
	json_object_set_new(o, "broadcastEnabled", json_boolean(!(v->flags & NETWORK_NO_BROADCAST)));
	json_object_set_new(o, "portError", json_integer(v->state == NET_ERROR ? -1 : 0));
	json_object_set_new(o, "netconfRevision", json_count(v->head_version));
	json_object_set_new(o, "portDeviceName", json_text(v->dev));
	for (unsigned i = 0; i < SWITCHES; i++)
		json_object_set_new(o, switches[i].name, json_boolean(switches[i].is));
	json_object_set_new(o, "assignedAddresses", addresses);
	json_object_set_new(o, "routes", routes_json(v));
	json_object_set_new(o, "multicastSubscriptions", groups);
	json_object_set_new(o, "dns", dns_json(&v->dns));
	json_object_set_new(o, "authenticationURL", json_string(""));
	json_object_set_new(o, "authenticationExpiryTime", json_integer(0));
	json_object_set_new(o, "ssoEnabled", json_false());
	return o;
}

/* ---- networks */

struct networks {
	struct node *node;
	json_t *list;
};

static void network_append(void *self, const struct net_view *view)
{
	struct networks *all = self;
	json_array_append_new(all->list, network_json(all->node, view));
}

static void networks_get(void *self, const struct request *request, struct reply *reply)
{
	struct zt1_node *z = self;
	struct networks all = {.node = z->node, .list = json_array()};
	(void)request;
	node_networks(z->node, network_append, &all);
	reply_json(reply, 200, all.list);
}

static bool nwid_of(const struct request *request, struct reply *reply, uint64_t *ret)
{
	if (zt1_nwid(request->arg[0], ret))
		return true;
	zt1_refuse(reply, 400, "a network id is 16 hex digits");
	return false;
}

static void answer(struct zt1_node *z, uint64_t nwid, struct reply *reply)
{
	struct net_view view;
	if (node_network(z->node, nwid, &view))
		reply_json(reply, 200, network_json(z->node, &view));
	else
		zt1_empty(reply, 404);
}

static void network_get(void *self, const struct request *request, struct reply *reply)
{
	uint64_t nwid;
	if (nwid_of(request, reply, &nwid))
		answer(self, nwid, reply);
}

static void network_post(void *self, const struct request *request, struct reply *reply)
{
	struct zt1_node *z = self;
	uint64_t nwid;
	if (!nwid_of(request, reply, &nwid))
		return;
	json_t *body = zt1_body(request, reply);
	if (!body)
		return;
	for (unsigned i = 0; i < SWITCHES; i++)
		if (zt1_bool(json_object_get(body, switches[i].name), switches[i].is) != switches[i].is) {
			zt1_refuse(reply, 400, "%s cannot be %s: %s", switches[i].name, switches[i].is ? "false" : "true", switches[i].why);
			json_decref(body);
			return;
		}
	json_decref(body);
	int error = node_join(z->node, nwid, NULL, NULL, z->now);
	if (error == -ENOSPC)
		zt1_refuse(reply, 409, "this node is in %d networks, which is the most", NETWORKS_MAX);
	else if (error == -EINVAL)
		zt1_refuse(reply, 400, "this network cannot be joined");
	else if (error)
		zt1_refuse(reply, 503, "cannot join: %s", strerror(-error));
	else
		answer(z, nwid, reply);
}

static void network_delete(void *self, const struct request *request, struct reply *reply)
{
	struct zt1_node *z = self;
	uint64_t nwid;
	if (!nwid_of(request, reply, &nwid))
		return;
	if (node_leave(z->node, nwid, z->now) < 0) {
		zt1_empty(reply, 404);
		return;
	}
	json_t *o = json_object();
	json_object_set_new(o, "result", json_true());
	reply_json(reply, 200, o);
}

/* ---- peers */

static json_t *peer_json(const struct peer_view *view)
{
	return zt1_peer_json(&(struct zt1_peer){.address = view->identity.address,
	                                        .rtt_us = view->rtt_us,
	                                        .version = "",
	                                        .root = view->role_root,
	                                        .direct = view->direct && !view->tls,
	                                        .stream = view->tls,
	                                        .path = view->endpoint,
	                                        .seen_ms = zt1_wall_ms() - view->last_heard_ms});
}

static void peer_append(void *list, const struct peer_view *view)
{
	if (view->up)
		json_array_append_new(list, peer_json(view));
}

static void peers_get(void *self, const struct request *request, struct reply *reply)
{
	struct zt1_node *z = self;
	json_t *list = json_array();
	(void)request;
	node_peers(z->node, z->now, peer_append, list);
	reply_json(reply, 200, list);
}

struct one {
	uint64_t address;
	json_t *found;
};

static void peer_match(void *self, const struct peer_view *view)
{
	struct one *one = self;
	if (view->up && view->identity.address == one->address && !one->found)
		one->found = peer_json(view);
}

static void peer_get(void *self, const struct request *request, struct reply *reply)
{
	struct zt1_node *z = self;
	struct one one = {.found = NULL};
	if (zt1_address(request->arg[0], &one.address))
		node_peers(z->node, z->now, peer_match, &one);
	if (one.found)
		reply_json(reply, 200, one.found);
	else
		zt1_empty(reply, 200); /* they look whether it is empty */
}

/* ---- itself */

static void root_seen(void *online, const struct root_view *root)
{
	*(bool *)online = *(bool *)online || root->online;
}

static bool online(const struct zt1_node *z)
{
	bool is = false;
	node_roots(z->node, root_seen, &is);
	return is;
}

static void status_get(void *self, const struct request *request, struct reply *reply)
{
	struct zt1_node *z = self;
	struct netcheck_view check;
	struct endpoint surface[2];
	struct zt1_status status = {.self = node_identity(z->node), .online = online(z), .surface = surface};
	(void)request;
	node_netcheck(z->node, &check);
	for (unsigned i = 0; i < 2; i++)
		if (check.family[i].observed.family)
			surface[status.n_surface++] = check.family[i].observed;
	status.fallback = check.tls && !check.family[0].reached && !check.family[1].reached;
	status.port = check.n_bound ? check.bound[0].port : 0;
	reply_json(reply, 200, zt1_status_json(&z->door, &status));
}

static void health_get(void *self, const struct request *request, struct reply *reply)
{
	(void)request;
	reply_json(reply, 200, zt1_health_json(online(self)));
}

static const struct zt1_route routes[] = {
    {METHOD_GET, "/status", status_get, false},
    {METHOD_GET, "/health", health_get, true},
    {METHOD_GET, "/network", networks_get, false},
    {METHOD_GET, "/network/*", network_get, false},
    {METHOD_POST | METHOD_PUT, "/network/*", network_post, false},
    {METHOD_DELETE, "/network/*", network_delete, false},
    {METHOD_GET, "/peer", peers_get, false},
    {METHOD_GET, "/peer/*", peer_get, false},
};

void zt1_node_serve(struct zt1_node *z, const struct request *request, struct reply *reply)
{
	zt1_dispatch(routes, sizeof(routes) / sizeof(routes[0]), z, request, reply);
}
