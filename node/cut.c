/* cut.c: one superframe into the frames the way can carry.
 *
 * What all segments share is worked out once: the sum of the pseudo-header without its length, the sum of the IPv4 header without
 * length and id. Then a segment is two copies and a few stores, and a pass over its bytes only where the checksum must be complete;
 * one in the midst of a superframe is the headers of another such one with the numbers that count segments stored anew.
 * Segment i < n - 1 carries payload bytes i x size to (i + 1) x size, the last one the rest: what a network card with TSO or USO
 * would put on the wire (and tcp_gso_segment(), __udp_gso_segment() in Linux), with one exception: those leave the urgent
 * pointer alone, which then points elsewhere from each segment.
 */
#include "node/cut.h"

#include <assert.h>
#include <string.h>

static bool kind_fits(const struct layout *l, const struct offload *o)
{
	switch (o->gso) {
	case GSO_NONE: return l->protocol == IP_TCP;
	case GSO_TCP4: return l->protocol == IP_TCP && l->version == 4;
	case GSO_TCP6: return l->protocol == IP_TCP && l->version == 6;
	case GSO_UDP: return l->protocol == IP_UDP;
	default: return false;
	}
}

static bool summable(const uint8_t *frame, const struct layout *l, const struct offload *o)
{
	if (o->csum) /* what is partial further in, in a tunnel, is none of ours */
		return o->csum_start == l->l4 && o->csum_offset == layout_csum_offset(l);
	return o->gso == GSO_NONE && layout_csum_good(frame, l);
}

static uint16_t ip4_rest(const uint8_t *frame, const struct layout *l)
{
	uint8_t ip[60];
	size_t header = (size_t)(l->l4 - l->l3);
	memcpy(ip, frame + l->l3, header);
	word_to(ip + 2, 0);
	word_to(ip + 4, 0);
	word_to(ip + 10, 0);
	return sum16(ip, header, 0);
}

bool cut_begin(struct cut *ret, const uint8_t *frame, size_t len, const struct offload *o, size_t most, bool partial)
{
	struct cut c = {.frame = frame, .partial = partial};
	if (!layout_of(frame, len, &c.layout) || !kind_fits(&c.layout, o))
		return false;
	const struct layout *l = &c.layout;
	bool tcp = l->protocol == IP_TCP;
	c.payload = l->end - l->payload;
	c.size = o->gso == GSO_NONE ? c.payload : o->size;
	if (tcp && most < (size_t)l->payload + c.size)
		c.size = most > l->payload ? (uint32_t)(most - l->payload) : 0;
	if (!c.payload || !c.size)
		return false;
	/* SYN counts as the first byte of the stream and RST ends it: neither can stand on two frames. */
	if (tcp && frame[l->l4 + TCP_FLAGS] & (TCP_SYN | TCP_RST))
		return false;
	if (!summable(frame, l, o))
		return false;
	c.n = (c.payload + c.size - 1) / c.size;
	c.pseudo = layout_pseudo(frame, l, 0);
	if (l->version == 4)
		c.ip_sum = ip4_rest(frame, l);
	*ret = c;
	return true;
}

size_t cut_length(const struct cut *c, uint32_t i)
{
	assert(i < c->n);
	return c->layout.payload + (i + 1 < c->n ? c->size : c->payload - c->size * (c->n - 1));
}

static void ip_sum_to(const struct cut *c, uint8_t *ip)
{
	word_to(ip + 10, (uint16_t)~fold16((uint32_t)c->ip_sum + word_at(ip + 2) + word_at(ip + 4)));
}

static void ip_to(const struct cut *c, uint32_t i, uint8_t *ip, size_t bytes)
{
	if (c->layout.version == 6) {
		be16_to(ip + 4, (uint32_t)bytes - 40);
		return;
	}
	be16_to(ip + 2, (uint32_t)bytes);
	be16_to(ip + 4, be16_at(ip + 4) + i);
	ip_sum_to(c, ip);
}

static void tcp_to(const struct cut *c, uint32_t i, uint8_t *tcp)
{
	uint32_t at = i * c->size;
	be32_to(tcp + 4, be32_at(tcp + 4) + at);
	if (i + 1 < c->n)
		tcp[TCP_FLAGS] &= (uint8_t) ~(TCP_FIN | TCP_PSH);
	if (i > 0)
		tcp[TCP_FLAGS] &= (uint8_t)~TCP_CWR;
	if (at && tcp[TCP_FLAGS] & TCP_URG) {
		uint32_t urgent = be16_at(tcp + 18);
		if (urgent <= at)
			tcp[TCP_FLAGS] &= (uint8_t)~TCP_URG;
		be16_to(tcp + 18, urgent > at ? urgent - at : 0);
	}
}

void cut_segment(const struct cut *c, uint32_t i, uint8_t *out, struct offload *ret)
{
	const struct layout *l = &c->layout;
	size_t len = cut_length(c, i);
	memcpy(out, c->frame, l->payload);
	memcpy(out + l->payload, c->frame + l->payload + (size_t)i * c->size, len - l->payload);
	ip_to(c, i, out + l->l3, len - l->l3);
	uint8_t *l4 = out + l->l4;
	uint8_t bytes[2];
	be16_to(bytes, (uint32_t)(len - l->l4));
	if (l->protocol == IP_TCP)
		tcp_to(c, i, l4);
	else
		memcpy(l4 + 4, bytes, 2);
	word_to(l4 + layout_csum_offset(l), fold16((uint32_t)c->pseudo + word_at(bytes)));
	*ret = (struct offload){0};
	if (c->partial) {
		*ret = (struct offload){.csum = true, .csum_start = l->l4, .csum_offset = layout_csum_offset(l)};
		return;
	}
	struct layout whole = *l;
	whole.end = (uint32_t)len;
	layout_complete(out, &whole);
}

bool cut_alike(const struct cut *c)
{
	const struct layout *l = &c->layout;
	return c->partial && !(l->protocol == IP_TCP && c->frame[l->l4 + TCP_FLAGS] & TCP_URG);
}

void cut_again(const struct cut *c, uint32_t i, uint8_t *out)
{
	const struct layout *l = &c->layout;
	const uint8_t *ip = c->frame + l->l3, *l4 = c->frame + l->l4;
	assert(0 < i && i + 1 < c->n);
	if (l->version == 4) {
		be16_to(out + l->l3 + 4, be16_at(ip + 4) + i);
		ip_sum_to(c, out + l->l3);
	}
	if (l->protocol == IP_TCP)
		be32_to(out + l->l4 + 4, be32_at(l4 + 4) + i * c->size);
	memcpy(out + l->payload, c->frame + l->payload + (size_t)i * c->size, c->size);
}
