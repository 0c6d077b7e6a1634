/* lan.c: a network as its switch sees it: which MACs are behind whom, and who takes which multicast groups.
 *
 * A program reads the daemon's objects as they are; for people "here" stands for this machine, names stand beside addresses where a controller
 * here knows them, and each group has a row of its own.
 */
#include <stdio.h>
#include <string.h>

#include "proto/wire.h"
#include "ui/cli/client.h"
#include "ui/cli/names.h"
#include "ui/cli/output.h"

#define PATH_ROOM 64

static const struct column fdb_columns[] = {
    {"NETWORK", "network", CELL_TEXT}, {"VLAN", "vlan", CELL_COUNT},    {"MAC", "mac", CELL_TEXT},   {"BEHIND", "behind", CELL_TEXT},
    {"NAME", "name", CELL_TEXT},       {"SEEN", "age_ms", CELL_AGO_MS}, {"NOTE", "note", CELL_TEXT}, {0},
};
static const struct column group_columns[] = {
    {"NETWORK", "network", CELL_TEXT}, {"MEMBER", "behind", CELL_TEXT}, {"NAME", "name", CELL_TEXT},
    {"GROUP", "group", CELL_TEXT},     {"WHY", "why", CELL_TEXT},       {0},
};

/* The answer to `what`, of the network named or of all. For programs it is printed, and *ret stays NULL. */
static int ask(struct call *call, const char *what, const char *member, const char *schema, json_t **ret)
{
	char path[PATH_ROOM], nwid[NWID_TEXT];
	*ret = NULL;
	snprintf(path, sizeof(path), "/v1/%s", what);
	if (call->n_words) {
		int code = word_nwid(call->words[0], nwid, NULL);
		if (code)
			return code;
		snprintf(path, sizeof(path), "/v1/networks/%s/%s", nwid, what);
	}
	return client_shown(call, "GET", path, NULL, member, schema, ret);
}

/* Whom a row is about, for people. */
static void dress(json_t *row, const json_t *names)
{
	bool here = json_is_true(json_object_get(row, "here"));
	json_t *name = json_object_get(names, field(row, "address"));
	json_object_set_new(row, "behind", json_string(here ? "here" : field(row, "address")));
	if (name)
		json_object_set(row, "name", name);
}

int run_fdb(struct call *call)
{
	json_t *object, *row;
	size_t i;
	int code = ask(call, "fdb", "entries", "farlan.fdb.entry/1", &object);
	json_t *rows = json_object_get(object, "entries"), *names = object ? names_known(call) : NULL;
	json_array_foreach(rows, i, row)
	{
		dress(row, names);
		if (!json_integer_value(json_object_get(row, "vlan")))
			json_object_set_new(row, "vlan", json_null());
		if (json_is_true(json_object_get(row, "frozen")))
			json_object_set_new(row, "note", json_string("frozen: it moved too often"));
	}
	if (object && code == 0 && !json_array_size(rows))
		printf("no MAC was learned: bridges alone have other machines behind them\n");
	else if (object && code == 0)
		code = output_table(rows, fdb_columns);
	json_decref(names);
	json_decref(object);
	return code;
}

static void group_add(json_t *rows, const json_t *member, const char *group, const char *why)
{
	json_t *row = json_pack("{s:O, s:O, s:s, s:s}", "network", json_object_get(member, "network"), "behind",
	                        json_object_get(member, "behind"), "group", group, "why", why);
	if (json_object_get(member, "name"))
		json_object_set(row, "name", json_object_get(member, "name"));
	json_array_append_new(rows, row);
}

/* Why a member gets what it gets. Nobody is left out: who takes no group has a row that says so. */
static void group_rows(json_t *rows, const json_t *member)
{
	bool here = json_is_true(json_object_get(member, "here"));
	const json_t *groups = json_object_get(member, "groups"), *group;
	size_t i;
	if (json_is_true(json_object_get(member, "blocked")))
		group_add(rows, member, "none", "its port is blocked by the loop guard");
	if (!json_is_true(json_object_get(member, "known")))
		group_add(rows, member, "unknown", here ? "no device yet" : "it has not said, or is not connected");
	else if (json_is_true(json_object_get(member, "all")))
		group_add(rows, member, "all",
		          here ? "the device is promiscuous, takes all multicast or is bridged" : "it takes every group");
	json_array_foreach(groups, i, group)
	{
		group_add(rows, member, json_string_value(group), here ? "joined on this machine" : "it said so");
	}
	if (json_is_true(json_object_get(member, "known")) && !json_is_true(json_object_get(member, "all")) && !json_array_size(groups))
		group_add(rows, member, "none", here ? "nothing was joined on this machine" : "it said so");
}

int run_groups(struct call *call)
{
	json_t *object, *member, *rows = json_array();
	size_t i;
	int code = ask(call, "groups", "members", "farlan.groups.member/1", &object);
	json_t *names = object ? names_known(call) : NULL;
	json_array_foreach(json_object_get(object, "members"), i, member)
	{
		dress(member, names);
		group_rows(rows, member);
	}
	if (object && code == 0 && !json_array_size(rows))
		printf("no networks; next: farlan join NWID\n");
	else if (object && code == 0)
		code = output_table(rows, group_columns);
	json_decref(names);
	json_decref(rows);
	json_decref(object);
	return code;
}
