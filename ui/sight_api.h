/* sight_api.h: farland's routes for people who look for what is wrong: ping, netcheck, events, warnings.
 *
 * Control thread only. Each handler is one of node_api.c's table; its self is the struct node_api.
 */
#ifndef FARLAN_UI_SIGHT_API_H
#define FARLAN_UI_SIGHT_API_H

#include "ui/node_api.h"

void sight_ping_post(void *self, const struct request *, struct reply *);  /* POST /v1/peers/WHO/ping: one probe; answers with its number */
void sight_ping_get(void *self, const struct request *, struct reply *);   /* GET /v1/pings/ID: waits until it is decided */
void sight_check_post(void *self, const struct request *, struct reply *); /* POST /v1/netcheck: asks every root anew */
void sight_check_get(void *self, const struct request *, struct reply *);  /* GET /v1/netcheck: waits for those answers */
void sight_events_get(void *self, const struct request *, struct reply *); /* GET /v1/events?since=SEQ: waits for the next */
void sight_warnings(struct node *, json_t *status);                        /* adds "warnings" */
void sight_relay(struct node *, uint64_t now, json_t *status);             /* adds "relay" where it relays for others */
json_t *sight_endpoint(const struct endpoint *);                           /* text, or null for family 0 */
json_t *sight_address(uint64_t address);

#endif
