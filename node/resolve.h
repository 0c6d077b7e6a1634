/* resolve.h: the addresses behind the names of our roots.
 *
 * Control thread only. Names are looked up at the start, every half hour, and when a root does not answer; the look-up itself runs elsewhere
 * (node_port.resolve). What was found stays until something else is found: a resolver that fails takes no address away.
 */
#ifndef FARLAN_NODE_RESOLVE_H
#define FARLAN_NODE_RESOLVE_H

#include "proto/root_line.h"

#define RESOLVED_MAX    8  /* addresses of one name */
#define ROOT_KNOWN_MAX  16 /* an INIT goes to all of them at once */
#define RESOLVE_NAMES   ROOT_ENDPOINTS_MAX
#define RESOLVE_WHY_MAX 160

struct node;
struct peer;

struct resolve_name { /* one name of one root */
	uint64_t next_ms, asked_ms;
	uint8_t fails; /* look-ups in a row that did not help: no answer, or a root that is still silent */
	bool asking, warned;
	bool nothing; /* the last look-up gave no usable address ... */
	bool overlay; /* ... because all lie in an overlay of ours */
	struct endpoint at[RESOLVED_MAX];
	unsigned n;
};

struct resolve_root {
	const struct root_line *line; /* whose names these are; another one: start anew */
	uint64_t silent_ms;           /* since when it does not answer; 0 = it does */
	struct resolve_name name[RESOLVE_NAMES];
};

/* All endpoints known for a root, each once: where it answered last, then as its line says, then what its names gave. Returns how many. */
unsigned resolve_endpoints(const struct peer *root, struct endpoint ret[ROOT_KNOWN_MAX]);
/* The name (of the root's line) that this address was found under, or "". */
const char *resolve_host(const struct peer *root, const struct endpoint *);
/* Why a root's names are no help, as a sentence; "" when there is nothing to say. */
void resolve_reason(const struct peer *root, char ret[RESOLVE_WHY_MAX]);
void resolve_tick(struct node *, uint64_t now); /* once a second */
void resolve_hosts_changed(struct node *);      /* a new address: names that gave nothing may now */

#endif
