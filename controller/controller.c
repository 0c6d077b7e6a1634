/* Theory of operation: opening, the clock without a clock, and the end of a turn.
 *
 * Requests (request.c) and edits (network.c, member.c) change rows and queue letters. controller_settle() then goes through
 * one fixed order: reserve (HEAD versions, the ceiling of network time), commit, sign (publication.c), send. A failed commit
 * undoes the turn's rows, makes its conditional letters TRY_LATER and leaves everything signed before in force.
 *
 * Network time counts running seconds from the persisted ceiling. It never passes the ceiling: when that cannot be moved
 * (a full disk) time stands, and when it can again time goes on from there, so that nothing expires for the failure.
 */
#include "controller/controller.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controller/edit.h"
#include "controller/hook.h"
#include "proto/base/log.h"

uint64_t network_time(const struct controller *c)
{
	uint64_t t = c->time_base + (c->now_ms - c->time_start_ms) / 1000;
	return t < c->ceiling ? t : c->ceiling;
}

void clock_advance(struct controller *c, uint64_t now_ms, uint64_t wall_s)
{
	if (now_ms > c->now_ms)
		c->now_ms = now_ms;
	c->wall_s = wall_s;
	if (c->time_base + (c->now_ms - c->time_start_ms) / 1000 > c->ceiling) {
		c->time_base = c->ceiling;
		c->time_start_ms = c->now_ms;
	}
}

static const char *failure_text(int r)
{
	switch (r) {
	case -ENOSPC: return "the disk of the database is full; make room";
	case -EROFS: return "the database cannot be written; check its permissions and whether the disk is mounted read-only";
	case -EBADMSG: return "the database is damaged; stop the controller and put the last backup in its place";
	case -EBUSY: return "another program holds the database locked; end it";
	default: return "the database cannot be written; see the log of the system for errors of the disk";
	}
}

static void failed(struct controller *c, int r)
{
	if (!c->retry_at)
		log_error("controller: %s (%s)", failure_text(r), strerror(-r));
	if (c->trusted)
		snprintf(c->health, sizeof(c->health), "%s", failure_text(r));
	c->retry_at = c->now_ms + RETRY_MS;
}

void turn_recovered(struct controller *c)
{
	if (c->retry_at)
		log_notice("controller: the database can be written again");
	if (c->trusted)
		snprintf(c->health, sizeof(c->health), "ok");
	c->retry_at = 0;
}

void turn_abort(struct controller *c, int r)
{
	store_rollback(c->store);
	c->ends_known = false;
	c->invites_due = 0;
	c->left_lost = true;
	letters_settle(c, false);
	publications_reload(c);
	hooks_reload(c);
	failed(c, r);
}

int turn_commit(struct controller *c)
{
	if (!store_changed(c->store))
		return 0;
	int r = store_commit(c->store);
	if (r) {
		turn_abort(c, r);
		return r;
	}
	letters_settle(c, true);
	turn_recovered(c);
	return 0;
}

/* The ceiling asked for in this turn, or 0. */
static uint64_t ceiling_reserve(struct controller *c)
{
	uint64_t now = network_time(c);
	if (now + CEILING_EARLY_S < c->ceiling || c->now_ms < c->retry_at)
		return 0;
	store_ceiling_set(c->store, now + CEILING_S); /* a failure breaks the turn and shows at the commit */
	return now + CEILING_S;
}

static uint64_t deadline(const struct controller *c)
{
	if (!c->trusted)
		return NEVER;
	uint64_t next = publications_next(c), again = pushes_next(c);
	uint64_t ends = members_end_next(c);
	if (again < next)
		next = again;
	if (ends < next)
		next = ends < c->retry_at ? c->retry_at : ends;
	uint64_t invites = invites_next(c);
	if (invites < next)
		next = invites < c->retry_at ? c->retry_at : invites;
	uint64_t hooks = hooks_next(c);
	if (hooks < next)
		next = hooks;
	if (c->traffic_due < next)
		next = c->traffic_due;
	uint64_t left = c->ceiling - network_time(c);
	uint64_t at = c->now_ms + (left > CEILING_EARLY_S ? (left - CEILING_EARLY_S) * 1000 : 0);
	if (at < c->retry_at)
		at = c->retry_at;
	return at < next ? at : next;
}

uint64_t controller_settle(struct controller *c, uint64_t now_ms, uint64_t wall_s)
{
	struct effects ended = {0};
	uint64_t ceiling = 0;
	clock_advance(c, now_ms, wall_s);
	c->actor = (struct actor){0}; /* what happens from here on nobody asked for */
	presences_silent(c);
	members_end(c, &ended);
	invites_tick(c);
	hooks_tick(c);
	if (c->trusted) {
		publications_prepare(c);
		ceiling = ceiling_reserve(c);
	}
	int r = turn_commit(c);
	if (!r && ceiling)
		c->ceiling = ceiling;
	if (!r)
		effects_run(c, &ended);
	effects_fini(&ended);
	publications_refresh(c);
	if (c->trusted)
		publications_issue(c);
	pushes_repeat(c);
	letters_send(c);
	publications_push(c);
	traffic_settle(c);
	changes_emit(c);
	return deadline(c);
}

/* ---- opening ------------------------------------------------------------------------ */

static void load(void *self, const struct network_record *n)
{
	publication_add(self, n);
}

int controller_open(struct controller **ret, const char *dir, const struct secret *self, const struct controller_port *port,
                    uint64_t now_ms, uint64_t wall_s, const char **ret_why)
{
	char path[4096] = ":memory:";
	const char *why = "out of memory";
	uint64_t revision;
	int r = -ENOMEM;
	struct controller *c = calloc(1, sizeof(*c));
	if (!c)
		goto out;
	c->self = *self;
	c->port = *port;
	c->now_ms = c->opened_ms = c->time_start_ms = now_ms;
	c->wall_s = wall_s;
	c->traffic_due = now_ms + CEILING_EARLY_S * 1000; /* there may be something to sweep */
	c->trusted = true;
	c->limits = (struct controller_limits){.members = MEMBERS_DEFAULT, .pending = PENDING_MAX};
	snprintf(c->health, sizeof(c->health), "ok");
	if (strcmp(dir, ":memory:")) {
		if (!(c->dir = strdup(dir)))
			goto out;
		if (snprintf(path, sizeof(path), "%s/controller.db", dir) >= (int)sizeof(path)) {
			why = "the path of the home folder is too long";
			r = -ENAMETOOLONG;
			goto out;
		}
	}
	r = store_open(&c->store, path, self->self.key_hash, &why);
	if (!r) {
		why = "the database cannot be read; check the disk";
		r = store_ceiling(c->store, &c->ceiling, &revision);
		c->time_base = c->ceiling;
	}
	if (!r)
		r = store_network_each(c->store, load, c);
	if (!r)
		r = accounts_load(c);
	if (!r)
		r = hooks_load(c);
	if (!r)
		r = watermark_check(c, &why);
	if (!r && !c->trusted) {
		snprintf(c->health, sizeof(c->health), "%s", why);
		log_error("controller: %s", why);
	}
	if (!r)
		invites_open(c);
out:
	if (r) {
		if (ret_why)
			*ret_why = why;
		if (c)
			c->trusted = false; /* what did not open does not sign */
		controller_close(c);
		return r;
	}
	*ret = c;
	return 0;
}

void controller_close(struct controller *c)
{
	if (!c)
		return;
	if (c->store)
		controller_settle(c, c->now_ms, c->wall_s);
	if (c->store)
		traffic_close(c);
	for (unsigned i = 0; i < c->n_publications; i++)
		publication_free(c->publications[i]);
	presences_free(c);
	accounts_free(c);
	hooks_free(c);
	store_close(c->store);
	free(c->letters);
	free(c->pushes);
	free(c->dir);
	secret_fini(&c->self);
	free(c);
}

/* ---- who is there ------------------------------------------------------------------- */

bool controller_knows(const struct controller *c, const uint8_t key_hash[KEY_HASH_BYTES])
{
	uint64_t nwid;
	unsigned n = 0;
	return !store_member_networks(c->store, key_hash, &nwid, 1, &n) && n == 1;
}

void controller_online(struct controller *c, const uint8_t key_hash[KEY_HASH_BYTES], bool online, uint64_t now_ms, uint64_t wall_s)
{
	uint64_t nwids[KEY_NETWORKS_MAX];
	struct member_record m;
	unsigned n = 0;
	clock_advance(c, now_ms, wall_s);
	struct presence *who = online ? presence_note(c, key_hash) : presence_find(c, key_hash);
	if (who)
		who->silent = false;
	if (!who || who->online == online)
		return;
	enum report_kind was_link = who->link;
	who->online = online;
	who->reports = false;
	who->heard = c->now_ms;
	who->link = LINK_NONE;
	who->rtt_us = 0;
	if (!online)
		pushes_forget(c, key_hash);
	if (store_member_networks(c->store, key_hash, nwids, KEY_NETWORKS_MAX, &n))
		return;
	for (unsigned i = 0; i < n; i++) {
		struct publication *p = publication_find(c, nwids[i]);
		if (p)
			change_note(c, CHANGE_NETWORK, nwids[i], 0, false); /* its count of those online */
		if (!p || store_member_get(c->store, nwids[i], key_hash, &m))
			continue;
		change_note(c, CHANGE_LIVE, nwids[i], m.address, false);
		hook_live(c, nwids[i], m.address, key_hash, !online, was_link);
		invite_online(c, &m, online);
		if (online && m.state == MEMBER_APPROVED)
			publication_push_one(c, p, key_hash);
		if (c->trusted && c->wall_s >= m.last_seen_wall_s + SEEN_EVERY_S)
			store_member_seen(c->store, m.id, c->wall_s);
	}
}

const char *controller_health(const struct controller *c)
{
	return c->health;
}

void controller_limits_set(struct controller *c, const struct controller_limits *limits)
{
	if (limits->members)
		c->limits.members = limits->members < MEMBERS_MAX ? limits->members : MEMBERS_MAX;
	if (limits->pending)
		c->limits.pending = limits->pending;
	if (limits->joins)
		c->limits.joins = limits->joins;
}
