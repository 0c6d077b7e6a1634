/* owners.h: which IP address belongs to which member of a network, as the signed directory says (PROTOCOL.md, Who answers for an address).
 *
 * Immutable from owners_new() on, so any thread may look; control publishes one through struct port and retires the last. An address that two
 * claim belongs to the one whose credential is newer: serials grow over a whole network. While one of them is not known it belongs to
 * nobody, and both are asked.
 */
#ifndef FARLAN_NODE_OWNERS_H
#define FARLAN_NODE_OWNERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/prefix.h"

/* One address of one member. */
struct claim {
	struct prefix ip;
	uint8_t mac[6];
	bool router;     /* it forwards for others: told in what is answered for it */
	bool ours;       /* of this node: found by nobody, whoever else claims it */
	uint64_t serial; /* of its credential; 0 = not held */
};

struct owner {
	uint8_t mac[6];
	bool router;
};

struct owners;

/* From claims in any order; the unspecified address and multicast are nobody's. free() frees it. NULL: no memory. */
struct owners *owners_new(const struct claim *, size_t n);
/* false: nobody's, as far as is known. ip: 4 bytes or 16. NULL owns nothing. */
bool owners_find(const struct owners *, uint8_t family, const uint8_t *ip, struct owner *ret);
size_t owners_count(const struct owners *);
bool owners_same(const struct owners *, const struct owners *);
bool owners_disputed(const struct owners *); /* two claim one address: the next credential may settle it otherwise */

#endif
