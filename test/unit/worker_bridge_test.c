/* worker_bridge_test.c: MACs behind bridges, learned by workers; what they do when a loop is suspected, and at a shut port. */
#include "worker_bed.h"

#include "node/loopguard.h"

static const uint8_t cow[6] = {0x02, 0xc0, 0x03, 1, 2, 3};
static uint8_t frame[2048], mine[60]; /* from host 0's device, from host 1's */

/* Hosts 1 and 3 are bridges, as 0 sees it. */
static int setup(void **state)
{
	(void)state;
	bed_make(false);
	atomic_store(&bed.host[0].member[1].flags, MEMBER_BRIDGE);
	atomic_store(&bed.host[0].member[3].flags, MEMBER_BRIDGE);
	atomic_store(&bed.host[1].port->own_flags, MEMBER_BRIDGE);
	bed.now_us += 1000000;
	/* A frame of the cow to host 0, from behind 1. */
	memset(mine, 0, sizeof mine);
	mac_derive(NWID, bed.host[0].address, mine);
	memcpy(mine + 6, cow, 6);
	memcpy(mine + 12, "\x88\xb5", 2);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	bed_free();
	return 0;
}

static bool behind(unsigned host, uint16_t vlan, const uint8_t mac[6], unsigned bridge)
{
	uint64_t address;
	return fdb_lookup(bed.host[host].port->fdb, vlan, mac, bed.now_us / 1000, &address) && address == bed.host[bridge].address;
}

static bool unknown(unsigned host, uint16_t vlan, const uint8_t mac[6])
{
	uint64_t address;
	return !fdb_lookup(bed.host[host].port->fdb, vlan, mac, bed.now_us / 1000, &address);
}

/* 0 knows a MAC from its first frame on, for each VLAN apart, and no letter was needed. */
static void learned(void **state)
{
	(void)state;
	frame_make(frame, 0, 1, 60);
	memcpy(frame, cow, 6);
	tap_give(0, frame, 60);
	turn(0);
	assert_int_equal(wire_to(2)->n, 0);
	assert_int_equal(wire_to(3)->n, 1);
	turn(1);
	tap_expect(1, frame, 60);

	uint8_t tagged[60];
	memcpy(tagged, mine, 60);
	memcpy(tagged + 12, "\x81\0\0\x07\x88\xb5", 6);
	tap_give(1, tagged, 60);
	turn(1);
	turn(0);
	tap_expect(0, tagged, 60);
	assert_true(behind(0, 7, cow, 1));
	assert_true(behind(1, 7, cow, 1)); /* its own LAN */
	assert_true(unknown(0, 0, cow));
	tap_give(1, mine, 60);
	turn(1);
	turn(0);
	tap_expect(0, mine, 60);
	letter_none(0);
	letter_none(1);
	wire_to(1)->n = wire_to(3)->n = 0;
	tap_give(0, frame, 60);
	turn(0);
	assert_int_equal(wire_to(1)->n, 1);
	assert_int_equal(wire_to(3)->n, 0);
	turn(1);
	tap_expect(1, frame, 60);
}

/* It moves by the frame that shows it, and comes back; whoever is no bridge has nothing behind it. */
static void moved(void **state)
{
	(void)state;
	fdb_see(bed.host[0].port->fdb, 0, cow, bed.host[3].address, bed.now_us / 1000);
	tap_give(1, mine, 60);
	turn(1);
	turn(0);
	assert_true(behind(0, 0, cow, 1));
	letter_none(0); /* it is no bridge itself: there is no LAN to ask */
	atomic_store(&bed.host[0].member[1].flags, 0);
	tap_give(1, mine, 60);
	turn(1);
	expect_drop(0, DROP_SOURCE_MAC, turn(0));
}

/* What a loop does to a LAN: other members' own frames, and MACs that are here and there. */
static void suspicion(void **state)
{
	(void)state;
	struct host *b = &bed.host[1];
	mac_derive(NWID, bed.host[2].address, mine + 6);
	tap_give(1, mine, 60);
	expect_drop(1, DROP_LOOP, turn(1));
	struct letter *l = letter_expect(1, LETTER_LOOP);
	assert_int_equal(l->len, 0);
	assert_int_equal(l->chan, chan_of(1));
	letter_done(1, l);
	assert_true(unknown(1, 0, mine + 6)); /* a derived MAC is never learned */

	memcpy(mine + 6, cow, 6);
	fdb_see(b->port->fdb, 0, cow, b->address, bed.now_us / 1000);
	for (unsigned i = 0; i < FDB_MOVES; i++)
		fdb_see(b->port->fdb, 0, cow, i & 1 ? b->address : bed.host[3].address, bed.now_us / 1000);
	bed.now_us += 200000;
	tap_give(1, mine, 60);
	expect_drop(1, DROP_FLAP, turn(1));
	letter_done(1, letter_expect(1, LETTER_LOOP));
	tap_give(1, mine, 60); /* ten letters a second are enough */
	expect_drop(1, DROP_FLAP, turn(1));
	letter_none(1);
	assert_int_equal(wire_to(0)->n, 0);
}

/* Probes go to control and nowhere else, whatever is suspected; from the wire they go nowhere at all. */
static void probes(void **state)
{
	(void)state;
	struct host *b = &bed.host[1];
	memcpy(mine, "\x03\x46\x4c\x4e\x31\0", 6);
	memcpy(mine + 12, "\x88\xb6", 2);
	for (unsigned i = 0; i < 20; i++)
		loopguard_suspect(b->worker[0], b->port);
	tap_give(1, mine, 60);
	turn(1);
	letter_done(1, letter_expect(1, LETTER_LOOP));
	struct letter *l = letter_expect(1, LETTER_LOOP);
	assert_int_equal(l->len, 60);
	assert_memory_equal(l->data, mine, 60);
	letter_done(1, l);
	letter_none(1);
	assert_int_equal(wire_to(0)->n, 0);
	for (unsigned i = 0; i < 100; i++) /* of whoever floods the LAN with them only so many */
		tap_give(1, mine, 60);
	while (turn(1))
		;
	unsigned letters = 0;
	for (struct letter *m; (m = mail_take(worker_mail(b->worker[0]))); mail_done(worker_mail(b->worker[0]), m), letters++)
		assert_int_equal(m->kind, LETTER_LOOP);
	assert_int_equal(letters, 15);
	uint8_t plain[INNER_HEADER + 60] = {INNER_EFRAME};
	plain[2] = (uint8_t)chan_of(0);
	memcpy(plain + INNER_HEADER, mine, 60);
	inject(1, 0, plain, sizeof plain);
	expect_drop(0, DROP_LOOP, turn(0));
	plain[INNER_HEADER + 13] ^= 1; /* it is that which was wrong with it */
	inject(1, 0, plain, sizeof plain);
	turn(0);
	assert_int_equal(bed.host[0].tap.out[0].n, 1);
	letter_none(0);
}

static void shut(void **state)
{
	(void)state;
	struct host *b = &bed.host[1];
	atomic_store(&b->port->blocked, true);
	tap_give(1, mine, 60);
	expect_drop(1, DROP_BLOCKED, turn(1));
	assert_true(unknown(1, 0, cow)); /* nothing is learned there */
	frame_make(frame, 0, 1, 60);
	tap_give(0, frame, 60);
	turn(0);
	expect_drop(1, DROP_BLOCKED, turn(1));
	memcpy(mine, "\x03\x46\x4c\x4e\x31\0", 6);
	memcpy(mine + 12, "\x88\xb6", 2);
	tap_give(1, mine, 60);
	turn(1);
	letter_done(1, letter_expect(1, LETTER_LOOP)); /* how else would it open again */
	atomic_store(&b->port->blocked, false);
	tap_give(0, frame, 60);
	turn(0);
	turn(1);
	tap_expect(1, frame, 60);
}

/* In a ring a flooded frame comes again, by one side or the other: while one is suspected, not more often than once. */
static void echoes(void **state)
{
	(void)state;
	struct host *a = &bed.host[0], *b = &bed.host[1];
	frame_make(frame, 0, HOSTS, 60);
	memcpy(mine, frame, 6);
	for (unsigned i = 0; i < 2; i++) { /* nothing is wrong: as often as it likes */
		tap_give(1, mine, 60);
		turn(1);
	}
	assert_int_equal(wire_to(0)->n, 2);
	/* It was somewhere else meanwhile: what comes next is looked at. */
	fdb_see(b->port->fdb, 0, cow, bed.host[3].address, bed.now_us / 1000);
	for (unsigned i = 0; i < 2; i++) {
		tap_give(1, mine, 60);
		turn(1);
	}
	letter_done(1, letter_expect(1, LETTER_LOOP));
	assert_int_equal(wire_to(0)->n, 4);
	tap_give(1, mine, 60);
	expect_drop(1, DROP_LOOP, turn(1));
	mine[59] ^= 1; /* another frame is another frame */
	tap_give(1, mine, 60);
	turn(1);
	assert_int_equal(wire_to(0)->n, 5);
	/* From the wire, too. */
	tap_give(0, frame, 60);
	tap_give(0, frame, 60);
	turn(0);
	expect_drop(1, DROP_LOOP, turn(1));
	assert_int_equal(b->tap.out[0].n, 1);
	/* Unicast to a known place is nobody's echo. */
	wire_to(0)->n = 0;
	mac_derive(NWID, a->address, mine);
	for (unsigned i = 0; i < 2; i++)
		tap_give(1, mine, 60);
	turn(1);
	assert_int_equal(wire_to(0)->n, 2);
	/* Said again on purpose, a while later. */
	b->tap.out[0].n = 0;
	bed.now_us += 200000;
	tap_give(0, frame, 60);
	turn(0);
	turn(1);
	tap_expect(1, frame, 60);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {T(learned), T(moved), T(suspicion), T(probes), T(shut), T(echoes)};
	assert_int_equal(seal_setup(), 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
