/* The switch between device and wire: LANs behind bridges, questions answered here, groups, copies for others, a second device, limits. */
#include "worker_bed.h"

#include "node/audience.h"
#include "node/encap.h"
#include "node/loopguard.h"
#include "node/owners.h"
#include "proto/seal.h"
#include "superframe.h"

static const uint8_t lan_mac[6] = {0x02, 0xaa, 0xbb, 0xcc, 0xdd, 0x01};
static const uint8_t group_mac[6] = {0x01, 0x00, 0x5e, 0x01, 0x02, 0x03};
static uint8_t frame[1514];
static const void *garbage[8]; /* what tests showed to workers; they are over when it is freed */
static unsigned n_garbage;

static int up(void **state)
{
	(void)state;
	bed_make(false);
	return 0;
}

static int down(void **state)
{
	(void)state;
	bed_free();
	while (n_garbage)
		free((void *)(uintptr_t)garbage[--n_garbage]);
	return 0;
}

static void *keep(void *p)
{
	assert_true(p && n_garbage < sizeof garbage / sizeof *garbage);
	return (void *)(uintptr_t)(garbage[n_garbage++] = p);
}

/* The right, in its own credential and as the others see it. */
static void right(unsigned h, uint32_t flags)
{
	atomic_store(&bed.host[h].port->own_flags, flags);
	for (unsigned at = 0; at < RELAY; at++)
		if (at != h)
			atomic_store(&bed.host[at].member[h].flags, flags);
}

static size_t lan_frame(const uint8_t *to, const uint8_t *from, size_t len)
{
	frame_make(frame, 0, HOSTS, len);
	memcpy(frame, to, 6);
	memcpy(frame + 6, from, 6);
	return len;
}

static const uint8_t everybody[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

static void send(unsigned h, size_t len)
{
	tap_give(h, frame, len);
	assert_int_equal(turn(h), 1);
}

/* All take turns until nothing moves. */
static void settle(void)
{
	for (unsigned moved = 1; moved;)
		for (unsigned h = moved = 0; h < RELAY; h++)
			moved += turn(h);
}

static void nobody(void)
{
	for (unsigned h = 0; h < RELAY; h++) {
		assert_int_equal(wire_to(h)->n, 0);
		tap_expect(h, NULL, 0);
	}
}

static void only_at(unsigned mask, size_t len)
{
	for (unsigned h = 0; h < RELAY; h++)
		tap_expect(h, mask >> h & 1 ? frame : NULL, len);
}

/* A host behind a bridge is found behind it, and behind the other one as soon as it speaks there. */
static void behind_bridges(void **state)
{
	(void)state;
	right(0, MEMBER_BRIDGE);
	right(1, MEMBER_BRIDGE);
	for (unsigned at = 0; at < 2; at++) {
		size_t n = lan_frame(everybody, lan_mac, 60);
		send(at, n);
		settle();
		only_at(0xf & ~(1u << at), n);
		for (unsigned h = 2; h < RELAY; h++) {
			mac_derive(NWID, bed.host[h].address, frame);
			memcpy(frame + 6, frame, 6);
			memcpy(frame, lan_mac, 6);
			send(h, 100);
			settle();
			only_at(1u << at, 100);
		}
	}
	/* From the LAN of bridge 1 to it: it is there already. */
	mac_derive(NWID, bed.host[1].address, frame + 6);
	frame[7] ^= 0x55;
	tap_give(1, frame, 60);
	expect_drop(1, DROP_NO_MEMBER, turn(1));
	nobody();
}

static void unknown_to_bridges_only(void **state)
{
	(void)state;
	mac_derive(NWID, bed.host[0].address, frame + 6);
	size_t n = lan_frame(lan_mac, bed.host[0].port->mac, 60);
	tap_give(0, frame, n);
	expect_drop(0, DROP_NO_MEMBER, turn(0));
	right(2, MEMBER_BRIDGE);
	send(0, n);
	settle();
	only_at(1u << 2, n);
	atomic_store(&bed.host[0].member[2].blocked, true);
	tap_give(0, frame, n);
	expect_drop(0, DROP_NO_MEMBER, turn(0));
}

static void letter_loop(unsigned h, size_t len)
{
	struct letter *l = letter_expect(h, LETTER_LOOP);
	assert_int_equal(l->chan, chan_of(h));
	assert_int_equal(l->len, len);
	letter_done(h, l);
}

/* Whatever is behind it, a bridge does not speak for another member. */
static void members_speak_for_themselves(void **state)
{
	(void)state;
	static uint8_t plain[64] = {INNER_EFRAME, 0};
	right(1, MEMBER_BRIDGE);
	lan_frame(everybody, bed.host[2].port->mac, 60);
	le16_to(plain + 2, (uint16_t)chan_of(3));
	memcpy(plain + INNER_HEADER, frame, 60);
	inject(1, 3, plain, INNER_HEADER + 60);
	expect_drop(3, DROP_SOURCE_MAC, turn(3));
	assert_int_equal(atomic_load(&bed.host[3].member[1].blame[BLAME_SOURCE_MAC]), 1);
	nobody();
}

static void signs_of_a_loop(void **state)
{
	(void)state;
	right(0, MEMBER_BRIDGE);
	right(1, MEMBER_BRIDGE);
	/* A member's own frame comes out of our LAN. */
	lan_frame(everybody, bed.host[2].port->mac, 60);
	tap_give(0, frame, 60);
	expect_drop(0, DROP_LOOP, turn(0));
	letter_loop(0, 0);
	nobody();
	/* A host is here and there by turns: it stays where it was. */
	lan_frame(everybody, lan_mac, 60);
	unsigned passed = 0;
	for (unsigned i = 0; i < 20; i++) {
		unsigned at = i & 1;
		bed.now_us += 250000; /* the loop guard is told ten times a second at most, and equal frames within 200 ms are echoes */
		send(at, 60);
		settle();
		passed += bed.host[1 - at].tap.out[0].n;
		for (unsigned h = 0; h < RELAY; h++)
			bed.host[h].tap.out[0].n = 0;
	}
	assert_int_equal(passed, 1 + FDB_MOVES + 7); /* and then those of where it stays */
	assert_int_equal(worker_drop(bed.host[0].worker[0], DROP_FLAP), 7);
	assert_int_equal(worker_drop(bed.host[1].worker[0], DROP_FLAP), 0);
	letter_loop(0, 0);
}

static void shut_port(void **state)
{
	(void)state;
	right(0, MEMBER_BRIDGE);
	right(1, MEMBER_BRIDGE);
	atomic_store(&bed.host[0].port->blocked, true);
	lan_frame(everybody, lan_mac, 60);
	tap_give(0, frame, 60);
	expect_drop(0, DROP_BLOCKED, turn(0));
	send(1, 60);
	expect_drop(0, DROP_BLOCKED, turn(0));
	settle();
	only_at(0xc, 60);
	static const uint8_t probe[16] = {0x03, 0x46, 0x4c, 0x4e, 0x31, 0x00, 2, 2, 2, 2, 2, 2, 0x88, 0xb6};
	memcpy(frame, probe, sizeof probe);
	for (unsigned at = 0; at < 2; at++) { /* shut or not, it reaches the loop guard and nobody else */
		send(at, 60);
		letter_loop(at, 60);
		nobody();
	}
	/* ... also when a bridge lets one out. */
	static uint8_t plain[64] = {INNER_EFRAME, 0, 3 + 2 * 5, 0};
	memcpy(plain + INNER_HEADER, frame, 60);
	inject(1, 2, plain, INNER_HEADER + 60);
	expect_drop(2, DROP_LOOP, turn(2));
}

static void answered_here(void **state)
{
	(void)state;
	static const uint8_t question[42] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0,  0, 0, 0, 0, 8, 6, 0, 1, 8, 0,  6, 4, 0,
	                                     1,    0,    0,    0,    0,    0,    0, 10, 9, 8, 1, 0, 0, 0, 0, 0, 0, 10, 9, 8, 2};
	struct claim claim = {.ip = {.family = 4, .bits = 24, .ip = {10, 9, 8, 2}}};
	memcpy(claim.mac, bed.host[2].port->mac, 6);
	struct owners *o = keep(owners_new(&claim, 1));
	atomic_store(&bed.host[0].port->owners, o);
	memcpy(frame, question, sizeof question);
	memcpy(frame + 6, bed.host[0].port->mac, 6);
	memcpy(frame + 22, bed.host[0].port->mac, 6);
	send(0, 42);
	struct queue *q = &bed.host[0].tap.out[0];
	assert_int_equal(q->n, 1);
	assert_memory_equal(q->item[0].bytes, bed.host[0].port->mac, 6);
	assert_memory_equal(q->item[0].bytes + 22, bed.host[2].port->mac, 6);
	q->n = 0;
	settle();
	nobody();
	/* From behind our bridge: its owner hears it, and nobody else. */
	right(0, MEMBER_BRIDGE);
	memcpy(frame + 6, lan_mac, 6);
	memcpy(frame + 22, lan_mac, 6);
	send(0, 42);
	assert_int_equal(q->n, 1);
	assert_memory_equal(q->item[0].bytes, lan_mac, 6);
	q->n = 0;
	settle();
	only_at(1u << 2, 42);
	frame[41] = 3; /* nobody's */
	send(0, 42);
	settle();
	only_at(0xe, 42);
}

/* ---- groups and copies ------------------------------------------------------------------------------------------ */

static void groups(void **state)
{
	(void)state;
	struct audiences *a = keep(audiences_new(1, 2));
	atomic_store(&bed.host[0].port->mcast_limit, 32);
	lan_frame(group_mac, bed.host[0].port->mac, 60);
	send(0, 60); /* nothing is known: control has it */
	struct letter *l = letter_expect(0, LETTER_GATHER);
	assert_int_equal(l->len, 60);
	assert_memory_equal(l->data, frame, 60);
	letter_done(0, l);
	nobody();
	assert_non_null(audiences_takers(a, 0, true));
	assert_non_null(audiences_unknown(a, 0));
	struct member **list = audiences_add(a, group_mac, 1, true, 0);
	assert_non_null(list);
	list[0] = &bed.host[0].member[3];
	atomic_store(&bed.host[0].port->audiences, a);
	send(0, 60);
	settle();
	only_at(1u << 3, 60);
	letter_none(0);
	assert_int_equal(audience_used_ms(a, group_mac), bed.now_us / 1000);
	frame[5]++; /* another group: nobody takes it */
	send(0, 60);
	settle();
	nobody();
}

static struct audiences *replicators(unsigned h, unsigned who)
{
	struct audiences *a = keep(audiences_new(0, 0));
	assert_non_null(audiences_takers(a, 0, false));
	assert_non_null(audiences_unknown(a, 0));
	a->n_replicators = 1;
	a->replicator[0] = &bed.host[h].member[who];
	for (unsigned at = 0; at < RELAY; at++)
		for (unsigned peer = 0; peer < RELAY; peer++)
			if (at != peer)
				bed.host[at].session[peer]->peer_caps = CAP_REPLICATE;
	atomic_store(&bed.host[h].port->audiences, a);
	return a;
}

/* Beyond the limit one copy is for the others' sake: everybody gets the frame once, as if from its sender. */
static void copied_by_others(void **state)
{
	(void)state;
	right(1, MEMBER_REPLICATOR);
	replicators(0, 1);
	atomic_store(&bed.host[0].port->mcast_limit, 2);
	unsigned sent[RELAY] = {0};
	for (unsigned i = 0; i < 12; i++) {
		size_t n = frame_make(frame, 0, HOSTS, i & 1 ? 60 : 1400); /* 1400 does not fit a datagram here */
		frame[20] = (uint8_t)i;
		send(0, n);
		unsigned from_sender = 0;
		for (unsigned h = 1; h < RELAY; h++) {
			from_sender += wire_to(h)->n;
			sent[h] += wire_to(h)->n > 0;
		}
		assert_int_equal(from_sender, i & 1 ? 2 : 4);
		settle();
		only_at(0xe, n);
	}
	assert_int_equal(sent[1], 12);
	assert_true(sent[2] > 2 && sent[3] > 2); /* by turns */
	for (unsigned h = 0; h < RELAY; h++)
		assert_int_equal(drops(h), 0);
	/* A replicator that cannot be reached: then by ourselves. */
	way_clear(0, 1);
	size_t n = frame_make(frame, 0, HOSTS, 60);
	send(0, n);
	settle();
	only_at(0xc, n);
}

/* The inner header and a note before the frame. */
static void inject_noted(unsigned from, unsigned to, struct note note, size_t len)
{
	uint8_t plain[200] = {INNER_EFRAME, note.flag};
	le16_to(plain + 2, (uint16_t)chan_of(to));
	memcpy(plain + INNER_HEADER, note.bytes, note.len);
	memcpy(plain + INNER_HEADER + note.len, frame, len);
	inject(from, to, plain, INNER_HEADER + note.len + len);
}

static void lies_of_copies(void **state)
{
	(void)state;
	replicators(1, 0);
	size_t n = frame_make(frame, 0, HOSTS, 60);
	struct note all = note_replicate(0, 0), of_0 = note_replicated(bed.host[0].address);
	inject_noted(0, 1, all, n); /* we have no such right */
	expect_drop(1, DROP_REPLICATE, turn(1));
	inject_noted(3, 1, of_0, n); /* he has not */
	expect_drop(1, DROP_REPLICATE, turn(1));
	assert_int_equal(atomic_load(&bed.host[1].member[3].blame[BLAME_REPLICATE]), 1);
	right(3, MEMBER_REPLICATOR);
	inject_noted(3, 1, of_0, n);
	turn(1);
	tap_expect(1, frame, n);
	inject_noted(3, 1, note_replicated(bed.host[1].address), n); /* in our own name */
	expect_drop(1, DROP_REPLICATE, turn(1));
	inject_noted(3, 1, note_replicated(4711), n); /* in a stranger's */
	expect_drop(1, DROP_REPLICATE, turn(1));
	inject_noted(3, 1, note_replicated(bed.host[2].address), n); /* 0's frame is not from 2 */
	expect_drop(1, DROP_SOURCE_MAC, turn(1));
	frame_make(frame, 0, 1, n); /* to one alone there is nothing to copy */
	inject_noted(3, 1, of_0, n);
	expect_drop(1, DROP_REPLICATE, turn(1));
	right(1, MEMBER_REPLICATOR);
	inject_noted(0, 1, all, n);
	expect_drop(1, DROP_REPLICATE, turn(1));
	nobody();
}

/* ---- a second device -------------------------------------------------------------------------------------------- */

static struct tap nic;

static void nic_expect(size_t len)
{
	assert_int_equal(nic.out[0].n, len ? 1 : 0);
	if (len)
		assert_memory_equal(nic.out[0].item[0].bytes, frame, len);
	nic.out[0].n = 0;
}

/* What an interface joined, for the host's device with this much of offloads: as it is, or n segments of the same bytes. */
static void joined(unsigned offloads, bool udp, unsigned n)
{
	enum { SEGMENT = 1000, SEGMENTS = 3 };
	static uint8_t whole[SUPERFRAME_MAX], segment[SUPERFRAME_MAX];
	static uint8_t payload[SEGMENTS * SEGMENT];
	struct recipe r = {.udp = udp, .flags = 0x10, .ttl = 64, .bytes = sizeof payload, .payload = payload};
	struct queue *out = &bed.host[0].tap.out[0];
	for (unsigned i = 0; i < sizeof payload; i++)
		payload[i] = (uint8_t)(i * 7 + udp);
	size_t len = recipe_frame(&r, true, whole);
	memcpy(whole, bed.host[0].port->mac, 6);
	memcpy(whole + 6, lan_mac, 6);
	bed.host[0].tap.offloads = offloads;
	queue_put(&nic.in[0], whole, (uint32_t)len, NULL);
	nic.in[0].item[0].offload = recipe_offload(&r, SEGMENT);
	turn(0);
	assert_int_equal(out->n, n);
	for (unsigned i = 0; i < n; i++) {
		struct recipe part = n > 1 ? recipe_segment(&r, SEGMENT, i) : r;
		bool partial = offloads & TAP_CSUM;
		len = recipe_frame(&part, partial, segment);
		assert_int_equal(out->item[i].len, len);
		assert_int_equal(out->item[i].offload.csum, partial);
		assert_memory_equal(out->item[i].bytes + 12, segment + 12, len - 12);
	}
	out->n = 0;
	nobody();
}

static void second_device(void **state)
{
	(void)state;
	right(0, MEMBER_BRIDGE);
	for (unsigned i = 0; i < BED_WORKERS; i++) {
		queue_init(&nic.in[i], false);
		queue_init(&nic.out[i], false);
	}
	atomic_store(&bed.host[0].port->nic, &nic);
	lan_frame(everybody, lan_mac, 60); /* from the LAN to all: host and network */
	queue_put(&nic.in[0], frame, 60, NULL);
	turn(0);
	settle();
	only_at(0xf, 60);
	nic_expect(0);
	lan_frame(bed.host[0].port->mac, lan_mac, 60); /* to the host alone */
	queue_put(&nic.in[0], frame, 60, NULL);
	turn(0);
	settle();
	only_at(1, 60);
	lan_frame(lan_mac, bed.host[0].port->mac, 60); /* and back */
	tap_give(0, frame, 60);
	turn(0); /* not for the network */
	nic_expect(60);
	nobody();
	lan_frame(lan_mac, bed.host[2].port->mac, 80); /* from the network to the LAN's host */
	send(2, 80);
	settle();
	nobody();
	nic_expect(80);
	lan_frame(everybody, bed.host[2].port->mac, 80); /* to all: both */
	send(2, 80);
	settle();
	nic_expect(80);
	only_at(0xb, 80);
	lan_frame(bed.host[0].port->mac, bed.host[2].port->mac, 80); /* to the host: not the LAN's business */
	send(2, 80);
	settle();
	nic_expect(0);
	only_at(1, 80);
	lan_frame(lan_mac, lan_mac, 60); /* within the LAN: seen, since the interface is promiscuous */
	frame[6 + 5] ^= 1;
	queue_put(&nic.in[0], frame, 60, NULL);
	expect_drop(0, DROP_NO_MEMBER, turn(0));
	nic_expect(0);
	nobody();
	lan_frame(everybody, bed.host[0].port->mac, 60); /* the host's own, back from the LAN */
	queue_put(&nic.in[0], frame, 60, NULL);
	expect_drop(0, DROP_LOOP, turn(0));
	for (unsigned udp = 0; udp < 2; udp++) {
		joined(TAP_ALL, udp, 1);
		joined(TAP_CSUM, udp, 3);
		joined(TAP_CSUM | TAP_TSO, udp, udp ? 3 : 1);
		joined(0, udp, 3);
	}
	atomic_store(&bed.host[0].port->blocked, true); /* the host goes on, without its LAN */
	lan_frame(everybody, bed.host[0].port->mac, 60);
	tap_give(0, frame, 60);
	turn(0);
	settle();
	nic_expect(0);
	only_at(0xe, 60);
	lan_frame(everybody, bed.host[2].port->mac, 80);
	send(2, 80);
	settle();
	nic_expect(0);
	only_at(0xb, 80);
	for (unsigned i = 0; i < BED_WORKERS; i++) {
		queue_fini(&nic.in[i]);
		queue_fini(&nic.out[i]);
	}
	nic = (struct tap){0};
}

/* ---- limits ----------------------------------------------------------------------------------------------------- */

static void storms(void **state)
{
	(void)state;
	size_t n = frame_make(frame, 0, HOSTS, 60);
	atomic_store(&bed.host[0].port->storm_frames, 100);
	atomic_store(&bed.host[1].port->storm_frames, 50);
	unsigned got[RELAY] = {0};
	for (unsigned i = 0; i < 400; i++) {
		send(0, n);
		settle();
		for (unsigned h = 0; h < RELAY; h++) {
			got[h] += bed.host[h].tap.out[0].n;
			bed.host[h].tap.out[0].n = 0;
		}
	}
	assert_int_equal(got[2], 200); /* twice the rate at once */
	assert_int_equal(got[3], 200);
	assert_int_equal(worker_drop(bed.host[0].worker[0], DROP_STORM), 200);
	assert_int_equal(got[1], 200); /* the receiver allows twice the sender's: 100/s, 200 at once */
	bed.now_us += 500000;
	for (unsigned i = 0; i < 100; i++) {
		send(0, n);
		settle();
		got[1] += bed.host[1].tap.out[0].n;
		for (unsigned h = 0; h < RELAY; h++)
			bed.host[h].tap.out[0].n = 0;
	}
	assert_int_equal(got[1], 250);
	frame_make(frame, 0, 1, 60); /* unicast goes on */
	send(0, 60);
	settle();
	only_at(2, 60);
	atomic_store(&bed.host[0].port->network_flags, NETWORK_NO_BROADCAST);
	bed.now_us += 10000000;
	frame_make(frame, 0, HOSTS, 60);
	tap_give(0, frame, 60);
	expect_drop(0, DROP_OFF, turn(0));
}

int main(void)
{
#define bed_test(name) cmocka_unit_test_setup_teardown(name, up, down)
	const struct CMUnitTest tests[] = {
	    bed_test(behind_bridges), bed_test(unknown_to_bridges_only), bed_test(signs_of_a_loop), bed_test(members_speak_for_themselves),
	    bed_test(shut_port),      bed_test(answered_here),           bed_test(groups),          bed_test(copied_by_others),
	    bed_test(lies_of_copies), bed_test(second_device),           bed_test(storms),
	};
	assert_int_equal(seal_setup(), 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
