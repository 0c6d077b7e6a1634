/* openapi.h: the description of the controller's routes (ui/openapi/controller-v1.json), embedded as it is. */
#ifndef FARLAN_UI_OPENAPI_H
#define FARLAN_UI_OPENAPI_H

#include "ui/api.h"

void openapi_get(void *self, const struct request *, struct reply *);

#endif
