/* invite.h: invitations: keys that let in who proves to hold one, as the admin sees them.
 *
 * Control thread. The controller knows the public half of a key; the key itself leaves controller_invite_create() once and is nowhere else.
 * Lifetimes are network time. An invitation that ended stays in the list until INVITES_MAX of its network push it out.
 */
#ifndef FARLAN_CONTROLLER_INVITE_H
#define FARLAN_CONTROLLER_INVITE_H

#include "controller/controller.h"
#include "proto/invite.h"

#define INVITES_MAX       1000 /* of a network */
#define INVITE_USES_MAX   1000000u
#define EPHEMERAL_MIN_S   10
#define INVITE_LIFE_MAX_S (100u * 365 * 86400)

enum invite_state { INVITE_OPEN, INVITE_SPENT, INVITE_EXPIRED, INVITE_REVOKED };
const char *invite_state_name(enum invite_state); /* "open" ... */

/* What an invitation says of who comes by it. */
struct invite_terms {
	char name[NAME_MAX_BYTES + 1];
	uint32_t uses; /* 0 = no limit */
	struct tags tags;
	uint32_t flags_on, flags_off;
	uint32_t ephemeral_s; /* a member goes when it was offline so long; 0 = never */
};

struct invite_row {
	uint64_t id, nwid;
	struct invite_terms terms;
	uint32_t uses_left; /* means nothing without a limit */
	uint64_t expires;   /* network time; 0 = never */
	uint64_t expires_in_s, expires_wall_s;
	enum invite_state state;
	char created_by[64];
	uint64_t created_wall_s, revision;
};

/* expires_in_s 0 = never. The key is the caller's to wipe. */
enum admin_status controller_invite_create(struct controller *, uint64_t nwid, const struct invite_terms *, uint64_t expires_in_s,
                                           struct invite_key *ret_key, struct invite_row *ret, struct admin_error *);
/* Who came by it stays. */
enum admin_status controller_invite_revoke(struct controller *, uint64_t nwid, uint64_t id, struct invite_row *ret, struct admin_error *);
enum admin_status controller_invite_get(struct controller *, uint64_t nwid, uint64_t id, struct invite_row *ret, struct admin_error *);
/* Newest first. */
enum admin_status controller_invite_each(struct controller *, uint64_t nwid, void (*each)(void *, const struct invite_row *), void *,
                                         struct admin_error *);

/* ---- within the controller */

struct body_join_req;
/* Takes one use for who proves to hold its key, in the turn's transaction; costs a verification. false: no such invitation, none left,
 * no proof: as if there had been none. */
bool invite_spend(struct controller *, const struct body_join_req *, const uint8_t key_hash[KEY_HASH_BYTES], const uint8_t *exporter,
                  struct invite_row *ret);
/* Gives it back: nobody came in by it after all. */
int invite_unspend(struct controller *, const struct invite_row *);
struct member_record;
void invite_grant(const struct invite_row *, struct member_record *);               /* what it says of who comes by it */
int invite_spent(struct controller *, const struct invite_row *, uint64_t address); /* that one came in by it: for the audit */

/* A member's session came up or went down; only the ephemeral ones matter here. */
void invite_online(struct controller *, const struct member_record *, bool online);
/* The admin let it in again or said anew how long it may be away: from now on. 0 or -errno. */
int invite_watch(struct controller *, const struct member_record *);
void invites_open(struct controller *); /* once, before the first turn */
void invites_tick(struct controller *); /* what ran out, in the turn's transaction */
uint64_t invites_next(const struct controller *);

#endif
