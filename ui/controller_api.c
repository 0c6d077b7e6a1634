/* controller_api.c: from a route to one call of the controller, and from its rows to JSON.
 *
 * Every handler has the same shape: read the ids of the path, read the body, call, answer with the row as it stands after
 * the change. Nothing is decided here: uniqueness, pools and states are the controller's, so the page, the command line
 * and whatever comes later meet the same rules. A page-link may be made by the unix socket only: a browser session must not
 * be able to make itself eternal.
 */
#include "ui/controller_api.h"

#include <stdio.h>
#include <string.h>

#include "ui/json.h"
#include "ui/settings.h"

/* ---- failures ---- */

static void admin_problem(struct reply *reply, enum admin_status status, const struct admin_error *error)
{
	static const unsigned http[] = {
	    [ADMIN_OK] = 500, [ADMIN_NOT_FOUND] = 404, [ADMIN_CONFLICT] = 409, [ADMIN_INVALID] = 400, [ADMIN_UNAVAILABLE] = 503,
	};
	struct problem problem;
	problem_set(&problem, http[status], error->title, "%s", error->detail);
	snprintf(problem.hint, sizeof(problem.hint), "%s", error->hint);
	reply_problem(reply, &problem);
}

static bool network_of(const struct request *request, struct reply *reply, uint64_t *ret)
{
	struct problem problem;
	uint8_t bits[17];
	bool pin;
	if (nwid_parse(request->arg[0], ret, &pin, bits))
		return true;
	problem_set(&problem, 400, "not a network id", "\"%.40s\" is not 16 hex digits", request->arg[0]);
	snprintf(problem.hint, sizeof(problem.hint), "farlan network list shows the ids");
	reply_problem(reply, &problem);
	return false;
}

static bool member_of(const struct request *request, struct reply *reply, uint64_t *ret_nwid, uint64_t *ret)
{
	struct problem problem;
	if (!network_of(request, reply, ret_nwid))
		return false;
	if (address_parse(request->arg[1], ret))
		return true;
	problem_set(&problem, 400, "not an address", "\"%.40s\" is not 10 hex digits", request->arg[1]);
	snprintf(problem.hint, sizeof(problem.hint), "farlan member list shows the addresses");
	reply_problem(reply, &problem);
	return false;
}

/* ---- rows ---- */

static void flags_json(json_t *o, const struct flag_name *names, uint32_t flags)
{
	for (; names->name; names++)
		json_object_set_new(o, names->name, json_boolean(!(flags & names->flag) == names->inverse));
}

static json_t *network_json(const struct network_row *row)
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

static json_t *member_json(const struct member_row *row)
{
	char address[ADDRESS_TEXT], words[WORDS_TEXT], text[64];
	struct prefix v6 = {.family = 6, .bits = 64};
	json_t *o = json_object(), *ips = json_array(), *on = json_object();

	address_format(row->address, address);
	fingerprint_words(row->key_hash, words);
	ula_derive(row->nwid, row->address, v6.ip);
	json_object_set_new(o, "address", json_string(address));
	json_object_set_new(o, "key_hash", json_hex(row->key_hash, KEY_HASH_BYTES));
	json_object_set_new(o, "fingerprint", json_string(words));
	json_object_set_new(o, "name", json_text(row->name));
	json_object_set_new(o, "hostname", json_text(row->hostname));
	json_object_set_new(o, "os", json_text(row->os));
	json_object_set_new(o, "version", json_text(row->version));
	json_object_set_new(o, "state", json_string(member_state_name(row->state)));
	json_object_set_new(o, "online", json_boolean(row->online));
	for (unsigned i = 0; i < row->n_ips && i < CRED_IPS_MAX; i++) {
		prefix_format(&row->ips[i], text, sizeof(text));
		json_array_append_new(ips, json_string(text));
	}
	json_object_set_new(o, "ips", ips);
	prefix_format(&v6, text, sizeof(text));
	json_object_set_new(o, "ipv6", json_string(text));
	flags_json(on, member_flag_names, row->flags);
	json_object_set_new(o, "flags", on);
	if (row->physical.family)
		endpoint_format(&row->physical, text, sizeof(text));
	json_object_set_new(o, "physical", row->physical.family ? json_string(text) : json_null());
	json_object_set_new(o, "first_seen", json_count_or_null(row->first_seen_wall_s));
	json_object_set_new(o, "last_seen", json_count_or_null(row->last_seen_wall_s));
	json_object_set_new(o, "revision", json_count(row->revision));
	return o;
}

static void network_append(void *array, const struct network_row *row)
{
	json_array_append_new(array, network_json(row));
}
static void member_append(void *array, const struct member_row *row)
{
	json_array_append_new(array, member_json(row));
}

/* Takes row; the schema stands first, as in every answer. */
static void reply_row(struct reply *reply, unsigned status, const char *schema, json_t *row)
{
	json_t *o = json_schema(schema);
	json_object_update(o, row);
	json_decref(row);
	reply_json(reply, status, o);
}

/* ---- networks ---- */

static void status_get(void *self, const struct request *request, struct reply *reply)
{
	struct controller_api *api = self;
	struct admin_error error = {0};
	char address[ADDRESS_TEXT], identity[IDENTITY_TEXT_MAX], words[WORDS_TEXT], url[80];
	json_t *networks = json_array(), *o = json_schema("farlan.status/1");

	(void)request;
	address_format(api->self->address, address);
	identity_format(api->self, identity);
	fingerprint_words(api->self->key_hash, words);
	page_url(api->page, url, sizeof(url));
	json_object_set_new(o, "program", json_string("farlan-controller"));
	json_object_set_new(o, "address", json_string(address));
	json_object_set_new(o, "identity", json_string(identity));
	json_object_set_new(o, "version", json_string(FARLAN_VERSION));
	json_object_set_new(o, "fingerprint", json_string(words));
	json_object_set_new(o, "health", json_text(controller_health(api->controller)));
	json_object_set_new(o, "page", *url ? json_string(url) : json_null());
	if (api->status_roots)
		api->status_roots(api->status_self, o);
	enum admin_status status = controller_network_each(api->controller, network_append, networks, &error);
	json_object_set_new(o, "networks", networks);
	if (status == ADMIN_OK || status == ADMIN_UNAVAILABLE) { /* health says why; status answers even then */
		reply_json(reply, 200, o);
		return;
	}
	json_decref(o);
	admin_problem(reply, status, &error);
}

static void networks_get(void *self, const struct request *request, struct reply *reply)
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

static void networks_post(void *self, const struct request *request, struct reply *reply)
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

static void network_get(void *self, const struct request *request, struct reply *reply)
{
	uint64_t nwid;
	if (network_of(request, reply, &nwid))
		network_answer(self, 200, nwid, reply);
}

static void network_patch(void *self, const struct request *request, struct reply *reply)
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

static bool body_none(const struct request *request, struct reply *reply)
{
	struct problem problem;
	if (settings_none(request->body, request->body_len, &problem))
		return true;
	reply_problem(reply, &problem);
	return false;
}

static void network_delete(void *self, const struct request *request, struct reply *reply)
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

/* ---- members ---- */

static void members_get(void *self, const struct request *request, struct reply *reply)
{
	struct controller_api *api = self;
	struct admin_error error = {0};
	uint64_t nwid;

	if (!network_of(request, reply, &nwid))
		return;
	json_t *members = json_array(), *o = json_schema("farlan.members/1");
	enum admin_status status = controller_member_each(api->controller, nwid, member_append, members, &error);
	json_object_set_new(o, "members", members);
	if (status == ADMIN_OK) {
		reply_json(reply, 200, o);
		return;
	}
	json_decref(o);
	admin_problem(reply, status, &error);
}

static void member_answer(struct controller_api *api, enum admin_status status, struct admin_error *error, uint64_t nwid, uint64_t address,
                          struct reply *reply)
{
	struct member_row row;
	if (status == ADMIN_OK)
		status = controller_member_get(api->controller, nwid, address, &row, error);
	if (status == ADMIN_OK)
		reply_row(reply, 200, "farlan.member/1", member_json(&row));
	else
		admin_problem(reply, status, error);
}

static void member_get(void *self, const struct request *request, struct reply *reply)
{
	struct admin_error error = {0};
	uint64_t nwid, address;
	if (member_of(request, reply, &nwid, &address))
		member_answer(self, ADMIN_OK, &error, nwid, address, reply);
}

static void member_change(struct controller_api *api, const struct request *request, bool approve, struct reply *reply)
{
	struct member_settings settings;
	struct problem problem;
	struct admin_error error = {0};
	uint64_t nwid, address;

	if (!member_of(request, reply, &nwid, &address))
		return;
	if (!settings_member(request->body, request->body_len, approve, &settings, &problem)) {
		reply_problem(reply, &problem);
		return;
	}
	enum admin_status status = approve ? controller_member_approve(api->controller, nwid, address, &settings, &error)
	                                   : controller_member_set(api->controller, nwid, address, &settings, &error);
	member_answer(api, status, &error, nwid, address, reply);
}

static void member_patch(void *self, const struct request *request, struct reply *reply)
{
	member_change(self, request, false, reply);
}
static void member_approve(void *self, const struct request *request, struct reply *reply)
{
	member_change(self, request, true, reply);
}

static void member_verb(struct controller_api *api, const struct request *request, struct reply *reply,
                        enum admin_status (*verb)(struct controller *, uint64_t, uint64_t, struct admin_error *))
{
	struct admin_error error = {0};
	uint64_t nwid, address;
	if (member_of(request, reply, &nwid, &address) && body_none(request, reply))
		member_answer(api, verb(api->controller, nwid, address, &error), &error, nwid, address, reply);
}

static void member_deny(void *self, const struct request *request, struct reply *reply)
{
	member_verb(self, request, reply, controller_member_deny);
}

static void member_revoke(void *self, const struct request *request, struct reply *reply)
{
	member_verb(self, request, reply, controller_member_revoke);
}

static void member_delete(void *self, const struct request *request, struct reply *reply)
{
	struct controller_api *api = self;
	struct admin_error error = {0};
	struct member_row row;
	uint64_t nwid, address;

	if (!member_of(request, reply, &nwid, &address) || !body_none(request, reply))
		return;
	enum admin_status status = controller_member_get(api->controller, nwid, address, &row, &error);
	if (status == ADMIN_OK)
		status = controller_member_delete(api->controller, nwid, address, &error);
	if (status == ADMIN_OK)
		reply_row(reply, 200, "farlan.member/1", member_json(&row)); /* as it was */
	else
		admin_problem(reply, status, &error);
}

/* ---- the page ---- */

static void page_link_post(void *self, const struct request *request, struct reply *reply)
{
	struct controller_api *api = self;
	struct problem problem;
	char url[80], token[PAGE_TOKEN_TEXT], text[sizeof(url) + sizeof(token) + 8];

	if (!body_none(request, reply))
		return;
	page_url(api->page, url, sizeof(url));
	if (!request->local) {
		problem_set(&problem, 403, "not from here", "links are made on the controller's machine only");
	} else if (!*url) {
		problem_set(&problem, 409, "no page", "this controller serves no page");
		snprintf(problem.hint, sizeof(problem.hint), "start it with --http 127.0.0.1:8080");
	} else if (page_link(api->page, api->now, token) < 0) {
		problem_set(&problem, 503, "no link", "the system gave no random bytes");
	} else {
		snprintf(text, sizeof(text), "%s#once=%s", url, token);
		json_t *o = json_schema("farlan.page-link/1");
		json_object_set_new(o, "url", json_string(text));
		json_object_set_new(o, "expires_s", json_integer((json_int_t)(PAGE_LINK_MS / 1000)));
		reply_json(reply, 200, o);
		return;
	}
	reply_problem(reply, &problem);
}

static const struct api_route routes[] = {
    {METHOD_GET, "/v1/status", status_get},
    {METHOD_GET, "/v1/networks", networks_get},
    {METHOD_POST, "/v1/networks", networks_post},
    {METHOD_GET, "/v1/networks/*", network_get},
    {METHOD_PATCH, "/v1/networks/*", network_patch},
    {METHOD_DELETE, "/v1/networks/*", network_delete},
    {METHOD_GET, "/v1/networks/*/members", members_get},
    {METHOD_GET, "/v1/networks/*/members/*", member_get},
    {METHOD_PATCH, "/v1/networks/*/members/*", member_patch},
    {METHOD_DELETE, "/v1/networks/*/members/*", member_delete},
    {METHOD_POST, "/v1/networks/*/members/*/approve", member_approve},
    {METHOD_POST, "/v1/networks/*/members/*/deny", member_deny},
    {METHOD_POST, "/v1/networks/*/members/*/revoke", member_revoke},
    {METHOD_POST, "/v1/page-link", page_link_post},
};

void controller_api_serve(struct controller_api *api, const struct request *request, struct reply *reply)
{
	api_dispatch(routes, sizeof(routes) / sizeof(routes[0]), api, request, reply);
}
