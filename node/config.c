/* config.c: HEADs and what they name: manifest, sections, REVLIST (PROTOCOL.md, Networks).
 *
 * A HEAD is believed by its signature and its order, whoever brought it; blobs are believed by their hash. A newer HEAD is fetched whole, from the
 * peer that had it, into a struct fetch; only when every blob is here does it replace what is in force, so a half-fetched configuration
 * never counts. Blobs whose hash did not change are taken over. What is in force is served to every peer with an open channel.
 */
#include "node/control.h"

#include <stdlib.h>
#include <string.h>

#define MANIFEST_BLOB    0
#define REVLIST_BLOB     1
#define SECTION_BLOBS    2
#define EDITION_MAX      (MANIFEST_MAX + SECTION_MAX + CONFIG_MAX) /* manifest, REVLIST, sections */
#define FETCH_GIVE_UP_MS 20000
#define GOSSIP_MS        1000

static void blob_free(struct blob *b)
{
	free(b->bytes);
	*b = (struct blob){0};
}

void config_fetch_end(struct net *net)
{
	for (unsigned i = 0; i < NET_BLOBS; i++) {
		blob_free(&net->fetch.blob[i]);
		blob_free(&net->fetch.spare[i]);
	}
	net->fetch = (struct fetch){0};
}

void config_free(struct net *net)
{
	config_fetch_end(net);
	blob_free(&net->manifest_blob);
	blob_free(&net->revlist);
	for (unsigned i = 0; i < SECTIONS_MAX; i++)
		blob_free(&net->section[i]);
	free(net->revocation);
	net->revocation = NULL;
}

uint64_t config_ctime(const struct net *net)
{
	return net->floor_ok ? net->floor.issued_at : net->head.issued_at;
}

uint64_t config_offline_s(const struct net *net)
{
	return net->offline_s + (net->node->now - net->heard_ms) / 1000;
}

static void floor_raise(struct net *net, const struct head *head, const uint8_t *env, size_t len)
{
	net->floor = *head;
	memcpy(net->floor_env, env, len);
	net->floor_len = len;
	net->floor_ok = true;
	net->offline_s = 0;
	net->heard_ms = net->node->now;
}

void config_floor_restore(struct net *net, const uint8_t *env, size_t len)
{
	struct head head;
	if (len <= HEAD_ENVELOPE_MAX && head_open(env, len, net->controller.ed, &head) && head.nwid == net->nwid)
		floor_raise(net, &head, env, len);
}

uint64_t config_min_serial(const struct net *net, const uint8_t key_hash[KEY_HASH_BYTES])
{
	size_t low = 0, high = net->n_revocations;
	while (low < high) {
		size_t mid = (low + high) / 2;
		int order = memcmp(net->revocation[mid].key_hash, key_hash, KEY_HASH_BYTES);
		if (order == 0)
			return net->revocation[mid].min_serial;
		if (order < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return 0;
}

/* ---- putting it in force ---------------------------------------------------------------------------------------------- */

static const struct blob *section_in(const struct manifest *m, const struct blob *sections, uint8_t id)
{
	for (unsigned i = 0; i < m->n; i++)
		if (m->section[i].id == id)
			return &sections[i];
	return NULL;
}

/* Everything is here and hashes to what HEAD says: parse all, then copy. Takes the blobs on success. */
static bool apply(struct net *net, const struct head *head, const uint8_t *env, size_t len, struct blob blobs[NET_BLOBS])
{
	struct manifest m;
	struct section_base base;
	struct route routes[ROUTES_MAX];
	struct section_dns dns = {0};
	unsigned n_routes = 0;
	struct revocation *revocation = NULL;
	size_t n_revocations = 0;
	if (!manifest_parse(blobs[MANIFEST_BLOB].bytes, blobs[MANIFEST_BLOB].len, &m))
		return false;
	for (unsigned i = 0; i < m.n; i++)
		if (blobs[SECTION_BLOBS + i].len != m.section[i].len)
			return false;
	const struct blob *b = section_in(&m, blobs + SECTION_BLOBS, SECTION_BASE),
			  *r = section_in(&m, blobs + SECTION_BLOBS, SECTION_ROUTES),
			  *n = section_in(&m, blobs + SECTION_BLOBS, SECTION_DNS);
	if (!b || !section_base_parse(b->bytes, b->len, &base) || (r && !section_routes_parse(r->bytes, r->len, routes, &n_routes)) ||
	    (n && !section_dns_parse(n->bytes, n->len, &dns)) || !directory_valid(&m, blobs + SECTION_BLOBS) ||
	    !(revocation = revocations_read(&blobs[REVLIST_BLOB], &m, blobs + SECTION_BLOBS, &n_revocations)))
		return false;
	config_free(net); /* ends the fetch, whose blobs the caller took out before */
	net->revocation = revocation;
	net->n_revocations = n_revocations;
	net->manifest = m;
	net->manifest_blob = blobs[MANIFEST_BLOB];
	net->revlist = blobs[REVLIST_BLOB];
	memcpy(net->section, blobs + SECTION_BLOBS, sizeof net->section);
	net->base = base;
	memcpy(net->route, routes, n_routes * sizeof *routes);
	net->n_routes = n_routes;
	net->dns = dns;
	net->head = *head;
	memcpy(net->head_env, env, len);
	net->head_len = len;
	net->head_ok = true;
	roster_apply(net);
	channel_recheck(net);
	net_apply_device(net);
	return true;
}

void config_ack(struct net *net)
{
	struct body_ack b = {
	    .nwid = net->nwid, .version = net->head_ok ? net->head.version : 0, .serial = net->cred_ok ? net->cred.serial : 0};
	uint8_t body[32];
	size_t n = body_ack_encode(&b, body, sizeof body);
	if (net->controller_peer && peer_up(net->controller_peer, CLASS_CTRL))
		request_send(net->controller_peer, CLASS_CTRL, OP_ACK, body, n, NULL, 0, NULL);
}

static void fetch_done(struct net *net)
{
	struct fetch f = net->fetch;
	net->fetch = (struct fetch){0};
	for (unsigned i = 0; i < NET_BLOBS; i++)
		blob_free(&f.spare[i]);
	if (!apply(net, &f.head, f.head_env, f.head_len, f.blob)) {
		for (unsigned i = 0; i < NET_BLOBS; i++)
			blob_free(&f.blob[i]);
		log_warning("a signed configuration did not parse and was refused");
		return;
	}
	net_save_soon(net);
	config_ack(net);
	net->gossip = true;
	net_schedule(net, net->node->now);
}

bool config_restore(struct net *net, const uint8_t *head_env, size_t len, struct blob *blobs, unsigned n)
{
	struct head head;
	struct manifest m;
	struct blob in[NET_BLOBS] = {0};
	if (n > NET_BLOBS || !head_open(head_env, len, net->controller.ed, &head) || head.nwid != net->nwid)
		goto bad;
	for (unsigned i = 0; i < n; i++)
		blob_hash(blobs[i].bytes, blobs[i].len, blobs[i].hash);
	/* Slot by slot, as state_save_network() writes them: two that are alike (sections may be) are still two allocations. */
	if (n < SECTION_BLOBS || !bytes_equal(blobs[MANIFEST_BLOB].hash, head.cfg_root, 32) ||
	    !bytes_equal(blobs[REVLIST_BLOB].hash, head.rev_hash, 32) ||
	    !manifest_parse(blobs[MANIFEST_BLOB].bytes, blobs[MANIFEST_BLOB].len, &m) || m.n + SECTION_BLOBS != n)
		goto bad;
	for (unsigned k = 0; k < m.n; k++)
		if (!bytes_equal(blobs[SECTION_BLOBS + k].hash, m.section[k].hash, 32))
			goto bad;
	memcpy(in, blobs, n * sizeof *in);
	if (apply(net, &head, head_env, len, in))
		return true;
bad:
	for (unsigned i = 0; i < n; i++)
		blob_free(&blobs[i]);
	return false;
}

/* ---- fetching ----------------------------------------------------------------------------------------------------------- */

static const struct blob *held(const struct net *net, const uint8_t hash[32])
{
	if (net->manifest_blob.bytes && bytes_equal(net->manifest_blob.hash, hash, 32))
		return &net->manifest_blob;
	if (net->revlist.bytes && bytes_equal(net->revlist.hash, hash, 32))
		return &net->revlist;
	for (unsigned i = 0; i < net->manifest.n; i++)
		if (net->section[i].bytes && bytes_equal(net->section[i].hash, hash, 32))
			return &net->section[i];
	return NULL;
}

/* A section's length is the manifest's word, or the sum it was judged by would be no bound. */
static bool length_fits(unsigned i, uint32_t wanted, uint32_t is)
{
	return i < SECTION_BLOBS ? is <= (i == MANIFEST_BLOB ? MANIFEST_MAX : SECTION_MAX) : is == wanted;
}

/* Takes over what is held already. */
static void want(struct net *net, unsigned i, const uint8_t hash[32], uint32_t len)
{
	struct fetch *f = &net->fetch;
	const struct blob *have = held(net, hash);
	if (have && !length_fits(i, len, have->len))
		have = NULL;
	memcpy(f->blob[i].hash, hash, 32);
	f->blob[i].len = len;
	if (have && (f->blob[i].bytes = malloc(have->len + 1)))
		memcpy(f->blob[i].bytes, have->bytes, have->len);
	for (unsigned k = 0; !have && k < f->n_spare; k++)
		if (f->spare[k].bytes && bytes_equal(f->spare[k].hash, hash, 32) && length_fits(i, len, f->spare[k].len)) {
			have = &f->blob[i];
			f->blob[i] = f->spare[k];
			f->spare[k] = (struct blob){0};
		}
	if (have && f->blob[i].bytes)
		f->blob[i].len = f->got[i] = f->asked[i] = have->len;
}

static bool complete(const struct fetch *f, unsigned i)
{
	return f->blob[i].bytes && f->got[i] == f->blob[i].len;
}

/* A newer HEAD ends a fetch, or who serves it has gone on: what was whole is kept for the next one. A network that changes faster than a newcomer can read its directory would else never
 * let it in. Only whole blobs are believed, those passed blob_check(). No more is kept than one edition may be: the youngest of it. */
static void keep_spare(struct fetch *f, struct blob *b, bool whole, size_t *sum)
{
	if (!whole || f->n_spare == NET_BLOBS || *sum + b->len > EDITION_MAX) {
		blob_free(b);
		return;
	}
	*sum += b->len;
	f->spare[f->n_spare++] = *b;
}

static void fetch_supersede(struct net *net)
{
	struct fetch old = net->fetch, *f = &net->fetch;
	size_t sum = 0;
	*f = (struct fetch){0};
	for (unsigned i = 0; i < NET_BLOBS; i++)
		keep_spare(f, &old.blob[i], complete(&old, i), &sum);
	for (unsigned i = 0; i < NET_BLOBS; i++)
		keep_spare(f, &old.spare[i], old.spare[i].bytes, &sum);
}

static void fetch_more(struct net *net);

static bool piece_take(struct fetch *f, unsigned i, uint32_t off, const struct body_blob *b)
{
	struct blob *blob = &f->blob[i];
	if (b->off != off || !length_fits(i, blob->len, b->total) || (blob->bytes && blob->len != b->total) ||
	    off + b->piece_len > b->total || (b->piece_len != BLOB_PIECE_MAX && off + b->piece_len != b->total) ||
	    !bytes_equal(b->hash, blob->hash, 32))
		return false;
	if (!blob->bytes) {
		blob->bytes = malloc((size_t)b->total + 1);
		if (!blob->bytes)
			return false;
		blob->len = b->total;
	}
	memcpy(blob->bytes + off, b->piece, b->piece_len);
	f->got[i] += (uint32_t)b->piece_len;
	return true;
}

/* One that is not what it should be is not kept for the next fetch either. */
static bool blob_check(struct net *net, unsigned i)
{
	uint8_t hash[32];
	struct blob *blob = &net->fetch.blob[i];
	blob_hash(blob->bytes, blob->len, hash);
	if (bytes_equal(hash, blob->hash, 32))
		return true;
	blob_free(blob);
	return false;
}

static void fetch_failed(struct net *net)
{
	fetch_supersede(net);
	/* The controller has it for sure. */
	if (net->controller_peer && net->ask_ms > net->node->now + 2000) {
		net->ask_ms = net->node->now + 2000;
		net_schedule(net, net->ask_ms);
	}
}

static void piece_done(struct peer *peer, const struct request *r, const struct message *reply)
{
	struct net *net = NULL;
	struct body_blob b;
	unsigned i = (unsigned)(r->context >> 32) & 0xff;
	uint32_t off = (uint32_t)r->context;
	for (unsigned k = 0; k < NETWORKS_MAX; k++)
		if (peer->node->net[k] && (r->context >> 40 & 0xff) == k)
			net = peer->node->net[k];
	if (!net || !net->fetch.active || r->context >> 48 != net->fetches || !bytes_equal(r->context_hash, net->fetch.blob[i].hash, 32) ||
	    !bytes_equal(net->fetch.source, peer->identity.key_hash, KEY_HASH_BYTES))
		return; /* of a fetch that ended */
	struct fetch *f = &net->fetch;
	f->in_flight--;
	if (!reply || reply->status != STATUS_OK || !body_blob_parse(reply->body, reply->len, &b) || !piece_take(f, i, off, &b) ||
	    (complete(f, i) && !blob_check(net, i))) {
		fetch_failed(net);
		return;
	}
	fetch_more(net);
}

static bool piece_ask(struct net *net, struct peer *source, unsigned i)
{
	struct fetch *f = &net->fetch;
	struct body_get_blob b = {.nwid = net->nwid, .off = f->asked[i]};
	uint8_t body[128];
	memcpy(b.hash, f->blob[i].hash, 32);
	size_t n = body_get_blob_encode(&b, body, sizeof body);
	uint64_t context = (uint64_t)net->fetches << 48 | (uint64_t)(net->chan - 1) << 40 | (uint64_t)i << 32 | f->asked[i];
	enum session_class class = source == net->controller_peer ? CLASS_CTRL : CLASS_DATA;
	if (!request_send(source, class, OP_GET_BLOB, body, n, piece_done, context, f->blob[i].hash))
		return false;
	f->asked[i] += BLOB_PIECE_MAX;
	f->in_flight++;
	return true;
}

static void fetch_more(struct net *net)
{
	struct fetch *f = &net->fetch;
	struct peer *source = peer_find(net->node, f->source);
	if (!source)
		return;
	if (!f->sections_known && complete(f, MANIFEST_BLOB)) {
		struct manifest m;
		if (!manifest_parse(f->blob[MANIFEST_BLOB].bytes, f->blob[MANIFEST_BLOB].len, &m)) {
			fetch_failed(net);
			return;
		}
		for (unsigned k = 0; k < m.n; k++)
			want(net, SECTION_BLOBS + k, m.section[k].hash, m.section[k].len);
		f->n = SECTION_BLOBS + m.n;
		f->sections_known = true;
	}
	bool all = f->sections_known;
	for (unsigned i = 0; i < f->n; i++) {
		all = all && complete(f, i);
		/* The first piece tells the length of what the manifest does not name. */
		while (f->in_flight < FETCH_WINDOW && !complete(f, i) &&
		       (f->asked[i] == 0 || (f->blob[i].bytes && f->asked[i] < f->blob[i].len)))
			if (!piece_ask(net, source, i))
				return; /* the queue of requests is full: the next answer goes on */
	}
	if (all)
		fetch_done(net);
}

static void fetch_start(struct net *net, struct peer *from, const struct head *head, const uint8_t *env, size_t len)
{
	fetch_supersede(net);
	struct fetch *f = &net->fetch;
	net->fetches++; /* answers to the fetch before this one count for nothing, even where a blob is the same */
	f->active = true;
	f->head = *head;
	memcpy(f->head_env, env, len);
	f->head_len = len;
	memcpy(f->source, from->identity.key_hash, KEY_HASH_BYTES);
	f->n = SECTION_BLOBS;
	f->since_ms = net->node->now;
	want(net, MANIFEST_BLOB, head->cfg_root, 0);
	want(net, REVLIST_BLOB, head->rev_hash, 0);
	net_schedule(net, net->node->now + 500);
	fetch_more(net);
}

bool config_head(struct net *net, struct peer *from, const uint8_t *env, size_t len)
{
	struct head head;
	if (!net->pinned || len > HEAD_ENVELOPE_MAX || !head_open(env, len, net->controller.ed, &head) || head.nwid != net->nwid)
		return false;
	if (net->floor_ok && head.deleg_epoch == net->floor.deleg_epoch && head.version > net->floor.version &&
	    (head.rev_epoch < net->floor.rev_epoch || head.gate_epoch < net->floor.gate_epoch))
		return false;
	/* Without a HEAD of our own the first comes from the controller, never by gossip: a replayed old one could not be told from new. */
	if (!net->head_ok && from != net->controller_peer)
		return false;
	/* Nor from who is not in this very network: neither our answer nor our questions shall tell a stranger that we are. */
	if (from != net->controller_peer && !atomic_load(&from->remote->member[net->chan - 1]))
		return false;
	int order = net->floor_ok ? head_compare(&head, &net->floor) : 1;
	if (order == 0 && (len != net->floor_len || memcmp(env, net->floor_env, len) != 0)) {
		log_error("the controller signed two different HEADs of one version: its database was copied or restored");
		return false;
	}
	if (order < 0)
		return false;
	if (order > 0) {
		/* On disk before anything else: a crash or a failed fetch must not let an older one in again. */
		floor_raise(net, &head, env, len);
		state_save_network(net);
	}
	if (net->head_ok && head_compare(&head, &net->head) == 0)
		return true;
	/* The controller takes over what a member announced: one that gives no blobs must not hold up its own revocation. */
	order = net->fetch.active ? head_compare(&head, &net->fetch.head) : 1;
	bool over = order == 0 && from == net->controller_peer && !bytes_equal(net->fetch.source, from->identity.key_hash, KEY_HASH_BYTES);
	if (order <= 0 && !over)
		return true;
	fetch_start(net, from, &head, env, len);
	return true;
}

void config_fetch_tick(struct net *net, uint64_t now)
{
	if (!net->fetch.active)
		return;
	if (now - net->fetch.since_ms >= FETCH_GIVE_UP_MS)
		fetch_failed(net);
	else
		fetch_more(net);
}

/* ---- passing it on ------------------------------------------------------------------------------------------------------ */

/* Who could not be told hears it when its channel opens again. */
static void head_done(struct peer *peer, const struct request *r, const struct message *reply)
{
	struct net *net = net_find(peer->node, r->context);
	const struct member *seen = net ? atomic_load(&peer->remote->member[net->chan - 1]) : NULL;
	struct net_member *m = seen ? roster_member(net, seen->address, peer->identity.key_hash) : NULL;
	if (m && !reply)
		m->head_told = 0;
}

void config_gossip(struct net *net)
{
	uint64_t now = net->node->now;
	struct body_head b = {.nwid = net->nwid, .head = net->head_env, .head_len = net->head_len};
	uint8_t body[BODY_MAX];
	if (!net->head_ok || (net->head_told_ms && now - net->head_told_ms < GOSSIP_MS))
		return;
	net->head_told_ms = now;
	net->gossip = false;
	size_t n = body_head_encode(&b, body, sizeof body);
	for (unsigned i = 0; n && i < net->n_members; i++) {
		struct net_member *m = net->member[i];
		if (m->head_told >= net->head.version || !atomic_load(&m->member->rx_open) || !peer_up(m->peer, CLASS_DATA))
			continue;
		if (request_send(m->peer, CLASS_DATA, OP_HEAD, body, n, head_done, net->nwid, NULL))
			m->head_told = net->head.version;
	}
}

void config_get_blob(struct peer *peer, enum session_class class, uint32_t req, const uint8_t *body, size_t len)
{
	struct body_get_blob b;
	struct net *net = body_get_blob_parse(body, len, &b) ? net_find(peer->node, b.nwid) : NULL;
	struct member *m = net ? atomic_load(&peer->remote->member[net->chan - 1]) : NULL;
	const struct blob *blob = m && atomic_load(&m->rx_open) && net->head_ok ? held(net, b.hash) : NULL;
	if (!blob || b.off > blob->len) {
		request_reply(peer, class, req, OP_GET_BLOB, STATUS_NOT_FOUND, NULL, 0);
		return;
	}
	struct body_blob out = {.off = b.off, .total = blob->len, .piece = blob->bytes + b.off, .piece_len = blob->len - b.off};
	uint8_t bytes[BODY_MAX];
	memcpy(out.hash, b.hash, 32);
	if (out.piece_len > BLOB_PIECE_MAX)
		out.piece_len = BLOB_PIECE_MAX;
	size_t n = body_blob_encode(&out, bytes, sizeof bytes);
	request_reply(peer, class, req, OP_GET_BLOB, n ? STATUS_OK : STATUS_TRY_LATER, bytes, n);
}
