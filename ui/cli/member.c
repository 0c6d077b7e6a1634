/* member.c: member list, show, approve, deny, revoke, ban, unban, delete, set, preapprove; preapproval list and delete.
 *
 * A member is named by its address or by a name only one member has; names are looked up in the list, addresses go to the
 * controller as they are, so that a stranger's is answered by it (exit 5). An address always wins over a name that looks
 * like one: names are chosen by others. Several members are asked for one after the other, each with its own sentence; the exit
 * code is that of the first that was refused.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/log.h"
#include "ui/cli/client.h"
#include "ui/cli/output.h"
#include "ui/cli/setting.h"

#define PATH_ROOM  128
#define QUERY_ROOM 2048

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

static const struct column wide[] = {
    {"MEMBER", "address", CELL_TEXT},
    {"NAME", "name", CELL_TEXT},
    {"STATE", "state", CELL_TEXT},
    {"ONLINE", "online", CELL_YES_NO},
    {"LINK", "link", CELL_TEXT},
    {"RTT", "rtt_ms", CELL_MS},
    {"ADDRESSES", "ips", CELL_LIST},
    {"IPV6", "ipv6", CELL_TEXT},
    {"TAGS", "tags", CELL_LIST},
    {"FLAGS", "flags", CELL_FLAGS},
    {"ENDS IN", "expires_in", CELL_LASTS},
    {"FINGERPRINT", "fingerprint", CELL_TEXT},
    {"HOSTNAME", "hostname", CELL_TEXT},
    {"OS", "os", CELL_TEXT},
    {"VERSION", "version", CELL_TEXT},
    {"FROM", "physical", CELL_TEXT},
    {"LAST SEEN", "last_seen", CELL_TIME},
    {"DESCRIPTION", "description", CELL_TEXT},
    {0},
};

static const struct column lines[] = {
    {"member", "address", CELL_TEXT},
    {"name", "name", CELL_TEXT},
    {"description", "description", CELL_TEXT},
    {"state", "state", CELL_TEXT},
    {"reason", "reason", CELL_TEXT},
    {"online", "online", CELL_YES_NO},
    {"link to the controller", "link", CELL_TEXT},
    {"round trip", "rtt_ms", CELL_MS},
    {"from", "physical", CELL_TEXT},
    {"addresses", "ips", CELL_LIST},
    {"of the pool", "auto_ip", CELL_YES_NO},
    {"ipv6", "ipv6", CELL_TEXT},
    {"flags", "flags", CELL_FLAGS},
    {"tags", "tags", CELL_LIST},
    {"approval ends in", "expires_in", CELL_LASTS},
    {"forgotten when offline for", "ephemeral", CELL_LASTS},
    {"invitation", "invite", CELL_TEXT},
    {"hostname", "hostname", CELL_TEXT},
    {"os", "os", CELL_TEXT},
    {"version", "version", CELL_TEXT},
    {"fingerprint", "fingerprint", CELL_TEXT},
    {"key hash", "key_hash", CELL_TEXT},
    {"configuration held", "acknowledged", CELL_COUNT},
    {"first seen", "first_seen", CELL_TIME},
    {"last seen", "last_seen", CELL_TIME},
    {"let in", "authorized_at", CELL_TIME},
    {"put out", "deauthorized_at", CELL_TIME},
    {0},
};

static const struct column awaited[] = {
    {"MEMBER", "address", CELL_TEXT},
    {"NAME", "name", CELL_TEXT},
    {"LET IN", "approve", CELL_YES_NO},
    {"ADDRESSES", "ips", CELL_LIST},
    {"TAGS", "tags", CELL_LIST},
    {"FLAGS", "flags", CELL_FLAGS},
    {"ENDS AFTER", "expires_in", CELL_LASTS},
    {"SINCE", "created", CELL_TIME},
    {"DESCRIPTION", "description", CELL_TEXT},
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
static int begin(struct member *m, struct call *call, const char *word, const char *tail)
{
	uint64_t address;
	*m = (struct member){0};
	int code = word_nwid(call->words[0], m->nwid, NULL);
	if (code == 0)
		code = client_open(&m->client, call);
	if (code)
		return code;
	if (address_parse(word, &address))
		address_format(address, m->address);
	else
		code = by_name(m, word);
	if (code)
		client_close(m->client);
	snprintf(m->path, sizeof(m->path), "/v1/networks/%s/members/%s%s", m->nwid, m->address, tail);
	return code;
}

static int ip_add(void *list, const char *value)
{
	if (!strcmp(value, "none"))
		return 0;
	json_array_append_new(list, json_string(value));
	return 0;
}

/* The fields of the options. NULL with the complaint printed. */
static json_t *settings(const struct call *call)
{
	json_t *body = json_object(), *ips = json_array();
	setting_each(call, "ip", ip_add, ips);
	int code = setting_text(call, "name", true, body);
	if (!code)
		code = setting_text(call, "description", true, body);
	if (!code)
		code = setting_tags(call, body);
	if (!code)
		code = setting_expires(call, body);
	if (!code && json_array_size(ips) == 1)
		json_object_set(body, "ip", json_array_get(ips, 0));
	else if (!code && options_has(&call->options, "ip"))
		json_object_set(body, "ips", ips);
	if (!code)
		code = setting_switch(call, "auto-ip", "auto_ip", body);
	if (!code)
		code = setting_switches(call, member_flag_names, body);
	json_decref(ips);
	if (!code)
		return body;
	json_decref(body);
	return NULL;
}

/* "approved laptop (1b22d9a077): 10.77.0.20/24" */
static void said(const struct member *m, const char *method, const json_t *member, const char *done)
{
	char name[CELL_MAX], ips[CELL_MAX];
	bool approved = !strcmp(field(member, "state"), "approved") && strcmp(method, "DELETE") != 0;
	bool named = *field(member, "name") != 0, placed = approved && json_array_size(json_object_get(member, "ips")) > 0;
	printf("%s %s%s%s%s%s%s\n", done, named ? cell_text(member, "name", CELL_TEXT, name) : "", named ? " (" : "", m->address,
	       named ? ")" : "", placed ? ": " : "", placed ? cell_text(member, "ips", CELL_LIST, ips) : "");
}

static int act_on(struct call *call, const char *word, const char *method, const char *tail, json_t *body, const char *done)
{
	struct member m;
	json_t *member = NULL;
	int code = begin(&m, call, word, tail);
	if (code)
		return code;
	code = client_ask(m.client, method, m.path, json_incref(body), &member);
	client_close(m.client);
	if (code == 0 && call->format != FORMAT_TABLE && member)
		code = output_json(call, member, NULL, NULL);
	else if (code == 0 && call->format == FORMAT_TABLE)
		said(&m, method, member, done);
	json_decref(member);
	return code;
}

/* One request for each word behind the network's. Takes body. */
static int act(struct call *call, const char *method, const char *tail, json_t *body, const char *done)
{
	int first = 0;
	for (unsigned i = 1; i < call->n_words; i++) {
		int code = act_on(call, call->words[i], method, tail, body, done);
		first = first ? first : code;
	}
	json_decref(body);
	return first;
}

/* ---- the list ---- */

static void query_add(char query[QUERY_ROOM], const char *name, const char *value)
{
	size_t at = strlen(query);
	at += (size_t)snprintf(query + at, QUERY_ROOM - at, "%c%s=", at ? '&' : '?', name);
	for (; *value && at + 4 < QUERY_ROOM; value++)
		at += (size_t)snprintf(query + at, QUERY_ROOM - at, "%%%02x", (unsigned char)*value);
}

static int list_query(const struct call *call, char query[QUERY_ROOM])
{
	static const char *const names[][2] = {{"state", "state"}, {"link", "link"}, {"tag", "tag"},
	                                       {"search", "q"},    {"sort", "sort"}, {"limit", "limit"}};
	const char *online = options_value(&call->options, "online");
	*query = '\0';
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const char *value = options_value(&call->options, names[i][0]);
		if (value && strlen(value) > 128)
			return complain(EXIT_USAGE, "--%s is too long", names[i][0]);
		if (value && !(i == 5 && !strcmp(value, "all")))
			query_add(query, names[i][1], value);
	}
	if (online && strcmp(online, "on") != 0 && strcmp(online, "off") != 0)
		return complain(EXIT_USAGE, "--online takes on or off");
	if (online)
		query_add(query, "online", !strcmp(online, "on") ? "true" : "false");
	return 0;
}

static int ask_list(struct call *call, const char *what, const char *query, json_t **ret)
{
	char nwid[NWID_TEXT], path[PATH_ROOM + QUERY_ROOM];
	int code = word_nwid(call->words[0], nwid, NULL);
	if (code)
		return code;
	snprintf(path, sizeof(path), "/v1/networks/%s/%s%s", nwid, what, query);
	return client_once(call, "GET", path, NULL, ret);
}

int run_member_list(struct call *call)
{
	char query[QUERY_ROOM];
	json_t *list = NULL;
	int code = list_query(call, query);
	if (code == 0)
		code = ask_list(call, "members", query, &list);
	if (code == 0 && call->format != FORMAT_TABLE)
		code = output_json(call, list, "members", "farlan.member/1");
	else if (code == 0)
		code = output_table(json_object_get(list, "members"), options_has(&call->options, "wide") ? wide : columns);
	json_decref(list);
	return code;
}

int run_member_show(struct call *call)
{
	struct member m;
	json_t *member = NULL;
	int code = begin(&m, call, call->words[1], "");
	if (code)
		return code;
	code = client_ask(m.client, "GET", m.path, NULL, &member);
	client_close(m.client);
	if (code == 0)
		code = call->format != FORMAT_TABLE ? output_json(call, member, NULL, NULL) : output_lines(member, lines);
	json_decref(member);
	return code;
}

/* ---- acts ---- */

int run_member_approve(struct call *call)
{
	if (call->n_words > 2 && (options_has(&call->options, "ip") || options_has(&call->options, "name")))
		return complain(EXIT_USAGE, "--ip and --name are for one member; approve them one by one");
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

static int out(struct call *call, const char *tail, const char *done)
{
	json_t *body = json_object();
	int code = setting_text(call, "reason", false, body);
	if (!code)
		return act(call, "POST", tail, body, done);
	json_decref(body);
	return code;
}

int run_member_deny(struct call *call)
{
	return out(call, "/deny", "denied");
}
int run_member_revoke(struct call *call)
{
	return out(call, "/revoke", "revoked");
}
int run_member_ban(struct call *call)
{
	return out(call, "/ban", "banned");
}
int run_member_unban(struct call *call)
{
	return act(call, "POST", "/unban", json_object(), "unbanned");
}
int run_member_delete(struct call *call)
{
	return act(call, "DELETE", "", NULL, "deleted");
}

/* ---- before they ask ---- */

static int awaited_one(struct call *call, const char *method, const char *tail, json_t *body, const char *done)
{
	struct client *client;
	char nwid[NWID_TEXT], path[PATH_ROOM];
	json_t *row = NULL;
	int code = word_nwid(call->words[0], nwid, NULL);
	if (code == 0)
		code = client_open(&client, call);
	if (code) {
		json_decref(body);
		return code;
	}
	snprintf(path, sizeof(path), "/v1/networks/%s/preapprovals%s%s", nwid, *tail ? "/" : "", tail);
	code = client_ask(client, method, path, body, &row);
	client_close(client);
	if (code == 0 && call->format != FORMAT_TABLE)
		code = output_json(call, row, NULL, NULL);
	else if (code == 0)
		printf("%s %s\n", done, field(row, "address"));
	json_decref(row);
	return code;
}

static int word_address(const char *word, char ret[ADDRESS_TEXT])
{
	uint64_t address;
	char shown[128];
	if (address_parse(word, &address)) {
		address_format(address, ret);
		return 0;
	}
	log_text(shown, sizeof(shown), word, strlen(word));
	return complain(EXIT_USAGE, "\"%s\" is no address, which is 10 hex digits like 7f3a91c04e; farlan id shows it on its machine",
	                shown);
}

static int await(struct call *call, bool approve, const char *done)
{
	char address[ADDRESS_TEXT];
	int code = word_address(call->words[1], address);
	json_t *body = code ? NULL : settings(call), *flags;
	if (!body)
		return EXIT_USAGE;
	flags = json_object();
	for (const struct flag_name *f = member_flag_names; f->name; f++) {
		json_t *value = json_object_get(body, f->name);
		if (!value)
			continue;
		json_object_set(flags, f->name, value);
		json_object_del(body, f->name);
	}
	json_object_set_new(body, "flags", flags);
	json_object_set_new(body, "address", json_string(address));
	json_object_set_new(body, "approve", json_boolean(approve));
	return awaited_one(call, "POST", "", body, done);
}

int run_member_preapprove(struct call *call)
{
	return await(call, true, "preapproved");
}

int run_member_reserve(struct call *call)
{
	return await(call, false, "reserved for");
}

int run_preapproval_list(struct call *call)
{
	json_t *list = NULL;
	int code = ask_list(call, "preapprovals", "", &list);
	if (code == 0 && call->format != FORMAT_TABLE)
		code = output_json(call, list, "preapprovals", "farlan.preapproval/1");
	else if (code == 0)
		code = output_table(json_object_get(list, "preapprovals"), awaited);
	json_decref(list);
	return code;
}

int run_preapproval_delete(struct call *call)
{
	char address[ADDRESS_TEXT];
	int code = word_address(call->words[1], address);
	return code ? code : awaited_one(call, "DELETE", address, NULL, "deleted the preapproval of");
}
