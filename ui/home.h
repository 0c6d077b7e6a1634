/* home.h: where a program's files are: config, state folder, lock, identity and socket.
 *
 * Without --home and FARLAN_HOME the system's places are meant (/etc/farlan, /var/lib, /run); with one of them all files
 * share that folder. Used at start, before any loop turns: everything here may block. Functions return 0 or -errno with a
 * sentence in why (no trailing newline, hostile bytes escaped) that names the mend; home_exit() makes an exit code of it.
 */
#ifndef FARLAN_UI_HOME_H
#define FARLAN_UI_HOME_H

#include <stdbool.h>
#include <stddef.h>

#include "proto/ident.h"

#define HOME_PATH_MAX 1024
#define HOME_WHY      1536

enum home_kind { HOME_NODE, HOME_CONTROLLER };

struct home {
	enum home_kind kind;
	bool given;                 /* by --home or FARLAN_HOME */
	char dir[HOME_PATH_MAX];    /* state: identity.secret, lock, databases, networks */
	char config[HOME_PATH_MAX]; /* farland.conf or farlan-controller.conf */
	char socket[HOME_PATH_MAX]; /* farland.sock or farlan-controller.sock */
	int lock;                   /* held by home_lock, else -1 */
};

const char *home_program(enum home_kind); /* "farland", "farlan-controller" */

/* Names only, nothing is touched. dir NULL: FARLAN_HOME, else the system's places. */
int home_resolve(struct home *ret, enum home_kind, const char *dir, char why[HOME_WHY]);
/* The state folder, made with mode 0700 if it is not there. */
int home_make(const struct home *, char why[HOME_WHY]);
/* The one daemon of this home: -EBUSY, naming the pid, when there is another. Held until home_unlock or the process ends. */
int home_lock(struct home *, char why[HOME_WHY]);
void home_unlock(struct home *);
/* Reads identity.secret, or makes one (1-5 s of work) when there is none. A damaged, foreign or readable-by-others file is
 * an error and never written to. Two programs creating at once agree on the first. The caller wipes with secret_fini. */
int home_identity(const struct home *, struct secret *ret, bool *ret_created, char why[HOME_WHY]);
/* A listening unix socket, non-blocking, mode 0660, in place of a stale one: the caller holds the lock, so whatever is there
 * is stale. Returns the descriptor or -errno. */
int home_listen(const struct home *, char why[HOME_WHY]);
/* At the end of a daemon: takes the socket's name away. */
void home_unlisten(const struct home *);
/* A name for the socket that fits sockaddr_un, whatever the folder's length; *ret_fd (-1, or a descriptor that must stay open
 * while the name is used, then closed) belongs to the caller. */
int home_socket_name(const struct home *, char name[108], int *ret_fd);

/* The exit code for a negative errno: 4 for permission, 1 else. */
int home_exit(int error);

#endif
