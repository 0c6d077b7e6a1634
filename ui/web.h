/* web.h: the page's files, embedded compressed at build time by embed.sh. Controller only; any thread, nothing to free. */
#ifndef FARLAN_UI_WEB_H
#define FARLAN_UI_WEB_H

#include "ui/api.h"

/* Answers a GET of an embedded file ("/" is index.html). false: no such file, reply untouched. folder: NULL, or where files of the
 * same names are read from instead, for those who work on the page. */
bool web_serve(const char *folder, const struct request *, struct reply *);

#endif
