/* group.h: multicast groups: which ones our device takes, which ones the others said they take, and the lists of both for the workers
 * (audience.h). PROTOCOL.md, Groups.
 *
 * Control thread only. group.c tells and hears whole sets, gather.c asks anchors about members of whom nothing is known, audience_build.c makes what
 * workers see. What we take is told at once when it changes, to every member with an open channel and to the anchors (or the controller); what others
 * told is believed while the session lives in which they did. When no anchor answers, who is not known gets the frame: a network
 * whose anchors are away floods, as a switch without snooping does.
 */
#ifndef FARLAN_NODE_GROUP_H
#define FARLAN_NODE_GROUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "node/audience.h"
#include "node/session.h"
#include "proto/base/heap.h"
#include "proto/body.h"

#define GATHERS_MAX       64 /* groups of one network that are asked for, at a time */
#define GATHER_HELD_MAX   16 /* frames of one group that wait for the answer */
#define GATHER_PATIENCE   1000
#define GATHER_AGAIN_MS   2000
#define GATHER_UNUSED_MS  60000
#define GROUP_ANCHORS_MAX 3
#define GROUP_YOUNG_MS    20000 /* an anchor that started says nothing: others have not told it yet */
#define SUB_TTL_MS        (10 * 60 * 1000)

struct letter;
struct net;
struct net_member;
struct node;
struct peer;

/* What one member takes, as it said. */
struct group_set {
	uint64_t seq;
	uint64_t heard_ms; /* 0 = never */
	bool live;         /* said in a session that still stands: nothing changed since without our hearing */
	bool all, blocked;
	uint32_t n;
	uint8_t (*group)[6]; /* ascending; NULL = none */
};

/* What one of those whom we tell was told. */
struct group_told {
	uint64_t seq;      /* sent last and not refused; 0 = none */
	uint32_t session;  /* by that one: a new one is told anew */
	uint64_t again_ms; /* refused or lost: not before */
	uint8_t flying;    /* SUBs on their way */
};

/* Part of struct net_member. */
struct group_member {
	struct group_set said;
	struct group_told told;
};

struct held { /* a frame of our device that waits */
	uint64_t since_ms;
	uint32_t len, n_sent;
	uint64_t *sent; /* ascending addresses that have it already; in the same block, before the frame */
	uint8_t *frame;
};

struct gather_list { /* ascending addresses */
	uint32_t n;
	uint64_t address[MEMBERS_MAX];
};

/* One group that is in use while some member is not known. */
struct gather {
	uint8_t group[6];
	uint64_t used_ms, asked_ms;
	bool complete;              /* list or flood is in force */
	bool flood;                 /* nobody answers: all that are not known */
	bool busy;                  /* a round is under way */
	uint32_t round;             /* tells its answers from those of the last */
	unsigned asked, done, lost; /* targets of this round */
	unsigned pages;             /* of their answers */
	struct gather_list list, fresh;
	unsigned n_held;
	struct held *held[GATHER_HELD_MAX];
};

/* Part of struct net. */
struct groups {
	bool known, all, blocked; /* own set, as the device has it */
	uint32_t n;
	uint8_t group[SUB_GROUPS_MAX][6];
	uint64_t seq; /* of it */
	uint64_t since_ms;
	uint64_t looked_ms;       /* it was read last */
	uint64_t read_ms;         /* the device is to be read then; NEVER = by the second, or when told */
	_Atomic uint64_t told_ms; /* buckets: of our own changes, of rounds that begin */
	_Atomic uint64_t asked_ms;
	uint64_t refresh_ms; /* anchors are told again */
	uint64_t retry_ms;   /* somebody is to be told again; NEVER = nobody */
	unsigned n_anchors;
	uint64_t anchor[GROUP_ANCHORS_MAX]; /* addresses, of us too */
	bool anchor_self;
	struct group_told controller; /* as the anchor of networks without one */
	bool stale;                   /* what workers see is to be built anew */
	uint64_t built_ms;
	uint32_t named; /* groups by all members then: what it cost */
	uint32_t rounds;
	struct gather *gather[GATHERS_MAX];
	struct timer timer;
};

/* For `farlan groups`. */
struct groups_view {
	uint64_t address;
	bool own;
	bool known; /* else it has no session or said nothing in it yet */
	bool all, blocked;
	uint32_t n;
	const uint8_t (*group)[6]; /* borrowed while each() runs */
};
/* Own set first, then the members' by ascending address. -ENOENT. */
int node_groups(struct node *, uint64_t nwid, void (*each)(void *, const struct groups_view *), void *);
/* Groups of devices may have changed: reads those of ours. They are read each second anyway. */
void node_groups_changed(struct node *, uint64_t now);

/* ---- group.c ---------------------------------------------------------------------------------------------------- */
void group_init(struct net *);
void group_free(struct net *);
void group_second(struct node *, uint64_t now); /* once a second */
void group_changed(struct net *);               /* our device's groups, port->blocked or own flags may have: tells whoever is to know */
void group_letter(struct node *, const struct letter *); /* LETTER_GROUPS */
void group_sub(struct peer *, enum session_class, uint32_t req, const uint8_t *body, size_t len);
void group_opened(struct net *, struct net_member *); /* its channel is open, or its session new */
void group_closed(struct net *, struct net_member *);
void group_session_down(struct peer *); /* its last session for data ended */
void group_controller_up(struct net *);
void group_roster(struct net *);                           /* members came or went, or their flags changed */
void group_member_gone(struct net *, struct net_member *); /* before it is retired */
void group_schedule(struct net *, uint64_t at);
/* Is it known what this member takes: by its own word that still holds, or, at an anchor, by its silence? */
bool group_known(const struct net *, const struct net_member *);
/* Did it say that it takes the group, and not too long ago? */
bool group_said(const struct net *, const struct net_member *, const uint8_t group[6]);
/* May it, for all that is known? Broadcast it does. */
bool group_takes(const struct net *, const struct net_member *, const uint8_t group[6]);
bool group_own(const struct net *, const uint8_t group[6]); /* does our device? */
bool group_serves(const struct net *);                      /* an anchor, and long enough that all have told it */

/* ---- gather.c --------------------------------------------------------------------------------------------------- */
void gather_letter(struct node *, const struct letter *); /* LETTER_GATHER */
void gather_request(struct peer *, enum session_class, uint32_t req, const uint8_t *body, size_t len);
void gather_tick(struct net *, uint64_t now);
uint64_t gather_deadline(const struct net *);
bool gather_any(const struct net *);
void gather_free(struct net *);
/* Does a member that is not known count as one that takes the group? */
bool gather_names(const struct gather *, uint64_t address);
bool gather_meets(const struct net *, const struct net_member *, const uint8_t *frame);

/* ---- audience_build.c ------------------------------------------------------------------------------------------- */
void audience_publish(struct net *);
void audience_withdraw(struct net *); /* until the next: control sends every multicast frame */
bool audience_replicators_changed(const struct net *);

#endif
