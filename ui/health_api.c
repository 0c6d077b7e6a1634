/* health_api.c: three questions of machines, and what it costs to ask them: nothing that grows with the number of members.
 *
 * Alive is who answers. Ready is who would admit a member now: the database takes writes (the last one did, and there is one a
 * minute at least), it is trusted to be the newest, and a root says where members are. Metrics are text by hand: a name, labels, a
 * number; labels are ids and states, never names that strangers choose.
 */
#include "ui/health_api.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "controller/figures.h"
#include "controller/hook.h"
#include "controller/traffic.h"
#include "controller/watermark.h"
#include "ui/certificate.h"
#include "ui/controller_routes.h"
#include "ui/event_api.h"
#include "ui/http.h"
#include "ui/metrics.h"

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

struct roots {
	bool online; /* one answers, or none is configured */
	unsigned known;
};

/* *ret_sessions: with how many there is a session. */
static struct roots roots_answer(const struct controller_api *api, unsigned *ret_sessions)
{
	json_t *o = json_object(), *root;
	size_t i;
	*ret_sessions = 0;
	if (api->status_roots)
		api->status_roots(api->status_self, o);
	json_array_foreach(json_object_get(o, "roots"), i, root) *ret_sessions += json_is_true(json_object_get(root, "online"));
	struct roots r = {.online = !api->status_roots || json_is_true(json_object_get(o, "online")),
	                  .known = (unsigned)json_array_size(json_object_get(o, "roots"))};
	json_decref(o);
	return r;
}

/* NULL: ready. */
static const char *missing(const struct controller_api *api)
{
	unsigned sessions;
	if (!controller_trusted(api->controller))
		return "the database is not trusted to be the newest";
	if (strcmp(controller_health(api->controller), "ok") != 0)
		return "the database does not take writes";
	return roots_answer(api, &sessions).online ? NULL : "no root answers";
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

static struct controller_api *api_of(const struct page *page)
{
	return page->self;
}

static void network_states(void *self, const struct network_row *row)
{
	struct page *page = self;
	uint32_t count[MEMBER_STATES] = {0};
	if (controller_tally(api_of(page)->controller, row->nwid, count))
		return;
	for (unsigned i = 0; i < MEMBER_STATES; i++)
		page_put(page, "farlan_controller_members{network=\"%016" PRIx64 "\",state=\"%s\"} %u\n", row->nwid,
		         member_state_name((enum member_state)i), count[i]);
}

static void network_online(void *self, const struct network_row *row)
{
	page_put(self, "farlan_controller_online{network=\"%016" PRIx64 "\"} %u\n", row->nwid, row->online);
}

static void network_relayed(void *self, const struct network_row *row)
{
	page_put(self, "farlan_controller_relayed{network=\"%016" PRIx64 "\"} %u\n", row->nwid, row->relayed);
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
	controller_network_each(api_of(page)->controller, network_counted, &n, &error);
	page_family(page, "farlan_controller_networks", "gauge", "Networks of this controller.");
	page_put(page, "farlan_controller_networks %u\n", n);
	if (!n)
		return;
	page_family(page, "farlan_controller_members", "gauge", "Members of a network by state.");
	controller_network_each(api_of(page)->controller, network_states, page, &error);
	page_family(page, "farlan_controller_online", "gauge", "Members of a network that have a session with the controller.");
	controller_network_each(api_of(page)->controller, network_online, page, &error);
	page_family(page, "farlan_controller_relayed", "gauge", "Those of them that it reaches by a relay only.");
	controller_network_each(api_of(page)->controller, network_relayed, page, &error);
}

/* ---- what members tell that they carried ---- */

struct told {
	struct page *page;
	const char *name;
	unsigned which;
};

static void network_told(void *self, const struct network_row *row)
{
	struct told *t = self;
	struct traffic_count count;
	uint64_t drops;
	if (!controller_traffic_total(api_of(t->page)->controller, row->nwid, &count, &drops))
		return;
	const uint64_t of[] = {count.rx_bytes, count.tx_bytes, count.rx_frames, count.tx_frames, drops};
	page_put(t->page, "%s{network=\"%016" PRIx64 "\"} %" PRIu64 "\n", t->name, row->nwid, of[t->which]);
}

static void network_tells(void *self, const struct network_row *row)
{
	struct told *t = self;
	struct traffic_count count;
	uint64_t drops;
	t->which += controller_traffic_total(api_of(t->page)->controller, row->nwid, &count, &drops);
}

static void traffic_put(struct page *page)
{
	static const char *const names[][2] = {
	    {"farlan_network_rx_bytes_total", "Bytes of frames given to ports of the network's members, as they tell."},
	    {"farlan_network_tx_bytes_total", "Bytes of frames that came from those ports and were sent."},
	    {"farlan_network_rx_frames_total", "Frames given to ports of the network's members."},
	    {"farlan_network_tx_frames_total", "Frames that came from those ports and were sent."},
	    {"farlan_network_drops_total", "Frames that its members dropped."}};
	struct controller *c = api_of(page)->controller;
	struct traffic_figures f;
	struct told any = {.page = page};
	struct admin_error error;
	controller_network_each(c, network_tells, &any, &error); /* a family without a sample is none */
	for (unsigned i = 0; any.which && i < 5; i++) {
		struct told t = {page, names[i][0], i};
		page_family(page, names[i][0], "counter", names[i][1]);
		controller_network_each(c, network_told, &t, &error);
	}
	controller_traffic_figures(c, &f);
	page_family(page, "farlan_traffic_reports_total", "counter", "Reports of members with counters.");
	page_put(page, "farlan_traffic_reports_total %" PRIu64 "\n", f.reports);
	page_family(page, "farlan_traffic_clamped_total", "counter", "Figures in them that no port can carry.");
	page_put(page, "farlan_traffic_clamped_total %" PRIu64 "\n", f.clamped);
	page_family(page, "farlan_traffic_lost_total", "counter", "Reports there was no room for.");
	page_put(page, "farlan_traffic_lost_total %" PRIu64 "\n", f.lost);
	page_family(page, "farlan_traffic_write_failures_total", "counter", "Times that it could not be written down.");
	page_put(page, "farlan_traffic_write_failures_total %" PRIu64 "\n", f.failed);
}

static void push_put(struct page *page)
{
	struct push_figures f;
	uint64_t sum = 0;
	controller_push_figures(api_of(page)->controller, &f);
	page_family(page, "farlan_controller_config_push_seconds", "histogram",
	            "From a decision about an online member until it acknowledged what follows from it.");
	for (unsigned i = 0; i < PUSH_BOUNDS; i++) {
		sum += f.within[i];
		page_put(page, "farlan_controller_config_push_seconds_bucket{le=\"%g\"} %" PRIu64 "\n", push_bound_ms[i] / 1000.0, sum);
	}
	page_put(page, "farlan_controller_config_push_seconds_bucket{le=\"+Inf\"} %" PRIu64 "\n", f.count);
	page_put(page, "farlan_controller_config_push_seconds_sum %.3f\n", (double)f.sum_ms / 1000);
	page_put(page, "farlan_controller_config_push_seconds_count %" PRIu64 "\n", f.count);
}

static void webhooks_put(struct page *page)
{
	struct hook_figures f;
	controller_hook_figures(api_of(page)->controller, &f);
	page_family(page, "farlan_webhook_deliveries_total", "counter", "Deliveries that are over, by how; dropped: the queue was full.");
	page_put(page, "farlan_webhook_deliveries_total{result=\"delivered\"} %" PRIu64 "\n", f.delivered);
	page_put(page, "farlan_webhook_deliveries_total{result=\"failed\"} %" PRIu64 "\n", f.failed);
	page_put(page, "farlan_webhook_deliveries_total{result=\"dropped\"} %" PRIu64 "\n", f.dropped);
	page_family(page, "farlan_webhook_attempts_failed_total", "counter", "Attempts that did not deliver; most of them are repeated.");
	page_put(page, "farlan_webhook_attempts_failed_total %" PRIu64 "\n", f.attempts_failed);
	page_family(page, "farlan_webhook_waiting", "gauge", "Deliveries that wait, those on their way included.");
	page_put(page, "farlan_webhook_waiting %u\n", f.waiting);
	page_family(page, "farlan_webhook_sending", "gauge", "Deliveries on their way.");
	page_put(page, "farlan_webhook_sending %u\n", f.sending);
	page_family(page, "farlan_webhooks", "gauge", "Webhooks by state.");
	for (unsigned i = 0; i < HOOK_STATES; i++)
		page_put(page, "farlan_webhooks{state=\"%s\"} %u\n", hook_state_name((enum hook_state)i), f.hooks[i]);
}

static uint64_t file_size(const struct controller_api *api, const char *name)
{
	char path[2048];
	struct stat st;
	snprintf(path, sizeof(path), "%s/%s", api->home->dir, name);
	return stat(path, &st) < 0 ? 0 : (uint64_t)st.st_size;
}

static void http_put(struct page *page)
{
	const struct controller_api *api = api_of(page);
	page_family(page, "farlan_http_requests_total", "counter", "Answered requests by status.");
	page_put(page, "farlan_http_requests_total{code=\"200\"} %" PRIu64 "\n", api->http ? http_answers(api->http, 200) : 0);
	for (unsigned i = 100; api->http && i < HTTP_STATUS_END; i++)
		if (i != 200 && http_answers(api->http, i))
			page_put(page, "farlan_http_requests_total{code=\"%u\"} %" PRIu64 "\n", i, http_answers(api->http, i));
	page_family(page, "farlan_http_event_streams", "gauge", "Open streams of events.");
	page_put(page, "farlan_http_event_streams %u\n", api->events ? events_streams(api->events) : 0);
}

static void database_put(struct page *page)
{
	const struct controller_api *api = api_of(page);
	struct statvfs disk;
	page_family(page, "farlan_db_size_bytes", "gauge", "Size of the database and its log on disk.");
	page_put(page, "farlan_db_size_bytes %" PRIu64 "\n", file_size(api, "controller.db") + file_size(api, "controller.db-wal"));
	if (statvfs(api->home->dir, &disk))
		return;
	page_family(page, "farlan_db_disk_free_bytes", "gauge", "Space that is left on the disk of the database.");
	page_put(page, "farlan_db_disk_free_bytes %" PRIu64 "\n", (uint64_t)disk.f_bavail * disk.f_frsize);
}

static void roots_put(struct page *page)
{
	unsigned sessions, known = roots_answer(api_of(page), &sessions).known;
	page_family(page, "farlan_roots", "gauge", "Roots that this controller uses.");
	page_put(page, "farlan_roots %u\n", known);
	page_family(page, "farlan_root_sessions", "gauge", "Roots that answer this controller.");
	page_put(page, "farlan_root_sessions %u\n", sessions);
}

void metrics_get(void *self, const struct request *request, struct reply *reply)
{
	struct page page = {.self = self};
	const struct controller_api *api = self;
	if (!api->open_metrics && !request_may(request, SCOPE_READ, NULL)) {
		reply_denied(request, SCOPE_READ, reply);
		return;
	}
	networks_put(&page);
	traffic_put(&page);
	push_put(&page);
	http_put(&page);
	webhooks_put(&page);
	if (api->home)
		database_put(&page);
	page_family(&page, "farlan_controller_ready", "gauge", "1 if members would be admitted now.");
	page_put(&page, "farlan_controller_ready %d\n", !missing(api));
	if (api->certificate && api->certificate->until) {
		page_family(&page, "farlan_certificate_expiry_timestamp_seconds", "gauge",
		            "When the page's certificate runs out, unix time.");
		page_put(&page, "farlan_certificate_expiry_timestamp_seconds %" PRIu64 "\n", api->certificate->until);
	}
	roots_put(&page);
	page_process(&page, "farlan-controller", "");
	page_reply(&page, reply);
}
