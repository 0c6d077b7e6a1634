/* audit.h: who did what, in a chain that shows when something was changed in it or taken out of it.
 *
 * Control thread. Entries belong to the turn's transaction: an edit and its entry are both there or neither.
 */
#ifndef FARLAN_CONTROLLER_AUDIT_H
#define FARLAN_CONTROLLER_AUDIT_H

#include "controller/controller.h"

#define AUDIT_DETAIL_MAX 2048
#define AUDIT_ACTION_MAX 48
#define AUDIT_HASH_BYTES 32

/* action: dotted, such as "member.approve". nwid, member: 0 = none. detail: the text of a JSON object, or NULL.
 * The actor is the controller's. 0 or -errno, which breaks the transaction. */
int audit_note(struct controller *, const char *action, uint64_t nwid, uint64_t member, const char *detail);
/* Of a member whose row is at hand, perhaps the last time. */
struct member_record;
int audit_note_member(struct controller *, const char *action, const struct member_record *, const char *detail);

/* An act that changes nothing here, such as a backup: its entry alone, committed. */
enum admin_status controller_act(struct controller *, const char *action, const char *detail, struct admin_error *);

/* What an act was about, as JSON: begin zeroed, add, give audit_detail_end() to audit_note(). Values are escaped, whatever bytes
 * they are; what does not fit any more is left out and the object says "cut": true. */
struct audit_detail {
	char text[AUDIT_DETAIL_MAX];
	size_t len;
	bool cut;
};
void audit_detail_text(struct audit_detail *, const char *name, const char *value);
void audit_detail_count(struct audit_detail *, const char *name, uint64_t value);
/* {"name": {"was": ..., "now": ...}}; nothing when both are the same. NULL = null. */
void audit_detail_change(struct audit_detail *, const char *name, const char *was, const char *now);
void audit_detail_change_count(struct audit_detail *, const char *name, uint64_t was, uint64_t now);
const char *audit_detail_end(struct audit_detail *); /* NULL when nothing was added; borrowed from the struct */

/* ---- reading */

struct audit_entry {
	uint64_t seq, wall_s, time; /* time: network time, seconds */
	struct actor actor;
	char action[AUDIT_ACTION_MAX];
	uint64_t nwid, member;
	char detail[AUDIT_DETAIL_MAX]; /* "" = none */
	uint8_t hash[AUDIT_HASH_BYTES];
};

struct audit_query {
	uint64_t nwid, member;         /* 0 = any */
	char actor[64];                /* "" = any */
	char action[AUDIT_ACTION_MAX]; /* "" = any; "member" is all of "member.*", what has a dot is one action */
	uint64_t before;               /* entries older than that one; 0 = from the newest */
	uint64_t limit;
};

/* Newest first. *ret_total: all that match, whatever the page. */
enum admin_status controller_audit_each(struct controller *, const struct audit_query *, void (*each)(void *, const struct audit_entry *),
                                        void *, uint64_t *ret_total, struct admin_error *);

struct audit_verdict {
	uint64_t entries, broken_at; /* broken_at 0 = whole; else the number of the first that does not fit */
	bool found;                  /* the head sought stands in the chain */
	uint8_t head[AUDIT_HASH_BYTES];
};

#endif
