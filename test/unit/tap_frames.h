/* tap_frames.h: superframes as a network stack makes them, and what a complete frame must be, computed apart from the code
 * under test. */
#ifndef TAP_FRAMES_H
#define TAP_FRAMES_H

#include "tap_bed.h"

#include <linux/if_ether.h>

static const uint8_t peer_mac[6] = {2, 0, 0, 0, 0, 9};

struct kind {
	bool v6, udp;
	unsigned tags;
};

struct made {
	uint32_t len, l4, payload_at;
	struct offload offload; /* of the superframe */
	uint8_t bytes[SUPERFRAME_MAX];
};

static uint32_t sum_of(const uint8_t *p, size_t len, uint32_t sum)
{
	for (size_t i = 0; i < len; i++)
		sum += i & 1 ? p[i] : (uint32_t)p[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

static void put16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static uint32_t get16(const uint8_t *p)
{
	return (uint32_t)(p[0] << 8 | p[1]);
}

/* Sum of the pseudo-header for l4 bytes of L4, from the IP header. */
static uint32_t pseudo_sum(struct kind k, const uint8_t *ip, uint32_t l4_len)
{
	uint32_t sum = (k.udp ? 17 : 6) + l4_len;
	return k.v6 ? sum_of(ip + 8, 32, sum) : sum_of(ip + 12, 8, sum);
}

/* A superframe from the peer to this host (or the way back), with a payload that tells every byte's place. */
static void frame_build(struct made *m, struct kind k, bool to_us, uint32_t payload, uint16_t size)
{
	uint8_t *f = m->bytes, *ip, *l4;
	uint32_t l4_head = k.udp ? 8 : 32; /* TCP with twelve bytes of options */
	memcpy(f, to_us ? own_mac : peer_mac, 6);
	memcpy(f + 6, to_us ? peer_mac : own_mac, 6);
	for (unsigned i = 0; i < k.tags; i++) {
		put16(f + 12 + 4 * i, i + 1 < k.tags ? 0x88a8 : 0x8100);
		put16(f + 14 + 4 * i, 5 + i);
	}
	ip = f + 14 + 4 * k.tags;
	put16(ip - 2, k.v6 ? ETH_P_IPV6 : ETH_P_IP);
	l4 = ip + (k.v6 ? 40 : 20);
	memset(ip, 0, (size_t)(l4 - ip) + l4_head);
	if (k.v6) {
		ip[0] = 0x60;
		put16(ip + 4, l4_head + payload);
		ip[6] = k.udp ? 17 : 6;
		ip[7] = 64;
		ip[8] = ip[24] = 0xfd;
		ip[23] = to_us ? 2 : 1;
		ip[39] = to_us ? 1 : 2;
	} else {
		ip[0] = 0x45;
		put16(ip + 2, 20 + l4_head + payload);
		ip[8] = 64;
		ip[9] = k.udp ? 17 : 6;
		memcpy(ip + 12, (const uint8_t[]){10, 44, 0, to_us ? 2 : 1, 10, 44, 0, to_us ? 1 : 2}, 8);
		put16(ip + 10, ~sum_of(ip, 20, 0));
	}
	put16(l4, 7001);
	put16(l4 + 2, 7002);
	if (k.udp) {
		put16(l4 + 4, 8 + payload);
	} else {
		put16(l4 + 6, 1000);
		l4[12] = (uint8_t)(l4_head / 4 << 4);
		l4[13] = 0x18; /* PSH ACK */
		put16(l4 + 14, 500);
		memset(l4 + 20, 1, 12); /* NOP */
	}
	m->l4 = (uint32_t)(l4 - f);
	m->payload_at = m->l4 + l4_head;
	m->len = m->payload_at + payload;
	assert_true(m->len <= sizeof(m->bytes));
	put16(l4 + (k.udp ? 6 : 16), pseudo_sum(k, ip, l4_head + payload));
	for (uint32_t i = 0; i < payload; i++)
		l4[l4_head + i] = (uint8_t)(i * 7 + (i >> 8));
	m->offload = (struct offload){.csum = true, .csum_start = (uint16_t)m->l4, .csum_offset = k.udp ? 6 : 16, .size = size};
	m->offload.gso = (uint8_t)(k.udp ? GSO_UDP : k.v6 ? GSO_TCP6 : GSO_TCP4);
}

/* Frame p is complete, of this kind: lengths and both checksums are right. Returns its payload. */
static inline uint32_t frame_complete(const struct packet *p, struct kind k, uint32_t ip_at, const uint8_t **ret_payload)
{
	const uint8_t *ip = p->data + ip_at, *l4 = ip + (k.v6 ? 40 : 20);
	uint32_t l4_len = p->len - (uint32_t)(l4 - p->data), head = k.udp ? 8 : 32;
	assert_int_equal(p->verdict, DROP_NONE);
	assert_false(p->offload.csum || p->offload.gso);
	assert_int_equal(k.v6 ? get16(ip + 4) : get16(ip + 2) - 20, l4_len);
	if (!k.v6)
		assert_int_equal(sum_of(ip, 20, 0), 0xffff);
	if (k.udp)
		assert_int_equal(get16(l4 + 4), l4_len);
	assert_int_equal(sum_of(l4, l4_len, pseudo_sum(k, ip, l4_len)), 0xffff);
	*ret_payload = l4 + head;
	return l4_len - head;
}

#endif
