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
#define STORE_VERSION        11

struct store;

struct network_record {
	uint64_t nwid;
	char name[NAME_MAX_BYTES + 1];
	uint16_t mtu;
	struct prefix pool; /* family 0 = none */
	uint32_t flags;
	struct network_limits limits;
	char description[DESCRIPTION_MAX + 1];
	struct route routes[MANAGED_MAX];
	unsigned n_routes;
	struct section_dns dns;
	struct range ranges[RANGES_MAX];
	unsigned n_ranges;
	bool auto_assign;
	struct ethertypes ethertypes;
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
	char description[DESCRIPTION_MAX + 1], reason[NAME_MAX_BYTES + 1];
	struct tags tags;
	uint64_t expires;   /* network time at which the approval ends; 0 = never */
	uint32_t ephemeral; /* s offline after which the row goes; 0 = stays */
	uint64_t invite;    /* that let it in; 0 = none */
	uint64_t seen;      /* network time it last asked */
	uint64_t asked;     /* body_join_req */
	uint64_t serial, first_seen_wall_s, last_seen_wall_s, revision;
	struct prefix ips[CRED_IPS_MAX]; /* read only: leases write them */
	unsigned n_ips;
	bool auto_ip;
	uint64_t authorized_wall_s, deauthorized_wall_s;
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
int store_network_count(struct store *, uint64_t nwid, enum member_state, uint32_t *ret); /* kept, not counted: takes no time */

int store_member_insert(struct store *, struct member_record *); /* fills id */
int store_member_update(struct store *, const struct member_record *);
/* What it says of itself, when, and the number of its join: no change to the row's revision, which is of what was decided. */
int store_member_said(struct store *, const struct member_record *);
int store_member_seen(struct store *, uint64_t id, uint64_t wall_s); /* nor this */
int store_member_delete(struct store *, uint64_t id);                /* its leases must be freed before */
int store_member_get(struct store *, uint64_t nwid, const uint8_t key_hash[KEY_HASH_BYTES], struct member_record *ret);
/* Rows with that address: the first in *ret, how many in *ret_n. 0 or -ENOENT. */
int store_member_address(struct store *, uint64_t nwid, uint64_t address, struct member_record *ret, unsigned *ret_n);
int store_member_each(struct store *, uint64_t nwid, void (*each)(void *, const struct member_record *), void *);
/* From that address on, until each() says false. */
int store_member_walk(struct store *, uint64_t nwid, uint64_t from, bool (*each)(void *, const struct member_record *), void *);
int store_member_id(struct store *, uint64_t id, struct member_record *ret);
/* Networks in which that key has a row, ascending; at most max. */
int store_member_networks(struct store *, const uint8_t key_hash[KEY_HASH_BYTES], uint64_t *ret, unsigned max, unsigned *ret_n);
/* Deletes the pending row longest unseen; its addresses are freed. *ret_address: whose it was, 0 = there is none. */
int store_member_evict(struct store *, uint64_t nwid, uint64_t now, uint64_t *ret_address);

/* Approvals and requests that end: the earliest time there is (0 = none), and the ids of those due. */
int store_member_ends(struct store *, uint64_t pending_for, uint64_t *ret_next);
int store_member_ended(struct store *, uint64_t now, uint64_t pending_for, uint64_t *ret_ids, unsigned max, unsigned *ret_n);

/* Keys nobody lets in, whatever the network. */
struct ban {
	uint8_t key_hash[KEY_HASH_BYTES];
	uint64_t address;
	char reason[NAME_MAX_BYTES + 1];
};
int store_ban_put(struct store *, const struct ban *);
int store_ban_delete(struct store *, const uint8_t key_hash[KEY_HASH_BYTES]);
int store_ban_get(struct store *, const uint8_t key_hash[KEY_HASH_BYTES], struct ban *ret); /* 0 or -ENOENT */
int store_ban_address(struct store *, uint64_t address, struct ban *ret);                   /* the first of them */

/* Who was deleted, and the number it last asked with. */
#define DEPARTED_MAX 10000 /* of a network; then the oldest goes */
int store_departed_put(struct store *, uint64_t nwid, const uint8_t key_hash[KEY_HASH_BYTES], uint64_t asked, uint64_t at);
int store_departed_get(struct store *, uint64_t nwid, const uint8_t key_hash[KEY_HASH_BYTES], uint64_t *ret_asked);
int store_departed_delete(struct store *, uint64_t nwid, const uint8_t key_hash[KEY_HASH_BYTES]);

int store_preapproval_put(struct store *, const struct preapproval_row *);
int store_preapproval_get(struct store *, uint64_t nwid, uint64_t address, struct preapproval_row *ret); /* 0 or -ENOENT */
int store_preapproval_delete(struct store *, uint64_t nwid, uint64_t address);
int store_preapproval_count(struct store *, uint64_t nwid, uint32_t *ret);
/* The addresses that wait for somebody, ascending, maybe twice; malloc'd. 0 or -errno. */
int store_preapproval_ips(struct store *, uint64_t nwid, uint32_t **ret, size_t *ret_n);
int store_preapproval_each(struct store *, uint64_t nwid, void (*each)(void *, const struct preapproval_row *), void *);

int store_lease_put(struct store *, uint64_t nwid, const struct lease *);
int store_lease_free(struct store *, uint64_t member, uint64_t now);
/* All leases, ascending address. *ret is malloced. */
int store_leases(struct store *, uint64_t nwid, struct lease **ret, size_t *ret_n);
int store_lease_count_in(struct store *, uint64_t nwid, uint32_t from, uint32_t to, uint32_t *ret); /* of those, as numbers */
int store_lease_count(struct store *, uint64_t nwid, uint32_t *ret);                                /* held by members */
int store_lease_expire(struct store *, uint64_t nwid, uint64_t before, unsigned *ret_n);            /* forgets those freed before */
int store_lease_get(struct store *, uint64_t nwid, const uint8_t ip[4], struct lease *ret);         /* 0 or -ENOENT */
/* Addresses as numbers, both ends included; *ret 0 = there is none. The lowest without a lease; the one freed longest ago. */
int store_lease_gap(struct store *, uint64_t nwid, uint32_t from, uint32_t to, uint32_t *ret);
int store_lease_oldest(struct store *, uint64_t nwid, uint32_t from, uint32_t to, uint32_t *ret, uint64_t *ret_freed);

int store_revoke(struct store *, uint64_t nwid, const uint8_t key_hash[KEY_HASH_BYTES], uint64_t min_serial, uint64_t drop_after);
int store_revocations_purge(struct store *, uint64_t nwid, uint64_t now, unsigned *ret_dropped);
int store_revocation_count(struct store *, uint64_t nwid, uint32_t *ret);
int store_revocations(struct store *, uint64_t nwid, struct revocation **ret, size_t *ret_n); /* sorted; malloced */

#endif
