/* worker_super.h: what the tests of superframes through workers share: a bed whose members know flags and bundles, frames with
 * the members' MACs, a look under the seal of what is on the wire, and a look at each frame written.
 */
#ifndef WORKER_SUPER_H
#define WORKER_SUPER_H

#include "offload_lie.h"
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

/* A turn, and everything it wrote is looked at. */
static inline unsigned step(unsigned h)
{
	struct queue *q = &bed.host[h].tap.out[0];
	unsigned before = q->n, moved = turn(h);
	for (unsigned i = before; i < q->n; i++) {
		const struct item *it = &q->item[i];
		const char *lie = offload_lie(it->bytes, it->len, it->head, &it->offload);
		if (lie)
			fail_msg("written frame %u is not what its offload says: %s", i, lie);
	}
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

/* Flows have lanes of their own, and between lanes there is no order. */
static inline void written_once(unsigned h, const uint8_t *frame, size_t len, struct offload o)
{
	unsigned found = 0, at = 0;
	for (unsigned i = 0; i < n_written(h); i++)
		if (written(h, i)->len == len && !memcmp(written(h, i)->bytes, frame, len)) {
			found++;
			at = i;
		}
	assert_int_equal(found, 1);
	written_is(h, at, frame, len, o);
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
	assert_int_equal(atomic_load(&a->count[0].carried.tx_frames), atomic_load(&b->count[0].carried.rx_frames));
	assert_int_equal(atomic_load(&a->count[0].carried.tx_bytes), atomic_load(&b->count[0].carried.rx_bytes));
	struct carried out = traffic_sum(atomic_load(&bed.host[from].member[to].traffic), BED_WORKERS),
		       in = traffic_sum(atomic_load(&bed.host[to].member[from].traffic), BED_WORKERS);
	assert_int_equal(out.tx_frames, in.rx_frames);
	assert_int_equal(out.tx_bytes, in.rx_bytes);
	assert_int_equal(drops(from) + drops(to), 0);
}

#endif
