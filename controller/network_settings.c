/* Theory of operation: what a network can be told to be, judged field by field into a copy of its row; how a change reads in the
 * audit; and what is allowed, but perhaps not meant: those are warnings, looked up when they are shown, since another network may
 * cause them later. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "controller/audit.h"
#include "controller/state.h"
#include "proto/ethertype.h"

static enum admin_status limits_take(const struct network_settings *s, struct network_limits *l, struct admin_error *error)
{
	const struct {
		unsigned bit;
		const char *what;
		uint32_t give, max, *at;
	} limits[] = {
	    {SET_NET_STORM, "storm limit in frames per second", s->limits.storm_frames, STORM_FRAMES_MAX, &l->storm_frames},
	    {SET_NET_MCAST_RATE, "multicast rate in kbit/s", s->limits.mcast_kbit, MCAST_KBIT_MAX, &l->mcast_kbit},
	    {SET_NET_MCAST_LIMIT, "multicast limit in copies", s->limits.mcast_limit, MCAST_LIMIT_MAX, &l->mcast_limit},
	};
	for (unsigned i = 0; i < sizeof(limits) / sizeof(*limits); i++) {
		if (!(s->set & limits[i].bit))
			continue;
		if (limits[i].give > limits[i].max) {
			admin_error_set(error, "Limit out of range", "Give 0 for none, or a smaller number.",
			                "The %s is at most %u, not %u.", limits[i].what, limits[i].max, limits[i].give);
			return ADMIN_INVALID;
		}
		*limits[i].at = limits[i].give;
	}
	return ADMIN_OK;
}

/* The network's own IPv6, of which every member has one by its address. */
static struct prefix ula_of(uint64_t nwid)
{
	struct prefix p = {.family = 6, .bits = 64};
	ula_derive(nwid, 0, p.ip);
	memset(p.ip + 8, 0, 8);
	return p;
}

static enum admin_status routes_take(const struct network_settings *s, struct network_record *n, struct admin_error *error)
{
	struct prefix ula = ula_of(n->nwid);
	if (s->set & SET_NET_ROUTES) {
		memcpy(n->routes, s->routes, sizeof(n->routes));
		n->n_routes = s->n_routes;
	}
	if (s->set & SET_NET_DNS)
		n->dns = s->dns;
	for (unsigned i = 0; i < n->n_routes; i++) {
		const struct route *r = &n->routes[i];
		char target[64];
		const char *why = policy_route_check(r, &n->pool, &ula);
		for (unsigned k = 0; k < i && !why; k++)
			if (prefix_within(&r->target, &n->routes[k].target) && r->target.bits == n->routes[k].target.bits &&
			    r->metric == n->routes[k].metric)
				why = "two routes lead there, and their metric does not tell which is better";
		if (!why)
			continue;
		prefix_format(&r->target, target, sizeof(target));
		admin_error_set(error, "Not a usable route", "A route looks like 192.168.7.0/24 via 10.20.0.5.", "%s: %s.", target, why);
		return ADMIN_INVALID;
	}
	return ADMIN_OK;
}

static enum admin_status ranges_take(const struct network_settings *s, struct network_record *n, struct admin_error *error)
{
	const char *why = s->n_ranges > RANGES_MAX ? "a network has at most 16 ranges" : NULL;
	if (!(s->set & SET_NET_RANGES))
		return ADMIN_OK;
	for (unsigned i = 0; i < s->n_ranges && !why; i++)
		why = policy_range_check(&s->ranges[i]);
	if (why) {
		admin_error_set(error, "Not a usable range", "Give the first and the last address, like 10.20.1.10 and 10.20.1.99.", "%s.",
		                why);
		return ADMIN_INVALID;
	}
	memset(n->ranges, 0, sizeof(n->ranges));
	if (s->n_ranges)
		memcpy(n->ranges, s->ranges, s->n_ranges * sizeof(*s->ranges));
	n->n_ranges = s->n_ranges;
	return ADMIN_OK;
}

static enum admin_status ethertypes_take(const struct network_settings *s, struct network_record *n, struct admin_error *error)
{
	struct ethertypes e = {0};
	if (!(s->set & SET_NET_ETHERTYPES))
		return ADMIN_OK;
	for (unsigned i = 0; i < s->ethertypes.n; i++) {
		if (i >= ETHERTYPES_MAX || !ethertypes_add(&e, s->ethertypes.type[i])) {
			admin_error_set(error, "Not a list of EtherTypes", "Give up to 16, like ipv4, arp and ipv6.",
			                "There are too many, or one is neither 0 (LLC) nor from 0x0600 on.");
			return ADMIN_INVALID;
		}
	}
	n->ethertypes = e;
	return ADMIN_OK;
}

enum admin_status network_take(struct controller *c, const struct network_settings *s, struct network_record *n, struct admin_error *error)
{
	uint64_t holder;
	const char *why;
	if (s->set & SET_NET_NAME) {
		if (!policy_name(s->name)) {
			admin_error_set(error, "Not a name", "Give 1 to 63 bytes of text.",
			                "The name is empty, too long or has control characters.");
			return ADMIN_INVALID;
		}
		if (!store_network_named(c->store, s->name, &holder) && holder != n->nwid) {
			admin_error_set(error, "The name is taken", "Choose another name.", "Network %016" PRIx64 " has this name.",
			                holder);
			return ADMIN_CONFLICT;
		}
		memcpy(n->name, s->name, sizeof(n->name));
	}
	if (s->set & SET_NET_DESCRIPTION) {
		if (s->description[0] && !policy_text(s->description, DESCRIPTION_MAX)) {
			admin_error_set(error, "Not a description", "Give up to 200 bytes of text.",
			                "The description is too long or has control characters.");
			return ADMIN_INVALID;
		}
		memcpy(n->description, s->description, sizeof(n->description));
	}
	if (s->set & SET_NET_MTU) {
		if (s->mtu < MTU_MIN || s->mtu > MTU_MAX) {
			admin_error_set(error, "MTU out of range", "Give 1280 to 9000; 1400 fits into one datagram almost everywhere.",
			                "An MTU of %u is not possible.", s->mtu);
			return ADMIN_INVALID;
		}
		n->mtu = s->mtu;
	}
	if (s->set & SET_NET_POOL) {
		why = s->pool.family ? policy_pool_check(&s->pool) : NULL;
		if (why) {
			admin_error_set(error, "Not a usable pool", "Give an IPv4 network such as 10.20.0.0/16.", "%s.", why);
			return ADMIN_INVALID;
		}
		n->pool = s->pool;
	}
	if (s->set & SET_NET_FLAGS) {
		if ((s->flags_on & s->flags_off) || ((s->flags_on | s->flags_off) & ~NETWORK_FLAGS)) {
			admin_error_set(error, "Not a set of switches", "Each switch of a network is on or off.",
			                "A switch is unknown, or both on and off.");
			return ADMIN_INVALID;
		}
		n->flags = (n->flags & ~s->flags_off) | s->flags_on;
	}
	if (s->set & SET_NET_AUTO_ASSIGN)
		n->auto_assign = s->auto_assign;
	enum admin_status status = limits_take(s, &n->limits, error);
	if (!status)
		status = ranges_take(s, n, error);
	if (!status)
		status = ethertypes_take(s, n, error);
	return status ? status : routes_take(s, n, error);
}

/* ---- the audit ---------------------------------------------------------------------- */

static void pool_text(const struct prefix *pool, char ret[24])
{
	snprintf(ret, 24, "none");
	if (pool->family)
		prefix_format(pool, ret, 24);
}

static void routes_text(const struct network_record *n, char *ret, size_t room)
{
	char target[64];
	size_t at = 0;
	*ret = '\0';
	for (unsigned i = 0; i < n->n_routes && at < room; i++) {
		struct prefix via = {.family = n->routes[i].target.family, .bits = n->routes[i].target.family == 4 ? 32 : 128};
		memcpy(via.ip, n->routes[i].via, sizeof(via.ip));
		prefix_format(&n->routes[i].target, target, sizeof(target));
		at += (size_t)snprintf(ret + at, room - at, "%s%s", i ? ", " : "", target);
		if (!n->routes[i].via_set || at >= room)
			continue;
		prefix_format(&via, target, sizeof(target));
		at += (size_t)snprintf(ret + at, room - at, " via %.*s", (int)strcspn(target, "/"), target);
	}
}

static void ranges_text(const struct network_record *n, char *ret, size_t room)
{
	size_t at = 0;
	*ret = '\0';
	for (unsigned i = 0; i < n->n_ranges && at < room; i++) {
		const uint8_t *a = n->ranges[i].first, *b = n->ranges[i].last;
		at += (size_t)snprintf(ret + at, room - at, "%s%u.%u.%u.%u - %u.%u.%u.%u", i ? ", " : "", a[0], a[1], a[2], a[3], b[0],
		                       b[1], b[2], b[3]);
	}
}

static void ethertypes_text(const struct ethertypes *e, char *ret, size_t room)
{
	size_t at = (size_t)snprintf(ret, room, "%s", e->n ? "" : "all");
	for (unsigned i = 0; i < e->n && at < room; i++)
		at += (size_t)snprintf(ret + at, room - at, "%s0x%04x", i ? " " : "", e->type[i]);
}

int network_audit(struct controller *c, const struct network_record *was, const struct network_record *now, const char *action)
{
	static const struct network_record none = {0};
	struct audit_detail d = {0};
	char a[512], b[512];
	was = was ? was : &none;
	audit_detail_text(&d, "name", now->name);
	audit_detail_change(&d, "own_name", was->name, now->name);
	audit_detail_change(&d, "description", was->description, now->description);
	audit_detail_change_count(&d, "mtu", was->mtu, now->mtu);
	pool_text(&was->pool, a);
	pool_text(&now->pool, b);
	audit_detail_change(&d, "ipv4", a, b);
	audit_detail_change_count(&d, "flags", was->flags, now->flags);
	audit_detail_change_count(&d, "storm", was->limits.storm_frames, now->limits.storm_frames);
	audit_detail_change_count(&d, "multicast-rate", was->limits.mcast_kbit, now->limits.mcast_kbit);
	audit_detail_change_count(&d, "multicast-limit", was->limits.mcast_limit, now->limits.mcast_limit);
	routes_text(was, a, sizeof(a));
	routes_text(now, b, sizeof(b));
	audit_detail_change(&d, "routes", a, b);
	ranges_text(was, a, sizeof(a));
	ranges_text(now, b, sizeof(b));
	audit_detail_change(&d, "ranges", a, b);
	ethertypes_text(&was->ethertypes, a, sizeof(a));
	ethertypes_text(&now->ethertypes, b, sizeof(b));
	audit_detail_change(&d, "ethertypes", a, b);
	audit_detail_change_count(&d, "auto_assign", was->auto_assign, now->auto_assign);
	audit_detail_change(&d, "dns", was->dns.domain, now->dns.domain);
	audit_detail_change_count(&d, "dns_servers", was->dns.n_servers, now->dns.n_servers);
	return audit_note(c, action, now->nwid, 0, audit_detail_end(&d));
}

/* ---- warnings ----------------------------------------------------------------------- */

struct warning {
	const struct network_record *n;
	void (*each)(void *, const char *);
	void *self;
	bool gateway[MANAGED_MAX]; /* some member has the address */
};

static bool overlap(const struct prefix *a, const struct prefix *b)
{
	return a->family && a->family == b->family && (prefix_within(a, b) || prefix_within(b, a));
}

static void warn(const struct warning *w, const struct prefix *a, const char *what, const struct prefix *b, const char *of)
{
	char one[64], two[64], text[320];
	prefix_format(a, one, sizeof(one));
	prefix_format(b, two, sizeof(two));
	snprintf(text, sizeof(text), "%s %s %s%s%s: a machine that is in both reaches one of them only", one, what, two,
	         *of ? " of the network " : "", of);
	w->each(w->self, text);
}

static void against(void *self, const struct network_record *other)
{
	struct warning *w = self;
	const struct network_record *n = w->n;
	if (other->nwid == n->nwid)
		return;
	if (overlap(&n->pool, &other->pool))
		warn(w, &n->pool, "overlaps the pool", &other->pool, other->name);
	for (unsigned i = 0; i < other->n_routes; i++)
		if (overlap(&n->pool, &other->routes[i].target))
			warn(w, &n->pool, "overlaps the route to", &other->routes[i].target, other->name);
	for (unsigned i = 0; i < n->n_routes; i++)
		if (overlap(&n->routes[i].target, &other->pool))
			warn(w, &n->routes[i].target, "overlaps the pool", &other->pool, other->name);
}

static void gateways(void *self, const struct member_record *m)
{
	struct warning *w = self;
	uint8_t ula[16];
	ula_derive(m->nwid, m->address, ula);
	for (unsigned i = 0; m->state == MEMBER_APPROVED && i < w->n->n_routes; i++) {
		const struct route *r = &w->n->routes[i];
		if (r->target.family == 6)
			w->gateway[i] = w->gateway[i] || !memcmp(r->via, ula, 16);
		for (unsigned k = 0; k < m->n_ips && r->target.family == 4; k++)
			w->gateway[i] = w->gateway[i] || !memcmp(r->via, m->ips[k].ip, 4);
	}
}

/* Members set routes of private networks only, whatever a controller says (node/device.c). */
static bool taken(const struct prefix *p)
{
	static const struct prefix private[] = {{4, 8, {10}},       {4, 12, {172, 16}}, {4, 16, {192, 168}},
	                                        {4, 10, {100, 64}}, {4, 15, {198, 18}}, {6, 7, {0xfc}}};
	for (unsigned i = 0; i < sizeof(private) / sizeof(private[0]); i++)
		if (prefix_within(p, &private[i]))
			return true;
	return false;
}

static void routes_warn(struct warning *w)
{
	char target[64], text[320];
	for (unsigned i = 0; i < w->n->n_routes; i++) {
		const struct route *r = &w->n->routes[i];
		prefix_format(&r->target, target, sizeof(target));
		if (overlap(&r->target, &w->n->pool))
			warn(w, &r->target, "overlaps the pool", &w->n->pool, "");
		if (!taken(&r->target)) {
			snprintf(text, sizeof(text), "%s is not private address space: members do not set that route", target);
			w->each(w->self, text);
		}
		if (r->via_set && !w->gateway[i]) {
			snprintf(text, sizeof(text), "no approved member has the address by which the route to %s goes", target);
			w->each(w->self, text);
		}
	}
}

/* Pool and ranges are set in any order, so that each may be wrong for a while. */
static void ranges_warn(const struct warning *w)
{
	const struct network_record *n = w->n;
	char pool[24], text[320];
	struct stretch s[RANGES_MAX];
	pool_text(&n->pool, pool);
	for (unsigned i = 0; i < n->n_ranges; i++) {
		const uint8_t *a = n->ranges[i].first, *b = n->ranges[i].last;
		if (policy_pool_host(&n->pool, a) && policy_pool_host(&n->pool, b))
			continue;
		bool some = policy_stretches(&n->pool, &n->ranges[i], 1, s);
		snprintf(text, sizeof(text), "of the range %u.%u.%u.%u - %u.%u.%u.%u %s: the pool is %s", a[0], a[1], a[2], a[3], b[0],
		         b[1], b[2], b[3], some ? "only a part is given" : "nothing is given", pool);
		w->each(w->self, text);
	}
}

void controller_network_warnings(struct controller *c, uint64_t nwid, void (*each)(void *, const char *), void *self)
{
	struct network_record n;
	struct warning w = {.n = &n, .each = each, .self = self};
	if (store_network_get(c->store, nwid, &n))
		return;
	store_network_each(c->store, against, &w);
	if (n.n_routes)
		store_member_each(c->store, nwid, gateways, &w);
	routes_warn(&w);
	ranges_warn(&w);
	if (n.dns.n_servers && !n.dns.domain[0])
		each(self, "DNS servers without a domain: nobody knows which names to ask them for");
}

/* ---- reading ------------------------------------------------------------------------ */

static void pool_count(const struct controller *c, const struct network_record *n, struct network_row *ret)
{
	struct stretch s[RANGES_MAX];
	unsigned n_stretches = policy_stretches(&n->pool, n->ranges, n->n_ranges, s);
	for (unsigned i = 0; i < n_stretches; i++) {
		uint32_t used = 0;
		ret->pool_size += s[i].last - s[i].first + 1;
		store_lease_count_in(c->store, n->nwid, s[i].first, s[i].last, &used);
		ret->pool_used += used;
	}
}

static void network_show(const struct controller *c, const struct network_record *n, struct network_row *ret)
{
	const struct publication *p = publication_find(c, n->nwid);
	*ret = (struct network_row){.nwid = n->nwid,
	                            .mtu = n->mtu,
	                            .pool = n->pool,
	                            .flags = n->flags,
	                            .limits = n->limits,
	                            .n_routes = n->n_routes,
	                            .n_ranges = n->n_ranges,
	                            .auto_assign = n->auto_assign,
	                            .ethertypes = n->ethertypes,
	                            .dns = n->dns,
	                            .version = n->version,
	                            .revision = n->revision,
	                            .created_wall_s = n->created_wall_s};
	memcpy(ret->name, n->name, sizeof(ret->name));
	memcpy(ret->description, n->description, sizeof(ret->description));
	memcpy(ret->routes, n->routes, sizeof(ret->routes));
	memcpy(ret->ranges, n->ranges, sizeof(ret->ranges));
	pool_count(c, n, ret);
	store_network_count(c->store, n->nwid, MEMBER_APPROVED, &ret->members);
	store_network_count(c->store, n->nwid, MEMBER_PENDING, &ret->pending);
	for (unsigned i = 0; p && i < p->n_listed; i++) {
		const struct presence *who = presence_find(c, p->listed[i]);
		ret->online += who && who->online;
		ret->relayed += who && who->online && who->link == LINK_RELAY;
	}
	ret->carries = traffic_rate(c, p, NULL, &ret->rx_bps, &ret->tx_bps);
}

enum admin_status controller_network_get(struct controller *c, uint64_t nwid, struct network_row *ret, struct admin_error *error)
{
	struct network_record n;
	enum admin_status status = admin_network(c, nwid, &n, NULL, error);
	if (!status)
		network_show(c, &n, ret);
	return status;
}

struct showing {
	const struct controller *c;
	void (*each)(void *, const struct network_row *);
	void *self;
};

static void show_network(void *self, const struct network_record *n)
{
	struct showing *s = self;
	struct network_row row;
	network_show(s->c, n, &row);
	s->each(s->self, &row);
}

enum admin_status controller_network_each(struct controller *c, void (*each)(void *, const struct network_row *), void *self,
                                          struct admin_error *error)
{
	struct showing s = {.c = c, .each = each, .self = self};
	int r = store_network_each(c->store, show_network, &s);
	return r ? admin_unavailable(c, error, r) : ADMIN_OK;
}
