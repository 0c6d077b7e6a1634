/* drops.c: why packets went no further: reasons that counted anything, then the members whose doing it was.
 *
 * Without a network the reasons are those of the whole node, with one they are what its members caused. Each member's reason has a row of its own,
 * the most first, since who floods is what one came to see.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ui/cli/client.h"
#include "ui/cli/names.h"
#include "ui/cli/output.h"

#define PATH_ROOM 64

static const struct column drop_columns[] = {
    {"DROPS", "count", CELL_COUNT}, {"REASON", "reason", CELL_TEXT}, {"MEANING", "text", CELL_TEXT}, {0}};
static const struct column member_columns[] = {
    {"DROPS", "count", CELL_COUNT}, {"REASON", "reason", CELL_TEXT},   {"MEMBER", "address", CELL_TEXT},
    {"NAME", "name", CELL_TEXT},    {"NETWORK", "network", CELL_TEXT}, {0},
};

/* For people only what is not zero. */
static json_t *reason_rows(const json_t *object, bool all)
{
	json_t *rows = json_array(), *count;
	const char *reason;
	json_object_foreach(json_object_get(object, "drops"), reason, count)
	{
		json_t *text = json_object_get(json_object_get(object, "text"), reason);
		if (all || json_integer_value(count))
			json_array_append_new(rows, json_pack("{s:s, s:s, s:O, s:O*}", "schema", "farlan.drop/1", "reason", reason, "count",
			                                      count, "text", text));
	}
	return rows;
}

static json_int_t count_of(const json_t *row)
{
	return json_integer_value(json_object_get(row, "count"));
}

/* Into an array that is sorted already. */
static void insert(json_t *rows, json_t *row)
{
	size_t low = 0, high = json_array_size(rows);
	while (low < high) {
		size_t mid = (low + high) / 2;
		if (count_of(json_array_get(rows, mid)) >= count_of(row))
			low = mid + 1;
		else
			high = mid;
	}
	json_array_insert_new(rows, low, row);
}

/* names: as a controller here knows them, NULL = as their credentials say. */
static json_t *member_rows(const json_t *object, const json_t *names)
{
	json_t *rows = json_array(), *member, *count;
	const char *reason;
	size_t i;
	json_array_foreach(json_object_get(object, "members"), i, member)
	{
		const char *known = json_string_value(json_object_get(names, field(member, "address")));
		json_object_foreach(json_object_get(member, "drops"), reason, count)
		{
			json_t *row = json_pack("{s:s, s:s, s:O}", "schema", "farlan.drop.member/1", "reason", reason, "count", count);
			json_object_set_new(row, "network", json_string(field(member, "network")));
			json_object_set_new(row, "address", json_string(field(member, "address")));
			json_object_set_new(row, "name", json_string(known ? known : field(member, "name")));
			insert(rows, row);
		}
	}
	return rows;
}

static int ask(struct call *call, json_t **ret)
{
	char path[PATH_ROOM] = "/v1/drops", nwid[NWID_TEXT];
	if (call->n_words) {
		int code = word_nwid(call->words[0], nwid, NULL);
		if (code)
			return code;
		snprintf(path, sizeof(path), "/v1/networks/%s/drops", nwid);
	}
	return client_once(call, "GET", path, NULL, ret);
}

static void print_lines(const json_t *rows)
{
	json_t *row;
	size_t i;
	json_array_foreach(rows, i, row)
	{
		output_object(row, false);
	}
}

static int print_tables(const json_t *reasons, const json_t *members)
{
	int code = 0;
	if (json_array_size(reasons))
		code = output_table(reasons, drop_columns);
	else
		printf("nothing was dropped\n");
	if (code == 0 && json_array_size(members)) {
		printf("\n");
		code = output_table(members, member_columns);
	}
	return code;
}

int run_drops(struct call *call)
{
	json_t *object = NULL;
	int code = ask(call, &object);
	if (code || call->format == FORMAT_JSON) {
		if (code == 0)
			code = output_json(call, object, NULL, NULL);
		json_decref(object);
		return code;
	}
	bool lines = call->format == FORMAT_JSONL;
	json_t *names = lines ? NULL : names_known(call);
	json_t *reasons = reason_rows(object, lines), *members = member_rows(object, names);
	if (lines) {
		print_lines(reasons);
		print_lines(members);
	} else {
		code = print_tables(reasons, members);
	}
	json_decref(members);
	json_decref(reasons);
	json_decref(names);
	json_decref(object);
	return code;
}
