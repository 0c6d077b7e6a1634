/* state.h: what the files of the controller share; nobody outside includes it.
 *
 * The database is the truth; kept here is only what is signed or sent from it (publications), who is online (presences)
 * and what this turn will send (letters). Everything belongs to the control thread.
 */
#ifndef FARLAN_CONTROLLER_STATE_H
#define FARLAN_CONTROLLER_STATE_H

#include "controller/controller.h"
#include "controller/figures.h"
#include "controller/traffic.h"
#include "controller/directory.h"
#include "controller/invite.h"
#include "controller/policy.h"
#include "controller/store.h"
#include "proto/base/heap.h"

#define NETWORKS_MAX     1000
#define LETTERS_MAX      8192 /* per turn; requests above are not answered and come again */
#define PRESENCES_MAX    65536
#define PRESENCE_BUCKETS 4096
#define SERIAL_BLOCK     1000
#define CEILING_S        60
#define CEILING_EARLY_S  5 /* renewed this long before it is reached */
#define SOFT_TTL_S       (24 * 3600)
#define HARD_TTL_S       (7 * 24 * 3600)
#define HEAD_EVERY_MS    3600000
#define PUBLISH_EVERY_MS 250  /* a busy network: 4 HEADs per second */
#define PUBLISH_SLOW_MS  5000 /* ... and a large one that only grows, at least this often: */
#define PUBLISH_LARGE_MS 2000 /* its manifest takes a newcomer two round trips: and then there are shards to read */
#define PUBLISH_BYTES_MS 8000 /* what all its members together are to fetch on average, 64 Mbit/s */
#define PUBLISH_TURN_MAX 16   /* networks published per turn */
#define PUSH_CHUNK       250  /* HEADs pushed per network and */
#define PUSH_EVERY_MS    125  /* this time: 2000 per second */
#define RETRY_MS         1000 /* after a failed write */
#define PUSHES_MAX       4096 /* decisions whose members were not heard of them yet */
#define PUSH_AGAIN_MS    1000 /* after the first time, then twice as long each time */
#define PUSH_REPEATS_MAX 4
#define GROUPS_TTL_MS    (10 * 60 * 1000)
#define GROUPS_YOUNG_MS  20000           /* after a start: the members have not told it yet */
#define PENDING_FOR_S    (7 * 24 * 3600) /* a request nobody repeats is forgotten, network time */
#define END_TURN_MAX     64              /* approvals and requests that end in one turn */
#define SEEN_EVERY_S     60              /* last-seen times are written at most this often */
#define SILENT_MS        160000          /* two reports that did not come; one is due each 48 to 72 s */
#define SILENT_EVERY_MS  15000
#define KEY_NETWORKS_MAX 64 /* networks of one key that are told when it comes or goes */

enum blob_name {
	BLOB_MANIFEST,
	BLOB_BASE,
	BLOB_ROUTES,
	BLOB_DNS,
	BLOB_MEMBERS,
	BLOB_REVLIST,
	BLOB_MEMBERS_SHARD,
	BLOB_REVOKED_SHARD = BLOB_MEMBERS_SHARD + SHARDS,
	BLOB_COUNT = BLOB_REVOKED_SHARD + SHARDS
};

struct blob {
	uint8_t *bytes; /* owned; NULL = none */
	size_t len;
	uint8_t hash[32];
};

struct publication { /* of one network */
	uint64_t nwid;
	uint8_t gate[32];
	uint32_t flags;   /* NETWORK_*, as committed */
	uint64_t version; /* largest reserved; on disk once the turn is committed */
	uint64_t rev_epoch;
	uint64_t serial_next, serials; /* next to give; end of the reserved block */
	uint64_t signed_version;       /* largest that may have been signed */
	bool stale;                    /* the current HEAD no longer tells the truth (or there is none) */
	bool urgent;                   /* something was taken away */
	uint64_t soonest, earliest;    /* ms: not before, if it is urgent; if it is not */
	uint64_t hourly;               /* ms: at the latest */
	uint8_t head[HEAD_ENVELOPE_MAX];
	size_t head_len;                                 /* 0 = nothing published since start */
	struct blob now[BLOB_COUNT], before[BLOB_COUNT]; /* the last edition still serves who is in the middle of it */
	uint8_t (*listed)[KEY_HASH_BYTES];               /* owned: the members to push to */
	unsigned n_listed, push_at, push_left;
	uint64_t push_next; /* ms */
	struct directory directory;
	bool members_sharded, revoked_sharded;
	uint64_t rev_built;      /* rev_epoch of the revocations in now[] */
	struct prefix pool;      /* pool.c: below pool_from it has no free address */
	uint32_t pool_from;      /* 0 = not known */
	struct takers *takers;   /* owned, groups.c; NULL = none */
	struct reports *reports; /* owned, report.c; NULL = none */
	struct traffic *traffic; /* owned, traffic.c; NULL = none yet */
};

struct presence {
	struct presence *next; /* in its bucket */
	uint8_t key_hash[KEY_HASH_BYTES];
	bool online;
	bool reports, silent;                     /* it sent a REPORT; its session stands but nothing came for SILENT_MS */
	uint64_t heard;                           /* ms: its last message */
	enum report_kind link;                    /* how the controller reaches it; LINK_NONE = not known */
	uint32_t rtt_us;                          /* 0 = not known */
	uint64_t acknowledged, acknowledged_nwid; /* HEAD version it said it holds, and of which network */
	uint64_t asked, asked_nwid;               /* the number of its last join, and to which network */
	struct endpoint physical;
	uint64_t allowance; /* ms, policy.h */
	uint64_t wrote;     /* ms of the last row written at its asking; 0 = none */
};

struct push { /* push.c: a decision until its member is heard of it */
	uint8_t key_hash[KEY_HASH_BYTES];
	uint64_t nwid;
	uint64_t next;  /* ms: told again */
	uint64_t since; /* ms: decided */
	uint8_t answer, repeated;
};

struct letter {
	uint8_t key_hash[KEY_HASH_BYTES];
	uint32_t req;
	uint8_t op, status;
	bool join;        /* a JOIN_RES made when it is sent: body is not used */
	bool conditional; /* TRY_LATER if the turn cannot be committed */
	uint8_t answer;   /* enum join_status */
	uint64_t nwid;
	uint8_t *body;
	size_t len;
};

#define CHANGES_MAX 1024 /* of a turn; more become one change of everything */

struct controller {
	struct secret self;
	struct controller_port port;
	struct actor actor;
	struct controller_limits limits;
	uint64_t ends_next;   /* network time at which an approval or a request ends; 0 = none */
	bool ends_known;      /* else it has to be looked up */
	uint64_t invites_due; /* network time at which an invitation ends or an ephemeral member goes; 0 = look, UINT64_MAX = none */
	bool left_lost;       /* a turn was undone in which an ephemeral member may have left */
	struct change changes[CHANGES_MAX];
	unsigned n_changes;
	bool changes_all; /* there were more: one of each kind, of everything */
	struct store *store;
	char *dir; /* NULL = in memory */
	uint64_t now_ms, wall_s, opened_ms;
	uint64_t time_base, time_start_ms, ceiling; /* network time at time_start_ms; nothing is signed beyond ceiling */
	bool trusted;                               /* the database is not older than head.bak */
	uint64_t retry_at;                          /* ms: no periodic write before; 0 = the last one went well */
	char health[256];
	struct publication *publications[NETWORKS_MAX];
	unsigned n_publications;
	struct letter *letters;
	unsigned n_letters, letters_room;
	struct push *pushes; /* owned */
	unsigned n_pushes, pushes_room;
	struct push_figures push_figures;
	struct presence *presences[PRESENCE_BUCKETS];
	uint64_t silent_next; /* ms: looked for those who are silent */
	unsigned n_presences;
	struct accounts *accounts; /* owned, account.c */
	struct hooks *hooks;       /* owned, hook_queue.c */
	size_t reports_bytes;      /* of all networks */
	uint64_t reports_swept;
	unsigned n_carried; /* members in memory, of all networks: traffic.c */
	uint64_t traffic_due, traffic_pruned;
	bool traffic_failing;
	struct traffic_figures traffic_figures;
};

/* controller.c */
uint64_t network_time(const struct controller *);
void clock_advance(struct controller *, uint64_t now_ms, uint64_t wall_s);
int turn_commit(struct controller *);        /* on failure the turn's conditional letters become TRY_LATER */
void turn_abort(struct controller *, int r); /* the same by hand */
void turn_recovered(struct controller *);    /* what is written reaches the disk (again) */

/* publication.c */
struct publication *publication_find(const struct controller *, uint64_t nwid);
struct publication *publication_add(struct controller *, const struct network_record *); /* NULL = no room */
void publication_remove(struct controller *, uint64_t nwid);
void publication_free(struct publication *);
/* Within the turn's transaction: the network's documents change, and perhaps its revocations. 0 or -errno. */
int publication_touch(struct controller *, struct publication *, bool revocations);
int publication_serial(struct controller *, struct publication *, uint64_t *ret);
void publications_reload(struct controller *);      /* after a rollback */
void publications_refresh(struct controller *);     /* their directories, after a commit */
unsigned publications_prepare(struct controller *); /* reserves versions; number of those due */
void publications_issue(struct controller *);       /* signs and adopts what is due and committed */
void publications_push(struct controller *);
uint64_t publications_next(const struct controller *);
const struct blob *publication_blob(const struct publication *, const uint8_t hash[32]);
void publication_push_one(struct controller *, struct publication *, const uint8_t key_hash[KEY_HASH_BYTES]);
/* MEMBERCONF of an approved member, signed now; 0 = nothing published yet. */
size_t publication_memberconf(struct controller *, struct publication *, const struct member_record *, uint8_t *out, size_t room);

/* pool.c */
/* An address of the pool and its ranges for a new member: the lowest that nobody holds or held lately, else the one freed longest ago. 0,
 * -EADDRNOTAVAIL or -errno. */
int pool_give(struct controller *, struct publication *, const struct network_record *, uint8_t ret[4]);
/* All leases, and what waits for somebody as if it were one; by address, some maybe twice; malloc'd. 0 or -errno. */
int pool_held(struct controller *, uint64_t nwid, struct lease **ret, size_t *ret_n);
void pool_doubt(struct publication *); /* after a rollback, and with other ranges */

/* letter.c */
bool letter_plain(struct controller *, const uint8_t key_hash[KEY_HASH_BYTES], uint32_t req, uint8_t op, uint8_t status,
                  const uint8_t *body, size_t len);
bool letter_join(struct controller *, const uint8_t key_hash[KEY_HASH_BYTES], uint32_t req, uint64_t nwid, enum join_status,
                 bool conditional);
void letters_settle(struct controller *, bool committed); /* what becomes of the conditional ones */
void letters_send(struct controller *);

/* push.c */
/* Tells a member the admin's decision, if it is online, and again until it is heard of it. */
void push_decision(struct controller *, const uint8_t key_hash[KEY_HASH_BYTES], uint64_t nwid, enum join_status);
void push_asked(struct controller *, const uint8_t key_hash[KEY_HASH_BYTES], uint64_t nwid); /* its JOIN_REQ is answered */
void push_acknowledged(struct controller *, const uint8_t key_hash[KEY_HASH_BYTES], const struct body_ack *);
void pushes_forget(struct controller *, const uint8_t key_hash[KEY_HASH_BYTES]); /* it is offline */
void pushes_repeat(struct controller *);
uint64_t pushes_next(const struct controller *);
void push_measured(struct controller *, uint64_t took_ms); /* figures.c */

/* change.c */
void change_note(struct controller *, enum change_kind, uint64_t nwid, uint64_t address, bool gone);
void changes_emit(struct controller *); /* after the commit */

/* groups.c */
/* SUB and GATHER of an authenticated identity: what is answered. *ret_len only with STATUS_OK. */
enum status groups_sub(struct controller *, const struct identity *from, const uint8_t *body, size_t len);
enum status groups_gather(struct controller *, const struct identity *from, const uint8_t *body, size_t len, uint8_t *out, size_t room,
                          size_t *ret_len);
void groups_forget(struct publication *, uint64_t address); /* it is no member any more */
void groups_free(struct publication *);

/* report.c */
enum status report_take(struct controller *, const struct identity *from, const uint8_t *body, size_t len);
bool rtt_moved(uint32_t was_us, uint32_t is_us); /* is the round trip another one, for whoever watches? */
/* Each link told by a member, a = who told it; not the stale ones. */
void reports_each(const struct controller *, const struct publication *,
                  void (*each)(void *, const uint8_t key_hash[KEY_HASH_BYTES], const struct topology_link *), void *);
void reports_free(struct controller *, struct publication *); /* controller NULL: it ends, nobody counts any more */

/* traffic.c: what an approved member of it carried; bits/s of its last minute, key_hash NULL: of all. false: nothing is known */
void traffic_take(struct controller *, struct publication *, const struct identity *from, const struct body_report *);
bool traffic_rate(const struct controller *, const struct publication *, const uint8_t *key_hash, uint64_t *ret_rx, uint64_t *ret_tx);
void traffic_free(struct controller *, struct publication *); /* controller NULL: it ends */
void traffic_settle(struct controller *);                     /* after the turn: writes, sometimes */
void traffic_close(struct controller *);

/* presence.c */
struct presence *presence_find(const struct controller *, const uint8_t key_hash[KEY_HASH_BYTES]);
struct presence *presence_note(struct controller *, const uint8_t key_hash[KEY_HASH_BYTES]); /* NULL = full */
/* Something came from it: who was silent is back. */
void presence_heard(struct controller *, struct presence *, uint8_t op);
/* Who reports and does so no more is gone, whatever its session says: that would be kept for an hour. */
void presences_silent(struct controller *);
void presences_free(struct controller *);

/* account.c */
int accounts_load(struct controller *); /* the sessions */
void accounts_free(struct controller *);

/* watermark.c: head.bak */
int watermark_check(struct controller *, const char **ret_why); /* sets trusted */
int watermark_write(struct controller *);

/* member_list.c */
void member_show(const struct controller *, const struct member_record *, struct member_row *ret);

/* member.c */
/* Gives an approved row what it needs (an address of the pool if it has none) and writes it, all in the turn's
 * transaction. -EADDRNOTAVAIL: the pool is exhausted, nothing written. */
int member_admit(struct controller *, struct publication *, const struct network_record *, const struct member_record *was,
                 struct member_record *);
bool member_approved(struct controller *, uint64_t nwid, const uint8_t key_hash[KEY_HASH_BYTES]);
/* Does the pool give it an address by itself? */
bool member_served(const struct network_record *, const struct member_record *);
/* Writes a changed row: a new serial whenever its credential changes, a revocation whenever something is taken away. */
int member_write(struct controller *, struct publication *, const struct member_record *was, struct member_record *);

/* preapproval.c: what the admin said beforehand of who asks now; and, once it is in, no more need for it: 0 or -errno. */
void preapproval_grant(struct controller *, const struct network_record *, const struct preapproval_row *, struct member_record *);
int preapproval_spent(struct controller *, const struct preapproval_row *);

/* network.c */
void admin_error_set(struct admin_error *, const char *title, const char *hint, const char *detail, ...)
    __attribute__((format(printf, 4, 5)));
/* The head of every edit: ADMIN_OK, or why it cannot be. */
enum admin_status admin_begin(struct controller *, struct admin_error *);
enum admin_status admin_unavailable(struct controller *, struct admin_error *, int failed);
enum admin_status admin_commit(struct controller *, int failed, struct admin_error *);
enum admin_status admin_network(struct controller *, uint64_t nwid, struct network_record *ret, struct publication **ret_publication,
                                struct admin_error *);

/* network_settings.c */
enum admin_status network_take(struct controller *, const struct network_settings *, struct network_record *, struct admin_error *);
int network_audit(struct controller *, const struct network_record *was, const struct network_record *now, const char *action);

#endif
