/* watch_api.h: farland's route for who wants to see a network's frames.
 *
 * Control thread only; self is the struct node_api.
 */
#ifndef FARLAN_UI_WATCH_API_H
#define FARLAN_UI_WATCH_API_H

#include "ui/node_api.h"

/* POST /v1/networks/ID/watch {socket}: copies to that abstract socket from now until it is closed (tap/mirror.h). */
void watch_post(void *self, const struct request *, struct reply *);

#endif
