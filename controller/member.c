/* Theory of operation: the admin's edits of members. Every edit reads the row, changes a copy, and hands both to
 * member_write(), the one place that knows what a change costs: a new serial when the credential changes, a REVLIST entry in
 * the same transaction when anything is taken away, and the leases. Checks come before the first write. The member concerned
 * is told at the end of the turn, everybody else by the next HEAD. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controller/state.h"

const char *member_state_name(enum member_state state)
{
	switch (state) {
	case MEMBER_PENDING: return "pending";
	case MEMBER_APPROVED: return "approved";
	case MEMBER_DENIED: return "denied";
	case MEMBER_REVOKED: return "revoked";
	}
	return "?";
}

/* ---- writing ------------------------------------------------------------------------ */

static bool ips_same(const struct member_record *a, const struct member_record *b)
{
	return a->n_ips == b->n_ips && !memcmp(a->ips, b->ips, a->n_ips * sizeof(*a->ips));
}

static int leases_write(struct controller *c, const struct member_record *was, const struct member_record *m)
{
	if (ips_same(was, m))
		return 0;
	int r = was->n_ips ? store_lease_free(c->store, m->id, network_time(c)) : 0;
	for (unsigned i = 0; !r && i < m->n_ips; i++) {
		struct lease l = {.bits = m->ips[i].bits, .member = m->id};
		memcpy(l.ip, m->ips[i].ip, 4);
		r = store_lease_put(c->store, m->nwid, &l);
	}
	return r;
}

int member_write(struct controller *c, struct publication *p, const struct member_record *was, struct member_record *m)
{
	bool had = was->state == MEMBER_APPROVED, has = m->state == MEMBER_APPROVED;
	bool takes = had && (!has || policy_takes(was->ips, was->n_ips, policy_flags(was->flags_on, was->flags_off), m->ips, m->n_ips,
	                                          policy_flags(m->flags_on, m->flags_off)));
	int r = had || has ? publication_serial(c, p, &m->serial) : 0;
	if (!r && takes) /* whatever was issued before this serial is dead when its longest life is over */
		r = store_revoke(c->store, m->nwid, m->identity.key_hash, m->serial, network_time(c) + HARD_TTL_S);
	if (!r)
		r = leases_write(c, was, m);
	if (!r)
		r = store_member_update(c->store, m);
	if (!r && (had || has))
		r = publication_touch(c, p, takes);
	return r;
}

bool member_approved(struct controller *c, uint64_t nwid, const uint8_t key_hash[KEY_HASH_BYTES])
{
	struct member_record m;
	return !store_member_get(c->store, nwid, key_hash, &m) && m.state == MEMBER_APPROVED;
}

static int address_give(struct controller *c, const struct network_record *n, struct member_record *m)
{
	struct lease *leases = NULL;
	size_t n_leases = 0;
	uint8_t ip[4];
	if (m->n_ips || !n->pool.family)
		return 0;
	int r = store_leases(c->store, n->nwid, &leases, &n_leases);
	if (r)
		return r;
	if (policy_address(&n->pool, leases, n_leases, network_time(c), ip)) {
		m->ips[0] = (struct prefix){.family = 4, .bits = n->pool.bits};
		memcpy(m->ips[0].ip, ip, 4);
		m->n_ips = 1;
	} else {
		r = -EADDRNOTAVAIL;
	}
	free(leases);
	return r;
}

int member_admit(struct controller *c, struct publication *p, const struct network_record *n, const struct member_record *was,
                 struct member_record *m)
{
	int r = address_give(c, n, m);
	if (!r && network_time(c) > ADDRESS_REST_S) /* tidy: what has rested is as good as never used */
		r = store_lease_expire(c->store, n->nwid, network_time(c) - ADDRESS_REST_S);
	return r ? r : member_write(c, p, was, m);
}

/* ---- finding ------------------------------------------------------------------------ */

struct edit {
	struct network_record network;
	struct publication *publication;
	struct member_record was, will;
};

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

static enum admin_status admin_member(struct controller *c, uint64_t nwid, uint64_t member, struct edit *e, struct admin_error *error)
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

static enum admin_status edit_begin(struct controller *c, uint64_t nwid, uint64_t member, struct edit *e, struct admin_error *error)
{
	enum admin_status status = admin_begin(c, error);
	return status ? status : admin_member(c, nwid, member, e, error);
}

static void tell(struct controller *c, const struct edit *e, enum join_status answer)
{
	push_decision(c, e->will.identity.key_hash, e->will.nwid, answer);
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

static enum admin_status ip_take(struct controller *c, struct edit *e, struct prefix ip, struct admin_error *error)
{
	struct lease *leases = NULL;
	struct member_record holder;
	size_t n = 0;
	uint64_t taken = 0;
	if (ip.bits == 0)
		ip.bits = e->network.pool.bits;
	if (ip.family != 4 || !e->network.pool.family || ip.bits != e->network.pool.bits || !policy_pool_host(&e->network.pool, ip.ip))
		return ip_refuse(e, &ip, error);
	int r = store_leases(c->store, e->network.nwid, &leases, &n);
	for (size_t i = 0; !r && i < n; i++)
		if (!memcmp(leases[i].ip, ip.ip, 4) && leases[i].member != e->will.id)
			taken = leases[i].member;
	free(leases);
	if (!r && taken)
		r = store_member_id(c->store, taken, &holder);
	if (r) {
		admin_error_set(error, "The database cannot be read", "Try again; see the log.", "%s.", strerror(-r));
		return ADMIN_UNAVAILABLE;
	}
	if (taken) {
		char text[24];
		prefix_format(&ip, text, sizeof(text));
		admin_error_set(error, "The address is in use", "Choose another address, or delete that member first.",
		                "%s belongs to %010" PRIx64 " (%s, %s).", text, holder.address,
		                holder.name[0] ? holder.name : holder.hostname, member_state_name(holder.state));
		return ADMIN_CONFLICT;
	}
	memset(ip.ip + 4, 0, sizeof(ip.ip) - 4);
	e->will.ips[0] = ip;
	e->will.n_ips = 1;
	return ADMIN_OK;
}

static enum admin_status settings_take(struct controller *c, struct edit *e, const struct member_settings *s, struct admin_error *error)
{
	if (!s)
		return ADMIN_OK;
	if (s->set & SET_MEMBER_NAME) {
		if (s->name[0] && !policy_name(s->name)) {
			admin_error_set(error, "Not a name", "Give up to 63 bytes of text.",
			                "The name is too long or has control characters.");
			return ADMIN_INVALID;
		}
		memcpy(e->will.name, s->name, sizeof(e->will.name));
	}
	if (s->set & SET_MEMBER_FLAGS) {
		if ((s->flags_on & s->flags_off) || ((s->flags_on | s->flags_off) & ~(uint32_t)MEMBER_FLAGS)) {
			admin_error_set(error, "Not a set of rights", "Each right is on or off; `farlan help member set` names them.",
			                "A right is unknown, or both on and off.");
			return ADMIN_INVALID;
		}
		policy_flags_set(&e->will.flags_on, &e->will.flags_off, s->flags_on, s->flags_off);
	}
	if (s->set & SET_MEMBER_IP) {
		if (e->will.state != MEMBER_APPROVED) {
			admin_error_set(error, "Not an approved member",
			                "Give the address with the approval: farlan member approve NWID MEMBER --ip ADDR",
			                "The member is %s, so it holds no address.", member_state_name(e->will.state));
			return ADMIN_CONFLICT;
		}
		return ip_take(c, e, s->ip, error);
	}
	return ADMIN_OK;
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

static bool row_same(const struct edit *e)
{
	return e->was.state == e->will.state && e->was.flags_on == e->will.flags_on && e->was.flags_off == e->will.flags_off &&
	       ips_same(&e->was, &e->will) && !strcmp(e->was.name, e->will.name);
}

/* ---- the edits ---------------------------------------------------------------------- */

static enum admin_status may_approve(struct controller *c, const struct edit *e, struct admin_error *error)
{
	uint32_t approved = 0, revocations = 0;
	int r = store_network_count(c->store, e->network.nwid, MEMBER_APPROVED, &approved);
	if (!r)
		r = store_revocation_count(c->store, e->network.nwid, &revocations);
	if (r) {
		admin_error_set(error, "The database cannot be read", "Try again; see the log.", "%s.", strerror(-r));
		return ADMIN_UNAVAILABLE;
	}
	const char *why = policy_full(approved, revocations);
	if (why) {
		admin_error_set(error, "The network is full", "A network has at most 1000 approved members.", "%s.", why);
		return ADMIN_CONFLICT;
	}
	return ADMIN_OK;
}

enum admin_status controller_member_approve(struct controller *c, uint64_t nwid, uint64_t member, const struct member_settings *settings,
                                            struct admin_error *error)
{
	struct edit e;
	enum admin_status status = edit_begin(c, nwid, member, &e, error);
	if (!status && e.was.state != MEMBER_APPROVED)
		status = may_approve(c, &e, error);
	if (status)
		return status;
	e.will.state = MEMBER_APPROVED;
	status = settings_take(c, &e, settings, error);
	if (!status)
		status = may_bridge(&e, error);
	if (status)
		return status;
	int r = row_same(&e) ? 0 : member_admit(c, e.publication, &e.network, &e.was, &e.will);
	if (r == -EADDRNOTAVAIL) {
		char pool[24];
		prefix_format(&e.network.pool, pool, sizeof(pool));
		admin_error_set(error, "The pool is exhausted", "Delete members that are gone, or give the network a larger pool.",
		                "Every address of %s is in use.", pool);
		return ADMIN_CONFLICT;
	}
	status = admin_commit(c, r, error);
	if (!status)
		tell(c, &e, JOIN_OK);
	return status;
}

static enum admin_status turn_out(struct controller *c, uint64_t nwid, uint64_t member, enum member_state state, struct admin_error *error)
{
	struct edit e;
	enum admin_status status = edit_begin(c, nwid, member, &e, error);
	if (status || e.was.state == state)
		return status;
	e.will.state = state; /* it keeps its address until it is deleted: an approval may come back */
	status = admin_commit(c, member_write(c, e.publication, &e.was, &e.will), error);
	if (status)
		return status;
	groups_forget(e.publication, member);
	tell(c, &e, JOIN_DENIED);
	return ADMIN_OK;
}

enum admin_status controller_member_deny(struct controller *c, uint64_t nwid, uint64_t member, struct admin_error *error)
{
	return turn_out(c, nwid, member, MEMBER_DENIED, error);
}

enum admin_status controller_member_revoke(struct controller *c, uint64_t nwid, uint64_t member, struct admin_error *error)
{
	return turn_out(c, nwid, member, MEMBER_REVOKED, error);
}

enum admin_status controller_member_delete(struct controller *c, uint64_t nwid, uint64_t member, struct admin_error *error)
{
	struct edit e;
	enum admin_status status = edit_begin(c, nwid, member, &e, error);
	if (status)
		return status;
	bool was_in = e.was.state == MEMBER_APPROVED;
	e.will.state = MEMBER_REVOKED;
	e.will.n_ips = 0;
	int r = member_write(c, e.publication, &e.was, &e.will);
	if (!r)
		r = store_member_delete(c->store, e.was.id);
	status = admin_commit(c, r, error);
	if (status)
		return status;
	groups_forget(e.publication, member);
	if (was_in)
		tell(c, &e, JOIN_DENIED);
	return ADMIN_OK;
}

enum admin_status controller_member_set(struct controller *c, uint64_t nwid, uint64_t member, const struct member_settings *settings,
                                        struct admin_error *error)
{
	struct edit e;
	enum admin_status status = edit_begin(c, nwid, member, &e, error);
	if (!status)
		status = settings_take(c, &e, settings, error);
	if (!status && settings && settings->flags_on & MEMBER_BRIDGE)
		status = may_bridge(&e, error);
	if (status || row_same(&e))
		return status;
	status = admin_commit(c, member_write(c, e.publication, &e.was, &e.will), error);
	if (!status && e.will.state == MEMBER_APPROVED)
		tell(c, &e, JOIN_OK);
	return status;
}

/* ---- reading ------------------------------------------------------------------------ */

static void member_show(const struct controller *c, const struct member_record *m, struct member_row *ret)
{
	const struct presence *who = presence_find(c, m->identity.key_hash);
	*ret = (struct member_row){.nwid = m->nwid,
	                           .address = m->address,
	                           .state = m->state,
	                           .n_ips = m->n_ips,
	                           .flags = policy_flags(m->flags_on, m->flags_off),
	                           .revision = m->revision,
	                           .first_seen_wall_s = m->first_seen_wall_s,
	                           .last_seen_wall_s = m->last_seen_wall_s,
	                           .serial = m->serial};
	memcpy(ret->key_hash, m->identity.key_hash, KEY_HASH_BYTES);
	memcpy(ret->name, m->name[0] ? m->name : m->hostname, sizeof(ret->name));
	memcpy(ret->hostname, m->hostname, sizeof(ret->hostname));
	memcpy(ret->os, m->os, sizeof(ret->os));
	memcpy(ret->version, m->version, sizeof(ret->version));
	memcpy(ret->ips, m->ips, sizeof(ret->ips));
	if (who) {
		ret->online = who->online;
		ret->physical = who->physical;
	}
	if (ret->online)
		ret->last_seen_wall_s = c->wall_s;
}

enum admin_status controller_member_get(struct controller *c, uint64_t nwid, uint64_t member, struct member_row *ret,
                                        struct admin_error *error)
{
	struct edit e;
	enum admin_status status = admin_member(c, nwid, member, &e, error);
	if (!status)
		member_show(c, &e.was, ret);
	return status;
}

struct showing {
	const struct controller *c;
	void (*each)(void *, const struct member_row *);
	void *self;
};

static void show_member(void *self, const struct member_record *m)
{
	struct showing *s = self;
	struct member_row row;
	member_show(s->c, m, &row);
	s->each(s->self, &row);
}

enum admin_status controller_member_each(struct controller *c, uint64_t nwid, void (*each)(void *, const struct member_row *), void *self,
                                         struct admin_error *error)
{
	struct network_record n;
	struct showing s = {.c = c, .each = each, .self = self};
	enum admin_status status = admin_network(c, nwid, &n, NULL, error);
	if (status)
		return status;
	int r = store_member_each(c->store, nwid, show_member, &s);
	if (r) {
		admin_error_set(error, "The database cannot be read", "Try again; see the log.", "%s.", strerror(-r));
		return ADMIN_UNAVAILABLE;
	}
	return ADMIN_OK;
}
