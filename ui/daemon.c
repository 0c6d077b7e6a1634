/* daemon.c: the common course of both daemons.
 *
 * One libuv loop on the main thread carries the node's control side, HTTP and signals. TERM and INT stop the loop; the end
 * is then walked in the order of dependence, so that each part may still use what it stands on. HUP is taken so that a
 * closed terminal does not kill a daemon; rereading the config comes later and the log says so.
 */
#include "ui/daemon.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proto/seal.h"
#include "ui/proxy.h"

static void stop_asked(uv_signal_t *handle, int number)
{
	log_notice("stopping on signal %d", number);
	uv_stop(handle->loop);
}

static void hangup_asked(uv_signal_t *handle, int number)
{
	(void)handle;
	(void)number;
	log_notice("the config is read at start only; restart to apply changes");
}

int daemon_begin(struct daemon *daemon, enum home_kind kind, int argc, char **argv)
{
	memset(daemon, 0, sizeof(*daemon));
	int code = start_daemon(&daemon->start, kind, argc, argv);
	if (code >= 0)
		return code;
	int error = uv_loop_init(&daemon->uv);
	if (error) {
		log_error("no event loop: %s", uv_strerror(error));
		start_fini(&daemon->start);
		return 1;
	}
	uv_signal_init(&daemon->uv, &daemon->term);
	uv_signal_init(&daemon->uv, &daemon->interrupt);
	uv_signal_init(&daemon->uv, &daemon->hangup);
	uv_signal_start(&daemon->term, stop_asked, SIGTERM);
	uv_signal_start(&daemon->interrupt, stop_asked, SIGINT);
	uv_signal_start(&daemon->hangup, hangup_asked, SIGHUP);
	return -1;
}

static bool family_there(int family)
{
	int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

/* A root without --listen has the well-known port or does not start: others hold lines that name it. */
static void root_listen(struct config *config)
{
	if (!config->root || config->n_listen)
		return;
	if (family_there(AF_INET))
		config->listen[config->n_listen++] = (struct endpoint){.family = 4, .port = 9993};
	if (family_there(AF_INET6))
		config->listen[config->n_listen++] = (struct endpoint){.family = 6, .port = 9993};
}

static void hello(const struct daemon *daemon)
{
	const struct config *config = &daemon->start.config;
	char address[ADDRESS_TEXT], words[WORDS_TEXT], at[64], listen[CONFIG_LISTEN_MAX * 64] = "";
	size_t len = 0;

	address_format(daemon->start.secret.self.address, address);
	fingerprint_words(daemon->start.secret.self.key_hash, words);
	for (unsigned i = 0; i < config->n_listen; i++) {
		endpoint_format(&config->listen[i], at, sizeof(at));
		len += (size_t)snprintf(listen + len, sizeof(listen) - len, " %s", at);
	}
	log_notice("%s %s: %s (%s), udp%s, socket %s", home_program(daemon->start.home.kind), FARLAN_VERSION, address, words,
	           *listen ? listen : " on its kept port", daemon->start.home.socket);
}

int daemon_serve(struct daemon *daemon, struct loop_config *loop, const struct endpoint *tcp,
                 void (*serve)(void *self, const struct request *, struct reply *), void *self)
{
	struct config *config = &daemon->start.config;
	struct http_config http = {.tcp = tcp, .serve = serve, .self = self};
	char why[HOME_WHY];
	const char *reason = "";

	static_assert(CONFIG_ROOTS_MAX == ROOTS_MAX && CONFIG_WORKERS_MAX == WORKERS_MAX, "the config promises what the node holds");
	root_listen(config);
	loop->home = daemon->start.home.dir;
	loop->listen = config->listen;
	loop->n_listen = config->n_listen;
	loop->node.self = daemon->start.secret;
	loop->node.root = config->root;
	memcpy(loop->node.root_gate, config->root_gate, sizeof(config->root_gate));
	memcpy(loop->node.roots, config->roots, sizeof(config->roots));
	loop->node.n_roots = config->n_roots;
	loop->node.suite = config->suite;
	loop->node.no_offload = config->no_offload;
	loop->node.fallback = config->fallback;
	if (!config->proxy_set)
		proxy_environment(config->proxy);
	loop->proxy = config->proxy;
	loop->no_lan = config->no_lan;
	loop->mapping = daemon->start.home.kind == HOME_NODE && !config->no_mapping;
	if (!seal_force_backend(config->backend)) {
		log_error("backend = %s: not in this build, or not for this CPU; leave the line out of %s", config->backend,
		          daemon->start.home.config);
		return home_exit(-EINVAL);
	}
	if (!loop->node.workers)
		loop->node.workers = config->workers ? config->workers : uv_available_parallelism();
	if (loop->node.workers > WORKERS_MAX)
		loop->node.workers = WORKERS_MAX;
	int error = loop_new(&daemon->loop, &daemon->uv, loop, &reason);
	secret_fini(&loop->node.self);
	if (error) {
		log_error("%s (%s)", reason, strerror(-error));
		return home_exit(error);
	}
	http.unix_fd = home_listen(&daemon->start.home, why);
	if (http.unix_fd < 0) {
		log_error("%s", why);
		return home_exit(http.unix_fd);
	}
	error = http_new(&daemon->http, &daemon->uv, &http, &reason);
	if (error) {
		log_error("%s (%s)", reason, strerror(-error));
		return home_exit(error);
	}
	hello(daemon);
	return -1;
}

void daemon_run(struct daemon *daemon)
{
	uv_run(&daemon->uv, UV_RUN_DEFAULT);
}

void daemon_end(struct daemon *daemon, void (*free_own)(void *self), void *self)
{
	http_free(daemon->http);
	if (free_own)
		free_own(self);
	if (daemon->loop)
		loop_free(daemon->loop);
	daemon->loop = NULL;
	uv_close((uv_handle_t *)&daemon->term, NULL);
	uv_close((uv_handle_t *)&daemon->interrupt, NULL);
	uv_close((uv_handle_t *)&daemon->hangup, NULL);
	uv_run(&daemon->uv, UV_RUN_DEFAULT); /* the close callbacks */
	if (uv_loop_close(&daemon->uv) == UV_EBUSY)
		log_warning("something was left open at the end; that is a bug");
	start_fini(&daemon->start);
}
