/* superframe.h: TCP and UDP frames made from a recipe, for the tests of layout, cut and join. Slow, plain and independent of
 * what it tests: one byte after the other, no parser, each segment of a superframe made from scratch. */
#ifndef FARLAN_TEST_SUPERFRAME_H
#define FARLAN_TEST_SUPERFRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "proto/base/batch.h"

struct recipe {
	bool v6, udp;
	uint8_t vlans;     /* 0 to 2 */
	uint8_t ip_extra;  /* bytes of options (x 4, <= 40) or of extension headers (0, 8, 16) */
	uint8_t tcp_extra; /* bytes of options, x 4, <= 40 */
	uint8_t flags, tos, ttl;
	bool df;
	uint16_t id, window, urgent, flow;
	uint32_t seq, ack, bytes; /* bytes: of payload */
	const uint8_t *payload;
};

/* Numbers that look random and are the same each time. */
static inline uint32_t dice(uint64_t *state)
{
	*state = *state * 6364136223846793005u + 1442695040888963407u;
	uint64_t x = *state >> 22;
	return (uint32_t)(x ^ x >> 21);
}

static inline size_t recipe_l3(const struct recipe *r)
{
	return 14 + 4u * r->vlans;
}

static inline size_t recipe_l4(const struct recipe *r)
{
	return recipe_l3(r) + (r->v6 ? 40u : 20u) + r->ip_extra;
}

static inline size_t recipe_headers(const struct recipe *r)
{
	return recipe_l4(r) + (r->udp ? 8u : 20u + r->tcp_extra);
}

static inline void two(uint8_t *at, size_t v)
{
	at[0] = (uint8_t)(v >> 8 & 255);
	at[1] = (uint8_t)(v & 255);
}

static inline void four(uint8_t *at, uint32_t v)
{
	two(at, v >> 16);
	two(at + 2, v & 0xffff);
}

/* Big-endian, whatever the machine. */
static inline unsigned slow_sum(const uint8_t *at, size_t len, unsigned sum)
{
	for (size_t i = 0; i < len; i++) {
		sum += i % 2 ? at[i] : at[i] * 256u;
		if (sum > 0xffff)
			sum -= 0xffff;
	}
	return sum;
}

static inline void recipe_ip(const struct recipe *r, uint8_t *ip, size_t total)
{
	size_t header = (r->v6 ? 40u : 20u) + r->ip_extra;
	memset(ip, 0, header);
	uint8_t protocol = r->udp ? 17 : 6;
	if (r->v6) {
		four(ip, 0x60000000u | (uint32_t)r->tos << 20 | 0x12345);
		two(ip + 4, total - 40);
		ip[7] = r->ttl;
		for (int i = 8; i < 40; i++)
			ip[i] = (uint8_t)(i * 11);
		two(ip + 22, r->flow);
		uint8_t *next = ip + 6;
		for (unsigned at = 0; at < r->ip_extra; at += 8) { /* hop-by-hop, then destination options, both of padding */
			*next = at ? 60 : 0;
			next = ip + 40 + at;
			next[2] = 1;
			next[3] = 4;
		}
		*next = protocol;
		return;
	}
	ip[0] = (uint8_t)(0x45 + r->ip_extra / 4);
	ip[1] = r->tos;
	two(ip + 2, total);
	two(ip + 4, r->id);
	ip[6] = r->df ? 0x40 : 0;
	ip[8] = r->ttl;
	ip[9] = protocol;
	four(ip + 12, 0x0a010203);
	four(ip + 16, 0x0a020000u | r->flow);
	memset(ip + 20, 1, r->ip_extra);
	two(ip + 10, 0xffff - slow_sum(ip, header, 0));
}

static inline unsigned recipe_pseudo(const struct recipe *r, const uint8_t *ip, size_t l4_len)
{
	uint8_t rest[4] = {0, r->udp ? 17 : 6};
	two(rest + 2, l4_len);
	unsigned sum = r->v6 ? slow_sum(ip + 8, 32, 0) : slow_sum(ip + 12, 8, 0);
	return slow_sum(rest, 4, sum);
}

static inline size_t recipe_frame(const struct recipe *r, bool partial, uint8_t *out)
{
	size_t l3 = recipe_l3(r), l4 = recipe_l4(r), headers = recipe_headers(r), len = headers + r->bytes;
	memcpy(out, "\x02\1\2\3\4\5\x02\6\7\x8\x9\xa", 12);
	for (unsigned i = 0; i < r->vlans; i++) {
		two(out + 12 + 4 * i, i + 1 < r->vlans ? 0x88a8 : 0x8100);
		two(out + 14 + 4 * i, 0x2005 + i);
	}
	two(out + l3 - 2, r->v6 ? 0x86dd : 0x0800);
	recipe_ip(r, out + l3, len - l3);
	uint8_t *h = out + l4;
	memset(h, 0, headers - l4);
	two(h, 1000 + r->flow % 7u);
	two(h + 2, 80);
	if (r->udp) {
		two(h + 4, len - l4);
	} else {
		four(h + 4, r->seq);
		four(h + 8, r->ack);
		h[12] = (uint8_t)((5 + r->tcp_extra / 4) << 4);
		h[13] = r->flags;
		two(h + 14, r->window);
		two(h + 18, r->urgent);
		for (unsigned i = 0; i < r->tcp_extra; i++)
			h[20 + i] = (uint8_t)(i * 3 + 1);
	}
	if (r->bytes)
		memcpy(out + headers, r->payload, r->bytes);
	unsigned sum = recipe_pseudo(r, out + l3, len - l4);
	if (!partial) {
		sum = 0xffff - slow_sum(h, len - l4, sum);
		if (r->udp && !sum)
			sum = 0xffff;
	}
	two(h + (r->udp ? 6 : 16), sum);
	return len;
}

/* What a frame with a partial checksum, or the superframe with segments of size, says of itself. */
static inline struct offload recipe_offload(const struct recipe *r, uint32_t size)
{
	struct offload o = {.csum = true, .csum_start = (uint16_t)recipe_l4(r), .csum_offset = r->udp ? 6 : 16};
	if (!size)
		return o;
	o.gso = (uint8_t)(r->udp ? GSO_UDP : r->v6 ? GSO_TCP6 : GSO_TCP4);
	o.size = (uint16_t)size;
	o.ecn = !r->udp && r->flags & 0x80;
	return o;
}

/* The recipe of segment i, by the rules of PROTOCOL.md. */
static inline struct recipe recipe_segment(const struct recipe *r, uint32_t size, uint32_t i)
{
	struct recipe s = *r;
	uint32_t at = i * size;
	bool last = at + size >= r->bytes;
	s.bytes = last ? r->bytes - at : size;
	s.payload = r->payload + at;
	s.seq += at;
	s.id = (uint16_t)(r->id + i);
	if (!last)
		s.flags &= 0xf6; /* FIN, PSH */
	if (i) {
		s.flags &= 0x7f; /* CWR */
		if (s.flags & 0x20 && s.urgent <= at) {
			s.flags &= 0xdf;
			s.urgent = 0;
		} else if (s.flags & 0x20) {
			s.urgent = (uint16_t)(s.urgent - at);
		}
	}
	return s;
}

#endif
