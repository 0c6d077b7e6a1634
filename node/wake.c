/* wake.c: magic packets, and whom they go to.
 *
 * The frame of EtherType 0x0842 is what a card looks for; the datagram carries the same pattern for those switches and helpers that pass IP only. Both are
 * broadcasts in the LAN of the sleeper, because no switch remembers where a machine is that has been silent for hours, and for that same reason they go to
 * all bridges unless the user says which. They take the road of frames that waited, so that a bridge we have no session with is called first.
 */
#include "node/wake.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "node/control.h"
#include "node/layout.h"
#include "node/police.h"
#include "proto/ethertype.h"

#define TYPE_WAKE    0x0842
#define TYPE_IP4     0x0800
#define PORT_DISCARD 9
#define TTL          64

/* ---- the two forms -------------------------------------------------------------------------------------------------- */

static void pattern(const uint8_t target[6], uint8_t *out)
{
	memset(out, 0xff, 6);
	for (unsigned i = 1; i <= 16; i++)
		memcpy(out + 6 * i, target, 6);
}

static void to_all(const uint8_t own_mac[6], uint16_t type, uint8_t *out)
{
	memset(out, 0xff, 6);
	memcpy(out + 6, own_mac, 6);
	be16_to(out + 12, type);
}

void wake_frame(const uint8_t own_mac[6], const uint8_t target[6], uint8_t out[WAKE_FRAME])
{
	to_all(own_mac, TYPE_WAKE, out);
	pattern(target, out + 14);
}

void wake_datagram(const uint8_t own_mac[6], const uint8_t own_ip[4], const uint8_t target[6], uint8_t out[WAKE_DATAGRAM])
{
	uint8_t *ip = out + 14, *udp = ip + 20;
	struct layout l;
	memset(out, 0, WAKE_DATAGRAM);
	to_all(own_mac, TYPE_IP4, out);
	ip[0] = 0x45;
	be16_to(ip + 2, WAKE_DATAGRAM - 14);
	ip[6] = 0x40; /* never a fragment, so its id may be 0 (RFC 6864) */
	ip[8] = TTL;
	ip[9] = IP_UDP;
	memcpy(ip + 12, own_ip, 4);
	memset(ip + 16, 0xff, 4);
	be16_to(udp, PORT_DISCARD);
	be16_to(udp + 2, PORT_DISCARD);
	be16_to(udp + 4, 8 + WAKE_PATTERN);
	pattern(target, udp + 8);
	if (!layout_of(out, WAKE_DATAGRAM, &l))
		abort();
	layout_ip_csum(out, &l);
	word_to(udp + 6, layout_pseudo(out, &l, 8 + WAKE_PATTERN));
	layout_complete(out, &l);
}

/* ---- who is to wake -------------------------------------------------------------------------------------------------- */

/* "00:11:22:aa:bb:cc" or with dashes, as cards have it printed on them. */
static bool mac_read(const char *text, uint8_t ret[6])
{
	uint8_t mac[6] = {0};
	for (unsigned i = 0; i < 17; i++) {
		char c = text[i];
		if (i % 3 == 2) {
			if ((c != ':' && c != '-') || c != text[2])
				return false;
			continue;
		}
		if (!isxdigit((unsigned char)c))
			return false;
		unsigned v = c <= '9' ? (unsigned)(c - '0') : (unsigned)((c | 0x20) - 'a') + 10;
		mac[i / 3] = (uint8_t)((unsigned)mac[i / 3] << 4 | v);
	}
	if (text[17])
		return false;
	memcpy(ret, mac, 6);
	return true;
}

static bool derived(struct node *node, const uint8_t mac[6])
{
	bool found = false;
	for (unsigned i = 0; i < NETWORKS_MAX; i++) {
		const struct net *net = node->net[i];
		for (unsigned k = 0; net && k < net->n_members; k++)
			found = found || !memcmp(net->member[k]->member->mac, mac, 6);
		found = found || (net && !memcmp(net->port->mac, mac, 6));
	}
	return found;
}

/* Of a member, in whichever network its credential names them; the same one twice counts once. */
static void macs_add(const struct cred *c, struct wake_view *v)
{
	for (unsigned i = 0; i < c->n_macs; i++) {
		bool there = c->macs[i][0] & 1;
		for (unsigned k = 0; k < v->n_macs; k++)
			there = there || !memcmp(v->mac[k], c->macs[i], 6);
		if (!there && v->n_macs < CRED_MACS_MAX)
			memcpy(v->mac[v->n_macs++], c->macs[i], 6);
	}
}

static enum wake_verdict sleeper(struct node *node, const char *who, struct wake_view *v)
{
	static const uint8_t zero[6];
	uint8_t key_hash[KEY_HASH_BYTES];
	if (mac_read(who, v->mac[0])) {
		v->n_macs = 1;
		if (v->mac[0][0] & 1 || !memcmp(v->mac[0], zero, 6))
			return WAKE_MAC;
		return derived(node, v->mac[0]) ? WAKE_DERIVED : WAKE_OK;
	}
	int error = node_find(node, who, key_hash);
	if (error)
		return error == -EEXIST ? WAKE_SEVERAL : WAKE_NOBODY;
	for (unsigned i = 0; i < NETWORKS_MAX; i++)
		for (unsigned k = 0; node->net[i] && k < node->net[i]->n_members; k++) {
			const struct net_member *m = node->net[i]->member[k];
			if (m->cred_ok && bytes_equal(m->peer->identity.key_hash, key_hash, KEY_HASH_BYTES))
				macs_add(&m->cred, v);
		}
	return v->n_macs ? WAKE_OK : WAKE_DERIVED;
}

/* ---- by way of whom ---------------------------------------------------------------------------------------------------- */

static bool carries(const struct net *net)
{
	return net && net->cred_ok && net->head_ok && atomic_load(&net->port->open);
}

static void send_to(struct net *net, struct net_member *m, const struct wake_view *v)
{
	uint8_t ip[4] = {0}, frame[WAKE_FRAME], datagram[WAKE_DATAGRAM];
	for (unsigned i = net->cred.n_ips; i-- > 0;) /* the first one in the end */
		if (net->cred.ips[i].family == 4)
			memcpy(ip, net->cred.ips[i].ip, 4);
	for (unsigned i = 0; i < v->n_macs; i++) {
		wake_frame(net->port->mac, v->mac[i], frame);
		wake_datagram(net->port->mac, ip, v->mac[i], datagram);
		if (police_type(net->port, frame) == DROP_NONE)
			channel_frame_to(net, m, frame, sizeof frame);
		if (police_type(net->port, datagram) == DROP_NONE)
			channel_frame_to(net, m, datagram, sizeof datagram);
	}
}

/* By one of the two kinds at least. */
static bool may_wake(const struct net *net)
{
	return ethertypes_pass(&net->base.ethertypes, 0x0842) || ethertypes_pass(&net->base.ethertypes, 0x0800);
}

/* The bridges of a network that are meant; WAKE_OK although there may be none. via: whose, NULL for all. */
static enum wake_verdict bridges(struct net *net, const uint8_t *via, struct wake_view *v)
{
	for (unsigned i = 0; i < net->n_members && v->n_bridges < WAKE_BRIDGES_MAX; i++) {
		struct net_member *m = net->member[i];
		if (via && !bytes_equal(m->peer->identity.key_hash, via, KEY_HASH_BYTES))
			continue;
		if (!(m->listed || m->cred_ok) || !(atomic_load(&m->member->flags) & MEMBER_BRIDGE))
			continue;
		if (!via && atomic_load(&m->member->blocked)) /* its LAN is reached by another bridge */
			continue;
		if (net->base.flags & NETWORK_NO_BROADCAST || !may_wake(net))
			return WAKE_OFF;
		v->bridge[v->n_bridges].nwid = net->nwid;
		v->bridge[v->n_bridges].address = m->member->address;
		v->bridge[v->n_bridges++].up = peer_up(m->peer, CLASS_DATA) && m->peer->best >= 0 && atomic_load(&m->member->tx_chan);
		send_to(net, m, v);
	}
	return WAKE_OK;
}

enum wake_verdict node_wake(struct node *node, const char *who, uint64_t nwid, const char *via, uint64_t now, struct wake_view *ret)
{
	struct wake_view v = {0};
	uint8_t key_hash[KEY_HASH_BYTES];
	bool off = false, any = false;
	node->now = now;
	if (nwid && !carries(net_find(node, nwid)))
		return WAKE_NETWORK;
	enum wake_verdict verdict = sleeper(node, who, &v);
	if (verdict != WAKE_OK)
		return verdict;
	int error = via ? node_find(node, via, key_hash) : 0;
	if (error)
		return error == -EEXIST ? WAKE_SEVERAL : WAKE_VIA;
	for (unsigned i = 0; i < NETWORKS_MAX; i++) {
		struct net *net = node->net[i];
		if (!carries(net) || (nwid && net->nwid != nwid))
			continue;
		any = true;
		off = bridges(net, via ? key_hash : NULL, &v) == WAKE_OFF || off;
	}
	if (!v.n_bridges)
		return !any ? WAKE_NETWORK : off ? WAKE_OFF : via ? WAKE_VIA : WAKE_ALONE;
	*ret = v;
	return WAKE_OK;
}
