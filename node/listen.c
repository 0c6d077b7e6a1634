/* listen.c: the choice of the UDP port.
 *
 * What the operator gave is taken as it is and its failure ends the start. A port of our own choice that is taken by another
 * leads to the next choice: only the random one at the end may fail. The kept port is written when it is new and before it is
 * told to anybody, so that a firewall's rule and others' memory of us outlive a restart.
 */
#include "node/listen.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "proto/endpoint.h"

#define PORT_FILE "port"

static const char *mend(int error)
{
	switch (error) {
	case -EADDRINUSE: return "another program has that port; stop it or listen on another port";
	case -EADDRNOTAVAIL: return "this host has no such address; give one that `ip address` shows, or 0.0.0.0 or [::]";
	case -EACCES:
	case -EPERM: return "ports below 1024 need CAP_NET_BIND_SERVICE; take a higher one";
	case -EAFNOSUPPORT: return "this kernel has no IPv6, or the address is of no known family; give an IPv4 one";
	case -EMFILE:
	case -ENFILE: return "no descriptors left; raise the limit of open files or take fewer workers";
	default: return "give another address or port";
	}
}

/* Which one it was: the first that fails alone in the same way; n if none does (two of them are in each other's way). */
static unsigned culprit(const struct endpoint *listen, unsigned n, int error)
{
	for (unsigned i = 0; i < n; i++) {
		struct udp *alone = NULL;
		int e = udp_open(&alone, &listen[i], 1, 1, NULL);
		if (!e)
			udp_close(alone);
		if (e == error)
			return i;
	}
	return n;
}

static void explain(const struct endpoint *listen, unsigned n, int error, char *why, size_t room)
{
	char at[ENDPOINT_TEXT_MAX] = "the addresses given together";
	unsigned i = n < 1 || n > UDP_SOCKETS_MAX ? n : culprit(listen, n, error);
	if (n > UDP_SOCKETS_MAX) {
		snprintf(why, room, "cannot listen on %u addresses; give at most %u", n, UDP_SOCKETS_MAX);
		return;
	}
	if (i < n)
		endpoint_format(&listen[i], at, sizeof(at));
	snprintf(why, room, "cannot listen on udp %s (%s)", at, mend(error));
}

/* With the port behind the first one's, where second asks for one and nobody else has it: a root serves without. */
static int open_at(struct udp **ret, const struct endpoint *listen, unsigned n, unsigned workers, struct endpoint bound[UDP_SOCKETS_MAX],
                   uint16_t *second)
{
	struct endpoint all[UDP_SOCKETS_MAX];
	uint16_t port = listen[0].port;
	bool fits = second && n && 2 * n <= UDP_SOCKETS_MAX && port && port < UINT16_MAX;
	for (unsigned i = 0; fits && i < n; i++) {
		all[i] = all[n + i] = listen[i];
		all[n + i].port++;
		fits = listen[i].port == port;
	}
	if (fits && !udp_open(ret, all, 2 * n, workers, bound)) {
		*second = (uint16_t)(port + 1);
		return 0;
	}
	return udp_open(ret, listen, n, workers, bound);
}

/* Any address of both families, one port for both. */
static int any_open(struct udp **ret, uint16_t port, unsigned workers, struct endpoint bound[UDP_SOCKETS_MAX], uint16_t *second)
{
	const struct endpoint any[2] = {{.family = 4, .port = port}, {.family = 6, .port = port}};
	return open_at(ret, any, 2, workers, bound, second);
}

static int kept_open(struct udp **ret, struct files *files, unsigned workers, struct endpoint bound[UDP_SOCKETS_MAX], uint16_t *second)
{
	uint32_t kept;
	if (files_number_load(files, PORT_FILE, &kept) && kept > 0 && kept <= UINT16_MAX) {
		int error = any_open(ret, (uint16_t)kept, workers, bound, second);
		/* EACCES: kept while it was allowed, below 1024. */
		if (error != -EADDRINUSE && error != -EACCES)
			return error;
	}
	int error = any_open(ret, 0, workers, bound, second);
	if (!error) /* on a disk that cannot be written the port lives until the next start; files.c has said so */
		files_number_save(files, PORT_FILE, bound[0].family ? bound[0].port : bound[1].port);
	return error;
}

int listen_open(struct udp **ret, struct files *files, const struct endpoint *listen, unsigned n, bool well_known, unsigned workers,
                struct endpoint ret_bound[UDP_SOCKETS_MAX], unsigned *ret_n_bound, uint16_t *ret_second, char *why, size_t room)
{
	struct endpoint bound[UDP_SOCKETS_MAX] = {{.family = 0}};
	struct udp *udp = NULL;
	int error = -EADDRINUSE;
	if (n) {
		error = open_at(&udp, listen, n, workers, bound, ret_second);
		if (error)
			explain(listen, n, error, why, room);
	} else {
		if (well_known)
			error = any_open(&udp, LISTEN_PORT, workers, bound, ret_second);
		if (error == -EADDRINUSE)
			error = kept_open(&udp, files, workers, bound, ret_second);
		if (error)
			snprintf(why, room, "cannot listen on udp (%s)", mend(error));
	}
	if (error)
		return error;
	/* An address without a socket (IPv6 where the kernel has none) is left out by udp. */
	*ret_n_bound = 0;
	memset(ret_bound, 0, UDP_SOCKETS_MAX * sizeof(ret_bound[0]));
	for (unsigned i = 0; i < UDP_SOCKETS_MAX; i++)
		if (bound[i].family)
			ret_bound[(*ret_n_bound)++] = bound[i];
	*ret = udp;
	return 0;
}
