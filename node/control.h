/* control.h: the control half's one struct and what its files offer each other. Control thread only.
 *
 * One turn: mail is read, timers fire, callbacks change state and fill the outbox; node_turn() settles: publishes the view, sends
 * the outbox. A file that wants a header of its own has one; what is here is what crosses two or more files.
 */
#ifndef FARLAN_NODE_CONTROL_H
#define FARLAN_NODE_CONTROL_H

#include "node/event.h"
#include "node/fallback.h"
#include "node/federation.h"
#include "node/mail.h"
#include "node/node.h"
#include "node/peer.h"
#include "node/ping.h"
#include "node/resolve.h"
#include "node/udp.h"
#include "node/view.h"
#include "node/warning.h"
#include "node/worker.h"
#include "proto/base/heap.h"
#include "proto/base/log.h"
#include "tap/netlink.h"
#include "tap/tap.h"

#define OUTBOX_BYTES  (192 * 1024)
#define MAC1_MEMORY   4096
#define SOURCES_MAX   1024
#define PARKED_MAX    256
#define HOSTS_MAX     16
#define INCOMING_MAX  256
#define RESTART_PEERS 64

struct outbox {
	struct packet p[BATCH_MAX];
	unsigned n;
	uint8_t *slab;
	size_t used;
};

/* The responder's memory: what protects it from strangers (responder.c). */
struct responder {
	uint8_t mac1[MAC1_MEMORY][16];
	unsigned mac1_at;
	uint8_t secret[2][32]; /* current, previous */
	uint64_t secret_ms;
	struct ss_cache ss;
	struct {
		struct endpoint net;
		uint64_t tokens_ms;
	} source[SOURCES_MAX];
	uint64_t busy_us[2], busy_since_ms; /* estimated cost of this second's handshakes: straight ones, those through a relay */
	uint64_t relayed_work_ms;           /* proofs of work for INITs through relays, as the time at which their bucket would be empty */
	struct parked {                     /* an INIT that waits for its identity's proof of work */
		struct identity identity;
		struct letter *letter;
	} * parked[PARKED_MAX];
};

struct net;

struct node {
	struct node_config config;
	struct node_port port;
	struct udp *udp;
	uint64_t now, now_us;
	struct heap heap;
	struct guestbook book;
	struct index *index;
	bool view_dirty, ports_dirty;
	uint32_t ports_generation;
	struct worker *worker[WORKERS_MAX];
	int wake_fd;
	struct outbox outbox;
	struct peers peers;
	size_t waiting_bytes;
	struct peer *root[ROOTS_MAX];
	uint64_t instance; /* random, of this run: tells a root two machines with one identity */
	struct clone {
		struct endpoint at; /* where a root sees the other one */
		uint64_t ms;        /* when it last said so; 0 = never */
		uint64_t logged_ms;
	} clone;
	struct identity collision; /* whom a root named as the holder of our address, until its work is computed */
	unsigned n_roots;
	struct resolve_root resolve[ROOTS_MAX]; /* by index of root[] */
	struct root_line *brought[ROOTS_MAX];   /* owned: roots on the list by invitations (roots.c) */
	unsigned n_brought;
	struct federation *federation; /* NULL: no sets of roots */
	struct net *net[NETWORKS_MAX]; /* by chan - 1 */
	uint32_t reports;              /* told to controllers in this run */
	unsigned net_next;
	struct responder responder;
	struct netlink *netlink;
	struct endpoint host[HOSTS_MAX];
	uint16_t host_mtu[HOSTS_MAX];
	unsigned n_hosts;
	struct endpoint mapped[MAPPED_MAX]; /* where routers map our ports; mapped.c */
	unsigned n_mapped;
	uint64_t hosts_ms;   /* when they were read */
	uint64_t ts_last_ns; /* strictly growing part of INIT timestamps */
	uint64_t drop[DROP_COUNT];
	uint64_t save_peers_ms, saved_peers_ms;         /* when due, NEVER = clean; when last done */
	uint8_t restart[RESTART_PEERS][KEY_HASH_BYTES]; /* whom the last run heard last: called at the start, 20/s */
	unsigned restart_at, restart_left;
	uint64_t restart_ms;
	struct timer housekeeping;
	struct relay_service *relay; /* root role */
	struct beacons beacons;
	uint32_t incoming[INCOMING_MAX]; /* circuits others opened to us that no path owns yet */
	unsigned incoming_at;
	struct events events;
	struct pings pings;
	struct warnings warnings;
	struct fallback fallback;
	struct spray spray;
};

static inline void node_drop(struct node *n, enum drop why)
{
	n->drop[why]++;
}
/* A frame of this port's network. */
static inline void port_drop(struct node *n, struct port *port, enum drop why)
{
	node_drop(n, why);
	own_add(&port->count[WORKERS_MAX].drop[why], 1);
}

/* ---- node.c ----------------------------------------------------------------------------------------------------- */
uint32_t node_index_put(struct node *, struct named *, uint32_t idx); /* idx 0 = draw a free one; 0 on failure */
uint32_t node_index_draw(struct node *);
void node_index_take(struct node *, struct named *);
void node_view_changed(struct node *); /* publish at the end of this turn */
bool node_publish(struct node *);      /* now: before retiring what only the old view shows. false: no memory */
/* Queues one UDP datagram (copied). */
void node_datagram(struct node *, const struct endpoint *to, uint8_t socket, const uint8_t *bytes, size_t len);
/* ... through one of our legs. */
void node_datagram_leg(struct node *, struct circuit *, const uint8_t *bytes, size_t len);
/* ... by a path. */
void node_datagram_path(struct node *, const struct path *, const uint8_t *bytes, size_t len);
/* Seals plaintext (inner header and body) on lane 0 of a session and queues it by that path. false: key used up or expired. */
bool node_seal(struct node *, struct session *, const struct path *, const uint8_t *plain, size_t len);
void node_changed(struct node *);       /* tell waiting clients */
bool node_root_up(const struct node *); /* some root answers */
struct circuit *node_circuit(struct node *, uint32_t idx);
struct session *node_session(struct node *, uint32_t idx);

/* ---- initiator.c ------------------------------------------------------------------------------------------------ */
void initiator_want(struct peer *, enum session_class);  /* set up a session unless one stands */
void initiator_again(struct peer *, enum session_class); /* a new handshake although a session stands: its path died */
void initiator_at(struct peer *, enum session_class, const struct endpoint *); /* one INIT there and nothing else */
void initiator_relayed(struct peer *, enum session_class);                /* one INIT through a relay, beside whatever else is under way */
void initiator_by(struct peer *, enum session_class, struct peer *relay); /* ... through that one */
void initiator_root_up(struct node *);                                    /* we are registered at one more root */
void initiator_resp(struct node *, const struct letter *);
void initiator_retry(struct node *, const struct letter *);
void initiator_tick(struct peer *, uint64_t now); /* retransmission, rekey, confirmation */
uint64_t initiator_deadline(const struct peer *);
void initiator_drop_pending(struct peer *);
/* One new INIT for the caller to send; its length, 0 = none could be made. */
size_t initiator_init(struct peer *, enum session_class, uint8_t out[INIT_SEND_MAX]);
uint32_t node_caps(const struct node *, enum session_class); /* what we offer and announce */

/* ---- responder.c ------------------------------------------------------------------------------------------------ */
/* An INIT from a worker, or one that came inside INCOMING (circuit set). Returns true if it was answered (or parked). */
bool responder_init(struct node *, struct letter *);
void responder_work_done(struct node *, const struct identity *, bool good);
void responder_rotate(struct node *);
/* An authentic packet under an unconfirmed session: makes it current. from/circuit = the confirming packet's path. */
void responder_confirm(struct node *, struct session *, const struct letter *);

/* ---- crossing.c ------------------------------------------------------------------------------------------------- */
/* A fresh session becomes current, unless it crossed with one that both sides should send on. */
void peer_adopt(struct peer *, struct session *, int path);
void crossing_follow(struct peer *, enum session_class); /* what is heard decides anew */

/* ---- path.c, probe.c, keepalive.c, pmtu.c, candidate.c, hosts.c ----------------------------------------------------------------------------------------------------- */
int path_direct(struct peer *, const struct endpoint *, uint8_t socket); /* finds or makes; -1 = full or refused */
int path_relayed(struct peer *, struct circuit *, struct peer *relay);
int path_find_circuit(const struct peer *, const struct circuit *);
/* The order in which ways are preferred. */
enum path_kind { PATH_DIRECT, PATH_BY_MEMBER, PATH_BY_ROOT, PATH_BY_STREAM };
enum path_kind path_kind(const struct path *);
void path_valid(struct peer *, int path); /* something authentic proved it both ways */
void path_stale(struct peer *, int path); /* it does not answer any more */
void path_free(struct peer *, int path);
void path_rtt_hint(struct peer *, int path, uint64_t ms);                  /* how long a handshake took; until probes measured it */
void path_probe(struct peer *, struct session *, int path, uint16_t size); /* size 0 = smallest */
/* The path a letter came by, made if need be; -1 = no room. */
int path_of_letter(struct peer *, const struct letter *);
void path_probe_in(struct node *, const struct letter *);
void path_probe_ack(struct node *, const struct letter *);
void path_roam(struct node *, const struct letter *);
void path_choose(struct peer *);        /* publishes the best way */
bool path_probe_allowed(struct peer *); /* within what a peer may cost in ten seconds */
void path_ask(struct peer *, int path); /* does a path that was VALID still answer? */
void path_ask_new(struct peer *, int path, uint64_t after_ms);
void path_outlived(struct peer *, uint64_t idle_ms);
/* One PROBE of size bytes; path_probe() remembers it as of a path. */
void probe_send(struct peer *, struct session *, const struct path *by, uint64_t token, uint16_t flags, uint16_t size);
void nat_measure(struct peer *root); /* nat.c: asks what is not known, unless it was asked of late */
/* A root says where it saw a datagram of ours that went to its endpoint `from`. */
void nat_seen(struct peer *root, const struct endpoint *from, const struct endpoint *observed);
void nat_forget(struct peer *root);
void nat_tick(struct peer *root, uint64_t now);
uint64_t nat_deadline(const struct peer *root);
bool nat_answered(struct peer *root, uint64_t token, const struct endpoint *observed); /* false: not the answer to ours */
void path_missed(struct path *); /* a question went unanswered: for the loss that is shown */
void pmtu_search(struct peer *, int path);
void pmtu_acked(struct peer *, int path, uint16_t size);
void pmtu_tick(struct peer *, uint64_t now);
uint64_t pmtu_deadline(const struct path *);
/* Inside a network of ours, by address or by a route we set: a path through it would carry itself. */
bool path_in_overlay(const struct node *, const struct endpoint *);
bool path_avoided(const struct node *, const struct endpoint *); /* by the config's word */
bool path_barred(const struct node *, const struct endpoint *);  /* either: no path goes there */
void path_tick(struct peer *, uint64_t now);
uint64_t path_deadline(const struct peer *);
void path_candidates_changed(struct node *);               /* tells those we reach by a detour */
void path_cands_send(struct peer *);                       /* candidate.c */
bool path_cands(struct peer *, const struct body_cands *); /* false: too soon after the last ones */
void path_forget_circuit(struct peer *, struct circuit *);
bool path_hosts_read(struct node *); /* hosts.c; true: there is one that was not there before */
void path_fini(struct peer *);

/* ---- request.c -------------------------------------------------------------------------------------------------- */
/* Sends a request until it is answered; body is copied. false: no room. Without a session it waits for one and is sent then. */
bool request_send(struct peer *, enum session_class, uint8_t op, const uint8_t *body, size_t len, request_done *, uint64_t context,
                  const uint8_t context_hash[32]);
/* As request_send, on that session and no other; given up when it ends. */
bool request_send_on(struct peer *, struct session *, uint8_t op, const uint8_t *body, size_t len, request_done *, uint64_t context,
                     const uint8_t context_hash[32]);
struct session *request_session(struct peer *, uint32_t idx); /* that one of the peer's, if it may be used */
/* On the session that asked, while that one stands. */
void request_reply(struct peer *, enum session_class, uint32_t req, uint8_t op, uint8_t status, const uint8_t *body, size_t len);
void request_ctrl(struct node *, const struct letter *); /* a CTRL body arrived */
void request_tick(struct peer *, uint64_t now);
uint64_t request_deadline(const struct peer *);
void request_resend(struct peer *, enum session_class); /* a session came up */
void request_fini(struct peer *);

/* ---- circuit.c (our side of relaying), registration.c, relay.c (the relay's), register.c (a root's other services) ------------------ */
/* Asks a relay for a way to the peer with this INIT inside: that one, or the next of those that may have it (NULL). false: none is up. */
bool circuit_connect(struct peer *, enum session_class, struct peer *relay, const uint8_t *init, size_t len);
/* A CONNECT by one more leg: what stands is left alone, and the other side hears from the root where we are. */
bool circuit_call(struct peer *, enum session_class, struct peer *root);
bool circuit_possible(struct peer *);                                      /* is there any relay to ask? */
unsigned circuit_members(struct peer *, struct peer **ret, unsigned most); /* of them the members, the fastest first */
/* May this peer bring us INCOMINGs by this session: is it a member with the right to relay? (Roots may anyway.) */
bool circuit_relays(const struct peer *, const struct session *, const struct letter *);
void circuit_incoming(struct peer *relay, struct session *, uint32_t req, const uint8_t *body, size_t len);
bool circuit_unreach(struct peer *relay, const struct body_unreach *); /* false: not a leg of that relay */
/* Answers by a leg; the first answer of an incoming circuit travels inside ACCEPT. */
void circuit_reply(struct node *, struct circuit *, const uint8_t *datagram, size_t len);
void circuit_early(struct node *, struct letter *);             /* a packet on a leg that had no keys when it came */
void circuit_collision(struct node *, const struct identity *); /* its work was good */
void circuit_root_up(struct peer *root);                        /* our session with a root stands: register */
/* Of one peer: another relay for one that is silent, a new circuit for one whose keys are old, a member's for a root's. */
void circuit_peer_tick(struct peer *, uint64_t now);
uint64_t circuit_deadline(const struct peer *);
void circuit_relay_restarted(struct peer *relay); /* what it relayed is gone */
void circuit_drop(struct node *, struct circuit *);
void circuit_tick(struct node *);
void circuit_fini(struct node *); /* legs others opened that no path owns; after the peers' own */
void circuit_keys(struct circuit *, uint32_t tx_idx, const uint8_t exporter[32]); /* both indices known; once per circuit */
int relay_new(struct node *);
void relay_free(struct node *);
/* Is this peer one we relay for as a member: a network in common that lets us, its channel open, the message not itself relayed? */
bool relay_serves(struct peer *, const struct session *, const struct letter *);
struct peer *relay_member(const struct peer *, uint64_t address); /* one of those it may ask us about */
void relay_register(struct peer *, struct session *, uint32_t req, const uint8_t *body, size_t len, const struct letter *);
void relay_whois(struct peer *, struct session *, uint32_t req, const uint8_t *body, size_t len);
void relay_connect(struct peer *, struct session *, uint32_t req, const uint8_t *body, size_t len);
void relay_accept(struct peer *, struct session *, uint32_t req, const uint8_t *body, size_t len);
void relay_peer_gone(struct peer *);
void relay_tick(struct node *, uint64_t now);

/* ---- net.c, member.c, config.c: networks (net.h) ------------------------------------------------------------------ */
#include "node/net.h"

/* ---- roots.c: the list of roots in use -------------------------------------------------------------------------------- */
void roots_add(struct node *, struct peer *root);          /* what it is by is set already; at most ROOTS_MAX */
void roots_remove(struct node *, const struct peer *root); /* off the list; its session and circuits stay */
void roots_end(struct node *, struct peer *root);          /* it is off the list: now a peer like any other */
/* What an invitation names. Those that are roots already, and we ourselves, are left as they are. */
void roots_bring(struct node *, const struct root_line *, unsigned n);
void roots_again(struct node *); /* what invitations name and is on no list any more */
void roots_sweep(struct node *); /* those that only a network now left had brought */
void roots_fini(struct node *);

/* ---- invite.c: a network joined by a link ---------------------------------------------------------------------------- */
/* The key goes with a request on this session; false: there is none. */
bool invite_prove(const struct net *, const struct session *, struct body_join_req *);
void invite_admitted(struct net *); /* the key has done its work */
#define INVITE_STATE_MAX (64 + INVITE_ROOTS_MAX * (ROOT_LINE_MAX + 2))
size_t invite_encode(const struct net *, uint8_t *out, size_t room); /* for the network's file; 0 = nothing */
void invite_decode(struct net *, struct reader *);
void invite_free(struct net *);

/* ---- state.c ---------------------------------------------------------------------------------------------------- */
void state_load_peers(struct node *);
void state_save_peers(struct node *);
void state_peers_changed(struct node *); /* soon: the fewer peers, the sooner */
void state_load_networks(struct node *);
void state_save_network(struct net *);
void state_forget_network(struct node *, uint64_t nwid);
void state_restart(struct node *, uint64_t now); /* INIT to the latest peers */

#endif
