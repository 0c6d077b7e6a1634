/* scenarios_network.c: partitions, restarts, revocation, gossip and relaying in whole networks. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "test/sim/sim.h"

static void finish(struct sim *sim, char failed[256])
{
	memcpy(failed, sim->failed, 256);
	sim_free(sim);
}

static bool direct(struct host *a, struct host *b)
{
	const struct peer *peer = host_peer(a, b);
	const struct way *way = peer ? atomic_load(&peer->remote->way) : NULL;
	return way && !way->circuit && endpoint_equal(&way->to, &b->at);
}

static bool relayed(struct host *a, struct host *b)
{
	const struct peer *peer = host_peer(a, b);
	const struct way *way = peer ? atomic_load(&peer->remote->way) : NULL;
	return way && way->circuit;
}

/* All members exchange a frame with each other. */
static void all_pass(struct sim *sim, uint64_t within, const char *when)
{
	for (unsigned i = 0; i < world_members(sim); i++)
		for (unsigned k = 0; k < world_members(sim); k++)
			if (i != k)
				expect(sim, frame_passes(world_member(sim, i), world_member(sim, k), within), "%s: no frame from %u to %u",
				       when, i + 2, k + 2);
}

/* As ping does: one frame each 200 ms until one passes. What is sent while the other side's keys are gone is lost. */
static bool passes_again(struct host *from, struct host *to, uint64_t within)
{
	for (uint64_t end = from->sim->now + within; from->sim->now < end && !*from->sim->failed;)
		if (frame_passes(from, to, 200 * MS))
			return true;
	return false;
}

static void all_pass_again(struct sim *sim, uint64_t within, const char *when)
{
	for (unsigned i = 0; i < world_members(sim); i++)
		for (unsigned k = 0; k < world_members(sim); k++)
			if (i != k)
				expect(sim, passes_again(world_member(sim, i), world_member(sim, k), within), "%s: no frame from %u to %u",
				       when, i + 2, k + 2);
}

/* ---- partitions -------------------------------------------------------------------------------------------------------- */

/* The root is unreachable for ten minutes: direct paths go on without a loss, a member that restarts finds the others from its disk. */
static void partition(uint64_t seed, char failed[256])
{
	struct sim *sim = sim_new(seed);
	if (world_new(sim, 3)) {
		all_pass(sim, 5 * SECOND, "at first");
		sim_run(sim, 10 * SECOND);
		struct host *a = world_member(sim, 0), *b = world_member(sim, 1), *c = world_member(sim, 2);
		expect(sim, direct(a, b) && direct(b, a), "no direct path after 10 s");
		sim_isolate(sim, sim->root, true);
		size_t first = sim->n_frames;
		for (unsigned i = 0; i < 200 && !*sim->failed; i++) {
			frame_send(i & 1 ? a : b, i & 1 ? b : a, 100 + i);
			sim_run(sim, 3 * SECOND);
		}
		uint64_t got = frames_got(sim, first, 200);
		expect(sim, got == 200, "%" PRIu64 " of 200 frames without a root", got);
		host_kill(c);
		sim_run(sim, 2 * SECOND);
		host_start(c);
		expect(sim, sim_run_until(sim, 3 * SECOND, world_joined, c), "the restarted member is not JOINED from its disk");
		all_pass_again(sim, 3 * SECOND, "restarted without a root");
		sim_isolate(sim, sim->root, false);
		sim_run(sim, 40 * SECOND);
		for (unsigned i = 0; i < 3; i++)
			expect(sim,
			       peer_up(host_peer(world_member(sim, i), sim->root), CLASS_CTRL) &&
			           peer_up(host_peer(sim->root, world_member(sim, i)), CLASS_CTRL),
			       "member %u did not come back to the root", i + 2);
		all_pass(sim, 2 * SECOND, "healed");
	}
	finish(sim, failed);
}

/* ---- restarts ---------------------------------------------------------------------------------------------------------- */

/* Each is killed and started again; frames pass again within 3 s, and the last one lost its disk and its epoch (T26). */
static void restart(uint64_t seed, char failed[256])
{
	struct sim *sim = sim_new(seed);
	if (world_new(sim, 3)) {
		struct host *a = world_member(sim, 0), *b = world_member(sim, 1), *c = world_member(sim, 2);
		struct host *order[] = {a, sim->root, sim->controller, a, b};
		all_pass(sim, 5 * SECOND, "at first");
		sim_run(sim, 5 * SECOND);
		for (unsigned i = 0; i < 5 && !*sim->failed; i++) {
			host_kill(order[i]);
			sim_run(sim, sim_draw(sim, 2) * 30 * SECOND + sim_draw(sim, 2 * SECOND));
			host_start(order[i]);
			expect(sim, sim_run_until(sim, 3 * SECOND, world_joined, NULL), "not JOINED 3 s after restart %u", i);
			all_pass_again(sim, 3 * SECOND,
			               order[i] == sim->root         ? "after the root's restart"
			               : order[i] == sim->controller ? "after the controller's restart"
			                                             : "after a restart");
		}
		/* both at once, the root away */
		host_kill(a);
		host_kill(b);
		host_kill(sim->root);
		host_start(a);
		host_start(b);
		expect(sim, passes_again(a, c, 5 * SECOND) && passes_again(a, b, 5 * SECOND),
		       "two restarted members do not meet without a root");
		host_start(sim->root);
		sim_run(sim, 40 * SECOND);
		host_reflash(b);
		host_start(b);
		sim_run(sim, SECOND);
		uint64_t again = sim->now;
		node_join(b->node, sim->nwid, NULL, "", sim->now / 1000);
		b->next_us = sim->now;
		expect(sim, sim_run_until(sim, 30 * SECOND, world_joined, b), "a member that lost its disk does not come back");
		all_pass_again(sim, 5 * SECOND, "after a reflash");
		expect(sim, sim->now - again < 40 * SECOND, "the reflash took %" PRIu64 " s", (sim->now - again) / SECOND);
	}
	finish(sim, failed);
}

/* ---- revocation -------------------------------------------------------------------------------------------------------- */

struct revoked {
	struct host *member;
	uint64_t bytes; /* sent to it by members, straight */
};

static bool count_to(void *self, struct sim *sim, const struct host *from, const struct endpoint *to, const uint8_t *bytes, size_t len)
{
	struct revoked *r = self;
	(void)sim, (void)bytes;
	if (from->kind == HOST_NODE && endpoint_equal(to, &r->member->at))
		r->bytes += len;
	return true;
}

/* T54. One of n is revoked while it talks to all: 1 s and a round trip later nobody sends it a byte or takes a frame from it. */
static void revoke_one(struct sim *sim, unsigned n)
{
	struct host *bad = world_member(sim, n / 2);
	struct revoked watched = {.member = bad};
	struct admin_error error;
	size_t all = frame_send(bad, NULL, 100);
	sim_run(sim, 10 * SECOND);
	expect(sim, frames_got(sim, all, 1) == n - 1, "the broadcast before reached %" PRIu64 " of %u", frames_got(sim, all, 1), n - 1);
	expect(sim, !controller_member_revoke(sim->controller->controller, sim->nwid, bad->secret->self.address, NULL, &error),
	       "revoke: %s", error.detail);
	sim->controller->next_us = sim->now;
	uint64_t rtt = 2 * sim->link.delay_max;
	sim_run(sim, SECOND + rtt);
	sim->watch = count_to;
	sim->watch_self = &watched;
	size_t after = sim->n_frames;
	for (unsigned i = 0; i < n; i += 1 + n / 20) {
		struct host *h = world_member(sim, i);
		if (h == bad)
			continue;
		frame_send(h, bad, 100);
		frame_send(bad, h, 100);
		frame_send(h, NULL, 200);
	}
	frame_send(bad, NULL, 300);
	sim_run(sim, 30 * SECOND);
	for (size_t i = after; i < sim->n_frames; i++)
		expect(sim, !frame_got(sim, i, bad) && (sim->frame[i].from != bad->number || !frames_got(sim, i, 1)),
		       "frame %zu from %u passed after the revocation", i, sim->frame[i].from);
	expect(sim, !watched.bytes, "%" PRIu64 " bytes were sent to the revoked member", watched.bytes);
	struct host *x = world_member(sim, 0), *y = world_member(sim, n - 1);
	expect(sim, frame_passes(x, y, 2 * SECOND), "the others no longer talk");
	struct net_view view;
	expect(sim, node_network(bad->node, sim->nwid, &view) && view.state == NET_DENIED, "the revoked member is %s",
	       net_state_name(view.state));
}

static void revoke(uint64_t seed, char failed[256])
{
	struct sim *sim = sim_new(seed);
	if (world_new(sim, 5))
		revoke_one(sim, 5);
	finish(sim, failed);
}

static void revoke_100(uint64_t seed, char failed[256])
{
	struct sim *sim = sim_new(seed);
	if (world_new(sim, 100))
		revoke_one(sim, 100);
	finish(sim, failed);
}

/* T55. Only one member hears the controller; the others learn of a revocation from member to member along a chain. */
static void gossip(uint64_t seed, char failed[256])
{
	struct sim *sim = sim_new(seed);
	if (world_new(sim, 4)) {
		struct host *a = world_member(sim, 0), *b = world_member(sim, 1), *c = world_member(sim, 2), *bad = world_member(sim, 3);
		struct admin_error error;
		all_pass(sim, 5 * SECOND, "at first");
		sim_run(sim, 15 * SECOND);
		for (struct host **h = (struct host *[]){b, c, bad, NULL}; *h; h++) {
			sim_cut(sim, *h, sim->controller, true);
			sim_cut(sim, *h, sim->root, true);
		}
		sim_cut(sim, a, c, true); /* a - b - c */
		sim_cut(sim, a, bad, true);
		expect(sim, !controller_member_revoke(sim->controller->controller, sim->nwid, bad->secret->self.address, NULL, &error),
		       "revoke: %s", error.detail);
		sim->controller->next_us = sim->now;
		sim_run(sim, 4 * SECOND);
		size_t first = frame_send(bad, b, 100);
		frame_send(bad, c, 100);
		frame_send(c, bad, 100);
		sim_run(sim, 2 * SECOND);
		expect(sim, !frames_got(sim, first, 3), "%" PRIu64 " frames of a member whose revocation came by gossip passed",
		       frames_got(sim, first, 3));
		expect(sim, frame_passes(b, c, SECOND) && frame_passes(a, b, SECOND), "the others no longer talk");
	}
	finish(sim, failed);
}

/* ---- relaying ------------------------------------------------------------------------------------------------------------ */

/* Straight datagrams from a to b are lost, those from b to a are not: the root carries within 5 s, and the straight path is back when it can. */
static void oneway(uint64_t seed, char failed[256])
{
	struct sim *sim = sim_new(seed);
	if (world_new(sim, 2)) {
		struct host *a = world_member(sim, 0), *b = world_member(sim, 1);
		bool before = seed & 1; /* the two never met before, or have a direct path that breaks */
		if (before) {
			expect(sim, frame_passes(a, b, 5 * SECOND), "no frame at first");
			sim_run(sim, 5 * SECOND);
			expect(sim, direct(a, b), "no direct path at first");
		}
		sim_cut(sim, a, b, false);
		size_t first = sim->n_frames;
		for (unsigned i = 0; i < 100; i++) {
			frame_send(a, b, 100);
			frame_send(b, a, 100);
			sim_run(sim, 200 * MS);
		}
		uint64_t late = frames_got(sim, first + 50, 150);
		expect(sim, late == 150, "%" PRIu64 " of 150 frames from the sixth second on", late);
		expect(sim, relayed(a, b), "a still sends straight");
		sim_heal(sim, a, b);
		for (unsigned i = 0; i < 60 && !direct(a, b); i++) {
			frame_send(a, b, 100);
			sim_run(sim, SECOND);
		}
		expect(sim, direct(a, b), "the straight path is not used a minute after it was healed");
		expect(sim, frame_passes(a, b, SECOND) && frame_passes(b, a, SECOND), "no frame in the end");
	}
	finish(sim, failed);
}

/* A pair that only a root connects changes its circuit after half an hour and after 2^31 packets, and loses nothing by it. */
static void circuit_rekey(uint64_t seed, char failed[256])
{
	struct sim *sim = sim_new(seed);
	if (world_new(sim, 2)) {
		struct host *a = world_member(sim, 0), *b = world_member(sim, 1);
		sim_cut(sim, a, b, true);
		all_pass(sim, 10 * SECOND, "at first");
		sim_run(sim, 10 * SECOND);
		for (unsigned round = 0; round < 3 && !*sim->failed; round++) {
			struct peer *peer = host_peer(round == 2 ? b : a, round == 2 ? a : b);
			if (!expect(sim, relayed(a, b) && relayed(b, a), "round %u: not relayed", round))
				break;
			struct circuit *old = peer->path[peer->best].circuit;
			uint32_t idx = old->named.idx, seconds = round ? 20 : 32 * 60;
			if (round)
				atomic_store(&old->tx_seq, 1u << 31);
			size_t first = sim->n_frames;
			for (unsigned i = 0; i < seconds && !*sim->failed; i++) {
				frame_send(a, b, 100);
				frame_send(b, a, 100);
				sim_run(sim, SECOND);
			}
			uint64_t got = frames_got(sim, first, sim->n_frames - first);
			expect(sim, got == sim->n_frames - first, "round %u: %" PRIu64 " of %zu frames", round, got, sim->n_frames - first);
			expect(sim, relayed(a, b) && peer->path[peer->best].circuit->named.idx != idx,
			       "round %u: the old circuit is in use", round);
		}
	}
	finish(sim, failed);
}

/* ---- strangers --------------------------------------------------------------------------------------------------------- */

#define STRANGERS 1000

/* The directory in force names a thousand members nobody ever saw. */
static bool directory_invent(struct sim *sim, struct net *net)
{
	static uint8_t bytes[SECTION_MAX];
	static struct directory_entry entry[STRANGERS];
	for (unsigned i = 0; i < STRANGERS; i++) {
		entry[i] = (struct directory_entry){.address = (uint64_t)(i + 1) << 25 | sim_draw(sim, 1 << 25)};
		for (unsigned k = 0; k < KEY_HASH_BYTES; k++)
			entry[i].key_hash[k] = (uint8_t)sim_draw(sim, 256);
	}
	size_t len = section_members_encode(entry, STRANGERS, bytes, sizeof bytes);
	for (unsigned i = 0; len && i < net->manifest.n; i++) {
		if (net->manifest.section[i].id != SECTION_MEMBERS)
			continue;
		uint8_t *copy = malloc(len);
		if (!copy)
			return false;
		memcpy(copy, bytes, len);
		free(net->section[i].bytes);
		net->section[i].bytes = copy;
		net->section[i].len = (uint32_t)len;
		roster_apply(net);
		return true;
	}
	return false;
}

/* A controller that names a thousand fresh members twenty times over fills no memory and stops nothing (T76). */
static void strangers(uint64_t seed, char failed[256])
{
	struct sim *sim = sim_new(seed);
	if (world_new(sim, 2)) {
		struct host *a = world_member(sim, 0), *b = world_member(sim, 1);
		all_pass(sim, 5 * SECOND, "at first");
		struct net *net = net_find(a->node, sim->nwid);
		size_t before = a->node->peers.n, most = 0;
		for (unsigned i = 0; i < 20 && !*sim->failed; i++) {
			expect(sim, directory_invent(sim, net), "no section of members to replace");
			expect(sim, net->n_members >= STRANGERS, "only %u of the new members are listed", net->n_members);
			frame_send(a, NULL, 200);
			sim_run(sim, 300 * MS);
			most = a->node->peers.n > most ? a->node->peers.n : most;
		}
		expect(sim, most <= before + STRANGERS, "%zu peers, %zu before the strangers", most, before);
		for (unsigned i = 0; i < net->manifest.n; i++)
			if (net->manifest.section[i].id == SECTION_MEMBERS)
				net->section[i].len = 1, net->section[i].bytes[0] = 0x90; /* nobody */
		roster_apply(net);
		expect(sim, a->node->peers.n <= before, "%zu peers are left, %zu before the strangers", a->node->peers.n, before);
		expect(sim, !a->node->waiting_bytes, "%zu bytes of frames still wait for strangers", a->node->waiting_bytes);
		expect(sim, passes_again(a, b, 5 * SECOND), "no frame after the strangers");
	}
	finish(sim, failed);
}

/* Peers made for nothing are swept away, those that are in use or remembered stay. */
static void sweep(uint64_t seed, char failed[256])
{
	enum { STRAYS = 3000 };
	struct sim *sim = sim_new(seed);
	if (world_new(sim, 2)) {
		struct host *a = world_member(sim, 0), *b = world_member(sim, 1);
		all_pass(sim, 5 * SECOND, "at first");
		size_t before = a->node->peers.n;
		for (unsigned i = 0; i < STRAYS; i++) {
			struct identity who = {.address = i + 1};
			for (unsigned k = 0; k < 32; k++)
				who.x[k] = (uint8_t)sim_draw(sim, 256), who.ed[k] = (uint8_t)sim_draw(sim, 256);
			identity_hash(&who);
			struct peer *peer = peer_get(a->node, &who);
			if (i == 0)
				peer_remember_endpoint(peer, &b->at);
		}
		expect(sim, a->node->peers.n == before + STRAYS, "%zu peers", a->node->peers.n);
		sim_run(sim, 15 * SECOND);
		expect(sim, a->node->peers.n == before + 1, "%zu peers are left, %zu before", a->node->peers.n, before);
		sim_run(sim, 25 * HOUR);
		expect(sim, a->node->peers.n <= before, "%zu peers are left a day later, %zu before", a->node->peers.n, before);
		expect(sim, passes_again(a, b, 10 * SECOND), "no frame a day later");
	}
	finish(sim, failed);
}

static unsigned incomings(const struct peer *called)
{
	unsigned n = 0;
	for (unsigned i = 0; i < REQUESTS_MAX; i++)
		n += called->request[i] && called->request[i]->op == OP_INCOMING;
	return n;
}

/* One caller's forty CONNECTs to one node become ten INCOMINGs; the next caller is not in their way (T77). */
static void connects(uint64_t seed, char failed[256])
{
	struct sim *sim = sim_new(seed);
	if (world_new(sim, 3)) {
		sim_run(sim, 15 * SECOND);
		struct peer *called = host_peer(sim->root, world_member(sim, 2));
		unsigned had = incomings(called), circuits = host_peer(sim->root, world_member(sim, 0))->n_calls;
		for (unsigned k = 0; k < 2; k++) {
			struct peer *caller = host_peer(sim->root, world_member(sim, k));
			struct session *s = caller ? peer_session(caller, CLASS_CTRL) : NULL;
			uint8_t first[INIT_MIN] = {0}, body[BODY_MAX];
			if (!expect(sim, s && peer_up(called, CLASS_CTRL), "member %u has no session with the root", k + 2))
				break;
			for (unsigned i = 0; i < 40; i++) {
				struct body_connect c = {.address = called->identity.address,
				                         .key_hash_set = true,
				                         .rx_idx = 1000 + i * 16,
				                         .first = first,
				                         .first_len = sizeof first};
				memcpy(c.key_hash, called->identity.key_hash, KEY_HASH_BYTES);
				size_t len = body_connect_encode(&c, body, sizeof body);
				expect(sim, len, "no CONNECT");
				relay_connect(caller, s, 1000000 + i, body, len);
			}
			expect(sim, incomings(called) == had + 10 * (k + 1), "%u INCOMINGs after caller %u", incomings(called) - had, k);
			expect(sim, caller->n_calls >= 40, "%u circuits", caller->n_calls);
		}
		sim_run(sim, 10 * SECOND);
		unsigned left = host_peer(sim->root, world_member(sim, 0))->n_calls;
		expect(sim, left <= circuits, "%u circuits are left, %u before: nobody accepted them", left, circuits);
	}
	finish(sim, failed);
}

/* Two identities with one address: the first seen has it, after each restart of the root too, however their keys sort. */
static void first_seen(uint64_t seed, char failed[256])
{
	enum { CASES = 24, RUNS = 3 };
	struct sim *sim = sim_new(seed);
	if (world_new(sim, 2)) {
		struct identity who[CASES][2] = {0};
		for (unsigned i = 0; i < CASES; i++)
			for (unsigned k = 0; k < 2; k++) {
				for (unsigned b = 0; b < 32; b++)
					who[i][k].x[b] = (uint8_t)sim_draw(sim, 256), who[i][k].ed[b] = (uint8_t)sim_draw(sim, 256);
				identity_hash(&who[i][k]);
				who[i][k].address = 0x1000000 + i;
				peer_set_work(peer_get(sim->root->node, &who[i][k]), who[i][k].address);
			}
		for (unsigned run = 0; run < RUNS; run++) {
			state_save_peers(sim->root->node);
			sim_run(sim, 2 * SECOND);
			host_kill(sim->root);
			host_start(sim->root);
			expect(sim, sim->root->node->restart_left == 3, "%u are called after the restart", sim->root->node->restart_left);
			for (unsigned i = 0; i < CASES; i++) {
				const struct peer *holder = peer_find_address(sim->root->node, who[i][0].address);
				expect(sim, holder && !memcmp(holder->identity.key_hash, who[i][0].key_hash, KEY_HASH_BYTES),
				       "restart %u: address %u is another's", run, i);
			}
			sim_run(sim, 10 * SECOND);
		}
	}
	finish(sim, failed);
}

const struct scenario scenarios_network[] = {
    {"partition", "ten minutes without a root", partition, 3},
    {"restart", "nodes, root and controller killed and started again, a disk lost", restart, 6},
    {"revoke", "one of 5 revoked while it talks to all", revoke, 5},
    {"revoke100", "one of 100 revoked while it talks to all", revoke_100, 1},
    {"gossip", "a revocation that only one member hears of", gossip, 5},
    {"oneway", "direct path blocked in one direction", oneway, 8},
    {"circuit", "circuits are replaced after 30 minutes and 2^31 packets", circuit_rekey, 2},
    {"strangers", "a directory of 1000 new members, 20 times", strangers, 1},
    {"sweep", "3000 peers nobody needs", sweep, 2},
    {"connects", "forty CONNECTs of two callers to one node", connects, 2},
    {"first_seen", "two identities of one address at a root that restarts", first_seen, 3},
    {0},
};
