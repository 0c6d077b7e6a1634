/* loopprobe.h: what a bridge says of itself on its own LAN, so that another bridge of the same network finds it there (PROTOCOL.md, Bridges and loops).
 *
 * 32 bytes that look random to whoever is not of the network. Nothing in them is fresh: who heard one may say it again, as far as that LAN reaches.
 * Pure; any thread.
 */
#ifndef FARLAN_PROTO_LOOPPROBE_H
#define FARLAN_PROTO_LOOPPROBE_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/ident.h"

#define LOOPPROBE_NONCE 16
#define LOOPPROBE_BYTES 32
#define LOOPPROBE_KEY   16

void loopprobe_key(const uint8_t gate[32], uint8_t ret[LOOPPROBE_KEY]);
void loopprobe_make(const uint8_t key[LOOPPROBE_KEY], const uint8_t nonce[LOOPPROBE_NONCE], const uint8_t key_hash[KEY_HASH_BYTES],
                    uint8_t ret[LOOPPROBE_BYTES]);
bool loopprobe_by(const uint8_t key[LOOPPROBE_KEY], const uint8_t probe[LOOPPROBE_BYTES], const uint8_t key_hash[KEY_HASH_BYTES]);

#endif
