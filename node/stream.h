/* stream.h: datagrams over TCP, for when UDP goes nowhere: TLS and WebSocket to port 443 of a root (PROTOCOL.md, Fallback).
 *
 * One thread for all streams of a process. Datagrams come from and go to udp.h by a pair of AF_UNIX sockets, each message a struct endpoint
 * (ENDPOINT_STREAM, the TCP far end) and the datagram. A stream is opened here (a node's) or accepted by somebody who did TLS and the
 * upgrade (a root's, ui/fallback.c); from the WebSocket on they are alike. Nothing here knows what the datagrams mean.
 */
#ifndef FARLAN_NODE_STREAM_H
#define FARLAN_NODE_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/batch.h"

#define STREAMS_OPENED_MAX   16 /* by us: one for each root */
#define STREAMS_ACCEPTED_MAX 4096
#define STREAMS_ADDRESS_MAX  64  /* of them from one IPv4 address or IPv6 /64: a site, not all of an attacker's */
#define STREAM_PROXY_MAX     300 /* "host:port" and NUL */

struct streams;
struct tls;

struct streams_config {
	char proxy[STREAM_PROXY_MAX]; /* HTTP proxy to try first, "host:port"; "" = none */
	void (*notify)(void *self);   /* on the streams' thread: streams_ended() has something; may be NULL */
	void *self;
};

/* A connection whose upgrade somebody else has answered. */
struct stream_accepted {
	struct endpoint from; /* the TCP far end */
	int fd;
	struct tls *tls;             /* over fd; NULL = bare */
	const uint8_t *init, *early; /* the first datagram; what came behind the request. Both copied */
	size_t init_len, early_len;
};

/* ret_fd: the workers' end of the pair, the caller's to udp_attach() or close. */
int streams_new(struct streams **ret, const struct streams_config *, int *ret_fd);
void streams_free(struct streams *); /* joins; all streams end */
/* From any thread; they never wait. false: too many at once. A stream to an endpoint that has one already is left as it is. pin NULL: none. */
bool streams_open(struct streams *, const struct endpoint *to, const char *name, const uint8_t *pin, const uint8_t *init, size_t len);
bool streams_close(struct streams *, const struct endpoint *);
bool streams_accept(struct streams *, const struct stream_accepted *); /* true: takes fd and tls */
/* The next of ours that ended or never came to be; false: none. */
bool streams_ended(struct streams *, struct endpoint *ret);
/* Datagrams that a stream's queue or ours dropped. */
uint64_t streams_dropped(const struct streams *);
unsigned streams_count(const struct streams *); /* open ones, either kind */

#endif
