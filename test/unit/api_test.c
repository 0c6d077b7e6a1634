/* api_test.c: the controller's routes over a real controller and a real database, called as HTTP calls them but without a
 * socket. The way in is access_test.c's.
 *
 * The modules are taken in whole, so that the test needs neither a node nor libmicrohttpd.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ui/api.c"
#include "ui/controller_api.c"
#include "ui/json.c"
#include "ui/settings.c"

#include "proto/seal.h"
#include "ui/web.h"

static struct {
	char dir[64];
	struct controller *controller;
	struct secret secret;
	struct access access;
	struct visitor visitor;
	struct controller_api api;
	struct reply reply;
	json_t *answer; /* of the last call */
	char text[8192];
	uint64_t now;
	unsigned sent;
} t;

static bool message_sent(void *self, const uint8_t key_hash[KEY_HASH_BYTES], const struct message *message)
{
	(void)self;
	(void)key_hash;
	(void)message;
	t.sent++;
	return true;
}

static int setup(void **state)
{
	struct controller_port port = {.send = message_sent};
	struct endpoint at = {.family = 4, .port = 8080, .ip = {127, 0, 0, 1}};
	const char *why = "";
	(void)state;
	assert_int_equal(seal_setup(), 0);
	memset(&t, 0, sizeof(t));
	strcpy(t.dir, "/tmp/farlan-api-XXXXXX");
	assert_non_null(mkdtemp(t.dir));
	memset(t.secret.self.x, 1, 32); /* the routes never look at work or signatures */
	memset(t.secret.ed, 2, sizeof(t.secret.ed));
	identity_hash(&t.secret.self);
	t.secret.self.address = 0x0123456789;
	t.now = 1000000;
	assert_int_equal(controller_open(&t.controller, t.dir, &t.secret, &port, t.now, 1800000000, &why), 0);
	access_init(&t.access, t.controller, &at, NULL, t.secret.self.address);
	t.visitor.by = VISITOR_LOCAL;
	t.api = (struct controller_api){
	    .controller = t.controller, .self = &t.secret.self, .access = &t.access, .visitor = &t.visitor, .now = t.now};
	return 0;
}

static int teardown(void **state)
{
	char path[512];
	(void)state;
	controller_close(t.controller);
	json_decref(t.answer);
	reply_fini(&t.reply);
	DIR *dir = opendir(t.dir);
	for (struct dirent *entry; dir && (entry = readdir(dir));) {
		snprintf(path, sizeof(path), "%s/%s", t.dir, entry->d_name);
		unlink(path);
	}
	closedir(dir);
	rmdir(t.dir);
	return 0;
}

/* ---- calling ---- */

static unsigned answer_take(void)
{
	json_decref(t.answer);
	t.answer = t.reply.body_len ? json_loadb(t.reply.body, t.reply.body_len, 0, NULL) : NULL;
	assert_true(t.reply.body_len < sizeof(t.text));
	memcpy(t.text, t.reply.body_len ? t.reply.body : "", t.reply.body_len);
	t.text[t.reply.body_len] = '\0';
	return t.reply.status;
}

static unsigned call(enum method method, const char *path, const char *body)
{
	struct request request = {.method = method, .local = true, .path = path, .body = body, .body_len = body ? strlen(body) : 0};
	reply_fini(&t.reply);
	memset(&t.reply, 0, sizeof(t.reply));
	controller_api_serve(&t.api, &request, &t.reply);
	controller_settle(t.controller, t.now, 1800000000);
	return answer_take();
}

static const char *word(const char *name)
{
	const char *s = json_string_value(json_object_get(t.answer, name));
	return s ? s : "(none)";
}

static json_int_t number(const char *name)
{
	assert_true(json_is_integer(json_object_get(t.answer, name)));
	return json_integer_value(json_object_get(t.answer, name));
}

/* A problem's shape is part of the promise: every one has title, status and the exit code. */
static void problem(unsigned status, unsigned wanted, int code)
{
	assert_int_equal(status, wanted);
	assert_string_equal(t.reply.type, "application/problem+json");
	assert_int_equal(number("status"), wanted);
	assert_int_equal(number("code"), code);
	assert_true(strlen(word("title")) > 3);
}

static char path_text[160];

static const char *path(const char *nwid, const char *rest)
{
	snprintf(path_text, sizeof(path_text), "/v1/networks/%s%s", nwid, rest);
	return path_text;
}

static void network_make(char nwid[NWID_TEXT])
{
	assert_int_equal(call(METHOD_POST, "/v1/networks", "{\"name\":\"lab\",\"ipv4\":\"10.7.0.0/29\"}"), 201);
	assert_int_equal(strlen(word("id")), 16);
	strcpy(nwid, word("id"));
}

/* A join request as the node would hand it over; seed makes the identity. */
static void member_ask(const char *nwid, uint8_t seed, const char *hostname)
{
	struct body_join_req ask = {.identity.address = 0x7f00000000 + seed};
	struct endpoint from = {.family = 4, .port = 9993, .ip = {192, 0, 2, seed}};
	uint8_t body[BODY_MAX];
	bool pin;
	uint8_t bits[17];

	assert_true(nwid_parse(nwid, &ask.nwid, &pin, bits));
	memset(ask.identity.x, seed, 32);
	memset(ask.identity.ed, seed + 1, 32);
	identity_hash(&ask.identity);
	snprintf(ask.hostname, sizeof(ask.hostname), "%s", hostname);
	struct message message = {.req = 1, .op = OP_JOIN_REQ, .body = body, .len = body_join_req_encode(&ask, body, sizeof(body))};
	assert_true(message.len > 0);
	controller_online(t.controller, ask.identity.key_hash, true, t.now, 1800000000);
	controller_request(t.controller, &ask.identity, &from, &message, t.now, 1800000000);
	controller_settle(t.controller, t.now, 1800000000);
}

/* ---- networks ---- */

static void networks_by_route(void **state)
{
	char nwid[NWID_TEXT];
	(void)state;
	assert_int_equal(call(METHOD_GET, "/v1/networks", NULL), 200);
	assert_int_equal(json_array_size(json_object_get(t.answer, "networks")), 0);
	network_make(nwid);
	assert_string_equal(word("schema"), "farlan.controller.network/1");
	assert_int_equal(strncmp(nwid, "0123456789", 10), 0); /* ids begin with the controller's address */
	assert_string_equal(word("ipv4"), "10.7.0.0/29");
	assert_int_equal(call(METHOD_GET, path(nwid, ""), NULL), 200);
	assert_string_equal(word("name"), "lab");
	assert_int_equal(call(METHOD_PATCH, path(nwid, ""), "{\"mtu\":1500,\"public\":true}"), 200);
	assert_int_equal(number("mtu"), 1500);
	assert_true(json_is_true(json_object_get(t.answer, "public")));
	assert_string_equal(word("name"), "lab"); /* what the body does not name stays */
	assert_int_equal(number("storm"), 1000);  /* the defaults */
	assert_int_equal(number("multicast-rate"), 50000);
	assert_int_equal(number("multicast-limit"), 32);
	static const char *const switches[] = {"ip-guard", "ra-guard", "dhcp-guard", "broadcast", "multicast"};
	for (size_t i = 0; i < sizeof(switches) / sizeof(switches[0]); i++) {
		char body[64];
		bool usual = i > 0; /* all but the IP guard are on */
		assert_int_equal(json_is_true(json_object_get(t.answer, switches[i])), usual);
		snprintf(body, sizeof(body), "{\"%s\":%s}", switches[i], usual ? "false" : "true");
		assert_int_equal(call(METHOD_PATCH, path(nwid, ""), body), 200);
		for (size_t k = 0; k < sizeof(switches) / sizeof(switches[0]); k++)
			assert_int_equal(json_is_true(json_object_get(t.answer, switches[k])), (k > 0) == (k > i));
	}
	assert_true(json_is_true(json_object_get(t.answer, "public")));
	assert_int_equal(call(METHOD_PATCH, path(nwid, ""), "{\"storm\":0,\"multicast-rate\":800,\"multicast-limit\":1000}"), 200);
	assert_int_equal(number("storm"), 0);
	assert_int_equal(number("multicast-rate"), 800);
	assert_int_equal(number("multicast-limit"), 1000);
	assert_int_equal(call(METHOD_PATCH, path(nwid, ""), "{\"ipv4\":null}"), 200);
	assert_true(json_is_null(json_object_get(t.answer, "ipv4")));
	assert_int_equal(call(METHOD_GET, "/v1/status", NULL), 200);
	assert_string_equal(word("program"), "farlan-controller");
	assert_int_equal(json_array_size(json_object_get(t.answer, "networks")), 1);
	assert_string_equal(word("page"), "http://127.0.0.1:8080/");
	assert_int_equal(call(METHOD_DELETE, path(nwid, ""), NULL), 200);
	problem(call(METHOD_GET, path(nwid, ""), NULL), 404, 5);
}

static void bad_network_bodies(void **state)
{
	static const char *const bodies[] = {
	    "",
	    "{}",
	    "[]",
	    "null",
	    "{\"name\":7}",
	    "{\"name\":\"\"}",
	    "{\"name\":\" x\"}",
	    "{\"name\":\"a\\nb\"}",
	    "{\"name\":\"a\\u0000b\"}",
	    "{\"name\":\"a\",\"name\":\"b\"}",
	    "{\"name\":\"a\"} x",
	    "{\"name\":\"a\"",
	    "{\"name\":\"\xff\"}",
	    "{\"name\":\"a\",\"mtu\":1279}",
	    "{\"name\":\"a\",\"mtu\":9001}",
	    "{\"name\":\"a\",\"mtu\":-1}",
	    "{\"name\":\"a\",\"mtu\":1500.0}",
	    "{\"name\":\"a\",\"mtu\":\"1500\"}",
	    "{\"name\":\"a\",\"mtu\":99999999999999999999}",
	    "{\"name\":\"a\",\"public\":1}",
	    "{\"name\":\"a\",\"storm\":-1}",
	    "{\"name\":\"a\",\"storm\":1000001}",
	    "{\"name\":\"a\",\"multicast-rate\":\"50M\"}",
	    "{\"name\":\"a\",\"multicast-rate\":100000001}",
	    "{\"name\":\"a\",\"multicast-limit\":1001}",
	    "{\"name\":\"a\",\"ip-guard\":\"on\"}",
	    "{\"name\":\"a\",\"ipv4\":\"10.0.0.1/24\"}",
	    "{\"name\":\"a\",\"ipv4\":\"10.0.0.0\"}",
	    "{\"name\":\"a\",\"ipv4\":\"10.0.0.0/33\"}",
	    "{\"name\":\"a\",\"ipv4\":\"10.0.0.0/08\"}",
	    "{\"name\":\"a\",\"ipv4\":\"fd00::/64\"}",
	    "{\"name\":\"a\",\"ipv4\":\"010.0.0.0/8\"}",
	    "{\"name\":\"a\",\"ipv4\":10}",
	    "{\"name\":\"0123456789012345678901234567890123456789012345678901234567890123\"}", /* 64 bytes */
	};
	(void)state;
	for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++)
		problem(call(METHOD_POST, "/v1/networks", bodies[i]), 400, 2);
	problem(call(METHOD_POST, "/v1/networks", "{\"name\":\"a\",\"mut\":1400}"), 400, 2);
	assert_non_null(strstr(word("detail"), "mut"));
	assert_non_null(strstr(word("hint"), "mtu"));
	assert_int_equal(call(METHOD_GET, "/v1/networks", NULL), 200);
	assert_int_equal(json_array_size(json_object_get(t.answer, "networks")), 0);
}

static void bad_paths(void **state)
{
	char nwid[NWID_TEXT], text[400];
	(void)state;
	network_make(nwid);
	problem(call(METHOD_GET, "/", NULL), 404, 5);
	problem(call(METHOD_GET, "/v1", NULL), 404, 5);
	problem(call(METHOD_GET, "/v1/networks/", NULL), 404, 5);
	problem(call(METHOD_GET, "//v1/networks", NULL), 404, 5);
	problem(call(METHOD_GET, "v1/networks", NULL), 404, 5);
	problem(call(METHOD_GET, "/v1/\xff\xfe", NULL), 404, 5); /* the path comes back as text, so it must survive */
	memset(text, 'a', sizeof(text) - 1);
	text[0] = '/';
	text[sizeof(text) - 1] = '\0';
	problem(call(METHOD_GET, text, NULL), 404, 5);
	for (size_t i = 0; i < 100; i++)
		memcpy(text + 2 * i, "/a", 3);
	problem(call(METHOD_GET, text, NULL), 404, 5);
	problem(call(METHOD_POST, "/v1/status", NULL), 405, 2);
	assert_string_equal(t.reply.allow, "GET");
	problem(call(METHOD_NONE, "/v1/networks", NULL), 405, 2);
	assert_string_equal(t.reply.allow, "GET, POST");
	problem(call(METHOD_GET, path("0123456789", ""), NULL), 400, 2);
	problem(call(METHOD_GET, path("0123456789abcdeg", ""), NULL), 400, 2);
	problem(call(METHOD_GET, path("0123456789000000", ""), NULL), 400, 2); /* the low 24 bits are never 0 */
	problem(call(METHOD_GET, path("0123456789000001", ""), NULL), 404, 5);
	problem(call(METHOD_GET, path(nwid, "/members/xyz"), NULL), 400, 2);
	problem(call(METHOD_GET, path(nwid, "/members/7f00000001"), NULL), 404, 5);
	problem(call(METHOD_POST, path(nwid, "/members/7f00000001/approve"), NULL), 404, 5);
}

/* ---- members ---- */

static void member_from_pending_to_gone(void **state)
{
	char nwid[NWID_TEXT];
	(void)state;
	network_make(nwid);
	member_ask(nwid, 7, "anna\xe2\x80\xae");
	assert_int_equal(call(METHOD_GET, path(nwid, "/members"), NULL), 200);
	json_t *members = json_object_get(t.answer, "members"), *first = json_array_get(members, 0);
	assert_int_equal(json_array_size(members), 1);
	assert_string_equal(json_string_value(json_object_get(first, "state")), "pending");
	assert_string_equal(json_string_value(json_object_get(first, "hostname")), "anna\xe2\x80\xae");
	assert_true(json_is_true(json_object_get(first, "online")));
	assert_int_equal(strlen(json_string_value(json_object_get(first, "key_hash"))), 64);
	assert_int_equal(call(METHOD_GET, path(nwid, ""), NULL), 200);
	assert_int_equal(number("pending"), 1);

	problem(call(METHOD_POST, path(nwid, "/members/7f00000007/approve"), "{\"bridge\":true}"), 400, 2);
	problem(call(METHOD_POST, path(nwid, "/members/7f00000007/approve"), "{\"ip\":\"10.9.0.1/29x\"}"), 400, 2);
	assert_int_equal(call(METHOD_POST, path(nwid, "/members/7f00000007/approve"), "{\"name\":\"Anna\"}"), 200);
	assert_string_equal(word("schema"), "farlan.member/1");
	assert_string_equal(word("state"), "approved");
	assert_string_equal(word("name"), "Anna");
	assert_string_equal(json_string_value(json_array_get(json_object_get(t.answer, "ips"), 0)), "10.7.0.1/29");
	assert_int_equal(strncmp(word("ipv6"), "fd", 2), 0);

	member_ask(nwid, 8, "nas");
	problem(call(METHOD_POST, path(nwid, "/members/7f00000008/approve"), "{\"ip\":\"10.7.0.1\"}"), 409, 8); /* Anna's */
	assert_int_equal(call(METHOD_POST, path(nwid, "/members/7f00000008/approve"), "{\"ip\":\"10.7.0.5\"}"), 200);
	assert_string_equal(json_string_value(json_array_get(json_object_get(t.answer, "ips"), 0)), "10.7.0.5/29");

	/* a LAN behind a bridge does not fit into the default MTU, and the way out is named */
	problem(call(METHOD_PATCH, path(nwid, "/members/7f00000007"), "{\"bridge\":true}"), 409, 8);
	char command[64];
	snprintf(command, sizeof(command), "farlan network set %s --mtu 1500", nwid);
	assert_non_null(strstr(word("hint"), command));
	assert_int_equal(call(METHOD_PATCH, path(nwid, ""), "{\"mtu\":1500}"), 200);
	assert_int_equal(call(METHOD_PATCH, path(nwid, "/members/7f00000007"), "{\"bridge\":true,\"router\":false}"), 200);
	json_t *flags = json_object_get(t.answer, "flags");
	assert_true(json_is_true(json_object_get(flags, "bridge")));
	assert_true(json_is_true(json_object_get(flags, "dhcp-server"))); /* implied by bridge */
	assert_true(json_is_false(json_object_get(flags, "router")));     /* unless set off */
	problem(call(METHOD_PATCH, path(nwid, "/members/7f00000007"), "{\"bridge\":\"on\"}"), 400, 2);
	problem(call(METHOD_PATCH, path(nwid, ""), "{\"mtu\":1499}"), 409, 8);
	snprintf(command, sizeof(command), "farlan member set %s 7f00000007 --bridge off", nwid);
	assert_non_null(strstr(word("hint"), command));
	assert_int_equal(call(METHOD_PATCH, path(nwid, ""), "{\"mtu\":9000}"), 200);

	problem(call(METHOD_POST, path(nwid, "/members/7f00000007/revoke"), "{\"why\":\"x\"}"), 400, 2);
	assert_int_equal(call(METHOD_POST, path(nwid, "/members/7f00000007/revoke"), "{}"), 200);
	assert_string_equal(word("state"), "revoked");
	assert_int_equal(call(METHOD_DELETE, path(nwid, "/members/7f00000007"), NULL), 200);
	problem(call(METHOD_GET, path(nwid, "/members/7f00000007"), NULL), 404, 5);
	assert_true(t.sent > 0);
}

/* ---- the page's files ---- */

static void files_only_for_those_who_read_gzip(void **state)
{
	static const char *const yes[] = {"gzip", "br, gzip", "gzip;q=0.5, br", "deflate,gzip ; q=1"};
	static const char *const no[] = {NULL, "", "br", "gzip;q=0", "gzip; q=0.000", "xgzip", "gzipped", "identity"};
	struct request request = {.method = METHOD_GET, .path = "/"};
	(void)state;
	for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++) {
		struct reply reply = {0};
		request.accept_encoding = yes[i];
		assert_true(web_serve(NULL, &request, &reply));
		assert_int_equal(reply.status, 200);
		assert_string_equal(reply.encoding, "gzip");
		assert_memory_equal(reply.body, "\x1f\x8b", 2);
		request.if_none_match = reply.etag;
		struct reply again = {0};
		assert_true(web_serve(NULL, &request, &again));
		assert_int_equal(again.status, 304);
		assert_int_equal(again.body_len, 0);
		request.if_none_match = NULL;
	}
	for (size_t i = 0; i < sizeof(no) / sizeof(no[0]); i++) {
		memset(&t.reply, 0, sizeof(t.reply));
		request.accept_encoding = no[i];
		assert_true(web_serve(NULL, &request, &t.reply));
		assert_int_equal(t.reply.status, 406);
		reply_fini(&t.reply);
	}
	request.path = "/../start.c";
	struct reply reply = {0};
	assert_false(web_serve("/", &request, &reply));
	assert_int_equal(reply.status, 0);
}

/* ---- the node's door ---- */

static void join_bodies(void **state)
{
	static const char id[] = "0123456789abcdef";
	struct problem why;
	uint64_t nwid;
	char dev[16];
	bool pinned;
	uint8_t pin[17];
	(void)state;
	assert_true(settings_join(id, NULL, 0, &nwid, dev, &pinned, pin, &why));
	assert_true(nwid == 0x0123456789abcdef && !pinned && !*dev);
	static const char named[] = "{\"dev\":\"lab0\"}";
	assert_true(settings_join(id, named, strlen(named), &nwid, dev, &pinned, pin, &why));
	assert_string_equal(dev, "lab0");
	static const char with_pin[] = "{\"pin\":\"aaaaaaaaaaaaaaaaaaaaaaaaaa\"}";
	assert_true(settings_join(id, with_pin, strlen(with_pin), &nwid, dev, &pinned, pin, &why));
	assert_true(pinned);
	assert_true(settings_join("0123456789abcdef-aaaaaaaaaaaaaaaaaaaaaaaaaa", NULL, 0, &nwid, dev, &pinned, pin, &why) && pinned);
	assert_false(
	    settings_join("0123456789abcdef-aaaaaaaaaaaaaaaaaaaaaaaaaa", with_pin, strlen(with_pin), &nwid, dev, &pinned, pin, &why));
	static const char *const bad[] = {"{\"dev\":\"\"}",      "{\"dev\":\"a/b\"}",
	                                  "{\"dev\":\"..\"}",    "{\"dev\":\"fl%d\"}",
	                                  "{\"dev\":\"a b\"}",   "{\"dev\":\"0123456789abcdef\"}",
	                                  "{\"pin\":\"short\"}", "{\"pin\":\"!!!!!!!!!!!!!!!!!!!!!!!!!!\"}",
	                                  "{\"wait\":1}"};
	nwid = 5;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_false(settings_join(id, bad[i], strlen(bad[i]), &nwid, dev, &pinned, pin, &why));
		assert_int_equal(why.status, 400);
	}
	assert_true(nwid == 5); /* outputs untouched on failure */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(networks_by_route, setup, teardown),
	    cmocka_unit_test_setup_teardown(bad_network_bodies, setup, teardown),
	    cmocka_unit_test_setup_teardown(bad_paths, setup, teardown),
	    cmocka_unit_test_setup_teardown(member_from_pending_to_gone, setup, teardown),
	    cmocka_unit_test_setup_teardown(files_only_for_those_who_read_gzip, setup, teardown),
	    cmocka_unit_test(join_bodies),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
