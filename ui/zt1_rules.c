/* zt1_rules.c: rules, of which one kind has a meaning here: those that tell EtherTypes apart.
 *
 * Their machine walks a list: matches gather into a set ("or" and "not" per match), and an action is taken when its set matches; what falls
 * off the end is dropped. Of matches on EtherTypes alone such a list is a function of the EtherType, so it is computed for each that is
 * named and for one that is not. What lets the others pass and drops some cannot be said with our list of what passes, and everything
 * that looks at more than the EtherType is not enforced here: both are refused by the rule's place and type. A rule that is taken and
 * then not enforced would be a hole that nobody sees.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ui/zt1_controller.h"

#define RULES_MAX 1024
#define OTHER     0x10000u /* an EtherType that no rule names */

struct rule {
	uint32_t type; /* of a match */
	bool action, accept, not, or ;
};

/* ---- reading ---- */

/* A whole number, maybe in a string. Less than that is a guess ("0x0800" begins with a 0, which is LLC), and a guess would let pass what
 * nobody named. -1: none. */
static int64_t type_number(const json_t *value)
{
	const char *text = json_string_value(value);
	bool digits = text && *text && strspn(text, "0123456789") == strlen(text);
	bool exact = json_is_real(value) && json_real_value(value) == (double)zt1_int(value, -1);
	return digits || exact || json_is_integer(value) ? zt1_int(value, -1) : -1;
}

static bool rule_read(const json_t *o, size_t at, struct rule *ret, char why[ZT1_REASON])
{
	const char *type = json_string_value(json_object_get(o, "type"));
	if (!type) {
		snprintf(why, ZT1_REASON, "rules[%zu] must be an object with a \"type\"", at);
		return false;
	}
	*ret = (struct rule){.action = true, .accept = !strcmp(type, "ACTION_ACCEPT")};
	if (ret->accept || !strcmp(type, "ACTION_DROP"))
		return true;
	if (strcmp(type, "MATCH_ETHERTYPE") != 0) {
		snprintf(why, ZT1_REASON,
		         "rules[%zu]: %.40s cannot be enforced by this controller, which filters by MATCH_ETHERTYPE, ACTION_DROP and "
		         "ACTION_ACCEPT only; nothing was changed",
		         at, type);
		return false;
	}
	int64_t value = type_number(json_object_get(o, "etherType"));
	if (value != ETHERTYPE_LLC && (value < (int64_t)ETHERTYPE_MIN || value > 0xffff)) {
		snprintf(why, ZT1_REASON, "rules[%zu]: MATCH_ETHERTYPE needs an \"etherType\" from 1536 to 65535", at);
		return false;
	}
	*ret = (struct rule){
	    .type = (uint32_t)value, .not = zt1_bool(json_object_get(o, "not"), false), .or = zt1_bool(json_object_get(o, "or"), false)};
	return true;
}

static bool passes(const struct rule *rules, size_t n, uint32_t type)
{
	bool set = true;
	for (size_t i = 0; i < n; i++) {
		if (rules[i].action && set)
			return rules[i].accept;
		bool match = (rules[i].type == type) != rules[i].not ;
		set = rules[i].action || (rules[i].or ? set || match : set && match);
	}
	return false;
}

static int by_type(const void *a, const void *b)
{
	return *(const uint16_t *)a - *(const uint16_t *)b;
}

/* Which EtherTypes pass. */
static bool judge(const struct rule *rules, size_t n, struct ethertypes *ret, char why[ZT1_REASON])
{
	struct ethertypes types = {0};
	bool others = passes(rules, n, OTHER);
	for (size_t i = 0; i < n; i++) {
		if (rules[i].action)
			continue;
		uint16_t type = (uint16_t)rules[i].type;
		bool pass = passes(rules, n, type), there = false;
		for (unsigned k = 0; k < types.n; k++)
			there = there || types.type[k] == type;
		if (others && !pass) {
			snprintf(
			    why, ZT1_REASON,
			    "rules[%zu]: MATCH_ETHERTYPE drops %u and lets others pass, which cannot be enforced by this controller: name "
			    "what passes instead",
			    i, type);
			return false;
		}
		if (!pass || there)
			continue;
		if (types.n == ETHERTYPES_MAX) {
			snprintf(why, ZT1_REASON, "rules[%zu]: MATCH_ETHERTYPE: at most %d EtherTypes can be let pass", i, ETHERTYPES_MAX);
			return false;
		}
		types.type[types.n++] = type;
	}
	if (others)
		types = (struct ethertypes){0};
	else if (!types.n)
		return zt1_wrong(why, "rules", "drop every frame: end them with ACTION_ACCEPT");
	qsort(types.type, types.n, sizeof(types.type[0]), by_type);
	*ret = types;
	return true;
}

bool zt1_rules_read(const json_t *list, struct ethertypes *ret, char why[ZT1_REASON])
{
	size_t n = json_array_size(list);
	if (!json_is_array(list) || n > RULES_MAX)
		return zt1_wrong(why, "rules", "must be a list of at most 1024 rules");
	struct rule *rules = calloc(n + 1, sizeof(*rules));
	if (!rules)
		return zt1_wrong(why, "rules", "find no memory now");
	bool good = true;
	for (size_t i = 0; i < n && good; i++)
		good = rule_read(json_array_get(list, i), i, &rules[i], why);
	good = good && judge(rules, n, ret, why);
	free(rules);
	return good;
}

/* ---- telling ---- */

static json_t *rule_json(const char *type, bool not )
{
	json_t *o = json_object();
	json_object_set_new(o, "type", json_string(type));
	json_object_set_new(o, "not", json_boolean(not ));
	json_object_set_new(o, "or", json_false());
	return o;
}

json_t *zt1_rules_json(const struct ethertypes *types)
{
	json_t *list = json_array();
	for (unsigned i = 0; i < types->n; i++) {
		json_t *o = rule_json("MATCH_ETHERTYPE", true);
		json_object_set_new(o, "etherType", json_integer(types->type[i]));
		json_array_append_new(list, o);
	}
	if (types->n)
		json_array_append_new(list, rule_json("ACTION_DROP", false));
	json_array_append_new(list, rule_json("ACTION_ACCEPT", false));
	return list;
}
