/* tap_parts.h: what the two kinds of Ethernet port share: TAP devices (linux.c) and existing interfaces (nic.c).
 */
#ifndef FARLAN_TAP_TAP_PARTS_H
#define FARLAN_TAP_TAP_PARTS_H

#include <endian.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <stdatomic.h>

#include "tap/tap.h"

#define ETHERNET_HEADER 14
#define VLAN_TAG        4
#define ALIGNMENT       16
#define VNET_HEADER     sizeof(struct virtio_net_hdr)

struct tap {
	unsigned queues;
	unsigned ifindex;
	unsigned offloads;
	bool header; /* a virtio_net_hdr before each frame */
	int control; /* any socket: carries the interface ioctls */
	int fd[TAP_QUEUES_MAX];
	/* Of an interface that was there before us only. */
	bool attached;
	_Atomic uint32_t mtu;
	char iface[IFNAMSIZ];
};

/* One frame to the slab, which has TAP_SLAB_MIN. 0, 1 if it was not for us, or -errno. */
int nic_read(const struct tap *, int fd, struct slab *, struct packet *ret);
/* Would the segments of this superframe fit the interface? The kernel looks at the length of complete frames only. */
bool nic_fits(const struct tap *, const struct packet *, const struct virtio_net_hdr *);

/* Between the TAP's little endian and the packet socket's order of the machine; there and back is the same. */
static inline void vnet_turn(struct virtio_net_hdr *h)
{
	h->hdr_len = le16toh(h->hdr_len);
	h->gso_size = le16toh(h->gso_size);
	h->csum_start = le16toh(h->csum_start);
	h->csum_offset = le16toh(h->csum_offset);
}

/* Takes len bytes at data, which is in the slab, out of it. */
static inline void slab_take(struct slab *slab, uint8_t *data, uint32_t len)
{
	slab->room -= (uint32_t)(data + len - slab->at);
	slab->at = data + len;
}

#endif
