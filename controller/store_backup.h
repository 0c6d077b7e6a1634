/* store_backup.h: a database seen from beside: copied while it is written, looked at without being opened for good.
 *
 * The first two open the file themselves, with SQLite only (a plain close would drop the locks of the controller in the same
 * process), and may run on any thread. The third belongs to the control thread's transaction.
 */
#ifndef FARLAN_CONTROLLER_STORE_BACKUP_H
#define FARLAN_CONTROLLER_STORE_BACKUP_H

#include "controller/store.h"

/* The state of one moment, whatever is written meanwhile, into a new file (an old one of that name is replaced). 0 or -errno. */
int store_snapshot(const char *from, const char *to);

struct store_facts {
	uint8_t owner[KEY_HASH_BYTES];
	uint64_t ceiling, revision;
	uint64_t networks, members; /* members: approved */
};
/* alone: nobody else has it open, and no file is made beside it. *ret_what: what is wrong with it, "is damaged; ..." as behind its
 * name, static. 0 or -errno. */
int store_look(const char *path, bool alone, struct store_facts *ret, const char **ret_what);

/* A new serial for each approved member: from above base, in the order of their rows. *ret_next: the first not given. */
int store_member_reserial(struct store *, uint64_t nwid, uint64_t base, uint64_t *ret_next);

#endif
