/* rootset_test.c: root sets, their chain of keys (T58), their files, and contact records. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proto/contact.h"
#include "proto/cred.h"
#include "proto/rootset.h"
#include "test/unit/hex.h"

#define KEYS 6

/* PROTOCOL.md, Root set and contact record. */
static const char set_id_hex[] = "27f2b9620c3e006b18df60ac909f7e66216c20ae299fea1a8eb4ed22e9fcfd7d";
static const char rootset_hex[] =
    "9306c5011e87000101c42027f2b9620c3e006b18df60ac909f7e66216c20ae299fea1a8eb4ed22e9fcfd7d020103020492c42076a8d5171af848c465"
    "4e3379ae01a931c6cb0d180f8cea5402409d59012e7c49c42003a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8059187"
    "0092cf000000c5057629d8c440a88002875a99f761dde8575a62d0903cb9f29138dae794497617938e09fe974d76a8d5171af848c4654e3379ae01a9"
    "31c6cb0d180f8cea5402409d59012e7c490191c41404000927c00002010000000000000000000000000292c410726f6f742e6578616d706c652e6f72"
    "67cd270903cd01bb04c420000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f05a2657506640600929200c440568d8444"
    "92c00266630af4b208cb4848079d8cb6e1a77065a34ef56e04bd5be0ccc5770cf2b0fba84449818f9f8c82c60993ecefc46c0999d1d9fb490f486708"
    "9201c44057ea255c9502a511f423b77782c4e9f52f2fd7fd9a02aafb9f682c5a073e970a0032d53204ef4361827a63db78d7db43cab4bbecb0f7d407"
    "5013dc715fe5e408";
static const char contact_hex[] =
    "9407c4528600c420f497c59001a420db367cbce5ef08318fe81b922e8c262cb13092344ef5eda78a01cf000000c5057629d802cf6553f10000000001"
    "0392cf0000001122334455cf000000223344556604cd1c200500c440ef00cdaffefb4bbcb7697da5745f9f7825e07a7043c481aaf143a194931f5583"
    "1f049359e9cd7c49de5c2bd1d9fe7a3a3c30099ea00e14bad7c7b762868a3203c0";

static uint8_t secret[KEYS][64];
static uint8_t envelope[ROOTSET_BYTES_MAX];

static struct rootset_root root_sample(unsigned n)
{
	struct rootset_root r = {.region = "eu-west", .weight = ROOTSET_WEIGHT};
	r.line.identity.address = 0x1100000000ull + n;
	memset(r.line.identity.x, (int)(n + 1), 32);
	memset(r.line.identity.ed, (int)(n + 101), 32);
	identity_hash(&r.line.identity);
	r.line.endpoints[0] = (struct endpoint){.family = 4, .port = 9993, .ip = {192, 0, 2, (uint8_t)n}};
	r.line.endpoints[1] = (struct endpoint){.family = 6, .port = 443, .ip = {0x20, 1, 0xd, 0xb8, [15] = (uint8_t)n}};
	r.line.n_endpoints = 2;
	assert_true(root_name_parse("root.example.org:65535", &r.line.names[0]));
	r.line.n_names = 1;
	r.line.tls_port = 443;
	r.line.pin_set = n & 1;
	if (r.line.pin_set)
		memset(r.line.pin, (int)n, sizeof(r.line.pin));
	return r;
}

/* A document of keys first .. first + n - 1 with 3 roots; the id is that of keys 0 ... n - 1 unless it is the first. */
static struct rootset_document *document(uint64_t seq, unsigned first, unsigned n, unsigned threshold)
{
	struct rootset_document *d = calloc(1, sizeof(*d));
	assert_non_null(d);
	d->seq = seq, d->threshold = threshold, d->n_keys = n;
	for (unsigned i = 0; i < n; i++)
		memcpy(d->key[i], secret[first + i] + 32, 32);
	for (d->n_roots = 0; d->n_roots < 3; d->n_roots++)
		d->root[d->n_roots] = root_sample(d->n_roots);
	rootset_id(d, d->id);
	return d;
}

/* Into envelope, signed by the listed keys as the signers of before (itself: first). */
static size_t signed_by(const struct rootset_document *d, const struct rootset_document *before, const char *keys)
{
	size_t len = rootset_draft(d, envelope, sizeof(envelope));
	assert_int_not_equal(len, 0);
	for (; *keys; keys++)
		assert_int_not_equal(len = rootset_sign(envelope, len, before, secret[*keys - '0'], envelope, sizeof(envelope)), 0);
	return len;
}

static void there_and_back(void **state)
{
	(void)state;
	struct rootset_document *d = document(7, 0, 3, 2), out;
	size_t len = signed_by(d, d, "20");
	assert_true(rootset_parse(envelope, len, &out));
	assert_memory_equal(out.id, d->id, sizeof(out.id));
	assert_int_equal(out.seq, 7);
	assert_int_equal(out.threshold, 2);
	assert_int_equal(out.n_keys, 3);
	assert_memory_equal(out.key, d->key, sizeof(out.key));
	assert_int_equal(out.n_roots, 3);
	for (unsigned i = 0; i < 3; i++) {
		char a[ROOT_LINE_MAX], b[ROOT_LINE_MAX];
		assert_int_not_equal(root_line_format(&d->root[i].line, a, sizeof(a)), 0);
		assert_int_not_equal(root_line_format(&out.root[i].line, b, sizeof(b)), 0);
		assert_string_equal(a, b);
		assert_string_equal(out.root[i].region, "eu-west");
		assert_int_equal(out.root[i].weight, ROOTSET_WEIGHT);
		assert_int_equal(out.root[i].line.tls_port, 443);
	}
	assert_int_equal(rootset_signed(envelope, len, d), 2);
	/* in order of their index, whoever signed first */
	uint8_t other[ROOTSET_BYTES_MAX];
	memcpy(other, envelope, len);
	assert_int_equal(signed_by(d, d, "02"), len);
	assert_memory_equal(other, envelope, len);
	/* a second signature of one key is no second key */
	assert_int_equal(signed_by(d, d, "022"), len);
	assert_int_equal(rootset_sign(envelope, len, d, secret[4], other, sizeof(other)), 0);
	free(d);
}

static void abuse(void **state)
{
	(void)state;
	struct rootset_document *d = document(7, 0, 2, 2), *out = calloc(1, sizeof(*out)), *clean = calloc(1, sizeof(*clean));
	size_t len = signed_by(d, d, "01");
	for (size_t n = 0; n < len; n++) {
		uint8_t *cut = malloc(n ? n : 1);
		memcpy(cut, envelope, n);
		assert_false(rootset_parse(cut, n, out));
		assert_int_equal(rootset_signed(cut, n, d), 0);
		free(cut);
	}
	assert_memory_equal(out, clean, sizeof(*out));
	envelope[len] = 0;
	assert_false(rootset_parse(envelope, len + 1, out));
	/* no single bit may change and both signatures hold */
	for (size_t bit = 0; bit < 8 * len; bit++) {
		envelope[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_true(rootset_signed(envelope, len, d) < 2);
		envelope[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	free(d), free(out), free(clean);
}

static void unsound(void **state)
{
	(void)state;
	struct rootset_document *d = document(1, 0, 2, 2), *bad = calloc(1, sizeof(*bad));
	uint8_t out[ROOTSET_BYTES_MAX];
#define REFUSED(change)                                                                                                                    \
	do {                                                                                                                               \
		*bad = *d;                                                                                                                 \
		change;                                                                                                                    \
		assert_int_equal(rootset_draft(bad, out, sizeof(out)), 0);                                                                 \
	} while (0)
	REFUSED(bad->seq = 0);
	REFUSED(bad->threshold = 0);
	REFUSED(bad->threshold = 3);
	REFUSED(bad->n_keys = 0);
	REFUSED(memcpy(bad->key[1], bad->key[0], 32)); /* one key that counts twice */
	REFUSED(bad->root[1].line.identity = bad->root[0].line.identity);
	REFUSED(bad->root[1].line.identity.address = bad->root[0].line.identity.address);
	REFUSED(bad->root[0].line.n_endpoints = bad->root[0].line.n_names = 0);
	REFUSED(bad->root[0].line.n_endpoints = 4);
	REFUSED(strcpy(bad->root[0].region, "a\nb"));
	assert_int_not_equal(rootset_draft(d, out, sizeof(out)), 0);
	free(d), free(bad);
}

/* T58: lower seq, a gap over a key change, too few signatures, unknown keys, same seq and other content. */
static void chain(void **state)
{
	(void)state;
	struct rootset *set = rootset_new();
	struct rootset_document *first = document(1, 0, 3, 2), *d = calloc(1, sizeof(*d));
	size_t len = signed_by(first, first, "1");
	assert_int_equal(rootset_take(set, envelope, len), ROOTSET_UNSIGNED);
	*d = *first, d->id[0] ^= 1;
	len = signed_by(d, d, "12");
	assert_int_equal(rootset_take(set, envelope, len), ROOTSET_FORM); /* a name that its keys did not give it */
	len = signed_by(first, first, "12");
	assert_int_equal(rootset_take(set, envelope, len), ROOTSET_TAKEN);
	assert_int_equal(rootset_take(set, envelope, len), ROOTSET_SAME);
	assert_int_equal(rootset_take(set, envelope, signed_by(first, first, "012")), ROOTSET_SAME);

	*d = *first, d->n_roots = 2; /* same seq, other content */
	assert_int_equal(rootset_take(set, envelope, signed_by(d, first, "012")), ROOTSET_CONFLICT);
	d->seq = 5;
	assert_int_equal(rootset_take(set, envelope, signed_by(d, first, "0")), ROOTSET_UNSIGNED);
	struct rootset_document *theirs = document(5, 3, 3, 1);
	memcpy(theirs->id, first->id, sizeof(theirs->id));
	assert_int_equal(rootset_take(set, envelope, signed_by(theirs, theirs, "345")), ROOTSET_UNSIGNED); /* keys nobody named */
	assert_int_equal(set->now.seq, 1);
	assert_int_equal(rootset_take(set, envelope, signed_by(d, first, "02")), ROOTSET_TAKEN);
	assert_int_equal(set->now.n_roots, 2);
	d->seq = 4;
	assert_int_equal(rootset_take(set, envelope, signed_by(d, first, "02")), ROOTSET_OLD);
	assert_int_equal(rootset_take(set, envelope, signed_by(first, first, "012")), ROOTSET_OLD);
	struct rootset_document *foreign = document(9, 3, 3, 2);
	assert_int_equal(rootset_take(set, envelope, signed_by(foreign, foreign, "34")), ROOTSET_FOREIGN);

	/* the keys change: 6 by the old ones, 8 by the new ones */
	struct rootset_document *keys = document(6, 3, 2, 2), *later = calloc(1, sizeof(*later));
	memcpy(keys->id, first->id, sizeof(keys->id));
	*later = *keys, later->seq = 8;
	assert_int_equal(rootset_take(set, envelope, signed_by(later, keys, "34")), ROOTSET_UNSIGNED); /* a gap over the change */
	assert_int_equal(rootset_take(set, envelope, signed_by(keys, first, "01")), ROOTSET_TAKEN);
	d->seq = 7;
	assert_int_equal(rootset_take(set, envelope, signed_by(d, first, "012")), ROOTSET_UNSIGNED); /* the old keys are over */
	assert_int_equal(rootset_take(set, envelope, signed_by(later, keys, "34")), ROOTSET_TAKEN);
	later->seq = 9;
	assert_int_equal(rootset_take(set, envelope, signed_by(later, keys, "34")), ROOTSET_TAKEN);

	/* what is kept: the first, the change, the newest */
	assert_int_equal(set->n, 3);
	assert_int_equal(rootset_after(set, 0)->seq, 1);
	assert_int_equal(rootset_after(set, 1)->seq, 6);
	assert_int_equal(rootset_after(set, 5)->seq, 6);
	assert_int_equal(rootset_after(set, 6)->seq, 9);
	assert_null(rootset_after(set, 9));
	/* and that leads whoever has the first to the newest */
	struct rootset *away = rootset_new();
	for (const struct rootset_link *l; (l = rootset_after(set, away->now.seq));)
		assert_int_equal(rootset_take(away, l->bytes, l->len), ROOTSET_TAKEN);
	assert_int_equal(away->now.seq, 9);
	rootset_free(away);
	rootset_free(set);
	free(first), free(d), free(theirs), free(foreign), free(keys), free(later);
}

/* A chain cannot grow without end, and what is full still works. */
static void chain_full(void **state)
{
	(void)state;
	struct rootset *set = rootset_new();
	struct rootset_document *d = document(1, 0, 2, 1);
	assert_int_equal(rootset_take(set, envelope, signed_by(d, d, "0")), ROOTSET_TAKEN);
	unsigned taken = 1;
	for (unsigned i = 0; i < 2 * ROOTSET_CHAIN_MAX; i++) {
		struct rootset_document before = set->now;
		*d = before;
		d->seq++, d->threshold = 3 - d->threshold;
		enum rootset_verdict v = rootset_take(set, envelope, signed_by(d, &before, "01"));
		assert_true(v == ROOTSET_TAKEN || v == ROOTSET_FULL);
		taken += v == ROOTSET_TAKEN;
	}
	assert_int_equal(taken, ROOTSET_CHAIN_MAX);
	assert_int_equal(set->n, ROOTSET_CHAIN_MAX);
	rootset_free(set);
	free(d);
}

static void files(void **state)
{
	(void)state;
	struct rootset *set = rootset_new();
	struct rootset_document *d = document(1, 0, 2, 2), *next = calloc(1, sizeof(*next));
	char *text = calloc(1, ROOTSET_FILE_MAX);
	assert_int_equal(rootset_take(set, envelope, signed_by(d, d, "01")), ROOTSET_TAKEN);
	*next = *d, next->seq = 2;
	assert_int_equal(rootset_take(set, envelope, signed_by(next, d, "01")), ROOTSET_TAKEN);
	struct rootset_file out = rootset_to_file(set), in;
	memset(out.gate, 0x5a, sizeof(out.gate));
	size_t len = rootset_file_format(&out, text, ROOTSET_FILE_MAX);
	assert_int_not_equal(len, 0);
	assert_true(rootset_file_parse(text, len, &in));
	assert_int_equal(in.n, 2);
	assert_memory_equal(in.gate, out.gate, sizeof(in.gate));
	enum rootset_verdict why;
	unsigned at;
	struct rootset *again = rootset_from_file(&in, &why, &at);
	assert_non_null(again);
	assert_int_equal(again->now.seq, 2);
	rootset_free(again);
	/* a draft at the end is told by its place */
	free(in.document[1].bytes);
	in.document[1].len = signed_by(next, d, "0");
	in.document[1].bytes = malloc(in.document[1].len);
	memcpy(in.document[1].bytes, envelope, in.document[1].len);
	assert_null(rootset_from_file(&in, &why, &at));
	assert_int_equal(why, ROOTSET_UNSIGNED);
	assert_int_equal(at, 1);
	rootset_file_fini(&in);
	/* any other text is none */
	for (size_t i = 0; i < len; i += 7) {
		char was = text[i];
		text[i] = '!';
		assert_false(rootset_file_parse(text, len, &in));
		text[i] = was;
	}
	assert_false(rootset_file_parse("", 0, &in));
	assert_false(rootset_file_parse("fln1-root-set\n", 14, &in));
	rootset_free(set);
	free(d), free(next), free(text);
}

static void keys(void **state)
{
	(void)state;
	char text[ROOTSET_SECRET_TEXT];
	uint8_t out[64], ed[32];
	rootset_secret_format(secret[0], text);
	size_t len = strlen(text);
	assert_true(rootset_secret_parse(text, len, out));
	assert_memory_equal(out, secret[0], 64);
	for (size_t i = 0; i + 1 < len; i++) {
		char was = text[i];
		text[i] = was == 'b' ? 'c' : 'b';
		assert_false(rootset_secret_parse(text, len, out));
		text[i] = was;
	}
	assert_false(rootset_secret_parse(text, len - 3, out));
	rootset_key_format(secret[0] + 32, text);
	assert_true(rootset_key_parse(text, ed));
	assert_memory_equal(ed, secret[0] + 32, 32);
	strcat(text, "A");
	assert_false(rootset_key_parse(text, ed));
}

static void contacts(void **state)
{
	(void)state;
	struct identity who = {.address = 0xc5057629d8ull};
	memcpy(who.ed, secret[0] + 32, 32);
	identity_hash(&who);
	struct contact c = {
	    .address = who.address, .seq = UINT64_MAX, .n_homes = 2, .home = {0xffffffffffull, 0x1122334455ull}, .ttl_s = 7200};
	struct contact out, clean;
	memcpy(c.key_hash, who.key_hash, sizeof(c.key_hash));
	uint8_t e[CONTACT_ENVELOPE_MAX + 1];
	size_t len = contact_sign(&c, secret[0], e, sizeof(e));
	assert_in_range(len, 100, CONTACT_ENVELOPE_MAX);
	assert_true(contact_open(e, len, &who, &out));
	assert_int_equal(out.seq, c.seq);
	assert_int_equal(out.n_homes, 2);
	assert_memory_equal(out.home, c.home, sizeof(c.home));
	assert_int_equal(out.ttl_s, 7200);
	memset(&out, 0xa5, sizeof(out));
	memset(&clean, 0xa5, sizeof(clean));
	for (size_t n = 0; n < len; n++)
		assert_false(contact_open(e, n, &who, &out));
	for (size_t bit = 0; bit < 8 * len; bit++) {
		e[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_false(contact_open(e, len, &who, &out));
		e[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	/* nobody speaks for another: another's key, another's record, another address */
	struct identity other = who;
	memcpy(other.ed, secret[1] + 32, 32);
	identity_hash(&other);
	assert_false(contact_open(e, len, &other, &out));
	other = who, other.address++;
	assert_false(contact_open(e, len, &other, &out));
	struct contact forged = c;
	forged.seq = 9;
	len = contact_sign(&forged, secret[1], e, sizeof(e));
	assert_false(contact_open(e, len, &who, &out));
	assert_memory_equal(&out, &clean, sizeof(out));
	assert_true(contact_parse(e, len, &out));
	/* not a credential, whatever the signature says */
	forged.home[1] = forged.home[0];
	assert_int_equal(contact_sign(&forged, secret[1], e, sizeof(e)), 0);
	struct cred cred;
	assert_false(cred_parse(e, len, &cred));
}

static void vectors(void **state)
{
	(void)state;
	struct rootset_document *d = calloc(1, sizeof(*d));
	uint8_t bytes[ROOTSET_BYTES_MAX], id[ROOTSET_ID_BYTES], want[ROOTSET_ID_BYTES];
	size_t len = unhex(bytes, sizeof(bytes), rootset_hex);
	assert_true(rootset_parse(bytes, len, d));
	rootset_id(d, id);
	unhex(want, sizeof(want), set_id_hex);
	assert_memory_equal(id, want, sizeof(id));
	assert_memory_equal(d->id, want, sizeof(id));
	assert_int_equal(rootset_signed(bytes, len, d), 2);
	const struct root_line *line = &d->root[0].line;
	assert_int_equal(line->identity.address, 0xc5057629d8ull);
	assert_string_equal(line->names[0].host, "root.example.org");
	assert_true(line->pin_set && line->pin[31] == 31 && line->tls_port == 443);
	struct rootset *set = rootset_new();
	assert_int_equal(rootset_take(set, bytes, len), ROOTSET_TAKEN);
	rootset_free(set);
	struct contact c;
	len = unhex(bytes, sizeof(bytes), contact_hex);
	assert_true(contact_open(bytes, len, &line->identity, &c));
	assert_int_equal(c.seq, 0x6553f10000000001ull);
	assert_int_equal(c.home[1], 0x2233445566ull);
	free(d);
}

int main(void)
{
	for (unsigned i = 0; i < KEYS; i++)
		rootset_key_new(secret[i]);
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(there_and_back), cmocka_unit_test(abuse),      cmocka_unit_test(unsound),
	    cmocka_unit_test(chain),          cmocka_unit_test(chain_full), cmocka_unit_test(files),
	    cmocka_unit_test(keys),           cmocka_unit_test(contacts),   cmocka_unit_test(vectors),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
