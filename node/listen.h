/* listen.h: which UDP port a program has: the one it was told, the well-known one, or a random one that it keeps.
 *
 * Control thread, at start only; binds and closes sockets, reads and writes the file "port".
 */
#ifndef FARLAN_NODE_LISTEN_H
#define FARLAN_NODE_LISTEN_H

#include "node/files.h"
#include "node/udp.h"

#define LISTEN_PORT 9993

/* listen as given; n = 0: any IPv4 and IPv6 address, with LISTEN_PORT if well_known and free, else the kept port, else a random
 * one, kept from then on. ret_bound: of each socket of *ret in its order. ret_second: NULL, or where a further port is stored that was bound
 * on the same addresses (a root's, PROTOCOL.md, NAT typing); untouched if there is none. 0, or -errno and a text in why that names the address
 * and the mend. */
int listen_open(struct udp **ret, struct files *, const struct endpoint *listen, unsigned n, bool well_known, unsigned workers,
                struct endpoint ret_bound[UDP_SOCKETS_MAX], unsigned *ret_n_bound, uint16_t *ret_second, char *why, size_t room);

#endif
