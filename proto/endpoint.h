/* endpoint.h: a UDP address: its text form, and what kind of place it names. The struct lives in proto/base/batch.h, the wire form in proto/wire.h.
 *
 * Pure; any thread. Numeric only: names are never looked up here.
 */
#ifndef FARLAN_PROTO_ENDPOINT_H
#define FARLAN_PROTO_ENDPOINT_H

#include <stdbool.h>
#include <stddef.h>

#include "proto/base/batch.h"

#define ENDPOINT_TEXT_MAX 56 /* "[" 39 "]:65535" and NUL, rounded up */

/* "192.0.2.1:9993" or "[2001:db8::1]:9993", the whole text, port 1..65535. An IPv4-mapped IPv6 address becomes IPv4. */
bool endpoint_parse(const char *text, struct endpoint *ret);
/* room >= ENDPOINT_TEXT_MAX; "none" for family 0, "tls:" in front of a stream's. */
void endpoint_format(const struct endpoint *, char *buf, size_t room);
bool endpoint_equal(const struct endpoint *, const struct endpoint *);
/* 1..65535 in decimal, the whole text. */
bool port_parse(const char *text, uint16_t *ret);

/* Could another machine be there? Not: unspecified, loopback, link-local, multicast, reserved. Like the two below it judges the address alone; the
 * port may be 0. */
bool endpoint_usable(const struct endpoint *);
bool endpoint_private(const struct endpoint *); /* of a site: RFC 1918, RFC 4193 */
/* Of the Internet: usable, not private, not a carrier's behind its NAT (RFC 6598); IPv6: 2000::/3. */
bool endpoint_global(const struct endpoint *);

#endif
