/* contact.h: contact records: at which roots of a set a node can be called, in its own words (PROTOCOL.md, Contact records).
 *
 * The node signs; roots hand records on and can withhold them, but neither forge one nor put an old one in place of a
 * newer: per key_hash the highest seq wins. No address of any host stands in it. Pure; control thread (heap).
 */
#ifndef FARLAN_PROTO_CONTACT_H
#define FARLAN_PROTO_CONTACT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/ident.h"

#define CONTACT_HOMES_MAX    2
#define CONTACT_ENVELOPE_MAX 224
#define CONTACT_TTL_S        7200

struct contact {
	uint8_t key_hash[KEY_HASH_BYTES];
	uint64_t address;
	uint64_t seq; /* grows over restarts: epoch << 32 | count */
	unsigned n_homes;
	uint64_t home[CONTACT_HOMES_MAX]; /* addresses of roots, the better one first */
	uint32_t ttl_s;
	uint32_t flags;
};

/* The envelope's length, or 0. */
size_t contact_sign(const struct contact *, const uint8_t ed_secret[64], uint8_t *out, size_t room);
/* Signature by this identity's key, and the record is about this identity. False: output untouched. */
bool contact_open(const uint8_t *envelope, size_t len, const struct identity *, struct contact *ret);
/* Without the signature: for a look at seq before the work, and for printing. */
bool contact_parse(const uint8_t *envelope, size_t len, struct contact *ret);

#endif
