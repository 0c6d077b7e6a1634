/* zt1_member.c: members, as these programs know them: who asked, and who is awaited.
 *
 * Their controller has one row for each address that anybody ever named; ours tells who asked from who is let in beforehand, or has things
 * reserved. Here all of them are members: setting one that never asked makes a preapproval if it is authorized, else a reservation. What
 * one body asks for is one act of ours, a transaction; only taking the authorization away together with other changes is two, of which the
 * second cannot be refused.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controller/policy.h"
#include "ui/rows.h"
#include "ui/zt1_controller.h"

#define PAGE_ROWS 500

/* One of them, whatever it is here. */
struct seat {
	struct member_row row;
	bool known, asked, authorized;
	struct member_settings settings; /* of who did not ask */
};

/* ---- telling ---- */

static void seat_awaited(const struct preapproval_row *p, struct seat *ret)
{
	const struct member_settings *s = &p->settings;
	*ret = (struct seat){.known = true, .authorized = !p->reserve, .settings = *s};
	struct member_row *row = &ret->row;
	row->nwid = p->nwid;
	row->address = p->address;
	row->revision = p->revision;
	row->first_seen_wall_s = p->created_wall_s;
	row->flags = policy_flags(s->flags_on, s->flags_off);
	row->auto_ip = !(s->set & SET_MEMBER_AUTO_IP) || s->auto_ip;
	row->n_ips = s->n_ips;
	memcpy(row->ips, s->ips, sizeof(row->ips));
	memcpy(row->name, s->name, sizeof(row->name));
}

static void seat_asked(const struct member_row *row, struct seat *ret)
{
	*ret = (struct seat){.row = *row, .known = true, .asked = true, .authorized = row->state == MEMBER_APPROVED};
}

static enum admin_status seat_find(struct zt1_api *api, uint64_t nwid, uint64_t address, struct seat *ret, struct admin_error *error)
{
	struct member_row row;
	struct preapproval_row awaited;
	*ret = (struct seat){.known = false};
	enum admin_status status = controller_member_get(api->api->controller, nwid, address, &row, error);
	if (status == ADMIN_OK)
		seat_asked(&row, ret);
	if (status != ADMIN_NOT_FOUND)
		return status;
	status = controller_preapproval_get(api->api->controller, nwid, address, &awaited, error);
	if (status == ADMIN_OK)
		seat_awaited(&awaited, ret);
	return status;
}

/* "address:0:" and what tells its keys. */
static json_t *identity_json(const struct seat *seat, const char *address)
{
	char text[ADDRESS_TEXT + 3 + 2 * KEY_HASH_BYTES];
	if (!seat->asked)
		return json_string("");
	size_t len = (size_t)snprintf(text, sizeof(text), "%s:0:", address);
	for (unsigned i = 0; i < KEY_HASH_BYTES; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%02x", seat->row.key_hash[i]);
	return json_string(text);
}

static json_t *seat_json(const struct seat *seat)
{
	char address[ADDRESS_TEXT], nwid[NWID_TEXT];
	const struct member_row *row = &seat->row;
	json_t *o = json_object(), *ips = json_array();
	int version[3];
	address_format(row->address, address);
	nwid_format(row->nwid, nwid);
	zt1_version(row->version, version);
	for (unsigned i = 0; i < row->n_ips && i < CRED_IPS_MAX; i++)
		json_array_append_new(ips, json_host(&row->ips[i]));
	json_object_set_new(o, "id", json_string(address));
	json_object_set_new(o, "address", json_string(address));
	json_object_set_new(o, "nwid", json_string(nwid));
	json_object_set_new(o, "objtype", json_string("member"));
	json_object_set_new(o, "authorized", json_boolean(seat->authorized));
	json_object_set_new(o, "activeBridge", json_boolean(row->flags & MEMBER_BRIDGE));
	json_object_set_new(o, "noAutoAssignIps", json_boolean(!row->auto_ip));
	json_object_set_new(o, "ipAssignments", ips);
	json_object_set_new(o, "name", json_text(row->name));
	json_object_set_new(o, "identity", identity_json(seat, address));
	json_object_set_new(o, "revision", json_count(row->revision));
	json_object_set_new(o, "creationTime", json_count(row->first_seen_wall_s * 1000));
	json_object_set_new(o, "lastAuthorizedTime", json_count(row->authorized_wall_s * 1000));
	json_object_set_new(o, "lastDeauthorizedTime", json_count(row->deauthorized_wall_s * 1000));
	json_object_set_new(o, "lastAuthorizedCredential", json_null());
	json_object_set_new(o, "lastAuthorizedCredentialType", row->authorized_wall_s ? json_string("api") : json_null());
	json_object_set_new(o, "authenticationExpiryTime", json_integer(0));
	json_object_set_new(o, "ssoExempt", json_false());
	json_object_set_new(o, "capabilities", json_array());
	json_object_set_new(o, "tags", json_array());
	json_object_set_new(o, "remoteTraceTarget", json_null());
	json_object_set_new(o, "remoteTraceLevel", json_integer(0));
	json_object_set_new(o, "vMajor", json_integer(version[0]));
	json_object_set_new(o, "vMinor", json_integer(version[1]));
	json_object_set_new(o, "vRev", json_integer(version[2]));
	json_object_set_new(o, "vProto", json_integer(*version < 0 ? -1 : 1));
	return o;
}

static void seat_answer(struct zt1_api *api, uint64_t nwid, uint64_t address, struct reply *reply)
{
	struct admin_error error = {0};
	struct seat seat;
	enum admin_status status = seat_find(api, nwid, address, &seat, &error);
	if (status == ADMIN_OK)
		reply_json(reply, 200, seat_json(&seat));
	else
		zt1_failed(reply, status, &error);
}

void zt1_member_get(void *self, const struct request *request, struct reply *reply)
{
	uint64_t nwid, address;
	if (zt1_member_of(request, reply, &nwid, &address))
		seat_answer(self, nwid, address, reply);
}

/* ---- lists ---- */

static void revision_set(json_t *object, uint64_t address, uint64_t revision)
{
	char text[ADDRESS_TEXT];
	address_format(address, text);
	json_object_set_new(object, text, json_count(revision));
}

static void member_revision(void *object, const struct member_row *row)
{
	revision_set(object, row->address, row->revision);
}

static void awaited_revision(void *object, const struct preapproval_row *row)
{
	revision_set(object, row->address, row->revision);
}

void zt1_members_get(void *self, const struct request *request, struct reply *reply)
{
	struct zt1_api *api = self;
	struct admin_error error = {0};
	uint64_t nwid;
	if (!zt1_network_of(request, reply, &nwid))
		return;
	json_t *o = json_object();
	enum admin_status status = controller_preapproval_each(api->api->controller, nwid, awaited_revision, o, &error);
	if (status == ADMIN_OK)
		status = controller_member_each(api->api->controller, nwid, member_revision, o, &error);
	if (status == ADMIN_OK) {
		reply_json(reply, 200, o);
		return;
	}
	json_decref(o);
	zt1_failed(reply, status, &error);
}

/* A list on its way out. */
struct going {
	struct controller *controller;
	uint64_t nwid;
	struct member_query query;
	bool asked; /* all who asked are out */
	uint32_t total, authorized;
	enum admin_status *ret_status; /* of the first page; NULL after it */
	struct admin_error *ret_error;
};

struct page {
	struct going *going;
	json_t *array;
};

static void seat_append(struct page *page, const struct seat *seat)
{
	page->going->total++;
	page->going->authorized += seat->authorized;
	json_array_append_new(page->array, seat_json(seat));
}

static void member_append(void *self, const struct member_row *row)
{
	struct seat seat;
	seat_asked(row, &seat);
	seat_append(self, &seat);
}

static void awaited_append(void *self, const struct preapproval_row *row)
{
	struct seat seat;
	seat_awaited(row, &seat);
	seat_append(self, &seat);
}

static int going_page(void *self, json_t *array)
{
	struct going *g = self;
	struct page page = {g, array};
	struct member_page next = {0};
	struct admin_error error = {0};
	bool asked = g->asked;
	enum admin_status status = asked ? controller_preapproval_each(g->controller, g->nwid, awaited_append, &page, &error)
	                                 : controller_member_query(g->controller, g->nwid, &g->query, member_append, &page, &next, &error);
	if (g->ret_status) {
		*g->ret_status = status;
		*g->ret_error = error;
		g->ret_status = NULL;
	}
	memcpy(g->query.after, next.next, sizeof(g->query.after));
	g->query.rest = true;
	g->asked = asked || !*next.next;
	return status != ADMIN_OK ? -1 : !asked;
}

static void going_tail(void *self, json_t *o)
{
	const struct going *g = self;
	json_object_set_new(o, "meta", json_pack("{s:i, s:i}", "totalCount", (int)g->total, "authorizedCount", (int)g->authorized));
}

void zt1_members_all(void *self, const struct request *request, struct reply *reply)
{
	struct zt1_api *api = self;
	struct admin_error error = {.title = "Out of memory"};
	enum admin_status status = ADMIN_UNAVAILABLE;
	uint64_t nwid;
	if (!zt1_network_of(request, reply, &nwid))
		return;
	struct going *g = calloc(1, sizeof(*g));
	if (!g) {
		zt1_failed(reply, status, &error);
		return;
	}
	*g = (struct going){
	    .controller = api->api->controller, .nwid = nwid, .query.limit = PAGE_ROWS, .ret_status = &status, .ret_error = &error};
	struct rows_source source = {.page = going_page, .tail = going_tail, .end = free, .self = g};
	if (!reply_rows(reply, NULL, "data", &source))
		zt1_failed(reply, status, &error);
}

/* ---- reading ---- */

static bool ips_same(const struct member_row *now, const struct member_settings *s)
{
	unsigned found = 0;
	for (unsigned i = 0; i < s->n_ips; i++)
		for (unsigned k = 0; k < now->n_ips; k++)
			found += !memcmp(s->ips[i].ip, now->ips[k].ip, 4);
	return s->n_ips == now->n_ips && found == now->n_ips;
}

/* The member's own derived IPv6 may stand there: it has it anyway. */
static bool ips_read(const json_t *list, const struct member_row *now, struct member_settings *s, char why[ZT1_REASON])
{
	const json_t *value;
	uint8_t ula[16];
	size_t i;
	ula_derive(now->nwid, now->address, ula);
	if (!json_is_array(list))
		return zt1_wrong(why, "ipAssignments", "must be a list of addresses");
	json_array_foreach(list, i, value)
	{
		const char *text = zt1_text(value, PREFIX_TEXT);
		struct prefix ip;
		bool there = false;
		if (!text || !prefix_parse(text, false, &ip))
			return zt1_wrong(why, "ipAssignments", "must be addresses like 10.144.0.7");
		if (ip.family == 6 && !memcmp(ip.ip, ula, 16))
			continue;
		if (ip.family != 4)
			return zt1_wrong(why, "ipAssignments", "must be IPv4: IPv6 addresses are derived here, and cannot be chosen");
		ip.bits = 0; /* the pool's */
		for (unsigned k = 0; k < s->n_ips; k++)
			there = there || !memcmp(s->ips[k].ip, ip.ip, 4);
		if (there)
			continue;
		if (s->n_ips == CRED_IPS_MAX)
			return zt1_wrong(why, "ipAssignments", "must be 8 addresses at most");
		s->ips[s->n_ips++] = ip;
	}
	s->set |= ips_same(now, s) ? 0 : SET_MEMBER_IPS;
	return true;
}

static bool settings_read(const json_t *body, const struct member_row *now, struct member_settings *s, char why[ZT1_REASON])
{
	static const char *const lacking[] = {"capabilities", "tags", NULL};
	const json_t *name = json_object_get(body, "name"), *ips = json_object_get(body, "ipAssignments");
	bool bridge = now->flags & MEMBER_BRIDGE;
	*s = (struct member_settings){.auto_ip = now->auto_ip};
	if (!zt1_lacking(body, lacking, why))
		return false;
	if (json_is_string(name) && !zt1_text(name, NAME_MAX_BYTES))
		return zt1_wrong(why, "name", "must be 63 bytes long at most, without control characters");
	if (json_is_string(name) && strcmp(json_string_value(name), now->name) != 0) {
		snprintf(s->name, sizeof(s->name), "%s", json_string_value(name));
		s->set |= SET_MEMBER_NAME;
	}
	if (zt1_bool(json_object_get(body, "activeBridge"), bridge) != bridge) {
		*(bridge ? &s->flags_off : &s->flags_on) = MEMBER_BRIDGE;
		s->set |= SET_MEMBER_FLAGS;
	}
	s->auto_ip = !zt1_bool(json_object_get(body, "noAutoAssignIps"), !now->auto_ip);
	s->set |= s->auto_ip == now->auto_ip ? 0 : SET_MEMBER_AUTO_IP;
	return !ips || json_is_null(ips) || ips_read(ips, now, s, why);
}

/* ---- writing ---- */

/* What is awaited is said anew, whole. */
static void awaited_merge(struct member_settings *all, const struct member_settings *s)
{
	if (s->set & SET_MEMBER_NAME)
		memcpy(all->name, s->name, sizeof(all->name));
	if (s->set & SET_MEMBER_FLAGS)
		policy_flags_set(&all->flags_on, &all->flags_off, s->flags_on, s->flags_off);
	if (s->set & SET_MEMBER_AUTO_IP)
		all->auto_ip = s->auto_ip;
	if (s->set & SET_MEMBER_IPS) {
		all->set &= ~(unsigned)SET_MEMBER_IP;
		memcpy(all->ips, s->ips, sizeof(all->ips));
		all->n_ips = s->n_ips;
	}
	all->set |= s->set;
}

static enum admin_status awaited_write(struct zt1_api *api, uint64_t nwid, uint64_t address, const struct seat *seat,
                                       const struct member_settings *s, bool authorized, struct admin_error *error)
{
	struct member_settings all = seat->settings;
	if (seat->known && !s->set && authorized == seat->authorized)
		return ADMIN_OK;
	awaited_merge(&all, s);
	if (!authorized) /* an approval that is to come has no end yet */
		all.set &= ~(unsigned)SET_MEMBER_EXPIRES;
	return authorized ? controller_preapprove(api->api->controller, nwid, address, &all, error)
	                  : controller_reserve(api->api->controller, nwid, address, &all, error);
}

static enum admin_status asked_write(struct zt1_api *api, uint64_t nwid, uint64_t address, const struct seat *seat,
                                     const struct member_settings *s, bool authorized, struct admin_error *error)
{
	struct controller *c = api->api->controller;
	enum admin_status status = ADMIN_OK;
	if (authorized && !seat->authorized)
		return controller_member_approve(c, nwid, address, s, error);
	if (s->set)
		status = controller_member_set(c, nwid, address, s, error);
	if (status == ADMIN_OK && !authorized && seat->authorized)
		status = controller_member_revoke(c, nwid, address, "deauthorized", error);
	return status;
}

void zt1_member_post(void *self, const struct request *request, struct reply *reply)
{
	struct zt1_api *api = self;
	struct admin_error error = {0};
	struct member_settings s;
	struct network_row network;
	struct seat seat;
	char why[ZT1_REASON] = "";
	uint64_t nwid, address;

	if (!zt1_member_of(request, reply, &nwid, &address))
		return;
	json_t *body = zt1_body(request, reply);
	if (!body)
		return;
	enum admin_status status = controller_network_get(api->api->controller, nwid, &network, &error);
	bool there = status == ADMIN_OK;
	if (there)
		status = seat_find(api, nwid, address, &seat, &error);
	if (there && status == ADMIN_NOT_FOUND) { /* it has never been heard of: now it is */
		seat = (struct seat){.row = {.nwid = nwid, .address = address, .auto_ip = true}};
		status = ADMIN_OK;
	}
	if (status == ADMIN_OK && !settings_read(body, &seat.row, &s, why))
		zt1_refuse(reply, 400, "%s", why);
	bool authorized = status == ADMIN_OK && zt1_bool(json_object_get(body, "authorized"), seat.authorized);
	json_decref(body);
	if (reply->status)
		return;
	if (status == ADMIN_OK)
		status = seat.asked ? asked_write(api, nwid, address, &seat, &s, authorized, &error)
		                    : awaited_write(api, nwid, address, &seat, &s, authorized, &error);
	if (status == ADMIN_OK)
		seat_answer(api, nwid, address, reply);
	else
		zt1_failed(reply, status, &error);
}

void zt1_member_delete(void *self, const struct request *request, struct reply *reply)
{
	struct zt1_api *api = self;
	struct admin_error error = {0};
	struct seat seat;
	uint64_t nwid, address;
	if (!zt1_member_of(request, reply, &nwid, &address))
		return;
	enum admin_status status = seat_find(api, nwid, address, &seat, &error);
	if (status == ADMIN_OK)
		status = seat.asked ? controller_member_delete(api->api->controller, nwid, address, &error)
		                    : controller_preapproval_delete(api->api->controller, nwid, address, &error);
	if (status == ADMIN_OK)
		reply_json(reply, 200, seat_json(&seat)); /* as it was */
	else
		zt1_failed(reply, status, &error);
}
