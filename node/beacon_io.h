/* beacon_io.h: the sockets that carry beacons: one group of each family, on every link that can and is not an overlay.
 *
 * Control thread only. Groups 239.255.99.95 and ff12::e0f1:9995, UDP port 9995, TTL 255 out and nothing less in (RFC 5082): what comes
 * through a router is not from our LAN. Links are looked at with each beacon sent, so a changed host needs no word of its own.
 */
#ifndef FARLAN_NODE_BEACON_IO_H
#define FARLAN_NODE_BEACON_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/batch.h"

#define BEACON_PORT 9995

struct beacon_io;

int beacon_io_open(struct beacon_io **ret); /* 0 if a socket of at least one family can be had */
void beacon_io_close(struct beacon_io *);
int beacon_io_fd(const struct beacon_io *); /* readable when a beacon came */
/* Sends one datagram from each of our addresses on each link; skip: interfaces of ours that are overlays. now: monotonic ms. */
void beacon_io_send(struct beacon_io *, const uint8_t *bytes, size_t len, const unsigned *skip, unsigned n_skip, uint64_t now);
/* One datagram whose sender is a neighbour on the link it came by: its length; 0 = that one was not; -EAGAIN when there are no more. */
long beacon_io_recv(struct beacon_io *, struct endpoint *ret_from, uint8_t *buf, size_t room);

#endif
