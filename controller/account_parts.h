/* account_parts.h: what the files of accounts share; nobody outside includes it. */
#ifndef FARLAN_CONTROLLER_ACCOUNT_PARTS_H
#define FARLAN_CONTROLLER_ACCOUNT_PARTS_H

#include "controller/account.h"
#include "controller/audit.h"
#include "controller/factor.h"
#include "controller/state.h"

#define FAILURES_MAX 64 /* sources whose failed logins the audit has lately */

struct accounts {
	struct session_row sessions[SESSIONS_MAX];
	uint64_t written[SESSIONS_MAX]; /* network time the row stands at in the database */
	unsigned n_sessions;
	struct {
		char from[64];
		uint64_t at; /* ms */
	} failures[FAILURES_MAX];
	unsigned n_failures;
	struct factor_pending {
		char user[USER_NAME_MAX + 1]; /* "" = free */
		uint8_t secret[FACTOR_SECRET];
		uint64_t until; /* ms */
		unsigned wrong;
	} pending[FACTORS_PENDING_MAX];
	/* The last step used, where the disk may have refused it. */
	struct factor_used {
		char user[USER_NAME_MAX + 1];
		uint64_t step;
	} used[USERS_MAX];
};

/* account.c */
bool account_writable(const struct controller *); /* is there any point in a write that nobody asked for? */
enum admin_status account_unreadable(struct admin_error *, int r);
/* One act upon one account, with its entry in the audit; r is what came of it so far. */
enum admin_status account_act(struct controller *, int r, const char *action, struct audit_detail *, struct admin_error *);
/* A user's sessions but that one (NULL = all): in the database, within the turn; in memory, after the commit. */
int account_sessions_delete(struct controller *, const char *user, const uint8_t *but);
void account_sessions_end(struct controller *, const char *user, const uint8_t *but);
/* May this source's failure stand in the audit? */
bool account_failure_told(struct controller *, const char *from);

#endif
