/* account_test.c: users, sessions and tokens where the database does not play along: locked, full of what others wrote, asked too much.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "controller/account.h"
#include "controller/audit.h"
#include "proto/seal.h"
#include "test/unit/controller_bed.h"

#define WALL 1800000000

static struct {
	char dir[64];
	struct controller *controller;
	struct secret secret;
	uint64_t now;
	struct admin_error error;
} t;

static void start(void)
{
	struct controller_port port = {.send = bed_send};
	const char *why = "";
	assert_int_equal(controller_open(&t.controller, t.dir, &t.secret, &port, t.now, WALL, &why), 0);
	controller_settle(t.controller, t.now, WALL);
}

static int setup(void **state)
{
	(void)state;
	assert_int_equal(seal_setup(), 0);
	memset(&t, 0, sizeof(t));
	strcpy(t.dir, "/tmp/farlan-account-XXXXXX");
	assert_non_null(mkdtemp(t.dir));
	memset(t.secret.self.x, 1, 32);
	memset(t.secret.ed, 2, sizeof(t.secret.ed));
	identity_hash(&t.secret.self);
	t.secret.self.address = 0x0123456789;
	t.now = 1000000;
	start();
	return 0;
}

static int teardown(void **state)
{
	char path[512];
	(void)state;
	controller_close(t.controller);
	DIR *dir = opendir(t.dir);
	for (struct dirent *entry; dir && (entry = readdir(dir));) {
		snprintf(path, sizeof(path), "%s/%s", t.dir, entry->d_name);
		unlink(path);
	}
	closedir(dir);
	rmdir(t.dir);
	return 0;
}

static sqlite3 *database(void)
{
	char path[128];
	sqlite3 *db = NULL;
	snprintf(path, sizeof(path), "%s/controller.db", t.dir);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	return db;
}

static void sql(sqlite3 *db, const char *text)
{
	char *why = NULL;
	if (sqlite3_exec(db, text, NULL, NULL, &why) != SQLITE_OK)
		fail_msg("%s: %s", text, why);
}

static void turn(uint64_t ms)
{
	t.now += ms;
	controller_settle(t.controller, t.now, WALL);
}

static const struct session_row *find(const char *text)
{
	return controller_session_find(t.controller, text, strlen(text));
}

static unsigned rows(const char *text)
{
	sqlite3 *db = database();
	sqlite3_stmt *st = NULL;
	assert_int_equal(sqlite3_prepare_v2(db, text, -1, &st, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(st), SQLITE_ROW);
	unsigned n = (unsigned)sqlite3_column_int(st, 0);
	sqlite3_finalize(st);
	sqlite3_close(db);
	return n;
}

/* Who has to mend a database that cannot be written must be able to sign in. */
static void a_locked_database_keeps_nobody_out(void **state)
{
	char kept[SESSION_TEXT], text[SESSION_TEXT];
	struct token_settings settings = {.name = "ci", .rights = RIGHT_READ};
	struct token_row row;
	char token[TOKEN_TEXT] = "untouched";
	(void)state;
	assert_int_equal(controller_user_add(t.controller, "anna", "kept", ROLE_ADMIN, false, &t.error), ADMIN_OK);
	assert_int_equal(controller_session_open(t.controller, "anna", kept), 0);
	turn(100);
	sqlite3 *db = database();
	sql(db, "BEGIN IMMEDIATE");
	assert_int_equal(controller_session_open(t.controller, "anna", text), 0);
	assert_non_null(find(text));
	assert_non_null(find(kept));
	assert_int_equal(controller_user_add(t.controller, "bert", "kept", ROLE_ADMIN, false, &t.error),
	                 ADMIN_UNAVAILABLE); /* but nothing is promised */
	assert_int_equal(controller_user_password(t.controller, "anna", "other", NULL, &t.error), ADMIN_UNAVAILABLE);
	assert_non_null(find(kept)); /* not changed: his sessions stay */
	assert_int_equal(controller_user_delete(t.controller, "anna", &t.error), ADMIN_CONFLICT);
	assert_int_equal(controller_token_create(t.controller, &settings, &row, token, &t.error), ADMIN_UNAVAILABLE);
	assert_string_equal(token, "untouched");
	turn(100);
	sql(db, "ROLLBACK");
	sqlite3_close(db);
	for (unsigned i = 0; i < 10 * 60; i++) /* used again, it gets its row */
		turn(1000);
	assert_non_null(find(text));
	turn(100);
	controller_close(t.controller);
	start();
	assert_non_null(find(text));
	assert_string_equal(find(text)->user, "anna");
	assert_int_equal(controller_users(t.controller), 1);
}

static void the_first_is_first(void **state)
{
	char kept[KEPT_MAX], name[USER_NAME_MAX + 2];
	(void)state;
	assert_int_equal(controller_user_add(t.controller, "anna", "one", ROLE_ADMIN, true, &t.error), ADMIN_OK);
	assert_int_equal(controller_user_add(t.controller, "eve", "two", ROLE_ADMIN, true, &t.error), ADMIN_CONFLICT);
	assert_true(controller_user_kept(t.controller, "anna", kept));
	assert_string_equal(kept, "one");
	assert_false(controller_user_kept(t.controller, "eve", kept));
	assert_string_equal(kept, "");
	static const char *const bad[] = {"", "Anna", "a b", "a\n", "a/b", "\xc3\xa4", "012345678901234567890123456789012", "a;b", "a=b"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(controller_user_add(t.controller, bad[i], "x", ROLE_ADMIN, false, &t.error), ADMIN_INVALID);
		assert_false(controller_user_kept(t.controller, bad[i], kept));
	}
	for (unsigned i = 1; i < USERS_MAX; i++) {
		snprintf(name, sizeof(name), "u%u", i);
		assert_int_equal(controller_user_add(t.controller, name, "x", ROLE_ADMIN, false, &t.error), ADMIN_OK);
	}
	assert_int_equal(controller_user_add(t.controller, "one-more", "x", ROLE_ADMIN, false, &t.error), ADMIN_CONFLICT);
}

/* What a flood of guesses leaves behind: no more rows than there is room for in a minute. */
static void failures_are_few_rows(void **state)
{
	char from[64];
	(void)state;
	for (unsigned i = 0; i < 1000; i++) {
		snprintf(from, sizeof(from), "192.0.%u.%u", i / 256, i % 256);
		controller_login_note(t.controller, "anna", from, false);
		turn(10);
	}
	unsigned n = rows("SELECT count(*) FROM audit WHERE action = 'user.login.fail'");
	assert_true(n > 0 && n <= 64);
	turn(60000);
	controller_login_note(t.controller, "a\n\"b", "192.0.2.1", false);
	controller_login_note(t.controller, "anna", "192.0.2.1", false);
	turn(10);
	assert_int_equal(rows("SELECT count(*) FROM audit WHERE action = 'user.login.fail'"), n + 1);
	controller_login_note(t.controller, "anna", "192.0.2.1", true);
	turn(10);
	assert_int_equal(rows("SELECT count(*) FROM audit WHERE action = 'user.login'"), 1);
}

/* Rows a restored or foreign hand left: they open nothing that they should not, and crash nothing. */
static void odd_rows(void **state)
{
	struct token_settings settings = {.name = "ci", .rights = RIGHT_READ};
	struct token_row row;
	char token[TOKEN_TEXT], text[SESSION_TEXT];
	(void)state;
	assert_int_equal(controller_token_create(t.controller, &settings, &row, token, &t.error), ADMIN_OK);
	assert_int_equal(controller_session_open(t.controller, "", text), 0);
	assert_true(controller_token_find(t.controller, token, strlen(token), &row));
	controller_close(t.controller);
	sqlite3 *db = database();
	sql(db, "UPDATE token SET hash = randomblob(32)"); /* the id fits, the hash does not */
	sql(db, "INSERT INTO session VALUES (randomblob(32), NULL, -1, -1)");
	sql(db, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000) "
	        "INSERT INTO session SELECT randomblob(32), NULL, 1, 1 FROM n");
	sqlite3_close(db);
	start();
	assert_false(controller_token_find(t.controller, token, strlen(token), &row));
	assert_int_equal(controller_session_open(t.controller, "", text), 0);
	assert_non_null(find(text));
	assert_null(controller_session_find(t.controller, "", 0));
	turn(10);
	assert_int_equal(rows("SELECT count(*) FROM session WHERE used < 0"), 0); /* swept out when one began */
	memset(text, '0', SESSION_TEXT - 1);
	assert_null(find(text));
}

static void tokens_are_bounded(void **state)
{
	struct token_settings settings = {.rights = RIGHT_READ};
	struct token_row row;
	char token[TOKEN_TEXT], other[TOKEN_TEXT] = "";
	(void)state;
	for (unsigned i = 0; i < TOKENS_MAX; i++) {
		snprintf(settings.name, sizeof(settings.name), "t%u", i);
		assert_int_equal(controller_token_create(t.controller, &settings, &row, token, &t.error), ADMIN_OK);
		assert_true(token_text_good(token, strlen(token)));
		assert_string_not_equal(token, other);
		strcpy(other, token);
	}
	strcpy(settings.name, "one more");
	assert_int_equal(controller_token_create(t.controller, &settings, &row, token, &t.error), ADMIN_CONFLICT);
	assert_int_equal(controller_token_revoke(t.controller, row.id, &t.error), ADMIN_OK);
	assert_int_equal(controller_token_revoke(t.controller, row.id, &t.error), ADMIN_NOT_FOUND);
	settings.rights = 8;
	assert_int_equal(controller_token_create(t.controller, &settings, &row, token, &t.error), ADMIN_INVALID);
	settings.rights = 0;
	assert_int_equal(controller_token_create(t.controller, &settings, &row, token, &t.error), ADMIN_INVALID);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(a_locked_database_keeps_nobody_out),
	    TEST(the_first_is_first),
	    TEST(failures_are_few_rows),
	    TEST(odd_rows),
	    TEST(tokens_are_bounded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
