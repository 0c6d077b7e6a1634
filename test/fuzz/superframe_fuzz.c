/* superframe_fuzz.c: anything as frames with offloads through the door, cut and join.
 *
 * Records of 12 bytes and a frame: length, how to use it, offload, hint. Some are mended first (lengths, checksums), or nothing
 * would come past the parser; some are cut and all their segments go to join, one of them spoiled perhaps. What join made is cut again and
 * must be what came, each frame once and heads in order.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "node/cut.h"
#include "node/join.h"
#include "tap/tap.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define require(x) ((x) ? (void)0 : abort())
#define RECORD     12
#define MEND       1u /* lengths and sums */
#define CUT        2u
#define SPOIL      4u
#define FULL       8u /* complete, the segments too */

struct input {
	uint8_t *sent, *whole, *work; /* as it came, with its checksum complete, for join; each of exactly len bytes */
	uint32_t len;
	struct offload offload;
};
static struct input input[JOIN_MAX];
static struct packet packet[JOIN_MAX];
static unsigned n_inputs;

static uint8_t *copy_of(const uint8_t *at, size_t len)
{
	uint8_t *copy = malloc(len ? len : 1);
	require(copy);
	memcpy(copy, at, len);
	return copy;
}

/* What the way in does: a partial checksum comes by the door or not at all. */
static void give(const uint8_t *frame, size_t len, struct offload o, struct segment hint)
{
	if (n_inputs == JOIN_MAX || (o.csum && !layout_offload_true(frame, len, &o)))
		return;
	struct input *in = &input[n_inputs];
	*in = (struct input){.sent = copy_of(frame, len), .whole = copy_of(frame, len), .work = copy_of(frame, len), .len = (uint32_t)len};
	if (o.csum) {
		struct layout l;
		require(layout_of(frame, len, &l));
		layout_complete(in->whole, &l);
		require(l.end != len || layout_csum_good(in->whole, &l));
		in->offload = (struct offload){.csum = true, .csum_start = o.csum_start, .csum_offset = o.csum_offset};
	}
	packet[n_inputs] =
	    (struct packet){.data = in->work, .len = in->len, .room = in->len, .pn = n_inputs, .segment = hint, .offload = in->offload};
	n_inputs++;
}

/* Lengths, then sums, then whatever the offload says of itself. */
static void mend(uint8_t *frame, size_t len, struct offload *o)
{
	struct layout l;
	size_t l3 = 14;
	if (len < 60 || len > 65535)
		return;
	if (frame[12] == 0x81)
		l3 = 18;
	frame[l3 - 2] = frame[l3] & 0x20 ? 0x86 : 8;
	frame[l3 - 1] = frame[l3] & 0x20 ? 0xdd : 0;
	bool v6 = frame[l3] & 0x20;
	frame[l3] = v6 ? 0x60 : 0x45 + (frame[l3] & 1);
	be16_to(frame + l3 + (v6 ? 4 : 2), (uint32_t)(len - l3 - (v6 ? 40 : 0)));
	uint8_t *protocol = frame + l3 + (v6 ? 6 : 9);
	*protocol = *protocol & 1 ? IP_TCP : IP_UDP;
	size_t l4 = l3 + (v6 ? 40 : (frame[l3] & 15u) * 4);
	if (!v6)
		frame[l3 + 6] &= 0x40, frame[l3 + 7] = 0;
	if (l4 + 20 > len)
		return;
	if (*protocol == IP_UDP)
		be16_to(frame + l4 + 4, (uint32_t)(len - l4));
	else
		frame[l4 + 12] = (uint8_t)(0x50 | (frame[l4 + 12] & 0x2f));
	if (!layout_of(frame, len, &l))
		return;
	layout_ip_csum(frame, &l);
	word_to(frame + l.l4 + layout_csum_offset(&l), layout_pseudo(frame, &l, l.end - l.l4));
	o->csum_start = l.l4;
	o->csum_offset = layout_csum_offset(&l);
	if (!o->csum)
		layout_complete(frame, &l);
	if (o->gso)
		o->gso = (uint8_t)(l.protocol == IP_UDP ? GSO_UDP : l.version == 4 ? GSO_TCP4 : GSO_TCP6);
}

static void cut_and_give(const uint8_t *frame, size_t len, const struct offload *o, unsigned use, struct segment hint)
{
	struct cut c;
	size_t most = 60 + hint.id % 2000u;
	if (!cut_begin(&c, frame, len, o, most, !(use & FULL)))
		return;
	require(c.n >= 1 && c.layout.end <= len);
	for (uint32_t i = 0; i < c.n && i < JOIN_MAX; i++) {
		size_t bytes = cut_length(&c, i);
		require(c.layout.protocol == IP_UDP || bytes <= most);
		uint8_t *out = malloc(bytes);
		require(out);
		struct offload lacks;
		struct layout l;
		cut_segment(&c, i, out, &lacks);
		require(layout_of(out, bytes, &l) && l.end == bytes && layout_ip_csum_good(out, &l));
		require(lacks.csum ? layout_offload_true(out, bytes, &lacks) : layout_csum_good(out, &l));
		if (use & SPOIL && i == hint.i)
			out[(hint.id * 7u + hint.n) % bytes] ^= (uint8_t)(1 << hint.n % 8);
		give(out, bytes, lacks, (struct segment){hint.id, (uint8_t)i, (uint8_t)c.n});
		free(out);
	}
}

static void recut(unsigned k)
{
	static uint8_t super[2 * SUPERFRAME_MAX];
	size_t len = 0;
	for (unsigned i = k; i <= k + packet[k].tails; i++) {
		require(len + packet[i].len <= sizeof(super));
		memcpy(super + len, packet[i].data, packet[i].len);
		len += packet[i].len;
	}
	struct cut c;
	struct offload lacks, single = packet[k].offload;
	require(len <= SUPERFRAME_MAX && cut_begin(&c, super, len, &packet[k].offload, SUPERFRAME_MAX, false));
	require(c.n == packet[k].tails + 1u && c.layout.end == len);
	single.gso = GSO_NONE;
	require(layout_offload_true(super, len, &single));
	for (uint32_t i = 0; i < c.n; i++) {
		const struct input *in = &input[packet[k + i].pn];
		require(cut_length(&c, i) == in->len);
		uint8_t *out = malloc(in->len);
		require(out);
		cut_segment(&c, i, out, &lacks);
		require(!memcmp(out, in->whole, in->len));
		free(out);
	}
}

static void join_and_prove(unsigned may)
{
	bool seen[JOIN_MAX] = {0};
	uint64_t head = 0;
	join_batch(packet, n_inputs, may);
	for (unsigned k = 0; k < n_inputs; k++) {
		require(packet[k].pn < n_inputs && !seen[packet[k].pn]);
		seen[packet[k].pn] = true;
	}
	for (unsigned k = 0; k < n_inputs; k += 1u + packet[k].tails) {
		const struct packet *p = &packet[k];
		const struct input *in = &input[p->pn];
		require(k + p->tails < n_inputs && p->tails <= TAP_TAILS_MAX && (!k || p->pn > head));
		head = p->pn;
		if (p->tails) {
			require(may & (p->offload.gso == GSO_UDP ? TAP_USO : TAP_TSO));
			recut(k);
			continue;
		}
		require(p->len == in->len && p->data == in->work && !memcmp(p->data, in->sent, in->len));
		require(p->offload.gso == GSO_NONE && p->offload.csum == in->offload.csum);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 1)
		return 0;
	unsigned may = *data++ & 7;
	size--;
	n_inputs = 0;
	while (size >= RECORD) {
		const uint8_t *r = data;
		size_t len = be16_at(r);
		data += RECORD;
		size -= RECORD;
		if (len > size)
			len = size;
		unsigned use = r[2];
		struct offload o = {.gso = r[3] & 7, .csum = r[3] & 8, .ecn = r[3] & 16, .size = be16_at(r + 4), .csum_start = r[6]};
		o.csum_offset = r[7];
		struct segment hint = {be16_at(r + 8), r[10], r[11]};
		uint8_t *frame = copy_of(data, len);
		if (use & MEND)
			mend(frame, len, &o);
		if (use & CUT)
			cut_and_give(frame, len, &o, use, hint);
		else
			give(frame, len, o, hint);
		free(frame);
		data += len;
		size -= len;
	}
	join_and_prove(may);
	for (unsigned i = 0; i < n_inputs; i++) {
		free(input[i].sent);
		free(input[i].whole);
		free(input[i].work);
	}
	return 0;
}
