/* worker_mail_test.c: what a worker tells control, strangers at the gate. */
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

static uint8_t frame[2048];

/* ---- frames control has to take over ---------------------------------------------------------------------------- */

static void closed_channel(void **state)
{
	(void)state;
	struct member *a_at_b = &bed.host[1].member[0];
	for (unsigned why = 0; why < 5; why++) {
		atomic_store(&a_at_b->rx_open, why != 0);
		atomic_store(&bed.host[1].port->open, why != 1);
		atomic_store(&bed.host[1].session[0]->confirmed, why != 2);
		atomic_store(&bed.host[1].remote[0].member[chan_of(1) - 1], why == 3 ? NULL : a_at_b);
		frame_make(frame, 0, 1, 200);
		tap_give(0, frame, 200);
		turn(0);
		turn(1);
		if (why == 4) {
			tap_expect(1, frame, 200);
			break;
		}
		tap_expect(1, NULL, 0);
		assert_true(woken(1));
		struct letter *l = letter_expect(1, LETTER_FRAME_IN);
		assert_int_equal(l->idx, bed.host[1].session[0]->named.idx);
		assert_int_equal(l->len, INNER_HEADER + 188);
		assert_int_equal(l->data[0], INNER_FRAME);
		assert_int_equal(le16_at(l->data + 2), chan_of(1));
		assert_memory_equal(l->data + 4, frame + 12, 188);
		assert_int_equal(l->time_us, bed.now_us);
		assert_int_equal(l->size, 220);
		letter_done(1, l);
		letter_none(1);
	}
	/* A frame in pieces arrives whole in its letter. */
	atomic_store(&a_at_b->rx_open, false);
	frame_make(frame, 0, HOSTS, 1514);
	tap_give(0, frame, 1514);
	turn(0);
	turn(1);
	struct letter *l = letter_expect(1, LETTER_FRAME_IN);
	assert_int_equal(l->len, 1518);
	assert_memory_equal(l->data + 4, frame, 1514);
	letter_done(1, l);
	assert_int_equal(drops(1), 0);
}

static void no_session(void **state)
{
	(void)state;
	struct host *a = &bed.host[0];
	const struct way *way = atomic_load(&a->remote[1].way);
	for (unsigned why = 0; why < 4; why++) {
		atomic_store(&a->remote[1].session, why == 0 ? NULL : a->session[1]);
		atomic_store(&a->member[1].tx_chan, (uint16_t)(why == 1 ? 0 : chan_of(1)));
		atomic_store(&a->remote[1].way, why == 2 ? NULL : way);
		a->session[1]->reject_ms = why == 3 ? bed.now_us / 1000 : UINT64_MAX;
		frame_make(frame, 0, 1, 1000);
		tap_give(0, frame, 1000);
		frame_make(frame, 0, HOSTS, 300);
		tap_give(0, frame, 300);
		assert_int_equal(turn(0), 2);
		assert_true(woken(0));
		assert_int_equal(wire_to(1)->n, 0);
		assert_int_equal(wire_to(2)->n, 1 + why); /* the others have theirs */
		assert_int_equal(wire_to(3)->n, 1 + why);
		struct letter *l = letter_expect(0, LETTER_FRAME_OUT);
		frame_make(frame, 0, 1, 1000);
		assert_int_equal(l->len, 1000);
		assert_memory_equal(l->data, frame, 1000);
		assert_int_equal(l->chan, chan_of(0));
		assert_int_equal(l->address, bed.host[1].address);
		letter_done(0, l);
		l = letter_expect(0, LETTER_FLOOD_OUT);
		assert_int_equal(l->len, 300);
		assert_int_equal(l->chan, chan_of(0));
		assert_int_equal(l->generation, 11);
		assert_int_equal(l->places, 1);
		assert_int_equal(l->place[0], 0); /* member 1 stands first in 0's roster */
		assert_true(l->ring_from == l->ring_to && !l->origin);
		letter_done(0, l);
		letter_none(0);
	}
	assert_int_equal(drops(0), 0);
	/* Rings end, for frames at their half. */
	for (unsigned i = 0; i < MAIL_LETTERS + 3; i++) {
		frame_make(frame, 0, 1, 60);
		tap_give(0, frame, 60);
	}
	for (unsigned i = 0; i < 5; i++)
		turn(0);
	assert_int_equal(worker_drop(a->worker[0], DROP_MAIL_FULL), MAIL_LETTERS / 2 + 3);
	assert_int_equal(drops(0), MAIL_LETTERS / 2 + 3);
}

static void rekey(void **state)
{
	(void)state;
	atomic_store(&bed.host[0].session[1]->next[1], LANE_REKEY - 2);
	for (unsigned i = 0; i < 4; i++) {
		frame_make(frame, 0, 1, 60);
		tap_give(0, frame, 60);
		turn(0);
		if (i != 1) {
			letter_none(0);
			continue;
		}
		struct letter *l = letter_expect(0, LETTER_REKEY);
		assert_int_equal(l->idx, bed.host[0].session[1]->named.idx);
		letter_done(0, l);
	}
}

/* ---- what is control's anyway ----------------------------------------------------------------------------------- */

static void control_types(void **state)
{
	(void)state;
	static const struct {
		uint8_t type, kind;
	} types[] = {
	    {INNER_CTRL, LETTER_CTRL},
	    {INNER_PROBE, LETTER_PROBE},
	    {INNER_PROBE_ACK, LETTER_PROBE_ACK},
	    {INNER_CLOSE, LETTER_CLOSE},
	};
	for (unsigned confirmed = 0; confirmed < 2; confirmed++)
		for (unsigned i = 0; i < 4; i++) {
			uint8_t plain[100] = {types[i].type, 0, 0, 0, 0xaa, 0xbb};
			atomic_store(&bed.host[1].session[0]->confirmed, confirmed);
			inject(0, 1, plain, sizeof(plain));
			turn(1);
			struct letter *l = letter_expect(1, types[i].kind);
			struct endpoint from = endpoint_of(0);
			assert_int_equal(l->len, 96);
			assert_memory_equal(l->data, plain + 4, 96);
			assert_int_equal(l->size, 128);
			assert_int_equal(l->idx, bed.host[1].session[0]->named.idx);
			assert_int_equal(l->circuit, 0);
			assert_int_equal(l->socket, 1);
			assert_memory_equal(&l->from, &from, sizeof(from));
			letter_done(1, l);
			letter_none(1);
		}
	assert_int_equal(drops(1), 0);
}

/* What shows which session the other side chose: frames and PROBEs. What answers or may answer goes where the question came from. */
static void chosen(void **state)
{
	(void)state;
	static const struct {
		uint8_t type, kind;
		bool counts;
	} types[] = {
	    {INNER_CTRL, LETTER_CTRL, false},
	    {INNER_PROBE_ACK, LETTER_PROBE_ACK, false},
	    {INNER_CLOSE, LETTER_CLOSE, false},
	    {INNER_PROBE, LETTER_PROBE, true},
	};
	const struct session *s = bed.host[1].session[0];
	for (unsigned i = 0; i < 4; i++) {
		uint64_t before = session_last_chosen(s);
		uint8_t plain[100] = {types[i].type};
		bed.now_us += 1000000;
		inject(0, 1, plain, sizeof(plain));
		turn(1);
		assert_int_equal(session_last_rx(s), bed.now_us / 1000);
		assert_int_equal(session_last_chosen(s), types[i].counts ? bed.now_us / 1000 : before);
		letter_done(1, letter_expect(1, (enum letter_kind)types[i].kind));
	}
	bed.now_us += 1000000;
	frame_make(frame, 0, 1, 60);
	tap_give(0, frame, 60);
	turn(0);
	turn(1);
	assert_int_equal(session_last_chosen(s), bed.now_us / 1000);
}

static void confirm(void **state)
{
	(void)state;
	atomic_store(&bed.host[1].session[0]->confirmed, false);
	inject(0, 1, "\0\0\0\0", 4);
	turn(1);
	letter_done(1, letter_expect(1, LETTER_CONFIRM));
	inject(0, 1, "\x20\0\0\0", 4); /* authentic, if not understood */
	expect_drop(1, DROP_TYPE, turn(1));
	letter_done(1, letter_expect(1, LETTER_CONFIRM));
	frame_make(frame, 0, 1, 1514);
	tap_give(0, frame, 1514);
	turn(0);
	turn(1);
	letter_done(1, letter_expect(1, LETTER_CONFIRM));
	letter_done(1, letter_expect(1, LETTER_CONFIRM));
	letter_done(1, letter_expect(1, LETTER_FRAME_IN));
	letter_none(1);
}

static void through_circuit(void **state)
{
	(void)state;
	circuits(true);
	uint8_t d[256] = {0};
	struct endpoint e = endpoint_of(RELAY);
	size_t n = seal_by(bed.host[0].session[1], 0, "\x11\0\0\0abcdefgh", 12, d + LEG_HEADER, sizeof(d) - LEG_HEADER);
	leg_seal(&bed.leg[1]->tx, bed.leg[1]->tx_idx, 0, d, n);
	queue_put(wire_to(1), d, (uint32_t)(n + LEG_HEADER), &e);
	turn(1);
	struct letter *l = letter_expect(1, LETTER_PROBE);
	assert_int_equal(l->circuit, bed.host[1].circuit->named.idx);
	assert_int_equal(l->size, n);
	assert_int_equal(l->len, 8);
	letter_done(1, l);
	letter_none(1);
}

/* A leg that has no keys yet: control gets it as it came, so many at once and no more, and of a size that an answer can have. */
static void early_leg(void **state)
{
	(void)state;
	circuits(true);
	static uint8_t d[LEG_HEADER + INIT_MAX + 1];
	struct endpoint e = endpoint_of(RELAY);
	uint32_t tx_idx = atomic_exchange(&bed.host[1].circuit->tx_idx, 0);
	leg_seal(&bed.leg[1]->tx, bed.leg[1]->tx_idx, 0, d, sizeof(d) - LEG_HEADER);
	static const uint32_t wrong[] = {LEG_HEADER + RETRY_BYTES - 1, LEG_HEADER + INIT_MAX + 1};
	for (unsigned i = 0; i < 2; i++) {
		queue_put(wire_to(1), d, wrong[i], &e);
		expect_drop(1, DROP_LEG_DEAD, turn(1));
	}
	letter_none(1);
	unsigned taken = 0;
	for (unsigned i = 0; i < 40; i++) {
		uint64_t before = drops(1);
		queue_put(wire_to(1), d, LEG_HEADER + (i ? INIT_MAX : RETRY_BYTES), &e);
		turn(1);
		if (drops(1) != before)
			continue;
		struct letter *l = letter_expect(1, LETTER_LEG);
		assert_int_equal(l->circuit, bed.host[1].circuit->named.idx);
		assert_int_equal(l->idx, 0);
		assert_int_equal(l->len, LEG_HEADER + (i ? INIT_MAX : RETRY_BYTES));
		assert_memory_equal(l->data, d, l->len);
		letter_done(1, l);
		taken++;
	}
	assert_in_range(taken, 10, 20);
	letter_none(1);
	atomic_store(&bed.host[1].circuit->tx_idx, tx_idx);
}

static void roam(void **state)
{
	(void)state;
	uint8_t d[3][64];
	struct endpoint e = endpoint_of(0);
	size_t n = 0;
	for (unsigned i = 0; i < 3; i++)
		n = seal_by(bed.host[0].session[1], 0, "\0\0\0\0", 4, d[i], sizeof(d[i]));
	queue_put(wire_to(1), d[1], (uint32_t)n, &e);
	turn(1);
	letter_none(1); /* where it always was */
	e.port = 9;
	queue_put(wire_to(1), d[0], (uint32_t)n, &e);
	turn(1);
	letter_none(1); /* not the newest */
	queue_put(wire_to(1), d[2], (uint32_t)n, &e);
	turn(1);
	struct letter *l = letter_expect(1, LETTER_ROAM);
	assert_int_equal(l->from.port, 9);
	assert_int_equal(l->idx, bed.host[1].session[0]->named.idx);
	letter_done(1, l);
	for (unsigned i = 0; i < 4; i++) { /* once in 100 ms */
		bed.now_us += 33000;
		n = seal_by(bed.host[0].session[1], 0, "\0\0\0\0", 4, d[0], sizeof(d[0]));
		queue_put(wire_to(1), d[0], (uint32_t)n, &e);
		turn(1);
		if (i < 3)
			letter_none(1);
		else
			letter_done(1, letter_expect(1, LETTER_ROAM));
	}
	circuits(true); /* traffic goes by the relay, and now one comes straight */
	bed.now_us += 200000;
	e = endpoint_of(0);
	n = seal_by(bed.host[0].session[1], 0, "\0\0\0\0", 4, d[0], sizeof(d[0]));
	queue_put(wire_to(1), d[0], (uint32_t)n, &e);
	turn(1);
	letter_done(1, letter_expect(1, LETTER_ROAM));
	assert_int_equal(drops(1), 0);
}

static void pad_from(unsigned from, struct endpoint e)
{
	uint8_t d[64];
	size_t n = seal_by(bed.host[from].session[1], 0, "\0\0\0\0", 4, d, sizeof(d));
	queue_put(wire_to(1), d, (uint32_t)n, &e);
}

/* One letter, of that session and from there. */
static void roamed(unsigned peer, uint16_t port)
{
	struct letter *l = letter_expect(1, LETTER_ROAM);
	assert_int_equal(l->idx, bed.host[1].session[peer]->named.idx);
	assert_int_equal(l->from.port, port);
	letter_done(1, l);
	letter_none(1);
	bed.now_us += 200000;
}

/* What comes in one batch is asked for its source once, unless that is another one, or another's. */
static void roam_in_batch(void **state)
{
	(void)state;
	struct endpoint home = endpoint_of(0), away = home;
	away.port = 9;
	pad_from(0, home);
	pad_from(0, away);
	pad_from(0, away);
	turn(1);
	roamed(0, 9);
	pad_from(0, home);
	pad_from(0, home);
	away.ip[3]++;
	pad_from(0, away);
	turn(1);
	roamed(0, 9);
	pad_from(0, home); /* two behind one address, and only one is known to be there */
	pad_from(2, home);
	pad_from(0, home);
	turn(1);
	roamed(2, home.port);
	/* By the relay, as we send, and then straight from where the relay is. */
	circuits(true);
	frame_make(frame, 0, 1, 100);
	tap_give(0, frame, 100);
	turn(0);
	turn(RELAY);
	assert_int_equal(wire_to(1)->n, 1);
	home = wire_to(1)->item[0].from;
	pad_from(0, home);
	turn(1);
	roamed(0, home.port);
	assert_int_equal(drops(1), 0);
}

/* A node that sends its legs from another address: the relay forwards and tells. */
static void leg_roam(void **state)
{
	(void)state;
	circuits(true);
	for (unsigned i = 0; i < 4; i++) {
		frame_make(frame, 0, 1, 100);
		tap_give(0, frame, 100);
		turn(0);
		wire_to(RELAY)->item[0].from.port = (uint16_t)(i ? 99 : PORT_BASE);
		turn(RELAY);
		if (i == 1 || i == 3) {
			struct letter *l = letter_expect(RELAY, LETTER_ROAM);
			assert_int_equal(l->idx, 0);
			assert_int_equal(l->circuit, bed.leg[0]->named.idx);
			assert_int_equal(l->from.port, 99);
			letter_done(RELAY, l);
			bed.now_us += 99000;
		}
		letter_none(RELAY);
		if (i == 2)
			bed.now_us += 1000;
	}
	assert_int_equal(wire_to(1)->n, 4);
	assert_int_equal(drops(RELAY), 0);
}

static void pending_handshake(void **state)
{
	(void)state;
	struct pending pending = {.named = {.idx = 0x7770, .kind = INDEX_PENDING}};
	uint8_t d[200] = {0x70, 0x77};
	struct endpoint e = endpoint_of(3);
	index_put(bed.host[1].index, &pending.named);
	for (uint32_t len = 32; len <= 200; len++) {
		queue_put(wire_to(1), d, len, &e);
		if (len != RETRY_BYTES && len < RESP_MIN) {
			expect_drop(1, DROP_PENDING_LEN, turn(1));
			continue;
		}
		turn(1);
		struct letter *l = letter_expect(1, len == RETRY_BYTES ? LETTER_RETRY : LETTER_RESP);
		assert_int_equal(l->idx, 0x7770);
		assert_int_equal(l->len, len);
		assert_memory_equal(l->data, d, len);
		letter_done(1, l);
	}
	index_take(bed.host[1].index, &pending.named);
}

/* ---- strangers -------------------------------------------------------------------------------------------------- */

static struct secret responder;

static size_t init_make(const struct gate *gate, uint8_t *out)
{
	static struct handshake hs;
	struct init_payload payload = {.caps = CAP_CHACHA};
	struct secret self;
	memset(&self, 7, sizeof(self));
	size_t n = init_create(&hs, &self, &responder.self, gate, NULL, 0x990, &payload, out, INIT_SEND_MAX, NULL);
	assert_true(n >= INIT_MIN);
	handshake_fini(&hs);
	return n;
}

static void gates(void **state)
{
	(void)state;
	struct view_gate gate[3] = {{.direct = true}, {.direct = false}, {.direct = true}};
	struct gate strange;
	uint8_t secret[32], d[INIT_MAX + 64] = {0};
	struct endpoint e = endpoint_of(3);
	memset(responder.self.x, 9, 32);
	memset(responder.self.ed, 8, 32);
	identity_hash(&responder.self);
	for (unsigned i = 0; i < 3; i++) {
		memset(secret, (int)(i * 2), 32);
		gate_derive(&gate[2 - i].gate, responder.self.key_hash, secret);
	}
	memset(secret, 99, 32);
	gate_derive(&strange, responder.self.key_hash, secret);
	view_show(1, gate, 3);
	circuits(false);
	for (unsigned i = 0; i < 3; i++) {
		size_t n = init_make(&gate[i].gate, d + LEG_HEADER);
		queue_put(wire_to(1), d + LEG_HEADER, (uint32_t)n, &e);
		if (!gate[i].direct) {
			expect_drop(1, DROP_STRANGER, turn(1));
		} else {
			uint32_t before = atomic_load(&worker_mail(bed.host[1].worker[0])->strangers.head);
			turn(1);
			assert_int_equal(atomic_load(&worker_mail(bed.host[1].worker[0])->strangers.head), before + 1);
			struct letter *l = letter_expect(1, LETTER_INIT);
			assert_int_equal(l->len, n);
			assert_memory_equal(l->data, d + LEG_HEADER, n);
			assert_memory_equal(l->gate_secret, gate[i].gate.secret, 32);
			assert_int_equal(l->circuit, 0);
			letter_done(1, l);
		}
		leg_seal(&bed.leg[1]->tx, bed.leg[1]->tx_idx, i, d, n); /* through a circuit all gates count */
		queue_put(wire_to(1), d, (uint32_t)(n + LEG_HEADER), &e);
		uint32_t strangers = atomic_load(&worker_mail(bed.host[1].worker[0])->strangers.head);
		turn(1);
		assert_int_equal(atomic_load(&worker_mail(bed.host[1].worker[0])->strangers.head), strangers);
		struct letter *l = letter_expect(1, LETTER_INIT);
		assert_int_equal(l->len, n);
		assert_memory_equal(l->gate_secret, gate[i].gate.secret, 32);
		assert_int_equal(l->circuit, bed.host[1].circuit->named.idx);
		letter_done(1, l);
		d[LEG_HEADER + 40] ^= 1; /* mac1 covers it */
		queue_put(wire_to(1), d + LEG_HEADER, (uint32_t)n, &e);
		expect_drop(1, DROP_STRANGER, turn(1));
	}
	size_t n = init_make(&strange, d);
	queue_put(wire_to(1), d, (uint32_t)n, &e);
	expect_drop(1, DROP_STRANGER, turn(1));
	for (uint32_t len = 0; len <= INIT_MAX + 8; len += len < 40 || (len > 210 && len < 220) || len > 1228 ? 1 : 10) {
		queue_put(wire_to(1), d, len, &e);
		expect_drop(1, len < DATA_OVERHEAD ? DROP_SHORT : len < INIT_MIN || len > INIT_MAX ? DROP_INDEX : DROP_STRANGER, turn(1));
	}
	letter_none(1);
}

/* Garbage without end costs a bounded share, and peers do not feel it. */
static void flood(void **state)
{
	(void)state;
	struct view_gate gate = {.direct = true};
	uint8_t d[300] = {0}, id[32] = {1};
	struct endpoint e = endpoint_of(3);
	gate_derive(&gate.gate, id, gate_zero);
	view_show(1, &gate, 1);
	unsigned sent = 0;
	while (!worker_drop(bed.host[1].worker[0], DROP_BUDGET) && sent < 1000000) {
		for (unsigned i = 0; i < 64; i++, sent++)
			queue_put(wire_to(1), d, 250, &e);
		turn(1);
	}
	/* 25 ms of work, a quarter of it this worker's, 125 ns each */
	assert_in_range(sent, 50000, 50000 + 128);
	frame_make(frame, 0, 1, 100);
	tap_give(0, frame, 100);
	turn(0);
	turn(1);
	tap_expect(1, frame, 100);
	queue_put(wire_to(1), d, 250, &e);
	expect_drop(1, DROP_BUDGET, turn(1));
	bed.now_us += 10000;
	queue_put(wire_to(1), d, 250, &e);
	expect_drop(1, DROP_STRANGER, turn(1));
}

static void strangers_ring(void **state)
{
	(void)state;
	struct view_gate gate = {.direct = true};
	uint8_t d[INIT_MAX];
	struct endpoint e = endpoint_of(3);
	memset(responder.self.x, 9, 32);
	identity_hash(&responder.self);
	gate_derive(&gate.gate, responder.self.key_hash, gate_zero);
	view_show(1, &gate, 1);
	size_t n = init_make(&gate.gate, d);
	for (unsigned i = 0; i < MAIL_STRANGERS + 5; i++)
		queue_put(wire_to(1), d, (uint32_t)n, &e);
	turn(1), turn(1);
	assert_int_equal(worker_drop(bed.host[1].worker[0], DROP_MAIL_FULL), 5);
	assert_int_equal(drops(1), 5);
	inject(0, 1, "\x10\0\0\0abcd", 8);
	turn(1);
	letter_done(1, letter_expect(1, LETTER_CTRL)); /* first, and there was room */
}

static void link_local(void **state)
{
	(void)state;
	struct host *a = &bed.host[0], *b = &bed.host[1];
	atomic_store(&a->port->own_flags, MEMBER_BRIDGE);
	atomic_store(&b->port->own_flags, MEMBER_BRIDGE);
	atomic_store(&a->member[1].flags, MEMBER_BRIDGE);
	atomic_store(&b->member[0].flags, MEMBER_BRIDGE);
	frame_make(frame, 0, HOSTS, 60);
	memcpy(frame, "\1\x80\xc2\0\0\0", 6);
	memcpy(frame + 6, "\2\7\7\7\7\7", 6); /* a switch behind us */
	tap_give(0, frame, 60);
	turn(0);
	assert_int_equal(wire_to(2)->n + wire_to(3)->n, 0);
	turn(1);
	tap_expect(1, frame, 60);
	assert_int_equal(drops(0) + drops(1), 0);
}

static unsigned letters_of(unsigned h, enum letter_kind kind)
{
	unsigned n = 0;
	for (struct letter *l; (l = mail_take(worker_mail(bed.host[h].worker[0]))); n++) {
		assert_int_equal(l->kind, kind);
		letter_done(h, l);
	}
	return n;
}

/* One peer cannot fill the ring, whatever it sends; another is heard all the same, and so is the message that opens a channel. */
static void crowd(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 300; i++)
		inject(0, 1, "\x10\0\0\0abcd", 8);
	while (turn(1))
		;
	inject(2, 1, "\x10\0\0\0abcd", 8);
	turn(1);
	assert_int_equal(worker_drop(bed.host[1].worker[0], DROP_MAIL_RATE), 300 - 128);
	assert_int_equal(drops(1), 300 - 128);
	assert_int_equal(letters_of(1, LETTER_CTRL), 128 + 1);
	bed.now_us += 1000000; /* 400 more, of which 128 are kept */
	bed.host[1].port->open = false;
	for (unsigned i = 0; i < 300; i++) {
		frame_make(frame, 0, 1, 100);
		tap_give(0, frame, 100);
		if (i % 60 == 59)
			while (turn(0))
				;
	}
	while (turn(0) || turn(1))
		;
	assert_int_equal(letters_of(1, LETTER_FRAME_IN), 64);
	for (unsigned i = 0; i < 100; i++)
		inject(0, 1, "\x10\0\0\0abcd", 8);
	while (turn(1))
		;
	assert_int_equal(letters_of(1, LETTER_CTRL), 64);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	    T(closed_channel),  T(no_session), T(rekey),          T(control_types), T(chosen),   T(confirm),
	    T(through_circuit), T(early_leg),  T(roam),           T(roam_in_batch), T(leg_roam), T(pending_handshake),
	    T(gates),           T(flood),      T(strangers_ring), T(link_local),    T(crowd),
	};
	assert_int_equal(seal_setup(), 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
