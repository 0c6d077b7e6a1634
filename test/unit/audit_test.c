/* The audit: entries of a turn, what its chain shows when a row is changed behind its back, filters, and details of whatever bytes. */
#include <dirent.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "controller/state.h"
#include "controller/store_audit.h"
#include "test/unit/controller_bed.h"

static char dir[64], path[100];
static struct controller *c;
static uint64_t now = 1000;

static void open_it(void)
{
	struct secret self = {0};
	struct controller_port port = {.send = bed_send};
	const char *why = "";
	memset(self.self.x, 9, 32);
	identity_hash(&self.self);
	self.self.address = 0xfe00000001;
	if (controller_open(&c, dir, &self, &port, now, 1700000000, &why))
		fail_msg("%s", why);
}

static int setup(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/farlan-audit-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	snprintf(path, sizeof(path), "%s/controller.db", dir);
	open_it();
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

static void act(const char *who, const char *action, uint64_t nwid, uint64_t member, const char *detail)
{
	struct actor actor = {.from = "127.0.0.1"};
	snprintf(actor.name, sizeof(actor.name), "%s", who);
	controller_actor(c, &actor);
	assert_int_equal(audit_note(c, action, nwid, member, detail), 0);
	assert_int_equal(turn_commit(c), 0);
}

static struct audit_verdict verdict(const uint8_t *sought)
{
	struct audit_verdict v = {.entries = 999};
	assert_int_equal(store_audit_verify(path, sought, &v), 0);
	return v;
}

struct seen {
	struct audit_entry e[64];
	unsigned n;
	uint64_t total;
};

static void see(void *self, const struct audit_entry *e)
{
	struct seen *s = self;
	assert_true(s->n < 64);
	s->e[s->n++] = *e;
}

static void list(struct seen *s, struct audit_query q)
{
	struct admin_error error;
	s->n = 0;
	if (!q.limit)
		q.limit = 64;
	assert_int_equal(controller_audit_each(c, &q, see, s, &s->total, &error), ADMIN_OK);
}

static void test_chain(void **state)
{
	(void)state;
	struct seen *s = calloc(1, sizeof(*s));
	assert_int_equal(verdict(NULL).entries, 0);
	act("user:anna", "member.approve", 0xfe00000001aaaaaa, 0xff00000001, "{\"name\":\"x\"}");
	act("", "member.expire", 0xfe00000001aaaaaa, 0xff00000002, NULL);
	list(s, (struct audit_query){0});
	assert_int_equal(s->n, 2);
	assert_int_equal(s->total, 2);
	assert_int_equal(s->e[0].seq, 2); /* newest first */
	assert_string_equal(s->e[0].actor.name, "controller");
	assert_string_equal(s->e[0].detail, "");
	assert_string_equal(s->e[1].actor.name, "user:anna");
	assert_string_equal(s->e[1].actor.from, "127.0.0.1");
	assert_string_equal(s->e[1].action, "member.approve");
	assert_string_equal(s->e[1].detail, "{\"name\":\"x\"}");
	assert_int_equal(s->e[1].nwid, 0xfe00000001aaaaaa);
	assert_int_equal(s->e[1].member, 0xff00000001);
	assert_int_equal(s->e[1].wall_s, 1700000000);
	struct audit_verdict v = verdict(s->e[1].hash);
	assert_int_equal(v.entries, 2);
	assert_int_equal(v.broken_at, 0);
	assert_true(v.found);
	assert_memory_equal(v.head, s->e[0].hash, 32);
	assert_false(verdict((const uint8_t[32]){1}).found);
	/* a start goes on with the chain */
	controller_close(c);
	open_it();
	act("user:anna", "network.create", 0xfe00000001aaaaaa, 0, NULL);
	v = verdict(s->e[0].hash);
	assert_int_equal(v.entries, 3);
	assert_int_equal(v.broken_at, 0);
	assert_true(v.found);
	free(s);
}

static void test_rollback(void **state)
{
	(void)state;
	act("user:a", "network.create", 1, 0, NULL);
	assert_int_equal(audit_note(c, "network.delete", 1, 0, NULL), 0);
	turn_abort(c, -28);
	c->retry_at = 0;
	act("user:a", "network.set", 1, 0, NULL);
	struct audit_verdict v = verdict(NULL);
	assert_int_equal(v.entries, 2);
	assert_int_equal(v.broken_at, 0);
}

/* Whoever writes to the file itself, past the triggers too. */
static void meddle(const char *sql, bool triggers, int want)
{
	sqlite3 *db;
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	if (!triggers)
		assert_int_equal(sqlite3_exec(db, "DROP TRIGGER audit_stays; DROP TRIGGER audit_is", NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), want);
	sqlite3_close(db);
}

static void test_meddling(void **state)
{
	static const struct {
		const char *sql;
		uint64_t broken_at;
	} deeds[] = {
	    {"UPDATE audit SET action = 'member.deny' WHERE seq = 2", 2},
	    {"UPDATE audit SET actor = 'user:bob' WHERE seq = 3", 3},
	    {"UPDATE audit SET source = '' WHERE seq = 1", 1},
	    {"UPDATE audit SET detail = NULL WHERE seq = 2", 2},
	    {"UPDATE audit SET detail = detail || x'00' WHERE seq = 2", 2},
	    {"UPDATE audit SET detail = replace(hex(zeroblob(3000)), '0', 'x') WHERE seq = 2", 2},
	    {"UPDATE audit SET wall = wall + 1 WHERE seq = 4", 4},
	    {"UPDATE audit SET time = time + 1 WHERE seq = 4", 4},
	    {"UPDATE audit SET nwid = 0 WHERE seq = 4", 4},
	    {"UPDATE audit SET member = 5 WHERE seq = 4", 4},
	    {"UPDATE audit SET hash = zeroblob(32) WHERE seq = 4", 4},
	    {"DELETE FROM audit WHERE seq = 2", 2},
	    {"DELETE FROM audit WHERE seq = 1", 1},
	    {"DELETE FROM audit WHERE seq = 2; UPDATE audit SET seq = seq - 1 WHERE seq > 2", 2},
	    {"UPDATE audit SET seq = 9 WHERE seq = 2; UPDATE audit SET seq = 2 WHERE seq = 3; UPDATE audit SET seq = 3 WHERE seq = 9", 2},
	    {"UPDATE meta SET owner = zeroblob(32)", 1},
	};
	(void)state;
	teardown(NULL);
	for (unsigned i = 0; i < sizeof(deeds) / sizeof(*deeds); i++) {
		setup(NULL);
		for (unsigned n = 0; n < 4; n++)
			act("user:anna", "member.approve", 7, n + 1, "{\"n\":1}");
		meddle(deeds[i].sql, true, strstr(deeds[i].sql, "meta") ? SQLITE_OK : SQLITE_CONSTRAINT);
		if (!strstr(deeds[i].sql, "meta")) {
			assert_int_equal(verdict(NULL).broken_at, 0);
			meddle(deeds[i].sql, false, SQLITE_OK);
		}
		struct audit_verdict v = verdict(NULL);
		if (v.broken_at != deeds[i].broken_at)
			fail_msg("%s: broken at %" PRIu64, deeds[i].sql, v.broken_at);
		assert_int_equal(v.entries, v.broken_at - 1);
		teardown(NULL);
	}
	setup(NULL);
	/* the end cut off leaves a whole chain: only a head kept elsewhere shows it */
	act("user:anna", "a.b", 0, 0, NULL);
	act("user:anna", "a.c", 0, 0, NULL);
	struct audit_verdict v = verdict(NULL);
	meddle("DELETE FROM audit WHERE seq = 2", false, SQLITE_OK);
	assert_int_equal(verdict(v.head).broken_at, 0);
	assert_false(verdict(v.head).found);
	assert_int_equal(store_audit_verify("/nowhere/at/all", NULL, &v), -5);
}

static void test_filters(void **state)
{
	(void)state;
	struct seen *s = calloc(1, sizeof(*s));
	for (unsigned i = 0; i < 30; i++)
		act(i % 3 ? "user:anna" : "token:ci", i % 2 ? "member.approve" : "members.x", 1 + i % 2, i % 5, NULL);
	list(s, (struct audit_query){.limit = 10});
	assert_int_equal(s->n, 10);
	assert_int_equal(s->total, 30);
	assert_int_equal(s->e[0].seq, 30);
	list(s, (struct audit_query){.limit = 10, .before = 21});
	assert_int_equal(s->e[0].seq, 20);
	assert_int_equal(s->e[9].seq, 11);
	list(s, (struct audit_query){.nwid = 2});
	assert_int_equal(s->n, 15);
	assert_int_equal(s->total, 15);
	list(s, (struct audit_query){.member = 3});
	assert_int_equal(s->n, 6);
	list(s, (struct audit_query){.member = 3, .nwid = 2});
	assert_int_equal(s->n, 3);
	assert_int_equal(s->total, 3);
	list(s, (struct audit_query){.actor = "token:ci"});
	assert_int_equal(s->n, 10);
	list(s, (struct audit_query){.action = "member"}); /* and not members.x */
	assert_int_equal(s->n, 15);
	for (unsigned i = 0; i < s->n; i++)
		assert_string_equal(s->e[i].action, "member.approve");
	list(s, (struct audit_query){.action = "member.approve", .nwid = 2, .actor = "user:anna", .limit = 4});
	assert_int_equal(s->n, 4);
	assert_int_equal(s->total, 10);
	list(s, (struct audit_query){.action = "nothing"});
	assert_int_equal(s->n + s->total, 0);
	free(s);
}

static void test_details(void **state)
{
	(void)state;
	struct audit_detail d = {0};
	assert_null(audit_detail_end(&d));
	audit_detail_change(&d, "same", "a", "a");
	audit_detail_change_count(&d, "same", 4, 4);
	assert_null(audit_detail_end(&d));
	audit_detail_text(&d, "name", "a\"b\\c\n\x1b\xff");
	audit_detail_count(&d, "n", UINT64_MAX);
	audit_detail_change(&d, "ip", NULL, "10.0.0.1");
	audit_detail_change_count(&d, "mtu", 1400, 1500);
	assert_string_equal(audit_detail_end(&d), "{\"name\":\"a\\\"b\\\\x5cc\\\\x0a\\\\x1b\\\\xff\",\"n\":18446744073709551615,"
	                                          "\"ip\":{\"was\":null,\"now\":\"10.0.0.1\"},\"mtu\":{\"was\":1400,\"now\":1500}}");
	char huge[5000];
	memset(huge, '"', sizeof(huge) - 1);
	huge[sizeof(huge) - 1] = '\0';
	memset(&d, 0, sizeof(d));
	audit_detail_text(&d, "huge", huge);
	assert_string_equal(audit_detail_end(&d), "{\"cut\":true}");
	memset(&d, 0, sizeof(d));
	memset(huge, 'x', 800);
	huge[800] = '\0';
	for (unsigned i = 0; i < 9; i++) /* every length of what is left over */
		audit_detail_text(&d, "x", huge + 97 * i);
	const char *text = audit_detail_end(&d);
	assert_true(strlen(text) < sizeof(d.text));
	assert_string_equal(text + strlen(text) - 12, ",\"cut\":true}");
	act("user:anna", "x.y", 0, 0, text);
	assert_int_equal(verdict(NULL).broken_at, 0);
	struct seen *s = calloc(1, sizeof(*s));
	list(s, (struct audit_query){0});
	assert_string_equal(s->e[0].detail, text);
	free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_chain, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_rollback, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_meddling, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_filters, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_details, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
