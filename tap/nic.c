/* An interface of the host as a port: packet sockets, one per queue.
 *
 * A packet socket gives and takes one frame per system call, and with PACKET_VNET_HDR a virtio_net_hdr stands before it as with a TAP
 * device, so that superframes pass in both directions. What differs: the kernel takes the outer VLAN tag off what comes in and tells it in
 * PACKET_AUXDATA; it is put back by moving the two MACs four bytes to the front, and csum_start, which the kernel reckons without the
 * tag, grows by as much. The header is in the machine's byte order, the TAP's in little endian.
 *
 * Read is what others send to others: not what leaves by the interface (ours would come back as echo), not what is sent to
 * its own MAC. The latter is the host's own traffic, our datagrams among it: read and sent on they would be a tunnel inside itself.
 * Several queues are a fanout group, which keeps a conversation on one of them. A socket hears everything from being bound
 * to joining the group, so until then its filter lets nothing in.
 *
 * An interface that is down or deleted is silent: reads find nothing. Which of both, and whether it came back, is for the control thread to ask.
 */
#include "tap/nic.h"

#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if_arp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "tap/filter.h"
#include "tap/tap_parts.h"
#include "tap/vnet.h"

#ifndef PACKET_IGNORE_OUTGOING /* headers before Linux 4.20 */
#define PACKET_IGNORE_OUTGOING 23
#endif
#ifndef PACKET_FANOUT_FLAG_UNIQUEID
#define PACKET_FANOUT_FLAG_UNIQUEID 0x2000
#endif
#ifndef PACKET_FANOUT_FLAG_IGNORE_OUTGOING
#define PACKET_FANOUT_FLAG_IGNORE_OUTGOING 0x4000
#endif

#define SOCKET_BYTES (4 << 20) /* a few tens of superframes wait while a worker does something else */

static _Thread_local char why[FILTER_WHY];

__attribute__((format(printf, 2, 3))) static int refuse(int error, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vsnprintf(why, sizeof(why), format, args);
	va_end(args);
	return error;
}

/* ---- opening ---------------------------------------------------------------------------------------------------- */

static int named_ioctl(int fd, const char *iface, unsigned long op, struct ifreq *ret)
{
	memset(ret, 0, sizeof(*ret));
	snprintf(ret->ifr_name, sizeof(ret->ifr_name), "%s", iface);
	return ioctl(fd, op, ret) < 0 ? -errno : 0;
}

static int interface_look(struct tap *t)
{
	struct ifreq request;
	int error = named_ioctl(t->control, t->iface, SIOCGIFINDEX, &request);
	if (error)
		return refuse(error, "there is no interface %s", t->iface);
	t->ifindex = (unsigned)request.ifr_ifindex;
	error = named_ioctl(t->control, t->iface, SIOCGIFHWADDR, &request);
	if (!error && request.ifr_hwaddr.sa_family != ARPHRD_ETHER)
		return refuse(-EINVAL, "%s does not carry Ethernet frames", t->iface);
	if (!error)
		error = named_ioctl(t->control, t->iface, SIOCGIFMTU, &request);
	if (error)
		return refuse(error, "%s: %s", t->iface, strerrordesc_np(-error));
	atomic_store(&t->mtu, (uint32_t)request.ifr_mtu);
	return 0;
}

static int set(int fd, int level, int name, const void *value, size_t len)
{
	return setsockopt(fd, level, name, value, (socklen_t)len) < 0 ? -errno : 0;
}

static int set_int(int fd, int level, int name, int value)
{
	return set(fd, level, name, &value, sizeof(value));
}

/* Joins the others of the port; group: 0 = the first one, which draws a number. flags as far as the kernel knows them. */
static int fanout_join(int fd, int *group)
{
	static const int tries[] = {PACKET_FANOUT_FLAG_IGNORE_OUTGOING, 0};
	int error = 0;
	for (unsigned i = 0; i < sizeof(tries) / sizeof(tries[0]); i++) {
		int type = PACKET_FANOUT_HASH | tries[i] | (*group ? 0 : PACKET_FANOUT_FLAG_UNIQUEID);
		error = set_int(fd, SOL_PACKET, PACKET_FANOUT, *group | type << 16);
		if (error != -EINVAL)
			break;
	}
	int got = 0;
	socklen_t len = sizeof(got);
	if (!error && !*group && getsockopt(fd, SOL_PACKET, PACKET_FANOUT, &got, &len) < 0)
		error = -errno;
	if (!error && !*group)
		*group = got & 0xffff;
	return error;
}

/* The filter asked for, or none. */
static int filter_set(int fd, const struct sock_fprog *filter)
{
	int ignored = 0;
	if (filter->len)
		return set(fd, SOL_SOCKET, SO_ATTACH_FILTER, filter, sizeof(*filter));
	return set(fd, SOL_SOCKET, SO_DETACH_FILTER, &ignored, sizeof(ignored));
}

static int queue_open(const struct tap *t, bool fanout, int *group, const struct sock_fprog *filter, int *ret_fd)
{
	struct sock_filter nothing = BPF_STMT(BPF_RET | BPF_K, 0);
	const struct sock_fprog shut = {.len = 1, .filter = &nothing};
	const struct packet_mreq promiscuous = {.mr_ifindex = (int)t->ifindex, .mr_type = PACKET_MR_PROMISC};
	const struct sockaddr_ll at = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL), .sll_ifindex = (int)t->ifindex};
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), error;
	if (fd < 0)
		return refuse(-errno, errno == EPERM ? "reading an interface needs CAP_NET_RAW" : "packet socket: %m");
	*ret_fd = fd;
	error = set_int(fd, SOL_PACKET, PACKET_VNET_HDR, 1);
	if (!error)
		error = set_int(fd, SOL_PACKET, PACKET_AUXDATA, 1);
	if (!error)
		error = filter_set(fd, &shut);
	if (!error && bind(fd, (const struct sockaddr *)&at, sizeof(at)) < 0)
		error = -errno;
	/* An older kernel refuses; what goes out is told by its direction then. */
	set_int(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, 1);
	if (set_int(fd, SOL_SOCKET, SO_RCVBUFFORCE, SOCKET_BYTES))
		set_int(fd, SOL_SOCKET, SO_RCVBUF, SOCKET_BYTES);
	if (set_int(fd, SOL_SOCKET, SO_SNDBUFFORCE, SOCKET_BYTES))
		set_int(fd, SOL_SOCKET, SO_SNDBUF, SOCKET_BYTES);
	if (!error)
		error = set(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &promiscuous, sizeof(promiscuous));
	if (!error && fanout)
		error = fanout_join(fd, group);
	if (!error)
		error = filter_set(fd, filter);
	return error ? refuse(error, "%s: %s", t->iface, strerrordesc_np(-error)) : 0;
}

int tap_attach(struct tap **ret, const char *iface, unsigned queues, unsigned may, const char *filter, const char **ret_why)
{
	struct tap *t = calloc(1, sizeof(*t));
	struct sock_fprog program = {0};
	int error = 0, group = 0;
	*ret_why = why;
	if (!t)
		return refuse(-ENOMEM, "out of memory");
	t->attached = t->header = true;
	t->offloads = may & TAP_CSUM ? may & TAP_ALL : 0;
	t->control = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (t->control < 0)
		error = refuse(-errno, "socket: %m");
	else if (strlen(iface) >= sizeof(t->iface) || queues < 1 || queues > TAP_QUEUES_MAX)
		error = refuse(-EINVAL, "an interface's name has at most 15 characters");
	if (!error) {
		memcpy(t->iface, iface, strlen(iface) + 1);
		error = interface_look(t);
	}
	if (!error && *filter)
		error = filter_compile(iface, filter, &program, why);
	for (; !error && t->queues < queues; t->queues++) {
		t->fd[t->queues] = -1;
		error = queue_open(t, queues > 1, &group, &program, &t->fd[t->queues]);
	}
	free(program.filter);
	if (!error) {
		*ret = t;
		return 0;
	}
	for (unsigned i = 0; i < t->queues; i++)
		if (t->fd[i] >= 0)
			close(t->fd[i]);
	if (t->control >= 0)
		close(t->control);
	free(t);
	return error;
}

int nic_filter_check(const char *iface, const char *filter, const char **ret_why)
{
	struct sock_fprog program = {0};
	*ret_why = why;
	int error = *filter ? filter_compile(iface, filter, &program, why) : 0;
	free(program.filter);
	return error;
}

int tap_attached(struct tap *t, uint64_t *ret_lost)
{
	struct ifreq request;
	uint64_t lost = 0;
	for (unsigned i = 0; i < t->queues; i++) {
		struct tpacket_stats stats = {0};
		socklen_t len = sizeof(stats);
		if (getsockopt(t->fd[i], SOL_PACKET, PACKET_STATISTICS, &stats, &len) == 0)
			lost += stats.tp_drops;
	}
	*ret_lost = lost;
	if (named_ioctl(t->control, t->iface, SIOCGIFINDEX, &request) || (unsigned)request.ifr_ifindex != t->ifindex)
		return -ENODEV;
	if (named_ioctl(t->control, t->iface, SIOCGIFMTU, &request))
		return -ENODEV;
	atomic_store(&t->mtu, (uint32_t)request.ifr_mtu);
	if (named_ioctl(t->control, t->iface, SIOCGIFFLAGS, &request))
		return -ENODEV;
	return request.ifr_flags & IFF_UP ? 0 : -ENETDOWN;
}

/* ---- frames ----------------------------------------------------------------------------------------------------- */

static const struct tpacket_auxdata *auxdata(struct msghdr *m)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c))
		if (c->cmsg_level == SOL_PACKET && c->cmsg_type == PACKET_AUXDATA &&
		    c->cmsg_len >= CMSG_LEN(sizeof(struct tpacket_auxdata)))
			return (const struct tpacket_auxdata *)(const void *)CMSG_DATA(c);
	return NULL;
}

/* The tag that stood between source and EtherType, put back there; the frame begins four bytes earlier then. */
static void tag_restore(struct packet *p, const struct tpacket_auxdata *aux)
{
	uint16_t type = aux->tp_status & TP_STATUS_VLAN_TPID_VALID ? aux->tp_vlan_tpid : ETH_P_8021Q;
	uint8_t *data = p->data - VLAN_TAG;
	memmove(data, p->data, 2 * ETH_ALEN);
	data[12] = (uint8_t)(type >> 8);
	data[13] = (uint8_t)type;
	data[14] = (uint8_t)(aux->tp_vlan_tci >> 8);
	data[15] = (uint8_t)aux->tp_vlan_tci;
	p->data = data;
	p->len += VLAN_TAG;
	p->offload.csum_start = (uint16_t)(p->offload.csum_start + (p->offload.csum ? VLAN_TAG : 0));
}

int nic_read(const struct tap *t, int fd, struct slab *slab, struct packet *ret)
{
	uint8_t *data = slab->at + VNET_HEADER;
	data += -(uintptr_t)data % ALIGNMENT;
	_Alignas(struct cmsghdr) uint8_t control[CMSG_SPACE(sizeof(struct tpacket_auxdata))];
	struct sockaddr_ll from = {0};
	struct virtio_net_hdr h = {0};
	struct iovec parts = {data - VNET_HEADER, VNET_HEADER + SUPERFRAME_MAX + 1};
	struct msghdr m = {.msg_name = &from,
	                   .msg_namelen = sizeof(from),
	                   .msg_iov = &parts,
	                   .msg_iovlen = 1,
	                   .msg_control = control,
	                   .msg_controllen = sizeof(control)};
	ssize_t n;
	(void)t;
	do
		n = recvmsg(fd, &m, MSG_TRUNC);
	while (n < 0 && errno == EINTR);
	/* ENETDOWN: said once when the interface goes down. EINVAL: a frame that the kernel could not describe, and it is lost. */
	if (n < 0 && errno != EINVAL)
		return errno == ENETDOWN ? -EAGAIN : -errno;
	if (n >= 0 && (from.sll_pkttype == PACKET_OUTGOING || from.sll_pkttype == PACKET_HOST))
		return 1;
	bool told = n >= (ssize_t)VNET_HEADER;
	uint32_t len = told ? (uint32_t)n - (uint32_t)VNET_HEADER : 0;
	*ret = (struct packet){.data = data, .len = len};
	if (told) {
		memcpy(&h, data - VNET_HEADER, VNET_HEADER);
		vnet_turn(&h);
	}
	const struct tpacket_auxdata *aux = told ? auxdata(&m) : NULL;
	bool tagged = aux && aux->tp_status & TP_STATUS_VLAN_VALID && len >= 2 * ETH_ALEN;
	if (len + (tagged ? VLAN_TAG : 0) > SUPERFRAME_MAX) {
		ret->len = len = SUPERFRAME_MAX - VLAN_TAG;
		ret->verdict = DROP_FRAME_LONG;
	} else if (!told || !vnet_read(&h, len, &ret->offload)) {
		ret->verdict = DROP_OFFLOAD;
	}
	slab_take(slab, data, len);
	if (tagged)
		tag_restore(ret, aux);
	ret->room = ret->len;
	return 0;
}

bool nic_fits(const struct tap *t, const struct packet *p, const struct virtio_net_hdr *h)
{
	if (!p->offload.gso)
		return true;
	uint32_t front = ETHERNET_HEADER;
	for (int tags = 0; tags < 2 && front + 2 <= p->len; tags++) {
		unsigned type = (unsigned)(p->data[front - 2] << 8 | p->data[front - 1]);
		front += type == ETH_P_8021Q || type == ETH_P_8021AD ? VLAN_TAG : 0;
	}
	return (uint32_t)le16toh(h->hdr_len) + p->offload.size <= atomic_load_explicit(&t->mtu, memory_order_relaxed) + front;
}
