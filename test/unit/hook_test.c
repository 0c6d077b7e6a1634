/* Webhooks: what is told to whom, in which order, how often it is tried, what is lost when there is too much of it, and that an act
 * and its deliveries are both there or neither. Nothing is sent here: the test is who takes what is due. */
#include <dirent.h>
#include <inttypes.h>
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
#include <jansson.h>
#include <sqlite3.h>

#include "controller/hook.h"
#include "controller/hook_parts.h"
#include "controller/state.h"
#include "test/unit/controller_bed.h"
#include "ui/hook_body.h"
#include "ui/private.h"
#include "ui/webhook.h"

#define WALL 1700000000

static char dir[64], path[100];
static struct controller *c;
static struct secret self;
static uint64_t now, next;
static struct admin_error problem;
static struct hook_due due; /* the last one taken */

static void open_it(void)
{
	struct controller_port port = {.send = bed_send, .hook_body = hook_body_write};
	const char *why = "";
	if (controller_open(&c, dir, &self, &port, now, WALL, &why))
		fail_msg("%s", why);
}

static void run(uint64_t ms)
{
	uint64_t end = now + ms;
	do { /* as often as it wants to: network time does not run ahead of what is on disk */
		uint64_t deadline = controller_settle(c, now, WALL + now / 1000);
		now = deadline < end ? deadline > now ? deadline : now + 1 : end;
	} while (now < end);
	controller_settle(c, now, WALL + now / 1000);
}

static int setup(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/farlan-hook-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	snprintf(path, sizeof(path), "%s/controller.db", dir);
	bed_secret(&self);
	now = 1000;
	open_it();
	run(0);
	return 0;
}

static int teardown(void **state)
{
	char name[400];
	(void)state;
	controller_close(c);
	DIR *d = opendir(dir);
	for (struct dirent *e; d && (e = readdir(d));)
		if (e->d_name[0] != '.') {
			snprintf(name, sizeof(name), "%s/%s", dir, e->d_name);
			unlink(name);
		}
	closedir(d);
	return rmdir(dir);
}

static uint64_t hook_new(const char *name, const char *event, char ret_secret[HOOK_SECRET_MAX + 1])
{
	struct hook_settings s = {.n_events = 1, .url = "https://example.net/in?token=verysecret"};
	char secret[HOOK_SECRET_MAX + 1];
	uint64_t id = 0;
	snprintf(s.name, sizeof(s.name), "%s", name);
	snprintf(s.events[0], sizeof(s.events[0]), "%s", event);
	controller_actor(c, &(struct actor){.name = "user:anna", .from = "192.0.2.7"});
	if (controller_hook_create(c, &s, &id, ret_secret ? ret_secret : secret, &problem) != ADMIN_OK)
		fail_msg("%s: %s", problem.title, problem.detail);
	return id;
}

static struct hook_row row_of(uint64_t id)
{
	struct hook_row row;
	assert_int_equal(controller_hook_get(c, id, &row, &problem), ADMIN_OK);
	assert_string_equal(row.settings.secret, "");
	return row;
}

static bool take(void)
{
	return controller_hook_take(c, 4, &due, now, &next);
}

static void done(unsigned status, uint32_t after)
{
	controller_hook_done(c, due.seq,
	                     &(struct hook_outcome){.status = status, .ms = 3, .retry_after_s = after, .error = status ? NULL : "gone"},
	                     now, WALL + now / 1000);
	run(0);
}

static void note(const char *action)
{
	controller_actor(c, &(struct actor){.name = "user:anna", .from = "192.0.2.7"});
	assert_int_equal(controller_act(c, action, "{\"x\":1}", &problem), ADMIN_OK);
}

static uint64_t network_new(const char *name)
{
	struct network_settings s = {.set = SET_NET_NAME};
	uint64_t nwid = 0;
	snprintf(s.name, sizeof(s.name), "%s", name);
	assert_int_equal(controller_network_create(c, &s, &nwid, &problem), ADMIN_OK);
	return nwid;
}

static void network_touch(uint64_t nwid, unsigned i)
{
	struct network_settings s = {.set = SET_NET_DESCRIPTION};
	snprintf(s.description, sizeof(s.description), "the %u.", i);
	if (controller_network_set(c, nwid, &s, &problem) != ADMIN_OK)
		fail_msg("%s: %s", problem.title, problem.detail);
}

static json_t *body_of(void)
{
	json_t *o = json_loads(due.body, JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(o);
	assert_string_equal(json_string_value(json_object_get(o, "schema")), "farlan.webhook/1");
	assert_string_equal(json_string_value(json_object_get(o, "event")), due.event);
	char id[17];
	snprintf(id, sizeof(id), "%016" PRIx64, due.id);
	assert_string_equal(json_string_value(json_object_get(o, "id")), id);
	return o;
}

static const char *at(const json_t *o, const char *first, const char *second)
{
	const char *text = json_string_value(json_object_get(second ? json_object_get(o, first) : o, second ? second : first));
	return text ? text : "(null)";
}

static struct identity member_pending(uint64_t nwid, unsigned n)
{
	struct identity who = person(n);
	uint8_t body[BODY_MAX];
	struct body_join_req req = {.nwid = nwid, .identity = who, .hostname = "h", .os = "o", .version = "v"};
	struct message m = {.req = 7, .op = OP_JOIN_REQ, .body = body, .len = body_join_req_encode(&req, body, sizeof(body))};
	struct endpoint from = {.family = 4, .port = 9993, .ip = {192, 0, 2, 9}};
	controller_request(c, &who, &from, &m, now, WALL + now / 1000);
	run(300);
	return who;
}

/* ---- what is told ------------------------------------------------------------------- */

static void test_events(void **state)
{
	(void)state;
	uint64_t nwid = network_new("office"), other = network_new("other");
	uint64_t all = hook_new("all", "*", NULL), members = hook_new("members", "member.*", NULL),
		 one = hook_new("one", "member.approve", NULL);
	struct hook_settings s = {.set = SET_HOOK_NETWORKS, .networks = {nwid}, .n_networks = 1};
	assert_int_equal(controller_hook_set(c, members, &s, &problem), ADMIN_OK);
	struct identity who = member_pending(nwid, 1);
	member_pending(other, 2); /* not for "members" */
	controller_actor(c, &(struct actor){.name = "user:anna", .from = "192.0.2.7"});
	assert_int_equal(controller_member_approve(c, nwid, who.address, NULL, &problem), ADMIN_OK);
	assert_int_equal(controller_member_delete(c, nwid, who.address, &problem), ADMIN_OK);
	run(0);
	assert_int_equal(row_of(one).waiting, 1);
	assert_int_equal(row_of(members).waiting, 3); /* pending, approve, delete */
	/* all: webhook.create three times (its own, too), webhook.set, and four of members */
	assert_int_equal(row_of(all).waiting, 8);
	const char *seen[3] = {0};
	static char events[3][48];
	for (unsigned i = 0, n = 0; take(); i++) {
		if (due.hook == members) {
			json_t *o = body_of();
			assert_string_equal(at(o, "network", "name"), "office");
			assert_string_equal(at(o, "member", "name"), "h");
			assert_string_equal(at(o, "member", "state"), n == 0 ? "pending" : n == 1 ? "approved" : "revoked");
			assert_string_equal(at(o, "actor", "name"), n == 0 ? "member:1000000001" : "user:anna");
			json_decref(o);
			snprintf(events[n], sizeof(events[n]), "%s", due.event);
			seen[n] = events[n];
			n++;
		}
		done(204, 0);
	}
	assert_string_equal(seen[0], "member.pending");
	assert_string_equal(seen[1], "member.approve");
	assert_string_equal(seen[2], "member.delete");
	assert_int_equal(row_of(all).waiting + row_of(members).waiting + row_of(one).waiting, 0);
	assert_int_equal(row_of(members).state, HOOK_OK);
	assert_int_equal(row_of(members).last_status, 204);
}

static void test_network_gone(void **state)
{
	(void)state;
	uint64_t nwid = network_new("office");
	hook_new("x", "network.delete", NULL);
	network_touch(nwid, 1);
	assert_false(take());
	assert_int_equal(controller_network_delete(c, nwid, &problem), ADMIN_OK);
	assert_true(take());
	json_t *o = body_of();
	assert_string_equal(at(o, "network", "name"), "office");
	json_decref(o);
	assert_false(take());
}

/* An event has one id for all hooks, and the same at each attempt. */
static void test_same_id(void **state)
{
	(void)state;
	hook_new("a", "backup.*", NULL);
	hook_new("b", "backup.*", NULL);
	note("backup.take");
	assert_true(take());
	uint64_t id = due.id, hook = due.hook, seq = due.seq;
	char body[64];
	snprintf(body, sizeof(body), "%.60s", due.body);
	assert_true(take());
	assert_int_equal(due.id, id);
	assert_true(due.hook != hook);
	done(200, 0);
	due.seq = seq;
	done(500, 0);
	assert_false(take());
	run(1300);
	assert_true(take());
	assert_int_equal(due.id, id);
	assert_int_equal(due.hook, hook);
	assert_memory_equal(due.body, body, strlen(body));
}

static void test_judged(void **state)
{
	(void)state;
	static const char *const urls[] = {"ftp://x/", "https://", "http://u:p@example.net/", "http://example.net/#x", "https://a b/", "x"};
	static const char *const events[] = {"members.*", "member", "member.", "*.x", "member.A", "", "member.x.", "nothing.*"};
	struct hook_settings good = {.name = "x", .url = "https://example.net/", .events = {"*"}, .n_events = 1}, s;
	char secret[HOOK_SECRET_MAX + 1];
	uint64_t id;
	for (unsigned i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
		s = good;
		snprintf(s.url, sizeof(s.url), "%s", urls[i]);
		assert_int_equal(controller_hook_create(c, &s, &id, secret, &problem), ADMIN_INVALID);
	}
	for (unsigned i = 0; i < sizeof(events) / sizeof(events[0]); i++) {
		s = good;
		snprintf(s.events[0], sizeof(s.events[0]), "%s", events[i]);
		assert_int_equal(controller_hook_create(c, &s, &id, secret, &problem), ADMIN_INVALID);
	}
	for (unsigned i = 0; i < HOOKS_MAX; i++) {
		s = good;
		snprintf(s.name, sizeof(s.name), "hook%u", i);
		assert_int_equal(controller_hook_create(c, &s, &id, secret, &problem), ADMIN_OK);
		assert_int_equal(strlen(secret), 64);
	}
	snprintf(s.name, sizeof(s.name), "one more");
	assert_int_equal(controller_hook_create(c, &s, &id, secret, &problem), ADMIN_CONFLICT);
	assert_int_equal(controller_hook_delete(c, id, &problem), ADMIN_OK);
	assert_int_equal(controller_hook_delete(c, id, &problem), ADMIN_NOT_FOUND);
	snprintf(s.name, sizeof(s.name), "hook3");
	assert_int_equal(controller_hook_create(c, &s, &id, secret, &problem), ADMIN_CONFLICT);
}

/* ---- order and retries -------------------------------------------------------------- */

static void test_order(void **state)
{
	(void)state;
	uint64_t nwid[6], last[6] = {0};
	unsigned got = 0;
	for (unsigned i = 0; i < 6; i++) {
		char name[16];
		snprintf(name, sizeof(name), "net%u", i);
		nwid[i] = network_new(name);
	}
	hook_new("all", "network.set", NULL);
	for (unsigned i = 0; i < 60; i++)
		network_touch(nwid[i % 6], i);
	/* four at once, each of another network; the fifth has to wait for one of them */
	struct hook_due taken[4];
	for (unsigned i = 0; i < 4; i++) {
		assert_true(take());
		taken[i] = due;
		for (unsigned k = 0; k < i; k++)
			assert_true(taken[k].seq != due.seq);
	}
	assert_false(take());
	due = taken[1];
	done(0, 0); /* no answer: its network waits, others go on */
	for (unsigned i = 0; i < 4; i++)
		if (i != 1) {
			due = taken[i];
			done(200, 0);
			got++;
		}
	for (unsigned i = 0; i < 200 && got < 60; i++) {
		if (!take()) {
			run(200);
			continue;
		}
		json_t *o = body_of();
		unsigned k = 0;
		char id[17];
		for (k = 0; k < 6; k++) {
			snprintf(id, sizeof(id), "%016" PRIx64, nwid[k]);
			if (!strcmp(id, at(o, "network", "id")))
				break;
		}
		assert_true(k < 6);
		assert_true(due.seq > last[k]);
		last[k] = due.seq;
		json_decref(o);
		done(200, 0);
		got++;
	}
	assert_int_equal(got, 60);
	assert_false(take());
}

static void test_retries(void **state)
{
	(void)state;
	static const uint64_t pace[] = {HOOK_PACE};
	uint64_t id = hook_new("x", "backup.*", NULL);
	note("backup.take");
	note("backup.take");
	assert_true(take());
	uint64_t seq = due.seq;
	for (unsigned i = 0; i < HOOK_RETRIES; i++) {
		uint64_t failed = now;
		done(i % 2 ? 500 : 0, 0);
		assert_int_equal(row_of(id).state, HOOK_FAILING);
		assert_false(take()); /* nor the second, which is of the same network: none */
		assert_in_range(next, failed + pace[i] * 80 / 100, failed + pace[i] * 120 / 100 + 1);
		run(next - now - 1);
		assert_false(take());
		run(1);
		assert_true(take());
		assert_int_equal(due.seq, seq);
	}
	done(500, 0);
	assert_true(take()); /* it failed for good: the next one */
	assert_true(due.seq > seq);
	done(200, 0);
	assert_int_equal(row_of(id).state, HOOK_OK);
	struct hook_figures f;
	controller_hook_figures(c, &f);
	assert_int_equal(f.failed, 1);
	assert_int_equal(f.delivered, 1);
	assert_int_equal(f.attempts_failed, 9);
}

static void test_retry_after(void **state)
{
	(void)state;
	hook_new("x", "backup.*", NULL);
	note("backup.take");
	assert_true(take());
	uint64_t failed = now;
	done(503, 600);
	assert_false(take());
	assert_int_equal(next, failed + 600000);
	run(600000);
	assert_true(take());
	failed = now;
	done(429, 4000000); /* an hour and no more */
	assert_false(take());
	assert_int_equal(next, failed + 3600000);
}

static void test_gone(void **state)
{
	(void)state;
	uint64_t id = hook_new("x", "backup.*", NULL), watcher = hook_new("watcher", "webhook.suspend", NULL);
	note("backup.take");
	note("backup.take");
	assert_true(take());
	done(410, 0);
	assert_int_equal(row_of(id).state, HOOK_SUSPENDED);
	assert_int_equal(row_of(id).waiting, 1);
	note("backup.take"); /* nothing is collected for nobody */
	assert_int_equal(row_of(id).waiting, 1);
	assert_true(take());
	assert_int_equal(due.hook, watcher);
	done(200, 0);
	assert_false(take());
	struct hook_settings s = {.set = SET_HOOK_ENABLED, .enabled = true};
	assert_int_equal(controller_hook_set(c, id, &s, &problem), ADMIN_OK);
	assert_int_equal(row_of(id).state, HOOK_OK);
	assert_true(take());
	assert_int_equal(due.hook, id);
}

/* Four on their way in four networks when the receiver goes: that is one suspension, told and written down once. */
static void test_gone_at_once(void **state)
{
	(void)state;
	uint64_t nwid[4], seq[4], watcher = hook_new("watcher", "webhook.suspend", NULL);
	for (unsigned i = 0; i < 4; i++)
		nwid[i] = network_new((const char *[]){"a", "b", "c", "d"}[i]);
	uint64_t id = hook_new("x", "network.set", NULL);
	for (unsigned i = 0; i < 4; i++)
		network_touch(nwid[i], i);
	for (unsigned i = 0; i < 4; i++) {
		assert_true(take());
		assert_int_equal(due.hook, id);
		seq[i] = due.seq;
	}
	for (unsigned i = 0; i < 4; i++) {
		due.seq = seq[i];
		done(410, 0);
	}
	assert_int_equal(row_of(id).state, HOOK_SUSPENDED);
	assert_int_equal(row_of(watcher).waiting, 1);
}

/* Who switches it on again has mended the receiver: what waits need not wait for hours more. */
static void test_on_again(void **state)
{
	(void)state;
	uint64_t id = hook_new("x", "backup.*", NULL);
	note("backup.take");
	for (unsigned i = 0; i < HOOK_RETRIES; i++) {
		assert_true(take());
		done(500, 0);
		assert_false(take());
		if (i + 1 < HOOK_RETRIES)
			run(next - now);
	}
	assert_true(next > now + 3600000);
	struct hook_settings s = {.set = SET_HOOK_ENABLED, .enabled = true};
	assert_int_equal(controller_hook_set(c, id, &s, &problem), ADMIN_OK);
	assert_true(take());
	done(500, 0);
	assert_false(take());
	assert_int_equal(row_of(id).waiting, 0); /* the last of its attempts all the same */
}

static void test_three_days(void **state)
{
	(void)state;
	uint64_t id = hook_new("x", "backup.*", NULL), began = now;
	for (unsigned i = 0; i < 1000 && row_of(id).state != HOOK_SUSPENDED; i++) {
		if (!row_of(id).waiting)
			note("backup.take");
		if (take())
			done(502, 0);
		else
			run(next - now);
	}
	assert_int_equal(row_of(id).state, HOOK_SUSPENDED);
	assert_in_range(now - began, 3 * 86400000ull - 120000, 3 * 86400000ull + 10 * 3600000ull);
}

/* ---- bounds ------------------------------------------------------------------------- */

static void count_hit(void *to, const struct delivery_row *d)
{
	unsigned *n = to;
	(void)d;
	++*n;
}

static void test_full(void **state)
{
	(void)state;
	uint64_t id = hook_new("x", "backup.*", NULL), delivery;
	for (unsigned i = 0; i < HOOK_WAITING_MAX + 7; i++)
		note("backup.take");
	assert_int_equal(row_of(id).waiting, HOOK_WAITING_MAX);
	assert_int_equal(row_of(id).dropped, 7);
	assert_int_equal(controller_hook_test(c, id, &delivery, &problem), ADMIN_CONFLICT);
	unsigned told = 0, got = 0;
	while (take()) {
		if (!strcmp(due.event, "webhook.dropped")) {
			json_t *o = body_of();
			assert_int_equal(json_integer_value(json_object_get(json_object_get(o, "detail"), "count")), 7);
			json_decref(o);
			told++;
		}
		got++;
		done(200, 0);
	}
	assert_int_equal(told, 1);
	assert_int_equal(got, HOOK_WAITING_MAX + 1);
	/* the log is bounded by number, and by time */
	unsigned n = 0;
	uint64_t total;
	assert_int_equal(controller_delivery_each(c, id, 0, 0, 10000, count_hit, &n, &total, &problem), ADMIN_OK);
	assert_int_equal(n, HOOK_LOG_MAX);
	assert_int_equal(total, HOOK_LOG_MAX);
	run(HOOK_LOG_S * 1000 + 2 * 3600000);
	n = 0;
	assert_int_equal(controller_delivery_each(c, id, 0, 0, 10000, count_hit, &n, &total, &problem), ADMIN_OK);
	assert_int_equal(n, 0);
}

/* As many networks as deliveries may wait, all of them to be tried later but four, which hang: who asks what is due is told at once. */
static void test_many_networks(void **state)
{
	(void)state;
	hook_new("x", "backup.*", NULL);
	for (unsigned i = 0; i < HOOK_WAITING_MAX; i++)
		note("backup.take");
	struct hook *h = &c->hooks->list[0];
	for (unsigned i = 0; i < h->n; i++) {
		h->waiting[i].nwid = i + 1;
		h->waiting[i].head = true;
		h->waiting[i].due_ms = now + (i + 3 < h->n ? 60000 : 0);
	}
	for (unsigned i = 0; i < 3; i++)
		assert_true(take());
	clock_t began = clock();
	for (unsigned i = 0; i < 1000; i++)
		assert_false(take());
	double each_us = (double)(clock() - began) * 1e6 / CLOCKS_PER_SEC / 1000;
	print_message("%.1f us each\n", each_us);
	assert_int_equal(next, now + 60000);
	assert_true(each_us < 200); /* a thousand lines; a thousand for each would be a thousand times that */
}

/* ---- both or neither ---------------------------------------------------------------- */

static void sql(const char *text)
{
	sqlite3 *db;
	char *why = NULL;
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	if (sqlite3_exec(db, text, NULL, NULL, &why) != SQLITE_OK)
		fail_msg("%s", why);
	sqlite3_close(db);
}

static void test_transaction(void **state)
{
	struct network_settings s = {.set = SET_NET_NAME, .name = "net"};
	uint64_t id = hook_new("x", "network.*", NULL), nwid;
	(void)state;
	sql("CREATE TRIGGER no BEFORE INSERT ON delivery BEGIN SELECT RAISE(ABORT, 'no'); END");
	assert_int_equal(controller_network_create(c, &s, &nwid, &problem), ADMIN_UNAVAILABLE);
	sql("DROP TRIGGER no; CREATE TRIGGER no AFTER INSERT ON delivery BEGIN UPDATE audit SET wall = 1; END");
	assert_int_equal(controller_network_create(c, &s, &nwid, &problem), ADMIN_UNAVAILABLE);
	sql("DROP TRIGGER no");
	assert_int_equal(row_of(id).waiting, 0);
	assert_false(take());
	run(2000);
	nwid = network_new("net"); /* the name is free: there was no network */
	assert_int_equal(row_of(id).waiting, 1);
	assert_true(take());
	/* heard, but not written: it is sent again, and the other that is on its way is not */
	uint64_t sent = due.id;
	network_touch(nwid, 1);
	sql("CREATE TRIGGER no BEFORE UPDATE ON delivery BEGIN SELECT RAISE(ABORT, 'no'); END");
	done(200, 0);
	sql("DROP TRIGGER no");
	assert_int_equal(row_of(id).waiting, 2);
	run(2000);
	assert_true(take());
	assert_int_equal(due.id, sent);
	done(200, 0);
	assert_int_equal(row_of(id).waiting, 1);
}

static void test_restart(void **state)
{
	(void)state;
	uint64_t id = hook_new("x", "backup.*", NULL);
	note("backup.take");
	note("backup.take");
	assert_true(take());
	uint64_t sent = due.id;
	controller_close(c); /* while it is on its way */
	open_it();
	run(0);
	assert_int_equal(row_of(id).waiting, 2);
	assert_true(take());
	assert_int_equal(due.id, sent);
	done(200, 0);
	assert_true(take());
	assert_true(due.id != sent);
	/* a hook that goes takes what waits with it; what comes back from there is nobody's */
	assert_int_equal(controller_hook_delete(c, id, &problem), ADMIN_OK);
	done(200, 0);
	assert_false(take());
}

static void audit_look(void *to, const struct audit_entry *e)
{
	const char *secret = to;
	assert_null(strstr(e->detail, secret));
	assert_null(strstr(e->detail, "verysecret")); /* of the URL */
}

static void test_secrets(void **state)
{
	char secret[HOOK_SECRET_MAX + 1], fresh[HOOK_SECRET_MAX + 1];
	struct audit_query q = {.limit = 100};
	uint64_t total, id = hook_new("x", "webhook.*", secret);
	struct hook_settings s = {.set = SET_HOOK_URL, .url = "https://example.org/out?token=verysecret"};
	(void)state;
	assert_int_equal(controller_hook_set(c, id, &s, &problem), ADMIN_OK);
	assert_int_equal(controller_hook_secret(c, id, fresh, &problem), ADMIN_OK);
	assert_string_not_equal(secret, fresh);
	assert_int_equal(controller_audit_each(c, &q, audit_look, secret, &total, &problem), ADMIN_OK);
	assert_int_equal(controller_audit_each(c, &q, audit_look, fresh, &total, &problem), ADMIN_OK);
	assert_int_equal(total, 3);
	while (take()) {
		assert_null(strstr(due.body, fresh));
		assert_null(strstr(due.body, "verysecret"));
		assert_string_equal(due.secret, fresh);
		done(200, 0);
	}
}

static void test_again(void **state)
{
	(void)state;
	uint64_t id = hook_new("x", "backup.*", NULL);
	note("backup.take");
	assert_true(take());
	uint64_t delivery = due.id;
	done(410, 0);
	assert_int_equal(controller_delivery_retry(c, id, delivery, &problem), ADMIN_CONFLICT); /* suspended */
	struct hook_settings s = {.set = SET_HOOK_ENABLED, .enabled = true};
	assert_int_equal(controller_hook_set(c, id, &s, &problem), ADMIN_OK);
	note("backup.take");
	assert_int_equal(controller_delivery_retry(c, id, delivery + 1, &problem), ADMIN_NOT_FOUND);
	assert_int_equal(controller_delivery_retry(c, id, delivery, &problem), ADMIN_OK);
	assert_true(take());
	assert_int_equal(due.id, delivery); /* in its old place: first */
	assert_false(take());
	done(500, 0);
	assert_false(take());
	assert_int_equal(controller_delivery_retry(c, id, delivery, &problem), ADMIN_OK); /* not in a second: now */
	assert_true(take());
	done(200, 0);
	assert_true(take());
	done(200, 0);
	assert_false(take());
}

/* ---- members that come and go ------------------------------------------------------- */

static void online(const struct identity *who, bool is)
{
	controller_online(c, who->key_hash, is, now, WALL + now / 1000);
}

static unsigned told(const char *event)
{
	unsigned n = 0;
	while (take()) {
		n += !strcmp(due.event, event);
		done(200, 0);
	}
	return n;
}

static void test_live(void **state)
{
	(void)state;
	uint64_t nwid = network_new("net");
	struct identity who = member_pending(nwid, 1), waits = member_pending(nwid, 2);
	assert_int_equal(controller_member_approve(c, nwid, who.address, NULL, &problem), ADMIN_OK);
	hook_new("live", "member.*", NULL);
	online(&who, true);
	run(20000);
	assert_int_equal(told("member.online"), 0); /* the controller is young: it had not gone */
	for (unsigned i = 0; i < 10; i++)
		run(10000);
	online(&who, false);
	online(&waits, true);
	run(2000);
	online(&who, true);
	for (unsigned i = 0; i < 100; i++)
		run(1000);
	assert_int_equal(told("member.offline"), 0); /* it came back at once; and who waits is nobody yet */
	online(&who, false);
	run(HOOK_LIVE_MS - 1);
	assert_false(take());
	run(1);
	assert_true(take());
	assert_string_equal(due.event, "member.offline");
	json_t *o = body_of();
	assert_false(json_is_true(json_object_get(json_object_get(o, "member"), "online")));
	json_decref(o);
	done(200, 0);
	/* flapping: a minute of it is two notes at most */
	unsigned n = 0;
	for (unsigned i = 0; i < 60; i++) {
		online(&who, i % 2 == 0);
		run(1000);
		while (take()) {
			n++;
			done(200, 0);
		}
	}
	assert_in_range(n, 0, 2);
	online(&who, true);
	for (unsigned i = 0; i < 100; i++)
		run(1000);
	told("");
	controller_path(c, who.key_hash, &(struct endpoint){0}, 1000, now, WALL);
	for (unsigned i = 0; i < 40; i++)
		run(1000);
	assert_int_equal(told("member.link"), 0); /* the first one is no turn */
	controller_path(c, who.key_hash, &(struct endpoint){.family = 4, .ip = {192, 0, 2, 7}, .port = 9993}, 900, now, WALL);
	for (unsigned i = 0; i < 6; i++)
		run(1000);
	assert_true(take());
	assert_string_equal(due.event, "member.link");
	o = body_of();
	assert_string_equal(at(json_object_get(o, "detail"), "link", "now"), "direct");
	json_decref(o);
	done(200, 0);
}

static void test_crowd_goes(void **state)
{
	(void)state;
	uint64_t nwid = network_new("net");
	struct identity who[300];
	uint64_t id = hook_new("live", "member.offline", NULL);
	struct network_settings s = {.set = SET_NET_FLAGS, .flags_on = NETWORK_PUBLIC};
	assert_int_equal(controller_network_set(c, nwid, &s, &problem), ADMIN_OK);
	for (unsigned i = 0; i < 300; i++) {
		who[i] = member_pending(nwid, i + 1);
		online(&who[i], true);
	}
	for (unsigned i = 0; i < 30; i++)
		run(10000);
	for (unsigned i = 0; i < 300; i++)
		online(&who[i], false);
	for (unsigned i = 0; i < 12; i++)
		run(i ? 1000 : HOOK_LIVE_MS);
	assert_int_equal(row_of(id).waiting, 300);
}

/* ---- what is sent, and where to ----------------------------------------------------- */

static void test_signature(void **state)
{
	(void)state;
	char text[WEBHOOK_SIGNATURE];
	/* openssl dgst -sha256 -hmac 0123456789abcdef of "1700000000.{}" */
	webhook_sign("0123456789abcdef", 1700000000, "{}", 2, text);
	assert_string_equal(text, "t=1700000000,v1=e4f8e2ecae2295b2ddb2f0b5584c8275e226c0ebe9b3b819e70156bb67122e3e");
}

static bool private_text(const char *text)
{
	struct prefix p;
	struct endpoint e = {.port = 80};
	if (!prefix_parse(text, false, &p))
		fail_msg("%s", text);
	e.family = p.family;
	memcpy(e.ip, p.ip, sizeof(e.ip));
	return address_private(&e);
}

static void test_addresses(void **state)
{
	static const char *const refused[] = {"0.0.0.0",
	                                      "0.1.2.3",
	                                      "10.0.0.1",
	                                      "100.64.0.1",
	                                      "100.127.255.255",
	                                      "127.0.0.1",
	                                      "127.255.0.1",
	                                      "169.254.169.254",
	                                      "172.16.0.1",
	                                      "172.31.255.255",
	                                      "192.168.1.1",
	                                      "198.18.0.1",
	                                      "224.0.0.1",
	                                      "239.1.2.3",
	                                      "255.255.255.255",
	                                      "192.0.0.1",
	                                      "::",
	                                      "::1",
	                                      "::7f00:1",
	                                      "::ffff:127.0.0.1",
	                                      "::ffff:10.1.2.3",
	                                      "::ffff:0:10.0.0.1",
	                                      "64:ff9b::a00:1",
	                                      "64:ff9b:1::808:808",
	                                      "2002:7f00:1::",
	                                      "2002:a00:1::1",
	                                      "2001:0:1::1",
	                                      "fc00::1",
	                                      "fdff::1",
	                                      "fe80::1",
	                                      "febf::1",
	                                      "fec0::1",
	                                      "ff02::1",
	                                      "100::1"};
	static const char *const good[] = {"1.1.1.1",         "9.255.255.255",   "11.0.0.0",       "100.63.255.255",   "100.128.0.0",
	                                   "126.255.255.255", "128.0.0.1",       "169.253.0.1",    "172.15.0.1",       "172.32.0.1",
	                                   "192.167.0.1",     "192.169.0.1",     "198.17.0.1",     "198.20.0.1",       "223.255.255.255",
	                                   "2600::1",         "2001:4860::8888", "::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::1",
	                                   "fbff::1",         "2003::1"};
	struct endpoint none = {0};
	(void)state;
	for (unsigned i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
		if (!private_text(refused[i]))
			fail_msg("%s must be refused", refused[i]);
	for (unsigned i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		if (private_text(good[i]))
			fail_msg("%s must not be refused", good[i]);
	assert_true(address_private(&none));
	/* our own overlays, whatever their range */
	struct network_settings s = {.set = SET_NET_NAME | SET_NET_POOL, .name = "odd", .pool = {4, 24, {25, 1, 2}}};
	uint64_t nwid;
	assert_int_equal(controller_network_create(c, &s, &nwid, &problem), ADMIN_OK);
	struct prefix *pools = NULL;
	unsigned n = 0;
	assert_int_equal(controller_hook_pools(c, &pools, &n), 0);
	assert_int_equal(n, 1);
	assert_true(prefix_holds(pools, &(struct endpoint){.family = 4, .ip = {25, 1, 2, 77}}));
	assert_false(prefix_holds(pools, &(struct endpoint){.family = 4, .ip = {25, 1, 3, 77}}));
	free(pools);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
	    TEST(test_events),     TEST(test_network_gone), TEST(test_same_id),       TEST(test_judged),       TEST(test_order),
	    TEST(test_retries),    TEST(test_retry_after),  TEST(test_gone),          TEST(test_gone_at_once), TEST(test_on_again),
	    TEST(test_three_days), TEST(test_full),         TEST(test_many_networks), TEST(test_transaction),  TEST(test_restart),
	    TEST(test_secrets),    TEST(test_again),        TEST(test_live),          TEST(test_crowd_goes),   TEST(test_signature),
	    TEST(test_addresses),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
