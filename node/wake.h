/* wake.h: `farlan wake`: a magic packet to the LANs behind bridges, in both forms network cards and their helpers know.
 *
 * Control thread only, but the two makers of frames, which are pure. A machine asleep has no session and no address, only the MAC of its network card,
 * so it can be woken where somebody stands in its LAN: a member with the right to bridge. Its derived MAC is that of a device that sleeps with it.
 */
#ifndef FARLAN_NODE_WAKE_H
#define FARLAN_NODE_WAKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/cred.h"

struct node;

#define WAKE_PATTERN     102 /* six times ff, sixteen times the MAC */
#define WAKE_FRAME       (14 + WAKE_PATTERN)
#define WAKE_DATAGRAM    (14 + 20 + 8 + WAKE_PATTERN)
#define WAKE_BRIDGES_MAX 64

enum wake_verdict {
	WAKE_OK,
	WAKE_NETWORK, /* not in that network, or it does not carry frames now */
	WAKE_NOBODY,  /* neither a MAC nor a member */
	WAKE_SEVERAL, /* several members go by that name, or several by that of the bridge */
	WAKE_MAC,     /* not one machine's: a group's, or none */
	WAKE_DERIVED, /* a member, or a MAC, of which only the overlay device is known */
	WAKE_VIA,     /* the bridge named is no member, or no bridge */
	WAKE_ALONE,   /* nobody else bridges */
	WAKE_OFF,     /* broadcast is switched off in the network */
};

struct wake_view {
	uint8_t mac[CRED_MACS_MAX][6];
	unsigned n_macs;
	struct {
		uint64_t nwid, address;
		bool up; /* else its frames wait for a session */
	} bridge[WAKE_BRIDGES_MAX];
	unsigned n_bridges;
};

/* who: a MAC with : or -, or a member (address, overlay IP, MAC) whose credential names further MACs. nwid 0: all networks. via: a member's
 * address, overlay IP or MAC, NULL for every bridge. *ret is filled with WAKE_OK only. */
enum wake_verdict node_wake(struct node *, const char *who, uint64_t nwid, const char *via, uint64_t now, struct wake_view *ret);

/* EtherType 0x0842 to everybody. */
void wake_frame(const uint8_t own_mac[6], const uint8_t target[6], uint8_t out[WAKE_FRAME]);
/* UDP to port 9 of 255.255.255.255; own_ip: 4 bytes, zeros where there is none. */
void wake_datagram(const uint8_t own_mac[6], const uint8_t own_ip[4], const uint8_t target[6], uint8_t out[WAKE_DATAGRAM]);

#endif
