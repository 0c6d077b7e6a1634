/* session.c: making and wiping what a datagram's index names.
 *
 * A session is one allocation plus its windows: keys that never change, one tx counter per lane, one rx window per announced
 * lane, and the footprints. Footprints begin on a cache line of their own each, so two workers that carry the same peer
 * do not fight for one; control sums them when a deadline comes.
 * tx counters are counters, not owners: whoever sends takes k numbers by one atomic add. They are 64 bits wide and stop at
 * 2^32, so senders that are refused at the end cannot push one around to numbers used before.
 */
#include "node/session.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static struct window *window_new(uint32_t bits)
{
	struct window *w = malloc(window_bytes(bits));
	if (w)
		window_init(w, bits);
	return w;
}

static void lanes_fini(struct session *s)
{
	for (unsigned i = 0; i < s->rx_lanes; i++) {
		pthread_mutex_destroy(&s->lane[i].lock);
		free(s->lane[i].window);
	}
}

static bool lanes_init(struct session *s)
{
	uint32_t bits = s->class == CLASS_CTRL ? WINDOW_BITS_CTRL : WINDOW_BITS_DATA;
	bool good = true;
	for (unsigned i = 0; i < s->rx_lanes; i++) {
		pthread_mutex_init(&s->lane[i].lock, NULL);
		s->lane[i].window = window_new(bits);
		good = good && s->lane[i].window;
	}
	return good;
}

struct session *session_new(enum session_class class, bool initiator, uint8_t suite, const struct session_keys *keys, uint32_t idx,
                            uint32_t peer_idx, uint8_t rx_lanes, uint8_t tx_lanes, struct remote *remote, unsigned workers, uint64_t now)
{
	assert(rx_lanes >= 1 && rx_lanes <= LANES_MAX && tx_lanes >= 1 && tx_lanes <= LANES_MAX);
	size_t bytes = sizeof(struct session) + (workers + 1) * sizeof(struct footprint);
	struct session *s = aligned_alloc(_Alignof(struct session), bytes);
	if (!s)
		return NULL;
	memset(s, 0, bytes);
	s->named = (struct named){.idx = idx & IDX_MASK, .kind = INDEX_SESSION};
	s->peer_idx = peer_idx & IDX_MASK;
	s->remote = remote;
	s->class = class;
	s->initiator = initiator;
	s->rx_lanes = rx_lanes;
	s->tx_lanes = tx_lanes;
	s->suite = suite;
	s->born_ms = now;
	s->reject_ms = now + (class == CLASS_CTRL ? CTRL_REJECT_AFTER_MS : REJECT_AFTER_MS);
	s->workers = workers;
	/* The RESP is what proved the peer to an initiator; a responder waits for the first packet under the new keys. */
	atomic_init(&s->confirmed, initiator);
	memcpy(s->exporter, keys->exporter, sizeof(s->exporter));
	if (!lanes_init(s) || !seal_init(&s->tx, suite, keys->send) || !seal_init(&s->rx, suite, keys->receive)) {
		session_free(s);
		return NULL;
	}
	return s;
}

void session_free(void *session)
{
	struct session *s = session;
	if (!s)
		return;
	lanes_fini(s);
	seal_fini(&s->tx);
	seal_fini(&s->rx);
	explicit_bzero(s->exporter, sizeof(s->exporter));
	free(s);
}

bool session_take(struct session *s, unsigned lane, unsigned k, uint64_t *ret_first)
{
	assert(lane < s->tx_lanes);
	/* The first look keeps a lane at its end from growing for ever; the add decides. */
	if (atomic_load(&s->next[lane]) + k > LANE_STOP)
		return false;
	uint64_t first = atomic_fetch_add(&s->next[lane], k);
	if (first + k > LANE_STOP)
		return false;
	*ret_first = first;
	return true;
}

unsigned session_lane_of(const struct session *s, uint32_t flow)
{
	return s->tx_lanes < 2 ? 0 : 1 + flow % (s->tx_lanes - 1u);
}

uint64_t session_last_rx(const struct session *s)
{
	uint64_t last = 0;
	for (unsigned i = 0; i <= s->workers; i++) {
		uint64_t at = atomic_load_explicit(&s->foot[i].rx_ms, memory_order_relaxed);
		last = at > last ? at : last;
	}
	return last;
}

uint64_t session_last_chosen(const struct session *s)
{
	uint64_t last = 0;
	for (unsigned i = 0; i <= s->workers; i++) {
		uint64_t at = atomic_load_explicit(&s->foot[i].chosen_ms, memory_order_relaxed);
		last = at > last ? at : last;
	}
	return last;
}

uint64_t session_last_tx(const struct session *s)
{
	uint64_t last = 0;
	for (unsigned i = 0; i <= s->workers; i++) {
		uint64_t at = atomic_load_explicit(&s->foot[i].tx_ms, memory_order_relaxed);
		last = at > last ? at : last;
	}
	return last;
}

uint64_t session_last_used(const struct session *s)
{
	uint64_t rx = session_last_rx(s), tx = session_last_tx(s);
	return rx > tx ? rx : tx;
}

uint64_t session_last_frame(const struct session *s)
{
	uint64_t at = 0;
	for (unsigned i = 0; i < s->workers; i++) {
		uint64_t ms = atomic_load(&s->foot[i].tx_ms);
		at = ms > at ? ms : at;
	}
	return at;
}

uint64_t session_last_big(const struct session *s)
{
	uint64_t at = 0;
	for (unsigned i = 0; i < s->workers; i++) {
		uint64_t ms = atomic_load_explicit(&s->foot[i].big_ms, memory_order_relaxed);
		at = ms > at ? ms : at;
	}
	return at;
}

struct circuit *circuit_new(uint32_t idx, struct remote *far, bool at_relay)
{
	struct circuit *c = calloc(1, sizeof(*c));
	if (!c)
		return NULL;
	c->window = window_new(WINDOW_BITS_LEG);
	if (!c->window) {
		free(c);
		return NULL;
	}
	c->named = (struct named){.idx = idx & IDX_MASK, .kind = INDEX_CIRCUIT};
	c->far = far;
	c->at_relay = at_relay;
	pthread_mutex_init(&c->lock, NULL);
	return c;
}

void circuit_free(void *circuit)
{
	struct circuit *c = circuit;
	if (!c)
		return;
	pthread_mutex_destroy(&c->lock);
	free(c->window);
	free(c->early);
	explicit_bzero(&c->rx, sizeof(c->rx));
	explicit_bzero(&c->tx, sizeof(c->tx));
	free(c);
}
