/* stream_websocket.h: datagrams in a byte stream: one binary WebSocket message each (RFC 6455, by libwslay), behind a short queue.
 *
 * No I/O and no clock: bytes that came are put in, bytes to send are taken out. One thread. What waits is bounded: WEBSOCKET_QUEUE datagrams,
 * WEBSOCKET_OUT bytes behind them; a queue that stands drops from its head as CoDel does (RFC 8289), so that TCP inside TCP sees
 * loss early instead of delay without end.
 */
#ifndef FARLAN_NODE_STREAM_WEBSOCKET_H
#define FARLAN_NODE_STREAM_WEBSOCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WEBSOCKET_QUEUE   64
#define WEBSOCKET_OUT     16384 /* one TLS record */
#define WEBSOCKET_MESSAGE 2048  /* bytes; a path by stream carries less */

struct websocket;

/* deliver: once for each datagram, from within websocket_in(); the bytes are 16-byte aligned and its to change until it returns. */
struct websocket *websocket_new(bool client, void (*deliver)(void *self, uint8_t *datagram, size_t len), void *self); /* NULL: no memory */
void websocket_free(struct websocket *);
/* 0; -EPROTO or -ENOMEM: the stream is to be ended; -ECONNRESET: the other side said close. */
int websocket_in(struct websocket *, const uint8_t *bytes, size_t len);
/* Copies a datagram behind the others. Returns how many were dropped for that: of a full queue the oldest, or the datagram itself when
 * it is longer than a message. */
unsigned websocket_queue(struct websocket *, const uint8_t *datagram, size_t len, uint64_t now_ms);
int websocket_ping(struct websocket *);
/* What is to be written now, at most WEBSOCKET_OUT bytes, until websocket_sent() says how many of them left. *ret_dropped: datagrams that
 * had stood too long. */
size_t websocket_out(struct websocket *, uint64_t now_ms, const uint8_t **ret, unsigned *ret_dropped);
void websocket_sent(struct websocket *, size_t n);
bool websocket_waiting(const struct websocket *); /* is there anything to write? */

#endif
