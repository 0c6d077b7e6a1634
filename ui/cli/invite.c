/* invite.c: invite create, list, revoke, qr.
 *
 * The link stands alone on the first line, so that `farlan invite create NWID | head -1` is all a script needs; for a person the code to
 * point a camera at follows, and what the invitation is good for. An invitation that nobody limited is good once and for a week: the
 * one that is forgotten in a chat does no harm.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proto/base/log.h"
#include "proto/ident.h"
#include "proto/invite.h"
#include "ui/cli/client.h"
#include "ui/cli/output.h"
#include "ui/qr.h"
#include "ui/value.h"

#define PATH_ROOM      96
#define LIFE_DEFAULT_S (7 * 86400)
#define USES_MOST      1000000

static const struct column columns[] = {
    {"ID", "id", CELL_TEXT},           {"STATE", "state", CELL_TEXT},
    {"NAME", "name", CELL_TEXT},       {"USES", "shown_uses", CELL_TEXT},
    {"ENDS IN", "ends", CELL_TEXT},    {"EPHEMERAL", "shown_away", CELL_TEXT},
    {"TAGS", "tags", CELL_LIST},       {"BY", "created_by", CELL_TEXT},
    {"CREATED", "created", CELL_TIME}, {0},
};

/* ---- what is asked for ------------------------------------------------------------------------------------------------------ */

static int take_uses(const struct call *call, json_t *body)
{
	const char *text = options_value(&call->options, "uses");
	char *end = NULL;
	long n = text ? strtol(text, &end, 10) : 1;
	if (text && !strcmp(text, "any")) {
		json_object_set_new(body, "uses", json_null());
		return 0;
	}
	if (text && (*end || end == text || n < 1 || n > USES_MOST))
		return complain(EXIT_USAGE, "--uses takes a number from 1 to %d, or \"any\"", USES_MOST);
	json_object_set_new(body, "uses", json_integer(n));
	return 0;
}

/* A duration of that option; none is the word for none at all. */
static int take_time(const struct call *call, const char *option, const char *field_name, const char *none, uint64_t fallback, json_t *body)
{
	const char *text = options_value(&call->options, option);
	uint64_t s = fallback;
	if (text && strcmp(text, none) != 0 && !value_duration(text, &s))
		return complain(EXIT_USAGE, "--%s takes a time like 90m, 24h or 30d, or \"%s\"", option, none);
	bool unlimited = text ? !strcmp(text, none) : !s;
	json_object_set_new(body, field_name, unlimited ? json_null() : json_integer((json_int_t)s));
	return 0;
}

/* Every value of an option that may be given again, as an array. */
static int take_list(const struct call *call, const char *option, const char *field_name, json_t *body)
{
	json_t *list = json_array();
	for (unsigned i = 0; i < call->options.n_given; i++)
		if (!strcmp(call->options.given[i].option->name, option) &&
		    json_array_append_new(list, json_string(call->options.given[i].value))) {
			json_decref(list);
			return complain(EXIT_USAGE, "--%s takes UTF-8 text", option);
		}
	if (json_array_size(list))
		json_object_set_new(body, field_name, list);
	else
		json_decref(list);
	return 0;
}

static json_t *terms(const struct call *call)
{
	const char *name = options_value(&call->options, "name");
	json_t *body = json_object();
	int code = take_uses(call, body);
	if (code == 0)
		code = take_time(call, "expires", "expires_in", "never", LIFE_DEFAULT_S, body);
	if (code == 0)
		code = take_time(call, "ephemeral", "ephemeral", "no", 0, body);
	if (code == 0)
		code = take_list(call, "tag", "tags", body);
	if (code == 0)
		code = take_list(call, "root", "roots", body);
	if (code == 0 && name && json_object_set_new(body, "name", json_string(name)))
		code = complain(EXIT_USAGE, "a name is UTF-8 text");
	if (code == 0)
		return body;
	json_decref(body);
	return NULL;
}

static int path_of(const struct call *call, char path[PATH_ROOM], const char *id)
{
	char nwid[NWID_TEXT];
	uint64_t known;
	int code = word_nwid(call->words[0], nwid, NULL);
	if (code == 0 && id && !invite_id_parse(id, &known))
		code = complain(EXIT_USAGE, "an invitation's id is 16 hex digits; farlan invite list shows them");
	if (code == 0)
		snprintf(path, PATH_ROOM, "/v1/networks/%s/invites%s%s", nwid, id ? "/" : "", id ? id : "");
	return code;
}

/* ---- what is shown ---------------------------------------------------------------------------------------------------------- */

static bool coloured(void)
{
	const char *term = getenv("TERM"), *plain = getenv("NO_COLOR");
	return isatty(STDOUT_FILENO) && !(plain && *plain) && term && strcmp(term, "dumb") != 0;
}

static int draw(const char *link)
{
	if (qr_print(stdout, link, coloured()))
		return 0;
	return complain(EXIT_FAILED, "the link is too long for a code, or there is no memory");
}

/* Fields for people beside those of the answer. */
static void shown(json_t *invite)
{
	char text[DURATION_TEXT + 32];
	const json_t *uses = json_object_get(invite, "uses"), *ends = json_object_get(invite, "expires_in"),
		     *away = json_object_get(invite, "ephemeral");
	if (json_is_integer(uses))
		snprintf(text, sizeof(text), "%lld of %lld", (long long)json_integer_value(json_object_get(invite, "uses_left")),
		         (long long)json_integer_value(uses));
	json_object_set_new(invite, "shown_uses", json_string(json_is_integer(uses) ? text : "any"));
	if (json_is_integer(ends))
		duration_format((uint64_t)json_integer_value(ends), text);
	json_object_set_new(invite, "ends",
	                    json_string(json_is_integer(ends)                    ? text
	                                : strcmp(field(invite, "state"), "open") ? "-"
	                                                                         : "never"));
	if (json_is_integer(away))
		duration_format((uint64_t)json_integer_value(away), text);
	json_object_set_new(invite, "shown_away", json_string(json_is_integer(away) ? text : "-"));
}

static void explain(json_t *invite)
{
	char id[CELL_MAX], uses[CELL_MAX], ends[CELL_MAX];
	shown(invite);
	printf("invitation %s: %s uses, ends in %s\n", cell_text(invite, "id", CELL_TEXT, id),
	       cell_text(invite, "shown_uses", CELL_TEXT, uses), cell_text(invite, "ends", CELL_TEXT, ends));
	printf("on the other machine: farlan join -    and paste the link there; whoever has it may join\n");
}

/* ---- verbs ------------------------------------------------------------------------------------------------------------------ */

int run_invite_create(struct call *call)
{
	char path[PATH_ROOM];
	json_t *invite = NULL;
	int code = path_of(call, path, NULL);
	json_t *body = code ? NULL : terms(call);
	if (!body)
		return EXIT_USAGE;
	code = client_shown(call, "POST", path, body, NULL, NULL, &invite);
	if (invite) {
		const char *link = field(invite, "link");
		printf("%s\n", link);
		if (isatty(STDOUT_FILENO) || options_has(&call->options, "qr"))
			code = draw(link);
		if (code == 0 && isatty(STDOUT_FILENO))
			explain(invite);
	}
	json_decref(invite);
	return code;
}

int run_invite_list(struct call *call)
{
	char path[PATH_ROOM];
	json_t *answer = NULL;
	int code = path_of(call, path, NULL);
	if (code == 0)
		code = client_shown(call, "GET", path, NULL, "invites", "farlan.invite/1", &answer);
	if (answer) {
		for (size_t i = 0; i < json_array_size(json_object_get(answer, "invites")); i++)
			shown(json_array_get(json_object_get(answer, "invites"), i));
		code = output_table(json_object_get(answer, "invites"), columns);
	}
	json_decref(answer);
	return code;
}

int run_invite_revoke(struct call *call)
{
	char path[PATH_ROOM], id[CELL_MAX], state[CELL_MAX];
	json_t *invite = NULL;
	int code = path_of(call, path, call->words[1]);
	if (code == 0)
		code = client_shown(call, "DELETE", path, NULL, NULL, NULL, &invite);
	if (invite)
		printf("invitation %s: %s\n", cell_text(invite, "id", CELL_TEXT, id), cell_text(invite, "state", CELL_TEXT, state));
	json_decref(invite);
	return code;
}

int run_invite_qr(struct call *call)
{
	char link[INVITE_LINK_MAX] = "";
	struct invite_link parsed;
	const char *why;
	size_t at;
	if (call->n_words && strcmp(call->words[0], "-") != 0) {
		snprintf(link, sizeof(link), "%s", call->words[0]);
		word_hide(call->words[0]);
	} else if (!fgets(link, sizeof(link), stdin)) {
		return complain(EXIT_USAGE, "standard input holds no invitation");
	}
	link[strcspn(link, " \t\r\n")] = 0;
	int code = 0;
	if (!invite_link_parse(link, &parsed, &at, &why))
		code = complain(EXIT_USAGE, "this is no invitation, from its character %zu on: %s", at + 1, why);
	else
		code = draw(link);
	explicit_bzero(link, sizeof(link));
	explicit_bzero(&parsed, sizeof(parsed));
	return code;
}
