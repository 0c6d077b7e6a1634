/* scenarios_approval.c: what the admin decided reaches its members, whichever datagram is lost on the way. */
#include <inttypes.h>
#include <string.h>

#include "controller/traffic.h"
#include "test/sim/sim.h"

struct approval {
	struct host *member;
	bool answer_lost; /* what goes to it once its request is known */
	bool deaf;        /* nothing reaches it */
	unsigned lost;
};

static bool known(struct sim *sim, const struct host *member, enum member_state state)
{
	struct member_row row;
	struct admin_error error;
	return !controller_member_get(sim->controller->controller, sim->nwid, member->secret->self.address, &row, &error) &&
	       row.state == state;
}

static bool lose(void *self, struct sim *sim, const struct host *from, const struct endpoint *to, const uint8_t *bytes, size_t len)
{
	struct approval *a = self;
	(void)from, (void)bytes, (void)len;
	if (!endpoint_equal(to, &a->member->at) || !(a->deaf || (a->answer_lost && known(sim, a->member, MEMBER_PENDING))))
		return true;
	a->lost++;
	return false;
}

static bool asked(struct sim *sim, void *self)
{
	const struct approval *a = self;
	return known(sim, a->member, MEMBER_PENDING);
}

static bool waits(struct sim *sim, void *self)
{
	const struct approval *a = self;
	struct net_view view;
	return node_network(a->member->node, sim->nwid, &view) && view.state == NET_PENDING;
}

/* A member that has asked, its answer heard or lost, is approved. */
static void approve(struct sim *sim, struct approval *a)
{
	struct admin_error error;
	a->member = host_new(sim, HOST_NODE);
	host_start(a->member);
	sim->watch = lose;
	sim->watch_self = a;
	sim_run(sim, 2 * SECOND);
	node_join(a->member->node, sim->nwid, NULL, "", sim->now / 1000);
	a->member->next_us = sim->now;
	expect(sim, sim_run_until(sim, MINUTE, a->answer_lost ? asked : waits, a), "nobody asked to join");
	if (a->answer_lost)
		sim_run(sim, 100 * MS); /* it leaves; the request is repeated after 300 */
	expect(sim, !controller_member_approve(sim->controller->controller, sim->nwid, a->member->secret->self.address, NULL, &error),
	       "approve: %s", error.detail);
	sim->controller->next_us = sim->now;
}

static void finish(struct sim *sim, char failed[256])
{
	memcpy(failed, sim->failed, 256);
	sim_free(sim);
}

static void stays_joined(struct sim *sim, struct approval *a)
{
	for (unsigned i = 0; i < 100 && !*sim->failed; i++) {
		sim_run(sim, 100 * MS);
		expect(sim, world_joined(sim, a->member), "%u ms after it had joined it had not", i * 100);
	}
	expect(sim, a->lost, "nothing was lost, so nothing was tried");
	expect(sim, frame_passes(world_member(sim, 0), a->member, 5 * SECOND), "no frame reaches the new member");
}

/* The answer "pending" is lost; its copy, asked for again, comes after the approval. */
static void overtaken(uint64_t seed, char failed[256])
{
	struct sim *sim = sim_new(seed);
	if (world_new(sim, 1)) {
		struct approval a = {.answer_lost = true};
		approve(sim, &a);
		expect(sim, sim_run_until(sim, 3 * SECOND, world_joined, a.member), "not joined 3 s after the approval");
		stays_joined(sim, &a);
	}
	finish(sim, failed);
}

/* For so long after the approval nothing reaches the member. */
static void deaf(struct sim *sim, uint64_t silence, uint64_t within)
{
	struct approval a = {0};
	if (!world_new(sim, 1))
		return;
	approve(sim, &a);
	a.deaf = true;
	sim_run(sim, silence);
	expect(sim, !world_joined(sim, a.member), "it joined without hearing anything");
	a.deaf = false;
	expect(sim, sim_run_until(sim, within, world_joined, a.member), "not joined %" PRIu64 " ms after it can hear again", within / MS);
	stays_joined(sim, &a);
}

static void lost(uint64_t seed, char failed[256])
{
	struct sim *sim = sim_new(seed);
	deaf(sim, 1500 * MS, 1500 * MS);
	finish(sim, failed);
}

/* Longer than one push is repeated. */
static void lost_long(uint64_t seed, char failed[256])
{
	struct sim *sim = sim_new(seed);
	deaf(sim, 6 * SECOND, 6 * SECOND);
	finish(sim, failed);
}

/* Limits and switches that the admin sets are in force at every member, and go back to what they were. */
static void limits(uint64_t seed, char failed[256])
{
	struct sim *sim = sim_new(seed);
	if (world_new(sim, 3)) {
		static const struct {
			struct network_limits limits;
			uint32_t on, off;
			struct ethertypes types;
		} rounds[] = {
		    {{7, 800, 3}, NETWORK_IP_GUARD | NETWORK_NO_MULTICAST, 0, {2, {0x0800, 0x0806}}},
		    {{0, 0, 0}, 0, NETWORK_FLAGS, {1, {0x86dd}}},
		    {{STORM_FRAMES_DEFAULT, MCAST_KBIT_DEFAULT, MCAST_LIMIT_DEFAULT}, 0, NETWORK_FLAGS, {0}},
		};
		for (unsigned r = 0; r < sizeof rounds / sizeof *rounds; r++) {
			struct network_settings s = {.limits = rounds[r].limits, .flags_on = rounds[r].on, .flags_off = rounds[r].off};
			struct admin_error error;
			s.ethertypes = rounds[r].types;
			s.set = SET_NET_FLAGS | SET_NET_STORM | SET_NET_MCAST_RATE | SET_NET_MCAST_LIMIT | SET_NET_ETHERTYPES;
			expect(sim, !controller_network_set(sim->controller->controller, sim->nwid, &s, &error), "set: %s", error.detail);
			sim->controller->next_us = sim->now;
			sim_run(sim, 3 * SECOND);
			for (unsigned i = 0; i < 3; i++) {
				struct port *port = net_find(world_member(sim, i)->node, sim->nwid)->port;
				expect(sim,
				       atomic_load(&port->storm_frames) == s.limits.storm_frames &&
				           atomic_load(&port->mcast_kbit) == s.limits.mcast_kbit &&
				           atomic_load(&port->mcast_limit) == s.limits.mcast_limit &&
				           atomic_load(&port->network_flags) == s.flags_on,
				       "round %u: member %u has other limits", r, i);
				const struct ethertypes *list = atomic_load(&port->ethertypes);
				expect(sim,
				       list ? list->n == s.ethertypes.n &&
				                  !memcmp(list->type, s.ethertypes.type, list->n * sizeof *list->type)
				            : !s.ethertypes.n,
				       "round %u: member %u has another list of EtherTypes", r, i);
			}
		}
	}
	finish(sim, failed);
}

/* ---- the picture that members' reports make ------------------------------------------------------------------------------ */

struct pair_sight { /* of one pair */
	uint64_t a, b;
	bool seen;
	struct topology_link link;
};

static void pair_seen(void *self, const struct topology_link *l)
{
	struct pair_sight *s = self;
	if ((l->a == s->a && l->b == s->b) || (l->a == s->b && l->b == s->a)) {
		s->seen = true;
		s->link = *l;
	}
}

static enum report_kind link_between(struct host *a, struct host *b)
{
	struct sim *sim = a->sim;
	struct pair_sight s = {.a = a->secret->self.address, .b = b->secret->self.address};
	struct admin_error error;
	bool cut;
	expect(sim, controller_topology(sim->controller->controller, sim->nwid, pair_seen, &s, &cut, &error) == ADMIN_OK, "no picture");
	expect(sim, !s.seen || (s.link.rtt_us > 1000 && s.link.rtt_us < 200000), "a round trip of %u us", s.link.rtt_us);
	return s.seen ? s.link.kind : LINK_NONE;
}

struct wanted {
	struct host *a, *b;
	enum report_kind kind;
};

static bool link_is(struct sim *sim, void *arg)
{
	const struct wanted *w = arg;
	(void)sim;
	return link_between(w->a, w->b) == w->kind;
}

static void link_becomes(struct host *a, struct host *b, enum report_kind kind, uint64_t within, const char *what)
{
	struct wanted w = {a, b, kind};
	expect(a->sim, sim_run_until(a->sim, within, link_is, &w), "%s: the controller sees kind %d", what, link_between(a, b));
}

/* Direct and relayed pairs, and the controller's own links, as the controller sees them; a path that turns shows within seconds. */
static void topology(uint64_t seed, char failed[256])
{
	struct sim *sim = sim_new(seed);
	sim->link = (struct link){.delay_min = 4 * MS, .delay_max = 6 * MS};
	if (world_new(sim, 3)) {
		struct host *a = world_member(sim, 0), *b = world_member(sim, 1), *m = world_member(sim, 2);
		sim_cut(sim, a, b, true);
		sim_run(sim, 6 * SECOND);
		expect(sim, frame_passes(a, b, 5 * SECOND) && frame_passes(a, m, 5 * SECOND), "no frame");
		link_becomes(a, b, LINK_RELAY, 20 * SECOND, "cut off from each other");
		link_becomes(a, m, LINK_DIRECT, 20 * SECOND, "on one net");
		link_becomes(a, sim->controller, LINK_DIRECT, 75 * SECOND, "the controller");
		sim_heal(sim, a, b);
		for (unsigned i = 0; i < 40; i++)
			frame_send(a, b, 100), sim_run(sim, SECOND);
		link_becomes(a, b, LINK_DIRECT, 20 * SECOND, "healed");
		sim_cut(sim, a, sim->controller, true);
		for (unsigned i = 0; i < 60; i++)
			sim_run(sim, SECOND);
		link_becomes(a, sim->controller, LINK_RELAY, 75 * SECOND, "cut off from the controller");
		host_kill(m);
		link_becomes(a, m, LINK_NONE, 6 * MINUTE, "killed");
		host_kill(sim->controller);
		host_start(sim->controller);
		expect(sim, link_between(a, b) == LINK_NONE, "a controller that started knows what nobody told it");
		frame_send(a, b, 100); /* who has not talked for minutes has no session to tell of */
		link_becomes(a, b, LINK_DIRECT, 90 * SECOND, "told anew");
	}
	finish(sim, failed);
}

/* ---- what members say they carried --------------------------------------------------------------------------------------- */

/* All that the controller has of that member, and the drops it told. */
static struct traffic_count told_by(struct sim *sim, uint64_t address, uint64_t *ret_drops)
{
	static struct traffic_view v;
	struct admin_error error;
	enum admin_status status = controller_traffic(sim->controller->controller, sim->nwid, address, TRAFFIC_HOUR, &v, &error);
	expect(sim, status == ADMIN_OK, "no traffic of %" PRIx64, address);
	*ret_drops = v.drops;
	return v.total;
}

static void told_is(struct sim *sim, uint64_t address, const struct carried *c, uint64_t drops, const char *when)
{
	uint64_t told_drops;
	struct traffic_count t = told_by(sim, address, &told_drops);
	expect(sim, t.tx_frames == c->tx_frames && t.tx_bytes == c->tx_bytes && t.rx_frames == c->rx_frames && t.rx_bytes == c->rx_bytes,
	       "%s: told are %" PRIu64 " and %" PRIu64 " frames of %" PRIu64 " and %" PRIu64, when, t.tx_frames, t.rx_frames, c->tx_frames,
	       c->rx_frames);
	expect(sim, told_drops == drops, "%s: told are %" PRIu64 " drops of %" PRIu64, when, told_drops, drops);
}

static uint64_t dropped(const struct port *port)
{
	uint64_t drop[DROP_COUNT], sum = 0;
	port_drops(port, drop);
	for (unsigned i = DROP_NONE + 1; i < DROP_COUNT; i++)
		sum += drop[i];
	return sum;
}

/* Who joins while a session with the controller stands tells as well: its counters begin anew, what was told stays. */
static void again(struct sim *sim, struct host *b, struct host *other, struct carried before, uint64_t drops)
{
	host_running = b;
	node_join(b->node, sim->nwid, NULL, "", sim->now / MS);
	host_running = NULL;
	b->next_us = sim->now;
	expect(sim, sim_run_until(sim, 20 * SECOND, world_joined, b), "B is not in again");
	const struct net *net = net_find(b->node, sim->nwid);
	if (!net || !net->port)
		return;
	sim_run(sim, 3 * SECOND);
	for (unsigned i = 0; i < 100; i++) /* more than before: not to be taken for more of the same */
		frame_send(b, other, 700), frame_send(other, b, 300), sim_run(sim, 100 * MS);
	struct carried c = port_carried(net->port);
	expect(sim, c.tx_frames >= 20, "B counted %" PRIu64 " frames", c.tx_frames);
	uint64_t some;
	sim_run(sim, 25 * SECOND);
	expect(sim, told_by(sim, b->secret->self.address, &some).tx_frames > before.tx_frames, "B waits for another session to tell");
	sim_run(sim, 75 * SECOND);
	c.tx_frames += before.tx_frames;
	c.tx_bytes += before.tx_bytes;
	c.rx_frames += before.rx_frames;
	c.rx_bytes += before.rx_bytes;
	told_is(sim, b->secret->self.address, &c, drops + dropped(net->port), "B joined again");
}

/* The controller has what the ports counted: in time, after a lossy minute, and at once when a node stops or leaves. */
static void traffic(uint64_t seed, char failed[256])
{
	struct sim *sim = sim_new(seed);
	sim->link = (struct link){.delay_min = 4 * MS, .delay_max = 6 * MS};
	if (world_new(sim, 3)) {
		struct host *a = world_member(sim, 0), *b = world_member(sim, 1), *m = world_member(sim, 2);
		expect(sim, frame_passes(a, b, 5 * SECOND) && frame_passes(a, m, 5 * SECOND), "no frame");
		sim->link.loss = 200;
		for (unsigned i = 0; i < 60; i++)
			frame_send(a, b, 500), frame_send(b, a, 100), frame_send(a, NULL, 60), sim_run(sim, SECOND);
		sim->link.loss = 0;
		sim_run(sim, 100 * SECOND);
		struct carried ca = port_carried(a->node->net[0]->port), cb = port_carried(b->node->net[0]->port);
		expect(sim, ca.tx_frames >= 122 && ca.tx_bytes >= 60 * 560, "A counted %" PRIu64 " frames", ca.tx_frames);
		told_is(sim, a->secret->self.address, &ca, dropped(a->node->net[0]->port), "A after some time");
		told_is(sim, b->secret->self.address, &cb, dropped(b->node->net[0]->port), "B after some time");
		for (unsigned i = 0; i < 20; i++)
			frame_send(a, b, 700), frame_send(b, a, 300), sim_run(sim, 100 * MS);
		sim_run(sim, SECOND);
		ca = port_carried(a->node->net[0]->port);
		cb = port_carried(b->node->net[0]->port);
		uint64_t drops_a = dropped(a->node->net[0]->port), drops_b = dropped(b->node->net[0]->port),
			 address = a->secret->self.address;
		sim->link.delay_min = sim->link.delay_max; /* a report that is overtaken by its good-bye is lost */
		host_stop(a);
		host_running = b;
		expect(sim, node_leave(b->node, sim->nwid, sim->now / MS) == 0, "B does not leave");
		host_running = NULL;
		sim_run(sim, 15 * SECOND);
		told_is(sim, address, &ca, drops_a, "A stopped");
		told_is(sim, b->secret->self.address, &cb, drops_b, "B left");
		again(sim, b, m, cb, drops_b);
	}
	finish(sim, failed);
}

const struct scenario scenarios_approval[] = {
    {"overtaken", "an approval comes before the answer that the member must wait", overtaken, 6},
    {"lost", "an approval is lost for 1.5 s", lost, 4},
    {"lost_long", "an approval is lost for 6 s", lost_long, 4},
    {"limits", "what the admin sets for a network is in force at its members", limits, 2},
    {"traffic", "what ports carried, as the controller has it", traffic, 4},
    {"topology", "direct, relayed and gone links as the controller sees them", topology, 4},
    {0},
};
