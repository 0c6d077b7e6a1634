/* server_files.c: what `farlan server` writes: two config files and its own record; and the addresses that go into them.
 *
 * A config file begins with our mark or is left alone: somebody else's settings are not ours to replace. Each file is written beside its
 * name and renamed. Secrets (the root's gate) are in files of mode 0600 that belong to the daemon's user. The gate is made once
 * and then read back from the root's config: a new one would shut out everybody who has the old.
 */
#include "ui/cli/server.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <netinet/in.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/base/log.h"
#include "proto/random.h"
#include "ui/config.h"
#include "ui/file.h"

#define ROOT_DIR    "/var/lib/farlan-root"
#define ETC_DIR     "/etc/farlan"
#define RECORD_NAME "server.json"
#define PORT        9993
#define TEXT_MAX    (ROOT_LINE_MAX + 1024)
#define PURGE_FDS   16

/* ---- where everything is ------------------------------------------------------------------------------------------- */

static int homes(struct server *s, const char *dir)
{
	char root[HOME_PATH_MAX], controller[HOME_PATH_MAX], why[HOME_WHY];
	bool fits = true;
	if (dir) {
		fits = snprintf(s->dir, sizeof(s->dir), "%s", dir) < (int)sizeof(s->dir) - 64 &&
		       snprintf(root, sizeof(root), "%s/root", dir) < (int)sizeof(root) &&
		       snprintf(controller, sizeof(controller), "%s/controller", dir) < (int)sizeof(controller);
		snprintf(s->record_path, sizeof(s->record_path), "%s/" RECORD_NAME, dir);
	} else {
		snprintf(root, sizeof(root), ROOT_DIR);
		snprintf(s->record_path, sizeof(s->record_path), ETC_DIR "/" RECORD_NAME);
	}
	int rc = fits ? home_resolve(&s->root, HOME_NODE, root, why) : -ENAMETOOLONG;
	if (rc == 0)
		rc = home_resolve(&s->controller, HOME_CONTROLLER, dir ? controller : NULL, why);
	if (rc < 0)
		return complain(EXIT_USAGE, "%s", fits ? why : "--home: a shorter path, please");
	return 0;
}

static void record_take(const json_t *o, const char *name, char *ret, size_t room)
{
	const char *value = json_string_value(json_object_get(o, name));
	snprintf(ret, room, "%s", value ? value : "");
}

static int record_load(struct server *s)
{
	json_error_t error;
	char shown[128];
	if (access(s->record_path, R_OK) != 0)
		return errno == ENOENT || errno == ENOTDIR
		           ? 0
		           : complain(EXIT_PERMISSION, "%s cannot be read: %s; use sudo", s->record_path, strerror(errno));
	json_t *o = json_load_file(s->record_path, JSON_REJECT_DUPLICATES, &error);
	if (!o)
		return complain(EXIT_FAILED, "%s cannot be read: %s; remove it to begin anew", s->record_path, error.text);
	s->known = true;
	const char *schema = json_string_value(json_object_get(o, "schema"));
	if (!schema || strcmp(schema, SERVER_SCHEMA) != 0) {
		log_text(shown, sizeof(shown), schema ? schema : "", schema ? strlen(schema) : 0);
		json_decref(o);
		return complain(EXIT_CONFLICT,
		                "%s is of another version of Farlan (\"%s\", this one writes \"" SERVER_SCHEMA
		                "\"): use that version to change or purge "
		                "it, or move the file away to begin anew",
		                s->record_path, shown);
	}
	record_take(o, "listen", s->record.listen, sizeof(s->record.listen));
	record_take(o, "address", s->record.address, sizeof(s->record.address));
	record_take(o, "http", s->record.http, sizeof(s->record.http));
	record_take(o, "https", s->record.https, sizeof(s->record.https));
	if (json_object_get(o, "zt1"))
		record_take(o, "zt1", s->record.zt1, sizeof(s->record.zt1));
	record_take(o, "network", s->record.network, sizeof(s->record.network));
	json_decref(o);
	return 0;
}

int server_open(struct server *s, const struct call *call)
{
	const char *dir = options_value(&call->options, "home");
	*s = (struct server){.call = call, .record = {.http = "127.0.0.1:8080", .https = "0.0.0.0:8443", .zt1 = "none"}};
	if (!dir)
		dir = getenv("FARLAN_HOME");
	if (dir && !*dir)
		dir = NULL;
	s->systemd = !dir;
	if (s->systemd && access("/run/systemd/system", F_OK) != 0)
		return complain(EXIT_USAGE,
		                "no systemd runs here; give --home DIR, and farlan runs the daemons itself, with all their files there");
	int code = homes(s, dir);
	return code ? code : record_load(s);
}

/* ---- writing ------------------------------------------------------------------------------------------------------- */

static int write_failed(const char *path, int error)
{
	return complain(error == EACCES || error == EPERM ? EXIT_PERMISSION : EXIT_FAILED, "cannot write %s: %s%s", path, strerror(error),
	                error == EACCES || error == EPERM ? "; use sudo"
	                : error == ENOENT                 ? "; make the folder above it first"
	                                                  : "");
}

/* Beside its name, then renamed. user NULL: stays ours. */
static int text_write(const char *path, const char *text, mode_t mode, const struct passwd *user)
{
	char fresh[HOME_PATH_MAX + 8];
	size_t len = strlen(text);
	snprintf(fresh, sizeof(fresh), "%s.new", path);
	unlink(fresh); /* of one that was interrupted */
	int fd = open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
	if (fd < 0)
		return write_failed(path, errno);
	bool good = write(fd, text, len) == (ssize_t)len && fchmod(fd, mode) == 0 &&
	            (!user || fchown(fd, user->pw_uid, user->pw_gid) == 0) && fsync(fd) == 0;
	int error = errno;
	close(fd);
	if (good && rename(fresh, path) == 0)
		return 0;
	error = good ? errno : error;
	unlink(fresh);
	return write_failed(path, error);
}

int record_save(const struct server *s)
{
	const struct server_record *r = &s->record;
	json_t *o = json_object();
	json_object_set_new(o, "schema", json_string(SERVER_SCHEMA));
	json_object_set_new(o, "listen", json_string(r->listen));
	json_object_set_new(o, "address", json_string(r->address));
	json_object_set_new(o, "http", json_string(r->http));
	json_object_set_new(o, "https", json_string(r->https));
	json_object_set_new(o, "zt1", json_string(r->zt1));
	json_object_set_new(o, "network", json_string(r->network));
	char *text = json_dumps(o, JSON_INDENT(1));
	json_decref(o);
	int code = text ? text_write(s->record_path, text, 0600, NULL) : complain(EXIT_FAILED, "out of memory");
	free(text);
	return code;
}

/* The user a daemon runs as by its unit; NULL by hand. */
static int user_of(const struct server *s, const struct home *home, const struct passwd **ret)
{
	const char *name = home->kind == HOME_NODE ? "_farlan-root" : "_farlan-controller";
	*ret = s->systemd ? getpwnam(name) : NULL;
	if (!s->systemd || *ret)
		return 0;
	return complain(EXIT_FAILED, "there is no user %s: install Farlan with its units (make install), then: sudo systemd-sysusers",
	                name);
}

static int folder_make(const char *path, mode_t mode, const struct passwd *user)
{
	if (mkdir(path, mode) < 0)
		return errno == EEXIST ? 0 : write_failed(path, errno);
	return user && chown(path, user->pw_uid, user->pw_gid) < 0 ? write_failed(path, errno) : 0;
}

/* text in place of the file, unless it is what stands there. */
static int config_write(const struct server *s, const struct home *home, const char *text, bool *ret_changed)
{
	char old[TEXT_MAX];
	const struct passwd *user;
	long len = file_read(home->config, old, sizeof(old) - 1, NULL);
	old[len > 0 ? len : 0] = '\0';
	if ((len < 0 && len != -ENOENT) || (len > 0 && strncmp(old, SERVER_MARK, strlen(SERVER_MARK)) != 0))
		return complain(len == -EACCES ? EXIT_PERMISSION : EXIT_CONFLICT,
		                "%s is there already and not of farlan server up, which would replace it: move it away, or give --home DIR "
		                "for a server "
		                "beside what runs here",
		                home->config);
	*ret_changed = strcmp(old, text) != 0;
	int code = user_of(s, home, &user);
	if (code == 0 && s->systemd && home->kind == HOME_CONTROLLER)
		code = folder_make(ETC_DIR, 0755, NULL);
	else if (code == 0)
		code = folder_make(home->dir, 0700, user);
	return code || !*ret_changed ? code : text_write(home->config, text, 0600, user);
}

int server_begin(const struct server *s)
{
	const struct passwd *user;
	int code = user_of(s, &s->root, &user);
	if (code == 0)
		code = user_of(s, &s->controller, &user);
	if (code == 0)
		code = folder_make(s->systemd ? ETC_DIR : s->dir, s->systemd ? 0755 : 0700, NULL);
	return code ? code : record_save(s);
}

int root_config_write(const struct server *s, bool *ret_changed)
{
	char text[TEXT_MAX], gate[44], why[CONFIG_WHY];
	struct config config;
	uint8_t secret[32];
	static const uint8_t none[32];
	config_init(&config);
	if (config_load(&config, &s->root, why) == 0 && memcmp(config.root_gate, none, sizeof(none)) != 0)
		memcpy(secret, config.root_gate, sizeof(secret));
	else
		random_bytes(secret, sizeof(secret));
	config_fini(&config);
	base64_format(secret, sizeof(secret), gate, sizeof(gate));
	snprintf(text, sizeof(text), SERVER_MARK "root = yes\nroot-gate = %s\n%s%s%s", gate, *s->record.listen ? "listen = " : "",
	         s->record.listen, *s->record.listen ? "\n" : "");
	int code = config_write(s, &s->root, text, ret_changed);
	explicit_bzero(secret, sizeof(secret));
	explicit_bzero(gate, sizeof(gate));
	explicit_bzero(text, sizeof(text));
	return code;
}

int controller_config_write(const struct server *s, const char *line, bool *ret_changed)
{
	char text[TEXT_MAX], host[SERVER_HOST_MAX + 8];
	struct root_name name;
	snprintf(host, sizeof(host), "%s:1", s->record.address);
	bool named = root_name_parse(host, &name);
	bool zt1 = strcmp(s->record.zt1, "none") != 0;
	snprintf(text, sizeof(text), SERVER_MARK "add-root = %s\nhttp = %s\nhttps = %s\n%s%s%s%s%s%s", line, s->record.http,
	         s->record.https, named ? "page-name = " : "", named ? s->record.address : "", named ? "\n" : "", zt1 ? "zt1 = " : "",
	         zt1 ? s->record.zt1 : "", zt1 ? "\n" : "");
	int code = config_write(s, &s->controller, text, ret_changed);
	explicit_bzero(text, sizeof(text));
	return code;
}

/* ---- addresses ----------------------------------------------------------------------------------------------------- */

socklen_t server_sockaddr(const struct endpoint *e, struct sockaddr_storage *ret)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)ret;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)ret;
	memset(ret, 0, sizeof(*ret));
	if (e->family == 4) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons(e->port);
		memcpy(&v4->sin_addr, e->ip, 4);
		return sizeof(*v4);
	}
	v6->sin6_family = AF_INET6;
	v6->sin6_port = htons(e->port);
	memcpy(&v6->sin6_addr, e->ip, 16);
	return sizeof(*v6);
}

/* Asked of the routing table by a socket that sends nothing; the far ends are of RFC 5737 and RFC 3849. */
static struct endpoint own_address(int family)
{
	struct endpoint far = family == 4 ? (struct endpoint){.family = 4, .port = 9, .ip = {192, 0, 2, 1}}
	                                  : (struct endpoint){.family = 6, .port = 9, .ip = {0x20, 0x01, 0x0d, 0xb8, [15] = 1}};
	struct endpoint own = {0};
	struct sockaddr_storage at;
	socklen_t len = server_sockaddr(&far, &at);
	int fd = socket(family == 4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&at, len) == 0 && getsockname(fd, (struct sockaddr *)&at, &len) == 0) {
		own.family = (uint8_t)family;
		if (family == 4)
			memcpy(own.ip, &((struct sockaddr_in *)&at)->sin_addr, 4);
		else
			memcpy(own.ip, &((struct sockaddr_in6 *)&at)->sin6_addr, 16);
	}
	if (fd >= 0)
		close(fd);
	return own;
}

static bool is_local(const struct endpoint *e)
{
	struct endpoint at = *e;
	struct sockaddr_storage to;
	at.port = 0;
	socklen_t len = server_sockaddr(&at, &to);
	int fd = socket(e->family == 4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool local = fd >= 0 && bind(fd, (struct sockaddr *)&to, len) == 0;
	if (fd >= 0)
		close(fd);
	return local;
}

static void endpoint_add(struct root_line *line, struct endpoint e, uint16_t port)
{
	if (!e.family || line->n_endpoints + line->n_names == ROOT_ENDPOINTS_MAX)
		return;
	e.port = e.port ? e.port : port;
	for (unsigned i = 0; i < line->n_endpoints; i++)
		if (endpoint_equal(&line->endpoints[i], &e))
			return;
	line->endpoints[line->n_endpoints++] = e;
}

/* "HOST" or "HOST:PORT" as the operator gave it. */
static bool address_add(struct root_line *line, const char *text, uint16_t port)
{
	char with[SERVER_HOST_MAX + 16];
	struct endpoint e;
	bool v6 = strchr(text, ':') && strchr(strchr(text, ':') + 1, ':') && *text != '[';
	if (endpoint_parse(text, &e)) {
		endpoint_add(line, e, port);
		return true;
	}
	if (root_name_parse(text, &line->names[0])) {
		line->n_names = 1;
		return true;
	}
	snprintf(with, sizeof(with), v6 ? "[%s]:%u" : "%s:%u", text, port);
	if (endpoint_parse(with, &e)) {
		endpoint_add(line, e, port);
		return true;
	}
	line->n_names = root_name_parse(with, &line->names[0]);
	return line->n_names;
}

/* What is told, and where this machine is reached from inside when that is an address of somebody else's: of the NAT before it. */
static int line_places(const struct server *s, struct root_line *line)
{
	static const uint8_t zero[16];
	struct endpoint listen = {.port = PORT};
	bool given = *s->record.listen && endpoint_parse(s->record.listen, &listen), any = !given || !memcmp(listen.ip, zero, 16);
	if (*s->record.address && !address_add(line, s->record.address, listen.port))
		return complain(EXIT_USAGE, "--address takes an address or a name by which others reach this machine, like 203.0.113.9 or "
		                            "farlan.example.net");
	if (*s->record.address && line->n_endpoints && is_local(&line->endpoints[0]))
		return 0;
	if (!any) {
		endpoint_add(line, listen, listen.port);
		return 0;
	}
	for (int family = 4; family <= 6; family += 2)
		if (!given || listen.family == family)
			endpoint_add(line, own_address(family), listen.port);
	if (line->n_endpoints + line->n_names)
		return 0;
	return complain(EXIT_FAILED, "this machine has no address that leads anywhere; give the one others reach it by: --address HOST");
}

int server_places_check(const struct server *s)
{
	struct root_line line = {0};
	return line_places(s, &line);
}

int server_line(const struct server *s, char *ret_line)
{
	struct root_line line = {0};
	int code = line_places(s, &line);
	if (code == 0)
		code = root_line_of(&s->root, &line);
	if (code == 0)
		root_line_format(&line, ret_line, ROOT_LINE_MAX);
	explicit_bzero(&line, sizeof(line));
	return code;
}

bool server_host(const struct server *s, char *buf, size_t room)
{
	struct root_line line = {0};
	char text[ENDPOINT_TEXT_MAX];
	if (line_places(s, &line))
		return false;
	if (line.n_names) {
		snprintf(buf, room, "%s", line.names[0].host);
		return true;
	}
	endpoint_format(&line.endpoints[0], text, sizeof(text));
	*strrchr(text, ':') = '\0';
	snprintf(buf, room, "%s", text);
	return true;
}

/* ---- the end ------------------------------------------------------------------------------------------------------- */

static int purge_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
	(void)st, (void)kind, (void)ftw;
	return remove(path) < 0 && errno != ENOENT ? errno : 0;
}

static int folder_purge(const char *path)
{
	int error = nftw(path, purge_one, PURGE_FDS, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
	error = error < 0 ? errno : error;
	return error == 0 || error == ENOENT ? 0 : complain(home_exit(-error), "cannot remove %s: %s", path, strerror(error));
}

static int file_purge(const char *path)
{
	return unlink(path) == 0 || errno == ENOENT ? 0 : complain(home_exit(-errno), "cannot remove %s: %s", path, strerror(errno));
}

int server_purge(const struct server *s)
{
	char path[HOME_PATH_MAX + 8];
	const struct home *const both[] = {&s->root, &s->controller};
	for (unsigned i = 0; i < 2; i++) {
		int code = folder_purge(both[i]->dir);
		if (code == 0 && s->systemd)
			code = file_purge(both[i]->config);
		snprintf(path, sizeof(path), "%s.log", both[i]->dir);
		if (code == 0 && !s->systemd)
			code = file_purge(path);
		if (code)
			return code;
	}
	int code = file_purge(s->record_path);
	if (code == 0 && !s->systemd)
		rmdir(s->dir); /* when nothing else is in it */
	return code;
}
