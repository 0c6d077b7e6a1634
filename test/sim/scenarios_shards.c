/* scenarios_shards.c: a few real nodes in a network whose directory names two thousand others that nobody ever meets. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "test/sim/sim.h"

#define LISTED 2000

static struct identity listed_identity(unsigned i)
{
	struct identity who = {.address = UINT64_C(0x2000000000) + i * UINT64_C(977)};
	le32_to(who.x, i + 1);
	le32_to(who.ed, i + 1);
	identity_hash(&who);
	return who;
}

static void flags_set(struct sim *sim, uint32_t on, uint32_t off)
{
	struct network_settings s = {.set = SET_NET_FLAGS, .flags_on = on, .flags_off = off};
	struct admin_error error = {0};
	expect(sim, !controller_network_set(sim->controller->controller, sim->nwid, &s, &error), "set: %s", error.detail);
}

static void join_one(struct sim *sim, unsigned i)
{
	uint8_t body[BODY_MAX];
	struct body_join_req req = {.nwid = sim->nwid, .identity = listed_identity(i), .hostname = "listed"};
	struct message m = {.req = 1, .op = OP_JOIN_REQ, .body = body, .len = body_join_req_encode(&req, body, sizeof body)};
	controller_request(sim->controller->controller, &req.identity, &sim->root->at, &m, sim->now / 1000, sim->wall_s);
	sim->controller->next_us = sim->now;
}

/* Rows of members that asked, were let in, and went. */
static void rows_make(struct sim *sim)
{
	struct controller *c = sim->controller->controller;
	struct controller_limits limits = {.members = MEMBERS_MAX};
	controller_limits_set(c, &limits);
	flags_set(sim, NETWORK_PUBLIC, 0);
	for (unsigned i = 0; i < LISTED; i++)
		join_one(sim, i);
	flags_set(sim, 0, NETWORK_PUBLIC);
	sim->controller->next_us = sim->now;
}

static struct net *net_of(const struct sim *sim, const struct host *h)
{
	return net_find(h->node, sim->nwid);
}

static unsigned shards_of(const struct net *net)
{
	unsigned n = 0;
	for (unsigned i = 0; i < net->manifest.n; i++)
		n += net->manifest.section[i].id - (unsigned)SECTION_MEMBERS_SHARD < SHARDS;
	return n;
}

struct pieces {
	const struct host *to;
	uint64_t bytes;
};

static bool count_bytes(void *self, struct sim *sim, const struct host *from, const struct endpoint *to, const uint8_t *bytes, size_t len)
{
	struct pieces *p = self;
	(void)bytes;
	if (sim_host_at(sim, to) == p->to && from != p->to)
		p->bytes += len;
	return true;
}

static void rename_one(struct sim *sim, const struct host *h, unsigned n)
{
	struct member_settings s = {.set = SET_MEMBER_NAME | SET_MEMBER_FLAGS, .flags_on = n & 1 ? MEMBER_RELAY : 0};
	struct admin_error error = {0};
	s.flags_off = n & 1 ? 0 : MEMBER_RELAY;
	snprintf(s.name, sizeof s.name, "name %u", n);
	expect(sim, !controller_member_set(sim->controller->controller, sim->nwid, h->secret->self.address, &s, &error), "set: %s",
	       error.detail);
	sim->controller->next_us = sim->now;
}

static void talked(struct peer *peer, void *self)
{
	unsigned *n = self;
	*n += peer->talk != NULL;
}

/* All of them in shards, hardly anything made for whom nobody talks to, a change costs a shard, broadcast reaches who is there, and a
 * revoked one is out. */
static void shards(uint64_t seed, char failed[256])
{
	struct sim *sim = sim_new(seed);
	struct admin_error error = {0};
	if (world_new(sim, 4)) {
		struct host *a = world_member(sim, 0), *b = world_member(sim, 1), *bad = world_member(sim, 3);
		struct pieces pieces = {.to = b};
		rows_make(sim);
		sim_run(sim, 20 * SECOND);
		for (unsigned i = 0; i < 4; i++) {
			const struct net *net = net_of(sim, world_member(sim, i));
			unsigned talks = 0;
			peers_each(world_member(sim, i)->node, talked, &talks);
			expect(sim, net->n_members == LISTED + 3 && shards_of(net) == SHARDS && net->listed,
			       "member %u: %u members in %u shards", i, net->n_members, shards_of(net));
			expect(sim, talks < 16, "member %u talks to %u peers", i, talks);
		}
		sim_run(sim, 20 * SECOND); /* all have told the controller what they take */
		size_t all = frame_send(a, NULL, 200);
		sim_run(sim, 10 * SECOND);
		expect(sim, frames_got(sim, all, 1) == 3, "broadcast reached %" PRIu64 " of 3", frames_got(sim, all, 1));
		all = frame_send(a, NULL, 200);
		sim_run(sim, SECOND);
		expect(sim, frames_got(sim, all, 1) == 3, "the second one reached %" PRIu64 " of 3", frames_got(sim, all, 1));
		unsigned talks = 0;
		peers_each(a->node, talked, &talks);
		expect(sim, talks < 16, "a broadcast made %u peers to talk to", talks);
		sim->watch = count_bytes;
		sim->watch_self = &pieces;
		uint64_t version = net_of(sim, b)->head.version;
		rename_one(sim, a, 1);
		sim_run(sim, 6 * SECOND);
		sim->watch = NULL;
		expect(sim, net_of(sim, b)->head.version > version, "no new HEAD after a change");
		expect(sim, pieces.bytes < 60000, "a change brought %" PRIu64 " bytes", pieces.bytes);
		expect(sim, frame_passes(bad, b, 5 * SECOND) && frame_passes(a, bad, 5 * SECOND), "no frame before the revocation");
		expect(sim, !controller_member_revoke(sim->controller->controller, sim->nwid, bad->secret->self.address, NULL, &error),
		       "revoke: %s", error.detail);
		sim->controller->next_us = sim->now;
		sim_run(sim, SECOND + 2 * sim->link.delay_max);
		expect(sim, !frame_passes(bad, b, 2 * SECOND) && !frame_passes(a, bad, 2 * SECOND), "a frame of who was revoked");
		expect(sim, frame_passes(a, b, SECOND), "no frame after the revocation");
		/* from the disk, while the controller is away */
		sim_isolate(sim, sim->controller, true);
		host_kill(b);
		sim_run(sim, SECOND);
		host_start(b);
		expect(sim, sim_run_until(sim, 5 * SECOND, world_joined, b), "not JOINED from its disk");
		expect(sim, net_of(sim, b)->n_members == LISTED + 2, "%u members from the disk", net_of(sim, b)->n_members);
	}
	snprintf(failed, 256, "%s", sim->failed);
	sim_free(sim);
}

/* A newcomer gets its directory of many pieces although a newer HEAD comes all the time. */
static void shards_busy(uint64_t seed, char failed[256])
{
	struct sim *sim = sim_new(seed);
	if (world_new(sim, 2)) {
		rows_make(sim);
		sim_run(sim, 20 * SECOND);
		struct host *d = host_new(sim, HOST_NODE);
		sim->link.delay_min = 100 * MS; /* the pieces take longer than it is from one HEAD to the next */
		sim->link.delay_max = 150 * MS;
		host_start(d);
		struct network_settings open = {.set = SET_NET_FLAGS, .flags_on = NETWORK_PUBLIC};
		struct admin_error error = {0};
		expect(sim, !controller_network_set(sim->controller->controller, sim->nwid, &open, &error), "set: %s", error.detail);
		node_join(d->node, sim->nwid, NULL, "", sim->now / 1000);
		d->next_us = sim->now;
		unsigned heads = 0;
		uint64_t seen = 0;
		for (unsigned i = 0; i < 120 && !*sim->failed; i++) {
			join_one(sim, LISTED + i);
			sim_run(sim, 250 * MS);
			const struct net *net = net_of(sim, d);
			heads += net->floor_ok && net->floor.version != seen;
			seen = net->floor_ok ? net->floor.version : seen;
			if (net->head_ok && net->n_members >= LISTED)
				break;
		}
		expect(sim, net_of(sim, d)->head_ok && net_of(sim, d)->n_members >= LISTED, "a newcomer has %u members after %u HEADs",
		       net_of(sim, d)->n_members, heads);
		expect(sim, heads >= 2, "only %u HEADs came meanwhile", heads);
	}
	snprintf(failed, 256, "%s", sim->failed);
	sim_free(sim);
}

static bool fetches(struct sim *sim, void *self)
{
	const struct net *net = net_of(sim, self);
	return net && net->fetch.sections_known && net->fetch.in_flight;
}

static bool has_all(struct sim *sim, void *self)
{
	const struct net *net = net_of(sim, self);
	return net && net->head_ok && net->n_members >= LISTED;
}

/* It is left, or the node dies, while the directory is on its way: answers come to a network that is not there, or is another one by now. */
static void shards_left(uint64_t seed, char failed[256])
{
	struct sim *sim = sim_new(seed);
	if (world_new(sim, 2)) {
		rows_make(sim);
		struct host *d = host_new(sim, HOST_NODE);
		sim->link.delay_min = 100 * MS;
		sim->link.delay_max = 150 * MS;
		flags_set(sim, NETWORK_PUBLIC, 0);
		sim_run(sim, 20 * SECOND);
		host_start(d);
		for (unsigned i = 0; i < 6; i++) {
			host_running = d;
			node_join(d->node, sim->nwid, NULL, "", sim->now / 1000);
			host_running = NULL;
			d->next_us = sim->now;
			expect(sim, sim_run_until(sim, MINUTE, fetches, d), "round %u: nothing is fetched", i);
			sim_run(sim, sim_draw(sim, 400 * MS));
			if (i == 4) {
				host_kill(d);
				host_start(d);
				continue;
			}
			host_running = d;
			if (i < 5)
				expect(sim, !node_leave(d->node, sim->nwid, sim->now / 1000), "leave");
			host_running = NULL;
			d->next_us = sim->now;
			sim_run(sim, sim_draw(sim, 300 * MS));
		}
		expect(sim, sim_run_until(sim, MINUTE, has_all, d), "the directory never came");
	}
	snprintf(failed, 256, "%s", sim->failed);
	sim_free(sim);
}

const struct scenario scenarios_shards[] = {
    {"shards", "a few nodes in a network of two thousand listed", shards, 2},
    {"shards_busy", "a newcomer to it while it changes all the time", shards_busy, 2},
    {"shards_left", "... which is left again and again while its directory comes", shards_left, 2},
    {0},
};
