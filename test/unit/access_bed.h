/* access_bed.h: a controller with a real database and its routes, called as HTTP calls them but without a socket. Work off the
 * thread runs at once here. */
#ifndef FARLAN_TEST_UNIT_ACCESS_BED_H
#define FARLAN_TEST_UNIT_ACCESS_BED_H

#include <dirent.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "test/unit/controller_bed.h"
#include "ui/controller_api.c"

#include "controller/audit.h"
#include "proto/seal.h"
#include "ui/work.h"

#define BED_WALL 1800000000ull
#define ME       "127.0.0.1:8080"

static struct {
	char dir[64];
	struct controller *controller;
	struct secret secret;
	struct access access;
	struct controller_api api;
	struct reply reply;
	json_t *answer; /* of the last call */
	char text[65536];
	uint64_t now, wall_s; /* wall_s 0 = BED_WALL */
	const char *names[3];
} t;

__attribute__((unused)) static void start(const char *dir)
{
	struct controller_port port = {.send = bed_send};
	struct endpoint http = {.family = 4, .port = 8080, .ip = {127, 0, 0, 1}}, https = {.family = 4, .port = 8443, .ip = {127, 0, 0, 1}};
	const char *why = "";
	assert_int_equal(controller_open(&t.controller, dir, &t.secret, &port, t.now, 1800000000, &why), 0);
	access_init(&t.access, t.controller, &http, &https, t.secret.self.address);
	t.names[0] = "farlan.example.net";
	t.access.names = t.names;
	t.api = (struct controller_api){
	    .controller = t.controller, .self = &t.secret.self, .access = &t.access, .now = t.now, .wall_s = BED_WALL};
	controller_settle(t.controller, t.now, 1800000000);
}

__attribute__((unused)) static int setup(void **state)
{
	(void)state;
	assert_int_equal(seal_setup(), 0);
	memset(&t, 0, sizeof(t));
	memset(t.secret.self.x, 1, 32); /* nothing here looks at work or signatures */
	memset(t.secret.ed, 2, sizeof(t.secret.ed));
	identity_hash(&t.secret.self);
	t.secret.self.address = 0x0123456789;
	t.now = 1000000;
	start(":memory:");
	return 0;
}

__attribute__((unused)) static int teardown(void **state)
{
	char path[512];
	(void)state;
	controller_close(t.controller);
	json_decref(t.answer);
	reply_fini(&t.reply);
	DIR *dir = *t.dir ? opendir(t.dir) : NULL;
	for (struct dirent *entry; dir && (entry = readdir(dir));) {
		snprintf(path, sizeof(path), "%s/%s", t.dir, entry->d_name);
		unlink(path);
	}
	if (dir)
		closedir(dir);
	if (*t.dir)
		rmdir(t.dir);
	return 0;
}

/* ---- calling ---- */

/* As the program's serve() does it, asked again when work was done. */
__attribute__((unused)) static unsigned ask(const struct request *asked)
{
	struct work_slot slot = {0};
	struct visitor visitor;
	struct request request = *asked;
	request.work = &slot;
	t.api.now = t.now;
	t.api.wall_s = t.wall_s ? t.wall_s : BED_WALL;
	t.api.visitor = &visitor;
	for (unsigned turn = 0; turn < 2; turn++) {
		reply_fini(&t.reply);
		memset(&t.reply, 0, sizeof(t.reply));
		if (access_admit(&t.access, &request, &visitor, &t.reply)) {
			controller_actor(t.controller, &visitor.actor);
			controller_api_serve(&t.api, &request, &t.reply);
		}
		if (!t.reply.wait)
			break;
		request.again = true;
	}
	assert_false(t.reply.wait);
	work_drop(&slot);
	assert_int_equal(t.access.passwords, 0);
	controller_settle(t.controller, t.now, 1800000000);
	json_decref(t.answer);
	assert_true(t.reply.body_len < sizeof(t.text));
	memcpy(t.text, t.reply.body_len ? t.reply.body : "", t.reply.body_len);
	t.text[t.reply.body_len] = '\0';
	t.answer = t.reply.body_len ? json_loadb(t.reply.body, t.reply.body_len, 0, NULL) : NULL;
	return t.reply.status;
}

__attribute__((unused)) static unsigned local(enum method method, const char *path, const char *body)
{
	struct request request = {
	    .method = method, .local = true, .path = path, .body = body ? body : "", .body_len = body ? strlen(body) : 0, .peer = "uid 0"};
	return ask(&request);
}

__attribute__((unused)) static struct request browser(enum method method, const char *path, const char *body, const char *cookie)
{
	return (struct request){.method = method,
	                        .path = path,
	                        .body = body ? body : "",
	                        .body_len = body ? strlen(body) : 0,
	                        .host = ME,
	                        .peer = "192.0.2.7",
	                        .cookie = cookie,
	                        .origin = method == METHOD_GET ? NULL : "http://" ME,
	                        .fetch_site = "same-origin",
	                        .content_type = method == METHOD_GET ? NULL : "application/json"};
}

__attribute__((unused)) static unsigned page(enum method method, const char *path, const char *body, const char *cookie)
{
	struct request request = browser(method, path, body, cookie);
	return ask(&request);
}

__attribute__((unused)) static unsigned bearer(enum method method, const char *path, const char *body, const char *token)
{
	char header[256];
	snprintf(header, sizeof(header), "Bearer %s", token);
	struct request request = {.method = method,
	                          .path = path,
	                          .body = body ? body : "",
	                          .body_len = body ? strlen(body) : 0,
	                          .host = "whatever.example",
	                          .peer = "192.0.2.8",
	                          .authorization = header};
	return ask(&request);
}

__attribute__((unused)) static const char *word(const char *name)
{
	const char *s = json_string_value(json_object_get(t.answer, name));
	return s ? s : "(none)";
}

__attribute__((unused)) static void problem(unsigned status, unsigned wanted)
{
	if (status != wanted)
		print_error("answered %u: %s\n", status, t.text);
	assert_int_equal(status, wanted);
	assert_string_equal(t.reply.type, "application/problem+json");
	assert_true(strlen(word("title")) > 3);
	assert_string_equal(t.reply.cookie, "");
}

/* "name=value" of the Set-Cookie just given. */
__attribute__((unused)) static void cookie_take(char cookie[128])
{
	assert_true(t.reply.cookie[0]);
	snprintf(cookie, 128, "%.*s", (int)strcspn(t.reply.cookie, ";"), t.reply.cookie);
	assert_non_null(strstr(t.reply.cookie, "; HttpOnly"));
	assert_non_null(strstr(t.reply.cookie, "; SameSite=Strict"));
	assert_non_null(strstr(t.reply.cookie, "; Path=/;"));
	assert_null(strstr(t.reply.cookie, "Domain"));
	assert_null(strpbrk(t.reply.cookie, "\r\n"));
}

__attribute__((unused)) static void once_body(char body[160])
{
	assert_int_equal(local(METHOD_POST, "/v1/page-link", "{}"), 200);
	const char *url = word("url"), *secret = strstr(url, "#once=");
	assert_non_null(secret);
	assert_int_equal(strncmp(url, "https://farlan.example.net:8443/#once=", 38), 0);
	snprintf(body, 160, "{\"once\":\"%s\"}", secret + 6);
}

__attribute__((unused)) static void enter_by_link(char cookie[128])
{
	char body[160];
	once_body(body);
	assert_int_equal(page(METHOD_POST, "/v1/session", body, NULL), 200);
	cookie_take(cookie);
}

__attribute__((unused)) static void first_user(char cookie[128])
{
	enter_by_link(cookie);
	assert_int_equal(page(METHOD_POST, "/v1/setup", "{\"user\":\"anna\",\"password\":\"correct horse\"}", cookie), 201);
	cookie_take(cookie);
}

__attribute__((unused)) static unsigned login_from(const char *from, const char *body, char cookie[128])
{
	struct request request = browser(METHOD_POST, "/v1/session", body, NULL);
	snprintf(request.peer, sizeof(request.peer), "%s", from);
	unsigned status = ask(&request);
	if (status == 200 && cookie)
		cookie_take(cookie);
	return status;
}

__attribute__((unused)) static unsigned in(const char *cookie)
{
	return page(METHOD_GET, "/v1/session", NULL, cookie);
}

/* Network time goes no further than what is on disk allows, so turns come when they are due. */
__attribute__((unused)) static void pass(uint64_t seconds)
{
	uint64_t end = t.now + seconds * 1000;
	while (t.now < end) {
		uint64_t due = controller_settle(t.controller, t.now, 1800000000);
		t.now = due > t.now && due < end ? due : end;
	}
	controller_settle(t.controller, t.now, 1800000000);
}

__attribute__((unused)) static void nothing(void *self, const struct audit_entry *entry)
{
	(void)self;
	(void)entry;
}

__attribute__((unused)) static unsigned audited(const char *action)
{
	struct audit_query query = {.limit = 1};
	struct admin_error error;
	uint64_t total = 0;
	snprintf(query.action, sizeof(query.action), "%s", action);
	assert_int_equal(controller_audit_each(t.controller, &query, nothing, NULL, &total, &error), ADMIN_OK);
	return (unsigned)total;
}

__attribute__((unused)) static void token_make(const char *body, char token[TOKEN_TEXT])
{
	assert_int_equal(local(METHOD_POST, "/v1/tokens", body), 201);
	assert_int_equal(strlen(word("token")), TOKEN_TEXT - 1);
	strcpy(token, word("token"));
}

#endif
