/* fdb.h: behind which member a MAC was seen, per VLAN: those behind other bridges, and those of our own device's LAN (our own address).
 *
 * Any worker sees and looks up: what is known costs no lock, what is new takes a mutex inside. Per bridge at most 4096, per network 16 384;
 * entries age out after 300 s without being seen. A MAC follows where it is seen at once, until it moves too often: then it stays where it
 * is for a minute, and frames of it from elsewhere are to be dropped. Own and derived MACs of known members are never learned: the caller
 * checks.
 */
#ifndef FARLAN_NODE_FDB_H
#define FARLAN_NODE_FDB_H

#include <stdbool.h>
#include <stdint.h>

#define FDB_MAX        16384
#define FDB_PER_BRIDGE 4096
#define FDB_AGE_MS     (300 * 1000)
#define FDB_MOVES      5 /* of one entry within FDB_MOVES_MS; the next one freezes it */
#define FDB_MOVES_MS   (10 * 1000)
#define FDB_FREEZE_MS  (60 * 1000)

enum fdb_seen {
	FDB_KNOWN,
	FDB_LEARNED,
	FDB_MOVED,
	FDB_FROZEN, /* it flaps; nothing changed and the frame is to be dropped */
	FDB_FULL,   /* a limit is reached; nothing changed */
};

struct fdb;

struct fdb_entry {
	uint64_t address;
	uint16_t vlan;
	uint8_t mac[6];
	uint64_t age_ms; /* since it was last seen, to about a second */
	bool frozen;
};

struct fdb *fdb_new(void); /* NULL: no memory */
void fdb_free(void *fdb);

/* Any thread. A frame of that source came from behind that member. */
enum fdb_seen fdb_see(struct fdb *, uint16_t vlan, const uint8_t mac[6], uint64_t address, uint64_t now_ms);
/* Any thread: where to; false = unknown. */
bool fdb_lookup(struct fdb *, uint16_t vlan, const uint8_t mac[6], uint64_t now_ms, uint64_t *ret_address);
unsigned fdb_count(const struct fdb *);
/* Any thread: all that have not aged out, in no order. each may be slow: no lock is held. */
void fdb_each(struct fdb *, uint64_t now_ms, void (*each)(void *, const struct fdb_entry *), void *);

/* Control. */
void fdb_age(struct fdb *, uint64_t now_ms);     /* each 10 s */
void fdb_forget(struct fdb *, uint64_t address); /* all of one bridge */
void fdb_clear(struct fdb *);                    /* all: cables were changed somewhere, as a switch does on a topology change */

#endif
