/* network_settings.c: bodies about networks.
 *
 * Routes and DNS are given whole: who changes one route sends them all, with If-Match if somebody else may do the same. A route
 * without "via" leads to what is reached within the network itself, like a LAN behind a bridge. Ranges and EtherTypes are whole lists too;
 * null takes them away.
 */
#include <stdio.h>
#include <string.h>

#include "proto/ethertype.h"
#include "ui/take.h"
#include "ui/value.h"

static bool take_pool(const json_t *object, struct prefix *ret, bool *ret_set, struct problem *problem)
{
	char text[PREFIX_TEXT];
	if (json_is_null(json_object_get(object, "ipv4"))) {
		memset(ret, 0, sizeof(*ret));
		*ret_set = true;
		return true;
	}
	if (!json_take_text(object, "ipv4", 1, text, sizeof(text), ret_set, problem))
		return false;
	if (!*ret_set)
		return true;
	if (!prefix_parse(text, true, ret) || ret->family != 4) {
		problem_set(problem, 400, "not an IPv4 pool", "\"ipv4\" must look like 10.144.0.0/16");
		return false;
	}
	if (!prefix_is_net(ret)) {
		problem_set(problem, 400, "not an IPv4 pool", "\"ipv4\" has address bits set behind its /%u", ret->bits);
		snprintf(problem->hint, sizeof(problem->hint), "a pool names a network: 10.1.2.0/24, not 10.1.2.3/24");
		return false;
	}
	return true;
}

static bool take_limits(const json_t *object, struct network_settings *settings, unsigned *set, struct problem *problem)
{
	const struct {
		const char *name;
		unsigned bit;
		uint32_t max, *at;
	} limits[] = {
	    {SETTING_STORM, SET_NET_STORM, STORM_FRAMES_MAX, &settings->limits.storm_frames},
	    {SETTING_MCAST_RATE, SET_NET_MCAST_RATE, MCAST_KBIT_MAX, &settings->limits.mcast_kbit},
	    {SETTING_MCAST_LIMIT, SET_NET_MCAST_LIMIT, MCAST_LIMIT_MAX, &settings->limits.mcast_limit},
	};
	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
		uint64_t n = 0;
		bool is;
		if (!json_take_count(object, limits[i].name, 0, limits[i].max, &n, &is, problem))
			return false;
		if (!is)
			continue;
		*set |= limits[i].bit;
		*limits[i].at = (uint32_t)n;
	}
	return true;
}

static bool take_host(const json_t *value, struct prefix *ret)
{
	const char *text = json_string_value(value);
	return text && !strchr(text, '/') && value_prefix(text, ret);
}

static bool take_route(const json_t *o, struct route *ret, struct problem *problem)
{
	static const char *const names[] = {"target", "via", "metric"};
	const json_t *via = json_object_get(o, "via"), *value;
	const char *target = json_string_value(json_object_get(o, "target"));
	struct route r = {0};
	struct prefix gateway;
	uint64_t metric = 0;
	bool is;
	size_t known = 0;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		known += (value = json_object_get(o, names[i])) != NULL;
	if (!json_is_object(o) || known != json_object_size(o))
		return take_wrong(problem, "routes", "must hold objects of \"target\", \"via\" and \"metric\"");
	if (!target || !value_prefix(target, &r.target))
		return take_wrong(problem, "routes", "must lead to networks, like {\"target\": \"192.168.7.0/24\"}");
	if (via && !json_is_null(via)) {
		if (!take_host(via, &gateway) || gateway.family != r.target.family)
			return take_wrong(problem, "routes", "must go by way of addresses: \"via\": \"10.20.0.5\", of the target's kind");
		r.via_set = true;
		memcpy(r.via, gateway.ip, sizeof(r.via));
	}
	if (!json_take_count(o, "metric", 0, UINT32_MAX, &metric, &is, problem))
		return false;
	r.metric = (uint32_t)metric;
	*ret = r;
	return true;
}

static bool take_routes(const json_t *object, struct network_settings *s, bool *ret_set, struct problem *problem)
{
	const json_t *list = json_object_get(object, "routes"), *value;
	size_t i;
	*ret_set = list != NULL;
	if (list && (!json_is_array(list) || json_array_size(list) > MANAGED_MAX))
		return take_wrong(problem, "routes", "must be a list of at most 63 routes");
	json_array_foreach(list, i, value) if (!take_route(value, &s->routes[s->n_routes++], problem)) return false;
	return true;
}

/* {domain, servers}; null = none. */
static bool take_dns(const json_t *object, struct section_dns *ret, bool *ret_set, struct problem *problem)
{
	static const char *const should = "must look like {\"domain\": \"office.lan\", \"servers\": [\"10.20.0.53\"]}";
	const json_t *dns = json_object_get(object, "dns"), *servers = json_object_get(dns, "servers"), *value;
	const json_t *domain = json_object_get(dns, "domain");
	struct section_dns s = {0};
	uint8_t encoded[256];
	size_t i;
	*ret_set = dns != NULL;
	if (!dns || json_is_null(dns)) {
		*ret = s;
		return true;
	}
	if (!json_is_object(dns) || json_object_size(dns) != (servers ? 1u : 0u) + (domain ? 1u : 0u) ||
	    (servers && !json_is_array(servers)) || (domain && !json_is_string(domain)))
		return take_wrong(problem, "dns", should);
	if (json_array_size(servers) > DNS_SERVERS_MAX || json_string_length(domain) > NAME_MAX_BYTES)
		return take_wrong(problem, "dns", "may have 4 servers, and a domain of 63 characters");
	json_array_foreach(servers, i, value) if (!take_host(value, &s.servers[s.n_servers++])) return take_wrong(problem, "dns", should);
	snprintf(s.domain, sizeof(s.domain), "%s", domain ? json_string_value(domain) : "");
	if (!section_dns_encode(&s, encoded, sizeof(encoded)))
		return take_wrong(problem, "dns",
		                  "has a \"domain\" that is none: lower case letters, digits, \"-\" and \"_\", with dots between");
	*ret = s;
	return true;
}

static bool take_range(const json_t *o, struct range *ret)
{
	struct prefix first, last;
	if (!json_is_object(o) || json_object_size(o) != 2 || !take_host(json_object_get(o, "first"), &first) ||
	    !take_host(json_object_get(o, "last"), &last) || first.family != 4 || last.family != 4)
		return false;
	memcpy(ret->first, first.ip, 4);
	memcpy(ret->last, last.ip, 4);
	return true;
}

static bool take_ranges(const json_t *object, struct network_settings *s, struct problem *problem)
{
	const json_t *list = json_object_get(object, "ranges"), *value;
	size_t i;
	if (list && !json_is_null(list) && (!json_is_array(list) || json_array_size(list) > RANGES_MAX))
		return take_wrong(problem, "ranges", "must be a list of at most 16 ranges");
	json_array_foreach(list, i, value) if (!take_range(value, &s->ranges[s->n_ranges++])) return take_wrong(
	    problem, "ranges", "must look like {\"first\": \"10.20.1.10\", \"last\": \"10.20.1.99\"}");
	s->set |= list ? SET_NET_RANGES : 0;
	return true;
}

static bool take_ethertypes(const json_t *object, struct network_settings *s, struct problem *problem)
{
	const json_t *list = json_object_get(object, "ethertypes"), *value;
	size_t i;
	if (list && !json_is_null(list) && (!json_is_array(list) || json_array_size(list) > ETHERTYPES_MAX))
		return take_wrong(problem, "ethertypes", "must be a list of at most 16, or null for all");
	json_array_foreach(list, i, value)
	{
		json_int_t n = json_is_integer(value) ? json_integer_value(value) : -1;
		if (n < 0 || n > UINT16_MAX || !ethertypes_add(&s->ethertypes, (uint16_t)n))
			return take_wrong(problem, "ethertypes", "must be numbers from 1536 to 65535, or 0 for LLC: 2048 is IPv4");
	}
	s->set |= list ? SET_NET_ETHERTYPES : 0;
	return true;
}

/* What is given to members by itself. */
static bool take_given(const json_t *object, struct network_settings *s, struct problem *problem)
{
	bool is, v6 = true;
	if (!json_take_bool(object, "auto_assign", &s->auto_assign, &is, problem))
		return false;
	s->set |= is ? SET_NET_AUTO_ASSIGN : 0;
	if (!json_take_bool(object, "ipv6_auto", &v6, &is, problem))
		return false;
	if (is)
		*(v6 ? &s->flags_off : &s->flags_on) |= NETWORK_NO_ULA;
	s->set |= is ? SET_NET_FLAGS : 0;
	return take_ranges(object, s, problem) && take_ethertypes(object, s, problem);
}

bool settings_network(const char *body, size_t len, bool create, struct network_settings *ret, struct problem *problem)
{
	static const char *const fixed[] = {"name",
	                                    "description",
	                                    "ipv4",
	                                    "mtu",
	                                    "routes",
	                                    "dns",
	                                    "ranges",
	                                    "auto_assign",
	                                    "ethertypes",
	                                    "ipv6_auto",
	                                    SETTING_STORM,
	                                    SETTING_MCAST_RATE,
	                                    SETTING_MCAST_LIMIT,
	                                    NULL};
	const char *names[NAMES_MAX + 1];
	struct network_settings settings = {0};
	unsigned set = 0;
	uint64_t mtu = 0;
	bool is, good = false;

	names_join(fixed, network_flag_names, names);
	json_t *object = json_body(body, len, names, problem);
	if (!object)
		return false;
	if (!take_name(object, "name", settings.name, sizeof(settings.name), &is, problem))
		goto out;
	if ((create || is) && !settings.name[0]) {
		take_wrong(problem, "name", "is what a network needs: 1 to 63 bytes");
		goto out;
	}
	set |= is ? SET_NET_NAME : 0;
	if (!take_name(object, "description", settings.description, sizeof(settings.description), &is, problem))
		goto out;
	set |= is ? SET_NET_DESCRIPTION : 0;
	if (!take_routes(object, &settings, &is, problem))
		goto out;
	set |= is ? SET_NET_ROUTES : 0;
	if (!take_dns(object, &settings.dns, &is, problem))
		goto out;
	set |= is ? SET_NET_DNS : 0;
	if (!take_pool(object, &settings.pool, &is, problem))
		goto out;
	set |= is ? SET_NET_POOL : 0;
	if (!json_take_count(object, "mtu", MTU_MIN, MTU_MAX, &mtu, &is, problem))
		goto out;
	set |= is ? SET_NET_MTU : 0;
	settings.mtu = (uint16_t)mtu;
	if (!take_given(object, &settings, problem) || !take_limits(object, &settings, &set, problem) ||
	    !take_flags(object, network_flag_names, &is, &settings.flags_on, &settings.flags_off, problem))
		goto out;
	set |= is ? SET_NET_FLAGS : 0;
	settings.set |= set;
	*ret = settings;
	good = true;
out:
	json_decref(object);
	return good;
}
