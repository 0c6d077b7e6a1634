/* zt1_layout.c: where a network's addresses are.
 *
 * They have a list of routes, of which those without a gateway are LANs, and a list of ranges that need not lie in any; we have one IPv4
 * network that members have addresses of, further routes, and ranges that are given from. Their clients set the two lists in any order
 * and in separate requests, so both are put together as they will be, and then it is decided which LAN is ours: the one that ranges lie
 * in, the one that gateways are in, the one that it is already, or the first. Ranges are kept though they lie nowhere yet.
 *
 * No range is "give nothing" to them and "give from all of it" to us. So a network of ours that gives from all of it shows that as a range,
 * and one that they leave without ranges gives nothing (zt1_network.c keeps that it would).
 */
#include <stdio.h>
#include <string.h>

#include "controller/policy.h"
#include "ui/zt1_controller.h"

#define WAYS_MAX (MANAGED_MAX + 1) /* the pool's, and the others */

struct ways {
	struct route at[WAYS_MAX];
	unsigned n;
};

/* ---- telling ---- */

static json_t *way_json(const struct route *r)
{
	json_t *o = json_route(r);
	if (r->metric)
		json_object_set_new(o, "metric", json_integer(r->metric));
	return o;
}

static void ways_of(const struct network_row *row, struct ways *ret)
{
	*ret = (struct ways){0};
	if (row->pool.family)
		ret->at[ret->n++].target = row->pool;
	for (unsigned i = 0; i < row->n_routes; i++)
		ret->at[ret->n++] = row->routes[i];
}

json_t *zt1_routes_json(const struct network_row *row)
{
	struct ways ways;
	json_t *list = json_array();
	ways_of(row, &ways);
	for (unsigned i = 0; i < ways.n; i++)
		json_array_append_new(list, way_json(&ways.at[i]));
	return list;
}

static json_t *ip_json(const uint8_t ip[4])
{
	struct prefix p = {.family = 4, .bits = 32};
	memcpy(p.ip, ip, 4);
	return json_host(&p);
}

/* It gives from all of its pool: as a range. */
static bool whole_pool(const struct network_row *row, struct range *ret)
{
	if (row->n_ranges || !row->pool.family || !row->auto_assign)
		return false;
	memcpy(ret->first, row->pool.ip, 4);
	for (unsigned i = 0; i < 4; i++) {
		unsigned bits = row->pool.bits > 8 * i ? row->pool.bits - 8 * i : 0;
		ret->last[i] = (uint8_t)(row->pool.ip[i] | (bits >= 8 ? 0 : 0xff >> bits));
	}
	ret->first[3]++; /* the hosts */
	ret->last[3]--;
	return true;
}

json_t *zt1_pools_json(const struct network_row *row)
{
	struct range whole;
	bool all = whole_pool(row, &whole);
	json_t *list = json_array();
	for (unsigned i = 0; i < (all ? 1 : row->n_ranges); i++) {
		const struct range *r = all ? &whole : &row->ranges[i];
		json_t *o = json_object();
		json_object_set_new(o, "ipRangeStart", ip_json(r->first));
		json_object_set_new(o, "ipRangeEnd", ip_json(r->last));
		json_array_append_new(list, o);
	}
	return list;
}

/* ---- reading ---- */

static void mask(struct prefix *p)
{
	unsigned len = p->family == 4 ? 4 : 16;
	for (unsigned i = 0; i < len; i++) {
		unsigned bits = p->bits > 8 * i ? p->bits - 8 * i : 0;
		p->ip[i] = (uint8_t)(p->ip[i] & (bits >= 8 ? 0xff : 0xff00 >> bits));
	}
}

static bool way_read(const json_t *o, struct route *ret, char why[ZT1_REASON])
{
	const char *target = zt1_text(json_object_get(o, "target"), PREFIX_TEXT), *via = json_string_value(json_object_get(o, "via"));
	int64_t metric = zt1_int(json_object_get(o, "metric"), 0);
	struct route r = {0};
	struct prefix gateway;
	if (!target || !prefix_parse(target, false, &r.target))
		return zt1_wrong(why, "routes", "must have a \"target\" like 10.144.0.0/16");
	if (!strchr(target, '/'))
		r.target.bits = r.target.family == 4 ? 32 : 128;
	mask(&r.target);
	if (via && *via) {
		if (!prefix_parse(via, false, &gateway) || gateway.family != r.target.family)
			return zt1_wrong(why, "routes", "must have a \"via\" that is null or an address of the target's kind");
		r.via_set = true;
		memcpy(r.via, gateway.ip, sizeof(r.via));
	}
	r.metric = metric < 0 ? 0 : metric > UINT32_MAX ? UINT32_MAX : (uint32_t)metric;
	*ret = r;
	return true;
}

static bool ways_read(const json_t *list, struct ways *ret, char why[ZT1_REASON])
{
	const json_t *value;
	size_t i;
	struct ways ways = {0};
	if (!json_is_array(list) || json_array_size(list) > WAYS_MAX)
		return zt1_wrong(why, "routes", "must be a list of at most 64 routes");
	json_array_foreach(list, i, value) if (!way_read(value, &ways.at[ways.n++], why)) return false;
	*ret = ways;
	return true;
}

static bool range_ip(const json_t *o, const char *name, uint8_t ret[4])
{
	const char *text = zt1_text(json_object_get(o, name), PREFIX_TEXT);
	struct prefix p;
	if (!text || !prefix_parse(text, false, &p) || p.family != 4)
		return false;
	memcpy(ret, p.ip, 4);
	return true;
}

static bool ranges_read(const json_t *list, struct network_settings *s, char why[ZT1_REASON])
{
	const json_t *value;
	size_t i;
	if (!json_is_array(list) || json_array_size(list) > RANGES_MAX)
		return zt1_wrong(why, "ipAssignmentPools", "must be a list of at most 16 ranges");
	s->n_ranges = 0;
	json_array_foreach(list, i, value)
	{
		struct range *r = &s->ranges[s->n_ranges++];
		if (!range_ip(value, "ipRangeStart", r->first) || !range_ip(value, "ipRangeEnd", r->last))
			return zt1_wrong(why, "ipAssignmentPools",
			                 "must have \"ipRangeStart\" and \"ipRangeEnd\", both IPv4: IPv6 addresses are derived here");
		if (memcmp(r->first, r->last, 4) > 0)
			return zt1_wrong(why, "ipAssignmentPools", "must not end before they begin");
	}
	return true;
}

/* ---- which one is ours ---- */

static bool holds_range(const struct prefix *p, const struct range *r)
{
	struct prefix first = {.family = 4, .bits = 32}, last = first;
	memcpy(first.ip, r->first, 4);
	memcpy(last.ip, r->last, 4);
	return prefix_within(&first, p) && prefix_within(&last, p);
}

static bool holds_gateway(const struct prefix *p, const struct route *r)
{
	struct prefix via = {.family = 4, .bits = 32};
	memcpy(via.ip, r->via, 4);
	return r->via_set && r->target.family == 4 && prefix_within(&via, p);
}

static bool same_net(const struct prefix *a, const struct prefix *b)
{
	return a->family == b->family && a->bits == b->bits && !memcmp(a->ip, b->ip, a->family == 4 ? 4 : 16);
}

/* Its place; ways.n: none of them can be. */
static unsigned pool_choose(const struct ways *ways, const struct prefix *stands, const struct range *ranges, unsigned n)
{
	unsigned best = ways->n, score = 0;
	for (unsigned i = 0; i < ways->n; i++) {
		const struct route *r = &ways->at[i];
		bool holds = false, gateway = false;
		if (r->via_set || policy_pool_check(&r->target))
			continue;
		for (unsigned k = 0; k < n; k++)
			holds = holds || holds_range(&r->target, &ranges[k]);
		for (unsigned k = 0; k < ways->n; k++)
			gateway = gateway || holds_gateway(&r->target, &ways->at[k]);
		unsigned worth = 1 + (holds ? 4u : 0u) + (gateway ? 2u : 0u) + (same_net(&r->target, stands) ? 1u : 0u);
		if (worth > score) {
			score = worth;
			best = i;
		}
	}
	return best;
}

static bool same_way(const struct route *a, const struct route *b)
{
	return same_net(&a->target, &b->target) && a->via_set == b->via_set && a->metric == b->metric &&
	       !memcmp(a->via, b->via, sizeof(a->via));
}

static bool routes_same(const struct network_row *now, const struct network_settings *s)
{
	bool same = now->n_routes == s->n_routes;
	for (unsigned i = 0; same && i < s->n_routes; i++)
		same = same_way(&now->routes[i], &s->routes[i]);
	return same;
}

static bool ways_same(const struct ways *ways, const struct network_row *now)
{
	struct ways stand;
	ways_of(now, &stand);
	bool same = ways->n == stand.n;
	for (unsigned i = 0; same && i < stand.n; i++)
		same = same_way(&ways->at[i], &stand.at[i]);
	return same;
}

/* As they are shown? */
static bool pools_same(const struct network_row *now, const struct network_settings *s)
{
	struct range whole;
	if (whole_pool(now, &whole))
		return s->n_ranges == 1 && !memcmp(s->ranges, &whole, sizeof(whole));
	return s->n_ranges == now->n_ranges && !memcmp(s->ranges, now->ranges, s->n_ranges * sizeof(s->ranges[0]));
}

void zt1_assign_read(bool wished, const struct network_row *now, struct network_settings *s, bool *ret_waits)
{
	struct range whole;
	bool all = whole_pool(now, &whole), set = s->set & SET_NET_RANGES;
	bool none = set ? !s->n_ranges : !now->n_ranges && !now->auto_assign;
	s->auto_assign = wished && !none;
	s->set |= s->auto_assign == now->auto_assign ? 0 : SET_NET_AUTO_ASSIGN;
	*ret_waits = wished && none;
	if (all && !set && !s->auto_assign) { /* shown as a range: it stays one */
		s->ranges[0] = whole;
		s->n_ranges = 1;
		s->set |= SET_NET_RANGES;
	}
}

bool zt1_layout_read(const json_t *body, const struct network_row *now, struct network_settings *s, char why[ZT1_REASON])
{
	const json_t *routes = json_object_get(body, "routes"), *pools = json_object_get(body, "ipAssignmentPools");
	struct ways ways;
	routes = json_is_null(routes) ? NULL : routes;
	pools = json_is_null(pools) ? NULL : pools;
	if (!routes && !pools)
		return true;
	ways_of(now, &ways);
	memcpy(s->ranges, now->ranges, sizeof(s->ranges));
	s->n_ranges = now->n_ranges;
	if ((routes && !ways_read(routes, &ways, why)) || (pools && !ranges_read(pools, s, why)))
		return false;
	bool moved = (routes && !ways_same(&ways, now)) || (pools && !pools_same(now, s));
	if (!moved)
		return true; /* what our own page set may be chosen otherwise than here; said again, it stays */
	unsigned ours = pool_choose(&ways, &now->pool, s->ranges, s->n_ranges), set = 0;
	memset(&s->pool, 0, sizeof(s->pool));
	if (ours < ways.n)
		s->pool = ways.at[ours].target;
	s->n_routes = 0;
	for (unsigned i = 0; i < ways.n; i++) {
		if (i == ours)
			continue;
		if (s->n_routes == MANAGED_MAX)
			return zt1_wrong(why, "routes", "must be at most 63 beside the network's own");
		s->routes[s->n_routes++] = ways.at[i];
	}
	set |= same_net(&s->pool, &now->pool) ? 0 : SET_NET_POOL;
	set |= routes_same(now, s) ? 0 : SET_NET_ROUTES;
	set |= !pools || pools_same(now, s) ? 0 : SET_NET_RANGES;
	s->set |= set;
	return true;
}
