/* farland.c: the node daemon, and the root with `root = yes`: the node's core with its API on the unix socket.
 *
 * All the work is in node/; here it is given its config and its users. A root joins nothing by itself and so needs no
 * capability; joining asks for CAP_NET_ADMIN when a device is first opened.
 */
#include <errno.h>

#include "ui/daemon.h"
#include "ui/doorway.h"
#include "ui/node_api.h"
#include "ui/zt1_node.h"

struct farland {
	struct daemon daemon;
	struct node_api api;
	struct doorway doorway;
	struct zt1_node zt1;
};

static void serve(void *self, const struct request *request, struct reply *reply)
{
	struct farland *farland = self;
	farland->api.now = loop_now();
	node_api_serve(&farland->api, request, reply);
	if (request->method != METHOD_GET)
		loop_kick(farland->daemon.loop);
}

static void zt1_serve(void *self, const struct request *request, struct reply *reply)
{
	struct farland *farland = self;
	farland->zt1.now = loop_now();
	zt1_node_serve(&farland->zt1, request, reply);
	if (request->method != METHOD_GET)
		loop_kick(farland->daemon.loop);
}

/* 0 or an exit code. */
static int zt1_start(struct farland *farland)
{
	struct daemon *daemon = &farland->daemon;
	char why[ZT1_WHY];
	farland->zt1.node = loop_node(daemon->loop);
	int error =
	    zt1_open(&farland->zt1.door, &daemon->uv, &daemon->start.home, &daemon->start.config, loop_now, zt1_serve, farland, why);
	if (error)
		log_error("%s", why);
	return error == -EINVAL ? 2 : error ? home_exit(error) : 0;
}

static bool mapping(void *self, struct mapping_view *ret)
{
	struct farland *farland = self;
	loop_mapping(farland->daemon.loop, ret);
	return true;
}

static void changed(void *self)
{
	struct farland *farland = self;
	http_wake(farland->daemon.http);
}

static void shut(void *self)
{
	struct farland *farland = self;
	zt1_close(&farland->zt1.door);
	doorway_close(&farland->doorway);
}

int main(int argc, char **argv)
{
	static struct farland farland;
	struct loop_config config = {.default_port = true, .changed = changed, .self = &farland, .node = {.joins = true}};

	int code = daemon_begin(&farland.daemon, HOME_NODE, argc, argv);
	if (code >= 0)
		return code;
	struct http_config http = {.serve = serve, .self = &farland};
	code = daemon_serve(&farland.daemon, &config, &http);
	if (code < 0) {
		farland.api.mapping = mapping;
		farland.api.mapping_self = &farland;
		farland.api.node = loop_node(farland.daemon.loop);
		farland.api.root = farland.daemon.start.config.root;
		doorway_open(&farland.doorway, &farland.daemon.start, farland.daemon.loop);
		code = zt1_start(&farland);
		if (!code)
			daemon_run(&farland.daemon);
	}
	daemon_end(&farland.daemon, shut, &farland);
	return code;
}
