/* endpoint.c: UDP addresses as people write them, and what kind of place they name.
 *
 * One address has one spelling in struct endpoint (unused bytes zero, mapped IPv4 is IPv4), so
 * equality is equality of bytes. The port must be written without sign, blank or leading zero;
 * scope ids are refused, for a link-local address means nothing on another machine. What an address is good for is judged
 * by itself: the port, and whether a packet goes there by UDP or by a stream, are the caller's.
 */
#include "proto/endpoint.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

bool port_parse(const char *text, uint16_t *ret)
{
	unsigned port = 0;
	if (*text == '0')
		return false; /* port 0, or a leading zero */
	for (; *text >= '0' && *text <= '9' && port <= UINT16_MAX; text++)
		port = 10 * port + (unsigned)(*text - '0');
	if (*text || !port || port > UINT16_MAX)
		return false;
	*ret = (uint16_t)port;
	return true;
}

bool endpoint_parse(const char *text, struct endpoint *ret)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	struct endpoint e = {0};
	char host[INET6_ADDRSTRLEN];
	bool six = *text == '[';
	const char *start = six ? text + 1 : text;
	const char *end = strchr(start, six ? ']' : ':');
	if (!end || (size_t)(end - start) >= sizeof(host) || (six && end[1] != ':'))
		return false;
	memcpy(host, start, (size_t)(end - start));
	host[end - start] = 0;
	if (!port_parse(end + (six ? 2 : 1), &e.port) || inet_pton(six ? AF_INET6 : AF_INET, host, e.ip) != 1)
		return false;
	e.family = six ? 6 : 4;
	if (six && !memcmp(e.ip, mapped, sizeof(mapped))) {
		e.family = 4;
		memcpy(e.ip, e.ip + 12, 4);
		memset(e.ip + 4, 0, 12);
	}
	*ret = e;
	return true;
}

void endpoint_format(const struct endpoint *e, char *buf, size_t room)
{
	char host[INET6_ADDRSTRLEN] = "?";
	unsigned family = e->family & ~(unsigned)ENDPOINT_STREAM;
	const char *how = family == e->family ? "" : "tls:";
	if (family != 4 && family != 6) {
		snprintf(buf, room, "none");
		return;
	}
	inet_ntop(family == 6 ? AF_INET6 : AF_INET, e->ip, host, sizeof(host));
	snprintf(buf, room, family == 6 ? "%s[%s]:%u" : "%s%s:%u", how, host, e->port);
}

bool endpoint_equal(const struct endpoint *a, const struct endpoint *b)
{
	return a->family == b->family && a->port == b->port && !memcmp(a->ip, b->ip, sizeof(a->ip));
}

static bool zeros(const uint8_t *bytes, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (bytes[i])
			return false;
	return true;
}

bool endpoint_usable(const struct endpoint *e)
{
	const uint8_t *ip = e->ip;
	switch (e->family & ~ENDPOINT_STREAM) {
	case 4: return ip[0] != 0 && ip[0] != 127 && ip[0] < 224 && !(ip[0] == 169 && ip[1] == 254);
	case 6: return ip[0] != 0xff && !(ip[0] == 0xfe && (ip[1] & 0xc0) == 0x80) && !(zeros(ip, 15) && ip[15] <= 1);
	}
	return false;
}

bool endpoint_private(const struct endpoint *e)
{
	const uint8_t *ip = e->ip;
	switch (e->family & ~ENDPOINT_STREAM) {
	case 4: return ip[0] == 10 || (ip[0] == 172 && (ip[1] & 0xf0) == 16) || (ip[0] == 192 && ip[1] == 168);
	case 6: return (ip[0] & 0xfe) == 0xfc;
	}
	return false;
}

bool endpoint_global(const struct endpoint *e)
{
	const uint8_t *ip = e->ip;
	if ((e->family & ~ENDPOINT_STREAM) == 6)
		return (ip[0] & 0xe0) == 0x20;
	return endpoint_usable(e) && !endpoint_private(e) && !(ip[0] == 100 && (ip[1] & 0xc0) == 64);
}
