/* group.c: which multicast groups our device takes, told to the others, and what they told us.
 *
 * A set is told whole, under a number that grows with every change (epoch << 32 | count), so that nothing depends on order. It goes to every member with
 * an open channel and a session, again for every new session, and on to the anchors, which answer GATHER for those who have no session with us: each
 * 4 min +- 20 %, for they forget after 10. SUB is a request: a loss repeats it, a failure is tried again. A peer that knows no SUB gets everything.
 * The device is read each second, for memberships of packet sockets are announced nowhere, and whenever somebody says that it may have changed.
 */
#include "node/control.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "node/encap.h"
#include "node/meter.h"
#include "proto/random.h"
#include "tap/groups.h"

#define EXPIRE_EVERY_MS   10000
#define REFRESH_MS        (4 * 60 * 1000)
#define TELL_AGAIN_MS     500
#define TELL_AGAIN_MAX_MS 5000
#define FLYING_MAX        3
#define LOOK_PAUSE_MS     20 /* to read the device takes a millisecond where there are hundreds */
/* Changes of our own set are told at once; of a program that joins and leaves without end no more than ten a second, one in a network of a thousand,
 * each of whom is told. */
#define CHANGE_MS       100 /* and one more per member */
#define CHANGES_AT_ONCE 16
#define BUILD_PAUSE_MS  20  /* between two of them: a flood of SUBs costs no more */
#define BUILD_PER_MS    500 /* and so much longer per group named; to build takes some 0.2 us each */
#define OF_CONTROLLER   1   /* in a request's context */

/* ---- telling ---------------------------------------------------------------------------------------------------- */

void group_schedule(struct net *net, uint64_t at)
{
	struct timer *t = &net->groups.timer;
	if (t->slot && t->at <= at)
		return;
	if (heap_set(&net->node->heap, t, at))
		log_error("out of memory for a timer");
}

static struct net_member *member_of(struct net *net, const struct peer *peer)
{
	struct member *m = atomic_load(&peer->remote->member[net->chan - 1]);
	return m ? roster_member(net, m->address, peer->identity.key_hash) : NULL;
}

static void tell_later(struct net *net, struct group_told *t, uint64_t after)
{
	t->seq = 0;
	t->again_ms = net->node->now + after;
	if (t->again_ms < net->groups.retry_ms)
		net->groups.retry_ms = t->again_ms;
	group_schedule(net, t->again_ms);
}

static void said_forget(struct group_set *s)
{
	free(s->group);
	*s = (struct group_set){0};
}

/* A peer that answers without knowing the message: what it takes it will never say. */
static void said_nothing(struct net *net, struct net_member *m)
{
	said_forget(&m->group.said);
	m->group.said = (struct group_set){.heard_ms = net->node->now, .live = true, .all = true};
	net->groups.stale = true;
	group_schedule(net, net->node->now);
}

static void tell_done(struct peer *peer, const struct request *r, const struct message *reply)
{
	struct net *net = net_find(peer->node, r->context);
	bool controller = r->context_hash[0] == OF_CONTROLLER;
	struct net_member *m = net && !controller ? member_of(net, peer) : NULL;
	struct group_told *t = m ? &m->group.told : net && controller && net->controller_peer == peer ? &net->groups.controller : NULL;
	if (!t)
		return;
	if (t->flying)
		t->flying--;
	bool old = reply && reply->status == STATUS_UNKNOWN_OP;
	if (old && m)
		said_nothing(net, m);
	if (!old && (!reply || reply->status != STATUS_OK))
		tell_later(net, t, reply ? TELL_AGAIN_MS : TELL_AGAIN_MAX_MS);
	else if (t->seq != net->groups.seq) /* as many as may be were on their way when it changed */
		tell_later(net, t, 0);
}

static void tell(struct net *net, struct peer *peer, enum session_class class, struct group_told *t)
{
	const struct groups *g = &net->groups;
	const struct session *s = peer_session(peer, class);
	struct body_sub b = {.nwid = net->nwid, .seq = g->seq, .n = g->n};
	uint8_t body[BODY_MAX], context[32] = {class == CLASS_CTRL ? OF_CONTROLLER : 0};
	if (!s || !g->seq || (t->seq == g->seq && t->session == s->named.idx) || t->flying >= FLYING_MAX || t->again_ms > net->node->now)
		return;
	b.flags = (g->all ? SUB_ALL : 0) | (g->blocked ? SUB_BLOCKED : 0);
	memcpy(b.group, g->group, sizeof b.group);
	size_t n = body_sub_encode(&b, body, sizeof body);
	if (!n || !request_send(peer, class, OP_SUB, body, n, tell_done, net->nwid, context)) {
		tell_later(net, t, TELL_AGAIN_MAX_MS);
		return;
	}
	t->seq = g->seq;
	t->session = s->named.idx;
	t->flying++;
}

static void tell_member(struct net *net, struct net_member *m)
{
	if (atomic_load(&m->member->tx_chan) && atomic_load(&m->member->rx_open) && peer_up(m->peer, CLASS_DATA))
		tell(net, m->peer, CLASS_DATA, &m->group.told);
}

static void tell_controller(struct net *net)
{
	if (!net->groups.n_anchors && net->cred_ok && net->controller_peer && peer_up(net->controller_peer, CLASS_CTRL))
		tell(net, net->controller_peer, CLASS_CTRL, &net->groups.controller);
}

static void tell_members(struct net *net)
{
	for (unsigned i = 0; i < net->n_members; i++)
		tell_member(net, net->member[i]);
	tell_controller(net);
}

/* Anchors answer for us to those who have no session with us: one that ended for want of words is made again, for the news. */
static void anchors_call(struct net *net)
{
	for (unsigned i = 0; i < net->groups.n_anchors; i++) {
		struct net_member *m = roster_address(net, net->groups.anchor[i]);
		if (m)
			channel_open(net, m);
	}
}

/* Anchors hear it again, those without a session too: it is made for that. */
static void refresh(struct net *net, uint64_t now)
{
	struct groups *g = &net->groups;
	g->refresh_ms = now + REFRESH_MS * 8 / 10 + random_below(REFRESH_MS * 4 / 10 + 1);
	for (unsigned i = 0; i < g->n_anchors; i++) {
		struct net_member *m = roster_address(net, g->anchor[i]);
		if (m)
			m->group.told.seq = 0;
	}
	g->controller.seq = 0;
	anchors_call(net);
	tell_members(net);
}

static void retry(struct net *net, uint64_t now)
{
	net->groups.retry_ms = NEVER;
	tell_members(net);
	for (unsigned i = 0; i < net->n_members; i++) {
		uint64_t at = net->member[i]->group.told.again_ms;
		if (at > now && at < net->groups.retry_ms)
			net->groups.retry_ms = at;
	}
	uint64_t at = net->groups.controller.again_ms;
	if (at > now && at < net->groups.retry_ms)
		net->groups.retry_ms = at;
}

/* ---- our own ---------------------------------------------------------------------------------------------------- */

/* What no frame over the overlay is ever sent to needs no room in the message. */
static unsigned strip(uint8_t (*group)[6], unsigned n)
{
	unsigned kept = 0;
	for (unsigned i = 0; i < n; i++)
		if (group[i][0] & 1 && !frame_link_local(group[i]) && kept++ != i)
			memcpy(group[kept - 1], group[i], 6);
	return kept;
}

static void own_read(struct net *net)
{
	struct groups *g = &net->groups;
	struct tap *tap = atomic_load(&net->port->tap);
	uint8_t group[SUB_GROUPS_MAX][6] = {{0}};
	bool all = false, blocked = atomic_load(&net->port->blocked);
	if (!net->device_up || !tap)
		return;
	g->looked_ms = net->node->now;
	int n = tap_groups(tap_ifindex(tap), net->dev, group, SUB_GROUPS_MAX, &all);
	if (n == -ENODEV) { /* what it took is as good as anything */
		net_device_missed(net);
		return;
	}
	all = all || n < 0 || net->cred.flags & MEMBER_BRIDGE || atomic_load(&net->port->nic);
	unsigned kept = all ? 0 : strip(group, (unsigned)n); /* all of them need no names */
	memset(group[kept], 0, (SUB_GROUPS_MAX - kept) * sizeof group[0]);
	if (g->known && g->all == all && g->blocked == blocked && g->n == kept && !memcmp(g->group, group, sizeof group))
		return;
	uint64_t cost = CHANGE_MS + net->n_members;
	if (g->blocked == blocked && !meter_take(&g->told_ms, net->node->now, cost, CHANGES_AT_ONCE * cost)) {
		g->read_ms = net->node->now + cost;
		group_schedule(net, g->read_ms);
		return;
	}
	if (!g->known)
		g->since_ms = net->node->now;
	g->known = true;
	g->all = all;
	g->blocked = blocked;
	g->n = kept;
	memcpy(g->group, group, sizeof group);
	g->stale = true;
	group_schedule(net, net->node->now);
	g->seq = (g->seq ? g->seq : (uint64_t)net->node->config.epoch << 32) + 1;
	if (g->refresh_ms == NEVER)
		refresh(net, net->node->now);
	anchors_call(net);
	tell_members(net);
	node_changed(net->node);
}

void group_changed(struct net *net)
{
	struct groups *g = &net->groups;
	uint64_t at = g->looked_ms + LOOK_PAUSE_MS;
	if (!g->looked_ms || at <= net->node->now) {
		own_read(net);
		return;
	}
	g->read_ms = at < g->read_ms ? at : g->read_ms;
	group_schedule(net, g->read_ms);
}

/* With the node's own second, so that an idle one wakes up no more often for it. */
void group_second(struct node *node, uint64_t now)
{
	for (unsigned i = 0; i < NETWORKS_MAX; i++) {
		struct net *net = node->net[i];
		if (!net || !net->device_up)
			continue;
		struct groups *g = &net->groups;
		own_read(net);
		/* What an anchor was told ends without a word. */
		g->stale = g->stale || audience_replicators_changed(net) || (g->anchor_self && now - g->built_ms >= EXPIRE_EVERY_MS);
		if (g->stale || gather_any(net))
			group_schedule(net, now);
	}
}

void group_letter(struct node *node, const struct letter *l)
{
	struct net *net = l->chan && l->chan <= NETWORKS_MAX ? node->net[l->chan - 1] : NULL;
	if (net)
		group_changed(net);
}

void node_groups_changed(struct node *node, uint64_t now)
{
	node->now = now;
	for (unsigned i = 0; i < NETWORKS_MAX; i++)
		if (node->net[i])
			group_changed(node->net[i]);
}

/* ---- what others say -------------------------------------------------------------------------------------------- */

static int compare(const void *a, const void *b)
{
	return memcmp(a, b, 6);
}

bool group_said(const struct net *net, const struct net_member *m, const uint8_t group[6])
{
	const struct group_set *s = &m->group.said;
	if (!s->heard_ms || (!s->live && net->node->now - s->heard_ms > SUB_TTL_MS))
		return false;
	return s->all || frame_broadcast(group) || (s->n && bsearch(group, s->group, s->n, sizeof s->group[0], compare));
}

bool group_serves(const struct net *net)
{
	return net->groups.anchor_self && net->groups.known && net->node->now - net->groups.since_ms >= GROUP_YOUNG_MS;
}

bool group_known(const struct net *net, const struct net_member *m)
{
	return m->group.said.live || group_serves(net);
}

bool group_takes(const struct net *net, const struct net_member *m, const uint8_t group[6])
{
	return frame_broadcast(group) || !group_known(net, m) || group_said(net, m, group);
}

bool group_own(const struct net *net, const uint8_t group[6])
{
	const struct groups *g = &net->groups;
	return g->all || frame_broadcast(group) || (g->n && bsearch(group, g->group, g->n, sizeof g->group[0], compare));
}

static bool newer(const struct peer *peer, const struct group_set *s, uint64_t seq)
{
	/* One that lost its disk may count on from a smaller epoch: the handshake has judged that. */
	return seq > s->seq || (seq >> 32 != s->seq >> 32 && seq >> 32 == peer->epoch);
}

static bool said_take(struct net *net, struct net_member *m, const struct body_sub *b)
{
	struct group_set *s = &m->group.said;
	bool was = s->blocked;
	uint8_t(*group)[6] = b->n ? malloc(b->n * sizeof group[0]) : NULL;
	if (b->n && !group)
		return false;
	if (b->n)
		memcpy(group, b->group, b->n * sizeof group[0]);
	free(s->group);
	*s = (struct group_set){.seq = b->seq,
	                        .heard_ms = net->node->now,
	                        .live = true,
	                        .all = b->flags & SUB_ALL,
	                        .blocked = b->flags & SUB_BLOCKED,
	                        .n = b->n,
	                        .group = group};
	atomic_store(&m->member->blocked, s->blocked);
	if (s->blocked != was && atomic_load(&m->member->flags) & MEMBER_BRIDGE)
		loopguard_topology(net); /* what was behind it is behind another bridge of that LAN, or the other way round */
	net->groups.stale = true;
	group_schedule(net, net->node->now);
	return true;
}

void group_sub(struct peer *peer, enum session_class class, uint32_t req, const uint8_t *body, size_t len)
{
	struct body_sub b;
	uint8_t status = STATUS_OK;
	bool good = body_sub_parse(body, len, &b);
	struct net *net = good ? net_find(peer->node, b.nwid) : NULL;
	struct net_member *m = net ? member_of(net, peer) : NULL;
	if (!good) {
		status = STATUS_MALFORMED;
	} else if (!m || !m->cred_ok || !atomic_load(&m->member->rx_open)) {
		status = STATUS_DENIED; /* its channel may be about to open: it says it again */
	} else if (newer(peer, &m->group.said, b.seq)) {
		status = said_take(net, m, &b) ? STATUS_OK : STATUS_TRY_LATER;
	} else if (b.seq == m->group.said.seq) {
		net->groups.stale = net->groups.stale || !m->group.said.live;
		m->group.said.live = true;
		m->group.said.heard_ms = net->node->now;
		group_schedule(net, net->node->now);
	}
	request_reply(peer, class, req, OP_SUB, status, NULL, 0);
}

/* ---- what happens to members ------------------------------------------------------------------------------------ */

static void unknown(struct net *net, struct net_member *m)
{
	m->group.said.live = false;
	net->groups.stale = true; /* of its way as a replicator, too */
	group_schedule(net, net->node->now);
}

void group_opened(struct net *net, struct net_member *m)
{
	m->group.told.again_ms = 0;
	tell_member(net, m);
	net->groups.stale = true;
	group_schedule(net, net->node->now);
}

void group_closed(struct net *net, struct net_member *m)
{
	m->group.told.seq = 0;
	unknown(net, m);
}

void group_session_down(struct peer *peer)
{
	for (unsigned i = 0; i < NETWORKS_MAX; i++) {
		struct net *net = peer->node->net[i];
		struct net_member *m = net ? member_of(net, peer) : NULL;
		if (m)
			unknown(net, m);
	}
}

void group_controller_up(struct net *net)
{
	net->groups.controller.seq = 0;
	net->groups.controller.again_ms = 0;
	tell_controller(net);
}

void group_member_gone(struct net *net, struct net_member *m)
{
	said_forget(&m->group.said);
	audience_withdraw(net);
	net->groups.stale = true;
	net->groups.built_ms = 0;
	group_schedule(net, net->node->now);
}

/* The same three for everybody: the greatest hashes of network and address among those with the right. */
static void anchor_add(struct groups *g, uint64_t rank[GROUP_ANCHORS_MAX], uint64_t nwid, uint64_t address)
{
	uint8_t name[16], hash[32];
	struct writer w = writer_over(name, sizeof name);
	put_be64(&w, nwid);
	put_be64(&w, address);
	hash256(hash, "fln1 anchor", name, sizeof name);
	uint64_t mine = le64_at(hash);
	unsigned at = g->n_anchors;
	while (at && rank[at - 1] < mine)
		at--;
	if (at == GROUP_ANCHORS_MAX)
		return;
	unsigned last = g->n_anchors < GROUP_ANCHORS_MAX ? g->n_anchors++ : GROUP_ANCHORS_MAX - 1;
	for (unsigned i = last; i > at; i--) {
		g->anchor[i] = g->anchor[i - 1];
		rank[i] = rank[i - 1];
	}
	g->anchor[at] = address;
	rank[at] = mine;
}

void group_roster(struct net *net)
{
	struct groups *g = &net->groups, before = *g;
	uint64_t rank[GROUP_ANCHORS_MAX], self = net->node->config.self.self.address;
	g->n_anchors = 0;
	for (unsigned i = 0; i < net->n_members; i++) {
		struct net_member *m = net->member[i];
		if ((m->listed || m->cred_ok) && atomic_load(&m->member->flags) & MEMBER_ANCHOR)
			anchor_add(g, rank, net->nwid, m->member->address);
	}
	if (net->cred_ok && net->cred.flags & MEMBER_ANCHOR)
		anchor_add(g, rank, net->nwid, self);
	g->anchor_self = false;
	for (unsigned i = 0; i < g->n_anchors; i++)
		g->anchor_self = g->anchor_self || g->anchor[i] == self;
	g->stale = true;
	group_schedule(net, net->node->now);
	if (g->known && (before.n_anchors != g->n_anchors || memcmp(before.anchor, g->anchor, g->n_anchors * sizeof g->anchor[0])))
		refresh(net, net->node->now);
}

/* ---- life ------------------------------------------------------------------------------------------------------- */

static void fire(struct timer *t, uint64_t now)
{
	struct net *net = (struct net *)((char *)t - offsetof(struct net, groups.timer));
	struct groups *g = &net->groups;
	if (g->read_ms <= now) {
		g->read_ms = NEVER;
		own_read(net);
	}
	if (g->refresh_ms <= now)
		refresh(net, now);
	if (g->retry_ms <= now)
		retry(net, now);
	gather_tick(net, now);
	uint64_t build = g->built_ms + BUILD_PAUSE_MS + g->named / BUILD_PER_MS;
	if (g->stale && (build <= now || !g->built_ms)) {
		g->stale = false;
		g->built_ms = now;
		audience_publish(net);
	}
	uint64_t at = g->refresh_ms, gather = gather_deadline(net);
	at = g->retry_ms < at ? g->retry_ms : at;
	at = g->read_ms < at ? g->read_ms : at;
	at = gather < at ? gather : at;
	at = g->stale && build < at ? build : at;
	if (at != NEVER)
		group_schedule(net, at > now ? at : now + 1);
}

void group_init(struct net *net)
{
	net->groups.timer.fire = fire;
	net->groups.timer.at = net->groups.retry_ms = net->groups.refresh_ms = net->groups.read_ms = NEVER;
}

void group_free(struct net *net)
{
	heap_cancel(&net->node->heap, &net->groups.timer);
	gather_free(net);
}

/* ---- what the API asks ------------------------------------------------------------------------------------------ */

int node_groups(struct node *node, uint64_t nwid, void (*each)(void *, const struct groups_view *), void *self)
{
	const struct net *net = net_find(node, nwid);
	if (!net)
		return -ENOENT;
	const struct groups *g = &net->groups;
	struct groups_view own = {.address = node->config.self.self.address,
	                          .own = true,
	                          .known = g->known,
	                          .all = g->all,
	                          .blocked = g->blocked,
	                          .n = g->n,
	                          .group = g->group};
	each(self, &own);
	for (unsigned i = 0; i < net->n_members; i++) {
		const struct group_set *s = &net->member[i]->group.said;
		struct groups_view v = {.address = net->member[i]->member->address,
		                        .known = s->live,
		                        .all = s->all,
		                        .blocked = s->blocked,
		                        .n = s->n,
		                        .group = (const uint8_t(*)[6])s->group};
		each(self, &v);
	}
	return 0;
}
