/* Theory of operation: what a network publishes is one edition at a time: the sections, their manifest, the REVLIST, and the
 * HEAD that binds them by hash. An edit marks the edition stale and reserves the next HEAD version in its own transaction;
 * issuing builds the blobs from what is committed (edition.c), writes the watermark, signs, and only then replaces the edition.
 * No two HEADs ever carry one version: a version that may have been signed is never signed again, and a start counts every
 * version on disk among those.
 *
 * A quiet network issues at once, a busy one every PUBLISH_EVERY_MS, a large one less often as long as nothing is taken away.
 * HEADs are pushed round the list of members without starting over at a new edition, so that the last of a thousand is reached
 * however often the first change. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "controller/edition.h"
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
	p->flags = n->flags;
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
	traffic_free(NULL, p);
	directory_fini(&p->directory);
	free(p);
}

void publication_remove(struct controller *c, uint64_t nwid)
{
	for (unsigned i = 0; i < c->n_publications; i++)
		if (c->publications[i]->nwid == nwid) {
			reports_free(c, c->publications[i]);
			traffic_free(c, c->publications[i]);
			publication_free(c->publications[i]);
			c->publications[i] = c->publications[--c->n_publications];
			return;
		}
}

/* ---- counters, all within the turn's transaction ------------------------------------ */

int publication_touch(struct controller *c, struct publication *p, bool revocations)
{
	p->stale = true;
	if (revocations) {
		p->rev_epoch++;
		p->urgent = true;
	}
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
		pool_doubt(p);
	}
}

/* When its HEAD is due, whatever the disk says. */
static uint64_t due_at(const struct publication *p)
{
	return !p->stale ? p->hourly : p->urgent ? p->soonest : p->earliest;
}

void publications_refresh(struct controller *c)
{
	for (unsigned i = 0; i < c->n_publications; i++) /* a failure shows when the next edition is built */
		if (c->publications[i]->directory.n_touched)
			directory_refresh(&c->publications[i]->directory, c->store, c->publications[i]->nwid);
}

static bool due(const struct controller *c, const struct publication *p)
{
	if (c->now_ms < c->retry_at)
		return false;
	return c->now_ms >= due_at(p);
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
		uint64_t at = due_at(p);
		if (at < c->retry_at)
			at = c->retry_at;
		if (p->push_left && p->push_next < at)
			at = p->push_next;
		if (at < next)
			next = at;
	}
	return next > c->now_ms ? next : c->now_ms;
}

/* ---- signing -------------------------------------------------------------------------- */

/* What an edition costs those who fetch it decides when the next one may follow: a member more can wait, it has its own papers at once. */
static uint64_t pause_of(const struct controller *c, const struct publication *p, size_t bytes)
{
	uint64_t online = 0;
	for (unsigned i = 0; i < p->n_listed; i++) {
		const struct presence *who = presence_find(c, p->listed[i]);
		online += who && who->online;
	}
	uint64_t pause = online * bytes / PUBLISH_BYTES_MS, least = p->members_sharded ? PUBLISH_LARGE_MS : PUBLISH_EVERY_MS;
	return pause < least ? least : pause > PUBLISH_SLOW_MS ? PUBLISH_SLOW_MS : pause;
}

static void issue(struct controller *c, struct publication *p)
{
	struct edition e;
	uint8_t envelope[HEAD_ENVELOPE_MAX];
	p->soonest = p->earliest = c->now_ms + PUBLISH_EVERY_MS;
	if (!edition_build(c, p, &e)) {
		struct head h = {.nwid = p->nwid, .version = p->version, .issued_at = network_time(c), .rev_epoch = p->rev_epoch};
		memcpy(h.cfg_root, e.cfg_root, 32);
		memcpy(h.rev_hash, e.rev_hash, 32);
		size_t len = head_sign(&h, c->self.ed, envelope, sizeof(envelope));
		assert(len); /* every HEAD fits */
		p->signed_version = p->version;
		p->stale = p->urgent = false;
		p->hourly = c->now_ms + HEAD_EVERY_MS;
		edition_adopt(p, &e);
		memcpy(p->head, envelope, len);
		p->head_len = len;
		p->earliest = c->now_ms + pause_of(c, p, e.fresh_bytes);
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
