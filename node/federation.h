/* federation.h: sets of roots: which of their roots this node keeps to, and how several roots serve as one.
 *
 * Control thread only. rootset.c holds the documents, homes.c chooses two home roots per set; federation.c tells others where we
 * can be called and finds where they can, contacts.c keeps at a root all contact records of its set alike with the other roots. A root
 * of a set is a root like those of add-root lines (is_root, in node->root[]), but while root_idle is set no session with it
 * is kept. Files outside these two only call what stands here.
 */
#ifndef FARLAN_NODE_FEDERATION_H
#define FARLAN_NODE_FEDERATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "node/node.h"
#include "node/peer.h"
#include "proto/contact.h"
#include "proto/rootset.h"

#define HOMES         2
#define SET_ROOTS_MAX (2 * ROOTS_MAX)

struct set_root {
	struct peer *peer;
	struct root_line line; /* what peer->root_line points to, unless configured */
	char region[ROOTSET_REGION_MAX + 1];
	uint8_t weight;
	uint8_t sets;      /* bit per set that names it */
	uint8_t home;      /* ... whose home it is */
	bool configured;   /* an add-root line names it too: kept whatever is measured */
	uint32_t least_us; /* shortest round trip of the last round; 0 = none */
	uint64_t visit_ms; /* a session is kept until then for those who have their home there */
	uint64_t asked_ms; /* ROOTSET last */
	uint64_t leave_ms; /* named by no set any more: gone at; 0 = named */
	bool named;        /* while a document is applied */
	/* at a root of the same set: what it has yet to be told (contacts.c) */
	uint64_t log_at;                  /* next entry of the log of changes */
	uint8_t differ[SYNC_BUCKETS / 8]; /* buckets it has otherwise */
	unsigned walk, walk_skip, under_way;
	uint64_t tokens_ms, digest_ms;
};

struct node_set {
	struct rootset *chain; /* owned */
	uint8_t gate[32];
	bool member; /* we are one of its roots */
	struct set_root *home[HOMES];
	uint64_t round_ms;      /* a measurement ends then; NEVER = none runs */
	uint64_t next_round_ms; /* the next one begins */
	uint64_t ask_ms;        /* ROOTSET is due */
	uint64_t answered_ms;   /* a root last told us that there is nothing newer */
	struct peer *newer;     /* a root that says it has a newer one */
	uint64_t warned_seq;    /* of a document that was refused */
	uint64_t unwell_ms;     /* since when a home does not answer */
	/* a document that is being fetched in pieces */
	struct peer *from;
	uint64_t fetch_seq, fetch_ms;
	uint32_t total, got;
	uint8_t *bytes;
	/* our own record */
	uint64_t contact_seq, contact_ms; /* 0 = none yet; when it was made */
	uint8_t contact[CONTACT_ENVELOPE_MAX];
	size_t contact_len;
};

struct contacts;

struct federation {
	struct node_set set[ROOTSETS_MAX];
	unsigned n_sets;
	struct set_root *root[SET_ROOTS_MAX]; /* those that leave included */
	unsigned n_roots;
	uint32_t contact_count;
	bool notify;               /* our nodes have to be told of a newer document of our set */
	size_t notify_at;          /* next bucket of peers */
	struct node_set *ours;     /* the one set that we are a root of; NULL = none */
	struct contacts *contacts; /* at a root of a set */
};

/* ---- homes.c ---- */
void homes_begin(struct node_set *, uint64_t now); /* a round; its end chooses */
void homes_tick(struct node *, struct node_set *, uint64_t now);
void homes_keep(struct node *, uint64_t now); /* opens and ends sessions as it should be now */
void homes_session_end(struct peer *root);
void federation_measured(const struct peer *root, uint32_t rtt_us); /* a probe came back */
bool federation_in_passing(const struct peer *root);                /* called to be measured or for somebody else: no event */
bool federation_ready(const struct peer *root);
void federation_visit(struct set_root *, uint64_t until_ms);

/* ---- rootset.c ---- */
int federation_new(struct node *); /* after the add-root lines; takes config.sets */
void federation_free(struct node *);
void federation_tick(struct node *, uint64_t now);             /* once a second */
void federation_root_up(struct peer *root);                    /* our session with it stands */
struct set_root *federation_set_root(const struct peer *root); /* NULL: of no set */
uint64_t federation_about(uint64_t ms);                        /* +- 20 % */
uint8_t federation_bit(const struct federation *, const struct node_set *);
void federation_rootset(struct peer *, enum session_class, uint32_t req, const uint8_t *body, size_t len);

/* ---- federation.c: hooks of circuit.c, relay's REGISTER and WHOIS, request.c ---- */
/* Our record for the set this root belongs to goes with REGISTER. */
bool federation_request(struct peer *, enum session_class, const struct message *); /* false: none of ours */
void federation_introduce(const struct peer *root, struct body_register *);
void federation_homes_changed(struct node *, struct node_set *);
void federation_record_tick(struct node *, struct node_set *, uint64_t now); /* renews it */
void federation_seek(struct peer *);                                         /* we want a way to it through a root */
bool federation_pointless(const struct peer *, const struct peer *root);     /* known to be called elsewhere */
int contacts_new(struct node *);
void contacts_free(struct node *);
void contacts_tick(struct node *, uint64_t now);
void contacts_register(struct peer *, const struct body_register *);
bool contacts_identity(struct node *, uint64_t address, struct identity *ret);
void contacts_root_up(struct set_root *);
void contacts_locate(struct peer *, enum session_class, uint32_t req, const uint8_t *body, size_t len);
void contacts_sync(struct peer *, enum session_class, uint32_t req, const uint8_t *body, size_t len);
/* For tests and the status: records held, and the home roots' addresses in the one of this key (0 = none). */
size_t contacts_count(const struct node *);
unsigned contacts_homes(const struct node *, const uint8_t key_hash[KEY_HASH_BYTES], uint64_t ret[CONTACT_HOMES_MAX]);

#endif
