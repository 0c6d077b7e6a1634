/* rows.h: a list that goes out row by row: {"schema": ..., "members": [row, row, ...], "next": ..., "total": ...}.
 *
 * Control thread only. A short list is an answer like any other; a long one leaves in pieces, read from its source a page at a time
 * and in turns of the loop, so that ten thousand rows neither stand in memory nor hold up anybody. What changes meanwhile is seen
 * or not, but no row twice: the source goes on behind the last one.
 */
#ifndef FARLAN_UI_ROWS_H
#define FARLAN_UI_ROWS_H

#include <jansson.h>

#include "ui/api.h"

#define ROWS_PAGE 100 /* what a source gives at once */

struct rows_source {
	/* Appends the next rows, ROWS_PAGE at most. 1: there may be more; 0: these were the last; -1: it cannot be read now. */
	int (*page)(void *self, json_t *array);
	/* After the last row: adds what stands behind them ("next", "total", ...). May be NULL. */
	void (*tail)(void *self, json_t *object);
	void (*end)(void *self); /* called once, in every case; may be NULL */
	void *self;
};

/* Answers with schema (NULL = none), then plural: the rows, then the tail. false: the source could not be read; the reply is untouched, its end()
 * was called, and the caller says why. One that breaks off later breaks the connection off. */
bool reply_rows(struct reply *, const char *schema, const char *plural, const struct rows_source *);

/* For tests: reads a reply that comes in pieces into an owned body. false: it broke off. */
bool reply_gather(struct reply *);

#endif
