/* Belief: a classic BPF program on a reuseport group sees the UDP payload at offset 0 and its
 * answer is the index of the socket in order of joining, where the one that bound before it set the
 * option is index 0. Without unshare: loopback ports only. */
#include "test/assume/assume.h"

#include <arpa/inet.h>
#include <linux/filter.h>
#include <netinet/in.h>

#define WORKERS 3

static void family_check(int family)
{
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	} a;
	socklen_t len = family == AF_INET ? sizeof(a.v4) : sizeof(a.v6);
	int fd[WORKERS], on = 1;
	memset(&a, 0, sizeof(a));
	a.any.sa_family = (sa_family_t)family;
	if (family == AF_INET)
		a.v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	else
		a.v6.sin6_addr = in6addr_loopback;
	for (int i = 0; i < WORKERS; i++) {
		fd[i] = socket(family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		if (i == 0 && (fd[0] < 0 || bind(fd[0], &a.any, len) < 0)) {
			printf("reuseport_bpf: IPv%d left out: %s\n", family == AF_INET ? 4 : 6, strerror(errno));
			return;
		}
		believe(setsockopt(fd[i], SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) == 0, "SO_REUSEPORT");
		believe(i == 0 || bind(fd[i], &a.any, len) == 0, "socket %d joins", i);
		believe(i > 0 || getsockname(fd[0], &a.any, &len) == 0, "getsockname");
	}
	struct sock_filter code[] = {BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 0), BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 15),
	                             BPF_STMT(BPF_ALU | BPF_MOD | BPF_K, WORKERS), BPF_STMT(BPF_RET | BPF_A, 0)};
	struct sock_fprog program = {.len = 4, .filter = code};
	believe(setsockopt(fd[0], SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &program, sizeof(program)) == 0, "attach");
	int out = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	for (unsigned first = 0; first < 256; first++) {
		uint8_t sent[4] = {(uint8_t)first, 0xa5, 0x5a, 0}, got[16];
		believe(sendto(out, sent, sizeof(sent), 0, &a.any, len) == sizeof(sent), "send");
		unsigned owner = (first & 15) % WORKERS;
		believe(readable(fd[owner]) && recv(fd[owner], got, sizeof(got), 0) == 4 && got[0] == first,
		        "IPv%d datagram %u did not come to socket %u", family == AF_INET ? 4 : 6, first, owner);
	}
	/* An empty datagram has no byte 0: the program fails and the kernel picks any socket; it
	 * must not be lost. */
	believe(sendto(out, "", 0, 0, &a.any, len) == 0, "send of an empty datagram");
	int there = 0;
	for (int i = 0; i < WORKERS; i++)
		there += recv(fd[i], (char[1]){0}, 1, 0) == 0;
	believe(there == 1, "an empty datagram reached %d sockets", there);
	for (int i = 0; i < WORKERS; i++)
		close(fd[i]);
	close(out);
}

int main(void)
{
	alarm(ASSUME_SECONDS);
	family_check(AF_INET);
	family_check(AF_INET6);
	return 0;
}
