/* zt1_test.c: what ZeroTier One's API stands on: the token's file, who may come, routes, tolerant readers, rules. The API itself is
 * test/api/zt1.py's, and zt1_fuzz.c's.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/seal.h"
#include "ui/zt1_controller.h"

static char dir[64], file[128];

static int setup(void **state)
{
	(void)state;
	assert_int_equal(seal_setup(), 0);
	strcpy(dir, "/tmp/farlan-zt1-XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(file, sizeof(file), "%s/%s", dir, ZT1_TOKEN_FILE);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	unlink(file);
	return rmdir(dir);
}

/* ---- the token ---- */

static void put(const char *text, size_t len)
{
	int fd = open(file, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	assert_int_equal(write(fd, text, len), (ssize_t)len);
	close(fd);
}

static void token_is_made_once(void **state)
{
	char path[HOME_PATH_MAX + sizeof(ZT1_TOKEN_FILE)], one[ZT1_TOKEN_MAX + 1], two[ZT1_TOKEN_MAX + 1], why[ZT1_WHY];
	struct stat st;
	(void)state;
	assert_int_equal(zt1_token_load(dir, path, one, why), 0);
	assert_string_equal(path, file);
	assert_true(strlen(one) >= 24 && strspn(one, "abcdefghijklmnopqrstuvwxyz0123456789") == strlen(one));
	assert_int_equal(stat(file, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0640);
	assert_int_equal(st.st_size, strlen(one));
	assert_int_equal(zt1_token_load(dir, path, two, why), 0);
	assert_string_equal(one, two);
	unlink(file);
	assert_int_equal(zt1_token_load(dir, path, two, why), 0);
	assert_string_not_equal(one, two);
}

static void token_of_an_admin(void **state)
{
	char path[HOME_PATH_MAX + sizeof(ZT1_TOKEN_FILE)], token[ZT1_TOKEN_MAX + 1] = "before", why[ZT1_WHY], long_[ZT1_TOKEN_MAX + 2];
	static const struct {
		const char *text;
		size_t len;
	} bad[] = {{"", 0},
	           {"\n", 1},
	           {"short", 5},
	           {"two words that are long", 23},
	           {"abcdefghijklmnop\nq", 18},
	           {"abcdefghijklmnop\0qrstuvw", 24},
	           {"abcdefghijklmno\xff", 16}};
	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		put(bad[i].text, bad[i].len);
		assert_int_equal(zt1_token_load(dir, path, token, why), -EINVAL);
		assert_non_null(strstr(why, file));
		assert_string_equal(token, "before");
	}
	memset(long_, 'x', sizeof(long_));
	put(long_, sizeof(long_) - 1);
	assert_int_equal(zt1_token_load(dir, path, token, why), -EINVAL);
	put("abcdefghijklmnop\r\n", 18);
	assert_int_equal(zt1_token_load(dir, path, token, why), 0);
	assert_string_equal(token, "abcdefghijklmnop");
	unlink(file);
	assert_int_equal(mkdir(file, 0700), 0);
	assert_int_equal(zt1_token_load(dir, path, token, why), -EISDIR);
	rmdir(file);
}

/* ---- who may come ---- */

static uint64_t clock_ms;

static uint64_t now(void)
{
	return clock_ms;
}

static unsigned admit(struct zt1 *zt1, const char *peer, const char *token, unsigned *ret_scopes)
{
	struct request request = {.method = METHOD_GET, .path = "/status", .zt1_auth = token};
	struct reply reply = {0};
	snprintf(request.peer, sizeof(request.peer), "%s", peer);
	bool in = zt1_admit(zt1, &request, &reply);
	unsigned status = reply.status;
	assert_int_equal(in, !status);
	*ret_scopes = request.scopes;
	reply_fini(&reply);
	return status;
}

static void only_from_here(void **state)
{
	static struct zt1 zt1 = {.token = "abcdefghijklmnopqrstuvwx", .now = now, .n_allow = 1, .allow = {{4, 16, {172, 17}}}};
	unsigned scopes;
	(void)state;
	assert_int_equal(admit(&zt1, "127.0.0.1", zt1.token, &scopes), 0);
	assert_int_equal(scopes, SCOPE_SELF | SCOPE_ADMIN);
	assert_int_equal(admit(&zt1, "127.9.9.9", zt1.token, &scopes), 0);
	assert_int_equal(admit(&zt1, "::1", zt1.token, &scopes), 0);
	assert_int_equal(admit(&zt1, "172.17.3.4", zt1.token, &scopes), 0);
	assert_int_equal(scopes, SCOPE_SELF | SCOPE_ADMIN);
	static const char *const others[] = {"172.18.0.1", "192.0.2.1", "::2", "fe80::1", "::ffff:127.0.0.1", "", "uid 0", "0.0.0.0"};
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		assert_int_equal(admit(&zt1, others[i], zt1.token, &scopes), 403);
		assert_int_equal(scopes, 0);
	}
	static const char *const wrong[] = {"", "abcdefghijklmnopqrstuvw", "abcdefghijklmnopqrstuvwxy", "ABCDEFGHIJKLMNOPQRSTUVWX"};
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		assert_int_equal(admit(&zt1, "127.0.0.1", wrong[i], &scopes), 0); /* as a stranger, whom routes refuse */
		assert_int_equal(scopes, 0);
	}
}

/* Somebody who guesses is slowed down; who has the token is not, though he comes from the same address. */
static void guesses_are_counted(void **state)
{
	static struct zt1 zt1 = {.token = "abcdefghijklmnopqrstuvwx", .now = now};
	unsigned scopes, refused = 0;
	(void)state;
	for (unsigned i = 0; i < 2000; i++)
		refused += admit(&zt1, "127.0.0.1", "guess", &scopes) == 429;
	assert_in_range(refused, 1000, 1999);
	assert_int_equal(admit(&zt1, "127.0.0.1", zt1.token, &scopes), 0);
	clock_ms += 10000;
	assert_int_equal(admit(&zt1, "127.0.0.1", "guess", &scopes), 0);
}

/* ---- routes ---- */

static char seen[64];

static void note(void *self, const struct request *request, struct reply *reply)
{
	snprintf(seen, sizeof(seen), "%s %s %s", (const char *)self, request->arg[0] ? request->arg[0] : "-",
	         request->arg[1] ? request->arg[1] : "-");
	zt1_empty(reply, 200);
}

static unsigned dispatch(enum method method, const char *path, bool token)
{
	static const struct zt1_route routes[] = {
	    {METHOD_GET, "/a", note, false},
	    {METHOD_GET, "/open", note, true},
	    {METHOD_POST | METHOD_PUT, "/a/*/b/*", note, false},
	    {METHOD_GET, "/a/*", note, false},
	};
	static char self[] = "s";
	struct request request = {.method = method, .path = path, .scopes = token ? SCOPE_ADMIN : 0};
	struct reply reply = {0};
	*seen = '\0';
	zt1_dispatch(routes, 4, self, &request, &reply);
	unsigned status = reply.status;
	reply_fini(&reply);
	return status;
}

static void routes_fit(void **state)
{
	char path[400];
	(void)state;
	assert_int_equal(dispatch(METHOD_GET, "/a", true), 200);
	assert_string_equal(seen, "s - -");
	assert_int_equal(dispatch(METHOD_GET, "//a/", true), 200);
	assert_int_equal(dispatch(METHOD_PUT, "/a/1/b/2/", true), 200);
	assert_string_equal(seen, "s 1 2");
	assert_int_equal(dispatch(METHOD_GET, "/a/x", true), 200);
	assert_string_equal(seen, "s x -");
	assert_int_equal(dispatch(METHOD_GET, "/open", false), 200);
	assert_int_equal(dispatch(METHOD_GET, "/a", false), 401);
	assert_int_equal(dispatch(METHOD_GET, "/nothing", false), 401); /* what there is is not told to strangers */
	assert_int_equal(dispatch(METHOD_DELETE, "/open", false), 401);
	assert_string_equal(seen, "");
	assert_int_equal(dispatch(METHOD_DELETE, "/a", true), 405);
	assert_int_equal(dispatch(METHOD_NONE, "/a", true), 405);
	static const char *const none[] = {"/", "", "/b", "/ab", "/a/1/b", "/a/1/b/2/c", "/a/1/2/3/4/5/6/7/8/9/10", "/*", "/open/x"};
	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
		assert_int_equal(dispatch(METHOD_GET, none[i], true), 404);
	memset(path, 'a', sizeof(path));
	path[0] = '/';
	path[sizeof(path) - 1] = '\0';
	assert_int_equal(dispatch(METHOD_GET, path, true), 404);
}

/* ---- readers ---- */

static json_t *value(const char *text)
{
	json_t *o = json_loads(text, JSON_DECODE_ANY, NULL);
	assert_non_null(o);
	return o;
}

static void readers_are_tolerant(void **state)
{
	static const struct {
		const char *text;
		int truth; /* -1 = the fallback */
		int64_t number;
	} cases[] = {
	    {"true", 1, 1},
	    {"false", 0, 0},
	    {"1", 1, 1},
	    {"0", 0, 0},
	    {"-1", 0, -1},
	    {"2.9", 1, 2},
	    {"0.5", 1, 0},
	    {"1e300", 1, 77},
	    {"-1e300", 0, 77},
	    {"null", -1, 77},
	    {"[]", -1, 77},
	    {"{}", -1, 77},
	    {"\"true\"", 1, 77},
	    {"\"T\"", 1, 77},
	    {"\"1\"", 1, 1},
	    {"\"10x\"", 1, 10},
	    {"\"f\"", 0, 77},
	    {"\"\"", 0, 77},
	    {"\"2\"", 0, 2},
	    {"\" 7\"", 0, 7},
	    {"\"-5\"", 0, -5},
	    {"\"9999999999999999999\"", 0, 77},
	    {"9223372036854775807", 1, INT64_MAX},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		json_t *v = value(cases[i].text);
		for (int fallback = 0; fallback < 2; fallback++)
			assert_int_equal(zt1_bool(v, fallback), cases[i].truth < 0 ? fallback : cases[i].truth);
		if (zt1_int(v, 77) != cases[i].number)
			fail_msg("%s: %lld", cases[i].text, (long long)zt1_int(v, 77));
		json_decref(v);
	}
	assert_true(zt1_bool(NULL, true));
	assert_int_equal(zt1_int(NULL, 3), 3);
}

static void texts_and_ids(void **state)
{
	uint64_t n = 5;
	int v[3];
	json_t *good = value("\"four\""), *bad = value("\"a\\nb\""), *other = value("4");
	(void)state;
	assert_string_equal(zt1_text(good, 4), "four");
	assert_null(zt1_text(good, 3));
	assert_null(zt1_text(bad, 9));
	assert_null(zt1_text(other, 9));
	assert_null(zt1_text(NULL, 9));
	json_decref(good), json_decref(bad), json_decref(other);
	assert_true(zt1_address("00aBcDef12", &n));
	assert_int_equal(n, 0xabcdef12);
	assert_true(zt1_nwid("fedcba9876543210", &n));
	assert_int_equal(n, 0xfedcba9876543210);
	assert_false(zt1_address("00abcdef1", &n) || zt1_address("00abcdef123", &n) || zt1_address("00abcdef1g", &n) ||
	             zt1_address(NULL, &n) || zt1_address("0x00abcdef", &n));
	assert_false(zt1_nwid("fedcba987654321", &n) || zt1_nwid(" edcba9876543210", &n));
	zt1_version("1.14.2", v);
	assert_true(v[0] == 1 && v[1] == 14 && v[2] == 2);
	zt1_version("2", v);
	assert_true(v[0] == 2 && v[1] == 0 && v[2] == 0);
	zt1_version("0.1.0-rc1", v);
	assert_true(v[0] == 0 && v[1] == 1 && v[2] == 0);
	static const char *const none[] = {"", "x", "-1.2", "99999999.1.1"};
	for (size_t i = 0; i < 4; i++) {
		zt1_version(none[i], v);
		assert_true(v[0] == -1 && v[1] == -1 && v[2] == -1);
	}
}

/* ---- rules ---- */

/* Their machine by its own words: matches gather, an action is taken when its set matches, what is left over is dropped. */
static bool passes(const json_t *rules, unsigned type)
{
	const json_t *rule;
	size_t i;
	bool gathered = true;
	json_array_foreach(rules, i, rule)
	{
		const char *kind = json_string_value(json_object_get(rule, "type"));
		if (!strncmp(kind, "ACTION_", 7)) {
			if (gathered)
				return !strcmp(kind, "ACTION_ACCEPT");
			gathered = true;
			continue;
		}
		bool is = (unsigned)json_integer_value(json_object_get(rule, "etherType")) == type;
		if (json_is_true(json_object_get(rule, "not")))
			is = !is;
		gathered = json_is_true(json_object_get(rule, "or")) ? gathered | is : gathered & is;
	}
	return false;
}

static bool listed(const struct ethertypes *types, unsigned type)
{
	bool found = !types->n;
	for (unsigned i = 0; i < types->n; i++)
		found = found || types->type[i] == type;
	return found;
}

/* Whatever the list: it is enforced as it says, or refused. */
static void rules_mean_what_they_say(void **state)
{
	static const unsigned kinds[] = {2048, 2054, 34525, 0x88cc}, asked[] = {2048, 2054, 34525, 0x88cc, 0x8137};
	unsigned taken = 0, lists = 20000;
	(void)state;
	srand(7);
	for (unsigned round = 0; round < lists; round++) {
		struct ethertypes types = {.n = 99};
		char why[ZT1_REASON] = "";
		json_t *rules = json_array();
		for (int n = rand() % 8; n >= 0; n--) {
			int what = rand() % 5;
			if (what < 2)
				json_array_append_new(rules, json_pack("{s:s}", "type", what ? "ACTION_ACCEPT" : "ACTION_DROP"));
			else
				json_array_append_new(rules, json_pack("{s:s, s:i, s:b, s:b}", "type", "MATCH_ETHERTYPE", "etherType",
				                                       (int)kinds[rand() % 4], "not", rand() & 1, "or", rand() % 4 == 0));
		}
		bool good = zt1_rules_read(rules, &types, why);
		for (size_t i = 0; good && i < sizeof(asked) / sizeof(asked[0]); i++)
			assert_int_equal(listed(&types, asked[i]), passes(rules, asked[i]));
		assert_true(good || (types.n == 99 && *why));
		if (!good) { /* because it drops everything, or some of an open rest */
			bool rest = passes(rules, 0x8137), any = false, all = true;
			for (size_t i = 0; i < 4; i++) {
				any = any || passes(rules, kinds[i]);
				all = all && passes(rules, kinds[i]);
			}
			assert_true(rest ? !all : !any);
		}
		taken += good;
		if (good) { /* and what is shown says the same */
			json_t *shown = zt1_rules_json(&types);
			struct ethertypes again;
			assert_true(zt1_rules_read(shown, &again, why));
			assert_memory_equal(&again, &types, sizeof(types));
			json_decref(shown);
		}
		json_decref(rules);
	}
	assert_in_range(taken, lists / 10, lists * 9 / 10);
}

/* ---- hollow ---- */

static void hollow_is_nothing(void **state)
{
	static const char *const hollow[] = {"null", "false", "0", "\"\"", "[]", "{}", "[null]", "[{}]", "[[], [[]]]", "0.0"};
	static const char *const full[] = {"true", "1", "\"x\"", "[1]", "{\"a\":null}", "[[[[[[[]]]]]]]", "[null, {\"id\":1}]"};
	(void)state;
	assert_true(zt1_hollow(NULL));
	for (size_t i = 0; i < sizeof(hollow) / sizeof(hollow[0]); i++) {
		json_t *v = value(hollow[i]);
		assert_true(zt1_hollow(v));
		json_decref(v);
	}
	for (size_t i = 0; i < sizeof(full) / sizeof(full[0]); i++) {
		json_t *v = value(full[i]);
		if (zt1_hollow(v))
			fail_msg("%s", full[i]);
		json_decref(v);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(token_is_made_once, setup, teardown),
	    cmocka_unit_test_setup_teardown(token_of_an_admin, setup, teardown),
	    cmocka_unit_test(only_from_here),
	    cmocka_unit_test(guesses_are_counted),
	    cmocka_unit_test(routes_fit),
	    cmocka_unit_test(readers_are_tolerant),
	    cmocka_unit_test(texts_and_ids),
	    cmocka_unit_test(rules_mean_what_they_say),
	    cmocka_unit_test(hollow_is_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
