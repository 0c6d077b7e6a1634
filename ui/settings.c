/* settings.c: each field is read, judged and copied; the struct is handed over only when all were good.
 *
 * What "set" means differs by verb: creating needs a name, changing touches only what the body names. Addresses are
 * inet_pton's forms and nothing else: "010.1.1.1" or "10.1" would mean different things to different readers. A pool with
 * host bits set is refused rather than rounded, since either reading may have been meant.
 */
#include "ui/settings.h"

#include <stdio.h>
#include <string.h>

#include "ui/json.h"

#define NAMES_MAX 24 /* fields of a body */

const struct flag_name member_flag_names[] = {
    {"bridge", MEMBER_BRIDGE, false},
    {"dhcp-server", MEMBER_DHCP_SERVER, false},
    {"router", MEMBER_ROUTER, false},
    {"relay", MEMBER_RELAY, false},
    {"anchor", MEMBER_ANCHOR, false},
    {"replicator", MEMBER_REPLICATOR, false},
    {"passive", MEMBER_PASSIVE, false},
    {"ip-guard-exempt", MEMBER_IP_GUARD_EXEMPT, false},
    {0},
};

const struct flag_name network_flag_names[] = {
    {"public", NETWORK_PUBLIC, false},
    {"ip-guard", NETWORK_IP_GUARD, false},
    {"ra-guard", NETWORK_NO_RA_GUARD, true},
    {"dhcp-guard", NETWORK_NO_DHCP_GUARD, true},
    {"broadcast", NETWORK_NO_BROADCAST, true},
    {"multicast", NETWORK_NO_MULTICAST, true},
    {0},
};

/* fixed (NULL-terminated) and the names of flags. */
static void names_join(const char *const *fixed, const struct flag_name *flags, const char *ret[NAMES_MAX + 1])
{
	unsigned n = 0;
	for (; *fixed && n < NAMES_MAX; fixed++)
		ret[n++] = *fixed;
	for (; flags->name && n < NAMES_MAX; flags++)
		ret[n++] = flags->name;
	ret[n] = NULL;
}

static bool take_flags(const json_t *object, const struct flag_name *flags, bool *ret_set, uint32_t *on, uint32_t *off,
                       struct problem *problem)
{
	*ret_set = false;
	for (; flags->name; flags++) {
		bool value = false, is;
		if (!json_take_bool(object, flags->name, &value, &is, problem))
			return false;
		if (!is)
			continue;
		*ret_set = true;
		*(value != flags->inverse ? on : off) |= flags->flag;
	}
	return true;
}

/* The admin's own names: printable, no edges of white space that nobody would see. UTF-8 was checked by jansson. */
static bool take_name(const json_t *object, char *ret, bool *ret_set, struct problem *problem)
{
	if (!json_take_text(object, "name", 1, ret, NAME_MAX_BYTES + 1, ret_set, problem))
		return false;
	if (!*ret_set)
		return true;
	size_t len = strlen(ret);
	bool bad = ret[0] == ' ' || ret[len - 1] == ' ';
	for (size_t i = 0; i < len; i++)
		bad = bad || (unsigned char)ret[i] < 0x20 || ret[i] == 0x7f;
	if (bad)
		problem_set(problem, 400, "unusable name", "\"name\" must not begin or end with a space or hold control characters");
	return !bad;
}

static bool take_pool(const json_t *object, struct prefix *ret, bool *ret_set, struct problem *problem)
{
	char text[PREFIX_TEXT];
	if (json_is_null(json_object_get(object, "ipv4"))) {
		memset(ret, 0, sizeof(*ret));
		*ret_set = true;
		return true;
	}
	if (!json_take_text(object, "ipv4", 1, text, sizeof(text), ret_set, problem))
		return false;
	if (!*ret_set)
		return true;
	if (!prefix_parse(text, true, ret) || ret->family != 4) {
		problem_set(problem, 400, "not an IPv4 pool", "\"ipv4\" must look like 10.144.0.0/16");
		return false;
	}
	if (!prefix_is_net(ret)) {
		problem_set(problem, 400, "not an IPv4 pool", "\"ipv4\" has address bits set behind its /%u", ret->bits);
		snprintf(problem->hint, sizeof(problem->hint), "a pool names a network: 10.1.2.0/24, not 10.1.2.3/24");
		return false;
	}
	return true;
}

static bool take_limits(const json_t *object, struct network_settings *settings, unsigned *set, struct problem *problem)
{
	const struct {
		const char *name;
		unsigned bit;
		uint32_t max, *at;
	} limits[] = {
	    {SETTING_STORM, SET_NET_STORM, STORM_FRAMES_MAX, &settings->limits.storm_frames},
	    {SETTING_MCAST_RATE, SET_NET_MCAST_RATE, MCAST_KBIT_MAX, &settings->limits.mcast_kbit},
	    {SETTING_MCAST_LIMIT, SET_NET_MCAST_LIMIT, MCAST_LIMIT_MAX, &settings->limits.mcast_limit},
	};
	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
		uint64_t n = 0;
		bool is;
		if (!json_take_count(object, limits[i].name, 0, limits[i].max, &n, &is, problem))
			return false;
		if (!is)
			continue;
		*set |= limits[i].bit;
		*limits[i].at = (uint32_t)n;
	}
	return true;
}

bool settings_network(const char *body, size_t len, bool create, struct network_settings *ret, struct problem *problem)
{
	static const char *const fixed[] = {"name", "ipv4", "mtu", SETTING_STORM, SETTING_MCAST_RATE, SETTING_MCAST_LIMIT, NULL};
	const char *names[NAMES_MAX + 1];
	struct network_settings settings = {0};
	unsigned set = 0;
	uint64_t mtu = 0;
	bool is, good = false;

	names_join(fixed, network_flag_names, names);
	json_t *object = json_body(body, len, names, problem);
	if (!object)
		return false;
	if (!take_name(object, settings.name, &is, problem))
		goto out;
	set |= is ? SET_NET_NAME : 0;
	if (create && !is) {
		problem_set(problem, 400, "name missing", "a network needs a \"name\"");
		goto out;
	}
	if (!take_pool(object, &settings.pool, &is, problem))
		goto out;
	set |= is ? SET_NET_POOL : 0;
	if (!json_take_count(object, "mtu", MTU_MIN, MTU_MAX, &mtu, &is, problem))
		goto out;
	set |= is ? SET_NET_MTU : 0;
	settings.mtu = (uint16_t)mtu;
	if (!take_limits(object, &settings, &set, problem) ||
	    !take_flags(object, network_flag_names, &is, &settings.flags_on, &settings.flags_off, problem))
		goto out;
	set |= is ? SET_NET_FLAGS : 0;
	settings.set = set;
	*ret = settings;
	good = true;
out:
	json_decref(object);
	return good;
}

bool settings_member(const char *body, size_t len, bool approve, struct member_settings *ret, struct problem *problem)
{
	static const char *const fixed[] = {"name", "ip", NULL};
	const char *names[NAMES_MAX + 1];
	struct member_settings settings = {0};
	char text[PREFIX_TEXT];
	bool is, good = false;

	names_join(fixed, member_flag_names, names);
	json_t *object = json_body(body, len, approve ? fixed : names, problem);
	if (!object)
		return false;
	if (!take_name(object, settings.name, &is, problem))
		goto out;
	settings.set |= is ? SET_MEMBER_NAME : 0;
	if (!json_take_text(object, "ip", 1, text, sizeof(text), &is, problem))
		goto out;
	if (is && (!prefix_parse(text, false, &settings.ip) || settings.ip.family != 4)) {
		problem_set(problem, 400, "not an IPv4 address", "\"ip\" must look like 10.144.0.7 or 10.144.0.7/16");
		goto out;
	}
	settings.set |= is ? SET_MEMBER_IP : 0;
	if (!take_flags(object, member_flag_names, &is, &settings.flags_on, &settings.flags_off, problem))
		goto out;
	settings.set |= is ? SET_MEMBER_FLAGS : 0;
	*ret = settings;
	good = true;
out:
	json_decref(object);
	return good;
}

/* The kernel's dev_valid_name, and no % which would make it a template. */
static bool dev_usable(const char *dev)
{
	if (strcmp(dev, ".") == 0 || strcmp(dev, "..") == 0)
		return false;
	for (; *dev; dev++)
		if ((unsigned char)*dev <= ' ' || *dev == '/' || *dev == ':' || *dev == '%' || (unsigned char)*dev >= 0x7f)
			return false;
	return true;
}

bool settings_dev(const char *dev, struct problem *problem)
{
	if (dev_usable(dev))
		return true;
	problem_set(problem, 400, "unusable device name", "\"dev\" must be 1 to 15 characters without spaces, '/', ':' and '%%'");
	return false;
}

bool settings_join(const char *nwid_text, const char *body, size_t len, uint64_t *ret_nwid, char ret_dev[16], bool *ret_pin_set,
                   uint8_t ret_pin[17], struct problem *problem)
{
	static const char *const names[] = {"dev", "pin", NULL};
	char dev[16] = "", pin[27], text[NWID_TEXT + 27];
	uint8_t bits[17] = {0};
	uint64_t nwid;
	bool is, pinned = false, good = false;

	json_t *object = json_body(body, len, names, problem);
	if (!object)
		return false;
	if (!json_take_text(object, "dev", 1, dev, sizeof(dev), &is, problem))
		goto out;
	if (is && !settings_dev(dev, problem))
		goto out;
	if (!json_take_text(object, "pin", 26, pin, sizeof(pin), &is, problem))
		goto out;
	snprintf(text, sizeof(text), "%.*s%s%s", is ? 16 : (int)sizeof(text) - 1, nwid_text, is ? "-" : "", is ? pin : "");
	if ((is && strlen(nwid_text) != 16) || strlen(nwid_text) >= sizeof(text) || !nwid_parse(text, &nwid, &pinned, bits)) {
		problem_set(problem, 400, "not a network id", "a network id is 16 hex digits, or those and '-' and 26 characters");
		snprintf(problem->hint, sizeof(problem->hint), "copy it from the controller: farlan network list");
		goto out;
	}
	*ret_nwid = nwid;
	memcpy(ret_dev, dev, sizeof(dev));
	*ret_pin_set = pinned;
	memcpy(ret_pin, bits, sizeof(bits));
	good = true;
out:
	json_decref(object);
	return good;
}

bool settings_none(const char *body, size_t len, struct problem *problem)
{
	static const char *const names[] = {NULL};
	json_t *object = json_body(body, len, names, problem);
	if (!object)
		return false;
	json_decref(object);
	return true;
}
