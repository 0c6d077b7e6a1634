/* groups.h: the multicast groups that a device of this host takes, whoever joined them: IP stack, packet sockets, devices on top of it.
 *
 * Control thread. Nothing is kept between two calls. The simulator links another implementation.
 */
#ifndef FARLAN_TAP_GROUPS_H
#define FARLAN_TAP_GROUPS_H

#include <stdbool.h>
#include <stdint.h>

/* The groups of the device, ascending and each once: how many, at most room, or -errno (then nothing is known). *ret_all: every group is to
 * come, listed or not: the device is promiscuous, takes all multicast, is the port of a bridge, or has more than room. dev: its name,
 * which may be an old one: the index counts. -ENODEV: there is no such device (any more). */
int tap_groups(unsigned ifindex, const char *dev, uint8_t (*ret)[6], unsigned room, bool *ret_all);

#endif
