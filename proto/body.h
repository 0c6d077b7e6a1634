/* body.h: bodies of control messages, msgpack inside an authenticated session (PROTOCOL.md, CTRL messages).
 *
 * A message is [req u32, op u8, body]; a reply [req, op | OP_REPLY, [status, result]]. Every body is a map with ascending
 * unsigned keys. Each document is walked once by the cursor (depth, element counts against the bytes left, canonical
 * form, no trailing bytes) before msgpack-c unpacks it: five bytes must never reserve gigabytes. Decoders leave the
 * output untouched on failure; borrowed pointers point into the caller's bytes. Encoders return the length or 0.
 */
#ifndef FARLAN_PROTO_BODY_H
#define FARLAN_PROTO_BODY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/batch.h"
#include "proto/contact.h"
#include "proto/cred.h"
#include "proto/ident.h"
#include "proto/wire.h"

#define BODY_MAX          1150 /* a control message, [req, op, body] */
#define BODY_DEPTH_MAX    8
#define BODY_ELEMENTS_MAX 4096
#define BLOB_PIECE_MAX    1000
#define CANDIDATES_MAX    24
#define OP_REPLY          0x80

enum op {
	OP_NET_OPEN = 1,
	OP_NET_CLOSE = 2,
	OP_HEAD = 3,
	OP_GET_BLOB = 4,
	OP_BLOB = 5,
	OP_SUB = 6,
	OP_GATHER = 7,
	OP_RESOLVE = 8,
	OP_CANDS = 9,
	OP_SPRAY = 10,
	OP_CRED = 11,
	OP_WHOIS = 20,
	OP_CONNECT = 21,
	OP_INCOMING = 22,
	OP_ACCEPT = 23,
	OP_UNREACH = 24,
	OP_REGISTER = 25,
	OP_LOCATE = 26,
	OP_ROOTSET = 27,
	OP_PEER_RESTART = 28,
	OP_OBSERVED = 29,
	OP_SYNC = 30,
	OP_JOIN_REQ = 40,
	OP_ACK = 41,
	OP_LEAVE = 42,
	OP_REPORT = 43,
	OP_PQ_EK = 50,
	OP_PQ_CT = 51,
};

enum status { /* of a reply */
	      STATUS_OK = 0,
	      STATUS_UNKNOWN_OP = 1,
	      STATUS_MALFORMED = 2,
	      STATUS_DENIED = 3,
	      STATUS_NOT_FOUND = 4,
	      STATUS_TRY_LATER = 5,
	      STATUS_COLLISION = 6,
	      STATUS_UNREACH = 7,
};

/* Is this one well-formed document within the caps, in canonical form, without trailing bytes? max_elements: as a rule
 * BODY_ELEMENTS_MAX; the blobs of a network pass their own named maximum. */
bool document_walk(const uint8_t *bytes, size_t len, unsigned max_depth, size_t max_elements);

/* The frame around every body. body borrows. */
struct message {
	uint32_t req;
	uint8_t op;          /* with OP_REPLY for replies */
	uint8_t status;      /* replies only */
	const uint8_t *body; /* a document of its own; for a reply the result (may be empty: len 0) */
	size_t len;
	const uint8_t *exporter; /* 32 bytes: of the session it came by; NULL = not told. Never sent */
};
size_t message_encode(const struct message *, uint8_t *out, size_t room);
bool message_parse(const uint8_t *bytes, size_t len, struct message *ret);

struct body_net_open { /* request and reply share the shape */
	uint64_t nwid;
	uint16_t chan;              /* sender's receive handle */
	const uint8_t *cred, *head; /* envelopes; head may be absent (NULL) */
	size_t cred_len, head_len;
};
struct body_net_close {
	uint64_t nwid;
	uint16_t chan;
};
struct body_head {
	uint64_t nwid;
	const uint8_t *head;
	size_t head_len;
};
struct body_get_blob {
	uint64_t nwid;
	uint8_t hash[32];
	uint32_t off;
};
/* Reply to GET_BLOB: hash, off, total length, piece of at most BLOB_PIECE_MAX. */
struct body_blob {
	uint8_t hash[32];
	uint32_t off, total;
	const uint8_t *piece;
	size_t piece_len;
};
struct body_cands {
	uint32_t gen;
	uint8_t nat; /* of the sender: an enum nat_mapping, as far as it knows; 0 = not at all */
	unsigned n;
	struct endpoint endpoints[CANDIDATES_MAX];
};
enum spray_side { SPRAY_HARD = 0, SPRAY_EASY = 1 };
/* Request of the hard side, and the easy one's answer (node/spray.c). */
struct body_spray {
	uint8_t side;             /* enum spray_side: of the sender */
	uint32_t start;           /* the hard side's number of this attempt, in both */
	uint16_t count;           /* sockets it opens; datagrams it sends */
	uint16_t rate;            /* per second */
	struct endpoint endpoint; /* where a root sees the sender */
	uint16_t step;            /* hard: its NAT goes on by so much from port to port (mod 65536); 0 = not told */
};
struct body_cred {
	uint64_t nwid;
	const uint8_t *cred;
	size_t cred_len;
};
struct body_whois {
	uint64_t address;
};
struct body_identity {
	struct identity identity;
}; /* WHOIS result, COLLISION result, INCOMING source */
struct body_connect {
	uint64_t address;
	bool key_hash_set;
	uint8_t key_hash[KEY_HASH_BYTES];
	uint32_t rx_idx;      /* sender's index of the new leg */
	const uint8_t *first; /* INIT, at most INIT_SEND_MAX */
	size_t first_len;
	bool share_observed; /* the relay may tell the other side where this one is seen */
};
struct body_idx {
	uint32_t idx;
}; /* CONNECT result: the relay's index of that leg */
struct body_incoming {
	struct identity source;
	uint32_t idx;             /* relay's index of this leg: where the called side sends */
	struct endpoint observed; /* family 0 = not shared */
	const uint8_t *first;
	size_t first_len;
};
struct body_accept {
	uint32_t idx;         /* the relay's index from INCOMING: names the circuit */
	uint32_t rx_idx;      /* the called side's index of its leg */
	const uint8_t *first; /* RESP or RETRY */
	size_t first_len;
};
struct body_unreach {
	uint32_t idx;
	uint32_t relay_idx; /* the relay's own index of that leg, if it has one: 0 = not told */
};                          /* sender's own rx_idx of the leg that leads nowhere */
struct body_register {
	uint32_t epoch;
	uint16_t flags;
	uint64_t instance;      /* random, of this run; 0 = not told */
	const uint8_t *contact; /* the node's record for the set of this root; NULL = none */
	size_t contact_len;
};
struct body_observed {
	struct endpoint observed;
	struct endpoint clone; /* REGISTER: where another machine with the same identity is seen; family 0 = none */
	uint16_t alt_port;     /* REGISTER: the root's second port; 0 = none */
};                             /* REGISTER result, OBSERVED result */
struct body_peer_restart {
	uint8_t key_hash[KEY_HASH_BYTES];
};

/* Roots of one set (body_roots.c). */
#define ROOTSET_PIECE_MAX 1000
#define SYNC_RECORDS_MAX  4
#define SYNC_BUCKETS      128 /* of key hashes, by their first seven bits */
struct body_locate {
	uint64_t address;
	bool key_hash_set;
	uint8_t key_hash[KEY_HASH_BYTES];
};
struct body_located { /* LOCATE result; a record of SYNC */
	struct identity identity;
	const uint8_t *contact;
	size_t contact_len;
	uint32_t age_s;  /* since the sender first heard of this identity */
	uint32_t left_s; /* until the record ends, so that no two roots keep it alive between them */
};
/* Request: what follows have_seq? From a root to its node: it has that seq now. */
struct body_rootset {
	uint8_t id[32];
	uint64_t have_seq;
	uint32_t off;
};
/* ROOTSET result; total 0: nothing newer. */
struct body_rootset_piece {
	uint64_t seq;
	uint32_t off, total;
	const uint8_t *piece;
	size_t piece_len;
};
struct body_sync {
	unsigned n;
	struct body_located record[SYNC_RECORDS_MAX];
	bool digest_set; /* per bucket the XOR of what its records hash to */
	uint64_t digest[SYNC_BUCKETS];
};
struct body_sync_result { /* of one with a digest: the buckets that differ, a bit each */
	uint8_t differ[SYNC_BUCKETS / 8];
};

/* Multicast groups (body_groups.c). */
#define SUB_GROUPS_MAX 128
#define SUB_ALL        1u /* every group: bridges, promiscuous devices */
#define SUB_BLOCKED    2u /* its loop guard shut the port: nothing goes to MACs behind it, what was learned of them is void */
#define SUB_FLAGS      (SUB_ALL | SUB_BLOCKED)
#define GATHERED_MAX   100
/* The whole set of one member; the newest seq replaces all before it. */
struct body_sub {
	uint64_t nwid;
	uint64_t seq;   /* epoch << 32 | count */
	uint32_t flags; /* SUB_*; unknown ones are not kept */
	uint32_t n;
	uint8_t group[SUB_GROUPS_MAX][6]; /* ascending */
};
/* Who takes this group, of those after that address (0: from the start)? */
struct body_gather {
	uint64_t nwid;
	uint8_t group[6];
	uint64_t after;
};
struct body_gathered { /* GATHER result */
	bool more;     /* ask again after the last of these */
	uint32_t n;
	uint64_t address[GATHERED_MAX]; /* ascending */
};

enum join_status { JOIN_OK = 0, JOIN_PENDING = 1, JOIN_AUTH_URL = 2, JOIN_DENIED = 3, JOIN_COLLISION = 4, JOIN_TRY_LATER = 5 };
struct body_join_req {
	uint64_t nwid;
	struct identity identity; /* address as claimed; keys must equal the session's */
	char hostname[NAME_MAX_BYTES + 1];
	char os[NAME_MAX_BYTES + 1];
	char version[NAME_MAX_BYTES + 1];
	uint64_t have_version; /* HEAD version held, 0 = none */
	uint64_t asked;        /* drawn each time somebody types the join; 0 = an older node */
	uint64_t invite;       /* an invitation it holds, 0 = none, and */
	uint8_t proof[64];     /* the proof (invite.h) */
};
/* JOIN_REQ result, and the push of a changed MEMBERCONF (sent as OP_JOIN_REQ | OP_REPLY with req 0). */
struct body_join_res {
	uint64_t nwid;
	uint8_t status;
	const uint8_t *memberconf;
	size_t memberconf_len;
	char reason[NAME_MAX_BYTES + 1]; /* with JOIN_DENIED, the admin's words; "" = none */
};
struct body_ack {
	uint64_t nwid, version;
	uint64_t serial; /* of the credential held; 0 = none */
};
struct body_leave {
	uint64_t nwid;
};

/* How a member reaches the others, told to the controller (body_report.c). The newest seq replaces all before it. */
#define REPORT_LINKS_MAX  64
#define REPORT_DROPS_MAX  24
#define REPORT_DROP_NAME  24      /* with its 0: a to z, 0 to 9 and - */
#define REPORT_DROPS_REST "other" /* the reasons that are not named, together */
enum report_kind { LINK_NONE = 0, LINK_DIRECT = 1, LINK_RELAY = 2 };
struct body_report {
	uint64_t nwid;
	uint64_t seq; /* epoch << 32 | count */
	unsigned n;
	struct report_link {
		uint64_t address;
		uint8_t kind;     /* enum report_kind, or one that we do not know */
		uint32_t rtt_us;  /* 0 = not known */
		uint32_t age_s;   /* since it was last heard; 65535 stands for all above */
	} link[REPORT_LINKS_MAX]; /* ascending. Those that would not fit behind the counters, longest unheard, are not sent */
	bool counted;             /* false: an older member, or it does not tell */
	struct report_count {     /* of its port, from 0 each time it starts or joins: less than before means from 0 */
		uint64_t rx_bytes, rx_frames, tx_bytes, tx_frames;
	} count;
	unsigned n_drops; /* 0 unless counted */
	struct report_drop {
		char name[REPORT_DROP_NAME]; /* each once; as drop_name(), or of a newer member, or REPORT_DROPS_REST */
		uint64_t count;              /* of this network's frames at that member, from 0 as above; never 0 */
	} drop[REPORT_DROPS_MAX];
};

/* One encode and one decode each: body_<name>_encode(const struct body_<name> *, out, room) -> length or 0;
 * body_<name>_parse(bytes, len, ret) -> ok. */
/* The formatter never comes to rest on this list. */
/* clang-format off */
#define BODY_LIST(X)                                                                                              \
	X(net_open) X(net_close) X(head) X(get_blob) X(blob) X(cands) X(cred) X(whois) X(identity) X(connect) X(idx) \
	X(incoming) X(accept) X(unreach) X(register) X(observed) X(peer_restart) X(join_req) X(join_res) X(ack) X(leave) \
	X(spray) X(locate) X(located) X(rootset) X(rootset_piece) X(sync) X(sync_result) \
	X(sub) X(gather) X(gathered) X(report)
/* clang-format on */
#define X(name)                                                                                                                            \
	size_t body_##name##_encode(const struct body_##name *, uint8_t *out, size_t room);                                                \
	bool body_##name##_parse(const uint8_t *bytes, size_t len, struct body_##name *ret);
BODY_LIST(X)
#undef X

#endif
