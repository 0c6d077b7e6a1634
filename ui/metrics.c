/* metrics.c: text that grows by lines, none of them longer than half a kilobyte.
 */
#include "ui/metrics.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#define LINE_ROOM    512
#define METRICS_TYPE "text/plain; version=0.0.4; charset=utf-8"

void page_put(struct page *page, const char *format, ...)
{
	va_list args;
	if (page->room - page->len < LINE_ROOM) {
		char *text = realloc(page->text, 2 * page->room + 8 * (size_t)LINE_ROOM);
		if (!text) {
			page->broken = true;
			return;
		}
		page->text = text;
		page->room = 2 * page->room + 8 * (size_t)LINE_ROOM;
	}
	va_start(args, format);
	int n = vsnprintf(page->text + page->len, page->room - page->len, format, args);
	va_end(args);
	page->len += n > 0 && (size_t)n < page->room - page->len ? (size_t)n : 0;
}

void page_family(struct page *page, const char *name, const char *type, const char *help)
{
	page_put(page, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void gauge(struct page *page, const char *prefix, const char *name, const char *type, const char *help, double value)
{
	char full[64];
	snprintf(full, sizeof(full), "%s%s", prefix, name);
	page_family(page, full, type, help);
	page_put(page, "%s %.2f\n", full, value);
}

void page_process(struct page *page, const char *program, const char *prefix)
{
	struct rusage usage;
	unsigned long pages = 0;
	FILE *file = fopen("/proc/self/statm", "re");
	page_family(page, "farlan_build_info", "gauge", "Always 1; what runs is in the labels.");
	page_put(page, "farlan_build_info{version=\"%s\",program=\"%s\"} 1\n", FARLAN_VERSION, program);
	if (file && fscanf(file, "%*u %lu", &pages) == 1)
		gauge(page, prefix, "process_resident_memory_bytes", "gauge", "Resident memory size in bytes.",
		      (double)pages * (double)sysconf(_SC_PAGESIZE));
	if (file)
		fclose(file);
	getrusage(RUSAGE_SELF, &usage);
	gauge(page, prefix, "process_cpu_seconds_total", "counter", "Total user and system CPU time spent in seconds.",
	      (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) + (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6);
}

void page_reply(struct page *page, struct reply *reply)
{
	if (page->broken) {
		struct problem problem;
		free(page->text);
		problem_set(&problem, 503, "out of memory", "there is no memory for the metrics");
		reply_problem(reply, &problem);
		return;
	}
	reply->status = 200;
	reply->type = METRICS_TYPE;
	reply->body = page->text;
	reply->body_len = page->len;
	reply->owned = true;
}
