/* prefix.c: prefixes as people write them, and what lies in them.
 *
 * A prefix keeps whatever bits stand behind its length, since an interface's address is written like that (10.1.2.3/24); nothing here looks at
 * them. An endpoint has no length: it lies inside or it does not, however it is reached, so that a stream's TCP end counts like an address of UDP.
 */
#include "proto/prefix.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

static bool bits_parse(const char *text, unsigned most, uint8_t *ret)
{
	unsigned bits = 0;
	if (!*text || strlen(text) > 3 || (*text == '0' && text[1]))
		return false;
	for (; *text; text++) {
		if (*text < '0' || *text > '9')
			return false;
		bits = 10 * bits + (unsigned)(*text - '0');
	}
	if (bits > most)
		return false;
	*ret = (uint8_t)bits;
	return true;
}

bool prefix_parse(const char *text, bool bits_needed, struct prefix *ret)
{
	char ip[INET6_ADDRSTRLEN];
	struct prefix prefix = {0};
	const char *slash = strchr(text, '/');
	size_t len = slash ? (size_t)(slash - text) : strlen(text);
	if (len >= sizeof(ip) || (!slash && bits_needed))
		return false;
	memcpy(ip, text, len);
	ip[len] = 0;
	if (inet_pton(AF_INET, ip, prefix.ip) == 1)
		prefix.family = 4;
	else if (inet_pton(AF_INET6, ip, prefix.ip) == 1)
		prefix.family = 6;
	else
		return false;
	if (slash && !bits_parse(slash + 1, prefix.family == 4 ? 32 : 128, &prefix.bits))
		return false;
	*ret = prefix;
	return true;
}

void prefix_format(const struct prefix *prefix, char *buf, size_t room)
{
	char ip[INET6_ADDRSTRLEN] = "";
	inet_ntop(prefix->family == 6 ? AF_INET6 : AF_INET, prefix->ip, ip, sizeof(ip));
	snprintf(buf, room, "%s/%u", ip, prefix->bits);
}

bool prefix_is_net(const struct prefix *p)
{
	for (unsigned i = p->bits; i < sizeof(p->ip) * 8; i++)
		if (p->ip[i / 8] & (0x80 >> (i % 8)))
			return false;
	return true;
}

static bool bits_equal(const uint8_t *a, const uint8_t *b, unsigned bits)
{
	unsigned full = bits / 8, rest = bits % 8;
	return !memcmp(a, b, full) && (!rest || (a[full] ^ b[full]) >> (8 - rest) == 0);
}

bool prefix_holds(const struct prefix *p, const struct endpoint *e)
{
	return p->family == (e->family & ~ENDPOINT_STREAM) && bits_equal(p->ip, e->ip, p->bits);
}

bool prefix_within(const struct prefix *small, const struct prefix *large)
{
	return small->family == large->family && small->bits >= large->bits && bits_equal(small->ip, large->ip, large->bits);
}
