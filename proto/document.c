/* document.c: the walk that every document passes before anything is decoded.
 *
 * msgpack leaves a writer many choices and a reader many traps: an array head of five bytes may
 * promise four thousand million elements, and a decoder that believes it reserves their memory. So
 * the bytes are first walked with the cursor, without memory of their own: a count is compared with
 * the bytes left (an element has at least one), elements are counted against the caller's maximum,
 * nesting against its depth. Only one form of each value is accepted, the shortest, and map keys
 * are ascending integers, so that two different byte strings never mean the same document: whoever
 * compares or hashes documents may compare bytes. nil, floats and extensions have no use in FLN1
 * and are refused; the one nil of the protocol, the empty slot of an envelope, is read by cred.c
 * itself.
 */
#include "proto/document.h"

#include "proto/body.h"

#define ENDPOINT_BYTES 20

/* Heads with a length or value field of their own; least = smallest value that needs this form. */
static const struct {
	uint8_t kind, bytes;
	uint64_t least;
} forms[] = {
    [0xc4 - 0xc4] = {ITEM_BIN, 1, 0},
    [0xc5 - 0xc4] = {ITEM_BIN, 2, 0x100},
    [0xc6 - 0xc4] = {ITEM_BIN, 4, 0x10000},
    [0xcc - 0xc4] = {ITEM_UINT, 1, 0x80},
    [0xcd - 0xc4] = {ITEM_UINT, 2, 0x100},
    [0xce - 0xc4] = {ITEM_UINT, 4, 0x10000},
    [0xcf - 0xc4] = {ITEM_UINT, 8, 0x100000000},
    [0xd0 - 0xc4] = {ITEM_NEGATIVE, 1, 0x20},
    [0xd1 - 0xc4] = {ITEM_NEGATIVE, 2, 0x80},
    [0xd2 - 0xc4] = {ITEM_NEGATIVE, 4, 0x8000},
    [0xd3 - 0xc4] = {ITEM_NEGATIVE, 8, 0x80000000},
    [0xd9 - 0xc4] = {ITEM_TEXT, 1, 0x20},
    [0xda - 0xc4] = {ITEM_TEXT, 2, 0x100},
    [0xdb - 0xc4] = {ITEM_TEXT, 4, 0x10000},
    [0xdc - 0xc4] = {ITEM_ARRAY, 2, 0x10},
    [0xdd - 0xc4] = {ITEM_ARRAY, 4, 0x10000},
    [0xde - 0xc4] = {ITEM_MAP, 2, 0x10},
    [0xdf - 0xc4] = {ITEM_MAP, 4, 0x10000},
};

/* Heads that carry everything in one byte. */
static bool item_short(uint8_t tag, enum item *ret_kind, uint64_t *ret_n)
{
	if (tag <= 0x7f) {
		*ret_kind = ITEM_UINT;
		*ret_n = tag;
	} else if (tag >= 0xe0) {
		*ret_kind = ITEM_NEGATIVE;
		*ret_n = 0xffu - tag;
	} else if (tag <= 0x8f) {
		*ret_kind = ITEM_MAP;
		*ret_n = tag & 0x0fu;
	} else if (tag <= 0x9f) {
		*ret_kind = ITEM_ARRAY;
		*ret_n = tag & 0x0fu;
	} else if (tag <= 0xbf) {
		*ret_kind = ITEM_TEXT;
		*ret_n = tag & 0x1fu;
	} else if (tag == 0xc2 || tag == 0xc3) {
		*ret_kind = ITEM_BOOL;
		*ret_n = tag & 1u;
	} else {
		return false;
	}
	return true;
}

bool item_get(struct reader *r, enum item *ret_kind, uint64_t *ret_n)
{
	uint8_t tag = get_u8(r);
	if (!r->bad && item_short(tag, ret_kind, ret_n))
		return true;
	if (r->bad || tag < 0xc4 || tag > 0xdf || !forms[tag - 0xc4].bytes) {
		r->bad = true;
		return false;
	}
	unsigned bytes = forms[tag - 0xc4].bytes;
	uint64_t n = get_be(r, bytes);
	if (forms[tag - 0xc4].kind == ITEM_NEGATIVE) {
		uint64_t all = UINT64_MAX >> (64 - 8 * bytes);
		if (!(n >> (8 * bytes - 1))) /* not negative: belongs in an unsigned form */
			r->bad = true;
		n = ~n & all;
	}
	if (r->bad || n < forms[tag - 0xc4].least) {
		r->bad = true;
		return false;
	}
	*ret_kind = forms[tag - 0xc4].kind;
	*ret_n = n;
	return true;
}

/* One code point (RFC 3629: no overlong form, no surrogate, nothing above 10FFFF), or -1. Advances.
 */
static long utf8_get(const uint8_t **p, const uint8_t *end)
{
	uint8_t first = *(*p)++;
	if (first < 0x80)
		return first;
	unsigned more = first >= 0xf0 ? 3 : first >= 0xe0 ? 2 : 1;
	if (first < 0xc2 || first > 0xf4 || (size_t)(end - *p) < more)
		return -1;
	long point = first & (0x3f >> more);
	for (unsigned i = 0; i < more; i++) {
		uint8_t next = *(*p)++;
		if ((next & 0xc0) != 0x80)
			return -1;
		point = point << 6 | (next & 0x3f);
	}
	static const long least[] = {0, 0x80, 0x800, 0x10000};
	if (point < least[more] || point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff))
		return -1;
	return point;
}

static bool utf8_valid(const uint8_t *p, size_t len)
{
	const uint8_t *end = p + len;
	while (p < end)
		if (utf8_get(&p, end) < 0)
			return false;
	return true;
}

bool text_printable(const char *text, size_t len)
{
	if (!len)
		return true; /* msgpack-c gives an empty text as NULL, to which not even 0 may be
				added */
	const uint8_t *p = (const uint8_t *)text, *end = p + len;
	while (p < end) {
		long point = utf8_get(&p, end);
		if (point < 0x20 || (point >= 0x7f && point <= 0x9f))
			return false;
	}
	return true;
}

struct walk {
	struct reader r;
	size_t elements; /* still allowed */
};

static bool walk_value(struct walk *, unsigned depth);

static bool walk_map(struct walk *w, uint64_t pairs, unsigned depth)
{
	uint64_t last = 0;
	for (uint64_t i = 0; i < pairs; i++) {
		enum item kind;
		uint64_t key;
		if (w->elements-- == 0) {
			w->elements = 0;
			return false;
		}
		if (!item_get(&w->r, &kind, &key) || kind != ITEM_UINT || (i && key <= last))
			return false;
		last = key;
		if (!walk_value(w, depth))
			return false;
	}
	return true;
}

/* depth: containers that may still be opened; it bounds the recursion. */
static bool walk_value(struct walk *w, unsigned depth)
{
	enum item kind;
	uint64_t n;
	const uint8_t *at;
	if (!w->elements || !item_get(&w->r, &kind, &n))
		return false;
	w->elements--;
	switch (kind) {
	case ITEM_UINT:
	case ITEM_NEGATIVE:
	case ITEM_BOOL: return true;
	case ITEM_BIN: return get_bytes(&w->r, n) != NULL;
	case ITEM_TEXT: at = get_bytes(&w->r, n); return at && utf8_valid(at, n);
	case ITEM_ARRAY:
		if (!depth || n > reader_left(&w->r))
			return false;
		for (uint64_t i = 0; i < n; i++)
			if (!walk_value(w, depth - 1))
				return false;
		return true;
	case ITEM_MAP: return depth && n <= reader_left(&w->r) / 2 && walk_map(w, n, depth - 1);
	}
	return false;
}

bool document_walk(const uint8_t *bytes, size_t len, unsigned max_depth, size_t max_elements)
{
	struct walk w = {.r = reader_over(bytes, len), .elements = max_elements};
	return walk_value(&w, max_depth) && !reader_left(&w.r);
}

/* low 24 bits 0 would be the bare address of a controller, no network of it */
uint64_t document_nwid(struct document *d, const struct value *v)
{
	uint64_t nwid = document_uint(d, v, UINT64_MAX);
	if (!(nwid & 0xffffff))
		d->bad = true;
	return nwid;
}

uint64_t document_address(struct document *d, const struct value *v)
{
	uint64_t address = document_uint(d, v, ADDRESS_MAX);
	if (!address)
		d->bad = true;
	return address;
}

void document_prefix(struct document *d, const struct value *v, struct prefix *ret)
{
	size_t len;
	const uint8_t *at = document_bin(d, v, 17, &len);
	*ret = (struct prefix){0};
	if (!at || (len != 5 && len != 17) || at[len - 1] > 8 * (len - 1)) {
		d->bad = true;
		return;
	}
	ret->family = len == 5 ? 4 : 6;
	ret->bits = at[len - 1];
	memcpy(ret->ip, at, len - 1);
}

void pack_nwid(struct writer *w, uint64_t nwid)
{
	if (!(nwid & 0xffffff))
		w->bad = true;
	pack_uint(w, nwid);
}

void pack_address(struct writer *w, uint64_t address)
{
	if (!address || address > ADDRESS_MAX)
		w->bad = true;
	pack_uint(w, address);
}

void pack_prefix(struct writer *w, const struct prefix *prefix)
{
	size_t len = prefix->family == 4 ? 4 : 16;
	uint8_t bytes[17];
	if ((prefix->family != 4 && prefix->family != 6) || prefix->bits > 8 * len)
		w->bad = true;
	memcpy(bytes, prefix->ip, len);
	bytes[len] = prefix->bits;
	pack_bin(w, bytes, len + 1);
}

/* An endpoint is the same 20 bytes as in RESP and PROBE_ACK. */
void pack_endpoint(struct writer *w, const struct endpoint *e)
{
	uint8_t bytes[ENDPOINT_BYTES];
	struct writer inner = writer_over(bytes, sizeof bytes);
	put_endpoint(&inner, e);
	if (inner.bad || writer_len(&inner) != sizeof bytes || !e->family)
		w->bad = true;
	else
		pack_bin(w, bytes, sizeof bytes);
}

void document_endpoint(struct document *d, const struct value *v, struct endpoint *ret)
{
	uint8_t bytes[ENDPOINT_BYTES] = {0};
	document_copy(d, v, bytes, sizeof bytes);
	struct reader inner = reader_over(bytes, sizeof bytes);
	*ret = (struct endpoint){0};
	get_endpoint(&inner, ret);
	if (!ret->family)
		d->bad = true;
}

/* [address as claimed, X25519 and Ed25519 public keys] */
void pack_identity(struct writer *w, const struct identity *id)
{
	uint8_t keys[IDENTITY_BYTES];
	memcpy(keys, id->x, 32);
	memcpy(keys + 32, id->ed, 32);
	pack_array(w, 2);
	pack_address(w, id->address);
	pack_bin(w, keys, sizeof keys);
}

void document_identity(struct document *d, const struct value *v, struct identity *ret)
{
	uint8_t keys[IDENTITY_BYTES] = {0};
	if (document_count(d, v, 2) != 2) {
		d->bad = true;
		return;
	}
	ret->address = document_address(d, document_at(d, v, 0));
	document_copy(d, document_at(d, v, 1), keys, sizeof keys);
	memcpy(ret->x, keys, 32);
	memcpy(ret->ed, keys + 32, 32);
	identity_hash(ret);
}

size_t pack_end(const struct writer *w)
{
	return w->bad ? 0 : writer_len(w);
}
