/* account_api.c: users and tokens, from routes to the controller's accounts.
 *
 * An admin makes and unmakes the others; what everybody may do is change his own password, and only with the old one: who finds
 * a page open must not be able to keep it. A token's text is in one answer, the one that made it.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "proto/random.h"
#include "ui/controller_routes.h"
#include "ui/password_job.h"
#include "ui/work.h"

/* ---- users */

json_t *user_json(const struct user_row *row)
{
	json_t *o = json_object();
	json_object_set_new(o, "name", json_text(row->name));
	json_object_set_new(o, "created", json_count_or_null(row->created_wall_s));
	json_object_set_new(o, "last_login", json_count_or_null(row->seen_wall_s));
	json_object_set_new(o, "role", json_string(role_name(row->role)));
	json_object_set_new(o, "second_factor", json_boolean(row->factor));
	json_object_set_new(o, "recovery_left", row->factor ? json_count(row->recovery_left) : json_null());
	json_object_set_new(o, "revision", json_count(row->revision));
	return o;
}

bool user_own(const struct controller_api *api, const struct request *request)
{
	const struct visitor *who = api->visitor;
	return who->by == VISITOR_SESSION && *who->session.user && !strcmp(who->session.user, request->arg[0]);
}

static bool role_take(const json_t *object, enum role *ret, struct problem *problem)
{
	char text[16];
	bool set;
	if (!json_take_text(object, "role", 1, text, sizeof(text), &set, problem))
		return false;
	if (!set)
		return true;
	*ret = role_named(text);
	if (*ret)
		return true;
	problem_set(problem, 400, "no such role", "roles are read, approve and admin");
	problem_error(problem, '/', "role", "must be read, approve or admin");
	return false;
}

static void user_append(void *array, const struct user_row *row)
{
	json_array_append_new(array, user_json(row));
}

/* A list that is always whole: these are few. Takes rows. */
static void reply_list(struct reply *reply, const char *schema, const char *plural, json_t *rows)
{
	json_t *o = json_schema(schema);
	json_object_set_new(o, "next", json_null());
	json_object_set_new(o, "total", json_integer((json_int_t)json_array_size(rows)));
	json_object_set_new(o, plural, rows);
	reply_json(reply, 200, o);
}

void users_get(void *self, const struct request *request, struct reply *reply)
{
	struct controller_api *api = self;
	struct admin_error error = {0};
	json_t *rows = json_array();
	(void)request;
	enum admin_status status = controller_user_each(api->controller, user_append, rows, &error);
	if (status == ADMIN_OK) {
		reply_list(reply, "farlan.users/1", "users", rows);
		return;
	}
	json_decref(rows);
	admin_problem(reply, status, &error);
}

static void user_answer(struct controller_api *api, unsigned http, const char *name, struct reply *reply)
{
	struct admin_error error = {0};
	struct user_row row;
	enum admin_status status = controller_user_get(api->controller, name, &row, &error);
	if (status == ADMIN_OK) {
		reply_row(reply, http, "farlan.user/1", user_json(&row));
		reply_etag(reply, row.revision);
	} else {
		admin_problem(reply, status, &error);
	}
}

static bool hashed(const struct password_job *job, struct reply *reply)
{
	struct problem problem;
	if (!job->error)
		return true;
	problem_set(&problem, 503, "no memory", "there was no memory to hash the password; nothing was changed");
	reply_problem(reply, &problem);
	return false;
}

/* jansson takes no NUL in a string, so none cuts a password short. */
static bool password_take(const json_t *object, const char *name, size_t min, char ret[PASSWORD_MAX + 1], bool *ret_set,
                          struct problem *problem)
{
	return json_take_text(object, name, min, ret, PASSWORD_MAX + 1, ret_set, problem);
}

void users_post(void *self, const struct request *request, struct reply *reply)
{
	static const char *const names[] = {"name", "password", "role", NULL};
	struct controller_api *api = self;
	struct password_job job = {.hash = true, .role = ROLE_ADMIN};
	struct admin_error error = {0};
	struct problem problem;
	bool named = false, given = false;
	const struct password_job *done = work_done(request);

	if (done) {
		enum admin_status status;
		if (!hashed(done, reply))
			return;
		status = controller_user_add(api->controller, done->user, done->made, done->role, false, &error);
		if (status == ADMIN_OK)
			user_answer(api, 201, done->user, reply);
		else
			admin_problem(reply, status, &error);
		return;
	}
	json_t *o = json_body(request->body, request->body_len, names, &problem);
	bool good = o && json_take_text(o, "name", 1, job.user, sizeof(job.user), &named, &problem) &&
	            password_take(o, "password", PASSWORD_MIN, job.fresh, &given, &problem) && role_take(o, &job.role, &problem);
	json_decref(o);
	if (good && (!named || !given || !user_name_good(job.user))) {
		problem_set(&problem, 400, "incomplete",
		            "a user has a name of 1 to 32 of a-z, 0-9, dot, underscore and hyphen, and a password");
		good = false;
	}
	if (good)
		password_job_start(request, reply, api->access, &job);
	else
		reply_problem(reply, &problem);
	wipe(&job, sizeof(job));
}

static void password_change_end(struct controller_api *api, const struct request *request, const struct password_job *job,
                                struct reply *reply)
{
	const struct visitor *who = api->visitor;
	struct admin_error error = {0};
	struct problem problem;
	if (job->verify && !job->good) {
		controller_login_note(api->controller, job->user, request->peer, false);
		problem_set(&problem, 403, "the old password is wrong", "nothing was changed");
		problem_error(&problem, '/', "old_password", "is wrong");
		reply_problem(reply, &problem);
		return;
	}
	if (!hashed(job, reply))
		return;
	if (job->verify)
		throttle_good(&api->access->throttle, api->now, job->user, request->peer, 1, false);
	enum admin_status status =
	    controller_user_password(api->controller, job->user, job->made, who->by == VISITOR_SESSION ? who->session.hash : NULL, &error);
	if (status == ADMIN_OK)
		user_answer(api, 200, job->user, reply);
	else
		admin_problem(reply, status, &error);
}

/* The body of a PATCH: a role, or a password. false: problem says why not. */
static bool user_change_take(const struct request *request, bool own, struct password_job *job, struct problem *problem)
{
	static const char *const names[] = {"password", "old_password", "role", NULL};
	bool fresh = false, old = false;
	json_t *o = json_body(request->body, request->body_len, names, problem);
	bool good = o && password_take(o, "password", PASSWORD_MIN, job->fresh, &fresh, problem) &&
	            password_take(o, "old_password", 1, job->given, &old, problem) && role_take(o, &job->role, problem);
	json_decref(o);
	if (!good)
		return false;
	if (job->role && !fresh && !old)
		return true;
	if (job->role || !fresh || (own && !old)) {
		problem_set(problem, 400, "incomplete",
		            job->role ? "role and password are changed one after the other"
		            : fresh   ? "your own password is changed with old_password too"
		                      : "give the new password, or a role");
		problem_error(problem, '/',
		              job->role ? "role"
		              : fresh   ? "old_password"
		                        : "password",
		              job->role ? "must stand alone" : "is missing");
		return false;
	}
	return true;
}

static void password_change_start(struct controller_api *api, const struct request *request, struct password_job *job, bool own,
                                  struct reply *reply)
{
	uint64_t wait;
	enum throttle_class class = own ? throttle_class(&api->access->throttle, api->now, job->user, request->peer) : THROTTLE_FRIEND;
	job->verify = own;
	controller_user_kept(api->controller, job->user, job->kept);
	if (!password_job_room(api->access, class, reply))
		; /* answered, and not charged */
	else if (own && (wait = throttle_try(&api->access->throttle, api->now, job->user, request->peer)))
		login_later(reply, wait);
	else
		password_job_start(request, reply, api->access, job);
}

void user_patch(void *self, const struct request *request, struct reply *reply)
{
	struct controller_api *api = self;
	struct password_job job = {.hash = true};
	struct admin_error error = {0};
	struct problem problem;
	struct user_row row;
	bool own = user_own(api, request);
	const struct password_job *done = work_done(request);

	if (!own && !request_may(request, SCOPE_ADMIN, NULL)) { /* his own is everybody's affair */
		reply_denied(request, SCOPE_ADMIN, reply);
		return;
	}
	if (done) {
		password_change_end(api, request, done, reply);
		return;
	}
	enum admin_status status = controller_user_get(api->controller, request->arg[0], &row, &error);
	if (status) {
		admin_problem(reply, status, &error);
		return;
	}
	if (!request_matches(request, reply, row.revision))
		return;
	snprintf(job.user, sizeof(job.user), "%s", row.name);
	if (!user_change_take(request, own, &job, &problem)) {
		reply_problem(reply, &problem);
	} else if (!job.role) {
		password_change_start(api, request, &job, own, reply);
	} else if (!request_may(request, SCOPE_ADMIN, NULL)) {
		reply_denied(request, SCOPE_ADMIN, reply);
	} else {
		status = controller_user_role(api->controller, row.name, job.role, &error);
		if (status == ADMIN_OK)
			user_answer(api, 200, row.name, reply);
		else
			admin_problem(reply, status, &error);
	}
	wipe(&job, sizeof(job));
}

void user_delete(void *self, const struct request *request, struct reply *reply)
{
	struct controller_api *api = self;
	struct admin_error error = {0};
	struct user_row row;
	if (!body_none(request, reply))
		return;
	enum admin_status status = controller_user_get(api->controller, request->arg[0], &row, &error);
	if (status == ADMIN_OK && !request_matches(request, reply, row.revision))
		return;
	if (status == ADMIN_OK)
		status = controller_user_delete(api->controller, request->arg[0], &error);
	if (status == ADMIN_OK)
		reply_row(reply, 200, "farlan.user/1", user_json(&row)); /* as it was */
	else
		admin_problem(reply, status, &error);
}

/* ---- tokens */

static const struct {
	const char *name;
	enum right right;
} rights[] = {{"read", RIGHT_READ}, {"members:approve", RIGHT_APPROVE}, {"admin", RIGHT_ADMIN}};
#define RIGHTS (sizeof(rights) / sizeof(rights[0]))

json_t *token_scopes_json(const struct token_row *row)
{
	char text[48];
	json_t *scopes = json_array();
	for (size_t i = 0; i < RIGHTS; i++)
		if (row->rights & rights[i].right)
			json_array_append_new(scopes, json_string(rights[i].name));
	for (unsigned i = 0; i < row->n_networks; i++) {
		snprintf(text, sizeof(text), "network:%016" PRIx64 ":write", row->networks[i]);
		json_array_append_new(scopes, json_string(text));
	}
	return scopes;
}

static json_t *token_json(const struct token_row *row)
{
	char id[17];
	json_t *o = json_object();
	snprintf(id, sizeof(id), "%016" PRIx64, row->id);
	json_object_set_new(o, "id", json_string(id));
	json_object_set_new(o, "name", json_text(row->name));
	json_object_set_new(o, "scopes", token_scopes_json(row));
	json_object_set_new(o, "created", json_count_or_null(row->created_wall_s));
	json_object_set_new(o, "created_by", json_text(row->creator));
	json_object_set_new(o, "last_used", json_count_or_null(row->used_wall_s));
	json_object_set_new(o, "expires_in", row->expires ? json_count(row->expires_in) : json_null());
	json_object_set_new(o, "expires_at", row->expires ? json_count((uint64_t)time(NULL) + row->expires_in) : json_null());
	json_object_set_new(o, "revision", json_count(row->revision));
	return o;
}

static void token_append(void *array, const struct token_row *row)
{
	json_array_append_new(array, token_json(row));
}

void tokens_get(void *self, const struct request *request, struct reply *reply)
{
	struct controller_api *api = self;
	struct admin_error error = {0};
	json_t *rows = json_array();
	(void)request;
	enum admin_status status = controller_token_each(api->controller, token_append, rows, &error);
	if (status == ADMIN_OK) {
		reply_list(reply, "farlan.tokens/1", "tokens", rows);
		return;
	}
	json_decref(rows);
	admin_problem(reply, status, &error);
}

/* One scope's text into the settings; false: it is none. */
static bool scope_take(const char *text, struct token_settings *ret)
{
	char nwid[NWID_TEXT];
	uint64_t network;
	uint8_t bits[17];
	bool pin;
	for (size_t i = 0; i < RIGHTS; i++)
		if (!strcmp(text, rights[i].name)) {
			ret->rights |= rights[i].right;
			return true;
		}
	if (strncmp(text, "network:", 8) != 0 || strlen(text) != 8 + 16 + 6 || strcmp(text + 8 + 16, ":write") != 0)
		return false;
	snprintf(nwid, sizeof(nwid), "%.16s", text + 8);
	if (!nwid_parse(nwid, &network, &pin, bits) || ret->n_networks == TOKEN_NETWORKS_MAX)
		return false;
	for (unsigned i = 0; i < ret->n_networks; i++)
		if (ret->networks[i] == network)
			return true;
	ret->networks[ret->n_networks++] = network;
	return true;
}

static bool scopes_take(const json_t *object, struct token_settings *ret, struct problem *problem)
{
	const json_t *scopes = json_object_get(object, "scopes"), *scope;
	size_t i;
	if (!json_is_array(scopes) || !json_array_size(scopes)) {
		problem_set(problem, 400, "no scopes", "\"scopes\" must be a list of at least one scope");
		problem_error(problem, '/', "scopes", "must be a list of at least one scope");
		return false;
	}
	json_array_foreach(scopes, i, scope)
	{
		const char *text = json_string_value(scope);
		if (text && strlen(text) == json_string_length(scope) && scope_take(text, ret))
			continue;
		problem_set(problem, 400, "unknown scope",
		            "scopes are read, members:approve, network:ID:write (of at most %d networks) and admin", TOKEN_NETWORKS_MAX);
		problem_error(problem, '/', "scopes", "number %zu is no scope", i);
		return false;
	}
	return true;
}

void tokens_post(void *self, const struct request *request, struct reply *reply)
{
	static const char *const names[] = {"name", "scopes", "expires_in", NULL};
	struct controller_api *api = self;
	struct token_settings settings = {0};
	struct admin_error error = {0};
	struct problem problem;
	struct token_row row;
	char text[TOKEN_TEXT];
	bool named = false, set;

	json_t *o = json_body(request->body, request->body_len, names, &problem);
	bool never = json_is_null(json_object_get(o, "expires_in"));
	bool good = o && json_take_text(o, "name", 1, settings.name, sizeof(settings.name), &named, &problem) &&
	            scopes_take(o, &settings, &problem) &&
	            (never || json_take_count(o, "expires_in", 1, TOKEN_LIFE_MAX_S, &settings.expires_in, &set, &problem));
	json_decref(o);
	if (good && !named) {
		problem_set(&problem, 400, "no name", "a token needs a name, such as where it is used");
		problem_error(&problem, '/', "name", "is missing");
		good = false;
	}
	if (!good) {
		reply_problem(reply, &problem);
		return;
	}
	enum admin_status status = controller_token_create(api->controller, &settings, &row, text, &error);
	if (status) {
		admin_problem(reply, status, &error);
		return;
	}
	o = token_json(&row);
	json_object_set_new(o, "token", json_string(text));
	wipe(text, sizeof(text));
	reply_row(reply, 201, "farlan.token/1", o);
}

void token_delete(void *self, const struct request *request, struct reply *reply)
{
	struct controller_api *api = self;
	struct admin_error error = {0};
	struct problem problem;
	struct token_row row;
	char *end;
	const char *text = request->arg[0];
	uint64_t id = strtoull(text, &end, 16);

	if (!body_none(request, reply))
		return;
	if (strlen(text) != 16 || strspn(text, "0123456789abcdef") != 16) {
		problem_set(&problem, 400, "not a token's id", "\"%.40s\" is not 16 hex digits", text);
		snprintf(problem.hint, sizeof(problem.hint), "farlan token list shows the ids");
		reply_problem(reply, &problem);
		return;
	}
	enum admin_status status = controller_token_get(api->controller, id, &row, &error);
	if (status == ADMIN_OK && !request_matches(request, reply, row.revision))
		return;
	if (status == ADMIN_OK)
		status = controller_token_revoke(api->controller, id, &error);
	if (status == ADMIN_OK)
		reply_row(reply, 200, "farlan.token/1", token_json(&row)); /* as it was */
	else
		admin_problem(reply, status, &error);
}
