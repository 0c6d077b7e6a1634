/* beacon.c: when to call out on the LAN, and what a call that is heard may do (beacon.h).
 *
 * Three calls at 0, 1 and 3 s when something is new: a start, a network, an address of ours, somebody to talk to and no root to ask. Then one
 * every 30 s while no root is up, and ever more rarely, down to one in five minutes, while one is: a LAN of thirty pays for each of them
 * thirty times. Whoever hears the first call of a neighbour's life says once where he is himself, for he may have called before that one was there.
 * What is heard is data of anybody who knows the network's gate, so of any member, and what was recorded may be sent again: (epoch, seq) must grow,
 * and a place that was named gets one INIT for each new call, if there is business with its peer, three a minute at most; our own attempts try it
 * once a minute, for only an answer makes it a place that is remembered. Without a root the smaller key_hash
 * says hello once to each life of the other, so that the first frame finds a session. An INIT is all that a liar draws.
 * The keys that a beacon brings are a member's if their hash is the one that the directory names; so two who never met need nobody else.
 */
#include "node/control.h"

#include <string.h>

#include "proto/random.h"

#define BURST           3
#define BURST_AGAIN_MS  10000
#define CALL_MS         30000
#define CALL_RARELY_MS  (5 * 60 * 1000)
#define ANSWER_AFTER_MS 1000 /* since the last call; answers to a crowd are one */
#define ANSWER_IN_MS    500
#define NEWS_MS         (11 * 60 * 1000) /* two of the rarest calls and a bit */
#define READ_MS         20               /* 50/s */
#define READ_BURST      50
#define HELLO_MS        50 /* 20/s */
#define HELLO_BURST     20
#define INIT_MS         20000 /* 3 a minute */
#define INIT_BURST      3
#define AGAIN_MS        60000 /* until an attempt of ours tries a place again that gave no answer */

static const uint16_t burst_ms[BURST] = {0, 1000, 3000};

/* ---- calling ---------------------------------------------------------------------------------------------------- */

static bool speaks(const struct net *net)
{
	return net && net->state == NET_JOINED && net->gate_set && net->cred_ok;
}

static uint16_t port_of(const struct node *node, uint8_t family)
{
	for (unsigned i = 0; i < node->config.n_bound; i++)
		if (node->config.bound[i].family == family)
			return node->config.bound[i].port;
	return 0;
}

/* One beacon for each network joined. Returns how many. */
static unsigned call(struct node *node)
{
	unsigned skip[NETWORKS_MAX], n_skip = 0, n = 0;
	struct beacon b = {
	    .address = node->config.self.self.address, .port4 = port_of(node, 4), .port6 = port_of(node, 6), .epoch = node->config.epoch};
	memcpy(b.x, node->config.self.self.x, sizeof b.x);
	memcpy(b.ed, node->config.self.self.ed, sizeof b.ed);
	for (unsigned i = 0; i < NETWORKS_MAX; i++) {
		struct tap *tap = node->net[i] ? atomic_load(&node->net[i]->port->tap) : NULL;
		if (tap)
			skip[n_skip++] = tap_ifindex(tap);
	}
	for (unsigned i = 0; i < NETWORKS_MAX; i++) {
		uint8_t bytes[BEACON_BYTES];
		if (!speaks(node->net[i]))
			continue;
		b.seq = ++node->beacons.seq;
		beacon_create(node->net[i]->gate, &b, NULL, bytes);
		node->port.beacon(node->port.self, bytes, sizeof bytes, skip, n_skip);
		n++;
	}
	return n;
}

static void due(struct timer *t, uint64_t now)
{
	struct node *node = (struct node *)((char *)t - offsetof(struct node, beacons.timer));
	struct beacons *b = &node->beacons;
	b->called_ms = now;
	if (!call(node))
		return; /* until a network is joined */
	if (b->burst < BURST)
		b->burst++;
	else
		b->interval_ms = node_root_up(node) ? b->interval_ms * 2 : CALL_MS;
	if (b->interval_ms > CALL_RARELY_MS)
		b->interval_ms = CALL_RARELY_MS;
	heap_set(&node->heap, t, b->burst < BURST ? b->burst_ms + burst_ms[b->burst] : now + random_about(b->interval_ms));
}

static void burst(struct node *node)
{
	struct beacons *b = &node->beacons;
	if (!node->port.beacon)
		return;
	b->burst = 0;
	b->burst_ms = node->now;
	b->interval_ms = CALL_MS;
	heap_set(&node->heap, &b->timer, node->now);
}

static void burst_unless_just(struct node *node)
{
	if (node->now - node->beacons.burst_ms >= BURST_AGAIN_MS)
		burst(node);
}

void beacon_start(struct node *node, uint64_t now)
{
	node->beacons.timer = (struct timer){.at = NEVER, .fire = due};
	node->now = now;
}

void beacon_joined(struct node *node)
{
	burst(node);
}

void beacon_hosts_changed(struct node *node)
{
	burst(node);
}

void beacon_wanted(struct peer *peer)
{
	if (peer->best < 0 && !node_root_up(peer->node) && channel_shared(peer))
		burst_unless_just(peer->node);
}

/* Somebody began a new life near us, maybe after we last called. */
static void answer(struct node *node)
{
	struct beacons *b = &node->beacons;
	uint64_t at = b->called_ms + ANSWER_AFTER_MS;
	at = (at > node->now ? at : node->now) + random_below(ANSWER_IN_MS);
	if (node->port.beacon && at < b->timer.at)
		heap_set(&node->heap, &b->timer, at);
}

/* ---- hearing ---------------------------------------------------------------------------------------------------- */

static bool bucket_take(uint64_t *tat, uint64_t now, uint64_t cost, uint64_t most)
{
	if (*tat + cost * most < now)
		*tat = now - cost * most;
	if (*tat + cost > now)
		return false;
	*tat += cost;
	return true;
}

static bool heard_before(struct beacons *b, const uint8_t *salt)
{
	for (unsigned i = 0; i < BEACON_SALTS; i++)
		if (!memcmp(b->salt[i], salt, BEACON_SALT))
			return true;
	memcpy(b->salt[b->salt_at++ % BEACON_SALTS], salt, BEACON_SALT);
	return false;
}

static struct peer *sender(const struct net *net, const struct beacon *b)
{
	struct identity who = {.address = b->address};
	memcpy(who.x, b->x, sizeof who.x);
	memcpy(who.ed, b->ed, sizeof who.ed);
	identity_hash(&who);
	for (unsigned i = 0; i < net->n_members; i++) {
		const struct net_member *m = net->member[i];
		if (m->member->address == b->address && (m->listed || m->cred_ok) &&
		    bytes_equal(m->peer->identity.key_hash, who.key_hash, KEY_HASH_BYTES))
			/* revoked: as if nobody had called */
			return channel_shared(m->peer) ? peer_get(net->node, &who) : NULL;
	}
	return NULL;
}

static bool place_good(const struct node *node, const struct endpoint *e)
{
	if (!e->port || path_barred(node, e))
		return false;
	return e->family == 4 ? e->ip[0] && e->ip[0] < 224 : e->family == 6 && e->ip[0] != 0xff;
}

static bool newer(const struct peer_beacon *last, const struct beacon *b, uint64_t now)
{
	/* What is long past may have been a lie about the future. */
	if (!last->heard_ms || last->heard_ms + NEWS_MS < now)
		return true;
	return b->epoch > last->epoch || (b->epoch == last->epoch && b->seq > last->seq);
}

static void probe(struct peer *peer, const struct endpoint *at)
{
	int i = path_direct(peer, at, 0);
	if (i < 0 || peer->path[i].state == PATH_VALID)
		return;
	path_ask_new(peer, i, 0);
	path_tick(peer, peer->node->now);
	peer_schedule(peer);
}

/* first: of this life of it. */
static void act(struct peer *peer, bool first)
{
	struct node *node = peer->node;
	struct peer_beacon *b = &peer->beacon;
	uint64_t now = node->now;
	const struct path *best = peer->best >= 0 ? &peer->path[peer->best] : NULL;
	bool up = peer_up(peer, CLASS_DATA), restarted = peer->epoch && b->epoch > peer->epoch;
	if (up && !restarted && best && best->state == PATH_VALID && !best->circuit && !(best->to.family & ENDPOINT_STREAM))
		return;
	if (first)
		answer(node);
	if (up && !restarted) {
		if (bucket_take(&b->init_tat_ms, now, INIT_MS, INIT_BURST))
			probe(peer, &b->at);
		return;
	}
	bool business = peer->wait_first || peer->want[CLASS_DATA] || restarted;
	if (!business) {
		bool smaller = memcmp(node->config.self.self.key_hash, peer->identity.key_hash, KEY_HASH_BYTES) < 0;
		if (node_root_up(node) || !smaller || b->hello_epoch == b->epoch ||
		    !bucket_take(&node->beacons.hello_tat_ms, now, HELLO_MS, HELLO_BURST))
			return;
	}
	if (!bucket_take(&b->init_tat_ms, now, INIT_MS, INIT_BURST))
		return;
	b->hello_epoch = b->epoch;
	b->tried_ms = now;
	initiator_at(peer, CLASS_DATA, &b->at);
}

void node_beacon_in(struct node *node, const struct endpoint *from, const uint8_t *bytes, size_t len, uint64_t now)
{
	struct beacon b;
	struct net *net = NULL;
	struct peer *peer;
	node->now = now;
	if (len != BEACON_BYTES) {
		node_drop(node, DROP_BEACON);
		return;
	}
	if (!bucket_take(&node->beacons.heard_tat_ms, now, READ_MS, READ_BURST)) {
		node_drop(node, DROP_BEACON_RATE);
		return;
	}
	for (unsigned i = 0; i < NETWORKS_MAX && !net; i++)
		if (speaks(node->net[i]) && beacon_parse(node->net[i]->gate, bytes, len, &b))
			net = node->net[i];
	if (!net || heard_before(&node->beacons, bytes)) {
		node_drop(node, DROP_BEACON);
		return;
	}
	struct endpoint at = *from;
	at.port = at.family == 4 ? b.port4 : b.port6;
	if (b.address == node->config.self.self.address)
		return; /* our own call, or somebody's who took our address: a root's business */
	peer = sender(net, &b);
	if (!peer || !place_good(node, &at) || !newer(&peer->beacon, &b, now)) {
		node_drop(node, DROP_BEACON);
		return;
	}
	bool first = !peer->beacon.heard_ms || peer->beacon.epoch != b.epoch;
	peer->beacon.heard_ms = now;
	peer->beacon.at = at;
	peer->beacon.epoch = b.epoch;
	peer->beacon.seq = b.seq;
	act(peer, first);
}

const struct endpoint *beacon_endpoint(struct peer *peer)
{
	struct peer_beacon *b = &peer->beacon;
	uint64_t now = peer->node->now;
	if (!b->heard_ms || b->heard_ms + NEWS_MS < now || (b->tried_ms && now - b->tried_ms < AGAIN_MS))
		return NULL;
	b->tried_ms = now;
	return &b->at;
}
