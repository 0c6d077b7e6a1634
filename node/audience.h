/* audience.h: who is to get a multicast frame of our own device: what workers look up, and how many are served by others for us.
 *
 * struct audiences is immutable but for the stamps of use; control builds it (group.c), shows it by port->audiences and retires the old one,
 * so a worker may keep what it found for its turn. Broadcast goes to the whole roster, unless that is a crowd (GROUP_CROWD).
 */
#ifndef FARLAN_NODE_AUDIENCE_H
#define FARLAN_NODE_AUDIENCE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define GROUP_CROWD         1024 /* members: in a larger network most are never met, so nobody is called who is not known to be there */
#define AUDIENCE_GROUPS_MAX 8192 /* that have a list of their own */
#define AUDIENCE_OWN_MAX    128
#define REPLICATORS_MAX     8
#define RING_BITS           40 /* of an address */

struct member;

/* complete: those are all, to the best of our knowledge. Else the frame goes to control by LETTER_GATHER (mac = group), which sends it to all of
 * these and to whom it finds; a worker sends none of it. */
struct audience {
	bool complete;
	uint32_t n;
	struct member *const *member; /* ascending address, without us */
	_Atomic uint64_t *used_ms;    /* NULL: the group has no list */
};

struct audience_slot;

struct audiences {
	/* What our own device takes: a replicator gets frames of groups that are none of its own. */
	bool own_all;
	uint32_t n_own;
	uint8_t own[AUDIENCE_OWN_MAX][6]; /* ascending */
	struct audience takers;           /* of a group without a list: who takes every group (bridges, promiscuous devices) */
	struct audience unknown;          /* whose groups are not known; in no other list unless that group's was asked for */
	uint32_t n_replicators;           /* with open channel, way and CAP_REPLICATE when this was built; ascending address */
	struct member *replicator[REPLICATORS_MAX];
	uint32_t n_groups, mask;
	struct audience_slot *slot; /* open addressing by group; in the same block as all the rest */
};

/* Never NULL: the group's list, or that of those who take every group. NULL audiences: one that is not complete and has nobody. */
const struct audience *audience_find(const struct audiences *, const uint8_t group[6]);
/* Does our own device take that group, or every one (broadcast is taken by all)? NULL: it is not known, so it does. */
bool audience_own(const struct audiences *, const uint8_t group[6]);
/* A frame of that group went out: its list is kept fresh. */
static inline void audience_used(const struct audience *a, uint64_t now_ms)
{
	if (a->used_ms && atomic_load_explicit(a->used_ms, memory_order_relaxed) != now_ms)
		atomic_store_explicit(a->used_ms, now_ms, memory_order_relaxed);
}

/* ---- building, control only ------------------------------------------------------------------------------------- */

/* One block, freed by free(), with room for the lists of so many groups and so many members in all of them together. NULL: no memory. */
struct audiences *audiences_new(uint32_t groups, uint32_t members);
/* Room for the list of one more group (each once): fill member[0..n). NULL: that was more than audiences_new was told. */
struct member **audiences_add(struct audiences *, const uint8_t group[6], uint32_t n, bool complete, uint64_t used_ms);
/* Room of the two lists that are no group's. */
struct member **audiences_takers(struct audiences *, uint32_t n, bool complete);
struct member **audiences_unknown(struct audiences *, uint32_t n);
/* When the group was last used, 0 = never or it has no list. */
uint64_t audience_used_ms(const struct audiences *, const uint8_t group[6]);

/* ---- shares ----------------------------------------------------------------------------------------------------- */

/* Addresses lie on a ring of 40 bits: a stretch goes from `from` upwards to before `to`, over the end where it is not below `to`. from = to is the
 * whole ring. */
static inline bool stretch_holds(uint64_t from, uint64_t to, uint64_t address)
{
	uint64_t all = (UINT64_C(1) << RING_BITS) - 1;
	return from == to || ((address - from) & all) < ((to - from) & all);
}

/* What a sender does itself and what it leaves to its replicators. The window and the ranges together are the whole ring, each address once. */
struct shares {
	uint32_t first, direct; /* serve direct of the list from there, over its end if need be */
	uint32_t n;             /* ranges; 0: all are served directly */
	struct share {
		uint32_t replicator; /* index into the list of replicators */
		uint64_t from, to;   /* stretch */
	} share[REPLICATORS_MAX];
};

/* address: those of the n listed, ascending, each once. limit: how many frames the sender may send; turn: of this frame, so that nobody is always
 * served last. replicators 0, limit 0 (none) or n within the limit: all directly. At most limit frames are sent if it splits. */
void audience_split(const uint64_t *address, uint32_t n, uint32_t replicators, uint32_t limit, uint32_t turn, struct shares *ret);

#endif
