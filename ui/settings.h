/* settings.h: the request door: JSON bodies of the admin and of the node's user into the structs behind the API.
 *
 * Pure; outputs are untouched on failure and *problem says which field and what it should be. A name's characters are
 * judged here (control characters refused), its uniqueness by the controller.
 */
#ifndef FARLAN_UI_SETTINGS_H
#define FARLAN_UI_SETTINGS_H

#include "controller/controller.h"
#include "ui/api.h"

/* What a switch is called, in bodies and answers as on the command line; inverse: the flag stands for "off". A NULL name ends a list. */
struct flag_name {
	const char *name;
	uint32_t flag;
	bool inverse;
};
extern const struct flag_name member_flag_names[], network_flag_names[];
/* Multicast rates are in kbit/s here. */
#define SETTING_STORM       "storm"
#define SETTING_MCAST_RATE  "multicast-rate"
#define SETTING_MCAST_LIMIT "multicast-limit"

/* network_settings.c: {name, description, ipv4, mtu, routes, dns, ranges, auto_assign, ethertypes, ipv6_auto}, limits and switches; name is needed to create. ipv4 null takes the
 * pool away. */
bool settings_network(const char *body, size_t len, bool create, struct network_settings *ret, struct problem *);
/* member_settings.c: {name, description, ip or ips, tags, expires_in, ephemeral}, and switches unless it is an approval. */
bool settings_member(const char *body, size_t len, bool approve, struct member_settings *ret, struct problem *);
/* {address, approve, ...} and "flags": an object of switches. */
bool settings_preapproval(const char *body, size_t len, uint64_t *ret_address, bool *ret_approve, struct member_settings *ret,
                          struct problem *);
/* {reason} */
bool settings_reason(const char *body, size_t len, char ret[NAME_MAX_BYTES + 1], struct problem *);
/* {action, members, tags, reason}; the batch points into the struct. */
struct batch_wish {
	struct member_batch batch;
	uint64_t members[MEMBER_BATCH_MAX];
	char reason[NAME_MAX_BYTES + 1];
};
bool settings_batch(const char *body, size_t len, struct batch_wish *ret, struct problem *);
/* {dev, pin}: pin is the long network id's tail. ret_pin_set tells whether ret_pin counts. */
bool settings_join(const char *nwid_text, const char *body, size_t len, uint64_t *ret_nwid, char ret_dev[16], bool *ret_pin_set,
                   uint8_t ret_pin[17], struct problem *);
bool settings_dev(const char *dev, struct problem *);
bool settings_none(const char *body, size_t len, struct problem *); /* {} */

#endif
