/* names.h: names of members, as a controller on this machine knows them: nodes know each other by address only.
 */
#ifndef FARLAN_UI_CLI_NAMES_H
#define FARLAN_UI_CLI_NAMES_H

#include <jansson.h>

#include "proto/ident.h"
#include "ui/cli/verb.h"

/* {"1b22d9a077": "laptop", ...} of all networks of the controller of this home; NULL where none runs. Says nothing. */
json_t *names_known(const struct call *);
/* The address of the one member of that name: 0, or an exit code with the complaint printed. names may be NULL. */
int names_find(const json_t *names, const char *word, char ret_address[ADDRESS_TEXT]);

#endif
