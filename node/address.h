/* address.h: struct endpoint as the kernel's socket addresses, both ways.
 *
 * Pure; any thread. A stream's endpoint is its TCP end.
 */
#ifndef FARLAN_NODE_ADDRESS_H
#define FARLAN_NODE_ADDRESS_H

#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "proto/base/batch.h"

union address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

static inline socklen_t address_of(const struct endpoint *e, union address *ret)
{
	memset(ret, 0, sizeof(*ret));
	if ((e->family & ~ENDPOINT_STREAM) == 4) {
		ret->v4.sin_family = AF_INET;
		ret->v4.sin_port = htons(e->port);
		memcpy(&ret->v4.sin_addr, e->ip, 4);
		return sizeof(ret->v4);
	}
	ret->v6.sin6_family = AF_INET6;
	ret->v6.sin6_port = htons(e->port);
	memcpy(&ret->v6.sin6_addr, e->ip, 16);
	return sizeof(ret->v6);
}

static inline void endpoint_of(const union address *a, struct endpoint *ret)
{
	memset(ret, 0, sizeof(*ret));
	if (a->any.sa_family == AF_INET) {
		ret->family = 4;
		ret->port = ntohs(a->v4.sin_port);
		memcpy(ret->ip, &a->v4.sin_addr, 4);
	} else if (a->any.sa_family == AF_INET6) {
		ret->family = 6;
		ret->port = ntohs(a->v6.sin6_port);
		memcpy(ret->ip, &a->v6.sin6_addr, 16);
	}
}

#endif
