/* node_api.c: from a route to one call of the node, and from its views to JSON.
 *
 * Joining answers at once with the state as it stands (as a rule "asking"): waiting is the client's business, which asks
 * again until it sees what it wants. All views are copies made by the node for this call.
 */
#include "ui/node_api.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "proto/seal.h"
#include "proto/wire.h"
#include "ui/drops_api.h"
#include "ui/join_api.h"
#include "ui/json.h"
#include "ui/lan_api.h"
#include "ui/local_api.h"
#include "ui/node_metrics.h"
#include "ui/settings.h"
#include "ui/sight_api.h"
#include "ui/wake_api.h"
#include "ui/watch_api.h"

static json_t *dns_json(const struct section_dns *dns)
{
	char text[PREFIX_TEXT];
	json_t *o = json_object(), *servers = json_array();
	json_object_set_new(o, "domain", json_text(dns->domain));
	for (unsigned i = 0; i < dns->n_servers; i++) {
		prefix_format(&dns->servers[i], text, sizeof(text));
		*strchr(text, '/') = '\0';
		json_array_append_new(servers, json_string(text));
	}
	json_object_set_new(o, "servers", servers);
	return o;
}

/* Ethernet frames, not datagrams: PROTOCOL.md, REPORT. */
static json_t *carried_set(json_t *o, const struct carried *c)
{
	json_object_set_new(o, "rx_frames", json_count(c->rx_frames));
	json_object_set_new(o, "tx_frames", json_count(c->tx_frames));
	json_object_set_new(o, "rx_bytes", json_count(c->rx_bytes));
	json_object_set_new(o, "tx_bytes", json_count(c->tx_bytes));
	return o;
}

/* Managed ones, as this machine has set them. */
static json_t *routes_json(const struct net_view *view)
{
	char text[PREFIX_TEXT];
	json_t *routes = json_array();
	for (unsigned i = 0; i < view->n_routes; i++) {
		const struct route *r = &view->routes[i];
		struct prefix via = {.family = r->target.family, .bits = r->target.family == 4 ? 32 : 128};
		json_t *o = json_object();
		memcpy(via.ip, r->via, sizeof(via.ip));
		prefix_format(&r->target, text, sizeof(text));
		json_object_set_new(o, "target", json_string(text));
		prefix_format(&via, text, sizeof(text));
		json_object_set_new(o, "via", r->via_set ? json_stringn(text, strcspn(text, "/")) : json_null());
		json_object_set_new(o, "metric", json_integer(r->metric));
		json_array_append_new(routes, o);
	}
	return routes;
}

static json_t *rights_json(uint32_t flags)
{
	json_t *rights = json_array();
	for (const struct flag_name *flag = member_flag_names; flag->name; flag++)
		if (flags & flag->flag)
			json_array_append_new(rights, json_string(flag->name));
	return rights;
}

static json_t *net_json(const struct net_view *view, const char *schema)
{
	char text[PREFIX_TEXT], mac[18];
	static const uint8_t unpinned[KEY_HASH_BYTES];
	json_t *o = schema ? json_schema(schema) : json_object(), *addresses = json_array();

	char id[NWID_TEXT];
	nwid_format(view->nwid, id);
	snprintf(mac, sizeof(mac), "%02x:%02x:%02x:%02x:%02x:%02x", view->mac[0], view->mac[1], view->mac[2], view->mac[3], view->mac[4],
	         view->mac[5]);
	for (unsigned i = 0; i < view->n_addresses; i++) {
		prefix_format(&view->addresses[i], text, sizeof(text));
		json_array_append_new(addresses, json_string(text));
	}
	json_object_set_new(o, "id", json_string(id));
	json_object_set_new(o, "name", json_text(view->name));
	json_object_set_new(o, "state", json_string(net_state_name(view->state)));
	json_object_set_new(o, "reason", json_text(view->reason));
	json_object_set_new(o, "dev", json_text(view->dev));
	json_object_set_new(o, "mac", json_string(mac));
	json_object_set_new(o, "addresses", addresses);
	json_object_set_new(o, "routes", routes_json(view));
	json_object_set_new(o, "rights", rights_json(view->rights));
	json_object_set_new(o, "public", json_boolean(view->flags & NETWORK_PUBLIC));
	json_object_set_new(o, "broadcast", json_boolean(!(view->flags & NETWORK_NO_BROADCAST)));
	json_object_set_new(o, "dns", view->dns.n_servers ? dns_json(&view->dns) : json_null());
	json_object_set_new(o, "mtu", json_integer(view->mtu));
	json_object_set_new(o, "members", json_integer(view->members));
	json_object_set_new(o, "peers_up", json_integer(view->peers_up));
	json_object_set_new(o, "blocked", json_boolean(view->blocked));
	json_object_set_new(o, "loop", json_text(view->loop));
	carried_set(o, &view->carried);
	json_object_set_new(o, "drops", drops_json(view->drop));
	json_object_set_new(o, "version", json_count(view->head_version));
	local_json(o, &view->local);
	json_object_set_new(o, "controller", sight_address(view->nwid >> 24));
	if (memcmp(view->controller_key_hash, unpinned, sizeof(unpinned)) != 0)
		json_object_set_new(o, "controller_key_hash", json_hex(view->controller_key_hash, KEY_HASH_BYTES));
	return o;
}

static void net_append(void *array, const struct net_view *view)
{
	json_array_append_new(array, net_json(view, NULL));
}

struct roots {
	json_t *array;
	bool online;
};

static void root_append(void *self, const struct root_view *view)
{
	struct roots *roots = self;
	json_t *o = json_object();
	json_object_set_new(o, "address", sight_address(view->identity.address));
	json_object_set_new(o, "endpoint", sight_endpoint(&view->endpoint));
	json_object_set_new(o, "online", json_boolean(view->online));
	json_object_set_new(o, "rtt_us", view->rtt_us ? json_integer(view->rtt_us) : json_null());
	json_object_set_new(o, "tls", json_boolean(view->tls));
	if (*view->reason)
		json_object_set_new(o, "reason", json_text(view->reason));
	json_object_set_new(o, "observed", sight_endpoint(&view->observed));
	json_array_append_new(roots->array, o);
	roots->online = roots->online || view->online;
}

void node_api_roots(struct node *node, json_t *status)
{
	struct roots roots = {.array = json_array()};
	node_roots(node, root_append, &roots);
	json_object_set_new(status, "online", json_boolean(roots.online || !json_array_size(roots.array)));
	json_object_set_new(status, "roots", roots.array);
	sight_warnings(node, status);
}

/* What is always told in one breath: how a peer's packets are sealed, and by which library here. */
static void suite_set(json_t *o, uint8_t suite)
{
	bool known = suite == SUITE_AES256_GCM || suite == SUITE_CHACHA20_POLY1305;
	const char *name = suite == SUITE_AES256_GCM ? "aes256-gcm" : "chacha20-poly1305";
	json_object_set_new(o, "suite", json_string(known ? name : "none"));
	json_object_set_new(o, "backend", known ? json_string(seal_backend(suite)) : json_null());
}

struct peer_count {
	json_int_t direct, relay, sealed[SUITE_CHACHA20_POLY1305 + 1];
};

static void peer_counted(void *self, const struct peer_view *view)
{
	struct peer_count *count = self;
	if (view->up && view->direct)
		count->direct++;
	else if (view->up)
		count->relay++;
	if (view->up && view->suite <= SUITE_CHACHA20_POLY1305)
		count->sealed[view->suite]++;
}

static json_t *suites_json(const struct peer_count *count)
{
	json_t *suites = json_array();
	for (uint8_t suite = 1; suite <= SUITE_CHACHA20_POLY1305; suite++) {
		if (!count->sealed[suite])
			continue;
		json_t *o = json_object();
		suite_set(o, suite);
		json_object_set_new(o, "peers", json_integer(count->sealed[suite]));
		json_array_append_new(suites, o);
	}
	return suites;
}

static void status_get(void *self, const struct request *request, struct reply *reply)
{
	struct node_api *api = self;
	const struct identity *me = node_identity(api->node);
	char identity[IDENTITY_TEXT_MAX], words[WORDS_TEXT];
	struct peer_count count = {0};
	json_t *o = json_schema("farlan.status/1"), *networks = json_array(), *peers = json_object();

	(void)request;
	identity_format(me, identity);
	fingerprint_words(me->key_hash, words);
	json_object_set_new(o, "program", json_string("farland"));
	json_object_set_new(o, "address", sight_address(me->address));
	json_object_set_new(o, "identity", json_string(identity));
	json_object_set_new(o, "version", json_string(FARLAN_VERSION));
	json_object_set_new(o, "fingerprint", json_string(words));
	json_object_set_new(o, "root", json_boolean(api->root));
	node_api_roots(api->node, o);
	node_networks(api->node, net_append, networks);
	json_object_set_new(o, "networks", networks);
	node_peers(api->node, api->now, peer_counted, &count);
	json_object_set_new(peers, "direct", json_integer(count.direct));
	json_object_set_new(peers, "relay", json_integer(count.relay));
	json_object_set_new(peers, "suites", suites_json(&count));
	json_object_set_new(o, "peers", peers);
	sight_relay(api->node, api->now, o);
	reply_json(reply, 200, o);
}

static void networks_get(void *self, const struct request *request, struct reply *reply)
{
	struct node_api *api = self;
	json_t *o = json_schema("farlan.networks/1"), *networks = json_array();
	(void)request;
	node_networks(api->node, net_append, networks);
	json_object_set_new(o, "networks", networks);
	reply_json(reply, 200, o);
}

static void join_failed(struct reply *reply, int error)
{
	struct problem problem;
	if (error == -ENOSPC)
		problem_set(&problem, 409, "too many networks", "this node is in %d networks, which is the most", NETWORKS_MAX);
	else if (error == -EINVAL)
		problem_set(&problem, 400, "cannot join", "this network cannot be joined with these settings");
	else
		problem_set(&problem, 503, "cannot join", "%s", strerror(-error));
	if (error == -ENOSPC)
		snprintf(problem.hint, sizeof(problem.hint), "leave one: farlan leave NWID");
	reply_problem(reply, &problem);
}

static void not_joined(struct reply *reply, const char *id)
{
	struct problem problem;
	problem_set(&problem, 404, "not joined", "this node is not in network %.44s", id);
	snprintf(problem.command, sizeof(problem.command), "farlan networks");
	reply_problem(reply, &problem);
}

static void network_answer(struct node_api *api, uint64_t nwid, const char *id, struct reply *reply)
{
	struct net_view view;
	if (node_network(api->node, nwid, &view))
		reply_json(reply, 200, net_json(&view, "farlan.network/1"));
	else
		not_joined(reply, id);
}

static void network_post(void *self, const struct request *request, struct reply *reply)
{
	struct node_api *api = self;
	struct problem problem;
	uint64_t nwid;
	char dev[16];
	bool pinned;
	uint8_t pin[17];

	if (!settings_join(request->arg[0], request->body, request->body_len, &nwid, dev, &pinned, pin, &problem)) {
		reply_problem(reply, &problem);
		return;
	}
	int error = node_join(api->node, nwid, pinned ? pin : NULL, *dev ? dev : NULL, api->now);
	if (error)
		join_failed(reply, error);
	else
		network_answer(api, nwid, request->arg[0], reply);
}

static bool network_of(const struct request *request, struct reply *reply, uint64_t *ret)
{
	struct problem problem;
	char dev[16];
	bool pinned;
	uint8_t pin[17];
	if (settings_join(request->arg[0], NULL, 0, ret, dev, &pinned, pin, &problem))
		return true;
	reply_problem(reply, &problem);
	return false;
}

void node_api_network(void *self, const struct request *request, struct reply *reply)
{
	uint64_t nwid;
	if (network_of(request, reply, &nwid))
		network_answer(self, nwid, request->arg[0], reply);
}

static void network_delete(void *self, const struct request *request, struct reply *reply)
{
	struct node_api *api = self;
	char id[NWID_TEXT];
	uint64_t nwid;

	if (!network_of(request, reply, &nwid))
		return;
	if (node_leave(api->node, nwid, api->now) < 0) {
		not_joined(reply, request->arg[0]);
		return;
	}
	json_t *o = json_schema("farlan.network/1");
	nwid_format(nwid, id);
	json_object_set_new(o, "id", json_string(id));
	json_object_set_new(o, "state", json_string("left"));
	reply_json(reply, 200, o);
}

static void peer_append(void *array, const struct peer_view *view)
{
	json_t *o = json_object(), *roles = json_array(), *by_network = json_object();
	for (unsigned i = 0; i < view->networks; i++) {
		char id[NWID_TEXT];
		nwid_format(view->in[i].nwid, id);
		json_object_set_new(by_network, id, carried_set(json_object(), &view->in[i].carried));
	}
	if (view->role_root)
		json_array_append_new(roles, json_string("root"));
	if (view->role_controller)
		json_array_append_new(roles, json_string("controller"));
	json_object_set_new(o, "address", sight_address(view->identity.address));
	json_object_set_new(o, "name", json_text(view->name));
	json_object_set_new(o, "path", json_string(!view->up ? "none" : view->direct ? "direct" : "relay"));
	json_object_set_new(o, "endpoint", sight_endpoint(&view->endpoint));
	json_object_set_new(o, "relay", view->relay_address ? sight_address(view->relay_address) : json_null());
	json_object_set_new(o, "rtt_us", view->rtt_us ? json_integer(view->rtt_us) : json_null());
	suite_set(o, view->suite);
	json_object_set_new(o, "datagram", json_integer(view->datagram));
	json_object_set_new(o, "rx_bytes", json_count(view->rx_bytes));
	json_object_set_new(o, "tx_bytes", json_count(view->tx_bytes));
	json_object_set_new(o, "last_heard_ms", json_count(view->last_heard_ms));
	json_object_set_new(o, "roles", roles);
	json_object_set_new(o, "link", json_string(!view->up ? "offline" : view->tls ? "tls" : view->direct ? "direct" : "relay"));
	json_object_set_new(o, "networks", json_integer(view->networks));
	json_object_set_new(o, "traffic", carried_set(json_object(), &view->carried));
	json_object_set_new(o, "traffic_by_network", by_network);
	json_object_set_new(o, "loss", view->loss == LOSS_UNKNOWN ? json_null() : json_real(view->loss / 1000.0));
	json_object_set_new(o, "why", json_text(view->up ? view->why : ""));
	json_array_append_new(array, o);
}

static void peers_get(void *self, const struct request *request, struct reply *reply)
{
	struct node_api *api = self;
	json_t *o = json_schema("farlan.peers/1"), *peers = json_array();
	(void)request;
	node_peers(api->node, api->now, peer_append, peers);
	json_object_set_new(o, "peers", peers);
	reply_json(reply, 200, o);
}

/* What farlan top looks at each second, in one answer: an idle node is woken once for it. */
static void sample_get(void *self, const struct request *request, struct reply *reply)
{
	struct node_api *api = self;
	json_t *o = json_schema("farlan.sample/1"), *networks = json_array(), *peers = json_array();
	(void)request;
	node_networks(api->node, net_append, networks);
	node_peers(api->node, api->now, peer_append, peers);
	json_object_set_new(o, "at_ms", json_count(api->now));
	json_object_set_new(o, "address", sight_address(node_identity(api->node)->address));
	json_object_set_new(o, "networks", networks);
	json_object_set_new(o, "peers", peers);
	reply_json(reply, 200, o);
}

static const struct api_route routes[] = {
    {METHOD_GET, "/metrics", node_metrics_get, SCOPE_LOCAL},
    {METHOD_GET, "/v1/status", status_get, SCOPE_LOCAL},
    {METHOD_GET, "/v1/networks", networks_get, SCOPE_LOCAL},
    {METHOD_GET, "/v1/networks/*", node_api_network, SCOPE_LOCAL},
    {METHOD_PATCH, "/v1/networks/*", local_patch, SCOPE_LOCAL},
    {METHOD_POST, "/v1/networks/*/port", local_port_post, SCOPE_LOCAL},
    {METHOD_DELETE, "/v1/networks/*/port/*", local_port_delete, SCOPE_LOCAL},
    {METHOD_POST, "/v1/networks/*", network_post, SCOPE_LOCAL},
    {METHOD_POST, "/v1/join", join_post, SCOPE_LOCAL},
    {METHOD_DELETE, "/v1/networks/*", network_delete, SCOPE_LOCAL},
    {METHOD_GET, "/v1/peers", peers_get, SCOPE_LOCAL},
    {METHOD_GET, "/v1/sample", sample_get, SCOPE_LOCAL},
    {METHOD_POST, "/v1/peers/*/ping", sight_ping_post, SCOPE_LOCAL},
    {METHOD_GET, "/v1/pings/*", sight_ping_get, SCOPE_LOCAL},
    {METHOD_POST, "/v1/netcheck", sight_check_post, SCOPE_LOCAL},
    {METHOD_GET, "/v1/netcheck", sight_check_get, SCOPE_LOCAL},
    {METHOD_GET, "/v1/events?since", sight_events_get, SCOPE_LOCAL},
    {METHOD_GET, "/v1/drops", drops_get, SCOPE_LOCAL},
    {METHOD_GET, "/v1/networks/*/drops", drops_network_get, SCOPE_LOCAL},
    {METHOD_POST, "/v1/wake", wake_post, SCOPE_LOCAL},
    {METHOD_POST, "/v1/networks/*/watch", watch_post, SCOPE_LOCAL},
    {METHOD_GET, "/v1/fdb", lan_fdb_get, SCOPE_LOCAL},
    {METHOD_GET, "/v1/networks/*/fdb", lan_fdb_get, SCOPE_LOCAL},
    {METHOD_GET, "/v1/groups", lan_groups_get, SCOPE_LOCAL},
    {METHOD_GET, "/v1/networks/*/groups", lan_groups_get, SCOPE_LOCAL},
};

void node_api_serve(struct node_api *api, const struct request *request, struct reply *reply)
{
	api_dispatch(routes, sizeof(routes) / sizeof(routes[0]), api, request, reply);
}
