/* factor_api.c: a user's second factor and his recovery codes.
 *
 * It is one's own affair: nobody enrols another, and each step but the first code asks for the password again, since who finds
 * a page open must neither put his own generator in place nor take the factor away. An admin can take away another's, and
 * the unix socket may do all of it: who has the machine has the controller. What is shown is shown once.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/random.h"
#include "ui/controller_routes.h"
#include "ui/password_job.h"
#include "ui/qr.h"
#include "ui/work.h"

static void wrong(struct reply *reply, const char *field, const char *title, const char *detail)
{
	struct problem problem;
	problem_set(&problem, 403, title, "%s", detail);
	problem_error(&problem, '/', field, "is wrong");
	reply_problem(reply, &problem);
}

/* The verified password comes back; the account may have changed meanwhile. */
static bool password_good(struct controller_api *api, const struct request *request, const struct password_job *job, struct reply *reply)
{
	char kept[KEPT_MAX];
	bool good = controller_user_kept(api->controller, job->user, kept) && !strcmp(kept, job->kept) && job->good;
	wipe(kept, sizeof(kept));
	if (good) {
		throttle_good(&api->access->throttle, api->now, job->user, request->peer, 1, false);
		return true;
	}
	controller_login_note(api->controller, job->user, request->peer, false);
	wrong(reply, "password", "the password is wrong", "nothing was changed");
	return false;
}

static bool code_good(struct controller_api *api, const struct request *request, const struct password_job *job, struct reply *reply)
{
	char why[CODE_WHY];
	uint64_t wait;
	if (!api->visitor->session.factor) /* there is none, as the caller finds out */
		return true;
	if (second_factor_spend(api, request, job->user, job->code, why, &wait))
		return true;
	wrong(reply, "code", "the code does not work", why);
	return false;
}

static void verify_start(struct controller_api *api, const struct request *request, bool code, struct reply *reply)
{
	static const char *const with[] = {"password", "code", NULL}, *const without[] = {"password", NULL};
	struct password_job job = {.verify = true};
	struct problem problem;
	bool has_password = false, has_code = false;
	uint64_t wait;
	json_t *o = json_body(request->body, request->body_len, code ? with : without, &problem);
	bool good = o && json_take_text(o, "password", 1, job.given, sizeof(job.given), &has_password, &problem) &&
	            json_take_text(o, "code", 1, job.code, sizeof(job.code), &has_code, &problem);
	json_decref(o);
	if (good && (!has_password || (code && !has_code))) {
		problem_set(&problem, 400, "incomplete", "give your password%s", code ? " and a code of your second factor" : "");
		problem_error(&problem, '/', has_password ? "code" : "password", "is missing");
		good = false;
	}
	snprintf(job.user, sizeof(job.user), "%s", request->arg[0]);
	controller_user_kept(api->controller, job.user, job.kept);
	if (!good)
		reply_problem(reply, &problem);
	else if (!password_job_room(api->access, throttle_class(&api->access->throttle, api->now, job.user, request->peer), reply))
		; /* answered, and not charged */
	else if ((wait = throttle_try(&api->access->throttle, api->now, job.user, request->peer)))
		login_later(reply, wait);
	else
		password_job_start(request, reply, api->access, &job);
	wipe(&job, sizeof(job));
}

/* May this go on now? For oneself once the password was verified, and the code if that is asked for; by the unix socket, and
 * where another admin may, at once. false: answered, or the password is being looked at. */
static bool proved(struct controller_api *api, const struct request *request, bool code, bool others, struct reply *reply)
{
	const struct password_job *done = work_done(request);
	if (user_own(api, request)) {
		if (!done)
			verify_start(api, request, code, reply);
		return done && password_good(api, request, done, reply) && (!code || code_good(api, request, done, reply));
	}
	if (request->local || (others && request_may(request, SCOPE_ADMIN, NULL)))
		return body_none(request, reply);
	reply_denied(request, SCOPE_ADMIN, reply);
	return false;
}

/* false: the path names nobody, answered. */
static bool user_there(struct controller_api *api, const struct request *request, struct user_row *ret, struct reply *reply)
{
	struct admin_error error = {0};
	enum admin_status status = controller_user_get(api->controller, request->arg[0], ret, &error);
	if (status)
		admin_problem(reply, status, &error);
	return status == ADMIN_OK;
}

void factor_post(void *self, const struct request *request, struct reply *reply)
{
	struct controller_api *api = self;
	struct admin_error error = {0};
	uint8_t secret[FACTOR_SECRET];
	char text[TOTP_BASE32], address[ADDRESS_TEXT], uri[256];
	if (!proved(api, request, false, false, reply))
		return;
	enum admin_status status = controller_factor_begin(api->controller, request->arg[0], secret, &error);
	if (status) {
		admin_problem(reply, status, &error);
		return;
	}
	base32_format(secret, sizeof(secret), text);
	address_format(api->self->address, address);
	snprintf(uri, sizeof(uri), "otpauth://totp/Farlan%%20%s:%s?secret=%s&issuer=Farlan%%20%s", address, request->arg[0], text, address);
	char *svg = qr_svg(uri, "second factor");
	json_t *o = json_schema("farlan.second-factor/1");
	json_object_set_new(o, "secret", json_string(text));
	json_object_set_new(o, "uri", json_text(uri));
	json_object_set_new(o, "qr_svg", svg ? json_string(svg) : json_null());
	json_object_set_new(o, "expires_in", json_integer(FACTOR_PENDING_MS / 1000));
	reply_json(reply, 200, o);
	free(svg);
	wipe(secret, sizeof(secret));
	wipe(text, sizeof(text));
	wipe(uri, sizeof(uri));
}

static void codes_answer(char codes[RECOVERY_CODES][RECOVERY_TEXT], struct reply *reply)
{
	json_t *list = json_array(), *o = json_schema("farlan.recovery-codes/1");
	for (unsigned i = 0; i < RECOVERY_CODES; i++)
		json_array_append_new(list, json_string(codes[i]));
	json_object_set_new(o, "codes", list);
	reply_json(reply, 200, o);
	wipe(codes, RECOVERY_CODES * RECOVERY_TEXT);
}

void factor_confirm(void *self, const struct request *request, struct reply *reply)
{
	static const char *const names[] = {"code", NULL};
	struct controller_api *api = self;
	const struct visitor *who = api->visitor;
	struct admin_error error = {0};
	struct problem problem;
	char code[CODE_MAX], codes[RECOVERY_CODES][RECOVERY_TEXT];
	bool set = false;
	if (!request->local && !user_own(api, request)) {
		reply_denied(request, SCOPE_ADMIN, reply);
		return;
	}
	json_t *o = json_body(request->body, request->body_len, names, &problem);
	bool good = o && json_take_text(o, "code", 1, code, sizeof(code), &set, &problem);
	json_decref(o);
	if (good && !set) {
		problem_set(&problem, 400, "incomplete", "give the code that the generator shows");
		problem_error(&problem, '/', "code", "is missing");
		good = false;
	}
	if (!good) {
		reply_problem(reply, &problem);
		return;
	}
	enum admin_status status = controller_factor_confirm(api->controller, request->arg[0], code, api->wall_s,
	                                                     who->by == VISITOR_SESSION ? who->session.hash : NULL, codes, &error);
	if (status == ADMIN_OK)
		codes_answer(codes, reply);
	else if (status == ADMIN_INVALID)
		wrong(reply, "code", error.title, error.detail);
	else
		admin_problem(reply, status, &error);
}

void factor_delete(void *self, const struct request *request, struct reply *reply)
{
	struct controller_api *api = self;
	struct admin_error error = {0};
	struct user_row row;
	if (!proved(api, request, true, true, reply))
		return;
	enum admin_status status = controller_factor_off(api->controller, request->arg[0], &error);
	if (status)
		admin_problem(reply, status, &error);
	else if (user_there(api, request, &row, reply))
		reply_row(reply, 200, "farlan.user/1", user_json(&row));
}

void recovery_post(void *self, const struct request *request, struct reply *reply)
{
	struct controller_api *api = self;
	struct admin_error error = {0};
	char codes[RECOVERY_CODES][RECOVERY_TEXT];
	if (!proved(api, request, true, false, reply))
		return;
	enum admin_status status = controller_recovery_new(api->controller, request->arg[0], codes, &error);
	if (status == ADMIN_OK)
		codes_answer(codes, reply);
	else
		admin_problem(reply, status, &error);
}
