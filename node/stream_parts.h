/* stream_parts.h: what stream.c and stream_dial.c share of a stream. The streams' thread only.
 */
#ifndef FARLAN_NODE_STREAM_PARTS_H
#define FARLAN_NODE_STREAM_PARTS_H

#include <pthread.h>
#include <stdalign.h>
#include <stdatomic.h>

#include "node/stream.h"
#include "node/stream_proxy.h"
#include "node/stream_tls.h"
#include "node/stream_upgrade.h"
#include "node/stream_websocket.h"
#include "proto/wire.h"

enum stream_state {
	STREAM_LOOKUP,  /* the proxy's name is looked up; no descriptor yet. -> CONNECT */
	STREAM_CONNECT, /* TCP under way. -> PROXY or TLS */
	STREAM_PROXY,   /* CONNECT is written, its answer read. -> TLS */
	STREAM_TLS,     /* handshake. -> UPGRADE */
	STREAM_UPGRADE, /* the request is written, its answer read. -> OPEN */
	STREAM_OPEN,    /* datagrams; where an accepted one begins */
	STREAM_ENDED,   /* unfindable, freed at the end of the turn */
};

/* What a stream of ours needs until it is open. */
struct opening {
	char name[256];
	bool pin_set, proxied;
	uint8_t pin[32];
	uint8_t init[INIT_MAX];
	size_t init_len;
	char accept[UPGRADE_ACCEPT];
	size_t at, len; /* of text: written, or read so far */
	char text[UPGRADE_ANSWER_MAX];
};

struct stream {
	struct stream *next;                 /* of its bucket */
	struct stream *list_next, **list_at; /* of all, or of those that ended */
	struct streams *streams;
	struct endpoint at;
	enum stream_state state;
	int fd; /* -1 = none yet */
	uint32_t events;
	bool client, spoke, dirty;
	struct opening *opening; /* until OPEN */
	struct tls *tls;         /* NULL = bare */
	struct websocket *websocket;
	uint64_t born_ms, heard_ms, used_ms, ping_ms;
};

#define STREAM_BUCKETS   1024 /* of streams by endpoint */
#define STREAM_ORDERS    256
#define STREAM_ENDED_MAX 64
#define STREAM_READ      16384
#define STREAM_BATCH     32

struct order {
	enum { ORDER_OPEN, ORDER_CLOSE, ORDER_ACCEPT } kind;
	struct endpoint at;
	struct opening *opening; /* OPEN */
	struct greeting_bytes {  /* ACCEPT */
		size_t init_len, early_len;
		uint8_t bytes[];
	} * first;
	int fd;
	struct tls *tls;
};

struct streams {
	struct streams_config config;
	pthread_t thread;
	bool runs;
	int epoll, wake, pair;
	atomic_bool stopped;
	atomic_uint n_open;
	atomic_ullong dropped;

	pthread_mutex_t lock; /* of the next two rings */
	struct order order[STREAM_ORDERS];
	unsigned order_first, orders;
	struct endpoint ended[STREAM_ENDED_MAX];
	unsigned ended_first, n_ended;

	/* the thread's own */
	uint64_t now, sweep_ms;
	struct stream *bucket[STREAM_BUCKETS], *all, *dead;
	unsigned n_opened, n_accepted;
	struct tls_trust *trust;
	struct proxy *proxy;
	bool direct; /* the proxy failed last time: try without */
	uint64_t doubt_ms;
	struct stream *dirty[STREAM_BATCH];
	unsigned n_dirty;
	uint8_t read[STREAM_READ];
	alignas(16) uint8_t datagram[STREAM_BATCH][WEBSOCKET_MESSAGE];
};

/* ---- stream.c: one stream ---- */
void stream_events(struct stream *, uint32_t events); /* what to wait for; adds fd when it is new */
void stream_end(struct stream *, const char *why);    /* why: for the log; NULL = nothing to say */
void stream_opened(struct stream *);                  /* the upgrade was answered */
int stream_in(struct stream *, const uint8_t *bytes, size_t len);
struct stream *stream_find(struct streams *, const struct endpoint *);
struct stream *stream_new(struct streams *, const struct endpoint *, bool client); /* NULL: no memory */
void stream_ready(struct stream *, uint32_t events);
void stream_read(struct stream *);
unsigned stream_neighbours(struct streams *, const struct endpoint *); /* accepted ones from that address */
void stream_up(struct streams *, const struct endpoint *from, uint8_t *datagram, size_t len);
void stream_down(struct streams *, const struct endpoint *to, const uint8_t *datagram, size_t len);
void stream_write(struct stream *);
uint64_t stream_due(struct stream *, uint64_t now); /* when to look at it again; it ends or pings when that is now */
void stream_dropped(struct streams *, unsigned n);
void stream_doubt(struct streams *, const struct endpoint *, const char *why);

/* ---- stream_thread.c ---- */
void stream_told(struct streams *, const struct endpoint *); /* one of ours ended */

/* ---- stream_dial.c: a stream of ours until it is open ---- */
void dial_start(struct stream *);
void dial_continue(struct stream *); /* its descriptor is ready, or the proxy's address known */

#endif
