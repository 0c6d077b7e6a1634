/* member_settings.c: bodies about members: what to change, whom to let in, what to do to many.
 *
 * "ip" is the short form of "ips"; both at once is a mistake of somebody. null takes back what was said: a name (the hostname is shown
 * again), an address (the pool gives one), an end.
 */
#include <string.h>

#include "ui/take.h"

static bool take_ips(const json_t *object, struct member_settings *s, struct problem *problem)
{
	const json_t *one = json_object_get(object, "ip"), *list = json_object_get(object, "ips"), *value;
	size_t i;
	if (one && list)
		return take_wrong(problem, "ips", "and \"ip\" say the same thing: give one of them");
	if (one && !json_is_null(one)) {
		s->set |= SET_MEMBER_IP;
		return take_ip(one, "ip", &s->ip, problem);
	}
	if (list && !json_is_array(list))
		return take_wrong(problem, "ips", "must be a list of addresses");
	if (json_array_size(list) > CRED_IPS_MAX)
		return take_wrong(problem, "ips", "may hold 8 addresses");
	json_array_foreach(list, i, value) if (!take_ip(value, "ips", &s->ips[s->n_ips++], problem)) return false;
	s->set |= one || list ? SET_MEMBER_IPS : 0;
	return true;
}

static bool take_member(const json_t *object, struct member_settings *s, struct problem *problem)
{
	uint64_t ephemeral = 0;
	bool is;
	if (!take_name(object, "name", s->name, sizeof(s->name), &is, problem))
		return false;
	s->set |= is ? SET_MEMBER_NAME : 0;
	if (!take_name(object, "description", s->description, sizeof(s->description), &is, problem))
		return false;
	s->set |= is ? SET_MEMBER_DESCRIPTION : 0;
	if (!take_tags(object, &s->tags, &is, problem))
		return false;
	s->set |= is ? SET_MEMBER_TAGS : 0;
	if (!take_seconds(object, "expires_in", &s->expires_s, &is, problem))
		return false;
	s->set |= is ? SET_MEMBER_EXPIRES : 0;
	if (!take_seconds(object, "ephemeral", &ephemeral, &is, problem))
		return false;
	s->set |= is ? SET_MEMBER_EPHEMERAL : 0;
	s->ephemeral_s = (uint32_t)ephemeral;
	if (!json_take_bool(object, "auto_ip", &s->auto_ip, &is, problem))
		return false;
	s->set |= is ? SET_MEMBER_AUTO_IP : 0;
	return take_ips(object, s, problem);
}

bool settings_member(const char *body, size_t len, bool approve, struct member_settings *ret, struct problem *problem)
{
	static const char *const fixed[] = {"name", "description", "ip", "ips", "auto_ip", "tags", "expires_in", "ephemeral", NULL};
	const char *names[NAMES_MAX + 1];
	struct member_settings settings = {0};
	bool is = false;

	names_join(fixed, member_flag_names, names);
	json_t *object = json_body(body, len, approve ? fixed : names, problem);
	bool good = object && take_member(object, &settings, problem) &&
	            take_flags(object, member_flag_names, &is, &settings.flags_on, &settings.flags_off, problem);
	settings.set |= is ? SET_MEMBER_FLAGS : 0;
	if (good)
		*ret = settings;
	json_decref(object);
	return good;
}

static bool take_address(const json_t *value, const char *name, uint64_t *ret, struct problem *problem)
{
	if (json_is_string(value) && address_parse(json_string_value(value), ret))
		return true;
	return take_wrong(problem, name, "must be an address of 10 hex digits, like 7f3a91c04e");
}

bool settings_preapproval(const char *body, size_t len, uint64_t *ret_address, bool *ret_approve, struct member_settings *ret,
                          struct problem *problem)
{
	static const char *const names[] = {"address", "name",       "description", "ip",      "ips", "auto_ip",
	                                    "tags",    "expires_in", "flags",       "approve", NULL};
	struct member_settings settings = {0};
	uint64_t address = 0;
	bool is = false, approve = true, said;

	json_t *object = json_body(body, len, names, problem);
	bool good = object && json_take_bool(object, "approve", &approve, &said, problem) &&
	            take_address(json_object_get(object, "address"), "address", &address, problem) &&
	            take_member(object, &settings, problem) &&
	            take_flags_object(object, member_flag_names, &is, &settings.flags_on, &settings.flags_off, problem);
	settings.set |= is ? SET_MEMBER_FLAGS : 0;
	if (good) {
		*ret_address = address;
		*ret_approve = approve;
		*ret = settings;
	}
	json_decref(object);
	return good;
}

bool settings_reason(const char *body, size_t len, char ret[NAME_MAX_BYTES + 1], struct problem *problem)
{
	static const char *const names[] = {"reason", NULL};
	char reason[NAME_MAX_BYTES + 1] = "";
	bool is;
	json_t *object = json_body(body, len, names, problem);
	bool good = object && take_name(object, "reason", reason, sizeof(reason), &is, problem);
	if (good)
		memcpy(ret, reason, sizeof(reason));
	json_decref(object);
	return good;
}

static bool take_action(const json_t *object, enum batch_action *ret, struct problem *problem)
{
	static const char *const actions[] = {[BATCH_APPROVE] = "approve", [BATCH_DENY] = "deny",     [BATCH_REVOKE] = "revoke",
	                                      [BATCH_BAN] = "ban",         [BATCH_DELETE] = "delete", [BATCH_TAG] = "tag"};
	const char *action = json_string_value(json_object_get(object, "action"));
	for (unsigned i = 0; action && i < sizeof(actions) / sizeof(actions[0]); i++)
		if (!strcmp(action, actions[i])) {
			*ret = (enum batch_action)i;
			return true;
		}
	return take_wrong(problem, "action", "must be approve, deny, revoke, ban, delete or tag");
}

static bool take_members(const json_t *object, struct batch_wish *wish, struct problem *problem)
{
	const json_t *list = json_object_get(object, "members"), *value;
	size_t i;
	if (!json_is_array(list) || !json_array_size(list) || json_array_size(list) > MEMBER_BATCH_MAX)
		return take_wrong(problem, "members", "must be a list of 1 to 1000 addresses");
	json_array_foreach(list, i, value) if (!take_address(value, "members", &wish->members[i], problem)) return false;
	wish->batch.n = (unsigned)json_array_size(list);
	return true;
}

bool settings_batch(const char *body, size_t len, struct batch_wish *ret, struct problem *problem)
{
	static const char *const names[] = {"action", "members", "tags", "reason", NULL};
	struct member_batch *batch = &ret->batch;
	bool tags = false, is;
	*batch = (struct member_batch){.members = ret->members, .reason = ret->reason};
	*ret->reason = '\0';
	json_t *object = json_body(body, len, names, problem);
	bool good = object && take_action(object, &batch->action, problem) && take_members(object, ret, problem) &&
	            take_tags(object, &batch->tags, &tags, problem) &&
	            take_name(object, "reason", ret->reason, sizeof(ret->reason), &is, problem);
	if (good && tags != (batch->action == BATCH_TAG))
		good = take_wrong(problem, "tags", tags ? "go with the action \"tag\" only" : "are missing: which ones?");
	json_decref(object);
	return good;
}
