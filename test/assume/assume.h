/* assume.h: what the small programs of this folder share. Each proves one belief about the kernel
 * or a library: exit 0 when it holds, 1 with a message when not, 77 when it cannot be tried here.
 * An alarm bounds each in time.
 */
#ifndef FARLAN_TEST_ASSUME_H
#define FARLAN_TEST_ASSUME_H

#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <unistd.h>

#define ASSUME_SECONDS 20
#define CANNOT_TRY     77

#define believe(condition, ...)                                                                                                            \
	do {                                                                                                                               \
		if (!(condition)) {                                                                                                        \
			int belief_errno = errno;                                                                                          \
			fprintf(stderr, "%s:%d: ", __FILE__, __LINE__);                                                                    \
			fprintf(stderr, __VA_ARGS__);                                                                                      \
			fprintf(stderr, " (errno %d: %s)\n", belief_errno, strerror(belief_errno));                                        \
			exit(1);                                                                                                           \
		}                                                                                                                          \
	} while (0)

#define cannot_try(...)                                                                                                                    \
	do {                                                                                                                               \
		printf("cannot be tried here: ");                                                                                          \
		printf(__VA_ARGS__);                                                                                                       \
		printf("\n");                                                                                                              \
		exit(CANNOT_TRY);                                                                                                          \
	} while (0)

/* Network and mounts of our own: nothing outside is touched, and everything made is gone with the
 * process. */
static inline void private_net(void)
{
	alarm(ASSUME_SECONDS);
	if (unshare(CLONE_NEWNET | CLONE_NEWNS) < 0)
		cannot_try("no private network namespace: %s", strerror(errno));
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		cannot_try("no private mounts: %s", strerror(errno));
	if (access("/dev/net/tun", F_OK) < 0)
		cannot_try("/dev/net/tun is missing");
}

/* One queue of the named TAP device, or -errno. */
static inline int tap_queue(const char *name, unsigned extra)
{
	struct ifreq request = {.ifr_flags = (short)(IFF_TAP | IFF_NO_PI | IFF_MULTI_QUEUE | extra)};
	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (ioctl(fd, TUNSETIFF, &request) < 0) {
		int err = -errno;
		close(fd);
		return err;
	}
	return fd;
}

/* Up with this MTU, IPv6 off if that can be, so that the kernel's own chatter does not mix in. */
static inline void device_up(const char *name, int mtu)
{
	struct ifreq request;
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	memset(&request, 0, sizeof(request));
	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
	request.ifr_mtu = mtu;
	believe(fd >= 0 && ioctl(fd, SIOCSIFMTU, &request) == 0, "MTU %d for %s", mtu, name);
	request.ifr_flags = IFF_UP;
	believe(ioctl(fd, SIOCSIFFLAGS, &request) == 0, "%s up", name);
	close(fd);
}

/* A packet socket on the device that tells VLAN tags beside the frame, deaf to what this host
 * sends. */
static inline int packet_socket(const char *name, uint16_t ethertype)
{
	struct sockaddr_ll at = {
	    .sll_family = AF_PACKET, .sll_protocol = (uint16_t)(ethertype << 8 | ethertype >> 8), .sll_ifindex = (int)if_nametoindex(name)};
	int on = 1, fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	believe(fd >= 0 && bind(fd, (struct sockaddr *)&at, sizeof(at)) == 0, "packet socket on %s", name);
	believe(setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof(on)) == 0, "PACKET_IGNORE_OUTGOING");
	believe(setsockopt(fd, SOL_PACKET, PACKET_AUXDATA, &on, sizeof(on)) == 0, "PACKET_AUXDATA");
	return fd;
}

/* Waits up to a second for something to read. */
static inline int readable(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	return poll(&p, 1, 1000) == 1 && (p.revents & POLLIN);
}

/* The next frame of a TAP queue with this EtherType behind the addresses; others are the kernel's
 * own and are skipped. */
static inline ssize_t tap_frame(int fd, unsigned ethertype, uint8_t *ret, size_t room)
{
	for (int i = 0; i < 64 && readable(fd); i++) {
		ssize_t n = read(fd, ret, room);
		if (n >= 14 && (unsigned)(ret[12] << 8 | ret[13]) == ethertype)
			return n;
	}
	return -1;
}

#endif
