/* setting.c: options of the verbs that set something, as fields of a JSON body.
 *
 * Only the form is judged here; what is too much is for the controller to say, which knows. A rate needs its unit, since a
 * bare 50 may have been meant in any of them.
 */
#include "ui/cli/setting.h"

#include <stdlib.h>
#include <string.h>

#include "ui/value.h"

#define RATE_MAX 4000000000.0 /* kbit/s: what a field of 32 bits holds */

int setting_switches(const struct call *call, const struct flag_name *names, json_t *body)
{
	for (; names->name; names++) {
		const char *value = options_value(&call->options, names->name);
		if (value && strcmp(value, "on") != 0 && strcmp(value, "off") != 0)
			return complain(EXIT_USAGE, "--%s takes on or off", names->name);
		if (value)
			json_object_set_new(body, names->name, json_boolean(!strcmp(value, "on")));
	}
	return 0;
}

int setting_switch(const struct call *call, const char *option, const char *name, json_t *body)
{
	const char *value = options_value(&call->options, option);
	if (value && strcmp(value, "on") != 0 && strcmp(value, "off") != 0)
		return complain(EXIT_USAGE, "--%s takes on or off", option);
	if (value)
		json_object_set_new(body, name, json_boolean(!strcmp(value, "on")));
	return 0;
}

int setting_count(const struct call *call, const char *name, unsigned long max, json_t *body)
{
	const char *value = options_value(&call->options, name);
	char *end = NULL;
	if (!value)
		return 0;
	unsigned long n = strcmp(value, "none") != 0 ? strtoul(value, &end, 10) : 0;
	if (end && (*end || *value < '0' || *value > '9' || n > max))
		return complain(EXIT_USAGE, "--%s takes a number up to %lu; 0 or none = no limit", name, max);
	json_object_set_new(body, name, json_integer((json_int_t)n));
	return 0;
}

int setting_rate(const struct call *call, const char *name, json_t *body)
{
	static const struct {
		char unit;
		double kbit;
	} units[] = {{'k', 1}, {'M', 1e3}, {'G', 1e6}};
	const char *value = options_value(&call->options, name);
	char *end = NULL;
	if (!value)
		return 0;
	double n = strcmp(value, "none") != 0 && strcmp(value, "0") != 0 ? strtod(value, &end) : 0, kbit = end ? -1 : 0;
	for (size_t i = 0; end && *value >= '0' && *value <= '9' && i < sizeof(units) / sizeof(units[0]); i++)
		if (end[0] == units[i].unit && !end[1])
			kbit = n * units[i].kbit;
	if (!(kbit >= 1 || !end) || kbit > RATE_MAX)
		return complain(EXIT_USAGE, "--%s takes bits per second like 50M, 800k or 2.5G; 0 or none = no limit", name);
	json_object_set_new(body, name, json_integer((json_int_t)kbit));
	return 0;
}

int setting_each(const struct call *call, const char *name, int (*each)(void *, const char *value), void *self)
{
	int code = 0;
	for (unsigned i = 0; i < call->options.n_given && !code; i++)
		if (!strcmp(call->options.given[i].option->name, name))
			code = each(self, call->options.given[i].value);
	return code;
}

static int tag_add(void *tags, const char *tag)
{
	return json_array_append_new(tags, json_string(tag)) ? complain(EXIT_USAGE, "--tag takes a word of a-z, 0-9 and . _ : -") : 0;
}

int setting_tags(const struct call *call, json_t *body)
{
	const char *last = options_value(&call->options, "tag");
	if (!last)
		return 0;
	json_t *tags = json_array();
	int code = strcmp(last, "none") != 0 ? setting_each(call, "tag", tag_add, tags) : 0;
	json_object_set_new(body, "tags", tags);
	return code;
}

int setting_expires(const struct call *call, json_t *body)
{
	const char *value = options_value(&call->options, "expires");
	uint64_t seconds = 0;
	if (!value)
		return 0;
	if (strcmp(value, "never") != 0 && !value_duration(value, &seconds))
		return complain(EXIT_USAGE, "--expires takes a time like 90m, 24h or 30d, or never");
	json_object_set_new(body, "expires_in", seconds ? json_integer((json_int_t)seconds) : json_null());
	return 0;
}

int setting_text(const struct call *call, const char *name, bool none, json_t *body)
{
	const char *value = options_value(&call->options, name);
	if (!value)
		return 0;
	if (json_object_set_new(body, name, none && !strcmp(value, "none") ? json_null() : json_string(value)))
		return complain(EXIT_USAGE, "--%s takes UTF-8 text", name); /* jansson takes nothing else */
	return 0;
}
