/* hook.h: webhooks: who is told what, and the outbox of what was not told yet.
 *
 * Control thread. What the audit notes, and how members come and go, becomes a delivery in the same transaction, one for each hook
 * that asked for it: an act and its deliveries are both there or neither. Sending is the business of somebody above, who takes what
 * is due and says what came of it. Of one hook and network the next delivery is due when the one before is over. Everything is
 * bounded: hooks, deliveries that wait, the log of those that are over. Secrets leave by controller_hook_create(),
 * controller_hook_secret() and hook_due only.
 */
#ifndef FARLAN_CONTROLLER_HOOK_H
#define FARLAN_CONTROLLER_HOOK_H

#include "controller/audit.h"

#define HOOKS_MAX          20
#define HOOK_NAME_MAX      48
#define HOOK_URL_MAX       1024
#define HOOK_SECRET_MIN    16
#define HOOK_SECRET_MAX    64
#define HOOK_EVENTS_MAX    32 /* patterns of one hook */
#define HOOK_NETWORKS_MAX  32
#define HOOK_WAITING_MAX   1000 /* of one hook; what comes then is counted and lost */
#define HOOK_ROOM_AGAIN    900  /* fewer than these wait: the loss is told */
#define HOOK_LOG_MAX       500  /* deliveries of one hook that are over */
#define HOOK_LOG_S         (7 * 86400ull)
#define HOOK_BODY_MAX      (16 * 1024)
#define HOOK_ERROR_MAX     160
#define HOOK_RETRIES       8
#define HOOK_PACE          1000, 5000, 30000, 120000, 600000, 3600000, 3 * 3600000, 8 * 3600000 /* ms, each 20 % up or down */
#define HOOK_RETRY_AFTER_S 3600           /* as long as that a receiver may make us wait */
#define HOOK_SUSPEND_S     (3 * 86400ull) /* it failed all the time: nobody is there */
#define HOOK_LIVE_MAX      4096           /* members that come, go or turn, not told yet */
#define HOOK_LIVE_MS       5000           /* how long it must last to be told */
#define HOOK_LIVE_MOST_MS  60000          /* ... and whoever flaps is looked at after that */
#define HOOK_LIVE_QUIET_MS 30000          /* one member is told of this often */
#define HOOK_YOUNG_MS      90000          /* after a start members come back who never went */

struct hook_settings { /* a bit in set says which fields count */
	enum {
		SET_HOOK_NAME = 1,
		SET_HOOK_URL = 2,
		SET_HOOK_EVENTS = 4,
		SET_HOOK_NETWORKS = 8,
		SET_HOOK_ENABLED = 16,
		SET_HOOK_PRIVATE = 32,
		SET_HOOK_SECRET = 64, /* of a new one */
	} set;
	char name[HOOK_NAME_MAX + 1];
	char url[HOOK_URL_MAX + 1];
	char events[HOOK_EVENTS_MAX][AUDIT_ACTION_MAX]; /* "*", "member.*", "network.set" */
	unsigned n_events;
	uint64_t networks[HOOK_NETWORKS_MAX];
	unsigned n_networks; /* 0 = all, and what is of no network */
	bool enabled, allow_private;
	char secret[HOOK_SECRET_MAX + 1];
};

enum hook_state { HOOK_OK, HOOK_FAILING, HOOK_OFF, HOOK_SUSPENDED };
#define HOOK_STATES (HOOK_SUSPENDED + 1)
const char *hook_state_name(enum hook_state);

struct hook_row {
	uint64_t id;
	struct hook_settings settings; /* without the secret */
	enum hook_state state;
	uint64_t created_wall_s, revision;
	char creator[64];
	uint64_t dropped;
	uint32_t waiting;
	uint64_t failing_wall_s; /* 0 = it does not */
	uint64_t last_wall_s;    /* of the last attempt; 0 = none */
	unsigned last_status;    /* 0 = no answer */
	char last_error[HOOK_ERROR_MAX];
};

enum admin_status controller_hook_create(struct controller *, const struct hook_settings *, uint64_t *ret_id,
                                         char ret_secret[HOOK_SECRET_MAX + 1], struct admin_error *);
enum admin_status controller_hook_set(struct controller *, uint64_t id, const struct hook_settings *, struct admin_error *);
enum admin_status controller_hook_delete(struct controller *, uint64_t id, struct admin_error *);
enum admin_status controller_hook_secret(struct controller *, uint64_t id, char ret[HOOK_SECRET_MAX + 1], struct admin_error *);
enum admin_status controller_hook_get(struct controller *, uint64_t id, struct hook_row *ret, struct admin_error *);
void controller_hook_each(struct controller *, void (*each)(void *, const struct hook_row *), void *);

/* ---- deliveries */

enum delivery_state { DELIVERY_WAITING, DELIVERY_DELIVERED, DELIVERY_FAILED, DELIVERY_STATES };
const char *delivery_state_name(enum delivery_state);

struct delivery_row {
	uint64_t seq; /* of all deliveries, ascending: the order of one network */
	uint64_t id;  /* of the event: the same for each hook */
	uint64_t hook, nwid;
	char event[AUDIT_ACTION_MAX];
	uint64_t created_wall_s;
	uint32_t attempts;
	enum delivery_state state;
	uint64_t next_wall_s; /* 0 = over, or not to be said */
	unsigned status;      /* 0 = no answer */
	char error[HOOK_ERROR_MAX];
	uint32_t ms; /* the last attempt took; 0 = none */
	const char *body;
};
/* Newest first. states: 1 << enum delivery_state, 0 = all; before: seq, 0 = from the newest. *ret_total: whatever the page. */
enum admin_status controller_delivery_each(struct controller *, uint64_t hook, unsigned states, uint64_t before, uint32_t limit,
                                           void (*each)(void *, const struct delivery_row *), void *, uint64_t *ret_total,
                                           struct admin_error *);
enum admin_status controller_delivery_get(struct controller *, uint64_t hook, uint64_t id,
                                          void (*each)(void *, const struct delivery_row *), void *, struct admin_error *);
/* A new attempt at once, whatever came of it. */
enum admin_status controller_delivery_retry(struct controller *, uint64_t hook, uint64_t id, struct admin_error *);
/* An event "webhook.test" for that hook alone. */
enum admin_status controller_hook_test(struct controller *, uint64_t hook, uint64_t *ret_id, struct admin_error *);

/* ---- for who makes bodies, by controller_port.hook_body */

struct hook_event {
	uint64_t id, wall_s, nwid, address; /* 0 = about none */
	const char *event;
	const char *network;             /* its name; NULL = not known */
	const struct member_row *member; /* NULL: nothing but the address is known */
	const struct actor *actor;       /* name "" = nobody */
	const char *detail;              /* the text of a JSON object, or NULL */
};

/* ---- for who sends */

struct hook_due { /* wiped by who has it */
	uint64_t seq, id, hook;
	char event[AUDIT_ACTION_MAX];
	char url[HOOK_URL_MAX + 1], secret[HOOK_SECRET_MAX + 1];
	bool allow_private;
	char body[HOOK_BODY_MAX + 1];
};
struct hook_outcome {
	unsigned status;        /* of HTTP; 0 = none came */
	uint32_t ms;            /* it took */
	uint32_t retry_after_s; /* 0 = it did not say */
	const char *error;      /* why there is no status; NULL else */
};
/* The next that is due, of a hook of which fewer than max are being sent; it is being sent from now on. After the turn is settled.
 * false: none; *ret_next is when to ask again, NEVER = after the next turn. */
bool controller_hook_take(struct controller *, unsigned max, struct hook_due *ret, uint64_t now_ms, uint64_t *ret_next);
void controller_hook_done(struct controller *, uint64_t seq, const struct hook_outcome *, uint64_t now_ms, uint64_t wall_s);
/* The pools of our networks: no request goes there. *ret is malloced, NULL without any. 0 or -errno. */
int controller_hook_pools(struct controller *, struct prefix **ret, unsigned *ret_n);
/* Of each retry in ms, HOOK_RETRIES of them; borrowed. Tests are in a hurry. */
void controller_hook_pace(struct controller *, const uint64_t *retry_ms);

/* Since the start; waiting: now. */
struct hook_figures {
	uint64_t delivered, failed, attempts_failed, dropped;
	uint32_t waiting, sending, hooks[HOOK_STATES];
};
void controller_hook_figures(const struct controller *, struct hook_figures *ret);

/* ---- the controller's own files */

int hooks_load(struct controller *);    /* at the start */
void hooks_reload(struct controller *); /* after a rollback */
void hooks_free(struct controller *);
/* In the transaction of the act. member: the row as it is now, or was at last; NULL = looked up by its address, which may be 0. */
struct member_record;
int hook_note(struct controller *, const char *event, uint64_t nwid, uint64_t address, const struct member_record *member,
              const char *detail);
/* A member came, went or turned: before it is shown as it is now. */
struct presence;
void hook_live(struct controller *, uint64_t nwid, uint64_t address, const uint8_t key_hash[KEY_HASH_BYTES], bool was_online,
               enum report_kind was_link);
void hooks_tick(struct controller *); /* in the turn's transaction */
uint64_t hooks_next(const struct controller *);

#endif
