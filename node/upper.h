/* upper.h: what a frame carries above Ethernet and IP: the one bounded walk over VLAN tags, SNAP and extension headers.
 *
 * Pure; any thread. Trusts nothing: every offset is inside both the frame and what the IP header says is its packet, since a receiver reads
 * no further than that. Where this walk gives up, a guard has to say no (RFC 7113).
 */
#ifndef FARLAN_NODE_UPPER_H
#define FARLAN_NODE_UPPER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TYPE_IPV4 0x0800
#define TYPE_ARP  0x0806
#define TYPE_RARP 0x8035
#define TYPE_IPV6 0x86dd

#define UPPER_TAGS_MAX    8 /* VLAN tags and SNAP headers together; honest frames have two */
#define UPPER_HEADERS_MAX 8 /* IPv6 extension headers */

/* Behind all tags: the EtherType (0: 802.3 of another protocol) and where its payload begins. false: more tags than are walked, or cut short. */
bool ether_upper(const uint8_t *frame, size_t len, uint16_t *ret_type, size_t *ret_at);

enum upper_found {
	UPPER_HERE,  /* protocol and at hold */
	UPPER_LATER, /* a later fragment: no upper header in it */
	UPPER_LOST,  /* cut short, or more headers than are walked */
};
struct upper {
	uint8_t protocol;  /* TCP 6, UDP 17, ICMPv6 58, ... */
	bool fragment;     /* the first of several */
	const uint8_t *at; /* the upper header */
	size_t len;        /* bytes of it that are here; may be 0 */
};
/* ip: an IPv4 or IPv6 header, len bytes up to the frame's end. */
enum upper_found ipv4_upper(const uint8_t *ip, size_t len, struct upper *ret);
enum upper_found ipv6_upper(const uint8_t *ip, size_t len, struct upper *ret);

#endif
