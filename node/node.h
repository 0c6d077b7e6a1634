/* node.h: the node as its surroundings see it: one core without I/O, fed with mail and time.
 *
 * Control thread only (but worker.h). Times are monotonic milliseconds given by the caller. The core reaches the world by
 * struct node_port (files, proof of work, events), by udp.h, tap.h and netlink.h (link-time seams the simulator replaces) and
 * by nothing else. A controller is a node that joins nothing and has a message port plugged in.
 */
#ifndef FARLAN_NODE_NODE_H
#define FARLAN_NODE_NODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "node/traffic.h"
#include "proto/base/batch.h"
#include "proto/body.h"
#include "proto/ident.h"
#include "proto/prefix.h"

#define ROOTS_MAX    16
#define ROOTSETS_MAX 4
#define NETWORKS_MAX 64
#define WORKERS_MAX  16
#define EXTERNAL_MAX 4
#define AVOID_MAX    16

struct node;
struct rootset;
struct worker;
struct udp;

struct node_port {
	void *self;
	/* Files of the state folder; names may hold one '/'. save copies, writes temp+fsync+rename off the control thread and
	 * keeps the order of saves to one name; urgent ones are on disk when it returns. load: length, or -errno. */
	int (*save)(void *self, const char *name, const void *bytes, size_t len, bool urgent);
	long (*load)(void *self, const char *name, void *buf, size_t room);
	void (*remove)(void *self, const char *name);
	/* Each file name under a folder of the state folder. */
	void (*list)(void *self, const char *folder, void (*each)(void *, const char *name), void *each_self);
	/* Proof of work of these keys, elsewhere; answered by node_work_done(). false: queue full, ask again later. */
	bool (*work)(void *self, const struct identity *claimed);
	/* A TLS stream to that endpoint (ENDPOINT_STREAM), whose upgrade request carries this INIT: opened unless one is there; its datagrams come and go
	 * by udp.h under the same endpoint. name: the far end's for SNI and certificate, or "". Answered by node_stream_down() when it ends
	 * or never came to be. NULL: there are none. */
	void (*stream_open)(void *self, const struct endpoint *to, const char *name, const uint8_t pin[32], const uint8_t *init,
	                    size_t len);
	void (*stream_close)(void *self, const struct endpoint *to);
	uint64_t (*stream_dropped)(void *self); /* datagrams their queues dropped */
	/* Addresses of a host name, elsewhere; answered by node_resolved(). false: too many under way, ask again later. May be NULL. */
	bool (*resolve)(void *self, const char *name);
	/* A LAN beacon to the group of all interfaces but those (ours); may be NULL. */
	void (*beacon)(void *self, const uint8_t *bytes, size_t len, const unsigned *skip, unsigned n_skip);
	/* A network's or the node's state changed (for waiting clients); may be NULL. */
	void (*changed)(void *self);
};

/* Requests of others that are not the node's own business: the controller. All may be NULL. */
struct message_port {
	void *self;
	void (*request)(void *self, const struct identity *from, const struct endpoint *physical, const struct message *, uint64_t now);
	void (*online)(void *self, const uint8_t key_hash[KEY_HASH_BYTES], bool online, uint64_t now);
	bool (*knows)(void *self, const uint8_t key_hash[KEY_HASH_BYTES]);
	/* How it is reached: when that may have changed, and with each of its requests. physical: where it is; family 0 = relayed. */
	void (*path)(void *self, const uint8_t key_hash[KEY_HASH_BYTES], const struct endpoint *physical, uint32_t rtt_us, uint64_t now);
};

/* Roots by TLS streams (fallback.h). */
enum fallback_mode {
	FALLBACK_AUTO, /* when no root answers over UDP */
	FALLBACK_NONE, /* never */
	FALLBACK_ONLY, /* from the start, and no UDP at all */
};

struct node_config {
	struct secret self;    /* copied */
	uint32_t epoch;        /* already persisted */
	bool root;             /* rendezvous and relay for others */
	bool joins;            /* may join networks (farland) */
	uint8_t root_gate[32]; /* of a private root; zero = gate_0 */
	struct root_line roots[ROOTS_MAX];
	unsigned n_roots;
	/* Sets of roots beside those lines: chains, taken by node_new whatever it returns; gate zero = public. */
	struct rootset *sets[ROOTSETS_MAX];
	uint8_t set_gate[ROOTSETS_MAX][32];
	unsigned n_sets;
	unsigned workers;         /* 1..WORKERS_MAX */
	uint8_t suite;            /* 0 = by hardware, else SUITE_* only */
	bool no_spray;            /* neither side of a spray (spray.h) */
	bool no_relay;            /* relays for no member, even where its credential says it may */
	uint64_t relay_rate;      /* of each node relayed for, as a root or a member: bits/s; 0 = unlimited */
	uint64_t relay_total;     /* of all of them together; 0 = unlimited */
	uint16_t alt_port;        /* a root's second UDP port, where nodes learn their NAT's kind; 0 = none */
	uint8_t fallback;         /* enum fallback_mode: to roots by TLS when UDP goes nowhere */
	bool no_offload;          /* ask neither devices nor sockets for superframes: for drivers that get them wrong */
	bool no_affinity;         /* a busy worker, too, goes where the scheduler puts it */
	struct endpoint bound[4]; /* where the sockets of udp are bound, in their order */
	unsigned n_bound;
	struct endpoint external[EXTERNAL_MAX]; /* where else this node is reached, e.g. by a port forwarding made by hand */
	unsigned n_external;
	struct prefix avoid[AVOID_MAX]; /* no path goes there, and no address of ours inside is told */
	unsigned n_avoid;
	struct message_port port;
};

/* udp is borrowed until node_free. The workers are made here; the caller runs them (worker.h). */
int node_new(struct node **ret, const struct node_config *, const struct node_port *, struct udp *, uint64_t now);
void node_free(struct node *); /* closes devices; no worker may run any more */
/* One control turn at now (monotonic MICROseconds, so that round trips are worth reading): mail, timers, publication, outbox. Returns the
 * next deadline in milliseconds of the same clock, NEVER if none. */
uint64_t node_turn(struct node *, uint64_t now_us);
struct worker *node_worker(struct node *, unsigned i);
/* The descriptor workers wake control by (eventfd), and one for each worker to be woken by. -1 in the simulator. */
int node_wake_fd(const struct node *);

void node_work_done(struct node *, const struct identity *claimed, bool good, uint64_t now);
/* Sends a control message to a peer with a session; for the controller. false: none. */
bool node_send_message(struct node *, const uint8_t key_hash[KEY_HASH_BYTES], const struct message *, uint64_t now);
/* Answers of the node_port's other halves; control thread. */
void node_stream_down(struct node *, const struct endpoint *, uint64_t now);
void node_resolved(struct node *, const char *name, const struct endpoint *addresses, unsigned n,
                   uint64_t now); /* ports 0; n 0: no such name */
void node_beacon_in(struct node *, const struct endpoint *from, const uint8_t *bytes, size_t len, uint64_t now);
/* The external endpoints that routers map to our ports (PCP, NAT-PMP, UPnP), all of them anew; n 0: none. */
#define MAPPED_MAX 8
void node_mapped(struct node *, const struct endpoint *, unsigned n, uint64_t now);
/* The host's addresses or links changed, or its default routes. */
void node_hosts_changed(struct node *, bool rerouted, uint64_t now);

/* ---- what the API asks ---------------------------------------------------------------------------------------- */

enum net_state {
	NET_ASKING,  /* looking for the controller */
	NET_PENDING, /* waiting for approval */
	NET_JOINED,  /* credential held, device up, addresses and routes set */
	NET_DENIED,  /* refused by the controller */
	NET_ERROR,   /* device or key trouble: see reason */
};
const char *net_state_name(enum net_state); /* "asking" "pending" "joined" "denied" "error" */

/* What only this machine says of a network (local.h). */
struct local_view {
	char iface[16]; /* an interface of the host as its second device; "" = none */
	char filter[512];
	bool open;     /* frames pass there */
	char why[160]; /* not open: a sentence with the mend */
	bool game, game_on;
	char game_why[160];
	bool metric_set;
	uint32_t metric;
};

struct net_view {
	uint64_t nwid;
	char name[NAME_MAX_BYTES + 1];
	enum net_state state;
	char reason[160]; /* a sentence with the mend, or "" */
	char dev[16];
	uint8_t mac[6];
	uint16_t mtu;
	struct prefix addresses[CRED_IPS_MAX + 1]; /* managed ones, then the derived IPv6 */
	unsigned n_addresses;
	struct section_dns dns; /* what the controller says; nothing of this system is set by it */
	unsigned members, peers_up;
	struct carried carried; /* by its port */
	uint64_t drop[DROP_COUNT];
	bool blocked;   /* by the loop guard */
	char loop[160]; /* what it found on our LAN, or "" */
	struct local_view local;
	uint64_t head_version;
	uint8_t controller_key_hash[KEY_HASH_BYTES]; /* zero until pinned */
	uint32_t rights, flags;                      /* MEMBER_* of ours, NETWORK_*; 0 until known */
	struct route routes[ROUTES_MAX];             /* managed ones, as set on the device */
	unsigned n_routes;
};

struct peer_view {
	struct identity identity;
	bool up; /* session in use */
	bool direct;
	bool tls;          /* a stream of ours carries it */
	bool relay_root;   /* relay: a root, else a member */
	unsigned networks; /* of ours that it is in */
	uint16_t loss;     /* of probes, in 1/1000; LOSS_UNKNOWN */
	const char *why;   /* not direct: a few words why, static; "" */
	bool role_root, role_controller;
	struct endpoint endpoint; /* direct: the peer; relay: the root's */
	uint64_t relay_address;   /* relay: the root's address, else 0 */
	uint32_t rtt_us;          /* 0 = unknown */
	uint8_t suite;
	uint16_t datagram;             /* largest datagram of the path */
	uint64_t rx_bytes, tx_bytes;   /* of datagrams */
	char name[NAME_MAX_BYTES + 1]; /* as a credential of it says; "" */
	struct carried carried;        /* frames that went to it and came from it, of all networks, and of each: */
	struct peer_network {
		uint64_t nwid;
		struct carried carried;
	} in[NETWORKS_MAX];     /* [networks] */
	uint64_t last_heard_ms; /* ago */
};

#define LOSS_UNKNOWN UINT16_MAX

struct root_view {
	struct identity identity;
	struct endpoint endpoint;
	bool online;
	uint32_t rtt_us;
	bool tls;          /* by a stream */
	uint16_t datagram; /* largest that its path carries; 0 = offline */
	struct endpoint observed;
	char reason[160]; /* not online: a sentence with the mend, or "" */
};

enum nat_mapping {
	NAT_UNKNOWN,   /* fewer than two roots of that family see us over UDP */
	NAT_NONE,      /* they see an address and port of our own */
	NAT_ALIKE,     /* endpoint-independent: all of them see the same */
	NAT_DIFFERENT, /* address- or port-dependent: each sees another */
};

/* What the roots' sight of us tells, for IPv4 and IPv6. */
struct netcheck_view {
	struct {
		bool host;    /* an address of this family is ours */
		bool reached; /* a root answers over UDP */
		struct endpoint observed;
		enum nat_mapping mapping;
		unsigned roots; /* that answer */
	} family[2];
	bool tls; /* some root is reached by a stream */
	struct endpoint bound[4];
	unsigned n_bound;
};

#define RELAY_TOP 10
struct relay_view {
	bool root, member; /* relays as a root, as a member of some network */
	unsigned circuits, circuits_max;
	uint64_t rate, total; /* bits/s of one node, of all; 0 = unlimited */
	uint64_t bytes;       /* forwarded */
	uint64_t dropped;     /* packets above the rate */
	uint64_t refused;     /* CONNECTs above the rate, above the number of circuits, or of no right */
	struct relay_node_view {
		struct identity identity;
		unsigned circuits;                /* that it opened */
		uint64_t bytes, dropped, refused; /* since it was first seen here */
		uint64_t clone_ms;                /* ago, that two machines of that identity were proven; NEVER = not */
		struct endpoint clone;            /* where the other one was seen */
	} top[RELAY_TOP];                         /* of those with a circuit now, the most bytes first */
	unsigned n_top;
};

/* 0, -EEXIST never (idempotent), -ENOSPC above NETWORKS_MAX, -EINVAL. pin_bits NULL or the 130 bits of the long form. */
int node_join(struct node *, uint64_t nwid, const uint8_t pin_bits[17], const char *dev, uint64_t now);
/* By an invitation: with its roots, and with its key until the controller lets this node in. As node_join, and -EPERM: that network is known here
 * with another controller. */
struct invite_link;
int node_join_link(struct node *, const struct invite_link *, const char *dev, uint64_t now);
int node_leave(struct node *, uint64_t nwid, uint64_t now); /* -ENOENT */
/* The roots in use as their lines, gates included; the caller wipes them. Returns how many. */
unsigned node_root_lines(const struct node *, struct root_line *ret, unsigned max);
/* An interface of the host becomes the network's second device, or its filter another one. 0, -ENOENT: not joined, -EEXIST: there is another one,
 * whose name is *ret_why, -EINVAL: *ret_why says what is wrong with name or filter. Remove: 0, -ENOENT, -ENODEV: no such one. */
int node_port_add(struct node *, uint64_t nwid, const char *iface, const char *filter, uint64_t now, const char **ret_why);
int node_port_remove(struct node *, uint64_t nwid, const char *iface, uint64_t now);
/* game: what is sent to 255.255.255.255, and multicast, leaves by this network. metric: of managed routes; not set: the controller's. 0, -ENOENT. */
struct local_change {
	bool game_given, game;
	bool metric_given, metric_set;
	uint32_t metric;
};
int node_local_set(struct node *, uint64_t nwid, const struct local_change *, uint64_t now);
bool node_network(struct node *, uint64_t nwid, struct net_view *ret);
void node_networks(struct node *, void (*each)(void *, const struct net_view *), void *);
void node_peers(struct node *, uint64_t now, void (*each)(void *, const struct peer_view *), void *);
void node_roots(struct node *, void (*each)(void *, const struct root_view *), void *);
/* The chain of a set's file, read again: what is newer is taken; borrowed. 0, -ENOENT: the node does not use that set, -EINVAL: refused (logged). */
int node_rootset(struct node *, const struct rootset *, uint64_t now);
void node_netcheck(struct node *, struct netcheck_view *ret);
void node_relay(struct node *, uint64_t now, struct relay_view *ret);
unsigned node_registered(struct node *); /* nodes that may be called through this root */
/* Another machine with our identity, as a root saw it: where; false: not in the last two hours. */
bool node_clone(const struct node *, uint64_t now, struct endpoint *ret, uint64_t *ret_ago_ms);
/* At a root: each registered identity that two machines were proven to have within two hours. */
void node_clones(struct node *, uint64_t now, void (*each)(void *, const struct identity *, const struct endpoint *other, uint64_t ago_ms),
                 void *);
void node_drops(struct node *, uint64_t ret[DROP_COUNT]);
/* A member whose frames were dropped for its own doing, by the reasons of blame.h. */
struct blame_view {
	uint64_t address;
	char name[NAME_MAX_BYTES + 1]; /* as its credential says; "" */
	uint64_t drop[DROP_COUNT];
};
/* Each member of a network that caused any, since it is a member; false: not in that network. */
bool node_blames(struct node *, uint64_t nwid, void (*each)(void *, const struct blame_view *), void *);
/* The MACs learned in a network, in no order: behind which member, our own address for our device's LAN. 0 or -ENOENT. */
struct fdb_entry;
/* Copies of a network's frames, passed and dropped, to the socket of that name from now until it closes (tap/mirror.h). -ENOENT: no such network, -EINVAL:
 * the name, -ENOSPC: too many watch already, -ECONNREFUSED: nobody listens there. */
int node_watch(struct node *, uint64_t nwid, const char *name);
int node_fdb(struct node *, uint64_t nwid, uint64_t now, void (*each)(void *, const struct fdb_entry *), void *);
const struct identity *node_identity(const struct node *);

#endif
