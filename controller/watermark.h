/* watermark.h: head.bak for others than the controller itself: how far it says the database had come, and the operator's word that
 * an older one is to go on.
 */
#ifndef FARLAN_CONTROLLER_WATERMARK_H
#define FARLAN_CONTROLLER_WATERMARK_H

#include "controller/controller.h"

/* Any thread. 0, -ENOENT, or -EBADMSG: such a file proves nothing. */
int watermark_revision(const char *path, uint64_t *ret);

/* Does it sign? Else its database is older than head.bak, and controller_health() says so. Control thread, both. */
bool controller_trusted(const struct controller *);
/* The operator's word: all counters go far beyond whatever was signed, every member gets a new serial, and it signs again. Nothing
 * happens to one that is trusted. */
enum admin_status controller_trust(struct controller *, struct admin_error *);

#endif
