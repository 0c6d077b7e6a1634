/* client.c: HTTP over a unix socket by libcurl, JSON by jansson, and the sentences for a daemon that does not answer.
 *
 * A daemon that is down is the error people meet first, so it is told apart: no socket (not started here), a socket nobody
 * listens at (it died), no permission, no answer. Answers are read strictly, no name twice, and never beyond 16 MiB: the
 * socket's owner is trusted with the network, not with our memory. Problems (RFC 9457) bring their exit code along.
 */
#include "ui/cli/client.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/base/log.h"
#include "ui/cli/output.h"
#include "ui/cli/remote.h"

#define ANSWER_MAX    (16 * 1024 * 1024)
#define ANSWER_MAX_MS 10000L
#define PATIENT_MS    40000L /* the daemon's longest wait is 20 s */
#define URL_MAX       (REMOTE_URL_MAX + 256)
#define FETCH_IDLE_S  120L /* so long may a backup be made before its first byte comes */

struct client {
	struct home home;
	char base[REMOTE_URL_MAX]; /* of what is asked; a controller elsewhere or "http://localhost" */
	bool remote;
	CURL *curl;
	struct curl_slist *headers;
	struct curl_slist *bare; /* without a body's type */
	int folder;              /* holds a long socket name open; -1 */
};

struct answer {
	char *bytes;
	size_t len;
	bool too_long;
};

static size_t answer_take(char *bytes, size_t one, size_t n, void *self)
{
	struct answer *a = self;
	(void)one; /* always 1 */
	if (n > ANSWER_MAX - a->len) {
		a->too_long = true;
		return 0;
	}
	char *grown = realloc(a->bytes, a->len + n + 1);
	if (!grown)
		return 0;
	memcpy(grown + a->len, bytes, n);
	a->bytes = grown;
	a->len += n;
	return n;
}

/* ---- who is asked ---- */

static bool is_there(const struct home *home)
{
	struct stat st;
	return stat(home->socket, &st) == 0;
}

static int pick(const struct call *call, struct home *ret)
{
	struct home other;
	enum service service = call->verb->service;
	int code = call_home(call, service == SERVICE_CONTROLLER ? HOME_CONTROLLER : HOME_NODE, ret);
	if (code || service != SERVICE_EITHER || is_there(ret))
		return code;
	code = call_home(call, HOME_CONTROLLER, &other);
	if (code == 0 && is_there(&other))
		*ret = other;
	return code;
}

int client_open_at(struct client **ret, const struct home *home)
{
	char name[108];
	struct client *client = calloc(1, sizeof(*client));
	int code;
	if (!client)
		return complain(EXIT_FAILED, "out of memory");
	client->folder = -1;
	client->home = *home;
	snprintf(client->base, sizeof(client->base), "http://localhost");
	int rc = home_socket_name(&client->home, name, &client->folder);
	if (rc < 0) {
		code = complain(rc == -EACCES ? EXIT_PERMISSION : EXIT_NO_DAEMON, "%s: %s", client->home.dir, strerror(-rc));
		goto fail;
	}
	client->curl = curl_easy_init();
	client->headers = curl_slist_append(NULL, "Content-Type: application/json");
	if (!client->curl || !client->headers) {
		code = complain(EXIT_FAILED, "out of memory");
		goto fail;
	}
	curl_easy_setopt(client->curl, CURLOPT_UNIX_SOCKET_PATH, name);
	curl_easy_setopt(client->curl, CURLOPT_PROXY, "");
	curl_easy_setopt(client->curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(client->curl, CURLOPT_TIMEOUT_MS, ANSWER_MAX_MS);
	curl_easy_setopt(client->curl, CURLOPT_WRITEFUNCTION, answer_take);
	*ret = client;
	return 0;
fail:
	client_close(client);
	return code;
}

static int open_remote(struct client **ret, const struct remote *remote)
{
	struct client *client = calloc(1, sizeof(*client));
	if (!client)
		return complain(EXIT_FAILED, "out of memory");
	client->folder = -1;
	client->remote = true;
	client->home.kind = HOME_CONTROLLER;
	snprintf(client->base, sizeof(client->base), "%s", remote->url);
	client->curl = curl_easy_init();
	client->bare = curl_slist_append(NULL, remote->header);
	client->headers = curl_slist_append(curl_slist_append(NULL, remote->header), "Content-Type: application/json");
	if (!client->curl || !client->headers || !client->bare) {
		client_close(client);
		return complain(EXIT_FAILED, "out of memory");
	}
	if (remote->cacert)
		curl_easy_setopt(client->curl, CURLOPT_CAINFO, remote->cacert);
	if (*remote->pin) { /* the key itself is known: neither name nor authority add anything */
		curl_easy_setopt(client->curl, CURLOPT_PINNEDPUBLICKEY, remote->pin);
		curl_easy_setopt(client->curl, CURLOPT_SSL_VERIFYPEER, 0L);
		curl_easy_setopt(client->curl, CURLOPT_SSL_VERIFYHOST, 0L);
	}
	if (!strncmp(remote->url, "http:", 5)) /* the environment's proxy is another machine, and would read the token */
		curl_easy_setopt(client->curl, CURLOPT_PROXY, "");
	curl_easy_setopt(client->curl, CURLOPT_SSLVERSION, CURL_SSLVERSION_TLSv1_2);
	curl_easy_setopt(client->curl, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(client->curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(client->curl, CURLOPT_TIMEOUT_MS, ANSWER_MAX_MS);
	curl_easy_setopt(client->curl, CURLOPT_WRITEFUNCTION, answer_take);
	*ret = client;
	return 0;
}

int client_open(struct client **ret, const struct call *call)
{
	struct home home;
	struct remote remote;
	int code = remote_of(call, &remote);
	if (code == 0 && *remote.url)
		code = open_remote(ret, &remote);
	else if (code == 0 && (code = pick(call, &home)) == 0)
		code = client_open_at(ret, &home);
	explicit_bzero(&remote, sizeof(remote));
	return code;
}

void client_close(struct client *client)
{
	if (!client)
		return;
	if (client->curl)
		curl_easy_cleanup(client->curl);
	curl_slist_free_all(client->headers);
	curl_slist_free_all(client->bare);
	if (client->folder >= 0)
		close(client->folder);
	free(client);
}

enum home_kind client_kind(const struct client *client)
{
	return client->home.kind;
}

void client_patient(struct client *client)
{
	curl_easy_setopt(client->curl, CURLOPT_TIMEOUT_MS, PATIENT_MS);
}

bool client_there(const struct call *call, enum home_kind kind)
{
	char why[HOME_WHY];
	struct home home;
	return home_resolve(&home, kind, options_value(&call->options, "home"), why) == 0 && is_there(&home);
}

/* ---- no answer ---- */

static void start_command(const struct home *home, char *buf, size_t room)
{
	const char *program = home_program(home->kind);
	if (home->given)
		snprintf(buf, room, "%s --home %s", program, home->dir);
	else
		snprintf(buf, room, "sudo systemctl start %s", program);
}

static int unreachable(const struct home *home, int error)
{
	const char *program = home_program(home->kind);
	char command[HOME_PATH_MAX + 64];
	struct stat st;
	start_command(home, command, sizeof(command));
	switch (error) {
	case EACCES:
	case EPERM:
		if (home->given)
			return complain(EXIT_PERMISSION, "no permission for %s: use it as the user who started %s, or with sudo",
			                home->socket, program);
		return complain(EXIT_PERMISSION, "no permission for %s: use sudo, or once: sudo usermod -aG farlan $USER, then log in anew",
		                home->socket);
	case ECONNREFUSED:
		return complain(EXIT_NO_DAEMON, "%s is not running any more (nobody listens at %s); start it: %s", program, home->socket,
		                command);
	}
	if (home->given && stat(home->dir, &st) < 0 && errno == ENOENT)
		return complain(EXIT_NO_DAEMON, "%s is not running: there is no folder %s; start it: %s", program, home->dir, command);
	enum home_kind kind = home->kind == HOME_NODE ? HOME_CONTROLLER : HOME_NODE;
	struct home other;
	char why[HOME_WHY];
	if (home->given && home_resolve(&other, kind, home->dir, why) == 0 && is_there(&other))
		return complain(EXIT_NO_DAEMON, "%s is the home of %s; this verb asks %s: give the --home of that one", home->dir,
		                home_program(other.kind), program);
	return complain(EXIT_NO_DAEMON, "%s is not running (no %s); start it: %s", program, home->socket, command);
}

static int unreachable_remote(const struct client *client, CURLcode rc)
{
	if (rc == CURLE_SSL_PINNEDPUBKEYNOTMATCH)
		return complain(EXIT_PERMISSION, "%s shows another key than --pin says: it is not that controller", client->base);
	if (rc == CURLE_PEER_FAILED_VERIFICATION)
		return complain(EXIT_PERMISSION, "nobody vouches for %s; give --pin, which farlan page prints on its machine, or --cacert",
		                client->base);
	return complain(EXIT_NO_DAEMON, "%s: %s", client->base, curl_easy_strerror(rc));
}

static int failed(const struct client *client, CURLcode rc, const struct answer *answer)
{
	const char *program = home_program(client->home.kind);
	long error = 0;
	if (answer->too_long)
		return complain(EXIT_FAILED, "%s answered more than %d MiB", program, ANSWER_MAX >> 20);
	if (client->remote)
		return unreachable_remote(client, rc);
	if (rc == CURLE_COULDNT_CONNECT) {
		curl_easy_getinfo(client->curl, CURLINFO_OS_ERRNO, &error);
		return unreachable(&client->home, (int)error);
	}
	if (rc == CURLE_OPERATION_TIMEDOUT)
		return complain(EXIT_NO_DAEMON, "%s does not answer; see its log", program);
	if (rc == CURLE_GOT_NOTHING || rc == CURLE_RECV_ERROR || rc == CURLE_SEND_ERROR)
		return complain(EXIT_NO_DAEMON, "%s stopped while it was asked; see its log", program);
	return complain(EXIT_FAILED, "%s: %s", program, curl_easy_strerror(rc));
}

/* ---- answers ---- */

static int code_of(long status)
{
	switch (status) {
	case 400: return EXIT_USAGE;
	case 401:
	case 403: return EXIT_PERMISSION;
	case 404: return EXIT_NOT_FOUND;
	case 409: return EXIT_CONFLICT;
	}
	return EXIT_FAILED;
}

static const char *text_of(const json_t *object, const char *name, char *buf, size_t room)
{
	const json_t *s = json_object_get(object, name);
	return log_text(buf, room, json_is_string(s) ? json_string_value(s) : "", json_string_length(s));
}

static int problem(const json_t *object, long status)
{
	char detail[512], hint[512], command[256];
	json_int_t code = json_integer_value(json_object_get(object, "code"));
	text_of(object, "detail", detail, sizeof(detail));
	if (!*detail)
		text_of(object, "title", detail, sizeof(detail));
	if (!*detail)
		snprintf(detail, sizeof(detail), "the daemon answered with status %ld", status);
	complain(EXIT_FAILED, "%s", detail);
	if (*text_of(object, "hint", hint, sizeof(hint)))
		fprintf(stderr, "  hint: %s\n", hint);
	if (*text_of(object, "command", command, sizeof(command)))
		fprintf(stderr, "        %s\n", command);
	return code >= EXIT_FAILED && code <= EXIT_CONFLICT ? (int)code : code_of(status);
}

static int answered(const struct client *client, const struct answer *answer, json_t **ret)
{
	long status = 0;
	json_error_t error;
	json_t *object = NULL;
	int code = 0;
	curl_easy_getinfo(client->curl, CURLINFO_RESPONSE_CODE, &status);
	if (answer->len)
		object = json_loadb(answer->bytes, answer->len, JSON_REJECT_DUPLICATES, &error);
	bool good = status >= 200 && status < 300;
	if (!good && (json_is_object(object) || !answer->len)) {
		code = problem(object, status);
	} else if (!good || (answer->len && (!json_is_object(object) || !json_is_string(json_object_get(object, "schema"))))) {
		code = complain(EXIT_FAILED, "%s answered what this farlan does not understand (status %ld); are both of one version?",
		                home_program(client->home.kind), status);
	} else if (ret) {
		*ret = object;
		return 0;
	}
	json_decref(object);
	return code;
}

int client_ask(struct client *client, const char *method, const char *path, json_t *body, json_t **ret)
{
	struct answer answer = {0};
	char url[URL_MAX];
	char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
	bool lost = body && !text;
	json_decref(body);
	if (lost)
		return complain(EXIT_FAILED, "out of memory");
	snprintf(url, sizeof(url), "%s%s", client->base, path);
	curl_easy_setopt(client->curl, CURLOPT_URL, url);
	curl_easy_setopt(client->curl, CURLOPT_CUSTOMREQUEST, method);
	curl_easy_setopt(client->curl, CURLOPT_WRITEDATA, &answer);
	if (text) {
		curl_easy_setopt(client->curl, CURLOPT_POSTFIELDS, text);
		curl_easy_setopt(client->curl, CURLOPT_POSTFIELDSIZE, (long)strlen(text));
		curl_easy_setopt(client->curl, CURLOPT_HTTPHEADER, client->headers);
	} else {
		curl_easy_setopt(client->curl, CURLOPT_HTTPGET, 1L);
		curl_easy_setopt(client->curl, CURLOPT_CUSTOMREQUEST, method);
		curl_easy_setopt(client->curl, CURLOPT_HTTPHEADER, client->bare);
	}
	CURLcode rc = curl_easy_perform(client->curl);
	int code = rc == CURLE_OK ? answered(client, &answer, ret) : failed(client, rc, &answer);
	free(answer.bytes);
	free(text);
	return code;
}

int client_once(const struct call *call, const char *method, const char *path, json_t *body, json_t **ret)
{
	struct client *client;
	*ret = NULL;
	int code = client_open(&client, call);
	if (code) {
		json_decref(body);
		return code;
	}
	code = client_ask(client, method, path, body, ret);
	client_close(client);
	return code;
}

int client_shown(const struct call *call, const char *method, const char *path, json_t *body, const char *member, const char *schema,
                 json_t **ret)
{
	int code = client_once(call, method, path, body, ret);
	if (code || !*ret || call->format == FORMAT_TABLE)
		return code;
	code = output_json(call, *ret, member, schema);
	json_decref(*ret);
	*ret = NULL;
	return code;
}

/* ---- bytes ---- */

struct fetching {
	struct client *client;
	struct answer problem;
	int fd, error;
};

static size_t fetch_take(char *bytes, size_t one, size_t n, void *self)
{
	struct fetching *f = self;
	long status = 0;
	curl_easy_getinfo(f->client->curl, CURLINFO_RESPONSE_CODE, &status);
	if (status < 200 || status > 299)
		return answer_take(bytes, one, n, &f->problem);
	for (size_t done = 0; done < n;) {
		ssize_t k = write(f->fd, bytes + done, n - done);
		if (k < 0 && errno != EINTR) {
			f->error = errno;
			return 0;
		}
		done += k > 0 ? (size_t)k : 0;
	}
	return n;
}

int client_fetch(struct client *client, const char *path, json_t *body, int fd)
{
	struct fetching f = {.client = client, .fd = fd};
	char url[URL_MAX];
	char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
	if (body && !text) {
		json_decref(body);
		return complain(EXIT_FAILED, "out of memory");
	}
	json_decref(body);
	snprintf(url, sizeof(url), "%s%s", client->base, path);
	curl_easy_setopt(client->curl, CURLOPT_URL, url);
	curl_easy_setopt(client->curl, CURLOPT_HTTPGET, 1L);
	curl_easy_setopt(client->curl, CURLOPT_CUSTOMREQUEST, text ? "POST" : "GET");
	if (text) {
		curl_easy_setopt(client->curl, CURLOPT_POSTFIELDS, text);
		curl_easy_setopt(client->curl, CURLOPT_POSTFIELDSIZE, (long)strlen(text));
	}
	curl_easy_setopt(client->curl, CURLOPT_HTTPHEADER, client->headers);
	curl_easy_setopt(client->curl, CURLOPT_WRITEFUNCTION, fetch_take);
	curl_easy_setopt(client->curl, CURLOPT_WRITEDATA, &f);
	curl_easy_setopt(client->curl, CURLOPT_TIMEOUT_MS, 0L);
	curl_easy_setopt(client->curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
	curl_easy_setopt(client->curl, CURLOPT_LOW_SPEED_TIME, FETCH_IDLE_S);
	CURLcode rc = curl_easy_perform(client->curl);
	long status = 0;
	curl_easy_getinfo(client->curl, CURLINFO_RESPONSE_CODE, &status);
	int code = f.error                         ? complain(EXIT_FAILED, "it cannot be written: %s", strerror(f.error))
	           : rc != CURLE_OK                ? failed(client, rc, &f.problem)
	           : status >= 200 && status < 300 ? 0
	                                           : answered(client, &f.problem, NULL);
	curl_easy_setopt(client->curl, CURLOPT_WRITEFUNCTION, answer_take);
	free(f.problem.bytes);
	if (text)
		explicit_bzero(text, strlen(text));
	free(text);
	return code;
}
