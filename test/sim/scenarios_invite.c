/* scenarios_invite.c: joined by a link: with the roots it names and no others, over links that lose, with a controller that dies; and never one too many. */
#include <string.h>

#include "controller/invite.h"
#include "proto/invite.h"
#include "test/sim/sim.h"

#define NEWCOMERS 10
#define USES      3

static struct invite_link invitation(struct sim *sim, uint32_t uses)
{
	struct invite_terms terms = {.uses = uses};
	struct invite_row row;
	struct admin_error error = {0};
	struct invite_link link = {.nwid = sim->nwid, .n_roots = 1};
	expect(sim, !controller_invite_create(sim->controller->controller, sim->nwid, &terms, 0, &link.key, &row, &error), "invite: %s",
	       error.detail);
	memcpy(link.pin, sim->controller->secret->self.key_hash, sizeof link.pin);
	link.pin[16] &= 0xc0;
	link.roots[0] = (struct root_line){.identity = sim->root->secret->self, .endpoints = {sim->root->at}, .n_endpoints = 1};
	return link;
}

/* A node whose configuration names no root. */
static void start_bare(struct host *h)
{
	struct host *root = h->sim->root;
	h->sim->root = NULL;
	host_start(h);
	h->sim->root = root;
}

static void follow(struct host *h, const struct invite_link *link)
{
	host_running = h;
	expect(h->sim, !node_join_link(h->node, link, "", h->sim->now / 1000), "the link is not taken");
	host_running = NULL;
	h->next_us = h->sim->now;
}

static unsigned approved(struct sim *sim)
{
	struct network_row row;
	struct admin_error error;
	return controller_network_get(sim->controller->controller, sim->nwid, &row, &error) ? 0 : row.members;
}

static bool key_kept(const struct host *h, const struct invite_link *link)
{
	for (unsigned i = 0; i < SIM_FILES; i++)
		if (h->file[i].bytes && memmem(h->file[i].bytes, h->file[i].len, link->key.seed, sizeof link->key.seed))
			return true;
	return false;
}

static void finish(struct sim *sim, char failed[256])
{
	memcpy(failed, sim->failed, 256);
	sim_free(sim);
}

/* ---- alone ------------------------------------------------------------------------------------------------------------- */

static void rootless(uint64_t seed, char failed[256])
{
	struct sim *sim = sim_new(seed);
	if (world_new(sim, 1)) {
		struct root_line lines[ROOTS_MAX];
		struct host *h = host_new(sim, HOST_NODE);
		start_bare(h);
		sim_run(sim, 2 * SECOND);
		struct invite_link link = invitation(sim, 1);
		follow(h, &link);
		sim_run(sim, 100 * MS);
		expect(sim, key_kept(h, &link), "the key is not on disk while it is needed");
		expect(sim, sim_run_until(sim, MINUTE, world_joined, h), "not joined by the link");
		sim_run(sim, SECOND);
		expect(sim, !key_kept(h, &link), "the key is still on disk");
		expect(sim, frame_passes(world_member(sim, 0), h, 5 * SECOND), "no frame reaches it");
		host_kill(h);
		start_bare(h);
		expect(sim, sim_run_until(sim, MINUTE, world_joined, h), "not joined after its restart");
		expect(sim, node_root_lines(h->node, lines, ROOTS_MAX) == 1, "its root did not come back");
		sim_run(sim, 10 * SECOND); /* a session of before is found to be void by what is sent under it */
		expect(sim, frame_passes(h, world_member(sim, 0), 5 * SECOND), "no frame comes from it after its restart");
		expect(sim, frame_passes(world_member(sim, 0), h, 5 * SECOND), "no frame reaches it after its restart");
		host_running = h;
		expect(sim, !node_leave(h->node, sim->nwid, sim->now / 1000), "leave");
		host_running = NULL;
		expect(sim, !node_root_lines(h->node, lines, ROOTS_MAX), "its root stayed");
		sim_run(sim, 10 * SECOND);
	}
	finish(sim, failed);
}

/* Two networks by links that name the same root: it stays for the other one. */
static void shared_root(uint64_t seed, char failed[256])
{
	struct sim *sim = sim_new(seed);
	if (world_new(sim, 1)) {
		struct network_settings s = {.set = SET_NET_NAME, .name = "other"};
		struct root_line lines[ROOTS_MAX];
		struct admin_error error;
		uint64_t first = sim->nwid, other;
		struct host *h = host_new(sim, HOST_NODE);
		start_bare(h);
		struct invite_link a = invitation(sim, 1);
		expect(sim, !controller_network_create(sim->controller->controller, &s, &other, &error), "create: %s", error.detail);
		sim->nwid = other;
		struct invite_link b = invitation(sim, 1);
		sim->nwid = first;
		follow(h, &a);
		follow(h, &b);
		expect(sim, sim_run_until(sim, MINUTE, world_joined, h), "not joined");
		host_running = h;
		node_leave(h->node, other, sim->now / 1000);
		host_running = NULL;
		expect(sim, node_root_lines(h->node, lines, ROOTS_MAX) == 1, "the root went with one of two networks");
		sim_run(sim, 5 * SECOND);
		expect(sim, frame_passes(world_member(sim, 0), h, 5 * SECOND), "no frame reaches it");
	}
	finish(sim, failed);
}

/* A link of somebody who means ill: its second root says it has the address of the controller of another network, its third that it is us. */
static void false_root(uint64_t seed, char failed[256])
{
	struct sim *sim = sim_new(seed);
	if (world_new(sim, 1)) {
		struct root_line lines[ROOTS_MAX];
		struct host *h = host_new(sim, HOST_NODE);
		start_bare(h);
		sim_run(sim, 2 * SECOND);
		struct invite_link link = invitation(sim, 1);
		uint64_t wanted = sim->controller->secret->self.address + 1;
		link.roots[1] = link.roots[0];
		link.roots[1].identity.x[0] ^= 1;
		link.roots[1].identity.address = wanted;
		identity_hash(&link.roots[1].identity);
		link.roots[2] = link.roots[0];
		link.roots[2].identity = h->secret->self;
		link.n_roots = 3;
		for (unsigned again = 0; again < 3; again++)
			follow(h, &link);
		expect(sim, sim_run_until(sim, MINUTE, world_joined, h), "not joined by the link");
		expect(sim, !peer_find_address(h->node, wanted), "a link's word gave an address to a root");
		expect(sim, node_root_lines(h->node, lines, ROOTS_MAX) == 2, "%u roots", node_root_lines(h->node, lines, ROOTS_MAX));
		follow(h, &link); /* already joined: nothing is lost by it, and no use spent */
		sim_run(sim, 10 * SECOND);
		expect(sim, world_joined(sim, h) && approved(sim) == 2, "out by the link it came in by");
		expect(sim, !key_kept(h, &link), "the key of a link for a network we are in stays on disk");
		host_running = h;
		expect(sim, !node_leave(h->node, sim->nwid, sim->now / 1000), "leave");
		host_running = NULL;
		expect(sim, !h->node->n_roots && !h->node->n_brought, "%u roots stayed", h->node->n_roots);
		sim_run(sim, 10 * SECOND);
	}
	finish(sim, failed);
}

/* Joined by the short id first, and a root named a false controller; its work comes out right just when the link is there. */
static void false_controller(uint64_t seed, char failed[256])
{
	struct sim *sim = sim_new(seed);
	if (world_new(sim, 1)) {
		struct host *h = host_new(sim, HOST_NODE);
		start_bare(h);
		sim_run(sim, 2 * SECOND);
		struct invite_link link = invitation(sim, 1);
		host_running = h;
		expect(sim, !node_join(h->node, sim->nwid, NULL, "", sim->now / 1000), "join");
		struct net *net = net_find(h->node, sim->nwid);
		net->found = sim->controller->secret->self;
		net->found.x[0] ^= 1;
		identity_hash(&net->found);
		struct identity lie = net->found;
		net->found_set = net->working = true;
		host_running = NULL;
		follow(h, &link);
		host_running = h;
		node_work_done(h->node, &lie, true, sim->now / 1000);
		host_running = NULL;
		expect(sim, !net->pinned, "another controller is pinned than the link says");
		expect(sim, sim_run_until(sim, MINUTE, world_joined, h), "not joined by the link");
	}
	finish(sim, failed);
}

/* ---- many, and trouble ------------------------------------------------------------------------------------------------- */

static bool enough(struct sim *sim, void *self)
{
	(void)self;
	unsigned in = 0;
	for (unsigned i = 0; i < sim->n_hosts; i++)
		in += sim->host[i]->kind == HOST_NODE && sim->host[i]->node && world_joined(sim, sim->host[i]);
	return in == 1 + USES;
}

static void crowd(struct sim *sim, bool dies)
{
	struct host *h[NEWCOMERS];
	struct network_row row;
	struct admin_error error;
	struct invite_link link = invitation(sim, USES);
	for (unsigned i = 0; i < NEWCOMERS; i++) {
		h[i] = host_new(sim, HOST_NODE);
		start_bare(h[i]);
	}
	sim_run(sim, SECOND);
	sim->link.loss = 200;
	for (unsigned i = 0; i < NEWCOMERS; i++)
		follow(h[i], &link);
	for (unsigned i = 0; dies && i < 4; i++) {
		sim_run(sim, 20 * MS + sim_draw(sim, 300 * MS));
		host_kill(sim->controller);
		host_start(sim->controller);
	}
	expect(sim, sim_run_until(sim, 5 * MINUTE, enough, NULL), "%u of %u came in", approved(sim) - 1, USES);
	for (unsigned i = 0; i < 6; i++) { /* all ask again and again: nobody more comes in, nobody goes */
		sim_run(sim, 30 * SECOND);
		expect(sim, approved(sim) == 1 + USES, "%u are approved", approved(sim));
	}
	expect(sim, enough(sim, NULL), "one of those who were in is out");
	expect(sim, !controller_network_get(sim->controller->controller, sim->nwid, &row, &error) && row.pending == NEWCOMERS - USES,
	       "%u wait", row.pending);
}

static void lossy(uint64_t seed, char failed[256])
{
	struct sim *sim = sim_new(seed);
	if (world_new(sim, 1))
		crowd(sim, false);
	finish(sim, failed);
}

static void controller_dies(uint64_t seed, char failed[256])
{
	struct sim *sim = sim_new(seed);
	if (world_new(sim, 1))
		crowd(sim, true);
	finish(sim, failed);
}

const struct scenario scenarios_invite[] = {
    {"invite-rootless", "a node that knows no root joins by a link, restarts, leaves", rootless, 6},
    {"invite-shared-root", "a root that two links name stays until both networks are left", shared_root, 3},
    {"invite-false-root", "a link whose roots claim an address, or to be ourselves; used again and again", false_root, 3},
    {"invite-false-controller", "a controller found without its key is not the one of the link", false_controller, 2},
    {"invite-lossy", "ten come by a key for three over links that lose a fifth", lossy, 6},
    {"invite-controller-dies", "... and the controller starts anew four times meanwhile", controller_dies, 8},
    {0},
};
