/* store.h: the controller's memory on disk; the only user of SQLite.
 *
 * One thread. Every write belongs to the turn's transaction, which opens with the first write and ends with
 * store_commit() or store_rollback(); reads see the writes of their own turn. A failed write breaks the transaction:
 * later writes return the same error and the commit fails. Errors: -ENOSPC, -EROFS, -EIO, -EBADMSG (damaged), -ENOENT.
 * Every row written gets a new revision. Callbacks must not write.
 */
#ifndef FARLAN_CONTROLLER_STORE_H
#define FARLAN_CONTROLLER_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "controller/controller.h"
#include "controller/policy.h"

#define STORE_APPLICATION_ID 0x666c6e31 /* "fln1" */
#define STORE_VERSION        6

struct store;

struct network_record {
	uint64_t nwid;
	char name[NAME_MAX_BYTES + 1];
	uint16_t mtu;
	struct prefix pool; /* family 0 = none */
	uint32_t flags;
	struct network_limits limits;
	uint8_t gate[32];
	uint64_t version, rev_epoch, serials; /* reserved so far */
	uint64_t created_wall_s, revision;
};

struct member_record {
	uint64_t id, nwid, address;
	struct identity identity; /* its address too */
	enum member_state state;
	char name[NAME_MAX_BYTES + 1], hostname[NAME_MAX_BYTES + 1], os[NAME_MAX_BYTES + 1], version[NAME_MAX_BYTES + 1];
	uint32_t flags_on, flags_off;
	uint64_t serial, first_seen_wall_s, last_seen_wall_s, revision;
	struct prefix ips[CRED_IPS_MAX]; /* read only: leases write them */
	unsigned n_ips;
};

/* path: a file, or ":memory:". owner: key_hash of the controller. *ret_why: a sentence naming the file and the mend,
 * in a buffer that lives until the next call. 0 or -errno; a file that is not ours is never touched. */
int store_open(struct store **ret, const char *path, const uint8_t owner[KEY_HASH_BYTES], const char **ret_why);
void store_close(struct store *);         /* rolls an open transaction back */
bool store_changed(const struct store *); /* a transaction is open */
int store_commit(struct store *);         /* 0 when none is open; on failure everything of the turn is rolled back */
void store_rollback(struct store *);

int store_ceiling(struct store *, uint64_t *ret_ceiling, uint64_t *ret_revision);
int store_ceiling_set(struct store *, uint64_t ceiling);

int store_network_insert(struct store *, const struct network_record *);
int store_network_update(struct store *, const struct network_record *); /* all but the counters */
int store_network_counters(struct store *, uint64_t nwid, uint64_t version, uint64_t rev_epoch, uint64_t serials);
int store_network_delete(struct store *, uint64_t nwid); /* with all its rows */
int store_network_get(struct store *, uint64_t nwid, struct network_record *ret);
int store_network_named(struct store *, const char *name, uint64_t *ret_nwid);
int store_network_each(struct store *, void (*each)(void *, const struct network_record *), void *);
int store_network_count(struct store *, uint64_t nwid, enum member_state, uint32_t *ret);

int store_member_insert(struct store *, struct member_record *); /* fills id */
int store_member_update(struct store *, const struct member_record *);
int store_member_seen(struct store *, uint64_t id, uint64_t wall_s);
int store_member_delete(struct store *, uint64_t id); /* its leases must be freed before */
int store_member_get(struct store *, uint64_t nwid, const uint8_t key_hash[KEY_HASH_BYTES], struct member_record *ret);
/* Rows with that address: the first in *ret, how many in *ret_n. 0 or -ENOENT. */
int store_member_address(struct store *, uint64_t nwid, uint64_t address, struct member_record *ret, unsigned *ret_n);
int store_member_each(struct store *, uint64_t nwid, void (*each)(void *, const struct member_record *), void *);
int store_member_id(struct store *, uint64_t id, struct member_record *ret);
/* Networks in which that key has a row, ascending; at most max. */
int store_member_networks(struct store *, const uint8_t key_hash[KEY_HASH_BYTES], uint64_t *ret, unsigned max, unsigned *ret_n);
int store_member_evict(struct store *, uint64_t nwid); /* the pending row longest unseen */

int store_lease_put(struct store *, uint64_t nwid, const struct lease *);
int store_lease_free(struct store *, uint64_t member, uint64_t now);
/* All leases, ascending address. *ret is malloced. */
int store_leases(struct store *, uint64_t nwid, struct lease **ret, size_t *ret_n);
int store_lease_expire(struct store *, uint64_t nwid, uint64_t before); /* forgets those freed before */

int store_revoke(struct store *, uint64_t nwid, const uint8_t key_hash[KEY_HASH_BYTES], uint64_t min_serial, uint64_t drop_after);
int store_revocations_purge(struct store *, uint64_t nwid, uint64_t now, unsigned *ret_dropped);
int store_revocation_count(struct store *, uint64_t nwid, uint32_t *ret);
int store_revocations(struct store *, uint64_t nwid, struct revocation **ret, size_t *ret_n); /* sorted; malloced */

#endif
