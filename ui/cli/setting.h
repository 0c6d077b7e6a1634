/* setting.h: options of the verbs that set something, as fields of a JSON body.
 */
#ifndef FARLAN_UI_CLI_SETTING_H
#define FARLAN_UI_CLI_SETTING_H

#include <jansson.h>

#include "ui/cli/verb.h"
#include "ui/settings.h"

/* The on|off options of that list which were given. 0, or EXIT_USAGE with the complaint printed. */
int setting_switches(const struct call *, const struct flag_name *, json_t *body);
/* A whole number from 0 to max; "none" is 0. */
int setting_count(const struct call *, const char *name, unsigned long max, json_t *body);
/* Bits per second with a unit, like 50M or 800k: kbit/s in the body. */
int setting_rate(const struct call *, const char *name, json_t *body);

#endif
