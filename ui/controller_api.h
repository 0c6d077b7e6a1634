/* controller_api.h: the controller's routes: what the command line and the page both call.
 *
 * Control thread only. Knows no sockets: requests come by controller_api_serve(), already admitted.
 */
#ifndef FARLAN_UI_CONTROLLER_API_H
#define FARLAN_UI_CONTROLLER_API_H

#include <jansson.h>

#include "controller/controller.h"
#include "ui/access.h"
#include "ui/api.h"
#include "ui/home.h"

struct controller_api {
	struct controller *controller;
	const struct identity *self;
	const struct home *home; /* backup and audit open the database beside the controller */
	struct access *access;
	const struct visitor *visitor; /* who asks, set by the caller before each request */
	uint64_t now;                  /* ms of this turn, set by the caller before each request */
	/* Adds "online" and "roots" to the status; may be NULL. */
	void (*status_roots)(void *self, json_t *status);
	void *status_self;
};

void controller_api_serve(struct controller_api *, const struct request *, struct reply *);

#endif
