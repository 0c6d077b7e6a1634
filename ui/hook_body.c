/* hook_body.c: one event, as it is sent and signed. The member is what /v1/networks/N/members/M answers at that moment, so that who
 * receives it need not ask; of one that is gone it is what was there last. */
#include "ui/hook_body.h"

#include <stdio.h>

#include "ui/controller_routes.h"

static json_t *network_of_event(const struct hook_event *e)
{
	char id[NWID_TEXT];
	if (!e->nwid)
		return json_null();
	json_t *o = json_object();
	nwid_format(e->nwid, id);
	json_object_set_new(o, "id", json_string(id));
	json_object_set_new(o, "name", e->network ? json_text(e->network) : json_null());
	return o;
}

static json_t *member_of_event(const struct hook_event *e, bool whole)
{
	char address[ADDRESS_TEXT];
	if (!e->address)
		return json_null();
	if (e->member && whole)
		return member_json(e->member);
	json_t *o = json_object();
	address_format(e->address, address);
	json_object_set_new(o, "address", json_string(address));
	json_object_set_new(o, "name", e->member ? json_text(e->member->name) : json_null());
	return o;
}

static json_t *body_json(const struct hook_event *e, bool detail, bool whole)
{
	char id[17];
	json_t *o = json_schema("farlan.webhook/1"), *actor = json_object();
	snprintf(id, sizeof(id), "%016llx", (unsigned long long)e->id);
	json_object_set_new(o, "id", json_string(id));
	json_object_set_new(o, "event", json_string(e->event));
	json_object_set_new(o, "time", json_count(e->wall_s));
	json_object_set_new(o, "network", network_of_event(e));
	json_object_set_new(o, "member", member_of_event(e, whole));
	json_object_set_new(actor, "name", json_text(e->actor->name));
	json_object_set_new(actor, "from", json_text(e->actor->from));
	json_object_set_new(o, "actor", actor);
	json_t *said = e->detail && detail ? json_loads(e->detail, JSON_REJECT_DUPLICATES, NULL) : NULL;
	json_object_set_new(o, "detail", said ? said : json_null());
	return o;
}

bool hook_body_write(void *self, const struct hook_event *e, char *ret, size_t room)
{
	size_t n = 0;
	(void)self;
	for (unsigned less = 0; less < 3; less++) {
		json_t *o = body_json(e, less < 1, less < 2);
		n = json_dumpb(o, ret, room - 1, JSON_COMPACT);
		json_decref(o);
		if (n && n < room) {
			ret[n] = '\0';
			return true;
		}
	}
	return false;
}
