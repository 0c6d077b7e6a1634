/* random.h: random bytes for the rooms above, so that libsodium stays on the ground floor and the simulator can replace its source.
 */
#ifndef FARLAN_PROTO_RANDOM_H
#define FARLAN_PROTO_RANDOM_H

#include <stddef.h>
#include <stdint.h>

void random_bytes(void *to, size_t n);
uint32_t random_u32(void);
uint32_t random_below(uint32_t bound); /* uniform in 0 .. bound - 1 */
void wipe(void *, size_t);

#endif
