/* Theory of operation: webhooks as the admin makes them. Everything is judged here but what an address resolves to, which only who
 * sends can know. What an URL says behind its host may be a secret of the receiver's, so the audit tells the origin alone. */
#include "controller/hook.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controller/hook_parts.h"
#include "proto/random.h"

#define SECRET_BYTES 32

const char *hook_state_name(enum hook_state state)
{
	static const char *const names[] = {
	    [HOOK_OK] = "ok", [HOOK_FAILING] = "failing", [HOOK_OFF] = "off", [HOOK_SUSPENDED] = "suspended"};
	return names[state];
}

const char *delivery_state_name(enum delivery_state state)
{
	static const char *const names[] = {
	    [DELIVERY_WAITING] = "waiting", [DELIVERY_DELIVERED] = "delivered", [DELIVERY_FAILED] = "failed"};
	return names[state];
}

/* ---- who is told what --------------------------------------------------------------- */

static bool event_fits(const char *pattern, const char *event)
{
	size_t n = strlen(pattern);
	if (!strcmp(pattern, "*"))
		return true;
	if (n > 2 && !strcmp(pattern + n - 2, ".*"))
		return !strncmp(pattern, event, n - 1); /* with the dot */
	return !strcmp(pattern, event);
}

bool hook_takes(const struct hook *h, const char *event, uint64_t nwid)
{
	const struct hook_settings *s = &h->kept.row.settings;
	bool network = !s->n_networks, fits = false;
	for (unsigned i = 0; i < s->n_networks && !network; i++)
		network = s->networks[i] == nwid;
	for (unsigned i = 0; i < s->n_events && network && !fits; i++)
		fits = event_fits(s->events[i], event);
	return s->enabled && !h->kept.suspended && fits;
}

bool hooks_take(const struct hooks *hooks, const char *event, uint64_t nwid)
{
	for (unsigned i = 0; i < hooks->n; i++)
		if (hook_takes(&hooks->list[i], event, nwid))
			return true;
	return false;
}

/* ---- judging ------------------------------------------------------------------------ */

/* What events begin with: a pattern of another group would never be told anything. */
static const char *const groups[] = {"network", "member", "invite", "preapproval", "user", "token", "backup", "controller", "webhook"};

static bool pattern_good(const char *p)
{
	size_t n = strlen(p), group = strcspn(p, ".");
	if (!strcmp(p, "*"))
		return true;
	if (n >= AUDIT_ACTION_MAX || p[group] != '.' || group + 1 == n)
		return false;
	const char *rest = p + group + 1;
	if (strcmp(rest, "*") != 0 &&
	    (strspn(rest, "abcdefghijklmnopqrstuvwxyz0123456789-.") != strlen(rest) || rest[strlen(rest) - 1] == '.'))
		return false;
	for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++)
		if (strlen(groups[i]) == group && !strncmp(p, groups[i], group))
			return true;
	return false;
}

/* Up to the end of host and port; 0: not an URL we send to. */
static size_t origin_of(const char *url)
{
	size_t scheme = !strncmp(url, "https://", 8) ? 8 : !strncmp(url, "http://", 7) ? 7 : 0;
	size_t host = scheme ? strcspn(url + scheme, "/?#") : 0;
	return host && !memchr(url + scheme, '@', host) ? scheme + host : 0;
}

static bool url_good(const char *url)
{
	if (!origin_of(url) || strchr(url, '#'))
		return false;
	for (const char *at = url; *at; at++)
		if (*at <= ' ' || *at > '~' || *at == '\\' || *at == '"')
			return false;
	return true;
}

static enum admin_status wrong(struct admin_error *error, const char *title, const char *hint, const char *detail)
{
	admin_error_set(error, title, hint, "%s", detail);
	return ADMIN_INVALID;
}

static enum admin_status judge(const struct hook_settings *s, struct admin_error *error)
{
	bool printable = true;
	for (const char *at = s->secret; *at; at++)
		printable = printable && *at > ' ' && *at <= '~';
	if (s->set & SET_HOOK_NAME && !s->name[0])
		return wrong(error, "A webhook needs a name", "Such as who receives it.", "The name is empty.");
	if (s->set & SET_HOOK_URL && !url_good(s->url))
		return wrong(error, "Not an URL for a webhook",
		             "Like https://example.net/farlan; receivers verify the signature instead of a password.",
		             "It begins with http:// or https:// and has neither user and password nor a fragment.");
	if (s->set & SET_HOOK_EVENTS && !s->n_events)
		return wrong(error, "No events", "Give [\"*\"] for all.", "A webhook is told of one kind of event at least.");
	for (unsigned i = 0; s->set & SET_HOOK_EVENTS && i < s->n_events; i++)
		if (!pattern_good(s->events[i])) {
			admin_error_set(error, "No such event",
			                "Like member.approve, member.* or *; groups are network, member, invite, preapproval, user, token, "
			                "backup, controller and webhook.",
			                "\"%.47s\" fits no event.", s->events[i]);
			return ADMIN_INVALID;
		}
	if (s->set & SET_HOOK_SECRET && (strlen(s->secret) < HOOK_SECRET_MIN || !printable))
		return wrong(error, "Not a secret", "Leave it out: a good one is made.",
		             "A secret is 16 to 64 printable characters without blanks.");
	return ADMIN_OK;
}

static bool name_taken(const struct hooks *hooks, const char *name, uint64_t but)
{
	for (unsigned i = 0; i < hooks->n; i++)
		if (hooks->list[i].kept.row.id != but && !strcmp(hooks->list[i].kept.row.settings.name, name))
			return true;
	return false;
}

static enum admin_status taken(struct admin_error *error)
{
	admin_error_set(error, "The name is taken", "Choose another.", "There is a webhook of that name.");
	return ADMIN_CONFLICT;
}

/* The head of what an admin does with one hook. */
static enum admin_status begin(struct controller *c, uint64_t id, struct hook **ret, struct admin_error *error)
{
	enum admin_status status = admin_begin(c, error);
	if (status)
		return status;
	if (c->hooks->doubt)
		return admin_unavailable(c, error, -ENOMEM);
	*ret = hook_find(c->hooks, id);
	if (*ret || !id)
		return ADMIN_OK;
	admin_error_set(error, "No such webhook", "farlan webhook list shows them.", "There is no webhook %016" PRIx64 ".", id);
	return ADMIN_NOT_FOUND;
}

/* ---- the audit ---------------------------------------------------------------------- */

static const char *origin_text(const char *url, char ret[256])
{
	snprintf(ret, 256, "%.*s", (int)origin_of(url), url);
	return ret;
}

static const char *events_text(const struct hook_settings *s, char ret[512])
{
	size_t at = 0;
	*ret = '\0';
	for (unsigned i = 0; i < s->n_events && at < 512; i++)
		at += (size_t)snprintf(ret + at, 512 - at, "%s%s", i ? " " : "", s->events[i]);
	return ret;
}

static int act_audit(struct controller *c, const char *action, const struct hook_settings *was, const struct hook_settings *will)
{
	struct audit_detail d = {0};
	char a[512], b[512];
	audit_detail_text(&d, "name", will->name);
	if (was) {
		audit_detail_change(&d, "new_name", was->name, will->name);
		audit_detail_change(&d, "receiver", origin_text(was->url, a), origin_text(will->url, b));
		if (strcmp(was->url, will->url) != 0)
			audit_detail_text(&d, "url", "changed");
		audit_detail_change(&d, "events", events_text(was, a), events_text(will, b));
		audit_detail_change_count(&d, "networks", was->n_networks, will->n_networks);
		audit_detail_change_count(&d, "enabled", was->enabled, will->enabled);
		audit_detail_change_count(&d, "allow_private", was->allow_private, will->allow_private);
	} else {
		audit_detail_text(&d, "receiver", origin_text(will->url, a));
	}
	return audit_note(c, action, 0, 0, audit_detail_end(&d));
}

/* ---- the acts ----------------------------------------------------------------------- */

static void secret_make(char ret[HOOK_SECRET_MAX + 1])
{
	uint8_t bytes[SECRET_BYTES];
	random_bytes(bytes, sizeof(bytes));
	for (unsigned i = 0; i < SECRET_BYTES; i++)
		snprintf(ret + 2 * i, 3, "%02x", bytes[i]);
	wipe(bytes, sizeof(bytes));
}

enum admin_status controller_hook_create(struct controller *c, const struct hook_settings *settings, uint64_t *ret_id,
                                         char ret_secret[HOOK_SECRET_MAX + 1], struct admin_error *error)
{
	struct hook_record fresh = {.row = {.settings = *settings, .created_wall_s = c->wall_s}};
	struct hook_settings *s = &fresh.row.settings;
	struct hook *none;
	enum admin_status status = begin(c, 0, &none, error);
	if (status)
		return status;
	s->set |= SET_HOOK_NAME | SET_HOOK_URL | SET_HOOK_EVENTS;
	status = judge(s, error);
	if (status)
		return status;
	if (c->hooks->n == HOOKS_MAX) {
		admin_error_set(error, "Too many webhooks", "Delete one first: farlan webhook delete ID", "There are at most %d.",
		                HOOKS_MAX);
		return ADMIN_CONFLICT;
	}
	if (name_taken(c->hooks, s->name, 0))
		return taken(error);
	if (!(s->set & SET_HOOK_SECRET))
		secret_make(s->secret);
	s->enabled = !(s->set & SET_HOOK_ENABLED) || s->enabled;
	while (!fresh.row.id || hook_find(c->hooks, fresh.row.id))
		random_bytes(&fresh.row.id, sizeof(fresh.row.id));
	snprintf(fresh.row.creator, sizeof(fresh.row.creator), "%s", c->actor.name);
	int r = store_hook_put(c->store, &fresh, true);
	if (!r) {
		c->hooks->list[c->hooks->n++] = (struct hook){.kept = fresh}; /* it is told of itself, if it asks for that */
		r = act_audit(c, "webhook.create", NULL, s);
	}
	status = admin_commit(c, r, error); /* a failure makes the list anew */
	if (!status) {
		change_note(c, CHANGE_WEBHOOK, 0, 0, false);
		*ret_id = fresh.row.id;
		memcpy(ret_secret, s->secret, HOOK_SECRET_MAX + 1);
	}
	wipe(s->secret, sizeof(s->secret));
	return status;
}

static void settings_merge(struct hook_settings *to, const struct hook_settings *from)
{
	if (from->set & SET_HOOK_NAME)
		memcpy(to->name, from->name, sizeof(to->name));
	if (from->set & SET_HOOK_URL)
		memcpy(to->url, from->url, sizeof(to->url));
	if (from->set & SET_HOOK_EVENTS) {
		memcpy(to->events, from->events, sizeof(to->events));
		to->n_events = from->n_events;
	}
	if (from->set & SET_HOOK_NETWORKS) {
		memcpy(to->networks, from->networks, sizeof(to->networks));
		to->n_networks = from->n_networks;
	}
	if (from->set & SET_HOOK_ENABLED)
		to->enabled = from->enabled;
	if (from->set & SET_HOOK_PRIVATE)
		to->allow_private = from->allow_private;
}

enum admin_status controller_hook_set(struct controller *c, uint64_t id, const struct hook_settings *settings, struct admin_error *error)
{
	struct hook *h = NULL;
	enum admin_status status = begin(c, id, &h, error);
	if (!status)
		status = judge(settings, error);
	if (status)
		return status;
	if (settings->set & SET_HOOK_NAME && name_taken(c->hooks, settings->name, id))
		return taken(error);
	struct hook_settings was = h->kept.row.settings;
	settings_merge(&h->kept.row.settings, settings);
	if (settings->set & SET_HOOK_ENABLED && settings->enabled) { /* as if it had never failed */
		h->kept.suspended = false;
		h->kept.failing = h->kept.row.failing_wall_s = 0;
	}
	int r = store_hook_put(c->store, &h->kept, true);
	if (!r && settings->set & SET_HOOK_ENABLED && settings->enabled)
		r = hook_hurry(c, h);
	if (!r)
		r = act_audit(c, "webhook.set", &was, &h->kept.row.settings);
	wipe(was.secret, sizeof(was.secret));
	status = admin_commit(c, r, error);
	if (!status)
		change_note(c, CHANGE_WEBHOOK, 0, 0, false);
	return status;
}

enum admin_status controller_hook_secret(struct controller *c, uint64_t id, char ret[HOOK_SECRET_MAX + 1], struct admin_error *error)
{
	struct hook *h = NULL;
	enum admin_status status = begin(c, id, &h, error);
	if (status)
		return status;
	secret_make(h->kept.row.settings.secret);
	int r = store_hook_put(c->store, &h->kept, true);
	if (!r)
		r = act_audit(c, "webhook.secret", NULL, &h->kept.row.settings);
	status = admin_commit(c, r, error);
	if (!status)
		memcpy(ret, h->kept.row.settings.secret, HOOK_SECRET_MAX + 1);
	return status;
}

enum admin_status controller_hook_delete(struct controller *c, uint64_t id, struct admin_error *error)
{
	struct hook *h = NULL;
	enum admin_status status = begin(c, id, &h, error);
	if (status)
		return status;
	int r = store_hook_delete(c->store, id);
	h->kept.row.settings.enabled = false; /* nothing of its own end */
	if (!r)
		r = act_audit(c, "webhook.delete", NULL, &h->kept.row.settings);
	status = admin_commit(c, r, error);
	if (!status) {
		hooks_reload(c);
		change_note(c, CHANGE_WEBHOOK, 0, 0, true);
	}
	return status;
}

/* ---- reading ------------------------------------------------------------------------ */

static void show(const struct hook *h, struct hook_row *ret)
{
	*ret = h->kept.row;
	wipe(ret->settings.secret, sizeof(ret->settings.secret));
	ret->waiting = h->n;
	ret->state = hook_state(h);
}

enum admin_status controller_hook_get(struct controller *c, uint64_t id, struct hook_row *ret, struct admin_error *error)
{
	const struct hook *h = hook_find(c->hooks, id);
	if (!h) {
		admin_error_set(error, "No such webhook", "farlan webhook list shows them.", "There is no webhook %016" PRIx64 ".", id);
		return ADMIN_NOT_FOUND;
	}
	show(h, ret);
	return ADMIN_OK;
}

void controller_hook_each(struct controller *c, void (*each)(void *, const struct hook_row *), void *self)
{
	for (unsigned i = 0; i < c->hooks->n; i++) {
		struct hook_row row;
		show(&c->hooks->list[i], &row);
		each(self, &row);
	}
}

struct pools {
	struct prefix *list;
	unsigned n, room;
};

static bool pool_add(void *self, const struct prefix *pool)
{
	struct pools *pools = self;
	if (pools->n == pools->room)
		return true;
	pools->list[pools->n++] = *pool;
	return false;
}

int controller_hook_pools(struct controller *c, struct prefix **ret, unsigned *ret_n)
{
	struct pools pools = {.room = c->n_publications};
	if (pools.room && !(pools.list = calloc(pools.room, sizeof(*pools.list))))
		return -ENOMEM;
	int r = store_pools(c->store, pool_add, &pools);
	if (r) {
		free(pools.list);
		return r;
	}
	*ret = pools.list;
	*ret_n = pools.n;
	return 0;
}
