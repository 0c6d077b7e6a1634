/* mapping.h: asks the routers of this host to map our UDP ports to the outside: PCP, NAT-PMP and UPnP, on a thread of its own.
 *
 * mapping_new makes the thread, mapping_free ends it within a second, whatever routers do, and gives back what was mapped. The other calls are for
 * any thread. It sleeps but for renewals, changes of the host that mapping_kick() tells of, and gateways that announce a restart. It asks
 * nobody but default gateways, and believes nobody else.
 */
#ifndef FARLAN_NODE_MAPPING_H
#define FARLAN_NODE_MAPPING_H

#include "node/node.h"
#include "tap/netlink.h"

enum mapping_protocol { MAPPING_PCP, MAPPING_NAT_PMP, MAPPING_UPNP, MAPPING_PROTOCOLS };
const char *mapping_protocol_name(enum mapping_protocol); /* "PCP" "NAT-PMP" "UPnP" */

enum mapping_answer {
	MAPPING_UNKNOWN, /* not asked, since another did it */
	MAPPING_NO,      /* no gateway speaks it, or it refused: see error */
	MAPPING_YES,
};

#define MAPPING_ERROR 96

/* A snapshot, for people. */
struct mapping_view {
	bool on;         /* the thread is there */
	bool asking;     /* under way; what follows may change within seconds */
	bool no_gateway; /* this host has no default route by a router */
	struct {
		enum mapping_answer answer;
		char error[MAPPING_ERROR]; /* a sentence, or "" */
	} protocol[MAPPING_PROTOCOLS];
	struct mapping_held {
		enum mapping_protocol by;
		struct endpoint gateway; /* port 0 */
		struct endpoint internal, external;
		bool global; /* else the gateway is behind another NAT, and the mapping is good in its site only */
		uint32_t left_s;
	} held[MAPPED_MAX];
	unsigned n_held;
};

struct mapping_config {
	const struct endpoint *bound; /* the sockets' own addresses; copied */
	unsigned n_bound;
	/* The ways out of this host; called on the mapping thread. NULL: as netlink knows them. */
	int (*gateways)(void *self, struct gateway *ret, unsigned room);
	void (*notify)(void *self); /* on the mapping thread: mapping_endpoints() says something else */
	void *self;
};

struct mapping;

int mapping_new(struct mapping **ret, const struct mapping_config *);
void mapping_free(struct mapping *); /* notify is not called after it */
void mapping_kick(struct mapping *); /* addresses, links or routes changed */
/* The external endpoints, global ones first. Returns how many. */
unsigned mapping_endpoints(struct mapping *, struct endpoint ret[MAPPED_MAX]);
void mapping_view(struct mapping *, struct mapping_view *ret);

#endif
