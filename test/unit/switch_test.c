/* The switch between device and wire, where something is wrong: a port that is shut, a device that takes nothing, a loop that is suspected, members
 * that lie about others, and floods that are to cost only those who make them. */
#include "worker_bed.h"

#include "node/audience.h"
#include "node/encap.h"
#include "node/layout.h"
#include "node/loopguard.h"
#include "proto/seal.h"

static const uint8_t lan_mac[6] = {0x02, 0xaa, 0xbb, 0xcc, 0xdd, 0x01};
static const uint8_t everybody[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
static uint8_t frame[9216];
static struct tap nic;
static struct audiences *shown; /* to workers; over when the bed is freed */

static int up(void **state)
{
	(void)state;
	bed_make(false);
	for (unsigned i = 0; i < BED_WORKERS; i++) {
		queue_init(&nic.in[i], false);
		queue_init(&nic.out[i], false);
	}
	return 0;
}

static int down(void **state)
{
	(void)state;
	bed_free();
	for (unsigned i = 0; i < BED_WORKERS; i++) {
		queue_fini(&nic.in[i]);
		queue_fini(&nic.out[i]);
	}
	nic = (struct tap){0};
	free(shown);
	shown = NULL;
	return 0;
}

static void right(unsigned h, uint32_t flags)
{
	atomic_store(&bed.host[h].port->own_flags, flags);
	for (unsigned at = 0; at < RELAY; at++)
		if (at != h)
			atomic_store(&bed.host[at].member[h].flags, flags);
}

static void lan_frame(const uint8_t *to, const uint8_t *from, size_t len)
{
	frame_make(frame, 0, HOSTS, len);
	memcpy(frame, to, 6);
	memcpy(frame + 6, from, 6);
}

static void settle(void)
{
	for (unsigned moved = 1; moved;)
		for (unsigned h = moved = 0; h < RELAY; h++)
			moved += turn(h);
}

static void only_at(unsigned mask, size_t len)
{
	for (unsigned h = 0; h < RELAY; h++)
		tap_expect(h, mask >> h & 1 ? frame : NULL, len);
}

static void send(unsigned h, size_t len)
{
	tap_give(h, frame, len);
	assert_int_equal(turn(h), 1);
	settle();
}

/* Host 0 sends 2 datagrams at most, 1 copies for it. */
static void by_replicator(void)
{
	assert_non_null(shown = audiences_new(0, 0));
	assert_non_null(audiences_takers(shown, 0, false));
	assert_non_null(audiences_unknown(shown, 0));
	shown->n_replicators = 1;
	shown->replicator[0] = &bed.host[0].member[1];
	for (unsigned at = 0; at < RELAY; at++)
		for (unsigned peer = 0; peer < RELAY; peer++)
			if (at != peer)
				bed.host[at].session[peer]->peer_caps = CAP_REPLICATE;
	atomic_store(&bed.host[0].port->audiences, shown);
	atomic_store(&bed.host[0].port->mcast_limit, 2);
}

/* ---- replicators that are bridges ------------------------------------------------------------------------------- */

/* What it copies never touches its LAN: the others get theirs while its port is shut. */
static void shut_replicator(void **state)
{
	(void)state;
	right(1, MEMBER_REPLICATOR | MEMBER_BRIDGE);
	by_replicator();
	atomic_store(&bed.host[1].port->blocked, true);
	for (unsigned i = 0; i < 6; i++) {
		frame_make(frame, 0, HOSTS, 60);
		frame[20] = (uint8_t)i;
		send(0, 60);
		only_at(0xc, 60);
	}
	assert_int_equal(worker_drop(bed.host[1].worker[0], DROP_BLOCKED), 6);
}

/* It gets some frames twice, once for itself and once to copy: that is no echo of a loop. */
static void suspicious_replicator(void **state)
{
	(void)state;
	right(1, MEMBER_REPLICATOR | MEMBER_BRIDGE);
	by_replicator();
	for (unsigned i = 0; i < 6; i++) {
		atomic_store(&bed.host[1].port->suspect_ms, bed.now_us / 1000 + 1000);
		frame_make(frame, 0, HOSTS, 60);
		frame[20] = (uint8_t)i;
		send(0, 60);
		only_at(0xe, 60);
	}
	assert_int_equal(drops(1), 0);
}

/* As long as frames get, with two tags, in pieces there and back. */
static void jumbo(void **state)
{
	(void)state;
	right(1, MEMBER_REPLICATOR);
	by_replicator();
	for (unsigned h = 0; h < RELAY; h++)
		atomic_store(&bed.host[h].port->mtu, 9000);
	for (unsigned i = 0; i < 6; i++) {
		size_t n = frame_make(frame, 0, HOSTS, 9000 + 14 + 8);
		memcpy(frame + 12, "\x88\xa8\0\5\x81\0\0\7\x88\xb5", 10);
		frame[30] = (uint8_t)i;
		send(0, n);
		only_at(0xe, n);
	}
	for (unsigned h = 0; h < RELAY; h++)
		assert_int_equal(drops(h), 0);
}

static void inject_noted(unsigned from, unsigned to, struct note note, size_t len)
{
	uint8_t plain[200] = {INNER_EFRAME, note.flag};
	le16_to(plain + 2, (uint16_t)chan_of(to));
	memcpy(plain + INNER_HEADER, note.bytes, note.len);
	memcpy(plain + INNER_HEADER + note.len, frame, len);
	inject(from, to, plain, INNER_HEADER + note.len + len);
}

static uint64_t blamed(unsigned at, unsigned whom)
{
	uint64_t n = 0;
	for (unsigned i = 0; i < BLAME_COUNT; i++)
		n += atomic_load(&bed.host[at].member[whom].blame[i]);
	return n;
}

/* What an honest replicator would have refused is the doing of this one, not of the member it names. */
static void framed(void **state)
{
	(void)state;
	right(3, MEMBER_REPLICATOR);
	lan_frame(everybody, lan_mac, 60);
	inject_noted(3, 1, note_replicated(bed.host[2].address), 60);
	expect_drop(1, DROP_SOURCE_MAC, turn(1));
	assert_int_equal(blamed(1, 2), 0);
	assert_int_equal(atomic_load(&bed.host[1].member[3].blame[BLAME_SOURCE_MAC]), 1);
	inject_noted(3, 1, note_replicated(bed.host[2].address), 10);
	expect_drop(1, DROP_MALFORMED, turn(1));
	assert_int_equal(blamed(1, 2), 0);
	assert_int_equal(blamed(1, 3), 2);
	/* How much it is may be the member's doing. */
	atomic_store(&bed.host[1].port->storm_frames, 1);
	for (unsigned i = 0; i < 6; i++) {
		frame_make(frame, 2, HOSTS, 60);
		inject_noted(3, 1, note_replicated(bed.host[2].address), 60);
		turn(1);
		bed.host[1].tap.out[0].n = 0;
	}
	assert_int_equal(atomic_load(&bed.host[1].member[2].blame[BLAME_STORM]), 2);
	assert_int_equal(blamed(1, 3), 2);
}

/* A bridge that feigns another member has it copied by nobody, so no honest replicator is blamed for it. */
static void feigned(void **state)
{
	(void)state;
	right(0, MEMBER_BRIDGE);
	right(1, MEMBER_REPLICATOR);
	by_replicator();
	frame_make(frame, 3, HOSTS, 60);
	inject_noted(0, 1, note_replicate(0, 0), 60);
	expect_drop(1, DROP_SOURCE_MAC, turn(1));
	assert_int_equal(blamed(1, 0), 1);
	settle();
	only_at(0, 60);
}

/* ---- whose flood fills the ring --------------------------------------------------------------------------------- */

static unsigned letters(unsigned h)
{
	unsigned n = 0;
	for (struct letter *l; (l = mail_take(worker_mail(bed.host[h].worker[0]))); n++)
		letter_done(h, l);
	return n;
}

/* A member that has a thousand frames copied to one that is away is a letter each, so it has no more of those than of others. */
static void copies_for_the_absent(void **state)
{
	(void)state;
	right(1, MEMBER_REPLICATOR);
	by_replicator();
	way_clear(1, 3);
	for (unsigned i = 0; i < 200; i++) {
		frame_make(frame, 0, HOSTS, 60);
		inject_noted(0, 1, note_replicate(0, 0), 60);
		turn(1);
		turn(2);
		bed.host[1].tap.out[0].n = bed.host[2].tap.out[0].n = 0;
	}
	assert_int_equal(worker_drop(bed.host[1].worker[0], DROP_MAIL_RATE), 200 - 64);
	assert_int_equal(letters(1), 64);
	assert_int_equal(drops(1), 200 - 64);
}

/* Nor does our own device, whoever stands behind it, keep the members' messages out. */
static void device_flood(void **state)
{
	(void)state;
	right(0, MEMBER_BRIDGE);
	way_clear(0, 2);
	for (unsigned kind = 0; kind < 3; kind++) {
		uint64_t before = worker_drop(bed.host[0].worker[0], DROP_MAIL_FULL);
		for (unsigned i = 0; i < 400; i++) {
			lan_frame(kind == 1 ? everybody : bed.host[2].port->mac, lan_mac, 60);
			if (kind == 2)
				memcpy(frame, "\x01\0\x5e\1\2\3", 6);
			tap_give(0, frame, 60);
			turn(0);
			wire_to(1)->n = wire_to(3)->n = 0;
		}
		assert_int_equal(worker_drop(bed.host[0].worker[0], DROP_MAIL_FULL) - before, 400 - MAIL_LETTERS / 2);
		for (unsigned i = 0; i < 100; i++)
			inject(1, 0, "\x10\0\0\0abcd", 8);
		while (turn(0))
			;
		assert_int_equal(letters(0), MAIL_LETTERS / 2 + 100);
		bed.now_us += 1000000;
	}
}

/* ---- limits ----------------------------------------------------------------------------------------------------- */

/* Spanning tree is heard through a storm of multicast, and is no way around the limit. */
static void switches_heard(void **state)
{
	(void)state;
	static const uint8_t bpdu[6] = {1, 0x80, 0xc2, 0, 0, 0}, video[6] = {1, 0, 0x5e, 1, 2, 3};
	right(0, MEMBER_BRIDGE);
	right(1, MEMBER_BRIDGE);
	for (unsigned h = 0; h < 2; h++)
		atomic_store(&bed.host[h].port->mcast_kbit, 1000);
	unsigned got = 0;
	for (unsigned i = 0; i < 400; i++) {
		lan_frame(video, lan_mac, 1000); /* control has it, and lets it lie */
		tap_give(0, frame, 1000);
		if (i % 20 == 0) {
			lan_frame(bpdu, lan_mac, 60);
			frame[20] = (uint8_t)i;
			tap_give(0, frame, 60);
		}
		turn(0);
		turn(1);
		got += bed.host[1].tap.out[0].n;
		bed.host[1].tap.out[0].n = 0;
	}
	assert_int_equal(got, 20);
	assert_true(worker_drop(bed.host[0].worker[0], DROP_STORM_MULTICAST) > 300);
	for (unsigned i = 0; i < 600; i++) {
		lan_frame(bpdu, lan_mac, 60);
		tap_give(0, frame, 60);
		turn(0);
		turn(1);
		got += bed.host[1].tap.out[0].n;
		bed.host[1].tap.out[0].n = 0;
	}
	assert_int_equal(got, 200);
}

/* ---- two devices ------------------------------------------------------------------------------------------------ */

static void nic_expect(size_t len)
{
	assert_int_equal(nic.out[0].n, len ? 1 : 0);
	if (len) {
		assert_int_equal(nic.out[0].item[0].len, len);
		assert_memory_equal(nic.out[0].item[0].bytes, frame, len);
	}
	nic.out[0].n = 0;
}

/* The host took its device down: its LAN is not cut off for that. And the other way round, which is counted too. */
static void one_device_refuses(void **state)
{
	(void)state;
	right(0, MEMBER_BRIDGE);
	atomic_store(&bed.host[0].port->nic, &nic);
	frame_make(frame, 1, HOSTS, 60);
	bed.host[0].tap.refuse = true;
	tap_give(1, frame, 60);
	turn(1);
	expect_drop(0, DROP_TAP_WRITE, turn(0));
	nic_expect(60);
	bed.host[0].tap.refuse = false;
	nic.refuse = true;
	tap_give(1, frame, 60);
	turn(1);
	expect_drop(0, DROP_TAP_WRITE, turn(0));
	tap_expect(0, frame, 60);
	nic_expect(0);
}

/* From one device straight to the other: what that one cannot make itself is made here. */
static void handed_complete(void **state)
{
	(void)state;
	right(0, MEMBER_BRIDGE);
	atomic_store(&bed.host[0].port->nic, &nic);
	bed.host[0].tap.offloads = TAP_CSUM | TAP_TSO;
	static const uint8_t head[54] = {[12] = 8, [14] = 0x45, [22] = 64, [23] = 6, [26] = 10, 1, 1, 1, 10,          1,    1, 2,
	                                 0x13,     0x88,        0x13,      0x89,     0,         0, 0, 1, [46] = 0x50, 0x10, 1};
	struct layout l;
	for (unsigned gso = 0; gso < 2; gso++) {
		size_t len = gso ? 54 + 2500 : 154;
		memset(frame, 0x5a, len);
		memcpy(frame, head, sizeof head);
		memcpy(frame, lan_mac, 6);
		memcpy(frame + 6, bed.host[0].port->mac, 6);
		be16_to(frame + 16, (uint32_t)(len - 14));
		assert_true(layout_of(frame, len, &l));
		layout_ip_csum(frame, &l);
		word_to(frame + 50, layout_pseudo(frame, &l, l.end - l.l4));
		struct offload o = {.csum = true, .csum_start = 34, .csum_offset = 16, .gso = gso ? GSO_TCP4 : GSO_NONE, .size = 1000};
		uint8_t said[60] = {[12] = 0x88, 0xb5}; /* the receiver is there */
		memcpy(said, bed.host[0].port->mac, 6);
		memcpy(said + 6, lan_mac, 6);
		queue_put(&nic.in[0], said, 60, NULL);
		turn(0);
		bed.host[0].tap.out[0].n = 0;
		tap_give_offload(0, frame, len, &o);
		turn(0);
		assert_int_equal(nic.out[0].n, gso ? 3 : 1);
		size_t payload = 0;
		for (unsigned i = 0; i < nic.out[0].n; i++) {
			const struct item *it = &nic.out[0].item[i];
			assert_false(it->offload.csum || it->offload.gso);
			assert_true(layout_of(it->bytes, it->len, &l));
			assert_true(layout_csum_good(it->bytes, &l) && layout_ip_csum_good(it->bytes, &l));
			payload += l.end - l.payload;
		}
		assert_int_equal(payload, len - 54);
		nic.out[0].n = 0;
		assert_int_equal(drops(0), 0);
	}
}

/* ---- where a MAC is --------------------------------------------------------------------------------------------- */

/* A bridge shut its port: what was learned behind it is looked for behind the others, however it came to be still there. */
static void behind_the_shut(void **state)
{
	(void)state;
	right(1, MEMBER_BRIDGE);
	right(2, MEMBER_BRIDGE);
	lan_frame(everybody, lan_mac, 60);
	send(1, 60);
	only_at(0xd, 60);
	lan_frame(lan_mac, bed.host[0].port->mac, 60);
	send(0, 60);
	only_at(2, 60);
	atomic_store(&bed.host[0].member[1].blocked, true);
	send(0, 60);
	only_at(4, 60);
}

int main(void)
{
#define bed_test(name) cmocka_unit_test_setup_teardown(name, up, down)
	const struct CMUnitTest tests[] = {
	    bed_test(shut_replicator),
	    bed_test(suspicious_replicator),
	    bed_test(framed),
	    bed_test(feigned),
	    bed_test(jumbo),
	    bed_test(switches_heard),
	    bed_test(copies_for_the_absent),
	    bed_test(device_flood),
	    bed_test(one_device_refuses),
	    bed_test(handed_complete),
	    bed_test(behind_the_shut),
	};
	assert_int_equal(seal_setup(), 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
