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

#include "proto/base/batch.h"

#define UDP_SOCKETS_MAX 4 /* listen addresses */
#define UDP_WORKERS_MAX 16

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

/* How many sockets each worker has (addresses bound, and the pair's), and the descriptor of one, for poll; -1: not this worker's. */
unsigned udp_sockets(const struct udp *);
int udp_fd(const struct udp *, unsigned socket, unsigned worker);

/* Hands out up to n (<= BATCH_MAX) datagrams that came to this worker's sockets: data, len, room = len, from, socket, verdict NONE.
 * They lie in memory of the udp until the worker's next udp_recv and may be changed in place. Returns how many; 0 = nothing has come. The kernel
 * may bring up to 64 KiB of datagrams of one size and sender at once (UDP_GRO): such a train is handed out whole where it fits
 * into n, so that what was cut from one superframe comes in one batch. The socket that is read first changes with each call. */
unsigned udp_recv(struct udp *, unsigned worker, struct packet *p, unsigned n);

/* Sends those of n (<= BATCH_MAX) packets whose verdict is NONE to p[i].from, by socket p[i].socket if its family fits, else by the
 * first of that family. Runs to one destination of one size (the last may be shorter) leave as one message where the kernel can
 * segment (UDP_SEGMENT), fastest where they lie back to back; a run has one lane. DROP_SEND for what could not be sent: too large, no route, no such
 * family, buffer full. Those whose family has ENDPOINT_STREAM go by the pair. */
void udp_send(struct udp *, unsigned worker, struct packet *p, unsigned n);

/* Fallbacks, for tests and for kernels that know no better: true = never ask the kernel for segmentation, or for coalescing; false = as
 * after udp_open. While nobody sends or receives, and nothing waits to be received. */
void udp_without(struct udp *, bool segment, bool gro);

#endif
