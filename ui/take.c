/* take.c: fields of bodies. What is wrong is named in the problem, with a pointer to the field, so that a page can show it there. */
#include "ui/take.h"

#include <string.h>

void names_join(const char *const *fixed, const struct flag_name *flags, const char *ret[NAMES_MAX + 1])
{
	unsigned n = 0;
	for (; *fixed && n < NAMES_MAX; fixed++)
		ret[n++] = *fixed;
	for (; flags->name && n < NAMES_MAX; flags++)
		ret[n++] = flags->name;
	ret[n] = NULL;
}

bool take_flags(const json_t *object, const struct flag_name *flags, bool *ret_set, uint32_t *on, uint32_t *off, struct problem *problem)
{
	*ret_set = false;
	for (; flags->name; flags++) {
		bool value = false, is;
		if (!json_take_bool(object, flags->name, &value, &is, problem))
			return false;
		if (!is)
			continue;
		*ret_set = true;
		*(value != flags->inverse ? on : off) |= flags->flag;
	}
	return true;
}

bool take_wrong(struct problem *problem, const char *name, const char *should)
{
	problem_set(problem, 400, "the body is wrong", "\"%s\" %s", name, should);
	problem_error(problem, '/', name, "%s", should);
	return false;
}

bool take_flags_object(const json_t *object, const struct flag_name *flags, bool *ret_set, uint32_t *on, uint32_t *off,
                       struct problem *problem)
{
	json_t *inner = json_object_get(object, "flags");
	const struct flag_name *known;
	const char *name;
	json_t *value;
	*ret_set = false;
	if (!inner)
		return true;
	if (!json_is_object(inner))
		return take_wrong(problem, "flags", "must be an object of switches, like {\"bridge\": true}");
	json_object_foreach(inner, name, value)
	{
		for (known = flags; known->name && strcmp(known->name, name) != 0;)
			known++;
		if (!known->name)
			return take_wrong(problem, "flags", "has a switch that is not known here");
	}
	return take_flags(inner, flags, ret_set, on, off, problem);
}

bool take_name(const json_t *object, const char *field, char *ret, size_t room, bool *ret_set, struct problem *problem)
{
	if (json_is_null(json_object_get(object, field))) {
		*ret = '\0';
		*ret_set = true;
		return true;
	}
	if (!json_take_text(object, field, 0, ret, room, ret_set, problem))
		return false;
	if (!*ret_set || !*ret)
		return true;
	size_t len = strlen(ret);
	bool bad = ret[0] == ' ' || ret[len - 1] == ' ';
	for (size_t i = 0; i < len; i++)
		bad = bad || (unsigned char)ret[i] < 0x20 || ret[i] == 0x7f;
	return bad ? take_wrong(problem, field, "must not begin or end with a space or hold control characters") : true;
}

bool take_tags(const json_t *object, struct tags *ret, bool *ret_set, struct problem *problem)
{
	const json_t *list = json_object_get(object, "tags"), *tag;
	size_t i;
	*ret_set = list != NULL;
	*ret = (struct tags){0};
	if (list && !json_is_array(list))
		return take_wrong(problem, "tags", "must be a list of words");
	json_array_foreach(list, i, tag) if (!json_is_string(tag) || !tags_add(ret, json_string_value(tag))) return take_wrong(
	    problem, "tags", "must be at most 16 words of 1 to 32 characters: a-z, 0-9, and . _ : -");
	return true;
}

bool take_ip(const json_t *value, const char *name, struct prefix *ret, struct problem *problem)
{
	struct prefix p;
	if (!json_is_string(value) || !prefix_parse(json_string_value(value), false, &p) || p.family != 4)
		return take_wrong(problem, name, "must look like 10.144.0.7 or 10.144.0.7/16");
	*ret = p;
	return true;
}

bool take_seconds(const json_t *object, const char *name, uint64_t *ret, bool *ret_set, struct problem *problem)
{
	if (json_is_null(json_object_get(object, name))) {
		*ret = 0;
		*ret_set = true;
		return true;
	}
	return json_take_count(object, name, 1, EXPIRES_MAX, ret, ret_set, problem);
}
