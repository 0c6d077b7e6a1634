/* cred.h: signed membership documents: envelope, CRED, HEAD, and the unsigned blobs that HEAD binds by hash
 * (PROTOCOL.md, Networks).
 *
 * Pure: network time is an argument. Parsers take received bytes, check the signature over exactly those bytes first,
 * then walk the document with its caps (depth 8, 4096 elements; keys ascending, shortest integers, no trailing bytes)
 * and leave outputs untouched on failure. Borrowed strings point into the caller's bytes.
 */
#ifndef FARLAN_PROTO_CRED_H
#define FARLAN_PROTO_CRED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/ident.h"
#include "proto/prefix.h"

#define CRED_ENVELOPE_MAX 640
#define HEAD_ENVELOPE_MAX 320
#define CRED_IPS_MAX      8
#define CRED_MACS_MAX     8
#define CRED_TAGS_MAX     16
#define SECTION_MAX       (1280 * 1024) /* all members in one: 10240 with 8 IPv4 each are 106 bytes each */
#define CONFIG_MAX        (2 * 1024 * 1024)
#define MEMBERS_MAX       10240 /* in all shards together */
#define REVLIST_MAX       20480 /* entries, in all shards together; at most 45 bytes each */
#define SHARDS            64
#define SECTIONS_MAX      (8 + 2 * SHARDS)
#define MANIFEST_MAX      8192 /* bytes; a section takes 43 of them */
#define ROUTES_MAX        64
#define DNS_SERVERS_MAX   4
#define NAME_MAX_BYTES    63 /* of text: UTF-8 without control characters, else it is not signed and not accepted */
#define MTU_MIN           1280
#define MTU_MAX           9000

enum document_kind { DOC_CRED = 1, DOC_HEAD = 2, DOC_REVLIST = 3, DOC_CONFIG = 4, DOC_DELEG = 5, DOC_ROOTSET = 6, DOC_CONTACT = 7 };

enum member_flag {
	MEMBER_BRIDGE = 1,
	MEMBER_ANCHOR = 2,
	MEMBER_RELAY = 4,
	MEMBER_ROUTER = 8,
	MEMBER_DHCP_SERVER = 16,
	MEMBER_REPLICATOR = 32,
	MEMBER_PASSIVE = 64,
	MEMBER_IP_GUARD_EXEMPT = 128,
	MEMBER_FLAGS = 255, /* all of them */
};

struct cred {
	uint64_t nwid, serial;
	uint8_t subject[KEY_HASH_BYTES];
	uint64_t address;
	uint64_t issued_at;          /* network time, s */
	uint32_t soft_ttl, hard_ttl; /* s */
	uint32_t flags;
	struct prefix ips[CRED_IPS_MAX];
	unsigned n_ips;
	uint8_t macs[CRED_MACS_MAX][6];
	unsigned n_macs;
	struct {
		uint32_t key, value;
	} tags[CRED_TAGS_MAX];
	unsigned n_tags;
	uint64_t min_cfg;
	char name[NAME_MAX_BYTES + 1];
};

struct head {
	uint64_t nwid;
	uint64_t deleg_epoch, version;
	uint64_t issued_at;
	uint8_t cfg_root[32], rev_hash[32];
	uint64_t rev_epoch, gate_epoch;
};

/* Both return the envelope's length, or 0 when it does not fit room (or the CRED exceeds CRED_ENVELOPE_MAX). */
size_t cred_sign(const struct cred *, const uint8_t ed_secret[64], uint8_t *out, size_t room);
size_t head_sign(const struct head *, const uint8_t ed_secret[64], uint8_t *out, size_t room);
/* Signature by signer_ed over the received bytes, then the parse; deleg must be nil. False: outputs untouched. */
bool cred_open(const uint8_t *envelope, size_t len, const uint8_t signer_ed[32], struct cred *ret);
bool head_open(const uint8_t *envelope, size_t len, const uint8_t signer_ed[32], struct head *ret);
/* Parse without the signature, for a cache hit on the envelope's hash and for printing. */
bool cred_parse(const uint8_t *envelope, size_t len, struct cred *ret);
void envelope_hash(const uint8_t *envelope, size_t len, uint8_t ret[32]); /* H256("fln1 env", envelope) */

/* -1, 0, 1: HEADs order by (deleg_epoch, version). */
int head_compare(const struct head *, const struct head *);

/* REVLIST: [[key_hash, min_serial]...] sorted by key_hash. */
struct revocation {
	uint8_t key_hash[KEY_HASH_BYTES];
	uint64_t min_serial;
};
size_t revlist_encode(const struct revocation *, size_t n, uint8_t *out, size_t room); /* 0 = does not fit */
/* Calls each entry; false (and perhaps some calls made) if the blob is malformed, so check into a fresh list. */
bool revlist_walk(const uint8_t *blob, size_t len, void (*each)(void *self, const struct revocation *), void *self);
/* Entries in a well-formed blob, or -1. */
long revlist_count(const uint8_t *blob, size_t len);

/* The whole rule of validity (signature already checked by cred_open). ctime = network time of the current HEAD. */
enum cred_verdict { CRED_OK, CRED_NETWORK, CRED_SUBJECT, CRED_ADDRESS, CRED_REVOKED, CRED_EXPIRED };
enum cred_verdict cred_check(const struct cred *, uint64_t nwid, const uint8_t subject[KEY_HASH_BYTES], uint64_t address,
                             uint64_t min_serial, uint64_t ctime);

/* CONFIG manifest {section id: [hash, len]} and its sections. */
enum section_id {
	SECTION_BASE = 1,
	SECTION_RULES = 2,
	SECTION_ROUTES = 3,
	SECTION_DNS = 4,
	SECTION_MEMBERS = 5,
	SECTION_ANCHORS = 6,
	SECTION_BRIDGES = 7,
	SECTION_MEMBERS_SHARD = 64,  /* + shard_of(key_hash): the directory of a large network, each part like SECTION_MEMBERS */
	SECTION_REVOKED_SHARD = 128, /* + shard_of(key_hash): its revocations, each part like REVLIST */
};
static inline unsigned shard_of(const uint8_t key_hash[KEY_HASH_BYTES])
{
	return key_hash[0] >> 2;
}
struct manifest {
	unsigned n;
	struct {
		uint8_t id;
		uint8_t hash[32];
		uint32_t len;
	} section[SECTIONS_MAX]; /* ascending id */
};
void blob_hash(const uint8_t *blob, size_t len, uint8_t ret[32]); /* H256("fln1 blob", blob) */
size_t manifest_encode(const struct manifest *, uint8_t *out, size_t room);
bool manifest_parse(const uint8_t *blob, size_t len, struct manifest *ret); /* refuses sums above CONFIG_MAX */

#define NETWORK_PUBLIC        1u
#define NETWORK_IP_GUARD      2u
#define NETWORK_NO_RA_GUARD   4u
#define NETWORK_NO_DHCP_GUARD 8u
#define NETWORK_NO_BROADCAST  16u
#define NETWORK_NO_MULTICAST  32u
#define NETWORK_NO_ULA        64u  /* no derived IPv6 */
#define NETWORK_FLAGS         127u /* all of them */
/* What a network means that does not say otherwise; older controllers never do. */
#define MCAST_LIMIT_DEFAULT  32u
#define STORM_FRAMES_DEFAULT 1000u
#define MCAST_KBIT_DEFAULT   50000u
/* What may pass: EtherTypes as frames have them, and LLC for all frames that have a length in that place. */
#define ETHERTYPES_MAX 16
#define ETHERTYPE_LLC  0u
#define ETHERTYPE_MIN  0x600u /* less is a length */
struct ethertypes {           /* ascending, each once */
	uint8_t n;            /* 0 = all pass */
	uint16_t type[ETHERTYPES_MAX];
};

struct section_base {
	char name[NAME_MAX_BYTES + 1];
	uint16_t mtu; /* MTU_MIN..MTU_MAX */
	uint32_t mcast_limit;
	uint32_t flags;       /* NETWORK_* */
	uint32_t max_offline; /* s, 0 = none */
	/* Limits of a sender (0 = none), broadcast and unknown unicast in frames/s, multicast in kbit/s. */
	uint32_t storm_frames, mcast_kbit;
	struct ethertypes ethertypes;
};
size_t section_base_encode(const struct section_base *, uint8_t *out, size_t room);
bool section_base_parse(const uint8_t *blob, size_t len, struct section_base *ret);

struct route {
	struct prefix target;
	bool via_set;
	uint8_t via[16]; /* family of target */
	uint32_t metric;
};
size_t section_routes_encode(const struct route *, unsigned n, uint8_t *out, size_t room);
bool section_routes_parse(const uint8_t *blob, size_t len, struct route ret[ROUTES_MAX], unsigned *ret_n);

/* Names of the network's own: who answers for them. The section is there when there is one server at least. */
struct section_dns {
	char domain[NAME_MAX_BYTES + 1]; /* lower case, no dot at the ends; "" = none */
	unsigned n_servers;
	struct prefix servers[DNS_SERVERS_MAX]; /* hosts: bits 32 or 128 */
};
size_t section_dns_encode(const struct section_dns *, uint8_t *out, size_t room);
bool section_dns_parse(const uint8_t *blob, size_t len, struct section_dns *ret);

/* The directory: every approved member, [address, key_hash, ips, flags], ascending address. */
struct directory_entry {
	uint64_t address;
	uint8_t key_hash[KEY_HASH_BYTES];
	struct prefix ips[CRED_IPS_MAX];
	unsigned n_ips;
	uint32_t flags;
};
size_t section_members_encode(const struct directory_entry *, size_t n, uint8_t *out, size_t room);
long section_members_count(const uint8_t *blob, size_t len); /* entries, or -1 if malformed or above MEMBERS_MAX */
bool section_members_walk(const uint8_t *blob, size_t len, void (*each)(void *self, const struct directory_entry *), void *self);

/* MEMBERCONF, personal, inside the session. cred and head borrow (envelopes). */
struct memberconf {
	const uint8_t *cred, *head;
	size_t cred_len, head_len;
	uint8_t gate[32];
};
size_t memberconf_encode(const struct memberconf *, uint8_t *out, size_t room);
bool memberconf_parse(const uint8_t *bytes, size_t len, struct memberconf *ret);

#endif
