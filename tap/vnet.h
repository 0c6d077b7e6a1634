/* vnet.h: what the kernel puts before a frame of a TAP device, and what it wants there. Pure functions. */
#ifndef FARLAN_TAP_VNET_H
#define FARLAN_TAP_VNET_H

#include <linux/virtio_net.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/batch.h"

/* What the kernel says of a frame of len bytes. Checked as far as its length goes: the headers are for others to look at.
 * False: a value that is unknown or cannot be. */
bool vnet_read(const struct virtio_net_hdr *, uint32_t len, struct offload *ret);
/* The header for a frame of len bytes all of whose protocol headers are in its first packet. False: an offload (TAP_*) that
 * the device has not or that does not fit the frame. ret comes zeroed. */
bool vnet_write(unsigned offloads, const struct packet *, size_t len, struct virtio_net_hdr *ret);

#endif
