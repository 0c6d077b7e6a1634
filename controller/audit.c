/* Theory of operation: one row for each act, within the transaction of the act itself, so that there is neither an act without
 * its entry nor an entry of what was not done. Who acts is set by whoever calls the controller; what the controller does of
 * its own (an approval that expires) is its own. Details are text made here, since jansson is no business of this floor: a
 * writer that escapes everything and remembers how it can still be closed. */
#include "controller/audit.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "controller/hook.h"
#include "controller/state.h"
#include "controller/store_audit.h"
#include "proto/base/log.h"

static int note(struct controller *c, const char *action, uint64_t nwid, uint64_t member, const struct member_record *row,
                const char *detail)
{
	struct audit_entry e = {.wall_s = c->wall_s, .time = network_time(c), .actor = c->actor, .nwid = nwid, .member = member};
	if (!e.actor.name[0])
		snprintf(e.actor.name, sizeof(e.actor.name), "controller");
	snprintf(e.action, sizeof(e.action), "%s", action);
	/* half an object is no object */
	if (detail && strlen(detail) < sizeof(e.detail))
		snprintf(e.detail, sizeof(e.detail), "%s", detail);
	int r = store_audit_append(c->store, &e);
	if (!r)
		change_note(c, CHANGE_AUDIT, nwid, member, false);
	return r ? r : hook_note(c, action, nwid, member, row, e.detail[0] ? e.detail : NULL);
}

int audit_note(struct controller *c, const char *action, uint64_t nwid, uint64_t member, const char *detail)
{
	return note(c, action, nwid, member, NULL, detail);
}

int audit_note_member(struct controller *c, const char *action, const struct member_record *row, const char *detail)
{
	return note(c, action, row->nwid, row->address, row, detail);
}

enum admin_status controller_act(struct controller *c, const char *action, const char *detail, struct admin_error *error)
{
	enum admin_status status = admin_begin(c, error);
	return status ? status : admin_commit(c, audit_note(c, action, 0, 0, detail), error);
}

enum admin_status controller_audit_each(struct controller *c, const struct audit_query *q, void (*each)(void *, const struct audit_entry *),
                                        void *self, uint64_t *ret_total, struct admin_error *error)
{
	uint64_t total = 0;
	int r = store_audit_count(c->store, q, &total);
	if (!r)
		r = store_audit_each(c->store, q, each, self);
	if (r) {
		admin_error_set(error, "The database cannot be read", "Try again; see the log.", "%s.", strerror(-r));
		return ADMIN_UNAVAILABLE;
	}
	*ret_total = total;
	return ADMIN_OK;
}

/* ---- details ------------------------------------------------------------------------ */

#define ENDING    ",\"cut\":true}" /* kept free at the end */
#define VALUE_MAX 1024             /* of one text, escaped */

/* A JSON string. false: it does not fit. */
static bool quoted(char *buf, size_t room, const char *text)
{
	char safe[VALUE_MAX];
	size_t n = 0;
	if (!text)
		return (size_t)snprintf(buf, room, "null") < room;
	log_text(safe, sizeof(safe), text, strlen(text)); /* no controls, nothing that is not UTF-8 */
	if (room < 3)
		return false;
	buf[n++] = '"';
	for (const char *at = safe; *at; at++) {
		if (n + 3 >= room)
			return false;
		if (*at == '"' || *at == '\\')
			buf[n++] = '\\';
		buf[n++] = *at;
	}
	buf[n++] = '"';
	buf[n] = '\0';
	return true;
}

static void field(struct audit_detail *d, const char *name, const char *value, bool fits)
{
	size_t room = sizeof(d->text) - sizeof(ENDING) - d->len;
	int n = fits ? snprintf(d->text + d->len, room, "%c\"%s\":%s", d->len ? ',' : '{', name, value) : -1;
	if (n < 0 || (size_t)n >= room) {
		d->text[d->len] = '\0';
		d->cut = true;
		return;
	}
	d->len += (size_t)n;
}

void audit_detail_text(struct audit_detail *d, const char *name, const char *value)
{
	char text[2 * VALUE_MAX] = "";
	field(d, name, text, quoted(text, sizeof(text), value));
}

void audit_detail_count(struct audit_detail *d, const char *name, uint64_t value)
{
	char text[24];
	snprintf(text, sizeof(text), "%" PRIu64, value);
	field(d, name, text, true);
}

void audit_detail_change(struct audit_detail *d, const char *name, const char *was, const char *now)
{
	char before[VALUE_MAX], after[VALUE_MAX], text[2 * VALUE_MAX + 32] = "";
	if (was == now || (was && now && !strcmp(was, now)))
		return;
	bool fits = quoted(before, sizeof(before), was) && quoted(after, sizeof(after), now);
	if (fits)
		snprintf(text, sizeof(text), "{\"was\":%s,\"now\":%s}", before, after);
	field(d, name, text, fits);
}

void audit_detail_change_count(struct audit_detail *d, const char *name, uint64_t was, uint64_t now)
{
	char text[80];
	snprintf(text, sizeof(text), "{\"was\":%" PRIu64 ",\"now\":%" PRIu64 "}", was, now);
	if (was != now)
		field(d, name, text, true);
}

const char *audit_detail_end(struct audit_detail *d)
{
	if (!d->len && !d->cut)
		return NULL;
	snprintf(d->text + d->len, sizeof(d->text) - d->len, "%s", !d->cut ? "}" : d->len ? ENDING : "{\"cut\":true}");
	return d->text;
}
