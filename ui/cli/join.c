/* join.c: join, wait, leave.
 *
 * The daemon joins by itself and goes on trying whatever becomes of us: we ask it, then look every 50 ms until the state is
 * one that ends the wait. A state that was there before we asked may be an old one: it counts only after the daemon has
 * had the time to ask again. Who must wait for an admin is told what to give them: address, words to compare, command.
 * An invitation is a secret in a word of the command line, which every user of the machine can list: it is taken out of there at once.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "proto/base/clock.h"
#include "proto/base/log.h"
#include "proto/ident.h"
#include "proto/invite.h"
#include "ui/cli/client.h"
#include "ui/cli/output.h"

#define LOOK_MS      50
#define OLD_STATE_MS 300
#define JOIN_WAIT_S  10
#define WAIT_WAIT_S  60
#define PATH_ROOM    64

struct joining {
	struct call *call;
	struct client *client;
	char nwid[NWID_TEXT];
	char path[PATH_ROOM];
	uint64_t begun;
	unsigned wait_ms;
	bool told;       /* what we wait for stands on the terminal */
	bool was_joined; /* before we asked: the controller may think otherwise by now */
};

static bool key_hash_read(const char *hex, uint8_t ret[KEY_HASH_BYTES])
{
	if (strlen(hex) != KEY_HASH_BYTES * 2 || strspn(hex, "0123456789abcdef") != KEY_HASH_BYTES * 2)
		return false;
	for (size_t i = 0; i < KEY_HASH_BYTES * 2; i++) {
		unsigned digit = (unsigned)(hex[i] <= '9' ? hex[i] - '0' : hex[i] - 'a' + 10);
		ret[i / 2] = (uint8_t)(i % 2 ? ret[i / 2] | digit : digit << 4);
	}
	return true;
}

/* The controller's words, as soon as its key is known. */
static void print_controller(FILE *out, const json_t *net)
{
	uint8_t hash[KEY_HASH_BYTES];
	char words[WORDS_TEXT], address[CELL_MAX];
	if (!key_hash_read(field(net, "controller_key_hash"), hash))
		return;
	fingerprint_words(hash, words);
	fprintf(out, "  controller: %s  fingerprint %s\n", cell_text(net, "controller", CELL_TEXT, address), words);
}

static void print_waiting(struct joining *j, const json_t *net)
{
	json_t *status = NULL;
	char address[CELL_MAX], words[CELL_MAX], reason[CELL_MAX];
	bool pending = !strcmp(field(net, "state"), "pending");
	fprintf(stderr, "farlan: %s: %s\n", j->nwid, pending ? "waiting for approval" : "no answer of the controller yet");
	if (*field(net, "reason") && strcmp(field(net, "reason"), "waiting for approval") != 0)
		fprintf(stderr, "  reason: %s\n", cell_text(net, "reason", CELL_TEXT, reason));
	if (client_ask(j->client, "GET", "/v1/status", NULL, &status) == 0) {
		cell_text(status, "address", CELL_TEXT, address);
		fprintf(stderr, "  this node: %s  fingerprint %s  (compare it with what the admin sees)\n", address,
		        cell_text(status, "fingerprint", CELL_TEXT, words));
		print_controller(stderr, net);
		if (pending)
			fprintf(stderr, "  the admin runs: farlan member approve %s %s\n", j->nwid, address);
		else
			fprintf(stderr, "  farlan status tells which roots it reaches; it goes on trying\n");
	}
	json_decref(status);
	j->told = true;
}

static void print_joined(const json_t *net)
{
	char name[CELL_MAX], dev[CELL_MAX], addresses[CELL_MAX];
	printf("joined \"%s\": %s  %s\n", cell_text(net, "name", CELL_TEXT, name), cell_text(net, "dev", CELL_TEXT, dev),
	       cell_text(net, "addresses", CELL_LIST, addresses));
	print_controller(stdout, net);
}

/* -1: look again, else the exit code. */
static int judge(const struct joining *j, const json_t *net)
{
	const char *state = field(net, "state");
	uint64_t spent = clock_ms() - j->begun;
	if (!strcmp(state, "joined") && (!j->was_joined || spent >= OLD_STATE_MS || spent >= j->wait_ms))
		return EXIT_OK;
	if (!strcmp(state, "denied") && (spent >= OLD_STATE_MS || spent >= j->wait_ms))
		return EXIT_REFUSED;
	if (!strcmp(state, "error") && (spent >= OLD_STATE_MS || spent >= j->wait_ms))
		return EXIT_FAILED;
	return spent >= j->wait_ms ? EXIT_PENDING : -1;
}

static void report(struct joining *j, const json_t *net, int code)
{
	char reason[CELL_MAX];
	if (j->call->format != FORMAT_TABLE)
		output_json(j->call, net, NULL, NULL);
	else if (code == EXIT_OK)
		print_joined(net);
	cell_text(net, "reason", CELL_TEXT, reason);
	if (code == EXIT_REFUSED)
		complain(code, "%s: %s", j->nwid, *field(net, "reason") ? reason : "refused by the controller");
	else if (code == EXIT_FAILED)
		complain(code, "%s: %s", j->nwid, *field(net, "reason") ? reason : "it does not work; see the daemon's log");
	else if (code == EXIT_PENDING && !j->told)
		print_waiting(j, net);
	else if (code == EXIT_PENDING)
		complain(code, "%s: still %s after %u s; the node goes on, see farlan status", j->nwid,
		         strcmp(field(net, "state"), "pending") != 0 ? "without an answer" : "waiting for approval", j->wait_ms / 1000);
}

/* Looks until it is decided; takes net, the first answer. */
static int await(struct joining *j, json_t *net)
{
	int code = judge(j, net);
	while (code < 0) {
		/* A person at a terminal learns at once whom to call. */
		if (!j->told && !strcmp(field(net, "state"), "pending") && isatty(STDERR_FILENO))
			print_waiting(j, net);
		usleep(LOOK_MS * 1000);
		json_decref(net);
		net = NULL;
		int failed = client_ask(j->client, "GET", j->path, NULL, &net);
		if (failed)
			return failed;
		code = judge(j, net);
	}
	report(j, net, code);
	json_decref(net);
	return code;
}

/* ---- by an invitation ------------------------------------------------------------------------------------------------------- */

static bool is_link(const char *word)
{
	return !strncasecmp(word, INVITE_SCHEME, strlen(INVITE_SCHEME));
}

/* The word, or a line of standard input for "-"; then the word is gone. */
static int join_word(const char *word, char ret[INVITE_LINK_MAX])
{
	if (!strcmp(word, "-")) {
		if (!fgets(ret, INVITE_LINK_MAX, stdin))
			return complain(EXIT_USAGE, "standard input holds no invitation and no network id");
		const char *begin = ret + strspn(ret, " \t\r\n");
		size_t len = strcspn(begin, " \t\r\n");
		memmove(ret, begin, len);
		ret[len] = 0;
		return 0;
	}
	snprintf(ret, INVITE_LINK_MAX, "%s", word);
	if (is_link(word))
		word_hide(word);
	return 0;
}

static int link_check(const char *text, char ret_nwid[NWID_TEXT])
{
	struct invite_link link;
	const char *why;
	size_t at;
	if (!invite_link_parse(text, &link, &at, &why))
		return complain(EXIT_USAGE, "this is no invitation, from its character %zu on: %s", at + 1, why);
	nwid_format(link.nwid, ret_nwid);
	invite_link_fini(&link);
	return 0;
}

/* pin NULL: an invitation is no word here. The checks that need no daemon come first: a misspelt id is exit 2 whether it runs or not. */
static int begin(struct joining *j, struct call *call, const char *word, unsigned wait_s, char pin[27])
{
	*j = (struct joining){.call = call, .begun = clock_ms()};
	int code = pin && is_link(word) ? link_check(word, j->nwid) : word_nwid(word, j->nwid, pin);
	if (code == 0)
		code = call_wait(call, wait_s, &j->wait_ms);
	if (code)
		return code;
	snprintf(j->path, sizeof(j->path), "/v1/networks/%s", j->nwid);
	return client_open(&j->client, call);
}

int run_join(struct call *call)
{
	struct joining j;
	char pin[27] = "", word[INVITE_LINK_MAX];
	json_t *net = NULL, *body;
	const char *dev = options_value(&call->options, "dev");
	int code = join_word(call->words[0], word);
	if (code == 0)
		code = begin(&j, call, word, JOIN_WAIT_S, pin);
	if (code)
		return code;
	bool link = is_link(word);
	body = json_object();
	if (dev)
		json_object_set_new(body, "dev", json_string(dev));
	if (link)
		json_object_set_new(body, "link", json_string(word));
	else if (*pin)
		json_object_set_new(body, "pin", json_string(pin));
	explicit_bzero(word, sizeof(word));
	code = client_ask(j.client, "POST", link ? "/v1/join" : j.path, body, &net);
	j.was_joined = code == 0 && !strcmp(field(net, "state"), "joined");
	if (code == 0)
		code = await(&j, net);
	client_close(j.client);
	return code;
}

int run_wait(struct call *call)
{
	struct joining j;
	json_t *net = NULL;
	int code = begin(&j, call, call->words[0], WAIT_WAIT_S, NULL);
	if (code)
		return code;
	code = client_ask(j.client, "GET", j.path, NULL, &net);
	if (code == 0)
		code = await(&j, net);
	client_close(j.client);
	return code;
}

int run_leave(struct call *call)
{
	struct joining j;
	json_t *net = NULL;
	int code = begin(&j, call, call->words[0], 0, NULL);
	if (code)
		return code;
	code = client_ask(j.client, "DELETE", j.path, NULL, &net);
	if (code == 0 && call->format != FORMAT_TABLE)
		code = output_json(call, net, NULL, NULL);
	else if (code == 0)
		printf("left %s\n", j.nwid);
	json_decref(net);
	client_close(j.client);
	return code;
}
