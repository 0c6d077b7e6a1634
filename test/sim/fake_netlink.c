/* fake_netlink.c: a host with one address and one link; what the node sets on its devices is taken as done. */
#include <assert.h>
#include <stdlib.h>

#include "test/sim/sim.h"

struct netlink {
	struct host *host;
};

int netlink_open(struct netlink **ret)
{
	struct netlink *n = calloc(1, sizeof *n);
	assert(n && host_running);
	n->host = host_running;
	*ret = n;
	return 0;
}

void netlink_close(struct netlink *n)
{
	free(n);
}

int netlink_address(struct netlink *n, bool add, unsigned ifindex, uint8_t family, const uint8_t *ip, uint8_t bits)
{
	(void)add, (void)ip;
	assert(n->host->tap && ifindex == tap_ifindex(n->host->tap) && bits <= (family == 4 ? 32 : 128));
	return 0;
}

int netlink_route(struct netlink *n, bool add, unsigned ifindex, uint8_t family, const uint8_t *target, uint8_t bits, const uint8_t *via,
                  uint32_t metric)
{
	(void)add, (void)target, (void)via, (void)metric;
	assert(n->host->tap && ifindex == tap_ifindex(n->host->tap) && bits <= (family == 4 ? 32 : 128));
	return 0;
}

int netlink_link_mac(struct netlink *n, unsigned ifindex, const uint8_t mac[6])
{
	(void)n, (void)ifindex, (void)mac;
	return 0;
}

int netlink_link_mtu(struct netlink *n, unsigned ifindex, uint16_t mtu)
{
	(void)n, (void)ifindex, (void)mtu;
	return 0;
}

int netlink_link_gso(struct netlink *n, unsigned ifindex, uint32_t bytes)
{
	(void)n, (void)ifindex, (void)bytes;
	return 0;
}

int netlink_link_up(struct netlink *n, unsigned ifindex, bool up)
{
	(void)n, (void)ifindex, (void)up;
	return 0;
}

int netlink_arp_ignore(struct netlink *n, unsigned ifindex, uint32_t from, uint32_t to)
{
	(void)n, (void)ifindex, (void)from, (void)to;
	return 0;
}

int netlink_link_flush(struct netlink *n, unsigned ifindex)
{
	(void)n, (void)ifindex;
	return 0;
}

int netlink_hosts(struct netlink *n, const unsigned *skip, unsigned n_skip, struct endpoint *ret, uint16_t *ret_link_mtu, unsigned room)
{
	(void)skip, (void)n_skip;
	assert(room);
	ret[0] = n->host->at;
	ret[0].port = 0;
	ret_link_mtu[0] = 1500;
	return 1;
}

int netlink_monitor_fd(const struct netlink *n)
{
	(void)n;
	return -1;
}

unsigned netlink_changed(struct netlink *n)
{
	(void)n;
	return 0;
}
