/* invite_api.c: invitations, from a route to one call of the controller, and from its rows to JSON.
 *
 * The link is put together here, of the key that the controller just made and forgot, and of the roots that this daemon itself uses or that
 * the body names. It is in the one answer that creates it and nowhere else, together with its picture.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controller/invite.h"
#include "ui/controller_routes.h"
#include "ui/qr.h"

static json_t *invite_json(const struct invite_row *row)
{
	const struct invite_terms *t = &row->terms;
	char id[INVITE_ID_TEXT];
	json_t *o = json_object(), *tags = json_array(), *flags = json_object();
	invite_id_format(row->id, id);
	for (unsigned i = 0; i < t->tags.n; i++)
		json_array_append_new(tags, json_string(t->tags.tag[i]));
	for (const struct flag_name *f = member_flag_names; f->name; f++)
		if ((t->flags_on | t->flags_off) & f->flag)
			json_object_set_new(flags, f->name, json_boolean(!(t->flags_on & f->flag) == f->inverse));
	json_object_set_new(o, "id", json_string(id));
	json_object_set_new(o, "name", json_text(t->name));
	json_object_set_new(o, "state", json_string(invite_state_name(row->state)));
	json_object_set_new(o, "uses", t->uses ? json_integer(t->uses) : json_null());
	json_object_set_new(o, "uses_left", t->uses ? json_integer(row->uses_left) : json_null());
	json_object_set_new(o, "expires_in", json_count_or_null(row->expires_in_s));
	json_object_set_new(o, "expires_at", json_count_or_null(row->expires_wall_s));
	json_object_set_new(o, "tags", tags);
	json_object_set_new(o, "flags", flags);
	json_object_set_new(o, "ephemeral", json_count_or_null(t->ephemeral_s));
	json_object_set_new(o, "created", json_count_or_null(row->created_wall_s));
	json_object_set_new(o, "created_by", json_text(row->created_by));
	json_object_set_new(o, "revision", json_count(row->revision));
	return o;
}

static void invite_append(void *array, const struct invite_row *row)
{
	json_array_append_new(array, invite_json(row));
}

void invites_get(void *self, const struct request *request, struct reply *reply)
{
	struct controller_api *api = self;
	struct admin_error error = {0};
	uint64_t nwid;
	if (!network_of(request, reply, &nwid))
		return;
	json_t *invites = json_array(), *o = json_schema("farlan.invites/1");
	enum admin_status status = controller_invite_each(api->controller, nwid, invite_append, invites, &error);
	json_object_set_new(o, "total", json_integer((json_int_t)json_array_size(invites)));
	json_object_set_new(o, "next", json_null()); /* INVITES_MAX at most: a list of one part */
	json_object_set_new(o, "invites", invites);
	if (status == ADMIN_OK) {
		reply_json(reply, 200, o);
		return;
	}
	json_decref(o);
	admin_problem(reply, status, &error);
}

static bool invite_of(const struct request *request, struct reply *reply, uint64_t *ret_nwid, uint64_t *ret)
{
	struct problem problem;
	if (!network_of(request, reply, ret_nwid))
		return false;
	if (invite_id_parse(request->arg[1], ret))
		return true;
	problem_set(&problem, 400, "not an invitation's id", "\"%.40s\" is not 16 hex digits", request->arg[1]);
	snprintf(problem.hint, sizeof(problem.hint), "farlan invite list shows the ids");
	reply_problem(reply, &problem);
	return false;
}

static void invite_reply(struct reply *reply, unsigned http, const struct invite_row *row)
{
	reply_etag(reply, row->revision);
	reply_row(reply, http, "farlan.invite/1", invite_json(row));
}

void invite_get(void *self, const struct request *request, struct reply *reply)
{
	struct controller_api *api = self;
	struct admin_error error = {0};
	struct invite_row row;
	uint64_t nwid, id;
	if (!invite_of(request, reply, &nwid, &id))
		return;
	enum admin_status status = controller_invite_get(api->controller, nwid, id, &row, &error);
	if (status == ADMIN_OK)
		invite_reply(reply, 200, &row);
	else
		admin_problem(reply, status, &error);
}

void invite_delete(void *self, const struct request *request, struct reply *reply)
{
	struct controller_api *api = self;
	struct admin_error error = {0};
	struct invite_row row;
	uint64_t nwid, id;
	if (!invite_of(request, reply, &nwid, &id) || !body_none(request, reply))
		return;
	enum admin_status status = controller_invite_get(api->controller, nwid, id, &row, &error);
	if (status == ADMIN_OK && !request_matches(request, reply, row.revision))
		return;
	if (status == ADMIN_OK)
		status = controller_invite_revoke(api->controller, nwid, id, &row, &error);
	if (status == ADMIN_OK)
		invite_reply(reply, 200, &row);
	else
		admin_problem(reply, status, &error);
}

/* ---- making one ------------------------------------------------------------------------------------------------------------- */

struct wish {
	struct invite_terms terms;
	uint64_t expires_in_s;
	struct root_line roots[INVITE_ROOTS_MAX];
	unsigned n_roots;
	bool roots_given;
};

static bool wrong(struct problem *problem, const char *name, const char *message)
{
	problem_set(problem, 400, "the body is wrong", "\"%s\" %s", name, message);
	problem_error(problem, '/', name, "%s", message);
	return false;
}

static bool take_tags(const json_t *object, struct tags *ret, struct problem *problem)
{
	const json_t *list = json_object_get(object, "tags"), *tag;
	size_t i;
	if (list && !json_is_array(list))
		return wrong(problem, "tags", "must be an array of tags");
	json_array_foreach(list, i, tag) if (!json_is_string(tag) || !tags_add(ret, json_string_value(tag))) return wrong(
	    problem, "tags", "are at most 16 of 1 to 32 characters a-z, 0-9, '.', '_', ':' and '-'");
	return true;
}

static bool take_flags(json_t *object, struct invite_terms *ret, struct problem *problem)
{
	json_t *flags = json_object_get(object, "flags"), *value;
	const char *name;
	if (flags && !json_is_object(flags))
		return wrong(problem, "flags", "must be an object of rights, each true or false");
	json_object_foreach(flags, name, value)
	{
		const struct flag_name *f = member_flag_names;
		while (f->name && strcmp(f->name, name) != 0)
			f++;
		if (!f->name || !json_is_boolean(value))
			return wrong(problem, "flags", "are rights of a member, each true or false");
		*(json_is_true(value) == f->inverse ? &ret->flags_off : &ret->flags_on) |= f->flag;
	}
	return true;
}

static bool take_roots(const json_t *object, struct wish *w, struct problem *problem)
{
	const json_t *list = json_object_get(object, "roots"), *line;
	const char *why;
	size_t i, at;
	if (!list)
		return true;
	w->roots_given = true;
	if (!json_is_array(list) || json_array_size(list) > INVITE_ROOTS_MAX)
		return wrong(problem, "roots", "must be an array of at most 4 root lines");
	json_array_foreach(list, i, line)
	{
		if (!json_is_string(line))
			return wrong(problem, "roots", "must be root lines, as farlan root-line prints them");
		if (!root_line_parse(json_string_value(line), &w->roots[w->n_roots], &at, &why))
			return wrong(problem, "roots", why);
		w->n_roots++;
	}
	return true;
}

/* null says the same as nothing, where nothing means no limit. */
static void nulls_drop(json_t *object)
{
	static const char *const names[] = {"expires_in", "ephemeral", "name"};
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (json_is_null(json_object_get(object, names[i])))
			json_object_del(object, names[i]);
}

static bool wish_read(const struct request *request, struct wish *ret, struct problem *problem)
{
	static const char *const names[] = {"name", "uses", "expires_in", "tags", "flags", "ephemeral", "roots", NULL};
	struct wish w = {.terms.uses = 1};
	uint64_t uses = 1, ephemeral = 0;
	bool is;
	json_t *object = json_body(request->body, request->body_len, names, problem);
	if (!object)
		return false;
	nulls_drop(object);
	if (json_is_null(json_object_get(object, "uses"))) {
		uses = 0;
		json_object_del(object, "uses");
	}
	bool good = json_take_text(object, "name", 0, w.terms.name, sizeof(w.terms.name), &is, problem) &&
	            json_take_count(object, "uses", 1, INVITE_USES_MAX, &uses, &is, problem) &&
	            json_take_count(object, "expires_in", 1, INVITE_LIFE_MAX_S, &w.expires_in_s, &is, problem) &&
	            json_take_count(object, "ephemeral", EPHEMERAL_MIN_S, INVITE_LIFE_MAX_S, &ephemeral, &is, problem) &&
	            take_tags(object, &w.terms.tags, problem) && take_flags(object, &w.terms, problem) && take_roots(object, &w, problem);
	json_decref(object);
	w.terms.uses = (uint32_t)uses;
	w.terms.ephemeral_s = (uint32_t)ephemeral;
	if (good)
		*ret = w;
	explicit_bzero(&w, sizeof(w));
	return good;
}

/* As many roots as there is room for: the first of a list is the one people put first. */
static bool link_write(const struct controller_api *api, const struct wish *w, uint64_t nwid, const struct invite_key *key,
                       char ret[INVITE_LINK_MAX])
{
	struct invite_link link = {.nwid = nwid, .key = *key, .n_roots = w->n_roots};
	bool good = false;
	memcpy(link.pin, api->self->key_hash, sizeof(link.pin));
	memcpy(link.roots, w->roots, sizeof(link.roots));
	link.pin[16] &= 0xc0;
	if (!w->roots_given && api->link_roots)
		link.n_roots = api->link_roots(api->status_self, link.roots, INVITE_ROOTS_MAX);
	while (!(good = invite_link_format(&link, ret, INVITE_LINK_MAX)) && link.n_roots)
		link.n_roots--;
	invite_link_fini(&link);
	return good;
}

static void invite_answer(const struct controller_api *api, const struct wish *w, const struct invite_row *row,
                          const struct invite_key *key, struct reply *reply)
{
	char link[INVITE_LINK_MAX] = "";
	char title[NAME_MAX_BYTES + 32];
	json_t *o = invite_json(row);
	bool good = link_write(api, w, row->nwid, key, link);
	snprintf(title, sizeof(title), "Invitation%s%s", row->terms.name[0] ? " " : "", row->terms.name);
	char *svg = good ? qr_svg(link, title) : NULL;
	json_object_set_new(o, "link", json_string(link));
	json_object_set_new(o, "qr_svg", svg ? json_string(svg) : json_null());
	if (svg)
		explicit_bzero(svg, strlen(svg));
	free(svg);
	explicit_bzero(link, sizeof(link));
	reply_etag(reply, row->revision);
	reply_row(reply, 201, "farlan.invite/1", o);
}

void invites_post(void *self, const struct request *request, struct reply *reply)
{
	struct controller_api *api = self;
	struct admin_error error = {0};
	struct problem problem;
	struct wish wish;
	struct invite_row row;
	struct invite_key key;
	uint64_t nwid;
	if (!network_of(request, reply, &nwid))
		return;
	if (!wish_read(request, &wish, &problem)) {
		reply_problem(reply, &problem);
		return;
	}
	enum admin_status status = controller_invite_create(api->controller, nwid, &wish.terms, wish.expires_in_s, &key, &row, &error);
	if (status == ADMIN_OK)
		invite_answer(api, &wish, &row, &key, reply);
	else
		admin_problem(reply, status, &error);
	explicit_bzero(&key, sizeof(key));
	explicit_bzero(&wish, sizeof(wish));
}
