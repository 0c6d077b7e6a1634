/* spray.h: the straight way between a NAT that gives each destination another port ("hard") and one that lets in only who was written to.
 *
 * Control thread only; one spray at a time, whoever else wants one comes later. It is tried for a busy pair that has been on a relay for a
 * while, once an hour at most unless it succeeds, and ends as soon as any straight path stands (PROTOCOL.md, SPRAY).
 */
#ifndef FARLAN_NODE_SPRAY_H
#define FARLAN_NODE_SPRAY_H

#include <stdbool.h>

#include "node/session.h"
#include "proto/base/heap.h"
#include "proto/body.h"

#define SPRAY_ADDRESSES 4

struct node;
struct peer;

enum spray_state {
	SPRAY_IDLE,
	SPRAY_ASKING,   /* hard: the other side has not answered yet */
	SPRAY_OPENING,  /* hard: sockets are open, and listened to */
	SPRAY_KNOCKING, /* easy: ports are tried */
};

struct spray { /* in struct node */
	enum spray_state state;
	struct timer timer;
	uint8_t key_hash[KEY_HASH_BYTES]; /* whom it is about */
	uint32_t start;                   /* number of the last one */
	struct endpoint to;               /* hard: the other's; easy: its address, and the port guesses begin behind */
	uint16_t step;                    /* of the guesses; 0 = none */
	uint8_t socket;                   /* easy: that we are seen by */
	unsigned n, sent, adopted;
	uint32_t in_use; /* extra sockets of udp.h that paths use */
	uint64_t end_ms;
	unsigned agreed; /* as the easy side, in this hour */
	uint64_t agreed_ms;
};

struct peer_spray {       /* in struct peer */
	uint64_t next_ms; /* not before */
	uint64_t busy_ms; /* the last frame that was counted */
	uint8_t busy;     /* seconds with frames in them: a broadcast now and then is no reason */
	uint8_t tries;    /* without a word on the matter */
	unsigned knocks;  /* we sent in this hour */
	uint64_t knocks_ms;
	uint8_t address[SPRAY_ADDRESSES][4]; /* public ones of its last CANDS */
	unsigned n_addresses;
	uint8_t seen[4]; /* where a root of ours saw it when it called */
	bool seen_set;
};

/* A peer is reached by a relay: begin, if there is reason to. frames_ms: when the last frame went. */
void spray_consider(struct peer *, uint64_t frames_ms);
void spray_cands(struct peer *, const struct body_cands *);
void spray_seen(struct peer *, const struct endpoint *); /* a root's word */
void spray_request(struct peer *, enum session_class, const struct message *);

#endif
