/* net.c: joining a network and keeping its device (PROTOCOL.md, Controller protocol).
 *
 * A network goes ASKING -> (PENDING ->) JOINED, or DENIED; net_set_state() is the only writer. The controller is found by the first ten digits of
 * the network id, its work verified, its key pinned on disk at first contact. What the controller says comes as JOIN_RES, asked for or pushed.
 * With credential and configuration on disk a restart needs nobody. The device itself is device.c's.
 */
#include "node/control.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "proto/random.h"

#define WHOIS_AGAIN_MS    2000
#define WHOIS_PATIENCE_MS 1000
#define DENIED_AGAIN_MS   60000
#define WANT_AGAIN_MS     3000
#define TRY_LATER_MS      3000
#define OFFLINE_SAVE_MS   3600000
#define NEWS_WARN_S       (3 * 3600)
#define SOFT_TTL_MIN      3600 /* s, the least PROTOCOL.md allows */
#define FDB_AGE_EVERY_MS  10000

const char *net_state_name(enum net_state state)
{
	static const char *const name[] = {"asking", "pending", "joined", "denied", "error"};
	return (unsigned)state < sizeof name / sizeof *name ? name[state] : "?";
}

struct net *net_find(struct node *node, uint64_t nwid)
{
	for (unsigned i = 0; i < NETWORKS_MAX; i++)
		if (node->net[i] && node->net[i]->nwid == nwid)
			return node->net[i];
	return NULL;
}

/* Which state may follow which; anything else is our bug. */
static bool may_follow(enum net_state from, enum net_state to)
{
	static const uint8_t after[] = {
	    [NET_ASKING] = 1 << NET_PENDING | 1 << NET_JOINED | 1 << NET_DENIED | 1 << NET_ERROR,
	    [NET_PENDING] = 1 << NET_JOINED | 1 << NET_DENIED | 1 << NET_ERROR,
	    [NET_JOINED] = 1 << NET_PENDING | 1 << NET_DENIED | 1 << NET_ERROR,
	    [NET_DENIED] = 1 << NET_PENDING | 1 << NET_JOINED | 1 << NET_ERROR,
	    [NET_ERROR] = 1 << NET_ASKING | 1 << NET_PENDING | 1 << NET_JOINED | 1 << NET_DENIED,
	};
	return from == to || after[from] >> to & 1;
}

void net_set_state(struct net *net, enum net_state state, const char *reason)
{
	char id[NWID_TEXT];
	if (!may_follow(net->state, state))
		abort();
	bool same = net->state == state && !strcmp(net->reason, reason);
	enum net_state before = net->state;
	net->state = state;
	snprintf(net->reason, sizeof net->reason, "%s", reason);
	if (same)
		return;
	nwid_format(net->nwid, id);
	log_info("network %s: %s%s%s", id, net_state_name(state), *reason ? ": " : "", reason);
	if (before != state)
		event_network(net, net_state_name(before));
	if (before != state && state == NET_JOINED)
		beacon_joined(net->node);
	node_changed(net->node);
}

void net_schedule(struct net *net, uint64_t at)
{
	if (at <= net->node->now)
		at = net->node->now + 1;
	if (net->timer.slot && net->timer.at <= at)
		return;
	if (heap_set(&net->node->heap, &net->timer, at))
		log_error("out of memory for a timer");
}

void net_save_soon(struct net *net)
{
	if (net->save_ms == NEVER)
		net->save_ms = net->node->now + 50;
	net_schedule(net, net->save_ms);
}

/* ---- finding the controller --------------------------------------------------------------------------------------- */

static bool pin_fits(const struct net *net, const struct identity *who)
{
	if (!net->pin_bits_set)
		return true;
	return !memcmp(net->pin_bits, who->key_hash, 16) && !((net->pin_bits[16] ^ who->key_hash[16]) & 0xc0);
}

static void controller_set(struct net *net)
{
	net->controller_peer = peer_get(net->node, &net->controller);
	if (!net->controller_peer)
		return;
	net->controller_peer->is_controller = true;
	peer_set_work(net->controller_peer, net->controller.address);
	node_view_changed(net->node); /* its gate */
}

static void controller_pin(struct net *net, const struct identity *who)
{
	char words[WORDS_TEXT], id[NWID_TEXT];
	net->controller = *who;
	net->pinned = true;
	net->whois_ms = NEVER;
	controller_set(net);
	fingerprint_words(who->key_hash, words);
	nwid_format(net->nwid, id);
	log_notice("network %s: controller pinned, key fingerprint %s", id, words);
	net->ask_ms = net->node->now;
	net_save_soon(net);
	net_schedule(net, net->ask_ms);
}

void net_whois(struct node *node, const struct identity *who)
{
	for (unsigned i = 0; i < NETWORKS_MAX; i++) {
		struct net *net = node->net[i];
		if (!net || net->pinned || net->nwid >> 24 != who->address)
			continue;
		net->working = false; /* even of one that another answer replaced meanwhile: or nobody is verified any more */
		if (!net->found_set || !bytes_equal(net->found.key_hash, who->key_hash, KEY_HASH_BYTES))
			continue;
		controller_pin(net, who);
	}
}

void net_work_bad(struct node *node, const struct identity *who)
{
	for (unsigned i = 0; i < NETWORKS_MAX; i++) {
		struct net *net = node->net[i];
		if (!net || net->pinned || net->nwid >> 24 != who->address)
			continue;
		net->working = false;
		if (!net->found_set || !bytes_equal(net->found.key_hash, who->key_hash, KEY_HASH_BYTES))
			continue;
		net->found_set = false;
		net_set_state(net, NET_ERROR,
		              "a root named a controller whose key does not carry its address; check the roots in add-root");
		net->whois_ms = node->now + DENIED_AGAIN_MS;
		net_schedule(net, net->whois_ms);
	}
}

static void work_ask(struct net *net)
{
	if (!net->found_set || net->working)
		return;
	net->working = net->node->port.work(net->node->port.self, &net->found);
}

static void whois_done(struct peer *root, const struct request *r, const struct message *reply)
{
	struct net *net = net_find(root->node, r->context);
	struct body_identity b;
	if (!net || net->pinned || le32_at(r->context_hash) != net->whois_round)
		return; /* of an earlier round */
	net->whois_heard++;
	if (reply && reply->status == STATUS_OK && body_identity_parse(reply->body, reply->len, &b) &&
	    b.identity.address == net->nwid >> 24) {
		if (!pin_fits(net, &b.identity)) {
			net_set_state(net, NET_ERROR, "the controller a root named has another key than the network id you typed says");
			return;
		}
		if (net->found_set && !bytes_equal(net->found.key_hash, b.identity.key_hash, KEY_HASH_BYTES)) {
			net->found_set = false;
			net_set_state(net, NET_ERROR, "the roots disagree about the controller's key; join by the long id to settle it");
			return;
		}
		net->found = b.identity;
		net->found_set = true;
	}
	if (net->whois_heard >= net->whois_sent)
		work_ask(net);
}

static void whois_send(struct net *net)
{
	struct node *node = net->node;
	struct body_whois b = {.address = net->nwid >> 24};
	uint8_t body[32];
	size_t n = body_whois_encode(&b, body, sizeof body);
	const struct peer *known = peer_find_address(node, b.address);
	net->whois_ms = node->now + WHOIS_AGAIN_MS;
	if (net->found_set && net->whois_heard) {
		work_ask(net);
		return;
	}
	if (known && known->keys && known->work && pin_fits(net, &known->identity)) {
		controller_pin(net, &known->identity);
		return;
	}
	uint8_t round[32] = {0};
	net->whois_sent = net->whois_heard = 0;
	le32_to(round, ++net->whois_round);
	for (unsigned i = 0; i < node->n_roots; i++)
		if (peer_up(node->root[i], CLASS_CTRL) &&
		    request_send(node->root[i], CLASS_CTRL, OP_WHOIS, body, n, whois_done, net->nwid, round))
			net->whois_sent++;
	if (!net->whois_sent && net->state == NET_ASKING)
		net_set_state(net, NET_ASKING, node->n_roots ? "no root answers yet" : "no root is configured: add-root in farland.conf");
}

void net_root_up(struct node *node)
{
	for (unsigned i = 0; i < NETWORKS_MAX; i++) {
		struct net *net = node->net[i];
		if (net && !net->pinned) {
			net->whois_ms = node->now;
			net_schedule(net, node->now);
		} else if (net && net->controller_peer && !peer_up(net->controller_peer, CLASS_CTRL)) {
			net->controller_peer->init_ms[CLASS_CTRL] = NEVER;
			initiator_want(net->controller_peer, CLASS_CTRL);
		}
	}
}

/* ---- asking it ------------------------------------------------------------------------------------------------------ */

static uint64_t renew_at(const struct net *net)
{
	uint64_t ttl = net->cred.soft_ttl > SOFT_TTL_MIN ? net->cred.soft_ttl : SOFT_TTL_MIN, half = ttl * 500;
	return net->node->now + half * 8 / 10 + random_below((uint32_t)(half * 4 / 10 + 1));
}

static void join_done(struct peer *peer, const struct request *r, const struct message *reply)
{
	struct net *net = net_find(peer->node, r->context);
	struct body_join_res b;
	if (!net)
		return;
	net->asking = false;
	if (net->overtaken) {
		net->overtaken = false;
		net->ask_ms = peer->node->now;
		net_schedule(net, net->ask_ms);
		return;
	}
	if (!reply || reply->status != STATUS_OK || !body_join_res_parse(reply->body, reply->len, &b)) {
		net->ask_ms = peer->node->now + WHOIS_AGAIN_MS;
		net_schedule(net, net->ask_ms);
		return;
	}
	net_join_res(peer, &b);
}

static void ask(struct net *net)
{
	struct node *node = net->node;
	struct body_join_req b = {.nwid = net->nwid,
	                          .identity = node->config.self.self,
	                          .have_version = net->head_ok ? net->head.version : 0,
	                          .asked = net->asked};
	struct utsname host;
	uint8_t body[BODY_MAX];
	net->ask_ms = node->now + WANT_AGAIN_MS;
	if (!net->controller_peer || net->asking)
		return;
	if (!peer_up(net->controller_peer, CLASS_CTRL)) {
		if (net->state == NET_ASKING)
			net_set_state(net, NET_ASKING, "the controller does not answer yet");
		initiator_want(net->controller_peer, CLASS_CTRL);
		return;
	}
	if (!uname(&host)) {
		snprintf(b.hostname, sizeof b.hostname, "%.*s", NAME_MAX_BYTES, host.nodename);
		snprintf(b.os, sizeof b.os, "%.20s/%.20s", host.sysname, host.machine);
	}
	snprintf(b.version, sizeof b.version, "%s", FARLAN_VERSION);
	struct session *s = peer_session(net->controller_peer, CLASS_CTRL);
	net->proved = invite_prove(net, s, &b);
	size_t n = body_join_req_encode(&b, body, sizeof body);
	net->asking = n && (net->proved ? request_send_on(net->controller_peer, s, OP_JOIN_REQ, body, n, join_done, net->nwid, NULL)
	                                : request_send(net->controller_peer, CLASS_CTRL, OP_JOIN_REQ, body, n, join_done, net->nwid, NULL));
}

void net_controller_up(struct peer *peer)
{
	for (unsigned i = 0; i < NETWORKS_MAX; i++) {
		struct net *net = peer->node->net[i];
		if (net && net->controller_peer == peer) {
			group_controller_up(net);
			report_controller_up(net);
			net->ask_ms = peer->node->now;
			net_schedule(net, net->ask_ms);
		}
	}
}

static bool memberconf_take(struct net *net, const struct body_join_res *b)
{
	struct memberconf conf;
	struct cred cred;
	const struct identity *self = &net->node->config.self.self;
	if (!memberconf_parse(b->memberconf, b->memberconf_len, &conf) || conf.cred_len > CRED_ENVELOPE_MAX ||
	    !cred_open(conf.cred, conf.cred_len, net->controller.ed, &cred) || cred.nwid != net->nwid || cred.address != self->address ||
	    !bytes_equal(cred.subject, self->key_hash, KEY_HASH_BYTES))
		return false;
	/* An older one is a replay: what was taken away does not come back. */
	if (net->cred_ok && (cred.serial < net->cred.serial || (cred.serial == net->cred.serial && cred.issued_at < net->cred.issued_at)))
		return false;
	bool fresh = !net->cred_ok || conf.cred_len != net->cred_len || memcmp(net->cred_env, conf.cred, conf.cred_len) != 0;
	net->cred = cred;
	memcpy(net->cred_env, conf.cred, conf.cred_len);
	net->cred_len = conf.cred_len;
	net->cred_ok = true;
	if (!net->gate_set || !bytes_equal(net->gate, conf.gate, 32)) {
		memcpy(net->gate, conf.gate, 32);
		net->gate_set = true;
		node_view_changed(net->node);
	}
	if (conf.head)
		config_head(net, net->controller_peer, conf.head, conf.head_len);
	net_save_soon(net);
	if (fresh && net->head_ok)
		channel_push_cred(net);
	return true;
}

/* With what the admin says of it, if anything. */
static void denied(struct net *net, const char *reason)
{
	char text[sizeof net->reason], shown[sizeof text - 32];
	snprintf(text, sizeof text, "refused by the controller%s%s", reason[0] ? ": " : "",
	         reason[0] ? log_text(shown, sizeof shown, reason, strlen(reason)) : "");
	net_set_state(net, NET_DENIED, text);
}

void net_join_res(struct peer *peer, const struct body_join_res *b)
{
	struct net *net = net_find(peer->node, b->nwid);
	if (!net || net->controller_peer != peer)
		return;
	uint64_t now = peer->node->now;
	switch (b->status) {
	case JOIN_OK:
		if (!memberconf_take(net, b)) {
			log_warning("a membership that does not verify or is older than ours was refused");
			net->ask_ms = now + ASK_AGAIN_MS;
			break;
		}
		net->ask_ms = renew_at(net);
		invite_admitted(net);
		net_apply_device(net);
		break;
	case JOIN_PENDING:
		net_down(net);
		net->cred_ok = false;
		net_set_state(net, NET_PENDING,
		              net->proved ? "waiting for approval: the invitation is used up, run out or withdrawn"
		                          : "waiting for approval");
		net->ask_ms = now + ASK_AGAIN_MS;
		net_save_soon(net); /* a membership taken back does not return with the next start */
		break;
	case JOIN_DENIED:
		net_down(net);
		net->cred_ok = false;
		denied(net, b->reason);
		net->ask_ms = now + DENIED_AGAIN_MS;
		net_save_soon(net);
		break;
	case JOIN_COLLISION:
		net_set_state(net, NET_ERROR, "this node's address belongs to another member; it needs a new identity");
		net->ask_ms = now + DENIED_AGAIN_MS;
		break;
	default:
		if (net->state == NET_ASKING)
			net_set_state(net, NET_ASKING, "the controller answers, but cannot decide now; its own status says why");
		net->ask_ms = now + TRY_LATER_MS + random_below(TRY_LATER_MS);
		break;
	}
	net_schedule(net, net->ask_ms);
}

void net_join_pushed(struct peer *peer, const struct body_join_res *b)
{
	struct net *net = net_find(peer->node, b->nwid);
	if (!net || net->controller_peer != peer)
		return;
	net->overtaken = net->asking;
	net_join_res(peer, b);
	config_ack(net);
}

/* ---- life ------------------------------------------------------------------------------------------------------------ */

/* No new HEAD for long: say so; longer than the network allows: nothing passes until one comes. Own running seconds count, so that neither a wrong
 * clock nor a weekend switched off stops a network (PROTOCOL.md, Network time). */
static void news_check(struct net *net, uint64_t now)
{
	uint64_t s = config_offline_s(net);
	char text[sizeof net->reason];
	if (!net->floor_ok || !net->head_ok || !net->device_up)
		return;
	if (now - net->offline_saved_ms >= OFFLINE_SAVE_MS) {
		net->offline_saved_ms = now;
		net_save_soon(net);
	}
	if (net->base.max_offline && s > net->base.max_offline) {
		atomic_store(&net->port->open, false);
		snprintf(text, sizeof text,
		         "no word of the controller for %u days, the most this network allows: nothing passes until it is back",
		         (unsigned)(s / 86400));
		net_set_state(net, NET_ERROR, text);
	} else if (s > NEWS_WARN_S && net->state == NET_JOINED) {
		snprintf(text, sizeof text, "no word of the controller for %u hours; the network goes on with what it knows",
		         (unsigned)(s / 3600));
		net_set_state(net, NET_JOINED, text);
	}
}

static void net_fire(struct timer *t, uint64_t now)
{
	struct net *net = (struct net *)((char *)t - offsetof(struct net, timer));
	if (!net->pinned && net->whois_ms <= now)
		whois_send(net);
	if (net->pinned && net->ask_ms <= now)
		ask(net);
	if (net->listed_ms && net->listed_ms <= now)
		net_apply_device(net);
	if (net->state == NET_ERROR && net->cred_ok && net->head_ok && !net->device_up)
		net_apply_device(net);
	config_fetch_tick(net, now);
	if (net->gossip)
		config_gossip(net);
	if (net->save_ms <= now) {
		net->save_ms = NEVER;
		state_save_network(net);
	}
	news_check(net, now);
	if (now - net->age_ms >= FDB_AGE_EVERY_MS) {
		net->age_ms = now;
		fdb_age(net->port->fdb, now);
		watch_tick(net);
	}
	uint64_t at = now + FDB_AGE_EVERY_MS;
	if (!net->pinned && net->whois_ms < at)
		at = net->whois_ms;
	if (net->pinned && net->ask_ms < at)
		at = net->ask_ms;
	if (net->save_ms < at)
		at = net->save_ms;
	if ((net->fetch.active || net->gossip) && now + 500 < at)
		at = now + 500;
	net_schedule(net, at);
}

static struct port *port_new(struct node *node, uint64_t nwid, unsigned chan)
{
	struct port *port = calloc(1, sizeof *port);
	if (!port)
		return NULL;
	port->nwid = nwid;
	port->chan = chan;
	port->address = node->config.self.self.address;
	mac_derive(nwid, port->address, port->mac);
	port->fdb = fdb_new();
	if (!port->fdb) {
		free(port);
		return NULL;
	}
	return port;
}

static void port_free(void *p)
{
	struct port *port = p;
	free((void *)atomic_load(&port->roster));
	free((void *)atomic_load(&port->owned));
	free((void *)atomic_load(&port->ethertypes));
	free((void *)atomic_load(&port->owners));
	free((void *)atomic_load(&port->audiences));
	fdb_free(port->fdb);
	free(port);
}

struct net *net_new(struct node *node, uint64_t nwid, const char *dev)
{
	/* The handle that rested longest: a frame on its way to a network just left must not enter the next one. */
	unsigned i = 0, tried = 0;
	for (i = node->net_next % NETWORKS_MAX; tried < NETWORKS_MAX && node->net[i]; tried++)
		i = (i + 1) % NETWORKS_MAX;
	node->net_next = i + 1;
	struct net *net = tried < NETWORKS_MAX ? calloc(1, sizeof *net) : NULL;
	if (!net)
		return NULL;
	net->node = node;
	net->nwid = nwid;
	net->chan = i + 1;
	net->port = port_new(node, nwid, net->chan);
	if (!net->port) {
		free(net);
		return NULL;
	}
	snprintf(net->dev_wanted, sizeof net->dev_wanted, "%s", dev ? dev : "");
	group_init(net);
	net->timer.fire = net_fire;
	local_start(net);
	net->timer.at = net->save_ms = NEVER;
	net->whois_ms = net->ask_ms = node->now;
	node->net[i] = net;
	loopguard_start(net);
	net_schedule(net, node->now);
	return net;
}

void net_free(struct net *net)
{
	struct node *node = net->node;
	if (net->save_ms != NEVER)
		state_save_network(net);
	net_down(net);
	local_stop(net);
	config_free(net);
	roster_free(net);
	group_free(net);
	watch_free(net);
	heap_cancel(&node->heap, &net->timer);
	loopguard_stop(net);
	node->net[net->chan - 1] = NULL;
	node_publish(node);
	guestbook_retire(&node->book, net->port, port_free);
	bool other = false;
	for (unsigned i = 0; i < NETWORKS_MAX; i++)
		other = other || (node->net[i] && node->net[i]->controller_peer == net->controller_peer);
	if (net->controller_peer && !other)
		net->controller_peer->is_controller = false;
	wipe(net->gate, sizeof net->gate);
	invite_free(net);
	free(net);
}

int node_join(struct node *node, uint64_t nwid, const uint8_t pin_bits[17], const char *dev, uint64_t now)
{
	struct net *net = net_find(node, nwid);
	node->now = now;
	if (!node->config.joins || (dev && strlen(dev) >= TAP_NAME_MAX))
		return -EINVAL;
	if (!net && !(net = net_new(node, nwid, dev)))
		return -ENOSPC;
	if (pin_bits && !net->pinned) {
		net->pin_bits_set = true;
		memcpy(net->pin_bits, pin_bits, 17);
		/* Found while nothing was known of its key; its work may be under way. */
		if (net->found_set && !pin_fits(net, &net->found)) {
			net->found_set = false;
			net->whois_ms = now;
		}
	}
	do
		random_bytes(&net->asked, sizeof net->asked);
	while (!net->asked);
	net->overtaken = net->asking; /* what is on its way asks with the old one */
	if (net->state != NET_ASKING)
		net->ask_ms = now; /* whatever we believe, the controller may think otherwise */
	net_save_soon(net);
	net_schedule(net, now);
	return 0;
}

int node_leave(struct node *node, uint64_t nwid, uint64_t now)
{
	struct net *net = net_find(node, nwid);
	node->now = now;
	if (!net)
		return -ENOENT;
	struct body_leave b = {.nwid = nwid};
	uint8_t body[32];
	size_t n = body_leave_encode(&b, body, sizeof body);
	report_last(net);
	if (net->controller_peer && peer_up(net->controller_peer, CLASS_CTRL))
		request_send(net->controller_peer, CLASS_CTRL, OP_LEAVE, body, n, NULL, 0, NULL);
	net->save_ms = NEVER;
	net_free(net);
	roots_sweep(node);
	state_forget_network(node, nwid);
	node_changed(node);
	return 0;
}
