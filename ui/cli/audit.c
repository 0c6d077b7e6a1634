/* audit.c: who did what, the newest at the end as in a log; and whether the chain still holds.
 *
 * The daemon answers page by page, newest first; pages are asked for until there are as many entries as wanted and then turned round.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ui/cli/client.h"
#include "ui/cli/output.h"

#define PATH_ROOM    256
#define PAGE         1000
#define USUAL        100
#define FOLLOW_EVERY 1 /* s */

static const struct column columns[] = {{"NO", "seq", CELL_COUNT},       {"TIME", "time", CELL_TIME},     {"WHO", "actor", CELL_TEXT},
                                        {"FROM", "from", CELL_TEXT},     {"ACTION", "action", CELL_TEXT}, {"NETWORK", "network", CELL_TEXT},
                                        {"MEMBER", "member", CELL_TEXT}, {"DETAIL", "text", CELL_TEXT},   {0}};

/* A value of the query: what means something in one is escaped. */
static size_t query_add(char *path, size_t n, size_t room, const char *name, const char *value)
{
	if (!value)
		return n;
	n += (size_t)snprintf(path + n, room - n, "&%s=", name);
	for (; *value && n + 4 < room; value++)
		n += (size_t)snprintf(path + n, room - n, strchr("%&#+ ?", *value) || *value < 0x21 || *value > 0x7e ? "%%%02x" : "%c",
		                      (unsigned char)*value);
	return n;
}

static int ask(const struct call *call, struct client *client, unsigned long limit, const char *cursor, json_t **ret)
{
	char path[PATH_ROOM];
	const struct options *o = &call->options;
	size_t n = (size_t)snprintf(path, sizeof(path), "/v1/audit?limit=%lu", limit);
	n = query_add(path, n, sizeof(path), "network", options_value(o, "network"));
	n = query_add(path, n, sizeof(path), "member", options_value(o, "member"));
	n = query_add(path, n, sizeof(path), "actor", options_value(o, "actor"));
	n = query_add(path, n, sizeof(path), "action", options_value(o, "action"));
	query_add(path, n, sizeof(path), "cursor", cursor);
	return client_ask(client, "GET", path, NULL, ret);
}

/* The newest entries, oldest first. *ret is an array, also on failure. */
static int collect(const struct call *call, struct client *client, unsigned long wanted, json_t *ret)
{
	char cursor[24] = "";
	unsigned long left = wanted;
	for (;;) {
		json_t *answer = NULL, *entry;
		size_t i;
		int code = ask(call, client, left < PAGE ? left : PAGE, *cursor ? cursor : NULL, &answer);
		if (code)
			return code;
		json_array_foreach(json_object_get(answer, "entries"), i, entry)
		{
			json_array_insert(ret, 0, entry);
			left -= left > 0;
		}
		snprintf(cursor, sizeof(cursor), "%s", field(answer, "next"));
		json_decref(answer);
		if (!*cursor || !left)
			return 0;
	}
}

/* For people the detail is text like the rest. */
static void text_add(json_t *entry)
{
	const json_t *detail = json_object_get(entry, "detail");
	char *text = json_is_object(detail) ? json_dumps(detail, JSON_COMPACT) : NULL;
	if (text)
		json_object_set_new(entry, "text", json_string(text));
	free(text);
}

static json_int_t newest(const json_t *entries, json_int_t before)
{
	size_t n = json_array_size(entries);
	return n ? json_integer_value(json_object_get(json_array_get(entries, n - 1), "seq")) : before;
}

static int print(const struct call *call, json_t *entries)
{
	json_t *entry;
	size_t i;
	if (call->format == FORMAT_JSONL) {
		json_t *o = json_pack("{s:O}", "entries", entries);
		output_json(call, o, "entries", "farlan.audit.entry/1");
		json_decref(o);
		return 0;
	}
	json_array_foreach(entries, i, entry)
	{
		text_add(entry);
	}
	return output_table(entries, columns);
}

static void print_line(json_t *entry)
{
	for (const struct column *c = columns; c->title; c++) {
		char cell[CELL_MAX];
		text_add(entry);
		printf("%s%s", c == columns ? "" : "  ", cell_text(entry, c->name, c->cell, cell));
	}
	putchar('\n');
}

static int follow(const struct call *call, struct client *client, json_int_t last)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (;;) {
		json_t *answer = NULL, *entries, *entry;
		int code = ask(call, client, PAGE, NULL, &answer);
		if (code)
			return code;
		entries = json_object_get(answer, "entries");
		for (size_t i = json_array_size(entries); i-- > 0;) {
			entry = json_array_get(entries, i);
			if (json_integer_value(json_object_get(entry, "seq")) <= last)
				continue;
			last = json_integer_value(json_object_get(entry, "seq"));
			if (call->format == FORMAT_JSONL)
				output_object(entry, false);
			else
				print_line(entry);
		}
		json_decref(answer);
		sleep(FOLLOW_EVERY);
	}
}

static int verify(const struct call *call, struct client *client)
{
	const char *head = options_value(&call->options, "head");
	json_t *answer = NULL;
	client_patient(client);
	int code = client_ask(client, "POST", "/v1/audit/verify", head ? json_pack("{s:s}", "head", head) : json_object(), &answer);
	if (code)
		return code;
	bool ok = json_is_true(json_object_get(answer, "ok"));
	json_int_t entries = json_integer_value(json_object_get(answer, "entries"));
	json_int_t broken = json_integer_value(json_object_get(answer, "broken_at"));
	if (call->format != FORMAT_TABLE)
		output_json(call, answer, NULL, NULL);
	else if (ok)
		printf("%lld entries, the chain is whole; its head is %s\n", (long long)entries, field(answer, "head"));
	if (!ok && broken)
		complain(EXIT_BROKEN, "the chain is broken at entry %lld: that one or one before it was changed or taken out",
		         (long long)broken);
	else if (!ok)
		complain(EXIT_BROKEN, "the chain is whole, but that head does not stand in it: its newest entries were taken out");
	json_decref(answer);
	return ok ? 0 : EXIT_BROKEN;
}

static int limit_of(const struct call *call, unsigned long *ret)
{
	const char *text = options_value(&call->options, "limit");
	char *end;
	*ret = USUAL;
	if (!text)
		return 0;
	*ret = !strcmp(text, "all") ? 1ul << 31 : strtoul(text, &end, 10);
	if (strcmp(text, "all") != 0 && (strspn(text, "0123456789") != strlen(text) || !*ret || *ret > 1ul << 31))
		return complain(EXIT_USAGE, "--limit takes a number from 1, or all");
	return 0;
}

int run_audit(struct call *call)
{
	struct client *client;
	unsigned long wanted;
	int code = limit_of(call, &wanted);
	if (code == 0)
		code = client_open(&client, call);
	if (code)
		return code;
	if (options_has(&call->options, "verify") || options_value(&call->options, "head")) {
		code = verify(call, client);
		client_close(client);
		return code;
	}
	json_t *entries = json_array();
	if (call->format == FORMAT_JSON) {
		json_t *answer = NULL;
		code = ask(call, client, wanted < PAGE ? wanted : PAGE, NULL, &answer);
		if (code == 0)
			output_json(call, answer, NULL, NULL);
		json_decref(answer);
	} else {
		code = collect(call, client, wanted, entries);
		if (code == 0)
			code = print(call, entries);
		if (code == 0 && options_has(&call->options, "follow"))
			code = follow(call, client, newest(entries, 0));
	}
	json_decref(entries);
	client_close(client);
	return code;
}
