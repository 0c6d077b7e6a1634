/* device.c: a joined network's TAP device, its addresses and routes.
 *
 * The device stands only while a valid credential and the configuration of a HEAD are held: net_apply_device() brings the machine to what both say and
 * may be called at any time, net_down() takes everything away. What was set is remembered, so that only what changed is touched. Managed routes lead to
 * private prefixes only.
 */
#include "node/control.h"

#include <errno.h>
#include <string.h>

#define TRAIN_DATAGRAM  1472 /* the way is not known yet: most are no longer */
#define FRAME_OVER      42   /* DATA, flags and EtherType around an IP packet */
#define TCP6_HEADERS    72   /* with timestamps */
#define TCP4_HEADERS    52   /* the same */
#define TCP_SLACK       320  /* the kernel's MAX_TCP_HEADER, which it leaves free */
#define GSO_DEFAULT     65536
#define DEVICE_AGAIN_MS 10000
#define LISTED_WAIT_MS  400

static bool prefix_same(const struct prefix *a, const struct prefix *b)
{
	return a->family == b->family && a->bits == b->bits && !memcmp(a->ip, b->ip, 16);
}

/* Private prefixes only; what leads elsewhere needs the user's own word, which is a later option. */
static bool route_allowed(const struct prefix *p)
{
	static const struct prefix allowed[] = {{4, 8, {10}},       {4, 12, {172, 16}}, {4, 16, {192, 168}},
	                                        {4, 10, {100, 64}}, {4, 15, {198, 18}}, {6, 7, {0xfc}}};
	for (unsigned i = 0; i < sizeof(allowed) / sizeof(allowed[0]); i++)
		if (prefix_within(p, &allowed[i]))
			return true;
	return false;
}

/* An address whose prefix would draw half the Internet into the overlay is set as a host address. */
static void address_narrow(struct prefix *p)
{
	if (!route_allowed(p))
		p->bits = p->family == 4 ? 32 : 128;
}

/* Unless the network says that there is none. */
static void ula_set(struct net *net, struct netlink *nl, unsigned ifindex)
{
	uint8_t ula[16];
	bool want = !(net->base.flags & NETWORK_NO_ULA);
	ula_derive(net->nwid, net->node->config.self.self.address, ula);
	if (!want && !net->ula_set)
		return;
	int error = netlink_address(nl, want, ifindex, 6, ula, 64);
	if (want && error && error != -EOPNOTSUPP && error != -EACCES && error != -EPERM)
		log_warning("%s: the derived IPv6 address could not be set: %s", net->dev, strerror(-error));
	net->ula_set = want;
}

static void addresses_set(struct net *net, const struct prefix *wanted, unsigned n)
{
	struct prefix want[CRED_IPS_MAX];
	memcpy(want, wanted, n * sizeof *want);
	for (unsigned i = 0; i < n; i++)
		address_narrow(&want[i]);
	struct netlink *nl = net->node->netlink;
	unsigned ifindex = tap_ifindex(net->port->tap);
	for (unsigned i = 0; i < net->n_addresses; i++) {
		bool keep = false;
		for (unsigned k = 0; k < n; k++)
			keep = keep || prefix_same(&net->address[i], &want[k]);
		if (!keep)
			netlink_address(nl, false, ifindex, net->address[i].family, net->address[i].ip, net->address[i].bits);
	}
	for (unsigned i = 0; i < n; i++) {
		int error = netlink_address(nl, true, ifindex, want[i].family, want[i].ip, want[i].bits);
		if (error)
			log_warning("%s: an address could not be set: %s", net->dev, strerror(-error));
	}
	ula_set(net, nl, ifindex);
	memcpy(net->address, want, n * sizeof *want);
	net->n_addresses = n;
}

static bool same_net(const struct prefix *a, const struct prefix *b)
{
	return a->bits == b->bits && prefix_within(a, b);
}

/* A route over a root would carry the tunnel in the tunnel. */
static bool covers_root(const struct node *node, const struct prefix *p)
{
	struct endpoint known[ROOT_KNOWN_MAX];
	for (unsigned i = 0; i < node->n_roots; i++)
		for (unsigned k = 0, n = resolve_endpoints(node->root[i], known); k < n; k++)
			if (prefix_holds(p, &known[k]))
				return true;
	return false;
}

/* The way goes through this very machine: what lies behind it is its own to know. */
static bool via_self(const struct net *net, const struct route *r)
{
	for (unsigned k = 0; r->via_set && k < net->n_addresses; k++)
		if (net->address[k].family == r->target.family && !memcmp(net->address[k].ip, r->via, r->target.family == 4 ? 4 : 16))
			return true;
	return false;
}

static void routes_set(struct net *net)
{
	struct netlink *nl = net->node->netlink;
	unsigned ifindex = tap_ifindex(net->port->tap);
	for (unsigned i = 0; i < net->n_routes_set; i++) {
		const struct route *old = &net->route_set[i];
		netlink_route(nl, false, ifindex, old->target.family, old->target.ip, old->target.bits, old->via_set ? old->via : NULL,
		              old->metric);
	}
	net->n_routes_set = 0;
	for (unsigned i = 0; i < net->n_routes; i++) {
		struct route wanted = net->route[i], *r = &wanted;
		wanted.metric = local_metric(net, wanted.metric);
		bool connected = false;
		for (unsigned k = 0; k < net->n_addresses; k++)
			connected = connected || (!r->via_set && same_net(&net->address[k], &r->target));
		if (connected || via_self(net, r) || !route_allowed(&r->target) || covers_root(net->node, &r->target))
			continue;
		int error =
		    netlink_route(nl, true, ifindex, r->target.family, r->target.ip, r->target.bits, r->via_set ? r->via : NULL, r->metric);
		if (error)
			log_warning("%s: a managed route could not be set: %s", net->dev, strerror(-error));
		else
			net->route_set[net->n_routes_set++] = *r;
	}
}

static void device_name(const struct net *net, char ret[TAP_NAME_MAX])
{
	static const char base32[] = "abcdefghijklmnopqrstuvwxyz234567";
	uint8_t hash[32], id[8];
	struct writer w = writer_over(id, sizeof id);
	if (*net->dev_wanted) {
		memcpy(ret, net->dev_wanted, TAP_NAME_MAX);
		return;
	}
	put_be64(&w, net->nwid);
	hash256(hash, "farlan dev", id, sizeof id);
	ret[0] = 'f';
	ret[1] = 'l';
	for (int i = 0; i < 8; i++)
		ret[2 + i] = base32[hash[i] & 31];
	ret[10] = 0;
}

/* A local TCP makes its superframes so long that their segments fill one datagram train (UDP_SEGMENT: 64 KiB with headers), instead of one
 * and a bit: the bit costs as many system calls, routes and wake-ups as the train. They are whole segments of that TCP, however: where these
 * are so long that a tenth of the train would stay empty (MTU 9000: 6 of them where 7 are 64 KiB), the bit is cheaper. Frames that are
 * forwarded to the device come in the lengths others gave them, and the kernel would cut those to single frames: so a bridge keeps its
 * default. */
static void train_fit(struct net *net)
{
	uint32_t datagram = net->base.mtu + FRAME_OVER < TRAIN_DATAGRAM ? net->base.mtu + FRAME_OVER : TRAIN_DATAGRAM;
	uint32_t segment = datagram - FRAME_OVER - TCP6_HEADERS, n = UDP_TRAIN_MAX / datagram;
	uint32_t train = n * segment + segment / 2, mss = net->base.mtu - TCP4_HEADERS;
	bool whole = mss <= segment + TCP6_HEADERS || train % mss < train / 10;
	uint32_t want = net->cred.flags & MEMBER_BRIDGE || !whole ? GSO_DEFAULT : train + TCP_SLACK;
	if (net->gso_max == want)
		return;
	int error = netlink_link_gso(net->node->netlink, tap_ifindex(net->port->tap), want);
	if (error)
		log_info("%s: the length of superframes stays the kernel's: %s", net->dev, strerror(-error));
	net->gso_max = want;
}

static bool device_open(struct net *net)
{
	char name[TAP_NAME_MAX];
	struct node *node = net->node;
	device_name(net, name);
	struct tap *tap;
	int error =
	    tap_open(&tap, name, node->config.workers, net->port->mac, net->base.mtu, node->config.no_offload ? 0 : TAP_ALL, net->dev);
	if (error) {
		net_set_state(net, NET_ERROR, tap_why(error));
		net_schedule(net, node->now + DEVICE_AGAIN_MS);
		net->ask_ms = net->ask_ms < node->now + DEVICE_AGAIN_MS ? net->ask_ms : node->now + DEVICE_AGAIN_MS;
		return false;
	}
	atomic_store(&net->port->mtu, net->base.mtu);
	atomic_store(&net->port->tap, tap);
	error = tap_up(tap, true);
	if (error)
		log_warning("%s: could not be set up: %s", net->dev, strerror(-error));
	net->gso_max = GSO_DEFAULT;
	net->device_up = true;
	node->ports_dirty = true;
	node->ports_generation++;
	node_view_changed(node);
	return true;
}

void net_apply_device(struct net *net)
{
	struct node *node = net->node;
	if (!net->cred_ok || !net->head_ok)
		return;
	enum cred_verdict verdict = cred_check(&net->cred, net->nwid, node->config.self.self.key_hash, node->config.self.self.address,
	                                       config_min_serial(net, node->config.self.self.key_hash), config_ctime(net));
	if (verdict != CRED_OK) {
		/* Ours is no longer good: nothing passes until the controller gave another. */
		atomic_store(&net->port->open, false);
		if (!net->asking && net->ask_ms > node->now + 1000)
			net->ask_ms = node->now;
		net_schedule(net, net->ask_ms);
		return;
	}
	/* The HEAD that came with our approval may be older than it, and who was approved just before us missing from its directory: a frame sent now would
	 * reach nobody and nobody would count it. The next one is at most a quarter of a second away. */
	if (!net->device_up && !net->listed) {
		if (!net->listed_ms)
			net->listed_ms = node->now + LISTED_WAIT_MS;
		if (node->now < net->listed_ms) {
			net_schedule(net, net->listed_ms);
			return;
		}
	}
	net->listed_ms = 0;
	if (!net->device_up && !device_open(net))
		return;
	if (atomic_load(&net->port->mtu) != net->base.mtu && !tap_set_mtu(net->port->tap, net->base.mtu))
		atomic_store(&net->port->mtu, net->base.mtu);
	atomic_store(&net->port->own_flags, net->cred.flags);
	rights_publish(net);
	atomic_store(&net->port->network_flags, net->base.flags);
	atomic_store(&net->port->mcast_limit, net->base.mcast_limit);
	neighbour_publish(net); /* our own addresses are no other's */
	train_fit(net);
	addresses_set(net, net->cred.ips, net->cred.n_ips);
	routes_set(net);
	atomic_store(&net->port->open, true);
	local_apply(net);
	loopguard_changed(net);
	group_roster(net); /* we may be an anchor now */
	group_changed(net);
	net_set_state(net, NET_JOINED, "");
}

static void tap_close_later(void *tap)
{
	tap_close(tap);
}

static void device_drop(struct net *net)
{
	struct node *node = net->node;
	net->device_up = false;
	local_down(net);
	loopguard_changed(net);
	node->ports_generation++;
	node->ports_dirty = true;
	/* Workers in the middle of a turn still see the port; the device itself stays open until that turn is over. */
	struct tap *tap = atomic_exchange(&net->port->tap, NULL);
	if (!node_publish(node))
		node_view_changed(node);
	guestbook_retire(&node->book, tap, tap_close_later);
	net->n_addresses = net->n_routes_set = 0;
	net->ula_set = false;
	*net->dev = 0;
}

void net_down(struct net *net)
{
	atomic_store(&net->port->open, false);
	for (unsigned i = 0; i < net->n_members; i++)
		channel_close(net, net->member[i], true);
	if (net->device_up)
		device_drop(net);
}

/* Only its own descriptor knows: a device that was moved to another namespace is not seen from here either, and works. */
void net_device_missed(struct net *net)
{
	if (tap_set_mtu(atomic_load(&net->port->tap), atomic_load(&net->port->mtu)) != -EBADFD)
		return;
	atomic_store(&net->port->open, false);
	device_drop(net);
	net_set_state(net, NET_ERROR, tap_why(-EBADFD));
	net_schedule(net, net->node->now);
}
