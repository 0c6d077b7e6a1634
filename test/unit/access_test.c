/* access_test.c: the ways in, over a real controller and a real database, called as HTTP calls them but without a socket: links,
 * passwords, sessions, tokens, scopes, other sites in the same browser. Work off the thread runs at once here.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <ctype.h>

#include "test/unit/access_bed.h"

/* ---- routes ---- */

/* A pattern with its stars filled in. */
static void path_of(const char *pattern, char path[API_PATH_MAX])
{
	size_t n = 0;
	for (; *pattern && *pattern != '?' && n < API_PATH_MAX - 20; pattern++)
		n += (size_t)snprintf(path + n, API_PATH_MAX - n, "%.*s", *pattern == '*' ? 16 : 1,
		                      *pattern == '*' ? "0123456789000001" : pattern);
	path[n] = '\0';
}

static void every_route_has_a_scope(void **state)
{
	static const char *const open[] = {"/v1/session", "/healthz", "/readyz", "/v1/openapi.json",
	                                   "/metrics"}; /* /metrics asks for more by itself */
	size_t n = sizeof(routes) / sizeof(routes[0]);
	char path[API_PATH_MAX], reader[TOKEN_TEXT];
	(void)state;
	token_make("{\"name\":\"reader\",\"scopes\":[\"read\"]}", reader);
	assert_true(n > 20);
	for (size_t i = 0; i < n; i++) {
		const struct api_route *r = &routes[i];
		bool listed = false, reads = r->method == METHOD_GET;
		path_of(r->pattern, path);
		for (size_t k = 0; k < sizeof(open) / sizeof(open[0]); k++)
			listed = listed || !strcmp(path, open[k]);
		assert_int_not_equal(r->scope, SCOPE_UNSET);
		if (r->scope == SCOPE_OPEN) {
			assert_true(listed);
			continue;
		}
		unsigned status = page(r->method, path, NULL, NULL); /* nobody */
		if (status != (r->scope == SCOPE_LOCAL ? 403 : 401))
			print_error("%s\n", path);
		problem(status, r->scope == SCOPE_LOCAL ? 403 : 401);
		if (r->scope == SCOPE_SELF || (r->scope == SCOPE_READ && (reads || !strcmp(path, "/v1/audit/verify"))))
			continue;
		assert_int_not_equal(r->scope, SCOPE_READ); /* what writes needs more than that */
		problem(bearer(r->method, path, NULL, reader), 403);
	}
}

static void scopes_of_tokens(void **state)
{
	char reader[TOKEN_TEXT], approver[TOKEN_TEXT], writer[TOKEN_TEXT], admin[TOKEN_TEXT], one[64], two[64], body[160], member[128];
	(void)state;
	assert_int_equal(local(METHOD_POST, "/v1/networks", "{\"name\":\"one\"}"), 201);
	snprintf(one, sizeof(one), "/v1/networks/%s", word("id"));
	snprintf(body, sizeof(body), "{\"name\":\"writer\",\"scopes\":[\"network:%s:write\"]}", word("id"));
	snprintf(member, sizeof(member), "/v1/networks/%s/members/7f00000001", word("id"));
	assert_int_equal(local(METHOD_POST, "/v1/networks", "{\"name\":\"two\"}"), 201);
	snprintf(two, sizeof(two), "/v1/networks/%s", word("id"));
	token_make(body, writer);
	token_make("{\"name\":\"reader\",\"scopes\":[\"read\"]}", reader);
	token_make("{\"name\":\"approver\",\"scopes\":[\"members:approve\"]}", approver);
	token_make("{\"name\":\"admin\",\"scopes\":[\"admin\"],\"expires_in\":null}", admin);

	assert_int_equal(bearer(METHOD_GET, one, NULL, reader), 200);
	problem(bearer(METHOD_PATCH, one, "{\"mtu\":1500}", reader), 403);
	problem(bearer(METHOD_GET, "/v1/tokens", NULL, reader), 403);

	assert_int_equal(bearer(METHOD_GET, one, NULL, writer), 200);
	assert_int_equal(bearer(METHOD_PATCH, one, "{\"mtu\":1500}", writer), 200);
	problem(bearer(METHOD_PATCH, two, "{\"mtu\":1500}", writer), 403);
	problem(bearer(METHOD_GET, two, NULL, writer), 403);
	problem(bearer(METHOD_GET, "/v1/networks", NULL, writer), 403);
	problem(bearer(METHOD_POST, "/v1/networks", "{\"name\":\"three\"}", writer), 403);
	problem(bearer(METHOD_DELETE, member, NULL, writer), 404); /* it may: there is none */

	strcat(member, "/approve");
	problem(bearer(METHOD_POST, member, "{}", approver), 404);
	problem(bearer(METHOD_POST, member, "{}", reader), 403);
	problem(bearer(METHOD_GET, one, NULL, approver), 403);
	strcpy(strrchr(member, '/'), "/revoke");
	problem(bearer(METHOD_POST, member, "{}", approver), 403);

	assert_int_equal(bearer(METHOD_POST, "/v1/networks", "{\"name\":\"three\"}", admin), 201);
	assert_int_equal(bearer(METHOD_GET, "/v1/users", NULL, admin), 200);
	problem(bearer(METHOD_POST, "/v1/page-link", "{}", admin), 403); /* the machine's own */
	assert_int_equal(local(METHOD_DELETE, one, NULL), 200);
	problem(bearer(METHOD_GET, one, NULL, writer), 403); /* its network is gone, and its right with it */
	assert_int_equal(bearer(METHOD_GET, "/v1/session", NULL, writer), 200);
	assert_int_equal(json_array_size(json_object_get(t.answer, "scopes")), 0);
}

static void a_query_says_a_thing_once(void **state)
{
	struct request request = {.method = METHOD_GET, .local = true, .path = "/v1/audit", .body = "", .peer = "uid 0", .n_query = 1};
	(void)state;
	request.query[0] = (struct query_argument){.name = "limit", .value = "1"};
	assert_int_equal(ask(&request), 200);
	request.query[request.n_query++] = (struct query_argument){.name = "limit", .value = "2"};
	problem(ask(&request), 400);
	assert_string_equal(word("title"), "twice in the query");
	request.query[1] = (struct query_argument){.name = "actor", .value = "user:anna"};
	assert_int_equal(ask(&request), 200);
}

/* A join request as the node would hand it over; seed makes the identity and the address's last byte. */
static void member_ask(const char *nwid, uint8_t seed)
{
	struct body_join_req want = {.identity.address = 0x7f00000000 + seed};
	struct endpoint from = {.family = 4, .port = 9993, .ip = {192, 0, 2, seed}};
	uint8_t body[BODY_MAX], bits[17];
	bool pin;
	assert_true(nwid_parse(nwid, &want.nwid, &pin, bits));
	memset(want.identity.x, seed, 32);
	memset(want.identity.ed, seed + 1, 32);
	identity_hash(&want.identity);
	struct message message = {.req = 1, .op = OP_JOIN_REQ, .body = body, .len = body_join_req_encode(&want, body, sizeof(body))};
	assert_true(message.len > 0);
	controller_online(t.controller, want.identity.key_hash, true, t.now, 1800000000);
	controller_request(t.controller, &want.identity, &from, &message, t.now, 1800000000);
	controller_settle(t.controller, t.now, 1800000000);
}

static bool batch_ok(size_t i)
{
	return json_is_true(json_object_get(json_array_get(json_object_get(t.answer, "results"), i), "ok"));
}

/* The right to approve and deny is one over those who wait: it throws nobody out, undoes no revocation, changes no member. */
static void approval_is_no_more(void **state)
{
	static const char both[] = "{\"action\":\"%s\",\"members\":[\"7f00000001\",\"7f00000003\"]}";
	char approver[TOKEN_TEXT], nwid[24], one[96], two[96], batch[64], body[128];
	(void)state;
	assert_int_equal(local(METHOD_POST, "/v1/networks", "{\"name\":\"one\"}"), 201);
	snprintf(nwid, sizeof(nwid), "%s", word("id"));
	for (uint8_t seed = 1; seed <= 3; seed++)
		member_ask(nwid, seed);
	token_make("{\"name\":\"approver\",\"scopes\":[\"members:approve\"]}", approver);

	snprintf(one, sizeof(one), "/v1/networks/%s/members/7f00000001/approve", nwid);
	assert_int_equal(bearer(METHOD_POST, one, "{\"name\":\"first\"}", approver), 200); /* it waited */
	problem(bearer(METHOD_POST, one, "{\"name\":\"other\",\"tags\":[\"admin\"]}", approver), 403);
	strcpy(strrchr(one, '/'), "/deny");
	problem(bearer(METHOD_POST, one, "{}", approver), 403);
	snprintf(two, sizeof(two), "/v1/networks/%s/members/7f00000002/deny", nwid);
	assert_int_equal(bearer(METHOD_POST, two, "{}", approver), 200);
	strcpy(strrchr(two, '/'), "/approve");
	assert_int_equal(bearer(METHOD_POST, two, "{}", approver), 200); /* what it refused it may let in */
	strcpy(strrchr(two, '/'), "/revoke");
	assert_int_equal(local(METHOD_POST, two, "{}"), 200);
	strcpy(strrchr(two, '/'), "/approve");
	problem(bearer(METHOD_POST, two, "{}", approver), 403);

	snprintf(batch, sizeof(batch), "/v1/networks/%s/members:batch", nwid);
	snprintf(body, sizeof(body), both, "deny");
	assert_int_equal(bearer(METHOD_POST, batch, body, approver), 200);
	assert_false(batch_ok(0));
	assert_true(batch_ok(1));
	*strrchr(one, '/') = '\0';
	assert_int_equal(local(METHOD_GET, one, NULL), 200);
	assert_string_equal(word("state"), "approved");
	assert_string_equal(word("name"), "first");
	assert_int_equal(local(METHOD_POST, batch, body), 200);
	assert_true(batch_ok(0)); /* an admin may */
}

static void tokens_that_are_none(void **state)
{
	char token[TOKEN_TEXT], bad[128], id[32];
	(void)state;
	token_make("{\"name\":\"ci\",\"scopes\":[\"read\"],\"expires_in\":100}", token);
	snprintf(id, sizeof(id), "%s", word("id"));
	assert_int_equal(bearer(METHOD_GET, "/v1/networks", NULL, token), 200);
	assert_string_equal(t.reply.cookie, "");
	problem(bearer(METHOD_POST, "/v1/session", "{\"user\":\"anna\",\"password\":\"correct horse\"}", token), 400); /* never a cookie */
	for (size_t i = 0; i < TOKEN_TEXT - 1; i++) { /* each character counts, also the check's */
		strcpy(bad, token);
		bad[i] = bad[i] == 'x' ? 'y' : 'x';
		problem(bearer(METHOD_GET, "/v1/networks", NULL, bad), 401);
	}
	for (size_t i = 5, changed = 0; i < 37 && !changed; i++) /* the other case */
		if (isalpha((unsigned char)token[i])) {
			strcpy(bad, token);
			bad[i] ^= 0x20;
			assert_false(token_text_good(bad, strlen(bad)));
			problem(bearer(METHOD_GET, "/v1/networks", NULL, bad), 401);
			changed = 1;
		}
	for (size_t i = 0; i < TOKEN_TEXT - 1; i++) {
		snprintf(bad, sizeof(bad), "%.*s", (int)i, token);
		problem(bearer(METHOD_GET, "/v1/networks", NULL, bad), 401);
	}
	snprintf(bad, sizeof(bad), "%s\n", token);
	problem(bearer(METHOD_GET, "/v1/networks", NULL, bad), 401);

	struct request basic = browser(METHOD_GET, "/v1/networks", NULL, NULL);
	basic.authorization = "Basic YTpi";
	problem(ask(&basic), 401);
	char cookie[128];
	enter_by_link(cookie);
	basic.cookie = cookie; /* that is a proxy's before us: the session counts, and all that is asked of one */
	assert_int_equal(ask(&basic), 200);
	basic.fetch_site = "cross-site";
	problem(ask(&basic), 403);
	basic.authorization = "Bearer";
	problem(ask(&basic), 401); /* the session beside a token is not looked at */
	char header[64];
	snprintf(header, sizeof(header), "bearer  %s", token);
	basic.authorization = header;
	basic.fetch_site = "cross-site"; /* no browser adds it by itself */
	assert_int_equal(ask(&basic), 200);

	assert_int_equal(local(METHOD_GET, "/v1/tokens", NULL), 200);
	assert_null(strstr(t.text, token)); /* shown once */
	assert_null(strstr(t.text, "farc_"));
	pass(99);
	assert_int_equal(bearer(METHOD_GET, "/v1/networks", NULL, token), 200);
	pass(2);
	problem(bearer(METHOD_GET, "/v1/networks", NULL, token), 401);

	token_make("{\"name\":\"ci2\",\"scopes\":[\"read\"]}", token);
	snprintf(bad, sizeof(bad), "/v1/tokens/%s", word("id"));
	problem(local(METHOD_POST, "/v1/tokens", "{\"name\":\"ci2\",\"scopes\":[\"read\"]}"), 409);
	assert_int_equal(local(METHOD_DELETE, bad, NULL), 200);
	problem(bearer(METHOD_GET, "/v1/networks", NULL, token), 401);
	problem(local(METHOD_DELETE, bad, NULL), 404);
	problem(local(METHOD_DELETE, "/v1/tokens/xyz", NULL), 400);
	assert_int_equal(audited("token.create"), 2);
	assert_int_equal(audited("token.revoke"), 1);
}

static void bad_token_bodies(void **state)
{
	static const char *const bodies[] = {
	    "{}",
	    "{\"name\":\"a\"}",
	    "{\"scopes\":[\"read\"]}",
	    "{\"name\":\"a\",\"scopes\":[]}",
	    "{\"name\":\"a\",\"scopes\":\"read\"}",
	    "{\"name\":\"a\",\"scopes\":[\"root\"]}",
	    "{\"name\":\"a\",\"scopes\":[7]}",
	    "{\"name\":\"a\",\"scopes\":[\"network:0123456789000000:write\"]}",
	    "{\"name\":\"a\",\"scopes\":[\"network:*:write\"]}",
	    "{\"name\":\"a\\r\\nSet-Cookie: x=y\",\"scopes\":[\"read\"]}",
	    "{\"name\":\"a\\u0000b\",\"scopes\":[\"read\"]}",
	    "{\"name\":\"\",\"scopes\":[\"read\"]}",
	    "{\"name\":\"0123456789012345678901234567890123456789012345678\",\"scopes\":[\"read\"]}",
	    "{\"name\":\"a\",\"scopes\":[\"read\"],\"expires_in\":0}",
	    "{\"name\":\"a\",\"scopes\":[\"read\"],\"expires_in\":99999999999}",
	    "{\"name\":\"a\",\"scopes\":[\"read\"],\"expires\":1}",
	};
	(void)state;
	for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++)
		problem(local(METHOD_POST, "/v1/tokens", bodies[i]), 400);
	problem(local(METHOD_POST, "/v1/tokens", "{\"name\":\"a\",\"scopes\":[\"network:0123456789000001:write\"]}"), 404);
	assert_int_equal(local(METHOD_GET, "/v1/tokens", NULL), 200);
	assert_int_equal(json_integer_value(json_object_get(t.answer, "total")), 0);
}

/* ---- links and sessions ---- */

static void link_once_and_in_time(void **state)
{
	char body[160], cookie[128], jar[400];
	(void)state;
	once_body(body);
	problem(in(NULL), 401);
	assert_int_equal(page(METHOD_POST, "/v1/session", body, NULL), 200);
	cookie_take(cookie);
	assert_int_equal(strncmp(cookie, "farlan-0123456789=", 18), 0);
	problem(page(METHOD_POST, "/v1/session", body, NULL), 401); /* replayed */
	snprintf(jar, sizeof(jar), "farlan-0123456789=%064d; a=b; %s", 0, cookie);
	assert_int_equal(in(jar), 200);
	cookie[strlen(cookie) - 1] ^= 1;
	problem(in(cookie), 401);
	cookie[strlen(cookie) - 1] ^= 1;
	snprintf(jar, sizeof(jar), "farlan-9876543210=%s", cookie + 18); /* another controller's on this host */
	problem(in(jar), 401);
	snprintf(jar, sizeof(jar), "__Host-%s", cookie);
	problem(in(jar), 401);
	problem(page(METHOD_GET, "/v1/session", NULL, "farlan-0123456789="), 401);

	pass(SESSION_IDLE_S - 60);
	assert_int_equal(in(cookie), 200); /* slides */
	pass(SESSION_IDLE_S - 60);
	assert_int_equal(in(cookie), 200);
	pass(SESSION_IDLE_S + 1);
	problem(in(cookie), 401);

	once_body(body);
	t.now += LINK_MS;
	problem(page(METHOD_POST, "/v1/session", body, NULL), 401); /* too late */
	assert_true(audited("user.login") >= 1);
}

static void a_session_has_an_end(void **state)
{
	char cookie[128];
	(void)state;
	enter_by_link(cookie);
	for (unsigned i = 0; i < 60; i++) { /* used all the time */
		pass(SESSION_LIFE_S / 61);
		assert_int_equal(in(cookie), 200);
	}
	pass(SESSION_LIFE_S / 61 + 61);
	problem(in(cookie), 401);
}

static void signing_out(void **state)
{
	char cookie[128], other[128];
	(void)state;
	enter_by_link(cookie);
	enter_by_link(other);
	assert_int_equal(page(METHOD_DELETE, "/v1/session", NULL, cookie), 200);
	assert_non_null(strstr(t.reply.cookie, "Max-Age=0"));
	problem(in(cookie), 401);
	problem(page(METHOD_DELETE, "/v1/session", NULL, cookie), 401);
	assert_int_equal(in(other), 200);
}

static void the_oldest_gives_way(void **state)
{
	char first[160], second[160], body[160], cookie[128], kept[128];
	(void)state;
	once_body(first);
	t.now++;
	once_body(second);
	for (int i = 0; i < LINKS_MAX - 1; i++) {
		t.now++;
		once_body(body);
	}
	problem(page(METHOD_POST, "/v1/session", first, NULL), 401);
	assert_int_equal(page(METHOD_POST, "/v1/session", second, NULL), 200);
	cookie_take(kept);
	for (int i = 0; i < SESSIONS_MAX; i++) {
		pass(1);
		if (i == SESSIONS_MAX / 2)
			assert_int_equal(in(kept), 200); /* used, so not the oldest */
		enter_by_link(cookie);
	}
	assert_int_equal(in(kept), 200);
	assert_int_equal(in(cookie), 200);
}

static void https_has_a_cookie_of_its_own(void **state)
{
	char body[160], cookie[128];
	(void)state;
	once_body(body);
	struct request request = browser(METHOD_POST, "/v1/session", body, NULL);
	request.tls = true;
	request.host = "farlan.example.net";
	request.origin = "http://farlan.example.net"; /* a plain page speaks to the other one */
	problem(ask(&request), 403);
	request.origin = "https://farlan.example.net";
	assert_int_equal(ask(&request), 200);
	assert_int_equal(strncmp(t.reply.cookie, "__Host-farlan-0123456789=", 25), 0);
	assert_non_null(strstr(t.reply.cookie, "; Secure"));
	cookie_take(cookie);
	request = browser(METHOD_GET, "/v1/session", NULL, cookie);
	request.tls = true;
	request.host = "127.0.0.1:8443";
	assert_int_equal(ask(&request), 200);
	request.cookie = cookie + 7; /* planted by a plain connection */
	problem(ask(&request), 401);
}

/* ---- other sites ---- */

static void other_sites_stay_out(void **state)
{
	static const char *const hosts[] = {"",
	                                    "evil.example",
	                                    "evil.example:8080",
	                                    "127.0.0.1.evil.example",
	                                    "127.0.0.2:8080",
	                                    "127.1:8080",
	                                    "[::1]:8080",
	                                    "localhost.:8",
	                                    "127.0.0.1:80x",
	                                    "localhostx",
	                                    "xfarlan.example.net",
	                                    "farlan.example.net.evil.example",
	                                    "2130706433",
	                                    "[127.0.0.1]",
	                                    "[farlan.example.net]"};
	static const char *const sites[] = {"cross-site", "same-site", "none", ""};
	static const char *const origins[] = {"null", "http://evil.example", "http://127.0.0.1:8081", "http://127.0.0.1", ("ftp://" ME),
	                                      ""};
	static const char *const types[] = {
	    NULL, "text/plain", "application/x-www-form-urlencoded", "application/jsonx", "multipart/form-data", ""};
	char body[160], cookie[128];
	(void)state;
	enter_by_link(cookie);
	once_body(body);
	struct request good = browser(METHOD_POST, "/v1/session", body, cookie), bad;
	for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
		bad = good;
		bad.host = hosts[i];
		bad.origin = NULL;
		problem(ask(&bad), 403);
		bad = browser(METHOD_GET, "/", NULL, cookie);
		bad.host = hosts[i];
		problem(ask(&bad), 403);
	}
	bad = good;
	bad.host = NULL;
	problem(ask(&bad), 403);
	for (size_t i = 0; i < sizeof(sites) / sizeof(sites[0]); i++) {
		bad = good;
		bad.fetch_site = sites[i];
		problem(ask(&bad), 403);
		bad = browser(METHOD_GET, "/v1/users", NULL, cookie); /* reads too */
		bad.fetch_site = sites[i];
		problem(ask(&bad), 403);
	}
	for (size_t i = 0; i < sizeof(origins) / sizeof(origins[0]); i++) {
		bad = good;
		bad.origin = origins[i];
		problem(ask(&bad), 403);
	}
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) { /* what a form can send */
		bad = good;
		bad.content_type = types[i];
		problem(ask(&bad), 415);
	}
	good.host = "LOCALHOST:9000"; /* forwarded by ssh */
	good.origin = "http://localhost:9000";
	good.content_type = "application/json; charset=utf-8";
	assert_int_equal(ask(&good), 200); /* and none of the refusals used the link up */
	good = browser(METHOD_GET, "/v1/users", NULL, cookie);
	good.host = "Farlan.example.net"; /* behind a proxy that ends TLS */
	good.origin = "https://farlan.example.net";
	problem(ask(&good), 401); /* the login above took the old session's place */
}

static void any_address_of_an_open_page(void **state)
{
	struct endpoint any = {.family = 4, .port = 8080}, any6 = {.family = 6, .port = 8080};
	char url[ACCESS_URL_ROOM], cookie[128];
	(void)state;
	enter_by_link(cookie);
	access_init(&t.access, t.controller, &any, NULL, t.secret.self.address);
	access_url(&t.access, url);
	assert_string_equal(url, "http://127.0.0.1:8080/");
	struct request look = browser(METHOD_GET, "/v1/session", NULL, cookie);
	look.host = "192.0.2.9:8080";
	assert_int_equal(ask(&look), 200);
	look.host = "rebound.example:8080";
	problem(ask(&look), 403);
	access_init(&t.access, t.controller, &any6, NULL, t.secret.self.address);
	access_url(&t.access, url);
	assert_string_equal(url, "http://[::1]:8080/");
	look.host = "[2001:db8::7]:8080";
	assert_int_equal(ask(&look), 200);
}

/* ---- users ---- */

static void the_first_user(void **state)
{
	char cookie[128], link[128];
	(void)state;
	assert_int_equal(local(METHOD_GET, "/v1/status", NULL), 200);
	assert_true(json_is_true(json_object_get(t.answer, "first_run")));
	problem(page(METHOD_POST, "/v1/setup", "{\"user\":\"anna\",\"password\":\"correct horse\"}", NULL), 401);
	enter_by_link(link);
	problem(page(METHOD_POST, "/v1/setup", "{\"user\":\"Anna\",\"password\":\"correct horse\"}", link), 400);
	problem(page(METHOD_POST, "/v1/setup", "{\"user\":\"anna\",\"password\":\"short\"}", link), 400);
	problem(page(METHOD_POST, "/v1/setup", "{\"user\":\"anna\\r\\nx\",\"password\":\"correct horse\"}", link), 400);
	assert_int_equal(page(METHOD_POST, "/v1/setup", "{\"user\":\"anna\",\"password\":\"correct horse\"}", link), 201);
	assert_null(strstr(t.text, "horse"));
	cookie_take(cookie);
	problem(in(link), 401); /* another session took its place */
	assert_int_equal(in(cookie), 200);
	assert_string_equal(word("user"), "anna");
	assert_string_equal(word("actor"), "user:anna");
	assert_int_equal(page(METHOD_GET, "/v1/status", NULL, cookie), 200);
	assert_true(json_is_false(json_object_get(t.answer, "first_run")));
	assert_string_equal(word("user"), "anna");
	enter_by_link(link);
	problem(page(METHOD_POST, "/v1/setup", "{\"user\":\"eve\",\"password\":\"correct horse\"}", link), 409);
	assert_int_equal(page(METHOD_GET, "/v1/users", NULL, cookie), 200);
	assert_int_equal(json_integer_value(json_object_get(t.answer, "total")), 1);
	assert_null(strstr(t.text, "argon2"));
	assert_int_equal(audited("user.add"), 1);
}

static void passwords(void **state)
{
	static char body[11000];
	char cookie[128], wrong[sizeof(t.text)];
	(void)state;
	first_user(cookie);
	assert_int_equal(login_from("192.0.2.7", "{\"user\":\"anna\",\"password\":\"correct horse\"}", cookie), 200);
	assert_int_equal(in(cookie), 200);
	problem(login_from("192.0.2.7", "{\"user\":\"anna\",\"password\":\"correct horsf\"}", NULL), 401);
	strcpy(wrong, t.text);
	problem(login_from("192.0.2.9", "{\"user\":\"nobody\",\"password\":\"correct horse\"}", NULL), 401);
	assert_string_equal(wrong, t.text); /* which of the two was wrong is not told */
	problem(login_from("192.0.2.9", "{\"user\":\"' OR 1=1 --\",\"password\":\"correct horse\"}", NULL), 401);
	assert_string_equal(wrong, t.text);
	assert_int_equal(audited("user.login.fail"), 2); /* one of each source within a minute */
	pass(61);
	problem(login_from("192.0.2.9", "{\"user\":\"nobody\",\"password\":\"correct horse\"}", NULL), 401);
	assert_int_equal(audited("user.login.fail"), 3);
	snprintf(body, sizeof(body), "{\"user\":\"anna\",\"password\":\"%010240d\"}", 0);
	problem(login_from("192.0.2.10", body, NULL), 400);
	problem(login_from("192.0.2.10", "{\"user\":\"anna\"}", NULL), 400);
	problem(login_from("192.0.2.10", "{\"user\":\"anna\",\"password\":\"correct horse\",\"once\":\"x\"}", NULL), 400);
	problem(login_from("192.0.2.10", "{\"user\":[\"anna\"],\"password\":\"correct horse\"}", NULL), 400);
}

static void changing_passwords(void **state)
{
	char one[128], two[128], link[128];
	(void)state;
	first_user(one);
	assert_int_equal(login_from("192.0.2.7", "{\"user\":\"anna\",\"password\":\"correct horse\"}", two), 200);
	enter_by_link(link);
	problem(page(METHOD_PATCH, "/v1/users/anna", "{\"password\":\"battery staple\"}", one), 400); /* his own: with the old one */
	problem(page(METHOD_PATCH, "/v1/users/anna", "{\"password\":\"battery staple\",\"old_password\":\"wrong horse\"}", one), 403);
	assert_int_equal(in(two), 200);
	assert_int_equal(page(METHOD_PATCH, "/v1/users/anna", "{\"password\":\"battery staple\",\"old_password\":\"correct horse\"}", one),
	                 200);
	assert_int_equal(in(one), 200);
	problem(in(two), 401); /* other sessions end */
	assert_int_equal(in(link), 200);
	problem(login_from("192.0.2.7", "{\"user\":\"anna\",\"password\":\"correct horse\"}", NULL), 401);
	assert_int_equal(login_from("192.0.2.7", "{\"user\":\"anna\",\"password\":\"battery staple\"}", two), 200);

	problem(page(METHOD_DELETE, "/v1/users/anna", NULL, link), 409); /* the last one stays */
	assert_int_equal(page(METHOD_POST, "/v1/users", "{\"name\":\"bert\",\"password\":\"battery staple\"}", one), 201);
	problem(page(METHOD_POST, "/v1/users", "{\"name\":\"bert\",\"password\":\"battery staple\"}", one), 409);
	problem(page(METHOD_POST, "/v1/users", "{\"name\":\"a b\",\"password\":\"battery staple\"}", one), 400);
	problem(page(METHOD_PATCH, "/v1/users/nobody", "{\"password\":\"battery staple\"}", one), 404);
	assert_int_equal(page(METHOD_PATCH, "/v1/users/bert", "{\"password\":\"horse battery\"}", one), 200); /* another's: without */
	assert_int_equal(page(METHOD_DELETE, "/v1/users/anna", NULL, link), 200);
	problem(in(one), 401);
	problem(in(two), 401);
	assert_int_equal(audited("user.password"), 2);
	assert_int_equal(audited("user.delete"), 1);
}

static void guessing_waits(void **state)
{
	static const char wrong[] = "{\"user\":\"anna\",\"password\":\"correct horsf\"}",
			  right[] = "{\"user\":\"anna\",\"password\":\"correct horse\"}";
	char cookie[128], from[64];
	unsigned most = 0;
	(void)state;
	first_user(cookie);
	assert_int_equal(login_from("192.0.2.50", right, cookie), 200); /* the owner's usual place */
	for (unsigned i = 0; i < THROTTLE_FREE; i++)
		problem(login_from("203.0.113.5", wrong, NULL), 401);
	problem(login_from("203.0.113.5", right, NULL), 429); /* whatever it says */
	assert_int_equal(t.reply.retry_after, 1);
	t.now += 1000;
	for (unsigned i = 0; i < 12; i++) {
		problem(login_from("203.0.113.5", wrong, NULL), 401);
		problem(login_from("203.0.113.5", wrong, NULL), 429);
		most = t.reply.retry_after > most ? t.reply.retry_after : most;
		t.now += t.reply.retry_after * 1000ull;
	}
	assert_int_equal(most, THROTTLE_MOST_MS / 1000);
	problem(login_from("203.0.113.5", wrong, NULL), 401);
	assert_int_equal(login_from("203.0.113.200", right, NULL), 200); /* who hammers holds up his like only */
	for (unsigned i = 0; i < THROTTLE_FREE + 12; i++) {
		snprintf(from, sizeof(from), "203.0.113.%u", 20 + i);
		login_from(from, wrong, NULL);
	}
	problem(login_from("203.0.113.6", right, NULL), 429);           /* from many sources: by the user's name */
	assert_int_equal(login_from("192.0.2.50", right, cookie), 200); /* which does not hold him up where he came in before */
	enter_by_link(cookie);                                          /* nor a link, ever */
	t.now += THROTTLE_MOST_MS;
	assert_int_equal(login_from("203.0.113.6", right, cookie), 200); /* and half a minute is the most */
	for (unsigned i = 0; i < THROTTLE_FREE; i++) {                   /* a host has a whole /64 of addresses */
		snprintf(from, sizeof(from), "2001:db8::%u", i + 1);
		problem(login_from(from, "{\"user\":\"x\",\"password\":\"correct horse\"}", NULL), 401);
	}
	problem(login_from("2001:db8::ffff", "{\"user\":\"y\",\"password\":\"correct horse\"}", NULL), 429);
	problem(login_from("2001:db8:0:1::1", "{\"user\":\"y\",\"password\":\"correct horse\"}", NULL), 401);
}

/* ---- restarts ---- */

static void sessions_survive_a_restart(void **state)
{
	char cookie[128], gone[128], token[TOKEN_TEXT];
	(void)state;
	controller_close(t.controller);
	strcpy(t.dir, "/tmp/farlan-access-XXXXXX");
	assert_non_null(mkdtemp(t.dir));
	start(t.dir);
	first_user(cookie);
	enter_by_link(gone);
	token_make("{\"name\":\"ci\",\"scopes\":[\"read\"]}", token);
	assert_int_equal(page(METHOD_DELETE, "/v1/session", NULL, gone), 200);
	controller_close(t.controller);
	t.now += 5000;
	start(t.dir);
	assert_int_equal(in(cookie), 200);
	assert_string_equal(word("user"), "anna");
	problem(in(gone), 401);
	assert_int_equal(bearer(METHOD_GET, "/v1/networks", NULL, token), 200);
	assert_int_equal(login_from("192.0.2.7", "{\"user\":\"anna\",\"password\":\"correct horse\"}", cookie), 200);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(every_route_has_a_scope),
	    TEST(scopes_of_tokens),
	    TEST(a_query_says_a_thing_once),
	    TEST(approval_is_no_more),
	    TEST(tokens_that_are_none),
	    TEST(bad_token_bodies),
	    TEST(link_once_and_in_time),
	    TEST(a_session_has_an_end),
	    TEST(signing_out),
	    TEST(the_oldest_gives_way),
	    TEST(https_has_a_cookie_of_its_own),
	    TEST(other_sites_stay_out),
	    TEST(any_address_of_an_open_page),
	    TEST(the_first_user),
	    TEST(passwords),
	    TEST(changing_passwords),
	    TEST(guessing_waits),
	    TEST(sessions_survive_a_restart),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
