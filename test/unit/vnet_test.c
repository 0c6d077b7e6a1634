/* The kernel's header value by value, the impossible ones too, which no kernel gives on request. */
#include "tap/vnet.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tap/tap.h"

#define UDP_L4 5

/* As bytes, since that is what the kernel writes: flags, type, then four little-endian numbers. */
static struct virtio_net_hdr header(unsigned flags, unsigned type, unsigned size, unsigned start, unsigned offset)
{
	const uint8_t bytes[10] = {
	    (uint8_t)flags,  (uint8_t)type,         0xfe,           0xca, /* a length of headers that means nothing when read */
	    (uint8_t)size,   (uint8_t)(size >> 8),  (uint8_t)start, (uint8_t)(start >> 8),
	    (uint8_t)offset, (uint8_t)(offset >> 8)};
	struct virtio_net_hdr h;
	memcpy(&h, bytes, sizeof(h));
	return h;
}

struct reading {
	unsigned flags, type, size, start, offset, len;
	bool good;
	struct offload wanted;
};

static const struct reading readings[] = {
    {0, 0, 0, 0, 0, 14, true, {0}},
    {0, 0, 9, 9, 9, 0, true, {0}},   /* says nothing: nothing is read */
    {2, 0, 0, 0, 0, 60, true, {0}},  /* DATA_VALID */
    {6, 0, 0, 77, 3, 60, true, {0}}, /* unknown flag */
    {1, 0, 0, 34, 16, 52, true, {.csum = true, .csum_start = 34, .csum_offset = 16}},
    {3, 0, 0, 34, 6, 42, true, {.csum = true, .csum_start = 34, .csum_offset = 6}},
    {1, 0, 0, 34, 16, 51, false, {0}},       /* sum behind the end */
    {1, 0, 0, 65535, 65535, 60, false, {0}}, /* no overflow */
    {1, 0, 0, 13, 16, 60, false, {0}},       /* inside the Ethernet header */
    {1, 1, 0x1234, 34, 16, 60000, true, {.gso = GSO_TCP4, .csum = true, .size = 0x1234, .csum_start = 34, .csum_offset = 16}},
    {1, 4, 1, 0x136, 16, 60000, true, {.gso = GSO_TCP6, .csum = true, .size = 1, .csum_start = 0x136, .csum_offset = 16}},
    {1, 5, 1000, 34, 6, 42, true, {.gso = GSO_UDP, .csum = true, .size = 1000, .csum_start = 34, .csum_offset = 6}},
    {1, 0x81, 7, 34, 16, 99, true, {.gso = GSO_TCP4, .csum = true, .ecn = true, .size = 7, .csum_start = 34, .csum_offset = 16}},
    {1, 0x84, 7, 54, 16, 99, true, {.gso = GSO_TCP6, .csum = true, .ecn = true, .size = 7, .csum_start = 54, .csum_offset = 16}},
    {1, 0x85, 7, 34, 6, 99, false, {0}},    /* UDP has no CWR */
    {0, 1, 1000, 34, 16, 6000, false, {0}}, /* superframe without a sum */
    {1, 1, 0, 34, 16, 6000, false, {0}},    /* of size 0 */
    {1, 1, 1000, 34, 16, 53, false, {0}},   /* no room for a TCP header */
    {1, 1, 1000, 34, 16, 54, true, {.gso = GSO_TCP4, .csum = true, .size = 1000, .csum_start = 34, .csum_offset = 16}},
    {1, 5, 1000, 34, 0, 41, false, {0}},      /* nor a UDP header */
    {1, 2, 1000, 34, 16, 6000, false, {0}},   /* unknown types: none, */
    {1, 3, 1000, 34, 6, 6000, false, {0}},    /* UDP by IP fragments, */
    {1, 0x25, 1000, 34, 6, 6000, false, {0}}, /* in a tunnel, */
    {1, 0x45, 1000, 34, 6, 6000, false, {0}},
    {1, 6, 1000, 34, 6, 6000, false, {0}},
    {1, 0x7f, 1000, 34, 6, 6000, false, {0}},
};

static void test_read(void **state)
{
	(void)state;
	for (unsigned i = 0; i < sizeof(readings) / sizeof(readings[0]); i++) {
		const struct reading *r = &readings[i];
		const struct offload untouched = {.gso = 77, .size = 1, .csum_start = 2, .csum_offset = 3};
		const struct offload *wanted = r->good ? &r->wanted : &untouched;
		struct offload got = untouched;
		struct virtio_net_hdr h = header(r->flags, r->type, r->size, r->start, r->offset);
		bool good = vnet_read(&h, r->len, &got);
		if (good != r->good || got.gso != wanted->gso || got.csum != wanted->csum || got.ecn != wanted->ecn ||
		    got.size != wanted->size || got.csum_start != wanted->csum_start || got.csum_offset != wanted->csum_offset)
			fail_msg("reading %u", i);
	}
}

struct writing {
	unsigned offloads;
	struct offload o;
	unsigned data_offset; /* byte 12 of the L4 header */
	uint32_t head, len;
	bool good;
	uint8_t wanted[10];
};

static const struct writing writings[] = {
    {0, {0}, 0, 60, 60, true, {0}},
    {TAP_ALL, {.size = 1000, .csum_start = 34}, 0, 60, 60, true, {0}},
    {TAP_CSUM, {.csum = true, .csum_start = 0x122, .csum_offset = 6}, 0, 300, 300, true, {1, 0, 0, 0, 0, 0, 0x22, 1, 6, 0}},
    {TAP_CSUM, {.csum = true, .csum_start = 34, .csum_offset = 16}, 0, 20, 52, true, {1, 0, 0, 0, 0, 0, 34, 0, 16, 0}},
    {TAP_CSUM, {.csum = true, .csum_start = 34, .csum_offset = 16}, 0, 51, 51, false, {0}},
    {TAP_CSUM, {.csum = true, .csum_start = 65535, .csum_offset = 65535}, 0, 60, 60, false, {0}},
    {0, {.csum = true, .csum_start = 34, .csum_offset = 16}, 0, 60, 60, false, {0}},
    {TAP_TSO, {.csum = true, .csum_start = 34, .csum_offset = 16}, 0, 60, 60, false, {0}},
    {TAP_ALL, {.gso = GSO_TCP4, .size = 1000}, 0x50, 60, 6000, false, {0}},
    {TAP_ALL, {GSO_TCP4, true, false, 0x321, 34, 16}, 0x50, 54, 6000, true, {1, 1, 54, 0, 0x21, 3, 34, 0, 16, 0}},
    {TAP_ALL, {GSO_TCP4, true, true, 1000, 34, 16}, 0x85, 66, 6000, true, {1, 0x81, 66, 0, 0xe8, 3, 34, 0, 16, 0}},
    {TAP_ALL, {GSO_TCP6, true, false, 1000, 54, 16}, 0xf0, 114, 6000, true, {1, 4, 114, 0, 0xe8, 3, 54, 0, 16, 0}},
    {TAP_ALL, {GSO_TCP6, true, false, 1000, 54, 16}, 0xf0, 113, 6000, false, {0}}, /* options in the tails */
    {TAP_ALL, {GSO_TCP4, true, false, 1000, 34, 16}, 0x50, 53, 6000, false, {0}},
    {TAP_ALL, {GSO_UDP, true, true, 1000, 34, 6}, 0, 42, 6000, true, {1, UDP_L4, 42, 0, 0xe8, 3, 34, 0, 6, 0}},
    {TAP_ALL, {GSO_UDP, true, false, 1000, 34, 6}, 0, 41, 6000, false, {0}},
    {TAP_ALL, {GSO_UDP, true, false, 0, 34, 6}, 0, 42, 6000, false, {0}},
    {TAP_ALL, {GSO_UDP + 1, true, false, 1000, 34, 6}, 0, 42, 6000, false, {0}},
    {TAP_CSUM | TAP_TSO, {GSO_UDP, true, false, 1000, 34, 6}, 0, 42, 6000, false, {0}},
    {TAP_CSUM | TAP_USO, {GSO_TCP4, true, false, 1000, 34, 16}, 0x50, 54, 6000, false, {0}},
};

static void test_write(void **state)
{
	(void)state;
	for (unsigned i = 0; i < sizeof(writings) / sizeof(writings[0]); i++) {
		const struct writing *w = &writings[i];
		uint8_t data[300] = {0};
		struct virtio_net_hdr h = {0};
		struct packet p = {.data = data, .len = w->head, .room = w->head, .offload = w->o};
		if (w->o.csum_start + 12u < sizeof(data))
			data[w->o.csum_start + 12] = (uint8_t)w->data_offset;
		if (vnet_write(w->offloads, &p, w->len, &h) != w->good)
			fail_msg("writing %u", i);
		if (w->good && memcmp(&h, w->wanted, sizeof(h)) != 0)
			fail_msg("writing %u: another header", i);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_read), cmocka_unit_test(test_write)};
	return cmocka_run_group_tests_name("vnet", tests, NULL, NULL);
}
