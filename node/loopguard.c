/* loopguard.c: the loop guard's state, then its hands in the control thread.
 *
 * A port is blocked exactly while some other bridge of the network with a smaller key_hash is on our LAN, that is, was heard there in the last
 * six seconds. Of all bridges on one LAN the smallest stays open; nobody has to agree with anybody. A bridge that has no open channel bridges
 * nothing and says nothing: it would take the place of one that does. When a port is shut or opens, hosts are to be reached another way: our
 * own table is emptied, the others are told by SUB and empty theirs (loopguard_topology).
 * Probes cost each bridge a frame in two seconds. In a storm they may be lost, thus suspicion brings more of them, and whoever hears a new one
 * answers with its own at once.
 */
#include "node/loopguard.h"

#include <stdio.h>

#include "node/control.h"
#include "node/group.h"
#include "node/meter.h"
#include "node/net.h"
#include "proto/loopprobe.h"
#include "proto/random.h"

#define ETHER_HEADER 14
#define TAG_BYTES    4
/* A member that shuts and opens its port for fun empties no table more often: once a second, four times at once. */
#define TOPOLOGY_EVERY_MS 1000
#define TOPOLOGY_BURST_MS (4 * TOPOLOGY_EVERY_MS)

/* ---- the state -------------------------------------------------------------------------------------------------- */

static bool smaller(const uint8_t a[KEY_HASH_BYTES], const uint8_t b[KEY_HASH_BYTES])
{
	return memcmp(a, b, KEY_HASH_BYTES) < 0;
}

static bool beaten(const struct loopguard *g, const uint8_t own[KEY_HASH_BYTES])
{
	for (unsigned i = 0; i < g->n; i++)
		if (smaller(g->rival[i].key_hash, own))
			return true;
	return false;
}

void loop_hurry(struct loopguard *g, uint64_t now_ms)
{
	uint64_t at = g->probed_ms && g->probed_ms + LOOP_HURRY_MS > now_ms ? g->probed_ms + LOOP_HURRY_MS : now_ms;
	if (g->probe_ms != NEVER && at < g->probe_ms)
		g->probe_ms = at;
}

enum loop_news loop_hear(struct loopguard *g, const uint8_t own[KEY_HASH_BYTES], const uint8_t key_hash[KEY_HASH_BYTES], uint64_t address,
                         uint64_t now_ms)
{
	if (!memcmp(key_hash, own, KEY_HASH_BYTES)) {
		bool heard = g->self_ms;
		g->self_ms = now_ms ? now_ms : 1;
		return heard ? LOOP_SAME : LOOP_FOUND;
	}
	for (unsigned i = 0; i < g->n; i++)
		if (!memcmp(g->rival[i].key_hash, key_hash, KEY_HASH_BYTES)) {
			g->rival[i].heard_ms = now_ms;
			return LOOP_SAME;
		}
	if (g->n == LOOP_RIVALS_MAX) {
		if (g->blocked || !smaller(key_hash, own))
			return LOOP_SAME;
		g->n--; /* the one that matters takes the place of one that does not */
	}
	struct loop_rival *r = &g->rival[g->n++];
	*r = (struct loop_rival){.address = address, .heard_ms = now_ms};
	memcpy(r->key_hash, key_hash, KEY_HASH_BYTES);
	loop_hurry(g, now_ms);
	bool was = g->blocked;
	g->blocked = beaten(g, own);
	return g->blocked && !was ? LOOP_BLOCK : LOOP_FOUND;
}

enum loop_news loop_silence(struct loopguard *g, const uint8_t own[KEY_HASH_BYTES], uint64_t now_ms, uint64_t *ret_address)
{
	if (g->self_ms && now_ms >= g->self_ms + LOOP_SILENCE_MS) {
		g->self_ms = 0;
		*ret_address = 0;
		return LOOP_GONE;
	}
	for (unsigned i = 0; i < g->n; i++) {
		if (now_ms < g->rival[i].heard_ms + LOOP_SILENCE_MS)
			continue;
		*ret_address = g->rival[i].address;
		g->rival[i] = g->rival[--g->n];
		bool was = g->blocked;
		g->blocked = beaten(g, own);
		return was && !g->blocked ? LOOP_UNBLOCK : LOOP_GONE;
	}
	return LOOP_SAME;
}

uint64_t loop_deadline(const struct loopguard *g)
{
	uint64_t at = g->probe_ms;
	if (g->self_ms && g->self_ms + LOOP_SILENCE_MS < at)
		at = g->self_ms + LOOP_SILENCE_MS;
	for (unsigned i = 0; i < g->n; i++)
		if (g->rival[i].heard_ms + LOOP_SILENCE_MS < at)
			at = g->rival[i].heard_ms + LOOP_SILENCE_MS;
	return at;
}

/* ---- control ---------------------------------------------------------------------------------------------------- */

static const uint8_t *own_hash(const struct net *net)
{
	return net->node->config.self.self.key_hash;
}

static bool bridging(const struct net *net)
{
	return net->device_up && net->gate_set && atomic_load(&net->port->open) && atomic_load(&net->port->own_flags) & MEMBER_BRIDGE;
}

static bool company(const struct net *net)
{
	for (unsigned i = 0; i < net->n_members; i++)
		if (atomic_load(&net->member[i]->member->rx_open))
			return true;
	return false;
}

static void schedule(struct net *net)
{
	if (heap_set(&net->node->heap, &net->loop.timer, loop_deadline(&net->loop)))
		log_error("out of memory for a timer");
}

void loopguard_text(const struct net *net, char buf[LOOP_TEXT])
{
	const struct loopguard *g = &net->loop;
	char address[ADDRESS_TEXT];
	*buf = 0;
	for (unsigned i = 0; i < g->n; i++) {
		if (g->blocked && !smaller(g->rival[i].key_hash, own_hash(net)))
			continue;
		address_format(g->rival[i].address, address);
		snprintf(buf, LOOP_TEXT, "loop: this LAN is also bridged by %s; %s", address,
		         g->blocked ? "this port is blocked until it is gone" : "its port is blocked until one of both is gone");
		return;
	}
	if (g->self_ms)
		snprintf(buf, LOOP_TEXT, "loop inside this LAN: a frame of ours came back; pull a cable, or switch spanning tree on");
}

/* Hosts are behind other members than before, and some of them on our LAN: a bridge that still believes them behind our device would send what is for them to nobody. Its own ageing
 * takes 300 s. Devices that are no port of a bridge have no such memory. */
static void relearn(struct net *net, bool lan)
{
	fdb_clear(net->port->fdb);
	struct tap *of[] = {atomic_load(&net->port->tap), atomic_load(&net->port->nic)};
	for (unsigned i = 0; lan && i < sizeof of / sizeof *of; i++)
		if (of[i])
			(void)netlink_link_flush(net->node->netlink, tap_ifindex(of[i]));
}

static void act(struct net *net, enum loop_news news, uint64_t address)
{
	char text[LOOP_TEXT], who[ADDRESS_TEXT];
	if (news == LOOP_SAME)
		return;
	bool blocked = net->loop.blocked, changed = blocked != atomic_load(&net->port->blocked);
	atomic_store(&net->port->blocked, blocked);
	if (address != net->port->address)
		relearn(net, true);
	loopguard_text(net, text);
	address_format(address, who);
	if (news == LOOP_GONE || news == LOOP_UNBLOCK)
		snprintf(text, sizeof text, "%s%s: %s", address ? who : "the ring inside this LAN",
		         address ? " bridges this LAN no more" : " is gone", blocked ? "another one does" : "this port is open");
	log_warning("%s: %s", net->dev, text);
	event_loop(net, address, text);
	if (changed)
		group_changed(net);
}

static void say(struct net *net)
{
	uint8_t frame[LOOP_FRAME] = {0x03, 0x46, 0x4c, 0x4e, 0x31, 0x00}, key[LOOPPROBE_KEY], nonce[LOOPPROBE_NONCE];
	memcpy(frame + 6, net->port->mac, 6);
	frame[12] = LOOP_ETHERTYPE >> 8;
	frame[13] = LOOP_ETHERTYPE & 0xff;
	random_bytes(nonce, sizeof nonce);
	loopprobe_key(net->gate, key);
	loopprobe_make(key, nonce, own_hash(net), frame + ETHER_HEADER);
	wipe(key, sizeof key);
	struct tap *to[] = {atomic_load(&net->port->tap), atomic_load(&net->port->nic)};
	for (unsigned i = 0; i < sizeof to / sizeof *to; i++) {
		struct packet p = {.data = frame, .len = sizeof frame, .verdict = DROP_NONE};
		if (to[i])
			tap_write(to[i], 0, &p, 1);
		if (p.verdict)
			node_drop(net->node, p.verdict);
	}
}

static void fire(struct timer *t, uint64_t now)
{
	struct net *net = (struct net *)((char *)t - offsetof(struct net, loop.timer));
	struct loopguard *g = &net->loop;
	enum loop_news news;
	uint64_t address = 0;
	/* Nothing passes here any more, by our credential or for want of news: who could serve this LAN instead is not to be kept out. */
	loopguard_changed(net);
	while ((news = loop_silence(g, own_hash(net), now, &address)) != LOOP_SAME)
		act(net, news, address);
	if (now >= g->probe_ms) {
		if (company(net)) {
			say(net);
			g->probed_ms = now;
		}
		g->probe_ms = now + LOOP_PROBE_MS;
	}
	schedule(net);
}

/* Whose is it? 0 = nobody's whom we know. */
static const uint8_t *speaker(const struct net *net, const uint8_t probe[LOOPPROBE_BYTES], uint64_t *ret_address)
{
	uint8_t key[LOOPPROBE_KEY];
	const uint8_t *who = NULL;
	loopprobe_key(net->gate, key);
	*ret_address = net->port->address;
	if (loopprobe_by(key, probe, own_hash(net)))
		who = own_hash(net);
	for (unsigned i = 0; i < net->n_members && !who; i++) {
		const struct net_member *m = net->member[i];
		uint32_t flags = atomic_load(&m->member->flags) | (m->listed ? m->entry.flags : 0);
		if (!(flags & MEMBER_BRIDGE) || !loopprobe_by(key, probe, m->member->remote->key_hash))
			continue;
		*ret_address = m->member->address;
		who = m->member->remote->key_hash;
	}
	wipe(key, sizeof key);
	return who;
}

void loopguard_letter(struct node *node, const struct letter *l)
{
	struct net *net = l->chan && l->chan <= NETWORKS_MAX ? node->net[l->chan - 1] : NULL;
	uint64_t address;
	if (!net || !bridging(net))
		return;
	if (!l->len) {
		loop_hurry(&net->loop, node->now);
		schedule(net);
		return;
	}
	size_t at = ETHER_HEADER + (l->data[12] == LOOP_ETHERTYPE >> 8 && l->data[13] == (LOOP_ETHERTYPE & 0xff) ? 0 : TAG_BYTES);
	const uint8_t *who = l->len >= at + LOOPPROBE_BYTES ? speaker(net, l->data + at, &address) : NULL;
	if (!who)
		return;
	act(net, loop_hear(&net->loop, own_hash(net), who, address, node->now), address);
	schedule(net);
}

void loopguard_topology(struct net *net)
{
	/* Where it is our own LAN, this is the end of what the other bridge still sent: the LAN's memory of it goes again, too. */
	if (meter_take(&net->loop_clears, net->node->now, TOPOLOGY_EVERY_MS, TOPOLOGY_BURST_MS))
		relearn(net, net->loop.n);
}

void loopguard_start(struct net *net)
{
	net->loop.probe_ms = NEVER;
	net->loop.timer.fire = fire;
	net->loop.timer.at = NEVER;
}

void loopguard_changed(struct net *net)
{
	struct loopguard *g = &net->loop;
	bool want = bridging(net);
	if (want == (g->probe_ms != NEVER))
		return;
	bool was = g->blocked;
	if (!want)
		fdb_forget(net->port->fdb, net->port->address); /* no LAN, nobody on it */
	g->probe_ms = want ? net->node->now : NEVER;
	g->n = 0;
	g->self_ms = 0;
	g->blocked = false;
	atomic_store(&net->port->blocked, false);
	if (was)
		group_changed(net);
	schedule(net);
}

void loopguard_stop(struct net *net)
{
	heap_cancel(&net->node->heap, &net->loop.timer);
}
