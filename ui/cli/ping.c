/* ping.c: probes to a peer, end to end, each answer with its path, until one came directly.
 *
 * The daemon times them; here they are begun, waited for and printed. Direct is what people ping for, so the first direct answer ends it
 * and none makes it fail.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proto/base/log.h"
#include "proto/base/clock.h"
#include "ui/cli/client.h"
#include "ui/cli/names.h"
#include "ui/cli/output.h"

#define COUNT_DIRECT 20
#define COUNT_MAX    1000000
#define PAUSE_MS     500
#define PATH_ROOM    128

struct pinging {
	struct call *call;
	struct client *client;
	char path[PATH_ROOM];
	char who[128]; /* as the user said, escaped for a terminal */
	unsigned count;
	bool until_direct;
	uint64_t begun_ms, direct_ms;
	unsigned sent, answered;
	bool direct;
	char via[CELL_MAX]; /* of the last answer */
	json_t *replies;
};

/* What a daemon can look up by itself: an address, an IP, a MAC. Everything else is a name. */
static bool is_name(const char *word)
{
	uint64_t address;
	uint8_t ip[16];
	bool mac = strlen(word) == 17 && strspn(word, "0123456789abcdefABCDEF:") == 17;
	return !mac && !address_parse(word, &address) && inet_pton(AF_INET, word, ip) != 1 && inet_pton(AF_INET6, word, ip) != 1;
}

static int begin(struct pinging *p, struct call *call)
{
	const char *word = call->words[0], *count = options_value(&call->options, "count");
	const char *direct = options_value(&call->options, "until-direct");
	char address[ADDRESS_TEXT];
	unsigned long n = count ? strtoul(count, NULL, 10) : 0;
	*p = (struct pinging){.call = call, .until_direct = true, .begun_ms = clock_ms()};
	if (count && (strspn(count, "0123456789") != strlen(count) || n < 1 || n > COUNT_MAX))
		return complain(EXIT_USAGE, "--count takes a number from 1 to %d", COUNT_MAX);
	if (direct && (!strcmp(direct, "no") || !strcmp(direct, "off")))
		p->until_direct = false;
	else if (direct && strcmp(direct, "yes") != 0 && strcmp(direct, "on") != 0)
		return complain(EXIT_USAGE, "--until-direct takes on or off");
	p->count = count ? (unsigned)n : p->until_direct ? COUNT_DIRECT : COUNT_MAX;
	log_text(p->who, sizeof(p->who), word, strlen(word));
	if (is_name(word)) {
		json_t *names = names_known(call);
		int code = names_find(names, word, address);
		json_decref(names);
		if (code)
			return code;
		word = address;
	}
	snprintf(p->path, sizeof(p->path), "/v1/peers/%s/ping", word);
	return client_open(&p->client, call);
}

/* "reply from db2 (90c1be44d2) via 203.0.113.77:9993  21.0 ms  direct after 1.4 s" */
static void print_reply(const struct pinging *p, const json_t *reply)
{
	char address[CELL_MAX], via[CELL_MAX], rtt[CELL_MAX], who[CELL_MAX], trying[CELL_MAX];
	bool answered = !strcmp(field(reply, "state"), "answered");
	cell_text(reply, "address", CELL_TEXT, address);
	cell_text(reply, "via", CELL_TEXT, via);
	snprintf(who, sizeof(who), strcmp(p->who, address) != 0 ? "%.127s (%.32s)" : "%.127s", p->who, address);
	if (!answered && !*field(reply, "via"))
		printf("no path to %s yet", who);
	else if (!answered)
		printf("no reply from %s via %s", who, via);
	else
		printf("reply from %s via %s  %s", who, via, cell_text(reply, "rtt_us", CELL_RTT, rtt));
	if (answered && p->direct)
		printf("  direct after %.1f s", (double)(p->direct_ms - p->begun_ms) / 1000);
	else if (json_array_size(json_object_get(reply, "trying")))
		printf("  trying: %s", cell_text(reply, "trying", CELL_LIST, trying));
	printf("\n");
	fflush(stdout);
}

static int ask_once(struct pinging *p, json_t **ret)
{
	char path[PATH_ROOM];
	json_t *begun = NULL;
	int code = client_ask(p->client, "POST", p->path, json_object(), &begun);
	*ret = NULL;
	if (code)
		return code;
	snprintf(path, sizeof(path), "/v1/pings/%lld", (long long)json_integer_value(json_object_get(begun, "id")));
	json_decref(begun);
	return client_ask(p->client, "GET", path, NULL, ret);
}

/* Takes the reply. */
static void take(struct pinging *p, json_t *reply)
{
	p->sent++;
	if (!strcmp(field(reply, "state"), "answered")) {
		p->answered++;
		cell_text(reply, "via", CELL_TEXT, p->via);
		if (json_is_true(json_object_get(reply, "direct")) && !p->direct) {
			p->direct = true;
			p->direct_ms = clock_ms();
		}
	}
	if (p->call->format == FORMAT_TABLE)
		print_reply(p, reply);
	else if (p->call->format == FORMAT_JSONL)
		output_object(reply, false);
	if (p->call->format == FORMAT_JSON)
		json_array_append_new(p->replies, reply);
	else
		json_decref(reply);
}

static int judge(const struct pinging *p)
{
	if (p->direct || (!p->until_direct && p->answered))
		return EXIT_OK;
	if (!p->answered)
		return complain(EXIT_FAILED, "%s does not answer: %u probes, no reply", p->who, p->sent);
	return complain(EXIT_FAILED, "%s answers via %s, but not directly within %u probes; farlan peers tells why", p->who, p->via,
	                p->sent);
}

int run_ping(struct call *call)
{
	struct pinging p;
	json_t *reply;
	int code = begin(&p, call);
	if (code)
		return code;
	p.replies = json_array();
	client_patient(p.client);
	setvbuf(stdout, NULL, _IOLBF, 0);
	while (code == 0 && p.sent < p.count && !(p.until_direct && p.direct)) {
		uint64_t at = clock_ms();
		code = ask_once(&p, &reply);
		if (code)
			break;
		take(&p, reply);
		uint64_t spent = clock_ms() - at;
		if (spent < PAUSE_MS && p.sent < p.count && !(p.until_direct && p.direct))
			usleep((useconds_t)(PAUSE_MS - spent) * 1000);
	}
	client_close(p.client);
	if (code == 0 && call->format == FORMAT_JSON) {
		json_t *all = json_pack("{s:s, s:I, s:I, s:b, s:O}", "schema", "farlan.pings/1", "sent", (json_int_t)p.sent, "answered",
		                        (json_int_t)p.answered, "direct", p.direct, "replies", p.replies);
		output_object(all, true);
		json_decref(all);
	}
	json_decref(p.replies);
	return code ? code : judge(&p);
}
