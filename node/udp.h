/* udp.h: the node's UDP port. Per listen address one socket per worker, together an SO_REUSEPORT
 * group; a classic BPF program steers a datagram by its lane (low 4 bits of its first byte,
 * PROTOCOL.md) to the socket of worker lane mod workers. Steering is a help, never relied upon.
 *
 * udp_open and udp_close belong to the control thread; udp_recv(worker) to that worker alone.
 * udp_send(worker) may be called by any number of threads at once: control sends by worker 0's
 * sockets. Nothing here blocks, allocates after udp_open, or logs. The simulator links another
 * implementation of this header. Errors are -errno. Datagrams go with DF set and without regard to
 * the kernel's path MTU cache: one too large for the link is refused.
 */
#ifndef FARLAN_NODE_UDP_H
#define FARLAN_NODE_UDP_H

#include <stddef.h>

#include "proto/base/batch.h"

#define UDP_SOCKETS_MAX 4 /* listen addresses */
#define UDP_WORKERS_MAX 16
#define UDP_EXTRA_FIRST 16 /* number of the first adopted socket, see below */
#define UDP_EXTRA_MAX   8
#define UDP_SPRAY_MAX   256

/* Bytes of the longest train: with all headers less than 65536, what a device takes to segment. */
#define UDP_TRAIN_MAX 65400

struct udp;

/* Binds 1..UDP_SOCKETS_MAX addresses for 1..UDP_WORKERS_MAX workers. Port 0 = random, the same for
 * all addresses that ask so. ret_bound[i] (n of them, may be NULL): what listen[i] became; family 0
 * when this kernel has no IPv6 and listen[i] was left out (never all of them). -EADDRINUSE when
 * another socket of this host has the port, whatever its options. */
int udp_open(struct udp **ret, const struct endpoint *listen, unsigned n, unsigned workers, struct endpoint *ret_bound);
void udp_close(struct udp *);

/* Takes one end of an AF_UNIX SOCK_SEQPACKET pair whose other end carries datagrams by streams: each message is a struct endpoint with
 * ENDPOINT_STREAM and a datagram. Once, before anybody polls. */
void udp_attach(struct udp *, int fd);

/* The number behind that of the last socket a worker may have (addresses bound, then the pair's, adopted ones), and the descriptor of one, for
 * poll; -1: not this worker's, or none of that number. */
unsigned udp_sockets(const struct udp *);
int udp_fd(const struct udp *, unsigned socket, unsigned worker);

/* Bits of udp_recv's *look: 1 << number for each socket to ask, and LEFT for what was read and not handed out yet. */
#define UDP_LOOK_LEFT (1u << 31)
#define UDP_LOOK_ALL  UINT32_MAX

/* Hands out up to n (<= BATCH_MAX) datagrams that came to this worker's sockets: data, len, room = len, from, socket, verdict NONE.
 * Asks those sockets that *look names, and takes a socket's bit away when it has no more; LEFT afterwards: call again, whatever the sockets say.
 * They lie in memory of the udp until the worker's next udp_recv and may be changed in place. Returns how many; 0 = nothing has come. The kernel
 * may bring up to 64 KiB of datagrams of one size and sender at once (UDP_GRO): such a train is handed out whole where it fits
 * into n, so that what was cut from one superframe comes in one batch. The socket that is read first changes with each call. */
unsigned udp_recv(struct udp *, unsigned worker, uint32_t *look, struct packet *p, unsigned n);

/* Sends those of n (<= BATCH_MAX) packets whose verdict is NONE to p[i].from, by socket p[i].socket if its family fits, else by the
 * first of that family. Runs to one destination of one size (the last may be shorter) leave as one message where the kernel can
 * segment (UDP_SEGMENT), fastest where they lie back to back; a run has one lane. DROP_SEND for what could not be sent: too large, no route, no such
 * family, buffer full. Those whose family has ENDPOINT_STREAM go by the pair. */
void udp_send(struct udp *, unsigned worker, struct packet *p, unsigned n);

/* A spray (spray.c): up to UDP_SPRAY_MAX more IPv4 sockets, each of a port of its own, that no worker sees. One of those that bring what was
 * hoped for may be adopted: it becomes socket UDP_EXTRA_FIRST.. , worker 0 reads it and all send by it. Control thread. */
/* How many of n could be made, at least one, or -errno (-EBUSY: there is a spray). */
int udp_spray_open(struct udp *, unsigned n);
bool udp_spray_send(struct udp *, unsigned i, const struct endpoint *to, const uint8_t *bytes, size_t len);
/* Looks at what came: the first word of the datagram (LE), its length and its source. What expected() does not know is thrown away. A
 * socket with one that it knows is adopted with the datagram still in it; returns its number, and *ret_old a descriptor whose place it took:
 * no worker will look at it once the turn it is in has ended, then it is the caller's to close; -1 = none. in_use: one bit for each
 * extra socket that must stay. -EAGAIN: nothing came. -ENOSPC: all are in use. */
typedef bool udp_expected(const void *self, uint32_t first, size_t len, const struct endpoint *from);
int udp_spray_adopt(struct udp *, udp_expected *expected, const void *self, uint32_t in_use, int *ret_old);
void udp_spray_close(struct udp *);      /* those that were not adopted */
unsigned udp_extras(const struct udp *); /* adopted ones that there are */

/* Fallbacks, for tests and for kernels that know no better: true = never ask the kernel for segmentation, or for coalescing; false = as
 * after udp_open. While nobody sends or receives, and nothing waits to be received. */
void udp_without(struct udp *, bool segment, bool gro);

#endif
