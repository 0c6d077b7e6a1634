/* output.h: answers as tables for people, as JSON for programs.
 *
 * Names come from strangers' machines: in a table they are escaped against control and bidi characters; JSON passes the
 * daemon's object through.
 */
#ifndef FARLAN_UI_CLI_OUTPUT_H
#define FARLAN_UI_CLI_OUTPUT_H

#include <jansson.h>
#include <stddef.h>

#include "ui/cli/verb.h"

#define CELL_MAX 512

enum cell {
	CELL_TEXT,
	CELL_COUNT,
	CELL_BYTES,  /* 1.2M */
	CELL_RTT,    /* microseconds */
	CELL_AGO_MS, /* milliseconds ago */
	CELL_TIME,   /* unix seconds */
	CELL_LASTS,  /* seconds, like 29d 4h */
	CELL_MS,     /* milliseconds, with their tenths */
	CELL_YES_NO,
	CELL_LIST,  /* array of strings */
	CELL_FLAGS, /* object of booleans: the names of the true ones */
};

struct column {
	const char *title, *name;
	enum cell cell;
};

/* The text of a field, escaped; "-" when it is absent, null or empty. */
const char *cell_text(const json_t *object, const char *name, enum cell, char buf[CELL_MAX]);
/* The raw string of a field, "" when it is none. */
const char *field(const json_t *object, const char *name);

/* Prints the array as a table; columns end with a NULL title. */
int output_table(const json_t *array, const struct column *);
/* One object, a line per column. */
int output_lines(const json_t *object, const struct column *);
/* -o json: the object, indented. -o jsonl: each element of its array member with schema on a line of its own; with member NULL
 * the object on one line. Only for those formats. */
int output_json(const struct call *, const json_t *object, const char *member, const char *schema);
void output_object(const json_t *object, bool indented);

#endif
