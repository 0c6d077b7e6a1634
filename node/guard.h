/* guard.h: what a member may say on the network: router announcements, DHCP answers, and addresses of its own.
 *
 * Pure; any thread, no allocation. Reads frames of any origin. A bridge speaks for all that is behind it: their announcements and answers need the
 * bridge's rights. Called by both ends: the sender's own, so that what is refused does not travel and its user sees why, and the receiver's, which
 * is the one that counts.
 */
#ifndef FARLAN_NODE_GUARD_H
#define FARLAN_NODE_GUARD_H

#include <stddef.h>
#include <stdint.h>

#include "proto/base/drop.h"
#include "proto/cred.h"

/* Addresses of a member, immutable. Of a prefix in its credential the address counts: the bits are those of the subnet it lies in. */
struct owned {
	uint8_t ula[16]; /* derived */
	unsigned n;
	struct prefix ip[CRED_IPS_MAX];
};
struct owned *owned_new(uint64_t nwid, uint64_t address, const struct cred *); /* NULL: no memory. free() */

struct guard {
	uint32_t network_flags, member_flags; /* NETWORK_*, MEMBER_* of the sender */
	const struct owned *owned;            /* NULL = nothing */
};

/* Of a frame of at least 14 bytes whose source MAC is its sender's: DROP_RA_GUARD, DROP_DHCP_GUARD, DROP_IP_GUARD, or DROP_NONE. */
enum drop guard_frame(const struct guard *, const uint8_t *frame, size_t len);

#endif
