/* The Linux TAP device: /dev/net/tun, one file descriptor per queue.
 *
 * Each queue is a non-blocking descriptor that gives and takes one bare Ethernet frame per system
 * call (IFF_NO_PI). The kernel spreads flows over the queues, so every queue must be read; a frame
 * may be written to any. The first queue is opened exclusively: without IFF_TUN_EXCL a second
 * daemon would join the first one's device as a further queue and steal part of its frames. The
 * device lives as long as its last descriptor. Names can be changed by the administrator, so the
 * setters ask the descriptor for the present one. tap_read and tap_write are the only places that
 * touch frames: a virtio_net_hdr (superframes) will be put on and taken off in read_one and
 * write_one.
 */
#include "tap/tap.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#define ETHERNET_HEADER 14

_Static_assert(TAP_NAME_MAX == IFNAMSIZ, "an interface name with its zero");

struct tap {
	unsigned queues;
	unsigned ifindex;
	int control; /* any socket: carries the interface ioctls */
	int fd[TAP_QUEUES_MAX];
};

static int queue_open(const char *name, bool exclusive, char ret_name[IFNAMSIZ], int *ret_fd)
{
	unsigned flags = IFF_TAP | IFF_NO_PI | IFF_MULTI_QUEUE | (exclusive ? IFF_TUN_EXCL : 0u);
	struct ifreq request = {.ifr_flags = (short)flags};
	memcpy(request.ifr_name, name, strlen(name) + 1);
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (ioctl(fd, TUNSETIFF, &request) < 0) {
		int err = -errno;
		close(fd);
		return err;
	}
	memcpy(ret_name, request.ifr_name, IFNAMSIZ);
	ret_name[IFNAMSIZ - 1] = 0;
	*ret_fd = fd;
	return 0;
}

/* An interface ioctl on the device under the name it has now. */
static int device_ioctl(const struct tap *t, unsigned long op, struct ifreq *request)
{
	struct ifreq named;
	memset(&named, 0, sizeof(named));
	if (ioctl(t->fd[0], TUNGETIFF, &named) < 0)
		return -errno;
	memcpy(request->ifr_name, named.ifr_name, IFNAMSIZ);
	return ioctl(t->control, op, request) < 0 ? -errno : 0;
}

static int device_mac(const struct tap *t, const uint8_t mac[6])
{
	struct ifreq request = {.ifr_hwaddr.sa_family = ARPHRD_ETHER};
	memcpy(request.ifr_hwaddr.sa_data, mac, 6);
	return device_ioctl(t, SIOCSIFHWADDR, &request);
}

int tap_open(struct tap **ret, const char *name, unsigned queues, const uint8_t mac[6], uint16_t mtu, char ret_name[TAP_NAME_MAX])
{
	if (strlen(name) >= IFNAMSIZ)
		return -ENAMETOOLONG;
	if (queues < 1 || queues > TAP_QUEUES_MAX)
		return -E2BIG;
	struct tap *t = calloc(1, sizeof(*t));
	if (!t)
		return -ENOMEM;
	char got[IFNAMSIZ];
	struct ifreq request;
	int err;

	t->control = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	err = t->control < 0 ? -errno : 0;
	if (err)
		goto out;
	for (; t->queues < queues; t->queues++) {
		bool first = t->queues == 0;
		err = queue_open(first ? name : got, first, got, &t->fd[t->queues]);
		if (err)
			goto out;
	}
	memset(&request, 0, sizeof(request));
	err = device_ioctl(t, SIOCGIFINDEX, &request);
	if (err)
		goto out;
	t->ifindex = (unsigned)request.ifr_ifindex;
	/* The MAC before the device is up: its IPv6 link-local address is made from it then. */
	err = device_mac(t, mac);
	if (!err)
		err = tap_set_mtu(t, mtu);
out:
	if (err) {
		tap_close(t);
		return err;
	}
	memcpy(ret_name, got, TAP_NAME_MAX);
	*ret = t;
	return 0;
}

void tap_close(struct tap *t)
{
	if (!t)
		return;
	for (unsigned i = 0; i < t->queues; i++)
		close(t->fd[i]);
	if (t->control >= 0)
		close(t->control);
	free(t);
}

const char *tap_why(int error)
{
	switch (error < 0 ? -error : error) {
	case EPERM:
		return "making a TAP device needs CAP_NET_ADMIN: run as root, or give the service "
		       "AmbientCapabilities=CAP_NET_ADMIN";
	case EACCES:
		return "/dev/net/tun may not be opened: allow it (chmod 0666, or "
		       "DeviceAllow=/dev/net/tun rw in the service)";
	case ENOENT:
		return "/dev/net/tun is missing: modprobe tun, or pass the device into the "
		       "container";
	case ENODEV:
	case ENXIO: return "/dev/net/tun has no driver behind it: modprobe tun";
	case EBUSY:
	case EEXIST:
		return "a device of this name exists already: choose another name or stop who "
		       "holds it";
	case EINVAL: return "the kernel does not take this device name, MAC or MTU";
	case EADDRNOTAVAIL: return "the MAC is no unicast address";
	case ENAMETOOLONG: return "the device name has more than 15 characters";
	case E2BIG: return "a TAP device has 1 to 16 queues here";
	case EMFILE:
	case ENFILE: return "no file descriptor is free: raise LimitNOFILE";
	case EBADFD: return "the TAP device was deleted";
	default: {
		const char *text = strerrordesc_np(error < 0 ? -error : error);
		return text ? text : "unknown error";
	}
	}
}

int tap_set_mtu(struct tap *t, uint16_t mtu)
{
	struct ifreq request = {.ifr_mtu = mtu};
	return device_ioctl(t, SIOCSIFMTU, &request);
}

int tap_up(struct tap *t, bool up)
{
	struct ifreq request;
	memset(&request, 0, sizeof(request));
	int err = device_ioctl(t, SIOCGIFFLAGS, &request);
	if (err)
		return err;
	unsigned flags = (unsigned short)request.ifr_flags;
	request.ifr_flags = (short)(up ? flags | IFF_UP : flags & ~(unsigned)IFF_UP);
	return device_ioctl(t, SIOCSIFFLAGS, &request);
}

unsigned tap_ifindex(const struct tap *t)
{
	return t->ifindex;
}

int tap_fd(const struct tap *t, unsigned queue)
{
	return queue < t->queues ? t->fd[queue] : -1;
}

/* One frame. The kernel cuts what does not fit without a word; one byte of room beyond the packet's
 * shows it. */
static ssize_t read_one(int fd, struct packet *p)
{
	uint8_t beyond;
	const struct iovec parts[2] = {{p->data, p->room}, {&beyond, 1}};
	ssize_t n;
	do
		n = readv(fd, parts, 2);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	bool cut = (size_t)n > p->room;
	p->len = cut ? p->room : (uint32_t)n;
	p->verdict = cut ? DROP_FRAME_LONG : DROP_NONE;
	return n;
}

static bool write_one(int fd, const struct packet *p)
{
	ssize_t n;
	if (p->len < ETHERNET_HEADER)
		return false;
	do
		n = write(fd, p->data, p->len);
	while (n < 0 && errno == EINTR);
	return n == (ssize_t)p->len;
}

int tap_read(struct tap *t, unsigned queue, struct packet *p, unsigned n)
{
	unsigned got = 0;
	if (queue >= t->queues)
		return -EINVAL;
	while (got < n) {
		ssize_t r = read_one(t->fd[queue], &p[got]);
		if (r == -EAGAIN)
			break;
		/* What was read before the device went is handed out first; the next call says so.
		 */
		if (r < 0)
			return got ? (int)got : (int)r;
		got++;
	}
	return (int)got;
}

void tap_write(struct tap *t, unsigned queue, struct packet *p, unsigned n)
{
	if (queue >= t->queues)
		queue = 0;
	for (unsigned i = 0; i < n; i++)
		if (p[i].verdict == DROP_NONE && !write_one(t->fd[queue], &p[i]))
			p[i].verdict = DROP_TAP_WRITE;
}
