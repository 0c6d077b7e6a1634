/* proxy.c: a host and a port out of what stands in a config or an environment.
 *
 * Only plain HTTP to the proxy is spoken: what goes through it is encrypted twice already.
 */
#include "ui/proxy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/log.h"
#include "proto/endpoint.h"

const char *proxy_parse(const char *value, char ret[STREAM_PROXY_MAX])
{
	static const char scheme[] = "http://", wanted[] = "an HTTP proxy is HOST:PORT, like proxy.example:3128; none = no proxy";
	if (!strcmp(value, "none")) {
		*ret = '\0';
		return NULL;
	}
	if (!strncmp(value, scheme, sizeof(scheme) - 1))
		value += sizeof(scheme) - 1;
	size_t len = strcspn(value, "/");
	const char *colon = memrchr(value, ':', len);
	char port[32];
	struct endpoint e;
	if (memchr(value, '@', len))
		return "a proxy that wants a password is not supported; write HOST:PORT";
	if (len >= STREAM_PROXY_MAX || value[len + (value[len] == '/')] || !colon || colon == value || strcspn(value, " \t") < len)
		return wanted;
	snprintf(port, sizeof(port), "0.0.0.0:%.*s", (int)(value + len - colon - 1 < 20 ? value + len - colon - 1 : 20), colon + 1);
	if (!endpoint_parse(port, &e))
		return wanted;
	memcpy(ret, value, len);
	ret[len] = '\0';
	return NULL;
}

void proxy_environment(char ret[STREAM_PROXY_MAX])
{
	const char *value = getenv("https_proxy");
	if (!value)
		value = getenv("HTTPS_PROXY");
	*ret = '\0';
	const char *bad = value && *value ? proxy_parse(value, ret) : NULL;
	if (bad)
		log_warning("https_proxy is not used: %s", bad);
}
