/* Theory of operation: users, sessions, tokens. What opens something is random and is kept as its hash only: who reads the
 * database or its backup can sign in as nobody. A token is found by the first eight bytes of its hash, which are its id, and
 * then compared whole in constant time.
 *
 * Sessions are looked up at every request of a page, so they stand in memory; the database follows when one begins, when it
 * ends, and every few minutes of use. A write that fails here breaks nobody's edit: it is left out while the disk is known to
 * refuse. Lifetimes are network time, which stands while the disk is full and while the controller is off. */
#include "controller/account.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controller/audit.h"
#include "controller/state.h"
#include "controller/store_account.h"
#include "proto/base/log.h"
#include "proto/random.h"

#define SESSION_WRITE_S (5 * 60)  /* a used session's row is this old at most */
#define TOKEN_WRITE_S   (15 * 60) /* the same of a token's last use */
#define FAILURES_MAX    64        /* sources whose failed logins the audit has, in */
#define FAILURE_MS      60000     /* this time: no more rows than that */

static const char SESSION_LABEL[] = "farlan page session", TOKEN_LABEL[] = "farlan token", CHECK_LABEL[] = "farlan token check";
static const char base58[] = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";

struct accounts {
	struct session_row sessions[SESSIONS_MAX];
	uint64_t written[SESSIONS_MAX]; /* network time the row stands at in the database */
	unsigned n_sessions;
	struct {
		char from[64];
		uint64_t at; /* ms */
	} failures[FAILURES_MAX];
	unsigned n_failures;
};

/* Is there any point in a write that nobody asked for? */
static bool writable(const struct controller *c)
{
	return c->trusted && c->now_ms >= c->retry_at;
}

static enum admin_status unreadable(struct admin_error *error, int r)
{
	admin_error_set(error, "The database cannot be read", "See the log, and the disk.", "%s.", strerror(-r));
	return ADMIN_UNAVAILABLE;
}

/* One act upon one account, with its entry in the audit; r is what came of it so far. */
static enum admin_status act(struct controller *c, int r, const char *action, const char *name, struct admin_error *error)
{
	struct audit_detail detail = {0};
	audit_detail_text(&detail, "name", name);
	if (!r)
		r = audit_note(c, action, 0, 0, audit_detail_end(&detail));
	enum admin_status status = admin_commit(c, r, error);
	if (status == ADMIN_OK)
		change_note(c, CHANGE_ACCOUNT, 0, 0, false);
	return status;
}

/* ---- sessions ----------------------------------------------------------------------- */

static bool over(const struct controller *c, const struct session_row *s)
{
	return controller_session_left(c, s) == 0;
}

static void remove_at(struct accounts *a, unsigned i)
{
	a->n_sessions--;
	memmove(&a->sessions[i], &a->sessions[i + 1], (a->n_sessions - i) * sizeof(a->sessions[0]));
	memmove(&a->written[i], &a->written[i + 1], (a->n_sessions - i) * sizeof(a->written[0]));
	explicit_bzero(&a->sessions[a->n_sessions], sizeof(a->sessions[0]));
}

static void load(void *self, const struct session_row *s)
{
	struct controller *c = self;
	struct accounts *a = c->accounts;
	if (a->n_sessions == SESSIONS_MAX || over(c, s))
		return;
	a->written[a->n_sessions] = s->used;
	a->sessions[a->n_sessions++] = *s;
}

int accounts_load(struct controller *c)
{
	c->accounts = calloc(1, sizeof(*c->accounts));
	return c->accounts ? store_session_each(c->store, load, c) : -ENOMEM;
}

void accounts_free(struct controller *c)
{
	if (c->accounts)
		explicit_bzero(c->accounts, sizeof(*c->accounts));
	free(c->accounts);
	c->accounts = NULL;
}

uint64_t controller_session_left(const struct controller *c, const struct session_row *s)
{
	uint64_t idle = s->used + SESSION_IDLE_S, life = s->created + SESSION_LIFE_S, now = network_time(c);
	uint64_t end = idle < life ? idle : life;
	return end > now ? end - now : 0;
}

/* Room for one more: what is over goes, also what nobody loaded any more, else the one longest unused. */
static unsigned session_room(struct controller *c)
{
	struct accounts *a = c->accounts;
	uint64_t now = network_time(c);
	unsigned oldest = 0;
	if (writable(c))
		store_session_purge(c->store, now > SESSION_IDLE_S ? now - SESSION_IDLE_S : 0,
		                    now > SESSION_LIFE_S ? now - SESSION_LIFE_S : 0);
	for (unsigned i = a->n_sessions; i-- > 0;)
		if (over(c, &a->sessions[i]))
			controller_session_close(c, a->sessions[i].hash);
	for (unsigned i = 1; i < a->n_sessions; i++)
		if (a->sessions[i].used < a->sessions[oldest].used)
			oldest = i;
	if (a->n_sessions == SESSIONS_MAX)
		controller_session_close(c, a->sessions[oldest].hash);
	return a->n_sessions;
}

int controller_session_open(struct controller *c, const char *user, char ret_text[SESSION_TEXT])
{
	struct accounts *a = c->accounts;
	unsigned at = session_room(c);
	struct session_row *s = &a->sessions[at];
	uint8_t random[32];
	int r = 0;

	random_bytes(random, sizeof(random));
	for (size_t i = 0; i < sizeof(random); i++)
		snprintf(ret_text + 2 * i, 3, "%02x", random[i]);
	wipe(random, sizeof(random));
	*s = (struct session_row){.created = network_time(c), .used = network_time(c)};
	snprintf(s->user, sizeof(s->user), "%s", user);
	hash256(s->hash, SESSION_LABEL, ret_text, SESSION_TEXT - 1);
	a->written[at] = s->used;
	a->n_sessions++;
	if (writable(c) && *user)
		r = store_user_seen(c->store, user, c->wall_s);
	if (writable(c) && !r)
		r = store_session_put(c->store, s);
	if (r || turn_commit(c))
		log_warning("controller: a session is not on disk, and ends with this process");
	if (r)
		turn_abort(c, r);
	return 0;
}

const struct session_row *controller_session_find(struct controller *c, const char *text, size_t len)
{
	struct accounts *a = c->accounts;
	uint8_t hash[32];
	unsigned found = SESSIONS_MAX;

	if (len != SESSION_TEXT - 1)
		return NULL;
	hash256(hash, SESSION_LABEL, text, len);
	for (unsigned i = 0; i < a->n_sessions; i++) /* all of them, whichever fits */
		if (bytes_equal(a->sessions[i].hash, hash, sizeof(hash)))
			found = i;
	if (found == SESSIONS_MAX || over(c, &a->sessions[found]))
		return NULL;
	struct session_row *s = &a->sessions[found];
	s->used = network_time(c);
	if (s->used >= a->written[found] + SESSION_WRITE_S && writable(c)) {
		a->written[found] = s->used;
		store_session_put(c->store, s); /* with the turn */
	}
	return s;
}

void controller_session_close(struct controller *c, const uint8_t hash[32])
{
	struct accounts *a = c->accounts;
	uint8_t copy[32];
	memcpy(copy, hash, sizeof(copy)); /* it may stand in the row that goes */
	for (unsigned i = 0; i < a->n_sessions; i++)
		if (!memcmp(a->sessions[i].hash, copy, sizeof(copy))) {
			remove_at(a, i);
			break;
		}
	if (writable(c))
		store_session_delete(c->store, copy);
	change_note(c, CHANGE_ACCOUNT, 0, 0, false); /* streams that it opened end with it */
}

/* In memory: after the commit that took them from the database. */
static void sessions_end(struct controller *c, const char *user, const uint8_t *but)
{
	struct accounts *a = c->accounts;
	for (unsigned i = a->n_sessions; i-- > 0;)
		if (!strcmp(a->sessions[i].user, user) && !(but && !memcmp(a->sessions[i].hash, but, 32)))
			remove_at(a, i);
}

/* In the database, within the turn. */
static int sessions_delete(struct controller *c, const char *user, const uint8_t *but)
{
	const struct accounts *a = c->accounts;
	int r = 0;
	for (unsigned i = 0; !r && i < a->n_sessions; i++)
		if (!strcmp(a->sessions[i].user, user) && !(but && !memcmp(a->sessions[i].hash, but, 32)))
			r = store_session_delete(c->store, a->sessions[i].hash);
	return r;
}

/* ---- users -------------------------------------------------------------------------- */

bool user_name_good(const char *name)
{
	size_t len = strlen(name);
	return len >= 1 && len <= USER_NAME_MAX && strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789._-") == len;
}

unsigned controller_users(struct controller *c)
{
	unsigned n = USERS_MAX; /* unreadable is not empty: nobody becomes the first user by that */
	store_user_count(c->store, &n);
	return n;
}

enum admin_status controller_user_get(struct controller *c, const char *name, struct user_row *ret, struct admin_error *error)
{
	int r = store_user_get(c->store, name, ret, NULL);
	if (r == -ENOENT) {
		admin_error_set(error, "No such user", "`farlan user list` shows the users.", "There is no user of that name.");
		return ADMIN_NOT_FOUND;
	}
	return r ? unreadable(error, r) : ADMIN_OK;
}

enum admin_status controller_user_each(struct controller *c, void (*each)(void *, const struct user_row *), void *self,
                                       struct admin_error *error)
{
	int r = store_user_each(c->store, each, self);
	return r ? unreadable(error, r) : ADMIN_OK;
}

bool controller_user_kept(struct controller *c, const char *name, char ret[KEPT_MAX])
{
	struct user_row row;
	*ret = '\0';
	return user_name_good(name) && !store_user_get(c->store, name, &row, ret) && *ret;
}

enum admin_status controller_user_add(struct controller *c, const char *name, const char *kept, bool first, struct admin_error *error)
{
	struct user_row row;
	unsigned n = controller_users(c);
	enum admin_status status = admin_begin(c, error);
	if (status)
		return status;
	if (!user_name_good(name)) {
		admin_error_set(error, "Not a user name", "Give 1 to 32 of a-z, 0-9, dot, underscore and hyphen.",
		                "A user's name is written in small letters.");
		return ADMIN_INVALID;
	}
	if (first && n) {
		admin_error_set(error, "There are users already", "Sign in as one of them, or use: farlan user add NAME",
		                "Only the first user is made this way.");
		return ADMIN_CONFLICT;
	}
	if (n >= USERS_MAX) {
		admin_error_set(error, "Too many users", "Delete one first: farlan user delete NAME", "There are at most %d users.",
		                USERS_MAX);
		return ADMIN_CONFLICT;
	}
	int r = store_user_get(c->store, name, &row, NULL);
	if (!r) {
		admin_error_set(error, "The name is taken", "Choose another name, or change the password: farlan user passwd NAME",
		                "There is a user of that name.");
		return ADMIN_CONFLICT;
	}
	if (r != -ENOENT)
		return unreadable(error, r);
	return act(c, store_user_insert(c->store, name, kept, c->wall_s), "user.add", name, error);
}

enum admin_status controller_user_password(struct controller *c, const char *name, const char *kept, const uint8_t *but,
                                           struct admin_error *error)
{
	struct user_row row;
	enum admin_status status = admin_begin(c, error);
	if (!status)
		status = controller_user_get(c, name, &row, error);
	if (status)
		return status;
	int r = store_user_password(c->store, name, kept);
	if (!r)
		r = sessions_delete(c, name, but);
	status = act(c, r, "user.password", name, error);
	if (!status)
		sessions_end(c, name, but);
	return status;
}

void controller_user_kept_anew(struct controller *c, const char *name, const char *kept)
{
	if (writable(c))
		store_user_password(c->store, name, kept);
}

enum admin_status controller_user_delete(struct controller *c, const char *name, struct admin_error *error)
{
	struct user_row row;
	enum admin_status status = admin_begin(c, error);
	if (!status)
		status = controller_user_get(c, name, &row, error);
	if (status)
		return status;
	if (controller_users(c) == 1) {
		admin_error_set(error, "The last user stays", "Add another first, or change its password: farlan user passwd NAME",
		                "Without a user nobody could sign in.");
		return ADMIN_CONFLICT;
	}
	status = act(c, store_user_delete(c->store, name), "user.delete", name, error); /* its sessions' rows go with it */
	if (!status)
		sessions_end(c, name, NULL);
	return status;
}

/* ---- tokens ------------------------------------------------------------------------- */

#define BODY_LEN (5 + 32) /* "farc_" and the random part */

static void check_of(const char *text, char ret[6])
{
	uint8_t hash[32];
	uint64_t n;
	hash256(hash, CHECK_LABEL, text, BODY_LEN);
	memcpy(&n, hash, sizeof(n));
	for (unsigned i = 0; i < 6; i++, n /= 58)
		ret[i] = base58[n % 58];
}

bool token_text_good(const char *text, size_t len)
{
	char check[6];
	if (len != TOKEN_TEXT - 1 || memcmp(text, "farc_", 5) != 0 || text[BODY_LEN] != '_')
		return false;
	for (size_t i = 5; i < BODY_LEN; i++)
		if (!text[i] || !strchr(base58, text[i]))
			return false;
	check_of(text, check);
	return bytes_equal(check, text + BODY_LEN + 1, sizeof(check));
}

static uint64_t token_id(const char *text, uint8_t ret_hash[32])
{
	uint64_t id = 0;
	hash256(ret_hash, TOKEN_LABEL, text, TOKEN_TEXT - 1);
	for (unsigned i = 0; i < 8; i++)
		id = id << 8 | ret_hash[i];
	return id;
}

static void token_text(char ret[TOKEN_TEXT])
{
	memcpy(ret, "farc_", 5);
	for (unsigned i = 5; i < BODY_LEN; i++)
		ret[i] = base58[random_below(58)];
	ret[BODY_LEN] = '_';
	check_of(ret, ret + BODY_LEN + 1);
	ret[TOKEN_TEXT - 1] = '\0';
}

static void token_show(const struct controller *c, struct token_record *t)
{
	uint64_t now = network_time(c);
	t->row.expires_in = t->row.expires && t->until > now ? t->until - now : 0;
}

static enum admin_status token_judge(struct controller *c, const struct token_settings *s, struct admin_error *error)
{
	uint64_t id;
	unsigned n = TOKENS_MAX;
	if (!policy_name(s->name)) {
		admin_error_set(error, "Not a name", "Give 1 to 48 bytes of text, such as where it is used.",
		                "The name is empty, too long or has control characters.");
		return ADMIN_INVALID;
	}
	if ((!s->rights && !s->n_networks) || s->rights & ~(unsigned)(RIGHT_READ | RIGHT_APPROVE | RIGHT_ADMIN) ||
	    s->n_networks > TOKEN_NETWORKS_MAX || s->expires_in > TOKEN_LIFE_MAX_S) {
		admin_error_set(error, "Not a token", "Scopes are read, members:approve, network:ID:write and admin.",
		                "A token needs a scope, is for at most %d networks, and expires within ten years or never.",
		                TOKEN_NETWORKS_MAX);
		return ADMIN_INVALID;
	}
	for (unsigned i = 0; i < s->n_networks; i++)
		if (!publication_find(c, s->networks[i])) {
			admin_error_set(error, "No such network", "`farlan network list` shows the networks of this controller.",
			                "This controller has no network %016" PRIx64 ".", s->networks[i]);
			return ADMIN_NOT_FOUND;
		}
	int r = store_token_count(c->store, &n);
	if (r)
		return unreadable(error, r);
	if (n >= TOKENS_MAX) {
		admin_error_set(error, "Too many tokens", "Revoke one first: farlan token revoke NAME", "There are at most %d tokens.",
		                TOKENS_MAX);
		return ADMIN_CONFLICT;
	}
	r = store_token_named(c->store, s->name, &id);
	if (!r) {
		admin_error_set(error, "The name is taken", "Choose another name.", "Token %016" PRIx64 " has this name.", id);
		return ADMIN_CONFLICT;
	}
	return r == -ENOENT ? ADMIN_OK : unreadable(error, r);
}

enum admin_status controller_token_create(struct controller *c, const struct token_settings *s, struct token_row *ret,
                                          char ret_text[TOKEN_TEXT], struct admin_error *error)
{
	struct token_record t = {
	    .row = {.rights = s->rights, .n_networks = s->n_networks, .expires = s->expires_in != 0, .created_wall_s = c->wall_s},
	    .until = network_time(c) + s->expires_in};
	char text[TOKEN_TEXT];
	enum admin_status status = admin_begin(c, error);
	if (!status)
		status = token_judge(c, s, error);
	if (status)
		return status;
	snprintf(t.row.name, sizeof(t.row.name), "%s", s->name);
	snprintf(t.row.creator, sizeof(t.row.creator), "%s", c->actor.name);
	memcpy(t.row.networks, s->networks, sizeof(t.row.networks));
	token_text(text);
	t.row.id = token_id(text, t.hash);
	status = act(c, store_token_insert(c->store, &t), "token.create", s->name, error);
	if (!status)
		status = controller_token_get(c, t.row.id, ret, error);
	if (!status)
		memcpy(ret_text, text, sizeof(text));
	wipe(text, sizeof(text));
	return status;
}

enum admin_status controller_token_get(struct controller *c, uint64_t id, struct token_row *ret, struct admin_error *error)
{
	struct token_record t;
	int r = store_token_get(c->store, id, &t);
	if (r == -ENOENT) {
		admin_error_set(error, "No such token", "`farlan token list` shows the tokens.", "There is no token %016" PRIx64 ".", id);
		return ADMIN_NOT_FOUND;
	}
	if (r)
		return unreadable(error, r);
	token_show(c, &t);
	*ret = t.row;
	return ADMIN_OK;
}

enum admin_status controller_token_revoke(struct controller *c, uint64_t id, struct admin_error *error)
{
	struct token_row row;
	enum admin_status status = admin_begin(c, error);
	if (!status)
		status = controller_token_get(c, id, &row, error);
	return status ? status : act(c, store_token_delete(c->store, id), "token.revoke", row.name, error);
}

struct showing {
	struct controller *c;
	void (*each)(void *, const struct token_row *);
	void *self;
};

static void show(void *self, const struct token_record *record)
{
	struct showing *s = self;
	struct token_record t = *record;
	token_show(s->c, &t);
	s->each(s->self, &t.row);
}

enum admin_status controller_token_each(struct controller *c, void (*each)(void *, const struct token_row *), void *self,
                                        struct admin_error *error)
{
	struct showing s = {.c = c, .each = each, .self = self};
	int r = store_token_each(c->store, show, &s);
	return r ? unreadable(error, r) : ADMIN_OK;
}

bool controller_token_find(struct controller *c, const char *text, size_t len, struct token_row *ret)
{
	struct token_record t;
	uint8_t hash[32];
	if (!token_text_good(text, len))
		return false;
	if (store_token_get(c->store, token_id(text, hash), &t) || !bytes_equal(hash, t.hash, sizeof(hash)))
		return false;
	if (t.row.expires && network_time(c) >= t.until)
		return false;
	if (c->wall_s >= t.row.used_wall_s + TOKEN_WRITE_S && writable(c))
		store_token_used(c->store, t.row.id, c->wall_s); /* with the turn */
	token_show(c, &t);
	*ret = t.row;
	return true;
}

/* ---- who came in -------------------------------------------------------------------- */

/* May this source's failure stand in the audit? */
static bool failure_told(struct controller *c, const char *from)
{
	struct accounts *a = c->accounts;
	unsigned at = a->n_failures;
	for (unsigned i = 0; i < a->n_failures; i++) {
		bool old = c->now_ms - a->failures[i].at >= FAILURE_MS;
		if (!strcmp(a->failures[i].from, from)) {
			if (!old)
				return false;
			at = i;
			break;
		}
		if (old)
			at = i;
	}
	if (at == FAILURES_MAX)
		return false;
	if (at == a->n_failures)
		a->n_failures++;
	snprintf(a->failures[at].from, sizeof(a->failures[at].from), "%s", from);
	a->failures[at].at = c->now_ms;
	return true;
}

void controller_login_note(struct controller *c, const char *user, const char *from, bool good)
{
	struct audit_detail detail = {0};
	struct actor was = c->actor;
	if (!writable(c) || (!good && !failure_told(c, from)))
		return;
	snprintf(c->actor.name, sizeof(c->actor.name), "%s%s", good && *user ? "user:" : good ? "link" : "stranger", good ? user : "");
	snprintf(c->actor.from, sizeof(c->actor.from), "%s", from);
	if (!good && *user)
		audit_detail_text(&detail, "user", user_name_good(user) ? user : "(no name)");
	audit_note(c, good ? "user.login" : "user.login.fail", 0, 0, audit_detail_end(&detail)); /* a failure shows at the commit */
	c->actor = was;
}
