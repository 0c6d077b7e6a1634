/* wake_test.c: magic packets against vectors, whom they go to, and what the route answers. The node is bare memory with the fields these files read;
 * nothing runs, so that frames wait at each bridge for a session and can be looked at there. */
#define request node_request /* the node and the API have a struct of that name each; here both are needed */
#include "node/control.h"
#undef request

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "hex.h"
#include "node/wake.h"
#include "ui/json.h"
#include "ui/node_api.h"

#define NWID    0x7f3a91c04e000001
#define OTHER   0x7f3a91c04e000002
#define BRIDGE  0x0900000001
#define ATTIC   0x0900000002
#define PLAIN   0x0900000003
#define SLEEPER 0x0900000004
#define MEMBERS 4

static const char card[] = "00:11:22:33:44:55";

static struct {
	struct node *node;
	struct net *net[2];
	struct peer *peer[MEMBERS];
	struct node_api api;
	struct reply reply;
	json_t *answer;
} t;

/* ---- a node of two networks; the second has one bridge ------------------------------------------------------------- */

static void member_make(struct net *net, unsigned i, uint32_t flags)
{
	struct net_member *m = calloc(1, sizeof(*m));
	assert_non_null(m);
	m->member = calloc(1, sizeof(*m->member));
	assert_non_null(m->member);
	m->peer = t.peer[i];
	m->listed = true;
	m->member->address = m->peer->identity.address;
	m->member->remote = m->peer->remote;
	mac_derive(net->nwid, m->member->address, m->member->mac);
	atomic_store(&m->member->flags, flags);
	net->member[net->n_members++] = m;
}

static struct net *network_make(unsigned i, uint64_t nwid)
{
	struct net *net = calloc(1, sizeof(*net));
	assert_non_null(net);
	net->node = t.node;
	net->nwid = nwid;
	net->chan = i + 1;
	net->port = calloc(1, sizeof(*net->port));
	net->member = calloc(MEMBERS, sizeof(struct net_member *));
	assert_true(net->port && net->member);
	unhex(net->port->mac, 6, "520101010101");
	net->port->nwid = nwid;
	net->cred_ok = net->head_ok = true;
	net->cred.n_ips = 3;
	net->cred.ips[0] = (struct prefix){.family = 6, .ip = {0xfd}};
	net->cred.ips[1] = (struct prefix){.family = 4, .ip = {10, 77, 0, 1}};
	net->cred.ips[2] = (struct prefix){.family = 4, .ip = {10, 78, 0, 1}};
	atomic_store(&net->port->open, true);
	return t.node->net[i] = t.net[i] = net;
}

static int setup(void **state)
{
	(void)state;
	memset(&t, 0, sizeof(t));
	t.node = calloc(1, sizeof(*t.node));
	if (!t.node || peers_init(&t.node->peers))
		return -1;
	t.node->config.self.self.address = 0x1122334455;
	t.api = (struct node_api){.node = t.node, .now = 100000};
	for (unsigned i = 0; i < MEMBERS; i++) {
		struct peer *peer = t.peer[i] = calloc(1, sizeof(*peer));
		assert_non_null(peer);
		peer->node = t.node;
		peer->identity.address = BRIDGE + i;
		peer->identity.key_hash[0] = (uint8_t)(i + 1);
		peer->best = -1;
		peer->wait_last = &peer->wait_first;
		peer->remote = calloc(1, sizeof(*peer->remote));
		assert_non_null(peer->remote);
	}
	struct net *net = network_make(0, NWID), *other = network_make(1, OTHER);
	member_make(net, 0, MEMBER_BRIDGE);
	member_make(net, 1, MEMBER_BRIDGE | MEMBER_ROUTER);
	member_make(net, 2, MEMBER_ROUTER);
	member_make(net, 3, 0);
	member_make(other, 1, MEMBER_BRIDGE);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		for (unsigned k = 0; k < t.net[i]->n_members; k++) {
			free(t.net[i]->member[k]->member);
			free(t.net[i]->member[k]);
		}
		free(t.net[i]->member);
		free(t.net[i]->port);
		free(t.net[i]);
	}
	for (unsigned i = 0; i < MEMBERS; i++) {
		while (t.peer[i]->wait_first) {
			struct waiting *w = t.peer[i]->wait_first;
			t.peer[i]->wait_first = w->next;
			free(w);
		}
		free(t.peer[i]->remote);
		free(t.peer[i]);
	}
	json_decref(t.answer);
	reply_fini(&t.reply);
	peers_fini(&t.node->peers);
	free(t.node);
	return 0;
}

/* Takes the oldest frame that waits for that member: its length, 0 = none. */
static size_t waiting_take(unsigned i, uint8_t out[256], uint64_t *ret_nwid)
{
	struct waiting *w = t.peer[i]->wait_first;
	if (!w)
		return 0;
	size_t len = w->len;
	assert_true(len <= 256);
	memcpy(out, w->frame, len);
	*ret_nwid = w->nwid;
	t.peer[i]->wait_first = w->next;
	if (!w->next)
		t.peer[i]->wait_last = &t.peer[i]->wait_first;
	t.peer[i]->waiting--;
	t.node->waiting_bytes -= w->len;
	free(w);
	return len;
}

/* Both forms of one MAC wait for that member, from that network, in this order and next. */
static void expect_pair(unsigned i, uint64_t nwid, const char *mac)
{
	uint8_t got[256], want[6];
	uint64_t from = 0;
	unhex(want, 6, mac);
	assert_int_equal(waiting_take(i, got, &from), WAKE_FRAME);
	assert_true(from == nwid);
	assert_hex(got, "ffffffffffff5201010101010842ffffffffffff");
	for (unsigned k = 0; k < 16; k++)
		assert_memory_equal(got + 20 + 6 * k, want, 6);
	assert_int_equal(waiting_take(i, got, &from), WAKE_DATAGRAM);
	assert_true(from == nwid);
	assert_hex(got, "ffffffffffff5201010101010800");
	assert_hex(got + 26, "0a4d0001ffffffff");
	assert_memory_equal(got + WAKE_DATAGRAM - 6, want, 6);
}

static void expect_silence(void)
{
	uint8_t got[256];
	uint64_t nwid;
	for (unsigned i = 0; i < MEMBERS; i++)
		assert_int_equal(waiting_take(i, got, &nwid), 0);
}

/* ---- frames ---------------------------------------------------------------------------------------------------------- */

/* Sums by hand: the header's words are 45 00, 00 82, 00 00, 40 00, 40 11, 0a 4d, 00 01, ff ff, ff ff. */
static void frames(void **state)
{
	(void)state;
	uint8_t own[6], mac[6], ip[4] = {10, 77, 0, 1}, none[4] = {0}, frame[WAKE_FRAME], datagram[WAKE_DATAGRAM];
	unhex(own, 6, "520101010101");
	unhex(mac, 6, "001122334455");
	wake_frame(own, mac, frame);
	assert_int_equal(WAKE_FRAME, 116);
	assert_hex(frame, "ffffffffffff5201010101010842ffffffffffff"
	                  "001122334455001122334455001122334455001122334455"
	                  "001122334455001122334455001122334455001122334455"
	                  "001122334455001122334455001122334455001122334455"
	                  "001122334455001122334455001122334455001122334455");
	wake_datagram(own, ip, mac, datagram);
	assert_int_equal(WAKE_DATAGRAM, 144);
	assert_hex(datagram, "ffffffffffff5201010101010800"
	                     "45000082000040004011301e0a4d0001ffffffff"
	                     "00090009006e8b1c");
	assert_memory_equal(datagram + 42, frame + 14, WAKE_PATTERN);
	wake_datagram(own, none, mac, datagram);
	assert_hex(datagram + 14, "450000820000400040113a6c00000000ffffffff"
	                          "00090009006e956a");
}

/* ---- whom they go to ---------------------------------------------------------------------------------------------------- */

static void all_bridges(void **state)
{
	(void)state;
	struct wake_view v;
	assert_int_equal(node_wake(t.node, card, 0, NULL, 5, &v), WAKE_OK);
	assert_int_equal(v.n_macs, 1);
	assert_int_equal(v.n_bridges, 3);
	assert_true(v.bridge[0].address == BRIDGE && v.bridge[0].nwid == NWID && !v.bridge[0].up);
	assert_true(v.bridge[1].address == ATTIC && v.bridge[1].nwid == NWID);
	assert_true(v.bridge[2].address == ATTIC && v.bridge[2].nwid == OTHER);
	expect_pair(0, NWID, "001122334455");
	expect_pair(1, NWID, "001122334455");
	expect_pair(1, OTHER, "001122334455");
	expect_silence();
	/* The loop guard shut one: another stands in the same LAN. */
	atomic_store(&t.net[0]->member[0]->member->blocked, true);
	assert_int_equal(node_wake(t.node, card, NWID, NULL, 5, &v), WAKE_OK);
	assert_int_equal(v.n_bridges, 1);
	expect_pair(1, NWID, "001122334455");
	expect_silence();
	assert_int_equal(node_wake(t.node, card, NWID, "0900000001", 5, &v), WAKE_OK);
	expect_pair(0, NWID, "001122334455");
	/* One network only; its first IPv4 address is the source, else none. */
	t.net[1]->cred.n_ips = 1;
	assert_int_equal(node_wake(t.node, "00-11-22-33-44-5A", OTHER, NULL, 5, &v), WAKE_OK);
	assert_int_equal(v.n_bridges, 1);
	uint8_t got[256];
	uint64_t nwid;
	assert_int_equal(waiting_take(1, got, &nwid), WAKE_FRAME);
	assert_int_equal(got[25], 0x5a);
	assert_int_equal(waiting_take(1, got, &nwid), WAKE_DATAGRAM);
	assert_hex(got + 26, "00000000ffffffff");
	expect_silence();
}

static void one_bridge(void **state)
{
	(void)state;
	struct wake_view v = {.n_macs = 99};
	assert_int_equal(node_wake(t.node, card, 0, "0900000001", 5, &v), WAKE_OK);
	assert_int_equal(v.n_bridges, 1);
	expect_pair(0, NWID, "001122334455");
	expect_silence();
	assert_int_equal(node_wake(t.node, card, NWID, "0900000002", 5, &v), WAKE_OK);
	expect_pair(1, NWID, "001122334455");
	expect_silence();
	v.n_macs = 99;
	assert_int_equal(node_wake(t.node, card, 0, "0900000003", 5, &v), WAKE_VIA);
	assert_int_equal(node_wake(t.node, card, 0, "0900000077", 5, &v), WAKE_VIA);
	assert_int_equal(node_wake(t.node, card, OTHER, "0900000001", 5, &v), WAKE_VIA);
	assert_int_equal(v.n_macs, 99);
	expect_silence();
}

static void refusals(void **state)
{
	(void)state;
	static const char *const nobody[] = {"",
	                                     "x",
	                                     "00:11:22:33:44",
	                                     "00:11:22:33:44:5",
	                                     "00:11:22:33:44:55:66",
	                                     "00:11:22:33:44-55",
	                                     "00.11.22.33.44.55",
	                                     "0:11:22:33:44:055",
	                                     " 0:11:22:33:44:55",
	                                     "00:11:22:33:44:5g",
	                                     "0900000077"};
	struct wake_view v = {.n_macs = 99};
	char text[18];
	for (unsigned i = 0; i < sizeof(nobody) / sizeof(nobody[0]); i++)
		if (node_wake(t.node, nobody[i], 0, NULL, 5, &v) != WAKE_NOBODY)
			fail_msg("woke \"%s\"", nobody[i]);
	assert_int_equal(node_wake(t.node, "01:00:5e:00:00:01", 0, NULL, 5, &v), WAKE_MAC);
	assert_int_equal(node_wake(t.node, "ff:ff:ff:ff:ff:ff", 0, NULL, 5, &v), WAKE_MAC);
	assert_int_equal(node_wake(t.node, "00:00:00:00:00:00", 0, NULL, 5, &v), WAKE_MAC);
	const uint8_t *m = t.net[0]->member[2]->member->mac;
	snprintf(text, sizeof(text), "%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3], m[4], m[5]);
	assert_int_equal(node_wake(t.node, text, 0, NULL, 5, &v), WAKE_DERIVED);
	assert_int_equal(node_wake(t.node, "52:01:01:01:01:01", 0, NULL, 5, &v), WAKE_DERIVED);
	assert_int_equal(node_wake(t.node, card, 0x7f3a91c04e000009, NULL, 5, &v), WAKE_NETWORK);
	/* Broadcast off: in one network the other still does, in both nothing does. */
	t.net[0]->base.flags = NETWORK_NO_BROADCAST;
	assert_int_equal(node_wake(t.node, card, NWID, NULL, 5, &v), WAKE_OFF);
	expect_silence();
	assert_int_equal(node_wake(t.node, card, 0, NULL, 5, &v), WAKE_OK);
	expect_pair(1, OTHER, "001122334455");
	expect_silence();
	atomic_store(&t.net[1]->port->open, false);
	v.n_macs = 99;
	assert_int_equal(node_wake(t.node, card, OTHER, NULL, 5, &v), WAKE_NETWORK);
	assert_int_equal(node_wake(t.node, card, 0, NULL, 5, &v), WAKE_OFF);
	t.net[0]->base.flags = 0;
	atomic_store(&t.net[0]->member[0]->member->flags, 0);
	atomic_store(&t.net[0]->member[1]->member->flags, MEMBER_ROUTER);
	assert_int_equal(node_wake(t.node, card, 0, NULL, 5, &v), WAKE_ALONE);
	atomic_store(&t.net[0]->port->open, false);
	assert_int_equal(node_wake(t.node, card, 0, NULL, 5, &v), WAKE_NETWORK);
	assert_int_equal(v.n_macs, 99);
	expect_silence();
}

/* A member is woken by the further MACs of its credentials; without any there is nothing to wake it by. */
static void members(void **state)
{
	(void)state;
	struct wake_view v = {.n_macs = 99};
	struct net_member *m = t.net[0]->member[3];
	assert_int_equal(node_wake(t.node, "0900000004", 0, NULL, 5, &v), WAKE_DERIVED);
	m->cred.n_macs = 4;
	unhex(m->cred.macs[0], 6, "001122334455");
	unhex(m->cred.macs[1], 6, "0011223344aa");
	unhex(m->cred.macs[2], 6, "001122334455");
	unhex(m->cred.macs[3], 6, "010000000000");
	assert_int_equal(node_wake(t.node, "0900000004", 0, "0900000001", 5, &v), WAKE_DERIVED); /* the credential is not held */
	m->cred_ok = true;
	assert_int_equal(v.n_macs, 99);
	assert_int_equal(node_wake(t.node, "0900000004", 0, "0900000001", 5, &v), WAKE_OK);
	assert_int_equal(v.n_macs, 2);
	expect_pair(0, NWID, "001122334455");
	expect_pair(0, NWID, "0011223344aa");
	expect_silence();
}

/* More bridges than one wake-up goes to. */
static void many(void **state)
{
	(void)state;
	struct wake_view v;
	struct net *net = t.net[0];
	struct net_member *other = net->member[1];
	net->member = realloc(net->member, 200 * sizeof(struct net_member *));
	assert_non_null(net->member);
	for (unsigned i = net->n_members; i < 200; i++)
		net->member[i] = other;
	unsigned kept = net->n_members;
	net->n_members = 200;
	assert_int_equal(node_wake(t.node, card, 0, NULL, 5, &v), WAKE_OK);
	assert_int_equal(v.n_bridges, WAKE_BRIDGES_MAX);
	net->n_members = kept;
}

/* ---- the route ---------------------------------------------------------------------------------------------------------- */

static unsigned post(const char *body)
{
	struct request request = {.method = METHOD_POST, .local = true, .path = "/v1/wake", .body = body, .body_len = strlen(body)};
	reply_fini(&t.reply);
	memset(&t.reply, 0, sizeof(t.reply));
	node_api_serve(&t.api, &request, &t.reply);
	json_decref(t.answer);
	t.answer = json_loadb(t.reply.body, t.reply.body_len, 0, NULL);
	assert_non_null(t.answer);
	return t.reply.status;
}

static void route(void **state)
{
	(void)state;
	static const struct {
		const char *body;
		unsigned status;
		const char *detail;
	} wrong[] = {
	    {"{}", 400, "\"who\" is needed"},
	    {"{\"who\": \"00:11:22:33:44:55\", \"how\": 1}", 400, "how"},
	    {"{\"who\": \"00:11:22:33:44:55\", \"network\": \"7\"}", 400, "16 hex digits"},
	    {"{\"who\": \"00:11:22:33:44:55\", \"network\": \"7f3a91c04e000009\"}", 404, "not in network 7f3a91c04e000009"},
	    {"{\"who\": \"nas\"}", 404, "neither a MAC nor a member"},
	    {"{\"who\": \"0900000004\"}", 409, "only the overlay device of \"0900000004\""},
	    {"{\"who\": \"01:00:5e:00:00:01\"}", 400, "a group"},
	    {"{\"who\": \"00:11:22:33:44:55\", \"via\": \"0900000003\"}", 404, "\"0900000003\" is no member that may bridge"},
	};
	for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		assert_int_equal(post(wrong[i].body), wrong[i].status);
		const char *detail = json_string_value(json_object_get(t.answer, "detail"));
		if (!detail || !strstr(detail, wrong[i].detail))
			fail_msg("%s: %s", wrong[i].body, detail ? detail : "(nothing)");
	}
	expect_silence();
	assert_int_equal(post("{\"who\": \"00:11:22:33:44:55\", \"network\": \"7f3a91c04e000001\", \"via\": \"0900000002\"}"), 200);
	json_t *want = json_pack("{s:s, s:[s], s:[{s:s, s:s, s:b}]}", "schema", "farlan.wake/1", "macs", card, "bridges", "network",
	                         "7f3a91c04e000001", "address", "0900000002", "up", 0);
	assert_true(json_equal(t.answer, want));
	json_decref(want);
	expect_pair(1, NWID, "001122334455");
	expect_silence();
	t.net[0]->base.flags = t.net[1]->base.flags = NETWORK_NO_BROADCAST;
	assert_int_equal(post("{\"who\": \"00:11:22:33:44:55\"}"), 409);
	for (unsigned i = 0; i < 2; i++)
		for (unsigned k = 0; k < t.net[i]->n_members; k++)
			atomic_store(&t.net[i]->member[k]->member->flags, 0);
	assert_int_equal(post("{\"who\": \"00:11:22:33:44:55\"}"), 409);
	assert_non_null(strstr(json_string_value(json_object_get(t.answer, "detail")), "no other member bridges"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(frames),
	    cmocka_unit_test_setup_teardown(all_bridges, setup, teardown),
	    cmocka_unit_test_setup_teardown(one_bridge, setup, teardown),
	    cmocka_unit_test_setup_teardown(refusals, setup, teardown),
	    cmocka_unit_test_setup_teardown(members, setup, teardown),
	    cmocka_unit_test_setup_teardown(many, setup, teardown),
	    cmocka_unit_test_setup_teardown(route, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
