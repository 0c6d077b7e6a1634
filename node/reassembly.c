/* reassembly.c: see the header. A frame is known by the session it came on and its frame id; all its pieces must agree on
 * channel, n and total, and piece i must be exactly the bytes that n and total leave for it. So there is one way only to cut a
 * frame, overlaps cannot be spoken of, and where a piece goes follows from i. What comes out is checked again: it must be a
 * FRAME or EFRAME of the channel its pieces named, so nothing nests.
 * 32 slots are few enough to search them all; a stack of clever lists would be slower.
 */
#include "node/reassembly.h"

#include <stdlib.h>
#include <string.h>

struct pieces {
	uint32_t session_idx; /* 0 = free */
	uint32_t frame_id;
	uint16_t chan, total;
	uint8_t n;
	uint16_t have; /* one bit per piece */
	uint64_t since_ms;
	uint64_t order; /* of arrival, within one millisecond too */
	uint8_t bytes[FRAG_FRAME_MAX];
};
_Static_assert(FRAG_PIECES_MAX <= 16, "have has 16 bits");

struct reassembly {
	unsigned used;
	uint64_t order;
	struct pieces slot[FRAG_SLOTS];
};

struct reassembly *reassembly_new(void)
{
	return calloc(1, sizeof(struct reassembly));
}

void reassembly_free(struct reassembly *r)
{
	free(r);
}

static void slot_free(struct reassembly *r, struct pieces *s)
{
	s->session_idx = 0;
	r->used--;
}

static unsigned held_by(const struct reassembly *r, uint32_t session_idx)
{
	unsigned n = 0;
	for (unsigned i = 0; i < FRAG_SLOTS; i++)
		n += r->slot[i].session_idx == session_idx;
	return n;
}

static struct pieces *oldest_of(struct reassembly *r, uint32_t session_idx)
{
	struct pieces *oldest = NULL;
	for (unsigned i = 0; i < FRAG_SLOTS; i++) {
		struct pieces *s = &r->slot[i];
		if (s->session_idx == session_idx && (!oldest || s->order < oldest->order))
			oldest = s;
	}
	return oldest;
}

/* The oldest frame of the session that holds most, so that one greedy peer displaces itself. */
static struct pieces *displaced(struct reassembly *r)
{
	uint32_t greedy = 0;
	unsigned most = 0;
	for (unsigned i = 0; i < FRAG_SLOTS; i++) {
		unsigned n = held_by(r, r->slot[i].session_idx);
		if (n > most) {
			most = n;
			greedy = r->slot[i].session_idx;
		}
	}
	return oldest_of(r, greedy);
}

static struct pieces *slot_for(struct reassembly *r, uint32_t session_idx, uint32_t frame_id)
{
	for (unsigned i = 0; r->used && i < FRAG_SLOTS; i++)
		if (r->slot[i].session_idx == session_idx && r->slot[i].frame_id == frame_id)
			return &r->slot[i];
	return NULL;
}

static struct pieces *slot_take(struct reassembly *r, uint32_t session_idx, bool *ret_displaced)
{
	struct pieces *s = NULL;
	if (held_by(r, session_idx) >= FRAG_PER_SESSION)
		s = oldest_of(r, session_idx);
	else if (r->used == FRAG_SLOTS)
		s = displaced(r);
	if (s) {
		*ret_displaced = true;
		return s;
	}
	for (s = r->slot; s->session_idx; s++)
		;
	r->used++;
	return s;
}

enum drop reassembly_add(struct reassembly *r, uint32_t session_idx, const uint8_t *plain, size_t len, uint64_t now_ms, uint8_t *out,
                         size_t *ret_len, bool *ret_displaced)
{
	*ret_len = 0;
	*ret_displaced = false;
	const struct frag_header *h = (const struct frag_header *)(plain + INNER_HEADER);
	if (len <= INNER_HEADER + sizeof(*h))
		return DROP_MALFORMED;
	size_t piece = len - INNER_HEADER - sizeof(*h), total = le16_at(h->total);
	uint16_t chan = le16_at(plain + 2);
	uint32_t frame_id = le32_at(h->frame_id);
	if (h->n < 2 || h->n > FRAG_PIECES_MAX || h->i >= h->n || total > FRAG_FRAME_MAX)
		return DROP_FRAG;
	size_t step = (total + h->n - 1) / h->n, from = h->i * step;
	if ((h->n - 1u) * step >= total || piece != (total - from < step ? total - from : step))
		return DROP_FRAG;
	struct pieces *s = slot_for(r, session_idx, frame_id);
	if (s && (s->chan != chan || s->n != h->n || s->total != total || s->have & 1u << h->i))
		return DROP_FRAG;
	if (!s) {
		s = slot_take(r, session_idx, ret_displaced);
		s->session_idx = session_idx;
		s->frame_id = frame_id;
		s->chan = chan;
		s->total = (uint16_t)total;
		s->n = h->n;
		s->have = 0;
		s->since_ms = now_ms;
		s->order = r->order++;
	}
	memcpy(s->bytes + from, plain + INNER_HEADER + sizeof(*h), piece);
	s->have |= (uint16_t)(1u << h->i);
	if (s->have != (1u << s->n) - 1)
		return DROP_NONE;
	slot_free(r, s);
	if (total < INNER_HEADER || (s->bytes[0] != INNER_FRAME && s->bytes[0] != INNER_EFRAME) || le16_at(s->bytes + 2) != chan)
		return DROP_FRAG;
	memcpy(out, s->bytes, total);
	*ret_len = total;
	return DROP_NONE;
}

unsigned reassembly_expire(struct reassembly *r, uint64_t now_ms)
{
	unsigned n = 0;
	for (unsigned i = 0; r->used && i < FRAG_SLOTS; i++) {
		struct pieces *s = &r->slot[i];
		if (s->session_idx && now_ms >= s->since_ms + FRAG_WAIT_MS) {
			slot_free(r, s);
			n++;
		}
	}
	return n;
}
