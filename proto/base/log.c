/* log.c: lines to standard error.
 *
 * A line is built in one buffer and leaves by one write, so lines of two threads never mix. It
 * begins with "<priority>" under systemd ($JOURNAL_STREAM is set; sd-daemon(3)), else with the
 * level's word. A line that is too long is cut, never split: an escaped name of 10 KB shall not look
 * like a second line.
 */
#include "proto/base/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define LINE_ROOM 1024

static _Atomic int level_now = LOG_NOTICE;

void log_level_set(enum log_level level)
{
	atomic_store(&level_now, (int)level);
}

static const char *level_word(enum log_level level)
{
	switch (level) {
	case LOG_ERROR: return "error: ";
	case LOG_WARNING: return "warning: ";
	case LOG_NOTICE:
	case LOG_INFO: return "";
	case LOG_DEBUG: return "debug: ";
	}
	return "";
}

void log_line(enum log_level level, const char *format, ...)
{
	if ((int)level > atomic_load(&level_now))
		return;
	char line[LINE_ROOM];
	int head = getenv("JOURNAL_STREAM") ? snprintf(line, sizeof(line), "<%d>", (int)level)
	                                    : snprintf(line, sizeof(line), "%s", level_word(level));
	va_list args;
	va_start(args, format);
	int body = vsnprintf(line + head, sizeof(line) - (size_t)head, format, args);
	va_end(args);
	if (body < 0)
		return;
	size_t len = (size_t)head + (size_t)body;
	if (len > sizeof(line) - 1)
		len = sizeof(line) - 1;
	line[len++] = '\n'; /* in the place of the NUL */
	/* A log that cannot be written has nobody to tell. */
	if (write(STDERR_FILENO, line, len) < 0)
		return;
}

/* Length of the well-formed UTF-8 sequence at p (Unicode 15, table 3-7) and its code point; 0 if
 * there is none. */
static size_t utf8_at(const uint8_t *p, size_t left, uint32_t *ret)
{
	static const uint32_t least[5] = {0, 0, 0x80, 0x800, 0x10000};
	if (p[0] < 0x80) {
		*ret = p[0];
		return 1;
	}
	size_t n = p[0] >= 0xf0 && p[0] < 0xf8 ? 4 : p[0] >= 0xe0 && p[0] < 0xf0 ? 3 : p[0] >= 0xc0 && p[0] < 0xe0 ? 2 : 0;
	if (!n || n > left)
		return 0;
	uint32_t c = p[0] & (0x7fu >> n);
	for (size_t i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (p[i] & 0x3fu);
	}
	if (c < least[n] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		return 0;
	*ret = c;
	return n;
}

/* Harmless to a terminal, a log reader and a person: no C0, DEL, C1, line or paragraph separator,
 * bidi or invisible format control, BOM. The backslash is escaped too, so that an escape in the
 * output is always ours. */
static bool is_plain(uint32_t c)
{
	if (c < 0x20 || c == '\\' || (c >= 0x7f && c < 0xa0))
		return false;
	return !(c == 0x061c || (c >= 0x200b && c <= 0x200f) || (c >= 0x2028 && c <= 0x202e) || (c >= 0x2060 && c <= 0x206f) ||
	         c == 0xfeff);
}

const char *log_text(char *buf, size_t room, const void *text, size_t len)
{
	static const char hex[] = "0123456789abcdef";
	const uint8_t *p = text;
	size_t out = 0;
	if (!room)
		return buf;
	while (len) {
		uint32_t c = 0;
		size_t n = utf8_at(p, len, &c);
		bool plain = n && is_plain(c);
		if (!n)
			n = 1;
		size_t need = plain ? n : 4 * n;
		if (need > room - 1 - out)
			break; /* whole characters and whole escapes only */
		for (size_t i = 0; i < n; i++) {
			if (plain) {
				buf[out++] = (char)p[i];
				continue;
			}
			buf[out++] = '\\';
			buf[out++] = 'x';
			buf[out++] = hex[p[i] >> 4];
			buf[out++] = hex[p[i] & 15];
		}
		p += n;
		len -= n;
	}
	buf[out] = 0;
	return buf;
}
