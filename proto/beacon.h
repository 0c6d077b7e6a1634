/* beacon.h: what a member calls out to its own LAN, so that others of its network find it with no root alive.
 *
 * Whoever knows the network's gate reads it; to all others it is 113 random bytes (PROTOCOL.md, Beacons). It names, it proves nothing: any
 * member could have sent it, but whose keys it brings is told by their hash. Pure; any thread.
 */
#ifndef FARLAN_PROTO_BEACON_H
#define FARLAN_PROTO_BEACON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BEACON_SALT  16
#define BEACON_BYTES 113

struct beacon {
	uint64_t address;
	uint8_t x[32], ed[32]; /* its public keys: no root may be there to tell them */
	uint16_t port4, port6; /* of the sender's UDP sockets; 0 = has none of that family */
	uint32_t epoch, seq;   /* (epoch, seq) grows with every beacon: an old one is a replay */
};

/* salt NULL: a random one. */
void beacon_create(const uint8_t gate[32], const struct beacon *, const uint8_t salt[BEACON_SALT], uint8_t ret[BEACON_BYTES]);
/* false: not of this gate's network. Whose keys they are is for the caller to see. */
bool beacon_parse(const uint8_t gate[32], const uint8_t *bytes, size_t len, struct beacon *ret);

#endif
