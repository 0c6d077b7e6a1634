/* local_api.h: farland's routes for what only this machine says of a network: an interface as its second device, a game's broadcasts, the metric.
 *
 * Control thread only. Each handler is one of node_api.c's table; its self is the struct node_api.
 */
#ifndef FARLAN_UI_LOCAL_API_H
#define FARLAN_UI_LOCAL_API_H

#include <jansson.h>

#include "ui/node_api.h"

void local_json(json_t *network, const struct local_view *);                /* its part of a network's object */
void local_patch(void *self, const struct request *, struct reply *);       /* PATCH /v1/networks/NWID */
void local_port_post(void *self, const struct request *, struct reply *);   /* POST /v1/networks/NWID/port */
void local_port_delete(void *self, const struct request *, struct reply *); /* DELETE /v1/networks/NWID/port/IFACE */

#endif
