/* scenarios_fallback.c: UDP goes nowhere, streams do. */
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
	return way && !way->circuit && !(way->to.family & ENDPOINT_STREAM);
}

static bool by_stream(struct host *h)
{
	const struct peer *root = host_peer(h, h->sim->root);
	const struct way *way = root ? atomic_load(&root->remote->way) : NULL;
	return way && way->to.family & ENDPOINT_STREAM;
}

static bool passes_again(struct host *from, struct host *to, uint64_t within)
{
	for (uint64_t end = from->sim->now + within; from->sim->now < end && !*from->sim->failed;)
		if (frame_passes(from, to, 200 * MS))
			return true;
	return false;
}

static struct sim *pair(uint64_t seed)
{
	struct sim *sim = sim_new(seed);
	sim->streams = true;
	world_new(sim, 2);
	return sim;
}

/* UDP is taken from a running pair and given back: frames pass by the root's streams, and none is lost when it is left again. */
static void taken(uint64_t seed, char failed[256])
{
	struct sim *sim = pair(seed);
	struct host *a = world_member(sim, 0), *b = world_member(sim, 1);
	expect(sim, frame_passes(a, b, 5 * SECOND) && frame_passes(b, a, 5 * SECOND), "no frame at first");
	sim_run(sim, 10 * SECOND);
	expect(sim, direct(a, b), "not direct at first");
	expect(sim, !a->opened && !b->opened, "a stream was opened although UDP works");
	sim_isolate(sim, a, true);
	sim_isolate(sim, b, true);
	for (unsigned i = 0; i < 60 && !*sim->failed; i++) { /* both talk */
		frame_send(a, b, 100);
		frame_send(b, a, 100);
		sim_run(sim, 200 * MS);
	}
	expect(sim, by_stream(a) && by_stream(b), "no streams after 12 s");
	expect(sim, frame_passes(a, b, SECOND) && frame_passes(b, a, SECOND), "no frame by TLS");
	for (unsigned i = 0; i < 250 && !*sim->failed; i++) { /* longer than any path is remembered */
		frame_send(a, b, 100);
		sim_run(sim, SECOND);
	}
	expect(sim, by_stream(a) && by_stream(b), "the streams were left");
	size_t first = sim->n_frames;
	for (unsigned i = 0; i < 200 && !*sim->failed; i++) {
		frame_send(i & 1 ? a : b, i & 1 ? b : a, 100 + i);
		if (i == 50) {
			sim_isolate(sim, a, false);
			sim_isolate(sim, b, false);
		}
		sim_run(sim, 300 * MS);
	}
	uint64_t got = frames_got(sim, first, 200);
	expect(sim, got == 200, "%" PRIu64 " of 200 frames across the way back to UDP", got);
	expect(sim, !sim->duplicated, "%" PRIu64 " frames came twice", sim->duplicated);
	expect(sim, direct(a, b) && direct(b, a) && !by_stream(a) && !by_stream(b), "UDP is not used again");
	sim_run(sim, 65 * SECOND);
	expect(sim, !sim_streams_of(a) && !sim_streams_of(b), "streams that nobody needs are still there");
	finish(sim, failed);
}

/* Members that start without UDP; then the root restarts. */
static void without(uint64_t seed, char failed[256])
{
	struct sim *sim = pair(seed);
	struct host *a = world_member(sim, 0), *b = world_member(sim, 1);
	host_kill(a);
	host_kill(b);
	sim_isolate(sim, a, true);
	sim_isolate(sim, b, true);
	sim_run(sim, 2 * SECOND);
	host_start(a);
	host_start(b);
	sim_run(sim, SECOND);
	expect(sim, !a->opened, "a stream before UDP had its time");
	expect(sim, passes_again(a, b, 5 * SECOND), "no frame 6 s after the start without UDP");
	host_kill(sim->root);
	sim_run(sim, 30 * SECOND);
	expect(sim, !sim_streams_of(a), "a stream to a root that is gone");
	expect(sim, a->opened < 12, "%u streams tried within half a minute", a->opened);
	host_start(sim->root);
	expect(sim, passes_again(a, b, 50 * SECOND), "no frame after the root's restart");
	finish(sim, failed);
}

static bool no_datagram(void *self, struct sim *sim, const struct host *from, const struct endpoint *to, const uint8_t *bytes, size_t len)
{
	(void)bytes;
	(void)len;
	if (from == self)
		sim_fail(sim, "fallback = only sends a datagram to port %u", to->port);
	return true;
}

/* One member may use nothing but TLS, and has all it needs by it. */
static void only(uint64_t seed, char failed[256])
{
	struct sim *sim = pair(seed);
	struct host *a = world_member(sim, 0), *b = world_member(sim, 1);
	host_kill(a);
	a->fallback = FALLBACK_ONLY;
	sim->watch = no_datagram;
	sim->watch_self = a;
	host_start(a);
	expect(sim, passes_again(a, b, 5 * SECOND), "no frame by TLS alone");
	expect(sim, passes_again(b, a, 5 * SECOND), "no frame to it");
	sim_run(sim, 3 * MINUTE);
	expect(sim, by_stream(a) && sim_streams_of(a) == 1, "its stream is gone");
	expect(sim, frame_passes(a, b, SECOND) && frame_passes(b, a, SECOND), "no frame after three minutes");
	finish(sim, failed);
}

/* The operator wants none. */
static void none(uint64_t seed, char failed[256])
{
	struct sim *sim = pair(seed);
	struct host *a = world_member(sim, 0);
	host_kill(a);
	a->fallback = FALLBACK_NONE;
	sim_isolate(sim, a, true);
	host_start(a);
	sim_run(sim, MINUTE);
	expect(sim, !a->opened, "a stream although fallback = none");
	finish(sim, failed);
}

const struct scenario scenarios_fallback[] = {
    {"taken", "UDP is blocked under a running pair, and let through again", taken, 20},
    {"without", "a start without UDP, and a root that restarts", without, 20},
    {"only", "a member that may use TLS only", only, 10},
    {"none", "a member that may not", none, 2},
    {0},
};
