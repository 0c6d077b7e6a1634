/* warning.h: what an admin should know of although the node goes on: sentences with the mend, each under a short code.
 *
 * Control thread only. A standing warning is set by who found the trouble and taken back by who sees it gone; those that follow from the state
 * of the moment (no root answers) are computed when somebody asks.
 */
#ifndef FARLAN_NODE_WARNING_H
#define FARLAN_NODE_WARNING_H

#include <stdbool.h>

#include "proto/base/batch.h"

#define WARNINGS_MAX 16
#define WARNING_TEXT 288

struct node;

struct warning {
	const char *code; /* static, like "tls-not-bound"; NULL = free */
	char text[WARNING_TEXT];
};

struct warnings {
	struct warning standing[WARNINGS_MAX];
};

/* Sets or replaces the warning of that code; text "" takes it back. More than WARNINGS_MAX are left out. */
void node_warn(struct node *, const char *code, const char *text);
void node_warnings(struct node *, void (*each)(void *, const struct warning *), void *);

#endif
