/* Theory of operation: the outbox. What waits stands in the database; here is, for each hook, one short line about each delivery
 * that waits: its network, when it is due, whether it is the first of its network, whether it is being sent. So nobody asks the
 * database what to do next, and twenty hooks with a thousand waiting each are half a megabyte. After a rollback the lines are made
 * anew from the rows; what is being sent stays so.
 *
 * What a receiver answered is written with the turn in which it is heard: if that cannot be committed, or the controller dies
 * before, the delivery is sent again. At least once, never out of order within a network, but for what an admin sends again.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controller/hook_parts.h"
#include "proto/base/log.h"
#include "proto/random.h"

#define PURGE_EVERY_MS 3600000
#define NEWS_EVERY_MS  1000

static const uint64_t pace[HOOK_RETRIES] = {HOOK_PACE};

/* ---- the lines ---------------------------------------------------------------------- */

static void head_find(struct hook *h, uint64_t nwid)
{
	bool first = true;
	for (unsigned i = 0; i < h->n; i++)
		if (h->waiting[i].nwid == nwid) {
			h->waiting[i].head = first;
			first = false;
		}
}

static unsigned place_of(const struct hook *h, uint64_t seq)
{
	unsigned low = 0, high = h->n;
	while (low < high) {
		unsigned mid = (low + high) / 2;
		if (h->waiting[mid].seq < seq)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static struct waiting *waiting_find(struct hook *h, uint64_t seq)
{
	unsigned i = place_of(h, seq);
	return i < h->n && h->waiting[i].seq == seq ? &h->waiting[i] : NULL;
}

/* head is found by the caller. */
static int waiting_add(struct hook *h, const struct waiting *w)
{
	if (h->n == h->room) {
		unsigned room = h->room ? h->room * 2 : 16;
		struct waiting *larger = realloc(h->waiting, room * sizeof(*larger));
		if (!larger)
			return -ENOMEM;
		h->waiting = larger;
		h->room = room;
	}
	unsigned i = place_of(h, w->seq);
	memmove(&h->waiting[i + 1], &h->waiting[i], (h->n++ - i) * sizeof(*w));
	h->waiting[i] = *w;
	return 0;
}

static void waiting_remove(struct hook *h, uint64_t seq)
{
	struct waiting *w = waiting_find(h, seq);
	if (!w)
		return;
	uint64_t nwid = w->nwid;
	h->n--;
	memmove(w, w + 1, (size_t)(&h->waiting[h->n] - w) * sizeof(*w));
	head_find(h, nwid);
}

struct hook *hook_find(struct hooks *hooks, uint64_t id)
{
	for (unsigned i = 0; i < hooks->n; i++)
		if (hooks->list[i].kept.row.id == id)
			return &hooks->list[i];
	return NULL;
}

/* ---- opening ------------------------------------------------------------------------ */

struct loading {
	struct controller *c;
	struct hooks *hooks; /* made */
	struct hooks *old;   /* what stood before; NULL = nothing */
	int r;
};

static void load_hook(void *self, const struct hook_record *kept)
{
	struct hooks *hooks = ((struct loading *)self)->hooks;
	if (hooks->n < HOOKS_MAX)
		hooks->list[hooks->n++] = (struct hook){.kept = *kept};
}

static void load_waiting(void *self, const struct delivery_record *d)
{
	struct loading *loading = self;
	const struct controller *c = loading->c;
	struct hook *h = hook_find(loading->hooks, d->row.hook), *was = loading->old ? hook_find(loading->old, d->row.hook) : NULL;
	uint64_t now = network_time(c);
	struct waiting w = {.seq = d->row.seq, .nwid = d->row.nwid, .due_ms = c->now_ms + (d->due > now ? (d->due - now) * 1000 : 0)};
	const struct waiting *stood = was ? waiting_find(was, w.seq) : NULL;
	if (!h || loading->r)
		return;
	if (stood) {
		w.due_ms = stood->due_ms;
		w.sending = stood->sending;
		h->sending += w.sending;
	}
	w.head = true;
	for (unsigned i = 0; i < h->n && w.head; i++)
		w.head = h->waiting[i].nwid != w.nwid;
	loading->r = waiting_add(h, &w);
}

static void lines_free(struct hooks *hooks)
{
	for (unsigned i = 0; i < hooks->n; i++)
		free(hooks->list[i].waiting);
	explicit_bzero(hooks->list, sizeof(hooks->list));
	hooks->n = 0;
}

static int lines_load(struct controller *c)
{
	struct hooks *old = c->hooks;
	struct loading loading = {.c = c, .old = old, .hooks = calloc(1, sizeof(*loading.hooks))};
	if (!loading.hooks)
		return -ENOMEM;
	int r = store_hook_each(c->store, load_hook, &loading);
	if (!r)
		r = store_delivery_waiting(c->store, load_waiting, &loading);
	if (!r)
		r = loading.r;
	if (!r) {
		lines_free(old);
		memcpy(old->list, loading.hooks->list, sizeof(old->list));
		old->n = loading.hooks->n;
		explicit_bzero(loading.hooks->list, sizeof(old->list));
	} else {
		lines_free(loading.hooks);
	}
	free(loading.hooks);
	return r;
}

int hooks_load(struct controller *c)
{
	c->hooks = calloc(1, sizeof(*c->hooks));
	if (!c->hooks)
		return -ENOMEM;
	memcpy(c->hooks->retry_ms, pace, sizeof(pace));
	return lines_load(c);
}

void hooks_reload(struct controller *c)
{
	if (c->hooks)
		c->hooks->doubt = lines_load(c) != 0;
}

void hooks_free(struct controller *c)
{
	if (!c->hooks)
		return;
	lines_free(c->hooks);
	free(c->hooks->lives);
	free(c->hooks);
	c->hooks = NULL;
}

void controller_hook_pace(struct controller *c, const uint64_t *retry_ms)
{
	memcpy(c->hooks->retry_ms, retry_ms, sizeof(c->hooks->retry_ms));
}

/* ---- in ----------------------------------------------------------------------------- */

int hook_body(struct controller *c, const char *event, uint64_t nwid, uint64_t address, const struct member_record *member,
              const char *detail, uint64_t *ret_id)
{
	struct network_record network;
	struct member_record found;
	struct member_row row;
	struct actor actor = c->actor;
	unsigned n;
	struct hook_event e = {.wall_s = c->wall_s, .nwid = nwid, .address = address, .event = event, .actor = &actor, .detail = detail};
	if (!actor.name[0])
		snprintf(actor.name, sizeof(actor.name), "controller");
	if (nwid && !store_network_get(c->store, nwid, &network))
		e.network = network.name;
	/* of two rows with one address it could be either */
	if (!member && nwid && address && !store_member_address(c->store, nwid, address, &found, &n) && n == 1)
		member = &found;
	if (member) {
		member_show(c, member, &row);
		e.member = &row;
	}
	while (!e.id)
		random_bytes(&e.id, sizeof(e.id));
	if (!c->port.hook_body || !c->port.hook_body(c->port.self, &e, c->hooks->body, sizeof(c->hooks->body)))
		return -ENOMEM;
	*ret_id = e.id;
	return 0;
}

int hook_enqueue(struct controller *c, struct hook *h, uint64_t id, const char *event, uint64_t nwid)
{
	struct delivery_record d = {
	    .row = {.id = id, .hook = h->kept.row.id, .nwid = nwid, .created_wall_s = c->wall_s, .body = c->hooks->body},
	    .due = network_time(c)};
	c->hooks->news = true;
	if (h->n >= HOOK_WAITING_MAX) {
		h->kept.row.dropped++;
		h->kept.lost++;
		c->hooks->figures.dropped++;
		return store_hook_put(c->store, &h->kept, false);
	}
	snprintf(d.row.event, sizeof(d.row.event), "%s", event);
	int r = store_delivery_insert(c->store, &d);
	if (!r)
		r = waiting_add(h, &(struct waiting){.seq = d.row.seq, .nwid = nwid, .due_ms = c->now_ms});
	if (!r)
		head_find(h, nwid);
	return r;
}

int hook_note(struct controller *c, const char *event, uint64_t nwid, uint64_t address, const struct member_record *member,
              const char *detail)
{
	struct hooks *hooks = c->hooks;
	uint64_t id;
	if (!hooks || (!hooks->n && !hooks->doubt))
		return 0;
	if (hooks->doubt)
		return -ENOMEM;
	if (!c->port.hook_body || !hooks_take(hooks, event, nwid))
		return 0;
	int r = hook_body(c, event, nwid, address, member, detail, &id);
	for (unsigned i = 0; i < hooks->n && !r; i++)
		if (hook_takes(&hooks->list[i], event, nwid))
			r = hook_enqueue(c, &hooks->list[i], id, event, nwid);
	return r;
}

int hook_again(struct controller *c, struct hook *h, uint64_t seq, uint64_t nwid)
{
	struct waiting *w = waiting_find(h, seq);
	int r = 0;
	c->hooks->news = true;
	if (w)
		w->due_ms = c->now_ms;
	else
		r = waiting_add(h, &(struct waiting){.seq = seq, .nwid = nwid, .due_ms = c->now_ms});
	if (!r)
		head_find(h, nwid);
	return r;
}

int hook_hurry(struct controller *c, struct hook *h)
{
	c->hooks->news = true;
	for (unsigned i = 0; i < h->n; i++)
		if (!h->waiting[i].sending)
			h->waiting[i].due_ms = c->now_ms;
	return store_delivery_hurry(c->store, h->kept.row.id, network_time(c));
}

bool hook_due_ms(struct controller *c, uint64_t hook, uint64_t seq, uint64_t *ret)
{
	struct hook *h = hook_find(c->hooks, hook);
	const struct waiting *w = h ? waiting_find(h, seq) : NULL;
	if (w)
		*ret = w->due_ms;
	return w;
}

int hook_room(struct controller *c, struct hook *h)
{
	struct audit_detail detail = {0};
	uint64_t id;
	if (!h->kept.lost || h->n >= HOOK_ROOM_AGAIN)
		return 0;
	audit_detail_count(&detail, "count", h->kept.lost);
	int r = hook_body(c, "webhook.dropped", 0, 0, NULL, audit_detail_end(&detail), &id);
	h->kept.lost = 0;
	return r ? r : hook_enqueue(c, h, id, "webhook.dropped", 0);
}

/* ---- out ---------------------------------------------------------------------------- */

static void due_fill(void *self, const struct delivery_record *d)
{
	struct hook_due *due = self;
	due->id = d->row.id;
	memcpy(due->event, d->row.event, sizeof(due->event));
	snprintf(due->body, sizeof(due->body), "%s", d->row.body);
}

static bool network_busy(const struct hook *h, uint64_t nwid)
{
	for (unsigned i = 0; i < h->n; i++)
		if (h->waiting[i].sending && h->waiting[i].nwid == nwid)
			return true;
	return false;
}

/* The first that is due, or NULL; *next: the earliest of those that are not yet. */
static struct waiting *due_of(struct hook *h, unsigned max, uint64_t now, uint64_t *next)
{
	if (!h->kept.row.settings.enabled || h->kept.suspended || h->sending >= max)
		return NULL;
	for (unsigned i = 0; i < h->n; i++) {
		struct waiting *w = &h->waiting[i];
		if (!w->head || w->sending)
			continue;
		if (w->due_ms > now) /* asked first: there may be a thousand networks, each of which all lines would be gone through for */
			*next = w->due_ms < *next ? w->due_ms : *next;
		else if (!h->sending || !network_busy(h, w->nwid))
			return w;
	}
	return NULL;
}

bool controller_hook_take(struct controller *c, unsigned max, struct hook_due *ret, uint64_t now_ms, uint64_t *ret_next)
{
	struct hooks *hooks = c->hooks;
	*ret_next = NEVER;
	if (!c->trusted || hooks->doubt || now_ms < c->retry_at) {
		*ret_next = c->trusted ? now_ms + RETRY_MS : NEVER;
		return false;
	}
	for (unsigned i = 0; i < hooks->n; i++) {
		struct hook *h = &hooks->list[(hooks->turn + i) % hooks->n];
		struct waiting *w = due_of(h, max, now_ms, ret_next);
		if (!w)
			continue;
		*ret = (struct hook_due){.seq = w->seq, .hook = h->kept.row.id, .allow_private = h->kept.row.settings.allow_private};
		memcpy(ret->url, h->kept.row.settings.url, sizeof(ret->url));
		memcpy(ret->secret, h->kept.row.settings.secret, sizeof(ret->secret));
		if (store_delivery_seq(c->store, w->seq, due_fill, ret)) {
			w->due_ms = now_ms + RETRY_MS; /* the database cannot be read now */
			*ret_next = w->due_ms;
			return false;
		}
		w->sending = true;
		h->sending++;
		hooks->turn = (hooks->turn + i + 1) % hooks->n;
		return true;
	}
	return false;
}

static void record_copy(void *self, const struct delivery_record *d)
{
	struct delivery_record *to = self;
	*to = *d;
	to->row.body = NULL; /* it ends with the row */
}

static int suspend(struct controller *c, struct hook *h, const char *why)
{
	struct audit_detail detail = {0};
	h->kept.suspended = true;
	log_warning("webhook %s is suspended: %s", h->kept.row.settings.name, why);
	audit_detail_text(&detail, "name", h->kept.row.settings.name);
	audit_detail_text(&detail, "reason", why);
	return audit_note(c, "webhook.suspend", 0, 0, audit_detail_end(&detail));
}

/* Once more later, or never. */
static int fail(struct controller *c, struct hook *h, struct delivery_record *d, const struct hook_outcome *o)
{
	uint64_t now = network_time(c), after = o->retry_after_s < HOOK_RETRY_AFTER_S ? o->retry_after_s : HOOK_RETRY_AFTER_S;
	c->hooks->figures.attempts_failed++;
	if (!h->kept.failing) {
		h->kept.failing = now ? now : 1;
		h->kept.row.failing_wall_s = c->wall_s;
	}
	bool gone = o->status == 410;
	if (gone || d->row.attempts > HOOK_RETRIES) {
		d->row.state = DELIVERY_FAILED;
		c->hooks->figures.failed++;
	} else {
		uint64_t delay = random_about(c->hooks->retry_ms[d->row.attempts - 1]);
		delay = delay < after * 1000 ? after * 1000 : delay;
		d->due = now + (delay + 999) / 1000;
		waiting_find(h, d->row.seq)->due_ms = c->now_ms + delay;
	}
	if (h->kept.suspended) /* by another that was on its way beside this one: told already */
		return 0;
	if (gone)
		return suspend(c, h, "its receiver answered that it is gone (410)");
	return now >= h->kept.failing + HOOK_SUSPEND_S ? suspend(c, h, "it failed for three days") : 0;
}

static int outcome_write(struct controller *c, struct hook *h, struct delivery_record *d, const struct hook_outcome *o)
{
	bool good = o->status >= 200 && o->status < 300;
	int r = 0;
	d->row.attempts++;
	d->row.status = h->kept.row.last_status = o->status;
	d->row.ms = o->ms ? o->ms : 1;
	snprintf(d->row.error, sizeof(d->row.error), "%s", o->error ? o->error : "");
	memcpy(h->kept.row.last_error, d->row.error, sizeof(d->row.error));
	h->kept.row.last_wall_s = c->wall_s;
	if (good) {
		d->row.state = DELIVERY_DELIVERED;
		h->kept.failing = h->kept.row.failing_wall_s = 0;
		c->hooks->figures.delivered++;
	} else {
		r = fail(c, h, d, o);
	}
	d->ended = d->row.state == DELIVERY_WAITING ? 0 : network_time(c);
	if (!r)
		r = store_delivery_update(c->store, d);
	if (!r && d->row.state != DELIVERY_WAITING)
		r = store_delivery_forget(c->store, h->kept.row.id, HOOK_LOG_MAX);
	if (d->row.state != DELIVERY_WAITING)
		waiting_remove(h, d->row.seq);
	if (!r)
		r = hook_room(c, h);
	return r ? r : store_hook_put(c->store, &h->kept, false);
}

void controller_hook_done(struct controller *c, uint64_t seq, const struct hook_outcome *o, uint64_t now_ms, uint64_t wall_s)
{
	struct delivery_record d;
	struct hook *h = NULL;
	struct waiting *w = NULL;
	clock_advance(c, now_ms, wall_s);
	for (unsigned i = 0; i < c->hooks->n && !w; i++) {
		h = &c->hooks->list[i];
		w = waiting_find(h, seq);
	}
	if (!w || !w->sending) /* its hook is gone meanwhile */
		return;
	w->sending = false;
	w->due_ms = c->now_ms + RETRY_MS; /* unless it is written otherwise */
	h->sending--;
	c->hooks->news = true;
	if (!c->trusted || c->now_ms < c->retry_at)
		return;
	struct actor was = c->actor;
	c->actor = (struct actor){0};
	int r = store_delivery_seq(c->store, seq, record_copy, &d);
	if (!r)
		r = outcome_write(c, h, &d, o);
	c->actor = was;
	if (r) /* nothing of it is kept: it is sent again */
		turn_abort(c, r);
}

/* ---- turns -------------------------------------------------------------------------- */

void hooks_tick(struct controller *c)
{
	struct hooks *hooks = c->hooks;
	uint64_t now = network_time(c);
	if (hooks->doubt)
		hooks_reload(c);
	if (hooks->news && c->now_ms >= hooks->told_ms + NEWS_EVERY_MS) {
		hooks->news = false;
		hooks->told_ms = c->now_ms;
		change_note(c, CHANGE_WEBHOOK, 0, 0, false);
	}
	if (!c->trusted || hooks->doubt || c->now_ms < c->retry_at)
		return;
	lives_tick(c);
	if (c->now_ms >= hooks->purged_ms + PURGE_EVERY_MS && now > HOOK_LOG_S) {
		hooks->purged_ms = c->now_ms;
		store_delivery_purge(c->store, now - HOOK_LOG_S); /* a failure shows at the commit */
	}
}

uint64_t hooks_next(const struct controller *c)
{
	const struct hooks *hooks = c->hooks;
	uint64_t next = hooks->lives ? hooks->lives->next : NEVER;
	if (next != NEVER && next < c->retry_at)
		next = c->retry_at;
	if (hooks->news && hooks->told_ms + NEWS_EVERY_MS < next)
		next = hooks->told_ms + NEWS_EVERY_MS;
	return next;
}

void controller_hook_figures(const struct controller *c, struct hook_figures *ret)
{
	*ret = c->hooks->figures;
	for (unsigned i = 0; i < c->hooks->n; i++) {
		const struct hook *h = &c->hooks->list[i];
		ret->waiting += h->n;
		ret->sending += h->sending;
		ret->hooks[hook_state(h)]++;
	}
}
