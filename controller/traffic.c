/* Theory of operation: taking what members tell. A report has counters, not differences, so one that is lost costs nothing: the next one has
 * it all. What is added since the last report waits in memory (carried.more) until traffic_write.c writes it, together with the counters
 * it goes up to: whatever a crash takes, the next report brings again. A new run of the member (epoch), or counters less
 * than the last ones, begin at 0.
 *
 * A member is an approved one but may still lie: more than a port can carry is cut, reasons have names of bounded number, and what it
 * tells shows in its own row and its network's sum, nowhere else. */
#include "controller/traffic_parts.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/drop.h"

#define CARRIED_MAX    PRESENCES_MAX
#define BYTES_PER_MS   UINT64_C(50000000) /* 400 Gbit/s */
#define FRAMES_PER_MS  UINT64_C(600000)   /* of those, as small as frames are */
#define REPORT_EVERY_S 72                 /* at most */
#define FIRST_S        60                 /* for who is new, and when the clock cannot tell */
#define ELAPSED_MAX_S  (30 * 86400)
#define PRUNE_AFTER_MS (3600 * 1000)
#define WRITE_EVERY_MS 10000

static_assert(DROP_COUNT < REASONS_MAX / 2, "half of the names are left for other versions'");

/* ---- who -------------------------------------------------------------------------------- */

static unsigned position(const struct traffic *t, const uint8_t key_hash[KEY_HASH_BYTES])
{
	unsigned low = 0, high = t->n;
	while (low < high) {
		unsigned mid = (low + high) / 2;
		if (memcmp(t->list[mid]->key_hash, key_hash, KEY_HASH_BYTES) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static struct carried *carried_find(const struct traffic *t, const uint8_t key_hash[KEY_HASH_BYTES])
{
	unsigned i = t ? position(t, key_hash) : 0;
	return t && i < t->n && !memcmp(t->list[i]->key_hash, key_hash, KEY_HASH_BYTES) ? t->list[i] : NULL;
}

/* Who is long silent needs no place in memory: all it told is written. */
static void prune(struct controller *c)
{
	for (unsigned i = 0; i < c->n_publications; i++) {
		struct traffic *t = c->publications[i]->traffic;
		unsigned left = 0;
		for (unsigned k = 0; t && k < t->n; k++) {
			struct carried *e = t->list[k];
			if (e->dirty || c->now_ms - e->heard_ms < PRUNE_AFTER_MS)
				t->list[left++] = e;
			else
				free(e);
		}
		if (t) {
			c->n_carried -= t->n - left;
			t->n = left;
		}
	}
	c->traffic_pruned = c->now_ms;
}

/* As the database has it. 0 or -errno. */
static int carried_load(struct controller *c, uint64_t nwid, struct carried *e)
{
	struct traffic_subject s;
	uint64_t member;
	int r = store_traffic_subject(c->store, nwid, e->key_hash, &s, &member);
	if (r)
		return r == -ENOENT ? 0 : r;
	e->known = true;
	e->epoch = s.epoch;
	e->last = s.last;
	e->at_s = s.at_s;
	for (unsigned i = 0; i < TALLIES && e->n_drops <= NAMES_MAX; i++)
		if (s.drops.of[i])
			e->drop[e->n_drops++] = (struct carried_drop){.reason = (uint8_t)i, .last = s.drops.of[i]};
	return 0;
}

static struct carried *carried_add(struct controller *c, const struct publication *p, const uint8_t key_hash[KEY_HASH_BYTES])
{
	struct traffic *t = p->traffic;
	if (c->n_carried >= CARRIED_MAX && c->now_ms - c->traffic_pruned > PRUNE_AFTER_MS)
		prune(c);
	if (t->n == t->room) {
		unsigned room = t->room ? t->room * 2 : 16;
		struct carried **list = realloc(t->list, room * sizeof(struct carried *));
		if (!list)
			return NULL;
		t->list = list;
		t->room = room;
	}
	struct carried *e = c->n_carried < CARRIED_MAX ? calloc(1, sizeof(*e)) : NULL;
	if (!e)
		return NULL;
	memcpy(e->key_hash, key_hash, KEY_HASH_BYTES);
	if (carried_load(c, p->nwid, e)) { /* what it told before is not known now, so what it tells must not count from 0 */
		free(e);
		return NULL;
	}
	unsigned i = position(t, key_hash);
	memmove(&t->list[i + 1], &t->list[i], (t->n++ - i) * sizeof(struct carried *));
	t->list[i] = e;
	c->n_carried++;
	return e;
}

/* ---- reasons ---------------------------------------------------------------------------- */

static void reason_loaded(void *self, unsigned id, const char *name)
{
	struct traffic *t = self;
	if (id != t->n_reasons || t->n_reasons == REASONS_MAX)
		return; /* none of ours */
	memcpy(t->reason[t->n_reasons++], name, TRAFFIC_REASON_ROOM);
}

struct traffic *traffic_open(struct controller *c, struct publication *p)
{
	struct traffic_subject sum;
	uint64_t member;
	if (p->traffic)
		return p->traffic;
	struct traffic *t = calloc(1, sizeof(*t));
	if (t)
		t->reason = calloc(REASONS_MAX, sizeof(*t->reason));
	if (!t || !t->reason)
		goto failed;
	memcpy(t->reason[REASON_OTHER], "other", sizeof("other"));
	t->n_reasons = 1;
	if (store_traffic_reasons(c->store, p->nwid, reason_loaded, t))
		goto failed;
	t->n_saved = t->n_reasons;
	int r = store_traffic_subject(c->store, p->nwid, NULL, &sum, &member);
	if (r && r != -ENOENT)
		goto failed;
	if (!r)
		t->total = sum.last;
	for (unsigned i = 0; !r && i < TALLIES; i++)
		t->drops += sum.drops.of[i];
	t->any = !r;
	return p->traffic = t;
failed:
	if (t)
		free(t->reason);
	free(t);
	return NULL;
}

void traffic_free(struct controller *c, struct publication *p)
{
	struct traffic *t = p->traffic;
	if (!t)
		return;
	for (unsigned i = 0; i < t->n; i++)
		free(t->list[i]);
	if (c)
		c->n_carried -= t->n;
	free(t->list);
	free(t->reason);
	free(t);
	p->traffic = NULL;
}

static bool of_ours(const char *name)
{
	for (int i = DROP_NONE + 1; i < DROP_COUNT; i++)
		if (!strcmp(drop_name((enum drop)i), name))
			return true;
	return false;
}

/* A name that is new here needs a place of the member's own as well, and those that are known never want for one: so who makes up
 * names takes them from nobody else. */
static uint8_t reason_of(struct traffic *t, const struct carried *e, const char *name)
{
	for (unsigned i = 0; i < t->n_reasons; i++)
		if (!strcmp(t->reason[i], name))
			return (uint8_t)i;
	unsigned most = of_ours(name) ? REASONS_MAX : REASONS_MAX - DROP_COUNT;
	if (t->n_reasons >= most || e->n_drops >= NAMES_MAX || strlen(name) >= TRAFFIC_REASON_ROOM)
		return REASON_OTHER;
	memcpy(t->reason[t->n_reasons], name, strlen(name) + 1);
	return (uint8_t)t->n_reasons++;
}

/* NULL: there is no such one, and no room. */
static struct carried_drop *drop_of(struct carried *e, uint8_t reason)
{
	for (unsigned i = 0; i < e->n_drops; i++)
		if (e->drop[i].reason == reason)
			return &e->drop[i];
	if (e->n_drops >= (reason == REASON_OTHER ? NAMES_MAX + 1 : NAMES_MAX))
		return NULL;
	e->drop[e->n_drops] = (struct carried_drop){.reason = reason};
	return &e->drop[e->n_drops++];
}

/* ---- what is new ------------------------------------------------------------------------ */

static uint64_t sum(uint64_t a, uint64_t b) /* as far as the database's numbers go */
{
	uint64_t s = a + b;
	return s < a || s > INT64_MAX ? INT64_MAX : s;
}

void count_add(struct traffic_count *to, const struct traffic_count *more)
{
	to->rx_bytes = sum(to->rx_bytes, more->rx_bytes);
	to->rx_frames = sum(to->rx_frames, more->rx_frames);
	to->tx_bytes = sum(to->tx_bytes, more->tx_bytes);
	to->tx_frames = sum(to->tx_frames, more->tx_frames);
}

static bool less(const struct traffic_count *a, const struct traffic_count *b)
{
	return a->rx_bytes < b->rx_bytes || a->rx_frames < b->rx_frames || a->tx_bytes < b->tx_bytes || a->tx_frames < b->tx_frames;
}

static uint64_t more_than(struct controller *c, uint64_t now, uint64_t last, uint64_t most)
{
	uint64_t d = now - last;
	c->traffic_figures.clamped += d > most;
	return d < most ? d : most;
}

/* Milliseconds that it tells of: in whole seconds, a flood of reports would tell of more time than there is. */
static uint64_t elapsed(const struct controller *c, const struct carried *e, uint32_t reports)
{
	uint64_t s = FIRST_S, ms = c->now_ms - e->heard_ms;
	if (e->heard_ms)
		return !ms ? 1 : ms < ELAPSED_MAX_S * UINT64_C(1000) ? ms : ELAPSED_MAX_S * UINT64_C(1000);
	if (e->known && c->wall_s > e->at_s)
		s = c->wall_s - e->at_s;
	if (!e->known) /* new here, but perhaps its first reports were lost */
		s = reports < ELAPSED_MAX_S / REPORT_EVERY_S ? (uint64_t)reports * REPORT_EVERY_S : ELAPSED_MAX_S;
	return (!s ? 1 : s < ELAPSED_MAX_S ? s : ELAPSED_MAX_S) * 1000;
}

static void drops_take(struct controller *c, struct traffic *t, struct carried *e, const struct body_report *b, bool anew, uint64_t ms)
{
	struct tallies told = {0};
	for (unsigned i = 0; i < e->n_drops && anew; i++)
		e->drop[i].last = 0;
	for (unsigned i = 0; i < b->n_drops; i++) {
		uint8_t reason = reason_of(t, e, b->drop[i].name);
		reason = drop_of(e, reason) ? reason : REASON_OTHER;
		told.of[reason] = sum(told.of[reason], b->drop[i].count);
	}
	for (unsigned i = 0; i < TALLIES; i++) {
		struct carried_drop *d = told.of[i] ? drop_of(e, (uint8_t)i) : NULL;
		if (!d)
			continue;
		bool back = told.of[i] < d->last;
		c->traffic_figures.restarted += back && i != REASON_OTHER;
		/* "other" is less when one of them got a name of its own */
		uint64_t from = !back ? d->last : i == REASON_OTHER ? told.of[i] : 0;
		d->more = sum(d->more, more_than(c, told.of[i], from, ms * FRAMES_PER_MS));
		d->last = told.of[i];
	}
}

static int by_rtt(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;
	return *x < *y ? -1 : *x > *y;
}

static uint32_t links_median(const struct body_report *b)
{
	uint32_t rtt[REPORT_LINKS_MAX];
	unsigned n = 0;
	for (unsigned i = 0; i < b->n; i++)
		if (b->link[i].rtt_us)
			rtt[n++] = b->link[i].rtt_us;
	if (n)
		qsort(rtt, n, sizeof(*rtt), by_rtt);
	return n ? rtt[(n - 1) / 2] : 0;
}

/* It was carried from then until now. A report follows the one before it without a gap, unless the clock was set. */
static void span_take(const struct controller *c, struct carried *e, uint64_t seconds)
{
	uint64_t span = seconds < SPREAD_MAX_S ? seconds : SPREAD_MAX_S;
	uint64_t from = c->wall_s > span ? c->wall_s - span : 0;
	if (e->known && e->at_s <= c->wall_s && e->at_s + 2 >= from && e->at_s <= from + 2)
		from = e->at_s;
	if (!e->dirty || e->from_s > from)
		e->from_s = from;
	if (c->wall_s - e->from_s > SPREAD_MAX_S)
		e->from_s = c->wall_s - SPREAD_MAX_S;
}

static void carried_take(struct controller *c, struct traffic *t, struct carried *e, const struct body_report *b)
{
	struct traffic_count last = e->last, more;
	struct traffic_count now = {b->count.rx_bytes, b->count.rx_frames, b->count.tx_bytes, b->count.tx_frames};
	bool anew = !e->known || b->seq >> 32 != e->epoch;
	uint64_t ms = elapsed(c, e, (uint32_t)b->seq), seconds = ms < 1000 ? 1 : ms / 1000;
	if (!anew && less(&now, &last)) {
		anew = true;
		c->traffic_figures.restarted++;
	}
	if (anew)
		last = (struct traffic_count){0};
	more.rx_bytes = more_than(c, now.rx_bytes, last.rx_bytes, ms * BYTES_PER_MS);
	more.tx_bytes = more_than(c, now.tx_bytes, last.tx_bytes, ms * BYTES_PER_MS);
	more.rx_frames = more_than(c, now.rx_frames, last.rx_frames, ms * FRAMES_PER_MS);
	more.tx_frames = more_than(c, now.tx_frames, last.tx_frames, ms * FRAMES_PER_MS);
	drops_take(c, t, e, b, anew, ms);
	span_take(c, e, seconds);
	count_add(&e->more, &more);
	uint32_t rtt = links_median(b);
	e->rtt_us = rtt ? rtt : e->dirty ? e->rtt_us : 0;
	ms = ms < 1000 ? 1000 : ms;
	e->rx_bps = (uint64_t)((unsigned __int128)more.rx_bytes * 8000 / ms);
	e->tx_bps = (uint64_t)((unsigned __int128)more.tx_bytes * 8000 / ms);
	e->epoch = b->seq >> 32;
	e->last = now;
	e->heard_ms = c->now_ms;
	e->at_s = c->wall_s;
	e->known = e->dirty = true;
}

void traffic_take(struct controller *c, struct publication *p, const struct identity *from, const struct body_report *b)
{
	if (!b->counted || !c->trusted)
		return;
	c->traffic_figures.reports++;
	struct traffic *t = traffic_open(c, p);
	struct carried *e = t ? carried_find(t, from->key_hash) : NULL;
	if (t && !e)
		e = carried_add(c, p, from->key_hash);
	if (!e) {
		c->traffic_figures.lost++;
		return;
	}
	carried_take(c, t, e, b);
	if (c->traffic_due == NEVER)
		c->traffic_due = c->now_ms + WRITE_EVERY_MS;
}

/* ---- of the last minute ----------------------------------------------------------------- */

static bool fresh(const struct controller *c, const struct carried *e)
{
	return e && e->heard_ms && c->now_ms - e->heard_ms < SILENT_MS;
}

bool traffic_rate(const struct controller *c, const struct publication *p, const uint8_t *key_hash, uint64_t *ret_rx, uint64_t *ret_tx)
{
	const struct traffic *t = p ? p->traffic : NULL;
	bool any = false;
	*ret_rx = *ret_tx = 0;
	for (unsigned i = 0; t && !key_hash && i < t->n; i++)
		if (fresh(c, t->list[i])) {
			any = true;
			*ret_rx = sum(*ret_rx, t->list[i]->rx_bps);
			*ret_tx = sum(*ret_tx, t->list[i]->tx_bps);
		}
	const struct carried *e = key_hash ? carried_find(t, key_hash) : NULL;
	if (!fresh(c, e))
		return any;
	*ret_rx = e->rx_bps;
	*ret_tx = e->tx_bps;
	return true;
}

void controller_traffic_figures(const struct controller *c, struct traffic_figures *ret)
{
	*ret = c->traffic_figures;
}
