/* layout.c: finds the headers of a TCP or UDP frame and does the sums of RFC 1071.
 *
 * One's complement sums do not care for the order of the bytes as long as it is one order throughout: words are added as the
 * machine reads them and the result is stored as the machine writes it (RFC 1071, 2(B)). A folded sum of anything but zeros is 1 to
 * 0xffff, never 0; the kernel's csum_fold() has the same range, so equal sums have equal bytes here and there.
 * The parser gives up on whatever is not plain: who meets no layout hands the frame on as it is.
 */
#include "node/layout.h"

#include <string.h>

#define ETHER_HEADER   14
#define VLAN_TAG       4
#define VLAN_TAGS_MAX  2
#define IP4_HEADER     20
#define IP6_HEADER     40
#define TCP_HEADER     20
#define UDP_HEADER     8
#define EXTENSIONS_MAX 8 /* RFC 8200, 4.1 knows seven in one packet */

#define TYPE_IP4  0x0800
#define TYPE_IP6  0x86dd
#define TYPE_VLAN 0x8100
#define TYPE_QINQ 0x88a8

/* ---- sums ------------------------------------------------------------------------------------------------------- */

static uint64_t word64(const uint8_t *at)
{
	uint64_t v;
	memcpy(&v, at, 8);
	return v;
}

static uint64_t add64(uint64_t a, uint64_t b)
{
	a += b;
	return a + (a < b);
}

uint16_t sum16(const uint8_t *at, size_t len, uint16_t more)
{
	/* Four sums side by side: each addition waits for the carry of the one before it. */
	uint64_t a = more, b = 0, c = 0, d = 0;
	for (; len >= 32; at += 32, len -= 32) {
		a = add64(a, word64(at));
		b = add64(b, word64(at + 8));
		c = add64(c, word64(at + 16));
		d = add64(d, word64(at + 24));
	}
	for (; len >= 8; at += 8, len -= 8)
		a = add64(a, word64(at));
	if (len & 4) {
		uint32_t v;
		memcpy(&v, at, 4);
		b = add64(b, v);
		at += 4;
	}
	if (len & 2) {
		c = add64(c, word_at(at));
		at += 2;
	}
	if (len & 1) { /* as if a zero followed */
		uint16_t v = 0;
		memcpy(&v, at, 1);
		d = add64(d, v);
	}
	a = add64(add64(a, b), add64(c, d));
	a = (a & 0xffffffff) + (a >> 32);
	a = (a & 0xffffffff) + (a >> 32);
	return fold16((uint32_t)a);
}

/* ---- parser ----------------------------------------------------------------------------------------------------- */

static bool ip4(const uint8_t *ip, size_t room, struct layout *l)
{
	if (room < IP4_HEADER || ip[0] >> 4 != 4)
		return false;
	unsigned header = (ip[0] & 15u) * 4, total = be16_at(ip + 2);
	if (header < IP4_HEADER || header > total || total > room)
		return false;
	if (be16_at(ip + 6) & 0x3fff) /* more fragments, or an offset */
		return false;
	l->version = 4;
	l->protocol = ip[9];
	l->l4 = (uint16_t)(l->l3 + header);
	l->end = l->l3 + total;
	return true;
}

static bool ip6(const uint8_t *ip, size_t room, struct layout *l)
{
	if (room < IP6_HEADER || ip[0] >> 4 != 6)
		return false;
	unsigned total = IP6_HEADER + be16_at(ip + 4), at = IP6_HEADER;
	if (total > room)
		return false;
	uint8_t next = ip[6];
	for (int i = 0; next == 0 || next == 60; i++) { /* hop-by-hop, destination options */
		if (i == EXTENSIONS_MAX || at + 8 > total)
			return false;
		next = ip[at];
		at += (ip[at + 1] + 1u) * 8;
	}
	if (at > total)
		return false;
	l->version = 6;
	l->protocol = next;
	l->l4 = (uint16_t)(l->l3 + at);
	l->end = l->l3 + total;
	return true;
}

/* The EtherType behind the tags, and where what it names begins; 0 = the frame ends before. */
static unsigned type_behind_tags(const uint8_t *frame, size_t len, size_t *ret_at)
{
	size_t at = ETHER_HEADER - 2;
	for (int tags = 0; at + 2 <= len; tags++, at += VLAN_TAG) {
		unsigned type = be16_at(frame + at);
		if ((type == TYPE_VLAN || type == TYPE_QINQ) && tags < VLAN_TAGS_MAX)
			continue;
		*ret_at = at + 2;
		return type;
	}
	return 0;
}

bool layout_of(const uint8_t *frame, size_t len, struct layout *ret)
{
	struct layout l = {0};
	size_t l3 = 0;
	unsigned type = type_behind_tags(frame, len, &l3);
	if (type != TYPE_IP4 && type != TYPE_IP6)
		return false;
	l.l3 = (uint16_t)l3;
	const uint8_t *ip = frame + l.l3;
	size_t room = len - l.l3;
	if (type == TYPE_IP4 ? !ip4(ip, room, &l) : !ip6(ip, room, &l))
		return false;
	const uint8_t *l4 = frame + l.l4;
	size_t bytes = l.end - l.l4, header = UDP_HEADER;
	if (l.protocol == IP_TCP) {
		if (bytes < TCP_HEADER)
			return false;
		header = (size_t)(l4[12] >> 4) * 4;
		if (header < TCP_HEADER || header > bytes)
			return false;
	} else if (l.protocol != IP_UDP || bytes < UDP_HEADER || be16_at(l4 + 4) != bytes) {
		return false;
	}
	l.payload = (uint16_t)(l.l4 + header);
	*ret = l;
	return true;
}

static uint32_t word32(const uint8_t *at)
{
	uint32_t v;
	memcpy(&v, at, sizeof(v));
	return v;
}

/* What is the same for both ends comes out of xor whoever is first. */
static uint32_t flow_ip(const uint8_t *ip, size_t len, unsigned type)
{
	size_t header = IP6_HEADER;
	uint32_t x;
	uint8_t protocol;
	if (type == TYPE_IP4) {
		header = (ip[0] & 15u) * 4;
		x = word32(ip + 12) ^ word32(ip + 16);
		protocol = be16_at(ip + 6) & 0x3fff ? 0 : ip[9]; /* only the first fragment has ports */
	} else {
		x = word32(ip + 16) ^ word32(ip + 20) ^ word32(ip + 32) ^ word32(ip + 36);
		protocol = ip[6];
	}
	if ((protocol == IP_TCP || protocol == IP_UDP) && header + 4 <= len)
		x ^= (uint32_t)(word_at(ip + header) ^ word_at(ip + header + 2)) << 8;
	return x;
}

uint32_t flow_of_frame(const uint8_t *frame, size_t len)
{
	size_t at = 0;
	unsigned type = type_behind_tags(frame, len, &at);
	uint32_t x;
	if ((type == TYPE_IP4 && len >= at + IP4_HEADER) || (type == TYPE_IP6 && len >= at + IP6_HEADER))
		x = flow_ip(frame + at, len - at, type);
	else
		x = word32(frame + 2) ^ word32(frame + 8);
	/* All bits into the upper ones (Knuth's multiplicative hash); the lower of these are returned. */
	return (x ^ x >> 16) * 2654435769u >> 16;
}

uint16_t layout_csum_offset(const struct layout *l)
{
	return l->protocol == IP_TCP ? 16 : 6;
}

/* ---- checksums -------------------------------------------------------------------------------------------------- */

static uint16_t word_of(uint32_t v)
{
	uint8_t at[2];
	be16_to(at, v);
	return word_at(at);
}

uint16_t layout_pseudo(const uint8_t *frame, const struct layout *l, uint32_t l4_len)
{
	/* Both addresses, which stand side by side, then length and protocol (RFC 9293, 3.1; RFC 8200, 8.1). */
	const uint8_t *ip = frame + l->l3;
	uint64_t v4 = word64(ip + 12); /* of both versions within the header */
	v4 = (v4 & 0xffffffff) + (v4 >> 32);
	v4 = (v4 & 0xffff) + (v4 >> 16 & 0xffff) + (v4 >> 32);
	uint32_t sum = l->version == 4 ? (uint32_t)v4 : sum16(ip + 8, 32, 0);
	return fold16(sum + word_of(l4_len >> 16) + word_of(l4_len) + word_of(l->protocol));
}

bool layout_csum_good(const uint8_t *frame, const struct layout *l)
{
	size_t bytes = l->end - l->l4;
	if (l->protocol == IP_UDP && !word_at(frame + l->l4 + 6))
		return false;
	return sum16(frame + l->l4, bytes, layout_pseudo(frame, l, (uint32_t)bytes)) == 0xffff;
}

void layout_complete(uint8_t *frame, const struct layout *l)
{
	uint16_t sum = (uint16_t)~sum16(frame + l->l4, l->end - l->l4, 0);
	if (l->protocol == IP_UDP && !sum)
		sum = 0xffff; /* RFC 768: 0 says that there is none */
	word_to(frame + l->l4 + layout_csum_offset(l), sum);
}

bool layout_ip_csum_good(const uint8_t *frame, const struct layout *l)
{
	return l->version == 6 || sum16(frame + l->l3, (frame[l->l3] & 15u) * 4, 0) == 0xffff;
}

void layout_ip_csum(uint8_t *frame, const struct layout *l)
{
	if (l->version == 6)
		return;
	uint8_t *ip = frame + l->l3;
	word_to(ip + 10, 0);
	word_to(ip + 10, (uint16_t)~sum16(ip, (ip[0] & 15u) * 4, 0));
}

void offload_complete(uint8_t *frame, size_t len, struct offload *offload)
{
	struct layout l;
	size_t end = layout_of(frame, len, &l) ? l.end : len, at = offload->csum_start, field = at + offload->csum_offset;
	if (offload->csum && field + 2 <= end) {
		uint16_t sum = (uint16_t)~sum16(frame + at, end - at, 0);
		if (!sum)
			sum = 0xffff;
		memcpy(frame + field, &sum, sizeof(sum));
	}
	*offload = (struct offload){0};
}

bool layout_offload_true(const uint8_t *frame, size_t len, const struct offload *o)
{
	struct layout l;
	if (!o->csum || o->gso != GSO_NONE || !layout_of(frame, len, &l))
		return false;
	if (o->csum_start != l.l4 || o->csum_offset != layout_csum_offset(&l))
		return false;
	return word_at(frame + l.l4 + o->csum_offset) == layout_pseudo(frame, &l, l.end - l.l4);
}
