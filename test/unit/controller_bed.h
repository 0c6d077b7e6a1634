/* controller_bed.h: what tests of a controller open it with: a key of its own, and persons, each with a key and an address made of his number. */
#ifndef FARLAN_TEST_CONTROLLER_BED_H
#define FARLAN_TEST_CONTROLLER_BED_H

#include <sodium.h>
#include <string.h>

#include "controller/controller.h"

#define BED_CONTROLLER 0xfe00000001

static inline void bed_secret(struct secret *ret)
{
	static const uint8_t seed[32] = {7};
	memset(ret->self.x, 9, 32);
	crypto_sign_seed_keypair(ret->self.ed, ret->ed, seed);
	identity_hash(&ret->self);
	ret->self.address = BED_CONTROLLER;
}

static inline struct identity person(unsigned n)
{
	struct identity who = {.address = 0x1000000000 + n};
	memset(who.x, 0x33, 32);
	memcpy(who.x, &n, sizeof(n));
	memset(who.ed, 0x55, 32);
	identity_hash(&who);
	return who;
}

/* Of a test that does not look at what is sent. */
static inline bool bed_send(void *to, const uint8_t key_hash[KEY_HASH_BYTES], const struct message *m)
{
	(void)to, (void)key_hash, (void)m;
	return true;
}

#endif
