/* scenarios_basic.c: the main job, and that the simulator itself can be trusted. */
#include <stdio.h>
#include <string.h>

#include "test/sim/sim.h"

/* Every entry of the table carries the work it claims, and the verdicts refuse what is not in it. */
static void identities_hold(uint64_t seed, char failed[256])
{
	struct identity other = identity_of(0)->self;
	(void)seed;
	for (unsigned i = 0; i < identities(); i++)
		if (!identity_verify(i))
			snprintf(failed, 256, "identity %u does not carry its address", i);
	other.address ^= 1;
	if (identity_verdict(&other))
		snprintf(failed, 256, "the verdict does not look at the address");
	other.address = 0;
	if (!identity_verdict(&other) || other.address != identity_of(0)->self.address)
		snprintf(failed, 256, "the verdict does not name the address");
}

/* Two members join by the real way and exchange a frame each way, then one to all. */
static void join(uint64_t seed, char failed[256])
{
	struct sim *sim = sim_new(seed);
	if (world_new(sim, 3)) {
		struct host *a = world_member(sim, 0), *b = world_member(sim, 1);
		uint64_t from = sim->now;
		expect(sim, frame_passes(a, b, 5 * SECOND), "no frame from a to b");
		if (seed == 1)
			printf("join: first frame %.1f ms after JOINED\n", (double)(sim->now - from) / 1e3);
		expect(sim, frame_passes(b, a, 5 * SECOND), "no frame from b to a");
		size_t all = frame_send(a, NULL, 200);
		sim_run(sim, 5 * SECOND);
		expect(sim, frames_got(sim, all, 1) == 2, "the broadcast reached %u of 2", (unsigned)frames_got(sim, all, 1));
		expect(sim, world_paired(sim, a, b), "a and b send on different sessions");
	}
	memcpy(failed, sim->failed, 256);
	sim_free(sim);
}

const struct scenario scenarios_basic[] = {
    {"identities", "the fixed identities carry their proof of work", identities_hold, 1},
    {"join", "three members join, are approved and exchange frames", join, 3},
    {0},
};
