/* wake_api.h: farland's route that wakes machines.
 *
 * Control thread only; self is the struct node_api.
 */
#ifndef FARLAN_UI_WAKE_API_H
#define FARLAN_UI_WAKE_API_H

#include "ui/node_api.h"

/* POST /v1/wake {who, network, via}: magic packets to bridges; answers with the MACs and by way of whom. network and via may be left out. */
void wake_post(void *self, const struct request *, struct reply *);

#endif
