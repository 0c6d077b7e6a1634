/* zt1_read.c: bodies as these programs send them: truths and numbers in strings, fields nobody asked for, any content type.
 *
 * Tolerance ends where it would hide a mistake: a body that is no object is refused, and what a field means is for its reader to judge.
 * Depth is bounded by jansson, size by the door.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ui/zt1.h"

json_t *zt1_body(const struct request *request, struct reply *reply)
{
	json_error_t error;
	if (!request->body_len)
		return json_object();
	json_t *body = json_loadb(request->body, request->body_len, 0, &error);
	if (json_is_object(body))
		return body;
	if (body)
		zt1_refuse(reply, 400, "the body must be a JSON object");
	else
		zt1_refuse(reply, 400, "the body is no JSON: line %d, column %d: %.200s", error.line, error.column, error.text);
	json_decref(body);
	return NULL;
}

bool zt1_bool(const json_t *value, bool fallback)
{
	if (json_is_boolean(value))
		return json_is_true(value);
	if (json_is_number(value))
		return json_number_value(value) > 0;
	if (json_is_string(value)) {
		const char *text = json_string_value(value);
		return *text == 't' || *text == 'T' || *text == '1';
	}
	return fallback;
}

/* A double beyond 64 bits has no whole number (and converting it would be undefined). */
static int64_t whole(double x, int64_t fallback)
{
	return x > -9e18 && x < 9e18 ? (int64_t)x : fallback;
}

int64_t zt1_int(const json_t *value, int64_t fallback)
{
	if (json_is_integer(value))
		return json_integer_value(value);
	if (json_is_real(value))
		return whole(json_real_value(value), fallback);
	if (json_is_boolean(value))
		return json_is_true(value);
	if (!json_is_string(value))
		return fallback;
	char *end;
	errno = 0;
	long long n = strtoll(json_string_value(value), &end, 10);
	return errno || end == json_string_value(value) ? fallback : n;
}

const char *zt1_text(const json_t *value, size_t max)
{
	const char *text = json_string_value(value);
	size_t len = text ? json_string_length(value) : 0;
	if (!text || len > max)
		return NULL;
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
			return NULL;
	return text;
}

static bool hex(const char *text, size_t digits, uint64_t *ret)
{
	uint64_t n = 0;
	if (!text || strlen(text) != digits || strspn(text, "0123456789abcdefABCDEF") != digits)
		return false;
	for (; *text; text++)
		n = n << 4 | (uint64_t)(*text <= '9' ? *text - '0' : (*text | 32) - 'a' + 10);
	*ret = n;
	return true;
}

bool zt1_address(const char *text, uint64_t *ret)
{
	return hex(text, 10, ret);
}

bool zt1_nwid(const char *text, uint64_t *ret)
{
	return hex(text, 16, ret);
}
