/* hook_body.h: what a webhook is told, as JSON: "farlan.webhook/1".
 *
 * Control thread only. Pure: it asks the controller nothing.
 */
#ifndef FARLAN_UI_HOOK_BODY_H
#define FARLAN_UI_HOOK_BODY_H

#include "controller/hook.h"

/* For controller_port.hook_body. What does not fit is left out: the detail, then the member but for its address. */
bool hook_body_write(void *self, const struct hook_event *, char *ret, size_t room);

#endif
