/* local.c: set and port: what only this machine says of a network.
 *
 * The daemon keeps it with the network and does it as soon as it can; what is in the way stands in its answer and is told here at once, though the
 * command succeeded: the network may not be joined yet, the interface may come later.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ui/cli/client.h"
#include "ui/cli/output.h"

#define PATH_ROOM   96
#define FILTER_ROOM 512

static const struct column port_columns[] = {
    {"NETWORK", "network", CELL_TEXT},
    {"NAME", "name", CELL_TEXT},
    {"PORT", "iface", CELL_TEXT},
    {"OPEN", "open", CELL_YES_NO},
    {"FILTER", "filter", CELL_TEXT},
    {"REASON", "reason", CELL_TEXT},
    {0},
};

/* One request about the network that the first word names; takes body. */
static int ask(struct call *call, const char *method, const char *tail, json_t *body, json_t **ret)
{
	char path[PATH_ROOM], nwid[NWID_TEXT];
	*ret = NULL;
	int code = word_nwid(call->words[0], nwid, NULL);
	if (code) {
		json_decref(body);
		return code;
	}
	snprintf(path, sizeof(path), "/v1/networks/%s%s", nwid, tail);
	return client_shown(call, method, path, body, NULL, NULL, ret);
}

/* The words behind the first two, as one expression. */
static int filter_of(const struct call *call, char buf[FILTER_ROOM])
{
	size_t n = 0;
	*buf = 0;
	for (unsigned i = 2; i < call->n_words; i++) {
		n += (size_t)snprintf(buf + n, FILTER_ROOM - n, "%s%s", i > 2 ? " " : "", call->words[i]);
		if (n >= FILTER_ROOM)
			return complain(EXIT_USAGE, "a filter has at most %d characters", FILTER_ROOM - 1);
	}
	return 0;
}

int run_port_add(struct call *call)
{
	char filter[FILTER_ROOM], iface[CELL_MAX], reason[CELL_MAX];
	json_t *network;
	int code = filter_of(call, filter);
	if (code)
		return code;
	json_t *body = json_pack("{s:s, s:s}", "iface", call->words[1], "filter", filter);
	if (!body)
		return complain(EXIT_USAGE, "interface and filter are UTF-8 text");
	code = ask(call, "POST", "/port", body, &network);
	if (network) {
		const json_t *port = json_object_get(network, "port");
		bool open = json_is_true(json_object_get(port, "open"));
		printf("%s is %s\n", cell_text(port, "iface", CELL_TEXT, iface), open ? "on the network" : "added, and waits");
		if (!open)
			fprintf(stderr, "farlan: %s\n", cell_text(port, "reason", CELL_TEXT, reason));
	}
	json_decref(network);
	return code;
}

int run_port_remove(struct call *call)
{
	char tail[PATH_ROOM / 2];
	json_t *network;
	if (strlen(call->words[1]) > 15 || !*call->words[1] || strpbrk(call->words[1], "/%? #"))
		return complain(EXIT_USAGE, "that is no interface's name; farlan port list");
	snprintf(tail, sizeof(tail), "/port/%s", call->words[1]);
	int code = ask(call, "DELETE", tail, NULL, &network);
	if (network)
		printf("removed %s\n", call->words[1]);
	json_decref(network);
	return code;
}

int run_port_list(struct call *call)
{
	json_t *object = NULL, *network, *rows = json_array();
	size_t i;
	int code = client_once(call, "GET", "/v1/networks", NULL, &object);
	json_array_foreach(json_object_get(object, "networks"), i, network)
	{
		json_t *port = json_object_get(network, "port");
		if (!json_is_object(port))
			continue;
		json_object_set(port, "network", json_object_get(network, "id"));
		json_object_set(port, "name", json_object_get(network, "name"));
		json_array_append(rows, port);
	}
	json_t *answer = json_pack("{s:s, s:O}", "schema", "farlan.ports/1", "ports", rows);
	if (code == 0 && call->format != FORMAT_TABLE)
		code = output_json(call, answer, "ports", "farlan.port/1");
	else if (code == 0 && !json_array_size(rows))
		printf("no ports; next: farlan port add NWID IFACE\n");
	else if (code == 0)
		code = output_table(rows, port_columns);
	json_decref(answer);
	json_decref(rows);
	json_decref(object);
	return code;
}

/* The fields of --game and --metric; NULL with the complaint printed. */
static json_t *settings(const struct call *call)
{
	const char *game = options_value(&call->options, "game"), *metric = options_value(&call->options, "metric");
	json_t *body = json_object();
	char *end = NULL;
	unsigned long n = metric ? strtoul(metric, &end, 10) : 0;
	bool automatic = metric && !strcmp(metric, "auto");
	if (!game && !metric)
		complain(EXIT_USAGE, "nothing to set: give --game or --metric");
	else if (game && strcmp(game, "on") != 0 && strcmp(game, "off") != 0)
		complain(EXIT_USAGE, "--game takes on or off");
	else if (metric && !automatic && (strspn(metric, "0123456789") != strlen(metric) || *end || end == metric || n > UINT32_MAX))
		complain(EXIT_USAGE, "--metric takes a number, or auto");
	else {
		if (game)
			json_object_set_new(body, "game", json_boolean(!strcmp(game, "on")));
		if (metric)
			json_object_set_new(body, "metric", automatic ? json_null() : json_integer((json_int_t)n));
		return body;
	}
	json_decref(body);
	return NULL;
}

int run_set(struct call *call)
{
	char metric[CELL_MAX], reason[CELL_MAX];
	json_t *network, *body = settings(call);
	if (!body)
		return EXIT_USAGE;
	int code = ask(call, "PATCH", "", body, &network);
	if (network) {
		bool own = json_is_integer(json_object_get(network, "metric"));
		printf("game %s, metric %s\n", json_is_true(json_object_get(network, "game")) ? "on" : "off",
		       own ? cell_text(network, "metric", CELL_COUNT, metric) : "auto");
		if (*field(network, "game_reason"))
			fprintf(stderr, "farlan: game: %s\n", cell_text(network, "game_reason", CELL_TEXT, reason));
	}
	json_decref(network);
	return code;
}
