/* rootset.c: the sets of roots a node uses: their documents, and who is in them.
 *
 * A newer document may come from any root of the set at any time, or from the file, read again. It is judged by the chain
 * (proto/rootset.c), written down before anything else is done, so that nothing leads back behind it, and applied as a
 * difference: roots that stay notice nothing; one that is no longer named keeps its session for LEAVE_MS, while circuits
 * through it are replaced by others. Roots tell their nodes that there is a newer one; the nodes ask for it, spread over
 * some seconds, and once a day in any case. What they are told is the next document that changed keys, else the newest.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/control.h"
#include "proto/random.h"

#define NEWCOMER_MS   5000
#define LEAVE_MS      60000
#define WORN_MS       (31 * 60 * 1000) /* no circuit serves longer */
#define ASK_MS        (24u * 3600 * 1000)
#define ASK_SPREAD_MS 10000 /* all nodes of a root hear of a new document at once */
#define ANSWERED_MS   60000
#define FETCH_MS      10000
#define NOTIFY_MOST   200 /* nodes told per second */
#define FILE_NAME     32

uint64_t federation_about(uint64_t ms)
{
	return ms * 80 / 100 + random_below((uint32_t)(ms * 40 / 100 + 1));
}

uint8_t federation_bit(const struct federation *f, const struct node_set *set)
{
	return (uint8_t)(1u << (set - f->set));
}

/* The first eight bytes name it well enough for people and files. */
static void set_name(const struct rootset *chain, char ret[17])
{
	for (unsigned i = 0; i < 8; i++)
		snprintf(ret + 2 * i, 3, "%02x", chain->now.id[i]);
}

struct set_root *federation_set_root(const struct peer *root)
{
	struct federation *f = root->node->federation;
	for (unsigned i = 0; f && i < f->n_roots; i++)
		if (f->root[i]->peer == root)
			return f->root[i];
	return NULL;
}

/* ---- who is in a set -------------------------------------------------------------------------------------------------------- */

static void line_changed(struct node *node, struct set_root *r, const struct root_line *line)
{
	char was[ROOT_LINE_MAX], is[ROOT_LINE_MAX];
	bool same = root_line_format(&r->line, was, sizeof was) && root_line_format(line, is, sizeof is) && !strcmp(was, is);
	wipe(was, sizeof was); /* a gate may have stood there */
	wipe(is, sizeof is);
	if (same)
		return;
	r->line = *line;
	for (unsigned i = 0; i < node->n_roots; i++)
		if (node->root[i] == r->peer)
			node->resolve[i] = (struct resolve_root){0};
}

static struct set_root *root_make(struct node *node, const struct rootset_root *named)
{
	struct federation *f = node->federation;
	struct set_root *r = f->n_roots < SET_ROOTS_MAX ? calloc(1, sizeof *r) : NULL;
	struct peer *peer = r ? peer_get(node, &named->line.identity) : NULL;
	if (!peer || (!peer->is_root && node->n_roots == ROOTS_MAX)) {
		free(r);
		return NULL;
	}
	r->peer = peer;
	r->configured = peer->is_root;
	f->root[f->n_roots++] = r;
	if (!r->configured) {
		peer->is_root = peer->root_idle = true;
		peer->root_line = &r->line;
		peer_set_work(peer, named->line.identity.address); /* the word of those who sign the set */
		roots_add(node, peer);
	}
	return r;
}

static void root_named(struct node *node, struct node_set *set, const struct rootset_root *named)
{
	struct federation *f = node->federation;
	struct peer *peer = peer_find(node, named->line.identity.key_hash);
	struct set_root *r = peer ? federation_set_root(peer) : NULL;
	if (!r && !(r = root_make(node, named))) {
		log_warning("root %010llx of a set is not used: at most %d roots in all", (unsigned long long)named->line.identity.address,
		            ROOTS_MAX);
		return;
	}
	if (r->leave_ms) { /* named again */
		r->leave_ms = 0;
		roots_add(node, r->peer);
	}
	struct root_line line = named->line;
	memcpy(line.gate, set->gate, sizeof line.gate);
	line_changed(node, r, &line);
	memcpy(r->region, named->region, sizeof r->region);
	r->weight = named->weight;
	r->sets |= federation_bit(f, set);
	r->named = true;
}

static void root_free(struct federation *f, struct set_root *r)
{
	for (unsigned i = 0; i < f->n_roots; i++)
		if (f->root[i] == r)
			f->root[i] = f->root[--f->n_roots];
	free(r);
}

/* Its circuits are worn from now on: others are made in their place before anything is lost. */
static void legs_age(struct peer *peer, void *root)
{
	bool any = false;
	for (int i = 0; i < PATHS_MAX; i++)
		if (peer->path[i].state != PATH_FREE && peer->path[i].circuit && peer->path[i].relay == root) {
			peer->path[i].circuit->made_ms = peer->node->now - WORN_MS;
			any = true;
		}
	if (any)
		circuit_peer_tick(peer, peer->node->now);
}

static void leave_begin(struct node *node, struct set_root *r)
{
	if (r->configured) {
		root_free(node->federation, r);
		roots_sweep(node); /* the network whose invitation brought it may have been left meanwhile */
		return;
	}
	r->leave_ms = node->now + LEAVE_MS;
	r->peer->root_idle = true;
	roots_remove(node, r->peer);
	peers_each(node, legs_age, r->peer);
}

static void leave_end(struct node *node, struct set_root *r)
{
	roots_end(node, r->peer);
	root_free(node->federation, r);
	roots_again(node); /* an invitation may have named it when the set did already */
}

static void homes_forget(struct node_set *set, const struct set_root *r, uint64_t now)
{
	for (unsigned i = 0; i < HOMES; i++)
		if (set->home[i] == r) {
			set->home[i] = NULL;
			set->next_round_ms = now;
		}
	if (set->from == r->peer)
		set->from = NULL;
	if (set->newer == r->peer)
		set->newer = NULL;
}

static void set_apply(struct node *node, struct node_set *set)
{
	struct federation *f = node->federation;
	const struct rootset_document *d = &set->chain->now;
	set->member = false;
	for (unsigned i = 0; i < f->n_roots; i++)
		f->root[i]->named = false;
	for (unsigned i = 0; i < d->n_roots; i++) {
		if (!bytes_equal(d->root[i].line.identity.key_hash, node->config.self.self.key_hash, KEY_HASH_BYTES))
			root_named(node, set, &d->root[i]);
		else
			set->member = node->config.root && (!f->ours || f->ours == set);
	}
	if (set->member)
		f->ours = set;
	else if (f->ours == set)
		f->ours = NULL;
	for (unsigned i = f->n_roots; i-- > 0;) {
		struct set_root *r = f->root[i];
		if (r->named || !(r->sets & federation_bit(f, set)))
			continue;
		r->sets &= (uint8_t)~federation_bit(f, set);
		r->home &= (uint8_t)~federation_bit(f, set);
		homes_forget(set, r, node->now);
		if (!r->sets)
			leave_begin(node, r);
	}
	for (unsigned i = 0; i < f->n_roots; i++) /* a newcomer may be the nearest */
		if (f->root[i]->sets & federation_bit(f, set) && f->root[i]->peer->root_idle &&
		    set->next_round_ms > node->now + NEWCOMER_MS)
			set->next_round_ms = node->now + random_below(NEWCOMER_MS);
	homes_keep(node, node->now);
	node_changed(node);
}

/* ---- documents ---------------------------------------------------------------------------------------------------------------- */

static void file_name(const struct rootset *chain, char ret[FILE_NAME])
{
	char name[17];
	set_name(chain, name);
	snprintf(ret, FILE_NAME, "rootset-%s", name);
}

/* Before it is used: a node that went back to an older document after a crash would be one that can be rolled back. */
static void set_save(struct node *node, const struct node_set *set)
{
	char name[FILE_NAME];
	struct rootset_file file = rootset_to_file(set->chain);
	char *text = malloc(ROOTSET_FILE_MAX);
	size_t len = text ? rootset_file_format(&file, text, ROOTSET_FILE_MAX) : 0;
	file_name(set->chain, name);
	int error = len ? node->port.save(node->port.self, name, text, len, true) : -ENOMEM;
	if (error)
		log_error("%s could not be written: %s", name, strerror(-error));
	free(text);
}

static struct rootset *set_load(struct node *node, const struct rootset *configured)
{
	char name[FILE_NAME];
	struct rootset_file file;
	struct rootset *chain = NULL;
	enum rootset_verdict why;
	unsigned at;
	char *text = malloc(ROOTSET_FILE_MAX);
	file_name(configured, name);
	long len = text ? node->port.load(node->port.self, name, text, ROOTSET_FILE_MAX) : -ENOMEM;
	if (len > 0 && rootset_file_parse(text, (size_t)len, &file)) {
		chain = rootset_from_file(&file, &why, &at);
		rootset_file_fini(&file);
	}
	if (len >= 0 && (!chain || memcmp(chain->now.id, configured->now.id, ROOTSET_ID_BYTES) != 0)) {
		log_warning("%s is damaged; the set's own file is used", name);
		rootset_free(chain);
		chain = NULL;
	}
	free(text);
	return chain;
}

static void refused(struct node_set *set, uint64_t seq, enum rootset_verdict v, const char *from)
{
	char name[17];
	if (v == ROOTSET_SAME || set->warned_seq == seq)
		return;
	set->warned_seq = seq;
	set_name(set->chain, name);
	log_warning("document %llu of root set %s from %s is refused: %s; document %llu stays in use", (unsigned long long)seq, name, from,
	            rootset_verdict_text(v), (unsigned long long)set->chain->now.seq);
}

/* All of a chain that is news. True if any was; *ret_refused when one neither was taken nor known. */
static bool chain_merge(struct node_set *set, const struct rootset *chain, const char *from, bool *ret_refused)
{
	bool any = false;
	for (unsigned i = 0; i < chain->n; i++) {
		const struct rootset_link *l = &chain->link[i];
		enum rootset_verdict v = rootset_take(set->chain, l->bytes, l->len);
		any = any || v == ROOTSET_TAKEN;
		/* The older ones of a chain are known as a rule; that the newest is older than ours is news. */
		if (v != ROOTSET_TAKEN && v != ROOTSET_SAME && (v != ROOTSET_OLD || i + 1 == chain->n)) {
			refused(set, l->seq, v, from);
			*ret_refused = true;
		}
	}
	return any;
}

static void set_renewed(struct node *node, struct node_set *set, const char *from)
{
	char name[17];
	set_name(set->chain, name);
	log_notice("document %llu of root set %s, from %s, is in use: %u roots", (unsigned long long)set->chain->now.seq, name, from,
	           set->chain->now.n_roots);
	set_save(node, set);
	set_apply(node, set);
	if (set->member) {
		node->federation->notify = true;
		node->federation->notify_at = 0;
	}
}

int node_rootset(struct node *node, const struct rootset *chain, uint64_t now)
{
	struct federation *f = node->federation;
	bool bad = false;
	node->now = now;
	for (unsigned i = 0; f && i < f->n_sets; i++) {
		struct node_set *set = &f->set[i];
		if (memcmp(set->chain->now.id, chain->now.id, ROOTSET_ID_BYTES) != 0)
			continue;
		set->warned_seq = 0;
		if (chain_merge(set, chain, "its file", &bad))
			set_renewed(node, set, "its file");
		return bad ? -EINVAL : 0;
	}
	return -ENOENT;
}

/* ---- asking roots for newer ones ------------------------------------------------------------------------------------------------ */

static void rootset_done(struct peer *root, const struct request *r, const struct message *reply);

static void fetch_end(struct node_set *set)
{
	free(set->bytes);
	set->bytes = NULL;
	set->from = NULL;
	set->total = set->got = 0;
}

static void ask(struct node_set *set, struct peer *root, uint32_t off)
{
	struct body_rootset b = {.have_seq = set->chain->now.seq, .off = off};
	uint8_t body[64];
	memcpy(b.id, set->chain->now.id, sizeof b.id);
	size_t n = body_rootset_encode(&b, body, sizeof body);
	set->fetch_ms = root->node->now;
	set->from = root;
	if (!n || !request_send(root, CLASS_CTRL, OP_ROOTSET, body, n, rootset_done, (uint64_t)(set - root->node->federation->set), NULL))
		fetch_end(set);
}

static void ask_first(struct node_set *set, struct peer *root)
{
	if (set->from && root->node->now - set->fetch_ms < FETCH_MS)
		return;
	fetch_end(set);
	ask(set, root, 0);
}

static void fetched(struct node_set *set, struct peer *root)
{
	char from[32];
	uint64_t seq = set->fetch_seq;
	enum rootset_verdict v = rootset_take(set->chain, set->bytes, set->total);
	fetch_end(set);
	snprintf(from, sizeof from, "root %010llx", (unsigned long long)root->identity.address);
	if (v != ROOTSET_TAKEN) {
		refused(set, seq, v, from);
		return;
	}
	set_renewed(root->node, set, from);
	if (federation_ready(root))
		ask_first(set, root); /* keys may have changed more than once */
}

static void rootset_done(struct peer *root, const struct request *r, const struct message *reply)
{
	struct node_set *set = &root->node->federation->set[r->context];
	struct body_rootset_piece b;
	if (set->from != root)
		return;
	if (!reply || reply->status != STATUS_OK || !body_rootset_piece_parse(reply->body, reply->len, &b)) {
		fetch_end(set);
		return;
	}
	if (!b.total) {
		set->answered_ms = root->node->now;
		fetch_end(set);
		return;
	}
	if (!set->bytes && !b.off && (set->bytes = malloc(b.total))) {
		set->total = b.total;
		set->fetch_seq = b.seq;
	}
	if (!set->bytes || b.total != set->total || b.seq != set->fetch_seq || b.off != set->got) {
		fetch_end(set); /* it changed meanwhile: next time */
		return;
	}
	memcpy(set->bytes + set->got, b.piece, b.piece_len);
	set->got += (uint32_t)b.piece_len;
	if (set->got == set->total)
		fetched(set, root);
	else
		ask(set, root, set->got);
}

static struct node_set *set_find(struct federation *f, const uint8_t id[ROOTSET_ID_BYTES])
{
	for (unsigned i = 0; f && i < f->n_sets; i++)
		if (!memcmp(f->set[i].chain->now.id, id, ROOTSET_ID_BYTES))
			return &f->set[i];
	return NULL;
}

void federation_rootset(struct peer *peer, enum session_class class, uint32_t req, const uint8_t *body, size_t len)
{
	struct node *node = peer->node;
	struct body_rootset b;
	uint8_t out[BODY_MAX];
	bool good = body_rootset_parse(body, len, &b);
	struct node_set *set = good ? set_find(node->federation, b.id) : NULL;
	struct set_root *root = federation_set_root(peer);
	bool of_set = set && root && root->sets & federation_bit(node->federation, set);
	if (!good || !set || !(peer->registered || of_set)) {
		request_reply(peer, class, req, OP_ROOTSET, good ? STATUS_DENIED : STATUS_MALFORMED, NULL, 0);
		return;
	}
	const struct rootset_link *l = rootset_after(set->chain, b.have_seq);
	struct body_rootset_piece piece = {.seq = set->chain->now.seq};
	if (l && b.off < l->len) {
		piece = (struct body_rootset_piece){
		    .seq = l->seq, .off = b.off, .total = (uint32_t)l->len, .piece = l->bytes + b.off, .piece_len = l->len - b.off};
		if (piece.piece_len > ROOTSET_PIECE_MAX)
			piece.piece_len = ROOTSET_PIECE_MAX;
	}
	size_t n = body_rootset_piece_encode(&piece, out, sizeof out);
	request_reply(peer, class, req, OP_ROOTSET, STATUS_OK, out, n);
	if (!of_set || b.have_seq <= set->chain->now.seq)
		return;
	set->newer = peer;
	uint64_t due = node->now + (set->member ? 0 : random_below(ASK_SPREAD_MS));
	set->ask_ms = due < set->ask_ms ? due : set->ask_ms;
	if (set->member)
		ask_first(set, peer);
}

/* Our nodes and the other roots hear that there is a newer one; they ask for it. */
static void notify_tick(struct node *node)
{
	struct federation *f = node->federation;
	struct body_rootset b;
	uint8_t body[64];
	unsigned told = 0;
	if (!f->ours) {
		f->notify = false;
		return;
	}
	memcpy(b.id, f->ours->chain->now.id, sizeof b.id);
	b.have_seq = f->ours->chain->now.seq;
	b.off = 0;
	size_t n = body_rootset_encode(&b, body, sizeof body);
	for (; f->notify_at < node->peers.buckets && told < NOTIFY_MOST; f->notify_at++)
		for (struct peer *p = node->peers.by_key[f->notify_at]; p; p = p->hash_next)
			if ((p->registered || p->is_root) && peer_up(p, CLASS_CTRL) && p->best >= 0)
				told += request_send(p, CLASS_CTRL, OP_ROOTSET, body, n, NULL, 0, NULL);
	f->notify = f->notify_at < node->peers.buckets;
}

static void ask_tick(struct node *node, struct node_set *set, uint64_t now)
{
	struct federation *f = node->federation;
	struct peer *root = set->newer && federation_ready(set->newer) ? set->newer : NULL;
	if (set->ask_ms > now)
		return;
	for (unsigned i = 0, at = random_below(SET_ROOTS_MAX); !root && i < f->n_roots; i++) {
		struct set_root *r = f->root[(at + i) % f->n_roots];
		if (r->sets & federation_bit(f, set) && federation_ready(r->peer))
			root = r->peer;
	}
	if (!root)
		return;
	set->newer = NULL;
	set->ask_ms = now + federation_about(ASK_MS);
	ask_first(set, root);
}

/* ---- life ------------------------------------------------------------------------------------------------------------------------- */

void federation_root_up(struct peer *root)
{
	struct node *node = root->node;
	struct federation *f = node->federation;
	struct set_root *r = federation_set_root(root);
	if (!r || r->leave_ms)
		return;
	for (unsigned i = 0; i < f->n_sets; i++) {
		struct node_set *set = &f->set[i];
		bool known = !set->member && set->answered_ms && node->now - set->answered_ms < ANSWERED_MS;
		if (r->sets & 1u << i && !known)
			ask_first(set, root);
	}
	if (root->best >= 0) /* a session may stand on no path: when a network of ours holds the root's address */
		path_probe(root, peer_session(root, CLASS_CTRL), root->best, 0);
	if (f->ours && r->sets & federation_bit(f, f->ours))
		contacts_root_up(r);
}

void federation_tick(struct node *node, uint64_t now)
{
	struct federation *f = node->federation;
	if (!f)
		return;
	for (unsigned i = 0; i < f->n_sets; i++) {
		homes_tick(node, &f->set[i], now);
		ask_tick(node, &f->set[i], now);
		federation_record_tick(node, &f->set[i], now);
	}
	for (unsigned i = f->n_roots; i-- > 0;)
		if (f->root[i]->leave_ms && f->root[i]->leave_ms <= now)
			leave_end(node, f->root[i]);
	homes_keep(node, now);
	if (f->notify)
		notify_tick(node);
	contacts_tick(node, now);
}

int federation_new(struct node *node)
{
	struct federation *f = node->config.n_sets ? calloc(1, sizeof *f) : NULL;
	if (!f)
		return node->config.n_sets ? -ENOMEM : 0;
	node->federation = f;
	for (unsigned i = 0; i < node->config.n_sets; i++) {
		struct node_set *set = &f->set[f->n_sets];
		struct rootset *chain = node->config.sets[i];
		bool bad = false;
		if (set_find(f, chain->now.id))
			continue; /* named twice */
		set->chain = set_load(node, chain);
		bool saved = set->chain != NULL;
		if (!saved) {
			set->chain = chain;
			node->config.sets[i] = NULL;
		}
		f->n_sets++;
		homes_begin(set, node->now);
		set->ask_ms = node->now + federation_about(ASK_MS);
		memcpy(set->gate, node->config.set_gate[i], sizeof set->gate);
		if (!saved || chain_merge(set, chain, "its file", &bad))
			set_save(node, set);
	}
	if (node->config.root && contacts_new(node))
		return -ENOMEM;
	for (unsigned i = 0; i < f->n_sets; i++)
		set_apply(node, &f->set[i]);
	return 0;
}

void federation_free(struct node *node)
{
	struct federation *f = node->federation;
	for (unsigned i = 0; i < node->config.n_sets; i++)
		rootset_free(node->config.sets[i]);
	wipe(node->config.set_gate, sizeof node->config.set_gate);
	if (!f)
		return;
	contacts_free(node);
	for (unsigned i = 0; i < f->n_roots; i++)
		free(f->root[i]);
	for (unsigned i = 0; i < f->n_sets; i++) {
		fetch_end(&f->set[i]);
		rootset_free(f->set[i].chain);
	}
	wipe(f, sizeof *f);
	free(f);
	node->federation = NULL;
}
