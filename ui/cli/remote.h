/* remote.h: a controller elsewhere: --url, the token for it, and how its certificate is believed.
 */
#ifndef FARLAN_UI_CLI_REMOTE_H
#define FARLAN_UI_CLI_REMOTE_H

#include "ui/cli/verb.h"

#define REMOTE_URL_MAX 320

struct remote {
	char url[REMOTE_URL_MAX]; /* "https://host:port", no slash behind it; "" = the daemon of this machine */
	char header[160];         /* "Authorization: Bearer ..." */
	const char *cacert;       /* borrowed; NULL = the system's */
	char pin[64];             /* as libcurl wants it; "" = authorities */
};

/* 0 or an exit code with the complaint printed. The caller wipes. */
int remote_of(const struct call *, struct remote *ret);

#endif
