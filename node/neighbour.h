/* neighbour.h: answers to ARP requests and IPv6 neighbour solicitations, made here for the member that owns the address (PROTOCOL.md, Who answers for an
 * address; RFC 826, 4861, 5227).
 *
 * Pure; any thread; no allocation. Whoever asks, the host itself or one in the LAN behind its bridge, gets what the owner would have said, and no other
 * member hears of it. What is not a plain question (a probe for a duplicate, an announcement, anything malformed or tagged) is not answered: it
 * goes the way of all frames to many, since someone else may know better.
 */
#ifndef FARLAN_NODE_NEIGHBOUR_H
#define FARLAN_NODE_NEIGHBOUR_H

#include <stddef.h>
#include <stdint.h>

#include "node/owners.h"

#define NEIGHBOUR_MAX 86 /* Ethernet 14, IPv6 40, advertisement 24, target link-layer address 8; an ARP reply has 42 */

/* The answer to a frame from the device, a complete one for the device; its length, or 0: not to be answered here. */
size_t neighbour_answer(const struct owners *, const uint8_t own_mac[6], const uint8_t *frame, size_t len, uint8_t out[NEIGHBOUR_MAX]);

#endif
