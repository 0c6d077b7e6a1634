/* rootset.c: the document that names a set's roots, its signatures, and the chain of those that count.
 *
 * An envelope is [6, body, [[index, signature] ...]]. As with credentials a signature covers a label and the body as it
 * came, and nothing is encoded again to be checked. An index names a key of the document before, so a signature cannot be
 * counted for two keys and none needs to be tried; indices ascend. Whoever holds too few keys can neither add a root nor
 * change the keys. Since seq must grow and only documents signed by the current keys are taken, a document behind a change
 * of keys is refused by whoever has not seen that change: it asks for what comes next and gets the change first.
 */
#include "proto/rootset.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "proto/body.h"
#include "proto/document.h"

#define ROOTSET_VERSION 1
#define LABEL           "fln1 rootset"
#define LABEL_BYTES     (sizeof LABEL) /* its length byte and the text */
#define SIGNATURE_BYTES 64

enum set_key {
	SET_KEY_V = 0,
	SET_KEY_ID = 1,
	SET_KEY_SEQ = 2,
	SET_KEY_THRESHOLD = 3,
	SET_KEY_KEYS = 4,
	SET_KEY_ROOTS = 5,
	SET_KEY_FLAGS = 6,
	SET_KEYS = 7
};

enum root_key {
	ROOT_KEY_IDENTITY = 0,
	ROOT_KEY_ENDPOINTS = 1,
	ROOT_KEY_NAMES = 2, /* [host, port, host, port ...] */
	ROOT_KEY_TLS = 3,
	ROOT_KEY_PIN = 4, /* may be absent */
	ROOT_KEY_REGION = 5,
	ROOT_KEY_WEIGHT = 6,
	ROOT_KEYS = 7
};

void rootset_id(const struct rootset_document *s, uint8_t ret_id[ROOTSET_ID_BYTES])
{
	uint8_t threshold = (uint8_t)s->threshold;
	hash256_parts(ret_id, "fln1 rootset id", &threshold, 1, s->key, s->n_keys * sizeof s->key[0]);
}

/* ---- the body ---- */

static bool keys_same(const struct rootset_document *a, const struct rootset_document *b)
{
	return a->threshold == b->threshold && a->n_keys == b->n_keys && !memcmp(a->key, b->key, a->n_keys * sizeof a->key[0]);
}

/* What holds in every document, read or written: a key that stands twice would count twice. */
static bool sound(const struct rootset_document *s)
{
	if (!s->seq || !s->n_keys || s->n_keys > ROOTSET_KEYS_MAX || !s->threshold || s->threshold > s->n_keys ||
	    s->n_roots > ROOTSET_ROOTS_MAX)
		return false;
	for (unsigned i = 0; i < s->n_keys; i++)
		for (unsigned k = 0; k < i; k++)
			if (!memcmp(s->key[i], s->key[k], sizeof s->key[i]))
				return false;
	for (unsigned i = 0; i < s->n_roots; i++) {
		const struct root_line *line = &s->root[i].line;
		if (!(line->n_endpoints + line->n_names) || line->n_endpoints + line->n_names > ROOT_ENDPOINTS_MAX)
			return false;
		for (unsigned k = 0; k < i; k++)
			if (!memcmp(line->identity.key_hash, s->root[k].line.identity.key_hash, KEY_HASH_BYTES) ||
			    line->identity.address == s->root[k].line.identity.address)
				return false;
	}
	return true;
}

static void root_put(struct writer *w, const struct rootset_root *r)
{
	const struct root_line *line = &r->line;
	pack_map(w, line->pin_set ? ROOT_KEYS : ROOT_KEYS - 1);
	pack_uint(w, ROOT_KEY_IDENTITY);
	pack_identity(w, &line->identity);
	pack_uint(w, ROOT_KEY_ENDPOINTS);
	pack_array(w, line->n_endpoints);
	for (unsigned i = 0; i < line->n_endpoints; i++)
		pack_endpoint(w, &line->endpoints[i]);
	pack_uint(w, ROOT_KEY_NAMES);
	pack_array(w, 2 * line->n_names);
	for (unsigned i = 0; i < line->n_names; i++) {
		pack_bin(w, line->names[i].host, strlen(line->names[i].host));
		pack_uint(w, line->names[i].port);
	}
	pack_uint(w, ROOT_KEY_TLS);
	pack_uint(w, line->tls_port);
	if (line->pin_set) {
		pack_uint(w, ROOT_KEY_PIN);
		pack_bin(w, line->pin, sizeof line->pin);
	}
	pack_uint(w, ROOT_KEY_REGION);
	pack_text(w, r->region);
	pack_uint(w, ROOT_KEY_WEIGHT);
	pack_uint(w, r->weight);
}

static size_t body_put(const struct rootset_document *s, uint8_t *out, size_t room)
{
	struct writer w = writer_over(out, room);
	pack_map(&w, SET_KEYS);
	pack_uint(&w, SET_KEY_V);
	pack_uint(&w, ROOTSET_VERSION);
	pack_uint(&w, SET_KEY_ID);
	pack_bin(&w, s->id, sizeof s->id);
	pack_uint(&w, SET_KEY_SEQ);
	pack_uint(&w, s->seq);
	pack_uint(&w, SET_KEY_THRESHOLD);
	pack_uint(&w, s->threshold);
	pack_uint(&w, SET_KEY_KEYS);
	pack_array(&w, s->n_keys);
	for (unsigned i = 0; i < s->n_keys; i++)
		pack_bin(&w, s->key[i], sizeof s->key[i]);
	pack_uint(&w, SET_KEY_ROOTS);
	pack_array(&w, s->n_roots);
	for (unsigned i = 0; i < s->n_roots; i++)
		root_put(&w, &s->root[i]);
	pack_uint(&w, SET_KEY_FLAGS);
	pack_uint(&w, s->flags);
	return pack_end(&w);
}

/* A name is judged as one in a root line is. */
static void name_read(struct document *d, const struct value *host, const struct value *port, struct root_name *ret)
{
	char text[ROOT_HOST_MAX + 8];
	size_t len;
	const uint8_t *at = document_bin(d, host, ROOT_HOST_MAX, &len);
	unsigned number = (unsigned)document_uint(d, port, UINT16_MAX);
	if (!at || !number || memchr(at, 0, len) || memchr(at, ':', len)) {
		d->bad = true;
		return;
	}
	memcpy(text, at, len);
	text[len] = ':';
	unsigned digits = 0, left = number;
	char back[8];
	for (; left; left /= 10)
		back[digits++] = (char)('0' + left % 10);
	for (size_t i = len + 1; digits; i++) {
		text[i] = back[--digits];
		text[i + 1] = 0;
	}
	/* In its one form only, else two documents would mean the same. */
	if (!root_name_parse(text, ret) || strlen(ret->host) != len || memcmp(ret->host, at, len) != 0)
		d->bad = true;
}

static void root_read(struct document *d, const struct value *v, struct rootset_root *r)
{
	struct root_line *line = &r->line;
	document_identity(d, document_find(d, v, ROOT_KEY_IDENTITY), &line->identity);
	const struct value *list = document_find(d, v, ROOT_KEY_ENDPOINTS);
	line->n_endpoints = document_count(d, list, ROOT_ENDPOINTS_MAX);
	for (unsigned i = 0; i < line->n_endpoints; i++)
		document_endpoint(d, document_at(d, list, i), &line->endpoints[i]);
	list = document_find(d, v, ROOT_KEY_NAMES);
	line->n_names = document_count(d, list, 2 * ROOT_ENDPOINTS_MAX) / 2;
	if (document_count(d, list, 2 * ROOT_ENDPOINTS_MAX) % 2)
		d->bad = true;
	for (unsigned i = 0; i < line->n_names; i++)
		name_read(d, document_at(d, list, 2 * i), document_at(d, list, 2 * i + 1), &line->names[i]);
	line->tls_port = (uint16_t)document_uint(d, document_find(d, v, ROOT_KEY_TLS), UINT16_MAX);
	const struct value *pin = document_find(d, v, ROOT_KEY_PIN);
	if (pin) {
		line->pin_set = true;
		document_copy(d, pin, line->pin, sizeof line->pin);
	}
	document_text(d, document_find(d, v, ROOT_KEY_REGION), r->region, sizeof r->region);
	r->weight = (uint8_t)document_uint(d, document_find(d, v, ROOT_KEY_WEIGHT), UINT8_MAX);
}

static bool body_read(const uint8_t *body, size_t len, struct rootset_document *s)
{
	struct document d;
	if (!document_open(&d, body, len, BODY_ELEMENTS_MAX))
		return false;
	if (document_uint(&d, document_field(&d, SET_KEY_V), UINT8_MAX) != ROOTSET_VERSION)
		d.bad = true;
	document_copy(&d, document_field(&d, SET_KEY_ID), s->id, sizeof s->id);
	s->seq = document_uint(&d, document_field(&d, SET_KEY_SEQ), UINT64_MAX);
	s->threshold = (unsigned)document_uint(&d, document_field(&d, SET_KEY_THRESHOLD), ROOTSET_KEYS_MAX);
	const struct value *list = document_field(&d, SET_KEY_KEYS);
	s->n_keys = document_count(&d, list, ROOTSET_KEYS_MAX);
	for (unsigned i = 0; i < s->n_keys; i++)
		document_copy(&d, document_at(&d, list, i), s->key[i], sizeof s->key[i]);
	list = document_field(&d, SET_KEY_ROOTS);
	s->n_roots = document_count(&d, list, ROOTSET_ROOTS_MAX);
	for (unsigned i = 0; i < s->n_roots; i++)
		root_read(&d, document_at(&d, list, i), &s->root[i]);
	s->flags = (uint32_t)document_uint(&d, document_field(&d, SET_KEY_FLAGS), UINT32_MAX);
	return document_close(&d) && sound(s);
}

/* ---- the envelope ---- */

struct signatures {
	unsigned n;
	uint8_t index[ROOTSET_KEYS_MAX];
	uint8_t sig[ROOTSET_KEYS_MAX][SIGNATURE_BYTES];
};

static uint64_t head(struct reader *r, enum item want, uint64_t max)
{
	enum item item;
	uint64_t n = 0;
	if (!item_get(r, &item, &n) || item != want || n > max)
		r->bad = true;
	return n;
}

static bool envelope_read(const uint8_t *envelope, size_t len, const uint8_t **ret_body, size_t *ret_len, struct signatures *ret)
{
	struct reader r = reader_over(envelope, len);
	struct signatures s = {0};
	if (len > ROOTSET_BYTES_MAX || head(&r, ITEM_ARRAY, 3) != 3 || head(&r, ITEM_UINT, DOC_ROOTSET) != DOC_ROOTSET)
		return false;
	size_t n = (size_t)head(&r, ITEM_BIN, ROOTSET_BYTES_MAX);
	const uint8_t *body = get_bytes(&r, n);
	s.n = (unsigned)head(&r, ITEM_ARRAY, ROOTSET_KEYS_MAX);
	for (unsigned i = 0; !r.bad && i < s.n; i++) {
		if (head(&r, ITEM_ARRAY, 2) != 2)
			r.bad = true;
		s.index[i] = (uint8_t)head(&r, ITEM_UINT, ROOTSET_KEYS_MAX - 1);
		if (head(&r, ITEM_BIN, SIGNATURE_BYTES) != SIGNATURE_BYTES || (i && s.index[i] <= s.index[i - 1]))
			r.bad = true;
		get_copy(&r, s.sig[i], SIGNATURE_BYTES);
	}
	if (r.bad || reader_left(&r))
		return false;
	*ret_body = body;
	*ret_len = n;
	*ret = s;
	return true;
}

static size_t envelope_put(const uint8_t *body, size_t len, const struct signatures *s, uint8_t *out, size_t room)
{
	struct writer w = writer_over(out, room < ROOTSET_BYTES_MAX ? room : ROOTSET_BYTES_MAX);
	pack_array(&w, 3);
	pack_uint(&w, DOC_ROOTSET);
	pack_bin(&w, body, len);
	pack_array(&w, s->n);
	for (unsigned i = 0; i < s->n; i++) {
		pack_array(&w, 2);
		pack_uint(&w, s->index[i]);
		pack_bin(&w, s->sig[i], SIGNATURE_BYTES);
	}
	return pack_end(&w);
}

static size_t signed_bytes(const uint8_t *body, size_t len, uint8_t out[LABEL_BYTES + ROOTSET_BYTES_MAX])
{
	out[0] = sizeof LABEL - 1;
	memcpy(out + 1, LABEL, sizeof LABEL - 1);
	memcpy(out + LABEL_BYTES, body, len);
	return LABEL_BYTES + len;
}

size_t rootset_draft(const struct rootset_document *s, uint8_t *out, size_t room)
{
	uint8_t body[ROOTSET_BYTES_MAX];
	size_t n = sound(s) ? body_put(s, body, sizeof body) : 0;
	return n ? envelope_put(body, n, &(struct signatures){0}, out, room) : 0;
}

bool rootset_parse(const uint8_t *envelope, size_t len, struct rootset_document *ret)
{
	const uint8_t *body;
	size_t n;
	struct signatures s;
	struct rootset_document *d = calloc(1, sizeof *d); /* 20 KiB: too much for a stack */
	bool ok = d && envelope_read(envelope, len, &body, &n, &s) && body_read(body, n, d);
	if (ok)
		*ret = *d;
	free(d);
	return ok;
}

size_t rootset_sign(const uint8_t *envelope, size_t len, const struct rootset_document *signers, const uint8_t ed_secret[64], uint8_t *out,
                    size_t room)
{
	uint8_t message[LABEL_BYTES + ROOTSET_BYTES_MAX], sig[SIGNATURE_BYTES];
	const uint8_t *body;
	size_t n;
	unsigned key = 0, at = 0;
	struct signatures s;
	if (!envelope_read(envelope, len, &body, &n, &s))
		return 0;
	while (key < signers->n_keys && memcmp(signers->key[key], ed_secret + 32, 32) != 0)
		key++;
	if (key == signers->n_keys)
		return 0;
	crypto_sign_detached(sig, NULL, message, signed_bytes(body, n, message), ed_secret);
	while (at < s.n && s.index[at] < key)
		at++;
	if (at == s.n || s.index[at] != key) {
		if (s.n == ROOTSET_KEYS_MAX)
			return 0;
		memmove(&s.index[at + 1], &s.index[at], s.n - at);
		memmove(s.sig[at + 1], s.sig[at], (s.n - at) * SIGNATURE_BYTES);
		s.n++;
	}
	s.index[at] = (uint8_t)key;
	memcpy(s.sig[at], sig, sizeof sig);
	return envelope_put(body, n, &s, out, room);
}

unsigned rootset_signed(const uint8_t *envelope, size_t len, const struct rootset_document *signers)
{
	uint8_t message[LABEL_BYTES + ROOTSET_BYTES_MAX];
	const uint8_t *body;
	size_t n;
	unsigned good = 0;
	struct signatures s;
	if (!envelope_read(envelope, len, &body, &n, &s))
		return 0;
	n = signed_bytes(body, n, message);
	for (unsigned i = 0; i < s.n; i++)
		good += s.index[i] < signers->n_keys && !crypto_sign_verify_detached(s.sig[i], message, n, signers->key[s.index[i]]);
	return good;
}

/* ---- the chain ---- */

const char *rootset_verdict_text(enum rootset_verdict v)
{
	static const char *const texts[] = {
	    [ROOTSET_TAKEN] = "taken",
	    [ROOTSET_SAME] = "the one that is in use",
	    [ROOTSET_FORM] = "malformed, or its name is not that of its keys",
	    [ROOTSET_FOREIGN] = "of another set",
	    [ROOTSET_OLD] = "older than the one in use",
	    [ROOTSET_CONFLICT] = "another document with the number of the one in use: the set's keys signed two",
	    [ROOTSET_UNSIGNED] = "not signed by enough of the current keys of its set",
	    [ROOTSET_FULL] = "one change of keys too many, or no memory",
	};
	return texts[v];
}

struct rootset *rootset_new(void)
{
	return calloc(1, sizeof(struct rootset));
}

void rootset_free(struct rootset *set)
{
	if (!set)
		return;
	for (unsigned i = 0; i < set->n; i++)
		free(set->link[i].bytes);
	sodium_memzero(set, sizeof *set);
	free(set);
}

/* Signatures do not enter: the same document may come with more or fewer of them. */
static bool same_body(const struct rootset_link *l, const uint8_t *envelope, size_t len)
{
	const uint8_t *a, *b;
	size_t n, m;
	struct signatures s;
	return envelope_read(l->bytes, l->len, &a, &n, &s) && envelope_read(envelope, len, &b, &m, &s) && n == m && !memcmp(a, b, n);
}

static enum rootset_verdict judge(const struct rootset *set, const struct rootset_document *fresh, const uint8_t *envelope, size_t len)
{
	uint8_t id[ROOTSET_ID_BYTES];
	if (!set->n) {
		rootset_id(fresh, id);
		if (memcmp(id, fresh->id, sizeof id) != 0)
			return ROOTSET_FORM;
		return rootset_signed(envelope, len, fresh) >= fresh->threshold ? ROOTSET_TAKEN : ROOTSET_UNSIGNED;
	}
	if (memcmp(fresh->id, set->now.id, sizeof fresh->id) != 0)
		return ROOTSET_FOREIGN;
	if (fresh->seq < set->now.seq)
		return ROOTSET_OLD;
	if (fresh->seq == set->now.seq)
		return same_body(&set->link[set->n - 1], envelope, len) ? ROOTSET_SAME : ROOTSET_CONFLICT;
	return rootset_signed(envelope, len, &set->now) >= set->now.threshold ? ROOTSET_TAKEN : ROOTSET_UNSIGNED;
}

/* Is the newest link one that must stay when another follows? The first, and whose keys differ from those before it. */
static bool newest_stays(const struct rootset *set)
{
	struct rootset_document *before = calloc(1, sizeof *before);
	bool stays = set->n < 2 || !before || !rootset_parse(set->link[set->n - 2].bytes, set->link[set->n - 2].len, before) ||
	             !keys_same(before, &set->now);
	free(before);
	return stays;
}

static bool link_add(struct rootset *set, const struct rootset_document *fresh, const uint8_t *envelope, size_t len)
{
	uint8_t *bytes = malloc(len);
	bool stays = set->n && newest_stays(set);
	if (!bytes || (set->n == ROOTSET_CHAIN_MAX && stays)) {
		free(bytes);
		return false;
	}
	if (set->n && !stays)
		free(set->link[--set->n].bytes);
	memcpy(bytes, envelope, len);
	set->link[set->n++] = (struct rootset_link){.seq = fresh->seq, .bytes = bytes, .len = len};
	set->now = *fresh;
	return true;
}

enum rootset_verdict rootset_take(struct rootset *set, const uint8_t *envelope, size_t len)
{
	struct rootset_document *fresh = calloc(1, sizeof *fresh);
	enum rootset_verdict v = ROOTSET_FORM;
	if (!fresh)
		return ROOTSET_FULL;
	if (rootset_parse(envelope, len, fresh))
		v = judge(set, fresh, envelope, len);
	if (v == ROOTSET_TAKEN && !link_add(set, fresh, envelope, len))
		v = ROOTSET_FULL;
	free(fresh);
	return v;
}

const struct rootset_link *rootset_after(const struct rootset *set, uint64_t have_seq)
{
	for (unsigned i = 0; i < set->n; i++)
		if (set->link[i].seq > have_seq)
			return &set->link[i];
	return NULL;
}
