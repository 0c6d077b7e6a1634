/* config_key.c: the table of keys: who takes a value, how, and what is said of a wrong one.
 *
 * Each taker writes into a config that is thrown away when anything of its file is wrong, so it need not clean up after itself. Lists
 * add up and leave alone what is there already; the sentences name the form that is wanted, since the reader has only them.
 */
#include "ui/config_key.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/node.h"
#include "proto/wire.h"
#include "ui/options.h"
#include "ui/proxy.h"
#include "ui/value.h"

enum { NODE = 1, CONTROLLER = 2, BOTH = 3 };

bool reading_refuse(struct reading *r, size_t at, const char *sentence)
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
		return reading_refuse(r, 0, "an address to listen on looks like 0.0.0.0:9993 or [::]:9993");
	for (unsigned i = 0; i < c->n_listen; i++)
		if (endpoint_equal(&c->listen[i], &e))
			return true;
	if (c->n_listen == CONFIG_LISTEN_MAX)
		return reading_refuse(r, 0, "at most 8 addresses to listen on");
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
		return reading_refuse(r, 0, "an address where others reach this node, like 203.0.113.5:9993 or [2001:db8::1]:9993");
	for (unsigned i = 0; i < c->n_external; i++)
		if (endpoint_equal(&c->external[i], &e))
			return true;
	if (c->n_external == EXTERNAL_MAX)
		return reading_refuse(r, 0, "at most 4 external addresses");
	c->external[c->n_external++] = e;
	return true;
}

static bool take_avoid(struct reading *r, const char *value)
{
	struct config *c = r->config;
	struct prefix p;
	if (!value_prefix(value, &p))
		return reading_refuse(r, 0,
		                      "addresses to avoid look like 10.8.0.0/16, fd00:8::/32 or 192.0.2.7, without bits behind the /N");
	for (unsigned i = 0; i < c->n_avoid; i++)
		if (p.bits == c->avoid[i].bits && prefix_within(&p, &c->avoid[i]))
			return true;
	if (c->n_avoid == AVOID_MAX)
		return reading_refuse(r, 0, "at most 16 prefixes to avoid");
	c->avoid[c->n_avoid++] = p;
	return true;
}

bool reading_root_line(struct reading *r, const char *value)
{
	struct config *c = r->config;
	struct root_line line;
	const char *why;
	size_t at;
	bool ok = true;
	if (!root_line_parse(value, &line, &at, &why))
		return reading_refuse(r, at, why);
	for (unsigned i = 0; i < c->n_roots; i++)
		if (same_root(&c->roots[i], &line))
			goto out;
	if (c->n_roots == CONFIG_ROOTS_MAX)
		ok = reading_refuse(r, 0, "at most 16 roots");
	else
		c->roots[c->n_roots++] = line;
out:
	explicit_bzero(line.gate, sizeof(line.gate));
	return ok;
}

static bool take_root(struct reading *r, const char *value)
{
	return *value == '@' ? reading_root_file(r, value + 1) : reading_root_line(r, value);
}

/* Which of n words the value is; else -1, and refused with what is wanted. */
static int choice(struct reading *r, const char *value, const char *const names[], int n, const char *wanted)
{
	for (int i = 0; i < n; i++)
		if (!strcmp(value, names[i]))
			return i;
	reading_refuse(r, 0, wanted);
	return -1;
}

/* One of two words; the second sets the flag. */
static bool flag(struct reading *r, const char *value, const char *off, const char *on, bool *ret)
{
	char wanted[32];
	snprintf(wanted, sizeof(wanted), "%.12s or %.12s", strcmp(off, "no") ? off : on, strcmp(off, "no") ? on : off);
	*ret = !strcmp(value, on);
	return *ret || !strcmp(value, off) || reading_refuse(r, 0, wanted);
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
	return value_gate(value, r->config->root_gate) || reading_refuse(r, 0, "a gate is 43 characters of base64url (32 random bytes)");
}

static const char rate_wanted[] = "bits per second like 50M, 800k or 2G, from 64k; 0 = no limit";

static bool take_relay_rate(struct reading *r, const char *value)
{
	r->config->relay_rate_set = value_rate(value, &r->config->relay_rate);
	return r->config->relay_rate_set || reading_refuse(r, 0, rate_wanted);
}

static bool take_relay_total(struct reading *r, const char *value)
{
	return value_rate(value, &r->config->relay_total) || reading_refuse(r, 0, rate_wanted);
}

static bool take_workers(struct reading *r, const char *value)
{
	unsigned n = 0;
	size_t len = strspn(value, "0123456789");
	for (size_t i = 0; i < len && n <= CONFIG_WORKERS_MAX; i++)
		n = 10 * n + (unsigned)(value[i] - '0');
	if (!len || value[len] || !n || n > CONFIG_WORKERS_MAX)
		return reading_refuse(r, len && value[len] ? len : 0, "a number of workers from 1 to 16");
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
	static const char *const names[] = {"auto", "libsodium", "ipsec-mb", "avx2", "vaes"};
	int i = choice(r, value, names, 5, "auto, libsodium, ipsec-mb, avx2 or vaes");
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
			return reading_refuse(r, 0, "a port like 443, an address with a port like 192.0.2.1:443, or none");
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
	return (n > 0 && n < CONFIG_PATH_MAX) || reading_refuse(r, 0, "a file name has at most 1023 characters");
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
		return reading_refuse(r, 0, "at most 4 root sets");
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
	return !bad || reading_refuse(r, 0, bad);
}

static bool take_page(struct reading *r, const char *value, struct endpoint *ret)
{
	struct endpoint e = {0};
	if (strcmp(value, "none") != 0 && !endpoint_parse(value, &e))
		return reading_refuse(r, 0, "the page's address looks like 127.0.0.1:8080 or [::1]:8080; none = no page");
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
		return reading_refuse(r, good, "a host name like farlan.example.net, under which a browser may open the page");
	if (c->n_page_names == CONFIG_NAMES_MAX)
		return reading_refuse(r, 0, "at most 8 names of the page");
	snprintf(c->page_names[c->n_page_names++], CONFIG_NAME_MAX + 1, "%s", value);
	return true;
}

/* One or several, with blanks between. */
static bool take_http_proxy(struct reading *r, const char *value)
{
	static const char wanted[] = "addresses of reverse proxies look like 127.0.0.1, ::1 or 10.8.0.0/16, without bits behind the /N";
	struct config *c = r->config;
	char one[PREFIX_TEXT];
	struct prefix p;
	for (const char *at = value; *at; at += strspn(at, " \t")) {
		size_t len = strcspn(at, " \t");
		snprintf(one, sizeof(one), "%.*s", (int)(len < sizeof(one) ? len : sizeof(one) - 1), at);
		if (len >= sizeof(one) || !value_prefix(one, &p))
			return reading_refuse(r, (size_t)(at - value), wanted);
		if (!p.bits)
			return reading_refuse(r, (size_t)(at - value), "whoever may come from anywhere is no proxy to be trusted");
		if (c->n_http_proxies == CONFIG_HTTP_PROXIES_MAX)
			return reading_refuse(r, (size_t)(at - value), "at most 16 reverse proxies");
		c->http_proxies[c->n_http_proxies++] = p;
		at += len;
	}
	return *value || reading_refuse(r, 0, wanted);
}

static bool take_second_factor(struct reading *r, const char *value)
{
	return flag(r, value, "optional", "required", &r->config->factor_required);
}

static bool take_metrics(struct reading *r, const char *value)
{
	return flag(r, value, "no", "yes", &r->config->metrics);
}

static bool take_webhook_private(struct reading *r, const char *value)
{
	return flag(r, value, "no", "yes", &r->config->webhook_private);
}

static bool take_webhook_ca(struct reading *r, const char *value)
{
	return take_path(r, value, r->config->webhook_ca);
}

static bool limit(struct reading *r, const char *value, uint32_t most, const char *wanted, uint32_t *ret)
{
	char *end;
	unsigned long n = strspn(value, "0123456789") == strlen(value) ? strtoul(value, &end, 10) : 0;
	if (!n || n > most)
		return reading_refuse(r, 0, wanted);
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

static bool take_zt1(struct reading *r, const char *value)
{
	struct endpoint e = {0};
	if (strcmp(value, "none") != 0 && !endpoint_parse(value, &e))
		return reading_refuse(r, 0,
		                      "the address for programs that know ZeroTier One's API, like 127.0.0.1:9993; none = not served");
	r->config->zt1 = e;
	return true;
}

static bool take_affinity(struct reading *r, const char *value)
{
	return flag(r, value, "auto", "none", &r->config->no_affinity);
}

static bool take_zt1_allow(struct reading *r, const char *value)
{
	struct config *c = r->config;
	struct prefix p;
	if (!value_prefix(value, &p))
		return reading_refuse(r, 0,
		                      "from where these programs may come, like 172.17.0.0/16 or 192.0.2.7, without bits behind the /N");
	if (c->n_zt1_allow == CONFIG_ALLOW_MAX)
		return reading_refuse(r, 0, "at most 8 prefixes from where they may come");
	c->zt1_allow[c->n_zt1_allow++] = p;
	return true;
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
    {"affinity", NODE, false, take_affinity},
    {"http", CONTROLLER, false, take_http},
    {"https", CONTROLLER, false, take_https},
    {"page-name", CONTROLLER, true, take_page_name},
    {"http-proxy", CONTROLLER, true, take_http_proxy},
    {"second-factor", CONTROLLER, false, take_second_factor},
    {"metrics", CONTROLLER, false, take_metrics},
    {"webhook-private", CONTROLLER, false, take_webhook_private},
    {"webhook-ca", CONTROLLER, false, take_webhook_ca},
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
    {"zt1", BOTH, false, take_zt1},
    {"zt1-allow", BOTH, true, take_zt1_allow},
};
#define KEYS (sizeof(keys) / sizeof(keys[0]))
static_assert(KEYS <= CONFIG_KEYS_MAX, "whoever notes something of each key has room");

static unsigned bit(enum home_kind kind)
{
	return kind == HOME_NODE ? NODE : CONTROLLER;
}

const struct key *key_find(enum home_kind kind, const char *name)
{
	for (size_t i = 0; i < KEYS; i++)
		if ((keys[i].programs & bit(kind)) && !strcmp(keys[i].name, name))
			return &keys[i];
	return NULL;
}

unsigned key_index(const struct key *key)
{
	return (unsigned)(key - keys);
}

const char *config_key(enum home_kind kind, unsigned i)
{
	for (size_t k = 0; k < KEYS; k++)
		if ((keys[k].programs & bit(kind)) && i-- == 0)
			return keys[k].name;
	return NULL;
}

bool key_unknown(struct reading *r, enum home_kind kind, const char *name)
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
