/* edit.h: an edit of a member between being asked for and being committed: for member_edit.c and what edits without an admin.
 *
 * Control thread. An edit judges, then writes into the turn's transaction, then notes what follows; effects_run() comes after the
 * commit.
 */
#ifndef FARLAN_CONTROLLER_EDIT_H
#define FARLAN_CONTROLLER_EDIT_H

#include "controller/audit.h"
#include "controller/state.h"
#include "controller/tag.h"

#define EFFECT_SILENT (-1)

struct effect {
	uint64_t nwid, address;
	uint8_t key_hash[KEY_HASH_BYTES];
	bool gone, out; /* the row; its membership */
	int answer;     /* enum join_status that the member is told, or EFFECT_SILENT */
};
struct effects {
	struct effect *at; /* owned */
	size_t n, room;
};
int effect_note(struct effects *, const struct member_record *, bool gone, int answer); /* 0 or -ENOMEM */
void effects_run(struct controller *, const struct effects *);
void effects_fini(struct effects *);

struct edit {
	struct network_record network;
	struct publication *publication;
	struct member_record was, will;
	struct effects *fx; /* borrowed */
	int r;              /* what failed in writing */
};
enum admin_status edit_find(struct controller *, uint64_t nwid, uint64_t member, struct edit *, struct admin_error *);
/* The row leaves for that state; reason may be NULL. */
void edit_out(struct controller *, struct edit *, enum member_state, const char *reason, const char *action);
int edit_audit(struct controller *, const struct edit *, const char *action);
enum admin_status settings_judge(const struct member_settings *, struct admin_error *); /* what needs no row */
/* What is taken over as it stands: name, description, tags, rights. */
static inline void settings_put(const struct member_settings *s, struct member_record *m)
{
	if (s->set & SET_MEMBER_NAME)
		memcpy(m->name, s->name, sizeof(m->name));
	if (s->set & SET_MEMBER_DESCRIPTION)
		memcpy(m->description, s->description, sizeof(m->description));
	if (s->set & SET_MEMBER_TAGS)
		m->tags = s->tags;
	if (s->set & SET_MEMBER_AUTO_IP)
		m->auto_ip = s->auto_ip;
	if (s->set & SET_MEMBER_FLAGS)
		policy_flags_set(&m->flags_on, &m->flags_off, s->flags_on, s->flags_off);
}
enum admin_status settings_take(struct controller *, struct edit *, const struct member_settings *, struct admin_error *);

/* member_end.c: approvals and requests whose time is over, in the turn's transaction. */
void members_end(struct controller *, struct effects *);
uint64_t members_end_next(const struct controller *); /* ms */

#endif
