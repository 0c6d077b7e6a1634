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
	uint64_t wall_s;               /* unix time, likewise: for codes that follow from it */
	/* Adds "online" and "roots" to the status; may be NULL. */
	void (*status_roots)(void *self, json_t *status);
	/* The roots whose lines go into an invitation, gates included: returns how many. May be NULL. */
	unsigned (*link_roots)(void *self, struct root_line *ret, unsigned max);
	void *status_self;                     /* of both */
	struct events *events;                 /* NULL: none are told (tests) */
	const struct certificate *certificate; /* of HTTPS; NULL = none */
	const struct http *http;               /* for its counters; NULL = none */
	bool open_metrics;                     /* /metrics for whoever reaches the page */
	bool webhook_private;                  /* a webhook may be allowed to reach private addresses */
	const struct zt1 *zt1;                 /* told in the status; NULL = none */
};

#define RESTORE_MAX (1024ull * 1024 * 1024) /* of a backup's file */

void controller_api_serve(struct controller_api *, const struct request *, struct reply *);
/* How many bytes of its body may come into a file; 0 = this one's is small. Says nothing of rights. */
uint64_t controller_api_upload(const struct request *);

#endif
