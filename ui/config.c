/* config.c: a line reader that answers with place, reason and mend.
 *
 * The bytes of a file are walked line by line, each line into "key", "value" and their columns; a table of keys says who takes
 * a value and how. A file is applied to a copy, which replaces the caller's config only when every line was good: a daemon
 * never runs on half a file. A scalar may stand once per file, since of two lines one is a mistake; the command line, which
 * comes after, overrides it. Lists add up; a root that is there already is left alone.
 */
#include "ui/config.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/node.h"
#include "proto/wire.h"
#include "ui/config_line.h"
#include "ui/file.h"
#include "ui/options.h"
#include "ui/proxy.h"
#include "ui/value.h"

#define DEFAULT_HTTP "127.0.0.1:8080"

/* Where a value stands, for the message; at is added to by who knows better. */
struct reading {
	struct config *config;
	const char *folder; /* for @FILE; NULL = refused */
	size_t at;          /* offset in the value of what is wrong */
	bool whole;         /* why is a finished message of another file */
	char why[CONFIG_WHY];
};

enum { NODE = 1, CONTROLLER = 2, BOTH = 3 };

struct key {
	const char *name;
	unsigned programs;
	bool list;
	bool (*take)(struct reading *, const char *value);
};

static bool refuse(struct reading *r, size_t at, const char *sentence)
{
	r->at = at;
	snprintf(r->why, sizeof(r->why), "%s", sentence);
	return false;
}

static bool take_listen(struct reading *r, const char *value)
{
	struct config *c = r->config;
	struct endpoint e;
	if (!endpoint_parse(value, &e))
		return refuse(r, 0, "an address to listen on looks like 0.0.0.0:9993 or [::]:9993");
	for (unsigned i = 0; i < c->n_listen; i++)
		if (endpoint_equal(&c->listen[i], &e))
			return true;
	if (c->n_listen == CONFIG_LISTEN_MAX)
		return refuse(r, 0, "at most 8 addresses to listen on");
	c->listen[c->n_listen++] = e;
	return true;
}

static bool same_root(const struct root_line *a, const struct root_line *b)
{
	if (memcmp(&a->identity, &b->identity, sizeof(a->identity)) != 0 || memcmp(a->gate, b->gate, sizeof(a->gate)) != 0 ||
	    a->n_endpoints != b->n_endpoints || a->n_names != b->n_names || a->tls_port != b->tls_port || a->pin_set != b->pin_set ||
	    memcmp(a->pin, b->pin, sizeof(a->pin)) != 0)
		return false;
	for (unsigned i = 0; i < a->n_endpoints; i++)
		if (!endpoint_equal(&a->endpoints[i], &b->endpoints[i]))
			return false;
	for (unsigned i = 0; i < a->n_names; i++)
		if (strcmp(a->names[i].host, b->names[i].host) || a->names[i].port != b->names[i].port)
			return false;
	return true;
}

static bool take_external(struct reading *r, const char *value)
{
	struct config *c = r->config;
	struct endpoint e;
	if (!endpoint_parse(value, &e) || !endpoint_usable(&e))
		return refuse(r, 0, "an address where others reach this node, like 203.0.113.5:9993 or [2001:db8::1]:9993");
	for (unsigned i = 0; i < c->n_external; i++)
		if (endpoint_equal(&c->external[i], &e))
			return true;
	if (c->n_external == EXTERNAL_MAX)
		return refuse(r, 0, "at most 4 external addresses");
	c->external[c->n_external++] = e;
	return true;
}

static bool take_avoid(struct reading *r, const char *value)
{
	struct config *c = r->config;
	struct prefix p;
	if (!value_prefix(value, &p))
		return refuse(r, 0, "addresses to avoid look like 10.8.0.0/16, fd00:8::/32 or 192.0.2.7, without bits behind the /N");
	for (unsigned i = 0; i < c->n_avoid; i++)
		if (p.bits == c->avoid[i].bits && prefix_within(&p, &c->avoid[i]))
			return true;
	if (c->n_avoid == AVOID_MAX)
		return refuse(r, 0, "at most 16 prefixes to avoid");
	c->avoid[c->n_avoid++] = p;
	return true;
}

static bool take_root_line(struct reading *r, const char *value)
{
	struct config *c = r->config;
	struct root_line line;
	const char *why;
	size_t at;
	bool ok = true;
	if (!root_line_parse(value, &line, &at, &why))
		return refuse(r, at, why);
	for (unsigned i = 0; i < c->n_roots; i++)
		if (same_root(&c->roots[i], &line))
			goto out;
	if (c->n_roots == CONFIG_ROOTS_MAX)
		ok = refuse(r, 0, "at most 16 roots");
	else
		c->roots[c->n_roots++] = line;
out:
	explicit_bzero(line.gate, sizeof(line.gate));
	return ok;
}

static bool root_file(struct reading *r, const char *name);

static bool take_root(struct reading *r, const char *value)
{
	return *value == '@' ? root_file(r, value + 1) : take_root_line(r, value);
}

/* Which of n words the value is; else -1, and refused with what is wanted. */
static int choice(struct reading *r, const char *value, const char *const names[], int n, const char *wanted)
{
	for (int i = 0; i < n; i++)
		if (!strcmp(value, names[i]))
			return i;
	refuse(r, 0, wanted);
	return -1;
}

/* One of two words; the second sets the flag. */
static bool flag(struct reading *r, const char *value, const char *off, const char *on, bool *ret)
{
	char wanted[32];
	snprintf(wanted, sizeof(wanted), "%.12s or %.12s", strcmp(off, "no") ? off : on, strcmp(off, "no") ? on : off);
	*ret = !strcmp(value, on);
	return *ret || !strcmp(value, off) || refuse(r, 0, wanted);
}

static bool take_is_root(struct reading *r, const char *value)
{
	return flag(r, value, "no", "yes", &r->config->root);
}

static bool take_spray(struct reading *r, const char *value)
{
	return flag(r, value, "yes", "no", &r->config->no_spray);
}

static bool take_relay(struct reading *r, const char *value)
{
	return flag(r, value, "yes", "no", &r->config->no_relay);
}

static bool take_lan(struct reading *r, const char *value)
{
	return flag(r, value, "yes", "no", &r->config->no_lan);
}

static bool take_offload(struct reading *r, const char *value)
{
	return flag(r, value, "auto", "none", &r->config->no_offload);
}

static bool take_mapping(struct reading *r, const char *value)
{
	return flag(r, value, "auto", "none", &r->config->no_mapping);
}

static bool take_gate(struct reading *r, const char *value)
{
	return value_gate(value, r->config->root_gate) || refuse(r, 0, "a gate is 43 characters of base64url (32 random bytes)");
}

static const char rate_wanted[] = "bits per second like 50M, 800k or 2G, from 64k; 0 = no limit";

static bool take_relay_rate(struct reading *r, const char *value)
{
	r->config->relay_rate_set = value_rate(value, &r->config->relay_rate);
	return r->config->relay_rate_set || refuse(r, 0, rate_wanted);
}

static bool take_relay_total(struct reading *r, const char *value)
{
	return value_rate(value, &r->config->relay_total) || refuse(r, 0, rate_wanted);
}

static bool take_workers(struct reading *r, const char *value)
{
	unsigned n = 0;
	size_t len = strspn(value, "0123456789");
	for (size_t i = 0; i < len && n <= CONFIG_WORKERS_MAX; i++)
		n = 10 * n + (unsigned)(value[i] - '0');
	if (!len || value[len] || !n || n > CONFIG_WORKERS_MAX)
		return refuse(r, len && value[len] ? len : 0, "a number of workers from 1 to 16");
	r->config->workers = n;
	return true;
}

static bool take_suite(struct reading *r, const char *value)
{
	static const char *const names[] = {"auto", "aes", "chacha"};
	static const uint8_t suites[] = {0, SUITE_AES256_GCM, SUITE_CHACHA20_POLY1305};
	int i = choice(r, value, names, 3, "auto, aes or chacha");
	if (i >= 0)
		r->config->suite = suites[i];
	return i >= 0;
}

static bool take_backend(struct reading *r, const char *value)
{
	static const char *const names[] = {"auto", "libsodium", "ipsec-mb", "vaes"};
	int i = choice(r, value, names, 4, "auto, libsodium, ipsec-mb or vaes");
	if (i >= 0)
		r->config->backend = names[i];
	return i >= 0;
}

static bool take_log(struct reading *r, const char *value)
{
	static const char *const names[] = {"error", "warning", "notice", "info", "debug"};
	int i = choice(r, value, names, 5, "error, warning, notice, info or debug");
	if (i >= 0)
		r->config->log = (enum log_level)(LOG_ERROR + i);
	return i >= 0;
}

static bool take_tls(struct reading *r, const char *value)
{
	struct endpoint e = {0};
	char any[32];
	bool none = !strcmp(value, "none");
	if (!none && !endpoint_parse(value, &e)) {
		snprintf(any, sizeof(any), "0.0.0.0:%.20s", value);
		if (!endpoint_parse(any, &e))
			return refuse(r, 0, "a port like 443, an address with a port like 192.0.2.1:443, or none");
		e.family = 0;
	}
	r->config->tls_none = none;
	if (!none)
		r->config->tls = e;
	return true;
}

/* A name without '/' in front stands beside the config file. */
static bool take_path(struct reading *r, const char *value, char ret[CONFIG_PATH_MAX])
{
	bool beside = *value != '/' && r->folder;
	int n = snprintf(ret, CONFIG_PATH_MAX, "%s%s%s", beside ? r->folder : "", beside ? "/" : "", value);
	return (n > 0 && n < CONFIG_PATH_MAX) || refuse(r, 0, "a file name has at most 1023 characters");
}

static bool take_set(struct reading *r, const char *value)
{
	struct config *c = r->config;
	char path[CONFIG_PATH_MAX];
	if (!take_path(r, value, path))
		return false;
	for (unsigned i = 0; i < c->n_sets; i++)
		if (!strcmp(c->sets[i], path))
			return true;
	if (c->n_sets == CONFIG_SETS_MAX)
		return refuse(r, 0, "at most 4 root sets");
	memcpy(c->sets[c->n_sets++], path, sizeof(path));
	return true;
}

static bool take_tls_cert(struct reading *r, const char *value)
{
	return take_path(r, value, r->config->tls_cert);
}

static bool take_tls_key(struct reading *r, const char *value)
{
	return take_path(r, value, r->config->tls_key);
}

static bool take_fallback(struct reading *r, const char *value)
{
	static const char *const names[] = {[FALLBACK_AUTO] = "auto", [FALLBACK_NONE] = "none", [FALLBACK_ONLY] = "only"};
	int i = choice(r, value, names, 3, "auto, none or only");
	if (i >= 0)
		r->config->fallback = (uint8_t)i;
	return i >= 0;
}

static bool take_proxy(struct reading *r, const char *value)
{
	const char *bad = proxy_parse(value, r->config->proxy);
	r->config->proxy_set = true;
	return !bad || refuse(r, 0, bad);
}

static bool take_page(struct reading *r, const char *value, struct endpoint *ret)
{
	struct endpoint e = {0};
	if (strcmp(value, "none") != 0 && !endpoint_parse(value, &e))
		return refuse(r, 0, "the page's address looks like 127.0.0.1:8080 or [::1]:8080; none = no page");
	*ret = e;
	return true;
}

static bool take_http(struct reading *r, const char *value)
{
	return take_page(r, value, &r->config->http);
}

static bool take_https(struct reading *r, const char *value)
{
	return take_page(r, value, &r->config->https);
}

static bool take_page_name(struct reading *r, const char *value)
{
	struct config *c = r->config;
	size_t len = strlen(value), good = strspn(value, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-");
	if (!len || len > CONFIG_NAME_MAX || good != len)
		return refuse(r, good, "a host name like farlan.example.net, under which a browser may open the page");
	if (c->n_page_names == CONFIG_NAMES_MAX)
		return refuse(r, 0, "at most 8 names of the page");
	snprintf(c->page_names[c->n_page_names++], CONFIG_NAME_MAX + 1, "%s", value);
	return true;
}

static bool take_metrics(struct reading *r, const char *value)
{
	return flag(r, value, "no", "yes", &r->config->metrics);
}

static bool limit(struct reading *r, const char *value, uint32_t most, const char *wanted, uint32_t *ret)
{
	char *end;
	unsigned long n = strspn(value, "0123456789") == strlen(value) ? strtoul(value, &end, 10) : 0;
	if (!n || n > most)
		return refuse(r, 0, wanted);
	*ret = (uint32_t)n;
	return true;
}

static_assert(MEMBERS_MAX == 10240 && PENDING_MOST == 100000 && JOINS_MOST == 6000, "as the sentences below say");

static bool take_members_max(struct reading *r, const char *value)
{
	return limit(r, value, MEMBERS_MAX, "how many members of a network may be approved, from 1 to 10240", &r->config->limits.members);
}

static bool take_pending_max(struct reading *r, const char *value)
{
	return limit(r, value, PENDING_MOST, "how many may wait for approval in a network, from 1 to 100000", &r->config->limits.pending);
}

static bool take_join_rate(struct reading *r, const char *value)
{
	return limit(r, value, JOINS_MOST, "joins of one stranger per minute, from 1 to 6000", &r->config->limits.joins);
}

static const struct key keys[] = {
    {"listen", BOTH, true, take_listen},
    {"add-root", BOTH, true, take_root},
    {"root", NODE, false, take_is_root},
    {"root-gate", NODE, false, take_gate},
    {"workers", NODE, false, take_workers},
    {"suite", NODE, false, take_suite},
    {"backend", NODE, false, take_backend},
    {"offload", NODE, false, take_offload},
    {"http", CONTROLLER, false, take_http},
    {"https", CONTROLLER, false, take_https},
    {"page-name", CONTROLLER, true, take_page_name},
    {"metrics", CONTROLLER, false, take_metrics},
    {"members-max", CONTROLLER, false, take_members_max},
    {"pending-max", CONTROLLER, false, take_pending_max},
    {"join-rate", CONTROLLER, false, take_join_rate},
    {"log", BOTH, false, take_log},
    {"port-mapping", NODE, false, take_mapping},
    {"lan-discovery", NODE, false, take_lan},
    {"tls-cert", BOTH, false, take_tls_cert},
    {"tls-key", BOTH, false, take_tls_key},
    {"fallback", BOTH, false, take_fallback},
    {"tls", NODE, false, take_tls},
    {"proxy", BOTH, false, take_proxy},
    {"root-set", BOTH, true, take_set},
    {"relay", NODE, false, take_relay},
    {"relay-rate", NODE, false, take_relay_rate},
    {"relay-total", NODE, false, take_relay_total},
    {"spray", BOTH, false, take_spray},
    {"external", BOTH, true, take_external},
    {"avoid", BOTH, true, take_avoid},
};
#define KEYS (sizeof(keys) / sizeof(keys[0]))

static unsigned bit(enum home_kind kind)
{
	return kind == HOME_NODE ? NODE : CONTROLLER;
}

static const struct key *key_find(enum home_kind kind, const char *name)
{
	for (size_t i = 0; i < KEYS; i++)
		if ((keys[i].programs & bit(kind)) && !strcmp(keys[i].name, name))
			return &keys[i];
	return NULL;
}

const char *config_key(enum home_kind kind, unsigned i)
{
	for (size_t k = 0; k < KEYS; k++)
		if ((keys[k].programs & bit(kind)) && i-- == 0)
			return keys[k].name;
	return NULL;
}

static bool key_unknown(struct reading *r, enum home_kind kind, const char *name)
{
	const char *names[KEYS + 1] = {NULL};
	char shown[80];
	for (unsigned i = 0; i < KEYS; i++)
		names[i] = config_key(kind, i);
	const char *near = options_near(name, names);
	log_text(shown, sizeof(shown), name, strlen(name));
	r->at = 0;
	if (key_find(kind == HOME_NODE ? HOME_CONTROLLER : HOME_NODE, name))
		snprintf(r->why, sizeof(r->why), "\"%s\" is a key of %s.conf, not of this file", shown,
		         home_program(kind == HOME_NODE ? HOME_CONTROLLER : HOME_NODE));
	else if (near)
		snprintf(r->why, sizeof(r->why), "unknown key \"%s\"; did you mean \"%s\"?", shown, near);
	else
		snprintf(r->why, sizeof(r->why), "unknown key \"%s\"", shown);
	return false;
}

/* ---- lines ---- */

struct file {
	struct reading reading;
	enum home_kind kind;
	const char *name;
	unsigned seen[KEYS]; /* line a scalar stood in */
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
		refuse(r, 0, "sections are reserved; write the keys without one");
		return file_refuse(f, line, start);
	}
	char *equals = strchr(name, '=');
	if (!equals) {
		refuse(r, 0, "a line is \"key = value\"; a comment begins with #");
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
	unsigned *seen = &f->seen[key - keys];
	if (!key->list && *seen) {
		r->at = 0;
		snprintf(r->why, sizeof(r->why), "\"%s\" stands in line %u already; keep one of the two", key->name, *seen);
		return file_refuse(f, line, start);
	}
	*seen = line->number;
	const char *value = equals + 1 + strspn(equals + 1, " \t");
	if (!*value) {
		refuse(r, 0, "the value is missing; take the line out for the default");
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
		refuse(&f->reading, 0, "a file of roots holds lines, not names of files");
		return file_refuse(f, line, start);
	}
	return take_root_line(&f->reading, line->text + start) || file_refuse(f, line, start);
}

/* @FILE: one root line per line. A failure inside is told with that file's place. */
static bool root_file(struct reading *r, const char *name)
{
	static uint8_t bytes[ROOT_LINE_MAX * 64]; /* one file at a time, at start only */
	char path[HOME_PATH_MAX], sentence[HOME_PATH_MAX + 64], shown[256];
	if (!r->folder)
		return refuse(r, 0, "@FILE means nothing here; write the line itself");
	int n = *name == '/' ? snprintf(path, sizeof(path), "%s", name) : snprintf(path, sizeof(path), "%s/%s", r->folder, name);
	if (!*name || n < 0 || (size_t)n >= sizeof(path))
		return refuse(r, 0, "@ and the name of a file of root lines, like @/etc/farlan/roots");
	long len = file_read(path, bytes, sizeof(bytes), NULL);
	if (len < 0) {
		log_text(shown, sizeof(shown), path, strlen(path));
		snprintf(sentence, sizeof(sentence), "cannot read %s: %s", shown, strerror((int)-len));
		return refuse(r, 1, sentence);
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
