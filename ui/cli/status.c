/* status.c: what a daemon says of itself: status, networks, peers, and the controller's page.
 *
 * Each verb is one GET. A program reads the daemon's object as it is; for people the same object becomes lines and a table,
 * followed by what needs their attention.
 */
#include <stdio.h>
#include <string.h>

#include "ui/cli/client.h"
#include "ui/cli/names.h"
#include "ui/cli/output.h"

static const struct column network_columns[] = {
    {"NETWORK", "id", CELL_TEXT},          {"NAME", "name", CELL_TEXT},
    {"STATE", "state", CELL_TEXT},         {"DEV", "dev", CELL_TEXT},
    {"ADDRESSES", "addresses", CELL_LIST}, {"MTU", "mtu", CELL_COUNT},
    {"PEERS", "peers_up", CELL_COUNT},     {"RX", "rx_bytes", CELL_BYTES},
    {"TX", "tx_bytes", CELL_BYTES},        {0},
};
static const struct column own_columns[] = {
    {"NETWORK", "id", CELL_TEXT},       {"NAME", "name", CELL_TEXT},        {"IPV4", "ipv4", CELL_TEXT},      {"MTU", "mtu", CELL_COUNT},
    {"MEMBERS", "members", CELL_COUNT}, {"PENDING", "pending", CELL_COUNT}, {"ONLINE", "online", CELL_COUNT}, {0},
};
static const struct column peer_columns[] = {
    {"PEER", "address", CELL_TEXT},
    {"NAME", "name", CELL_TEXT},
    {"ROLE", "roles", CELL_LIST},
    {"NETWORKS", "networks", CELL_COUNT},
    {"LINK", "link", CELL_TEXT},
    {"PATH", "via", CELL_TEXT},
    {"RTT", "rtt_us", CELL_RTT},
    {"LOSS", "loss", CELL_TEXT},
    {"RX", "rx_bytes", CELL_BYTES},
    {"TX", "tx_bytes", CELL_BYTES},
    {"LAST", "last_heard_ms", CELL_AGO_MS},
    {"SUITE", "suite", CELL_TEXT},
    {"WHY", "why", CELL_TEXT},
    {0},
};

static void print_roots(const json_t *status)
{
	char address[CELL_MAX], endpoint[CELL_MAX], rtt[CELL_MAX], observed[CELL_MAX], reason[CELL_MAX];
	const json_t *root;
	size_t i;
	json_array_foreach(json_object_get(status, "roots"), i, root)
	{
		bool online = json_is_true(json_object_get(root, "online"));
		printf("  root %s  %s  %s", cell_text(root, "address", CELL_TEXT, address),
		       cell_text(root, "endpoint", CELL_TEXT, endpoint), online ? "online" : "offline");
		if (online)
			printf("  %s  sees us at %s", cell_text(root, "rtt_us", CELL_RTT, rtt),
			       cell_text(root, "observed", CELL_TEXT, observed));
		else if (*field(root, "reason"))
			printf("  %s", cell_text(root, "reason", CELL_TEXT, reason));
		printf("\n");
	}
}

/* What this machine was told of a network and cannot do. */
static void print_local(const json_t *net, const char *id)
{
	char iface[CELL_MAX], reason[CELL_MAX];
	const json_t *port = json_object_get(net, "port");
	if (*field(port, "reason"))
		printf("! %s: port %s: %s\n", id, cell_text(port, "iface", CELL_TEXT, iface), cell_text(port, "reason", CELL_TEXT, reason));
	if (*field(net, "game_reason"))
		printf("! %s: game: %s\n", id, cell_text(net, "game_reason", CELL_TEXT, reason));
}

/* What waits for somebody. */
static void print_reasons(const json_t *status, const char *me)
{
	char id[CELL_MAX], reason[CELL_MAX];
	const json_t *net;
	size_t i;
	json_array_foreach(json_object_get(status, "networks"), i, net)
	{
		cell_text(net, "id", CELL_TEXT, id);
		if (*field(net, "reason") && strcmp(field(net, "state"), "pending") != 0)
			printf("! %s: %s\n", id, cell_text(net, "reason", CELL_TEXT, reason));
		print_local(net, id);
		if (!strcmp(field(net, "state"), "pending"))
			printf("! %s waits for approval; its admin runs: farlan member approve %s %s\n", id, id, me);
	}
}

static void print_warnings(const json_t *status)
{
	const json_t *warning;
	char text[CELL_MAX];
	size_t i;
	json_array_foreach(json_object_get(status, "warnings"), i, warning)
	{
		printf("! %s\n", cell_text(warning, "text", CELL_TEXT, text));
	}
}

/* "aes256-gcm (ipsec-mb)" */
static const char *suite_text(const json_t *object, char buf[2 * CELL_MAX])
{
	char suite[CELL_MAX], backend[CELL_MAX];
	cell_text(object, "suite", CELL_TEXT, suite);
	if (*field(object, "backend"))
		snprintf(buf, 2 * CELL_MAX, "%s (%s)", suite, cell_text(object, "backend", CELL_TEXT, backend));
	else
		snprintf(buf, 2 * CELL_MAX, "%s", suite);
	return buf;
}

static void print_peers(const json_t *peers)
{
	char text[2 * CELL_MAX];
	const json_t *suite;
	size_t i;
	printf("  peers %lld direct, %lld relayed", (long long)json_integer_value(json_object_get(peers, "direct")),
	       (long long)json_integer_value(json_object_get(peers, "relay")));
	json_array_foreach(json_object_get(peers, "suites"), i, suite)
	{
		printf("%s %lld %s", i ? "," : ";", (long long)json_integer_value(json_object_get(suite, "peers")),
		       suite_text(suite, text));
	}
	printf("\n");
}

/* "-" and 0 would both be misread: no limit has a word. */
static const char *rate_text(const json_t *relay, const char *name, char buf[CELL_MAX])
{
	char bits[CELL_MAX];
	if (!json_integer_value(json_object_get(relay, name)))
		snprintf(buf, CELL_MAX, "unlimited");
	else
		snprintf(buf, CELL_MAX, "%.32sbit/s", cell_text(relay, name, CELL_BYTES, bits));
	return buf;
}

static void print_relay(const json_t *relay)
{
	char one[CELL_MAX], all[CELL_MAX], bytes[CELL_MAX], address[CELL_MAX];
	const json_t *node;
	size_t i;
	if (!relay)
		return;
	printf("  relay %lld nodes registered, %lld of %lld circuits, %s forwarded; a node %s, all %s\n",
	       (long long)json_integer_value(json_object_get(relay, "registered")),
	       (long long)json_integer_value(json_object_get(relay, "circuits")),
	       (long long)json_integer_value(json_object_get(relay, "circuits_max")), cell_text(relay, "bytes", CELL_BYTES, bytes),
	       rate_text(relay, "node_bits_per_s", one), rate_text(relay, "total_bits_per_s", all));
	printf("        above the limits: %lld packets dropped, %lld circuits refused\n",
	       (long long)json_integer_value(json_object_get(relay, "dropped")),
	       (long long)json_integer_value(json_object_get(relay, "refused")));
	json_array_foreach(json_object_get(relay, "top"), i, node)
	{
		printf("        %s  %lld circuits, %s\n", cell_text(node, "address", CELL_TEXT, address),
		       (long long)json_integer_value(json_object_get(node, "circuits")), cell_text(node, "bytes", CELL_BYTES, bytes));
	}
}

static void print_status(const json_t *status, bool node)
{
	char address[CELL_MAX], program[CELL_MAX], version[CELL_MAX], words[CELL_MAX], text[CELL_MAX];
	bool online = json_is_true(json_object_get(status, "online"));
	const json_t *networks = json_object_get(status, "networks"), *peers = json_object_get(status, "peers");
	cell_text(status, "address", CELL_TEXT, address);
	printf("%s  %s  %s %s  %s%s\n", online ? "online" : "offline", address, cell_text(status, "program", CELL_TEXT, program),
	       cell_text(status, "version", CELL_TEXT, version), cell_text(status, "fingerprint", CELL_TEXT, words),
	       json_is_true(json_object_get(status, "root")) ? "  root" : "");
	print_roots(status);
	print_relay(json_object_get(status, "relay"));
	if (node)
		print_peers(peers);
	else
		printf("  page %s  (farlan page prints a link)\n", cell_text(status, "page", CELL_TEXT, text));
	if (*field(status, "health") && strcmp(field(status, "health"), "ok") != 0)
		printf("  health %s\n", cell_text(status, "health", CELL_TEXT, text));
	json_int_t suspended = json_integer_value(json_object_get(json_object_get(status, "webhooks"), "suspended"));
	if (suspended)
		printf("  webhooks %d suspended; see farlan webhook list\n", (int)suspended);
	printf("\n");
	if (!json_array_size(networks))
		printf("no networks; next: %s\n", node ? "farlan join NWID" : "farlan network create NAME");
	else
		output_table(networks, node ? network_columns : own_columns);
	print_reasons(status, address);
	print_warnings(status);
}

int run_status(struct call *call)
{
	json_t *status;
	int code = client_shown(call, "GET", "/v1/status", NULL, NULL, NULL, &status);
	if (code == 0 && status)
		print_status(status, strcmp(field(status, "program"), home_program(HOME_CONTROLLER)) != 0);
	json_decref(status);
	return code;
}

static int run_list(struct call *call, const char *path, const char *member, const char *schema, const struct column *columns)
{
	json_t *object;
	int code = client_shown(call, "GET", path, NULL, member, schema, &object);
	if (code == 0 && object)
		code = output_table(json_object_get(object, member), columns);
	json_decref(object);
	return code;
}

int run_networks(struct call *call)
{
	return run_list(call, "/v1/networks", "networks", "farlan.network/1", network_columns);
}

/* What people read and programs need not: the path in one word, loss in percent, the name where it is known. */
static void peer_dress(json_t *peer, const json_t *names)
{
	char suite[2 * CELL_MAX];
	char text[CELL_MAX], relay[CELL_MAX];
	const json_t *loss = json_object_get(peer, "loss"), *name = json_object_get(names, field(peer, "address"));
	bool up = strcmp(field(peer, "link"), "offline") != 0;
	if (name)
		json_object_set(peer, "name", (json_t *)name);
	if (up && *field(peer, "relay"))
		snprintf(text, sizeof(text), "via %.64s", cell_text(peer, "relay", CELL_TEXT, relay));
	else
		snprintf(text, sizeof(text), "%s", up ? field(peer, "endpoint") : "");
	json_object_set_new(peer, "via", json_string(text));
	if (json_is_real(loss)) {
		snprintf(text, sizeof(text), "%.0f%%", json_real_value(loss) * 100);
		json_object_set_new(peer, "loss", json_string(text));
	}
	if (!up)
		json_object_set_new(peer, "last_heard_ms", json_null());
	/* Frames of networks, not datagrams; of who is in none, nothing. */
	const json_t *traffic = json_integer_value(json_object_get(peer, "networks")) ? json_object_get(peer, "traffic") : NULL;
	json_object_set_new(peer, "rx_bytes", traffic ? json_incref(json_object_get(traffic, "rx_bytes")) : json_null());
	json_object_set_new(peer, "tx_bytes", traffic ? json_incref(json_object_get(traffic, "tx_bytes")) : json_null());
	if (json_object_get(peer, "suite"))
		json_object_set_new(peer, "suite", json_string(suite_text(peer, suite)));
}

int run_peers(struct call *call)
{
	json_t *object, *peer, *names;
	size_t i;
	int code = client_shown(call, "GET", "/v1/peers", NULL, "peers", "farlan.peer/1", &object);
	names = object ? names_known(call) : NULL;
	json_array_foreach(json_object_get(object, "peers"), i, peer)
	{
		peer_dress(peer, names);
	}
	if (code == 0 && object)
		code = output_table(json_object_get(object, "peers"), peer_columns);
	json_decref(names);
	json_decref(object);
	return code;
}
int run_network_list(struct call *call)
{
	return run_list(call, "/v1/networks", "networks", "farlan.controller.network/1", own_columns);
}
