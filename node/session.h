/* session.h: the keys of one pair and class, and one leg of a relay circuit: what a datagram's index names.
 *
 * Made by control; keys never change after. Workers read them through the view; tx counters move by atomic add from any sender,
 * rx windows under their lane's mutex. Freed by control through the guest book.
 */
#ifndef FARLAN_NODE_SESSION_H
#define FARLAN_NODE_SESSION_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "node/view.h"
#include "proto/handshake.h"
#include "proto/leg.h"
#include "proto/replay.h"
#include "proto/seal.h"

#define REKEY_AFTER_MS          (120 * 1000)
#define REKEY_RESPONDER_MS      (165 * 1000)
#define REJECT_AFTER_MS         (180 * 1000)
#define CTRL_REKEY_AFTER_MS     (3600 * 1000)
#define CTRL_REKEY_RESPONDER_MS (3900 * 1000)
#define CTRL_REJECT_AFTER_MS    (3960 * 1000)
#define ERASE_AFTER_MS          (540 * 1000)
#define CTRL_ERASE_AFTER_MS     (4500 * 1000)
#define LANE_REKEY              (1ull << 28)
#define LANE_STOP               (1ull << 32)
#define OPENS_FAILED_MAX        (1ull << 36)

enum session_class { CLASS_DATA, CLASS_CTRL, CLASS_COUNT };

struct session_lane {
	pthread_mutex_t lock;
	struct window *window; /* commit under lock */
};

/* What workers leave behind; one slot per worker and a last one for control, each on lines of its own. */
struct footprint {
	_Alignas(64) _Atomic uint64_t rx_bytes;
	_Atomic uint64_t tx_bytes, rx_ms, tx_ms; /* ms of the turn of the last packet; 0 = never */
	_Atomic uint64_t big_ms;                 /* ... of the last one sent that not every path carries (more than DATAGRAM_BASE) */
	_Atomic uint64_t chosen_ms;              /* ... of the last frame or PROBE that came: its sender chose this session for it */
};

struct session {
	struct named named;    /* our index */
	uint32_t peer_idx;     /* lane 0 */
	struct remote *remote; /* borrowed: the peer outlives its sessions */
	enum session_class class;
	bool initiator;
	uint8_t rx_lanes, tx_lanes; /* 1..LANES_MAX: announced by us, by the peer */
	uint8_t suite;
	uint64_t born_ms, reject_ms; /* nothing is accepted or sent after reject_ms */
	uint32_t peer_caps;          /* CAP_* of its INIT or RESP; set by control before the session is used */
	uint32_t peer_epoch;
	uint64_t asked_ms; /* initiator: when its INIT was sent */
	uint8_t exporter[32];
	_Atomic bool confirmed; /* false: control must be told of the first authentic packet */
	struct seal tx, rx;
	_Atomic uint64_t next[LANES_MAX]; /* tx counters */
	_Atomic uint64_t opens_failed;
	_Atomic uint64_t roam_told_ms; /* last ROAM letter, so that a peer's new address makes one letter per 100 ms */
	struct session_lane lane[LANES_MAX];
	unsigned workers;
	struct footprint foot[]; /* workers + 1 */
};

struct session *session_new(enum session_class, bool initiator, uint8_t suite, const struct session_keys *, uint32_t idx, uint32_t peer_idx,
                            uint8_t rx_lanes, uint8_t tx_lanes, struct remote *, unsigned workers, uint64_t now);
void session_free(void *session); /* wipes keys; the form guestbook_retire wants */

/* Takes k consecutive numbers of a lane. false when the lane would pass LANE_STOP (never wraps). */
bool session_take(struct session *, unsigned lane, unsigned k, uint64_t *ret_first);
/* The lane that workers send a flow's frames on (layout.h, flow_of_frame): 1 .. lanes - 1, or 0 when there is one lane only.
 * Control sends on lane 0. */
unsigned session_lane_of(const struct session *, uint32_t flow);
/* Latest over the footprints; 0 = never. */
uint64_t session_last_rx(const struct session *);
uint64_t session_last_chosen(const struct session *); /* received: frames and PROBEs; answers go where their question came from */
uint64_t session_last_tx(const struct session *);
uint64_t session_last_used(const struct session *);  /* either */
uint64_t session_last_frame(const struct session *); /* sent by a worker: workers send nothing else */
uint64_t session_last_big(const struct session *);   /* sent by a worker, larger than DATAGRAM_BASE */

/* One leg, at its node or at the relay. */
struct circuit {
	struct named named; /* our index: what arrives on this leg */
	struct remote *far; /* whom this leg's UDP goes to: the relay (at a node), the node (at the relay) */
	struct leg_keys rx, tx;
	/* Far end's index of this leg. Workers take a leg for keyed once it is not 0: store it after the keys, which never change then. */
	_Atomic uint32_t tx_idx;
	_Atomic uint32_t tx_seq;
	pthread_mutex_t lock; /* window */
	struct window *window;
	bool at_relay;
	_Atomic(struct circuit *) twin;        /* at the relay: the leg to forward on; NULL = not accepted yet */
	uint8_t peer_key_hash[KEY_HASH_BYTES]; /* at a node: who is beyond the relay */
	_Atomic uint64_t used_ms;              /* last packet either way */
	_Atomic uint64_t roam_told_ms;         /* relay: last ROAM letter of this leg */
	_Atomic uint64_t init_us;              /* at a node: bucket of the INITs it brings */
	struct relay_meter *meter;             /* at the relay: what its nodes may send */
	/* control only */
	bool accepted; /* at a node: the relay was told our index; at the relay: the twin was */
	bool ours;     /* at a node: we asked for it */
	uint32_t
	    session; /* at a node: index of the session with the relay that CONNECT or ACCEPT travels on: its exporter makes the keys */
	uint64_t asked_ms;    /* at a node: the last CONNECT for it */
	struct letter *early; /* at a node: the newest packet that came before the keys; NULL = none */
	struct pair *pair;    /* at the relay: what this leg is half of */
	uint64_t made_ms;
};

struct circuit *circuit_new(uint32_t idx, struct remote *far, bool at_relay);
void circuit_free(void *circuit);

/* What stands behind INDEX_PENDING; owned by its peer (handshake driver). Workers only learn that it is one. */
struct pending {
	struct named named;
	struct peer *peer;
	enum session_class class;
	uint32_t caps; /* offered */
	struct handshake handshake;
	struct gate gate;
	uint64_t sent_ms;
};

#endif
