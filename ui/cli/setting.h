/* setting.h: options of the verbs that set something, as fields of a JSON body.
 */
#ifndef FARLAN_UI_CLI_SETTING_H
#define FARLAN_UI_CLI_SETTING_H

#include <jansson.h>

#include "ui/cli/verb.h"
#include "ui/settings.h"

/* The on|off options of that list which were given. 0, or EXIT_USAGE with the complaint printed. */
int setting_switches(const struct call *, const struct flag_name *, json_t *body);
/* --OPTION on|off as that field. */
int setting_switch(const struct call *, const char *option, const char *field, json_t *body);
/* A whole number from 0 to max; "none" is 0. */
int setting_count(const struct call *, const char *name, unsigned long max, json_t *body);
/* Bits per second with a unit, like 50M or 800k: kbit/s in the body. */
int setting_rate(const struct call *, const char *name, json_t *body);
/* Every --tag, as "tags"; "none" alone is none. Absent: nothing. */
int setting_tags(const struct call *, json_t *body);
/* --expires: seconds as "expires_in", null for "never". */
int setting_expires(const struct call *, json_t *body);
/* --NAME as text; "none" is null if it may be. */
int setting_text(const struct call *, const char *name, bool none, json_t *body);
/* Every value of that option goes to each(), in their order; its first result that is not 0 ends it. */
int setting_each(const struct call *, const char *name, int (*each)(void *, const char *value), void *);

#endif
