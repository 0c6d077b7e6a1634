/* admin.h: networks and members as the admin's side sees and changes them; part of controller.h, which is what to include.
 *
 * Every edit is judged whole, written and committed before it returns, together with its entry in the audit. Durations are
 * seconds of network time. Strings are UTF-8 without control characters.
 */
#ifndef FARLAN_CONTROLLER_ADMIN_H
#define FARLAN_CONTROLLER_ADMIN_H

enum admin_status {
	ADMIN_OK = 0,
	ADMIN_NOT_FOUND,   /* network or member unknown: exit 5 */
	ADMIN_CONFLICT,    /* address in use, name taken, pool exhausted: exit 8 */
	ADMIN_INVALID,     /* value out of range: exit 2 */
	ADMIN_UNAVAILABLE, /* disk full or read-only, database not trusted: TRY_LATER */
};
struct admin_error { /* filled when the status is not ADMIN_OK */
	char title[96];
	char detail[256];
	char hint[256];
};

#define DESCRIPTION_MAX 200 /* bytes */
#define EXPIRES_MAX     (100u * 365 * 86400)

/* ---- networks */

#define STORM_FRAMES_MAX 1000000u
#define MCAST_KBIT_MAX   100000000u /* 100 Gbit/s */
#define MCAST_LIMIT_MAX  1000u
#define BRIDGE_MTU_MIN   1500             /* what every LAN behind a bridge sends */
#define MANAGED_MAX      (ROUTES_MAX - 1) /* routes of the admin's; the pool's own is one more */
struct network_limits {                   /* 0 = none */
	uint32_t storm_frames;            /* broadcast and unknown unicast of a sender, 1/s */
	uint32_t mcast_kbit;              /* multicast of a sender */
	uint32_t mcast_limit;             /* copies a sender makes itself before replicators take over */
};

/* Of the pool: what is given by itself comes from there. Both ends included; they may lie outside the pool, and then they give nothing. */
#define RANGES_MAX 16
struct range {
	uint8_t first[4], last[4];
};

struct network_row {
	uint64_t nwid;
	char name[NAME_MAX_BYTES + 1];
	char description[DESCRIPTION_MAX + 1];
	uint16_t mtu;
	struct prefix pool;            /* IPv4 pool; family 0 = none */
	uint32_t pool_size, pool_used; /* addresses that are given by themselves, and how many of those are held */
	struct range ranges[RANGES_MAX];
	unsigned n_ranges;            /* 0 = the whole pool */
	bool auto_assign;             /* new members get an address without being asked */
	struct ethertypes ethertypes; /* n 0 = all */
	uint32_t flags;               /* NETWORK_* */
	struct network_limits limits;
	struct route routes[MANAGED_MAX];
	unsigned n_routes;
	struct section_dns dns;
	uint64_t version, revision;
	uint32_t members, pending, online, relayed;
	bool carries;            /* they tell what they carry: */
	uint64_t rx_bps, tx_bps; /* bits/s of the last minute, all members */
	uint64_t created_wall_s;
};

struct network_settings { /* a bit in set says which fields count */
	enum {
		SET_NET_NAME = 1,
		SET_NET_MTU = 2,
		SET_NET_POOL = 4,
		SET_NET_FLAGS = 8,
		SET_NET_STORM = 16,
		SET_NET_MCAST_RATE = 32,
		SET_NET_MCAST_LIMIT = 64,
		SET_NET_DESCRIPTION = 128,
		SET_NET_ROUTES = 256,
		SET_NET_DNS = 512,
		SET_NET_RANGES = 1024,
		SET_NET_AUTO_ASSIGN = 2048,
		SET_NET_ETHERTYPES = 4096,
	} set;
	char name[NAME_MAX_BYTES + 1];
	char description[DESCRIPTION_MAX + 1];
	uint16_t mtu;
	struct prefix pool;
	uint32_t flags_on, flags_off; /* NETWORK_* */
	struct network_limits limits;
	struct route routes[MANAGED_MAX];
	unsigned n_routes;
	struct section_dns dns;
	struct range ranges[RANGES_MAX];
	unsigned n_ranges;
	bool auto_assign;
	struct ethertypes ethertypes; /* whatever the order; n 0 = all */
};

enum admin_status controller_network_create(struct controller *, const struct network_settings *, uint64_t *ret_nwid, struct admin_error *);
enum admin_status controller_network_set(struct controller *, uint64_t nwid, const struct network_settings *, struct admin_error *);
enum admin_status controller_network_delete(struct controller *, uint64_t nwid, struct admin_error *);
enum admin_status controller_network_get(struct controller *, uint64_t nwid, struct network_row *ret, struct admin_error *);
enum admin_status controller_network_each(struct controller *, void (*each)(void *, const struct network_row *), void *,
                                          struct admin_error *);
/* A text that another program keeps here about a network; the controller does not read it. "" = none. */
#define NETWORK_EXTRA_MAX 65536 /* bytes, without the end */
enum admin_status controller_network_extra_set(struct controller *, uint64_t nwid, const char *text, struct admin_error *);
enum admin_status controller_network_extra_get(struct controller *, uint64_t nwid, char ret[NETWORK_EXTRA_MAX + 1], struct admin_error *);
/* What works, but perhaps not as it was meant: pools that overlap, routes by way of nobody. A sentence each. */
void controller_network_warnings(struct controller *, uint64_t nwid, void (*each)(void *, const char *), void *);

/* ---- members */

enum member_state { MEMBER_PENDING, MEMBER_APPROVED, MEMBER_DENIED, MEMBER_REVOKED, MEMBER_BANNED, MEMBER_STATES };
const char *member_state_name(enum member_state); /* "pending" ... */
/* An approval is still to come, or was refused. */
static inline bool member_undecided(enum member_state state)
{
	return state == MEMBER_PENDING || state == MEMBER_DENIED;
}

#define TAGS_MAX  16
#define TAG_BYTES 32 /* each, of a-z 0-9 . _ : - */
struct tags {        /* ascending, none twice */
	unsigned n;
	char tag[TAGS_MAX][TAG_BYTES + 1];
};
bool tags_add(struct tags *, const char *tag); /* false: not a tag, or no room; one that is there already is no mistake */
bool tags_have(const struct tags *, const char *tag);

struct member_row {
	uint64_t nwid, address;
	uint8_t key_hash[KEY_HASH_BYTES];
	char name[NAME_MAX_BYTES + 1]; /* the admin's, or the hostname it asked with */
	char hostname[NAME_MAX_BYTES + 1], os[NAME_MAX_BYTES + 1], version[NAME_MAX_BYTES + 1];
	char description[DESCRIPTION_MAX + 1];
	char reason[NAME_MAX_BYTES + 1]; /* why it is out; the member is told */
	struct tags tags;
	enum member_state state;
	bool online;
	enum report_kind link;   /* how the controller reaches it */
	uint32_t rtt_us;         /* 0 = not known */
	bool carries;            /* it tells what it carries: */
	uint64_t rx_bps, tx_bps; /* bits/s of the last minute */
	struct prefix ips[CRED_IPS_MAX];
	unsigned n_ips;
	uint32_t flags; /* MEMBER_* effective */
	struct endpoint physical;
	uint64_t expires_s;    /* left of the approval; 0 = it has no end */
	uint32_t ephemeral_s;  /* forgotten after that long offline; 0 = never */
	uint64_t invite;       /* that admitted it, 0 = none */
	uint64_t acknowledged; /* HEAD version it said it holds; 0 = not heard since the start */
	uint64_t revision, first_seen_wall_s, last_seen_wall_s, serial;
	bool auto_ip;                                    /* the pool gives it an address */
	bool ipv6;                                       /* it has the address that is derived from its own */
	uint64_t authorized_wall_s, deauthorized_wall_s; /* of the last approval; of its end: deny, revoke, ban, expiry. 0 = never */
};

enum member_setting {
	SET_MEMBER_NAME = 1,
	SET_MEMBER_IP = 2,
	SET_MEMBER_FLAGS = 4,
	SET_MEMBER_DESCRIPTION = 8,
	SET_MEMBER_TAGS = 16,
	SET_MEMBER_EXPIRES = 32,
	SET_MEMBER_IPS = 64, /* instead of SET_MEMBER_IP: n_ips of ips; 0 = one that the pool gives, or none where it gives none */
	SET_MEMBER_EPHEMERAL = 128,
	SET_MEMBER_INVITE = 256,
	SET_MEMBER_AUTO_IP = 512,
};
struct member_settings {
	unsigned set; /* enum member_setting */
	char name[NAME_MAX_BYTES + 1];
	char description[DESCRIPTION_MAX + 1];
	struct tags tags;
	union { /* replace the IPv4 addresses; bits 0 = the pool's prefix */
		struct prefix ip;
		struct prefix ips[CRED_IPS_MAX];
	};
	unsigned n_ips;
	uint32_t flags_on, flags_off; /* any MEMBER_*; bridge implies dhcp-server and router unless set off */
	uint64_t expires_s;           /* from now on; 0 = no end */
	uint32_t ephemeral_s;
	uint64_t invite;
	bool auto_ip;
};

/* member: an address; several rows with one address (a collision) make it ADMIN_CONFLICT with the key_hashes in detail.
 * reason: "" or NULL = none. */
enum admin_status controller_member_approve(struct controller *, uint64_t nwid, uint64_t member, const struct member_settings *,
                                            struct admin_error *);
enum admin_status controller_member_deny(struct controller *, uint64_t nwid, uint64_t member, const char *reason, struct admin_error *);
enum admin_status controller_member_revoke(struct controller *, uint64_t nwid, uint64_t member, const char *reason, struct admin_error *);
/* Its key is refused in every network of this controller, whatever rows it has there. Unbanned it waits for approval again. */
enum admin_status controller_member_ban(struct controller *, uint64_t nwid, uint64_t member, const char *reason, struct admin_error *);
enum admin_status controller_member_unban(struct controller *, uint64_t nwid, uint64_t member, struct admin_error *);
/* It comes back when somebody types the join there again, and not before. */
enum admin_status controller_member_delete(struct controller *, uint64_t nwid, uint64_t member, struct admin_error *);
enum admin_status controller_member_set(struct controller *, uint64_t nwid, uint64_t member, const struct member_settings *,
                                        struct admin_error *);
enum admin_status controller_member_get(struct controller *, uint64_t nwid, uint64_t member, struct member_row *ret, struct admin_error *);

/* One thing done to many, in one transaction; each for itself. each() is told of every one in its order, after the commit. */
enum batch_action { BATCH_APPROVE, BATCH_DENY, BATCH_REVOKE, BATCH_BAN, BATCH_DELETE, BATCH_TAG };
#define MEMBER_BATCH_MAX 1000
struct member_batch {
	enum batch_action action;
	const uint64_t *members;
	unsigned n;
	struct tags tags;   /* BATCH_TAG: added to those it has */
	const char *reason; /* NULL = none */
	bool undecided;     /* others are refused: who asks may only approve and deny */
};
enum admin_status controller_member_batch(struct controller *, uint64_t nwid, const struct member_batch *,
                                          void (*each)(void *, uint64_t member, enum admin_status, const struct admin_error *), void *,
                                          struct admin_error *);

enum member_sort { SORT_ADDRESS, SORT_STATE, SORT_NAME, SORT_LAST_SEEN };
enum member_link { WITH_ANY, WITH_DIRECT, WITH_RELAY, WITH_NONE };
#define CURSOR_MAX 256
/* For a list that goes out page after page: the order of its first page, so that it is not sorted for each, and nobody who moves
 * meanwhile is told twice or never. Zeroed; not used by address. */
struct member_order {
	struct member_key *keys; /* owned */
	size_t n, at;
};
void member_order_fini(struct member_order *);
struct member_query {
	unsigned states; /* 1 << enum member_state; 0 = all */
	enum { ONLINE_ANY, ONLINE_YES, ONLINE_NO } online;
	enum member_link link;
	char tag[TAG_BYTES + 1];    /* "" = any */
	char q[NAME_MAX_BYTES + 1]; /* in name, hostname, address, fixed addresses, description or tags, whatever the case */
	enum member_sort sort;      /* last seen: the latest first; state: pending, approved, and the rest */
	char after[CURSOR_MAX];     /* "" = from the begin */
	uint32_t limit;             /* 0 = all */
	bool rest;                  /* a page behind the first: total and counts are not wanted again */
	struct member_order *order; /* NULL = every page by itself */
};
struct member_page {
	char next[CURSOR_MAX];                 /* "" = that was all */
	uint32_t total;                        /* that match */
	uint32_t count[MEMBER_STATES], online; /* of the network, whatever the query */
};
/* ADMIN_INVALID: the cursor is none of ours. */
enum admin_status controller_member_query(struct controller *, uint64_t nwid, const struct member_query *,
                                          void (*each)(void *, const struct member_row *), void *, struct member_page *ret,
                                          struct admin_error *);
enum admin_status controller_member_each(struct controller *, uint64_t nwid, void (*each)(void *, const struct member_row *), void *,
                                         struct admin_error *); /* all of them, by address */

/* ---- who may come in before it asks */

struct preapproval_row {
	uint64_t nwid, address;
	struct member_settings settings;
	uint64_t created_wall_s, revision;
	bool reserve; /* what it will have waits for it, but somebody still has to approve it */
};
#define PREAPPROVALS_MAX 10000 /* of a network */
enum admin_status controller_preapprove(struct controller *, uint64_t nwid, uint64_t address, const struct member_settings *,
                                        struct admin_error *);
/* The same that does not let it in: its row waits, with that name, those addresses and rights, when it has asked. No end can be given. */
enum admin_status controller_reserve(struct controller *, uint64_t nwid, uint64_t address, const struct member_settings *,
                                     struct admin_error *);
enum admin_status controller_preapproval_delete(struct controller *, uint64_t nwid, uint64_t address, struct admin_error *);
enum admin_status controller_preapproval_get(struct controller *, uint64_t nwid, uint64_t address, struct preapproval_row *ret,
                                             struct admin_error *);
enum admin_status controller_preapproval_each(struct controller *, uint64_t nwid, void (*each)(void *, const struct preapproval_row *),
                                              void *, struct admin_error *);

#endif
