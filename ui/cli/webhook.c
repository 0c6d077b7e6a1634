/* webhook.c: webhook add, list, show, set, test, log, retry, secret, delete: who is told what happens.
 *
 * A webhook goes by its id or its name. Its secret stands alone on standard output, once: `farlan webhook add ... > secret` keeps it
 * out of terminals.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ui/cli/client.h"
#include "ui/cli/output.h"
#include "ui/cli/setting.h"

#define ID_ROOM   17
#define PATH_ROOM 128
#define LOG_MAX   1000

static const struct column columns[] = {
    {"ID", "id", CELL_TEXT},          {"NAME", "name", CELL_TEXT},      {"STATE", "state", CELL_TEXT},
    {"EVENTS", "events", CELL_LIST},  {"WAITING", "queue", CELL_COUNT}, {"LOST", "dropped", CELL_COUNT},
    {"LAST", "last_text", CELL_TEXT}, {"URL", "url", CELL_TEXT},        {0},
};

static const struct column details[] = {
    {"id", "id", CELL_TEXT},
    {"name", "name", CELL_TEXT},
    {"url", "url", CELL_TEXT},
    {"events", "events", CELL_LIST},
    {"networks", "networks", CELL_LIST},
    {"enabled", "enabled", CELL_YES_NO},
    {"private addresses", "allow_private", CELL_YES_NO},
    {"state", "state", CELL_TEXT},
    {"failing since", "failing_since", CELL_TIME},
    {"waiting", "queue", CELL_COUNT},
    {"lost", "dropped", CELL_COUNT},
    {"last", "last_text", CELL_TEXT},
    {"made", "created", CELL_TIME},
    {"by", "created_by", CELL_TEXT},
    {0},
};

static const struct column log_columns[] = {
    {"DELIVERY", "id", CELL_TEXT},
    {"WHEN", "created", CELL_TIME},
    {"EVENT", "event", CELL_TEXT},
    {"NETWORK", "network", CELL_TEXT},
    {"STATE", "state", CELL_TEXT},
    {"ATTEMPTS", "attempts", CELL_COUNT},
    {"STATUS", "status", CELL_COUNT},
    {"MS", "ms", CELL_COUNT},
    {"NEXT", "next_at", CELL_TIME},
    {"ERROR", "error", CELL_TEXT},
    {0},
};

/* What the last attempt came to, for people. */
static void shown(json_t *hook)
{
	char text[CELL_MAX], cell[CELL_MAX];
	json_t *last = json_object_get(hook, "last");
	if (!json_is_object(last))
		return;
	const char *error = field(last, "error");
	if (*error)
		snprintf(text, sizeof(text), "%s", error);
	else
		snprintf(text, sizeof(text), "%s", cell_text(last, "status", CELL_COUNT, cell));
	json_object_set_new(hook, "last_text", json_string(text));
}

/* The id behind an id or a name. 0, or an exit code with the complaint printed. */
static int find(struct client *client, const char *word, char ret[ID_ROOM])
{
	json_t *answer = NULL, *hook;
	size_t i;
	int code = client_ask(client, "GET", "/v1/webhooks", NULL, &answer);
	bool found = false;
	json_array_foreach(json_object_get(answer, "webhooks"), i, hook)
	{
		if (found || (strcmp(field(hook, "id"), word) != 0 && strcmp(field(hook, "name"), word) != 0))
			continue;
		snprintf(ret, ID_ROOM, "%.16s", field(hook, "id"));
		found = true;
	}
	json_decref(answer);
	return code ? code : found ? 0 : complain(EXIT_NOT_FOUND, "there is no such webhook; farlan webhook list shows them");
}

/* Asks about the webhook that the first word names; more: what stands behind its id in the path. Takes body. */
static int ask(const struct call *call, const char *method, const char *more, json_t *body, json_t **ret)
{
	struct client *client;
	char id[ID_ROOM], path[PATH_ROOM];
	int code = client_open(&client, call);
	if (code) {
		json_decref(body);
		return code;
	}
	code = find(client, call->words[0], id);
	snprintf(path, sizeof(path), "/v1/webhooks/%s%s", code ? "" : id, more);
	if (code)
		json_decref(body);
	else
		code = client_ask(client, method, path, body, ret);
	client_close(client);
	return code;
}

static int one_shown(const struct call *call, int code, json_t *hook)
{
	if (code == 0 && call->format != FORMAT_TABLE) {
		code = output_json(call, hook, NULL, NULL);
	} else if (code == 0) {
		shown(hook);
		code = output_lines(hook, details);
	}
	json_decref(hook);
	return code;
}

/* The secret on standard output, what to do with it beside it. */
static int secret_shown(const struct call *call, int code, json_t *hook)
{
	char text[CELL_MAX];
	if (code == 0 && call->format != FORMAT_TABLE) {
		code = output_json(call, hook, NULL, NULL);
	} else if (code == 0) {
		printf("%s\n", cell_text(hook, "secret", CELL_TEXT, text));
		fprintf(stderr, "  the receiver verifies Farlan-Signature by it; it is not shown again. Try it: farlan webhook test %s\n",
		        cell_text(hook, "id", CELL_TEXT, text));
	}
	json_decref(hook);
	return code;
}

static int word_add(void *list, const char *word)
{
	return json_array_append_new(list, json_string(word)) ? complain(EXIT_USAGE, "\"%s\" is not UTF-8 text", word) : 0;
}

/* --event and --network, each of which may be given again. */
static int lists(const struct call *call, json_t *body)
{
	static const struct {
		const char *option, *name;
	} of[] = {{"event", "events"}, {"network", "networks"}};
	for (unsigned i = 0; i < 2; i++) {
		const char *last = options_value(&call->options, of[i].option);
		json_t *list = last ? json_array() : NULL;
		int code = last && strcmp(last, "all") != 0 ? setting_each(call, of[i].option, word_add, list) : 0;
		if (last && !strcmp(last, "all") && i == 0)
			json_array_append_new(list, json_string("*"));
		if (list)
			json_object_set_new(body, of[i].name, list);
		if (code)
			return code;
	}
	return 0;
}

static int on_off(const struct call *call, const char *option, const char *name, json_t *body)
{
	const char *value = options_value(&call->options, option);
	if (!value)
		return 0;
	if (strcmp(value, "on") != 0 && strcmp(value, "off") != 0)
		return complain(EXIT_USAGE, "--%s is on or off", option);
	json_object_set_new(body, name, json_boolean(!strcmp(value, "on")));
	return 0;
}

static int settings(const struct call *call, json_t *body)
{
	int code = lists(call, body);
	if (!code)
		code = on_off(call, "enabled", "enabled", body);
	return code ? code : on_off(call, "allow-private", "allow_private", body);
}

int run_webhook_list(struct call *call)
{
	json_t *answer = NULL, *hook;
	size_t i;
	int code = client_shown(call, "GET", "/v1/webhooks", NULL, "webhooks", "farlan.webhook-settings/1", &answer);
	json_array_foreach(json_object_get(answer, "webhooks"), i, hook)
	{
		shown(hook);
	}
	if (answer && !json_array_size(json_object_get(answer, "webhooks")))
		printf("no webhooks; next: farlan webhook add NAME URL --event all\n");
	else if (answer)
		code = output_table(json_object_get(answer, "webhooks"), columns);
	json_decref(answer);
	return code;
}

int run_webhook_add(struct call *call)
{
	json_t *hook = NULL, *body = json_object();
	int code = settings(call, body);
	if (!code && (json_object_set_new(body, "name", json_string(call->words[0])) ||
	              json_object_set_new(body, "url", json_string(call->words[1]))))
		code = complain(EXIT_USAGE, "names and URLs are UTF-8 text");
	if (!code && !json_object_get(body, "events"))
		code = complain(EXIT_USAGE, "give at least one --event, like member.approve, member.* or all");
	if (code) {
		json_decref(body);
		return code;
	}
	code = client_once(call, "POST", "/v1/webhooks", body, &hook);
	return secret_shown(call, code, hook);
}

int run_webhook_show(struct call *call)
{
	json_t *hook = NULL;
	int code = ask(call, "GET", "", NULL, &hook);
	return one_shown(call, code, hook);
}

int run_webhook_set(struct call *call)
{
	json_t *hook = NULL, *body = json_object();
	const char *to = options_value(&call->options, "to");
	int code = setting_text(call, "name", false, body);
	if (!code)
		code = settings(call, body);
	if (!code && to && json_object_set_new(body, "url", json_string(to)))
		code = complain(EXIT_USAGE, "URLs are UTF-8 text");
	if (!code && !json_object_size(body))
		code = complain(EXIT_USAGE, "nothing to change: give --name, --to, --event, --network, --enabled or --allow-private");
	if (code) {
		json_decref(body);
		return code;
	}
	code = ask(call, "PATCH", "", body, &hook);
	return one_shown(call, code, hook);
}

int run_webhook_secret(struct call *call)
{
	json_t *hook = NULL;
	int code = ask(call, "POST", "/secret", json_object(), &hook);
	return secret_shown(call, code, hook);
}

static int queued(const struct call *call, int code, json_t *delivery)
{
	char text[CELL_MAX];
	if (code == 0 && call->format != FORMAT_TABLE)
		code = output_json(call, delivery, NULL, NULL);
	else if (code == 0)
		printf("delivery %s is on its way; farlan webhook log shows what comes of it\n",
		       cell_text(delivery, "id", CELL_TEXT, text));
	json_decref(delivery);
	return code;
}

int run_webhook_test(struct call *call)
{
	json_t *delivery = NULL;
	int code = ask(call, "POST", "/test", json_object(), &delivery);
	return queued(call, code, delivery);
}

int run_webhook_retry(struct call *call)
{
	char more[64];
	json_t *delivery = NULL;
	if (strlen(call->words[1]) != 16 || strspn(call->words[1], "0123456789abcdef") != 16)
		return complain(EXIT_USAGE, "a delivery is 16 hex digits, as farlan webhook log shows it");
	snprintf(more, sizeof(more), "/deliveries/%s/retry", call->words[1]);
	int code = ask(call, "POST", more, json_object(), &delivery);
	return queued(call, code, delivery);
}

int run_webhook_log(struct call *call)
{
	char more[80], state[32] = "";
	json_t *answer = NULL;
	const char *limit = options_value(&call->options, "limit"), *only = options_value(&call->options, "state");
	unsigned long n = 50;
	if (limit && strcmp(limit, "all") != 0) {
		char *end;
		n = strspn(limit, "0123456789") == strlen(limit) ? strtoul(limit, &end, 10) : 0;
		if (n < 1 || n > LOG_MAX)
			return complain(EXIT_USAGE, "--limit takes a number from 1 to %d", LOG_MAX);
	} else if (limit) {
		n = LOG_MAX;
	}
	if (only && (strlen(only) >= sizeof(state) - 8 || strspn(only, "abcdefghijklmnopqrstuvwxyz,") != strlen(only)))
		return complain(EXIT_USAGE, "--state takes waiting, delivered or failed");
	if (only)
		snprintf(state, sizeof(state), "&state=%s", only);
	snprintf(more, sizeof(more), "/deliveries?limit=%lu%s", n, state);
	int code = ask(call, "GET", more, NULL, &answer);
	if (code == 0 && call->format != FORMAT_TABLE)
		code = output_json(call, answer, "deliveries", "farlan.delivery/1");
	else if (code == 0 && !json_array_size(json_object_get(answer, "deliveries")))
		printf("nothing was sent; next: farlan webhook test %s\n", call->words[0]);
	else if (code == 0)
		code = output_table(json_object_get(answer, "deliveries"), log_columns);
	json_decref(answer);
	return code;
}

int run_webhook_delete(struct call *call)
{
	char text[CELL_MAX];
	json_t *hook = NULL;
	int code = ask(call, "DELETE", "", NULL, &hook);
	if (code == 0 && call->format != FORMAT_TABLE)
		code = output_json(call, hook, NULL, NULL);
	else if (code == 0)
		printf("deleted webhook %s\n", cell_text(hook, "name", CELL_TEXT, text));
	json_decref(hook);
	return code;
}
