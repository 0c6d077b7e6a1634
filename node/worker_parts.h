/* worker_parts.h: the inside of a worker, for worker.c, inbound.c and outbound.c only.
 *
 * All memory of the data path is here, made once by worker_new: slabs for frames from the devices, for datagrams out, for frames that
 * need another place on their way in; the batches over them, the reassembly. (Datagrams in lie in memory of the udp.) One
 * thread; only the drop counters are read by others.
 */
#ifndef FARLAN_NODE_WORKER_PARTS_H
#define FARLAN_NODE_WORKER_PARTS_H

#include <stdatomic.h>

#include "node/encap.h"
#include "node/join.h"
#include "node/kin.h"
#include "node/mail.h"
#include "node/reassembly.h"
#include "node/session.h"
#include "node/view.h"
#include "node/worker.h"
#include "tap/tap.h"

/* A turn's worth: what fits the second-level cache together. A frame slab always has room for one superframe more. */
#define FRAME_SLAB (128 * 1024 + TAP_SLAB_MIN)
#define OUT_SLAB   (128 * 1024)
#define UP_SLAB    (64 * 1024)

#define SEGMENTS_MAX     255  /* of one superframe id */
#define BUNDLE_FRAME_MAX 320  /* bytes: longer ones gain nothing by company */
#define BUNDLE_ROOM      1472 /* datagram bytes kept free for company */

#define ECHOES 128 /* power of two */

/* What else is known of in[i]. */
struct arrival {
	uint32_t size; /* UDP payload without a leg header */
	bool newest;   /* highest number of its lane */
	bool forward;  /* goes out again as it is */
};

#define INBOUND_BATCHES 4 /* of one turn: as many trains as one reading brings, 256 KiB; what they are answered with leaves together */

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
	bool poll_stale;  /* the epoll set must be built anew */
	uint64_t gone[2]; /* ports whose device, whose interface failed, by chan - 1; cleared with the generation */
	/* What this turn looks at: sockets (udp_recv), and by chan - 1 the devices and the interfaces of ports. */
	uint32_t look_udp;
	uint64_t look_port[2];

	struct packet in[BATCH_MAX];
	struct arrival arrival[BATCH_MAX];
	const struct packet *roamed;          /* the last of in[] whose source was asked for, NULL: none of this batch, */
	const struct session *roamed_session; /* and whose it was */
	struct packet up[JOIN_MAX];           /* frames that wait for the end of the batch, of all ports */
	unsigned n_up;
	struct packet port_up[JOIN_MAX]; /* those of one port */
	struct kin kin[2];               /* of a frame in up[] that came alone; in a bundle */
	uint8_t kins;                    /* numbers given since up[] was empty */
	uint8_t *up_slab;
	uint32_t up_used;
	struct reassembly *reassembly;

	uint8_t *frame_slab;
	struct packet frame[BATCH_MAX];
	uint64_t tx_frames, tx_bytes; /* of one port's turn */
	struct {
		const struct member *to; /* NULL = nothing waits */
		uint64_t frames, bytes;
	} link; /* what was loaded for the first receiver since the last flush, which counts it */
	uint8_t *out_slab;
	uint32_t out_used;
	struct packet out[BATCH_MAX];
	unsigned n_out;
	struct open_bundle {
		uint8_t at, frames;    /* in out[]; how many so far, 0: none */
	} open[LANES_MAX];             /* the last small packet of each lane */
	struct packet side[BATCH_MAX]; /* a part of a batch gathered by destination */
	uint32_t frag_count;
	uint16_t segment_id;
	uint64_t ring[MEMBERS_MAX + 64]; /* addresses of those a frame is for, while it is shared out */
	uint32_t copied;                 /* frames shared out so far: who is served first goes round */
	struct {
		uint64_t hash, ms;
	} echo[ECHOES]; /* flooded frames that were seen while a loop is suspected */
	uint64_t groups_told_ms, gather_told_ms;
	uint8_t segment[FRAG_FRAME_MAX]; /* one of a superframe that cannot be sent as such */

	uint64_t budget_ns, budget_us; /* strangers: what is left, when refilled */

	_Atomic uint64_t drop[DROP_COUNT];
};

/* Both return how many packets they moved. */
unsigned inbound_turn(struct worker *);
/* May there be a letter on this node's account now? NULL: nobody's, so it may. */
bool inbound_may_tell(struct worker *, struct remote *, enum letter_kind);
unsigned outbound_turn(struct worker *);

/* Frames of an opened packet go towards the devices: what waits is written by deliver_end. false: the channel is not open, so control decides; else the
 * packet has its verdict. */
bool deliver_frames(struct worker *, struct packet *, struct session *);
bool deliver_piece(struct worker *, struct packet *, struct session *);
void deliver_end(struct worker *);

/* One frame on its way out. */
struct errand {
	struct port *port;
	const struct roster *roster;
	uint8_t *frame;
	size_t len;
	struct offload offload;
	uint32_t flow;
	struct note note;
	uint64_t origin; /* the member whose frame it is; 0 = our own */
	bool nic;        /* it came by the port's interface */
	bool done;       /* it goes no further, and that is right */
};
/* A frame of the device finds its receivers; p->verdict says what became of it. */
void route_packet(struct worker *, struct port *, struct packet *, bool nic);
/* The source of a frame is behind that member, or (our own address) on our LAN: learned; DROP_FLAP: it moves too often. */
enum drop source_see(struct worker *, struct port *, uint64_t behind, const uint8_t *frame, size_t len);
/* A frame that a member asks us to copy: to those of its audience in that stretch of the ring (audience.h). */
void route_replica(struct worker *, struct port *, const struct member *origin, const struct packet *, uint64_t from, uint64_t to);
/* false: this member cannot be sent this frame (yet). Packets that die here are counted. What is loaded leaves with the flush. */
bool outbound_send(struct worker *, struct errand *, const struct member *);
void outbound_flush(struct worker *);

/* The one place where the dead are counted: each moves its verdict's counter. */
void worker_count(struct worker *, enum drop, unsigned n);
void worker_count_batch(struct worker *, const struct packet *, unsigned n);
/* The same for frames of which the network is known: it has counters of its own. */
void worker_count_port(struct worker *, struct port *, enum drop, unsigned n);
void worker_count_frames(struct worker *, struct port *, const struct packet *, unsigned n);
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
