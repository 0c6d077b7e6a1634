/* health_api.c: three questions of machines, and what it costs to ask them: nothing that grows with the number of members.
 *
 * Alive is who answers. Ready is who would admit a member now: the database takes writes (the last one did, and there is one a
 * minute at least), it is trusted to be the newest, and a root says where members are. Metrics are text by hand: a name, labels, a
 * number; labels are ids and states, never names that strangers choose.
 */
#include "ui/health_api.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "controller/figures.h"
#include "controller/hook.h"
#include "controller/watermark.h"
#include "ui/controller_routes.h"
#include "ui/event_api.h"
#include "ui/http.h"

#define METRICS_TYPE "text/plain; version=0.0.4; charset=utf-8"

bool health_probe(const struct request *request)
{
	return request->method == METHOD_GET && (!strcmp(request->path, "/healthz") || !strcmp(request->path, "/readyz"));
}

static void reply_text(struct reply *reply, char *text)
{
	reply->status = 200;
	reply->type = "text/plain; charset=utf-8";
	reply->body = text;
	reply->body_len = strlen(text);
}

void healthz_get(void *self, const struct request *request, struct reply *reply)
{
	static char ok[] = "ok\n";
	(void)self;
	(void)request;
	reply_text(reply, ok);
}

/* true: a root answers, or none is configured. *ret_sessions: with how many there is a session. */
static bool roots_answer(const struct controller_api *api, unsigned *ret_sessions)
{
	json_t *o = json_object(), *root;
	size_t i;
	*ret_sessions = 0;
	if (api->status_roots)
		api->status_roots(api->status_self, o);
	json_array_foreach(json_object_get(o, "roots"), i, root) *ret_sessions += json_is_true(json_object_get(root, "online"));
	bool online = !api->status_roots || json_is_true(json_object_get(o, "online"));
	json_decref(o);
	return online;
}

/* NULL: ready. */
static const char *missing(const struct controller_api *api)
{
	unsigned sessions;
	if (!controller_trusted(api->controller))
		return "the database is not trusted to be the newest";
	if (strcmp(controller_health(api->controller), "ok") != 0)
		return "the database does not take writes";
	return roots_answer(api, &sessions) ? NULL : "no root answers";
}

void readyz_get(void *self, const struct request *request, struct reply *reply)
{
	static char ready[] = "ready\n";
	const char *what = missing(self);
	struct problem problem;
	(void)request;
	if (!what) {
		reply_text(reply, ready);
		return;
	}
	problem_set(&problem, 503, "not ready", "%s", what);
	problem.code = 6;
	reply_problem(reply, &problem);
	reply->retry_after = 5;
}

/* ---- metrics ---- */

struct page { /* text that grows; broken: out of memory */
	char *text;
	size_t len, room;
	bool broken;
	struct controller_api *api;
};

__attribute__((format(printf, 2, 3))) static void put(struct page *page, const char *format, ...)
{
	va_list args;
	if (page->room - page->len < 512) {
		char *text = realloc(page->text, 2 * page->room + 4096);
		if (!text) {
			page->broken = true;
			return;
		}
		page->text = text;
		page->room = 2 * page->room + 4096;
	}
	va_start(args, format);
	int n = vsnprintf(page->text + page->len, page->room - page->len, format, args);
	va_end(args);
	page->len += n > 0 && (size_t)n < page->room - page->len ? (size_t)n : 0;
}

static void family(struct page *page, const char *name, const char *type, const char *help)
{
	put(page, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void network_states(void *self, const struct network_row *row)
{
	struct page *page = self;
	uint32_t count[MEMBER_STATES] = {0};
	if (controller_tally(page->api->controller, row->nwid, count))
		return;
	for (unsigned i = 0; i < MEMBER_STATES; i++)
		put(page, "farlan_controller_members{network=\"%016" PRIx64 "\",state=\"%s\"} %u\n", row->nwid,
		    member_state_name((enum member_state)i), count[i]);
}

static void network_online(void *self, const struct network_row *row)
{
	put(self, "farlan_controller_online{network=\"%016" PRIx64 "\"} %u\n", row->nwid, row->online);
}

static void network_counted(void *self, const struct network_row *row)
{
	(void)row;
	++*(unsigned *)self;
}

static void networks_put(struct page *page)
{
	struct admin_error error;
	unsigned n = 0;
	controller_network_each(page->api->controller, network_counted, &n, &error);
	family(page, "farlan_controller_networks", "gauge", "Networks of this controller.");
	put(page, "farlan_controller_networks %u\n", n);
	if (!n)
		return;
	family(page, "farlan_controller_members", "gauge", "Members of a network by state.");
	controller_network_each(page->api->controller, network_states, page, &error);
	family(page, "farlan_controller_online", "gauge", "Members of a network that have a session with the controller.");
	controller_network_each(page->api->controller, network_online, page, &error);
}

static void push_put(struct page *page)
{
	struct push_figures f;
	uint64_t sum = 0;
	controller_push_figures(page->api->controller, &f);
	family(page, "farlan_controller_config_push_seconds", "histogram",
	       "From a decision about an online member until it acknowledged what follows from it.");
	for (unsigned i = 0; i < PUSH_BOUNDS; i++) {
		sum += f.within[i];
		put(page, "farlan_controller_config_push_seconds_bucket{le=\"%g\"} %" PRIu64 "\n", push_bound_ms[i] / 1000.0, sum);
	}
	put(page, "farlan_controller_config_push_seconds_bucket{le=\"+Inf\"} %" PRIu64 "\n", f.count);
	put(page, "farlan_controller_config_push_seconds_sum %.3f\n", (double)f.sum_ms / 1000);
	put(page, "farlan_controller_config_push_seconds_count %" PRIu64 "\n", f.count);
}

static void webhooks_put(struct page *page)
{
	struct hook_figures f;
	controller_hook_figures(page->api->controller, &f);
	family(page, "farlan_webhook_deliveries_total", "counter", "Deliveries that are over, by how; dropped: the queue was full.");
	put(page, "farlan_webhook_deliveries_total{result=\"delivered\"} %" PRIu64 "\n", f.delivered);
	put(page, "farlan_webhook_deliveries_total{result=\"failed\"} %" PRIu64 "\n", f.failed);
	put(page, "farlan_webhook_deliveries_total{result=\"dropped\"} %" PRIu64 "\n", f.dropped);
	family(page, "farlan_webhook_attempts_failed_total", "counter", "Attempts that did not deliver; most of them are repeated.");
	put(page, "farlan_webhook_attempts_failed_total %" PRIu64 "\n", f.attempts_failed);
	family(page, "farlan_webhook_waiting", "gauge", "Deliveries that wait, those on their way included.");
	put(page, "farlan_webhook_waiting %u\n", f.waiting);
	family(page, "farlan_webhook_sending", "gauge", "Deliveries on their way.");
	put(page, "farlan_webhook_sending %u\n", f.sending);
	family(page, "farlan_webhooks", "gauge", "Webhooks by state.");
	for (unsigned i = 0; i < HOOK_STATES; i++)
		put(page, "farlan_webhooks{state=\"%s\"} %u\n", hook_state_name((enum hook_state)i), f.hooks[i]);
}

static uint64_t file_size(const struct controller_api *api, const char *name)
{
	char path[2048];
	struct stat st;
	snprintf(path, sizeof(path), "%s/%s", api->home->dir, name);
	return stat(path, &st) < 0 ? 0 : (uint64_t)st.st_size;
}

static void process_put(struct page *page)
{
	struct rusage usage;
	unsigned long pages = 0;
	FILE *file = fopen("/proc/self/statm", "re");
	if (file && fscanf(file, "%*u %lu", &pages) == 1) {
		family(page, "process_resident_memory_bytes", "gauge", "Resident memory size in bytes.");
		put(page, "process_resident_memory_bytes %lu\n", pages * (unsigned long)sysconf(_SC_PAGESIZE));
	}
	if (file)
		fclose(file);
	getrusage(RUSAGE_SELF, &usage);
	family(page, "process_cpu_seconds_total", "counter", "Total user and system CPU time spent in seconds.");
	put(page, "process_cpu_seconds_total %.2f\n",
	    (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) + (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6);
}

static void http_put(struct page *page)
{
	const struct controller_api *api = page->api;
	family(page, "farlan_http_requests_total", "counter", "Answered requests by status.");
	put(page, "farlan_http_requests_total{code=\"200\"} %" PRIu64 "\n", api->http ? http_answers(api->http, 200) : 0);
	for (unsigned i = 100; api->http && i < HTTP_STATUS_END; i++)
		if (i != 200 && http_answers(api->http, i))
			put(page, "farlan_http_requests_total{code=\"%u\"} %" PRIu64 "\n", i, http_answers(api->http, i));
	family(page, "farlan_http_event_streams", "gauge", "Open streams of events.");
	put(page, "farlan_http_event_streams %u\n", api->events ? events_streams(api->events) : 0);
}

void metrics_get(void *self, const struct request *request, struct reply *reply)
{
	struct page page = {.api = self};
	unsigned sessions;
	if (!page.api->open_metrics && !request_may(request, SCOPE_READ, NULL)) {
		reply_denied(request, SCOPE_READ, reply);
		return;
	}
	family(&page, "farlan_build_info", "gauge", "Always 1; what runs is in the labels.");
	put(&page, "farlan_build_info{version=\"%s\",program=\"farlan-controller\"} 1\n", FARLAN_VERSION);
	networks_put(&page);
	push_put(&page);
	http_put(&page);
	webhooks_put(&page);
	if (page.api->home) {
		family(&page, "farlan_db_size_bytes", "gauge", "Size of the database and its log on disk.");
		put(&page, "farlan_db_size_bytes %" PRIu64 "\n",
		    file_size(page.api, "controller.db") + file_size(page.api, "controller.db-wal"));
	}
	family(&page, "farlan_controller_ready", "gauge", "1 if members would be admitted now.");
	put(&page, "farlan_controller_ready %d\n", !missing(page.api));
	roots_answer(page.api, &sessions);
	family(&page, "farlan_root_sessions", "gauge", "Roots that answer this controller.");
	put(&page, "farlan_root_sessions %u\n", sessions);
	process_put(&page);
	if (page.broken) {
		struct problem problem;
		free(page.text);
		problem_set(&problem, 503, "out of memory", "the controller has no memory for its metrics");
		reply_problem(reply, &problem);
		return;
	}
	reply->status = 200;
	reply->type = METRICS_TYPE;
	reply->body = page.text;
	reply->body_len = page.len;
	reply->owned = true;
}
