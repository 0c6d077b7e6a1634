/* A decision of the admin is told until its member is heard of it: by an ACK that says it holds what was granted, by a JOIN_REQ,
 * or because it went offline. Time is an argument, letters are counted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "controller/controller.h"
#include "proto/base/heap.h"
#include "test/unit/controller_bed.h"

#define SENT_MAX 256

struct sent {
	uint8_t to[KEY_HASH_BYTES];
	uint8_t status;  /* of a JOIN_RES */
	uint64_t serial; /* of its credential; 0 = none */
	uint64_t at;
};

struct world {
	struct controller *c;
	struct secret self;
	struct sent sent[SENT_MAX]; /* pushes only */
	unsigned n_sent;
	uint64_t now, nwid;
	bool deaf; /* no session takes anything */
};

static bool port_send(void *self, const uint8_t key_hash[KEY_HASH_BYTES], const struct message *m)
{
	struct world *w = self;
	struct body_join_res res;
	if (m->op != (OP_JOIN_REQ | OP_REPLY) || m->req)
		return true;
	assert_true(w->n_sent < SENT_MAX);
	assert_true(body_join_res_parse(m->body, m->len, &res));
	struct sent *s = &w->sent[w->n_sent++];
	*s = (struct sent){.status = res.status, .at = w->now};
	memcpy(s->to, key_hash, KEY_HASH_BYTES);
	if (res.status == JOIN_OK) {
		struct memberconf conf;
		struct cred cred;
		assert_true(memberconf_parse(res.memberconf, res.memberconf_len, &conf));
		assert_true(cred_open(conf.cred, conf.cred_len, w->self.self.ed, &cred));
		s->serial = cred.serial;
	}
	return !w->deaf;
}

static void settle(struct world *w, uint64_t after)
{
	w->now += after;
	controller_settle(w->c, w->now, 1700000000);
}

static struct world *world_new(void)
{
	struct world *w = calloc(1, sizeof(*w));
	assert_non_null(w);
	struct controller_port port = {.self = w, .send = port_send};
	struct network_settings s = {.set = SET_NET_NAME, .name = "told"};
	struct admin_error e;
	const char *why = "";
	bed_secret(&w->self);
	w->now = 1000;
	assert_int_equal(controller_open(&w->c, ":memory:", &w->self, &port, w->now, 1700000000, &why), 0);
	assert_int_equal(controller_network_create(w->c, &s, &w->nwid, &e), ADMIN_OK);
	settle(w, 1);
	return w;
}

static void world_free(struct world *w)
{
	controller_close(w->c);
	free(w);
}

static void hear(struct world *w, const struct identity *who, uint8_t op, const uint8_t *body, size_t len)
{
	struct message m = {.req = 77, .op = op, .body = body, .len = len};
	assert_true(len > 0);
	controller_request(w->c, who, NULL, &m, w->now, 1700000000);
}

static void join(struct world *w, const struct identity *who)
{
	uint8_t body[BODY_MAX];
	struct body_join_req req = {.nwid = w->nwid, .identity = *who, .hostname = "h", .os = "o", .version = "v"};
	hear(w, who, OP_JOIN_REQ, body, body_join_req_encode(&req, body, sizeof(body)));
	settle(w, 0);
}

static void acknowledge(struct world *w, const struct identity *who, uint64_t nwid, uint64_t serial)
{
	uint8_t body[BODY_MAX];
	struct body_ack ack = {.nwid = nwid, .version = 1, .serial = serial};
	hear(w, who, OP_ACK, body, body_ack_encode(&ack, body, sizeof(body)));
	settle(w, 0);
}

static void approve(struct world *w, const struct identity *who)
{
	struct admin_error e;
	assert_int_equal(controller_member_approve(w->c, w->nwid, who->address, NULL, &e), ADMIN_OK);
	settle(w, 0);
}

static void asks(struct world *w, const struct identity *who)
{
	controller_online(w->c, who->key_hash, true, w->now, 1700000000);
	join(w, who);
	settle(w, 1000); /* past the pause of a busy network */
	w->n_sent = 0;
}

/* For so long, in turns of 100 ms. */
static void run(struct world *w, uint64_t ms)
{
	for (uint64_t end = w->now + ms; w->now < end;)
		settle(w, 100);
}

/* Unheard: at once, after 1, 2, 4 and 8 s, and then no more. */
static void test_repeated(void **state)
{
	static const uint64_t at[] = {0, 1000, 3000, 7000, 15000};
	(void)state;
	struct world *w = world_new();
	struct identity ann = person(1);
	asks(w, &ann);
	uint64_t begin = w->now;
	approve(w, &ann);
	run(w, 60000);
	assert_int_equal(w->n_sent, 5);
	for (unsigned i = 0; i < 5; i++) {
		assert_int_equal(w->sent[i].status, JOIN_OK);
		assert_int_equal(w->sent[i].at - begin, at[i]);
		assert_memory_equal(w->sent[i].to, ann.key_hash, KEY_HASH_BYTES);
	}
	world_free(w);
}

/* The next deadline is never after the next repetition: who sleeps until then is in time. */
static void test_deadline(void **state)
{
	(void)state;
	struct world *w = world_new();
	struct identity ann = person(1);
	asks(w, &ann);
	approve(w, &ann);
	for (unsigned turns = 0; w->n_sent < 5; turns++) {
		assert_true(turns < 100);
		uint64_t next = controller_settle(w->c, w->now, 1700000000);
		assert_true(next > w->now && next <= w->now + 60000);
		w->now = next;
	}
	world_free(w);
}

/* Only what is held counts: HEAD has its own push, and an ACK of it may come without the credential. */
static void test_acknowledged(void **state)
{
	(void)state;
	struct world *w = world_new();
	struct identity ann = person(1), bob = person(2);
	asks(w, &ann);
	asks(w, &bob);
	approve(w, &ann);
	assert_int_equal(w->n_sent, 1);
	assert_true(w->sent[0].serial > 0);
	acknowledge(w, &ann, w->nwid, 0);
	acknowledge(w, &ann, w->nwid + 1, w->sent[0].serial);
	acknowledge(w, &bob, w->nwid, w->sent[0].serial);
	run(w, 1000);
	assert_int_equal(w->n_sent, 2);
	acknowledge(w, &ann, w->nwid, w->sent[0].serial);
	run(w, 30000);
	assert_int_equal(w->n_sent, 2);
	world_free(w);
}

/* A second change before the first was heard of: the ACK of the first does not end the second. */
static void test_newer(void **state)
{
	(void)state;
	struct world *w = world_new();
	struct identity ann = person(1);
	struct member_settings s = {.set = SET_MEMBER_FLAGS, .flags_on = MEMBER_RELAY};
	struct admin_error e;
	asks(w, &ann);
	approve(w, &ann);
	uint64_t first = w->sent[0].serial;
	assert_int_equal(controller_member_set(w->c, w->nwid, ann.address, &s, &e), ADMIN_OK);
	settle(w, 500);
	assert_int_equal(w->n_sent, 2);
	assert_true(w->sent[1].serial > first);
	acknowledge(w, &ann, w->nwid, first);
	run(w, 1000);
	assert_int_equal(w->n_sent, 3);
	assert_int_equal(w->sent[2].serial, w->sent[1].serial);
	acknowledge(w, &ann, w->nwid, w->sent[1].serial);
	run(w, 30000);
	assert_int_equal(w->n_sent, 3);
	world_free(w);
}

/* Approved, then denied before it was heard of: nobody is told of the approval any more, and an ACK that still holds the credential ends nothing. */
static void test_denied(void **state)
{
	(void)state;
	struct world *w = world_new();
	struct identity ann = person(1);
	struct admin_error e;
	asks(w, &ann);
	approve(w, &ann);
	assert_int_equal(controller_member_revoke(w->c, w->nwid, ann.address, NULL, &e), ADMIN_OK);
	settle(w, 0);
	acknowledge(w, &ann, w->nwid, w->sent[0].serial);
	run(w, 3000);
	assert_int_equal(w->n_sent, 4);
	for (unsigned i = 1; i < 4; i++)
		assert_int_equal(w->sent[i].status, JOIN_DENIED);
	acknowledge(w, &ann, w->nwid, 0);
	run(w, 30000);
	assert_int_equal(w->n_sent, 4);
	world_free(w);
}

static void test_asked_or_gone(void **state)
{
	(void)state;
	struct world *w = world_new();
	struct identity ann = person(1), bob = person(2), eve = person(3);
	asks(w, &ann);
	asks(w, &bob);
	approve(w, &ann);
	approve(w, &bob);
	join(w, &ann); /* its answer is the decision */
	controller_online(w->c, bob.key_hash, false, w->now, 1700000000);
	run(w, 30000);
	assert_int_equal(w->n_sent, 2);
	join(w, &eve); /* no session of its own: told by the next answer */
	w->n_sent = 0;
	approve(w, &eve);
	run(w, 30000);
	assert_int_equal(w->n_sent, 0);
	world_free(w);
}

/* A session that takes nothing now is tried again. */
static void test_deaf(void **state)
{
	(void)state;
	struct world *w = world_new();
	struct identity ann = person(1);
	asks(w, &ann);
	w->deaf = true;
	approve(w, &ann);
	w->deaf = false;
	run(w, 1000);
	assert_int_equal(w->n_sent, 2);
	assert_int_equal(w->sent[1].status, JOIN_OK);
	world_free(w);
}

/* A network that is deleted tells its members so, and no row is needed for it. */
static void test_deleted(void **state)
{
	(void)state;
	struct world *w = world_new();
	struct identity ann = person(1);
	struct admin_error e;
	asks(w, &ann);
	approve(w, &ann);
	acknowledge(w, &ann, w->nwid, w->sent[0].serial);
	settle(w, 1000);
	w->n_sent = 0;
	assert_int_equal(controller_network_delete(w->c, w->nwid, &e), ADMIN_OK);
	run(w, 1000);
	assert_int_equal(w->n_sent, 2);
	assert_int_equal(w->sent[1].status, JOIN_DENIED);
	acknowledge(w, &ann, w->nwid, 0);
	run(w, 30000);
	assert_int_equal(w->n_sent, 2);
	world_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_repeated), cmocka_unit_test(test_deadline), cmocka_unit_test(test_acknowledged),
	    cmocka_unit_test(test_newer),    cmocka_unit_test(test_denied),   cmocka_unit_test(test_asked_or_gone),
	    cmocka_unit_test(test_deaf),     cmocka_unit_test(test_deleted),
	};
	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
