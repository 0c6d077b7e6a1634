/* network.c: network create, show, set, delete.
 *
 * Options become the fields of one JSON object; what they may hold is judged by the controller, whose answer names the field,
 * so that page and command line have one judge.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/log.h"
#include "proto/ethertype.h"
#include "ui/cli/client.h"
#include "ui/cli/output.h"
#include "ui/cli/setting.h"

#define PATH_ROOM 96

static const struct column columns[] = {
    {"network", "id", CELL_TEXT},
    {"name", "name", CELL_TEXT},
    {"description", "description", CELL_TEXT},
    {"ipv4", "ipv4", CELL_TEXT},
    {"ipv6", "ipv6", CELL_TEXT},
    {"addresses left", "left", CELL_COUNT},
    {"given of it", "given", CELL_LIST},
    {"auto assign", "auto_assign", CELL_YES_NO},
    {"ipv6 auto", "ipv6_auto", CELL_YES_NO},
    {"ethertypes", "passing", CELL_LIST},
    {"routes", "ways", CELL_LIST},
    {"dns", "names", CELL_LIST},
    {"mtu", "mtu", CELL_COUNT},
    {"public", "public", CELL_YES_NO},
    {"storm (frames/s)", SETTING_STORM, CELL_COUNT},
    {"multicast rate (kbit/s)", SETTING_MCAST_RATE, CELL_COUNT},
    {"multicast limit", SETTING_MCAST_LIMIT, CELL_COUNT},
    {"ip guard", "ip-guard", CELL_YES_NO},
    {"ra guard", "ra-guard", CELL_YES_NO},
    {"dhcp guard", "dhcp-guard", CELL_YES_NO},
    {"broadcast", "broadcast", CELL_YES_NO},
    {"multicast", "multicast", CELL_YES_NO},
    {"members", "members", CELL_COUNT},
    {"pending", "pending", CELL_COUNT},
    {"online", "online", CELL_COUNT},
    {"relayed", "relayed", CELL_COUNT},
    {"version", "version", CELL_COUNT},
    {"created", "created", CELL_TIME},
    {0},
};

/* TARGET[,VIA[,METRIC]]; what an address is, is the controller's to say. */
static int route_add(void *list, const char *value)
{
	char text[128], *via, *metric = NULL, *end = NULL;
	if (!strcmp(value, "none"))
		return 0;
	snprintf(text, sizeof(text), "%s", value);
	if ((via = strchr(text, ',')))
		*via++ = '\0';
	if (via && (metric = strchr(via, ',')))
		*metric++ = '\0';
	unsigned long n = metric ? strtoul(metric, &end, 10) : 0;
	json_t *o = json_object();
	int bad = json_object_set_new(o, "target", json_string(text)) || (via && *via && json_object_set_new(o, "via", json_string(via))) ||
	          (metric && (*end || end == metric || n > UINT32_MAX)) || strlen(value) >= sizeof(text);
	json_object_set_new(o, "metric", json_integer((json_int_t)n));
	json_array_append_new(list, o);
	return bad ? complain(EXIT_USAGE, "--route takes TARGET or TARGET,VIA[,METRIC], like 192.168.7.0/24,10.77.0.5") : 0;
}

static int routes(const struct call *call, json_t *body)
{
	if (!options_has(&call->options, "route"))
		return 0;
	json_t *list = json_array();
	json_object_set_new(body, "routes", list);
	return setting_each(call, "route", route_add, list);
}

static int dns(const struct call *call, json_t *body)
{
	const char *value = options_value(&call->options, "dns");
	if (!value || !strcmp(value, "none")) {
		if (value)
			json_object_set_new(body, "dns", json_null());
		return 0;
	}
	size_t n = strcspn(value, ",");
	json_t *o = json_object(), *servers = json_array();
	int bad = json_object_set_new(o, "domain", json_stringn(value, n));
	json_object_set_new(o, "servers", servers);
	for (const char *at = value + n; *at == ','; at += n) {
		n = strcspn(++at, ",");
		bad = bad || json_array_append_new(servers, json_stringn(at, n));
	}
	json_object_set_new(body, "dns", o);
	return bad || !json_array_size(servers) ? complain(EXIT_USAGE, "--dns takes DOMAIN,SERVER[,SERVER]..., like office.lan,10.77.0.53")
	                                        : 0;
}

/* FIRST-LAST; what an address is, is the controller's to say. */
static int range_add(void *list, const char *value)
{
	size_t n = strcspn(value, "-");
	if (!strcmp(value, "none"))
		return 0;
	json_t *first = json_stringn(value, n), *last = value[n] ? json_string(value + n + 1) : NULL;
	if (!first || !last) {
		json_decref(first);
		json_decref(last);
		return complain(EXIT_USAGE, "--range takes FIRST-LAST, like 10.77.0.10-10.77.0.99, or none");
	}
	return json_array_append_new(list, json_pack("{s:o, s:o}", "first", first, "last", last));
}

static int ranges(const struct call *call, json_t *body)
{
	if (!options_has(&call->options, "range"))
		return 0;
	json_t *list = json_array();
	json_object_set_new(body, "ranges", list);
	return setting_each(call, "range", range_add, list);
}

static int ethertypes(const struct call *call, json_t *body)
{
	const char *value = options_value(&call->options, "ethertypes");
	char text[32];
	uint16_t type;
	if (!value)
		return 0;
	json_t *list = json_array();
	bool all = !strcmp(value, "all");
	json_object_set_new(body, "ethertypes", all ? json_incref(json_null()) : list);
	for (size_t n = 0; !all; value += n + 1) {
		n = strcspn(value, ",");
		snprintf(text, sizeof(text), "%.*s", (int)(n < sizeof(text) ? n : sizeof(text) - 1), value);
		if (!ethertype_parse(text, &type))
			return complain(EXIT_USAGE,
			                "--ethertypes takes all, or names and numbers like ipv4,arp,ipv6,0x88cc; see man farlan");
		json_array_append_new(list, json_integer(type));
		if (!value[n])
			break;
	}
	if (all)
		json_decref(list);
	return 0;
}

/* The fields of the options. NULL with the complaint printed. */
static json_t *settings(const struct call *call)
{
	json_t *body = json_object();
	const char *name = options_value(&call->options, "name"), *ipv4 = options_value(&call->options, "ipv4");
	const char *mtu = options_value(&call->options, "mtu");
	char *end = NULL;
	long n = mtu ? strtol(mtu, &end, 10) : 0;
	if (mtu && (*end || end == mtu || n < 1 || n > 65535)) {
		complain(EXIT_USAGE, "--mtu takes a number, like 2800 or 1500");
		goto refused;
	}
	if (setting_switches(call, network_flag_names, body) || setting_count(call, SETTING_STORM, STORM_FRAMES_MAX, body) ||
	    setting_count(call, SETTING_MCAST_LIMIT, MCAST_LIMIT_MAX, body) || setting_rate(call, SETTING_MCAST_RATE, body) ||
	    setting_text(call, "description", true, body) || routes(call, body) || dns(call, body) || ranges(call, body) ||
	    ethertypes(call, body) || setting_switch(call, "auto-assign", "auto_assign", body) ||
	    setting_switch(call, "ipv6-auto", "ipv6_auto", body))
		goto refused;
	if ((name && json_object_set_new(body, "name", json_string(name))) ||
	    (ipv4 && json_object_set_new(body, "ipv4", strcmp(ipv4, "none") != 0 ? json_string(ipv4) : json_null()))) {
		complain(EXIT_USAGE, "a name is UTF-8 text"); /* jansson takes nothing else */
		goto refused;
	}
	if (mtu)
		json_object_set_new(body, "mtu", json_integer(n));
	return body;
refused:
	json_decref(body);
	return NULL;
}

static void show_given(json_t *network)
{
	json_t *given = json_array(), *passing = json_array(), *one;
	char text[64];
	size_t i;
	json_array_foreach(json_object_get(network, "ranges"), i, one)
	{
		snprintf(text, sizeof(text), "%s-%s", field(one, "first"), field(one, "last"));
		json_array_append_new(given, json_string(text));
	}
	json_array_foreach(json_object_get(network, "ethertypes"), i, one)
	{
		uint16_t type = (uint16_t)json_integer_value(one);
		snprintf(text, sizeof(text), "0x%04x", type);
		json_array_append_new(passing, json_string(ethertype_name(type) ? ethertype_name(type) : text));
	}
	if (!json_array_size(passing))
		json_array_append_new(passing, json_string("all"));
	if (!json_array_size(given) && *field(network, "ipv4"))
		json_array_append_new(given, json_string("all of it"));
	json_object_set_new(network, "given", given);
	json_object_set_new(network, "passing", passing);
}

/* A network for people: what is nested in a line each; and what might not be meant on standard error. */
static int show(json_t *network)
{
	json_t *list = json_array(), *names = json_array(), *one;
	char text[256];
	size_t i;
	json_array_foreach(json_object_get(network, "routes"), i, one)
	{
		const char *via = field(one, "via");
		snprintf(text, sizeof(text), "%s%s%s", field(one, "target"), *via ? "," : "", via);
		json_array_append_new(list, json_string(text));
	}
	const json_t *all = json_object_get(network, "dns");
	if (*field(all, "domain"))
		json_array_append(names, json_object_get(all, "domain"));
	json_array_extend(names, json_object_get(all, "servers"));
	show_given(network);
	json_object_set_new(network, "ways", list);
	json_object_set_new(network, "names", names);
	json_object_set(network, "left", json_object_get(json_object_get(network, "pool"), "rest"));
	int code = output_lines(network, columns);
	json_array_foreach(json_object_get(network, "warnings"), i, one)
	{
		fflush(stdout);
		complain(0, "note: %s", log_text(text, sizeof(text), json_string_value(one), json_string_length(one)));
	}
	return code;
}

static int path_of(const struct call *call, char nwid[NWID_TEXT], char path[PATH_ROOM])
{
	int code = word_nwid(call->words[0], nwid, NULL);
	if (code == 0)
		snprintf(path, PATH_ROOM, "/v1/networks/%s", nwid);
	return code;
}

int run_network_create(struct call *call)
{
	char name[CELL_MAX], id[CELL_MAX];
	json_t *network, *body = settings(call);
	if (!body)
		return EXIT_USAGE;
	if (json_object_set_new(body, "name", json_string(call->words[0]))) {
		json_decref(body);
		return complain(EXIT_USAGE, "a name is UTF-8 text");
	}
	int code = client_shown(call, "POST", "/v1/networks", body, NULL, NULL, &network);
	if (code == 0 && call->format == FORMAT_TABLE)
		printf("created network \"%s\": %s\n", cell_text(network, "name", CELL_TEXT, name),
		       cell_text(network, "id", CELL_TEXT, id));
	json_decref(network);
	return code;
}

int run_network_show(struct call *call)
{
	char nwid[NWID_TEXT], path[PATH_ROOM];
	json_t *network;
	int code = path_of(call, nwid, path);
	if (code)
		return code;
	code = client_shown(call, "GET", path, NULL, NULL, NULL, &network);
	if (code == 0 && call->format == FORMAT_TABLE)
		code = show(network);
	json_decref(network);
	return code;
}

int run_network_set(struct call *call)
{
	char nwid[NWID_TEXT], path[PATH_ROOM];
	json_t *network, *body;
	int code = path_of(call, nwid, path);
	if (code)
		return code;
	body = settings(call);
	if (!body)
		return EXIT_USAGE;
	if (!json_object_size(body)) {
		json_decref(body);
		return complain(EXIT_USAGE, "nothing to set: give an option, like --mtu 1500; see farlan help network set");
	}
	code = client_shown(call, "PATCH", path, body, NULL, NULL, &network);
	if (code == 0 && call->format == FORMAT_TABLE)
		code = show(network);
	json_decref(network);
	return code;
}

int run_network_delete(struct call *call)
{
	char nwid[NWID_TEXT], path[PATH_ROOM];
	json_t *network;
	int code = path_of(call, nwid, path);
	if (code)
		return code;
	code = client_shown(call, "DELETE", path, NULL, NULL, NULL, &network);
	if (code == 0 && call->format == FORMAT_TABLE)
		printf("deleted network %s\n", nwid);
	json_decref(network);
	return code;
}
