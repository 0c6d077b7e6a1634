/* help.h: what the verb table says of itself. Prints to any stream, so that tests can read it. */
#ifndef FARLAN_UI_CLI_HELP_H
#define FARLAN_UI_CLI_HELP_H

#include <stdio.h>

#include "ui/cli/verb.h"

#define SYNOPSIS_MAX 640

/* "join NWID [--dev NAME] [--wait SEC]" */
void help_synopsis(const struct verb *, char buf[SYNOPSIS_MAX]);
void help_all(FILE *);
void help_verb(FILE *, const struct verb *);
void help_completion_bash(FILE *);

#endif
