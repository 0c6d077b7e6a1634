/* peer.c: the table of peers and what a peer's parts share.
 *
 * Peers are found by key_hash, which is already a hash, and (only after their work was computed here) by address. Both tables are
 * chains in one array of buckets that doubles. Whatever workers might still hold goes through the guest book; the peer itself is
 * seen by control only.
 */
#include "node/control.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "proto/cred.h"
#include "proto/random.h"

#define PEERS_MAX      65536 /* 64 networks of 1 000 members, or six of the largest */
#define PEERS_MAX_ROOT 1100000
#define BUCKETS_FIRST  256

int peers_init(struct peers *p)
{
	memset(p, 0, sizeof *p);
	p->by_key = calloc(BUCKETS_FIRST, sizeof *p->by_key);
	p->by_address = calloc(BUCKETS_FIRST, sizeof *p->by_address);
	p->buckets = BUCKETS_FIRST;
	return p->by_key && p->by_address ? 0 : -ENOMEM;
}

void peers_fini(struct peers *p)
{
	free(p->by_key);
	free(p->by_address);
	memset(p, 0, sizeof *p);
}

static size_t bucket_key(const struct peers *p, const uint8_t key_hash[KEY_HASH_BYTES])
{
	return (size_t)(le64_at(key_hash) & (p->buckets - 1));
}

static size_t bucket_address(const struct peers *p, uint64_t address)
{
	return (size_t)((address ^ address >> 17) & (p->buckets - 1));
}

static void peers_grow(struct peers *p)
{
	struct peers bigger = {.buckets = p->buckets * 2, .n = p->n, .sweep_at = p->sweep_at, .orders = p->orders};
	bigger.by_key = calloc(bigger.buckets, sizeof *bigger.by_key);
	bigger.by_address = calloc(bigger.buckets, sizeof *bigger.by_address);
	if (!bigger.by_key || !bigger.by_address) {
		peers_fini(&bigger);
		return; /* longer chains, nothing worse */
	}
	for (size_t i = 0; i < p->buckets; i++) {
		for (struct peer *at = p->by_key[i], *next; at; at = next) {
			next = at->hash_next;
			size_t b = bucket_key(&bigger, at->identity.key_hash);
			at->hash_next = bigger.by_key[b];
			bigger.by_key[b] = at;
		}
		for (struct peer *at = p->by_address[i], *next; at; at = next) {
			next = at->address_next;
			/* At the end, as peer_set_work() does: the order says who had an address first. */
			struct peer **last = &bigger.by_address[bucket_address(&bigger, at->identity.address)];
			while (*last)
				last = &(*last)->address_next;
			at->address_next = NULL;
			*last = at;
		}
	}
	peers_fini(p);
	*p = bigger;
}

struct peer *peer_find(struct node *node, const uint8_t key_hash[KEY_HASH_BYTES])
{
	struct peer *at = node->peers.by_key[bucket_key(&node->peers, key_hash)];
	while (at && memcmp(at->identity.key_hash, key_hash, KEY_HASH_BYTES))
		at = at->hash_next;
	return at;
}

struct peer *peer_find_address(struct node *node, uint64_t address)
{
	struct peer *at = node->peers.by_address[bucket_address(&node->peers, address)];
	while (at && at->identity.address != address)
		at = at->address_next;
	return at;
}

static void peer_fire(struct timer *t, uint64_t now)
{
	struct peer *peer = (struct peer *)((char *)t - offsetof(struct peer, timer));
	initiator_tick(peer, now);
	request_tick(peer, now);
	path_tick(peer, now);
	circuit_peer_tick(peer, now);
	channel_wait_tick(peer, now);
	peer_schedule(peer);
}

static const struct peer_talk nothing; /* read by who looks whether there is anything */

bool peer_talk(struct peer *peer)
{
	if (peer->talk)
		return true;
	struct peer_talk *t = calloc(1, sizeof *t);
	if (!t)
		return false;
	peer->talk = t;
	peer->path = t->path;
	peer->probe = t->probe;
	peer->answer = t->answer;
	return true;
}

static struct peer *peer_new(struct node *node, const struct identity *identity)
{
	struct peer *peer = calloc(1, sizeof *peer);
	if (!peer)
		return NULL;
	peer->remote = calloc(1, sizeof *peer->remote);
	if (!peer->remote) {
		free(peer);
		return NULL;
	}
	memcpy(peer->remote->key_hash, identity->key_hash, KEY_HASH_BYTES);
	peer->remote->address = identity->address;
	peer->node = node;
	peer->path = (struct path *)nothing.path;
	peer->probe = (struct probe *)nothing.probe;
	peer->answer = (struct answer *)nothing.answer;
	peer->identity = *identity;
	peer->best = -1;
	LIST_INIT(&peer->calls);
	LIST_INIT(&peer->called);
	peer->wait_last = &peer->wait_first;
	peer->timer.at = NEVER;
	peer->timer.fire = peer_fire;
	peer->hedge_ms = NEVER;
	peer->next_req = random_u32(); /* a clone of ours asks too, perhaps in the same epoch: its questions are others */
	peer->made_ms = node->now;
	for (int c = 0; c < CLASS_COUNT; c++)
		peer->init_ms[c] = peer->confirm_ms[c] = NEVER;
	return peer;
}

size_t peers_room(const struct node *node)
{
	return node->config.root ? PEERS_MAX_ROOT : PEERS_MAX;
}

struct peer *peer_get(struct node *node, const struct identity *identity)
{
	struct peer *peer = peer_find(node, identity->key_hash);
	bool keys = !bytes_equal(identity->x, gate_zero, 32);
	if (peer) {
		if (!peer->keys && keys) {
			memcpy(peer->identity.x, identity->x, 32);
			memcpy(peer->identity.ed, identity->ed, 32);
			peer->keys = true;
			if (channel_shared(peer)) /* remembered: without a root nobody else may tell them */
				state_peers_changed(node);
		}
		if (!peer->identity.address && identity->address)
			peer->identity.address = peer->remote->address = identity->address;
		return peer;
	}
	if (node->peers.n >= peers_room(node))
		return NULL;
	peer = peer_new(node, identity);
	if (!peer)
		return NULL;
	peer->keys = keys;
	if (++node->peers.n > node->peers.buckets)
		peers_grow(&node->peers);
	size_t b = bucket_key(&node->peers, identity->key_hash);
	peer->hash_next = node->peers.by_key[b];
	node->peers.by_key[b] = peer;
	return peer;
}

void peer_set_work(struct peer *peer, uint64_t address)
{
	struct peers *peers = &peer->node->peers;
	if (peer->work)
		return;
	peer->work = true;
	peer->order = ++peers->orders;
	peer->identity.address = peer->remote->address = address;
	size_t b = bucket_address(peers, address);
	/* Behind those already there: the first seen keeps the address (PROTOCOL.md, Collision). */
	struct peer **at = &peers->by_address[b];
	while (*at)
		at = &(*at)->address_next;
	*at = peer;
}

void peers_each(struct node *node, void (*each)(struct peer *, void *), void *self)
{
	for (size_t i = 0; i < node->peers.buckets; i++) {
		for (struct peer *at = node->peers.by_key[i], *next; at; at = next) {
			next = at->hash_next;
			each(at, self);
		}
	}
}

static void peer_unlink(struct peer *peer)
{
	struct peers *peers = &peer->node->peers;
	struct peer **at = &peers->by_key[bucket_key(peers, peer->identity.key_hash)];
	while (*at != peer)
		at = &(*at)->hash_next;
	*at = peer->hash_next;
	if (peer->work) {
		at = &peers->by_address[bucket_address(peers, peer->identity.address)];
		while (*at != peer)
			at = &(*at)->address_next;
		*at = peer->address_next;
	}
	peers->n--;
}

void peer_drop_waiting(struct peer *peer, enum drop why)
{
	while (peer->wait_first) {
		struct waiting *w = peer->wait_first;
		peer->wait_first = w->next;
		peer->node->waiting_bytes -= w->len;
		node_drop(peer->node, why);
		free(w);
	}
	peer->wait_last = &peer->wait_first;
	peer->waiting = 0;
}

void peer_retire_session(struct peer *peer, struct session **slot)
{
	struct session *s = *slot;
	if (!s)
		return;
	*slot = NULL;
	for (unsigned i = 0; i <= s->workers; i++) {
		peer->past_rx += atomic_load(&s->foot[i].rx_bytes);
		peer->past_tx += atomic_load(&s->foot[i].tx_bytes);
	}
	if (atomic_load(&peer->remote->session) == s)
		atomic_store(&peer->remote->session, NULL);
	node_index_take(peer->node, &s->named);
	guestbook_retire(&peer->node->book, s, session_free);
}

static void answers_forget(struct peer *peer)
{
	for (unsigned i = 0; peer->talk && i < ANSWERS_MAX; i++) {
		free(peer->answer[i].bytes);
		peer->answer[i] = (struct answer){0};
	}
}

/* The other side started anew: what it knew of us is gone, so are all older sessions and its memory of our questions. */
static void peer_restarted(struct peer *peer, struct session *fresh, int path)
{
	for (int c = 0; c < CLASS_COUNT; c++) {
		if (peer->current[c] != fresh)
			peer_retire_session(peer, &peer->current[c]);
		if (peer->previous[c] != fresh)
			peer_retire_session(peer, &peer->previous[c]);
	}
	if (peer->is_root)
		circuit_relay_restarted(peer);
	/* It may have another address, too; where it was seen last is asked, no more. */
	for (int i = 0; i < PATHS_MAX && path >= 0; i++)
		if (i != path && peer->path[i].state == PATH_VALID && !peer->path[i].circuit) {
			path_stale(peer, i);
			peer->path[i].next_probe_ms = peer->node->now;
		}
	answers_forget(peer);
	channel_peer_restarted(peer);
	peer->cands_seen = 0;
	if (peer->node->relay)
		relay_peer_gone(peer);
}

void peer_session_up(struct peer *peer, struct session *s, int path)
{
	struct node *node = peer->node;
	if (peer->epoch && peer->epoch != s->peer_epoch)
		peer_restarted(peer, s, path);
	peer->epoch = s->peer_epoch;
	if (path >= 0 && !peer->path[path].circuit)
		peer_remember_endpoint(peer, &peer->path[path].to);
	if (s->class == CLASS_DATA)
		atomic_store(&peer->remote->session, peer->current[CLASS_DATA]);
	peer->kept_ms = node->now;
	peer->used_ms = node->now;
	request_resend(peer, s->class);
	if (peer->is_root && s->class == CLASS_CTRL) {
		circuit_root_up(peer);
		federation_root_up(peer);
	} else {
		path_cands_send(peer);
	}
	if (peer->is_controller && s->class == CLASS_CTRL)
		net_controller_up(peer);
	if (node->config.port.online && s->class == CLASS_CTRL) { /* a root may be a member too */
		peer->served = true;
		node->config.port.online(node->config.port.self, peer->identity.key_hash, true, node->now);
	}
	event_peer(peer);
	node_changed(node);
}

void peer_session_down(struct peer *peer, enum session_class class)
{
	struct node *node = peer->node;
	if (class == CLASS_CTRL && peer->served && node->config.port.online)
		node->config.port.online(node->config.port.self, peer->identity.key_hash, false, node->now);
	/* What we are meant to keep comes back at once: roots for ever, a controller while a network is joined. */
	if (class == CLASS_CTRL && ((peer->is_root && !peer->root_idle) || peer->is_controller))
		initiator_want(peer, CLASS_CTRL);
	if (class == CLASS_DATA)
		group_session_down(peer);
	event_peer(peer);
	node_changed(node);
}

void peer_cut(struct peer *peer)
{
	for (int c = 0; c < CLASS_COUNT; c++) {
		peer_retire_session(peer, &peer->current[c]);
		peer_retire_session(peer, &peer->previous[c]);
		for (int i = 0; i < 2; i++) {
			peer_retire_session(peer, &peer->next[c][i]);
			free(peer->greeting[c][i]);
			peer->greeting[c][i] = NULL;
		}
		peer->want[c] = false;
		peer->init_ms[c] = peer->confirm_ms[c] = NEVER;
	}
	initiator_drop_pending(peer);
	peer_drop_waiting(peer, DROP_NO_SESSION);
	if (peer->served && peer->node->config.port.online)
		peer->node->config.port.online(peer->node->config.port.self, peer->identity.key_hash, false, peer->node->now);
	peer->served = false;
	event_peer(peer);
}

void peer_free(struct peer *peer)
{
	struct node *node = peer->node;
	peer_cut(peer);
	if (node->relay)
		relay_peer_gone(peer);
	request_fini(peer);
	path_fini(peer);
	heap_cancel(&node->heap, &peer->timer);
	peer_unlink(peer);
	guestbook_retire(&node->book, peer->remote, free);
	free(peer->talk);
	free(peer);
}

void peer_schedule(struct peer *peer)
{
	uint64_t at = initiator_deadline(peer), other = request_deadline(peer);
	if (other < at)
		at = other;
	other = path_deadline(peer);
	if (other < at)
		at = other;
	other = circuit_deadline(peer);
	if (other < at)
		at = other;
	/* A deadline that stands in the past would spin the loop within one turn. */
	if (at != NEVER && at <= peer->node->now)
		at = peer->node->now + 1;
	if (heap_set(&peer->node->heap, &peer->timer, at))
		log_error("out of memory for a timer");
}

bool peer_pair_gate(struct peer *peer)
{
	if (!peer->pair_gate_set)
		peer->pair_gate_set = gate_pair_secret(&peer->node->config.self, peer->identity.x, peer->pair_gate);
	return peer->pair_gate_set;
}

bool peer_up(const struct peer *peer, enum session_class class)
{
	const struct session *s = peer->current[class];
	return s && peer->node->now < s->reject_ms;
}

struct session *peer_session(struct peer *peer, enum session_class class)
{
	return peer_up(peer, class) ? peer->current[class] : NULL;
}

struct session *peer_any_session(struct peer *peer)
{
	struct session *s = peer_session(peer, CLASS_DATA);
	return s ? s : peer_session(peer, CLASS_CTRL);
}

void peer_remember_endpoint(struct peer *peer, const struct endpoint *e)
{
	unsigned at = 0;
	if (e->family & ENDPOINT_STREAM)
		return; /* of this connection only */
	while (at < peer->n_cached && !endpoint_equal(&peer->cached[at], e))
		at++;
	if (at == 0 && peer->n_cached)
		return;
	if (at == peer->n_cached && at < PEER_ENDPOINTS)
		peer->n_cached++;
	if (at >= PEER_ENDPOINTS)
		at = PEER_ENDPOINTS - 1;
	memmove(&peer->cached[1], &peer->cached[0], at * sizeof peer->cached[0]);
	peer->cached[0] = *e;
	state_peers_changed(peer->node);
}
