/* scenarios_discovery.c: members that find each other on their LAN, and a root that is found by its name. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/beacon.h"
#include "test/sim/sim.h"

static void finish(struct sim *sim, char failed[256])
{
	memcpy(failed, sim->failed, 256);
	sim_free(sim);
}

static struct sim *lan_new(uint64_t seed)
{
	struct sim *sim = sim_new(seed);
	sim->lan = true;
	return sim;
}

static bool direct(struct host *a, struct host *b)
{
	const struct peer *peer = host_peer(a, b);
	const struct way *way = peer ? atomic_load(&peer->remote->way) : NULL;
	return way && !way->circuit && endpoint_equal(&way->to, &b->at);
}

static bool passes_again(struct host *from, struct host *to, uint64_t within)
{
	for (uint64_t end = from->sim->now + within; from->sim->now < end && !*from->sim->failed;)
		if (frame_passes(from, to, 200 * MS))
			return true;
	return false;
}

static void move(struct host *h, uint8_t last)
{
	h->at.ip[3] = last;
}

/* No root, no controller, and nobody is where he was: what is in the caches is of no use. Nor need they ever have talked: the directory names
 * both, and their own calls bring the keys. */
static void lan(uint64_t seed, char failed[256])
{
	struct sim *sim = lan_new(seed);
	if (world_new(sim, 2)) {
		struct host *a = world_member(sim, 0), *b = world_member(sim, 1);
		expect(sim, seed & 4 || frame_passes(a, b, 5 * SECOND), "no frame at first");
		sim_run(sim, 10 * SECOND);
		expect(sim, !(seed & 4) || !host_peer(a, b)->current[CLASS_DATA], "they have met");
		sim->link.loss = seed % 3 ? 0 : 100;
		host_kill(sim->root);
		host_kill(sim->controller);
		host_kill(a);
		host_kill(b);
		move(a, 100);
		move(b, 101);
		host_start(seed & 1 ? a : b);
		sim_run(sim, sim_draw(sim, 20 * SECOND));
		host_start(seed & 1 ? b : a);
		struct host *from = seed & 2 ? a : b, *to = seed & 2 ? b : a;
		expect(sim, sim_run_until(sim, SECOND, world_joined, NULL), "not JOINED from disk");
		expect(sim, passes_again(from, to, 5 * SECOND), "no frame within 5 s of the restart");
		expect(sim, passes_again(to, from, SECOND), "no frame back");
		expect(sim, direct(a, b) && direct(b, a), "they do not talk straight");
		/* One of them moves on while they talk, and its own calls say so. */
		host_kill(a);
		move(a, 77);
		host_start(a);
		expect(sim, passes_again(b, a, 5 * SECOND), "no frame to the one that moved");
	}
	finish(sim, failed);
}

/* ---- liars and noise --------------------------------------------------------------------------------------------------- */

struct spy {
	const struct endpoint *at; /* what members send there is counted */
	uint64_t inits;
};

static bool spy_watch(void *self, struct sim *sim, const struct host *from, const struct endpoint *to, const uint8_t *bytes, size_t len)
{
	struct spy *spy = self;
	(void)sim, (void)bytes, (void)len;
	spy->inits += from->kind == HOST_NODE && !memcmp(to->ip, spy->at->ip, sizeof to->ip);
	return true;
}

static void replay(uint64_t seed, char failed[256])
{
	struct sim *sim = lan_new(seed);
	if (world_new(sim, 2)) {
		struct host *a = world_member(sim, 0), *b = world_member(sim, 1);
		struct endpoint liar = {.family = 4, .ip = {198, 18, 99, 9}}, at_b = b->at;
		struct spy spy = {.at = &liar};
		at_b.port = LAN_PORT;
		expect(sim, frame_passes(a, b, 5 * SECOND), "no frame at first");
		sim_run(sim, 10 * SECOND);
		host_kill(sim->root);
		host_kill(a);
		/* As a's next life would call, but from elsewhere. */
		const struct net *net = net_find(b->node, sim->nwid);
		struct beacon call = {.address = a->secret->self.address, .port4 = 1234, .epoch = a->epoch + 1, .seq = 1};
		uint8_t bytes[BEACON_BYTES];
		memcpy(call.x, a->secret->self.x, sizeof call.x);
		memcpy(call.ed, a->secret->self.ed, sizeof call.ed);
		beacon_create(net->gate, &call, NULL, bytes);
		sim->watch = spy_watch;
		sim->watch_self = &spy;
		frame_send(b, a, 100); /* business, so that it draws what it can */
		for (unsigned i = 0; i < 600 && !*sim->failed; i++) {
			sim_inject(sim, &liar, &at_b, bytes, sizeof bytes, 0);
			sim_run(sim, 100 * MS);
		}
		expect(sim, spy.inits == 1, "%" PRIu64 " datagrams to the liar in a minute", spy.inits);
		sim_run(sim, 5 * MINUTE);
		spy.inits = 0;
		for (unsigned i = 0; i < 600 && !*sim->failed; i++) {
			sim_inject(sim, &liar, &at_b, bytes, sizeof bytes, 0);
			sim_run(sim, 100 * MS);
		}
		expect(sim, spy.inits == 0, "%" PRIu64 " datagrams for replays that nobody waits for", spy.inits);
		expect(sim, host_drops(b, DROP_BEACON) >= 1000, "replays are not counted");
	}
	finish(sim, failed);
}

static void noise(uint64_t seed, char failed[256])
{
	struct sim *sim = lan_new(seed);
	if (world_new(sim, 2)) {
		struct host *b = world_member(sim, 1);
		struct endpoint liar = {.family = 4, .ip = {198, 18, 99, 9}}, at_b = b->at;
		struct spy spy = {.at = &liar};
		uint8_t bytes[128];
		at_b.port = LAN_PORT;
		sim_run(sim, 30 * SECOND);
		sim->watch = spy_watch;
		sim->watch_self = &spy;
		uint64_t before = host_drops(b, DROP_BEACON), rate = host_drops(b, DROP_BEACON_RATE);
		for (unsigned i = 0; i < 2000 && !*sim->failed; i++) {
			size_t len = i & 1 ? BEACON_BYTES : (size_t)sim_draw(sim, sizeof bytes);
			for (size_t k = 0; k < sizeof bytes; k++)
				bytes[k] = (uint8_t)sim_draw(sim, 256);
			sim_inject(sim, &liar, &at_b, bytes, len, 0);
			sim_run(sim, MS);
		}
		expect(sim, spy.inits == 0, "%" PRIu64 " answers to noise", spy.inits);
		expect(sim, host_drops(b, DROP_BEACON) - before + host_drops(b, DROP_BEACON_RATE) - rate >= 2000, "noise is not counted");
		expect(sim, host_drops(b, DROP_BEACON_RATE) > rate + 500, "no limit on what is tried");
	}
	finish(sim, failed);
}

/* Thirty neighbours with a root who do not talk. */
static void quiet(uint64_t seed, char failed[256])
{
	struct sim *sim = lan_new(seed);
	if (world_new(sim, 30)) {
		uint64_t before[SIM_HOSTS];
		sim_run(sim, 15 * MINUTE);
		for (unsigned i = 0; i < 30; i++)
			before[i] = world_member(sim, i)->called;
		sim_run(sim, HOUR);
		for (unsigned i = 0; i < 30; i++) {
			uint64_t n = world_member(sim, i)->called - before[i];
			expect(sim, n >= 9 && n <= 16, "host %u called %" PRIu64 " times in an hour", i + 2, n);
			for (unsigned k = 0; k < 30; k++) {
				const struct peer *peer = k == i ? NULL : host_peer(world_member(sim, i), world_member(sim, k));
				expect(sim, !peer || !peer_up(peer, CLASS_DATA), "%u and %u keep a session for nothing", i + 2, k + 2);
			}
		}
	}
	finish(sim, failed);
}

/* A revoked member calls as if nothing had happened: nobody hears it. */
static void revoked(uint64_t seed, char failed[256])
{
	struct sim *sim = lan_new(seed);
	if (world_new(sim, 3)) {
		struct host *a = world_member(sim, 0), *b = world_member(sim, 1);
		struct admin_error error = {0};
		expect(sim, frame_passes(a, b, 5 * SECOND), "no frame at first");
		enum admin_status status =
		    controller_member_revoke(sim->controller->controller, sim->nwid, a->secret->self.address, NULL, &error);
		expect(sim, status == ADMIN_OK, "revoking: %s", error.title);
		sim->controller->next_us = sim->now;
		sim_run(sim, 10 * SECOND);
		host_kill(sim->root);
		host_kill(a);
		move(a, 100);
		struct spy spy = {.at = &a->at};
		host_start(a);
		sim->watch = spy_watch;
		sim->watch_self = &spy;
		sim_run(sim, 2 * MINUTE);
		expect(sim, spy.inits == 0, "%" PRIu64 " datagrams to who was revoked", spy.inits);
	}
	finish(sim, failed);
}

/* ---- names --------------------------------------------------------------------------------------------------------------- */

static bool root_up(struct host *h)
{
	const struct peer *root = h->node ? h->node->root[0] : NULL;
	return root && peer_up(root, CLASS_CTRL) && root->best >= 0;
}

static bool root_down(struct sim *sim, void *host)
{
	(void)sim;
	return !root_up(host);
}

static bool root_back(struct sim *sim, void *host)
{
	struct host *h = host;
	const struct peer *root = h->node->root[0];
	return root_up(h) && endpoint_equal(&root->path[root->best].to, &sim->root->at);
}

static struct sim *named_new(uint64_t seed)
{
	struct sim *sim = sim_new(seed);
	sim->root_name = "root.example.org";
	sim->name_at[0] = (struct endpoint){.family = 4, .ip = {198, 18, 0, 7}};
	sim->name_at[1] = (struct endpoint){.family = 6, .ip = {0x20, 0x01, 0x0d, 0xb8}};
	sim->n_name_at = 2;
	return sim;
}

static void reason_take(void *self, const struct root_view *v)
{
	snprintf(self, sizeof v->reason, "%s", v->reason);
}

/* The root's machine gets another address, and its name follows. */
static void named(uint64_t seed, char failed[256])
{
	struct sim *sim = named_new(seed);
	char why[160];
	if (world_new(sim, 1)) {
		struct host *a = world_member(sim, 0);
		expect(sim, a->looked_up == 1, "%u look-ups to join", a->looked_up);
		sim_run(sim, HOUR);
		expect(sim, a->looked_up >= 2 && a->looked_up <= 3, "%u look-ups in an hour with a root that answers", a->looked_up);
		host_reflash(sim->root); /* or it would call its nodes from its new place */
		sim->root->at.ip[3] = 99;
		sim->name_at[0].ip[3] = 99;
		host_start(sim->root);
		uint64_t since = sim->now;
		expect(sim, sim_run_until(sim, 2 * MINUTE, root_down, a), "it does not notice");
		uint64_t died = sim->now;
		expect(sim, sim_run_until(sim, MINUTE, root_back, a), "not found at its new address %" PRIu64 " s after it was given up",
		       (sim->now - died) / SECOND);
		expect(sim, sim->now - since < 2 * MINUTE, "%" PRIu64 " s after it moved", (sim->now - since) / SECOND);

		/* The resolver dies as well: what is known stays, and it is asked ever more rarely. */
		host_kill(sim->root);
		sim->n_name_at = 0;
		sim_run(sim, 5 * MINUTE);
		node_roots(a->node, reason_take, why);
		expect(sim, strstr(why, "root.example.org"), "the reason says '%s'", why);
		unsigned before = a->looked_up;
		sim_run(sim, HOUR);
		expect(sim, a->looked_up - before >= 5 && a->looked_up - before <= 9, "%u look-ups in an hour in vain",
		       a->looked_up - before);
		host_start(sim->root);
		expect(sim, sim_run_until(sim, MINUTE, root_back, a), "the old address was forgotten");
		node_roots(a->node, reason_take, why);
		expect(sim, !*why, "a root that answers has a reason: '%s'", why);
	}
	finish(sim, failed);
}

/* A name that leads into our own network, as a wrong DNS or a liar may say. */
static void named_inside(uint64_t seed, char failed[256])
{
	struct sim *sim = named_new(seed);
	char why[160];
	if (world_new(sim, 1)) {
		struct host *a = world_member(sim, 0);
		struct endpoint inside = {.family = 4, .ip = {10, 20, 0, 77}};
		struct spy spy = {.at = &inside};
		host_kill(sim->root);
		sim->name_at[0] = inside;
		sim->n_name_at = 1;
		sim->watch = spy_watch;
		sim->watch_self = &spy;
		sim_run(sim, 5 * MINUTE);
		expect(sim, a->looked_up >= 2, "not looked up again");
		expect(sim, spy.inits == 0, "%" PRIu64 " INITs into the overlay", spy.inits);
		node_roots(a->node, reason_take, why);
		expect(sim, strstr(why, "network of ours"), "the reason says '%s'", why);
	}
	finish(sim, failed);
}

const struct scenario scenarios_discovery[] = {
    {"lan", "two members of an isolated LAN restart elsewhere", lan, 24},
    {"lan_replay", "calls recorded and played again", replay, 4},
    {"lan_noise", "garbage on the beacons' port", noise, 4},
    {"lan_quiet", "thirty neighbours who do not talk", quiet, 1},
    {"lan_revoked", "a revoked neighbour calls", revoked, 4},
    {"named", "a root behind a name moves, and its name dies", named, 4},
    {"named_inside", "a root's name leads into our own network", named_inside, 2},
    {0},
};
