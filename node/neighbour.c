/* neighbour.c: the answer to who-has, from the table of owners.
 *
 * A wrong answer is worse than none, because the asker believes it for minutes; a question let through costs one frame to many. So each check that
 * fails ends in 0. What must never be answered: probes for a duplicate address (sender 0.0.0.0 or ::), which ask whether anybody else uses
 * the address and must reach everybody (RFC 5227, 4862); announcements, which ask nothing; questions to one host, which are about that
 * host being alive (RFC 4861, 7.3); frames with a VLAN tag, which belong to another LAN. The answer leaves as if its owner had sent it, so that
 * a bridge beyond the device learns where the owner is.
 */
#include "node/neighbour.h"

#include <string.h>

#include "node/layout.h"

#define ETHER_HEADER 14
#define TYPE_ARP     0x0806
#define TYPE_IP6     0x86dd

#define ARP_LEN     42 /* with its Ethernet header */
#define ARP_REQUEST 1
#define ARP_REPLY   2

#define IP6_HEADER        40
#define ICMP6             58
#define ND_SOLICITATION   135
#define ND_ADVERTISEMENT  136
#define ND_FIXED          24 /* type, code, checksum, flags, target */
#define ND_ROUTER         0x80
#define ND_SOLICITED      0x40
#define ND_OVERRIDE       0x20
#define OPTION_SOURCE_MAC 1
#define OPTION_TARGET_MAC 2
#define OPTION_SEND_FIRST 11 /* CGA, RSA signature, timestamp, nonce (RFC 3971): an answer the owner alone can give */
#define OPTION_SEND_LAST  14
#define OPTIONS_MAX       16

static const uint8_t zero[16];

/* ---- IPv4 --------------------------------------------------------------------------------------------------------- */

static size_t arp_answer(const struct owners *owners, const uint8_t own_mac[6], const uint8_t *frame, size_t len, uint8_t *out)
{
	/* Ethernet and IPv4, lengths 6 and 4, a request: the one form there is. */
	static const uint8_t form[8] = {0, 1, 8, 0, 6, 4, 0, ARP_REQUEST};
	const uint8_t *arp = frame + ETHER_HEADER;
	if (len < ARP_LEN || memcmp(arp, form, sizeof form))
		return 0;
	const uint8_t *sender_mac = arp + 8, *sender = arp + 14, *target = arp + 24;
	struct owner owner;
	if (memcmp(sender_mac, frame + 6, 6) || !memcmp(sender, zero, 4) || sender[0] >= 224 || !memcmp(sender, target, 4))
		return 0;
	if (!owners_find(owners, 4, target, &owner) || !memcmp(owner.mac, own_mac, 6) || !memcmp(owner.mac, sender_mac, 6))
		return 0;
	uint8_t answer[ARP_LEN], *a = answer + ETHER_HEADER;
	memcpy(answer, sender_mac, 6);
	memcpy(answer + 6, owner.mac, 6);
	be16_to(answer + 12, TYPE_ARP);
	memcpy(a, form, sizeof form);
	a[7] = ARP_REPLY;
	memcpy(a + 8, owner.mac, 6);
	memcpy(a + 14, target, 4);
	memcpy(a + 18, sender_mac, 6);
	memcpy(a + 24, sender, 4);
	memcpy(out, answer, sizeof answer);
	return sizeof answer;
}

/* ---- IPv6 --------------------------------------------------------------------------------------------------------- */

/* Sum of an ICMPv6 message with its pseudo-header (RFC 8200, 8.1): 0xffff when its checksum is right. */
static uint16_t icmp6_sum(const uint8_t *ip, size_t len)
{
	uint8_t tail[8] = {0};
	be32_to(tail, (uint32_t)len);
	tail[7] = ICMP6;
	return sum16(ip + IP6_HEADER, len, sum16(ip + 8, 32, sum16(tail, sizeof tail, 0)));
}

/* The sender's link-layer address among the options; NULL: there is none, they are malformed, or a signed answer is wanted. */
static const uint8_t *source_mac(const uint8_t *at, size_t len)
{
	const uint8_t *found = NULL;
	for (unsigned i = 0; len; i++) {
		if (len < 8 || i == OPTIONS_MAX)
			return NULL;
		size_t bytes = at[1] * 8u;
		if (!bytes || bytes > len || (at[0] >= OPTION_SEND_FIRST && at[0] <= OPTION_SEND_LAST))
			return NULL;
		if (at[0] == OPTION_SOURCE_MAC) {
			if (found || bytes != 8)
				return NULL;
			found = at + 2;
		}
		at += bytes;
		len -= bytes;
	}
	return found;
}

/* ff02::1:ffXX:XXXX with the last three bytes of the target (RFC 4291, 2.7.1), and the MAC of that group. */
static bool to_group_of(const uint8_t *frame, const uint8_t *to, const uint8_t *target)
{
	static const uint8_t solicited[13] = {0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff};
	return !memcmp(to, solicited, sizeof solicited) && !memcmp(to + 13, target + 13, 3) && frame[0] == 0x33 && frame[1] == 0x33 &&
	       !memcmp(frame + 2, to + 12, 4);
}

/* The sender's MAC if this is a solicitation with the checks of RFC 4861, 7.1.1, else NULL. */
static const uint8_t *solicitation(const uint8_t *frame, size_t len)
{
	const uint8_t *ip = frame + ETHER_HEADER, *icmp = ip + IP6_HEADER, *from = ip + 8, *target = icmp + 8;
	if (len < ETHER_HEADER + IP6_HEADER + ND_FIXED || ip[0] >> 4 != 6)
		return NULL;
	size_t bytes = be16_at(ip + 4);
	if (bytes < ND_FIXED || bytes > len - ETHER_HEADER - IP6_HEADER || ip[6] != ICMP6 || ip[7] != 255)
		return NULL;
	if (icmp[0] != ND_SOLICITATION || icmp[1] != 0 || from[0] == 0xff || !memcmp(from, zero, 16))
		return NULL;
	if (target[0] == 0xff || !memcmp(from, target, 16) || !to_group_of(frame, ip + 24, target))
		return NULL;
	const uint8_t *mac = source_mac(icmp + ND_FIXED, bytes - ND_FIXED);
	if (!mac || memcmp(mac, frame + 6, 6) || icmp6_sum(ip, bytes) != 0xffff)
		return NULL;
	return mac;
}

static size_t nd_answer(const struct owners *owners, const uint8_t own_mac[6], const uint8_t *frame, size_t len, uint8_t *out)
{
	const uint8_t *mac = solicitation(frame, len), *asker = frame + ETHER_HEADER + 8, *target = frame + ETHER_HEADER + IP6_HEADER + 8;
	struct owner owner;
	if (!mac || !owners_find(owners, 6, target, &owner) || !memcmp(owner.mac, own_mac, 6) || !memcmp(owner.mac, mac, 6))
		return 0;
	uint8_t answer[NEIGHBOUR_MAX] = {0}, *ip = answer + ETHER_HEADER, *icmp = ip + IP6_HEADER;
	memcpy(answer, mac, 6);
	memcpy(answer + 6, owner.mac, 6);
	be16_to(answer + 12, TYPE_IP6);
	ip[0] = 0x60;
	be16_to(ip + 4, ND_FIXED + 8);
	ip[6] = ICMP6;
	ip[7] = 255;
	memcpy(ip + 8, target, 16);
	memcpy(ip + 24, asker, 16);
	icmp[0] = ND_ADVERTISEMENT;
	/* Without R a host would strike a router it knows off its list (RFC 4861, 7.2.5). */
	icmp[4] = (uint8_t)(ND_SOLICITED | ND_OVERRIDE | (owner.router ? ND_ROUTER : 0));
	memcpy(icmp + 8, target, 16);
	icmp[24] = OPTION_TARGET_MAC;
	icmp[25] = 1;
	memcpy(icmp + 26, owner.mac, 6);
	word_to(icmp + 2, (uint16_t)~icmp6_sum(ip, ND_FIXED + 8));
	memcpy(out, answer, sizeof answer);
	return sizeof answer;
}

size_t neighbour_answer(const struct owners *owners, const uint8_t own_mac[6], const uint8_t *frame, size_t len, uint8_t out[NEIGHBOUR_MAX])
{
	if (!owners || len < ETHER_HEADER || !(frame[0] & 1) || frame[6] & 1)
		return 0;
	switch (be16_at(frame + 12)) {
	case TYPE_ARP: return arp_answer(owners, own_mac, frame, len, out);
	case TYPE_IP6: return nd_answer(owners, own_mac, frame, len, out);
	default: return 0;
	}
}
