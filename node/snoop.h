/* snoop.h: does a frame say that somebody joins or leaves an IP multicast group?
 *
 * Pure; any thread; reads frames of any origin and trusts nothing in them.
 */
#ifndef FARLAN_NODE_SNOOP_H
#define FARLAN_NODE_SNOOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* An IGMP report or leave (RFC 1112, 2236, 9776) or an MLD report or done (RFC 2710, 9777), with up to two VLAN tags. Queries, and all else: false. */
bool snoop_membership(const uint8_t *frame, size_t len);

#endif
