/* join_test.c: what was cut is joined to the same superframe; nothing is joined that would not be cut into the same frames again;
 * no frame is lost, made twice or carried past another one of its flow, whatever comes and whatever the hints say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "node/cut.h"
#include "node/join.h"
#include "superframe.h"
#include "tap/tap.h"

#define ALL       (TAP_CSUM | TAP_TSO | TAP_USO)
#define FRAME_MAX 9100

/* A batch and what went into it. packet.pn is a frame's number and travels with it. */
struct input {
	size_t len;
	struct offload offload;
	unsigned flow;            /* order holds within it; 0: stands for itself */
	uint8_t sent[FRAME_MAX];  /* as it came */
	uint8_t whole[FRAME_MAX]; /* with its checksum complete */
	uint8_t work[FRAME_MAX];
};
static struct input input[JOIN_MAX];
static struct packet packet[JOIN_MAX];
static unsigned n_inputs;
static uint8_t payload[65536];
static uint64_t seed;

static int fill(void **state)
{
	(void)state;
	seed = 11;
	for (size_t i = 0; i < sizeof(payload); i++)
		payload[i] = (uint8_t)dice(&seed);
	return 0;
}

static struct recipe plain(bool v6, bool udp)
{
	return (struct recipe){
	    .v6 = v6, .udp = udp, .ttl = 64, .flags = 0x10, .id = 0xfffe, .seq = 0xffffff00, .ack = 77, .payload = payload};
}

static void give(const struct recipe *r, bool partial, struct segment hint)
{
	assert_true(n_inputs < JOIN_MAX);
	struct input *in = &input[n_inputs];
	in->len = recipe_frame(r, partial, in->sent);
	recipe_frame(r, false, in->whole);
	in->flow = 1 + (r->flow | (unsigned)r->v6 << 16 | (unsigned)r->udp << 17);
	in->offload = partial ? recipe_offload(r, 0) : (struct offload){0};
	packet[n_inputs] = (struct packet){.segment = hint};
	n_inputs++;
}

static void give_raw(const uint8_t *frame, size_t len, unsigned flow)
{
	assert_true(n_inputs < JOIN_MAX);
	struct input *in = &input[n_inputs];
	in->len = len;
	memcpy(in->sent, frame, len);
	memcpy(in->whole, frame, len);
	in->flow = flow;
	in->offload = (struct offload){0};
	packet[n_inputs++] = (struct packet){0};
}

static void give_all(const struct recipe *r, uint32_t size, bool partial, uint16_t id)
{
	uint32_t n = (r->bytes + size - 1) / size;
	for (uint32_t i = 0; i < n; i++) {
		struct recipe s = recipe_segment(r, size, i);
		give(&s, partial, (struct segment){id, (uint8_t)i, (uint8_t)n});
	}
}

static void same_offload(struct offload a, struct offload b)
{
	assert_int_equal(a.gso, b.gso);
	assert_int_equal(a.csum, b.csum);
	assert_int_equal(a.ecn, b.ecn);
	assert_int_equal(a.size, b.size);
	assert_int_equal(a.csum_start, b.csum_start);
	assert_int_equal(a.csum_offset, b.csum_offset);
}

static void start(void)
{
	for (unsigned i = 0; i < n_inputs; i++) {
		struct packet *p = &packet[i];
		memcpy(input[i].work, input[i].sent, input[i].len);
		p->data = input[i].work;
		p->len = (uint32_t)input[i].len;
		p->room = FRAME_MAX;
		p->pn = i;
		p->tails = 0;
		p->offload = input[i].offload;
	}
}

/* The frame that packet k and its tails are. */
static size_t flatten(unsigned k, uint8_t *out)
{
	size_t len = 0;
	for (unsigned i = k; i <= k + packet[k].tails; i++) {
		memcpy(out + len, packet[i].data, packet[i].len);
		len += packet[i].len;
	}
	return len;
}

/* A head with tails is what cuts into exactly these frames. */
static void recut(unsigned k)
{
	static uint8_t super[SUPERFRAME_MAX + FRAME_MAX], out[FRAME_MAX];
	const struct packet *head = &packet[k];
	size_t len = flatten(k, super);
	struct cut c;
	struct offload lacks;
	assert_in_range(head->offload.gso, GSO_TCP4, GSO_UDP);
	assert_true(head->tails <= (head->offload.gso == GSO_UDP ? 63 : TAP_TAILS_MAX));
	assert_true(cut_begin(&c, super, len, &head->offload, SUPERFRAME_MAX, false));
	assert_int_equal(c.n, head->tails + 1);
	assert_int_equal(c.layout.end, len);
	assert_true(len - c.layout.l3 <= 65535);
	assert_true(layout_ip_csum_good(super, &c.layout));
	assert_int_equal(head->offload.ecn, head->offload.gso != GSO_UDP && super[c.layout.l4 + TCP_FLAGS] & TCP_CWR);
	struct offload single = head->offload;
	single.gso = GSO_NONE;
	assert_true(layout_offload_true(super, len, &single)); /* the field is the whole's pseudo-header */
	for (uint32_t i = 0; i < c.n; i++) {
		const struct input *in = &input[packet[k + i].pn];
		assert_int_equal(cut_length(&c, i), in->len);
		cut_segment(&c, i, out, &lacks);
		assert_memory_equal(out, in->whole, in->len);
		assert_int_equal(in->flow, input[head->pn].flow);
	}
}

/* Joins and proves; the number of frames that are left. */
static unsigned check(unsigned may)
{
	bool seen[JOIN_MAX] = {0};
	unsigned left = 0;
	start();
	join_batch(packet, n_inputs, may);
	for (unsigned k = 0; k < n_inputs; k += 1u + packet[k].tails, left++) {
		const struct packet *p = &packet[k];
		const struct input *in = &input[p->pn];
		assert_true(k + p->tails < n_inputs);
		if (p->tails) {
			recut(k);
			continue;
		}
		assert_ptr_equal(p->data, in->work);
		assert_int_equal(p->len, in->len);
		assert_memory_equal(p->data, in->sent, in->len);
		same_offload(p->offload, in->offload);
	}
	uint64_t head = 0; /* heads by arrival */
	for (unsigned k = 0; k < n_inputs; k += 1u + packet[k].tails) {
		assert_true(k == 0 || packet[k].pn > head);
		head = packet[k].pn;
	}
	for (unsigned k = 0; k < n_inputs; k++) {
		assert_true(packet[k].pn < n_inputs && !seen[packet[k].pn]);
		seen[packet[k].pn] = true;
		assert_true(packet[k].room >= packet[k].len && packet[k].data + packet[k].room <= input[packet[k].pn].work + FRAME_MAX);
		for (unsigned i = 0; i < k; i++)
			if (input[packet[i].pn].flow == input[packet[k].pn].flow)
				assert_true(packet[i].pn < packet[k].pn);
	}
	return left;
}

/* ---- round trip ------------------------------------------------------------------------------------------------- */

static void comes_back(const struct recipe *r, uint32_t size, bool partial)
{
	static uint8_t original[SUPERFRAME_MAX], back[SUPERFRAME_MAX + FRAME_MAX];
	n_inputs = 0;
	give_all(r, size, partial, 5);
	unsigned most = r->udp ? 64 : TAP_TAILS_MAX + 1, n = n_inputs;
	assert_int_equal(check(ALL), (n + most - 1) / most);
	if (n > most || n == 1)
		return;
	size_t len = recipe_frame(r, true, original);
	assert_int_equal(flatten(0, back), len);
	assert_memory_equal(back, original, len);
	same_offload(packet[0].offload, recipe_offload(r, size));
}

static void round_trip(void **state)
{
	(void)state;
	static const uint16_t sizes[] = {100, 536, 1208, 1448, 8900};
	static const uint32_t lengths[] = {1, 101, 1208, 5000, 20001, 64000};
	for (unsigned kind = 0; kind < 4; kind++) {
		for (unsigned shape = 0; shape < 3 * 3 * 3; shape++) {
			struct recipe r = plain(kind & 1, kind & 2);
			r.vlans = (uint8_t)(shape % 3);
			r.ip_extra = (uint8_t)(shape / 3 % 3 * (r.v6 ? 8 : 20));
			r.tcp_extra = (uint8_t)(shape / 9 * 20);
			r.df = shape & 1;
			for (unsigned i = 0; i < 5 * 6; i++) {
				r.bytes = lengths[i % 6];
				if (r.bytes / sizes[i / 6] < 200)
					comes_back(&r, sizes[i / 6], (i + shape) & 1);
			}
		}
	}
}

static void round_trip_lengths(void **state)
{
	(void)state;
	for (unsigned kind = 0; kind < 4; kind++) {
		struct recipe r = plain(kind & 1, kind & 2);
		for (r.bytes = 1; r.bytes < 500; r.bytes++)
			comes_back(&r, 9, r.bytes & 1);
		for (r.bytes = 600; r.bytes < 65400; r.bytes += 1009)
			comes_back(&r, 1400, r.bytes & 1);
		r.bytes = (uint32_t)(65535 - (recipe_headers(&r) - 14));
		comes_back(&r, 1400, true);
		/* One byte more and the last segment stays out. */
		r.bytes++;
		n_inputs = 0;
		give_all(&r, 1400, false, 1);
		assert_int_equal(check(ALL), 2);
	}
}

/* Those that can stand on a superframe; the others are never joined. */
static void round_trip_flags(void **state)
{
	(void)state;
	for (unsigned f = 0; f < 256; f++) {
		struct recipe r = plain(f & 1, false);
		r.flags = (uint8_t)f;
		r.bytes = 777;
		r.urgent = 12; /* without URG: bytes like any other */
		if (!(f & (TCP_SYN | TCP_RST | TCP_URG))) {
			comes_back(&r, 100, true);
			comes_back(&r, 100, false);
			continue;
		}
		n_inputs = 0;
		give_all(&r, 400, true, 1);
		assert_int_equal(check(ALL), 2);
	}
}

static void what_may_be(void **state)
{
	(void)state;
	for (unsigned may = 0; may < 8; may++) {
		for (unsigned kind = 0; kind < 4; kind++) {
			struct recipe r = plain(kind & 1, kind & 2);
			r.bytes = 1000;
			n_inputs = 0;
			give_all(&r, 100, true, 1);
			assert_int_equal(check(may), may & (r.udp ? TAP_USO : TAP_TSO) ? 1 : 10);
		}
	}
}

/* ---- what does not fit ------------------------------------------------------------------------------------------ */

static void pair(struct recipe *a, struct recipe *b, bool v6, bool udp)
{
	struct recipe r = plain(v6, udp);
	r.bytes = 200;
	r.tcp_extra = 12;
	*a = recipe_segment(&r, 100, 0);
	*b = recipe_segment(&r, 100, 1);
}

static unsigned left_of(const struct recipe *a, const struct recipe *b)
{
	n_inputs = 0;
	give(a, false, (struct segment){9, 0, 2});
	give(b, false, (struct segment){9, 1, 2});
	return check(ALL);
}

static void another_field(void **state)
{
	(void)state;
	for (unsigned kind = 0; kind < 4; kind++) {
		bool v6 = kind & 1, udp = kind & 2, tcp = !udp;
		struct recipe a, b;
		pair(&a, &b, v6, udp);
		assert_int_equal(left_of(&a, &b), 1);
#define CHANGED(when, change)                                                                                                              \
	do {                                                                                                                               \
		pair(&a, &b, v6, udp);                                                                                                     \
		change;                                                                                                                    \
		assert_int_equal(left_of(&a, &b), (when) ? 2 : 1);                                                                         \
	} while (0)
		CHANGED(true, b.vlans = 1);
		CHANGED(true, b.tos = 4);
		CHANGED(true, b.tos = 3); /* congestion experienced */
		CHANGED(true, b.ttl = 63);
		CHANGED(true, b.flow = 7);
		CHANGED(!v6, b.df = true);
		CHANGED(!v6, b.id++);
		CHANGED(!v6, b.id = a.id);
		CHANGED(true, b.ip_extra = 8);
		CHANGED(tcp, b.tcp_extra = 8);
		CHANGED(tcp, b.seq++);
		CHANGED(tcp, b.seq--);
		CHANGED(tcp, b.seq = a.seq);
		CHANGED(tcp, b.ack++);
		CHANGED(tcp, b.window++);
		CHANGED(tcp, b.urgent++);
		CHANGED(true, b.bytes = 101);
		CHANGED(true, b.bytes = 0);
		CHANGED(true, a.bytes = 0);
		CHANGED(false, b.bytes = 99);
		for (unsigned f = 0; f < 256; f++) {
			CHANGED(tcp && (f & 0xf6) != 0x10, b.flags = (uint8_t)f);
			CHANGED(tcp && f != 0x10 && f != 0x90, a.flags = (uint8_t)f);
			CHANGED(tcp && f & (TCP_SYN | TCP_RST | TCP_URG | TCP_PSH | TCP_FIN | TCP_CWR), a.flags = b.flags = (uint8_t)f);
		}
#undef CHANGED
	}
}

/* Every bit of the second one's headers, with its checksums right again: it may stand in one write with the first only when that is
 * cut into the two as they are, which check() proves; and that is so for nothing but FIN and PSH. */
static void another_bit(void **state)
{
	(void)state;
	for (unsigned kind = 0; kind < 8; kind++) {
		struct recipe a, b;
		pair(&a, &b, kind & 1, kind & 2);
		a.ip_extra = b.ip_extra = kind & 4 ? 16 : 0;
		size_t headers = recipe_headers(&b), len = headers + b.bytes, l4 = recipe_l4(&b);
		for (size_t bit = 0; bit < headers * 8; bit++) {
			uint8_t frame[FRAME_MAX];
			struct layout l;
			recipe_frame(&b, false, frame);
			frame[bit / 8] ^= (uint8_t)(1 << bit % 8);
			if (layout_of(frame, len, &l)) {
				layout_ip_csum(frame, &l);
				word_to(frame + l.l4 + layout_csum_offset(&l), layout_pseudo(frame, &l, l.end - l.l4));
				layout_complete(frame, &l);
			}
			uint8_t untouched[FRAME_MAX];
			recipe_frame(&b, false, untouched);
			bool same = !memcmp(frame, untouched, len); /* the bit was one of a checksum */
			bool last = !b.udp && bit / 8 == l4 + TCP_FLAGS && (bit % 8 == 0 || bit % 8 == 3);
			n_inputs = 0;
			give(&a, false, (struct segment){0});
			give_raw(frame, len, input[0].flow);
			assert_int_equal(check(ALL), same || last ? 1 : 2);
			/* And in the first of the two. */
			n_inputs = 0;
			recipe_frame(&a, false, frame);
			frame[bit / 8] ^= (uint8_t)(1 << bit % 8);
			give_raw(frame, len, 1);
			give(&b, false, (struct segment){0});
			input[1].flow = 1;
			assert_int_equal(check(ALL), 2);
		}
	}
}

/* Each bit of a frame spoiled without its checksum being told. */
static void wrong_sums(void **state)
{
	(void)state;
	for (unsigned kind = 0; kind < 4; kind++) {
		struct recipe a, b;
		pair(&a, &b, kind & 1, kind & 2);
		size_t len = recipe_headers(&b) + b.bytes;
		for (size_t at = recipe_l3(&b); at < len; at++) {
			for (unsigned which = 0; which < 2; which++) {
				n_inputs = 0;
				give(&a, false, (struct segment){0});
				give(&b, false, (struct segment){0});
				input[which].sent[at] ^= 0x10;
				input[which].whole[at] ^= 0x10;
				assert_int_equal(check(ALL), 2);
			}
		}
	}
}

/* UDP without a checksum; sums that are right but not as the kernel writes them; padding. */
static void odd_sums(void **state)
{
	(void)state;
	struct recipe a, b;
	pair(&a, &b, false, true);
	for (unsigned which = 0; which < 2; which++) {
		n_inputs = 0;
		give(&a, false, (struct segment){0});
		give(&b, false, (struct segment){0});
		memset(input[which].sent + 14 + 20 + 6, 0, 2);
		memset(input[which].whole + 14 + 20 + 6, 0, 2);
		assert_int_equal(check(ALL), 2);
	}
	for (unsigned which = 0; which < 2; which++) { /* the id that makes the IPv4 header sum to 0 */
		pair(&a, &b, false, true);
		uint8_t frame[FRAME_MAX];
		struct recipe *r = which ? &b : &a;
		r->id = 0;
		recipe_frame(r, false, frame);
		r->id = (uint16_t)(frame[14 + 10] << 8 | frame[14 + 11]);
		(which ? &a : &b)->id = (uint16_t)(which ? r->id - 1 : r->id + 1);
		for (unsigned odd = 0; odd < 2; odd++) {
			n_inputs = 0;
			give(&a, false, (struct segment){0});
			give(&b, false, (struct segment){0});
			assert_memory_equal(input[which].sent + 14 + 10, "\0\0", 2);
			memset(input[which].sent + 14 + 10, odd ? 255 : 0, 2);
			memset(input[which].whole + 14 + 10, odd ? 255 : 0, 2);
			assert_int_equal(check(ALL), odd ? 2 : 1);
		}
	}
	for (unsigned i = 0; i < 2 * 8; i++) { /* padding, behind a tail that is short as well */
		unsigned which = i & 1;
		pair(&a, &b, i & 2, i & 4);
		b.bytes -= 5;
		n_inputs = 0;
		give(&a, i & 8, (struct segment){0});
		give(&b, i & 8, (struct segment){0});
		memset(input[which].sent + input[which].len, 0, 3);
		memset(input[which].whole + input[which].len, 0, 3);
		input[which].len += 3;
		assert_int_equal(check(ALL), 2);
	}
}

/* A UDP length that is not the packet's, in a sum that is right. */
static void odd_length(void **state)
{
	(void)state;
	for (unsigned v6 = 0; v6 < 2; v6++) {
		struct recipe a, b;
		pair(&a, &b, v6, true);
		n_inputs = 0;
		give(&a, false, (struct segment){0});
		give(&b, false, (struct segment){0});
		uint8_t *udp = input[1].sent + recipe_l4(&b);
		assert_int_equal(check(ALL), 1);
		assert_true(udp[5] > 0 && udp[7] < 255);
		udp[5]--;
		udp[7]++;
		assert_int_equal(slow_sum(udp, 8 + b.bytes, recipe_pseudo(&b, input[1].sent + recipe_l3(&b), 8 + b.bytes)), 0xffff);
		assert_int_equal(check(ALL), 2);
	}
}

/* The payload that makes the TCP checksum 0: written as 0xffff it is right, but not as the kernel writes it. */
static void odd_tcp_sum(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 8; i++) {
		unsigned which = i & 1, odd = i >> 1 & 1;
		struct recipe a, b;
		pair(&a, &b, i & 4, false);
		struct recipe *r = which ? &b : &a;
		uint8_t frame[FRAME_MAX], own[100] = {0};
		r->payload = own;
		recipe_frame(r, false, frame);
		memcpy(own, frame + recipe_l4(r) + 16, 2);
		n_inputs = 0;
		give(&a, false, (struct segment){0});
		give(&b, false, (struct segment){0});
		assert_memory_equal(input[which].sent + recipe_l4(r) + 16, "\0\0", 2);
		memset(input[which].sent + recipe_l4(r) + 16, odd ? 255 : 0, 2);
		memset(input[which].whole + recipe_l4(r) + 16, odd ? 255 : 0, 2);
		assert_int_equal(check(ALL), odd ? 2 : 1);
	}
}

/* ---- order ------------------------------------------------------------------------------------------------------ */

/* A frame put before the third of six: how many are left. */
static unsigned between(const struct recipe *r, const struct recipe *other)
{
	n_inputs = 0;
	for (uint32_t i = 0; i < 6; i++) {
		struct recipe s = recipe_segment(r, 100, i);
		if (i == 3)
			give(other, false, (struct segment){0});
		give(&s, false, (struct segment){0});
	}
	return check(ALL);
}

static void nothing_overtakes(void **state)
{
	(void)state;
	for (unsigned kind = 0; kind < 4; kind++) {
		struct recipe r = plain(kind & 1, kind & 2);
		r.bytes = 600;
		struct recipe ack = recipe_segment(&r, 100, 2), again = ack, far = ack;
		ack.bytes = 0;
		assert_int_equal(between(&r, &ack), 3);
		if (r.udp)
			again.ttl--;
		/* What came again leads those that follow it. */
		assert_int_equal(between(&r, &again), r.udp ? 3 : 2);
		far.flow = 99;
		assert_int_equal(between(&r, &far), 2);
	}
	/* A fragment could be of any flow. */
	struct recipe r = plain(false, true);
	r.bytes = 600;
	uint8_t fragment[200];
	struct recipe f = recipe_segment(&r, 100, 0);
	size_t len = recipe_frame(&f, false, fragment);
	fragment[14 + 6] = 0x20;
	n_inputs = 0;
	for (uint32_t i = 0; i < 6; i++) {
		struct recipe s = recipe_segment(&r, 100, i);
		give(&s, false, (struct segment){0});
		if (i == 2)
			give_raw(fragment, len, input[0].flow);
	}
	assert_int_equal(check(ALL), 3);
}

static void gaps(void **state)
{
	(void)state;
	for (unsigned kind = 0; kind < 2; kind++) {
		struct recipe r = plain(kind, false);
		r.bytes = 1000;
		static const struct {
			uint8_t n, order[12], left;
		} cases[] = {
		    {9, {0, 1, 2, 4, 5, 6, 7, 8, 9}, 2},           /* one lost */
		    {10, {1, 0, 2, 3, 4, 5, 6, 7, 8, 9}, 3},       /* the first two swapped */
		    {10, {0, 1, 2, 3, 5, 4, 6, 7, 8, 9}, 4},       /* two in the middle */
		    {11, {0, 1, 2, 3, 3, 4, 5, 6, 7, 8, 9}, 2},    /* one twice */
		    {10, {9, 8, 7, 6, 5, 4, 3, 2, 1, 0}, 10},      /* backwards */
		    {12, {0, 1, 2, 0, 1, 2, 3, 4, 5, 6, 7, 8}, 2}, /* begun again */
		};
		for (unsigned c = 0; c < sizeof(cases) / sizeof(cases[0]); c++) {
			n_inputs = 0;
			for (unsigned i = 0; i < cases[c].n; i++) {
				struct recipe s = recipe_segment(&r, 100, cases[c].order[i]);
				give(&s, i & 1, (struct segment){3, cases[c].order[i], 10});
			}
			assert_int_equal(check(ALL), cases[c].left);
		}
	}
}

/* Frames of k flows in turn: up to eight are joined side by side, of more the one that waited longest is closed. */
static void side_by_side(void **state)
{
	(void)state;
	for (unsigned k = 1; k <= 12; k++) {
		n_inputs = 0;
		for (unsigned i = 0; i < 16; i++) {
			for (unsigned f = 0; f < k; f++) {
				struct recipe r = plain(f & 1, f & 2);
				r.flow = (uint16_t)f;
				r.bytes = 1600;
				r = recipe_segment(&r, 100, i);
				give(&r, f & 4, (struct segment){(uint16_t)f, (uint8_t)i, 16});
			}
		}
		assert_int_equal(check(ALL), k <= 8 ? k : 16 * k);
	}
}

/* Longer ones than one write takes go on in the next. */
static void most(void **state)
{
	(void)state;
	for (unsigned kind = 0; kind < 4; kind++) {
		struct recipe r = plain(kind & 1, kind & 2);
		n_inputs = 0;
		r.bytes = 8 * JOIN_MAX;
		give_all(&r, 8, true, 0);
		assert_int_equal(n_inputs, JOIN_MAX);
		assert_int_equal(check(ALL), r.udp ? 4 : 2);
		assert_int_equal(packet[0].tails, r.udp ? 63 : 127);
	}
}

/* ---- anything --------------------------------------------------------------------------------------------------- */

#define FLOWS 12
static struct recipe flow[FLOWS];

static void give_noise(unsigned f)
{
	struct recipe r = flow[f];
	uint8_t frame[FRAME_MAX];
	r.bytes = dice(&seed) % 3 ? 0 : 1 + dice(&seed) % 50;
	switch (dice(&seed) % 4) {
	case 0: /* pure ACK, or a short datagram */ give(&r, dice(&seed) % 2, (struct segment){0}); return;
	case 1: {
		size_t len = recipe_frame(&r, false, frame);
		frame[recipe_l3(&r) + 6] = r.v6 ? 44 : 0x20; /* a fragment */
		give_raw(frame, len, 1 + (r.flow | (unsigned)r.v6 << 16 | (unsigned)r.udp << 17));
		return;
	}
	case 2:
		memset(frame, 3, 60);
		frame[12] = 8;
		frame[13] = 6;
		give_raw(frame, 60, 0x40000000u + n_inputs);
		return;
	default:
		r.flags = (uint8_t)dice(&seed);
		r.bytes = 100;
		give(&r, false, (struct segment){0});
	}
}

static void give_superframe(unsigned f)
{
	struct recipe *r = &flow[f];
	uint32_t size = dice(&seed) % 4 ? 100 : 1 + dice(&seed) % 1400, n = 1 + dice(&seed) % 24;
	r->bytes = size * n - (dice(&seed) % 3 ? 0 : dice(&seed) % size);
	r->payload = payload + dice(&seed) % 20000;
	r->flags = dice(&seed) % 4 ? 0x10 : (uint8_t)(0x10 | (dice(&seed) & 0xc9));
	bool partial = dice(&seed) % 2;
	for (uint32_t i = 0; i < n && n_inputs < JOIN_MAX - 2; i++) {
		struct recipe s = recipe_segment(r, size, i);
		struct segment hint = {(uint16_t)f, (uint8_t)i, (uint8_t)n};
		unsigned fate = dice(&seed) % 64;
		if (fate == 0)
			continue; /* lost */
		if (fate == 1)
			give(&s, partial, hint); /* twice */
		if (fate == 2)
			s.ttl--;
		if (fate == 3)
			s.window++;
		if (fate == 4)
			hint = (struct segment){(uint16_t)dice(&seed), (uint8_t)dice(&seed), (uint8_t)dice(&seed)};
		if (fate == 5)
			give_noise(dice(&seed) % FLOWS);
		give(&s, dice(&seed) % 32 ? partial : !partial, hint);
	}
	r->seq += r->bytes;
	r->id = (uint16_t)(r->id + n);
}

static void shuffle_a_bit(void)
{
	static struct input spare;
	for (unsigned k = dice(&seed) % 20; k && n_inputs > 2; k--) {
		unsigned i = dice(&seed) % (n_inputs - 1), j = i + 1;
		spare = input[i];
		input[i] = input[j];
		input[j] = spare;
		struct segment s = packet[i].segment;
		packet[i].segment = packet[j].segment;
		packet[j].segment = s;
	}
}

/* Interleaves what was given in turn: a frame of one flow may come before one of another. */
static void interleave(void)
{
	static struct input spare;
	for (unsigned round = 0; round < 300 && n_inputs > 1; round++) {
		unsigned i = dice(&seed) % (n_inputs - 1), j = i + 1;
		if (input[i].flow == input[j].flow)
			continue;
		spare = input[i];
		input[i] = input[j];
		input[j] = spare;
		struct segment s = packet[i].segment;
		packet[i].segment = packet[j].segment;
		packet[j].segment = s;
	}
}

struct outcome {
	uint64_t pn[JOIN_MAX];
	uint8_t tails[JOIN_MAX];
	unsigned left;
};

static void keep(struct outcome *o, unsigned left)
{
	memset(o, 0, sizeof(*o));
	o->left = left;
	for (unsigned i = 0; i < n_inputs; i++) {
		o->pn[i] = packet[i].pn;
		o->tails[i] = packet[i].tails;
	}
}

static void anything(void **state)
{
	(void)state;
	unsigned long frames = 0, writes = 0;
	for (unsigned round = 0; round < 600; round++) {
		n_inputs = 0;
		for (unsigned f = 0; f < FLOWS; f++) {
			flow[f] = plain(f & 1, f & 2);
			flow[f].flow = (uint16_t)f;
			flow[f].vlans = (uint8_t)(f % 3);
			flow[f].tcp_extra = (uint8_t)(f % 3 * 12);
			flow[f].seq = dice(&seed);
			flow[f].id = (uint16_t)dice(&seed);
		}
		unsigned flows = 1 + dice(&seed) % FLOWS, target = 1 + dice(&seed) % (JOIN_MAX - 2);
		while (n_inputs < target)
			give_superframe(dice(&seed) % flows);
		if (round % 3 == 1)
			interleave();
		if (round % 3 == 2)
			shuffle_a_bit();
		struct segment told[JOIN_MAX];
		for (unsigned i = 0; i < n_inputs; i++)
			told[i] = packet[i].segment;
		struct outcome hinted, lied, silent;
		keep(&hinted, check(ALL));
		frames += n_inputs;
		writes += hinted.left;
		/* Lies and silence change nothing. */
		for (unsigned i = 0; i < n_inputs; i++)
			packet[i] = (struct packet){
			    .segment = {told[dice(&seed) % n_inputs].id, (uint8_t)(dice(&seed) % 3), dice(&seed) % 2 ? 255 : 1}};
		keep(&lied, check(ALL));
		for (unsigned i = 0; i < n_inputs; i++)
			packet[i] = (struct packet){0};
		keep(&silent, check(ALL));
		assert_memory_equal(&hinted, &lied, sizeof(hinted));
		assert_memory_equal(&hinted, &silent, sizeof(hinted));
	}
	assert_true(writes * 3 < frames); /* and it was worth it */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(round_trip),  cmocka_unit_test(round_trip_lengths), cmocka_unit_test(round_trip_flags),
	    cmocka_unit_test(what_may_be), cmocka_unit_test(another_field),      cmocka_unit_test(another_bit),
	    cmocka_unit_test(wrong_sums),  cmocka_unit_test(odd_sums),           cmocka_unit_test(nothing_overtakes),
	    cmocka_unit_test(gaps),        cmocka_unit_test(side_by_side),       cmocka_unit_test(most),
	    cmocka_unit_test(anything),    cmocka_unit_test(odd_tcp_sum),        cmocka_unit_test(odd_length),
	};
	return cmocka_run_group_tests(tests, fill, NULL);
}
