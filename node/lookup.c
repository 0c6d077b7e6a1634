/* lookup.c: getaddrinfo() on a detached thread, two owners of one look-up.
 */
#include "node/lookup.h"

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "node/thread.h"

struct lookup {
	atomic_int owners, done;
	int wake_fd;
	bool usable;
	char host[ROOT_HOST_MAX + 1];
	unsigned n; /* this and found: read after done */
	struct endpoint found[LOOKUP_FOUND_MAX];
};

void lookup_leave(struct lookup *l)
{
	if (!l || atomic_fetch_sub(&l->owners, 1) != 1)
		return;
	close(l->wake_fd);
	free(l);
}

static void found_add(struct lookup *l, const struct sockaddr *a)
{
	struct endpoint e = {0};
	if (a->sa_family == AF_INET) {
		e.family = 4;
		memcpy(e.ip, &((const struct sockaddr_in *)(const void *)a)->sin_addr, 4);
	} else if (a->sa_family == AF_INET6) {
		e.family = 6;
		memcpy(e.ip, &((const struct sockaddr_in6 *)(const void *)a)->sin6_addr, 16);
	}
	if (e.family && l->n < LOOKUP_FOUND_MAX)
		l->found[l->n++] = e;
}

static void *lookup_run(void *self)
{
	struct lookup *l = self;
	const struct addrinfo hints = {.ai_socktype = SOCK_DGRAM, .ai_flags = l->usable ? AI_ADDRCONFIG : 0};
	struct addrinfo *list = NULL;
	const uint64_t one = 1;
	if (getaddrinfo(l->host, NULL, &hints, &list) == 0) {
		for (const struct addrinfo *a = list; a; a = a->ai_next)
			found_add(l, a->ai_addr);
		freeaddrinfo(list);
	}
	atomic_store(&l->done, 1);
	(void)!write(l->wake_fd, &one, sizeof(one));
	lookup_leave(l);
	return NULL;
}

struct lookup *lookup_new(const char *host, bool usable, int wake_fd)
{
	pthread_t thread;
	struct lookup *l = strlen(host) <= ROOT_HOST_MAX ? calloc(1, sizeof(*l)) : NULL;
	int fd = l ? fcntl(wake_fd, F_DUPFD_CLOEXEC, 0) : -1;
	if (fd < 0) {
		free(l);
		return NULL;
	}
	l->wake_fd = fd;
	l->usable = usable;
	atomic_init(&l->owners, 2);
	snprintf(l->host, sizeof(l->host), "%s", host);
	if (thread_start(&thread, "lookup", lookup_run, l)) {
		close(fd);
		free(l);
		return NULL;
	}
	pthread_detach(thread);
	return l;
}

bool lookup_done(const struct lookup *l, struct endpoint ret[LOOKUP_FOUND_MAX], unsigned *ret_n)
{
	if (!atomic_load(&l->done))
		return false;
	memcpy(ret, l->found, l->n * sizeof(ret[0]));
	*ret_n = l->n;
	return true;
}
