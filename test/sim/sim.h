/* sim.h: the deterministic simulator: whole nodes, a root and a controller in one process, on a fake clock and a fake network.
 *
 * One seed decides everything that is left to chance: keys and indexes (libsodium's random source is replaced), loss, delay, order,
 * duplicates and what a scenario draws. The same seed gives the same datagrams, byte for byte. Nothing here runs in threads: the
 * event loop delivers datagrams and calls worker_turn() and node_turn() of whose turn it is, in virtual microseconds.
 *
 * sim.c      event loop, network, failures
 * world.c    hosts: start, kill, files, network of members
 * frames.c   numbered Ethernet frames and who got them
 * fake_*.c   the seams of the node: UDP, TAP, netlink, randomness and the wall clock
 */
#ifndef FARLAN_TEST_SIM_SIM_H
#define FARLAN_TEST_SIM_SIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "controller/controller.h"
#include "node/control.h"
#include "proto/base/batch.h"

#define SIM_HOSTS   112  /* with a node each */
#define SIM_ALL     1024 /* with those of a crowd */
#define SIM_FILES   24
#define SIM_WORK    256
#define SIM_ASKED   4
#define SIM_STREAMS 16
#define SIM_ENDED   4
#define SIM_GROUPS  200  /* of one host's device */
#define LAN_PORT    9995 /* of beacons */
#define MS          UINT64_C(1000)
#define SECOND      UINT64_C(1000000)
#define MINUTE      (60 * SECOND)
#define HOUR        (60 * MINUTE)
#define UDP_MTU     1472 /* largest datagram of a fake link */

enum host_kind { HOST_NODE, HOST_ROOT, HOST_CONTROLLER, HOST_SET_ROOT }; /* the last: a root, known by a set only */

struct datagram {
	struct datagram *next;
	uint64_t at, order;
	struct endpoint from, to;
	uint32_t len;
	uint8_t bytes[];
};

struct file { /* of a host's state folder; survives a kill, not a reflash */
	char name[64];
	uint8_t *bytes;
	size_t len;
};

struct udp {
	struct host *host;
	unsigned workers;
	struct datagram *first[UDP_WORKERS_MAX], **last[UDP_WORKERS_MAX];
	struct datagram *lent[UDP_WORKERS_MAX]; /* handed out by the last udp_recv */
};

struct tap {
	struct host *host;
	uint8_t mac[6];
	uint16_t mtu;
	bool up;
	unsigned queues;
	struct datagram *first[TAP_QUEUES_MAX], **last[TAP_QUEUES_MAX];
};

struct host {
	struct sim *sim;
	unsigned number;
	enum host_kind kind;
	const struct secret *secret;
	struct endpoint at;
	struct endpoint also; /* on another network, from which it sends to others' there; family 0: none */
	struct udp udp;
	struct tap *tap;              /* of its one network */
	uint8_t group[SIM_GROUPS][6]; /* that its device takes, ascending */
	unsigned n_groups;
	bool group_all;
	struct node *node;    /* NULL: not running */
	struct worker *alone; /* of a crowd: a worker without control */
	uint32_t epoch;
	unsigned workers;
	uint8_t suite;             /* node_config's */
	const struct rootset *set; /* it starts with; borrowed, NULL = none */
	uint64_t next_us;
	bool kicked, discard_saves, no_relay;
	struct file file[SIM_FILES];
	struct {
		struct identity identity;
		uint64_t at;
	} work[SIM_WORK];
	unsigned n_work;
	bool lan; /* hears and sends beacons: on the one LAN of all such hosts */
	uint64_t called;
	struct { /* names it had looked up */
		char name[64];
		uint64_t at;
	} asked[SIM_ASKED];
	unsigned n_asked, looked_up;
	uint8_t fallback; /* node_config's */
	unsigned opened;  /* streams asked for */
	struct {          /* of its streams, to be told */
		struct endpoint at;
		uint64_t when;
	} ended[SIM_ENDED];
	unsigned n_ended;
	struct controller *controller;
	char dir[64];
	uint64_t turns;
};

struct link {                          /* what the network does to every datagram */
	uint32_t loss, dup;            /* in 1/1000 */
	uint64_t delay_min, delay_max; /* us; drawn for each, so that they overtake each other */
};

struct frame { /* numbered; see frames.c */
	uint64_t at;
	uint16_t from, len;
	int to; /* -1 = to a group */
	uint8_t group[6];
	uint64_t got[(SIM_ALL + 63) / 64];
};

struct stream_pair {               /* streams.c */
	struct host *node, *root;  /* NULL: free */
	struct endpoint far, near; /* the root as its node names it, the node as its root does */
};

struct sim {
	uint64_t seed, now, wall_s;
	uint64_t chance, entropy; /* generators: the network's and the nodes' */
	struct link link;
	bool cut[SIM_ALL][SIM_ALL];      /* from, to: nothing passes */
	uint32_t slow[SIM_ALL][SIM_ALL]; /* from, to: us more than the link says */
	struct datagram **flying;        /* heap by (at, order) */
	size_t n_flying, room_flying;
	uint64_t order, events, sent, digest;
	struct host *host[SIM_ALL];
	unsigned n_hosts;
	struct host *root, *controller;
	struct host *second; /* another root, made after all members; known to whoever starts after it */
	uint64_t nwid;
	bool lan;                   /* members made from now on are on the LAN */
	const char *root_name;      /* NULL: the root is told by its address */
	struct endpoint name_at[8]; /* what that name means now; 0: nothing */
	unsigned n_name_at;
	bool streams; /* roots take them */
	struct stream_pair stream[SIM_STREAMS];
	unsigned stream_ports;
	struct frame *frame;
	size_t n_frames, room_frames;
	uint64_t delivered, duplicated;
	/* Sees each datagram as it leaves; false: lost. */
	bool (*watch)(void *self, struct sim *, const struct host *from, const struct endpoint *to, const uint8_t *bytes, size_t len);
	void *watch_self;
	bool trace;       /* SIM_TRACE is set: each datagram is printed; SIM_LOG prints logs and drops */
	char failed[256]; /* "" = not */
};

/* ---- sim.c ---- */
struct sim *sim_new(uint64_t seed);
void sim_free(struct sim *);
__attribute__((format(printf, 2, 3))) void sim_fail(struct sim *, const char *format, ...);
#define expect(sim, what, ...) ((what) ? true : (sim_fail(sim, __VA_ARGS__), false))
uint64_t sim_draw(struct sim *, uint64_t below);
void sim_run(struct sim *, uint64_t us); /* for so long */
/* Until done(self) or so long: whether it was done. */
bool sim_run_until(struct sim *, uint64_t us, bool (*done)(struct sim *, void *), void *self);
void sim_send(struct host *from, const struct endpoint *to, const uint8_t *bytes, size_t len);
/* A datagram of anybody, arriving after a while whatever the link does. */
void sim_inject(struct sim *, const struct endpoint *from, const struct endpoint *to, const uint8_t *bytes, size_t len, uint64_t after);
/* A beacon to all on the LAN. */
void sim_call(struct host *from, const uint8_t *bytes, size_t len);
struct host *sim_host_at(struct sim *, const struct endpoint *);
void sim_cut(struct sim *, struct host *, struct host *, bool both);
void sim_heal(struct sim *, struct host *, struct host *);
void sim_isolate(struct sim *, struct host *, bool cut); /* from all others */
uint64_t mix64(uint64_t *state);

/* ---- world.c ---- */
struct host *host_new(struct sim *, enum host_kind);
void host_start(struct host *);
void host_kill(struct host *);    /* as kill -9: nothing more is saved */
void host_stop(struct host *);    /* as SIGTERM: it says good-bye */
void host_reflash(struct host *); /* and its files are gone, the epoch starts low */
void host_turn(struct host *);
/* Its device takes a multicast group from now on, or no longer; the node reads it when it next looks. Kept over a kill: the programs go on. */
void host_group(struct host *, const uint8_t group[6], bool takes);
extern struct host *host_running; /* whose turn it is: the fakes without a handle ask */
/* A root, a controller with one network, and so many members that joined and were approved. */
bool world_new(struct sim *, unsigned members);
bool world_join(struct sim *, struct host *); /* asks, is approved, is JOINED */
bool world_joined(struct sim *, void *host);
struct host *world_member(struct sim *, unsigned i); /* 0.. */
unsigned world_members(const struct sim *);
/* The files of a joined world, taken once; members that start from them need no controller. */
struct world_image *world_image(unsigned members);
void world_image_free(struct world_image *);
struct sim *world_from(const struct world_image *, uint64_t seed, bool peers_cache);
struct peer *host_peer(struct host *, const struct host *other);
uint64_t host_drops(const struct host *, enum drop);
/* Both send on one session pair, or neither has one. */
bool world_paired(struct sim *, struct host *, struct host *);

/* ---- scenarios_roots.c ---- */
/* Hosts 0 and 4 to 6 are the roots of a set, 1 the controller, 2 and 3 members. The set is the caller's when the world has ended. */
struct sim *world_of_roots(uint64_t seed, struct rootset **ret_set);

/* ---- streams.c ---- */
void sim_stream_open(void *host, const struct endpoint *to, const char *name, const uint8_t pin[32], const uint8_t *init, size_t len);
void sim_stream_close(void *host, const struct endpoint *to);
bool sim_stream_send(struct host *from, const struct endpoint *to, const uint8_t *bytes, size_t len); /* false: there is none */
void sim_streams_end(struct host *);                                                                  /* it was killed */
unsigned sim_streams_of(const struct host *);

/* ---- frames.c ---- */
/* Sends one numbered frame of len bytes (60 ... 1400) from a host's device; to NULL = broadcast. Returns its number. */
size_t frame_send(struct host *from, struct host *to, size_t len);
size_t frame_send_group(struct host *from, const uint8_t group[6], size_t len);
void frame_arrived(struct host *, const uint8_t *bytes, size_t len);
bool frame_got(struct sim *, size_t number, const struct host *);
/* How many of first .. first + n - 1 reached those they were for (broadcast: counted for each other member). */
uint64_t frames_got(struct sim *, size_t first, size_t n);
uint64_t frames_due(struct sim *, size_t first, size_t n);
/* Sends one frame and runs until it came or time is up. */
bool frame_passes(struct host *from, struct host *to, uint64_t within);

/* ---- fake_random.c ---- */
void random_seed(struct sim *);
extern uint64_t wall_reads; /* how often anybody asked for the time of day */
extern int64_t wall_offset; /* what is added to it */

/* ---- identity.c ---- */
unsigned identities(void);
const struct secret *identity_of(unsigned i);
bool identity_verdict(struct identity *claimed);
bool identity_verify(unsigned i); /* computes the work */
void identities_print(unsigned n);

/* ---- scenarios*.c ---- */
struct scenario {
	const char *name, *what;
	void (*run)(uint64_t seed, char failed[256]);
	unsigned seeds; /* how many of them a plain run takes */
};
extern const struct scenario scenarios_basic[], scenarios_handshake[], scenarios_network[], scenarios_long[], scenarios_discovery[],
    scenarios_path[], scenarios_roots[], scenarios_relay[], scenarios_fallback[], scenarios_hostile[], scenarios_approval[],
    scenarios_lan[], scenarios_invite[], scenarios_crowd[], scenarios_shards[];

#endif
