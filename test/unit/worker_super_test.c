/* worker_super_test.c: superframes, long TCP frames and small frames in bundles between workers: what is on the wire, what arrives,
 * what is counted. */
#include "worker_super.h"

#include "node/cut.h"

#include <time.h>

static int setup(void **state)
{
	(void)state;
	super_make();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	bed_free();
	return 0;
}

static uint8_t plain[65536];

static void emptied(unsigned h)
{
	bed.host[h].tap.out[0].n = 0;
}

/* ---- TCP -------------------------------------------------------------------------------------------------------- */

/* What 0 sent to 1 must come out as these segments, complete or partial. */
static void segments_written(const struct recipe *r, uint32_t size, bool partial)
{
	unsigned n = (r->bytes + size - 1) / size;
	assert_int_equal(n_written(1), n);
	for (unsigned i = 0; i < n; i++) {
		struct recipe s = recipe_segment(r, size, i);
		size_t len = recipe_between(&s, partial, 0, 1, other);
		written_is(1, i, other, len, partial ? recipe_offload(r, 0) : (struct offload){0});
	}
	emptied(1);
}

/* Flags and datagrams of n segments as they stand on the wire to 1. */
static void segments_on_wire(unsigned n, uint8_t flags, uint16_t way)
{
	static int id = -1;
	assert_int_equal(wire_to(1)->n, n);
	for (unsigned i = 0; i < n; i++) {
		size_t len = wire_plain(1, 0, i, plain);
		const uint8_t *segment = plain + INNER_HEADER + (flags & FRAME_CSUM ? 4 : 0);
		assert_int_equal(plain[0], INNER_FRAME);
		assert_int_equal(plain[1], flags);
		assert_true(wire_to(1)->item[i].len <= way);
		assert_true(i + 1 == n || wire_to(1)->item[i].len == wire_to(1)->item[0].len);
		if (!flags)
			continue;
		assert_true(len > INNER_HEADER + 8);
		if (i == 0)
			assert_int_not_equal(le16_at(segment), id);
		else
			assert_int_equal(le16_at(segment), id);
		id = le16_at(segment);
		assert_int_equal(segment[2], i);
		assert_int_equal(segment[3], n);
	}
}

/* What is on the wire to 1 from datagram `at` on is the frame in whole, each segment made by itself, in order and numbered in a row. Returns how
 * many datagrams that are. */
static unsigned whole_on_wire(unsigned at, size_t len, const struct offload *o, uint16_t way)
{
	static uint8_t room[65536], *const expected = room + 8; /* MACs that are left out may stand before it */
	const struct session *s = bed.host[1].session[0];
	bool knows = bed.host[0].session[1]->peer_caps & CAP_SEG;
	struct encap e = {.chan = (uint16_t)chan_of(1), .datagram = way};
	struct carriage c = {.implied = true, .flags = knows ? FRAME_FLAGS : 0};
	struct segment segment = {0};
	struct offload lacks;
	struct cut cut;
	assert_true(cut_begin(&cut, whole, len, o, encap_most(&e, c), knows));
	for (uint32_t i = 0; i < cut.n; i++, segment.i++) {
		const struct item *it = &wire_to(1)->item[at + i], *before = i ? it - 1 : it;
		size_t plain_len = wire_plain(1, 0, at + i, plain), frame_len = cut_length(&cut, i);
		assert_int_equal(seal_unmask(&s->rx, it->bytes, it->len), seal_unmask(&s->rx, before->bytes, before->len) + (i > 0));
		if (i % 255 == 0)
			segment =
			    (struct segment){.id = le16_at(plain + INNER_HEADER + 4), .n = (uint8_t)(cut.n - i < 255 ? cut.n - i : 255)};
		cut_segment(&cut, i, expected + encap_offset(c), &lacks);
		assert_int_equal(encap_whole(&e, c, &lacks, &segment, expected, frame_len), plain_len);
		assert_memory_equal(plain, expected, plain_len);
	}
	return cut.n;
}

/* One superframe from 0 to 1 over this way, to each kind of device and of peer. */
static void tcp_over(const struct recipe *r, uint32_t gso, uint16_t way)
{
	static const unsigned may[] = {TAP_ALL, TAP_CSUM, 0};
	way_set(0, 1, NULL, way);
	for (unsigned k = 0; k < 6; k++) {
		bool knows = k < 3;
		uint32_t most = way - 20u - (knows ? 8 : 0) - (uint32_t)recipe_headers(r), size = gso < most ? gso : most;
		unsigned n = (r->bytes + size - 1) / size;
		size_t len = recipe_between(r, true, 0, 1, whole);
		struct offload o = recipe_offload(r, gso);
		bed.host[0].session[1]->peer_caps = knows ? ALL_CAPS : 0;
		bed.host[1].tap.offloads = may[k % 3];
		tap_give_offload(0, whole, len, &o);
		step(0);
		segments_on_wire(n, knows ? FRAME_FLAGS : 0, way);
		assert_int_equal(whole_on_wire(0, len, &o, way), n);
		step_all(1);
		o.size = (uint16_t)size;
		if (k % 3)
			segments_written(r, size, k == 1);
		else if (n == 1)
			written_is(1, 0, whole, len, knows ? recipe_offload(r, 0) : (struct offload){0});
		else
			written_is(1, 0, whole, len, o);
		if (k % 3 == 0)
			assert_int_equal(n_written(1), 1);
		emptied(1);
	}
	counters_agree(0, 1);
}

static void tcp(void **state)
{
	(void)state;
	static const uint8_t flags[] = {0x10, 0x19, 0x98, 0xd1};
	static const uint16_t ways[] = {1232, 1472, 8972};
	for (unsigned v6 = 0; v6 < 2; v6++)
		for (unsigned k = 0; k < 4; k++)
			for (unsigned w = 0; w < 3; w++) {
				struct recipe r = plain_recipe(v6, false, 0);
				r.flags = flags[k];
				r.tos = k == 2 ? 2 : 0;
				r.tcp_extra = (uint8_t)(k == 3 ? 40 : k * 4);
				r.ip_extra = k == 3 ? 16 : 0;
				r.vlans = (uint8_t)(k == 1 ? 1 : k == 2 ? 2 : 0);
				r.bytes = (uint32_t)(65535 - (recipe_headers(&r) - recipe_l3(&r)) - (v6 ? 0 : k * 11));
				tcp_over(&r, w == 2 && k == 3 ? 8000 : 1400, ways[w]);
				r.bytes = 1401 + 977 * k;
				tcp_over(&r, 1400, ways[w]);
			}
}

static void tcp_relayed(void **state)
{
	(void)state;
	circuits(true);
	struct recipe r = plain_recipe(false, false, 60000);
	struct offload o = recipe_offload(&r, 1448);
	size_t len = recipe_between(&r, true, 0, 1, whole);
	uint32_t size = 1232 - LEG_HEADER - 20 - 8 - 54;
	tap_give_offload(0, whole, len, &o);
	step(0);
	assert_int_equal(wire_to(RELAY)->n, (60000 + size - 1) / size);
	for (unsigned i = 0; i < wire_to(RELAY)->n; i++)
		assert_true(wire_to(RELAY)->item[i].len <= 1232);
	step_all(RELAY);
	step_all(1);
	o.size = (uint16_t)size;
	written_is(1, 0, whole, len, o);
	assert_int_equal(n_written(1), 1);
	counters_agree(0, 1);
	assert_int_equal(drops(RELAY), 0);
}

/* A frame of a large MTU on a way of 1472: cut, not in pieces. */
static void jumbo(void **state)
{
	(void)state;
	way_set(0, 1, NULL, 1472);
	uint64_t bytes = 0, segments = 0, headers = 0;
	for (unsigned k = 0; k < 8; k++) {
		bool v6 = k & 1, partial = k & 2, knows = k & 4;
		struct recipe r = plain_recipe(v6, false, 9000 - (v6 ? 60 : 40));
		r.flags = 0x18;
		struct offload given = partial ? recipe_offload(&r, 0) : (struct offload){0};
		uint32_t size = 1472 - 20u - (knows ? 8 : 0) - (uint32_t)recipe_headers(&r);
		bed.host[0].session[1]->peer_caps = knows ? ALL_CAPS : CAP_BUNDLE;
		size_t len = recipe_between(&r, partial, 0, 1, whole);
		tap_give_offload(0, whole, len, &given);
		step(0);
		unsigned n = (r.bytes + size - 1) / size;
		bytes += len;
		segments += n;
		headers += (n - 1) * recipe_headers(&r);
		segments_on_wire(n, knows ? FRAME_FLAGS : 0, 1472);
		step_all(1);
		recipe_between(&r, true, 0, 1, whole);
		written_is(1, 0, whole, len, recipe_offload(&r, size));
		assert_int_equal(n_written(1), 1);
		emptied(1);
	}
	/* Here the device had one frame of each, there one gets superframes. */
	const struct traffic *tx = &bed.host[0].port->count[0].carried, *rx = &bed.host[1].port->count[0].carried;
	assert_true(atomic_load(&tx->tx_frames) == 8 && atomic_load(&tx->tx_bytes) == bytes);
	assert_true(atomic_load(&rx->rx_frames) == segments && atomic_load(&rx->rx_bytes) == bytes + headers);
	assert_int_equal(drops(0) + drops(1), 0);
}

/* What must not be cut arrives as it was: a wrong sum, SYN with data, a fragment's worth of UDP. */
static void jumbo_in_pieces(void **state)
{
	(void)state;
	way_set(0, 1, NULL, 1472);
	for (unsigned k = 0; k < 5; k++) {
		struct recipe r = plain_recipe(k & 1, k == 3, 8900);
		bool partial = k == 4;
		if (k == 2 || k == 4)
			r.flags |= 2;
		struct offload given = partial ? recipe_offload(&r, 0) : (struct offload){0};
		size_t len = recipe_between(&r, partial, 0, 1, whole);
		if (k < 2)
			whole[recipe_l4(&r) + 16] ^= 0x10;
		tap_give_offload(0, whole, len, &given);
		step(0);
		assert_int_equal(wire_to(1)->n, 7);
		for (unsigned i = 0; i < wire_to(1)->n; i++) {
			wire_plain(1, 0, i, plain);
			assert_int_equal(plain[0], INNER_FRAG);
			assert_int_equal(plain[1], 0);
		}
		step_all(1);
		if (partial)
			recipe_between(&r, false, 0, 1, whole);
		written_is(1, 0, whole, len, (struct offload){0});
		assert_int_equal(n_written(1), 1);
		emptied(1);
	}
	counters_agree(0, 1);
}

/* ---- UDP -------------------------------------------------------------------------------------------------------- */

/* The datagrams written at h, whatever they were joined to: all of r's, cut at size. */
static void datagrams_written(unsigned h, const struct recipe *r, uint32_t size)
{
	uint32_t at = 0, headers = (uint32_t)recipe_headers(r);
	for (unsigned i = 0; i < n_written(h); i++) {
		const struct item *it = written(h, i);
		assert_true(it->len > headers);
		uint32_t bytes = it->len - headers;
		if (it->offload.gso)
			assert_int_equal(it->offload.size, size);
		else
			assert_true(bytes == size || at + bytes == r->bytes);
		assert_true(at % size == 0 && at + bytes <= r->bytes);
		assert_memory_equal(it->bytes + headers, r->payload + at, bytes);
		at += bytes;
	}
	assert_int_equal(at, r->bytes);
	emptied(h);
}

static void uso(void **state)
{
	(void)state;
	static const unsigned may[] = {TAP_ALL, TAP_CSUM, 0};
	for (unsigned k = 0; k < 12; k++) {
		struct recipe r = plain_recipe(k & 1, true, 40010);
		bool knows = k & 2;
		struct offload o = recipe_offload(&r, 1200);
		size_t len = recipe_between(&r, true, 0, 1, whole);
		way_set(0, 1, NULL, 1472);
		bed.host[0].session[1]->peer_caps = knows ? ALL_CAPS : 0;
		bed.host[1].tap.offloads = may[k / 4];
		tap_give_offload(0, whole, len, &o);
		step(0);
		segments_on_wire(34, knows ? FRAME_FLAGS : 0, 1472);
		step_all(1);
		if (k / 4 == 0) {
			written_is(1, 0, whole, len, o);
			assert_int_equal(n_written(1), 1);
			emptied(1);
		} else {
			segments_written(&r, 1200, knows && k / 4 == 1);
		}
		/* The next way is too short for the datagrams. */
		way_set(0, 1, NULL, 1232);
		tap_give_offload(0, whole, len, &o);
		step(0);
		assert_int_equal(wire_to(1)->n, 33 * 2 + 1);
		for (unsigned i = 0; i < wire_to(1)->n; i++) {
			wire_plain(1, 0, i, plain);
			assert_int_equal(plain[0], i < 66 ? INNER_FRAG : INNER_FRAME);
			assert_int_equal(plain[1], 0);
		}
		step_all(1);
		datagrams_written(1, &r, 1200);
	}
	counters_agree(0, 1);
}

/* ---- not to one who is there ------------------------------------------------------------------------------------ */

static void group(void **state)
{
	(void)state;
	for (unsigned udp = 0; udp < 2; udp++) {
		struct recipe r = plain_recipe(udp, udp, 20333);
		struct offload o = recipe_offload(&r, 1000);
		size_t len = recipe_between(&r, true, 0, HOSTS, whole);
		memcpy(whole, "\xff\xff\xff\xff\xff\xff", 6);
		bed.host[3].tap.offloads = 0;
		bed.host[0].session[2]->peer_caps = 0;
		tap_give_offload(0, whole, len, &o);
		step(0);
		for (unsigned h = 1; h < 4; h++) {
			for (unsigned i = 0; i < wire_to(h)->n; i++) {
				wire_plain(h, 0, i, plain);
				assert_int_equal(plain[0], INNER_EFRAME);
				assert_int_equal(plain[1], 0);
			}
			assert_int_equal(wire_to(h)->n, 21);
			step_all(h);
			assert_memory_equal(written(h, 0)->bytes, whole, 14);
			if (h < 3)
				written_is(h, 0, whole, len, o);
			assert_int_equal(n_written(h), h < 3 ? 1 : 21);
			datagrams_written(h, &r, 1000);
		}
	}
	counters_agree(0, 1);
	counters_agree(0, 2);
	counters_agree(0, 3);
}

static void unknown(void **state)
{
	(void)state;
	atomic_store(&bed.host[0].member[2].flags, MEMBER_BRIDGE);
	atomic_store(&bed.host[2].port->own_flags, MEMBER_BRIDGE);
	struct recipe r = plain_recipe(false, false, 60 * 900);
	struct offload o = recipe_offload(&r, 900);
	size_t len = recipe_between(&r, true, 0, 2, whole);
	memcpy(whole, "\x02\xaa\xbb\xcc\xdd\xee", 6);
	atomic_store(&bed.host[0].port->storm_frames, 25);
	tap_give_offload(0, whole, len, &o);
	step(0);
	/* Fifty at once, each segment counts for one. */
	assert_int_equal(worker_drop(bed.host[0].worker[0], DROP_STORM), 10);
	assert_int_equal(drops(0), 10);
	assert_int_equal(wire_to(2)->n, 50);
	assert_int_equal(wire_to(1)->n + wire_to(3)->n, 0);
	step_all(2);
	r.bytes = 50 * 900;
	datagrams_written(2, &r, 900);
	assert_int_equal(atomic_load(&bed.host[0].port->count[0].carried.tx_frames), 50);
	assert_int_equal(atomic_load(&bed.host[0].port->count[0].carried.tx_bytes),
	                 atomic_load(&bed.host[2].port->count[0].carried.rx_bytes));
}

/* Letters to control: complete frames, one per segment. */
static void without_session(void **state)
{
	(void)state;
	struct host *a = &bed.host[0];
	for (unsigned k = 0; k < 4; k++) {
		struct recipe r = plain_recipe(k & 1, k & 2, 29 * 1000 + 5);
		struct offload o = recipe_offload(&r, 1000);
		size_t len = recipe_between(&r, true, 0, k == 3 ? HOSTS : 1, whole);
		if (k == 0)
			atomic_store(&a->remote[1].session, NULL);
		else /* between the frame's coming and its turn */
			atomic_store(&a->remote[1].session, a->session[1]), a->session[1]->reject_ms = bed.now_us / 1000 + 1;
		tap_give_offload(0, whole, len, &o);
		bed.now_us += 1000;
		step(0);
		assert_int_equal(wire_to(1)->n, 0);
		for (unsigned i = 0; i < 30; i++) {
			struct letter *l = letter_expect(0, k == 3 ? LETTER_FLOOD_OUT : LETTER_FRAME_OUT);
			struct recipe s = recipe_segment(&r, 1000, i);
			assert_int_equal(l->len, recipe_between(&s, false, 0, k == 3 ? HOSTS : 1, other));
			assert_memory_equal(l->data, other, l->len);
			if (k == 3)
				assert_true(l->places == 1 && l->place[0] == a->member[1].slot);
			else
				assert_int_equal(l->address, a->member[1].address);
			letter_done(0, l);
		}
		letter_none(0);
		assert_int_equal(drops(0), 0);
		assert_int_equal(wire_to(2)->n, k == 3 ? 30 : 0);
	}
	/* More than the ring takes. */
	struct recipe r = plain_recipe(false, false, 30000);
	struct offload o = recipe_offload(&r, 100);
	tap_give_offload(0, whole, recipe_between(&r, true, 0, 1, whole), &o);
	step(0);
	assert_int_equal(worker_drop(a->worker[0], DROP_MAIL_FULL), 300 - MAIL_LETTERS / 2);
	assert_int_equal(drops(0), 300 - MAIL_LETTERS / 2);
}

static void expired_at_receiver(void **state)
{
	(void)state;
	struct recipe r = plain_recipe(false, false, 30000);
	struct offload o = recipe_offload(&r, 1000);
	tap_give_offload(0, whole, recipe_between(&r, true, 0, 1, whole), &o);
	step(0);
	bed.host[1].session[0]->reject_ms = bed.now_us / 1000;
	step_all(1);
	assert_int_equal(worker_drop(bed.host[1].worker[0], DROP_EXPIRED), 30);
	assert_int_equal(drops(1), 30);
	assert_int_equal(n_written(1), 0);
}

/* What the device says of its own frame and nobody can follow: no loop, one counter each. */
static void strange_superframes(void **state)
{
	(void)state;
	struct recipe r = plain_recipe(false, false, 30000);
	for (unsigned k = 0; k < 8; k++) {
		struct offload o = recipe_offload(&r, 1000);
		size_t len = recipe_between(&r, true, 0, k == 6 ? HOSTS : 1, whole);
		switch (k) {
		case 0: o.size = 0; break;
		case 1: o.gso = GSO_TCP6; break;
		case 2: o.gso = GSO_UDP; break;
		case 3: o.csum_start = 60000; break;
		case 4: o.csum_offset = 6; break;
		case 5: whole[14 + 9] = 47; break;
		case 6: whole[12] = 0x88; break;
		default: len = 20; break;
		}
		tap_give_offload(0, whole, len, &o);
		expect_drop(0, DROP_OFFLOAD, step(0));
		for (unsigned h = 1; h < 4; h++)
			assert_int_equal(wire_to(h)->n, 0);
	}
	assert_int_equal(atomic_load(&bed.host[0].port->count[0].carried.tx_frames), 0);
	assert_int_equal(atomic_load(&bed.host[0].port->count[0].carried.tx_bytes), 0);
}

/* A TAP that takes nothing: frames and bytes of joined ones are taken back whole. */
static void refused_by_tap(void **state)
{
	(void)state;
	struct recipe r = plain_recipe(false, false, 30000);
	struct offload o = recipe_offload(&r, 1000);
	bed.host[1].tap.refuse = true;
	tap_give_offload(0, whole, recipe_between(&r, true, 0, 1, whole), &o);
	step(0);
	step_all(1);
	assert_int_equal(worker_drop(bed.host[1].worker[0], DROP_TAP_WRITE), 30);
	assert_int_equal(drops(1), 30);
	assert_int_equal(atomic_load(&bed.host[1].port->count[0].carried.rx_frames), 0);
	assert_int_equal(atomic_load(&bed.host[1].port->count[0].carried.rx_bytes), 0);
}

/* ---- many ------------------------------------------------------------------------------------------------------- */

static void several_ids(void **state)
{
	(void)state;
	struct recipe r = plain_recipe(false, false, 400 * 100 - 1);
	struct offload o = recipe_offload(&r, 100);
	size_t len = recipe_between(&r, true, 0, 1, whole);
	tap_give_offload(0, whole, len, &o);
	step(0);
	assert_int_equal(wire_to(1)->n, 400);
	assert_int_equal(whole_on_wire(0, len, &o, 1232), 400);
	unsigned first = 0;
	for (unsigned i = 0; i < 400; i++) {
		wire_plain(1, 0, i, plain);
		const uint8_t *segment = plain + INNER_HEADER + 4;
		if (i == 0)
			first = le16_at(segment);
		assert_int_equal(le16_at(segment), (uint16_t)(first + i / 255));
		assert_int_equal(segment[2], i % 255);
		assert_int_equal(segment[3], i < 255 ? 255 : 145);
	}
	step_all(1);
	datagrams_written(1, &r, 100);
	counters_agree(0, 1);
}

static void one_byte_each(void **state)
{
	(void)state;
	struct timespec from, to;
	struct recipe r = plain_recipe(false, false, 65535 - 40);
	struct offload o = recipe_offload(&r, 1);
	bed.host[0].udp.refuse = true; /* so many find no room on this wire */
	tap_give_offload(0, whole, recipe_between(&r, true, 0, 1, whole), &o);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &from);
	step(0);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &to);
	assert_int_equal(worker_drop(bed.host[0].worker[0], DROP_SEND), r.bytes);
	assert_int_equal(drops(0), r.bytes);
	assert_true(to.tv_sec - from.tv_sec < 20);
	assert_int_equal(atomic_load(&bed.host[0].port->count[0].carried.tx_frames), r.bytes);
}

/* Three in one turn, more than the slab of datagrams holds, and one between frames to another peer and small ones of the same flow: who gets what, in
 * which order and numbered how is the same as if each had come alone. */
static void several_at_once(void **state)
{
	(void)state;
	struct recipe r = plain_recipe(false, false, 60000), small = plain_recipe(false, false, 10);
	struct offload o = recipe_offload(&r, 1100);
	size_t len = recipe_between(&r, true, 0, 1, whole);
	for (unsigned i = 0; i < 3; i++)
		tap_give_offload(0, whole, len, &o);
	step(0);
	unsigned n = whole_on_wire(0, len, &o, 1232);
	assert_int_equal(n, 55);
	assert_int_equal(wire_to(1)->n, 3 * n);
	assert_int_equal(whole_on_wire(n, len, &o, 1232), n);
	assert_int_equal(whole_on_wire(2 * n, len, &o, 1232), n);
	step_all(1);
	counters_agree(0, 1);
	emptied(1);

	r.bytes = 20000;
	len = recipe_between(&r, true, 0, 1, whole);
	for (unsigned i = 0; i < 2; i++) {
		tap_give(0, other, recipe_between(&small, false, 0, 2, other));
		tap_give(0, other, recipe_between(&small, false, 0, 1, other));
		if (!i)
			tap_give_offload(0, whole, len, &o);
	}
	step(0);
	assert_int_equal(wire_to(2)->n, 2);
	assert_int_equal(whole_on_wire(1, len, &o, 1232), 19);
	assert_int_equal(wire_to(1)->n, 1 + 19 + 1);
	for (unsigned i = 0; i <= 20; i += 20) {
		wire_plain(1, 0, i, plain);
		assert_int_equal(plain[0], INNER_FRAME);
		assert_int_equal(plain[1], 0);
	}
	step_all(1);
	step_all(2);
	assert_int_equal(n_written(2), 2);
	assert_int_equal(n_written(1), 3);
	assert_int_equal(drops(0), 0);
}

/* ---- an unkind wire --------------------------------------------------------------------------------------------- */

static void wire_move(unsigned from, unsigned to)
{
	struct queue *q = wire_to(1);
	struct item *it = malloc(sizeof(*it));
	assert_non_null(it);
	*it = q->item[from];
	for (unsigned i = from; i < to; i++)
		q->item[i] = q->item[i + 1];
	for (unsigned i = from; i > to; i--)
		q->item[i] = q->item[i - 1];
	q->item[to] = *it;
	free(it);
}

/* A lost datagram costs one segment, a late one costs no other; what is there arrives in the order of its arrival. */
static void lost_and_late(void **state)
{
	(void)state;
	static uint8_t expected[65536];
	for (unsigned k = 0; k < 4; k++)
		for (unsigned at = 0; at < 30; at++)
			for (unsigned late = 0; late < 2; late++) {
				struct recipe r = plain_recipe(k & 1, k & 2, 29 * 1000 + 500);
				struct offload o = recipe_offload(&r, 1000);
				uint64_t before = atomic_load(&bed.host[1].port->count[0].carried.rx_frames);
				unsigned to = late ? (at + 7) % 30 : 29;
				size_t n = 0, got = 0, headers = recipe_headers(&r);
				tap_give_offload(0, whole, recipe_between(&r, true, 0, 1, whole), &o);
				step(0);
				wire_move(at, to);
				wire_to(1)->n = late ? 30 : 29;
				unsigned order[30], frames = wire_to(1)->n;
				for (unsigned i = 0; i < 30; i++)
					order[i] = i;
				memmove(order + at, order + at + 1, (29 - at) * sizeof(order[0]));
				memmove(order + to + 1, order + to, (29 - to) * sizeof(order[0]));
				order[to] = at;
				for (unsigned i = 0; i < frames; i++) {
					size_t bytes = order[i] < 29 ? 1000 : 500;
					memcpy(expected + n, payload + order[i] * 1000, bytes);
					n += bytes;
				}
				step_all(1);
				for (unsigned i = 0; i < n_written(1); i++) {
					const struct item *it = written(1, i);
					assert_true(got + it->len - headers <= n);
					assert_memory_equal(it->bytes + headers, expected + got, it->len - headers);
					got += it->len - headers;
				}
				assert_int_equal(got, n);
				assert_int_equal(atomic_load(&bed.host[1].port->count[0].carried.rx_frames) - before, frames);
				if (!late) /* two halves; one when an end is missing, or when nothing in the headers tells: UDP over IPv6 */
					assert_int_equal(n_written(1), at == 0 || at == 29 || k == 3 ? 1 : 2);
				emptied(1);
			}
	assert_int_equal(drops(0) + drops(1), 0);
}

/* Two senders' datagrams in one batch, mixed: both superframes come out whole. */
static void two_senders(void **state)
{
	(void)state;
	uint64_t seed = 5;
	for (unsigned k = 0; k < 8; k++) {
		struct recipe r[2] = {plain_recipe(k & 1, k & 2, 28 * 1000 + 1), plain_recipe(k & 1, k & 2, 30 * 1000)};
		unsigned same = k & 4; /* ports and addresses too: no flow of ours, but nothing may be lost or mixed */
		r[1].flow = same ? 0 : 1;
		r[1].payload = payload + 30000;
		for (unsigned i = 0; i < 2; i++) {
			struct offload o = recipe_offload(&r[i], 1000);
			tap_give_offload(2 * i, whole, recipe_between(&r[i], true, 2 * i, 1, whole), &o);
			step(2 * i);
		}
		assert_int_equal(wire_to(1)->n, 59);
		for (unsigned a = 0, b = 29; a < b && b < 59; a++) /* riffled: each in its own order */
			if (dice(&seed) & 1)
				wire_move(b++, a);
		step_all(1);
		uint32_t got[2] = {0};
		for (unsigned i = 0; i < n_written(1); i++) {
			const struct item *it = written(1, i);
			unsigned who = memcmp(it->bytes + 6, bed.host[0].port->mac, 6) ? 1 : 0;
			uint32_t bytes = it->len - (uint32_t)recipe_headers(&r[who]);
			assert_true(got[who] + bytes <= r[who].bytes);
			assert_memory_equal(it->bytes + recipe_headers(&r[who]), r[who].payload + got[who], bytes);
			got[who] += bytes;
		}
		assert_int_equal(got[0], r[0].bytes);
		assert_int_equal(got[1], r[1].bytes);
		if (!same)
			assert_int_equal(n_written(1), 2);
		emptied(1);
	}
	assert_int_equal(drops(0) + drops(1) + drops(2), 0);
}

/* ---- bundles ---------------------------------------------------------------------------------------------------- */

/* Frame k of a turn: length 60 to 300, to one host or another. */
static size_t small(unsigned k, unsigned to, uint8_t *out)
{
	size_t len = frame_make(out, 0, to, 60 + k * 97 % 241);
	out[14] = (uint8_t)k;
	return len;
}

static unsigned bundled_frames(unsigned to, uint16_t way)
{
	struct arrived arrived[BUNDLE_MAX];
	unsigned n, all = 0;
	for (unsigned i = 0; i < wire_to(to)->n; i++) {
		size_t len = wire_plain(to, 0, i, plain);
		assert_true(wire_to(to)->item[i].len <= way);
		assert_int_equal(decap_split(plain, len, arrived, &n), DROP_NONE);
		assert_int_equal(le16_at(plain + 2), chan_of(to));
		assert_true(plain[0] == INNER_BUNDLE ? n > 1 && n <= BUNDLE_MAX : n == 1);
		all += n;
	}
	return all;
}

static void bundles(void **state)
{
	(void)state;
	static const uint16_t ways[] = {300, 1232, 1472, 8972};
	for (unsigned w = 0; w < 4; w++)
		for (unsigned k = 0; k < 6; k++) {
			unsigned members = 1 + k % 3, run = k < 3 ? 1 : 20; /* taking turns, or in rows */
			bool knows = !(w == 1 && k == 0);
			for (unsigned h = 1; h <= members; h++) {
				way_set(0, h, NULL, ways[w]);
				bed.host[0].session[h]->peer_caps = knows ? CAP_BUNDLE : CAP_SEG;
			}
			for (unsigned i = 0; i < 64; i++)
				tap_give(0, whole, small(i, 1 + i / run % members, whole));
			assert_int_equal(step(0), 64);
			unsigned seen[HOSTS] = {0}, expected = 0;
			for (unsigned h = 1; h <= members; h++) {
				unsigned n = wire_to(h)->n;
				if (ways[w] > 300)
					expected += bundled_frames(h, ways[w]);
				if (!knows)
					assert_int_equal(n, 64);
				else if (members == 1 && ways[w] == 8972)
					assert_int_equal(n, 8); /* no longer than 1472 bytes */
				else if (members == 1 && ways[w] == 1232)
					assert_in_range(n, 10, 14); /* 180 bytes each */
				step_all(h);
			}
			assert_int_equal(expected, ways[w] > 300 ? 64 : 0);
			for (unsigned i = 0; i < 64; i++) {
				unsigned h = 1 + i / run % members;
				size_t len = small(i, h, whole);
				written_is(h, seen[h]++, whole, len, (struct offload){0});
			}
			for (unsigned h = 1; h <= members; h++) {
				assert_int_equal(n_written(h), seen[h]);
				emptied(h);
				assert_int_equal(drops(h), 0);
			}
			assert_int_equal(drops(0), 0);
		}
}

/* Pure ACKs whose checksums are partial, among others. */
static void bundles_partial(void **state)
{
	(void)state;
	for (unsigned round = 0; round < 2; round++) {
		bed.host[1].tap.offloads = round ? TAP_ALL : 0;
		for (unsigned i = 0; i < 60; i++) {
			struct recipe r = plain_recipe(i & 1, i % 3 == 0, i % 3 == 0 ? 20 : 0);
			r.flow = (uint16_t)i;
			r.ack = i;
			struct offload o = i % 5 ? recipe_offload(&r, 0) : (struct offload){0};
			tap_give_offload(0, whole, recipe_between(&r, i % 5, 0, i % 7 ? 1 : HOSTS, whole), &o);
		}
		step(0);
		assert_in_range(wire_to(1)->n, 4, 16);
		step_all(1);
		assert_int_equal(n_written(1), 60);
		for (unsigned i = 0; i < 60; i++) {
			struct recipe r = plain_recipe(i & 1, i % 3 == 0, i % 3 == 0 ? 20 : 0);
			r.flow = (uint16_t)i;
			r.ack = i;
			bool partial = round && i % 5 && i % 7;
			size_t len = recipe_between(&r, partial, 0, i % 7 ? 1 : HOSTS, whole);
			if (i % 7) /* to many it may have been made complete */
				written_once(1, whole, len, partial ? recipe_offload(&r, 0) : (struct offload){0});
		}
		emptied(1);
	}
	counters_agree(0, 1);
}

/* One flow, small and large by turns: company must not bring a small frame in front of a large one. */
static void bundles_in_order(void **state)
{
	(void)state;
	struct recipe r = plain_recipe(false, false, 0);
	for (unsigned i = 0; i < 40; i++) {
		r.ack = i;
		r.bytes = i % 4 == 2 ? 900 : 10 + i;
		tap_give(0, whole, recipe_between(&r, false, 0, 1, whole));
	}
	step(0);
	assert_in_range(wire_to(1)->n, 20, 30); /* some of them in company */
	step_all(1);
	assert_int_equal(n_written(1), 40);
	for (unsigned i = 0; i < 40; i++) {
		r.ack = i;
		r.bytes = i % 4 == 2 ? 900 : 10 + i;
		written_is(1, i, whole, recipe_between(&r, false, 0, 1, whole), (struct offload){0});
	}
	emptied(1);
	counters_agree(0, 1);
}

/* Small frames behind a superframe with a short end: the segment stays alone, the frames travel together. */
static void bundle_behind_segments(void **state)
{
	(void)state;
	struct recipe r = plain_recipe(false, false, 3040);
	struct offload o = recipe_offload(&r, 1000);
	size_t len = recipe_between(&r, true, 0, 1, whole);
	tap_give_offload(0, whole, len, &o);
	for (unsigned i = 0; i < 4; i++)
		tap_give(0, other, small(i, 1, other));
	assert_int_equal(step(0), 5);
	assert_int_equal(wire_to(1)->n, 5);
	assert_int_equal(bundled_frames(1, 1232), 8);
	for (unsigned i = 0; i < 5; i++) {
		wire_plain(1, 0, i, plain);
		assert_int_equal(plain[0], i < 4 ? INNER_FRAME : INNER_BUNDLE);
	}
	step_all(1);
	written_is(1, 0, whole, len, o);
	for (unsigned i = 0; i < 4; i++)
		written_is(1, 1 + i, other, small(i, 1, other), (struct offload){0});
	assert_int_equal(n_written(1), 5);
	counters_agree(0, 1);
}

/* A bundle of a closed channel is one letter, which control takes apart. */
static void bundle_in_letter(void **state)
{
	(void)state;
	struct arrived arrived[BUNDLE_MAX];
	static uint8_t out[FRAG_FRAME_MAX];
	atomic_store(&bed.host[1].member[0].rx_open, false);
	unsigned n, all = 0;
	for (unsigned i = 0; i < 30; i++)
		tap_give(0, whole, small(i, 1, whole));
	step(0);
	unsigned datagrams = wire_to(1)->n;
	assert_true(datagrams < 10);
	step_all(1);
	for (unsigned i = 0; i < datagrams; i++) {
		struct letter *l = letter_expect(1, LETTER_FRAME_IN);
		assert_int_equal(l->data[0], INNER_BUNDLE);
		assert_int_equal(decap_split(l->data, l->len, arrived, &n), DROP_NONE);
		for (unsigned k = 0; k < n; k++, all++) {
			struct packet p = {0};
			assert_int_equal(decap_frame(&arrived[k], bed.host[0].port->mac, bed.host[1].port->mac, out, &p), DROP_NONE);
			assert_int_equal(p.len, small(all, 1, whole));
			assert_memory_equal(p.data, whole, p.len);
		}
		letter_done(1, l);
	}
	assert_int_equal(all, 30);
	assert_int_equal(drops(1), 0);
	assert_int_equal(n_written(1), 0);
}

/* Frames of two networks for one peer: no datagram has both. */
static void two_networks(void **state)
{
	(void)state;
	static struct tap second;
	struct host *a = &bed.host[0];
	struct port *port = calloc(1, sizeof(*port));
	struct member *m = calloc(1, sizeof(*m));
	struct roster *roster = calloc(1, sizeof(*roster) + sizeof(roster->member[0]));
	struct view *v = calloc(1, sizeof(*v));
	assert_true(port && m && roster && v);
	second.offloads = TAP_ALL;
	queue_init(&second.in[0], false);
	*port = (struct port){.nwid = NWID, .chan = 9, .tap = &second, .address = a->address, .fdb = a->port->fdb};
	memcpy(port->mac, a->port->mac, 6);
	atomic_store(&port->mtu, 1500);
	atomic_store(&port->open, true);
	m->remote = a->member[1].remote;
	m->address = a->member[1].address;
	memcpy(m->mac, a->member[1].mac, 6);
	atomic_store(&m->tx_chan, 77);
	roster->member[roster->n++] = m;
	atomic_store(&port->roster, roster);
	v->index = a->index;
	v->ports_generation = 2;
	v->ports[chan_of(0) - 1] = a->port;
	v->ports[8] = port;
	guestbook_publish(&a->book, v);
	for (unsigned i = 0; i < 20; i++) {
		size_t len = small(i, 1, whole);
		tap_give(0, whole, len);
		queue_put(&second.in[0], whole, (uint32_t)len, NULL);
	}
	assert_int_equal(step(0), 40);
	unsigned frames[2] = {0}, n;
	struct arrived arrived[BUNDLE_MAX];
	for (unsigned i = 0; i < wire_to(1)->n; i++) {
		size_t len = wire_plain(1, 0, i, plain);
		unsigned chan = le16_at(plain + 2);
		assert_true(chan == 77 || chan == chan_of(1));
		assert_int_equal(decap_split(plain, len, arrived, &n), DROP_NONE);
		frames[chan == 77] += n;
	}
	assert_int_equal(frames[0], 20);
	assert_int_equal(frames[1], 20);
	view_show(0, NULL, 0);
	step(0);
	guestbook_reap(&a->book);
	queue_fini(&second.in[0]);
	free(roster);
	free(m);
	free(port);
}

int main(void)
{
#define test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	    test(tcp),
	    test(tcp_relayed),
	    test(jumbo),
	    test(jumbo_in_pieces),
	    test(uso),
	    test(group),
	    test(unknown),
	    test(without_session),
	    test(expired_at_receiver),
	    test(strange_superframes),
	    test(refused_by_tap),
	    test(several_ids),
	    test(several_at_once),
	    test(one_byte_each),
	    test(bundles),
	    test(bundles_partial),
	    test(bundles_in_order),
	    test(bundle_in_letter),
	    test(bundle_behind_segments),
	    test(two_networks),
	    test(lost_and_late),
	    test(two_senders),
	};
	assert_int_equal(seal_setup(), 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
