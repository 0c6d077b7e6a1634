/* zt1_network.c: networks, as these programs know them.
 *
 * A body is read whole against the network as it stands; only what becomes another is set, in one transaction, so an object that is echoed
 * back with one field changed changes that field. What has no meaning here but is theirs to keep (the source text of their rules, names
 * of tags) stands in a text beside the network and is given back. Their names may be empty or stand twice, ours may not: then ours gets
 * the network's last six digits behind it, and theirs is kept in that text.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/random.h"
#include "ui/zt1_controller.h"

#define ZT1_MTU   2800 /* their default: large enough for bridges */
#define NAME_TAIL 7    /* "-c04e01" */

/* Kept and given back: with what stands there when nothing was kept. */
static const struct keep {
	const char *name, *none;
} keeps[] = {
    {"rulesSource", "\"\""},   {"tagsByName", "{}"}, {"capabilitiesByName", "{}"},      {"remoteTraceTarget", "null"},
    {"remoteTraceLevel", "0"}, {"clientId", "\"\""}, {"authorizationEndpoint", "\"\""},
};
#define KEEPS (sizeof(keeps) / sizeof(keeps[0]))

/* ---- telling ---- */

static json_t *extra_load(struct zt1_api *api, uint64_t nwid)
{
	struct admin_error error;
	char *text = malloc(NETWORK_EXTRA_MAX + 1);
	json_t *extra = NULL;
	if (text && controller_network_extra_get(api->api->controller, nwid, text, &error) == ADMIN_OK && *text)
		extra = json_loads(text, 0, NULL);
	free(text);
	if (json_is_object(extra))
		return extra;
	json_decref(extra);
	return json_object();
}

/* What our name is when theirs cannot be. */
static void name_tailed(const char *theirs, uint64_t nwid, char ret[NAME_MAX_BYTES + 1])
{
	size_t len = strlen(theirs), room = NAME_MAX_BYTES - NAME_TAIL;
	while (len > room || (len && len < strlen(theirs) && ((unsigned char)theirs[len] & 0xc0) == 0x80))
		len--; /* not within a character */
	snprintf(ret, NAME_MAX_BYTES + 1, "%.*s-%06llx", len ? (int)len : 7, len ? theirs : "network", (unsigned long long)nwid & 0xffffff);
}

static const char *name_shown(const struct network_row *row, const json_t *extra)
{
	char tailed[NAME_MAX_BYTES + 1];
	const char *theirs = json_string_value(json_object_get(extra, "name"));
	if (!theirs)
		return row->name;
	name_tailed(theirs, row->nwid, tailed);
	return strcmp(tailed, row->name) ? row->name : theirs; /* it was renamed elsewhere */
}

/* What ours is when theirs is too long, or has more lines than one. */
static void description_cut(const char *theirs, char ret[DESCRIPTION_MAX + 1])
{
	size_t len = strnlen(theirs, DESCRIPTION_MAX);
	while (len && ((unsigned char)theirs[len] & 0xc0) == 0x80)
		len--; /* not within a character */
	for (size_t i = 0; i < len; i++)
		ret[i] = (unsigned char)theirs[i] < 0x20 || theirs[i] == 0x7f ? ' ' : theirs[i];
	ret[len] = '\0';
}

static const char *description_shown(const struct network_row *row, const json_t *extra)
{
	char cut[DESCRIPTION_MAX + 1];
	const char *theirs = json_string_value(json_object_get(extra, "description"));
	if (!theirs)
		return row->description;
	description_cut(theirs, cut);
	return strcmp(cut, row->description) ? row->description : theirs; /* it was told anew elsewhere */
}

static int64_t multicast_shown(const struct network_row *row)
{
	return row->flags & NETWORK_NO_MULTICAST ? 0 : row->limits.mcast_limit ? row->limits.mcast_limit : MCAST_LIMIT_MAX;
}

/* Kept under "assign": it is wished, and waits for a range. */
static bool assign_shown(const struct network_row *row, const json_t *extra)
{
	return row->auto_assign || json_is_true(json_object_get(extra, "assign"));
}

static json_t *dns_json(const struct section_dns *dns)
{
	if (!dns->n_servers && !dns->domain[0])
		return json_array();
	json_t *o = json_object(), *servers = json_array();
	for (unsigned i = 0; i < dns->n_servers; i++)
		json_array_append_new(servers, json_host(&dns->servers[i]));
	json_object_set_new(o, "domain", json_text(dns->domain));
	json_object_set_new(o, "servers", servers);
	return o;
}

static json_t *network_json(const struct network_row *row, const json_t *extra)
{
	char id[NWID_TEXT];
	json_t *o = json_object();
	nwid_format(row->nwid, id);
	json_object_set_new(o, "id", json_string(id));
	json_object_set_new(o, "nwid", json_string(id));
	json_object_set_new(o, "objtype", json_string("network"));
	json_object_set_new(o, "name", json_text(name_shown(row, extra)));
	json_object_set_new(o, "private", json_boolean(!(row->flags & NETWORK_PUBLIC)));
	json_object_set_new(o, "creationTime", json_count(row->created_wall_s * 1000));
	json_object_set_new(o, "revision", json_count(row->revision));
	json_object_set_new(o, "enableBroadcast", json_boolean(!(row->flags & NETWORK_NO_BROADCAST)));
	json_object_set_new(o, "multicastLimit", json_integer(multicast_shown(row)));
	json_object_set_new(o, "mtu", json_integer(row->mtu));
	json_object_set_new(o, "v4AssignMode", json_pack("{s:b}", "zt", assign_shown(row, extra)));
	json_object_set_new(o, "v6AssignMode",
	                    json_pack("{s:b, s:b, s:b}", "6plane", 0, "rfc4193", !(row->flags & NETWORK_NO_ULA), "zt", 0));
	json_object_set_new(o, "routes", zt1_routes_json(row));
	json_object_set_new(o, "ipAssignmentPools", zt1_pools_json(row));
	json_object_set_new(o, "dns", dns_json(&row->dns));
	json_object_set_new(o, "rules", zt1_rules_json(&row->ethertypes));
	json_object_set_new(o, "capabilities", json_array());
	json_object_set_new(o, "tags", json_array());
	json_object_set_new(o, "authTokens", json_array());
	json_object_set_new(o, "ssoEnabled", json_false());
	json_object_set_new(o, "description", json_text(description_shown(row, extra)));
	for (size_t i = 0; i < KEEPS; i++) {
		json_t *kept = json_object_get(extra, keeps[i].name);
		json_object_set_new(o, keeps[i].name, kept ? json_incref(kept) : json_loads(keeps[i].none, JSON_DECODE_ANY, NULL));
	}
	return o;
}

static void network_answer(struct zt1_api *api, uint64_t nwid, struct reply *reply)
{
	struct admin_error error = {0};
	struct network_row row;
	enum admin_status status = controller_network_get(api->api->controller, nwid, &row, &error);
	if (status != ADMIN_OK) {
		zt1_failed(reply, status, &error);
		return;
	}
	json_t *extra = extra_load(api, nwid);
	reply_json(reply, 200, network_json(&row, extra));
	json_decref(extra);
}

static void id_append(void *array, const struct network_row *row)
{
	char id[NWID_TEXT];
	nwid_format(row->nwid, id);
	json_array_append_new(array, json_string(id));
}

void zt1_networks_get(void *self, const struct request *request, struct reply *reply)
{
	struct zt1_api *api = self;
	struct admin_error error = {0};
	json_t *list = json_array();
	(void)request;
	enum admin_status status = controller_network_each(api->api->controller, id_append, list, &error);
	if (status == ADMIN_OK) {
		reply_json(reply, 200, list);
		return;
	}
	json_decref(list);
	zt1_failed(reply, status, &error);
}

void zt1_networks_all(void *self, const struct request *request, struct reply *reply)
{
	struct zt1_api *api = self;
	struct admin_error error = {0};
	struct network_row row;
	json_t *ids = json_array(), *data = json_array(), *o = json_object(), *id;
	size_t i;
	uint64_t nwid;
	(void)request;
	enum admin_status status = controller_network_each(api->api->controller, id_append, ids, &error);
	json_array_foreach(ids, i, id)
	{
		if (!zt1_nwid(json_string_value(id), &nwid) || controller_network_get(api->api->controller, nwid, &row, &error) != ADMIN_OK)
			continue;
		json_t *extra = extra_load(api, nwid);
		json_array_append_new(data, network_json(&row, extra));
		json_decref(extra);
	}
	json_decref(ids);
	json_object_set_new(o, "meta", json_pack("{s:i}", "networkCount", (int)json_array_size(data)));
	json_object_set_new(o, "data", data);
	if (status == ADMIN_OK) {
		reply_json(reply, 200, o);
		return;
	}
	json_decref(o);
	zt1_failed(reply, status, &error);
}

void zt1_network_get(void *self, const struct request *request, struct reply *reply)
{
	uint64_t nwid;
	if (zt1_network_of(request, reply, &nwid))
		network_answer(self, nwid, reply);
}

/* ---- reading ---- */

struct wish {
	struct network_settings settings;
	json_t *extra; /* as it will be */
	const char *name;
	char why[ZT1_REASON];
};

static void flag_wish(struct network_settings *s, const struct network_row *now, uint32_t flag, bool on)
{
	if (on == !!(now->flags & flag))
		return;
	s->set |= SET_NET_FLAGS;
	*(on ? &s->flags_on : &s->flags_off) |= flag;
}

/* "zt", "v6" and the like in one string is how old clients say it. */
static bool mode(const json_t *object, const char *name, bool fallback)
{
	if (json_is_string(object))
		return strstr(json_string_value(object), name);
	return zt1_bool(json_object_get(object, name), fallback);
}

static bool modes_read(const json_t *body, const struct network_row *now, struct wish *w)
{
	const json_t *v4 = json_object_get(body, "v4AssignMode"), *v6 = json_object_get(body, "v6AssignMode");
	if (mode(v6, "6plane", false) || mode(v6, "zt", false))
		return zt1_wrong(w->why, "v6AssignMode",
		                 "may have rfc4193 only: IPv6 addresses are derived here, and neither given nor of 6plane");
	bool waits;
	zt1_assign_read(mode(v4, "zt", assign_shown(now, w->extra)), now, &w->settings, &waits);
	if (waits)
		json_object_set_new(w->extra, "assign", json_true());
	else
		json_object_del(w->extra, "assign");
	flag_wish(&w->settings, now, NETWORK_NO_ULA, !mode(v6, "rfc4193", !(now->flags & NETWORK_NO_ULA)));
	return true;
}

static bool dns_same(const struct section_dns *a, const struct section_dns *b)
{
	bool same = a->n_servers == b->n_servers && !strcmp(a->domain, b->domain);
	for (unsigned i = 0; same && i < a->n_servers; i++)
		same = a->servers[i].family == b->servers[i].family && !memcmp(a->servers[i].ip, b->servers[i].ip, 16);
	return same;
}

/* {domain, servers}; a list of one of those, and an empty one, stand for the same and for none. */
static bool dns_read(const json_t *dns, const struct network_row *now, struct wish *w)
{
	static const char *const should =
	    "must look like {\"domain\": \"office.lan\", \"servers\": [\"10.20.0.53\"]}, with 4 servers at most";
	struct section_dns *s = &w->settings.dns;
	uint8_t encoded[256];
	const json_t *server;
	size_t i;
	if (json_is_array(dns) && json_array_size(dns) == 1)
		dns = json_array_get(dns, 0);
	const json_t *domain = json_object_get(dns, "domain"), *servers = json_object_get(dns, "servers");
	if (!json_is_object(dns) && !zt1_hollow(dns))
		return zt1_wrong(w->why, "dns", should);
	if (domain && !json_is_null(domain) && !zt1_text(domain, NAME_MAX_BYTES))
		return zt1_wrong(w->why, "dns", should);
	if (json_array_size(servers) > DNS_SERVERS_MAX || (servers && !json_is_array(servers) && !json_is_null(servers)))
		return zt1_wrong(w->why, "dns", should);
	snprintf(s->domain, sizeof(s->domain), "%s", json_is_string(domain) ? json_string_value(domain) : "");
	for (char *at = s->domain; *at; at++)
		*at = *at >= 'A' && *at <= 'Z' ? (char)(*at | 32) : *at;
	json_array_foreach(servers, i, server)
	{
		struct prefix *p = &s->servers[s->n_servers++];
		const char *text = zt1_text(server, PREFIX_TEXT);
		if (!text || strchr(text, '/') || !prefix_parse(text, false, p))
			return zt1_wrong(w->why, "dns", should);
		p->bits = p->family == 4 ? 32 : 128;
	}
	if (*s->domain && !section_dns_encode(s, encoded, sizeof(encoded)))
		return zt1_wrong(w->why, "dns", "has a \"domain\" that is none: letters, digits, \"-\" and \"_\", with dots between");
	w->settings.set |= dns_same(s, &now->dns) ? 0 : SET_NET_DNS;
	return true;
}

static bool extra_put(struct wish *w, const char *name, json_t *value)
{
	return json_object_set(w->extra, name, value) == 0 || zt1_wrong(w->why, name, "cannot be kept");
}

static bool texts_read(const json_t *body, const struct network_row *now, const char *named, struct wish *w)
{
	json_t *name = json_object_get(body, "name"), *description = json_object_get(body, "description");
	if (json_is_string(name) && strcmp(json_string_value(name), named) != 0) {
		w->name = zt1_text(name, NAME_MAX_BYTES);
		if (!w->name)
			return zt1_wrong(w->why, "name", "must be 63 bytes long at most, without control characters");
	}
	if (!json_is_string(description))
		return true;
	description_cut(json_string_value(description), w->settings.description);
	w->settings.set |= strcmp(w->settings.description, now->description) ? SET_NET_DESCRIPTION : 0;
	if (strcmp(w->settings.description, json_string_value(description)) != 0)
		return extra_put(w, "description", description);
	json_object_del(w->extra, "description");
	return true;
}

/* Of the type it has when it is not there; others are not theirs. */
static bool keeps_read(const json_t *body, struct wish *w)
{
	for (size_t i = 0; i < KEEPS; i++) {
		json_t *value = json_object_get(body, keeps[i].name), *none = json_loads(keeps[i].none, JSON_DECODE_ANY, NULL);
		bool fits = value && none && (json_typeof(value) == json_typeof(none) || (json_is_null(none) && json_is_string(value)));
		bool good = true;
		if (fits && json_equal(value, none))
			json_object_del(w->extra, keeps[i].name);
		else if (fits)
			good = extra_put(w, keeps[i].name, value);
		json_decref(none);
		if (!good)
			return false;
	}
	return true;
}

static bool numbers_read(const json_t *body, const struct network_row *now, struct wish *w)
{
	struct network_settings *s = &w->settings;
	int64_t mtu = zt1_int(json_object_get(body, "mtu"), now->mtu);
	int64_t shown = multicast_shown(now), limit = zt1_int(json_object_get(body, "multicastLimit"), shown);
	s->mtu = (uint16_t)(mtu < MTU_MIN ? MTU_MIN : mtu > MTU_MAX ? MTU_MAX : mtu);
	s->set |= s->mtu == now->mtu ? 0 : SET_NET_MTU;
	if (limit != shown) {
		flag_wish(s, now, NETWORK_NO_MULTICAST, limit <= 0);
		s->limits.mcast_limit = (uint32_t)(limit > MCAST_LIMIT_MAX ? MCAST_LIMIT_MAX : limit);
		s->set |= limit > 0 ? SET_NET_MCAST_LIMIT : 0;
	}
	flag_wish(s, now, NETWORK_PUBLIC, !zt1_bool(json_object_get(body, "private"), !(now->flags & NETWORK_PUBLIC)));
	flag_wish(s, now, NETWORK_NO_BROADCAST, !zt1_bool(json_object_get(body, "enableBroadcast"), !(now->flags & NETWORK_NO_BROADCAST)));
	return true;
}

static bool rules_read(const json_t *rules, const struct network_row *now, struct wish *w)
{
	struct ethertypes *types = &w->settings.ethertypes;
	if (!rules || json_is_null(rules))
		return true;
	if (!zt1_rules_read(rules, types, w->why))
		return false;
	bool same = types->n == now->ethertypes.n && !memcmp(types->type, now->ethertypes.type, types->n * sizeof(types->type[0]));
	w->settings.set |= same ? 0 : SET_NET_ETHERTYPES;
	return true;
}

/* w->extra is what is kept now, and named the name that is shown. */
static bool wish_read(const json_t *body, const struct network_row *now, const char *named, struct wish *w)
{
	static const char *const lacking[] = {"capabilities", "tags", "authTokens", "ssoEnabled", NULL};
	const json_t *dns = json_object_get(body, "dns");
	return zt1_lacking(body, lacking, w->why) && texts_read(body, now, named, w) && numbers_read(body, now, w) &&
	       zt1_layout_read(body, now, &w->settings, w->why) && modes_read(body, now, w) && (!dns || dns_read(dns, now, w)) &&
	       rules_read(json_object_get(body, "rules"), now, w) && keeps_read(body, w);
}

/* ---- writing ---- */

static char *extra_text(const json_t *extra, char why[ZT1_REASON])
{
	char *text = json_object_size(extra) ? json_dumps(extra, JSON_COMPACT | JSON_SORT_KEYS) : strdup("");
	if (text && strlen(text) <= NETWORK_EXTRA_MAX)
		return text;
	free(text);
	zt1_wrong(why, "rulesSource", "and what else is only kept here must be 65536 bytes long at most");
	return NULL;
}

static enum admin_status write_extra(struct zt1_api *api, uint64_t nwid, const char *text, struct admin_error *error)
{
	enum admin_status status = ADMIN_OK;
	char *now = malloc(NETWORK_EXTRA_MAX + 1);
	if (!now || controller_network_extra_get(api->api->controller, nwid, now, error) != ADMIN_OK || strcmp(now, text) != 0)
		status = controller_network_extra_set(api->api->controller, nwid, text, error);
	free(now);
	return status;
}

/* Their name becomes ours if it can; else ours has a tail, and theirs is kept. A new network has no number yet: `nwid` is 0. */
static void name_settle(struct wish *w, uint64_t nwid, bool tail)
{
	struct network_settings *s = &w->settings;
	json_object_del(w->extra, "name");
	s->set |= SET_NET_NAME;
	if (*w->name && !tail) {
		snprintf(s->name, sizeof(s->name), "%s", w->name);
		return;
	}
	json_object_set_new(w->extra, "name", json_string(w->name));
	name_tailed(w->name, nwid, s->name);
}

struct named {
	const char *name;
	uint64_t nwid;
	bool found;
};

static void name_look(void *self, const struct network_row *row)
{
	struct named *named = self;
	named->found = named->found || (row->nwid != named->nwid && !strcmp(row->name, named->name));
}

static bool name_taken(struct zt1_api *api, const char *name, uint64_t nwid)
{
	struct admin_error error;
	struct named named = {.name = name, .nwid = nwid};
	controller_network_each(api->api->controller, name_look, &named, &error);
	return named.found;
}

static enum admin_status network_write(struct zt1_api *api, uint64_t nwid, struct wish *w, struct admin_error *error)
{
	enum admin_status status = ADMIN_OK;
	if (w->name)
		name_settle(w, nwid, name_taken(api, w->name, nwid));
	char *text = extra_text(w->extra, w->why);
	if (!text)
		return ADMIN_INVALID;
	if (w->settings.set)
		status = controller_network_set(api->api->controller, nwid, &w->settings, error);
	if (status == ADMIN_OK)
		status = write_extra(api, nwid, text, error);
	free(text);
	return status;
}

static void written(struct zt1_api *api, uint64_t nwid, enum admin_status status, const struct wish *w, const struct admin_error *error,
                    struct reply *reply)
{
	if (status == ADMIN_OK)
		network_answer(api, nwid, reply);
	else if (*w->why)
		zt1_refuse(reply, 400, "%s", w->why);
	else
		zt1_failed(reply, status, error);
}

void zt1_network_post(void *self, const struct request *request, struct reply *reply)
{
	struct zt1_api *api = self;
	struct admin_error error = {0};
	struct network_row row;
	struct wish w = {.why = ""};
	uint64_t nwid, address = 0;
	char head[ADDRESS_TEXT];

	size_t len = strlen(request->arg[0]);
	snprintf(head, sizeof(head), "%.10s", request->arg[0]);
	if (len == 16 && !strcmp(request->arg[0] + 10, "______") && zt1_address(head, &address)) {
		if (address == api->api->self->address)
			zt1_network_create(self, request, reply);
		else
			zt1_refuse(reply, 404, "%s is not this controller's address", head);
		return;
	}
	if (!zt1_network_of(request, reply, &nwid))
		return;
	json_t *body = zt1_body(request, reply);
	if (!body)
		return;
	enum admin_status status = controller_network_get(api->api->controller, nwid, &row, &error);
	if (status == ADMIN_OK) {
		w.extra = extra_load(api, nwid);
		char named[NAME_MAX_BYTES + 1];
		snprintf(named, sizeof(named), "%s", name_shown(&row, w.extra));
		status = wish_read(body, &row, named, &w) ? network_write(api, nwid, &w, &error) : ADMIN_INVALID;
	}
	written(api, nwid, status, &w, &error, reply);
	json_decref(w.extra);
	json_decref(body);
}

/* As theirs is when it says nothing: private, no address is given, IPv4 and IPv6 alike. */
static void network_begin(struct network_row *ret, struct network_settings *s)
{
	*ret = (struct network_row){.mtu = ZT1_MTU, .flags = NETWORK_NO_ULA, .limits = {.mcast_limit = MCAST_LIMIT_DEFAULT}};
	s->set = SET_NET_MTU | SET_NET_FLAGS | SET_NET_AUTO_ASSIGN;
	s->flags_on = NETWORK_NO_ULA;
}

/* Two writes, since the number that a name's tail has is known only then; who sees the first alone sees a network that is theirs. */
void zt1_network_create(void *self, const struct request *request, struct reply *reply)
{
	struct zt1_api *api = self;
	struct admin_error error = {0};
	struct network_row row;
	struct wish w = {.why = "", .extra = json_object()};
	uint64_t nwid = 0;
	char *text = NULL;
	enum admin_status status = ADMIN_INVALID;

	json_t *body = zt1_body(request, reply);
	if (!body) {
		json_decref(w.extra);
		return;
	}
	network_begin(&row, &w.settings);
	if (wish_read(body, &row, "", &w) && (text = extra_text(w.extra, w.why))) {
		w.settings.flags_on &= ~w.settings.flags_off;
		w.name = w.name ? w.name : "";
		bool tail = !*w.name || name_taken(api, w.name, 0);
		snprintf(w.settings.name, sizeof(w.settings.name), "%s", w.name);
		if (tail) /* nobody's until its number is known */
			snprintf(w.settings.name, sizeof(w.settings.name), "zt1-%08x%08x", random_u32(), random_u32());
		w.settings.set |= SET_NET_NAME;
		status = controller_network_create(api->api->controller, &w.settings, &nwid, &error);
		w.settings = (struct network_settings){0};
		w.name = tail ? w.name : NULL;
		if (status == ADMIN_OK && (tail || *text) && (status = network_write(api, nwid, &w, &error)) != ADMIN_OK)
			controller_network_delete(api->api->controller, nwid, &(struct admin_error){0}); /* what was refused is not there */
	}
	written(api, nwid, status, &w, &error, reply);
	free(text);
	json_decref(w.extra);
	json_decref(body);
}

void zt1_network_delete(void *self, const struct request *request, struct reply *reply)
{
	struct zt1_api *api = self;
	struct admin_error error = {0};
	uint64_t nwid;
	if (!zt1_network_of(request, reply, &nwid))
		return;
	network_answer(api, nwid, reply); /* as it was: they read the answer */
	if (reply->status != 200)
		return;
	enum admin_status status = controller_network_delete(api->api->controller, nwid, &error);
	if (status != ADMIN_OK)
		zt1_failed(reply, status, &error);
}
