/* scenarios_lan.c: multicast groups: what members say they take, what anchors know of those who have no session, and replicators. */
#include <inttypes.h>
#include <string.h>

#include "node/fdb.h"
#include "node/guard.h"
#include "test/sim/sim.h"

#define CROWD 102
#define YOUNG (35 * SECOND) /* who keeps the sets of others says so long that he does not know them yet */
#define NEWS  (100 * MS)    /* between a membership and the first frame that must follow it */

static const uint8_t game[6] = {0x01, 0x00, 0x5e, 0x01, 0x02, 0x03}, other[6] = {0x33, 0x33, 0, 0, 0, 0xfb};

static void finish(struct sim *sim, char failed[256])
{
	memcpy(failed, sim->failed, 256);
	sim_free(sim);
}

/* A membership that the kernel tells of, or one that it does not. */
static void takes(struct host *h, const uint8_t group[6], bool yes, bool told)
{
	host_group(h, group, yes);
	if (!told || !h->node)
		return;
	host_running = h;
	node_groups_changed(h->node, h->sim->now / 1000);
	host_running = NULL;
	h->next_us = h->sim->now;
}

static struct groups *groups_of(struct host *h)
{
	struct net *net = net_find(h->node, h->sim->nwid);
	return net ? &net->groups : NULL;
}

/* What h believes of another: does it take the group? known: by the other's own word. */
static bool believes(struct host *h, const struct host *whom, const uint8_t group[6], bool *ret_known)
{
	struct net *net = net_find(h->node, h->sim->nwid);
	struct net_member *m = roster_address(net, whom->secret->self.address);
	*ret_known = m && m->group.said.live;
	return m && group_said(net, m, group);
}

/* One frame to the group must reach those of the mask (bit i: member i) within so long and nobody else ever. */
static void reaches(struct host *from, const uint8_t group[6], uint64_t mask, uint64_t within, const char *when)
{
	struct sim *sim = from->sim;
	size_t number = frame_send_group(from, group, 100);
	sim_run(sim, within);
	for (unsigned i = 0; i < world_members(sim); i++) {
		struct host *h = world_member(sim, i);
		bool got = frame_got(sim, number, h), due = i < 64 && mask >> i & 1;
		expect(sim, got == due, "%s: a frame from %u %s %u", when, from->number, got ? "came to" : "did not reach", h->number);
	}
}

/* Sessions of all with all. */
static bool meet(struct sim *sim)
{
	for (unsigned i = 0; i < world_members(sim); i++)
		frame_send(world_member(sim, i), NULL, 100);
	sim_run(sim, 10 * SECOND);
	for (unsigned i = 0; i < world_members(sim); i++)
		for (unsigned k = 0; k < world_members(sim); k++)
			if (i != k && !expect(sim, peer_up(host_peer(world_member(sim, i), world_member(sim, k)), CLASS_DATA),
			                      "%u and %u have no session", i + 2, k + 2))
				return false;
	return true;
}

static bool right(struct host *m, uint32_t flags)
{
	struct sim *sim = m->sim;
	struct member_settings set = {.set = SET_MEMBER_FLAGS, .flags_on = flags};
	struct admin_error error = {0};
	enum admin_status status = controller_member_set(sim->controller->controller, sim->nwid, m->secret->self.address, &set, &error);
	sim->controller->next_us = sim->now;
	return expect(sim, status == ADMIN_OK, "flags %u: %s %s", flags, error.title, error.detail);
}

/* ---- what members say -------------------------------------------------------------------------------------------- */

/* Joined, left, and read by the second where nobody tells; who takes everything; nobody else gets a byte. */
static void subscribed(uint64_t seed, char failed[256])
{
	struct sim *sim = sim_new(seed);
	if (world_new(sim, 6) && meet(sim)) {
		struct host *a = world_member(sim, 0), *b = world_member(sim, 1), *c = world_member(sim, 2), *d = world_member(sim, 3);
		reaches(a, game, 0, SECOND, "nobody takes it");
		takes(b, game, true, true);
		sim_run(sim, NEWS);
		reaches(a, game, 1 << 1, NEWS, "one takes it");
		takes(c, game, true, true);
		takes(c, other, true, true);
		sim_run(sim, NEWS);
		reaches(a, game, 1 << 1 | 1 << 2, NEWS, "two take it");
		reaches(b, game, 1 << 2, NEWS, "from one of them");
		reaches(a, other, 1 << 2, NEWS, "another group");
		takes(b, game, false, true);
		sim_run(sim, NEWS);
		reaches(a, game, 1 << 2, NEWS, "one has left");
		takes(b, other, true, false);
		sim_run(sim, 1500 * MS - NEWS);
		reaches(a, other, 1 << 1 | 1 << 2, NEWS, "joined without a word");
		d->group_all = true;
		sim_run(sim, 1500 * MS);
		reaches(a, game, 1 << 2 | 1 << 3, NEWS, "one takes all");
		reaches(a, other, 1 << 1 | 1 << 2 | 1 << 3, NEWS, "one takes all");
		d->group_all = false;
		sim_run(sim, 1500 * MS);
		reaches(a, game, 1 << 2, NEWS, "no longer");
	}
	finish(sim, failed);
}

/* More than 128 groups: all of them come. */
static void many(uint64_t seed, char failed[256])
{
	struct sim *sim = sim_new(seed);
	if (world_new(sim, 3) && meet(sim)) {
		struct host *a = world_member(sim, 0), *b = world_member(sim, 1);
		uint8_t group[6] = {0x33, 0x33, 0xff, 0, 0, 0};
		for (unsigned i = 0; i < SUB_GROUPS_MAX; i++) {
			group[5] = (uint8_t)i;
			takes(b, group, true, true);
		}
		sim_run(sim, 5 * SECOND);
		reaches(a, group, 1 << 1, NEWS, "128 groups");
		reaches(a, game, 0, NEWS, "128 other groups");
		group[5] = 0;
		reaches(a, group, 1 << 1, NEWS, "128 groups");
		takes(b, other, true, true);
		sim_run(sim, 5 * SECOND);
		reaches(a, game, 1 << 1, NEWS, "129 groups are as good as all");
	}
	finish(sim, failed);
}

/* A third of all datagrams is lost and they overtake each other, while memberships change: in the end everybody believes the truth. */
static void lossy(uint64_t seed, char failed[256])
{
	struct sim *sim = sim_new(seed);
	if (world_new(sim, 4) && meet(sim)) {
		bool in[4] = {false};
		sim->link = (struct link){.loss = 330, .dup = 100, .delay_min = 5 * MS, .delay_max = 200 * MS};
		for (unsigned i = 0; i < 60; i++) {
			unsigned k = (unsigned)sim_draw(sim, 4);
			in[k] = !in[k];
			takes(world_member(sim, k), game, in[k], true);
			sim_run(sim, sim_draw(sim, 300 * MS));
		}
		sim_run(sim, 40 * SECOND);
		for (unsigned i = 0; i < 4; i++)
			for (unsigned k = 0; k < 4; k++) {
				bool known, said = i != k && believes(world_member(sim, i), world_member(sim, k), game, &known);
				if (i == k)
					continue;
				expect(sim, known && said == in[k], "%u believes of %u: %sknown, %s", i + 2, k + 2, known ? "" : "not ",
				       said ? "takes it" : "does not take it");
			}
		sim->link = (struct link){.delay_min = 5 * MS, .delay_max = 10 * MS};
		sim_run(sim, SECOND);
		uint64_t mask = (uint64_t)in[1] << 1 | (uint64_t)in[2] << 2 | (uint64_t)in[3] << 3;
		reaches(world_member(sim, 0), game, mask, NEWS, "after the loss");
	}
	finish(sim, failed);
}

/* Killed and started again, sender or taker, the disk lost with it: frames pass as soon as there are keys, and at the end only to who takes them. */
static void restarted(uint64_t seed, char failed[256])
{
	struct sim *sim = sim_new(seed);
	if (world_new(sim, 4)) {
		struct host *a = world_member(sim, 0), *b = world_member(sim, 1);
		takes(b, game, true, true);
		meet(sim);
		for (unsigned i = 0; i < 4 && !*sim->failed; i++) {
			struct host *h = i & 1 ? a : b;
			host_kill(h);
			sim_run(sim, sim_draw(sim, 20 * SECOND));
			if (i == 2)
				takes(b, other, true, false);
			host_start(h);
			expect(sim, sim_run_until(sim, 3 * SECOND, world_joined, h), "not JOINED after restart %u", i);
			size_t number = 0;
			bool got = false;
			for (unsigned k = 0; k < 15 && !got; k++) {
				number = frame_send_group(a, game, 100);
				sim_run(sim, 200 * MS);
				got = frame_got(sim, number, b);
			}
			expect(sim, got, "restart %u: no multicast after 3 s", i);
			meet(sim);
			reaches(a, game, 1 << 1, NEWS, "after a restart");
			reaches(a, other, i >= 2 ? 1 << 1 : 0, NEWS, "another group after a restart");
		}
	}
	finish(sim, failed);
}

/* ---- what anchors know ------------------------------------------------------------------------------------------- */

static bool session(struct host *a, struct host *b)
{
	const struct peer *peer = host_peer(a, b);
	return peer && peer_up(peer, CLASS_DATA);
}

/* What a replicator brings of a member that was never met is judged by the addresses in the directory. */
static void owns_listed(struct host *at, const struct host *whom)
{
	const struct net *net = net_find(at->node, at->sim->nwid);
	const struct net_member *m = roster_address(net, whom->secret->self.address);
	const struct owned *o = m ? atomic_load(&m->member->owned) : NULL;
	expect(at->sim, o && o->n && o->n == m->entry.n_ips && !memcmp(o->ip, m->entry.ips, o->n * sizeof o->ip[0]),
	       "%u does not know the addresses of %u", at->number, whom->number);
}

/* Nobody has a session but with the two anchors: they say who takes a group, and only those are called. */
static void gathered(uint64_t seed, char failed[256])
{
	struct sim *sim = sim_new(seed);
	if (world_new(sim, 8) && right(world_member(sim, 6), MEMBER_ANCHOR) && right(world_member(sim, 7), MEMBER_ANCHOR)) {
		struct host *a = world_member(sim, 0), *b = world_member(sim, 1), *c = world_member(sim, 2), *d = world_member(sim, 3);
		sim_run(sim, 30 * SECOND);
		takes(b, game, true, true);
		sim_run(sim, SECOND);
		for (unsigned i = 1; i < 6; i++)
			expect(sim, !session(a, world_member(sim, i)), "a session with %u before anybody asked", i + 2);
		for (unsigned i = 1; i < 8; i++)
			owns_listed(a, world_member(sim, i));
		expect(sim, groups_of(a)->n_anchors == 2 && session(a, world_member(sim, 6)) && session(a, world_member(sim, 7)),
		       "%u anchors are known", groups_of(a)->n_anchors);
		reaches(a, game, 1 << 1, SECOND, "by the anchors' word");
		expect(sim, session(a, b) && !session(a, c) && !session(a, d), "who takes nothing was called");
		/* In use: one more is heard of within the next rounds, and nothing is lost in between. */
		for (unsigned i = 0; i < 4; i++)
			reaches(a, game, 1 << 1, 500 * MS, "in use");
		takes(c, game, true, true);
		for (unsigned i = 0; i < 10; i++) {
			size_t number = frame_send_group(a, game, 100);
			sim_run(sim, 500 * MS);
			expect(sim, frame_got(sim, number, b) && !frame_got(sim, number, d), "in use: frame %u", i);
		}
		reaches(a, game, 1 << 1 | 1 << 2, 500 * MS, "one more");
		/* An anchor's own device takes groups as well. */
		takes(world_member(sim, 7), other, true, true);
		sim_run(sim, NEWS);
		reaches(d, other, 1 << 7, SECOND, "the anchor itself");
		/* One of two anchors is enough; with none, all get it, and again only those that take it when one is back. */
		host_kill(world_member(sim, 6));
		reaches(world_member(sim, 4), game, 1 << 1 | 1 << 2, 2 * SECOND, "one anchor");
		host_kill(world_member(sim, 7));
		reaches(world_member(sim, 5), game, 0x3f & ~(1u << 5), 4 * SECOND, "no anchor");
		host_start(world_member(sim, 6));
		host_start(world_member(sim, 7));
		sim_run(sim, MINUTE + 30 * SECOND);
		reaches(world_member(sim, 5), game, 1 << 1 | 1 << 2, 2 * SECOND, "the anchors are back");
	}
	finish(sim, failed);
}

/* No anchor: the controller says it, also after its restart and after that of a member; while it is dead who is not known gets it. */
static void by_controller(uint64_t seed, char failed[256])
{
	struct sim *sim = sim_new(seed);
	if (world_new(sim, 6)) {
		struct host *a = world_member(sim, 0), *b = world_member(sim, 1), *c = world_member(sim, 2), *d = world_member(sim, 3);
		takes(b, game, true, true);
		c->group_all = true;
		sim_run(sim, YOUNG);
		expect(sim, !session(a, b), "a session before anybody asked");
		reaches(a, game, 1 << 1 | 1 << 2, SECOND, "by the controller's word");
		expect(sim, session(a, b) && session(a, c) && !session(a, d), "who takes nothing was called");
		takes(b, game, false, true);
		takes(d, game, true, true);
		sim_run(sim, NEWS);
		reaches(world_member(sim, 4), game, 1 << 2 | 1 << 3, SECOND, "others take it now");
		host_kill(sim->controller);
		host_start(sim->controller);
		sim_run(sim, YOUNG + 30 * SECOND); /* its members have found it */
		reaches(b, game, 1 << 2 | 1 << 3, SECOND, "after the controller's restart");
		host_kill(d);
		host_reflash(d);
		sim_run(sim, SECOND);
		host_start(d);
		host_group(d, game, false);
		host_group(d, other, true);
		node_join(d->node, sim->nwid, NULL, "", sim->now / 1000);
		d->next_us = sim->now;
		sim_run(sim, 15 * SECOND);
		reaches(world_member(sim, 5), other, 1 << 2 | 1 << 3, SECOND, "with a new disk");
	}
	finish(sim, failed);
}

/* An anchor whose session has ended hears of a change at once all the same. */
static void news(uint64_t seed, char failed[256])
{
	struct sim *sim = sim_new(seed);
	if (world_new(sim, 6) && right(world_member(sim, 4), MEMBER_ANCHOR) && right(world_member(sim, 5), MEMBER_ANCHOR)) {
		struct host *a = world_member(sim, 0), *b = world_member(sim, 1), *anchors[] = {world_member(sim, 4), world_member(sim, 5)};
		sim_run(sim, 30 * SECOND);
		for (unsigned i = 0; i < 300 && (session(b, anchors[0]) || session(b, anchors[1])); i++)
			sim_run(sim, SECOND);
		expect(sim, !session(b, anchors[0]) && !session(b, anchors[1]), "sessions without a word do not end");
		takes(b, game, true, true);
		sim_run(sim, 2 * SECOND);
		reaches(a, game, 1 << 1, 2 * SECOND, "news for anchors without a session");
	}
	finish(sim, failed);
}

/* Ever new groups: who answers is asked as often as for those in use, and everybody gets the rest. */
static void swept(uint64_t seed, char failed[256])
{
	struct sim *sim = sim_new(seed);
	if (world_new(sim, 4)) {
		struct host *a = world_member(sim, 0), *b = world_member(sim, 1);
		uint8_t group[6] = {0x33, 0x33, 0xff, 0, 1, 0x8f}; /* the last of them */
		size_t last = 0;
		takes(b, group, true, true);
		sim_run(sim, 30 * SECOND);
		uint32_t rounds = groups_of(a)->rounds;
		for (unsigned i = 0; i < 400; i++) {
			group[4] = (uint8_t)(i >> 8);
			group[5] = (uint8_t)i;
			last = frame_send_group(a, group, 100);
			sim_run(sim, 2 * MS);
		}
		rounds = groups_of(a)->rounds - rounds;
		expect(sim, rounds >= GATHERS_MAX && rounds < GATHERS_MAX + 30, "%u rounds for 400 groups", (unsigned)rounds);
		sim_run(sim, 2 * SECOND);
		expect(sim, frame_got(sim, last, b), "nobody was asked about the last group, and it did not come");
	}
	finish(sim, failed);
}

/* A device that joins and leaves without end: the others hear of it now and then, and of what it comes to at once. */
static void restless(uint64_t seed, char failed[256])
{
	struct sim *sim = sim_new(seed);
	if (world_new(sim, 4) && meet(sim)) {
		struct host *a = world_member(sim, 0), *b = world_member(sim, 1);
		sim_run(sim, 5 * SECOND);
		uint64_t seq = groups_of(a)->seq;
		for (unsigned i = 0; i < 287; i++) {
			takes(a, game, !(i & 1), true);
			sim_run(sim, 7 * MS);
		}
		seq = groups_of(a)->seq - seq;
		expect(sim, seq >= 16 && seq <= 16 + 22, "%u sets were told in two seconds", (unsigned)seq);
		sim_run(sim, 200 * MS);
		bool known;
		expect(sim, believes(b, a, game, &known) && known, "the last of them was not");
	}
	finish(sim, failed);
}

/* No anchor and the controller dead: everybody whose groups are not known gets it. */
static void alone(uint64_t seed, char failed[256])
{
	struct sim *sim = sim_new(seed);
	if (world_new(sim, 5)) {
		host_kill(sim->controller);
		sim_run(sim, 3 * MINUTE);
		takes(world_member(sim, 1), game, true, true);
		sim_run(sim, SECOND);
		reaches(world_member(sim, 0), game, 0x1e, 4 * SECOND, "nobody to ask");
		meet(sim);
		reaches(world_member(sim, 0), game, 1 << 1, NEWS, "all have said it themselves");
	}
	finish(sim, failed);
}

/* More takers than one answer holds: the anchor is asked page by page. */
static void pages(uint64_t seed, char failed[256])
{
	struct sim *sim = sim_new(seed);
	unsigned n = CROWD;
	if (world_new(sim, n) && right(world_member(sim, 1), MEMBER_ANCHOR)) {
		struct host *a = world_member(sim, 0);
		for (unsigned i = 1; i < n; i++)
			takes(world_member(sim, i), game, true, true);
		sim_run(sim, 40 * SECOND);
		expect(sim, !session(a, world_member(sim, 2)), "a session before anybody asked");
		size_t number = frame_send_group(a, game, 100);
		sim_run(sim, 15 * SECOND); /* a hundred sessions by one root */
		expect(sim, frames_got(sim, number, 1) == n - 1, "%" PRIu64 " of %u got it", frames_got(sim, number, 1), n - 1);
		const struct gather *g = groups_of(a)->gather[0];
		expect(sim, g && g->complete && !g->flood && g->list.n == n - 1, "the anchor named %u", g ? g->list.n : 0);
	}
	finish(sim, failed);
}

/* ---- who may say and ask ------------------------------------------------------------------------------------------ */

static uint8_t answered;

static void heard(struct peer *peer, const struct request *r, const struct message *reply)
{
	(void)peer, (void)r;
	answered = reply ? reply->status : UINT8_MAX;
}

static uint8_t asks(struct host *from, struct host *to, enum session_class class, enum op op, const uint8_t *body, size_t len)
{
	struct sim *sim = from->sim;
	answered = UINT8_MAX;
	host_running = from;
	from->node->now = sim->now / 1000;
	bool sent = request_send(host_peer(from, to), class, (uint8_t)op, body, len, heard, 0, NULL);
	host_running = NULL;
	from->next_us = sim->now;
	expect(sim, sent, "host %u cannot ask", from->number);
	sim_run(sim, 2 * SECOND);
	return answered;
}

/* T88. A root has sessions with members and is none: it learns nothing and can say nothing, of their network as of one that does not exist. */
static void outsider(uint64_t seed, char failed[256])
{
	struct sim *sim = sim_new(seed);
	if (world_new(sim, 3) && right(world_member(sim, 0), MEMBER_ANCHOR)) {
		struct host *anchor = world_member(sim, 0), *b = world_member(sim, 1);
		takes(b, game, true, true);
		sim_run(sim, 30 * SECOND);
		bool known, said = believes(anchor, b, game, &known);
		expect(sim, known && said, "the anchor does not know its member's groups");
		for (unsigned i = 0; i < 2; i++) {
			struct body_gather ask = {.nwid = sim->nwid + i};
			struct body_sub sub = {.nwid = sim->nwid + i, .seq = UINT64_MAX, .flags = SUB_ALL};
			uint8_t body[BODY_MAX];
			memcpy(ask.group, game, 6);
			size_t n = body_gather_encode(&ask, body, sizeof body);
			uint8_t status = asks(sim->root, anchor, CLASS_CTRL, OP_GATHER, body, n);
			expect(sim, status == STATUS_DENIED, "GATHER of a root: %u", status);
			n = body_sub_encode(&sub, body, sizeof body);
			status = asks(sim->root, anchor, CLASS_CTRL, OP_SUB, body, n);
			expect(sim, status == STATUS_DENIED, "SUB of a root: %u", status);
		}
		reaches(anchor, game, 1 << 1, SECOND, "as before");
	}
	finish(sim, failed);
}

/* Only a bridge has hosts behind it that are elsewhere when it shuts its port: of another member the word empties nobody's table. */
static void shut(uint64_t seed, char failed[256])
{
	static const uint8_t mac[6] = {2, 0, 0, 0, 0, 9};
	struct sim *sim = sim_new(seed);
	if (world_new(sim, 3) && meet(sim)) {
		struct host *a = world_member(sim, 0), *b = world_member(sim, 1);
		struct net *net = net_find(a->node, sim->nwid);
		struct body_sub sub = {.nwid = sim->nwid, .seq = UINT64_MAX - 8};
		uint8_t body[BODY_MAX];
		struct network_settings wide = {.set = SET_NET_MTU, .mtu = 1500};
		struct admin_error error = {0};
		expect(sim, controller_network_set(sim->controller->controller, sim->nwid, &wide, &error) == ADMIN_OK, "MTU: %s",
		       error.detail);
		right(world_member(sim, 2), MEMBER_BRIDGE);
		sim_run(sim, 5 * SECOND);
		fdb_see(net->port->fdb, 0, mac, world_member(sim, 2)->secret->self.address, a->node->now);
		for (unsigned i = 0; i < 3; i++, sub.seq++) {
			if (i == 1 && right(b, MEMBER_BRIDGE))
				sim_run(sim, 5 * SECOND);
			sub.flags = i == 1 ? 0 : SUB_BLOCKED;
			uint8_t status = asks(b, a, CLASS_DATA, OP_SUB, body, body_sub_encode(&sub, body, sizeof body));
			expect(sim, status == STATUS_OK, "SUB %u: %u", i, status);
			expect(sim, i == 1 || fdb_count(net->port->fdb) == !i, "%u: %u MACs are known", i, fdb_count(net->port->fdb));
		}
	}
	finish(sim, failed);
}

/* A port that passes nothing says no probes: on its LAN another one is to serve. */
static void closed(uint64_t seed, char failed[256])
{
	struct sim *sim = sim_new(seed);
	if (world_new(sim, 3) && meet(sim)) {
		struct host *a = world_member(sim, 0);
		struct net *net = net_find(a->node, sim->nwid);
		struct network_settings wide = {.set = SET_NET_MTU, .mtu = 1500};
		struct admin_error error = {0};
		expect(sim, controller_network_set(sim->controller->controller, sim->nwid, &wide, &error) == ADMIN_OK, "MTU: %s",
		       error.detail);
		right(a, MEMBER_BRIDGE);
		sim_run(sim, 5 * SECOND);
		expect(sim, net->loop.probe_ms != NEVER && net->loop.probed_ms, "an open bridge says no probes");
		atomic_store(&net->port->open, false);
		sim_run(sim, 3 * SECOND);
		uint64_t last = net->loop.probed_ms;
		sim_run(sim, 10 * SECOND);
		expect(sim, net->loop.probed_ms == last && net->loop.probe_ms == NEVER, "a closed one does");
		host_running = a;
		net_apply_device(net);
		host_running = NULL;
		sim_run(sim, 5 * SECOND);
		expect(sim, net->loop.probed_ms > last, "opened again it is silent");
	}
	finish(sim, failed);
}

/* ---- replicators -------------------------------------------------------------------------------------------------- */

static unsigned datagrams;

static bool count_sender(void *self, struct sim *sim, const struct host *from, const struct endpoint *to, const uint8_t *bytes, size_t len)
{
	(void)sim, (void)to, (void)bytes, (void)len;
	datagrams += from == self;
	return true;
}

/* One frame for many: at once no more datagrams than the network's limit, and in the end all have it, each once (frames.c fails at a second copy). */
static void bounded(struct host *from, const uint8_t group[6], uint64_t due, unsigned limit, const char *when)
{
	struct sim *sim = from->sim;
	datagrams = 0;
	sim->watch = count_sender;
	sim->watch_self = from;
	size_t number = frame_send_group(from, group, 200);
	unsigned at_once = datagrams;
	sim->watch = NULL;
	sim_run(sim, 500 * MS);
	uint64_t got = frames_got(sim, number, 1);
	expect(sim, at_once <= limit, "%s: %u datagrams for one frame, the limit is %u", when, at_once, limit);
	expect(sim, got == due, "%s: %" PRIu64 " of %" PRIu64 " got it", when, got, due);
}

static void replicated(uint64_t seed, char failed[256])
{
	static const uint8_t everybody[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
	struct sim *sim = sim_new(seed);
	unsigned n = CROWD, by = 4, takers = 60;
	if (world_new(sim, n)) {
		struct host *a = world_member(sim, 0);
		for (unsigned i = 0; i < by && !*sim->failed; i++)
			right(world_member(sim, n - 1 - i), MEMBER_REPLICATOR);
		for (unsigned i = 0; i < takers; i++)
			takes(world_member(sim, 1 + i), game, true, true);
		sim_run(sim, 10 * SECOND);
		frame_send(a, NULL, 100);
		for (unsigned i = 0; i < by; i++)
			frame_send(world_member(sim, n - 1 - i), NULL, 100);
		sim_run(sim, MINUTE); /* five hundred sessions by one root */
		const struct audiences *all = atomic_load(&net_find(a->node, sim->nwid)->port->audiences);
		expect(sim, all && all->n_replicators == by, "%u replicators", all ? all->n_replicators : 0);
		uint32_t limit = atomic_load(&net_find(a->node, sim->nwid)->port->mcast_limit);
		expect(sim, limit == 32, "the limit is %u", limit);
		for (unsigned i = 0; i < 40 && !*sim->failed; i++) {
			bounded(a, everybody, n - 1, limit, "broadcast");
			bounded(a, game, takers, limit, "multicast");
		}
		bounded(world_member(sim, n - 1), everybody, n - 1, n - 1, "a replicator's own");
	}
	finish(sim, failed);
}

const struct scenario scenarios_lan[] = {
    {"groups", "multicast reaches who takes it and nobody else", subscribed, 4},
    {"groups_many", "128 groups of one member, and one more", many, 1},
    {"groups_lossy", "memberships change under loss", lossy, 4},
    {"groups_restart", "senders and takers restart", restarted, 4},
    {"gather", "anchors tell who takes a group", gathered, 4},
    {"gather_asks", "the controller tells who takes a group", by_controller, 4},
    {"gather_news", "anchors without a session hear of a change", news, 4},
    {"gather_alone", "nobody to ask", alone, 2},
    {"gather_sweep", "ever new groups", swept, 2},
    {"groups_churn", "joined and left without end", restless, 2},
    {"gather_pages", "101 takers", pages, 1},
    {"gather_denied", "who is no member learns nothing", outsider, 2},
    {"groups_shut", "whose port is shut empties tables", shut, 2},
    {"loop_closed", "a closed port says no probes", closed, 1},
    {"replicators", "a frame for 101 members costs its sender 32", replicated, 1},
    {0},
};
