/* prefix.h: an address and how many of its bits count, IPv4 or IPv6.
 *
 * Pure; any thread. Numeric only, in inet_pton's forms and no others: "010.1.1.1" or "10.1" would mean different things to different readers.
 */
#ifndef FARLAN_PROTO_PREFIX_H
#define FARLAN_PROTO_PREFIX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/batch.h"

#define PREFIX_TEXT 52 /* 45 of "ffff:...:255.255.255.255", "/128" and NUL, rounded up */

struct prefix {
	uint8_t family, bits; /* 4 or 6 */
	uint8_t ip[16];       /* IPv4 in the first four bytes */
};

/* "10.0.0.0/8", "fd00::/8"; without "/N" the bits are 0, refused when they are needed. Address bits behind the prefix are kept. */
bool prefix_parse(const char *text, bool bits_needed, struct prefix *ret);
void prefix_format(const struct prefix *, char *buf, size_t room); /* room >= PREFIX_TEXT, 20 for IPv4 */
/* No bits set behind its length. */
bool prefix_is_net(const struct prefix *);
/* Does the endpoint's address lie inside? A stream's by its TCP end. */
bool prefix_holds(const struct prefix *, const struct endpoint *);
/* Is the one inside the other, or the same? */
bool prefix_within(const struct prefix *small, const struct prefix *large);

#endif
