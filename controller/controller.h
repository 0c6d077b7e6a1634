/* controller.h: the network controller: requests of members in, signed documents out, and the admin's operations.
 *
 * One thread (the control thread). It knows neither sockets nor the node: requests come by controller_request(), answers
 * leave by the port it was opened with, and only from controller_settle(), which runs once per turn: commit, then sign,
 * then send. now is monotonic milliseconds; network time is derived from it, no wall clock enters a signed document
 * (wall_s is for display columns only).
 */
#ifndef FARLAN_CONTROLLER_CONTROLLER_H
#define FARLAN_CONTROLLER_CONTROLLER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/body.h"
#include "proto/cred.h"
#include "proto/ident.h"

struct controller;

/* What changed, for who shows it; told once a turn after the commit, each thing once. */
enum change_kind { CHANGE_NETWORK, CHANGE_MEMBER, CHANGE_LIVE, CHANGE_INVITE, CHANGE_AUDIT, CHANGE_ACCOUNT }; /* LIVE: online, path, round trip */
struct change {
	enum change_kind kind;
	bool gone;
	uint64_t nwid, address; /* 0 = none, or all of them */
};

struct controller_port {
	void *self;
	/* May be NULL. Must not call the controller. */
	void (*changed)(void *self, const struct change *);
	/* Queues one control message to that identity's session (req 0 with OP_REPLY clear = a request of ours that wants no
	 * answer handling; otherwise a reply). body is copied. false: no session with it. */
	bool (*send)(void *self, const uint8_t key_hash[KEY_HASH_BYTES], const struct message *);
};

/* dir holds controller.db, head.bak. *ret_why: a sentence with the mend on failure (damaged, newer, foreign database, ...).
 * 0 or -errno. ":memory:" style databases are for tests only. */
int controller_open(struct controller **ret, const char *dir, const struct secret *self, const struct controller_port *, uint64_t now_ms,
                    uint64_t wall_s, const char **ret_why);
void controller_close(struct controller *); /* settles first */

/* An authenticated control message of a member or a stranger with proven work: JOIN_REQ, GET_BLOB, ACK, LEAVE, SUB, GATHER, REPORT (and
 * HEAD requests). Anything else gets STATUS_UNKNOWN_OP. physical = where its packets come from (for the page). */
void controller_request(struct controller *, const struct identity *from, const struct endpoint *physical, const struct message *,
                        uint64_t now_ms, uint64_t wall_s);
/* The session with an identity came up or went down. */
void controller_online(struct controller *, const uint8_t key_hash[KEY_HASH_BYTES], bool online, uint64_t now_ms, uint64_t wall_s);
/* By which kind of path the controller's node reaches an identity, and how far it is (us; 0 = not known). */
void controller_path(struct controller *, const uint8_t key_hash[KEY_HASH_BYTES], enum report_kind, uint32_t rtt_us, uint64_t now_ms,
                     uint64_t wall_s);
/* End of a control turn. Returns the next deadline in ms of now (NEVER = none): hourly HEAD, time ceiling, coalesced pushes. */
uint64_t controller_settle(struct controller *, uint64_t now_ms, uint64_t wall_s);
/* The INIT gate of a network's members is no concern of the node; but the node asks whom to talk to at all: */
bool controller_knows(const struct controller *, const uint8_t key_hash[KEY_HASH_BYTES]); /* has a member row in any network */

/* ---- the admin's side: command line, API, page -------------------------------------------------------------- */

/* Who acts, for the audit: set before each call below. "socket:root", "user:anna", "token:ci"; from = where from. */
struct actor {
	char name[64];
	char from[64];
};
void controller_actor(struct controller *, const struct actor *);

enum admin_status {
	ADMIN_OK = 0,
	ADMIN_NOT_FOUND,   /* network or member unknown: exit 5 */
	ADMIN_CONFLICT,    /* address in use, name taken, pool exhausted: exit 8 */
	ADMIN_INVALID,     /* value out of range: exit 2 */
	ADMIN_UNAVAILABLE, /* disk full or read-only, database not trusted: TRY_LATER */
};
struct admin_error { /* filled when the status is not ADMIN_OK */
	char title[96];
	char detail[256];
	char hint[256];
};

enum member_state { MEMBER_PENDING, MEMBER_APPROVED, MEMBER_DENIED, MEMBER_REVOKED };
const char *member_state_name(enum member_state); /* "pending" ... */

#define STORM_FRAMES_MAX 1000000u
#define MCAST_KBIT_MAX   100000000u /* 100 Gbit/s */
#define MCAST_LIMIT_MAX  1000u
#define BRIDGE_MTU_MIN   1500  /* what every LAN behind a bridge sends */
struct network_limits {        /* 0 = none */
	uint32_t storm_frames; /* broadcast and unknown unicast of a sender, 1/s */
	uint32_t mcast_kbit;   /* multicast of a sender */
	uint32_t mcast_limit;  /* copies a sender makes itself before replicators take over */
};

struct network_row {
	uint64_t nwid;
	char name[NAME_MAX_BYTES + 1];
	uint16_t mtu;
	struct prefix pool; /* IPv4 pool; family 0 = none */
	uint32_t flags;     /* NETWORK_* */
	struct network_limits limits;
	uint64_t version, revision;
	uint32_t members, pending, online;
	uint64_t created_wall_s;
};

struct member_row {
	uint64_t nwid, address;
	uint8_t key_hash[KEY_HASH_BYTES];
	char name[NAME_MAX_BYTES + 1]; /* the admin's, or the hostname it asked with */
	char hostname[NAME_MAX_BYTES + 1], os[NAME_MAX_BYTES + 1], version[NAME_MAX_BYTES + 1];
	enum member_state state;
	bool online;
	struct prefix ips[CRED_IPS_MAX];
	unsigned n_ips;
	uint32_t flags; /* MEMBER_* effective */
	struct endpoint physical;
	uint64_t revision, first_seen_wall_s, last_seen_wall_s, serial;
};

struct network_settings { /* a bit in set says which fields count */
	enum {
		SET_NET_NAME = 1,
		SET_NET_MTU = 2,
		SET_NET_POOL = 4,
		SET_NET_FLAGS = 8,
		SET_NET_STORM = 16,
		SET_NET_MCAST_RATE = 32,
		SET_NET_MCAST_LIMIT = 64,
	} set;
	char name[NAME_MAX_BYTES + 1];
	uint16_t mtu;
	struct prefix pool;
	uint32_t flags_on, flags_off; /* NETWORK_* */
	struct network_limits limits;
};

struct member_settings {
	unsigned set; /* enum member_setting */
	char name[NAME_MAX_BYTES + 1];
	struct prefix ip;             /* replaces the IPv4 addresses; bits 0 = the pool's prefix */
	uint32_t flags_on, flags_off; /* any MEMBER_*; bridge implies dhcp-server and router unless set off */
};
enum member_setting { SET_MEMBER_NAME = 1, SET_MEMBER_IP = 2, SET_MEMBER_FLAGS = 4 };

enum admin_status controller_network_create(struct controller *, const struct network_settings *, uint64_t *ret_nwid, struct admin_error *);
enum admin_status controller_network_set(struct controller *, uint64_t nwid, const struct network_settings *, struct admin_error *);
enum admin_status controller_network_delete(struct controller *, uint64_t nwid, struct admin_error *);
enum admin_status controller_network_get(struct controller *, uint64_t nwid, struct network_row *ret, struct admin_error *);
enum admin_status controller_network_each(struct controller *, void (*each)(void *, const struct network_row *), void *,
                                          struct admin_error *);

/* member: an address; several rows with one address (a collision) make it ADMIN_CONFLICT with the key_hashes in detail. */
enum admin_status controller_member_approve(struct controller *, uint64_t nwid, uint64_t member, const struct member_settings *,
                                            struct admin_error *);
enum admin_status controller_member_deny(struct controller *, uint64_t nwid, uint64_t member, struct admin_error *);
enum admin_status controller_member_revoke(struct controller *, uint64_t nwid, uint64_t member, struct admin_error *);
enum admin_status controller_member_delete(struct controller *, uint64_t nwid, uint64_t member, struct admin_error *);
enum admin_status controller_member_set(struct controller *, uint64_t nwid, uint64_t member, const struct member_settings *,
                                        struct admin_error *);
enum admin_status controller_member_get(struct controller *, uint64_t nwid, uint64_t member, struct member_row *ret, struct admin_error *);
enum admin_status controller_member_each(struct controller *, uint64_t nwid, void (*each)(void *, const struct member_row *), void *,
                                         struct admin_error *);

/* Who reaches whom, as approved members and the controller's own node tell: each pair once. cut: there were more. */
#define TOPOLOGY_LINKS_MAX 65536
struct topology_link {
	uint64_t a, b; /* a < b; one of them may be the controller's own address */
	enum report_kind kind;
	uint32_t rtt_us, age_s; /* 0 = not known; since one of them heard the other */
};
enum admin_status controller_topology(struct controller *, uint64_t nwid, void (*each)(void *, const struct topology_link *), void *,
                                      bool *ret_cut, struct admin_error *);

/* For status: ok, or why it does not sign. */
const char *controller_health(const struct controller *);

#endif
