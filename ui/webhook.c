/* webhook.c: one easy handle per delivery, all of them in one multi handle, driven by a loop: libcurl says which sockets it waits
 * for and until when, libuv says what happened.
 *
 * The loop has a thread of its own. Nothing there blocks, either, but each TLS connection begins with reading the system's
 * authorities, which costs libcurl-gnutls 50 ms of computing: on the control thread that would hold up handshakes and the page. The
 * two share two lists behind a mutex, deliveries that go out and outcomes that come back; a transfer belongs to the thread that took
 * it out of a list, and the controller is asked by the control thread alone.
 *
 * Whom we talk to is judged at the one place where no trick helps any more: when libcurl asks for a socket it names the address it
 * is going to connect to, after all names, odd spellings of numbers and rebound DNS. A connection is never used twice, since the
 * next delivery on it might belong to a webhook that may not go there. Redirects are not followed, proxies and .netrc of the
 * environment are not looked at, cookies and passwords do not exist.
 *
 * An answer counts when its head is complete: what stands behind it, or does not, changes nothing. Only its first bytes are read at
 * all, and thrown away, so that a receiver that closes politely is not cut off.
 *
 * The resolver's thread cannot be stopped: with QUICK_EXIT libcurl leaves it behind when a request is over, instead of waiting for
 * it on our thread. Each request has one, and ends after 15 s, so what is left behind is bounded by how long the system's resolver
 * waits.
 */
#include "ui/webhook.h"

#include <curl/curl.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <uv.h>

#include "controller/hook.h"
#include "node/loop.h"
#include "proto/base/log.h"
#include "proto/hmac.h"
#include "proto/random.h"
#include "ui/private.h"

struct transfer {
	struct webhooks *webhooks;
	struct transfer *next;
	struct prefix *pools; /* owned: of the controller's networks when it began */
	unsigned n_pools;
	CURL *easy;
	struct curl_slist *headers;
	struct hook_due due;
	uint64_t began;
	size_t head, body; /* bytes of the answer */
	unsigned status;   /* of a complete head; 0 = none yet */
	bool blocked;      /* an address was refused */
	char error[CURL_ERROR_SIZE], why[HOOK_ERROR_MAX];
	struct hook_outcome outcome; /* once it is over */
};

struct webhooks {
	struct webhooks_config config;
	/* The control thread's. */
	uv_async_t back;
	unsigned n; /* on their way */
	/* Of both, behind the mutex. */
	uv_mutex_t mutex;
	struct transfer *out, *over; /* to be sent; sent */
	bool stop;
	/* The sender's. */
	uv_thread_t thread;
	uv_loop_t loop;
	uv_async_t wake;
	uv_timer_t timer;
	CURLM *multi;
	unsigned n_list;
	struct transfer *list[WEBHOOKS_AT_ONCE];
};

struct watch { /* a socket that libcurl waits for */
	uv_poll_t poll;
	struct webhooks *webhooks;
	curl_socket_t fd;
};

void webhook_sign(const char *secret, uint64_t unix_s, const char *body, size_t len, char ret[WEBHOOK_SIGNATURE])
{
	char stamp[24];
	uint8_t mac[HMAC_BYTES];
	int n = snprintf(stamp, sizeof(stamp), "%" PRIu64 ".", unix_s);
	hmac_sha256(mac, secret, strlen(secret), stamp, (size_t)n, body, len);
	int at = snprintf(ret, WEBHOOK_SIGNATURE, "t=%" PRIu64 ",v1=", unix_s);
	for (unsigned i = 0; i < HMAC_BYTES; i++)
		at += snprintf(ret + at, WEBHOOK_SIGNATURE - (size_t)at, "%02x", mac[i]);
}

/* ---- the answer --------------------------------------------------------------------- */

static size_t head_take(char *bytes, size_t one, size_t n, void *self)
{
	struct transfer *t = self;
	long status = 0;
	(void)one; /* is 1 */
	t->head += n;
	if (t->head > WEBHOOK_HEAD_MAX)
		return 0;
	if ((n == 2 && !memcmp(bytes, "\r\n", 2)) || (n == 1 && *bytes == '\n')) {
		curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
		if (status >= 200 && status < 1000) /* 1xx: another head follows */
			t->status = (unsigned)status;
	}
	return n;
}

static size_t body_take(char *bytes, size_t one, size_t n, void *self)
{
	struct transfer *t = self;
	(void)bytes;
	(void)one;
	t->body += n;
	return t->body > WEBHOOK_ANSWER_MAX ? 0 : n;
}

/* ---- whom we talk to ---------------------------------------------------------------- */

static bool endpoint_of(const struct sockaddr *sa, socklen_t len, struct endpoint *ret)
{
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
	*ret = (struct endpoint){0};
	if (sa->sa_family == AF_INET && len >= sizeof(in)) {
		memcpy(&in, sa, sizeof(in));
		ret->family = 4;
		ret->port = ntohs(in.sin_port);
		memcpy(ret->ip, &in.sin_addr, 4);
	} else if (sa->sa_family == AF_INET6 && len >= sizeof(in6)) {
		memcpy(&in6, sa, sizeof(in6));
		ret->family = 6;
		ret->port = ntohs(in6.sin6_port);
		memcpy(ret->ip, &in6.sin6_addr, 16);
	}
	return ret->family;
}

static bool address_good(const struct transfer *t, const struct endpoint *e)
{
	const struct webhooks_config *config = &t->webhooks->config;
	struct endpoint plain = address_plain(e);
	if (config->allow_private && t->due.allow_private)
		return true;
	for (unsigned i = 0; i < t->n_pools; i++)
		if (prefix_holds(&t->pools[i], &plain))
			return false;
	return !address_private(e) && !address_own(e);
}

static curl_socket_t socket_open(void *self, curlsocktype purpose, struct curl_sockaddr *at)
{
	struct transfer *t = self;
	struct endpoint e;
	bool known = purpose == CURLSOCKTYPE_IPCXN && endpoint_of(&at->addr, at->addrlen, &e);
	if (!known || !address_good(t, &e)) {
		t->blocked = true;
		return CURL_SOCKET_BAD;
	}
	return socket(at->family, at->socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, at->protocol);
}

/* ---- one delivery ------------------------------------------------------------------- */

static unsigned long in_hurry(const struct webhooks *w, unsigned long ms)
{
	return !w->config.hurry ? ms : ms > w->config.hurry ? ms / w->config.hurry : 1; /* 0 would be no limit at all */
}

static void transfer_free(struct transfer *t)
{
	curl_easy_cleanup(t->easy);
	curl_slist_free_all(t->headers);
	free(t->pools);
	wipe(&t->due, sizeof(t->due));
	free(t);
}

static bool header_add(struct transfer *t, const char *name, const char *value)
{
	char line[HOOK_ERROR_MAX];
	snprintf(line, sizeof(line), "%s: %s", name, value);
	struct curl_slist *longer = curl_slist_append(t->headers, line);
	if (longer)
		t->headers = longer;
	return longer;
}

static bool headers_make(struct transfer *t)
{
	char signature[WEBHOOK_SIGNATURE], id[17], hook[17];
	snprintf(id, sizeof(id), "%016" PRIx64, t->due.id);
	snprintf(hook, sizeof(hook), "%016" PRIx64, t->due.hook);
	webhook_sign(t->due.secret, (uint64_t)time(NULL), t->due.body, strlen(t->due.body), signature);
	return header_add(t, "Content-Type", "application/json") && header_add(t, "Farlan-Event", t->due.event) &&
	       header_add(t, "Farlan-Delivery", id) && header_add(t, "Farlan-Webhook", hook) &&
	       header_add(t, "Farlan-Signature", signature) && (t->headers = curl_slist_append(t->headers, "Expect:"));
}

/* false: an option was refused, which for those that keep us safe must not be passed over. */
static bool options_set(const struct webhooks *w, struct transfer *t)
{
	CURL *e = t->easy;
	CURLcode bad = CURLE_OK;
#define SET(option, value) (bad = bad ? bad : curl_easy_setopt(e, option, value))
	SET(CURLOPT_URL, t->due.url);
	SET(CURLOPT_PROTOCOLS_STR, "http,https");
	SET(CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
	SET(CURLOPT_FOLLOWLOCATION, 0L);
	SET(CURLOPT_PROXY, "");
	SET(CURLOPT_NOPROXY, "*");
	SET(CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
	SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	SET(CURLOPT_FRESH_CONNECT, 1L);
	SET(CURLOPT_FORBID_REUSE, 1L);
	SET(CURLOPT_NOSIGNAL, 1L);
	SET(CURLOPT_QUICK_EXIT, 1L);
	SET(CURLOPT_CONNECTTIMEOUT_MS, (long)in_hurry(w, WEBHOOK_CONNECT_MS));
	SET(CURLOPT_TIMEOUT_MS, (long)in_hurry(w, WEBHOOK_WHOLE_MS));
	SET(CURLOPT_BUFFERSIZE, 4096L);
	SET(CURLOPT_SSL_VERIFYPEER, 1L);
	SET(CURLOPT_SSL_VERIFYHOST, 2L);
	SET(CURLOPT_OPENSOCKETFUNCTION, socket_open);
	SET(CURLOPT_OPENSOCKETDATA, t);
	SET(CURLOPT_HEADERFUNCTION, head_take);
	SET(CURLOPT_HEADERDATA, t);
	SET(CURLOPT_WRITEFUNCTION, body_take);
	SET(CURLOPT_WRITEDATA, t);
	SET(CURLOPT_POST, 1L);
	SET(CURLOPT_POSTFIELDSIZE, (long)strlen(t->due.body));
	SET(CURLOPT_POSTFIELDS, t->due.body);
	SET(CURLOPT_HTTPHEADER, t->headers);
	SET(CURLOPT_USERAGENT, "farlan-controller/" FARLAN_VERSION);
	SET(CURLOPT_ERRORBUFFER, t->error);
	SET(CURLOPT_PRIVATE, t);
	if (w->config.ca) {
		SET(CURLOPT_CAINFO, w->config.ca);
		SET(CURLOPT_CAPATH, NULL);
	}
#undef SET
	return !bad;
}

/* Into a list of both threads. */
static void push(struct webhooks *w, struct transfer **list, struct transfer *t, uv_async_t *bell)
{
	uv_mutex_lock(&w->mutex);
	t->next = *list;
	*list = t;
	uv_mutex_unlock(&w->mutex);
	uv_async_send(bell);
}

static struct transfer *take_all(struct webhooks *w, struct transfer **list)
{
	uv_mutex_lock(&w->mutex);
	struct transfer *first = *list;
	*list = NULL;
	uv_mutex_unlock(&w->mutex);
	return first;
}

static void fail(struct transfer *t)
{
	t->outcome = (struct hook_outcome){.error = "the request could not be made"};
	push(t->webhooks, &t->webhooks->over, t, &t->webhooks->back);
}

static void start(struct webhooks *w, struct transfer *t)
{
	t->easy = curl_easy_init();
	if (w->n_list < WEBHOOKS_AT_ONCE && t->easy && headers_make(t) && options_set(w, t) && !curl_multi_add_handle(w->multi, t->easy))
		w->list[w->n_list++] = t;
	else
		fail(t);
}

static void finish(struct webhooks *w, struct transfer *t, CURLcode code)
{
	curl_off_t after = 0;
	const char *said = t->blocked && !t->status     ? "the address is not a public one of another machine"
	                   : t->head > WEBHOOK_HEAD_MAX ? "the answer's head does not end"
	                   : code && *t->error          ? t->error
	                   : code                       ? curl_easy_strerror(code)
	                                                : "no answer";
	t->outcome = (struct hook_outcome){.status = t->status, .ms = (uint32_t)(loop_now() - t->began)};
	log_text(t->why, sizeof(t->why), said, strlen(said)); /* a name of somebody's may stand in it */
	t->outcome.error = t->status ? NULL : t->why;
	if (t->status / 100 == 3)
		t->outcome.error = "it sends us elsewhere, which is not followed";
	if (t->status && !curl_easy_getinfo(t->easy, CURLINFO_RETRY_AFTER, &after) && after > 0)
		t->outcome.retry_after_s = after < HOOK_RETRY_AFTER_S ? (uint32_t)after : HOOK_RETRY_AFTER_S;
	for (unsigned i = 0; i < w->n_list; i++)
		if (w->list[i] == t) {
			w->list[i] = w->list[--w->n_list];
			break;
		}
	curl_multi_remove_handle(w->multi, t->easy);
	push(w, &w->over, t, &w->back);
}

/* ---- libcurl and the loop ----------------------------------------------------------- */

static void ended_take(struct webhooks *w)
{
	CURLMsg *message;
	int left;
	while ((message = curl_multi_info_read(w->multi, &left))) {
		struct transfer *t = NULL;
		CURLcode code = message->data.result; /* the message ends with its handle */
		if (message->msg == CURLMSG_DONE && !curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &t) && t)
			finish(w, t, code);
	}
}

static void time_came(uv_timer_t *timer)
{
	struct webhooks *w = timer->data;
	int running;
	curl_multi_socket_action(w->multi, CURL_SOCKET_TIMEOUT, 0, &running);
	ended_take(w);
}

static int time_set(CURLM *multi, long ms, void *self)
{
	struct webhooks *w = self;
	(void)multi;
	if (ms < 0)
		uv_timer_stop(&w->timer);
	else
		uv_timer_start(&w->timer, time_came, (uint64_t)ms, 0); /* not at once: this is called from within libcurl */
	return 0;
}

static void socket_ready(uv_poll_t *poll, int status, int events)
{
	const struct watch *watch = poll->data;
	struct webhooks *w = watch->webhooks;
	int running, mask = (events & UV_READABLE ? CURL_CSELECT_IN : 0) | (events & UV_WRITABLE ? CURL_CSELECT_OUT : 0);
	curl_multi_socket_action(w->multi, watch->fd, status < 0 ? CURL_CSELECT_ERR : mask, &running);
	ended_take(w);
}

static void watch_closed(uv_handle_t *handle)
{
	free(handle->data);
}

static int socket_watch(CURL *easy, curl_socket_t fd, int what, void *self, void *of)
{
	struct webhooks *w = self;
	struct watch *watch = of;
	(void)easy;
	if (what == CURL_POLL_REMOVE) {
		if (watch) {
			curl_multi_assign(w->multi, fd, NULL);
			uv_close((uv_handle_t *)&watch->poll, watch_closed);
		}
		return 0;
	}
	if (!watch) {
		watch = calloc(1, sizeof(*watch));
		if (!watch || uv_poll_init(&w->loop, &watch->poll, fd)) {
			free(watch);
			return -1; /* the transfer fails */
		}
		watch->webhooks = w;
		watch->fd = fd;
		watch->poll.data = watch;
		curl_multi_assign(w->multi, fd, watch);
	}
	uv_poll_start(&watch->poll, (what != CURL_POLL_OUT ? UV_READABLE : 0) | (what != CURL_POLL_IN ? UV_WRITABLE : 0), socket_ready);
	return 0;
}

/* ---- the sender's thread ------------------------------------------------------------ */

static void sender_end(struct webhooks *w)
{
	while (w->n_list) {
		struct transfer *t = w->list[--w->n_list];
		curl_multi_remove_handle(w->multi, t->easy);
		transfer_free(t);
	}
	curl_multi_cleanup(w->multi);
	uv_close((uv_handle_t *)&w->timer, NULL);
	uv_close((uv_handle_t *)&w->wake, NULL);
}

static void sender_woken(uv_async_t *async)
{
	struct webhooks *w = async->data;
	uv_mutex_lock(&w->mutex);
	bool stop = w->stop;
	uv_mutex_unlock(&w->mutex);
	if (stop) {
		sender_end(w);
		return;
	}
	for (struct transfer *t = take_all(w, &w->out), *next; t; t = next) {
		next = t->next;
		start(w, t);
	}
}

static void sender_run(void *self)
{
	struct webhooks *w = self;
	uv_run(&w->loop, UV_RUN_DEFAULT);
}

/* ---- the control thread ------------------------------------------------------------- */

static void outcomes_take(uv_async_t *async)
{
	struct webhooks *w = async->data;
	for (struct transfer *t = take_all(w, &w->over), *next; t; t = next) {
		next = t->next;
		w->n--;
		controller_hook_done(w->config.controller, t->due.seq, &t->outcome, loop_now(), (uint64_t)time(NULL));
		transfer_free(t);
	}
	w->config.kick(w->config.self);
}

uint64_t webhooks_turn(struct webhooks *w, uint64_t now)
{
	struct hook_due due;
	uint64_t next = UINT64_MAX;
	while (w->n < WEBHOOKS_AT_ONCE && controller_hook_take(w->config.controller, WEBHOOK_AT_ONCE, &due, now, &next)) {
		struct transfer *t = calloc(1, sizeof(*t));
		bool good = t && !controller_hook_pools(w->config.controller, &t->pools, &t->n_pools);
		if (good) {
			t->webhooks = w;
			t->due = due;
			t->began = loop_now();
			w->n++;
			push(w, &w->out, t, &w->wake);
		} else {
			free(t);
			controller_hook_done(w->config.controller, due.seq,
			                     &(struct hook_outcome){.error = "the request could not be made"}, now, (uint64_t)time(NULL));
			w->config.kick(w->config.self);
		}
		wipe(&due, sizeof(due));
	}
	return w->n < WEBHOOKS_AT_ONCE ? next : UINT64_MAX;
}

/* ---- begin and end ------------------------------------------------------------------ */

static void closed(uv_handle_t *handle)
{
	free(handle->data);
}

int webhooks_new(struct webhooks **ret, const struct webhooks_config *config)
{
	static const uint64_t pace[HOOK_RETRIES] = {HOOK_PACE};
	uint64_t hurried[HOOK_RETRIES];
	struct webhooks *w = calloc(1, sizeof(*w));
	if (!w || curl_global_init(CURL_GLOBAL_DEFAULT)) {
		free(w);
		return -ENOMEM;
	}
	w->config = *config;
	w->multi = curl_multi_init();
	int error = !w->multi ? -ENOMEM : uv_loop_init(&w->loop);
	if (!error)
		error = uv_mutex_init(&w->mutex);
	if (!error)
		error = uv_async_init(&w->loop, &w->wake, sender_woken);
	if (error) { /* at the start of the program, which ends by it */
		curl_multi_cleanup(w->multi);
		free(w);
		return error;
	}
	uv_timer_init(&w->loop, &w->timer);
	w->timer.data = w->wake.data = w;
	for (unsigned i = 0; i < HOOK_RETRIES; i++)
		hurried[i] = in_hurry(w, pace[i]);
	if (config->hurry)
		controller_hook_pace(config->controller, hurried);
	curl_multi_setopt(w->multi, CURLMOPT_SOCKETFUNCTION, socket_watch);
	curl_multi_setopt(w->multi, CURLMOPT_SOCKETDATA, w);
	curl_multi_setopt(w->multi, CURLMOPT_TIMERFUNCTION, time_set);
	curl_multi_setopt(w->multi, CURLMOPT_TIMERDATA, w);
	curl_multi_setopt(w->multi, CURLMOPT_MAXCONNECTS, 1L); /* none is used twice */
	error = uv_async_init(config->loop, &w->back, outcomes_take);
	w->back.data = w;
	if (!error)
		error = uv_thread_create(&w->thread, sender_run, w);
	if (error)
		return error;
	*ret = w;
	return 0;
}

static void list_free(struct transfer *t)
{
	for (struct transfer *next; t; t = next) {
		next = t->next;
		transfer_free(t);
	}
}

void webhooks_free(struct webhooks *w)
{
	if (!w)
		return;
	uv_mutex_lock(&w->mutex);
	w->stop = true;
	uv_mutex_unlock(&w->mutex);
	uv_async_send(&w->wake);
	uv_thread_join(&w->thread);
	uv_loop_close(&w->loop);
	list_free(w->out);
	list_free(w->over);
	uv_mutex_destroy(&w->mutex);
	curl_global_cleanup();
	uv_close((uv_handle_t *)&w->back, closed);
}
