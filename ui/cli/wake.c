/* wake.c: wakes a machine by its MAC, in the LANs behind bridges.
 *
 * Machines that sleep are known by the names /etc/ethers gives their MACs, as to every tool that wakes (ethers(5)); those names come first. What is
 * neither such a name nor anything a daemon can look up is asked of the controller here.
 */
#include <arpa/inet.h>
#include <netinet/ether.h>
#include <stdio.h>
#include <string.h>

#include "proto/base/log.h"
#include "ui/cli/client.h"
#include "ui/cli/names.h"
#include "ui/cli/output.h"

#define WHO_ROOM 64

static bool is_mac(const char *word)
{
	return strlen(word) == 17 && strspn(word, "0123456789abcdefABCDEF:-") == 17;
}

static bool is_name(const char *word)
{
	uint64_t address;
	uint8_t ip[16];
	return !is_mac(word) && !address_parse(word, &address) && inet_pton(AF_INET, word, ip) != 1 && inet_pton(AF_INET6, word, ip) != 1;
}

/* What the daemon knows it by: 0, or an exit code with the complaint printed. */
static int who_is(const char *word, bool machine, const json_t *names, char ret[WHO_ROOM])
{
	struct ether_addr card;
	char address[ADDRESS_TEXT];
	if (!is_name(word)) {
		if (strlen(word) >= WHO_ROOM)
			return complain(EXIT_USAGE, "that is too long to be a MAC or an address");
		snprintf(ret, WHO_ROOM, "%s", word);
		return 0;
	}
	if (machine && !ether_hostton(word, &card)) {
		const uint8_t *m = card.ether_addr_octet;
		snprintf(ret, WHO_ROOM, "%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3], m[4], m[5]);
		return 0;
	}
	int code = names_find(names, word, address);
	if (!code)
		snprintf(ret, WHO_ROOM, "%s", address);
	return code;
}

static int wish(struct call *call, json_t *body)
{
	const char *network = options_value(&call->options, "network"), *via = options_value(&call->options, "via");
	char who[WHO_ROOM], bridge[WHO_ROOM], nwid[NWID_TEXT];
	json_t *names = is_name(call->words[0]) || (via && is_name(via)) ? names_known(call) : NULL;
	int code = who_is(call->words[0], true, names, who);
	if (!code && via)
		code = who_is(via, false, names, bridge);
	if (!code && network)
		code = word_nwid(network, nwid, NULL);
	json_decref(names);
	if (code)
		return code;
	json_object_set_new(body, "who", json_string(who));
	if (via)
		json_object_set_new(body, "via", json_string(bridge));
	if (network)
		json_object_set_new(body, "network", json_string(nwid));
	return 0;
}

/* "magic packet for 00:11:22:33:44:55 sent by way of 1b22d9a077 (attic)", a line for each bridge. */
static void print_done(const struct call *call, const json_t *done)
{
	char macs[CELL_MAX], address[CELL_MAX], shown[CELL_MAX];
	json_t *names = names_known(call), *bridge;
	size_t i;
	cell_text(done, "macs", CELL_LIST, macs);
	json_array_foreach(json_object_get(done, "bridges"), i, bridge)
	{
		cell_text(bridge, "address", CELL_TEXT, address);
		const char *name = json_string_value(json_object_get(names, field(bridge, "address")));
		printf("magic packet for %s sent by way of %s", macs, address);
		if (name) {
			log_text(shown, sizeof(shown), name, strlen(name));
			printf(" (%s)", shown);
		}
		printf("%s\n", json_is_true(json_object_get(bridge, "up")) ? "" : ", once it answers");
	}
	json_decref(names);
}

int run_wake(struct call *call)
{
	struct client *client;
	json_t *body = json_object(), *done = NULL;
	int code = wish(call, body);
	if (!code)
		code = client_open(&client, call);
	if (code) {
		json_decref(body);
		return code;
	}
	code = client_ask(client, "POST", "/v1/wake", body, &done);
	client_close(client);
	if (!code && call->format == FORMAT_TABLE)
		print_done(call, done);
	else if (!code)
		code = output_json(call, done, NULL, NULL);
	json_decref(done);
	return code;
}
