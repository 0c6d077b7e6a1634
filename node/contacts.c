/* contacts.c: at a root of a set: the contact records of all its nodes, and how the roots keep them alike.
 *
 * A node gives its record to its home roots (REGISTER); these push it to every other root of the set at once (SYNC), so no
 * record is handed on twice. What got lost on the way, or was said while two roots could not reach each other, is found by
 * comparing digests: when the roots' session comes up and about every hour, each bucket of key hashes by one word. Records
 * of buckets that differ go both ways, at a bounded rate. A record is checked with its subject's key before it is taken, and
 * the higher seq wins: a root can withhold records, no more. Whose work nobody here computed may claim any address; of two
 * who claim one, the older is told, then the one with the smaller key hash, the same at every root (PROTOCOL.md, SYNC).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "node/relay.h"
#include "proto/random.h"

#define CONTACTS_MAX   262144 /* 100 MB */
#define BUCKETS        32768
#define WALK_BUCKETS   (BUCKETS / SYNC_BUCKETS)
#define LOG_MAX        4096
#define UNDER_WAY_MAX  8
#define SYNC_MS        5 /* 200 messages a second to one root */
#define SYNC_BURST     100
#define SWEEP          512
#define LOCATE_MS      100 /* 10/s, beside WHOIS */
#define LOCATE_BURST   50
#define DIGEST_MS      (3600 * 1000)
#define DIGEST_SOON_MS 5000
#define AGE_SLACK_MS   60000
#define TTL_MAX_S      (24 * 3600u)

struct record {
	struct record *next, *address_next;
	struct identity identity;
	uint64_t seq, until_ms, first_ms;
	unsigned n_homes;
	uint64_t home[CONTACT_HOMES_MAX];
	uint16_t len;
	uint8_t contact[CONTACT_ENVELOPE_MAX];
};

struct contacts {
	struct record *by_key[BUCKETS], *by_address[BUCKETS];
	size_t n;
	uint64_t digest[SYNC_BUCKETS];
	uint8_t log[LOG_MAX][KEY_HASH_BYTES]; /* whose records our own nodes changed, the latest */
	uint64_t log_end;
	unsigned sweep_at;
};

int contacts_new(struct node *node)
{
	node->federation->contacts = calloc(1, sizeof *node->federation->contacts);
	return node->federation->contacts ? 0 : -ENOMEM;
}

void contacts_free(struct node *node)
{
	struct contacts *all = node->federation->contacts;
	for (unsigned i = 0; all && i < BUCKETS; i++)
		for (struct record *r = all->by_key[i], *next; r; r = next) {
			next = r->next;
			free(r);
		}
	free(all);
	node->federation->contacts = NULL;
}

/* ---- the table ------------------------------------------------------------------------------------------------------------------------ */

/* The upper bits, so that a bucket of the digest is a run of these. */
static unsigned key_bucket(const uint8_t key_hash[KEY_HASH_BYTES])
{
	return (unsigned)(key_hash[0] << 8 | key_hash[1]) >> 1;
}

static unsigned address_bucket(uint64_t address)
{
	return (unsigned)((address ^ address >> 15 ^ address >> 30) & (BUCKETS - 1));
}

static uint64_t record_digest(const struct record *r)
{
	uint8_t seq[8], hash[32];
	le64_to(seq, r->seq);
	hash256_parts(hash, "fln1 sync", r->identity.key_hash, KEY_HASH_BYTES, seq, sizeof seq);
	return le64_at(hash);
}

static void digest_turn(struct contacts *all, const struct record *r)
{
	all->digest[key_bucket(r->identity.key_hash) / WALK_BUCKETS] ^= record_digest(r);
}

static struct record *record_find(const struct contacts *all, const uint8_t key_hash[KEY_HASH_BYTES])
{
	struct record *r = all->by_key[key_bucket(key_hash)];
	while (r && memcmp(r->identity.key_hash, key_hash, KEY_HASH_BYTES) != 0)
		r = r->next;
	return r;
}

static bool older(const struct record *a, const struct record *b)
{
	if (a->first_ms + AGE_SLACK_MS < b->first_ms || b->first_ms + AGE_SLACK_MS < a->first_ms)
		return a->first_ms < b->first_ms;
	return memcmp(a->identity.key_hash, b->identity.key_hash, KEY_HASH_BYTES) < 0;
}

static struct record *record_address(const struct contacts *all, uint64_t address)
{
	struct record *best = NULL;
	for (struct record *r = all->by_address[address_bucket(address)]; r; r = r->address_next)
		if (r->identity.address == address && (!best || older(r, best)))
			best = r;
	return best;
}

static void record_remove(struct contacts *all, struct record *r)
{
	struct record **at = &all->by_key[key_bucket(r->identity.key_hash)];
	while (*at != r)
		at = &(*at)->next;
	*at = r->next;
	at = &all->by_address[address_bucket(r->identity.address)];
	while (*at != r)
		at = &(*at)->address_next;
	*at = r->address_next;
	digest_turn(all, r);
	all->n--;
	free(r);
}

static struct record *record_make(struct contacts *all, const struct identity *who, uint64_t now)
{
	struct record *r = all->n < CONTACTS_MAX ? calloc(1, sizeof *r) : NULL;
	if (!r)
		return NULL;
	struct record **key = &all->by_key[key_bucket(who->key_hash)], **address = &all->by_address[address_bucket(who->address)];
	r->identity = *who;
	r->first_ms = now;
	r->next = *key;
	*key = r;
	r->address_next = *address;
	*address = r;
	all->n++;
	digest_turn(all, r);
	return r;
}

/* True if it was news. Signatures are looked at last: most of what a digest brings up is known. */
static bool record_take(struct node *node, const struct body_located *b, struct record **ret)
{
	struct contacts *all = node->federation->contacts;
	struct record *r = record_find(all, b->identity.key_hash);
	struct contact c;
	uint64_t age = (uint64_t)b->age_s * 1000, first = age < node->now ? node->now - age : 0;
	if (r && first < r->first_ms)
		r->first_ms = first;
	if (!contact_parse(b->contact, b->contact_len, &c) || (r && c.seq <= r->seq) || !b->left_s ||
	    !contact_open(b->contact, b->contact_len, &b->identity, &c) || (r && r->identity.address != b->identity.address))
		return false;
	if (!r && !(r = record_make(all, &b->identity, first)))
		return false;
	uint32_t left = c.ttl_s < b->left_s ? c.ttl_s : b->left_s;
	digest_turn(all, r);
	r->seq = c.seq;
	digest_turn(all, r);
	r->until_ms = node->now + (uint64_t)(left < TTL_MAX_S ? left : TTL_MAX_S) * 1000;
	r->n_homes = c.n_homes;
	memcpy(r->home, c.home, sizeof r->home);
	r->len = (uint16_t)b->contact_len;
	memcpy(r->contact, b->contact, b->contact_len);
	*ret = r;
	return true;
}

static struct body_located record_show(const struct record *r, uint64_t now)
{
	return (struct body_located){.identity = r->identity,
	                             .contact = r->contact,
	                             .contact_len = r->len,
	                             .age_s = (uint32_t)((now - r->first_ms) / 1000),
	                             .left_s = r->until_ms > now ? (uint32_t)((r->until_ms - now) / 1000) : 0};
}

/* ---- to the other roots ------------------------------------------------------------------------------------------------------------------ */

static void push(struct node *, struct set_root *);

static bool fellow(const struct node *node, const struct set_root *r)
{
	const struct federation *f = node->federation;
	return r && !r->leave_ms && f->ours && r->sets & federation_bit(f, f->ours);
}

static void pushed(struct peer *root, const struct request *q, const struct message *reply)
{
	struct set_root *r = federation_set_root(root);
	(void)q;
	if (!r)
		return;
	if (r->under_way)
		r->under_way--;
	if (!reply || reply->status != STATUS_OK) /* it lacks something now */
		r->digest_ms = root->node->now + DIGEST_SOON_MS < r->digest_ms ? root->node->now + DIGEST_SOON_MS : r->digest_ms;
	else
		push(root->node, r);
}

static void compared(struct peer *root, const struct request *q, const struct message *reply)
{
	struct set_root *r = federation_set_root(root);
	struct body_sync_result b;
	(void)q;
	if (!r)
		return;
	if (!reply || reply->status != STATUS_OK || !body_sync_result_parse(reply->body, reply->len, &b)) {
		r->digest_ms = root->node->now + DIGEST_SOON_MS;
		return;
	}
	for (unsigned i = 0; i < sizeof r->differ; i++)
		r->differ[i] |= b.differ[i];
	push(root->node, r);
}

static void compare(struct node *node, struct set_root *r)
{
	struct body_sync b = {.digest_set = true};
	uint8_t body[BODY_MAX];
	memcpy(b.digest, node->federation->contacts->digest, sizeof b.digest);
	size_t n = body_sync_encode(&b, body, sizeof body);
	r->digest_ms = node->now + federation_about(DIGEST_MS);
	if (!request_send(r->peer, CLASS_CTRL, OP_SYNC, body, n, compared, 0, NULL))
		r->digest_ms = node->now + DIGEST_SOON_MS;
}

/* The next records of what our nodes changed. */
static void collect_log(struct contacts *all, struct set_root *r, struct body_sync *b, uint64_t now)
{
	if (all->log_end - r->log_at > LOG_MAX) { /* it fell behind: the digests will tell */
		r->log_at = all->log_end;
		r->digest_ms = now;
	}
	for (; r->log_at < all->log_end && b->n < SYNC_RECORDS_MAX; r->log_at++) {
		const struct record *one = record_find(all, all->log[r->log_at % LOG_MAX]);
		if (one)
			b->record[b->n++] = record_show(one, now);
	}
}

/* ... of the buckets that differ: a walk through the table that remembers where it stands, within a chain too. */
static void collect_differing(struct contacts *all, struct set_root *r, struct body_sync *b, uint64_t now)
{
	while (b->n < SYNC_RECORDS_MAX) {
		unsigned bucket = r->walk / WALK_BUCKETS, skip = r->walk_skip;
		bool wanted = r->differ[bucket / 8] & 1u << bucket % 8;
		const struct record *one = wanted ? all->by_key[r->walk] : NULL;
		while (one && skip) {
			one = one->next;
			skip--;
		}
		if (one) {
			b->record[b->n++] = record_show(one, now);
			r->walk_skip++;
			continue;
		}
		r->walk_skip = 0;
		r->walk = wanted ? r->walk + 1 : (bucket + 1) * WALK_BUCKETS;
		if (wanted && r->walk % WALK_BUCKETS == 0)
			r->differ[bucket / 8] &= (uint8_t) ~(1u << bucket % 8);
		if (r->walk < BUCKETS)
			continue;
		r->walk = 0;
		static const uint8_t none[sizeof r->differ];
		if (!memcmp(r->differ, none, sizeof none))
			return;
	}
}

static void push(struct node *node, struct set_root *r)
{
	struct contacts *all = node->federation->contacts;
	while (federation_ready(r->peer) && r->under_way < UNDER_WAY_MAX) {
		struct body_sync b = {0};
		uint8_t body[BODY_MAX];
		uint64_t tokens = r->tokens_ms;
		if (!relay_bucket(&r->tokens_ms, node->now, SYNC_MS, SYNC_BURST))
			return; /* the next tick goes on */
		collect_log(all, r, &b, node->now);
		collect_differing(all, r, &b, node->now);
		if (!b.n) {
			r->tokens_ms = tokens;
			return;
		}
		size_t n = body_sync_encode(&b, body, sizeof body);
		if (!request_send(r->peer, CLASS_CTRL, OP_SYNC, body, n, pushed, 0, NULL)) {
			r->digest_ms = node->now + DIGEST_SOON_MS;
			return;
		}
		r->under_way++;
	}
}

static void push_all(struct node *node)
{
	struct federation *f = node->federation;
	for (unsigned i = 0; i < f->n_roots; i++)
		if (fellow(node, f->root[i]))
			push(node, f->root[i]);
}

void contacts_root_up(struct set_root *r)
{
	struct node *node = r->peer->node;
	r->log_at = node->federation->contacts->log_end;
	compare(node, r);
}

/* ---- what comes in ------------------------------------------------------------------------------------------------------------------------- */

void contacts_register(struct peer *peer, const struct body_register *b)
{
	struct federation *f = peer->node->federation;
	struct body_located in = {.identity = peer->identity, .contact = b->contact, .contact_len = b->contact_len, .left_s = UINT32_MAX};
	struct record *r;
	if (!f || !f->contacts || !b->contact || !record_take(peer->node, &in, &r))
		return;
	memcpy(f->contacts->log[f->contacts->log_end++ % LOG_MAX], r->identity.key_hash, KEY_HASH_BYTES);
	push_all(peer->node);
}

void contacts_sync(struct peer *peer, enum session_class class, uint32_t req, const uint8_t *body, size_t len)
{
	struct node *node = peer->node;
	struct federation *f = node->federation;
	struct set_root *r = f ? federation_set_root(peer) : NULL;
	struct body_sync b;
	struct record *taken;
	if (!f || !f->contacts || !fellow(node, r) || !body_sync_parse(body, len, &b)) {
		request_reply(peer, class, req, OP_SYNC, STATUS_DENIED, NULL, 0);
		return;
	}
	for (unsigned i = 0; i < b.n; i++)
		record_take(node, &b.record[i], &taken);
	if (!b.digest_set) {
		request_reply(peer, class, req, OP_SYNC, STATUS_OK, NULL, 0);
		return;
	}
	struct body_sync_result result = {0};
	uint8_t out[64];
	for (unsigned i = 0; i < SYNC_BUCKETS; i++)
		if (b.digest[i] != f->contacts->digest[i])
			result.differ[i / 8] |= (uint8_t)(1u << i % 8);
	for (unsigned i = 0; i < sizeof r->differ; i++)
		r->differ[i] |= result.differ[i];
	size_t n = body_sync_result_encode(&result, out, sizeof out);
	request_reply(peer, class, req, OP_SYNC, STATUS_OK, out, n);
	push(node, r);
}

void contacts_locate(struct peer *peer, enum session_class class, uint32_t req, const uint8_t *body, size_t len)
{
	struct node *node = peer->node;
	struct contacts *all = node->federation ? node->federation->contacts : NULL;
	struct body_locate b;
	uint8_t out[BODY_MAX];
	if (!body_locate_parse(body, len, &b)) {
		request_reply(peer, class, req, OP_LOCATE, STATUS_MALFORMED, NULL, 0);
		return;
	}
	if (!relay_bucket(&relay_bucket_of(peer)->whois_ms, node->now, LOCATE_MS, LOCATE_BURST)) {
		node_drop(node, DROP_CTRL_RATE);
		request_reply(peer, class, req, OP_LOCATE, STATUS_TRY_LATER, NULL, 0);
		return;
	}
	const struct record *r = !all ? NULL : b.key_hash_set ? record_find(all, b.key_hash) : record_address(all, b.address);
	if (!r || r->until_ms <= node->now) {
		request_reply(peer, class, req, OP_LOCATE, STATUS_NOT_FOUND, NULL, 0);
		return;
	}
	struct body_located found = record_show(r, node->now);
	size_t n = body_located_encode(&found, out, sizeof out);
	request_reply(peer, class, req, OP_LOCATE, STATUS_OK, out, n);
}

bool contacts_identity(struct node *node, uint64_t address, struct identity *ret)
{
	const struct contacts *all = node->federation ? node->federation->contacts : NULL;
	const struct record *r = all ? record_address(all, address) : NULL;
	if (r)
		*ret = r->identity;
	return r != NULL;
}

void contacts_tick(struct node *node, uint64_t now)
{
	struct federation *f = node->federation;
	struct contacts *all = f->contacts;
	if (!all)
		return;
	for (unsigned i = 0; i < SWEEP; i++, all->sweep_at = (all->sweep_at + 1) % BUCKETS)
		for (struct record *r = all->by_key[all->sweep_at], *next; r; r = next) {
			next = r->next;
			if (r->until_ms <= now)
				record_remove(all, r);
		}
	for (unsigned i = 0; i < f->n_roots; i++) {
		struct set_root *r = f->root[i];
		if (!fellow(node, r) || !federation_ready(r->peer))
			continue;
		push(node, r);
		if (r->digest_ms <= now)
			compare(node, r);
	}
}

size_t contacts_count(const struct node *node)
{
	return node->federation && node->federation->contacts ? node->federation->contacts->n : 0;
}

unsigned contacts_homes(const struct node *node, const uint8_t key_hash[KEY_HASH_BYTES], uint64_t ret[CONTACT_HOMES_MAX])
{
	const struct contacts *all = node->federation ? node->federation->contacts : NULL;
	const struct record *r = all ? record_find(all, key_hash) : NULL;
	if (r)
		memcpy(ret, r->home, sizeof r->home);
	return r ? r->n_homes : 0;
}
