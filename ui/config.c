/* config.c: a line reader that answers with place, reason and mend.
 *
 * The bytes of a file are walked line by line, each line into "key", "value" and their columns; a table of keys (config_key.c) says
 * who takes a value and how. A file is applied to a copy, which replaces the caller's config only when every line was good: a daemon
 * never runs on half a file. A scalar may stand once per file, since of two lines one is a mistake; the command line, which
 * comes after, overrides it. Lists add up; a root that is there already is left alone.
 */
#include "ui/config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "ui/config_key.h"
#include "ui/config_line.h"
#include "ui/file.h"

#define DEFAULT_HTTP "127.0.0.1:8080"

/* ---- lines ---- */

struct file {
	struct reading reading;
	enum home_kind kind;
	const char *name;
	unsigned seen[CONFIG_KEYS_MAX]; /* line a scalar stood in */
	char *why;
};

static bool file_refuse(struct file *f, const struct line *line, size_t base)
{
	if (f->reading.whole)
		memcpy(f->why, f->reading.why, CONFIG_WHY);
	else
		line_complain(f->why, f->name, line, base + f->reading.at, f->reading.why);
	return false;
}

static bool file_line(void *self, struct line *line, size_t start)
{
	struct file *f = self;
	struct reading *r = &f->reading;
	char *name = line->text + start;
	if (*name == '[') {
		reading_refuse(r, 0, "sections are reserved; write the keys without one");
		return file_refuse(f, line, start);
	}
	char *equals = strchr(name, '=');
	if (!equals) {
		reading_refuse(r, 0, "a line is \"key = value\"; a comment begins with #");
		return file_refuse(f, line, start);
	}
	char *name_end = equals;
	while (name_end > name && (name_end[-1] == ' ' || name_end[-1] == '\t'))
		name_end--;
	char key_name[64];
	snprintf(key_name, sizeof(key_name), "%.*s", (int)(name_end - name < 63 ? name_end - name : 63), name);
	const struct key *key = key_find(f->kind, key_name);
	if (!key) {
		key_unknown(r, f->kind, key_name);
		return file_refuse(f, line, start);
	}
	unsigned *seen = &f->seen[key_index(key)];
	if (!key->list && *seen) {
		r->at = 0;
		snprintf(r->why, sizeof(r->why), "\"%s\" stands in line %u already; keep one of the two", key->name, *seen);
		return file_refuse(f, line, start);
	}
	*seen = line->number;
	const char *value = equals + 1 + strspn(equals + 1, " \t");
	if (!*value) {
		reading_refuse(r, 0, "the value is missing; take the line out for the default");
		return file_refuse(f, line, (size_t)(value - line->text));
	}
	return key->take(r, value) || file_refuse(f, line, (size_t)(value - line->text));
}

void config_init(struct config *ret)
{
	*ret = (struct config){.log = LOG_NOTICE, .backend = "auto", .tls = {.port = ROOT_TLS_PORT}};
	endpoint_parse(DEFAULT_HTTP, &ret->http);
}

void config_fini(struct config *config)
{
	explicit_bzero(config, sizeof(*config));
}

bool config_parse(struct config *config, enum home_kind kind, const char *name, const void *bytes, size_t len, const char *folder,
                  char why[CONFIG_WHY])
{
	struct config copy = *config;
	struct file f = {.reading = {.config = &copy, .folder = folder}, .kind = kind, .name = name, .why = why};
	bool ok = lines_read(name, bytes, len, why, file_line, &f);
	if (ok)
		*config = copy;
	explicit_bzero(&copy, sizeof(copy));
	return ok;
}

bool config_set(struct config *config, enum home_kind kind, const char *key_name, const char *value, char why[CONFIG_WHY])
{
	struct config copy = *config;
	struct reading r = {.config = &copy, .folder = "."};
	const struct key *key = key_find(kind, key_name);
	bool ok = key ? key->take(&r, value) : key_unknown(&r, kind, key_name);
	if (ok)
		*config = copy;
	else if (r.whole || !key)
		memcpy(why, r.why, CONFIG_WHY);
	else
		snprintf(why, CONFIG_WHY, "--%s: %.1200s%s", key_name, r.why, *value ? "" : " (the value is empty)");
	explicit_bzero(&copy, sizeof(copy));
	return ok;
}

/* ---- files ---- */

static bool root_file_line(void *self, struct line *line, size_t start)
{
	struct file *f = self;
	if (line->text[start] == '@') {
		reading_refuse(&f->reading, 0, "a file of roots holds lines, not names of files");
		return file_refuse(f, line, start);
	}
	return reading_root_line(&f->reading, line->text + start) || file_refuse(f, line, start);
}

/* @FILE: one root line per line. A failure inside is told with that file's place. */
bool reading_root_file(struct reading *r, const char *name)
{
	static uint8_t bytes[ROOT_LINE_MAX * 64]; /* one file at a time, at start only */
	char path[HOME_PATH_MAX], sentence[HOME_PATH_MAX + 64], shown[256];
	if (!r->folder)
		return reading_refuse(r, 0, "@FILE means nothing here; write the line itself");
	int n = *name == '/' ? snprintf(path, sizeof(path), "%s", name) : snprintf(path, sizeof(path), "%s/%s", r->folder, name);
	if (!*name || n < 0 || (size_t)n >= sizeof(path))
		return reading_refuse(r, 0, "@ and the name of a file of root lines, like @/etc/farlan/roots");
	long len = file_read(path, bytes, sizeof(bytes), NULL);
	if (len < 0) {
		log_text(shown, sizeof(shown), path, strlen(path));
		snprintf(sentence, sizeof(sentence), "cannot read %s: %s", shown, strerror((int)-len));
		return reading_refuse(r, 1, sentence);
	}
	struct file f = {.reading = {.config = r->config}, .name = path, .why = r->why};
	bool ok = lines_read(path, bytes, (size_t)len, r->why, root_file_line, &f);
	r->whole = !ok;
	explicit_bzero(bytes, sizeof(bytes));
	return ok;
}

int config_load(struct config *config, const struct home *home, char why[CONFIG_WHY])
{
	static uint8_t bytes[CONFIG_FILE_MAX];
	char folder[HOME_PATH_MAX], shown[HOME_PATH_MAX];
	long len = file_read(home->config, bytes, sizeof(bytes), NULL);
	if (len == -ENOENT || len == -ENOTDIR)
		return 0;
	if (len < 0) {
		log_text(shown, sizeof(shown), home->config, strlen(home->config));
		snprintf(why, CONFIG_WHY, "cannot read %s: %s", shown, strerror((int)-len));
		return (int)len;
	}
	snprintf(folder, sizeof(folder), "%s", home->config);
	*strrchr(folder, '/') = 0;
	bool ok = config_parse(config, home->kind, home->config, bytes, (size_t)len, folder, why);
	explicit_bzero(bytes, sizeof(bytes));
	return ok ? 0 : -EINVAL;
}
