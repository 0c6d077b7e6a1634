/* factor.h: second factors: codes of a time-based generator (RFC 6238), and codes on paper for when it is lost.
 *
 * Control thread. Only after the password was right: what is answered here says things about the user. wall_s is unix time as
 * the machine has it; nothing else here depends on it.
 */
#ifndef FARLAN_CONTROLLER_FACTOR_H
#define FARLAN_CONTROLLER_FACTOR_H

#include "controller/account.h"
#include "proto/totp.h"

#define FACTOR_SECRET       TOTP_SECRET
#define FACTOR_PENDING_MS   (10 * 60000)
#define FACTOR_TRIES_MAX    5  /* wrong codes, then it is begun anew */
#define FACTORS_PENDING_MAX 16 /* the oldest gives way */
#define RECOVERY_CODES      10
#define RECOVERY_TEXT       15 /* "abcd-efgh-ijkl" and NUL: 60 bits */
#define CODE_MAX            40 /* of what people type */

/* A new secret, which counts once a code of it has come. ADMIN_CONFLICT: he has one. */
enum admin_status controller_factor_begin(struct controller *, const char *user, uint8_t ret_secret[FACTOR_SECRET], struct admin_error *);
/* The first code: from now on it counts; the user's sessions but that one end. ADMIN_INVALID: wrong. */
enum admin_status controller_factor_confirm(struct controller *, const char *user, const char *code, uint64_t wall_s, const uint8_t *but,
                                            char ret_codes[RECOVERY_CODES][RECOVERY_TEXT], struct admin_error *);
enum admin_status controller_factor_off(struct controller *, const char *user, struct admin_error *); /* ADMIN_CONFLICT: has none */
/* New ones; the old ones count no more. */
enum admin_status controller_recovery_new(struct controller *, const char *user, char ret_codes[RECOVERY_CODES][RECOVERY_TEXT],
                                          struct admin_error *);

enum code_kind { CODE_NONE, CODE_TIME, CODE_RECOVERY }; /* six digits; as long as a recovery code */
enum code_kind code_kind(const char *text);

enum code_verdict { CODE_GOOD, CODE_WRONG, CODE_USED, CODE_CLOCK, CODE_UNAVAILABLE };
/* Is that a code of his that was not used yet? Then it is used now, once the turn is committed. CODE_CLOCK: it would be right at
 * another time; *ret_off_s = by how much this machine's clock is ahead of the code's. It is worth nothing after that either. */
enum code_verdict controller_factor_spend(struct controller *, const char *user, const char *code, uint64_t wall_s, int64_t *ret_off_s);
void clock_say(int64_t off_s, char *buf, size_t room); /* of CODE_CLOCK, a sentence without its end */
/* A right password without a right code: user.code.fail, at most once per source and minute. */
void controller_code_note(struct controller *, const char *user, const char *from);

#endif
