/* scenarios_path.c: what a pair does when the way between its members changes: blocked, narrowed, shaken. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "proto/endpoint.h"
#include "test/sim/sim.h"

#define EVERY (10 * MS) /* one numbered frame */

static void finish(struct sim *sim, char failed[256])
{
	memcpy(failed, sim->failed, 256);
	sim_free(sim);
}

static bool relayed(struct host *a, struct host *b)
{
	const struct peer *peer = host_peer(a, b);
	const struct way *way = peer ? atomic_load(&peer->remote->way) : NULL;
	return way && way->circuit;
}

static bool direct(struct host *a, struct host *b)
{
	const struct peer *peer = host_peer(a, b);
	const struct way *way = peer ? atomic_load(&peer->remote->way) : NULL;
	return way && !way->circuit;
}

/* Two members that talk straight, on a link of 5 to 10 ms. */
static struct sim *pair(uint64_t seed)
{
	struct sim *sim = sim_new(seed);
	sim->link = (struct link){.delay_min = 5 * MS, .delay_max = 6 * MS};
	if (!world_new(sim, 2))
		return sim;
	struct host *a = world_member(sim, 0), *b = world_member(sim, 1);
	expect(sim, frame_passes(a, b, 2 * SECOND) && frame_passes(b, a, 2 * SECOND), "no frame to begin with");
	sim_run(sim, 5 * SECOND);
	expect(sim, direct(a, b) && direct(b, a), "the pair is not direct");
	return sim;
}

/* Frames one way, or both, for so long; returns the longest time none of a's arrived at b. */
static uint64_t stream(struct host *a, struct host *b, bool both, uint64_t us)
{
	struct sim *sim = a->sim;
	uint64_t end = sim->now + us, last = sim->now, gap = 0;
	size_t first = sim->n_frames;
	while (sim->now < end && !*sim->failed) {
		frame_send(a, b, 1200);
		if (both)
			frame_send(b, a, 1200);
		sim_run(sim, EVERY);
		for (; first < sim->n_frames; first++) {
			if (sim->frame[first].from != a->number)
				continue;
			if (!frame_got(sim, first, b)) {
				if (sim->now - sim->frame[first].at < SECOND / 2)
					break; /* under way */
				continue;
			}
			gap = sim->now - last > gap ? sim->now - last : gap;
			last = sim->now;
		}
	}
	return sim->now - last > gap ? sim->now - last : gap;
}

/* The straight way is cut and comes back. Odd seeds: frames go one way only, so that whoever sends hears nothing of them. */
static void failover(uint64_t seed, char failed[256])
{
	struct sim *sim = pair(seed);
	if (!*sim->failed) {
		struct host *a = world_member(sim, 0), *b = world_member(sim, 1);
		bool both = !(seed & 1);
		stream(a, b, both, 3 * SECOND);
		sim_cut(sim, a, b, true);
		uint64_t gap = stream(a, b, both, 10 * SECOND);
		expect(sim, gap <= 2500 * MS, "%" PRIu64 " ms without a frame after the direct way was cut", gap / 1000);
		expect(sim, relayed(a, b), "not relayed while the direct way is cut");
		sim_heal(sim, a, b);
		size_t first = sim->n_frames;
		gap = stream(a, b, both, 60 * SECOND);
		sim_run(sim, SECOND);
		expect(sim, direct(a, b), "not direct a minute after the way came back");
		expect(sim, frames_got(sim, first, sim->n_frames - first) == frames_due(sim, first, sim->n_frames - first),
		       "frames were lost on the way up: %" PRIu64 " of %" PRIu64, frames_got(sim, first, sim->n_frames - first),
		       frames_due(sim, first, sim->n_frames - first));
		expect(sim, gap <= 100 * MS, "%" PRIu64 " ms without a frame on the way up", gap / 1000);
		expect(sim, !sim->duplicated, "%" PRIu64 " frames came twice", sim->duplicated);
	}
	finish(sim, failed);
}

/* One lost question is no reason to leave a path. */
static void steady(uint64_t seed, char failed[256])
{
	struct sim *sim = pair(seed);
	if (!*sim->failed) {
		struct host *a = world_member(sim, 0), *b = world_member(sim, 1);
		sim->link.loss = 10;
		uint64_t away = 0;
		for (unsigned i = 0; i < 600 && !*sim->failed; i++) {
			frame_send(a, b, 600);
			sim_run(sim, SECOND / 10);
			away += !direct(a, b);
		}
		expect(sim, away < 6, "away from the direct path for %" PRIu64 " of 600 tenths of a second at 1 %% loss", away);
	}
	finish(sim, failed);
}

/* Datagrams above a size vanish without a word from now on, whoever sends them. */
static bool narrow(void *self, struct sim *sim, const struct host *from, const struct endpoint *to, const uint8_t *bytes, size_t len)
{
	(void)sim, (void)from, (void)to, (void)bytes;
	return len <= *(const size_t *)self;
}

/* T49. A path that carried 1472 bytes carries 1252 under way: large frames pass again within three seconds, and never is it thought to
 * carry less than the base; a path that is wide again is used so after a search. */
static void blackhole(uint64_t seed, char failed[256])
{
	struct sim *sim = pair(seed);
	if (!*sim->failed) {
		struct host *a = world_member(sim, 0), *b = world_member(sim, 1);
		size_t most = 1252;
		stream(a, b, seed & 1, 2 * SECOND);
		const struct way *way = atomic_load(&host_peer(a, b)->remote->way);
		expect(sim, way->datagram == UDP_MTU, "the path is thought to carry %u bytes, not %u", way->datagram, UDP_MTU);
		sim->watch = narrow;
		sim->watch_self = &most;
		uint64_t end = sim->now + 12 * SECOND, last = sim->now, gap = 0;
		for (size_t first; sim->now < end;) {
			first = frame_send(a, b, 1400);
			if (seed & 2) /* small ones all the while: the path is not silent */
				frame_send(b, a, 60);
			sim_run(sim, 50 * MS);
			if (frame_got(sim, first, b)) {
				gap = sim->now - last > gap ? sim->now - last : gap;
				last = sim->now;
			}
		}
		gap = sim->now - last > gap ? sim->now - last : gap;
		expect(sim, gap <= 3 * SECOND, "%" PRIu64 " ms without a large frame after the path narrowed", gap / 1000);
		way = atomic_load(&host_peer(a, b)->remote->way);
		expect(sim, way && !way->circuit && way->datagram >= DATAGRAM_BASE && way->datagram <= most,
		       "the narrow path is thought to carry %u bytes", way ? way->datagram : 0);
		sim->watch = NULL;
		stream(a, b, true, 11 * MINUTE);
		way = atomic_load(&host_peer(a, b)->remote->way);
		expect(sim, way->datagram == UDP_MTU, "the path that is wide again is thought to carry %u bytes", way->datagram);
	}
	finish(sim, failed);
}

/* T50. No address inside a network of ours becomes a path, whoever names it. */
static void nested(uint64_t seed, char failed[256])
{
	struct sim *sim = pair(seed);
	if (!*sim->failed) {
		struct host *a = world_member(sim, 0), *b = world_member(sim, 1);
		struct endpoint inside = {.family = 6, .port = 9993}, outside = {.family = 4, .port = 9993, .ip = {198, 18, 7, 7}};
		ula_derive(sim->nwid, b->secret->self.address, inside.ip);
		struct peer *peer = host_peer(a, b);
		expect(sim, path_direct(peer, &inside, 0) < 0, "an address of the overlay became a path");
		expect(sim, path_direct(peer, &outside, 0) >= 0, "no other address becomes one either");
	}
	finish(sim, failed);
}

static bool tries(struct host *h, struct host *peer, const struct endpoint *e)
{
	const struct peer *p = host_peer(h, peer);
	for (int i = 0; i < PATHS_MAX; i++)
		if (p->path[i].state != PATH_FREE && !p->path[i].circuit && endpoint_equal(&p->path[i].to, e))
			return true;
	return false;
}

/* What the config says of the outside is told, and what it says to avoid is neither told nor gone to, even when the other side begins. */
static void told(uint64_t seed, char failed[256])
{
	struct sim *sim = sim_new(seed);
	struct endpoint outside = {.family = 4, .port = 4000, .ip = {198, 18, 7, 7}},
			hidden = {.family = 4, .port = 4000, .ip = {198, 19, 7, 7}};
	sim->link = (struct link){.delay_min = 5 * MS, .delay_max = 6 * MS};
	if (world_new(sim, 2)) {
		struct host *a = world_member(sim, 0), *b = world_member(sim, 1);
		struct node_config *ca = &a->node->config, *cb = &b->node->config;
		ca->external[ca->n_external++] = hidden;
		ca->external[ca->n_external++] = outside;
		ca->avoid[ca->n_avoid++] = (struct prefix){4, 16, {198, 19}};
		cb->avoid[cb->n_avoid] = (struct prefix){.family = 4, .bits = 32};
		memcpy(cb->avoid[cb->n_avoid++].ip, a->at.ip, 4);
		expect(sim, frame_passes(a, b, 5 * SECOND) && frame_passes(b, a, 5 * SECOND), "no frame round an address that is avoided");
		bool found = false;
		for (unsigned i = 0; i < 50 && !*sim->failed; i++) {
			stream(a, b, true, 300 * MS);
			found = found || tries(b, a, &outside);
			expect(sim, !tries(b, a, &hidden), "an address to avoid was told");
			expect(sim, !tries(b, a, &a->at), "an address to avoid was tried");
		}
		expect(sim, relayed(a, b) && relayed(b, a), "the pair uses an address that one of them avoids");
		expect(sim, found, "the address given for the outside was not told");
		cb->n_avoid = 0;
		stream(a, b, true, 90 * SECOND);
		expect(sim, direct(a, b) && direct(b, a), "it was not the avoided address that kept them apart");
	}
	finish(sim, failed);
}

const struct scenario scenarios_path[] = {
    {"failover", "the direct way is cut and comes back", failover, 40},
    {"steady", "one per cent loss", steady, 20},
    {"blackhole", "a path that narrows without a word", blackhole, 12},
    {"nested", "no tunnel in the tunnel", nested, 2},
    {"told", "addresses told by hand and avoided", told, 4},
    {0},
};
