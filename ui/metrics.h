/* metrics.h: a page in Prometheus' text format 0.0.4: a name, labels, a number.
 *
 * Control thread only. Labels are ids, states and names of ours, never names that strangers choose.
 */
#ifndef FARLAN_UI_METRICS_H
#define FARLAN_UI_METRICS_H

#include "ui/api.h"

struct page { /* text that grows; zeroed */
	char *text;
	size_t len, room;
	bool broken; /* out of memory */
	void *self;  /* whose it is, for callbacks that only get the page */
};

__attribute__((format(printf, 2, 3))) void page_put(struct page *, const char *format, ...);
void page_family(struct page *, const char *name, const char *type, const char *help);
/* What runs, its memory and time. prefix: of the names of the latter; "" where nobody else tells of a process on the same page. */
void page_process(struct page *, const char *program, const char *prefix);
void page_reply(struct page *, struct reply *); /* takes the text */

#endif
