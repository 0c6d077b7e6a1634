/* join_api.h: POST /v1/join of farland: {link, dev?}, answered with the network as it stands. Control thread only; self is the struct node_api.
 */
#ifndef FARLAN_UI_JOIN_API_H
#define FARLAN_UI_JOIN_API_H

#include "ui/api.h"

void join_post(void *self, const struct request *, struct reply *);

#endif
