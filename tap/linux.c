/* The Linux TAP device: /dev/net/tun, one file descriptor per queue.
 *
 * Each queue is a non-blocking descriptor that gives and takes one Ethernet frame per system call (IFF_NO_PI). With
 * IFF_VNET_HDR a struct virtio_net_hdr stands before the frame and says what the frame still lacks, so that one call can
 * carry a superframe of 64 KiB; it is put right before the frame in the slab when read and is a vector of its own when
 * written, and no byte of a frame is ever copied here. What the device may leave to us is tried from the most to the
 * least, since kernels differ (UDP superframes: Linux 6.2); a kernel without the header gets plain frames. The header is
 * little endian everywhere (TUNSETVNETLE), which on amd64 is what the kernel does anyway.
 *
 * The kernel spreads flows over the queues, so every queue must be read; a frame may be written to any. The first queue is
 * opened exclusively: without IFF_TUN_EXCL a second daemon would join the first one's device as a further queue and steal
 * part of its frames. The device lives as long as its last descriptor. Names can be changed by the administrator, so the
 * setters ask the descriptor for the present one.
 */
#include "tap/tap.h"
#include "tap/tap_parts.h"
#include "tap/vnet.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if_arp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#ifndef TUN_F_USO4 /* headers before Linux 6.2 */
#define TUN_F_USO4 0x20
#define TUN_F_USO6 0x40
#endif

_Static_assert(TAP_NAME_MAX == IFNAMSIZ, "an interface name with its zero");
_Static_assert(sizeof(struct virtio_net_hdr) == 10, "the header without the buffer count, as TUNSETVNETHDRSZ is told");
/* One byte more than the largest frame is read, which shows the frame that is larger still. */
_Static_assert(TAP_SLAB_MIN >= ALIGNMENT - 1 + VNET_HEADER + SUPERFRAME_MAX + 1, "a slab that brings any frame");

/* header, in: wanted; out: got. */
static int queue_open(const char *name, bool exclusive, bool *header, char ret_name[IFNAMSIZ], int *ret_fd)
{
	unsigned flags = IFF_TAP | IFF_NO_PI | IFF_MULTI_QUEUE | (exclusive ? IFF_TUN_EXCL : 0u), known = 0;
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	*header = *header && ioctl(fd, TUNGETFEATURES, &known) == 0 && known & IFF_VNET_HDR;
	if (*header)
		flags |= IFF_VNET_HDR;
	struct ifreq request = {.ifr_flags = (short)flags};
	memcpy(request.ifr_name, name, strlen(name) + 1);
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

/* Form of the header and the offloads, both the device's and not the queue's. A kernel that knows some of the flags refuses
 * them all, so they are asked for from the most to the least; without any the header stays and is all zero. */
static int offloads_set(int fd, unsigned may, unsigned *ret)
{
	const int size = VNET_HEADER, little = 1;
	if (ioctl(fd, TUNSETVNETHDRSZ, &size) < 0 || ioctl(fd, TUNSETVNETLE, &little) < 0)
		return -errno;
	const unsigned tries[] = {may, may & ~TAP_USO, may & TAP_CSUM};
	for (unsigned i = 0; i < sizeof(tries) / sizeof(tries[0]); i++) {
		unsigned long flags = tries[i] & TAP_CSUM ? TUN_F_CSUM : 0;
		flags |= tries[i] & TAP_TSO ? TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN : 0;
		flags |= tries[i] & TAP_USO ? TUN_F_USO4 | TUN_F_USO6 : 0;
		if (ioctl(fd, TUNSETOFFLOAD, flags) == 0) {
			*ret = tries[i];
			break;
		}
	}
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

int tap_open(struct tap **ret, const char *name, unsigned queues, const uint8_t mac[6], uint16_t mtu, unsigned may,
             char ret_name[TAP_NAME_MAX])
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

	may &= TAP_CSUM | TAP_TSO | TAP_USO;
	t->header = may & TAP_CSUM;
	t->control = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	err = t->control < 0 ? -errno : 0;
	if (err)
		goto out;
	for (; t->queues < queues; t->queues++) {
		bool first = t->queues == 0;
		err = queue_open(first ? name : got, first, &t->header, got, &t->fd[t->queues]);
		if (err)
			goto out;
	}
	err = t->header ? offloads_set(t->fd[0], may, &t->offloads) : 0;
	if (err)
		goto out;
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

unsigned tap_offloads(const struct tap *t)
{
	return t->offloads;
}

/* ---- reading ---------------------------------------------------------------------------------------------------- */

/* One frame to the slab, which has TAP_SLAB_MIN. 0 or -errno. */
static int read_one(const struct tap *t, int fd, struct slab *slab, struct packet *ret)
{
	size_t header = t->header ? VNET_HEADER : 0;
	uint8_t *data = slab->at + VNET_HEADER;
	data += -(uintptr_t)data % ALIGNMENT;
	struct virtio_net_hdr h = {0};
	ssize_t n;
	do
		n = read(fd, data - header, header + SUPERFRAME_MAX + 1);
	while (n < 0 && errno == EINTR);
	/* EINVAL: a frame that the kernel could not describe, and it is lost; the device is well. */
	if (n < 0 && errno != EINVAL)
		return -errno;
	bool told = n >= (ssize_t)header;
	uint32_t len = told ? (uint32_t)n - (uint32_t)header : 0;
	*ret = (struct packet){.data = data, .len = len, .room = len};
	if (told && header)
		memcpy(&h, data - header, header);
	if (len > SUPERFRAME_MAX) {
		ret->len = ret->room = len = SUPERFRAME_MAX;
		ret->verdict = DROP_FRAME_LONG;
	} else if (!told || !vnet_read(&h, len, &ret->offload)) {
		ret->verdict = DROP_OFFLOAD;
	}
	slab_take(slab, data, len);
	return 0;
}

int tap_read(struct tap *t, unsigned queue, struct slab *slab, struct packet *p, unsigned n)
{
	unsigned got = 0;
	if (queue >= t->queues)
		return -EINVAL;
	/* What an interface brings may be none of ours, and for ever. */
	for (unsigned looks = 0; got < n && looks < 2 * n && slab->room >= TAP_SLAB_MIN; looks++) {
		int r = t->attached ? nic_read(t, t->fd[queue], slab, &p[got]) : read_one(t, t->fd[queue], slab, &p[got]);
		if (r == -EAGAIN)
			break;
		if (r > 0)
			continue;
		/* What was read before the device went is handed out first; the next call says so. */
		if (r < 0)
			return got ? (int)got : r;
		got++;
	}
	return (int)got;
}

/* ---- writing ---------------------------------------------------------------------------------------------------- */

/* Header and frame as vectors; packets that lie one behind the other in memory share one. Returns their number. */
static int frame_parts(struct virtio_net_hdr *h, const struct packet *p, unsigned tails, struct iovec *ret, size_t *ret_len)
{
	int n = 0;
	size_t len = 0;
	if (h)
		ret[n++] = (struct iovec){h, VNET_HEADER};
	for (unsigned i = 0; i <= tails; i++) {
		len += p[i].len;
		if (i && p[i].data == (uint8_t *)ret[n - 1].iov_base + ret[n - 1].iov_len)
			ret[n - 1].iov_len += p[i].len;
		else
			ret[n++] = (struct iovec){p[i].data, p[i].len};
	}
	*ret_len = len;
	return n;
}

static enum drop write_one(const struct tap *t, int fd, const struct packet *p)
{
	struct iovec parts[2 + TAP_TAILS_MAX];
	struct virtio_net_hdr h = {0};
	size_t len, header = t->header ? VNET_HEADER : 0;
	ssize_t n;
	if (p->len < ETHERNET_HEADER || p->tails > TAP_TAILS_MAX)
		return DROP_TAP_WRITE;
	int count = frame_parts(t->header ? &h : NULL, p, p->tails, parts, &len);
	if (len > SUPERFRAME_MAX || !vnet_write(t->offloads, p, len, &h))
		return DROP_TAP_WRITE;
	if (t->attached && !nic_fits(t, p, &h))
		return DROP_FRAME_LONG;
	if (t->attached)
		vnet_turn(&h);
	do
		n = writev(fd, parts, count);
	while (n < 0 && errno == EINTR);
	if (n < 0 && errno == EMSGSIZE)
		return DROP_FRAME_LONG;
	return n == (ssize_t)(header + len) ? DROP_NONE : DROP_TAP_WRITE;
}

void tap_write(struct tap *t, unsigned queue, struct packet *p, unsigned n)
{
	if (queue >= t->queues)
		queue = 0;
	for (unsigned i = 0, next; i < n; i = next) {
		next = i + 1 + p[i].tails;
		assert(next <= n);
		enum drop why = p[i].verdict == DROP_NONE ? write_one(t, t->fd[queue], &p[i]) : DROP_NONE;
		for (unsigned k = i; why != DROP_NONE && k < next; k++)
			p[k].verdict = why;
	}
}
