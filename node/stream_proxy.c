/* stream_proxy.c: the proxy's name and what it led to.
 */
#include "node/stream_proxy.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "node/lookup.h"
#include "proto/endpoint.h"

struct proxy {
	struct endpoint address; /* family 0: not known */
	bool numeric;
	uint16_t port;
	char host[256];
	int wake_fd;
	struct lookup *lookup; /* under way */
};

struct proxy *proxy_new(const char *text, int wake_fd)
{
	const char *colon = strrchr(text, ':');
	char *end = NULL;
	unsigned long port = colon ? strtoul(colon + 1, &end, 10) : 0;
	if (!colon || colon == text || *end || !port || port > UINT16_MAX || (size_t)(colon - text) >= sizeof(((struct proxy *)0)->host))
		return NULL;
	struct proxy *p = calloc(1, sizeof(*p));
	if (!p)
		return NULL;
	p->numeric = endpoint_parse(text, &p->address);
	p->port = (uint16_t)port;
	p->wake_fd = wake_fd;
	memcpy(p->host, text, (size_t)(colon - text));
	return p;
}

void proxy_free(struct proxy *p)
{
	if (p)
		lookup_leave(p->lookup);
	free(p);
}

enum proxy_answer proxy_ask(struct proxy *p, struct endpoint *ret)
{
	struct endpoint found[LOOKUP_FOUND_MAX];
	unsigned n;
	if (p->lookup && lookup_done(p->lookup, found, &n)) {
		lookup_leave(p->lookup);
		p->lookup = NULL;
		if (!n)
			return PROXY_NONE;
		p->address = found[0];
		p->address.port = p->port;
	}
	if (p->address.family) {
		*ret = p->address;
		return PROXY_KNOWN;
	}
	if (!p->lookup)
		p->lookup = lookup_new(p->host, true, p->wake_fd);
	return p->lookup ? PROXY_WAIT : PROXY_NONE;
}

void proxy_failed(struct proxy *p)
{
	if (!p->numeric)
		p->address.family = 0;
}
