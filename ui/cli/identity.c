/* identity.c: id and root-line. They read the home's files themselves and need no daemon; who is first makes the identity.
 *
 * A root line must stay the same over restarts, so it holds only the identity, the address given here, and the gate of the
 * config. A line with a gate is a secret, which is said where a pipe does not carry it.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "proto/base/log.h"
#include "proto/root_line.h"
#include "ui/cli/server.h"
#include "ui/config.h"
#include "ui/tls_file.h"

static int identity(const struct home *home, struct identity *ret)
{
	char why[HOME_WHY], words[WORDS_TEXT], address[ADDRESS_TEXT];
	struct secret secret;
	bool created = false;
	int rc = home_make(home, why);
	if (rc == 0)
		rc = home_identity(home, &secret, &created, why);
	if (rc < 0)
		return complain(home_exit(rc), "%s", why);
	*ret = secret.self;
	secret_fini(&secret);
	if (created) {
		address_format(ret->address, address);
		fingerprint_words(ret->key_hash, words);
		fprintf(stderr, "farlan: identity %s created in %s (%s)\n", address, home->dir, words);
	}
	return 0;
}

static int id_home(const struct call *call, struct home *home, struct identity *ret)
{
	int code = call_home(call, HOME_NODE, home);
	return code ? code : identity(home, ret);
}

int run_id(struct call *call)
{
	struct home home;
	struct identity me = {0};
	char text[IDENTITY_TEXT_MAX], words[WORDS_TEXT], address[ADDRESS_TEXT];
	int code = id_home(call, &home, &me);
	if (code)
		return code;
	identity_format(&me, text);
	address_format(me.address, address);
	fingerprint_words(me.key_hash, words);
	if (call->format == FORMAT_TABLE)
		printf("%s\n", text);
	else /* none of these can hold a quote */
		printf("{\"schema\":\"farlan.id/1\",\"address\":\"%s\",\"identity\":\"%s\",\"fingerprint\":\"%s\"}\n", address, text,
		       words);
	return EXIT_OK;
}

static bool is_nowhere(const struct endpoint *e)
{
	static const uint8_t zero[16];
	return !memcmp(e->ip, zero, e->family == 4 ? 4 : 16);
}

int root_line_of(const struct home *home, struct root_line *ret)
{
	struct config config;
	struct tls_file tls;
	char why[CONFIG_WHY];
	int code = identity(home, &ret->identity);
	if (code)
		return code;
	config_init(&config);
	int rc = config_load(&config, home, why);
	if (rc < 0) {
		fprintf(stderr, "%s\n", why);
		return rc == -EINVAL ? EXIT_USAGE : home_exit(rc);
	}
	memcpy(ret->gate, config.root_gate, sizeof(ret->gate));
	ret->tls_port = config.tls_none ? 0 : ROOT_TLS_PORT;
	if (!config.tls_none && tls_file_read(home->dir, &tls)) { /* what the daemon serves, else what it would */
		ret->tls_port = tls.port;
		ret->pin_set = tls.pin_set;
		memcpy(ret->pin, tls.pin, sizeof(ret->pin));
	}
	config_fini(&config);
	return 0;
}

int run_root_line(struct call *call)
{
	static const uint8_t public_gate[32];
	struct root_line line = {0};
	struct home home;
	char text[ROOT_LINE_MAX], shown[128];
	const char *word = call->words[0];
	if (endpoint_parse(word, &line.endpoints[0]) && !is_nowhere(&line.endpoints[0])) {
		line.n_endpoints = 1;
	} else if (root_name_parse(word, &line.names[0])) {
		line.n_names = 1;
	} else {
		log_text(shown, sizeof(shown), word, strlen(word));
		return complain(EXIT_USAGE,
		                "\"%s\" is no address others can reach: give HOST:PORT, like 192.0.2.1:9993, [2001:db8::1]:9993 or "
		                "root.example.org:9993",
		                shown);
	}
	int code = call_home(call, HOME_NODE, &home);
	if (code == 0)
		code = root_line_of(&home, &line);
	if (code)
		return code;
	if (memcmp(line.gate, public_gate, sizeof(line.gate)) != 0)
		fprintf(stderr, "farlan: this line holds the root's gate: give it only to those who may use the root\n");
	root_line_format(&line, text, sizeof(text));
	printf("%s\n", text);
	explicit_bzero(text, sizeof(text));
	explicit_bzero(&line, sizeof(line));
	return EXIT_OK;
}
