/* netlink.h: addresses, routes and links of this host by rtnetlink (libmnl). Control thread only; never blocks for long
 * (one request, one answer). Everything here touches only the interface named. 0 or -errno.
 */
#ifndef FARLAN_TAP_NETLINK_H
#define FARLAN_TAP_NETLINK_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/base/batch.h"

struct netlink;

int netlink_open(struct netlink **ret);
void netlink_close(struct netlink *);
/* ip: 4 or 16 bytes by family; IPv6 with IFA_F_NODAD. Adding what is there already is success. */
int netlink_address(struct netlink *, bool add, unsigned ifindex, uint8_t family, const uint8_t *ip, uint8_t bits);
/* via NULL = on link. Adding what is there already is success; a foreign route in the way is -EEXIST. */
int netlink_route(struct netlink *, bool add, unsigned ifindex, uint8_t family, const uint8_t *target, uint8_t bits, const uint8_t *via,
                  uint32_t metric);
int netlink_link_mac(struct netlink *, unsigned ifindex, const uint8_t mac[6]);
int netlink_link_mtu(struct netlink *, unsigned ifindex, uint16_t mtu);
/* Bytes of the longest superframe that the kernel hands to the device; it cuts longer ones itself. 65536 is its own default. */
int netlink_link_gso(struct netlink *, unsigned ifindex, uint32_t bytes);
int netlink_link_up(struct netlink *, unsigned ifindex, bool up);
/* For whom the kernel answers ARP on an interface (ip-sysctl, arp_ignore): 0 all addresses of the host, 1 only those of this interface. From one
 * value to another; what is neither is somebody's choice and stays. 1: changed, 0: it was another one. */
int netlink_arp_ignore(struct netlink *, unsigned ifindex, uint32_t from, uint32_t to);
/* The Linux bridge that the device is a port of forgets the MACs it learned there; -errno where it is a port of none. */
int netlink_link_flush(struct netlink *, unsigned ifindex);
/* Host candidates: the usable addresses of this host, with port 0. Loopback, link-local, deprecated, tentative ones and those of
 * down links or of the interfaces in skip are left out, and so are all tun/tap devices. Returns how many, at most room, or -errno. */
int netlink_hosts(struct netlink *, const unsigned *skip, unsigned n_skip, struct endpoint *ret, uint16_t *ret_link_mtu, unsigned room);
/* The ways out of this host: its default routes by a router, best first, each with the address of ours that goes out there. IPv4 has one such
 * address per route; IPv6 may have several, of which the global ones (2000::/3) count. Never by a tun/tap device. Returns how many, at most room,
 * or -errno. It reads a whole routing table, so it is for a thread that may wait. */
struct gateway {
	uint8_t family; /* 4 or 6 */
	unsigned ifindex;
	uint32_t metric;
	uint8_t ip[16], source[16];
};
int netlink_gateways(struct netlink *, struct gateway *ret, unsigned room);
/* A file descriptor that becomes readable when an address, a link or a default route changed, or an IP group was joined or left (Linux 6.14 on);
 * netlink_changed() drains it and says which: an or of these, 0 = nothing. */
#define NETLINK_HOSTS  1u /* addresses, links */
#define NETLINK_ROUTES 2u /* default routes */
#define NETLINK_GROUPS 4u /* IP multicast groups of some device */
int netlink_monitor_fd(const struct netlink *);
unsigned netlink_changed(struct netlink *);

#endif
