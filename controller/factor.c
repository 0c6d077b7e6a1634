/* Theory of operation: second factors. A code of the generator is good for one step of 30 s before and behind this machine's
 * time, and once: the step of the last one used is kept, on disk with the login, and in memory for when the disk refuses. What
 * fits another time within an hour is refused with the difference, since a machine with a wrong clock would keep everybody out
 * and nobody would know why; that step is used up by it, so that who guesses learns nothing that will be good later.
 *
 * The generator's secret must be known to us as it is. In the database it stands masked with a pad that follows from the
 * controller's own key: who gets hold of that file alone (a copy, a lost disk) has no second factors. Backups are encrypted
 * anyway and hold the key, so that a restored controller knows its users. Recovery codes have 60 bits, too many to try even
 * against a plain hash; theirs is keyed all the same.
 */
#include "controller/factor.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controller/account_parts.h"
#include "controller/store_account.h"
#include "proto/random.h"

#define WINDOW      1   /* steps, either way: a phone is off by some seconds, and typing takes some */
#define CLOCK_STEPS 120 /* an hour: what is said to be a wrong clock */

static const char KEY_LABEL[] = "farlan factor key", MASK_LABEL[] = "farlan factor mask", CODE_LABEL[] = "farlan recovery code";

/* ---- codes as text ---- */

/* Small letters and digits, without the blanks and hyphens that people leave or see. false: too long, or something else. */
static bool code_plain(const char *text, char ret[CODE_MAX])
{
	size_t n = 0;
	for (; *text; text++) {
		char c = *text;
		if (c == ' ' || c == '-')
			continue;
		if (c >= 'A' && c <= 'Z')
			c = (char)(c - 'A' + 'a');
		if (n == CODE_MAX - 1 || !((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')))
			return false;
		ret[n++] = c;
	}
	ret[n] = '\0';
	return true;
}

enum code_kind code_kind(const char *text)
{
	char plain[CODE_MAX];
	if (!code_plain(text, plain))
		return CODE_NONE;
	if (strlen(plain) == TOTP_DIGITS && strspn(plain, "0123456789") == TOTP_DIGITS)
		return CODE_TIME;
	return strlen(plain) == 12 && strspn(plain, "abcdefghijklmnopqrstuvwxyz234567") == 12 ? CODE_RECOVERY : CODE_NONE;
}

/* Of what is CODE_TIME. */
static uint32_t code_number(const char *text)
{
	char plain[CODE_MAX];
	return code_plain(text, plain) ? (uint32_t)strtoul(plain, NULL, 10) : TOTP_NONE;
}

static void recovery_text(char ret[RECOVERY_TEXT])
{
	uint8_t random[10];
	char text[17];
	random_bytes(random, sizeof(random));
	base32_format(random, sizeof(random), text);
	for (size_t i = 0; text[i]; i++)
		text[i] = (char)(text[i] >= 'A' ? text[i] - 'A' + 'a' : text[i]);
	snprintf(ret, RECOVERY_TEXT, "%.4s-%.4s-%.4s", text, text + 4, text + 8);
	wipe(random, sizeof(random));
	wipe(text, sizeof(text));
}

/* ---- what is kept ---- */

static void key_of(const struct controller *c, uint8_t ret[32])
{
	hash256(ret, KEY_LABEL, c->self.ed, sizeof(c->self.ed));
}

/* Both ways. */
static void mask(const struct controller *c, const uint8_t salt[16], const uint8_t in[FACTOR_SECRET], uint8_t out[FACTOR_SECRET])
{
	uint8_t key[32], pad[32];
	key_of(c, key);
	hash256_parts(pad, MASK_LABEL, key, sizeof(key), salt, 16);
	for (unsigned i = 0; i < FACTOR_SECRET; i++)
		out[i] = in[i] ^ pad[i];
	wipe(key, sizeof(key));
	wipe(pad, sizeof(pad));
}

static void recovery_hash(const struct controller *c, const char *user, const char *code, uint8_t ret[32])
{
	char plain[CODE_MAX], both[USER_NAME_MAX + 1 + CODE_MAX];
	uint8_t key[32];
	code_plain(code, plain);
	int n = snprintf(both, sizeof(both), "%s %s", user, plain);
	key_of(c, key);
	hash256_parts(ret, CODE_LABEL, key, sizeof(key), both, (size_t)n);
	wipe(key, sizeof(key));
	wipe(both, sizeof(both));
	wipe(plain, sizeof(plain));
}

/* New codes, within the turn. */
static int recovery_put(struct controller *c, const char *user, char codes[RECOVERY_CODES][RECOVERY_TEXT])
{
	uint8_t hash[RECOVERY_CODES][32];
	for (unsigned i = 0; i < RECOVERY_CODES; i++) {
		recovery_text(codes[i]);
		recovery_hash(c, user, codes[i], hash[i]);
	}
	return store_recovery_put(c->store, user, hash, RECOVERY_CODES);
}

/* The step used last as memory has it. Names without a row give way: there are as many slots as users. */
static struct factor_used *used_of(struct controller *c, const char *user)
{
	struct accounts *a = c->accounts;
	struct factor_used *lowest = &a->used[0];
	for (unsigned i = 0; i < USERS_MAX; i++) {
		if (!strcmp(a->used[i].user, user))
			return &a->used[i];
		if (a->used[i].step < lowest->step)
			lowest = &a->used[i];
	}
	*lowest = (struct factor_used){0};
	snprintf(lowest->user, sizeof(lowest->user), "%s", user);
	return lowest;
}

static void step_spend(struct controller *c, const char *user, uint64_t step)
{
	struct factor_used *used = used_of(c, user);
	if (used->step < step)
		used->step = step;
	if (account_writable(c))
		store_factor_step(c->store, user, step); /* with the turn; a failure shows at its commit */
}

/* ---- enrolling ---- */

static struct factor_pending *pending_of(struct controller *c, const char *user)
{
	struct accounts *a = c->accounts;
	for (unsigned i = 0; i < FACTORS_PENDING_MAX; i++)
		if (!strcmp(a->pending[i].user, user) && c->now_ms < a->pending[i].until)
			return &a->pending[i];
	return NULL;
}

static enum admin_status user_find(struct controller *c, const char *user, bool factor, struct admin_error *error)
{
	struct user_row row;
	enum admin_status status = controller_user_get(c, user, &row, error);
	if (status || row.factor == factor)
		return status;
	if (factor)
		admin_error_set(error, "No second factor", "Turn it on in the page's settings.", "%s has no second factor.", user);
	else
		admin_error_set(error, "There is a second factor", "Turn it off first: farlan user second-factor NAME --off",
		                "%s has a second factor already.", user);
	return ADMIN_CONFLICT;
}

/* An edit of that user's factor. */
static enum admin_status edit_begin(struct controller *c, const char *user, bool factor, struct admin_error *error)
{
	enum admin_status status = admin_begin(c, error);
	return status ? status : user_find(c, user, factor, error);
}

enum admin_status controller_factor_begin(struct controller *c, const char *user, uint8_t ret_secret[FACTOR_SECRET],
                                          struct admin_error *error)
{
	struct factor_pending *p = c->accounts->pending;
	enum admin_status status = user_find(c, user, false, error);
	if (status)
		return status;
	for (unsigned i = 0; strcmp(p->user, user) != 0 && i < FACTORS_PENDING_MAX; i++) {
		struct factor_pending *other = &c->accounts->pending[i];
		if (!strcmp(other->user, user) || other->until < p->until)
			p = other;
	}
	*p = (struct factor_pending){.until = c->now_ms + FACTOR_PENDING_MS};
	snprintf(p->user, sizeof(p->user), "%s", user);
	random_bytes(p->secret, sizeof(p->secret));
	memcpy(ret_secret, p->secret, sizeof(p->secret));
	return ADMIN_OK;
}

/* By how much this machine's clock is ahead of a code's. */
static int64_t clock_off(uint64_t now, uint64_t step)
{
	return ((int64_t)now - (int64_t)step) * TOTP_STEP_S;
}

void clock_say(int64_t off_s, char *buf, size_t room)
{
	uint64_t by = (uint64_t)(off_s < 0 ? -off_s : off_s);
	snprintf(buf, room, "this machine's clock seems to be %s by about %" PRIu64 " min", off_s < 0 ? "behind" : "ahead", (by + 30) / 60);
}

static enum admin_status wrong_first(struct factor_pending *p, const char *code, uint64_t now, struct admin_error *error)
{
	uint64_t step;
	char text[96] = "this is not what the generator shows now";
	if (code_kind(code) == CODE_TIME && totp_find(p->secret, code_number(code), now, CLOCK_STEPS, &step))
		clock_say(clock_off(now, step), text, sizeof(text));
	if (++p->wrong >= FACTOR_TRIES_MAX)
		wipe(p, sizeof(*p));
	admin_error_set(error, "The code is wrong", "Type the six digits that the generator shows now.", "%s.", text);
	return ADMIN_INVALID;
}

enum admin_status controller_factor_confirm(struct controller *c, const char *user, const char *code, uint64_t wall_s, const uint8_t *but,
                                            char ret_codes[RECOVERY_CODES][RECOVERY_TEXT], struct admin_error *error)
{
	struct factor_record row = {0};
	struct audit_detail detail = {0};
	struct factor_pending *p = pending_of(c, user);
	uint64_t now = wall_s / TOTP_STEP_S;
	enum admin_status status = edit_begin(c, user, false, error);
	if (status)
		return status;
	if (!p) {
		admin_error_set(error, "Nothing to confirm", "Begin anew.", "A new secret waits ten minutes for its first code.");
		return ADMIN_CONFLICT;
	}
	if (code_kind(code) != CODE_TIME || !totp_find(p->secret, code_number(code), now, WINDOW, &row.step))
		return wrong_first(p, code, now, error);
	random_bytes(row.salt, sizeof(row.salt));
	mask(c, row.salt, p->secret, row.masked);
	int r = store_factor_put(c->store, user, &row);
	if (!r)
		r = recovery_put(c, user, ret_codes);
	if (!r)
		r = account_sessions_delete(c, user, but);
	audit_detail_text(&detail, "name", user);
	status = account_act(c, r, "user.second-factor.on", &detail, error);
	if (status) {
		wipe(ret_codes, RECOVERY_CODES * RECOVERY_TEXT);
		return status;
	}
	used_of(c, user)->step = row.step; /* of another secret before */
	account_sessions_end(c, user, but);
	wipe(p, sizeof(*p));
	return ADMIN_OK;
}

enum admin_status controller_factor_off(struct controller *c, const char *user, struct admin_error *error)
{
	struct audit_detail detail = {0};
	enum admin_status status = edit_begin(c, user, true, error);
	if (status)
		return status;
	audit_detail_text(&detail, "name", user);
	return account_act(c, store_factor_delete(c->store, user), "user.second-factor.off", &detail, error);
}

enum admin_status controller_recovery_new(struct controller *c, const char *user, char ret_codes[RECOVERY_CODES][RECOVERY_TEXT],
                                          struct admin_error *error)
{
	struct audit_detail detail = {0};
	enum admin_status status = edit_begin(c, user, true, error);
	if (status)
		return status;
	audit_detail_text(&detail, "name", user);
	status = account_act(c, recovery_put(c, user, ret_codes), "user.recovery.new", &detail, error);
	if (status)
		wipe(ret_codes, RECOVERY_CODES * RECOVERY_TEXT);
	return status;
}

/* ---- using ---- */

static enum code_verdict time_spend(struct controller *c, const char *user, const char *code, uint64_t now, int64_t *ret_off_s)
{
	struct factor_record row;
	uint8_t secret[FACTOR_SECRET];
	uint64_t step = 0, used;
	int r = store_factor_get(c->store, user, &row);
	if (r)
		return r == -ENOENT ? CODE_WRONG : CODE_UNAVAILABLE;
	mask(c, row.salt, row.masked, secret);
	used = used_of(c, user)->step;
	if (used < row.step)
		used = row.step;
	bool good = totp_find(secret, code_number(code), now, WINDOW, &step);
	bool ever = good || totp_find(secret, code_number(code), now, CLOCK_STEPS, &step);
	wipe(secret, sizeof(secret));
	if (!ever)
		return CODE_WRONG;
	if (step <= used)
		return CODE_USED;
	if (good || step > now)
		step_spend(c, user, step);
	if (!good)
		*ret_off_s = clock_off(now, step);
	return good ? CODE_GOOD : CODE_CLOCK;
}

/* Once means: on disk before it opens anything. */
static enum code_verdict recovery_spend(struct controller *c, const char *user, const char *code)
{
	struct audit_detail detail = {0};
	struct admin_error error = {0};
	struct actor was = c->actor;
	uint8_t hash[32];
	if (admin_begin(c, &error))
		return CODE_UNAVAILABLE;
	recovery_hash(c, user, code, hash);
	int r = store_recovery_spend(c->store, user, hash);
	if (r == -ENOENT)
		return CODE_WRONG;
	audit_detail_text(&detail, "name", user);
	snprintf(c->actor.name, sizeof(c->actor.name), "user:%s", user);
	enum admin_status status = account_act(c, r, "user.recovery.used", &detail, &error);
	c->actor = was;
	return status ? CODE_UNAVAILABLE : CODE_GOOD;
}

enum code_verdict controller_factor_spend(struct controller *c, const char *user, const char *code, uint64_t wall_s, int64_t *ret_off_s)
{
	switch (code_kind(code)) {
	case CODE_TIME: return time_spend(c, user, code, wall_s / TOTP_STEP_S, ret_off_s);
	case CODE_RECOVERY: return recovery_spend(c, user, code);
	case CODE_NONE: break;
	}
	return CODE_WRONG;
}

void controller_code_note(struct controller *c, const char *user, const char *from)
{
	struct audit_detail detail = {0};
	struct actor was = c->actor;
	if (!account_writable(c) || !account_failure_told(c, from))
		return;
	snprintf(c->actor.name, sizeof(c->actor.name), "stranger");
	snprintf(c->actor.from, sizeof(c->actor.from), "%s", from);
	audit_detail_text(&detail, "user", user);
	audit_note(c, "user.code.fail", 0, 0, audit_detail_end(&detail));
	c->actor = was;
}
