/* forwarded.c: X-Forwarded-For is read from its right end, where each proxy appends whom it saw. From the peer on, as long as
 * the one looked at is a trusted proxy, the next to the left is who it saw. The first that is not trusted is the source; what stands
 * left of it is only what that one says of itself. What is no address ends the walk at the proxy that wrote it, so that
 * garbage cannot make anybody somebody else. With several lines of the header the last is the nearest.
 */
#include "ui/forwarded.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define HOPS_MAX 16 /* nobody has more proxies of his own in a row */

static bool trusted(const struct trusted *t, const struct endpoint *at)
{
	for (unsigned i = 0; i < t->n; i++)
		if (prefix_holds(&t->prefixes[i], at))
			return true;
	return false;
}

static bool address_read(const char *text, struct endpoint *ret)
{
	static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
	struct endpoint e = {.family = 4};
	if (inet_pton(AF_INET, text, e.ip) != 1) {
		if (inet_pton(AF_INET6, text, e.ip) != 1)
			return false;
		e.family = 6;
		if (!memcmp(e.ip, mapped, sizeof(mapped))) { /* one host, one name */
			memmove(e.ip, e.ip + 12, 4);
			memset(e.ip + 4, 0, 12);
			e.family = 4;
		}
	}
	*ret = e;
	return true;
}

/* One element: an address, perhaps with a port; IPv6 with a port in brackets, without one with or without them. */
static bool element_read(const char *text, size_t len, struct endpoint *ret)
{
	char copy[64];
	while (len && (*text == ' ' || *text == '\t'))
		text++, len--;
	while (len && (text[len - 1] == ' ' || text[len - 1] == '\t'))
		len--;
	if (!len || len >= sizeof(copy))
		return false;
	memcpy(copy, text, len);
	copy[len] = '\0';
	char *host = copy, *port = strchr(copy, ':');
	if (*copy == '[') {
		char *end = strchr(++host, ']');
		if (!end || (end[1] && end[1] != ':') || !strchr(host, ':'))
			return false;
		*end = '\0';
		port = end[1] ? end + 1 : NULL;
	} else if (port && strchr(port + 1, ':')) {
		port = NULL; /* IPv6 without brackets */
	}
	if (port) {
		size_t digits = strspn(port + 1, "0123456789");
		if (!digits || digits > 5 || port[1 + digits])
			return false;
		*port = '\0';
	}
	return address_read(host, ret);
}

/* The last element of *len bytes, which are then what stands before it. false: there is none. */
static bool element_last(const char *line, size_t *len, const char **ret, size_t *ret_len)
{
	size_t from = *len;
	if (*len == SIZE_MAX)
		return false;
	while (from && line[from - 1] != ',')
		from--;
	*ret = line + from;
	*ret_len = *len - from;
	*len = from ? from - 1 : SIZE_MAX;
	return true;
}

static void source_find(const struct trusted *t, struct endpoint at, struct request *request)
{
	unsigned line = request->n_forwarded_for;
	size_t len = SIZE_MAX, n;
	const char *text;
	for (unsigned hop = 0; hop < HOPS_MAX && trusted(t, &at); hop++) {
		while (len == SIZE_MAX && line > 0)
			len = strlen(request->forwarded_for[--line]);
		if (len == SIZE_MAX || !element_last(request->forwarded_for[line], &len, &text, &n) || !element_read(text, n, &at))
			break;
	}
	inet_ntop(at.family == 6 ? AF_INET6 : AF_INET, at.ip, request->peer, sizeof(request->peer));
}

/* What the proxy next to us says of the browser's side: the last word of it. */
static bool https_said(const char *proto)
{
	size_t len = proto ? strlen(proto) : 0;
	while (len && (proto[len - 1] == ' ' || proto[len - 1] == '\t'))
		len--;
	if (len < 5 || strncasecmp(proto + len - 5, "https", 5) != 0)
		return false;
	len -= 5;
	while (len && (proto[len - 1] == ' ' || proto[len - 1] == '\t'))
		len--;
	return !len || proto[len - 1] == ',';
}

void forwarded_apply(const struct trusted *t, struct request *request)
{
	struct endpoint at;
	request->secure = false;
	if (request->local || !address_read(request->peer, &at) || !trusted(t, &at))
		return;
	request->secure = https_said(request->forwarded_proto);
	source_find(t, at, request);
}
