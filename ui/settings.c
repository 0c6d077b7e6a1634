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
