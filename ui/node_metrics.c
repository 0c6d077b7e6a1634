/* node_metrics.c: what a node counts, for machines. It listens to no TCP port for it: `farlan metrics` prints the page, for whatever collects
 * text from files. Peers are told by number, not one by one: a thousand of them would be a thousand labels that come and go.
 */
#include "ui/node_metrics.h"

#include <inttypes.h>

#include "ui/metrics.h"

struct census { /* of those with a session */
	unsigned direct, relay;
};

static void peer_counted(void *self, const struct peer_view *view)
{
	struct census *count = self;
	count->direct += view->up && view->direct;
	count->relay += view->up && !view->direct;
}

static void peers_put(struct page *page, const struct node_api *api)
{
	struct census count = {0};
	node_peers(api->node, api->now, peer_counted, &count);
	page_family(page, "farlan_node_peers", "gauge", "Peers with a session, by how they are reached.");
	page_put(page, "farlan_node_peers{link=\"direct\"} %u\nfarlan_node_peers{link=\"relay\"} %u\n", count.direct, count.relay);
}

struct census_of_roots {
	unsigned known, online;
};

static void root_counted(void *self, const struct root_view *view)
{
	struct census_of_roots *count = self;
	count->known++;
	count->online += view->online;
}

static void roots_put(struct page *page, const struct node_api *api)
{
	struct census_of_roots count = {0};
	node_roots(api->node, root_counted, &count);
	page_family(page, "farlan_roots", "gauge", "Roots that are used.");
	page_put(page, "farlan_roots %u\n", count.known);
	page_family(page, "farlan_root_sessions", "gauge", "Roots that answer.");
	page_put(page, "farlan_root_sessions %u\n", count.online);
}

/* ---- networks: all of a family stand together, so each family is a walk of its own ---- */

struct column {
	struct page *page;
	const char *name;
	double (*of)(const struct net_view *);
};

static void network_put(void *self, const struct net_view *view)
{
	struct column *column = self;
	page_put(column->page, "%s{network=\"%016" PRIx64 "\"} %.0f\n", column->name, view->nwid, column->of(view));
}

static double up_of(const struct net_view *v)
{
	return v->state == NET_JOINED;
}
static double members_of(const struct net_view *v)
{
	return v->members;
}
static double rx_bytes_of(const struct net_view *v)
{
	return (double)v->carried.rx_bytes;
}
static double tx_bytes_of(const struct net_view *v)
{
	return (double)v->carried.tx_bytes;
}
static double rx_frames_of(const struct net_view *v)
{
	return (double)v->carried.rx_frames;
}
static double tx_frames_of(const struct net_view *v)
{
	return (double)v->carried.tx_frames;
}

static void network_counted(void *self, const struct net_view *view)
{
	(void)view;
	++*(unsigned *)self;
}

static void networks_put(struct page *page, const struct node_api *api)
{
	static const struct {
		const char *name, *type, *help;
		double (*of)(const struct net_view *);
	} columns[] = {
	    {"farlan_node_network_up", "gauge", "1 if the network works here.", up_of},
	    {"farlan_node_network_members", "gauge", "Members of the network, as its controller says.", members_of},
	    {"farlan_node_rx_bytes_total", "counter", "Bytes of frames given to the network's port.", rx_bytes_of},
	    {"farlan_node_tx_bytes_total", "counter", "Bytes of frames that came from the network's port and were sent.", tx_bytes_of},
	    {"farlan_node_rx_frames_total", "counter", "Frames given to the network's port.", rx_frames_of},
	    {"farlan_node_tx_frames_total", "counter", "Frames that came from the network's port and were sent.", tx_frames_of},
	};
	unsigned n = 0;
	node_networks(api->node, network_counted, &n);
	page_family(page, "farlan_node_networks", "gauge", "Networks that were joined.");
	page_put(page, "farlan_node_networks %u\n", n);
	for (unsigned i = 0; n && i < sizeof(columns) / sizeof(columns[0]); i++) {
		struct column column = {page, columns[i].name, columns[i].of};
		page_family(page, columns[i].name, columns[i].type, columns[i].help);
		node_networks(api->node, network_put, &column);
	}
}

static void drops_put(struct page *page, const struct node_api *api)
{
	uint64_t drop[DROP_COUNT];
	node_drops(api->node, drop);
	page_family(page, "farlan_node_drops_total", "counter", "Packets and frames that went no further, by why.");
	for (int i = DROP_NONE + 1; i < DROP_COUNT; i++)
		page_put(page, "farlan_node_drops_total{reason=\"%s\"} %" PRIu64 "\n", drop_name((enum drop)i), drop[i]);
}

static void relay_put(struct page *page, const struct node_api *api)
{
	struct relay_view relay;
	node_relay(api->node, api->now, &relay);
	page_family(page, "farlan_relay_circuits", "gauge", "Circuits that this node relays.");
	page_put(page, "farlan_relay_circuits %u\n", relay.circuits);
	page_family(page, "farlan_relay_circuits_limit", "gauge", "Circuits it would relay at most.");
	page_put(page, "farlan_relay_circuits_limit %u\n", relay.circuits_max);
	page_family(page, "farlan_relay_bytes_total", "counter", "Bytes that it relayed.");
	page_put(page, "farlan_relay_bytes_total %" PRIu64 "\n", relay.bytes);
	page_family(page, "farlan_relay_dropped_total", "counter", "Packets above the rate of a circuit's owner or of all.");
	page_put(page, "farlan_relay_dropped_total %" PRIu64 "\n", relay.dropped);
	page_family(page, "farlan_relay_refused_total", "counter", "Circuits that were asked for and not made.");
	page_put(page, "farlan_relay_refused_total %" PRIu64 "\n", relay.refused);
	if (!api->root)
		return;
	page_family(page, "farlan_root_registered", "gauge", "Nodes that may be called through this root.");
	page_put(page, "farlan_root_registered %u\n", node_registered(api->node));
}

void node_metrics_get(void *self, const struct request *request, struct reply *reply)
{
	const struct node_api *api = self;
	struct page page = {0};
	(void)request;
	roots_put(&page, api);
	networks_put(&page, api);
	peers_put(&page, api);
	drops_put(&page, api);
	relay_put(&page, api);
	page_process(&page, "farland", "farlan_"); /* whoever collects it has a process of its own */
	page_reply(&page, reply);
}
