/* What an admin can do with members, and time by itself: tags and addresses, approvals that end, delete, ban, preapproval, batches,
 * lists. Against a database in memory, and on disk where a restart is the point. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <sodium.h>

#include "controller/audit.h"
#include "controller/state.h"
#include "controller/tag.h"
#include "test/unit/controller_bed.h"

static struct controller *c;
static struct secret self;
static uint64_t nwid, now, typed;
static char dir[64];
static struct admin_error e;

static struct { /* the last JOIN_RES, and how many */
	unsigned n;
	struct body_join_res res;
	uint8_t key_hash[KEY_HASH_BYTES];
} heard, answered;                        /* of all, and of those that answer a request of ours */
static unsigned told[CHANGE_ACCOUNT + 1]; /* changes of each kind */
static struct change last_change;

static bool port_send(void *to, const uint8_t key_hash[KEY_HASH_BYTES], const struct message *m)
{
	(void)to;
	if (m->op == (OP_JOIN_REQ | OP_REPLY)) {
		assert_true(body_join_res_parse(m->body, m->len, &heard.res));
		heard.res.memberconf = NULL; /* it pointed into the message */
		memcpy(heard.key_hash, key_hash, KEY_HASH_BYTES);
		heard.n++;
		if (m->req)
			answered = heard;
	}
	return true;
}

static void port_changed(void *to, const struct change *change)
{
	(void)to;
	told[change->kind]++;
	if (change->kind == CHANGE_MEMBER)
		last_change = *change;
}

static uint64_t settle_after(uint64_t ms)
{
	now += ms;
	return controller_settle(c, now, 1700000000 + now / 1000);
}

static void settle(void)
{
	settle_after(300);
}

/* Time passes as a daemon lets it: turn by turn, never later than it was asked for. */
static void pass(uint64_t seconds)
{
	for (uint64_t end = now + seconds * 1000; now < end;) {
		uint64_t next = controller_settle(c, now, 1700000000 + now / 1000);
		assert_true(next >= now);
		now = next > end ? end : next > now ? next : now + 1;
	}
	settle_after(0);
}

static void opened(void)
{
	struct controller_port port = {.send = port_send, .changed = port_changed};
	const char *why = "";
	int r = controller_open(&c, *dir ? dir : ":memory:", &self, &port, now, 1700000000, &why);
	if (r)
		fail_msg("%d: %s", r, why);
}

static int setup_in(const char *where)
{
	struct network_settings s = {
	    .set = SET_NET_NAME | SET_NET_POOL, .name = "one", .pool = {.family = 4, .bits = 24, .ip = {10, 7, 7, 0}}};
	snprintf(dir, sizeof(dir), "%s", where);
	if (*dir && !mkdtemp(dir))
		return -1;
	bed_secret(&self);
	now = 1000;
	typed = 1;
	memset(&heard, 0, sizeof(heard));
	opened();
	if (controller_network_create(c, &s, &nwid, &e))
		return -1;
	settle();
	memset(told, 0, sizeof(told));
	return 0;
}

static int setup(void **state)
{
	(void)state;
	return setup_in("");
}

static int setup_disk(void **state)
{
	(void)state;
	return setup_in("/tmp/farlan-members-XXXXXX");
}

static int teardown(void **state)
{
	static const char *const files[] = {"controller.db", "controller.db-wal", "controller.db-shm", "head.bak"};
	char path[128];
	(void)state;
	controller_close(c);
	for (unsigned i = 0; *dir && i < sizeof(files) / sizeof(files[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, files[i]);
		unlink(path);
	}
	return *dir ? rmdir(dir) : 0;
}

/* What its JOIN_REQ is answered. */
static enum join_status ask_in(uint64_t network, unsigned n)
{
	struct identity who = person(n);
	uint8_t body[BODY_MAX];
	struct body_join_req req = {.nwid = network, .identity = who, .os = "o", .version = "v", .asked = typed};
	snprintf(req.hostname, sizeof(req.hostname), "host-%u", n);
	struct message m = {.req = 1, .op = OP_JOIN_REQ, .body = body, .len = body_join_req_encode(&req, body, sizeof(body))};
	unsigned before = heard.n;
	assert_true(m.len > 0);
	controller_online(c, who.key_hash, true, now, 1700000000 + now / 1000);
	controller_request(c, &who, NULL, &m, now, 1700000000 + now / 1000);
	settle();
	assert_true(answered.n > before);
	heard = answered;
	assert_memory_equal(heard.key_hash, who.key_hash, KEY_HASH_BYTES);
	return (enum join_status)heard.res.status;
}

static enum join_status ask(unsigned n)
{
	return ask_in(nwid, n);
}

static struct member_row row_in(uint64_t network, unsigned n)
{
	struct member_row row = {0};
	if (controller_member_get(c, network, person(n).address, &row, &e))
		row.address = 0;
	return row;
}

static struct member_row row(unsigned n)
{
	return row_in(nwid, n);
}

static enum admin_status approve(unsigned n, const struct member_settings *s)
{
	return controller_member_approve(c, nwid, person(n).address, s, &e);
}

static enum admin_status change(unsigned n, struct member_settings s)
{
	return controller_member_set(c, nwid, person(n).address, &s, &e);
}

struct acts {
	char text[4096];
};

static void act_add(void *self_, const struct audit_entry *entry)
{
	struct acts *a = self_;
	size_t at = strlen(a->text);
	snprintf(a->text + at, sizeof(a->text) - at, "%s ", entry->action);
}

/* The actions of the audit, the newest first. */
static const char *acts(void)
{
	static struct acts a;
	struct audit_query q = {.limit = 100};
	uint64_t total = 0;
	memset(&a, 0, sizeof(a));
	assert_int_equal(controller_audit_each(c, &q, act_add, &a, &total, &e), ADMIN_OK);
	return a.text;
}

/* ---- settings ----------------------------------------------------------------------- */

static void test_tags(void **state)
{
	struct tags t = {0}, back;
	char text[TAGS_TEXT], word[8];
	(void)state;
	assert_true(tags_add(&t, "b") && tags_add(&t, "a") && tags_add(&t, "a.b_c:d-9") && tags_add(&t, "b"));
	assert_int_equal(t.n, 3);
	tags_text(&t, text);
	assert_string_equal(text, "a a.b_c:d-9 b");
	tags_read(text, &back);
	assert_true(tags_same(&t, &back));
	assert_false(tags_add(&t, "") || tags_add(&t, "A") || tags_add(&t, "a b") || tags_add(&t, "\xc3\xa4"));
	assert_true(tags_add(&t, "abcdefghijklmnopqrstuvwxyz012345"));
	assert_false(tags_add(&t, "abcdefghijklmnopqrstuvwxyz0123456"));
	for (unsigned i = t.n; i < TAGS_MAX; i++) {
		snprintf(word, sizeof(word), "t%u", i);
		assert_true(tags_add(&t, word));
	}
	assert_false(tags_add(&t, "more"));
	assert_true(tags_add(&t, "a")); /* there already */
	assert_true(tags_have(&t, "b") && !tags_have(&t, "more"));
}

static void test_settings(void **state)
{
	struct member_settings s = {.set = SET_MEMBER_DESCRIPTION | SET_MEMBER_TAGS, .description = "the \"old\" one"};
	(void)state;
	tags_add(&s.tags, "z"), tags_add(&s.tags, "a");
	assert_int_equal(ask(1), JOIN_PENDING);
	assert_int_equal(approve(1, NULL), ADMIN_OK);
	struct member_row before = row(1);
	assert_int_equal(change(1, s), ADMIN_OK);
	struct member_row after = row(1);
	assert_string_equal(after.description, "the \"old\" one");
	assert_true(after.tags.n == 2 && !strcmp(after.tags.tag[0], "a"));
	assert_int_equal(after.serial, before.serial); /* not a word of it stands in the credential */
	assert_true(after.revision > before.revision);
	assert_int_equal(change(1, s), ADMIN_OK);
	assert_int_equal(row(1).revision, after.revision); /* nothing to change */
	s.description[3] = '\n';
	assert_int_equal(change(1, s), ADMIN_INVALID);
	assert_non_null(strstr(acts(), "member.set member.approve network.create"));
	/* what it says of itself and when it was seen is no change of what was decided */
	pass(3700);
	assert_int_equal(ask(1), JOIN_OK);
	assert_true(row(1).last_seen_wall_s > after.last_seen_wall_s);
	assert_int_equal(row(1).revision, after.revision);
}

static struct prefix ip(uint8_t last)
{
	return (struct prefix){.family = 4, .ip = {10, 7, 7, last}};
}

static void test_addresses(void **state)
{
	struct member_settings s = {.set = SET_MEMBER_IPS, .n_ips = 3, .ips = {ip(30), ip(20), ip(30)}};
	(void)state;
	ask(1), ask(2);
	assert_int_equal(change(1, s), ADMIN_OK); /* kept for it until it is approved */
	assert_true(row(1).state == MEMBER_PENDING && row(1).n_ips == 2 && !row(1).serial);
	assert_int_equal(approve(1, &s), ADMIN_OK);
	struct member_row one = row(1);
	assert_int_equal(one.n_ips, 2);
	assert_true(one.ips[0].ip[3] == 20 && one.ips[1].ip[3] == 30 && one.ips[0].bits == 24);
	assert_int_equal(approve(2, &(struct member_settings){.set = SET_MEMBER_IP, .ip = ip(20)}), ADMIN_CONFLICT);
	assert_non_null(strstr(e.detail, "1000000001"));
	assert_int_equal(row(2).state, MEMBER_PENDING);
	assert_int_equal(approve(2, &(struct member_settings){.set = SET_MEMBER_IP, .ip = ip(255)}), ADMIN_INVALID);
	assert_int_equal(approve(2, &(struct member_settings){.set = SET_MEMBER_IPS, .n_ips = CRED_IPS_MAX + 1}), ADMIN_INVALID);
	assert_int_equal(approve(2, NULL), ADMIN_OK);
	assert_int_equal(row(2).ips[0].ip[3], 1);
	/* fewer: what is taken away is revoked by a new serial */
	assert_int_equal(change(1, (struct member_settings){.set = SET_MEMBER_IP, .ip = ip(30)}), ADMIN_OK);
	assert_true(row(1).n_ips == 1 && row(1).ips[0].ip[3] == 30 && row(1).serial > one.serial);
	assert_int_equal(change(1, (struct member_settings){.set = SET_MEMBER_IPS}), ADMIN_OK);
	assert_true(row(1).n_ips == 1 && row(1).ips[0].ip[3] == 30); /* the pool's choice: one of those it has */
	struct network_row n;
	assert_int_equal(controller_network_get(c, nwid, &n, &e), ADMIN_OK);
	assert_true(n.pool_size == 254 && n.pool_used == 2);
	/* another pool: what fits stays, all of it */
	assert_int_equal(change(1, (struct member_settings){.set = SET_MEMBER_IPS, .n_ips = 2, .ips = {ip(3), ip(100)}}), ADMIN_OK);
	struct network_settings half = {.set = SET_NET_POOL, .pool = {.family = 4, .bits = 26, .ip = {10, 7, 7, 0}}};
	assert_int_equal(controller_network_set(c, nwid, &half, &e), ADMIN_OK);
	assert_true(row(1).n_ips == 1 && row(1).ips[0].ip[3] == 3 && row(1).ips[0].bits == 26);
}

/* ---- time --------------------------------------------------------------------------- */

static void test_expiry(void **state)
{
	struct member_settings s = {.set = SET_MEMBER_EXPIRES, .expires_s = 1000};
	(void)state;
	ask(1), ask(2);
	assert_int_equal(change(1, s), ADMIN_CONFLICT); /* no approval that could end */
	assert_int_equal(approve(1, &s), ADMIN_OK);
	assert_int_equal(approve(2, &s), ADMIN_OK);
	assert_in_range(row(1).expires_s, 995, 1000);
	assert_int_equal(row(1).state, MEMBER_APPROVED);
	assert_int_equal(change(2, (struct member_settings){.set = SET_MEMBER_EXPIRES}), ADMIN_OK);
	assert_int_equal(row(2).expires_s, 0);
	pass(500);
	/* a restart takes no time off: it counts while the controller runs */
	controller_close(c);
	now += 3600 * 1000;
	opened();
	settle();
	assert_in_range(row(1).expires_s, 430, 500);
	pass(380);
	assert_int_equal(row(1).state, MEMBER_APPROVED);
	assert_int_equal(ask(1), JOIN_OK);
	unsigned before = heard.n;
	memset(told, 0, sizeof(told));
	pass(140);
	struct member_row out = row(1);
	assert_int_equal(out.state, MEMBER_REVOKED);
	assert_int_equal(out.expires_s, 0);
	assert_non_null(strstr(out.reason, "run out"));
	assert_true(heard.n > before && heard.res.status == JOIN_DENIED && !strcmp(heard.res.reason, out.reason));
	assert_true(told[CHANGE_MEMBER] >= 1 && told[CHANGE_AUDIT] >= 1);
	assert_non_null(strstr(acts(), "member.expire"));
	assert_int_equal(row(2).state, MEMBER_APPROVED);
	assert_int_equal(approve(1, NULL), ADMIN_OK);
	assert_int_equal(row(1).expires_s, 0);
	pass(2000);
	assert_int_equal(row(1).state, MEMBER_APPROVED);
	assert_string_equal(row(1).reason, "");
}

static void test_pending_ends(void **state)
{
	(void)state;
	ask(1), ask(2);
	approve(2, NULL);
	ask(3);
	pass(PENDING_FOR_S - 3600);
	assert_int_equal(ask(3), JOIN_PENDING);
	assert_int_equal(row(1).address, person(1).address);
	pass(3700);
	assert_int_equal(row(1).address, 0); /* nobody repeated it */
	assert_int_equal(row(2).state, MEMBER_APPROVED);
	assert_int_equal(row(3).state, MEMBER_PENDING);
	assert_true(last_change.gone && last_change.address == person(1).address);
	assert_int_equal(ask(1), JOIN_PENDING); /* it may always ask again */
	pass(PENDING_FOR_S + 60);
	assert_int_equal(row(3).address, 0);
}

/* ---- out ---------------------------------------------------------------------------- */

static void test_delete(void **state)
{
	(void)state;
	ask(1);
	assert_int_equal(approve(1, NULL), ADMIN_OK);
	assert_int_equal(ask(1), JOIN_OK);
	assert_int_equal(controller_member_delete(c, nwid, person(1).address, &e), ADMIN_OK);
	settle();
	assert_int_equal(heard.res.status, JOIN_DENIED);
	for (unsigned i = 0; i < 5; i++) {
		pass(600);
		assert_int_equal(ask(1), JOIN_DENIED);
		assert_int_equal(row(1).address, 0);
	}
	controller_close(c);
	opened();
	assert_int_equal(ask(1), JOIN_DENIED);
	typed++; /* somebody types the join there again */
	assert_int_equal(ask(1), JOIN_PENDING);
	assert_int_equal(row(1).state, MEMBER_PENDING);
	/* who asks while it is pending is deleted with the number of its last join, however fresh */
	typed++;
	assert_int_equal(ask(1), JOIN_PENDING);
	assert_int_equal(controller_member_delete(c, nwid, person(1).address, &e), ADMIN_OK);
	assert_int_equal(ask(1), JOIN_DENIED);
	/* a node of an older version tells none */
	typed = 0;
	assert_int_equal(ask(1), JOIN_PENDING);
	assert_int_equal(controller_member_delete(c, nwid, person(1).address, &e), ADMIN_OK);
	assert_int_equal(ask(1), JOIN_DENIED);
	/* a public network lets nobody back who was deleted, either */
	struct network_settings open = {.set = SET_NET_FLAGS, .flags_on = NETWORK_PUBLIC};
	assert_int_equal(controller_network_set(c, nwid, &open, &e), ADMIN_OK);
	assert_int_equal(ask(1), JOIN_DENIED);
	typed = 9;
	assert_int_equal(ask(1), JOIN_OK);
	assert_non_null(strstr(acts(), "member.admit"));
}

static void test_reason(void **state)
{
	(void)state;
	ask(1), ask(2);
	assert_int_equal(approve(1, NULL), ADMIN_OK);
	assert_int_equal(controller_member_revoke(c, nwid, person(1).address, "lost\nlaptop", &e), ADMIN_INVALID);
	assert_int_equal(controller_member_revoke(c, nwid, person(1).address, "lost laptop", &e), ADMIN_OK);
	settle();
	assert_int_equal(heard.res.status, JOIN_DENIED);
	assert_string_equal(heard.res.reason, "lost laptop");
	assert_int_equal(ask(1), JOIN_DENIED);
	assert_string_equal(heard.res.reason, "lost laptop");
	assert_string_equal(row(1).reason, "lost laptop");
	assert_int_equal(controller_member_deny(c, nwid, person(2).address, NULL, &e), ADMIN_OK);
	assert_int_equal(ask(2), JOIN_DENIED);
	assert_string_equal(heard.res.reason, "");
	assert_int_equal(ask_in(nwid ^ 1, 1), JOIN_DENIED);
	assert_string_equal(heard.res.reason, "");
	assert_int_equal(approve(1, NULL), ADMIN_OK);
	assert_int_equal(ask(1), JOIN_OK);
	assert_string_equal(heard.res.reason, "");
}

static void test_ban(void **state)
{
	uint64_t other, third;
	struct network_settings s = {.set = SET_NET_NAME, .name = "two"};
	(void)state;
	assert_int_equal(controller_network_create(c, &s, &other, &e), ADMIN_OK);
	ask(1), ask_in(other, 1), ask(2);
	assert_int_equal(approve(1, NULL), ADMIN_OK);
	assert_int_equal(approve(2, NULL), ADMIN_OK);
	assert_int_equal(controller_member_ban(c, other, person(1).address, "spam", &e), ADMIN_OK);
	settle();
	assert_int_equal(row(1).state, MEMBER_BANNED);
	assert_int_equal(row_in(other, 1).state, MEMBER_BANNED);
	assert_string_equal(row(1).reason, "spam");
	assert_int_equal(row(2).state, MEMBER_APPROVED);
	assert_int_equal(ask(1), JOIN_DENIED);
	assert_string_equal(heard.res.reason, "spam");
	uint32_t revoked = 0;
	assert_int_equal(store_revocation_count(c->store, nwid, &revoked), 0);
	assert_int_equal(revoked, 1);
	snprintf(s.name, sizeof(s.name), "three");
	assert_int_equal(controller_network_create(c, &s, &third, &e), ADMIN_OK);
	typed++;
	assert_int_equal(ask_in(third, 1), JOIN_DENIED); /* where it never was */
	assert_int_equal(row_in(third, 1).address, 0);
	assert_int_equal(approve(1, NULL), ADMIN_CONFLICT);
	assert_int_equal(controller_member_deny(c, nwid, person(1).address, NULL, &e), ADMIN_CONFLICT);
	assert_int_equal(controller_member_delete(c, nwid, person(1).address, &e), ADMIN_CONFLICT);
	assert_int_equal(controller_preapprove(c, third, person(1).address, NULL, &e), ADMIN_CONFLICT);
	assert_int_equal(controller_member_unban(c, nwid, person(1).address, &e), ADMIN_OK);
	assert_int_equal(row(1).state, MEMBER_PENDING);
	assert_int_equal(row_in(other, 1).state, MEMBER_PENDING);
	assert_int_equal(ask(1), JOIN_PENDING);
	assert_int_equal(approve(1, NULL), ADMIN_OK);
	/* the row that bears the ban goes with its network */
	assert_int_equal(controller_member_ban(c, nwid, person(2).address, NULL, &e), ADMIN_OK);
	assert_int_equal(controller_network_delete(c, nwid, &e), ADMIN_OK);
	assert_int_equal(ask_in(third, 2), JOIN_DENIED);
	assert_int_equal(controller_member_unban(c, third, person(2).address, &e), ADMIN_OK);
	assert_int_equal(controller_member_unban(c, third, person(2).address, &e), ADMIN_NOT_FOUND);
	assert_int_equal(ask_in(third, 2), JOIN_PENDING);
}

/* ---- beforehand --------------------------------------------------------------------- */

static void preapproval_count(void *n, const struct preapproval_row *p)
{
	(void)p;
	++*(unsigned *)n;
}

static unsigned preapprovals(void)
{
	unsigned n = 0;
	assert_int_equal(controller_preapproval_each(c, nwid, preapproval_count, &n, &e), ADMIN_OK);
	return n;
}

static void test_preapproval(void **state)
{
	struct member_settings s = {.set = SET_MEMBER_NAME | SET_MEMBER_TAGS | SET_MEMBER_IPS | SET_MEMBER_FLAGS | SET_MEMBER_EXPIRES,
	                            .name = "printer",
	                            .n_ips = 2,
	                            .ips = {ip(50), ip(60)},
	                            .flags_on = MEMBER_RELAY,
	                            .expires_s = 5000};
	(void)state;
	tags_add(&s.tags, "office");
	assert_int_equal(controller_preapprove(c, nwid, person(1).address, &s, &e), ADMIN_OK);
	assert_int_equal(preapprovals(), 1);
	assert_int_equal(ask(2), JOIN_PENDING); /* somebody else */
	assert_int_equal(approve(2, &(struct member_settings){.set = SET_MEMBER_IP, .ip = ip(50)}), ADMIN_OK);
	assert_int_equal(ask(1), JOIN_OK);
	struct member_row one = row(1);
	assert_int_equal(one.state, MEMBER_APPROVED);
	assert_string_equal(one.name, "printer");
	assert_true(tags_have(&one.tags, "office") && one.flags == MEMBER_RELAY);
	assert_true(one.n_ips == 1 && one.ips[0].ip[3] == 60); /* the other has an owner by now */
	assert_in_range(one.expires_s, 4900, 5000);
	assert_int_equal(preapprovals(), 0); /* spent */
	assert_non_null(strstr(acts(), "member.admit preapproval.spend"));
	assert_int_equal(controller_preapprove(c, nwid, person(1).address, NULL, &e), ADMIN_CONFLICT);
	/* the word of before a deletion counts no more; this one is newer */
	assert_int_equal(controller_member_delete(c, nwid, person(1).address, &e), ADMIN_OK);
	assert_int_equal(ask(1), JOIN_DENIED);
	assert_int_equal(controller_preapprove(c, nwid, person(1).address, NULL, &e), ADMIN_OK);
	assert_int_equal(ask(1), JOIN_OK);
	assert_int_equal(row(1).n_ips, 1);
	assert_int_equal(controller_preapprove(c, nwid, person(3).address, NULL, &e), ADMIN_OK);
	assert_int_equal(controller_preapproval_delete(c, nwid, person(3).address, &e), ADMIN_OK);
	assert_int_equal(controller_preapproval_delete(c, nwid, person(3).address, &e), ADMIN_NOT_FOUND);
	assert_int_equal(ask(3), JOIN_PENDING);
	s.ips[0] = (struct prefix){.family = 4, .ip = {10, 8, 0, 1}};
	assert_int_equal(controller_preapprove(c, nwid, person(4).address, &s, &e), ADMIN_INVALID);
}

/* ---- many at once ------------------------------------------------------------------- */

static struct {
	unsigned n, good;
	enum admin_status status[8];
} results;

static void result(void *self_, uint64_t member, enum admin_status status, const struct admin_error *error)
{
	(void)self_;
	(void)member;
	if (results.n < 8)
		results.status[results.n] = status;
	results.n++;
	results.good += !status;
	if (status)
		assert_true(error->title[0] != 0);
}

static enum admin_status batch(enum batch_action action, unsigned n, const unsigned *who)
{
	uint64_t members[8];
	struct member_batch b = {.action = action, .members = members, .n = n, .reason = "tidy"};
	for (unsigned i = 0; i < n; i++)
		members[i] = person(who[i]).address;
	tags_add(&b.tags, "many");
	memset(&results, 0, sizeof(results));
	return controller_member_batch(c, nwid, &b, result, NULL, &e);
}

static void test_batch(void **state)
{
	const unsigned all[] = {1, 2, 77, 3, 2};
	(void)state;
	ask(1), ask(2), ask(3), ask(4);
	assert_int_equal(batch(BATCH_APPROVE, 5, all), ADMIN_OK);
	assert_int_equal(results.n, 5);
	assert_int_equal(results.good, 4);
	assert_int_equal(results.status[2], ADMIN_NOT_FOUND);
	assert_true(row(1).state == MEMBER_APPROVED && row(3).state == MEMBER_APPROVED && row(4).state == MEMBER_PENDING);
	assert_true(row(1).ips[0].ip[3] != row(2).ips[0].ip[3]);
	assert_int_equal(batch(BATCH_TAG, 2, all), ADMIN_OK);
	assert_true(row(1).tags.n == 1 && row(2).tags.n == 1 && !row(3).tags.n);
	assert_int_equal(batch(BATCH_BAN, 1, all), ADMIN_OK);
	assert_int_equal(batch(BATCH_REVOKE, 2, all), ADMIN_OK);
	assert_true(results.status[0] == ADMIN_CONFLICT && results.status[1] == ADMIN_OK);
	assert_string_equal(row(2).reason, "tidy");
	assert_int_equal(batch(BATCH_DELETE, 4, all), ADMIN_OK);
	assert_int_equal(results.good, 2);
	assert_true(!row(3).address && !row(2).address && row(1).address);
	assert_int_equal(batch(BATCH_DENY, 0, all), ADMIN_INVALID);
	assert_int_equal(ask(2), JOIN_DENIED);
}

/* ---- lists -------------------------------------------------------------------------- */

struct seen {
	unsigned n;
	uint64_t address[64];
	char name[64][NAME_MAX_BYTES + 1];
};

static void see(void *self_, const struct member_row *m)
{
	struct seen *s = self_;
	if (s->n < 64) {
		s->address[s->n] = m->address;
		memcpy(s->name[s->n], m->name, sizeof(s->name[0]));
	}
	s->n++;
}

static struct member_page page;

static struct seen list(struct member_query q)
{
	struct seen s = {0};
	assert_int_equal(controller_member_query(c, nwid, &q, see, &s, &page, &e), ADMIN_OK);
	return s;
}

static void test_list(void **state)
{
	struct member_settings s = {
	    .set = SET_MEMBER_NAME | SET_MEMBER_TAGS | SET_MEMBER_DESCRIPTION, .name = "Zoe", .description = "Third Floor"};
	(void)state;
	tags_add(&s.tags, "lab");
	for (unsigned n = 1; n <= 20; n++)
		ask(n);
	for (unsigned n = 1; n <= 10; n++)
		assert_int_equal(approve(n, NULL), ADMIN_OK);
	assert_int_equal(change(5, s), ADMIN_OK);
	assert_int_equal(controller_member_deny(c, nwid, person(20).address, NULL, &e), ADMIN_OK);
	controller_online(c, person(7).key_hash, false, now, 1700000000);
	struct seen all = list((struct member_query){0});
	assert_true(all.n == 20 && page.total == 20 && !*page.next);
	assert_true(page.count[MEMBER_PENDING] == 9 && page.count[MEMBER_APPROVED] == 10 && page.count[MEMBER_DENIED] == 1);
	assert_int_equal(page.online, 9);
	assert_int_equal(list((struct member_query){.states = 1u << MEMBER_PENDING | 1u << MEMBER_DENIED}).n, 10);
	assert_int_equal(list((struct member_query){.online = ONLINE_NO}).n, 1);
	assert_int_equal(list((struct member_query){.link = WITH_NONE}).address[0], person(7).address);
	assert_int_equal(list((struct member_query){.tag = "lab"}).address[0], person(5).address);
	static const char *const found[] = {"zOE", "floor", "LAB", "1000000005", "10.7.7.5"};
	for (unsigned i = 0; i < sizeof(found) / sizeof(found[0]); i++) {
		struct member_query q = {0};
		snprintf(q.q, sizeof(q.q), "%s", found[i]);
		struct seen one = list(q);
		assert_int_equal(one.n, 1);
		assert_int_equal(one.address[0], person(5).address);
	}
	assert_int_equal(list((struct member_query){.q = "/24"}).n, 0);
	struct seen names = list((struct member_query){.sort = SORT_NAME});
	assert_string_equal(names.name[19], "Zoe");
	assert_string_equal(names.name[0], "host-1");
	assert_int_equal(list((struct member_query){.sort = SORT_STATE}).address[19], person(20).address);
}

/* Page by page each is seen once, in every order, also when rows go meanwhile. */
static void test_cursor(void **state)
{
	(void)state;
	for (unsigned n = 1; n <= 40; n++)
		ask(n);
	for (unsigned sort = SORT_ADDRESS; sort <= SORT_LAST_SEEN; sort++) {
		struct member_query q = {.sort = (enum member_sort)sort, .limit = 7};
		struct seen whole = list((struct member_query){.sort = q.sort});
		unsigned seen = 0;
		do {
			struct seen part = list(q);
			assert_true(page.total == 40 || q.rest);
			for (unsigned i = 0; i < part.n; i++)
				assert_int_equal(part.address[i], whole.address[seen++]);
			assert_int_equal(!*page.next, seen == 40);
			memcpy(q.after, page.next, sizeof(q.after));
			q.rest = true;
		} while (*q.after);
		assert_int_equal(seen, 40);
	}
	struct member_query q = {.limit = 10};
	list(q);
	memcpy(q.after, page.next, sizeof(q.after));
	assert_int_equal(controller_member_delete(c, nwid, person(10).address, &e), ADMIN_OK); /* the very one it points to */
	assert_int_equal(list(q).address[0], person(11).address);
	static const char *const bad[] = {"x", "0", "0.1.2.3", "1.0.0.0.", "0.0.0.0.6", "0.0.0.0.0g", "0.0.0.0.00", "9.0.0.0."};
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct seen s = {0};
		snprintf(q.after, sizeof(q.after), "%s", bad[i]);
		assert_int_equal(controller_member_query(c, nwid, &q, see, &s, &page, &e), ADMIN_INVALID);
	}
}

static void test_ten_thousand(void **state)
{
	struct timespec begun, ended;
	(void)state;
	for (unsigned n = 1; n <= 10000; n++) {
		struct member_record m = {
		    .nwid = nwid, .state = MEMBER_APPROVED, .identity = person(n), .address = person(n).address, .seen = 1};
		snprintf(m.hostname, sizeof(m.hostname), "host-%u", n);
		tags_add(&m.tags, n % 2 ? "odd" : "even");
		assert_int_equal(store_member_insert(c->store, &m), 0);
		struct lease l = {.ip = {10, 9, (uint8_t)(n >> 8), (uint8_t)n}, .bits = 16, .member = m.id};
		assert_int_equal(store_lease_put(c->store, nwid, &l), 0);
	}
	assert_int_equal(store_commit(c->store), 0);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &begun);
	assert_int_equal(list((struct member_query){0}).n, 10000);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ended);
	double s = (double)(ended.tv_sec - begun.tv_sec) + (double)(ended.tv_nsec - begun.tv_nsec) / 1e9;
	print_message("10000 rows in %.0f ms\n", s * 1000);
	assert_true(s < 5);
	assert_int_equal(list((struct member_query){.tag = "odd", .sort = SORT_NAME}).n, 5000);
	assert_int_equal(list((struct member_query){.q = "host-77", .limit = 3}).n, 3);
	assert_int_equal(page.total, 111);
}

/* ---- limits ------------------------------------------------------------------------- */

static void test_limits(void **state)
{
	(void)state;
	controller_limits_set(c, &(struct controller_limits){.members = 2, .pending = 3});
	for (unsigned n = 1; n <= 3; n++)
		assert_int_equal(ask(n), JOIN_PENDING);
	assert_int_equal(approve(1, NULL), ADMIN_OK);
	assert_int_equal(approve(2, NULL), ADMIN_OK);
	assert_int_equal(approve(3, NULL), ADMIN_CONFLICT);
	ask(4);
	pass(100); /* when somebody was seen is written once a minute */
	ask(3);
	ask(5);
	pass(2);
	assert_int_equal(ask(6), JOIN_PENDING);
	list((struct member_query){0});
	assert_int_equal(page.count[MEMBER_PENDING], 3);
	assert_int_equal(row(4).address, 0); /* the one longest unseen made room */
	controller_limits_set(c, &(struct controller_limits){.members = 3});
	assert_int_equal(approve(3, NULL), ADMIN_OK);
	/* strangers: a burst, and then their rate */
	controller_limits_set(c, &(struct controller_limits){.joins = 60});
	for (unsigned i = 0; i < JOIN_BURST; i++)
		assert_int_equal(ask_in(nwid ^ 1, 7), JOIN_DENIED);
	assert_int_equal(ask_in(nwid ^ 1, 7), JOIN_DENIED); /* 300 ms a time have given one back */
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
#define DISK(f) cmocka_unit_test_setup_teardown(f, setup_disk, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_tags), TEST(test_settings), TEST(test_addresses), DISK(test_expiry),
	    TEST(test_pending_ends),     DISK(test_delete),   TEST(test_reason),    TEST(test_ban),
	    TEST(test_preapproval),      TEST(test_batch),    TEST(test_list),      TEST(test_cursor),
	    TEST(test_ten_thousand),     TEST(test_limits),
	};
	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
