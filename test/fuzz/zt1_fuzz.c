/* zt1_fuzz.c: ZeroTier One's API over a real controller in memory: any body, by any method, at any path.
 *
 * The input is a row of requests to a new network: what u8, length u16, bytes; `what` chooses the path, 0xff takes it from the bytes up to a NUL. Held
 * against it: every answer is an object or a list with a status of ours; what was refused has changed nothing; and what is shown can be sent
 * back as it is, which changes nothing either. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "ui/zt1_controller.h"

#define REQUESTS_MAX 6
#define INPUTS_MAX   1000 /* then another database: what is audited grows */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define require(x) ((x) ? (void)0 : abort())

static struct {
	struct controller *controller;
	struct secret self;
	struct controller_api api;
	struct zt1 door;
	struct zt1_api zt1;
	char network[64], member[96];
	unsigned inputs;
} f;

static bool take(void *self, const uint8_t to[KEY_HASH_BYTES], const struct message *m)
{
	(void)self, (void)to, (void)m;
	return true;
}

static json_t *ask(enum method method, const char *path, const char *body, size_t len, unsigned *ret_status)
{
	struct reply reply = {0};
	const struct request request = {
	    .method = method, .path = path, .body = body, .body_len = len, .scopes = SCOPE_SELF | SCOPE_ADMIN, .peer = "127.0.0.1"};
	zt1_controller_serve(&f.zt1, &request, &reply);
	controller_settle(f.controller, 1000, 1700000000);
	require(reply.status == 200 || (reply.status >= 400 && reply.status < 500) || reply.status == 503);
	require(!reply.more);
	json_t *value = json_loadb(reply.body, reply.body_len, 0, NULL);
	require(json_is_object(value) || json_is_array(value));
	require(reply.status == 200 || json_is_string(json_object_get(value, "message")));
	reply_fini(&reply);
	*ret_status = reply.status;
	return value;
}

static void echo(const char *path)
{
	unsigned status;
	json_t *value = ask(METHOD_GET, path, "", 0, &status);
	if (status == 200) {
		char *text = json_dumps(value, JSON_COMPACT);
		json_t *again = ask(METHOD_POST, path, text, strlen(text), &status);
		require(status == 200 && json_equal(value, again));
		json_decref(again);
		free(text);
	}
	json_decref(value);
}

/* Paths that change things, and which object they change. */
static void post(unsigned what, const char *body, size_t len)
{
	const char *path = what % 3 == 1 ? f.member : what % 3 == 2 ? "/controller/network" : f.network;
	const char *object = what % 3 == 1 ? f.member : f.network;
	unsigned had, status, has;
	json_t *before = ask(METHOD_GET, object, "", 0, &had);
	json_decref(ask(what & 4 ? METHOD_PUT : METHOD_POST, path, body, len, &status));
	json_t *after = ask(METHOD_GET, object, "", 0, &has);
	if (status != 200)
		require(had == has && (had != 200 || json_equal(before, after)));
	json_decref(before);
	json_decref(after);
	echo(f.network);
	echo(f.member);
}

static void elsewhere(const char *bytes, size_t len)
{
	static const enum method methods[] = {METHOD_NONE, METHOD_GET, METHOD_POST, METHOD_PATCH, METHOD_DELETE, METHOD_PUT};
	size_t n = len > 1 ? strnlen(bytes + 1, len - 1) : 0;
	unsigned status;
	if (len < 2 + n)
		return;
	json_decref(ask(methods[(uint8_t)bytes[0] % 6], bytes + 1, bytes + 2 + n, len - 2 - n, &status));
}

static void open_anew(void)
{
	static const uint8_t seed[32] = {7};
	struct controller_port port = {.send = take};
	const char *why;
	if (f.controller)
		controller_close(f.controller);
	memset(&f, 0, sizeof(f));
	memset(f.self.self.x, 9, 32);
	crypto_sign_seed_keypair(f.self.self.ed, f.self.ed, seed);
	identity_hash(&f.self.self);
	f.self.self.address = 0xfe00000001;
	require(controller_open(&f.controller, ":memory:", &f.self, &port, 1000, 1700000000, &why) == 0);
	f.api = (struct controller_api){.controller = f.controller, .self = &f.self.self};
	f.zt1 = (struct zt1_api){.api = &f.api, .door = &f.door};
}

/* A network for this input; those of the one before are gone. */
static void begin(void)
{
	static const char wish[] = "{\"routes\":[{\"target\":\"10.0.0.0/24\",\"via\":null}],\"v4AssignMode\":{\"zt\":true}}";
	unsigned status;
	size_t i;
	json_t *id;
	if (!f.controller || ++f.inputs == INPUTS_MAX)
		open_anew();
	json_t *ids = ask(METHOD_GET, "/controller/network", "", 0, &status);
	json_array_foreach(ids, i, id)
	{
		snprintf(f.network, sizeof(f.network), "/controller/network/%s", json_string_value(id));
		json_decref(ask(METHOD_DELETE, f.network, "", 0, &status));
		require(status == 200);
	}
	json_decref(ids);
	json_t *made = ask(METHOD_POST, "/controller/network/fe00000001______", wish, sizeof(wish) - 1, &status);
	require(status == 200);
	snprintf(f.network, sizeof(f.network), "/controller/network/%s", json_string_value(json_object_get(made, "id")));
	snprintf(f.member, sizeof(f.member), "%s/member/cafe000001", f.network);
	json_decref(made);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool ready;
	if (!ready && sodium_init() < 0)
		return 0;
	ready = true;
	begin();
	for (unsigned i = 0; i < REQUESTS_MAX && size >= 3; i++) {
		size_t len = (size_t)data[1] << 8 | data[2];
		uint8_t what = data[0];
		data += 3;
		size -= 3;
		len = len < size ? len : size;
		char *body = malloc(len + 1); /* exact, so that reading on is seen */
		memcpy(body, data, len);
		body[len] = '\0';
		if (what == 0xff)
			elsewhere(body, len);
		else
			post(what, body, len);
		free(body);
		data += len;
		size -= len;
	}
	return 0;
}
