/* fdb.h: MACs learned behind members with the bridge right. Control writes, workers look up (atomic slots, no lock).
 *
 * Per bridge at most 4096, per network 16 384; entries age out after 300 s without being seen. Own and derived MACs of known members are never
 * learned: the caller checks.
 */
#ifndef FARLAN_NODE_FDB_H
#define FARLAN_NODE_FDB_H

#include <stdbool.h>
#include <stdint.h>

#define FDB_MAX        16384
#define FDB_PER_BRIDGE 4096
#define FDB_AGE_MS     (300 * 1000)

struct fdb;

struct fdb *fdb_new(void); /* NULL: no memory */
void fdb_free(void *fdb);
/* Any thread: address of the member behind which (vlan, mac) was learned, and refreshes its age; false = unknown. */
bool fdb_lookup(struct fdb *, uint16_t vlan, const uint8_t mac[6], uint64_t now_ms, bool refresh, uint64_t *ret_address);
/* Control. false when a limit is reached (nothing learned). A MAC seen behind another bridge moves at once. */
bool fdb_learn(struct fdb *, uint16_t vlan, const uint8_t mac[6], uint64_t address, uint64_t now_ms);
void fdb_age(struct fdb *, uint64_t now_ms);     /* control, each 10 s */
void fdb_forget(struct fdb *, uint64_t address); /* all of one bridge */
unsigned fdb_count(const struct fdb *);

#endif
