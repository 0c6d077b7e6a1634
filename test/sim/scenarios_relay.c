/* scenarios_relay.c: circuits: members that relay, roots that die while they are asked, keys of legs, storms, and identities that run twice. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "proto/random.h"
#include "test/sim/sim.h"

#define EVERY (20 * MS)

static void finish(struct sim *sim, char failed[256])
{
	memcpy(failed, sim->failed, 256);
	sim_free(sim);
}

/* By whom a sends to b; NULL = straight, or not at all. */
static struct host *by(struct host *a, struct host *b)
{
	const struct peer *peer = host_peer(a, b);
	const struct way *way = peer ? atomic_load(&peer->remote->way) : NULL;
	for (unsigned i = 0; way && way->circuit && i < a->sim->n_hosts; i++)
		if (!memcmp(way->circuit->far->key_hash, a->sim->host[i]->secret->self.key_hash, KEY_HASH_BYTES))
			return a->sim->host[i];
	return NULL;
}

static bool relay_right(struct host *m, bool on)
{
	struct sim *sim = m->sim;
	struct member_settings set = {.set = SET_MEMBER_FLAGS};
	struct admin_error error = {0};
	*(on ? &set.flags_on : &set.flags_off) = MEMBER_RELAY;
	enum admin_status status = controller_member_set(sim->controller->controller, sim->nwid, m->secret->self.address, &set, &error);
	sim->controller->next_us = sim->now;
	return expect(sim, status == ADMIN_OK, "relay %s: %s %s", on ? "on" : "off", error.title, error.detail);
}

/* Numbered frames both ways for so long; returns how many were lost of those sent after `settle`. */
static uint64_t both_ways(struct host *a, struct host *b, uint64_t us, uint64_t settle)
{
	struct sim *sim = a->sim;
	uint64_t begun = sim->now;
	size_t first = SIZE_MAX;
	while (sim->now < begun + us && !*sim->failed) {
		if (first == SIZE_MAX && sim->now >= begun + settle)
			first = sim->n_frames;
		frame_send(a, b, 400);
		frame_send(b, a, 400);
		sim_run(sim, EVERY);
	}
	size_t n = sim->n_frames - first;
	sim_run(sim, SECOND);
	return frames_due(sim, first, n) - frames_got(sim, first, n);
}

/* a and b that cannot reach each other, m with the right to relay, all on links of 5 ms. */
static struct sim *three(uint64_t seed, bool right)
{
	struct sim *sim = sim_new(seed);
	sim->link = (struct link){.delay_min = 4 * MS, .delay_max = 6 * MS};
	if (!world_new(sim, 3))
		return sim;
	struct host *a = world_member(sim, 0), *b = world_member(sim, 1), *m = world_member(sim, 2);
	sim_cut(sim, a, b, true);
	if (right)
		relay_right(m, true);
	sim_run(sim, 3 * SECOND);
	expect(sim, frame_passes(a, m, 5 * SECOND) && frame_passes(b, m, 5 * SECOND), "the relay is not reached");
	sim_run(sim, 5 * SECOND); /* straight by now */
	return sim;
}

/* The root carries first, after five seconds a member; with the root dead it goes on; without its right it ends. */
static void member(uint64_t seed, char failed[256])
{
	struct sim *sim = three(seed, true);
	if (!*sim->failed) {
		struct host *a = world_member(sim, 0), *b = world_member(sim, 1), *m = world_member(sim, 2);
		struct relay_view view;
		expect(sim, frame_passes(a, b, 2 * SECOND), "no frame by the root");
		uint64_t lost = both_ways(a, b, 30 * SECOND, SECOND);
		expect(sim, !lost, "%" PRIu64 " frames lost on the way from root to member", lost);
		expect(sim, by(a, b) == m && by(b, a) == m, "not by the member");
		node_relay(m->node, sim->now / 1000, &view);
		expect(sim, view.member && view.circuits && view.bytes > 1000000 && view.n_top == 2,
		       "%u circuits, %" PRIu64 " bytes, top %u", view.circuits, view.bytes, view.n_top);
		host_kill(sim->root);
		/* longer than data sessions live: those with the relay carry no frames of their own */
		lost = both_ways(a, b, 6 * MINUTE, 0);
		expect(sim, !lost, "%" PRIu64 " frames lost without a root", lost);
		expect(sim, by(a, b) == m && by(b, a) == m, "not by the member without a root");
		host_kill(seed & 1 ? a : b);
		sim_run(sim, SECOND);
		host_start(seed & 1 ? a : b);
		size_t frame = frame_send(a, b, 100);
		uint64_t begun = sim->now;
		while (!frame_got(sim, frame, b) && sim->now < begun + 10 * SECOND)
			frame = frame_send(a, b, 100), sim_run(sim, 100 * MS);
		expect(sim, frame_got(sim, frame, b), "no frame by the member after a restart without a root");
		host_start(sim->root);
		sim_run(sim, 40 * SECOND); /* idle nodes come back to their root by the keepalive */
		expect(sim, frame_passes(a, b, 2 * SECOND), "no frame when the root is back");
		relay_right(m, false);
		both_ways(a, b, 30 * SECOND, 0);
		node_relay(m->node, sim->now / 1000, &view);
		expect(sim, !view.member && !view.circuits, "%u circuits at one who has no right any more", view.circuits);
		expect(sim, by(a, b) == sim->root && by(b, a) == sim->root, "not back to the root");
		lost = both_ways(a, b, 5 * SECOND, 0);
		expect(sim, !lost, "%" PRIu64 " frames lost by the root", lost);
	}
	finish(sim, failed);
}

/* ---- what is refused ------------------------------------------------------------------------------------------------------ */

struct heard {
	bool any;
	uint8_t status;
};
static struct heard heard;

static void hear(struct peer *peer, const struct request *r, const struct message *reply)
{
	(void)peer, (void)r;
	heard.any = reply != NULL;
	heard.status = reply ? reply->status : 255;
}

/* What m answers to a's CONNECT for that identity, on that class. */
static int asked(struct host *a, struct host *m, const uint8_t key_hash[KEY_HASH_BYTES], uint64_t address, enum session_class class)
{
	struct sim *sim = a->sim;
	struct peer *relay = host_peer(a, m);
	uint8_t first[INIT_MIN] = {0}, body[BODY_MAX];
	struct body_connect b = {.address = address, .key_hash_set = true, .rx_idx = 0x1230, .first = first, .first_len = sizeof first};
	memcpy(b.key_hash, key_hash, KEY_HASH_BYTES);
	b.rx_idx = random_u32() & IDX_MASK;
	size_t n = body_connect_encode(&b, body, sizeof body);
	heard = (struct heard){0};
	if (!relay || !n || !request_send(relay, class, OP_CONNECT, body, n, hear, 0, NULL))
		return -1;
	a->next_us = sim->now;
	sim_run(sim, 12 * SECOND);
	return heard.any ? heard.status : -1;
}

static void refused(uint64_t seed, char failed[256])
{
	struct sim *sim = three(seed, seed & 1);
	if (!*sim->failed) {
		struct host *a = world_member(sim, 0), *b = world_member(sim, 1), *m = world_member(sim, 2);
		const uint8_t *to_b = b->secret->self.key_hash;
		uint8_t nobody[KEY_HASH_BYTES] = {1};
		uint64_t b_address = b->secret->self.address;
		int status = asked(a, m, to_b, b_address, CLASS_DATA);
		if (seed & 1) {
			expect(sim, status == STATUS_OK, "a member with the right answers %d", status);
			status = asked(a, m, nobody, 77, CLASS_DATA);
			expect(sim, status == STATUS_NOT_FOUND, "for one who is no member: %d", status);
			status = asked(a, m, a->secret->self.key_hash, a->secret->self.address, CLASS_DATA);
			expect(sim, status == STATUS_NOT_FOUND, "for the caller himself: %d", status);
			status = asked(a, m, sim->controller->secret->self.key_hash, sim->controller->secret->self.address, CLASS_DATA);
			expect(sim, status == STATUS_NOT_FOUND, "for the controller, which is in no network: %d", status);
			/* one relay on the way is enough */
			sim_cut(sim, b, m, true);
			both_ways(b, m, 10 * SECOND, 0);
			expect(sim, by(m, b) == sim->root, "the relay's way to b is none by the root");
			status = asked(a, m, to_b, b_address, CLASS_DATA);
			expect(sim, status == STATUS_TRY_LATER, "for one who is behind another relay: %d", status);
			sim_heal(sim, b, m);
			sim_cut(sim, a, m, true);
			both_ways(a, m, 10 * SECOND, 0);
			expect(sim, by(a, m) == sim->root, "a's way to the relay is none by the root");
			status = asked(a, m, to_b, b_address, CLASS_DATA);
			expect(sim, status == STATUS_UNKNOWN_OP, "to one who comes by another relay: %d", status);
			sim_heal(sim, a, m);
			m->no_relay = true; /* the operator's word */
			host_kill(m);
			host_start(m);
			sim_run(sim, 2 * SECOND);
			expect(sim, frame_passes(a, m, 5 * SECOND) && frame_passes(b, m, 5 * SECOND), "the relay is not reached again");
			sim_run(sim, 5 * SECOND);
		}
		status = asked(a, m, to_b, b_address, CLASS_DATA);
		expect(sim, status == STATUS_UNKNOWN_OP, "a member without the right or the will answers %d", status);
		struct relay_view view;
		node_relay(m->node, sim->now / 1000, &view);
		expect(sim, !view.member && !view.circuits && !view.bytes, "it says that it relays");
		/* a root takes a call to the caller himself and to one who is away as any other; nothing comes of them */
		struct peer *stranger = host_peer(sim->root, a);
		uint8_t away[KEY_HASH_BYTES] = {9};
		unsigned calls = stranger->n_calls;
		uint64_t sent = sim->sent;
		status = asked(a, sim->root, a->secret->self.key_hash, a->secret->self.address, CLASS_CTRL);
		expect(sim, status == STATUS_OK, "a call to oneself: %d", status);
		status = asked(a, sim->root, away, 4711, CLASS_CTRL);
		expect(sim, status == STATUS_OK, "a call to nobody: %d", status);
		expect(sim, stranger->n_calls <= calls, "%u circuits to nobody are left", stranger->n_calls - calls);
		expect(sim, sim->sent - sent < 400, "%" PRIu64 " datagrams for two calls to nobody", sim->sent - sent);
		/* who is not registered */
		stranger->registered = false;
		status = asked(a, sim->root, to_b, b_address, CLASS_CTRL);
		expect(sim, status == STATUS_MALFORMED, "a root to one who is not registered: %d", status);
	}
	finish(sim, failed);
}

/* ---- two roots ------------------------------------------------------------------------------------------------------------ */

/* Either root dies, by kill -9 and without a word; a pair that never spoke and has no other way is connected within 3 s. */
static void hedge(uint64_t seed, char failed[256])
{
	struct sim *sim = sim_new(seed);
	sim->link = (struct link){.delay_min = 10 * MS, .delay_max = 30 * MS};
	if (world_new(sim, 4)) {
		host_start(host_new(sim, HOST_ROOT));
		sim_run(sim, SECOND);
		host_kill(sim->controller);
		host_start(sim->controller);
		for (unsigned i = 0; i < 4; i++) {
			host_kill(world_member(sim, i));
			host_start(world_member(sim, i));
			for (unsigned k = 0; k < i; k++)
				sim_cut(sim, world_member(sim, i), world_member(sim, k), true);
		}
		sim_run(sim, 20 * SECOND);
		if (seed & 2) { /* both have died and come back before */
			for (unsigned i = 0; i < 2; i++) {
				struct host *root = i == (seed >> 2 & 1) ? sim->root : sim->second;
				host_kill(root);
				sim_run(sim, sim_draw(sim, 8 * SECOND));
				host_start(root);
				sim_run(sim, 3 * SECOND + sim_draw(sim, 60 * SECOND));
			}
			sim_run(sim, 45 * SECOND);
		}
		host_kill(seed & 1 ? sim->root : sim->second);
		sim_run(sim, sim_draw(sim, 2 * SECOND)); /* nobody may have noticed */
		for (unsigned i = 0; i < 4; i += 2) {
			struct host *a = world_member(sim, i), *b = world_member(sim, i + 1);
			uint64_t begun = sim->now;
			expect(sim, frame_passes(a, b, 3 * SECOND), "pair %u: no frame within 3 s", i);
			uint64_t took = (sim->now - begun) / MS;
			expect(sim, took < 1500, "pair %u: %" PRIu64 " ms", i, took);
			expect(sim, !*sim->failed && by(a, b) == (seed & 1 ? sim->second : sim->root),
			       "pair %u: not by the root that lives", i);
		}
	}
	finish(sim, failed);
}

/* On a LAN: what a root says is as fast as what it passes on, so a control thread that is a little late has the called one's answer before the keys of
 * the leg that it came by. */
struct late {
	const struct host *root;
	struct endpoint caller;
	unsigned n, lost, lose;
};

#define SAYS_MAX 200 /* bytes: an answer of the root is shorter, a leg packet with a RESP in it longer */

static bool says_late(void *self, struct sim *sim, const struct host *from, const struct endpoint *to, const uint8_t *bytes, size_t len)
{
	struct late *late = self;
	if (from != late->root || !endpoint_equal(to, &late->caller))
		return true;
	if (len > SAYS_MAX && late->lost < late->lose) {
		late->lost++;
		return false;
	}
	if (len > SAYS_MAX || late->lose)
		return true;
	late->n++;
	sim_inject(sim, &from->at, to, bytes, len, 3 * MS + sim_draw(sim, 2 * MS));
	return false;
}

/* One of two roots has died a moment ago, and one frame is all that a pair which never spoke has to say (an ARP broadcast would open sessions with
 * everybody). */
static void first_word(uint64_t seed, char failed[256])
{
	struct sim *sim = sim_new(seed);
	sim->link = (struct link){.delay_min = 50, .delay_max = seed & 4 ? MS : 200};
	if (world_new(sim, 4)) {
		host_start(host_new(sim, HOST_ROOT));
		sim_run(sim, SECOND);
		host_kill(sim->controller);
		host_start(sim->controller);
		for (unsigned i = 0; i < 4; i++) {
			host_kill(world_member(sim, i));
			host_start(world_member(sim, i));
			for (unsigned k = 0; k < i && seed & 8; k++)
				sim_cut(sim, world_member(sim, i), world_member(sim, k), true);
		}
		sim_run(sim, 20 * SECOND);
		struct host *dead = seed & 1 ? sim->root : sim->second, *left = seed & 1 ? sim->second : sim->root;
		host_kill(dead);
		if (seed & 16) /* both have been away */
			host_start(dead), sim_run(sim, SECOND + sim_draw(sim, 60 * SECOND)), host_kill(dead);
		sim_run(sim, sim_draw(sim, 10 * MS));
		for (unsigned i = 0; i < 4 && !*sim->failed; i += 2) {
			struct host *a = world_member(sim, i), *b = world_member(sim, i + 1);
			struct late late = {.root = left, .caller = a->at, .lose = seed >> 5 & 1 ? 1 : 0};
			const struct peer *peer = host_peer(a, b);
			expect(sim, peer && peer->best < 0 && !peer_up(peer, CLASS_DATA), "pair %u has spoken before", i);
			sim->watch = seed & 34 ? says_late : NULL;
			sim->watch_self = &late;
			uint64_t begun = sim->now;
			expect(sim, frame_passes(a, b, 3 * SECOND), "pair %u: no frame within 3 s", i);
			sim->watch = NULL;
			uint64_t took = (sim->now - begun) / MS;
			/* the INIT that follows a lost answer comes after a second and may ask the dead root first */
			expect(sim, took <= (late.lose ? 1700 : 600), "pair %u: %" PRIu64 " ms", i, took);
			expect(sim, !(seed & 34) || late.n || late.lost, "pair %u: nothing was late or lost", i);
		}
	}
	finish(sim, failed);
}

/* ---- keys of legs ------------------------------------------------------------------------------------------------------------ */

/* Both ends shake hands anew with the root while CONNECT, INCOMING and ACCEPT are under way, some of them lost: the circuit carries all the same,
 * as soon as the one that was asked for without a rekey would. */
static void leg_keys(uint64_t seed, char failed[256])
{
	struct sim *sim = sim_new(seed);
	if (world_new(sim, 2)) {
		struct host *a = world_member(sim, 0), *b = world_member(sim, 1);
		sim_cut(sim, a, b, true);
		sim->link = (struct link){.delay_min = 40 * MS, .delay_max = 60 * MS};
		sim_run(sim, 10 * SECOND);
		uint64_t before = sim_draw(sim, 300 * MS);
		for (unsigned i = 0; i < 2; i++) {
			struct host *h = i ? b : a;
			if (i ? seed & 1 : !(seed & 1) || seed & 2) {
				initiator_again(host_peer(h, sim->root), CLASS_CTRL);
				h->next_us = sim->now;
			}
		}
		sim_run(sim, before);
		sim->link.loss = seed % 3 ? 0 : 150;
		size_t frame = frame_send(a, b, 200);
		sim_run(sim, 300 * MS);
		sim->link.loss = 0;
		uint64_t begun = sim->now;
		while (!frame_got(sim, frame, b) && sim->now < begun + 10 * SECOND) {
			if (seed % 3 == 0)
				frame = frame_send(a, b, 200); /* the first may have been lost after all went well */
			sim_run(sim, 150 * MS);
		}
		uint64_t took = (sim->now - begun) / MS;
		expect(sim, took <= (sim->seed % 3 ? 1000 : 4000), "the first frame took %" PRIu64 " ms", took);
		uint64_t dead = host_drops(a, DROP_LEG_TAG) + host_drops(b, DROP_LEG_TAG) + host_drops(sim->root, DROP_LEG_TAG);
		expect(sim, !dead, "%" PRIu64 " leg packets under keys that differ", dead);
	}
	finish(sim, failed);
}

/* ---- storms ------------------------------------------------------------------------------------------------------------------- */

/* One registered node sends its root 10 000 CONNECTs a second; a pair that the root carries loses nothing, and whoever asks is answered. */
static void storm(uint64_t seed, char failed[256])
{
	struct sim *sim = sim_new(seed);
	if (world_new(sim, 4)) {
		struct host *a = world_member(sim, 0), *b = world_member(sim, 1), *bad = world_member(sim, 2), *c = world_member(sim, 3);
		sim->link = (struct link){.delay_min = 2 * MS, .delay_max = 3 * MS};
		sim_cut(sim, a, b, true);
		sim_cut(sim, a, c, true);
		sim_run(sim, 5 * SECOND);
		expect(sim, frame_passes(a, b, 3 * SECOND), "no frame to begin with");
		struct peer *root = host_peer(bad, sim->root);
		struct session *s = peer_session(root, CLASS_CTRL);
		uint8_t first[INIT_MIN] = {0}, plain[BODY_MAX + INNER_HEADER] = {INNER_CTRL}, body[BODY_MAX];
		uint64_t refused = host_drops(sim->root, DROP_MAIL_RATE);
		size_t from = sim->n_frames;
		for (unsigned ms = 0; ms < 2000 && !*sim->failed; ms++) {
			host_running = bad;
			bad->node->now = sim->now / 1000;
			for (unsigned i = 0; i < 10; i++) {
				struct body_connect m = {.address = b->secret->self.address,
				                         .rx_idx = (ms * 10 + i + 1) << 4,
				                         .first = first,
				                         .first_len = sizeof first};
				size_t n = body_connect_encode(&m, body, sizeof body);
				struct message message = {.req = 0x40000000 + ms * 10 + i, .op = OP_CONNECT, .body = body, .len = n};
				n = message_encode(&message, plain + INNER_HEADER, BODY_MAX);
				expect(sim, n && node_seal(bad->node, s, &root->path[root->best], plain, INNER_HEADER + n), "no CONNECT");
			}
			host_running = NULL;
			bad->next_us = sim->now;
			if (ms % 10 == 0)
				frame_send(a, b, 300), frame_send(b, a, 300);
			if (ms == 1000) /* a new pair in the midst of it */
				frame_send(a, c, 300);
			sim_run(sim, MS);
		}
		sim_run(sim, 3 * SECOND);
		uint64_t lost = frames_due(sim, from, sim->n_frames - from) - frames_got(sim, from, sim->n_frames - from);
		expect(sim, !lost, "%" PRIu64 " frames of others lost", lost);
		refused = host_drops(sim->root, DROP_MAIL_RATE) - refused;
		expect(sim, refused > 18000 && refused < 20000, "%" PRIu64 " of 20000 CONNECTs ended at the worker", refused);
		expect(sim, !host_drops(sim->root, DROP_MAIL_FULL), "the ring was full %" PRIu64 " times",
		       host_drops(sim->root, DROP_MAIL_FULL));
		struct relay_view view;
		node_relay(sim->root->node, sim->now / 1000, &view);
		expect(sim, view.root && view.refused > 500 && view.refused < 1200, "%" PRIu64 " refused by control", view.refused);
		sim_run(sim, 5 * SECOND);
		node_relay(sim->root->node, sim->now / 1000, &view);
		expect(sim, view.circuits < 20, "%u circuits are left", view.circuits);
	}
	finish(sim, failed);
}

/* ---- one identity, two machines ------------------------------------------------------------------------------------------------- */

static unsigned clones;
static void clone_each(void *self, const struct identity *who, const struct endpoint *other, uint64_t ago_ms)
{
	const struct host *h = self;
	clones += !memcmp(who->key_hash, h->secret->self.key_hash, KEY_HASH_BYTES) && other->family == 4 && ago_ms < 600000;
}

/* A member's disk is copied to another machine: both and the root know within two minutes, whatever the epochs; a restart is none. */
static void cloned(uint64_t seed, char failed[256])
{
	struct sim *sim = sim_new(seed);
	if (world_new(sim, 2)) {
		struct host *a = world_member(sim, 0), *other = host_new(sim, HOST_NODE);
		struct endpoint at;
		uint64_t ago;
		other->secret = a->secret;
		for (unsigned i = 0; i < 3; i++) { /* restarts, one of them with an epoch that went back */
			host_kill(a);
			sim_run(sim, sim_draw(sim, 3 * SECOND));
			if (i == 1)
				a->epoch -= 2;
			host_start(a);
			sim_run(sim, 10 * SECOND + sim_draw(sim, 30 * SECOND));
		}
		clones = 0;
		node_clones(sim->root->node, sim->now / 1000, clone_each, a);
		expect(sim, !clones && !node_clone(a->node, sim->now / 1000, &at, &ago), "a restart is taken for a clone");
		other->epoch = a->epoch + (uint32_t)(seed % 3) - 2; /* starts with the next: smaller, equal, larger */
		other->epoch += seed % 3 == 1 ? 0 : seed % 3 == 2 ? 3 : 0;
		host_start(other);
		sim_run(sim, 2 * MINUTE);
		node_clones(sim->root->node, sim->now / 1000, clone_each, a);
		expect(sim, clones == 1, "the root does not know: %u", clones);
		for (unsigned i = 0; i < 2; i++) {
			struct host *h = i ? other : a, *twin = i ? a : other;
			if (expect(sim, node_clone(h->node, sim->now / 1000, &at, &ago), "machine %u does not know", i))
				expect(sim, endpoint_equal(&at, &twin->at), "machine %u knows of another place", i);
		}
		expect(sim, frame_passes(a, world_member(sim, 1), 5 * SECOND) || frame_passes(other, world_member(sim, 1), 5 * SECOND),
		       "neither of them talks any more");
	}
	finish(sim, failed);
}

const struct scenario scenarios_relay[] = {
    {"member", "a member relays, with a root and without, as long as it may", member, 4},
    {"refused", "whom and what a member does not relay", refused, 4},
    {"hedge", "either of two roots dies: a new pair within 3 s", hedge, 12},
    {"first_word", "... on a LAN, where the called one answers before the keys of the leg are there", first_word, 64},
    {"leg_keys", "rekeys with the root while a circuit is set up", leg_keys, 60},
    {"storm", "10 000 CONNECTs a second of one node", storm, 1},
    {"clone", "one identity on two machines", cloned, 6},
    {0},
};
