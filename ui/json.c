/* json.c: strict in, careful out.
 *
 * In: one object, no name twice, no name we do not know: a misspelt field must not be dropped in silence and leave an
 * admin in the belief that it was set. Out: names come from strangers' machines, and jansson returns NULL for bytes that
 * are not UTF-8; one such name would lose the whole answer, so those are escaped. A body is at most REQUEST_BODY_MAX
 * bytes, which also bounds jansson's recursion (its own cap is 2048 levels).
 */
#include "ui/json.h"

#include <stdlib.h>
#include <string.h>

#include "proto/base/log.h"

json_t *json_text(const char *text)
{
	char safe[1024];
	json_t *s = json_string(text);
	return s ? s : json_string(log_text(safe, sizeof(safe), text, strlen(text)));
}

json_t *json_hex(const uint8_t *bytes, size_t n)
{
	static const char digits[] = "0123456789abcdef";
	char text[129];
	if (n > sizeof(text) / 2)
		n = sizeof(text) / 2;
	for (size_t i = 0; i < n; i++) {
		text[2 * i] = digits[bytes[i] >> 4];
		text[2 * i + 1] = digits[bytes[i] & 15];
	}
	return json_stringn(text, 2 * n);
}

json_t *json_count(uint64_t n)
{
	return json_integer(n > INT64_MAX ? INT64_MAX : (json_int_t)n);
}
json_t *json_count_or_null(uint64_t n)
{
	return n ? json_count(n) : json_null();
}

json_t *json_schema(const char *schema)
{
	json_t *o = json_object();
	json_object_set_new(o, "schema", json_string(schema));
	return o;
}

json_t *json_host(const struct prefix *p)
{
	char text[PREFIX_TEXT];
	prefix_format(p, text, sizeof(text));
	return json_stringn(text, strcspn(text, "/"));
}

json_t *json_route(const struct route *r)
{
	char text[PREFIX_TEXT];
	struct prefix via = {.family = r->target.family};
	json_t *o = json_object();
	memcpy(via.ip, r->via, sizeof(via.ip));
	prefix_format(&r->target, text, sizeof(text));
	json_object_set_new(o, "target", json_string(text));
	json_object_set_new(o, "via", r->via_set ? json_host(&via) : json_null());
	return o;
}

void reply_json(struct reply *reply, unsigned status, json_t *object)
{
	char *text = object ? json_dumps(object, JSON_COMPACT) : NULL;
	json_decref(object);
	reply_fini(reply);
	reply->type = "application/json";
	if (!text) {
		static char none[] = "{\"title\":\"out of memory\",\"status\":503,\"code\":1}";
		reply->status = 503;
		reply->body = none;
		reply->body_len = sizeof(none) - 1;
		return;
	}
	reply->status = status;
	reply->body = text;
	reply->body_len = strlen(text);
	reply->owned = true;
}

static bool name_known(const char *name, const char *const *names)
{
	for (; *names; names++)
		if (strcmp(name, *names) == 0)
			return true;
	return false;
}

static void names_hint(const char *const *names, struct problem *problem)
{
	size_t len = 0;
	if (!*names)
		snprintf(problem->hint, sizeof(problem->hint), "this request takes no fields");
	for (; *names && len < sizeof(problem->hint) - 1; names++)
		len += (size_t)snprintf(problem->hint + len, sizeof(problem->hint) - len, "%s%s", len ? ", " : "known fields: ", *names);
}

json_t *json_body(const char *body, size_t len, const char *const *names, struct problem *problem)
{
	json_error_t error;
	const char *name;
	json_t *value, *object;
	unsigned unknown = 0;

	if (!len)
		return json_object();
	object = json_loadb(body, len, JSON_REJECT_DUPLICATES, &error);
	if (!object) {
		problem_set(problem, 400, "not JSON", "line %d, column %d: %.200s", error.line, error.column, error.text);
		return NULL;
	}
	if (!json_is_object(object)) {
		problem_set(problem, 400, "not a JSON object", "the body must be an object: {\"name\": ...}");
		json_decref(object);
		return NULL;
	}
	json_object_foreach(object, name, value)
	{
		if (name_known(name, names))
			continue;
		if (!unknown++)
			problem_set(problem, 400, "unknown field", "there is no field named \"%.100s\" here", name);
		problem_error(problem, '/', name, "not known here");
	}
	if (!unknown)
		return object;
	names_hint(names, problem);
	json_decref(object);
	return NULL;
}

bool json_take_text(const json_t *object, const char *name, size_t min, char *ret, size_t room, bool *ret_set, struct problem *problem)
{
	const json_t *value = json_object_get(object, name);
	*ret_set = false;
	if (!value)
		return true;
	if (!json_is_string(value)) {
		problem_set(problem, 400, "wrong type", "\"%s\" must be a string", name);
		problem_error(problem, '/', name, "must be a string");
		return false;
	}
	size_t len = json_string_length(value);
	if (len < min || len >= room) {
		problem_set(problem, 400, "wrong length", "\"%s\" must be %zu to %zu bytes long", name, min, room - 1);
		problem_error(problem, '/', name, "must be %zu to %zu bytes long", min, room - 1);
		return false;
	}
	memcpy(ret, json_string_value(value), len + 1);
	*ret_set = true;
	return true;
}

bool json_take_bool(const json_t *object, const char *name, bool *ret, bool *ret_set, struct problem *problem)
{
	const json_t *value = json_object_get(object, name);
	*ret_set = false;
	if (!value)
		return true;
	if (!json_is_boolean(value)) {
		problem_set(problem, 400, "wrong type", "\"%s\" must be true or false", name);
		problem_error(problem, '/', name, "must be true or false");
		return false;
	}
	*ret = json_is_true(value);
	*ret_set = true;
	return true;
}

bool json_take_count(const json_t *object, const char *name, uint64_t min, uint64_t max, uint64_t *ret, bool *ret_set,
                     struct problem *problem)
{
	const json_t *value = json_object_get(object, name);
	*ret_set = false;
	if (!value)
		return true;
	json_int_t n = json_integer_value(value);
	if (!json_is_integer(value) || n < 0 || (uint64_t)n < min || (uint64_t)n > max) {
		problem_set(problem, 400, "out of range", "\"%s\" must be a whole number from %llu to %llu", name, (unsigned long long)min,
		            (unsigned long long)max);
		problem_error(problem, '/', name, "must be a whole number from %llu to %llu", (unsigned long long)min,
		              (unsigned long long)max);
		return false;
	}
	*ret = (uint64_t)n;
	*ret_set = true;
	return true;
}
