/* wire.c: the one question every datagram is asked, and the 20-byte address that several messages
 * carry.
 *
 * There is no type byte and no magic: what a datagram is follows from what its first word names at
 * this receiver and from its length alone (PROTOCOL.md, Demultiplexing). The receiver looks the
 * word up first, so wire_classify is a total function of two small values and can be tested
 * exhaustively.
 */
#include "proto/wire.h"

#include "proto/base/batch.h"

enum wire_kind wire_classify(enum index_kind named, size_t len)
{
	/* Nothing valid is shorter than an empty DATA packet. */
	if (len < DATA_OVERHEAD)
		return WIRE_DROP_SHORT;
	switch (named) {
	case INDEX_SESSION: return WIRE_DATA;
	case INDEX_CIRCUIT:
		/* The inner datagram obeys the same minimum, and the tag covers its first 32 bytes.
		 */
		return len >= LEG_HEADER + DATA_OVERHEAD ? WIRE_LEG : WIRE_DROP_LENGTH;
	case INDEX_PENDING:
		if (len == RETRY_BYTES)
			return WIRE_RETRY;
		return len >= RESP_MIN ? WIRE_RESP : WIRE_DROP_LENGTH;
	case INDEX_NONE: break;
	}
	return len >= INIT_MIN && len <= INIT_MAX ? WIRE_INIT : WIRE_DROP_INDEX;
}

void put_endpoint(struct writer *w, const struct endpoint *e)
{
	static const struct endpoint none;
	if (e->family & ENDPOINT_STREAM) /* says nothing of where its owner's UDP is */
		e = &none;
	put_u8(w, e->family);
	put_u8(w, 0);
	put_le16(w, e->port);
	put_bytes(w, e->ip, sizeof(e->ip));
}

/* Addresses are compared by their bytes, so two spellings of one address must come out equal: what
 * IPv4 leaves unused is zeroed, and an IPv4 address dressed as IPv6 becomes IPv4. */
void get_endpoint(struct reader *r, struct endpoint *ret)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	struct endpoint e = {0};
	e.family = get_u8(r);
	(void)get_u8(r);
	e.port = get_le16(r);
	get_copy(r, e.ip, sizeof(e.ip));
	if (e.family != 0 && e.family != 4 && e.family != 6)
		r->bad = true;
	if (r->bad)
		return;
	if (e.family == 6 && !memcmp(e.ip, mapped, sizeof(mapped))) {
		e.family = 4;
		memcpy(e.ip, e.ip + 12, 4);
	}
	if (e.family == 0)
		e = (struct endpoint){0};
	if (e.family == 4)
		memset(e.ip + 4, 0, 12);
	*ret = e;
}
