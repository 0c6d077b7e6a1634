/* audit_api.c: who did what: read page by page, and the chain verified off the thread.
 *
 * A page of the list is a walk down from the newest entry; its cursor is the number of the last entry shown, so what happens meanwhile
 * moves nothing. Verifying reads the whole chain by a connection of its own.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controller/audit.h"
#include "controller/store_audit.h"
#include "ui/argument.h"
#include "ui/controller_routes.h"
#include "ui/work.h"

#define PAGE_USUAL 1000
#define PAGE_MAX   10000

static void entry_append(void *array, const struct audit_entry *e)
{
	char nwid[NWID_TEXT], address[ADDRESS_TEXT];
	json_t *o = json_object();
	json_object_set_new(o, "seq", json_count(e->seq));
	json_object_set_new(o, "time", json_count(e->wall_s));
	json_object_set_new(o, "actor", json_text(e->actor.name));
	json_object_set_new(o, "from", json_text(e->actor.from));
	json_object_set_new(o, "action", json_text(e->action));
	nwid_format(e->nwid, nwid);
	json_object_set_new(o, "network", e->nwid ? json_string(nwid) : json_null());
	address_format(e->member, address);
	json_object_set_new(o, "member", e->member ? json_string(address) : json_null());
	json_t *detail = e->detail[0] ? json_loads(e->detail, JSON_REJECT_DUPLICATES, NULL) : json_null();
	json_object_set_new(o, "detail", detail ? detail : json_text(e->detail));
	json_object_set_new(o, "hash", json_hex(e->hash, sizeof(e->hash)));
	json_array_append_new(array, o);
}

/* ---- the list ---- */

static bool query_take(const struct request *request, struct reply *reply, struct audit_query *q)
{
	const char *network = request_query(request, "network"), *member = request_query(request, "member");
	uint8_t bits[17];
	bool pin;
	*q = (struct audit_query){.limit = PAGE_USUAL};
	if (network && !nwid_parse(network, &q->nwid, &pin, bits))
		return argument_wrong(reply, "network", "16 hex digits");
	if (member && !address_parse(member, &q->member))
		return argument_wrong(reply, "member", "10 hex digits");
	return argument_count(request, reply, "limit", PAGE_MAX, &q->limit) &&
	       argument_count(request, reply, "cursor", INT64_MAX, &q->before) &&
	       argument_text(request, reply, "actor", q->actor, sizeof(q->actor)) &&
	       argument_text(request, reply, "action", q->action, sizeof(q->action));
}

void audit_get(void *self, const struct request *request, struct reply *reply)
{
	struct controller_api *api = self;
	struct admin_error error = {0};
	struct audit_query q;
	uint64_t total = 0;
	if (!query_take(request, reply, &q))
		return;
	json_t *entries = json_array(), *next = json_null(), *o = json_schema("farlan.audit/1");
	q.limit++; /* one more than shown says whether there are more */
	enum admin_status status = controller_audit_each(api->controller, &q, entry_append, entries, &total, &error);
	if (json_array_size(entries) == q.limit) {
		char cursor[24];
		json_array_remove(entries, q.limit - 1);
		const json_t *last = json_array_get(entries, q.limit - 2);
		snprintf(cursor, sizeof(cursor), "%lld", (long long)json_integer_value(json_object_get(last, "seq")));
		next = json_string(cursor);
		reply_link(request, reply, cursor);
	}
	json_object_set_new(o, "entries", entries);
	json_object_set_new(o, "next", next);
	json_object_set_new(o, "total", json_count(total));
	if (status == ADMIN_OK) {
		reply_json(reply, 200, o);
		return;
	}
	json_decref(o);
	admin_problem(reply, status, &error);
}

/* ---- verify ---- */

struct verify_job {
	char path[HOME_PATH_MAX + 16];
	uint8_t head[AUDIT_HASH_BYTES];
	bool head_set;
	int error;
	struct audit_verdict verdict;
};

static void verify_run(void *self)
{
	struct verify_job *job = self;
	job->error = store_audit_verify(job->path, job->head_set ? job->head : NULL, &job->verdict);
}

static bool hex_read(const char *text, uint8_t *ret, size_t n)
{
	if (strlen(text) != 2 * n || strspn(text, "0123456789abcdef") != 2 * n)
		return false;
	for (size_t i = 0; i < n; i++) {
		char two[3] = {text[2 * i], text[2 * i + 1], 0};
		ret[i] = (uint8_t)strtoul(two, NULL, 16);
	}
	return true;
}

static bool verify_take(const struct request *request, struct reply *reply, struct verify_job *job)
{
	static const char *const names[] = {"head", NULL};
	struct problem problem;
	char text[2 * AUDIT_HASH_BYTES + 1];
	json_t *body = json_body(request->body, request->body_len, names, &problem);
	bool good = body && json_take_text(body, "head", 64, text, sizeof(text), &job->head_set, &problem);
	if (good && job->head_set && !hex_read(text, job->head, sizeof(job->head))) {
		problem_set(&problem, 400, "not a head", "\"head\" must be 64 hex digits");
		problem_error(&problem, '/', "head", "must be 64 hex digits");
		good = false;
	}
	json_decref(body);
	if (!good)
		reply_problem(reply, &problem);
	return good;
}

static void verify_answer(const struct verify_job *job, struct reply *reply)
{
	struct problem problem;
	const struct audit_verdict *v = &job->verdict;
	if (job->error) {
		problem_set(&problem, 503, "not verified", "the audit cannot be read: %s", strerror(-job->error));
		reply_problem(reply, &problem);
		return;
	}
	json_t *o = json_schema("farlan.audit.verify/1");
	json_object_set_new(o, "ok", json_boolean(!v->broken_at && (!job->head_set || v->found)));
	json_object_set_new(o, "entries", json_count(v->entries));
	json_object_set_new(o, "broken_at", json_count_or_null(v->broken_at));
	json_object_set_new(o, "head", json_hex(v->head, sizeof(v->head)));
	if (job->head_set)
		json_object_set_new(o, "head_found", json_boolean(v->found));
	reply_json(reply, 200, o);
}

void audit_verify_post(void *self, const struct request *request, struct reply *reply)
{
	struct controller_api *api = self;
	struct verify_job *job = work_done(request);
	if (job) {
		verify_answer(job, reply);
		return;
	}
	job = calloc(1, sizeof(*job));
	if (!job)
		return; /* nobody answered: a 500 */
	if (!verify_take(request, reply, job)) {
		free(job);
		return;
	}
	snprintf(job->path, sizeof(job->path), "%s/controller.db", api->home->dir);
	work_start(request, reply, job, verify_run, free);
}
