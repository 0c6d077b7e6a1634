/* local.c: a network's local settings, brought into force.
 *
 * The interface that is a network's second device belongs to the host: it may be missing, down, deleted and made again under the same name at any time.
 * So it is looked at each three seconds, and opened anew when it is another one; frames are the workers' business alone. It is taken out of
 * sight and closed as the TAP is: in two steps, since a worker may be in the middle of a turn.
 *
 * A program that sends to 255.255.255.255 without naming an interface, as games do to find servers, sends where the routing table says: by
 * the default route, as a rule, and with that interface's address. With "game" a route for that address and for multicast leads to the overlay. A
 * route for one of them that somebody else made is left alone.
 */
#include "node/control.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define LOOK_MS 3000

#define FLAG_GAME   1u
#define FLAG_METRIC 2u

static void say(struct net *net, char text[160], const char *what, const char *why)
{
	char id[NWID_TEXT], now[160];
	snprintf(now, sizeof now, "%s", why);
	if (!strcmp(now, text))
		return;
	memcpy(text, now, sizeof now);
	nwid_format(net->nwid, id);
	if (*now)
		log_notice("network %s: %s: %s", id, what, now);
	node_changed(net->node);
}

static void look_again(struct net *net)
{
	if (heap_set(&net->node->heap, &net->local.timer, net->node->now + LOOK_MS))
		log_error("out of memory for a timer");
}

/* ---- the interface ---------------------------------------------------------------------------------------------------- */

static void nic_close_later(void *nic)
{
	tap_close(nic);
}

static void nic_show(struct net *net)
{
	net->node->ports_generation++;
	net->node->ports_dirty = true;
	if (!node_publish(net->node))
		node_view_changed(net->node);
}

/* Asked by ARP on that interface who has our address in the overlay, the kernel would say "I, here", since any interface speaks for the whole host: a second
 * answer beside that of our own device, and what is sent to the interface's own MAC passes no rule of the network. */
static void arp_elsewhere(struct net *net, struct tap *nic, bool on)
{
	if (on)
		net->local.arp_changed = netlink_arp_ignore(net->node->netlink, tap_ifindex(nic), 0, 1) == 1;
	else if (net->local.arp_changed)
		netlink_arp_ignore(net->node->netlink, tap_ifindex(nic), 1, 0);
}

static void nic_lost(struct net *net, uint64_t frames)
{
	net->node->drop[DROP_NIC_FULL] += frames;
	own_add(&net->port->count[WORKERS_MAX].drop[DROP_NIC_FULL], frames);
}

static void nic_close(struct net *net)
{
	struct tap *nic = atomic_exchange(&net->port->nic, NULL);
	uint64_t lost;
	if (!nic)
		return;
	arp_elsewhere(net, nic, false);
	tap_attached(nic, &lost);
	nic_lost(net, lost);
	nic_show(net);
	guestbook_retire(&net->node->book, nic, nic_close_later);
}

/* "" = it is open and in use. */
static void nic_apply(struct net *net, char ret[160])
{
	struct local *l = &net->local;
	const char *why = "";
	char id[NWID_TEXT], me[ADDRESS_TEXT];
	uint64_t lost = 0;
	*ret = 0;
	if (!*l->iface || !net->device_up) {
		nic_close(net);
		return;
	}
	if (!(net->cred.flags & MEMBER_BRIDGE)) {
		nic_close(net);
		nwid_format(net->nwid, id);
		address_format(net->node->config.self.self.address, me);
		snprintf(ret, 160, "the controller must allow it; there: farlan member set %s %s --bridge on", id, me);
		return;
	}
	struct tap *nic = atomic_load(&net->port->nic);
	int error = nic ? tap_attached(nic, &lost) : -ENODEV;
	nic_lost(net, lost);
	if (error == -ENODEV) {
		nic_close(net);
		error = tap_attach(&nic, l->iface, net->node->config.workers, tap_offloads(atomic_load(&net->port->tap)), l->filter, &why);
		if (error) {
			snprintf(ret, 160, "%s", why);
			return;
		}
		atomic_store(&net->port->nic, nic);
		arp_elsewhere(net, nic, true);
		nic_show(net);
		error = tap_attached(nic, &lost);
	}
	if (error)
		snprintf(ret, 160, "%s is down: ip link set %s up", l->iface, l->iface);
}

/* ---- a game's broadcasts ---------------------------------------------------------------------------------------------- */

static int game_routes(struct net *net, bool add)
{
	static const uint8_t broadcast[4] = {255, 255, 255, 255}, multicast[4] = {224};
	unsigned ifindex = tap_ifindex(net->port->tap);
	int error = netlink_route(net->node->netlink, add, ifindex, 4, broadcast, 32, NULL, net->local.game_metric);
	int other = netlink_route(net->node->netlink, add, ifindex, 4, multicast, 4, NULL, net->local.game_metric);
	/* A route of somebody else for multicast is a choice we follow. */
	return error ? error : other == -EEXIST ? 0 : other;
}

static void game_apply(struct net *net, char ret[160])
{
	struct local *l = &net->local;
	uint32_t metric = local_metric(net, 0);
	*ret = 0;
	if (!net->device_up)
		return;
	if (l->game_on && (!l->game || l->game_metric != metric)) {
		game_routes(net, false);
		l->game_on = false;
	}
	if (l->game && !l->game_on) {
		l->game_metric = metric;
		int error = game_routes(net, true);
		l->game_on = !error;
		if (error == -EEXIST)
			snprintf(ret, 160, "another route for 255.255.255.255 is there: ip route show 255.255.255.255");
		else if (error)
			snprintf(ret, 160, "the route for 255.255.255.255 cannot be set: %s", strerror(-error));
	}
}

/* ---- all of it -------------------------------------------------------------------------------------------------------- */

void local_apply(struct net *net)
{
	struct local *l = &net->local;
	char why[160];
	nic_apply(net, why);
	say(net, l->why, l->iface, why);
	game_apply(net, why);
	say(net, l->game_why, "game", why);
	if (net->device_up && (*l->iface || l->game != l->game_on))
		look_again(net);
	else
		heap_cancel(&net->node->heap, &l->timer);
}

static void local_fire(struct timer *t, uint64_t now)
{
	struct net *net = (struct net *)((char *)t - offsetof(struct net, local.timer));
	(void)now;
	local_apply(net);
}

void local_start(struct net *net)
{
	net->local.timer.fire = local_fire;
	net->local.timer.at = NEVER;
}

void local_stop(struct net *net)
{
	heap_cancel(&net->node->heap, &net->local.timer);
}

void local_down(struct net *net)
{
	nic_close(net);
	*net->local.why = 0;
	net->local.game_on = false; /* its routes go with the device */
	local_stop(net);
}

void local_view(const struct net *net, struct local_view *ret)
{
	const struct local *l = &net->local;
	*ret = (struct local_view){.open = atomic_load(&net->port->nic) && !*l->why,
	                           .game = l->game,
	                           .game_on = l->game_on,
	                           .metric_set = l->metric_set,
	                           .metric = l->metric};
	memcpy(ret->iface, l->iface, sizeof ret->iface);
	memcpy(ret->filter, l->filter, sizeof ret->filter);
	snprintf(ret->why, sizeof ret->why, "%s", *l->iface && !net->device_up ? "the network is not joined yet" : l->why);
	memcpy(ret->game_why, l->game_why, sizeof ret->game_why);
}

uint32_t local_metric(const struct net *net, uint32_t managed)
{
	return net->local.metric_set ? net->local.metric : managed;
}

size_t local_encode(const struct net *net, uint8_t ret[LOCAL_BYTES])
{
	const struct local *l = &net->local;
	struct writer w = writer_over(ret, LOCAL_BYTES);
	put_u8(&w, (uint8_t)strlen(l->iface));
	put_bytes(&w, l->iface, strlen(l->iface));
	put_le16(&w, (uint16_t)strlen(l->filter));
	put_bytes(&w, l->filter, strlen(l->filter));
	put_u8(&w, (uint8_t)((l->game ? FLAG_GAME : 0) | (l->metric_set ? FLAG_METRIC : 0)));
	put_le32(&w, l->metric);
	return writer_len(&w);
}

void local_decode(struct net *net, struct reader *r)
{
	struct local read = {0}, *l = &net->local;
	size_t len = get_u8(r);
	if (len >= sizeof read.iface)
		return;
	get_copy(r, read.iface, len);
	len = get_le16(r);
	if (len >= sizeof read.filter)
		return;
	get_copy(r, read.filter, len);
	uint8_t flags = get_u8(r);
	read.metric = get_le32(r);
	if (r->bad)
		return;
	memcpy(l->iface, read.iface, sizeof l->iface);
	memcpy(l->filter, read.filter, sizeof l->filter);
	l->metric = read.metric;
	l->game = flags & FLAG_GAME;
	l->metric_set = flags & FLAG_METRIC;
}

/* ---- what the API asks ------------------------------------------------------------------------------------------------ */

int node_port_add(struct node *node, uint64_t nwid, const char *iface, const char *filter, uint64_t now, const char **ret_why)
{
	struct net *net = net_find(node, nwid);
	node->now = now;
	if (!net)
		return -ENOENT;
	struct local *l = &net->local;
	if (!*iface || strlen(iface) >= sizeof l->iface || strlen(filter) >= sizeof l->filter) {
		*ret_why = "an interface's name has 1 to 15 characters, a filter at most 511";
		return -EINVAL;
	}
	if (*l->iface && strcmp(l->iface, iface) != 0) {
		*ret_why = l->iface;
		return -EEXIST;
	}
	for (unsigned i = 0; i < NETWORKS_MAX; i++)
		if (node->net[i] && !strcmp(node->net[i]->dev, iface)) {
			*ret_why = "that is a device of a network of this node";
			return -EINVAL;
		}
	if (nic_filter_check(iface, filter, ret_why))
		return -EINVAL;
	if (strcmp(l->filter, filter) != 0)
		nic_close(net);
	snprintf(l->iface, sizeof l->iface, "%s", iface);
	snprintf(l->filter, sizeof l->filter, "%s", filter);
	net_save_soon(net);
	local_apply(net);
	return 0;
}

int node_port_remove(struct node *node, uint64_t nwid, const char *iface, uint64_t now)
{
	struct net *net = net_find(node, nwid);
	node->now = now;
	if (!net)
		return -ENOENT;
	if (!*net->local.iface || strcmp(net->local.iface, iface) != 0)
		return -ENODEV;
	*net->local.iface = *net->local.filter = 0;
	net_save_soon(net);
	local_apply(net);
	return 0;
}

int node_local_set(struct node *node, uint64_t nwid, const struct local_change *change, uint64_t now)
{
	struct net *net = net_find(node, nwid);
	node->now = now;
	if (!net)
		return -ENOENT;
	if (change->game_given)
		net->local.game = change->game;
	if (change->metric_given) {
		net->local.metric_set = change->metric_set;
		net->local.metric = change->metric_set ? change->metric : 0;
	}
	net_save_soon(net);
	if (net->device_up)
		net_apply_device(net);
	local_apply(net);
	return 0;
}
