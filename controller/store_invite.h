/* store_invite.h: rows of invitations, and what a member's row knows of the one it came by. As store.h says of rows.
 */
#ifndef FARLAN_CONTROLLER_STORE_INVITE_H
#define FARLAN_CONTROLLER_STORE_INVITE_H

#include "controller/invite.h"
#include "controller/store.h"

int store_invite_insert(struct store *, const struct invite_row *, const uint8_t public[32]);
/* public may be NULL. -ENOENT. */
int store_invite_get(struct store *, uint64_t nwid, uint64_t id, struct invite_row *ret, uint8_t *ret_public);
int store_invite_each(struct store *, uint64_t nwid, void (*each)(void *, const struct invite_row *), void *);
int store_invite_count(struct store *, uint64_t nwid, uint32_t *ret);
int store_invite_end(struct store *, uint64_t id, enum invite_state);
/* The oldest of those that ended; *ret_gone = whether there was one. */
int store_invite_evict(struct store *, uint64_t nwid, bool *ret_gone);
/* One use less, if there is one at that network time; *ret_taken says so. */
int store_invite_take(struct store *, uint64_t nwid, uint64_t id, uint64_t now, bool *ret_taken);
int store_invite_give(struct store *, uint64_t id);

struct invite_due {
	uint64_t id, nwid;
};
/* Open ones whose time is over, at most max; and when the next one's is (UINT64_MAX = none). */
int store_invite_expired(struct store *, uint64_t now, struct invite_due *ret, unsigned max, unsigned *ret_n, uint64_t *ret_next);

/* ---- members that came by one; member: row id */
/* away: network time since when an ephemeral one is offline; 0 = it is online. Who is away already stays so since then. */
int store_member_away(struct store *, uint64_t member, uint64_t away);
int store_members_away(struct store *, uint64_t away); /* all ephemeral ones that were online */
/* Ephemeral ones that are not away, ascending id, from behind after. */
int store_members_here(struct store *, uint64_t after, uint64_t *ret, unsigned max, unsigned *ret_n);
/* Row ids of those offline for too long, at most max; and when the next one is. */
int store_members_gone(struct store *, uint64_t now, uint64_t *ret, unsigned max, unsigned *ret_n, uint64_t *ret_next);

#endif
