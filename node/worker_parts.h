/* worker_parts.h: the inside of a worker, for worker.c, inbound.c and outbound.c only.
 *
 * All memory of the data path is here, made once by worker_new: three slabs of 64 slots (datagrams in, frames in, datagrams
 * out), the batches over them, the reassembly. One thread; only the drop counters are read by others.
 */
#ifndef FARLAN_NODE_WORKER_PARTS_H
#define FARLAN_NODE_WORKER_PARTS_H

#include <stdatomic.h>

#include "node/mail.h"
#include "node/reassembly.h"
#include "node/session.h"
#include "node/view.h"
#include "node/worker.h"

/* A datagram in: what an unwrapped FRAME needs in front of it, then more than any valid datagram or reassembled frame. */
#define IN_HEAD    16
#define IN_ROOM    (FRAG_FRAME_MAX + 64)
#define IN_SLOT    (IN_HEAD + IN_ROOM)
#define OUT_SLOT   ((LEG_HEADER + DATAGRAM_MAX + 15) & ~15)
#define FRAME_SLOT FRAG_FRAME_MAX

#define MAC_MEMOS 64 /* power of two */

/* What else is known of in[i]. */
struct arrival {
	uint32_t size; /* UDP payload without a leg header */
	bool newest;   /* highest number of its lane */
	bool forward;  /* goes out again as it is */
};

struct worker {
	unsigned number;
	struct guestbook *book;
	struct udp *udp;
	int control_wake_fd, wake_fd, epoll;
	_Atomic bool stopped;
	struct mail mail;
	bool mailed;             /* in this turn */
	uint64_t now_us, now_ms; /* of this turn */
	const struct view *view; /* of this turn */
	uint32_t polled_generation;
	bool poll_stale; /* the epoll set must be built anew */
	uint64_t gone;   /* ports whose device failed, by chan - 1; cleared with the generation */

	uint8_t *in_slab, *frame_slab, *out_slab;
	struct packet in[BATCH_MAX];
	struct arrival arrival[BATCH_MAX];
	struct packet side[BATCH_MAX]; /* a part of a batch gathered by destination */
	struct packet frame[BATCH_MAX];
	struct packet out[BATCH_MAX];
	unsigned n_out;
	struct reassembly *reassembly;
	uint32_t frag_count;

	uint64_t budget_ns, budget_us; /* strangers: what is left, when refilled */
	struct {
		uint64_t key, address, told_ms;
	} mac_memo[MAC_MEMOS];

	_Atomic uint64_t drop[DROP_COUNT];
};

/* Both return how many packets they moved. */
unsigned inbound_turn(struct worker *);
unsigned outbound_turn(struct worker *);

/* The one place where the dead are counted: each moves its verdict's counter. */
void worker_count(struct worker *, enum drop, unsigned n);
void worker_count_batch(struct worker *, const struct packet *, unsigned n);
/* Letters: begin with time and worker's things filled, post marks the turn. */
struct letter *worker_letter(struct worker *, enum letter_kind);
void worker_post(struct worker *, struct letter *);

static inline void relaxed_add(_Atomic uint64_t *at, uint64_t n)
{
	atomic_fetch_add_explicit(at, n, memory_order_relaxed);
}

/* A stamp that often is there already: the line stays shared then. */
static inline void relaxed_stamp(_Atomic uint64_t *at, uint64_t now)
{
	if (atomic_load_explicit(at, memory_order_relaxed) != now)
		atomic_store_explicit(at, now, memory_order_relaxed);
}

#endif
