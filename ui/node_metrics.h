/* node_metrics.h: GET /metrics of a node, on its unix socket. Control thread only. */
#ifndef FARLAN_UI_NODE_METRICS_H
#define FARLAN_UI_NODE_METRICS_H

#include "ui/node_api.h"

void node_metrics_get(void *self, const struct request *, struct reply *);

#endif
