/* Theory of operation: what a network publishes is one edition at a time: the sections, their manifest, the REVLIST, and the
 * HEAD that binds them by hash. An edit marks the edition stale and reserves the next HEAD version in its own transaction;
 * issuing reads the rows as committed, builds the blobs, writes the watermark, signs, and only then replaces the edition.
 * No two HEADs ever carry one version: a version that may have been signed is never signed again, and a start counts every
 * version on disk among those.
 *
 * A quiet network issues at once, a busy one every PUBLISH_EVERY_MS. HEADs are pushed round the list of members without
 * starting over at a new edition, so that the last of a thousand is reached however often the first change. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "controller/state.h"

/* ---- the list of networks ----------------------------------------------------------- */

struct publication *publication_find(const struct controller *c, uint64_t nwid)
{
	for (unsigned i = 0; i < c->n_publications; i++)
		if (c->publications[i]->nwid == nwid)
			return c->publications[i];
	return NULL;
}

struct publication *publication_add(struct controller *c, const struct network_record *n)
{
	struct publication *p = c->n_publications < NETWORKS_MAX ? calloc(1, sizeof(*p)) : NULL;
	if (!p)
		return NULL;
	p->nwid = n->nwid;
	memcpy(p->gate, n->gate, sizeof(p->gate));
	p->version = p->signed_version = n->version;
	p->rev_epoch = n->rev_epoch;
	p->serial_next = p->serials = n->serials; /* what was left of the block is not used again */
	p->stale = true;
	c->publications[c->n_publications++] = p;
	return p;
}

void publication_free(struct publication *p)
{
	for (unsigned i = 0; i < BLOB_COUNT; i++) {
		free(p->now[i].bytes);
		free(p->before[i].bytes);
	}
	free(p->listed);
	groups_free(p);
	reports_free(NULL, p);
	free(p);
}

void publication_remove(struct controller *c, uint64_t nwid)
{
	for (unsigned i = 0; i < c->n_publications; i++)
		if (c->publications[i]->nwid == nwid) {
			reports_free(c, c->publications[i]);
			publication_free(c->publications[i]);
			c->publications[i] = c->publications[--c->n_publications];
			return;
		}
}

/* ---- counters, all within the turn's transaction ------------------------------------ */

int publication_touch(struct controller *c, struct publication *p, bool revocations)
{
	p->stale = true;
	if (revocations)
		p->rev_epoch++;
	if (p->version == p->signed_version)
		p->version++;
	else if (!revocations)
		return 0; /* a version is reserved already, by an earlier edit of the same edition */
	return store_network_counters(c->store, p->nwid, p->version, p->rev_epoch, p->serials);
}

int publication_serial(struct controller *c, struct publication *p, uint64_t *ret)
{
	if (p->serial_next >= p->serials) {
		p->serials += SERIAL_BLOCK;
		int r = store_network_counters(c->store, p->nwid, p->version, p->rev_epoch, p->serials);
		if (r)
			return r;
	}
	*ret = p->serial_next++;
	return 0;
}

void publications_reload(struct controller *c)
{
	struct network_record n;
	for (unsigned i = 0; i < c->n_publications; i++) {
		struct publication *p = c->publications[i];
		if (store_network_get(c->store, p->nwid, &n))
			continue;
		p->version = n.version;
		p->rev_epoch = n.rev_epoch;
		p->serials = n.serials;
		if (p->serial_next > p->serials)
			p->serial_next = p->serials;
	}
}

static bool due(const struct controller *c, const struct publication *p)
{
	if (c->now_ms < c->retry_at)
		return false;
	return p->stale ? c->now_ms >= p->earliest : c->now_ms >= p->hourly;
}

unsigned publications_prepare(struct controller *c)
{
	unsigned n = 0;
	for (unsigned i = 0; i < c->n_publications && n < PUBLISH_TURN_MAX; i++) {
		struct publication *p = c->publications[i];
		unsigned dropped = 0;
		if (!due(c, p))
			continue;
		n++;
		p->stale = true;
		if (store_revocations_purge(c->store, p->nwid, network_time(c), &dropped))
			continue;
		publication_touch(c, p, dropped > 0); /* a failure shows at the commit */
	}
	return n;
}

uint64_t publications_next(const struct controller *c)
{
	uint64_t next = NEVER;
	for (unsigned i = 0; i < c->n_publications; i++) {
		const struct publication *p = c->publications[i];
		uint64_t at = p->stale ? p->earliest : p->hourly;
		if (at < c->retry_at)
			at = c->retry_at;
		if (p->push_left && p->push_next < at)
			at = p->push_next;
		if (at < next)
			next = at;
	}
	return next > c->now_ms ? next : c->now_ms;
}

/* ---- an edition --------------------------------------------------------------------- */

struct edition {
	struct blob blobs[BLOB_COUNT];
	struct directory_entry *entries; /* MEMBERS_MAX */
	size_t n_entries;
	uint8_t *room; /* SECTION_MAX */
};

static void edition_fini(struct edition *e)
{
	for (unsigned i = 0; i < BLOB_COUNT; i++)
		free(e->blobs[i].bytes);
	free(e->entries);
	free(e->room);
}

/* Takes the len bytes that stand in the edition's room. */
static int blob_keep(struct edition *e, enum blob_name name, size_t len)
{
	struct blob *b = &e->blobs[name];
	if (!len)
		return -EMSGSIZE;
	if (!(b->bytes = malloc(len)))
		return -ENOMEM;
	memcpy(b->bytes, e->room, len);
	b->len = len;
	blob_hash(b->bytes, len, b->hash);
	return 0;
}

static void list_member(void *self, const struct member_record *m)
{
	struct edition *e = self;
	if (m->state != MEMBER_APPROVED || e->n_entries >= MEMBERS_MAX)
		return;
	struct directory_entry *d = &e->entries[e->n_entries++];
	*d = (struct directory_entry){.address = m->address, .n_ips = m->n_ips, .flags = policy_flags(m->flags_on, m->flags_off)};
	memcpy(d->key_hash, m->identity.key_hash, KEY_HASH_BYTES);
	memcpy(d->ips, m->ips, sizeof(d->ips));
}

static int edition_sections(struct controller *c, const struct network_record *n, struct edition *e)
{
	struct section_base base = {.mtu = n->mtu,
	                            .mcast_limit = n->limits.mcast_limit,
	                            .flags = n->flags,
	                            .storm_frames = n->limits.storm_frames,
	                            .mcast_kbit = n->limits.mcast_kbit};
	struct route on_link = {.target = n->pool};
	struct revocation *revoked = NULL;
	size_t n_revoked = 0;
	memcpy(base.name, n->name, sizeof(base.name));
	int r = blob_keep(e, BLOB_BASE, section_base_encode(&base, e->room, SECTION_MAX));
	if (!r)
		r = blob_keep(e, BLOB_ROUTES, section_routes_encode(&on_link, n->pool.family ? 1 : 0, e->room, SECTION_MAX));
	if (!r)
		r = store_member_each(c->store, n->nwid, list_member, e);
	if (!r)
		r = blob_keep(e, BLOB_MEMBERS, section_members_encode(e->entries, e->n_entries, e->room, SECTION_MAX));
	if (!r)
		r = store_revocations(c->store, n->nwid, &revoked, &n_revoked);
	if (!r)
		r = blob_keep(e, BLOB_REVLIST, revlist_encode(revoked, n_revoked, e->room, SECTION_MAX));
	free(revoked);
	return r;
}

static int edition_manifest(struct edition *e)
{
	static const struct {
		uint8_t id;
		enum blob_name name;
	} sections[] = {{SECTION_BASE, BLOB_BASE}, {SECTION_ROUTES, BLOB_ROUTES}, {SECTION_MEMBERS, BLOB_MEMBERS}};
	struct manifest m = {.n = sizeof(sections) / sizeof(*sections)};
	for (unsigned i = 0; i < m.n; i++) {
		const struct blob *b = &e->blobs[sections[i].name];
		m.section[i].id = sections[i].id;
		m.section[i].len = (uint32_t)b->len;
		memcpy(m.section[i].hash, b->hash, 32);
	}
	return blob_keep(e, BLOB_MANIFEST, manifest_encode(&m, e->room, SECTION_MAX));
}

static int edition_build(struct controller *c, const struct publication *p, struct edition *e)
{
	struct network_record n;
	*e = (struct edition){.entries = calloc(MEMBERS_MAX, sizeof(*e->entries)), .room = malloc(SECTION_MAX)};
	int r = e->entries && e->room ? store_network_get(c->store, p->nwid, &n) : -ENOMEM;
	if (!r)
		r = edition_sections(c, &n, e);
	if (!r)
		r = edition_manifest(e);
	return r;
}

static void edition_adopt(struct publication *p, struct edition *e)
{
	for (unsigned i = 0; i < BLOB_COUNT; i++) {
		/* an unchanged blob keeps the one before it: what changes now and then is not pushed out by what changes often */
		if (p->now[i].bytes && !memcmp(p->now[i].hash, e->blobs[i].hash, 32))
			continue;
		free(p->before[i].bytes);
		p->before[i] = p->now[i];
		p->now[i] = e->blobs[i];
		e->blobs[i] = (struct blob){0};
	}
	uint8_t(*listed)[KEY_HASH_BYTES] = calloc(e->n_entries + 1, sizeof(*listed));
	if (!listed)
		return; /* the old list is pushed to; who is new gets HEAD in its MEMBERCONF */
	for (size_t i = 0; i < e->n_entries; i++)
		memcpy(listed[i], e->entries[i].key_hash, KEY_HASH_BYTES);
	free(p->listed);
	p->listed = listed;
	p->n_listed = (unsigned)e->n_entries;
}

static void issue(struct controller *c, struct publication *p)
{
	struct edition e;
	uint8_t envelope[HEAD_ENVELOPE_MAX];
	p->earliest = c->now_ms + PUBLISH_EVERY_MS;
	if (!edition_build(c, p, &e)) {
		struct head h = {.nwid = p->nwid, .version = p->version, .issued_at = network_time(c), .rev_epoch = p->rev_epoch};
		memcpy(h.cfg_root, e.blobs[BLOB_MANIFEST].hash, 32);
		memcpy(h.rev_hash, e.blobs[BLOB_REVLIST].hash, 32);
		size_t len = head_sign(&h, c->self.ed, envelope, sizeof(envelope));
		assert(len); /* every HEAD fits */
		p->signed_version = p->version;
		p->stale = false;
		p->hourly = c->now_ms + HEAD_EVERY_MS;
		memcpy(p->head, envelope, len);
		p->head_len = len;
		edition_adopt(p, &e);
		p->push_left = p->n_listed;
		p->push_next = c->now_ms < p->push_next ? p->push_next : c->now_ms;
	}
	edition_fini(&e);
}

void publications_issue(struct controller *c)
{
	bool written = false;
	unsigned n = 0;
	for (unsigned i = 0; i < c->n_publications && n < PUBLISH_TURN_MAX; i++) {
		struct publication *p = c->publications[i];
		if (!p->stale || p->version <= p->signed_version || !due(c, p))
			continue;
		if (!written && watermark_write(c)) {
			c->retry_at = c->now_ms + RETRY_MS;
			return;
		}
		if (!written)
			turn_recovered(c);
		written = true;
		n++;
		issue(c, p);
	}
}

/* ---- serving ------------------------------------------------------------------------ */

const struct blob *publication_blob(const struct publication *p, const uint8_t hash[32])
{
	for (unsigned i = 0; i < BLOB_COUNT; i++) {
		if (p->now[i].bytes && !memcmp(p->now[i].hash, hash, 32))
			return &p->now[i];
		if (p->before[i].bytes && !memcmp(p->before[i].hash, hash, 32))
			return &p->before[i];
	}
	return NULL;
}

static void push(struct controller *c, struct publication *p, const uint8_t key_hash[KEY_HASH_BYTES])
{
	uint8_t body[BODY_MAX];
	struct body_head head = {.nwid = p->nwid, .head = p->head, .head_len = p->head_len};
	struct message m = {.op = OP_HEAD, .body = body, .len = body_head_encode(&head, body, sizeof(body))};
	if (m.len)
		c->port.send(c->port.self, key_hash, &m);
}

void publication_push_one(struct controller *c, struct publication *p, const uint8_t key_hash[KEY_HASH_BYTES])
{
	uint8_t body[BODY_MAX];
	struct body_head head = {.nwid = p->nwid, .head = p->head, .head_len = p->head_len};
	size_t len = p->head_len ? body_head_encode(&head, body, sizeof(body)) : 0;
	if (len)
		letter_plain(c, key_hash, 0, OP_HEAD, STATUS_OK, body, len);
}

void publications_push(struct controller *c)
{
	for (unsigned i = 0; i < c->n_publications; i++) {
		struct publication *p = c->publications[i];
		if (!p->push_left || c->now_ms < p->push_next)
			continue;
		for (unsigned sent = 0; p->push_left && sent < PUSH_CHUNK; p->push_left--) {
			const uint8_t *to = p->listed[p->push_at++ % p->n_listed];
			struct presence *who = presence_find(c, to);
			if (who && who->online) {
				push(c, p, to);
				sent++;
			}
		}
		p->push_next = c->now_ms + PUSH_EVERY_MS;
	}
}

size_t publication_memberconf(struct controller *c, struct publication *p, const struct member_record *m, uint8_t *out, size_t room)
{
	uint8_t envelope[CRED_ENVELOPE_MAX];
	struct cred cred = {.nwid = p->nwid,
	                    .serial = m->serial,
	                    .address = m->address,
	                    .issued_at = network_time(c),
	                    .soft_ttl = SOFT_TTL_S,
	                    .hard_ttl = HARD_TTL_S,
	                    .flags = policy_flags(m->flags_on, m->flags_off),
	                    .n_ips = m->n_ips};
	memcpy(cred.subject, m->identity.key_hash, KEY_HASH_BYTES);
	memcpy(cred.ips, m->ips, sizeof(cred.ips));
	memcpy(cred.name, m->name[0] ? m->name : m->hostname, sizeof(cred.name));
	size_t len = p->head_len ? cred_sign(&cred, c->self.ed, envelope, sizeof(envelope)) : 0;
	if (!len)
		return 0;
	struct memberconf conf = {.cred = envelope, .cred_len = len, .head = p->head, .head_len = p->head_len};
	memcpy(conf.gate, p->gate, sizeof(conf.gate));
	return memberconf_encode(&conf, out, room);
}
