/* daemon.c: the common course of both daemons.
 *
 * One libuv loop on the main thread carries the node's control side, HTTP and signals. TERM and INT stop the loop; the end
 * is then walked in the order of dependence, so that each part may still use what it stands on. HUP has the files of root
 * sets read again, and does not kill a daemon whose terminal closed; the config is read at start only and the log says so.
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
#include "ui/set_file.h"

static void stop_asked(uv_signal_t *handle, int number)
{
	log_notice("stopping on signal %d", number);
	uv_stop(handle->loop);
}

/* The files of root sets may be newer; what they say is judged as if a root had said it. */
static void hangup_asked(uv_signal_t *handle, int number)
{
	struct daemon *daemon = (struct daemon *)((char *)handle - offsetof(struct daemon, hangup));
	const struct config *config = &daemon->start.config;
	(void)number;
	log_notice("%u root sets are read again; the config is read at start only, restart to apply changes to it", config->n_sets);
	for (unsigned i = 0; daemon->loop && i < config->n_sets; i++) {
		struct rootset *set = NULL;
		uint8_t gate[32];
		char why[SET_FILE_WHY];
		if (set_file_load(config->sets[i], &set, gate, why))
			log_error("root-set = %s", why);
		else if (node_rootset(loop_node(daemon->loop), set, loop_now()) == -ENOENT)
			log_error("root-set = %s: another set than the one this file held at start; restart to use it", config->sets[i]);
		explicit_bzero(gate, sizeof(gate));
		rootset_free(set);
	}
	if (daemon->loop)
		loop_kick(daemon->loop);
}

/* A root of a private set opens to whoever has the set, without a line of its own. */
static int sets_load(const struct config *config, const struct secret *self, struct node_config *node)
{
	static const uint8_t open[32];
	char why[SET_FILE_WHY];
	for (unsigned i = 0; i < config->n_sets; i++) {
		struct rootset *set;
		uint8_t *gate = node->set_gate[node->n_sets];
		int error = set_file_load(config->sets[i], &set, gate, why);
		if (error) {
			log_error("root-set = %s", why);
			return error;
		}
		node->sets[node->n_sets++] = set;
		for (unsigned k = 0; k < set->now.n_roots; k++)
			if (config->root && !memcmp(node->root_gate, open, 32) &&
			    !memcmp(set->now.root[k].line.identity.key_hash, self->self.key_hash, KEY_HASH_BYTES))
				memcpy(node->root_gate, gate, 32);
	}
	return 0;
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

/* Whoever opens a root to everybody says how much of his line a stranger may have; a private root and a member relay for their own. */
#define PUBLIC_RATE 50000000u

static bool is_public(const struct config *config)
{
	static const uint8_t open_gate[32];
	return config->root && !memcmp(config->root_gate, open_gate, sizeof(open_gate));
}

int daemon_serve(struct daemon *daemon, struct loop_config *loop, struct http_config *http)
{
	struct config *config = &daemon->start.config;
	char why[HOME_WHY];
	const char *reason = "";

	static_assert(CONFIG_ROOTS_MAX == ROOTS_MAX && CONFIG_WORKERS_MAX == WORKERS_MAX && CONFIG_SETS_MAX == ROOTSETS_MAX,
	              "the config promises what the node holds");
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
	loop->node.no_affinity = config->no_affinity;
	loop->node.no_relay = config->no_relay;
	loop->node.no_spray = config->no_spray;
	memcpy(loop->node.external, config->external, sizeof(config->external));
	loop->node.n_external = config->n_external;
	memcpy(loop->node.avoid, config->avoid, sizeof(config->avoid));
	loop->node.n_avoid = config->n_avoid;
	loop->node.relay_rate = config->relay_rate_set ? config->relay_rate : is_public(config) ? PUBLIC_RATE : 0;
	loop->node.relay_total = config->relay_total;
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
	int error = sets_load(config, &daemon->start.secret, &loop->node);
	if (error)
		return home_exit(error);
	error = loop_new(&daemon->loop, &daemon->uv, loop, &reason);
	secret_fini(&loop->node.self);
	if (error) {
		log_error("%s (%s)", reason, strerror(-error));
		return home_exit(error);
	}
	http->unix_fd = home_listen(&daemon->start.home, why);
	if (http->unix_fd < 0) {
		log_error("%s", why);
		return home_exit(http->unix_fd);
	}
	error = http_new(&daemon->http, &daemon->uv, http, &reason);
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
