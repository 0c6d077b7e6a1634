/* store_traffic.h: rows of what members carried; for traffic*.c.
 *
 * Part of the store: one thread. Writes belong to a transaction of their own, which traffic.c commits or rolls back; no row here has a
 * revision, since what machines count must not make the database newer than its backup.
 */
#ifndef FARLAN_CONTROLLER_STORE_TRAFFIC_H
#define FARLAN_CONTROLLER_STORE_TRAFFIC_H

#include "controller/store.h"
#include "controller/traffic.h"

/* How often each of some things was, most of them never. */
#define TALLIES      256
#define TALLIES_ROOM (TALLIES * 11) /* packed: a byte of key, a number of up to ten */
struct tallies {
	uint64_t of[TALLIES];
};

/* Whose traffic it is: a member's, or the sum of its network (member 0), whose count goes up for ever. */
struct traffic_subject {
	uint64_t id, member;
	uint64_t epoch, at_s;      /* run of the member that told last, and when */
	struct traffic_count last; /* what it told */
	struct tallies drops;      /* by reason, as told */
};

/* One cell of a subject's rings. */
struct traffic_cell {
	uint64_t slot; /* time / step: the cell is of that and no other time */
	struct traffic_count count;
	struct tallies rtt, drops; /* buckets of round trips (traffic_parts.h); reasons */
};

int store_traffic_cell(struct store *, unsigned cell, uint64_t subject, struct traffic_cell *ret); /* 0 or -ENOENT */
/* Of cells first .. end - 1 those that have a slot between from and to. */
int store_traffic_sum(struct store *, uint64_t subject, unsigned first, unsigned end, uint64_t from, uint64_t to,
                      struct traffic_count *ret);
int store_traffic_cell_put(struct store *, unsigned cell, uint64_t subject, const struct traffic_cell *);

/* key_hash NULL: the network's. 0 or -ENOENT; *ret_member is then the row that it would belong to, 0 = there is none either. */
int store_traffic_subject(struct store *, uint64_t nwid, const uint8_t *key_hash, struct traffic_subject *ret, uint64_t *ret_member);
int store_traffic_subject_new(struct store *, uint64_t nwid, uint64_t member, uint64_t *ret_id);
/* held: bytes by which its rings became fuller. -ENOENT: it is gone. */
int store_traffic_subject_save(struct store *, uint64_t nwid, const struct traffic_subject *, const int64_t held[TRAFFIC_RANGES]);
/* Those members of a network that told anything since, whose rings hold most, whatever of it is too old; at most max. */
struct traffic_holder {
	uint64_t subject, held, address;
	char name[NAME_MAX_BYTES + 1];
};
int store_traffic_holders(struct store *, uint64_t nwid, enum traffic_range, uint64_t since_s, struct traffic_holder *ret, unsigned max,
                          unsigned *ret_n);
int store_traffic_reporting(struct store *, uint64_t nwid, unsigned cell, uint64_t slot, unsigned *ret); /* members that have it */
/* What is left of members and networks that went: some of it goes. *ret_n: of how many subjects. */
int store_traffic_sweep(struct store *, unsigned max, unsigned *ret_n);

/* Names of reasons, by number, of a network. */
int store_traffic_reason_put(struct store *, uint64_t nwid, unsigned id, const char *name);
int store_traffic_reasons(struct store *, uint64_t nwid, void (*each)(void *, unsigned id, const char *name), void *);

#endif
