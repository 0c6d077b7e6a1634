/* Theory of operation: an address the admin lets in before it asks. It is a row of its own, not a member: nothing is signed for it, and
 * of its addresses no more is held than that the pool does not give them (pool.c). When its owner asks, who has proven the work of that address, the row is spent in the same transaction
 * that makes the member. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "controller/edit.h"

static enum admin_status unreadable(int r, struct admin_error *error)
{
	admin_error_set(error, "The database cannot be read", "Try again; see the log.", "%s.", strerror(-r));
	return ADMIN_UNAVAILABLE;
}

static bool has(const struct member_settings *s, const struct prefix *ip)
{
	for (unsigned i = 0; i < s->n_ips; i++)
		if (!memcmp(s->ips[i].ip, ip->ip, 4))
			return true;
	return false;
}

/* What it was to have before is not judged again: the pool may have moved since, and may come back. */
static enum admin_status addresses_judge(const struct network_record *n, const struct member_settings *stood, struct member_settings *s,
                                         struct admin_error *error)
{
	for (unsigned i = 0; i < s->n_ips; i++) {
		struct prefix *ip = &s->ips[i];
		bool stands = ip->family == 4 && has(stood, ip);
		if (!ip->bits || (stands && policy_pool_host(&n->pool, ip->ip)))
			ip->bits = n->pool.bits;
		if (stands)
			continue;
		if (!n->pool.family || ip->family != 4 || ip->bits != n->pool.bits || !policy_pool_host(&n->pool, ip->ip)) {
			admin_error_set(error, "Not an address of the pool",
			                "Choose a host address inside the pool, not its first or last.",
			                "An address does not fit the pool of the network.");
			return ADMIN_INVALID;
		}
	}
	return ADMIN_OK;
}

static enum admin_status may_preapprove(struct controller *c, uint64_t nwid, uint64_t address, struct admin_error *error)
{
	struct member_record m;
	struct ban b;
	unsigned n = 0;
	uint32_t count = 0;
	int r = store_member_address(c->store, nwid, address, &m, &n);
	if (!r) {
		admin_error_set(error, "It has asked already", "farlan member approve NWID MEMBER lets it in.", "%010" PRIx64 " is %s.",
		                address, member_state_name(m.state));
		return ADMIN_CONFLICT;
	}
	if (!store_ban_address(c->store, address, &b)) {
		admin_error_set(error, "The member is banned", "farlan member unban NWID MEMBER",
		                "%010" PRIx64 " is refused in every network.", address);
		return ADMIN_CONFLICT;
	}
	r = r == -ENOENT ? store_preapproval_count(c->store, nwid, &count) : r;
	if (r)
		return unreadable(r, error);
	if (count >= PREAPPROVALS_MAX) {
		admin_error_set(error, "Too many", "Delete those that nobody waits for.", "The network has %u preapprovals.", count);
		return ADMIN_CONFLICT;
	}
	return ADMIN_OK;
}

/* Nobody is awaited for its addresses any more: those that nobody holds are gaps again. */
static void addresses_free(struct controller *c, const struct preapproval_row *row)
{
	struct publication *p = publication_find(c, row->nwid);
	struct lease lease;
	for (unsigned i = 0; p && i < row->settings.n_ips; i++)
		if (store_lease_get(c->store, row->nwid, row->settings.ips[i].ip, &lease))
			pool_doubt(p);
}

static enum admin_status wait_for(struct controller *c, uint64_t nwid, uint64_t address, const struct member_settings *settings,
                                  bool reserve, struct admin_error *error)
{
	struct network_record network;
	struct preapproval_row stood = {0}, row = {.nwid = nwid, .address = address, .created_wall_s = c->wall_s, .reserve = reserve};
	struct audit_detail d = {0};
	enum admin_status status = admin_begin(c, error);
	if (settings)
		row.settings = *settings;
	if (row.settings.set & SET_MEMBER_IP)
		row.settings.n_ips = 1;
	if (!status)
		status = admin_network(c, nwid, &network, NULL, error);
	if (!status)
		status = settings_judge(&row.settings, error);
	if (!status)
		store_preapproval_get(c->store, nwid, address, &stood); /* none: as empty */
	if (!status)
		status = addresses_judge(&network, &stood.settings, &row.settings, error);
	if (!status)
		status = may_preapprove(c, nwid, address, error);
	if (status)
		return status;
	audit_detail_text(&d, "name", row.settings.name);
	if (reserve)
		audit_detail_text(&d, "kind", "reservation");
	addresses_free(c, &stood);
	int r = store_preapproval_put(c->store, &row);
	if (!r)
		r = audit_note(c, "preapproval.create", nwid, address, audit_detail_end(&d));
	status = admin_commit(c, r, error);
	if (!status)
		change_note(c, CHANGE_NETWORK, nwid, 0, false);
	return status;
}

enum admin_status controller_preapprove(struct controller *c, uint64_t nwid, uint64_t address, const struct member_settings *settings,
                                        struct admin_error *error)
{
	return wait_for(c, nwid, address, settings, false, error);
}

enum admin_status controller_reserve(struct controller *c, uint64_t nwid, uint64_t address, const struct member_settings *settings,
                                     struct admin_error *error)
{
	if (settings && settings->set & SET_MEMBER_EXPIRES && settings->expires_s) {
		admin_error_set(error, "A reservation has no end", "Say when it ends with the approval.",
		                "There is no approval yet whose time could run.");
		return ADMIN_INVALID;
	}
	return wait_for(c, nwid, address, settings, true, error);
}

enum admin_status controller_preapproval_delete(struct controller *c, uint64_t nwid, uint64_t address, struct admin_error *error)
{
	struct network_record network;
	struct preapproval_row row;
	enum admin_status status = admin_begin(c, error);
	if (!status)
		status = admin_network(c, nwid, &network, NULL, error);
	if (status)
		return status;
	int r = store_preapproval_get(c->store, nwid, address, &row);
	if (r == -ENOENT) {
		admin_error_set(error, "No such preapproval", "It may have been used: see farlan member list.",
		                "Network %016" PRIx64 " does not wait for %010" PRIx64 ".", nwid, address);
		return ADMIN_NOT_FOUND;
	}
	if (!r)
		addresses_free(c, &row);
	if (!r)
		r = store_preapproval_delete(c->store, nwid, address);
	if (!r)
		r = audit_note(c, "preapproval.delete", nwid, address, NULL);
	status = admin_commit(c, r, error);
	if (!status)
		change_note(c, CHANGE_NETWORK, nwid, 0, false);
	return status;
}

enum admin_status controller_preapproval_get(struct controller *c, uint64_t nwid, uint64_t address, struct preapproval_row *ret,
                                             struct admin_error *error)
{
	struct network_record network;
	enum admin_status status = admin_network(c, nwid, &network, NULL, error);
	int r = status ? 0 : store_preapproval_get(c->store, nwid, address, ret);
	if (r == -ENOENT) {
		admin_error_set(error, "No such member", "It must ask first, or be let in beforehand.",
		                "Network %016" PRIx64 " knows no %010" PRIx64 ".", nwid, address);
		return ADMIN_NOT_FOUND;
	}
	return r ? unreadable(r, error) : status;
}

enum admin_status controller_preapproval_each(struct controller *c, uint64_t nwid, void (*each)(void *, const struct preapproval_row *),
                                              void *self, struct admin_error *error)
{
	struct network_record network;
	enum admin_status status = admin_network(c, nwid, &network, NULL, error);
	if (status)
		return status;
	int r = store_preapproval_each(c->store, nwid, each, self);
	return r ? unreadable(r, error) : ADMIN_OK;
}

/* An address that somebody holds by now is left out: better in with another one than kept out. */
static void addresses_grant(struct controller *c, const struct network_record *n, const struct member_settings *s, struct member_record *m)
{
	struct lease lease;
	for (unsigned i = 0; i < s->n_ips && m->n_ips < CRED_IPS_MAX; i++) {
		int r = store_lease_get(c->store, n->nwid, s->ips[i].ip, &lease);
		bool free = r == -ENOENT || (!r && !lease.member);
		if (!free || !policy_pool_host(&n->pool, s->ips[i].ip))
			continue;
		m->ips[m->n_ips] = s->ips[i];
		m->ips[m->n_ips++].bits = n->pool.bits; /* which may have grown since */
	}
}

void preapproval_grant(struct controller *c, const struct network_record *n, const struct preapproval_row *row, struct member_record *m)
{
	const struct member_settings *s = &row->settings;
	settings_put(s, m);
	if (s->set & SET_MEMBER_EXPIRES && s->expires_s)
		m->expires = network_time(c) + s->expires_s;
	if (!m->n_ips)
		addresses_grant(c, n, s, m);
}

int preapproval_spent(struct controller *c, const struct preapproval_row *row)
{
	addresses_free(c, row);
	int r = store_preapproval_delete(c->store, row->nwid, row->address);
	return r ? r : audit_note(c, "preapproval.spend", row->nwid, row->address, NULL);
}
