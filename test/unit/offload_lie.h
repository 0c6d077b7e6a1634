/* offload_lie.h: reads a frame as it is written to a device, with its offload. Knows nothing of node/layout.c, which it is to catch. */
#ifndef FARLAN_TEST_OFFLOAD_LIE_H
#define FARLAN_TEST_OFFLOAD_LIE_H

#include "superframe.h"

#define claim(x)                                                                                                                           \
	do {                                                                                                                               \
		if (!(x))                                                                                                                  \
			return #x;                                                                                                         \
	} while (0)

/* What is not so of what the kernel would be told of this frame, NULL if nothing. head: its bytes before the tails. */
static inline const char *offload_lie(const uint8_t *f, size_t len, size_t head, const struct offload *o)
{
	size_t l3 = 14, l4, type, bytes;
	if (!o->csum) {
		claim(!o->gso && !o->size && !o->ecn && !o->csum_start && !o->csum_offset);
		return NULL;
	}
	claim(len >= 34);
	for (type = f[12] * 256u + f[13]; (type == 0x8100 || type == 0x88a8) && l3 < 22; l3 += 4)
		type = f[l3 + 2] * 256u + f[l3 + 3];
	const uint8_t *ip = f + l3;
	uint8_t pseudo[40] = {0}, protocol;
	unsigned addresses = type == 0x800 ? 8 : 32;
	if (type == 0x800) {
		claim(len >= l3 + 20 && ip[0] >> 4 == 4 && (ip[0] & 15) >= 5);
		bytes = ip[2] * 256u + ip[3];
		l4 = l3 + (ip[0] & 15u) * 4;
		protocol = ip[9];
		claim(!(ip[6] & 0x3f) && !ip[7]);
		memcpy(pseudo, ip + 12, 8);
		if (o->gso)
			claim(slow_sum(ip, l4 - l3, 0) == 0xffff);
	} else {
		claim(type == 0x86dd && len >= l3 + 40 && ip[0] >> 4 == 6);
		bytes = 40 + ip[4] * 256u + ip[5];
		protocol = ip[6];
		for (l4 = l3 + 40; protocol == 0 || protocol == 60;) {
			claim(l4 + 8 <= len);
			protocol = f[l4];
			l4 += (f[l4 + 1] + 1u) * 8;
		}
		memcpy(pseudo, ip + 8, 32);
	}
	claim(l3 + bytes <= len && l4 < l3 + bytes);
	size_t l4_bytes = l3 + bytes - l4, header;
	claim(protocol == 6 || protocol == 17);
	claim(l4_bytes >= (protocol == 6 ? 20 : 8));
	header = protocol == 6 ? (size_t)(f[l4 + 12] >> 4) * 4 : 8;
	claim(header >= (protocol == 6 ? 20 : 8) && header <= l4_bytes);
	claim(o->csum_start == l4 && o->csum_offset == (protocol == 6 ? 16 : 6));
	pseudo[addresses + 1] = protocol;
	pseudo[addresses + 2] = (uint8_t)(l4_bytes >> 8);
	pseudo[addresses + 3] = (uint8_t)l4_bytes;
	const uint8_t *field = f + l4 + o->csum_offset;
	claim(field[0] * 256u + field[1] == slow_sum(pseudo, addresses + 4, 0));
	if (protocol == 17)
		claim(f[l4 + 4] * 256u + f[l4 + 5] == l4_bytes);
	if (!o->gso) {
		claim(!o->size && !o->ecn);
		return NULL;
	}
	claim(o->gso == (protocol == 17 ? GSO_UDP : type == 0x800 ? GSO_TCP4 : GSO_TCP6));
	claim(l3 + bytes == len && bytes <= 65535);
	claim(o->size > 0 && o->size < l4_bytes - header);                         /* two segments at least */
	claim(head >= l4 + header);                                                /* headers in one piece */
	claim(protocol == 6 || (l4_bytes - header + o->size - 1) / o->size <= 64); /* UDP_MAX_SEGMENTS */
	claim(protocol == 17 || !(f[l4 + 13] & 0x26));                             /* URG, RST, SYN */
	claim(o->ecn == (protocol == 6 && f[l4 + 13] & 0x80));                     /* CWR */
	return NULL;
}

#undef claim
#endif
