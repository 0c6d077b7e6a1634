/* encap.c: Ethernet frames as FRAME, EFRAME or FRAG, back, and the hard checks of a received one.
 *
 * Between two members the MACs follow from their addresses, so a FRAME leaves them out; anything bridged or sent to a group
 * is an EFRAME. What the way cannot carry in one datagram is cut: the plaintext, inner header included, into n pieces of
 * L = ceil(total / n) bytes, the last one shorter, each with a header of its own. n is as small as the way allows and
 * the pieces as equal as possible, so all but the last leave as segments of one size.
 * Everything here depends on its arguments alone.
 */
#include "node/encap.h"

#include <assert.h>
#include <string.h>

#include "node/view.h"

#define MACS          12
#define ETHER_HEADER  14
#define VLAN_TAG      4
#define VLAN_TAGS_MAX 2
#define FRAG_OVERHEAD (DATA_OVERHEAD + sizeof(struct frag_header))

static bool macs_implied(const struct encap *e, const uint8_t *frame)
{
	return !memcmp(frame, e->peer_mac, 6) && !memcmp(frame + 6, e->own_mac, 6);
}

/* Bytes of inner header and body. */
static size_t plain_bytes(const struct encap *e, const uint8_t *frame, size_t len)
{
	return INNER_HEADER + len - (macs_implied(e, frame) ? MACS : 0);
}

unsigned encap_pieces(const struct encap *e, const uint8_t *frame, size_t len)
{
	if (len < ETHER_HEADER)
		return 0;
	size_t total = plain_bytes(e, frame, len);
	if (DATA_HEADER + total + DATA_TAG <= e->datagram)
		return 1;
	if (total > FRAG_FRAME_MAX || e->datagram <= FRAG_OVERHEAD)
		return 0;
	size_t room = e->datagram - FRAG_OVERHEAD, n = (total + room - 1) / room;
	if (n < 2)
		n = 2;
	return n > FRAG_PIECES_MAX || (n - 1) * ((total + n - 1) / n) >= total ? 0 : (unsigned)n;
}

static void inner_put(uint8_t *out, uint8_t type, uint16_t chan)
{
	out[0] = type;
	out[1] = 0;
	le16_to(out + 2, chan);
}

size_t encap_piece(const struct encap *e, const uint8_t *frame, size_t len, unsigned i, unsigned n, uint8_t *out)
{
	assert(len >= ETHER_HEADER && n >= 1 && i < n);
	bool implied = macs_implied(e, frame);
	uint8_t inner[INNER_HEADER];
	const uint8_t *body = frame + (implied ? MACS : 0);
	size_t body_len = len - (implied ? MACS : 0), total = INNER_HEADER + body_len;
	inner_put(inner, implied ? INNER_FRAME : INNER_EFRAME, e->chan);
	if (n == 1) {
		memcpy(out, inner, INNER_HEADER);
		memcpy(out + INNER_HEADER, body, body_len);
		return total;
	}
	size_t step = (total + n - 1) / n, from = i * step, take = total - from < step ? total - from : step;
	struct frag_header *h = (struct frag_header *)(out + INNER_HEADER);
	uint8_t *to = out + INNER_HEADER + sizeof(*h);
	assert(from < total && total <= FRAG_FRAME_MAX);
	inner_put(out, INNER_FRAG, e->chan);
	le32_to(h->frame_id, e->frag_id);
	h->i = (uint8_t)i;
	h->n = (uint8_t)n;
	le16_to(h->total, (uint16_t)total);
	if (i == 0) { /* the one that begins with the frame's own inner header */
		memcpy(to, inner, INNER_HEADER);
		memcpy(to + INNER_HEADER, body, take - INNER_HEADER);
	} else {
		memcpy(to, body + from - INNER_HEADER, take);
	}
	return INNER_HEADER + sizeof(*h) + take;
}

enum drop decap_frame(const uint8_t *plain, size_t len, const uint8_t src_mac[6], const uint8_t own_mac[6], uint8_t *out, size_t *ret_len)
{
	if (len < INNER_HEADER)
		return DROP_MALFORMED;
	uint8_t type = plain[0];
	if (type != INNER_FRAME && type != INNER_EFRAME)
		return DROP_TYPE;
	if (plain[1] & (FRAME_CSUM | FRAME_SEG)) /* never offered, so never to be understood */
		return DROP_TYPE;
	size_t body = len - INNER_HEADER, macs = type == INNER_FRAME ? MACS : 0;
	if (body + macs < ETHER_HEADER || body + macs > FRAG_FRAME_MAX)
		return DROP_MALFORMED;
	memmove(out + macs, plain + INNER_HEADER, body);
	if (macs) {
		memcpy(out, own_mac, 6);
		memcpy(out + 6, src_mac, 6);
	}
	*ret_len = body + macs;
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
