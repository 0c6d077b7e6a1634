/* Belief: a UDP socket bound without SO_REUSEPORT is refused when anybody holds the port, a
 * reuseport group of the same user included; and when the option is set on it after bind, further
 * sockets that set it may join. So two daemons never share a port unseen, while one daemon's
 * workers do. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define GROUP 4

static int failures;

static void expect(int family, const char *what, int got, int wanted)
{
	if (got == wanted)
		return;
	fprintf(stderr, "reuseport_bind: IPv%d: %s: got %s, wanted %s\n", family == AF_INET ? 4 : 6, what, got ? strerror(got) : "success",
	        wanted ? strerror(wanted) : "success");
	failures++;
}

/* 0 or errno of a bind to the loopback, with the option or not. *port 0 = random, then filled. */
static int bind_one(int family, in_port_t *port, int reuse, int *ret)
{
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	} a;
	socklen_t len = family == AF_INET ? sizeof(a.v4) : sizeof(a.v6);
	memset(&a, 0, sizeof(a));
	a.any.sa_family = (sa_family_t)family;
	a.v4.sin_port = *port; /* same place in both */
	if (family == AF_INET)
		a.v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	else
		a.v6.sin6_addr = in6addr_loopback;
	*ret = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (*ret < 0)
		return errno;
	if (setsockopt(*ret, SOL_SOCKET, SO_REUSEPORT, &reuse, sizeof(reuse)) < 0 || bind(*ret, &a.any, len) < 0)
		return errno;
	getsockname(*ret, &a.any, &len);
	*port = a.v4.sin_port;
	return 0;
}

static void family_check(int family)
{
	int fd[GROUP], other, on = 1;
	in_port_t port = 0;
	int err = bind_one(family, &port, 0, &fd[0]);
	if (err == EAFNOSUPPORT || err == EADDRNOTAVAIL) {
		printf("reuseport_bind: no IPv%d here, left out\n", family == AF_INET ? 4 : 6);
		return;
	}
	expect(family, "first bind without the option", err, 0);
	expect(family, "join before the first sets the option", bind_one(family, &port, 1, &other), EADDRINUSE);
	close(other);
	expect(family, "option set after bind", setsockopt(fd[0], SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) < 0 ? errno : 0, 0);
	for (int i = 1; i < GROUP; i++)
		expect(family, "worker joins", bind_one(family, &port, 1, &fd[i]), 0);
	expect(family, "a second daemon's first socket", bind_one(family, &port, 0, &other), EADDRINUSE);
	close(other);
	for (int i = 0; i < GROUP; i++)
		close(fd[i]);
	expect(family, "the port is free afterwards", bind_one(family, &port, 0, &other), 0);
	close(other);
}

int main(void)
{
	family_check(AF_INET);
	family_check(AF_INET6);
	return failures ? 1 : 0;
}
