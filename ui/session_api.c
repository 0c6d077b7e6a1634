/* session_api.c: signing in and out, and the first user.
 *
 * A wrong password and an unknown user get the same answer after the same work, and a try is charged before it is looked at.
 * The password is verified elsewhere; when its request comes back, the account may have changed, so what was verified is
 * compared with what is kept by then. Whether there is a second factor is said only after that, and its code is looked at in the
 * same turn in which the session begins, so that of two logins with one code the second fails. Who signs in leaves an old session behind: a cookie planted before means nothing after.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "proto/random.h"
#include "ui/controller_routes.h"
#include "ui/password_job.h"
#include "ui/work.h"

struct credentials {
	bool has_once, has_user, has_password;
	char once[LINK_TEXT], user[USER_NAME_MAX + 1], password[PASSWORD_MAX + 1], code[CODE_MAX];
};

/* Fields of a body; once only where that means something. false: answered. */
static bool credentials_take(const struct request *request, bool once, struct credentials *ret, struct reply *reply)
{
	static const char *const with_once[] = {"user", "password", "code", "once", NULL}, *const without[] = {"user", "password", NULL};
	struct problem problem;
	bool has_code;
	memset(ret, 0, sizeof(*ret));
	json_t *o = json_body(request->body, request->body_len, once ? with_once : without, &problem);
	bool good =
	    o && json_take_text(o, "once", 1, ret->once, sizeof(ret->once), &ret->has_once, &problem) &&
	    json_take_text(o, "user", 1, ret->user, sizeof(ret->user), &ret->has_user, &problem) &&
	    json_take_text(o, "code", 1, ret->code, sizeof(ret->code), &has_code, &problem) &&
	    json_take_text(o, "password", once ? 1 : PASSWORD_MIN, ret->password, sizeof(ret->password), &ret->has_password, &problem);
	json_decref(o);
	if (good && (ret->has_once ? ret->has_user || ret->has_password : !ret->has_user || !ret->has_password)) {
		problem_set(&problem, 400, "incomplete", once ? "give user and password, or once" : "give user and password");
		good = false;
	}
	if (!good)
		reply_problem(reply, &problem);
	return good;
}

/* What the page shows and hides by: role and scopes of a session, and what it has yet to do. */
static void session_rights(const struct access *access, json_t *o, const struct session_row *s)
{
	bool missing = access_factor_missing(access, s);
	json_t *scopes = json_array();
	if (!missing && s->role == ROLE_ADMIN)
		json_array_append_new(scopes, json_string("admin"));
	else if (!missing)
		json_array_append_new(scopes, json_string("read"));
	if (!missing && s->role == ROLE_APPROVE)
		json_array_append_new(scopes, json_string("members:approve"));
	json_object_set_new(o, "role", json_string(role_name(s->role)));
	json_object_set_new(o, "scopes", scopes);
	json_object_set_new(o, "second_factor", json_boolean(s->factor));
	json_object_set_new(o, "recovery_left", s->factor ? json_count(s->recovery_left) : json_null());
	json_object_set_new(o, "needs", missing ? json_string("second-factor") : json_null());
}

/* The same of who has no session, or none any more. */
static void other_rights(json_t *o, json_t *scopes)
{
	json_object_set_new(o, "role", json_null());
	json_object_set_new(o, "scopes", scopes);
	json_object_set_new(o, "second_factor", json_false());
	json_object_set_new(o, "recovery_left", json_null());
	json_object_set_new(o, "needs", json_null());
}

void session_get(void *self, const struct request *request, struct reply *reply)
{
	struct controller_api *api = self;
	const struct visitor *who = api->visitor;
	json_t *o = json_schema("farlan.session/1"), *left = json_null();
	(void)request;
	if (who->by == VISITOR_SESSION)
		left = json_count(controller_session_left(api->controller, &who->session));
	else if (who->by == VISITOR_TOKEN && who->token.expires)
		left = json_count(who->token.expires_in);
	json_object_set_new(o, "user", who->by == VISITOR_SESSION && *who->session.user ? json_text(who->session.user) : json_null());
	json_object_set_new(o, "actor", json_text(who->actor.name));
	if (who->by == VISITOR_SESSION)
		session_rights(api->access, o, &who->session);
	else
		other_rights(o, who->by == VISITOR_TOKEN ? token_scopes_json(&who->token) : json_pack("[s]", "admin"));
	json_object_set_new(o, "expires_in", left);
	reply_json(reply, 200, o);
}

/* A new session for whoever just proved who he is, in place of the one he had. */
static void session_begin(struct controller_api *api, const struct request *request, const char *user, unsigned status, struct reply *reply)
{
	char text[SESSION_TEXT];
	if (api->visitor->by == VISITOR_SESSION)
		controller_session_close(api->controller, api->visitor->session.hash);
	controller_session_open(api->controller, user, text);
	access_cookie(api->access, request, text, reply);
	const struct session_row *s = controller_session_find(api->controller, text, strlen(text));
	wipe(text, sizeof(text));
	json_t *o = json_schema("farlan.session/1");
	json_object_set_new(o, "user", *user ? json_text(user) : json_null());
	if (s)
		session_rights(api->access, o, s);
	else /* he was deleted in this very moment */
		other_rights(o, json_array());
	json_object_set_new(o, "expires_in", json_count(SESSION_IDLE_S));
	reply_json(reply, status, o);
}

static void wrong(struct reply *reply, const char *detail)
{
	struct problem problem;
	problem_set(&problem, 401, "not signed in", "%s", detail);
	snprintf(problem.hint, sizeof(problem.hint), "who has the controller's machine makes a one-time link there, or another password");
	snprintf(problem.command, sizeof(problem.command), "farlan page");
	reply_problem(reply, &problem);
}

void login_later(struct reply *reply, uint64_t ms)
{
	struct problem problem;
	problem_set(&problem, 429, "too many tries", "the last passwords were wrong; try again in %llu s",
	            (unsigned long long)(ms + 999) / 1000);
	snprintf(problem.hint, sizeof(problem.hint), "a one-time link made on the controller's machine works at once");
	snprintf(problem.command, sizeof(problem.command), "farlan page");
	reply_problem(reply, &problem);
	reply->retry_after = (unsigned)((ms + 999) / 1000);
}

static void login_start(struct controller_api *api, const struct request *request, const struct credentials *c, struct reply *reply)
{
	struct password_job job = {.verify = true};
	enum throttle_class class = throttle_class(&api->access->throttle, api->now, c->user, request->peer);
	if (!password_job_room(api->access, class, reply)) /* before it is charged: nothing was tried */
		return;
	uint64_t wait = throttle_try(&api->access->throttle, api->now, c->user, request->peer);
	if (wait) {
		login_later(reply, wait);
		return;
	}
	snprintf(job.user, sizeof(job.user), "%s", c->user);
	snprintf(job.given, sizeof(job.given), "%s", c->password);
	snprintf(job.code, sizeof(job.code), "%s", c->code);
	controller_user_kept(api->controller, c->user, job.kept);
	password_job_start(request, reply, api->access, &job);
	wipe(&job, sizeof(job));
}

static void second_problem(struct reply *reply, const char *reason, const char *title, const char *detail)
{
	struct problem problem;
	problem_set(&problem, strcmp(reason, "second-factor-wait") ? 401 : 429, title, "%s", detail);
	problem.reason = reason;
	snprintf(problem.hint, sizeof(problem.hint),
	         "a recovery code does as well; else who has the controller's machine turns it off there");
	snprintf(problem.command, sizeof(problem.command), "farlan user second-factor NAME --off");
	reply_problem(reply, &problem);
}

bool second_factor_spend(struct controller_api *api, const struct request *request, const char *user, const char *code, char why[CODE_WHY],
                         uint64_t *ret_wait)
{
	struct throttle *throttle = &api->access->throttle;
	bool paper = code_kind(code) == CODE_RECOVERY; /* not to be guessed: whoever tries the others keeps nobody from these */
	uint64_t wait = paper ? 0 : throttle_code(throttle, api->now, user, request->peer);
	int64_t off_s = 0;
	char clock[96] = "", utc[32];
	time_t now = (time_t)api->wall_s;
	struct tm tm;
	*ret_wait = wait;
	if (wait) {
		snprintf(why, CODE_WHY, "too many codes were wrong; the next may be tried in %llu min, and a recovery code at once",
		         (unsigned long long)(wait + 59999) / 60000);
		return false;
	}
	switch (controller_factor_spend(api->controller, user, code, api->wall_s, &off_s)) {
	case CODE_GOOD: return true;
	case CODE_USED: snprintf(why, CODE_WHY, "this code was used already: wait for the next one"); return false; /* no guess */
	case CODE_CLOCK:
		clock_say(off_s, clock, sizeof(clock));
		snprintf(why, CODE_WHY, "the code is of another time: %s", clock);
		break;
	case CODE_UNAVAILABLE: snprintf(why, CODE_WHY, "a recovery code cannot be taken now: the database cannot be written"); return false;
	case CODE_WRONG:
		strftime(utc, sizeof(utc), "%H:%M:%S", gmtime_r(&now, &tm));
		snprintf(why, CODE_WHY, "the code is wrong; this machine's clock says %s UTC", utc);
		break;
	}
	if (!paper)
		throttle_code_wrong(throttle, api->now, user, request->peer);
	controller_code_note(api->controller, user, request->peer);
	return false;
}

/* The password was right. Is that all it takes? *ret_tries: how many it took to get here, the one without a code included, which
 * nobody has who has no second factor. false: answered. */
static bool second_passed(struct controller_api *api, const struct request *request, const struct password_job *job, unsigned *ret_tries,
                          struct reply *reply)
{
	struct admin_error error = {0};
	struct user_row row;
	char why[CODE_WHY];
	uint64_t wait = 0;
	enum admin_status status = controller_user_get(api->controller, job->user, &row, &error);
	if (status) {
		admin_problem(reply, status, &error);
		return false;
	}
	*ret_tries = row.factor ? 2 : 1;
	if (!row.factor)
		return true;
	if (!*job->code)
		second_problem(reply, "second-factor", "a code is needed", "the password is right; this user has a second factor");
	else if (second_factor_spend(api, request, job->user, job->code, why, &wait))
		return true;
	else
		second_problem(reply, wait ? "second-factor-wait" : "second-factor-wrong", "the code does not work", why);
	reply->retry_after = (unsigned)((wait + 999) / 1000);
	return false;
}

static void login_end(struct controller_api *api, const struct request *request, const struct password_job *job, struct reply *reply)
{
	char kept[KEPT_MAX];
	unsigned tries = 1;
	bool same = controller_user_kept(api->controller, job->user, kept) && !strcmp(kept, job->kept);
	bool good = job->good && same;
	wipe(kept, sizeof(kept));
	if (!good) {
		controller_login_note(api->controller, job->user, request->peer, false);
		wrong(reply, "the user's name or the password is wrong");
		return;
	}
	if (!second_passed(api, request, job, &tries, reply))
		return;
	controller_login_note(api->controller, job->user, request->peer, true);
	throttle_good(&api->access->throttle, api->now, job->user, request->peer, tries, true);
	if (job->made[0])
		controller_user_kept_anew(api->controller, job->user, job->made);
	session_begin(api, request, job->user, 200, reply);
}

void session_post(void *self, const struct request *request, struct reply *reply)
{
	struct controller_api *api = self;
	struct credentials c;
	struct problem problem;
	const struct password_job *done = work_done(request);

	if (api->visitor->by == VISITOR_LOCAL || api->visitor->by == VISITOR_TOKEN) {
		problem_set(&problem, 400, "no session", "sessions are for browsers; this caller has its rights already");
		reply_problem(reply, &problem);
		return;
	}
	if (done) {
		login_end(api, request, done, reply);
		return;
	}
	if (!credentials_take(request, true, &c, reply))
		return;
	if (!c.has_once) {
		login_start(api, request, &c, reply);
	} else if (access_link_spend(api->access, api->now, c.once)) {
		controller_login_note(api->controller, "", request->peer, true);
		session_begin(api, request, "", 200, reply);
	} else {
		controller_login_note(api->controller, "", request->peer, false);
		wrong(reply, "this link does not work any more: one works once, and for 15 minutes");
	}
	wipe(&c, sizeof(c));
}

void session_delete(void *self, const struct request *request, struct reply *reply)
{
	struct controller_api *api = self;
	struct problem problem;
	if (!body_none(request, reply))
		return;
	if (api->visitor->by != VISITOR_SESSION) {
		problem_set(&problem, 400, "no session", "only a session can be ended; a token is revoked");
		reply_problem(reply, &problem);
		return;
	}
	controller_session_close(api->controller, api->visitor->session.hash);
	access_cookie(api->access, request, "", reply);
	json_t *o = json_schema("farlan.session/1");
	json_object_set_new(o, "user", json_null());
	other_rights(o, json_array());
	json_object_set_new(o, "expires_in", json_integer(0));
	reply_json(reply, 200, o);
}

/* ---- the first user */

void setup_post(void *self, const struct request *request, struct reply *reply)
{
	struct controller_api *api = self;
	struct credentials c;
	struct admin_error error = {0};
	struct user_row row;
	struct password_job job = {.hash = true};
	const struct password_job *done = work_done(request);

	if (done) {
		enum admin_status status = ADMIN_UNAVAILABLE;
		if (done->error)
			snprintf(error.title, sizeof(error.title), "No memory for a password");
		else
			status = controller_user_add(api->controller, done->user, done->made, ROLE_ADMIN, true, &error);
		if (status)
			admin_problem(reply, status, &error);
		else if (api->visitor->by == VISITOR_SESSION)
			session_begin(api, request, done->user, 201, reply);
		else if (controller_user_get(api->controller, done->user, &row, &error) == ADMIN_OK)
			reply_row(reply, 201, "farlan.user/1", user_json(&row));
		return;
	}
	if (!credentials_take(request, false, &c, reply))
		return;
	if (controller_users(api->controller)) { /* before the work; the add asks again */
		struct problem problem;
		problem_set(&problem, 409, "there are users already", "only the first user is made this way");
		snprintf(problem.hint, sizeof(problem.hint), "sign in as one of them, or use: farlan user add NAME");
		reply_problem(reply, &problem);
	} else {
		snprintf(job.user, sizeof(job.user), "%s", c.user);
		snprintf(job.fresh, sizeof(job.fresh), "%s", c.password);
		password_job_start(request, reply, api->access, &job);
	}
	wipe(&job, sizeof(job));
	wipe(&c, sizeof(c));
}
