/* Theory of operation: how members reach each other, as they tell it (REPORT), for people to look at; nothing is decided by it. All
 * of it is soft: kept in memory, void after a restart, forgotten after three minutes unless told again. A report is whole and
 * replaces the last one of its member; within one run of the member (the upper half of seq) only a newer one does.
 *
 * A member is believed of its own links only, and whom it names is looked up when somebody asks, against the rows as they are
 * then: who was never a member, or is none any more, does not show. So nothing here needs to hear of members that go. What is kept
 * is bounded by bytes; beyond them a report is refused, which costs a picture and no more.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "controller/state.h"

#define REPORTS_BYTES_MAX (16 * 1024 * 1024)
#define REPORT_TTL_MS     (3 * 60 * 1000)
#define SWEEP_EVERY_MS    60000

struct kept {
	uint64_t address;
	uint32_t rtt_us;
	uint16_t age_s; /* when it was told */
	uint8_t kind;
};

struct report {
	uint64_t address;
	uint8_t key_hash[KEY_HASH_BYTES];
	uint64_t seq, heard_ms;
	uint32_t n;
	struct kept link[];
};

struct reports { /* of a network; ascending by address */
	unsigned n, room;
	struct report *list[];
};

/* ---- keeping ------------------------------------------------------------------------ */

static size_t report_bytes(uint32_t n)
{
	return sizeof(struct report) + n * sizeof(struct kept);
}

static unsigned position(const struct reports *r, uint64_t address)
{
	unsigned low = 0, high = r ? r->n : 0;
	while (low < high) {
		unsigned mid = (low + high) / 2;
		if (r->list[mid]->address < address)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static bool stale(const struct controller *c, const struct report *r)
{
	return c->now_ms - r->heard_ms > REPORT_TTL_MS;
}

static void report_free(struct controller *c, struct report *r)
{
	if (c)
		c->reports_bytes -= report_bytes(r->n);
	free(r);
}

static void sweep(struct controller *c)
{
	for (unsigned i = 0; i < c->n_publications; i++) {
		struct reports *r = c->publications[i]->reports;
		unsigned left = 0;
		for (unsigned k = 0; r && k < r->n; k++)
			if (stale(c, r->list[k]))
				report_free(c, r->list[k]);
			else
				r->list[left++] = r->list[k];
		if (r)
			r->n = left;
	}
	c->reports_swept = c->now_ms;
}

/* Takes fresh: into the place of the member's last one, or into one of its own. false: no memory, fresh is not taken. */
static bool put(struct controller *c, struct publication *p, struct report *fresh)
{
	struct reports *r = p->reports;
	unsigned i = position(r, fresh->address);
	if (r && i < r->n && r->list[i]->address == fresh->address) {
		report_free(c, r->list[i]);
		r->list[i] = fresh;
		return true;
	}
	if (!r || r->n == r->room) {
		unsigned room = r ? r->room * 2 : 16;
		r = realloc(r, sizeof(*r) + room * sizeof(r->list[0]));
		if (!r)
			return false;
		if (!p->reports)
			r->n = 0;
		r->room = room;
		p->reports = r;
	}
	memmove(&r->list[i + 1], &r->list[i], (r->n++ - i) * sizeof(r->list[0]));
	r->list[i] = fresh;
	return true;
}

/* Worth a look of those who watch: a link came, went or turned, or its round trip is another. */
static bool differs(const struct report *old, const struct report *fresh)
{
	if (!old || old->n != fresh->n)
		return true;
	for (uint32_t i = 0; i < fresh->n; i++) {
		const struct kept *a = &old->link[i], *b = &fresh->link[i];
		if (a->address != b->address || a->kind != b->kind || rtt_moved(a->rtt_us, b->rtt_us))
			return true;
	}
	return false;
}

static struct report *report_new(const struct controller *c, const struct identity *from, const struct body_report *b)
{
	struct report *r = malloc(report_bytes(b->n));
	if (!r)
		return NULL;
	*r = (struct report){.address = from->address, .seq = b->seq, .heard_ms = c->now_ms};
	memcpy(r->key_hash, from->key_hash, KEY_HASH_BYTES);
	for (unsigned i = 0; i < b->n; i++) {
		const struct report_link *l = &b->link[i];
		if ((l->kind == LINK_DIRECT || l->kind == LINK_RELAY) && l->address != from->address)
			r->link[r->n++] = (struct kept){.address = l->address,
			                                .rtt_us = l->rtt_us,
			                                .age_s = (uint16_t)(l->age_s < UINT16_MAX ? l->age_s : UINT16_MAX),
			                                .kind = l->kind};
	}
	return r;
}

bool rtt_moved(uint32_t was_us, uint32_t is_us)
{
	uint32_t apart = was_us > is_us ? was_us - is_us : is_us - was_us;
	return apart > was_us / 4 + 1000;
}

enum status report_take(struct controller *c, const struct identity *from, const uint8_t *body, size_t len)
{
	struct body_report b;
	if (!body_report_parse(body, len, &b))
		return STATUS_MALFORMED;
	struct publication *p = publication_find(c, b.nwid);
	if (!p || !member_approved(c, b.nwid, from->key_hash))
		return STATUS_DENIED;
	if (c->now_ms - c->reports_swept > SWEEP_EVERY_MS || c->reports_bytes + report_bytes(b.n) > REPORTS_BYTES_MAX)
		sweep(c);
	unsigned i = position(p->reports, from->address);
	struct report *old = p->reports && i < p->reports->n && p->reports->list[i]->address == from->address ? p->reports->list[i] : NULL;
	bool same = old && !memcmp(old->key_hash, from->key_hash, KEY_HASH_BYTES);
	if (same && b.seq >> 32 == old->seq >> 32 && b.seq <= old->seq)
		return STATUS_OK;
	traffic_take(c, p, from, &b);
	if (c->reports_bytes - (old ? report_bytes(old->n) : 0) + report_bytes(b.n) > REPORTS_BYTES_MAX)
		return STATUS_TRY_LATER;
	struct report *fresh = report_new(c, from, &b);
	bool news = fresh && differs(old, fresh);
	if (!fresh || !put(c, p, fresh)) {
		free(fresh);
		return STATUS_TRY_LATER;
	}
	c->reports_bytes += report_bytes(fresh->n);
	if (news)
		change_note(c, CHANGE_LIVE, b.nwid, from->address, false);
	return STATUS_OK;
}

void reports_free(struct controller *c, struct publication *p)
{
	for (unsigned i = 0; p->reports && i < p->reports->n; i++)
		report_free(c, p->reports->list[i]);
	free(p->reports);
	p->reports = NULL;
}

void reports_each(const struct controller *c, const struct publication *p,
                  void (*each)(void *, const uint8_t key_hash[KEY_HASH_BYTES], const struct topology_link *), void *self)
{
	for (unsigned i = 0; p->reports && i < p->reports->n; i++) {
		const struct report *r = p->reports->list[i];
		uint64_t since_s = (c->now_ms - r->heard_ms) / 1000;
		for (uint32_t k = 0; k < r->n && !stale(c, r); k++) {
			const struct kept *l = &r->link[k];
			each(self, r->key_hash,
			     &(struct topology_link){.a = r->address,
			                             .b = l->address,
			                             .kind = (enum report_kind)l->kind,
			                             .rtt_us = l->rtt_us,
			                             .age_s = (uint32_t)(l->age_s + since_s)});
		}
	}
}
