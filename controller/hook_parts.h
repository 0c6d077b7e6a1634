/* hook_parts.h: what hook.c, hook_queue.c and hook_live.c share; nobody else includes it. Control thread.
 */
#ifndef FARLAN_CONTROLLER_HOOK_PARTS_H
#define FARLAN_CONTROLLER_HOOK_PARTS_H

#include "controller/hook.h"
#include "controller/state.h"
#include "controller/store_hook.h"

struct waiting { /* a delivery that is not over */
	uint64_t seq, nwid, due_ms;
	bool head; /* the first of its network */
	bool sending;
};

struct hook {
	struct hook_record kept;
	struct waiting *waiting; /* owned; ascending by seq */
	unsigned n, room, sending;
};

struct live { /* of one member; in the list of its bucket, or of the free ones */
	uint64_t nwid, address;
	uint8_t key_hash[KEY_HASH_BYTES];
	uint64_t due, latest;  /* ms: looked at, and at the latest whatever it does meanwhile */
	enum report_kind link; /* as told, or before it changed */
	uint16_t next;         /* one more than the index; 0 = none */
	bool used, online;
};
#define LIVE_BUCKETS 1024
struct lives {
	struct live at[HOOK_LIVE_MAX];
	uint16_t bucket[LIVE_BUCKETS], free;
	uint64_t next; /* ms: somebody is due; NEVER = nobody there */
};

struct hooks {
	struct hook list[HOOKS_MAX];
	unsigned n, turn; /* turn: who is asked first for what is due */
	bool doubt;       /* a rollback could not be followed: not as the database says */
	uint64_t retry_ms[HOOK_RETRIES];
	uint64_t purged_ms, told_ms;
	bool news; /* for those who watch, once a second */
	struct hook_figures figures;
	struct lives *lives; /* owned; NULL until somebody asks for them */
	char body[HOOK_BODY_MAX + 1];
};

struct hook *hook_find(struct hooks *, uint64_t id);                     /* NULL = none */
bool hook_takes(const struct hook *, const char *event, uint64_t nwid);  /* is it told of that? */
bool hooks_take(const struct hooks *, const char *event, uint64_t nwid); /* is any? */
/* Into one hook's queue; body as by hook_body(). 0 or -errno, which breaks the transaction. */
int hook_enqueue(struct controller *, struct hook *, uint64_t id, const char *event, uint64_t nwid);
/* The body of an event in hooks->body; *ret_id is the event's. 0 or -ENOMEM. */
int hook_body(struct controller *, const char *event, uint64_t nwid, uint64_t address, const struct member_record *, const char *detail,
              uint64_t *ret_id);
/* The note of what was lost, once there is room for it. */
int hook_room(struct controller *, struct hook *);
/* An admin sends it again: due at once, in its old place. */
int hook_again(struct controller *, struct hook *, uint64_t seq, uint64_t nwid);
/* All that waits is due now: who switched it on has mended the receiver. 0 or -errno. */
int hook_hurry(struct controller *, struct hook *);
bool hook_due_ms(struct controller *, uint64_t hook, uint64_t seq, uint64_t *ret); /* false: it does not wait */
static inline enum hook_state hook_state(const struct hook *h)
{
	return !h->kept.row.settings.enabled ? HOOK_OFF : h->kept.suspended ? HOOK_SUSPENDED : h->kept.failing ? HOOK_FAILING : HOOK_OK;
}
void lives_tick(struct controller *);

#endif
