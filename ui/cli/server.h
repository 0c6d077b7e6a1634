/* server.h: a root, a controller and a first network on this machine, by one verb.
 *
 * Two ways to run them: by systemd (files in /etc/farlan and /var/lib, units farlan-root and farlan-controller), or, with --home DIR, below
 * that folder and started by farlan itself. server.c goes through the steps, server_files.c owns what is written, server_run.c runs daemons. What stands
 * in server.json is what was decided once: a later `up` keeps to it unless told otherwise.
 */
#ifndef FARLAN_UI_CLI_SERVER_H
#define FARLAN_UI_CLI_SERVER_H

#include <sys/socket.h>

#include "proto/root_line.h"
#include "ui/cli/client.h"

#define SERVER_HOST_MAX 254
#define SERVER_SCHEMA   "farlan.server.record/1"
#define SERVER_MARK     "# Written by farlan server up; farlan server down --purge removes it.\n"

struct server_record {
	char listen[64];               /* of the root, IP:PORT; "" = 9993 on all addresses */
	char address[SERVER_HOST_MAX]; /* by which others reach this machine; "" = found out each time */
	char http[64], https[64];      /* of the page; "none" */
	char zt1[64];                  /* for programs that know ZeroTier One's API; "none" */
	char network[NWID_TEXT];       /* "" = not made yet */
};

struct server {
	const struct call *call;
	bool systemd;
	struct home root, controller;
	char dir[HOME_PATH_MAX];         /* --home; "" with systemd */
	char record_path[HOME_PATH_MAX]; /* server.json */
	struct server_record record;
	bool known; /* the record was there */
};

/* Every function returns 0, or an exit code with the complaint printed. */

/* ---- server_files.c */
int server_open(struct server *, const struct call *); /* where everything is; the record, if there is one */
int record_save(const struct server *);
/* The daemons' config files. *ret_changed: they are others than before. One that somebody else wrote is not touched. */
int root_config_write(const struct server *, bool *ret_changed);
int controller_config_write(const struct server *, const char *line, bool *ret_changed);
/* How others name the root; it runs, or ran once. ret_line has ROOT_LINE_MAX bytes. */
int server_line(const struct server *, char *ret_line);
int server_begin(const struct server *);        /* the folder; the record is written for the first time */
int server_places_check(const struct server *); /* is there an address for others? */
/* The host by which others reach this machine, as it stands in a URL. false: none is known. */
bool server_host(const struct server *, char *buf, size_t room);
socklen_t server_sockaddr(const struct endpoint *, struct sockaddr_storage *ret);
int server_purge(const struct server *);

/* ---- identity.c: who a root is, its gate and its TLS port; the places where it is reached are the caller's */
int root_line_of(const struct home *, struct root_line *ret);

/* ---- server_run.c */
bool daemon_runs(const struct home *, long *ret_pid);
bool daemon_answers(const struct home *);
/* Runs it, anew if changed, and waits until it answers. */
int daemon_start(const struct server *, const struct home *, bool changed);
int daemon_stop(const struct server *, const struct home *, bool for_good);

#endif
