/* event.c: the ring of events, and how the change of a peer becomes one.
 *
 * A peer's sessions and paths change often and for many reasons (a rekey, a second class, a path that is freed and chosen again in one turn), most of
 * which nobody wants to hear of. Therefore event_peer() is called wherever they may have changed and compares what can be said in one line, the text
 * of the path in use, with what was said last: only a difference is an event.
 */
#include "node/control.h"

#include <stdio.h>
#include <string.h>

const char *event_kind_name(enum event_kind kind)
{
	static const char *const names[] = {
#define X(kind, name) name,
	    EVENT_KINDS(X)
#undef X
	};
	return (unsigned)kind < EVENT_KIND_COUNT ? names[kind] : "?";
}

static struct event *event_new(struct node *node, enum event_kind kind)
{
	struct events *events = &node->events;
	struct event *e = &events->ring[++events->last % EVENTS_MAX];
	*e = (struct event){.seq = events->last, .ms = node->now, .kind = kind};
	node_changed(node);
	return e;
}

void event_change(struct node *node, enum event_kind kind, const struct peer *peer, const char *from, const char *to)
{
	struct event *e = event_new(node, kind);
	e->address = peer ? peer->identity.address : 0;
	snprintf(e->from, sizeof e->from, "%s", from);
	snprintf(e->to, sizeof e->to, "%s", to);
}

void event_add(struct node *node, enum event_kind kind, const struct peer *peer, const char *detail)
{
	event_change(node, kind, peer, "", detail);
}

void event_network(const struct net *net, const char *from)
{
	struct event *e = event_new(net->node, EVENT_NETWORK_STATE);
	e->nwid = net->nwid;
	snprintf(e->from, sizeof e->from, "%s", from);
	snprintf(e->to, sizeof e->to, "%s", net_state_name(net->state));
}

void event_loop(const struct net *net, uint64_t address, const char *text)
{
	struct event *e = event_new(net->node, EVENT_NETWORK_LOOP);
	e->address = address;
	e->nwid = net->nwid;
	snprintf(e->to, sizeof e->to, "%s", text);
}

void event_observed(const struct peer *root, struct endpoint *mine, const struct endpoint *news)
{
	char before[ENDPOINT_TEXT_MAX] = "", now[ENDPOINT_TEXT_MAX];
	bool same = endpoint_equal(mine, news) && mine->family == news->family;
	if (mine->family)
		endpoint_format(mine, before, sizeof before);
	endpoint_format(news, now, sizeof now);
	*mine = *news;
	if (!same)
		event_change(root->node, EVENT_ADDRESS_CHANGED, root, before, now);
}

void event_host(struct node *node, const struct endpoint *host)
{
	struct endpoint e = *host;
	char text[ENDPOINT_TEXT_MAX];
	e.port = 0;
	endpoint_format(&e, text, sizeof text);
	text[strlen(text) - 2] = 0; /* ":0" */
	event_add(node, EVENT_ADDRESS_CHANGED, NULL, text);
}

void event_mapped(struct node *node)
{
	char text[EVENT_TEXT] = "", one[ENDPOINT_TEXT_MAX];
	for (unsigned i = 0; i < node->n_mapped && strlen(text) + sizeof one < sizeof text; i++) {
		endpoint_format(&node->mapped[i], one, sizeof one);
		snprintf(text + strlen(text), sizeof text - strlen(text), "%s%s", i ? " " : "", one);
	}
	event_add(node, EVENT_MAPPING_CHANGED, NULL, *text ? text : "none");
}

bool path_tls(const struct path *path)
{
	const struct peer *relay = path->relay;
	if (!path->circuit)
		return path->to.family & ENDPOINT_STREAM;
	return relay && relay->best >= 0 && !relay->path[relay->best].circuit && relay->path[relay->best].to.family & ENDPOINT_STREAM;
}

void path_text(const struct path *path, char buf[PATH_TEXT])
{
	char relay[ADDRESS_TEXT];
	if (!path || path->state == PATH_FREE) {
		snprintf(buf, PATH_TEXT, "none");
	} else if (!path->circuit) {
		endpoint_format(&path->to, buf, PATH_TEXT);
	} else if (path->relay) {
		address_format(path->relay->identity.address, relay);
		snprintf(buf, PATH_TEXT, "%s %s%s", path->by_member ? "relay" : "root relay", relay, path_tls(path) ? " by TLS" : "");
	} else {
		snprintf(buf, PATH_TEXT, "relay");
	}
}

void event_peer(struct peer *peer)
{
	char text[PATH_TEXT] = "", old[PATH_TEXT];
	bool up = peer_any_session(peer) && peer->best >= 0;
	if (up)
		path_text(&peer->path[peer->best], text);
	if (!strcmp(text, peer->told) || (!*peer->told && federation_in_passing(peer)))
		return;
	snprintf(old, sizeof old, "%s", peer->told);
	snprintf(peer->told, sizeof peer->told, "%s", text);
	enum event_kind kind = EVENT_PEER_PATH;
	if (!*old || !*text)
		kind = peer->is_root ? (up ? EVENT_ROOT_UP : EVENT_ROOT_DOWN) : up ? EVENT_PEER_UP : EVENT_PEER_DOWN;
	report_moved(peer);
	event_change(peer->node, kind, peer, old, text);
}

uint64_t node_events(const struct node *node, uint64_t since, void (*each)(void *, const struct event *), void *self)
{
	const struct events *events = &node->events;
	uint64_t oldest = events->last >= EVENTS_MAX ? events->last - EVENTS_MAX + 1 : 1;
	if (since >= events->last) /* of an earlier run, or the newest: UINT64_MAX + 1 would begin anew */
		return events->last;
	for (uint64_t seq = since < oldest ? oldest : since + 1; seq <= events->last; seq++)
		each(self, &events->ring[seq % EVENTS_MAX]);
	return events->last;
}
