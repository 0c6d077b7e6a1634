/* contact.c: contact records, signed by their own subject.
 *
 * The same envelope as a credential, with a label of its own, and the one difference that nobody vouches for anybody: the
 * signer is the identity the record is about, and its key_hash and address stand in the body so that a record can be
 * compared and found before its keys are at hand. It is read as all documents are; homes are addresses of roots, none
 * twice, since a caller tries them in order.
 */
#include "proto/contact.h"

#include "proto/body.h"
#include "proto/document.h"

#define LABEL "fln1 contact"

enum key { KEY_HASH = 0, KEY_ADDRESS = 1, KEY_SEQ = 2, KEY_HOMES = 3, KEY_TTL = 4, KEY_FLAGS = 5, KEYS = 6 };

static bool homes_good(const struct contact *c)
{
	return c->n_homes <= CONTACT_HOMES_MAX && (c->n_homes < 2 || c->home[0] != c->home[1]);
}

size_t contact_sign(const struct contact *c, const uint8_t ed_secret[64], uint8_t *out, size_t room)
{
	uint8_t body[CONTACT_ENVELOPE_MAX];
	struct writer w = writer_over(body, sizeof body);
	if (!homes_good(c))
		return 0;
	pack_map(&w, KEYS);
	pack_uint(&w, KEY_HASH);
	pack_bin(&w, c->key_hash, sizeof c->key_hash);
	pack_uint(&w, KEY_ADDRESS);
	pack_address(&w, c->address);
	pack_uint(&w, KEY_SEQ);
	pack_uint(&w, c->seq);
	pack_uint(&w, KEY_HOMES);
	pack_array(&w, c->n_homes);
	for (unsigned i = 0; i < c->n_homes; i++)
		pack_address(&w, c->home[i]);
	pack_uint(&w, KEY_TTL);
	pack_uint(&w, c->ttl_s);
	pack_uint(&w, KEY_FLAGS);
	pack_uint(&w, c->flags);
	return envelope_sign(DOC_CONTACT, LABEL, body, pack_end(&w), ed_secret, out,
	                     room < CONTACT_ENVELOPE_MAX ? room : CONTACT_ENVELOPE_MAX);
}

static bool contact_body(const uint8_t *body, size_t len, struct contact *ret)
{
	struct document d;
	struct contact c = {0};
	if (!document_open(&d, body, len, BODY_ELEMENTS_MAX))
		return false;
	document_copy(&d, document_field(&d, KEY_HASH), c.key_hash, sizeof c.key_hash);
	c.address = document_address(&d, document_field(&d, KEY_ADDRESS));
	c.seq = document_uint(&d, document_field(&d, KEY_SEQ), UINT64_MAX);
	const struct value *homes = document_field(&d, KEY_HOMES);
	c.n_homes = document_count(&d, homes, CONTACT_HOMES_MAX);
	for (unsigned i = 0; i < c.n_homes; i++)
		c.home[i] = document_address(&d, document_at(&d, homes, i));
	c.ttl_s = (uint32_t)document_uint(&d, document_field(&d, KEY_TTL), UINT32_MAX);
	c.flags = (uint32_t)document_uint(&d, document_field(&d, KEY_FLAGS), UINT32_MAX);
	if (!document_close(&d) || !homes_good(&c))
		return false;
	*ret = c;
	return true;
}

bool contact_open(const uint8_t *envelope, size_t len, const struct identity *who, struct contact *ret)
{
	const uint8_t *body;
	size_t n;
	struct contact c;
	if (len > CONTACT_ENVELOPE_MAX || !envelope_open(envelope, len, DOC_CONTACT, LABEL, who->ed, &body, &n) ||
	    !contact_body(body, n, &c) || !bytes_equal(c.key_hash, who->key_hash, KEY_HASH_BYTES) || c.address != who->address)
		return false;
	*ret = c;
	return true;
}

bool contact_parse(const uint8_t *envelope, size_t len, struct contact *ret)
{
	const uint8_t *body;
	size_t n;
	return len <= CONTACT_ENVELOPE_MAX && envelope_open(envelope, len, DOC_CONTACT, LABEL, NULL, &body, &n) &&
	       contact_body(body, n, ret);
}
