/* Theory of operation: deliveries as the admin sees them, and sends again: a test, what failed, what waits for its next attempt. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "controller/hook_parts.h"

static enum admin_status unreadable(struct admin_error *error, int r)
{
	admin_error_set(error, "The database cannot be read", "Try again; see the log.", "%s.", strerror(-r));
	return ADMIN_UNAVAILABLE;
}

static enum admin_status missing(struct admin_error *error, uint64_t hook, const uint64_t *delivery)
{
	if (delivery)
		admin_error_set(error, "No such delivery", "farlan webhook log shows them.", "There is no delivery %016" PRIx64 ".",
		                *delivery);
	else
		admin_error_set(error, "No such webhook", "farlan webhook list shows them.", "There is no webhook %016" PRIx64 ".", hook);
	return ADMIN_NOT_FOUND;
}

struct telling {
	struct controller *c;
	void (*each)(void *, const struct delivery_row *);
	void *self;
};

static void tell(void *self, const struct delivery_record *d)
{
	const struct telling *telling = self;
	struct delivery_row row = d->row;
	uint64_t due_ms;
	if (row.state == DELIVERY_WAITING && hook_due_ms(telling->c, row.hook, row.seq, &due_ms))
		row.next_wall_s = telling->c->wall_s + (due_ms > telling->c->now_ms ? (due_ms - telling->c->now_ms + 999) / 1000 : 0);
	telling->each(telling->self, &row);
}

enum admin_status controller_delivery_each(struct controller *c, uint64_t hook, unsigned states, uint64_t before, uint32_t limit,
                                           void (*each)(void *, const struct delivery_row *), void *self, uint64_t *ret_total,
                                           struct admin_error *error)
{
	struct telling telling = {.c = c, .each = each, .self = self};
	if (!hook_find(c->hooks, hook))
		return missing(error, hook, NULL);
	int r = store_delivery_count(c->store, hook, states, ret_total);
	if (!r)
		r = store_delivery_each(c->store, hook, states, before, limit, tell, &telling);
	return r ? unreadable(error, r) : ADMIN_OK;
}

enum admin_status controller_delivery_get(struct controller *c, uint64_t hook, uint64_t id,
                                          void (*each)(void *, const struct delivery_row *), void *self, struct admin_error *error)
{
	struct telling telling = {.c = c, .each = each, .self = self};
	int r = store_delivery_get(c->store, hook, id, tell, &telling);
	return r == -ENOENT ? missing(error, hook, &id) : r ? unreadable(error, r) : ADMIN_OK;
}

/* The hook by which something is to be sent now. */
static enum admin_status sending(struct controller *c, uint64_t id, struct hook **ret, struct admin_error *error)
{
	enum admin_status status = admin_begin(c, error);
	if (status)
		return status;
	*ret = hook_find(c->hooks, id);
	if (!*ret)
		return missing(error, id, NULL);
	if (!(*ret)->kept.row.settings.enabled || (*ret)->kept.suspended) {
		admin_error_set(error, "The webhook is off", "Switch it on first: farlan webhook set ID --enabled on",
		                "Nothing is sent while it is switched off or suspended.");
		return ADMIN_CONFLICT;
	}
	return c->hooks->doubt ? admin_unavailable(c, error, -ENOMEM) : ADMIN_OK;
}

static enum admin_status full(struct admin_error *error)
{
	admin_error_set(error, "The queue is full", "Wait until some of it is delivered.", "%d deliveries wait already.", HOOK_WAITING_MAX);
	return ADMIN_CONFLICT;
}

static void record_copy(void *self, const struct delivery_record *d)
{
	struct delivery_record *to = self;
	*to = *d;
	to->row.body = NULL;
}

enum admin_status controller_delivery_retry(struct controller *c, uint64_t hook, uint64_t id, struct admin_error *error)
{
	struct delivery_record d;
	struct hook *h;
	enum admin_status status = sending(c, hook, &h, error);
	if (status)
		return status;
	int r = store_delivery_get(c->store, hook, id, record_copy, &d);
	if (r)
		return r == -ENOENT ? missing(error, hook, &id) : unreadable(error, r);
	if (d.row.state != DELIVERY_WAITING && h->n >= HOOK_WAITING_MAX)
		return full(error);
	if (d.row.state != DELIVERY_WAITING)
		d.row.attempts = 0; /* all its retries anew */
	d.row.state = DELIVERY_WAITING;
	d.due = network_time(c);
	d.ended = 0;
	r = store_delivery_update(c->store, &d);
	if (!r)
		r = hook_again(c, h, d.row.seq, d.row.nwid);
	return admin_commit(c, r, error);
}

enum admin_status controller_hook_test(struct controller *c, uint64_t id, uint64_t *ret_id, struct admin_error *error)
{
	struct hook *h;
	uint64_t event = 0;
	enum admin_status status = sending(c, id, &h, error);
	if (status)
		return status;
	if (h->n >= HOOK_WAITING_MAX)
		return full(error);
	int r = hook_body(c, "webhook.test", 0, 0, NULL, NULL, &event);
	if (!r)
		r = hook_enqueue(c, h, event, "webhook.test", 0);
	status = admin_commit(c, r, error);
	if (!status)
		*ret_id = event;
	return status;
}
