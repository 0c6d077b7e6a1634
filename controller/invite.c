/* Theory of operation: invitations. The admin's side makes and ends them; a join that carries a proof takes a use of one.
 *
 * The proof is looked at here and only here, for whoever the rules of joining would let wait. Use, member row and audit entry are one
 * transaction of the turn, so after whatever crash there are all of them or none; and as an approved member's request never
 * comes here, the one who was let in may repeat itself for ever. That two cannot share one use is the UPDATE's doing.
 *
 * What runs out is found by two ordered indexes: invitations by their end, ephemeral members by when they have been away for too
 * long. Being away is written once when the session ends; a controller that was down itself counts from its own start, so that
 * nobody goes for its absence. */
#include "controller/invite.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "controller/audit.h"
#include "controller/state.h"
#include "controller/store_invite.h"
#include "proto/random.h"

#define ENDED_PER_TURN 64

const char *invite_state_name(enum invite_state state)
{
	static const char *const names[] = {"open", "spent", "expired", "revoked"};
	return (unsigned)state < sizeof(names) / sizeof(*names) ? names[state] : "?";
}

/* What people see: how long it still lives, and whether it does. */
static void show(const struct controller *c, struct invite_row *i)
{
	uint64_t now = network_time(c);
	if (i->state == INVITE_OPEN && i->expires && i->expires <= now)
		i->state = INVITE_EXPIRED;
	i->expires_in_s = i->expires > now ? i->expires - now : 0;
	i->expires_wall_s = i->expires_in_s ? c->wall_s + i->expires_in_s : 0;
}

/* ---- the admin's side --------------------------------------------------------------- */

static enum admin_status terms_check(const struct invite_terms *t, uint64_t expires_in_s, struct admin_error *error)
{
	if (t->name[0] && !policy_name(t->name)) {
		admin_error_set(error, "Not a name", "Give up to 63 bytes of text.", "The name is too long or has control characters.");
		return ADMIN_INVALID;
	}
	if (t->uses > INVITE_USES_MAX || expires_in_s > INVITE_LIFE_MAX_S || t->ephemeral_s > INVITE_LIFE_MAX_S ||
	    (t->ephemeral_s && t->ephemeral_s < EPHEMERAL_MIN_S)) {
		admin_error_set(error, "Out of range", "At most 1000000 uses and a hundred years; ephemeral from 10 seconds on.",
		                "Uses, lifetime or time offline cannot be that.");
		return ADMIN_INVALID;
	}
	if ((t->flags_on & t->flags_off) || ((t->flags_on | t->flags_off) & ~(uint32_t)MEMBER_FLAGS)) {
		admin_error_set(error, "Not a set of rights", "Each right is on or off; `farlan help member set` names them.",
		                "A right is unknown, or both on and off.");
		return ADMIN_INVALID;
	}
	return ADMIN_OK;
}

static enum admin_status unreadable(int r, struct admin_error *error)
{
	admin_error_set(error, "The database cannot be read", "Try again; see the log.", "%s.", strerror(-r));
	return ADMIN_UNAVAILABLE;
}

static enum admin_status room_make(struct controller *c, uint64_t nwid, struct admin_error *error)
{
	uint32_t n = 0;
	bool gone = true;
	int r = store_invite_count(c->store, nwid, &n);
	if (!r && n >= INVITES_MAX)
		r = store_invite_evict(c->store, nwid, &gone);
	if (r)
		return admin_commit(c, r, error);
	if (gone)
		return ADMIN_OK;
	admin_error_set(error, "Too many invitations", "Revoke some, or give one of them more uses.",
	                "The network has %d invitations that are open, which is the most it can have.", INVITES_MAX);
	return ADMIN_CONFLICT;
}

static int created(struct controller *c, const struct invite_row *i, const uint8_t public[32])
{
	struct audit_detail detail = {0};
	char id[INVITE_ID_TEXT];
	invite_id_format(i->id, id);
	audit_detail_text(&detail, "invite", id);
	audit_detail_text(&detail, "name", i->terms.name);
	audit_detail_count(&detail, "uses", i->terms.uses);
	audit_detail_count(&detail, "ephemeral", i->terms.ephemeral_s);
	for (unsigned k = 0; k < i->terms.tags.n; k++)
		audit_detail_text(&detail, "tag", i->terms.tags.tag[k]);
	int r = store_invite_insert(c->store, i, public);
	return r ? r : audit_note(c, "invite.create", i->nwid, 0, audit_detail_end(&detail));
}

enum admin_status controller_invite_create(struct controller *c, uint64_t nwid, const struct invite_terms *terms, uint64_t expires_in_s,
                                           struct invite_key *ret_key, struct invite_row *ret, struct admin_error *error)
{
	struct network_record network;
	struct invite_key key;
	uint8_t public[32];
	enum admin_status status = admin_begin(c, error);
	if (!status)
		status = admin_network(c, nwid, &network, NULL, error);
	if (!status)
		status = terms_check(terms, expires_in_s, error);
	if (!status)
		status = room_make(c, nwid, error);
	if (status)
		return status;
	invite_draw(&key);
	invite_public(key.seed, public);
	struct invite_row i = {.id = key.id, .nwid = nwid, .terms = *terms, .created_wall_s = c->wall_s};
	i.expires = expires_in_s ? network_time(c) + expires_in_s : 0;
	snprintf(i.created_by, sizeof(i.created_by), "%s", c->actor.name);
	status = admin_commit(c, created(c, &i, public), error);
	if (!status)
		status = controller_invite_get(c, nwid, key.id, &i, error);
	if (!status) {
		change_note(c, CHANGE_INVITE, nwid, 0, false);
		if (i.expires && i.expires < c->invites_due)
			c->invites_due = i.expires;
		*ret = i;
		*ret_key = key;
	}
	wipe(&key, sizeof(key));
	return status;
}

enum admin_status controller_invite_get(struct controller *c, uint64_t nwid, uint64_t id, struct invite_row *ret, struct admin_error *error)
{
	char text[INVITE_ID_TEXT];
	int r = store_invite_get(c->store, nwid, id, ret, NULL);
	if (!r) {
		show(c, ret);
		return ADMIN_OK;
	}
	if (r != -ENOENT)
		return unreadable(r, error);
	invite_id_format(id, text);
	admin_error_set(error, "No such invitation", "farlan invite list shows them.", "Network %016" PRIx64 " has no invitation %s.", nwid,
	                text);
	return ADMIN_NOT_FOUND;
}

static int ended(struct controller *c, uint64_t nwid, uint64_t id, enum invite_state state, const char *action)
{
	struct audit_detail detail = {0};
	char text[INVITE_ID_TEXT];
	invite_id_format(id, text);
	audit_detail_text(&detail, "invite", text);
	int r = store_invite_end(c->store, id, state);
	if (!r)
		r = audit_note(c, action, nwid, 0, audit_detail_end(&detail));
	change_note(c, CHANGE_INVITE, nwid, 0, false);
	return r;
}

enum admin_status controller_invite_revoke(struct controller *c, uint64_t nwid, uint64_t id, struct invite_row *ret,
                                           struct admin_error *error)
{
	struct invite_row i;
	enum admin_status status = admin_begin(c, error);
	if (!status)
		status = controller_invite_get(c, nwid, id, &i, error);
	if (!status && i.state == INVITE_OPEN)
		status = admin_commit(c, ended(c, nwid, id, INVITE_REVOKED, "invite.revoke"), error);
	return status ? status : controller_invite_get(c, nwid, id, ret, error);
}

struct showing {
	struct controller *c;
	void (*each)(void *, const struct invite_row *);
	void *self;
};

static void show_one(void *self, const struct invite_row *i)
{
	struct showing *s = self;
	struct invite_row shown = *i;
	show(s->c, &shown);
	s->each(s->self, &shown);
}

enum admin_status controller_invite_each(struct controller *c, uint64_t nwid, void (*each)(void *, const struct invite_row *), void *self,
                                         struct admin_error *error)
{
	struct network_record network;
	struct showing s = {.c = c, .each = each, .self = self};
	enum admin_status status = admin_network(c, nwid, &network, NULL, error);
	if (status)
		return status;
	int r = store_invite_each(c->store, nwid, show_one, &s);
	return r ? unreadable(r, error) : ADMIN_OK;
}

/* ---- who comes by one --------------------------------------------------------------- */

bool invite_spend(struct controller *c, const struct body_join_req *req, const uint8_t key_hash[KEY_HASH_BYTES], const uint8_t *exporter,
                  struct invite_row *ret)
{
	uint8_t public[32];
	struct invite_row i;
	bool taken = false;
	if (!exporter || store_invite_get(c->store, req->nwid, req->invite, &i, public))
		return false;
	show(c, &i);
	if (i.state != INVITE_OPEN || !invite_verify(public, exporter, req->nwid, key_hash, req->proof))
		return false;
	if (store_invite_take(c->store, req->nwid, req->invite, network_time(c), &taken) || !taken)
		return false;
	*ret = i;
	return true;
}

int invite_unspend(struct controller *c, const struct invite_row *i)
{
	return i->terms.uses ? store_invite_give(c->store, i->id) : 0;
}

void invite_grant(const struct invite_row *i, struct member_record *m)
{
	m->invite = i->id;
	m->ephemeral = i->terms.ephemeral_s;
	policy_flags_set(&m->flags_on, &m->flags_off, i->terms.flags_on, i->terms.flags_off);
	for (unsigned k = 0; k < i->terms.tags.n; k++)
		tags_add(&m->tags, i->terms.tags.tag[k]);
}

int invite_spent(struct controller *c, const struct invite_row *i, uint64_t address)
{
	struct audit_detail detail = {0};
	char id[INVITE_ID_TEXT];
	invite_id_format(i->id, id);
	audit_detail_text(&detail, "invite", id);
	if (i->terms.name[0])
		audit_detail_text(&detail, "name", i->terms.name);
	int r = audit_note(c, "invite.spend", i->nwid, address, audit_detail_end(&detail));
	change_note(c, CHANGE_INVITE, i->nwid, 0, false);
	return r;
}

/* ---- what runs out ------------------------------------------------------------------ */

void invite_online(struct controller *c, const struct member_record *m, bool online)
{
	uint64_t now = network_time(c);
	if (!c->trusted || !m->ephemeral || store_member_away(c->store, m->id, online ? 0 : now ? now : 1))
		return;
	if (!online && now + m->ephemeral < c->invites_due)
		c->invites_due = now + m->ephemeral;
}

static bool is_online(const struct controller *c, const struct member_record *m)
{
	const struct presence *who = presence_find(c, m->identity.key_hash);
	return who && who->online;
}

int invite_watch(struct controller *c, const struct member_record *m)
{
	uint64_t now = network_time(c);
	int r = store_member_away(c->store, m->id, 0);
	if (!r && !is_online(c, m))
		r = store_member_away(c->store, m->id, now ? now : 1);
	c->invites_due = 0;
	return r;
}

/* Who left in a turn that was undone will not leave again. */
static int left_again(struct controller *c)
{
	uint64_t rows[ENDED_PER_TURN], after = 0, now = network_time(c);
	unsigned n = ENDED_PER_TURN;
	struct member_record m;
	int r = 0;
	while (!r && n == ENDED_PER_TURN) {
		r = store_members_here(c->store, after, rows, ENDED_PER_TURN, &n);
		for (unsigned i = 0; !r && i < n; i++) {
			r = store_member_id(c->store, rows[i], &m);
			if (!r && !is_online(c, &m))
				r = store_member_away(c->store, rows[i], now ? now : 1);
			after = rows[i];
		}
	}
	return r;
}

void invites_open(struct controller *c)
{
	uint64_t now = network_time(c);
	if (c->trusted)
		store_members_away(c->store, now ? now : 1); /* a failure breaks the first turn and shows there */
}

/* It leaves as if the admin had deleted it. */
static int member_gone(struct controller *c, uint64_t row)
{
	struct member_record was, will;
	struct audit_detail detail = {0};
	int r = store_member_id(c->store, row, &was);
	struct publication *p = r ? NULL : publication_find(c, was.nwid);
	const struct presence *who = r ? NULL : presence_find(c, was.identity.key_hash);
	if (r || !p)
		return r;
	if (is_online(c, &was))
		return store_member_away(c->store, row, 0);
	will = was;
	will.state = MEMBER_REVOKED;
	will.n_ips = 0;
	audit_detail_text(&detail, "name", was.name[0] ? was.name : was.hostname);
	r = member_write(c, p, &was, &will);
	if (!r)
		r = store_member_delete(c->store, row);
	if (!r) /* it comes back when somebody types the join again, and not by polling */
		r = store_departed_put(c->store, was.nwid, was.identity.key_hash,
		                       who && who->asked_nwid == was.nwid ? who->asked : was.asked, network_time(c));
	if (!r)
		r = audit_note(c, "member.ephemeral", was.nwid, was.address, audit_detail_end(&detail));
	groups_forget(p, was.address);
	change_note(c, CHANGE_MEMBER, was.nwid, was.address, true);
	return r;
}

static uint64_t run_out(struct controller *c, uint64_t now)
{
	struct invite_due over[ENDED_PER_TURN];
	uint64_t rows[ENDED_PER_TURN], next = UINT64_MAX, next_gone = UINT64_MAX;
	unsigned n = 0, n_gone = 0;
	int r = store_invite_expired(c->store, now, over, ENDED_PER_TURN, &n, &next);
	for (unsigned i = 0; !r && i < n; i++)
		r = ended(c, over[i].nwid, over[i].id, INVITE_EXPIRED, "invite.expire");
	if (!r)
		r = store_members_gone(c->store, now, rows, ENDED_PER_TURN, &n_gone, &next_gone);
	for (unsigned i = 0; !r && i < n_gone; i++)
		r = member_gone(c, rows[i]);
	return next_gone < next ? next_gone : next;
}

void invites_tick(struct controller *c)
{
	uint64_t now = network_time(c);
	if (!c->trusted || now < c->invites_due || c->now_ms < c->retry_at)
		return;
	struct actor actor = c->actor;
	c->actor = (struct actor){.name = "controller"}; /* nobody asked for this */
	if (c->left_lost)
		c->left_lost = left_again(c);
	c->invites_due = run_out(c, now);
	c->actor = actor;
}

uint64_t invites_next(const struct controller *c)
{
	uint64_t now = network_time(c);
	if (c->invites_due == UINT64_MAX)
		return NEVER;
	return c->now_ms + (c->invites_due > now ? (c->invites_due - now) * 1000 : 1000);
}
