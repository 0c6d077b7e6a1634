/* netcheck.c: what lies between this machine and the others, in a dozen lines.
 *
 * The daemon asks its roots anew and tells what it learned; the host's own firewall is looked at here, since the daemon may not. What cannot be
 * known (what a NAT lets in, the mapping with one root only) is said to be unknown.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ui/cli/client.h"
#include "ui/cli/firewall.h"
#include "ui/cli/output.h"

#define HEADERS_4 28 /* IPv4 and UDP: from a datagram to the MTU people know */
#define HEADERS_6 48

static void print_family(const char *name, const json_t *check)
{
	const json_t *family = json_object_get(check, name);
	char observed[CELL_MAX];
	if (!json_array_size(json_object_get(check, "roots")))
		printf("%-12s unknown: there is no root to ask\n", name);
	else if (json_is_true(json_object_get(family, "reached")))
		printf("%-12s yes, seen as %s\n", name, cell_text(family, "observed", CELL_TEXT, observed));
	else if (!json_is_true(json_object_get(family, "host")))
		printf("%-12s no: this host has no such address\n", name);
	else
		printf("%-12s no: no root answers over it\n", name);
}

static void print_nat(const json_t *check)
{
	static const char *const families[] = {"udp4", "udp6"};
	for (int i = 0; i < 2; i++) {
		const json_t *family = json_object_get(check, families[i]);
		const char *mapping = field(family, "mapping");
		if (!json_is_true(json_object_get(family, "reached")))
			continue;
		printf("%-12s %s: ", "nat", i ? "IPv6" : "IPv4");
		if (!strcmp(mapping, "none"))
			printf("none: roots see this host's own address\n");
		else if (!strcmp(mapping, "unknown"))
			printf("there is one; its mapping is unknown: one root without a second port cannot tell\n");
		else if (!strcmp(mapping, "endpoint-independent"))
			printf("mapping endpoint-independent, filtering unknown: direct paths are likely\n");
		else
			printf("mapping address- or port-dependent: direct only to peers that are easier to reach, or by a port map\n");
	}
}

static void print_portmap(const json_t *map)
{
	static const char *const names[][2] = {{"pcp", "PCP"}, {"nat_pmp", "NAT-PMP"}, {"upnp", "UPnP"}};
	const json_t *held;
	char external[CELL_MAX];
	size_t i;
	if (!map)
		return;
	printf("%-12s", "port map");
	if (!json_is_true(json_object_get(map, "on")) || !json_is_true(json_object_get(map, "gateway"))) {
		printf(" %s\n", json_is_true(json_object_get(map, "on")) ? "no router to ask" : "not asked for");
		return;
	}
	for (size_t k = 0; k < sizeof(names) / sizeof(names[0]); k++)
		printf("%s%s %s", k ? "  " : " ", names[k][1], field(json_object_get(map, names[k][0]), "answer"));
	json_array_foreach(json_object_get(map, "held"), i, held)
	{
		printf("%s%s (%lld s%s)", i ? ", " : "  ", cell_text(held, "external", CELL_TEXT, external),
		       (long long)json_integer_value(json_object_get(held, "left_s")),
		       json_is_true(json_object_get(held, "global")) ? "" : ", behind another NAT");
	}
	printf("%s\n", json_is_true(json_object_get(map, "asking")) ? "  (still asking)" : "");
}

static void print_roots(const json_t *check)
{
	char address[CELL_MAX], endpoint[CELL_MAX], rtt[CELL_MAX], observed[CELL_MAX], reason[CELL_MAX];
	const json_t *root;
	size_t i;
	json_array_foreach(json_object_get(check, "roots"), i, root)
	{
		json_int_t datagram = json_integer_value(json_object_get(root, "datagram"));
		const char *at = cell_text(root, "endpoint", CELL_TEXT, endpoint);
		printf("%-12s %s  %s", "root", cell_text(root, "address", CELL_TEXT, address), at);
		if (!json_is_true(json_object_get(root, "answers"))) {
			printf("  no answer%s%s\n", *field(root, "reason") ? ": " : "",
			       *field(root, "reason") ? cell_text(root, "reason", CELL_TEXT, reason) : "");
			continue;
		}
		printf("  %s", cell_text(root, "rtt_us", CELL_RTT, rtt));
		if (datagram && !json_is_true(json_object_get(root, "tls")))
			printf("  path mtu %lld", (long long)datagram + (strchr(at, '[') ? HEADERS_6 : HEADERS_4));
		printf("  sees %s\n", cell_text(root, "observed", CELL_TEXT, observed));
	}
	if (!json_array_size(json_object_get(check, "roots")))
		printf("%-12s none configured\n", "root");
}

static uint16_t port_of(const json_t *check)
{
	const char *bound = json_string_value(json_array_get(json_object_get(check, "bound"), 0));
	const char *colon = bound ? strrchr(bound, ':') : NULL;
	return colon ? (uint16_t)strtoul(colon + 1, NULL, 10) : 0;
}

static void print_firewall(const json_t *check)
{
	const json_t *wall = json_object_get(check, "firewall");
	char why[CELL_MAX];
	unsigned port = port_of(check);
	printf("%-12s ", "firewall");
	if (!json_is_true(json_object_get(wall, "checked")))
		printf("unknown: %s\n", cell_text(wall, "why", CELL_TEXT, why));
	else if (strcmp(field(wall, "policy"), "drop") != 0)
		printf("nftables: input policy accept\n");
	else if (json_is_true(json_object_get(wall, "accepted")))
		printf("nftables: input policy drop, udp %u accepted\n", port);
	else
		printf(
		    "nftables: input policy drop, and no plain rule accepts udp %u: nft add rule inet filter input udp dport %u accept\n",
		    port, port);
}

static void print_check(const json_t *check)
{
	const json_t *warning;
	char text[CELL_MAX];
	size_t i;
	print_family("udp4", check);
	print_family("udp6", check);
	printf("%-12s %s\n", "tls", json_is_true(json_object_get(check, "tls")) ? "in use" : "not needed");
	print_nat(check);
	print_portmap(json_object_get(check, "portmap"));
	print_roots(check);
	print_firewall(check);
	json_array_foreach(json_object_get(check, "warnings"), i, warning)
	{
		printf("! %s\n", cell_text(warning, "text", CELL_TEXT, text));
	}
}

static bool answered(const json_t *check)
{
	const json_t *root, *roots = json_object_get(check, "roots");
	size_t i;
	json_array_foreach(roots, i, root)
	{
		if (json_is_true(json_object_get(root, "answers")))
			return true;
	}
	return !json_array_size(roots);
}

int run_netcheck(struct call *call)
{
	struct client *client;
	json_t *check = NULL;
	int code = client_open(&client, call);
	if (code)
		return code;
	client_patient(client);
	code = client_ask(client, "POST", "/v1/netcheck", json_object(), NULL);
	if (code == 0)
		code = client_ask(client, "GET", "/v1/netcheck", NULL, &check);
	client_close(client);
	if (code)
		return code;
	json_object_set_new(check, "firewall", firewall_look(port_of(check)));
	if (call->format == FORMAT_TABLE)
		print_check(check);
	else
		output_json(call, check, NULL, NULL);
	code = answered(check) ? EXIT_OK : EXIT_FAILED;
	json_decref(check);
	return code;
}
