/* daemon.h: what farland and farlan-controller do alike once start_daemon() is through: loop, signals, node, HTTP, end.
 *
 * Control thread only. Order: daemon_begin, own things, daemon_serve, daemon_run, own things, daemon_end.
 */
#ifndef FARLAN_UI_DAEMON_H
#define FARLAN_UI_DAEMON_H

#include <uv.h>

#include "node/loop.h"
#include "ui/http.h"
#include "ui/start.h"

struct daemon {
	struct start start;
	uv_loop_t uv;
	uv_signal_t term, interrupt, hangup;
	struct loop *loop;
	struct http *http;
};

/* -1: go on; else the exit code, everything undone. */
int daemon_begin(struct daemon *, enum home_kind, int argc, char **argv);
/* Fills the rest of *loop from the config, and the unix socket of *http, whose serve() and listeners are the caller's; makes the
 * node and listens. -1: go on; else the exit code; daemon_end() undoes. */
int daemon_serve(struct daemon *, struct loop_config *, struct http_config *http);
void daemon_run(struct daemon *); /* until a signal says stop */
/* HTTP first, so that nobody asks any more; then free_own (may be NULL) while the node still stands; then the node. */
void daemon_end(struct daemon *, void (*free_own)(void *self), void *self);

#endif
