/* state.c: what a node keeps on disk besides its identity (PROTOCOL.md, State on disk).
 *
 * Records of one shape: u8 tag, u32 length, bytes; a file ends with a 16-byte hash over all before it, so that a torn or damaged one is
 * noticed and treated as missing: everything here can be fetched again.
 */
#include "node/control.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/random.h"

#define CHECK            16
#define PEERS_SAVED_MAX  4096
#define PEERS_FEW        256
#define SAVE_FIRST_MS    100
#define SAVE_FEW_MS      1000
#define SAVE_MANY_MS     60000
#define RESTART_GAP_MS   50 /* 20/s */
#define PEERS_FILE_MAX   (PEERS_SAVED_MAX * 176 + CHECK)
#define NETWORK_FILE_MAX (CONFIG_MAX + SECTION_MAX + MANIFEST_MAX + INVITE_STATE_MAX + 16384) /* records have heads */
#define SECRETS_WITHIN   12288 /* bytes from the file's begin: gate, key and roots of an invitation stand before anything large */

enum tag {
	TAG_PEER = 1, /* x 32, ed 32, address be40, flags u8, n u8, n endpoints of 20, u64 order of first sight */
	TAG_DEV = 16,
	TAG_PIN_BITS,
	TAG_CONTROLLER, /* x 32, ed 32 */
	TAG_CRED,
	TAG_HEAD,
	TAG_GATE,
	TAG_BLOB,
	TAG_STATE,      /* u8 1 = denied */
	TAG_FLOOR,      /* newest HEAD verified */
	TAG_OFFLINE,    /* u64 own seconds since it */
	TAG_ASKED,      /* u64 */
	TAG_INVITE,     /* invite_encode() */
	TAG_LOCAL = 40, /* local_encode() */
};

#define PEER_WORK   1u
#define PEER_RECENT 4u /* had a session when the file was written; the one heard last comes first */

static void record_put(struct writer *w, uint8_t tag, const void *bytes, size_t len)
{
	put_u8(w, tag);
	put_le32(w, (uint32_t)len);
	put_bytes(w, bytes, len);
}

static bool record_next(struct reader *r, uint8_t *tag, struct reader *ret)
{
	if (!reader_left(r))
		return false;
	*tag = get_u8(r);
	uint32_t len = get_le32(r);
	const uint8_t *at = get_bytes(r, len);
	if (!at)
		return false;
	*ret = reader_over(at, len);
	return true;
}

static void save(struct node *node, const char *name, struct writer *w, bool urgent)
{
	uint8_t hash[32];
	hash256(hash, "farlan file", w->start, writer_len(w));
	put_bytes(w, hash, CHECK);
	if (w->bad) {
		log_error("%s would be too large and was not written", name);
		return;
	}
	int error = node->port.save(node->port.self, name, w->start, writer_len(w), urgent);
	if (error)
		log_error("%s could not be written: %s", name, strerror(-error));
}

/* The whole file if its check holds; the caller frees *ret_buf. */
static bool load(struct node *node, const char *name, size_t room, uint8_t **ret_buf, struct reader *ret)
{
	uint8_t *buf = malloc(room), hash[32];
	long len = buf ? node->port.load(node->port.self, name, buf, room) : -ENOMEM;
	if (len >= CHECK)
		hash256(hash, "farlan file", buf, (size_t)len - CHECK);
	if (len < CHECK || !bytes_equal(hash, buf + len - CHECK, CHECK)) {
		if (len >= 0)
			log_warning("%s is damaged; what it held will be fetched again", name);
		free(buf);
		return false;
	}
	*ret_buf = buf;
	*ret = reader_over(buf, (size_t)len - CHECK);
	return true;
}

/* ---- peers -------------------------------------------------------------------------------------------------------------- */

/* The few of the smallest keys out of many: a heap with the largest on top. */
struct choice {
	struct chosen {
		uint64_t key;
		struct peer *peer;
	} * at;
	size_t n, room;
};

static void choice_put(struct choice *c, uint64_t key, struct peer *peer)
{
	size_t i = c->n;
	if (c->n < c->room) {
		for (c->n++; i && c->at[(i - 1) / 2].key < key; i = (i - 1) / 2)
			c->at[i] = c->at[(i - 1) / 2];
	} else if (c->room && key < c->at[0].key) {
		i = 0;
		for (size_t child; (child = 2 * i + 1) < c->n; i = child) {
			child += child + 1 < c->n && c->at[child + 1].key > c->at[child].key;
			if (c->at[child].key <= key)
				break;
			c->at[i] = c->at[child];
		}
	} else {
		return;
	}
	c->at[i] = (struct chosen){.key = key, .peer = peer};
}

static int chosen_compare(const void *a, const void *b)
{
	uint64_t x = ((const struct chosen *)a)->key, y = ((const struct chosen *)b)->key;
	return x < y ? -1 : x > y;
}

static void choice_sort(struct choice *c)
{
	qsort(c->at, c->n, sizeof *c->at, chosen_compare);
}

static bool worth_saving(const struct peer *peer)
{
	/* A member's keys also when it was only ever met through a relay: on a LAN cut off from all roots nobody else tells them. */
	return peer->keys && (peer->work || peer->n_cached || channel_shared((struct peer *)peer));
}

static uint64_t heard_ms(const struct peer *peer)
{
	uint64_t heard = peer->used_ms;
	for (int c = 0; c < CLASS_COUNT; c++) {
		uint64_t at = peer->current[c] ? session_last_rx(peer->current[c]) : 0;
		heard = at > heard ? at : heard;
	}
	return heard;
}

static void peer_choose_latest(struct peer *peer, void *self)
{
	peer->saved = false;
	if ((peer->current[CLASS_DATA] || peer->current[CLASS_CTRL]) && worth_saving(peer))
		choice_put(self, UINT64_MAX - heard_ms(peer), peer);
}

/* A root remembers who was first at an address, others whom they talked to last. */
static void peer_choose(struct peer *peer, void *self)
{
	if (!peer->saved && worth_saving(peer))
		choice_put(self, peer->node->config.root ? peer->order : UINT64_MAX - heard_ms(peer), peer);
}

static void peer_save(struct writer *file, struct peer *peer, bool recent)
{
	uint8_t bytes[88 + PEER_ENDPOINTS * 20];
	struct writer w = writer_over(bytes, sizeof bytes);
	put_bytes(&w, peer->identity.x, 32);
	put_bytes(&w, peer->identity.ed, 32);
	put_be(&w, peer->identity.address, 5);
	put_u8(&w, (uint8_t)((peer->work ? PEER_WORK : 0) | (recent ? PEER_RECENT : 0)));
	put_u8(&w, (uint8_t)peer->n_cached);
	for (unsigned i = 0; i < peer->n_cached; i++)
		put_endpoint(&w, &peer->cached[i]);
	put_le64(&w, peer->order);
	record_put(file, TAG_PEER, bytes, writer_len(&w));
	peer->saved = true;
}

/* A member whom a restart must find again is written at once; a root with thousands writes once a minute. */
void state_peers_changed(struct node *node)
{
	uint64_t pause = node->peers.n <= PEERS_FEW ? SAVE_FEW_MS : SAVE_MANY_MS;
	if (node->save_peers_ms != NEVER)
		return;
	node->save_peers_ms =
	    node->saved_peers_ms + pause > node->now + SAVE_FIRST_MS ? node->saved_peers_ms + pause : node->now + SAVE_FIRST_MS;
	heap_set(&node->heap, &node->housekeeping,
	         node->save_peers_ms < node->housekeeping.at ? node->save_peers_ms : node->housekeeping.at);
}

void state_save_peers(struct node *node)
{
	node->save_peers_ms = NEVER;
	node->saved_peers_ms = node->now;
	uint8_t *buf = malloc(PEERS_FILE_MAX);
	if (!buf)
		return;
	struct chosen room[PEERS_SAVED_MAX];
	struct choice latest = {.at = room, .room = RESTART_PEERS};
	struct writer w = writer_over(buf, PEERS_FILE_MAX);
	peers_each(node, peer_choose_latest, &latest);
	choice_sort(&latest);
	for (size_t i = 0; i < latest.n; i++)
		peer_save(&w, room[i].peer, true);
	struct choice others = {.at = room, .room = PEERS_SAVED_MAX - latest.n};
	peers_each(node, peer_choose, &others);
	choice_sort(&others);
	for (size_t i = 0; i < others.n; i++)
		peer_save(&w, room[i].peer, false);
	save(node, "peers.cache", &w, false);
	free(buf);
}

static void peer_load(struct node *node, struct reader *r, struct choice *first_seen)
{
	struct identity who = {0};
	struct endpoint cached[PEER_ENDPOINTS];
	get_copy(r, who.x, 32);
	get_copy(r, who.ed, 32);
	uint64_t address = get_be(r, 5);
	uint8_t flags = get_u8(r), n = get_u8(r);
	for (unsigned i = 0; i < n && i < PEER_ENDPOINTS; i++)
		get_endpoint(r, &cached[i]);
	uint64_t order = reader_left(r) ? get_le64(r) : 0; /* not in files of the first days */
	if (r->bad || n > PEER_ENDPOINTS)
		return;
	identity_hash(&who);
	who.address = address;
	struct peer *peer = peer_get(node, &who);
	if (!peer)
		return;
	if (flags & PEER_WORK)
		choice_put(first_seen, order, peer);
	memcpy(peer->cached, cached, n * sizeof *cached);
	peer->n_cached = n;
	if (flags & PEER_RECENT && n && node->restart_left < RESTART_PEERS)
		memcpy(node->restart[node->restart_left++], who.key_hash, KEY_HASH_BYTES);
}

/* Whoever was first seen with an address has it again, whatever the order of the file. */
void state_load_peers(struct node *node)
{
	uint8_t *buf, tag;
	struct reader r, record;
	struct chosen room[PEERS_SAVED_MAX];
	struct choice first_seen = {.at = room, .room = PEERS_SAVED_MAX};
	if (!load(node, "peers.cache", PEERS_FILE_MAX, &buf, &r))
		return;
	for (unsigned i = 0; i < PEERS_SAVED_MAX && record_next(&r, &tag, &record); i++)
		if (tag == TAG_PEER)
			peer_load(node, &record, &first_seen);
	choice_sort(&first_seen);
	for (size_t i = 0; i < first_seen.n; i++)
		peer_set_work(room[i].peer, room[i].peer->identity.address);
	free(buf);
	node->restart_ms = node->now;
}

/* Which class a peer is called on after our restart: members on data, those we serve (as root or controller) on control. */
static void peer_call(struct peer *peer)
{
	struct node *node = peer->node;
	if (channel_shared(peer))
		initiator_want(peer, CLASS_DATA);
	if (!peer->is_root && !peer->is_controller && (node->config.root || node->config.port.request))
		initiator_want(peer, CLASS_CTRL);
}

/* The next of those who were heard last, the latest first. */
void state_restart(struct node *node, uint64_t now)
{
	struct peer *peer = peer_find(node, node->restart[node->restart_at++]);
	if (peer)
		peer_call(peer);
	node->restart_left--;
	node->restart_ms = now + RESTART_GAP_MS;
}

/* ---- networks ------------------------------------------------------------------------------------------------------------ */

static void network_file(uint64_t nwid, char ret[40])
{
	char id[NWID_TEXT];
	nwid_format(nwid, id);
	snprintf(ret, 40, "networks/%s", id);
}

void state_save_network(struct net *net)
{
	uint8_t *buf = malloc(NETWORK_FILE_MAX);
	char name[40];
	if (!buf)
		return;
	struct writer w = writer_over(buf, NETWORK_FILE_MAX);
	record_put(&w, TAG_DEV, net->dev_wanted, strlen(net->dev_wanted));
	uint8_t invite[INVITE_STATE_MAX];
	size_t n_invite = invite_encode(net, invite, sizeof invite);
	if (n_invite)
		record_put(&w, TAG_INVITE, invite, n_invite);
	wipe(invite, n_invite);
	uint8_t denied = net->state == NET_DENIED;
	record_put(&w, TAG_STATE, &denied, 1);
	uint8_t asked[8], local[LOCAL_BYTES];
	le64_to(asked, net->asked);
	record_put(&w, TAG_ASKED, asked, sizeof asked);
	record_put(&w, TAG_LOCAL, local, local_encode(net, local)); /* before the HEAD, which brings the device up when it is read */
	if (net->pin_bits_set)
		record_put(&w, TAG_PIN_BITS, net->pin_bits, sizeof net->pin_bits);
	if (net->pinned) {
		uint8_t keys[64];
		memcpy(keys, net->controller.x, 32);
		memcpy(keys + 32, net->controller.ed, 32);
		record_put(&w, TAG_CONTROLLER, keys, sizeof keys);
	}
	if (net->gate_set)
		record_put(&w, TAG_GATE, net->gate, 32);
	if (net->cred_ok)
		record_put(&w, TAG_CRED, net->cred_env, net->cred_len);
	if (net->floor_ok) {
		uint8_t offline[8];
		le64_to(offline, config_offline_s(net));
		record_put(&w, TAG_FLOOR, net->floor_env, net->floor_len);
		record_put(&w, TAG_OFFLINE, offline, sizeof offline);
	}
	if (net->head_ok) {
		record_put(&w, TAG_BLOB, net->manifest_blob.bytes, net->manifest_blob.len);
		record_put(&w, TAG_BLOB, net->revlist.bytes, net->revlist.len);
		for (unsigned i = 0; i < net->manifest.n; i++)
			record_put(&w, TAG_BLOB, net->section[i].bytes, net->section[i].len);
		record_put(&w, TAG_HEAD, net->head_env, net->head_len);
	}
	network_file(net->nwid, name);
	save(net->node, name, &w, false);
	wipe(buf, writer_len(&w) < SECRETS_WITHIN ? writer_len(&w) : SECRETS_WITHIN);
	free(buf);
}

struct loading {
	struct net *net;
	struct blob blob[NET_BLOBS];
	unsigned n;
};

static void cred_load(struct net *net, const uint8_t *bytes, size_t len)
{
	struct cred cred;
	const struct identity *self = &net->node->config.self.self;
	if (!net->pinned || len > sizeof net->cred_env || !cred_open(bytes, len, net->controller.ed, &cred) || cred.nwid != net->nwid ||
	    !bytes_equal(cred.subject, self->key_hash, KEY_HASH_BYTES))
		return;
	net->cred = cred;
	memcpy(net->cred_env, bytes, len);
	net->cred_len = len;
	net->cred_ok = true;
}

static void controller_load(struct net *net, struct reader *r)
{
	struct identity who = {.address = net->nwid >> 24};
	get_copy(r, who.x, 32);
	get_copy(r, who.ed, 32);
	if (r->bad)
		return;
	identity_hash(&who);
	net->controller = who;
	net->pinned = true;
	net->whois_ms = NEVER;
	net->controller_peer = peer_get(net->node, &who);
	if (net->controller_peer) {
		net->controller_peer->is_controller = true;
		peer_set_work(net->controller_peer, who.address);
	}
}

static void network_record(struct loading *l, uint8_t tag, struct reader *r)
{
	struct net *net = l->net;
	size_t len = reader_left(r);
	switch (tag) {
	case TAG_DEV:
		if (len < sizeof net->dev_wanted)
			get_copy(r, net->dev_wanted, len), net->dev_wanted[len] = 0;
		break;
	case TAG_STATE:
		if (get_u8(r) && !r->bad)
			net_set_state(net, NET_DENIED, "refused by the controller");
		break;
	case TAG_PIN_BITS:
		get_copy(r, net->pin_bits, sizeof net->pin_bits);
		net->pin_bits_set = !r->bad;
		break;
	case TAG_CONTROLLER: controller_load(net, r); break;
	case TAG_LOCAL: local_decode(net, r); break;
	case TAG_GATE:
		get_copy(r, net->gate, 32);
		net->gate_set = !r->bad;
		break;
	case TAG_CRED: cred_load(net, r->p, len); break;
	case TAG_FLOOR:
		if (net->pinned)
			config_floor_restore(net, r->p, len);
		break;
	case TAG_INVITE: invite_decode(net, r); break;
	case TAG_ASKED: net->asked = get_le64(r); break;
	case TAG_OFFLINE: net->offline_s = get_le64(r); break;
	case TAG_BLOB:
		if (l->n < NET_BLOBS && (l->blob[l->n].bytes = malloc(len + 1))) {
			l->blob[l->n].len = (uint32_t)len;
			get_copy(r, l->blob[l->n++].bytes, len);
		}
		break;
	case TAG_HEAD:
		if (!net->pinned)
			break;
		config_restore(net, r->p, len, l->blob, l->n);
		l->n = 0; /* taken or freed */
		break;
	default: break; /* of a newer version */
	}
}

static void network_load(void *self, const char *file)
{
	struct node *node = self;
	uint64_t nwid;
	bool pin;
	uint8_t bits[17], tag, *buf;
	char name[40];
	struct reader r, record;
	if (!nwid_parse(file, &nwid, &pin, bits) || net_find(node, nwid))
		return;
	struct loading l = {.net = net_new(node, nwid, "")};
	if (!l.net)
		return;
	network_file(nwid, name);
	if (!load(node, name, NETWORK_FILE_MAX, &buf, &r))
		return; /* joined, nothing known: asks again */
	for (unsigned i = 0; i < NET_BLOBS + 64 && record_next(&r, &tag, &record); i++)
		network_record(&l, tag, &record);
	for (unsigned i = 0; i < l.n; i++)
		free(l.blob[i].bytes);
	wipe(buf, SECRETS_WITHIN);
	free(buf);
	if (l.net->controller_peer)
		initiator_want(l.net->controller_peer, CLASS_CTRL);
}

void state_load_networks(struct node *node)
{
	node->port.list(node->port.self, "networks", network_load, node);
}

void state_forget_network(struct node *node, uint64_t nwid)
{
	char name[40];
	network_file(nwid, name);
	node->port.remove(node->port.self, name);
}
