/* events.c: what changes, line by line, until interrupted.
 *
 * Each request names the last event seen; its answer comes when there is another, or empty after some seconds, and is asked for again. The
 * daemon keeps a few hundred: what was overrun in between is told as a gap and not passed over.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ui/cli/client.h"
#include "ui/cli/output.h"

#define PATH_ROOM 64

static void print_event(const json_t *event)
{
	char time[CELL_MAX], type[CELL_MAX], about[CELL_MAX], from[CELL_MAX], to[CELL_MAX];
	cell_text(event, "time", CELL_TEXT, time);
	cell_text(event, "type", CELL_TEXT, type);
	cell_text(event, *field(event, "peer") ? "peer" : "network", CELL_TEXT, about);
	cell_text(event, "from", CELL_TEXT, from);
	cell_text(event, "to", CELL_TEXT, to);
	printf("%s  %-16s %-16s", time, type, about);
	if (*field(event, "from") && *field(event, "to"))
		printf(" %s -> %s\n", from, to);
	else if (*field(event, "from") || *field(event, "to"))
		printf(" %s\n", *field(event, "to") ? to : from);
	else
		printf("\n");
}

static void tell_gap(const struct call *call, const json_t *answer)
{
	json_int_t missed = json_integer_value(json_object_get(answer, "missed"));
	bool restarted = json_is_true(json_object_get(answer, "restarted"));
	if (!missed && !restarted)
		return;
	if (call->format == FORMAT_JSONL) {
		json_t *gap =
		    json_pack("{s:s, s:s, s:I, s:b}", "schema", "farlan.event/1", "type", "gap", "missed", missed, "restarted", restarted);
		output_object(gap, false);
		json_decref(gap);
	} else if (restarted) {
		printf("the daemon was restarted meanwhile\n");
	} else {
		printf("%lld events were missed: more than the daemon keeps\n", (long long)missed);
	}
}

static void tell(const struct call *call, const json_t *answer)
{
	const json_t *event;
	size_t i;
	tell_gap(call, answer);
	json_array_foreach(json_object_get(answer, "events"), i, event)
	{
		if (call->format == FORMAT_JSONL)
			output_object(event, false);
		else
			print_event(event);
	}
}

static bool since_read(const struct call *call, json_int_t *ret)
{
	const char *text = options_value(&call->options, "since");
	char *end;
	*ret = -1;
	if (!text)
		return true;
	*ret = strtoll(text, &end, 10);
	return *text >= '0' && *text <= '9' && !*end && *ret >= 0;
}

int run_events(struct call *call)
{
	struct client *client;
	char path[PATH_ROOM];
	json_int_t since;
	unsigned wait_ms;
	json_t *answer = NULL;
	if (!since_read(call, &since))
		return complain(EXIT_USAGE, "--since takes the number of the last event seen; 0 = all that the daemon still has");
	int code = call_wait(call, 1, &wait_ms); /* only 0 means something here: do not follow */
	if (code == 0)
		code = client_open(&client, call);
	if (code)
		return code;
	bool follow = wait_ms > 0 && call->format != FORMAT_JSON;
	client_patient(client);
	setvbuf(stdout, NULL, _IOLBF, 0);
	code = client_ask(client, "GET", "/v1/events", NULL, &answer);
	/* Those of before: all when asked for; a program that follows wants only what comes. */
	json_int_t last = json_integer_value(json_object_get(answer, "last"));
	if (code == 0 && call->format == FORMAT_JSON) {
		output_object(answer, true);
	} else if (code == 0 && since < 0 && !follow) {
		tell(call, answer);
	} else if (code == 0 && since >= 0 && since != last) {
		json_decref(answer);
		answer = NULL;
		snprintf(path, sizeof(path), "/v1/events?since=%lld", (long long)since);
		code = client_ask(client, "GET", path, NULL, &answer);
		last = json_integer_value(json_object_get(answer, "last"));
		tell(call, answer);
	}
	while (code == 0 && follow) {
		json_decref(answer);
		answer = NULL;
		snprintf(path, sizeof(path), "/v1/events?since=%lld", (long long)last);
		code = client_ask(client, "GET", path, NULL, &answer);
		last = json_integer_value(json_object_get(answer, "last"));
		tell(call, answer);
	}
	json_decref(answer);
	client_close(client);
	return code;
}
