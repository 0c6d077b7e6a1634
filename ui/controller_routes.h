/* controller_routes.h: the handlers behind the controller's routes, a file for each resource, and what they share.
 *
 * Control thread only. self is the struct controller_api; a handler answers at once.
 */
#ifndef FARLAN_UI_CONTROLLER_ROUTES_H
#define FARLAN_UI_CONTROLLER_ROUTES_H

#include "ui/controller_api.h"
#include "ui/json.h"
#include "ui/settings.h"

/* ---- controller_api.c: shared */

void admin_problem(struct reply *, enum admin_status, const struct admin_error *);
/* The ids of the path; false: answered. */
bool network_of(const struct request *, struct reply *, uint64_t *ret);
bool member_of(const struct request *, struct reply *, uint64_t *ret_nwid, uint64_t *ret);
bool body_none(const struct request *, struct reply *); /* nothing or {}; false: answered */
void flags_json(json_t *, const struct flag_name *, uint32_t flags);
void reply_row(struct reply *, unsigned status, const char *schema, json_t *row); /* takes row */

/* ---- network_api.c */

json_t *network_json(const struct network_row *);
void network_append(void *array, const struct network_row *);
void networks_get(void *self, const struct request *, struct reply *);
void networks_post(void *self, const struct request *, struct reply *);
void network_get(void *self, const struct request *, struct reply *);
void network_patch(void *self, const struct request *, struct reply *);
void network_delete(void *self, const struct request *, struct reply *);

/* ---- member_api.c */

json_t *member_json(const struct member_row *);
void members_get(void *self, const struct request *, struct reply *);
void member_get(void *self, const struct request *, struct reply *);
void member_patch(void *self, const struct request *, struct reply *);
void member_delete(void *self, const struct request *, struct reply *);
void member_approve(void *self, const struct request *, struct reply *);
void member_deny(void *self, const struct request *, struct reply *);
void member_revoke(void *self, const struct request *, struct reply *);
void member_ban(void *self, const struct request *, struct reply *);
void member_unban(void *self, const struct request *, struct reply *);

/* ---- batch_api.c */

void members_batch(void *self, const struct request *, struct reply *);
void preapprovals_get(void *self, const struct request *, struct reply *);
void preapprovals_post(void *self, const struct request *, struct reply *);
void preapproval_delete(void *self, const struct request *, struct reply *);

/* ---- session_api.c */

void session_get(void *self, const struct request *, struct reply *);
void session_post(void *self, const struct request *, struct reply *);
void session_delete(void *self, const struct request *, struct reply *);
void setup_post(void *self, const struct request *, struct reply *);
void login_later(struct reply *, uint64_t ms); /* 429: the next try is then */
#define CODE_WHY 192
/* Is the code good, and was it not used? Charged and audited when it is not, and why says so; *ret_wait: ms, when it was not even
 * looked at. Only after the password. */
bool second_factor_spend(struct controller_api *, const struct request *, const char *user, const char *code, char why[CODE_WHY],
                         uint64_t *ret_wait);

/* ---- account_api.c */

json_t *user_json(const struct user_row *);
json_t *token_scopes_json(const struct token_row *);
void users_get(void *self, const struct request *, struct reply *);
void users_post(void *self, const struct request *, struct reply *);
void user_patch(void *self, const struct request *, struct reply *);
void user_delete(void *self, const struct request *, struct reply *);
bool user_own(const struct controller_api *, const struct request *); /* is the path's user the one whose session asks? */

/* ---- factor_api.c */

void factor_post(void *self, const struct request *, struct reply *);
void factor_confirm(void *self, const struct request *, struct reply *);
void factor_delete(void *self, const struct request *, struct reply *);
void recovery_post(void *self, const struct request *, struct reply *);
void tokens_get(void *self, const struct request *, struct reply *);
void tokens_post(void *self, const struct request *, struct reply *);
void token_delete(void *self, const struct request *, struct reply *);

/* ---- audit_api.c */

void audit_get(void *self, const struct request *, struct reply *);
void audit_verify_post(void *self, const struct request *, struct reply *);

/* ---- backup_api.c */

void backup_post(void *self, const struct request *, struct reply *);
void restore_post(void *self, const struct request *, struct reply *);
void trust_post(void *self, const struct request *, struct reply *);

/* ---- invite_api.c */

void invites_get(void *self, const struct request *, struct reply *);
void invites_post(void *self, const struct request *, struct reply *);
void invite_get(void *self, const struct request *, struct reply *);
void invite_delete(void *self, const struct request *, struct reply *);

/* ---- traffic_api.c */

json_t *traffic_rate_json(bool known, uint64_t rx_bps, uint64_t tx_bps); /* bits/s of the last minute, or null */
void network_traffic_get(void *self, const struct request *, struct reply *);
void member_traffic_get(void *self, const struct request *, struct reply *);

/* ---- hook_api.c */

json_t *webhooks_state_json(const struct controller *); /* for the status: how many there are of each state */
void webhooks_get(void *self, const struct request *, struct reply *);
void webhooks_post(void *self, const struct request *, struct reply *);
void webhook_get(void *self, const struct request *, struct reply *);
void webhook_patch(void *self, const struct request *, struct reply *);
void webhook_delete(void *self, const struct request *, struct reply *);
void webhook_secret_post(void *self, const struct request *, struct reply *);
void webhook_test_post(void *self, const struct request *, struct reply *);
void deliveries_get(void *self, const struct request *, struct reply *);
void delivery_retry_post(void *self, const struct request *, struct reply *);

/* ---- topology_api.c */

void topology_get(void *self, const struct request *, struct reply *);

#endif
