/* factor_test.c: second factors and roles through the routes: enrolling, codes that work once, codes on paper, clocks that are off, and
 * those who try what is not theirs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <ctype.h>

#include "test/unit/access_bed.h"

#include "controller/factor.h"

#define LOGIN    "{\"user\":\"anna\",\"password\":\"correct horse\"}"
#define PASSWORD "{\"password\":\"correct horse\"}"
#define FACTOR   "/v1/users/anna/second-factor"

static uint8_t secret[FACTOR_SECRET];
static char codes[RECOVERY_CODES][RECOVERY_TEXT];

static uint64_t wall(void)
{
	return t.wall_s ? t.wall_s : BED_WALL;
}

static void code_at(uint64_t wall_s, char ret[8])
{
	snprintf(ret, 8, "%06u", totp_code(secret, wall_s / TOTP_STEP_S, TOTP_DIGITS));
}

/* Of the answer just given. */
static void secret_take(void)
{
	const char *text = word("secret");
	uint64_t bits = 0;
	size_t n = 0;
	assert_int_equal(strlen(text), TOTP_BASE32 - 1);
	for (size_t i = 0; text[i]; i++) {
		bits = bits << 5 | (uint64_t)(text[i] >= 'A' ? text[i] - 'A' : text[i] - '2' + 26);
		if (i % 8 == 7)
			for (int shift = 32; shift >= 0; shift -= 8)
				secret[n++] = (uint8_t)(bits >> shift);
	}
}

static void codes_take(void)
{
	json_t *list = json_object_get(t.answer, "codes");
	assert_int_equal(json_array_size(list), RECOVERY_CODES);
	for (size_t i = 0; i < RECOVERY_CODES; i++) {
		const char *text = json_string_value(json_array_get(list, i));
		assert_int_equal(strlen(text), RECOVERY_TEXT - 1);
		for (size_t k = 0; k < i; k++)
			assert_string_not_equal(text, codes[k]);
		strcpy(codes[i], text);
	}
}

static unsigned confirm(const char *code, const char *cookie)
{
	char body[64];
	snprintf(body, sizeof(body), "{\"code\":\"%s\"}", code);
	return page(METHOD_POST, FACTOR "/confirm", body, cookie);
}

/* anna has one from here on, and this code of it is used. */
static void enrol(const char *cookie)
{
	char code[8];
	assert_int_equal(page(METHOD_POST, FACTOR, PASSWORD, cookie), 200);
	secret_take();
	code_at(wall(), code);
	assert_int_equal(confirm(code, cookie), 200);
	codes_take();
	t.wall_s = wall() + 2 * TOTP_STEP_S;
}

static unsigned login_with(const char *from, const char *code, char cookie[128])
{
	char body[160];
	snprintf(body, sizeof(body), "{\"user\":\"anna\",\"password\":\"correct horse\",\"code\":\"%s\"}", code);
	return login_from(from, body, cookie);
}

static bool says(const char *text)
{
	return strstr(t.text, text) != NULL;
}

static void user_make(const char *name, const char *role, char cookie[128])
{
	char body[160], from[64];
	static unsigned n;
	snprintf(body, sizeof(body), "{\"name\":\"%s\",\"password\":\"correct horse\",\"role\":\"%s\"}", name, role);
	assert_int_equal(local(METHOD_POST, "/v1/users", body), 201);
	assert_string_equal(word("role"), role);
	snprintf(body, sizeof(body), "{\"user\":\"%s\",\"password\":\"correct horse\"}", name);
	snprintf(from, sizeof(from), "198.18.0.%u", n++ % 200 + 1);
	assert_int_equal(login_from(from, body, cookie), 200);
}

static void enrolling(void **state)
{
	char cookie[128], other[128], code[8];
	(void)state;
	first_user(cookie);
	assert_int_equal(login_from("192.0.2.50", LOGIN, other), 200);
	problem(confirm("123456", cookie), 409); /* nothing was begun */
	problem(page(METHOD_POST, FACTOR, "{\"password\":\"wrong horse\"}", cookie), 403);
	problem(page(METHOD_POST, FACTOR, "{}", cookie), 400);
	assert_int_equal(page(METHOD_POST, FACTOR, PASSWORD, cookie), 200);
	secret_take();
	assert_true(says("otpauth://totp/Farlan%20") && says(word("secret")) && says("<svg"));
	assert_int_equal(in(cookie), 200);
	assert_true(json_is_false(json_object_get(t.answer, "second_factor"))); /* pending is not on */
	assert_int_equal(login_from("192.0.2.51", LOGIN, NULL), 200);
	code_at(wall() + 4 * TOTP_STEP_S, code);
	problem(confirm(code, cookie), 403);
	assert_true(says("behind by about 2 min") && says("/code"));
	problem(confirm("12345", cookie), 403);
	code_at(wall() - TOTP_STEP_S, code);
	assert_int_equal(confirm(code, cookie), 200);
	codes_take();
	problem(confirm(code, cookie), 409);
	problem(page(METHOD_POST, FACTOR, PASSWORD, cookie), 409);
	problem(in(other), 401); /* who came in without one is out */
	assert_int_equal(in(cookie), 200);
	assert_true(json_is_true(json_object_get(t.answer, "second_factor")));
	assert_int_equal(json_integer_value(json_object_get(t.answer, "recovery_left")), RECOVERY_CODES);
	assert_int_equal(audited("user.second-factor.on"), 1);
	problem(login_with("192.0.2.52", code, NULL), 401);
	assert_true(says("used already")); /* the one that confirmed it */
}

static void a_secret_waits_ten_minutes(void **state)
{
	char cookie[128], code[8];
	(void)state;
	first_user(cookie);
	assert_int_equal(page(METHOD_POST, FACTOR, PASSWORD, cookie), 200);
	secret_take();
	code_at(wall(), code);
	t.now += FACTOR_PENDING_MS;
	controller_settle(t.controller, t.now, BED_WALL);
	problem(confirm(code, cookie), 409);
	assert_int_equal(page(METHOD_POST, FACTOR, PASSWORD, cookie), 200);
	secret_take();
	code_at(wall(), code);
	for (unsigned i = 0; i < FACTOR_TRIES_MAX; i++)
		problem(confirm("nonsense", cookie), 403);
	problem(confirm(code, cookie), 409); /* five were enough */
}

static void logging_in(void **state)
{
	char cookie[128], code[8], text[32];
	(void)state;
	first_user(cookie);
	enrol(cookie);
	code_at(wall(), code);
	problem(login_from("192.0.2.60", LOGIN, NULL), 401);
	assert_string_equal(word("reason"), "second-factor");
	problem(login_from("192.0.2.61", "{\"user\":\"anna\",\"password\":\"wrong horse\",\"code\":\"123456\"}", NULL), 401);
	assert_false(says("reason")); /* strangers hear nothing of it, */
	assert_true(says("the user's name or the password is wrong"));
	snprintf(text, sizeof(text), "%.3s %s", code, code + 3);
	assert_int_equal(login_with("192.0.2.60", text, cookie), 200);
	assert_string_equal(word("role"), "admin");
	problem(login_with("192.0.2.60", code, NULL), 401);
	assert_string_equal(word("reason"), "second-factor-wrong");
	assert_true(says("used already"));
	code_at(wall() - TOTP_STEP_S, code);
	problem(login_with("192.0.2.60", code, NULL), 401); /* nor one before that */
	code_at(wall() + TOTP_STEP_S, code);
	assert_int_equal(login_with("192.0.2.60", code, NULL), 200); /* a phone that is a little ahead */
	problem(login_with("192.0.2.60", "000000", NULL), 401);
	assert_true(says("clock says"));
	assert_int_equal(audited("user.code.fail"), 1);
	problem(login_with("192.0.2.62", "", NULL), 400);
}

/* Two logins whose password is looked at at the same time, with one code. */
static void one_code_for_two(void **state)
{
	struct work_slot slot[2] = {{0}};
	struct visitor visitor;
	struct request request[2];
	char cookie[128], code[8], body[160];
	unsigned good = 0, status[2];
	(void)state;
	first_user(cookie);
	enrol(cookie);
	code_at(wall(), code);
	snprintf(body, sizeof(body), "{\"user\":\"anna\",\"password\":\"correct horse\",\"code\":\"%s\"}", code);
	t.api.wall_s = wall();
	t.api.visitor = &visitor;
	for (unsigned turn = 0; turn < 2; turn++)
		for (unsigned i = 0; i < 2; i++) {
			if (!turn)
				request[i] = browser(METHOD_POST, "/v1/session", body, NULL);
			snprintf(request[i].peer, sizeof(request[i].peer), "192.0.2.7%u", i);
			request[i].work = &slot[i];
			request[i].again = turn;
			reply_fini(&t.reply);
			memset(&t.reply, 0, sizeof(t.reply));
			assert_true(access_admit(&t.access, &request[i], &visitor, &t.reply));
			controller_api_serve(&t.api, &request[i], &t.reply);
			assert_int_equal(t.reply.wait, !turn);
			status[i] = t.reply.status;
		}
	work_drop(&slot[0]);
	work_drop(&slot[1]);
	for (unsigned i = 0; i < 2; i++)
		good += status[i] == 200;
	assert_int_equal(good, 1);
	assert_int_equal(status[1], 401);
}

static void recovery(void **state)
{
	char cookie[128], code[8], body[128], old[RECOVERY_TEXT], loud[32];
	(void)state;
	first_user(cookie);
	enrol(cookie);
	for (unsigned i = 0; codes[0][i]; i++)
		loud[i] = (char)(codes[0][i] == '-' ? ' ' : toupper((unsigned char)codes[0][i])), loud[i + 1] = '\0';
	assert_int_equal(login_with("192.0.2.60", loud, cookie), 200);
	assert_int_equal(json_integer_value(json_object_get(t.answer, "recovery_left")), RECOVERY_CODES - 1);
	problem(login_with("192.0.2.60", codes[0], NULL), 401);
	assert_int_equal(audited("user.recovery.used"), 1);
	strcpy(old, codes[1]);
	code_at(wall(), code);
	problem(page(METHOD_POST, "/v1/users/anna/recovery-codes", PASSWORD, cookie), 400);
	snprintf(body, sizeof(body), "{\"password\":\"correct horse\",\"code\":\"%s\"}", code);
	assert_int_equal(page(METHOD_POST, "/v1/users/anna/recovery-codes", body, cookie), 200);
	codes_take();
	problem(login_with("192.0.2.62", old, NULL), 401); /* the old sheet is paper */
	assert_int_equal(login_with("192.0.2.63", codes[9], NULL), 200);
	snprintf(body, sizeof(body), "{\"password\":\"correct horse\",\"code\":\"%s\"}", codes[2]);
	assert_int_equal(page(METHOD_DELETE, FACTOR, "{\"password\":\"correct horse\"}", cookie), 400);
	assert_int_equal(page(METHOD_DELETE, FACTOR, body, cookie), 200);
	assert_true(json_is_false(json_object_get(t.answer, "second_factor")));
	assert_int_equal(login_from("192.0.2.64", LOGIN, NULL), 200);
	assert_int_equal(audited("user.second-factor.off"), 1);
	problem(page(METHOD_DELETE, FACTOR, body, cookie), 409);
}

/* Who guesses waits long, and keeps nobody from his sheet of paper nor from home. */
static void wrong_codes(void **state)
{
	char cookie[128], code[8];
	(void)state;
	first_user(cookie);
	enrol(cookie);
	code_at(wall(), code);
	assert_int_equal(login_with("192.0.2.60", code, NULL), 200); /* home */
	t.wall_s = wall() + TOTP_STEP_S;
	code_at(wall(), code);
	for (unsigned i = 0; i < CODE_FREE; i++) {
		char from[64];
		snprintf(from, sizeof(from), "198.51.100.%u", i + 1);
		problem(login_with(from, "000000", NULL), 401);
		t.now += THROTTLE_MOST_MS;
	}
	problem(login_with("198.51.100.9", code, NULL), 429);
	assert_string_equal(word("reason"), "second-factor-wait");
	assert_true(t.reply.retry_after > 6000 && t.reply.retry_after <= CODE_EVERY_MS / 1000);
	assert_int_equal(login_with("192.0.2.60", code, NULL), 200);
	t.now += THROTTLE_MOST_MS;
	assert_int_equal(login_with("198.51.100.10", codes[3], NULL), 200);
}

/* Codes that nobody asked for buy no guess at somebody else's password. */
static void codes_for_nothing(void **state)
{
	char cookie[128];
	unsigned guesses = 0;
	(void)state;
	first_user(cookie);
	user_make("mallory", "read", cookie);
	for (unsigned i = 0; i < THROTTLE_FREE + 4; i++) {
		guesses += login_from("198.51.100.30", "{\"user\":\"anna\",\"password\":\"wrong horse\"}", NULL) == 401;
		login_from("198.51.100.30", "{\"user\":\"mallory\",\"password\":\"correct horse\",\"code\":\"123456\"}", NULL);
	}
	assert_true(guesses >= 2 && guesses <= THROTTLE_FREE);
}

static void clocks(void **state)
{
	char cookie[128], code[8], ahead[8];
	uint64_t right;
	(void)state;
	first_user(cookie);
	enrol(cookie);
	right = wall();
	code_at(right, code);
	t.wall_s = right + 180;
	problem(login_from("192.0.2.80", "{\"user\":\"anna\",\"password\":\"wrong horse\",\"code\":\"123456\"}", NULL), 401);
	assert_false(says("clock"));
	problem(login_with("192.0.2.81", code, NULL), 401);
	assert_true(says("ahead by about 3 min"));
	t.wall_s = right;
	assert_int_equal(login_with("192.0.2.82", code, NULL), 200); /* mended: it was not used */
	code_at(right + 600, ahead);
	problem(login_with("192.0.2.83", ahead, NULL), 401);
	assert_true(says("behind by about 10 min"));
	t.wall_s = right + 600;
	problem(login_with("192.0.2.84", ahead, NULL), 401); /* what was told about is worth nothing any more */
	assert_true(says("used already"));
}

static void restarts(void **state)
{
	char cookie[128], code[8], path[300];
	static uint8_t bytes[1 << 20];
	(void)state;
	controller_close(t.controller);
	strcpy(t.dir, "/tmp/farlan-factor-XXXXXX");
	assert_non_null(mkdtemp(t.dir));
	start(t.dir);
	first_user(cookie);
	enrol(cookie);
	code_at(wall(), code);
	assert_int_equal(login_with("192.0.2.60", code, cookie), 200);
	assert_int_equal(login_with("192.0.2.60", codes[0], NULL), 200);
	controller_close(t.controller);
	static const char *const files[] = {"controller.db", "controller.db-wal"};
	for (size_t i = 0; i < 2; i++) { /* who has the database has neither the secret nor a code */
		snprintf(path, sizeof(path), "%s/%s", t.dir, files[i]);
		FILE *file = fopen(path, "re");
		size_t n = file ? fread(bytes, 1, sizeof(bytes), file) : 0;
		assert_true(file ? n > 0 && n < sizeof(bytes) : i == 1);
		assert_null(memmem(bytes, n, secret, sizeof(secret)));
		assert_null(memmem(bytes, n, codes[1], RECOVERY_TEXT - 1));
		if (file)
			fclose(file);
	}
	start(t.dir);
	problem(login_with("192.0.2.60", code, NULL), 401);
	assert_true(says("used already"));
	problem(login_with("192.0.2.60", codes[0], NULL), 401);
	assert_int_equal(in(cookie), 200);
	code_at(wall() + TOTP_STEP_S, code);
	assert_int_equal(login_with("192.0.2.60", code, NULL), 200);
}

static void others_affairs(void **state)
{
	char anna[128], bert[128], carl[128], token[TOKEN_TEXT], code[8], body[128];
	static const char *const paths[] = {FACTOR, FACTOR "/confirm", "/v1/users/anna/recovery-codes"};
	(void)state;
	first_user(anna);
	user_make("bert", "read", bert);
	user_make("carl", "admin", carl);
	token_make("{\"name\":\"all\",\"scopes\":[\"admin\"]}", token);
	assert_int_equal(page(METHOD_POST, FACTOR, PASSWORD, anna), 200);
	secret_take();
	code_at(wall(), code);
	snprintf(body, sizeof(body), "{\"code\":\"%s\"}", code);
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) { /* not even an admin enrols another */
		problem(page(METHOD_POST, paths[i], i == 1 ? body : "{}", bert), 403);
		problem(page(METHOD_POST, paths[i], i == 1 ? body : "{}", carl), 403);
		problem(page(METHOD_POST, paths[i], i == 1 ? body : PASSWORD, carl), 403);
		problem(bearer(METHOD_POST, paths[i], i == 1 ? body : "{}", token), 403);
		problem(page(METHOD_POST, paths[i], "{}", NULL), 401);
	}
	assert_int_equal(confirm(code, anna), 200);
	problem(page(METHOD_DELETE, FACTOR, "{}", bert), 403);
	problem(page(METHOD_DELETE, FACTOR, "{}", anna), 400); /* her own takes password and code */
	assert_int_equal(page(METHOD_DELETE, FACTOR, "{}", carl), 200);
	assert_int_equal(login_from("192.0.2.90", LOGIN, NULL), 200);
	assert_int_equal(local(METHOD_POST, FACTOR, "{}"), 200); /* who has the machine has the controller */
	secret_take();
	code_at(wall(), code);
	snprintf(body, sizeof(body), "{\"code\":\"%s\"}", code);
	assert_int_equal(local(METHOD_POST, FACTOR "/confirm", body), 200);
	problem(in(anna), 401);
	assert_int_equal(local(METHOD_POST, "/v1/users/anna/recovery-codes", "{}"), 200);
	assert_int_equal(local(METHOD_DELETE, FACTOR, "{}"), 200);
	problem(local(METHOD_DELETE, FACTOR, "{}"), 409);
	problem(local(METHOD_POST, "/v1/users/nobody/second-factor", "{}"), 404);
}

static void roles(void **state)
{
	char anna[128], bert[128], nwid[64];
	(void)state;
	problem(local(METHOD_POST, "/v1/users", "{\"name\":\"eve\",\"password\":\"correct horse\",\"role\":\"read\"}"),
	        409); /* the first */
	problem(local(METHOD_POST, "/v1/users", "{\"name\":\"eve\",\"password\":\"correct horse\",\"role\":\"root\"}"), 400);
	first_user(anna);
	user_make("bert", "read", bert);
	assert_int_equal(local(METHOD_POST, "/v1/networks", "{\"name\":\"one\"}"), 201);
	snprintf(nwid, sizeof(nwid), "/v1/networks/%s", word("id"));
	assert_int_equal(page(METHOD_GET, nwid, NULL, bert), 200);
	problem(page(METHOD_PATCH, nwid, "{\"mtu\":1500}", bert), 403);
	problem(page(METHOD_GET, "/v1/users", NULL, bert), 403);
	problem(page(METHOD_PATCH, "/v1/users/bert", "{\"role\":\"admin\"}", bert), 403);
	problem(page(METHOD_PATCH, "/v1/users/anna", "{\"password\":\"correct horse 2\"}", bert), 403);
	problem(page(METHOD_POST, "/v1/tokens", "{\"name\":\"x\",\"scopes\":[\"read\"]}", bert), 403);
	strcat(nwid, "/members/7f00000001/approve");
	problem(page(METHOD_POST, nwid, "{}", bert), 403);
	assert_int_equal(page(METHOD_PATCH, "/v1/users/bert", "{\"role\":\"approve\"}", anna), 200);
	problem(page(METHOD_POST, nwid, "{}", bert), 404); /* the same session, by now */
	assert_int_equal(in(bert), 200);
	assert_string_equal(word("role"), "approve");
	assert_int_equal(json_array_size(json_object_get(t.answer, "scopes")), 2);
	assert_int_equal(
	    page(METHOD_PATCH, "/v1/users/bert", "{\"password\":\"correct horse 2\",\"old_password\":\"correct horse\"}", bert), 200);
	problem(page(METHOD_PATCH, "/v1/users/anna", "{\"role\":\"read\"}", anna), 409);
	problem(local(METHOD_DELETE, "/v1/users/anna", NULL), 409);
	problem(local(METHOD_PATCH, "/v1/users/anna", "{\"role\":\"approve\"}"), 409);
	problem(page(METHOD_PATCH, "/v1/users/bert", "{\"role\":\"admin\",\"password\":\"correct horse 3\"}", anna), 400);
	problem(page(METHOD_PATCH, "/v1/users/bert", "{\"role\":null}", anna), 400);
	assert_int_equal(page(METHOD_PATCH, "/v1/users/bert", "{\"role\":\"admin\"}", anna), 200);
	assert_int_equal(page(METHOD_PATCH, "/v1/users/anna", "{\"role\":\"read\"}", bert), 200);
	problem(page(METHOD_GET, "/v1/users", NULL, anna), 403);
	problem(page(METHOD_DELETE, "/v1/users/bert", NULL, anna), 403);
	assert_int_equal(page(METHOD_DELETE, "/v1/users/anna", NULL, bert), 200);
	problem(in(anna), 401);
	assert_int_equal(audited("user.role"), 3);
}

static void required(void **state)
{
	char link[128], anna[128], code[8];
	(void)state;
	t.access.factor_required = true;
	first_user(anna);
	assert_string_equal(word("needs"), "second-factor");
	assert_int_equal(json_array_size(json_object_get(t.answer, "scopes")), 0);
	problem(page(METHOD_GET, "/v1/networks", NULL, anna), 403);
	problem(page(METHOD_GET, "/v1/users", NULL, anna), 403);
	problem(page(METHOD_PATCH, "/v1/users/anna", "{\"role\":\"read\"}", anna), 403);
	enter_by_link(link); /* who has the machine is not asked for his phone */
	assert_int_equal(page(METHOD_GET, "/v1/users", NULL, link), 200);
	assert_int_equal(page(METHOD_POST, FACTOR, PASSWORD, anna), 200);
	secret_take();
	problem(page(METHOD_GET, "/v1/networks", NULL, anna), 403);
	code_at(wall(), code);
	assert_int_equal(confirm(code, anna), 200);
	assert_int_equal(page(METHOD_GET, "/v1/networks", NULL, anna), 200);
	assert_int_equal(in(anna), 200);
	assert_true(json_is_null(json_object_get(t.answer, "needs")));
	assert_int_equal(local(METHOD_DELETE, FACTOR, "{}"), 200);
	problem(page(METHOD_GET, "/v1/networks", NULL, anna), 403); /* at once */
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(enrolling),      TEST(a_secret_waits_ten_minutes),
	    TEST(logging_in),     TEST(one_code_for_two),
	    TEST(recovery),       TEST(wrong_codes),
	    TEST(clocks),         TEST(restarts),
	    TEST(others_affairs), TEST(roles),
	    TEST(required),       TEST(codes_for_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
