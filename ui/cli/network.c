/* network.c: network create, show, set, delete.
 *
 * Options become the fields of one JSON object; what they may hold is judged by the controller, whose answer names the field,
 * so that page and command line have one judge.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ui/cli/client.h"
#include "ui/cli/output.h"
#include "ui/cli/setting.h"

#define PATH_ROOM 96

static const struct column columns[] = {
    {"network", "id", CELL_TEXT},
    {"name", "name", CELL_TEXT},
    {"ipv4", "ipv4", CELL_TEXT},
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
    {"version", "version", CELL_COUNT},
    {"created", "created", CELL_TIME},
    {0},
};

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
	    setting_count(call, SETTING_MCAST_LIMIT, MCAST_LIMIT_MAX, body) || setting_rate(call, SETTING_MCAST_RATE, body))
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

/* One request; takes body. The answer is printed for programs, else left in *ret. */
static int ask(struct call *call, const char *method, const char *path, json_t *body, json_t **ret)
{
	struct client *client;
	*ret = NULL;
	int code = client_open(&client, call);
	if (code) {
		json_decref(body);
		return code;
	}
	code = client_ask(client, method, path, body, ret);
	client_close(client);
	if (code == 0 && *ret && call->format != FORMAT_TABLE)
		code = output_json(call, *ret, NULL, NULL);
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
	int code = ask(call, "POST", "/v1/networks", body, &network);
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
	code = ask(call, "GET", path, NULL, &network);
	if (code == 0 && call->format == FORMAT_TABLE)
		code = output_lines(network, columns);
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
	code = ask(call, "PATCH", path, body, &network);
	if (code == 0 && call->format == FORMAT_TABLE)
		code = output_lines(network, columns);
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
	code = ask(call, "DELETE", path, NULL, &network);
	if (code == 0 && call->format == FORMAT_TABLE)
		printf("deleted network %s\n", nwid);
	json_decref(network);
	return code;
}
