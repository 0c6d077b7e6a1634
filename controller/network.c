/* Theory of operation: the admin's edits of networks. An edit checks everything first, then writes, then commits at once, so
 * that its answer is true; signing and sending wait for the end of the turn. Changing the pool renumbers: members whose
 * address fits the new pool keep it, the others get a new one, each with a new serial and a raised min_serial. */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "controller/state.h"

/* ---- what all edits share ----------------------------------------------------------- */

void admin_error_set(struct admin_error *e, const char *title, const char *hint, const char *detail, ...)
{
	va_list args;
	if (!e)
		return;
	snprintf(e->title, sizeof(e->title), "%s", title);
	snprintf(e->hint, sizeof(e->hint), "%s", hint);
	va_start(args, detail);
	vsnprintf(e->detail, sizeof(e->detail), detail, args);
	va_end(args);
}

enum admin_status admin_begin(struct controller *c, struct admin_error *error)
{
	if (c->trusted)
		return ADMIN_OK;
	admin_error_set(error, "The controller does not sign", "See `farlan status`; nothing can be changed until this is mended.", "%s",
	                c->health);
	return ADMIN_UNAVAILABLE;
}

enum admin_status admin_unavailable(struct controller *c, struct admin_error *error, int r)
{
	admin_error_set(error, "The change was not saved", "Nothing was changed. Mend the cause and try again.", "%s (%s)",
	                strcmp(c->health, "ok") ? c->health : "the database failed", strerror(-r));
	return ADMIN_UNAVAILABLE;
}

enum admin_status admin_commit(struct controller *c, int r, struct admin_error *error)
{
	if (r)
		turn_abort(c, r);
	else
		r = turn_commit(c);
	return r ? admin_unavailable(c, error, r) : ADMIN_OK;
}

enum admin_status admin_network(struct controller *c, uint64_t nwid, struct network_record *ret, struct publication **ret_publication,
                                struct admin_error *error)
{
	struct publication *p = publication_find(c, nwid);
	int r = p ? store_network_get(c->store, nwid, ret) : -ENOENT;
	if (r == -ENOENT) {
		admin_error_set(error, "No such network", "`farlan network list` shows the networks of this controller.",
		                "This controller has no network %016" PRIx64 ".", nwid);
		return ADMIN_NOT_FOUND;
	}
	if (r)
		return admin_unavailable(c, error, r);
	if (ret_publication)
		*ret_publication = p;
	return ADMIN_OK;
}

/* ---- renumbering -------------------------------------------------------------------- */

struct roll { /* members that hold an address or need one */
	struct member_record *was, *will;
	size_t n, room;
	bool failed;
};

static void roll_take(void *self, const struct member_record *m)
{
	struct roll *l = self;
	if (m->state != MEMBER_APPROVED && !m->n_ips)
		return;
	if (l->n == l->room) {
		size_t room = l->room ? l->room * 2 : 64;
		struct member_record *more = realloc(l->was, room * sizeof(*more));
		if (!more) {
			l->failed = true;
			return;
		}
		l->was = more;
		l->room = room;
	}
	l->was[l->n++] = *m;
}

static bool homeless(const struct member_record *m, const struct network_record *n)
{
	return !m->n_ips && m->state == MEMBER_APPROVED && member_served(n, m);
}

static bool same_ips(const struct member_record *a, const struct member_record *b)
{
	return a->n_ips == b->n_ips && !memcmp(a->ips, b->ips, a->n_ips * sizeof(a->ips[0]));
}

/* Decides the new addresses without writing. */
static int roll_number(struct controller *c, const struct network_record *network, struct roll *l, const struct lease *leases,
                       size_t n_leases)
{
	const struct prefix *pool = &network->pool;
	struct stretch stretches[RANGES_MAX];
	unsigned n_stretches = policy_stretches(pool, network->ranges, network->n_ranges, stretches);
	size_t want = 0, given = 0;
	for (size_t i = 0; i < l->n; i++) {
		struct member_record *m = &l->will[i];
		unsigned n = 0;
		for (unsigned k = 0; k < m->n_ips && pool->family; k++)
			if (policy_pool_host(pool, m->ips[k].ip)) {
				m->ips[n] = m->ips[k];
				m->ips[n++].bits = pool->bits;
			}
		m->n_ips = n;
		want += homeless(m, network);
	}
	uint8_t(*ips)[4] = malloc((want + 1) * sizeof(*ips));
	int r = ips ? policy_addresses(stretches, n_stretches, leases, n_leases, network_time(c), ips, want) : -ENOMEM;
	for (size_t i = 0; i < l->n && !r; i++) {
		struct member_record *m = &l->will[i];
		if (!homeless(m, network))
			continue;
		m->ips[0] = (struct prefix){.family = 4, .bits = pool->bits};
		memcpy(m->ips[0].ip, ips[given++], 4);
		m->n_ips = 1;
	}
	free(ips);
	return r;
}

/* 0, -EADDRNOTAVAIL before anything was written, or -errno. */
static int renumber(struct controller *c, struct publication *p, const struct network_record *network)
{
	struct roll l = {0};
	struct lease *leases = NULL;
	size_t n = 0;
	int r = store_member_each(c->store, p->nwid, roll_take, &l);
	if (!r && l.failed)
		r = -ENOMEM;
	if (!r)
		r = pool_held(c, p->nwid, &leases, &n);
	if (r)
		goto out;
	r = -ENOMEM;
	l.will = malloc((l.n + 1) * sizeof(*l.will));
	if (!l.will)
		goto out;
	if (l.n)
		memcpy(l.will, l.was, l.n * sizeof(*l.will));
	r = roll_number(c, network, &l, leases, n);
	for (size_t i = 0; !r && i < l.n; i++) {
		if (same_ips(&l.was[i], &l.will[i]))
			continue;
		r = member_write(c, p, &l.was[i], &l.will[i]);
		if (l.will[i].state == MEMBER_APPROVED)
			push_decision(c, l.will[i].identity.key_hash, p->nwid, JOIN_OK);
	}
out:
	free(leases);
	free(l.was);
	free(l.will);
	return r;
}

/* ---- the edits ---------------------------------------------------------------------- */

/* 24 random bits that are not 0 and not in use. 0 = no luck, which with NETWORKS_MAX networks takes a broken getrandom. */
static uint64_t nwid_choose(const struct controller *c)
{
	for (unsigned tries = 0; tries < 64; tries++) {
		uint32_t low;
		if (getrandom(&low, sizeof(low), 0) != sizeof(low))
			continue;
		uint64_t nwid = c->self.self.address << 24 | (low & 0xffffff);
		if ((low & 0xffffff) && !publication_find(c, nwid))
			return nwid;
	}
	return 0;
}

enum admin_status controller_network_create(struct controller *c, const struct network_settings *settings, uint64_t *ret_nwid,
                                            struct admin_error *error)
{
	struct network_record n = {.mtu = MTU_DEFAULT,
	                           .limits = {STORM_FRAMES_DEFAULT, MCAST_KBIT_DEFAULT, MCAST_LIMIT_DEFAULT},
	                           .auto_assign = true,
	                           .rev_epoch = 1,
	                           .serials = 1,
	                           .created_wall_s = c->wall_s};
	enum admin_status status = admin_begin(c, error);
	if (status)
		return status;
	if (!(settings->set & SET_NET_NAME)) {
		admin_error_set(error, "A network needs a name", "farlan network create NAME", "No name was given.");
		return ADMIN_INVALID;
	}
	if (c->n_publications >= NETWORKS_MAX) {
		admin_error_set(error, "Too many networks", "Delete a network, or run another controller.",
		                "A controller has at most %d networks.", NETWORKS_MAX);
		return ADMIN_CONFLICT;
	}
	n.nwid = nwid_choose(c);
	if (!n.nwid || getrandom(n.gate, sizeof(n.gate), 0) != sizeof(n.gate))
		return admin_unavailable(c, error, -EIO);
	status = network_take(c, settings, &n, error);
	if (status)
		return status;
	int r = store_network_insert(c->store, &n);
	if (!r)
		r = network_audit(c, NULL, &n, "network.create");
	status = admin_commit(c, r, error);
	if (status)
		return status;
	if (!publication_add(c, &n)) /* on disk; the next start has it */
		return admin_unavailable(c, error, -ENOMEM);
	change_note(c, CHANGE_NETWORK, n.nwid, 0, false);
	*ret_nwid = n.nwid;
	return ADMIN_OK;
}

struct bridges {
	unsigned n;
	uint64_t one;
};

static void bridge_count(void *self, const struct member_record *m)
{
	struct bridges *b = self;
	if (m->state == MEMBER_APPROVED && policy_flags(m->flags_on, m->flags_off) & MEMBER_BRIDGE && !b->n++)
		b->one = m->address;
}

/* Hosts behind a bridge send full Ethernet frames and hear of no smaller MTU. */
static enum admin_status bridges_refuse(struct controller *c, const struct network_record *n, struct admin_error *error)
{
	struct bridges b = {0};
	char hint[160];
	int r = store_member_each(c->store, n->nwid, bridge_count, &b);
	if (r)
		return admin_unavailable(c, error, r);
	if (!b.n)
		return ADMIN_OK;
	snprintf(hint, sizeof(hint),
	         "Give %d or more, or end the bridging first: farlan member set %016" PRIx64 " %010" PRIx64 " --bridge off", BRIDGE_MTU_MIN,
	         n->nwid, b.one);
	admin_error_set(error, "The MTU is too small for bridges", hint,
	                "%u member%s bridge%s a LAN into this network, whose hosts send packets of %d bytes; an MTU of %u would lose them.",
	                b.n, b.n == 1 ? "" : "s", b.n == 1 ? "s" : "", BRIDGE_MTU_MIN, n->mtu);
	return ADMIN_CONFLICT;
}

enum admin_status controller_network_set(struct controller *c, uint64_t nwid, const struct network_settings *settings,
                                         struct admin_error *error)
{
	struct network_record was = {0}, n;
	struct publication *p;
	enum admin_status status = admin_begin(c, error);
	if (!status)
		status = admin_network(c, nwid, &was, &p, error);
	n = was;
	if (!status)
		status = network_take(c, settings, &n, error);
	if (!status && n.mtu != was.mtu && n.mtu < BRIDGE_MTU_MIN)
		status = bridges_refuse(c, &n, error);
	if (status)
		return status;
	/* who has none by now is served with what can be given by now */
	bool moved = was.pool.family != n.pool.family || was.pool.bits != n.pool.bits || memcmp(was.pool.ip, n.pool.ip, 4) ||
	             was.n_ranges != n.n_ranges || memcmp(was.ranges, n.ranges, sizeof(n.ranges)) || (n.auto_assign && !was.auto_assign);
	pool_doubt(p);
	int r = moved ? renumber(c, p, &n) : 0;
	if (r == -EADDRNOTAVAIL) {
		char text[24];
		prefix_format(&n.pool, text, sizeof(text));
		admin_error_set(error, "The pool is too small", "Choose a larger pool, or more of it.",
		                "%s%s has not enough addresses for the members.", n.n_ranges ? "What the ranges leave of " : "", text);
		return ADMIN_CONFLICT;
	}
	if (!r)
		r = store_network_update(c->store, &n);
	if (!r)
		r = publication_touch(c, p, false);
	if (!r)
		r = network_audit(c, &was, &n, "network.set");
	status = admin_commit(c, r, error);
	if (!status) {
		p->flags = n.flags;
		change_note(c, CHANGE_NETWORK, nwid, 0, false);
	}
	if (!status && moved)
		change_note(c, CHANGE_MEMBER, nwid, 0, false);
	return status;
}

enum admin_status controller_network_delete(struct controller *c, uint64_t nwid, struct admin_error *error)
{
	struct network_record n;
	struct publication *p;
	enum admin_status status = admin_begin(c, error);
	if (!status)
		status = admin_network(c, nwid, &n, &p, error);
	if (status)
		return status;
	int r = network_audit(c, &n, &n, "network.delete"); /* first: who is told of it is told its name */
	if (!r)
		r = store_network_delete(c->store, nwid);
	status = admin_commit(c, r, error);
	if (status)
		return status;
	c->ends_known = false;
	change_note(c, CHANGE_NETWORK, nwid, 0, true);
	for (unsigned i = 0; i < p->n_listed; i++)
		push_decision(c, p->listed[i], nwid, JOIN_DENIED);
	publication_remove(c, nwid);
	return ADMIN_OK;
}
