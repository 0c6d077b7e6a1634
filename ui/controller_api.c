/* controller_api.c: the route table of the controller, its status, and what the handlers of its resources share.
 *
 * Every handler has the same shape: read the ids of the path, read the body, call, answer with the row as it stands after
 * the change. Nothing is decided here: uniqueness, pools and states are the controller's, so the page, the command line
 * and whatever comes later meet the same rules. A page-link may be made by the unix socket only: a browser session must not
 * be able to make itself eternal.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "ui/certificate.h"
#include "ui/controller_routes.h"
#include "ui/event_api.h"
#include "ui/health_api.h"
#include "ui/openapi.h"
#include "ui/zt1.h"

/* ---- what all handlers share ---- */

void admin_problem(struct reply *reply, enum admin_status status, const struct admin_error *error)
{
	static const unsigned http[] = {
	    [ADMIN_OK] = 500, [ADMIN_NOT_FOUND] = 404, [ADMIN_CONFLICT] = 409, [ADMIN_INVALID] = 400, [ADMIN_UNAVAILABLE] = 503,
	};
	struct problem problem;
	problem_set(&problem, http[status], error->title, "%s", error->detail);
	snprintf(problem.hint, sizeof(problem.hint), "%s", error->hint);
	reply_problem(reply, &problem);
}

bool network_of(const struct request *request, struct reply *reply, uint64_t *ret)
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

bool member_of(const struct request *request, struct reply *reply, uint64_t *ret_nwid, uint64_t *ret)
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

void flags_json(json_t *o, const struct flag_name *names, uint32_t flags)
{
	for (; names->name; names++)
		json_object_set_new(o, names->name, json_boolean(!(flags & names->flag) == names->inverse));
}

/* Takes row; the schema stands first, as in every answer. */
void reply_row(struct reply *reply, unsigned status, const char *schema, json_t *row)
{
	json_t *o = json_schema(schema);
	json_object_update(o, row);
	json_decref(row);
	reply_json(reply, status, o);
}

bool body_none(const struct request *request, struct reply *reply)
{
	struct problem problem;
	if (settings_none(request->body, request->body_len, &problem))
		return true;
	reply_problem(reply, &problem);
	return false;
}

/* ---- status ---- */

static void status_get(void *self, const struct request *request, struct reply *reply)
{
	struct controller_api *api = self;
	struct admin_error error = {0};
	char address[ADDRESS_TEXT], identity[IDENTITY_TEXT_MAX], words[WORDS_TEXT], url[ACCESS_URL_ROOM];
	json_t *networks = json_array(), *o = json_schema("farlan.status/1");

	(void)request;
	address_format(api->self->address, address);
	identity_format(api->self, identity);
	fingerprint_words(api->self->key_hash, words);
	access_url(api->access, url);
	json_object_set_new(o, "program", json_string("farlan-controller"));
	json_object_set_new(o, "address", json_string(address));
	json_object_set_new(o, "identity", json_string(identity));
	json_object_set_new(o, "version", json_string(FARLAN_VERSION));
	json_object_set_new(o, "fingerprint", json_string(words));
	json_object_set_new(o, "health", json_text(controller_health(api->controller)));
	json_object_set_new(o, "page", *url ? json_string(url) : json_null());
	json_object_set_new(o, "page_certificate", api->certificate ? json_hex(api->certificate->print, 32) : json_null());
	json_object_set_new(o, "time", json_count((uint64_t)time(NULL)));
	json_object_set_new(o, "zt1", zt1_listen_json(api->zt1));
	json_object_set_new(o, "webhooks", webhooks_state_json(api->controller));
	json_object_set_new(o, "user",
	                    api->visitor->by == VISITOR_SESSION && *api->visitor->session.user ? json_text(api->visitor->session.user)
	                                                                                       : json_null());
	if (api->status_roots)
		api->status_roots(api->status_self, o);
	enum admin_status status = controller_network_each(api->controller, network_append, networks, &error);
	json_object_set_new(o, "first_run",
	                    json_boolean(status == ADMIN_OK && !json_array_size(networks) && !controller_users(api->controller)));
	json_object_set_new(o, "networks", networks);
	if (status == ADMIN_OK || status == ADMIN_UNAVAILABLE) { /* health says why; status answers even then */
		reply_json(reply, 200, o);
		return;
	}
	json_decref(o);
	admin_problem(reply, status, &error);
}

/* ---- the page ---- */

static void page_link_post(void *self, const struct request *request, struct reply *reply)
{
	struct controller_api *api = self;
	struct problem problem;
	char url[ACCESS_URL_ROOM], link[LINK_TEXT], text[sizeof(url) + sizeof(link) + 8];

	if (!body_none(request, reply))
		return;
	access_url(api->access, url);
	if (!*url) {
		problem_set(&problem, 409, "no page", "this controller serves no page");
		snprintf(problem.hint, sizeof(problem.hint), "start it with --http 127.0.0.1:8080");
		reply_problem(reply, &problem);
		return;
	}
	access_link(api->access, api->now, link);
	snprintf(text, sizeof(text), "%s#once=%s", url, link);
	json_t *o = json_schema("farlan.page-link/1");
	json_object_set_new(o, "url", json_string(text));
	json_object_set_new(o, "expires_in", json_integer((json_int_t)(LINK_MS / 1000)));
	json_object_set_new(o, "certificate", api->certificate ? json_hex(api->certificate->print, 32) : json_null());
	json_object_set_new(o, "pin", api->certificate ? json_hex(api->certificate->pin, 32) : json_null());
	reply_json(reply, 200, o);
}

static void events_get(void *self, const struct request *request, struct reply *reply)
{
	const struct controller_api *api = self;
	events_stream(api->events, request, reply);
}

static const struct api_route routes[] = {
    {METHOD_GET, "/healthz", healthz_get, SCOPE_OPEN},
    {METHOD_GET, "/readyz", readyz_get, SCOPE_OPEN},
    {METHOD_GET, "/metrics", metrics_get, SCOPE_OPEN}, /* judges itself */
    {METHOD_GET, "/v1/openapi.json", openapi_get, SCOPE_OPEN},
    {METHOD_GET, "/v1/events?since", events_get, SCOPE_READ},
    {METHOD_GET, "/v1/status", status_get, SCOPE_READ},
    {METHOD_GET, "/v1/networks", networks_get, SCOPE_READ},
    {METHOD_POST, "/v1/networks", networks_post, SCOPE_ADMIN},
    {METHOD_GET, "/v1/networks/*", network_get, SCOPE_READ},
    {METHOD_PATCH, "/v1/networks/*", network_patch, SCOPE_WRITE},
    {METHOD_DELETE, "/v1/networks/*", network_delete, SCOPE_WRITE},
    {METHOD_GET, "/v1/networks/*/members?state&online&link&tag&q&sort&limit&cursor", members_get, SCOPE_READ},
    {METHOD_GET, "/v1/networks/*/members/*", member_get, SCOPE_READ},
    {METHOD_PATCH, "/v1/networks/*/members/*", member_patch, SCOPE_WRITE},
    {METHOD_DELETE, "/v1/networks/*/members/*", member_delete, SCOPE_WRITE},
    {METHOD_POST, "/v1/networks/*/members/*/approve", member_approve, SCOPE_APPROVE},
    {METHOD_POST, "/v1/networks/*/members/*/deny", member_deny, SCOPE_APPROVE},
    {METHOD_POST, "/v1/networks/*/members/*/revoke", member_revoke, SCOPE_WRITE},
    {METHOD_POST, "/v1/networks/*/members/*/ban", member_ban, SCOPE_ADMIN},
    {METHOD_POST, "/v1/networks/*/members/*/unban", member_unban, SCOPE_ADMIN},
    {METHOD_POST, "/v1/networks/*/members:batch", members_batch, SCOPE_APPROVE}, /* judges its action itself */
    {METHOD_GET, "/v1/networks/*/preapprovals", preapprovals_get, SCOPE_READ},
    {METHOD_POST, "/v1/networks/*/preapprovals", preapprovals_post, SCOPE_WRITE},
    {METHOD_DELETE, "/v1/networks/*/preapprovals/*", preapproval_delete, SCOPE_WRITE},
    {METHOD_GET, "/v1/networks/*/invites", invites_get, SCOPE_READ},
    {METHOD_POST, "/v1/networks/*/invites", invites_post, SCOPE_WRITE},
    {METHOD_GET, "/v1/networks/*/invites/*", invite_get, SCOPE_READ},
    {METHOD_DELETE, "/v1/networks/*/invites/*", invite_delete, SCOPE_WRITE},
    {METHOD_GET, "/v1/networks/*/topology", topology_get, SCOPE_READ},
    {METHOD_GET, "/v1/networks/*/traffic?range", network_traffic_get, SCOPE_READ},
    {METHOD_GET, "/v1/networks/*/members/*/traffic?range", member_traffic_get, SCOPE_READ},
    {METHOD_GET, "/v1/session", session_get, SCOPE_SELF},
    {METHOD_POST, "/v1/session", session_post, SCOPE_OPEN},
    {METHOD_DELETE, "/v1/session", session_delete, SCOPE_SELF},
    {METHOD_POST, "/v1/setup", setup_post, SCOPE_ADMIN},
    {METHOD_GET, "/v1/users", users_get, SCOPE_ADMIN},
    {METHOD_POST, "/v1/users", users_post, SCOPE_ADMIN},
    {METHOD_PATCH, "/v1/users/*", user_patch, SCOPE_SELF}, /* judges itself */
    {METHOD_DELETE, "/v1/users/*", user_delete, SCOPE_ADMIN},
    {METHOD_POST, "/v1/users/*/second-factor", factor_post, SCOPE_SELF}, /* these judge themselves: one's own */
    {METHOD_POST, "/v1/users/*/second-factor/confirm", factor_confirm, SCOPE_SELF},
    {METHOD_DELETE, "/v1/users/*/second-factor", factor_delete, SCOPE_SELF},
    {METHOD_POST, "/v1/users/*/recovery-codes", recovery_post, SCOPE_SELF},
    {METHOD_GET, "/v1/tokens", tokens_get, SCOPE_ADMIN},
    {METHOD_POST, "/v1/tokens", tokens_post, SCOPE_ADMIN},
    {METHOD_DELETE, "/v1/tokens/*", token_delete, SCOPE_ADMIN},
    {METHOD_GET, "/v1/webhooks", webhooks_get, SCOPE_ADMIN},
    {METHOD_POST, "/v1/webhooks", webhooks_post, SCOPE_ADMIN},
    {METHOD_GET, "/v1/webhooks/*", webhook_get, SCOPE_ADMIN},
    {METHOD_PATCH, "/v1/webhooks/*", webhook_patch, SCOPE_ADMIN},
    {METHOD_DELETE, "/v1/webhooks/*", webhook_delete, SCOPE_ADMIN},
    {METHOD_POST, "/v1/webhooks/*/secret", webhook_secret_post, SCOPE_ADMIN},
    {METHOD_POST, "/v1/webhooks/*/test", webhook_test_post, SCOPE_ADMIN},
    {METHOD_GET, "/v1/webhooks/*/deliveries?limit&cursor&state", deliveries_get, SCOPE_ADMIN},
    {METHOD_POST, "/v1/webhooks/*/deliveries/*/retry", delivery_retry_post, SCOPE_ADMIN},
    {METHOD_GET, "/v1/audit?limit&cursor&network&member&actor&action", audit_get, SCOPE_READ},
    {METHOD_POST, "/v1/audit/verify", audit_verify_post, SCOPE_READ},
    {METHOD_POST, "/v1/backup", backup_post, SCOPE_ADMIN},
    {METHOD_POST, "/v1/restore?dry_run", restore_post, SCOPE_ADMIN},
    {METHOD_POST, "/v1/trust", trust_post, SCOPE_LOCAL},
    {METHOD_POST, "/v1/page-link", page_link_post, SCOPE_LOCAL},
};

uint64_t controller_api_upload(const struct request *request)
{
	return request->method == METHOD_POST && !strcmp(request->path, "/v1/restore") ? RESTORE_MAX : 0;
}

void controller_api_serve(struct controller_api *api, const struct request *request, struct reply *reply)
{
	api_dispatch(routes, sizeof(routes) / sizeof(routes[0]), api, request, reply);
}
