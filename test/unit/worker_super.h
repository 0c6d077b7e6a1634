/* worker_super.h: what the tests of superframes through workers share: a bed whose members know flags and bundles, frames with
 * the members' MACs, a look under the seal of what is on the wire, and a reader of written frames that knows nothing of node/layout.c.
 */
#ifndef WORKER_SUPER_H
#define WORKER_SUPER_H

#include "superframe.h"
#include "worker_bed.h"

#include "node/encap.h"

#define ALL_CAPS (CAP_SEG | CAP_BUNDLE)

static uint8_t payload[65536];
static uint8_t whole[SUPERFRAME_MAX], other[SUPERFRAME_MAX];

static void super_make(void)
{
	uint64_t seed = 3;
	for (size_t i = 0; i < sizeof(payload); i++)
		payload[i] = (uint8_t)dice(&seed);
	bed_make(false);
	for (unsigned h = 0; h < RELAY; h++) {
		bed.host[h].tap.offloads = TAP_ALL;
		atomic_store(&bed.host[h].port->mtu, 9000);
		for (unsigned peer = 0; peer < RELAY; peer++)
			if (peer != h)
				bed.host[h].session[peer]->peer_caps = ALL_CAPS;
	}
}

/* ---- frames ----------------------------------------------------------------------------------------------------- */

static inline struct recipe plain_recipe(bool v6, bool udp, uint32_t bytes)
{
	return (struct recipe){.v6 = v6,
	                       .udp = udp,
	                       .ttl = 64,
	                       .flags = 0x10,
	                       .df = true,
	                       .id = 0xfff0,
	                       .seq = 0xfffff000,
	                       .ack = 77,
	                       .window = 501,
	                       .bytes = bytes,
	                       .payload = payload};
}

/* From one host to another (to >= HOSTS: everybody). */
static inline size_t recipe_between(const struct recipe *r, bool partial, unsigned from, unsigned to, uint8_t *out)
{
	size_t len = recipe_frame(r, partial, out);
	if (to < HOSTS)
		mac_derive(NWID, bed.host[to].address, out);
	else
		memset(out, 0xff, 6);
	mac_derive(NWID, bed.host[from].address, out + 6);
	return len;
}

/* ---- what was written ------------------------------------------------------------------------------------------- */

#define claim(x)                                                                                                                           \
	do {                                                                                                                               \
		if (!(x))                                                                                                                  \
			fail_msg("written frame is not what its offload says: %s", #x);                                                    \
	} while (0)

/* Fails when the kernel would be told of this frame what is not so. */
static inline void offload_proven(const struct item *it)
{
	const struct offload *o = &it->offload;
	const uint8_t *f = it->bytes;
	size_t l3 = 14, l4, type, bytes;
	if (!o->csum) {
		claim(!o->gso && !o->size && !o->ecn && !o->csum_start && !o->csum_offset);
		return;
	}
	claim(it->len >= 34);
	for (type = f[12] * 256u + f[13]; (type == 0x8100 || type == 0x88a8) && l3 < 22; l3 += 4)
		type = f[l3 + 2] * 256u + f[l3 + 3];
	const uint8_t *ip = f + l3;
	uint8_t pseudo[40] = {0}, protocol;
	unsigned addresses = type == 0x800 ? 8 : 32;
	if (type == 0x800) {
		claim(it->len >= l3 + 20 && ip[0] >> 4 == 4 && (ip[0] & 15) >= 5);
		bytes = ip[2] * 256u + ip[3];
		l4 = l3 + (ip[0] & 15u) * 4;
		protocol = ip[9];
		claim(!(ip[6] & 0x3f) && !ip[7]);
		memcpy(pseudo, ip + 12, 8);
		if (o->gso)
			claim(slow_sum(ip, l4 - l3, 0) == 0xffff);
	} else {
		claim(type == 0x86dd && it->len >= l3 + 40 && ip[0] >> 4 == 6);
		bytes = 40 + ip[4] * 256u + ip[5];
		protocol = ip[6];
		for (l4 = l3 + 40; protocol == 0 || protocol == 60;) {
			claim(l4 + 8 <= it->len);
			protocol = f[l4];
			l4 += (f[l4 + 1] + 1u) * 8;
		}
		memcpy(pseudo, ip + 8, 32);
	}
	claim(l3 + bytes <= it->len && l4 < l3 + bytes);
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
		return;
	}
	claim(o->gso == (protocol == 17 ? GSO_UDP : type == 0x800 ? GSO_TCP4 : GSO_TCP6));
	claim(l3 + bytes == it->len && bytes <= 65535);
	claim(o->size > 0 && o->size < l4_bytes - header);                         /* two segments at least */
	claim(it->head >= l4 + header);                                            /* headers in one piece */
	claim(protocol == 6 || (l4_bytes - header + o->size - 1) / o->size <= 64); /* UDP_MAX_SEGMENTS */
	claim(protocol == 17 || !(f[l4 + 13] & 0x26));                             /* URG, RST, SYN */
	claim(o->ecn == (protocol == 6 && f[l4 + 13] & 0x80));                     /* CWR */
}

/* A turn, and everything it wrote is looked at. */
static inline unsigned step(unsigned h)
{
	struct queue *q = &bed.host[h].tap.out[0];
	unsigned before = q->n, moved = turn(h);
	for (unsigned i = before; i < q->n; i++)
		offload_proven(&q->item[i]);
	return moved;
}

static inline void step_all(unsigned h)
{
	while (wire_to(h)->n)
		step(h);
}

static inline struct item *written(unsigned h, unsigned i)
{
	struct queue *q = &bed.host[h].tap.out[0];
	assert_true(i < q->n);
	return &q->item[i];
}

static inline unsigned n_written(unsigned h)
{
	return bed.host[h].tap.out[0].n;
}

static inline void written_is(unsigned h, unsigned i, const uint8_t *frame, size_t len, struct offload o)
{
	const struct item *it = written(h, i);
	assert_int_equal(it->len, len);
	assert_memory_equal(it->bytes, frame, len);
	assert_int_equal(it->offload.gso, o.gso);
	assert_int_equal(it->offload.csum, o.csum);
	assert_int_equal(it->offload.ecn, o.ecn);
	assert_int_equal(it->offload.size, o.size);
	assert_int_equal(it->offload.csum_start, o.csum_start);
	assert_int_equal(it->offload.csum_offset, o.csum_offset);
}

/* ---- under the seal --------------------------------------------------------------------------------------------- */

/* Datagram i on the wire to a host, as its receiver will read it; nothing is committed. */
static inline size_t wire_plain(unsigned to, unsigned from, unsigned i, uint8_t *out)
{
	static uint8_t copy[65536];
	const struct item *it = &wire_to(to)->item[i];
	const struct session *s = bed.host[to].session[from];
	assert_true(i < wire_to(to)->n);
	memcpy(copy, it->bytes, it->len);
	struct packet p = {.data = copy, .len = it->len, .room = it->len, .idx = le32_at(copy)};
	assert_int_equal(p.idx & IDX_MASK, s->named.idx);
	p.pn = seal_unmask(&s->rx, copy, it->len);
	open_batch(&s->rx, &p, 1);
	assert_int_equal(p.verdict, DROP_NONE);
	memcpy(out, p.data, p.len);
	return p.len;
}

/* Sent and received agree, and nothing died. */
static inline void counters_agree(unsigned from, unsigned to)
{
	struct port *a = bed.host[from].port, *b = bed.host[to].port;
	assert_int_equal(atomic_load(&a->count[0].tx_frames), atomic_load(&b->count[0].rx_frames));
	assert_int_equal(atomic_load(&a->count[0].tx_bytes), atomic_load(&b->count[0].rx_bytes));
	assert_int_equal(drops(from) + drops(to), 0);
}

#endif
