/* lan_api.h: farland's routes for who looks at a network as at a switch: learned MACs, multicast groups.
 *
 * Control thread only. Each handler is one of node_api.c's table; its self is the struct node_api. Without a network in the path: all of them.
 */
#ifndef FARLAN_UI_LAN_API_H
#define FARLAN_UI_LAN_API_H

#include "ui/node_api.h"

void lan_fdb_get(void *self, const struct request *, struct reply *);    /* GET /v1/fdb, /v1/networks/NWID/fdb */
void lan_groups_get(void *self, const struct request *, struct reply *); /* GET /v1/groups, /v1/networks/NWID/groups */

#endif
