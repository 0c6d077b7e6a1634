/* What people look at when something is wrong: the ring of events, standing warnings, what roots' sight tells of a NAT, the routes that carry
 * them, and the hint about the firewall. The node is bare memory with the fields these files read; nothing runs. */
#define request node_request /* the node and the API have a struct of that name each; here both are needed */
#include "node/control.h"
#undef request

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ui/cli/firewall.c"
#include "ui/json.h"
#include "ui/node_api.h"

static struct {
	struct node *node;
	struct peer *root[2];
	struct node_api api;
	struct reply reply;
	json_t *answer;
	unsigned changes;
} t;

static void changed(void *self)
{
	(void)self;
	t.changes++;
}

static struct endpoint at(const char *text)
{
	struct endpoint e;
	assert_true(endpoint_parse(text, &e));
	return e;
}

/* A root with a session and one direct path, by which it sees us as told. */
static struct peer *root_make(unsigned i, const char *where, const char *observed)
{
	struct peer *root = calloc(1, sizeof(*root));
	assert_non_null(root);
	root->node = t.node;
	root->is_root = true;
	root->identity.address = 0x7f00000001 + i;
	root->identity.key_hash[0] = (uint8_t)(i + 1);
	root->remote = calloc(1, sizeof(*root->remote));
	root->current[CLASS_CTRL] = calloc(1, sizeof(struct session));
	assert_true(root->remote && root->current[CLASS_CTRL] && peer_talk(root));
	root->current[CLASS_CTRL]->reject_ms = NEVER;
	root->path[0] = (struct path){.state = PATH_VALID, .to = at(where), .srtt_us = 12345, .datagram = 1472};
	root->best = 0;
	t.node->root[i] = root;
	root->sight.seen[0] = at(observed);
	root->sight.by[0] = at(where);
	if (t.node->n_roots < i + 1)
		t.node->n_roots = i + 1;
	return t.root[i] = root;
}

static int setup(void **state)
{
	(void)state;
	memset(&t, 0, sizeof(t));
	t.node = calloc(1, sizeof(*t.node));
	if (!t.node || peers_init(&t.node->peers))
		return -1;
	t.node->now = 100000;
	t.node->port.changed = changed;
	t.api = (struct node_api){.node = t.node, .now = 100000};
	heap_init(&t.node->heap);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 2; i++)
		if (t.root[i]) {
			free(t.root[i]->current[CLASS_CTRL]);
			free(t.root[i]->remote);
			free(t.root[i]->talk);
			free(t.root[i]);
		}
	json_decref(t.answer);
	reply_fini(&t.reply);
	heap_fini(&t.node->heap);
	peers_fini(&t.node->peers);
	free(t.node);
	return 0;
}

/* ---- events ----------------------------------------------------------------------------------------------------- */

struct seen {
	unsigned n;
	uint64_t first, last;
	struct event event;
};

static void see(void *self, const struct event *e)
{
	struct seen *seen = self;
	if (!seen->n++)
		seen->first = e->seq;
	else
		assert_int_equal(e->seq, seen->last + 1); /* in order, without a hole */
	seen->last = e->seq;
	seen->event = *e;
}

static void the_ring_keeps_the_newest(void **state)
{
	(void)state;
	struct seen seen = {0};
	assert_int_equal(node_events(t.node, 0, see, &seen), 0);
	assert_int_equal(seen.n, 0);
	event_add(t.node, EVENT_MAPPING_CHANGED, NULL, "198.51.100.4:41093");
	assert_int_equal(t.changes, 1);
	assert_int_equal(node_events(t.node, 0, see, &seen), 1);
	assert_int_equal(seen.n, 1);
	assert_string_equal(seen.event.to, "198.51.100.4:41093");
	assert_int_equal(seen.event.ms, 100000);
	for (unsigned i = 0; i < EVENTS_MAX + 9; i++)
		event_add(t.node, EVENT_ADDRESS_CHANGED, NULL, "x");
	memset(&seen, 0, sizeof(seen));
	assert_int_equal(node_events(t.node, 0, see, &seen), EVENTS_MAX + 10);
	assert_int_equal(seen.n, EVENTS_MAX);
	assert_int_equal(seen.first, 11);
	memset(&seen, 0, sizeof(seen));
	node_events(t.node, EVENTS_MAX + 7, see, &seen);
	assert_int_equal(seen.n, 3);
	memset(&seen, 0, sizeof(seen));
	node_events(t.node, EVENTS_MAX + 10, see, &seen);
	node_events(t.node, UINT64_MAX, see, &seen); /* of an earlier run */
	assert_int_equal(seen.n, 0);
	for (enum event_kind k = 0; k < EVENT_KIND_COUNT; k++)
		assert_non_null(strchr(event_kind_name(k), '.'));
}

/* Only what can be told apart in a line is an event, however often its parts change. */
static void a_peer_is_told_once(void **state)
{
	(void)state;
	struct seen seen = {0};
	struct peer *root = root_make(0, "203.0.113.9:9993", "198.51.100.4:9993");
	event_peer(root);
	event_peer(root);
	node_events(t.node, 0, see, &seen);
	assert_int_equal(seen.n, 1);
	assert_int_equal(seen.event.kind, EVENT_ROOT_UP);
	assert_int_equal(seen.event.address, root->identity.address);
	assert_string_equal(seen.event.to, "203.0.113.9:9993");
	root->path[0].to.family |= ENDPOINT_STREAM;
	root->path[0].to.port = 443;
	event_peer(root);
	node_events(t.node, 1, see, &seen);
	assert_int_equal(seen.event.kind, EVENT_PEER_PATH);
	assert_string_equal(seen.event.from, "203.0.113.9:9993");
	assert_string_equal(seen.event.to, "tls:203.0.113.9:443");
	root->is_root = false;
	root->best = -1;
	event_peer(root);
	event_peer(root);
	node_events(t.node, 2, see, &seen);
	assert_int_equal(seen.last, 3);
	assert_int_equal(seen.event.kind, EVENT_PEER_DOWN);
	assert_string_equal(seen.event.from, "tls:203.0.113.9:443");
	struct endpoint mine = {0}, news = at("198.51.100.4:9993");
	event_observed(root, &mine, &news);
	event_observed(root, &mine, &news);
	assert_true(endpoint_equal(&mine, &news));
	node_events(t.node, 3, see, &seen);
	assert_int_equal(seen.last, 4);
	assert_string_equal(seen.event.to, "198.51.100.4:9993");
}

static void a_relayed_path_names_its_relay(void **state)
{
	(void)state;
	char text[PATH_TEXT];
	struct circuit circuit = {0};
	struct peer *root = root_make(0, "203.0.113.9:9993", "198.51.100.4:9993");
	struct path path = {.state = PATH_VALID, .circuit = &circuit, .relay = root};
	path_text(&path, text);
	assert_string_equal(text, "root relay 7f00000001");
	assert_false(path_tls(&path));
	root->path[0].to.family |= ENDPOINT_STREAM;
	path_text(&path, text);
	assert_string_equal(text, "root relay 7f00000001 by TLS");
	assert_true(path_tls(&path));
	path.by_member = true;
	root->path[0].to.family = 4;
	path_text(&path, text);
	assert_string_equal(text, "relay 7f00000001");
	path_text(NULL, text);
	assert_string_equal(text, "none");
}

/* ---- warnings and netcheck -------------------------------------------------------------------------------------- */

struct codes {
	char list[256];
};

static void code_add(void *self, const struct warning *w)
{
	struct codes *codes = self;
	assert_true(*w->text);
	snprintf(codes->list + strlen(codes->list), sizeof(codes->list) - strlen(codes->list), "%s ", w->code);
}

static const char *codes(void)
{
	static struct codes c;
	c = (struct codes){0};
	node_warnings(t.node, code_add, &c);
	return c.list;
}

static void warnings_stand_until_taken_back(void **state)
{
	(void)state;
	assert_string_equal(codes(), "");
	node_warn(t.node, "tls-not-bound", "port 443 is taken");
	node_warn(t.node, "other", "x");
	unsigned before = t.changes;
	node_warn(t.node, "tls-not-bound", "port 443 is taken");
	assert_int_equal(t.changes, before);
	assert_string_equal(codes(), "tls-not-bound other ");
	node_warn(t.node, "tls-not-bound", "");
	node_warn(t.node, "never-set", "");
	assert_string_equal(codes(), "other ");
	static char names[WARNINGS_MAX + 2][8];
	for (unsigned i = 0; i < WARNINGS_MAX + 2; i++) {
		snprintf(names[i], sizeof(names[i]), "w%u", i);
		node_warn(t.node, names[i], "y");
	}
	unsigned n = 0;
	for (const char *p = codes(); *p; p++)
		n += *p == ' ';
	assert_int_equal(n, WARNINGS_MAX); /* the rest is left out */
}

static void warnings_of_roots_and_clones(void **state)
{
	(void)state;
	struct peer *root = root_make(0, "203.0.113.9:9993", "198.51.100.4:9993");
	assert_string_equal(codes(), "");
	root->path[0].to.family |= ENDPOINT_STREAM;
	assert_string_equal(codes(), "no-udp ");
	root_make(1, "203.0.113.10:9993", "198.51.100.4:9993");
	assert_string_equal(codes(), "");
	t.root[0]->best = t.root[1]->best = -1;
	assert_string_equal(codes(), "no-root ");
	t.root[0]->made_ms = t.root[1]->made_ms = t.node->now - 100; /* it has just started */
	assert_string_equal(codes(), "");
	t.node->clone.at = at("203.0.113.77:9993");
	t.node->clone.ms = t.node->now - 5000;
	assert_string_equal(codes(), "clone ");
}

static enum nat_mapping mapped(const char *by_first, const char *by_second)
{
	struct netcheck_view v;
	t.root[0]->sight.seen[0] = at(by_first);
	t.node->n_roots = by_second ? 2 : 1;
	if (by_second)
		t.root[1]->sight.seen[0] = at(by_second);
	node_netcheck(t.node, &v);
	assert_true(v.family[0].reached);
	assert_int_equal(v.family[0].roots, t.node->n_roots);
	assert_false(v.family[1].reached);
	return v.family[0].mapping;
}

static void two_roots_tell_the_mapping(void **state)
{
	(void)state;
	root_make(0, "203.0.113.9:9993", "198.51.100.4:9993");
	root_make(1, "203.0.113.10:9993", "198.51.100.4:9993");
	t.node->host[0] = at("192.168.1.2:1");
	t.node->n_hosts = 1;
	t.node->config.bound[0] = at("0.0.0.0:9993");
	t.node->config.n_bound = 1;
	assert_int_equal(mapped("198.51.100.4:41000", NULL), NAT_UNKNOWN);
	assert_int_equal(mapped("198.51.100.4:41000", "198.51.100.4:41000"), NAT_ALIKE);
	assert_int_equal(mapped("198.51.100.4:41000", "198.51.100.4:41001"), NAT_DIFFERENT);
	assert_int_equal(mapped("198.51.100.4:41000", "198.51.100.5:41000"), NAT_DIFFERENT);
	assert_int_equal(mapped("192.168.1.2:9993", NULL), NAT_NONE);
	assert_int_equal(mapped("192.168.1.2:9993", "192.168.1.2:9993"), NAT_NONE);
	assert_int_equal(mapped("192.168.1.2:4000", NULL), NAT_UNKNOWN); /* our address by another port is a NAT's doing */
	t.root[1]->sight.by[0] = at("203.0.113.9:9994");                 /* one address twice tells nothing of addresses */
	assert_int_equal(mapped("198.51.100.4:41000", "198.51.100.4:41000"), NAT_UNKNOWN);
	t.root[0]->sight.alt[0] = at("198.51.100.4:41000"); /* by its second port */
	assert_int_equal(mapped("198.51.100.4:41000", NULL), NAT_ALIKE);
	t.root[0]->sight.alt[0] = at("198.51.100.4:41002");
	assert_int_equal(mapped("198.51.100.4:41000", NULL), NAT_DIFFERENT);
}

/* ---- the routes ------------------------------------------------------------------------------------------------- */

static unsigned call(enum method method, const char *path, const char *since, bool late)
{
	struct request request = {.method = method, .local = true, .path = path, .late = late};
	if (since)
		request.query[request.n_query++] = (struct query_argument){"since", since};
	reply_fini(&t.reply);
	memset(&t.reply, 0, sizeof(t.reply));
	node_api_serve(&t.api, &request, &t.reply);
	json_decref(t.answer);
	t.answer = t.reply.body_len ? json_loadb(t.reply.body, t.reply.body_len, 0, NULL) : NULL;
	return t.reply.status;
}

static json_int_t number(const json_t *o, const char *name)
{
	assert_true(json_is_integer(json_object_get(o, name)));
	return json_integer_value(json_object_get(o, name));
}

static const char *word(const json_t *o, const char *name)
{
	const char *s = json_string_value(json_object_get(o, name));
	return s ? s : "(none)";
}

static void events_by_the_api(void **state)
{
	(void)state;
	assert_int_equal(call(METHOD_GET, "/v1/events", NULL, false), 200); /* without since: what there is */
	assert_int_equal(number(t.answer, "last"), 0);
	assert_int_equal(call(METHOD_GET, "/v1/events", "0", false), 0);
	assert_true(t.reply.wait);
	assert_int_equal(call(METHOD_GET, "/v1/events", "0", true), 200);
	assert_int_equal(json_array_size(json_object_get(t.answer, "events")), 0);
	struct peer *root = root_make(0, "203.0.113.9:9993", "198.51.100.4:9993");
	event_peer(root);
	assert_int_equal(call(METHOD_GET, "/v1/events", "0", false), 200);
	const json_t *event = json_array_get(json_object_get(t.answer, "events"), 0);
	assert_string_equal(word(event, "schema"), "farlan.event/1");
	assert_string_equal(word(event, "type"), "root.up");
	assert_string_equal(word(event, "peer"), "7f00000001");
	assert_string_equal(word(event, "to"), "203.0.113.9:9993");
	assert_null(json_object_get(event, "from"));
	assert_int_equal(strlen(word(event, "time")), strlen("2026-01-01T00:00:00.000Z"));
	assert_int_equal(number(t.answer, "missed"), 0);
	for (unsigned i = 0; i < EVENTS_MAX + 4; i++)
		event_add(t.node, EVENT_ADDRESS_CHANGED, NULL, "x");
	assert_int_equal(call(METHOD_GET, "/v1/events", "1", false), 200); /* 2..5 are gone */
	assert_int_equal(number(t.answer, "missed"), 4);
	assert_int_equal(json_array_size(json_object_get(t.answer, "events")), EVENTS_MAX);
	assert_int_equal(call(METHOD_GET, "/v1/events", "99999", false), 200);
	assert_true(json_is_true(json_object_get(t.answer, "restarted")));
	static const char *const wrong[] = {"", "-1", "x", "1x", " 1", "99999999999999999999"};
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_int_equal(call(METHOD_GET, "/v1/events", wrong[i], false), 400);
}

static void pings_by_the_api(void **state)
{
	(void)state;
	assert_int_equal(call(METHOD_POST, "/v1/peers/7f00000009/ping", NULL, false), 404);
	assert_int_equal(number(t.answer, "code"), 5);
	assert_int_equal(call(METHOD_POST, "/v1/peers/fd00::1/ping", NULL, false), 404);
	assert_int_equal(call(METHOD_GET, "/v1/pings/1", NULL, false), 404);
	assert_int_equal(call(METHOD_GET, "/v1/pings/0", NULL, false), 404);
	assert_int_equal(call(METHOD_GET, "/v1/pings/x", NULL, false), 404);
	struct peer *root = root_make(0, "203.0.113.9:9993", "198.51.100.4:9993");
	t.node->peers.by_key[1] = root; /* its key_hash begins with 1 */
	root->hash_next = NULL;
	assert_ptr_equal(peer_find(t.node, root->identity.key_hash), root);
	assert_int_equal(call(METHOD_POST, "/v1/peers/7f00000001/ping", NULL, false), 200);
	assert_string_equal(word(t.answer, "state"), "connecting");
	assert_int_equal(number(t.answer, "id"), 1);
	assert_int_equal(call(METHOD_GET, "/v1/pings/1", NULL, false), 0);
	assert_true(t.reply.wait);
	/* As ping.c leaves it when the probe is out. */
	struct ping *ping = &t.node->pings.ping[0];
	ping->state = PING_SENT;
	ping->path = 0;
	ping->direct = true;
	strcpy(ping->via, "203.0.113.9:9993");
	root->path[3] = (struct path){.state = PATH_PROBING, .to = at("203.0.113.77:9993")};
	ping_answered(root, 1, 777); /* another path's answer */
	assert_int_equal(ping->state, PING_SENT);
	unsigned before = t.changes;
	ping_answered(root, 0, 21000);
	assert_int_equal(t.changes, before + 1);
	ping_answered(root, 0, 99000); /* decided is decided */
	assert_int_equal(call(METHOD_GET, "/v1/pings/1", NULL, false), 200);
	assert_string_equal(word(t.answer, "state"), "answered");
	assert_string_equal(word(t.answer, "via"), "203.0.113.9:9993");
	assert_string_equal(word(t.answer, "link"), "direct");
	assert_true(json_is_true(json_object_get(t.answer, "direct")));
	assert_int_equal(number(t.answer, "rtt_us"), 21000);
	assert_string_equal(json_string_value(json_array_get(json_object_get(t.answer, "trying"), 0)), "203.0.113.77:9993");
	/* Undecided ones hold their slots; then it is busy, and nothing else breaks. */
	for (unsigned i = 0; i < PINGS_MAX; i++)
		assert_int_equal(call(METHOD_POST, "/v1/peers/7f00000001/ping", NULL, false), 200);
	assert_int_equal(call(METHOD_POST, "/v1/peers/7f00000001/ping", NULL, false), 503);
	assert_int_equal(call(METHOD_GET, "/v1/pings/1", NULL, false), 404); /* its slot was taken over */
	heap_cancel(&t.node->heap, &t.node->pings.timer);
}

static void netcheck_by_the_api(void **state)
{
	(void)state;
	struct peer *root = root_make(0, "203.0.113.9:9993", "198.51.100.4:41000");
	t.node->peers.by_key[1] = root;
	assert_int_equal(call(METHOD_GET, "/v1/netcheck", NULL, false), 200); /* what is known without asking */
	const json_t *udp4 = json_object_get(t.answer, "udp4"), *one = json_array_get(json_object_get(t.answer, "roots"), 0);
	assert_string_equal(word(t.answer, "schema"), "farlan.netcheck/1");
	assert_string_equal(word(udp4, "mapping"), "unknown");
	assert_string_equal(word(udp4, "observed"), "198.51.100.4:41000");
	assert_true(json_is_true(json_object_get(one, "answers")));
	assert_int_equal(number(one, "rtt_us"), 12345);
	assert_int_equal(number(one, "datagram"), 1472);
	assert_int_equal(call(METHOD_POST, "/v1/netcheck", NULL, false), 200);
	assert_int_equal(number(t.answer, "roots"), 1);
	assert_int_equal(call(METHOD_GET, "/v1/netcheck", NULL, false), 0);
	assert_true(t.reply.wait);
	t.node->pings.ping[0].state = PING_LOST; /* it had a session, but is silent now */
	assert_int_equal(call(METHOD_GET, "/v1/netcheck", NULL, false), 200);
	one = json_array_get(json_object_get(t.answer, "roots"), 0);
	assert_true(json_is_false(json_object_get(one, "answers")));
	assert_true(json_is_null(json_object_get(one, "rtt_us")));
	heap_cancel(&t.node->heap, &t.node->pings.timer);
}

/* ---- the firewall ----------------------------------------------------------------------------------------------- */

static void judged(const char *rules, const char *policy, bool accepted)
{
	char text[2048];
	snprintf(text, sizeof(text), "{'nftables':[{'metainfo':{}},%s]}", rules);
	for (char *p = text; *p; p++)
		*p = *p == '\'' ? '"' : *p;
	json_t *ruleset = json_loads(text, 0, NULL);
	assert_non_null(ruleset);
	json_t *verdict = firewall_judge(ruleset, 9993);
	assert_string_equal(word(verdict, "policy"), policy);
	assert_int_equal(json_is_true(json_object_get(verdict, "accepted")), accepted);
	json_decref(verdict);
	json_decref(ruleset);
}

#define CHAIN(policy) "{'chain':{'family':'inet','table':'f','name':'in','type':'filter','hook':'input','policy':'" policy "'}},"
#define RULE(expr)    "{'rule':{'family':'inet','table':'f','chain':'in','expr':[" expr "{'accept':null}]}}"
#define DPORT(right)  "{'match':{'op':'==','left':{'payload':{'protocol':'udp','field':'dport'}},'right':" right "}},"

static void the_firewall_is_judged(void **state)
{
	(void)state;
	judged("{}", "accept", true);
	judged(CHAIN("accept") "{}", "accept", true);
	judged(CHAIN("drop") "{}", "drop", false);
	judged(CHAIN("drop") RULE(DPORT("9993")), "drop", true);
	judged(CHAIN("drop") RULE(DPORT("9994")), "drop", false);
	judged(CHAIN("drop") RULE(DPORT("{'range':[9000,10000]}")), "drop", true);
	judged(CHAIN("drop") RULE(DPORT("{'set':[22,{'range':[9993,9999]}]}")), "drop", true);
	judged(CHAIN("drop") RULE(DPORT("{'set':[22,53]}")), "drop", false);
	judged(CHAIN("drop") RULE(""), "drop", true);
	judged(CHAIN("drop") RULE("{'match':{'op':'in','left':{'ct':{'key':'state'}},'right':'established'}},"), "drop", false);
	judged(CHAIN("drop") RULE(DPORT("9993") "{'match':{'op':'==','left':{'meta':{'key':'iifname'}},'right':'eth1'}},"), "drop", false);
	judged(CHAIN("drop") "{'rule':{'family':'ip','table':'f','chain':'in','expr':[{'accept':null}]}}", "drop", false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(the_ring_keeps_the_newest, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_peer_is_told_once, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_relayed_path_names_its_relay, setup, teardown),
	    cmocka_unit_test_setup_teardown(warnings_stand_until_taken_back, setup, teardown),
	    cmocka_unit_test_setup_teardown(warnings_of_roots_and_clones, setup, teardown),
	    cmocka_unit_test_setup_teardown(two_roots_tell_the_mapping, setup, teardown),
	    cmocka_unit_test_setup_teardown(events_by_the_api, setup, teardown),
	    cmocka_unit_test_setup_teardown(pings_by_the_api, setup, teardown),
	    cmocka_unit_test_setup_teardown(netcheck_by_the_api, setup, teardown),
	    cmocka_unit_test(the_firewall_is_judged),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
