/* user.h: what the verbs about users share. */
#ifndef FARLAN_UI_CLI_USER_H
#define FARLAN_UI_CLI_USER_H

#include "ui/cli/verb.h"

#define USER_PATH_ROOM 96

/* "/v1/users/NAME" and what is behind it, with room for USER_PATH_ROOM; EXIT_USAGE when the first word is no name. */
int user_path(const struct call *, char *path, const char *behind);

#endif
