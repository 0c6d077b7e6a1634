/* Theory of operation: tokens of programs. Random, and kept as their hash only. A token is found by the first eight bytes of
 * its hash, which are its id, and then compared whole in constant time. Its rights are its own: what becomes of the user who made
 * it changes nothing about it, which is why every token says who that was. */
#include "controller/account_parts.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "controller/store_account.h"
#include "proto/random.h"

#define TOKEN_WRITE_S (15 * 60) /* a token's last use in the database is this old at most */

static const char TOKEN_LABEL[] = "farlan token", CHECK_LABEL[] = "farlan token check";
static const char base58[] = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";

static enum admin_status act(struct controller *c, int r, const char *action, const char *name, struct admin_error *error)
{
	struct audit_detail detail = {0};
	audit_detail_text(&detail, "name", name);
	return account_act(c, r, action, &detail, error);
}

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
		return account_unreadable(error, r);
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
	return r == -ENOENT ? ADMIN_OK : account_unreadable(error, r);
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
		return account_unreadable(error, r);
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
	return r ? account_unreadable(error, r) : ADMIN_OK;
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
	if (c->wall_s >= t.row.used_wall_s + TOKEN_WRITE_S && account_writable(c))
		store_token_used(c->store, t.row.id, c->wall_s); /* with the turn */
	token_show(c, &t);
	*ret = t.row;
	return true;
}
