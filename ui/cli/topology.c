/* topology.c: who reaches whom in a network, as its controller knows it: a line for each pair that told of its link.
 *
 * Names stand beside addresses where the controller has them; who reached nobody in the last minutes has no line.
 */
#include <stdio.h>
#include <string.h>

#include "ui/cli/client.h"
#include "ui/cli/output.h"

static const struct column columns[] = {
    {"MEMBER", "a", CELL_TEXT},  {"NAME", "a_name", CELL_TEXT}, {"PEER", "b", CELL_TEXT},        {"NAME", "b_name", CELL_TEXT},
    {"LINK", "link", CELL_TEXT}, {"RTT", "rtt_us", CELL_RTT},   {"HEARD", "heard", CELL_AGO_MS}, {0},
};

/* A table of addresses to the names people gave, or what the others are. */
static json_t *names_of(const json_t *nodes)
{
	json_t *names = json_object(), *node;
	size_t i;
	json_array_foreach(nodes, i, node)
	{
		const char *role = field(node, "role");
		bool named = *field(node, "name") && !strcmp(role, "member");
		json_object_set_new(names, field(node, "address"),
		                    json_string(named                    ? field(node, "name")
		                                : strcmp(role, "member") ? role
		                                                         : ""));
	}
	return names;
}

static int print(const json_t *picture)
{
	json_t *links = json_object_get(picture, "links"), *names = names_of(json_object_get(picture, "nodes")), *link;
	size_t i;
	json_array_foreach(links, i, link)
	{
		json_object_set(link, "a_name", json_object_get(names, field(link, "a")));
		json_object_set(link, "b_name", json_object_get(names, field(link, "b")));
		json_object_set_new(link, "rtt_us", json_integer((json_int_t)(json_number_value(json_object_get(link, "rtt_ms")) * 1000)));
		json_object_set_new(link, "heard", json_integer(json_integer_value(json_object_get(link, "age_s")) * 1000));
	}
	int code = output_table(links, columns);
	if (json_is_true(json_object_get(picture, "cut")))
		fprintf(stderr, "farlan: there are more links than are shown\n");
	json_decref(names);
	return code;
}

int run_topology(struct call *call)
{
	struct client *client;
	json_t *picture = NULL;
	char nwid[NWID_TEXT], path[64];
	int code = word_nwid(call->words[0], nwid, NULL);
	if (code == 0)
		code = client_open(&client, call);
	if (code)
		return code;
	snprintf(path, sizeof(path), "/v1/networks/%s/topology", nwid);
	code = client_ask(client, "GET", path, NULL, &picture);
	client_close(client);
	if (code)
		return code;
	code = call->format == FORMAT_TABLE ? print(picture) : output_json(call, picture, "links", "farlan.link/1");
	json_decref(picture);
	return code;
}
