/* argument.c: numbers are digits and nothing else, so that "-1", "1e9" and " 5" are refused instead of read as something. A cursor is a number
 * that an answer gave; who makes one up gets a page from there.
 */
#include "ui/argument.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DIGITS_MAX 18 /* of them any number fits */

bool argument_wrong(struct reply *reply, const char *name, const char *should)
{
	struct problem problem;
	problem_set(&problem, 400, "wrong query", "\"%s\" must be %s", name, should);
	problem_error(&problem, '?', name, "must be %s", should);
	reply_problem(reply, &problem);
	return false;
}

bool argument_count(const struct request *request, struct reply *reply, const char *name, uint64_t max, uint64_t *ret)
{
	const char *text = request_query(request, name);
	if (!text)
		return true;
	size_t len = strlen(text);
	uint64_t n = len <= DIGITS_MAX && strspn(text, "0123456789") == len ? strtoull(text, NULL, 10) : 0;
	if (n < 1 || n > max) {
		char should[64];
		snprintf(should, sizeof(should), "a number from 1 to %llu", (unsigned long long)max);
		return argument_wrong(reply, name, should);
	}
	*ret = n;
	return true;
}

bool argument_text(const struct request *request, struct reply *reply, const char *name, char *ret, size_t room)
{
	const char *text = request_query(request, name);
	if (text && strlen(text) >= room)
		return argument_wrong(reply, name, "shorter");
	if (text)
		snprintf(ret, room, "%s", text);
	return true;
}

bool argument_names(const struct request *request, struct reply *reply, const char *argument, const char *(*name)(unsigned), unsigned n,
                    const char *should, unsigned *ret)
{
	unsigned found = 0;
	for (const char *at = request_query(request, argument); at && *at;) {
		size_t len = strcspn(at, ",");
		unsigned i = 0;
		while (i < n && (strlen(name(i)) != len || memcmp(at, name(i), len) != 0))
			i++;
		if (i == n)
			return argument_wrong(reply, argument, should);
		found |= 1u << i;
		at += len + (at[len] == ',');
	}
	*ret |= found;
	return true;
}

bool argument_word(const struct request *request, struct reply *reply, const char *name, const char *const *words, const char *should,
                   unsigned *ret)
{
	const char *text = request_query(request, name);
	for (unsigned i = 0; text && words[i]; i++)
		if (!strcmp(text, words[i])) {
			*ret = i;
			return true;
		}
	return text ? argument_wrong(reply, name, should) : true;
}
