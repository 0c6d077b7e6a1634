/* A network as its switch sees it, through the API: learned MACs in order, here and behind others; who takes which groups. The node is bare memory with the fields these
 * routes read; nothing runs. */
#define request node_request /* the node and the API have a struct of that name each; here both are needed */
#include "node/control.h"
#undef request

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ui/json.h"
#include "ui/node_api.h"

#define NWID  0x7f3a91c04e000001
#define OTHER 0x7f3a91c04e000002
#define OWN   0x1122334455
#define FIRST 0x0900000001
#define LATER 0x0900000002

static struct {
	struct node *node;
	struct node_api api;
	struct reply reply;
	json_t *answer;
} t;

static void network_make(unsigned i, uint64_t nwid)
{
	struct net *net = calloc(1, sizeof(*net));
	assert_non_null(net);
	net->node = t.node;
	net->nwid = nwid;
	net->chan = i + 1;
	net->port = calloc(1, sizeof(*net->port));
	assert_non_null(net->port);
	net->port->fdb = fdb_new();
	assert_non_null(net->port->fdb);
	t.node->net[i] = net;
}

static int setup(void **state)
{
	(void)state;
	memset(&t, 0, sizeof(t));
	t.node = calloc(1, sizeof(*t.node));
	if (!t.node)
		return -1;
	t.node->config.self.self.address = OWN;
	t.api = (struct node_api){.node = t.node, .now = 100000};
	network_make(0, NWID);
	network_make(3, OTHER);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	for (unsigned i = 0; i < NETWORKS_MAX; i++) {
		if (!t.node->net[i])
			continue;
		for (unsigned k = 0; k < t.node->net[i]->n_members; k++) {
			free(t.node->net[i]->member[k]->member);
			free(t.node->net[i]->member[k]->peer);
			free(t.node->net[i]->member[k]);
		}
		free(t.node->net[i]->member);
		fdb_free(t.node->net[i]->port->fdb);
		free(t.node->net[i]->port);
		free(t.node->net[i]);
	}
	json_decref(t.answer);
	reply_fini(&t.reply);
	free(t.node);
	return 0;
}

static json_t *ask(enum method method, const char *path, unsigned status)
{
	struct request request = {.method = method, .local = true, .path = path};
	json_decref(t.answer);
	reply_fini(&t.reply);
	memset(&t.reply, 0, sizeof(t.reply));
	node_api_serve(&t.api, &request, &t.reply);
	assert_int_equal(t.reply.status, status);
	t.answer = json_loadb(t.reply.body, t.reply.body_len, 0, NULL);
	assert_non_null(t.answer);
	return t.answer;
}

static const char *text(const json_t *object, const char *name)
{
	const char *s = json_string_value(json_object_get(object, name));
	return s ? s : "";
}

static void see(unsigned i, uint16_t vlan, uint8_t last, uint64_t address, uint64_t ms)
{
	assert_int_equal(fdb_see(t.node->net[i]->port->fdb, vlan, (const uint8_t[6]){2, 0, 0, 0, 0, last}, address, ms), FDB_LEARNED);
}

static void row_is(const json_t *row, const char *network, int vlan, const char *mac, const char *address, bool here, int age_ms)
{
	assert_string_equal(text(row, "network"), network);
	assert_int_equal(json_integer_value(json_object_get(row, "vlan")), vlan);
	assert_string_equal(text(row, "mac"), mac);
	assert_string_equal(text(row, "address"), address);
	assert_int_equal(json_is_true(json_object_get(row, "here")), here);
	assert_int_equal(json_integer_value(json_object_get(row, "age_ms")), age_ms);
	assert_true(json_is_false(json_object_get(row, "frozen")));
}

static void learned_macs(void **state)
{
	(void)state;
	const json_t *rows = json_object_get(ask(METHOD_GET, "/v1/fdb", 200), "entries");
	assert_string_equal(text(t.answer, "schema"), "farlan.fdb/1");
	assert_true(json_is_array(rows));
	assert_int_equal(json_array_size(rows), 0);
	see(0, 7, 1, LATER, 90000);
	see(0, 0, 3, FIRST, 98000);
	see(0, 0, 2, OWN, 100000);
	see(3, 0, 4, FIRST, 99000);
	rows = json_object_get(ask(METHOD_GET, "/v1/networks/7f3a91c04e000001/fdb", 200), "entries");
	assert_int_equal(json_array_size(rows), 3);
	row_is(json_array_get(rows, 0), "7f3a91c04e000001", 0, "02:00:00:00:00:02", "1122334455", true, 0);
	row_is(json_array_get(rows, 1), "7f3a91c04e000001", 0, "02:00:00:00:00:03", "0900000001", false, 2000);
	row_is(json_array_get(rows, 2), "7f3a91c04e000001", 7, "02:00:00:00:00:01", "0900000002", false, 10000);
	rows = json_object_get(ask(METHOD_GET, "/v1/fdb", 200), "entries");
	assert_int_equal(json_array_size(rows), 4);
	row_is(json_array_get(rows, 3), "7f3a91c04e000002", 0, "02:00:00:00:00:04", "0900000001", false, 1000);
	t.api.now = 98000 + FDB_AGE_MS + 1; /* what aged out is not shown, though nobody cleaned up yet */
	assert_int_equal(json_array_size(json_object_get(ask(METHOD_GET, "/v1/fdb", 200), "entries")), 2);
}

static void a_full_table(void **state)
{
	(void)state;
	const json_t *rows, *row;
	size_t i;
	for (unsigned n = 0; n < FDB_PER_BRIDGE; n++) {
		const uint8_t mac[6] = {2, 0, 0, 1, (uint8_t)(n >> 8), (uint8_t)n};
		assert_int_equal(fdb_see(t.node->net[0]->port->fdb, 0, mac, FIRST, 100000), FDB_LEARNED);
	}
	rows = json_object_get(ask(METHOD_GET, "/v1/fdb", 200), "entries");
	assert_int_equal(json_array_size(rows), FDB_PER_BRIDGE);
	json_array_foreach(rows, i, row)
	{
		char want[18];
		snprintf(want, sizeof(want), "02:00:00:01:%02x:%02x", (unsigned)(i >> 8), (unsigned)(i & 255));
		assert_string_equal(text(row, "mac"), want);
	}
}

static void frozen(void **state)
{
	(void)state;
	static const uint8_t mac[6] = {2, 0, 0, 0, 0, 9};
	struct fdb *f = t.node->net[0]->port->fdb;
	for (unsigned i = 0; i <= FDB_MOVES; i++)
		fdb_see(f, 0, mac, i % 2 ? LATER : FIRST, 99000 + i);
	assert_int_equal(fdb_see(f, 0, mac, FIRST, 99100), FDB_FROZEN);
	const json_t *rows = json_object_get(ask(METHOD_GET, "/v1/fdb", 200), "entries");
	assert_int_equal(json_array_size(rows), 1);
	assert_true(json_is_true(json_object_get(json_array_get(rows, 0), "frozen")));
	assert_string_equal(text(json_array_get(rows, 0), "address"), "0900000002");
}

static struct net_member *member_add(struct net *net, uint64_t address)
{
	struct net_member *m = calloc(1, sizeof(*m)), **more = realloc(net->member, (net->n_members + 1) * sizeof(*more));
	assert_true(m && more);
	m->member = calloc(1, sizeof(*m->member));
	m->peer = calloc(1, sizeof(*m->peer));
	assert_true(m->member && m->peer);
	m->peer->best = -1;
	m->member->address = address;
	net->member = more;
	net->member[net->n_members++] = m;
	return m;
}

static void takes(const json_t *row, const char *address, const char *flags, const char *groups)
{
	static const char *const names[] = {"here", "known", "all", "blocked"};
	char joined[256] = "";
	const json_t *group;
	size_t i;
	assert_string_equal(text(row, "address"), address);
	for (i = 0; i < 4; i++)
		assert_int_equal(json_is_true(json_object_get(row, names[i])), strstr(flags, names[i]) != NULL);
	json_array_foreach(json_object_get(row, "groups"), i, group)
	{
		strcat(joined, i ? " " : "");
		strcat(joined, json_string_value(group));
	}
	assert_string_equal(joined, groups);
}

static void groups_of_members(void **state)
{
	(void)state;
	uint8_t said[2][6] = {{1, 0, 0x5e, 0, 0, 0xfb}, {0x33, 0x33, 0, 0, 0x12, 0x34}};
	struct net *net = t.node->net[0];
	const json_t *rows = json_object_get(ask(METHOD_GET, "/v1/groups", 200), "members");
	assert_string_equal(text(t.answer, "schema"), "farlan.groups/1");
	assert_int_equal(json_array_size(rows), 2); /* this machine in two networks */
	takes(json_array_get(rows, 0), "1122334455", "here", "");
	assert_string_equal(text(json_array_get(rows, 0), "network"), "7f3a91c04e000001");
	assert_string_equal(text(json_array_get(rows, 1), "network"), "7f3a91c04e000002");
	net->groups.known = true;
	net->groups.n = 1;
	memcpy(net->groups.group[0], (const uint8_t[6]){9, 0, 0x2b, 0, 0, 1}, 6);
	struct net_member *one = member_add(net, FIRST);
	member_add(net, LATER);
	one->group.said = (struct group_set){.live = true, .n = 2, .group = said};
	rows = json_object_get(ask(METHOD_GET, "/v1/networks/7f3a91c04e000001/groups", 200), "members");
	assert_int_equal(json_array_size(rows), 3);
	takes(json_array_get(rows, 0), "1122334455", "here known", "09:00:2b:00:00:01");
	takes(json_array_get(rows, 1), "0900000001", "known", "01:00:5e:00:00:fb 33:33:00:00:12:34");
	takes(json_array_get(rows, 2), "0900000002", "", "");
	one->group.said = (struct group_set){.live = true, .all = true, .blocked = true};
	net->groups.all = true;
	net->groups.n = 0;
	rows = json_object_get(ask(METHOD_GET, "/v1/networks/7f3a91c04e000001/groups", 200), "members");
	takes(json_array_get(rows, 0), "1122334455", "here known all", "");
	takes(json_array_get(rows, 1), "0900000001", "known all blocked", "");
}

static void refusals(void **state)
{
	(void)state;
	static const char *const what[] = {"fdb", "groups"};
	for (unsigned i = 0; i < sizeof(what) / sizeof(what[0]); i++) {
		char path[80];
		snprintf(path, sizeof(path), "/v1/networks/7f3a91c04e000009/%s", what[i]);
		ask(METHOD_GET, path, 404);
		assert_string_equal(text(t.answer, "title"), "not joined");
		snprintf(path, sizeof(path), "/v1/networks/nonsense/%s", what[i]);
		ask(METHOD_GET, path, 400);
		snprintf(path, sizeof(path), "/v1/%s", what[i]);
		ask(METHOD_POST, path, 405);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(learned_macs, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_full_table, setup, teardown),
	    cmocka_unit_test_setup_teardown(frozen, setup, teardown),
	    cmocka_unit_test_setup_teardown(groups_of_members, setup, teardown),
	    cmocka_unit_test_setup_teardown(refusals, setup, teardown),
	};
	return cmocka_run_group_tests_name("lan_api", tests, NULL, NULL);
}
