/* net.h: a network this node joined: credential, HEAD, configuration, directory and channels (PROTOCOL.md, Networks).
 *
 * Control thread only. net.c joins, renews and keeps the device; config.c takes HEADs and fetches what they name; roster.c turns the
 * directory into members; channel.c opens channels and moves frames that waited. Workers see none of this but struct port and
 * struct member of view.h.
 */
#ifndef FARLAN_NODE_NET_H
#define FARLAN_NODE_NET_H

#include "node/fdb.h"
#include "node/group.h"
#include "node/local.h"
#include "node/loopguard.h"
#include "node/node.h"
#include "node/peer.h"
#include "node/report.h"
#include "proto/cred.h"
#include "proto/invite.h"
#include "tap/tap.h"

#define FETCH_WINDOW 32
#define NET_BLOBS    (SECTIONS_MAX + 2) /* manifest, revlist, sections */
#define ASK_AGAIN_MS 30000
#define ASK_FIRST_MS 500

/* What a link said (invite.c). */
struct invitation {
	bool key_set; /* not let in yet */
	struct invite_key key;
	unsigned n_roots;
	struct root_line root[INVITE_ROOTS_MAX];
};

/* Bytes we own, with their hash. */
struct blob {
	uint8_t hash[32];
	uint32_t len;
	uint8_t *bytes; /* NULL = not held */
};

struct net_member {
	struct member *member;        /* the workers' side */
	struct net_member *next_gone; /* roster.c, while it is taken out */
	bool going;
	struct peer *peer;
	bool listed; /* in the directory (else: only its credential spoke for it) */
	struct directory_entry entry;
	bool cred_ok;
	struct cred cred;
	uint64_t head_told; /* newest HEAD version sent to it */
	bool opening;       /* NET_OPEN under way */
	uint64_t open_ms;   /* not again before */
	struct group_member group;
};

/* Fetching what a newer HEAD names, from one peer. */
struct fetch {
	bool active;
	uint8_t head_env[HEAD_ENVELOPE_MAX];
	size_t head_len;
	struct head head;
	uint8_t source[KEY_HASH_BYTES];
	struct blob blob[NET_BLOBS]; /* [0] manifest, [1] revlist, then sections */
	uint32_t got[NET_BLOBS], asked[NET_BLOBS];
	unsigned n;
	struct blob spare[NET_BLOBS]; /* whole ones of the fetches that a newer HEAD ended: most of what they named is still named */
	unsigned n_spare;
	bool sections_known;
	unsigned in_flight;
	uint64_t since_ms;
};

struct net {
	struct node *node;
	unsigned chan; /* 1.. */
	uint64_t nwid;
	enum net_state state;
	char reason[160];

	bool pin_bits_set;
	uint8_t pin_bits[17];
	bool pinned;
	struct identity controller;
	struct peer *controller_peer;
	struct identity found; /* what a root said the controller is, until its work is verified */
	bool found_set, working;
	unsigned whois_sent, whois_heard;
	uint32_t whois_round;
	uint64_t whois_ms, ask_ms;     /* next try; NEVER = none */
	bool asking;                   /* a JOIN_REQ is on its way */
	uint64_t asked;                /* of the last join somebody typed; 0 = by a version that drew none */
	struct invitation *invitation; /* owned, invite.c: what a link said; NULL = joined without */
	bool proved;                   /* ... the last one with the proof of an invitation */
	bool overtaken;                /* and something was pushed meanwhile: its answer may be the older word */

	char dev_wanted[TAP_NAME_MAX], dev[TAP_NAME_MAX];
	struct port *port; /* made with the net; its tap when joined */
	bool device_up;
	uint32_t gso_max; /* as set on the device */

	bool cred_ok;
	struct cred cred;
	uint8_t cred_env[CRED_ENVELOPE_MAX];
	size_t cred_len;
	bool gate_set;
	uint8_t gate[32];

	bool floor_ok; /* newest HEAD verified, perhaps not fetched yet: nothing older counts, its issued_at is ctime */
	struct head floor;
	uint8_t floor_env[HEAD_ENVELOPE_MAX];
	size_t floor_len;
	uint64_t offline_s, heard_ms; /* own seconds since that HEAD: as loaded, and when this run began to count */
	bool head_ok;                 /* in force: its blobs are held */
	struct head head;
	uint8_t head_env[HEAD_ENVELOPE_MAX];
	size_t head_len;
	struct blob manifest_blob, revlist;
	struct revocation *revocation; /* of REVLIST and its shards: ascending key_hash */
	size_t n_revocations;
	struct manifest manifest;
	struct blob section[SECTIONS_MAX]; /* as in manifest */
	struct section_base base;
	struct route route[ROUTES_MAX];
	unsigned n_routes;
	struct section_dns dns;              /* n_servers 0 = none */
	struct prefix address[CRED_IPS_MAX]; /* as set on the device */
	unsigned n_addresses;
	bool ula_set;                       /* the derived IPv6 is on the device */
	struct route route_set[ROUTES_MAX]; /* as set on the device */
	unsigned n_routes_set;
	struct fetch fetch;
	uint16_t fetches;      /* tells the answers of one fetch from those of the last */
	uint64_t head_told_ms; /* last gossip */
	bool gossip;           /* some member has not been told the HEAD in force */
	uint64_t age_ms;       /* fdb aged */
	struct loopguard loop;
	_Atomic uint64_t loop_clears; /* bucket of emptying the fdb because others say so, ms */
	uint64_t offline_saved_ms;

	struct groups groups;
	struct report report;
	struct local local;
	struct net_member **member; /* ascending address */
	unsigned n_members, room_members;
	uint32_t generation;
	bool listed;        /* the directory in force names this node too: it is as new as our approval */
	uint64_t listed_ms; /* how long the device waits for that; 0 = not waiting */
	uint64_t save_ms;   /* NEVER = clean */
	struct timer timer;
};

/* net.c */
struct net *net_find(struct node *, uint64_t nwid);
struct net *net_new(struct node *, uint64_t nwid, const char *dev);
void net_free(struct net *);
void net_schedule(struct net *, uint64_t at);
void net_set_state(struct net *, enum net_state, const char *reason);
void net_join_res(struct peer *, const struct body_join_res *);    /* an answer */
void net_join_pushed(struct peer *, const struct body_join_res *); /* unasked */
void net_whois(struct node *, const struct identity *);            /* a root answered, or an identity's work was verified */
void net_work_bad(struct node *, const struct identity *);
void net_controller_up(struct peer *);
void net_apply_device(struct net *);  /* device, addresses, routes as credential and configuration say */
void net_device_missed(struct net *); /* the device that is up was not found: if somebody deleted it, it is made anew */
void net_save_soon(struct net *);
void net_root_up(struct node *); /* a root can be asked now */
void net_down(struct net *);     /* device and channels away, what is on disk stays */

/* config.c */
/* A HEAD from a peer (or the controller): true if it is in force already or is being fetched. */
bool config_head(struct net *, struct peer *from, const uint8_t *envelope, size_t len);
void config_fetch_tick(struct net *, uint64_t now);
void config_get_blob(struct peer *, enum session_class, uint32_t req, const uint8_t *body, size_t len); /* serve */
/* Puts in force what was read from disk: HEAD and its blobs, each checked again. Takes the blobs' bytes. */
bool config_restore(struct net *, const uint8_t *head, size_t len, struct blob *blobs, unsigned n);
void config_free(struct net *);
void config_ack(struct net *); /* tells the controller what is held */
/* Network time as far as this member knows it (PROTOCOL.md, Network time). */
uint64_t config_ctime(const struct net *);
/* Seconds this node has been running, over all its runs, since it heard a new HEAD. */
uint64_t config_offline_s(const struct net *);
/* Takes the newest HEAD known from disk. */
void config_floor_restore(struct net *, const uint8_t *envelope, size_t len);
uint64_t config_min_serial(const struct net *, const uint8_t key_hash[KEY_HASH_BYTES]);
void config_gossip(struct net *);
void config_fetch_end(struct net *);

/* directory.c: what stands in several sections of an edition; sections[] as in the manifest */
/* Are all its members where they belong, and not more than may be? */
bool directory_valid(const struct manifest *, const struct blob *sections);
/* Everybody, ascending by address; to be freed. NULL: no memory, or a section does not parse. */
struct directory_entry *directory_read(const struct manifest *, const struct blob *sections, size_t *ret_n);
/* All revocations of REVLIST and its shards, ascending by key_hash, one for each; to be freed. NULL: as above. */
struct revocation *revocations_read(const struct blob *revlist, const struct manifest *, const struct blob *sections, size_t *ret_n);

/* roster.c */
struct net_member *roster_member(struct net *, uint64_t address, const uint8_t key_hash[KEY_HASH_BYTES]);
struct net_member *roster_address(const struct net *, uint64_t address);
struct net_member *roster_get(struct net *, struct peer *, uint64_t address); /* finds or makes (not listed) */
void roster_apply(struct net *);                                              /* the directory section changed */
void roster_publish(struct net *);
void roster_rights(struct net *, struct net_member *,
                   uint32_t flags);   /* MEMBER_* that count now; no bridge any more: its MACs are forgotten */
void neighbour_publish(struct net *); /* after a change of members, their addresses or credentials, or of our own */
void roster_free(struct net *);

/* rights.c */
void rights_member(struct net *, struct net_member *); /* its credential was taken */
void rights_listed(struct net *, struct net_member *); /* the directory names it; its credential counts more */
void rights_retire(struct net *, struct member *);     /* before it is freed */
void rights_publish(struct net *);                     /* after a change of the configuration or of our own credential */

/* channel.c */
/* Takes the credential of a peer for a network; true if valid now. */
bool channel_cred(struct net *, struct peer *, const uint8_t *envelope, size_t len);
void channel_open(struct net *, struct net_member *); /* send NET_OPEN unless open */
void channel_close(struct net *, struct net_member *, bool tell);
void channel_net_open(struct peer *, uint32_t req, const uint8_t *body, size_t len);
void channel_net_close(struct peer *, const uint8_t *body, size_t len);
void channel_cred_in(struct peer *, uint32_t req, const uint8_t *body, size_t len);
void channel_push_cred(struct net *);
void channel_recheck(struct net *); /* after a new HEAD: every channel against REVLIST and ctime */
void channel_flush(struct peer *);  /* frames that waited */
void channel_wait_tick(struct peer *, uint64_t now);
void channel_frame_to(struct net *, struct net_member *, const uint8_t *frame, uint32_t len); /* now, or as soon as it can be sent to */
void channel_frame_in(struct node *, const struct letter *);
void channel_frame_out(struct node *, const struct letter *);
void channel_flood_out(struct node *, const struct letter *);
void channel_peer_restarted(struct peer *); /* its handles are void */
void channel_session_up(struct peer *);
/* What an INIT or RESP says about networks: writer side for a peer, reader side kept until the session is confirmed. */
struct greeting {
	unsigned n;
	struct {
		uint64_t nwid;
		uint16_t chan;
	} offer[8];
	uint64_t nwid; /* the credential's */
	size_t cred_len;
	uint8_t cred[CRED_ENVELOPE_MAX];
};
size_t channel_greet(struct peer *, uint8_t *tlvs, size_t room, bool with_cred);
/* Reads TLVs: true if some credential in them is valid for a network of ours (its holder may talk to us). */
bool channel_greeted(struct node *, const struct identity *, const uint8_t *tlvs, size_t len, struct greeting *ret);
void channel_apply_greeting(struct peer *, const struct greeting *);
/* watch.c */
void watch_tick(struct net *);
void watch_free(struct net *);
/* The network we share with a peer, for its gate. NULL = none. */
struct net *channel_shared(struct peer *);

#endif
