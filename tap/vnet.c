/* Between the kernel's struct virtio_net_hdr and our struct offload: little endian on the kernel's side, the same terms on
 * both. Reading trusts no value farther than the frame's length; what is sent back to the kernel is only what the device was
 * granted. csum_start counts from the first byte of the frame, VLAN tags included, in both directions.
 */
#include "tap/vnet.h"

#include <endian.h>

#include "tap/tap.h"

#ifndef VIRTIO_NET_HDR_GSO_UDP_L4
#define VIRTIO_NET_HDR_GSO_UDP_L4 5
#endif

#define ETHERNET_HEADER 14
#define TCP_HEADER      20
#define UDP_HEADER      8

bool vnet_read(const struct virtio_net_hdr *h, uint32_t len, struct offload *ret)
{
	struct offload o = {0};
	uint32_t l4 = 0;
	o.csum = h->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM;
	if (o.csum) {
		o.csum_start = le16toh(h->csum_start);
		o.csum_offset = le16toh(h->csum_offset);
		if (o.csum_start < ETHERNET_HEADER || (uint32_t)o.csum_start + o.csum_offset + 2 > len)
			return false;
	}
	switch (h->gso_type & ~VIRTIO_NET_HDR_GSO_ECN) {
	case VIRTIO_NET_HDR_GSO_NONE: *ret = o; return true;
	case VIRTIO_NET_HDR_GSO_TCPV4: o.gso = GSO_TCP4, l4 = TCP_HEADER; break;
	case VIRTIO_NET_HDR_GSO_TCPV6: o.gso = GSO_TCP6, l4 = TCP_HEADER; break;
	case VIRTIO_NET_HDR_GSO_UDP_L4: o.gso = GSO_UDP, l4 = UDP_HEADER; break;
	default: return false;
	}
	o.ecn = h->gso_type & VIRTIO_NET_HDR_GSO_ECN;
	o.size = le16toh(h->gso_size);
	if (!o.csum || !o.size || o.csum_start + l4 > len || (o.ecn && o.gso == GSO_UDP))
		return false;
	*ret = o;
	return true;
}

bool vnet_write(unsigned offloads, const struct packet *p, size_t len, struct virtio_net_hdr *ret)
{
	static const uint8_t type[] = {
	    [GSO_TCP4] = VIRTIO_NET_HDR_GSO_TCPV4, [GSO_TCP6] = VIRTIO_NET_HDR_GSO_TCPV6, [GSO_UDP] = VIRTIO_NET_HDR_GSO_UDP_L4};
	const struct offload *o = &p->offload;
	size_t l4 = o->csum_start;
	if (!o->csum)
		return !o->gso;
	if (!(offloads & TAP_CSUM) || l4 + o->csum_offset + 2 > len)
		return false;
	ret->flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
	ret->csum_start = htole16(o->csum_start);
	ret->csum_offset = htole16(o->csum_offset);
	if (!o->gso)
		return true;
	bool udp = o->gso == GSO_UDP;
	if (o->gso > GSO_UDP || !(offloads & (udp ? TAP_USO : TAP_TSO)) || !o->size)
		return false;
	if (l4 + (udp ? UDP_HEADER : TCP_HEADER) > p->len)
		return false;
	size_t headers = l4 + (udp ? UDP_HEADER : (size_t)(p->data[l4 + 12] >> 4) * 4);
	if (headers > p->len)
		return false;
	ret->gso_type = type[o->gso] | (o->ecn && !udp ? VIRTIO_NET_HDR_GSO_ECN : 0);
	ret->gso_size = htole16(o->size);
	ret->hdr_len = htole16((uint16_t)headers);
	return true;
}
