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
enum change_kind {
	CHANGE_NETWORK,
	CHANGE_MEMBER,
	CHANGE_LIVE,
	CHANGE_INVITE,
	CHANGE_AUDIT,
	CHANGE_ACCOUNT,
	CHANGE_TRAFFIC,
	CHANGE_WEBHOOK
}; /* LIVE: online, path, round trip */
#define CHANGE_KINDS (CHANGE_WEBHOOK + 1)
struct change {
	enum change_kind kind;
	bool gone;
	uint64_t nwid, address; /* 0 = none, or all of them */
};

struct hook_event;

struct controller_port {
	void *self;
	/* May be NULL. Must not call the controller. */
	void (*changed)(void *self, const struct change *);
	/* Queues one control message to that identity's session (req 0 with OP_REPLY clear = a request of ours that wants no
	 * answer handling; otherwise a reply). body is copied. false: no session with it. */
	bool (*send)(void *self, const uint8_t key_hash[KEY_HASH_BYTES], const struct message *);
	/* Writes the text of what a webhook is told of that event (controller/hook.h): false when there is no memory. NULL: there are
	 * no webhooks. Must not call the controller. */
	bool (*hook_body)(void *self, const struct hook_event *, char *ret, size_t room);
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
/* Where an identity is, as the controller's node reaches it (family 0 = by a relay), and how far (us; 0 = not known). */
void controller_path(struct controller *, const uint8_t key_hash[KEY_HASH_BYTES], const struct endpoint *physical, uint32_t rtt_us,
                     uint64_t now_ms, uint64_t wall_s);
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

/* How much it lets in. What is 0 stays as it was. */
#define PENDING_MOST 100000
#define JOINS_MOST   6000
struct controller_limits {
	uint32_t members; /* approved, per network: up to MEMBERS_MAX */
	uint32_t pending; /* who asks, per network, up to PENDING_MOST: then the one longest unseen goes */
	uint32_t joins;   /* of one stranger, per minute, up to JOINS_MOST; JOIN_BURST may come at once */
};
void controller_limits_set(struct controller *, const struct controller_limits *);

#include "controller/admin.h"

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
