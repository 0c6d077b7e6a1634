/* cursor.h: bounded reading and writing of bytes with a sticky error.
 *
 * Every get checks and advances; after the first overrun `bad` stays set, gets return zero and puts do nothing, so a
 * parser reads all its fields and tests `bad` once. Borrows the buffer. No allocation, any thread.
 */
#ifndef FARLAN_PROTO_BASE_CURSOR_H
#define FARLAN_PROTO_BASE_CURSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct reader {
	const uint8_t *p, *end;
	bool bad;
};

struct writer {
	uint8_t *start, *p, *end;
	bool bad;
};

static inline struct reader reader_over(const void *p, size_t n)
{
	const uint8_t *b = p;
	return (struct reader){.p = b, .end = b ? b + n : b, .bad = false};
}

static inline struct writer writer_over(void *p, size_t room)
{
	uint8_t *b = p;
	return (struct writer){.start = b, .p = b, .end = b + room, .bad = false};
}

static inline size_t reader_left(const struct reader *r)
{
	return r->bad ? 0 : (size_t)(r->end - r->p);
}
static inline size_t writer_len(const struct writer *w)
{
	return (size_t)(w->p - w->start);
}
static inline size_t writer_left(const struct writer *w)
{
	return w->bad ? 0 : (size_t)(w->end - w->p);
}

/* n bytes in place, or NULL (and bad) if fewer are left. */
static inline const uint8_t *get_bytes(struct reader *r, size_t n)
{
	if (r->bad || (size_t)(r->end - r->p) < n) {
		r->bad = true;
		return NULL;
	}
	const uint8_t *at = r->p;
	r->p += n;
	return at;
}

static inline void get_copy(struct reader *r, void *to, size_t n)
{
	const uint8_t *at = get_bytes(r, n);
	if (at)
		memcpy(to, at, n);
	else
		memset(to, 0, n);
}

static inline uint64_t get_le(struct reader *r, unsigned n)
{
	const uint8_t *at = get_bytes(r, n);
	uint64_t v = 0;
	for (unsigned i = n; at && i-- > 0;)
		v = v << 8 | at[i];
	return v;
}

static inline uint64_t get_be(struct reader *r, unsigned n)
{
	const uint8_t *at = get_bytes(r, n);
	uint64_t v = 0;
	for (unsigned i = 0; at && i < n; i++)
		v = v << 8 | at[i];
	return v;
}

static inline uint8_t get_u8(struct reader *r)
{
	return (uint8_t)get_le(r, 1);
}
static inline uint16_t get_le16(struct reader *r)
{
	return (uint16_t)get_le(r, 2);
}
static inline uint32_t get_le32(struct reader *r)
{
	return (uint32_t)get_le(r, 4);
}
static inline uint64_t get_le64(struct reader *r)
{
	return get_le(r, 8);
}
static inline uint16_t get_be16(struct reader *r)
{
	return (uint16_t)get_be(r, 2);
}
static inline uint32_t get_be32(struct reader *r)
{
	return (uint32_t)get_be(r, 4);
}
static inline uint64_t get_be64(struct reader *r)
{
	return get_be(r, 8);
}

/* n bytes to be filled by the caller, or NULL (and bad) if there is no room. */
static inline uint8_t *put_room(struct writer *w, size_t n)
{
	if (w->bad || (size_t)(w->end - w->p) < n) {
		w->bad = true;
		return NULL;
	}
	uint8_t *at = w->p;
	w->p += n;
	return at;
}

static inline void put_bytes(struct writer *w, const void *from, size_t n)
{
	uint8_t *at = put_room(w, n);
	if (at && n)
		memcpy(at, from, n);
}

static inline void put_le(struct writer *w, uint64_t v, unsigned n)
{
	uint8_t *at = put_room(w, n);
	for (unsigned i = 0; at && i < n; i++)
		at[i] = (uint8_t)(v >> (8 * i));
}

static inline void put_be(struct writer *w, uint64_t v, unsigned n)
{
	uint8_t *at = put_room(w, n);
	for (unsigned i = 0; at && i < n; i++)
		at[i] = (uint8_t)(v >> (8 * (n - 1 - i)));
}

static inline void put_u8(struct writer *w, uint8_t v)
{
	put_le(w, v, 1);
}
static inline void put_le16(struct writer *w, uint16_t v)
{
	put_le(w, v, 2);
}
static inline void put_le32(struct writer *w, uint32_t v)
{
	put_le(w, v, 4);
}
static inline void put_le64(struct writer *w, uint64_t v)
{
	put_le(w, v, 8);
}
static inline void put_be16(struct writer *w, uint16_t v)
{
	put_be(w, v, 2);
}
static inline void put_be32(struct writer *w, uint32_t v)
{
	put_be(w, v, 4);
}
static inline void put_be64(struct writer *w, uint64_t v)
{
	put_be(w, v, 8);
}

#endif
