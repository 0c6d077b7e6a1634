/* leg.h: leg packets between a node and a relay, 16 bytes in front of an unchanged datagram (PROTOCOL.md, Relaying).
 *
 * Pure; keys are read-only after leg_derive, any thread.
 */
#ifndef FARLAN_PROTO_LEG_H
#define FARLAN_PROTO_LEG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LEG_TO_RELAY   0
#define LEG_FROM_RELAY 1

struct leg_keys {
	uint8_t key[16];
	uint8_t hp[16];
};

/* exporter: 32 bytes of the node-relay session; receiver_idx: index chosen by the receiver of this direction;
 * other_idx: index of the opposite direction of the same leg (28 bits, lane 0). */
void leg_derive(struct leg_keys *ret, const uint8_t exporter[32], uint32_t receiver_idx, uint32_t other_idx, uint8_t direction);
/* Fills the 16 bytes at datagram; the inner datagram of inner_len bytes follows it already. */
void leg_seal(const struct leg_keys *, uint32_t idx, uint32_t seq, uint8_t *datagram, size_t inner_len);
/* Checks the tag; len = whole leg packet, > 16. *ret_seq = the clear number. Nothing is modified. */
bool leg_open(const struct leg_keys *, const uint8_t *datagram, size_t len, uint32_t *ret_seq);

#endif
