/* Theory of operation: users and sessions. What opens something is random and is kept as its hash only: who reads the database
 * or its backup can sign in as nobody. What a user may do is asked of the database whenever his session is found: a role that
 * was changed counts at the next request.
 *
 * Sessions are looked up at every request of a page, so they stand in memory; the database follows when one begins, when it
 * ends, and every few minutes of use. A write that fails here breaks nobody's edit: it is left out while the disk is known to
 * refuse. Lifetimes are network time, which stands while the disk is full and while the controller is off. */
#include "controller/account_parts.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controller/audit.h"
#include "controller/store_account.h"
#include "proto/base/log.h"
#include "proto/random.h"

#define SESSION_WRITE_S (5 * 60) /* a used session's row is this old at most */
#define FAILURE_MS      60000    /* in this time the audit has one failed login of a source */

static const char SESSION_LABEL[] = "farlan page session";

bool account_writable(const struct controller *c)
{
	return c->trusted && c->now_ms >= c->retry_at;
}

enum admin_status account_unreadable(struct admin_error *error, int r)
{
	admin_error_set(error, "The database cannot be read", "See the log, and the disk.", "%s.", strerror(-r));
	return ADMIN_UNAVAILABLE;
}

enum admin_status account_act(struct controller *c, int r, const char *action, struct audit_detail *detail, struct admin_error *error)
{
	if (!r)
		r = audit_note(c, action, 0, 0, audit_detail_end(detail));
	enum admin_status status = admin_commit(c, r, error);
	if (status == ADMIN_OK)
		change_note(c, CHANGE_ACCOUNT, 0, 0, false);
	return status;
}

/* ... of which there is no more to say than its name. */
static enum admin_status act(struct controller *c, int r, const char *action, const char *name, struct admin_error *error)
{
	struct audit_detail detail = {0};
	audit_detail_text(&detail, "name", name);
	return account_act(c, r, action, &detail, error);
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
	if (account_writable(c))
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
	if (account_writable(c) && *user)
		r = store_user_seen(c->store, user, c->wall_s);
	if (account_writable(c) && !r)
		r = store_session_put(c->store, s);
	if (r || turn_commit(c))
		log_warning("controller: a session is not on disk, and ends with this process");
	if (r)
		turn_abort(c, r);
	return 0;
}

/* What its user may do by now. false: he is no more. A database that cannot be read leaves what was known. */
static bool session_user(struct controller *c, struct session_row *s)
{
	struct user_row row;
	if (!*s->user) {
		s->role = ROLE_ADMIN;
		return true;
	}
	int r = store_user_get(c->store, s->user, &row, NULL);
	if (r)
		return r != -ENOENT;
	s->role = row.role;
	s->factor = row.factor;
	s->recovery_left = row.recovery_left;
	return true;
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
	if (!session_user(c, s))
		return NULL;
	s->used = network_time(c);
	if (s->used >= a->written[found] + SESSION_WRITE_S && account_writable(c)) {
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
	if (account_writable(c))
		store_session_delete(c->store, copy);
	change_note(c, CHANGE_ACCOUNT, 0, 0, false); /* streams that it opened end with it */
}

void account_sessions_end(struct controller *c, const char *user, const uint8_t *but)
{
	struct accounts *a = c->accounts;
	for (unsigned i = a->n_sessions; i-- > 0;)
		if (!strcmp(a->sessions[i].user, user) && !(but && !memcmp(a->sessions[i].hash, but, 32)))
			remove_at(a, i);
}

int account_sessions_delete(struct controller *c, const char *user, const uint8_t *but)
{
	const struct accounts *a = c->accounts;
	int r = 0;
	for (unsigned i = 0; !r && i < a->n_sessions; i++)
		if (!strcmp(a->sessions[i].user, user) && !(but && !memcmp(a->sessions[i].hash, but, 32)))
			r = store_session_delete(c->store, a->sessions[i].hash);
	return r;
}

/* ---- users -------------------------------------------------------------------------- */

static const char *const roles[] = {[ROLE_READ] = "read", [ROLE_APPROVE] = "approve", [ROLE_ADMIN] = "admin"};

const char *role_name(enum role role)
{
	return role >= ROLE_READ && role <= ROLE_ADMIN ? roles[role] : "none";
}

enum role role_named(const char *name)
{
	for (int role = ROLE_READ; role <= ROLE_ADMIN; role++)
		if (!strcmp(name, roles[role]))
			return (enum role)role;
	return ROLE_NONE;
}

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
	return r ? account_unreadable(error, r) : ADMIN_OK;
}

enum admin_status controller_user_each(struct controller *c, void (*each)(void *, const struct user_row *), void *self,
                                       struct admin_error *error)
{
	int r = store_user_each(c->store, each, self);
	return r ? account_unreadable(error, r) : ADMIN_OK;
}

bool controller_user_kept(struct controller *c, const char *name, char ret[KEPT_MAX])
{
	struct user_row row;
	*ret = '\0';
	return user_name_good(name) && !store_user_get(c->store, name, &row, ret) && *ret;
}

enum admin_status controller_user_add(struct controller *c, const char *name, const char *kept, enum role role, bool first,
                                      struct admin_error *error)
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
	if (!n && role != ROLE_ADMIN) {
		admin_error_set(error, "The first user is an admin", "Add an admin first, then the others.",
		                "Without an admin nobody could see to this controller.");
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
		return account_unreadable(error, r);
	struct audit_detail detail = {0};
	audit_detail_text(&detail, "name", name);
	audit_detail_text(&detail, "role", role_name(role));
	return account_act(c, store_user_insert(c->store, name, kept, role, c->wall_s), "user.add", &detail, error);
}

/* May he cease to be an admin? */
static enum admin_status last_judge(struct controller *c, const struct user_row *row, struct admin_error *error)
{
	unsigned n = 0;
	int r = store_admin_count(c->store, &n);
	if (r)
		return account_unreadable(error, r);
	if (row->role != ROLE_ADMIN || n > 1)
		return ADMIN_OK;
	admin_error_set(error, "The last admin stays", "Make another one first: farlan user add NAME, or farlan user role NAME admin",
	                "Without an admin nobody could see to this controller from afar.");
	return ADMIN_CONFLICT;
}

enum admin_status controller_user_role(struct controller *c, const char *name, enum role role, struct admin_error *error)
{
	struct audit_detail detail = {0};
	struct user_row row = {0};
	enum admin_status status = admin_begin(c, error);
	if (!status)
		status = controller_user_get(c, name, &row, error);
	if (status || row.role == role)
		return status;
	status = last_judge(c, &row, error);
	if (status)
		return status;
	audit_detail_text(&detail, "name", name);
	audit_detail_change(&detail, "role", role_name(row.role), role_name(role));
	return account_act(c, store_user_role(c->store, name, role), "user.role", &detail, error); /* ends streams, too */
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
		r = account_sessions_delete(c, name, but);
	status = act(c, r, "user.password", name, error);
	if (!status)
		account_sessions_end(c, name, but);
	return status;
}

void controller_user_kept_anew(struct controller *c, const char *name, const char *kept)
{
	if (account_writable(c))
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
	status = last_judge(c, &row, error);
	if (status)
		return status;
	status = act(c, store_user_delete(c->store, name), "user.delete", name, error); /* its sessions' rows go with it */
	if (!status)
		account_sessions_end(c, name, NULL);
	return status;
}

/* ---- who came in -------------------------------------------------------------------- */

/* May this source's failure stand in the audit? */
bool account_failure_told(struct controller *c, const char *from)
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
	if (!account_writable(c) || (!good && !account_failure_told(c, from)))
		return;
	snprintf(c->actor.name, sizeof(c->actor.name), "%s%s", good && *user ? "user:" : good ? "link" : "stranger", good ? user : "");
	snprintf(c->actor.from, sizeof(c->actor.from), "%s", from);
	if (!good && *user)
		audit_detail_text(&detail, "user", user_name_good(user) ? user : "(no name)");
	audit_note(c, good ? "user.login" : "user.login.fail", 0, 0, audit_detail_end(&detail)); /* a failure shows at the commit */
	c->actor = was;
}
