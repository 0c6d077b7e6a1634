/* scenarios_roots.c: several roots as one: homes, records, a set replaced under way, splits, crowds.
 *
 * A world of its own: host 0 is a root of the set, host 1 the controller, then members, then the other roots of the set; nobody
 * has an add-root line.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "test/sim/sim.h"

#define ROOTS   4
#define MEMBERS 2
#define KEYS    3

struct place {
	struct sim *sim;
	struct host *root[ROOTS], *member[MEMBERS];
	uint8_t key[KEYS][64];
	struct rootset *set;
};

static void document_sign(struct place *p, struct rootset_document *d, const char *keys, enum rootset_verdict want)
{
	uint8_t bytes[ROOTSET_BYTES_MAX];
	const struct rootset_document *signers = p->set->n ? &p->set->now : d;
	size_t len = rootset_draft(d, bytes, sizeof bytes);
	for (; *keys; keys++)
		len = rootset_sign(bytes, len, signers, p->key[*keys - '0'], bytes, sizeof bytes);
	enum rootset_verdict v = len ? rootset_take(p->set, bytes, len) : ROOTSET_FORM;
	expect(p->sim, v == want, "a document of ours: %s", rootset_verdict_text(v));
}

/* mask: which roots it names; roots 2 and 3 are in another region. */
static void document_fill(struct place *p, struct rootset_document *d, unsigned mask)
{
	d->n_roots = 0;
	for (unsigned i = 0; i < ROOTS; i++) {
		if (!(mask & 1u << i))
			continue;
		struct rootset_root *r = &d->root[d->n_roots++];
		*r = (struct rootset_root){.line = {.identity = p->root[i]->secret->self, .endpoints = {p->root[i]->at}, .n_endpoints = 1},
		                           .weight = ROOTSET_WEIGHT};
		snprintf(r->region, sizeof r->region, i < 2 ? "east" : "west");
	}
}

/* ms from a host to each root, both ways together on top of the link's */
static void distances(struct place *p, const struct host *h, const uint32_t ms[ROOTS])
{
	for (unsigned i = 0; i < ROOTS; i++)
		p->sim->slow[h->number][p->root[i]->number] = p->sim->slow[p->root[i]->number][h->number] = ms[i] * 500;
}

static void place_document(struct place *p, unsigned mask)
{
	struct rootset_document *d = calloc(1, sizeof *d);
	d->seq = 1, d->threshold = 2, d->n_keys = KEYS;
	for (unsigned i = 0; i < KEYS; i++) {
		rootset_key_new(p->key[i]);
		memcpy(d->key[i], p->key[i] + 32, 32);
	}
	document_fill(p, d, mask);
	rootset_id(d, d->id);
	document_sign(p, d, "01", ROOTSET_TAKEN);
	free(d);
}

static void member_join(struct place *p, struct host *h)
{
	for (uint64_t end = p->sim->now + 10 * SECOND; p->sim->now < end && !peer_find_address(h->node, 0);) {
		sim_run(p->sim, 100 * MS);
		for (unsigned i = 0; i < ROOTS; i++)
			if (host_peer(h, p->root[i]) && peer_up(host_peer(h, p->root[i]), CLASS_CTRL))
				end = 0;
	}
	world_join(p->sim, h);
}

static bool place_new(struct place *p, uint64_t seed, unsigned mask)
{
	struct network_settings settings = {.set = SET_NET_NAME | SET_NET_POOL, .name = "sim", .pool = {4, 16, {10, 20, 0, 0}}};
	struct admin_error error;
	static const uint32_t near_east[ROOTS] = {0, 20, 100, 150}, near_west[ROOTS] = {150, 100, 20, 0};
	*p = (struct place){.sim = sim_new(seed), .set = rootset_new()};
	struct sim *sim = p->sim;
	p->root[0] = host_new(sim, HOST_SET_ROOT);
	host_new(sim, HOST_CONTROLLER);
	for (unsigned i = 0; i < MEMBERS; i++)
		p->member[i] = host_new(sim, HOST_NODE);
	for (unsigned i = 1; i < ROOTS; i++)
		p->root[i] = host_new(sim, HOST_SET_ROOT);
	place_document(p, mask);
	distances(p, p->member[0], near_east);
	distances(p, p->member[1], near_west);
	for (unsigned i = 0; i < sim->n_hosts; i++) {
		sim->host[i]->set = p->set;
		host_start(sim->host[i]);
	}
	if (!expect(sim, !controller_network_create(sim->controller->controller, &settings, &sim->nwid, &error), "network create: %s",
	            error.detail))
		return false;
	sim_run(sim, 6 * SECOND); /* the first round is over */
	for (unsigned i = 0; i < MEMBERS; i++)
		member_join(p, p->member[i]);
	sim_run(sim, 2 * SECOND);
	return !*sim->failed;
}

static void place_free(struct place *p, char failed[256])
{
	memcpy(failed, p->sim->failed, 256);
	sim_free(p->sim);
	rootset_free(p->set);
}

struct sim *world_of_roots(uint64_t seed, struct rootset **ret_set)
{
	struct place p;
	(void)place_new(&p, seed, 15);
	*ret_set = p.set;
	return p.sim;
}

static unsigned ups(const struct place *p, struct host *h)
{
	unsigned n = 0;
	for (unsigned i = 0; i < ROOTS; i++) {
		const struct peer *root = host_peer(h, p->root[i]);
		n += root && peer_up(root, CLASS_CTRL);
	}
	return n;
}

/* The homes of a host in its own words, as this root has them. */
static bool homes_at(const struct place *p, const struct host *root, const struct host *h, unsigned first, unsigned other)
{
	uint64_t home[CONTACT_HOMES_MAX] = {0};
	return contacts_homes(root->node, h->secret->self.key_hash, home) == 2 && home[0] == p->root[first]->secret->self.address &&
	       home[1] == p->root[other]->secret->self.address;
}

static bool direct(struct host *a, struct host *b)
{
	const struct peer *peer = host_peer(a, b);
	const struct way *way = peer ? atomic_load(&peer->remote->way) : NULL;
	return way && !way->circuit && endpoint_equal(&way->to, &b->at);
}

static struct host *relay_of(struct place *p, struct host *a, struct host *b)
{
	const struct peer *peer = host_peer(a, b);
	const struct path *path = peer && peer->best >= 0 ? &peer->path[peer->best] : NULL;
	for (unsigned i = 0; path && path->circuit && i < ROOTS; i++)
		if (path->relay == host_peer(a, p->root[i]))
			return p->root[i];
	return NULL;
}

/* ---- homes ------------------------------------------------------------------------------------------------------------------------ */

/* Two homes each, the nearest first; the records of all are at every root; members with different homes meet, straight or not. */
static void homes(uint64_t seed, char failed[256])
{
	struct place p;
	if (place_new(&p, seed, 15)) {
		struct sim *sim = p.sim;
		struct host *a = p.member[0], *b = p.member[1];
		for (unsigned i = 0; i < ROOTS; i++) {
			expect(sim, homes_at(&p, p.root[i], a, 0, 1), "root %u has other homes of A", i);
			expect(sim, homes_at(&p, p.root[i], b, 3, 2), "root %u has other homes of B", i);
			/* members, controller, and the other roots, which are its nodes */
			expect(sim, contacts_count(p.root[i]->node) >= 3, "root %u has %zu records", i, contacts_count(p.root[i]->node));
		}
		uint64_t before = sim->now;
		expect(sim, frame_passes(a, b, 3 * SECOND) && frame_passes(b, a, SECOND), "no frame between members of other homes");
		expect(sim, sim->now - before < 3 * SECOND, "it took %" PRIu64 " ms", (sim->now - before) / MS);
		sim_run(sim, 10 * SECOND);
		expect(sim, direct(a, b) && direct(b, a), "no direct path");
		sim_run(sim, 4 * MINUTE); /* circuits idle, visits over */
		expect(sim, ups(&p, a) == 2 && ups(&p, b) == 2, "A is at %u roots, B at %u", ups(&p, a), ups(&p, b));
		expect(sim, ups(&p, p.root[0]) == 3, "root 0 is at %u others", ups(&p, p.root[0]));
	}
	place_free(&p, failed);
}

/* The straight way is shut: one root carries all, found by the other's record, and keeps carrying it. */
static void visits(uint64_t seed, char failed[256])
{
	struct place p;
	if (place_new(&p, seed, 15)) {
		struct sim *sim = p.sim;
		struct host *a = p.member[0], *b = p.member[1];
		sim_cut(sim, a, b, true);
		host_kill(a);
		host_kill(b);
		host_start(a);
		host_start(b);
		sim_run(sim, 5 * SECOND);
		expect(sim, frame_passes(a, b, 3 * SECOND), "no frame by a relay within 3 s");
		unsigned got = 0;
		for (unsigned i = 0; i < 150; i++) {
			size_t n = frame_send(i & 1 ? a : b, i & 1 ? b : a, 200);
			sim_run(sim, 2 * SECOND);
			got += frame_got(sim, n, i & 1 ? b : a);
		}
		expect(sim, got == 150, "%u of 150 frames in five minutes by a relay", got);
		struct host *relay = relay_of(&p, a, b);
		expect(sim, relay, "no relay in use");
		/* it dies for good: the pair goes on by another one */
		if (relay) {
			host_kill(relay);
			bool passed = false;
			uint64_t before = sim->now;
			while (!passed && sim->now - before < 6 * SECOND)
				passed = frame_passes(a, b, 200 * MS);
			expect(sim, passed && sim->now - before <= 3 * SECOND, "the relay died: %" PRIu64 " ms until a frame passed",
			       (sim->now - before) / MS);
		}
	}
	place_free(&p, failed);
}

/* A root that is nearer by a little is no reason to move, one that is much nearer is one at the next round. */
static void hysteresis(uint64_t seed, char failed[256])
{
	struct place p;
	static const uint32_t little[ROOTS] = {20, 18, 100, 150}, much[ROOTS] = {60, 20, 10, 150};
	if (place_new(&p, seed, 15)) {
		struct sim *sim = p.sim;
		struct host *a = p.member[0];
		distances(&p, a, little);
		sim_run(sim, 30 * MINUTE);
		expect(sim, homes_at(&p, p.root[3], a, 0, 1), "a little nearer, and it moved");
		distances(&p, a, much); /* the nearest, and the nearest of the other region */
		sim_run(sim, 40 * MINUTE);
		expect(sim, homes_at(&p, p.root[3], a, 2, 1), "much nearer, and it did not move");
		expect(sim, ups(&p, a) == 2, "A is at %u roots", ups(&p, a));
	}
	place_free(&p, failed);
}

/* ---- documents ---------------------------------------------------------------------------------------------------------------------- */

static void read_again(struct place *p, struct host *h, int want)
{
	host_running = h;
	int rc = node_rootset(h->node, p->set, p->sim->now / 1000);
	host_running = NULL;
	h->next_us = p->sim->now;
	expect(p->sim, rc == want, "reading the file again: %d", rc);
}

static uint64_t seq_of(const struct host *h)
{
	return h->node->federation->set[0].chain->now.seq;
}

/* Root 3 goes, root 0 comes: one root reads the new file, all others and all nodes follow within seconds, and a stream by a
 * relay that is no longer named loses nothing for longer than a second. */
static void replaced(uint64_t seed, char failed[256])
{
	struct place p;
	if (place_new(&p, seed, 14)) { /* without root 0 */
		struct sim *sim = p.sim;
		struct host *a = p.member[0], *b = p.member[1];
		sim_cut(sim, a, b, true);
		host_kill(a);
		host_kill(b);
		host_start(a);
		host_start(b);
		sim_run(sim, 6 * SECOND);
		expect(sim, frame_passes(a, b, 3 * SECOND) && frame_passes(b, a, 3 * SECOND), "no frame by a relay");
		struct rootset_document *d = calloc(1, sizeof *d);
		*d = p.set->now;
		d->seq = 2;
		struct host *relay = relay_of(&p, a, b), *gone = relay ? relay : p.root[3];
		unsigned mask = 15;
		for (unsigned i = 0; i < ROOTS; i++)
			if (p.root[i] == gone)
				mask &= ~(1u << i);
		document_fill(&p, d, mask);
		document_sign(&p, d, "02", ROOTSET_TAKEN);
		struct host *first = gone == p.root[1] ? p.root[2] : p.root[1];
		read_again(&p, p.root[0], 0); /* it does not know that it is in it; the operator gives it the file */
		read_again(&p, first, 0);
		uint64_t last = sim->now, gap = 0;
		for (unsigned i = 0; i < 90 * 20 && !*sim->failed; i++) {
			size_t n = frame_send(a, b, 100);
			sim_run(sim, 50 * MS);
			sim_run(sim, 0);
			if (n >= 10 && frame_got(sim, n - 8, b)) /* the delay by a far relay is a few of them */
				last = sim->now;
			gap = sim->now - last > gap ? sim->now - last : gap;
			if (i == 40 * 20)
				expect(sim, relay_of(&p, a, b) && relay_of(&p, a, b) != gone, "40 s later still by the root that went");
		}
		expect(sim, gap <= SECOND, "%" PRIu64 " ms without a frame", gap / MS);
		for (unsigned i = 1; i < sim->n_hosts; i++)
			if (sim->host[i] != gone)
				expect(sim, seq_of(sim->host[i]) == 2, "host %u still has document %" PRIu64, i, seq_of(sim->host[i]));
		expect(sim, relay_of(&p, a, b) && relay_of(&p, a, b) != gone, "still by the root that went");
		expect(sim, !host_peer(a, gone) || !host_peer(a, gone)->is_root, "the root that went is still a root of A");
		expect(sim, !host_peer(b, gone) || !host_peer(b, gone)->is_root, "the root that went is still a root of B");
		uint64_t home[CONTACT_HOMES_MAX];
		expect(sim, contacts_homes(p.root[0]->node, a->secret->self.key_hash, home) == 2, "the new root has no record of A");
		/* whoever starts with the old file keeps what it saw, and what too few signed is refused */
		struct rootset *newest = p.set, *old = rootset_new();
		rootset_take(old, newest->link[0].bytes, newest->link[0].len);
		a->set = old;
		host_kill(a);
		host_start(a);
		expect(sim, seq_of(a) == 2, "rolled back to %" PRIu64 " by an old file", seq_of(a));
		struct rootset forged = *newest;
		uint8_t bytes[ROOTSET_BYTES_MAX];
		d->seq = 3;
		size_t len = rootset_draft(d, bytes, sizeof bytes);
		len = rootset_sign(bytes, len, &newest->now, p.key[1], bytes, sizeof bytes);
		forged.link[forged.n++] = (struct rootset_link){.seq = 3, .bytes = bytes, .len = len};
		p.set = &forged;
		read_again(&p, a, -EINVAL);
		p.set = newest;
		expect(sim, seq_of(a) == 2, "a document that one of three signed is in use");
		host_kill(a);
		rootset_free(old);
		free(d);
	}
	place_free(&p, failed);
}

/* ---- splits ------------------------------------------------------------------------------------------------------------------------ */

/* Roots that a set and an invitation name: each stays as long as one of the two does. */
static void set_next(struct place *p, struct host *h, uint64_t seq, unsigned mask)
{
	struct rootset_document *d = calloc(1, sizeof *d);
	*d = p->set->now;
	d->seq = seq;
	document_fill(p, d, mask);
	document_sign(p, d, "02", ROOTSET_TAKEN);
	free(d);
	read_again(p, h, 0);
}

static bool is_root(struct host *h, const struct host *root)
{
	const struct peer *peer = host_peer(h, root);
	for (unsigned i = 0; peer && i < h->node->n_roots; i++)
		if (h->node->root[i] == peer)
			return peer->is_root && peer->root_line;
	return false;
}

static void invited(uint64_t seed, char failed[256])
{
	struct place p;
	if (place_new(&p, seed, 14)) { /* without root 0 */
		struct sim *sim = p.sim;
		struct host *a = p.member[0];
		struct invite_link link = {.nwid = sim->nwid, .key.id = 1, .n_roots = 2};
		memcpy(link.pin, sim->controller->secret->self.key_hash, sizeof link.pin);
		link.pin[16] &= 0xc0;
		for (unsigned i = 0; i < 2; i++) {
			const struct host *root = p.root[i ? 3 : 0];
			link.roots[i] = (struct root_line){.identity = root->secret->self, .endpoints = {root->at}, .n_endpoints = 1};
		}
		host_running = a;
		expect(sim, !node_join_link(a->node, &link, "", sim->now / 1000), "the link is not taken");
		host_running = NULL;
		sim_run(sim, 2 * SECOND);
		expect(sim, is_root(a, p.root[0]) && is_root(a, p.root[3]), "not all roots are there");
		set_next(&p, a, 2, 7); /* 0 is of both now, 3 of the link alone */
		sim_run(sim, 90 * SECOND);
		expect(sim, is_root(a, p.root[0]) && is_root(a, p.root[1]), "a root of the set went");
		expect(sim, is_root(a, p.root[3]), "a root went with the set although an invitation names it");
		host_running = a;
		expect(sim, !node_leave(a->node, sim->nwid, sim->now / 1000), "leave");
		host_running = NULL;
		a->next_us = sim->now;
		sim_run(sim, SECOND);
		expect(sim, !is_root(a, p.root[3]), "the link's root stayed");
		expect(sim, is_root(a, p.root[0]), "a root of the set went with the network");
		set_next(&p, a, 3, 6);
		sim_run(sim, 90 * SECOND);
		expect(sim, !is_root(a, p.root[0]) && a->node->n_roots == 2 && !a->node->n_brought, "a root that nothing names stayed");
	}
	place_free(&p, failed);
}

/* Roots in two halves, and a node that changes its homes on one side while the other still says the old ones; then all agree (T73). */
static void split(uint64_t seed, char failed[256])
{
	struct place p;
	if (place_new(&p, seed, 15)) {
		struct sim *sim = p.sim;
		struct host *a = p.member[0];
		for (unsigned i = 0; i < 2; i++)
			for (unsigned k = 2; k < ROOTS; k++)
				sim_cut(sim, p.root[i], p.root[k], true);
		sim_run(sim, MINUTE);
		for (unsigned i = 0; i < 2; i++) /* A sees the west only */
			sim_cut(sim, a, p.root[i], true);
		sim_run(sim, 2 * MINUTE);
		expect(sim, homes_at(&p, p.root[3], a, 2, 3), "A did not move to the roots that are left");
		expect(sim, homes_at(&p, p.root[0], a, 0, 1), "root 0 heard of it, although it was cut off");
		for (unsigned i = 0; i < 2; i++)
			for (unsigned k = 2; k < ROOTS; k++)
				sim_heal(sim, p.root[i], p.root[k]);
		sim_run(sim, 90 * SECOND);
		for (unsigned i = 0; i < ROOTS; i++) {
			expect(sim, homes_at(&p, p.root[i], a, 2, 3), "healed: root %u has older homes of A", i);
			expect(sim, contacts_count(p.root[i]->node) == contacts_count(p.root[0]->node), "healed: %zu and %zu records",
			       contacts_count(p.root[i]->node), contacts_count(p.root[0]->node));
		}
		/* a root that begins with nothing has all of it from the others: nobody says it again */
		size_t all = contacts_count(p.root[1]->node);
		host_kill(p.root[0]);
		sim_run(sim, 2 * SECOND);
		host_start(p.root[0]);
		sim_run(sim, 20 * SECOND);
		expect(sim, homes_at(&p, p.root[0], a, 2, 3), "a root that restarted does not know where A is");
		expect(sim, contacts_count(p.root[0]->node) == all, "a root that restarted has %zu of %zu records",
		       contacts_count(p.root[0]->node), all);
	}
	place_free(&p, failed);
}

/* ---- crowds ------------------------------------------------------------------------------------------------------------------------ */

#define CROWD 60

/* One of two roots is away for a while: when it is back its nodes come over at least 10 s, no fifth of them within one
 * (T72). */
static void herd(uint64_t seed, char failed[256])
{
	struct sim *sim = sim_new(seed);
	struct host *node[CROWD];
	uint64_t at[CROWD] = {0};
	host_start(host_new(sim, HOST_ROOT));
	host_start(host_new(sim, HOST_ROOT));
	for (unsigned i = 0; i < CROWD; i++)
		host_start(node[i] = host_new(sim, HOST_NODE));
	sim_run(sim, 10 * SECOND);
	for (unsigned i = 0; i < CROWD; i++)
		expect(sim, peer_up(host_peer(node[i], sim->root), CLASS_CTRL) && host_peer(node[i], sim->second),
		       "node %u is not at both roots", i);
	host_kill(sim->root);
	host_reflash(sim->root); /* it forgets whom it served, else it would call them itself */
	sim_run(sim, seed & 1 ? 20 * SECOND : 2 * MINUTE);
	host_start(sim->root);
	uint64_t begun = sim->now, first = UINT64_MAX, last = 0;
	unsigned back = 0, most = 0;
	while (sim->now - begun < 90 * SECOND && back < CROWD) {
		sim_run(sim, 50 * MS);
		for (unsigned i = 0; i < CROWD; i++) {
			const struct peer *seen = host_peer(sim->root, node[i]);
			if (at[i] || !seen || !peer_up(seen, CLASS_CTRL))
				continue;
			at[i] = sim->now;
			first = at[i] < first ? at[i] : first;
			last = at[i];
			back++;
		}
	}
	for (unsigned i = 0; i < CROWD; i++) {
		unsigned near = 0;
		for (unsigned k = 0; k < CROWD; k++)
			near += at[k] >= at[i] && at[k] < at[i] + SECOND;
		most = near > most ? near : most;
	}
	expect(sim, back == CROWD, "%u of %u came back", back, CROWD);
	expect(sim, last - first >= 10 * SECOND, "all came back within %" PRIu64 " ms", (last - first) / MS);
	expect(sim, most <= CROWD / 5, "%u of %u within one second", most, CROWD);
	memcpy(failed, sim->failed, 256);
	sim_free(sim);
}

/* A network of ours holds the address of a root: no path may go there, so its session stands on none. */
static void covered(uint64_t seed, char failed[256])
{
	struct place p;
	if (place_new(&p, seed, 15)) {
		struct host *h = p.member[0];
		struct peer *root = host_peer(h, p.root[seed % 2 ? 1 : 0]);
		struct net *net = net_find(h->node, p.sim->nwid);
		net->address[0] = (struct prefix){.family = 4, .bits = 24};
		memcpy(net->address[0].ip, p.root[seed % 2 ? 1 : 0]->at.ip, 4);
		host_running = h;
		homes_session_end(root);
		for (int i = 0; i < PATHS_MAX; i++)
			if (root->path[i].state != PATH_FREE)
				path_free(root, i);
		root->root_idle = false;
		initiator_want(root, CLASS_CTRL);
		host_running = NULL;
		h->next_us = p.sim->now;
		sim_run(p.sim, 20 * SECOND);
		expect(p.sim, root->best < 0, "the covered root has a path");
		expect(p.sim, frame_passes(p.member[0], p.member[1], 3 * SECOND), "no frame with the other roots");
		sim_run(p.sim, 2 * MINUTE);
	}
	place_free(&p, failed);
}

const struct scenario scenarios_roots[] = {
    {"covered", "a network of ours holds the address of a root", covered, 2},
    {"homes", "a set of roots: the two nearest ones, records at all of them, members of different homes meet", homes, 2},
    {"visits", "... with no straight way, and with the relay killed", visits, 2},
    {"hysteresis", "homes change for much, not for little", hysteresis, 1},
    {"replaced", "a set is replaced while a pair talks through a root that goes", replaced, 2},
    {"invited", "roots that a set and an invitation name", invited, 2},
    {"split", "roots that lost each other agree again", split, 1},
    {"herd", "the nodes of a root that comes back do not come all at once", herd, 2},
    {0},
};
