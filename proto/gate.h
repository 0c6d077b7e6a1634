/* gate.h: the secret a stranger must know to get any reaction (PROTOCOL.md, Gate keys).
 *
 * A gate is derived once per (responder, secret) and then only read; gate_check is the cheap proof a worker does.
 */
#ifndef FARLAN_PROTO_GATE_H
#define FARLAN_PROTO_GATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GATES_MAX 128

struct gate {
	uint8_t secret[32]; /* all zero = gate_0 */
	uint8_t mac1[32], mask[32], cookie[32], hint[16];
};

extern const uint8_t gate_zero[32];

void gate_derive(struct gate *ret, const uint8_t responder_key_hash[32], const uint8_t secret[32]);
/* Is this an INIT (len already in INIT_MIN..INIT_MAX) made with this gate? Hint first, mac1 only on a match. */
bool gate_check(const struct gate *, const uint8_t *datagram, size_t len);
/* Gate secret of a pair, H256("fln1 pair gate", X25519 of the static keys): lets a root or a controller call, after its own restart, a
 * node that is silent to everybody else. Same result on both sides; false for a low-order key. */
struct secret;
bool gate_pair_secret(const struct secret *self, const uint8_t other_x[32], uint8_t ret[32]);
void gate_fini(struct gate *);

#endif
