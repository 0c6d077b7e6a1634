/* mapping_pcp.c: PCP MAP requests and their answers.
 *
 * A request is a header of 24 bytes (version, opcode, lifetime, our address) and 36 bytes of MAP (nonce, protocol, ports, the address wanted);
 * an answer has the same shape with a result and the gateway's clock in the header. Addresses are IPv6, IPv4 ones mapped into it. An answer
 * counts only if it repeats our nonce, protocol and port; that it comes from the gateway is the socket's affair.
 */
#include "node/mapping_pcp.h"

#include <string.h>

#define VERSION         2
#define RESPONSE        0x80
#define OPCODE_ANNOUNCE 0
#define OPCODE_MAP      1
#define PROTOCOL_UDP    17
#define AT_LIFETIME     4
#define AT_CLIENT       8 /* requests */
#define AT_EPOCH        8 /* answers */
#define AT_NONCE        24
#define AT_PROTOCOL     36
#define AT_PORT         40
#define AT_WANTED_PORT  42
#define AT_WANTED       44
#define HEADER_BYTES    24
#define NATPMP_ANNOUNCE 12 /* bytes of NAT-PMP's answer with the public address */

static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

static void put16(uint8_t *to, uint16_t v)
{
	to[0] = (uint8_t)(v >> 8);
	to[1] = (uint8_t)v;
}

static void put32(uint8_t *to, uint32_t v)
{
	put16(to, (uint16_t)(v >> 16));
	put16(to + 2, (uint16_t)v);
}

static uint16_t get16(const uint8_t *from)
{
	return (uint16_t)(from[0] << 8 | from[1]);
}

static uint32_t get32(const uint8_t *from)
{
	return (uint32_t)get16(from) << 16 | get16(from + 2);
}

static void put_ip(uint8_t to[16], const struct endpoint *e, uint8_t family)
{
	memset(to, 0, 16);
	if (family == 4) {
		memcpy(to, mapped, sizeof(mapped));
		memcpy(to + 12, e->ip, 4);
	} else {
		memcpy(to, e->ip, 16);
	}
}

static void get_ip(struct endpoint *ret, const uint8_t from[16])
{
	bool four = !memcmp(from, mapped, sizeof(mapped));
	ret->family = four ? 4 : 6;
	memcpy(ret->ip, four ? from + 12 : from, four ? 4 : 16);
}

const char *pcp_result_text(uint8_t result)
{
	static const char *const texts[] = {
	    "success",
	    "the gateway speaks another version",
	    "the gateway does not allow it",
	    "the gateway did not understand the request",
	    "the gateway maps no ports",
	    "the gateway does not know an option",
	    "the gateway did not understand an option",
	    "the gateway has no connection itself",
	    "the gateway has no ports left",
	    "the gateway does not map UDP",
	    "the gateway gives this host no more ports",
	    "the gateway cannot give this port",
	    "another NAT is between us and the gateway",
	    "too many remote peers",
	};
	return result < sizeof(texts) / sizeof(texts[0]) ? texts[result] : "the gateway refuses for an unknown reason";
}

void pcp_map_encode(const struct pcp_map *map, uint8_t ret[PCP_MAP_BYTES])
{
	static const struct endpoint any;
	const struct endpoint *wanted = map->lifetime_s && map->wanted.family == map->internal.family ? &map->wanted : &any;
	memset(ret, 0, PCP_MAP_BYTES);
	ret[0] = VERSION;
	ret[1] = OPCODE_MAP;
	put32(ret + AT_LIFETIME, map->lifetime_s);
	put_ip(ret + AT_CLIENT, &map->internal, map->internal.family);
	memcpy(ret + AT_NONCE, map->nonce, PCP_NONCE_BYTES);
	ret[AT_PROTOCOL] = PROTOCOL_UDP;
	put16(ret + AT_PORT, map->internal.port);
	put16(ret + AT_WANTED_PORT, wanted->port);
	put_ip(ret + AT_WANTED, wanted, map->internal.family);
}

enum pcp_kind pcp_parse(const uint8_t *bytes, size_t len, const struct pcp_map *asked, struct pcp_answer *ret)
{
	if (len < 4 || len > PCP_MAX || !(bytes[1] & RESPONSE))
		return PCP_NOTHING;
	/* Older gateways answer in their own words: NAT-PMP's has the version 0 and eight bytes, and a result in two, whose second stands where PCP
	 * has its own (RFC 6886, 3.5). */
	if (bytes[0] != VERSION)
		return bytes[3] == PCP_UNSUPP_VERSION ? PCP_VERSION : PCP_NOTHING;
	if (bytes[1] != (RESPONSE | OPCODE_MAP) || len % 4 != 0 || len < PCP_MAP_BYTES)
		return PCP_NOTHING;
	if (memcmp(bytes + AT_NONCE, asked->nonce, PCP_NONCE_BYTES) != 0 || bytes[AT_PROTOCOL] != PROTOCOL_UDP ||
	    get16(bytes + AT_PORT) != asked->internal.port)
		return PCP_NOTHING;
	if (bytes[3] == PCP_UNSUPP_VERSION)
		return PCP_VERSION;
	struct pcp_answer a = {.result = bytes[3], .lifetime_s = get32(bytes + AT_LIFETIME), .epoch_s = get32(bytes + AT_EPOCH)};
	uint32_t max = a.result ? PCP_ERROR_MAX : PCP_LIFETIME_MAX;
	if (a.lifetime_s > max)
		a.lifetime_s = max;
	if (!a.result) {
		a.external.port = get16(bytes + AT_WANTED_PORT);
		get_ip(&a.external, bytes + AT_WANTED);
	}
	*ret = a;
	return a.result ? PCP_REFUSED : PCP_MAPPED;
}

bool pcp_announces(const uint8_t *bytes, size_t len)
{
	if (len >= HEADER_BYTES && len <= PCP_MAX && bytes[0] == VERSION)
		return bytes[1] == (RESPONSE | OPCODE_ANNOUNCE) && bytes[3] == PCP_SUCCESS;
	return len == NATPMP_ANNOUNCE && bytes[0] == 0 && bytes[1] == RESPONSE && get16(bytes + 2) == 0;
}

bool pcp_clock_ok(struct pcp_clock *clock, uint32_t epoch_s, uint64_t now_ms)
{
	const struct pcp_clock before = *clock;
	*clock = (struct pcp_clock){.known = true, .gateway_s = epoch_s, .our_ms = now_ms};
	if (!before.known)
		return true;
	if ((uint64_t)epoch_s + 1 < before.gateway_s)
		return false;
	/* Both clocks tell the same time passed, but for a sixteenth and two seconds. */
	int64_t theirs = (int64_t)epoch_s - before.gateway_s, ours = (int64_t)((now_ms - before.our_ms) / 1000);
	return ours + 2 >= theirs - theirs / 16 && theirs + 2 >= ours - ours / 16;
}
