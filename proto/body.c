/* body.c: the frame around control messages, and the only lines that know msgpack-c.
 *
 * Decoding is two steps: document_walk (document.c) proves the bytes small, canonical and complete,
 * then msgpack-c builds its tree of objects in a zone, whose size the walk has bounded: at most 24
 * bytes for an element that stood in the bytes. bin and text objects point into the caller's bytes,
 * nothing of them is copied. `struct value` is a msgpack_object seen from outside; no other file
 * needs to know. Encoding packs into a cursor through msgpack's write callback; msgpack-c writes
 * shortest forms by itself, keys are written ascending by whoever packs. message_encode walks what
 * it made: a peer would refuse what we would refuse.
 */
#include "proto/body.h"

#include <msgpack.h>

#include "proto/document.h"

#define ZONE_CHUNK                                                                                                                         \
	2048 /* bytes; a control body fits in one, a members section takes a few dozen  \
			 */

static const msgpack_object *object(const struct value *v)
{
	return (const msgpack_object *)(const void *)v;
}

static const struct value *value(const msgpack_object *o)
{
	return (const struct value *)(const void *)o;
}

bool document_open(struct document *d, const uint8_t *bytes, size_t len, size_t max_elements)
{
	*d = (struct document){0};
	if (!document_walk(bytes, len, BODY_DEPTH_MAX, max_elements))
		return false;
	msgpack_zone *zone = msgpack_zone_new(ZONE_CHUNK);
	if (!zone)
		return false;
	size_t off = 0;
	msgpack_object *root = msgpack_zone_malloc(zone, sizeof *root);
	if (!root || msgpack_unpack((const char *)bytes, len, &off, zone, root) != MSGPACK_UNPACK_SUCCESS) {
		msgpack_zone_free(zone);
		return false;
	}
	d->zone = zone;
	d->root = value(root);
	return true;
}

bool document_close(struct document *d)
{
	msgpack_zone_free(d->zone);
	d->zone = NULL;
	d->root = NULL;
	return !d->bad;
}

/* NULL (and bad) unless v is there and of this type. */
static const msgpack_object *expect(struct document *d, const struct value *v, msgpack_object_type type)
{
	if (v && object(v)->type == type)
		return object(v);
	d->bad = true;
	return NULL;
}

const struct value *document_find(struct document *d, const struct value *map, uint64_t key)
{
	const msgpack_object *o = expect(d, map, MSGPACK_OBJECT_MAP);
	for (uint32_t i = 0; o && i < o->via.map.size; i++)
		if (o->via.map.ptr[i].key.via.u64 == key)
			return value(&o->via.map.ptr[i].val);
	return NULL;
}

uint64_t document_uint(struct document *d, const struct value *v, uint64_t max)
{
	const msgpack_object *o = expect(d, v, MSGPACK_OBJECT_POSITIVE_INTEGER);
	if (o && o->via.u64 <= max)
		return o->via.u64;
	d->bad = true;
	return 0;
}

const uint8_t *document_bin(struct document *d, const struct value *v, size_t max, size_t *ret_len)
{
	const msgpack_object *o = expect(d, v, MSGPACK_OBJECT_BIN);
	*ret_len = 0;
	if (!o || !o->via.bin.size || o->via.bin.size > max) {
		d->bad = true;
		return NULL;
	}
	*ret_len = o->via.bin.size;
	return (const uint8_t *)o->via.bin.ptr;
}

void document_copy(struct document *d, const struct value *v, void *to, size_t n)
{
	size_t len;
	const uint8_t *at = document_bin(d, v, n, &len);
	if (at && len == n)
		memcpy(to, at, n);
	else
		d->bad = true;
}

void document_text(struct document *d, const struct value *v, char *to, size_t room)
{
	const msgpack_object *o = expect(d, v, MSGPACK_OBJECT_STR);
	if (!o || o->via.str.size >= room || !text_printable(o->via.str.ptr, o->via.str.size)) {
		d->bad = true;
		return;
	}
	if (o->via.str.size)
		memcpy(to, o->via.str.ptr, o->via.str.size);
	to[o->via.str.size] = 0;
}

unsigned document_count(struct document *d, const struct value *array, size_t max)
{
	const msgpack_object *o = expect(d, array, MSGPACK_OBJECT_ARRAY);
	if (o && o->via.array.size <= max)
		return o->via.array.size;
	d->bad = true;
	return 0;
}

const struct value *document_at(struct document *d, const struct value *array, unsigned i)
{
	const msgpack_object *o = expect(d, array, MSGPACK_OBJECT_ARRAY);
	return o && i < o->via.array.size ? value(&o->via.array.ptr[i]) : NULL;
}

unsigned document_pairs(struct document *d, const struct value *map, size_t max)
{
	const msgpack_object *o = expect(d, map, MSGPACK_OBJECT_MAP);
	if (o && o->via.map.size <= max)
		return o->via.map.size;
	d->bad = true;
	return 0;
}

const struct value *document_pair(struct document *d, const struct value *map, unsigned i, uint64_t *ret_key)
{
	const msgpack_object *o = expect(d, map, MSGPACK_OBJECT_MAP);
	if (!o || i >= o->via.map.size)
		return NULL;
	*ret_key = o->via.map.ptr[i].key.via.u64; /* the walk let only unsigned keys pass */
	return value(&o->via.map.ptr[i].val);
}

static int packed(void *self, const char *bytes, size_t n)
{
	struct writer *w = self;
	put_bytes(w, bytes, n);
	return w->bad ? -1 : 0;
}

static msgpack_packer packer(struct writer *w)
{
	msgpack_packer p;
	msgpack_packer_init(&p, w, packed);
	return p;
}

void pack_map(struct writer *w, size_t pairs)
{
	msgpack_packer p = packer(w);
	msgpack_pack_map(&p, pairs);
}

void pack_array(struct writer *w, size_t n)
{
	msgpack_packer p = packer(w);
	msgpack_pack_array(&p, n);
}

void pack_uint(struct writer *w, uint64_t n)
{
	msgpack_packer p = packer(w);
	msgpack_pack_uint64(&p, n);
}

void pack_bin(struct writer *w, const void *bytes, size_t n)
{
	msgpack_packer p = packer(w);
	msgpack_pack_bin(&p, n);
	put_bytes(w, bytes, n);
}

void pack_text(struct writer *w, const char *text)
{
	size_t n = strnlen(text, NAME_MAX_BYTES + 1);
	if (n > NAME_MAX_BYTES || !text_printable(text, n)) {
		w->bad = true;
		return;
	}
	msgpack_packer p = packer(w);
	msgpack_pack_str(&p, n);
	put_bytes(w, text, n);
}

size_t message_encode(const struct message *m, uint8_t *out, size_t room)
{
	struct writer w = writer_over(out, room < BODY_MAX ? room : BODY_MAX);
	pack_array(&w, 3);
	pack_uint(&w, m->req);
	pack_uint(&w, m->op);
	if (m->op & OP_REPLY) {
		pack_array(&w, m->len ? 2 : 1);
		pack_uint(&w, m->status);
	} else if (!m->len) {
		pack_map(&w, 0);
	}
	if (m->len)
		put_bytes(&w, m->body, m->len);
	size_t len = pack_end(&w);
	return len && document_walk(out, len, BODY_DEPTH_MAX, BODY_ELEMENTS_MAX) ? len : 0;
}

static uint64_t head_uint(struct reader *r, enum item want, uint64_t max)
{
	enum item kind;
	uint64_t n = 0;
	if (!item_get(r, &kind, &n) || kind != want || n > max)
		r->bad = true;
	return n;
}

/* By the cursor, not from the tree: the body is handed on as bytes. The walk has proved that what
 * stands behind the last head read is exactly one value. */
bool message_parse(const uint8_t *bytes, size_t len, struct message *ret)
{
	struct message m = {0};
	if (len > BODY_MAX || !document_walk(bytes, len, BODY_DEPTH_MAX, BODY_ELEMENTS_MAX))
		return false;
	struct reader r = reader_over(bytes, len);
	if (head_uint(&r, ITEM_ARRAY, 3) != 3)
		return false;
	m.req = (uint32_t)head_uint(&r, ITEM_UINT, UINT32_MAX);
	m.op = (uint8_t)head_uint(&r, ITEM_UINT, UINT8_MAX);
	if (!r.bad && m.op & OP_REPLY) {
		head_uint(&r, ITEM_ARRAY, 2); /* of none: then there is no status to read either */
		m.status = (uint8_t)head_uint(&r, ITEM_UINT, UINT8_MAX);
	}
	if (r.bad)
		return false;
	m.len = reader_left(&r);
	m.body = m.len ? r.p : NULL;
	*ret = m;
	return true;
}
