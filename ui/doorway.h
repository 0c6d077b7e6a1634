/* doorway.h: a root's TLS port as farland has it: certificate, server, what status and `farlan root-line` know of it.
 *
 * Control thread only. A root without it is a root all the same: what goes wrong is a warning in the log and in status.
 */
#ifndef FARLAN_UI_DOORWAY_H
#define FARLAN_UI_DOORWAY_H

#include "node/loop.h"
#include "ui/fallback.h"
#include "ui/start.h"

struct doorway {
	struct certificate certificate;
	struct fallback_server *server; /* NULL: closed */
};

void doorway_open(struct doorway *, const struct start *, struct loop *); /* nothing where the config wants none */
void doorway_close(struct doorway *);                                     /* before the loop ends */

#endif
