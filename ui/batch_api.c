/* batch_api.c: one thing done to many members at once, and addresses that are let in before they ask.
 *
 * A batch answers 200 also when some of it was refused: each member has its own result, with the problem it would have got alone.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ui/controller_routes.h"

/* ---- batch ---- */

struct results {
	struct controller *controller;
	uint64_t nwid;
	json_t *list;
};

static json_t *problem_json(enum admin_status status, const struct admin_error *error)
{
	struct reply reply = {0};
	admin_problem(&reply, status, error);
	json_t *o = json_loadb(reply.body, reply.body_len, 0, NULL);
	reply_fini(&reply);
	return o ? o : json_null();
}

static void result_add(void *self, uint64_t member, enum admin_status status, const struct admin_error *error)
{
	struct results *r = self;
	struct admin_error gone;
	struct member_row row;
	char address[ADDRESS_TEXT];
	json_t *o = json_object();
	address_format(member, address);
	json_object_set_new(o, "address", json_string(address));
	json_object_set_new(o, "ok", json_boolean(status == ADMIN_OK));
	if (status != ADMIN_OK)
		json_object_set_new(o, "problem", problem_json(status, error));
	else if (controller_member_get(r->controller, r->nwid, member, &row, &gone) == ADMIN_OK)
		json_object_set_new(o, "member", member_json(&row));
	json_array_append_new(r->list, o);
}

/* As the routes of the single acts say; a ban reaches into every network. */
static enum scope scope_of(enum batch_action action)
{
	return action == BATCH_BAN ? SCOPE_ADMIN : action == BATCH_APPROVE || action == BATCH_DENY ? SCOPE_APPROVE : SCOPE_WRITE;
}

void members_batch(void *self, const struct request *request, struct reply *reply)
{
	struct controller_api *api = self;
	struct admin_error error = {0};
	struct problem problem;
	uint64_t nwid;
	struct batch_wish *wish = calloc(1, sizeof(*wish)); /* eight kilobytes of addresses */

	if (!wish) {
		reply_json(reply, 503, NULL);
	} else if (!network_of(request, reply, &nwid)) {
	} else if (!settings_batch(request->body, request->body_len, wish, &problem)) {
		reply_problem(reply, &problem);
	} else if (!request_may(request, scope_of(wish->batch.action), request->arg[0])) {
		reply_denied(request, scope_of(wish->batch.action), reply);
	} else {
		struct results results = {.controller = api->controller, .nwid = nwid, .list = json_array()};
		json_t *o = json_schema("farlan.batch/1");
		wish->batch.undecided = !request_may(request, SCOPE_WRITE, request->arg[0]);
		enum admin_status status = controller_member_batch(api->controller, nwid, &wish->batch, result_add, &results, &error);
		json_object_set_new(o, "results", results.list);
		if (status == ADMIN_OK) {
			reply_json(reply, 200, o);
		} else {
			json_decref(o);
			admin_problem(reply, status, &error);
		}
	}
	free(wish);
}

/* ---- preapprovals ---- */

static json_t *preapproval_json(const struct preapproval_row *row)
{
	const struct member_settings *m = &row->settings;
	char address[ADDRESS_TEXT], text[PREFIX_TEXT];
	json_t *o = json_object(), *ips = json_array(), *tags = json_array(), *flags = json_object();
	address_format(row->address, address);
	for (unsigned i = 0; i < m->n_ips; i++) {
		prefix_format(&m->ips[i], text, sizeof(text));
		json_array_append_new(ips, json_string(text));
	}
	for (unsigned i = 0; i < m->tags.n; i++)
		json_array_append_new(tags, json_string(m->tags.tag[i]));
	for (const struct flag_name *f = member_flag_names; f->name; f++)
		if ((m->flags_on | m->flags_off) & f->flag)
			json_object_set_new(flags, f->name, json_boolean(m->flags_on & f->flag));
	json_object_set_new(o, "address", json_string(address));
	json_object_set_new(o, "name", json_text(m->name));
	json_object_set_new(o, "description", json_text(m->description));
	json_object_set_new(o, "approve", json_boolean(!row->reserve));
	json_object_set_new(o, "auto_ip", json_boolean(m->auto_ip));
	json_object_set_new(o, "ips", ips);
	json_object_set_new(o, "tags", tags);
	json_object_set_new(o, "flags", flags);
	json_object_set_new(o, "expires_in", json_count_or_null(m->expires_s));
	json_object_set_new(o, "created", json_count_or_null(row->created_wall_s));
	json_object_set_new(o, "revision", json_count(row->revision));
	return o;
}

static void preapproval_append(void *list, const struct preapproval_row *row)
{
	json_array_append_new(list, preapproval_json(row));
}

void preapprovals_get(void *self, const struct request *request, struct reply *reply)
{
	struct controller_api *api = self;
	struct admin_error error = {0};
	uint64_t nwid;
	if (!network_of(request, reply, &nwid))
		return;
	json_t *list = json_array(), *o = json_schema("farlan.preapprovals/1");
	enum admin_status status = controller_preapproval_each(api->controller, nwid, preapproval_append, list, &error);
	json_object_set_new(o, "total", json_integer((json_int_t)json_array_size(list)));
	json_object_set_new(o, "next", json_null()); /* short rows, PREAPPROVALS_MAX at most */
	json_object_set_new(o, "preapprovals", list);
	if (status == ADMIN_OK) {
		reply_json(reply, 200, o);
		return;
	}
	json_decref(o);
	admin_problem(reply, status, &error);
}

struct sought {
	uint64_t address;
	json_t *found;
};

static void seek(void *self, const struct preapproval_row *row)
{
	struct sought *s = self;
	if (row->address == s->address && !s->found)
		s->found = preapproval_json(row);
}

void preapprovals_post(void *self, const struct request *request, struct reply *reply)
{
	struct controller_api *api = self;
	struct admin_error error = {0};
	struct member_settings settings;
	struct problem problem;
	struct sought sought = {0};
	uint64_t nwid;
	bool approve;
	if (!network_of(request, reply, &nwid))
		return;
	if (!settings_preapproval(request->body, request->body_len, &sought.address, &approve, &settings, &problem)) {
		reply_problem(reply, &problem);
		return;
	}
	enum admin_status status = approve ? controller_preapprove(api->controller, nwid, sought.address, &settings, &error)
	                                   : controller_reserve(api->controller, nwid, sought.address, &settings, &error);
	if (status == ADMIN_OK)
		status = controller_preapproval_each(api->controller, nwid, seek, &sought, &error);
	if (status == ADMIN_OK && sought.found)
		reply_row(reply, 201, "farlan.preapproval/1", sought.found);
	else
		admin_problem(reply, status, &error);
}

void preapproval_delete(void *self, const struct request *request, struct reply *reply)
{
	struct controller_api *api = self;
	struct admin_error error = {0};
	struct sought sought = {0};
	uint64_t nwid;
	if (!member_of(request, reply, &nwid, &sought.address) || !body_none(request, reply))
		return;
	enum admin_status status = controller_preapproval_each(api->controller, nwid, seek, &sought, &error);
	if (status == ADMIN_OK)
		status = controller_preapproval_delete(api->controller, nwid, sought.address, &error);
	if (status == ADMIN_OK && sought.found)
		reply_row(reply, 200, "farlan.preapproval/1", sought.found); /* as it was */
	else {
		json_decref(sought.found);
		admin_problem(reply, status, &error);
	}
}
