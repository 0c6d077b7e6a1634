/* Theory of operation: a handful of short words, kept sorted so that the same tags are the same text, whoever gave them in
 * whatever order. Sixteen need no search faster than one after the other. */
#include "controller/tag.h"

#include <string.h>

static bool tag_valid(const char *tag)
{
	size_t n = strspn(tag, "abcdefghijklmnopqrstuvwxyz0123456789._:-");
	return n && n <= TAG_BYTES && !tag[n];
}

bool tags_add(struct tags *t, const char *tag)
{
	unsigned at = 0;
	if (!tag_valid(tag))
		return false;
	while (at < t->n && strcmp(t->tag[at], tag) < 0)
		at++;
	if (at < t->n && !strcmp(t->tag[at], tag))
		return true;
	if (t->n == TAGS_MAX)
		return false;
	memmove(t->tag[at + 1], t->tag[at], (t->n - at) * sizeof(t->tag[0]));
	memset(t->tag[at], 0, sizeof(t->tag[0]));
	memcpy(t->tag[at], tag, strlen(tag));
	t->n++;
	return true;
}

bool tags_have(const struct tags *t, const char *tag)
{
	for (unsigned i = 0; i < t->n; i++)
		if (!strcmp(t->tag[i], tag))
			return true;
	return false;
}

bool tags_same(const struct tags *a, const struct tags *b)
{
	return a->n == b->n && !memcmp(a->tag, b->tag, a->n * sizeof(a->tag[0]));
}

void tags_text(const struct tags *t, char ret[TAGS_TEXT])
{
	size_t at = 0;
	for (unsigned i = 0; i < t->n; i++) {
		size_t n = strnlen(t->tag[i], TAG_BYTES);
		if (i)
			ret[at++] = ' ';
		memcpy(ret + at, t->tag[i], n);
		at += n;
	}
	ret[at] = '\0';
}

void tags_read(const char *text, struct tags *ret)
{
	*ret = (struct tags){0};
	while (*text) {
		char tag[TAG_BYTES + 1] = "";
		size_t n = strcspn(text, " ");
		if (n <= TAG_BYTES) {
			memcpy(tag, text, n);
			tags_add(ret, tag);
		}
		text += n + (text[n] == ' ');
	}
}
