/* spray.c: who may make us send what where, and the way of one spray on both sides. Sockets are imagined here; the rest is a real node without
 * networks, whose outbox is read before it leaves. */
#include "node/spray.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "node/control.h"
#include "node/udp.h"
#include "proto/seal.h"

static const struct endpoint mine = {.family = 4, .port = 5000, .ip = {198, 19, 0, 1}};
static const struct endpoint theirs = {.family = 4, .port = 40000, .ip = {203, 0, 113, 5}};
static const struct endpoint third = {.family = 4, .port = 53, .ip = {203, 0, 113, 99}};
static const struct endpoint inside = {.family = 4, .port = 40000, .ip = {192, 168, 1, 5}};

/* ---- sockets ---------------------------------------------------------------------------------------------------- */

static struct {
	int opens; /* what udp_spray_open answers */
	unsigned opened, closed, sent, extras;
	bool used[UDP_SPRAY_MAX];
	struct endpoint to, from; /* from: of what has come; family 0 = nothing */
	uint32_t first;
	size_t len;
} port;

int udp_spray_open(struct udp *u, unsigned n)
{
	(void)u;
	port.opened++;
	return port.opens ? port.opens : (int)n;
}

bool udp_spray_send(struct udp *u, unsigned i, const struct endpoint *to, const uint8_t *bytes, size_t len)
{
	(void)u, (void)bytes;
	assert_true(i < UDP_SPRAY_MAX && !port.used[i]);
	assert_int_equal(len, PROBE_DATAGRAM_MIN);
	port.used[i] = true;
	port.to = *to;
	port.sent++;
	return true;
}

int udp_spray_adopt(struct udp *u, udp_expected *expected, const void *self, uint32_t in_use, int *ret_old)
{
	(void)u;
	assert_int_equal(in_use & 1u << port.extras, 0);
	if (!port.from.family || !expected(self, port.first, port.len, &port.from))
		return -EAGAIN;
	port.from.family = 0;
	*ret_old = -1;
	return (int)(UDP_EXTRA_FIRST + port.extras++);
}

void udp_spray_close(struct udp *u)
{
	(void)u;
	port.closed++;
}

unsigned udp_extras(const struct udp *u)
{
	(void)u;
	return port.extras;
}

unsigned udp_sockets(const struct udp *u)
{
	(void)u;
	return 1;
}

int udp_fd(const struct udp *u, unsigned socket, unsigned worker)
{
	(void)u, (void)socket, (void)worker;
	return -1;
}

unsigned udp_recv(struct udp *u, unsigned worker, uint32_t *look, struct packet *p, unsigned n)
{
	(void)u, (void)worker, (void)look, (void)p, (void)n;
	return 0;
}

void udp_send(struct udp *u, unsigned worker, struct packet *p, unsigned n)
{
	(void)u, (void)worker, (void)p, (void)n;
}

/* ---- bed -------------------------------------------------------------------------------------------------------- */

struct bed {
	struct node *node;
	struct peer *root, *peer, *second;
};

static int save_none(void *self, const char *name, const void *bytes, size_t len, bool urgent)
{
	(void)self, (void)name, (void)bytes, (void)len, (void)urgent;
	return 0;
}

static long load_none(void *self, const char *name, void *buf, size_t room)
{
	(void)self, (void)name, (void)buf, (void)room;
	return -ENOENT;
}

static void list_none(void *self, const char *folder, void (*each)(void *, const char *), void *each_self)
{
	(void)self, (void)folder, (void)each, (void)each_self;
}

static struct peer *peer_of(struct node *node, uint8_t number, enum session_class class)
{
	struct identity id = {.address = number};
	memset(id.key_hash, number, sizeof(id.key_hash));
	struct peer *peer = peer_get(node, &id);
	assert_non_null(peer);
	assert_true(peer_talk(peer));
	struct session_keys keys;
	memset(&keys, number, sizeof(keys));
	struct session *s = session_new(class, true, SUITE_CHACHA20_POLY1305, &keys, 0, 0x100u * number, 1, 1, peer->remote, 1, node->now);
	assert_non_null(s);
	assert_true(node_index_put(node, &s->named, 0));
	peer->current[class] = s;
	return peer;
}

static void path_set(struct peer *peer, const struct endpoint *to)
{
	peer->path[0] = (struct path){.state = PATH_VALID, .to = *to, .datagram = DATAGRAM_BASE, .next_probe_ms = NEVER};
	peer->best = 0;
}

/* A node with one root that sees it, behind a NAT of that kind, and two peers it has heard nothing of. */
static int setup(void **state)
{
	struct bed *b = calloc(1, sizeof(*b));
	struct node_config config = {.workers = 1, .n_bound = 1, .bound = {{.family = 4, .port = 9993}}};
	struct node_port ports = {.save = save_none, .load = load_none, .list = list_none};
	memset(&port, 0, sizeof(port));
	memset(config.self.self.key_hash, 1, KEY_HASH_BYTES);
	assert_int_equal(node_new(&b->node, &config, &ports, (struct udp *)b, 1000000), 0);
	b->root = peer_of(b->node, 2, CLASS_CTRL);
	b->root->is_root = true;
	path_set(b->root, &(struct endpoint){.family = 4, .port = 9993, .ip = {198, 51, 100, 1}});
	b->root->sight.seen[0] = b->root->sight.alt[0] = mine;
	b->node->root[b->node->n_roots++] = b->root;
	b->peer = peer_of(b->node, 3, CLASS_DATA);
	b->second = peer_of(b->node, 4, CLASS_DATA);
	b->node->outbox.n = 0;
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	struct bed *b = *state;
	node_free(b->node);
	free(b);
	return 0;
}

static void names(struct peer *peer, const struct endpoint *e, unsigned n)
{
	struct body_cands c = {.n = n, .nat = NAT_ALIKE};
	for (unsigned i = 0; i < n; i++)
		c.endpoints[i] = e[i];
	spray_cands(peer, &c);
}

/* The peer asks; true: we knock. */
static bool asks(struct bed *b, struct peer *peer, const struct endpoint *at, uint16_t step)
{
	struct body_spray s = {.side = SPRAY_HARD, .start = 7, .count = 256, .rate = 400, .endpoint = *at, .step = step};
	uint8_t body[BODY_MAX];
	struct message m = {.req = 1, .op = OP_SPRAY, .body = body, .len = body_spray_encode(&s, body, sizeof(body))};
	spray_request(peer, CLASS_DATA, &m);
	return b->node->spray.state == SPRAY_KNOCKING && !memcmp(b->node->spray.key_hash, peer->identity.key_hash, KEY_HASH_BYTES);
}

/* One tick, if one is due ever; what it put into the outbox is there to be read. */
static bool ticks(struct bed *b)
{
	struct timer *t = &b->node->spray.timer;
	b->node->outbox.n = 0;
	b->node->outbox.used = 0;
	if (!t->slot)
		return false;
	b->node->now = t->at;
	b->node->now_us = t->at * 1000;
	heap_cancel(&b->node->heap, t);
	t->fire(t, b->node->now);
	return true;
}

/* ---- the easy side ---------------------------------------------------------------------------------------------- */

static void only_where_it_may_be(void **state)
{
	struct bed *b = *state;
	const struct endpoint both[] = {inside, theirs};
	assert_false(asks(b, b->peer, &theirs, 0)); /* named nothing */
	names(b->peer, both, 2);
	assert_false(asks(b, b->peer, &theirs, 0)); /* named, but nobody saw it there */
	spray_seen(b->peer, &third);
	assert_false(asks(b, b->peer, &theirs, 0)); /* a root saw it elsewhere */
	assert_false(asks(b, b->peer, &third, 0));  /* ... where it does not say it is */
	spray_seen(b->peer, &inside);
	assert_false(asks(b, b->peer, &inside, 0)); /* an address of nobody's */
	spray_seen(b->second, &theirs);
	assert_false(asks(b, b->peer, &theirs, 0)); /* another one was seen there */
	spray_seen(b->peer, &(struct endpoint){.family = 0});
	assert_false(asks(b, b->peer, &theirs, 0));
	struct endpoint none = theirs;
	none.port = 0;
	spray_seen(b->peer, &theirs);
	assert_false(asks(b, b->peer, &none, 0));
	struct endpoint six = {.family = 6, .port = 1, .ip = {203, 0, 113, 5}};
	assert_false(asks(b, b->peer, &six, 0));
	assert_true(asks(b, b->peer, &theirs, 0));
	assert_int_equal(b->node->spray.n, 1024);
}

static void its_own_packets_vouch(void **state)
{
	struct bed *b = *state;
	names(b->peer, &theirs, 1);
	b->peer->path[1] = (struct path){.state = PATH_PROBING, .to = theirs, .next_probe_ms = NEVER};
	assert_false(asks(b, b->peer, &theirs, 0)); /* we ask there: that proves nothing */
	b->peer->path[1].state = PATH_STALE;
	assert_true(asks(b, b->peer, &theirs, 0));
}

static void not_of_use(void **state)
{
	struct bed *b = *state;
	names(b->peer, &theirs, 1);
	spray_seen(b->peer, &theirs);
	b->root->sight.alt[0].port++; /* hard ourselves */
	assert_false(asks(b, b->peer, &theirs, 0));
	b->root->sight.alt[0].family = 0; /* or perhaps */
	assert_false(asks(b, b->peer, &theirs, 0));
	b->root->sight.alt[0] = mine;
	b->node->config.no_spray = true;
	assert_false(asks(b, b->peer, &theirs, 0));
	b->node->config.no_spray = false;
	path_set(b->peer, &theirs); /* direct */
	assert_false(asks(b, b->peer, &theirs, 0));
	b->peer->path[0].state = PATH_FREE;
	b->peer->best = -1;
	struct message m = {.req = 1, .op = OP_SPRAY, .body = (const uint8_t *)"\x80", .len = 1};
	spray_request(b->peer, CLASS_DATA, &m);
	assert_int_equal(b->node->spray.state, SPRAY_IDLE);
	assert_true(asks(b, b->peer, &theirs, 0));
	names(b->second, &theirs, 1);
	spray_seen(b->second, &theirs);
	assert_false(asks(b, b->second, &theirs, 0)); /* one at a time */
}

static void knocks(void **state)
{
	struct bed *b = *state;
	unsigned sent = 0, seen[4] = {0};
	names(b->peer, &theirs, 1);
	spray_seen(b->peer, &theirs);
	uint64_t began = b->node->now;
	assert_true(asks(b, b->peer, &theirs, (uint16_t)-3));
	while (ticks(b)) {
		assert_in_range(b->node->outbox.n, 0, 4);
		for (unsigned i = 0; i < b->node->outbox.n; i++, sent++) {
			const struct packet *p = &b->node->outbox.p[i];
			assert_int_equal(p->len, PROBE_DATAGRAM_MIN);
			assert_memory_equal(p->from.ip, theirs.ip, sizeof(theirs.ip));
			assert_in_range(p->from.port, 1024, 65535);
			if (sent < 16)
				assert_int_equal(p->from.port, 40000 - 3 * (sent + 1));
			else
				seen[(p->from.port - 1024) / 16128]++;
		}
		assert_true(sent <= 4 + (b->node->now - began - 300) / 10);
	}
	assert_int_equal(sent, 1024);
	for (unsigned i = 0; i < 4; i++)
		assert_in_range(seen[i], 180, 324); /* a quarter of 1008 each: five standard deviations */
	assert_in_range(b->node->now - began, 10500, 13500);
	/* The hour's share is used up, whatever it says. */
	assert_false(asks(b, b->peer, &theirs, 0));
	b->node->now = began + 3600 * 1000 - 1;
	assert_false(asks(b, b->peer, &theirs, 0));
	b->node->now += 2;
	assert_true(asks(b, b->peer, &theirs, 0));
	assert_int_equal(b->node->spray.n, 1024);
}

static void knocks_end(void **state)
{
	struct bed *b = *state;
	names(b->peer, &theirs, 1);
	spray_seen(b->peer, &theirs);
	assert_true(asks(b, b->peer, &theirs, 0));
	for (unsigned i = 0; i < 10; i++)
		assert_true(ticks(b));
	path_set(b->peer, &theirs);
	assert_true(ticks(b));
	assert_int_equal(b->node->spray.state, SPRAY_IDLE);
	assert_false(ticks(b));
	b->peer->path[0].state = PATH_FREE;
	b->peer->best = -1;
	assert_true(asks(b, b->peer, &theirs, 0)); /* what is left of the hour */
	assert_int_equal(b->node->spray.n, 1024 - 40);
}

/* ---- the hard side ---------------------------------------------------------------------------------------------- */

/* Five seconds with frames in them, on a relay for eight. */
static void considers(struct bed *b, unsigned seconds)
{
	for (unsigned i = 0; i < seconds; i++) {
		b->node->now += 1000;
		b->root->current[CLASS_CTRL]->reject_ms = b->peer->current[CLASS_DATA]->reject_ms = b->node->now + 60000;
		spray_consider(b->peer, b->node->now);
	}
}

static void hard(struct bed *b)
{
	b->root->sight.alt[0].port += 5000;
	names(b->peer, &theirs, 1);
	b->peer->nat = NAT_ALIKE;
	b->peer->relayed_ms = b->node->now;
}

static void answers(struct bed *b, uint8_t status, const struct endpoint *at)
{
	struct body_spray s = {.side = SPRAY_EASY, .start = b->node->spray.start, .count = 1024, .rate = 100, .endpoint = *at};
	uint8_t body[BODY_MAX];
	struct message m = {.req = b->peer->next_req, .op = OP_SPRAY | OP_REPLY, .status = status, .body = body};
	m.len = status ? 0 : body_spray_encode(&s, body, sizeof(body));
	struct letter *l = calloc(1, sizeof(*l) + BODY_MAX);
	l->idx = b->peer->current[CLASS_DATA]->named.idx;
	l->len = (uint32_t)message_encode(&m, l->data, BODY_MAX);
	request_ctrl(b->node, l);
	free(l);
}

static void asks_when_it_is_worth_it(void **state)
{
	struct bed *b = *state;
	hard(b);
	for (unsigned i = 0; i < 40; i++) { /* a broadcast each 4 s is no traffic */
		b->node->now += 4000;
		spray_consider(b->peer, b->node->now);
	}
	assert_int_equal(b->node->spray.state, SPRAY_IDLE);
	b->peer->nat = NAT_DIFFERENT;
	considers(b, 20);
	assert_int_equal(b->node->spray.state, SPRAY_IDLE);
	b->peer->nat = NAT_ALIKE;
	b->node->config.no_spray = true;
	considers(b, 20);
	assert_int_equal(b->node->spray.state, SPRAY_IDLE);
	b->node->config.no_spray = false;
	b->root->sight.alt[0] = mine; /* not hard */
	considers(b, 20);
	assert_int_equal(b->node->spray.state, SPRAY_IDLE);
	b->root->sight.alt[0].port++;
	b->peer->relayed_ms = b->node->now;
	considers(b, 7);
	assert_int_equal(b->node->spray.state, SPRAY_IDLE);
	considers(b, 1);
	assert_int_equal(b->node->spray.state, SPRAY_ASKING);
	answers(b, STATUS_DENIED, &theirs);
	assert_int_equal(b->node->spray.state, SPRAY_IDLE);
	considers(b, 3500);
	assert_int_equal(b->node->spray.state, SPRAY_IDLE); /* an hour */
	considers(b, 110);
	assert_int_equal(b->node->spray.state, SPRAY_ASKING);
}

static void opens(struct bed *b)
{
	hard(b);
	considers(b, 9);
	assert_int_equal(b->node->spray.state, SPRAY_ASKING);
	answers(b, STATUS_OK, &theirs);
	assert_int_equal(b->node->spray.state, SPRAY_OPENING);
}

static void opens_and_adopts(void **state)
{
	struct bed *b = *state;
	opens(b);
	for (unsigned i = 0; i < 16; i++) {
		assert_true(ticks(b));
		assert_int_equal(port.sent, 16 * (i + 1));
		assert_true(endpoint_equal(&port.to, &theirs));
	}
	assert_true(ticks(b));
	assert_int_equal(port.sent, 256);
	/* From elsewhere, of another session, of another length. */
	uint32_t idx = b->peer->current[CLASS_DATA]->named.idx;
	const struct {
		struct endpoint from;
		uint32_t first;
		size_t len;
	} junk[] = {{third, idx, 96}, {theirs, idx ^ 16, 96}, {theirs, idx, 97}, {theirs, b->root->current[CLASS_CTRL]->named.idx, 96}};
	for (unsigned i = 0; i < sizeof(junk) / sizeof(junk[0]); i++) {
		port.from = junk[i].from, port.first = junk[i].first, port.len = junk[i].len;
		assert_true(ticks(b));
		assert_int_equal(port.extras, 0);
	}
	uint32_t generation = b->node->ports_generation;
	port.from = theirs, port.first = idx | 5, port.len = 96;
	assert_true(ticks(b));
	assert_int_equal(port.extras, 1);
	assert_int_equal(b->node->ports_generation, generation + 1);
	int i = path_direct(b->peer, &theirs, UDP_EXTRA_FIRST);
	assert_int_equal(b->peer->path[i].socket, UDP_EXTRA_FIRST);
	assert_int_equal(b->peer->path[i].state, PATH_PROBING);
	assert_int_equal(b->node->outbox.n, 1); /* asked at once, by that socket */
	assert_int_equal(b->node->outbox.p[0].socket, UDP_EXTRA_FIRST);
	assert_true(endpoint_equal(&b->node->outbox.p[0].from, &theirs));
	assert_int_not_equal(path_direct(b->peer, &theirs, 0), i); /* by another socket it is another path */
	/* Two places at most go to one spray. */
	for (unsigned k = 0; k < 3; k++) {
		port.from = theirs, port.first = idx, port.len = 96;
		assert_true(ticks(b));
	}
	assert_int_equal(port.extras, 2);
	assert_int_equal(port.closed, 0);
	path_valid(b->peer, i);
	assert_true(ticks(b));
	assert_int_equal(b->node->spray.state, SPRAY_IDLE);
	assert_int_equal(port.closed, 1);
}

static void gives_up(void **state)
{
	struct bed *b = *state;
	opens(b);
	uint64_t began = b->node->now;
	while (ticks(b))
		;
	assert_int_equal(b->node->spray.state, SPRAY_IDLE);
	assert_int_equal(port.closed, 1);
	assert_in_range(b->node->now - began, 11000, 14000);
	considers(b, 3500);
	assert_int_equal(port.opened, 1);
	assert_int_equal(b->node->spray.state, SPRAY_IDLE);
}

static void answered_with_a_third(void **state)
{
	struct bed *b = *state;
	hard(b);
	considers(b, 9);
	answers(b, STATUS_OK, &third);
	assert_int_equal(b->node->spray.state, SPRAY_IDLE);
	assert_int_equal(port.opened, 0);
	assert_int_equal(port.sent, 0);
}

static void later_is_soon(void **state)
{
	struct bed *b = *state;
	hard(b);
	considers(b, 9);
	answers(b, STATUS_TRY_LATER, &theirs);
	considers(b, 14);
	assert_int_equal(b->node->spray.state, SPRAY_IDLE);
	considers(b, 2);
	assert_int_equal(b->node->spray.state, SPRAY_ASKING);
	/* No answer ever: the timer ends it. */
	assert_true(ticks(b));
	assert_int_equal(b->node->spray.state, SPRAY_IDLE);
	/* Its late word changes nothing. */
	answers(b, STATUS_OK, &theirs);
	assert_int_equal(b->node->spray.state, SPRAY_IDLE);
	assert_int_equal(port.opened, 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
	    T(only_where_it_may_be),
	    T(its_own_packets_vouch),
	    T(not_of_use),
	    T(knocks),
	    T(knocks_end),
	    T(asks_when_it_is_worth_it),
	    T(opens_and_adopts),
	    T(gives_up),
	    T(answered_with_a_third),
	    T(later_is_soon),
	};
	if (seal_setup() < 0)
		return 1;
	return cmocka_run_group_tests_name("spray", tests, NULL, NULL);
}
