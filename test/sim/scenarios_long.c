/* scenarios_long.c: hours and days of virtual time, and that a seed and nothing else decides what happens. */
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

/* ---- the same again ----------------------------------------------------------------------------------------------- */

static uint64_t digest_of(uint64_t seed, int64_t offset, uint64_t *ret_sent, char failed[256])
{
	struct sim *sim = sim_new(seed);
	wall_offset = offset;
	if (world_new(sim, 3)) {
		sim->link = (struct link){.loss = 200, .dup = 50, .delay_min = MS, .delay_max = 50 * MS};
		for (unsigned i = 0; i < 100; i++) {
			struct host *from = world_member(sim, (unsigned)sim_draw(sim, 3));
			frame_send(from, i % 3 ? NULL : world_member(sim, (from->number - 1) % 3), 60 + sim_draw(sim, 1000));
			wall_offset = -wall_offset; /* and it jumps */
			sim_run(sim, sim_draw(sim, 300 * MS));
		}
	}
	uint64_t digest = sim->digest;
	*ret_sent = sim->sent;
	wall_offset = 0;
	memcpy(failed, sim->failed, 256);
	sim_free(sim);
	return digest;
}

/* The same seed gives the same datagrams, byte for byte; another gives others. */
static void reproducible(uint64_t seed, char failed[256])
{
	uint64_t sent[3];
	uint64_t a = digest_of(seed, 0, &sent[0], failed);
	uint64_t b = *failed ? a : digest_of(seed, 0, &sent[1], failed);
	uint64_t c = *failed ? ~a : digest_of(seed + 1000000, 0, &sent[2], failed);
	if (!*failed && (a != b || sent[0] != sent[1]))
		snprintf(failed, 256, "%" PRIu64 " datagrams, then %" PRIu64 " others", sent[0], sent[1]);
	if (!*failed && a == c)
		snprintf(failed, 256, "another seed gave the same datagrams");
}

/* T25. The time of day is 1970, then 2100, and jumps at each frame: not one datagram changes, INIT timestamps included. */
static void wall(uint64_t seed, char failed[256])
{
	uint64_t sent[3];
	uint64_t now = digest_of(seed, 0, &sent[0], failed);
	uint64_t past = *failed ? now : digest_of(seed, -1700000000, &sent[1], failed);
	uint64_t future = *failed ? now : digest_of(seed, 2400000000, &sent[2], failed);
	if (!*failed && (now != past || now != future))
		snprintf(failed, 256, "the wall clock changed what was sent (%" PRIu64 ", %" PRIu64 ", %" PRIu64 " datagrams)", sent[0],
		         sent[1], sent[2]);
}

/* ---- rekeys ---------------------------------------------------------------------------------------------------------- */

/* Traffic both ways while keys are renewed ten times: no frame is lost or doubled. */
static void rekey(uint64_t seed, char failed[256])
{
	struct sim *sim = sim_new(seed);
	if (world_new(sim, 2)) {
		struct host *a = world_member(sim, 0), *b = world_member(sim, 1);
		expect(sim, frame_passes(a, b, 5 * SECOND), "no frame at first");
		sim_run(sim, 10 * SECOND);
		const struct session *last = NULL;
		uint64_t born = 0;
		unsigned keys = 0;
		size_t first = sim->n_frames, n = 0;
		for (; keys < 11 && n < 30000 && !*sim->failed; n++) {
			frame_send(n & 1 ? a : b, n & 1 ? b : a, 60 + n % 1300);
			sim_run(sim, 50 * MS + sim_draw(sim, 150 * MS));
			const struct session *s = host_peer(a, b)->current[CLASS_DATA];
			if (s && (s != last || s->born_ms != born)) {
				keys++;
				last = s;
				born = s->born_ms;
			}
		}
		sim_run(sim, SECOND);
		uint64_t took = (sim->now - sim->frame[first].at) / SECOND;
		expect(sim, keys == 11 && took > 9 * 120 && took < 11 * 180, "%u keys in %" PRIu64 " s", keys, took);
		uint64_t got = frames_got(sim, first, n);
		expect(sim, got == n, "%" PRIu64 " of %zu frames over %u keys", got, n, keys);
		expect(sim, world_paired(sim, a, b), "two sessions in use");
	}
	finish(sim, failed);
}

/* ---- nobody talks ---------------------------------------------------------------------------------------------------------- */

#define QUIET_MEMBERS 6
#define HEADERS       28 /* of IPv4 and UDP */
#define ROOT_BPS      24 /* a question to the root in 25 s, and one by it to a controller that cannot be reached straight */
#define PAIR_BPS      1

struct meter {
	uint64_t root[SIM_HOSTS], pair[SIM_HOSTS][SIM_HOSTS];
};

/* Bytes by who sends them to whom, both ways together. */
static bool meter_watch(void *self, struct sim *sim, const struct host *from, const struct endpoint *to, const uint8_t *bytes, size_t len)
{
	struct meter *m = self;
	const struct host *other = sim_host_at(sim, to);
	(void)bytes;
	if (!other)
		return true;
	const struct host *low = from->number < other->number ? from : other, *high = low == from ? other : from;
	if (low->kind == HOST_NODE)
		m->pair[low->number][high->number] += len + HEADERS;
	else if (low->kind == HOST_ROOT && high->kind == HOST_NODE)
		m->root[high->number] += len + HEADERS;
	return true;
}

static void talk(struct sim *sim, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		frame_send(world_member(sim, i), NULL, 100);
		for (unsigned k = 0; k < n; k++)
			if (k != i)
				frame_send(world_member(sim, i), world_member(sim, k), 60 + sim_draw(sim, 1200));
		sim_run(sim, sim_draw(sim, 2 * SECOND));
	}
}

/* All have talked with all, by way of the internet or on one LAN, some of them not straight. After ten minutes none is told anything by another, and
 * each says to its roots only that it is still there. */
static void quiet(uint64_t seed, char failed[256])
{
	struct sim *sim = sim_new(seed);
	struct meter m = {0};
	sim->lan = seed & 1;
	sim->link.loss = seed % 4 == 3 ? 20 : 0;
	if (world_new(sim, QUIET_MEMBERS)) {
		if (seed % 4 >= 2) { /* a pair that needs a relay, and one who does for the controller */
			sim_cut(sim, world_member(sim, 0), world_member(sim, 1), true);
			sim_cut(sim, world_member(sim, 0), sim->controller, true);
		}
		for (unsigned i = 0; i < 3; i++)
			talk(sim, QUIET_MEMBERS);
		sim_run(sim, 10 * MINUTE);
		sim->watch = meter_watch;
		sim->watch_self = &m;
		uint64_t began = sim->now, pairs = 0;
		sim_run(sim, 10 * MINUTE);
		uint64_t seconds = (sim->now - began) / SECOND;
		for (unsigned i = 0; i < sim->n_hosts; i++) {
			expect(sim, m.root[i] <= ROOT_BPS * seconds, "member %u and its root: %" PRIu64 " bytes in %" PRIu64 " s", i,
			       m.root[i], seconds);
			for (unsigned k = i + 1; k < sim->n_hosts; k++)
				pairs += m.pair[i][k];
		}
		expect(sim, m.root[2], "a member says nothing to its root");
		expect(sim, pairs <= PAIR_BPS * seconds * QUIET_MEMBERS * (QUIET_MEMBERS - 1) / 2,
		       "members with each other: %" PRIu64 " bytes in %" PRIu64 " s", pairs, seconds);
		if (getenv("SIM_QUIET"))
			printf("quiet %" PRIu64 ": members %" PRIu64 " bytes, the first with its root %" PRIu64 "\n", seed, pairs,
			       m.root[2]);
		sim->watch = NULL;
		expect(sim, frame_passes(world_member(sim, 2), world_member(sim, 3), 5 * SECOND), "no frame after that");
	}
	finish(sim, failed);
}

/* ---- days ------------------------------------------------------------------------------------------------------------ */

/* The controller is away for three days and nobody says a word: nothing expires, and the first frame passes. */
static void idle(uint64_t seed, char failed[256])
{
	struct sim *sim = sim_new(seed);
	if (world_new(sim, 2)) {
		struct host *a = world_member(sim, 0), *b = world_member(sim, 1);
		expect(sim, frame_passes(a, b, 5 * SECOND), "no frame at first");
		host_kill(sim->controller);
		sim_run(sim, 10 * SECOND);
		uint64_t events = sim->events, sent = sim->sent, turns = a->turns;
		sim_run(sim, 72 * HOUR);
		if (seed == 1)
			printf("idle: %" PRIu64 " events, %" PRIu64
			       " datagrams, %.1f turns of a member per minute in three days of 2 members and a root\n",
			       sim->events - events, sim->sent - sent, (double)(a->turns - turns) / (72 * 60));
		expect(sim, world_joined(sim, NULL), "a member is no longer JOINED");
		expect(sim, frame_passes(a, b, 5 * SECOND) && frame_passes(b, a, 5 * SECOND), "no frame after three days");
		host_start(sim->controller);
		sim_run(sim, 90 * SECOND);
		expect(sim, world_joined(sim, NULL), "a member is no longer JOINED after the controller came back");
		expect(sim, frame_passes(b, a, 5 * SECOND), "no frame after the controller came back");
	}
	finish(sim, failed);
}

const struct scenario scenarios_long[] = {
    {"reproducible", "one seed, one sequence of datagrams", reproducible, 2},
    {"wall", "the wall clock changes nothing", wall, 2},
    {"rekey", "ten rekeys under traffic", rekey, 2},
    {"quiet", "what a network costs in which nobody talks", quiet, 8},
    {"idle", "three idle days without a controller", idle, 1},
    {0},
};
