/* stream_websocket.c: wslay between two buffers.
 *
 * In: wslay reads from the span that websocket_in() was given and says would-block at its end. Out: datagrams wait in a ring of our own,
 * because wslay's queue has neither a limit nor a way to drop; one at a time is handed to wslay while its frame surely fits into the
 * buffer, so wslay's queue holds control frames at most. A peer that makes us owe more pongs than CONTROLS_MAX is not honest.
 *
 * CoDel's rule for a queue whose drain is a TCP connection: what stood for less than TARGET_MS within the last INTERVAL_MS means that the
 * queue is good, however long it is. Otherwise heads are dropped, at intervals that shrink with the square root of their number.
 */
#include "node/stream_websocket.h"

#include <errno.h>
#include <stdalign.h>
#include <stdlib.h>
#include <string.h>
#include <wslay/wslay.h>

#include "proto/random.h"

#define CONTROLS_MAX 32
#define FRAME_HEAD   14 /* of a WebSocket frame, at most */
#define TARGET_MS    20
#define INTERVAL_MS  200  /* a round trip and more of what lies under a fallback */
#define SHRINK_MAX   4096 /* of the drop interval: to its 64th part */

struct queued {
	uint64_t since_ms;
	uint16_t len;
	uint8_t bytes[];
};

struct websocket {
	wslay_event_context_ptr ctx;
	void (*deliver)(void *self, uint8_t *datagram, size_t len);
	void *self;
	const uint8_t *in;
	size_t in_left;
	int error; /* found by a callback */
	struct queued *queue[WEBSOCKET_QUEUE];
	unsigned first, n;
	uint64_t above_ms; /* when the queue will have been bad for an interval; 0 = it is good */
	uint64_t drop_ms;  /* the next drop while dropping */
	unsigned drops;    /* in this bad time; 0 = not dropping */
	size_t out_at, out_len;
	uint8_t out[WEBSOCKET_OUT];
	alignas(16) uint8_t message[WEBSOCKET_MESSAGE];
};

/* ---- wslay's callbacks ------------------------------------------------------------------------------------------ */

static ssize_t take_bytes(wslay_event_context_ptr ctx, uint8_t *buf, size_t len, int flags, void *self)
{
	struct websocket *w = self;
	(void)flags;
	if (!w->in_left || w->error) {
		wslay_event_set_error(ctx, WSLAY_ERR_WOULDBLOCK);
		return -1;
	}
	if (len > w->in_left)
		len = w->in_left;
	memcpy(buf, w->in, len);
	w->in += len;
	w->in_left -= len;
	return (ssize_t)len;
}

static ssize_t put_bytes_out(wslay_event_context_ptr ctx, const uint8_t *data, size_t len, int flags, void *self)
{
	struct websocket *w = self;
	size_t room = sizeof(w->out) - w->out_len;
	(void)flags;
	if (!room) {
		wslay_event_set_error(ctx, WSLAY_ERR_WOULDBLOCK);
		return -1;
	}
	if (len > room)
		len = room;
	memcpy(w->out + w->out_len, data, len);
	w->out_len += len;
	return (ssize_t)len;
}

static int mask_draw(wslay_event_context_ptr ctx, uint8_t *buf, size_t len, void *self)
{
	(void)ctx;
	(void)self;
	random_bytes(buf, len);
	return 0;
}

static void message_in(wslay_event_context_ptr ctx, const struct wslay_event_on_msg_recv_arg *m, void *self)
{
	struct websocket *w = self;
	if (wslay_event_get_queued_msg_count(ctx) > CONTROLS_MAX)
		w->error = -EPROTO;
	if (m->opcode == WSLAY_CONNECTION_CLOSE)
		w->error = -ECONNRESET;
	if (w->error || wslay_is_ctrl_frame(m->opcode))
		return;
	if (m->opcode != WSLAY_BINARY_FRAME || m->msg_length > sizeof(w->message)) {
		w->error = -EPROTO;
		return;
	}
	if (m->msg_length) /* wslay gives NULL for an empty one */
		memcpy(w->message, m->msg, m->msg_length);
	w->deliver(w->self, w->message, m->msg_length);
}

/* ---- life ------------------------------------------------------------------------------------------------------- */

struct websocket *websocket_new(bool client, void (*deliver)(void *self, uint8_t *datagram, size_t len), void *self)
{
	const struct wslay_event_callbacks callbacks = {
	    .recv_callback = take_bytes,
	    .send_callback = put_bytes_out,
	    .genmask_callback = mask_draw,
	    .on_msg_recv_callback = message_in,
	};
	struct websocket *w = aligned_alloc(alignof(struct websocket), sizeof(*w));
	if (!w)
		return NULL;
	memset(w, 0, sizeof(*w));
	w->deliver = deliver;
	w->self = self;
	if ((client ? wslay_event_context_client_init : wslay_event_context_server_init)(&w->ctx, &callbacks, w) != 0) {
		free(w);
		return NULL;
	}
	wslay_event_config_set_max_recv_msg_length(w->ctx, WEBSOCKET_MESSAGE);
	return w;
}

static struct queued *head_take(struct websocket *w)
{
	struct queued *q = w->queue[w->first];
	w->first = (w->first + 1) % WEBSOCKET_QUEUE;
	w->n--;
	return q;
}

void websocket_free(struct websocket *w)
{
	if (!w)
		return;
	while (w->n)
		free(head_take(w));
	wslay_event_context_free(w->ctx);
	free(w);
}

/* ---- in --------------------------------------------------------------------------------------------------------- */

int websocket_in(struct websocket *w, const uint8_t *bytes, size_t len)
{
	w->in = bytes;
	w->in_left = len;
	int error = wslay_event_recv(w->ctx);
	w->in = NULL;
	if (w->error)
		return w->error;
	if (error)
		return error == WSLAY_ERR_NOMEM ? -ENOMEM : -EPROTO;
	/* What breaks the protocol makes wslay stop reading and queue a close; nothing more will come of it. */
	if (!wslay_event_get_read_enabled(w->ctx) || !wslay_event_want_read(w->ctx))
		return -EPROTO;
	return 0;
}

/* ---- out -------------------------------------------------------------------------------------------------------- */

unsigned websocket_queue(struct websocket *w, const uint8_t *datagram, size_t len, uint64_t now_ms)
{
	unsigned dropped = 0;
	struct queued *q = len && len <= WEBSOCKET_MESSAGE ? malloc(sizeof(*q) + len) : NULL;
	if (!q)
		return 1;
	if (w->n == WEBSOCKET_QUEUE) {
		free(head_take(w));
		dropped = 1;
	}
	q->since_ms = now_ms;
	q->len = (uint16_t)len;
	memcpy(q->bytes, datagram, len);
	w->queue[(w->first + w->n++) % WEBSOCKET_QUEUE] = q;
	return dropped;
}

static unsigned square_root(unsigned n)
{
	unsigned r = 1;
	while ((r + 1) * (r + 1) <= n)
		r++;
	return r;
}

/* May the head be sent? Else CoDel wants it dropped. */
static bool head_good(struct websocket *w, const struct queued *q, uint64_t now_ms)
{
	if (now_ms - q->since_ms < TARGET_MS || !w->n) { /* the last one standing is never dropped */
		w->above_ms = 0;
		w->drops = 0;
		return true;
	}
	if (!w->above_ms)
		w->above_ms = now_ms + INTERVAL_MS;
	if (now_ms < w->above_ms || (w->drops && now_ms < w->drop_ms))
		return true;
	w->drops += w->drops < SHRINK_MAX;
	w->drop_ms = now_ms + INTERVAL_MS / square_root(w->drops);
	return false;
}

int websocket_ping(struct websocket *w)
{
	const struct wslay_event_msg ping = {.opcode = WSLAY_PING};
	return wslay_event_queue_msg(w->ctx, &ping) ? -ENOMEM : 0;
}

size_t websocket_out(struct websocket *w, uint64_t now_ms, const uint8_t **ret, unsigned *ret_dropped)
{
	*ret_dropped = 0;
	if (w->out_at) {
		memmove(w->out, w->out + w->out_at, w->out_len - w->out_at);
		w->out_len -= w->out_at;
		w->out_at = 0;
	}
	wslay_event_send(w->ctx); /* control frames, and the rest of one that did not fit */
	while (w->n && !wslay_event_want_write(w->ctx) && sizeof(w->out) - w->out_len >= WEBSOCKET_MESSAGE + FRAME_HEAD) {
		struct queued *q = head_take(w);
		struct wslay_event_msg m = {.opcode = WSLAY_BINARY_FRAME, .msg = q->bytes, .msg_length = q->len};
		if (!head_good(w, q, now_ms) || wslay_event_queue_msg(w->ctx, &m) != 0)
			(*ret_dropped)++;
		free(q);
		wslay_event_send(w->ctx);
	}
	*ret = w->out;
	return w->out_len;
}

void websocket_sent(struct websocket *w, size_t n)
{
	w->out_at += n;
	if (w->out_at == w->out_len)
		w->out_at = w->out_len = 0;
}

bool websocket_waiting(const struct websocket *w)
{
	return w->n || w->out_len > w->out_at || wslay_event_want_write(w->ctx);
}
