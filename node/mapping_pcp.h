/* mapping_pcp.h: the Port Control Protocol's MAP, as bytes (RFC 6887). Pure; any thread.
 */
#ifndef FARLAN_NODE_MAPPING_PCP_H
#define FARLAN_NODE_MAPPING_PCP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/batch.h"

#define PCP_PORT          5351 /* of the gateway; NAT-PMP has the same */
#define PCP_ANNOUNCE_PORT 5350 /* of clients, for what a gateway tells all of them */
#define PCP_MAP_BYTES     60
#define PCP_NONCE_BYTES   12
#define PCP_MAX           1100  /* bytes of the longest message (RFC 6887, 7) */
#define PCP_LIFETIME_MAX  86400 /* s; what is beyond a day is cut to it (RFC 6887, 15) */
#define PCP_ERROR_MAX     1800  /* s; how long a refusal is believed at most (RFC 6887, 8.1) */

enum pcp_result {
	PCP_SUCCESS = 0,
	PCP_UNSUPP_VERSION = 1,
	PCP_NOT_AUTHORIZED = 2,
	PCP_NETWORK_FAILURE = 7,
	PCP_NO_RESOURCES = 8,
	PCP_USER_EX_QUOTA = 10,
	PCP_CANNOT_PROVIDE_EXTERNAL = 11,
	PCP_ADDRESS_MISMATCH = 12,
};
const char *pcp_result_text(uint8_t result);

struct pcp_map {
	uint8_t nonce[PCP_NONCE_BYTES]; /* the same for the life of a mapping; who knows it may change and delete it */
	struct endpoint internal;       /* our address as the gateway sees it, and our port */
	struct endpoint wanted;         /* family 0: any. A deletion names none */
	uint32_t lifetime_s;            /* 0: delete */
};
/* UDP. */
void pcp_map_encode(const struct pcp_map *, uint8_t ret[PCP_MAP_BYTES]);

enum pcp_kind {
	PCP_NOTHING, /* no answer to this: ignore it */
	PCP_VERSION, /* the gateway speaks another version: NAT-PMP is one */
	PCP_REFUSED,
	PCP_MAPPED, /* or deleted, when that was asked */
};
struct pcp_answer {
	uint8_t result;      /* of a refusal */
	uint32_t lifetime_s; /* of the mapping; of a refusal how long it holds */
	uint32_t epoch_s;
	struct endpoint external;
};
/* What a datagram from the gateway says to that request; *ret is written for REFUSED and MAPPED. */
enum pcp_kind pcp_parse(const uint8_t *bytes, size_t len, const struct pcp_map *asked, struct pcp_answer *ret);
/* A gateway tells everybody that it has started anew (RFC 6887, 14.1) or has a new address (RFC 6886, 3.2.1). */
bool pcp_announces(const uint8_t *bytes, size_t len);

/* What is known of the gateway's own clock; it counts from when it last lost its mappings. */
struct pcp_clock {
	bool known;
	uint32_t gateway_s;
	uint64_t our_ms;
};
/* Takes the epoch of an answer; false: it has lost its mappings since the last one (RFC 6887, 8.5). */
bool pcp_clock_ok(struct pcp_clock *, uint32_t epoch_s, uint64_t now_ms);

#endif
