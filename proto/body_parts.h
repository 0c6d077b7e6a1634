/* body_parts.h: what the files of bodies, body_*.c, have in common: the bounds of a body and its commonest fields. Private to them. */
#ifndef FARLAN_PROTO_BODY_PARTS_H
#define FARLAN_PROTO_BODY_PARTS_H

#include <string.h>

#include "proto/body.h"
#include "proto/document.h"

static inline struct writer body_writer(uint8_t *out, size_t room)
{
	return writer_over(out, room < BODY_MAX ? room : BODY_MAX);
}

static inline bool body_open(struct document *d, const uint8_t *bytes, size_t len)
{
	return len <= BODY_MAX && document_open(d, bytes, len, BODY_ELEMENTS_MAX);
}

/* Nothing is copied out unless every field was good. */
static inline bool body_close(struct document *d, void *ret, const void *parsed, size_t size)
{
	if (!document_close(d))
		return false;
	memcpy(ret, parsed, size);
	return true;
}

static inline void field_uint(struct writer *w, unsigned key, uint64_t n)
{
	pack_uint(w, key);
	pack_uint(w, n);
}

static inline void field_nwid(struct writer *w, unsigned key, uint64_t nwid)
{
	pack_uint(w, key);
	pack_nwid(w, nwid);
}

static inline uint64_t read_uint(struct document *d, unsigned key, uint64_t max)
{
	return document_uint(d, document_field(d, key), max);
}

#endif
