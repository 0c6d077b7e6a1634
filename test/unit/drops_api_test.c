/* Drops through the API: by reason all of them, by member only what that member caused. The node is bare memory with the fields these routes
 * read; nothing runs. */
#define request node_request /* the node and the API have a struct of that name each; here both are needed */
#include "node/control.h"
#undef request

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "node/police.h"
#include "ui/json.h"
#include "ui/node_api.h"

#define NWID  0x7f3a91c04e000001
#define OTHER 0x7f3a91c04e000002
#define FIRST 0x0900000001
#define LATER 0x0900000002

static struct node node;
static struct net net[2];
static struct net_member in_net[2][2], *listed[2][2];
static struct member member[2][2];
static struct node_api api = {.node = &node};
static struct reply reply;
static json_t *answer;

static int setup(void **state)
{
	(void)state;
	memset(&node, 0, sizeof(node));
	memset(member, 0, sizeof(member));
	memset(in_net, 0, sizeof(in_net));
	static struct port port[2];
	for (unsigned i = 0; i < 2; i++) {
		net[i] = (struct net){.node = &node, .nwid = i ? OTHER : NWID, .member = listed[i], .n_members = 2, .port = &port[i]};
		node.net[i] = &net[i];
		for (unsigned k = 0; k < 2; k++) {
			static struct peer peer;
			member[i][k].address = k ? LATER : FIRST;
			in_net[i][k].member = &member[i][k];
			in_net[i][k].peer = &peer;
			peer.best = -1;
			listed[i][k] = &in_net[i][k];
		}
	}
	in_net[0][0].cred_ok = true;
	strcpy(in_net[0][0].cred.name, "camera");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	json_decref(answer);
	reply_fini(&reply);
	answer = NULL;
	memset(&reply, 0, sizeof(reply));
	return 0;
}

static void ask(const char *path, unsigned status)
{
	struct request request = {.method = METHOD_GET, .local = true, .path = path};
	(void)teardown(NULL);
	node_api_serve(&api, &request, &reply);
	assert_int_equal(reply.status, status);
	answer = json_loadb(reply.body, reply.body_len, 0, NULL);
	assert_non_null(answer);
}

static json_int_t count(const json_t *of, const char *reason)
{
	const json_t *n = json_object_get(json_object_get(of, "drops"), reason);
	return n ? json_integer_value(n) : -1;
}

static const json_t *member_of(size_t i, const char *network, const char *address, const char *name)
{
	const json_t *m = json_array_get(json_object_get(answer, "members"), i);
	assert_string_equal(json_string_value(json_object_get(m, "network")), network);
	assert_string_equal(json_string_value(json_object_get(m, "address")), address);
	assert_string_equal(json_string_value(json_object_get(m, "name")), name);
	return m;
}

static void blame(struct member *m, enum drop why, unsigned n)
{
	while (n-- > 0)
		police_blame(m, why);
}

static void nothing(void **state)
{
	(void)state;
	ask("/v1/drops", 200);
	assert_string_equal(json_string_value(json_object_get(answer, "schema")), "farlan.drops/1");
	assert_int_equal(json_object_size(json_object_get(answer, "drops")), DROP_COUNT - 1);
	assert_int_equal(json_object_size(json_object_get(answer, "text")), DROP_COUNT - 1);
	assert_int_equal(count(answer, "storm"), 0);
	assert_true(json_is_array(json_object_get(answer, "members")));
	assert_int_equal(json_array_size(json_object_get(answer, "members")), 0);
}

static void by_member(void **state)
{
	(void)state;
	blame(&member[0][0], DROP_STORM, 5);
	blame(&member[0][0], DROP_RA_GUARD, 2);
	blame(&member[0][0], DROP_MAIL_FULL, 9); /* nobody's doing */
	blame(&member[1][1], DROP_IP_GUARD, 3);
	node.drop[DROP_STORM] = 5;
	ask("/v1/drops", 200);
	assert_int_equal(count(answer, "storm"), 5); /* of the node, whoever caused them */
	assert_int_equal(count(answer, "ip-guard"), 0);
	assert_int_equal(json_array_size(json_object_get(answer, "members")), 2);
	const json_t *camera = member_of(0, "7f3a91c04e000001", "0900000001", "camera");
	assert_int_equal(json_object_size(json_object_get(camera, "drops")), 2);
	assert_int_equal(count(camera, "storm"), 5);
	assert_int_equal(count(camera, "ra-guard"), 2);
	assert_int_equal(count(member_of(1, "7f3a91c04e000002", "0900000002", ""), "ip-guard"), 3);
}

static void of_one_network(void **state)
{
	(void)state;
	blame(&member[0][0], DROP_STORM, 5);
	blame(&member[0][1], DROP_STORM, 1);
	blame(&member[1][1], DROP_IP_GUARD, 3);
	node.drop[DROP_STORM] = node.drop[DROP_STRANGER] = 100;
	ask("/v1/networks/7f3a91c04e000001/drops", 200);
	assert_string_equal(json_string_value(json_object_get(answer, "schema")), "farlan.network.drops/1");
	assert_string_equal(json_string_value(json_object_get(answer, "network")), "7f3a91c04e000001");
	assert_int_equal(count(answer, "storm"), 6);
	assert_int_equal(count(answer, "ip-guard"), 0);
	assert_int_equal(count(answer, "stranger"), 0);
	assert_int_equal(json_array_size(json_object_get(answer, "members")), 2);
	(void)member_of(1, "7f3a91c04e000001", "0900000002", "");
	ask("/v1/networks/7f3a91c04e000003/drops", 404);
	ask("/v1/networks/7f3a/drops", 400);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(nothing, setup, teardown),
	    cmocka_unit_test_setup_teardown(by_member, setup, teardown),
	    cmocka_unit_test_setup_teardown(of_one_network, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
