/* directory.h: the approved members of one network in memory, as the database has them after the last commit.
 *
 * What is signed is built from it, so that a change of one member reads one row and encodes one shard, not ten thousand. Whoever
 * writes a row touches its id; the rows touched are read again when the next edition is built, whatever became of them: approved,
 * changed, revoked, deleted or rolled back.
 */
#ifndef FARLAN_CONTROLLER_DIRECTORY_H
#define FARLAN_CONTROLLER_DIRECTORY_H

#include "controller/store.h"

struct directory {
	bool loaded;
	struct enrolled *list;           /* owned, ascending id */
	uint8_t (*keys)[KEY_HASH_BYTES]; /* owned, n of them, ascending */
	unsigned n, room;
	uint64_t *touched; /* owned, ids in any order, also more than once */
	unsigned n_touched, touched_room;
	uint64_t dirty; /* a bit for each shard that is not as it was last taken */
};

void directory_touch(struct directory *, uint64_t id);
/* Reads what was touched. 0 or -errno, then it is as before. */
int directory_refresh(struct directory *, struct store *, uint64_t nwid);
/* Members of a shard (-1: of all) by ascending address; room for directory.n of them. Returns how many. */
size_t directory_shard(const struct directory *, int shard, struct directory_entry *ret);
/* Is that key in? 1, 0, or -1: rows were touched since it was refreshed, so ask the database. */
int directory_has(const struct directory *, const uint8_t key_hash[KEY_HASH_BYTES]);
void directory_fini(struct directory *);

#endif
