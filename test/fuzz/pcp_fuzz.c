/* pcp_fuzz.c: the door for what a router, or who claims to be one, answers to PCP and announces.
 *
 * First byte: bit 0 whether the answer gets our nonce, protocol and port (no fuzzer would find the nonce), bit 1 IPv6. The rest is the datagram, in a
 * buffer of exactly its length.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "node/mapping_pcp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define require(x) ((x) ? (void)0 : abort())

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct pcp_clock clock;
	static uint64_t now_ms;
	if (size < 1)
		return 0;
	struct pcp_map asked = {.nonce = "abcdefghijkl", .lifetime_s = 7200, .internal = {.family = data[0] & 2 ? 6 : 4, .port = 9993}};
	const struct pcp_answer untouched = {.result = 0x5a, .lifetime_s = 0x5a5a5a5a};
	struct pcp_answer a = untouched;
	uint8_t request[PCP_MAP_BYTES];
	size_t len = size - 1;
	uint8_t *datagram = malloc(len ? len : 1);
	require(datagram);
	memcpy(datagram, data + 1, len);
	pcp_map_encode(&asked, request);
	require(pcp_parse(request, sizeof(request), &asked, &a) == PCP_NOTHING); /* a request is no answer */
	if ((data[0] & 1) && len >= PCP_MAP_BYTES)
		memcpy(datagram + 24, request + 24, 18);
	switch (pcp_parse(datagram, len, &asked, &a)) {
	case PCP_NOTHING: require(!memcmp(&a, &untouched, sizeof(a))); break;
	case PCP_VERSION: require(!memcmp(&a, &untouched, sizeof(a)) && (datagram[1] & 0x80)); break;
	case PCP_REFUSED:
		require(a.result && a.result == datagram[3] && a.lifetime_s <= PCP_ERROR_MAX && !a.external.family);
		require(*pcp_result_text(a.result));
		break;
	case PCP_MAPPED:
		require(!memcmp(datagram + 24, request + 24, 18) && !a.result && a.lifetime_s <= PCP_LIFETIME_MAX);
		require(a.external.family == 4 || a.external.family == 6);
		now_ms += (uint64_t)a.lifetime_s * 1000;
		pcp_clock_ok(&clock, a.epoch_s, now_ms);
		require(clock.known && clock.gateway_s == a.epoch_s && pcp_clock_ok(&clock, a.epoch_s, now_ms));
		break;
	}
	if (pcp_announces(datagram, len))
		require(len >= 12 && datagram[1] == 0x80 && (datagram[0] == 2 || datagram[0] == 0));
	free(datagram);
	return 0;
}
