/* health_api.h: for machines that watch: /healthz, /readyz and /metrics.
 *
 * Control thread only; self is the struct controller_api.
 */
#ifndef FARLAN_UI_HEALTH_API_H
#define FARLAN_UI_HEALTH_API_H

#include "ui/api.h"

/* /healthz or /readyz: asked by whatever name, of nobody in particular, without any right. */
bool health_probe(const struct request *);

void healthz_get(void *self, const struct request *, struct reply *); /* it runs */
void readyz_get(void *self, const struct request *, struct reply *);  /* it does its work: 200, or 503 with what is missing */
void metrics_get(void *self, const struct request *, struct reply *); /* Prometheus text 0.0.4 */

#endif
