/* invite_test.c: invitations at the controller: who comes in by a key and who does not, how often, and what a crash leaves of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <signal.h>
#include <sodium.h>

#include "controller/audit.h"
#include "controller/controller.h"
#include "controller/invite.h"
#include "proto/base/heap.h"
#include "test/unit/controller_bed.h"

#define WALL     1700000000
#define CROWD    64
#define NOBODY   UINT_MAX
#define SILENT   99 /* no answer yet */
#define DIR_ROOM 64

struct world {
	struct controller *c;
	struct secret self;
	char dir[DIR_ROOM];
	uint64_t now, nwid;
	uint8_t answer[CROWD + 8]; /* enum join_status, by person */
	uint64_t serial[CROWD + 8];
	unsigned sends, die_at_send; /* kill -9 when that many letters have left; 0 = never */
	unsigned invite_changes;
};

/* Each one's session has its own. */
static void exporter_of(unsigned n, uint8_t ret[32])
{
	memset(ret, (int)(0x80 ^ n), 32);
	ret[0] = (uint8_t)(n >> 8);
}

static bool port_send(void *self, const uint8_t key_hash[KEY_HASH_BYTES], const struct message *m)
{
	struct world *w = self;
	struct body_join_res res;
	if (m->op != (OP_JOIN_REQ | OP_REPLY))
		return true;
	if (w->die_at_send && ++w->sends >= w->die_at_send)
		raise(SIGKILL);
	assert_true(body_join_res_parse(m->body, m->len, &res));
	for (unsigned n = 0; n < CROWD + 8; n++) {
		struct identity who = person(n);
		if (memcmp(who.key_hash, key_hash, KEY_HASH_BYTES) != 0)
			continue;
		w->answer[n] = res.status;
		if (res.status == JOIN_OK) {
			struct memberconf conf;
			struct cred cred;
			assert_true(memberconf_parse(res.memberconf, res.memberconf_len, &conf));
			assert_true(cred_open(conf.cred, conf.cred_len, w->self.self.ed, &cred));
			w->serial[n] = cred.serial;
		}
	}
	return true;
}

static void port_changed(void *self, const struct change *change)
{
	((struct world *)self)->invite_changes += change->kind == CHANGE_INVITE;
}

static void settle(struct world *w, uint64_t after)
{
	w->now += after;
	controller_settle(w->c, w->now, WALL);
}

/* So many seconds, in steps small enough for the ceiling of network time. */
static void pass(struct world *w, unsigned s)
{
	for (unsigned i = 0; i < s; i++)
		settle(w, 1000);
}

static void world_open(struct world *w)
{
	struct controller_port port = {.self = w, .send = port_send, .changed = port_changed};
	const char *why = "";
	if (controller_open(&w->c, w->dir, &w->self, &port, w->now, WALL, &why))
		fail_msg("%s", why);
	memset(w->answer, SILENT, sizeof w->answer);
}

static struct world *world_new(bool on_disk, const char *pool)
{
	static const uint8_t seed[32] = {7};
	struct world *w = calloc(1, sizeof(*w));
	assert_non_null(w);
	struct network_settings s = {.set = SET_NET_NAME, .name = "by invitation"};
	struct admin_error e;
	memset(w->self.self.x, 9, 32);
	crypto_sign_seed_keypair(w->self.self.ed, w->self.ed, seed);
	identity_hash(&w->self.self);
	w->self.self.address = 0xfe00000001;
	w->now = 1000;
	snprintf(w->dir, sizeof w->dir, "%s", on_disk ? "/tmp/invite-test-XXXXXX" : ":memory:");
	if (on_disk)
		assert_non_null(mkdtemp(w->dir));
	if (pool) {
		s.set |= SET_NET_POOL;
		assert_true(prefix_parse(pool, true, &s.pool));
	}
	world_open(w);
	assert_int_equal(controller_network_create(w->c, &s, &w->nwid, &e), ADMIN_OK);
	settle(w, 1000);
	return w;
}

static void world_free(struct world *w)
{
	char command[DIR_ROOM + 16];
	controller_close(w->c);
	if (w->dir[0] == '/') {
		snprintf(command, sizeof command, "rm -rf %s", w->dir);
		assert_int_equal(system(command), 0);
	}
	free(w);
}

static struct invite_row invite(struct world *w, const struct invite_terms *terms, uint64_t expires_in_s, struct invite_key *ret_key)
{
	struct invite_row row;
	struct admin_error e = {0};
	if (controller_invite_create(w->c, w->nwid, terms, expires_in_s, ret_key, &row, &e))
		fail_msg("%s %s", e.title, e.detail);
	return row;
}

static struct invite_row row_of(struct world *w, uint64_t id)
{
	struct invite_row row;
	struct admin_error e;
	assert_int_equal(controller_invite_get(w->c, w->nwid, id, &row, &e), ADMIN_OK);
	return row;
}

struct proof { /* what may be wrong with one */
	const struct invite_key *key;
	unsigned signed_by, session; /* NOBODY = as it should be */
	uint64_t nwid;               /* 0 = likewise */
	bool untold;                 /* the node did not say which session it came by */
};

/* Person n asks; the answer comes with the next settle. */
static void asks_with(struct world *w, unsigned n, const struct proof *p)
{
	uint8_t body[BODY_MAX], signed_for[32], told[32];
	struct identity who = person(n), signer = person(p && p->signed_by != NOBODY ? p->signed_by : n);
	struct body_join_req req = {.nwid = w->nwid, .identity = who, .hostname = "h", .os = "o", .version = "v", .asked = 5};
	exporter_of(n, told);
	exporter_of(p && p->session != NOBODY ? p->session : n, signed_for);
	if (p && p->key) {
		req.invite = p->key->id;
		invite_sign(p->key->seed, signed_for, p->nwid ? p->nwid : w->nwid, signer.key_hash, req.proof);
	}
	struct message m = {.req = 77 + n, .op = OP_JOIN_REQ, .body = body, .exporter = p && p->untold ? NULL : told};
	m.len = body_join_req_encode(&req, body, sizeof(body));
	assert_true(m.len > 0);
	controller_request(w->c, &who, NULL, &m, w->now, WALL);
}

static void asks(struct world *w, unsigned n, const struct invite_key *key)
{
	asks_with(w, n, &(struct proof){.key = key, .signed_by = NOBODY, .session = NOBODY});
}

static enum join_status answered(struct world *w, unsigned n)
{
	w->answer[n] = SILENT;
	settle(w, 300); /* past the pause of a busy network: what was published is told */
	return (enum join_status)w->answer[n];
}

static enum join_status joins(struct world *w, unsigned n, const struct invite_key *key)
{
	asks(w, n, key);
	return answered(w, n);
}

static bool member_is(struct world *w, unsigned n, enum member_state state)
{
	struct member_row row;
	struct admin_error e;
	return !controller_member_get(w->c, w->nwid, person(n).address, &row, &e) && row.state == state;
}

static struct member_row member_of(struct world *w, unsigned n)
{
	struct member_row row;
	struct admin_error e;
	assert_int_equal(controller_member_get(w->c, w->nwid, person(n).address, &row, &e), ADMIN_OK);
	return row;
}

static unsigned approved(struct world *w)
{
	unsigned n = 0;
	for (unsigned i = 0; i < CROWD + 8; i++)
		n += member_is(w, i, MEMBER_APPROVED);
	return n;
}

static void count_entry(void *self, const struct audit_entry *entry)
{
	(void)entry;
	++*(unsigned *)self;
}

static unsigned audited(struct world *w, const char *action)
{
	struct audit_query q = {.nwid = w->nwid, .limit = 1000};
	struct admin_error e;
	uint64_t total;
	unsigned n = 0;
	snprintf(q.action, sizeof q.action, "%s", action);
	assert_int_equal(controller_audit_each(w->c, &q, count_entry, &n, &total, &e), ADMIN_OK);
	return n;
}

/* ---- coming in --------------------------------------------------------------------------------------------------------- */

static void lets_one_in(void **state)
{
	struct world *w = world_new(false, "10.9.0.0/24");
	struct invite_terms t = {.uses = 1, .name = "for anna", .flags_on = MEMBER_RELAY};
	struct invite_key key;
	(void)state;
	assert_true(tags_add(&t.tags, "eng"));
	struct invite_row row = invite(w, &t, 0, &key);
	assert_int_equal(row.state, INVITE_OPEN);
	assert_int_equal(row.uses_left, 1);
	settle(w, 0);
	assert_int_equal(w->invite_changes, 1);
	assert_int_equal(joins(w, 0, &key), JOIN_OK);
	struct member_row m = member_of(w, 0);
	assert_int_equal(m.state, MEMBER_APPROVED);
	assert_int_equal(m.invite, key.id);
	assert_int_equal(m.n_ips, 1);
	assert_true(m.flags & MEMBER_RELAY);
	assert_true(tags_have(&m.tags, "eng"));
	row = row_of(w, key.id);
	assert_int_equal(row.state, INVITE_SPENT);
	assert_int_equal(row.uses_left, 0);
	assert_int_equal(audited(w, "invite.create"), 1);
	assert_int_equal(audited(w, "invite.spend"), 1);
	assert_int_equal(w->invite_changes, 2);
	/* again and again, with it and without: the same, and nothing more is spent */
	uint64_t serial = w->serial[0], revision = row_of(w, key.id).revision;
	assert_int_equal(joins(w, 0, &key), JOIN_OK);
	assert_int_equal(joins(w, 0, NULL), JOIN_OK);
	assert_int_equal(w->serial[0], serial);
	assert_int_equal(row_of(w, key.id).revision, revision);
	assert_int_equal(member_of(w, 0).ips[0].ip[3], m.ips[0].ip[3]);
	/* another one comes too late */
	assert_int_equal(joins(w, 1, &key), JOIN_PENDING);
	assert_int_equal(approved(w), 1);
	assert_int_equal(audited(w, "invite.spend"), 1);
	world_free(w);
}

static void who_waits_already(void **state)
{
	struct world *w = world_new(false, NULL);
	struct invite_key key;
	(void)state;
	invite(w, &(struct invite_terms){.uses = 3}, 0, &key);
	assert_int_equal(joins(w, 0, NULL), JOIN_PENDING);
	assert_int_equal(joins(w, 0, &key), JOIN_OK);
	assert_true(member_is(w, 0, MEMBER_APPROVED));
	assert_int_equal(row_of(w, key.id).uses_left, 2);
	world_free(w);
}

static void proof_of_another(void **state)
{
	struct world *w = world_new(false, NULL);
	struct invite_key key, foreign;
	(void)state;
	invite(w, &(struct invite_terms){.uses = 0}, 0, &key);
	foreign = key;
	foreign.seed[0] ^= 1; /* the id is known, as from a list, the key is not */
	const struct proof wrong[] = {
	    {.key = &key, .signed_by = 7, .session = NOBODY}, /* overheard from another */
	    {.key = &key, .signed_by = NOBODY, .session = 7}, /* of another session, such as with a false controller */
	    {.key = &key, .signed_by = NOBODY, .session = NOBODY, .nwid = w->nwid + 1}, /* for another network */
	    {.key = &foreign, .signed_by = NOBODY, .session = NOBODY},                  /* of another key */
	    {.key = &key, .signed_by = NOBODY, .session = NOBODY, .untold = true},      /* of no session at all */
	};
	for (unsigned i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		asks_with(w, i, &wrong[i]);
		assert_int_equal(answered(w, i), JOIN_PENDING);
	}
	assert_int_equal(approved(w), 0);
	foreign = key;
	foreign.id++;
	assert_int_equal(joins(w, 8, &foreign), JOIN_PENDING);
	assert_int_equal(audited(w, "invite.spend"), 0);
	assert_int_equal(joins(w, 0, &key), JOIN_OK);
	world_free(w);
}

/* An invitation of one network is none of another's. */
static void of_another_network(void **state)
{
	struct world *w = world_new(false, NULL);
	struct network_settings s = {.set = SET_NET_NAME, .name = "another"};
	struct invite_key key;
	struct admin_error e;
	(void)state;
	invite(w, &(struct invite_terms){.uses = 1}, 0, &key);
	assert_int_equal(controller_network_create(w->c, &s, &w->nwid, &e), ADMIN_OK);
	settle(w, 1000);
	assert_int_equal(joins(w, 0, &key), JOIN_PENDING);
	struct invite_row row;
	assert_int_equal(controller_invite_get(w->c, w->nwid, key.id, &row, &e), ADMIN_NOT_FOUND);
	assert_int_equal(controller_invite_revoke(w->c, w->nwid, key.id, &row, &e), ADMIN_NOT_FOUND);
	world_free(w);
}

static void who_was_put_out(void **state)
{
	struct world *w = world_new(false, NULL);
	struct invite_key key;
	struct admin_error e;
	(void)state;
	invite(w, &(struct invite_terms){.uses = 0}, 0, &key);
	for (unsigned n = 0; n < 4; n++)
		assert_int_equal(joins(w, n, n == 1 ? &key : NULL), n == 1 ? JOIN_OK : JOIN_PENDING);
	assert_int_equal(controller_member_deny(w->c, w->nwid, person(0).address, NULL, &e), ADMIN_OK);
	assert_int_equal(controller_member_revoke(w->c, w->nwid, person(1).address, NULL, &e), ADMIN_OK);
	assert_int_equal(controller_member_ban(w->c, w->nwid, person(2).address, NULL, &e), ADMIN_OK);
	assert_int_equal(controller_member_delete(w->c, w->nwid, person(3).address, &e), ADMIN_OK);
	settle(w, 1000);
	for (unsigned n = 0; n < 4; n++)
		assert_int_equal(joins(w, n, &key), JOIN_DENIED);
	assert_int_equal(approved(w), 0);
	world_free(w);
}

static void ends(void **state)
{
	struct world *w = world_new(false, NULL);
	struct invite_key short_one, withdrawn;
	struct invite_row row;
	struct admin_error e;
	(void)state;
	row = invite(w, &(struct invite_terms){.uses = 9}, 30, &short_one);
	assert_in_range(row.expires_in_s, 29, 30);
	assert_in_range(row.expires_wall_s, WALL + 29, WALL + 30);
	invite(w, &(struct invite_terms){.uses = 9}, 0, &withdrawn);
	assert_int_equal(joins(w, 0, &short_one), JOIN_OK);
	pass(w, 40);
	assert_int_equal(row_of(w, short_one.id).state, INVITE_EXPIRED);
	assert_int_equal(audited(w, "invite.expire"), 1);
	assert_int_equal(joins(w, 1, &short_one), JOIN_PENDING);
	assert_int_equal(controller_invite_revoke(w->c, w->nwid, withdrawn.id, &row, &e), ADMIN_OK);
	assert_int_equal(row.state, INVITE_REVOKED);
	assert_int_equal(controller_invite_revoke(w->c, w->nwid, withdrawn.id, &row, &e), ADMIN_OK); /* said twice */
	assert_int_equal(audited(w, "invite.revoke"), 1);
	assert_int_equal(joins(w, 2, &withdrawn), JOIN_PENDING);
	assert_true(member_is(w, 0, MEMBER_APPROVED)); /* who came in stays */
	pass(w, 40);
	assert_int_equal(audited(w, "invite.expire"), 1);
	world_free(w);
}

/* Whoever guesses gets no more tries than any stranger, so that each costs a verification at most. */
static void guesses_are_limited(void **state)
{
	struct world *w = world_new(false, NULL);
	struct invite_key key, foreign;
	(void)state;
	invite(w, &(struct invite_terms){.uses = 1}, 0, &key);
	foreign = key;
	foreign.seed[5] ^= 1;
	for (unsigned i = 0; i < 40; i++)
		assert_int_equal(joins(w, 0, &foreign), JOIN_PENDING);
	assert_int_equal(joins(w, 0, &key), JOIN_PENDING); /* even the right one is not looked at now */
	pass(w, 11);
	assert_int_equal(joins(w, 0, &key), JOIN_OK);
	world_free(w);
}

static void nobody_came(void **state)
{
	struct world *w = world_new(false, "10.9.0.0/30"); /* two addresses */
	struct invite_key key;
	(void)state;
	invite(w, &(struct invite_terms){.uses = 5}, 0, &key);
	assert_int_equal(joins(w, 0, &key), JOIN_OK);
	assert_int_equal(joins(w, 1, &key), JOIN_OK);
	assert_int_equal(joins(w, 2, &key), JOIN_TRY_LATER); /* the pool is empty: nothing was spent for it */
	assert_int_equal(row_of(w, key.id).uses_left, 3);
	assert_int_equal(approved(w), 2);
	world_free(w);
}

/* ---- at once ------------------------------------------------------------------------------------------------------------ */

static void crowd(unsigned uses, bool one_turn)
{
	struct world *w = world_new(false, "10.9.0.0/24");
	struct invite_key key;
	invite(w, &(struct invite_terms){.uses = uses}, 0, &key);
	for (unsigned n = 0; n < CROWD; n++) {
		asks(w, n, &key);
		if (!one_turn)
			settle(w, n % 3);
	}
	settle(w, 300);
	settle(w, 300);
	unsigned in = 0;
	for (unsigned n = 0; n < CROWD; n++) {
		in += w->answer[n] == JOIN_OK;
		assert_true(w->answer[n] == JOIN_OK || w->answer[n] == JOIN_PENDING);
		assert_int_equal(w->answer[n] == JOIN_OK, member_is(w, n, MEMBER_APPROVED));
	}
	assert_int_equal(in, uses);
	assert_int_equal(approved(w), uses);
	assert_int_equal(audited(w, "invite.spend"), uses);
	world_free(w);
}

static void crowds(void **state)
{
	(void)state;
	crowd(1, true);
	crowd(1, false);
	crowd(5, true);
	crowd(5, false);
}

/* The controller dies while sixty-four come by a key for one: at a letter, or before a turn ends. Afterwards all ask again. */
static void killed(struct world *w, const struct invite_key *key, unsigned turn, unsigned die_at_send, bool before_settle)
{
	pid_t child = fork();
	assert_true(child >= 0);
	if (!child) {
		world_open(w);
		w->die_at_send = die_at_send;
		for (unsigned n = 0; n < CROWD; n++) {
			asks(w, n, key);
			if (n % turn != turn - 1)
				continue;
			if (before_settle && n / turn == die_at_send)
				raise(SIGKILL);
			settle(w, 1);
		}
		settle(w, 300);
		raise(SIGKILL);
	}
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static void crash(unsigned turn, unsigned at, bool before_settle)
{
	struct world *w = world_new(true, "10.9.0.0/24");
	struct invite_key key;
	invite(w, &(struct invite_terms){.uses = 1}, 0, &key);
	settle(w, 300);
	controller_close(w->c);
	w->c = NULL;
	killed(w, &key, turn, at, before_settle);
	world_open(w);
	settle(w, 300);
	assert_true(approved(w) <= 1);
	unsigned first = NOBODY;
	for (unsigned n = 0; n < CROWD; n++)
		if (member_is(w, n, MEMBER_APPROVED))
			first = n;
	assert_int_equal(row_of(w, key.id).uses_left, first == NOBODY ? 1 : 0);
	assert_int_equal(audited(w, "invite.spend"), first == NOBODY ? 0 : 1);
	for (unsigned n = CROWD; n-- > 0;)
		asks(w, n, &key);
	settle(w, 300);
	settle(w, 300);
	assert_int_equal(approved(w), 1);
	for (unsigned n = 0; n < CROWD; n++)
		assert_int_equal(w->answer[n], member_is(w, n, MEMBER_APPROVED) ? JOIN_OK : JOIN_PENDING);
	assert_true(first == NOBODY || w->answer[first] == JOIN_OK); /* who was in stays in */
	assert_int_equal(audited(w, "invite.spend"), 1);
	world_free(w);
}

static void crashes(void **state)
{
	(void)state;
	for (unsigned at = 1; at <= 12; at++)
		crash(8, at, false);
	for (unsigned at = 0; at < 4; at++)
		crash(16, at, true);
	crash(64, 1, false);
	crash(1, 2, false);
	crash(1, 1, true);
}

/* What is stolen with the database lets nobody in. */
static void key_is_not_kept(void **state)
{
	struct world *w = world_new(true, NULL);
	struct invite_key key;
	char path[DIR_ROOM + 32];
	static const char *const files[] = {"controller.db", "controller.db-wal"};
	(void)state;
	invite(w, &(struct invite_terms){.uses = 1}, 0, &key);
	assert_int_equal(joins(w, 0, &key), JOIN_OK);
	for (unsigned i = 0; i < 2; i++) {
		static uint8_t bytes[8 << 20];
		snprintf(path, sizeof path, "%s/%s", w->dir, files[i]);
		FILE *f = fopen(path, "rb");
		assert_non_null(f);
		size_t n = fread(bytes, 1, sizeof bytes, f);
		fclose(f);
		assert_true(n < sizeof bytes);
		assert_null(memmem(bytes, n, key.seed, 32));
		assert_null(memmem(bytes, n, key.seed, 16));
	}
	world_free(w);
}

/* ---- ephemeral members -------------------------------------------------------------------------------------------------- */

static void online(struct world *w, unsigned n, bool is)
{
	struct identity who = person(n);
	controller_online(w->c, who.key_hash, is, w->now, WALL);
	settle(w, 0);
}

static void goes_when_away(void **state)
{
	struct world *w = world_new(false, "10.9.0.0/30");
	struct invite_key key;
	struct member_row m;
	struct admin_error e;
	(void)state;
	invite(w, &(struct invite_terms){.uses = 0, .ephemeral_s = 60}, 0, &key);
	online(w, 0, true);
	online(w, 1, true);
	assert_int_equal(joins(w, 0, &key), JOIN_OK);
	assert_int_equal(joins(w, 1, &key), JOIN_OK);
	assert_int_equal(member_of(w, 0).ephemeral_s, 60);
	pass(w, 200); /* as long as they are there nothing happens */
	assert_int_equal(approved(w), 2);
	online(w, 0, false);
	pass(w, 40);
	online(w, 0, true); /* back in time: it begins anew */
	online(w, 0, false);
	pass(w, 55);
	assert_int_equal(approved(w), 2);
	pass(w, 10);
	assert_int_equal(controller_member_get(w->c, w->nwid, person(0).address, &m, &e), ADMIN_NOT_FOUND);
	assert_true(member_is(w, 1, MEMBER_APPROVED));
	assert_int_equal(audited(w, "member.ephemeral"), 1);
	/* it does not come back by asking as before; its address is free for another */
	assert_int_equal(joins(w, 0, &key), JOIN_DENIED);
	assert_int_equal(joins(w, 2, &key), JOIN_OK);
	assert_int_equal(member_of(w, 2).n_ips, 1);
	world_free(w);
}

static void stays_over_a_restart(void **state)
{
	struct world *w = world_new(true, NULL);
	struct invite_key key;
	(void)state;
	invite(w, &(struct invite_terms){.uses = 0, .ephemeral_s = 100}, 0, &key);
	for (unsigned n = 0; n < 2; n++) {
		online(w, n, true);
		assert_int_equal(joins(w, n, &key), JOIN_OK);
	}
	controller_close(w->c);
	world_open(w); /* it was down itself: nobody was away for that */
	settle(w, 0);
	pass(w, 30);
	online(w, 0, true);
	pass(w, 60);
	assert_int_equal(approved(w), 2);
	pass(w, 80);
	assert_true(member_is(w, 0, MEMBER_APPROVED));
	assert_int_equal(approved(w), 1);
	world_free(w);
}

/* Its row is what keeps it out. */
static void put_out_stays_out(void **state)
{
	struct world *w = world_new(false, NULL);
	struct invite_key key;
	struct admin_error e;
	(void)state;
	invite(w, &(struct invite_terms){.uses = 0, .ephemeral_s = 20}, 0, &key);
	online(w, 0, true);
	assert_int_equal(joins(w, 0, &key), JOIN_OK);
	assert_int_equal(controller_member_revoke(w->c, w->nwid, person(0).address, NULL, &e), ADMIN_OK);
	online(w, 0, false);
	pass(w, 60);
	assert_true(member_is(w, 0, MEMBER_REVOKED));
	assert_int_equal(joins(w, 0, &key), JOIN_DENIED);
	world_free(w);
}

/* Its session would be kept for an hour after its machine died: who reports and does so no more is gone. */
static void goes_when_silent(void **state)
{
	struct world *w = world_new(false, NULL);
	struct invite_key key;
	uint8_t body[BODY_MAX];
	struct body_report report = {.nwid = w->nwid, .seq = 1};
	struct message m = {.req = 9, .op = OP_REPORT, .body = body};
	(void)state;
	invite(w, &(struct invite_terms){.uses = 0, .ephemeral_s = 30}, 0, &key);
	for (unsigned n = 0; n < 3; n++) {
		online(w, n, true);
		assert_int_equal(joins(w, n, &key), JOIN_OK);
	}
	m.len = body_report_encode(&report, body, sizeof body);
	for (unsigned s = 0; s < 600; s += 60) { /* 0 goes on, 1 says so once, 2 never does: of that one we know nothing */
		struct identity who = person(0), once = person(1);
		controller_request(w->c, &who, NULL, &m, w->now, WALL);
		if (!s)
			controller_request(w->c, &once, NULL, &m, w->now, WALL);
		pass(w, 60);
		assert_int_equal(member_is(w, 1, MEMBER_APPROVED) && member_of(w, 1).online, s < 120);
	}
	assert_true(member_of(w, 0).online);
	assert_true(member_of(w, 2).online);
	assert_int_equal(approved(w), 2);
	/* one that was only asleep is there again with its first word */
	struct identity who = person(0);
	pass(w, 120);
	assert_false(member_of(w, 0).online);
	controller_request(w->c, &who, NULL, &m, w->now, WALL);
	assert_true(member_of(w, 0).online);
	pass(w, 60);
	assert_true(member_is(w, 0, MEMBER_APPROVED));
	world_free(w);
}

/* ---- the admin's side --------------------------------------------------------------------------------------------------- */

static void count_row(void *self, const struct invite_row *row)
{
	(void)row;
	++*(unsigned *)self;
}

static void so_many(void **state)
{
	struct world *w = world_new(false, NULL);
	struct invite_terms t = {.uses = 1};
	struct invite_key key, first;
	struct invite_row row;
	struct admin_error e;
	unsigned n = 0;
	(void)state;
	invite(w, &t, 0, &first);
	for (unsigned i = 1; i < INVITES_MAX; i++)
		invite(w, &t, 0, &key);
	assert_int_equal(controller_invite_create(w->c, w->nwid, &t, 0, &key, &row, &e), ADMIN_CONFLICT);
	assert_int_equal(controller_invite_revoke(w->c, w->nwid, first.id, &row, &e), ADMIN_OK);
	invite(w, &t, 0, &key);
	assert_int_equal(controller_invite_get(w->c, w->nwid, first.id, &row, &e), ADMIN_NOT_FOUND); /* it made room */
	assert_int_equal(controller_invite_each(w->c, w->nwid, count_row, &n, &e), ADMIN_OK);
	assert_int_equal(n, INVITES_MAX);
	world_free(w);
}

static void nonsense(void **state)
{
	struct world *w = world_new(false, NULL);
	struct invite_key key;
	struct invite_row row;
	struct admin_error e;
	struct invite_terms bad[] = {
	    {.uses = INVITE_USES_MAX + 1},
	    {.uses = 1, .ephemeral_s = EPHEMERAL_MIN_S - 1},
	    {.uses = 1, .flags_on = MEMBER_RELAY, .flags_off = MEMBER_RELAY},
	    {.uses = 1, .flags_on = 1u << 31},
	    {.uses = 1, .name = "a\x01"},
	};
	(void)state;
	for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_int_equal(controller_invite_create(w->c, w->nwid, &bad[i], 0, &key, &row, &e), ADMIN_INVALID);
	assert_int_equal(
	    controller_invite_create(w->c, w->nwid, &(struct invite_terms){.uses = 1}, INVITE_LIFE_MAX_S + 1ull, &key, &row, &e),
	    ADMIN_INVALID);
	assert_int_equal(controller_invite_create(w->c, w->nwid + 1, &(struct invite_terms){.uses = 1}, 0, &key, &row, &e),
	                 ADMIN_NOT_FOUND);
	assert_int_equal(audited(w, "invite"), 0);
	world_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(lets_one_in),
	    cmocka_unit_test(who_waits_already),
	    cmocka_unit_test(proof_of_another),
	    cmocka_unit_test(of_another_network),
	    cmocka_unit_test(who_was_put_out),
	    cmocka_unit_test(ends),
	    cmocka_unit_test(guesses_are_limited),
	    cmocka_unit_test(nobody_came),
	    cmocka_unit_test(crowds),
	    cmocka_unit_test(crashes),
	    cmocka_unit_test(key_is_not_kept),
	    cmocka_unit_test(goes_when_away),
	    cmocka_unit_test(goes_when_silent),
	    cmocka_unit_test(stays_over_a_restart),
	    cmocka_unit_test(put_out_stays_out),
	    cmocka_unit_test(so_many),
	    cmocka_unit_test(nonsense),
	};
	return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
