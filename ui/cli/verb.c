/* verb.c: the table, and argv judged by it.
 *
 * Options are parsed against all of them first, because they may stand before the verb; whether an option goes with the verb
 * is asked when the verb is known. A name that several verbs share ("--name") therefore means the same and takes a value
 * everywhere. What a word must look like is said here too, so that every verb refuses it in the same way.
 */
#include "ui/cli/verb.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/log.h"
#include "proto/ident.h"

#define WAIT_MAX_S    86400
#define VERB_NAME_MAX 64

const struct option cli_options[] = {
    {"home", 0, "DIR", "the daemon's folder ($FARLAN_HOME; default: the system's)"},
    {"output", 'o', "FORMAT", "table, json or jsonl"},
    {"url", 0, "URL", "a controller elsewhere, like https://farlan.example.net:8443; with a token"},
    {"token-file", 0, "FILE", "the token for --url is its first line, - = standard input; else $FARLAN_TOKEN"},
    {"cacert", 0, "FILE", "whom to believe that --url is who it says; else the system's authorities"},
    {"pin", 0, "HEX", "SHA-256 of the key behind --url, as farlan page prints it, instead of authorities"},
    {"dev", 0, "NAME", "name of the network's device"},
    {"wait", 0, "SEC", "how long to wait; 0 = not at all"},
    {"write", 'w', "FILE", "write a pcap file; - = standard output"},
    {"only", 0, "passed|dropped", "frames that passed all checks, or those that did not; else both"},
    {"direction", 0, "in|out", "frames from the network, or to it; else both"},
    {"text", 0, NULL, "lines to read, also where the output is no terminal"},
    {"ipv4", 0, "CIDR", "pool of IPv4 addresses, like 10.77.0.0/24; none = no pool"},
    {"range", 0, "FIRST-LAST", "what is given of the pool; may be given again; none = all of it"},
    {"auto-assign", 0, "on|off", "members get an IPv4 address of the pool by themselves"},
    {"ethertypes", 0, "LIST", "only these pass, like ipv4,arp,ipv6 or 0x88cc; all = whatever there is"},
    {"ipv6-auto", 0, "on|off", "members have an IPv6 address made of theirs"},
    {"auto-ip", 0, "on|off", "the pool gives it an address"},
    {"mtu", 0, "N", "MTU of the network's devices"},
    {"public", 0, "on|off", "approve whoever asks"},
    {"storm", 0, "N", "broadcast and unknown unicast a member may send, in frames per second; 0 = no limit"},
    {"multicast-rate", 0, "RATE", "multicast a member may send, in bits per second like 50M; 0 = no limit"},
    {"multicast-limit", 0, "N", "copies of a multicast a member sends itself before replicators take over; 0 = all"},
    {"ip-guard", 0, "on|off", "members use only addresses that are theirs"},
    {"ra-guard", 0, "on|off", "only routers announce routers"},
    {"dhcp-guard", 0, "on|off", "only DHCP servers answer DHCP"},
    {"broadcast", 0, "on|off", "broadcasts pass"},
    {"multicast", 0, "on|off", "multicast passes"},
    {"name", 0, "NAME", "name for people"},
    {"ip", 0, "ADDR", "fixed IPv4 address of the pool; may be given again; none = what the pool gives"},
    {"bridge", 0, "on|off", "may send from other MACs (implies dhcp-server and router)"},
    {"dhcp-server", 0, "on|off", "may answer DHCP"},
    {"router", 0, "on|off", "may announce routers"},
    {"relay", 0, "on|off", "may relay for members"},
    {"anchor", 0, "on|off", "keeps who takes which multicast group"},
    {"replicator", 0, "on|off", "copies multicast for members with many receivers"},
    {"passive", 0, "on|off", "a mark in its credential; nothing depends on it yet"},
    {"ip-guard-exempt", 0, "on|off", "may use any address although the network guards them"},
    {"count", 0, "N", "how many probes, or samples, at most"},
    {"interval", 0, "SEC", "from one sample to the next; 1 unless told"},
    {"once", 0, NULL, "one table, no screen"},
    {"until-direct", 0, "on|off", "stop at the first direct answer, and fail without one"},
    {"since", 0, "SEQ", "the number of the last event seen; 0 = all there are"},
    {"key", 0, "KEY", "a key of a root set: its text, or its file; may be given again"},
    {"threshold", 0, "N", "how many keys must sign"},
    {"root", 0, "LINE", "a root's line; may be given again"},
    {"region", 0, "NAME", "where a root is: a node's second one is of another region if it can"},
    {"weight", 0, "N", "of a root, 100 is usual; 0 = only when no other answers"},
    {"network", 0, "NWID", "in that network only; else in all"},
    {"via", 0, "BRIDGE", "by way of that member only; else of all that bridge"},
    {"game", 0, "on|off", "what programs send to 255.255.255.255, and multicast, leaves by this network"},
    {"metric", 0, "N|auto", "of the network's routes on this machine; auto = what the controller says"},
    {"listen", 0, "IP:PORT", "UDP address of the root; else port 9993 on all addresses"},
    {"address", 0, "HOST", "an address or a name by which others reach this machine"},
    {"http", 0, "IP:PORT|none", "the controller's page on this machine"},
    {"https", 0, "IP:PORT|none", "the controller's page for others"},
    {"zt1-api", 0, NULL, "serve programs that know ZeroTier One's API, on 127.0.0.1:9993"},
    {"zt1", 0, "IP:PORT|none", "the same at that address of this machine, or no more"},
    {"purge", 0, NULL, "delete identities, networks and config too"},
    {"yes", 0, NULL, "do not ask"},
    {"dry-run", 0, NULL, "say what would be done, and do nothing"},
    {"passphrase-file", 0, "FILE", "the passphrase is its first line; - = standard input"},
    {"member", 0, "ADDRESS", "about that member only"},
    {"last", 0, "1h|24h|30d", "how far back; an hour unless told"},
    {"actor", 0, "NAME", "by whom, like user:anna"},
    {"action", 0, "NAME", "like member.approve, or member for all of them"},
    {"limit", 0, "N|all", "how many at most"},
    {"follow", 0, NULL, "go on with what comes, until interrupted"},
    {"verify", 0, NULL, "does the chain of entries hold?"},
    {"head", 0, "HASH", "the head of an earlier check: is it still in the chain?"},
    {"uses", 0, "N|any", "how many may come by it; 1 unless told"},
    {"ephemeral", 0, "TIME|no", "who comes by it is forgotten when it was offline for so long"},
    {"role", 0, "ROLE", "what a user may: read, approve or admin, which is usual"},
    {"off", 0, NULL, "take it away, without a code: from the controller's machine"},
    {"qr", 0, NULL, "draw the code also where the output is no terminal"},
    {"expires", 0, "TIME|never", "how long it lasts, like 90m, 24h or 30d"},
    {"tag", 0, "TAG", "a tag of members; may be given again"},
    {"description", 0, "TEXT", "what it is for; none = nothing"},
    {"reason", 0, "TEXT", "why; the member is told"},
    {"state", 0, "STATE", "only those: pending, approved, denied, revoked, banned; of a log waiting, delivered, failed; commas between"},
    {"online", 0, "on|off", "only those that are, or are not"},
    {"link", 0, "KIND", "only those reached like that: direct, relay, offline"},
    {"search", 0, "TEXT", "only those with it in their name, address or description"},
    {"sort", 0, "ORDER", "address, state, name or last_seen"},
    {"wide", 0, NULL, "all columns"},
    {"route", 0, "ROUTE", "TARGET or TARGET,VIA[,METRIC], like 192.168.7.0/24,10.77.0.5; may be given again; none = no routes"},
    {"dns", 0, "DNS", "DOMAIN,SERVER[,SERVER]..., like office.lan,10.77.0.53; none = no DNS"},
    {"event", 0, "EVENT", "what a webhook is told: like member.approve, member.* or all; may be given again"},
    {"to", 0, "URL", "where a webhook is sent"},
    {"enabled", 0, "on|off", "is it sent?"},
    {"allow-private", 0, "on|off", "also to private addresses, where the controller's config allows it"},
    {"scope", 0, "SCOPE", "read, members:approve, network:NWID:write or admin; may be given again"},
    {"password-file", 0, "FILE", "the password is its first line; - = standard input"},
    {"help", 'h', NULL, "explain the verb"},
    {"version", 0, NULL, "print the version"},
    {0},
};

const struct verb verbs[] = {
    {"status", "", "", SERVICE_EITHER, "what the daemon of this home does (the default verb)", run_status},
    {"join", "NWID|LINK|-", "dev wait", SERVICE_NODE, "join a network, by its id or an invitation, and wait until it works", run_join},
    {"wait", "NWID", "wait", SERVICE_NODE, "wait until a network works", run_wait},
    {"leave", "NWID", "", SERVICE_NODE, "leave a network", run_leave},
    {"networks", "", "", SERVICE_NODE, "networks this machine is in", run_networks},
    {"peers", "", "", SERVICE_NODE, "who it talks to, and by which path", run_peers},
    {"top", "[NWID]", "interval count once", SERVICE_NODE, "what goes to and comes from whom, live", run_top},
    {"ping", "PEER", "count until-direct", SERVICE_NODE, "ask a peer, and see by which path it answers", run_ping},
    {"netcheck", "", "", SERVICE_NODE, "what lies between this machine and the others: NATs, UDP, roots", run_netcheck},
    {"events", "", "since wait", SERVICE_NODE, "what changes: peers, paths, networks; until interrupted", run_events},
    {"fdb", "[NWID]", "", SERVICE_NODE, "MACs learned, and behind whom they are", run_fdb},
    {"groups", "[NWID]", "", SERVICE_NODE, "multicast groups: who takes which", run_groups},
    {"wake", "PEER|MAC", "network via", SERVICE_NODE, "wake a machine in the LAN behind a bridge", run_wake},
    {"drops", "[NWID]", "", SERVICE_NODE, "why packets were dropped, how many, and by whose doing", run_drops},
    {"metrics", "", "", SERVICE_EITHER, "what the daemon of this home counts, for Prometheus", run_metrics},
    {"capture", "NWID [FILTER]...", "write only direction text", SERVICE_NODE, "see or record a network's frames", run_capture},
    {"set", "NWID", "game metric", SERVICE_NODE, "what only this machine says of a network", run_set},
    {"port add", "NWID IFACE [FILTER]...", "", SERVICE_NODE, "put an interface of this machine on a network", run_port_add},
    {"port remove", "NWID IFACE", "", SERVICE_NODE, "take it off again", run_port_remove},
    {"port list", "", "", SERVICE_NODE, "interfaces that are on networks", run_port_list},
    {"root status", "", "", SERVICE_NODE, "what this root does for others: limits and use", run_status},
    {"server up", "", "listen address http https zt1-api zt1 name ipv4", SERVICE_NONE,
     "a root, a controller and a first network on this machine", run_server_up},
    {"server status", "", "", SERVICE_NONE, "do they run?", run_server_status},
    {"server down", "", "purge yes", SERVICE_NONE, "stop them", run_server_down},
    {"id", "", "", SERVICE_NONE, "this home's identity", run_id},
    {"root-line", "HOST:PORT", "", SERVICE_NONE, "the line that names this root to others", run_root_line},
    {"root-set new-key", "FILE", "", SERVICE_NONE, "make a key that signs root sets, and print its public half", run_root_set_new_key},
    {"root-set create", "FILE", "key threshold root", SERVICE_NONE, "begin a set of roots", run_root_set_create},
    {"root-set add", "FILE LINE", "region weight", SERVICE_NONE, "a root more, or another line of one", run_root_set_add},
    {"root-set remove", "FILE ADDRESS", "", SERVICE_NONE, "a root less", run_root_set_remove},
    {"root-set keys", "FILE", "key threshold", SERVICE_NONE, "other keys from the next document on", run_root_set_keys},
    {"root-set sign", "FILE", "key", SERVICE_NONE, "sign what was changed", run_root_set_sign},
    {"root-set show", "FILE", "", SERVICE_NONE, "what a set says, and who has to sign", run_root_set_show},
    {"root-set verify", "FILE", "", SERVICE_NONE, "would a daemon take it?", run_root_set_verify},
    {"network create", "NAME",
     "description ipv4 range auto-assign ipv6-auto ethertypes mtu public route dns storm multicast-rate multicast-limit ip-guard ra-guard "
     "dhcp-guard broadcast multicast",
     SERVICE_CONTROLLER, "make a network", run_network_create},
    {"network list", "", "", SERVICE_CONTROLLER, "networks of this controller", run_network_list},
    {"network show", "NWID", "", SERVICE_CONTROLLER, "a network's settings", run_network_show},
    {"network set", "NWID",
     "name description ipv4 range auto-assign ipv6-auto ethertypes mtu public route dns storm multicast-rate multicast-limit ip-guard "
     "ra-guard dhcp-guard broadcast multicast",
     SERVICE_CONTROLLER, "change a network", run_network_set},
    {"network delete", "NWID", "", SERVICE_CONTROLLER, "delete a network and its members", run_network_delete},
    {"topology", "NWID", "", SERVICE_CONTROLLER, "who reaches whom, directly or by a relay", run_topology},
    {"traffic", "NWID", "member last", SERVICE_CONTROLLER, "what its members carried, and what was dropped", run_traffic},
    {"member list", "NWID", "state online link tag search sort limit wide", SERVICE_CONTROLLER, "members and who waits for approval",
     run_member_list},
    {"member show", "NWID MEMBER", "", SERVICE_CONTROLLER, "all about a member", run_member_show},
    {"member approve", "NWID MEMBER...", "ip name description tag expires", SERVICE_CONTROLLER, "let members in", run_member_approve},
    {"member deny", "NWID MEMBER...", "reason", SERVICE_CONTROLLER, "refuse who asks", run_member_deny},
    {"member revoke", "NWID MEMBER...", "reason", SERVICE_CONTROLLER, "shut members out", run_member_revoke},
    {"member ban", "NWID MEMBER...", "reason", SERVICE_CONTROLLER, "refuse a key in every network of this controller", run_member_ban},
    {"member unban", "NWID MEMBER...", "", SERVICE_CONTROLLER, "no more; it waits for approval then", run_member_unban},
    {"member delete", "NWID MEMBER...", "", SERVICE_CONTROLLER, "forget members until they join again", run_member_delete},
    {"member set", "NWID MEMBER",
     "name description tag ip auto-ip expires bridge dhcp-server router relay anchor replicator passive ip-guard-exempt",
     SERVICE_CONTROLLER, "change a member", run_member_set},
    {"member preapprove", "NWID ADDRESS",
     "name description tag ip auto-ip expires bridge dhcp-server router relay anchor replicator passive ip-guard-exempt",
     SERVICE_CONTROLLER, "let it in as soon as it asks", run_member_preapprove},
    {"member reserve", "NWID ADDRESS",
     "name description tag ip auto-ip bridge dhcp-server router relay anchor replicator passive ip-guard-exempt", SERVICE_CONTROLLER,
     "what it will have once it asked and is approved", run_member_reserve},
    {"preapproval list", "NWID", "", SERVICE_CONTROLLER, "who would be let in, and what is reserved", run_preapproval_list},
    {"preapproval delete", "NWID ADDRESS", "", SERVICE_CONTROLLER, "it has to wait like others", run_preapproval_delete},
    {"invite create", "NWID", "name uses expires tag ephemeral root qr", SERVICE_CONTROLLER,
     "make an invitation: a link that lets in who has it", run_invite_create},
    {"invite list", "NWID", "", SERVICE_CONTROLLER, "invitations, open and ended", run_invite_list},
    {"invite revoke", "NWID ID", "", SERVICE_CONTROLLER, "withdraw an invitation; who came by it stays", run_invite_revoke},
    {"invite qr", "[LINK|-]", "", SERVICE_NONE, "draw an invitation as a code", run_invite_qr},
    {"page", "", "", SERVICE_CONTROLLER, "a one-time link to the controller's page", run_page},
    {"user list", "", "", SERVICE_CONTROLLER, "who may sign in on the page", run_user_list},
    {"user add", "NAME", "role password-file", SERVICE_CONTROLLER, "let somebody sign in on the page", run_user_add},
    {"user passwd", "NAME", "password-file", SERVICE_CONTROLLER, "give a user another password", run_user_passwd},
    {"user role", "NAME ROLE", "", SERVICE_CONTROLLER, "what a user may: read, approve or admin", run_user_role},
    {"user second-factor", "NAME", "off", SERVICE_CONTROLLER, "codes of a generator beside a user's password", run_user_second_factor},
    {"user recovery-codes", "NAME", "", SERVICE_CONTROLLER, "new codes on paper for who lost the generator", run_user_recovery_codes},
    {"user delete", "NAME", "", SERVICE_CONTROLLER, "end what a user may", run_user_delete},
    {"token list", "", "", SERVICE_CONTROLLER, "tokens of programs", run_token_list},
    {"token create", "NAME", "scope expires", SERVICE_CONTROLLER, "make a token; it is shown once", run_token_create},
    {"token revoke", "NAME", "", SERVICE_CONTROLLER, "end a token", run_token_revoke},
    {"webhook list", "", "", SERVICE_CONTROLLER, "who is told what happens", run_webhook_list},
    {"webhook add", "NAME URL", "event network enabled allow-private", SERVICE_CONTROLLER,
     "tell a program what happens; the secret it verifies by is shown once", run_webhook_add},
    {"webhook show", "WEBHOOK", "", SERVICE_CONTROLLER, "all about a webhook", run_webhook_show},
    {"webhook set", "WEBHOOK", "name to event network enabled allow-private", SERVICE_CONTROLLER, "change a webhook", run_webhook_set},
    {"webhook test", "WEBHOOK", "", SERVICE_CONTROLLER, "send it something now", run_webhook_test},
    {"webhook log", "WEBHOOK", "limit state", SERVICE_CONTROLLER, "what was sent, and what came of it", run_webhook_log},
    {"webhook retry", "WEBHOOK DELIVERY", "", SERVICE_CONTROLLER, "send that once more, at once", run_webhook_retry},
    {"webhook secret", "WEBHOOK", "", SERVICE_CONTROLLER, "another secret; it is shown once", run_webhook_secret},
    {"webhook delete", "WEBHOOK", "", SERVICE_CONTROLLER, "tell it no more", run_webhook_delete},
    {"audit", "", "network member actor action limit follow verify head", SERVICE_CONTROLLER, "who did what", run_audit},
    {"backup", "FILE", "passphrase-file yes", SERVICE_CONTROLLER, "the whole controller into one encrypted file", run_backup},
    {"restore", "FILE", "passphrase-file dry-run yes", SERVICE_NONE, "a backup back in place; the controller must be stopped", run_restore},
    {"controller trust", "", "", SERVICE_CONTROLLER, "go on from a restored, older database", run_controller_trust},
    {"completion bash", "", "", SERVICE_NONE, "print the script for bash", run_completion_bash},
    {"version", "", "", SERVICE_NONE, "print the version", run_version},
    {"help", "[VERB]...", "", SERVICE_NONE, "explain a verb", run_help},
    {0},
};

int complain(int code, const char *format, ...)
{
	char text[2048];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	fprintf(stderr, "farlan: %s\n", text);
	return code;
}

/* Does the verb's name begin with these words? *ret_used: how many words the whole name took, 0 when only a part stands there. */
static bool name_fits(const char *name, const char *const *words, unsigned n, unsigned *ret_used)
{
	unsigned used = 0;
	while (used < n) {
		size_t len = strcspn(name, " ");
		if (strlen(words[used]) != len || memcmp(name, words[used], len) != 0)
			return false;
		used++;
		name += len;
		if (!*name) {
			*ret_used = used;
			return true;
		}
		name++;
	}
	*ret_used = 0;
	return true;
}

const struct verb *verb_find(const char *const *words, unsigned n, unsigned *ret_used)
{
	for (const struct verb *verb = verbs; verb->name; verb++)
		if (name_fits(verb->name, words, n, ret_used) && *ret_used)
			return verb;
	return NULL;
}

bool verb_takes(const struct verb *verb, const struct option *option)
{
	static const char *const all[] = {"home", "output", "url", "token-file", "cacert", "pin", "help", "version"};
	size_t len = strlen(option->name);
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (!strcmp(all[i], option->name))
			return true;
	for (const char *p = verb->options; *p; p += strspn(p, " ")) {
		size_t word = strcspn(p, " ");
		if (word == len && !memcmp(p, option->name, len))
			return true;
		p += word;
	}
	return false;
}

/* What was meant: the second words of a group when the first is one, else first words. */
static int unknown_verb(const char *const *words, unsigned n)
{
	static char names[64][VERB_NAME_MAX];
	const char *list[65] = {NULL};
	char wrong[VERB_NAME_MAX], shown[VERB_NAME_MAX * 4];
	unsigned count = 0, used;
	bool group = false;
	for (const struct verb *verb = verbs; verb->name; verb++)
		group = group || name_fits(verb->name, words, 1, &used);
	for (const struct verb *verb = verbs; verb->name && count < 64; verb++) {
		bool in = name_fits(verb->name, words, 1, &used);
		if (group && !in)
			continue;
		snprintf(names[count], VERB_NAME_MAX, "%.*s", (int)(group ? strlen(verb->name) : strcspn(verb->name, " ")), verb->name);
		list[count] = names[count];
		count++;
	}
	if (group && n == 1) {
		fprintf(stderr, "farlan: %s needs one of:", words[0]);
		for (unsigned i = 0; i < count; i++)
			fprintf(stderr, "%s%s", i ? ", " : " ", strchr(list[i], ' ') + 1);
		fprintf(stderr, "\n");
		return EXIT_USAGE;
	}
	snprintf(wrong, sizeof(wrong), "%s%s%s", words[0], group ? " " : "", group ? words[1] : "");
	log_text(shown, sizeof(shown), wrong, strlen(wrong));
	const char *near = options_near(wrong, list);
	if (near)
		return complain(EXIT_USAGE, "unknown verb \"%s\"; did you mean \"%s\"?", shown, near);
	return complain(EXIT_USAGE, "unknown verb \"%s\"; farlan --help lists them", shown);
}

static unsigned words_least(const char *args, bool *ret_more, unsigned *ret_most)
{
	unsigned least = 0, most = 0;
	for (const char *p = args; *p; p += strspn(p, " ")) {
		least += *p != '[';
		most++;
		p += strcspn(p, " ");
	}
	*ret_more = strstr(args, "...") != NULL;
	*ret_most = most;
	return least;
}

static int check(struct call *call)
{
	static const char *const remote[] = {"url", "token-file", "cacert", "pin"};
	const struct verb *verb = call->verb;
	bool more;
	unsigned most, least = words_least(verb->args, &more, &most);
	for (unsigned i = 0; i < call->options.n_given; i++)
		if (!verb_takes(verb, call->options.given[i].option))
			return complain(EXIT_USAGE, "--%s does not go with \"farlan %s\"; see farlan help %s",
			                call->options.given[i].option->name, verb->name, verb->name);
	for (size_t i = 0; i < sizeof(remote) / sizeof(remote[0]); i++)
		if (options_has(&call->options, remote[i]) && verb->service != SERVICE_CONTROLLER && verb->service != SERVICE_EITHER)
			return complain(EXIT_USAGE, "--%s goes with verbs of the controller; \"farlan %s\" is about this machine",
			                remote[i], verb->name);
	if (call->n_words < least || (call->n_words > most && !more))
		return complain(EXIT_USAGE, "too %s words: farlan %s %s", call->n_words < least ? "few" : "many", verb->name, verb->args);
	const char *format = options_value(&call->options, "output");
	if (!format || !strcmp(format, "table"))
		call->format = FORMAT_TABLE;
	else if (!strcmp(format, "json"))
		call->format = FORMAT_JSON;
	else if (!strcmp(format, "jsonl"))
		call->format = FORMAT_JSONL;
	else
		return complain(EXIT_USAGE, "-o takes table, json or jsonl");
	return -1;
}

int verb_parse(struct call *ret, int argc, char *const *argv)
{
	static const char *const status[] = {"status"}, *const help[] = {"help"}, *const version[] = {"version"};
	char why[OPTIONS_WHY];
	unsigned used = 0;
	*ret = (struct call){0};
	if (!options_parse(&ret->options, cli_options, argc, argv, why))
		return complain(EXIT_USAGE, "%s", why);
	ret->words = ret->options.words;
	ret->n_words = ret->options.n_words;
	if (options_has(&ret->options, "version")) {
		ret->verb = verb_find(version, 1, &used);
		ret->n_words = 0;
		return -1;
	}
	if (options_has(&ret->options, "help")) {
		ret->verb = verb_find(help, 1, &used);
		/* "farlan join NWID --help" explains join */
		if (ret->n_words && verb_find(ret->words, ret->n_words, &used))
			ret->n_words = used;
		return -1;
	}
	ret->verb = ret->n_words ? verb_find(ret->words, ret->n_words, &used) : verb_find(status, 1, &used);
	if (!ret->verb)
		return unknown_verb(ret->words, ret->n_words);
	if (ret->n_words) {
		ret->words += used;
		ret->n_words -= used;
	}
	return check(ret);
}

int call_home(const struct call *call, enum home_kind kind, struct home *ret)
{
	char why[HOME_WHY];
	int rc = home_resolve(ret, kind, options_value(&call->options, "home"), why);
	return rc < 0 ? complain(home_exit(rc), "%s", why) : 0;
}

void word_hide(const char *word)
{
	char *at = (char *)(uintptr_t)word;
	memset(at, 'x', strlen(at));
}

int word_nwid(const char *word, char ret_nwid[17], char ret_pin[27])
{
	uint64_t nwid;
	uint8_t bits[17];
	bool pin;
	char shown[128];
	if (!nwid_parse(word, &nwid, &pin, bits)) {
		log_text(shown, sizeof(shown), word, strlen(word));
		return complain(EXIT_USAGE,
		                "\"%s\" is no network id: it is 16 hex digits, like 7f3a91c04e000001; the network's admin has it", shown);
	}
	nwid_format(nwid, ret_nwid);
	if (ret_pin)
		snprintf(ret_pin, 27, "%s", pin ? strchr(word, '-') + 1 : "");
	return 0;
}

int call_wait(const struct call *call, unsigned fallback_s, unsigned *ret_ms)
{
	const char *text = options_value(&call->options, "wait");
	char *end;
	*ret_ms = fallback_s * 1000;
	if (!text)
		return 0;
	double s = strtod(text, &end);
	if (strspn(text, "0123456789.") != strlen(text) || !*text || *end || !(s >= 0 && s <= WAIT_MAX_S))
		return complain(EXIT_USAGE, "--wait takes seconds from 0 to %d", WAIT_MAX_S);
	*ret_ms = (unsigned)(s * 1000);
	return 0;
}
