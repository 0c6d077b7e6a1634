/* token.c: token list, create, revoke: what programs sign in with.
 *
 * The token stands alone on standard output, once: `farlan token create ci --scope read > token` keeps it out of terminals and
 * of the shell's history.
 */
#include <stdio.h>
#include <string.h>

#include "ui/cli/client.h"
#include "ui/cli/output.h"
#include "ui/value.h"

static const struct column columns[] = {
    {"ID", "id", CELL_TEXT},
    {"NAME", "name", CELL_TEXT},
    {"SCOPES", "scopes", CELL_LIST},
    {"ENDS IN", "ends", CELL_TEXT},
    {"LAST USED", "last_used", CELL_TIME},
    {"BY", "created_by", CELL_TEXT},
    {"CREATED", "created", CELL_TIME},
    {0},
};

static int list(struct client *client, json_t **ret)
{
	return client_ask(client, "GET", "/v1/tokens", NULL, ret);
}

/* What people read instead of seconds. */
static void shown(json_t *token)
{
	char text[DURATION_TEXT];
	const json_t *left = json_object_get(token, "expires_in");
	if (json_is_integer(left) && json_integer_value(left) > 0)
		duration_format((uint64_t)json_integer_value(left), text);
	else
		snprintf(text, sizeof(text), "%s", json_is_integer(left) ? "over" : "never");
	json_object_set_new(token, "ends", json_string(text));
}

int run_token_list(struct call *call)
{
	struct client *client;
	json_t *answer = NULL, *token;
	size_t i;
	int code = client_open(&client, call);
	if (code)
		return code;
	code = list(client, &answer);
	client_close(client);
	json_array_foreach(json_object_get(answer, "tokens"), i, token)
	{
		if (call->format == FORMAT_TABLE)
			shown(token);
	}
	if (code == 0 && call->format != FORMAT_TABLE)
		code = output_json(call, answer, "tokens", "farlan.token/1");
	else if (code == 0 && !json_array_size(json_object_get(answer, "tokens")))
		printf("no tokens; next: farlan token create NAME --scope read\n");
	else if (code == 0)
		code = output_table(json_object_get(answer, "tokens"), columns);
	json_decref(answer);
	return code;
}

static int terms(const struct call *call, json_t *body)
{
	const char *expires = options_value(&call->options, "expires");
	json_t *scopes = json_array();
	uint64_t seconds;
	bool bad = json_object_set_new(body, "name", json_string(call->words[0])) != 0;
	for (unsigned i = 0; i < call->options.n_given; i++)
		if (!strcmp(call->options.given[i].option->name, "scope"))
			bad = json_array_append_new(scopes, json_string(call->options.given[i].value)) || bad;
	size_t n = json_array_size(scopes);
	json_object_set_new(body, "scopes", scopes);
	if (bad)
		return complain(EXIT_USAGE, "names and scopes are UTF-8 text");
	if (!n)
		return complain(EXIT_USAGE, "give at least one --scope: read, members:approve, network:NWID:write or admin");
	if (!expires || !strcmp(expires, "never"))
		return 0;
	if (!value_duration(expires, &seconds))
		return complain(EXIT_USAGE, "--expires takes a time like 90m, 24h or 30d, or \"never\"");
	json_object_set_new(body, "expires_in", json_integer((json_int_t)seconds));
	return 0;
}

int run_token_create(struct call *call)
{
	struct client *client;
	json_t *token = NULL, *body = json_object();
	char text[CELL_MAX];
	int code = terms(call, body);
	if (code == 0)
		code = client_open(&client, call);
	if (code) {
		json_decref(body);
		return code;
	}
	code = client_ask(client, "POST", "/v1/tokens", body, &token);
	client_close(client);
	if (code == 0 && call->format != FORMAT_TABLE) {
		code = output_json(call, token, NULL, NULL);
	} else if (code == 0) {
		printf("%s\n", cell_text(token, "token", CELL_TEXT, text));
		fprintf(stderr, "  keep it now: it is not shown again; farlan token revoke %s ends it\n",
		        cell_text(token, "id", CELL_TEXT, text));
	}
	json_decref(token);
	return code;
}

/* The id of a token with that id or name; names are unique. NULL with the complaint printed. */
static const char *id_of(const json_t *tokens, const char *word)
{
	const json_t *token;
	size_t i;
	json_array_foreach(tokens, i, token)
	{
		if (!strcmp(field(token, "id"), word) || !strcmp(field(token, "name"), word))
			return field(token, "id");
	}
	complain(EXIT_NOT_FOUND, "there is no such token; farlan token list shows them");
	return NULL;
}

int run_token_revoke(struct call *call)
{
	struct client *client;
	json_t *answer = NULL, *token = NULL;
	char path[64], name[CELL_MAX];
	int code = client_open(&client, call);
	if (code)
		return code;
	code = list(client, &answer);
	const char *id = code ? NULL : id_of(json_object_get(answer, "tokens"), call->words[0]);
	if (id) {
		snprintf(path, sizeof(path), "/v1/tokens/%.16s", id);
		code = client_ask(client, "DELETE", path, NULL, &token);
	} else if (!code) {
		code = EXIT_NOT_FOUND;
	}
	client_close(client);
	if (code == 0 && call->format != FORMAT_TABLE)
		code = output_json(call, token, NULL, NULL);
	else if (code == 0)
		printf("revoked token %s\n", cell_text(token, "name", CELL_TEXT, name));
	json_decref(token);
	json_decref(answer);
	return code;
}
