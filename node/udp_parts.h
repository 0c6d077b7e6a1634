/* udp_parts.h: the inside of struct udp, for udp.c (sockets), udp_spray.c (more of them), udp_in.c (receive) and udp_out.c (send) only.
 */
#ifndef FARLAN_NODE_UDP_PARTS_H
#define FARLAN_NODE_UDP_PARTS_H

#include <assert.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>

#include "node/address.h"
#include "node/udp.h"

#define LANE_BITS   15u
#define MESSAGE_MAX 65536
#define SLOT        (MESSAGE_MAX + 1600) /* not a power of two: else all slots begin in the same few cache lines */

static_assert(BATCH_MAX <= 64, "the kernel cuts a message into no more");

struct message {
	uint32_t len, segment; /* segment: length of each datagram in it but the last; 0 when the message is empty */
	struct endpoint from;
	uint8_t socket;
};

/* What one worker has read; zero pages of its own. */
struct inlet {
	unsigned turn;      /* which socket is read first */
	unsigned n, next;   /* messages there; the first that is not handed out entirely */
	uint32_t cut;       /* bytes of that one that are */
	bool long_messages; /* as the last reading had it */
	struct message message[BATCH_MAX];
	alignas(64) uint8_t slot[BATCH_MAX][SLOT];
};

struct udp {
	unsigned sockets, workers;
	uint8_t family[UDP_SOCKETS_MAX];
	bool segment; /* the kernel knows UDP_SEGMENT */
	int fd[UDP_SOCKETS_MAX][UDP_WORKERS_MAX];
	atomic_uint rest[UDP_SOCKETS_MAX][UDP_WORKERS_MAX]; /* calls this socket still does without trains */
	int streams;                                        /* the pair's end; -1 = none */
	struct inlet *inlet[UDP_WORKERS_MAX];
	/* udp_spray.c */
	struct endpoint local4; /* address the first IPv4 socket is bound to, port 0; family 0 = there is none */
	bool no_gro;
	atomic_uint extras; /* adopted: so many of these */
	atomic_int extra_fd[UDP_EXTRA_MAX];
	atomic_uint extra_rest[UDP_EXTRA_MAX];
	unsigned sprayed;
	int spray_fd[UDP_SPRAY_MAX]; /* -1 = adopted */
	int spray_poll;              /* epoll of those */
};

/* udp.c: a socket with our options, unbound. */
int udp_socket(uint8_t family, int *ret);

/* Room for one control message, aligned as the kernel writes it. */
union control {
	struct cmsghdr first;
	uint8_t segment[CMSG_SPACE(sizeof(uint16_t))];
	uint8_t gro[CMSG_SPACE(sizeof(int))];
};

#endif
