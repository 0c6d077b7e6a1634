/* config_line.c: bytes into lines of bounded length; what is no text is refused with its place.
 */
#include "ui/config_line.h"

#include <stdio.h>
#include <string.h>

#include "proto/base/log.h"

#define EXCERPT_MAX 160 /* of the line, below a message */

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* Columns count bytes from 1, as compilers do. */
void line_complain(char why[CONFIG_WHY], const char *name, const struct line *line, size_t col, const char *sentence)
{
	char shown[EXCERPT_MAX], before[EXCERPT_MAX], file[256];
	log_text(file, sizeof(file), name, strlen(name));
	int n = snprintf(why, CONFIG_WHY, "%s:%u:%zu: error: %s", file, line->number, col + 1, sentence);
	if (n < 0 || (size_t)n >= CONFIG_WHY || strstr(line->text, "gate"))
		return;
	char flat[EXCERPT_MAX];
	size_t len = line->len < sizeof(flat) ? line->len : sizeof(flat) - 1;
	if (col >= len && line->len > len)
		return; /* the place is beyond what is shown */
	memcpy(flat, line->text, len);
	for (size_t i = 0; i < len; i++)
		if (flat[i] == '\t')
			flat[i] = ' ';
	log_text(shown, sizeof(shown), flat, len);
	log_text(before, sizeof(before), flat, col < len ? col : len);
	snprintf(why + n, CONFIG_WHY - (size_t)n, "\n%5u | %s\n      | %*s^", line->number, shown, (int)strlen(before), "");
}

/* The next line of the bytes into *line; false at the end. *ret_long when it does not fit. */
static bool line_next(struct line *line, const uint8_t **at, const uint8_t *end, bool *ret_long)
{
	if (*at == end)
		return false;
	const uint8_t *stop = memchr(*at, '\n', (size_t)(end - *at));
	size_t len = (size_t)((stop ? stop : end) - *at);
	*ret_long = len > CONFIG_LINE_MAX;
	line->len = *ret_long ? CONFIG_LINE_MAX : len;
	memcpy(line->text, *at, line->len);
	if (!*ret_long && line->len && line->text[line->len - 1] == '\r')
		line->len--;
	while (line->len && is_blank(line->text[line->len - 1]))
		line->len--;
	line->text[line->len] = 0;
	line->number++;
	*at = stop ? stop + 1 : end;
	return true;
}

bool lines_read(const char *name, const uint8_t *bytes, size_t len, char why[CONFIG_WHY],
                bool (*each)(void *self, struct line *, size_t start), void *self)
{
	struct line line = {.number = 0};
	const uint8_t *at = bytes, *end = bytes + len;
	bool is_long = false, ok = true;
	if (len >= 3 && !memcmp(bytes, "\xef\xbb\xbf", 3))
		at += 3; /* an editor's byte order mark */
	while (ok && line_next(&line, &at, end, &is_long)) {
		size_t start = strspn(line.text, " \t");
		if (is_long) {
			line_complain(why, name, &line, CONFIG_LINE_MAX, "a line has at most 4096 bytes");
			ok = false;
		} else if (strlen(line.text) != line.len) {
			line_complain(why, name, &line, strlen(line.text), "a zero byte: this is no text file");
			ok = false;
		} else if (line.text[start] && line.text[start] != '#' && line.text[start] != ';') {
			ok = each(self, &line, start);
		}
	}
	explicit_bzero(line.text, sizeof(line.text)); /* a gate may have stood there */
	return ok;
}
