/* sim.c: virtual time and the network between the hosts.
 *
 * What happens next is the earliest of the flying datagrams and the hosts' deadlines; time jumps there. A host gets its turn with every
 * datagram and at every deadline, and turns until it has nothing left to do at this instant. The link decides each datagram's fate on its
 * own: lost, delayed by a draw (which is what reorders), delivered twice. All queues are bounded by what the hosts send.
 */
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "test/sim/sim.h"

#define START_US (1000 * SECOND) /* no host is young when a scenario begins */

/* splitmix64 (Steele, Lea, Flood, 2014): 64 bits of state, every seed as good as any other. */
uint64_t mix64(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

uint64_t sim_draw(struct sim *sim, uint64_t below)
{
	return below ? mix64(&sim->chance) % below : 0;
}

struct sim *sim_new(uint64_t seed)
{
	struct sim *sim = calloc(1, sizeof *sim);
	assert(sim);
	sim->seed = seed;
	sim->now = START_US;
	sim->wall_s = 1700000000;
	sim->chance = seed * 2 + 1;
	sim->entropy = ~seed;
	sim->digest = 1;
	sim->link = (struct link){.delay_min = 5 * MS, .delay_max = 10 * MS};
	sim->trace = getenv("SIM_TRACE") != NULL;
	random_seed(sim);
	return sim;
}

void sim_free(struct sim *sim)
{
	if (!sim)
		return;
	for (unsigned i = 0; i < sim->n_hosts; i++) {
		struct host *h = sim->host[i];
		host_kill(h);
		for (unsigned k = 0; k < SIM_FILES; k++)
			free(h->file[k].bytes);
		if (*h->dir) {
			char command[160];
			snprintf(command, sizeof command, "rm -rf '%s'", h->dir);
			if (system(command))
				fprintf(stderr, "sim: %s could not be removed\n", h->dir);
		}
		free(h);
	}
	for (size_t i = 0; i < sim->n_flying; i++)
		free(sim->flying[i]);
	free(sim->flying);
	free(sim->frame);
	random_seed(NULL);
	free(sim);
}

static void pair_print(struct host *h, const struct host *other)
{
	static const char state[] = ".pVs";
	const struct peer *peer = host_peer(h, other);
	if (!peer)
		return;
	printf("  to %u: best %d init %lld %lld paths", other->number, peer->best, (long long)peer->init_ms[CLASS_DATA],
	       (long long)peer->init_ms[CLASS_CTRL]);
	for (int i = 0; i < PATHS_MAX; i++)
		if (peer->path[i].state != PATH_FREE)
			printf(" %d%c%s%u", i, state[peer->path[i].state], peer->path[i].circuit ? "relay" : "", peer->path[i].to.ip[2]);
	for (int c = 0; c < CLASS_COUNT; c++) {
		const struct session *s = peer->current[c], *p = peer->previous[c];
		if (s)
			printf(" %s %c%08x>%08x", c ? "ctrl" : "data", s->initiator ? 'i' : 'r', s->named.idx, s->peer_idx);
		if (p)
			printf(" prev %c%08x>%08x", p->initiator ? 'i' : 'r', p->named.idx, p->peer_idx);
	}
	printf(" waiting %u\n", peer->waiting);
}

/* What every host dropped and why: the first thing to look at after a failure. */
static void state_print(struct sim *sim)
{
	for (unsigned i = 0; i < sim->n_hosts; i++) {
		uint64_t drop[DROP_COUNT] = {0};
		if (sim->host[i]->node)
			node_drops(sim->host[i]->node, drop);
		printf("host %u, %llu turns:", i, (unsigned long long)sim->host[i]->turns);
		for (int k = 0; k < DROP_COUNT; k++)
			if (drop[k])
				printf(" %s %llu", drop_name((enum drop)k), (unsigned long long)drop[k]);
		printf("\n");
		for (unsigned k = 0; k < sim->n_hosts; k++)
			pair_print(sim->host[i], sim->host[k]);
	}
}

void sim_fail(struct sim *sim, const char *format, ...)
{
	if (*sim->failed)
		return;
	va_list args;
	int n = snprintf(sim->failed, sizeof sim->failed, "at %.3f s: ", (double)(sim->now - START_US) / 1e6);
	va_start(args, format);
	vsnprintf(sim->failed + n, sizeof sim->failed - (size_t)n, format, args);
	va_end(args);
	if (getenv("SIM_LOG"))
		state_print(sim);
}

/* ---- what is in the air ------------------------------------------------------------------------------------------ */

static bool before(const struct datagram *a, const struct datagram *b)
{
	return a->at != b->at ? a->at < b->at : a->order < b->order;
}

static void flying_add(struct sim *sim, struct datagram *d)
{
	if (sim->n_flying == sim->room_flying) {
		sim->room_flying = sim->room_flying ? sim->room_flying * 2 : 256;
		sim->flying = realloc(sim->flying, sim->room_flying * sizeof(*sim->flying));
		assert(sim->flying);
	}
	d->order = sim->order++;
	size_t i = sim->n_flying++;
	for (; i && before(d, sim->flying[(i - 1) / 2]); i = (i - 1) / 2)
		sim->flying[i] = sim->flying[(i - 1) / 2];
	sim->flying[i] = d;
}

static struct datagram *flying_take(struct sim *sim)
{
	struct datagram *top = sim->flying[0], *last = sim->flying[--sim->n_flying];
	size_t i = 0, child;
	while ((child = 2 * i + 1) < sim->n_flying) {
		if (child + 1 < sim->n_flying && before(sim->flying[child + 1], sim->flying[child]))
			child++;
		if (!before(sim->flying[child], last))
			break;
		sim->flying[i] = sim->flying[child];
		i = child;
	}
	sim->flying[i] = last;
	return top;
}

static void launch(struct sim *sim, const struct endpoint *from, const struct endpoint *to, const uint8_t *bytes, size_t len,
                   uint64_t after)
{
	struct datagram *d = malloc(sizeof *d + len);
	assert(d);
	*d = (struct datagram){.at = sim->now + after, .from = *from, .to = *to, .len = (uint32_t)len};
	memcpy(d->bytes, bytes, len);
	flying_add(sim, d);
}

struct host *sim_host_at(struct sim *sim, const struct endpoint *at)
{
	for (unsigned i = 0; i < sim->n_hosts; i++)
		if (endpoint_equal(&sim->host[i]->at, at) || (at->family && endpoint_equal(&sim->host[i]->also, at)))
			return sim->host[i];
	return NULL;
}

/* FNV-1a over words: two runs of one seed must agree in it. */
static void digest_add(struct sim *sim, const struct host *from, const struct endpoint *to, const uint8_t *bytes, size_t len)
{
	uint64_t h = sim->digest, word;
	h = (h ^ sim->now ^ (uint64_t)from->number << 48 ^ to->port ^ (uint64_t)to->ip[2] << 16 ^ len << 32) * UINT64_C(0x100000001b3);
	for (size_t i = 0; i < len; i += 8) {
		word = 0;
		memcpy(&word, bytes + i, len - i < 8 ? len - i : 8);
		h = (h ^ word) * UINT64_C(0x100000001b3);
	}
	sim->digest = h;
}

void sim_send(struct host *from, const struct endpoint *to, const uint8_t *bytes, size_t len)
{
	struct sim *sim = from->sim;
	if (from->discard_saves) /* being killed: a dead host sends nothing */
		return;
	sim->sent++;
	digest_add(sim, from, to, bytes, len);
	if (sim->trace)
		printf("%10.3f ms %u -> %u %zu bytes\n", (double)(sim->now - START_US) / 1e3, from->number, to->ip[2], len);
	if (sim->watch && !sim->watch(sim->watch_self, sim, from, to, bytes, len))
		return;
	const struct host *target = sim_host_at(sim, to);
	if (!target || sim->cut[from->number][target->number])
		return;
	const struct link *link = &sim->link;
	unsigned copies = link->loss && sim_draw(sim, 1000) < link->loss ? 0 : 1;
	if (link->dup && sim_draw(sim, 1000) < link->dup)
		copies++;
	for (unsigned i = 0; i < copies; i++)
		launch(sim, endpoint_equal(to, &target->also) && from->also.family ? &from->also : &from->at, to, bytes, len,
		       sim->slow[from->number][target->number] + link->delay_min + sim_draw(sim, link->delay_max - link->delay_min + 1));
}

void sim_inject(struct sim *sim, const struct endpoint *from, const struct endpoint *to, const uint8_t *bytes, size_t len, uint64_t after)
{
	launch(sim, from, to, bytes, len, after);
}

void sim_call(struct host *from, const uint8_t *bytes, size_t len)
{
	struct sim *sim = from->sim;
	if (from->discard_saves)
		return;
	from->called++;
	for (unsigned i = 0; i < sim->n_hosts; i++) {
		struct endpoint to = sim->host[i]->at, source = from->at;
		if (!sim->host[i]->lan || sim->cut[from->number][i])
			continue;
		to.port = LAN_PORT;
		source.port = 0; /* a beacon's port is none that anybody answers at */
		if (!sim->link.loss || sim_draw(sim, 1000) >= sim->link.loss)
			launch(sim, &source, &to, bytes, len,
			       sim->link.delay_min + sim_draw(sim, sim->link.delay_max - sim->link.delay_min + 1));
	}
}

void sim_cut(struct sim *sim, struct host *a, struct host *b, bool both)
{
	sim->cut[a->number][b->number] = true;
	if (both)
		sim->cut[b->number][a->number] = true;
}

void sim_heal(struct sim *sim, struct host *a, struct host *b)
{
	sim->cut[a->number][b->number] = sim->cut[b->number][a->number] = false;
}

void sim_isolate(struct sim *sim, struct host *h, bool cut)
{
	for (unsigned i = 0; i < sim->n_hosts; i++)
		if (sim->host[i] != h)
			sim->cut[h->number][i] = sim->cut[i][h->number] = cut;
}

/* ---- time ------------------------------------------------------------------------------------------------------------ */

/* What came to the beacons' port; false: it is no such. */
static bool overheard(struct sim *sim, const struct datagram *d)
{
	for (unsigned i = 0; d->to.port == LAN_PORT && i < sim->n_hosts; i++) {
		struct host *h = sim->host[i];
		if (memcmp(h->at.ip, d->to.ip, sizeof h->at.ip) || !h->node || !h->lan)
			continue;
		node_beacon_in(h->node, &d->from, d->bytes, d->len, sim->now / 1000);
		host_turn(h);
	}
	return d->to.port == LAN_PORT;
}

static void deliver(struct sim *sim, struct datagram *d)
{
	if (overheard(sim, d)) {
		free(d);
		return;
	}
	struct host *h = sim_host_at(sim, &d->to);
	if (!h || (!h->node && !h->alone)) {
		free(d);
		return;
	}
	unsigned w = d->len ? (d->bytes[0] & LANE_MASK) % h->udp.workers : 0;
	d->next = NULL;
	*h->udp.last[w] = d;
	h->udp.last[w] = &d->next;
	host_turn(h);
}

static struct host *first_due(struct sim *sim)
{
	struct host *first = NULL;
	for (unsigned i = 0; i < sim->n_hosts; i++)
		if (sim->host[i]->node && (!first || sim->host[i]->next_us < first->next_us))
			first = sim->host[i];
	return first;
}

/* One event at or before end. false: there is none. */
static bool step(struct sim *sim, uint64_t end)
{
	struct host *h = first_due(sim);
	uint64_t at = h ? h->next_us : UINT64_MAX;
	bool datagram = sim->n_flying && sim->flying[0]->at <= at;
	if (datagram)
		at = sim->flying[0]->at;
	if (at > end)
		return false;
	if (at > sim->now)
		sim->now = at;
	sim->events++;
	if (datagram)
		deliver(sim, flying_take(sim));
	else
		host_turn(h);
	return true;
}

void sim_run(struct sim *sim, uint64_t us)
{
	uint64_t end = sim->now + us;
	while (!*sim->failed && step(sim, end))
		;
	sim->now = end;
}

bool sim_run_until(struct sim *sim, uint64_t us, bool (*done)(struct sim *, void *), void *self)
{
	uint64_t end = sim->now + us;
	while (!*sim->failed && !done(sim, self))
		if (!step(sim, end)) {
			sim->now = end;
			return done(sim, self);
		}
	return !*sim->failed;
}
