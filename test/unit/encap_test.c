/* encap_test.c: every length over every way comes back byte for byte; sizes on the wire; the hard checks one by one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "node/encap.h"
#include "node/layout.h"
#include "node/reassembly.h"
#include "node/view.h"

static const uint8_t mac_a[6] = {0x02, 1, 2, 3, 4, 5}, mac_b[6] = {0x02, 9, 8, 7, 6, 5}, mac_c[6] = {0x06, 1, 1, 1, 1, 1};
static const uint8_t everybody[6] = {255, 255, 255, 255, 255, 255};

static uint8_t frame[FRAG_FRAME_MAX + 64];

static void frame_fill(const uint8_t *dst, const uint8_t *src, size_t len)
{
	memcpy(frame, dst, 6);
	memcpy(frame + 6, src, 6);
	for (size_t i = 12; i < len; i++)
		frame[i] = (uint8_t)(i * 7 + len);
}

static struct encap encap_a_to_b(uint16_t datagram)
{
	struct encap e = {.chan = 0x1234, .datagram = datagram, .frag_id = 0xa0000001};
	memcpy(e.own_mac, mac_a, 6);
	memcpy(e.peer_mac, mac_b, 6);
	return e;
}

/* What inbound.c does with one plaintext that is no bundle. */
static enum drop unwrap(const uint8_t *plain, size_t len, uint8_t *out, struct packet *ret)
{
	struct arrived a[BUNDLE_MAX];
	unsigned n = 99;
	enum drop verdict = decap_split(plain, len, a, &n);
	if (verdict != DROP_NONE)
		return verdict;
	assert_int_equal(n, 1);
	return decap_frame(&a[0], mac_a, mac_b, out, ret);
}

/* Through encap_piece, reassembly in reverse order, decap; checks what each piece looks like on the way. */
static void round_trip(const struct encap *e, size_t len, bool implied)
{
	static uint8_t plain[DATAGRAM_MAX], whole[FRAG_FRAME_MAX], back[FRAG_FRAME_MAX];
	unsigned n = encap_pieces(e, frame, len);
	size_t total = INNER_HEADER + len - (implied ? 12 : 0), got = 0;
	struct packet up;
	size_t fits = e->datagram - DATA_HEADER - DATA_TAG, room = e->datagram - DATA_OVERHEAD - 8u;
	size_t expected = total <= fits ? 1 : (total + room - 1) / room;
	if (total > fits && total <= room)
		expected = 2;
	if (expected > 16 || (expected > 1 && total > FRAG_FRAME_MAX))
		expected = 0;
	assert_int_equal(n, expected);
	if (!n)
		return;
	struct reassembly *r = n > 1 ? reassembly_new() : NULL;
	for (unsigned i = n; i-- > 0;) {
		size_t k = encap_piece(e, frame, len, i, n, plain);
		assert_true(DATA_HEADER + k + DATA_TAG <= e->datagram);
		assert_int_equal(plain[0], n > 1 ? INNER_FRAG : implied ? INNER_FRAME : INNER_EFRAME);
		assert_int_equal(plain[1], 0);
		assert_int_equal(le16_at(plain + 2), 0x1234);
		if (n == 1) {
			memcpy(whole, plain, got = k);
			break;
		}
		bool displaced;
		size_t step = (total + n - 1) / n;
		assert_int_equal(k, 12 + (i + 1 < n ? step : total - step * (n - 1)));
		assert_int_equal(le32_at(plain + 4), 0xa0000001);
		assert_int_equal(reassembly_add(r, 16, plain, k, 0, whole, &got, &displaced), DROP_NONE);
		assert_int_equal(got, i ? 0 : total);
	}
	reassembly_free(r);
	assert_int_equal(got, total);
	assert_int_equal(unwrap(whole, got, back, &up), DROP_NONE);
	assert_ptr_equal(up.data, back);
	assert_int_equal(up.len, len);
	assert_false(up.offload.csum);
	assert_int_equal(up.segment.n, 0);
	assert_memory_equal(back, frame, len);
}

static void lengths(void **state)
{
	(void)state;
	static const uint16_t ways[] = {1216, 1232, 1452, 1472, 8972, 9000};
	for (unsigned i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		struct encap e = encap_a_to_b(ways[i]);
		for (size_t len = 14; len <= FRAG_FRAME_MAX - 4; len += len < 1600 || len > 8900 ? 1 : 97) {
			frame_fill(mac_b, mac_a, len);
			round_trip(&e, len, true);
			frame_fill(everybody, mac_a, len);
			round_trip(&e, len, false);
		}
	}
	struct encap narrow = encap_a_to_b(200); /* 16 pieces of 160 */
	for (size_t len = 14; len < 3000; len++) {
		frame_fill(mac_b, mac_a, len);
		round_trip(&narrow, len, true);
	}
}

/* Figures of PROTOCOL.md: overhead 34 for FRAME, 12 more for EFRAME. */
static void sizes(void **state)
{
	(void)state;
	struct encap e = encap_a_to_b(1472);
	frame_fill(mac_b, mac_a, 1438 + 14);
	assert_int_equal(encap_pieces(&e, frame, 1438 + 14), 1);
	assert_int_equal(encap_pieces(&e, frame, 1439 + 14), 2);
	frame_fill(mac_b, mac_c, 1438 + 14);
	assert_int_equal(encap_pieces(&e, frame, 1438 - 12 + 14), 1);
	assert_int_equal(encap_pieces(&e, frame, 1438 - 11 + 14), 2);
	assert_int_equal(encap_pieces(&e, frame, 13), 0);
	e.datagram = 40;
	assert_int_equal(encap_pieces(&e, frame, 60), 0);
	e.datagram = 0;
	assert_int_equal(encap_pieces(&e, frame, 60), 0);
}

/* A TCP frame over IPv4 with a partial checksum: pseudo-header sum in the field. */
static size_t tcp_fill(const uint8_t *dst, const uint8_t *src, size_t payload)
{
	size_t len = 54 + payload;
	frame_fill(dst, src, len);
	uint8_t *ip = frame + 14, *tcp = frame + 34;
	memcpy(frame + 12, "\x08\x00\x45\x00", 4);
	ip[2] = (uint8_t)((len - 14) >> 8);
	ip[3] = (uint8_t)(len - 14);
	ip[6] = 0x40, ip[7] = 0;
	ip[9] = IP_TCP;
	tcp[12] = 0x50;
	tcp[13] = 0x10;
	struct layout l;
	assert_true(layout_of(frame, len, &l));
	layout_ip_csum(frame, &l);
	uint16_t sum = layout_pseudo(frame, &l, (uint32_t)(20 + payload));
	memcpy(tcp + 16, &sum, 2);
	return len;
}

static const struct offload partial = {.csum = true, .csum_start = 34, .csum_offset = 16};

static void whole(void **state)
{
	(void)state;
	struct encap e = encap_a_to_b(1472);
	struct segment segment = {.id = 0xbeef, .i = 3, .n = 45};
	for (unsigned k = 0; k < 8; k++) {
		struct carriage c = {.implied = k & 4, .flags = (uint8_t)(k & 3)};
		uint8_t buf[2048] = {0}, *plain = buf + DATA_HEADER;
		size_t len = tcp_fill(c.implied ? mac_b : everybody, mac_a, 100), over = 32u + 4 * ((k & 1) + (k >> 1 & 1));
		assert_int_equal(encap_implied(&e, frame), c.implied);
		/* PROTOCOL.md: overhead 34 for a FRAME's payload, 42 with both flags, 12 more for an EFRAME */
		assert_int_equal(encap_most(&e, c), 1472 - over + (c.implied ? 12 : 0));
		memcpy(plain + encap_offset(c), frame, len);
		size_t n = encap_whole(&e, c, &partial, &segment, plain, len);
		assert_int_equal(n + 28, over + len - (c.implied ? 12 : 0));
		assert_int_equal(plain[0], c.implied ? INNER_FRAME : INNER_EFRAME);
		assert_int_equal(plain[1], k & 3);
		assert_int_equal(le16_at(plain + 2), 0x1234);
		struct packet up;
		assert_int_equal(unwrap(plain, n, plain + encap_offset(c), &up), DROP_NONE); /* in place */
		if (c.implied) {                                                             /* the sender's own and the receiver's own */
			assert_memory_equal(up.data, mac_b, 6);
			assert_memory_equal(up.data + 6, mac_a, 6);
		}
		assert_int_equal(up.len, len);
		assert_memory_equal(up.data, frame, len);
		assert_int_equal(up.offload.csum, k & 1);
		assert_int_equal(up.offload.csum_start, k & 1 ? 34 : 0);
		assert_int_equal(up.segment.n, k & 2 ? 45 : 0);
		assert_int_equal(up.segment.id, k & 2 ? 0xbeef : 0);
	}
}

/* What a peer says of a frame must be so. */
static void lies(void **state)
{
	(void)state;
	struct encap e = encap_a_to_b(1472);
	struct carriage c = {.implied = true, .flags = FRAME_FLAGS};
	struct segment segment = {.id = 1, .i = 0, .n = 1};
	size_t len = tcp_fill(mac_b, mac_a, 100);
	uint8_t buf[512], *plain = buf + DATA_HEADER, out[512];
	struct packet up;
	memcpy(plain + encap_offset(c), frame, len);
	size_t n = encap_whole(&e, c, &partial, &segment, plain, len);
	assert_int_equal(unwrap(plain, n, out, &up), DROP_NONE);
	for (unsigned start = 0; start < 65536; start += start < 200 ? 1 : 991) {
		le16_to(plain + 4, (uint16_t)start);
		assert_int_equal(unwrap(plain, n, out, &up), start == 34 ? DROP_NONE : DROP_OFFLOAD);
	}
	le16_to(plain + 4, 34);
	for (unsigned offset = 0; offset < 65536; offset += offset < 100 ? 1 : 991) {
		le16_to(plain + 6, (uint16_t)offset);
		assert_int_equal(unwrap(plain, n, out, &up), offset == 16 ? DROP_NONE : DROP_OFFLOAD);
	}
	le16_to(plain + 6, 16);
	for (unsigned i = 0; i < 256; i++) {
		plain[10] = (uint8_t)i;
		assert_int_equal(unwrap(plain, n, out, &up), i == 0 ? DROP_NONE : DROP_OFFLOAD);
	}
	plain[10] = 0;
	plain[11] = 0;
	assert_int_equal(unwrap(plain, n, out, &up), DROP_OFFLOAD);
	plain[11] = 1;
	plain[n - 100 - 4] ^= 1; /* the field does not hold the pseudo-header's sum */
	assert_int_equal(unwrap(plain, n, out, &up), DROP_OFFLOAD);
	plain[n - 100 - 4] ^= 1;
	assert_int_equal(unwrap(plain, n - 1, out, &up), DROP_OFFLOAD); /* shorter than its IP length */
	for (size_t k = 0; k < 12; k++)
		assert_int_equal(unwrap(plain, k, out, &up), DROP_MALFORMED);
}

static void decap(void **state)
{
	(void)state;
	uint8_t buf[128] = {0}, *plain = buf + 16, out[FRAG_FRAME_MAX];
	struct packet up = {.len = 7};
	plain[0] = INNER_FRAME;
	for (size_t n = 0; n < 6; n++)
		assert_int_equal(unwrap(plain, n, out, &up), DROP_MALFORMED);
	plain[0] = INNER_EFRAME;
	for (size_t n = 0; n < 18; n++)
		assert_int_equal(unwrap(plain, n, out, &up), DROP_MALFORMED);
	static const uint8_t other[] = {INNER_PAD, INNER_FRAG, INNER_CTRL, 0x20, 0x7f, 0xff};
	for (unsigned i = 0; i < sizeof(other); i++) {
		plain[0] = other[i];
		assert_int_equal(unwrap(plain, 60, out, &up), DROP_TYPE);
	}
	assert_int_equal(up.len, 7);
	plain[0] = INNER_FRAME;
	plain[1] = 8 | 0x30; /* REPLICATE and hop count are ignored */
	memcpy(plain + 4, "\x08\x00payload", 9);
	assert_int_equal(unwrap(plain, 13, plain + 4 - 12, &up), DROP_NONE); /* in place, nothing moves */
	assert_int_equal(up.len, 21);
	assert_memory_equal(buf + 8, mac_b, 6);
	assert_memory_equal(buf + 14, mac_a, 6);
	assert_memory_equal(buf + 20, "\x08\x00payload", 9);
}

/* 16 frames of three kinds in one, back in order, and what a bundle may not be. */
static void bundles(void **state)
{
	(void)state;
	static uint8_t buf[DATA_HEADER + 4096], *plain = buf + DATA_HEADER, sent[BUNDLE_MAX][400];
	struct encap e = encap_a_to_b(4000);
	struct arrived a[BUNDLE_MAX];
	size_t size[BUNDLE_MAX], n = 0, ends[BUNDLE_MAX];
	unsigned got = 77;
	for (unsigned i = 0; i < BUNDLE_MAX; i++) {
		struct carriage c = {.implied = i % 3 != 1, .flags = i % 3 == 2 ? FRAME_CSUM : 0};
		size[i] = tcp_fill(c.implied ? mac_b : everybody, mac_a, i);
		memcpy(sent[i], frame, size[i]);
		if (i == 0) {
			memcpy(plain + encap_offset(c), frame, size[i]);
			n = bundle_begin(plain, encap_whole(&e, c, &partial, NULL, plain, size[i]));
		} else {
			size_t record = bundle_record(c, size[i]);
			assert_int_equal(bundle_add(plain, n, c, &partial, frame, size[i]), n + record);
			n += record;
		}
		ends[i] = n;
	}
	assert_int_equal(plain[0], INNER_BUNDLE);
	assert_int_equal(le16_at(plain + 2), 0x1234);
	for (unsigned k = 0; k < BUNDLE_MAX; k++) { /* whole at the end of each record */
		assert_int_equal(decap_split(plain, ends[k], a, &got), DROP_NONE);
		assert_int_equal(got, k + 1);
	}
	for (unsigned i = 0; i < BUNDLE_MAX; i++) {
		uint8_t out[FRAG_FRAME_MAX];
		struct packet up;
		assert_int_equal(decap_frame(&a[i], mac_a, mac_b, out, &up), DROP_NONE);
		assert_int_equal(up.len, size[i]);
		assert_memory_equal(out, sent[i], size[i]);
		assert_int_equal(up.offload.csum, i % 3 == 2);
	}
	got = 77;
	for (size_t len = 0, k = 0; len <= n; len++) { /* cut anywhere else */
		if (k < BUNDLE_MAX && len == ends[k]) {
			k++;
			continue;
		}
		assert_int_equal(decap_split(plain, len, a, &got), DROP_MALFORMED);
	}
	assert_int_equal(got, 77);
	assert_int_equal(decap_split(plain, bundle_add(plain, n, (struct carriage){.implied = true}, NULL, frame, 60), a, &got),
	                 DROP_MALFORMED);
	static const uint8_t types[] = {INNER_PAD, INNER_FRAG, INNER_BUNDLE, INNER_CTRL, 0xff};
	for (unsigned i = 0; i < sizeof(types); i++) {
		plain[INNER_HEADER + 2] = types[i];
		assert_int_equal(decap_split(plain, n, a, &got), DROP_TYPE);
	}
	plain[INNER_HEADER + 2] = INNER_FRAME;
	plain[INNER_HEADER + 3] = FRAME_SEG;
	assert_int_equal(decap_split(plain, n, a, &got), DROP_TYPE);
}

/* What a replicator is told and tells, whole and in pieces; and no note that is cut, doubled or beside other flags. */
static void notes(void **state)
{
	(void)state;
	const struct note note[] = {note_replicate(0x0102030405, 0xfffffffffe), note_replicated(0xa1b2c3d4e5)};
	const struct noted want[] = {{.replicate = true, .from = 0x0102030405, .to = 0xfffffffffe}, {.origin = 0xa1b2c3d4e5}};
	for (unsigned k = 0; k < 2; k++) {
		for (size_t len = 60; len <= 1500; len += 480) {
			uint8_t whole[FRAG_FRAME_MAX], piece[2000], out[FRAG_FRAME_MAX];
			struct encap e = encap_a_to_b(600);
			e.note = note[k];
			frame_fill(mac_b, mac_a, len);
			assert_false(encap_implied(&e, frame)); /* also what could leave its MACs out */
			unsigned n = encap_pieces(&e, frame, len), got;
			assert_int_equal(n > 1, DATA_OVERHEAD + e.note.len + len > 600);
			size_t total = 0, skip = n > 1 ? INNER_HEADER + sizeof(struct frag_header) : 0;
			for (unsigned i = 0; i < n; i++) {
				size_t bytes = encap_piece(&e, frame, len, i, n, piece);
				assert_true(bytes > skip && DATA_HEADER + bytes + DATA_TAG <= 600);
				memcpy(whole + total, piece + skip, bytes - skip);
				total += bytes - skip;
			}
			assert_int_equal(total, INNER_HEADER + e.note.len + len);
			struct arrived a[BUNDLE_MAX];
			struct noted noted;
			struct packet up;
			assert_int_equal(decap_split(whole, total, a, &got), DROP_NONE);
			assert_int_equal(decap_note(&a[0], &noted), DROP_NONE);
			assert_int_equal(noted.replicate, want[k].replicate);
			assert_int_equal(noted.from, want[k].from);
			assert_int_equal(noted.to, want[k].to);
			assert_int_equal(noted.origin, want[k].origin);
			assert_int_equal(decap_frame(&a[0], mac_a, mac_b, out, &up), DROP_NONE);
			assert_int_equal(up.len, len);
			assert_memory_equal(out, frame, len);
		}
		uint8_t plain[200] = {INNER_EFRAME, note[k].flag, 0x34, 0x12};
		memcpy(plain + INNER_HEADER, note[k].bytes, note[k].len);
		for (size_t len = 0; len < note[k].len; len++) {
			struct arrived a = {INNER_EFRAME, note[k].flag, plain + INNER_HEADER, len};
			struct noted noted = {.origin = 7};
			assert_int_equal(decap_note(&a, &noted), DROP_MALFORMED);
			assert_int_equal(noted.origin, 7);
		}
		static const uint8_t more[] = {FRAME_CSUM, FRAME_SEG, FRAME_REPLICATE | FRAME_REPLICATED};
		for (unsigned i = 0; i < sizeof(more); i++) {
			struct arrived a = {INNER_EFRAME, note[k].flag | more[i], plain + INNER_HEADER, 100};
			assert_int_equal(decap_note(&a, &(struct noted){0}), DROP_MALFORMED);
		}
		struct arrived implied = {INNER_FRAME, note[k].flag, plain + INNER_HEADER, 100};
		assert_int_equal(decap_note(&implied, &(struct noted){0}), DROP_MALFORMED);
	}
	struct note nobody = note_replicated(0);
	struct arrived a = {INNER_EFRAME, nobody.flag, nobody.bytes, 100};
	assert_int_equal(decap_note(&a, &(struct noted){0}), DROP_MALFORMED);
}

static void admit(void **state)
{
	(void)state;
	static struct port port;
	static struct member m;
	memcpy(port.mac, mac_b, 6);
	memcpy(m.mac, mac_a, 6);
	atomic_store(&port.mtu, 1400);
	frame_fill(mac_b, mac_a, 1500);
	frame[12] = 0x08, frame[13] = 0;
	for (size_t n = 0; n < 14; n++)
		assert_int_equal(admit_frame(&port, &m, frame, n), DROP_FRAME_SHORT);
	assert_int_equal(admit_frame(&port, &m, frame, 14), DROP_NONE);
	assert_int_equal(admit_frame(&port, &m, frame, 1414), DROP_NONE);
	assert_int_equal(admit_frame(&port, &m, frame, 1415), DROP_FRAME_LONG);
	frame[12] = 0x88, frame[13] = 0xa8;
	assert_int_equal(admit_frame(&port, &m, frame, 1418), DROP_NONE);
	assert_int_equal(admit_frame(&port, &m, frame, 1419), DROP_FRAME_LONG);
	frame[16] = 0x81, frame[17] = 0;
	assert_int_equal(admit_frame(&port, &m, frame, 1422), DROP_NONE);
	frame[20] = 0x81, frame[21] = 0; /* a third tag gives no more */
	assert_int_equal(admit_frame(&port, &m, frame, 1422), DROP_NONE);
	assert_int_equal(admit_frame(&port, &m, frame, 1423), DROP_FRAME_LONG);

	/* source */
	frame_fill(mac_b, mac_c, 60);
	assert_int_equal(admit_frame(&port, &m, frame, 60), DROP_SOURCE_MAC);
	memcpy(m.macs[0], mac_c, 6);
	m.n_macs = 1;
	assert_int_equal(admit_frame(&port, &m, frame, 60), DROP_NONE);
	m.n_macs = 0;
	atomic_store(&m.flags, MEMBER_BRIDGE);
	assert_int_equal(admit_frame(&port, &m, frame, 60), DROP_NONE);
	frame[6] |= 1; /* no right covers a group as source, nor our own MAC */
	assert_int_equal(admit_frame(&port, &m, frame, 60), DROP_SOURCE_MAC);
	frame_fill(everybody, mac_b, 60);
	assert_int_equal(admit_frame(&port, &m, frame, 60), DROP_OWN_MAC);
	atomic_store(&m.flags, 0);

	/* destination */
	frame_fill(everybody, mac_a, 60);
	assert_int_equal(admit_frame(&port, &m, frame, 60), DROP_NONE);
	frame_fill(mac_c, mac_a, 60);
	assert_int_equal(admit_frame(&port, &m, frame, 60), DROP_NO_MEMBER);
	atomic_store(&port.own_flags, MEMBER_BRIDGE);
	assert_int_equal(admit_frame(&port, &m, frame, 60), DROP_NONE);
	for (unsigned last = 0; last < 256; last++) {
		uint8_t group[6] = {0x01, 0x80, 0xc2, 0, 0, (uint8_t)last};
		frame_fill(group, mac_a, 60);
		atomic_store(&m.flags, 0);
		assert_int_equal(admit_frame(&port, &m, frame, 60), last < 16 ? DROP_LINK_LOCAL : DROP_NONE);
		atomic_store(&m.flags, MEMBER_BRIDGE);
		assert_int_equal(admit_frame(&port, &m, frame, 60), DROP_NONE);
		atomic_store(&port.own_flags, 0);
		assert_int_equal(admit_frame(&port, &m, frame, 60), last < 16 ? DROP_LINK_LOCAL : DROP_NONE);
		atomic_store(&port.own_flags, MEMBER_BRIDGE);
	}
}

static void vlan(void **state)
{
	(void)state;
	frame_fill(mac_b, mac_a, 60);
	memcpy(frame + 12, "\x81\x00\xe1\x23", 4);
	assert_int_equal(frame_vlan(frame, 60), 0x123);
	assert_int_equal(frame_vlan(frame, 17), 0);
	memcpy(frame + 12, "\x88\xa8\x00\x07", 4);
	assert_int_equal(frame_vlan(frame, 60), 7);
	memcpy(frame + 12, "\x08\x00\x00\x07", 4);
	assert_int_equal(frame_vlan(frame, 60), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(lengths), cmocka_unit_test(sizes), cmocka_unit_test(whole), cmocka_unit_test(lies),  cmocka_unit_test(decap),
	    cmocka_unit_test(bundles), cmocka_unit_test(admit), cmocka_unit_test(vlan),  cmocka_unit_test(notes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
