/* take.h: fields that the bodies of several requests have, read strictly. As json.h: absent is true with *ret_set false.
 */
#ifndef FARLAN_UI_TAKE_H
#define FARLAN_UI_TAKE_H

#include "ui/json.h"
#include "ui/settings.h"

#define NAMES_MAX 32 /* fields of a body */

/* fixed (NULL-terminated) and the names of flags. */
void names_join(const char *const *fixed, const struct flag_name *flags, const char *ret[NAMES_MAX + 1]);
bool take_wrong(struct problem *, const char *name, const char *should); /* false; "name" should ... */
bool take_flags(const json_t *object, const struct flag_name *flags, bool *ret_set, uint32_t *on, uint32_t *off, struct problem *);
/* "flags": an object of switches. */
bool take_flags_object(const json_t *object, const struct flag_name *flags, bool *ret_set, uint32_t *on, uint32_t *off, struct problem *);
/* A name people give: printable, no blanks at its ends. null = "". */
bool take_name(const json_t *object, const char *field, char *ret, size_t room, bool *ret_set, struct problem *);
bool take_tags(const json_t *object, struct tags *ret, bool *ret_set, struct problem *);
bool take_ip(const json_t *value, const char *name, struct prefix *ret, struct problem *);
/* Seconds; null = 0. */
bool take_seconds(const json_t *object, const char *name, uint64_t *ret, bool *ret_set, struct problem *);

#endif
