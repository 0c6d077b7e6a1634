/* Theory of operation: the admin's edits of members. Every edit finds the row, judges all that is asked against a copy, and only
 * then writes: so a refusal leaves nothing behind, and many members can be handled one after the other in a single transaction,
 * each for itself. What has to follow (telling the member, forgetting its groups) is noted and done when all is committed.
 * The member concerned is told at the end of the turn, everybody else by the next HEAD. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controller/edit.h"

/* ---- finding ------------------------------------------------------------------------ */

static enum admin_status unreadable(int r, struct admin_error *error)
{
	admin_error_set(error, "The database cannot be read", "Try again; see the log.", "%s.", strerror(-r));
	return ADMIN_UNAVAILABLE;
}

struct namesakes {
	uint64_t address;
	char text[160];
};

static void namesake(void *self, const struct member_record *m)
{
	struct namesakes *s = self;
	size_t at = strlen(s->text);
	if (m->address != s->address || at + 2 * KEY_HASH_BYTES + 2 > sizeof(s->text))
		return;
	s->text[at++] = ' ';
	for (unsigned i = 0; i < KEY_HASH_BYTES; i++, at += 2)
		snprintf(s->text + at, sizeof(s->text) - at, "%02x", m->identity.key_hash[i]);
}

enum admin_status edit_find(struct controller *c, uint64_t nwid, uint64_t member, struct edit *e, struct admin_error *error)
{
	unsigned n = 0;
	enum admin_status status = admin_network(c, nwid, &e->network, &e->publication, error);
	if (status)
		return status;
	int r = store_member_address(c->store, nwid, member, &e->was, &n);
	if (r == -ENOENT) {
		admin_error_set(error, "No such member", "It must ask first: run `farlan join` there, then see `farlan member list`.",
		                "Network %016" PRIx64 " knows no member %010" PRIx64 ".", nwid, member);
		return ADMIN_NOT_FOUND;
	}
	if (r) {
		admin_error_set(error, "The database cannot be read", "Try again; see the log.", "%s.", strerror(-r));
		return ADMIN_UNAVAILABLE;
	}
	if (n > 1) {
		struct namesakes s = {.address = member};
		store_member_each(c->store, nwid, namesake, &s);
		admin_error_set(error, "The address is not unique", "Make a new identity on the machine that came later.",
		                "%u members have the address %010" PRIx64 ":%s", n, member, s.text);
		return ADMIN_CONFLICT;
	}
	e->will = e->was;
	return ADMIN_OK;
}

/* ---- what follows ------------------------------------------------------------------- */

int effect_note(struct effects *fx, const struct member_record *m, bool gone, int answer)
{
	if (fx->n == fx->room) {
		size_t room = fx->room ? 2 * fx->room : 4;
		struct effect *more = realloc(fx->at, room * sizeof(*more));
		if (!more)
			return -ENOMEM;
		fx->at = more;
		fx->room = room;
	}
	struct effect *f = &fx->at[fx->n++];
	*f = (struct effect){
	    .nwid = m->nwid, .address = m->address, .gone = gone, .out = gone || m->state != MEMBER_APPROVED, .answer = answer};
	memcpy(f->key_hash, m->identity.key_hash, KEY_HASH_BYTES);
	return 0;
}

void effects_run(struct controller *c, const struct effects *fx)
{
	for (size_t i = 0; i < fx->n; i++) {
		const struct effect *f = &fx->at[i];
		struct publication *p = publication_find(c, f->nwid);
		change_note(c, CHANGE_MEMBER, f->nwid, f->address, f->gone);
		change_note(c, CHANGE_NETWORK, f->nwid, 0, false);
		if (p && f->out)
			groups_forget(p, f->address);
		if (f->answer != EFFECT_SILENT)
			push_decision(c, f->key_hash, f->nwid, (enum join_status)f->answer);
	}
}

void effects_fini(struct effects *fx)
{
	free(fx->at);
	*fx = (struct effects){0};
}

static enum admin_status settle(struct controller *c, enum admin_status status, int r, struct effects *fx, struct admin_error *error)
{
	if (!status)
		status = admin_commit(c, r, error);
	if (!status)
		effects_run(c, fx);
	effects_fini(fx);
	return status;
}

/* ---- settings ----------------------------------------------------------------------- */

static enum admin_status ip_refuse(const struct edit *e, const struct prefix *ip, struct admin_error *error)
{
	char text[24], pool[24];
	prefix_format(ip, text, sizeof(text));
	prefix_format(&e->network.pool, pool, sizeof(pool));
	if (!e->network.pool.family)
		admin_error_set(error, "The network has no IPv4 pool", "Give it one: farlan network set NWID --ipv4 10.20.0.0/16",
		                "Fixed addresses come from the pool of the network.");
	else
		admin_error_set(error, "Not an address of the pool", "Choose a host address inside the pool, not its first or last.",
		                "%s does not fit the pool %s.", text, pool);
	return ADMIN_INVALID;
}

static enum admin_status ip_in_use(struct controller *c, const struct prefix *ip, uint64_t taken, struct admin_error *error)
{
	struct member_record holder;
	char text[24];
	int r = store_member_id(c->store, taken, &holder);
	if (r)
		return unreadable(r, error);
	prefix_format(ip, text, sizeof(text));
	admin_error_set(error, "The address is in use", "Choose another address, or delete that member first.",
	                "%s belongs to %010" PRIx64 " (%s, %s).", text, holder.address, holder.name[0] ? holder.name : holder.hostname,
	                member_state_name(holder.state));
	return ADMIN_CONFLICT;
}

static enum admin_status ip_take(struct controller *c, struct edit *e, struct prefix ip, struct admin_error *error)
{
	struct lease lease = {0};
	if (ip.bits == 0)
		ip.bits = e->network.pool.bits;
	if (ip.family != 4 || !e->network.pool.family || ip.bits != e->network.pool.bits || !policy_pool_host(&e->network.pool, ip.ip))
		return ip_refuse(e, &ip, error);
	int r = store_lease_get(c->store, e->network.nwid, ip.ip, &lease);
	if (r && r != -ENOENT)
		return unreadable(r, error);
	if (lease.member && lease.member != e->will.id)
		return ip_in_use(c, &ip, lease.member, error);
	memset(ip.ip + 4, 0, sizeof(ip.ip) - 4);
	unsigned at = e->will.n_ips;
	for (unsigned i = 0; i < at; i++)
		if (!memcmp(e->will.ips[i].ip, ip.ip, 4))
			return ADMIN_OK; /* named twice */
	for (; at && memcmp(e->will.ips[at - 1].ip, ip.ip, 4) > 0; at--)
		e->will.ips[at] = e->will.ips[at - 1];
	e->will.ips[at] = ip;
	e->will.n_ips++;
	return ADMIN_OK;
}

static enum admin_status ips_take(struct controller *c, struct edit *e, const struct member_settings *s, struct admin_error *error)
{
	unsigned n = s->set & SET_MEMBER_IP ? 1 : s->n_ips;
	enum admin_status status = ADMIN_OK;
	if (!n) { /* the pool's choice: one of those it has, or member_admit() finds one; for who is not in nothing is kept */
		bool keeps = e->will.state == MEMBER_APPROVED && member_served(&e->network, &e->will);
		e->will.n_ips = e->will.n_ips && keeps ? 1 : 0;
		return ADMIN_OK;
	}
	if (e->will.state == MEMBER_BANNED) {
		admin_error_set(error, "The member is banned", "farlan member unban NWID MEMBER",
		                "It is out of every network: no address is kept for it.");
		return ADMIN_CONFLICT;
	}
	e->will.n_ips = 0;
	for (unsigned i = 0; i < n && !status; i++)
		status = ip_take(c, e, s->ips[i], error);
	return status;
}

static enum admin_status invalid(struct admin_error *error, const char *title, const char *hint, const char *detail)
{
	admin_error_set(error, title, hint, "%s", detail);
	return ADMIN_INVALID;
}

enum admin_status settings_judge(const struct member_settings *s, struct admin_error *error)
{
	if (s->set & SET_MEMBER_NAME && s->name[0] && !policy_name(s->name))
		return invalid(error, "Not a name", "Give up to 63 bytes of text.", "The name is too long or has control characters.");
	if (s->set & SET_MEMBER_DESCRIPTION && s->description[0] && !policy_text(s->description, DESCRIPTION_MAX))
		return invalid(error, "Not a description", "Give up to 200 bytes of text.",
		               "The description is too long or has control characters.");
	if (s->set & SET_MEMBER_FLAGS && ((s->flags_on & s->flags_off) || ((s->flags_on | s->flags_off) & ~(uint32_t)MEMBER_FLAGS)))
		return invalid(error, "Not a set of rights", "Each right is on or off; `farlan help member set` names them.",
		               "A right is unknown, or both on and off.");
	if ((s->set & SET_MEMBER_EXPIRES && s->expires_s > EXPIRES_MAX) || (s->set & SET_MEMBER_EPHEMERAL && s->ephemeral_s > EXPIRES_MAX))
		return invalid(error, "Out of range", "Give less than a hundred years, or no end at all.", "The time is too long.");
	if ((s->set & SET_MEMBER_TAGS && s->tags.n > TAGS_MAX) || (s->set & SET_MEMBER_IPS && s->n_ips > CRED_IPS_MAX))
		return invalid(error, "Too many", "At most 16 tags and 8 addresses.", "A member cannot have so many.");
	return ADMIN_OK;
}

enum admin_status settings_take(struct controller *c, struct edit *e, const struct member_settings *s, struct admin_error *error)
{
	enum admin_status status = s ? settings_judge(s, error) : ADMIN_OK;
	if (status || !s)
		return status;
	struct member_record *m = &e->will;
	settings_put(s, m);
	if (s->set & SET_MEMBER_EPHEMERAL)
		m->ephemeral = s->ephemeral_s;
	if (s->set & SET_MEMBER_INVITE)
		m->invite = s->invite;
	if (s->set & SET_MEMBER_EXPIRES && s->expires_s && m->state != MEMBER_APPROVED) {
		admin_error_set(error, "Not an approved member",
		                "Say when it ends with the approval: farlan member approve NWID MEMBER --expires 30d",
		                "The member is %s: there is no approval that could end.", member_state_name(m->state));
		return ADMIN_CONFLICT;
	}
	if (s->set & SET_MEMBER_EXPIRES)
		m->expires = s->expires_s ? network_time(c) + s->expires_s : 0;
	return s->set & (SET_MEMBER_IP | SET_MEMBER_IPS) ? ips_take(c, e, s, error) : ADMIN_OK;
}

/* Hosts behind a bridge send full Ethernet frames and hear of no smaller MTU. Who bridges already is left alone. */
static enum admin_status may_bridge(const struct edit *e, struct admin_error *error)
{
	char hint[96];
	bool had = e->was.state == MEMBER_APPROVED && policy_flags(e->was.flags_on, e->was.flags_off) & MEMBER_BRIDGE;
	bool has = policy_flags(e->will.flags_on, e->will.flags_off) & MEMBER_BRIDGE;
	if (!has || had || e->network.mtu >= BRIDGE_MTU_MIN)
		return ADMIN_OK;
	snprintf(hint, sizeof(hint), "Raise it first: farlan network set %016" PRIx64 " --mtu %d", e->network.nwid, BRIDGE_MTU_MIN);
	admin_error_set(error, "The network's MTU is too small for a bridge", hint,
	                "Hosts behind a bridge send packets of %d bytes; the network carries %u.", BRIDGE_MTU_MIN, e->network.mtu);
	return ADMIN_CONFLICT;
}

/* ---- the audit ---------------------------------------------------------------------- */

static void ips_text(const struct member_record *m, char *ret, size_t room)
{
	char ip[24];
	size_t at = 0;
	*ret = '\0';
	for (unsigned i = 0; i < m->n_ips && at < room; i++) {
		prefix_format(&m->ips[i], ip, sizeof(ip));
		at += (size_t)snprintf(ret + at, room - at, "%s%s", i ? " " : "", ip);
	}
}

int edit_audit(struct controller *c, const struct edit *e, const char *action)
{
	const struct member_record *was = &e->was, *will = &e->will;
	struct audit_detail d = {0};
	char a[TAGS_TEXT], b[TAGS_TEXT];
	audit_detail_text(&d, "name", will->name[0] ? will->name : will->hostname);
	audit_detail_change(&d, "state", member_state_name(was->state), member_state_name(will->state));
	audit_detail_change(&d, "own_name", was->name, will->name);
	audit_detail_change(&d, "description", was->description, will->description);
	audit_detail_change(&d, "reason", was->reason, will->reason);
	tags_text(&was->tags, a);
	tags_text(&will->tags, b);
	audit_detail_change(&d, "tags", a, b);
	ips_text(was, a, sizeof(a));
	ips_text(will, b, sizeof(b));
	audit_detail_change(&d, "ips", a, b);
	audit_detail_change_count(&d, "flags", policy_flags(was->flags_on, was->flags_off), policy_flags(will->flags_on, will->flags_off));
	audit_detail_change_count(&d, "auto_ip", was->auto_ip, will->auto_ip);
	audit_detail_change_count(&d, "expires", was->expires, will->expires);
	audit_detail_change_count(&d, "ephemeral", was->ephemeral, will->ephemeral);
	return audit_note_member(c, action, will, audit_detail_end(&d));
}

/* ---- the acts ----------------------------------------------------------------------- */

enum act_kind { ACT_APPROVE, ACT_DENY, ACT_REVOKE, ACT_BAN, ACT_UNBAN, ACT_DELETE, ACT_SET, ACT_TAG };
struct act {
	enum act_kind kind;
	const struct member_settings *settings; /* NULL = none */
	const struct tags *tags;                /* ACT_TAG */
	const char *reason;                     /* NULL = none */
	bool undecided;                         /* nobody else */
};

static bool row_same(const struct edit *e)
{
	const struct member_record *a = &e->was, *b = &e->will;
	return a->state == b->state && a->flags_on == b->flags_on && a->flags_off == b->flags_off && a->n_ips == b->n_ips &&
	       !memcmp(a->ips, b->ips, a->n_ips * sizeof(*a->ips)) && !strcmp(a->name, b->name) &&
	       !strcmp(a->description, b->description) && !strcmp(a->reason, b->reason) && tags_same(&a->tags, &b->tags) &&
	       a->expires == b->expires && a->ephemeral == b->ephemeral && a->invite == b->invite && a->auto_ip == b->auto_ip;
}

static enum admin_status may_approve(struct controller *c, const struct edit *e, struct admin_error *error)
{
	uint32_t approved = 0, revocations = 0;
	int r = store_network_count(c->store, e->network.nwid, MEMBER_APPROVED, &approved);
	if (!r)
		r = store_revocation_count(c->store, e->network.nwid, &revocations);
	if (r)
		return unreadable(r, error);
	const char *why = policy_full(c->limits.members, approved, revocations);
	if (!why)
		return ADMIN_OK;
	admin_error_set(error, "The network is full", "Revoke or delete members that are gone; members-max of the controller is the limit.",
	                "%s (%u are approved).", why, approved);
	return ADMIN_CONFLICT;
}

static enum admin_status pool_exhausted(const struct edit *e, struct admin_error *error)
{
	char pool[24];
	prefix_format(&e->network.pool, pool, sizeof(pool));
	admin_error_set(error, "The pool is exhausted", "Delete members that are gone, or give the network a larger pool.",
	                "Every address %s %s is in use.", e->network.n_ranges ? "that the ranges leave of" : "of", pool);
	return ADMIN_CONFLICT;
}

static enum admin_status approve(struct controller *c, struct edit *e, const struct member_settings *s, struct admin_error *error)
{
	enum admin_status status = ADMIN_OK;
	if (e->was.state == MEMBER_BANNED) {
		admin_error_set(error, "The member is banned", "farlan member unban NWID MEMBER, then approve it.",
		                "%010" PRIx64 " is refused in every network of this controller.", e->was.address);
		return ADMIN_CONFLICT;
	}
	if (e->was.state != MEMBER_APPROVED)
		status = may_approve(c, e, error);
	e->will.state = MEMBER_APPROVED;
	memset(e->will.reason, 0, sizeof(e->will.reason));
	if (!status)
		status = settings_take(c, e, s, error);
	if (!status)
		status = may_bridge(e, error);
	if (status || row_same(e))
		return status;
	e->r = member_admit(c, e->publication, &e->network, &e->was, &e->will);
	if (e->r == -EADDRNOTAVAIL) {
		e->r = 0;
		return pool_exhausted(e, error);
	}
	if (!e->r && e->will.ephemeral && (e->was.state != MEMBER_APPROVED || e->was.ephemeral != e->will.ephemeral))
		e->r = invite_watch(c, &e->will);
	if (!e->r)
		e->r = edit_audit(c, e, "member.approve");
	if (!e->r)
		e->r = effect_note(e->fx, &e->will, false, JOIN_OK);
	return ADMIN_OK;
}

static enum admin_status change(struct controller *c, struct edit *e, const struct act *act, struct admin_error *error)
{
	enum admin_status status = settings_take(c, e, act->settings, error);
	if (!status && act->settings && act->settings->flags_on & MEMBER_BRIDGE)
		status = may_bridge(e, error);
	for (unsigned i = 0; !status && act->tags && i < act->tags->n; i++)
		if (!tags_add(&e->will.tags, act->tags->tag[i]))
			status = invalid(error, "Too many tags", "Take some away first.", "A member has at most 16 tags.");
	if (status || row_same(e))
		return status;
	e->r = e->will.state == MEMBER_APPROVED ? member_admit(c, e->publication, &e->network, &e->was, &e->will)
	                                        : member_write(c, e->publication, &e->was, &e->will);
	if (e->r == -EADDRNOTAVAIL) {
		e->r = 0;
		return pool_exhausted(e, error);
	}
	if (!e->r && e->will.ephemeral && e->was.ephemeral != e->will.ephemeral)
		e->r = invite_watch(c, &e->will);
	if (!e->r)
		e->r = edit_audit(c, e, "member.set");
	bool told = e->will.state == MEMBER_APPROVED && e->will.serial != e->was.serial;
	if (!e->r)
		e->r = effect_note(e->fx, &e->will, false, told ? JOIN_OK : EFFECT_SILENT);
	return ADMIN_OK;
}

void edit_out(struct controller *c, struct edit *e, enum member_state state, const char *reason, const char *action)
{
	e->will.state = state; /* it keeps its address until it is deleted: an approval may come back */
	e->will.expires = 0;
	memset(e->will.reason, 0, sizeof(e->will.reason));
	snprintf(e->will.reason, sizeof(e->will.reason), "%s", reason ? reason : "");
	if (row_same(e))
		return;
	e->r = member_write(c, e->publication, &e->was, &e->will);
	if (!e->r)
		e->r = edit_audit(c, e, action);
	if (!e->r)
		e->r = effect_note(e->fx, &e->will, false, state == MEMBER_PENDING ? JOIN_PENDING : JOIN_DENIED);
}

static enum admin_status out(struct controller *c, struct edit *e, enum member_state state, const char *reason, struct admin_error *error)
{
	static const char *const actions[MEMBER_STATES] = {[MEMBER_DENIED] = "member.deny", [MEMBER_REVOKED] = "member.revoke"};
	if (e->was.state == MEMBER_BANNED) {
		admin_error_set(error, "The member is banned", "farlan member unban NWID MEMBER", "It is out already, in every network.");
		return ADMIN_CONFLICT;
	}
	edit_out(c, e, state, reason, actions[state]);
	return ADMIN_OK;
}

/* Every row of the key goes along; network after network has its own documents. */
static void everywhere(struct controller *c, struct edit *e, enum member_state state, const char *reason, const char *action)
{
	uint64_t nwids[NETWORKS_MAX];
	unsigned n = 0;
	e->r = store_member_networks(c->store, e->was.identity.key_hash, nwids, NETWORKS_MAX, &n);
	for (unsigned i = 0; i < n && !e->r; i++) {
		struct edit other = {.fx = e->fx, .publication = publication_find(c, nwids[i])};
		e->r = other.publication ? store_member_get(c->store, nwids[i], e->was.identity.key_hash, &other.was) : 0;
		if (e->r || !other.publication || (state == MEMBER_PENDING && other.was.state != MEMBER_BANNED))
			continue;
		other.will = other.was;
		if (state == MEMBER_PENDING)
			other.will.seen = network_time(c);
		edit_out(c, &other, state, reason, action);
		e->r = other.r;
	}
}

static void ban(struct controller *c, struct edit *e, const char *reason)
{
	struct ban b = {.address = e->was.address};
	memcpy(b.key_hash, e->was.identity.key_hash, KEY_HASH_BYTES);
	snprintf(b.reason, sizeof(b.reason), "%s", reason ? reason : "");
	e->r = store_ban_put(c->store, &b);
	if (!e->r)
		everywhere(c, e, MEMBER_BANNED, reason, "member.ban");
}

static void unban(struct controller *c, struct edit *e)
{
	e->r = store_ban_delete(c->store, e->was.identity.key_hash);
	if (!e->r)
		everywhere(c, e, MEMBER_PENDING, NULL, "member.unban");
}

static enum admin_status erase(struct controller *c, struct edit *e, struct admin_error *error)
{
	const struct presence *who = presence_find(c, e->was.identity.key_hash);
	uint64_t asked = who && who->asked_nwid == e->was.nwid ? who->asked : e->was.asked;
	if (e->was.state == MEMBER_BANNED) {
		admin_error_set(error, "The member is banned", "farlan member unban NWID MEMBER, then delete it.",
		                "Without its row nobody would see that %010" PRIx64 " is kept out, and why.", e->was.address);
		return ADMIN_CONFLICT;
	}
	e->will.state = MEMBER_REVOKED;
	e->will.n_ips = 0;
	e->r = member_write(c, e->publication, &e->was, &e->will);
	if (!e->r)
		e->r = store_member_delete(c->store, e->was.id);
	if (!e->r)
		e->r = store_departed_put(c->store, e->was.nwid, e->was.identity.key_hash, asked, network_time(c));
	if (!e->r)
		e->r = edit_audit(c, e, "member.delete");
	if (!e->r)
		e->r = effect_note(e->fx, &e->will, true, JOIN_DENIED);
	return ADMIN_OK;
}

/* Judged and written, not committed. e->r: what failed in writing, which is for everybody in the transaction. */
static enum admin_status act_on(struct controller *c, struct edit *e, uint64_t nwid, uint64_t member, const struct act *act,
                                struct admin_error *error)
{
	enum admin_status status = edit_find(c, nwid, member, e, error);
	if (status)
		return status;
	if (act->reason && act->reason[0] && !policy_name(act->reason))
		return invalid(error, "Not a reason", "Give up to 63 bytes of text.", "The reason is too long or has control characters.");
	if (act->undecided && !member_undecided(e->was.state)) {
		admin_error_set(error, "It was decided", "Who may write the network can change it.",
		                "%010" PRIx64 " does not wait: it is %s.", e->was.address, member_state_name(e->was.state));
		return ADMIN_CONFLICT;
	}
	switch (act->kind) {
	case ACT_APPROVE: return approve(c, e, act->settings, error);
	case ACT_DENY: return out(c, e, MEMBER_DENIED, act->reason, error);
	case ACT_REVOKE: return out(c, e, MEMBER_REVOKED, act->reason, error);
	case ACT_BAN: ban(c, e, act->reason); break;
	case ACT_UNBAN: unban(c, e); break;
	case ACT_DELETE: return erase(c, e, error);
	case ACT_SET:
	case ACT_TAG: return change(c, e, act, error);
	}
	return ADMIN_OK;
}

static enum admin_status act_alone(struct controller *c, uint64_t nwid, uint64_t member, const struct act *act, struct admin_error *error)
{
	struct effects fx = {0};
	struct edit e = {.fx = &fx};
	enum admin_status status = admin_begin(c, error);
	if (!status)
		status = act_on(c, &e, nwid, member, act, error);
	return settle(c, status, e.r, &fx, error);
}

enum admin_status controller_member_approve(struct controller *c, uint64_t nwid, uint64_t member, const struct member_settings *settings,
                                            struct admin_error *error)
{
	return act_alone(c, nwid, member, &(struct act){.kind = ACT_APPROVE, .settings = settings}, error);
}

enum admin_status controller_member_deny(struct controller *c, uint64_t nwid, uint64_t member, const char *reason,
                                         struct admin_error *error)
{
	return act_alone(c, nwid, member, &(struct act){.kind = ACT_DENY, .reason = reason}, error);
}

enum admin_status controller_member_revoke(struct controller *c, uint64_t nwid, uint64_t member, const char *reason,
                                           struct admin_error *error)
{
	return act_alone(c, nwid, member, &(struct act){.kind = ACT_REVOKE, .reason = reason}, error);
}

enum admin_status controller_member_ban(struct controller *c, uint64_t nwid, uint64_t member, const char *reason, struct admin_error *error)
{
	return act_alone(c, nwid, member, &(struct act){.kind = ACT_BAN, .reason = reason}, error);
}

enum admin_status controller_member_unban(struct controller *c, uint64_t nwid, uint64_t member, struct admin_error *error)
{
	struct ban b;
	enum admin_status status = act_alone(c, nwid, member, &(struct act){.kind = ACT_UNBAN}, error);
	if (status != ADMIN_NOT_FOUND || store_ban_address(c->store, member, &b))
		return status;
	/* it has no row here, and perhaps nowhere: they go with their network */
	struct effects fx = {0};
	struct edit e = {.fx = &fx};
	memcpy(e.was.identity.key_hash, b.key_hash, KEY_HASH_BYTES);
	unban(c, &e);
	if (!e.r && !fx.n)
		e.r = audit_note(c, "member.unban", nwid, member, NULL);
	return settle(c, ADMIN_OK, e.r, &fx, error);
}

enum admin_status controller_member_delete(struct controller *c, uint64_t nwid, uint64_t member, struct admin_error *error)
{
	return act_alone(c, nwid, member, &(struct act){.kind = ACT_DELETE}, error);
}

enum admin_status controller_member_set(struct controller *c, uint64_t nwid, uint64_t member, const struct member_settings *settings,
                                        struct admin_error *error)
{
	return act_alone(c, nwid, member, &(struct act){.kind = ACT_SET, .settings = settings}, error);
}

/* ---- many at once ------------------------------------------------------------------- */

struct verdict {
	enum admin_status status;
	struct admin_error error;
};

enum admin_status controller_member_batch(struct controller *c, uint64_t nwid, const struct member_batch *b,
                                          void (*each)(void *, uint64_t member, enum admin_status, const struct admin_error *), void *self,
                                          struct admin_error *error)
{
	static const enum act_kind kinds[] = {[BATCH_APPROVE] = ACT_APPROVE, [BATCH_DENY] = ACT_DENY,     [BATCH_REVOKE] = ACT_REVOKE,
	                                      [BATCH_BAN] = ACT_BAN,         [BATCH_DELETE] = ACT_DELETE, [BATCH_TAG] = ACT_TAG};
	struct act act = {
	    .kind = kinds[b->action], .tags = b->action == BATCH_TAG ? &b->tags : NULL, .reason = b->reason, .undecided = b->undecided};
	struct effects fx = {0};
	struct network_record network;
	struct verdict *verdicts = NULL;
	int r = 0;
	enum admin_status status = admin_begin(c, error);
	if (!status)
		status = admin_network(c, nwid, &network, NULL, error);
	if (!status && (b->n > MEMBER_BATCH_MAX || !b->n))
		status = invalid(error, "Not a batch", "Name 1 to 1000 members at a time.", "There are none, or too many.");
	if (!status && !(verdicts = calloc(b->n, sizeof(*verdicts))))
		r = -ENOMEM;
	for (unsigned i = 0; i < b->n && !status && !r; i++) {
		struct edit e = {.fx = &fx};
		verdicts[i].status = act_on(c, &e, nwid, b->members[i], &act, &verdicts[i].error);
		r = e.r;
	}
	status = settle(c, status, r, &fx, error);
	for (unsigned i = 0; i < b->n && !status; i++)
		each(self, b->members[i], verdicts[i].status, &verdicts[i].error);
	free(verdicts);
	return status;
}
