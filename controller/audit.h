/* audit.h: who did what, in a chain that shows when something was taken out of it.
 *
 * Control thread. Entries belong to the turn's transaction: an edit and its entry are both there or neither.
 */
#ifndef FARLAN_CONTROLLER_AUDIT_H
#define FARLAN_CONTROLLER_AUDIT_H

#include "controller/controller.h"

/* action: dotted, such as "member.approve". nwid, member: 0 = none. detail: the text of a JSON object, or NULL.
 * The actor is the controller's. 0 or -errno, which breaks the transaction. */
int audit_note(struct controller *, const char *action, uint64_t nwid, uint64_t member, const char *detail);

#endif
