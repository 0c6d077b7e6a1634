/* report.c: tells the controller how we reach the other members: by which kind of path, how far, heard when; and what our port carried and dropped.
 *
 * A report is whole and replaces the last one, so a lost one costs a minute of somebody's curiosity and is not worth more than the usual
 * repeats. It never makes a session: who has none with the controller has nothing to say. It goes with the node's own second, so that an idle
 * node wakes up no more often for it. A path that moves marks its networks; whether anything worth telling came of it (a link
 * that turned from direct to relayed or back, one that came or went) is seen when the set is made. Counters are told as they stand, so what one
 * report would have said the next one does; who goes says a last time what came since, as far as that arrives.
 */
#include "node/report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/control.h"
#include "proto/random.h"

#define FIRST_MS  5000 /* after the session, and as much again by chance: a controller that restarts has all of them at once */
#define EVERY_MS  60000
#define SPREAD_MS 24000 /* +- 20 % */
#define MOVED_MS  10000

struct heard {
	uint64_t ms;
	const struct net_member *member;
};

/* Of a thousand members those heard last: a table of so many, the oldest at its end. */
static void heard_add(struct heard *table, unsigned *n, struct heard h)
{
	unsigned at = *n;
	while (at && table[at - 1].ms < h.ms)
		at--;
	if (at == REPORT_LINKS_MAX)
		return;
	unsigned move = *n < REPORT_LINKS_MAX ? (*n)++ - at : *n - 1 - at;
	memmove(&table[at + 1], &table[at], move * sizeof *table);
	table[at] = h;
}

static int by_address(const void *a, const void *b)
{
	uint64_t x = ((const struct report_link *)a)->address, y = ((const struct report_link *)b)->address;
	return x < y ? -1 : x > y;
}

static struct report_link link_of(const struct heard *h, uint64_t now)
{
	const struct peer *peer = h->member->peer;
	const struct path *path = &peer->path[peer->best];
	return (struct report_link){.address = h->member->member->address,
	                            .kind = path->circuit ? LINK_RELAY : LINK_DIRECT,
	                            .rtt_us = path->srtt_us,
	                            .age_s = (uint32_t)((now - h->ms) / 1000)};
}

static void collect(const struct net *net, struct body_report *b)
{
	struct heard table[REPORT_LINKS_MAX];
	uint64_t now = net->node->now;
	for (unsigned i = 0; i < net->n_members; i++) {
		struct peer *peer = net->member[i]->peer;
		const struct session *s = peer_any_session(peer);
		uint64_t ms = s ? session_last_rx(s) : 0;
		if (s && peer->best >= 0)
			heard_add(table, &b->n, (struct heard){ms && ms < now ? ms : now, net->member[i]});
	}
	for (unsigned i = 0; i < b->n; i++)
		b->link[i] = link_of(&table[i], now);
	qsort(b->link, b->n, sizeof b->link[0], by_address);
}

/* FNV-1a: for "is it the same as last time" of our own data. */
static uint64_t digest(const struct body_report *b)
{
	uint64_t h = 0xcbf29ce484222325;
	for (unsigned i = 0; i < b->n; i++) {
		h = (h ^ b->link[i].address) * 0x100000001b3;
		h = (h ^ b->link[i].kind) * 0x100000001b3;
	}
	return h;
}

static void told(struct peer *peer, const struct request *r, const struct message *reply)
{
	struct net *net = net_find(peer->node, r->context);
	if (!net || net->controller_peer != peer)
		return;
	net->report.flying = false;
	net->report.unwelcome = reply && reply->status == STATUS_UNKNOWN_OP;
}

/* The reason that comes next: once named it stays named, or differences of the rest would mean nothing; then the largest. */
static enum drop reason_next(const struct report *r, const uint64_t left[DROP_COUNT])
{
	enum drop best = DROP_NONE;
	for (int d = DROP_NONE + 1; d < DROP_COUNT; d++) {
		bool first = r->named[d] > r->named[best], same = r->named[d] == r->named[best];
		if (left[d] && (!best || first || (same && left[d] > left[best])))
			best = (enum drop)d;
	}
	return best;
}

static int by_count(const void *a, const void *b)
{
	uint64_t x = ((const struct report_drop *)a)->count, y = ((const struct report_drop *)b)->count;
	return x > y ? -1 : x < y;
}

/* The last place is for the rest, always. */
static void collect_drops(struct net *net, struct body_report *b)
{
	uint64_t left[DROP_COUNT];
	enum drop d;
	port_drops(net->port, left);
	left[DROP_NONE] = 0;
	while (b->n_drops < REPORT_DROPS_MAX - 1 && (d = reason_next(&net->report, left)) != DROP_NONE) {
		struct report_drop *to = &b->drop[b->n_drops++];
		snprintf(to->name, sizeof to->name, "%s", drop_name(d));
		to->count = left[d];
		left[d] = 0;
		net->report.named[d] = true;
	}
	qsort(b->drop, b->n_drops, sizeof b->drop[0], by_count);
	struct report_drop rest = {.name = REPORT_DROPS_REST};
	for (int i = 0; i < DROP_COUNT; i++)
		rest.count += left[i];
	if (rest.count)
		b->drop[b->n_drops++] = rest;
}

static void collect_counters(struct net *net, struct body_report *b)
{
	struct carried c = port_carried(net->port);
	b->counted = true;
	b->count = (struct report_count){c.rx_bytes, c.rx_frames, c.tx_bytes, c.tx_frames};
	collect_drops(net, b);
}

static bool send(struct net *net, struct body_report *b, request_done *done)
{
	uint8_t body[BODY_MAX];
	collect_counters(net, b);
	b->seq = (uint64_t)net->node->config.epoch << 32 | ++net->node->reports;
	size_t n = body_report_encode(b, body, sizeof body);
	return n && request_send(net->controller_peer, CLASS_CTRL, OP_REPORT, body, n, done, net->nwid, NULL);
}

static void tell(struct net *net, uint64_t now)
{
	struct report *r = &net->report;
	struct body_report b = {.nwid = net->nwid};
	bool due = now >= r->next_ms;
	collect(net, &b);
	r->moved = false;
	if (!due && digest(&b) == r->told)
		return;
	if (!send(net, &b, told))
		return; /* the next second tries again */
	r->flying = true;
	r->told = digest(&b);
	r->told_ms = now;
	r->next_ms = now + EVERY_MS - SPREAD_MS / 2 + random_below(SPREAD_MS + 1);
}

static bool welcome(const struct net *net)
{
	return !net->report.unwelcome && net->cred_ok && net->controller_peer && peer_up(net->controller_peer, CLASS_CTRL);
}

void report_last(struct net *net)
{
	struct body_report b = {.nwid = net->nwid};
	if (!welcome(net) || !net->report.next_ms)
		return;
	collect(net, &b);
	(void)send(net, &b, NULL);
}

void report_second(struct node *node, uint64_t now)
{
	for (unsigned i = 0; i < NETWORKS_MAX; i++) {
		struct net *net = node->net[i];
		struct report *r = net ? &net->report : NULL;
		/* Joined while a session stood: none comes up now. At once, since counters that begin anew are known by being less than before. */
		if (r && !r->next_ms && welcome(net))
			r->next_ms = now;
		if (!r || !r->next_ms || r->flying || !welcome(net))
			continue;
		if (now >= r->next_ms || (r->moved && now - r->told_ms >= MOVED_MS))
			tell(net, now);
	}
}

void report_controller_up(struct net *net)
{
	struct report *r = &net->report;
	uint64_t soon = net->node->now + FIRST_MS + random_below(FIRST_MS + 1);
	r->unwelcome = false;
	r->next_ms = r->next_ms && r->next_ms < soon ? r->next_ms : soon;
}

void report_path(const struct peer *peer)
{
	const struct message_port *port = &peer->node->config.port;
	const struct path *path = peer->best >= 0 ? &peer->path[peer->best] : NULL;
	if (path && peer->served && port->path)
		port->path(port->self, peer->identity.key_hash, path->circuit ? &(struct endpoint){0} : &path->to, path->srtt_us,
		           peer->node->now);
}

void report_moved(const struct peer *peer)
{
	report_path(peer);
	for (unsigned i = 0; i < NETWORKS_MAX; i++)
		if (peer->node->net[i] && atomic_load(&peer->remote->member[i]))
			peer->node->net[i]->report.moved = true;
}
