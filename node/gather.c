/* gather.c: who takes a group, of the members that have no session with us: the anchors are asked.
 *
 * A round asks all anchors (or the controller) at once, page by page. The first time one whole answer is enough; later, while the group is in use,
 * a round each two seconds puts the union of all answers in place of the last. If nobody answers within a second everybody who is not known is
 * taken for a taker, until a round succeeds. A frame that comes while nothing is in force yet goes to those known at once and waits for the rest;
 * it remembers who has it, so that nobody gets it twice. All lists are of addresses: members may come and go meanwhile.
 */
#include "node/control.h"

#include "node/encap.h"
#include "node/meter.h"

#include <stdlib.h>
#include <string.h>

#define PAGES_MAX      (GROUP_ANCHORS_MAX * (MEMBERS_MAX / GATHERED_MAX + 1))
#define FIRST_MS       50 /* between first rounds of groups */
#define FIRST_BURST_MS (GATHERS_MAX * FIRST_MS)
#define ETHERNET       14
#define GROUP_BYTES    6

/* ---- lists ------------------------------------------------------------------------------------------------------ */

static unsigned position(const uint64_t *list, unsigned n, uint64_t address)
{
	unsigned low = 0, high = n;
	while (low < high) {
		unsigned mid = (low + high) / 2;
		if (list[mid] < address)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static bool holds(const uint64_t *list, unsigned n, uint64_t address)
{
	unsigned i = position(list, n, address);
	return i < n && list[i] == address;
}

static void list_add(struct gather_list *l, uint64_t address)
{
	unsigned i = position(l->address, l->n, address);
	if (l->n == MEMBERS_MAX || (i < l->n && l->address[i] == address))
		return;
	memmove(&l->address[i + 1], &l->address[i], (l->n - i) * sizeof l->address[0]);
	l->address[i] = address;
	l->n++;
}

bool gather_names(const struct gather *g, uint64_t address)
{
	return g->complete && (g->flood || holds(g->list.address, g->list.n, address));
}

static bool crowd(const struct net *net)
{
	return net->n_members > GROUP_CROWD;
}

/* ---- sending ---------------------------------------------------------------------------------------------------- */

static bool any_unknown(const struct net *net)
{
	for (unsigned i = 0; i < net->n_members; i++)
		if (!group_known(net, net->member[i]))
			return true;
	return false;
}

static bool receives(const struct net *net, const struct net_member *m, const struct gather *g, const uint8_t group[GROUP_BYTES])
{
	if (!m->listed && !m->cred_ok)
		return false;
	return group_known(net, m) ? group_said(net, m, group) : g && gather_names(g, m->member->address);
}

/* A frame of ours or of somebody we copy for: does it go to that member, who cannot be sent to yet? */
bool gather_meets(const struct net *net, const struct net_member *m, const uint8_t *frame)
{
	if (!(frame[0] & 1) || frame_link_local(frame)) /* only what bridges alone get is left over for many of these */
		return atomic_load(&m->member->flags) & MEMBER_BRIDGE;
	if (!crowd(net))
		return group_takes(net, m, frame);
	for (unsigned i = 0; i < GATHERS_MAX; i++)
		if (net->groups.gather[i] && !memcmp(net->groups.gather[i]->group, frame, GROUP_BYTES))
			return receives(net, m, net->groups.gather[i], frame);
	return receives(net, m, NULL, frame);
}

static void held_free(struct gather *g)
{
	while (g->n_held)
		free(g->held[--g->n_held]);
}

static void hold(struct net *net, struct gather *g, const struct letter *l)
{
	unsigned n = 0;
	struct held *h = NULL;
	if (g && g->n_held < GATHER_HELD_MAX)
		h = malloc(sizeof *h + net->n_members * sizeof h->sent[0] + l->len);
	if (!h) {
		node_drop(net->node, DROP_WAIT_LIMIT);
		return;
	}
	*h = (struct held){.len = l->len, .sent = (uint64_t *)(h + 1)};
	for (unsigned i = 0; i < net->n_members; i++)
		if (receives(net, net->member[i], g, g->group))
			h->sent[n++] = net->member[i]->member->address;
	h->n_sent = n;
	h->frame = (uint8_t *)(h->sent + n);
	memcpy(h->frame, l->data, l->len);
	g->held[g->n_held++] = h;
}

static void release(struct net *net, struct gather *g)
{
	for (unsigned k = 0; k < g->n_held; k++) {
		const struct held *h = g->held[k];
		for (unsigned i = 0; i < net->n_members; i++) {
			struct net_member *m = net->member[i];
			if (receives(net, m, g, g->group) && !holds(h->sent, h->n_sent, m->member->address))
				channel_frame_to(net, m, h->frame, h->len);
		}
	}
	held_free(g);
}

/* ---- asking ----------------------------------------------------------------------------------------------------- */

static void in_force(struct net *net, struct gather *g, bool flood)
{
	bool same =
	    g->complete && g->flood == flood &&
	    (flood || (g->list.n == g->fresh.n && !memcmp(g->list.address, g->fresh.address, g->list.n * sizeof g->list.address[0])));
	g->complete = true;
	g->flood = flood;
	if (!flood) {
		g->list.n = g->fresh.n;
		memcpy(g->list.address, g->fresh.address, g->fresh.n * sizeof g->fresh.address[0]);
	}
	release(net, g);
	if (same)
		return;
	net->groups.stale = true;
	group_schedule(net, net->node->now);
}

/* Nobody says who takes it: then all who are not known may. In a crowd those who were named last, or none: ten thousand who are mostly not there are
 * not called for one frame. */
static void nobody_told(struct net *net, struct gather *g)
{
	if (!crowd(net)) {
		in_force(net, g, true);
		return;
	}
	if (!g->complete)
		g->fresh.n = 0;
	else
		g->fresh = g->list;
	in_force(net, g, false);
}

/* What stands in a request's context: group, round, the address to follow. */
struct question {
	uint8_t group[8];
	uint8_t round[4], pad[4];
	uint8_t after[8];
	uint8_t rest[8];
};
_Static_assert(sizeof(struct question) == 32, "a request's context");

static void answer(struct peer *, const struct request *, const struct message *);

static bool ask(struct net *net, struct gather *g, struct peer *peer, enum session_class class, uint64_t after)
{
	struct body_gather b = {.nwid = net->nwid, .after = after};
	struct question q = {.pad = {(uint8_t) class}};
	uint8_t body[64];
	memcpy(b.group, g->group, GROUP_BYTES);
	memcpy(q.group, g->group, GROUP_BYTES);
	le32_to(q.round, g->round);
	le64_to(q.after, after);
	size_t n = body_gather_encode(&b, body, sizeof body);
	return n && request_send(peer, class, OP_GATHER, body, n, answer, net->nwid, (const uint8_t *)&q);
}

static void judge(struct net *net, struct gather *g)
{
	bool over = g->done + g->lost >= g->asked, waits = !g->complete || g->flood;
	if (g->done && (over || waits))
		in_force(net, g, false);
	else if (over)
		nobody_told(net, g);
	if (over)
		g->busy = false;
}

static struct gather *find(const struct net *net, const uint8_t group[GROUP_BYTES])
{
	for (unsigned i = 0; i < GATHERS_MAX; i++)
		if (net->groups.gather[i] && !memcmp(net->groups.gather[i]->group, group, GROUP_BYTES))
			return net->groups.gather[i];
	return NULL;
}

static void answer(struct peer *peer, const struct request *r, const struct message *reply)
{
	struct net *net = net_find(peer->node, r->context);
	struct question q;
	struct body_gathered b;
	memcpy(&q, r->context_hash, sizeof q);
	struct gather *g = net ? find(net, q.group) : NULL;
	if (!g || g->round != le32_at(q.round))
		return;
	bool good = reply && reply->status == STATUS_OK && body_gathered_parse(reply->body, reply->len, &b) &&
	            (!b.n || b.address[0] > le64_at(q.after)) && ++g->pages <= PAGES_MAX;
	for (unsigned i = 0; good && i < b.n; i++)
		list_add(&g->fresh, b.address[i]);
	if (good && b.more) {
		if (ask(net, g, peer, (enum session_class)q.pad[0], b.address[b.n - 1]))
			return;
		good = false;
	}
	g->done += good;
	g->lost += !good;
	judge(net, g);
}

static void round_begin(struct net *net, struct gather *g)
{
	const struct groups *own = &net->groups;
	g->round = ++net->groups.rounds;
	g->asked_ms = net->node->now;
	g->asked = g->done = g->lost = g->pages = 0;
	g->fresh.n = 0;
	g->busy = true;
	for (unsigned i = 0; i < own->n_anchors; i++) {
		struct net_member *m = roster_address(net, own->anchor[i]);
		g->asked += m && ask(net, g, m->peer, CLASS_DATA, 0);
	}
	/* The controller's session is kept: where there is none now it is away. */
	if (!own->n_anchors && net->controller_peer && peer_up(net->controller_peer, CLASS_CTRL))
		g->asked += ask(net, g, net->controller_peer, CLASS_CTRL, 0);
	if (!g->asked)
		judge(net, g);
	group_schedule(net, net->node->now + GATHER_PATIENCE);
}

/* ---- groups in use ---------------------------------------------------------------------------------------------- */

static uint64_t used_of(const struct net *net, const struct gather *g)
{
	uint64_t at = audience_used_ms(atomic_load(&net->port->audiences), g->group);
	return at > g->used_ms ? at : g->used_ms;
}

static void gather_drop(struct net *net, struct gather **slot)
{
	held_free(*slot);
	free(*slot);
	*slot = NULL;
	net->groups.stale = true;
}

/* Finds or makes it; the one that was not used for longest makes room, unless frames wait for it. NULL: no room. */
static struct gather *take(struct net *net, const uint8_t group[GROUP_BYTES])
{
	struct gather *g = find(net, group), **slot = NULL;
	for (unsigned i = 0; i < GATHERS_MAX && !g; i++) {
		struct gather **at = &net->groups.gather[i];
		if (!*at) {
			slot = at;
			break;
		}
		if (!(*at)->n_held && (!slot || used_of(net, *at) < used_of(net, *slot)))
			slot = at;
	}
	if (g || !slot)
		return g;
	if (*slot)
		gather_drop(net, slot);
	g = *slot = calloc(1, sizeof *g);
	if (g)
		memcpy(g->group, group, GROUP_BYTES);
	return g;
}

/* Whoever sends to ever new groups, a host behind our bridge even, has the anchors asked no more often than the groups in use would: beyond that
 * all that are not known get the frame. */
static void first_round(struct net *net, struct gather *g)
{
	if (meter_take(&net->groups.asked_ms, net->node->now, FIRST_MS, FIRST_BURST_MS)) {
		round_begin(net, g);
		return;
	}
	g->asked_ms = net->node->now;
	nobody_told(net, g);
}

void gather_letter(struct node *node, const struct letter *l)
{
	struct net *net = l->chan && l->chan <= NETWORKS_MAX ? node->net[l->chan - 1] : NULL;
	uint8_t group[GROUP_BYTES];
	if (!net || l->len < GROUP_BYTES || !(l->data[0] & 1))
		return;
	memcpy(group, l->data, GROUP_BYTES);
	bool frame = l->len >= ETHERNET, unknown = any_unknown(net);
	struct gather *g = take(net, group);
	if (g) {
		g->used_ms = node->now;
		if (unknown && !g->complete && !g->busy)
			first_round(net, g);
		net->groups.stale = true; /* it gets a list, or what it has was not seen yet */
		group_schedule(net, node->now);
	}
	if (!frame)
		return;
	/* First what it remembers, then those it names: sending may open channels, which changes neither. */
	if (unknown && !(g && g->complete))
		hold(net, g, l);
	for (unsigned i = 0; i < net->n_members; i++)
		if (receives(net, net->member[i], g, group))
			channel_frame_to(net, net->member[i], l->data, l->len);
}

void gather_tick(struct net *net, uint64_t now)
{
	bool unknown = any_unknown(net);
	for (unsigned i = 0; i < GATHERS_MAX; i++) {
		struct gather **slot = &net->groups.gather[i], *g = *slot;
		if (!g)
			continue;
		uint64_t used = used_of(net, g);
		if (!unknown && g->n_held)
			release(net, g);
		if (g->busy && now - g->asked_ms >= GATHER_PATIENCE) {
			g->busy = false; /* what comes late still counts */
			g->done ? in_force(net, g, false) : nobody_told(net, g);
		}
		if (g->busy)
			continue;
		if (now - used >= GATHER_UNUSED_MS)
			gather_drop(net, slot);
		else if (unknown && used > g->asked_ms && now - g->asked_ms >= GATHER_AGAIN_MS + (crowd(net) ? net->n_members : 0))
			round_begin(net, g);
	}
}

uint64_t gather_deadline(const struct net *net)
{
	uint64_t at = NEVER;
	for (unsigned i = 0; i < GATHERS_MAX; i++) {
		const struct gather *g = net->groups.gather[i];
		if (g && g->busy && g->asked_ms + GATHER_PATIENCE < at)
			at = g->asked_ms + GATHER_PATIENCE;
	}
	return at;
}

bool gather_any(const struct net *net)
{
	for (unsigned i = 0; i < GATHERS_MAX; i++)
		if (net->groups.gather[i])
			return true;
	return false;
}

void gather_free(struct net *net)
{
	for (unsigned i = 0; i < GATHERS_MAX; i++)
		if (net->groups.gather[i])
			gather_drop(net, &net->groups.gather[i]);
}

/* ---- as an anchor ----------------------------------------------------------------------------------------------- */

/* Into the answer, unless it is full: then there is more. */
static void name(struct body_gathered *b, uint64_t address, uint64_t after)
{
	if (address <= after)
		return;
	if (b->n == GATHERED_MAX)
		b->more = true;
	else
		b->address[b->n++] = address;
}

static void names(const struct net *net, const struct body_gather *asked, uint64_t asker, struct body_gathered *ret)
{
	uint64_t self = net->node->config.self.self.address;
	bool own = group_own(net, asked->group);
	for (unsigned i = 0; i < net->n_members && !ret->more; i++) {
		const struct net_member *m = net->member[i];
		uint64_t address = m->member->address;
		if (own && self < address) {
			name(ret, self, asked->after);
			own = false;
		}
		if (m->cred_ok && address != asker && group_said(net, m, asked->group))
			name(ret, address, asked->after);
	}
	if (own)
		name(ret, self, asked->after);
}

void gather_request(struct peer *peer, enum session_class class, uint32_t req, const uint8_t *body, size_t len)
{
	struct body_gather b;
	struct body_gathered found = {0};
	uint8_t out[BODY_MAX];
	size_t n = 0;
	uint8_t status = STATUS_OK;
	bool good = body_gather_parse(body, len, &b);
	const struct net *net = good ? net_find(peer->node, b.nwid) : NULL;
	const struct member *m = net ? atomic_load(&peer->remote->member[net->chan - 1]) : NULL;
	if (!good)
		status = STATUS_MALFORMED;
	else if (!m || !atomic_load(&m->rx_open)) /* who is no member learns nothing, not even that there is the network */
		status = STATUS_DENIED;
	else if (!net->groups.anchor_self)
		status = STATUS_NOT_FOUND;
	else if (!group_serves(net))
		status = STATUS_TRY_LATER;
	if (status == STATUS_OK) {
		names(net, &b, m->address, &found);
		n = body_gathered_encode(&found, out, sizeof out);
	}
	request_reply(peer, class, req, OP_GATHER, status, out, n);
}
