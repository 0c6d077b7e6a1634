/* node.c: the node's one control turn, and what its files share: index, outbox, publication.
 *
 * node_turn() reads the letters of all workers, fires the timers that are due, then settles: what changed is published in one view, what was
 * queued is sent in one batch. Callbacks only change state and fill the outbox, so no order between them matters. Nothing here waits.
 */
#include "node/control.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "proto/random.h"

#define INDEX_FIRST      1024
#define LETTERS_PER_TURN 1024
#define HOUSEKEEPING_MS  1000
#define SEAL_ROOM        (DATAGRAM_MAX + LEG_HEADER)

/* ---- the index -------------------------------------------------------------------------------------------------- */

uint32_t node_index_draw(struct node *node)
{
	for (int i = 0; i < 64; i++) {
		uint32_t idx = random_u32() & IDX_MASK;
		if (idx && !index_find(node->index, idx))
			return idx;
	}
	return 0;
}

uint32_t node_index_put(struct node *node, struct named *named, uint32_t idx)
{
	if (!idx)
		idx = node_index_draw(node);
	if (!idx)
		return 0;
	named->idx = idx;
	if (!index_put(node->index, named)) {
		struct index *bigger = index_larger(node->index);
		if (!bigger)
			return 0;
		struct index *old = node->index;
		node->index = bigger;
		/* At once: what is taken out of the new table must not be found through the old one. */
		if (!node_publish(node)) {
			node->index = old;
			free(bigger);
			return 0;
		}
		guestbook_retire(&node->book, old, free);
		if (!index_put(bigger, named))
			return 0;
	}
	return idx;
}

void node_index_take(struct node *node, struct named *named)
{
	if (named->idx)
		index_take(node->index, named);
}

bool node_root_up(const struct node *node)
{
	for (unsigned i = 0; i < node->n_roots; i++)
		if (peer_up(node->root[i], CLASS_CTRL) && node->root[i]->best >= 0)
			return true;
	return false;
}

struct circuit *node_circuit(struct node *node, uint32_t idx)
{
	struct named *named = idx ? index_find(node->index, idx) : NULL;
	return named && named->kind == INDEX_CIRCUIT ? (struct circuit *)named : NULL;
}

struct session *node_session(struct node *node, uint32_t idx)
{
	struct named *named = idx ? index_find(node->index, idx) : NULL;
	return named && named->kind == INDEX_SESSION ? (struct session *)named : NULL;
}

/* ---- the outbox ------------------------------------------------------------------------------------------------- */

static void outbox_flush(struct node *node)
{
	struct outbox *out = &node->outbox;
	if (out->n)
		udp_send(node->udp, 0, out->p, out->n);
	for (unsigned i = 0; i < out->n; i++)
		if (out->p[i].verdict)
			node_drop(node, out->p[i].verdict);
	out->n = 0;
	out->used = 0;
}

static uint8_t *outbox_room(struct node *node, size_t len)
{
	if (node->outbox.n == BATCH_MAX || node->outbox.used + len > OUTBOX_BYTES)
		outbox_flush(node);
	return node->outbox.slab + node->outbox.used;
}

static void outbox_add(struct node *node, const struct endpoint *to, uint8_t socket, uint8_t *at, size_t len)
{
	struct packet *p = &node->outbox.p[node->outbox.n++];
	*p = (struct packet){.data = at, .len = (uint32_t)len, .room = (uint32_t)len, .from = *to, .socket = socket};
	if (node->config.fallback == FALLBACK_ONLY && !node->config.root && !(to->family & ENDPOINT_STREAM))
		p->verdict = DROP_NO_PATH; /* never seen on the wire; so no path over UDP comes to be, and none is published to workers */
	node->outbox.used += (len + 15) & ~(size_t)15;
}

void node_datagram(struct node *node, const struct endpoint *to, uint8_t socket, const uint8_t *bytes, size_t len)
{
	uint8_t *at = outbox_room(node, len);
	memcpy(at, bytes, len);
	outbox_add(node, to, socket, at, len);
}

/* The leg's header in front of len bytes that stand at at + LEG_HEADER, and off it goes. */
static bool leg_out(struct node *node, struct circuit *c, uint8_t *at, size_t len)
{
	const struct way *way = atomic_load(&c->far->way);
	if (!way || way->circuit || !c->tx_idx) {
		node_drop(node, DROP_NO_PATH);
		return false;
	}
	leg_seal(&c->tx, c->tx_idx, atomic_fetch_add(&c->tx_seq, 1), at, len);
	atomic_store(&c->used_ms, node->now);
	outbox_add(node, &way->to, way->socket, at, len + LEG_HEADER);
	return true;
}

void node_datagram_leg(struct node *node, struct circuit *c, const uint8_t *bytes, size_t len)
{
	uint8_t *at = outbox_room(node, len + LEG_HEADER);
	memcpy(at + LEG_HEADER, bytes, len);
	leg_out(node, c, at, len);
}

void node_datagram_path(struct node *node, const struct path *path, const uint8_t *bytes, size_t len)
{
	if (path->circuit)
		node_datagram_leg(node, path->circuit, bytes, len);
	else
		node_datagram(node, &path->to, path->socket, bytes, len);
}

bool node_seal(struct node *node, struct session *s, const struct path *path, const uint8_t *plain, size_t len)
{
	assert(len + DATA_HEADER + DATA_TAG <= SEAL_ROOM - LEG_HEADER);
	uint64_t pn;
	if (node->now >= s->reject_ms || !session_take(s, 0, 1, &pn)) {
		node_drop(node, DROP_LANE_FULL);
		return false;
	}
	size_t front = path->circuit ? LEG_HEADER : 0;
	uint8_t *at = outbox_room(node, SEAL_ROOM);
	memcpy(at + front + DATA_HEADER, plain, len);
	struct packet p = {.data = at + front, .len = (uint32_t)(DATA_HEADER + len), .room = SEAL_ROOM - LEG_HEADER};
	seal_batch(&s->tx, s->peer_idx, pn, &p, 1);
	struct footprint *foot = &s->foot[node->config.workers];
	atomic_fetch_add(&foot->tx_bytes, p.len);
	atomic_store(&foot->tx_ms, node->now);
	if (!path->circuit)
		outbox_add(node, &path->to, path->socket, at, p.len);
	else
		return leg_out(node, path->circuit, at, p.len);
	return true;
}

/* ---- publication ------------------------------------------------------------------------------------------------ */

void node_view_changed(struct node *node)
{
	node->view_dirty = true;
}

void node_changed(struct node *node)
{
	if (node->port.changed)
		node->port.changed(node->port.self);
}

static void gate_add(struct node *node, struct view *v, const uint8_t secret[32], bool direct)
{
	for (unsigned i = 0; i < v->n_gates; i++)
		if (bytes_equal(v->gates[i].gate.secret, secret, 32))
			return;
	/* The last slot is gate_0's: whoever comes through a root must get in. */
	if (v->n_gates >= GATES_MAX - (bytes_equal(secret, gate_zero, 32) ? 0u : 1u))
		return;
	gate_derive(&v->gates[v->n_gates].gate, node->config.self.self.key_hash, secret);
	v->gates[v->n_gates++].direct = direct;
}

/* Network gates first, then those of pairs (a root or a controller that calls us after its restart), gate_0 last. */
static void gates_fill(struct node *node, struct view *v)
{
	for (unsigned i = 0; i < NETWORKS_MAX; i++)
		if (node->net[i] && node->net[i]->gate_set)
			gate_add(node, v, node->net[i]->gate, true);
	for (unsigned i = 0; i < NETWORKS_MAX + node->n_roots; i++) {
		struct peer *peer = i < NETWORKS_MAX ? (node->net[i] ? node->net[i]->controller_peer : NULL) : node->root[i - NETWORKS_MAX];
		if (peer && peer_pair_gate(peer))
			gate_add(node, v, peer->pair_gate, true);
	}
	bool serves = node->config.root || node->config.port.request;
	if (node->config.root && !bytes_equal(node->config.root_gate, gate_zero, 32))
		gate_add(node, v, node->config.root_gate, true);
	/* A private root answers under its own key only; through a circuit everybody may be called. */
	gate_add(node, v, gate_zero, serves && (!node->config.root || bytes_equal(node->config.root_gate, gate_zero, 32)));
}

static void own_fill(const struct node *node, struct view *v)
{
	for (unsigned i = 0; i < node->n_hosts; i++)
		for (unsigned k = 0; k < node->config.n_bound; k++)
			if (node->host[i].family == node->config.bound[k].family && v->n_own < OWN_MAX) {
				v->own[v->n_own] = node->host[i];
				v->own[v->n_own++].port = node->config.bound[k].port;
			}
}

bool node_publish(struct node *node)
{
	struct view *v = calloc(1, sizeof *v + GATES_MAX * sizeof v->gates[0]);
	if (!v)
		return false; /* stays dirty, tried again next turn */
	v->index = node->index;
	v->ports_generation = node->ports_generation;
	for (unsigned i = 0; i < NETWORKS_MAX; i++)
		if (node->net[i] && node->net[i]->device_up)
			v->ports[i] = node->net[i]->port;
	gates_fill(node, v);
	own_fill(node, v);
	guestbook_publish(&node->book, v);
	node->view_dirty = false;
	if (node->ports_dirty)
		for (unsigned i = 0; i < node->config.workers; i++)
			worker_wake(node->worker[i]);
	node->ports_dirty = false;
	return true;
}

/* ---- the turn --------------------------------------------------------------------------------------------------- */

static void letter_read(struct node *node, struct letter *l)
{
	switch ((enum letter_kind)l->kind) {
	case LETTER_INIT: responder_init(node, l); return;
	case LETTER_RESP: initiator_resp(node, l); return;
	case LETTER_RETRY: initiator_retry(node, l); return;
	case LETTER_LEG: circuit_early(node, l); return;
	case LETTER_FRAME_OUT: channel_frame_out(node, l); return;
	case LETTER_FLOOD_OUT: channel_flood_out(node, l); return;
	case LETTER_LOOP: loopguard_letter(node, l); return;
	case LETTER_GROUPS: group_letter(node, l); return;
	case LETTER_GATHER: gather_letter(node, l); return;
	case LETTER_ROAM: path_roam(node, l); return;
	case LETTER_REKEY: {
		struct session *s = node_session(node, l->idx);
		struct peer *peer = s ? peer_find(node, s->remote->key_hash) : NULL;
		if (peer)
			initiator_again(peer, s->class);
		return;
	}
	default: break;
	}
	struct session *s = node_session(node, l->idx);
	if (!s)
		return;
	if (!atomic_load(&s->confirmed))
		responder_confirm(node, s, l);
	switch ((enum letter_kind)l->kind) {
	case LETTER_CTRL: request_ctrl(node, l); break;
	case LETTER_PROBE: path_probe_in(node, l); break;
	case LETTER_PROBE_ACK: path_probe_ack(node, l); break;
	case LETTER_FRAME_IN: channel_frame_in(node, l); break;
	case LETTER_CLOSE: {
		struct peer *peer = peer_find(node, s->remote->key_hash);
		struct session **slot = &peer->current[s->class];
		enum session_class class = s->class;
		if (*slot == s) { /* or a root that says CLOSE would never be asked again */
			peer_retire_session(peer, slot);
			peer_session_down(peer, class);
		}
		break;
	}
	default: break;
	}
}

static bool mail_read(struct node *node)
{
	unsigned left = LETTERS_PER_TURN;
	for (unsigned i = 0; i < node->config.workers; i++) {
		struct mail *mail = worker_mail(node->worker[i]);
		struct letter *l;
		while (left && (l = mail_take(mail))) {
			letter_read(node, l);
			mail_done(mail, l);
			left--;
		}
	}
	return left == 0;
}

static void housekeeping(struct timer *t, uint64_t now)
{
	struct node *node = (struct node *)((char *)t - offsetof(struct node, housekeeping));
	responder_rotate(node);
	circuit_tick(node);
	peers_sweep(node, now);
	group_second(node, now);
	report_second(node, now);
	federation_tick(node, now);
	resolve_tick(node, now);
	fallback_tick(node, now);
	if (node->relay)
		relay_tick(node, now);
	if (node->save_peers_ms <= now)
		state_save_peers(node);
	if (now - node->hosts_ms >= 30000)
		node_hosts_changed(node, false, now); /* should the kernel's notice have been lost */
	heap_set(&node->heap, t, now + HOUSEKEEPING_MS);
}

uint64_t node_turn(struct node *node, uint64_t now_us)
{
	uint64_t now = now_us / 1000;
	node->now = now;
	node->now_us = now_us;
	bool more = mail_read(node);
	heap_fire(&node->heap, now);
	if (node->restart_left && node->restart_ms <= now)
		state_restart(node, now);
	if (node->view_dirty)
		node_publish(node);
	outbox_flush(node);
	guestbook_reap(&node->book);
	if (more)
		return now;
	uint64_t next = heap_next(&node->heap);
	return node->restart_left && node->restart_ms < next ? node->restart_ms : next;
}

/* ---- life ------------------------------------------------------------------------------------------------------- */

static int roots_make(struct node *node)
{
	for (unsigned i = 0; i < node->config.n_roots; i++) {
		const struct root_line *line = &node->config.roots[i];
		if (bytes_equal(line->identity.key_hash, node->config.self.self.key_hash, KEY_HASH_BYTES))
			continue; /* our own line, shared by a whole site's configuration */
		struct peer *peer = peer_get(node, &line->identity);
		if (!peer)
			return -ENOMEM;
		peer->is_root = true;
		peer->root_line = line;
		peer_set_work(peer, line->identity.address); /* the operator's word */
		node->root[node->n_roots++] = peer;
	}
	return 0;
}

int node_new(struct node **ret, const struct node_config *config, const struct node_port *port, struct udp *udp, uint64_t now)
{
	struct node *node = calloc(1, sizeof *node);
	int error = -ENOMEM;
	if (!node)
		return -ENOMEM;
	node->config = *config;
	node->port = *port;
	node->udp = udp;
	node->now = now;
	node->now_us = now * 1000;
	node->save_peers_ms = NEVER;
	node->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	heap_init(&node->heap);
	guestbook_init(&node->book, config->workers);
	node->index = index_new(INDEX_FIRST);
	node->outbox.slab = malloc(OUTBOX_BYTES + SEAL_ROOM);
	if (!node->index || !node->outbox.slab || peers_init(&node->peers))
		goto out;
	random_bytes(node->responder.secret, sizeof node->responder.secret);
	random_bytes(&node->instance, sizeof node->instance);
	if ((config->joins || config->n_roots) && (error = netlink_open(&node->netlink)))
		goto out;
	error = -ENOMEM;
	for (unsigned i = 0; i < config->workers; i++)
		if (!(node->worker[i] = worker_new(i, &node->book, udp, node->wake_fd)))
			goto out;
	if (config->root && relay_new(node))
		goto out;
	if (roots_make(node) || federation_new(node))
		goto out;
	node->housekeeping.fire = housekeeping;
	node->housekeeping.at = NEVER;
	if (heap_set(&node->heap, &node->housekeeping, now + HOUSEKEEPING_MS))
		goto out;
	path_hosts_read(node);
	beacon_start(node, now);
	state_load_peers(node);
	if (config->joins)
		state_load_networks(node);
	for (unsigned i = 0; i < node->n_roots; i++)
		if (!node->root[i]->root_idle)
			initiator_want(node->root[i], CLASS_CTRL);
	resolve_tick(node, now);
	fallback_start(node);
	node_publish(node);
	*ret = node;
	return 0;
out:
	node_free(node);
	return error;
}

static void peer_free_each(struct peer *peer, void *self)
{
	(void)self;
	peer_free(peer);
}

/* Controllers hear at once that we go, and need not find out; and before that, what was carried since the last report. */
static void farewell(struct node *node)
{
	uint8_t plain[INNER_HEADER + 1] = {INNER_CLOSE};
	for (unsigned i = 0; i < NETWORKS_MAX; i++)
		if (node->net[i])
			report_last(node->net[i]);
	for (unsigned i = 0; i < NETWORKS_MAX; i++) {
		struct peer *peer = node->net[i] ? node->net[i]->controller_peer : NULL;
		struct session *s = peer ? peer_session(peer, CLASS_CTRL) : NULL;
		if (s && peer->best >= 0)
			node_seal(node, s, &peer->path[peer->best], plain, sizeof plain);
	}
	outbox_flush(node);
}

void node_free(struct node *node)
{
	if (!node)
		return;
	if (node->save_peers_ms != NEVER)
		state_save_peers(node);
	farewell(node);
	for (unsigned i = 0; i < NETWORKS_MAX; i++)
		if (node->net[i])
			net_free(node->net[i]);
	if (node->peers.by_key)
		peers_each(node, peer_free_each, NULL);
	if (node->index)
		circuit_fini(node);
	relay_free(node);
	federation_free(node);
	roots_fini(node);
	for (unsigned i = 0; i < node->config.workers; i++)
		if (node->worker[i])
			worker_free(node->worker[i]);
	guestbook_fini(&node->book);
	for (unsigned i = 0; i < PARKED_MAX; i++) {
		if (node->responder.parked[i])
			free(node->responder.parked[i]->letter);
		free(node->responder.parked[i]);
	}
	peers_fini(&node->peers);
	free(node->index);
	free(node->outbox.slab);
	heap_fini(&node->heap);
	if (node->netlink)
		netlink_close(node->netlink);
	if (node->wake_fd >= 0)
		close(node->wake_fd);
	secret_fini(&node->config.self);
	free(node);
}

struct worker *node_worker(struct node *node, unsigned i)
{
	return node->worker[i];
}

int node_wake_fd(const struct node *node)
{
	return node->wake_fd;
}

const struct identity *node_identity(const struct node *node)
{
	return &node->config.self.self;
}

bool node_send_message(struct node *node, const uint8_t key_hash[KEY_HASH_BYTES], const struct message *m, uint64_t now)
{
	node->now = now;
	struct peer *peer = peer_find(node, key_hash);
	if (!peer || !peer_up(peer, CLASS_CTRL))
		return false;
	if (m->op & OP_REPLY && m->req)
		request_reply(peer, CLASS_CTRL, m->req, m->op & (uint8_t)~OP_REPLY, m->status, m->body, m->len);
	else /* a push: acknowledged like any request, so that it survives loss */
		return request_send(peer, CLASS_CTRL, m->op & (uint8_t)~OP_REPLY, m->body, m->len, NULL, 0, NULL);
	return true;
}

void node_work_done(struct node *node, const struct identity *claimed, bool good, uint64_t now)
{
	node->now = now;
	struct peer *peer = peer_find(node, claimed->key_hash);
	if (good && peer)
		peer_set_work(peer, claimed->address);
	if (good)
		circuit_collision(node, claimed);
	if (good)
		net_whois(node, claimed);
	else
		net_work_bad(node, claimed);
	responder_work_done(node, claimed, good);
}
