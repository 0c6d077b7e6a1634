/* api_fuzz.c: the request door: bodies, paths and headers of the API into settings and tokens, without sockets.
 *
 * First byte: which reader. The rest is the body (or, for the last ones, a path, a Host, an Origin, a Cookie and a token, cut at
 * NUL bytes). What is promised: no crash, outputs untouched on failure, a problem with a 4xx and an exit code, and
 * settings that hold only what their types allow.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "ui/access.c"
#include "ui/api.c"
#include "ui/json.c"
#include "ui/settings.c"

#include "ui/event_api.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define require(x) ((x) ? (void)0 : abort())

static void problem_good(const struct problem *problem)
{
	struct reply reply = {0};
	require(problem->status >= 400 && problem->status < 500 && problem->title && problem->detail[0]);
	reply_problem(&reply, problem);
	json_t *o = json_loadb(reply.body, reply.body_len, 0, NULL);
	require(json_is_object(o) && json_integer_value(json_object_get(o, "code")) > 0);
	json_decref(o);
	reply_fini(&reply);
}

static void name_good(const char *name)
{
	size_t len = strnlen(name, NAME_MAX_BYTES + 1);
	require(len >= 1 && len <= NAME_MAX_BYTES);
	for (size_t i = 0; i < len; i++)
		require((unsigned char)name[i] >= 0x20 && name[i] != 0x7f);
}

static void network(const char *body, size_t len, bool create)
{
	struct network_settings settings, before;
	struct problem problem;
	memset(&settings, 0xa5, sizeof(settings));
	before = settings;
	if (!settings_network(body, len, create, &settings, &problem)) {
		require(memcmp(&settings, &before, sizeof(settings)) == 0);
		problem_good(&problem);
		return;
	}
	require(!create || settings.set & SET_NET_NAME);
	if (settings.set & SET_NET_NAME)
		name_good(settings.name);
	if (settings.set & SET_NET_MTU)
		require(settings.mtu >= 1280 && settings.mtu <= 9000);
	if (settings.set & SET_NET_POOL)
		require(settings.pool.family == 0 || (settings.pool.family == 4 && settings.pool.bits <= 32));
	require(!((settings.flags_on | settings.flags_off) & ~NETWORK_FLAGS) && !(settings.flags_on & settings.flags_off));
	require(settings.limits.storm_frames <= STORM_FRAMES_MAX && settings.limits.mcast_kbit <= MCAST_KBIT_MAX);
	require(settings.limits.mcast_limit <= MCAST_LIMIT_MAX);
}

static void member(const char *body, size_t len, bool approve)
{
	struct member_settings settings, before;
	struct problem problem;
	memset(&settings, 0xa5, sizeof(settings));
	before = settings;
	if (!settings_member(body, len, approve, &settings, &problem)) {
		require(memcmp(&settings, &before, sizeof(settings)) == 0);
		problem_good(&problem);
		return;
	}
	require(!(settings.flags_on & settings.flags_off));
	require(!approve || !(settings.set & SET_MEMBER_FLAGS));
	if (settings.set & SET_MEMBER_NAME)
		name_good(settings.name);
	if (settings.set & SET_MEMBER_IP)
		require(settings.ip.family == 4 && settings.ip.bits <= 32);
}

static void join(const char *body, size_t len)
{
	struct problem problem;
	uint64_t nwid = 7;
	char dev[16];
	bool pinned;
	uint8_t pin[17];
	if (settings_join("0123456789abcdef", body, len, &nwid, dev, &pinned, pin, &problem))
		require(nwid == 0x0123456789abcdef && strnlen(dev, sizeof(dev)) < sizeof(dev) && !strchr(dev, '/'));
	else
		problem_good(&problem);
}

static void handled(void *self, const struct request *request, struct reply *reply)
{
	(void)self;
	for (unsigned i = 0; i < API_ARGS_MAX; i++)
		require(!request->arg[i] || (*request->arg[i] && !strchr(request->arg[i], '/')));
	reply->status = 204;
}

static struct controller *someone(void)
{
	static struct controller *controller;
	static const struct secret secret;
	static const struct controller_port port;
	const char *why;
	require(controller || !controller_open(&controller, ":memory:", &secret, &port, 1, 1, &why));
	return controller;
}

/* Five texts, cut at NUL: path, Host, Origin, Cookie, Authorization. */
static void way_in(const char *text, size_t len, bool write)
{
	static const struct api_route routes[] = {{METHOD_GET, "/v1/a/*", handled, SCOPE_OPEN},
	                                          {METHOD_POST, "/v1/*/b/*/*", handled, SCOPE_OPEN}};
	static const struct endpoint at = {.family = 4, .port = 8080, .ip = {127, 0, 0, 1}};
	const char *part[5] = {"", "", "", "", ""};
	struct access access;
	struct visitor visitor;
	char *copy = malloc(len + 1);
	require(copy);
	memcpy(copy, text, len);
	copy[len] = '\0';
	for (size_t i = 0, n = 0; n < 5 && i <= len; n++, i += strlen(copy + i) + 1)
		part[n] = copy + i;
	struct request request = {.method = write ? METHOD_POST : METHOD_GET,
	                          .path = part[0],
	                          .host = part[1],
	                          .origin = *part[2] ? part[2] : NULL,
	                          .cookie = part[3],
	                          .authorization = *part[4] ? part[4] : NULL,
	                          .content_type = "application/json"};
	struct reply reply = {0};
	access_init(&access, someone(), &at, NULL, 1);
	bool in = access_admit(&access, &request, &visitor, &reply);
	require(in == !reply.status);
	require(!request.scopes && visitor.by == VISITOR_STRANGER); /* nobody has a session or a token here */
	reply_fini(&reply);
	memset(&reply, 0, sizeof(reply));
	api_dispatch(routes, 2, NULL, &request, &reply);
	require(reply.status == 204 || reply.status == 404 || reply.status == 405);
	reply_fini(&reply);
	free(copy);
}

static uint64_t clock_still(void)
{
	return 1;
}

/* Six texts, cut at NUL: If-Match, If-None-Match, a query's name and value, a cursor, Last-Event-ID. */
static void headers(const char *text, size_t len)
{
	static const struct api_route routes[] = {{METHOD_GET, "/v1/a?limit&cursor", handled, SCOPE_OPEN}};
	const char *part[6] = {"", "", "", "", "", ""};
	char piece[1024], *copy = malloc(len + 1);
	require(copy);
	memcpy(copy, text, len);
	copy[len] = '\0';
	for (size_t i = 0, n = 0; n < 6 && i <= len; n++, i += strlen(copy + i) + 1)
		part[n] = copy + i;
	struct request request = {.method = METHOD_GET,
	                          .path = "/v1/a",
	                          .if_match = part[0],
	                          .if_none_match = part[1],
	                          .query = {{part[2], part[3]}},
	                          .n_query = 1,
	                          .last_event_id = part[5]};
	struct reply reply = {0};
	require(request_matches(&request, &reply, 7) == !reply.status);
	reply_fini(&reply);
	memset(&reply, 0, sizeof(reply));
	reply_link(&request, &reply, part[4]);
	require(!strpbrk(reply.link, "\r\n") && (!*reply.link || !strcmp(strchr(reply.link, '>'), ">; rel=\"next\"")));
	reply_fini(&reply);
	memset(&reply, 0, sizeof(reply));
	api_dispatch(routes, 1, NULL, &request, &reply);
	bool known = !strcmp(part[2], "limit") || !strcmp(part[2], "cursor");
	require(reply.status == (known ? 204 : 400));
	reply_fini(&reply);
	memset(&reply, 0, sizeof(reply));
	struct events *events = events_new(clock_still);
	require(events);
	events_note(events, &(struct change){.kind = CHANGE_NETWORK, .nwid = 1});
	events_stream(events, &request, &reply);
	require(reply.status == 200 && reply.more(reply.stream, piece, sizeof(piece)) > 0 &&
	        reply.more(reply.stream, piece, sizeof(piece)) == 0);
	reply_fini(&reply);
	events_free(events);
	free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 1)
		return 0;
	char *body = malloc(size); /* exactly its length, so that reading beyond is seen */
	size_t len = size - 1;
	require(body);
	memcpy(body, data + 1, len);
	body = realloc(body, len ? len : 1);
	require(body);
	switch (data[0] % 8) {
	case 0:
	case 1: network(body, len, data[0] % 8); break;
	case 2:
	case 3: member(body, len, data[0] % 8 == 2); break;
	case 4: join(body, len); break;
	case 7: headers(body, len); break;
	default: way_in(body, len, data[0] % 8 == 5);
	}
	free(body);
	return 0;
}
