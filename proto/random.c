/* random.c: libsodium's generator under names of our own. The simulator installs a seeded implementation below it. */
#include "proto/random.h"

#include <sodium.h>

void random_bytes(void *to, size_t n)
{
	randombytes_buf(to, n);
}

uint32_t random_u32(void)
{
	return randombytes_random();
}

uint32_t random_below(uint32_t bound)
{
	return randombytes_uniform(bound);
}

void wipe(void *p, size_t n)
{
	sodium_memzero(p, n);
}
