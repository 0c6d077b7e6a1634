/* backup.h: a controller in one file behind a passphrase, and back.
 *
 * Everything here blocks: on a thread of its own, or in a program that does nothing else. None of it touches the struct
 * controller; the database is read through a connection of its own while the controller goes on writing.
 */
#ifndef FARLAN_CONTROLLER_BACKUP_H
#define FARLAN_CONTROLLER_BACKUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/ident.h"

#define BACKUP_WHY 512

struct backup_source {
	const char *dir;    /* the home folder: database, identity, head.bak */
	const char *config; /* the config file; need not exist */
	const char *version;
	uint64_t wall_s;
};

/* Writes to fd from where it stands. 0 or -errno with a sentence in why; fd then holds rubbish. */
int backup_write(const struct backup_source *, const char *passphrase, size_t len, int fd, char why[BACKUP_WHY]);

struct backup_facts {
	struct identity controller;
	char version[32];
	uint64_t written_wall_s;
	uint64_t networks, members, ceiling, revision;
};
/* Reads fd to its end into dir, which is there and empty: files of mode 0600, synced, as they stood in the home folder; the config
 * as farlan-controller.conf. Checks all of it: passphrase, wholeness, database, that the identity is its owner. 0 or -errno with a
 * sentence in why; what was written until then is for the caller to remove. */
int backup_read(int fd, const char *passphrase, size_t len, const char *dir, struct backup_facts *ret, char why[BACKUP_WHY]);
void backup_remove(const char *dir); /* the files of a backup in it, and the folder */

/* Where a running controller looks at a backup: a folder of its home, for mkdtemp(). It holds an identity while that lasts. */
#define BACKUP_LOOK      "restore.XXXXXX"
#define BACKUP_STALE_MAX 64 /* that one start takes away */
/* Takes away what a controller that ended in the middle of a look left in its home: folders of that name, of our user and closed to all
 * others. The caller has locked the home. Returns how many are gone; a warning names what could not be taken away. */
unsigned backup_sweep(const char *home);

/* What stands at a home now, compared with a backup. */
struct backup_stand {
	bool there;       /* a database or an identity */
	bool readable;    /* the database could be looked at; what is below counts then */
	bool same;        /* of the same controller */
	bool newer;       /* it was changed after the backup was made */
	bool signed_more; /* its head.bak says so: what was restored will ask before it signs */
	uint64_t revision, networks, members;
	char what[160]; /* what is wrong when it is not readable */
};
void backup_compare(const char *home, bool running, const struct backup_facts *, struct backup_stand *ret);

/* Puts what backup_read() left in dir (beside home, of the same file system) in the place of home, which nobody uses and the caller has
 * locked; it is kept as *ret_kept ("" = there was none). Which counters were used since the backup is told by home's head.bak, if it is
 * of the same controller; without it the next start goes far beyond all of them. 0 or -errno with why, nothing changed then. */
int backup_place(const char *dir, const char *home, const struct backup_facts *, uint64_t wall_s, char *ret_kept, size_t room,
                 char why[BACKUP_WHY]);

#endif
