/* fallback.h: roots reached by TLS streams while UDP goes nowhere.
 *
 * Control thread only; no I/O: streams are opened by node_port.stream_open and answer with datagrams, so that to everybody else a stream is
 * just another path, the worst of all.
 */
#ifndef FARLAN_NODE_FALLBACK_H
#define FARLAN_NODE_FALLBACK_H

#include "proto/base/batch.h"
#include "proto/base/heap.h"

#define FALLBACK_ROOTS 16

struct node;
struct peer;

struct fallback_root {
	struct peer *root;  /* whose slot this is; another one: start anew */
	struct endpoint at; /* of its stream; family 0 = there is none */
	bool up;            /* the root has answered by it */
	unsigned tries;     /* streams that did not come up, in a row */
	uint64_t next_ms;   /* before that no other one */
	uint64_t opened_ms;
};

struct fallback {
	struct timer timer;
	bool worked;       /* UDP ever did */
	uint64_t lost_ms;  /* since when no root answers over UDP; 0 = one does */
	uint64_t found_ms; /* since when one does; 0 = none */
	uint64_t asked_ms; /* UDP was last tried beside a stream */
	struct fallback_root root[FALLBACK_ROOTS];
};

void fallback_start(struct node *);
void fallback_tick(struct node *, uint64_t now); /* once a second at least */
void fallback_hosts_changed(struct node *);      /* another network: what failed may work */
/* The stream by which a root answered, or NULL: where its INITs go too. */
const struct endpoint *fallback_endpoint(const struct peer *root);

#endif
