/* verb.h: the one table of what farlan can do. Parsing, help, completion and the manual's synopsis follow from it.
 *
 * One thread, one call per process. A verb's function returns the exit code; its answer goes to standard output, every
 * complaint to standard error.
 */
#ifndef FARLAN_UI_CLI_VERB_H
#define FARLAN_UI_CLI_VERB_H

#include <stdbool.h>
#include <stdint.h>

#include "ui/home.h"
#include "ui/options.h"

enum exit_code {
	EXIT_OK = 0,
	EXIT_FAILED = 1,
	EXIT_USAGE = 2,
	EXIT_NO_DAEMON = 3,
	EXIT_PERMISSION = 4,
	EXIT_NOT_FOUND = 5,
	EXIT_PENDING = 6, /* not approved yet, not ready, time-out */
	EXIT_REFUSED = 7,
	EXIT_CONFLICT = 8,
	EXIT_BROKEN = 9, /* the audit's chain */
	EXIT_INTERRUPTED = 130,
};

enum service { SERVICE_NONE, SERVICE_NODE, SERVICE_CONTROLLER, SERVICE_EITHER };
enum format { FORMAT_TABLE, FORMAT_JSON, FORMAT_JSONL };

struct call {
	const struct verb *verb;
	struct options options;
	const char *const *words; /* behind the verb */
	unsigned n_words;
	enum format format;
};

struct verb {
	const char *name;    /* "network create" */
	const char *args;    /* "NWID MEMBER", "[VERB]...": one word each; brackets may be left out, dots repeat */
	const char *options; /* names from cli_options, blank between; --home and -o go with every verb */
	enum service service;
	const char *help; /* a line */
	int (*run)(struct call *);
};

extern const struct verb verbs[]; /* ends with a NULL name */
extern const struct option cli_options[];

/* Takes argv apart and fills *ret: -1 to go on with ret->verb, else an exit code with the complaint printed. The verb is checked
 * for its number of words and for options that are not its own. */
int verb_parse(struct call *ret, int argc, char *const *argv);
/* The verb of these words; *ret_used = how many of them its name took. NULL if there is none. */
const struct verb *verb_find(const char *const *words, unsigned n, unsigned *ret_used);
bool verb_takes(const struct verb *, const struct option *);

/* "farlan: sentence" on standard error; returns code, so that a verb ends with return complain(...). */
__attribute__((format(printf, 2, 3))) int complain(int code, const char *format, ...);
/* The home of one of the daemons; 0 or an exit code with the complaint printed. */
int call_home(const struct call *, enum home_kind, struct home *ret);
/* Words that must be what they should be: 0, or EXIT_USAGE with the mend printed. pin may be NULL (then the long form's tail
 * is accepted and left out), else it is the 26 characters or "". */
int word_nwid(const char *word, char ret_nwid[17], char ret_pin[27]);
/* What argv says is what /proc shows to every user of the machine: a word that is a secret is taken out of it. */
void word_hide(const char *word);
/* Seconds from --wait, 0..86400; fallback when absent. */
int call_wait(const struct call *, unsigned fallback_s, unsigned *ret_ms);

int run_topology(struct call *);
int run_traffic(struct call *);
int run_metrics(struct call *);
int run_server_up(struct call *);
int run_server_status(struct call *);
int run_server_down(struct call *);
int run_id(struct call *);
int run_root_line(struct call *);
int run_root_set_new_key(struct call *);
int run_root_set_create(struct call *);
int run_root_set_add(struct call *);
int run_root_set_remove(struct call *);
int run_root_set_keys(struct call *);
int run_root_set_sign(struct call *);
int run_root_set_show(struct call *);
int run_root_set_verify(struct call *);
int run_join(struct call *);
int run_invite_create(struct call *);
int run_invite_list(struct call *);
int run_invite_revoke(struct call *);
int run_invite_qr(struct call *);
int run_wait(struct call *);
int run_leave(struct call *);
int run_status(struct call *);
int run_networks(struct call *);
int run_peers(struct call *);
int run_top(struct call *);
int run_drops(struct call *);
int run_fdb(struct call *);
int run_groups(struct call *);
int run_ping(struct call *);
int run_set(struct call *);
int run_port_add(struct call *);
int run_port_remove(struct call *);
int run_port_list(struct call *);
int run_wake(struct call *);
int run_netcheck(struct call *);
int run_events(struct call *);
int run_capture(struct call *);
int run_network_create(struct call *);
int run_network_list(struct call *);
int run_network_show(struct call *);
int run_network_set(struct call *);
int run_network_delete(struct call *);
int run_member_list(struct call *);
int run_member_approve(struct call *);
int run_member_deny(struct call *);
int run_member_revoke(struct call *);
int run_member_delete(struct call *);
int run_member_set(struct call *);
int run_member_show(struct call *);
int run_member_ban(struct call *);
int run_member_unban(struct call *);
int run_member_preapprove(struct call *);
int run_member_reserve(struct call *);
int run_preapproval_list(struct call *);
int run_preapproval_delete(struct call *);
int run_page(struct call *);
int run_user_list(struct call *);
int run_user_add(struct call *);
int run_user_passwd(struct call *);
int run_user_role(struct call *);
int run_user_second_factor(struct call *);
int run_user_recovery_codes(struct call *);
int run_user_delete(struct call *);
int run_token_list(struct call *);
int run_token_create(struct call *);
int run_token_revoke(struct call *);
int run_webhook_list(struct call *);
int run_webhook_add(struct call *);
int run_webhook_show(struct call *);
int run_webhook_set(struct call *);
int run_webhook_test(struct call *);
int run_webhook_log(struct call *);
int run_webhook_retry(struct call *);
int run_webhook_secret(struct call *);
int run_webhook_delete(struct call *);
int run_audit(struct call *);
int run_backup(struct call *);
int run_restore(struct call *);
int run_controller_trust(struct call *);
int run_completion_bash(struct call *);
int run_version(struct call *);
int run_help(struct call *);

#endif
