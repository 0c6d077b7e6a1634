/* upper.c: the walk from an Ethernet header to the protocol above IP.
 *
 * Filters of switches were passed by with stacked VLAN tags of id 0 and SNAP headers in front of IP (CVE-2021-27853, 27854, 27861), with extension
 * headers, and with first fragments that leave the upper header to the second (RFC 7113). So all of those are walked, up to named limits,
 * and what lies behind a limit is UPPER_LOST, never "something harmless". Bytes behind the end that the IP header gives are padding:
 * a receiver does not read them, so this walk does not either, or an upper header could be feigned there.
 * A protocol that is no extension header ends the walk: whoever does not know it drops the packet.
 */
#include "node/upper.h"

#include <string.h>

#include "node/layout.h"

#define ETHER_TYPE 12
#define LENGTH_MAX 0x600 /* below: an 802.3 length */
#define SNAP       8     /* LLC, organisation, EtherType */
#define IPV4_LEAST 20
#define IPV6_FIXED 40

/* Extension headers of RFC 8200, 4302, 6275, 7401, 5533: next header, then their length. */
enum { HOP_BY_HOP = 0, ROUTING = 43, FRAGMENT = 44, AUTHENTICATION = 51, DESTINATION = 60, MOBILITY = 135, HIP = 139, SHIM6 = 140 };

static bool is_tag(uint16_t type)
{
	return type == 0x8100 || type == 0x88a8 || type == 0x9100 || type == 0x9200;
}

/* Encapsulated Ethernet by RFC 1042, or by 802.1H as bridges write it. */
static bool is_snap(const uint8_t *at)
{
	return at[0] == 0xaa && at[1] == 0xaa && at[2] == 3 && at[3] == 0 && at[4] == 0 && (at[5] == 0 || at[5] == 0xf8);
}

bool ether_upper(const uint8_t *frame, size_t len, uint16_t *ret_type, size_t *ret_at)
{
	size_t at = ETHER_TYPE;
	if (len < at + 2)
		return false;
	for (int i = 0; i <= UPPER_TAGS_MAX; i++) {
		uint16_t type = be16_at(frame + at);
		if (is_tag(type)) {
			at += 4;
		} else if (type < LENGTH_MAX && len >= at + 2 + SNAP && is_snap(frame + at + 2)) {
			at += SNAP;
		} else {
			*ret_type = type < LENGTH_MAX ? 0 : type;
			*ret_at = at + 2;
			return true;
		}
		if (len < at + 2)
			return false;
	}
	return false;
}

enum upper_found ipv4_upper(const uint8_t *ip, size_t len, struct upper *ret)
{
	if (len < IPV4_LEAST)
		return UPPER_LOST;
	size_t head = (ip[0] & 15u) * 4u, total = be16_at(ip + 2);
	uint16_t fragment = be16_at(ip + 6);
	if (len > total)
		len = total;
	if (head < IPV4_LEAST || head > len)
		return UPPER_LOST;
	if (fragment & 0x1fff)
		return UPPER_LATER;
	*ret = (struct upper){.protocol = ip[9], .fragment = fragment & 0x2000, .at = ip + head, .len = len - head};
	return UPPER_HERE;
}

static bool is_extension(uint8_t protocol)
{
	switch (protocol) {
	case HOP_BY_HOP:
	case ROUTING:
	case FRAGMENT:
	case AUTHENTICATION:
	case DESTINATION:
	case MOBILITY:
	case HIP:
	case SHIM6: return true;
	default: return false;
	}
}

static size_t extension_bytes(uint8_t protocol, const uint8_t *at)
{
	if (protocol == FRAGMENT)
		return 8;
	return protocol == AUTHENTICATION ? (at[1] + 2u) * 4u : (at[1] + 1u) * 8u;
}

enum upper_found ipv6_upper(const uint8_t *ip, size_t len, struct upper *ret)
{
	if (len < IPV6_FIXED)
		return UPPER_LOST;
	size_t at = IPV6_FIXED, total = IPV6_FIXED + (size_t)be16_at(ip + 4);
	uint8_t protocol = ip[6];
	bool fragment = false;
	if (len > total)
		len = total;
	for (int i = 0; is_extension(protocol); i++) {
		if (i == UPPER_HEADERS_MAX || len - at < 8)
			return UPPER_LOST;
		if (protocol == FRAGMENT) {
			uint16_t place = be16_at(ip + at + 2);
			if (place & 0xfff8)
				return UPPER_LATER;
			fragment = fragment || place & 1;
		}
		size_t bytes = extension_bytes(protocol, ip + at);
		if (bytes > len - at)
			return UPPER_LOST;
		protocol = ip[at];
		at += bytes;
	}
	*ret = (struct upper){.protocol = protocol, .fragment = fragment, .at = ip + at, .len = len - at};
	return UPPER_HERE;
}
