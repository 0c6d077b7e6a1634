/* join.h: frames of one batch that were, or could have been, one superframe, joined again for one write (PROTOCOL.md, Superframes).
 *
 * Pure, no heap. Joined is only what the kernel would cut into exactly these frames again: same headers byte for byte except
 * what cut.h changes, sequence numbers and IP ids that go on, equal sizes up to the last. The sender's hint (packet.segment) tells where to look
 * first, it is never believed. A complete checksum is verified before it is given up for a partial one. Order within a flow stays.
 * Mirror of cut.h.
 */
#ifndef FARLAN_NODE_JOIN_H
#define FARLAN_NODE_JOIN_H

#include "node/layout.h"

#define JOIN_MAX 256 /* packets */

/* packet.kin, where it is not 0, is believed: kin.h.
 * p: n <= JOIN_MAX frames for one port in order of arrival, verdict NONE, tails 0, offload NONE or csum (checked: layout_offload_true).
 * Afterwards they stand in the order to write: a head with tails and its offload, then its tails, whose data and len are their
 * L4 payload. may: what the device takes (TAP_TSO, TAP_USO); kinds not in it are not joined. */
void join_batch(struct packet *p, unsigned n, unsigned may);

#endif
