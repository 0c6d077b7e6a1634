/* sight_api.c: pings, the network check and events as JSON.
 *
 * What takes time is begun by a POST and waited for by a GET, which leaves its answer open (reply.wait) until the node says that something
 * changed: so a client neither polls nor holds anything but its connection. Events carry the node's own milliseconds; here they become
 * times of day.
 */
#include "ui/sight_api.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "node/event.h"
#include "node/mapping.h"
#include "node/ping.h"
#include "node/warning.h"
#include "ui/json.h"

#define PING_WAIT_MS  10000
#define CHECK_WAIT_MS 3000

json_t *sight_endpoint(const struct endpoint *endpoint)
{
	char text[ENDPOINT_TEXT_MAX];
	if (!endpoint->family)
		return json_null();
	endpoint_format(endpoint, text, sizeof(text));
	return json_string(text);
}

json_t *sight_address(uint64_t address)
{
	char text[ADDRESS_TEXT];
	address_format(address, text);
	return json_string(text);
}

static void warning_append(void *array, const struct warning *warning)
{
	json_t *o = json_object();
	json_object_set_new(o, "code", json_string(warning->code));
	json_object_set_new(o, "text", json_text(warning->text));
	json_array_append_new(array, o);
}

void sight_warnings(struct node *node, json_t *status)
{
	json_t *array = json_array();
	node_warnings(node, warning_append, array);
	json_object_set_new(status, "warnings", array);
}

static json_t *rate_json(uint64_t bits)
{
	return bits ? json_count(bits) : json_null(); /* null: unlimited */
}

void sight_relay(struct node *node, uint64_t now, json_t *status)
{
	struct relay_view v;
	node_relay(node, now, &v);
	if (!v.root && !v.member)
		return;
	json_t *o = json_object(), *top = json_array();
	json_object_set_new(o, "root", json_boolean(v.root));
	json_object_set_new(o, "registered", json_integer(node_registered(node)));
	json_object_set_new(o, "circuits", json_integer(v.circuits));
	json_object_set_new(o, "circuits_max", json_integer(v.circuits_max));
	json_object_set_new(o, "node_bits_per_s", rate_json(v.rate));
	json_object_set_new(o, "total_bits_per_s", rate_json(v.total));
	json_object_set_new(o, "bytes", json_count(v.bytes));
	json_object_set_new(o, "dropped", json_count(v.dropped));
	json_object_set_new(o, "refused", json_count(v.refused));
	for (unsigned i = 0; i < v.n_top; i++) {
		json_t *one = json_object();
		json_object_set_new(one, "address", sight_address(v.top[i].identity.address));
		json_object_set_new(one, "circuits", json_integer(v.top[i].circuits));
		json_object_set_new(one, "bytes", json_count(v.top[i].bytes));
		json_object_set_new(one, "dropped", json_count(v.top[i].dropped));
		json_object_set_new(one, "refused", json_count(v.top[i].refused));
		json_array_append_new(top, one);
	}
	json_object_set_new(o, "top", top);
	json_object_set_new(status, "relay", o);
}

/* ---- ping ------------------------------------------------------------------------------------------------------- */

static json_t *ping_json(const struct ping_view *v)
{
	static const char *const states[] = {
	    [PING_CONNECTING] = "connecting", [PING_SENT] = "sent", [PING_ANSWERED] = "answered", [PING_LOST] = "lost"};
	json_t *o = json_schema("farlan.ping/1"), *trying = json_array();
	for (unsigned i = 0; i < v->n_trying; i++)
		json_array_append_new(trying, json_string(v->trying[i]));
	json_object_set_new(o, "id", json_integer(v->id));
	json_object_set_new(o, "address", sight_address(v->address));
	json_object_set_new(o, "state", json_string(states[v->state]));
	json_object_set_new(o, "via", *v->via ? json_string(v->via) : json_null());
	json_object_set_new(o, "link", json_string(!*v->via ? "none" : v->tls ? "tls" : v->direct ? "direct" : "relay"));
	json_object_set_new(o, "direct", json_boolean(v->state == PING_ANSWERED && v->direct && !v->tls));
	json_object_set_new(o, "relay", v->relay ? sight_address(v->relay) : json_null());
	json_object_set_new(o, "rtt_us", v->rtt_us ? json_integer(v->rtt_us) : json_null());
	json_object_set_new(o, "trying", trying);
	return o;
}

void sight_ping_post(void *self, const struct request *request, struct reply *reply)
{
	struct node_api *api = self;
	uint8_t key_hash[KEY_HASH_BYTES];
	struct problem problem;
	struct ping_view view;
	uint32_t id;
	int error = node_find(api->node, request->arg[0], key_hash);
	if (!error)
		error = node_ping(api->node, key_hash, PING_WAIT_MS, api->now, &id);
	if (!error && node_pinged(api->node, id, &view)) {
		reply_json(reply, 200, ping_json(&view));
		return;
	}
	if (error == -EEXIST)
		problem_set(&problem, 409, "ambiguous peer", "several peers go by \"%.64s\"", request->arg[0]);
	else if (error == -EBUSY)
		problem_set(&problem, 503, "busy", "%d pings are under way, which is the most", PINGS_MAX);
	else
		problem_set(&problem, 404, "no such peer", "no network, root or controller of this node knows \"%.64s\"", request->arg[0]);
	if (error != -EBUSY)
		snprintf(problem.hint, sizeof(problem.hint),
		         "name it by its address, overlay IP or MAC; farlan peers lists whom it talks to");
	reply_problem(reply, &problem);
}

static bool ping_decided(const struct ping_view *view)
{
	return view->state == PING_ANSWERED || view->state == PING_LOST;
}

void sight_ping_get(void *self, const struct request *request, struct reply *reply)
{
	struct node_api *api = self;
	struct problem problem;
	struct ping_view view;
	char *end;
	unsigned long id = strtoul(request->arg[0], &end, 10);
	if (*end || id > UINT32_MAX || !node_pinged(api->node, (uint32_t)id, &view)) {
		problem_set(&problem, 404, "no such ping", "there is no ping %.20s (any more)", request->arg[0]);
		reply_problem(reply, &problem);
	} else if (ping_decided(&view) || request->late) {
		reply_json(reply, 200, ping_json(&view));
	} else {
		reply->wait = true;
	}
}

/* ---- netcheck --------------------------------------------------------------------------------------------------- */

struct asking {
	struct node_api *api;
	json_t *roots; /* NULL: only begin */
	bool open;     /* some answer is not there yet */
};

static void root_ask(void *self, const struct root_view *root)
{
	struct node_api *api = ((struct asking *)self)->api;
	uint32_t id = 0;
	if (api->n_checks < ROOTS_MAX && !node_ping(api->node, root->identity.key_hash, CHECK_WAIT_MS, api->now, &id)) {
		api->check[api->n_checks].address = root->identity.address;
		api->check[api->n_checks++].id = id;
	}
}

void sight_check_post(void *self, const struct request *request, struct reply *reply)
{
	struct node_api *api = self;
	struct asking asking = {.api = api};
	json_t *o = json_schema("farlan.netcheck.begun/1");
	(void)request;
	api->n_checks = 0;
	node_roots(api->node, root_ask, &asking);
	json_object_set_new(o, "roots", json_integer(api->n_checks));
	reply_json(reply, 200, o);
}

static void root_told(void *self, const struct root_view *root)
{
	struct asking *asking = self;
	json_t *o = json_object();
	struct ping_view view = {.state = PING_LOST};
	bool asked = false;
	for (unsigned i = 0; i < asking->api->n_checks; i++)
		if (asking->api->check[i].address == root->identity.address)
			asked = node_pinged(asking->api->node, asking->api->check[i].id, &view);
	asking->open = asking->open || (asked && !ping_decided(&view));
	bool answered = asked ? view.state == PING_ANSWERED : root->online;
	uint32_t rtt = asked && answered ? view.rtt_us : root->online ? root->rtt_us : 0;
	json_object_set_new(o, "address", sight_address(root->identity.address));
	json_object_set_new(o, "endpoint", sight_endpoint(&root->endpoint));
	json_object_set_new(o, "answers", json_boolean(answered));
	json_object_set_new(o, "reason", json_text(root->reason));
	json_object_set_new(o, "tls", json_boolean(root->tls));
	json_object_set_new(o, "rtt_us", answered && rtt ? json_integer(rtt) : json_null());
	json_object_set_new(o, "observed", sight_endpoint(&root->observed));
	json_object_set_new(o, "datagram", root->datagram ? json_integer(root->datagram) : json_null());
	json_array_append_new(asking->roots, o);
}

static json_t *family_json(const struct netcheck_view *v, unsigned f)
{
	static const char *const mappings[] = {
	    [NAT_UNKNOWN] = "unknown", [NAT_NONE] = "none", [NAT_ALIKE] = "endpoint-independent", [NAT_DIFFERENT] = "address-dependent"};
	json_t *o = json_object();
	json_object_set_new(o, "host", json_boolean(v->family[f].host));
	json_object_set_new(o, "reached", json_boolean(v->family[f].reached));
	json_object_set_new(o, "observed", sight_endpoint(&v->family[f].observed));
	json_object_set_new(o, "roots", json_integer(v->family[f].roots));
	json_object_set_new(o, "mapping", json_string(mappings[v->family[f].mapping]));
	return o;
}

static json_t *mapping_json(const struct mapping_view *v)
{
	static const char *const names[MAPPING_PROTOCOLS] = {"pcp", "nat_pmp", "upnp"};
	static const char *const answers[] = {[MAPPING_UNKNOWN] = "unknown", [MAPPING_NO] = "no", [MAPPING_YES] = "yes"};
	json_t *o = json_object(), *held = json_array();
	json_object_set_new(o, "on", json_boolean(v->on));
	json_object_set_new(o, "asking", json_boolean(v->asking));
	json_object_set_new(o, "gateway", json_boolean(!v->no_gateway));
	for (int i = 0; i < MAPPING_PROTOCOLS; i++) {
		json_t *protocol = json_object();
		json_object_set_new(protocol, "answer", json_string(answers[v->protocol[i].answer]));
		json_object_set_new(protocol, "error", json_text(v->protocol[i].error));
		json_object_set_new(o, names[i], protocol);
	}
	for (unsigned i = 0; i < v->n_held; i++) {
		json_t *one = json_object();
		json_object_set_new(one, "by", json_string(names[v->held[i].by]));
		json_object_set_new(one, "internal", sight_endpoint(&v->held[i].internal));
		json_object_set_new(one, "external", sight_endpoint(&v->held[i].external));
		json_object_set_new(one, "global", json_boolean(v->held[i].global));
		json_object_set_new(one, "left_s", json_integer(v->held[i].left_s));
		json_array_append_new(held, one);
	}
	json_object_set_new(o, "held", held);
	return o;
}

void sight_check_get(void *self, const struct request *request, struct reply *reply)
{
	struct node_api *api = self;
	struct asking asking = {.api = api, .roots = json_array()};
	struct mapping_view mapping = {0};
	struct netcheck_view v;
	node_roots(api->node, root_told, &asking);
	if (asking.open && !request->late) {
		json_decref(asking.roots);
		reply->wait = true;
		return;
	}
	node_netcheck(api->node, &v);
	json_t *o = json_schema("farlan.netcheck/1"), *bound = json_array();
	for (unsigned i = 0; i < v.n_bound; i++)
		json_array_append_new(bound, sight_endpoint(&v.bound[i]));
	json_object_set_new(o, "bound", bound);
	json_object_set_new(o, "udp4", family_json(&v, 0));
	json_object_set_new(o, "udp6", family_json(&v, 1));
	json_object_set_new(o, "tls", json_boolean(v.tls));
	if (api->mapping && api->mapping(api->mapping_self, &mapping))
		json_object_set_new(o, "portmap", mapping_json(&mapping));
	json_object_set_new(o, "roots", asking.roots);
	sight_warnings(api->node, o);
	reply_json(reply, 200, o);
}

/* ---- events ----------------------------------------------------------------------------------------------------- */

struct telling {
	json_t *array;
	uint64_t offset_ms; /* from the node's clock to the time of day */
	uint64_t first;
};

static json_t *time_json(uint64_t ms)
{
	char day[24], text[40];
	time_t s = (time_t)(ms / 1000);
	struct tm tm;
	if (!gmtime_r(&s, &tm) || !strftime(day, sizeof(day), "%Y-%m-%dT%H:%M:%S", &tm))
		return json_null();
	snprintf(text, sizeof(text), "%s.%03uZ", day, (unsigned)(ms % 1000));
	return json_string(text);
}

static void event_append(void *self, const struct event *e)
{
	struct telling *telling = self;
	json_t *o = json_schema("farlan.event/1");
	char nwid[NWID_TEXT];
	if (!telling->first)
		telling->first = e->seq;
	json_object_set_new(o, "seq", json_count(e->seq));
	json_object_set_new(o, "time", time_json(e->ms + telling->offset_ms));
	json_object_set_new(o, "type", json_string(event_kind_name(e->kind)));
	if (e->address)
		json_object_set_new(o, "peer", sight_address(e->address));
	if (e->nwid) {
		nwid_format(e->nwid, nwid);
		json_object_set_new(o, "network", json_string(nwid));
	}
	if (*e->from)
		json_object_set_new(o, "from", json_text(e->from));
	if (*e->to)
		json_object_set_new(o, "to", json_text(e->to));
	json_array_append_new(telling->array, o);
}

static bool since_read(const char *text, uint64_t *ret)
{
	char *end;
	*ret = 0;
	if (!text)
		return true;
	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	*ret = strtoull(text, &end, 10);
	return !*end && !errno;
}

void sight_events_get(void *self, const struct request *request, struct reply *reply)
{
	struct node_api *api = self;
	struct telling telling = {.array = json_array()};
	struct timespec wall;
	struct problem problem;
	uint64_t since;
	const char *asked = request_query(request, "since");
	if (!since_read(asked, &since)) {
		json_decref(telling.array);
		problem_set(&problem, 400, "bad number", "since is the number of the last event seen, 0 for all there are");
		reply_problem(reply, &problem);
		return;
	}
	clock_gettime(CLOCK_REALTIME, &wall);
	telling.offset_ms = (uint64_t)wall.tv_sec * 1000 + (uint64_t)wall.tv_nsec / 1000000 - api->now;
	uint64_t last = node_events(api->node, since, event_append, &telling);
	/* A number beyond the newest is of an earlier run: all of this one are news. */
	bool restarted = since > last;
	if (restarted)
		node_events(api->node, 0, event_append, &telling);
	if (!json_array_size(telling.array) && asked && !restarted && !request->late) {
		json_decref(telling.array);
		reply->wait = true;
		return;
	}
	json_t *o = json_schema("farlan.events/1");
	json_object_set_new(o, "last", json_count(last));
	json_object_set_new(o, "missed", json_count(telling.first && !restarted && since ? telling.first - since - 1 : 0));
	json_object_set_new(o, "restarted", json_boolean(restarted));
	json_object_set_new(o, "events", telling.array);
	reply_json(reply, 200, o);
}
