/* snoop.c: membership reports among the frames of our own device.
 *
 * When a program joins an IP group the kernel puts the group into the device's filter and says so to the LAN within a few milliseconds, first by
 * a report of its own accord. That report comes through our device, so it is the bell that makes control read the device's groups again,
 * on kernels that ring no other. What the report names is not looked at: the filter is the truth, and it has what no report tells.
 * Nearly every frame leaves at the first comparison, since reports go to IP groups only.
 */
#include "node/snoop.h"

#define VLAN_TAGS_MAX  2
#define EXTENSIONS_MAX 8 /* IPv6 extension headers walked */

#define IGMP_V1_REPORT 0x12
#define IGMP_V2_REPORT 0x16
#define IGMP_V2_LEAVE  0x17
#define IGMP_V3_REPORT 0x22
#define MLD_V1_REPORT  131
#define MLD_V1_DONE    132
#define MLD_V2_REPORT  143

#define NEXT_HOP_BY_HOP  0
#define NEXT_IGMP        2
#define NEXT_ROUTING     43
#define NEXT_ICMP6       58
#define NEXT_DESTINATION 60
#define IP4_LATER_PIECES 0x1fff /* fragment offset */
#define IP6_HEADER       40
#define IP4_HEADER       20

static unsigned be16(const uint8_t *at)
{
	return (unsigned)at[0] << 8 | at[1];
}

static bool igmp(const uint8_t *ip, size_t len)
{
	if (len < IP4_HEADER || ip[0] >> 4 != 4 || ip[9] != NEXT_IGMP || be16(ip + 6) & IP4_LATER_PIECES)
		return false;
	size_t header = (ip[0] & 15u) * 4;
	if (header < IP4_HEADER || header >= len)
		return false;
	uint8_t type = ip[header];
	return type == IGMP_V1_REPORT || type == IGMP_V2_REPORT || type == IGMP_V2_LEAVE || type == IGMP_V3_REPORT;
}

/* MLD stands behind a hop-by-hop header with the router alert; others before it are allowed. */
static bool mld(const uint8_t *ip, size_t len)
{
	if (len < IP6_HEADER || ip[0] >> 4 != 6)
		return false;
	uint8_t next = ip[6];
	size_t at = IP6_HEADER;
	for (unsigned i = 0; i < EXTENSIONS_MAX && (next == NEXT_HOP_BY_HOP || next == NEXT_ROUTING || next == NEXT_DESTINATION); i++) {
		if (at + 8 > len)
			return false;
		next = ip[at];
		at += 8 + ip[at + 1] * 8u;
	}
	return next == NEXT_ICMP6 && at < len && (ip[at] == MLD_V1_REPORT || ip[at] == MLD_V1_DONE || ip[at] == MLD_V2_REPORT);
}

bool snoop_membership(const uint8_t *frame, size_t len)
{
	bool four, six;
	size_t at = 12;
	if (len < 14)
		return false;
	four = frame[0] == 0x01 && frame[1] == 0x00 && frame[2] == 0x5e;
	six = frame[0] == 0x33 && frame[1] == 0x33;
	if (!four && !six)
		return false;
	for (unsigned i = 0; i < VLAN_TAGS_MAX && (be16(frame + at) == 0x8100 || be16(frame + at) == 0x88a8); i++) {
		at += 4;
		if (at + 2 > len)
			return false;
	}
	unsigned type = be16(frame + at);
	at += 2;
	return (four && type == 0x0800 && igmp(frame + at, len - at)) || (six && type == 0x86dd && mld(frame + at, len - at));
}
