/* event_api.h: GET /v1/events: what changes in the controller, told as it happens, to browsers (server-sent events) and scripts
 * (application/x-ndjson).
 *
 * Control thread only. Bounded: the last EVENTS_KEPT changes, EVENT_STREAMS_MAX listeners, no queue for any of them: a listener is a
 * number, and one that falls behind the ring is told to look anew.
 */
#ifndef FARLAN_UI_EVENT_API_H
#define FARLAN_UI_EVENT_API_H

#include <stdbool.h>
#include <stdint.h>

#include "controller/controller.h"
#include "ui/api.h"

#define EVENTS_KEPT       4096
#define EVENT_STREAMS_MAX 256
#define EVENT_BEAT_MS     15000
#define EVENT_LIVE_MS     1000                /* of one member, told this often at most */
#define EVENT_LIVE_MAX    256                 /* members told one by one; more are told as their networks */
#define EVENT_STREAM_MS   (15 * 60 * 1000ull) /* by TCP: then it comes anew, and is asked again who it is */

struct events;

struct events *events_new(uint64_t (*clock)(void)); /* monotonic ms; NULL = out of memory */
void events_free(struct events *);                  /* after the last stream has ended */
void events_note(struct events *, const struct change *);
/* End of a turn: true if there is something new to tell (http_wake() then). *ret_next: ms of the clock when it must be called again,
 * UINT64_MAX = only after the next note. */
bool events_turn(struct events *, uint64_t *ret_next);
unsigned events_streams(const struct events *);

void events_stream(struct events *, const struct request *, struct reply *); /* the route's work */

#endif
