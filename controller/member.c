/* Theory of operation: what a change of a member's row costs. Whoever changes one (the admin, a join, time) makes a copy, changes
 * that, and hands both to member_write(), the one place that knows: a new serial when the credential changes, a REVLIST entry in the
 * same transaction when anything is taken away, and the leases. What the credential does not say costs a row and nothing else. */
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
	case MEMBER_BANNED: return "banned";
	case MEMBER_STATES: break;
	}
	return "?";
}

/* ---- writing ------------------------------------------------------------------------ */

static bool ips_same(const struct member_record *a, const struct member_record *b)
{
	return a->n_ips == b->n_ips && !memcmp(a->ips, b->ips, a->n_ips * sizeof(*a->ips));
}

static bool cred_same(const struct member_record *a, const struct member_record *b)
{
	return ips_same(a, b) && policy_flags(a->flags_on, a->flags_off) == policy_flags(b->flags_on, b->flags_off) &&
	       !strcmp(a->name[0] ? a->name : a->hostname, b->name[0] ? b->name : b->hostname);
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
	bool changes = had != has || (has && !cred_same(was, m));
	int r = changes ? publication_serial(c, p, &m->serial) : 0;
	if (!had && has)
		m->authorized_wall_s = c->wall_s;
	else if (m->state != was->state && m->state != MEMBER_PENDING)
		m->deauthorized_wall_s = c->wall_s;
	c->ends_known = false;
	directory_touch(&p->directory, m->id);
	if (!r && takes) /* whatever was issued before this serial is dead when its longest life is over */
		r = store_revoke(c->store, m->nwid, m->identity.key_hash, m->serial, network_time(c) + HARD_TTL_S);
	if (!r)
		r = leases_write(c, was, m);
	if (!r)
		r = store_member_update(c->store, m);
	if (!r && changes)
		r = publication_touch(c, p, takes);
	return r;
}

bool member_approved(struct controller *c, uint64_t nwid, const uint8_t key_hash[KEY_HASH_BYTES])
{
	struct member_record m;
	const struct publication *p = publication_find(c, nwid);
	int known = p ? directory_has(&p->directory, key_hash) : 0;
	if (known >= 0)
		return known;
	return !store_member_get(c->store, nwid, key_hash, &m) && m.state == MEMBER_APPROVED;
}

bool member_served(const struct network_record *n, const struct member_record *m)
{
	struct stretch s[RANGES_MAX];
	return n->auto_assign && m->auto_ip && policy_stretches(&n->pool, n->ranges, n->n_ranges, s);
}

static int address_give(struct controller *c, struct publication *p, const struct network_record *n, struct member_record *m)
{
	struct prefix ip = {.family = 4, .bits = n->pool.bits};
	if (m->n_ips || !member_served(n, m))
		return 0;
	int r = pool_give(c, p, n, ip.ip);
	if (r)
		return r;
	m->ips[0] = ip;
	m->n_ips = 1;
	return 0;
}

int member_admit(struct controller *c, struct publication *p, const struct network_record *n, const struct member_record *was,
                 struct member_record *m)
{
	int r = address_give(c, p, n, m);
	return r ? r : member_write(c, p, was, m);
}
