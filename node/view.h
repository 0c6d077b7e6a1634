/* view.h: what workers may use, and how long a borrowed pointer lives.
 *
 * Control is the only writer; workers only read, one turn at a time. The view points to long-lived objects whose changing
 * parts are atomic; whatever control takes out of sight it hands to guestbook_retire(), which frees it once every worker has
 * ended the turn it was in (or sleeps). seq_cst everywhere, no bare fences: TSan must be able to follow.
 */
#ifndef FARLAN_NODE_VIEW_H
#define FARLAN_NODE_VIEW_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "node/blame.h"
#include "node/meter.h"
#include "node/node.h"
#include "node/storm.h"
#include "node/traffic.h"
#include "proto/gate.h"
#include "proto/wire.h"

/* ---- the index table: 28 random bits -> session, pending handshake or circuit ---------------------------------- */

/* First member of whatever an index names. */
struct named {
	uint32_t idx; /* lane bits 0 */
	enum index_kind kind;
};

/* Open addressing over atomic pointers; grown by replacing the whole table through the view. */
struct index {
	uint32_t mask, used; /* used counts tombstones; control only */
	_Atomic(struct named *) slot[];
};

struct index *index_new(uint32_t slots);                      /* power of two */
struct named *index_find(const struct index *, uint32_t idx); /* lane bits ignored; NULL = names nothing. Any thread */
bool index_put(struct index *, struct named *);               /* control; false: half full, make a larger one */
void index_take(struct index *, const struct named *);        /* control; then retire the object */
struct index *index_larger(const struct index *);             /* a copy of twice the size without tombstones, or NULL */

/* ---- what stands behind the pointers --------------------------------------------------------------------------- */

/* A way to a peer, immutable; replaced whole (never edited) so that no reader sees half of it. */
struct way {
	struct endpoint to; /* direct: the peer. relayed: unused */
	uint8_t socket;
	struct circuit *circuit; /* relayed: the leg to send on; NULL = direct */
	uint16_t datagram;       /* largest datagram (without leg header) that it carries */
};

/* The workers' side of a peer; lives as long as the peer. */
struct remote {
	uint8_t key_hash[KEY_HASH_BYTES];
	uint64_t address;
	_Atomic(struct session *) session;             /* data class, to send frames on; NULL = none yet */
	_Atomic(const struct way *) way;               /* NULL = none usable */
	_Atomic(struct member *) member[NETWORKS_MAX]; /* by our chan - 1; NULL = not a member there */
	_Atomic uint64_t letters_us;                   /* bucket of what it may tell control (inbound.c) */
	struct sender sender;                          /* at our relay */
};

/* One member of one network as workers see it; lives as long as it is listed or its channel is open. */
struct member {
	struct remote *remote;
	uint64_t address;
	uint8_t mac[6];                 /* derived */
	uint32_t slot;                  /* position in its port's roster of this generation */
	_Atomic uint32_t flags;         /* MEMBER_* of its credential; 0 until the channel opened */
	_Atomic uint16_t tx_chan;       /* its handle of this network; 0 = may not send to it (yet) */
	_Atomic bool blocked;           /* its loop guard shut its port: it has no MACs behind it */
	_Atomic bool rx_open;           /* its valid credential is held: frames may be accepted from it */
	uint8_t macs[CRED_MACS_MAX][6]; /* further MACs it may use; set before rx_open, then fixed */
	unsigned n_macs;
	_Atomic(const struct owned *) owned; /* addresses of its credential; NULL = none held */
	struct storm storm;                  /* what it sends to many (police.c) */
	_Atomic uint64_t blame[BLAME_COUNT]; /* drops that are its doing */
	_Atomic(struct traffic *) traffic;   /* by worker, the last is control's; made when its channel first opens: NULL = not counted */
};

/* The members of a network, immutable; sorted by address. */
struct roster {
	uint32_t generation;
	uint32_t n;
	struct member *member[];
};
uint32_t roster_place(const struct roster *, uint64_t address);      /* its length: nowhere */
struct member *roster_find(const struct roster *, uint64_t address); /* binary search */

/* A network as workers see it. */
struct port {
	uint64_t nwid;
	unsigned chan;             /* our handle, 1..NETWORKS_MAX */
	_Atomic(struct tap *) tap; /* NULL = gone or not yet there; a worker asks once and keeps it for its turn */
	_Atomic(struct tap *)
	    nic; /* an interface of the host as a second device (tap/nic.h), only where own_flags has bridge; as tap: NULL = none now */
	uint8_t mac[6];   /* own, derived */
	uint64_t address; /* own */
	_Atomic uint16_t mtu;
	_Atomic uint32_t own_flags;   /* MEMBER_* of our own credential */
	_Atomic uint32_t mcast_limit; /* frames that one sends itself of what is for many; 0 = all, and nothing is left to replicators */
	_Atomic bool open;            /* credential held and valid; closed = nothing passes */
	_Atomic(const struct roster *) roster;
	_Atomic(const struct audiences *) audiences;   /* who gets multicast; NULL: audience_find() knows */
	_Atomic(const struct owners *) owners;         /* whose IP addresses those of the network are; NULL at the start */
	_Atomic(const struct owned *) owned;           /* our own addresses */
	_Atomic uint32_t network_flags;                /* NETWORK_* */
	_Atomic(const struct ethertypes *) ethertypes; /* NULL = all pass */
	_Atomic uint32_t storm_frames, mcast_kbit;     /* limits of a sender, 0 = none: storm.h */
	struct storm storm;                            /* of our device */
	_Atomic(struct mirrors *) mirrors;             /* who watches its frames (tap/mirror.h); NULL = nobody */
	struct fdb *fdb;                               /* learned MACs */
	_Atomic bool blocked;                          /* by the loop guard: nothing passes between device and wire */
	_Atomic uint64_t suspect_ms;                   /* until then the same flooded frame twice is an echo (loopguard.h) */
	_Atomic uint64_t loop_us, suspect_us;          /* buckets of what workers tell the loop guard: probes, suspicions */
	uint64_t apart[8];                             /* what is above is read for every frame */
	struct port_count count[WORKERS_MAX + 1];      /* last: control */
};

/* mac_derive backwards without its hash: own MAC and own address give the network's mask. Any address, not only members'. */
bool port_address(const struct port *, const uint8_t mac[6], uint64_t *ret_address);

/* A gate this node opens to; direct = also for INITs that come straight over UDP (else only through a circuit). */
struct view_gate {
	struct gate gate;
	bool direct;
};

#define OWN_MAX 64

struct view {
	struct index *index;
	unsigned n_own;
	struct endpoint own[OWN_MAX];     /* where our UDP leaves from, as far as it is known: no frame may carry that (outbound.c) */
	uint32_t ports_generation;        /* changes when ports[] does: workers poll other devices then */
	struct port *ports[NETWORKS_MAX]; /* by chan - 1 */
	unsigned n_gates;
	struct view_gate gates[]; /* network gates first, gate_0 last */
};

/* ---- the guest book -------------------------------------------------------------------------------------------- */

struct guestbook {
	_Atomic(const struct view *) view;
	_Atomic uint64_t epoch; /* starts at 1 */
	struct {
		_Alignas(64) _Atomic uint64_t at;
	} guest[WORKERS_MAX]; /* 0 = asleep */
	unsigned n;
	struct retired *first; /* control only, oldest first */
	struct retired **last;
};

void guestbook_init(struct guestbook *, unsigned workers);
void guestbook_fini(struct guestbook *);                                 /* frees the view and all retired; no worker runs */
const struct view *guestbook_enter(struct guestbook *, unsigned worker); /* turn begins */
void guestbook_leave(struct guestbook *, unsigned worker);               /* turn ends */
/* Control: shows another view (NULL: none; the old one is retired, from malloc), takes ownership of p until free_it(p) is safe. */
void guestbook_publish(struct guestbook *, const struct view *);
void guestbook_retire(struct guestbook *, void *p, void (*free_it)(void *));
void guestbook_reap(struct guestbook *); /* once per turn */

#endif
