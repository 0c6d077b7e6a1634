/* cred.c: the signed documents, CRED and HEAD, and the rule by which a CRED holds.
 *
 * A signed document is an envelope [kind, body, signature, nil]. The signature covers a label and
 * the body as it was received; nothing is ever encoded again to be verified, so there is no second
 * opinion about what was signed. The envelope is read by the cursor, byte by byte in its only form,
 * the signature is checked, and then the body is opened as a document. The label names the kind, so
 * a HEAD can never be taken for a CRED. The last slot is for a delegation and must be nil until
 * there are any: ignoring it would accept what a later version may mean to restrict. Time is
 * network time and an argument; no clock is asked (PROTOCOL.md, "Time without clocks").
 */
#include "proto/cred.h"

#include <sodium.h>

#include "proto/body.h"
#include "proto/document.h"

#define CRED_VERSION 1
#define LABEL_MAX    16

enum cred_key {
	CRED_KEY_V = 0,
	CRED_KEY_NWID = 1,
	CRED_KEY_SERIAL = 2,
	CRED_KEY_SUBJECT = 3,
	CRED_KEY_ADDRESS = 4,
	CRED_KEY_ISSUED_AT = 5,
	CRED_KEY_SOFT_TTL = 6,
	CRED_KEY_HARD_TTL = 7,
	CRED_KEY_FLAGS = 8,
	CRED_KEY_IPS = 9,
	CRED_KEY_MACS = 10,
	CRED_KEY_TAGS = 11,
	CRED_KEY_CAPS = 12, /* reserved, skipped */
	CRED_KEY_MIN_CFG = 13,
	CRED_KEY_NAME = 14,
	CRED_KEYS = 14 /* written: all but CAPS */
};

enum head_key {
	HEAD_KEY_NWID = 0,
	HEAD_KEY_DELEG_EPOCH = 1,
	HEAD_KEY_VERSION = 2,
	HEAD_KEY_ISSUED_AT = 3,
	HEAD_KEY_CFG_ROOT = 4,
	HEAD_KEY_REV_HASH = 5,
	HEAD_KEY_REV_EPOCH = 6,
	HEAD_KEY_GATE_EPOCH = 7,
	HEAD_KEYS = 8
};

/* L("fln1 " name) and the body, in one piece, as Ed25519 wants it. */
static size_t signed_bytes(const char *label, const uint8_t *body, size_t len, uint8_t out[LABEL_MAX + CRED_ENVELOPE_MAX])
{
	struct writer w = writer_over(out, LABEL_MAX + CRED_ENVELOPE_MAX);
	put_u8(&w, (uint8_t)strlen(label));
	put_bytes(&w, label, strlen(label));
	put_bytes(&w, body, len);
	return pack_end(&w);
}

size_t envelope_sign(enum document_kind kind, const char *label, const uint8_t *body, size_t len, const uint8_t ed_secret[64], uint8_t *out,
                     size_t room)
{
	uint8_t message[LABEL_MAX + CRED_ENVELOPE_MAX], sig[64];
	size_t n = len ? signed_bytes(label, body, len, message) : 0;
	if (!n)
		return 0;
	crypto_sign_detached(sig, NULL, message, n, ed_secret);
	struct writer w = writer_over(out, room);
	pack_array(&w, 4);
	pack_uint(&w, kind);
	pack_bin(&w, body, len);
	pack_bin(&w, sig, sizeof sig);
	put_u8(&w, 0xc0); /* nil: no delegation */
	return pack_end(&w);
}

bool envelope_open(const uint8_t *envelope, size_t len, enum document_kind want, const char *label, const uint8_t *signer_ed,
                   const uint8_t **ret_body, size_t *ret_len)
{
	struct reader r = reader_over(envelope, len);
	enum item item;
	uint64_t n, kind, body_len;
	if (!item_get(&r, &item, &n) || item != ITEM_ARRAY || n != 4)
		return false;
	if (!item_get(&r, &item, &kind) || item != ITEM_UINT || kind != want)
		return false;
	if (!item_get(&r, &item, &body_len) || item != ITEM_BIN)
		return false;
	const uint8_t *body = get_bytes(&r, body_len);
	if (!item_get(&r, &item, &n) || item != ITEM_BIN || n != 64)
		return false;
	const uint8_t *sig = get_bytes(&r, 64);
	if (get_u8(&r) != 0xc0 || r.bad || reader_left(&r))
		return false;
	if (signer_ed) {
		uint8_t message[LABEL_MAX + CRED_ENVELOPE_MAX];
		n = signed_bytes(label, body, body_len, message);
		if (!n || crypto_sign_verify_detached(sig, message, n, signer_ed))
			return false;
	}
	*ret_body = body;
	*ret_len = body_len;
	return true;
}

static void pack_lists(struct writer *w, const struct cred *c)
{
	pack_uint(w, CRED_KEY_IPS);
	pack_array(w, c->n_ips);
	for (unsigned i = 0; i < c->n_ips; i++)
		pack_prefix(w, &c->ips[i]);
	pack_uint(w, CRED_KEY_MACS);
	pack_array(w, c->n_macs);
	for (unsigned i = 0; i < c->n_macs; i++)
		pack_bin(w, c->macs[i], 6);
	pack_uint(w, CRED_KEY_TAGS);
	pack_map(w, c->n_tags);
	for (unsigned i = 0; i < c->n_tags; i++) {
		if (i && c->tags[i].key <= c->tags[i - 1].key)
			w->bad = true;
		pack_uint(w, c->tags[i].key);
		pack_uint(w, c->tags[i].value);
	}
}

size_t cred_sign(const struct cred *c, const uint8_t ed_secret[64], uint8_t *out, size_t room)
{
	uint8_t body[CRED_ENVELOPE_MAX];
	struct writer w = writer_over(body, sizeof body);
	if (c->n_ips > CRED_IPS_MAX || c->n_macs > CRED_MACS_MAX || c->n_tags > CRED_TAGS_MAX)
		return 0;
	pack_map(&w, CRED_KEYS);
	pack_uint(&w, CRED_KEY_V);
	pack_uint(&w, CRED_VERSION);
	pack_uint(&w, CRED_KEY_NWID);
	pack_nwid(&w, c->nwid);
	pack_uint(&w, CRED_KEY_SERIAL);
	pack_uint(&w, c->serial);
	pack_uint(&w, CRED_KEY_SUBJECT);
	pack_bin(&w, c->subject, sizeof c->subject);
	pack_uint(&w, CRED_KEY_ADDRESS);
	pack_address(&w, c->address);
	pack_uint(&w, CRED_KEY_ISSUED_AT);
	pack_uint(&w, c->issued_at);
	pack_uint(&w, CRED_KEY_SOFT_TTL);
	pack_uint(&w, c->soft_ttl);
	pack_uint(&w, CRED_KEY_HARD_TTL);
	pack_uint(&w, c->hard_ttl);
	pack_uint(&w, CRED_KEY_FLAGS);
	pack_uint(&w, c->flags);
	pack_lists(&w, c);
	pack_uint(&w, CRED_KEY_MIN_CFG);
	pack_uint(&w, c->min_cfg);
	pack_uint(&w, CRED_KEY_NAME);
	pack_text(&w, c->name);
	return envelope_sign(DOC_CRED, "fln1 cred", body, pack_end(&w), ed_secret, out,
	                     room < CRED_ENVELOPE_MAX ? room : CRED_ENVELOPE_MAX);
}

static void read_lists(struct document *d, struct cred *c)
{
	const struct value *ips = document_field(d, CRED_KEY_IPS);
	c->n_ips = document_count(d, ips, CRED_IPS_MAX);
	for (unsigned i = 0; i < c->n_ips; i++)
		document_prefix(d, document_at(d, ips, i), &c->ips[i]);
	const struct value *macs = document_field(d, CRED_KEY_MACS);
	c->n_macs = document_count(d, macs, CRED_MACS_MAX);
	for (unsigned i = 0; i < c->n_macs; i++)
		document_copy(d, document_at(d, macs, i), c->macs[i], 6);
	const struct value *tags = document_field(d, CRED_KEY_TAGS);
	c->n_tags = document_pairs(d, tags, CRED_TAGS_MAX);
	for (unsigned i = 0; i < c->n_tags; i++) {
		uint64_t key = 0;
		const struct value *v = document_pair(d, tags, i, &key);
		if (key > UINT32_MAX)
			d->bad = true;
		c->tags[i].key = (uint32_t)key;
		c->tags[i].value = (uint32_t)document_uint(d, v, UINT32_MAX);
	}
}

static bool cred_body(const uint8_t *body, size_t len, struct cred *ret)
{
	struct document d;
	struct cred c = {0};
	if (!document_open(&d, body, len, BODY_ELEMENTS_MAX))
		return false;
	if (document_uint(&d, document_field(&d, CRED_KEY_V), UINT8_MAX) != CRED_VERSION)
		d.bad = true;
	c.nwid = document_nwid(&d, document_field(&d, CRED_KEY_NWID));
	c.serial = document_uint(&d, document_field(&d, CRED_KEY_SERIAL), UINT64_MAX);
	document_copy(&d, document_field(&d, CRED_KEY_SUBJECT), c.subject, sizeof c.subject);
	c.address = document_address(&d, document_field(&d, CRED_KEY_ADDRESS));
	c.issued_at = document_uint(&d, document_field(&d, CRED_KEY_ISSUED_AT), UINT64_MAX);
	c.soft_ttl = (uint32_t)document_uint(&d, document_field(&d, CRED_KEY_SOFT_TTL), UINT32_MAX);
	c.hard_ttl = (uint32_t)document_uint(&d, document_field(&d, CRED_KEY_HARD_TTL), UINT32_MAX);
	c.flags = (uint32_t)document_uint(&d, document_field(&d, CRED_KEY_FLAGS), UINT32_MAX);
	read_lists(&d, &c);
	c.min_cfg = document_uint(&d, document_field(&d, CRED_KEY_MIN_CFG), UINT64_MAX);
	document_text(&d, document_field(&d, CRED_KEY_NAME), c.name, sizeof c.name);
	if (!document_close(&d))
		return false;
	*ret = c;
	return true;
}

bool cred_open(const uint8_t *envelope, size_t len, const uint8_t signer_ed[32], struct cred *ret)
{
	const uint8_t *body;
	size_t n;
	return len <= CRED_ENVELOPE_MAX && envelope_open(envelope, len, DOC_CRED, "fln1 cred", signer_ed, &body, &n) &&
	       cred_body(body, n, ret);
}

bool cred_parse(const uint8_t *envelope, size_t len, struct cred *ret)
{
	return cred_open(envelope, len, NULL, ret);
}

size_t head_sign(const struct head *h, const uint8_t ed_secret[64], uint8_t *out, size_t room)
{
	uint8_t body[HEAD_ENVELOPE_MAX];
	struct writer w = writer_over(body, sizeof body);
	pack_map(&w, HEAD_KEYS);
	pack_uint(&w, HEAD_KEY_NWID);
	pack_nwid(&w, h->nwid);
	pack_uint(&w, HEAD_KEY_DELEG_EPOCH);
	pack_uint(&w, h->deleg_epoch);
	pack_uint(&w, HEAD_KEY_VERSION);
	pack_uint(&w, h->version);
	pack_uint(&w, HEAD_KEY_ISSUED_AT);
	pack_uint(&w, h->issued_at);
	pack_uint(&w, HEAD_KEY_CFG_ROOT);
	pack_bin(&w, h->cfg_root, sizeof h->cfg_root);
	pack_uint(&w, HEAD_KEY_REV_HASH);
	pack_bin(&w, h->rev_hash, sizeof h->rev_hash);
	pack_uint(&w, HEAD_KEY_REV_EPOCH);
	pack_uint(&w, h->rev_epoch);
	pack_uint(&w, HEAD_KEY_GATE_EPOCH);
	pack_uint(&w, h->gate_epoch);
	return envelope_sign(DOC_HEAD, "fln1 head", body, pack_end(&w), ed_secret, out,
	                     room < HEAD_ENVELOPE_MAX ? room : HEAD_ENVELOPE_MAX);
}

static bool head_body(const uint8_t *body, size_t len, struct head *ret)
{
	struct document d;
	struct head h = {0};
	if (!document_open(&d, body, len, BODY_ELEMENTS_MAX))
		return false;
	h.nwid = document_nwid(&d, document_field(&d, HEAD_KEY_NWID));
	h.deleg_epoch = document_uint(&d, document_field(&d, HEAD_KEY_DELEG_EPOCH), UINT64_MAX);
	h.version = document_uint(&d, document_field(&d, HEAD_KEY_VERSION), UINT64_MAX);
	h.issued_at = document_uint(&d, document_field(&d, HEAD_KEY_ISSUED_AT), UINT64_MAX);
	document_copy(&d, document_field(&d, HEAD_KEY_CFG_ROOT), h.cfg_root, sizeof h.cfg_root);
	document_copy(&d, document_field(&d, HEAD_KEY_REV_HASH), h.rev_hash, sizeof h.rev_hash);
	h.rev_epoch = document_uint(&d, document_field(&d, HEAD_KEY_REV_EPOCH), UINT64_MAX);
	h.gate_epoch = document_uint(&d, document_field(&d, HEAD_KEY_GATE_EPOCH), UINT64_MAX);
	if (!document_close(&d))
		return false;
	*ret = h;
	return true;
}

bool head_open(const uint8_t *envelope, size_t len, const uint8_t signer_ed[32], struct head *ret)
{
	const uint8_t *body;
	size_t n;
	return len <= HEAD_ENVELOPE_MAX && envelope_open(envelope, len, DOC_HEAD, "fln1 head", signer_ed, &body, &n) &&
	       head_body(body, n, ret);
}

void envelope_hash(const uint8_t *envelope, size_t len, uint8_t ret[32])
{
	hash256(ret, "fln1 env", envelope, len);
}

int head_compare(const struct head *a, const struct head *b)
{
	if (a->deleg_epoch != b->deleg_epoch)
		return a->deleg_epoch < b->deleg_epoch ? -1 : 1;
	if (a->version != b->version)
		return a->version < b->version ? -1 : 1;
	return 0;
}

enum cred_verdict cred_check(const struct cred *c, uint64_t nwid, const uint8_t subject[KEY_HASH_BYTES], uint64_t address,
                             uint64_t min_serial, uint64_t ctime)
{
	if (c->nwid != nwid)
		return CRED_NETWORK;
	if (!bytes_equal(c->subject, subject, KEY_HASH_BYTES))
		return CRED_SUBJECT;
	if (c->address != address)
		return CRED_ADDRESS;
	if (c->serial < min_serial)
		return CRED_REVOKED;
	/* Issued after our HEAD: age 0. Our HEAD is old then, not the CRED. */
	if (c->issued_at < ctime && ctime - c->issued_at > c->hard_ttl)
		return CRED_EXPIRED;
	return CRED_OK;
}
