/* scenarios_handshake.c: sessions under loss, reorder, duplicates, crossing and replay. Most start from one image of a joined world, so
 * that each seed costs milliseconds. */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "test/sim/sim.h"

#define IMAGE_MEMBERS 4

static struct world_image *image_cached;

static void image_drop(void) { world_image_free(image_cached); }

static const struct world_image *image(void)
{
	if (!image_cached) {
		image_cached = world_image(IMAGE_MEMBERS);
		atexit(image_drop);
	}
	return image_cached;
}

static void finish(struct sim *sim, char failed[256])
{
	memcpy(failed, sim->failed, 256);
	sim_free(sim);
}

/* Starts the root and the first n members; the controller stays away. */
static struct sim *members_start(uint64_t seed, unsigned n, bool peers_cache)
{
	struct sim *sim = world_from(image(), seed, peers_cache);
	sim->controller = NULL;
	host_start(sim->root);
	for (unsigned i = 0; i < n; i++) {
		struct host *h = world_member(sim, i);
		h->workers = 1 + (unsigned)(seed + i) % 2;
		host_start(h);
	}
	return sim;
}

/* Every ordered pair of the first n members has a frame through within the time, and uses one session. */
static void pairs_good(struct sim *sim, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		for (unsigned k = 0; k < n; k++)
			if (i != k)
				expect(sim, frame_passes(world_member(sim, i), world_member(sim, k), 2 * SECOND), "no frame from %u to %u on a good link",
				       i + 2, k + 2);
	sim_run(sim, SECOND);
	for (unsigned i = 0; i < n; i++)
		for (unsigned k = 0; k < i; k++)
			expect(sim, world_paired(sim, world_member(sim, i), world_member(sim, k)), "%u and %u send on different sessions", k + 2,
			       i + 2);
}

/* Show 8. Three members, 30 % loss, duplicates, delays that overtake: no frame twice, and one session per pair in the end. */
static void lossy(uint64_t seed, char failed[256])
{
	struct sim *sim = members_start(seed, 3, seed & 1);
	sim->link = (struct link){.loss = 300, .dup = 100, .delay_min = MS, .delay_max = 60 * MS};
	sim_run(sim, sim_draw(sim, 2) * 500 * MS);
	for (unsigned i = 0; i < 60; i++) {
		struct host *from = world_member(sim, (unsigned)sim_draw(sim, 3)), *to = world_member(sim, (unsigned)sim_draw(sim, 3));
		frame_send(from, from == to ? NULL : to, 60 + sim_draw(sim, 1341));
		sim_run(sim, 20 * MS + sim_draw(sim, 160 * MS));
	}
	sim->link = (struct link){.delay_min = MS, .delay_max = 10 * MS};
	sim_run(sim, 6 * SECOND);
	pairs_good(sim, 3);
	size_t all = frame_send(world_member(sim, 0), NULL, 300);
	sim_run(sim, 100 * MS);
	expect(sim, frames_got(sim, all, 1) == 2, "a broadcast reached %" PRIu64 " of 2", frames_got(sim, all, 1));
	finish(sim, failed);
}

const struct scenario scenarios_handshake[] = {
	{"lossy", "30 % loss, reorder, duplicates: one session per pair, frames at most once", lossy, 1000},
	{0},
};
