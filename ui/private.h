/* private.h: addresses that a stranger must not make us talk to: our own machine, its neighbours, networks of nobody's concern.
 *
 * Any thread; pure, but for what asks which addresses this machine has.
 */
#ifndef FARLAN_UI_PRIVATE_H
#define FARLAN_UI_PRIVATE_H

#include "proto/base/batch.h"

/* Loopback, private (RFC 1918, RFC 4193, RFC 6598), link-local, multicast, reserved or unspecified, also within the IPv6 forms that
 * carry an IPv4 address (mapped, compatible, translated, 6to4, NAT64); an address of neither family, too. */
bool address_private(const struct endpoint *);
/* Is it this machine's own, be it public? Who connects to it comes by loopback, past the firewall that keeps strangers from what listens
 * there. When that cannot be found out, it is. */
bool address_own(const struct endpoint *);
/* The IPv4 address that an IPv6 one carries, else the same; the port stays. */
struct endpoint address_plain(const struct endpoint *);

#endif
