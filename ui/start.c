/* start.c: from argv to a locked home, a config and an identity.
 *
 * The order matters: options are judged before anything is touched, the config before the folder is made, and the lock is
 * taken before the identity is read, so that a second daemon neither creates one nor says anything but that it is the
 * second. Whatever is wrong is one sentence on standard error and an exit code.
 */
#include "ui/start.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include "proto/seal.h"
#include "ui/options.h"

static const struct option node_options[] = {
    {"home", 0, "DIR", "config, state and socket in this folder ($FARLAN_HOME)"},
    {"listen", 0, "IP:PORT", "UDP address to listen on; may be given again"},
    {"add-root", 0, "LINE|@FILE", "a root to use, or a file of them; may be given again"},
    {"root", 0, NULL, "be a root: rendezvous and relay for others"},
    {"workers", 0, "N", "threads that carry frames (default: one per core)"},
    {"log", 0, "LEVEL", "error, warning, notice, info or debug"},
    {"help", 'h', NULL, "print this"},
    {"version", 0, NULL, "print the version"},
    {0},
};

static const struct option controller_options[] = {
    {"home", 0, "DIR", "config, state and socket in this folder ($FARLAN_HOME)"},
    {"listen", 0, "IP:PORT", "UDP address to listen on; may be given again"},
    {"add-root", 0, "LINE|@FILE", "a root to use, or a file of them; may be given again"},
    {"http", 0, "IP:PORT", "the page's address (default: 127.0.0.1:8080; none = no page)"},
    {"https", 0, "IP:PORT", "the page by TLS, for others than this machine (default: none)"},
    {"ui-dir", 0, "DIR", "serve the page's files from this folder"},
    {"log", 0, "LEVEL", "error, warning, notice, info or debug"},
    {"help", 'h', NULL, "print this"},
    {"version", 0, NULL, "print the version"},
    {0},
};

static int usage(enum home_kind kind, const char *why)
{
	fprintf(stderr, "%s: %s\n", home_program(kind), why);
	return 2;
}

static void help(enum home_kind kind, const struct option *table)
{
	printf("usage: %s [OPTION]...\n\n%s\n\n", home_program(kind),
	       kind == HOME_NODE ? "The node of Farlan: carries the Ethernet of the networks this machine has joined."
	                         : "The controller of Farlan: says who is a member of its networks.");
	options_print(table);
	printf("\nIt stays in the foreground. Keys of %s.conf:", home_program(kind));
	const char *key;
	for (unsigned i = 0; (key = config_key(kind, i)); i++)
		printf(" %s", key);
	printf("\n");
}

/* File first, then the options on top. 0 or an exit code. */
static int settle(struct start *s, const struct options *options)
{
	char why[CONFIG_WHY];
	int rc = config_load(&s->config, &s->home, why);
	if (rc < 0) {
		/* "file:line:col: error: ..." stands at the line's begin, where editors look for it */
		if (rc == -EINVAL)
			fprintf(stderr, "%s\n", why);
		else
			usage(s->home.kind, why);
		return rc == -EINVAL ? 2 : home_exit(rc);
	}
	for (unsigned i = 0; i < options->n_given; i++) {
		const char *name = options->given[i].option->name, *value = options->given[i].value;
		if (!strcmp(name, "home") || !strcmp(name, "ui-dir"))
			continue;
		if (!config_set(&s->config, s->home.kind, name, value ? value : "yes", why))
			return usage(s->home.kind, why);
	}
	log_level_set(s->config.log);
	s->ui_dir = options_value(options, "ui-dir");
	return 0;
}

static int claim(struct start *s)
{
	char why[HOME_WHY], words[WORDS_TEXT], address[ADDRESS_TEXT];
	bool created = false;
	int rc = home_make(&s->home, why);
	if (rc == 0)
		rc = home_lock(&s->home, why);
	if (rc == 0)
		rc = home_identity(&s->home, &s->secret, &created, why);
	if (rc < 0) {
		fprintf(stderr, "%s: %s\n", home_program(s->home.kind), why);
		return home_exit(rc);
	}
	if (created) {
		address_format(s->secret.self.address, address);
		fingerprint_words(s->secret.self.key_hash, words);
		log_notice("identity %s created (%s)", address, words);
	}
	return 0;
}

int start_daemon(struct start *ret, enum home_kind kind, int argc, char **argv)
{
	const struct option *table = kind == HOME_NODE ? node_options : controller_options;
	struct options options;
	char why[HOME_WHY];
	*ret = (struct start){.home.lock = -1};
	umask(077);
	signal(SIGPIPE, SIG_IGN);
	prctl(PR_SET_DUMPABLE, 0); /* no key in a core dump or for a tracer of the same user */
	if (!options_parse(&options, table, argc, argv, why))
		return usage(kind, why);
	if (options_has(&options, "help")) {
		help(kind, table);
		return 0;
	}
	if (options_has(&options, "version")) {
		printf("%s %s\n", home_program(kind), FARLAN_VERSION);
		return 0;
	}
	if (options.n_words)
		return usage(kind, "takes options only; --help lists them");
	if (seal_setup() < 0) {
		fprintf(stderr, "%s: libsodium does not start\n", home_program(kind));
		return 1;
	}
	int rc = home_resolve(&ret->home, kind, options_value(&options, "home"), why);
	if (rc < 0)
		return usage(kind, why);
	config_init(&ret->config);
	int code = settle(ret, &options);
	if (code == 0)
		code = claim(ret);
	if (code == 0)
		return -1;
	start_fini(ret);
	return code;
}

void start_fini(struct start *s)
{
	if (s->home.lock >= 0)
		home_unlisten(&s->home);
	home_unlock(&s->home);
	secret_fini(&s->secret);
	config_fini(&s->config);
}
