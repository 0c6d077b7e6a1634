/* farlan-controller.c: the network controller: a node that joins nothing, with the controller plugged into its message port.
 *
 * Here the two meet that know nothing of each other: requests of members come from the node and go to the controller, its
 * answers and pushes go back as messages, and its settling is part of each turn: commit, then sign, then send.
 */
#include <string.h>
#include <time.h>

#include "controller/controller.h"
#include "ui/controller_api.h"
#include "ui/daemon.h"
#include "ui/node_api.h"
#include "ui/web.h"

struct program {
	struct daemon daemon;
	struct controller *controller; /* NULL before it is open and after it is closed */
	struct access access;
	struct controller_api api;
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

static void member_path(void *self, const uint8_t key_hash[KEY_HASH_BYTES], bool direct, uint32_t rtt_us, uint64_t now)
{
	struct program *program = self;
	if (program->controller)
		controller_path(program->controller, key_hash, direct ? LINK_DIRECT : LINK_RELAY, rtt_us, now, wall_s());
}

static bool member_known(void *self, const uint8_t key_hash[KEY_HASH_BYTES])
{
	const struct program *program = self;
	return program->controller && controller_knows(program->controller, key_hash);
}

static uint64_t settle(void *self, uint64_t now)
{
	struct program *program = self;
	return program->controller ? controller_settle(program->controller, now, wall_s()) : UINT64_MAX;
}

/* ---- controller → node ---- */

static bool message_send(void *self, const uint8_t key_hash[KEY_HASH_BYTES], const struct message *message)
{
	struct program *program = self;
	return program->daemon.loop && node_send_message(loop_node(program->daemon.loop), key_hash, message, loop_now());
}

/* ---- HTTP ---- */

static void status_roots(void *self, json_t *status)
{
	const struct program *program = self;
	node_api_roots(loop_node(program->daemon.loop), status);
}

static void serve(void *self, const struct request *asked, struct reply *reply)
{
	struct program *program = self;
	struct request request = *asked;
	struct visitor visitor;
	program->api.now = loop_now();
	if (!access_admit(&program->access, &request, &visitor, reply))
		return;
	if (!request.local && request.method == METHOD_GET && web_serve(program->daemon.start.ui_dir, &request, reply))
		return;
	controller_actor(program->controller, &visitor.actor);
	program->api.visitor = &visitor;
	controller_api_serve(&program->api, &request, reply);
	program->api.visitor = NULL;
	controller_actor(program->controller, &(struct actor){0}); /* what follows is its own doing */
	if (request.method != METHOD_GET)
		loop_kick(program->daemon.loop);
}

static void controller_end(void *self)
{
	struct program *program = self;
	struct controller *controller = program->controller;
	program->controller = NULL;
	if (controller)
		controller_close(controller);
}

static void page_hello(struct program *program)
{
	struct endpoint at = http_tcp(program->daemon.http);
	const struct home *home = &program->daemon.start.home;
	char url[ACCESS_URL_ROOM];

	access_init(&program->access, program->controller, &at, NULL, program->daemon.start.secret.self.address);
	access_url(&program->access, url);
	if (*url)
		log_notice("page %s; a one-time link to it: farlan%s%s page", url, home->given ? " --home " : "",
		           home->given ? home->dir : "");
}

int main(int argc, char **argv)
{
	static struct program program;
	struct daemon *daemon = &program.daemon;
	struct controller_port port = {.self = &program, .send = message_send};
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
	const char *why = "";

	int code = daemon_begin(daemon, HOME_CONTROLLER, argc, argv);
	if (code >= 0)
		return code;
	int error = controller_open(&program.controller, daemon->start.home.dir, &daemon->start.secret, &port, loop_now(), wall_s(), &why);
	if (error) {
		log_error("%s (%s)", why, strerror(-error));
		code = home_exit(error);
		goto out;
	}
	const struct endpoint *tcp = daemon->start.config.http.family ? &daemon->start.config.http : NULL;
	code = daemon_serve(daemon, &config, tcp, serve, &program);
	if (code >= 0)
		goto out;
	page_hello(&program);
	program.api = (struct controller_api){.controller = program.controller,
	                                      .self = &daemon->start.secret.self,
	                                      .home = &daemon->start.home,
	                                      .access = &program.access,
	                                      .status_roots = status_roots,
	                                      .status_self = &program};
	daemon_run(daemon);
	code = 0;
out:
	daemon_end(daemon, controller_end, &program);
	return code;
}
