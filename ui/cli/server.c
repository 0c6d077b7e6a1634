/* server.c: server up, status, down: from a bare machine to a root, a controller, a network and an invitation, and back.
 *
 * `up` may be run again at any time: each step looks first whether it is done. What was decided once (ports, address, the network) stands in the
 * record, which is written before anything else, so that `down` undoes what a failed `up` left. The order follows from who needs whom: the root's
 * line holds its identity, so the root starts first; the controller's config holds that line. The controller itself is
 * asked for everything else, by its socket, as the other verbs do. Progress goes to a terminal only; standard output has the result.
 */
#include "ui/cli/server.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proto/endpoint.h"
#include "ui/cli/firewall.h"
#include "ui/cli/output.h"
#include "ui/qr.h"

#define POOL         "10.77.0.0/24"
#define INVITE_USES  5
#define INVITE_S     3600
#define PORT         9993
#define ZT1          "127.0.0.1:9993" /* TCP: where these programs look unless told otherwise */
#define ONLINE_TRIES 200
#define ONLINE_US    100000
#define PATH_ROOM    96

struct up {
	struct server s;
	struct client *client; /* the controller's; NULL before it runs */
	char line[ROOT_LINE_MAX];
	char name[64 * 4]; /* the network's, for people */
	char ipv4[64];
	char certificate[65]; /* SHA-256 of the page's, in hex; "" */
	char *link, *page;    /* owned */
};

static void step(const char *what, const char *detail)
{
	if (isatty(STDERR_FILENO))
		fprintf(stderr, "%-11s%s\n", what, detail);
}

/* ---- what is asked for --------------------------------------------------------------------------------------------- */

static int take(const struct call *call, const char *option, char *to, size_t room, const char *wanted, bool none)
{
	const char *value = options_value(&call->options, option);
	struct endpoint e;
	if (!value)
		return 0;
	if (strlen(value) >= room || (wanted && !endpoint_parse(value, &e) && !(none && !strcmp(value, "none"))))
		return complain(EXIT_USAGE, "--%s takes %s", option, wanted ? wanted : "a shorter text");
	snprintf(to, room, "%s", value);
	return 0;
}

static int options_take(struct server *s)
{
	struct server_record *r = &s->record;
	int code = take(s->call, "listen", r->listen, sizeof(r->listen), "IP:PORT, like 0.0.0.0:9993", false);
	if (code == 0)
		code = take(s->call, "address", r->address, sizeof(r->address), NULL, false);
	if (code == 0)
		code = take(s->call, "http", r->http, sizeof(r->http), "IP:PORT or none", true);
	if (code == 0)
		code = take(s->call, "https", r->https, sizeof(r->https), "IP:PORT or none", true);
	if (code == 0 && options_has(&s->call->options, "zt1-api") && !strcmp(r->zt1, "none"))
		snprintf(r->zt1, sizeof(r->zt1), ZT1);
	if (code == 0)
		code = take(s->call, "zt1", r->zt1, sizeof(r->zt1), "IP:PORT of this machine, like " ZT1 ", or none", true);
	return code;
}

/* ---- may it be? ---------------------------------------------------------------------------------------------------- */

/* errno of binding there, 0 if it may. */
static int bind_try(const struct endpoint *e, int type)
{
	struct sockaddr_storage to;
	socklen_t len = server_sockaddr(e, &to);
	int one = 1, fd = socket(e->family == 4 ? AF_INET : AF_INET6, type | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return 0; /* a family that is not here: the daemon leaves it out too */
	if (e->family == 6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
	if (type == SOCK_STREAM)
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	int error = bind(fd, (struct sockaddr *)&to, len) < 0 ? errno : 0;
	close(fd);
	return error;
}

static int port_free(const struct endpoint *e, int type, const char *option)
{
	char text[ENDPOINT_TEXT_MAX];
	const char *kind = type == SOCK_DGRAM ? "UDP" : "TCP";
	endpoint_format(e, text, sizeof(text));
	int error = bind_try(e, type);
	if (error == EADDRINUSE)
		return complain(EXIT_CONFLICT,
		                "%s %s is in use by another program (ss -l%cnp sport = :%u names it): end that, or give --%s IP:PORT", kind,
		                text, type == SOCK_DGRAM ? 'u' : 't', e->port, option);
	if (error == EADDRNOTAVAIL)
		return complain(EXIT_USAGE, "%s is no address of this machine; give another --%s", text, option);
	if (error == EACCES)
		return complain(EXIT_PERMISSION, "%s %s needs rights: use sudo, or a port from 1024 with --%s", kind, text, option);
	return error ? complain(EXIT_FAILED, "%s %s: %s", kind, text, strerror(error)) : 0;
}

static int ports_free(const struct server *s)
{
	struct endpoint e = {.family = 4, .port = PORT}, e6 = {.family = 6, .port = PORT};
	long pid;
	int code = 0;
	if (!daemon_runs(&s->root, &pid)) {
		if (*s->record.listen)
			endpoint_parse(s->record.listen, &e);
		code = port_free(&e, SOCK_DGRAM, "listen");
		if (code == 0 && !*s->record.listen)
			code = port_free(&e6, SOCK_DGRAM, "listen");
	}
	if (code || daemon_runs(&s->controller, &pid))
		return code;
	if (endpoint_parse(s->record.http, &e))
		code = port_free(&e, SOCK_STREAM, "http");
	if (code == 0 && endpoint_parse(s->record.https, &e))
		code = port_free(&e, SOCK_STREAM, "https");
	if (code == 0 && endpoint_parse(s->record.zt1, &e))
		code = port_free(&e, SOCK_STREAM, "zt1");
	return code;
}

/* With systemd the daemons run as users of their own, which only root sets up. */
static int rights(const struct server *s)
{
	if (!s->systemd || geteuid() == 0)
		return 0;
	return complain(EXIT_PERMISSION,
	                "files in /etc and units of systemd need root: sudo farlan %s; or --home DIR for a server of your own",
	                s->call->verb->name);
}

/* ---- the steps ----------------------------------------------------------------------------------------------------- */

static int root_up(struct up *u)
{
	bool changed;
	int code = root_config_write(&u->s, &changed);
	if (code == 0)
		code = daemon_start(&u->s, &u->s.root, changed);
	if (code == 0)
		code = server_line(&u->s, u->line);
	if (code == 0)
		step("root", u->s.systemd ? "farlan-root.service runs" : "runs");
	return code;
}

static int controller_up(struct up *u)
{
	bool changed;
	int code = controller_config_write(&u->s, u->line, &changed);
	if (code == 0)
		code = daemon_start(&u->s, &u->s.controller, changed);
	if (code == 0)
		code = client_open_at(&u->client, &u->s.controller);
	if (code == 0)
		step("controller", u->s.systemd ? "farlan-controller.service runs" : "runs");
	return code;
}

static int online_wait(struct up *u)
{
	for (unsigned i = 0; i < ONLINE_TRIES; i++) {
		json_t *status = NULL;
		int code = client_ask(u->client, "GET", "/v1/status", NULL, &status);
		bool online = json_is_true(json_object_get(status, "online"));
		snprintf(u->certificate, sizeof(u->certificate), "%s", code ? "" : field(status, "page_certificate"));
		json_decref(status);
		if (code || online)
			return code;
		usleep(ONLINE_US);
	}
	return complain(EXIT_PENDING,
	                "the controller does not reach the root at this machine's own address; give one that works from here too: "
	                "--address HOST");
}

static void network_take(struct up *u, const json_t *network)
{
	char cell[CELL_MAX];
	snprintf(u->s.record.network, sizeof(u->s.record.network), "%s", field(network, "id"));
	snprintf(u->name, sizeof(u->name), "%s", cell_text(network, "name", CELL_TEXT, cell));
	snprintf(u->ipv4, sizeof(u->ipv4), "%s", cell_text(network, "ipv4", CELL_TEXT, cell));
}

/* The one made last time, or one of that name, or a new one. */
static int network_up(struct up *u)
{
	const char *name = options_value(&u->s.call->options, "name"), *ipv4 = options_value(&u->s.call->options, "ipv4");
	json_t *list = NULL, *one, *made = NULL;
	size_t i;
	int code = client_ask(u->client, "GET", "/v1/networks", NULL, &list);
	json_array_foreach(json_object_get(list, "networks"), i, one)
	{
		bool same = name ? !strcmp(field(one, "name"), name) : !strcmp(field(one, "id"), u->s.record.network);
		if (!same)
			continue;
		network_take(u, one);
		json_decref(list);
		return 0;
	}
	json_decref(list);
	if (code)
		return code;
	json_t *body = json_pack("{s:s}", "name", name ? name : "home");
	if (!body)
		return complain(EXIT_USAGE, "a name is UTF-8 text");
	if (!ipv4 || strcmp(ipv4, "none") != 0)
		json_object_set_new(body, "ipv4", json_string(ipv4 ? ipv4 : POOL));
	code = client_ask(u->client, "POST", "/v1/networks", body, &made);
	if (code)
		return code;
	network_take(u, made);
	json_decref(made);
	step("network", u->s.record.network);
	return 0;
}

static int invite_up(struct up *u)
{
	char path[PATH_ROOM];
	json_t *invite = NULL;
	snprintf(path, sizeof(path), "/v1/networks/%s/invites", u->s.record.network);
	json_t *body = json_pack("{s:s, s:i, s:i}", "name", "server up", "uses", INVITE_USES, "expires_in", INVITE_S);
	int code = client_ask(u->client, "POST", path, body, &invite);
	if (code == 0)
		u->link = strdup(field(invite, "link"));
	json_decref(invite);
	return code || u->link ? code : complain(EXIT_FAILED, "out of memory");
}

/* The controller names itself by what works on its machine; others come by the address they know. */
static int page_up(struct up *u)
{
	static const char here[] = "https://127.0.0.1:";
	json_t *page = NULL;
	struct endpoint at;
	if (!strcmp(u->s.record.http, "none") && !strcmp(u->s.record.https, "none"))
		return 0;
	int code = client_ask(u->client, "POST", "/v1/page-link", NULL, &page);
	if (code)
		return code;
	const char *url = field(page, "url");
	char host[SERVER_HOST_MAX + 2];
	bool anywhere = endpoint_parse(u->s.record.https, &at) && !memcmp(at.ip, (const uint8_t[16]){0}, 16);
	if (anywhere && !strncmp(url, here, strlen(here)) && server_host(&u->s, host, sizeof(host))) {
		if (asprintf(&u->page, "https://%s:%s", host, url + strlen(here)) < 0)
			u->page = NULL;
	} else {
		u->page = strdup(url);
	}
	json_decref(page);
	return u->page ? 0 : complain(EXIT_FAILED, "out of memory");
}

/* ---- what is said -------------------------------------------------------------------------------------------------- */

static void firewall_say(const struct server *s)
{
	struct endpoint at = {.port = PORT};
	if (*s->record.listen)
		endpoint_parse(s->record.listen, &at);
	json_t *look = firewall_look(at.port);
	if (json_is_true(json_object_get(look, "checked")) && !json_is_true(json_object_get(look, "accepted")) &&
	    !strcmp(field(look, "policy"), "drop"))
		fprintf(stderr,
		        "farlan: this machine's firewall drops UDP %u; let it in, for example: nft add rule inet filter input udp dport { "
		        "%u, %u } "
		        "accept\n",
		        at.port, at.port, at.port + 1);
	json_decref(look);
}

static void down_command(const struct server *s, char *buf, size_t room)
{
	snprintf(buf, room, "farlan %s%s%sserver down --purge", s->systemd ? "" : "--home ", s->dir, s->systemd ? "" : " ");
}

static void print(const struct up *u)
{
	char undo[HOME_PATH_MAX + 64];
	struct endpoint at = {.port = PORT};
	if (*u->s.record.listen)
		endpoint_parse(u->s.record.listen, &at);
	down_command(&u->s, undo, sizeof(undo));
	printf("network     %s  %s  %s\n", u->s.record.network, u->name, u->ipv4);
	printf("root        to be let in by firewalls: UDP %u and %u, TCP 443%s\n", at.port, at.port + 1,
	       strcmp(u->s.record.https, "none") != 0 ? "; the page's TCP port too" : "");
	if (u->page)
		printf("admin page  %s\n            good for one visit within 15 minutes; another: farlan%s%s page\n", u->page,
		       u->s.systemd ? "" : " --home ", u->s.systemd ? "" : u->s.controller.dir);
	if (u->page && *u->certificate && !strncmp(u->page, "https", 5))
		printf("            its certificate is its own, sha256 %s\n", u->certificate);
	if (strcmp(u->s.record.zt1, "none") != 0)
		printf("zt1         %s, token in %s/zt1.token; ZeroTier nodes cannot join\n", u->s.record.zt1, u->s.controller.dir);
	printf("undo        %s\n", undo);
	printf("add a machine: up to %d within an hour, each by\n    farlan join '%s'\n", INVITE_USES, u->link);
	if (isatty(STDOUT_FILENO))
		qr_print(stdout, u->link, true);
}

static int report(const struct up *u)
{
	if (u->s.call->format == FORMAT_TABLE) {
		print(u);
		return EXIT_OK;
	}
	json_t *o = json_pack("{s:s, s:s, s:s, s:s?, s:s?}", "schema", "farlan.server/1", "network", u->s.record.network, "invitation",
	                      u->link, "page", u->page, "certificate", *u->certificate ? u->certificate : NULL);
	int code = output_json(u->s.call, o, NULL, NULL);
	json_decref(o);
	return code;
}

static int up_steps(struct up *u)
{
	int code = rights(&u->s);
	if (code == 0)
		code = options_take(&u->s);
	if (code == 0)
		code = server_places_check(&u->s);
	if (code == 0)
		code = ports_free(&u->s);
	if (code == 0)
		code = server_begin(&u->s);
	if (code == 0)
		code = root_up(u);
	if (code == 0)
		code = controller_up(u);
	if (code == 0)
		code = online_wait(u);
	if (code == 0)
		code = network_up(u);
	if (code == 0)
		code = record_save(&u->s);
	if (code == 0)
		code = invite_up(u);
	return code ? code : page_up(u);
}

int run_server_up(struct call *call)
{
	struct up u = {0};
	int code = server_open(&u.s, call);
	if (code)
		return code;
	code = up_steps(&u);
	if (code == 0) {
		firewall_say(&u.s);
		code = report(&u);
	}
	client_close(u.client);
	explicit_bzero(u.line, sizeof(u.line));
	free(u.link);
	free(u.page);
	return code;
}

/* ---- status and down ------------------------------------------------------------------------------------------------ */

static int nothing_here(const struct server *s)
{
	return complain(EXIT_NOT_FOUND, "farlan server up was never run here%s%s", s->systemd ? "" : ": there is no ",
	                s->systemd ? "" : s->record_path);
}

static json_t *daemon_json(const struct home *home)
{
	long pid = 0;
	bool runs = daemon_runs(home, &pid);
	json_t *o = json_object();
	json_object_set_new(o, "program", json_string(home_program(home->kind)));
	json_object_set_new(o, "role", json_string(home->kind == HOME_NODE ? "root" : "controller"));
	json_object_set_new(o, "state", json_string(!runs ? "stopped" : daemon_answers(home) ? "runs" : "silent"));
	json_object_set_new(o, "pid", runs && pid ? json_integer(pid) : json_null());
	json_object_set_new(o, "home", json_string(home->dir));
	return o;
}

int run_server_status(struct call *call)
{
	static const struct column columns[] = {
	    {"ROLE", "role", CELL_TEXT}, {"STATE", "state", CELL_TEXT}, {"PID", "pid", CELL_COUNT}, {"HOME", "home", CELL_TEXT}, {0}};
	struct server s;
	int code = server_open(&s, call);
	if (code == 0 && !s.known)
		code = nothing_here(&s);
	if (code)
		return code;
	json_t *list = json_array(), *o = json_pack("{s:s, s:s}", "schema", "farlan.server.status/1", "network", s.record.network);
	json_object_set_new(o, "daemons", list);
	json_array_append_new(list, daemon_json(&s.root));
	json_array_append_new(list, daemon_json(&s.controller));
	bool both = daemon_answers(&s.root) && daemon_answers(&s.controller);
	code = call->format == FORMAT_TABLE ? output_table(list, columns) : output_json(call, o, NULL, NULL);
	json_decref(o);
	if (code == 0 && !both)
		code = complain(EXIT_NO_DAEMON, "not everything runs; start it: farlan server up");
	return code;
}

/* A purge takes away what nobody can make again. */
static int purge_asked(const struct server *s)
{
	char answer[16] = "";
	if (options_has(&s->call->options, "yes"))
		return 0;
	if (!isatty(STDIN_FILENO))
		return complain(
		    EXIT_USAGE,
		    "this deletes the controller with its networks and the root's identity for ever: --yes says that it is meant");
	fprintf(stderr,
	        "This deletes the controller with its networks and the root's identity for ever (%s, %s).\nType yes: ", s->controller.dir,
	        s->root.dir);
	if (fgets(answer, sizeof(answer), stdin) && !strcmp(answer, "yes\n"))
		return 0;
	return complain(EXIT_FAILED, "nothing was changed");
}

int run_server_down(struct call *call)
{
	bool purge = options_has(&call->options, "purge");
	struct server s;
	int code = server_open(&s, call);
	if (code == 0)
		code = rights(&s);
	if (code == 0 && !s.known)
		code = nothing_here(&s);
	if (code == 0 && purge)
		code = purge_asked(&s);
	if (code == 0)
		code = daemon_stop(&s, &s.controller, true);
	if (code == 0)
		code = daemon_stop(&s, &s.root, true);
	return code == 0 && purge ? server_purge(&s) : code;
}
