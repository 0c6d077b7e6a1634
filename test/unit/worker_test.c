/* worker_test.c: frames between workers over a fake wire: out, in, in pieces, through a relay; replays, flips, every verdict. */
#include "worker_bed.h"

#include "proto/handshake.h"

static int setup(void **state)
{
	(void)state;
	bed_make(false);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	bed_free();
	return 0;
}

static uint8_t frame[5000];

/* ---- carrying --------------------------------------------------------------------------------------------------- */

static void unicast(void **state)
{
	(void)state;
	for (size_t len = 14; len <= 1212; len += len < 80 || len > 1200 ? 1 : 71) {
		frame_make(frame, 0, 1, len);
		tap_give(0, frame, len);
		assert_int_equal(turn(0), 1);
		assert_int_equal(wire_to(1)->n, 1);
		assert_int_equal(wire_to(1)->item[0].len, DATA_OVERHEAD + len - 12);
		assert_int_equal(wire_to(1)->item[0].bytes[0] & LANE_MASK, 1); /* worker 0 of 4 lanes */
		assert_int_equal(turn(1), 1);
		tap_expect(1, frame, len);
	}
	assert_int_equal(turn(0), 0);
	struct host *a = &bed.host[0], *b = &bed.host[1];
	assert_int_equal(atomic_load(&a->port->count[0].carried.tx_frames), atomic_load(&b->port->count[0].carried.rx_frames));
	assert_int_equal(atomic_load(&a->port->count[0].carried.tx_bytes), atomic_load(&b->port->count[0].carried.rx_bytes));
	assert_int_equal(atomic_load(&a->session[1]->foot[0].tx_bytes), atomic_load(&b->session[0]->foot[0].rx_bytes));
	assert_int_equal(session_last_tx(a->session[1]), bed.now_us / 1000);
	assert_int_equal(session_last_rx(b->session[0]), bed.now_us / 1000);
	assert_int_equal(drops(0) + drops(1), 0);
	assert_false(woken(0) || woken(1));
	assert_int_equal(atomic_load(&a->book.guest[0].at), 0); /* found nothing: left */
}

static void batch(void **state)
{
	(void)state;
	/* Two flows taking turns: each arrives whole and in order. */
	for (unsigned i = 0; i < 100; i++) {
		frame_make(frame, 0, 1 + i % 2, 100);
		frame[50] = (uint8_t)i;
		tap_give(0, frame, 100);
	}
	assert_int_equal(turn(0), 64);
	assert_int_equal(turn(0), 36);
	for (unsigned h = 1; h < 3; h++) {
		assert_int_equal(turn(h), 50);
		struct queue *q = &bed.host[h].tap.out[0];
		assert_int_equal(q->n, 50);
		for (unsigned i = 0; i < 50; i++)
			assert_int_equal(q->item[i].bytes[50], i * 2 + h - 1);
	}
	assert_int_equal(atomic_load(&bed.host[0].session[1]->next[1]), 50);
	assert_int_equal(drops(0) + drops(1) + drops(2), 0);
}

static void broadcast(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 40; i++) { /* 120 jobs: more than one slab of them */
		frame_make(frame, 0, HOSTS, 60);
		frame[20] = (uint8_t)i;
		tap_give(0, frame, 60);
	}
	assert_int_equal(turn(0), 40);
	for (unsigned h = 1; h < 4; h++) {
		assert_int_equal(turn(h), 40);
		struct queue *q = &bed.host[h].tap.out[0];
		assert_int_equal(q->n, 40);
		for (unsigned i = 0; i < 40; i++)
			assert_int_equal(q->item[i].bytes[20], i);
	}
	assert_int_equal(wire_to(RELAY)->n, 0);
	assert_int_equal(drops(0) + drops(1) + drops(2) + drops(3), 0);
}

static struct carried link_of(unsigned at, unsigned to)
{
	return traffic_sum(atomic_load(&bed.host[at].member[to].traffic), BED_WORKERS + 1);
}

/* The port has each frame once, whoever gets copies; a member what went to it or came from it. */
static void counted(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 5; i++) {
		frame_make(frame, 0, 1, 100);
		tap_give(0, frame, 100);
		frame_make(frame, 0, 2, 1000);
		tap_give(0, frame, 1000);
	}
	frame_make(frame, 0, HOSTS, 60);
	tap_give(0, frame, 60);
	frame_make(frame, 0, 1, 5000); /* in pieces */
	atomic_store(&bed.host[0].port->mtu, 9000);
	atomic_store(&bed.host[1].port->mtu, 9000);
	tap_give(0, frame, 5000);
	turn(0);
	frame_make(frame, 2, 1, 70);
	tap_give(2, frame, 70);
	turn(2);
	for (unsigned h = 1; h < 4; h++) {
		turn(h);
		bed.host[h].tap.out[0].n = 0;
	}
	struct carried c = port_carried(bed.host[0].port);
	assert_true(c.tx_frames == 12 && c.tx_bytes == 5 * 1100 + 60 + 5000 && !c.rx_frames && !c.rx_bytes);
	c = link_of(0, 1);
	assert_true(c.tx_frames == 7 && c.tx_bytes == 5 * 100 + 60 + 5000 && !c.rx_frames);
	c = link_of(0, 2);
	assert_true(c.tx_frames == 6 && c.tx_bytes == 5 * 1000 + 60);
	c = link_of(0, 3);
	assert_true(c.tx_frames == 1 && c.tx_bytes == 60);
	c = link_of(1, 0);
	assert_true(c.rx_frames == 7 && c.rx_bytes == 5 * 100 + 60 + 5000 && !c.tx_frames);
	c = link_of(1, 2);
	assert_true(c.rx_frames == 1 && c.rx_bytes == 70);
	c = port_carried(bed.host[1].port);
	assert_true(c.rx_frames == 8 && c.rx_bytes == 5 * 100 + 60 + 5000 + 70);
	assert_int_equal(drops(0) + drops(1) + drops(2) + drops(3), 0);
}

/* What a network lost is what its worker did, but for the reasons that come after sealing. */
static void network_drops(unsigned h, unsigned after)
{
	uint64_t of_port[DROP_COUNT], sum = 0;
	port_drops(bed.host[h].port, of_port);
	for (unsigned d = 1; d < DROP_COUNT; d++) {
		if (of_port[d])
			assert_int_equal(of_port[d], worker_drop(bed.host[h].worker[0], (enum drop)d));
		sum += of_port[d];
	}
	assert_int_equal(sum + after, drops(h));
}

static void swap_items(struct queue *q, unsigned i, unsigned j)
{
	struct item *t = malloc(sizeof(*t));
	*t = q->item[i];
	q->item[i] = q->item[j];
	q->item[j] = *t;
	free(t);
}

static void fragments(void **state)
{
	(void)state;
	for (unsigned to = 1; to <= HOSTS; to += HOSTS - 1) {
		frame_make(frame, 0, to, 1514);
		tap_give(0, frame, 1514);
		assert_int_equal(turn(0), 1);
		struct queue *q = wire_to(1);
		assert_int_equal(q->n, 2);
		assert_true(q->item[0].len <= 1232 && q->item[0].len - q->item[1].len <= 1);
		swap_items(q, 0, 1);
		queue_put(q, q->item[0].bytes, q->item[0].len, &q->item[0].from);
		expect_drop(1, DROP_REPLAY, assert_int_equal(turn(1), 3));
		tap_expect(1, frame, 1514);
	}
	/* One piece lost: nothing is delivered, one counter moves, later. */
	frame_make(frame, 0, 1, 1514);
	tap_give(0, frame, 1514);
	turn(0);
	wire_to(1)->n--;
	turn(1);
	bed.now_us += 499000;
	uint64_t before = drops(1);
	turn(1);
	assert_int_equal(drops(1), before);
	bed.now_us += 1000;
	expect_drop(1, DROP_FRAG_TIMEOUT, turn(1));
	tap_expect(1, NULL, 0);
	assert_int_equal(drops(0), 0);
}

/* Two workers share a lane and start counting frames alike: their pieces, mixed, are still two frames. */
static void fragments_of_two(void **state)
{
	(void)state;
	static uint8_t second[1514];
	struct queue *q = wire_to(1), *out = &bed.host[1].tap.out[0];
	bed.host[0].session[1]->tx_lanes = 2;
	tap_give(0, frame, frame_make(frame, 0, 1, 1514));
	frame_make(second, 0, 1, 1514);
	memset(second + 14, 0x77, 1500);
	queue_put(&bed.host[0].tap.in[1], second, 1514, NULL);
	turn(0);
	assert_int_equal(worker_turn(bed.host[0].worker[1], bed.now_us), 1);
	assert_int_equal(q->n, 4);
	swap_items(q, 1, 2);
	assert_int_equal(turn(1), 4);
	assert_int_equal(out->n, 2);
	assert_memory_equal(out->item[0].bytes, frame, 1514);
	assert_memory_equal(out->item[1].bytes, second, 1514);
	assert_int_equal(drops(1), 0);
}

static void longest(void **state)
{
	(void)state;
	static uint8_t big[9022];
	atomic_store(&bed.host[1].port->mtu, 9000);
	frame_make(big, 0, 1, 9014);
	tap_give(0, big, 9014);
	turn(0);
	assert_int_equal(wire_to(1)->n, 8);
	turn(1);
	tap_expect(1, big, 9014);
	way_set(0, 1, NULL, 9000);
	tap_give(0, big, 8960);
	turn(0);
	assert_int_equal(wire_to(1)->n, 1);
	turn(1);
	tap_expect(1, big, 8960);
	way_set(0, 1, NULL, 300); /* not even in 16 pieces */
	tap_give(0, big, 9014);
	expect_drop(0, DROP_FRAME_LONG, turn(0));
	assert_int_equal(drops(1), 0);
}

/* ---- through a relay -------------------------------------------------------------------------------------------- */

static void relayed(void **state)
{
	(void)state;
	circuits(true);
	struct relay_meter meter;
	meter_init(&meter, 0, 0);
	bed.leg[0]->meter = bed.leg[1]->meter = &meter;
	struct queue *at_relay = wire_to(RELAY), *at_b = wire_to(1);
	for (unsigned i = 0; i < 3; i++) {
		frame_make(frame, 0, 1, i ? 1514 : 700);
		tap_give(0, frame, i ? 1514 : 700);
		assert_int_equal(turn(0), 1);
		assert_int_equal(at_relay->n, i ? 2 : 1);
		assert_true(at_relay->item[0].len <= 1232);
		uint32_t len = at_relay->item[0].len;
		uint8_t inner[1232];
		memcpy(inner, at_relay->item[0].bytes + LEG_HEADER, len - LEG_HEADER);
		assert_int_equal(turn(RELAY), i ? 2 : 1);
		assert_int_equal(at_b->item[0].len, len);
		assert_memory_equal(at_b->item[0].bytes + LEG_HEADER, inner, len - LEG_HEADER);
		turn(1);
		tap_expect(1, frame, i ? 1514 : 700);
	}
	assert_int_equal(atomic_load(&bed.leg[1]->used_ms), bed.now_us / 1000); /* one way is use of both legs */
	/* and back */
	frame_make(frame, 1, 0, 300);
	tap_give(1, frame, 300);
	turn(1), turn(RELAY), turn(0);
	tap_expect(0, frame, 300);
	assert_int_equal(drops(0) + drops(1) + drops(RELAY), 0);
	letter_none(0);
	letter_none(1); /* what comes through a circuit is no roaming */
	for (unsigned h = 0; h < 2; h++) {
		assert_int_equal(atomic_load(&bed.leg[h]->used_ms), bed.now_us / 1000);
		assert_int_equal(atomic_load(&bed.host[h].circuit->used_ms), bed.now_us / 1000);
	}
	assert_true(atomic_load(&bed.leg[0]->far->sender.bytes) > 700 + 2 * 1514);
	assert_true(atomic_load(&meter.bytes) > 700 + 2 * 1514 + 300);
	assert_int_equal(atomic_load(&meter.senders), 2);
	assert_int_equal(atomic_load(&meter.dropped), 0);
}

/* A datagram as host 0 sends it to the relay, taken off the wire. */
static struct item leg_catch(size_t len)
{
	frame_make(frame, 0, 1, len);
	tap_give(0, frame, len);
	turn(0);
	assert_int_equal(wire_to(RELAY)->n, 1);
	return wire_to(RELAY)->item[--wire_to(RELAY)->n];
}

static void again(unsigned h, const struct item *it)
{
	queue_put(wire_to(h), it->bytes, it->len, &it->from);
}

static void relay_refuses(void **state)
{
	(void)state;
	circuits(true);
	struct item it = leg_catch(200);
	for (unsigned i = 0; i < LEG_HEADER + 32; i++) {
		struct item bad = it;
		bad.bytes[i] ^= (uint8_t)(i < 1 ? 0x10 : 1u << i % 8);
		again(RELAY, &bad);
		uint64_t before = drops(RELAY);
		turn(RELAY);
		assert_int_equal(drops(RELAY) - before, 1);
	}
	assert_int_equal(wire_to(1)->n, 0);
	assert_true(worker_drop(bed.host[RELAY].worker[0], DROP_LEG_TAG) >= LEG_HEADER + 28);
	again(RELAY, &it);
	again(RELAY, &it);
	expect_drop(RELAY, DROP_LEG_REPLAY, turn(RELAY));
	assert_int_equal(wire_to(1)->n, 1);
	struct item down = wire_to(1)->item[0];
	turn(1);
	tap_expect(1, frame, 200);
	again(1, &down);
	expect_drop(1, DROP_LEG_REPLAY, turn(1));

	it = leg_catch(200); /* no keys yet */
	uint32_t tx_idx = atomic_exchange(&bed.leg[0]->tx_idx, 0);
	again(RELAY, &it);
	expect_drop(RELAY, DROP_LEG_DEAD, turn(RELAY));
	atomic_store(&bed.leg[0]->tx_idx, tx_idx);
	it = leg_catch(200); /* nobody has accepted yet */
	atomic_store(&bed.leg[0]->twin, NULL);
	again(RELAY, &it);
	expect_drop(RELAY, DROP_LEG_DEAD, turn(RELAY));
	atomic_store(&bed.leg[0]->twin, bed.leg[1]);
	it = leg_catch(200);
	way_clear(RELAY, 1);
	again(RELAY, &it);
	expect_drop(RELAY, DROP_NO_PATH, turn(RELAY));
	assert_int_equal(wire_to(1)->n, 0);

	/* The way to the relay is lost at the node. */
	way_clear(0, RELAY);
	frame_make(frame, 0, 1, 100);
	tap_give(0, frame, 100);
	expect_drop(0, DROP_NO_PATH, turn(0));
}

static void relay_rate(void **state)
{
	(void)state;
	circuits(true);
	struct relay_meter meter;
	meter_init(&meter, 100000, 0); /* 50 000 at once */
	bed.leg[0]->meter = &meter;
	unsigned through = 0;
	for (unsigned round = 0; round < 2; round++) {
		for (unsigned i = 0; i < 100; i++) {
			frame_make(frame, 0, 1, 980); /* 1016 bytes as a leg packet */
			tap_give(0, frame, 980);
		}
		turn(0), turn(0);
		assert_int_equal(wire_to(RELAY)->item[0].len, LEG_HEADER + DATA_OVERHEAD + 968);
		turn(RELAY), turn(RELAY);
		through += wire_to(1)->n;
		wire_to(1)->n = 0;
		bed.now_us += 100000; /* 10 000 bytes more */
	}
	assert_int_equal(through, (50000 + 10000) / 1016);
	assert_int_equal(worker_drop(bed.host[RELAY].worker[0], DROP_LEG_RATE), 200 - through);
	assert_int_equal(drops(RELAY), 200 - through);
	assert_int_equal(atomic_load(&meter.bytes), through * 1016);
	assert_int_equal(atomic_load(&meter.dropped), 200 - through);
	assert_int_equal(atomic_load(&bed.leg[0]->far->sender.bytes), through * 1016);
	bed.leg[0]->meter = NULL;
}

static void leg_in_leg(void **state)
{
	(void)state;
	circuits(true);
	/* Sealed by the relay for B around a packet that names B's own leg. */
	uint8_t d[LEG_HEADER * 2 + 64] = {0};
	struct endpoint e = endpoint_of(RELAY);
	leg_seal(&bed.leg[1]->tx, bed.leg[1]->tx_idx, 1, d + LEG_HEADER, 64);
	leg_seal(&bed.leg[1]->tx, bed.leg[1]->tx_idx, 2, d, 64 + LEG_HEADER);
	queue_put(wire_to(1), d, sizeof(d), &e);
	expect_drop(1, DROP_LEG_NEST, turn(1));
}

/* ---- hostile wire ----------------------------------------------------------------------------------------------- */

static struct item data_catch(unsigned from, unsigned to, size_t len)
{
	frame_make(frame, from, to, len);
	tap_give(from, frame, len);
	turn(from);
	assert_int_equal(wire_to(to)->n, 1);
	return wire_to(to)->item[--wire_to(to)->n];
}

static void replays(void **state)
{
	(void)state;
	struct item it[5];
	for (unsigned i = 0; i < 5; i++)
		it[i] = data_catch(0, 1, 90);
	for (unsigned i = 0; i < 5; i++) {
		for (unsigned k = 0; k < 3; k++)
			again(1, &it[i]); /* three in one batch */
	}
	assert_int_equal(turn(1), 15);
	assert_int_equal(bed.host[1].tap.out[0].n, 5);
	assert_int_equal(worker_drop(bed.host[1].worker[0], DROP_REPLAY), 10);
	for (unsigned i = 0; i < 5; i++) {
		it[i].from.port++; /* from elsewhere as well */
		again(1, &it[i]);
		expect_drop(1, DROP_REPLAY, turn(1));
	}
	assert_int_equal(bed.host[1].tap.out[0].n, 5);
	letter_none(1); /* nor is it roaming */
}

static void bit_flips(void **state)
{
	(void)state;
	struct item it = data_catch(0, 1, 80);
	for (unsigned bit = 0; bit < it.len * 8; bit++) {
		struct item bad = it;
		bad.bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
		again(1, &bad);
		uint64_t before = drops(1);
		assert_int_equal(turn(1), 1);
		assert_int_equal(drops(1) - before, 1);
	}
	for (uint32_t len = 0; len < it.len; len++) {
		struct item bad = it;
		bad.len = len;
		again(1, &bad);
		uint64_t before = drops(1);
		turn(1);
		assert_int_equal(drops(1) - before, 1);
	}
	tap_expect(1, NULL, 0);
	letter_none(1);
	assert_true(atomic_load(&bed.host[1].session[0]->opens_failed) > 8 * 80);
	assert_int_equal(worker_drop(bed.host[1].worker[0], DROP_SHORT), 32);
	again(1, &it); /* after all that the true one still counts */
	turn(1);
	tap_expect(1, frame, 80);
}

static void data_verdicts(void **state)
{
	(void)state;
	struct host *b = &bed.host[1];
	uint8_t d[256];
	struct endpoint e = endpoint_of(0);
	struct session *ab = bed.host[0].session[1];

	size_t n = seal_by(ab, 3, "\0\0\0\0", 4, d, sizeof(d));
	b->session[0]->rx_lanes = 3;
	queue_put(wire_to(1), d, (uint32_t)n, &e);
	expect_drop(1, DROP_LANE, turn(1));
	b->session[0]->rx_lanes = 4;

	static const struct {
		const char *plain;
		size_t len;
		enum drop why;
	} cases[] = {
	    {"\x04\0\x08\0", 30, DROP_TYPE},      {"\x20\0\x08\0", 30, DROP_TYPE},      {"\xff\0\x08\0", 30, DROP_TYPE},
	    {"\x01\x01\x08\0", 30, DROP_OFFLOAD}, {"\x02\x02\x08\0", 30, DROP_OFFLOAD}, {"\x01\0\x08\0", 5, DROP_MALFORMED},
	    {"\x02\0\x08\0", 17, DROP_MALFORMED}, {"\x01\0\0\0", 30, DROP_CHAN},        {"\x01\0\x41\0", 30, DROP_CHAN},
	    {"\x01\0\x08\1", 30, DROP_CHAN},      {"\x03\0\x08\0", 10, DROP_MALFORMED}, {"\x03\0\x08\0", 40, DROP_FRAG},
	};
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint8_t plain[64] = {0};
		memcpy(plain, cases[i].plain, 4);
		inject(0, 1, plain, cases[i].len);
		expect_drop(1, cases[i].why, turn(1));
	}
	uint8_t pad[64] = {0};
	inject(0, 1, pad, 4);
	inject(0, 1, pad, 64);
	uint64_t before = drops(1);
	assert_int_equal(turn(1), 2);
	assert_int_equal(drops(1), before);
	letter_none(1);

	bed.now_us += REJECT_AFTER_MS * 1000ull;
	n = seal_by(ab, 0, "\0\0\0\0", 4, d, sizeof(d));
	queue_put(wire_to(1), d, (uint32_t)n, &e);
	expect_drop(1, DROP_EXPIRED, turn(1));
	tap_expect(1, NULL, 0);
}

static void frames_on_ctrl_class(void **state)
{
	(void)state;
	struct session *at_a = session_between(0, 1, CLASS_CTRL), *at_b = session_between(1, 0, CLASS_CTRL);
	atomic_store(&at_b->confirmed, true);
	index_put(bed.host[1].index, &at_b->named);
	for (uint8_t type = INNER_FRAME; type <= INNER_FRAG; type++) {
		uint8_t d[128], plain[40] = {type, 0, (uint8_t)chan_of(1)};
		struct endpoint e = endpoint_of(0);
		size_t n = seal_by(at_a, 0, plain, sizeof(plain), d, sizeof(d));
		queue_put(wire_to(1), d, (uint32_t)n, &e);
		expect_drop(1, DROP_CLASS, turn(1));
	}
	index_take(bed.host[1].index, &at_b->named);
	session_free(at_a);
	session_free(at_b);
}

/* EFRAME from 0 to 1 with these MACs. */
static void inject_eframe(const uint8_t *dst, const uint8_t *src, size_t len)
{
	uint8_t plain[2048] = {INNER_EFRAME, 0, (uint8_t)chan_of(1)};
	memcpy(plain + 4, dst, 6);
	memcpy(plain + 10, src, 6);
	inject(0, 1, plain, 4 + len);
}

static void frame_verdicts(void **state)
{
	(void)state;
	const uint8_t *a = bed.host[0].port->mac, *b = bed.host[1].port->mac, *c = bed.host[2].port->mac;
	static const uint8_t all[6] = {255, 255, 255, 255, 255, 255}, stp[6] = {1, 0x80, 0xc2}, other[6] = {2, 2, 2, 2, 2, 2};
	inject_eframe(b, other, 60);
	expect_drop(1, DROP_SOURCE_MAC, turn(1));
	inject_eframe(b, c, 60); /* another member's */
	expect_drop(1, DROP_SOURCE_MAC, turn(1));
	inject_eframe(all, b, 60);
	expect_drop(1, DROP_OWN_MAC, turn(1));
	inject_eframe(stp, a, 60);
	expect_drop(1, DROP_LINK_LOCAL, turn(1));
	inject_eframe(c, a, 60);
	expect_drop(1, DROP_NO_MEMBER, turn(1));
	atomic_store(&bed.host[1].port->mtu, 1000);
	inject_eframe(b, a, 1015);
	expect_drop(1, DROP_FRAME_LONG, turn(1));
	bed.host[1].tap.refuse = true;
	inject_eframe(b, a, 1014);
	expect_drop(1, DROP_TAP_WRITE, turn(1));
	bed.host[1].tap.refuse = false;
	inject_eframe(b, a, 1014);
	turn(1);
	assert_int_equal(bed.host[1].tap.out[0].n, 1);
	assert_int_equal(atomic_load(&bed.host[1].port->count[0].carried.rx_frames), 1);
	assert_int_equal(link_of(1, 0).rx_frames, 1);
	letter_none(1);
	network_drops(1, 0);
}

/* A datagram of ours that a bridge leads back into our device is not sent in another one; anybody else's of that port is. */
static void outbound_nested(void **state)
{
	static const uint8_t v4[] = {8, 0, 0x45, 0, 0, 48, 0, 0, 0, 0, 64, 17, 0, 0, 192, 0, 2, 1, 192, 0, 2, 9, 9993 >> 8, 9993 & 255};
	static const uint8_t v6[] = {0x86, 0xdd, 0x60, 0,   0,    0,        0,        8,         17,
	                             64,   0x20, 1,    0xd, 0xb8, [25] = 1, [41] = 9, 9993 >> 8, 9993 & 255};
	(void)state;
	frame_make(frame, 0, 1, 80);
	memcpy(frame + 12, v4, sizeof(v4));
	tap_give(0, frame, 80);
	expect_drop(0, DROP_NESTED, turn(0));
	frame[29] = 2; /* another host */
	tap_give(0, frame, 80);
	turn(0);
	frame[29] = 1;
	frame[35]++; /* another port */
	tap_give(0, frame, 80);
	turn(0);
	assert_int_equal(worker_drop(bed.host[0].worker[0], DROP_NESTED), 1);
	frame_make(frame, 0, 1, 80);
	memcpy(frame + 12, v6, sizeof(v6));
	tap_give(0, frame, 80);
	expect_drop(0, DROP_NESTED, turn(0));
	frame[37] = 2;
	tap_give(0, frame, 80);
	turn(0);
	tap_give(0, frame, 30); /* cut short */
	turn(0);
	assert_int_equal(worker_drop(bed.host[0].worker[0], DROP_NESTED), 2);
}

static void outbound_verdicts(void **state)
{
	(void)state;
	struct host *a = &bed.host[0];
	frame_make(frame, 0, 1, 60);
	tap_give(0, frame, 13);
	expect_drop(0, DROP_FRAME_SHORT, turn(0));
	frame_make(frame, 1, 2, 60);
	tap_give(0, frame, 60);
	expect_drop(0, DROP_SOURCE_MAC, turn(0));
	frame_make(frame, 0, HOSTS, 60);
	memcpy(frame, "\1\x80\xc2\0\0\x0e", 6);
	tap_give(0, frame, 60);
	expect_drop(0, DROP_LINK_LOCAL, turn(0));
	frame_make(frame, 0, 1, 60);
	frame[5] ^= 0x55;
	tap_give(0, frame, 60);
	expect_drop(0, DROP_NO_MEMBER, turn(0));
	frame_make(frame, 0, 0, 60);
	tap_give(0, frame, 60);
	expect_drop(0, DROP_NO_MEMBER, turn(0));
	a->udp.refuse = true;
	frame_make(frame, 0, 1, 60);
	tap_give(0, frame, 60);
	expect_drop(0, DROP_SEND, turn(0));
	a->udp.refuse = false;
	atomic_store(&a->session[1]->next[1], LANE_STOP);
	tap_give(0, frame, 60);
	expect_drop(0, DROP_LANE_FULL, turn(0));
	atomic_store(&a->port->open, false);
	tap_give(0, frame, 60);
	expect_drop(0, DROP_CHAN, turn(0));
	network_drops(0, 2); /* refused by the kernel, and without a number */
	for (unsigned h = 1; h < HOSTS; h++)
		assert_int_equal(wire_to(h)->n, 0);
	letter_none(0);
	atomic_store(&a->port->tap, NULL); /* control takes the device away while a turn still sees the port */
	tap_give(0, frame, 60);
	assert_int_equal(turn(0), 0);
	atomic_store(&a->port->tap, &a->tap);
	atomic_store(&a->port->open, true);
	a->tap.gone = true; /* the device is left alone, the turn goes on */
	assert_int_equal(turn(0), 0);
	a->tap.gone = false;
	tap_give(0, frame, 60);
	assert_int_equal(turn(0), 0);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	    T(unicast),           T(batch),
	    T(broadcast),         T(fragments),
	    T(fragments_of_two),  T(longest),
	    T(relayed),           T(relay_refuses),
	    T(relay_rate),        T(leg_in_leg),
	    T(replays),           T(bit_flips),
	    T(data_verdicts),     T(frames_on_ctrl_class),
	    T(frame_verdicts),    T(outbound_nested),
	    T(outbound_verdicts), T(counted),
	};
	assert_int_equal(seal_setup(), 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
