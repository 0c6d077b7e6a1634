/* local.h: what the administrator of this machine adds to a network that nobody else knows of: an interface of the host as a second
 * device (tap/nic.h), a game's broadcasts, the metric of managed routes.
 *
 * Control thread only. Kept in the network's state file. The interface is open while the network's device stands and the credential has the right to
 * bridge; else it waits, and is taken when it comes, comes back, or the right is given. Workers see it as port->nic.
 */
#ifndef FARLAN_NODE_LOCAL_H
#define FARLAN_NODE_LOCAL_H

#include "node/node.h"
#include "proto/base/cursor.h"
#include "proto/base/heap.h"
#include "tap/nic.h"

#define LOCAL_BYTES (TAP_NAME_MAX + NIC_FILTER_MAX + 16)

struct net;

struct local {
	char iface[TAP_NAME_MAX]; /* "" = none */
	char filter[NIC_FILTER_MAX];
	char why[160]; /* the interface carries nothing: the reason and the mend */
	bool game;
	char game_why[160];
	bool metric_set;
	uint32_t metric;

	bool game_on; /* its routes stand, with that metric: of two networks with a game the lower one has it */
	uint32_t game_metric;
	bool arp_changed; /* of the interface, by us */
	struct timer timer;
};

void local_start(struct net *); /* with the network's struct */
void local_stop(struct net *);
void local_apply(struct net *); /* the device stands, or the credential changed */
void local_down(struct net *);  /* before the device goes: takes the second one out of sight */
void local_view(const struct net *, struct local_view *ret);
uint32_t local_metric(const struct net *, uint32_t managed);
size_t local_encode(const struct net *, uint8_t ret[LOCAL_BYTES]);
void local_decode(struct net *, struct reader *);

#endif
