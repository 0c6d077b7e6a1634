/* mapping_parts.h: what the files of mapping share. Mapping thread only, but for what upnp.c's own threads do.
 */
#ifndef FARLAN_NODE_MAPPING_PARTS_H
#define FARLAN_NODE_MAPPING_PARTS_H

#include <poll.h>

#include "node/mapping.h"
#include "node/mapping_pcp.h"

/* ---- mapping_natpmp.c: one exchange with a gateway ------------------------------------------------------------ */

struct nat_pmp;

struct nat_pmp_answer {
	uint8_t ip[4]; /* ADDRESS */
	uint16_t port; /* MAPPED */
	uint32_t lifetime_s, epoch_s;
	char error[MAPPING_ERROR]; /* FAILED */
};
enum nat_pmp_kind { NAT_PMP_NOTHING, NAT_PMP_ADDRESS, NAT_PMP_MAPPED, NAT_PMP_FAILED };

int nat_pmp_open(struct nat_pmp **ret, const uint8_t gateway[4]);
void nat_pmp_close(struct nat_pmp *);
int nat_pmp_fd(const struct nat_pmp *); /* -1: nothing is asked */
/* One question at a time. false: it could not be sent. */
bool nat_pmp_ask_address(struct nat_pmp *);
bool nat_pmp_ask_map(struct nat_pmp *, uint16_t port, uint16_t wanted, uint32_t lifetime_s); /* lifetime 0: delete */
/* What came, without waiting; asks again when it is time. */
enum nat_pmp_kind nat_pmp_read(struct nat_pmp *, struct nat_pmp_answer *ret);
int nat_pmp_timeout_ms(struct nat_pmp *); /* until it is to be read although nothing came */

/* ---- mapping_upnp.c: one errand at a gateway, on a detached thread ---------------------------------------------- */

#define UPNP_URL   256
#define UPNP_LEASE 3600 /* s */

struct upnp_handle { /* where a mapping was made, for its removal */
	char control[UPNP_URL], service[UPNP_URL];
};

struct upnp_order {
	uint8_t gateway[4], source[4];
	uint16_t port, wanted;     /* ours; outside, to begin with */
	struct upnp_handle remove; /* set: delete the mapping of port wanted there */
};

struct upnp_result {
	bool found; /* the gateway has the service */
	bool good;
	struct endpoint external;
	struct upnp_handle handle;
	char error[MAPPING_ERROR];
};

struct upnp;

/* Writes to wake_fd (an eventfd, duplicated) when it is done. -EBUSY: too many hang at gateways that do not answer. */
int upnp_start(struct upnp **ret, const struct upnp_order *, int wake_fd);
bool upnp_done(struct upnp *, struct upnp_result *ret);
bool upnp_at_host(const char *url, const char *ip); /* whether a URL like "http://192.0.2.1:5000/..." names that host, by number */
void upnp_release(struct upnp *);                   /* done or not: the thread goes on alone, with what is its own */

/* ---- mapping_lease.c: one of our ports at one gateway ------------------------------------------------------------- */

#define LEASE_DESCRIPTORS 2

struct lease {
	struct gateway way;
	uint16_t port;
	int wake_fd; /* borrowed */
	uint8_t nonce[PCP_NONCE_BYTES];
	struct pcp_clock pcp_clock, nat_pmp_clock;

	/* what we have */
	bool held;
	enum mapping_protocol by;
	struct endpoint external;
	struct upnp_handle upnp_at;
	uint64_t expires_ms;

	/* when to ask */
	uint64_t next_ms, asked_ms;
	unsigned failures;  /* in a row */
	bool gateway_lost;  /* the gateway forgot what it had: the others there must ask again */
	uint32_t refused_s; /* how long a refusal holds; 0 = nobody refused */

	/* what is being asked */
	bool asking, removing;
	bool over[MAPPING_PROTOCOLS];
	int pcp_fd;
	unsigned pcp_sent;
	uint64_t pcp_ms; /* when to send again */
	struct nat_pmp *nat_pmp;
	uint8_t nat_pmp_ip[4];
	uint64_t nat_pmp_heard_ms; /* when it told the address; 0 = not yet */
	bool nat_pmp_mapping;      /* the mapping is asked for */
	struct upnp *upnp;

	enum mapping_answer answer[MAPPING_PROTOCOLS];
	char error[MAPPING_PROTOCOLS][MAPPING_ERROR];
};

void lease_init(struct lease *, const struct gateway *, uint16_t port, int wake_fd);
void lease_fini(struct lease *);
void lease_ask(struct lease *, uint64_t now);    /* begins; what is held stays until it expires */
void lease_remove(struct lease *, uint64_t now); /* begins to give it back */
/* Reads what came and does what is due. */
void lease_run(struct lease *, uint64_t now);
uint64_t lease_deadline(struct lease *, uint64_t now);
unsigned lease_descriptors(const struct lease *, struct pollfd ret[LEASE_DESCRIPTORS]);
bool lease_busy(const struct lease *); /* an exchange is under way */

#endif
