/* ping.c: `farlan ping`: a session if need be, one probe by the path in use, and its answer.
 *
 * The probe is an ordinary one of path.c, so an answer to any probe that went by the asked path after ours counts: it measured that path as ours
 * did. One timer looks at what is undecided; there is none when nobody pings.
 */
#include "node/control.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define LOOK_MS 20

/* ---- who is meant ----------------------------------------------------------------------------------------------- */

struct wanted {
	bool by_address, by_ip, by_mac;
	uint64_t address;
	uint8_t family, ip[16], mac[6];
	const struct peer *found;
	bool several;
};

static void found(struct wanted *w, const struct peer *peer)
{
	if (w->found && w->found != peer)
		w->several = true;
	w->found = peer;
}

static bool mac_read(const char *text, uint8_t mac[6])
{
	int used = 0;
	return sscanf(text, "%2hhx:%2hhx:%2hhx:%2hhx:%2hhx:%2hhx%n", mac, mac + 1, mac + 2, mac + 3, mac + 4, mac + 5, &used) == 6 &&
	       used == 17 && !text[used];
}

static bool has_ip(const struct net *net, const struct net_member *m, const struct wanted *w)
{
	uint8_t ula[16];
	size_t len = w->family == 4 ? 4 : 16;
	for (unsigned i = 0; i < m->entry.n_ips; i++)
		if (m->entry.ips[i].family == w->family && !memcmp(m->entry.ips[i].ip, w->ip, len))
			return true;
	ula_derive(net->nwid, m->member->address, ula);
	return w->family == 6 && !memcmp(ula, w->ip, 16);
}

static bool has_mac(const struct net_member *m, const struct wanted *w)
{
	for (unsigned i = 0; i < m->member->n_macs; i++)
		if (!memcmp(m->member->macs[i], w->mac, 6))
			return true;
	return !memcmp(m->member->mac, w->mac, 6);
}

static void find_in(const struct net *net, struct wanted *w)
{
	if (w->by_address && net->controller_peer && net->controller_peer->identity.address == w->address)
		found(w, net->controller_peer);
	for (unsigned i = 0; i < net->n_members; i++) {
		const struct net_member *m = net->member[i];
		if ((w->by_address && m->member->address == w->address) || (w->by_ip && has_ip(net, m, w)) || (w->by_mac && has_mac(m, w)))
			found(w, m->peer);
	}
}

int node_find(struct node *node, const char *who, uint8_t ret_key_hash[KEY_HASH_BYTES])
{
	struct wanted w = {0};
	w.by_address = address_parse(who, &w.address);
	w.family = strchr(who, ':') ? 6 : 4;
	w.by_ip = inet_pton(w.family == 4 ? AF_INET : AF_INET6, who, w.ip) == 1;
	w.by_mac = mac_read(who, w.mac);
	for (unsigned i = 0; i < NETWORKS_MAX; i++)
		if (node->net[i])
			find_in(node->net[i], &w);
	for (unsigned i = 0; w.by_address && i < node->n_roots; i++)
		if (node->root[i]->identity.address == w.address)
			found(&w, node->root[i]);
	if (w.by_address && !w.found) {
		const struct peer *peer = peer_find_address(node, w.address);
		if (peer)
			found(&w, peer);
	}
	if (w.several || !w.found)
		return w.several ? -EEXIST : -ENOENT;
	memcpy(ret_key_hash, w.found->identity.key_hash, KEY_HASH_BYTES);
	return 0;
}

/* ---- the course of one ------------------------------------------------------------------------------------------ */

static void decide(struct node *node, struct ping *p, enum ping_state state)
{
	p->state = state;
	p->done_ms = node->now;
	node_changed(node);
}

static void ask(struct peer *peer, struct ping *p)
{
	struct node *node = peer->node;
	struct session *s = peer_any_session(peer);
	enum session_class class = peer->is_root || peer->is_controller ? CLASS_CTRL : CLASS_DATA;
	peer->used_ms = peer->carried_ms = node->now;
	if (!s || peer->best < 0) {
		initiator_want(peer, class);
		return;
	}
	const struct path *path = &peer->path[peer->best];
	p->state = PING_SENT;
	p->sent_ms = node->now;
	p->path = peer->best;
	p->direct = !path->circuit;
	p->tls = path_tls(path);
	p->relay = path->circuit && path->relay ? path->relay->identity.address : 0;
	path_text(path, p->via);
	path_probe(peer, s, peer->best, 0);
}

static bool undecided(const struct ping *p)
{
	return p->id && (p->state == PING_CONNECTING || p->state == PING_SENT);
}

static void look(struct node *node, struct ping *p)
{
	struct peer *peer = peer_find(node, p->key_hash);
	if (!peer)
		decide(node, p, PING_LOST);
	else if (p->state == PING_CONNECTING && node->now - p->begun_ms >= p->wait_ms)
		decide(node, p, PING_LOST);
	else if (p->state == PING_CONNECTING)
		ask(peer, p);
	else if (node->now - p->sent_ms >= PING_LOST_MS)
		decide(node, p, PING_LOST);
}

static void fire(struct timer *t, uint64_t now)
{
	struct node *node = (struct node *)((char *)t - offsetof(struct node, pings.timer));
	bool more = false;
	for (unsigned i = 0; i < PINGS_MAX; i++) {
		struct ping *p = &node->pings.ping[i];
		if (undecided(p))
			look(node, p);
		more = more || undecided(p);
	}
	if (more && heap_set(&node->heap, t, now + LOOK_MS))
		log_error("out of memory for a timer");
}

int node_ping(struct node *node, const uint8_t key_hash[KEY_HASH_BYTES], uint32_t wait_ms, uint64_t now, uint32_t *ret_id)
{
	struct pings *pings = &node->pings;
	struct ping *slot = NULL;
	node->now = now;
	if (!peer_find(node, key_hash))
		return -ENOENT;
	for (unsigned i = 0; i < PINGS_MAX; i++) { /* the one decided longest ago */
		struct ping *p = &pings->ping[i];
		if (!undecided(p) && (!slot || p->done_ms < slot->done_ms))
			slot = p;
	}
	if (!slot)
		return -EBUSY;
	*slot = (struct ping){.id = ++pings->last_id, .state = PING_CONNECTING, .begun_ms = now, .wait_ms = wait_ms};
	memcpy(slot->key_hash, key_hash, KEY_HASH_BYTES);
	*ret_id = slot->id;
	pings->timer.fire = fire;
	/* In the next turn, whose time in microseconds the probe's round trip is counted from. */
	return heap_set(&node->heap, &pings->timer, now);
}

void ping_answered(struct peer *peer, int path, uint32_t rtt_us)
{
	for (unsigned i = 0; i < PINGS_MAX; i++) {
		struct ping *p = &peer->node->pings.ping[i];
		if (p->id && p->state == PING_SENT && p->path == path &&
		    bytes_equal(p->key_hash, peer->identity.key_hash, KEY_HASH_BYTES)) {
			p->rtt_us = rtt_us ? rtt_us : 1;
			decide(peer->node, p, PING_ANSWERED);
		}
	}
}

bool node_pinged(struct node *node, uint32_t id, struct ping_view *ret)
{
	const struct ping *p = NULL;
	for (unsigned i = 0; i < PINGS_MAX; i++)
		if (id && node->pings.ping[i].id == id)
			p = &node->pings.ping[i];
	if (!p)
		return false;
	*ret = (struct ping_view){.id = id, .state = p->state, .direct = p->direct, .tls = p->tls, .relay = p->relay, .rtt_us = p->rtt_us};
	memcpy(ret->via, p->via, sizeof ret->via);
	const struct peer *peer = peer_find(node, p->key_hash);
	ret->address = peer ? peer->identity.address : 0;
	for (int i = 0; peer && i < PATHS_MAX && ret->n_trying < TRYING_MAX; i++)
		if (peer->path[i].state == PATH_PROBING && !peer->path[i].circuit)
			path_text(&peer->path[i], ret->trying[ret->n_trying++]);
	return true;
}
