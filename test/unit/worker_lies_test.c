/* worker_lies_test.c: what a malicious member may seal for us: flags, bundles and hints that lie. Whatever it says, each frame is
 * written or counted once, and the device is told nothing that is not so.
 */
#include "worker_super.h"

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

/* A plaintext of any length from 0 to 1. */
static void say(const uint8_t *plain, size_t len)
{
	static uint8_t datagram[65536];
	struct endpoint e = endpoint_of(0);
	assert_true(len + DATA_HEADER + DATA_TAG <= sizeof(datagram));
	size_t n = seal_by(bed.host[0].session[1], 0, plain, len, datagram, sizeof(datagram));
	queue_put(wire_to(1), datagram, (uint32_t)n, &e);
}

static size_t inner(uint8_t *plain, uint8_t type, uint8_t flags)
{
	plain[0] = type;
	plain[1] = flags;
	le16_to(plain + 2, (uint16_t)chan_of(1));
	return INNER_HEADER;
}

static size_t fields(uint8_t *at, uint8_t flags, unsigned start, unsigned offset, struct segment s)
{
	size_t n = 0;
	if (flags & FRAME_CSUM) {
		le16_to(at, (uint16_t)start);
		le16_to(at + 2, (uint16_t)offset);
		n += 4;
	}
	if (flags & FRAME_SEG) {
		le16_to(at + n, s.id);
		at[n + 2] = s.i;
		at[n + 3] = s.n;
		n += 4;
	}
	return n;
}

/* A frame of 0 as it likes to describe it. */
static size_t told(uint8_t *plain, const uint8_t *frame, size_t len, uint8_t flags, unsigned start, unsigned offset, struct segment s)
{
	size_t n = inner(plain, INNER_FRAME, flags);
	n += fields(plain + n, flags, start, offset, s);
	memcpy(plain + n, frame + 12, len - 12);
	return n + len - 12;
}

static size_t told_true(uint8_t *plain, const struct recipe *r, struct segment s)
{
	size_t len = recipe_between(r, true, 0, 1, whole);
	uint8_t flags = s.n ? FRAME_FLAGS : FRAME_CSUM;
	return told(plain, whole, len, flags, (unsigned)recipe_l4(r), r->udp ? 6 : 16, s);
}

static uint8_t plain[65536];

static uint64_t letters_taken(unsigned h)
{
	uint64_t n = 0;
	for (struct letter *l; (l = mail_take(worker_mail(bed.host[h].worker[0]))); n++)
		letter_done(h, l);
	return n;
}

static uint64_t received(void)
{
	return atomic_load(&bed.host[1].port->count[0].carried.rx_frames);
}

/* ---- checksums -------------------------------------------------------------------------------------------------- */

static void csum_lies(void **state)
{
	(void)state;
	static const uint16_t numbers[] = {0, 1, 13, 14, 33, 34, 35, 50, 54, 1000, 1500, 9216, 0x7fff, 0x8000, 0xfffe, 0xffff};
	static const uint16_t offsets[] = {0, 2, 5, 6, 7, 15, 16, 17, 18, 0x7fff, 0xfffe, 0xffff};
	for (unsigned udp = 0; udp < 2; udp++)
		for (unsigned v6 = 0; v6 < 2; v6++) {
			struct recipe r = plain_recipe(v6, udp, 100);
			size_t len = recipe_between(&r, true, 0, 1, whole);
			for (unsigned i = 0; i < sizeof(numbers) / 2 + 1; i++)
				for (unsigned k = 0; k < sizeof(offsets) / 2; k++) {
					unsigned start = i ? numbers[i - 1] : (unsigned)recipe_l4(&r), offset = offsets[k];
					say(plain, told(plain, whole, len, FRAME_CSUM, start, offset, (struct segment){0}));
					if (start == recipe_l4(&r) && offset == (udp ? 6 : 16)) {
						step(1);
						written_is(1, 0, whole, len, recipe_offload(&r, 0));
						bed.host[1].tap.out[0].n = 0;
					} else {
						expect_drop(1, DROP_OFFLOAD, step(1));
					}
					assert_int_equal(n_written(1), 0);
				}
		}
}

/* Each byte of the headers wrong in turn, flags on. */
static void header_lies(void **state)
{
	(void)state;
	for (unsigned k = 0; k < 8; k++) {
		struct recipe r = plain_recipe(k & 1, k & 2, 64);
		r.vlans = k & 4 ? 1 : 0;
		r.ip_extra = k & 4 ? 8 : 0;
		size_t len = told_true(plain, &r, (struct segment){7, 0, 3});
		for (size_t at = 12; at < len; at++)
			for (unsigned bit = 0; bit < 8; bit++) {
				uint64_t dropped = drops(1), before = received();
				plain[at] ^= (uint8_t)(1u << bit);
				say(plain, len);
				step(1);
				assert_int_equal(drops(1) - dropped + received() - before, 1);
				assert_int_equal(n_written(1), received() - before);
				bed.host[1].tap.out[0].n = 0;
				plain[at] ^= (uint8_t)(1u << bit);
			}
		for (size_t cut = 0; cut < len; cut++) { /* and shorter than it says */
			uint64_t dropped = drops(1);
			uint8_t *exact = malloc(cut ? cut : 1);
			assert_non_null(exact);
			memcpy(exact, plain, cut);
			if (cut < INNER_HEADER) { /* shorter than any datagram, cannot be sealed */
				free(exact);
				continue;
			}
			say(exact, cut);
			step(1);
			assert_int_equal(drops(1) - dropped, 1);
			assert_int_equal(n_written(1), 0);
			free(exact);
		}
	}
}

static void other_protocols(void **state)
{
	(void)state;
	struct recipe r = plain_recipe(false, false, 100);
	for (unsigned k = 0; k < 7; k++) {
		size_t len = recipe_between(&r, true, 0, 1, whole);
		switch (k) {
		case 0: whole[23] = 1; break;                      /* ICMP */
		case 1: whole[12] = 0x88, whole[13] = 0xb5; break; /* no IP */
		case 2: whole[20] = 0x20; break;                   /* more fragments */
		case 3: whole[34 + 12] = 0xf0; break;              /* TCP header of 60, behind the end with 14 less */
		case 4: whole[34 + 12] = 0x40; break;              /* of 16 */
		case 5: two(whole + 16, len - 14 + 1); break;      /* IP longer than the frame */
		default: two(whole + 16, 39); break;               /* IP shorter than the TCP header */
		}
		if (k == 3)
			len = 34 + 50, two(whole + 16, 70);
		say(plain, told(plain, whole, len, FRAME_CSUM, 34, 16, (struct segment){0}));
		expect_drop(1, DROP_OFFLOAD, step(1));
	}
	assert_int_equal(n_written(1), 0);
}

/* ---- hints ------------------------------------------------------------------------------------------------------ */

/* n segments of one stream, their hints made by `lie`; all must arrive, whatever was joined, in order. */
static void hinted(const struct recipe *r, uint32_t size, struct segment (*lie)(unsigned i, unsigned n))
{
	unsigned n = (r->bytes + size - 1) / size;
	uint64_t before = received();
	for (unsigned i = 0; i < n; i++) {
		struct recipe s = recipe_segment(r, size, i);
		say(plain, told_true(plain, &s, lie(i, n)));
	}
	step_all(1);
	uint32_t at = 0, headers = (uint32_t)recipe_headers(r);
	for (unsigned i = 0; i < n_written(1); i++) {
		const struct item *it = written(1, i);
		assert_true(at + it->len - headers <= r->bytes);
		assert_memory_equal(it->bytes + headers, r->payload + at, it->len - headers);
		at += it->len - headers;
	}
	assert_int_equal(at, r->bytes);
	assert_int_equal(received() - before, n);
	bed.host[1].tap.out[0].n = 0;
}

static struct segment repeated(unsigned i, unsigned n)
{
	return (struct segment){5, (uint8_t)(i / 2), (uint8_t)n};
}

static struct segment backwards(unsigned i, unsigned n)
{
	return (struct segment){5, (uint8_t)(n - 1 - i), (uint8_t)n};
}

static struct segment mixed(unsigned i, unsigned n)
{
	return (struct segment){(uint16_t)(i % 3), (uint8_t)i, (uint8_t)n};
}

static struct segment always_first(unsigned i, unsigned n)
{
	(void)i, (void)n;
	return (struct segment){5, 0, 1};
}

static void hint_lies(void **state)
{
	(void)state;
	struct segment (*const lies[])(unsigned, unsigned) = {repeated, backwards, mixed, always_first};
	for (unsigned k = 0; k < 16; k++) {
		struct recipe r = plain_recipe(k & 1, k & 2, 20 * 300 + 17);
		hinted(&r, 300, lies[k / 4]);
	}
	assert_int_equal(drops(1), 0);
	struct recipe r = plain_recipe(false, false, 300);
	static const struct segment outside[] = {{1, 0, 0}, {1, 1, 0}, {1, 1, 1}, {1, 255, 255}, {1, 3, 2}};
	for (unsigned i = 0; i < 5; i++) {
		size_t len = recipe_between(&r, true, 0, 1, whole);
		say(plain, told(plain, whole, len, FRAME_FLAGS, 34, 16, outside[i]));
		expect_drop(1, DROP_OFFLOAD, step(1));
		len = recipe_between(&r, false, 0, 1, whole);
		say(plain, told(plain, whole, len, FRAME_SEG, 0, 0, outside[i]));
		expect_drop(1, DROP_OFFLOAD, step(1));
	}
	assert_int_equal(n_written(1), 0);
}

/* One id and right counts, but frames that do not belong together. */
static void strangers_under_one_id(void **state)
{
	(void)state;
	uint64_t seed = 11;
	for (unsigned round = 0; round < 400; round++) {
		unsigned n = 2 + dice(&seed) % 12;
		bool v6 = dice(&seed) & 1, udp = dice(&seed) & 1;
		uint32_t at = 0;
		for (unsigned i = 0; i < n; i++) {
			struct recipe r = plain_recipe(v6, udp, dice(&seed) % 4 ? 200 : dice(&seed) % 400); /* some grow, some are empty */
			r.payload += at;
			r.seq += at;
			r.id = (uint16_t)(r.id + i);
			switch (dice(&seed) % 16) {
			case 0: r.ttl--; break;
			case 1: r.flow ^= 1; break;
			case 2: r.flags ^= (uint8_t)(1u << dice(&seed) % 8); break;
			case 3: r.window++; break;
			case 4: r.tos ^= 1; break;
			case 5: r.seq += 1; break;
			case 6: r.id += 1; break;
			case 7: r.tcp_extra = 12; break;
			case 8: r.vlans = 1; break;
			case 9: r.ip_extra = 8; break;
			case 10: r.v6 ^= 1; break;
			case 11: r.udp ^= 1; break;
			default: break;
			}
			at += r.bytes;
			say(plain, told_true(plain, &r, (struct segment){9, (uint8_t)i, (uint8_t)n}));
		}
		uint64_t before = received();
		step_all(1);
		assert_int_equal(received() - before, n);
		bed.host[1].tap.out[0].n = 0;
	}
	assert_int_equal(drops(1), 0);
}

/* ---- bundles ---------------------------------------------------------------------------------------------------- */

static size_t record(uint8_t *at, uint8_t type, uint8_t flags, const void *body, size_t len)
{
	le16_to(at, (uint16_t)len);
	at[2] = type;
	at[3] = flags;
	if (len)
		memcpy(at + 4, body, len);
	return 4 + len;
}

static void bundle_lies(void **state)
{
	(void)state;
	uint8_t body[400];
	size_t n, at, len;
	frame_make(whole, 0, 1, 100);
	/* 17 records */
	for (at = inner(plain, INNER_BUNDLE, 0), n = 0; n < 17; n++)
		at += record(plain + at, INNER_FRAME, 0, whole + 12, 88);
	say(plain, at);
	expect_drop(1, DROP_MALFORMED, step(1));
	say(plain, at - 92); /* 16 are well */
	step(1);
	assert_int_equal(n_written(1), 16);
	bed.host[1].tap.out[0].n = 0;
	/* none; half a record; a record that is too long or too short by one */
	say(plain, INNER_HEADER);
	expect_drop(1, DROP_MALFORMED, step(1));
	for (n = 1; n < 92; n++) {
		say(plain, INNER_HEADER + 92 + n);
		expect_drop(1, DROP_MALFORMED, step(1));
	}
	static const uint16_t lengths[] = {87, 89, 88 + 92 * 15 + 1, 9000, 0x7fff, 0xffff};
	for (n = 0; n < 6; n++) {
		uint64_t dropped = drops(1);
		le16_to(plain + 4, lengths[n]);
		say(plain, at - 92);
		step(1);
		assert_int_equal(drops(1) - dropped, 1);
		assert_int_equal(n_written(1), 0);
	}
	/* what may not be in a bundle, at the end of good ones */
	static const uint8_t types[] = {INNER_PAD, INNER_FRAG, INNER_BUNDLE, INNER_CTRL, INNER_PROBE, INNER_CLOSE, 0xff};
	for (n = 0; n < 8; n++) {
		at = inner(plain, INNER_BUNDLE, 0);
		at += record(plain + at, INNER_FRAME, 0, whole + 12, 88);
		at += record(plain + at, n < 7 ? types[n] : INNER_FRAME, n < 7 ? 0 : FRAME_SEG, whole + 12, 88);
		say(plain, at);
		expect_drop(1, DROP_TYPE, step(1));
		assert_int_equal(n_written(1), 0);
	}
	/* records of nothing, or of flags without what they announce: each its own counter, the good ones go on */
	at = inner(plain, INNER_BUNDLE, 0);
	for (n = 0; n < 4; n++)
		at += record(plain + at, n & 1 ? INNER_EFRAME : INNER_FRAME, n & 2 ? FRAME_CSUM : 0, whole, n & 2 ? 3 : 0);
	at += record(plain + at, INNER_FRAME, 0, whole + 12, 88);
	say(plain, at);
	uint64_t before = worker_drop(bed.host[1].worker[0], DROP_MALFORMED);
	step(1);
	assert_int_equal(worker_drop(bed.host[1].worker[0], DROP_MALFORMED) - before, 4);
	written_is(1, 0, whole, 100, (struct offload){0});
	assert_int_equal(n_written(1), 1);
	bed.host[1].tap.out[0].n = 0;
	/* a sum that lies in a record */
	struct recipe r = plain_recipe(true, true, 30);
	len = recipe_between(&r, true, 0, 1, other);
	for (n = 0; n < 2; n++) {
		size_t k = fields(body, FRAME_CSUM, 54, n ? 6 : 16, (struct segment){0});
		memcpy(body + k, other + 12, len - 12);
		at = inner(plain, INNER_BUNDLE, 0);
		at += record(plain + at, INNER_FRAME, FRAME_CSUM, body, k + len - 12);
		at += record(plain + at, INNER_FRAME, 0, whole + 12, 88);
		say(plain, at);
		uint64_t dropped = worker_drop(bed.host[1].worker[0], DROP_OFFLOAD);
		step(1);
		assert_int_equal(worker_drop(bed.host[1].worker[0], DROP_OFFLOAD) - dropped, !n);
		assert_int_equal(n_written(1), 1 + n);
		bed.host[1].tap.out[0].n = 0;
	}
	/* a spoofed source in a record dies alone */
	memcpy(body, other, len);
	body[6] ^= 4;
	at = inner(plain, INNER_BUNDLE, 0);
	at += record(plain + at, INNER_EFRAME, 0, body, len);
	at += record(plain + at, INNER_FRAME, 0, whole + 12, 88);
	say(plain, at);
	expect_drop(1, DROP_SOURCE_MAC, step(1));
	written_is(1, 0, whole, 100, (struct offload){0});
}

static size_t piece(uint8_t *out, uint32_t id, unsigned i, unsigned n, const uint8_t *bytes, size_t total)
{
	size_t at = inner(out, INNER_FRAG, 0), step_bytes = (total + n - 1) / n, from = i * step_bytes;
	size_t take = total - from < step_bytes ? total - from : step_bytes;
	le32_to(out + at, id);
	out[at + 4] = (uint8_t)i;
	out[at + 5] = (uint8_t)n;
	le16_to(out + at + 6, (uint16_t)total);
	memcpy(out + at + 8, bytes + from, take);
	return at + 8 + take;
}

/* Nothing nests: a bundle in pieces, pieces in a bundle, pieces in pieces. Frames in pieces whose flags lie. */
static void nests(void **state)
{
	(void)state;
	uint8_t in[2000];
	frame_make(whole, 0, 1, 600);
	for (unsigned k = 0; k < 3; k++) {
		size_t at = inner(in, k == 0 ? INNER_BUNDLE : k == 1 ? INNER_FRAG : INNER_PAD, 0);
		at += k == 0 ? record(in + at, INNER_FRAME, 0, whole + 12, 588) : 600;
		for (unsigned i = 0; i < 2; i++) {
			say(plain, piece(plain, 100 + k, i, 2, in, at));
			if (i)
				expect_drop(1, DROP_FRAG, step(1));
			else
				step(1);
		}
	}
	size_t at = inner(plain, INNER_BUNDLE, 0), len = piece(in, 200, 0, 2, whole, 600);
	at += record(plain + at, INNER_FRAG, 0, in + INNER_HEADER, len - INNER_HEADER);
	say(plain, at);
	expect_drop(1, DROP_TYPE, step(1));
	struct recipe r = plain_recipe(false, false, 1200);
	len = recipe_between(&r, true, 0, 1, whole);
	for (unsigned k = 0; k < 5; k++) {
		static const struct segment hints[] = {{0}, {0}, {1, 2, 2}, {1, 0, 2}, {0}};
		uint8_t flags = k < 2 || k == 4 ? FRAME_CSUM : FRAME_FLAGS;
		size_t total = told(in, whole, len, flags, k == 1 ? 36 : 34, k == 4 ? 14 : 16, hints[k]);
		uint64_t dropped = drops(1);
		for (unsigned i = 0; i < 2; i++)
			say(plain, piece(plain, 300 + k, i, 2, in, total));
		step(1);
		assert_int_equal(drops(1) - dropped + n_written(1), 1);
		assert_int_equal(n_written(1), k == 0 || k == 3);
		bed.host[1].tap.out[0].n = 0;
	}
	assert_int_equal(letters_taken(1), 0);
}

/* More frames in one batch than a write takes, and more bytes than the slab for them: each keeps its own. */
static void bundles_beyond_room(void **state)
{
	(void)state;
	for (unsigned size = 20; size < 2200; size += 363) {
		unsigned sent = 0;
		for (unsigned d = 0; d < 64; d++) {
			size_t at = inner(plain, INNER_BUNDLE, 0);
			/* Small ones until the writer is full by their number, then those that fill it by their bytes. */
			size_t len = d < 17 ? 20 : size;
			for (unsigned k = 0; k < 16 && at + len < 8900; k++, sent++) {
				frame_make(whole, 0, 1, len);
				le32_to(whole + 14, sent);
				at += record(plain + at, INNER_FRAME, 0, whole + 12, len - 12);
			}
			say(plain, at);
			if (d % 16 == 3) { /* and some in pieces */
				frame_make(whole, 0, 1, 3000);
				le32_to(whole + 14, sent++);
				size_t total = told(other, whole, 3000, 0, 0, 0, (struct segment){0});
				for (unsigned i = 0; i < 2; i++)
					say(plain, piece(plain, 1000 * size + d, i, 2, other, total));
			}
		}
		/* The device's queue is of 512: emptied between turns, and a turn writes more. */
		unsigned seen = 0;
		while (wire_to(1)->n) {
			struct queue *q = wire_to(1);
			unsigned keep = q->n;
			if (keep > 30)
				q->n = 30;
			unsigned turns = q->n;
			struct item *rest = malloc((size_t)(keep - turns + 1) * sizeof(*rest));
			assert_non_null(rest);
			for (unsigned i = turns; i < keep; i++)
				memcpy(&rest[i - turns], &q->item[i], offsetof(struct item, bytes) + q->item[i].len);
			step(1);
			for (unsigned i = turns; i < keep; i++)
				queue_put(q, rest[i - turns].bytes, rest[i - turns].len, &rest[i - turns].from);
			free(rest);
			for (unsigned i = 0; i < n_written(1); i++, seen++) {
				const struct item *it = written(1, i);
				frame_make(whole, 0, 1, it->len);
				le32_to(whole + 14, seen);
				assert_memory_equal(it->bytes, whole, it->len);
			}
			bed.host[1].tap.out[0].n = 0;
		}
		assert_int_equal(seen, sent);
	}
	assert_int_equal(drops(1), 0);
}

/* UDP carries 64 KiB; nothing of ours is longer than a datagram of 9000. */
static void longer_than_any(void **state)
{
	(void)state;
	static const uint8_t types[] = {INNER_PAD,  INNER_FRAME, INNER_EFRAME,    INNER_FRAG,  INNER_BUNDLE,
	                                INNER_CTRL, INNER_PROBE, INNER_PROBE_ACK, INNER_CLOSE, 0x55};
	static const uint16_t lengths[] = {9017, 9473, 9600, 20000, 65507};
	atomic_store(&bed.host[1].member[0].rx_open, false);
	for (unsigned t = 0; t < 10; t++)
		for (unsigned i = 0; i < 5; i++) {
			memset(plain, 7, sizeof(plain));
			inner(plain, types[t], 0);
			uint64_t before = drops(1);
			say(plain, lengths[i] - DATA_HEADER - DATA_TAG);
			step(1);
			assert_int_equal(drops(1) - before, 1);
			letter_none(1);
		}
	assert_int_equal(n_written(1), 0);
}

/* ---- anything --------------------------------------------------------------------------------------------------- */

/* Records of a bundle that parses, 0 of one that does not, 1 of what is none. */
static unsigned frames_in(const uint8_t *p, size_t len)
{
	unsigned n = 0;
	if (p[0] != INNER_BUNDLE)
		return 1;
	for (size_t at = 4; at < len; n++) {
		if (len - at < 4 || (p[at + 2] != 1 && p[at + 2] != 2) || p[at + 3] & (FRAME_SEG | FRAME_REPLICATE | FRAME_REPLICATED) ||
		    n == 16)
			return 0;
		at += 4u + le16_at(p + at);
		if (at > len)
			return 0;
	}
	return n;
}

static size_t anything_good(uint64_t *seed, unsigned i, unsigned n)
{
	struct recipe r = plain_recipe(dice(seed) & 1, dice(seed) & 1, dice(seed) % 200);
	r.flow = (uint16_t)(dice(seed) % 3);
	r.vlans = dice(seed) % 8 ? 0 : (uint8_t)(dice(seed) % 3);
	r.ip_extra = dice(seed) % 8 ? 0 : 8;
	r.tcp_extra = dice(seed) % 4 ? 0 : 12;
	if (dice(seed) % 3) { /* goes on */
		r.v6 = r.udp = false;
		r.vlans = r.ip_extra = r.tcp_extra = 0;
		r.flow = 0;
		r.bytes = 150;
		r.seq += i * 150;
		r.id = (uint16_t)(r.id + i);
	}
	switch (dice(seed) % 4) {
	case 0: return told_true(plain, &r, (struct segment){0});
	case 1: {
		size_t at = inner(plain, INNER_BUNDLE, 0);
		for (unsigned k = dice(seed) % 17; k; k--) {
			bool partial = dice(seed) & 1;
			uint8_t body[600];
			size_t len = recipe_between(&r, partial, 0, 1, whole);
			size_t f = fields(body, partial, (unsigned)recipe_l4(&r), r.udp ? 6 : 16, (struct segment){0});
			memcpy(body + f, whole + 12, len - 12);
			at += record(plain + at, INNER_FRAME, partial, body, f + len - 12);
		}
		return at;
	}
	case 2: {
		size_t len = recipe_between(&r, false, 0, 1, whole);
		return told(plain, whole, len, 0, 0, 0, (struct segment){0});
	}
	default: return told_true(plain, &r, (struct segment){(uint16_t)(dice(seed) % 2), (uint8_t)i, (uint8_t)n});
	}
}

static void anything(void **state)
{
	(void)state;
	static const unsigned may[] = {TAP_ALL, TAP_CSUM | TAP_TSO, TAP_CSUM, 0};
	uint64_t seed = 20240607, joined = 0;
	for (unsigned round = 0; round < 1500; round++) {
		unsigned n = 1 + dice(&seed) % 16, least = 0, most = 0;
		uint64_t before = drops(1) + received();
		bed.host[1].tap.offloads = may[round % 8 < 5 ? 0 : round % 4];
		for (unsigned i = 0; i < n; i++) {
			size_t len = anything_good(&seed, i, n);
			size_t near = len < 80 ? len : 80;
			for (unsigned flips = dice(&seed) % 3 ? 0 : dice(&seed) % 4; flips; flips--) {
				size_t at = dice(&seed) % (dice(&seed) % 4 ? near : len);
				if (at == 2 || at == 3)
					continue; /* another channel is a letter */
				plain[at] = (uint8_t)(dice(&seed) & 1 ? dice(&seed) : plain[at] ^ 1u << dice(&seed) % 8);
			}
			if (dice(&seed) % 16 == 0)
				len = 4 + dice(&seed) % (len - 3);
			bool mailed = plain[0] == INNER_PAD || plain[0] == INNER_FRAG || plain[0] == INNER_CTRL ||
			              plain[0] == INNER_PROBE || plain[0] == INNER_PROBE_ACK || plain[0] == INNER_CLOSE;
			unsigned frames = frames_in(plain, len);
			least += mailed ? 0 : frames ? frames : 1;
			most += frames ? frames : 1;
			say(plain, len);
		}
		step_all(1);
		letters_taken(1);
		assert_in_range(drops(1) + received() - before, least, most);
		for (unsigned i = 0; i < n_written(1); i++)
			joined += written(1, i)->offload.gso != 0;
		bed.host[1].tap.out[0].n = 0;
	}
	assert_true(joined > 500); /* else it was no test of it */
}

int main(void)
{
#define test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	    test(csum_lies),   test(header_lies), test(other_protocols),     test(hint_lies),       test(strangers_under_one_id),
	    test(bundle_lies), test(nests),       test(bundles_beyond_room), test(longer_than_any), test(anything),
	};
	assert_int_equal(seal_setup(), 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
