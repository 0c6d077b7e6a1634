/* world.c: hosts and what is set up before a scenario begins.
 *
 * Host 0 is the root, host 1 the controller, the others are members; host n has the n-th fixed identity and an address of its own /24. A
 * host's turn follows node/loop.c: settle, node_turn, again when a request came in. A joined world takes its members the real way once; its
 * files make an image from which a thousand further worlds start, as nodes do after a restart, without the controller.
 */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/seal.h"
#include "test/sim/sim.h"

#define TURNS_MAX   1000 /* of a host at one instant: more is a loop that never sleeps */
#define WORK_US     (5 * MS)
#define ANSWER_US   (20 * MS) /* of a resolver */
#define EPOCH_FIRST 1700000000u

struct host *host_running;

/* ---- ports ------------------------------------------------------------------------------------------------------------- */

static struct file *file_find(struct host *h, const char *name)
{
	for (unsigned i = 0; i < SIM_FILES; i++)
		if (h->file[i].bytes && !strcmp(h->file[i].name, name))
			return &h->file[i];
	return NULL;
}

static void file_put(struct host *h, const char *name, const void *bytes, size_t len)
{
	struct file *f = file_find(h, name);
	for (unsigned i = 0; i < SIM_FILES && !f; i++)
		if (!h->file[i].bytes)
			f = &h->file[i];
	assert(f && strlen(name) < sizeof f->name);
	free(f->bytes);
	snprintf(f->name, sizeof f->name, "%s", name);
	f->bytes = malloc(len + 1);
	assert(f->bytes);
	if (len)
		memcpy(f->bytes, bytes, len);
	f->len = len;
}

static int port_save(void *self, const char *name, const void *bytes, size_t len, bool urgent)
{
	struct host *h = self;
	(void)urgent;
	if (!h->discard_saves)
		file_put(h, name, bytes, len);
	return 0;
}

static long port_load(void *self, const char *name, void *buf, size_t room)
{
	struct file *f = file_find(self, name);
	if (!f)
		return -ENOENT;
	if (f->len > room)
		return -EFBIG;
	memcpy(buf, f->bytes, f->len);
	return (long)f->len;
}

static void port_remove(void *self, const char *name)
{
	struct file *f = file_find(self, name);
	if (f) {
		free(f->bytes);
		f->bytes = NULL;
	}
}

static void port_list(void *self, const char *folder, void (*each)(void *, const char *name), void *each_self)
{
	struct host *h = self;
	size_t n = strlen(folder);
	for (unsigned i = 0; i < SIM_FILES; i++)
		if (h->file[i].bytes && !strncmp(h->file[i].name, folder, n) && h->file[i].name[n] == '/')
			each(each_self, h->file[i].name + n + 1);
}

static bool port_work(void *self, const struct identity *claimed)
{
	struct host *h = self;
	if (h->n_work == SIM_WORK)
		return false;
	h->work[h->n_work].identity = *claimed;
	h->work[h->n_work++].at = h->sim->now + WORK_US;
	return true;
}

static void port_beacon(void *self, const uint8_t *bytes, size_t len, const unsigned *skip, unsigned n_skip)
{
	struct host *h = self;
	if (h->tap && !(n_skip == 1 && skip[0] == tap_ifindex(h->tap)))
		sim_fail(h->sim, "host %u would call into its own overlay", h->number);
	sim_call(h, bytes, len);
}

static bool port_resolve(void *self, const char *name)
{
	struct host *h = self;
	if (h->n_asked == SIM_ASKED)
		return false;
	snprintf(h->asked[h->n_asked].name, sizeof h->asked[0].name, "%s", name);
	h->asked[h->n_asked++].at = h->sim->now + ANSWER_US;
	h->looked_up++;
	return true;
}

static void port_request(void *self, const struct identity *from, const struct endpoint *physical, const struct message *m, uint64_t now)
{
	struct host *h = self;
	if (h->controller)
		controller_request(h->controller, from, physical, m, now, h->sim->wall_s);
	h->kicked = true;
}

static void port_online(void *self, const uint8_t key_hash[KEY_HASH_BYTES], bool online, uint64_t now)
{
	struct host *h = self;
	if (h->controller)
		controller_online(h->controller, key_hash, online, now, h->sim->wall_s);
	h->kicked = true;
}

static void port_path(void *self, const uint8_t key_hash[KEY_HASH_BYTES], const struct endpoint *physical, uint32_t rtt_us, uint64_t now)
{
	struct host *h = self;
	if (h->controller)
		controller_path(h->controller, key_hash, physical, rtt_us, now, h->sim->wall_s);
}

static bool port_knows(void *self, const uint8_t key_hash[KEY_HASH_BYTES])
{
	const struct host *h = self;
	return h->controller && controller_knows(h->controller, key_hash);
}

static bool port_send(void *self, const uint8_t key_hash[KEY_HASH_BYTES], const struct message *m)
{
	struct host *h = self;
	return h->node && node_send_message(h->node, key_hash, m, h->sim->now / 1000);
}

/* ---- hosts ------------------------------------------------------------------------------------------------------------- */

struct host *host_new(struct sim *sim, enum host_kind kind)
{
	struct host *h = calloc(1, sizeof *h);
	assert(h && sim->n_hosts < SIM_HOSTS && sim->n_hosts < identities());
	h->sim = sim;
	h->kind = kind;
	h->number = sim->n_hosts;
	h->secret = identity_of(h->number);
	h->at = (struct endpoint){.family = 4, .port = 9993, .ip = {198, 18, (uint8_t)h->number, 7}};
	h->epoch = EPOCH_FIRST;
	h->workers = 1;
	h->lan = sim->lan && kind == HOST_NODE;
	sim->host[sim->n_hosts++] = h;
	if (kind == HOST_ROOT)
		*(sim->root ? &sim->second : &sim->root) = h;
	if (kind == HOST_CONTROLLER)
		sim->controller = h;
	return h;
}

static void controller_start(struct host *h)
{
	static unsigned n;
	struct controller_port port = {.self = h, .send = port_send};
	const char *why = "";
	if (!*h->dir) {
		snprintf(h->dir, sizeof h->dir, "%s/farlan-sim-%d-%u", access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm", (int)getpid(), n++);
		assert(!mkdir(h->dir, 0700));
	}
	if (controller_open(&h->controller, h->dir, h->secret, &port, h->sim->now / 1000, h->sim->wall_s, &why)) {
		fprintf(stderr, "sim: the controller does not open: %s\n", why);
		abort();
	}
}

void host_start(struct host *h)
{
	struct sim *sim = h->sim;
	struct node_port port = {
	    .self = h, .save = port_save, .load = port_load, .remove = port_remove, .list = port_list, .work = port_work};
	struct node_config config = {.self = *h->secret,
	                             .epoch = ++h->epoch,
	                             .root = h->kind == HOST_ROOT || h->kind == HOST_SET_ROOT,
	                             .joins = h->kind == HOST_NODE,
	                             .workers = h->workers,
	                             .no_relay = h->no_relay,
	                             .suite = h->suite,
	                             .fallback = h->fallback,
	                             .bound = {h->at},
	                             .n_bound = 1};
	assert(!h->node && seal_setup() >= 0);
	if (h->lan)
		port.beacon = port_beacon;
	if (sim->streams) {
		port.stream_open = sim_stream_open;
		port.stream_close = sim_stream_close;
	}
	if (sim->root_name)
		port.resolve = port_resolve;
	h->n_asked = 0;
	if (h->kind == HOST_CONTROLLER) {
		config.port = (struct message_port){
		    .self = h, .request = port_request, .online = port_online, .knows = port_knows, .path = port_path};
		controller_start(h);
	}
	if (h->kind != HOST_ROOT && sim->root) {
		config.roots[0] = (struct root_line){.identity = sim->root->secret->self, .endpoints = {sim->root->at}, .n_endpoints = 1};
		config.n_roots = 1;
	}
	if (h->kind != HOST_ROOT && sim->second)
		config.roots[config.n_roots++] =
		    (struct root_line){.identity = sim->second->secret->self, .endpoints = {sim->second->at}, .n_endpoints = 1};
	if (config.n_roots && sim->root_name) {
		struct root_line *line = &config.roots[0];
		line->n_endpoints = 0;
		snprintf(line->names[0].host, sizeof line->names[0].host, "%s", sim->root_name);
		line->names[0].port = sim->root->at.port;
		line->n_names = 1;
	}
	for (unsigned i = 0; sim->streams && i < config.n_roots; i++)
		config.roots[i].tls_port = ROOT_TLS_PORT;
	if (h->set) {
		config.sets[0] = rootset_new();
		for (unsigned i = 0; i < h->set->n; i++)
			rootset_take(config.sets[0], h->set->link[i].bytes, h->set->link[i].len);
		config.n_sets = 1;
	}
	h->udp = (struct udp){.host = h, .workers = h->workers};
	for (unsigned w = 0; w < h->workers; w++)
		h->udp.last[w] = &h->udp.first[w];
	h->discard_saves = false;
	h->n_work = 0;
	host_running = h;
	int error = node_new(&h->node, &config, &port, &h->udp, sim->now / 1000);
	host_running = NULL;
	assert(!error);
	h->next_us = sim->now;
}

static void host_end(struct host *h, bool killed)
{
	if (!h->node)
		return;
	h->discard_saves = killed;
	sim_streams_end(h);
	h->n_ended = 0;
	host_running = h;
	if (h->controller)
		controller_close(h->controller);
	h->controller = NULL;
	node_free(h->node);
	h->node = NULL;
	host_running = NULL;
	udp_close(&h->udp);
	assert(!h->tap);
}

void host_kill(struct host *h)
{
	host_end(h, true);
}

void host_stop(struct host *h)
{
	host_end(h, false);
}

void host_reflash(struct host *h)
{
	host_kill(h);
	for (unsigned i = 0; i < SIM_FILES; i++) {
		free(h->file[i].bytes);
		h->file[i].bytes = NULL;
	}
	h->epoch = 5; /* a clock that stands at 1970 and no stored epoch */
}

static void work_due(struct host *h)
{
	unsigned i = 0;
	while (i < h->n_work && h->work[i].at <= h->sim->now) {
		struct identity claimed = h->work[i++].identity;
		bool good = identity_verdict(&claimed);
		node_work_done(h->node, &claimed, good, h->sim->now / 1000);
	}
	memmove(h->work, h->work + i, (h->n_work - i) * sizeof h->work[0]);
	h->n_work -= i;
}

static void names_due(struct host *h)
{
	struct sim *sim = h->sim;
	while (h->n_asked && h->asked[0].at <= sim->now) {
		char name[sizeof h->asked[0].name];
		memcpy(name, h->asked[0].name, sizeof name);
		memmove(h->asked, h->asked + 1, --h->n_asked * sizeof h->asked[0]);
		bool known = !strcmp(name, sim->root_name);
		node_resolved(h->node, name, sim->name_at, known ? sim->n_name_at : 0, sim->now / 1000);
	}
}

static void streams_due(struct host *h)
{
	while (h->n_ended && h->ended[0].when <= h->sim->now) {
		struct endpoint at = h->ended[0].at;
		memmove(h->ended, h->ended + 1, --h->n_ended * sizeof h->ended[0]);
		node_stream_down(h->node, &at, h->sim->now / 1000);
	}
}

void host_turn(struct host *h)
{
	struct sim *sim = h->sim;
	uint64_t now = sim->now / 1000, settled = NEVER, next = now;
	if (h->alone) {
		for (unsigned turn = 0; worker_turn(h->alone, sim->now);)
			if (++turn == TURNS_MAX) {
				sim_fail(sim, "host %u turns for ever", h->number);
				return;
			}
		return;
	}
	host_running = h;
	for (unsigned turn = 0;; turn++) {
		unsigned moved = 0;
		if (turn == TURNS_MAX) {
			sim_fail(sim, "host %u turns for ever", h->number);
			break;
		}
		h->kicked = false;
		work_due(h);
		names_due(h);
		streams_due(h);
		for (unsigned w = 0; w < h->workers; w++)
			moved += worker_turn(node_worker(h->node, w), sim->now);
		if (turn && !moved && next > now)
			break;
		if (h->controller)
			settled = controller_settle(h->controller, now, sim->wall_s);
		next = node_turn(h->node, sim->now);
		if (h->kicked || settled <= now)
			next = now;
		h->turns++;
	}
	host_running = NULL;
	if (settled < next)
		next = settled;
	h->next_us = next > UINT64_MAX / 1000 ? UINT64_MAX : next * 1000;
	if (h->n_work && h->work[0].at < h->next_us)
		h->next_us = h->work[0].at;
	if (h->n_asked && h->asked[0].at < h->next_us)
		h->next_us = h->asked[0].at;
	if (h->n_ended && h->ended[0].when < h->next_us)
		h->next_us = h->ended[0].when;
}

struct peer *host_peer(struct host *h, const struct host *other)
{
	return h->node ? peer_find(h->node, other->secret->self.key_hash) : NULL;
}

uint64_t host_drops(const struct host *h, enum drop why)
{
	uint64_t drop[DROP_COUNT];
	node_drops(h->node, drop);
	return drop[why];
}

bool world_paired(struct sim *sim, struct host *a, struct host *b)
{
	const struct peer *pa = host_peer(a, b), *pb = host_peer(b, a);
	const struct session *sa = pa ? pa->current[CLASS_DATA] : NULL, *sb = pb ? pb->current[CLASS_DATA] : NULL;
	(void)sim;
	if (!sa || !sb)
		return sa == sb;
	return sa->peer_idx == sb->named.idx && sb->peer_idx == sa->named.idx && atomic_load(&pa->remote->session) == sa &&
	       atomic_load(&pb->remote->session) == sb;
}

/* ---- worlds -------------------------------------------------------------------------------------------------------------- */

static bool in_state(struct host *h, enum net_state state)
{
	struct net_view view;
	return h->node && node_network(h->node, h->sim->nwid, &view) && view.state == state;
}

bool world_joined(struct sim *sim, void *host)
{
	if (host)
		return in_state(host, NET_JOINED);
	for (unsigned i = 0; i < world_members(sim); i++)
		if (!in_state(world_member(sim, i), NET_JOINED))
			return false;
	return true;
}

static bool world_pending(struct sim *sim, void *host)
{
	for (unsigned i = 0; i < world_members(sim); i++)
		if ((!host || host == world_member(sim, i)) && in_state(world_member(sim, i), NET_ASKING))
			return false;
	return true;
}

unsigned world_members(const struct sim *sim)
{
	return sim->n_hosts - 2 - (sim->second != NULL);
}

struct host *world_member(struct sim *sim, unsigned i)
{
	assert(i < world_members(sim));
	return sim->host[2 + i];
}

static void join_ask(struct host *h)
{
	assert(!node_join(h->node, h->sim->nwid, NULL, "", h->sim->now / 1000));
	h->next_us = h->sim->now;
}

static bool approve(struct host *h)
{
	struct sim *sim = h->sim;
	struct member_settings none = {0};
	struct admin_error error = {0};
	enum admin_status status =
	    controller_member_approve(sim->controller->controller, sim->nwid, h->secret->self.address, &none, &error);
	sim->controller->next_us = sim->now;
	return expect(sim, status == ADMIN_OK, "approving host %u: %s: %s", h->number, error.title, error.detail);
}

bool world_join(struct sim *sim, struct host *h)
{
	join_ask(h);
	if (!expect(sim, sim_run_until(sim, MINUTE, world_pending, h), "host %u asked and heard nothing", h->number) || !approve(h))
		return false;
	return expect(sim, sim_run_until(sim, MINUTE, world_joined, h), "host %u was approved and did not join", h->number);
}

bool world_new(struct sim *sim, unsigned members)
{
	struct network_settings settings = {.set = SET_NET_NAME | SET_NET_POOL, .name = "sim", .pool = {4, 16, {10, 20, 0, 0}}};
	struct admin_error error;
	host_start(host_new(sim, HOST_ROOT));
	host_start(host_new(sim, HOST_CONTROLLER));
	for (unsigned i = 0; i < members; i++)
		host_start(host_new(sim, HOST_NODE));
	if (!expect(sim, !controller_network_create(sim->controller->controller, &settings, &sim->nwid, &error), "network create: %s",
	            error.detail))
		return false;
	sim_run(sim, 2 * SECOND);
	for (unsigned i = 0; i < members; i++)
		join_ask(world_member(sim, i));
	if (!expect(sim, sim_run_until(sim, 2 * MINUTE, world_pending, NULL), "some member asked and heard nothing"))
		return false;
	for (unsigned i = 0; i < members; i++)
		if (!approve(world_member(sim, i)))
			return false;
	return expect(sim, sim_run_until(sim, MINUTE, world_joined, NULL), "some member was approved and did not join");
}

struct world_image {
	uint64_t nwid, now;
	unsigned members;
	uint32_t epoch;
	struct file file[SIM_HOSTS][SIM_FILES];
};

struct world_image *world_image(unsigned members)
{
	struct world_image *image = calloc(1, sizeof *image);
	struct sim *sim = sim_new(members);
	assert(image);
	if (!world_new(sim, members)) {
		fprintf(stderr, "sim: the world that others start from: %s\n", sim->failed);
		abort();
	}
	for (unsigned i = 0; i < members; i++)
		frame_send(world_member(sim, i), NULL, 100);
	sim_run(sim, 20 * SECOND); /* all know all and have everything on disk */
	*image = (struct world_image){.nwid = sim->nwid, .now = sim->now, .members = members, .epoch = EPOCH_FIRST + 1};
	for (unsigned i = 0; i < sim->n_hosts; i++) {
		memcpy(image->file[i], sim->host[i]->file, sizeof image->file[i]);
		memset(sim->host[i]->file, 0, sizeof sim->host[i]->file);
	}
	sim_free(sim);
	return image;
}

void world_image_free(struct world_image *image)
{
	for (unsigned i = 0; image && i < SIM_HOSTS; i++)
		for (unsigned k = 0; k < SIM_FILES; k++)
			free(image->file[i][k].bytes);
	free(image);
}

struct sim *world_from(const struct world_image *image, uint64_t seed, bool peers_cache)
{
	struct sim *sim = sim_new(seed);
	sim->now = image->now;
	sim->nwid = image->nwid;
	for (unsigned i = 0; i < image->members + 2; i++) {
		struct host *h = host_new(sim, i == 0 ? HOST_ROOT : i == 1 ? HOST_CONTROLLER : HOST_NODE);
		h->epoch = image->epoch;
		for (unsigned k = 0; k < SIM_FILES; k++)
			if (image->file[i][k].bytes && (peers_cache || strcmp(image->file[i][k].name, "peers.cache")))
				file_put(h, image->file[i][k].name, image->file[i][k].bytes, image->file[i][k].len);
	}
	return sim;
}
