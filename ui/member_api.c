/* member_api.c: members of a network, from a route to one call of the controller, and from its rows to JSON. */
#include <stdio.h>
#include <string.h>

#include "ui/controller_routes.h"

json_t *member_json(const struct member_row *row)
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

static void member_append(void *array, const struct member_row *row)
{
	json_array_append_new(array, member_json(row));
}

void members_get(void *self, const struct request *request, struct reply *reply)
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

void member_get(void *self, const struct request *request, struct reply *reply)
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

void member_patch(void *self, const struct request *request, struct reply *reply)
{
	member_change(self, request, false, reply);
}
void member_approve(void *self, const struct request *request, struct reply *reply)
{
	member_change(self, request, true, reply);
}

static void member_verb(struct controller_api *api, const struct request *request, struct reply *reply,
                        enum admin_status (*verb)(struct controller *, uint64_t, uint64_t, const char *, struct admin_error *))
{
	struct admin_error error = {0};
	uint64_t nwid, address;
	if (member_of(request, reply, &nwid, &address) && body_none(request, reply))
		member_answer(api, verb(api->controller, nwid, address, NULL, &error), &error, nwid, address, reply);
}

void member_deny(void *self, const struct request *request, struct reply *reply)
{
	member_verb(self, request, reply, controller_member_deny);
}

void member_revoke(void *self, const struct request *request, struct reply *reply)
{
	member_verb(self, request, reply, controller_member_revoke);
}

void member_delete(void *self, const struct request *request, struct reply *reply)
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
