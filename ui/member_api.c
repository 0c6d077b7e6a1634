/* member_api.c: members of a network, from a route to one call of the controller, and from its rows to JSON.
 *
 * A list of ten thousand goes out a thousand rows at a time, each page read when the one before has left: at once it would be six
 * megabytes of text, and hold up everybody else for as long as it takes to write them.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ui/argument.h"
#include "ui/controller_routes.h"
#include "ui/rows.h"

#define LIST_MAX  10000
#define PAGE_ROWS 1000 /* each page is a turn of the loop in which nobody else is served */

static const char *link_name(const struct member_row *row)
{
	return row->link == LINK_DIRECT ? "direct" : row->link == LINK_RELAY ? "relay" : NULL;
}

static json_t *tags_json(const struct tags *tags)
{
	json_t *list = json_array();
	for (unsigned i = 0; i < tags->n; i++)
		json_array_append_new(list, json_string(tags->tag[i]));
	return list;
}

static void live_json(json_t *o, const struct member_row *row)
{
	char text[64];
	const char *link = link_name(row);
	json_object_set_new(o, "online", json_boolean(row->online));
	json_object_set_new(o, "link", link ? json_string(link) : json_null());
	json_object_set_new(o, "rtt_ms", row->rtt_us ? json_real(row->rtt_us / 1000.0) : json_null());
	json_object_set_new(o, "traffic", traffic_rate_json(row->carries, row->rx_bps, row->tx_bps));
	if (row->physical.family)
		endpoint_format(&row->physical, text, sizeof(text));
	json_object_set_new(o, "physical", row->physical.family ? json_string(text) : json_null());
	json_object_set_new(o, "acknowledged", json_count_or_null(row->acknowledged));
	json_object_set_new(o, "first_seen", json_count_or_null(row->first_seen_wall_s));
	json_object_set_new(o, "last_seen", json_count_or_null(row->last_seen_wall_s));
}

/* Of the wall clock of now: for people, who else asks counts the seconds that are left. */
static uint64_t wall_in(uint64_t seconds)
{
	return seconds ? (uint64_t)time(NULL) + seconds : 0;
}

json_t *member_json(const struct member_row *row)
{
	char address[ADDRESS_TEXT], words[WORDS_TEXT], text[64];
	struct prefix v6 = {.family = 6, .bits = 64};
	json_t *o = json_object(), *ips = json_array(), *on = json_object();

	address_format(row->address, address);
	fingerprint_words(row->key_hash, words);
	ula_derive(row->nwid, row->address, v6.ip);
	json_object_set_new(o, "address", json_string(address));
	json_object_set_new(o, "key_hash", json_hex(row->key_hash, KEY_HASH_BYTES));
	json_object_set_new(o, "fingerprint", json_string(words));
	json_object_set_new(o, "name", json_text(row->name));
	json_object_set_new(o, "description", json_text(row->description));
	json_object_set_new(o, "hostname", json_text(row->hostname));
	json_object_set_new(o, "os", json_text(row->os));
	json_object_set_new(o, "version", json_text(row->version));
	json_object_set_new(o, "state", json_string(member_state_name(row->state)));
	json_object_set_new(o, "reason", json_text(row->reason));
	for (unsigned i = 0; i < row->n_ips && i < CRED_IPS_MAX; i++) {
		prefix_format(&row->ips[i], text, sizeof(text));
		json_array_append_new(ips, json_string(text));
	}
	json_object_set_new(o, "ips", ips);
	json_object_set_new(o, "auto_ip", json_boolean(row->auto_ip));
	json_object_set_new(o, "authorized_at", json_count_or_null(row->authorized_wall_s));
	json_object_set_new(o, "deauthorized_at", json_count_or_null(row->deauthorized_wall_s));
	prefix_format(&v6, text, sizeof(text));
	json_object_set_new(o, "ipv6", row->ipv6 ? json_string(text) : json_null());
	flags_json(on, member_flag_names, row->flags);
	json_object_set_new(o, "flags", on);
	json_object_set_new(o, "tags", tags_json(&row->tags));
	json_object_set_new(o, "ephemeral", json_count_or_null(row->ephemeral_s));
	snprintf(text, sizeof(text), "%016llx", (unsigned long long)row->invite);
	json_object_set_new(o, "invite", row->invite ? json_string(text) : json_null());
	json_object_set_new(o, "expires_in", json_count_or_null(row->expires_s));
	json_object_set_new(o, "expires_at", json_count_or_null(wall_in(row->expires_s)));
	live_json(o, row);
	json_object_set_new(o, "revision", json_count(row->revision));
	return o;
}

/* ---- the list ---- */

static const char *state_name(unsigned i)
{
	return member_state_name((enum member_state)i);
}

static bool query_take(const struct request *request, struct reply *reply, struct member_query *ret)
{
	static const char *const yes[] = {"", "true", "false", NULL}, *const links[] = {"", "direct", "relay", "offline", NULL},
				 *const sorts[] = {"address", "state", "name", "last_seen", NULL};
	struct member_query q = {0};
	unsigned online = 0, link = 0, sort = 0;
	uint64_t limit = 0;
	bool good = argument_names(request, reply, "state", state_name, MEMBER_STATES,
	                           "some of pending, approved, denied, revoked and banned, with commas between", &q.states) &&
	            argument_word(request, reply, "online", yes, "true or false", &online) &&
	            argument_word(request, reply, "link", links, "direct, relay or offline", &link) &&
	            argument_word(request, reply, "sort", sorts, "address, state, name or last_seen", &sort) &&
	            argument_text(request, reply, "tag", q.tag, sizeof(q.tag)) && argument_text(request, reply, "q", q.q, sizeof(q.q)) &&
	            argument_text(request, reply, "cursor", q.after, sizeof(q.after)) &&
	            argument_count(request, reply, "limit", LIST_MAX, &limit);
	q.limit = (uint32_t)limit;
	q.online = online;
	q.link = (enum member_link)link;
	q.sort = (enum member_sort)sort;
	*ret = q;
	return good;
}

/* A list on its way out: the query of its next page. */
struct going {
	struct controller *controller;
	uint64_t nwid;
	struct member_query query; /* after: where it goes on; limit: what is left of the one that was asked for, 0 = all */
	bool limited;
	struct member_page page;       /* the last */
	enum admin_status *ret_status; /* of the first page; NULL after it */
	struct admin_error *ret_error;
	char *ret_next; /* CURSOR_MAX */
	struct member_order order;
};

static void member_append(void *array, const struct member_row *row)
{
	json_array_append_new(array, member_json(row));
}

static int going_page(void *self, json_t *array)
{
	struct going *g = self;
	struct member_query query = g->query;
	if (!g->limited || query.limit > PAGE_ROWS)
		query.limit = PAGE_ROWS;
	struct admin_error error = {0};
	struct member_page page;
	enum admin_status status = controller_member_query(g->controller, g->nwid, &query, member_append, array, &page, &error);
	if (status == ADMIN_OK && !query.rest)
		g->page = page; /* with the counts */
	else if (status == ADMIN_OK)
		memcpy(g->page.next, page.next, sizeof(g->page.next));
	g->query.rest = true;
	if (g->ret_status) { /* the handler can still answer with it */
		*g->ret_status = status;
		*g->ret_error = error;
		if (status == ADMIN_OK)
			memcpy(g->ret_next, g->page.next, sizeof(g->page.next));
		g->ret_status = NULL;
	}
	if (status != ADMIN_OK)
		return -1;
	memcpy(g->query.after, g->page.next, sizeof(g->query.after));
	if (g->limited)
		g->query.limit -= query.limit;
	return *g->page.next && (!g->limited || g->query.limit);
}

static void going_tail(void *self, json_t *o)
{
	const struct member_page *page = &((struct going *)self)->page;
	json_t *counts = json_object();
	for (unsigned i = 0; i < MEMBER_STATES; i++)
		json_object_set_new(counts, member_state_name((enum member_state)i), json_integer(page->count[i]));
	json_object_set_new(counts, "online", json_integer(page->online));
	json_object_set_new(o, "next", *page->next ? json_string(page->next) : json_null());
	json_object_set_new(o, "total", json_integer(page->total));
	json_object_set_new(o, "counts", counts);
}

static void going_end(void *self)
{
	struct going *g = self;
	member_order_fini(&g->order);
	free(g);
}

void members_get(void *self, const struct request *request, struct reply *reply)
{
	struct controller_api *api = self;
	struct admin_error error = {.title = "Out of memory", .detail = "There is no memory for the list."};
	enum admin_status status = ADMIN_UNAVAILABLE;
	char next[CURSOR_MAX] = "";
	struct going *g = calloc(1, sizeof(*g));
	struct rows_source source = {.page = going_page, .tail = going_tail, .end = going_end, .self = g};

	if (!g) {
		admin_problem(reply, status, &error);
		return;
	}
	*g = (struct going){.controller = api->controller, .ret_status = &status, .ret_error = &error, .ret_next = next};
	if (!network_of(request, reply, &g->nwid) || !query_take(request, reply, &g->query)) {
		free(g);
		return;
	}
	g->limited = g->query.limit;
	g->query.order = &g->order;
	if (!reply_rows(reply, "farlan.members/1", "members", &source))
		admin_problem(reply, status, &error);
	else if (!reply->more && *next) /* of a longer one the head is gone before the next part is known */
		reply_link(request, reply, next);
}

/* ---- one of them ---- */

static void member_reply(struct reply *reply, const struct member_row *row)
{
	reply_etag(reply, row->revision);
	reply_row(reply, 200, "farlan.member/1", member_json(row));
}

static void member_answer(struct controller_api *api, enum admin_status status, struct admin_error *error, uint64_t nwid, uint64_t address,
                          struct reply *reply)
{
	struct member_row row;
	if (status == ADMIN_OK)
		status = controller_member_get(api->controller, nwid, address, &row, error);
	if (status == ADMIN_OK)
		member_reply(reply, &row);
	else
		admin_problem(reply, status, error);
}

/* Is it as the caller saw it, if he says so? An unknown member is for the act itself to complain of. false: answered. */
static bool member_unchanged(struct controller_api *api, const struct request *request, struct reply *reply, uint64_t nwid,
                             uint64_t address)
{
	struct admin_error error;
	struct member_row row;
	return !request->if_match || controller_member_get(api->controller, nwid, address, &row, &error) != ADMIN_OK ||
	       request_matches(request, reply, row.revision);
}

/* Who may only approve and deny decides about those who wait: what an admin let in, threw out or set stands. false: answered. */
static bool member_waits(struct controller_api *api, const struct request *request, struct reply *reply, uint64_t nwid, uint64_t address)
{
	struct admin_error error;
	struct member_row row;
	if (request_may(request, SCOPE_WRITE, request->arg[0]) ||
	    controller_member_get(api->controller, nwid, address, &row, &error) != ADMIN_OK || member_undecided(row.state))
		return true;
	reply_denied(request, SCOPE_WRITE, reply);
	return false;
}

void member_get(void *self, const struct request *request, struct reply *reply)
{
	struct admin_error error = {0};
	uint64_t nwid, address;
	if (member_of(request, reply, &nwid, &address))
		member_answer(self, ADMIN_OK, &error, nwid, address, reply);
}

static void member_change(struct controller_api *api, const struct request *request, bool approve, struct reply *reply)
{
	struct member_settings settings;
	struct problem problem;
	struct admin_error error = {0};
	uint64_t nwid, address;

	if (!member_of(request, reply, &nwid, &address))
		return;
	if (!settings_member(request->body, request->body_len, approve, &settings, &problem)) {
		reply_problem(reply, &problem);
		return;
	}
	if (!member_unchanged(api, request, reply, nwid, address) || (approve && !member_waits(api, request, reply, nwid, address)))
		return;
	enum admin_status status = approve ? controller_member_approve(api->controller, nwid, address, &settings, &error)
	                                   : controller_member_set(api->controller, nwid, address, &settings, &error);
	member_answer(api, status, &error, nwid, address, reply);
}

void member_patch(void *self, const struct request *request, struct reply *reply)
{
	member_change(self, request, false, reply);
}
void member_approve(void *self, const struct request *request, struct reply *reply)
{
	member_change(self, request, true, reply);
}

static void member_verb(struct controller_api *api, const struct request *request, struct reply *reply,
                        enum admin_status (*verb)(struct controller *, uint64_t, uint64_t, const char *, struct admin_error *))
{
	struct admin_error error = {0};
	struct problem problem;
	char reason[NAME_MAX_BYTES + 1];
	uint64_t nwid, address;
	if (!member_of(request, reply, &nwid, &address))
		return;
	if (!settings_reason(request->body, request->body_len, reason, &problem))
		reply_problem(reply, &problem);
	else if (member_unchanged(api, request, reply, nwid, address))
		member_answer(api, verb(api->controller, nwid, address, reason, &error), &error, nwid, address, reply);
}

void member_deny(void *self, const struct request *request, struct reply *reply)
{
	uint64_t nwid, address;
	if (member_of(request, reply, &nwid, &address) && member_waits(self, request, reply, nwid, address))
		member_verb(self, request, reply, controller_member_deny);
}

void member_revoke(void *self, const struct request *request, struct reply *reply)
{
	member_verb(self, request, reply, controller_member_revoke);
}

void member_ban(void *self, const struct request *request, struct reply *reply)
{
	member_verb(self, request, reply, controller_member_ban);
}

void member_unban(void *self, const struct request *request, struct reply *reply)
{
	struct controller_api *api = self;
	struct admin_error error = {0};
	uint64_t nwid, address;
	if (member_of(request, reply, &nwid, &address) && body_none(request, reply) && member_unchanged(api, request, reply, nwid, address))
		member_answer(api, controller_member_unban(api->controller, nwid, address, &error), &error, nwid, address, reply);
}

void member_delete(void *self, const struct request *request, struct reply *reply)
{
	struct controller_api *api = self;
	struct admin_error error = {0};
	struct member_row row;
	uint64_t nwid, address;

	if (!member_of(request, reply, &nwid, &address) || !body_none(request, reply))
		return;
	enum admin_status status = controller_member_get(api->controller, nwid, address, &row, &error);
	if (status == ADMIN_OK && !request_matches(request, reply, row.revision))
		return;
	if (status == ADMIN_OK)
		status = controller_member_delete(api->controller, nwid, address, &error);
	if (status == ADMIN_OK)
		reply_row(reply, 200, "farlan.member/1", member_json(&row)); /* as it was */
	else
		admin_problem(reply, status, &error);
}
