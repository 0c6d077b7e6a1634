/* settings.h: the request door: JSON bodies of the admin and of the node's user into the structs behind the API.
 *
 * Pure; outputs are untouched on failure and *problem says which field and what it should be. A name's characters are
 * judged here (control characters refused), its uniqueness by the controller.
 */
#ifndef FARLAN_UI_SETTINGS_H
#define FARLAN_UI_SETTINGS_H

#include "controller/controller.h"
#include "ui/api.h"

/* {name, ipv4, mtu, public}; name is needed to create. ipv4 null takes the pool away. */
bool settings_network(const char *body, size_t len, bool create, struct network_settings *ret, struct problem *);
/* {name, ip, bridge, "dhcp-server", router, relay}, or only {name, ip} with an approval. */
bool settings_member(const char *body, size_t len, bool approve, struct member_settings *ret, struct problem *);
/* {dev, pin}: pin is the long network id's tail. ret_pin_set tells whether ret_pin counts. */
bool settings_join(const char *nwid_text, const char *body, size_t len, uint64_t *ret_nwid, char ret_dev[16], bool *ret_pin_set,
                   uint8_t ret_pin[17], struct problem *);
bool settings_none(const char *body, size_t len, struct problem *); /* {} */

#endif
