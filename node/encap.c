/* encap.c: Ethernet frames as FRAME, EFRAME, FRAG or BUNDLE, back, and the hard checks of a received one.
 *
 * Between two members the MACs follow from their addresses, so a FRAME leaves them out; anything bridged or sent to a group
 * is an EFRAME. A frame that travels whole is written straight to its place and what goes before it is put over the MACs it leaves out; with
 * both flags those are exactly as long. What the way cannot carry in one datagram is cut: the plaintext, inner header included, into n
 * pieces of L = ceil(total / n) bytes, the last one shorter, each with a header of its own. n is as small as the way allows and
 * the pieces as equal as possible, so all but the last leave as segments of one size.
 * Everything here depends on its arguments alone.
 */
#include "node/encap.h"

#include <assert.h>
#include <string.h>

#include "node/layout.h"
#include "node/view.h"

#define MACS          12
#define ETHER_HEADER  14
#define FLAG_BYTES    4
#define VLAN_TAG      4
#define VLAN_TAGS_MAX 2
#define FRAG_OVERHEAD (DATA_OVERHEAD + sizeof(struct frag_header))

/* ---- whole ------------------------------------------------------------------------------------------------------ */

bool encap_implied(const struct encap *e, const uint8_t *frame)
{
	return !e->note.flag && !memcmp(frame, e->peer_mac, 6) && !memcmp(frame + 6, e->own_mac, 6);
}

static unsigned flag_bytes(uint8_t flags)
{
	return (flags & FRAME_CSUM ? FLAG_BYTES : 0u) + (flags & FRAME_SEG ? FLAG_BYTES : 0u);
}

size_t encap_most(const struct encap *e, struct carriage c)
{
	size_t over = DATA_OVERHEAD + flag_bytes(c.flags) + e->note.len, most = (size_t)e->datagram + (c.implied ? MACS : 0);
	return most > over ? most - over : 0;
}

int encap_offset(struct carriage c)
{
	return INNER_HEADER + (int)flag_bytes(c.flags) - (c.implied ? MACS : 0);
}

size_t encap_length(struct carriage c, size_t len)
{
	return INNER_HEADER + flag_bytes(c.flags) + len - (c.implied ? MACS : 0);
}

static void inner_put(uint8_t *out, uint8_t type, uint8_t flags, uint16_t chan)
{
	out[0] = type;
	out[1] = flags;
	le16_to(out + 2, chan);
}

static uint8_t *flags_put(uint8_t *at, uint8_t flags, const struct offload *offload, const struct segment *segment)
{
	if (flags & FRAME_CSUM) {
		le16_to(at, offload->csum_start);
		le16_to(at + 2, offload->csum_offset);
		at += FLAG_BYTES;
	}
	if (flags & FRAME_SEG) {
		le16_to(at, segment->id);
		at[2] = segment->i;
		at[3] = segment->n;
		at += FLAG_BYTES;
	}
	return at;
}

static uint8_t type_of(struct carriage c)
{
	return c.implied ? INNER_FRAME : INNER_EFRAME;
}

size_t encap_whole(const struct encap *e, struct carriage c, const struct offload *offload, const struct segment *segment, uint8_t *plain,
                   size_t len)
{
	inner_put(plain, type_of(c), c.flags | e->note.flag, e->chan);
	uint8_t *at = flags_put(plain + INNER_HEADER, c.flags, offload, segment);
	if (e->note.len)
		memcpy(at, e->note.bytes, e->note.len);
	return encap_length(c, len) + e->note.len;
}

static void le40_to(uint8_t *at, uint64_t v)
{
	le32_to(at, (uint32_t)v);
	at[4] = (uint8_t)(v >> 32);
}

static uint64_t le40_at(const uint8_t *at)
{
	return le32_at(at) | (uint64_t)at[4] << 32;
}

struct note note_replicate(uint64_t from, uint64_t to)
{
	struct note n = {.flag = FRAME_REPLICATE, .len = 10};
	le40_to(n.bytes, from);
	le40_to(n.bytes + 5, to);
	return n;
}

struct note note_replicated(uint64_t origin)
{
	struct note n = {.flag = FRAME_REPLICATED, .len = 5};
	le40_to(n.bytes, origin);
	return n;
}

/* ---- pieces ----------------------------------------------------------------------------------------------------- */

unsigned encap_pieces(const struct encap *e, const uint8_t *frame, size_t len)
{
	if (len < ETHER_HEADER)
		return 0;
	size_t total = INNER_HEADER + e->note.len + len - (encap_implied(e, frame) ? MACS : 0);
	if (DATA_HEADER + total + DATA_TAG <= e->datagram)
		return 1;
	if (total > FRAG_FRAME_MAX || e->datagram <= FRAG_OVERHEAD)
		return 0;
	size_t room = e->datagram - FRAG_OVERHEAD, n = (total + room - 1) / room;
	if (n < 2)
		n = 2;
	return n > FRAG_PIECES_MAX || (n - 1) * ((total + n - 1) / n) >= total ? 0 : (unsigned)n;
}

size_t encap_piece(const struct encap *e, const uint8_t *frame, size_t len, unsigned i, unsigned n, uint8_t *out)
{
	assert(len >= ETHER_HEADER && n >= 1 && i < n);
	struct carriage c = {.implied = encap_implied(e, frame)};
	uint8_t front[INNER_HEADER + FRAME_NOTE_MAX];
	const uint8_t *body = frame + (c.implied ? MACS : 0);
	size_t front_len = INNER_HEADER + (size_t)e->note.len, total = front_len + len - (c.implied ? MACS : 0);
	inner_put(front, type_of(c), e->note.flag, e->chan);
	memcpy(front + INNER_HEADER, e->note.bytes, e->note.len);
	size_t step = (total + n - 1) / n, from = i * step, take = total - from < step ? total - from : step;
	uint8_t *to = out;
	assert(from < total && total <= FRAG_FRAME_MAX && step >= front_len);
	if (n > 1) {
		struct frag_header *h = (struct frag_header *)(out + INNER_HEADER);
		inner_put(out, INNER_FRAG, 0, e->chan);
		le32_to(h->frame_id, e->frag_id);
		h->i = (uint8_t)i;
		h->n = (uint8_t)n;
		le16_to(h->total, (uint16_t)total);
		to += INNER_HEADER + sizeof(*h);
	}
	if (i == 0) { /* the one that begins with the frame's own inner header */
		memcpy(to, front, front_len);
		memcpy(to + front_len, body, take - front_len);
	} else {
		memcpy(to, body + from - front_len, take);
	}
	return (size_t)(to - out) + take;
}

/* ---- bundle ----------------------------------------------------------------------------------------------------- */

static void record_put(uint8_t *at, size_t body, uint8_t type, uint8_t flags)
{
	le16_to(at, (uint16_t)body);
	at[2] = type;
	at[3] = flags;
}

size_t bundle_begin(uint8_t *plain, size_t len)
{
	uint8_t type = plain[0], flags = plain[1];
	memmove(plain + INNER_HEADER + BUNDLE_RECORD, plain + INNER_HEADER, len - INNER_HEADER);
	record_put(plain + INNER_HEADER, len - INNER_HEADER, type, flags);
	inner_put(plain, INNER_BUNDLE, 0, le16_at(plain + 2));
	return len + BUNDLE_RECORD;
}

size_t bundle_record(struct carriage c, size_t len)
{
	return BUNDLE_RECORD + flag_bytes(c.flags) + len - (c.implied ? MACS : 0);
}

size_t bundle_add(uint8_t *plain, size_t plain_len, struct carriage c, const struct offload *offload, const uint8_t *frame, size_t len)
{
	size_t record = bundle_record(c, len), skip = c.implied ? MACS : 0;
	uint8_t *at = plain + plain_len;
	record_put(at, record - BUNDLE_RECORD, type_of(c), c.flags);
	at = flags_put(at + BUNDLE_RECORD, c.flags, offload, NULL);
	memcpy(at, frame + skip, len - skip);
	return plain_len + record;
}

/* ---- back ------------------------------------------------------------------------------------------------------- */

static bool frame_type(uint8_t type)
{
	return type == INNER_FRAME || type == INNER_EFRAME;
}

static enum drop bundle_split(const uint8_t *plain, size_t len, struct arrived *ret, unsigned *ret_n)
{
	unsigned n = 0;
	size_t at = INNER_HEADER;
	while (at < len) {
		if (len - at < BUNDLE_RECORD || n == BUNDLE_MAX)
			return DROP_MALFORMED;
		size_t body = le16_at(plain + at);
		ret[n] = (struct arrived){plain[at + 2], plain[at + 3], plain + at + BUNDLE_RECORD, body};
		if (!frame_type(ret[n].type) || ret[n].flags & (FRAME_SEG | FRAME_REPLICATE | FRAME_REPLICATED))
			return DROP_TYPE;
		at += BUNDLE_RECORD;
		if (body > len - at)
			return DROP_MALFORMED;
		at += body;
		n++;
	}
	if (!n)
		return DROP_MALFORMED;
	*ret_n = n;
	return DROP_NONE;
}

enum drop decap_split(const uint8_t *plain, size_t len, struct arrived ret[BUNDLE_MAX], unsigned *ret_n)
{
	if (len < INNER_HEADER)
		return DROP_MALFORMED;
	if (plain[0] == INNER_BUNDLE)
		return bundle_split(plain, len, ret, ret_n);
	if (!frame_type(plain[0]))
		return DROP_TYPE;
	ret[0] = (struct arrived){plain[0], plain[1], plain + INNER_HEADER, len - INNER_HEADER};
	*ret_n = 1;
	return DROP_NONE;
}

enum drop decap_note(struct arrived *a, struct noted *ret)
{
	struct noted noted = {0};
	uint8_t flag = a->flags & (FRAME_REPLICATE | FRAME_REPLICATED);
	size_t len = flag == FRAME_REPLICATE ? 10 : flag == FRAME_REPLICATED ? 5 : 0;
	if (flag) {
		if (!len || a->type != INNER_EFRAME || a->flags & FRAME_FLAGS || a->len < len)
			return DROP_MALFORMED;
		if (flag == FRAME_REPLICATE) {
			noted.from = le40_at(a->body);
			noted.to = le40_at(a->body + 5);
			noted.replicate = true;
		} else {
			noted.origin = le40_at(a->body);
			if (!noted.origin)
				return DROP_MALFORMED;
		}
		a->body += len;
		a->len -= len;
		a->flags &= (uint8_t)~flag;
	}
	*ret = noted;
	return DROP_NONE;
}

enum drop decap_frame(const struct arrived *a, const uint8_t src_mac[6], const uint8_t own_mac[6], uint8_t *out, struct packet *ret)
{
	const uint8_t *at = a->body;
	size_t len = a->len, macs = a->type == INNER_FRAME ? MACS : 0;
	struct offload offload = {0};
	struct segment segment = {0};
	if (len < flag_bytes(a->flags))
		return DROP_MALFORMED;
	if (a->flags & FRAME_CSUM) {
		offload = (struct offload){.csum = true, .csum_start = le16_at(at), .csum_offset = le16_at(at + 2)};
		at += FLAG_BYTES;
	}
	if (a->flags & FRAME_SEG) {
		segment = (struct segment){.id = le16_at(at), .i = at[2], .n = at[3]};
		at += FLAG_BYTES;
	}
	len -= flag_bytes(a->flags);
	if (len + macs < ETHER_HEADER || len + macs > FRAG_FRAME_MAX)
		return DROP_MALFORMED;
	if (segment.n ? segment.i >= segment.n : a->flags & FRAME_SEG)
		return DROP_OFFLOAD;
	if (out + macs != at)
		memmove(out + macs, at, len);
	if (macs) {
		memcpy(out, own_mac, 6);
		memcpy(out + 6, src_mac, 6);
	}
	if (offload.csum && !layout_offload_true(out, len + macs, &offload))
		return DROP_OFFLOAD;
	ret->data = out;
	ret->len = ret->room = (uint32_t)(len + macs);
	ret->offload = offload;
	ret->segment = segment;
	ret->tails = 0;
	ret->kin = 0;
	return DROP_NONE;
}

/* ---- hard checks ------------------------------------------------------------------------------------------------ */

static bool is_vlan(const uint8_t *type)
{
	return (type[0] == 0x81 && type[1] == 0x00) || (type[0] == 0x88 && type[1] == 0xa8);
}

static size_t frame_max(uint16_t mtu, const uint8_t *frame, size_t len)
{
	size_t most = (size_t)mtu + ETHER_HEADER, at = MACS;
	for (int i = 0; i < VLAN_TAGS_MAX && at + 2 + VLAN_TAG <= len && is_vlan(frame + at); i++, at += VLAN_TAG)
		most += VLAN_TAG;
	return most;
}

uint16_t frame_vlan(const uint8_t *frame, size_t len)
{
	if (len < ETHER_HEADER + VLAN_TAG || !is_vlan(frame + MACS))
		return 0;
	return (uint16_t)((frame[14] << 8 | frame[15]) & 0xfff);
}

bool frame_link_local(const uint8_t *frame)
{
	static const uint8_t prefix[5] = {0x01, 0x80, 0xc2, 0, 0};
	return !memcmp(frame, prefix, 5) && frame[5] < 0x10;
}

bool frame_broadcast(const uint8_t *frame)
{
	return (frame[0] & frame[1] & frame[2] & frame[3] & frame[4] & frame[5]) == 0xff;
}

static bool may_use(const struct member *m, const uint8_t mac[6])
{
	if (!memcmp(mac, m->mac, 6))
		return true;
	for (unsigned i = 0; i < m->n_macs; i++)
		if (!memcmp(mac, m->macs[i], 6))
			return true;
	return false;
}

enum drop admit_frame(const struct port *port, const struct member *from, const uint8_t *frame, size_t len)
{
	if (len < ETHER_HEADER)
		return DROP_FRAME_SHORT;
	if (len > frame_max(atomic_load_explicit(&port->mtu, memory_order_relaxed), frame, len))
		return DROP_FRAME_LONG;
	const uint8_t *source = frame + 6;
	bool from_bridge = atomic_load_explicit(&from->flags, memory_order_relaxed) & MEMBER_BRIDGE;
	bool to_bridge = atomic_load_explicit(&port->own_flags, memory_order_relaxed) & MEMBER_BRIDGE;
	if (source[0] & 1)
		return DROP_SOURCE_MAC;
	if (!memcmp(source, port->mac, 6))
		return DROP_OWN_MAC;
	if (!from_bridge && !may_use(from, source))
		return DROP_SOURCE_MAC;
	if (frame_link_local(frame) && !(from_bridge && to_bridge))
		return DROP_LINK_LOCAL;
	/* Nobody floods to one that is no bridge: a strange unicast can only be meant to reach its host's other side. */
	if (!(frame[0] & 1) && !to_bridge && memcmp(frame, port->mac, 6))
		return DROP_NO_MEMBER;
	return DROP_NONE;
}
