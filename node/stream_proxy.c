/* stream_proxy.c: getaddrinfo() on a detached thread, two owners of one look-up.
 */
#include "node/stream_proxy.h"

#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "node/thread.h"
#include "proto/endpoint.h"

struct lookup {
	atomic_int owners, done;
	int wake_fd;
	char host[256];
	struct endpoint found; /* family 0: nothing; read after done */
};

struct proxy {
	struct endpoint address; /* family 0: not known */
	bool numeric;
	uint16_t port;
	char host[256];
	int wake_fd;
	struct lookup *lookup; /* under way */
};

static void lookup_leave(struct lookup *l)
{
	if (atomic_fetch_sub(&l->owners, 1) != 1)
		return;
	close(l->wake_fd);
	free(l);
}

static void *lookup_run(void *self)
{
	struct lookup *l = self;
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG}, *list = NULL;
	pthread_detach(pthread_self());
	if (getaddrinfo(l->host, NULL, &hints, &list) == 0 && list) {
		if (list->ai_family == AF_INET) {
			l->found.family = 4;
			memcpy(l->found.ip, &((struct sockaddr_in *)(void *)list->ai_addr)->sin_addr, 4);
		} else if (list->ai_family == AF_INET6) {
			l->found.family = 6;
			memcpy(l->found.ip, &((struct sockaddr_in6 *)(void *)list->ai_addr)->sin6_addr, 16);
		}
		freeaddrinfo(list);
	}
	atomic_store(&l->done, 1);
	uint64_t one = 1;
	(void)!write(l->wake_fd, &one, sizeof(one));
	lookup_leave(l);
	return NULL;
}

static void lookup_start(struct proxy *p)
{
	pthread_t thread;
	struct lookup *l = calloc(1, sizeof(*l));
	int fd = l ? dup(p->wake_fd) : -1;
	if (fd < 0) {
		free(l);
		return;
	}
	l->wake_fd = fd;
	atomic_init(&l->owners, 2);
	memcpy(l->host, p->host, sizeof(l->host));
	if (thread_start(&thread, "proxy-lookup", lookup_run, l)) {
		close(fd);
		free(l);
		return;
	}
	p->lookup = l;
}

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
	if (p && p->lookup)
		lookup_leave(p->lookup);
	free(p);
}

enum proxy_answer proxy_ask(struct proxy *p, struct endpoint *ret)
{
	struct lookup *l = p->lookup;
	if (l && atomic_load(&l->done)) {
		p->address = l->found;
		p->address.port = p->port;
		p->lookup = NULL;
		lookup_leave(l);
		if (!p->address.family)
			return PROXY_NONE;
	}
	if (p->address.family) {
		*ret = p->address;
		return PROXY_KNOWN;
	}
	if (!p->lookup)
		lookup_start(p);
	return p->lookup ? PROXY_WAIT : PROXY_NONE;
}

void proxy_failed(struct proxy *p)
{
	if (!p->numeric)
		p->address.family = 0;
}
