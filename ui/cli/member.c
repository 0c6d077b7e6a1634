/* member.c: member list, approve, deny, revoke, delete, set.
 *
 * A member is named by its address or by a name only one member has; names are looked up in the list, addresses go to the
 * controller as they are, so that a stranger's is answered by it (exit 5). An address always wins over a name that looks
 * like one: names are chosen by others.
 */
#include <stdio.h>
#include <string.h>

#include "proto/base/log.h"
#include "ui/cli/client.h"
#include "ui/cli/output.h"
#include "ui/cli/setting.h"

#define PATH_ROOM 128

static const struct column columns[] = {
    {"MEMBER", "address", CELL_TEXT},
    {"NAME", "name", CELL_TEXT},
    {"STATE", "state", CELL_TEXT},
    {"ONLINE", "online", CELL_YES_NO},
    {"ADDRESSES", "ips", CELL_LIST},
    {"FLAGS", "flags", CELL_FLAGS},
    {"FINGERPRINT", "fingerprint", CELL_TEXT},
    {"HOSTNAME", "hostname", CELL_TEXT},
    {"FROM", "physical", CELL_TEXT},
    {0},
};

struct member {
	struct client *client;
	char nwid[NWID_TEXT];
	char address[ADDRESS_TEXT];
	char path[PATH_ROOM];
};

static int by_name(struct member *m, const char *word)
{
	json_t *list = NULL, *one;
	char path[PATH_ROOM], shown[128], both[ADDRESS_TEXT * 2] = "";
	unsigned found = 0;
	size_t i;
	snprintf(path, sizeof(path), "/v1/networks/%s/members", m->nwid);
	int code = client_ask(m->client, "GET", path, NULL, &list);
	if (code)
		return code;
	json_array_foreach(json_object_get(list, "members"), i, one)
	{
		uint64_t address;
		if (strcmp(field(one, "name"), word) != 0 || !address_parse(field(one, "address"), &address))
			continue;
		address_format(address, m->address);
		if (found++ < 2)
			snprintf(both + strlen(both), sizeof(both) - strlen(both), "%s%s", *both ? " " : "", m->address);
	}
	json_decref(list);
	if (found == 1)
		return 0;
	log_text(shown, sizeof(shown), word, strlen(word));
	if (found)
		return complain(EXIT_USAGE, "%u members are called \"%s\" (%s); give the address", found, shown, both);
	return complain(EXIT_USAGE,
	                "\"%s\" is no member's name, and no address, which is 10 hex digits like 7f3a91c04e; see farlan member list %s",
	                shown, m->nwid);
}

/* NWID MEMBER into *m; the client is open when 0 is returned. */
static int begin(struct member *m, struct call *call, const char *tail)
{
	uint64_t address;
	*m = (struct member){0};
	int code = word_nwid(call->words[0], m->nwid, NULL);
	if (code == 0)
		code = client_open(&m->client, call);
	if (code)
		return code;
	if (address_parse(call->words[1], &address))
		address_format(address, m->address);
	else
		code = by_name(m, call->words[1]);
	if (code)
		client_close(m->client);
	snprintf(m->path, sizeof(m->path), "/v1/networks/%s/members/%s%s", m->nwid, m->address, tail);
	return code;
}

/* The fields of the options. NULL with the complaint printed. */
static json_t *settings(const struct call *call)
{
	static const char *const texts[] = {"name", "ip"};
	json_t *body = json_object();
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		const char *value = options_value(&call->options, texts[i]);
		if (value && json_object_set_new(body, texts[i], json_string(value))) {
			complain(EXIT_USAGE, "--%s takes UTF-8 text", texts[i]);
			goto refused;
		}
	}
	if (setting_switches(call, member_flag_names, body) == 0)
		return body;
refused:
	json_decref(body);
	return NULL;
}

/* One request and its sentence: "approved laptop (1b22d9a077): 10.77.0.20/24". Takes body. */
static int act(struct call *call, const char *method, const char *tail, json_t *body, const char *done)
{
	struct member m;
	char name[CELL_MAX], ips[CELL_MAX];
	json_t *member = NULL;
	int code = begin(&m, call, tail);
	if (code) {
		json_decref(body);
		return code;
	}
	code = client_ask(m.client, method, m.path, body, &member);
	client_close(m.client);
	if (code == 0 && call->format != FORMAT_TABLE) {
		if (member)
			code = output_json(call, member, NULL, NULL);
	} else if (code == 0) {
		bool approved = !strcmp(field(member, "state"), "approved") && strcmp(method, "DELETE") != 0;
		bool named = *field(member, "name") != 0, placed = approved && json_array_size(json_object_get(member, "ips")) > 0;
		printf("%s %s%s%s%s%s%s\n", done, named ? cell_text(member, "name", CELL_TEXT, name) : "", named ? " (" : "", m.address,
		       named ? ")" : "", placed ? ": " : "", placed ? cell_text(member, "ips", CELL_LIST, ips) : "");
	}
	json_decref(member);
	return code;
}

int run_member_list(struct call *call)
{
	struct client *client;
	char nwid[NWID_TEXT], path[PATH_ROOM];
	json_t *list = NULL;
	int code = word_nwid(call->words[0], nwid, NULL);
	if (code == 0)
		code = client_open(&client, call);
	if (code)
		return code;
	snprintf(path, sizeof(path), "/v1/networks/%s/members", nwid);
	code = client_ask(client, "GET", path, NULL, &list);
	client_close(client);
	if (code == 0 && call->format != FORMAT_TABLE)
		code = output_json(call, list, "members", "farlan.member/1");
	else if (code == 0)
		code = output_table(json_object_get(list, "members"), columns);
	json_decref(list);
	return code;
}

int run_member_approve(struct call *call)
{
	json_t *body = settings(call);
	return body ? act(call, "POST", "/approve", body, "approved") : EXIT_USAGE;
}

int run_member_set(struct call *call)
{
	json_t *body = settings(call);
	if (!body)
		return EXIT_USAGE;
	if (!json_object_size(body)) {
		json_decref(body);
		return complain(EXIT_USAGE, "nothing to set: give --name, --ip or a right, like --bridge on; see farlan help member set");
	}
	return act(call, "PATCH", "", body, "changed");
}

int run_member_deny(struct call *call)
{
	return act(call, "POST", "/deny", json_object(), "denied");
}
int run_member_revoke(struct call *call)
{
	return act(call, "POST", "/revoke", json_object(), "revoked");
}
int run_member_delete(struct call *call)
{
	return act(call, "DELETE", "", NULL, "deleted");
}
