/* store_account.h: the rows of users, tokens and sessions. Control thread; rules as in store.h.
 */
#ifndef FARLAN_CONTROLLER_STORE_ACCOUNT_H
#define FARLAN_CONTROLLER_STORE_ACCOUNT_H

#include "controller/account.h"
#include "controller/store.h"

struct token_record {
	struct token_row row; /* but for expires_in */
	uint8_t hash[32];
	uint64_t until; /* network time, when row.expires */
};

struct factor_record {
	uint8_t salt[16], masked[20];
	uint64_t step;
};

int store_user_insert(struct store *, const char *name, const char *kept, enum role, uint64_t wall_s);
int store_user_role(struct store *, const char *name, enum role);
int store_user_password(struct store *, const char *name, const char *kept);
int store_user_seen(struct store *, const char *name, uint64_t wall_s);
int store_user_delete(struct store *, const char *name);
/* ret_kept may be NULL. 0, -ENOENT or -errno. */
int store_user_get(struct store *, const char *name, struct user_row *ret, char ret_kept[KEPT_MAX]);
int store_user_each(struct store *, void (*each)(void *, const struct user_row *), void *);
int store_user_count(struct store *, unsigned *ret);
int store_admin_count(struct store *, unsigned *ret);

int store_factor_get(struct store *, const char *name, struct factor_record *ret); /* 0, -ENOENT or -errno */
int store_factor_put(struct store *, const char *name, const struct factor_record *);
int store_factor_step(struct store *, const char *name, uint64_t step);                    /* only forward */
int store_factor_delete(struct store *, const char *name);                                 /* with its recovery codes */
int store_recovery_put(struct store *, const char *name, uint8_t (*hash)[32], unsigned n); /* instead of those there are */
int store_recovery_spend(struct store *, const char *name, const uint8_t hash[32]);        /* -ENOENT: no such one */

int store_session_put(struct store *, const struct session_row *); /* new, or used again */
int store_session_delete(struct store *, const uint8_t hash[32]);
int store_session_purge(struct store *, uint64_t used, uint64_t created); /* those last used, or made, before */
int store_session_each(struct store *, void (*each)(void *, const struct session_row *), void *);

int store_token_insert(struct store *, const struct token_record *);
int store_token_used(struct store *, uint64_t id, uint64_t wall_s);
int store_token_delete(struct store *, uint64_t id);
int store_token_get(struct store *, uint64_t id, struct token_record *ret);
int store_token_named(struct store *, const char *name, uint64_t *ret_id);
int store_token_each(struct store *, void (*each)(void *, const struct token_record *), void *);
int store_token_count(struct store *, unsigned *ret);

#endif
