/* farlan-controller.c: the network controller: a node that joins nothing, with the controller plugged into its message port.
 *
 * Here the two meet that know nothing of each other: requests of members come from the node and go to the controller, its
 * answers and pushes go back as messages, and its settling is part of each turn: commit, then sign, then send.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "controller/backup.h"
#include "controller/controller.h"
#include "ui/controller_api.h"
#include "ui/certificate.h"
#include "ui/daemon.h"
#include "ui/event_api.h"
#include "ui/forwarded.h"
#include "ui/health_api.h"
#include "ui/hook_body.h"
#include "ui/limit.h"
#include "ui/node_api.h"
#include "ui/web.h"
#include "ui/webhook.h"
#include "ui/zt1_controller.h"

#define CONNECTIONS_MAX 384 /* per listening socket: streams of events and room beside them */

/* By TCP: whoever sits at one address, and one session or token, wherever it comes from. The page's own files cost nothing. */
static const struct limit_rate peer_rate = {.per_s = 100, .burst = 600}, visitor_rate = {.per_s = 50, .burst = 400};

struct program {
	struct daemon daemon;
	struct controller *controller; /* NULL before it is open and after it is closed */
	struct access access;
	struct controller_api api;
	struct zt1 zt1; /* programs that know ZeroTier One's API */
	struct zt1_api zt1_api;
	struct events *events;
	struct webhooks *webhooks;
	struct certificate certificate;
	struct limits limits;
	struct trusted proxies;
	const char *names[CONFIG_NAMES_MAX + 1]; /* of the page; ends with NULL */
};

static uint64_t wall_s(void)
{
	return (uint64_t)time(NULL);
}

/* ---- node → controller ---- */

static void member_request(void *self, const struct identity *from, const struct endpoint *physical, const struct message *message,
                           uint64_t now)
{
	struct program *program = self;
	if (program->controller)
		controller_request(program->controller, from, physical, message, now, wall_s());
}

static void member_online(void *self, const uint8_t key_hash[KEY_HASH_BYTES], bool online, uint64_t now)
{
	struct program *program = self;
	if (program->controller)
		controller_online(program->controller, key_hash, online, now, wall_s());
}

static void member_path(void *self, const uint8_t key_hash[KEY_HASH_BYTES], const struct endpoint *physical, uint32_t rtt_us, uint64_t now)
{
	struct program *program = self;
	if (program->controller)
		controller_path(program->controller, key_hash, physical, rtt_us, now, wall_s());
}

static bool member_known(void *self, const uint8_t key_hash[KEY_HASH_BYTES])
{
	const struct program *program = self;
	return program->controller && controller_knows(program->controller, key_hash);
}

static uint64_t settle(void *self, uint64_t now)
{
	struct program *program = self;
	uint64_t next, events = UINT64_MAX;
	if (!program->controller)
		return UINT64_MAX;
	next = controller_settle(program->controller, now, wall_s());
	uint64_t hooks = program->webhooks ? webhooks_turn(program->webhooks, now) : UINT64_MAX;
	if (hooks < next)
		next = hooks;
	if (events_turn(program->events, &events))
		http_wake(program->daemon.http);
	return events < next ? events : next;
}

/* ---- controller → node ---- */

static bool message_send(void *self, const uint8_t key_hash[KEY_HASH_BYTES], const struct message *message)
{
	struct program *program = self;
	return program->daemon.loop && node_send_message(loop_node(program->daemon.loop), key_hash, message, loop_now());
}

static void controller_changed(void *self, const struct change *change)
{
	struct program *program = self;
	events_note(program->events, change);
}

/* ---- HTTP ---- */

/* true: too often, answered. A request that was let in once is not charged when it is asked again. */
static bool limited(struct program *program, const struct request *request, const char *who, struct limit_rate rate, struct reply *reply)
{
	struct problem problem;
	if (request->local || request->again)
		return false;
	uint64_t wait = limit_take(&program->limits, who, rate, program->api.now);
	if (!wait)
		return false;
	problem_set(&problem, 429, "too many requests", "%.80s asks more often than this controller answers", who);
	reply_problem(reply, &problem);
	reply->retry_after = (unsigned)((wait + 999) / 1000);
	return true;
}

static bool peer_limited(struct program *program, const struct request *request, struct reply *reply)
{
	char source[LIMIT_SOURCE];
	limit_source(request->peer, source);
	return limited(program, request, source, peer_rate, reply);
}

static uint64_t upload(void *self, const struct request *asked, struct reply *reply)
{
	struct program *program = self;
	struct request request = *asked;
	struct visitor visitor;
	uint64_t room = controller_api_upload(asked);
	program->api.now = loop_now();
	forwarded_apply(&program->proxies, &request);
	if (!room || peer_limited(program, &request, reply) || !access_admit(&program->access, &request, &visitor, reply))
		return 0;
	if (request_may(&request, SCOPE_ADMIN, NULL))
		return room;
	reply_denied(&request, SCOPE_ADMIN, reply);
	return 0;
}

static void status_roots(void *self, json_t *status)
{
	const struct program *program = self;
	node_api_roots(loop_node(program->daemon.loop), status);
}

static unsigned link_roots(void *self, struct root_line *ret, unsigned max)
{
	const struct program *program = self;
	return node_root_lines(loop_node(program->daemon.loop), ret, max);
}

static void serve(void *self, const struct request *asked, struct reply *reply)
{
	struct program *program = self;
	struct request request = *asked;
	struct visitor visitor;
	program->api.now = loop_now();
	program->api.wall_s = wall_s();
	if (health_probe(asked)) {
		controller_api_serve(&program->api, &request, reply);
		return;
	}
	forwarded_apply(&program->proxies, &request);
	/* before anything is looked up: a token that is refused has cost that */
	bool page = request.method == METHOD_GET && !request.authorization && strncmp(request.path, "/v1/", 4) != 0;
	if ((!page && peer_limited(program, &request, reply)) || !access_admit(&program->access, &request, &visitor, reply))
		return;
	if (!request.local && request.method == METHOD_GET && web_serve(program->daemon.start.ui_dir, &request, reply))
		return;
	if ((page && peer_limited(program, &request, reply)) ||
	    (visitor.by != VISITOR_STRANGER && limited(program, &request, visitor.actor.name, visitor_rate, reply)))
		return;
	controller_actor(program->controller, &visitor.actor);
	program->api.visitor = &visitor;
	controller_api_serve(&program->api, &request, reply);
	program->api.visitor = NULL;
	controller_actor(program->controller, &(struct actor){0}); /* what follows is its own doing */
	if (request.method != METHOD_GET)
		loop_kick(program->daemon.loop);
}

static void zt1_serve(void *self, const struct request *request, struct reply *reply)
{
	struct program *program = self;
	struct visitor visitor = {.actor.name = "zt1"};
	program->api.now = loop_now();
	snprintf(visitor.actor.from, sizeof(visitor.actor.from), "%s", request->peer);
	controller_actor(program->controller, &visitor.actor);
	program->api.visitor = &visitor;
	zt1_controller_serve(&program->zt1_api, request, reply);
	program->api.visitor = NULL;
	controller_actor(program->controller, &(struct actor){0});
	if (request->method != METHOD_GET)
		loop_kick(program->daemon.loop);
}

/* -1: go on; else the exit code. */
static int zt1_start(struct program *program)
{
	struct daemon *daemon = &program->daemon;
	char why[ZT1_WHY];
	program->api.zt1 = &program->zt1;
	program->zt1_api = (struct zt1_api){.api = &program->api, .door = &program->zt1, .node = loop_node(daemon->loop)};
	int error = zt1_open(&program->zt1, &daemon->uv, &daemon->start.home, &daemon->start.config, loop_now, zt1_serve, program, why);
	if (error)
		log_error("%s", why);
	return error == -EINVAL ? 2 : error ? home_exit(error) : -1;
}

static void controller_end(void *self)
{
	struct program *program = self;
	struct controller *controller = program->controller;
	zt1_close(&program->zt1);
	webhooks_free(program->webhooks);
	program->webhooks = NULL;
	program->controller = NULL;
	if (controller)
		controller_close(controller);
	events_free(program->events);
	program->events = NULL;
	certificate_fini(&program->certificate);
}

/* The config's listeners. 0 or an exit code. */
static int listeners_fill(struct program *program, struct http_config *http)
{
	const struct config *config = &program->daemon.start.config;
	char why[CERTIFICATE_WHY];
	const char *chain = *config->tls_cert ? config->tls_cert : NULL, *key = *config->tls_key ? config->tls_key : NULL;
	http->tcp = config->http.family ? &config->http : NULL;
	if (!config->https.family)
		return 0;
	int error = certificate_open(&program->certificate, program->daemon.start.home.dir, chain, key, why);
	if (error) {
		log_error("%s", why);
		return home_exit(error);
	}
	http->tls = &config->https;
	http->tls_chain = program->certificate.chain;
	http->tls_key = program->certificate.key;
	return 0;
}

static void page_hello(struct program *program)
{
	struct endpoint at = http_tcp(program->daemon.http), tls = http_tls(program->daemon.http);
	const struct config *config = &program->daemon.start.config;
	const struct home *home = &program->daemon.start.home;
	char url[ACCESS_URL_ROOM];

	access_init(&program->access, program->controller, &at, tls.family ? &tls : NULL, program->daemon.start.secret.self.address);
	for (unsigned i = 0; i < config->n_page_names; i++)
		program->names[i] = config->page_names[i];
	program->access.names = program->names;
	program->access.factor_required = config->factor_required;
	program->proxies = (struct trusted){config->http_proxies, config->n_http_proxies};
	access_url(&program->access, url);
	if (*url)
		log_notice("page %s; a one-time link to it: farlan%s%s page", url, home->given ? " --home " : "",
		           home->given ? home->dir : "");
}

static void webhook_kick(void *self)
{
	struct program *program = self;
	loop_kick(program->daemon.loop);
}

/* 0 or an exit code. */
static int webhooks_start(struct program *program)
{
	const struct config *config = &program->daemon.start.config;
	const char *hurry = getenv("FARLAN_TEST_WEBHOOK_HURRY"); /* tests do not wait for hours; nothing else changes by it */
	struct webhooks_config webhooks = {.loop = &program->daemon.uv,
	                                   .controller = program->controller,
	                                   .allow_private = config->webhook_private,
	                                   .ca = *config->webhook_ca ? config->webhook_ca : NULL,
	                                   .kick = webhook_kick,
	                                   .self = program,
	                                   .hurry = hurry ? (unsigned)strtoul(hurry, NULL, 10) : 0};
	if (webhooks.ca && access(webhooks.ca, R_OK) < 0) {
		log_error("webhook-ca = %s: %s", webhooks.ca, strerror(errno));
		return home_exit(-errno);
	}
	int error = webhooks_new(&program->webhooks, &webhooks);
	if (error)
		log_error("no webhooks: %s", strerror(-error));
	return error ? home_exit(error) : 0;
}

int main(int argc, char **argv)
{
	static struct program program;
	struct daemon *daemon = &program.daemon;
	struct controller_port port = {.self = &program, .send = message_send, .changed = controller_changed, .hook_body = hook_body_write};
	struct loop_config config = {
	    .node = {.workers = 1,
	             .port = {.self = &program,
	                      .request = member_request,
	                      .online = member_online,
	                      .knows = member_known,
	                      .path = member_path}},
	    .settle = settle,
	    .self = &program,
	};
	struct http_config http = {.connections = CONNECTIONS_MAX, .serve = serve, .upload = upload, .self = &program};
	const char *why = "";

	int code = daemon_begin(daemon, HOME_CONTROLLER, argc, argv);
	if (code >= 0)
		return code;
	http.upload_folder = daemon->start.home.dir;
	unsigned stale = backup_sweep(daemon->start.home.dir);
	if (stale)
		log_notice("%u folder%s of a look at a backup that did not end: taken away", stale, stale == 1 ? "" : "s");
	program.events = events_new(loop_now);
	int error = !program.events ? -ENOMEM
	                            : controller_open(&program.controller, daemon->start.home.dir, &daemon->start.secret, &port, loop_now(),
	                                              wall_s(), &why);
	if (error) {
		log_error("%s (%s)", why, strerror(-error));
		code = home_exit(error);
		goto out;
	}
	controller_limits_set(program.controller, &daemon->start.config.limits);
	code = listeners_fill(&program, &http);
	if (code == 0)
		code = daemon_serve(daemon, &config, &http);
	if (code >= 0)
		goto out;
	page_hello(&program);
	code = webhooks_start(&program);
	if (code > 0)
		goto out;
	program.api = (struct controller_api){.controller = program.controller,
	                                      .self = &daemon->start.secret.self,
	                                      .home = &daemon->start.home,
	                                      .access = &program.access,
	                                      .events = program.events,
	                                      .certificate = daemon->start.config.https.family ? &program.certificate : NULL,
	                                      .http = daemon->http,
	                                      .open_metrics = daemon->start.config.metrics,
	                                      .webhook_private = daemon->start.config.webhook_private,
	                                      .status_roots = status_roots,
	                                      .link_roots = link_roots,
	                                      .status_self = &program};
	code = zt1_start(&program);
	if (code >= 0)
		goto out;
	daemon_run(daemon);
	code = 0;
out:
	daemon_end(daemon, controller_end, &program);
	return code;
}
