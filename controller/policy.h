/* policy.h: what the controller decides, without knowing how it is stored or sent.
 *
 * Pure: no I/O, no clock, no store; every fact comes in by argument. Network time in seconds, allowances in monotonic
 * milliseconds. Any thread.
 */
#ifndef FARLAN_CONTROLLER_POLICY_H
#define FARLAN_CONTROLLER_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "controller/controller.h"

#define MEMBERS_DEFAULT  1000        /* approved, of a network, until the controller's members-max says otherwise */
#define PENDING_MAX      1000        /* rows per network; then the one longest unseen goes */
#define JOIN_INTERVAL_MS 10000       /* a stranger's joins, per identity */
#define JOIN_BURST       16          /* and how many may come at once: people retype commands */
#define ADDRESS_REST_S   (24 * 3600) /* a freed address is not handed out again before */
#define REVOCATIONS_MAX  20000       /* in force, those of everybody approved now included: within REVLIST_MAX */
#define POOL_BITS_MIN    8
#define POOL_BITS_MAX    30 /* a pool needs hosts between network and broadcast address */
#define MTU_DEFAULT      1400

struct lease {
	uint8_t ip[4];
	uint8_t bits;
	uint64_t member; /* row id; 0 = freed */
	uint64_t freed;  /* network time */
};

/* ---- joining */

struct policy_rows {
	bool trusted;           /* the database may be signed from */
	bool network;           /* exists */
	uint32_t network_flags; /* NETWORK_* */
	uint32_t approved, pending;
	uint32_t members_max, pending_max; /* 0 = as many as there can be */
	uint32_t joins;                    /* a minute that a stranger may send; 0 = as JOIN_INTERVAL_MS says */
	bool banned;                       /* the key is, in every network */
	bool preapproved;                  /* the address is, in this one */
	bool departed;                     /* was deleted, and nobody typed the join again since */
	uint32_t revocations;              /* REVLIST entries */
	bool collision;                    /* the address belongs to another key in this network */
	bool member;                       /* has a row */
	enum member_state state;           /* of that row */
	uint64_t allowance;                /* this identity's: ms up to which its joins are spoken for; 0 = none yet */
};

struct policy_request {
	bool honest; /* the identity in the request is that of the session */
};

enum policy_action { POLICY_NOTHING, POLICY_PEND, POLICY_EVICT_PEND, POLICY_ADMIT };

struct policy_decision {
	enum join_status answer;
	enum policy_action action;
	uint64_t allowance; /* to be kept for the identity */
};

/* One join of a stranger, if its allowance has room for it. joins: per minute, 0 = the usual. */
bool policy_spend(uint64_t *allowance, uint32_t joins, uint64_t now_ms);
struct policy_decision policy_decide(const struct policy_rows *, const struct policy_request *, uint64_t now_ms);
/* May one more be approved? NULL, or why not. members_max 0 = MEMBERS_MAX. */
const char *policy_full(uint32_t members_max, uint32_t approved, uint32_t revocations);

/* ---- rights and addresses */

/* Effective flags: bridge brings dhcp-server and router along unless those are set off. */
uint32_t policy_flags(uint32_t on, uint32_t off);
void policy_flags_set(uint32_t *on, uint32_t *off, uint32_t set_on, uint32_t set_off);
/* Does the second credential lack anything the first one granted? */
bool policy_takes(const struct prefix *had, unsigned n_had, uint32_t had_flags, const struct prefix *has, unsigned n_has,
                  uint32_t has_flags);
/* NULL, or a sentence. */
const char *policy_pool_check(const struct prefix *pool);
/* A host of the pool: inside, and neither its network nor its broadcast address. */
bool policy_pool_host(const struct prefix *pool, const uint8_t ip[4]);
/* NULL, or a sentence. */
const char *policy_range_check(const struct range *);
/* What is given without being asked for: the hosts of the pool that lie in a range, as numbers, ascending, none twice; all its hosts when
 * there are no ranges. Returns how many stretches, 0 = nothing. */
struct stretch {
	uint32_t first, last; /* both included */
};
unsigned policy_stretches(const struct prefix *pool, const struct range *, unsigned n, struct stretch ret[RANGES_MAX]);
/* As many hosts as wanted: the lowest nobody holds and nobody held within ADDRESS_REST_S, then those freed longest ago. leases ascending by
 * ip. 0; -EADDRNOTAVAIL when there are not so many, or -ENOMEM: then what stands in ret means nothing. */
int policy_addresses(const struct stretch *, unsigned n_stretches, const struct lease *leases, size_t n, uint64_t now, uint8_t (*ret)[4],
                     size_t want);
/* Text of 1 to NAME_MAX_BYTES bytes without control characters. */
bool policy_name(const char *name);
bool policy_text(const char *text, size_t max); /* the same, up to max */
/* NULL, or a sentence. pool family 0 = none; ula: the network's /64. */
const char *policy_route_check(const struct route *, const struct prefix *pool, const struct prefix *ula);

#endif
