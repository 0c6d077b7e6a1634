/* document.h: msgpack documents in the one form FLN1 knows, for control bodies and signed documents (PROTOCOL.md,
 * Encoding). Private to proto/.
 *
 * Reading is open, fields, close: the tree is decoded on the heap, so control thread only. Errors stick in `bad` as
 * with the cursor: a reader of a missing, mistyped or oversized value returns zero, and document_close tells whether
 * all was well. Text and bin values borrow the caller's bytes. Writing goes to a cursor and sets its `bad`.
 */
#ifndef FARLAN_PROTO_DOCUMENT_H
#define FARLAN_PROTO_DOCUMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/cursor.h"
#include "proto/cred.h"

#define ADDRESS_MAX 0xffffffffffull

/* The head of one element. n: the integer, -1 - the integer, the bool, bytes (bin, text), elements (array), pairs (map). */
enum item { ITEM_UINT, ITEM_NEGATIVE, ITEM_BOOL, ITEM_BIN, ITEM_TEXT, ITEM_ARRAY, ITEM_MAP };
/* Reads a head; bin and text bytes stay to be read. False (r->bad set) for nil, float, ext, 0xc1 and for any form that
 * is not the shortest. */
bool item_get(struct reader *r, enum item *ret_kind, uint64_t *ret_n);

/* UTF-8 without control characters: what may reach a terminal or a page. */
bool text_printable(const char *text, size_t len);

struct value; /* one decoded element, borrowed from its document */
struct document {
	void *zone; /* owns the tree */
	const struct value *root;
	bool bad;
};

/* Walks, then decodes. False: nothing to close (malformed, or out of memory). */
bool document_open(struct document *, const uint8_t *bytes, size_t len, size_t max_elements);
bool document_close(struct document *); /* true: no read failed. May be called once */

/* The value of a key, NULL if absent (not an error by itself); bad if value is no map. */
const struct value *document_find(struct document *, const struct value *map, uint64_t key);
static inline const struct value *document_field(struct document *d, uint64_t key)
{
	return document_find(d, d->root, key);
}
uint64_t document_uint(struct document *, const struct value *, uint64_t max);
void document_copy(struct document *, const struct value *, void *to, size_t n);                   /* a bin of exactly n bytes */
const uint8_t *document_bin(struct document *, const struct value *, size_t max, size_t *ret_len); /* of 1..max bytes */
void document_text(struct document *, const struct value *, char *to, size_t room);                /* printable, terminated */
unsigned document_count(struct document *, const struct value *array, size_t max);
const struct value *document_at(struct document *, const struct value *array, unsigned i);
unsigned document_pairs(struct document *, const struct value *map, size_t max);
const struct value *document_pair(struct document *, const struct value *map, unsigned i, uint64_t *ret_key);
/* What several documents share. */
uint64_t document_nwid(struct document *, const struct value *);
uint64_t document_address(struct document *, const struct value *);
void document_prefix(struct document *, const struct value *, struct prefix *ret);
void document_endpoint(struct document *, const struct value *, struct endpoint *ret); /* never family 0 */
void document_identity(struct document *, const struct value *, struct identity *ret); /* fills key_hash */

void pack_map(struct writer *, size_t pairs);
void pack_array(struct writer *, size_t n);
void pack_uint(struct writer *, uint64_t);
void pack_bin(struct writer *, const void *, size_t n);
void pack_text(struct writer *, const char *); /* at most NAME_MAX_BYTES, printable */
void pack_nwid(struct writer *, uint64_t);
void pack_address(struct writer *, uint64_t);
void pack_prefix(struct writer *, const struct prefix *);
void pack_endpoint(struct writer *, const struct endpoint *);
void pack_identity(struct writer *, const struct identity *);
/* An envelope [kind, body, signature, nil] of at most CRED_ENVELOPE_MAX bytes (cred.c). open: signer_ed NULL = the signature is not looked at;
 * ret_body borrows. */
size_t envelope_sign(enum document_kind, const char *label, const uint8_t *body, size_t len, const uint8_t ed_secret[64], uint8_t *out,
                     size_t room);
bool envelope_open(const uint8_t *envelope, size_t len, enum document_kind want, const char *label, const uint8_t *signer_ed,
                   const uint8_t **ret_body, size_t *ret_len);

/* The length written, or 0 if anything did not fit or was out of range. */
size_t pack_end(const struct writer *);

#endif
