/* hook_api.c: webhooks and their deliveries, from routes to the controller's outbox.
 *
 * A secret is in the answer that made it and in no other. What a receiver's URL says behind its host may be one too: only who may
 * change webhooks sees it.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controller/hook.h"
#include "proto/random.h"
#include "ui/argument.h"
#include "ui/controller_routes.h"

#define PAGE_USUAL 100
#define PAGE_MAX   HOOK_WAITING_MAX

/* ---- rows ---- */

static json_t *id_json(uint64_t id)
{
	char text[17];
	snprintf(text, sizeof(text), "%016" PRIx64, id);
	return json_string(text);
}

static json_t *last_json(const struct hook_row *row)
{
	if (!row->last_wall_s)
		return json_null();
	json_t *o = json_object();
	json_object_set_new(o, "status", json_count_or_null(row->last_status));
	json_object_set_new(o, "at", json_count(row->last_wall_s));
	json_object_set_new(o, "error", *row->last_error ? json_text(row->last_error) : json_null());
	return o;
}

static json_t *hook_json(const struct hook_row *row)
{
	const struct hook_settings *s = &row->settings;
	json_t *o = json_object(), *events = json_array(), *networks = json_array();
	for (unsigned i = 0; i < s->n_events; i++)
		json_array_append_new(events, json_text(s->events[i]));
	for (unsigned i = 0; i < s->n_networks; i++)
		json_array_append_new(networks, id_json(s->networks[i]));
	json_object_set_new(o, "id", id_json(row->id));
	json_object_set_new(o, "name", json_text(s->name));
	json_object_set_new(o, "url", json_text(s->url));
	json_object_set_new(o, "events", events);
	json_object_set_new(o, "networks", networks);
	json_object_set_new(o, "enabled", json_boolean(s->enabled));
	json_object_set_new(o, "allow_private", json_boolean(s->allow_private));
	json_object_set_new(o, "state", json_string(hook_state_name(row->state)));
	json_object_set_new(o, "failing_since", json_count_or_null(row->failing_wall_s));
	json_object_set_new(o, "queue", json_count(row->waiting));
	json_object_set_new(o, "dropped", json_count(row->dropped));
	json_object_set_new(o, "last", last_json(row));
	json_object_set_new(o, "created", json_count_or_null(row->created_wall_s));
	json_object_set_new(o, "created_by", json_text(row->creator));
	json_object_set_new(o, "revision", json_count(row->revision));
	return o;
}

static json_t *delivery_json(const struct delivery_row *row)
{
	char nwid[NWID_TEXT];
	json_t *o = json_object();
	nwid_format(row->nwid, nwid);
	json_object_set_new(o, "id", id_json(row->id));
	json_object_set_new(o, "event", json_text(row->event));
	json_object_set_new(o, "network", row->nwid ? json_string(nwid) : json_null());
	json_object_set_new(o, "created", json_count(row->created_wall_s));
	json_object_set_new(o, "attempts", json_count(row->attempts));
	json_object_set_new(o, "state", json_string(delivery_state_name(row->state)));
	json_object_set_new(o, "next_at", json_count_or_null(row->next_wall_s));
	json_object_set_new(o, "status", json_count_or_null(row->status));
	json_object_set_new(o, "error", *row->error ? json_text(row->error) : json_null());
	json_object_set_new(o, "ms", json_count_or_null(row->ms));
	json_object_set_new(o, "body", json_text(row->body));
	return o;
}

json_t *webhooks_state_json(const struct controller *controller)
{
	struct hook_figures f;
	json_t *o = json_object();
	controller_hook_figures(controller, &f);
	for (unsigned i = 0; i < HOOK_STATES; i++)
		json_object_set_new(o, hook_state_name((enum hook_state)i), json_integer((json_int_t)f.hooks[i]));
	return o;
}

/* ---- the path ---- */

static bool id_of(const struct request *request, unsigned at, const char *what, struct reply *reply, uint64_t *ret)
{
	struct problem problem;
	char *end;
	const char *text = request->arg[at];
	if (strlen(text) == 16 && strspn(text, "0123456789abcdef") == 16) {
		*ret = strtoull(text, &end, 16);
		return true;
	}
	problem_set(&problem, 400, "not an id", "\"%.40s\" is not the id of a %s, 16 hex digits", text, what);
	snprintf(problem.hint, sizeof(problem.hint), "farlan webhook list shows the ids");
	reply_problem(reply, &problem);
	return false;
}

/* The webhook of the path as it stands; false: answered. */
static bool hook_of(struct controller_api *api, const struct request *request, struct reply *reply, struct hook_row *ret)
{
	struct admin_error error = {0};
	uint64_t id;
	if (!id_of(request, 0, "webhook", reply, &id))
		return false;
	enum admin_status status = controller_hook_get(api->controller, id, ret, &error);
	if (status)
		admin_problem(reply, status, &error);
	return !status;
}

static void hook_answer(struct controller_api *api, unsigned http, uint64_t id, const char *secret, struct reply *reply)
{
	struct admin_error error = {0};
	struct hook_row row;
	enum admin_status status = controller_hook_get(api->controller, id, &row, &error);
	if (status) {
		admin_problem(reply, status, &error);
		return;
	}
	json_t *o = hook_json(&row);
	if (secret)
		json_object_set_new(o, "secret", json_string(secret));
	reply_row(reply, http, "farlan.webhook-settings/1", o);
	reply_etag(reply, row.revision);
}

/* ---- settings ---- */

static bool refuse(struct problem *problem, const char *name, const char *should)
{
	problem_set(problem, 400, "wrong value", "\"%s\" must be %s", name, should);
	problem_error(problem, '/', name, "must be %s", should);
	return false;
}

static bool events_take(const json_t *object, struct hook_settings *s, struct problem *problem)
{
	const json_t *list = json_object_get(object, "events"), *event;
	size_t i;
	if (!list)
		return true;
	if (!json_is_array(list) || !json_array_size(list) || json_array_size(list) > HOOK_EVENTS_MAX)
		return refuse(problem, "events", "a list of 1 to 32 events");
	json_array_foreach(list, i, event)
	{
		const char *text = json_string_value(event);
		if (!text || strlen(text) != json_string_length(event) || !*text || strlen(text) >= AUDIT_ACTION_MAX)
			return refuse(problem, "events", "a list of texts like member.approve, member.* or *");
		snprintf(s->events[s->n_events++], AUDIT_ACTION_MAX, "%s", text);
	}
	s->set |= SET_HOOK_EVENTS;
	return true;
}

static bool networks_take(const json_t *object, struct hook_settings *s, struct problem *problem)
{
	const json_t *list = json_object_get(object, "networks"), *network;
	uint8_t bits[17];
	size_t i;
	bool pin;
	if (!list)
		return true;
	if (!json_is_array(list) || json_array_size(list) > HOOK_NETWORKS_MAX)
		return refuse(problem, "networks", "a list of at most 32 ids of networks");
	json_array_foreach(list, i, network)
	{
		const char *text = json_string_value(network);
		if (!text || strlen(text) != 16 || !nwid_parse(text, &s->networks[s->n_networks], &pin, bits))
			return refuse(problem, "networks", "a list of ids of networks, 16 hex digits each");
		s->n_networks++;
	}
	s->set |= SET_HOOK_NETWORKS;
	return true;
}

static bool private_good(const struct controller_api *api, const struct hook_settings *s, struct problem *problem)
{
	if (!(s->set & SET_HOOK_PRIVATE) || !s->allow_private || api->webhook_private)
		return true;
	problem_set(problem, 409, "not allowed here", "this controller sends webhooks to public addresses only");
	snprintf(problem->hint, sizeof(problem->hint), "webhook-private = yes in farlan-controller.conf lets single webhooks do so");
	return false;
}

static bool settings_read(const struct controller_api *api, const struct request *request, bool fresh, struct hook_settings *s,
                          struct problem *problem)
{
	/* a secret of one's own only for a new one: later there is POST .../secret */
	static const char *const names[] = {"name", "url", "events", "networks", "enabled", "allow_private", "secret", NULL};
	static const char *const changed[] = {"name", "url", "events", "networks", "enabled", "allow_private", NULL};
	bool name = false, url = false, enabled = false, allowed = false, secret = false;
	json_t *o = json_body(request->body, request->body_len, fresh ? names : changed, problem);
	bool good = o && json_take_text(o, "name", 1, s->name, sizeof(s->name), &name, problem) &&
	            json_take_text(o, "url", 8, s->url, sizeof(s->url), &url, problem) && events_take(o, s, problem) &&
	            networks_take(o, s, problem) && json_take_bool(o, "enabled", &s->enabled, &enabled, problem) &&
	            json_take_bool(o, "allow_private", &s->allow_private, &allowed, problem) &&
	            json_take_text(o, "secret", HOOK_SECRET_MIN, s->secret, sizeof(s->secret), &secret, problem);
	json_decref(o);
	s->set |= (name ? SET_HOOK_NAME : 0) | (url ? SET_HOOK_URL : 0) | (enabled ? SET_HOOK_ENABLED : 0) |
	          (allowed ? SET_HOOK_PRIVATE : 0) | (secret ? SET_HOOK_SECRET : 0);
	if (good && fresh && !(name && url && s->set & SET_HOOK_EVENTS)) {
		problem_set(problem, 400, "incomplete", "a webhook has a name, a url and events");
		problem_error(problem, '/', !name ? "name" : !url ? "url" : "events", "is missing");
		return false;
	}
	return good && private_good(api, s, problem);
}

/* ---- handlers ---- */

static void hook_append(void *array, const struct hook_row *row)
{
	json_array_append_new(array, hook_json(row));
}

void webhooks_get(void *self, const struct request *request, struct reply *reply)
{
	struct controller_api *api = self;
	json_t *rows = json_array(), *o = json_schema("farlan.webhooks/1");
	(void)request;
	controller_hook_each(api->controller, hook_append, rows);
	json_object_set_new(o, "next", json_null());
	json_object_set_new(o, "total", json_integer((json_int_t)json_array_size(rows)));
	json_object_set_new(o, "webhooks", rows);
	reply_json(reply, 200, o);
}

void webhooks_post(void *self, const struct request *request, struct reply *reply)
{
	struct controller_api *api = self;
	struct hook_settings settings = {0};
	struct admin_error error = {0};
	struct problem problem;
	char secret[HOOK_SECRET_MAX + 1];
	uint64_t id;
	if (!settings_read(api, request, true, &settings, &problem)) {
		reply_problem(reply, &problem);
		return;
	}
	enum admin_status status = controller_hook_create(api->controller, &settings, &id, secret, &error);
	wipe(settings.secret, sizeof(settings.secret));
	if (status) {
		admin_problem(reply, status, &error);
		return;
	}
	hook_answer(api, 201, id, secret, reply);
	wipe(secret, sizeof(secret));
}

void webhook_get(void *self, const struct request *request, struct reply *reply)
{
	struct controller_api *api = self;
	struct hook_row row;
	if (hook_of(api, request, reply, &row))
		hook_answer(api, 200, row.id, NULL, reply);
}

void webhook_patch(void *self, const struct request *request, struct reply *reply)
{
	struct controller_api *api = self;
	struct hook_settings settings = {0};
	struct admin_error error = {0};
	struct problem problem;
	struct hook_row row;
	if (!hook_of(api, request, reply, &row) || !request_matches(request, reply, row.revision))
		return;
	if (!settings_read(api, request, false, &settings, &problem)) {
		reply_problem(reply, &problem);
		return;
	}
	enum admin_status status = controller_hook_set(api->controller, row.id, &settings, &error);
	if (status)
		admin_problem(reply, status, &error);
	else
		hook_answer(api, 200, row.id, NULL, reply);
}

void webhook_delete(void *self, const struct request *request, struct reply *reply)
{
	struct controller_api *api = self;
	struct admin_error error = {0};
	struct hook_row row;
	if (!body_none(request, reply) || !hook_of(api, request, reply, &row) || !request_matches(request, reply, row.revision))
		return;
	enum admin_status status = controller_hook_delete(api->controller, row.id, &error);
	if (status)
		admin_problem(reply, status, &error);
	else
		reply_row(reply, 200, "farlan.webhook-settings/1", hook_json(&row)); /* as it was */
}

void webhook_secret_post(void *self, const struct request *request, struct reply *reply)
{
	struct controller_api *api = self;
	struct admin_error error = {0};
	struct hook_row row;
	char secret[HOOK_SECRET_MAX + 1];
	if (!body_none(request, reply) || !hook_of(api, request, reply, &row))
		return;
	enum admin_status status = controller_hook_secret(api->controller, row.id, secret, &error);
	if (status) {
		admin_problem(reply, status, &error);
		return;
	}
	hook_answer(api, 200, row.id, secret, reply);
	wipe(secret, sizeof(secret));
}

/* ---- deliveries ---- */

static void delivery_take(void *self, const struct delivery_row *row)
{
	json_t **ret = self;
	*ret = delivery_json(row);
}

static void delivery_answer(struct controller_api *api, uint64_t hook, uint64_t id, struct reply *reply)
{
	struct admin_error error = {0};
	json_t *o = NULL;
	enum admin_status status = controller_delivery_get(api->controller, hook, id, delivery_take, &o, &error);
	if (status)
		admin_problem(reply, status, &error);
	else
		reply_row(reply, 202, "farlan.delivery/1", o);
}

void webhook_test_post(void *self, const struct request *request, struct reply *reply)
{
	struct controller_api *api = self;
	struct admin_error error = {0};
	struct hook_row row;
	uint64_t id;
	if (!body_none(request, reply) || !hook_of(api, request, reply, &row))
		return;
	enum admin_status status = controller_hook_test(api->controller, row.id, &id, &error);
	if (status)
		admin_problem(reply, status, &error);
	else
		delivery_answer(api, row.id, id, reply);
}

void delivery_retry_post(void *self, const struct request *request, struct reply *reply)
{
	struct controller_api *api = self;
	struct admin_error error = {0};
	struct hook_row row;
	uint64_t id;
	if (!body_none(request, reply) || !hook_of(api, request, reply, &row) || !id_of(request, 1, "delivery", reply, &id))
		return;
	enum admin_status status = controller_delivery_retry(api->controller, row.id, id, &error);
	if (status)
		admin_problem(reply, status, &error);
	else
		delivery_answer(api, row.id, id, reply);
}

static const char *state_name(unsigned i)
{
	return delivery_state_name((enum delivery_state)i);
}

struct page {
	json_t *rows;
	uint64_t last, left; /* left: how many more are shown */
	bool more;
};

static void delivery_append(void *self, const struct delivery_row *row)
{
	struct page *page = self;
	if (!page->left) {
		page->more = true;
		return;
	}
	page->left--;
	page->last = row->seq;
	json_array_append_new(page->rows, delivery_json(row));
}

void deliveries_get(void *self, const struct request *request, struct reply *reply)
{
	struct controller_api *api = self;
	struct admin_error error = {0};
	struct hook_row row;
	unsigned states = 0;
	uint64_t limit = PAGE_USUAL, before = 0, total = 0;
	char cursor[24];
	if (!hook_of(api, request, reply, &row) || !argument_count(request, reply, "limit", PAGE_MAX, &limit) ||
	    !argument_count(request, reply, "cursor", INT64_MAX, &before) ||
	    !argument_names(request, reply, "state", state_name, DELIVERY_STATES,
	                    "waiting, delivered or failed, or several of them with commas", &states))
		return;
	struct page page = {.rows = json_array(), .left = limit};
	enum admin_status status =
	    controller_delivery_each(api->controller, row.id, states, before, (uint32_t)limit + 1, delivery_append, &page, &total, &error);
	if (status) {
		json_decref(page.rows);
		admin_problem(reply, status, &error);
		return;
	}
	snprintf(cursor, sizeof(cursor), "%" PRIu64, page.last);
	if (page.more)
		reply_link(request, reply, cursor);
	json_t *o = json_schema("farlan.deliveries/1");
	json_object_set_new(o, "deliveries", page.rows);
	json_object_set_new(o, "next", page.more ? json_string(cursor) : json_null());
	json_object_set_new(o, "total", json_count(total));
	reply_json(reply, 200, o);
}
