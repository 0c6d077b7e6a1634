/* account.h: who may do what from afar: users with passwords, tokens for programs, sessions of browsers.
 *
 * Control thread only. Passwords never come here: what is kept of them (proto/password.h) is made elsewhere, since that takes a
 * tenth of a second. Tokens and sessions are kept as hashes. Lifetimes are network time.
 */
#ifndef FARLAN_CONTROLLER_ACCOUNT_H
#define FARLAN_CONTROLLER_ACCOUNT_H

#include "controller/controller.h"

#define USER_NAME_MAX      32
#define USERS_MAX          100
#define TOKEN_NAME_MAX     48
#define TOKENS_MAX         1000
#define TOKEN_NETWORKS_MAX 16
#define TOKEN_TEXT         45 /* "farc_", 32 of base58, "_", 6 of base58 that check them, NUL */
#define TOKEN_LIFE_MAX_S   (10 * 365 * 86400ull)
#define SESSION_TEXT       65 /* 64 hex and NUL */
#define SESSIONS_MAX       256
#define SESSION_IDLE_S     (12 * 3600ull) /* unused for so long it ends */
#define SESSION_LIFE_S     (30 * 86400ull)
#define KEPT_MAX           128 /* of a password, proto/password.h */

/* ---- users */

enum role { ROLE_NONE, ROLE_READ, ROLE_APPROVE, ROLE_ADMIN }; /* in the database: never change */

struct user_row {
	char name[USER_NAME_MAX + 1];
	uint64_t created_wall_s, seen_wall_s; /* seen: signed in; 0 = never */
	uint64_t revision;
	enum role role;
	bool factor;            /* has a second one */
	unsigned recovery_left; /* codes */
};

const char *role_name(enum role);   /* "read", "approve", "admin" */
enum role role_named(const char *); /* ROLE_NONE: there is no such one */
bool user_name_good(const char *);  /* 1 to 32 of a-z 0-9 . _ - */
/* first: only as long as there is no user at all, judged in the same turn. The first is an admin. */
enum admin_status controller_user_add(struct controller *, const char *name, const char *kept, enum role, bool first, struct admin_error *);
/* Counts at the next request of his sessions. The last admin stays one. */
enum admin_status controller_user_role(struct controller *, const char *name, enum role, struct admin_error *);
/* Another password; ends the user's sessions but that of these hash bytes (NULL = all). */
enum admin_status controller_user_password(struct controller *, const char *name, const char *kept, const uint8_t *but,
                                           struct admin_error *);
/* The same password kept at today's costs: no act of anybody, ends nothing. */
void controller_user_kept_anew(struct controller *, const char *name, const char *kept);
enum admin_status controller_user_delete(struct controller *, const char *name,
                                         struct admin_error *); /* with sessions; the last admin stays */
enum admin_status controller_user_get(struct controller *, const char *name, struct user_row *ret, struct admin_error *);
enum admin_status controller_user_each(struct controller *, void (*each)(void *, const struct user_row *), void *, struct admin_error *);
bool controller_user_kept(struct controller *, const char *name, char ret[KEPT_MAX]); /* false: nobody of that name, ret is "" */
unsigned controller_users(struct controller *);                                       /* how many; USERS_MAX when they cannot be read */

/* ---- sessions */

struct session_row {
	uint8_t hash[32];
	char user[USER_NAME_MAX + 1]; /* "" = came by a one-time link */
	uint64_t created, used;       /* network time */
	/* Of the user as he is now, asked anew by controller_session_find(); who came by a link is an admin. */
	enum role role;
	bool factor;
	unsigned recovery_left;
};

/* Kept in memory, so that a full disk keeps nobody from coming in to see to it, and in the database, so that a restart does not
 * end it. The one longest unused gives way. 0 or -errno. */
int controller_session_open(struct controller *, const char *user, char ret_text[SESSION_TEXT]);
/* What a cookie says; counts as use. NULL = none, or over. Valid until the next call of this header. */
const struct session_row *controller_session_find(struct controller *, const char *text, size_t len);
uint64_t controller_session_left(const struct controller *, const struct session_row *); /* seconds, when nobody uses it */
void controller_session_close(struct controller *, const uint8_t hash[32]);

/* ---- tokens */

enum right { RIGHT_READ = 1, RIGHT_APPROVE = 2, RIGHT_ADMIN = 4 }; /* in the database: never change */

struct token_row {
	uint64_t id;
	char name[TOKEN_NAME_MAX + 1], creator[64];
	unsigned rights;
	uint64_t networks[TOKEN_NETWORKS_MAX]; /* which it may change */
	unsigned n_networks;
	bool expires;
	uint64_t expires_in;                  /* seconds; 0 = over */
	uint64_t created_wall_s, used_wall_s; /* used: to the quarter of an hour; 0 = never */
	uint64_t revision;
};

struct token_settings {
	char name[TOKEN_NAME_MAX + 1];
	unsigned rights;
	uint64_t networks[TOKEN_NETWORKS_MAX];
	unsigned n_networks;
	uint64_t expires_in; /* 0 = never */
};

bool token_text_good(const char *text, size_t len); /* its form and its check: for people who paste; opens nothing */
enum admin_status controller_token_create(struct controller *, const struct token_settings *, struct token_row *ret,
                                          char ret_text[TOKEN_TEXT], struct admin_error *);
enum admin_status controller_token_get(struct controller *, uint64_t id, struct token_row *ret, struct admin_error *);
enum admin_status controller_token_revoke(struct controller *, uint64_t id, struct admin_error *);
enum admin_status controller_token_each(struct controller *, void (*each)(void *, const struct token_row *), void *, struct admin_error *);
/* What a request brought; counts as use. False: no such token, or over. */
bool controller_token_find(struct controller *, const char *text, size_t len, struct token_row *ret);

/* Who came in, or did not (user.login, user.login.fail); at most one failure in the audit per source and minute. */
void controller_login_note(struct controller *, const char *user, const char *from, bool good);

#endif
