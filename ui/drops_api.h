/* drops_api.h: farland's routes for who asks why packets went no further: by reason, and by the member whose doing it was.
 *
 * Control thread only. Each handler is one of node_api.c's table; its self is the struct node_api.
 */
#ifndef FARLAN_UI_DROPS_API_H
#define FARLAN_UI_DROPS_API_H

#include <jansson.h>

#include "ui/node_api.h"

json_t *drops_json(const uint64_t counts[DROP_COUNT]);                      /* those that are not zero, by name */
void drops_get(void *self, const struct request *, struct reply *);         /* GET /v1/drops: of the whole node */
void drops_network_get(void *self, const struct request *, struct reply *); /* GET /v1/networks/NWID/drops: what its members caused */

#endif
