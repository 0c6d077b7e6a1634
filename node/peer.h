/* peer.h: one other identity as control sees it: sessions, handshakes, paths, requests under way, frames that wait.
 *
 * Control thread only. A peer is made when we want to talk to an identity or when one proved itself; it owns its sessions, pending
 * handshakes, paths and queue, and hands what workers may still see to the guest book. All its deadlines are plain fields;
 * peer_schedule() puts the earliest into its one timer.
 */
#ifndef FARLAN_NODE_PEER_H
#define FARLAN_NODE_PEER_H

#include <sys/queue.h>

#include "node/beacon.h"
#include "node/event.h"
#include "node/session.h"
#include "node/spray.h"
#include "proto/base/heap.h"
#include "proto/body.h"

#define PATHS_MAX      24
#define PROBES_MAX     64
#define PENDING_MAX    4
#define WAITING_MAX    64        /* frames waiting for a session, per peer */
#define WAITING_BYTES  (2 << 20) /* and in the whole daemon */
#define WAITING_MS     30000     /* older ones nobody asks for any more */
#define REQUESTS_MAX   64
#define ANSWERS_MAX    64
#define NAT_ASKS       3
#define PEER_IN_USE_MS (5 * 60 * 1000) /* since the last packet: its paths are looked after */
#define PEER_ENDPOINTS 4               /* remembered on disk */
#define INSTANCES_MAX  4

enum path_state {
	PATH_FREE,    /* slot unused */
	PATH_PROBING, /* may carry probes only */
	PATH_VALID,   /* answered; may carry traffic */
	PATH_STALE,   /* was valid, lost three probes; probed on, carries traffic only when nothing else is left */
};

struct path {
	enum path_state state;
	struct endpoint to; /* direct */
	uint8_t socket;
	struct circuit *circuit; /* relayed: our leg, owned by this path; NULL = direct */
	struct peer *relay;      /* relayed: who relays */
	bool by_member;          /* relayed by a member of a common network, not by a root */
	uint32_t srtt_us;        /* 0 = no sample yet */
	bool guessed;            /* from a handshake, whose losses are in it: the first sample replaces it */
	uint8_t lost;            /* probes in a row without an answer */
	uint8_t rounds;          /* probes sent while PROBING, or while STALE */
	uint16_t loss_permille;  /* of probes, a moving mean over some 16 */
	uint64_t roamed_ms;      /* when the peer was last heard from here although we sent elsewhere; 0 = never */
	uint64_t moved_ms;       /* ... and when we asked where we send for that reason */
	uint64_t next_probe_ms;  /* NEVER = none is due */
	uint64_t heard_ms;       /* something authentic came, or it was made */
	uint64_t asked_ms;       /* the first probe of those without an answer */
	uint64_t proved_ms;      /* last proof that it leads both ways */
	uint64_t better_ms;      /* since when it would be the better one of two alike; 0 = it is not */
	uint16_t datagram;       /* largest that is known to come through, without a leg's header */
	struct pmtu {            /* pmtu.c: how that is known */
		uint8_t rounds;  /* of the search, that are left */
		uint8_t lost;    /* confirmations in a row without an answer */
		uint64_t search_ms, confirm_ms;
	} pmtu;
};

struct probe { /* one on its way */
	uint64_t token;
	uint64_t sent_us;
	uint8_t path;
	bool plain; /* not padded: those measure time and loss, padded ones the link's rate too */
	uint16_t size;
};

struct waiting { /* a frame without a session yet */
	struct waiting *next;
	uint64_t nwid, since_ms;
	uint64_t origin; /* whose frame it is, if not ours */
	uint32_t len;
	uint8_t frame[];
};

/* Circuits of a relay; a LIST_HEAD of sys/queue.h, written out for tools that do not read it. */
struct circuit_pairs {
	struct pair *lh_first;
};

struct request;
typedef void request_done(struct peer *, const struct request *, const struct message *reply); /* reply NULL: given up */

struct request {
	uint32_t req;
	uint8_t op;
	enum session_class class;
	uint32_t pinned; /* index of the one session it may travel on; 0 = whichever stands */
	uint8_t tries;
	uint64_t next_ms;
	request_done *done; /* may be NULL */
	uint64_t context;   /* the caller's: a network id, an index, ... */
	uint8_t context_hash[32];
	struct session *by; /* while done runs: the session the reply came by; NULL without one */
	uint8_t *bytes;     /* encoded message */
	uint32_t len;
};

struct answer { /* what was answered, for a repeated question */
	uint32_t req;
	bool set;
	uint32_t session; /* index of the one that asked */
	uint8_t *bytes;   /* NULL: still being worked on */
	uint32_t len;
};

/* What only those have whom we hear of: most of a large network are known by name alone. */
struct peer_talk {
	struct path path[PATHS_MAX];
	struct probe probe[PROBES_MAX];
	struct answer answer[ANSWERS_MAX];
};

struct peer {
	struct node *node;
	struct peer_talk *talk; /* NULL: not yet; then path, probe and answer are blank and not to be written */
	struct peer *hash_next, *address_next;
	struct identity identity; /* address 0 = not known */
	bool keys;                /* x and ed are known (a directory names key_hash and address only) */
	bool work;                /* the identity's work was computed here */
	uint64_t order;           /* of first sight among those with work: whoever has an address keeps it, over restarts too */
	struct remote *remote;

	/* roles towards us */
	bool is_root;       /* one of our configured roots */
	bool root_idle;     /* ... of a set, and no session with it is kept: federation.h */
	bool is_controller; /* pinned controller of a network of ours */
	const struct root_line *root_line;
	bool registered;                    /* at us, the root */
	uint32_t registered_epoch;          /* of its newest REGISTER */
	uint64_t restart_told_ms;           /* a root last said that it restarted */
	bool useful;                        /* at us, the root: was looked up, called or calls */
	struct circuit_pairs calls, called; /* at us, the root: its circuits, by end */
	unsigned n_calls;
	uint64_t incoming_bucket_ms; /* INCOMINGs sent to it */
	uint64_t refused;            /* its CONNECTs */
	uint64_t legs_used_ms;       /* a circuit that it relays for us, or we for it, last carried something: its session is in use */
	struct instance {            /* at us, the root: the runs it registered from, the newest first; 0 = none */
		uint64_t id;
		struct endpoint at;
	} instance[INSTANCES_MAX];
	struct endpoint clone_at;               /* where the other of two machines with that identity was seen */
	uint64_t clone_seen_ms;                 /* when two of them were proven last; 0 = never */
	uint16_t alt_port;                      /* a root's second UDP port, as it said; 0 = none */
	struct sight {                          /* a root: how it sees us (nat.c); [0] IPv4, [1] IPv6; family 0 = not known */
		struct endpoint seen[2], by[2]; /* where, by its port that we talk to; and which that is */
		struct endpoint alt[2];         /* where its second port sees us */
		struct nat_ask {
			uint64_t token;
			struct endpoint to;
			bool alt;
			uint8_t left; /* times it may still be asked */
		} ask[NAT_ASKS];
		uint64_t ask_ms, measured_ms;
	} sight;
	bool served; /* talks to our message port */
	bool pair_gate_set;
	uint8_t pair_gate[32]; /* see peer_pair_gate() */

	/* handshake: initiator.c, responder.c */
	struct session *current[CLASS_COUNT], *previous[CLASS_COUNT], *next[CLASS_COUNT][2];
	uint8_t next_newest[CLASS_COUNT];
	struct pending *pending[PENDING_MAX];
	unsigned pending_at;
	bool want[CLASS_COUNT];              /* a session is being set up or kept */
	uint64_t init_ms[CLASS_COUNT];       /* next INIT */
	uint64_t init_since_ms[CLASS_COUNT]; /* first of this attempt */
	uint8_t init_tries[CLASS_COUNT];
	uint8_t retries[CLASS_COUNT]; /* RETRYs followed since the last INIT of our own accord */
	uint8_t cookie[16];
	uint64_t cookie_until_ms;
	bool fresh_set;
	uint8_t fresh[16];
	bool ts_known;
	uint8_t last_ts[12];
	uint32_t epoch;                   /* newest confirmed of the peer */
	uint64_t init_bucket_ms;          /* responder: 2/s burst 5 */
	uint64_t confirm_ms[CLASS_COUNT]; /* next confirming PROBE; NEVER = none */
	struct waiting *wait_first, **wait_last;
	unsigned waiting;

	/* what a handshake said, applied on confirmation: chan.c */
	struct greeting *greeting[CLASS_COUNT][2];

	/* paths: path.c */
	struct path *path;   /* PATHS_MAX; of talk */
	int best;            /* index of the path in use, -1 none */
	uint64_t best_ms;    /* since when any is */
	struct probe *probe; /* PROBES_MAX; of talk */
	unsigned probe_at;
	uint32_t cands_gen, cands_seen;
	uint8_t nat; /* enum nat_mapping of the NAT before it, as it says */
	uint64_t cands_ms, cands_received_ms;
	uint64_t relayed_ms; /* since when the best way is a relay; 0 = it is not */
	unsigned probes_10s;
	uint64_t probes_since_ms;
	struct endpoint cached[PEER_ENDPOINTS]; /* from disk or handshakes, newest first */
	unsigned n_cached;
	struct peer_spray spray;
	struct peer_beacon beacon; /* beacon.c: the last it called out */
	/* Where it can be called, by its own record: federation.c. */
	unsigned n_located, locates, located_try;
	uint64_t located[CONTACT_HOMES_MAX]; /* addresses of roots */
	uint64_t located_seq, located_ms, locate_ms;
	unsigned relay_try; /* which root is asked next for a circuit */
	uint64_t hedge_ms;  /* circuit.c: another relay is asked as well, unless the first has answered; NEVER = no */
	uint64_t hedge_since_ms;
	enum session_class hedge_class;
	uint8_t hedges;             /* of this attempt */
	unsigned legs;              /* our circuits by this peer */
	uint64_t quiet_ms;          /* as a relay: did not answer then; older than what was heard since = it did */
	uint64_t by_root_ms, by_ms; /* since when the best way is by a root; when a member may be asked to relay instead */
	unsigned by_try;            /* which one is next */
	uint64_t renew_ms;          /* a new circuit was last asked for, in place of one whose keys are old */
	uint32_t keep_ms;           /* pause that mappings on the way are known to outlive; 0 = not used yet */
	uint64_t kept_ms;           /* last question asked for that reason */
	uint64_t standby_ms;        /* other ways were last asked */
	uint64_t used_ms;           /* last frame or request */
	uint64_t carried_ms;        /* last frame that control sent, or ping: with the workers' frames what keeps the paths warm */
	uint64_t looked_ms;         /* footprints were last looked at */
	uint8_t streaming;          /* looks in a row, at most 3, between which something had come */
	bool saved;                 /* state.c: in the file that is being written */
	uint64_t past_rx, past_tx;  /* bytes of sessions that ended */

	/* requests: request.c */
	uint32_t next_req;
	struct request *request[REQUESTS_MAX];
	struct answer *answer; /* ANSWERS_MAX; of talk */
	unsigned answer_at;
	uint64_t ctrl_bucket_ms;

	struct timer timer;
	uint64_t made_ms;
	char told[PATH_TEXT]; /* event.c: the path last told of; "" = down */
};

struct peers {
	struct peer **by_key, **by_address;
	size_t buckets, n;
	size_t sweep_at; /* next bucket that sweep.c looks at */
	uint64_t orders; /* given out so far */
};

int peers_init(struct peers *);
void peers_fini(struct peers *);
struct peer *peer_find(struct node *, const uint8_t key_hash[KEY_HASH_BYTES]);
/* A peer of that address whose work was verified here; the only global meaning an address has. */
struct peer *peer_find_address(struct node *, uint64_t address);
/* Finds or makes; identity is copied. NULL: no memory or above the limit. */
struct peer *peer_get(struct node *, const struct identity *);
void peer_set_work(struct peer *, uint64_t address); /* enters it in the table of addresses */
size_t peers_room(const struct node *);              /* how many there may be */
/* Frees a peer that nothing holds and that is not worth remembering; true if it did. */
bool peer_forget(struct peer *);
void peers_sweep(struct node *, uint64_t now); /* once a second */
void peers_each(struct node *, void (*each)(struct peer *, void *), void *);
void peer_free(struct peer *);
bool peer_talk(struct peer *);     /* makes room for it to be talked to; false: no memory */
void peer_schedule(struct peer *); /* after any change of a deadline */
/* The secret only we two can know without a word, from our static keys: the gate by which a root or a controller calls a node that
 * opens to nobody else (PROTOCOL.md, Gate keys). false: low-order key. */
bool peer_pair_gate(struct peer *);
bool peer_up(const struct peer *, enum session_class); /* a session that may send now */
/* The session to send control messages on: class asked for, NULL = none. */
struct session *peer_session(struct peer *, enum session_class);
/* Any session that may be used for control traffic of this peer, data class first. */
struct session *peer_any_session(struct peer *);
void peer_retire_session(struct peer *, struct session **slot); /* unfindable now, freed later */
/* Ends all sessions and forgets waiting frames (revocation). */
void peer_cut(struct peer *);
void peer_drop_waiting(struct peer *, enum drop why);
/* A session stands (either side); the last one of a class ended. peer_role.c tells who cares. */
void peer_session_up(struct peer *, struct session *, int path);
void peer_session_down(struct peer *, enum session_class);
void peer_remember_endpoint(struct peer *, const struct endpoint *);

#endif
