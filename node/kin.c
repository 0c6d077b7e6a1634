/* kin.c: one comparison instead of all checks, for the segments of a superframe and datagrams of a stream.
 *
 * Whether they are kin is never the sender's word: its hint of a frame's place is carried on, not read. The comparison is one pass over
 * KIN_BYTES under a mask, without a branch, so that it costs the same wherever the headers end.
 * The parser accepted the first one's headers, and where it looked the bytes are equal, so it would accept the second one's, with the same offsets.
 * The same holds for what a CSUM field says: the pseudo-header sum depends on addresses, protocol and length, which are all equal, and is
 * itself among the bytes compared.
 */
#include "node/kin.h"

#include <string.h>

#include "node/layout.h"
#include "proto/wire.h"

#define MACS     12
#define FIELD    4 /* bytes of a CSUM field, of a SEG field */
#define TCP_LAST (TCP_FIN | TCP_PSH)

static uint64_t load64(const uint8_t *at)
{
	uint64_t v;
	memcpy(&v, at, 8);
	return v;
}

/* For header bytes of a frame from its EtherType on: ones where kin must be equal. */
static void mask_put(uint8_t mask[KIN_BYTES], const struct layout *l, bool partial)
{
	uint8_t *ip = mask + l->l3 - MACS, *l4 = mask + l->l4 - MACS;
	memset(mask, 0xff, l->payload - MACS);
	memset(mask + l->payload - MACS, 0, KIN_BYTES - (l->payload - MACS));
	if (l->version == 4) {
		memset(ip + 4, 0, 2);
		memset(ip + 10, 0, 2);
	}
	if (l->protocol == IP_TCP) {
		memset(l4 + 4, 0, 4);
		l4[TCP_FLAGS] = (uint8_t)~TCP_LAST;
	}
	if (!partial)
		memset(l4 + layout_csum_offset(l), 0, 2);
}

/* The first bytes of the plaintext or of the record, and which of the first eight they are. */
static void front_put(struct kin *k, bool record, const struct packet *up)
{
	uint8_t front[8], mask[8] = {0xff, 0xff, 0xff, 0xff};
	uint8_t *kind = front + (record ? 2 : 0), flags = (up->offload.csum ? FRAME_CSUM : 0) | (up->segment.n ? FRAME_SEG : 0);
	memset(front, 0, sizeof(front));
	le16_to(front + (record ? 0 : 2), record ? (uint16_t)(k->len - BUNDLE_RECORD) : k->chan);
	kind[0] = INNER_FRAME;
	kind[1] = flags;
	if (up->offload.csum) {
		le16_to(front + INNER_HEADER, up->offload.csum_start);
		le16_to(front + INNER_HEADER + 2, up->offload.csum_offset);
		memset(mask + INNER_HEADER, 0xff, FIELD);
	}
	k->front = load64(front);
	k->front_mask = load64(mask);
}
_Static_assert(BUNDLE_RECORD == INNER_HEADER, "a record begins as a plaintext does");

bool kin_begin(struct kin *k, const void *session, uint16_t chan, bool record, uint32_t len, uint8_t number, struct packet *up)
{
	struct layout l;
	if (up->len < MACS + KIN_BYTES || !layout_of(up->data, up->len, &l) || l.payload > MACS + KIN_BYTES)
		return false;
	mask_put(k->mask, &l, up->offload.csum);
	for (unsigned i = 0; i < KIN_BYTES; i++)
		k->head[i] = up->data[MACS + i] & k->mask[i];
	memcpy(k->macs, up->data, MACS);
	k->session = session;
	k->chan = chan;
	k->len = len;
	k->type = len - (up->len - MACS);
	front_put(k, record, up);
	k->hinted = up->segment.n;
	up->kin = number;
	k->like = *up;
	return true;
}

static bool alike(const struct kin *k, const uint8_t *at)
{
	uint8_t differs = 0;
	for (unsigned i = 0; i < KIN_BYTES; i++)
		differs |= (at[i] & k->mask[i]) ^ k->head[i];
	return !differs;
}

bool kin_take(const struct kin *k, const void *session, const uint8_t *plain, uint32_t len, uint8_t *out, struct packet *ret)
{
	struct segment segment = {0};
	if (session != k->session || len != k->len || (load64(plain) & k->front_mask) != k->front)
		return false;
	if (k->hinted) {
		const uint8_t *hint = plain + k->type - FIELD;
		segment = (struct segment){.id = le16_at(hint), .i = hint[2], .n = hint[3]};
		if (segment.i >= segment.n)
			return false;
	}
	if (!alike(k, plain + k->type))
		return false;
	if (out + MACS != plain + k->type)
		memmove(out + MACS, plain + k->type, len - k->type);
	memcpy(out, k->macs, MACS);
	*ret = k->like;
	ret->data = out;
	ret->segment = segment;
	return true;
}
