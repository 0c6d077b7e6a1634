/* random.h: random bytes for the rooms above, so that libsodium stays on the ground floor and the simulator can replace its source.
 */
#ifndef FARLAN_PROTO_RANDOM_H
#define FARLAN_PROTO_RANDOM_H

#include <stddef.h>
#include <stdint.h>

void random_bytes(void *to, size_t n);
uint32_t random_u32(void);
uint32_t random_below(uint32_t bound); /* uniform in 0 .. bound - 1 */
/* 0.8 to 1.2 of it: what many do at once must not stay in step. */
static inline uint64_t random_about(uint64_t ms)
{
	return ms * 80 / 100 + random_below((uint32_t)(ms * 40 / 100 + 1));
}
void wipe(void *, size_t);

#endif
