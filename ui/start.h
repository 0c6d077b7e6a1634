/* start.h: what both daemons do before they begin: options, home, config, lock, identity.
 *
 * Complaints go to stderr here. Everything may block.
 */
#ifndef FARLAN_UI_START_H
#define FARLAN_UI_START_H

#include "ui/config.h"
#include "ui/home.h"

struct start {
	struct home home; /* locked */
	struct config config;
	struct secret secret;
	const char *ui_dir; /* --ui-dir of the controller: serve the page's files from there; borrowed from argv; NULL = embedded */
};

/* -1: go on (call start_fini at the end), else the exit code: 0 after --help and --version, 1, 2 or 4. Also sets the log level,
 * PR_SET_DUMPABLE off, umask 077 and ignores SIGPIPE. */
int start_daemon(struct start *ret, enum home_kind, int argc, char **argv);
void start_fini(struct start *); /* socket name, lock, secrets */

#endif
