/* root_line.c: parts cut at '@', ',', '#' and '&', each given to the parser of its kind.
 *
 * No identity, address, name or key contains one of the separators, so a cut needs no look at what
 * it cuts. Each refusal names the offset of the part and says what should stand there, for the
 * config reader prints it under the line. A part that is no address may be a name; a name whose last
 * label is a number is refused, for it can only be a mistyped address, and a resolver would take
 * "192.0.2" for 192.0.0.2 without a word.
 */
#include "proto/root_line.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

#define KEY_TEXT  43 /* base64url of 32 bytes without padding */
#define LABEL_MAX 63

/* Where a line is wrong. */
struct refusal {
	size_t at;
	const char *why;
};

static bool refuse(struct refusal *r, size_t at, const char *why)
{
	*r = (struct refusal){at, why};
	return false;
}

static bool key_parse(const char *text, uint8_t ret[32])
{
	return strlen(text) == KEY_TEXT && base64_parse(text, KEY_TEXT, ret, 32) && !sodium_is_zero(ret, 32);
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_label_byte(char c)
{
	return (c >= 'a' && c <= 'z') || is_digit(c) || c == '-' || c == '_';
}

/* One label, lower case. last: it must not read as a number, decimal or hexadecimal, as inet_aton() would take it. */
static bool label_good(const char *label, size_t len, bool last)
{
	bool number = true;
	if (!len || len > LABEL_MAX || label[0] == '-' || label[len - 1] == '-')
		return false;
	for (size_t i = 0; i < len; i++) {
		if (!is_label_byte(label[i]))
			return false;
		number = number && is_digit(label[i]);
	}
	return !last || !(number || (len > 1 && label[0] == '0' && label[1] == 'x'));
}

bool root_name_parse(const char *text, struct root_name *ret)
{
	struct root_name name = {0};
	const char *colon = strchr(text, ':');
	size_t len = colon ? (size_t)(colon - text) : 0;
	if (!len || len > ROOT_HOST_MAX || !port_parse(colon + 1, &name.port))
		return false;
	for (size_t i = 0; i < len; i++) /* names know no case; one spelling makes equality one of bytes */
		name.host[i] = text[i] >= 'A' && text[i] <= 'Z' ? (char)(text[i] - 'A' + 'a') : text[i];
	for (const char *label = name.host; label;) {
		const char *dot = strchr(label, '.');
		if (!label_good(label, dot ? (size_t)(dot - label) : strlen(label), !dot))
			return false;
		label = dot ? dot + 1 : NULL;
	}
	*ret = name;
	return true;
}

/* part: "HOST:PORT[,HOST:PORT]..."; base: start of the line. */
static bool hosts_parse(char *part, const char *base, struct root_line *line, struct refusal *r)
{
	for (char *next; part; part = next) {
		size_t at = (size_t)(part - base);
		next = strchr(part, ',');
		if (next)
			*next++ = 0;
		if (line->n_endpoints + line->n_names == ROOT_ENDPOINTS_MAX)
			return refuse(r, at, "a root has at most 4 addresses");
		if (endpoint_parse(part, &line->endpoints[line->n_endpoints]))
			line->n_endpoints++;
		else if (root_name_parse(part, &line->names[line->n_names]))
			line->n_names++;
		else
			return refuse(r, at, "an address looks like 192.0.2.1:9993, [2001:db8::1]:9993 or root.example.org:9993");
	}
	return true;
}

enum { GATE = 1, TLS = 2, PIN = 4 };

/* One "key=value". *seen: keys taken already. */
static bool option_parse(char *part, const char *base, struct root_line *line, unsigned *seen, struct refusal *r)
{
	size_t at = (size_t)(part - base);
	char *value = strchr(part, '=');
	if (value)
		*value++ = 0;
	unsigned key = !strcmp(part, "gate") ? GATE : !strcmp(part, "tls") ? TLS : !strcmp(part, "pin") ? PIN : 0;
	if (!value || !key)
		return refuse(r, at, "after '#' only gate=KEY, tls=PORT, tls=none and pin=HASH may follow, with '&' between them");
	if (*seen & key)
		return refuse(r, at, "this key stands here twice");
	*seen |= key;
	at = (size_t)(value - base);
	if (key == GATE)
		return key_parse(value, line->gate) || refuse(r, at, "the gate is 43 characters of base64url; copy the root's line anew");
	if (key == PIN) {
		line->pin_set = key_parse(value, line->pin);
		return line->pin_set || refuse(r, at, "the pin is 43 characters of base64url; copy the root's line anew");
	}
	if (!strcmp(value, "none")) {
		line->tls_port = 0;
		return true;
	}
	return port_parse(value, &line->tls_port) || refuse(r, at, "tls is a port, like tls=443, or tls=none");
}

static bool options_parse(char *part, const char *base, struct root_line *line, struct refusal *r)
{
	unsigned seen = 0;
	for (char *next; part; part = next) {
		next = strchr(part, '&');
		if (next)
			*next++ = 0;
		if (!option_parse(part, base, line, &seen, r))
			return false;
	}
	return true;
}

/* buf is cut to pieces. */
static bool parts_parse(char *buf, struct root_line *line, struct refusal *r)
{
	char *hash = strchr(buf, '#');
	if (hash)
		*hash++ = 0;
	if (hash && !options_parse(hash, buf, line, r))
		return false;
	char *hosts = strchr(buf, '@');
	if (!hosts)
		return refuse(r, strlen(buf), "add '@' and the address of the root, like @192.0.2.1:9993");
	*hosts++ = 0;
	if (!identity_parse(buf, &line->identity))
		return refuse(r, 0, "an identity looks like fln1:<10 hex>:<86 characters>; copy the root's line anew");
	return hosts_parse(hosts, buf, line, r);
}

bool root_line_parse(const char *text, struct root_line *ret, size_t *ret_at, const char **ret_why)
{
	char buf[ROOT_LINE_MAX];
	struct root_line line = {.tls_port = ROOT_TLS_PORT};
	struct refusal r = {sizeof(buf) - 1, "a root line has at most 1535 characters"};
	size_t len = strnlen(text, sizeof(buf));
	bool ok = false;
	if (len < sizeof(buf)) {
		memcpy(buf, text, len + 1);
		ok = parts_parse(buf, &line, &r);
	}
	if (ok) {
		*ret = line;
	} else {
		*ret_at = r.at;
		*ret_why = r.why;
	}
	sodium_memzero(buf, sizeof(buf)); /* a gate may have stood here */
	sodium_memzero(&line, sizeof(line));
	return ok;
}

/* A line being written. */
struct writing {
	char text[ROOT_LINE_MAX];
	size_t n;
	unsigned hosts, options;
};

static void put_host(struct writing *w, const char *host)
{
	w->n += (size_t)snprintf(w->text + w->n, sizeof(w->text) - w->n, "%c%s", w->hosts++ ? ',' : '@', host);
}

static void put_option(struct writing *w, const char *key, const char *value)
{
	w->n += (size_t)snprintf(w->text + w->n, sizeof(w->text) - w->n, "%c%s=%s", w->options++ ? '&' : '#', key, value);
}

static void put_key(struct writing *w, const char *key, const uint8_t bytes[32])
{
	char text[KEY_TEXT + 1];
	sodium_bin2base64(text, sizeof(text), bytes, 32, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
	put_option(w, key, text);
	sodium_memzero(text, sizeof(text));
}

size_t root_line_format(const struct root_line *line, char *buf, size_t room)
{
	struct writing w = {0};
	char text[ROOT_HOST_MAX + 8];
	identity_format(&line->identity, w.text);
	w.n = strlen(w.text);
	for (unsigned i = 0; i < line->n_endpoints && i < ROOT_ENDPOINTS_MAX; i++) {
		endpoint_format(&line->endpoints[i], text, sizeof(text));
		put_host(&w, text);
	}
	for (unsigned i = 0; i < line->n_names && i < ROOT_ENDPOINTS_MAX; i++) {
		snprintf(text, sizeof(text), "%s:%u", line->names[i].host, line->names[i].port);
		put_host(&w, text);
	}
	if (!sodium_is_zero(line->gate, sizeof(line->gate)))
		put_key(&w, "gate", line->gate);
	if (line->tls_port != ROOT_TLS_PORT) {
		snprintf(text, sizeof(text), "%u", line->tls_port);
		put_option(&w, "tls", line->tls_port ? text : "none");
	}
	if (line->pin_set)
		put_key(&w, "pin", line->pin);
	size_t n = w.n < room ? w.n : 0;
	if (n)
		memcpy(buf, w.text, n + 1);
	sodium_memzero(&w, sizeof(w));
	return n;
}
