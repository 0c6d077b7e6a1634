/* What only this machine says of a network: through the API and back, on disk, and in force on real devices of a namespace of our own (those tests
 * are skipped without root). The node is bare memory with the fields these files read. */
#define request node_request /* the node and the API have a struct of that name each; here both are needed */
#include "node/control.h"
#undef request

#include <errno.h>
#include <net/if.h>

#include "tap_bed.h"
#include "ui/json.h"
#include "ui/node_api.h"

#define NWID 0x7f3a91c04e000001
#define PATH "/v1/networks/7f3a91c04e000001"

static struct {
	struct node *node;
	struct net *net;
	struct node_api api;
	struct reply reply;
	json_t *answer;
} t;

static void no_timer(struct timer *timer, uint64_t now)
{
	(void)timer, (void)now;
}

static int setup(void **state)
{
	(void)state;
	memset(&t, 0, sizeof(t));
	t.node = calloc(1, sizeof(*t.node));
	t.net = calloc(1, sizeof(*t.net));
	if (!t.node || !t.net || !(t.net->port = calloc(1, sizeof(*t.net->port))))
		return -1;
	heap_init(&t.node->heap);
	guestbook_init(&t.node->book, 1);
	t.node->config.workers = 1;
	t.node->config.self.self.address = 0x1122334455;
	t.node->worker[0] = worker_new(0, &t.node->book, NULL, -1);
	t.net->node = t.node;
	t.net->nwid = NWID;
	t.net->chan = 1;
	t.net->save_ms = NEVER;
	t.net->timer.fire = no_timer;
	t.net->timer.at = NEVER;
	t.net->port->fdb = fdb_new();
	t.node->net[0] = t.net;
	local_start(t.net);
	t.api = (struct node_api){.node = t.node, .now = 1000};
	return t.node->worker[0] && t.net->port->fdb ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	local_down(t.net);
	heap_cancel(&t.node->heap, &t.net->timer);
	worker_free(t.node->worker[0]);
	guestbook_fini(&t.node->book);
	heap_fini(&t.node->heap);
	if (t.node->netlink)
		netlink_close(t.node->netlink);
	if (atomic_load(&t.net->port->tap))
		tap_close(atomic_load(&t.net->port->tap));
	fdb_free(t.net->port->fdb);
	free(t.net->port);
	free(t.net);
	free(t.node);
	json_decref(t.answer);
	reply_fini(&t.reply);
	return 0;
}

/* ---- the API ---------------------------------------------------------------------------------------------------- */

static const json_t *ask(enum method method, const char *path, const char *body, unsigned status)
{
	struct request request = {.method = method, .local = true, .path = path, .body = body, .body_len = body ? strlen(body) : 0};
	json_decref(t.answer);
	reply_fini(&t.reply);
	memset(&t.reply, 0, sizeof(t.reply));
	node_api_serve(&t.api, &request, &t.reply);
	t.answer = json_loadb(t.reply.body, t.reply.body_len, 0, NULL);
	if (t.reply.status != status)
		fail_msg("%s: %u, not %u: %.*s", body ? body : path, t.reply.status, status, (int)t.reply.body_len, (char *)t.reply.body);
	assert_non_null(t.answer);
	return t.answer;
}

static const char *text(const json_t *object, const char *name)
{
	const char *s = json_string_value(json_object_get(object, name));
	return s ? s : "";
}

static void port_by_route(void **state)
{
	(void)state;
	assert_true(json_is_null(json_object_get(ask(METHOD_GET, PATH, NULL, 200), "port")));
	const json_t *port =
	    json_object_get(ask(METHOD_POST, PATH "/port", "{\"iface\":\"eth7\",\"filter\":\"not port 9999\"}", 200), "port");
	assert_string_equal(text(port, "iface"), "eth7");
	assert_string_equal(text(port, "filter"), "not port 9999");
	assert_true(json_is_false(json_object_get(port, "open")));
	assert_string_equal(text(port, "reason"), "the network is not joined yet");
	assert_true(t.net->save_ms != NEVER); /* and it is kept */
	/* The same one again: another filter, or none. */
	port = json_object_get(ask(METHOD_POST, PATH "/port", "{\"iface\":\"eth7\"}", 200), "port");
	assert_string_equal(text(port, "filter"), "");
	/* A second one is refused, and told how the first one goes. */
	ask(METHOD_POST, PATH "/port", "{\"iface\":\"eth8\"}", 409);
	assert_string_equal(text(t.answer, "command"), "farlan port remove 7f3a91c04e000001 eth7");
	ask(METHOD_DELETE, PATH "/port/eth8", NULL, 404);
	assert_string_equal(t.net->local.iface, "eth7");
	port = json_object_get(ask(METHOD_DELETE, PATH "/port/eth7", NULL, 200), "port");
	assert_true(json_is_null(port));
	ask(METHOD_DELETE, PATH "/port/eth7", NULL, 404);
}

static void port_refused(void **state)
{
	(void)state;
	char long_filter[700];
	static const char *const bodies[] = {
	    "{}",
	    "{\"filter\":\"ip\"}",
	    "{\"iface\":\"\"}",
	    "{\"iface\":\"sixteen-letters-\"}",
	    "{\"iface\":\"a/b\"}",
	    "{\"iface\":\"a b\"}",
	    "{\"iface\":\"a\\u001bb\"}",
	    "{\"iface\":\"a\\u00e4\"}",
	    "{\"iface\":7}",
	    "{\"iface\":\"eth7\",\"filter\":7}",
	    "{\"iface\":\"eth7\",\"filter\":\"not (port\"}",
	    "{\"iface\":\"eth7\",\"filters\":\"ip\"}",
	    "[]",
	};
	for (unsigned i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++)
		ask(METHOD_POST, PATH "/port", bodies[i], 400);
	memset(long_filter, ' ', sizeof(long_filter));
	int n = snprintf(long_filter, sizeof(long_filter), "{\"iface\":\"eth7\",\"filter\":\"%0512d\"}", 0);
	assert_true(n > 0 && n < (int)sizeof(long_filter));
	ask(METHOD_POST, PATH "/port", long_filter, 400);
	snprintf(t.net->dev, sizeof(t.net->dev), "flabc");
	ask(METHOD_POST, PATH "/port", "{\"iface\":\"flabc\"}", 400); /* the network's own device */
	ask(METHOD_POST, PATH "/port", "{\"iface\":\"eth7\",\"filter\":\"port\"}", 400);
	assert_non_null(strstr(text(t.answer, "detail"), "syntax error"));
	assert_non_null(strstr(text(t.answer, "hint"), "pcap-filter(7)"));
	assert_string_equal(t.net->local.iface, "");
	assert_true(t.net->save_ms == NEVER);
	ask(METHOD_POST, "/v1/networks/7f3a91c04e000009/port", "{\"iface\":\"eth7\"}", 404);
	ask(METHOD_POST, "/v1/networks/nonsense/port", "{\"iface\":\"eth7\"}", 400);
	ask(METHOD_DELETE, "/v1/networks/7f3a91c04e000009/port/eth7", NULL, 404);
}

static void settings_by_route(void **state)
{
	(void)state;
	const json_t *net = ask(METHOD_PATCH, PATH, "{\"game\":true}", 200);
	assert_true(json_is_true(json_object_get(net, "game")));
	assert_true(json_is_null(json_object_get(net, "metric")));
	net = ask(METHOD_PATCH, PATH, "{\"metric\":0}", 200);
	assert_true(json_is_integer(json_object_get(net, "metric")));
	assert_int_equal(local_metric(t.net, 77), 0);
	net = ask(METHOD_PATCH, PATH, "{\"metric\":4294967295}", 200);
	assert_true(json_integer_value(json_object_get(net, "metric")) == 4294967295);
	assert_true(json_is_true(json_object_get(net, "game"))); /* what the body does not name stays */
	net = ask(METHOD_PATCH, PATH, "{\"metric\":null,\"game\":false}", 200);
	assert_true(json_is_null(json_object_get(net, "metric")) && json_is_false(json_object_get(net, "game")));
	assert_int_equal(local_metric(t.net, 77), 77);
	static const char *const bodies[] = {"{\"metric\":-1}", "{\"metric\":4294967296}", "{\"metric\":\"1\"}", "{\"game\":1}",
	                                     "{\"name\":\"x\"}"};
	for (unsigned i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++)
		ask(METHOD_PATCH, PATH, bodies[i], 400);
	ask(METHOD_PATCH, "/v1/networks/7f3a91c04e000009", "{\"game\":true}", 404);
	assert_false(t.net->local.game);
}

/* ---- on disk ---------------------------------------------------------------------------------------------------- */

static void kept_and_read(void **state)
{
	(void)state;
	uint8_t bytes[LOCAL_BYTES];
	struct local *l = &t.net->local;
	const char *why;
	char filter[NIC_FILTER_MAX];
	/* The longest there may be. */
	size_t n = (size_t)snprintf(filter, sizeof(filter), "port 1");
	while (n + 12 < sizeof(filter))
		n += (size_t)snprintf(filter + n, sizeof(filter) - n, " or port %03d", 100);
	memset(filter + n, ' ', sizeof(filter) - 1 - n);
	filter[sizeof(filter) - 1] = 0;
	assert_int_equal(node_port_add(t.node, NWID, "fifteen-letters", filter, 5, &why), 0);
	l->game = l->metric_set = true;
	l->metric = 0x01020304;
	size_t len = local_encode(t.net, bytes);
	assert_int_equal(len, 1 + 15 + 2 + 511 + 1 + 4);
	/* Cut short, nothing of it counts. */
	for (size_t cut = 0; cut < len; cut++) {
		memset(l->iface, 0, sizeof(l->iface));
		l->game = false;
		l->metric = 9;
		struct reader r = reader_over(bytes, cut);
		local_decode(t.net, &r);
		assert_true(!*l->iface && !l->game && l->metric == 9);
	}
	memset(l->filter, 0, sizeof(l->filter));
	l->metric_set = false;
	struct reader r = reader_over(bytes, len);
	local_decode(t.net, &r);
	assert_string_equal(l->iface, "fifteen-letters");
	assert_string_equal(l->filter, filter);
	assert_true(l->game && l->metric_set);
	assert_int_equal(l->metric, 0x01020304);
	/* Names that do not fit are damage. */
	bytes[0] = 16;
	*l->iface = 0;
	r = reader_over(bytes, len);
	local_decode(t.net, &r);
	assert_string_equal(l->iface, "");
}

/* ---- in force --------------------------------------------------------------------------------------------------- */

static void device_make(void)
{
	t.net->device_up = true;
	assert_int_equal(netlink_open(&t.node->netlink), 0);
	atomic_store(&t.net->port->tap, opened("fltest", 1, 1500, TAP_ALL));
	snprintf(t.net->dev, sizeof(t.net->dev), "fltest");
	shell("ip addr add 10.5.0.1/24 dev fltest; ip link set fltest up");
}

static struct tap *nic(void)
{
	return atomic_load(&t.net->port->nic);
}

static void arp_ignore_is(const char *wanted)
{
	char got[8] = "";
	FILE *file = fopen("/proc/sys/net/ipv4/conf/la0/arp_ignore", "r");
	assert_non_null(file);
	assert_non_null(fgets(got, sizeof(got), file));
	fclose(file);
	got[strcspn(got, "\n")] = 0;
	assert_string_equal(got, wanted);
}

static void the_interface_is_followed(void **state)
{
	(void)state;
	need_private_net();
	const char *why;
	struct local_view v;
	device_make();
	assert_int_equal(node_port_add(t.node, NWID, "la0", "", 1000, &why), 0);
	local_view(t.net, &v);
	assert_string_equal(v.why, "the controller must allow it; there: farlan member set 7f3a91c04e000001 1122334455 --bridge on");
	assert_true(!v.open && !nic());
	/* Allowed, and not there. It is looked for every three seconds. */
	t.net->cred.flags = MEMBER_BRIDGE;
	local_apply(t.net);
	local_view(t.net, &v);
	assert_string_equal(v.why, "there is no interface la0");
	assert_int_equal(t.net->local.timer.at, 4000);
	shell("ip link add la0 type veth peer name lb0; ip link set lb0 up");
	t.node->now = 4000;
	uint32_t generation = t.node->ports_generation;
	heap_fire(&t.node->heap, 4000);
	local_view(t.net, &v);
	assert_string_equal(v.why, "la0 is down: ip link set la0 up");
	assert_true(!v.open && nic());
	assert_int_equal(t.node->ports_generation, generation + 1); /* workers poll it */
	assert_non_null(atomic_load(&t.node->book.view));
	assert_int_equal(t.net->local.timer.at, 7000);
	struct tap *first = nic();
	shell("ip link set la0 up");
	t.node->now = 7000;
	heap_fire(&t.node->heap, 7000);
	local_view(t.net, &v);
	assert_true(v.open && nic() == first);
	/* Another one of the same name. */
	shell("ip link del la0; ip link add la0 type veth peer name lb0; ip link set la0 up; ip link set lb0 up");
	t.node->now = 10000;
	heap_fire(&t.node->heap, 10000);
	local_view(t.net, &v);
	assert_true(v.open);
	assert_int_equal(tap_ifindex(nic()), if_nametoindex("la0"));
	arp_ignore_is("1"); /* the host does not answer there for its own device */
	/* Another filter takes effect at once; the right taken back closes it. */
	first = nic();
	assert_int_equal(node_port_add(t.node, NWID, "la0", "arp", 10001, &why), 0);
	assert_true(nic() && nic() != first);
	t.net->cred.flags = 0;
	local_apply(t.net);
	assert_null(nic());
	arp_ignore_is("0");
	/* Set by somebody else it stays, whatever comes and goes. */
	shell("sysctl -qw net.ipv4.conf.la0.arp_ignore=2");
	t.net->cred.flags = MEMBER_BRIDGE;
	local_apply(t.net);
	assert_non_null(nic());
	arp_ignore_is("2");
	assert_int_equal(node_port_remove(t.node, NWID, "la0", 10002), 0);
	assert_null(nic());
	arp_ignore_is("2");
	assert_int_equal(t.net->local.timer.slot, 0); /* nothing to look at any more */
	shell("ip link del la0");
}

static void route_is(const char *what, const char *wanted)
{
	char command[128], line[128] = "";
	snprintf(command, sizeof(command), "ip route show %s", what);
	FILE *pipe = popen(command, "r");
	assert_non_null(pipe);
	if (fgets(line, sizeof(line), pipe))
		line[strcspn(line, "\n")] = 0;
	pclose(pipe);
	for (size_t n = strlen(line); n && line[n - 1] == ' '; n--)
		line[n - 1] = 0;
	assert_string_equal(line, wanted);
}

static void a_game_has_its_routes(void **state)
{
	(void)state;
	need_private_net();
	struct local_change change = {.game_given = true, .game = true};
	device_make();
	assert_int_equal(node_local_set(t.node, NWID, &change, 1000), 0);
	route_is("255.255.255.255", "255.255.255.255 dev fltest proto static scope link");
	route_is("224.0.0.0/4", "224.0.0.0/4 dev fltest proto static scope link");
	/* A metric is theirs too, and the old ones go. */
	change = (struct local_change){.metric_given = true, .metric_set = true, .metric = 55};
	assert_int_equal(node_local_set(t.node, NWID, &change, 1000), 0);
	route_is("255.255.255.255", "255.255.255.255 dev fltest proto static scope link metric 55");
	route_is("224.0.0.0/4", "224.0.0.0/4 dev fltest proto static scope link metric 55");
	change = (struct local_change){.metric_given = true, .game_given = true};
	assert_int_equal(node_local_set(t.node, NWID, &change, 1000), 0);
	route_is("255.255.255.255", "");
	route_is("224.0.0.0/4", "");
	/* What somebody else set stays, is named, and gives way when it goes. */
	shell("ip link add other type dummy 2>/dev/null || ip link add other type veth; ip link set other up; ip route add 255.255.255.255 "
	      "dev other");
	change = (struct local_change){.game_given = true, .game = true};
	assert_int_equal(node_local_set(t.node, NWID, &change, 1000), 0);
	assert_non_null(strstr(t.net->local.game_why, "another route for 255.255.255.255"));
	assert_false(t.net->local.game_on);
	shell("ip link del other");
	t.node->now = t.net->local.timer.at;
	heap_fire(&t.node->heap, t.node->now);
	assert_string_equal(t.net->local.game_why, "");
	route_is("255.255.255.255", "255.255.255.255 dev fltest proto static scope link");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(port_by_route, setup, teardown),
	    cmocka_unit_test_setup_teardown(port_refused, setup, teardown),
	    cmocka_unit_test_setup_teardown(settings_by_route, setup, teardown),
	    cmocka_unit_test_setup_teardown(kept_and_read, setup, teardown),
	    cmocka_unit_test_setup_teardown(the_interface_is_followed, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_game_has_its_routes, setup, teardown),
	};
	return cmocka_run_group_tests(tests, private_net, NULL);
}
