/* guard_fuzz.c: guards, the walk below them and the storm limits, over any frame.
 *
 * First byte: which guards are on; second: the sender's rights; then the frame, copied to memory of its own length. What a right allows is never
 * refused by its guard, a guard that is off never speaks, and where the walk says "here" it points into the frame.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "node/guard.h"
#include "node/storm.h"
#include "node/upper.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define require(x) ((x) ? (void)0 : abort())

static void walk(const uint8_t *frame, size_t len)
{
	uint16_t type;
	size_t at;
	if (!ether_upper(frame, len, &type, &at))
		return;
	require(at >= 14 && at <= len && (type == 0 || type >= 0x600));
	struct upper u = {0};
	enum upper_found found = type == TYPE_IPV6 ? ipv6_upper(frame + at, len - at, &u) : ipv4_upper(frame + at, len - at, &u);
	require(found != UPPER_HERE || (u.at >= frame + at && u.at + u.len <= frame + len));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct owned *owned;
	static struct storm storm;
	static uint64_t now_us = 1;
	const struct cred cred = {.n_ips = 1, .ips = {{.family = 4, .bits = 24, .ip = {10, 0, 0, 1}}}};
	if (!owned)
		owned = owned_new(1, 2, &cred);
	if (size < 16 || !owned)
		return 0;
	struct guard g = {data[0], data[1], data[0] & 128 ? owned : NULL};
	size_t len = size - 2;
	uint8_t *frame = malloc(len);
	require(frame != NULL);
	memcpy(frame, data + 2, len);
	walk(frame, len);
	enum drop d = guard_frame(&g, frame, len);
	require(d == DROP_NONE || d == DROP_RA_GUARD || d == DROP_DHCP_GUARD || d == DROP_IP_GUARD);
	require(d != DROP_RA_GUARD || (!(g.member_flags & MEMBER_ROUTER) && !(g.network_flags & NETWORK_NO_RA_GUARD)));
	require(d != DROP_DHCP_GUARD || (!(g.member_flags & MEMBER_DHCP_SERVER) && !(g.network_flags & NETWORK_NO_DHCP_GUARD)));
	require(d != DROP_IP_GUARD || g.network_flags & NETWORK_IP_GUARD);
	g.network_flags = NETWORK_NO_RA_GUARD | NETWORK_NO_DHCP_GUARD;
	require(guard_frame(&g, frame, len) == DROP_NONE);
	enum drop s = storm_take(&storm, (struct storm_limit){data[0], data[1], data[2]}, frame, len, data[0] & 64, now_us += data[2]);
	require(s == DROP_NONE || s == DROP_STORM || s == DROP_STORM_MULTICAST);
	require(s != DROP_STORM_MULTICAST || frame[0] & 1);
	free(frame);
	return 0;
}
